//! Registered sites: the administrator's address book, the same on both sites.

use protector_domain::{ReplicationType, Site, SiteId, SiteStatus, SiteType};
use protector_ports::Class;
use protector_ports::cloud::{Access, Actor, Credentials, VolumeType};
use protector_ports::store::{GroupFilter, Page};
use secrecy::SecretString;

use crate::Service;
use crate::error::{Error, Result};
use crate::types::replication_of;

pub struct NewSite {
    pub id: SiteId,
    pub name: String,
    pub description: String,
    pub site_type: SiteType,
    pub auth_url: String,
    pub region_name: Option<String>,
    pub public_key: Option<String>,
    pub credentials: Option<Credentials>,
}

#[derive(Default)]
pub struct SiteChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub site_type: Option<SiteType>,
    pub auth_url: Option<String>,
    pub region_name: Option<String>,
    pub public_key: Option<String>,
    pub credentials: Option<Credentials>,
}

/// One thing that was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    pub message: String,
}

impl Service {
    pub async fn create_site(&self, new: NewSite) -> Result<Site> {
        check_name(&new.name)?;
        check_auth_url(&new.auth_url)?;
        let now = self.clock.now();
        let mut site = Site {
            id: new.id,
            name: new.name,
            description: new.description,
            site_type: new.site_type,
            auth_url: new.auth_url.trim_end_matches('/').to_owned(),
            region_name: new.region_name,
            public_key: new.public_key,
            status: SiteStatus::Active,
            status_reason: None,
            created_at: now,
            updated_at: now,
        };
        self.look_at_keystone(&mut site).await;
        self.store.insert_site(&site, new.credentials.as_ref()).await?;
        Ok(site)
    }

    pub async fn sites(&self) -> Result<Vec<Site>> {
        Ok(self.store.sites().await?)
    }

    pub async fn site(&self, id: SiteId) -> Result<Site> {
        self.store
            .site(id)
            .await?
            .ok_or_else(|| Error::not_found("site", id))
    }

    /// Whether this site can sign in there as that site's protector user.
    pub async fn has_credentials(&self, site: &Site) -> Result<bool> {
        Ok(self.directory.credentials(site).await?.is_some())
    }

    pub async fn update_site(&self, id: SiteId, change: SiteChange) -> Result<Site> {
        let mut site = self.site(id).await?;
        if let Some(name) = change.name {
            check_name(&name)?;
            site.name = name;
        }
        if let Some(auth_url) = change.auth_url {
            check_auth_url(&auth_url)?;
            site.auth_url = auth_url.trim_end_matches('/').to_owned();
        }
        site.description = change.description.unwrap_or(site.description);
        site.site_type = change.site_type.unwrap_or(site.site_type);
        site.region_name = change.region_name.or(site.region_name);
        site.public_key = change.public_key.or(site.public_key);
        site.updated_at = self.clock.now();
        self.store.update_site(&site, change.credentials.as_ref()).await?;
        Ok(site)
    }

    pub async fn delete_site(&self, id: SiteId) -> Result<()> {
        let site = self.site(id).await?;
        let users: Vec<String> = self
            .store
            .groups(&GroupFilter::default(), &Page::default())
            .await?
            .into_iter()
            .filter(|group| group.document.site(id).is_some())
            .map(|group| group.document.name)
            .collect();
        if !users.is_empty() {
            return Err(Error::conflict(format!(
                "Site '{}' is used by protection groups: {}.",
                site.name,
                users.join(", ")
            )));
        }
        Ok(self.store.delete_site(id).await?)
    }

    /// Looks at everything that a site needs, records the status, and ends normally whatever it finds.
    pub async fn validate_site(&self, id: SiteId) -> Result<(Site, Vec<Check>)> {
        let mut site = self.site(id).await?;
        let mut checks = Vec::new();
        let reachable = self.look_at_keystone(&mut site).await;
        checks.push(Check {
            name: "keystone",
            ok: reachable,
            message: site
                .status_reason
                .clone()
                .unwrap_or_else(|| format!("Keystone answers at {}.", site.auth_url)),
        });
        if reachable {
            self.check_service_user(&mut site, &mut checks).await?;
        }
        site.updated_at = self.clock.now();
        self.store.update_site(&site, None).await?;
        Ok((site, checks))
    }

