//! Failures of the outside world, sorted by what may be done about them.

use std::fmt;

/// What may be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing happened, and it may work later.
    Retryable,
    /// Nothing happened, and asking again won't change that.
    Permanent,
    /// The answer was lost: it may or may not have happened. Look before doing it again or undoing it.
    Ambiguous,
}

/// What went wrong, as far as the caller has to tell cases apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    NotFound,
    /// A policy or role forbids it.
    Forbidden,
    /// Our own credentials or trust are not accepted.
    Unauthorized,
    Quota,
    /// The thing is in a state that doesn't allow it, or its name or address is taken.
    Conflict,
    /// The request itself is wrong.
    Invalid,
    /// Connection, timeout, overload, 5xx.
    Unavailable,
    /// The answer makes no sense.
    Protocol,
}

/// A failed call. `Display` says what was asked of whom and what came back; the cause is the source.
#[derive(Debug)]
pub struct PortError {
    pub class: Class,
    pub kind: Kind,
    /// A whole sentence for the operator, e.g. `Cinder at site-b refused "manage volume": quota exceeded`.
    pub message: String,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The service's own request id, for its log.
    pub request_id: Option<String>,
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

pub type PortResult<T> = Result<T, PortError>;

impl PortError {
    pub fn new(class: Class, kind: Kind, message: impl Into<String>) -> Self {
        Self {
            class,
            kind,
            message: message.into(),
            status: None,
            request_id: None,
            source: None,
        }
    }

    pub fn permanent(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(Class::Permanent, kind, message)
    }

    pub fn retryable(message: impl Into<String>) -> Self {
        Self::new(Class::Retryable, Kind::Unavailable, message)
    }

    pub fn ambiguous(message: impl Into<String>) -> Self {
        Self::new(Class::Ambiguous, Kind::Unavailable, message)
    }

    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    pub fn is(&self, kind: Kind) -> bool {
        self.kind == kind
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PortError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// Absence is often an answer and not a failure.
pub trait Absent<T> {
    /// `None` where the thing isn't there.
    fn absent(self) -> PortResult<Option<T>>;
}

impl<T> Absent<T> for PortResult<T> {
    fn absent(self) -> PortResult<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is(Kind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
