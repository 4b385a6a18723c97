//! What the actors of one history share: the groups, what has been said so far, and the record.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::record::{Call, Document, Edit, Look, Record, Side};

/// Something that a site has said, for whoever carries it.
#[derive(Clone, Debug)]
pub struct Paper {
    pub group: usize,
    pub by: Side,
    pub kind: PaperKind,
    pub value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaperKind {
    Bundle,
    Receipt,
    Statement,
    Tombstone,
}

pub struct Scene {
    pub ids: Vec<String>,
    pub sites: [String; 2],
    begun: Instant,
    papers: Mutex<Vec<Paper>>,
    record: Mutex<Record>,
}

impl Scene {
    pub fn new(sites: [String; 2], record: Record) -> Arc<Self> {
        Arc::new(Self {
            ids: record.groups.iter().map(|group| group.id.clone()).collect(),
            sites,
            begun: Instant::now(),
            papers: Mutex::new(Vec::new()),
            record: Mutex::new(record),
        })
    }

    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn called(&self, call: Call) {
        self.record().calls.push(call);
    }

    /// Somebody has a bundle of a site in hand, asked for at this time.
    pub fn looked(&self, group: usize, side: Side, begun: Duration, bundle: &Value) -> Option<Document> {
        let document = Document::read(&bundle["document"], &self.sites)?;
        self.record().groups[group].looks.push(Look {
            side,
            begun,
            ended: self.now(),
            document: document.clone(),
        });
        Some(document)
    }

    /// A new edit, and where it stands in the record.
    pub fn edit(&self, group: usize, mark: &str, renames: Option<String>) -> usize {
        let edits = &mut self.record().groups[group].edits;
        edits.push(Edit {
            mark: mark.to_owned(),
            renames,
            sent: Vec::new(),
        });
        edits.len() - 1
    }

    pub fn keep(&self, paper: Paper) {
        self.papers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(paper);
    }

    /// All bundles of a group that clients have had in hand.
    pub fn bundles(&self, group: usize) -> Vec<Value> {
        let papers = self.papers.lock().unwrap_or_else(PoisonError::into_inner);
        let bundles = papers
            .iter()
            .filter(|paper| paper.group == group && paper.kind == PaperKind::Bundle);
        bundles.map(|paper| paper.value.clone()).collect()
    }

    /// One of the papers about a group, if there is such a one.
    pub fn paper(&self, group: usize, number: u64, wanted: impl Fn(PaperKind) -> bool) -> Option<Paper> {
        let papers = self.papers.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting: Vec<&Paper> = papers
            .iter()
            .filter(|paper| paper.group == group && wanted(paper.kind))
            .collect();
        let place = usize::try_from(number % (fitting.len().max(1) as u64)).unwrap_or_default();
        fitting.get(place).map(|paper| (*paper).clone())
    }
}
