//! What must not be found anywhere, and keys that aren't there.

use std::path::{Path, PathBuf};

use crate::harness::Stack;
use crate::harness::refused::{SERVICES, refused_start};
use anyhow::{Result, ensure};
use serde_json::json;

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

fn holds(content: &[u8], secret: &str) -> bool {
    content
        .windows(secret.len())
        .any(|part| part == secret.as_bytes())
}

/// Databases with their journals, and logs at their most talkative, after a failover that failed and one that didn't.
#[tokio::test]
async fn a11_a12_no_secret_lies_about_in_clear() -> Result<()> {
    let stack = Stack::configured("[DEFAULT]\ndebug = True\n").await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let rule = json!({"method": "POST", "path": "/servers$", "times": 1, "action": {"kind": "status", "status": 403,
        "body": {"forbidden": {"code": 403, "message": "Not today."}}}});
    stack.simulation.disturb("site-b", &rule).await?;
    for outcome in ["rolled_back", "completed"] {
        let operation = pair.failover(&group.id, json!({})).await?;
        assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], outcome);
    }
    let mut looked_at = Vec::new();
    for site in [&stack.a, &stack.b] {
        files(&site.directory, &mut looked_at)?;
    }
    let named = |name: &str| looked_at.iter().any(|path| path.to_string_lossy().contains(name));
    ensure!(
        named("protector.db") && named("protector-engine.log") && named("protector-api.log"),
        "nothing was looked at: {looked_at:?}"
    );
    let secrets = [
        "fa-a-token",
        "fa-b-token",
        "site-a-protector",
        "site-b-protector",
        "site-a-demo",
        "site-b-demo",
        &pair.here.token,
        &pair.there.token,
    ];
    for path in &looked_at {
        let content = std::fs::read(path)?;
        for secret in secrets {
            ensure!(
                !holds(&content, secret),
                "{} holds {}...",
                path.display(),
                secret.get(..8).unwrap_or_default()
            );
        }
    }
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
