//! An edit that never crossed, after the other site has taken the group over: what it changed, and how that stands now.
//!
//! It is told against the version that both sites had before it, not against the one that won: the winner may have
//! been changed since, and what was changed there must not look as if it had been lost here.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::document::{Document, Intent, IntentState, SiteRef, Stamp};
use crate::mapping::Mappings;
use crate::member::Member;
use crate::policy::Policy;

/// The version that was superseded, and what it changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostEdit {
    /// As this site held it. No secret is in it: array tokens never were in documents.
    pub document: Document,
    /// `None` where the version before it isn't known: it was written by a release that didn't keep that.
    pub changes: Option<Vec<Change>>,
}

/// One thing that an edit changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    Name {
        from: String,
        to: String,
    },
    Description {
        from: String,
        to: String,
    },
    /// One line of one of the mappings; `None` where there was, or was to be, none.
    Mapping {
        of: Mapped,
        source: String,
        from: Option<String>,
        to: Option<String>,
    },
    MemberAdded {
        member: Member,
    },
    MemberRemoved {
        member: Member,
    },
    /// By an operation that moved it.
    MemberMoved {
        from: Member,
        to: Member,
    },
    Policy {
        from: Option<Policy>,
        to: Option<Policy>,
    },
    /// Announced or concluded, as its state says.
    Operation {
        intent: Intent,
    },
    /// Where the group runs.
    Primary {
        from: SiteRef,
        to: SiteRef,
    },
    /// Of what no call changes.
    Other {
        field: String,
    },
}

/// Which of a group's mappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mapped {
    Networks,
    Flavors,
    SecurityGroups,
    Keypairs,
    AvailabilityZones,
}

/// What a document that is valid says about a change that was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has it, by whatever way.
    There,
    /// It is as it was before the change.
    Missing,
    /// It was changed since, to something else.
    Overwritten,
}

impl Mapped {
    const ALL: [Mapped; 5] = [
        Self::Networks,
        Self::Flavors,
        Self::SecurityGroups,
        Self::Keypairs,
        Self::AvailabilityZones,
    ];

    fn lines(self, mappings: &Mappings) -> &BTreeMap<String, String> {
        match self {
            Self::Networks => &mappings.networks,
            Self::Flavors => &mappings.flavors,
            Self::SecurityGroups => &mappings.security_groups,
            Self::Keypairs => &mappings.keypairs,
            Self::AvailabilityZones => &mappings.availability_zones,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Networks => "network",
            Self::Flavors => "flavor",
            Self::SecurityGroups => "security group",
            Self::Keypairs => "keypair",
            Self::AvailabilityZones => "availability zone",
        }
    }
}

impl LostEdit {
    /// `common` is the version that both sites had last.
    pub fn since(common: Option<&Document>, lost: Document) -> LostEdit {
        let changes = match common {
            Some(common) => Some(changes(common, &lost)),
            // A site that took the group over holds at least its first version.
            None if lost.stamp == Stamp::FIRST => Some(Vec::new()),
            None => None,
        };
        LostEdit {
            document: lost,
            changes,
        }
    }

    pub fn stamp(&self) -> Stamp {
        self.document.stamp
    }

    /// Whether a document has all that the edit changed. Of an edit whose changes aren't known nobody can say that.
    pub fn is_in(&self, document: &Document) -> bool {
        self.changes.as_ref().is_some_and(|changes| {
            changes
                .iter()
                .all(|change| change.standing(document) == Standing::There)
        })
    }
}

/// What one version has otherwise than the one before. Bookkeeping, such as the version's number, is no change.
fn changes(from: &Document, to: &Document) -> Vec<Change> {
    // Taken apart, so that a new field can't be forgotten here.
    let Document {
        group_id: _,
        stamp: _,
        name,
        description,
        replication_type,
        primary_site,
        secondary_site,
        current_primary_site_id,
        projects,
        volume_types,
        members: _,
        mappings,
        policy,
        intents,
        failover_count: _,
        modified_at: _,
    } = to;
    let mut found = Vec::new();
    if *name != from.name {
        found.push(Change::Name {
            from: from.name.clone(),
            to: name.clone(),
        });
    }
    if *description != from.description {
        found.push(Change::Description {
            from: from.description.clone(),
            to: description.clone(),
        });
    }
    found.extend(mapping_changes(&from.mappings, mappings));
    found.extend(member_changes(from, to));
    if !same_policy(policy.as_ref(), from.policy.as_ref()) {
        found.push(Change::Policy {
            from: from.policy.clone(),
            to: policy.clone(),
        });
    }
    let news = intents.iter().filter(|intent| !from.intents.contains(intent));
    found.extend(news.cloned().map(|intent| Change::Operation { intent }));
    if *current_primary_site_id != from.current_primary_site_id {
        found.push(Change::Primary {
            from: from.current_primary().clone(),
            to: to.current_primary().clone(),
        });
    }
    let fixed = [
        ("replication_type", *replication_type != from.replication_type),
        ("primary_site", *primary_site != from.primary_site),
        ("secondary_site", *secondary_site != from.secondary_site),
        ("projects", *projects != from.projects),
        ("volume_types", *volume_types != from.volume_types),
    ];
    let other = fixed.into_iter().filter(|(_, differs)| *differs);
    found.extend(other.map(|(field, _)| Change::Other {
        field: field.to_owned(),
    }));
    found
}

