//! Who says it: this site's signature under what clients carry to the other one, and the other's under what they bring.

use protector_domain::{Signed, SiteId};

use crate::Service;
use crate::error::{Error, Result};

impl Service {
    pub(crate) fn signed<T: Signed>(&self, mut said: T) -> Result<T> {
        let words = words(&said)?;
        *said.signature_mut() = Some(self.peers.sign(&words));
        Ok(said)
    }

    /// That a registered site said exactly this. Clients carry it, and need not be honest.
    pub(crate) async fn check_signed<T: Signed>(&self, by: SiteId, said: &T) -> Result<()> {
        let site = self.site(by).await?;
        let (what, name) = (T::WHAT, &site.name);
        let Some(public_key) = &site.public_key else {
            return Err(Error::conflict(format!(
                "Site '{name}' is registered here without its public key, so it can't be told whether the {what} is its own: give \
                 it with `openstack protector site set {name} --public-key KEY`. That site's own API shows it at its root, `GET /`."
            )));
        };
        let Some(signature) = said.signature() else {
            return Err(Error::Invalid(format!(
                "The {what} is not signed by site '{name}', so nothing was changed: a site of this release signs what it says."
            )));
        };
        self.peers
            .verify(public_key, &words(said)?, signature)
            .map_err(|error| {
                Error::Invalid(format!(
                    "The {what} is not what site '{name}' said, and nothing was changed: {error}. If that site has new keys, \
                     register its present public key here: `openstack protector site set {name} --public-key KEY`."
                ))
            })
    }
}

fn words<T: Signed>(said: &T) -> Result<String> {
    said.words().map_err(|error| Error::Internal(Box::new(error)))
}
