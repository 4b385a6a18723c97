//! What arrives on the other array, and what doesn't.

use std::time::Duration;

use protector_sim::array::{Fabric, FabricConfig};
use serde_json::json;

use super::{GIB, Site, slow};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn a_clone_on_the_target_holds_the_data_of_the_snapshots_instant() {
    let site = Site::with(slow(150)).await;
    site.protect(&["db", "log"]).await;
    // A guest that writes to one disk after the other: a crash-consistent copy has no gap.
    for n in 0..5 {
        site.fabric.write("fa-a", "log", &format!("log {n}")).unwrap();
        site.fabric.write("fa-a", "db", &format!("db {n}")).unwrap();
    }
    site.replicate("dr-1").await.ok();
    assert_eq!(
        site.transfer("dr-1").await,
        None,
        "the target knows of a transfer when it starts"
    );
    site.fabric.write("fa-a", "log", "too late").unwrap();
    site.arrived("dr-1").await;

    let members = site
        .get(
            "fa-b",
            "volume-snapshots?filter=name%3D'fa-a:pg.dr-1.*'&destroyed=false",
        )
        .await;
    assert_eq!(members.names(), ["fa-a:pg.dr-1.db", "fa-a:pg.dr-1.log"]);
    assert_eq!(members.items()[0]["source"]["name"], "fa-a:db");
    for name in ["db", "log"] {
        let clone = site
            .clone_of("fa-b", &format!("dr-{name}"), &format!("fa-a:pg.dr-1.{name}"))
            .await;
        assert_eq!(clone.items()[0]["provisioned"], GIB);
        let wanted: Vec<String> = (0..5).map(|n| format!("{name} {n}")).collect();
        assert_eq!(site.markers("fa-b", &format!("dr-{name}")), wanted);
    }
    // The clone is independent of what it came from.
    site.fabric.write("fa-b", "dr-log", "on the other site").unwrap();
    assert_eq!(site.markers("fa-b", "fa-a:pg.dr-1.log").len(), 5);
    assert_eq!(site.markers("fa-a", "log").last().unwrap(), "too late");
}

#[tokio::test]
async fn the_way_back_overwrites_the_old_volume_and_keeps_its_serial() {
    let site = Site::start().await;
    let old = site.volume("fa-a", "v").await;
    site.fabric.write("fa-a", "v", "old").unwrap();
    site.volume("fa-a", "w").await;
    site.fabric.write("fa-a", "w", "new").unwrap();
    site.post("fa-a", "volume-snapshots?source_names=w", json!({"suffix": "s"}))
        .await
        .ok();
    let path = "volumes?names=v&overwrite=true";
    let new = site
        .post("fa-a", path, json!({"source": {"name": "w.s"}}))
        .await
        .items()[0]
        .clone();
    assert_eq!((&new["serial"], &new["id"]), (&old["serial"], &old["id"]));
    assert_eq!(site.markers("fa-a", "v"), ["new"]);
    let both = format!("{path}&with_default_protection=false");
    site.post("fa-a", &both, json!({"source": {"name": "w.s"}}))
        .await
        .refused("cannot be combined");
    let missing = "volumes?names=nosuch&overwrite=true";
    site.post("fa-a", missing, json!({"source": {"name": "w.s"}}))
        .await
        .ok();
    assert_eq!(site.markers("fa-a", "nosuch"), ["new"]);
}

#[tokio::test]
async fn half_a_transfer_is_nothing() {
    let site = Site::with(slow(600_000)).await;
    site.protect(&["v"]).await;
    site.fabric.write("fa-a", "v", "data").unwrap();
    site.replicate("dr-1").await.ok();
    site.eventually("it starts", async || site.transfer("dr-1").await.is_some())
        .await;
    site.fabric.advance(Duration::from_secs(300));
    let transfer = site.transfer("dr-1").await.unwrap();
    let progress = transfer["progress"].as_f64().unwrap();
    assert!(
        progress > 0.4 && progress < 0.6 && transfer["completed"].is_null(),
        "{transfer}"
    );
    site.clone_of("fa-b", "dr-v", "fa-a:pg.dr-1.v")
        .await
        .refused("still being received");
    assert!(site.markers("fa-b", "fa-a:pg.dr-1.v").is_empty());
    site.fabric.advance(Duration::from_secs(301));
    site.clone_of("fa-b", "dr-v", "fa-a:pg.dr-1.v").await.ok();
    assert_eq!(site.markers("fa-b", "dr-v"), ["data"]);
}

