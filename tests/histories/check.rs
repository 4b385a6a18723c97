//! What must hold in every history, read from its record alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{Document, Ending, Group, Look, Outcome, Record, Side, Stamp};

/// Everything that is wrong, in words.
pub fn check(record: &Record) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    wrong.extend(
        record
            .panics
            .iter()
            .map(|line| format!("a program panicked: {line}")),
    );
    wrong.extend(
        record
            .wrongly_taken
            .iter()
            .map(|what| format!("what must not count was taken: {what}")),
    );
    let may_be_missing = record.groups.iter().any(|group| group.deleted || group.fresh);
    for call in &record.calls {
        match call.status {
            Some(status) if status >= 500 => wrong.push(format!(
                "{} at {:?}: {status} {}",
                call.what, call.side, call.message
            )),
            Some(404) if !may_be_missing => {
                wrong.push(format!(
                    "{} at {:?}: not found, and nobody deleted it",
                    call.what, call.side
                ));
            }
            _ => {}
        }
    }
    for group in &record.groups {
        let checks = [
            forks, primaries, backwards, accounts, strangers, twice, lost, commits, apart,
        ];
        for check in checks {
            wrong.extend(
                check(group)
                    .into_iter()
                    .map(|what| format!("{}: {what}", group.id)),
            );
        }
    }
    wrong
}

/// All documents that anybody has seen.
fn documents(group: &Group) -> impl Iterator<Item = &Document> {
    let ends = group.ends.iter().filter_map(|end| match end {
        Ending::Gone => None,
        Ending::Held { document, .. } => Some(&**document),
    });
    let looks = group.looks.iter().map(|look| &look.document);
    std::iter::once(&group.first).chain(looks).chain(ends)
}

/// One epoch and version, two documents.
fn forks(group: &Group) -> Vec<String> {
    let mut known: BTreeMap<Stamp, &Document> = BTreeMap::new();
    let mut forked = BTreeSet::new();
    for document in documents(group) {
        let first = known.entry(document.stamp).or_insert(document);
        if first.content != document.content {
            forked.insert(document.stamp);
        }
    }
    let words = |stamp| format!("two different documents are version {stamp}");
    forked.into_iter().map(words).collect()
}

/// A site was seen to be the primary before and after the other one was, in one epoch: in between both were.
fn primaries(group: &Group) -> Vec<String> {
    if !group.forced().is_empty() {
        return Vec::new();
    }
    for side in Side::BOTH {
        let is_primary = |look: &&Look, side: Side| look.side == side && look.document.primary == side;
        for other in group.looks.iter().filter(|look| is_primary(look, side.other())) {
            let epoch = |look: &Look| look.document.stamp.epoch;
            let mine = || group.looks.iter().filter(|look| is_primary(look, side));
            let before: BTreeSet<u64> = mine()
                .filter(|look| look.ended < other.begun)
                .map(epoch)
                .collect();
            let both = mine().any(|after| after.begun > other.ended && before.contains(&epoch(after)));
            if both {
                return vec![format!(
                    "two primaries: {side:?} all the while when {:?} was with version {}, and nobody forced a failover",
                    side.other(),
                    other.document.stamp
                )];
            }
        }
    }
    Vec::new()
}

/// A site's version goes down.
fn backwards(group: &Group) -> Vec<String> {
    let mut wrong = Vec::new();
    for side in Side::BOTH {
        let mut looks: Vec<&Look> = group.looks.iter().filter(|look| look.side == side).collect();
        looks.sort_by_key(|look| look.ended);
        let mut highest: Option<&Look> = None;
        let mut passed = looks.iter().peekable();
        let mut later = looks.clone();
        later.sort_by_key(|look| look.begun);
        for look in later {
            while let Some(before) = passed.next_if(|before| before.ended < look.begun) {
                if highest.is_none_or(|highest| highest.document.stamp < before.document.stamp) {
                    highest = Some(before);
                }
            }
            if let Some(highest) = highest.filter(|highest| highest.document.stamp > look.document.stamp) {
                wrong.push(format!(
                    "{side:?} went back from version {} to {}",
                    highest.document.stamp, look.document.stamp
                ));
                break;
            }
        }
    }
    wrong
}

