//! What a client does for two sites that never talk to each other.
//!
//! A change of a protection group is made at the site where the group runs, and carried to the other one by the
//! client. This crate is that client in Rust: it signs in to both clouds, finds protector in their catalogs and
//! speaks public REST, nothing else. It depends on no other crate of the project, so what works here works for
//! everybody who has the API's description.
//!
//! * [`Session`]: one user's sign-in at one cloud;
//! * [`Site`]: protector at that cloud, and all that can be asked of it where the other one is lost;
//! * [`Pair`]: the two sites of a group, and the dance of nonce, statement, bundle and receipt between them.
//!
//! ```no_run
//! # async fn demo(a: protector_relay::Login, b: protector_relay::Login) -> Result<(), protector_relay::Error> {
//! use protector_relay::{NewGroup, Pair, Session, Site};
//!
//! let http = protector_relay::http_client()?;
//! let here = Site::find(Session::sign_in(&http, a).await?).await?;
//! let there = Site::find(Session::sign_in(&http, b).await?).await?;
//! let pair = Pair::new(here, there);
//! let group = pair.create_group(&NewGroup { name: "web", description: "", volume_type: "replicated-ssd" }).await?;
//! println!("{} is {}", group.name, group.status);
//! # Ok(()) }
//! ```

mod error;
mod groups;
mod operation;
mod pair;
mod registration;
mod session;
mod site;
mod survivor;
mod types;

pub use error::{Error, Result};
pub use groups::{NewGroup, NewPolicy};
pub use pair::Pair;
pub use registration::{Registration, ServiceUser};
pub use session::{Login, Session, http_client, http_client_trusting};
pub use site::Site;
pub use types::{Group, Identity, Member, MemberVolume, Operation, Policy, StepView};
