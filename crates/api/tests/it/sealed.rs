//! The sealed part of a bundle: tokens reach the other site's database and nobody on the way.

use std::collections::BTreeMap;

use chrono::Utc;
use protector_domain::{
    ArraySide, Bundle, Document, Group, GroupStatus, Policy, PolicyId, ProjectId, SiteId, SyncStatus,
    TenantMapping, TenantMappingId,
};
use protector_ports::Store;
use protector_ports::store::Along;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::groups::group_of;
use crate::site::{KEY, Site, said_by};

/// Keystones that refuse the connection: whether a trust works is then not known, and the stored one stays.
const NOBODY: [&str; 2] = ["http://127.0.0.1:1/v3", "http://127.0.0.1:2/v3"];

pub fn policy(primary: SiteId, secondary: SiteId) -> Policy {
    let side = |site_id, url: &str| ArraySide {
        site_id,
        url: url.to_owned(),
        token_secret: None,
    };
    Policy {
        id: PolicyId(Uuid::new_v4()),
        primary: side(primary, "https://fa-a"),
        secondary: side(secondary, "https://fa-b"),
        pure_pg_name: "pg".into(),
        replication_interval_seconds: Some(600),
        rpo_minutes: None,
    }
}

pub fn token(text: &str) -> SecretString {
    SecretString::from(text)
}

pub async fn two_sites() -> (Site, SiteId) {
    let (site, peer) = (Site::new().await, SiteId(Uuid::new_v4()));
    site.register_at(site.id, "site-b", NOBODY[0]).await;
    site.register_at(peer, "site-a", NOBODY[1]).await;
    let mapping = TenantMapping {
        id: TenantMappingId(Uuid::new_v4()),
        local_tenant: ProjectId::new("p1").unwrap(),
        remote_site: peer,
        remote_tenant: ProjectId::new("q1").unwrap(),
        description: String::new(),
        created_at: Utc::now(),
    };
    site.store.insert_tenant_mapping(&mapping).await.unwrap();
    (site, peer)
}

/// A group that runs on the other site, of which this one holds neither token.
async fn secondary(site: &Site, peer: SiteId) -> Group {
    let mut group = group_of(peer, site.id, GroupStatus::Active, SyncStatus::Synced);
    group.document.projects = BTreeMap::from([
        (peer, ProjectId::new("q1").unwrap()),
        (site.id, ProjectId::new("p1").unwrap()),
    ]);
    group.document.policy = Some(policy(peer, site.id));
    let along = Along {
        trusts: vec![(site.id, token("trust"))],
        ..Along::default()
    };
    site.store.insert_group(&group, along).await.unwrap();
    group
}

/// The next version, as the other site packs it.
fn next(document: &Document, sealed: impl FnOnce(&str) -> Value) -> (Document, Value) {
    let mut document = document.clone();
    document.touch(Utc::now());
    document.description.push_str(" more");
    let mut bundle = Bundle::pack(&document, document.current_primary_site_id, json!({})).unwrap();
    let stamp = document.stamp;
    let context = format!("bundle/{}/{}/{}", document.group_id, stamp.epoch, stamp.version);
    let sealed = sealed(&context);
    bundle.sealed = sealed.as_array().map(|_| sealed.to_string());
    let bundle = said_by("site-a", bundle);
    (document, json!({ "bundle": bundle }))
}

async fn held(site: &Site, group: &Group, at: SiteId) -> Option<String> {
    let token = site.store.array_token(group.id(), at).await.unwrap();
    token.map(|token| token.expose_secret().to_owned())
}

#[tokio::test]
async fn a_bundle_carries_the_tokens_for_the_other_sites_eyes_only() {
    let (site, peer) = two_sites().await;
    let mut group = group_of(site.id, peer, GroupStatus::Active, SyncStatus::Synced);
    let path = format!("/v1/p1/protection-groups/{}/metadata", group.id());
    site.store.insert_group(&group, Along::default()).await.unwrap();
    let bare = site.get("tenant", &path).await.ok(200);
    assert_eq!(bare["bundle"]["sealed"], Value::Null);

    group.document.policy = Some(policy(site.id, peer));
    let along = Along {
        array_tokens: vec![(site.id, token("t-here")), (peer, token("t-there"))],
        ..Along::default()
    };
    site.store.update_group(&group, along).await.unwrap();
    let shown = site.get("tenant", &path).await.ok(200);
    let sealed = shown["bundle"]["sealed"].as_str().unwrap();
    let [key, context, plain]: [String; 3] = serde_json::from_str(sealed).unwrap();
    assert_eq!(key, "key of site-a");
    assert_eq!(context, format!("bundle/{}/1/1", group.id()));
    let plain: Value = serde_json::from_str(&plain).unwrap();
    assert_eq!(
        plain["array_tokens"],
        json!({site.id.to_string(): "t-here", peer.to_string(): "t-there"})
    );

    let row = json!({"site": {"public_key": "no-key"}});
    let admin = format!("/v1/admin/sites/{peer}");
    site.ask("PATCH", "admin", &admin, Some(row), &[]).await.ok(200);
    let message = site.get("tenant", &path).await.fault("conflictingRequest", 409);
    assert!(
        message.contains("site-b") && !message.contains("t-here"),
        "{message}"
    );
}

