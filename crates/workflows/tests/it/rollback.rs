//! What is left when an operation was taken back, and what is said of it.

use protector_domain::{GroupStatus, Operation, Outcome};
use protector_ports::Store;
use protector_ports::cloud::NewPort;
use protector_sim::cloud::Settings;
use protector_sim::http::{Action, Rule};
use protector_workflows::ImportAs;
use serde_json::{Value, json};

use crate::lab::Lab;

/// No server of `site-b` gets on its feet.
fn no_host(lab: &Lab) {
    lab.set(Settings {
        build_fails: Some(vec![("db".to_owned(), "No valid host was found.".to_owned())]),
        ..Settings::default()
    });
}

async fn is_as_before(lab: &Lab, ended: &Operation) {
    assert_eq!(ended.outcome, Some(Outcome::RolledBack), "{ended:#?}");
    let servers = lab
        .cloud
        .servers(&lab.user("site-a", "demo"), false)
        .await
        .unwrap();
    assert!(
        servers.iter().all(|server| server.status == "ACTIVE"),
        "{servers:?}"
    );
    let group = lab.store.group(lab.group).await.unwrap().unwrap();
    assert_eq!(group.status, GroupStatus::Active);
}

#[tokio::test]
async fn a_rollback_that_left_nothing_says_so() {
    let lab = Lab::start().await;
    no_host(&lab);
    let ended = lab.failover(ImportAs::Service).await;
    is_as_before(&lab, &ended).await;
    assert_eq!(ended.result_data, json!({ "left_behind": [] }));
    let message = ended.error_message.unwrap();
    assert!(
        message.contains("No valid host") && !message.contains("Left behind"),
        "{message}"
    );
}

#[tokio::test]
async fn nothing_is_looked_for_where_nothing_was_begun() {
    let lab = Lab::start().await;
    lab.set(Settings {
        volume_service_down: Some(true),
        ..Settings::default()
    });
    let ended = lab.failover(ImportAs::Service).await;
    is_as_before(&lab, &ended).await;
    assert_eq!(ended.result_data, json!({ "left_behind": [] }));
    assert!(lab.calls("GET", "/volume-transfers/detail").is_empty());
}

#[tokio::test]
async fn a_volume_that_cinder_can_neither_import_nor_delete_holds_nothing_up() {
    for (import_as, owner) in [(ImportAs::Service, "protector"), (ImportAs::Tenant, "demo")] {
        let lab = Lab::start().await;
        lab.set(Settings {
            manage_fails: Some("The array said no.".to_owned()),
            granted: Some(["volume_extension:volume_manage".to_owned()].into()),
            ..Settings::default()
        });
        let ended = lab.failover(import_as).await;
        is_as_before(&lab, &ended).await;

        let left = lab
            .cloud
            .volumes(&lab.user("site-b", owner), false)
            .await
            .unwrap();
        assert!(!left.is_empty());
        let told = ended.result_data["left_behind"].as_array().unwrap();
        assert_eq!(told.len(), left.len(), "{told:?}");
        for volume in &left {
            assert_eq!(volume.status, "error_deleting");
            let id = volume.id.as_str();
            let wanted = json!({
                "kind": "volume", "id": id, "name": volume.name, "status": "error_deleting", "site": "site-b"
            });
            assert!(told.contains(&wanted), "{wanted} is not in {told:?}");
            assert_eq!(lab.calls("DELETE", id).len(), 1, "asked once");
        }
        let message = ended.error_message.unwrap();
        for part in [
            "The array said no.",
            "Left behind at site 'site-b'",
            "error_deleting",
            "row",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let log = lab.store.sync_log(lab.group, None, 10).await.unwrap();
        assert!(
            log.iter().any(|entry| entry.message.contains("Left behind")),
            "{log:?}"
        );
        // Nothing of it is on the array, so the next one has a free way.
        lab.set(Settings {
            manage_fails: Some(String::new()),
            ..Settings::default()
        });
        let ended = lab.failover(import_as).await;
        assert_eq!(ended.outcome, Some(Outcome::Completed), "{ended:#?}");
    }
}

#[tokio::test]
async fn what_carries_the_mark_and_stays_is_listed() {
    let lab = Lab::start().await;
    no_host(&lab);
    let demo = lab.user("site-b", "demo");
    let networks = lab.cloud.networks(&demo).await.unwrap();
    let network = networks
        .into_iter()
        .find(|network| network.name == "demo-net")
        .unwrap();
    let id = lab.order().await;
    let port = NewPort {
        network_id: Some(network.id),
        name: "astray".to_owned(),
        description: format!("dr_operation_id={id} of nobody"),
        ..NewPort::default()
    };
    let port = lab.cloud.create_port(&demo, &port).await.unwrap();
    let _engine = lab.engine(ImportAs::Service);
    let ended = lab.ended(id).await;
    is_as_before(&lab, &ended).await;
    let told = &ended.result_data["left_behind"];
    assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
    assert_eq!(
        (&told[0]["kind"], &told[0]["id"]),
        (&json!("port"), &json!(port.id.as_str()))
    );
    assert!(ended.error_message.unwrap().contains("port 'astray'"));
}

#[tokio::test]
async fn what_nobody_could_look_at_is_not_called_nothing() {
    let lab = Lab::start().await;
    no_host(&lab);
    let faults = lab.sites.cloud("site-b").unwrap().faults();
    let broken = Rule::on("GET", "/volume-transfers/detail$").act(Action::status(500, json!({})));
    faults.add(broken).unwrap();
    let ended = lab.failover(ImportAs::Service).await;
    is_as_before(&lab, &ended).await;
    assert_eq!(ended.result_data["left_behind"], Value::Null);
    let reason = ended.result_data["left_behind_unknown"].as_str().unwrap();
    assert!(reason.contains("Cinder at site-b"), "{reason}");
    assert!(ended.error_message.unwrap().contains("is not known"));
}

#[tokio::test]
async fn new_volumes_that_are_in_a_group_are_taken_out_of_it() {
    let lab = Lab::start().await;
    no_host(&lab);
    let faults = lab.sites.cloud("site-b").unwrap().faults();
    let slow = Rule::on("POST", "/servers$").act(Action::Delay { millis: 3_000 });
    faults.add(slow).unwrap();
    let id = lab.order().await;
    let _engine = lab.engine(ImportAs::Service);
    // They are the tenant's by then.
    lab.called("POST", "/ports").await;
    let demo = lab.user("site-b", "demo");
    let volumes = lab.cloud.volumes(&demo, false).await.unwrap().into_iter();
    let volumes: Vec<_> = volumes.map(|volume| volume.id).collect();
    assert_eq!(volumes.len(), 2);
    let groups = lab.cloud.volume_groups(&demo, false).await.unwrap();
    let joined = lab.cloud.update_volume_group(&demo, &groups[0].id, &volumes, &[]);
    joined.await.unwrap();
    let ended = lab.ended(id).await;
    is_as_before(&lab, &ended).await;
    assert_eq!(ended.result_data, json!({ "left_behind": [] }));
}
