//! Why a connection failed, in the words that operators search their logs for.

use std::fmt;
use std::io;

use lapin::protocol::AMQPError;

/// A reason, ready for a log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason(String);

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A full stop follows in the line.
        out.write_str(self.0.trim_end_matches('.'))
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Reason(text.to_owned())
    }
}

impl From<lapin::Error> for Reason {
    fn from(error: lapin::Error) -> Self {
        match error.kind() {
            lapin::ErrorKind::IOError(error) => Reason(spelled(error)),
            lapin::ErrorKind::ProtocolError(error) => Reason(said(error)),
            _ => Reason(error.to_string()),
        }
    }
}

/// As Python spells it: `[Errno 111] Connection refused`.
fn spelled(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(code) => {
            let rust = format!(" (os error {code})");
            format!("[Errno {code}] {}", text.strip_suffix(&rust).unwrap_or(&text))
        }
        None => text,
    }
}

/// What the server said, as Python's clients print it: `(403) ACCESS_REFUSED - Login was refused ...`.
fn said(error: &AMQPError) -> String {
    format!("({}) {}", error.get_id(), error.get_message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_are_spelled_as_in_python() {
        let refused = lapin::Error::from(io::Error::from_raw_os_error(111));
        assert_eq!(
            Reason::from(refused).to_string(),
            "[Errno 111] Connection refused"
        );
        let other = lapin::Error::from(io::Error::other("no such name."));
        assert_eq!(Reason::from(other).to_string(), "no such name");
    }

    #[test]
    fn what_the_server_said_comes_with_its_number() {
        let text = "ACCESS_REFUSED - Login was refused.";
        let error = AMQPError::from_id(403, text.into()).unwrap();
        let error = lapin::Error::from(lapin::ErrorKind::ProtocolError(error));
        let shown = Reason::from(error).to_string();
        assert_eq!(shown, "(403) ACCESS_REFUSED - Login was refused");
    }
}
