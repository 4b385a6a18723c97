//! Key files: 32 random bytes in base64, for the owner's eyes only, written whole or not at all.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretBox};

use crate::SecretsError;

pub(crate) const KEY_BYTES: usize = 32;
pub(crate) type Key = SecretBox<[u8; KEY_BYTES]>;

pub(crate) fn random<const N: usize>() -> Result<[u8; N], SecretsError> {
    let mut bytes = [0; N];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|_| SecretsError::Random)?;
    Ok(bytes)
}

pub(crate) fn generate() -> Result<Key, SecretsError> {
    Ok(SecretBox::new(Box::new(random()?)))
}

/// Makes the directory, or takes away others' access to one that is there.
pub(crate) fn private_dir(path: &Path) -> Result<(), SecretsError> {
    let wrong = |source| SecretsError::Unwritable {
        path: path.to_owned(),
        source,
    };
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(wrong),
        Err(source) => Err(wrong(source)),
    }
}

/// Writes a key under a name that isn't taken. Of two processes that do it at once, one is told that it is.
pub(crate) fn write(path: &Path, key: &Key) -> Result<(), SecretsError> {
    let unwritable = |source| SecretsError::Unwritable {
        path: path.to_owned(),
        source,
    };
    let mark: [u8; 8] = random()?;
    let temporary = path.with_extension(format!("new-{:016x}", u64::from_ne_bytes(mark)));
    let mut text = STANDARD.encode(key.expose_secret());
    text.push('\n');
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    text.zeroize();
    // A link, unlike a rename, never replaces what is there.
    let linked = written.and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(SecretsError::Exists {
                path: path.to_owned(),
            });
        }
        Err(source) => return Err(unwritable(source)),
    }
    removed.map_err(unwritable)?;
    // The name is lasting only when the directory has been written too.
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(unwritable)
}

pub(crate) fn read(path: &Path) -> Result<Key, SecretsError> {
    check_mode(path, 0o600)?;
    let unreadable = |source| SecretsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut text = fs::read(path).map_err(unreadable)?;
    let decoded = STANDARD.decode(text.trim_ascii());
    text.zeroize();
    let malformed = || SecretsError::Malformed {
        path: path.to_owned(),
    };
    let mut bytes = decoded.map_err(|_| malformed())?;
    let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| malformed());
    bytes.zeroize();
    Ok(SecretBox::new(Box::new(key?)))
}

/// Others may have no access at all, and the group may not write.
pub(crate) fn check_mode(path: &Path, wanted: u32) -> Result<(), SecretsError> {
    let meta = fs::metadata(path).map_err(|source| SecretsError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let mode = meta.mode() & 0o777;
    if mode & 0o027 != 0 {
        return Err(SecretsError::TooOpen {
            path: path.to_owned(),
            mode,
            wanted,
        });
    }
    Ok(())
}
