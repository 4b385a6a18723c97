//! Wake-ups from this site's API to its engine, over the site's RabbitMQ.
//!
//! A message says "there is work" and nothing else. The database is the truth and the engine asks it anyway, so a
//! message may be late, lost or there twice, and a dead broker stops nobody: both sides look for it again for ever.

pub mod address;
mod keep;
mod link;
mod listen;
mod publish;
mod reason;

pub use address::{AddressError, Broker, Host};
pub use listen::listen;
pub use publish::Publisher;

/// The queue of a site's engine, in the virtual host of its broker.
pub const QUEUE: &str = "protector.engine";
