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
        self.check_place(&mut site).await?;
        self.look_at_keystone(&mut site).await;
        self.store.insert_site(&site, new.credentials.as_ref()).await?;
        Ok(site)
    }

    /// Where several sites have one Keystone, only the region tells them apart: a site without one would be taken for
    /// whichever comes first in the catalog.
    async fn check_place(&self, site: &mut Site) -> Result<()> {
        if site.id == self.local_site()
            && let Some(own) = &self.options.region_name
        {
            let region = site.region_name.get_or_insert_with(|| own.clone());
            if region != own {
                return Err(Error::Invalid(format!(
                    "Site '{}' is this site, and this site is in region '{own}' ([DEFAULT] region_name), not in '{region}'.",
                    site.name
                )));
            }
        }
        let others = self.store.sites().await?;
        let twin = others
            .iter()
            .find(|other| other.id != site.id && other.is_same_place_as(site));
        let Some(twin) = twin else { return Ok(()) };
        let region = |site: &Site| match &site.region_name {
            Some(region) => format!("is in region '{region}'"),
            None => "has no region".to_owned(),
        };
        Err(Error::conflict(format!(
            "Site '{0}' {1} and site '{2}' {3}, but both have the Keystone {4}: two sites of one Keystone are two of its regions. Give \
             each its own with --region-name; what is registered already is changed with `openstack protector site set {2} \
             --region-name REGION`.",
            site.name,
            region(site),
            twin.name,
            region(twin),
            twin.auth_url
        )))
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
        self.check_place(&mut site).await?;
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

    /// The types of a site that can be protected.
    pub async fn eligible_types(&self, id: SiteId) -> Result<Vec<(VolumeType, ReplicationType)>> {
        let site = self.site(id).await?;
        let types = self.types_at(&site).await?;
        Ok(types
            .into_iter()
            .filter_map(|one| replication_of(&one).map(|mode| (one, mode)))
            .collect())
    }

    pub(crate) async fn look_at_keystone(&self, site: &mut Site) -> bool {
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
