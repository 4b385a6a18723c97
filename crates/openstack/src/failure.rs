//! What a failed exchange means, and how it is said.
//!
//! The one question that matters after a failure is whether anything happened. A request that never left is
//! safe to repeat; a change whose answer got lost is not. Messages are sentences for an operator and carry
//! the service's own words, cleaned: they come from outside.

use http::StatusCode;
use protector_ports::{Class, Kind, PortError};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::address::Refused;
use crate::transport::Answer;

/// Longest part of a service's own words that is passed on.
const MAX_WORDS: usize = 600;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    Identity,
    Compute,
    Volume,
    Network,
    KeyManager,
}

impl Service {
    pub fn name(self) -> &'static str {
        match self {
            Service::Identity => "Keystone",
            Service::Compute => "Nova",
            Service::Volume => "Cinder",
            Service::Network => "Neutron",
            Service::KeyManager => "Barbican",
        }
    }
}

/// What was asked of whom: enough to say and to sort a failure.
#[derive(Clone)]
pub(crate) struct Ask<'a> {
    pub service: Service,
    pub site: &'a str,
    pub what: &'static str,
    /// Whether it would have changed something.
    pub changes: bool,
    /// Texts that must not come back in a message.
    pub secrets: Vec<&'a SecretString>,
}

impl Ask<'_> {
    fn whom(&self) -> String {
        format!("{} at {}", self.service.name(), self.site)
    }

    /// The class of a failure after which it is unknown whether the request was carried out.
    fn unknown(&self) -> Class {
        if self.changes {
            Class::Ambiguous
        } else {
            Class::Retryable
        }
    }

    fn doubt(&self) -> &'static str {
        if self.changes {
            ", so it may or may not have happened"
        } else {
            ""
        }
    }

    /// The exchange didn't come to an answer.
    pub fn not_answered(&self, error: reqwest::Error) -> PortError {
        // The URL may hold what is secret, and the path is in the log line of the call.
        let host = error.url().and_then(host_and_port);
        let error = error.without_url();
        if let Some(refused) = find_refused(&error) {
            return self.refused_address(&refused.clone());
        }
        let (whom, what) = (self.whom(), self.what);
        if error.is_builder() {
            return PortError::permanent(
                Kind::Invalid,
                format!("\"{what}\" can't be asked of {whom}: the request is not valid."),
            )
            .with_source(error);
        }
        if let Some(reason) = find_certificate(&error) {
            return PortError::permanent(
                Kind::Invalid,
                format!(
                    "{whom} was not asked for \"{what}\": the certificate of {} is not accepted ({reason}). If it is the right one, name a \
                     PEM file with the authority that has issued it: `cafile` in section [site:{}] of protector.conf, or in [security] \
                     for all sites.",
                    host.as_deref().unwrap_or("its endpoint"),
                    self.site
                ),
            )
            .with_source(error);
        }
        if error.is_connect() {
            return PortError::retryable(format!(
                "{whom} can't be reached for \"{what}\": {}.",
                sentence_part(&innermost(&error))
            ))
            .with_source(error);
        }
        let message = if error.is_timeout() {
            format!("{whom} did not answer \"{what}\" in time{}.", self.doubt())
        } else {
            format!(
                "{whom} broke the connection before \"{what}\" was answered{}.",
                self.doubt()
            )
        };
        PortError::new(self.unknown(), Kind::Unavailable, message).with_source(error)
    }

    pub fn out_of_time(&self) -> PortError {
        let message = format!(
            "{} did not answer \"{}\" in time{}.",
            self.whom(),
            self.what,
            self.doubt()
        );
        PortError::new(self.unknown(), Kind::Unavailable, message)
    }

    /// The deadline passed before the request was sent.
    pub fn not_sent(&self) -> PortError {
        PortError::retryable(format!(
            "\"{}\" was not sent to {}: too many calls were waiting there.",
            self.what,
            self.whom()
        ))
    }

    pub fn refused_address(&self, refused: &Refused) -> PortError {
        PortError::permanent(
            Kind::Invalid,
            format!("\"{}\" was not sent to {}: {refused}.", self.what, self.whom()),
        )
    }

    pub fn too_long(&self, limit: usize) -> PortError {
        let class = if self.changes {
            Class::Ambiguous
        } else {
            Class::Permanent
        };
        PortError::new(
            class,
            Kind::Protocol,
            format!(
                "{} answered \"{}\" with more than {limit} bytes{}.",
                self.whom(),
                self.what,
                self.doubt()
            ),
        )
    }

    /// A success whose body isn't what the call's documentation promises.
    pub fn nonsense(&self, answer: &Answer, why: &str) -> PortError {
        let json = serde_json::from_slice::<serde::de::IgnoredAny>(&answer.body).is_ok();
        let class = match (self.changes, json) {
            (true, _) => Class::Ambiguous,
            // Most likely a proxy's page in the service's place: that passes.
            (false, false) => Class::Retryable,
            (false, true) => Class::Permanent,
        };
        let what = if json {
            format!("in an unexpected form ({})", without_values(why))
        } else {
            "with something that is not JSON".to_owned()
        };
        self.nonsensical(answer, class, &what)
    }

    /// A success that is no payload. Its words are not repeated: they may be a secret all the same.
    pub fn no_payload(&self, answer: &Answer, class: Class, what: &str) -> PortError {
        self.nonsensical(answer, class, what)
    }

    fn nonsensical(&self, answer: &Answer, class: Class, what: &str) -> PortError {
        let message = format!(
            "{} answered \"{}\" {what}{} (HTTP {}).",
            self.whom(),
            self.what,
            self.doubt(),
            answer.status.as_u16()
        );
        self.dressed(
            PortError::new(class, Kind::Protocol, self.redacted(message)),
            answer,
        )
    }

    /// An answer that isn't a success.
    pub fn refused(&self, answer: &Answer) -> PortError {
        let code = answer.status.as_u16();
        let fault = Fault::read(&answer.body);
        let (class, kind) = self.sort(answer.status, &fault);
        let verb = match (kind, code) {
            (Kind::Protocol, _) => "answered",
            (_, 500..) => "failed at",
            _ => "refused",
        };
        let words = fault
            .words
            .as_deref()
            .map(|words| format!(": {}", words))
            .unwrap_or_else(|| match kind {
                Kind::Protocol if (300..400).contains(&code) => {
                    " with a redirection, which is not followed".to_owned()
                }
                Kind::Protocol => " with something that is not one of its own answers".to_owned(),
                _ => String::new(),
            });
        let message = format!("{} {verb} \"{}\"{words} (HTTP {code})", self.whom(), self.what);
        self.dressed(PortError::new(class, kind, self.redacted(message)), answer)
    }

    fn sort(&self, status: StatusCode, fault: &Fault) -> (Class, Kind) {
        let permanent = |kind| (Class::Permanent, kind);
        match status.as_u16() {
            300..=399 => permanent(Kind::Protocol),
            401 => permanent(Kind::Unauthorized),
            403 if fault.says("quota exceeded") => permanent(Kind::Quota),
            403 => permanent(Kind::Forbidden),
            // Only the service itself can say that something of its own is gone; an unknown path or a proxy can't.
            404 if fault.is_own => permanent(Kind::NotFound),
            404 => (Class::Retryable, Kind::Protocol),
            409 if fault.kind.as_deref() == Some("OverQuota") => permanent(Kind::Quota),
            409 => permanent(Kind::Conflict),
            413 => permanent(Kind::Quota),
            429 | 503 => (Class::Retryable, Kind::Unavailable),
            408 => (self.unknown(), Kind::Unavailable),
            400..=499 => permanent(Kind::Invalid),
            500..=599 => (self.unknown(), Kind::Unavailable),
            _ => (self.unknown(), Kind::Protocol),
        }
    }

    fn dressed(&self, mut error: PortError, answer: &Answer) -> PortError {
        error.status = Some(answer.status.as_u16());
        error.request_id = answer.request_id.clone();
        error
    }

    fn redacted(&self, mut text: String) -> String {
        for secret in &self.secrets {
            let secret = secret.expose_secret();
            if !secret.is_empty() && text.contains(secret) {
                text = text.replace(secret, "***");
            }
        }
        text
    }
}

