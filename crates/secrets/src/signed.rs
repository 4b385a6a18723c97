//! A site's signature under what it says to the other one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, VerifyingKey};

use crate::{SecretsError, SiteKeys};

impl SiteKeys {
    /// Ed25519 over the words, in base64.
    pub fn sign(&self, words: &str) -> String {
        STANDARD.encode(self.signing().sign(words.as_bytes()).to_bytes())
    }
}

/// That the owner of the public key signed exactly these words.
pub fn verify(public_key: &str, words: &str, signature: &str) -> Result<(), SecretsError> {
    let key = public(public_key)?;
    let bytes = STANDARD
        .decode(signature.trim())
        .map_err(|_| SecretsError::NotSigned)?;
    let signature = Signature::from_slice(&bytes).map_err(|_| SecretsError::NotSigned)?;
    // Strict: for a key and a message there is one signature, and weak keys sign nothing.
    key.verify_strict(words.as_bytes(), &signature)
        .map_err(|_| SecretsError::NotSigned)
}

/// A public key as a site shows it.
pub(crate) fn public(text: &str) -> Result<VerifyingKey, SecretsError> {
    let bytes: [u8; 32] = STANDARD
        .decode(text.trim())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(SecretsError::NoPublicKey)?;
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| SecretsError::NoPublicKey)?;
    if key.is_weak() {
        return Err(SecretsError::NoPublicKey);
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::tests::keys;

    #[test]
    fn only_its_own_words_by_its_own_key_are_signed() {
        let ((_a, mine), (_b, other)) = (keys(), keys());
        let signature = mine.sign("words");
        verify(&mine.public_key_base64(), "words", &signature).unwrap();
        assert!(verify(&mine.public_key_base64(), "words.", &signature).is_err());
        assert!(verify(&other.public_key_base64(), "words", &signature).is_err());
        assert!(verify(&mine.public_key_base64(), "words", &other.sign("words")).is_err());
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let (_dir, mine) = keys();
        let good = mine.sign("words");
        for signature in ["", "no base64!", "c2hvcnQ=", &good[4..], &format!("{good}AAAA")] {
            let verified = verify(&mine.public_key_base64(), "words", signature);
            assert!(matches!(verified, Err(SecretsError::NotSigned)), "{signature}");
        }
        assert!(matches!(
            verify("", "words", &good),
            Err(SecretsError::NoPublicKey)
        ));
    }

    #[test]
    fn the_signature_is_that_of_rfc_8032() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("site.key");
        std::fs::write(&path, "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let keys = SiteKeys::load(&path).unwrap();
        assert_eq!(
            keys.sign("r"),
            "kqAJqfDUyrhyDoILX2QlQKKye1QWUD+Ps3YiI+vbadoIWsHkPhWZbkWPNhPQ8R2MOHsurrQwKu6wDSkWErsMAA=="
        );
    }
}
