//! What can be wrong with keys, and what an operator does about it. No message holds a secret or a key.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("there is no key in {}: run 'protector-manage db sync' once on this site", path.display())]
    NoKeys { path: PathBuf },
    #[error("cannot read {}: it must belong to the user that the service runs as; 'protector-manage db sync' makes it", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("cannot write {}", path.display())]
    Unwritable { path: PathBuf, source: std::io::Error },
    #[error("{} can be read or changed by others (mode {mode:04o}): type 'chmod {wanted:o} {}'", path.display(), path.display())]
    TooOpen { path: PathBuf, mode: u32, wanted: u32 },
    #[error("{} holds no key: restore it from a backup, or remove it if nothing was sealed with it", path.display())]
    Malformed { path: PathBuf },
    #[error("{} is there already and is not replaced", path.display())]
    Exists { path: PathBuf },
    #[error(
        "a secret was sealed with key {key}, which is not in {}: restore that key from a backup, or give the secret anew \
         ('protector-manage db sync' makes keys for a new site only)",
        path.display()
    )]
    UnknownKey { key: u32, path: PathBuf },
    #[error(
        "a secret cannot be opened with key {key} of {}: it was altered or moved, or the keys are not those of this \
         database; restore them from a backup ('protector-manage db sync' makes keys for a new site only)",
        path.display()
    )]
    Refused { key: u32, path: PathBuf },
    #[error("a text that should be a sealed secret is none")]
    NotSealed,
    #[error(
        "a sealed secret was altered on its way, or it is meant for another site or another protection group"
    )]
    NotForThisSite,
    #[error("it isn't signed with that site's key, or it was changed after that")]
    NotSigned,
    #[error("the other site's public key is not one: register that site again")]
    NoPublicKey,
    #[error("the secret cannot be sealed")]
    Seal,
    #[error("the system gives no random numbers")]
    Random,
}