/// An OpenStack service's error body.
#[derive(Debug, Default, PartialEq)]
struct Fault {
    /// Whether it has the form in which that service reports faults of its own.
    is_own: bool,
    /// Neutron's name for it.
    kind: Option<String>,
    words: Option<String>,
}

impl Fault {
    /// Nova and Cinder: `{"<fault>": {"code", "message"}}`; Keystone: `{"error": {...}}`; Barbican: `{"code", "title",
    /// "description"}`; Neutron:
    /// `{"NeutronError": {"type", "message", "detail"}}`; the web frameworks below them: `{"message", "code", "title"}`.
    fn read(body: &[u8]) -> Fault {
        let Ok(Value::Object(top)) = serde_json::from_slice(body) else {
            return Fault::default();
        };
        for value in top.values() {
            if let Value::Object(fault) = value
                && let Some(Value::String(message)) = fault.get("message")
            {
                return Fault {
                    is_own: true,
                    kind: fault.get("type").and_then(Value::as_str).map(str::to_owned),
                    words: cleaned(message),
                };
            }
        }
        // Barbican, which gives its code as a number and no message.
        if let (Some(Value::Number(_)), Some(Value::String(title))) = (top.get("code"), top.get("title")) {
            // It has no words about a path that it doesn't know.
            let words = top.get("description").and_then(Value::as_str).and_then(cleaned);
            return Fault {
                is_own: words.is_some(),
                kind: None,
                words: words.or_else(|| cleaned(title)),
            };
        }
        if let Some(Value::String(message)) = top.get("NeutronError") {
            return Fault {
                is_own: true,
                kind: None,
                words: cleaned(message),
            };
        }
        Fault {
            is_own: false,
            kind: None,
            words: top.get("message").and_then(Value::as_str).and_then(cleaned),
        }
    }

