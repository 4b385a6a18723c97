//! A world in which every step makes one thing, and the plans that make them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use protector_domain::SagaId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::testing::MemoryJournal;
use crate::*;

/// What goes wrong with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Retryable,
    Permanent,
    /// It failed half-way: the thing is there, and still the answer is a final failure.
    HalfWay,
    /// The thing was made, the answer was lost.
    AnswerLost,
    /// The thing was not made, and nobody knows.
    RequestLost,
    Hang,
    Panic,
}

#[derive(Default)]
pub struct World {
    /// Made and not removed.
    pub things: Mutex<BTreeSet<String>>,
    /// Everything that was ever made, in order.
    pub made: Mutex<Vec<String>>,
    pub removed: Mutex<Vec<String>>,
    /// What goes wrong, by step, one for each attempt from the first on.
    pub faults: Mutex<BTreeMap<String, Vec<Option<Fault>>>>,
    pub undo_faults: Mutex<BTreeMap<String, Vec<Option<Fault>>>>,
    pub settled: Mutex<Vec<SagaOutcome>>,
    /// The most that ran at once.
    pub peak: Mutex<(usize, usize)>,
}

impl World {
    pub fn things(&self) -> Vec<String> {
        self.things.lock().unwrap().iter().cloned().collect()
    }

    pub fn made(&self) -> Vec<String> {
        self.made.lock().unwrap().clone()
    }

    pub fn removed(&self) -> Vec<String> {
        self.removed.lock().unwrap().clone()
    }

    pub fn fail(&self, step: &str, faults: &[Fault]) {
        self.faults
            .lock()
            .unwrap()
            .insert(step.to_owned(), faults.iter().copied().map(Some).collect());
    }

    pub fn fail_undo(&self, step: &str, faults: &[Fault]) {
        self.undo_faults
            .lock()
            .unwrap()
            .insert(step.to_owned(), faults.iter().copied().map(Some).collect());
    }

    fn next_fault(faults: &Mutex<BTreeMap<String, Vec<Option<Fault>>>>, step: &str) -> Option<Fault> {
        let mut faults = faults.lock().unwrap();
        let queue = faults.get_mut(step)?;
        if queue.is_empty() { None } else { queue.remove(0) }
    }

    fn make(&self, step: &str) {
        if self.things.lock().unwrap().insert(step.to_owned()) {
            self.made.lock().unwrap().push(step.to_owned());
        }
    }

    fn remove(&self, step: &str) {
        if self.things.lock().unwrap().remove(step) {
            self.removed.lock().unwrap().push(step.to_owned());
        }
    }

    async fn act(&self, fault: Option<Fault>, act: impl Fn()) -> Result<(), StepFailure> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let failure = |class, message: &str| {
            Err(StepFailure {
                class,
                message: message.to_owned(),
            })
        };
        match fault {
            None => {
                act();
                Ok(())
            }
            Some(Fault::Retryable) => failure(FailureClass::Retryable, "busy"),
            Some(Fault::Permanent) => failure(FailureClass::Permanent, "refused"),
            Some(Fault::HalfWay) => {
                act();
                failure(FailureClass::Permanent, "broke half-way")
            }
            Some(Fault::AnswerLost) => {
                act();
                failure(FailureClass::Ambiguous, "no answer")
            }
            Some(Fault::RequestLost) => failure(FailureClass::Ambiguous, "no answer"),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Panic) => panic!("a step fell over"),
        }
    }
}

pub struct Making {
    pub dag: Dag,
    pub world: Arc<World>,
}

#[async_trait]
impl Steps for Making {
    fn dag(&self) -> &Dag {
        &self.dag
    }

    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure> {
        for before in &self.dag.node(context.step).unwrap().after {
            let step = context.state.step(before).unwrap();
            assert!(
                step.given_up || context.state.output(before).is_some(),
                "{} ran before {before}",
                context.step
            );
        }
        {
            let mut peak = self.world.peak.lock().unwrap();
            peak.0 += 1;
            peak.1 = peak.1.max(peak.0);
        }
        let fault = World::next_fault(&self.world.faults, context.step);
        let done = self.world.act(fault, || self.world.make(context.step)).await;
        self.world.peak.lock().unwrap().0 -= 1;
        done.map(|()| json!({"made": context.step}))
    }

    async fn undo(&self, context: StepContext<'_>) -> Result<(), StepFailure> {
        let fault = World::next_fault(&self.world.undo_faults, context.step);
        self.world.act(fault, || self.world.remove(context.step)).await
    }

    async fn progressed(&self, state: &State) {
        assert!(state.claim().is_some());
    }

    async fn settle(&self, _state: &State, outcome: SagaOutcome) -> Result<(), StepFailure> {
        self.world.settled.lock().unwrap().push(outcome);
        Ok(())
    }
}

/// One saga, its journal and its world.
pub struct Scene {
    pub journal: Arc<MemoryJournal>,
    pub world: Arc<World>,
    pub steps: Arc<Making>,
    pub saga: SagaId,
    pub options: Options,
    lives: Mutex<u32>,
}

/// Far longer than all retries together.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

impl Scene {
    pub fn new(nodes: Vec<Node>) -> Scene {
        let dag = Dag::new(nodes).unwrap();
        let journal = Arc::new(MemoryJournal::new());
        let saga = SagaId(Uuid::new_v4());
        journal.insert(NewSaga {
            id: saga,
            kind: "making".to_owned(),
            version: 1,
            subject: "world".to_owned(),
            params: "{}".into(),
        });
        let world = Arc::new(World::default());
        let steps = Arc::new(Making {
            dag,
            world: world.clone(),
        });
        let options = Options {
            lease: PATIENCE * 1000,
            ..Options::default()
        };
        Scene {
            journal,
            world,
            steps,
            saga,
            options,
            lives: Mutex::new(0),
        }
    }

    pub fn driver(&self) -> Driver {
        let life = {
            let mut lives = self.lives.lock().unwrap();
            *lives += 1;
            *lives
        };
        Driver::new(
            self.journal.clone(),
            Owner(format!("engine-{life}")),
            self.options.clone(),
        )
    }

    /// One engine's life with the saga; `None` where it waits for somebody.
    pub async fn live(&self) -> Option<RunEnd> {
        let driver = self.driver();
        let (header, claim) = self
            .journal
            .claim(&driver.owner, self.options.lease, 1)
            .await
            .unwrap()
            .pop()?;
        let end = tokio::time::timeout(PATIENCE, driver.run_saga(claim, header, self.steps.clone()))
            .await
            .ok();
        if end.is_none() {
            self.journal.release(&driver.owner).await.unwrap();
        }
        end
    }

    /// Engines come and go until the saga ends or waits.
    pub async fn run(&self) -> Option<SagaOutcome> {
        for _ in 0..50 {
            match self.live().await {
                Some(RunEnd::Ended(outcome)) => return Some(outcome),
                Some(RunEnd::Lost) => {}
                Some(end) => panic!("unexpected end: {end:?}"),
                None => return None,
            }
        }
        panic!("the saga never ends");
    }

    pub fn state(&self) -> State {
        State::replay(&self.steps.dag, &self.journal.records(self.saga)).unwrap()
    }

    pub async fn ask(&self, event: Event) {
        self.journal.request(self.saga, event).await.unwrap();
    }

    pub async fn decide(&self, decision: &str) {
        self.ask(Event::OperatorDecision {
            decision: decision.to_owned(),
            note: String::new(),
        })
        .await;
    }
}
