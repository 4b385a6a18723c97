//! Protection groups, whose two sites agree through the client.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use protector_domain::{
    ConsistencyGroup, ConsistencyGroupId, ConsistencyGroupStatus, Document, Group, GroupId, GroupStatus,
    Mappings, ProjectId, Receipt, ReplicationType, SiteId, SiteRef, Stamp, Statement, SyncState, SyncStatus,
};
use protector_ports::Store;
use protector_ports::store::Along;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::site::{Site, said_by};

fn encoded(value: &impl Serialize) -> String {
    STANDARD.encode(serde_json::to_string(value).unwrap())
}

/// A group of project p1 that runs here.
pub async fn group_at(site: &Site, peer: SiteId, status: GroupStatus, sync: SyncStatus) -> GroupId {
    let group = group_of(site.id, peer, status, sync);
    site.store.insert_group(&group, Along::default()).await.unwrap();
    group.id()
}

pub fn group_of(here: SiteId, peer: SiteId, status: GroupStatus, sync: SyncStatus) -> Group {
    let now = Utc::now();
    let reference = |id, name: &str| SiteRef {
        id,
        name: name.to_owned(),
    };
    let id = GroupId(Uuid::new_v4());
    let project = |text: &str| ProjectId::new(text).unwrap();
    Group {
        document: Document {
            group_id: id,
            stamp: Stamp::FIRST,
            name: format!("web-{}", &id.to_string()[..4]),
            description: String::new(),
            replication_type: ReplicationType::Async,
            primary_site: reference(here, "site-a"),
            secondary_site: reference(peer, "site-b"),
            current_primary_site_id: here,
            projects: BTreeMap::from([(here, project("p1")), (peer, project("q1"))]),
            volume_types: BTreeMap::new(),
            members: Vec::new(),
            mappings: Mappings::default(),
            policy: None,
            intents: Vec::new(),
            failover_count: 0,
            modified_at: now,
        },
        status,
        status_reason: None,
        member_states: BTreeMap::new(),
        consistency_group: ConsistencyGroup {
            id: ConsistencyGroupId(Uuid::new_v4()),
            status: ConsistencyGroupStatus::Active,
            backend_name: None,
            volume_groups: BTreeMap::new(),
        },
        policy_status: None,
        policy_reason: None,
        array_group_made: false,
        sync: SyncState {
            status: sync,
            peer: Some(Stamp::FIRST),
            last_sync_at: None,
        },
        created_at: now,
        updated_at: now,
        revision: 0,
    }
}

pub async fn two_sites() -> (Site, SiteId) {
    let site = Site::new().await;
    let peer = SiteId(Uuid::new_v4());
    site.register(site.id, "site-a").await;
    site.register(peer, "site-b").await;
    (site, peer)
}

/// The header that a modification carries, as the other site would have it.
async fn statement(site: &Site, peer: SiteId, group: GroupId) -> String {
    let path = format!("/v1/p1/protection-groups/{group}/sync");
    let nonce = site.post("tenant", &path, json!({"nonce": {}})).await.ok(200);
    let statement = Statement {
        nonce: nonce["nonce"]["value"].as_str().unwrap().to_owned(),
        group_id: group,
        site_id: peer,
        exists: true,
        stamp: Some(Stamp::FIRST),
        open_intent: None,
        stated_at: Utc::now(),
        signature: None,
    };
    encoded(&said_by("site-b", statement))
}

