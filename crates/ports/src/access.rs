//! Who may go where: builds the [`Access`] of every call from the registered sites and their credentials.
//!
//! A password belongs to one site and is never tried on another. Acting on the other cloud needs that cloud's
//! own protector user, given by an administrator; without it the error says what to type.
//!
//! An array's token is in the database, or in the Barbican of the array's own site. There it is read as the tenant, so
//! that nobody has a secret read for him that he didn't give: each time anew but for a few minutes ([`TokenCache`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protector_domain::{Group, ProjectId, SecretId, Site, SiteId};
use secrecy::SecretString;

use crate::array::{ArrayAccess, ArrayPair};
use crate::cloud::{Access, Actor, Cloud, Credentials};
use crate::error::{Class, Kind, PortError};
use crate::store::{Store, StoreError};
use crate::token_cache::{Place, TokenCache};

#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("site {0} is not registered here")]
    UnknownSite(SiteId),
    #[error(
        "this site has no service credentials for site '{site}': give them with `openstack protector site set {site} \
         --service-username NAME --service-password-file FILE --service-project PROJECT`"
    )]
    NoCredentials { site: String },
    #[error(
        "no trust of the tenant for site '{site}' is stored for this group: any member of the project renews it with `openstack protector protection-group sync-force`"
    )]
    NoTrust { site: String },
    #[error(
        "the group has no replication policy: attach one with `openstack protector protection-group policy-create`"
    )]
    NoPolicy,
    #[error("the token of the array at site '{site}' is not stored here")]
    NoArrayToken { site: String },
    #[error(
        "the array's API token can't be read from secret {secret} of the Barbican of site '{site}': {} {}",
        full(&failure.message), advice(failure)
    )]
    TokenSecret {
        site: String,
        secret: SecretId,
        failure: Box<PortError>,
    },
    #[error("the database could not be asked")]
    Store(#[from] StoreError),
}

fn full(message: &str) -> String {
    format!("{}.", message.trim_end_matches('.'))
}

/// What can be done about a secret that can't be read.
fn advice(failure: &PortError) -> &'static str {
    match (failure.class, failure.kind, failure.status) {
        (Class::Retryable | Class::Ambiguous, ..) => "Try again when it answers",
        (_, Kind::NotFound, _) => {
            "If it was deleted, store the token there again (`openstack secret store --name NAME --payload TOKEN`) and give the new \
             secret with `openstack protector protection-group policy-create`"
        }
        (_, Kind::Forbidden, _) => {
            "Barbican's own policy wants role `creator` in the secret's project: the user who creates or renews the group's trust \
             must have it, and default_trust_roles must name it. Or let the secret be read by that user in person: `openstack acl \
             user add --user USER SECRET`"
        }
        (_, Kind::Unauthorized, _) => {
            "Any member of the project renews the trust with `openstack protector protection-group sync-force`"
        }
        (_, Kind::Invalid, None) => {
            "Without a Barbican (service type key-manager) at that site, give the token itself"
        }
        _ => "It must hold the array's API token as text (`openstack secret store --payload TOKEN`)",
    }
}

/// The address book of one engine or API process.
#[derive(Clone)]
pub struct Directory {
    store: Arc<dyn Store>,
    cloud: Arc<dyn Cloud>,
    local: SiteId,
    local_credentials: Credentials,
    /// Sections `[site:<name>]` of the configuration.
    configured: Arc<BTreeMap<String, Credentials>>,
    timeout: Duration,
    /// A trust that is about to be stored in the place of the site's old one.
    renewed: Option<(SiteId, SecretString)>,
    tokens: TokenCache,
}

impl Directory {
    pub fn new(
        store: Arc<dyn Store>,
        cloud: Arc<dyn Cloud>,
        local: SiteId,
        local_credentials: Credentials,
        configured: BTreeMap<String, Credentials>,
        timeout: Duration,
    ) -> Self {
        Self {
            store,
            cloud,
            local,
            local_credentials,
            configured: Arc::new(configured),
            timeout,
            renewed: None,
            tokens: TokenCache::default(),
        }
    }

    /// The same with a new trust of a tenant, as it will be when that is stored.
    pub fn renewed(&self, site: SiteId, trust: Option<&SecretString>) -> Self {
        Self {
            renewed: trust.map(|trust| (site, trust.clone())),
            ..self.clone()
        }
    }

    pub fn local(&self) -> SiteId {
        self.local
    }

    pub async fn site(&self, id: SiteId) -> Result<Site, AccessError> {
        self.store.site(id).await?.ok_or(AccessError::UnknownSite(id))
    }