/// A version is one modification: an edit, an operation announced, an operation ended, a takeover. So a document's
/// version is the number of what has left its mark in it; more would be an edit that counted twice.
fn accounts(group: &Group) -> Vec<String> {
    let forced = group.forced();
    let count =
        |document: &Document| {
            let operations = document.intents.iter().map(|intent| {
                match (intent.open, forced.contains(&intent.operation)) {
                    (false, false) => 2,
                    (true, _) | (false, true) => 1,
                }
            });
            document.marks.len() as u64 + operations.sum::<u64>()
        };
    let zero = group.first.stamp.version - count(&group.first);
    let mut wrong = BTreeSet::new();
    for document in documents(group) {
        // A deletion is a version too, and leaves no mark.
        let spare = u64::from(group.deleted);
        let accounted = zero + count(document);
        if !(accounted..=accounted + spare).contains(&document.stamp.version) {
            wrong.insert(format!(
                "version {} holds {} modifications and not {}",
                document.stamp,
                count(document),
                document.stamp.version - zero
            ));
        }
    }
    wrong.into_iter().collect()
}

/// What was refused, or was never asked for, is there all the same; or an edit is there in part or more than once.
fn strangers(group: &Group) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    for document in documents(group) {
        let mut seen = BTreeSet::new();
        for mark in &document.marks {
            if !seen.insert(mark) {
                wrong.insert(format!("edit {mark} is in version {} twice", document.stamp));
            }
            match group.edits.iter().find(|edit| edit.mark == *mark) {
                None if group.first.marks.contains(mark) => {}
                None => {
                    wrong.insert(format!(
                        "nobody made the edit {mark} of version {}",
                        document.stamp
                    ));
                }
                Some(edit) if edit.refused() => {
                    wrong.insert(format!(
                        "edit {mark} was refused and is in version {}",
                        document.stamp
                    ));
                }
                Some(_) => {}
            }
        }
        let renamed = document.marks.iter().rev().find_map(|mark| {
            let edit = group.edits.iter().find(|edit| edit.mark == *mark)?;
            edit.renames.clone()
        });
        let name = renamed.unwrap_or_else(|| group.first.name.clone());
        if document.name != name {
            wrong.insert(format!(
                "version {} is called {} and not {name}: half an edit",
                document.stamp, document.name
            ));
        }
    }
    wrong.into_iter().collect()
}

/// An edit was taken twice, or two made one version.
fn twice(group: &Group) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut made: BTreeMap<Stamp, &str> = BTreeMap::new();
    for edit in &group.edits {
        if edit.acknowledged() > 1 {
            wrong.push(format!("edit {} was taken twice with one statement", edit.mark));
        }
        for (_, outcome) in &edit.sent {
            if let Outcome::Acknowledged(Some(stamp)) = outcome
                && let Some(other) = made.insert(*stamp, &edit.mark)
                && other != edit.mark
            {
                wrong.push(format!(
                    "edits {other} and {} both made version {stamp}",
                    edit.mark
                ));
            }
        }
    }
    wrong
}

/// An edit that was acknowledged, or that both sites had, isn't in the end, and nobody says so.
fn lost(group: &Group) -> Vec<String> {
    let mut wrong = Vec::new();
    let kept: BTreeSet<&String> = Side::BOTH
        .iter()
        .flat_map(|side| group.log(*side))
        .filter(|line| line.event == "superseded")
        .flat_map(|line| &line.lost)
        .collect();
    let forced = !group.forced().is_empty();
    for end in &group.ends {
        let Ending::Held { document, .. } = end else {
            continue;
        };
        for edit in &group.edits {
            if document.marks.contains(&edit.mark) {
                continue;
            }
            let had = |side| {
                let mut looks = group.looks.iter();
                looks.any(|look| look.side == side && look.document.marks.contains(&edit.mark))
            };
            if had(Side::A) && had(Side::B) {
                wrong.push(format!("edit {}, which both sites had, is lost", edit.mark));
            } else if edit.acknowledged() > 0 && !(forced && kept.contains(&edit.mark)) {
                wrong.push(format!(
                    "the acknowledged edit {} is lost, and no log keeps it",
                    edit.mark
                ));
            }
        }
    }
    wrong
}

/// A version was committed twice, or one was left out.
fn commits(group: &Group) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut committed = BTreeSet::new();
    for side in Side::BOTH {
        for line in group.log(side).iter().filter(|line| line.event == "committed") {
            if let Some(stamp) = line.stamp
                && !committed.insert(stamp)
            {
                wrong.push(format!("version {stamp} was committed twice"));
            }
        }
    }
    wrong
}

