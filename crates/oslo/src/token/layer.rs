//! The middleware: in front of every route that wants to know its caller.
//!
//! `router.layer(axum::middleware::from_fn_with_state(auth, authenticate))`; handlers then take
//! `Extension<Arc<Identity>>`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use serde_json::json;

use super::{LOG, TokenError, TokenValidator};
use crate::faults::Fault;

#[derive(Clone)]
pub struct AuthToken {
    validator: Arc<dyn TokenValidator>,
    challenge: HeaderValue,
}

impl AuthToken {
    /// `uri` is where clients are sent for a token. One that can't stand in a header is left out.
    pub fn new(validator: Arc<dyn TokenValidator>, uri: &str) -> Self {
        let challenge = HeaderValue::from_str(&format!("Keystone uri=\"{}\"", uri.replace('"', "%22")));
        AuthToken {
            validator,
            challenge: challenge.unwrap_or(HeaderValue::from_static("Keystone")),
        }
    }

    /// The answer to a request without a valid token, worded as keystonemiddleware does it.
    fn unauthorized(&self) -> Response {
        let body = json!({"error": {
            "code": 401,
            "title": "Unauthorized",
            "message": "The request you have made requires authentication.",
        }});
        let mut response = (StatusCode::UNAUTHORIZED, Json(body)).into_response();
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, self.challenge.clone());
        response
    }
}

/// Headers by which keystonemiddleware tells the service who is calling. A client that sends them wants to be
/// somebody else.
fn is_identity_header(name: &HeaderName) -> bool {
    const PREFIXES: [&str; 10] = [
        "x-identity-",
        "x-user",
        "x-project",
        "x-tenant",
        "x-domain",
        "x-role",
        "x-service-",
        "x-is-admin",
        "x-trust",
        "x-auth-type",
    ];
    let name = name.as_str();
    // Behind some servers `X_User_Id` and `X-User-Id` are one header.
    let name = name.replace('_', "-");
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || name == "x-system-scope"
        || name == "openstack-system-scope"
}

fn strip(headers: &mut HeaderMap) {
    let spoofed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_identity_header(name))
        .cloned()
        .collect();
    for name in spoofed {
        headers.remove(name);
    }
}

pub async fn authenticate(State(auth): State<AuthToken>, mut request: Request, next: Next) -> Response {
    strip(request.headers_mut());
    let token = request.headers_mut().remove("x-auth-token");
    let Some(token) = token.as_ref().and_then(|value| value.to_str().ok()) else {
        tracing::info!(target: LOG, "401 Unauthorized: the request has no X-Auth-Token");
        return auth.unauthorized();
    };
    let token = SecretString::from(token);
    match auth.validator.validate(&token).await {
        Ok(identity) => {
            let span = tracing::Span::current();
            span.record("user_id", identity.user_id.as_str());
            span.record("project_id", identity.project_id.as_deref().unwrap_or("-"));
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Err(TokenError::Invalid) => {
            tracing::warn!(target: LOG, "Authorization failed for token: it is unknown to this site's Keystone, expired or revoked (401 Unauthorized)");
            auth.unauthorized()
        }
        Err(error @ TokenError::Unavailable(_)) => {
            tracing::error!(target: LOG, "auth: answered 503, {error}");
            Fault::unavailable(
                "The identity service of this site cannot be asked about the token. Try again later.",
            )
            .into_response()
        }
    }
}
