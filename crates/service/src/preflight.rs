//! What an operation would find, without starting it.

use protector_domain::{Check, Finding, Group, GroupId, Mappings, Preflight, Work};

use crate::error::{Error, Result};
use crate::refusal::elsewhere;
use crate::{Caller, Service};

/// Whether the other site is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Planned,
    Unplanned,
}

impl Manner {
    pub const WORDS: [&'static str; 2] = ["planned", "unplanned"];

    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "planned" => Some(Self::Planned),
            "unplanned" => Some(Self::Unplanned),
            _ => None,
        }
    }
}

impl Service {
    pub async fn preflight(
        &self,
        caller: &Caller,
        group: GroupId,
        manner: Manner,
        mappings: &Mappings,
    ) -> Result<Preflight> {
        let group = self.own_group(caller, group).await?;
        let document = &group.document;
        if manner == Manner::Planned && document.current_primary_site_id != self.local_site() {
            return Err(elsewhere(document.current_primary()));
        }
        match self.work(&group, manner, mappings).await {
            Ok(work) => Ok(self.preflights.look(work).await),
            // It would be refused before anybody looks.
            Err(Error::Conflict { message, .. }) => Ok(Preflight {
                findings: vec![Finding::blocker(Check::Group, message, "")],
                ..Preflight::default()
            }),
            Err(other) => Err(other),
        }
    }

    async fn work(&self, group: &Group, manner: Manner, mappings: &Mappings) -> Result<Work> {
        match manner {
            Manner::Planned => {
                self.check_may_modify(group)?;
                self.check_fenced(group).await?;
                let order = self.planned_order(group, mappings)?;
                self.check_access(group, &self.directory).await?;
                Ok(Work::PlannedFailover(order))
            }
            Manner::Unplanned => {
                let order = self.unplanned_order(group, mappings).await?;
                self.check_own_secret(group, &self.directory).await?;
                Ok(Work::UnplannedFailover(order))
            }
        }
    }
}
