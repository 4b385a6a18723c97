//! Directs a run: begins operations, sends faults, plays operator and clients, and says when it is over.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protector_domain::{ConsistencyGroupStatus, GroupId, GroupStatus, Member, SagaId};
use protector_saga::Event;
use protector_saga::state::decision;
use tokio_util::sync::CancellationToken;

use crate::chance::Chance;
use crate::checks::{Books, follows_from_accepting};
use crate::database::Database;
use crate::engines;
use crate::history::History;
use crate::planted::{self, Bug};
use crate::setup::Setup;
use crate::sim::{Shared, Sim, Violation};
use crate::weather::{Place, Weather};
use crate::world::{Pace, Side, Time, World};

/// When the faults have stopped, everything is over within this time.
const BOUND: Duration = Duration::from_secs(4 * 3600);

/// What became of a run.
pub struct Report {
    pub seed: u64,
    pub violation: Option<Violation>,
    /// The whole history where it was asked for, else its end.
    pub history: Vec<String>,
    pub events: u64,
    pub hash: u64,
    /// How sagas ended, and what else was counted.
    pub counts: BTreeMap<&'static str, u64>,
}

/// One seed, from its beginning to its end.
pub fn run(seed: u64, bug: Option<Bug>, whole: bool) -> std::io::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    planted::throw(bug);
    let report = runtime.block_on(async {
        let shared = Shared::new(begin(seed, bug, whole));
        Director::new(shared.clone()).direct().await;
        shared.with(|sim| Report {
            seed,
            violation: sim.violation.clone(),
            history: sim.history.lines().map(str::to_owned).collect(),
            events: sim.history.count(),
            hash: sim.history.hash(),
            counts: std::mem::take(&mut sim.books.outcomes),
        })
    });
    planted::throw(None);
    Ok(report)
}

fn begin(seed: u64, bug: Option<Bug>, whole: bool) -> Sim {
    let mut chance = Chance::of(seed);
    let weather = Weather::draw(&mut chance);
    let pace = Pace {
        build: chance.between(500..20_000),
        stop: chance.between(500..15_000),
        manage: chance.between(500..10_000),
        group: chance.between(200..4_000),
        replicate: chance.between(2_000..60_000),
    };
    let database = || Database {
        bug,
        ..Database::default()
    };
    let mut sim = Sim {
        chance,
        history: History::new(whole),
        world: World::new(pace),
        databases: [database(), database()],
        processes: Vec::new(),
        weather,
        books: Books::default(),
        bug,
        violation: None,
        setup: Setup::default(),
        restarts: BTreeMap::new(),
    };
    sim.note(format!("seed {seed}, {:?}", sim.weather.rates));
    sim.world.breakage = sim.weather.rates.breakage;
    sim.furnish();
    sim
}

/// What is still to be done with a group.
enum Stage {
    Establish,
    Bind,
    Add(Member),
    FailOver,
    /// The first site dies, and the second one takes over.
    Disaster,
}

struct Plot {
    group: GroupId,
    stages: VecDeque<Stage>,
    /// Not before then.
    next: Time,
    tries: u32,
}

struct Director {
    shared: Shared,
    plots: Vec<Plot>,
    records: bool,
    stops: Vec<(usize, CancellationToken)>,
    /// When the operator last spoke to a saga.
    spoken: BTreeMap<SagaId, Time>,
}

impl Director {
    fn new(shared: Shared) -> Self {
        let mut plots = Vec::new();
        let records = shared.with(|sim| {
            let disaster = sim.chance.percent(35);
            let groups = 1 + u64::from(sim.chance.percent(25));
            for number in 0..groups {
                let protected = sim.chance.percent(80);
                let (group, later) = sim.found_group(number, protected);
                let mut stages = VecDeque::new();
                if !protected {
                    stages.extend([Stage::Establish, Stage::Bind]);
                }
                stages.extend(later.into_iter().map(Stage::Add));
                if !disaster || sim.chance.percent(30) {
                    stages.push_back(Stage::FailOver);
                    if sim.chance.percent(30) {
                        stages.push_back(Stage::FailOver);
                    }
                }
                if disaster {
                    stages.push_back(Stage::Disaster);
                }
                plots.push(Plot {
                    group,
                    stages,
                    next: sim.chance.millis(100..20_000),
                    tries: 0,
                });
            }
            disaster
        });
        Self {
            shared,
            plots,
            records,
            stops: Vec::new(),
            spoken: BTreeMap::new(),
        }
    }

