//! Barbican v1: secrets, what they hold, and who may read them.
//!
//! Who may do what follows the policy that Barbican comes with in 2025.1, which is still its old one: role `creator`
//! makes and reads secrets of its project, `observer` reads them, a plain `member` does neither. A rule that is granted
//! (`secret:decrypt`) is what the newer policy gives to members.

mod access;

use serde::Serialize;
use serde_json::{Value, json};

use super::ask::{Answer, Ask, Reply};
use super::fault::Fault;
use super::table::{Record, Table};
use super::world::{World, uuid};
use access::{Acl, Rule};

const KINDS: [&str; 5] = [
    "text/plain",
    "text/plain;charset=utf-8",
    "text/plain; charset=utf-8",
    "application/octet-stream",
    "application/pkcs8",
];

/// All of a cloud's secrets.
#[derive(Clone, Default, Serialize)]
pub(in crate::cloud) struct KeyManager {
    secrets: Table<Secret>,
}

#[derive(Clone, Serialize)]
struct Secret {
    id: String,
    project: String,
    creator: String,
    shown: Value,
    #[serde(skip)]
    payload: Option<String>,
    acl: Acl,
}

impl Record for Secret {
    fn id(&self) -> &str {
        &self.id
    }
}

pub(super) fn versions(root: &str) -> Value {
    json!({"versions": {"values": [{
        "id": "v1", "status": "stable",
        "links": [{"rel": "self", "href": format!("{root}/v1/")}, {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.key-manager-v1+json"}]
    }]}})
}

pub(super) fn route(world: &mut World, ask: &Ask) -> Reply {
    match (ask.method.as_str(), ask.segments().as_slice()) {
        ("POST", ["secrets"]) => create(world, ask),
        ("GET", ["secrets"]) => list(world, ask),
        ("GET", ["secrets", id]) => {
            let secret = reached(world, ask, id, Rule::Get)?;
            Ok(Answer::ok(secret.shown(ask)))
        }
        ("GET", ["secrets", id, "payload"]) => payload(world, ask, id),
        ("DELETE", ["secrets", id]) => {
            reached(world, ask, id, Rule::Delete)?;
            world.key_manager.secrets.remove(id);
            Ok(Answer::empty(204))
        }
        (_, ["secrets", id, "acl"]) => access::route(world, ask, id),
        _ => Err(Fault::missing("")),
    }
}

impl Secret {
    fn shown(&self, ask: &Ask) -> Value {
        let mut shown = self.shown.clone();
        shown["secret_ref"] = json!(reference(ask, &self.id));
        shown
    }
}

fn reference(ask: &Ask, id: &str) -> String {
    format!("{}/secrets/{id}", ask.base)
}

/// The secret, if it is there and the caller may do that with it.
fn reached<'w>(world: &'w World, ask: &Ask, id: &str, rule: Rule) -> Result<&'w Secret, Fault> {
    if uuid::Uuid::parse_str(id).is_err() {
        return Err(Fault::missing("Not Found. Provided secret id is invalid."));
    }
    let secret = world.key_manager.secrets.get(id);
    let secret = secret.ok_or_else(|| Fault::missing("Secret not found."))?;
    rule.check(world, &ask.caller, Some(secret))?;
    Ok(secret)
}

fn invalid(why: &str, property: &str) -> Fault {
    Fault::bad(format!(
        "Provided object does not match schema 'Secret': {why}. Invalid property: '{property}'"
    ))
}

fn create(world: &mut World, ask: &Ask) -> Reply {
    Rule::Post.check(world, &ask.caller, None)?;
    let body = &ask.body;
    let payload = body["payload"].as_str();
    let kind = body["payload_content_type"].as_str();
    if payload == Some("") {
        return Err(invalid("If 'payload' specified, must be non empty", "payload"));
    }
    if payload.is_some() && kind.is_none() {
        let why = "If 'payload' is supplied, 'payload_content_type' must also be supplied.";
        return Err(invalid(why, "payload_content_type"));
    }
    if kind.is_some_and(|kind| !KINDS.contains(&kind)) {
        let why = format!("payload_content_type is not one of {KINDS:?}").replace('"', "'");
        return Err(invalid(&why, "payload_content_type"));
    }
    let stamp = world.stamp();
    let stamp = stamp.trim_end_matches('Z');
    let id = uuid();
    let mut shown = json!({
        "created": stamp, "updated": stamp, "status": "ACTIVE", "name": body["name"], "expiration": null,
        "secret_type": body["secret_type"].as_str().unwrap_or("opaque"), "algorithm": body["algorithm"],
        "bit_length": body["bit_length"], "mode": body["mode"], "creator_id": ask.caller.user_id
    });
    if let Some(kind) = kind {
        shown["content_types"] = json!({ "default": kind });
    }
    world.key_manager.secrets.add(Secret {
        id: id.clone(),
        project: ask.project().to_owned(),
        creator: ask.caller.user_id.clone(),
        shown,
        payload: payload.map(str::to_owned),
        acl: Acl::default(),
    });
    let href = reference(ask, &id);
    Ok(Answer::json(201, json!({"secret_ref": href})).header("location", href))
}

fn list(world: &World, ask: &Ask) -> Reply {
    Rule::List.check(world, &ask.caller, None)?;
    let number = |key: &str, default: usize| {
        ask.query(key)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let found: Vec<&Secret> = world
        .key_manager
        .secrets
        .iter()
        .filter(|secret| secret.project == ask.project())
        .filter(|secret| ask.query("name").is_none_or(|name| secret.shown["name"] == name))
        .collect();
    let page = found.iter().skip(number("offset", 0)).take(number("limit", 10));
    let page: Vec<Value> = page.map(|secret| secret.shown(ask)).collect();
    Ok(Answer::ok(json!({"secrets": page, "total": found.len()})))
}

fn payload(world: &World, ask: &Ask, id: &str) -> Reply {
    let secret = reached(world, ask, id, Rule::Decrypt)?;
    let wanted = ask.header("accept").unwrap_or("*/*");
    let kind = match wanted {
        "*/*" | "text/plain" => "text/plain; charset=UTF-8",
        "application/octet-stream" => "application/octet-stream",
        _ => {
            let message = "Secret payload retrieval issue seen - Wrong payload content-type.";
            return Err(Fault::new(406, "NotAcceptable", message));
        }
    };
    let text = secret
        .payload
        .as_deref()
        .ok_or_else(|| Fault::missing("Not Found. Sorry but your secret has no payload."))?;
    Ok(Answer::json(200, json!(text)).header("content-type", kind))
}
