//! What a volume holds, told cheaply: where a guest wrote, and which words.
//!
//! Real blocks would prove nothing more: a test needs to know *which* data a recovered disk has, from which
//! instant, and whether the disks of one group come from the same instant. Every write takes the next number
//! of one sequence for the whole fabric, so a crash-consistent set of disks holds a prefix of that sequence.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What a write stands for, if nobody says otherwise: it decides how long a replication takes.
pub(super) const BYTES_OF_A_WRITE: u64 = 1024 * 1024;

/// The longest marker; this is a model, not a disk.
pub(super) const MAX_MARKER: usize = 64 * 1024;

/// The newest write at one place of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The place of the write in the fabric's one sequence.
    pub sequence: u64,
    /// What was written.
    pub marker: String,
    /// How much data that stands for.
    pub bytes: u64,
}

/// The content of a volume or snapshot. Copies share it until one of them is written to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Content(Arc<BTreeMap<u64, Block>>);

impl Content {
    /// Write at an offset, or behind everything that is there.
    pub fn write(&mut self, offset: Option<u64>, block: Block) {
        let blocks = Arc::make_mut(&mut self.0);
        let behind = blocks.last_key_value().map_or(0, |(last, _)| last + 1);
        blocks.insert(offset.unwrap_or(behind), block);
    }

    /// What a guest would read, by offset.
    #[must_use]
    pub fn blocks(&self) -> &BTreeMap<u64, Block> {
        &self.0
    }

    /// The markers in the order of their offsets.
    #[must_use]
    pub fn markers(&self) -> Vec<String> {
        self.0.values().map(|block| block.marker.clone()).collect()
    }

    /// Equal for equal data, whatever its history.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (offset, block) in self.0.iter() {
            hash.update(offset.to_be_bytes());
            hash.update((block.marker.len() as u64).to_be_bytes());
            hash.update(block.marker.as_bytes());
        }
        hash.finalize()
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
    }

    /// How much data has to be sent to somebody who has `base` already.
    #[must_use]
    pub fn bytes_since(&self, base: Option<&Self>) -> u64 {
        let unchanged = |offset: &u64, block: &Block| {
            base.and_then(|base| base.0.get(offset))
                .is_some_and(|old| old.sequence == block.sequence)
        };
        self.0
            .iter()
            .filter(|(offset, block)| !unchanged(offset, block))
            .map(|(_, block)| block.bytes)
            .sum()
    }

    /// The content as the control interface shows it.
    #[must_use]
    pub fn view(&self) -> Value {
        let blocks: Vec<Value> = self
            .0
            .iter()
            .map(|(offset, block)| {
                json!({"offset": offset, "sequence": block.sequence, "marker": block.marker, "bytes": block.bytes})
            })
            .collect();
        json!({"markers": self.markers(), "digest": self.digest(), "blocks": blocks})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(sequence: u64, marker: &str) -> Block {
        Block {
            sequence,
            marker: marker.to_owned(),
            bytes: 10,
        }
    }

    #[test]
    fn a_copy_keeps_what_it_had() {
        let mut volume = Content::default();
        volume.write(None, block(1, "one"));
        let copy = volume.clone();
        volume.write(Some(0), block(2, "changed"));
        volume.write(None, block(3, "two"));
        assert_eq!(copy.markers(), ["one"]);
        assert_eq!(volume.markers(), ["changed", "two"]);
        assert_ne!(copy.digest(), volume.digest());
        assert_eq!(volume.bytes_since(Some(&copy)), 20);
        assert_eq!(volume.bytes_since(None), 20);
        assert_eq!(copy.bytes_since(Some(&copy)), 0);
    }
}
