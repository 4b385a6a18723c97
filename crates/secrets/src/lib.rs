//! Secrets at rest: sealed with keys that lie in a directory of their own, apart from the database.
//!
//! Somebody who gets hold of the database alone learns no password, and somebody who can write to it can't move a
//! sealed text to another place, since the place is sealed with it.
//!
//! What travels to the other site is signed with this site's key, and what is secret in it sealed to that site's.

mod error;
mod files;
mod ring;
mod sealed;
mod signed;
mod site;

pub use error::SecretsError;
pub use ring::KeyRing;
pub use sealed::seal_for;
pub use signed::verify;
pub use site::SiteKeys;
