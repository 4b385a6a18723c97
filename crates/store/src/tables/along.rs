//! What a change of a group takes along in its transaction.

use protector_domain::{Group, GroupId, SiteId};
use protector_ports::StoreError;
use protector_ports::store::{Along, StoreResult};
use protector_saga::Claim;
use secrecy::SecretString;

use super::{operations, queue_up, sagas, sync};
use crate::columns::time_text;
use crate::database::{Connection, query, unavailable};
use crate::store::SqlStore;

pub enum Change<'a> {
    Written(&'a Group),
    Deleted,
}

/// What must hold before anything is written: the claim, and the nonce, which is used up. Until the end of the
/// transaction no other change of a group comes between.
pub async fn before(connection: &mut Connection, group: GroupId, along: &Along<'_>) -> StoreResult<()> {
    queue_up(connection).await?;
    if let Some(claim) = along.claim {
        sagas::require(connection, claim).await?;
    }
    match along.nonce {
        Some(nonce) => use_nonce(connection, group, nonce).await,
        None => Ok(()),
    }
}

async fn use_nonce(connection: &mut Connection, group: GroupId, nonce: &str) -> StoreResult<()> {
    let now = connection.now().await?;
    let done =
        query("DELETE FROM sync_nonces WHERE value = ? AND protection_group_id = ? AND expires_at > ?")
            .bind(nonce)
            .bind(group.to_string())
            .bind(time_text(now))
            .execute(connection)
            .await
            .map_err(unavailable)?;
    if done == 0 { Err(StoreError::Nonce) } else { Ok(()) }
}

/// A group goes only when nothing works on it but the work that removes it.
pub async fn refuse_other_saga(
    connection: &mut Connection,
    group: GroupId,
    claim: Option<&Claim>,
) -> StoreResult<()> {
    match sagas::live(connection, &group.to_string()).await? {
        Some(saga) if claim.is_none_or(|claim| claim.saga != saga.id) => {
            Err(StoreError::Busy(format!("{} {}", saga.kind, saga.id)))
        }
        _ => Ok(()),
    }
}

fn trust_place(group: GroupId, site: SiteId) -> String {
    format!("group_trusts/{group}:{site}/trust_id")
}

/// The two sides of a policy differ in the names of their columns only.
#[derive(Clone, Copy)]
enum Side {
    Primary,
    Secondary,
}

impl Side {
    fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }

    fn place(self, policy: &str) -> String {
        format!("replication_policies/{policy}/{}_fa_api_token", self.word())
    }
}

impl SqlStore {
    /// Writes what comes along; the group itself has been written or removed.
    pub(crate) async fn write_along(
        &self,
        connection: &mut Connection,
        change: Change<'_>,
        along: &Along<'_>,
    ) -> StoreResult<()> {
        if let Some(saga) = &along.saga {
            sagas::insert(connection, saga).await?;
        }
        if let Some(operation) = along.operation {
            operations::write(connection, operation).await?;
        }
        if let Some(entry) = &along.entry {
            sync::log(connection, entry).await?;
        }
        if let Change::Written(group) = change {
            for (site, trust) in &along.trusts {
                self.keep_trust(connection, group.id(), *site, trust).await?;
            }
            for (site, token) in &along.array_tokens {
                self.keep_token(connection, group, *site, token).await?;
            }
        }
        Ok(())
    }

    async fn keep_trust(
        &self,
        connection: &mut Connection,
        group: GroupId,
        site: SiteId,
        trust: &SecretString,
    ) -> StoreResult<()> {
        let sealed = self.seal(trust, &trust_place(group, site))?;
        query("REPLACE INTO group_trusts (protection_group_id, site_id, trust_id) VALUES (?, ?, ?)")
            .bind(group.to_string())
            .bind(site.to_string())
            .bind(sealed)
            .execute(connection)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    async fn keep_token(
        &self,
        connection: &mut Connection,
        group: &Group,
        site: SiteId,
        token: &SecretString,
    ) -> StoreResult<()> {
        let policy = group.document.policy.as_ref();
        let side = match policy {
            Some(policy) if policy.primary.site_id == site => Some((policy, Side::Primary)),
            Some(policy) if policy.secondary.site_id == site => Some((policy, Side::Secondary)),
            _ => None,
        };
        let Some((policy, side)) = side else {
            let what = format!(
                "an array of site {site} in the policy of protection group '{}'",
                group.document.name
            );
            return Err(StoreError::Missing(what));
        };
        let sealed = self.seal(token, &side.place(&policy.id.to_string()))?;
        let update = format!(
            "UPDATE replication_policies SET {}_fa_api_token = ? WHERE id = ?",
            side.word()
        );
        query(update)
            .bind(sealed)
            .bind(policy.id.to_string())
            .execute(connection)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    pub(crate) async fn trust_get(&self, group: GroupId, site: SiteId) -> StoreResult<Option<SecretString>> {
        let row = query("SELECT trust_id FROM group_trusts WHERE protection_group_id = ? AND site_id = ?")
            .bind(group.to_string())
            .bind(site.to_string())
            .fetch_optional(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        let Some(row) = row else { return Ok(None) };
        self.open(&row.text("trust_id")?, &trust_place(group, site))
            .map(Some)
    }

    pub(crate) async fn token_get(&self, group: GroupId, site: SiteId) -> StoreResult<Option<SecretString>> {
        let row = query("SELECT * FROM replication_policies WHERE protection_group_id = ?")
            .bind(group.to_string())
            .fetch_optional(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        let Some(row) = row else { return Ok(None) };
        let policy = row.text("id")?;
        for side in [Side::Primary, Side::Secondary] {
            if row.text(&format!("{}_site_id", side.word()))? == site.to_string() {
                let sealed = row.maybe(&format!("{}_fa_api_token", side.word()))?;
                return sealed
                    .map(|sealed| self.open(&sealed, &side.place(&policy)))
                    .transpose();
            }
        }
        Ok(None)
    }
}
