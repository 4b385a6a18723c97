use std::sync::Arc;

use chrono::TimeDelta;
use protector_domain::{Nonce, Stamp, SyncEntry};
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
    let log = store.sync_log(web.id(), 2).await.unwrap();
    let messages: Vec<&str> = log.iter().map(|entry| entry.message.as_str()).collect();
    assert_eq!(messages, ["version 3", "version 2"]);
    assert_eq!(log[1].stamp, Some(Stamp { epoch: 1, version: 2 }));
    assert_eq!(store.sync_log(web.id(), 10).await.unwrap()[2].stamp, None);
}
