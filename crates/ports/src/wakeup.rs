//! Telling this site's engine that there is something to do.

/// Rung after work was written. It only makes sooner what the engine's own look at the database finds anyway, so
/// it returns at once and can't fail.
pub trait Wakeup: Send + Sync {
    fn wake(&self);
}

/// Without a broker: the engine finds the work in the database.
#[derive(Debug, Clone, Copy, Default)]
pub struct DatabaseOnly;

impl Wakeup for DatabaseOnly {
    fn wake(&self) {}
}
