//! Keypairs, which belong to users and not to projects.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::ask::{Answer, Ask, Reply, maybe};
use super::super::fault::Fault;
use super::super::world::World;

fn view(ask: &Ask, pair: &Value, listed: bool) -> Value {
    let mut shown = json!({
        "name": pair["name"], "public_key": pair["public_key"], "fingerprint": pair["fingerprint"]
    });
    if ask.minor >= 2 {
        shown["type"] = pair["type"].clone();
    }
    if !listed {
        for key in ["user_id", "created_at", "id"] {
            shown[key] = pair[key].clone();
        }
        shown["deleted"] = json!(false);
        shown["deleted_at"] = Value::Null;
        shown["updated_at"] = Value::Null;
    }
    json!({"keypair": shown})
}

/// A fingerprint as Nova shows them; of what, nobody asks here.
pub(in super::super) fn fingerprint(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    let parts: Vec<String> = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    parts.join(":")
}

/// A kind of key and something in Base64's letters.
fn is_key(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let letters = |word: &str| {
        word.chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "+/=".contains(letter))
    };
    (kind.starts_with("ssh-") || kind.starts_with("ecdsa-")) && words.next().is_some_and(letters)
}

pub(super) fn route(world: &mut World, ask: &Ask, rest: &[&str]) -> Reply {
    let user = ask
        .query("user_id")
        .filter(|_| ask.caller.admin)
        .unwrap_or(&ask.caller.user_id);
    let stamp = world.stamp_micros();
    let pairs = &mut world.compute.keypairs;
    let missing = |name: &str| Fault::missing(format!("Keypair {name} not found for user {user}"));
    match (ask.method.as_str(), rest) {
        ("GET", []) => {
            let own = pairs.iter().filter(|pair| pair["user_id"] == user);
            Ok(Answer::ok(
                json!({"keypairs": own.map(|pair| view(ask, pair, true)).collect::<Vec<_>>()}),
            ))
        }
        ("GET", [name]) => {
            let found = pairs
                .iter()
                .find(|pair| pair["user_id"] == user && pair["name"] == *name);
            Ok(Answer::ok(view(ask, found.ok_or_else(|| missing(name))?, false)))
        }
        ("POST", []) => {
            let wanted = ask.object("keypair")?;
            let name = maybe(wanted, "name").ok_or_else(|| Fault::bad("'name' is a required property"))?;
            let user = maybe(wanted, "user_id")
                .filter(|_| ask.caller.admin)
                .unwrap_or_else(|| user.to_owned());
            if pairs
                .iter()
                .any(|pair| pair["user_id"] == user.as_str() && pair["name"] == name.as_str())
            {
                return Err(Fault::conflict(format!("Key pair '{name}' already exists.")));
            }
            let given = maybe(wanted, "public_key");
            if given.as_deref().is_some_and(|key| !is_key(key)) {
                return Err(Fault::bad(
                    "Keypair data is invalid: failed to generate fingerprint",
                ));
            }
            let key = given
                .clone()
                .unwrap_or_else(|| format!("ssh-ed25519 SIMULATED {name}"));
            let pair = json!({
                "name": name, "public_key": key, "fingerprint": fingerprint(&key), "user_id": user,
                "type": wanted.get("type").cloned().unwrap_or_else(|| json!("ssh")), "created_at": stamp,
                "id": pairs.len() + 1
            });
            pairs.push(pair.clone());
            let mut shown = view(ask, &pair, true);
            shown["keypair"]["user_id"] = pair["user_id"].clone();
            if given.is_none() {
                shown["keypair"]["private_key"] = json!("simulated");
            }
            Ok(Answer::json(if ask.minor >= 2 { 201 } else { 200 }, shown))
        }
        ("DELETE", [name]) => {
            let at = pairs
                .iter()
                .position(|pair| pair["user_id"] == user && pair["name"] == *name);
            pairs.remove(at.ok_or_else(|| missing(name))?);
            Ok(Answer::empty(if ask.minor >= 2 { 204 } else { 202 }))
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}
