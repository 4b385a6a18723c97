//! What a FlashArray's failure means to those who know arrays by the trait only.

use std::fmt::Display;

use protector_flasharray as fa;
use protector_ports::{Class, Kind, PortError, PortResult};

/// Puts a failure in words: which array was asked to do what.
pub(crate) trait Explain<T> {
    /// `what` follows "asked to": `take the snapshot pg.dr-1`.
    fn explain(self, array: &fa::Array, what: impl Display) -> PortResult<T>;
}

impl<T> Explain<T> for Result<T, fa::Error> {
    fn explain(self, array: &fa::Array, what: impl Display) -> PortResult<T> {
        self.map_err(|error| failed(array.host(), what, error))
    }
}

fn failed(host: &str, what: impl Display, error: fa::Error) -> PortError {
    use fa::Kind as Fa;
    let (class, kind) = match error.kind {
        Fa::NotFound => (Class::Permanent, Kind::NotFound),
        Fa::Exists | Fa::Destroyed | Fa::Already | Fa::NotMember | Fa::InUse | Fa::Locked => {
            (Class::Permanent, Kind::Conflict)
        }
        Fa::Limit => (Class::Permanent, Kind::Quota),
        Fa::Invalid | Fa::Address => (Class::Permanent, Kind::Invalid),
        Fa::Unauthorized => (Class::Permanent, Kind::Unauthorized),
        Fa::Forbidden => (Class::Permanent, Kind::Forbidden),
        Fa::Busy | Fa::Unavailable => (Class::Retryable, Kind::Unavailable),
        Fa::Ambiguous => (Class::Ambiguous, Kind::Unavailable),
        Fa::Protocol => (Class::Permanent, Kind::Protocol),
    };
    let words = error.words.trim_end_matches('.');
    let message = match error.kind {
        Fa::Busy => format!("The array {host} is too busy to {what}: {words}."),
        Fa::Unauthorized => {
            format!("The array {host} could not be asked to {what}: {words}. Make its API token valid again.")
        }
        Fa::Unavailable | Fa::Address => {
            format!("The array {host} could not be asked to {what}: {words}.")
        }
        Fa::Ambiguous => format!("The array {host} was asked to {what}, but {words}."),
        Fa::Protocol => format!("The array {host} gave no usable answer when asked to {what}: {words}."),
        Fa::Locked => format!("The array {host} refused to {what}, as SafeMode protects it: {words}."),
        _ => format!("The array {host} refused to {what}: {words}."),
    };
    PortError {
        status: error.status,
        source: error.into_source(),
        ..PortError::new(class, kind, message)
    }
}

/// An address that no array can be asked at.
pub(crate) fn no_address(url: &str, error: fa::Error) -> PortError {
    // Someone may have put a password into it.
    let shown = match url.rsplit_once('@') {
        Some((_, host)) => format!("...@{host}"),
        None => url.to_owned(),
    };
    let shown: String = shown
        .chars()
        .take(200)
        .collect::<String>()
        .escape_debug()
        .to_string();
    let message = format!(
        "The array at '{shown}' can't be asked: {}.",
        error.words.trim_end_matches('.')
    );
    PortError {
        source: error.into_source(),
        ..PortError::permanent(Kind::Invalid, message)
    }
}

/// Something is as it must not be, and asking again won't change it.
pub(crate) fn conflict(message: String) -> PortError {
    PortError::permanent(Kind::Conflict, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_answer_is_in_doubt_and_a_refused_connection_is_not() {
        let lost = fa::Error::new(fa::Kind::Ambiguous, "it did not answer in time");
        let error = failed("fa-a", "take the snapshot pg.dr-1", lost);
        assert_eq!(error.class, Class::Ambiguous);
        assert_eq!(
            error.message,
            "The array fa-a was asked to take the snapshot pg.dr-1, but it did not answer in time."
        );
        let down = fa::Error::new(fa::Kind::Unavailable, "it could not be connected to");
        assert_eq!(failed("fa-a", "x", down).class, Class::Retryable);
        let locked = fa::Error::new(fa::Kind::Locked, "pg: locked");
        assert!(failed("fa-a", "destroy pg", locked).message.contains("SafeMode"));
    }

    #[test]
    fn passwords_in_an_address_are_not_repeated() {
        let error = no_address("https://me:secret@fa-a", fa::Error::new(fa::Kind::Invalid, "no"));
        assert_eq!(error.message, "The array at '...@fa-a' can't be asked: no.");
    }
}