    async fn check_service_user(&self, site: &mut Site, checks: &mut Vec<Check>) -> Result<()> {
        let local = site.id == self.local_site();
        let Some(credentials) = self.directory.credentials(site).await? else {
            checks.push(Check {
                name: "service_credentials",
                ok: false,
                message: format!(
                    "No service credentials for site '{0}' are stored here: planned operations between this site and '{0}' are impossible. \
                     Type: openstack protector site set {0} --service-username NAME --service-password-file FILE --service-project PROJECT \
                     --service-user-domain DOMAIN",
                    site.name
                ),
            });
            return Ok(());
        };
        let username = credentials.username.clone();
        let access = self.directory.service(site.id).await?;
        let owner = match self.cloud.owner(&access).await {
            Ok(owner) => owner,
            Err(error) => {
                if error.class == Class::Permanent {
                    site.status = SiteStatus::Error;
                    site.status_reason = Some(error.message.clone());
                }
                checks.push(Check {
                    name: "service_credentials",
                    ok: false,
                    message: error.message,
                });
                return Ok(());
            }
        };
        let admin = owner.roles.iter().any(|role| role.eq_ignore_ascii_case("admin"));
        checks.push(Check {
            name: "service_credentials",
            ok: admin,
            message: if admin {
                format!(
                    "User '{username}' signs in at site '{}' with role admin.",
                    site.name
                )
            } else {
                format!(
                    "User '{username}' signs in at site '{}' but lacks role admin in its service project.",
                    site.name
                )
            },
        });
        let wanted: [(&str, &[&str]); 4] = [
            ("compute", &["compute"]),
            ("volume", &["volumev3", "block-storage", "volume"]),
            ("network", &["network"]),
            ("image", &["image"]),
        ];
        for (name, types) in wanted {
            let ok = owner
                .services
                .iter()
                .any(|service| types.contains(&service.as_str()));
            let region = site.region_name.as_deref().unwrap_or("any region");
            checks.push(Check {
                name,
                ok,
                message: if ok {
                    format!("The catalog has it in {region}.")
                } else {
                    format!("The catalog has no such service in {region}.")
                },
            });
        }
        let roles = &self.options.trust_roles;
        let known = self.cloud.known_roles(&access, roles).await;
        checks.push(match known {
            Ok(known) => trust_roles(roles, &known),
            Err(error) => Check {
                name: "trust_roles",
                ok: false,
                message: error.message,
            },
        });
        let group_type = self
            .cloud
            .group_types(&access)
            .await
            .map(|types| types.iter().any(|one| one.name == self.options.group_type));
        checks.push(match group_type {
            Ok(true) => Check {
                name: "cinder_group_type",
                ok: true,
                message: format!("Cinder has the group type '{}'.", self.options.group_type),
            },
            Ok(false) => Check {
                name: "cinder_group_type",
                ok: false,
                message: missing_group_type(&self.options.group_type, &site.name),
            },
            Err(error) => Check {
                name: "cinder_group_type",
                ok: false,
                message: error.message,
            },
        });
        if local
            && checks
                .iter()
                .any(|check| !check.ok && check.name == "service_credentials")
        {
            site.status = SiteStatus::Error;
            site.status_reason = checks
                .iter()
                .find(|check| !check.ok)
                .map(|check| check.message.clone());
        }
        Ok(())
    }

    /// The types of a site that can be protected.
    pub async fn eligible_types(&self, id: SiteId) -> Result<Vec<(VolumeType, ReplicationType)>> {
        let site = self.site(id).await?;
        let types = self.types_at(&site).await?;
        Ok(types
            .into_iter()
            .filter_map(|one| replication_of(&one).map(|mode| (one, mode)))
            .collect())
    }

    async fn look_at_keystone(&self, site: &mut Site) -> bool {
        let nobody = Actor::User {
            token: SecretString::from(String::new()),
            project_id: nowhere(),
        };
        let access = Access {
            site: site.id,
            site_name: site.name.clone(),
            auth_url: site.auth_url.clone(),
            region: site.region_name.clone(),
            actor: nobody,
            timeout: std::time::Duration::from_secs(10),
        };
        match self.cloud.probe(&access).await {
            Ok(()) => {
                site.status = SiteStatus::Active;
                site.status_reason = None;
                true
            }
            Err(error) => {
                site.status = if error.class == Class::Permanent {
                    SiteStatus::Error
                } else {
                    SiteStatus::Unreachable
                };
                site.status_reason = Some(error.message);
                false
            }
        }
    }
}

/// Trusts hand over those of the roles that both Keystone and the user have; one name for each release of Keystone
/// is usual, so it is enough that one of them is known.
fn trust_roles(wanted: &[String], known: &[String]) -> Check {
    let (there, missing): (Vec<&str>, Vec<&str>) = wanted
        .iter()
        .map(String::as_str)
        .partition(|role| known.iter().any(|have| have.eq_ignore_ascii_case(role)));
    let message = match (there.as_slice(), missing.as_slice()) {
        (_, []) => format!(
            "Keystone knows the roles of default_trust_roles: {}.",
            there.join(", ")
        ),
        ([], _) => format!(
            "This Keystone knows none of the roles of default_trust_roles ({}), so no tenant can protect anything here: name the \
             role of project members in [service_credentials] default_trust_roles.",
            missing.join(", ")
        ),
        (some, missing) => format!(
            "Of default_trust_roles this Keystone lacks {}: trusts are made with {} alone.",
            missing.join(", "),
            some.join(", ")
        ),
    };
    Check {
        name: "trust_roles",
        ok: !there.is_empty(),
        message,
    }
}

pub(crate) fn missing_group_type(group_type: &str, site: &str) -> String {
    format!(
        "Cinder at site '{site}' has no group type '{group_type}': an administrator of that site makes it with `protector-manage cinder group-type`."
    )
}

/// A project for calls that are made as nobody.
fn nowhere() -> protector_domain::ProjectId {
    #[expect(clippy::expect_used, reason = "a literal that is a valid id")]
    protector_domain::ProjectId::new("none").expect("a valid literal")
}

fn check_name(name: &str) -> Result<()> {
    let fine = (1..=255).contains(&name.chars().count())
        && name.trim() == name
        && !name.chars().any(char::is_control);
    if fine {
        Ok(())
    } else {
        Err(Error::Invalid(
            "A site's name has 1 to 255 characters, without blanks around it.".into(),
        ))
    }
}

fn check_auth_url(url: &str) -> Result<()> {
    let fine = (url.starts_with("http://") || url.starts_with("https://"))
        && url.len() <= 1024
        && !url.chars().any(char::is_whitespace);
    if fine {
        Ok(())
    } else {
        Err(Error::Invalid(format!(
            "'{url}' is not a Keystone URL such as https://keystone.example.com:5000/v3."
        )))
    }
}
