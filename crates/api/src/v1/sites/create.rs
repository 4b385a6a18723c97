//! `POST /v1/admin/sites`

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, response::IntoResponse};
use protector_oslo::faults::Fault;
use protector_ports::cloud::Credentials;
use protector_service::sites::NewSite;
use serde_json::json;

use crate::body::Fields;
use crate::faults::{Answer, Refusal};
use crate::{App, render};

pub(crate) async fn create(State(app): State<App>, body: Fields) -> Answer<impl IntoResponse> {
    let mut fields = body.only("site")?;
    let new = NewSite {
        id: fields.required("id")?,
        name: fields.required("name")?,
        description: fields.text("description", 2000)?.unwrap_or_default(),
        site_type: fields.required("site_type")?,
        auth_url: fields.required("auth_url")?,
        region_name: fields.text("region_name", 255)?,
        public_key: fields.text("public_key", 255)?,
        credentials: credentials(&mut fields)?,
    };
    fields.finish()?;
    let has_credentials = new.credentials.is_some();
    let site = app.service.create_site(new).await?;
    let has_credentials = has_credentials || app.service.has_credentials(&site).await?;
    let shown = render::site(&site, app.service.local_site(), has_credentials);
    Ok((StatusCode::CREATED, Json(json!({"site": shown}))))
}

/// The protector user of that site; a part of it is none.
pub(super) fn credentials(fields: &mut Fields) -> Answer<Option<Credentials>> {
    let username = fields.text("service_username", 255)?;
    let password = fields.secret("service_password")?;
    let project = fields.text("service_project", 255)?;
    let user_domain = fields.text("service_user_domain", 255)?;
    let project_domain = fields.text("service_project_domain", 255)?;
    match (username, password) {
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
        (None, None) if project.is_none() && user_domain.is_none() && project_domain.is_none() => Ok(None),
        _ => Err(Refusal::from(Fault::bad_request(
            "Fields 'site.service_username' and 'site.service_password' are needed together for the service's user of the site.",
        ))),
    }
}
