//! The file format: what `oslo.config` calls INI, which is neither Python's `configparser` nor TOML.
//!
//! No comments behind a value (a password may hold `#`), `=` or `:` whichever comes first, one pair of equal quotes
//! around a value is dropped, indented lines continue the value above, and nothing is an escape. A line that is
//! wrong is told by its number alone: its text may be half of a password.

use std::path::{Path, PathBuf};

/// One assignment as it stands in a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub section: String,
    pub key: String,
    pub value: String,
    pub line: usize,
}

impl std::fmt::Debug for Entry {
    /// Without the value: whether it is a secret is known only to the option.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}] {} (line {})", self.section, self.key, self.line)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {what}", file.display())]
pub struct IniError {
    pub file: PathBuf,
    pub line: usize,
    pub what: &'static str,
}

struct Open {
    key: String,
    value: String,
    line: usize,
}

/// Reads a whole file; the first wrong line ends it.
pub fn parse(text: &str, file: &Path) -> Result<Vec<Entry>, IniError> {
    let mut entries = Vec::new();
    let mut section: Option<String> = None;
    let mut open: Option<Open> = None;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);

    for (index, line) in text.split('\n').enumerate() {
        let wrong = |what| IniError {
            file: file.to_owned(),
            line: index + 1,
            what,
        };
        let line = line.trim_end();
        if line.is_empty() {
            flush(&mut open, section.as_deref(), &mut entries);
            continue;
        }
        if line.starts_with([' ', '\t']) {
            let Some(open) = open.as_mut() else {
                return Err(wrong(
                    "an indented line continues a value, but there is none above it",
                ));
            };
            open.value.push('\n');
            open.value.push_str(line.trim_start());
            continue;
        }
        flush(&mut open, section.as_deref(), &mut entries);

        if let Some(rest) = line.strip_prefix('[') {
            let name = rest
                .strip_suffix(']')
                .ok_or_else(|| wrong("a section header must end with ']'"))?;
            if name.is_empty() {
                return Err(wrong("a section needs a name"));
            }
            section = Some(name.to_owned());
        } else if !line.starts_with(['#', ';']) {
            let at = line
                .find(['=', ':'])
                .ok_or_else(|| wrong("expected 'option = value': no '=' or ':' found"))?;
            let key = line[..at].trim();
            if key.is_empty() {
                return Err(wrong("an assignment needs an option name before '=' or ':'"));
            }
            if section.is_none() {
                return Err(wrong(
                    "an assignment needs a section header such as [DEFAULT] above it",
                ));
            }
            let value = unquote(line[at + 1..].trim());
            open = Some(Open {
                key: key.to_owned(),
                value: value.to_owned(),
                line: index + 1,
            });
        }
    }
    flush(&mut open, section.as_deref(), &mut entries);
    Ok(entries)
}

fn flush(open: &mut Option<Open>, section: Option<&str>, entries: &mut Vec<Entry>) {
    if let (Some(done), Some(section)) = (open.take(), section) {
        entries.push(Entry {
            section: section.to_owned(),
            key: done.key,
            value: done.value,
            line: done.line,
        });
    }
}

/// Drops one pair of equal quotes. A lone quote is a pair with itself, as it is for oslo.config.
fn unquote(value: &str) -> &str {
    for quote in ['"', '\''] {
        if value.len() == 1 && value.starts_with(quote) {
            return "";
        }
        if let Some(inner) = value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> String {
        let entries = parse(text, Path::new("x.conf")).unwrap();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries[0].value.clone()
    }

    #[test]
    fn nothing_inside_a_value_is_special() {
        assert_eq!(
            one("[a]\npassword = a#b;c\\n\\x41 # no comment"),
            "a#b;c\\n\\x41 # no comment"
        );
        assert_eq!(one("[a]\nurl: http://h:1/=x"), "http://h:1/=x");
        assert_eq!(one("[a]\nurl = http://h:1/=x"), "http://h:1/=x");
    }

    #[test]
    fn quotes_are_dropped_in_pairs_once() {
        assert_eq!(one("[a]\nx = ' a '"), " a ");
        assert_eq!(one("[a]\nx = \"\"a\"\""), "\"a\"");
        assert_eq!(one("[a]\nx = 'a\""), "'a\"");
        assert_eq!(one("[a]\nx = '"), "");
        assert_eq!(one("[a]\nx = ''"), "");
        assert_eq!(one("[a]\nx ="), "");
    }

    #[test]
    fn indented_lines_continue_the_value_until_a_blank_one() {
        assert_eq!(one("[a]\nx = 1\n  2\n\t3\n\n# c\n"), "1\n2\n3");
        assert_eq!(one("[a]\r\nx = 1\r\n  2\r\n"), "1\n2");
    }

    #[test]
    fn wrong_lines_are_told_by_number_and_never_by_content() {
        for (text, line) in [
            ("[a\nx=1", 1),
            ("[]\n", 1),
            ("x = 1", 1),
            ("[a]\n\n s3cret", 3),
            ("[a]\ns3cret", 2),
            ("[a]\n= s3cret", 2),
        ] {
            let error = parse(text, Path::new("/etc/x.conf")).unwrap_err();
            assert_eq!(error.line, line, "{text:?}");
            assert!(
                error.to_string().starts_with(&format!("/etc/x.conf:{line}: ")),
                "{error}"
            );
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(?s)[\\[\\]=:#;'\"$ \\t\\r\\na-zé\u{feff}]{0,200}") {
            let _ = parse(&text, Path::new("x"));
        }

        #[test]
        fn what_is_quoted_comes_back(value in "[^\\r\\n\\x0b\\x0c\\x1c-\\x1f\u{85}\u{2028}\u{2029}]{0,40}") {
            prop_assert_eq!(one(&format!("[a]\nx = \"{value}\"")), value);
        }
    }
}
