use serde_json::{Value, json};

use super::*;
use crate::ids::MemberId;

fn uuid(number: u8) -> String {
    format!("00000000-0000-0000-0000-0000000000{number:02}")
}

fn member(number: u8, server: &str) -> Value {
    json!({"id": uuid(number), "instance_id": server, "instance_name": format!("web-{number}"), "volumes": []})
}

/// What both sites had: two members, a mapping, a policy.
fn common() -> Document {
    let (a, b) = (uuid(1), uuid(2));
    let side = |site: &str| json!({"site_id": site, "url": format!("https://fa-{site}")});
    let document = json!({
        "group_id": uuid(9), "epoch": 1, "version": 4, "name": "web", "description": "shop",
        "replication_type": "async",
        "primary_site": {"id": a, "name": "site-a"}, "secondary_site": {"id": b, "name": "site-b"},
        "current_primary_site_id": a, "projects": {}, "volume_types": {},
        "members": [member(11, "srv-1"), member(12, "srv-2")],
        "mappings": {"networks": {"front": "front-dr", "back": "back-dr"}},
        "policy": {"id": uuid(20), "primary": side(&a), "secondary": side(&b), "pure_pg_name": "pg-web",
            "replication_interval_seconds": 300, "rpo_minutes": 15},
        "intents": [], "failover_count": 0, "modified_at": "2026-01-01T00:00:00Z",
    });
    serde_json::from_value(document).unwrap()
}

/// An edit of what both sites had.
fn edited(change: impl FnOnce(&mut Document)) -> LostEdit {
    let mut lost = common();
    lost.stamp = lost.stamp.modified();
    change(&mut lost);
    LostEdit::since(Some(&common()), lost)
}

/// The other site took it over: servers, epoch and place are others.
fn taken_over() -> Document {
    let mut winner = common();
    winner.stamp = Stamp { epoch: 2, version: 5 };
    winner.current_primary_site_id = winner.secondary_site.id;
    winner.failover_count = 1;
    for member in &mut winner.members {
        member.instance_id = format!("{}-dr", member.instance_id).parse().unwrap();
    }
    winner
}

fn words(edit: &LostEdit) -> Vec<String> {
    edit.changes.iter().flatten().map(ToString::to_string).collect()
}

fn standings(edit: &LostEdit, now: &Document) -> Vec<Standing> {
    edit.changes
        .iter()
        .flatten()
        .map(|change| change.standing(now))
        .collect()
}

#[test]
fn bookkeeping_is_no_change() {
    let edit = edited(|document| document.failover_count = 3);
    assert_eq!(edit.changes, Some(Vec::new()));
    assert!(edit.is_in(&taken_over()));
}

#[test]
fn each_thing_is_told_by_itself() {
    let edit = edited(|document| {
        document.name = "shop".to_owned();
        document.description = "of Berlin".to_owned();
        document.mappings.networks.remove("back");
        document
            .mappings
            .networks
            .insert("front".to_owned(), "edge".to_owned());
        document.mappings.flavors.insert("m1".to_owned(), "m2".to_owned());
        document.members.remove(0);
        document
            .members
            .push(serde_json::from_value(member(13, "srv-3")).unwrap());
        document.policy.as_mut().unwrap().rpo_minutes = Some(5);
    });
    assert_eq!(
        words(&edit),
        [
            "name",
            "description",
            "mapping of network 'front'",
            "mapping of network 'back'",
            "mapping of flavor 'm1'",
            "member web-13 added",
            "member web-11 removed",
            "replication policy",
        ]
    );
    assert!(
        standings(&edit, &taken_over())
            .iter()
            .all(|one| *one == Standing::Missing)
    );
    assert!(!edit.is_in(&taken_over()));
    // It is kept as JSON, and comes back.
    let kept = serde_json::to_value(&edit).unwrap();
    assert_eq!(serde_json::from_value::<LostEdit>(kept).unwrap(), edit);
}

