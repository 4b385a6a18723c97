//! Which groups are taken over, and that the others stay as they are.

use std::time::Duration;

use protector_arrays::driver;
use protector_ports::array::{Adopted, GroupSpec};
use protector_ports::{Class, Kind};
use protector_sim::array::{FabricConfig, LinkConfig};
use reqwest::Method;
use serde_json::json;

use super::{GROUP, Lab, names, options, spec};

#[tokio::test]
async fn an_empty_group_and_one_with_our_volumes_are_found() {
    let lab = Lab::start().await;
    lab.make_volume("fa-a", "v-1").await;
    lab.make_group(GROUP, &[]).await;
    for _ in 0..2 {
        assert_eq!(
            lab.driver.ensure_group(&lab.pair, &spec(), &[]).await.unwrap(),
            Adopted::Found
        );
    }
    lab.make_group("other", &["v-1"]).await;
    let other = GroupSpec {
        name: "other".to_owned(),
        interval_seconds: 600,
    };
    for _ in 0..2 {
        let adopted = lab
            .driver
            .ensure_group(&lab.pair, &other, &names(&["v-1"]))
            .await
            .unwrap();
        assert_eq!(adopted, Adopted::Found);
    }
    let group = lab.state("fa-a", "groups", "other").unwrap();
    assert_eq!(group["replication_schedule"]["frequency"], 600_000);
    let kept = lab
        .as_operator("fa-a")
        .group("other")
        .await
        .unwrap()
        .unwrap()
        .source_retention
        .unwrap();
    assert_eq!(kept.days, Some(7), "what is found keeps its retention");

    // It stays when it is given up, with its volumes; only the replication ends.
    for _ in 0..2 {
        lab.driver.remove_group(&lab.pair, "other", false).await.unwrap();
        let view = lab.driver.group(&lab.pair, "other").await.unwrap().unwrap();
        assert_eq!(
            (view.volumes, view.schedule_enabled, view.allowed),
            (names(&["v-1"]), false, false)
        );
    }
}

#[tokio::test]
async fn a_group_with_other_volumes_is_left_alone() {
    let lab = Lab::start().await;
    for volume in ["v-1", "payroll"] {
        lab.make_volume("fa-a", volume).await;
    }
    lab.make_group(GROUP, &["v-1", "payroll"]).await;
    let before = lab.state("fa-a", "groups", GROUP);
    let error = lab
        .driver
        .ensure_group(&lab.pair, &spec(), &names(&["v-1"]))
        .await
        .unwrap_err();
    assert_eq!((error.class, error.kind), (Class::Permanent, Kind::Conflict));
    assert!(
        error.message.contains("payroll") && !error.message.contains("v-1"),
        "{error}"
    );
    assert_eq!(lab.state("fa-a", "groups", GROUP), before);
}

