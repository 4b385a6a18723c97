//! A site whose endpoints are reached by HTTPS alone, with a certificate that only its own authority vouches for.

use crate::harness::{Plan, Stack, text};
use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;

const BEHIND_TLS: Plan<'_> = Plan {
    sites: &["--tls-b"],
    more: ["", ""],
    trusting: true,
};

#[tokio::test]
async fn a_site_with_its_own_authority_takes_a_group_over() -> Result<()> {
    let stack = Stack::planned(BEHIND_TLS).await?;
    for url in [&stack.b.auth_url, &stack.b.root] {
        ensure!(url.starts_with("https://"), "{url}");
    }
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    stack.arrived(&pair, &group).await
}

/// Nobody talks to a site whose certificate can't be verified, and what is to be done about it is said.
#[tokio::test]
async fn an_unknown_authority_is_named_and_never_trusted() -> Result<()> {
    let plan = Plan {
        trusting: false,
        ..BEHIND_TLS
    };
    let mut stack = Stack::planned(plan).await?;
    let admin = stack.a.sign_in("admin").await?;
    let there = stack.b.identity().await?;
    // Nobody but site-a could ask site-b now.
    stack.b.stop().await?;
    let before = stack.simulation.calls("site-b", "", "").await?.len();
    let path = format!("/sites/{}/validate", text(&there, "id")?);
    let found = admin.admin(Method::POST, &path, None).await?.ok(200)?;
    assert_eq!(found["site"]["status"], "error", "{found:#}");
    let reason = text(&found["site"], "status_reason")?;
    let host = stack.b.auth_url.trim_start_matches("https://");
    let host = host.split('/').next().unwrap_or_default();
    for part in ["certificate", host, "issuer", "cafile", "[site:site-b]"] {
        ensure!(reason.contains(part), "{part} isn't in: {reason}");
    }
    let after = stack.simulation.calls("site-b", "", "").await?.len();
    assert_eq!(after, before, "something was said to a site that isn't trusted");
    Ok(())
}