/// The sites don't agree in the end.
fn apart(group: &Group) -> Vec<String> {
    if let Some(why) = &group.apart {
        return vec![format!("the sites don't come together: {why}")];
    }
    match &group.ends {
        [Ending::Gone, Ending::Gone] if group.deleted => Vec::new(),
        [
            Ending::Held {
                document: a,
                sync: sync_a,
                ..
            },
            Ending::Held {
                document: b,
                sync: sync_b,
                ..
            },
        ] => {
            let mut wrong = Vec::new();
            if a.content != b.content {
                wrong.push(format!(
                    "the sites end with different documents: {} and {}",
                    a.stamp, b.stamp
                ));
            }
            if sync_a != "synced" || sync_b != "synced" {
                wrong.push(format!("the sites end as '{sync_a}' and '{sync_b}'"));
            }
            wrong
        }
        _ => vec!["a group that only one site has, or that nobody deleted and is gone".to_owned()],
    }
}

/// That each check can fail: histories made up by hand, each with one thing wrong.
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::record::{Call, Edit, Intent, Line};

    fn at(version: u64) -> Stamp {
        Stamp { epoch: 1, version }
    }

    /// Version 1 is the first, and each edit makes one more.
    fn document(stamp: Stamp, primary: Side, marks: &[&str]) -> Document {
        Document {
            stamp,
            primary,
            marks: marks.iter().map(ToString::to_string).collect(),
            name: "web".to_owned(),
            intents: Vec::new(),
            content: json!({"stamp": format!("{stamp}"), "marks": marks, "primary": format!("{primary:?}")}),
        }
    }

    fn look(side: Side, begun: u64, document: Document) -> Look {
        Look {
            side,
            begun: Duration::from_millis(begun),
            ended: Duration::from_millis(begun + 1),
            document,
        }
    }

    fn edit(mark: &str, outcome: Outcome) -> Edit {
        Edit {
            mark: mark.to_owned(),
            renames: None,
            sent: vec![(Side::A, outcome)],
        }
    }

    fn end(document: Document, log: &[(&str, Stamp, &str)]) -> Ending {
        let log = log.iter().map(|(event, stamp, message)| Line {
            event: (*event).to_owned(),
            stamp: Some(*stamp),
            message: (*message).to_owned(),
            lost: Vec::new(),
        });
        Ending::Held {
            document: Box::new(document),
            sync: "synced".to_owned(),
            log: log.collect(),
        }
    }

    /// Two edits that both sites have in the end.
    fn good() -> Group {
        let last = document(at(3), Side::A, &["one", "two"]);
        let committed: &[_] = &[("committed", at(2), ""), ("committed", at(3), "")];
        Group {
            looks: vec![
                look(Side::A, 0, document(at(1), Side::A, &[])),
                look(Side::A, 10, document(at(2), Side::A, &["one"])),
                look(Side::B, 10, document(at(1), Side::A, &[])),
                look(Side::B, 20, last.clone()),
                look(Side::A, 30, last.clone()),
            ],
            edits: vec![
                edit("one", Outcome::Acknowledged(Some(at(2)))),
                edit("two", Outcome::Unknown),
                edit("three", Outcome::Refused),
            ],
            ends: [end(last.clone(), committed), end(last, &[])],
            ..Group::new("g".to_owned(), document(at(1), Side::A, &[]))
        }
    }

    fn found(group: Group) -> String {
        let record = Record {
            groups: vec![group],
            ..Record::default()
        };
        check(&record).join("; ")
    }

    /// Site b took the group over by force before it had heard of edit `one`; `kept` is what a's log has of that.
    fn forced(kept: Option<&str>) -> Group {
        let mut last = document(Stamp { epoch: 2, version: 2 }, Side::B, &[]);
        last.intents.push(Intent {
            operation: "op".to_owned(),
            open: false,
        });
        let begun = ("begun", at(1), "unplanned failover op begun");
        let change = kept.map(|mark| json!({"change": "description", "from": "", "to": mark}));
        let line = json!({"event": "superseded", "lost_edit": {"changes": change.as_slice()}});
        let mut returned = end(last.clone(), &[]);
        if let Ending::Held { log, .. } = &mut returned {
            log.push(Line::read(&line));
        }
        Group {
            looks: vec![
                look(Side::A, 10, document(at(2), Side::A, &["one"])),
                look(Side::B, 15, last.clone()),
                look(Side::A, 20, document(at(2), Side::A, &["one"])),
            ],
            edits: vec![edit("one", Outcome::Acknowledged(Some(at(2))))],
            ends: [returned, end(last, &[begun])],
            ..Group::new("g".to_owned(), document(at(1), Side::A, &[]))
        }
    }

    #[test]
    fn a_good_history_is_good() {
        assert_eq!(found(good()), "");
        assert_eq!(found(forced(Some("one"))), "");
    }

    #[test]
    fn a_fork_is_seen() {
        let mut group = good();
        let mut other = document(at(2), Side::A, &["one"]);
        other.content["description"] = json!("else");
        group.looks.push(look(Side::B, 15, other));
        assert!(found(group).contains("two different documents are version (1, 2)"));
    }

    #[test]
    fn two_primaries_are_seen() {
        let mut group = good();
        let taken = document(Stamp { epoch: 2, version: 2 }, Side::B, &["one"]);
        group.looks.push(look(Side::B, 15, taken));
        assert!(found(group).contains("two primaries: A all the while"));
        // One after the other is no more than a failover.
        let mut moved = good();
        moved.looks.truncate(2);
        moved
            .looks
            .push(look(Side::B, 15, document(at(2), Side::B, &["one"])));
        assert!(primaries(&moved).is_empty());
    }

    #[test]
    fn an_edit_that_is_lost_is_seen() {
        let mut group = good();
        let last = document(at(1), Side::A, &[]);
        group.ends = [end(last.clone(), &[]), end(last, &[])];
        let found = found(group);
        assert!(
            found.contains("edit one, which both sites had, is lost"),
            "{found}"
        );
        assert!(
            found.contains("edit two, which both sites had, is lost"),
            "{found}"
        );
    }

    #[test]
    fn what_a_takeover_supersedes_has_to_be_kept() {
        let dropped = found(forced(None));
        assert!(
            dropped.contains("the acknowledged edit one is lost, and no log keeps it"),
            "{dropped}"
        );
        assert!(found(forced(Some("another"))).contains("no log keeps it"));
    }

    #[test]
    fn an_edit_that_counts_twice_is_seen() {
        let mut group = good();
        group
            .looks
            .push(look(Side::A, 40, document(at(4), Side::A, &["one", "two"])));
        assert!(found(group).contains("version (1, 4) holds 2 modifications and not 3"));
        let mut group = good();
        group.edits[0]
            .sent
            .push((Side::A, Outcome::Acknowledged(Some(at(3)))));
        assert!(found(group).contains("taken twice with one statement"));
        let mut group = good();
        group.edits[1].sent = vec![(Side::A, Outcome::Acknowledged(Some(at(2))))];
        assert!(found(group).contains("both made version (1, 2)"));
    }

    #[test]
    fn what_was_refused_changes_nothing() {
        let mut group = good();
        group.edits[1].sent = vec![(Side::A, Outcome::Refused)];
        assert!(found(group).contains("edit two was refused and is in version (1, 3)"));
        let mut group = good();
        group.edits.remove(1);
        assert!(found(group).contains("nobody made the edit two"));
        let mut group = good();
        group.edits[1].renames = Some("other".to_owned());
        assert!(found(group).contains("half an edit"));
    }

    #[test]
    fn a_version_that_goes_down_is_seen() {
        let mut group = good();
        group
            .looks
            .push(look(Side::B, 40, document(at(2), Side::A, &["one"])));
        assert!(found(group).contains("B went back from version (1, 3) to (1, 2)"));
    }

    #[test]
    fn sites_that_stay_apart_are_seen() {
        let mut group = good();
        group.ends[1] = end(document(at(2), Side::A, &["one"]), &[]);
        assert!(found(group).contains("the sites end with different documents"));
        let mut group = good();
        if let Ending::Held { sync, .. } = &mut group.ends[0] {
            *sync = "pending".to_owned();
        }
        assert!(found(group).contains("the sites end as 'pending' and 'synced'"));
        let mut group = good();
        group.ends[1] = Ending::Gone;
        assert!(found(group).contains("a group that only one site has"));
        let mut group = good();
        group.apart = Some("so".to_owned());
        assert!(found(group).contains("the sites don't come together: so"));
    }

    #[test]
    fn bad_answers_panics_and_what_must_not_count_are_seen() {
        let call = |status| Call {
            client: 0,
            begun: Duration::ZERO,
            ended: Duration::ZERO,
            what: "GET".to_owned(),
            side: Side::A,
            fault: None,
            status: Some(status),
            message: String::new(),
        };
        let record = Record {
            groups: vec![good()],
            calls: vec![call(500), call(404), call(409)],
            panics: vec!["line".to_owned()],
            wrongly_taken: vec!["bundle".to_owned()],
        };
        assert_eq!(check(&record).len(), 4);
    }
}
