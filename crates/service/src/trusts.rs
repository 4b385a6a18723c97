//! A tenant's trust: the right to act for him later, given while he is here.

use protector_domain::{Group, GroupId, SiteId};
use protector_ports::cloud::NewTrust;
use secrecy::SecretString;

use crate::error::{Error, Result};
use crate::{Caller, Service};

impl Service {
    /// A trust of the caller for this site's protector user, with those of the configured roles that he has.
    pub(crate) async fn new_trust(&self, caller: &Caller) -> Result<SecretString> {
        if caller.delegated {
            return Err(Error::Forbidden(format!(
                "The protection group needs a trust of user '{}', and Keystone lets application credentials and trusts make none: \
                 sign in with a password or by single sign-on and try again.",
                caller.user_name
            )));
        }
        let roles: Vec<String> = self
            .options
            .trust_roles
            .iter()
            .filter(|wanted| caller.roles.iter().any(|role| role.eq_ignore_ascii_case(wanted)))
            .cloned()
            .collect();
        if roles.is_empty() {
            return Err(Error::Forbidden(format!(
                "User '{}' has none of the roles that protection needs in this project ({}): ask an administrator for one.",
                caller.user_name,
                self.options.trust_roles.join(", ")
            )));
        }
        let service = self.directory.service(self.local_site()).await?;
        let trustee = self.cloud.owner(&service).await?.user_id;
        let access = self.directory.caller(&caller.token, &caller.project_id).await?;
        let trust = NewTrust {
            trustor: caller.user_id.clone(),
            trustee,
            project: caller.project_id.clone(),
            roles,
            expires_at: None,
        };
        Ok(self.cloud.create_trust(&access, &trust).await?)
    }

    /// A new trust where the group's stored one gives no token any more, so that any member of the project
    /// keeps protection alive by using it. `None` where the stored one works.
    pub(crate) async fn renewed_trust(&self, caller: &Caller, group: &Group) -> Result<Option<SecretString>> {
        let lost = match self.directory.tenant(self.local_site(), group).await {
            Ok(access) => match self.cloud.owner(&access).await {
                Ok(_) => false,
                Err(error) => error.class == protector_ports::Class::Permanent,
            },
            Err(protector_ports::AccessError::NoTrust { .. }) => true,
            Err(error) => return Err(error.into()),
        };
        if !lost {
            return Ok(None);
        }
        self.new_trust(caller).await.map(Some)
    }

    /// The same where nothing depends on it yet: who can't make a trust is not stopped by that. Keystone takes its
    /// time, so this is asked before the group is read that is to be changed.
    pub(crate) async fn renewed_by_the_way(&self, caller: &Caller, id: GroupId) -> Result<TrustHere> {
        let group = self.own_group(caller, id).await?;
        let renewed = match self.renewed_trust(caller, &group).await {
            Err(error @ (Error::Forbidden(_) | Error::Unavailable { .. })) => {
                tracing::warn!(
                    group = group.document.name,
                    reason = %error,
                    "the tenant's trust at this site is lost, and another can't be made now"
                );
                None
            }
            other => other?,
        };
        Ok(renewed
            .map(|trust| (self.local_site(), trust))
            .into_iter()
            .collect())
    }
}

/// A new trust of this site to be kept, or none.
pub(crate) type TrustHere = Vec<(SiteId, SecretString)>;