#[tokio::test]
async fn a_cut_link_stops_transfers_and_a_mended_one_lets_them_end() {
    let site = Site::with(slow(10_000)).await;
    site.protect(&["v"]).await;
    site.replicate("dr-1").await.ok();
    site.eventually("it starts", async || site.transfer("dr-1").await.is_some())
        .await;
    site.fabric.set_link_up(false);
    assert_eq!(
        site.get("fa-a", "array-connections").await.items()[0]["status"],
        "connecting"
    );
    site.fabric.advance(Duration::from_secs(60));
    assert!(site.transfer("dr-1").await.unwrap()["completed"].is_null());
    // The source can't learn that it is fenced meanwhile.
    site.allow(false).await;
    assert_eq!(
        site.get("fa-a", "protection-groups/targets?group_names=pg")
            .await
            .items()[0]["allowed"],
        true
    );
    site.fabric.set_link_up(true);
    assert_eq!(
        site.get("fa-a", "protection-groups/targets?group_names=pg")
            .await
            .items()[0]["allowed"],
        false
    );
    site.fabric.advance(Duration::from_secs(60));
    assert!(
        site.transfer("dr-1").await.unwrap()["completed"].is_null(),
        "a fenced source can't push"
    );
    site.allow(true).await;
    site.fabric.advance(Duration::from_secs(60));
    assert!(site.transfer("dr-1").await.unwrap()["completed"].is_u64());
}

#[tokio::test]
async fn a_dark_array_sends_nothing_and_a_returning_one_is_fenced() {
    let site = Site::start().await;
    site.protect(&["v"]).await;
    site.fabric.write("fa-a", "v", "one").unwrap();
    site.replicate("dr-1").await.ok();
    site.arrived("dr-1").await;
    let schedule = json!({"replication_schedule": {"enabled": true, "frequency": 300_000}});
    site.patch("fa-a", "protection-groups?names=pg", schedule)
        .await
        .ok();
    site.eventually("a scheduled snapshot arrives", async || {
        site.transfer("1").await.is_some()
    })
    .await;
    site.fabric.set_power("fa-a", false).unwrap();
    assert!(
        site.try_call(reqwest::Method::GET, "fa-a", "arrays", None)
            .await
            .is_err()
    );
    assert!(site.fabric.write("fa-a", "v", "lost").is_err());
    site.fabric.advance(DAY);
    site.login("fa-b").await;
    assert_eq!(site.transfer("2").await, None);
    site.allow(false).await;
    site.fabric.set_power("fa-a", true).unwrap();
    assert_eq!(site.get("fa-a", "arrays").await.status, 401);
    site.fabric.advance(Duration::from_secs(600));
    site.login("fa-b").await;
    assert_eq!(site.transfer("2").await, None);
}

#[tokio::test]
async fn schedules_fire_in_both_units_and_snapshots_age() {
    let site = Site::start().await;
    site.protect(&["v"]).await;
    let policy = json!({
        "replication_schedule": {"enabled": true, "frequency": 300},
        "source_retention": {"all_for_sec": 3600, "per_day": 0, "days": 0},
        "target_retention": {"all_for_sec": 7200, "per_day": 2, "days": 3},
    });
    site.patch("fa-a", "protection-groups?names=pg", policy)
        .await
        .ok();
    site.fabric.advance(Duration::from_secs(3 * 3600));
    for array in ["fa-a", "fa-b"] {
        site.login(array).await;
    }
    let live = async |array: &str| {
        site.get(
            array,
            "protection-group-snapshots?destroyed=false&limit=0&total_item_count=true",
        )
        .await
        .body["total_item_count"]
            .as_u64()
            .unwrap()
    };
    let (source, target) = (live("fa-a").await, live("fa-b").await);
    assert!((11..=14).contains(&source), "{source}");
    assert!((25..=28).contains(&target), "{target}");
    let gone = site
        .get("fa-b", "protection-group-snapshots?destroyed=true")
        .await;
    assert!(gone.items()[0]["time_remaining"].as_u64().unwrap() > 0);
    site.fabric.advance(2 * DAY);
    site.login("fa-b").await;
    let gone = site
        .get(
            "fa-b",
            "protection-group-snapshots?destroyed=true&sort=created&limit=1",
        )
        .await;
    let oldest = gone.items()[0]["created"].as_u64().unwrap();
    assert!(
        site.fabric.now() - oldest < 27 * 3600 * 1000,
        "what was destroyed a day ago is gone for good"
    );
    for bad in [0, 150_000, 35_000_000_000_u64] {
        let body = json!({"replication_schedule": {"frequency": bad}});
        site.login("fa-a").await;
        site.patch("fa-a", "protection-groups?names=pg", body)
            .await
            .refused("Invalid frequency");
    }
}

