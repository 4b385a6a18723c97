//! The calls of a planned failover, made by hand.

use std::time::Duration;

use serde_json::{Value, json};

use super::{User, password, sites};

#[tokio::test]
async fn a_server_moves_to_the_other_site_with_its_data() {
    let sites = sites().await;
    let (a, b) = (sites.cloud("site-a").unwrap(), sites.cloud("site-b").unwrap());
    let id = a.boot("db", 2).unwrap();
    a.write("db", "vda", "root").unwrap();
    a.write("db", "vdb", "orders").unwrap();
    let demo_a = User::named(a, "demo").await;
    demo_a
        .post(&format!("/compute/servers/{id}/action"), json!({"os-stop": null}))
        .await
        .is(202);
    demo_a
        .wait(&format!("/compute/servers/{id}"), "server", "SHUTOFF")
        .await;

    // The arrays' part: a snapshot of the group arrives at the other one, and volumes are made of it.
    let before = b.state();
    let array = |name: &str| format!("{}/api/2.26", sites.arrays().url(name).unwrap());
    let http = reqwest::Client::new();
    let login = async |name: &str| {
        let answer = http
            .post(format!("{}/login", array(name)))
            .header("api-token", format!("{name}-token"))
            .send()
            .await
            .unwrap();
        answer.headers()["x-auth-token"].to_str().unwrap().to_owned()
    };
    let (token_a, token_b) = (login("fa-a").await, login("fa-b").await);
    let snapshot = http
        .post(format!(
            "{}/protection-group-snapshots?source_names=cinder-group&replicate_now=true",
            array("fa-a")
        ))
        .header("x-auth-token", &token_a)
        .json(&json!({"suffix": "last"}))
        .send()
        .await
        .unwrap();
    assert_eq!(snapshot.status(), 200, "{}", snapshot.text().await.unwrap());
    let mut clones = Vec::new();
    for (at, disk) in a.disks("db").unwrap().iter().enumerate() {
        let source = format!("fa-a:cinder-group.last.{}", disk.array_volume);
        let name = format!("dr-1-{at}");
        for attempt in 0.. {
            let made = http
                .post(format!("{}/volumes?names={name}", array("fa-b")))
                .header("x-auth-token", &token_b)
                .json(&json!({"source": {"name": source}}))
                .send()
                .await
                .unwrap();
            if made.status() == 200 {
                break;
            }
            assert!(attempt < 50, "{}", made.text().await.unwrap());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        clones.push(name);
    }

    // The other cloud's part: import by the service, hand over, boot as the tenant.
    let (service, demo) = (User::named(b, "protector").await, User::named(b, "demo").await);
    let trust = json!({"trust": {
        "trustor_user_id": demo.id, "trustee_user_id": service.id, "project_id": demo.project, "impersonation": true,
        "roles": [{"name": "member"}]
    }});
    let trust = demo.post("/identity/OS-TRUST/trusts", trust).await.is(201);
    let lent = json!({"identity": password(b, "protector"), "scope": {"OS-TRUST:trust": {"id": trust["trust"]["id"]}}});
    let lent = User::with(b, lent).await;
    let mut volumes = Vec::new();
    for name in &clones {
        let body = json!({"volume": {
            "host": "site-b-controller@pure", "ref": {"source-name": name, "name": name}, "name": name,
            "volume_type": "replicated-ssd", "bootable": true
        }});
        let made = service.post("/volume/manageable_volumes", body).await.is(202);
        let id = made["volume"]["id"].as_str().unwrap().to_owned();
        let volume = service
            .wait(&format!("/volume/volumes/{id}"), "volume", "available")
            .await;
        assert_eq!(volume["provider_id"], format!("volume-{id}-cinder"));
        let offer = json!({"transfer": {"volume_id": id, "name": name, "no_snapshots": true}});
        let offer = service.post("/volume/volume-transfers", offer).await.is(202)["transfer"].clone();
        let accept = format!(
            "/volume/volume-transfers/{}/accept",
            offer["id"].as_str().unwrap()
        );
        lent.post(&accept, json!({"accept": {"auth_key": offer["auth_key"]}}))
            .await
            .is(202);
        volumes.push(id);
    }
    let net = lent.get("/network/networks?name=demo-net").await.is(200)["networks"][0].clone();
    let port = json!({"port": {"network_id": net["id"], "mac_address": "fa:16:3e:aa:bb:cc", "fixed_ips": [{"ip_address": "10.2.0.40"}]}});
    let port = lent.post("/network/ports", port).await.is(201)["port"].clone();
    let flavors = lent.get("/compute/flavors/detail").await.is(200);
    let flavor = flavors["flavors"]
        .as_array()
        .unwrap()
        .iter()
        .find(|flavor| flavor["name"] == "m1.small")
        .unwrap();
    let mappings: Vec<Value> = volumes
        .iter()
        .enumerate()
        .map(|(at, id)| {
            json!({"uuid": id, "source_type": "volume", "destination_type": "volume", "delete_on_termination": false,
                "boot_index": if at == 0 { 0 } else { -1 }})
        })
        .collect();
    let server = json!({"server": {
        "name": "db", "flavorRef": flavor["id"], "imageRef": "", "key_name": "demo-key", "config_drive": true,
        "networks": [{"port": port["id"]}], "block_device_mapping_v2": mappings, "tags": ["dr"]
    }});
    let made = lent.post("/compute/servers", server).await.is(202)["server"].clone();
    let path = format!("/compute/servers/{}", made["id"].as_str().unwrap());
    let server = lent.wait(&path, "server", "ACTIVE").await;
    assert_eq!(server["addresses"]["demo-net"][0]["addr"], "10.2.0.40");
    assert_eq!(
        (b.read("db", "vda").unwrap(), b.read("db", "vdb").unwrap()),
        (vec!["root".to_owned()], vec!["orders".to_owned()])
    );

    // And back to what was there.
    lent.delete(&path).await.is(204);
    lent.wait(&path, "server", "gone").await;
    lent.delete(&format!("/network/ports/{}", port["id"].as_str().unwrap()))
        .await
        .is(204);
    for id in &volumes {
        lent.delete(&format!("/volume/volumes/{id}")).await.is(202);
        lent.wait(&format!("/volume/volumes/{id}"), "volume", "gone")
            .await;
    }
    demo.delete(&format!(
        "/identity/OS-TRUST/trusts/{}",
        trust["trust"]["id"].as_str().unwrap()
    ))
    .await
    .is(204);
    let after = b.state();
    for part in ["identity", "compute", "volume", "network"] {
        assert_eq!(before[part], after[part], "{part}");
    }
}

#[tokio::test]
async fn another_process_can_look_and_disturb() {
    let sites = sites().await;
    let a = sites.cloud("site-a").unwrap();
    let http = reqwest::Client::new();
    let control = format!("{}/control/sites", sites.control_url().unwrap());
    let described: Value = http.get(&control).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        described["sites"][1]["auth_url"],
        sites.cloud("site-b").unwrap().auth_url()
    );
    let boot = json!({"name": "web", "disks": 1});
    let made = http
        .post(format!("{control}/site-a/servers"))
        .json(&boot)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 200, "{}", made.text().await.unwrap());
    let disk = format!("{control}/site-a/servers/web/disks/vda");
    http.post(&disk)
        .json(&json!({"marker": "m1"}))
        .send()
        .await
        .unwrap();
    let read: Value = http.get(&disk).send().await.unwrap().json().await.unwrap();
    assert_eq!(read, json!({"markers": ["m1"]}));

    let demo = User::named(a, "demo").await;
    let rule = json!({"method": "GET", "path": "/compute/.*servers$", "times": 1,
        "action": {"kind": "status", "status": 503, "body": {"serviceUnavailable": {"code": 503, "message": "busy"}}}});
    http.post(format!("{control}/site-a/faults/rules"))
        .json(&rule)
        .send()
        .await
        .unwrap();
    let url = format!("{}/compute/v2.1/servers", a.url());
    let ask = || http.get(&url).header("x-auth-token", &demo.token).send();
    assert_eq!(ask().await.unwrap().status(), 503);
    assert_eq!(ask().await.unwrap().status(), 200);
    http.put(format!("{control}/site-a/power"))
        .json(&json!({"on": false}))
        .send()
        .await
        .unwrap();
    assert!(reqwest::get(a.auth_url()).await.is_err());
    http.put(format!("{control}/site-a/power"))
        .json(&json!({"on": true}))
        .send()
        .await
        .unwrap();
    assert_eq!(reqwest::get(a.auth_url()).await.unwrap().status(), 200);
    let calls: Value = http
        .get(format!("{control}/site-a/calls?path=/compute/"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(calls["calls"][0]["service"], "site-a");
    let settings = json!({"forbidden": ["os_compute_api:servers:create"], "delays": {"build": 1}});
    let answer = http
        .put(format!("{control}/site-a/settings"))
        .json(&settings)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    demo.post("/compute/servers", json!({"server": {}}))
        .await
        .refused(403, "os_compute_api:servers:create");
}