    /// The site's own protector user, as far as this site knows it.
    pub async fn credentials(&self, site: &Site) -> Result<Option<Credentials>, AccessError> {
        if site.id == self.local {
            return Ok(Some(self.local_credentials.clone()));
        }
        if let Some(credentials) = self.store.site_credentials(site.id).await? {
            return Ok(Some(credentials));
        }
        if let Some(credentials) = self.configured.get(&site.name) {
            return Ok(Some(credentials.clone()));
        }
        // One Keystone: it knows this site's own user, and has the password already.
        let local = self.store.site(self.local).await?;
        let shared = local.is_some_and(|local| local.shares_keystone_with(site));
        Ok(shared.then(|| self.local_credentials.clone()))
    }

    async fn known_credentials(&self, site: &Site) -> Result<Credentials, AccessError> {
        self.credentials(site)
            .await?
            .ok_or_else(|| AccessError::NoCredentials {
                site: site.name.clone(),
            })
    }

    /// As that cloud's protector user.
    pub async fn service(&self, id: SiteId) -> Result<Access, AccessError> {
        let site = self.site(id).await?;
        let credentials = self.known_credentials(&site).await?;
        Ok(self.access(site, Actor::Service(credentials)))
    }

    /// As the tenant, by the trust that was given for this group on that site.
    pub async fn tenant(&self, id: SiteId, group: &Group) -> Result<Access, AccessError> {
        let site = self.site(id).await?;
        let trustee = self.known_credentials(&site).await?;
        let stored = match &self.renewed {
            Some((renewed, trust)) if *renewed == id => Some(trust.clone()),
            _ => self.store.group_trust(group.id(), id).await?,
        };
        let trust_id = stored.ok_or_else(|| AccessError::NoTrust {
            site: site.name.clone(),
        })?;
        Ok(self.access(site, Actor::Trust { trustee, trust_id }))
    }

    /// As the caller of a request, on this site.
    pub async fn caller(&self, token: &SecretString, project: &ProjectId) -> Result<Access, AccessError> {
        let site = self.site(self.local).await?;
        Ok(self.access(
            site,
            Actor::User {
                token: token.clone(),
                project_id: project.clone(),
            },
        ))
    }

    fn access(&self, site: Site, actor: Actor) -> Access {
        Access {
            site: site.id,
            site_name: site.name,
            auth_url: site.auth_url,
            region: site.region_name,
            actor,
            timeout: self.timeout,
        }
    }

    /// The group's arrays in the direction from `source` to the other site.
    pub async fn arrays(&self, group: &Group, source: SiteId) -> Result<ArrayPair, AccessError> {
        let target = group.document.peer_of(source).id;
        Ok(ArrayPair {
            source: self.array(group, source).await?,
            target: self.array(group, target).await?,
            lost_source: None,
        })
    }

    /// The same with a source that is lost: nobody asks it, so its token isn't needed.
    pub async fn array_without_source(
        &self,
        group: &Group,
        lost: SiteId,
        name: String,
    ) -> Result<ArrayPair, AccessError> {
        let policy = group.document.policy.as_ref().ok_or(AccessError::NoPolicy)?;
        let side = policy.side(lost).ok_or(AccessError::UnknownSite(lost))?;
        Ok(ArrayPair {
            source: ArrayAccess {
                url: side.url.clone(),
                token: SecretString::from(String::new()),
                timeout: self.timeout,
            },
            target: self.array(group, group.document.peer_of(lost).id).await?,
            lost_source: Some(name),
        })
    }

    pub async fn array(&self, group: &Group, site: SiteId) -> Result<ArrayAccess, AccessError> {
        let policy = group.document.policy.as_ref().ok_or(AccessError::NoPolicy)?;
        let side = policy.side(site).ok_or(AccessError::UnknownSite(site))?;
        let name = group
            .document
            .site(site)
            .map_or_else(|| site.to_string(), |site| site.name.clone());
        let token = match side.token_secret {
            Some(secret) => self.token_in_barbican(group, site, secret).await?,
            None => self
                .store
                .array_token(group.id(), site)
                .await?
                .ok_or(AccessError::NoArrayToken { site: name })?,
        };
        Ok(ArrayAccess {
            url: side.url.clone(),
            token,
            timeout: self.timeout,
        })
    }

    async fn token_in_barbican(
        &self,
        group: &Group,
        site: SiteId,
        secret: SecretId,
    ) -> Result<SecretString, AccessError> {
        let place = Place {
            group: group.id(),
            site,
            secret,
        };
        if let Some(token) = self.tokens.get(place) {
            return Ok(token);
        }
        let access = self.tenant(site, group).await?;
        let token = self.read_token(&access, secret).await?;
        self.tokens.keep(place, token.clone());
        Ok(token)
    }

    /// An array's token as its site's Barbican holds it at this moment.
    pub async fn read_token(&self, access: &Access, secret: SecretId) -> Result<SecretString, AccessError> {
        let read = self.cloud.secret_payload(access, secret).await;
        read.map_err(|failure| AccessError::TokenSecret {
            site: access.site_name.clone(),
            secret,
            failure: Box::new(failure),
        })
    }
}
