//! A pair of storage arrays that replicate a protection group, as disaster recovery sees them.
//!
//! The verbs are those of the workflow and each may be repeated: "ensure" finds before it makes, "remove"
//! accepts that nothing is there. Names on the *target* array carry the source array's name; callers give
//! local names and never build such a name themselves.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::error::PortResult;

/// Where and with which token.
#[derive(Clone)]
pub struct ArrayAccess {
    pub url: String,
    pub token: SecretString,
    pub timeout: Duration,
}

/// The array that holds the volumes now, and the one that receives them.
#[derive(Clone)]
pub struct ArrayPair {
    pub source: ArrayAccess,
    pub target: ArrayAccess,
    /// The source's name where it is given up for dead: then it is never asked for anything.
    pub lost_source: Option<String>,
}

impl ArrayPair {
    pub fn reversed(&self) -> ArrayPair {
        ArrayPair {
            source: self.target.clone(),
            target: self.source.clone(),
            lost_source: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayIdentity {
    pub id: String,
    /// The prefix by which its peer knows its objects.
    pub name: String,
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayVolume {
    pub name: String,
    pub id: String,
    pub serial: String,
    pub size_bytes: u64,
    /// Waiting to be eradicated.
    pub destroyed: bool,
    /// Hosts that it is connected to.
    pub connections: u64,
}

/// How an array group is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSpec {
    pub name: String,
    pub interval_seconds: u64,
}

/// Who may use an array group that was found and not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adopted {
    /// Made by this call (or an earlier try of it).
    Made,
    /// It was there, empty or holding exactly the expected volumes.
    Found,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    pub name: String,
    /// Local names.
    pub volumes: Vec<String>,
    /// The source pushes by its schedule.
    pub schedule_enabled: bool,
    /// The target accepts.
    pub allowed: bool,
}

/// A group snapshot as the target has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replica {
    /// The part after the group's name.
    pub suffix: String,
    /// When the source took it.
    pub created: DateTime<Utc>,
    /// 0.0 to 1.0.
    pub progress: f64,
    pub completed: Option<DateTime<Utc>>,
    /// Local names, as on the source, of the volumes in it; filled when it is complete.
    pub volumes: Vec<String>,
}

impl Replica {
    pub fn is_complete(&self) -> bool {
        self.completed.is_some() && self.progress >= 1.0
    }
}

/// The marks that every object of ours carries on an array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub operation: String,
    pub member: String,
    pub volume: String,
}

#[async_trait]
pub trait Array: Send + Sync {
    async fn identity(&self, array: &ArrayAccess) -> PortResult<ArrayIdentity>;
    /// Whether the two replicate to each other; says what is missing otherwise.
    async fn check_connection(&self, pair: &ArrayPair) -> PortResult<()>;

    /// Makes (or adopts) the group on the source with the target allowed and the schedule on.
    /// A found group that holds volumes other than `expected` is refused and left as it is.
    async fn ensure_group(
        &self,
        pair: &ArrayPair,
        spec: &GroupSpec,
        expected: &[String],
    ) -> PortResult<Adopted>;
    async fn group(&self, pair: &ArrayPair, name: &str) -> PortResult<Option<GroupView>>;
    /// Takes the schedule, the target and, where we made it, the group away.
    async fn remove_group(&self, pair: &ArrayPair, name: &str, made_by_us: bool) -> PortResult<()>;
    async fn add_volumes(&self, source: &ArrayAccess, group: &str, volumes: &[String]) -> PortResult<()>;
    async fn remove_volumes(&self, source: &ArrayAccess, group: &str, volumes: &[String]) -> PortResult<()>;

    /// Takes a consistent snapshot of the group and sends it at once; finds it where it was taken already.
    async fn snapshot(&self, pair: &ArrayPair, group: &str, suffix: &str) -> PortResult<()>;
    /// How far the target is with it; `None` while the target hasn't heard of it.
    async fn replica(&self, pair: &ArrayPair, group: &str, suffix: &str) -> PortResult<Option<Replica>>;
    /// The name of the array whose group of this name the target receives; asks the target only.
    async fn sender(&self, target: &ArrayAccess, group: &str) -> PortResult<String>;
    /// All replicas that the target holds, newest first; asks the target only.
    async fn replicas(
        &self,
        target: &ArrayAccess,
        source_name: &str,
        group: &str,
    ) -> PortResult<Vec<Replica>>;
    /// Removes a snapshot of ours from both arrays.
    async fn remove_snapshot(&self, pair: &ArrayPair, group: &str, suffix: &str) -> PortResult<()>;

    /// Stops or resumes pushing: the schedule on the source.
    async fn set_schedule(&self, source: &ArrayAccess, group: &str, enabled: bool) -> PortResult<()>;
    /// Refuses or accepts what the source pushes: the fence, asked of the target only.
    async fn set_allowed(
        &self,
        target: &ArrayAccess,
        source_name: &str,
        group: &str,
        allowed: bool,
    ) -> PortResult<()>;

    /// Makes a volume on the target out of a replica's volume, marked; finds it where it was made already.
    async fn clone_volume(
        &self,
        pair: &ArrayPair,
        group: &str,
        suffix: &str,
        volume: &str,
        new_name: &str,
        mark: &Mark,
    ) -> PortResult<ArrayVolume>;
    /// The same where nobody can have made it before: spares looking for it.
    async fn clone_new_volume(
        &self,
        pair: &ArrayPair,
        group: &str,
        suffix: &str,
        volume: &str,
        new_name: &str,
        mark: &Mark,
    ) -> PortResult<()> {
        self.clone_volume(pair, group, suffix, volume, new_name, mark)
            .await
            .map(drop)
    }
    async fn volume(&self, array: &ArrayAccess, name: &str) -> PortResult<Option<ArrayVolume>>;
    /// Volumes that carry the operation's mark, under whatever name they have by now, with their marks.
    async fn marked_volumes(
        &self,
        array: &ArrayAccess,
        operation: &str,
    ) -> PortResult<Vec<(ArrayVolume, Mark)>>;
    /// Destroys it (it stays recoverable for the array's eradication delay); nothing there is fine.
    async fn destroy_volume(&self, array: &ArrayAccess, name: &str) -> PortResult<()>;

    /// Puts a flag up on the array, which holds nothing and says by its name alone what both sites look for; one that is up
    /// stays up.
    async fn raise_flag(&self, array: &ArrayAccess, name: &str) -> PortResult<()>;
    async fn is_flag_up(&self, array: &ArrayAccess, name: &str) -> PortResult<bool>;
    async fn lower_flag(&self, array: &ArrayAccess, name: &str) -> PortResult<()>;
}
