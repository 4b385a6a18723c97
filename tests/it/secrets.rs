//! What must not be found anywhere, and keys that aren't there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::harness::database::sql;
use crate::harness::refused::{SERVICES, refused_start};
use crate::harness::{Pair, Stack, text};
use crate::takeover::take_over;
use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};

/// All files below a directory but the configuration, in which the operator himself wrote a password.
fn files(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else if path.extension().is_none_or(|extension| extension != "conf") {
            found.push(path);
        }
    }
    Ok(())
}

/// What a secret looks like wherever somebody wrote it down: as it is, or in one of the usual encodings.
fn shapes(secret: &[u8]) -> BTreeSet<Vec<u8>> {
    let hex = |byte: &u8| format!("{byte:02x}");
    let lower: String = secret.iter().map(hex).collect();
    let every =
        |before: &str| -> String { secret.iter().map(|byte| format!("{before}{byte:02x}")).collect() };
    let needed = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(*byte).to_string(),
        other => format!("%{other:02X}"),
    };
    let mut found: BTreeSet<Vec<u8>> = [
        lower.clone(),
        lower.to_uppercase(),
        every("%"),
        every("%").to_uppercase(),
        every("\\x"),
        every("\\u00"),
        secret.iter().map(needed).collect(),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect();
    found.insert(secret.to_vec());
    if let Ok(text) = std::str::from_utf8(secret) {
        let quoted = serde_json::Value::from(text).to_string();
        found.insert(quoted.trim_matches('"').as_bytes().to_vec());
    }
    // In base64 it looks different at each of three places; what its neighbours have a part in is left out.
    for before in 0..3 {
        let mut whole = vec![0; before];
        whole.extend(secret);
        for text in [STANDARD_NO_PAD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
            let first = (before * 8).div_ceil(6);
            let last = whole.len() * 8 / 6;
            found.insert(text.as_bytes()[first..last].to_vec());
        }
    }
    found
}

fn holds(content: &[u8], wanted: &[u8]) -> bool {
    let Some(first) = wanted.first() else { return false };
    content
        .iter()
        .enumerate()
        .any(|(at, byte)| byte == first && content[at..].starts_with(wanted))
}

/// Everything that both sites have written but their keys: databases with their journals, logs, output.
fn written(stack: &Stack) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for site in [&stack.a, &stack.b] {
        files(&site.directory, &mut found)?;
    }
    found.retain(|path| !path.components().any(|part| part.as_os_str() == "keys"));
    for name in [
        "site-a/state/protector.db",
        "site-b/state/protector.db",
        "site-a/log/protector-engine.log",
        "site-b/log/protector-engine.log",
        "site-a/log/protector-api.log",
        "site-b/log/protector-api.log",
    ] {
        ensure!(
            found.iter().any(|path| path.ends_with(name)),
            "no {name}: {found:?}"
        );
    }
    ensure!(
        found
            .iter()
            .any(|path| path.to_string_lossy().ends_with(".db-wal")),
        "no database has its journal beside it: {found:?}"
    );
    Ok(found)
}

/// Which of these secrets lie in which files; a secret goes by the name that it is told under.
fn found_in(paths: &[PathBuf], secrets: &[(String, Vec<u8>)]) -> Result<Vec<String>> {
    let mut found = BTreeSet::new();
    // By their first two bytes, so that files are gone through once.
    let mut wanted: Vec<Vec<(&str, Vec<u8>)>> = vec![Vec::new(); 1 << 16];
    for (name, secret) in secrets {
        for shape in shapes(secret) {
            wanted[usize::from(shape[0]) << 8 | usize::from(shape[1])].push((name, shape));
        }
    }
    for path in paths {
        let content = std::fs::read(path)?;
        for (at, pair) in content.windows(2).enumerate() {
            for (name, shape) in &wanted[usize::from(pair[0]) << 8 | usize::from(pair[1])] {
                if content[at..].starts_with(shape) {
                    found.insert(format!("{name} in {}", path.display()));
                }
            }
        }
    }
    Ok(found.into_iter().collect())
}

fn named(name: &str, secret: &str) -> (String, Vec<u8>) {
    (name.to_owned(), secret.as_bytes().to_vec())
}