#[tokio::test]
async fn a_group_under_safemode_is_refused() {
    let lab = Lab::start().await;
    lab.make_group(GROUP, &[]).await;
    let lock = json!({"retention_lock": "ratcheted", "replication_schedule": {"enabled": true}});
    lab.do_as_operator(
        "fa-a",
        Method::PATCH,
        "protection-groups",
        &[("names", GROUP)],
        lock,
    )
    .await;
    for error in [
        lab.driver
            .ensure_group(&lab.pair, &spec(), &[])
            .await
            .unwrap_err(),
        lab.driver
            .set_schedule(&lab.pair.source, GROUP, false)
            .await
            .unwrap_err(),
        lab.driver.remove_group(&lab.pair, GROUP, true).await.unwrap_err(),
    ] {
        assert!(
            error.is(Kind::Conflict) && error.message.contains("SafeMode"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn cinders_group_is_never_touched() {
    let lab = Lab::start().await;
    lab.make_group("cinder-group", &[]).await;
    let before = lab.state("fa-a", "groups", "cinder-group");
    let cinders = GroupSpec {
        name: "cinder-group".to_owned(),
        interval_seconds: 300,
    };
    let (driver, pair) = (&lab.driver, &lab.pair);
    for error in [
        driver.ensure_group(pair, &cinders, &[]).await.unwrap_err(),
        driver.remove_group(pair, "cinder-group", true).await.unwrap_err(),
        driver
            .add_volumes(&pair.source, "cinder-group", &names(&["v"]))
            .await
            .unwrap_err(),
        driver
            .remove_volumes(&pair.source, "cinder-group", &names(&["v"]))
            .await
            .unwrap_err(),
        driver.snapshot(pair, "cinder-group", "dr-1").await.unwrap_err(),
        driver
            .set_schedule(&pair.source, "cinder-group", false)
            .await
            .unwrap_err(),
        driver
            .set_allowed(&pair.target, "fa-a", "cinder-group", false)
            .await
            .unwrap_err(),
        driver
            .destroy_volume(&pair.source, "cinder-pod::volume-1-cinder")
            .await
            .unwrap_err(),
    ] {
        assert!(error.is(Kind::Conflict), "{error}");
    }
    assert_eq!(lab.state("fa-a", "groups", "cinder-group"), before);
}

#[tokio::test]
async fn a_group_that_was_taken_away_comes_back() {
    let lab = Lab::protecting(&["v-1"]).await;
    lab.sent("dr-1").await;
    lab.driver.remove_group(&lab.pair, GROUP, true).await.unwrap();
    for _ in 0..2 {
        assert_eq!(
            lab.driver.ensure_group(&lab.pair, &spec(), &[]).await.unwrap(),
            Adopted::Made
        );
    }
    let view = lab.driver.group(&lab.pair, GROUP).await.unwrap().unwrap();
    assert!(view.schedule_enabled && view.allowed && view.volumes.is_empty());
    // The recovery points outlived it.
    assert!(
        lab.driver
            .replicas(&lab.pair.target, "fa-a", GROUP)
            .await
            .unwrap()
            .iter()
            .any(|r| r.suffix == "dr-1")
    );
}

#[tokio::test]
async fn the_interval_is_in_milliseconds_and_can_be_changed() {
    let lab = Lab::protecting(&["v-1"]).await;
    let frequency =
        || lab.state("fa-a", "groups", GROUP).unwrap()["replication_schedule"]["frequency"].clone();
    assert_eq!(frequency(), 300_000);
    let slower = GroupSpec {
        interval_seconds: 86_400,
        ..spec()
    };
    assert_eq!(
        lab.driver
            .ensure_group(&lab.pair, &slower, &names(&["v-1"]))
            .await
            .unwrap(),
        Adopted::Made
    );
    assert_eq!(frequency(), 86_400_000);
    assert!(
        lab.driver
            .group(&lab.pair, GROUP)
            .await
            .unwrap()
            .unwrap()
            .schedule_enabled
    );
    assert_eq!(
        lab.driver
            .ensure_group(&lab.pair, &spec(), &names(&["v-1"]))
            .await
            .unwrap(),
        Adopted::Made
    );

    for seconds in [0, 60, 299, 34_560_001, u64::MAX] {
        let wrong = GroupSpec {
            interval_seconds: seconds,
            ..spec()
        };
        let error = lab
            .driver
            .ensure_group(&lab.pair, &wrong, &names(&["v-1"]))
            .await
            .unwrap_err();
        assert!(
            error.is(Kind::Invalid) && error.message.contains("300"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_is_missing_between_the_arrays_is_said() {
    let lab = Lab::start().await;
    let same = protector_ports::array::ArrayPair {
        source: lab.pair.source.clone(),
        target: lab.pair.source.clone(),
        lost_source: None,
    };
    let error = lab.driver.check_connection(&same).await.unwrap_err();
    assert!(
        error.is(Kind::Conflict) && error.message.contains("same array"),
        "{error}"
    );
    lab.fabric.set_link_up(false);
    let error = lab.driver.check_connection(&lab.pair).await.unwrap_err();
    assert_eq!(error.class, Class::Retryable, "{error}");
    assert!(error.message.contains("replicates nothing"), "{error}");
    lab.fabric.set_link_up(true);
    lab.driver.check_connection(&lab.pair).await.unwrap();
}

#[tokio::test]
async fn a_target_that_hears_late_is_waited_for_but_not_forever() {
    let link = LinkConfig {
        announce_millis: 700,
        ..LinkConfig::default()
    };
    let lab = Lab::with(FabricConfig {
        link,
        ..FabricConfig::default()
    })
    .await;
    let mut hasty = options();
    hasty.announce_wait = Duration::from_millis(100);
    let error = driver("pure", hasty)
        .unwrap()
        .ensure_group(&lab.pair, &spec(), &[])
        .await
        .unwrap_err();
    assert_eq!(error.class, Class::Retryable, "{error}");
    assert_eq!(
        lab.driver.ensure_group(&lab.pair, &spec(), &[]).await.unwrap(),
        Adopted::Made
    );
}
