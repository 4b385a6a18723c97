//! Lists: filtered, sorted by a known column, cut at a marker.

use protector_ports::StoreError;
use protector_ports::store::{Page, StoreResult};

use crate::database::{Database, Query, Row, query, unavailable};

/// No list is longer, whatever is asked for.
const MOST: usize = 1000;

/// An order that is always total: the wanted column, then the id.
pub struct Sorted<'a> {
    key: &'static str,
    page: &'a Page,
}

impl<'a> Sorted<'a> {
    pub fn new(page: &'a Page, known: &[&'static str]) -> StoreResult<Sorted<'a>> {
        let wanted = page.sort_key.as_deref().unwrap_or("created_at");
        match known.iter().find(|key| **key == wanted) {
            Some(key) => Ok(Sorted { key, page }),
            None => Err(StoreError::Missing(format!("the sort key '{wanted}'"))),
        }
    }

    /// Finishes the query, whose conditions stand, and runs it.
    pub async fn fetch(
        &self,
        database: &Database,
        table: &'static str,
        mut list: Query,
    ) -> StoreResult<Vec<Row>> {
        let mut connection = database.read().await?;
        let (key, order, beyond) = match self.page.ascending {
            true => (self.key, "ASC", ">"),
            false => (self.key, "DESC", "<"),
        };
        if let Some(marker) = &self.page.marker {
            let found = query(format!("SELECT 1 FROM {table} WHERE id = ?"))
                .bind(marker)
                .fetch_optional(&mut connection)
                .await
                .map_err(unavailable)?;
            if found.is_none() {
                return Err(StoreError::Missing(format!(
                    "the marker '{}'",
                    marker.chars().take(80).collect::<String>()
                )));
            }
            list.push(&format!(
                " AND ({key}, id) {beyond} (SELECT {key}, id FROM {table} WHERE id = "
            ));
            list.push_bind(marker).push(")");
        }
        list.push(&format!(" ORDER BY {key} {order}, id {order} LIMIT "));
        let limit = self.page.limit.unwrap_or(MOST).min(MOST);
        list.push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
        list.fetch_all(&mut connection).await.map_err(unavailable)
    }
}

pub fn equal(list: &mut Query, column: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        list.push(&format!(" AND {column} = ")).push_bind(value);
    }
}
