//! Errors as OpenStack's clients read them: `{"itemNotFound": {"code": 404, "message": "..."}}`.
//!
//! openstacksdk shows the message of this shape; of an answer in another shape users see the bare reason phrase.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The word that wraps a fault of this status. Statuses without a word of their own share the general one.
pub fn name(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "badRequest",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        406 => "notAcceptable",
        409 => "conflictingRequest",
        413 | 429 => "overLimit",
        415 => "badMediaType",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        code if code < 500 => "badRequest",
        _ => "computeFault",
    }
}

/// An error answer in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    status: StatusCode,
    name: &'static str,
    message: String,
    retry_after: Option<u64>,
}

impl Fault {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Fault {
            status,
            name: name(status),
            message: message.into(),
            retry_after: None,
        }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// For what must not be told; the cause belongs into the log, which the request id finds.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The server has either erred or is incapable of performing the requested operation.",
        )
    }

    /// Takes another word than the status's own, such as a service's name for its 500s.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Seconds until another attempt makes sense: in the body, and as a header.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn message(&self) -> &str {
        &self.message
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut inner = json!({"code": self.status.as_u16(), "message": self.message});
        if let Some(seconds) = self.retry_after {
            inner["retryAfter"] = json!(seconds.to_string());
        }
        let mut body = serde_json::Map::new();
        body.insert(self.name.to_owned(), inner);
        let mut response = (self.status, axum::Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_fault_has_its_word_code_and_message() {
        let response = Fault::not_found("Protection group x could not be found.").into_response();
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(
            body(response).await,
            r#"{"itemNotFound":{"code":404,"message":"Protection group x could not be found."}}"#
        );
    }

    #[tokio::test]
    async fn throttling_says_when_to_come_back() {
        let response = Fault::new(StatusCode::TOO_MANY_REQUESTS, "Slow down")
            .retry_after(3)
            .into_response();
        assert_eq!(response.headers()["retry-after"], "3");
        assert_eq!(
            body(response).await,
            r#"{"overLimit":{"code":429,"message":"Slow down","retryAfter":"3"}}"#
        );
    }

    #[test]
    fn every_error_status_has_a_word() {
        let words = [400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 501, 503]
            .map(|code| name(StatusCode::from_u16(code).unwrap()));
        assert_eq!(words[8], "badRequest");
        assert_eq!(words[10], "computeFault");
        assert_eq!(Fault::internal().named("protectorFault").name, "protectorFault");
    }
}
