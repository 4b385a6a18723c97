//! Protection groups: made, shown, changed, dissolved.

use std::collections::BTreeMap;

use protector_domain::{
    ConsistencyGroup, ConsistencyGroupId, ConsistencyGroupStatus, Document, Group, GroupId, GroupStatus,
    Mappings, ReplicationType, Site, SiteId, SiteRef, SiteStatus, Stamp, Statement, SyncState, SyncStatus,
    Tombstone, Work,
};
use protector_ports::store::{Along, GroupFilter, Page};

use crate::error::{Error, Result};
use crate::refusal::elsewhere;
use crate::validation::missing_group_type;
use crate::{Caller, Service, saga};

pub struct NewGroup {
    pub id: GroupId,
    pub name: String,
    pub description: String,
    pub replication_type: ReplicationType,
    pub primary_site: SiteId,
    pub secondary_site: SiteId,
    /// Name or id at the primary site.
    pub volume_type: String,
}

#[derive(Default)]
pub struct GroupChange {
    pub name: Option<String>,
    pub description: Option<String>,
}

impl Service {
    pub async fn create_group(&self, caller: &Caller, new: NewGroup, statement: &Statement) -> Result<Group> {
        check_name(&new.name)?;
        if new.primary_site == new.secondary_site {
            return Err(Error::Invalid(
                "Primary and secondary site of a protection group must differ.".into(),
            ));
        }
        if new.replication_type == ReplicationType::Sync {
            return Err(Error::Invalid(
                "Synchronous replication is not offered by this release: use replication type 'async'."
                    .into(),
            ));
        }
        let primary = self.site(new.primary_site).await?;
        let secondary = self.site(new.secondary_site).await?;
        if primary.id != self.local_site() {
            return Err(elsewhere(&reference(&primary)));
        }
        for site in [&primary, &secondary] {
            if site.status != SiteStatus::Active {
                return Err(Error::conflict(format!(
                    "Site '{0}' is {1}: both sites must be active. Look with `openstack protector site validate {0}`.",
                    site.name,
                    site.status.as_str()
                )));
            }
        }
        let by_name = GroupFilter {
            project: Some(caller.project_id.clone()),
            name: Some(new.name.clone()),
            status: None,
        };
        if !self.store.groups(&by_name, &Page::default()).await?.is_empty() {
            return Err(Error::conflict(format!(
                "A protection group named '{}' exists already in this project.",
                new.name
            )));
        }
        let remote_project = self.mapped_project(caller, secondary.id, &secondary.name).await?;
        let volume_types = self.volume_types(&primary, &secondary, &new).await?;
        self.check_group_types(&[&primary, &secondary]).await?;
        self.check_answer(new.id, &reference(&secondary), statement)
            .await?;
        if statement.exists {
            return Err(Error::conflict(format!(
                "Site '{}' holds a protection group with this id already.",
                secondary.name
            )));
        }
        self.check_not_deleted(new.id, Stamp::FIRST).await?;
        let trust = self.new_trust(caller).await?;

        let now = self.clock.now();
        let document = Document {
            group_id: new.id,
            stamp: Stamp::FIRST,
            name: new.name,
            description: new.description,
            replication_type: new.replication_type,
            primary_site: reference(&primary),
            secondary_site: reference(&secondary),
            current_primary_site_id: primary.id,
            projects: BTreeMap::from([
                (primary.id, caller.project_id.clone()),
                (secondary.id, remote_project),
            ]),
            volume_types,
            members: Vec::new(),
            mappings: Mappings::default(),
            policy: None,
            intents: Vec::new(),
            failover_count: 0,
            modified_at: now,
        };
        let group = new_here(
            document,
            SyncState {
                status: SyncStatus::Pending,
                peer: None,
                last_sync_at: None,
            },
            now,
        );
        let along = Along {
            saga: Some(saga(
                Work::EstablishGroup { group: new.id },
                uuid::Uuid::new_v4(),
            )?),
            trusts: vec![(primary.id, trust)],
            ..self.along(&group, statement, "group created")
        };
        self.store.insert_group(&group, along).await?;
        self.wake.wake();
        Ok(group)
    }