/// The private keys of both sites, as they are in their files and as what these stand for.
fn keys(stack: &Stack) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for site in [&stack.a, &stack.b] {
        let mut paths = Vec::new();
        files(&site.state().join("keys"), &mut paths)?;
        for path in paths {
            let content = std::fs::read(&path)?;
            let text = content.trim_ascii();
            for line in text.split(|byte| *byte == b'\n').filter(|line| line.len() > 20) {
                found.push((format!("the key of {}", path.display()), line.to_vec()));
            }
            if let Ok(raw) = STANDARD_NO_PAD.decode(
                text.trim_ascii_end()
                    .split(|byte| *byte == b'=')
                    .next()
                    .unwrap_or_default(),
            ) {
                found.push((format!("the key of {}", path.display()), raw));
            }
        }
    }
    ensure!(!found.is_empty(), "no keys were found");
    Ok(found)
}

/// What nobody may read who gets hold of a site's files.
async fn secrets(stack: &Stack, pair: &Pair) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = keys(stack)?;
    for array in ["fa-a", "fa-b"] {
        found.push(named("the token of an array", &format!("{array}-token")));
    }
    for site in ["site-a", "site-b"] {
        for user in ["protector", "demo", "admin"] {
            found.push(named("a password", &format!("{site}-{user}")));
        }
        let state = stack.simulation.cloud_state(site).await?;
        for trust in state["identity"]["trusts"].as_array().into_iter().flatten() {
            found.push(named("a trust", text(trust, "id")?));
        }
    }
    ensure!(
        found.iter().any(|(name, _)| name == "a trust"),
        "no trust was found"
    );
    found.push(named("user data", "#cloud-config"));
    for session in [&pair.here, &pair.there] {
        found.push(named("a user's token", &session.token));
    }
    Ok(found)
}

/// A planned failover that fails, one that doesn't, and an unplanned one: everything that protector does with secrets.
async fn everything(stack: &mut Stack, pair: &Pair) -> Result<()> {
    let lost = stack.protected(pair, "web", 1).await?;
    stack.replicated().await?;
    let group = stack.protected(pair, "api", 1).await?;
    let rule = json!({"method": "POST", "path": "/servers$", "times": 1, "action": {"kind": "status", "status": 403,
        "body": {"forbidden": {"code": 403, "message": "Not today."}}}});
    stack.simulation.disturb("site-b", &rule).await?;
    for outcome in ["rolled_back", "completed"] {
        let operation = pair.failover(&group.id, json!({})).await?;
        assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], outcome);
    }
    stack.lose_site_a().await?;
    let ended = take_over(pair, &lost.id).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    Ok(())
}

/// With the logs at their most talkative.
#[tokio::test]
async fn a12_no_secret_lies_about_in_clear() -> Result<()> {
    let mut stack = Stack::configured("[DEFAULT]\ndebug = True\n").await?;
    let pair = stack.pair("demo").await?;
    // Where everything is still there: afterwards site-a is gone.
    everything(&mut stack, &pair).await?;
    stack.simulation.heal().await?;
    let secrets = secrets(&stack, &pair).await?;
    let found = found_in(&written(&stack)?, &secrets)?;
    ensure!(found.is_empty(), "{}", found.join("\n"));
    // The journals were looked at, and there was something in them.
    for site in [&stack.a, &stack.b] {
        let lines = sql(&site.database(), "SELECT count(*) FROM saga_events").await?;
        ensure!(lines[0][0].as_u64() > Some(0), "{} has no journal", site.name);
    }
    Ok(())
}

