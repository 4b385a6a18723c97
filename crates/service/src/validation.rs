//! What a site needs for disaster recovery, looked at from this one: each thing is a check with what to do about it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use protector_domain::{Site, SiteId, SiteStatus};
use protector_ports::cloud::{Access, TokenOwner, VolumePool, VolumeType};
use protector_ports::{Class, PortResult};

use crate::Service;
use crate::error::Result;
use crate::types::replication_of;

/// A clock that is further off than this is worth a word; what sites tell each other is good for 60 seconds.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(5);

/// Whoever validates sits and waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// One thing that was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    pub message: String,
}

impl Check {
    fn new(name: &'static str, ok: bool, message: impl Into<String>) -> Self {
        Self {
            name,
            ok,
            message: message.into(),
        }
    }

    /// From what a call has answered, or from its failure.
    fn of<T>(
        name: &'static str,
        answer: PortResult<T>,
        judge: impl FnOnce(T) -> std::result::Result<String, String>,
    ) -> Self {
        match answer.map(judge) {
            Ok(Ok(message)) => Self::new(name, true, message),
            Ok(Err(message)) => Self::new(name, false, message),
            Err(error) => Self::new(name, false, error.message),
        }
    }
}

impl Service {
    /// Looks at everything that a site needs, records the status, and ends normally whatever it finds.
    pub async fn validate_site(&self, id: SiteId) -> Result<(Site, Vec<Check>)> {
        let mut site = self.site(id).await?;
        let mut checks = Vec::new();
        let reachable = self.look_at_keystone(&mut site).await;
        let fine = || format!("Keystone answers at {}.", site.auth_url);
        let found = site.status_reason.clone().unwrap_or_else(fine);
        checks.push(Check::new("keystone", reachable, found));
        if reachable {
            self.check_from_inside(&mut site, &mut checks).await?;
        }
        site.updated_at = self.clock.now();
        self.store.update_site(&site, None).await?;
        Ok((site, checks))
    }

    /// What only somebody who is signed in sees.
    async fn check_from_inside(&self, site: &mut Site, checks: &mut Vec<Check>) -> Result<()> {
        let Some(credentials) = self.directory.credentials(site).await? else {
            checks.push(Check::new(
                "service_credentials",
                false,
                missing_credentials(&site.name),
            ));
            return Ok(());
        };
        let mut access = self.directory.service(site.id).await?;
        access.timeout = access.timeout.min(PATIENCE);
        let asked = self.clock.now();
        let owner = match self.cloud.owner(&access).await {
            Ok(owner) => owner,
            Err(error) => {
                if error.class == Class::Permanent {
                    site.status = SiteStatus::Error;
                    site.status_reason = Some(error.message.clone());
                }
                checks.push(Check::new("service_credentials", false, error.message));
                return Ok(());
            }
        };
        let signed_in = service_user(&credentials.username, &owner, &site.name);
        if !signed_in.ok && site.id == self.local_site() {
            site.status = SiteStatus::Error;
            site.status_reason = Some(signed_in.message.clone());
        }
        checks.push(signed_in);
        if let Some(issued) = owner.issued_at {
            checks.push(clock(site, asked, issued, self.clock.now()));
        }
        let services = self.check_services(site, &owner, &access).await;
        checks.extend(services);
        checks.extend(self.check_cinder(site, &access).await);
        let roles = &self.options.trust_roles;
        let known = self.cloud.known_roles(&access, roles).await;
        checks.push(match known {
            Ok(known) => trust_roles(roles, &known),
            Err(error) => Check::new("trust_roles", false, error.message),
        });
        Ok(())
    }

    /// Whether the catalog has what is needed, and whether it answers. A region whose services are all dead is
    /// unreachable, however well a Keystone does that it shares with others.
    async fn check_services(&self, site: &mut Site, owner: &TokenOwner, access: &Access) -> Vec<Check> {
        let (compute, volume, network) = futures::join!(
            self.cloud.flavors(access),
            self.cloud.volume_types(access),
            self.cloud.networks(access)
        );
        let answers = [compute.map(drop), volume.map(drop), network.map(drop)];
        let silent = answers
            .iter()
            .filter_map(|answer| answer.as_ref().err())
            .filter(|error| error.class != Class::Permanent);
        if silent.clone().count() == answers.len() {
            site.status = SiteStatus::Unreachable;
            site.status_reason = silent.clone().next().map(|error| error.message.clone());
        }
        let [compute, volume, network] = answers;
        let wanted: [(&str, &[&str], PortResult<()>); 4] = [
            ("compute", &["compute"], compute),
            ("volume", &["volumev3", "block-storage", "volume"], volume),
            ("network", &["network"], network),
            ("image", &["image"], Ok(())),
        ];
        let region = site.region_name.as_deref().unwrap_or("any region");
        let check = |(name, types, answer): (&'static str, &[&str], PortResult<()>)| {
            let mut services = owner.services.iter();
            if !services.any(|service| types.contains(&service.as_str())) {
                return Check::new(
                    name,
                    false,
                    format!("The catalog has no such service in {region}."),
                );
            }
            Check::of(name, answer, |()| Ok(format!("The catalog has it in {region}.")))
        };
        wanted.into_iter().map(check).collect()
    }