#[tokio::test]
async fn queued_transfers_wait_and_only_changes_are_sent() {
    let site = Site::with(slow(5_000)).await;
    site.protect(&["v"]).await;
    for n in 0..8 {
        site.fabric.write("fa-a", "v", &n.to_string()).unwrap();
    }
    for suffix in ["first", "second"] {
        let path = "protection-group-snapshots?source_names=pg&replicate=true";
        site.post("fa-a", path, json!({"suffix": suffix})).await.ok();
        site.fabric.write("fa-a", "v", suffix).unwrap();
    }
    site.fabric.advance(Duration::from_secs(1));
    assert!(site.transfer("first").await.is_some() && site.transfer("second").await.is_none());
    site.fabric.advance(Duration::from_secs(30));
    let (first, second) = (
        site.transfer("first").await.unwrap(),
        site.transfer("second").await.unwrap(),
    );
    assert!(first["completed"].as_u64() <= second["started"].as_u64());
    assert_eq!(first["data_transferred"], 8 * 1024 * 1024);
    assert_eq!(second["data_transferred"], 1024 * 1024);
    let both = "protection-group-snapshots?source_names=pg&replicate=true&replicate_now=true";
    site.post("fa-a", both, json!({}))
        .await
        .refused("cannot be combined");
}

#[tokio::test]
async fn a_restarted_fabric_is_the_same_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = FabricConfig {
        state_dir: Some(dir.path().to_owned()),
        ..slow(1_000)
    };
    let before = {
        let site = Site::with(config.clone()).await;
        site.protect(&["v"]).await;
        site.fabric.write("fa-a", "v", "kept").unwrap();
        site.replicate("dr-1").await.ok();
        site.eventually("it starts", async || site.transfer("dr-1").await.is_some())
            .await;
        site.fabric.advance(Duration::from_millis(100));
        site.fabric.state("fa-a").unwrap()
    };
    let fabric = Fabric::new(config.clone()).unwrap();
    let after = fabric.state("fa-a").unwrap();
    for part in [
        "id",
        "volumes",
        "groups",
        "group_snapshots",
        "snapshots",
        "sequence",
    ] {
        assert_eq!(before[part], after[part], "{part}");
    }
    drop(fabric);
    let site = Site::with(config).await;
    site.arrived("dr-1").await;
    assert_eq!(site.markers("fa-b", "fa-a:pg.dr-1.v"), ["kept"]);
    let calls = std::fs::read_to_string(dir.path().join("calls.jsonl")).unwrap();
    assert!(calls.lines().count() > 5 && !calls.contains("fa-a-token"));
}

#[tokio::test]
async fn a_group_that_leaves_its_target_leaves_its_snapshots() {
    let site = Site::start().await;
    site.protect(&["v"]).await;
    site.replicate("dr-1").await.ok();
    site.arrived("dr-1").await;
    site.delete(
        "fa-a",
        "protection-groups/targets?group_names=pg&member_names=fa-b",
    )
    .await
    .ok();
    site.delete(
        "fa-a",
        "protection-groups/targets?group_names=pg&member_names=fa-b",
    )
    .await
    .refused("could not be found");
    site.clone_of("fa-b", "dr-v", "fa-a:pg.dr-1.v").await.ok();
    site.replicate("dr-2").await.refused("no allowed target");
    site.patch("fa-a", "protection-groups?names=pg", json!({"destroyed": true}))
        .await
        .ok();
    site.delete("fa-a", "protection-groups?names=pg").await.ok();
    site.patch(
        "fa-b",
        "protection-groups?names=fa-a:pg",
        json!({"destroyed": true}),
    )
    .await
    .ok();
    site.delete("fa-b", "protection-groups?names=fa-a:pg").await.ok();
    assert!(site.get("fa-b", "volume-snapshots").await.items().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_snapshot_is_of_one_instant_while_guests_write() {
    let site = Site::start().await;
    let volumes = ["a", "b", "c"];
    site.protect(&volumes).await;
    let fabric = site.fabric.clone();
    let guest = tokio::task::spawn_blocking(move || {
        for n in 0..600 {
            fabric.write("fa-a", volumes[n % 3], &n.to_string()).unwrap();
            std::thread::yield_now();
        }
    });
    for n in 0..5 {
        site.replicate(&format!("dr-{n}")).await.ok();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    guest.await.unwrap();
    for n in 0..5 {
        site.arrived(&format!("dr-{n}")).await;
        let mut sequences: Vec<u64> = Vec::new();
        for volume in volumes {
            let content = site
                .fabric
                .content("fa-b", &format!("fa-a:pg.dr-{n}.{volume}"))
                .unwrap();
            sequences.extend(content.blocks().values().map(|block| block.sequence));
        }
        sequences.sort_unstable();
        let all: Vec<u64> = (1..=sequences.len() as u64).collect();
        assert_eq!(sequences, all, "the disks hold a prefix of what was written");
    }
}

#[tokio::test]
async fn clearing_faults_does_not_give_power_back() {
    let site = Site::start().await;
    site.fabric.set_power("fa-a", false).unwrap();
    site.fabric.faults("fa-a").unwrap().clear();
    assert!(
        site.try_call(reqwest::Method::GET, "fa-a", "arrays", None)
            .await
            .is_err()
    );
}
