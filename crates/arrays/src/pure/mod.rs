//! Asynchronous replication between two FlashArrays.
//!
//! A protection group of the source replicates by a schedule to the target, where the group shows as
//! `source:group` and has to be allowed. Recovered volumes are clones of one group snapshot's members, so that
//! all of them are of one instant; a clone doesn't depend on the snapshot afterwards. Clones carry tags, by
//! which they are found under whatever name they have got.

mod clones;
mod ensure;
mod flags;
mod groups;
mod pair;
mod snapshots;
mod volumes;

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use protector_flasharray::{Client, ClientConfig, ConfigError};
use protector_ports::PortResult;
use protector_ports::array::{
    Adopted, Array, ArrayAccess, ArrayIdentity, ArrayPair, ArrayVolume, GroupSpec, GroupView, Mark, Replica,
};
use tokio::time::Instant;

use crate::config::DriverConfig;
use crate::names;

/// The driver `pure`. One for a process: it keeps connections and sessions.
pub struct PureDriver {
    client: Client,
    config: DriverConfig,
    /// Who answered at an address, and when: what to go by while an array is out of reach.
    known: Mutex<HashMap<String, (ArrayIdentity, Instant)>>,
}

impl PureDriver {
    pub fn new(config: DriverConfig) -> Result<Self, ConfigError> {
        let client = Client::new(&ClientConfig {
            cafile: config.cafile.clone(),
            verify: config.verify_tls,
            allow_loopback: config.allow_loopback,
            ..ClientConfig::default()
        })?;
        Ok(Self {
            client,
            config,
            known: Mutex::default(),
        })
    }

    /// Ends the sessions with all arrays. For the end of a process.
    pub async fn logout(&self) {
        self.client.logout().await;
    }
}

#[async_trait]
impl Array for PureDriver {
    async fn identity(&self, array: &ArrayAccess) -> PortResult<ArrayIdentity> {
        self.read_identity(array).await
    }

    async fn check_connection(&self, pair: &ArrayPair) -> PortResult<()> {
        self.connected(pair).await.map(drop)
    }

    async fn ensure_group(
        &self,
        pair: &ArrayPair,
        spec: &GroupSpec,
        expected: &[String],
    ) -> PortResult<Adopted> {
        self.ensure(pair, spec, expected).await
    }

    async fn group(&self, pair: &ArrayPair, name: &str) -> PortResult<Option<GroupView>> {
        self.view_group(pair, name).await
    }

    async fn remove_group(&self, pair: &ArrayPair, name: &str, made_by_us: bool) -> PortResult<()> {
        self.take_group_away(pair, name, made_by_us).await
    }

    async fn add_volumes(&self, source: &ArrayAccess, group: &str, volumes: &[String]) -> PortResult<()> {
        self.add_members(source, group, volumes).await
    }

    async fn remove_volumes(&self, source: &ArrayAccess, group: &str, volumes: &[String]) -> PortResult<()> {
        self.remove_members(source, group, volumes).await
    }

    async fn snapshot(&self, pair: &ArrayPair, group: &str, suffix: &str) -> PortResult<()> {
        self.take_snapshot(pair, group, suffix).await
    }

    async fn replica(&self, pair: &ArrayPair, group: &str, suffix: &str) -> PortResult<Option<Replica>> {
        self.read_replica(pair, group, suffix).await
    }

    async fn sender(&self, target: &ArrayAccess, group: &str) -> PortResult<String> {
        names::check_group(group)?;
        let array = self.handle(target)?;
        self.sender_of(&array, group).await
    }

    async fn replicas(
        &self,
        target: &ArrayAccess,
        source_name: &str,
        group: &str,
    ) -> PortResult<Vec<Replica>> {
        self.read_replicas(target, source_name, group).await
    }

    async fn remove_snapshot(&self, pair: &ArrayPair, group: &str, suffix: &str) -> PortResult<()> {
        self.drop_snapshot(pair, group, suffix).await
    }

    async fn set_schedule(&self, source: &ArrayAccess, group: &str, enabled: bool) -> PortResult<()> {
        self.switch_schedule(source, group, enabled).await
    }

    async fn set_allowed(
        &self,
        target: &ArrayAccess,
        source_name: &str,
        group: &str,
        allowed: bool,
    ) -> PortResult<()> {
        self.switch_allowed(target, source_name, group, allowed).await
    }

    async fn clone_volume(
        &self,
        pair: &ArrayPair,
        group: &str,
        suffix: &str,
        volume: &str,
        new_name: &str,
        mark: &Mark,
    ) -> PortResult<ArrayVolume> {
        self.clone_member(pair, group, suffix, volume, new_name, mark)
            .await
    }

    async fn clone_new_volume(
        &self,
        pair: &ArrayPair,
        group: &str,
        suffix: &str,
        volume: &str,
        new_name: &str,
        mark: &Mark,
    ) -> PortResult<()> {
        self.make_clone(pair, group, suffix, volume, new_name, mark).await
    }

    async fn volume(&self, array: &ArrayAccess, name: &str) -> PortResult<Option<ArrayVolume>> {
        self.read_volume(array, name).await
    }

    async fn marked_volumes(
        &self,
        array: &ArrayAccess,
        operation: &str,
    ) -> PortResult<Vec<(ArrayVolume, Mark)>> {
        self.find_marked(array, operation).await
    }

    async fn destroy_volume(&self, array: &ArrayAccess, name: &str) -> PortResult<()> {
        self.drop_volume(array, name).await
    }

    async fn raise_flag(&self, array: &ArrayAccess, name: &str) -> PortResult<()> {
        self.put_flag_up(array, name).await
    }

    async fn is_flag_up(&self, array: &ArrayAccess, name: &str) -> PortResult<bool> {
        self.see_flag(array, name).await
    }

    async fn lower_flag(&self, array: &ArrayAccess, name: &str) -> PortResult<()> {
        self.take_flag_down(array, name).await
    }
}
