//! The replication policy: which arrays, which array group, how often.

use protector_domain::{
    ArraySide, Group, GroupId, Policy, PolicyId, PolicyStatus, ReplicationType, SecretId, SiteId, Statement,
    Work,
};
use protector_ports::store::{Along, GroupFilter, Page};
use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, Result};
use crate::{Caller, Service, saga};

/// An array's API token as a user gives it.
pub enum GivenToken {
    Itself(SecretString),
    /// Where the Barbican of the array's site has it.
    Secret(SecretId),
}

impl GivenToken {
    /// One of both, and not both.
    pub fn one_of(side: &str, token: Option<SecretString>, secret: Option<&str>) -> Result<Self> {
        match (token, secret) {
            (Some(token), None) => Ok(Self::Itself(token)),
            (None, Some(text)) => SecretId::from_reference(text).map(Self::Secret).map_err(|error| {
                Error::Invalid(format!(
                    "{side}_fa_token_secret: {error}. Give the secret's id or its address, such as \
                     https://barbican.example.com/v1/secrets/6f1c0d2e-0000-4000-8000-000000000000."
                ))
            }),
            _ => Err(Error::Invalid(format!(
                "Exactly one of the fields '{side}_fa_token' and '{side}_fa_token_secret' must be given."
            ))),
        }
    }

    fn secret(&self) -> Option<SecretId> {
        match self {
            Self::Itself(_) => None,
            Self::Secret(secret) => Some(*secret),
        }
    }

    fn itself(self, site: SiteId) -> Option<(SiteId, SecretString)> {
        match self {
            Self::Itself(token) => Some((site, token)),
            Self::Secret(_) => None,
        }
    }
}

pub struct NewPolicy {
    pub primary_fa_url: String,
    pub primary_fa_token: GivenToken,
    pub secondary_fa_url: String,
    pub secondary_fa_token: GivenToken,
    pub pure_pg_name: String,
    pub replication_interval_seconds: Option<u64>,
    pub rpo_minutes: Option<u64>,
}

/// How often volumes are sent where the user doesn't say.
const DEFAULT_INTERVAL_SECONDS: u64 = 300;
const DEFAULT_RPO_MINUTES: u64 = 15;

/// Array groups that belong to Cinder's own replication.
const RESERVED: [&str; 2] = ["cinder-group", "cinder-pod"];

impl Service {
    pub async fn policy(&self, caller: &Caller, group: GroupId) -> Result<(Group, Policy)> {
        let group = self.own_group(caller, group).await?;
        let policy = group.document.policy.clone().ok_or_else(|| Error::NotFound {
            message: format!(
                "Protection group '{}' has no replication policy.",
                group.document.name
            ),
        })?;
        Ok((group, policy))
    }

    pub async fn create_policy(
        &self,
        caller: &Caller,
        group: GroupId,
        new: NewPolicy,
        statement: &Statement,
    ) -> Result<Group> {
        check(&new)?;
        let mut group = self.modifiable(caller, group, statement).await?;
        let synchronous = group.document.replication_type == ReplicationType::Sync;
        if synchronous && (new.replication_interval_seconds.is_some() || new.rpo_minutes.is_some()) {
            return Err(Error::Invalid(format!(
                "replication_interval and rpo_minutes apply to asynchronous replication only, and protection group '{}' is of replication type sync: leave them out.",
                group.document.name
            )));
        }
        self.check_unbound(&group, &new).await?;
        let (primary, secondary) = (group.document.primary_site.id, group.document.secondary_site.id);
        let trust = self.renewed_trust(caller, &group).await?;
        let mut policy = Policy {
            id: PolicyId(uuid::Uuid::new_v4()),
            primary: ArraySide {
                site_id: primary,
                url: tidy(&new.primary_fa_url),
                token_secret: new.primary_fa_token.secret(),
            },
            secondary: ArraySide {
                site_id: secondary,
                url: tidy(&new.secondary_fa_url),
                token_secret: new.secondary_fa_token.secret(),
            },
            pure_pg_name: new.pure_pg_name,
            replication_interval_seconds: (!synchronous).then_some(
                new.replication_interval_seconds
                    .unwrap_or(DEFAULT_INTERVAL_SECONDS),
            ),
            rpo_minutes: (!synchronous).then_some(new.rpo_minutes.unwrap_or(DEFAULT_RPO_MINUTES)),
        };
        let mut bind = true;
        match (&group.document.policy, group.policy_status) {
            (None, _) | (_, Some(PolicyStatus::Error)) => {}
            (Some(held), Some(PolicyStatus::Active)) if keeps_its_token_elsewhere(held, &policy) => {
                policy.id = held.id;
                bind = false;
            }
            _ => {
                return Err(Error::conflict(format!(
                    "Protection group '{}' has a replication policy already.",
                    group.document.name
                )));
            }
        }
        group.document.policy = Some(policy);
        self.try_own_secret(caller, &group, trust.as_ref()).await?;
        if bind {
            group.policy_status = Some(PolicyStatus::Applying);
            group.policy_reason = None;
        }
        self.touch(&mut group);
        let work = Work::BindArrays { group: group.id() };
        let mut along = Along {
            saga: bind.then(|| saga(work, uuid::Uuid::new_v4())).transpose()?,
            array_tokens: [
                new.primary_fa_token.itself(primary),
                new.secondary_fa_token.itself(secondary),
            ]
            .into_iter()
            .flatten()
            .collect(),
            ..self.along(&group, statement, "replication policy attached")
        };
        if let Some(trust) = trust {
            along.trusts = vec![(self.local_site(), trust)];
        }
        let group = self.store.update_group(&group, along).await?;
        self.wake.wake();
        Ok(group)
    }