/// A2, A7
#[tokio::test]
async fn a_group_is_its_projects_own() {
    let (site, peer) = two_sites().await;
    let id = group_at(&site, peer, GroupStatus::Active, SyncStatus::Synced).await;
    let path = |project: &str, rest: &str| format!("/v1/{project}/protection-groups/{id}{rest}");
    let shown = site.get("tenant", &path("p1", "")).await.ok(200);
    let group = &shown["protection_group"];
    assert_eq!(group["status"], "active");
    assert_eq!(group["current_primary_site"], "site-a");
    assert_eq!(group["project_id"], "p1");
    assert_eq!(group["version"], 1);
    for rest in [
        "",
        "/members",
        "/policy",
        "/mappings",
        "/sync",
        "/sync-log",
        "/metadata",
        "/consistency-group",
    ] {
        site.get("stranger", &path("p2", rest))
            .await
            .fault("itemNotFound", 404);
    }
    assert_eq!(
        site.get("tenant", &path("p1", "/members")).await.ok(200),
        json!({"members": []})
    );
    site.get("tenant", &path("p1", "/policy"))
        .await
        .fault("itemNotFound", 404);
    let sync = site.get("tenant", &path("p1", "/sync")).await.ok(200);
    assert_eq!(sync["sync"]["site"], "site-a");
    assert!(sync["sync"]["checksum"].as_str().unwrap().starts_with("sha256:"));
    let pair = site
        .get("tenant", &path("p1", "/consistency-group"))
        .await
        .ok(200);
    assert_eq!(pair["consistency_group"]["status"], "active");
    let bundle = site.get("tenant", &path("p1", "/metadata")).await.ok(200);
    assert_eq!(bundle["bundle"]["group_id"], id.to_string());
    let rows = site.get("stranger", "/v1/p2/protection-groups").await.ok(200);
    assert_eq!(rows["protection_groups"], json!([]));
    let rows = site
        .get("tenant", "/v1/p1/protection-groups?status=active&limit=1")
        .await
        .ok(200);
    assert_eq!(rows["protection_groups"][0]["id"], id.to_string());
    assert!(rows.get("protection_groups_links").is_none());
}

/// T1, T2
#[tokio::test]
async fn a_modification_needs_the_other_sites_fresh_word() {
    let (site, peer) = two_sites().await;
    let id = group_at(&site, peer, GroupStatus::Active, SyncStatus::Synced).await;
    let path = format!("/v1/p1/protection-groups/{id}");
    let change = json!({"protection_group": {"description": "new"}});
    let patch = async |headers: &[(&str, &str)]| {
        site.ask("PATCH", "tenant", &path, Some(change.clone()), headers)
            .await
    };
    let message = patch(&[]).await.fault("badRequest", 400);
    assert!(message.contains("X-Protector-Statement"));
    for garbage in ["%%%", "e30=", "bm90IGpzb24="] {
        let headers = [("x-protector-statement", garbage)];
        patch(&headers).await.fault("badRequest", 400);
    }
    let header = statement(&site, peer, id).await;
    let headers = [("x-protector-statement", header.as_str())];
    let shown = patch(&headers).await.ok(200);
    assert_eq!(shown["protection_group"]["version"], 2);
    assert_eq!(shown["protection_group"]["sync_status"], "pending");
    // Until the other site has it, nothing more is changed, and clients can see why.
    let sync = format!("{path}/sync");
    let answer = site.post("tenant", &sync, json!({"nonce": {}})).await;
    answer.fault("conflictingRequest", 409);
    assert_eq!(answer.body["conflictingRequest"]["sync_status"], "pending");

    let checksum = site.get("tenant", &sync).await.ok(200)["sync"]["checksum"].clone();
    let receipt = Receipt {
        group_id: id,
        site_id: peer,
        stamp: Stamp { epoch: 1, version: 2 },
        checksum: serde_json::from_value(checksum).unwrap(),
        trust_id: None,
        received_at: Utc::now(),
        signature: None,
    };
    let unsigned = json!({ "receipt": receipt });
    let refused = site
        .post("tenant", &sync, unsigned)
        .await
        .fault("badRequest", 400);
    assert!(refused.contains("is not signed by site 'site-b'"), "{refused}");
    let forged = json!({ "receipt": said_by("site-a", receipt.clone()) });
    let refused = site.post("tenant", &sync, forged).await.fault("badRequest", 400);
    assert!(refused.contains("is not what site 'site-b' said"), "{refused}");
    let receipt = json!({ "receipt": said_by("site-b", receipt) });
    let synced = site.post("tenant", &sync, receipt).await.ok(200);
    assert_eq!(synced["sync"]["status"], "synced");
    assert_eq!(synced["sync"]["peer_version"], 2);
    let log = site
        .get("tenant", &format!("{path}/sync-log?limit=1"))
        .await
        .ok(200);
    assert_eq!(log["sync_log"].as_array().unwrap().len(), 1);
    // A nonce is good for one change.
    patch(&headers).await.fault("conflictingRequest", 409);
}

