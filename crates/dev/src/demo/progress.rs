//! What a failover says of itself while it goes on, and when it has ended.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use chrono::DateTime;
use protector_relay::{Operation, StepView};

use crate::screen::Screen;

/// Has work only for a member that could not be brought up, and of that its reason is told.
const SILENT: &str = "give up";

/// Says of an operation what it hasn't said before.
#[derive(Default)]
pub(crate) struct Progress {
    told: BTreeSet<String>,
}

impl Progress {
    /// Say which kinds of step have ended since the last look, and what failed.
    pub(crate) fn show(&mut self, screen: &mut Screen, now: &Operation) {
        for step in &now.steps {
            let reason = step.error.as_ref().and_then(|error| error["message"].as_str());
            if let Some(reason) = reason
                && self.told.insert(format!("{} {reason}", step.name))
            {
                screen.step(&format!("  {} {}: {reason}", step.name, step.state));
            }
            let kind = kind_of(step);
            let same: Vec<&StepView> = now.steps.iter().filter(|other| kind_of(other) == kind).collect();
            let done = same.iter().all(|step| step.state == "done");
            if done && kind != SILENT && self.told.insert(kind.clone()) {
                let times = if step.name.contains('/') {
                    format!(" ({})", same.len())
                } else {
                    String::new()
                };
                let phase = step.phase.as_deref().unwrap_or_default().replace('_', " ");
                screen.step(&format!("  {phase}: {kind}{times}"));
            }
        }
        let current = now.current_step.as_deref().unwrap_or(&now.status);
        screen.bar(now.progress, current);
    }
}

/// What a step does, without which member or volume it does it to.
fn kind_of(step: &StepView) -> String {
    step.name.split('/').next().unwrap_or_default().replace('-', " ")
}

/// An error unless the operation has brought everybody over.
pub(crate) fn completed(operation: &Operation) -> Result<()> {
    if operation.outcome.as_deref() != Some("completed") {
        bail!(
            "the failover ended {} ({}): {}",
            operation.status,
            operation.outcome.as_deref().unwrap_or("no outcome"),
            operation.error_message.as_deref().unwrap_or("no reason given")
        );
    }
    Ok(())
}

/// From the order to the end of the step that waits for a member's server, in seconds.
pub(crate) fn active_after(operation: &Operation, member: &str) -> Option<f64> {
    let step = operation
        .steps
        .iter()
        .find(|step| step.name == format!("boot-server/{member}"))?;
    let moment = |text: &Option<String>| DateTime::parse_from_rfc3339(text.as_deref()?).ok();
    let passed = moment(&step.completed_at)? - moment(&operation.created_at)?;
    Some(passed.num_milliseconds() as f64 / 1000.0)
}
