use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use protector_ports::store::Along;
use protector_ports::{Store, StoreError};
use protector_saga::testing::node;
use protector_saga::*;
use serde_json::{Value, json};

use super::samples::*;

const LEASE: Duration = Duration::from_secs(60);

pub async fn a_saga_is_written_with_its_change(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let web = group(sites, "p1", "web");
    let work = saga(web.id());
    store
        .insert_group(
            &web,
            Along {
                saga: Some(work.clone()),
                ..Along::default()
            },
        )
        .await
        .unwrap();
    let live = store.live_saga(web.id()).await.unwrap().unwrap();
    assert_eq!(
        (live.id, live.kind.as_str(), live.version, &live.params),
        (work.id, "planned_failover", 3, &work.params)
    );
    let records = store.events(work.id).await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].seq, records[0].at), (1, live.created_at));
    assert_eq!(
        records[0].event,
        Event::Planned {
            kind: work.kind,
            version: 3,
        }
    );

    // Where the change is refused there is no saga either.
    let other = saga(web.id());
    let mut stale = web.clone();
    stale.revision = 9;
    store
        .update_group(
            &stale,
            Along {
                saga: Some(other.clone()),
                ..Along::default()
            },
        )
        .await
        .unwrap_err();
    assert!(store.events(other.id).await.unwrap().is_empty());
}

pub async fn one_saga_at_a_time(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let web = group(sites, "p1", "web");
    let first = saga(web.id());
    store
        .insert_group(
            &web,
            Along {
                saga: Some(first.clone()),
                ..Along::default()
            },
        )
        .await
        .unwrap();
    let second = saga(web.id());
    let error = store
        .update_group(
            &web,
            Along {
                saga: Some(second.clone()),
                ..Along::default()
            },
        )
        .await
        .unwrap_err();
    assert!(
        matches!(&error, StoreError::Busy(what) if *what == format!("planned_failover {}", first.id)),
        "{error}"
    );
    assert_eq!(
        store.group(web.id()).await.unwrap().unwrap().revision,
        web.revision,
        "nothing was written"
    );

    let claim = claim(&*store, "e1", LEASE).await.unwrap();
    store
        .append(
            &claim,
            &[Event::Ended {
                outcome: SagaOutcome::RolledBack,
            }],
        )
        .await
        .unwrap();
    assert!(store.live_saga(web.id()).await.unwrap().is_none());
    store
        .update_group(
            &web,
            Along {
                saga: Some(second),
                ..Along::default()
            },
        )
        .await
        .unwrap();
    // What has ended is over.
    assert!(matches!(
        store.append(&claim, &[Event::Paused]).await,
        Err(JournalError::Fenced(_))
    ));
    store.request(first.id, Event::Cancelled).await.unwrap();
    assert_eq!(store.events(first.id).await.unwrap().len(), 2);
}

async fn with_saga(store: &dyn Store) -> NewSaga {
    let sites = two_sites(store).await;
    let web = group(sites, "p1", "web");
    let work = saga(web.id());
    store
        .insert_group(
            &web,
            Along {
                saga: Some(work.clone()),
                ..Along::default()
            },
        )
        .await
        .unwrap();
    work
}

pub async fn a_claim_is_exclusive_and_fenced(store: Arc<dyn Store>) {
    with_saga(&*store).await;
    let first = claim(&*store, "e1", Duration::from_millis(300)).await.unwrap();
    assert_eq!(first.fence, 1);
    assert_eq!(claim(&*store, "e2", LEASE).await, None, "it has a live owner");
    assert_eq!(claim(&*store, "e1", LEASE).await, None, "even for that owner");
    assert_eq!(
        store
            .renew(&engine("e1"), Duration::from_millis(300))
            .await
            .unwrap(),
        [first.saga]
    );
    assert!(store.renew(&engine("e2"), LEASE).await.unwrap().is_empty());
    store.check(&first).await.unwrap();
    store
        .append(&first, &[Event::Paused, Event::Resumed])
        .await
        .unwrap();

    tokio::time::sleep(Duration::from_millis(350)).await;
    // The lease is over: nothing is written any more, even before somebody else comes.
    assert!(matches!(store.check(&first).await, Err(JournalError::Fenced(_))));
    assert!(matches!(
        store.append(&first, &[Event::Paused]).await,
        Err(JournalError::Fenced(_))
    ));
    assert!(
        store.renew(&engine("e1"), LEASE).await.unwrap().is_empty(),
        "a lease that ran out isn't revived"
    );

    let second = claim(&*store, "e2", LEASE).await.unwrap();
    assert_eq!(second.fence, 2);
    assert!(matches!(
        store.append(&first, &[Event::Paused]).await,
        Err(JournalError::Fenced(_))
    ));
    store.release(&engine("e2")).await.unwrap();
    assert!(matches!(store.check(&second).await, Err(JournalError::Fenced(_))));
    // The same engine again: the old fence stays out.
    let third = claim(&*store, "e1", LEASE).await.unwrap();
    assert_eq!(third.fence, 3);
    assert!(matches!(store.check(&first).await, Err(JournalError::Fenced(_))));
    store.check(&third).await.unwrap();
}

