//! Serving a simulated service so that a test can disturb it and see what was asked of it.
//!
//! [`serve`] puts an axum router behind three things that every simulated service needs:
//!
//! * [`Faults`]: a cloneable handle that makes the service slow, dead, silent or wrong, for all calls or for
//!   the n-th call that matches a [`Rule`]. The worst fault of real life is among them: the call takes effect
//!   and its answer is lost ([`Action::LostAnswer`]);
//! * [`CallLog`]: every call with its query, body and status, in memory and, if wanted, as JSON lines;
//! * HTTP or HTTPS with a certificate made at start.
//!
//! [`front`] puts HTTPS before a service of another program.
//!
//! ```no_run
//! # async fn demo(router: axum::Router) -> std::io::Result<()> {
//! use protector_sim::http::{Action, CallLog, Faults, Rule, ServeOptions, serve};
//!
//! let faults = Faults::default();
//! let server = serve(router, ServeOptions::local("nova", faults.clone(), CallLog::default())).await?;
//! println!("listening on {}", server.url());
//!
//! // The second server creation works, but its answer never arrives.
//! faults.add(Rule::on("POST", "/servers$").nth(2).times(1).act(Action::LostAnswer)).ok();
//! faults.set_down(true);
//! server.shutdown().await;
//! # Ok(()) }
//! ```

mod calls;
mod faults;
mod front;
mod guard;
mod server;
mod tls;

pub use calls::{Call, CallFilter, CallLog};
pub use faults::{Action, FaultState, Faults, Rule, RuleError, RuleState};
pub use front::{Front, front};
pub use server::{ServeOptions, Server, serve};
pub use tls::{Authority, Certificate, TlsError};
