//! What a failed call means.
//!
//! Arrays answer nearly every refusal with 400 and a text, so the text decides. The texts are matched by parts
//! of them, as wording around them differs between releases.

use std::fmt;

use serde::Deserialize;

/// Longest part of an array's own words that is passed on.
const MAX_WORDS: usize = 400;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The object isn't there.
    NotFound,
    /// One of this name is there already.
    Exists,
    /// It is there, destroyed and waiting for its eradication.
    Destroyed,
    /// It is as it was to be: already a member, a target, allowed.
    Already,
    /// What was to be taken out isn't in.
    NotMember,
    /// Hosts are connected to it, or something else uses it.
    InUse,
    /// A limit of the array.
    Limit,
    /// SafeMode forbids it.
    Locked,
    /// The array refuses it for another reason, or it can't even be asked.
    Invalid,
    /// The token is not accepted.
    Unauthorized,
    /// The token's user may not do this.
    Forbidden,
    /// The array has too much to do and did nothing.
    Busy,
    /// It can't be reached, or doesn't answer in time; nothing was changed.
    Unavailable,
    /// It may or may not have happened: the answer to a change was lost.
    Ambiguous,
    /// The answer makes no sense.
    Protocol,
    /// The address may not be connected to.
    Address,
}

/// A failed call. `Display` says what came back; the cause is the source.
#[derive(Debug)]
pub struct Error {
    pub kind: Kind,
    /// What is wrong, without the array's name and without a full stop.
    pub words: String,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// What the call was, for the log: method and path.
    pub call: Option<String>,
    pub(crate) source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub fn new(kind: Kind, words: impl Into<String>) -> Self {
        Self {
            kind,
            words: words.into(),
            status: None,
            call: None,
            source: None,
        }
    }

