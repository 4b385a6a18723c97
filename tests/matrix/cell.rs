//! The cells: what is hit where, and their names.

use anyhow::{Context, Result};

use crate::kind::Kind;

/// Where in the course of a step.
pub const POINTS: [&str; 4] = ["before-intent", "before-call", "after-call", "after-outcome"];

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// The engine is killed and started again.
    Kill,
    /// The engine sleeps for longer than its lease; another one takes over, and the first one wakes up.
    Sleep,
    /// The journal refuses the write; the step fails for good.
    Error,
    /// It has its effect, and the answer is lost.
    Lost,
    /// The step runs twice in a row.
    Twice,
}

impl Blow {
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "sigkill",
            Self::Sleep => "sigstop",
            Self::Error => "error",
            Self::Lost => "lost",
            Self::Twice => "twice",
        }
    }

    /// What the engine is told to do.
    pub fn action(self) -> &'static str {
        match self {
            Self::Kill | Self::Sleep => "stop",
            Self::Error => "error",
            Self::Lost => "lost",
            Self::Twice => "twice",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub kind: Kind,
    /// The step, with `m0`, `m1`, ... for ids.
    pub step: String,
    /// The step that fails, so that everything is taken back; then `step` is hit on its way back.
    pub fails: Option<String>,
    pub point: &'static str,
    pub blow: Blow,
}

impl Cell {
    /// Such as `planned-failover:undo:boot-server/m0@before-call=sigkill`.
    pub fn name(&self) -> String {
        let undo = if self.fails.is_some() { "undo:" } else { "" };
        format!(
            "{}:{undo}{}@{}={}",
            self.kind.name(),
            self.step,
            self.point,
            self.blow.word()
        )
    }

    /// What stays because nobody can know whose it is: a keypair bears no mark, and whether this operation made it was
    /// in the record that is lost here. The operation lists it as in doubt.
    pub fn stays_in_doubt(&self) -> &'static [&'static str] {
        let record_lost = self.blow == Blow::Error && self.point == "after-call" && self.fails.is_none();
        match (self.step == "create-keypairs" && record_lost, self.kind) {
            (false, _) => &[],
            (true, Kind::FailoverBack) => &["site-a/compute/keypairs/"],
            (true, _) => &["site-b/compute/keypairs/"],
        }
    }

    /// An error that the step itself answers.
    pub fn fails_for_good(&self) -> bool {
        self.blow == Blow::Error && self.point.ends_with("-call")
    }
}

/// What an undisturbed run and one that was taken back have shown of an operation.
#[derive(Clone, Debug)]
pub struct Course {
    pub kind: Kind,
    /// In the order in which they ran.
    pub steps: Vec<String>,
    /// The last step whose failure takes everything back, if there is one.
    pub turns_at: Option<String>,
    /// What is taken back then.
    pub undone: Vec<String>,
}

impl Course {
    /// Every step, forward and back, at every point, with every blow.
    pub fn cells(&self) -> Vec<Cell> {
        let forward = self.steps.iter().map(|step| (step, None));
        let back = self.undone.iter().map(|step| (step, self.turns_at.clone()));
        let mut cells = Vec::new();
        for (step, fails) in forward.chain(back) {
            let mut add = |point, blow| {
                cells.push(Cell {
                    kind: self.kind,
                    step: step.clone(),
                    fails: fails.clone(),
                    point,
                    blow,
                });
            };
            for point in POINTS {
                for blow in [Blow::Kill, Blow::Sleep, Blow::Error, Blow::Lost] {
                    add(point, blow);
                }
            }
            add("before-call", Blow::Twice);
        }
        cells
    }
}

/// A tenth, the same one every time: of every step another point and blow, so that all meet all.
pub fn tenth(cells: Vec<Cell>) -> Vec<Cell> {
    // Seventeen cells a step, so every tenth of them walks through all of them.
    cells.into_iter().step_by(10).collect()
}

/// Of a name's kind.
pub fn kind_of(name: &str) -> Result<Kind> {
    let kind = name.split(':').next().unwrap_or_default();
    let found = Kind::ALL.into_iter().find(|one| one.name() == kind);
    found.with_context(|| {
        let all: Vec<&str> = Kind::ALL.iter().map(|one| one.name()).collect();
        format!("'{kind}' is no operation; there are {}", all.join(", "))
    })
}
