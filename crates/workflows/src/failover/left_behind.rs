//! What is still at the target site when an operation ends without having moved the group.
//!
//! The undo of every step has said by then that it is done. This looks once more, at everything that carries
//! the operation's mark: an empty list proves that the rollback left nothing, and whatever can't be removed by
//! any call is told to those who can do something about it.

use std::collections::BTreeSet;
use std::time::Duration;

use protector_domain::ProjectId;
use protector_ports::cloud::{Access, Server};
use protector_saga::State;
use serde::Serialize;
use serde_json::{Value, json};

use super::names::{OPERATION_KEY, operation_mark, transfer_prefix};
use super::stand_in::Hand;
use super::{Failover, split, step};
use crate::failure::{OrFail, StepResult, While, permanent};

/// The end of an operation waits for this look, so it is a short one.
const PATIENCE: Duration = Duration::from_secs(45);
/// So many are named in messages; `result_data` has them all.
const TOLD: usize = 10;
/// The kinds of the steps that make something at the target.
const MAKERS: [&str; 6] = [
    "clone-volume",
    "import-volume",
    "hand-over-volume",
    "create-ports",
    step::KEYPAIRS,
    "boot-server",
];

/// The status of what may as well be somebody else's.
pub(super) const IN_DOUBT: &str = "in_doubt";

/// One thing that is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remnant {
    /// `volume`, `transfer`, `port`, `keypair`, `server`, `array_volume`, `snapshot`.
    pub kind: &'static str,
    pub id: String,
    pub name: String,
    pub status: String,
    /// The site's name.
    pub site: String,
}

/// What the look has found.
#[derive(Debug)]
pub(super) enum LeftBehind {
    Known {
        site: String,
        found: Vec<Remnant>,
    },
    /// Nobody knows, and why.
    Unknown {
        site: String,
        reason: String,
    },
}

impl LeftBehind {
    /// As the operation's `result_data`.
    pub(super) fn result(&self) -> Value {
        match self {
            Self::Known { found, .. } => json!({ "left_behind": found }),
            Self::Unknown { reason, .. } => json!({ "left_behind": null, "left_behind_unknown": reason }),
        }
    }

    /// What is there, and what to do about it; `None` where nothing is.
    pub(super) fn told(&self) -> Option<String> {
        let (site, found) = match self {
            Self::Known { found, .. } if found.is_empty() => return None,
            Self::Known { site, found } => (site, found),
            Self::Unknown { site, reason } => {
                return Some(format!(
                    "Whether anything of it is left at site '{site}' is not known: {reason}"
                ));
            }
        };
        let mut named: Vec<String> = found.iter().take(TOLD).map(Remnant::told).collect();
        if found.len() > TOLD {
            named.push(format!("and {} more", found.len() - TOLD));
        }
        let mut text = format!("Left behind at site '{site}': {}.", named.join(", "));
        if found.iter().any(Remnant::is_a_dead_row) {
            text.push_str(" Cinder can't delete a volume that it never took over: nothing on the array belongs to it, no call removes it, and it counts in its project's quota until an administrator of Cinder deletes its row from the database.");
        }
        if found.iter().any(|remnant| remnant.status == IN_DOUBT) {
            text.push_str(" A keypair in doubt was not there when the operation began, and whether the operation or its user made it is not known.");
        }
        if found.iter().any(|remnant| !remnant.is_a_dead_row()) {
            text.push_str(" Delete by hand what nobody needs.");
        }
        Some(text)
    }
}

impl Remnant {
    fn told(&self) -> String {
        let Self {
            kind,
            id,
            name,
            status,
            ..
        } = self;
        let kind = kind.replace('_', " ");
        if name.is_empty() || name == id {
            format!("{kind} {id} ({status})")
        } else {
            format!("{kind} '{name}' {id} ({status})")
        }
    }

    /// Whether any call removes it, and nobody else may have made it.
    pub fn can_be_removed(&self) -> bool {
        !self.is_a_dead_row() && self.status != IN_DOUBT
    }

    /// A volume that was never on the array as far as Cinder knows, and that it failed to delete.
    fn is_a_dead_row(&self) -> bool {
        self.kind == "volume" && self.status == "error_deleting"
    }
}

