//! What clients carry between the sites is signed by the site that says it: altered, stripped, foreign or old, it is
//! refused with its own reason, and changes nothing.

use crate::harness::{Answer, Pair, Stack};
use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

struct Scene {
    stack: Stack,
    pair: Pair,
    group: String,
}

impl Scene {
    /// A group of which `site-b` lacks the second version.
    async fn begin() -> Result<Scene> {
        let stack = Stack::start().await?;
        let pair = stack.pair("demo").await?;
        let group = stack.bare_group(&pair, "web").await?;
        Ok(Scene { stack, pair, group })
    }

    fn path(&self, rest: &str) -> String {
        format!("/protection-groups/{}{rest}", self.group)
    }

    async fn change(&self, description: &str) -> Result<Answer> {
        let body = json!({"protection_group": {"description": description}});
        self.pair
            .change(&self.group, Method::PATCH, &self.path(""), Some(&body))
            .await
    }

    async fn bundle(&self) -> Result<Value> {
        Ok(self.pair.here.get(&self.path("/metadata")).await?["bundle"].clone())
    }

    async fn bring(&self, bundle: &Value) -> Result<Answer> {
        let body = json!({ "bundle": bundle });
        self.pair
            .there
            .call(Method::PUT, &self.path("/metadata"), Some(&body))
            .await
    }

    /// What both sites hold of the group.
    async fn held(&self) -> Result<[Value; 2]> {
        let here = self.pair.here.get(&self.path("")).await?;
        let there = self.pair.there.get(&self.path("")).await?;
        Ok([here, there])
    }
}

/// The value at a pointer put in the place of what is there.
fn altered(value: &Value, pointer: &str, new: Value) -> Result<Value> {
    let mut value = value.clone();
    match value.pointer_mut(pointer) {
        Some(place) => *place = new,
        None => anyhow::bail!("nothing at {pointer} in {value}"),
    }
    Ok(value)
}

#[tokio::test]
async fn t5_a_bundle_counts_as_its_origin_signed_it_and_no_other_way() -> Result<()> {
    let scene = Scene::begin().await?;
    let old = scene.bundle().await?;
    scene.change("told").await?.ok(200)?;
    let good = scene.bundle().await?;
    let other = scene.stack.bare_group(&scene.pair, "other").await?;
    let other = scene
        .pair
        .here
        .get(&format!("/protection-groups/{other}/metadata"))
        .await?["bundle"]
        .clone();
    let before = scene.held().await?;
    let not_so = "is not what site 'site-a' said";
    let bad: [(Value, &str); 7] = [
        // Not covered by the checksum.
        (
            altered(&good, "/observations/backend_name", json!("elsewhere"))?,
            not_so,
        ),
        (altered(&good, "/signature", json!("AAAA"))?, not_so),
        (altered(&good, "/signature", old["signature"].clone())?, not_so),
        (
            altered(&good, "/signature", Value::Null)?,
            "is not signed by site 'site-a'",
        ),
        (
            altered(&good, "/schema_version", json!(999))?,
            "upgrade this site first",
        ),
        (
            altered(&good, "/version", json!(3))?,
            "disagree about epoch and version",
        ),
        (other, "about another protection group"),
    ];
    for (bundle, reason) in bad {
        let message = scene.bring(&bundle).await?.fault("badRequest", 400)?;
        ensure!(message.contains(reason), "{reason}: {message}");
        ensure!(scene.held().await? == before, "{reason}: something changed");
    }
    for field in ["document", "checksum", "origin_site_id"] {
        let mut bundle = good.clone();
        if let Some(fields) = bundle.as_object_mut() {
            fields.remove(field);
        }
        scene.bring(&bundle).await?.fault("badRequest", 400)?;
        ensure!(
            scene.held().await? == before,
            "without {field}: something changed"
        );
    }
    scene.pair.push(&scene.group).await?;
    let message = scene.bring(&old).await?.fault("conflictingRequest", 409)?;
    ensure!(message.contains("holds version 2 already"), "{message}");
    Ok(())
}

#[tokio::test]
async fn t2_the_peers_word_is_the_peers_own() -> Result<()> {
    let scene = Scene::begin().await?;
    let before = scene.held().await?;
    let statement = scene.pair.statement(&scene.group).await?;
    let said: Value = serde_json::from_slice(&STANDARD.decode(statement)?)?;
    let not_so = "is not what site 'site-b' said";
    let bad = [
        (
            altered(&said, "/stated_at", json!("2099-01-01T00:00:00Z"))?,
            not_so,
        ),
        (altered(&said, "/exists", json!(false))?, not_so),
        (
            altered(&said, "/signature", Value::Null)?,
            "is not signed by site 'site-b'",
        ),
    ];
    let body = json!({"protection_group": {"description": "forged"}});
    for (statement, reason) in bad {
        let header = STANDARD.encode(statement.to_string());
        let headers = [("X-Protector-Statement", header.as_str())];
        let url = format!("{}{}", scene.pair.here.base(), scene.path(""));
        let answer = scene
            .pair
            .here
            .ask(Method::PATCH, &url, &headers, Some(&body))
            .await?;
        let message = answer.fault("badRequest", 400)?;
        ensure!(message.contains(reason), "{reason}: {message}");
        ensure!(scene.held().await? == before, "{reason}: something changed");
    }
    Ok(())
}

/// The receipt brings a trust along: by a forged one, somebody else's would be used for the tenant.
#[tokio::test]
async fn t2_a_receipt_is_the_peers_own() -> Result<()> {
    let scene = Scene::begin().await?;
    scene.change("told").await?.ok(200)?;
    let bundle = scene.bundle().await?;
    let receipt = scene.bring(&bundle).await?.ok(200)?["receipt"].clone();
    let before = scene.held().await?;
    let bad = [
        (
            altered(&receipt, "/trust_id", json!("somebody-elses"))?,
            "is not what site 'site-b' said",
        ),
        (
            altered(&receipt, "/signature", Value::Null)?,
            "is not signed by site 'site-b'",
        ),
    ];
    let path = scene.path("/sync");
    for (receipt, reason) in bad {
        let body = json!({ "receipt": receipt });
        let answer = scene.pair.here.call(Method::POST, &path, Some(&body)).await?;
        let message = answer.fault("badRequest", 400)?;
        ensure!(message.contains(reason), "{reason}: {message}");
        ensure!(scene.held().await? == before, "{reason}: something changed");
    }
    let body = json!({ "receipt": receipt });
    scene
        .pair
        .here
        .call(Method::POST, &path, Some(&body))
        .await?
        .ok(200)?;
    Ok(())
}
