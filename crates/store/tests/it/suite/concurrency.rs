use std::sync::Arc;
use std::time::Duration;

use protector_domain::OperationStatus;
use protector_ports::store::Along;
use protector_ports::{Store, StoreError};
use tokio::task::JoinSet;

use super::samples::*;

pub async fn a_stale_writer_is_refused(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let web = group(sites, "p1", "web");
    store.insert_group(&web, Along::default()).await.unwrap();
    let mut second = web.clone();
    second.document.description = "changed".to_owned();
    let second = store.update_group(&second, Along::default()).await.unwrap();
    let operation = operation(&web, "p1");
    let along = Along {
        operation: Some(&operation),
        saga: Some(saga(web.id())),
        ..Along::default()
    };
    let error = store.update_group(&web, along).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "protection group 'web' was changed by another request meanwhile"
    );
    assert_eq!(
        store.operation(operation.id).await.unwrap(),
        None,
        "nothing that came along was written"
    );
    assert!(store.live_saga(web.id()).await.unwrap().is_none());
    assert_eq!(store.group(web.id()).await.unwrap(), Some(second));
}

pub async fn of_many_writers_one_wins_each_round(store: Arc<dyn Store>) {
    const WRITERS: u64 = 8;
    const ROUNDS: u64 = 5;
    let sites = two_sites(&*store).await;
    let web = group(sites, "p1", "web");
    store.insert_group(&web, Along::default()).await.unwrap();
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, id) = (store.clone(), web.id());
        writers.spawn(async move {
            let mut written = 0;
            while written < ROUNDS {
                let mut group = store.group(id).await.unwrap().unwrap();
                group.document.failover_count += 1;
                match store.update_group(&group, Along::default()).await {
                    Ok(_) => written += 1,
                    Err(StoreError::Stale(_)) => {}
                    Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
                }
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let last = store.group(web.id()).await.unwrap().unwrap();
    assert_eq!(
        last.document.failover_count,
        web.document.failover_count + WRITERS * ROUNDS
    );
    assert_eq!(
        last.revision,
        web.revision + i64::try_from(WRITERS * ROUNDS).unwrap()
    );
}

pub async fn of_many_claimants_one_wins(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    for n in 0..5 {
        let web = group(sites, "p1", &format!("web-{n}"));
        store
            .insert_group(
                &web,
                Along {
                    saga: Some(saga(web.id())),
                    ..Along::default()
                },
            )
            .await
            .unwrap();
    }
    let mut claimants = JoinSet::new();
    for n in 0..6 {
        let store = store.clone();
        claimants.spawn(async move {
            store
                .claim(&engine(&format!("e{n}")), Duration::from_secs(60), 2)
                .await
                .unwrap()
        });
    }
    let mut taken = Vec::new();
    while let Some(claims) = claimants.join_next().await {
        taken.extend(claims.unwrap().into_iter().map(|(_, claim)| claim));
    }
    assert_eq!(taken.len(), 5);
    assert!(taken.iter().all(|claim| claim.fence == 1));
    let mut sagas: Vec<_> = taken.iter().map(|claim| claim.saga).collect();
    sagas.sort();
    sagas.dedup();
    assert_eq!(sagas.len(), 5);
}

pub async fn a_fenced_engine_writes_nothing(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let web = group(sites, "p1", "web");
    let mut failover = operation(&web, "p1");
    let along = Along {
        operation: Some(&failover),
        saga: Some(saga(web.id())),
        ..Along::default()
    };
    store.insert_group(&web, along).await.unwrap();
    let old = claim(&*store, "e1", Duration::from_millis(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let new = claim(&*store, "e2", Duration::from_secs(60)).await.unwrap();

    failover.status = OperationStatus::Running;
    assert!(matches!(
        store.update_operation(&failover, Some(&old)).await,
        Err(StoreError::Fenced)
    ));
    let with = |claim| Along {
        claim: Some(claim),
        ..Along::default()
    };
    assert!(matches!(
        store.update_group(&web, with(&old)).await,
        Err(StoreError::Fenced)
    ));
    assert!(matches!(
        store.delete_group(web.id(), with(&old)).await,
        Err(StoreError::Fenced)
    ));
    assert_eq!(
        store.operation(failover.id).await.unwrap().unwrap().status,
        OperationStatus::Pending
    );

    store.update_operation(&failover, Some(&new)).await.unwrap();
    store.update_group(&web, with(&new)).await.unwrap();
}
