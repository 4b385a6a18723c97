//! `/v1/admin/sites`, and what tenants see of it at `/v1/{project}/sites`.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::Json;
use protector_domain::{Site, SiteId, SiteType};
use protector_ports::cloud::Credentials;
use protector_service::sites::{NewSite, SiteChange};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::extract::{Body, ListQuery, id};
use crate::faults::{Answer, Fault};
use crate::{App, render};

#[derive(Deserialize)]
pub(crate) struct Create {
    site: Wanted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    id: SiteId,
    name: String,
    #[serde(default)]
    description: Option<String>,
    site_type: SiteType,
    auth_url: String,
    region_name: Option<String>,
    public_key: Option<String>,
    service_username: Option<String>,
    service_password: Option<SecretString>,
    service_project: Option<String>,
    service_user_domain: Option<String>,
    service_project_domain: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Update {
    site: Change,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    description: Option<String>,
    site_type: Option<SiteType>,
    auth_url: Option<String>,
    region_name: Option<String>,
    public_key: Option<String>,
    service_username: Option<String>,
    service_password: Option<SecretString>,
    service_project: Option<String>,
    service_user_domain: Option<String>,
    service_project_domain: Option<String>,
}

/// A user without a password, or the other way round, signs in nowhere.
fn credentials(username: Option<String>, password: Option<SecretString>, project: Option<String>, user_domain: Option<String>, project_domain: Option<String>) -> Answer<Option<Credentials>> {
    match (username, password) {
        (None, None) => Ok(None),
        (Some(username), Some(password)) => {
            let user_domain_name = user_domain.unwrap_or_else(|| "Default".to_owned());
            Ok(Some(Credentials {
                username,
                password,
                project_name: project.unwrap_or_else(|| "service".to_owned()),
                project_domain_name: project_domain.unwrap_or_else(|| user_domain_name.clone()),
                user_domain_name,
            }))
        }
        _ => Err(Fault::bad_request("service_username and service_password go together.")),
    }
}

async fn rendered(app: &App, site: &Site) -> Answer<Value> {
    let has_credentials = app.service.has_credentials(site).await?;
    Ok(render::site(site, app.site.id, has_credentials))
}

pub(crate) async fn create(State(app): State<App>, Body(body): Body<Create>) -> Answer<(StatusCode, Json<Value>)> {
    let wanted = body.site;
    let new = NewSite {
        id: wanted.id,
        name: wanted.name,
        description: wanted.description.unwrap_or_default(),
        site_type: wanted.site_type,
        auth_url: wanted.auth_url,
        region_name: wanted.region_name,
        public_key: wanted.public_key,
        credentials: credentials(wanted.service_username, wanted.service_password, wanted.service_project, wanted.service_user_domain, wanted.service_project_domain)?,
    };
    let site = app.service.create_site(new).await?;
    Ok((StatusCode::CREATED, Json(json!({ "site": rendered(&app, &site).await? }))))
}

pub(crate) async fn list(State(app): State<App>, Query(query): Query<ListQuery>) -> Answer<Json<Value>> {
    let mut items = Vec::new();
    for site in app.service.sites().await? {
        if query.name.as_ref().is_none_or(|name| *name == site.name) {
            items.push(rendered(&app, &site).await?);
        }
    }
    Ok(Json(json!({ "sites": items })))
}

pub(crate) async fn show(State(app): State<App>, Path(site): Path<String>) -> Answer<Json<Value>> {
    let site = app.service.site(id("site", &site)?).await?;
    Ok(Json(json!({ "site": rendered(&app, &site).await? })))
}

pub(crate) async fn update(State(app): State<App>, Path(site): Path<String>, Body(body): Body<Update>) -> Answer<Json<Value>> {
    let change = body.site;
    let change = SiteChange {
        credentials: credentials(change.service_username, change.service_password, change.service_project, change.service_user_domain, change.service_project_domain)?,
        name: change.name,
        description: change.description,
        site_type: change.site_type,
        auth_url: change.auth_url,
        region_name: change.region_name,
        public_key: change.public_key,
    };
    let site = app.service.update_site(id("site", &site)?, change).await?;
    Ok(Json(json!({ "site": rendered(&app, &site).await? })))
}

pub(crate) async fn remove(State(app): State<App>, Path(site): Path<String>) -> Answer<StatusCode> {
    app.service.delete_site(id("site", &site)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn validate(State(app): State<App>, Path(site): Path<String>) -> Answer<Json<Value>> {
    let (site, checks) = app.service.validate_site(id("site", &site)?).await?;
    Ok(Json(json!({ "site": rendered(&app, &site).await?, "checks": checks })))
}

pub(crate) async fn volume_types(State(app): State<App>, Path(site): Path<String>) -> Answer<Json<Value>> {
    let types: Vec<Value> = app
        .service
        .eligible_types(id("site", &site)?)
        .await?
        .into_iter()
        .map(|(one, mode)| {
            let spec = |key: &str, default: String| one.extra_specs.get(key).cloned().unwrap_or(default);
            json!({
                "id": one.id,
                "name": one.name,
                "replication_enabled": spec("replication_enabled", "<is> True".to_owned()),
                "replication_type": spec("replication_type", format!("<in> {}", mode.as_str())),
            })
        })
        .collect();
    Ok(Json(json!({ "volume_types": types })))
}
