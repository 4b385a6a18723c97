//! What was seen and said in a history.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    A,
    B,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::A, Side::B];

    pub fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }

    /// Which of the two sites has this id.
    pub fn of(id: &Value, sites: &[String; 2]) -> Option<Side> {
        Side::BOTH
            .into_iter()
            .find(|side| id == sites[*side as usize].as_str())
    }
}

/// The order of all documents of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    pub epoch: u64,
    pub version: u64,
}

impl Stamp {
    pub fn read(value: &Value) -> Option<Stamp> {
        Some(Stamp {
            epoch: value["epoch"].as_u64()?,
            version: value["version"].as_u64()?,
        })
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.epoch, self.version)
    }
}

/// An operation as a document tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    pub operation: String,
    pub open: bool,
}

/// What a site holds of a group, as it hands it out.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub stamp: Stamp,
    /// Where the group runs, as this document says.
    pub primary: Side,
    /// What the edits have left in it, in their order: an edit appends its mark.
    pub marks: Vec<String>,
    pub name: String,
    pub intents: Vec<Intent>,
    /// All of it.
    pub content: Value,
}

impl Document {
    pub fn read(content: &Value, sites: &[String; 2]) -> Option<Document> {
        let mut marks: Vec<String> = content["description"]
            .as_str()?
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        let mapped = content["mappings"]["networks"].as_object();
        marks.extend(mapped.into_iter().flat_map(|networks| networks.keys().cloned()));
        let intents = content["intents"].as_array()?.iter().map(|intent| {
            Some(Intent {
                operation: intent["operation_id"].as_str()?.to_owned(),
                open: intent["state"]["state"] == "open",
            })
        });
        Some(Document {
            stamp: Stamp::read(content)?,
            primary: Side::of(&content["current_primary_site_id"], sites)?,
            marks,
            name: content["name"].as_str()?.to_owned(),
            intents: intents.collect::<Option<_>>()?,
            content: content.clone(),
        })
    }
}

/// Somebody looked at a group at a site.
#[derive(Clone, Debug)]
pub struct Look {
    pub side: Side,
    pub begun: Duration,
    pub ended: Duration,
    pub document: Document,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With the version that it made, where the answer says so.
    Acknowledged(Option<Stamp>),
    Refused,
    Unknown,
}

/// One edit by one client, with all the times that it was sent.
#[derive(Clone, Debug)]
pub struct Edit {
    pub mark: String,
    /// What the group is called after it.
    pub renames: Option<String>,
    pub sent: Vec<(Side, Outcome)>,
}

impl Edit {
    pub fn acknowledged(&self) -> usize {
        let sent = self.sent.iter();
        sent.filter(|(_, outcome)| matches!(outcome, Outcome::Acknowledged(_)))
            .count()
    }

    pub fn refused(&self) -> bool {
        self.sent.iter().all(|(_, outcome)| *outcome == Outcome::Refused)
    }
}

/// One call of a client and what came of it.
#[derive(Clone, Debug)]
pub struct Call {
    pub client: usize,
    pub begun: Duration,
    pub ended: Duration,
    pub what: String,
    pub side: Side,
    /// What the line did to it.
    pub fault: Option<String>,
    /// Without one nobody knows.
    pub status: Option<u16>,
    /// Where it was refused, and why.
    pub message: String,
}

/// A line of a site's sync log.
#[derive(Clone, Debug)]
pub struct Line {
    pub event: String,
    pub stamp: Option<Stamp>,
    pub message: String,
    /// The marks that it keeps of an edit that was lost.
    pub lost: Vec<String>,
}

impl Line {
    pub fn read(line: &Value) -> Line {
        let changes = line["lost_edit"]["changes"].as_array();
        Line {
            event: line["event"].as_str().unwrap_or_default().to_owned(),
            stamp: Stamp::read(line),
            message: line["message"].as_str().unwrap_or_default().to_owned(),
            lost: changes.into_iter().flatten().flat_map(marks).collect(),
        }
    }
}

/// What a change would have left in the group.
fn marks(change: &Value) -> Vec<String> {
    let words = |side: &str| -> Vec<String> {
        let text = change[side].as_str().unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    };
    match change["change"].as_str() {
        Some("description") => {
            let before = words("from");
            words("to")
                .into_iter()
                .filter(|mark| !before.contains(mark))
                .collect()
        }
        Some("mapping") => change["source"].as_str().map(str::to_owned).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// What a site has of a group when all is over.
#[derive(Clone, Debug)]
pub enum Ending {
    Gone,
    Held {
        document: Box<Document>,
        sync: String,
        /// Oldest first.
        log: Vec<Line>,
    },
}

/// All that is known of one group.
#[derive(Clone, Debug)]
pub struct Group {
    pub id: String,
    /// The document from which the clients began.
    pub first: Document,
    pub looks: Vec<Look>,
    pub edits: Vec<Edit>,
    /// In the beginning one site alone had it.
    pub fresh: bool,
    /// Somebody asked for its deletion.
    pub deleted: bool,
    /// Why the sites could not be brought together.
    pub apart: Option<String>,
    pub ends: [Ending; 2],
}

impl Group {
    pub fn new(id: String, first: Document) -> Self {
        Self {
            id,
            first,
            looks: Vec::new(),
            edits: Vec::new(),
            fresh: false,
            deleted: false,
            apart: None,
            ends: [Ending::Gone, Ending::Gone],
        }
    }

    pub fn log(&self, side: Side) -> &[Line] {
        match &self.ends[side as usize] {
            Ending::Gone => &[],
            Ending::Held { log, .. } => log,
        }
    }

    /// The operations that moved the group by force.
    pub fn forced(&self) -> BTreeSet<String> {
        let lines = Side::BOTH.iter().flat_map(|side| self.log(*side));
        lines
            .filter(|line| line.event == "begun")
            .filter_map(|line| line.message.strip_prefix("unplanned failover "))
            .filter_map(|rest| rest.split_whitespace().next())
            .map(str::to_owned)
            .collect()
    }
}

/// All that is known of a history.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub groups: Vec<Group>,
    pub calls: Vec<Call>,
    /// What a site took although no site had said it, or although the group is gone.
    pub wrongly_taken: Vec<String>,
    /// What the programs said of themselves: panics.
    pub panics: Vec<String>,
}
