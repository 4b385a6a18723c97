//! What arrays allow, refuse and call things.

use std::time::Duration;

use protector_sim::array::{ArrayConfig, FabricConfig};
use serde_json::{Value, json};

use super::{GIB, Site};

#[tokio::test]
async fn names_stay_taken_until_they_are_eradicated() {
    let site = Site::start().await;
    site.volume("fa-a", "v").await;
    let again = json!({"provisioned": GIB});
    site.post("fa-a", "volumes?names=v", again.clone())
        .await
        .refused("already exists");
    site.delete("fa-a", "volumes?names=v")
        .await
        .refused("not destroyed");
    let gone = site
        .patch("fa-a", "volumes?names=v", json!({"destroyed": true}))
        .await;
    assert!(gone.items()[0]["time_remaining"].as_u64().unwrap() > 0);
    let taken = site.post("fa-a", "volumes?names=v", again.clone()).await;
    taken.refused("already exists");
    taken.refused("has been destroyed");
    site.clone_of("fa-a", "w", "v")
        .await
        .refused("has been destroyed");
    assert!(
        site.get("fa-a", "volumes?destroyed=false")
            .await
            .items()
            .is_empty()
    );
    assert_eq!(site.get("fa-a", "volumes").await.names(), ["v"]);
    site.patch("fa-a", "volumes?names=v", json!({"destroyed": false}))
        .await
        .ok();
    site.patch("fa-a", "volumes?names=v", json!({"destroyed": true}))
        .await
        .ok();
    site.fabric.advance(Duration::from_secs(25 * 3600));
    site.login("fa-a").await;
    site.get("fa-a", "volumes?names=v")
        .await
        .refused("does not exist");
    site.post("fa-a", "volumes?names=v", again).await.ok();
}

#[tokio::test]
async fn connected_volumes_stay_and_missing_things_are_named() {
    let site = Site::start().await;
    site.volume("fa-a", "v").await;
    site.post("fa-a", "hosts?names=h", json!({"iqns": ["iqn.1"]}))
        .await
        .ok();
    site.post("fa-a", "hosts?names=i", json!({"iqns": ["iqn.1"]}))
        .await
        .refused("already in use");
    site.post("fa-a", "connections?host_names=h&volume_names=v", json!({}))
        .await
        .ok();
    site.patch("fa-a", "volumes?names=v", json!({"destroyed": true}))
        .await
        .refused("cannot be deleted due to existing connections");
    assert_eq!(
        site.get("fa-a", "volumes?names=v").await.items()[0]["connection_count"],
        1
    );
    site.get("fa-a", "connections?host_names=nosuch")
        .await
        .refused("Host does not exist");
    let got = site.get("fa-a", "volumes?names=v,x,y").await;
    assert_eq!(got.body["errors"].as_array().unwrap().len(), 2);
    site.clone_of("fa-a", "w", "nosuch")
        .await
        .refused("No such volume or snapshot");
    for bad in ["a_b", "-a", "123", "nosuch::v", "nosuch/v"] {
        assert_eq!(
            site.post(
                "fa-a",
                &format!("volumes?names={bad}"),
                json!({"provisioned": GIB})
            )
            .await
            .status,
            400,
            "{bad}"
        );
    }
    // Nothing of a call that fails half-way is done.
    site.post("fa-a", "volumes?names=n,v", json!({"provisioned": GIB}))
        .await
        .refused("already exists");
    site.get("fa-a", "volumes?names=n")
        .await
        .refused("does not exist");
}

#[tokio::test]
async fn renames_keep_serial_memberships_and_content() {
    let site = Site::start().await;
    let made = site.volume("fa-a", "dr-1a2b-0").await;
    site.fabric.write("fa-a", "dr-1a2b-0", "data").unwrap();
    site.post("fa-a", "protection-groups?names=g", json!({}))
        .await
        .ok();
    site.post(
        "fa-a",
        "protection-groups/volumes?group_names=g&member_names=dr-1a2b-0",
        json!({}),
    )
    .await
    .ok();
    site.post(
        "fa-a",
        "protection-groups/volumes?group_names=g&member_names=dr-1a2b-0",
        json!({}),
    )
    .await
    .refused("already belongs to");
    site.post(
        "fa-a",
        "volume-snapshots?source_names=dr-1a2b-0",
        json!({"suffix": "s"}),
    )
    .await
    .ok();
    let renamed = site
        .patch(
            "fa-a",
            "volumes?names=dr-1a2b-0",
            json!({"name": "volume-7-cinder"}),
        )
        .await;
    assert_eq!(renamed.items()[0]["serial"], made["serial"]);
    assert_eq!(
        site.get("fa-a", "volume-snapshots?names=volume-7-cinder.s")
            .await
            .items()[0]["source"]["name"],
        "volume-7-cinder"
    );
    let member = site.get("fa-a", "protection-groups/volumes?group_names=g").await;
    assert_eq!(member.items()[0]["member"]["name"], "volume-7-cinder");
    assert_eq!(site.markers("fa-a", "volume-7-cinder"), ["data"]);
    site.delete("fa-a", "protection-groups/volumes?group_names=g&member_names=")
        .await
        .ok();
    site.delete(
        "fa-a",
        "protection-groups/volumes?group_names=g&member_names=volume-7-cinder",
    )
    .await
    .ok();
    site.delete(
        "fa-a",
        "protection-groups/volumes?group_names=g&member_names=volume-7-cinder",
    )
    .await
    .refused("could not be found");
    site.get("fa-a", "protection-groups/volumes?member_names=volume-7-cinder")
        .await
        .refused("could not be found");
}