#[tokio::test]
async fn tokens_that_were_sealed_for_this_site_are_kept() {
    let (site, peer) = two_sites().await;
    let group = secondary(&site, peer).await;
    let path = format!("/v1/p1/protection-groups/{}/metadata", group.id());
    let put = async |body: &Value| site.ask("PUT", "tenant", &path, Some(body.clone()), &[]).await;
    let stranger = Uuid::new_v4().to_string();
    let tokens =
        json!({"array_tokens": {site.id.to_string(): "t-b", peer.to_string(): "t-a", stranger: "x"}});
    let (first, bundle) = next(&group.document, |context| {
        json!([KEY, context, tokens.to_string()])
    });
    let receipt = put(&bundle).await.ok(200);
    assert!(!receipt.to_string().contains("t-b"));
    assert_eq!(held(&site, &group, site.id).await.as_deref(), Some("t-b"));
    assert_eq!(held(&site, &group, peer).await.as_deref(), Some("t-a"));
    // Without a sealed part nothing is lost.
    let (_, bundle) = next(&first, |_| Value::Null);
    put(&bundle).await.ok(200);
    assert_eq!(held(&site, &group, site.id).await.as_deref(), Some("t-b"));
}

#[tokio::test]
async fn a_sealed_part_that_is_wrong_changes_nothing() {
    let (site, peer) = two_sites().await;
    let group = secondary(&site, peer).await;
    let path = format!("/v1/p1/protection-groups/{}/metadata", group.id());
    let here = site.id.to_string();
    let good = json!({"array_tokens": {here.clone(): "hush"}}).to_string();
    let foreign = "doesn't open here";
    let strange = "isn't one that this release reads";
    let cases: [(Option<&str>, Option<&str>, String, &str); 6] = [
        (Some("key of site-a"), None, good.clone(), foreign),
        (None, Some("bundle/other/1/2"), good.clone(), foreign),
        (None, None, "hush".into(), strange),
        (
            None,
            None,
            json!({"tokens": {here.clone(): "hush"}}).to_string(),
            strange,
        ),
        (
            None,
            None,
            json!({"array_tokens": {"hush": "hush"}}).to_string(),
            strange,
        ),
        (
            None,
            None,
            json!({"array_tokens": {here: " "}}).to_string(),
            strange,
        ),
    ];
    for (key, other, plain, words) in cases {
        let (_, bundle) = next(&group.document, |context| {
            json!([key.unwrap_or(KEY), other.unwrap_or(context), plain])
        });
        let message = site
            .ask("PUT", "tenant", &path, Some(bundle), &[])
            .await
            .fault("badRequest", 400);
        assert!(message.contains(words) && !message.contains("hush"), "{message}");
        let stored = site.store.group(group.id()).await.unwrap().unwrap();
        assert_eq!(stored.document, group.document);
        assert_eq!(held(&site, &group, site.id).await, None);
    }
}

/// The site that was lost is told when it comes back, and what it never got across is named.
#[tokio::test]
async fn a_site_that_returns_learns_that_the_other_one_took_over() {
    let (site, peer) = two_sites().await;
    let mut group = group_of(site.id, peer, GroupStatus::Active, SyncStatus::Pending);
    group.document.stamp.version = 7;
    let along = Along {
        trusts: vec![(site.id, token("trust"))],
        ..Along::default()
    };
    site.store.insert_group(&group, along).await.unwrap();
    let base = format!("/v1/p1/protection-groups/{}", group.id());
    let put = async |document: &Document| {
        let bundle = said_by("site-a", Bundle::pack(document, peer, json!({})).unwrap());
        let body = json!({ "bundle": bundle });
        site.ask("PUT", "tenant", &format!("{base}/metadata"), Some(body), &[])
            .await
    };
    let mut taken = group.document.clone();
    taken.stamp.version = 8;
    taken.current_primary_site_id = peer;
    put(&taken).await.fault("conflictingRequest", 409);
    taken.stamp.epoch = 2;
    put(&taken).await.ok(200);
    let shown = site.get("tenant", &base).await.ok(200);
    assert_eq!(
        shown["protection_group"]["current_primary_site_id"],
        peer.to_string()
    );
    assert_eq!(shown["protection_group"]["status"], "failed_over");
    let log = site.get("tenant", &format!("{base}/sync-log")).await.ok(200);
    assert_eq!(log["sync_log"][0]["event"], "superseded");
    assert_eq!(log["sync_log"][0]["version"], 7);
    // A bundle of the epoch that is over is refused.
    let mut late = group.document.clone();
    late.stamp.version = 20;
    put(&late).await.fault("conflictingRequest", 409);
}
