//! Groups that were deleted, of which the other site or a late client hasn't heard.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protector_domain::{Bundle, GroupStatus, Stamp, SyncStatus, Tombstone};
use protector_ports::Store;
use protector_ports::store::Along;
use serde_json::json;

use crate::groups::{group_at, group_of};
use crate::sealed::two_sites;
use crate::site::said_by;

/// The client that ordered the deletion died with the only word of it.
#[tokio::test]
async fn the_end_of_a_group_that_is_gone_is_told_again_to_its_owner() {
    let (site, peer) = two_sites().await;
    let ours = group_at(&site, peer, GroupStatus::Active, SyncStatus::Synced).await;
    site.store.delete_group(ours, Along::default()).await.unwrap();
    let path = |project: &str| format!("/v1/{project}/protection-groups/{ours}");
    let told = site.ask("DELETE", "tenant", &path("p1"), None, &[]).await.ok(202);
    let tombstone: Tombstone = serde_json::from_value(told["tombstone"].clone()).unwrap();
    assert_eq!((tombstone.group_id, tombstone.origin_site_id), (ours, site.id));
    assert_eq!(tombstone.stamp, Stamp::FIRST);
    assert!(tombstone.signature.is_some());
    site.ask("DELETE", "stranger", &path("p2"), None, &[])
        .await
        .fault("itemNotFound", 404);
    // Where a group didn't run, its end isn't told.
    let mut theirs = group_of(site.id, peer, GroupStatus::Active, SyncStatus::Synced);
    theirs.document.current_primary_site_id = peer;
    site.store.insert_group(&theirs, Along::default()).await.unwrap();
    site.store
        .delete_group(theirs.id(), Along::default())
        .await
        .unwrap();
    let path = format!("/v1/p1/protection-groups/{}", theirs.id());
    site.ask("DELETE", "tenant", &path, None, &[])
        .await
        .fault("itemNotFound", 404);
}

#[tokio::test]
async fn what_was_said_before_its_end_doesnt_bring_a_group_back() {
    let (site, peer) = two_sites().await;
    let mut group = group_of(site.id, peer, GroupStatus::Active, SyncStatus::Synced);
    group.document.current_primary_site_id = peer;
    group.document.stamp.version = 5;
    site.store.insert_group(&group, Along::default()).await.unwrap();
    site.store
        .delete_group(group.id(), Along::default())
        .await
        .unwrap();
    let path = format!("/v1/p1/protection-groups/{}/metadata", group.id());
    for version in [1, 4, 5] {
        group.document.stamp.version = version;
        let bundle = said_by("site-a", Bundle::pack(&group.document, peer, json!({})).unwrap());
        let body = json!({ "bundle": bundle });
        let message = site
            .ask("PUT", "tenant", &path, Some(body), &[])
            .await
            .fault("conflictingRequest", 409);
        assert!(message.contains("was deleted on this site"), "{message}");
        assert_eq!(site.store.group(group.id()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_tombstone_ends_the_version_that_it_names_and_no_later_one() {
    let (site, peer) = two_sites().await;
    let mut group = group_of(site.id, peer, GroupStatus::Active, SyncStatus::Synced);
    group.document.current_primary_site_id = peer;
    group.document.stamp.version = 5;
    site.store.insert_group(&group, Along::default()).await.unwrap();
    let path = format!("/v1/p1/protection-groups/{}", group.id());
    for (version, status) in [(4, 409), (5, 202)] {
        let tombstone = Tombstone {
            group_id: group.id(),
            stamp: Stamp { epoch: 1, version },
            origin_site_id: peer,
            signature: None,
        };
        let tombstone = serde_json::to_string(&said_by("site-a", tombstone)).unwrap();
        let header = STANDARD.encode(tombstone);
        let headers = [("x-protector-deleted", header.as_str())];
        site.ask("DELETE", "tenant", &path, None, &headers)
            .await
            .ok(status);
    }
}