#[tokio::test]
async fn tags_find_what_was_made_and_only_copyable_ones_are_cloned() {
    let site = Site::start().await;
    site.volume("fa-a", "v").await;
    let tags = json!([
        {"key": "operation", "value": "op", "namespace": "dr.x", "copyable": false},
        {"key": "owner", "value": "me", "namespace": "dr.x"},
    ]);
    site.put("fa-a", "volumes/tags/batch?resource_names=v", tags)
        .await
        .ok();
    site.clone_of("fa-a", "w", "v").await.ok();
    let keys = async |volume: &str| {
        let got = site
            .get(
                "fa-a",
                &format!("volumes/tags?resource_names={volume}&namespaces=dr.x"),
            )
            .await;
        got.items()
            .iter()
            .map(|tag| tag["key"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys("v").await, ["operation", "owner"]);
    assert_eq!(keys("w").await, ["owner"]);
    assert!(
        site.get("fa-a", "volumes/tags?resource_names=v")
            .await
            .items()
            .is_empty(),
        "the default namespace is another"
    );
    site.get("fa-a", "volumes/tags").await.refused("required");
    site.delete(
        "fa-a",
        "volumes/tags?resource_names=v&namespaces=dr.x&keys=operation",
    )
    .await
    .ok();
    assert_eq!(keys("v").await, ["owner"]);
}

#[tokio::test]
async fn default_protection_takes_new_volumes_unless_told_otherwise() {
    let site = Site::start().await;
    site.post("fa-a", "protection-groups?names=safe", json!({}))
        .await
        .ok();
    let body = json!({"default_protections": [{"name": "safe", "type": "protection_group"}]});
    site.patch("fa-a", "container-default-protections?names=fa-a", body)
        .await
        .ok();
    site.post("fa-a", "volumes?names=in", json!({"provisioned": GIB}))
        .await
        .ok();
    site.volume("fa-a", "out").await;
    let members = site
        .get("fa-a", "protection-groups/volumes?group_names=safe")
        .await;
    let names: Vec<&Value> = members
        .items()
        .iter()
        .map(|item| &item["member"]["name"])
        .collect();
    assert_eq!(names, ["in"]);
}

#[tokio::test]
async fn safe_mode_refuses_what_would_lose_data() {
    let site = Site::start().await;
    site.protect(&["v"]).await;
    site.patch(
        "fa-a",
        "protection-groups?names=pg",
        json!({"retention_lock": "ratcheted"}),
    )
    .await
    .ok();
    for body in [
        json!({"destroyed": true}),
        json!({"retention_lock": "unlocked"}),
        json!({"target_retention": {"days": 1}}),
    ] {
        site.patch("fa-a", "protection-groups?names=pg", body)
            .await
            .refused("ratcheted");
    }
    site.delete("fa-a", "protection-groups/volumes?group_names=pg&member_names=v")
        .await
        .refused("ratcheted");
    site.patch(
        "fa-a",
        "protection-groups?names=pg",
        json!({"target_retention": {"days": 30}}),
    )
    .await
    .ok();
    site.fabric.set_manual_eradication("fa-a", false).unwrap();
    site.volume("fa-a", "w").await;
    site.patch("fa-a", "volumes?names=w", json!({"destroyed": true}))
        .await
        .ok();
    site.delete("fa-a", "volumes?names=w")
        .await
        .refused("Eradication is disabled");
}

#[tokio::test]
async fn older_versions_hide_what_came_later() {
    let mut old = ArrayConfig::named("old");
    old.versions = vec![0, 1, 2, 3, 15];
    let config = FabricConfig {
        arrays: vec![old],
        ..FabricConfig::default()
    };
    let mut site = Site::with_version(config, "2.15").await;
    let versions = reqwest::get(format!("{}/api/api_version", site.arrays.url("old").unwrap()))
        .await
        .unwrap();
    let versions: Value = versions.json().await.unwrap();
    assert_eq!(versions["version"].as_array().unwrap().last().unwrap(), "2.15");
    let path = "volumes?names=v&with_default_protection=false";
    site.post("old", path, json!({"provisioned": GIB}))
        .await
        .refused("with_default_protection");
    site.post("old", "volumes?names=v", json!({"provisioned": GIB}))
        .await
        .ok();
    site.get("old", "volumes?nonsense=1").await.refused("nonsense");
    assert_eq!(site.get("old", "container-default-protections").await.status, 404);
    "2.3".clone_into(&mut site.version);
    assert_eq!(site.get("old", "array-connections").await.status, 404);
    "2.26".clone_into(&mut site.version);
    assert_eq!(site.get("old", "volumes").await.status, 404);
}

#[tokio::test]
async fn sessions_end_when_idle() {
    let site = Site::start().await;
    site.fabric.advance(Duration::from_secs(29 * 60));
    site.get("fa-a", "arrays").await.ok();
    site.fabric.advance(Duration::from_secs(31 * 60));
    let got = site.get("fa-a", "arrays").await;
    assert_eq!(
        (got.status, &got.body["errors"][0]["message"]),
        (401, &json!("Unauthorized"))
    );
    site.login("fa-a").await;
    site.get("fa-a", "arrays").await.ok();
}
