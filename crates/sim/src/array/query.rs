//! Reading the query of a call: lists with commas, booleans in any case, numbers.

use super::error::{ApiError, ApiResult};

/// The decoded query of one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Self {
        Self(
            url::form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// A list; absent and empty are the same, as some clients send empty lists.
    pub fn list(&self, key: &str) -> Vec<String> {
        let text = self.text(key).unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    pub fn flag(&self, key: &str) -> ApiResult<Option<bool>> {
        match self.text(key).map(str::to_ascii_lowercase).as_deref() {
            None | Some("") => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(ApiError::new(key, format!("Invalid value for parameter {key}."))),
        }
    }

    pub fn is(&self, key: &str) -> ApiResult<bool> {
        Ok(self.flag(key)?.unwrap_or(false))
    }

    pub fn number(&self, key: &str) -> ApiResult<Option<usize>> {
        match self.text(key) {
            None | Some("") => Ok(None),
            Some(text) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(ApiError::new(key, format!("Invalid value for parameter {key}."))),
            },
        }
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}
