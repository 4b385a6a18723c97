//! What was last seen of a group's servers, sealed.

use protector_domain::GroupId;
use protector_ports::store::{FactsAbout, RecordedFacts, StoreResult};

use crate::columns::{id, json, json_text, time, time_text};
use crate::database::{Row, query, unavailable};
use crate::store::SqlStore;

fn place(group: GroupId) -> String {
    format!("group_facts/{group}/facts")
}

impl SqlStore {
    pub(crate) async fn facts_keep(&self, group: GroupId, facts: &RecordedFacts) -> StoreResult<()> {
        let sealed = self.seal(&facts.facts, &place(group))?;
        query(
            "REPLACE INTO group_facts (protection_group_id, site_id, read_at, servers, facts) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(group.to_string())
        .bind(facts.about.site.to_string())
        .bind(time_text(facts.about.read_at))
        .bind(json_text(&facts.about.servers)?)
        .bind(sealed)
        .execute(&mut self.database.write().await?)
        .await
        .map_err(unavailable)?;
        Ok(())
    }

    pub(crate) async fn facts_get(&self, group: GroupId) -> StoreResult<Option<RecordedFacts>> {
        let row =
            query("SELECT site_id, read_at, servers, facts FROM group_facts WHERE protection_group_id = ?")
                .bind(group.to_string())
                .fetch_optional(&mut self.database.read().await?)
                .await
                .map_err(unavailable)?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(RecordedFacts {
            about: about(&row)?,
            facts: self.open(&row.text("facts")?, &place(group))?,
        }))
    }

    pub(crate) async fn facts_about_get(&self, group: GroupId) -> StoreResult<Option<FactsAbout>> {
        let row = query("SELECT site_id, read_at, servers FROM group_facts WHERE protection_group_id = ?")
            .bind(group.to_string())
            .fetch_optional(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        row.as_ref().map(about).transpose()
    }
}

fn about(row: &Row) -> StoreResult<FactsAbout> {
    Ok(FactsAbout {
        site: id(&row.text("site_id")?)?,
        read_at: time(&row.text("read_at")?)?,
        servers: json("the servers of facts", &row.text("servers")?)?,
    })
}
