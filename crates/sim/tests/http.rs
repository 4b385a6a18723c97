//! Faults over real connections, with and without TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use protector_sim::http::{
    Action, CallFilter, CallLog, Certificate, Faults, Rule, ServeOptions, Server, serve,
};
use serde_json::json;

struct Site {
    server: Server,
    faults: Faults,
    calls: CallLog,
    effects: Arc<AtomicU32>,
}

async fn site(tls: bool) -> Site {
    let effects = Arc::new(AtomicU32::new(0));
    let counter = effects.clone();
    let router = Router::new().route(
        "/things",
        post(async move || {
            counter.fetch_add(1, Ordering::SeqCst);
            "done"
        }),
    );
    let (faults, calls) = (Faults::default(), CallLog::default());
    let mut options = ServeOptions::local("things", faults.clone(), calls.clone());
    options.tls = tls.then(|| Certificate::make("things").unwrap());
    Site {
        server: serve(router, options).await.unwrap(),
        faults,
        calls,
        effects,
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .danger_accept_invalid_certs(true)
        .timeout(Duration::from_millis(700))
        .build()
        .unwrap()
}

impl Site {
    async fn call(&self) -> reqwest::Result<u16> {
        let url = format!("{}/things?name=a%20b", self.server.url());
        Ok(client()
            .post(url)
            .json(&json!({"x": 1}))
            .send()
            .await?
            .status()
            .as_u16())
    }
}

#[tokio::test]
async fn a_lost_answer_leaves_its_effect_behind() {
    for tls in [false, true] {
        let site = site(tls).await;
        site.faults
            .add(
                Rule::on("POST", "^/things$")
                    .query("name=a b")
                    .times(1)
                    .act(Action::LostAnswer),
            )
            .unwrap();
        let error = site.call().await.unwrap_err();
        assert!(!error.is_timeout(), "{error:?}");
        assert_eq!(site.effects.load(Ordering::SeqCst), 1);
        assert_eq!(site.call().await.unwrap(), 200);
        let calls = site.calls.calls(&CallFilter::default());
        assert_eq!((calls[0].status, calls[1].status), (None, Some(200)));
        assert_eq!(calls[0].body, Some(json!({"x": 1})));
        assert_eq!(calls[0].query, [("name".to_owned(), "a b".to_owned())]);
        site.server.shutdown().await;
    }
}

#[tokio::test]
async fn down_and_hanging_services_do_nothing() {
    for tls in [false, true] {
        let site = site(tls).await;
        site.faults.set_down(true);
        assert!(!site.call().await.unwrap_err().is_timeout());
        site.faults.clear();
        site.faults.set_hang(true);
        assert!(site.call().await.unwrap_err().is_timeout());
        site.faults.clear();
        assert_eq!(site.effects.load(Ordering::SeqCst), 0);
        assert_eq!(site.call().await.unwrap(), 200);
    }
}

#[tokio::test]
async fn a_swallowed_answer_times_out_and_a_canned_one_has_no_effect() {
    let site = site(false).await;
    site.faults
        .add(Rule::on("POST", "things").times(1).act(Action::Swallow))
        .unwrap();
    assert!(site.call().await.unwrap_err().is_timeout());
    assert_eq!(site.effects.load(Ordering::SeqCst), 1);
    site.faults
        .add(
            Rule::on("POST", "things")
                .times(1)
                .act(Action::status(429, json!({"message": "slow"}))),
        )
        .unwrap();
    assert_eq!(site.call().await.unwrap(), 429);
    assert_eq!(site.effects.load(Ordering::SeqCst), 1);
}
