//! A change that never crossed before the other site took the group over: it isn't valid any more, and what it changed
//! is kept, told and can be made again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::harness::protection::Group;
use crate::harness::{Answer, Pair, Stack, names, text};
use crate::takeover::take_over;

const QUICK: &str = "[engine]\nfencing_interval_ms = 500\n";

/// A group that site-b has taken over after a change at site-a that nobody carried, with both sites there again.
struct Returned {
    stack: Stack,
    pair: Pair,
    group: Group,
}

impl Returned {
    async fn after(change: impl AsyncFnOnce(&Stack, &Pair, &Group) -> Result<()>) -> Result<Returned> {
        let mut stack = Stack::configured(QUICK).await?;
        let pair = stack.pair("demo").await?;
        let group = stack.protected(&pair, "web", 1).await?;
        stack.replicated().await?;
        change(&stack, &pair, &group).await?;
        stack.lose_site_a().await?;
        let ended = take_over(&pair, &group.id).await?;
        assert_eq!(ended["outcome"], "completed", "{ended:#}");
        stack.return_site_a().await?;
        stack.a.start().await?;
        pair.reversed().push(&group.id).await?;
        Ok(Returned { stack, pair, group })
    }

    fn path(&self, end: &str) -> String {
        format!("/protection-groups/{}{end}", self.group.id)
    }

    /// The lines of site-a about what became of an event.
    async fn told(&self, event: &str) -> Result<Vec<Value>> {
        let log = self
            .pair
            .here
            .get(&self.path(&format!("/sync-log?event={event}")))
            .await?;
        Ok(log["sync_log"].as_array().cloned().unwrap_or_default())
    }

    /// The one edit that site-a has lost.
    async fn lost(&self) -> Result<Value> {
        let lines = self.told("superseded").await?;
        assert_eq!(lines.len(), 1, "{lines:#?}");
        Ok(lines[0]["lost_edit"].clone())
    }

    /// Says at site-a that an edit was made again.
    async fn say_again(&self, edit: &Value) -> Result<Answer> {
        let body = json!({"reapplied": edit});
        self.pair
            .here
            .call(Method::POST, &self.path("/sync"), Some(&body))
            .await
    }

    /// What both sites hold, which is the same.
    async fn both(&self) -> Result<Value> {
        let mut held = Vec::new();
        for site in [&self.pair.here, &self.pair.there] {
            let sync = site.get(&self.path("/sync")).await?["sync"].clone();
            let group = site.get(&self.path("")).await?["protection_group"].clone();
            assert_eq!(sync["status"], "synced", "{sync:#}");
            held.push((sync["checksum"].clone(), group));
        }
        assert_eq!(held[0].0, held[1].0, "{held:#?}");
        Ok(held.remove(0).1)
    }
}

#[tokio::test]
async fn t3_what_a_lost_edit_changed_is_kept_told_and_made_again() -> Result<()> {
    let returned = Returned::after(async |_, pair, group| {
        let path = format!("/protection-groups/{}", group.id);
        let body = json!({"protection_group": {"description": "never crossed"}});
        pair.change(&group.id, Method::PATCH, &path, Some(&body))
            .await?
            .ok(200)?;
        Ok(())
    })
    .await?;
    let Returned { stack, pair, .. } = &returned;
    let lost = returned.lost().await?;
    assert_eq!(
        lost["changes"],
        json!([{"change": "description", "from": "of the tests", "to": "never crossed", "standing": "missing"}])
    );
    assert_eq!(lost["document"]["description"], "never crossed");
    let line = returned.told("superseded").await?[0].clone();
    assert_eq!(
        lost["id"],
        format!("{}.{}", line["epoch"], line["version"]),
        "{line:#}"
    );
    let message = line["message"].as_str().context("no message")?;
    ensure!(
        message.ends_with("no longer valid; it changed: description"),
        "{message}"
    );
    ensure!(!line.to_string().contains("-token"), "{line:#}");
    // Only the site that lost the group has lost something, and the sites agree.
    let there = pair.there.get(&returned.path("/sync-log")).await?;
    let mut others = there["sync_log"].as_array().into_iter().flatten();
    ensure!(others.all(|line| line["lost_edit"].is_null()), "{there:#}");
    assert_eq!(returned.both().await?["description"], "of the tests");

    let edit = json!({"epoch": line["epoch"], "version": line["version"]});
    returned
        .say_again(&edit)
        .await?
        .fault("conflictingRequest", 409)?;
    returned
        .say_again(&json!({"epoch": 7, "version": 7}))
        .await?
        .fault("itemNotFound", 404)?;
    let body = json!({"protection_group": {"description": lost["changes"][0]["to"]}});
    pair.reversed()
        .modify(
            &returned.group.id,
            Method::PATCH,
            &returned.path(""),
            Some(&body),
            200,
        )
        .await?;
    assert_eq!(returned.both().await?["description"], "never crossed");
    assert_eq!(returned.lost().await?["changes"][0]["standing"], "there");
    for _ in 0..2 {
        returned.say_again(&edit).await?.ok(200)?;
        let again = returned.told("reapplied").await?;
        assert_eq!(again.len(), 1, "{again:#?}");
        assert_eq!(again[0]["version"], line["version"]);
    }
    stack.nobody_panicked()
}

