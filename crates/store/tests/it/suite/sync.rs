use std::sync::Arc;

use chrono::TimeDelta;
use protector_domain::{Group, LostEdit, Nonce, Stamp, SyncEntry, SyncStatus};
use protector_ports::store::Along;
use protector_ports::{Store, StoreError};

use super::samples::*;

pub async fn a_nonce_serves_once_and_not_for_long(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let web = group(sites, "p1", "web");
    let nonce = |value: &str, left| Nonce {
        value: value.to_owned(),
        group_id: web.id(),
        site_id: sites.0,
        expires_at: now() + left,
    };
    // The group need not exist yet.
    store
        .insert_nonce(&nonce("fresh", Nonce::LIFETIME))
        .await
        .unwrap();
    store
        .insert_nonce(&nonce("second", Nonce::LIFETIME))
        .await
        .unwrap();
    store
        .insert_nonce(&nonce("stale", TimeDelta::milliseconds(-5)))
        .await
        .unwrap();
    assert!(matches!(
        store.insert_nonce(&nonce("fresh", Nonce::LIFETIME)).await,
        Err(StoreError::Exists(_))
    ));
    let with = |nonce| Along {
        nonce: Some(nonce),
        ..Along::default()
    };
    assert!(matches!(
        store.insert_group(&web, with("unknown")).await,
        Err(StoreError::Nonce)
    ));
    assert!(matches!(
        store.insert_group(&web, with("stale")).await,
        Err(StoreError::Nonce)
    ));
    let other = group(sites, "p1", "other");
    assert!(
        matches!(
            store.insert_group(&other, with("fresh")).await,
            Err(StoreError::Nonce)
        ),
        "another group's"
    );
    store.insert_group(&web, with("fresh")).await.unwrap();
    assert!(matches!(
        store.update_group(&web, with("fresh")).await,
        Err(StoreError::Nonce)
    ));
    // A write that fails for another reason doesn't use the nonce up.
    let mut stale = web.clone();
    stale.revision = 7;
    assert!(matches!(
        store.update_group(&stale, with("second")).await,
        Err(StoreError::Stale(_))
    ));
    store.update_group(&web, with("second")).await.unwrap();
}

pub async fn the_history_is_kept_newest_first(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let mut web = group(sites, "p1", "web");
    store.insert_group(&web, Along::default()).await.unwrap();
    for version in 1..=3 {
        let entry = SyncEntry {
            group_id: web.id(),
            at: now(),
            event: "committed".to_owned(),
            stamp: (version > 1).then_some(Stamp { epoch: 1, version }),
            message: format!("version {version}"),
            lost: None,
        };
        web = store
            .update_group(
                &web,
                Along {
                    entry: Some(entry),
                    ..Along::default()
                },
            )
            .await
            .unwrap();
    }
    let log = store.sync_log(web.id(), None, 2).await.unwrap();
    let messages: Vec<&str> = log.iter().map(|entry| entry.message.as_str()).collect();
    assert_eq!(messages, ["version 3", "version 2"]);
    assert_eq!(log[1].stamp, Some(Stamp { epoch: 1, version: 2 }));
    assert_eq!(store.sync_log(web.id(), None, 10).await.unwrap()[2].stamp, None);
}

/// A group as it is written after a change, or after its receipt.
async fn written(store: &dyn Store, held: &Group, description: &str, status: SyncStatus) -> Group {
    let mut next = held.clone();
    next.document.description = description.to_owned();
    next.sync.status = status;
    store.update_group(&next, Along::default()).await.unwrap()
}

pub async fn the_last_common_version_is_kept_until_the_next(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let made = group(sites, "p1", "web");
    store.insert_group(&made, Along::default()).await.unwrap();
    let common = async || store.common_document(made.id()).await.unwrap();
    assert_eq!(common().await, None, "no site but this one has it yet");
    let web = written(&*store, &made, "one", SyncStatus::Pending).await;
    assert_eq!(common().await, None);
    let web = written(&*store, &web, "one", SyncStatus::Synced).await;
    let web = written(&*store, &web, "two", SyncStatus::Pending).await;
    let web = written(&*store, &web, "three", SyncStatus::Failed).await;
    assert_eq!(common().await.unwrap().description, "one");
    // A write that is refused leaves it as it is.
    let mut stale = web.clone();
    stale.revision = 1;
    store.update_group(&stale, Along::default()).await.unwrap_err();
    let web = written(&*store, &web, "three", SyncStatus::Synced).await;
    written(&*store, &web, "four", SyncStatus::Pending).await;
    assert_eq!(common().await.unwrap().description, "three");
    store.delete_group(web.id(), Along::default()).await.unwrap();
    assert_eq!(common().await, None);
}

pub async fn a_lost_edit_is_kept_with_its_line(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let web = group(sites, "p1", "web");
    store.insert_group(&web, Along::default()).await.unwrap();
    let mut after = web.document.clone();
    after.stamp = Stamp { epoch: 1, version: 2 };
    after.description = "lost 🦀".to_owned();
    let lost = LostEdit::since(Some(&web.document), after);
    let entry = |event: &str, lost: Option<LostEdit>| SyncEntry {
        group_id: web.id(),
        at: now(),
        event: event.to_owned(),
        stamp: Some(Stamp { epoch: 1, version: 2 }),
        message: event.to_owned(),
        lost,
    };
    let mut held = web.clone();
    // Three lines about one version: the edit stands beside the one that tells of its loss.
    for (event, lost) in [
        ("committed", None),
        ("superseded", Some(lost.clone())),
        ("reapplied", None),
    ] {
        let along = Along {
            entry: Some(entry(event, lost)),
            ..Along::default()
        };
        held = store.update_group(&held, along).await.unwrap();
    }
    let log = store.sync_log(web.id(), None, 10).await.unwrap();
    let edits: Vec<Option<&LostEdit>> = log.iter().map(|line| line.lost.as_ref()).collect();
    assert_eq!(edits, [None, Some(&lost), None]);
    let one = store.sync_log(web.id(), Some("superseded"), 10).await.unwrap();
    assert_eq!(one, [log[1].clone()]);
    store.delete_group(web.id(), Along::default()).await.unwrap();
    assert!(store.sync_log(web.id(), None, 10).await.unwrap().is_empty());
}
