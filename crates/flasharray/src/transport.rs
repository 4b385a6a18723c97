//! One HTTP exchange, bounded in time, size and destination.
//!
//! No redirects (they could lead anywhere, with the token), no proxies of the environment (they would step
//! around the address check), no retries of the library's own (it can't know what is safe to repeat).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::address::{AddressPolicy, CheckedResolver, Refused};
use crate::config::{ClientConfig, ConfigError};
use crate::error::{Error, Kind};

/// As much of an error's body as can hold what an array says.
const MAX_FAULT_BYTES: usize = 64 << 10;

pub(crate) struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
}

impl Request {
    pub fn changes(&self) -> bool {
        self.method != Method::GET
    }
}

pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub(crate) struct Transport {
    http: reqwest::Client,
    addresses: AddressPolicy,
    max_body: usize,
}

impl Transport {
    pub fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        let addresses = AddressPolicy {
            allow_loopback: config.allow_loopback,
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("openstack-protector/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(Duration::from_secs(4))
            .dns_resolver(CheckedResolver { policy: addresses });
        if let Some(path) = &config.cafile {
            let pem = std::fs::read(path).map_err(|source| ConfigError::CaFile {
                path: path.clone(),
                source,
            })?;
            let unusable = |source| ConfigError::CaContent {
                path: path.clone(),
                source,
            };
            let certificates =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|source| unusable(Some(source)))?;
            if certificates.is_empty() {
                return Err(unusable(None));
            }
            builder = builder.tls_certs_only(certificates);
        }
        if !config.verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        Ok(Self {
            http: builder.build().map_err(ConfigError::Http)?,
            addresses,
            max_body: config.max_body_bytes,
        })
    }

    pub fn check(&self, url: &Url) -> Result<(), Error> {
        self.addresses.check(url).map_err(refused)
    }

    /// Sends, and reads the whole answer. Any status is an answer.
    pub async fn exchange(&self, request: Request, deadline: Instant) -> Result<Answer, Error> {
        self.check(&request.url)?;
        if Instant::now() >= deadline {
            return Err(Error::new(Kind::Unavailable, "there was no time left to ask it"));
        }
        let changes = request.changes();
        let started = Instant::now();
        let (method, path) = (request.method.clone(), request.url.path().to_owned());
        let mut sending = self
            .http
            .request(request.method, request.url)
            .headers(request.headers);
        if let Some(body) = request.body {
            sending = sending.body(body);
        }
        let result = match tokio::time::timeout_at(deadline, self.read(sending, changes)).await {
            Ok(result) => result,
            Err(_) => Err(lost(changes, "it did not answer in time")),
        };
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(answer) => {
                tracing::debug!(%method, path, status = answer.status.as_u16(), ms, "array answered")
            }
            Err(error) => tracing::debug!(%method, path, ms, kind = ?error.kind, "array did not answer"),
        }
        result.map_err(|mut error| {
            error.call = Some(format!("{method} {path}"));
            error
        })
    }

    async fn read(&self, sending: reqwest::RequestBuilder, changes: bool) -> Result<Answer, Error> {
        let mut response = sending
            .send()
            .await
            .map_err(|error| not_answered(error, changes))?;
        let status = response.status();
        let headers = response.headers().clone();
        let failed = !status.is_success();
        let limit = if failed {
            self.max_body.min(MAX_FAULT_BYTES)
        } else {
            self.max_body
        };
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(None) => break,
                Ok(Some(chunk)) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
                // The status alone sorts a failure; its words are only for the message.
                Ok(Some(_)) | Err(_) if failed => break,
                Ok(Some(_)) => {
                    let kind = if changes { Kind::Ambiguous } else { Kind::Protocol };
                    return Err(Error::new(
                        kind,
                        format!("its answer is longer than {limit} bytes"),
                    ));
                }
                Err(error) => return Err(not_answered(error, changes)),
            }
        }
        Ok(Answer {
            status,
            headers,
            body: body.freeze(),
        })
    }
}

fn refused(refused: Refused) -> Error {
    Error::new(
        Kind::Address,
        format!("{refused}, which storage arrays may not have here"),
    )
}

fn lost(changes: bool, words: &str) -> Error {
    if changes {
        Error::new(
            Kind::Ambiguous,
            format!("{words}, so the change may or may not have happened"),
        )
    } else {
        Error::new(Kind::Unavailable, words)
    }
}

/// The exchange didn't come to an answer.
fn not_answered(error: reqwest::Error, changes: bool) -> Error {
    let error = error.without_url();
    if let Some(found) = find_refused(&error) {
        return refused(found.clone());
    }
    if error.is_builder() {
        return Error::invalid("the request can't be made").caused_by(error);
    }
    if error.is_connect() {
        let words = if error.is_timeout() {
            "it could not be connected to in time"
        } else {
            "it could not be connected to"
        };
        return Error::new(Kind::Unavailable, words).caused_by(error);
    }
    lost(changes, "the connection broke before it answered").caused_by(error)
}

fn find_refused(error: &reqwest::Error) -> Option<&Refused> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}