    pub(crate) fn invalid(words: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, words)
    }

    pub(crate) fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    pub fn is(&self, kind: Kind) -> bool {
        self.kind == kind
    }

    /// The cause, for an error that takes this one's place.
    pub fn into_source(self) -> Option<Box<dyn std::error::Error + Send + Sync>> {
        self.source
    }

    /// An answer that isn't a success. `changes`: whether the call would have changed something.
    pub(crate) fn of_answer(status: u16, body: &[u8], changes: bool, secrets: &[&str]) -> Self {
        let (said, structured) = words(body, secrets);
        let kind = match status {
            401 => Kind::Unauthorized,
            403 => Kind::Forbidden,
            429 | 503 => Kind::Busy,
            500 if said.contains("Server is busy") => Kind::Busy,
            500.. if changes => Kind::Ambiguous,
            500.. => Kind::Unavailable,
            404 => Kind::Protocol,
            400 | 409 | 422 if structured => by_text(&said),
            300..400 => Kind::Protocol,
            _ => Kind::Invalid,
        };
        let words = if said.is_empty() {
            format!("it answered {status} without saying why")
        } else {
            said
        };
        Self {
            status: Some(status),
            ..Self::new(kind, words)
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// The order counts: a name that is reserved by a destroyed object "already exists" and "has been destroyed".
fn by_text(text: &str) -> Kind {
    const TEXTS: &[(&str, Kind)] = &[
        ("has been destroyed", Kind::Destroyed),
        ("pending eradication", Kind::Destroyed),
        ("ratcheted", Kind::Locked),
        ("SafeMode", Kind::Locked),
        ("retention lock", Kind::Locked),
        ("Eradication is disabled", Kind::Locked),
        ("existing connections", Kind::InUse),
        ("already in use", Kind::InUse),
        ("already includes", Kind::Already),
        ("already allowed on", Kind::Already),
        ("already belongs to", Kind::Already),
        ("already exists", Kind::Exists),
        ("could not be found", Kind::NotMember),
        ("does not exist", Kind::NotFound),
        ("No such volume or snapshot", Kind::NotFound),
        ("limit reached", Kind::Limit),
        ("capacity", Kind::Limit),
    ];
    TEXTS
        .iter()
        .find(|(part, _)| text.contains(part))
        .map_or(Kind::Invalid, |(_, kind)| *kind)
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    errors: Vec<Said>,
    /// The gateway in front of the array says it this way.
    message: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    context: Option<String>,
    message: Option<String>,
}

/// What an error's body says, on one line, and whether it has the form that arrays use.
fn words(body: &[u8], secrets: &[&str]) -> (String, bool) {
    let Ok(fault) = serde_json::from_slice::<Fault>(body) else {
        return (String::new(), false);
    };
    let mut parts: Vec<String> = Vec::new();
    for said in fault.errors.iter().take(5) {
        let message = said.message.as_deref().unwrap_or_default().trim();
        match said
            .context
            .as_deref()
            .map(str::trim)
            .filter(|context| !context.is_empty())
        {
            Some(context) => parts.push(format!("{context}: {}", message.trim_end_matches('.'))),
            None => parts.push(message.trim_end_matches('.').to_owned()),
        }
    }
    if parts.is_empty() {
        parts.extend(
            fault
                .message
                .map(|message| message.trim().trim_end_matches('.').to_owned()),
        );
    }
    (clean(&parts.join("; "), secrets), true)
}

/// Foreign text as it may stand in a message: short, on one line, without what must not be shown.
fn clean(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        text = text.replace(secret, "***");
    }
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(MAX_WORDS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str, changes: bool) -> Error {
        Error::of_answer(status, body.as_bytes(), changes, &["top-secret"])
    }

    fn kind(message: &str) -> Kind {
        let body = serde_json::json!({"errors": [{"context": "x", "message": message}]}).to_string();
        of(400, &body, true).kind
    }

    #[test]
    fn refusals_are_told_apart_by_their_texts() {
        assert_eq!(kind("Volume does not exist."), Kind::NotFound);
        assert_eq!(kind("No such volume or snapshot."), Kind::NotFound);
        assert_eq!(kind("Volume has been destroyed."), Kind::Destroyed);
        assert_eq!(
            kind("Volume already exists: it has been destroyed and is pending eradication."),
            Kind::Destroyed
        );
        assert_eq!(kind("Volume already exists."), Kind::Exists);
        assert_eq!(
            kind("Protection group is already allowed on target."),
            Kind::Already
        );
        assert_eq!(
            kind("Protection group already includes the target."),
            Kind::Already
        );
        assert_eq!(
            kind("Volume already belongs to protection group x."),
            Kind::Already
        );
        assert_eq!(
            kind("Volume could not be found in the protection group."),
            Kind::NotMember
        );
        assert_eq!(
            kind("Volume cannot be deleted due to existing connections."),
            Kind::InUse
        );
        assert_eq!(
            kind("Protection group is locked by its ratcheted retention lock."),
            Kind::Locked
        );
        assert_eq!(kind("Protection group target limit reached."), Kind::Limit);
        assert_eq!(kind("The array does not have enough capacity."), Kind::Limit);
        assert_eq!(kind("Nonsense."), Kind::Invalid);
    }

    #[test]
    fn a_status_decides_where_the_text_does_not() {
        let busy = r#"{"errors":[{"context":null,"message":"Server is busy"}]}"#;
        assert_eq!(of(500, busy, true).kind, Kind::Busy);
        assert_eq!(of(500, "{}", true).kind, Kind::Ambiguous);
        assert_eq!(of(502, "<html>", true).kind, Kind::Ambiguous);
        assert_eq!(of(502, "<html>", false).kind, Kind::Unavailable);
        assert_eq!(
            of(429, r#"{"message":"API rate limit exceeded"}"#, true).words,
            "API rate limit exceeded"
        );
        assert_eq!(of(404, "", false).kind, Kind::Protocol);
        assert_eq!(of(302, "", false).kind, Kind::Protocol);
        assert_eq!(of(400, "<html>does not exist</html>", false).kind, Kind::Invalid);
        assert_eq!(of(400, r#"{"errors":[{}]}"#, false).kind, Kind::Invalid);
        assert_eq!(of(400, r#"{"errors":"odd"}"#, false).kind, Kind::Invalid);
    }

    #[test]
    fn words_are_on_one_short_line_without_secrets() {
        let body = serde_json::json!({"errors": [
            {"context": "a", "message": "first\n\u{1b}[31mline."}, {"message": "top-secret"}, {"message": "x".repeat(2000)},
        ]});
        let words = of(400, &body.to_string(), false).words;
        assert!(words.starts_with("a: first  [31mline; ***; xxx"), "{words}");
        assert_eq!(words.chars().count(), MAX_WORDS);
    }
}
