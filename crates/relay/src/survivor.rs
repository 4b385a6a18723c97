//! The site that survives: it is signed in to alone, and nothing here calls the other one.
//!
//! An unplanned failover is no modification. There is no statement to fetch and no receipt to wait for, because
//! there is nobody to give them.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::error::{Error, Result};
use crate::groups::INTERVAL;
use crate::site::Site;
use crate::types::{Group, Operation};

impl Site {
    /// Wait until this site has read what all servers of a group look like: from then on it could make them anew
    /// without the other site.
    pub async fn knows_the_servers(&self, group: &str, patience: Duration) -> Result<Group> {
        let until = Instant::now() + patience;
        loop {
            let now = self.group(group).await?;
            if now.facts_complete {
                return Ok(now);
            }
            if Instant::now() > until {
                let read = match &now.facts_read_at {
                    Some(at) => format!("last read some of it at {at}"),
                    None => "has never read it".to_owned(),
                };
                return Err(Error::Stuck(format!(
                    "{} doesn't know what all servers of the group {} look like; it {read}",
                    self.name(),
                    now.name
                )));
            }
            sleep(INTERVAL).await;
        }
    }

    /// Order that a group comes up at this site, the other one being lost. What was written there after the last
    /// replication is lost too.
    pub async fn take_over(&self, group: &str, mappings: &Value) -> Result<Operation> {
        let path = format!("/protection-groups/{group}/action");
        let order = json!({"failover": {"type": "unplanned", "mappings": mappings}});
        let answer = self.call(Method::POST, &path, Some(&order)).await?;
        self.read(&path, &answer, "operation")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};

    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::{get, post};
    use axum::{Json, Router};

    use super::*;
    use crate::{Login, Session, http_client};

    /// What the fake site was asked.
    #[derive(Clone, Default)]
    struct Asked {
        orders: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
        looks: Arc<AtomicU32>,
    }

    fn operation(status: &str) -> Json<Value> {
        Json(json!({"operation": {
            "id": "o", "protection_group_id": "g", "operation_type": "failover", "status": status
        }}))
    }

    /// Keystone and protector of one site in one server.
    async fn site(asked: Asked) -> Site {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let token = json!({"token": {"project": {"id": "p"}, "catalog": [{"type": "protector", "endpoints": [
            {"interface": "public", "url": format!("{root}/v1/p")}
        ]}]}});
        let router = Router::new()
            .route(
                "/v3/auth/tokens",
                post(async move || (StatusCode::CREATED, [("x-subject-token", "t")], Json(token))),
            )
            .route("/", get(async || Json(json!({"site": {"id": "b"}}))))
            .route(
                "/v1/p/protection-groups/g/action",
                post(
                    async |State(asked): State<Asked>, headers: HeaderMap, Json(body): Json<Value>| {
                        asked.orders.lock().unwrap().push((headers, body));
                        (StatusCode::ACCEPTED, operation("pending"))
                    },
                ),
            )
            .route(
                "/v1/p/operations/o",
                get(async |State(asked): State<Asked>| {
                    let before = asked.looks.fetch_add(1, Ordering::Relaxed);
                    operation(if before < 2 { "running" } else { "completed" })
                }),
            )
            .with_state(asked);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let login = Login::new("site-b", &format!("{root}/v3"), "demo", "secret".into(), "demo");
        let session = Session::sign_in(&http_client().unwrap(), login).await.unwrap();
        Site::find(session).await.unwrap()
    }

    #[tokio::test]
    async fn the_order_needs_no_word_of_the_other_site_and_is_watched_to_its_end() {
        let asked = Asked::default();
        let site = site(asked.clone()).await;
        let mappings = json!({"networks": {"front": "front-dr"}});
        let begun = site.take_over("g", &mappings).await.unwrap();
        let mut seen = Vec::new();
        let ended = site
            .watch(begun, Duration::from_millis(1), |now| {
                seen.push(now.status.clone())
            })
            .await
            .unwrap();
        assert!(ended.has_ended());
        assert_eq!(seen, ["pending", "running", "running", "completed"]);
        let orders = asked.orders.lock().unwrap();
        let [(headers, body)] = &orders[..] else {
            panic!("{} orders", orders.len());
        };
        assert_eq!(
            body,
            &json!({"failover": {"type": "unplanned", "mappings": mappings}})
        );
        assert!(headers.get(crate::site::STATEMENT).is_none());
    }
}
