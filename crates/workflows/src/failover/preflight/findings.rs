//! What stands in the way, gathered so that all of it is told at once.

use protector_domain::{Check, Finding, Member, Severity};
use protector_saga::{FailureClass, StepFailure};

use crate::failure::{StepResult, permanent};

/// So many reasons are told in one message; the call that only looks tells them all.
const TOLD: usize = 5;

/// Why a look didn't end well.
pub(in crate::failover) enum Obstacle {
    /// Something isn't as it has to be.
    Found(Finding),
    /// It couldn't be looked at.
    Failed(StepFailure),
}

impl From<StepFailure> for Obstacle {
    fn from(failure: StepFailure) -> Self {
        Self::Failed(failure)
    }
}

pub(in crate::failover) type Looked<T> = Result<T, Obstacle>;

/// Something that isn't as it has to be.
pub(in crate::failover) fn found(
    check: Check,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Obstacle {
    Obstacle::Found(Finding::blocker(check, message, remedy))
}

#[derive(Default)]
pub(in crate::failover) struct Findings(pub(in crate::failover) Vec<Finding>);

impl Findings {
    /// What was looked at, or a note of why it isn't as it has to be.
    pub(in crate::failover) fn note<T>(&mut self, looked: Looked<T>) -> StepResult<Option<T>> {
        match looked {
            Ok(seen) => Ok(Some(seen)),
            Err(Obstacle::Found(finding)) => {
                self.0.push(finding);
                Ok(None)
            }
            Err(Obstacle::Failed(failure)) => Err(failure),
        }
    }

    /// The same for one member: what nobody will ever be told of it holds up that member alone.
    pub(in crate::failover) fn note_of<T>(
        &mut self,
        member: &Member,
        check: Check,
        looked: Looked<T>,
    ) -> StepResult<Option<T>> {
        let finding = match looked {
            Ok(seen) => return Ok(Some(seen)),
            Err(Obstacle::Found(finding)) => finding,
            Err(Obstacle::Failed(failure)) if failure.class == FailureClass::Permanent => {
                Finding::blocker(check, failure.message, "")
            }
            Err(Obstacle::Failed(failure)) => return Err(failure),
        };
        self.0.push(finding.of(member.id, &member.instance_name));
        Ok(None)
    }

    pub(in crate::failover) fn blockers(&self) -> impl Iterator<Item = &Finding> {
        self.0
            .iter()
            .filter(|finding| finding.severity == Severity::Blocker)
    }

    pub(in crate::failover) fn warnings(&self) -> Vec<Finding> {
        let warns = |finding: &&Finding| finding.severity == Severity::Warning;
        self.0.iter().filter(warns).cloned().collect()
    }

    /// Fails with all that stands in the way.
    pub(in crate::failover) fn refuse(&self) -> StepResult<()> {
        let mut told: Vec<String> = Vec::new();
        for finding in self.blockers() {
            let text = finding.told();
            // One missing network holds up many members.
            if !told.contains(&text) {
                told.push(text);
            }
        }
        let more = told.len().saturating_sub(TOLD);
        match told.as_slice() {
            [] => Ok(()),
            [one] => Err(permanent(one.clone())),
            several => {
                let shown: Vec<String> = several
                    .iter()
                    .take(TOLD)
                    .enumerate()
                    .map(|(index, text)| format!("({}) {text}", index + 1))
                    .collect();
                let rest = match more {
                    0 => String::new(),
                    more => format!(
                        " And {more} more: `openstack protector protection-group preflight` lists them all."
                    ),
                };
                Err(permanent(format!(
                    "{} things stand in the way: {}{rest}",
                    several.len(),
                    shown.join(" ")
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_stands_in_the_way_is_told_once() {
        let mut findings = Findings::default();
        assert!(findings.refuse().is_ok());
        findings
            .0
            .push(Finding::warning(Check::Quota, "Little is left.", "Ask for more."));
        assert!(findings.refuse().is_ok());
        let network = Finding::blocker(Check::Network, "No network.", "Map it.");
        findings.0.extend([network.clone(), network]);
        assert_eq!(findings.refuse().unwrap_err().message, "No network. Map it.");
        for number in 0..9 {
            findings.0.push(Finding::blocker(
                Check::Flavor,
                format!("No flavor {number}."),
                "",
            ));
        }
        let told = findings.refuse().unwrap_err().message;
        assert!(
            told.starts_with("10 things stand in the way: (1) No network. Map it. (2) No flavor 0."),
            "{told}"
        );
        assert!(told.contains("And 5 more"), "{told}");
        assert_eq!(findings.warnings().len(), 1);
    }
}
