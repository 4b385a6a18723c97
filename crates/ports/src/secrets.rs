//! Sealing of what must not lie about in clear: passwords, array tokens, trusts.
//!
//! The store seals before it writes and opens after it reads; with which key is the sealer's business. The
//! associated data names the place (`table/row/column`), so a sealed text that was moved doesn't open.

use secrecy::SecretString;

/// The text couldn't be sealed, opened or verified; the message never holds any of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SealError(pub String);

pub trait Sealer: Send + Sync {
    fn seal(&self, plain: &SecretString, aad: &str) -> Result<String, SealError>;
    /// Fails where the text was altered, moved, or sealed with a key that is gone.
    fn open(&self, sealed: &str, aad: &str) -> Result<SecretString, SealError>;
}

/// The sites' pairs of keys. What one says to the other is signed with its own; what is secret in that is sealed to the
/// other's public key, with a context, so that a sealed text doesn't open for another group.
pub trait PeerKeys: Send + Sync {
    fn sign(&self, words: &str) -> String;
    /// Fails where the words were changed or the signature is somebody else's.
    fn verify(&self, public_key: &str, words: &str, signature: &str) -> Result<(), SealError>;
    fn seal_for(&self, public_key: &str, plain: &SecretString, context: &str) -> Result<String, SealError>;
    /// Fails where the text was altered or is meant for another site or context.
    fn open(&self, sealed: &str, context: &str) -> Result<SecretString, SealError>;
}
