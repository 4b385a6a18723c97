use std::sync::Arc;

use protector_domain::{OperationKind, OperationStatus, Outcome, Phase, StepError, StepReport};
use protector_ports::store::{Along, OperationFilter, Page};
use protector_ports::{Store, StoreError};
use serde_json::json;

use super::samples::*;

pub async fn operations_come_back_and_are_listed(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let web = group(sites, "p1", "web");
    let mut failover = operation(&web, "p1");
    store
        .insert_group(
            &web,
            Along {
                operation: Some(&failover),
                ..Along::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(
        store.operation(failover.id).await.unwrap().as_ref(),
        Some(&failover)
    );

    failover.status = OperationStatus::Failed;
    failover.outcome = Some(Outcome::RolledBack);
    failover.waiting_for = Some("operator".to_owned());
    failover.progress = 100;
    failover.current_step = Some("clone".to_owned());
    failover.started_at = Some(now());
    failover.completed_at = Some(now());
    failover.error_message = Some("the array said no".to_owned());
    failover.steps_completed = vec![Phase::Prepare];
    failover.steps_failed = vec![Phase::StorageFailover];
    failover.steps = vec![StepReport {
        name: "clone".to_owned(),
        phase: Phase::StorageFailover,
        state: "failed".to_owned(),
        attempts: 2,
        started_at: Some(now()),
        completed_at: None,
        error: Some(StepError {
            class: "permanent".to_owned(),
            message: "no".to_owned(),
        }),
    }];
    failover.result_data = json!({"instances_created": [{"name": "web-🦀", "id": "x"}]});
    store.update_operation(&failover, None).await.unwrap();
    assert_eq!(
        store.operation(failover.id).await.unwrap().as_ref(),
        Some(&failover)
    );

    let mut drill = operation(&web, "p1");
    drill.operation_type = OperationKind::TestFailover;
    assert!(matches!(
        store.update_operation(&drill, None).await,
        Err(StoreError::Missing(_))
    ));
    assert_eq!(store.operation(drill.id).await.unwrap(), None);
    let web = store
        .update_group(
            &web,
            Along {
                operation: Some(&drill),
                ..Along::default()
            },
        )
        .await
        .unwrap();

    let of = |filter: OperationFilter| {
        let store = store.clone();
        async move {
            let found = store.operations(&filter, &Page::default()).await.unwrap();
            found
                .into_iter()
                .map(|operation| operation.id)
                .collect::<Vec<_>>()
        }
    };
    let all = OperationFilter::default();
    assert_eq!(of(all.clone()).await, [drill.id, failover.id]);
    assert_eq!(
        of(OperationFilter {
            group: Some(web.id()),
            ..all.clone()
        })
        .await
        .len(),
        2
    );
    assert_eq!(
        of(OperationFilter {
            status: Some("failed".to_owned()),
            ..all.clone()
        })
        .await,
        [failover.id]
    );
    assert_eq!(
        of(OperationFilter {
            operation_type: Some("test_failover".to_owned()),
            ..all.clone()
        })
        .await,
        [drill.id]
    );
    assert!(
        of(OperationFilter {
            project: Some(project("p2")),
            ..all
        })
        .await
        .is_empty()
    );
}
