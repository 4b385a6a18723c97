//! The ports, as one engine process has them: every call may meet its fate.

mod array;
mod cloud;
mod effects;
mod store;

pub use effects::flavor;
pub use store::credentials;

use std::time::Duration;

use protector_ports::{Class, Kind, PortError, PortResult};

use crate::sim::{Shared, Sim, attempt};
use crate::weather::{Fate, Place};

/// So long a call waits for an answer at most.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than any step may take.
const FOREVER: Duration = Duration::from_secs(5 * 3600);

/// Marks what isn't the product's doing.
pub const INJECTED: &str = "(injected)";

#[derive(Clone)]
pub struct Hands {
    pub shared: Shared,
    pub process: usize,
}

/// How a call went wrong on its way; the callers make their own errors of it.
pub enum Wrong {
    /// Nothing was done.
    Busy,
    Refused,
    /// Nobody knows.
    Silent,
}

impl Hands {
    pub fn array_url(side: crate::world::Side) -> String {
        array::url(side)
    }

    /// One call to one place, with whatever is to happen to it. `changes`: whether it changes anything there.
    pub async fn reach<T>(
        &self,
        place: Place,
        name: &str,
        changes: bool,
        act: impl FnOnce(&mut Sim) -> T,
    ) -> Result<T, Wrong> {
        self.shared.ready(self.process).await;
        let (fate, latency, back) = self.shared.with(|sim| {
            let fate = sim.weather.fate(&mut sim.chance, sim.world.now, changes);
            let latency = sim.weather.latency(&mut sim.chance);
            sim.watch_question(place, name);
            (fate, latency, sim.weather.latency(&mut sim.chance))
        });
        tokio::time::sleep(latency).await;
        match fate {
            Fate::CrashBefore => self.crash().await,
            Fate::StallBefore => self.shared.with(|sim| sim.stall(self.process)),
            _ => {}
        }
        self.shared.ready(self.process).await;
        match fate {
            Fate::Busy => return self.wrong(place, name, fate, Wrong::Busy),
            Fate::Refused => return self.wrong(place, name, fate, Wrong::Refused),
            Fate::Hangs if !matches!(place, Place::Database(_)) => {
                self.blame(place, name, "hangs");
                tokio::time::sleep(FOREVER).await;
                return Err(Wrong::Silent);
            }
            _ => {}
        }
        if self.shared.with(|sim| sim.is_out_of_reach(place)) {
            self.blame(place, name, "out of reach");
            let refuses = self.shared.with(|sim| sim.chance.percent(50));
            if refuses {
                return Err(Wrong::Busy);
            }
            tokio::time::sleep(PATIENCE).await;
            self.shared.ready(self.process).await;
            return Err(Wrong::Silent);
        }
        let answer = self.shared.with(|sim| {
            sim.books.begins(self.process, place, name, changes);
            sim.watch_call(self.process, place, name, changes);
            let answer = act(sim);
            sim.books.ends();
            answer
        });
        match fate {
            Fate::CrashAfter => self.crash().await,
            Fate::StallAfter => self.shared.with(|sim| sim.stall(self.process)),
            Fate::LostAnswer => {
                self.blame(place, name, "answer lost");
                tokio::time::sleep(PATIENCE).await;
                self.shared.ready(self.process).await;
                return Err(Wrong::Silent);
            }
            _ => {}
        }
        tokio::time::sleep(back).await;
        self.shared.ready(self.process).await;
        Ok(answer)
    }

    async fn crash(&self) {
        self.shared.with(|sim| sim.crash(self.process));
        std::future::pending::<()>().await;
    }

    fn wrong<T>(&self, place: Place, name: &str, fate: Fate, wrong: Wrong) -> Result<T, Wrong> {
        self.blame(place, name, &format!("{fate:?}"));
        Err(wrong)
    }

    /// On record for those who ask why an operation didn't go well.
    fn blame(&self, place: Place, name: &str, why: &str) {
        let attempt = attempt();
        self.shared.with(|sim| {
            let owner = sim.processes[self.process].owner.0.clone();
            sim.note(format!("{owner} {} {name}: {why}", place.name()));
            sim.books.blame(attempt.as_ref(), place, why);
        });
    }

    /// A call to a cloud or an array.
    pub async fn call<T>(
        &self,
        place: Place,
        name: &str,
        changes: bool,
        act: impl FnOnce(&mut Sim) -> PortResult<T>,
    ) -> PortResult<T> {
        let site = place.name();
        let planted = self.shared.peek(|sim| sim.bug);
        match self.reach(place, name, changes, act).await {
            Ok(answer) => answer,
            Err(Wrong::Busy) => Err(PortError::retryable(format!(
                "{site} did not take '{name}' {INJECTED}"
            ))),
            Err(Wrong::Refused) => Err(PortError::permanent(
                Kind::Quota,
                format!("{site} refused '{name}': no room {INJECTED}"),
            )),
            Err(Wrong::Silent) => {
                use crate::planted::Bug;
                let class = match (changes, planted) {
                    (true, Some(Bug::AmbiguousIsPermanent)) => Class::Permanent,
                    (true, _) => Class::Ambiguous,
                    (false, _) => Class::Retryable,
                };
                let text = format!("{site} did not answer '{name}' {INJECTED}");
                Err(PortError::new(class, Kind::Unavailable, text))
            }
        }
    }
}

pub fn not_found<T>(what: &str) -> PortResult<T> {
    Err(PortError::permanent(
        Kind::NotFound,
        format!("There is no {what}."),
    ))
}

pub fn conflict<T>(message: impl Into<String>) -> PortResult<T> {
    Err(PortError::permanent(Kind::Conflict, message))
}
