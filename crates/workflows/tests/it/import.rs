//! As whom volumes are taken over, and what becomes of that when the option changes half-way.

use protector_domain::Outcome;
use protector_sim::cloud::{Delays, Settings};
use protector_sim::http::{Action, Rule};
use protector_workflows::ImportAs;
use serde_json::json;

use crate::lab::{DELAYS, Lab};

const RULE: &str = "volume_extension:volume_manage";

fn opened() -> Settings {
    Settings {
        granted: Some([RULE.to_owned()].into()),
        ..Settings::default()
    }
}

/// Ends of the paths of the transfers that were begun.
fn transfers(lab: &Lab) -> usize {
    lab.calls("POST", "/volume-transfers")
        .iter()
        .filter(|call| call.path.ends_with("/volume-transfers"))
        .count()
}

/// All new volumes are the tenant's, and in use.
async fn all_are_the_tenants(lab: &Lab) {
    let demo = lab.user("site-b", "demo");
    let project = lab.cloud.owner(&demo).await.unwrap().project_id;
    let volumes = lab
        .cloud
        .volumes(&lab.user("site-b", "protector"), true)
        .await
        .unwrap();
    assert_eq!(volumes.len(), 2);
    for volume in volumes {
        assert_eq!(volume.project_id.as_ref(), Some(&project), "{volume:?}");
        assert_eq!(volume.status, "in-use", "{volume:?}");
    }
}

#[tokio::test]
async fn the_service_imports_and_hands_over() {
    let lab = Lab::start().await;
    let ended = lab.failover(ImportAs::Service).await;
    assert_eq!(ended.outcome, Some(Outcome::Completed), "{ended:#?}");
    assert_eq!(transfers(&lab), 2);
    all_are_the_tenants(&lab).await;
}

#[tokio::test]
async fn the_tenant_imports_where_the_policy_lets_him() {
    let lab = Lab::start().await;
    lab.set(opened());
    let ended = lab.failover(ImportAs::Tenant).await;
    assert_eq!(ended.outcome, Some(Outcome::Completed), "{ended:#?}");
    let project = lab
        .cloud
        .owner(&lab.user("site-b", "demo"))
        .await
        .unwrap()
        .project_id;
    let managed = lab.calls("POST", "/manageable_volumes");
    assert_eq!(managed.len(), 2);
    for call in managed {
        assert!(call.path.contains(project.as_str()), "{}", call.path);
    }
    assert_eq!(transfers(&lab), 0);
    all_are_the_tenants(&lab).await;
    // What the guest's firmware needs goes along in either mode.
    let volumes = lab
        .cloud
        .volumes(&lab.user("site-b", "demo"), false)
        .await
        .unwrap();
    assert_eq!(volumes.iter().filter(|volume| volume.bootable).count(), 1);
    assert!(
        volumes
            .iter()
            .any(|volume| volume.image_metadata.contains_key("hw_disk_bus"))
    );
}

#[tokio::test]
async fn the_tenants_volumes_need_no_room_of_the_service() {
    let lab = Lab::start().await;
    lab.set(opened());
    lab.set(Settings {
        volume_quotas: [("volumes".to_owned(), 0)].into(),
        ..Settings::default()
    });
    let ended = lab.failover(ImportAs::Service).await;
    assert_eq!(ended.outcome, Some(Outcome::RolledBack));
    assert!(ended.error_message.unwrap().contains("service's project"));
    let ended = lab.failover(ImportAs::Tenant).await;
    assert_eq!(ended.outcome, Some(Outcome::Completed), "{ended:#?}");
}

#[tokio::test]
async fn a_policy_that_keeps_the_tenant_from_it_is_named_with_both_remedies() {
    let lab = Lab::start().await;
    let ended = lab.failover(ImportAs::Tenant).await;
    assert_eq!(ended.outcome, Some(Outcome::RolledBack), "{ended:#?}");
    let message = ended.error_message.unwrap();
    for part in [
        RULE,
        "/etc/cinder/policy.yaml",
        "site 'site-b'",
        "rule:admin_or_owner",
        "import_as = service",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    lab.set(opened());
    let ended = lab.failover(ImportAs::Tenant).await;
    assert_eq!(ended.outcome, Some(Outcome::Completed), "{ended:#?}");
}

#[tokio::test]
async fn an_import_goes_on_under_another_mode() {
    for (first, second, handed_over) in [
        (ImportAs::Tenant, ImportAs::Service, 0),
        (ImportAs::Service, ImportAs::Tenant, 2),
    ] {
        let lab = Lab::start().await;
        lab.set(opened());
        let id = lab.order().await;
        let engine = lab.engine(first);
        while lab.calls("POST", "/manageable_volumes").len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        drop(engine);
        let _engine = lab.engine(second);
        let ended = lab.ended(id).await;
        assert_eq!(ended.outcome, Some(Outcome::Completed), "{ended:#?}");
        assert_eq!(lab.calls("POST", "/manageable_volumes").len(), 2, "once each");
        assert_eq!(transfers(&lab), handed_over, "{first:?}");
        all_are_the_tenants(&lab).await;
    }
}

#[tokio::test]
async fn what_the_tenant_imported_is_released_by_the_service() {
    for second in [ImportAs::Tenant, ImportAs::Service] {
        let lab = Lab::start().await;
        lab.set(opened());
        lab.set(Settings {
            build_fails: Some(vec![("db".to_owned(), "No valid host was found.".to_owned())]),
            ..Settings::default()
        });
        let id = lab.order().await;
        let engine = lab.engine(ImportAs::Tenant);
        lab.called("POST", "/manageable_volumes").await;
        drop(engine);
        let _engine = lab.engine(second);
        let ended = lab.ended(id).await;
        assert_eq!(ended.outcome, Some(Outcome::RolledBack), "{ended:#?}");
        let service = lab.user("site-b", "protector");
        let project = lab.cloud.owner(&service).await.unwrap().project_id;
        let released: Vec<_> = lab
            .calls("POST", "/action")
            .into_iter()
            .filter(|call| {
                call.body
                    .as_ref()
                    .is_some_and(|body| body.get("os-unmanage").is_some())
            })
            .collect();
        assert!(released.len() >= 2, "{released:?}");
        assert!(released.iter().all(|call| call.path.contains(project.as_str())));
        assert!(lab.cloud.volumes(&service, true).await.unwrap().is_empty());
    }
}

/// All imports look at one list of volumes, and the one that is tried again may be younger than the list.
#[tokio::test]
async fn an_import_that_is_tried_again_waits_for_cinder_like_the_first_try() {
    let lab = Lab::start().await;
    lab.set(Settings {
        delays: Some(Delays {
            volume: 2_000,
            ..DELAYS
        }),
        ..Settings::default()
    });
    let faults = lab.sites.cloud("site-b").unwrap().faults();
    let busy = Rule::on("POST", "/manageable_volumes$").times(1);
    faults.add(busy.act(Action::status(503, json!({})))).unwrap();
    let ended = lab.failover(ImportAs::Service).await;
    assert_eq!(ended.outcome, Some(Outcome::Completed), "{ended:#?}");
    all_are_the_tenants(&lab).await;
}