    async fn volume_types(
        &self,
        primary: &Site,
        secondary: &Site,
        new: &NewGroup,
    ) -> Result<BTreeMap<SiteId, protector_domain::VolumeTypeRef>> {
        let here = self.types_at(primary).await?;
        let there = self.types_at(secondary).await?;
        let named = self.named_type(primary, &here, &new.volume_type, new.replication_type)?;
        let matching = self.matching_type(secondary, &there, &named.name, new.replication_type)?;
        for (site, types, one) in [(primary, &here, &named), (secondary, &there, &matching)] {
            let access = self.directory.service(site.id).await?;
            let id = types
                .iter()
                .find(|candidate| candidate.name == one.name)
                .map(|found| &found.id)
                .unwrap_or(&one.id);
            if self.cloud.is_type_encrypted(&access, id).await? {
                return Err(Error::Invalid(format!(
                    "Volume type '{}' at site '{}' is encrypted: Cinder can't take over encrypted volumes, so they can't be recovered.",
                    one.name, site.name
                )));
            }
        }
        Ok(BTreeMap::from([(primary.id, named), (secondary.id, matching)]))
    }

    async fn check_group_types(&self, sites: &[&Site]) -> Result<()> {
        for site in sites {
            let access = self.directory.service(site.id).await?;
            let types = self.cloud.group_types(&access).await?;
            if !types.iter().any(|one| one.name == self.options.group_type) {
                return Err(Error::conflict(missing_group_type(
                    &self.options.group_type,
                    &site.name,
                )));
            }
        }
        Ok(())
    }

    pub async fn group(&self, caller: &Caller, id: GroupId) -> Result<Group> {
        self.own_group(caller, id).await
    }

    pub async fn groups(&self, caller: &Caller, filter: GroupFilter, page: &Page) -> Result<Vec<Group>> {
        let filter = GroupFilter {
            project: Some(caller.project_id.clone()),
            ..filter
        };
        Ok(self.store.groups(&filter, page).await?)
    }

    pub async fn update_group(
        &self,
        caller: &Caller,
        id: GroupId,
        change: GroupChange,
        statement: &Statement,
    ) -> Result<Group> {
        let trusts = self.renewed_by_the_way(caller, id).await?;
        let mut group = self.modifiable(caller, id, statement).await?;
        if let Some(name) = change.name {
            check_name(&name)?;
            group.document.name = name;
        }
        if let Some(description) = change.description {
            group.document.description = description;
        }
        self.touch(&mut group);
        let along = Along {
            trusts,
            ..self.along(&group, statement, "name or description changed")
        };
        Ok(self.store.update_group(&group, along).await?)
    }

    pub async fn set_mappings(
        &self,
        caller: &Caller,
        id: GroupId,
        mappings: Mappings,
        statement: &Statement,
    ) -> Result<Group> {
        let trusts = self.renewed_by_the_way(caller, id).await?;
        let mut group = self.modifiable(caller, id, statement).await?;
        group.document.mappings = mappings;
        self.touch(&mut group);
        let along = Along {
            trusts,
            ..self.along(&group, statement, "mappings changed")
        };
        Ok(self.store.update_group(&group, along).await?)
    }

    /// Begins the dissolution here; the tombstone brings it to the peer.
    pub async fn delete_group(
        &self,
        caller: &Caller,
        id: GroupId,
        statement: &Statement,
    ) -> Result<Tombstone> {
        let trusts = self.renewed_by_the_way(caller, id).await?;
        let mut group = self.modifiable(caller, id, statement).await?;
        group.set_status(GroupStatus::Deleting, None)?;
        self.touch(&mut group);
        let tombstone = self.tombstone_of(&group)?;
        let along = Along {
            saga: Some(saga(Work::DissolveGroup { group: id }, uuid::Uuid::new_v4())?),
            trusts,
            ..self.along(&group, statement, "group deleted")
        };
        self.store.update_group(&group, along).await?;
        self.wake.wake();
        Ok(tombstone)
    }

