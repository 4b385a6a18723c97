use protector_sim::cloud::Settings;
use serde_json::{Value, json};

use super::{User, sites};

#[tokio::test]
async fn a_server_boots_stops_locks_and_goes() {
    let sites = sites().await;
    let cloud = sites.cloud("site-a").unwrap();
    let (demo, admin) = (
        User::named(cloud, "demo").await,
        User::named(cloud, "admin").await,
    );
    let id = cloud.boot("web", 2).unwrap();
    let path = format!("/compute/servers/{id}");
    let server = demo.wait(&path, "server", "ACTIVE").await;
    assert_eq!(
        (&server["image"], &server["OS-EXT-STS:power_state"]),
        (&json!(""), &json!(1))
    );
    assert!(server.get("OS-EXT-SRV-ATTR:user_data").is_none());
    let shown = admin.get(&path).await.is(200);
    assert_eq!(
        shown["server"]["OS-EXT-SRV-ATTR:user_data"],
        "I2Nsb3VkLWNvbmZpZwo="
    );
    assert_eq!(shown["server"]["OS-EXT-SRV-ATTR:root_device_name"], "/dev/vda");
    let disks = demo.get(&format!("{path}/os-volume_attachments")).await.is(200);
    let root = disks["volumeAttachments"][0]["volumeId"]
        .as_str()
        .unwrap()
        .to_owned();
    let place = &cloud.disks("web").unwrap()[0];
    assert_eq!(place.array_volume, format!("volume-{root}-cinder"));
    assert_eq!(connections(&sites, &place.array_volume), 1);
    demo.delete(&format!("{path}/os-volume_attachments/{root}"))
        .await
        .refused(400, "root device");

    let stop = json!({"os-stop": null});
    let action = format!("{path}/action");
    demo.post(&action, json!({"lock": {"locked_reason": "dr"}}))
        .await
        .is(202);
    demo.post(&action, json!({"os-start": null}))
        .await
        .refused(409, "is locked");
    demo.post(&action, json!({"unlock": null})).await.is(202);
    demo.post(&action, stop.clone()).await.is(202);
    demo.post(&action, stop.clone())
        .await
        .refused(409, "task_state powering-off");
    demo.wait(&path, "server", "SHUTOFF").await;
    demo.post(&action, stop)
        .await
        .refused(409, "Cannot 'stop' instance");
    // A stopped server keeps its hold.
    assert_eq!(connections(&sites, &place.array_volume), 1);
    demo.wait(&format!("/volume/volumes/{root}"), "volume", "in-use")
        .await;
    let port = demo.get(&format!("/network/ports?device_id={id}")).await.is(200)["ports"][0].clone();

    let data = disks["volumeAttachments"][1]["volumeId"].as_str().unwrap();
    let change = json!({"volumeAttachment": {"volumeId": data, "delete_on_termination": true}});
    demo.put(&format!("{path}/os-volume_attachments/{data}"), change)
        .await
        .is(202);
    demo.delete(&path).await.is(204);
    demo.wait(&path, "server", "gone").await;
    demo.wait(&format!("/volume/volumes/{root}"), "volume", "available")
        .await;
    demo.get(&format!("/volume/volumes/{data}"))
        .await
        .refused(404, "could not be found");
    assert_eq!(connections(&sites, &place.array_volume), 0);
    let port = demo
        .get(&format!("/network/ports/{}", port["id"].as_str().unwrap()))
        .await
        .is(200);
    assert_eq!(
        (&port["port"]["device_id"], &port["port"]["status"]),
        (&json!(""), &json!("DOWN"))
    );
}

