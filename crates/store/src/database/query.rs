//! A statement with its values, for either database.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Encode, MySql, Sqlite, Type};

use super::{Connection, Kind, Raw, Row};

/// A server that takes a statement and doesn't answer it counts as away. Locks are waited for less long.
const ANSWER: Duration = Duration::from_secs(8);

/// All that columns hold.
#[derive(Clone)]
pub enum Value {
    Text(Option<String>),
    Number(Option<i64>),
}

macro_rules! values {
    ($($from:ty: $value:ident => $made:expr;)*) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Value {
                $made
            }
        })*
    };
}

values! {
    String: value => Value::Text(Some(value));
    &String: value => Value::Text(Some(value.clone()));
    &str: value => Value::Text(Some(value.to_owned()));
    Option<String>: value => Value::Text(value);
    &Option<String>: value => Value::Text(value.clone());
    Option<&str>: value => Value::Text(value.map(str::to_owned));
    i64: value => Value::Number(Some(value));
    Option<i64>: value => Value::Number(value);
    bool: value => Value::Number(Some(i64::from(value)));
}

/// How a reading statement locks the rows that it finds. SQLite's transactions hold the one lock there is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lock {
    None,
    Wait,
    Skip,
}

pub struct Query {
    text: Cow<'static, str>,
    values: Vec<Value>,
    lock: Lock,
}

/// A statement, whose values come in the order of its question marks.
pub fn query(text: impl Into<Cow<'static, str>>) -> Query {
    Query {
        text: text.into(),
        values: Vec::new(),
        lock: Lock::None,
    }
}

impl Query {
    pub fn bind(mut self, value: impl Into<Value>) -> Query {
        self.values.push(value.into());
        self
    }

    /// Adds words; values never are among them.
    pub fn push(&mut self, words: &str) -> &mut Query {
        self.text.to_mut().push_str(words);
        self
    }

    /// Adds a question mark and its value.
    pub fn push_bind(&mut self, value: impl Into<Value>) -> &mut Query {
        self.values.push(value.into());
        self.push("?")
    }

    /// Nobody else changes the rows that it finds before the transaction ends.
    pub fn for_update(mut self) -> Query {
        self.lock = Lock::Wait;
        self
    }

    /// The same, and rows that somebody else has locked are not found.
    pub fn skipping_locked(mut self) -> Query {
        self.lock = Lock::Skip;
        self
    }

    /// Answers how many rows met the statement's condition.
    pub async fn execute(self, on: &mut Connection) -> Result<u64, sqlx::Error> {
        let text = self.words(on.kind());
        match on.raw() {
            Raw::Sqlite(raw) => {
                let done = bound::<Sqlite>(text, self.values).execute(raw).await?;
                Ok(done.rows_affected())
            }
            Raw::MariaDb(raw) => {
                let done = in_time(bound::<MySql>(text, self.values).execute(raw)).await?;
                Ok(done.rows_affected())
            }
        }
    }

    pub async fn fetch_all(self, on: &mut Connection) -> Result<Vec<Row>, sqlx::Error> {
        let text = self.words(on.kind());
        match on.raw() {
            Raw::Sqlite(raw) => {
                let rows = bound::<Sqlite>(text, self.values).fetch_all(raw).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Raw::MariaDb(raw) => {
                let rows = in_time(bound::<MySql>(text, self.values).fetch_all(raw)).await?;
                Ok(rows.into_iter().map(Row::MariaDb).collect())
            }
        }
    }

    pub async fn fetch_optional(self, on: &mut Connection) -> Result<Option<Row>, sqlx::Error> {
        Ok(self.fetch_all(on).await?.into_iter().next())
    }

    pub async fn fetch_one(self, on: &mut Connection) -> Result<Row, sqlx::Error> {
        self.fetch_optional(on).await?.ok_or(sqlx::Error::RowNotFound)
    }

    fn words(&self, kind: Kind) -> String {
        let lock = match (kind, self.lock) {
            (Kind::Sqlite, _) | (Kind::MariaDb, Lock::None) => "",
            (Kind::MariaDb, Lock::Wait) => " FOR UPDATE",
            (Kind::MariaDb, Lock::Skip) => " FOR UPDATE SKIP LOCKED",
        };
        format!("{}{lock}", self.text)
    }
}

/// The text is made of constants (see [`Query::push`]), so it holds nothing that came from outside.
fn bound<D: sqlx::Database>(text: String, values: Vec<Value>) -> sqlx::query::Query<'static, D, D::Arguments>
where
    Option<String>: Encode<'static, D> + Type<D>,
    Option<i64>: Encode<'static, D> + Type<D>,
{
    let query = sqlx::query(AssertSqlSafe(text));
    values.into_iter().fold(query, |query, value| match value {
        Value::Text(text) => query.bind(text),
        Value::Number(number) => query.bind(number),
    })
}

pub async fn in_time<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(answer) => answer,
        Err(_) => {
            let silent = format!("it doesn't answer within {} s", ANSWER.as_secs());
            Err(sqlx::Error::Io(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                silent,
            )))
        }
    }
}