impl Failover {
    /// Looks once, and not for long. Where nothing was begun there is nothing to look for.
    pub(super) async fn look_for_remnants(&self, state: &State) -> LeftBehind {
        let site = self.world.directory.site(self.order.target).await;
        let site = site.map_or_else(|_| self.order.target.to_string(), |site| site.name);
        let begun = state
            .steps()
            .any(|(node, step)| step.attempts > 0 && MAKERS.contains(&split(&node.name).0));
        if !begun {
            return LeftBehind::Known {
                site,
                found: Vec::new(),
            };
        }
        let looked = match tokio::time::timeout(PATIENCE, self.remnants(state, &site)).await {
            Ok(looked) => looked,
            Err(_) => Err(permanent(format!(
                "it could not be looked at within {} seconds",
                PATIENCE.as_secs()
            ))),
        };
        match looked {
            Ok(found) => LeftBehind::Known { site, found },
            Err(failure) => {
                let reason = failure.message;
                tracing::warn!(operation = %self.order.operation, reason, "what the operation left behind is not known");
                LeftBehind::Unknown { site, reason }
            }
        }
    }

    pub(super) async fn remnants(&self, state: &State, site: &str) -> StepResult<Vec<Remnant>> {
        let service = self.service(self.order.target).await?;
        let hand = self.hand(self.order.target).await?;
        // Others may write what they like into their descriptions; theirs is not ours to tell.
        let group = self.world.group(self.order.group).await?;
        let importer = self.world.cloud.owner(&service).await.or_fail()?.project_id;
        let ours: BTreeSet<ProjectId> = group
            .project(self.order.target)
            .cloned()
            .into_iter()
            .chain([importer])
            .collect();
        let remnant = |kind, id: String, name: String, status: String| Remnant {
            kind,
            id,
            name,
            status,
            site: site.to_owned(),
        };
        let (in_cinder, on_network, at_compute, keypairs, on_array, snapshot) = tokio::try_join!(
            self.volumes_left(&service, &ours, &remnant),
            self.ports_left(&service, &ours, &remnant),
            self.servers_left(&hand, &remnant),
            self.keypairs_left(state, &remnant),
            self.array_volumes_left(&remnant),
            self.snapshot_left(),
        )?;
        let snapshot = snapshot.map(|name| remnant("snapshot", name.clone(), name, "present".to_owned()));
        let snapshot: Vec<Remnant> = snapshot.into_iter().collect();
        Ok([at_compute, keypairs, on_network, in_cinder, on_array, snapshot].concat())
    }

    async fn volumes_left(
        &self,
        service: &Access,
        ours: &BTreeSet<ProjectId>,
        remnant: &Make<'_>,
    ) -> StepResult<Vec<Remnant>> {
        let (cloud, mark) = (&self.world.cloud, operation_mark(&self.order));
        let volumes = cloud.volumes(service, true).await.or_fail();
        let volumes = volumes.during("looking for volumes")?.into_iter();
        let marked = volumes.filter(|volume| {
            let description = volume.description.as_deref().unwrap_or_default();
            description.starts_with(&mark) && is_ours(volume.project_id.as_ref(), ours)
        });
        let mut found: Vec<Remnant> = marked
            .map(|volume| remnant("volume", volume.id.to_string(), volume.name, volume.status))
            .collect();
        let prefix = transfer_prefix(&self.order);
        let transfers = cloud.pending_transfers(service).await.or_fail();
        let transfers = transfers.during("looking for volume transfers")?.into_iter();
        found.extend(
            transfers
                .filter(|transfer| transfer.name.starts_with(&prefix))
                .map(|transfer| {
                    remnant(
                        "transfer",
                        transfer.id.to_string(),
                        transfer.name,
                        "pending".to_owned(),
                    )
                }),
        );
        Ok(found)
    }

