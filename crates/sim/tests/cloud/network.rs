use protector_sim::cloud::Settings;
use serde_json::{Value, json};

use super::{User, sites};

async fn network(user: &User, name: &str) -> Value {
    let found = user.get(&format!("/network/networks?name={name}")).await.is(200);
    found["networks"][0].clone()
}

#[tokio::test]
async fn ports_obey_owner_and_conflicts() {
    let sites = sites().await;
    let cloud = sites.cloud("site-a").unwrap();
    let (demo, service) = (
        User::named(cloud, "demo").await,
        User::named(cloud, "protector").await,
    );
    let own = network(&demo, "demo-net").await;
    let shared = network(&demo, "shared-net").await;
    let ports = "/network/ports";
    let wanted = json!({"port": {
        "network_id": own["id"], "mac_address": "fa:16:3e:00:00:01", "fixed_ips": [{"subnet_id": own["subnets"][0], "ip_address": "10.1.0.50"}],
        "allowed_address_pairs": [{"ip_address": "10.1.0.99"}]
    }});
    let port = demo.post(ports, wanted.clone()).await.is(201)["port"].clone();
    assert_eq!(
        port["allowed_address_pairs"][0]["mac_address"],
        "fa:16:3e:00:00:01"
    );
    let mut twin = wanted.clone();
    demo.post(ports, twin.clone())
        .await
        .refused(409, "MacAddressInUse");
    twin["port"]["mac_address"] = json!("fa:16:3e:00:00:02");
    demo.post(ports, twin.clone())
        .await
        .refused(409, "IpAddressAlreadyAllocated");
    twin["port"]["fixed_ips"][0]["ip_address"] = json!("192.168.0.1");
    demo.post(ports, twin).await.refused(400, "InvalidIpForSubnet");

    let on_shared = |extra: Value| {
        let mut body = json!({"network_id": shared["id"]});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        json!({"port": body})
    };
    demo.post(ports, on_shared(json!({}))).await.is(201);
    for special in [
        json!({"mac_address": "fa:16:3e:00:00:03"}),
        json!({"fixed_ips": [{"ip_address": "172.16.1.9"}]}),
        json!({"port_security_enabled": false, "security_groups": []}),
        json!({"allowed_address_pairs": [{"ip_address": "172.16.1.10"}]}),
    ] {
        demo.post(ports, on_shared(special.clone()))
            .await
            .refused(403, "disallowed by policy");
        let mut special = special;
        special["project_id"] = json!(demo.project);
        let made = service.post(ports, on_shared(special)).await.is(201);
        assert_eq!(made["port"]["project_id"], demo.project);
        demo.delete(&format!("{ports}/{}", made["port"]["id"].as_str().unwrap()))
            .await
            .is(204);
    }
    let bare = json!({"port": {"network_id": own["id"], "port_security_enabled": false}});
    assert_eq!(
        demo.post(ports, bare).await.is(201)["port"]["security_groups"],
        json!([])
    );
    let groups = demo.get("/network/security-groups?name=default").await.is(200);
    assert_eq!(groups["security_groups"].as_array().unwrap().len(), 1);

    demo.put(
        &format!("{ports}/{}/tags", port["id"].as_str().unwrap()),
        json!({"tags": ["dr:1"]}),
    )
    .await
    .is(200);
    let found = demo.get(&format!("{ports}?tags=dr:1")).await.is(200);
    assert_eq!(found["ports"].as_array().unwrap().len(), 1);
    cloud.set(Settings {
        network_quotas: [("port".to_owned(), 2)].into(),
        ..Settings::default()
    });
    demo.post(ports, on_shared(json!({})))
        .await
        .refused(409, "OverQuota");
    // To others the network doesn't exist.
    let stranger = json!({"port": {"network_id": "11111111-1111-1111-1111-111111111111"}});
    demo.post(ports, stranger).await.refused(404, "NetworkNotFound");
}