    fn start(&mut self, side: Side) {
        let stop = engines::start(&self.shared, side, self.records && side == 1);
        let process = self.shared.peek(|sim| sim.processes.len() - 1);
        self.stops.push((process, stop));
    }

    async fn direct(mut self) {
        let engines = self
            .shared
            .with(|sim| [1 + sim.chance.below(2), 1 + sim.chance.below(2)]);
        for (side, count) in engines.into_iter().enumerate() {
            for _ in 0..count {
                self.start(side);
            }
        }
        let shared = self.shared.clone();
        tokio::select! {
            biased;
            () = shared.violated() => {}
            () = self.play() => {}
        }
    }

    async fn play(&mut self) {
        loop {
            let (now, calm) = self.shared.with(|sim| (sim.world.now, sim.weather.calm));
            let tick = if now < calm { 1 } else { 5 };
            tokio::time::sleep(Duration::from_secs(tick)).await;
            self.restart();
            if now < calm {
                self.disturb();
            }
            self.relay();
            self.operate(now >= calm);
            if self.advance() {
                return;
            }
            if now > calm + BOUND {
                self.shared.with(|sim| {
                    let open = open_sagas(sim);
                    sim.violated("everything ends", format!("still open: {open}"));
                });
                return;
            }
        }
    }

    fn restart(&mut self) {
        loop {
            let due = self.shared.with(|sim| {
                let (&when, &side) = sim.restarts.first_key_value()?;
                if when > sim.world.now {
                    return None;
                }
                sim.restarts.remove(&when);
                (!sim.world.dead[side]).then_some(side)
            });
            match due {
                Some(side) => self.start(side),
                None => return,
            }
        }
    }

    /// What goes wrong without anybody calling.
    fn disturb(&mut self) {
        let stopped = self.shared.with(|sim| {
            let rates = sim.weather.rates.clone();
            if sim.chance.in_a_million(rates.cut) {
                let side = sim.chance.below(2) as usize;
                let place = match sim.chance.below(3) {
                    0 => Place::Cloud(side),
                    1 => Place::Array(side),
                    _ => Place::Database(side),
                };
                let until = sim.world.now + sim.chance.millis(2_000..90_000);
                sim.weather.cuts.push((place, until));
                sim.note(format!(
                    "{} is out of reach until {:.0}",
                    place.name(),
                    until.as_secs_f64()
                ));
                // Whoever asks meanwhile has a reason to give up.
                for blame in sim.books.blames.values_mut() {
                    blame.grave += 1;
                }
            }
            let alive: Vec<usize> = (0..sim.processes.len())
                .filter(|at| sim.processes[*at].alive)
                .collect();
            if alive.is_empty() {
                return None;
            }
            let one = alive[sim.chance.below(alive.len() as u64) as usize];
            if sim.chance.in_a_million(rates.jump) {
                let skew = sim.chance.between(0..7_200) as i64 - 3_600;
                sim.processes[one].skew = skew;
                sim.note(format!(
                    "the clock of {} is off by {skew} s",
                    sim.processes[one].owner.0
                ));
            }
            if sim.chance.in_a_million(rates.stall) {
                sim.stall(one);
            }
            if sim.chance.in_a_million(rates.crash) {
                sim.crash(one);
            } else if sim.chance.in_a_million(rates.crash / 2) {
                return Some(one);
            }
            None
        });
        if let Some(process) = stopped {
            self.stop(process);
        }
    }

    /// A clean stop, and a new engine a while later.
    fn stop(&mut self, process: usize) {
        if let Some((_, stop)) = self.stops.iter().find(|(of, _)| *of == process) {
            stop.cancel();
            self.shared.with(|sim| {
                let (side, name) = (
                    sim.processes[process].side,
                    sim.processes[process].owner.0.clone(),
                );
                let when = sim.world.now + sim.chance.millis(31_000..60_000);
                sim.note(format!("{name} is told to stop"));
                sim.restarts.insert(when, side);
            });
        }
    }

    fn relay(&mut self) {
        for plot in &self.plots {
            self.shared.with(|sim| {
                if sim.weather.is_calm(sim.world.now) || sim.chance.percent(12) {
                    sim.relay(plot.group);
                }
            });
        }
    }

