//! The sealed part of a bundle: what the other site needs to act alone one day, and no client may read.

use std::collections::BTreeMap;

use protector_domain::{Bundle, Document, GroupId, SiteId, Stamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::Service;
use crate::error::{Error, Result};

/// What is sealed, as JSON.
#[derive(Deserialize)]
struct Secrets {
    array_tokens: BTreeMap<SiteId, SecretString>,
}

/// A sealed part belongs to one version of one group, so that an old one can't be put into a newer bundle.
fn context(group: GroupId, stamp: Stamp) -> String {
    format!("bundle/{group}/{}/{}", stamp.epoch, stamp.version)
}

impl Service {
    /// The array tokens that this site holds, sealed for the group's other site. `None` where there is none, or
    /// where that site's key isn't known.
    pub(crate) async fn sealed_tokens(&self, document: &Document) -> Result<Option<String>> {
        let Some(policy) = &document.policy else {
            return Ok(None);
        };
        let peer = document.peer_of(self.local_site());
        let Some(public_key) = self.store.site(peer.id).await?.and_then(|site| site.public_key) else {
            return Ok(None);
        };
        let mut held = BTreeMap::new();
        for side in [&policy.primary, &policy.secondary] {
            if let Some(token) = self.store.array_token(document.group_id, side.site_id).await? {
                held.insert(side.site_id, token);
            }
        }
        if held.is_empty() {
            return Ok(None);
        }
        let tokens: BTreeMap<SiteId, &str> = held
            .iter()
            .map(|(site, token)| (*site, token.expose_secret()))
            .collect();
        let plain = SecretString::from(serde_json::json!({ "array_tokens": tokens }).to_string());
        self.peers
            .seal_for(&public_key, &plain, &context(document.group_id, document.stamp))
            .map(Some)
            .map_err(|error| {
                Error::conflict(format!(
                    "The array tokens can't be sealed for site '{}', so the bundle is not made: {error}.",
                    peer.name
                ))
            })
    }

    /// The array tokens that came with a bundle, as far as its policy has arrays for them. What was wrong inside is
    /// not said: a parser's words would repeat it.
    pub(crate) fn brought_tokens(
        &self,
        bundle: &Bundle,
        document: &Document,
    ) -> Result<Vec<(SiteId, SecretString)>> {
        let Some(sealed) = &bundle.sealed else {
            return Ok(Vec::new());
        };
        let origin = document
            .site(bundle.origin_site_id)
            .map_or("the other site", |site| site.name.as_str());
        let plain = self
            .peers
            .open(sealed, &context(document.group_id, document.stamp))
            .map_err(|error| {
                Error::Invalid(format!(
                    "The sealed part of the bundle doesn't open here, and nothing was changed: {error}. If this site has new \
                     keys, register it with its present public key on site '{origin}'."
                ))
            })?;
        let secrets: Secrets = serde_json::from_str(plain.expose_secret()).map_err(|_| unreadable())?;
        let empty = |token: &SecretString| token.expose_secret().trim().is_empty();
        if secrets.array_tokens.values().any(empty) {
            return Err(unreadable());
        }
        let mut tokens: Vec<_> = secrets.array_tokens.into_iter().collect();
        tokens.retain(|(site, _)| {
            let policy = document.policy.as_ref();
            // Where the policy names a secret, the token is kept there and nowhere else.
            policy
                .and_then(|policy| policy.side(*site))
                .is_some_and(|side| side.token_secret.is_none())
        });
        Ok(tokens)
    }
}

fn unreadable() -> Error {
    Error::Invalid(
        "The sealed part of the bundle opens, but it isn't one that this release reads: nothing was changed."
            .into(),
    )
}
