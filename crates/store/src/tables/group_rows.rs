//! The rows that make a group's members, volumes, policy and consistency group queryable.
//!
//! They are rewritten with every write of the group, in its transaction. Only the policy's row is updated in
//! place, because it keeps the sealed array tokens, which no document holds.

use protector_domain::{ArraySide, Group, Member, Policy, SiteId};
use protector_ports::{StoreError, store::StoreResult};

use crate::columns::number;
use crate::database::{Connection, Query, query, taken, unavailable};

pub async fn write(connection: &mut Connection, group: &Group, local: SiteId) -> StoreResult<()> {
    refuse_shared_servers(connection, group, local).await?;
    consistency_group(connection, group, local).await?;
    members(connection, group).await?;
    match &group.document.policy {
        Some(policy) => self::policy(connection, group, policy).await,
        None => {
            query("DELETE FROM replication_policies WHERE protection_group_id = ?")
                .bind(group.id().to_string())
                .execute(connection)
                .await
                .map_err(unavailable)?;
            Ok(())
        }
    }
}

/// A server that runs here is protected by one group only, whatever two requests asked for at once.
async fn refuse_shared_servers(connection: &mut Connection, group: &Group, local: SiteId) -> StoreResult<()> {
    const OTHERS: &str = "SELECT 1 FROM pg_members m JOIN protection_groups g ON g.id = m.protection_group_id \
         WHERE m.instance_id = ? AND g.id <> ? AND g.current_primary_site_id = ?";
    if group.document.current_primary_site_id != local {
        return Ok(());
    }
    for member in &group.document.members {
        let other = query(OTHERS)
            .bind(member.instance_id.as_str())
            .bind(group.id().to_string())
            .bind(local.to_string())
            .fetch_optional(&mut *connection)
            .await
            .map_err(unavailable)?;
        if other.is_some() {
            let message = format!(
                "server {} as a member of another protection group",
                member.instance_id
            );
            return Err(StoreError::Exists(message));
        }
    }
    Ok(())
}

async fn consistency_group(connection: &mut Connection, group: &Group, local: SiteId) -> StoreResult<()> {
    const WRITE: &str = "INSERT INTO consistency_groups (id, protection_group_id, volume_type_name, backend_name, \
         primary_cg_id, secondary_cg_id, status, volume_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    query("DELETE FROM consistency_groups WHERE protection_group_id = ?")
        .bind(group.id().to_string())
        .execute(&mut *connection)
        .await
        .map_err(unavailable)?;
    let document = &group.document;
    let cg = &group.consistency_group;
    query(WRITE)
        .bind(cg.id.to_string())
        .bind(group.id().to_string())
        .bind(
            document
                .volume_types
                .get(&local)
                .map(|volume_type| volume_type.name.as_str()),
        )
        .bind(&cg.backend_name)
        .bind(
            cg.volume_groups
                .get(&document.primary_site.id)
                .map(|id| id.as_str()),
        )
        .bind(
            cg.volume_groups
                .get(&document.secondary_site.id)
                .map(|id| id.as_str()),
        )
        .bind(cg.status.as_str())
        .bind(number(group.volume_count())?)
        .execute(connection)
        .await
        .map_err(|error| match taken(&error) {
            Some(_) => StoreError::Exists(format!("consistency group {}", cg.id)),
            None => unavailable(error),
        })?;
    Ok(())
}

async fn members(connection: &mut Connection, group: &Group) -> StoreResult<()> {
    const WRITE: &str = "INSERT INTO pg_members (id, protection_group_id, position, instance_id, instance_name, status, \
         error_message, volume_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    query("DELETE FROM pg_members WHERE protection_group_id = ?")
        .bind(group.id().to_string())
        .execute(&mut *connection)
        .await
        .map_err(unavailable)?;
    for (position, member) in group.document.members.iter().enumerate() {
        let reason = group
            .member_states
            .get(&member.id)
            .and_then(|state| state.reason.as_deref());
        query(WRITE)
            .bind(member.id.to_string())
            .bind(group.id().to_string())
            .bind(number(position)?)
            .bind(member.instance_id.as_str())
            .bind(&member.instance_name)
            .bind(group.member_status(member.id).as_str())
            .bind(reason)
            .bind(number(member.volumes.len())?)
            .execute(&mut *connection)
            .await
            .map_err(|error| match taken(&error) {
                Some(_) => StoreError::Exists(format!("member {}", member.id)),
                None => unavailable(error),
            })?;
        volumes(connection, group, member).await?;
    }
    Ok(())
}

