//! What an operation would find, told before it is begun: everything at once, with reason and remedy.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Pair, Stack, state, text};
use crate::takeover::late;

/// Time goes by on the arrays.
const CLOCKS: &[state::Allowed] = &[
    state::Allowed {
        path: "fa-a/time",
        why: "a clock",
    },
    state::Allowed {
        path: "fa-b/time",
        why: "a clock",
    },
];

/// Ask what would be found.
async fn look(pair: &Pair, group: &str, kind: &str) -> Result<Value> {
    let path = format!("/protection-groups/{group}/preflight");
    let body = json!({"preflight": {"type": kind}});
    let answer = pair.here.call(Method::POST, &path, Some(&body)).await?.ok(200)?;
    Ok(answer["preflight"].clone())
}

/// The one finding of a check; each says what is so, and what to do about it.
fn finding<'a>(report: &'a Value, check: &str) -> Result<&'a Value> {
    let findings = report["findings"].as_array().context("no findings")?;
    let found = findings
        .iter()
        .find(|finding| finding["check"] == check)
        .with_context(|| format!("nothing is found of {check}: {report:#}"))?;
    ensure!(
        !text(found, "message")?.is_empty() && !text(found, "remedy")?.is_empty(),
        "{found:#}"
    );
    Ok(found)
}

#[tokio::test]
async fn preflight_finds_nothing_where_all_is_well_and_changes_nothing() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    stack.replicated().await?;
    let before = stack.simulation.world().await?;
    let planned = look(&pair, &group.id, "planned").await?;
    assert_eq!(
        (&planned["ready"], &planned["findings"]),
        (&json!(true), &json!([])),
        "{planned:#}"
    );
    assert_eq!(planned["type"], "planned");
    let unplanned = look(&pair.reversed(), &group.id, "unplanned").await?;
    assert_eq!(
        (&unplanned["ready"], &unplanned["findings"]),
        (&json!(true), &json!([])),
        "{unplanned:#}"
    );
    ensure!(!unplanned["snapshot"]["created"].is_null(), "{unplanned:#}");
    ensure!(!unplanned["facts_read_at"].is_null(), "{unplanned:#}");
    let after = stack.simulation.world().await?;
    let changed = state::differences(&before, &after, CLOCKS);
    ensure!(changed.is_empty(), "{changed:#?}");
    // A planned operation is looked at where the group runs.
    let path = format!("/protection-groups/{}/preflight", group.id);
    let body = json!({"preflight": {"type": "planned"}});
    let elsewhere = pair.there.call(Method::POST, &path, Some(&body)).await?.ok(409)?;
    assert_eq!(
        elsewhere["conflictingRequest"]["current_primary_site"], "site-a",
        "{elsewhere}"
    );
    Ok(())
}

#[tokio::test]
async fn preflight_tells_everything_at_once_and_the_operation_says_the_same() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 3).await?;
    // Too few cores, no such security group, and a disk that nobody protected.
    let quota = json!({"quota_set": {"cores": 0}});
    let admin = stack.b.sign_in("admin").await?;
    let path = format!("/os-quota-sets/{}", pair.there.project);
    admin
        .cloud("compute", Method::PUT, &path, Some(&quota))
        .await?
        .ok(200)?;
    let ports = pair
        .here
        .listed(
            "network",
            &format!("/v2.0/ports?device_id={}", group.servers[0]),
            "ports",
        )
        .await?;
    let own = json!({"security_group": {"name": "only-here"}});
    let made = pair
        .here
        .cloud("network", Method::POST, "/v2.0/security-groups", Some(&own))
        .await?
        .ok(201)?;
    let change = json!({"port": {"security_groups": [made["security_group"]["id"]]}});
    let path = format!("/v2.0/ports/{}", text(&ports[0], "id")?);
    pair.here
        .cloud("network", Method::PUT, &path, Some(&change))
        .await?
        .ok(200)?;
    let blank = json!({"volume": {"size": 1, "name": "blank", "volume_type": "replicated-ssd"}});
    let made = pair
        .here
        .cloud("volumev3", Method::POST, "/volumes", Some(&blank))
        .await?
        .ok(202)?;
    let volume = text(&made["volume"], "id")?.to_owned();
    becomes(&pair, &volume, "available").await?;
    let attach = json!({"volumeAttachment": {"volumeId": volume}});
    let path = format!("/servers/{}/os-volume_attachments", group.servers[1]);
    pair.here
        .cloud("compute", Method::POST, &path, Some(&attach))
        .await?
        .ok(200)?;

    becomes(&pair, &volume, "in-use").await?;

    let report = look(&pair, &group.id, "planned").await?;
    assert_eq!(report["ready"], false);
    let told = finding(&report, "quota")?;
    ensure!(
        text(told, "message")?.contains("cores of the tenant's project"),
        "{told:#}"
    );
    let told = finding(&report, "security_group")?;
    ensure!(
        text(told, "remedy")?.contains("--security-group-mapping only-here="),
        "{told:#}"
    );
    assert_eq!(told["member"], "web-0");
    let told = finding(&report, "disks")?;
    ensure!(text(told, "message")?.contains(&volume), "{told:#}");
    assert_eq!(told["member"], "web-1");

    // The operation meets them before it touches anything.
    let before = stack.simulation.world().await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    ensure!(text(&ended, "error_message")?.contains(&volume), "{ended:#}");
    let changed = state::differences(&before, &stack.simulation.world().await?, CLOCKS);
    ensure!(changed.is_empty(), "{changed:#?}");
    Ok(())
}

/// A volume is as somebody asked.
async fn becomes(pair: &Pair, volume: &str, status: &str) -> Result<()> {
    for _ in 0..200 {
        let shown = pair
            .here
            .cloud("volumev3", Method::GET, &format!("/volumes/{volume}"), None)
            .await?
            .ok(200)?;
        if shown["volume"]["status"] == status {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    anyhow::bail!("volume {volume} never becomes {status}")
}

#[tokio::test]
async fn preflight_of_the_survivor_asks_nobody_else_and_names_who_would_be_missing() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    stack.replicated().await?;
    late(&stack, &pair, &group.id).await?;
    stack.silence_site_a().await?;
    // Older than the policy promises.
    stack.advance(std::time::Duration::from_secs(3600)).await?;
    let before = stack.simulation.knocks("site-a", "fa-a").await?;
    let report = look(&pair.reversed(), &group.id, "unplanned").await?;
    let after = stack.simulation.knocks("site-a", "fa-a").await?;
    assert_eq!(before, after, "the lost site was asked");
    assert_eq!(report["ready"], false);
    let findings = report["findings"].as_array().context("no findings")?;
    let missing = findings
        .iter()
        .find(|finding| finding["severity"] == "blocker")
        .with_context(|| format!("{report:#}"))?;
    assert_eq!(missing["member"], "late", "{report:#}");
    Ok(())
}
