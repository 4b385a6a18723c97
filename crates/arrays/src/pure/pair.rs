//! Who the two arrays are, and whether they replicate to each other.

use std::sync::PoisonError;
use std::time::Duration;

use protector_flasharray as fa;
use protector_ports::array::{ArrayAccess, ArrayIdentity, ArrayPair};
use protector_ports::{Kind, PortError, PortResult};
use tokio::time::Instant;

use super::PureDriver;
use crate::failure::{Explain, conflict, no_address};
use crate::names;

/// An array that was renamed is noticed after this long at the latest.
const FRESH: Duration = Duration::from_secs(60);

/// Both arrays of a pair, known to be connected.
pub(super) struct Ends {
    pub source: fa::Array,
    pub target: fa::Array,
    pub source_name: String,
    pub target_name: String,
}

impl Ends {
    /// What the target calls a group of the source.
    pub fn on_target(&self, group: &str) -> String {
        names::on_target(&self.source_name, group)
    }
}

impl PureDriver {
    pub(super) fn handle(&self, access: &ArrayAccess) -> PortResult<fa::Array> {
        self.client
            .array(&access.url, &access.token, access.timeout)
            .map_err(|error| no_address(&access.url, error))
    }

    pub(super) async fn read_identity(&self, access: &ArrayAccess) -> PortResult<ArrayIdentity> {
        let array = self.handle(access)?;
        let info = array.info().await.explain(&array, "say who it is")?;
        let identity = ArrayIdentity {
            id: info.id,
            name: info.name,
            version: info.version.unwrap_or_default(),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(access.url.clone(), (identity.clone(), Instant::now()));
        Ok(identity)
    }

    fn remembered(&self, access: &ArrayAccess, longest: Option<Duration>) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, seen) = known.get(&access.url)?;
        longest
            .is_none_or(|longest| seen.elapsed() < longest)
            .then(|| identity.name.clone())
    }

    /// The array's name; `None` while it is out of reach and was never heard of.
    pub(super) async fn name_if_known(&self, access: &ArrayAccess) -> PortResult<Option<String>> {
        if let Some(name) = self.remembered(access, Some(FRESH)) {
            return Ok(Some(name));
        }
        match self.read_identity(access).await {
            Ok(identity) => Ok(Some(identity.name)),
            Err(error) if error.is(Kind::Unavailable) => Ok(self.remembered(access, None)),
            Err(error) => Err(error),
        }
    }

    /// The source's name, for a question that only the target has to answer. A source that is out of reach is
    /// known by the group that it once sent.
    pub(super) async fn source_name(
        &self,
        pair: &ArrayPair,
        target: &fa::Array,
        group: &str,
    ) -> PortResult<String> {
        if let Some(name) = &pair.lost_source {
            return Ok(name.clone());
        }
        if let Some(name) = self.name_if_known(&pair.source).await? {
            return Ok(name);
        }
        self.sender_of(target, group).await
    }

    /// The array whose group the target receives, as the target itself knows it.
    pub(super) async fn sender_of(&self, target: &fa::Array, group: &str) -> PortResult<String> {
        let what = format!("look for the replica of the protection group {group}");
        let found = target.replicated_groups(group).await.explain(target, what)?;
        let mut sources: Vec<&str> = found
            .iter()
            .filter_map(|group| Some(group.name.rsplit_once(':')?.0))
            .collect();
        sources.sort_unstable();
        match sources.as_slice() {
            [one] => Ok((*one).to_owned()),
            [] => Err(PortError::retryable(format!(
                "The other site's array is out of reach, and the array {} holds nothing of its protection group {group}.",
                target.host()
            ))),
            several => Err(conflict(format!(
                "The array {} holds protection groups called {group} of several arrays ({}), and the other site's is \
                 out of reach and can't say which is its own.",
                target.host(),
                several.join(", ")
            ))),
        }
    }

    /// Asks both arrays who they are and whether each sees the other.
    pub(super) async fn connected(&self, pair: &ArrayPair) -> PortResult<Ends> {
        let (source, target) = (self.handle(&pair.source)?, self.handle(&pair.target)?);
        let (from, to) =
            tokio::try_join!(self.read_identity(&pair.source), self.read_identity(&pair.target))?;
        if from.id == to.id {
            let message = format!(
                "{} and {} are the same array, {}, which can't replicate to itself.",
                source.host(),
                target.host(),
                from.name
            );
            return Err(conflict(message));
        }
        tokio::try_join!(sees(&source, &from, &to), sees(&target, &to, &from))?;
        Ok(Ends {
            source,
            target,
            source_name: from.name,
            target_name: to.name,
        })
    }
}

/// Whether `array` has a working connection to `peer`.
async fn sees(array: &fa::Array, own: &ArrayIdentity, peer: &ArrayIdentity) -> PortResult<()> {
    let connections = array
        .connections()
        .await
        .explain(array, "list its array connections")?;
    let of_peer: Vec<_> = connections
        .iter()
        .filter(|connection| match &connection.id {
            Some(id) => *id == peer.id,
            None => connection.name.as_deref() == Some(peer.name.as_str()),
        })
        .collect();
    if of_peer.iter().any(|connection| connection.replicates()) {
        return Ok(());
    }
    let (host, own, peer) = (array.host(), &own.name, &peer.name);
    match of_peer.first() {
        None => Err(conflict(format!(
            "The array {own} ({host}) has no array connection to {peer}; connect the two for asynchronous replication."
        ))),
        Some(connection) => Err(PortError::retryable(format!(
            "The array connection from {own} ({host}) to {peer} is '{}' and replicates nothing.",
            connection.status.as_deref().unwrap_or("unknown")
        ))),
    }
}
