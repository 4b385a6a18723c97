//! Keypairs that an operation makes for the tenant, and which of them it may take back.

use std::time::Duration;

use protector_domain::{OperationId, Outcome};
use protector_ports::cloud::Keypair;
use protector_saga::{Event, Journal};
use protector_sim::cloud::{Delays, Settings};
use protector_sim::http::{Action, Rule};
use protector_workflows::ImportAs;
use serde_json::json;

use crate::lab::{DELAYS, Lab};

const KEY: &str = "demo-key";

async fn key(lab: &Lab, site: &str) -> Option<Keypair> {
    lab.cloud.keypair(&lab.user(site, "demo"), KEY, None).await.ok()
}

/// The tenant has no keypair at `site-b`.
async fn bare() -> Lab {
    let lab = Lab::start().await;
    let demo = lab.user("site-b", "demo");
    lab.cloud.delete_keypair(&demo, KEY, None).await.unwrap();
    assert_eq!(key(&lab, "site-b").await, None);
    lab
}

fn no_host(lab: &Lab) {
    lab.set(Settings {
        build_fails: Some(vec![("db".to_owned(), "No valid host was found.".to_owned())]),
        ..Settings::default()
    });
}

/// The journal has it at once; the operation's row is drawn anew only now and then.
async fn is_done(lab: &Lab, id: OperationId, step: &str) -> bool {
    let journal = lab.store.events(id.into()).await.unwrap();
    let mut events = journal.iter().map(|record| &record.event);
    events.any(|event| matches!(event, Event::Done { step: done, .. } if done == step))
}

#[tokio::test]
async fn a_missing_keypair_is_made_and_stays_with_the_servers() {
    let lab = bare().await;
    let ended = lab.failover(ImportAs::Service).await;
    assert_eq!(ended.outcome, Some(Outcome::Completed), "{ended:#?}");
    let (there, here) = (
        key(&lab, "site-b").await.unwrap(),
        key(&lab, "site-a").await.unwrap(),
    );
    assert_eq!(there.public_key, here.public_key);
    let servers = lab
        .cloud
        .servers(&lab.user("site-b", "demo"), false)
        .await
        .unwrap();
    assert_eq!(servers[0].key_name.as_deref(), Some(KEY));
}

#[tokio::test]
async fn a_rollback_takes_the_new_keypair_back() {
    let lab = bare().await;
    no_host(&lab);
    let ended = lab.failover(ImportAs::Service).await;
    assert_eq!(ended.outcome, Some(Outcome::RolledBack), "{ended:#?}");
    assert_eq!(lab.calls("POST", "/os-keypairs").len(), 1);
    assert_eq!(key(&lab, "site-b").await, None);
    assert_eq!(ended.result_data, json!({ "left_behind": [] }));
}

#[tokio::test]
async fn a_rollback_leaves_the_keypair_that_was_there() {
    let lab = Lab::start().await;
    no_host(&lab);
    let ended = lab.failover(ImportAs::Service).await;
    assert_eq!(ended.outcome, Some(Outcome::RolledBack), "{ended:#?}");
    assert!(key(&lab, "site-b").await.is_some());
    assert!(lab.calls("DELETE", "/os-keypairs").is_empty());
    assert_eq!(ended.result_data, json!({ "left_behind": [] }));
}

#[tokio::test]
async fn a_keypair_whose_origin_was_lost_is_left_and_listed() {
    let lab = bare().await;
    no_host(&lab);
    // Nova makes it, and nobody hears of that: the user might have made it at the same moment.
    let faults = lab.sites.cloud("site-b").unwrap().faults();
    let lost = Rule::on("POST", "/os-keypairs$").times(1).act(Action::LostAnswer);
    faults.add(lost).unwrap();
    let ended = lab.failover(ImportAs::Service).await;
    assert_eq!(ended.outcome, Some(Outcome::RolledBack), "{ended:#?}");
    assert!(key(&lab, "site-b").await.is_some());
    let wanted = json!([{"kind": "keypair", "id": KEY, "name": KEY, "status": "in_doubt", "site": "site-b"}]);
    assert_eq!(ended.result_data["left_behind"], wanted);
    let message = ended.error_message.unwrap();
    assert!(message.contains("keypair demo-key (in_doubt)"), "{message}");
}

#[tokio::test]
async fn a_keypair_that_its_user_has_replaced_is_his() {
    let lab = bare().await;
    no_host(&lab);
    lab.set(Settings {
        delays: Some(Delays {
            build: 1500,
            ..DELAYS
        }),
        ..Settings::default()
    });
    let id = lab.order().await;
    let _engine = lab.engine(ImportAs::Service);
    while !is_done(&lab, id, "create-keypairs").await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let demo = lab.user("site-b", "demo");
    lab.cloud.delete_keypair(&demo, KEY, None).await.unwrap();
    let own = Keypair {
        name: KEY.to_owned(),
        public_key: "ssh-ed25519 AAAAanother".to_owned(),
        key_type: "ssh".to_owned(),
    };
    assert!(lab.cloud.create_keypair(&demo, &own).await.unwrap());
    let ended = lab.ended(id).await;
    assert_eq!(ended.outcome, Some(Outcome::RolledBack), "{ended:#?}");
    assert_eq!(key(&lab, "site-b").await.unwrap().public_key, own.public_key);
    assert_eq!(ended.result_data, json!({ "left_behind": [] }));
}

#[tokio::test]
async fn a_keypair_is_taken_back_from_the_user_who_got_it() {
    let lab = bare().await;
    no_host(&lab);
    lab.set(Settings {
        delays: Some(Delays {
            build: 1500,
            ..DELAYS
        }),
        ..Settings::default()
    });
    let id = lab.order().await;
    let engine = lab.engine(ImportAs::Service);
    while !is_done(&lab, id, "create-keypairs").await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(engine);
    // Meanwhile another member's trust stands in for the first one's.
    lab.trust_of_the_administrator().await;
    let _engine = lab.engine(ImportAs::Service);
    let ended = lab.ended(id).await;
    assert_eq!(ended.outcome, Some(Outcome::RolledBack), "{ended:#?}");
    assert_eq!(key(&lab, "site-b").await, None);
    let deleted = lab.calls("DELETE", "/os-keypairs").pop().unwrap();
    assert!(
        deleted.query.iter().any(|(name, _)| name == "user_id"),
        "{deleted:?}"
    );
}
