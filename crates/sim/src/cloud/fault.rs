//! Refusals, in the shape of the service that speaks them.

use serde_json::{Value, json};

/// The services of a cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Identity,
    Compute,
    Volume,
    Network,
    Image,
    KeyManager,
}

impl Service {
    /// The prefix of its URL, which is also its name in the log of calls.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Compute => "compute",
            Self::Volume => "volume",
            Self::Network => "network",
            Self::Image => "image",
            Self::KeyManager => "key-manager",
        }
    }

    pub fn from_prefix(prefix: &str) -> Option<Self> {
        [
            Self::Identity,
            Self::Compute,
            Self::Volume,
            Self::Network,
            Self::Image,
            Self::KeyManager,
        ]
        .into_iter()
        .find(|service| service.prefix() == prefix)
    }
}

const NO_ROUTE: &str = "HTTPNotFound";

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub status: u16,
    /// What Neutron calls the `type` of the error.
    pub kind: &'static str,
    pub message: String,
}

impl Fault {
    pub fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
        }
    }

    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub fn unauthorized() -> Self {
        Self::new(
            401,
            "Unauthorized",
            "The request you have made requires authentication.",
        )
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "Forbidden", message)
    }

    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(404, "NotFound", message)
    }

    /// Nothing of the service's own code has seen the call.
    pub fn no_route() -> Self {
        Self::new(404, NO_ROUTE, "The resource could not be found.")
    }

    /// What the router itself answers, which isn't JSON in Nova and Cinder.
    pub fn text(&self, service: Service) -> Option<String> {
        let plain = self.kind == NO_ROUTE && matches!(service, Service::Compute | Service::Volume);
        plain.then(|| format!("404 Not Found\n\n{}\n\n   ", self.message))
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "Conflict", message)
    }

    pub fn body(&self, service: Service) -> Value {
        let (code, message) = (self.status, &self.message);
        match service {
            // The middleware in front of every service words this one like Keystone.
            _ if code == 401 => {
                json!({"error": {"code": code, "title": "Unauthorized", "message": message}})
            }
            Service::Identity => {
                json!({"error": {"code": code, "title": title(code), "message": message}})
            }
            Service::Network => {
                let kind = match self.kind {
                    "BadRequest" => "HTTPBadRequest",
                    kind => kind,
                };
                json!({"NeutronError": {"type": kind, "message": message, "detail": ""}})
            }
            Service::Image => {
                json!({"message": message, "code": format!("{code} {}", title(code)), "title": title(code)})
            }
            Service::KeyManager => {
                json!({"code": code, "title": title(code), "description": message})
            }
            Service::Compute | Service::Volume => {
                let name = match code {
                    400 => "badRequest",
                    403 => "forbidden",
                    404 => "itemNotFound",
                    405 => "badMethod",
                    409 => "conflictingRequest",
                    413 | 429 => "overLimit",
                    503 => "serviceUnavailable",
                    _ => "computeFault",
                };
                let mut fault = json!({"code": code, "message": message});
                if name == "overLimit" {
                    fault["retryAfter"] = json!("0");
                }
                let mut body = json!({});
                body[name] = fault;
                body
            }
        }
    }
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        409 => "Conflict",
        413 => "Request Entity Too Large",
        _ => "Internal Server Error",
    }
}