    /// The word of a deletion that has begun here, for whoever carries it when the first client could not.
    pub async fn tombstone(&self, caller: &Caller, id: GroupId) -> Result<Option<Tombstone>> {
        let group = match self.own_group(caller, id).await {
            Err(Error::NotFound { message }) => {
                let gone = self.tombstone_of_gone(caller, id).await?;
                return gone.map(Some).ok_or(Error::NotFound { message });
            }
            other => other?,
        };
        let ours = group.document.current_primary_site_id == self.local_site();
        let going = ours && group.status == GroupStatus::Deleting;
        going.then(|| self.tombstone_of(&group)).transpose()
    }

    fn tombstone_of(&self, group: &Group) -> Result<Tombstone> {
        self.signed(Tombstone {
            group_id: group.id(),
            stamp: group.document.stamp,
            origin_site_id: self.local_site(),
            signature: None,
        })
    }

    /// The peer's part of a deletion. A group that isn't here any more is deleted already.
    pub async fn bury_group(&self, caller: &Caller, id: GroupId, tombstone: &Tombstone) -> Result<()> {
        let mut group = match self.own_group(caller, id).await {
            Err(Error::NotFound { .. }) => return Ok(()),
            other => other?,
        };
        let document = &group.document;
        if tombstone.group_id != id
            || tombstone.origin_site_id != document.current_primary_site_id
            || tombstone.origin_site_id == self.local_site()
        {
            return Err(Error::Invalid(
                "The tombstone is not by the site where the protection group runs.".into(),
            ));
        }
        self.check_signed(tombstone.origin_site_id, tombstone).await?;
        // The last version itself may have come as a bundle, where the deletion met an error first.
        if tombstone.stamp < document.stamp {
            return Err(Error::conflict(
                "The tombstone is older than what this site holds of the protection group.",
            ));
        }
        if group.status == GroupStatus::Deleting {
            return Ok(());
        }
        group.set_status(GroupStatus::Deleting, None)?;
        group.updated_at = self.clock.now();
        let along = Along {
            saga: Some(saga(Work::DissolveGroup { group: id }, uuid::Uuid::new_v4())?),
            entry: Some(self.entry(
                id,
                "imported",
                Some(tombstone.stamp),
                "group deleted on the other site",
            )),
            ..Along::default()
        };
        self.store.update_group(&group, along).await?;
        self.wake.wake();
        Ok(())
    }
}

/// A group that this site begins to hold.
pub(crate) fn new_here(document: Document, sync: SyncState, now: chrono::DateTime<chrono::Utc>) -> Group {
    Group {
        document,
        status: GroupStatus::Creating,
        status_reason: None,
        member_states: BTreeMap::new(),
        consistency_group: ConsistencyGroup {
            id: ConsistencyGroupId(uuid::Uuid::new_v4()),
            status: ConsistencyGroupStatus::Creating,
            backend_name: None,
            volume_groups: BTreeMap::new(),
        },
        policy_status: None,
        policy_reason: None,
        array_group_made: false,
        sync,
        created_at: now,
        updated_at: now,
        revision: 0,
    }
}

fn reference(site: &Site) -> SiteRef {
    SiteRef {
        id: site.id,
        name: site.name.clone(),
    }
}

fn check_name(name: &str) -> Result<()> {
    let fine = (1..=255).contains(&name.chars().count())
        && name.trim() == name
        && !name.chars().any(char::is_control);
    if fine {
        Ok(())
    } else {
        Err(Error::Invalid(
            "A protection group's name has 1 to 255 characters, without blanks around it.".into(),
        ))
    }
}
