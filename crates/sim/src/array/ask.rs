//! One call to an array, ready to be carried out, and what it answers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::{ApiError, ApiResult};
use super::filter::wildcard;
use super::query::Query;

/// A call that has passed the door.
pub(super) struct Ask<'a> {
    pub array: &'a str,
    pub query: &'a Query,
    pub body: &'a Value,
    /// The minor number of the REST version.
    pub version: u32,
    pub strict: bool,
    pub now: u64,
}

/// What a call answers when it works.
pub(super) enum Answer {
    /// Filtered, ordered and cut by the query.
    List(Vec<Value>),
    /// As they are.
    Items(Vec<Value>),
    Empty,
}

impl Ask<'_> {
    /// Which of a table's entries the call is about: by `names`, by `ids`, or all of them.
    pub fn pick<T>(
        &self,
        table: &BTreeMap<String, T>,
        what: &str,
        id: fn(&T) -> &str,
    ) -> ApiResult<Vec<String>> {
        self.pick_by("names", "ids", table, what, id)
    }

    pub fn pick_by<T>(
        &self,
        names_key: &str,
        ids_key: &str,
        table: &BTreeMap<String, T>,
        what: &str,
        id: fn(&T) -> &str,
    ) -> ApiResult<Vec<String>> {
        let (names, ids) = (self.query.list(names_key), self.query.list(ids_key));
        if !names.is_empty() && !ids.is_empty() {
            return Err(ApiError::new(
                names_key,
                format!("{names_key} and {ids_key} cannot be combined."),
            ));
        }
        let mut found = Vec::new();
        let mut errors = Vec::new();
        for name in names {
            if name.contains('*') {
                found.extend(table.keys().filter(|key| wildcard(key, &name)).cloned());
            } else if table.contains_key(&name) {
                found.push(name);
            } else {
                errors.extend(ApiError::missing(what, &name).errors);
            }
        }
        for wanted in &ids {
            match table.iter().find(|(_, entry)| id(entry) == wanted) {
                Some((name, _)) => found.push(name.clone()),
                None => errors.extend(ApiError::missing(what, wanted).errors),
            }
        }
        if !errors.is_empty() {
            return Err(ApiError { status: 400, errors });
        }
        let all = !self.has(names_key) && !self.has(ids_key);
        Ok(if all {
            table.keys().cloned().collect()
        } else {
            found
        })
    }

    /// As [`Ask::pick`], for calls that change something and so must say what.
    pub fn pick_named<T>(
        &self,
        table: &BTreeMap<String, T>,
        what: &str,
        id: fn(&T) -> &str,
    ) -> ApiResult<Vec<String>> {
        if !self.has("names") && !self.has("ids") {
            return Err(ApiError::new("names", "One of names or ids is required."));
        }
        self.pick(table, what, id)
    }

    /// The names of what is to be made.
    pub fn new_names(&self) -> ApiResult<Vec<String>> {
        let names = self.query.list("names");
        if names.is_empty() {
            Err(ApiError::new("names", "names is required."))
        } else {
            Ok(names)
        }
    }

    fn has(&self, key: &str) -> bool {
        !self.query.list(key).is_empty()
    }

    /// A number of the body.
    pub fn number(&self, field: &str) -> ApiResult<Option<u64>> {
        number(self.body, field)
    }

    pub fn body_flag(&self, field: &str) -> ApiResult<Option<bool>> {
        match self.body.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(ApiError::new(field, format!("Invalid value for {field}."))),
        }
    }

    pub fn body_text(&self, field: &str) -> Option<&str> {
        self.body.get(field).and_then(Value::as_str)
    }

    /// The name within a reference of the body; empty text is a name too: it takes something out of a container.
    pub fn body_name(&self, field: &str) -> Option<&str> {
        self.body.get(field)?.get("name")?.as_str()
    }
}

/// A number of an object.
pub(super) fn number(object: &Value, field: &str) -> ApiResult<Option<u64>> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(ApiError::new(field, format!("Invalid value for {field}."))),
        },
    }
}
