//! What an unplanned failover does in its own way: the other site is dead, or given up for dead, and nothing here
//! asks it anything. What its servers looked like was recorded before; what its array sent last is here.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use protector_domain::{Check, Member, MemberId};
use protector_ports::array::{ArrayAccess, Replica};
use protector_ports::store::RecordedFacts;
use protector_saga::StepContext;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Failover;
use super::facts::{Inspected, Recording, facts_of};
use super::names::{disks, suffix};
use super::preflight::{Findings, Looked, found};
use super::trouble::no_snapshot;
use crate::failure::{OrFail, StepResult, permanent};

/// The snapshot that everything is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Choice {
    pub(super) suffix: String,
    /// When the lost array took it: what was written later is lost.
    pub(super) created: DateTime<Utc>,
    /// Members that are in no snapshot as a whole.
    #[serde(default)]
    pub(super) lost: BTreeMap<MemberId, String>,
}

impl Failover {
    /// What was last seen of the servers, in place of a look at them.
    pub(super) async fn recall(&self) -> StepResult<Value> {
        let mut findings = Findings::default();
        let looked = self.records().await;
        let Some(kept) = findings.note(looked)? else {
            findings.refuse()?;
            return Err(permanent("nothing is recorded of the servers"));
        };
        tracing::info!(operation = %self.order.operation, read_at = %kept.about.read_at, "the servers are made as they were last seen");
        let recording = Recording::parse(&kept.facts).or_fail()?;
        let surroundings = serde_json::to_value(&recording.facts.surroundings).or_fail();
        *self.recording.lock().await = Some(Arc::new(recording));
        surroundings
    }

    /// What was last seen of one server; nothing, where it was protected too shortly before.
    pub(super) async fn recall_server(&self, member: &Member) -> StepResult<Value> {
        let recording = {
            let mut known = self.recording.lock().await;
            if known.is_none() {
                // The engine that recalled first is gone.
                let kept = self.world.store.facts(self.order.group).await.or_fail()?;
                let kept = kept.ok_or_else(|| permanent("nothing is recorded of the servers"))?;
                *known = Some(Arc::new(Recording::parse(&kept.facts).or_fail()?));
            }
            known.clone()
        };
        let known = recording.as_ref();
        let facts = known.and_then(|recording| recording.facts.members.get(&member.id));
        if let Some(recording) = known {
            let secret = recording.user_data.get(&member.id).cloned();
            self.user_data.remember(member.id, secret);
        }
        let inspected = Inspected {
            facts: facts.cloned(),
            findings: Vec::new(),
            adopted: self.find_adopted(member).await?,
        };
        serde_json::to_value(inspected).or_fail()
    }

    /// What this site's engine read while the other site was alive.
    pub(super) async fn records(&self) -> Looked<RecordedFacts> {
        if let Some(kept) = self.world.store.facts(self.order.group).await.or_fail()? {
            return Ok(kept);
        }
        let group = self.world.group(self.order.group).await?;
        let site = self.world.directory.site(self.order.source).await.or_fail()?.name;
        Err(found(
            Check::Server,
            format!(
                "What the servers of protection group '{}' look like was never read from site '{site}' while it was up, so they can't be made anew.",
                group.document.name
            ),
            format!(
                "This site's protector-engine reads it by itself when it has service credentials for site '{site}'."
            ),
        ))
    }

    /// User data is kept apart: it may hold secrets, and the journal holds none.
    pub(super) async fn recalled_user_data(&self, member: &Member) -> StepResult<Option<String>> {
        // What is recorded of many servers is long: it is read once for all that boot now.
        let _reading = self.recording.lock().await;
        if let Some(known) = self.user_data.of(member.id) {
            return Ok(known);
        }
        let kept = self.world.store.facts(self.order.group).await.or_fail()?;
        let Some(kept) = kept else { return Ok(None) };
        let mut recording = Recording::parse(&kept.facts).or_fail()?;
        let its = recording.user_data.remove(&member.id);
        self.user_data.remember(member.id, its.clone());
        for other in self.order.members.iter().filter(|other| other.id != member.id) {
            self.user_data
                .remember(other.id, recording.user_data.remove(&other.id));
        }
        Ok(its)
    }