    async fn ports_left(
        &self,
        service: &Access,
        ours: &BTreeSet<ProjectId>,
        remnant: &Make<'_>,
    ) -> StepResult<Vec<Remnant>> {
        let mark = operation_mark(&self.order);
        let ports = self.world.cloud.ports(service, None).await.or_fail();
        let ports = ports.during("looking for ports")?.into_iter();
        Ok(ports
            .filter(|port| port.description.starts_with(&mark) && is_ours(port.project_id.as_ref(), ours))
            .map(|port| remnant("port", port.id.to_string(), port.name, port.status))
            .collect())
    }

    async fn servers_left(&self, hand: &Hand, remnant: &Make<'_>) -> StepResult<Vec<Remnant>> {
        let operation = self.order.maker().to_string();
        let servers = self.servers_by(hand).await;
        let servers = servers.during("looking for servers")?.into_iter();
        Ok(servers
            .filter(|server: &Server| server.metadata.get(OPERATION_KEY) == Some(&operation))
            .map(|server| remnant("server", server.id.to_string(), server.name, server.status))
            .collect())
    }

    /// A destroyed volume waits to be eradicated, and is gone as far as anybody can use it.
    async fn array_volumes_left(&self, remnant: &Make<'_>) -> StepResult<Vec<Remnant>> {
        let pair = self.pair().await?;
        let operation = self.order.maker().to_string();
        let marked = self.world.array.marked_volumes(&pair.target, &operation).await;
        let marked = marked.or_fail().during("looking for volumes of the array")?;
        Ok(marked
            .into_iter()
            .filter(|(volume, _)| !volume.destroyed)
            .map(|(volume, _)| {
                let status = match volume.connections {
                    0 => "present",
                    _ => "connected",
                };
                remnant("array_volume", volume.id, volume.name, status.to_owned())
            })
            .collect())
    }
}

pub(super) type Make<'a> = dyn Fn(&'static str, String, String, String) -> Remnant + Sync + 'a;

/// An owner that isn't shown is nobody else's.
fn is_ours(project: Option<&ProjectId>, ours: &BTreeSet<ProjectId>) -> bool {
    project.is_none_or(|project| ours.contains(project))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(found: Vec<Remnant>) -> LeftBehind {
        LeftBehind::Known {
            site: "site-b".to_owned(),
            found,
        }
    }

    fn remnant(kind: &'static str, id: &str, name: &str, status: &str) -> Remnant {
        Remnant {
            kind,
            id: id.to_owned(),
            name: name.to_owned(),
            status: status.to_owned(),
            site: "site-b".to_owned(),
        }
    }

    #[test]
    fn nothing_left_is_an_empty_list_and_no_word() {
        assert_eq!(left(Vec::new()).told(), None);
        assert_eq!(left(Vec::new()).result(), json!({ "left_behind": [] }));
    }

    #[test]
    fn a_row_that_no_call_removes_is_told_as_one() {
        let dead = left(vec![remnant("volume", "v1", "db-0", "error_deleting")]);
        let told = dead.told().unwrap();
        assert!(
            told.starts_with("Left behind at site 'site-b': volume 'db-0' v1 (error_deleting)."),
            "{told}"
        );
        assert!(told.contains("row") && !told.contains("by hand"), "{told}");
        let live = left(vec![remnant("array_volume", "dr-1", "dr-1", "present")]);
        let told = live.told().unwrap();
        assert!(told.contains("array volume dr-1 (present)"), "{told}");
        assert!(told.contains("by hand") && !told.contains("row"), "{told}");
    }

    #[test]
    fn many_are_counted_and_all_are_listed() {
        let many = left(
            (0..12)
                .map(|n| remnant("port", &n.to_string(), "", "DOWN"))
                .collect(),
        );
        assert!(many.told().unwrap().contains("and 2 more."));
        assert_eq!(many.result()["left_behind"].as_array().unwrap().len(), 12);
    }

    #[test]
    fn what_nobody_knows_is_null_and_not_empty() {
        let unknown = LeftBehind::Unknown {
            site: "site-b".to_owned(),
            reason: "Cinder is away.".to_owned(),
        };
        assert_eq!(
            unknown.result(),
            json!({ "left_behind": null, "left_behind_unknown": "Cinder is away." })
        );
        assert!(unknown.told().unwrap().contains("not known: Cinder is away."));
    }
}
