//! Everything that exists on the arrays of a fabric and between them. This is what is kept over a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::config::LinkConfig;
use super::content::Content;
use super::error::{ApiError, ApiResult};

/// Arrays, links and what is under way between them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct World {
    pub arrays: BTreeMap<String, Array>,
    pub links: Vec<Link>,
    pub transfers: Vec<Transfer>,
    /// The number of the newest write of any guest.
    pub sequence: u64,
    /// Up to when everything that happens by itself has happened.
    pub settled: u64,
}

/// A link, known by the names of its ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Link {
    pub ends: [String; 2],
    pub config: LinkConfig,
}

/// One array.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Array {
    pub id: String,
    pub name: String,
    /// A dark array answers nobody and sends nothing.
    pub dark: bool,
    pub volumes: BTreeMap<String, Volume>,
    pub snapshots: BTreeMap<String, Snapshot>,
    pub groups: BTreeMap<String, Group>,
    pub group_snapshots: BTreeMap<String, GroupSnapshot>,
    pub hosts: BTreeMap<String, Value>,
    pub connections: Vec<Connection>,
    pub pods: BTreeMap<String, Container>,
    pub volume_groups: BTreeMap<String, Container>,
    /// Groups that a new volume joins unless its maker says otherwise; by container, `""` is the array.
    pub default_protections: BTreeMap<String, Vec<String>>,
    /// The number of the newest snapshot that was given no name.
    pub counter: u64,
    pub idle_timeout: u64,
    pub eradication_delay: u64,
    pub manual_eradication: bool,
    pub capacity: u64,
}

/// A reference to something by id and name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Reference {
    pub id: String,
    pub name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Volume {
    pub id: String,
    pub name: String,
    pub serial: String,
    pub created: u64,
    pub provisioned: u64,
    pub destroyed: Option<u64>,
    pub source: Option<Reference>,
    pub qos: Map<String, Value>,
    pub tags: Vec<Tag>,
    pub content: Content,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tag {
    pub namespace: String,
    pub key: String,
    pub value: String,
    pub copyable: bool,
}

/// A snapshot of one volume, by itself or as a member of a group snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub id: String,
    pub name: String,
    pub suffix: String,
    pub serial: String,
    pub created: u64,
    pub provisioned: u64,
    pub destroyed: Option<u64>,
    pub source: Reference,
    /// The group snapshot it belongs to.
    pub group_snapshot: Option<String>,
    /// Whether all of it is here; not so while it is being received.
    pub complete: bool,
    pub content: Content,
}

/// A protection group: one's own, or the picture of one that another array replicates to here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Group {
    pub id: String,
    pub name: String,
    pub is_local: bool,
    /// The array the group lives on.
    pub source: String,
    pub destroyed: Option<u64>,
    pub volumes: Arc<Vec<String>>,
    /// Of a group of another array: the source's list that `volumes` was made from. Looking whether it is still the
    /// same one is what makes groups of many thousand volumes cheap.
    #[serde(skip)]
    pub mirrored: Option<Arc<Vec<String>>>,
    pub targets: BTreeMap<String, Target>,
    /// Of a group of another array: whether it may send snapshots here. This, and not what the source
    /// remembers of it, is the gate.
    pub allowed: bool,
    pub replication_schedule: Schedule,
    pub snapshot_schedule: Schedule,
    pub source_retention: Retention,
    pub target_retention: Retention,
    pub ratcheted: bool,
}

/// An array that a group replicates to, as the source sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Target {
    /// What the target last told; a dead link leaves it as it was.
    pub allowed: bool,
    /// When the target gets to know of the group.
    pub announce_at: u64,
    pub announced: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Schedule {
    pub enabled: bool,
    /// As it was given; see [`Schedule::period`].
    pub frequency: u64,
    pub at: Option<u64>,
    pub blackout: Option<Value>,
    /// When it last made a snapshot.
    pub last: u64,
}