    /// From here on the lost array's snapshots are refused, should it come back.
    pub(super) async fn fence_target(&self) -> StepResult<Value> {
        self.allow_replication(false).await?;
        Ok(Value::Null)
    }

    /// Only while the group still belongs to the other site: once it runs here, the fence stays.
    pub(super) async fn unfence_target(&self) -> StepResult<()> {
        // As it is at this moment.
        let group = self.world.group(self.order.group).await?;
        if group.document.current_primary_site_id == self.order.target {
            return Ok(());
        }
        self.allow_replication(true).await
    }

    async fn allow_replication(&self, allowed: bool) -> StepResult<()> {
        let pair = self.pair().await?;
        let sender = self.sender(&pair.target).await?;
        self.world
            .array
            .set_allowed(&pair.target, &sender, &self.order.array_group, allowed)
            .await
            .or_fail()
    }

    pub(super) async fn choose_snapshot(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let pair = self.pair().await?;
        let sender = self.sender(&pair.target).await?;
        let group = &self.order.array_group;
        let replicas = self
            .world
            .array
            .replicas(&pair.target, &sender, group)
            .await
            .or_fail()?;
        let wanted: Vec<&Member> = self
            .order
            .members
            .iter()
            .filter(|member| facts_of(context.state, member).is_ok())
            .collect();
        let array = self.target_array().await;
        let before = self.chosen_before(&pair.target, &replicas).await?;
        let choice = before
            .or_else(|| choose(&replicas, &wanted, &array))
            .ok_or_else(|| permanent(self.nothing_to_choose(&array)))?;
        serde_json::to_value(choice).or_fail()
    }

    /// The last snapshot of the operation that is carried on, which holds all that was ever written: its servers were
    /// stopped before. So it is where it is the newest; and where clones of it are there, which aren't mixed with those of
    /// another one. A newer one is the schedule's then, from before the fence, and holds the same.
    async fn chosen_before(&self, array: &ArrayAccess, replicas: &[Replica]) -> StepResult<Option<Choice>> {
        if self.order.adopts.is_none() {
            return Ok(None);
        }
        let complete = || replicas.iter().filter(|replica| replica.is_complete());
        let suffix = suffix(&self.order);
        let Some(last) = complete().find(|replica| replica.suffix == suffix) else {
            return Ok(None);
        };
        let is_newest = complete().all(|replica| replica.created <= last.created);
        if !is_newest && !self.has_clones(array).await? {
            return Ok(None);
        }
        Ok(Some(Choice {
            suffix,
            created: last.created,
            lost: BTreeMap::new(),
        }))
    }

    async fn has_clones(&self, array: &ArrayAccess) -> StepResult<bool> {
        let operation = self.order.maker().to_string();
        let marked = self.world.array.marked_volumes(array, &operation).await;
        Ok(marked.or_fail()?.iter().any(|(volume, _)| !volume.destroyed))
    }

    /// Why no snapshot will do.
    pub(super) fn nothing_to_choose(&self, array: &str) -> String {
        match disks(&self.order).next() {
            Some(disk) => no_snapshot(&disk.volume.volume_id, array),
            None => format!("The operation has no volume to look for on FlashArray {array}."),
        }
    }
}

/// The newest complete snapshot that holds every member that any complete snapshot holds as a whole. Where no
/// snapshot holds all of these, the one that holds the most of them, and of equal ones the newest.
pub(super) fn choose(newest_first: &[Replica], members: &[&Member], array: &str) -> Option<Choice> {
    let complete: Vec<&Replica> = newest_first
        .iter()
        .filter(|replica| replica.is_complete())
        .collect();
    let held = |replica: &Replica| -> BTreeSet<MemberId> {
        let there: HashSet<&String> = replica.volumes.iter().collect();
        members
            .iter()
            .filter(|member| {
                let mut volumes = member.volumes.iter();
                volumes.all(|volume| there.contains(&volume.array_name))
            })
            .map(|member| member.id)
            .collect()
    };
    let mut best: Option<(&Replica, BTreeSet<MemberId>)> = None;
    for replica in complete {
        let here = held(replica);
        let better = match &best {
            None => !here.is_empty(),
            Some((chosen, most)) => {
                here.len() > most.len() || (here.len() == most.len() && replica.created > chosen.created)
            }
        };
        if better {
            best = Some((replica, here));
        }
    }
    let (chosen, held) = best?;
    let lost = members
        .iter()
        .filter(|member| !held.contains(&member.id))
        .filter_map(|member| {
            let mut volumes = member.volumes.iter();
            let missing = volumes.find(|volume| !chosen.volumes.contains(&volume.array_name))?;
            Some((member.id, no_snapshot(&missing.volume_id, array)))
        })
        .collect();
    Some(Choice {
        suffix: chosen.suffix.clone(),
        created: chosen.created,
        lost,
    })
}

