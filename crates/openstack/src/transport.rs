//! One HTTP exchange, bounded in time, size, number and destination.
//!
//! No redirects (they could lead anywhere, with the token), no proxies of the environment (they would step
//! around the address policy), no retries of the library's own (it can't know what is safe to repeat).

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use protector_domain::SiteId;
use protector_ports::PortResult;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use crate::address::{AddressPolicy, CheckedResolver};
use crate::config::{ClientConfig, ConfigError};
use crate::failure::Ask;

/// As much of an error's body as can hold a fault.
const MAX_FAULT_BYTES: usize = 256 << 10;

pub(crate) struct Exchange<'a> {
    pub method: Method,
    pub url: Url,
    /// What a log may show of the path.
    pub shown_path: &'a str,
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
    /// The longest answer that makes sense, where that is known.
    pub longest: Option<usize>,
}

pub(crate) struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
    pub request_id: Option<String>,
    pub retry_after: Option<Duration>,
    /// Keystone's new token. Sensitive; never leaves `auth`.
    pub subject_token: Option<HeaderValue>,
    /// Whether it calls itself plain text.
    pub is_text: bool,
}

pub(crate) struct Transport {
    http: reqwest::Client,
    /// For sites with an authority of their own.
    site_http: BTreeMap<String, reqwest::Client>,
    addresses: AddressPolicy,
    max_body: usize,
    max_concurrency: usize,
    places: Mutex<HashMap<SiteId, Arc<Semaphore>>>,
}

impl Transport {
    pub fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        let site_http = config
            .site_cafiles
            .iter()
            .map(|(site, cafile)| Ok((site.clone(), Self::http(config, Some(cafile))?)))
            .collect::<Result<_, ConfigError>>()?;
        Ok(Self {
            http: Self::http(config, config.cafile.as_deref())?,
            site_http,
            addresses: config.addresses,
            max_body: config.max_body_bytes,
            max_concurrency: config.max_concurrency.max(1),
            places: Mutex::default(),
        })
    }

    fn http(config: &ClientConfig, cafile: Option<&Path>) -> Result<reqwest::Client, ConfigError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("openstack-protector/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(config.connect_timeout)
            // Shorter than the keep-alive of common web servers, so that a kept connection is rarely found dead.
            .pool_idle_timeout(Duration::from_secs(4))
            .pool_max_idle_per_host(config.max_concurrency)
            .dns_resolver(CheckedResolver {
                policy: config.addresses,
            });
        if let Some(path) = cafile {
            let pem = std::fs::read(path).map_err(|source| ConfigError::CaFile {
                path: path.to_owned(),
                source,
            })?;
            let certificates =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|source| ConfigError::CaContent {
                    path: path.to_owned(),
                    source: Some(source),
                })?;
            if certificates.is_empty() {
                return Err(ConfigError::CaContent {
                    path: path.to_owned(),
                    source: None,
                });
            }
            builder = builder.tls_certs_only(certificates);
        }
        if config.insecure {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        builder.build().map_err(ConfigError::Http)
    }

    /// Sends, and reads the whole answer. Any status is an answer.
    pub async fn exchange(
        &self,
        site: SiteId,
        ask: &Ask<'_>,
        exchange: Exchange<'_>,
        deadline: Instant,
    ) -> PortResult<Answer> {
        self.addresses
            .check(&exchange.url)
            .map_err(|refused| ask.refused_address(&refused))?;
        let places = self.places_at(site);
        let Ok(Ok(_place)) = tokio::time::timeout_at(deadline, places.acquire()).await else {
            return Err(ask.not_sent());
        };

        let started = Instant::now();
        let method = exchange.method.clone();
        let longest = exchange.longest.unwrap_or(self.max_body).min(self.max_body);
        let any_kind = !exchange.headers.contains_key(ACCEPT);
        let http = self.site_http.get(ask.site).unwrap_or(&self.http);
        let mut request = http
            .request(exchange.method, exchange.url)
            .headers(exchange.headers);
        if any_kind {
            request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
        }
        if let Some(body) = exchange.body {
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body);
        }
        let result = match tokio::time::timeout_at(deadline, self.read(ask, request, longest)).await {
            Ok(result) => result,
            Err(_) => Err(ask.out_of_time()),
        };
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (service, path) = (ask.service.name(), exchange.shown_path);
        match &result {
            Ok(answer) => tracing::debug!(
                site = ask.site, service, %method, path, status = answer.status.as_u16(), ms,
                request_id = answer.request_id.as_deref().unwrap_or_default(), "answered"
            ),
            Err(error) => {
                tracing::debug!(site = ask.site, service, %method, path, ms, class = ?error.class, "not answered")
            }
        }
        result
    }

    async fn read(
        &self,
        ask: &Ask<'_>,
        request: reqwest::RequestBuilder,
        longest: usize,
    ) -> PortResult<Answer> {
        let mut response = request.send().await.map_err(|error| ask.not_answered(error))?;
        let status = response.status();
        let headers = response.headers();
        let mut answer = Answer {
            status,
            body: Bytes::new(),
            request_id: ["x-openstack-request-id", "x-compute-request-id"]
                .iter()
                .find_map(|name| {
                    headers
                        .get(*name)?
                        .to_str()
                        .ok()
                        .map(|id| id.chars().take(80).collect())
                }),
            retry_after: headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.trim().parse().ok())
                .map(Duration::from_secs),
            subject_token: headers.get("x-subject-token").cloned(),
            is_text: headers.get(CONTENT_TYPE).is_some_and(is_text),
        };

        let failed = !status.is_success();
        let limit = if failed {
            self.max_body.min(MAX_FAULT_BYTES)
        } else {
            longest
        };
        if !failed
            && response
                .content_length()
                .is_some_and(|length| length > limit as u64)
        {
            return Err(ask.too_long(limit));
        }
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(None) => break,
                Ok(Some(chunk)) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
                // The status alone sorts a failure; its words are only for the message.
                Ok(Some(_)) | Err(_) if failed => break,
                Ok(Some(_)) => return Err(ask.too_long(limit)),
                Err(error) => return Err(ask.not_answered(error)),
            }
        }
        answer.body = body.freeze();
        Ok(answer)
    }

    fn places_at(&self, site: SiteId) -> Arc<Semaphore> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places
            .entry(site)
            .or_insert_with(|| Arc::new(Semaphore::new(self.max_concurrency)))
            .clone()
    }
}

fn is_text(kind: &HeaderValue) -> bool {
    let kind = kind.to_str().unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("text/plain")
}
