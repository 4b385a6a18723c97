//! A site's SQLite database, as an operator looks into it: by Python's own library.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

/// Runs one statement and answers its rows as JSON.
const ASK: &str = r"
import json, sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=20)
with database:
    rows = database.execute(sys.argv[2]).fetchall()
print(json.dumps(rows))
database.close()
";

/// Puts what a database holds into one that has the schema of the first release, and that one in its place.
const AS_FIRST: &str = r"
import os, sqlite3, sys
path, script = sys.argv[1:]
old = sqlite3.connect(path + '.first')
old.executescript(script)
old.execute('CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)')
old.execute('ATTACH ? AS new', (path,))
tables = [row[0] for row in old.execute(
    'SELECT name FROM main.sqlite_master WHERE type = ? AND name != ? AND name NOT LIKE ?',
    ('table', 'alembic_version', 'sqlite_%'))]
for table in tables:
    columns = ', '.join(row[1] for row in old.execute('PRAGMA main.table_info(%s)' % table))
    old.execute('INSERT INTO main.%s (%s) SELECT %s FROM new.%s' % (table, columns, columns, table))
old.execute('INSERT INTO alembic_version VALUES (?)', ('0001',))
old.commit()
old.close()
for end in ('', '-wal', '-shm'):
    if os.path.exists(path + end):
        os.remove(path + end)
os.rename(path + '.first', path)
";

const FIRST: &str = include_str!("../../../crates/store/migrations/sqlite/0001_first.sql");

async fn python(script: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("python3");
    command.args(["-c", script]).args(arguments);
    let output = command.output().await.context("python3 can't start")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "python3: {error}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The rows of a statement.
pub async fn sql(database: &Path, statement: &str) -> Result<Vec<Value>> {
    let rows = python(ASK, &[&database.to_string_lossy(), statement]).await?;
    let rows: Vec<Value> = serde_json::from_str(&rows)?;
    Ok(rows)
}

/// Makes a database one of the first release, with all that was in it. Nobody may have it open.
pub async fn as_first_release(database: &Path) -> Result<()> {
    python(AS_FIRST, &[&database.to_string_lossy(), FIRST]).await?;
    Ok(())
}
