//! Lists: which part of one was asked for, and where the next part is.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use protector_oslo::faults::Fault;
use protector_ports::store::Page;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::App;
use crate::faults::{Answer, Refusal};
use crate::versions::base_url;

/// No answer holds more rows. The store, asked for one more, must not cut that one off.
const MOST: usize = 500;
const PAGING: [&str; 4] = ["limit", "marker", "sort_key", "sort_dir"];

/// The query of a list request.
pub(crate) struct Listing {
    base: String,
    path: String,
    given: BTreeMap<String, String>,
    limit: usize,
}

impl FromRequestParts<App> for Listing {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Answer<Self> {
        let uri = parts
            .extensions
            .get::<OriginalUri>()
            .map_or_else(|| parts.uri.clone(), |original| original.0.clone());
        Self::read(
            base_url(&parts.headers),
            uri.path(),
            uri.query().unwrap_or_default(),
        )
    }
}

fn bad(message: String) -> Refusal {
    Fault::bad_request(message).into()
}

impl Listing {
    fn read(base: String, path: &str, query: &str) -> Answer<Listing> {
        let mut given = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            // The first of several counts, as a sort_key may be repeated.
            given
                .entry(name.into_owned())
                .or_insert_with(|| value.into_owned());
        }
        let limit = match given.get("limit") {
            None => MOST,
            Some(text) => match text.parse::<usize>() {
                Ok(number) if number > 0 => number.min(MOST),
                _ => return Err(bad("Parameter 'limit' must be a positive number.".to_owned())),
            },
        };
        if let Some(direction) = given.get("sort_dir")
            && !matches!(direction.as_str(), "asc" | "desc")
        {
            return Err(bad("Parameter 'sort_dir' must be asc or desc.".to_owned()));
        }
        Ok(Listing {
            base,
            path: path.to_owned(),
            given,
            limit,
        })
    }

    /// Refuses parameters that this list doesn't have, and sort keys that its rows don't have.
    pub fn allow(&self, filters: &[&str], sort_keys: &[&str]) -> Answer<()> {
        let unknown = self
            .given
            .keys()
            .find(|name| !PAGING.contains(&name.as_str()) && !filters.contains(&name.as_str()));
        if let Some(name) = unknown {
            let shown: String = name.chars().take(80).collect();
            return Err(bad(format!("Parameter '{shown}' is not known here.")));
        }
        match self.given.get("sort_key") {
            Some(key) if !sort_keys.contains(&key.as_str()) => Err(bad(format!(
                "Parameter 'sort_key' must be one of: {}.",
                sort_keys.join(", ")
            ))),
            _ => Ok(()),
        }
    }

    pub fn filter(&self, name: &str) -> Option<String> {
        self.given.get(name).cloned()
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    /// For the store: one row more than is answered, which tells whether there is a next page.
    pub fn page(&self) -> Page {
        Page {
            limit: Some(self.limit + 1),
            marker: self.filter("marker"),
            sort_key: self.filter("sort_key"),
            ascending: self
                .given
                .get("sort_dir")
                .is_some_and(|direction| direction == "asc"),
        }
    }

    /// The answer, of rows that begin after the marker.
    pub fn render(&self, name: &str, mut rows: Vec<Value>) -> Response {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows
            .last()
            .and_then(|row| row.get("id"))
            .and_then(Value::as_str)
            .map(str::to_owned);
        let mut body = Map::new();
        body.insert(name.to_owned(), Value::Array(rows));
        if let (true, Some(last)) = (more, last) {
            let mut next = self.given.clone();
            next.insert("marker".to_owned(), last);
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&next)
                .finish();
            let href = format!("{}{}?{query}", self.base, self.path);
            body.insert(format!("{name}_links"), json!([{"rel": "next", "href": href}]));
        }
        axum::Json(body).into_response()
    }

    /// The same for a list that is short and at hand as a whole.
    pub fn render_whole(&self, name: &str, mut rows: Vec<Value>) -> Answer<Response> {
        if let Some(key) = self.given.get("sort_key") {
            rows.sort_by_key(|row| match row.get(key) {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => String::new(),
            });
            if self
                .given
                .get("sort_dir")
                .is_some_and(|direction| direction == "desc")
            {
                rows.reverse();
            }
        }
        if let Some(marker) = self.given.get("marker") {
            let found = rows
                .iter()
                .position(|row| row.get("id").and_then(Value::as_str) == Some(marker.as_str()));
            let Some(index) = found else {
                return Err(bad(
                    "Parameter 'marker' is the id of nothing in the list.".to_owned()
                ));
            };
            rows.drain(..=index);
        }
        Ok(self.render(name, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(query: &str) -> Answer<Listing> {
        Listing::read("http://host".to_owned(), "/v1/p/things", query)
    }

    #[test]
    fn strange_parameters_are_named() {
        for (query, word) in [
            ("limit=0", "limit"),
            ("limit=x", "limit"),
            ("sort_dir=up", "sort_dir"),
        ] {
            assert!(listing(query).err().unwrap().message().contains(word));
        }
        let listing = listing("colour=red&sort_key=size").unwrap();
        assert!(listing.allow(&[], &[]).unwrap_err().message().contains("colour"));
        assert!(
            listing
                .allow(&["colour"], &["name"])
                .unwrap_err()
                .message()
                .contains("sort_key")
        );
    }

    #[test]
    fn a_limit_has_a_limit() {
        assert_eq!(listing("limit=5000").unwrap().limit(), MOST);
        assert_eq!(listing("").unwrap().page().limit, Some(MOST + 1));
    }
}
