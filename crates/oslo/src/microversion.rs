//! Microversions: `OpenStack-API-Version: <service type> <version>`.
//!
//! A client that asks for none gets the oldest, so that what worked goes on working.

use std::fmt;
use std::str::FromStr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::faults::Fault;

pub const HEADER: HeaderName = HeaderName::from_static("openstack-api-version");

/// The version that a request is served in; in its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
}

impl Version {
    pub const fn new(major: u32, minor: u32) -> Self {
        Version { major, minor }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a version is written as two numbers, such as 1.0")]
pub struct NoVersion;

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let number = |text: &str| {
            let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
            if plain {
                text.parse().map_err(|_| NoVersion)
            } else {
                Err(NoVersion)
            }
        };
        let (major, minor) = text.split_once('.').ok_or(NoVersion)?;
        Ok(Version {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

/// What a service speaks.
#[derive(Debug, Clone, Copy)]
pub struct Microversions {
    pub service_type: &'static str,
    pub min: Version,
    pub max: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Malformed,
    OutOfRange(Version),
}

impl Microversions {
    /// The header may hold versions for several services, joined by commas or repeated; the first of ours counts.
    fn choose(&self, headers: &HeaderMap) -> Result<Version, Refusal> {
        let asked = headers
            .get_all(HEADER)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .find_map(|item| {
                let mut words = item.split_whitespace();
                (words.next()?.eq_ignore_ascii_case(self.service_type)).then(|| (words.next(), words.next()))
            });
        match asked {
            None => Ok(self.min),
            Some((Some(word), None)) if word.eq_ignore_ascii_case("latest") => Ok(self.max),
            Some((Some(word), None)) => {
                let version = word.parse().map_err(|_| Refusal::Malformed)?;
                if (self.min..=self.max).contains(&version) {
                    Ok(version)
                } else {
                    Err(Refusal::OutOfRange(version))
                }
            }
            Some(_) => Err(Refusal::Malformed),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        match refusal {
            Refusal::Malformed => Fault::bad_request(format!(
                "API Version String in the header {} is of invalid format: it must be '{} MajorNum.MinorNum' or '{} latest'.",
                "OpenStack-API-Version", self.service_type, self.service_type,
            ))
            .into_response(),
            Refusal::OutOfRange(version) => {
                let (min, max) = (self.min, self.max);
                let message = format!(
                    "Version {version} is not supported by the API. Minimum is {min} and maximum is {max}."
                );
                let body = json!({"notAcceptable": {
                    "code": 406,
                    "message": message,
                    "min_version": min.to_string(),
                    "max_version": max.to_string(),
                }});
                (StatusCode::NOT_ACCEPTABLE, axum::Json(body)).into_response()
            }
        }
    }
}

/// `router.layer(axum::middleware::from_fn_with_state(microversions, negotiate))`
pub async fn negotiate(State(spoken): State<Microversions>, mut request: Request, next: Next) -> Response {
    let (served, mut response) = match spoken.choose(request.headers()) {
        Ok(version) => {
            request.extensions_mut().insert(version);
            (version, next.run(request).await)
        }
        Err(refusal) => (spoken.max, spoken.refuse(refusal)),
    };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&format!("{} {served}", spoken.service_type)) {
        headers.insert(HEADER, value);
    }
    // Caches must not mix the versions up.
    headers.append(header::VARY, HeaderValue::from_static("OpenStack-API-Version"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use proptest::prelude::*;
    use tower::ServiceExt;

    const SPOKEN: Microversions = Microversions {
        service_type: "protector",
        min: Version::new(1, 0),
        max: Version::new(1, 10),
    };

    fn choose(values: &[&str]) -> Result<Version, Refusal> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_str(value).unwrap());
        }
        SPOKEN.choose(&headers)
    }

    #[test]
    fn the_header_chooses() {
        for (values, chosen) in [
            (&[][..], Version::new(1, 0)),
            (&["protector 1.10"], Version::new(1, 10)),
            (&["Protector LATEST"], Version::new(1, 10)),
            (&["compute 2.87"], Version::new(1, 0)),
            (&["compute 2.87, protector 1.1,volume latest"], Version::new(1, 1)),
            (&["compute 2.87", "protector 1.2"], Version::new(1, 2)),
            (&[",, "], Version::new(1, 0)),
        ] {
            assert_eq!(choose(values), Ok(chosen), "{values:?}");
        }
        for wrong in [
            "protector",
            "protector 1",
            "protector 1.x",
            "protector 1.01",
            "protector 1.1 x",
            "protector +1.1",
        ] {
            assert_eq!(choose(&[wrong]), Err(Refusal::Malformed), "{wrong}");
        }
        assert_eq!(
            choose(&["protector 1.11"]),
            Err(Refusal::OutOfRange(Version::new(1, 11)))
        );
        assert_eq!(
            choose(&["protector 0.9"]),
            Err(Refusal::OutOfRange(Version::new(0, 9)))
        );
        assert!(choose(&["protector 1.99999999999"]).is_err());
    }

    async fn ask(value: &str) -> (u16, HeaderMap, String) {
        let app = Router::new()
            .route(
                "/",
                get(|axum::Extension(v): axum::Extension<Version>| async move { v.to_string() }),
            )
            .layer(axum::middleware::from_fn_with_state(SPOKEN, negotiate));
        let request = Request::get("/")
            .header(HEADER, value)
            .body(Body::empty())
            .unwrap();
        let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, 1000).await.unwrap();
        (
            parts.status.as_u16(),
            parts.headers,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn the_answer_says_which_version_served() {
        let (status, headers, body) = ask("protector latest").await;
        assert_eq!((status, body.as_str()), (200, "1.10"));
        assert_eq!(headers[HEADER], "protector 1.10");
        assert_eq!(headers[header::VARY], "OpenStack-API-Version");
    }

    #[tokio::test]
    async fn out_of_range_is_406_with_the_range() {
        let (status, headers, body) = ask("protector 2.0").await;
        assert_eq!(status, 406);
        assert!(
            body.contains(r#""min_version":"1.0","max_version":"1.10""#),
            "{body}"
        );
        assert!(headers.contains_key(HEADER) && headers.contains_key(header::VARY));
        assert_eq!(ask("protector two").await.0, 400);
    }

    proptest! {
        #[test]
        fn never_panics(value in "[ -~]{0,40}") {
            let _ = choose(&[&value]);
        }
    }
}