#[tokio::test]
async fn who_asks_what_has_changed_is_told_what_is_gone_too() {
    let sites = sites().await;
    let cloud = sites.cloud("site-a").unwrap();
    let demo = User::named(cloud, "demo").await;
    let (gone, kept) = (cloud.boot("web", 1).unwrap(), cloud.boot("db", 1).unwrap());
    for id in [&gone, &kept] {
        let path = format!("/compute/servers/{id}");
        demo.wait(&path, "server", "ACTIVE").await;
    }
    let path = format!("/compute/servers/{gone}");
    demo.post(&format!("{path}/metadata"), json!({"metadata": {"tier": "web"}}))
        .await
        .is(200);
    demo.put(&format!("{path}/tags"), json!({"tags": ["dr"]}))
        .await
        .is(200);
    demo.delete(&path).await.is(204);
    demo.wait(&path, "server", "gone").await;
    let since = |time: &str| format!("/compute/servers/detail?changes-since={time}");
    let told = demo.get(&since("2020-01-01T00:00:00Z")).await.is(200);
    let of = |id: &str| {
        let servers = told["servers"].as_array().unwrap();
        servers.iter().find(|server| server["id"] == id).unwrap()
    };
    assert_eq!(of(&kept)["status"], "ACTIVE");
    let web = of(&gone);
    assert_eq!(
        (&web["status"], &web["metadata"], &web["tags"]),
        (&json!("DELETED"), &json!({}), &json!([]))
    );
    let told = demo.get(&since("2037-01-01T00:00:00Z")).await.is(200);
    assert_eq!(told["servers"], json!([]));
    demo.get(&since("nonsense")).await.refused(400, "changes-since");
}

fn connections(sites: &protector_sim::cloud::Sites, volume: &str) -> usize {
    let state = sites.fabric().state("fa-a").unwrap();
    state
        .to_string()
        .matches(&format!("\"volume\":\"{volume}\""))
        .count()
}

#[tokio::test]
async fn what_nova_refuses() {
    let sites = sites().await;
    let cloud = sites.cloud("site-a").unwrap();
    let demo = User::named(cloud, "demo").await;
    let flavors = demo.get("/compute/flavors").await.is(200);
    let body = json!({"volume": {"size": 1, "volume_type": "plain", "name": "v"}});
    let volume = demo.post("/volume/volumes", body).await.is(202)["volume"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    demo.wait(&format!("/volume/volumes/{volume}"), "volume", "available")
        .await;
    let wanted = json!({
        "name": "s", "flavorRef": flavors["flavors"][0]["id"], "imageRef": "", "networks": "none",
        "block_device_mapping_v2": [{"uuid": volume, "source_type": "volume", "destination_type": "volume", "boot_index": 0}]
    });
    let post = async |change: Value| {
        let mut wanted = wanted.clone();
        for (key, value) in change.as_object().unwrap() {
            wanted[key] = value.clone();
        }
        demo.post("/compute/servers", json!({"server": wanted})).await
    };
    post(json!({})).await.refused(400, "is not bootable");
    let path = format!("/volume/volumes/{volume}/action");
    demo.post(&path, json!({"os-set_bootable": {"bootable": true}}))
        .await
        .is(200);
    post(json!({"key_name": "nosuch"}))
        .await
        .refused(400, "Invalid key_name provided.");
    post(json!({"flavorRef": "nosuch"}))
        .await
        .refused(400, "Flavor nosuch could not be found");
    post(json!({"networks": [{"port": "nosuch"}]}))
        .await
        .refused(400, "Port nosuch");
    post(json!({"surprise": 1}))
        .await
        .refused(400, "Additional properties");
    post(json!({"block_device_mapping_v2": []}))
        .await
        .refused(400, "Boot sequence");
    cloud.set(Settings {
        compute_quotas: [("instances".to_owned(), 0)].into(),
        build_fails: Some(vec![("s".to_owned(), "No valid host was found. ".to_owned())]),
        ..Settings::default()
    });
    post(json!({})).await.refused(403, "Quota exceeded for instances");
    cloud.set(Settings {
        compute_quotas: [("instances".to_owned(), 10)].into(),
        ..Settings::default()
    });
    let made = post(json!({})).await.is(202);
    demo.wait(&format!("/volume/volumes/{volume}"), "volume", "reserved")
        .await;
    post(json!({})).await.refused(400, "status must be 'available'");
    let server = format!("/compute/servers/{}", made["server"]["id"].as_str().unwrap());
    let server_body = demo.wait(&server, "server", "ERROR").await;
    assert_eq!(server_body["fault"]["message"], "No valid host was found. ");
    demo.delete(&server).await.is(204);
    demo.wait(&format!("/volume/volumes/{volume}"), "volume", "available")
        .await;

    let stranger = User::named(cloud, "protector").await;
    assert_eq!(
        stranger.get("/compute/servers/detail").await.is(200)["servers"],
        json!([])
    );
    let http = reqwest::Client::new();
    let answer = http
        .get(format!("{}/compute/v2.1/servers", cloud.url()))
        .header("x-auth-token", &demo.token)
        .header("openstack-api-version", "compute 2.999")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 406);
}
