//! The world of arrays as a test holds it in its hands.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::clock::Clock;
use super::config::{FabricConfig, LinkConfig};
use super::content::{BYTES_OF_A_WRITE, Block, Content, MAX_MARKER};
use super::error::{ApiError, ApiResult};
use super::persist::{PersistError, Store};
use super::replication::settle;
use super::session::Sessions;
use super::view;
use super::world::{Array, Link, World, new_id};
use crate::http::{CallLog, Faults};

/// How many arrays' worth of writing one call may do; a guest doesn't write more at once either.
const MAX_BYTES: u64 = 1 << 50;

/// What the handle, the servers and the control interface share.
pub(super) struct Inner {
    pub strict: bool,
    pub config: FabricConfig,
    pub calls: CallLog,
    faults: BTreeMap<String, Faults>,
    world: Mutex<World>,
    clock: Mutex<Clock>,
    sessions: Mutex<HashMap<String, Sessions>>,
    store: Option<Store>,
}

/// A fabric of simulated arrays. Clones share it.
#[derive(Clone)]
pub struct Fabric {
    pub(super) inner: Arc<Inner>,
}

impl std::fmt::Debug for Fabric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fabric")
            .field("arrays", &self.arrays())
            .finish_non_exhaustive()
    }
}

/// All arrays at one moment, their time included.
pub struct FabricCheckpoint {
    world: World,
    now: u64,
}

/// A write of a guest.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestWrite {
    /// What is written.
    pub marker: String,
    /// Where; behind everything else if absent.
    #[serde(default)]
    pub offset: Option<u64>,
    /// How much data it stands for; 1 MiB if absent.
    #[serde(default)]
    pub bytes: Option<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Do something with the world as it is now. What changed it is kept before the answer goes out.
    pub fn with_world<T>(
        &self,
        changes: bool,
        act: impl FnOnce(&mut World, u64) -> ApiResult<T>,
    ) -> ApiResult<T> {
        let mut world = lock(&self.world);
        let now = lock(&self.clock).now();
        let happened = settle(&mut world, now);
        let result = act(&mut world, now);
        // What a call has made possible (a snapshot to send, a gate that opened) begins with it.
        let followed = changes && settle(&mut world, now);
        if (changes && result.is_ok()) || happened || followed {
            self.keep(&world);
        }
        result
    }

    pub fn with_sessions<T>(&self, array: &str, act: impl FnOnce(&mut Sessions, u64) -> T) -> T {
        let now = lock(&self.clock).now();
        act(lock(&self.sessions).entry(array.to_owned()).or_default(), now)
    }

    fn keep(&self, world: &World) {
        if let Some(store) = &self.store
            && let Err(error) = store.save(world)
        {
            tracing::error!(%error, "the arrays' state can't be kept");
        }
    }

    /// Let happen what happens by itself.
    pub fn settle(&self) {
        let _ = self.with_world(false, |_, _| Ok(()));
    }
}

impl Fabric {
    /// Make the arrays, or take up the state of a former run.
    pub fn new(config: FabricConfig) -> Result<Self, PersistError> {
        let store = config.state_dir.as_deref().map(Store::open).transpose()?;
        let mut world = store
            .as_ref()
            .map(Store::load)
            .transpose()?
            .flatten()
            .unwrap_or_default();
        let calls = match &config.state_dir {
            Some(dir) => {
                CallLog::with_file(&dir.join("calls.jsonl")).map_err(|e| PersistError::new(dir, e))?
            }
            None => CallLog::default(),
        };
        let mut faults = BTreeMap::new();
        for array in &config.arrays {
            let state = world.arrays.entry(array.name.clone()).or_insert_with(|| Array {
                id: new_id(),
                name: array.name.clone(),
                manual_eradication: array.manual_eradication,
                ..Array::default()
            });
            state.idle_timeout = array.idle_timeout_millis;
            state.eradication_delay = array.eradication_delay_millis;
            state.capacity = array.capacity;
            let handle = Faults::default();
            handle.set_dark(state.dark);
            faults.insert(array.name.clone(), handle);
        }
        let names: Vec<String> = world.arrays.keys().cloned().collect();
        for (at, a) in names.iter().enumerate() {
            for b in &names[at + 1..] {
                if world.link(a, b).is_none() {
                    world.links.push(Link {
                        ends: [a.clone(), b.clone()],
                        config: config.link.clone(),
                    });
                }
            }
        }
        let clock = Clock::start(world.settled, config.time_scale);
        // What would have happened while nobody ran the arrays hasn't happened.
        world.settled = 0;
        Ok(Self {
            inner: Arc::new(Inner {
                strict: config.strict,
                calls,
                faults,
                world: Mutex::new(world),
                clock: Mutex::new(clock),
                sessions: Mutex::default(),
                store,
                config,
            }),
        })
    }

    /// Everything as it is now.
    #[must_use]
    pub fn checkpoint(&self) -> FabricCheckpoint {
        self.inner.settle();
        let world = lock(&self.inner.world).clone();
        let now = self.now();
        FabricCheckpoint { world, now }
    }

    /// Everything as it was then.
    pub fn restore(&self, then: &FabricCheckpoint) {
        let mut world = lock(&self.inner.world);
        let scale = self.time_scale();
        *world = then.world.clone();
        *lock(&self.inner.clock) = Clock::at(then.now, scale);
        for (name, faults) in &self.inner.faults {
            faults.set_dark(world.arrays.get(name).is_some_and(|array| array.dark));
        }
    }

    /// The arrays' names.
    #[must_use]
    pub fn arrays(&self) -> Vec<String> {
        self.inner.faults.keys().cloned().collect()
    }

