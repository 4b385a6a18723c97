//! The way of a planned failover over the arrays, each verb asked for twice.

use protector_arrays::driver;
use protector_ports::array::{Adopted, ArrayPair};
use protector_ports::{Class, Kind};
use protector_sim::array::{ArrayConfig, FabricConfig};
use reqwest::Method;
use serde_json::json;

use super::{GROUP, Lab, mark, names, options, spec};

async fn fail_over(lab: &Lab) {
    let (driver, pair) = (&lab.driver, &lab.pair);
    for volume in ["v-1", "v-2"] {
        lab.make_volume("fa-a", volume).await;
        lab.fabric.write("fa-a", volume, "before").unwrap();
    }
    let identity = driver.identity(&pair.source).await.unwrap();
    assert_eq!(identity.name, "fa-a");
    let both = names(&["v-1", "v-2"]);

    for _ in 0..2 {
        driver.check_connection(pair).await.unwrap();
        assert_eq!(
            driver.ensure_group(pair, &spec(), &both).await.unwrap(),
            Adopted::Made
        );
    }
    for _ in 0..2 {
        driver.add_volumes(&pair.source, GROUP, &both).await.unwrap();
    }
    assert_eq!(
        driver.ensure_group(pair, &spec(), &both).await.unwrap(),
        Adopted::Made
    );
    let view = driver.group(pair, GROUP).await.unwrap().unwrap();
    assert_eq!(
        (view.volumes, view.schedule_enabled, view.allowed),
        (both.clone(), true, true)
    );

    assert!(driver.replica(pair, GROUP, "dr-1").await.unwrap().is_none());
    for _ in 0..2 {
        driver.snapshot(pair, GROUP, "dr-1").await.unwrap();
    }
    for volume in ["v-1", "v-2"] {
        lab.fabric.write("fa-a", volume, "after").unwrap();
    }
    let replica = lab.arrived("dr-1").await;
    assert_eq!(
        (replica.suffix.as_str(), replica.volumes.clone()),
        ("dr-1", both.clone())
    );

    for _ in 0..2 {
        driver.set_schedule(&pair.source, GROUP, false).await.unwrap();
        driver
            .set_allowed(&pair.target, "fa-a", GROUP, false)
            .await
            .unwrap();
    }
    let view = driver.group(pair, GROUP).await.unwrap().unwrap();
    assert!(!view.schedule_enabled);
    let refused = driver.snapshot(pair, GROUP, "dr-2").await.unwrap_err();
    assert_eq!(
        (refused.class, refused.kind),
        (Class::Permanent, Kind::Conflict),
        "{refused}"
    );

    for volume in ["v-1", "v-2"] {
        let new = format!("dr-op1-{volume}");
        let first = driver
            .clone_volume(pair, GROUP, "dr-1", volume, &new, &mark(volume))
            .await
            .unwrap();
        let second = driver
            .clone_volume(pair, GROUP, "dr-1", volume, &new, &mark(volume))
            .await
            .unwrap();
        assert_eq!(first, second);
        assert_eq!(
            (first.name.as_str(), first.size_bytes, first.connections),
            (new.as_str(), 1 << 30, 0)
        );
        assert_eq!(
            lab.markers("fa-b", &new),
            ["before"],
            "the content at the snapshot"
        );
    }
    let mut marked = driver.marked_volumes(&pair.target, "op-1").await.unwrap();
    marked.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    let found: Vec<_> = marked
        .iter()
        .map(|(volume, mark)| (volume.name.as_str(), mark.volume.as_str()))
        .collect();
    assert_eq!(found, [("dr-op1-v-1", "v-1"), ("dr-op1-v-2", "v-2")]);
    assert_eq!(marked[0].1, mark("v-1"));
    assert!(
        driver
            .marked_volumes(&pair.target, "op-2")
            .await
            .unwrap()
            .is_empty()
    );
    let replicas = driver.replicas(&pair.target, "fa-a", GROUP).await.unwrap();
    assert!(replicas.contains(&replica));
}

#[tokio::test]
async fn a_failover_over_the_arrays_each_verb_twice() {
    fail_over(&Lab::start().await).await;
}

#[tokio::test]
async fn the_oldest_version_will_do() {
    let old = |name: &str| ArrayConfig {
        versions: vec![0, 2, 4],
        ..ArrayConfig::named(name)
    };
    let config = FabricConfig {
        arrays: vec![old("fa-a"), old("fa-b")],
        ..FabricConfig::default()
    };
    fail_over(&Lab::with(config).await).await;
}

#[tokio::test]
async fn over_tls_the_certificate_counts() {
    let with_tls = |name: &str| ArrayConfig {
        tls: true,
        ..ArrayConfig::named(name)
    };
    let config = FabricConfig {
        arrays: vec![with_tls("fa-a"), with_tls("fa-b")],
        ..FabricConfig::default()
    };
    let lab = Lab::with(config).await;
    let error = lab.driver.identity(&lab.pair.source).await.unwrap_err();
    assert_eq!(
        (error.class, error.kind),
        (Class::Retryable, Kind::Unavailable),
        "{error}"
    );
    let mut lax = options();
    lax.verify_tls = false;
    assert_eq!(
        driver("pure", lax)
            .unwrap()
            .identity(&lab.pair.source)
            .await
            .unwrap()
            .name,
        "fa-a"
    );
}

