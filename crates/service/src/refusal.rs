//! The protocol's refusals in words, with what clients act on beside them.

use protector_domain::protocol::Refusal;
use protector_domain::{Document, Group, SiteId, SiteRef};

use crate::error::Error;
use crate::operations::not_over;

/// Why this site changes nothing of a group that it holds.
pub(crate) fn refused(group: &Group, here: SiteId, refusal: Refusal) -> Error {
    let held = &group.document;
    let peer = &held.peer_of(here).name;
    match refusal {
        Refusal::Elsewhere(primary) => elsewhere(&primary),
        Refusal::Announced(intent) => not_over(intent.operation_id, intent.kind),
        Refusal::InTransit(status) => Error::conflict(format!(
            "The protection group is {}: wait until that is over.",
            status.as_str()
        )),
        Refusal::Unconfirmed(stamp) => Error::conflict(format!(
            "Version {} of the protection group has not reached the other site yet: run `openstack protector protection-group sync-force {}`, then try again.",
            stamp.version, held.name
        ))
        .with("sync_status", group.sync.status.as_str()),
        Refusal::Here => Error::conflict(format!(
            "Protection group '{}' runs on this site ('{}') already: an unplanned failover is asked of the site that takes it over.",
            held.name,
            held.current_primary().name
        )),
        Refusal::Foreign => foreign("word", peer),
        Refusal::Differs { peer: theirs, ours } => Error::conflict(format!(
            "Cannot modify the protection group: site '{peer}' holds version {}, this site version {}. Run `openstack protector protection-group sync-force {}`.",
            theirs.map_or_else(|| "none".to_owned(), |stamp| stamp.version.to_string()),
            ours.version,
            held.name
        ))
        .with("sync_status", "out_of_sync"),
        Refusal::OtherVersion { receipt, ours } => Error::conflict(format!(
            "The receipt is for version {}, this site holds version {}.",
            receipt.version, ours.version
        )),
        Refusal::Older { bundle, held: ours } => holding(
            held,
            format!(
                "This site holds version {} already, the bundle is version {}.",
                ours.version, bundle.version
            ),
        ),
        Refusal::Diverged(ours) => holding(
            held,
            format!(
                "This site holds another version {}: the sites have diverged, and nothing was overwritten.",
                ours.version
            ),
        ),
        Refusal::NotThePrimarys => holding(
            held,
            "Only the site where the protection group runs may change it, and the bundle is from the other one.".into(),
        ),
    }
}

/// The answer of a site that isn't the one to ask.
pub(crate) fn elsewhere(primary: &SiteRef) -> Error {
    Error::conflict(format!(
        "The protection group runs on site '{}': changes are made there.",
        primary.name
    ))
    .with("current_primary_site_id", primary.id.to_string())
    .with("current_primary_site", primary.name.clone())
}

/// What was carried here belongs elsewhere.
pub(crate) fn foreign(what: &str, peer: &str) -> Error {
    Error::Invalid(format!(
        "The {what} is not about this protection group or not by site '{peer}'."
    ))
}

/// A bundle that isn't taken, beside what is held.
pub(crate) fn holding(held: &Document, message: String) -> Error {
    Error::conflict(message)
        .with("epoch", held.stamp.epoch)
        .with("version", held.stamp.version)
}
