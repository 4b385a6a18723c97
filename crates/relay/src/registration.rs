//! What an administrator of both sites does once: make them known to each other.

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::pair::Pair;
use crate::site::Site;

/// A site's protector user, for the engine of the other site.
#[derive(Clone, Debug)]
pub struct ServiceUser {
    pub username: String,
    pub password: SecretString,
    pub project: String,
    pub domain: String,
}

/// How a site is written into both address books.
#[derive(Clone, Debug)]
pub struct Registration {
    pub name: String,
    pub description: String,
    /// `primary` or `secondary`.
    pub site_type: String,
    pub service_user: ServiceUser,
}

impl Pair {
    /// Write both sites into both address books; each gets the service user of the *other* one.
    pub async fn register(&self, here: &Registration, there: &Registration) -> Result<()> {
        let rows = [(&self.here(), here), (&self.there(), there)];
        for book in [self.here(), self.there()] {
            for (site, registration) in rows {
                let foreign = site.identity().id != book.identity().id;
                write(book, site, registration, foreign).await?;
            }
        }
        Ok(())
    }

    /// Let each site look at both, credentials included. What isn't well is the error.
    pub async fn validate(&self) -> Result<()> {
        for book in [self.here(), self.there()] {
            for id in [&self.here().identity().id, &self.there().identity().id] {
                let answer = book
                    .admin(Method::POST, &format!("/sites/{id}/validate"), None)
                    .await?;
                let failed: Vec<&str> = answer["checks"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|check| check["ok"] != true)
                    .filter_map(|check| check["message"].as_str())
                    .collect();
                if !failed.is_empty() || answer["site"]["status"] != "active" {
                    return Err(Error::Stuck(format!(
                        "{} finds site {} {}: {}",
                        book.name(),
                        answer["site"]["name"].as_str().unwrap_or(id),
                        answer["site"]["status"].as_str().unwrap_or("unknown"),
                        failed.join("; ")
                    )));
                }
            }
        }
        Ok(())
    }

    /// Say on both sites that a project of the one is a project of the other.
    pub async fn map_tenants(&self, here: &str, there: &str, description: &str) -> Result<()> {
        let id = uuid::Uuid::new_v4().to_string();
        let rows = [
            (self.here(), here, self.there(), there),
            (self.there(), there, self.here(), here),
        ];
        for (site, local, remote, remote_tenant) in rows {
            let body = json!({"tenant_mapping": {
                "id": id, "local_tenant": local, "remote_site": remote.identity().id,
                "remote_tenant": remote_tenant, "description": description
            }});
            site.call(Method::POST, "/tenant-mappings", Some(&body)).await?;
        }
        Ok(())
    }
}

async fn write(book: &Site, site: &Site, registration: &Registration, foreign: bool) -> Result<()> {
    let identity = site.identity();
    let mut body: Value = json!({"site": {
        "id": identity.id, "name": registration.name, "description": registration.description,
        "site_type": registration.site_type, "auth_url": site.session().auth_url(),
        "region_name": identity.region_name, "public_key": identity.public_key
    }});
    if foreign {
        let user = &registration.service_user;
        body["site"]["service_username"] = json!(user.username);
        body["site"]["service_password"] = json!(user.password.expose_secret());
        body["site"]["service_project"] = json!(user.project);
        body["site"]["service_user_domain"] = json!(user.domain);
        body["site"]["service_project_domain"] = json!(user.domain);
    }
    book.admin(Method::POST, "/sites", Some(&body)).await?;
    Ok(())
}
