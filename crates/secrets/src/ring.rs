//! The key repository, in the manner of Keystone's: files called by numbers, the highest seals, all of them open.
//!
//! A sealed text is `v1:<key>:<base64 of nonce and ciphertext>`. The cipher is XChaCha20-Poly1305, whose nonce is long
//! enough to be drawn at random; the associated data is the place of the text (say `sites/<id>/password`).

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretString};

use crate::SecretsError;
use crate::files::{self, Key};

const FORMAT: &str = "v1";
const NONCE_BYTES: usize = 24;

type Keys = BTreeMap<u32, Key>;

/// All keys of a repository.
pub struct KeyRing {
    path: PathBuf,
    keys: RwLock<Arc<Keys>>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing({}, keys {:?})", self.path.display(), self.ids())
    }
}

impl KeyRing {
    /// Makes the repository with its first key; one that has keys is left as it is. To be repeated at will.
    pub fn create(path: &Path) -> Result<Self, SecretsError> {
        files::private_dir(path)?;
        if numbers(path)?.is_empty() {
            match files::write(&path.join("1"), &files::generate()?) {
                // Somebody else was faster: their key is as good.
                Ok(()) | Err(SecretsError::Exists { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Self::load(path)
    }

    pub fn load(path: &Path) -> Result<Self, SecretsError> {
        let keys = RwLock::new(Arc::new(read_all(path)?));
        Ok(KeyRing {
            path: path.to_owned(),
            keys,
        })
    }

    /// Adds a key, which seals from now on; its number is answered. Processes that run find it when they need it.
    pub fn rotate(&self) -> Result<u32, SecretsError> {
        let newest = numbers(&self.path)?.last().copied().unwrap_or(0);
        let next = newest.checked_add(1).ok_or(SecretsError::Seal)?;
        files::write(&self.path.join(next.to_string()), &files::generate()?)?;
        self.reload()?;
        Ok(next)
    }

    /// The numbers of the keys, oldest first.
    pub fn ids(&self) -> Vec<u32> {
        self.current().keys().copied().collect()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Seals a text for one place.
    pub fn seal(&self, plain: &SecretString, aad: &str) -> Result<String, SecretsError> {
        let keys = self.current();
        let (id, key) = keys.last_key_value().ok_or_else(|| SecretsError::NoKeys {
            path: self.path.clone(),
        })?;
        let nonce: [u8; NONCE_BYTES] = files::random()?;
        let bound = bind(*id, aad);
        let payload = Payload {
            msg: plain.expose_secret().as_bytes(),
            aad: bound.as_bytes(),
        };
        let ciphertext = cipher(key)
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| SecretsError::Seal)?;
        let mut bytes = nonce.to_vec();
        bytes.extend(ciphertext);
        Ok(format!("{FORMAT}:{id}:{}", STANDARD.encode(bytes)))
    }

    /// Opens what was sealed for the same place.
    pub fn open(&self, sealed: &str, aad: &str) -> Result<SecretString, SecretsError> {
        let (id, bytes) = parse(sealed).ok_or(SecretsError::NotSealed)?;
        let mut keys = self.current();
        if !keys.contains_key(&id) {
            // Another process may have rotated.
            keys = self.reload()?;
        }
        let key = keys.get(&id).ok_or_else(|| SecretsError::UnknownKey {
            key: id,
            path: self.path.clone(),
        })?;
        let (nonce, ciphertext) = bytes
            .split_at_checked(NONCE_BYTES)
            .ok_or(SecretsError::NotSealed)?;
        let bound = bind(id, aad);
        let payload = Payload {
            msg: ciphertext,
            aad: bound.as_bytes(),
        };
        let plain = cipher(key)
            .decrypt(XNonce::from_slice(nonce), payload)
            .map_err(|_| SecretsError::Refused {
                key: id,
                path: self.path.clone(),
            })?;
        match String::from_utf8(plain) {
            Ok(text) => Ok(SecretString::from(text)),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(SecretsError::NotSealed)
            }
        }
    }

    /// Whether a text was sealed with an older key, and should be sealed again.
    pub fn is_stale(&self, sealed: &str) -> bool {
        parse(sealed).is_some_and(|(id, _)| {
            self.current()
                .last_key_value()
                .is_some_and(|(newest, _)| id < *newest)
        })
    }

    fn current(&self) -> Arc<Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn reload(&self) -> Result<Arc<Keys>, SecretsError> {
        let keys = Arc::new(read_all(&self.path)?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.clone();
        Ok(keys)
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose_secret().into())
}

/// The header is authentic too.
fn bind(id: u32, aad: &str) -> String {
    format!("{FORMAT}:{id}:{aad}")
}

fn parse(sealed: &str) -> Option<(u32, Vec<u8>)> {
    let (id, text) = sealed.strip_prefix(FORMAT)?.strip_prefix(':')?.split_once(':')?;
    Some((number(id)?, STANDARD.decode(text).ok()?))
}

/// A number as a key file has it: no sign, no leading zero.
fn number(text: &str) -> Option<u32> {
    let plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// The numbers of the key files, sorted; other files in the directory are none of ours.
fn numbers(path: &Path) -> Result<Vec<u32>, SecretsError> {
    let unreadable = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => SecretsError::NoKeys {
            path: path.to_owned(),
        },
        _ => SecretsError::Unreadable {
            path: path.to_owned(),
            source,
        },
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        found.extend(entry.map_err(unreadable)?.file_name().to_str().and_then(number));
    }
    found.sort_unstable();
    Ok(found)
}

fn read_all(path: &Path) -> Result<Keys, SecretsError> {
    let numbers = numbers(path)?;
    if numbers.is_empty() {
        return Err(SecretsError::NoKeys {
            path: path.to_owned(),
        });
    }
    files::check_mode(path, 0o700)?;
    numbers
        .into_iter()
        .map(|id| Ok((id, files::read(&path.join(id.to_string()))?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;

    fn ring() -> (tempfile::TempDir, KeyRing) {
        let dir = tempfile::tempdir().unwrap();
        let ring = KeyRing::create(&dir.path().join("state/keys")).unwrap();
        (dir, ring)
    }

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn told(result: Result<impl Sized, SecretsError>) -> String {
        result.err().unwrap().to_string()
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_and_nowhere_else() {
        let (_dir, ring) = ring();
        let sealed = ring.seal(&secret("pässword"), "sites/1/password").unwrap();
        assert!(
            sealed.starts_with("v1:1:") && !sealed.contains("word"),
            "{sealed}"
        );
        assert_eq!(
            ring.open(&sealed, "sites/1/password").unwrap().expose_secret(),
            "pässword"
        );
        assert!(matches!(
            ring.open(&sealed, "sites/2/password"),
            Err(SecretsError::Refused { key: 1, .. })
        ));
        assert_ne!(
            sealed,
            ring.seal(&secret("pässword"), "sites/1/password").unwrap()
        );
    }

    #[test]
    fn creating_is_repeatable_and_private() {
        let (_dir, ring) = ring();
        assert_eq!((mode(ring.path()), mode(&ring.path().join("1"))), (0o700, 0o600));
        let sealed = ring.seal(&secret("x"), "a").unwrap();
        let again = KeyRing::create(ring.path()).unwrap();
        assert_eq!(again.open(&sealed, "a").unwrap().expose_secret(), "x");
        assert_eq!(again.ids(), [1]);
        assert_eq!(
            fs::read_dir(ring.path()).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }

    #[test]
    fn the_newest_key_seals_and_running_processes_find_it() {
        let (_dir, ring) = ring();
        let other = KeyRing::load(ring.path()).unwrap();
        let old = ring.seal(&secret("old"), "a").unwrap();
        assert_eq!(ring.rotate().unwrap(), 2);
        let new = ring.seal(&secret("new"), "a").unwrap();
        assert!(new.starts_with("v1:2:"));
        assert!(ring.is_stale(&old) && !ring.is_stale(&new));
        assert_eq!(ring.open(&old, "a").unwrap().expose_secret(), "old");
        assert_eq!(other.open(&new, "a").unwrap().expose_secret(), "new");
        assert_eq!(other.ids(), [1, 2]);
        assert_eq!(
            format!("{other:?}"),
            format!("KeyRing({}, keys [1, 2])", ring.path().display())
        );
    }

    #[test]
    fn missing_keys_name_the_directory_and_the_command() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let want = format!(
            "there is no key in {}: run 'protector-manage db sync' once on this site",
            path.display()
        );
        assert_eq!(told(KeyRing::load(&path)), want);
        fs::create_dir(&path).unwrap();
        assert_eq!(told(KeyRing::load(&path)), want);
        fs::write(&path, "").unwrap_err();
    }

    #[test]
    fn a_lost_or_foreign_key_is_told() {
        let (_dir, ring) = ring();
        ring.rotate().unwrap();
        let sealed = ring.seal(&secret("x"), "a").unwrap();
        fs::remove_file(ring.path().join("2")).unwrap();
        let lost = told(KeyRing::load(ring.path()).unwrap().open(&sealed, "a"));
        assert!(
            lost.contains("key 2") && lost.contains(&ring.path().display().to_string()),
            "{lost}"
        );
        let (_dir, foreign) = self::ring();
        foreign.rotate().unwrap();
        let refused = told(foreign.open(&sealed, "a"));
        assert!(
            refused.contains("protector-manage db sync") && refused.contains("altered or moved"),
            "{refused}"
        );
    }

    #[test]
    fn keys_that_others_can_read_are_refused() {
        let (_dir, ring) = ring();
        let key = ring.path().join("1");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(
            told(KeyRing::load(ring.path())),
            format!(
                "{0} can be read or changed by others (mode 0644): type 'chmod 600 {0}'",
                key.display()
            )
        );
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(ring.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(
            KeyRing::load(ring.path()),
            Err(SecretsError::TooOpen { .. })
        ));
        assert!(
            KeyRing::create(ring.path()).is_ok(),
            "creating closes the directory again"
        );
    }

    #[test]
    fn a_broken_key_file_is_told_without_its_content() {
        let (_dir, ring) = ring();
        for content in ["", "s3cret", "c2hvcnQ="] {
            fs::write(ring.path().join("1"), content).unwrap();
            let error = told(KeyRing::load(ring.path()));
            assert!(
                error.contains("/keys/1 holds no key") && !error.contains("s3cret"),
                "{error}"
            );
        }
    }

    #[test]
    fn any_changed_letter_is_noticed() {
        let (_dir, ring) = ring();
        let sealed = ring.seal(&secret("secret"), "a").unwrap();
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(
                ring.open(&String::from_utf8(bytes).unwrap(), "a").is_err(),
                "letter {at}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_text_comes_back(text in "(?s).{0,200}", aad in "(?s).{0,40}") {
            let (_dir, ring) = ring();
            let sealed = ring.seal(&secret(&text), &aad).unwrap();
            let opened = ring.open(&sealed, &aad).unwrap();
            prop_assert_eq!(opened.expose_secret(), text);
        }

        #[test]
        fn opening_nonsense_never_panics(text in "(v1:)?(1:)?[ -~]{0,80}") {
            let (_dir, ring) = ring();
            prop_assert!(ring.open(&text, "").is_err());
        }
    }
}
