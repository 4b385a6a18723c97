//! A row of either database; columns are read with errors of the port.

use protector_ports::store::StoreResult;
use sqlx::Row as _;
use sqlx::mysql::MySqlRow;
use sqlx::sqlite::SqliteRow;

use super::unavailable;

pub enum Row {
    Sqlite(SqliteRow),
    MariaDb(MySqlRow),
}

macro_rules! column {
    ($row:expr, $column:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($column),
            Row::MariaDb(row) => row.try_get($column),
        }
        .map_err(unavailable)
    };
}

impl Row {
    pub fn text(&self, column: &str) -> StoreResult<String> {
        column!(self, column)
    }

    pub fn maybe(&self, column: &str) -> StoreResult<Option<String>> {
        column!(self, column)
    }

    pub fn number(&self, column: &str) -> StoreResult<i64> {
        column!(self, column)
    }

    pub fn maybe_number(&self, column: &str) -> StoreResult<Option<i64>> {
        column!(self, column)
    }
}