#[tokio::test]
async fn every_undo_twice_leaves_nothing() {
    let lab = Lab::protecting(&["v-1", "v-2"]).await;
    let (driver, pair) = (&lab.driver, &lab.pair);
    lab.sent("dr-1").await;
    driver
        .clone_volume(pair, GROUP, "dr-1", "v-1", "dr-op1-0", &mark("v-1"))
        .await
        .unwrap();
    for _ in 0..2 {
        driver.destroy_volume(&pair.target, "dr-op1-0").await.unwrap();
        assert!(
            driver
                .marked_volumes(&pair.target, "op-1")
                .await
                .unwrap()
                .is_empty()
        );
    }
    assert!(
        driver
            .volume(&pair.target, "dr-op1-0")
            .await
            .unwrap()
            .unwrap()
            .destroyed
    );
    assert!(driver.volume(&pair.target, "nosuch").await.unwrap().is_none());
    driver.destroy_volume(&pair.target, "nosuch").await.unwrap();

    for _ in 0..2 {
        driver.remove_snapshot(pair, GROUP, "dr-1").await.unwrap();
        assert!(
            driver
                .replicas(&pair.target, "fa-a", GROUP)
                .await
                .unwrap()
                .iter()
                .all(|r| r.suffix != "dr-1")
        );
    }
    driver.remove_snapshot(pair, GROUP, "dr-never").await.unwrap();
    // What is destroyed is no snapshot to be found, and the name isn't free either.
    assert!(
        driver
            .snapshot(pair, GROUP, "dr-1")
            .await
            .unwrap_err()
            .is(Kind::Conflict)
    );
    assert!(
        driver
            .replica(pair, GROUP, "dr-1")
            .await
            .unwrap_err()
            .is(Kind::NotFound)
    );

    for _ in 0..2 {
        driver
            .remove_volumes(&pair.source, GROUP, &names(&["v-1", "nosuch"]))
            .await
            .unwrap();
        assert_eq!(driver.group(pair, GROUP).await.unwrap().unwrap().volumes, ["v-2"]);
    }
    for _ in 0..2 {
        driver.remove_group(pair, GROUP, true).await.unwrap();
        assert!(driver.group(pair, GROUP).await.unwrap().is_none());
        driver
            .remove_volumes(&pair.source, GROUP, &names(&["v-2"]))
            .await
            .unwrap();
        driver
            .set_allowed(&pair.target, "fa-a", GROUP, false)
            .await
            .unwrap();
    }
    driver.remove_group(pair, "never-was", true).await.unwrap();
    let gone = driver
        .add_volumes(&pair.source, GROUP, &names(&["v-1"]))
        .await
        .unwrap_err();
    assert!(gone.is(Kind::NotFound), "{gone}");
}

#[tokio::test]
async fn a_fence_is_lifted_again() {
    let lab = Lab::protecting(&["v-1"]).await;
    let (driver, pair) = (&lab.driver, &lab.pair);
    driver.set_schedule(&pair.source, GROUP, false).await.unwrap();
    driver
        .set_allowed(&pair.target, "fa-a", GROUP, false)
        .await
        .unwrap();
    for _ in 0..2 {
        driver
            .set_allowed(&pair.target, "fa-a", GROUP, true)
            .await
            .unwrap();
        driver.set_schedule(&pair.source, GROUP, true).await.unwrap();
    }
    let view = driver.group(pair, GROUP).await.unwrap().unwrap();
    assert!(view.schedule_enabled && view.allowed);
    lab.sent("dr-1").await;
}

#[tokio::test]
async fn the_way_back_has_a_group_of_its_own() {
    let lab = Lab::protecting(&["v-1"]).await;
    let back: ArrayPair = lab.pair.reversed();
    lab.make_volume("fa-b", "w-1").await;
    assert_eq!(
        lab.driver.ensure_group(&back, &spec(), &[]).await.unwrap(),
        Adopted::Made
    );
    lab.driver
        .add_volumes(&back.source, GROUP, &names(&["w-1"]))
        .await
        .unwrap();
    assert_eq!(
        lab.driver.group(&back, GROUP).await.unwrap().unwrap().volumes,
        ["w-1"]
    );
    assert_eq!(
        lab.driver.group(&lab.pair, GROUP).await.unwrap().unwrap().volumes,
        ["v-1"]
    );
}

#[tokio::test]
async fn a_connected_volume_is_not_destroyed() {
    let lab = Lab::protecting(&["v-1"]).await;
    lab.connect("fa-a", "v-1").await;
    let error = lab
        .driver
        .destroy_volume(&lab.pair.source, "v-1")
        .await
        .unwrap_err();
    assert!(
        error.is(Kind::Conflict) && error.message.contains("connected to hosts"),
        "{error}"
    );
    assert_eq!(
        lab.driver
            .volume(&lab.pair.source, "v-1")
            .await
            .unwrap()
            .unwrap()
            .connections,
        1
    );
}

#[tokio::test]
async fn volumes_that_are_not_there_are_named() {
    let lab = Lab::protecting(&["v-1"]).await;
    let error = lab
        .driver
        .add_volumes(&lab.pair.source, GROUP, &names(&["v-1", "v-9"]))
        .await
        .unwrap_err();
    assert!(
        error.is(Kind::NotFound) && error.message.contains("v-9") && error.message.ends_with('.'),
        "{error}"
    );
    let query = [("names", "v-1")];
    lab.do_as_operator(
        "fa-a",
        Method::PATCH,
        "volumes",
        &query,
        json!({"destroyed": true}),
    )
    .await;
    lab.make_volume("fa-a", "v-2").await;
    // A destroyed member is in the group still; it spoils nothing.
    lab.driver
        .add_volumes(&lab.pair.source, GROUP, &names(&["v-2"]))
        .await
        .unwrap();
}