    fn says(&self, lower: &str) -> bool {
        self.words
            .as_deref()
            .is_some_and(|words| words.to_ascii_lowercase().contains(lower))
    }
}

/// One line of bounded length, without markup and control characters.
fn cleaned(text: &str) -> Option<String> {
    let mut line = String::new();
    let mut in_tag = false;
    for c in text.chars().take(8 * MAX_WORDS) {
        match c {
            '<' if text.contains("<br") => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                line.push(' ');
            }
            _ if in_tag => {}
            c if c.is_control() || c.is_whitespace() => line.push(' '),
            c => line.push(c),
        }
    }
    let mut words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() > MAX_WORDS {
        words = words.chars().take(MAX_WORDS).chain("...".chars()).collect();
    }
    if words.is_empty() { None } else { Some(words) }
}

/// A parser quotes what it stumbled over; that can be anything.
fn without_values(why: &str) -> String {
    let quoted = why
        .find('"')
        .zip(why.rfind('"'))
        .filter(|(first, last)| first < last);
    let plain = quoted.map(|(first, last)| format!("{}...{}", &why[..first], &why[last + 1..]));
    cleaned(&plain.unwrap_or_else(|| why.to_owned())).unwrap_or_default()
}

fn find_refused<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Refused> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(refused);
        }
        next = error.source();
    }
    None
}

