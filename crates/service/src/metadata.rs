//! The bundle's way out of one site and into the other.

use protector_domain::{
    Bundle, Document, Fence, Group, GroupId, GroupStatus, MemberId, MemberState, PolicyStatus, Receipt,
    SiteId, Work,
    protocol::{self, News},
};
use protector_ports::store::Along;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, on_top};
use crate::groups::new_here;
use crate::refusal::{holding, refused};
use crate::{Caller, Service, saga};

/// While this site takes a group over, nothing that the other one still says of it counts.
const UNPLANNED: &str = "unplanned_failover";

/// What the origin saw of its own cloud and array when it packed the bundle; a hint, never a truth.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Observations {
    member_states: std::collections::BTreeMap<MemberId, MemberState>,
    policy_status: Option<PolicyStatus>,
    backend_name: Option<String>,
}

impl Service {
    pub async fn export_bundle(&self, caller: &Caller, id: GroupId) -> Result<Bundle> {
        let group = self.own_group(caller, id).await?;
        // Its last version is told by its tombstone alone: as a bundle it would look like one that lives.
        if group.status == GroupStatus::Deleting {
            return Err(Error::conflict(format!(
                "The protection group is being deleted: bring that to the other site by `openstack protector protection-group delete {}`.",
                group.document.name
            )));
        }
        let observations = Observations {
            member_states: group.member_states.clone(),
            policy_status: group.policy_status,
            backend_name: group.consistency_group.backend_name.clone(),
        };
        let observations =
            serde_json::to_value(observations).map_err(|error| Error::Internal(Box::new(error)))?;
        let mut bundle = Bundle::pack(&group.document, self.local_site(), observations)?;
        bundle.sealed = self.sealed_tokens(&group.document).await?;
        self.signed(bundle)
    }

    /// Takes the other site's document in, if it is whole, newer and the caller's to bring.
    pub async fn import_bundle(&self, caller: &Caller, id: GroupId, bundle: &Bundle) -> Result<Receipt> {
        let document = bundle.open()?;
        if document.group_id != id {
            return Err(Error::Invalid(
                "The bundle is about another protection group.".into(),
            ));
        }
        self.check_bringer(caller, bundle, &document).await?;
        self.check_signed(bundle.origin_site_id, bundle).await?;
        let tokens = self.brought_tokens(bundle, &document)?;
        let observations: Observations =
            serde_json::from_value(bundle.observations.clone()).unwrap_or_default();
        let trust = match self.store.group(id).await? {
            None => self.import_new(caller, bundle, document, tokens).await?,
            Some(_) => {
                let next = || self.import_next(caller, bundle, &document, &observations, &tokens);
                on_top(next).await?
            }
        };
        self.signed(Receipt {
            group_id: id,
            site_id: self.local_site(),
            stamp: bundle.stamp,
            checksum: bundle.checksum.clone(),
            trust_id: trust.map(|trust| trust.expose_secret().to_owned()),
            received_at: self.clock.now(),
            signature: None,
        })
    }

    /// The receiving site authorises too: the sites must be known, and the projects belong together.
    async fn check_bringer(&self, caller: &Caller, bundle: &Bundle, document: &Document) -> Result<()> {
        let here = self.local_site();
        let origin = bundle.origin_site_id;
        if origin == here || document.site(origin).is_none() || document.site(here).is_none() {
            return Err(Error::Invalid(
                "The bundle doesn't come from the other site of a protection group of this site.".into(),
            ));
        }
        for site in [&document.primary_site, &document.secondary_site] {
            if self.store.site(site.id).await?.is_none() {
                return Err(Error::conflict(format!(
                    "Site '{}' of the bundle is not registered here: register both sites on both sides with `openstack protector site create`.",
                    site.name
                )));
            }
        }
        if document.projects.get(&here) != Some(&caller.project_id) {
            return Err(Error::Forbidden(format!(
                "The bundle belongs to another project of this site than '{}': sign in to the mapped one.",
                caller.project_name
            )));
        }
        let origin_name = document
            .site(origin)
            .map_or_else(String::new, |site| site.name.clone());
        let mapped = self.mapped_project(caller, origin, &origin_name).await?;
        if document.projects.get(&origin) != Some(&mapped) {
            return Err(Error::Forbidden(format!(
                "Project '{}' is mapped to another project of site '{origin_name}' than the bundle's.",
                caller.project_name
            )));
        }
        Ok(())
    }