impl Schedule {
    /// The period in milliseconds. Cinder's driver gives seconds for what the array takes as milliseconds;
    /// numbers that are too small for these are taken as it means them.
    pub fn period(&self) -> u64 {
        if self.frequency < 100_000 {
            self.frequency.max(1) * 1000
        } else {
            self.frequency
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Retention {
    pub all_for_sec: u64,
    pub per_day: u64,
    pub days: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GroupSnapshot {
    pub id: String,
    pub name: String,
    pub suffix: String,
    /// On the array where it was made, whatever array it is on now.
    pub created: u64,
    pub destroyed: Option<u64>,
    pub source: Reference,
    /// Whether it ages by the group's retention; else it stays until somebody destroys it.
    pub ages: bool,
    /// When it is eradicated whatever the retention says.
    pub until: Option<u64>,
}

/// A group snapshot on its way from one array to another, or one that has arrived.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Transfer {
    pub id: String,
    pub from: String,
    pub to: String,
    /// The group and the snapshot as they are called on the source.
    pub group: String,
    pub snapshot: String,
    /// It starts when those before it have ended.
    pub queued: bool,
    pub start_at: u64,
    pub started: Option<u64>,
    pub completed: Option<u64>,
    /// How long it takes and how much of that has passed while data could flow.
    pub needs: u64,
    pub done: u64,
    pub bytes: u64,
    /// What is being sent; empty once it has arrived.
    pub members: Vec<Member>,
}

/// A member of a group snapshot on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Member {
    /// The name within the group snapshot.
    pub name: String,
    pub source: Reference,
    pub provisioned: u64,
    pub content: Content,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Connection {
    pub host: String,
    pub volume: String,
    pub lun: u64,
}

/// A pod or a volume group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Container {
    pub id: String,
    pub name: String,
    pub destroyed: Option<u64>,
    /// Whatever else its makers set.
    pub fields: Map<String, Value>,
}

impl World {
    /// The array of this name. It exists: names come from the fabric's configuration.
    pub fn array(&mut self, name: &str) -> ApiResult<&mut Array> {
        self.arrays
            .get_mut(name)
            .ok_or_else(|| ApiError::missing("Array", name))
    }

    pub fn link(&self, a: &str, b: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.joins(a, b))
    }

    /// Whether anything gets from one array to the other.
    pub fn connected(&self, a: &str, b: &str) -> bool {
        let lit = |name: &str| self.arrays.get(name).is_some_and(|array| !array.dark);
        lit(a) && lit(b) && self.link(a, b).is_some_and(|link| link.config.up)
    }
}

impl Link {
    pub fn joins(&self, a: &str, b: &str) -> bool {
        let [x, y] = &self.ends;
        (x == a && y == b) || (x == b && y == a)
    }
}

impl Array {
    /// A volume that isn't destroyed.
    pub fn live_volume(&self, name: &str) -> ApiResult<&Volume> {
        match self.volumes.get(name) {
            None => Err(ApiError::missing("Volume", name)),
            Some(volume) if volume.destroyed.is_some() => Err(ApiError::destroyed("Volume", name)),
            Some(volume) => Ok(volume),
        }
    }

    pub fn live_group(&self, name: &str) -> ApiResult<&Group> {
        match self.groups.get(name) {
            None => Err(ApiError::missing("Protection group", name)),
            Some(group) if group.destroyed.is_some() => Err(ApiError::destroyed("Protection group", name)),
            Some(group) => Ok(group),
        }
    }

    pub fn next_suffix(&mut self) -> String {
        self.counter += 1;
        self.counter.to_string()
    }

    pub fn connection_count(&self, volume: &str) -> usize {
        self.connections
            .iter()
            .filter(|connection| connection.volume == volume)
            .count()
    }

    /// How long something destroyed can still be recovered.
    pub fn time_remaining(&self, destroyed: Option<u64>, now: u64) -> Option<u64> {
        destroyed.map(|at| (at + self.eradication_delay).saturating_sub(now))
    }

    /// The names of the members of a group snapshot.
    pub fn members_of(&self, group_snapshot: &str) -> Vec<String> {
        let belongs = |snapshot: &&Snapshot| snapshot.group_snapshot.as_deref() == Some(group_snapshot);
        self.snapshots
            .values()
            .filter(belongs)
            .map(|snapshot| snapshot.name.clone())
            .collect()
    }
}

impl Reference {
    pub fn view(&self) -> Value {
        json!({"id": self.id, "name": self.name})
    }
}

impl Transfer {
    /// What the snapshot is called on the target.
    pub fn target_name(&self) -> String {
        on_target(&self.from, &self.snapshot)
    }

    #[expect(clippy::cast_precision_loss, reason = "a fraction for the eye")]
    pub fn progress(&self) -> f64 {
        match (self.completed, self.needs) {
            (Some(_), _) => 1.0,
            (None, 0) => 0.0,
            // The last percent comes with the completion.
            (None, needs) => (self.done as f64 / needs as f64 * 100.0).floor().min(99.0) / 100.0,
        }
    }
}

/// What another array's object is called on the array that it replicates to. A pod takes the array's place.
pub(super) fn on_target(source: &str, name: &str) -> String {
    match name.split_once("::") {
        Some((pod, rest)) => format!("{pod}:{rest}"),
        None => format!("{source}:{name}"),
    }
}

/// Whether that is what it is called there.
pub(super) fn is_on_target(there: &str, source: &str, name: &str) -> bool {
    let (owner, rest) = name.split_once("::").unwrap_or((source, name));
    there
        .strip_prefix(owner)
        .and_then(|after| after.strip_prefix(':'))
        .is_some_and(|named| named == rest)
}

pub(super) fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// 24 capital hexadecimal digits.
pub(super) fn new_serial() -> String {
    Uuid::new_v4()
        .simple()
        .to_string()
        .to_uppercase()
        .chars()
        .take(24)
        .collect()
}