    /// Words of users and operators.
    fn operate(&mut self, calm: bool) {
        let live: Vec<(Side, SagaId)> = self.shared.peek(|sim| {
            let all = sim.databases.iter().enumerate();
            let live = all
                .filter(|(side, _)| !sim.world.dead[*side])
                .flat_map(|(side, database)| {
                    let sagas = database.sagas.values().filter(|saga| !saga.ended);
                    sagas.map(move |saga| (side, saga.header.id))
                });
            live.collect()
        });
        for (side, saga) in live {
            let spoken = &mut self.spoken;
            self.shared.with(|sim| {
                sim.read_on(side, saga);
                let now = sim.world.now;
                let rates = &sim.weather.rates;
                if !calm && sim.chance.in_a_million(rates.cancel) {
                    sim.note(format!("cancel {saga}"));
                    sim.books.cancelled.insert(saga);
                    sim.tell(side, saga, Event::Cancelled);
                }
                let waits = sim.books.state(saga).and_then(|state| {
                    let at_work = !state.is_idle();
                    state.waiting_for_operator().filter(|_| !at_work)
                });
                let Some(reason) = waits else { return };
                if sim.waits_without_cause(saga, &reason) {
                    sim.violated(
                        "the operator is asked for a reason",
                        format!("{saga} waits: {reason}"),
                    );
                }
                let before = spoken.get(&saga).copied().unwrap_or(Time::ZERO);
                if now < before + Duration::from_secs(60) || (!calm && sim.chance.percent(95)) {
                    return;
                }
                spoken.insert(saga, now);
                let doubtful = reason.contains("'commit'");
                // Who said of something that it may stay says so of what hangs on it, too: nothing else ends it.
                let follows = follows_from_accepting(&reason);
                let word = match sim.chance.below(10) {
                    _ if follows => decision::ACCEPT,
                    0 if !calm => decision::ACCEPT,
                    1 if !calm && doubtful => decision::ROLL_BACK,
                    _ => decision::RETRY,
                };
                if word == decision::ACCEPT {
                    sim.books.accepted.insert(saga);
                }
                sim.books.count("operator");
                sim.note(format!("{word} {saga}: {reason}"));
                let event = Event::OperatorDecision {
                    decision: word.to_owned(),
                    note: String::new(),
                };
                if word == decision::ROLL_BACK {
                    sim.books.rolled_back.insert(saga);
                }
                sim.tell(side, saga, event);
            });
        }
    }

    /// The next stage of every plot whose last one is over; true, where all are through.
    fn advance(&mut self) -> bool {
        let mut over = true;
        for plot in &mut self.plots {
            over &= self.shared.with(|sim| plot.advance(sim));
        }
        over
    }
}

/// Every live saga, with where it stands.
fn open_sagas(sim: &Sim) -> String {
    let mut open = Vec::new();
    for (side, database) in sim.databases.iter().enumerate() {
        for saga in database
            .sagas
            .values()
            .filter(|saga| !saga.ended && !sim.world.dead[side])
        {
            let steps = sim.books.state(saga.header.id).map(|state| {
                let moving = state
                    .steps()
                    .filter(|(_, step)| !matches!(step.phase.as_str(), "waiting" | "done" | "undone"));
                let told = moving.map(|(node, step)| format!("{} {}", node.name, step.phase.as_str()));
                told.collect::<Vec<_>>().join(", ")
            });
            open.push(format!(
                "{} {} ({})",
                saga.header.kind,
                saga.header.id,
                steps.unwrap_or_default()
            ));
        }
    }
    open.join("; ")
}