    async fn import_new(
        &self,
        caller: &Caller,
        bundle: &Bundle,
        document: Document,
        array_tokens: Vec<(SiteId, SecretString)>,
    ) -> Result<Option<SecretString>> {
        if document.current_primary_site_id != bundle.origin_site_id {
            return Err(Error::conflict(
                "The bundle doesn't come from the site where its protection group runs.",
            ));
        }
        let id = document.group_id;
        let entry = match self.check_not_deleted(id, document.stamp).await? {
            Some(grave) => self.risen(&grave, &document),
            None => self.entry(
                id,
                "imported",
                Some(bundle.stamp),
                "group created by the other site",
            ),
        };
        let trust = self.new_trust(caller).await?;
        let now = self.clock.now();
        let group = new_here(document, protocol::received(bundle.stamp, now), now);
        let along = Along {
            saga: Some(saga(Work::EstablishGroup { group: id }, uuid::Uuid::new_v4())?),
            entry: Some(entry),
            trusts: vec![(self.local_site(), trust.clone())],
            array_tokens,
            ..Along::default()
        };
        self.store.insert_group(&group, along).await?;
        self.wake.wake();
        Ok(Some(trust))
    }

    /// This site has lost the group as it holds it.
    fn fence_of_own(&self, held: &Group, epoch: u64) -> Fence {
        let members = held.document.members.iter();
        let servers = members.map(|member| member.instance_id.clone()).collect();
        let policy = held.document.policy.as_ref();
        protocol::fence(
            held.id(),
            self.local_site(),
            epoch,
            servers,
            policy,
            self.clock.now(),
        )
    }

    async fn import_next(
        &self,
        caller: &Caller,
        bundle: &Bundle,
        document: &Document,
        observations: &Observations,
        array_tokens: &[(SiteId, SecretString)],
    ) -> Result<Option<SecretString>> {
        let trusts = self.renewed_by_the_way(caller, document.group_id).await?;
        let mut group = self.own_group(caller, document.group_id).await?;
        let held = &group.document;
        let here = self.local_site();
        let news = protocol::judge(&group, document, bundle.origin_site_id)
            .map_err(|refusal| refused(&group, here, refusal))?;
        if news != News::None
            && let Some(saga) = self.store.live_saga(held.group_id).await?
            && (matches!(news, News::TakenOver { .. }) || saga.kind == UNPLANNED)
        {
            return Err(holding(
                held,
                format!(
                    "Another change of the protection group is still running on this site ({} {}), so what the \
                     other one says of it can't be taken in yet: try again when it is over.",
                    saga.kind.replace('_', " "),
                    saga.id
                ),
            ));
        }
        if matches!(news, News::TakenOver { .. }) {
            // Written before: what is known to run elsewhere must not run here.
            self.store
                .begin_fence(&self.fence_of_own(&group, bundle.stamp.epoch))
                .await?;
        }
        let entry = match news {
            News::None => None,
            News::TakenOver { lost: Some(_) } => Some(self.superseded(&group, document).await?),
            News::Next | News::TakenOver { lost: None } => Some(self.entry(
                group.id(),
                "imported",
                Some(bundle.stamp),
                "version of the other site stored",
            )),
        };
        protocol::adopt(&mut group, document.clone(), self.clock.now())?;
        group.member_states = observations.member_states.clone();
        group.policy_status = observations.policy_status;
        group.consistency_group.backend_name = observations.backend_name.clone();
        let renewed = trusts.first().map(|(_, trust)| trust.clone());
        let along = Along {
            entry,
            trusts,
            array_tokens: array_tokens.to_vec(),
            ..Along::default()
        };
        self.store.update_group(&group, along).await?;
        match renewed {
            Some(trust) => Ok(Some(trust)),
            None => Ok(self.store.group_trust(group.id(), self.local_site()).await?),
        }
    }
}