/// A server can't be made a member from another site: it is named, with all that was to be protected.
#[tokio::test]
async fn t3_a_member_that_was_added_and_lost_is_named_with_its_server() -> Result<()> {
    let returned = Returned::after(async |stack, pair, group| {
        let server = stack
            .simulation
            .boot("site-a", "late", 2, "replicated-ssd")
            .await?;
        let path = format!("/protection-groups/{}/members", group.id);
        let body = json!({"member": {"instance_id": server}});
        let made = pair
            .change(&group.id, Method::POST, &path, Some(&body))
            .await?
            .ok(202)?;
        let id = made["member"]["id"].as_str().context("no id")?.to_owned();
        pair.until(&format!("{path}/{id}"), "member", |member| {
            member["status"] == "protected"
        })
        .await?;
        Ok(())
    })
    .await?;
    let changes = returned.lost().await?["changes"].clone();
    assert_eq!(changes.as_array().map(Vec::len), Some(1), "{changes:#}");
    assert_eq!(
        (&changes[0]["change"], &changes[0]["standing"]),
        (&json!("member_added"), &json!("missing"))
    );
    let member = &changes[0]["member"];
    assert_eq!(member["instance_name"], "late");
    assert_eq!(member["volumes"].as_array().map(Vec::len), Some(2), "{member:#}");
    assert_eq!(returned.both().await?["member_count"], 1);
    // It ran where the group doesn't any more, so it is held there like the others.
    let here = &returned.pair.here;
    let held = |server: &Value| server["status"] == "SHUTOFF" && server["locked"] == true;
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let servers = here.listed("compute", "/servers/detail", "servers").await?;
        assert_eq!(names(&servers), ["late", "web-0"]);
        if servers.iter().all(held) {
            break;
        }
        ensure!(Instant::now() < end, "a server runs on");
        sleep(Duration::from_millis(100)).await;
    }
    returned.stack.nobody_panicked()
}

/// Its deletion is what was lost: it is there again, and told.
#[tokio::test]
async fn t3_a_group_that_was_deleted_and_taken_over_is_there_again() -> Result<()> {
    let mut stack = Stack::configured(QUICK).await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    stack.replicated().await?;
    if let Some(engine) = stack.a.engine.take() {
        engine.kill().await?;
    }
    let path = format!("/protection-groups/{}", group.id);
    pair.change(&group.id, Method::DELETE, &path, None)
        .await?
        .ok(202)?;
    stack.lose_site_a().await?;
    let ended = take_over(&pair, &group.id).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    stack.return_site_a().await?;
    stack.a.start().await?;
    let end = Instant::now() + Duration::from_secs(60);
    while pair.here.call(Method::GET, &path, None).await?.status != 404 {
        ensure!(Instant::now() < end, "the group stays");
        sleep(Duration::from_millis(100)).await;
    }
    pair.reversed().push(&group.id).await?;
    let log = pair.here.get(&format!("{path}/sync-log")).await?;
    let line = &log["sync_log"][0];
    assert_eq!(
        (&line["event"], &line["lost_edit"]),
        (&json!("superseded"), &Value::Null)
    );
    ensure!(
        text(line, "message")?.contains("had been deleted on this site"),
        "{line:#}"
    );
    stack.nobody_panicked()
}
