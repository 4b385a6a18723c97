//! A site's own key pair (Ed25519): the public half is part of the site's identity, the private half stays here.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use secrecy::ExposeSecret;

use crate::SecretsError;
use crate::files;

pub struct SiteKeys {
    signing: SigningKey,
}

impl std::fmt::Debug for SiteKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SiteKeys({})", self.public_key_base64())
    }
}

impl SiteKeys {
    /// Makes the pair and keeps its private half in a file, which must not exist: a site's identity never changes.
    pub fn generate(path: &Path) -> Result<Self, SecretsError> {
        if let Some(dir) = path.parent().filter(|dir| !dir.exists()) {
            files::private_dir(dir)?;
        }
        let seed = files::generate()?;
        files::write(path, &seed)?;
        Ok(SiteKeys {
            signing: SigningKey::from_bytes(seed.expose_secret()),
        })
    }

    pub fn load(path: &Path) -> Result<Self, SecretsError> {
        let seed = files::read(path)?;
        Ok(SiteKeys {
            signing: SigningKey::from_bytes(seed.expose_secret()),
        })
    }

    /// The pair of this site, made if it isn't there yet; also when two processes come at once.
    pub fn load_or_generate(path: &Path) -> Result<Self, SecretsError> {
        match Self::generate(path) {
            Err(SecretsError::Exists { .. }) => Self::load(path),
            other => other,
        }
    }

    pub(crate) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    pub fn public_key_base64(&self) -> String {
        STANDARD.encode(self.signing.verifying_key().as_bytes())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A new pair, and the directory that it lies in.
    pub(crate) fn keys() -> (tempfile::TempDir, SiteKeys) {
        let dir = tempfile::tempdir().unwrap();
        let keys = SiteKeys::generate(&dir.path().join("site.key")).unwrap();
        (dir, keys)
    }

    #[test]
    fn a_pair_is_made_once_and_loaded_ever_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/site.key");
        assert!(matches!(
            SiteKeys::load(&path),
            Err(SecretsError::Unreadable { .. })
        ));
        let made = SiteKeys::generate(&path).unwrap();
        assert_eq!(STANDARD.decode(made.public_key_base64()).unwrap().len(), 32);
        assert!(matches!(
            SiteKeys::generate(&path),
            Err(SecretsError::Exists { .. })
        ));
        for keys in [
            SiteKeys::load(&path).unwrap(),
            SiteKeys::load_or_generate(&path).unwrap(),
        ] {
            assert_eq!(keys.public_key_base64(), made.public_key_base64());
        }
        let seed = std::fs::read_to_string(&path).unwrap();
        assert!(!format!("{made:?}").contains(seed.trim()));
    }

    #[test]
    fn the_public_key_is_that_of_rfc_8032() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("site.key");
        let seed = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
        std::fs::write(&path, seed).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let public = SiteKeys::load(&path).unwrap().public_key_base64();
        assert_eq!(public, "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    }

    #[test]
    fn the_file_lies_beside_the_key_ring_without_disturbing_it() {
        let dir = tempfile::tempdir().unwrap();
        let ring = crate::KeyRing::create(dir.path()).unwrap();
        SiteKeys::generate(&dir.path().join("site.key")).unwrap();
        assert_eq!(crate::KeyRing::load(ring.path()).unwrap().ids(), [1]);
    }
}