/// What the survivor changed is nothing that was lost, and is seen where it stands in the way.
#[test]
fn a_change_stands_as_the_survivor_has_it() {
    let edit = edited(|document| {
        document.description = "of Berlin".to_owned();
        document
            .mappings
            .networks
            .insert("mid".to_owned(), "mid-dr".to_owned());
    });
    let mut now = taken_over();
    now.name = "renamed there".to_owned();
    now.description = "of Hamburg".to_owned();
    assert_eq!(words(&edit), ["description", "mapping of network 'mid'"]);
    assert_eq!(standings(&edit, &now), [Standing::Overwritten, Standing::Missing]);
    now.description = "of Berlin".to_owned();
    now.mappings
        .networks
        .insert("mid".to_owned(), "mid-dr".to_owned());
    assert!(edit.is_in(&now));
}

#[test]
fn members_are_the_same_whatever_server_they_are() {
    let removed = edited(|document| {
        document
            .members
            .retain(|one| one.id != MemberId(uuid(11).parse().unwrap()))
    });
    let mut now = taken_over();
    assert_eq!(standings(&removed, &now), [Standing::Missing]);
    now.members.remove(0);
    assert_eq!(standings(&removed, &now), [Standing::There]);
    // A server that is added again is another member.
    let added = edited(|document| {
        document
            .members
            .push(serde_json::from_value(member(13, "srv-3")).unwrap())
    });
    assert_eq!(standings(&added, &now), [Standing::Missing]);
    now.members
        .push(serde_json::from_value(member(14, "srv-3")).unwrap());
    assert_eq!(standings(&added, &now), [Standing::There]);
}

#[test]
fn an_operation_is_told_with_how_far_it_was() {
    let edit = edited(|document| {
        document.open(
            serde_json::from_value(
                json!({"operation_id": uuid(30), "kind": "failover", "reserved_epoch": 2,
                "state": {"state": "open"}}),
            )
            .unwrap(),
        );
    });
    assert_eq!(words(&edit), [format!("failover {} announced", uuid(30))]);
    assert_eq!(standings(&edit, &taken_over()), [Standing::Missing]);
    let mut concluded = edit.document.clone();
    concluded.close(concluded.intents[0].operation_id, crate::Outcome::Completed);
    concluded.current_primary_site_id = concluded.secondary_site.id;
    let edit = LostEdit::since(Some(&edit.document), concluded);
    assert_eq!(
        words(&edit),
        [
            format!("failover {} ended", uuid(30)),
            "the group runs at site-b".to_owned()
        ]
    );
    let mut now = taken_over();
    assert_eq!(standings(&edit, &now), [Standing::Missing, Standing::There]);
    // The survivor ended it in its own way.
    now.intents = edit.document.intents.clone();
    now.intents[0].state = IntentState::Closed(crate::Outcome::Abandoned);
    assert_eq!(standings(&edit, &now), [Standing::Overwritten, Standing::There]);
}

#[test]
fn a_policy_that_was_made_again_is_the_same() {
    let edit = edited(|document| document.policy.as_mut().unwrap().rpo_minutes = Some(5));
    let mut now = taken_over();
    now.policy.as_mut().unwrap().rpo_minutes = Some(7);
    assert_eq!(standings(&edit, &now), [Standing::Overwritten]);
    let policy = now.policy.as_mut().unwrap();
    (policy.rpo_minutes, policy.id) = (Some(5), crate::PolicyId(uuid(21).parse().unwrap()));
    assert_eq!(standings(&edit, &now), [Standing::There]);
}

/// A site that took the group over had its first version from here. Of any later one, the version before must be known.
#[test]
fn without_the_version_before_nothing_is_guessed() {
    let mut first = common();
    first.stamp = Stamp::FIRST;
    assert_eq!(LostEdit::since(None, first).changes, Some(Vec::new()));
    let unknown = LostEdit::since(None, common());
    assert_eq!(unknown.changes, None);
    assert!(!unknown.is_in(&common()), "nobody can say that");
}
