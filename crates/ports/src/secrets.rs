//! Sealing of what must not lie about in clear: passwords, array tokens, trusts.
//!
//! The store seals before it writes and opens after it reads; with which key is the sealer's business. The
//! associated data names the place (`table/row/column`), so a sealed text that was moved doesn't open.

use secrecy::SecretString;

/// The text couldn't be sealed or opened; the message never holds any of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SealError(pub String);

pub trait Sealer: Send + Sync {
    fn seal(&self, plain: &SecretString, aad: &str) -> Result<String, SealError>;
    /// Fails where the text was altered, moved, or sealed with a key that is gone.
    fn open(&self, sealed: &str, aad: &str) -> Result<SecretString, SealError>;
}

/// Secrets on their way between the sites: sealed to the other site's public key, opened with this site's own.
/// The context is part of what is sealed, so a sealed text doesn't open for another group.
pub trait PeerSealer: Send + Sync {
    fn seal_for(&self, public_key: &str, plain: &SecretString, context: &str) -> Result<String, SealError>;
    /// Fails where the text was altered or is meant for another site or context.
    fn open(&self, sealed: &str, context: &str) -> Result<SecretString, SealError>;
}
