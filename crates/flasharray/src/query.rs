//! What stands behind the question mark.
//!
//! Objects are chosen by the query alone, and an empty list means all of them, as does a name with an asterisk.
//! So a list of names is checked before it goes anywhere: no empty list, and no name that could be read as two
//! names or as a pattern.

use crate::error::Error;

/// The most names that go into one call: a query with the longest of them still fits into 8 KiB.
pub(crate) const MAX_NAMES: usize = 64;

/// The parameters of a call, encoded as arrays read them.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<String>);

impl Query {
    pub fn new() -> Self {
        Self::default()
    }

    /// A list of names (or ids): each encoded by itself, with bare commas between.
    pub fn names<S: AsRef<str>>(mut self, key: &str, names: &[S]) -> Result<Self, Error> {
        if names.is_empty() {
            return Err(Error::invalid(format!(
                "no name is given for the parameter {key}"
            )));
        }
        let mut encoded = Vec::with_capacity(names.len());
        for name in names {
            let name = name.as_ref();
            check_name(name)?;
            encoded.push(encode(name));
        }
        self.0.push(format!("{key}={}", encoded.join(",")));
        Ok(self)
    }

    pub fn name(self, key: &str, name: &str) -> Result<Self, Error> {
        self.names(key, &[name])
    }

    pub fn flag(mut self, key: &str, value: bool) -> Self {
        self.0.push(format!("{key}={value}"));
        self
    }

    pub fn number(mut self, key: &str, value: usize) -> Self {
        self.0.push(format!("{key}={value}"));
        self
    }

    /// Any text: a filter, a page token.
    pub fn text(mut self, key: &str, value: &str) -> Self {
        self.0.push(format!("{key}={}", encode(value)));
        self
    }

    pub(crate) fn encoded(&self) -> String {
        self.0.join("&")
    }
}

/// Text as a literal of a filter.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for letter in text.chars() {
        if matches!(letter, '\'' | '\\') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('\'');
    quoted
}

/// Letters, digits and what arrays put between the parts of a name.
fn check_name(name: &str) -> Result<(), Error> {
    let fine = !name.is_empty()
        && name.len() <= 512
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_.:/".contains(letter));
    if fine {
        Ok(())
    } else {
        let shown: String = name.chars().take(80).collect();
        Err(Error::invalid(format!(
            "{shown:?} can't be the name of an object on an array"
        )))
    }
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_bare_commas_between_encoded_names() {
        let query = Query::new()
            .names("names", &["A:pg.1", "vg/x"])
            .unwrap()
            .flag("destroyed", false)
            .text("filter", &format!("name={}", quote("A:pg.7.*")))
            .number("limit", 5);
        let encoded = "names=A%3Apg.1,vg%2Fx&destroyed=false&filter=name%3D%27A%3Apg.7.%2A%27&limit=5";
        assert_eq!(query.encoded(), encoded);
    }

    #[test]
    fn what_could_mean_more_than_one_object_is_refused() {
        for bad in ["", "*", "a*", "a,b", "a b", "a'b", "a&b", "ä", &"x".repeat(513)] {
            assert!(Query::new().name("names", bad).is_err(), "{bad}");
        }
        assert!(Query::new().names::<&str>("names", &[]).is_err());
    }

    #[test]
    fn quotes_and_backslashes_in_a_literal_are_escaped() {
        assert_eq!(quote(r"a'b\c"), r"'a\'b\\c'");
    }
}
