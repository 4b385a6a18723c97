//! Request bodies, field by field: whatever is wrong is said with the field's name.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use protector_oslo::faults::Fault;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::App;
use crate::faults::{Answer, Refusal};
use crate::layers::{LARGEST_BODY, too_large};

/// An object of the body, and where it stands in it.
#[derive(Debug)]
pub(crate) struct Fields {
    at: String,
    left: Map<String, Value>,
}

impl FromRequest<App> for Fields {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &App) -> Answer<Self> {
        let json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_none_or(|value| is_json(value.to_str().unwrap_or_default()));
        if !json {
            let message = "The body must be of the type application/json.";
            return Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into());
        }
        let bytes = to_bytes(request.into_body(), LARGEST_BODY)
            .await
            .map_err(|error| unread(&error))?;
        Fields::parse(&bytes)
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence.to_ascii_lowercase().ends_with("+json")
        || essence.is_empty()
}

/// Too long, or the connection broke.
fn unread(error: &axum::Error) -> Fault {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if cause.to_string().contains("length limit exceeded") {
            return too_large();
        }
        next = cause.source();
    }
    Fault::bad_request("The body could not be read to its end.")
}

fn bad(message: String) -> Refusal {
    Fault::bad_request(message).into()
}

impl Fields {
    pub fn parse(bytes: &[u8]) -> Answer<Fields> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            bad(format!(
                "The body is not JSON (line {}, column {}).",
                error.line(),
                error.column()
            ))
        })?;
        Self::object(String::new(), value)
    }

    fn object(at: String, value: Value) -> Answer<Fields> {
        match value {
            Value::Object(left) => Ok(Fields { at, left }),
            _ if at.is_empty() => Err(bad("The body must be a JSON object.".to_owned())),
            _ => Err(bad(format!("Field '{at}' must be a JSON object."))),
        }
    }

    fn path(&self, name: &str) -> String {
        if self.at.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.at)
        }
    }

    /// A null counts as absent.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.left.shift_remove(name).filter(|value| !value.is_null())
    }

    fn missing(&self, name: &str) -> Refusal {
        bad(format!("Field '{}' is missing.", self.path(name)))
    }

    /// The object that the body consists of, such as `site`.
    pub fn only(mut self, name: &str) -> Answer<Fields> {
        let inner = self.inner(name)?;
        self.finish()?;
        Ok(inner)
    }

    /// The one of several objects that the body consists of.
    pub fn one_of(mut self, names: &[&'static str]) -> Answer<(&'static str, Fields)> {
        let found: Vec<&'static str> = names
            .iter()
            .copied()
            .filter(|name| self.left.contains_key(*name))
            .collect();
        let [name] = found.as_slice() else {
            return Err(bad(format!(
                "The body must hold exactly one of: {}.",
                names.join(", ")
            )));
        };
        let inner = match self.left.shift_remove(*name) {
            None | Some(Value::Null) => Fields {
                at: (*name).to_owned(),
                left: Map::new(),
            },
            Some(value) => Self::object((*name).to_owned(), value)?,
        };
        self.finish()?;
        Ok((name, inner))
    }

    pub fn inner(&mut self, name: &str) -> Answer<Fields> {
        match self.take(name) {
            Some(value) => Self::object(self.path(name), value),
            None => Err(self.missing(name)),
        }
    }

    pub fn maybe_inner(&mut self, name: &str) -> Answer<Option<Fields>> {
        self.take(name)
            .map(|value| Self::object(self.path(name), value))
            .transpose()
    }

    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Answer<Option<T>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        serde_json::from_value(value)
            .map(Some)
            .map_err(|error| bad(format!("Field '{}' is not valid: {error}.", self.path(name))))
    }

    pub fn required<T: DeserializeOwned>(&mut self, name: &str) -> Answer<T> {
        self.optional(name)?.ok_or_else(|| self.missing(name))
    }

    /// A text of bounded length, without control characters but line breaks.
    pub fn text(&mut self, name: &str, longest: usize) -> Answer<Option<String>> {
        let Some(text) = self.optional::<String>(name)? else {
            return Ok(None);
        };
        let strange = |c: char| c.is_control() && c != '\n' && c != '\t';
        if text.chars().count() > longest || text.chars().any(strange) {
            return Err(bad(format!(
                "Field '{}' is not valid: it may have up to {longest} characters, without control characters.",
                self.path(name)
            )));
        }
        Ok(Some(text))
    }

    /// Like a text, but what is wrong with it is not shown.
    pub fn secret(&mut self, name: &str) -> Answer<Option<SecretString>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= 4096 => Ok(Some(SecretString::from(text))),
            Some(_) => Err(bad(format!(
                "Field '{}' is not valid: it must be a string of up to 4096 characters.",
                self.path(name)
            ))),
        }
    }

    /// All of the object as one thing that carries its own shape.
    pub fn whole<T: DeserializeOwned>(self) -> Answer<T> {
        let at = self.at;
        serde_json::from_value(Value::Object(self.left))
            .map_err(|error| bad(format!("Field '{at}' is not valid: {error}.")))
    }

    /// Refuses what nobody has asked for: most of it is a typing error.
    pub fn finish(self) -> Answer<()> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => {
                let shown: String = name.chars().take(80).collect();
                Err(bad(format!("Field '{}' is not known here.", self.path(&shown))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: std::fmt::Debug>(answer: Answer<T>) -> String {
        answer.unwrap_err().message().to_owned()
    }

    #[test]
    fn every_refusal_names_its_field() {
        assert!(refused(Fields::parse(b"{")).starts_with("The body is not JSON (line 1"));
        assert_eq!(refused(Fields::parse(b"[]")), "The body must be a JSON object.");
        let fields = |text: &str| Fields::parse(text.as_bytes()).unwrap();
        assert_eq!(refused(fields("{}").only("site")), "Field 'site' is missing.");
        assert_eq!(
            refused(fields(r#"{"site": 1}"#).only("site")),
            "Field 'site' must be a JSON object."
        );
        assert_eq!(
            refused(fields(r#"{"site": {}, "x": 1}"#).only("site")),
            "Field 'x' is not known here."
        );
        let mut site = fields(r#"{"site": {"name": 5, "extra": 1}}"#)
            .only("site")
            .unwrap();
        assert!(refused(site.required::<String>("name")).starts_with("Field 'site.name' is not valid: "));
        assert_eq!(refused(site.finish()), "Field 'site.extra' is not known here.");
    }

    #[test]
    fn a_secret_is_never_repeated() {
        let mut fields = Fields::parse(br#"{"token": [12345]}"#).unwrap();
        assert!(!refused(fields.secret("token")).contains("12345"));
    }

    #[test]
    fn exactly_one_of_several() {
        let fields = |text: &str| Fields::parse(text.as_bytes()).unwrap();
        let names = ["nonce", "receipt"];
        assert_eq!(fields(r#"{"nonce": null}"#).one_of(&names).unwrap().0, "nonce");
        for text in ["{}", r#"{"nonce": {}, "receipt": {}}"#] {
            assert!(refused(fields(text).one_of(&names)).contains("nonce, receipt"));
        }
    }
}