impl Plot {
    fn advance(&mut self, sim: &mut Sim) -> bool {
        let busy =
            (0..2).any(|side| !sim.world.dead[side] && sim.databases[side].live_saga(self.group).is_some());
        if busy {
            self.next = self.next.max(sim.world.now + Duration::from_secs(1));
            // A second operation of the same group is asked for, too, and must be refused.
            if sim.chance.percent(2) && !sim.world.dead[0] {
                self.intrude(sim);
            }
            if let Some(Stage::Disaster) = self.stages.front()
                && !sim.world.dead[0]
                && sim.chance.in_a_million(20_000)
            {
                sim.kill_first_site();
            }
            return false;
        }
        // What could not be made whole takes nothing on, and asking again and again outlasts the run.
        if sim.was_not_established(self.group) {
            self.stages.clear();
        }
        let Some(stage) = self.stages.front() else {
            return true;
        };
        if sim.world.now < self.next {
            return false;
        }
        if sim.world.dead[0] && !matches!(stage, Stage::Disaster) {
            self.stages.pop_front();
            return false;
        }
        let begun = match stage {
            Stage::Establish => sim.establish(self.group),
            Stage::Bind => sim.bind(self.group),
            Stage::Add(member) => sim.add_member(self.group, &member.clone()),
            Stage::FailOver if sim.has_moved(self.group) => true,
            Stage::FailOver => sim.fail_over(self.group).is_some(),
            Stage::Disaster if sim.has_moved(self.group) && !sim.world.dead[0] => true,
            Stage::Disaster => self.disaster(sim),
        };
        self.tries += 1;
        if begun || self.tries > 60 {
            self.stages.pop_front();
            self.tries = 0;
        }
        self.next = sim.world.now + sim.chance.millis(1_000..40_000);
        false
    }

    fn disaster(&mut self, sim: &mut Sim) -> bool {
        if !sim.world.dead[0] {
            if sim.is_prepared(self.group) {
                sim.kill_first_site();
            }
            return false;
        }
        sim.take_over(self.group).is_some()
    }

    fn intrude(&self, sim: &mut Sim) {
        if let Some(mut group) = sim.databases[0].groups.get(&self.group).cloned()
            && group.status == GroupStatus::FailingOver
        {
            group.status = GroupStatus::Active;
            let along = protector_ports::store::Along {
                saga: Some(protector_saga::NewSaga {
                    id: SagaId(sim.chance.uuid()),
                    kind: "bind_arrays".to_owned(),
                    version: 1,
                    subject: self.group.to_string(),
                    params: serde_json::json!({ "group": self.group }).to_string().into(),
                }),
                ..protector_ports::store::Along::default()
            };
            let now = sim.world.now;
            let _ = sim.databases[0].update_group(&group, along, now);
            sim.books.dirty = true;
        }
    }
}

impl Sim {
    /// A word to a saga, which has to be in its journal then.
    fn tell(&mut self, side: Side, saga: SagaId, event: Event) {
        let now = self.world.now;
        self.databases[side].request(saga, event.clone(), now);
        let row = self.databases[side].sagas.get(&saga);
        let last = row.and_then(|row| row.records.last().map(|record| &record.event));
        if last != Some(&event) {
            self.violated("journal", "a request that was answered isn't there");
        }
        self.read_on(side, saga);
    }

    fn was_not_established(&self, id: GroupId) -> bool {
        let group = self.databases[0].groups.get(&id);
        group.is_some_and(|group| group.consistency_group.status == ConsistencyGroupStatus::Error)
    }

    /// Whether the second site could take the group over: it knows the servers, and has a whole snapshot.
    pub fn is_prepared(&self, id: GroupId) -> bool {
        let Some(group) = self.databases[1].groups.get(&id) else {
            return false;
        };
        let known = self.databases[1]
            .facts
            .get(&id)
            .is_some_and(|facts| facts.about.are_complete(group));
        let Some(policy) = &group.document.policy else {
            return false;
        };
        let volumes = || group.document.members.iter().flat_map(|member| &member.volumes);
        let incoming = self.world.arrays[1].incoming.get(&policy.pure_pg_name);
        let whole = incoming.is_some_and(|incoming| {
            incoming.snapshots.values().any(|snapshot| {
                snapshot.completed.is_some()
                    && !snapshot.destroyed
                    && volumes().all(|volume| snapshot.content.contains_key(&volume.array_name))
            })
        });
        known && whole
    }

    fn has_moved(&self, id: GroupId) -> bool {
        let group = self.databases[0].groups.get(&id);
        group.is_none_or(|group| matches!(group.status, GroupStatus::FailedOver | GroupStatus::Error))
    }

    fn kill_first_site(&mut self) {
        self.note("site-a dies");
        self.world.dead[0] = true;
        for at in 0..self.processes.len() {
            let process = &mut self.processes[at];
            if process.side == 0 {
                process.alive = false;
                if let Some(task) = &process.task {
                    task.abort();
                }
            }
        }
        self.books.count("disasters");
    }
}