/// Why the other end's certificate was refused, if that is what happened.
fn find_certificate(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(reason)) = error.downcast_ref() {
            return Some(match reason {
                rustls::CertificateError::UnknownIssuer => "its issuer is not known here".to_owned(),
                other => sentence_part(&other.to_string()),
            });
        }
        // An I/O error shows the source of what it wraps, and not that itself.
        let wrapped = error
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref());
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn host_and_port(url: &url::Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// `Connection refused (os error 111)` as the end of a sentence of ours.
fn sentence_part(text: &str) -> String {
    let text = cleaned(text).unwrap_or_default();
    let text = text
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if chars.as_str().chars().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(changes: bool) -> Ask<'static> {
        Ask {
            service: Service::Volume,
            site: "site-b",
            what: "manage volume",
            changes,
            secrets: vec![],
        }
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            body: body.to_owned().into_bytes().into(),
            request_id: Some("req-1".into()),
            retry_after: None,
            subject_token: None,
            is_text: false,
        }
    }

    #[track_caller]
    fn sorted(changes: bool, status: u16, body: &str) -> (Class, Kind) {
        let error = ask(changes).refused(&answer(status, body));
        assert_eq!(error.status, Some(status));
        (error.class, error.kind)
    }

    #[test]
    fn a_policy_refusal_carries_the_services_own_words() {
        let error = ask(true).refused(&answer(
            403,
            r#"{"forbidden": {"code": 403, "message": "Policy doesn't allow volume_extension:volume_manage to be performed."}}"#,
        ));
        assert_eq!(
            error.to_string(),
            "Cinder at site-b refused \"manage volume\": Policy doesn't allow volume_extension:volume_manage to be performed. (HTTP 403)"
        );
        assert_eq!((error.class, error.kind), (Class::Permanent, Kind::Forbidden));
        assert_eq!(error.request_id.as_deref(), Some("req-1"));
    }

    #[test]
    fn quotas_come_in_three_forms() {
        assert_eq!(
            sorted(
                true,
                403,
                r#"{"forbidden": {"code": 403, "message": "Quota exceeded for cores: Requested 4"}}"#
            ),
            (Class::Permanent, Kind::Quota)
        );
        assert_eq!(
            sorted(
                true,
                413,
                r#"{"overLimit": {"code": 413, "message": "VolumeLimitExceeded", "retryAfter": "0"}}"#
            ),
            (Class::Permanent, Kind::Quota)
        );
        assert_eq!(
            sorted(
                true,
                409,
                r#"{"NeutronError": {"type": "OverQuota", "message": "Quota exceeded for resources: ['port'].", "detail": ""}}"#
            ),
            (Class::Permanent, Kind::Quota)
        );
    }

    #[test]
    fn a_change_with_a_server_error_is_in_doubt_and_a_read_is_not() {
        for status in [500, 502, 504] {
            assert_eq!(
                sorted(true, status, "<html>"),
                (Class::Ambiguous, Kind::Unavailable)
            );
            assert_eq!(
                sorted(false, status, "<html>"),
                (Class::Retryable, Kind::Unavailable)
            );
        }
        for status in [429, 503] {
            assert_eq!(sorted(true, status, ""), (Class::Retryable, Kind::Unavailable));
        }
    }

    #[test]
    fn only_the_service_itself_can_say_that_something_is_gone() {
        let own = r#"{"itemNotFound": {"code": 404, "message": "Volume x could not be found."}}"#;
        assert_eq!(sorted(false, 404, own), (Class::Permanent, Kind::NotFound));
        for other in [
            "<html>404</html>",
            "",
            r#"{"code": 404, "title": "Not Found", "description": ""}"#,
            r#"{"message": "The resource could not be found.<br /><br />\n", "code": "404 Not Found", "title": "Not Found"}"#,
        ] {
            assert_eq!(
                sorted(false, 404, other),
                (Class::Retryable, Kind::Protocol),
                "{other}"
            );
        }
    }

    #[test]
    fn barbican_has_a_form_of_its_own() {
        let own = r#"{"code": 404, "title": "Not Found", "description": "Secret not found."}"#;
        assert_eq!(sorted(false, 404, own), (Class::Permanent, Kind::NotFound));
        let error = ask(false).refused(&answer(404, own));
        assert!(error.message.contains("Secret not found."), "{error}");
    }

    #[test]
    fn secrets_that_a_service_repeats_are_struck_out() {
        let secret = SecretString::from("5f2c0ffee");
        let ask = Ask {
            secrets: vec![&secret],
            ..ask(true)
        };
        let error = ask.refused(&answer(
            404,
            r#"{"error": {"code": 404, "message": "Could not find trust: 5f2c0ffee."}}"#,
        ));
        assert!(error.message.contains("Could not find trust: ***."), "{error}");
        assert!(!format!("{error:?}").contains("5f2c0ffee"));
    }

    #[test]
    fn a_parsers_quotation_is_left_out() {
        let error = serde_json::from_str::<u8>("\"pass\\\"word\"")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("word") && !without_values(&error).contains("word"),
            "{error}"
        );
        assert_eq!(without_values("missing field `id`"), "missing field `id`");
    }

    #[test]
    fn words_are_one_bounded_line() {
        let words = cleaned(&"a\nb\u{1b}[31m<br />".repeat(500)).unwrap();
        assert!(words.chars().count() <= MAX_WORDS + 3);
        assert!(!words.contains(['\n', '\u{1b}', '<']));
    }
}
