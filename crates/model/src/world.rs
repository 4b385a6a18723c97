//! All that is, and all that was ever said.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use protector_domain::{Bundle, Document, Group, Receipt, Stamp, Statement};

use crate::group::{self, Side};

/// What a site has said, for whoever carries it.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Statement(Statement),
    Bundle(Box<Bundle>),
    Receipt(Receipt),
}

impl Said {
    fn key(&self, by: Side) -> String {
        match self {
            Said::Statement(said) => {
                let intent = said.open_intent.as_ref().map(|intent| intent.operation_id.0);
                format!(
                    "{by:?} {} {} {:?} {intent:?}",
                    said.group_id, said.nonce, said.stamp
                )
            }
            Said::Bundle(said) => format!("{by:?} {} {}", said.group_id, said.checksum.0),
            Said::Receipt(said) => format!("{by:?} received {} {}", said.group_id, said.checksum.0),
        }
    }
}

/// One group at one site.
#[derive(Debug, Clone, PartialEq)]
pub struct Copy {
    pub group: Group,
    /// Given out and not used up yet.
    pub nonces: BTreeSet<u8>,
    pub next_nonce: u8,
}

#[derive(Debug, Clone, PartialEq)]
pub struct World {
    /// By group, then by site.
    pub copies: Vec<[Copy; 2]>,
    pub said: Vec<(Side, Said)>,
    /// Every document that a site has written, by group and stamp.
    pub written: BTreeMap<(usize, Stamp), String>,
    /// Changes that both sites had, by the mark that each leaves.
    pub confirmed: BTreeSet<(usize, char)>,
    /// Somebody forced a takeover of this group.
    pub forced: BTreeSet<usize>,
    /// One stamp, two documents.
    pub forked: bool,
    pub edits: u8,
    pub plans: u8,
    pub takeovers: u8,
}

impl World {
    pub fn new(groups: usize) -> World {
        let copy = |number| Copy {
            group: group::new(number),
            nonces: BTreeSet::new(),
            next_nonce: 0,
        };
        World {
            copies: (0..groups).map(|number| [copy(number), copy(number)]).collect(),
            said: Vec::new(),
            written: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            forced: BTreeSet::new(),
            forked: false,
            edits: 0,
            plans: 0,
            takeovers: 0,
        }
    }

    pub fn copy(&self, group: usize, side: Side) -> &Copy {
        &self.copies[group][side as usize]
    }

    pub fn copy_mut(&mut self, group: usize, side: Side) -> &mut Copy {
        &mut self.copies[group][side as usize]
    }

    /// Once said it can be carried for ever.
    pub fn say(&mut self, by: Side, said: Said) {
        let said = (by, said);
        if !self.said.contains(&said) {
            self.said.push(said);
        }
    }

    /// Notes what a site has written, and says it.
    pub fn write(&mut self, group: usize, side: Side) {
        let document = self.copy(group, side).group.document.clone();
        let text = text(&document);
        let before = self
            .written
            .entry((group, document.stamp))
            .or_insert_with(|| text.clone());
        self.forked |= *before != text;
        let bundle = pack(&document, side);
        self.say(side, Said::Bundle(Box::new(bundle)));
    }

    /// What makes two worlds the same: the order in which things were said doesn't.
    fn key(&self) -> String {
        let copies: Vec<_> = self
            .copies
            .iter()
            .flatten()
            .map(|copy| {
                (
                    text(&copy.group.document),
                    copy.group.status.as_str(),
                    copy.group.sync.status.as_str(),
                    format!("{:?} {:?}", copy.group.sync.peer, copy.nonces),
                )
            })
            .collect();
        let said: BTreeSet<String> = self.said.iter().map(|(by, said)| said.key(*by)).collect();
        format!(
            "{copies:?} {said:?} {:?} {:?} {:?} {} {} {}",
            self.confirmed, self.forced, self.forked, self.edits, self.plans, self.takeovers
        )
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

pub fn text(document: &Document) -> String {
    serde_json::to_string(document).unwrap_or_default()
}

pub fn pack(document: &Document, side: Side) -> Bundle {
    #[expect(clippy::expect_used, reason = "a document is JSON")]
    Bundle::pack(document, side.id(), serde_json::Value::Null).expect("a bundle")
}
