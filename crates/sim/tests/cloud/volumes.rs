use protector_sim::cloud::{Release, Settings};
use serde_json::json;

use super::{User, sites};

#[tokio::test]
async fn groups_go_through_their_states() {
    let sites = sites().await;
    let cloud = sites.cloud("site-a").unwrap();
    let (demo, admin) = (
        User::named(cloud, "demo").await,
        User::named(cloud, "admin").await,
    );
    cloud.boot("web", 1).unwrap();
    let volume = cloud.disks("web").unwrap()[0].clone();
    let specs = json!({"consistent_group_snapshot_enabled": "<is> True"});
    let kind = json!({"group_type": {"name": "dr-cg", "group_specs": specs}});
    demo.post("/volume/group_types", kind.clone())
        .await
        .refused(403, "group:group_types_manage");
    admin.post("/volume/group_types", kind.clone()).await.is(202);
    admin
        .post("/volume/group_types", kind)
        .await
        .refused(409, "already exists");
    let seen = demo.get("/volume/group_types").await.is(200);
    assert!(seen["group_types"][0].get("group_specs").is_none());

    let body = json!({"group": {"name": "g", "group_type": "dr-cg", "volume_types": ["replicated-ssd"]}});
    let id = demo.post("/volume/groups", body).await.is(202)["group"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/volume/groups/{id}");
    let add = json!({"group": {"add_volumes": volume.volume_id}});
    demo.put(&path, add.clone())
        .await
        .refused(400, "status must be available");
    demo.wait(&path, "group", "available").await;
    demo.put(&path, json!({"group": {}}))
        .await
        .refused(400, "can not be all empty");
    demo.put(&path, add).await.is(202);
    demo.wait(&path, "group", "updating").await;
    demo.wait(&path, "group", "available").await;
    let listed = demo.get(&format!("{path}?list_volume=True")).await.is(200);
    assert_eq!(listed["group"]["volumes"], json!([volume.volume_id]));
    let array = sites.fabric().state("fa-a").unwrap().to_string();
    assert!(array.contains(&format!("consisgroup-{id}-cinder")));

    let delete = json!({"delete": {"delete-volumes": false}});
    demo.post(&format!("{path}/action"), delete.clone())
        .await
        .refused(400, "not empty");
    demo.put(&path, json!({"group": {"remove_volumes": volume.volume_id}}))
        .await
        .is(202);
    demo.wait(&path, "group", "available").await;
    demo.post(&format!("{path}/action"), delete).await.is(202);
    demo.wait(&path, "group", "gone").await;
}

#[tokio::test]
async fn importing_needs_rights_room_and_the_right_key() {
    let sites = sites().await;
    let cloud = sites.cloud("site-a").unwrap();
    let (demo, service) = (
        User::named(cloud, "demo").await,
        User::named(cloud, "protector").await,
    );
    let id = cloud.boot("web", 1).unwrap();
    let volume = cloud.disks("web").unwrap()[0].clone();
    let action = format!("/volume/volumes/{}/action", volume.volume_id);
    demo.delete(&format!("/compute/servers/{id}")).await.is(204);
    demo.wait(
        &format!("/volume/volumes/{}", volume.volume_id),
        "volume",
        "available",
    )
    .await;
    demo.post(&action, json!({"os-unmanage": {}}))
        .await
        .refused(403, "volume_extension:volume_unmanage");
    service.post(&action, json!({"os-unmanage": {}})).await.is(202);
    service
        .wait(&format!("/volume/volumes/{}", volume.volume_id), "volume", "gone")
        .await;
    let name = format!("{}-unmanaged", volume.array_volume);
    assert!(sites.fabric().content("fa-a", &name).is_ok());

    let services = service
        .get("/volume/os-services?binary=cinder-volume")
        .await
        .is(200);
    let host = services["services"][0]["host"].as_str().unwrap();
    let wanted = |key: &str, value: &str| json!({"volume": {"host": host, "volume_type": "replicated-ssd", "name": "v", "ref": {key: value}}});
    demo.post("/volume/manageable_volumes", wanted("source-name", &name))
        .await
        .refused(403, "volume_extension:volume_manage");
    demo.get("/volume/os-services")
        .await
        .refused(403, "volume_extension:services:index");
    let mut elsewhere = wanted("source-name", &name);
    elsewhere["volume"]["host"] = json!("other@pure");
    service
        .post("/volume/manageable_volumes", elsewhere)
        .await
        .refused(400, "Host 'other@pure' not found");

    let fails = async |body: serde_json::Value, reason: &str| {
        let made = service.post("/volume/manageable_volumes", body).await.is(202);
        assert_eq!(
            (&made["volume"]["status"], &made["volume"]["size"]),
            (&json!("creating"), &json!(0))
        );
        let id = made["volume"]["id"].as_str().unwrap();
        service
            .wait(&format!("/volume/volumes/{id}"), "volume", "error")
            .await;
        let told = service
            .get(&format!("/volume/messages?resource_uuid={id}"))
            .await
            .is(200);
        assert!(told.to_string().contains(reason), "{told}");
        // The driver can't delete what it never took over, and nothing removes the row.
        let path = format!("/volume/volumes/{id}");
        service.delete(&path).await.is(202);
        let left = service.wait(&path, "volume", "error_deleting").await;
        assert_eq!(left["provider_id"], json!(null));
        service
            .delete(&path)
            .await
            .refused(400, "Volume status must be available or error");
    };
    fails(wanted("source-name", "nosuch"), "Unable to find Purity ref").await;
    fails(wanted("name", &name), "requires a 'source-name' key").await;
    let quota = |name: &str, limit: i64| {
        cloud.set(Settings {
            volume_quotas: [(name.to_owned(), limit)].into(),
            ..Settings::default()
        });
    };
    quota("gigabytes", 0);
    fails(wanted("source-name", &name), "exceeds allowed gigabytes quota").await;
    quota("gigabytes", 100);
    quota("volumes", 0);
    let got = service
        .post("/volume/manageable_volumes", wanted("source-name", &name))
        .await;
    assert_eq!(got.headers["retry-after"], "0");
    got.refused(413, "overLimit");
    quota("volumes", 10);
    cloud.set(Settings {
        release: Some(Release { cinder: 17 }),
        ..Settings::default()
    });
    let made = service
        .post("/volume/manageable_volumes", wanted("name", &name))
        .await
        .is(202);
    let id = made["volume"]["id"].as_str().unwrap();
    let volume = service
        .wait(&format!("/volume/volumes/{id}"), "volume", "available")
        .await;
    assert_eq!(volume["provider_id"], format!("volume-{id}-cinder"));

    // The older driver lets go of what it never had.
    let made = service
        .post("/volume/manageable_volumes", wanted("name", "nosuch"))
        .await
        .is(202);
    let path = format!("/volume/volumes/{}", made["volume"]["id"].as_str().unwrap());
    service.wait(&path, "volume", "error").await;
    service.delete(&path).await.is(202);
    service.wait(&path, "volume", "gone").await;
}

#[tokio::test]
async fn transfers_hand_volumes_over_once() {
    let sites = sites().await;
    let cloud = sites.cloud("site-a").unwrap();
    let (demo, service) = (
        User::named(cloud, "demo").await,
        User::named(cloud, "protector").await,
    );
    let body = json!({"volume": {"size": 1, "volume_type": "replicated-ssd"}});
    let id = service.post("/volume/volumes", body).await.is(202)["volume"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/volume/volumes/{id}");
    service.wait(&path, "volume", "available").await;
    let offer = json!({"transfer": {"volume_id": id, "name": "t", "no_snapshots": true}});
    let made = service
        .post("/volume/volume-transfers", offer.clone())
        .await
        .is(202)["transfer"]
        .clone();
    service
        .post("/volume/volume-transfers", offer.clone())
        .await
        .refused(400, "status must be available");
    let transfer = format!("/volume/volume-transfers/{}", made["id"].as_str().unwrap());
    assert!(
        service.get(&transfer).await.is(200)["transfer"]
            .get("auth_key")
            .is_none()
    );
    service.delete(&transfer).await.is(202);
    service.wait(&path, "volume", "available").await;

    let made = service.post("/volume/volume-transfers", offer).await.is(202)["transfer"].clone();
    let accept = format!("/volume/volume-transfers/{}/accept", made["id"].as_str().unwrap());
    demo.post(&accept, json!({"accept": {"auth_key": "wrong"}}))
        .await
        .refused(400, "Invalid auth key");
    let key = json!({"accept": {"auth_key": made["auth_key"]}});
    let private = |projects: Vec<String>| {
        cloud.set(Settings {
            private_types: [("replicated-ssd".to_owned(), projects.into_iter().collect())].into(),
            ..Settings::default()
        });
    };
    private(Vec::new());
    demo.post(&accept, key.clone()).await.refused(404, "Volume type");
    service.wait(&path, "volume", "awaiting-transfer").await;
    private(vec![demo.project.clone()]);
    demo.post(&accept, key.clone()).await.is(202);
    demo.post(&accept, key).await.refused(404, "could not be found");
    let volume = demo.wait(&path, "volume", "available").await;
    assert_eq!(
        (&volume["user_id"], &volume["os-vol-tenant-attr:tenant_id"]),
        (&json!(demo.id), &json!(demo.project))
    );
    assert!(volume.get("provider_id").is_none());
}

#[tokio::test]
async fn tenants_see_few_extra_specs() {
    let sites = sites().await;
    let cloud = sites.cloud("site-a").unwrap();
    let (demo, admin) = (
        User::named(cloud, "demo").await,
        User::named(cloud, "admin").await,
    );
    let specs = async |user: &User| {
        let types = user.get("/volume/types?is_public=None").await.is(200);
        let types = types["volume_types"].as_array().unwrap();
        types
            .iter()
            .find(|kind| kind["name"] == "replicated-ssd")
            .unwrap()["extra_specs"]
            .clone()
    };
    assert_eq!(specs(&demo).await, json!({"replication_enabled": "<is> True"}));
    assert_eq!(specs(&admin).await["replication_type"], "<in> async");
    let limits = User::named(cloud, "protector")
        .await
        .get("/volume/limits")
        .await
        .is(200);
    assert_eq!(limits["limits"]["absolute"]["maxTotalVolumes"], 10);
}