async fn volumes(connection: &mut Connection, group: &Group, member: &Member) -> StoreResult<()> {
    const WRITE: &str = "INSERT INTO cg_volumes (consistency_group_id, member_id, position, volume_id, array_name, \
         device, boot, size_gb) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    for (position, volume) in member.volumes.iter().enumerate() {
        query(WRITE)
            .bind(group.consistency_group.id.to_string())
            .bind(member.id.to_string())
            .bind(number(position)?)
            .bind(volume.volume_id.as_str())
            .bind(&volume.array_name)
            .bind(&volume.device)
            .bind(volume.boot)
            .bind(number(volume.size_gb)?)
            .execute(&mut *connection)
            .await
            .map_err(unavailable)?;
    }
    Ok(())
}

/// A token is for one array of one policy: another policy, site or URL drops it, so that nobody can have a
/// token sent to an address of his choice. Where a secret of the site's Barbican is named instead, no token stays here.
async fn policy(connection: &mut Connection, group: &Group, policy: &Policy) -> StoreResult<()> {
    const OTHERS: &str = "DELETE FROM replication_policies WHERE protection_group_id = ? AND id <> ?";
    // The tokens come first: MariaDB sets one column after the other, and they are measured by what was there.
    const UPDATE: &str = "UPDATE replication_policies SET \
         primary_fa_api_token = CASE WHEN ? = 1 AND primary_site_id = ? AND primary_fa_url = ? \
             THEN primary_fa_api_token END, \
         secondary_fa_api_token = CASE WHEN ? = 1 AND secondary_site_id = ? AND secondary_fa_url = ? \
             THEN secondary_fa_api_token END, \
         primary_site_id = ?, primary_fa_url = ?, secondary_site_id = ?, secondary_fa_url = ?, pure_pg_name = ?, \
         replication_interval = ?, rpo_minutes = ?, status = ? WHERE id = ? AND protection_group_id = ?";
    const INSERT: &str = "INSERT INTO replication_policies (primary_site_id, primary_fa_url, secondary_site_id, \
         secondary_fa_url, pure_pg_name, replication_interval, rpo_minutes, status, id, protection_group_id) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let ArraySide {
        site_id: primary,
        url: primary_url,
        token_secret: primary_secret,
    } = &policy.primary;
    let ArraySide {
        site_id: secondary,
        url: secondary_url,
        token_secret: secondary_secret,
    } = &policy.secondary;
    query(OTHERS)
        .bind(group.id().to_string())
        .bind(policy.id.to_string())
        .execute(&mut *connection)
        .await
        .map_err(unavailable)?;
    let columns = |query: Query| -> StoreResult<Query> {
        Ok(query
            .bind(primary.to_string())
            .bind(primary_url)
            .bind(secondary.to_string())
            .bind(secondary_url)
            .bind(&policy.pure_pg_name)
            .bind(policy.replication_interval_seconds.map(number).transpose()?)
            .bind(policy.rpo_minutes.map(number).transpose()?)
            .bind(group.policy_status.map(|status| status.as_str()))
            .bind(policy.id.to_string())
            .bind(group.id().to_string()))
    };
    let update = query(UPDATE)
        .bind(primary_secret.is_none())
        .bind(primary.to_string())
        .bind(primary_url)
        .bind(secondary_secret.is_none())
        .bind(secondary.to_string())
        .bind(secondary_url);
    let there = columns(update)?.execute(connection).await.map_err(unavailable)?;
    if there == 0 {
        let insert = columns(query(INSERT))?.execute(connection).await;
        insert.map_err(|error| match taken(&error) {
            Some(_) => StoreError::Exists(format!("policy {}", policy.id)),
            None => unavailable(error),
        })?;
    }
    Ok(())
}