/// What `result_data` says of the data's age.
pub(super) fn data_of(choice: &Choice) -> Value {
    json!({ "suffix": choice.suffix, "created": choice.created })
}

#[cfg(test)]
mod tests {
    use protector_domain::{MemberVolume, ServerId, VolumeId};
    use uuid::Uuid;

    use super::*;

    fn member(name: &str, volumes: &[&str]) -> Member {
        Member {
            id: MemberId(Uuid::new_v4()),
            instance_id: ServerId::new(Uuid::new_v4().to_string()).unwrap(),
            instance_name: name.to_owned(),
            left: Default::default(),
            volumes: volumes
                .iter()
                .map(|volume| MemberVolume {
                    volume_id: VolumeId::new(Uuid::new_v4().to_string()).unwrap(),
                    array_name: (*volume).to_owned(),
                    device: "/dev/vda".to_owned(),
                    boot: true,
                    size_gb: 1,
                })
                .collect(),
        }
    }

    fn replica(age_seconds: i64, complete: bool, volumes: &[&str]) -> Replica {
        let created = DateTime::from_timestamp(1_000_000 - age_seconds, 0).unwrap();
        Replica {
            suffix: format!("s{age_seconds}"),
            created,
            progress: if complete { 1.0 } else { 0.5 },
            completed: complete.then_some(created),
            volumes: volumes.iter().map(|volume| (*volume).to_owned()).collect(),
        }
    }

    #[test]
    fn the_newest_complete_snapshot_that_holds_everybody() {
        let (web, db) = (member("web", &["w"]), member("db", &["d1", "d2"]));
        let replicas = [
            replica(10, false, &["w", "d1", "d2"]),
            replica(20, true, &["w", "d1", "d2"]),
            replica(30, true, &["w", "d1", "d2"]),
        ];
        let choice = choose(&replicas, &[&web, &db], "fa-b").unwrap();
        assert_eq!((choice.suffix.as_str(), choice.lost.len()), ("s20", 0));
    }

    #[test]
    fn a_member_of_an_older_snapshot_alone_is_not_left_behind_for_a_newer_one() {
        let (web, db) = (member("web", &["w"]), member("db", &["d1", "d2"]));
        // The newest lacks one disk of db.
        let replicas = [
            replica(10, true, &["w", "d1"]),
            replica(20, true, &["w", "d1", "d2"]),
        ];
        let choice = choose(&replicas, &[&web, &db], "fa-b").unwrap();
        assert_eq!((choice.suffix.as_str(), choice.lost.len()), ("s20", 0));
    }

    #[test]
    fn who_is_in_no_snapshot_is_lost_and_named() {
        let (web, late) = (member("web", &["w"]), member("late", &["l"]));
        let choice = choose(&[replica(10, true, &["w"])], &[&web, &late], "fa-b").unwrap();
        assert_eq!(choice.lost.keys().collect::<Vec<_>>(), [&late.id]);
        let volume = &late.volumes[0].volume_id;
        assert_eq!(
            choice.lost[&late.id],
            format!(
                "Volume manage failed: no replicated snapshot found for volume {volume} on FlashArray fa-b. Verify replication policy and RPO."
            )
        );
        assert_eq!(choose(&[replica(10, true, &["x"])], &[&web, &late], "fa-b"), None);
        assert_eq!(choose(&[], &[&web], "fa-b"), None);
    }
}