#[tokio::test]
async fn a_deletion_that_has_begun_is_answered_again() {
    let (site, peer) = two_sites().await;
    let id = group_at(&site, peer, GroupStatus::Active, SyncStatus::Synced).await;
    let path = format!("/v1/p1/protection-groups/{id}");
    site.ask("DELETE", "tenant", &path, None, &[])
        .await
        .fault("badRequest", 400);
    let header = statement(&site, peer, id).await;
    let headers = [("x-protector-statement", header.as_str())];
    let first = site.ask("DELETE", "tenant", &path, None, &headers).await.ok(202);
    assert_eq!(first["tombstone"]["version"], 2);
    let again = site.ask("DELETE", "tenant", &path, None, &[]).await.ok(202);
    assert_eq!(first, again);
    // As a bundle its last version would look like one that lives.
    let message = site
        .get("tenant", &format!("{path}/metadata"))
        .await
        .fault("conflictingRequest", 409);
    assert!(message.contains("being deleted"), "{message}");
}

#[tokio::test]
async fn a_buried_group_stays_buried() {
    let (site, peer) = two_sites().await;
    let id = Uuid::new_v4();
    let tombstone =
        json!({"group_id": id, "epoch": 1, "version": 9, "origin_site_id": peer, "signature": null});
    let header = encoded(&tombstone);
    let headers = [("x-protector-deleted", header.as_str())];
    let path = format!("/v1/p1/protection-groups/{id}");
    let answer = site.ask("DELETE", "tenant", &path, None, &headers).await.ok(202);
    assert_eq!(answer["tombstone"], tombstone);
}

#[tokio::test]
async fn nonces_and_statements_need_no_group() {
    let (site, _) = two_sites().await;
    let path = format!("/v1/p1/protection-groups/{}/sync", Uuid::new_v4());
    let nonce = site.post("tenant", &path, json!({"nonce": {}})).await.ok(200);
    assert_eq!(nonce["nonce"]["site_id"], site.id.to_string());
    let stated = site
        .post("tenant", &path, json!({"statement": {"nonce": "n"}}))
        .await
        .ok(200);
    assert_eq!(stated["statement"]["exists"], false);
    for body in [
        json!({}),
        json!({"nonce": {}, "statement": {}}),
        json!({"receipt": {}}),
        json!({"nonce": {"a": 1}}),
    ] {
        site.post("tenant", &path, body).await.fault("badRequest", 400);
    }
}

/// G8, A8
#[tokio::test]
async fn actions_are_told_apart() {
    let (site, peer) = two_sites().await;
    let id = group_at(&site, peer, GroupStatus::Active, SyncStatus::Synced).await;
    let path = format!("/v1/p1/protection-groups/{id}/action");
    let header = statement(&site, peer, id).await;
    let headers = [("x-protector-statement", header.as_str())];
    let act = async |body: Value| site.ask("POST", "tenant", &path, Some(body), &headers).await;
    let message = act(json!({"failover": {"type": "planned", "mappings": {"networks": {"a": "b"}}}}))
        .await
        .fault("conflictingRequest", 409);
    assert!(message.contains("no replication policy"), "{message}");
    act(json!({"failover": {"type": "sudden"}}))
        .await
        .fault("badRequest", 400);
    act(json!({"failover": {"mappings": {"network": {}}}}))
        .await
        .fault("badRequest", 400);
    act(json!({"failover": {"mappings": {"networks": {"a": 1}}}}))
        .await
        .fault("badRequest", 400);
    act(json!({"explode": {}})).await.fault("badRequest", 400);
    let message = act(json!({"failover": {"type": "unplanned"}}))
        .await
        .fault("conflictingRequest", 409);
    assert!(message.contains("has no members"), "{message}");
    act(json!({"test_failover": {}}))
        .await
        .fault("notImplemented", 501);
    let rows = site.get("tenant", "/v1/p1/operations").await.ok(200);
    assert_eq!(rows, json!({"operations": []}));
}

#[tokio::test]
async fn a_token_of_an_array_is_never_repeated() {
    let (site, peer) = two_sites().await;
    let id = group_at(&site, peer, GroupStatus::Active, SyncStatus::Synced).await;
    let path = format!("/v1/p1/protection-groups/{id}/policy");
    let header = statement(&site, peer, id).await;
    let headers = [("x-protector-statement", header.as_str())];
    let policy = json!({"policy": {"primary_fa_url": "https://fa-a", "primary_fa_token": 12345,
        "secondary_fa_url": "https://fa-b", "secondary_fa_token": "t", "pure_pg_name": "pg"}});
    let message = site
        .ask("POST", "tenant", &path, Some(policy), &headers)
        .await
        .fault("badRequest", 400);
    assert!(
        message.contains("'policy.primary_fa_token'") && !message.contains("12345"),
        "{message}"
    );
}
