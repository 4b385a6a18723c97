//! Who is asking: tokens, validated by Keystone, with the behaviour of keystonemiddleware.
//!
//! Three answers are kept apart, since mixing them up sends operators the wrong way: the caller's token is bad
//! (401, with the place to get another one), Keystone can't be asked (503), or *our own* credentials are bad (503
//! too: the caller did nothing wrong, and the log says what to repair).

mod client;
mod identity;
mod keystone;
mod layer;
mod settings;

pub use identity::{Identity, Role};
pub use keystone::KeystoneValidator;
pub use layer::{AuthToken, authenticate};
pub use settings::{KeystoneSettings, OPTIONS, SettingsError};

use std::sync::Arc;

use secrecy::SecretString;

/// Target of the log lines, the one that OpenStack operators search for.
pub(crate) const LOG: &str = "keystonemiddleware.auth_token";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Unknown, expired or revoked.
    #[error("the token is not valid")]
    Invalid,
    /// Nobody could say whether the token is valid; the text tells an operator why.
    #[error("{0}")]
    Unavailable(String),
}

/// Tells whose token it is.
#[async_trait::async_trait]
pub trait TokenValidator: Send + Sync {
    async fn validate(&self, token: &SecretString) -> Result<Arc<Identity>, TokenError>;
}
