//! One call to a service of a simulated cloud, and what comes back.

use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::policy::Caller;

/// A call that has passed the door.
pub(super) struct Ask {
    pub method: String,
    /// The segments behind the service's prefix and version.
    pub path: Vec<String>,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Value,
    /// The URL of the service with its version, for links.
    pub base: String,
    /// The minor number of the microversion.
    pub minor: u32,
    pub caller: Caller,
}

/// What a call answers when it works.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Value>,
}

pub(super) type Reply = Result<Answer, Fault>;

impl Answer {
    pub fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Some(body),
        }
    }

    pub fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: None,
        }
    }

    /// Whether a header is set for this answer alone.
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| *known == name)
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Ask {
    pub fn segments(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    pub fn query(&self, key: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a query parameter says yes.
    pub fn wants(&self, key: &str) -> bool {
        self.query(key)
            .is_some_and(|value| ["1", "true", "yes", "on"].contains(&value.to_lowercase().as_str()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The object that every body is wrapped in.
    pub fn object(&self, key: &str) -> Result<&Map<String, Value>, Fault> {
        self.body.get(key).and_then(Value::as_object).ok_or_else(|| {
            Fault::bad(format!(
                "Invalid input for field/attribute body. '{key}' is a required property"
            ))
        })
    }

    pub fn project(&self) -> &str {
        self.caller.project_id.as_deref().unwrap_or_default()
    }

    /// Whether a list shows what belongs to this project: the own one, all of them to an admin who asks.
    pub fn sees(&self, project: &str) -> bool {
        if self.caller.admin && self.wants("all_tenants") {
            return self
                .query("project_id")
                .or_else(|| self.query("tenant_id"))
                .is_none_or(|wanted| wanted == project);
        }
        project == self.project()
    }

    /// Whether an object of this project exists for the caller.
    pub fn reaches(&self, project: &str) -> bool {
        self.caller.admin || project == self.project()
    }

    /// Cut a list as `limit`, `marker` and `offset` say.
    pub fn page(&self, key: &str, mut items: Vec<Value>) -> Reply {
        if let Some(marker) = self.query("marker") {
            let at = items
                .iter()
                .position(|item| item["id"] == marker || item["name"] == marker)
                .ok_or_else(|| Fault::bad(format!("marker [{marker}] not found")))?;
            items.drain(..=at);
        }
        let number = |key: &str| match self.query(key) {
            None => Ok(None),
            Some(text) => text
                .parse::<usize>()
                .map(Some)
                .map_err(|_| Fault::bad(format!("{key} param must be an integer"))),
        };
        if let Some(offset) = number("offset")? {
            items.drain(..offset.min(items.len()));
        }
        let mut answer = json!({});
        if let Some(limit) = number("limit")?
            && limit > 0
            && items.len() >= limit
        {
            items.truncate(limit);
            let last = items
                .last()
                .map_or("", |item| item["id"].as_str().unwrap_or_default());
            let mut url = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in self
                .query
                .iter()
                .filter(|(name, _)| name != "marker" && name != "offset")
            {
                url.append_pair(name, value);
            }
            url.append_pair("marker", last);
            let href = format!("{}/{}?{}", self.base, self.path.join("/"), url.finish());
            answer[format!("{key}_links")] = json!([{"rel": "next", "href": href}]);
        }
        answer[key] = Value::Array(items);
        Ok(Answer::ok(answer))
    }
}

/// The text of a field, if it is one.
pub(super) fn maybe(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// A truth as Python's services read it.
pub(super) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => Some(number.as_i64() != Some(0)),
        Value::String(text) => match text.to_lowercase().as_str() {
            "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
            "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A number that may come as text.
pub(super) fn number(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}
