//! Lists: filtered, sorted by a known column, cut at a marker.

use protector_ports::StoreError;
use protector_ports::store::{Page, StoreResult};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite};

use super::unavailable;

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
        pool: &SqlitePool,
        table: &'static str,
        mut query: QueryBuilder<Sqlite>,
    ) -> StoreResult<Vec<SqliteRow>> {
        let (key, order, beyond) = match self.page.ascending {
            true => (self.key, "ASC", ">"),
            false => (self.key, "DESC", "<"),
        };
        if let Some(marker) = &self.page.marker {
            let found = sqlx::query(AssertSqlSafe(format!("SELECT 1 FROM {table} WHERE id = ?")))
                .bind(marker)
                .fetch_optional(pool)
                .await
                .map_err(unavailable)?;
            if found.is_none() {
                return Err(StoreError::Missing(format!(
                    "the marker '{}'",
                    marker.chars().take(80).collect::<String>()
                )));
            }
            query.push(format!(
                " AND ({key}, id) {beyond} (SELECT {key}, id FROM {table} WHERE id = "
            ));
            query.push_bind(marker.clone()).push(")");
        }
        query.push(format!(" ORDER BY {key} {order}, id {order} LIMIT "));
        let limit = self.page.limit.unwrap_or(MOST).min(MOST);
        query.push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
        query.build().fetch_all(pool).await.map_err(unavailable)
    }
}

pub fn equal(query: &mut QueryBuilder<Sqlite>, column: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        query
            .push(format!(" AND {column} = "))
            .push_bind(value.to_owned());
    }
}
