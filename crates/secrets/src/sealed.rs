//! Secrets for one other site: sealed to its public key, so that whoever carries them can't read them.
//!
//! The form is libsodium's sealed box over the X25519 keys that belong to the sites' Ed25519 keys. The context (say
//! `bundle/<group>`) is sealed in, so a sealed text doesn't open anywhere else. A sealed box doesn't tell who made
//! it: that is the business of the signature over what it travels in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto_box::aead::OsRng;
use crypto_box::{PublicKey, SecretKey};
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretString};

use crate::signed::public;
use crate::{SecretsError, SiteKeys};

/// Between context and secret; it can't be part of a context.
const SEPARATOR: u8 = 0;

/// Seals a text for the site that has this public key.
pub fn seal_for(public_key: &str, plain: &SecretString, context: &str) -> Result<String, SecretsError> {
    let key = public(public_key)?;
    let mut message = context.as_bytes().to_vec();
    message.push(SEPARATOR);
    message.extend_from_slice(plain.expose_secret().as_bytes());
    let sealed = PublicKey::from_bytes(key.to_montgomery().to_bytes()).seal(&mut OsRng, &message);
    message.zeroize();
    Ok(STANDARD.encode(sealed.map_err(|_| SecretsError::Seal)?))
}

impl SiteKeys {
    /// Opens what was sealed for this site in the same context.
    pub fn open(&self, sealed: &str, context: &str) -> Result<SecretString, SecretsError> {
        let bytes = STANDARD.decode(sealed).map_err(|_| SecretsError::NotSealed)?;
        let key = SecretKey::from_bytes(self.signing().to_scalar_bytes());
        let mut message = key.unseal(&bytes).map_err(|_| SecretsError::NotForThisSite)?;
        let opened = message
            .strip_prefix(context.as_bytes())
            .and_then(|rest| rest.strip_prefix(&[SEPARATOR]))
            .and_then(|secret| std::str::from_utf8(secret).ok())
            .map(SecretString::from)
            .ok_or(SecretsError::NotForThisSite);
        message.zeroize();
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::tests::keys;

    #[test]
    fn only_the_named_site_opens_it_and_only_in_its_context() {
        let ((_a, mine), (_b, other)) = (keys(), keys());
        let secret = SecretString::from("a-token");
        let sealed = seal_for(&mine.public_key_base64(), &secret, "bundle/1").unwrap();
        assert!(!sealed.contains("a-token"));
        let opened = mine.open(&sealed, "bundle/1").unwrap();
        assert_eq!(opened.expose_secret(), "a-token");
        assert!(matches!(
            other.open(&sealed, "bundle/1"),
            Err(SecretsError::NotForThisSite)
        ));
        for context in ["bundle/2", "bundle/", "bundle/1\0a", ""] {
            assert!(mine.open(&sealed, context).is_err(), "{context:?}");
        }
    }

    #[test]
    fn what_was_altered_does_not_open() {
        let (_a, mine) = keys();
        let sealed = seal_for(&mine.public_key_base64(), &SecretString::from("s"), "c").unwrap();
        let mut bytes = STANDARD.decode(&sealed).unwrap();
        for index in [0, 40, bytes.len() - 1] {
            bytes[index] ^= 1;
            assert!(mine.open(&STANDARD.encode(&bytes), "c").is_err());
            bytes[index] ^= 1;
        }
        assert!(mine.open("no base64!", "c").is_err());
        assert!(mine.open("", "c").is_err());
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        // The last one is a point of small order, for which everybody knows the secret.
        let weak = STANDARD.encode([
            1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ]);
        for key in ["", "????", "c2hvcnQ=", &weak] {
            let sealed = seal_for(key, &SecretString::from("s"), "c");
            assert!(matches!(sealed, Err(SecretsError::NoPublicKey)), "{key}");
        }
    }
}
