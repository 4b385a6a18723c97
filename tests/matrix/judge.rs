//! Whether the world is as it must be: after a completed operation as after an undisturbed one, after one that was
//! taken back as before.

use std::collections::{BTreeMap, BTreeSet};

use protector_tests::state::{ALLOWED, Allowed, differences};
use serde_json::Value;

/// What may differ besides.
const VARIES: &[Allowed] = &[
    Allowed {
        path: "site-b/compute/servers/*/updated",
        why: "the server was stopped and started",
    },
    Allowed {
        path: "site-a/compute/servers/*/number",
        why: "counts from the servers that are there, and an old one goes",
    },
    Allowed {
        path: "site-a/volume/messages",
        why: "Cinder's own record of what it could not take over",
    },
    Allowed {
        path: "site-a/volume/volumes/*/updated_at",
        why: "the volume was in a group, or on its way into one",
    },
    Allowed {
        path: "site-b/volume/messages",
        why: "Cinder's own record of what it could not take over",
    },
    Allowed {
        path: "site-b/volume/volumes/*/updated_at",
        why: "the volume was in a group, or on its way into one",
    },
];

fn allowed() -> Vec<Allowed> {
    ALLOWED.iter().chain(VARIES).copied().collect()
}

/// What an operation has made of the world, with the same word for everything new.
pub struct Effect(BTreeMap<String, usize>);

/// What is wrong with a world.
#[derive(Default)]
pub struct Verdict {
    pub findings: Vec<String>,
    /// Things that nobody asked for.
    pub orphans: usize,
    /// Servers that are there twice, volumes that are managed twice.
    pub duplicates: usize,
}

impl Effect {
    /// `known` are the ids that were there before, and those of the order.
    pub fn of(before: &Value, after: &Value, known: &BTreeSet<String>) -> Self {
        let mut lines = BTreeMap::new();
        for line in differences(before, after, &allowed()) {
            *lines.entry(sorted(&mask(&line, known))).or_insert(0) += 1;
        }
        Self(lines)
    }

    /// What this run has done that the undisturbed one has not, and the other way round.
    fn against(&self, undisturbed: &Self) -> (Vec<String>, Vec<String>) {
        let more = |one: &Self, other: &Self| {
            let mut lines = Vec::new();
            for (line, count) in &one.0 {
                let expected = other.0.get(line).copied().unwrap_or_default();
                if *count > expected {
                    lines.push(format!("{}x {line}", count - expected));
                }
            }
            lines
        };
        (more(self, undisturbed), more(undisturbed, self))
    }
}

/// The world after an operation that was done.
pub fn completed(now: &Effect, undisturbed: &Effect, after: &Value) -> Verdict {
    let (more, less) = now.against(undisturbed);
    let mut verdict = doubles(after);
    verdict.orphans = new_things(&more).saturating_sub(new_things(&less));
    verdict
        .findings
        .extend(more.iter().map(|line| format!("more: {line}")));
    verdict
        .findings
        .extend(less.iter().map(|line| format!("less: {line}")));
    verdict
}

/// The world after an operation that was taken back, but for what lies `elsewhere`: what the other site has to do with
/// it by an operation of its own, and what nobody can know to be ours. What was `given_up` may have changed or gone, and
/// nothing new may be in its place.
pub fn taken_back(before: &Value, after: &Value, elsewhere: &[&str], given_up: &[Allowed]) -> Verdict {
    let mut verdict = doubles(after);
    let unexpected = differences(before, after, &[allowed().as_slice(), given_up].concat());
    let mut traces = differences(before, after, &allowed());
    let is_new = |line: &String| line.contains(": - -> ");
    traces.retain(|line| is_new(line) || unexpected.contains(line));
    traces.retain(|line| !elsewhere.iter().any(|place| line.starts_with(place)));
    verdict.orphans = traces.iter().filter(|line| is_new(line)).count();
    verdict
        .findings
        .extend(traces.into_iter().map(|line| format!("trace: {line}")));
    verdict
}

/// How many new things these lines are about.
fn new_things(lines: &[String]) -> usize {
    let things: BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| line.split_once(' ')?.1.split_once(NEW))
        .map(|(collection, _)| collection)
        .collect();
    things.len()
}

/// Nothing runs twice, and nothing on an array is managed twice.
fn doubles(world: &Value) -> Verdict {
    let mut verdict = Verdict::default();
    for site in ["site-a", "site-b"] {
        for (what, list, field) in [
            ("server", &world[site]["compute"]["servers"], "name"),
            ("managed volume", &world[site]["volume"]["volumes"], "provider_id"),
        ] {
            let mut seen = BTreeSet::new();
            for one in list.as_array().into_iter().flatten() {
                if let Some(name) = one[field].as_str()
                    && !seen.insert(name)
                {
                    verdict.duplicates += 1;
                    verdict
                        .findings
                        .push(format!("{what} {name} is there twice at {site}"));
                }
            }
        }
    }
    verdict
}

const NEW: &str = "<new>";
const TIME: &str = "<time>";

/// All ids in a text.
pub fn ids(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = text;
    while !rest.is_empty() {
        let length = id_length(rest);
        if length > 0 {
            found.insert(rest[..length].to_owned());
        }
        rest = skip(rest, length);
    }
    found
}

/// The same text with one word for every new id, and one for every time.
fn mask(text: &str, known: &BTreeSet<String>) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    let mut inside = false;
    while !rest.is_empty() {
        let id = if inside { 0 } else { id_length(rest) };
        let time = if inside || id > 0 { 0 } else { time_length(rest) };
        let length = id.max(time);
        if id > 0 && known.contains(&rest[..id]) {
            masked.push_str(&rest[..id]);
        } else if id > 0 {
            masked.push_str(NEW);
        } else if time > 0 {
            masked.push_str(TIME);
        } else {
            masked.extend(rest.chars().next());
        }
        inside = length == 0 && rest.starts_with(|c: char| c.is_ascii_alphanumeric());
        rest = skip(rest, length);
    }
    masked
}

/// The lists in it were sorted with their ids, and have to be without.
fn sorted(line: &str) -> String {
    let list = |text: &str| {
        let mut elements: Vec<&str> = text.split(", ").collect();
        elements.sort_unstable();
        elements.join(", ")
    };
    match line
        .split_once(": ")
        .map(|(path, values)| (path, values.split_once(" -> ")))
    {
        Some((path, Some((then, now)))) => format!("{path}: {} -> {}", list(then), list(now)),
        _ => line.to_owned(),
    }
}

fn skip(text: &str, length: usize) -> &str {
    let length = length.max(text.chars().next().map_or(0, char::len_utf8));
    &text[length..]
}

/// How long the id is that the text begins with: a UUID, one without hyphens, or an array's serial number.
fn id_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let ends = |at: usize| bytes.get(at).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    let is_uuid = bytes.len() >= 36
        && bytes[..36].iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if is_uuid && ends(36) {
        return 36;
    }
    [32, 24]
        .into_iter()
        .find(|length| {
            bytes.len() >= *length && bytes[..*length].iter().all(u8::is_ascii_hexdigit) && ends(*length)
        })
        .unwrap_or(0)
}

/// How long the moment is that the text begins with: ISO 8601, or milliseconds since 1970.
fn time_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_date = bytes.len() >= 19
        && bytes[..19].iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            10 => *byte == b'T' || *byte == b' ',
            13 | 16 => *byte == b':',
            _ => byte.is_ascii_digit(),
        });
    if is_date {
        let more = bytes[19..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || **byte == b'.' || **byte == b'Z');
        return 19 + more.count();
    }
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 13 { digits } else { 0 }
}
