//! What each version of the schema adds, for either database.

use crate::database::Kind;

pub struct Migration {
    pub version: &'static str,
    sqlite: &'static str,
    mariadb: &'static str,
}

/// In order; numbers never change once released.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: "0001",
        sqlite: include_str!("../../migrations/sqlite/0001_first.sql"),
        mariadb: include_str!("../../migrations/mariadb/0001_first.sql"),
    },
    Migration {
        version: "0002",
        sqlite: include_str!("../../migrations/sqlite/0002_group_facts.sql"),
        mariadb: include_str!("../../migrations/mariadb/0002_group_facts.sql"),
    },
    Migration {
        version: "0003",
        sqlite: include_str!("../../migrations/sqlite/0003_fences.sql"),
        mariadb: include_str!("../../migrations/mariadb/0003_fences.sql"),
    },
    Migration {
        version: "0004",
        sqlite: include_str!("../../migrations/sqlite/0004_deleted_groups.sql"),
        mariadb: include_str!("../../migrations/mariadb/0004_deleted_groups.sql"),
    },
    Migration {
        version: "0005",
        sqlite: include_str!("../../migrations/sqlite/0005_lost_edits.sql"),
        mariadb: include_str!("../../migrations/mariadb/0005_lost_edits.sql"),
    },
];

pub fn newest() -> &'static str {
    MIGRATIONS.last().map_or("0000", |migration| migration.version)
}

impl Migration {
    /// One by one; comments have lines of their own, and no statement has a semicolon within.
    pub fn statements(&self, kind: Kind) -> impl Iterator<Item = String> {
        let script = match kind {
            Kind::Sqlite => self.sqlite,
            Kind::MariaDb => self.mariadb,
        };
        let words: Vec<&str> = script.lines().filter(|line| !line.starts_with("--")).collect();
        let statements: Vec<String> = words
            .join("\n")
            .split(';')
            .map(|statement| statement.trim().to_owned())
            .filter(|statement| !statement.is_empty())
            .collect();
        statements.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rise_strictly() {
        assert!(
            MIGRATIONS
                .windows(2)
                .all(|pair| pair[0].version < pair[1].version)
        );
    }

    #[test]
    fn scripts_are_statements_that_may_be_repeated() {
        for migration in MIGRATIONS {
            for kind in [Kind::Sqlite, Kind::MariaDb] {
                let statements: Vec<String> = migration.statements(kind).collect();
                assert!(!statements.is_empty());
                for statement in statements {
                    assert!(statement.contains(" IF NOT EXISTS "), "{statement}");
                }
            }
        }
    }
}
