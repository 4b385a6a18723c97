//! `/healthcheck`, for load balancers: 200 while the service can work, 503 with the reasons otherwise.
//!
//! A file can switch it off, which drains a node without stopping it. Checks run at once and under one time limit,
//! since a balancer counts a late answer as none. The answer is public, so a check's reason must hold no secrets.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::config::{Config, Declaration, Opt};

const DISABLE_BY_FILE: Opt<Option<String>> = Opt::string("healthcheck", "disable_by_file_path")
    .help("While this file is there, /healthcheck answers 503: load balancers take the node out.");

pub const OPTIONS: &[Declaration] = &[*DISABLE_BY_FILE.declaration()];

const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Something that the service can't work without.
#[async_trait::async_trait]
pub trait HealthCheck: Send + Sync {
    fn name(&self) -> &str;
    /// The reason why not, in a few words.
    async fn check(&self) -> Result<(), String>;
}

#[derive(Clone, Default)]
pub struct Health {
    checks: Vec<Arc<dyn HealthCheck>>,
    disabling_file: Option<PathBuf>,
}

impl Health {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn from_config(config: &Config) -> Self {
        Health {
            checks: Vec::new(),
            disabling_file: config.get(&DISABLE_BY_FILE).map(PathBuf::from),
        }
    }

    pub fn with(mut self, check: Arc<dyn HealthCheck>) -> Self {
        self.checks.push(check);
        self
    }

    pub fn disable_by_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.disabling_file = Some(path.into());
        self
    }

    /// Why the service can't work; empty if it can.
    pub async fn reasons(&self) -> Vec<String> {
        if let Some(path) = &self.disabling_file
            && tokio::fs::try_exists(path).await.unwrap_or(false)
        {
            return vec!["DISABLED BY FILE".to_owned()];
        }
        let mut running = tokio::task::JoinSet::new();
        for (index, check) in self.checks.iter().cloned().enumerate() {
            running.spawn(async move {
                let result = tokio::time::timeout(TIME_LIMIT, check.check()).await;
                let reason = match result {
                    Ok(result) => result.err(),
                    Err(_) => Some("no answer in time".to_owned()),
                };
                (index, reason.map(|reason| format!("{}: {reason}", check.name())))
            });
        }
        let mut found = Vec::new();
        while let Some(joined) = running.join_next().await {
            match joined {
                Ok((index, Some(reason))) => found.push((index, reason)),
                Ok((_, None)) => {}
                Err(_) => found.push((self.checks.len(), "a health check failed by itself".to_owned())),
            }
        }
        found.sort();
        found.into_iter().map(|(_, reason)| reason).collect()
    }
}

/// `Router::new().route("/healthcheck", get(healthcheck).with_state(health))`
pub async fn healthcheck(State(health): State<Health>, headers: HeaderMap) -> Response {
    let reasons = health.reasons().await;
    let (status, reasons) = match reasons.is_empty() {
        true => (StatusCode::OK, vec!["OK".to_owned()]),
        false => (StatusCode::SERVICE_UNAVAILABLE, reasons),
    };
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut response = if accept.contains("application/json") {
        (status, Json(json!({"detailed": false, "reasons": reasons}))).into_response()
    } else {
        (status, reasons.join("\n")).into_response()
    };
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static str, Result<(), String>);

    #[async_trait::async_trait]
    impl HealthCheck for Fixed {
        fn name(&self) -> &str {
            self.0
        }

        async fn check(&self) -> Result<(), String> {
            self.1.clone()
        }
    }

    struct Hanging;

    #[async_trait::async_trait]
    impl HealthCheck for Hanging {
        fn name(&self) -> &str {
            "broker"
        }

        async fn check(&self) -> Result<(), String> {
            std::future::pending().await
        }
    }

    async fn ask(health: &Health, accept: Option<&'static str>) -> (u16, String) {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, header::HeaderValue::from_static(accept));
        }
        let response = healthcheck(State(health.clone()), headers).await;
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn healthy_is_ok() {
        let health = Health::new().with(Arc::new(Fixed("database", Ok(()))));
        assert_eq!(ask(&health, None).await, (200, "OK".into()));
        let json = ask(&health, Some("application/json")).await;
        assert_eq!(json, (200, r#"{"detailed":false,"reasons":["OK"]}"#.into()));
    }

    #[tokio::test(start_paused = true)]
    async fn every_failing_check_is_named_in_order_and_a_hanging_one_is_cut() {
        let health = Health::new()
            .with(Arc::new(Hanging))
            .with(Arc::new(Fixed("database", Err("refused".into()))))
            .with(Arc::new(Fixed("keystone", Ok(()))));
        assert_eq!(
            ask(&health, Some("text/plain")).await,
            (503, "broker: no answer in time\ndatabase: refused".into())
        );
    }

    #[tokio::test]
    async fn a_file_takes_the_node_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("drain");
        let health = Health::new().disable_by_file(&path);
        assert_eq!(ask(&health, None).await.0, 200);
        std::fs::write(&path, "").unwrap();
        assert_eq!(ask(&health, None).await, (503, "DISABLED BY FILE".into()));
    }
}