pub async fn requests_need_no_claim(store: Arc<dyn Store>) {
    let work = with_saga(&*store).await;
    let claim = claim(&*store, "e1", LEASE).await.unwrap();
    store.request(work.id, Event::Cancelled).await.unwrap();
    let records = store.append(&claim, &[Event::Paused]).await.unwrap();
    assert_eq!(records[0].seq, 3, "after the plan and the request");
    let forged = Event::Done {
        step: "a".to_owned(),
        output: Value::Null,
    };
    assert!(
        store.request(work.id, forged).await.is_err(),
        "only the owner may say that"
    );
    assert!(
        store
            .request(saga(group((two(), two()), "p", "n").id()).id, Event::Cancelled)
            .await
            .is_err()
    );
    assert_eq!(store.events(work.id).await.unwrap().len(), 3);
}

fn two() -> protector_domain::SiteId {
    protector_domain::SiteId(uuid::Uuid::new_v4())
}

pub async fn every_event_comes_back(store: Arc<dyn Store>) {
    let work = with_saga(&*store).await;
    let claim = claim(&*store, "e1", LEASE).await.unwrap();
    let step = || "clone/web-🦀".to_owned();
    let events = [
        Event::Intent {
            step: step(),
            attempt: 1,
            deadline: now(),
        },
        Event::Failed {
            step: step(),
            attempt: 1,
            class: FailureClass::Ambiguous,
            message: "no 'answer'".to_owned(),
        },
        Event::Done {
            step: step(),
            output: json!({"volume": "v", "n": [1, null]}),
        },
        Event::UndoIntent {
            step: step(),
            attempt: 2,
        },
        Event::UndoFailed {
            step: step(),
            attempt: 2,
            message: "busy".to_owned(),
        },
        Event::Undone { step: step() },
        Event::Paused,
        Event::Resumed,
        Event::Cancelled,
        Event::OperatorDecision {
            decision: "retry".to_owned(),
            note: "by hand".to_owned(),
        },
        Event::Abandoned {
            reason: "enough".to_owned(),
            superseded: true,
        },
        Event::Ended {
            outcome: SagaOutcome::Abandoned,
        },
    ];
    let written = store.append(&claim, &events).await.unwrap();
    let read = store.events(work.id).await.unwrap();
    assert_eq!(read[1..], written);
    let back: Vec<Event> = read.into_iter().skip(1).map(|record| record.event).collect();
    assert_eq!(back, events);
}

/// Two steps and a pivot that do nothing.
struct Nothing(Dag);

#[async_trait]
impl Steps for Nothing {
    fn dag(&self) -> &Dag {
        &self.0
    }

    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure> {
        if context.step == "b" && context.attempt == 1 {
            return Err(StepFailure {
                class: FailureClass::Retryable,
                message: "not yet".to_owned(),
            });
        }
        Ok(json!(context.attempt))
    }

    async fn undo(&self, _context: StepContext<'_>) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn progressed(&self, _state: &State) {}

    async fn settle(&self, _state: &State, _outcome: SagaOutcome) -> Result<(), StepFailure> {
        Ok(())
    }
}

struct Plans;

#[async_trait]
impl Planner for Plans {
    fn plan(&self, _header: &SagaHeader) -> Result<Arc<dyn Steps>, String> {
        let quick = |node: Node| Node {
            retry: RetryPolicy {
                first_delay: Duration::from_millis(20),
                ..node.retry
            },
            ..node
        };
        let nodes = vec![
            quick(node("a", StepKind::Compensatable, &[])),
            quick(node("b", StepKind::Compensatable, &["a"])),
            quick(node("p", StepKind::Pivot, &["b"])),
            quick(node("c", StepKind::Retriable, &["p"])),
        ];
        Dag::new(nodes)
            .map(|dag| Arc::new(Nothing(dag)) as Arc<dyn Steps>)
            .map_err(|error| error.to_string())
    }
}

pub async fn a_saga_runs_to_its_end_on_this_journal(store: Arc<dyn Store>) {
    let work = with_saga(&*store).await;
    let options = Options {
        poll: Duration::from_millis(50),
        lease: Duration::from_secs(3),
        ..Options::default()
    };
    let driver = Driver::new(store.clone(), engine("e1"), options);
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(Engine::new(driver, Arc::new(Plans)).run(stop.clone()));
    for _ in 0..200 {
        let over = store
            .events(work.id)
            .await
            .unwrap()
            .iter()
            .any(|record| matches!(record.event, Event::Ended { .. }));
        if over {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    running.await.unwrap();
    let records = store.events(work.id).await.unwrap();
    assert_eq!(
        records.last().unwrap().event,
        Event::Ended {
            outcome: SagaOutcome::Completed
        }
    );
    let dag = Plans.plan(&SagaHeader {
        id: work.id,
        kind: work.kind,
        version: work.version,
        subject: work.subject,
        params: work.params,
        created_at: now(),
    });
    let state = State::replay(dag.unwrap_or_else(|error| panic!("{error}")).dag(), &records).unwrap();
    let output = state.output("b").map(|output| output.parse::<Value>().unwrap());
    assert_eq!(output, Some(json!(2)));
}