/// The search finds what it looks for, in each shape.
#[test]
fn a12_a_secret_is_found_in_each_shape() {
    let secret = br#"fa "token"/1"#;
    for (content, what) in [
        (r#"x fa "token"/1 y"#.to_owned(), "as it is"),
        (r#"{"a":"fa \"token\"/1"}"#.to_owned(), "JSON"),
        ("?t=fa%20%22token%22%2F1&".to_owned(), "URL"),
        ("66612022746f6b656e222f31".to_owned(), "hex"),
        (STANDARD.encode(r#"user:fa "token"/1"#), "base64"),
        (
            STANDARD.encode(r#"ab:fa "token"/1 and more"#),
            "base64, elsewhere",
        ),
        (STANDARD.encode(r#"abcd:fa "token"/1"#), "base64, elsewhere again"),
    ] {
        let hit = shapes(secret)
            .iter()
            .any(|shape| holds(content.as_bytes(), shape));
        assert!(hit, "{what}: {content}");
    }
    assert!(
        !shapes(secret)
            .iter()
            .any(|shape| holds(b"fa tokens are elsewhere", shape))
    );
}

/// Sealed, each for its own place: not as they are, not in any encoding, and never twice the same.
#[tokio::test]
async fn a11_array_tokens_are_sealed_in_the_database() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.bare_group(&pair, "web").await?;
    stack.policy(&pair, &group, "pg-web").await?;
    let other = stack.bare_group(&pair, "api").await?;
    stack.policy(&pair, &other, "pg-api").await?;
    const TOKENS: &str = "SELECT primary_fa_api_token, secondary_fa_api_token FROM replication_policies";
    let mut sealed = BTreeSet::new();
    let mut count = 0;
    for site in [&stack.a, &stack.b] {
        for row in sql(&site.database(), TOKENS).await? {
            for kept in row.as_array().into_iter().flatten().filter_map(Value::as_str) {
                ensure!(kept.len() > 40, "'{kept}' is not sealed");
                sealed.insert(kept.to_owned());
                count += 1;
            }
        }
    }
    // Site-a keeps both arrays' tokens of both groups, site-b at least its own array's.
    ensure!(count >= 6, "only {count} tokens are kept");
    assert_eq!(sealed.len(), count, "two are sealed alike");
    let tokens = [
        named("the token of fa-a", "fa-a-token"),
        named("the token of fa-b", "fa-b-token"),
    ];
    let databases: Vec<PathBuf> = written(&stack)?
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("protector.db"))
        .collect();
    let found = found_in(&databases, &tokens)?;
    ensure!(found.is_empty(), "{}", found.join("\n"));

    // What is sealed for one group opens for no other one: that is an error, and not another group's token.
    const SWAP: &str = "UPDATE replication_policies SET primary_fa_api_token = \
        (SELECT primary_fa_api_token FROM replication_policies other WHERE other.id <> replication_policies.id)";
    sql(&stack.a.database(), SWAP).await?;
    let path = format!("/protection-groups/{group}/metadata");
    pair.here.call(Method::GET, &path, None).await?.ok(500)?;
    let log = std::fs::read_to_string(stack.a.directory.join("log/protector-api.log"))?;
    ensure!(
        log.lines().any(|line| line.contains(" ERROR ")),
        "nobody is told: {log}"
    );
    Ok(())
}

/// The same work twice: the engine tells its steps where it is asked to, and the work is the same.
#[tokio::test]
async fn a12_debug_writes_more() -> Result<()> {
    let mut told = Vec::new();
    for more in ["", "[DEFAULT]\ndebug = True\n"] {
        let stack = Stack::configured(more).await?;
        let pair = stack.pair("demo").await?;
        let group = stack.protected(&pair, "web", 1).await?;
        let operation = pair.failover(&group.id, json!({})).await?;
        let ended = pair.ended(&group.id, &operation).await?;
        let log = std::fs::read_to_string(stack.a.directory.join("log/protector-engine.log"))?;
        let debug: Vec<&str> = log.lines().filter(|line| line.contains(" DEBUG ")).collect();
        let steps: Vec<String> = ended["steps"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|step| step["name"].as_str())
            .filter(|name| debug.iter().any(|line| line.contains(*name)))
            .map(str::to_owned)
            .collect();
        let all = ended["steps"].as_array().map(Vec::len);
        assert_eq!(ended["outcome"], "completed");
        told.push((debug.len(), Some(steps.len()), all, log.lines().count()));
    }
    let [(none, ..), (some, steps, all, lines)] = told[..] else {
        unreachable!("two runs")
    };
    assert_eq!(none, 0, "debug lines that nobody asked for");
    ensure!(some > 0 && lines > told[0].3, "nothing more is written: {told:?}");
    assert_eq!(steps, all, "not every step is told");
    assert_eq!(told[0].2, told[1].2, "the records differ");
    Ok(())
}

#[tokio::test]
async fn a11_a_wrong_key_directory_is_named_at_start() -> Result<()> {
    let wrong = "[secrets]\nkey_repository = /nowhere/keys\n";
    for said in refused_start(wrong, SERVICES).await? {
        ensure!(said.contains("/nowhere/keys"), "{said}");
        ensure!(!said.contains("panicked"), "{said}");
    }
    Ok(())
}
