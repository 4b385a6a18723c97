//! Regions: several clouds with one Keystone.
//!
//! The identity service of such a cloud is another one's. Whoever enters a region's world takes it along: it lies where
//! the region's own would be until he leaves, so that nothing else has to know whose it is.

use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;

use super::world::World;

/// A cloud's world while somebody is in it.
pub(super) struct Entered<'a> {
    own: MutexGuard<'a, World>,
    /// Locked after the region's own, by everybody.
    keystone: Option<MutexGuard<'a, World>>,
}

impl<'a> Entered<'a> {
    /// A cloud that has everything itself.
    pub fn whole(own: MutexGuard<'a, World>) -> Self {
        Self { own, keystone: None }
    }

    /// A cloud whose identity service is that of another world.
    pub fn region(own: MutexGuard<'a, World>, keystone: MutexGuard<'a, World>) -> Self {
        let mut entered = Self {
            own,
            keystone: Some(keystone),
        };
        entered.exchange();
        entered
    }

    fn exchange(&mut self) {
        if let Some(keystone) = &mut self.keystone {
            std::mem::swap(&mut self.own.identity, &mut keystone.identity);
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.exchange();
    }
}

impl Deref for Entered<'_> {
    type Target = World;

    fn deref(&self) -> &World {
        &self.own
    }
}

impl DerefMut for Entered<'_> {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.own
    }
}