    /// Whether the secret that is to hold this site's token can be read: by who names it, so that nobody has a secret
    /// read that isn't his, and by the group's trust, as it will be later.
    async fn try_own_secret(
        &self,
        caller: &Caller,
        group: &Group,
        trust: Option<&SecretString>,
    ) -> Result<()> {
        let here = self.local_site();
        let policy = group.document.policy.as_ref();
        let Some(secret) = policy
            .and_then(|policy| policy.side(here))
            .and_then(|side| side.token_secret)
        else {
            return Ok(());
        };
        let access = self.directory.caller(&caller.token, &caller.project_id).await?;
        self.directory.read_token(&access, secret).await?;
        self.directory.renewed(here, trust).array(group, here).await?;
        Ok(())
    }

    /// One array group belongs to one protection group, whoever's: a failover moves all that is in it. Either
    /// array may be the source by turns, so the direction makes no difference.
    async fn check_unbound(&self, group: &Group, new: &NewPolicy) -> Result<()> {
        let wanted = [tidy(&new.primary_fa_url), tidy(&new.secondary_fa_url)];
        let others = self
            .store
            .groups(&GroupFilter::default(), &Page::default())
            .await?;
        let bound = others.iter().any(|other| {
            other.id() != group.id()
                && other.document.policy.as_ref().is_some_and(|policy| {
                    policy.pure_pg_name == new.pure_pg_name
                        && [&policy.primary.url, &policy.secondary.url]
                            .iter()
                            .any(|url| wanted.contains(url))
                })
        });
        if bound {
            // It may be another project's, which is nobody else's business.
            return Err(Error::conflict(format!(
                "Protection group '{}' of these arrays is bound to another protection group already: choose another name.",
                new.pure_pg_name
            )));
        }
        Ok(())
    }
}

/// The same policy but for the secrets that hold its tokens: nothing changes on the arrays.
fn keeps_its_token_elsewhere(held: &Policy, new: &Policy) -> bool {
    let mut same = new.clone();
    same.id = held.id;
    let differs = (same.primary.token_secret, same.secondary.token_secret)
        != (held.primary.token_secret, held.secondary.token_secret);
    same.primary.token_secret = held.primary.token_secret;
    same.secondary.token_secret = held.secondary.token_secret;
    differs && same == *held
}

fn tidy(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

fn check(new: &NewPolicy) -> Result<()> {
    for (option, url) in [
        ("primary_fa_url", &new.primary_fa_url),
        ("secondary_fa_url", &new.secondary_fa_url),
    ] {
        if !url.starts_with("https://") || url.len() > 255 || url.chars().any(char::is_whitespace) {
            return Err(Error::Invalid(format!(
                "{option} must be the https URL of a FlashArray, such as https://flasharray.example.com."
            )));
        }
    }
    if tidy(&new.primary_fa_url) == tidy(&new.secondary_fa_url) {
        return Err(Error::Invalid(
            "The two FlashArrays of a policy must differ.".into(),
        ));
    }
    for (option, token) in [
        ("primary_fa_token", &new.primary_fa_token),
        ("secondary_fa_token", &new.secondary_fa_token),
    ] {
        if let GivenToken::Itself(token) = token
            && token.expose_secret().trim().is_empty()
        {
            return Err(Error::Invalid(format!("{option} must not be empty.")));
        }
    }
    let name = &new.pure_pg_name;
    let letters = (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !letters || name.starts_with('-') || name.ends_with('-') {
        return Err(Error::Invalid(format!(
            "'{name}' is not the name of an array protection group: 1 to 63 letters, digits and hyphens."
        )));
    }
    if RESERVED.contains(&name.as_str()) {
        return Err(Error::Invalid(format!(
            "'{name}' belongs to Cinder's own replication: choose another pure_pg_name."
        )));
    }
    if new.replication_interval_seconds == Some(0) || new.rpo_minutes == Some(0) {
        return Err(Error::Invalid(
            "Interval and recovery point objective must be greater than zero.".into(),
        ));
    }
    Ok(())
}