    /// The disturbances of an array's REST interface.
    pub fn faults(&self, array: &str) -> ApiResult<Faults> {
        self.inner
            .faults
            .get(array)
            .cloned()
            .ok_or_else(|| ApiError::missing("Array", array))
    }

    /// Every call to every array.
    #[must_use]
    pub fn calls(&self) -> CallLog {
        self.inner.calls.clone()
    }

    /// Write to a volume as a guest would. Gives the write's place in the fabric's one sequence.
    pub fn write(&self, array: &str, volume: &str, marker: &str) -> ApiResult<u64> {
        self.guest_write(
            array,
            volume,
            GuestWrite {
                marker: marker.to_owned(),
                ..GuestWrite::default()
            },
        )
    }

    /// As [`Fabric::write`], with a place and an amount of data.
    pub fn guest_write(&self, array: &str, volume: &str, write: GuestWrite) -> ApiResult<u64> {
        if write.marker.len() > MAX_MARKER || write.bytes.is_some_and(|bytes| bytes > MAX_BYTES) {
            return Err(ApiError::new(volume, "The write is too large."));
        }
        self.inner.with_world(true, |world, _| {
            let sequence = world.sequence + 1;
            let array = world.array(array)?;
            if array.dark {
                return Err(ApiError::new(&array.name, "Array is dark."));
            }
            array.live_volume(volume)?;
            if let Some(volume) = array.volumes.get_mut(volume) {
                let bytes = write.bytes.unwrap_or(BYTES_OF_A_WRITE);
                volume.content.write(
                    write.offset,
                    Block {
                        sequence,
                        marker: write.marker,
                        bytes,
                    },
                );
            }
            world.sequence = sequence;
            Ok(sequence)
        })
    }

    /// What a guest would read from a volume or a snapshot, destroyed ones included.
    pub fn content(&self, array: &str, name: &str) -> ApiResult<Content> {
        self.inner.with_world(false, |world, _| {
            let array = world.array(array)?;
            let volume = array.volumes.get(name).map(|volume| &volume.content);
            let content = volume.or_else(|| array.snapshots.get(name).map(|snapshot| &snapshot.content));
            content
                .cloned()
                .ok_or_else(|| ApiError::missing("Volume or snapshot", name))
        })
    }

    /// The markers that a guest would read, in the order of their places.
    pub fn markers(&self, array: &str, name: &str) -> ApiResult<Vec<String>> {
        Ok(self.content(array, name)?.markers())
    }

    /// Everything on an array, for a look or a comparison.
    pub fn state(&self, array: &str) -> ApiResult<Value> {
        self.inner
            .with_world(false, |world, now| view::state(world, array, now))
    }

    /// The links with their settings.
    #[must_use]
    pub fn links(&self) -> Vec<([String; 2], LinkConfig)> {
        let links = self.inner.with_world(false, |world, _| {
            Ok(world
                .links
                .iter()
                .map(|link| (link.ends.clone(), link.config.clone()))
                .collect())
        });
        links.unwrap_or_default()
    }

    /// Change the link between two arrays, or all links.
    pub fn change_links(
        &self,
        between: Option<[&str; 2]>,
        change: impl Fn(&mut LinkConfig),
    ) -> ApiResult<()> {
        self.inner.with_world(true, |world, _| {
            let mut found = false;
            for link in &mut world.links {
                if between.is_none_or(|[a, b]| link.joins(a, b)) {
                    change(&mut link.config);
                    found = true;
                }
            }
            if found {
                Ok(())
            } else {
                Err(ApiError::missing("Link", &between.unwrap_or_default().join("-")))
            }
        })
    }

    /// Cut or mend all links.
    pub fn set_link_up(&self, up: bool) {
        // A fabric of one array has no link; then there is nothing to do.
        let _ = self.change_links(None, |link| link.up = up);
    }

    /// Take an array's power away: it answers nobody, sends and receives nothing, keeps what it has.
    /// Or give it back.
    pub fn set_power(&self, array: &str, on: bool) -> ApiResult<()> {
        let faults = self.faults(array)?;
        self.inner.with_world(true, |world, _| {
            world.array(array)?.dark = !on;
            Ok(())
        })?;
        faults.set_dark(!on);
        if !on {
            self.expire_sessions(array);
        }
        Ok(())
    }

    /// Whether an array lets users eradicate by hand; SafeMode doesn't.
    pub fn set_manual_eradication(&self, array: &str, enabled: bool) -> ApiResult<()> {
        self.inner.with_world(true, |world, _| {
            world.array(array)?.manual_eradication = enabled;
            Ok(())
        })
    }

    /// End all sessions of an array; the next call with one of them is answered with 401.
    pub fn expire_sessions(&self, array: &str) {
        self.inner.with_sessions(array, |sessions, _| sessions.clear());
    }

    /// The fabric's time, in milliseconds since 1970.
    #[must_use]
    pub fn now(&self) -> u64 {
        lock(&self.inner.clock).now()
    }

    /// Move the time forward. Everything due until then happens, in order.
    pub fn advance(&self, by: Duration) {
        self.inner.settle();
        lock(&self.inner.clock).advance(by);
        self.inner.settle();
    }

    /// Let the time run faster (or as fast as the real one, with 1).
    pub fn set_time_scale(&self, scale: f64) {
        lock(&self.inner.clock).set_scale(scale.clamp(0.0, 1_000_000.0));
    }

    /// How fast the time runs.
    #[must_use]
    pub fn time_scale(&self) -> f64 {
        lock(&self.inner.clock).scale()
    }
}