    /// What volumes need to be taken over there.
    async fn check_cinder(&self, site: &Site, access: &Access) -> [Check; 4] {
        let (types, pools, manage, group_types) = futures::join!(
            self.cloud.volume_types(access),
            self.cloud.volume_pools(access),
            self.cloud.may_manage_volumes(access),
            self.cloud.group_types(access)
        );
        let (name, wanted) = (&site.name, &self.options.group_type);
        [
            Check::of("volume_types", types, |types| replicated_types(&types, name)),
            Check::of("volume_services", pools, |pools| volume_services(&pools, name)),
            Check::of("volume_manage", manage, |may| volume_manage(may, name)),
            Check::of("cinder_group_type", group_types, |types| {
                if types.iter().any(|one| one.name == *wanted) {
                    Ok(format!("Cinder has the group type '{wanted}'."))
                } else {
                    Err(missing_group_type(wanted, name))
                }
            }),
        ]
    }
}

fn missing_credentials(site: &str) -> String {
    format!(
        "No service credentials for site '{site}' are stored here: planned operations between this site and '{site}' are impossible. \
         Type: openstack protector site set {site} --service-username NAME --service-password-file FILE --service-project PROJECT \
         --service-user-domain DOMAIN"
    )
}

fn service_user(username: &str, owner: &TokenOwner, site: &str) -> Check {
    let admin = owner.roles.iter().any(|role| role.eq_ignore_ascii_case("admin"));
    let message = if admin {
        format!("User '{username}' signs in at site '{site}' with role admin.")
    } else {
        format!("User '{username}' signs in at site '{site}' but lacks role admin in its service project.")
    };
    Check::new("service_credentials", admin, message)
}

/// Keystone's clock against ours: its token was issued between the question and the answer.
fn clock(site: &Site, asked: DateTime<Utc>, issued: DateTime<Utc>, answered: DateTime<Utc>) -> Check {
    let (behind, ahead) = (asked - issued, issued - answered);
    let (off, word) = if behind > ahead {
        (behind, "behind")
    } else {
        (ahead, "ahead of")
    };
    if off <= CLOCK_TOLERANCE {
        return Check::new("clock", true, "Its clock is that of this site.");
    }
    Check::new(
        "clock",
        false,
        format!(
            "The clock of Keystone at site '{}' is {} seconds {word} this site's: let both sites follow the same time (chrony, NTP). What \
             sites tell each other is refused after 60 seconds, and schedules and ages are shown wrong.",
            site.name,
            off.num_seconds()
        ),
    )
}

fn replicated_types(types: &[VolumeType], site: &str) -> std::result::Result<String, String> {
    let fit: Vec<&str> = types
        .iter()
        .filter(|one| replication_of(one).is_some())
        .map(|one| one.name.as_str())
        .take(20)
        .collect();
    if fit.is_empty() {
        return Err(format!(
            "No volume type of site '{site}' can be protected: give one of them replication_enabled='<is> True' and \
             replication_type='<in> async' (`openstack volume type set --property ...`)."
        ));
    }
    Ok(format!("Volume types that can be protected: {}.", fit.join(", ")))
}

fn volume_services(pools: &[VolumePool], site: &str) -> std::result::Result<String, String> {
    let up = pools.iter().filter(|pool| pool.up).count();
    if up == 0 {
        return Err(format!(
            "No volume service of site '{site}' is enabled and up: look with `openstack volume service list`."
        ));
    }
    Ok(format!("{up} of {} pools are served.", pools.len()))
}

fn volume_manage(may: bool, site: &str) -> std::result::Result<String, String> {
    if may {
        return Ok("Cinder lets the service user take volumes over.".to_owned());
    }
    Err(format!(
        "Cinder's policy at site '{site}' doesn't let the service user take volumes over, so nothing can come up there: grant \
         volume_extension:volume_manage (and volume_extension:volume_unmanage) to that user in Cinder's policy.yaml; stock policy \
         does so for role admin."
    ))
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

#[cfg(test)]
mod tests {
    use protector_domain::SiteType;
    use uuid::Uuid;

    use super::*;

    fn site() -> Site {
        Site {
            id: SiteId(Uuid::nil()),
            name: "site-b".to_owned(),
            description: String::new(),
            site_type: SiteType::Secondary,
            auth_url: "https://k/v3".to_owned(),
            region_name: None,
            public_key: None,
            status: SiteStatus::Active,
            status_reason: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_clock_is_off_by_what_no_waiting_explains() {
        let at = |seconds: i64| DateTime::UNIX_EPOCH + TimeDelta::seconds(1000 + seconds);
        for issued in [-5, 0, 4, 9, 14] {
            let found = clock(&site(), at(0), at(issued), at(9));
            assert!(found.ok, "{issued}: {}", found.message);
        }
        let behind = clock(&site(), at(0), at(-90), at(9));
        assert!(
            !behind.ok && behind.message.contains("90 seconds behind"),
            "{}",
            behind.message
        );
        let ahead = clock(&site(), at(0), at(39), at(9));
        assert!(
            !ahead.ok && ahead.message.contains("30 seconds ahead"),
            "{}",
            ahead.message
        );
    }
}