fn mapping_changes(from: &Mappings, to: &Mappings) -> Vec<Change> {
    let mut found = Vec::new();
    for of in Mapped::ALL {
        let (before, after) = (of.lines(from), of.lines(to));
        let gone = before.keys().filter(|source| !after.contains_key(*source));
        for source in after.keys().chain(gone) {
            let (from, to) = (before.get(source).cloned(), after.get(source).cloned());
            if from != to {
                found.push(Change::Mapping {
                    of,
                    source: source.clone(),
                    from,
                    to,
                });
            }
        }
    }
    found
}

fn member_changes(from: &Document, to: &Document) -> Vec<Change> {
    let now = to
        .members
        .iter()
        .filter_map(|member| match from.member(member.id) {
            None => Some(Change::MemberAdded {
                member: member.clone(),
            }),
            Some(before) if before != member => Some(Change::MemberMoved {
                from: before.clone(),
                to: member.clone(),
            }),
            Some(_) => None,
        });
    let gone = from
        .members
        .iter()
        .filter(|member| to.member(member.id).is_none());
    now.chain(gone.map(|member| Change::MemberRemoved {
        member: member.clone(),
    }))
    .collect()
}

/// One that was made again has another id and may say the same.
fn same_policy(one: Option<&Policy>, other: Option<&Policy>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            *one == Policy {
                id: one.id,
                ..other.clone()
            }
        }
        (None, None) => true,
        _ => false,
    }
}

impl Change {
    pub fn standing(&self, now: &Document) -> Standing {
        match self {
            Self::Name { from, to } => standing(&now.name, from, to),
            Self::Description { from, to } => standing(&now.description, from, to),
            Self::Mapping { of, source, from, to } => {
                let line = of.lines(&now.mappings).get(source);
                standing(&line, &from.as_ref(), &to.as_ref())
            }
            Self::MemberAdded { member } => {
                let mut held = now.members.iter();
                there_if(held.any(|one| one.instance_id == member.instance_id))
            }
            Self::MemberRemoved { member } => there_if(now.member(member.id).is_none()),
            Self::MemberMoved { from, to } => standing(&now.member(from.id), &Some(from), &Some(to)),
            Self::Policy { from, to } => {
                let held = now.policy.as_ref();
                match same_policy(held, to.as_ref()) {
                    true => Standing::There,
                    false if same_policy(held, from.as_ref()) => Standing::Missing,
                    false => Standing::Overwritten,
                }
            }
            Self::Operation { intent } => {
                let mut known = now.intents.iter();
                match known.find(|one| one.operation_id == intent.operation_id) {
                    Some(one) if one == intent => Standing::There,
                    // Announced, as it was before it ended; or as if it had never been.
                    Some(Intent {
                        state: IntentState::Open,
                        ..
                    })
                    | None => Standing::Missing,
                    Some(_) => Standing::Overwritten,
                }
            }
            Self::Primary { from, to } => standing(&now.current_primary_site_id, &from.id, &to.id),
            Self::Other { .. } => Standing::Missing,
        }
    }
}

fn standing<T: PartialEq>(now: &T, from: &T, to: &T) -> Standing {
    if now == to {
        Standing::There
    } else if now == from {
        Standing::Missing
    } else {
        Standing::Overwritten
    }
}

fn there_if(there: bool) -> Standing {
    match there {
        true => Standing::There,
        false => Standing::Missing,
    }
}

/// In few words; the values stand beside them.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { .. } => f.write_str("name"),
            Self::Description { .. } => f.write_str("description"),
            Self::Mapping { of, source, .. } => write!(f, "mapping of {} '{source}'", of.word()),
            Self::MemberAdded { member } => write!(f, "member {} added", member.instance_name),
            Self::MemberRemoved { member } => write!(f, "member {} removed", member.instance_name),
            Self::MemberMoved { to, .. } => write!(f, "server of member {}", to.instance_name),
            Self::Policy { .. } => f.write_str("replication policy"),
            Self::Operation { intent } => {
                let state = match intent.state {
                    IntentState::Open => "announced",
                    IntentState::Closed(_) => "ended",
                };
                write!(f, "{} {} {state}", intent.kind.as_str(), intent.operation_id)
            }
            Self::Primary { to, .. } => write!(f, "the group runs at {}", to.name),
            Self::Other { field } => f.write_str(field),
        }
    }
}

#[cfg(test)]
mod tests;
