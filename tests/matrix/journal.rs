//! What a site's database says of a saga.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::time::{Instant, sleep};

const INTERVAL: Duration = Duration::from_millis(15);
/// Nothing is at work, nothing is tried again by itself, and this long nothing was written: it waits.
const SILENCE: Duration = Duration::from_millis(700);

pub struct Journal {
    database: SqliteConnection,
    pub saga: String,
    /// The parameters, as text.
    params: String,
}

pub struct Line {
    pub seq: i64,
    /// In milliseconds since 1970.
    pub at: f64,
    pub owner: String,
    pub event: Value,
}

impl Line {
    pub fn is(&self, event: &str) -> bool {
        self.event["event"] == event
    }

    pub fn step(&self) -> &str {
        self.event["step"].as_str().unwrap_or_default()
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Rest {
    Ended(String),
    /// Only somebody's word makes it go on.
    Waits,
}

impl Journal {
    /// Of the one saga that is under way.
    pub async fn open(database: &Path) -> Result<Self> {
        let mut database = connect(database).await?;
        let rows = sqlx::query("SELECT id, params FROM sagas WHERE state = 'live'")
            .fetch_all(&mut database)
            .await?;
        let [row] = rows.as_slice() else {
            bail!("{} sagas are under way and not one", rows.len())
        };
        Ok(Self {
            saga: row.get(0),
            params: row.get(1),
            database,
        })
    }

    pub async fn close(self) -> Result<()> {
        Ok(self.database.close().await?)
    }

    pub async fn lines(&mut self) -> Result<Vec<Line>> {
        const ALL: &str = "SELECT seq, (julianday(at) - 2440587.5) * 86400000.0, COALESCE(owner, ''), event \
             FROM saga_events WHERE saga_id = ? ORDER BY seq";
        let rows = sqlx::query(ALL)
            .bind(&self.saga)
            .fetch_all(&mut self.database)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Line {
                    seq: row.get(0),
                    at: row.get(1),
                    owner: row.get(2),
                    event: serde_json::from_str(row.get(3))?,
                })
            })
            .collect()
    }

    pub async fn is_over(&mut self) -> Result<bool> {
        Ok(self.outcome().await?.is_some())
    }

    /// What was ordered.
    pub fn order(&self) -> String {
        format!("{} {}", self.saga, self.params)
    }

    async fn outcome(&mut self) -> Result<Option<String>> {
        let row = sqlx::query("SELECT state, COALESCE(outcome, '') FROM sagas WHERE id = ?")
            .bind(&self.saga)
            .fetch_one(&mut self.database)
            .await?;
        let (state, outcome): (String, String) = (row.get(0), row.get(1));
        Ok((state == "ended").then_some(outcome))
    }

    pub async fn newest(&mut self) -> Result<i64> {
        let row = sqlx::query("SELECT MAX(seq) FROM saga_events WHERE saga_id = ?")
            .bind(&self.saga)
            .fetch_one(&mut self.database)
            .await?;
        Ok(row.get(0))
    }

    /// Until it has ended or waits for somebody.
    pub async fn at_rest(&mut self, patience: Duration) -> Result<Rest> {
        let end = Instant::now() + patience;
        let mut newest = (0, Instant::now());
        loop {
            if let Some(outcome) = self.outcome().await? {
                return Ok(Rest::Ended(outcome));
            }
            let seq = self.newest().await?;
            if seq != newest.0 {
                newest = (seq, Instant::now());
            } else if newest.1.elapsed() > SILENCE && waits(&self.lines().await?) {
                return Ok(Rest::Waits);
            }
            if Instant::now() > end {
                bail!("it is stuck: {}", self.tail().await?);
            }
            sleep(INTERVAL).await;
        }
    }

    /// Whether somebody else could write now: a process that is frozen in the midst of a write keeps SQLite's one lock.
    pub async fn can_be_written(&mut self) -> Result<bool> {
        match sqlx::query("BEGIN IMMEDIATE").execute(&mut self.database).await {
            Ok(_) => {
                sqlx::query("ROLLBACK").execute(&mut self.database).await?;
                Ok(true)
            }
            Err(sqlx::Error::Database(error)) if error.message().contains("locked") => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Until there is a line after this one.
    pub async fn goes_on(&mut self, after: i64, patience: Duration) -> Result<()> {
        let end = Instant::now() + patience;
        while self.newest().await? <= after && self.outcome().await?.is_none() {
            ensure!(Instant::now() < end, "nobody goes on: {}", self.tail().await?);
            sleep(INTERVAL).await;
        }
        Ok(())
    }

    /// The operator's word, as the API writes it.
    pub async fn retry(&mut self) -> Result<()> {
        const ADD: &str = "INSERT INTO saga_events (saga_id, seq, at, event) SELECT saga_id, MAX(seq) + 1, \
             MAX(at), ? FROM saga_events WHERE saga_id = ?";
        let event = json!({"event": "operator_decision", "decision": "retry", "note": ""});
        sqlx::query(ADD)
            .bind(event.to_string())
            .bind(&self.saga)
            .execute(&mut self.database)
            .await
            .context("the operator's word")?;
        Ok(())
    }

    pub async fn tail(&mut self) -> Result<String> {
        let lines = self.lines().await?;
        let last = lines.iter().rev().take(6).rev();
        let last: Vec<String> = last
            .map(|line| format!("{} {} {}", line.seq, line.owner, line.event))
            .collect();
        Ok(last.join("\n    "))
    }

    /// A step's name without its ids: `boot-server/m1` is about the second one that the parameters name.
    pub fn short(&self, step: &str) -> String {
        match step.split_once('/') {
            Some((kind, id)) if id.len() == 36 => match self.ids().iter().position(|one| one == id) {
                Some(index) => format!("{kind}/m{index}"),
                None => step.to_owned(),
            },
            _ => step.to_owned(),
        }
    }

    pub fn long(&self, step: &str) -> String {
        let index = |text: &str| text.strip_prefix('m')?.parse::<usize>().ok();
        match step.split_once('/') {
            Some((kind, which)) => match index(which).and_then(|index| self.ids().get(index).cloned()) {
                Some(id) => format!("{kind}/{id}"),
                None => step.to_owned(),
            },
            None => step.to_owned(),
        }
    }

    /// The members of the order.
    fn ids(&self) -> Vec<String> {
        let params: Value = serde_json::from_str(&self.params).unwrap_or_default();
        fn members(value: &Value) -> Option<&Vec<Value>> {
            match value {
                Value::Object(fields) => fields
                    .get("members")
                    .and_then(Value::as_array)
                    .or_else(|| fields.values().find_map(members)),
                _ => None,
            }
        }
        let members = members(&params).into_iter().flatten();
        members
            .filter_map(|member| member["id"].as_str().map(str::to_owned))
            .collect()
    }
}

async fn connect(database: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(database)
        .busy_timeout(Duration::from_secs(10));
    Ok(options.connect().await?)
}

/// Until no saga is under way in a database.
pub async fn idle(database: &Path, patience: Duration) -> Result<()> {
    let end = Instant::now() + patience;
    let mut database = connect(database).await?;
    loop {
        let row = sqlx::query("SELECT COUNT(*) FROM sagas WHERE state = 'live'")
            .fetch_one(&mut database)
            .await?;
        if row.get::<i64, _>(0) == 0 {
            return Ok(database.close().await?);
        }
        ensure!(Instant::now() < end, "something is always under way");
        sleep(INTERVAL).await;
    }
}

/// Nothing is at work, and what failed last failed for good.
fn waits(lines: &[Line]) -> bool {
    let mut open = std::collections::BTreeSet::new();
    let mut failed = false;
    for line in lines {
        match line.event["event"].as_str().unwrap_or_default() {
            "intent" | "undo_intent" => {
                open.insert(line.step());
            }
            "done" | "undone" => {
                open.remove(line.step());
            }
            "failed" => {
                open.remove(line.step());
                failed |= line.event["class"] == "permanent";
            }
            "undo_failed" => {
                open.remove(line.step());
            }
            "operator_decision" => failed = line.event["decision"] == "awaited",
            _ => {}
        }
    }
    open.is_empty() && failed && !lines.iter().any(|line| line.is("undo_intent"))
}
