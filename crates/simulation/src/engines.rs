//! Engine processes: the product's own engine, started like the product does, on simulated ports.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protector_ports::{Array, Clock, Cloud, Directory, Store};
use protector_saga::driver::Options as DriverOptions;
use protector_saga::{Driver, Engine, Journal, Owner};
use protector_workflows::{Options, Recorder, Workflows};
use tokio_util::sync::CancellationToken;

use crate::hands::{Hands, PATIENCE, credentials};
use crate::sim::{Process, Shared};
use crate::watch::Watched;
use crate::world::{Side, Time, site_id};

const LEASE: Duration = Duration::from_secs(30);

fn options() -> Options {
    Options {
        poll: Duration::from_secs(2),
        replication_patience: Duration::from_secs(1800),
        ..Options::default()
    }
}

/// Starts one; `records`: it reads what servers look like, too.
pub fn start(shared: &Shared, side: Side, records: bool) -> CancellationToken {
    let (process, owner) = shared.with(|sim| {
        let process = sim.processes.len();
        let owner = Owner(format!("engine-{}-{process}", ["a", "b"][side]));
        sim.processes.push(Process {
            side,
            owner: owner.clone(),
            alive: true,
            stalled: Time::ZERO,
            skew: 0,
            task: None,
        });
        sim.note(format!("{} starts", owner.0));
        (process, owner)
    });
    let hands = Hands {
        shared: shared.clone(),
        process,
    };
    let store: Arc<dyn Store> = Arc::new(hands.clone());
    let cloud: Arc<dyn Cloud> = Arc::new(hands.clone());
    let array: Arc<dyn Array> = Arc::new(hands.clone());
    let clock: Arc<dyn Clock> = Arc::new(hands.clone());
    let journal: Arc<dyn Journal> = Arc::new(hands);
    let directory = Directory::new(
        store.clone(),
        cloud.clone(),
        site_id(side),
        credentials(side),
        BTreeMap::new(),
        PATIENCE,
    );
    let workflows = Arc::new(Workflows::new(store, cloud, array, clock, directory, options()));
    let recorder = records.then(|| Recorder::of(&workflows));
    let planner = Watched {
        workflows,
        shared: shared.clone(),
        process,
    };
    let driver = Driver::new(
        journal,
        owner,
        DriverOptions {
            lease: LEASE,
            ..DriverOptions::default()
        },
    );
    let engine = Engine::new(driver, Arc::new(planner));
    let stop = CancellationToken::new();
    let until = stop.clone();
    let task = tokio::spawn(async move {
        let record = async {
            if let Some(recorder) = recorder {
                recorder.run(until.clone()).await;
            }
        };
        tokio::join!(engine.run(until.clone()), record);
    });
    shared.with(|sim| sim.processes[process].task = Some(task.abort_handle()));
    stop
}
