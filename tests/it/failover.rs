//! The planned failover.

use protector_tests::{Shop, Stack, Tenant, User};
use serde_json::{Value, json};

/// A network of the tenant at `site-b` with the addresses of `demo-net` at `site-a`.
async fn twin_network(tenant: &Tenant) {
    let net = json!({"network": {"name": "demo-net-dr"}});
    let made = tenant
        .b
        .cloud("network", "POST", "/v2.0/networks", net)
        .await
        .success();
    let subnet = json!({"subnet": {
        "name": "demo-subnet-dr", "network_id": made["network"]["id"], "cidr": "10.1.0.0/24", "ip_version": 4
    }});
    tenant
        .b
        .cloud("network", "POST", "/v2.0/subnets", subnet)
        .await
        .success();
}

/// The mapping that every test uses which doesn't look at networks.
pub(crate) fn mappings() -> Value {
    json!({"networks": {"demo-net": "demo-net"}})
}

/// The servers of a tenant, by name.
pub(crate) async fn servers(user: &User) -> Vec<Value> {
    let answer = user
        .cloud("compute", "GET", "/servers/detail", Value::Null)
        .await
        .expect(200);
    let mut servers = answer["servers"].as_array().unwrap().clone();
    servers.sort_by_key(|server| server["name"].as_str().unwrap_or_default().to_owned());
    servers
}

async fn start(stack: &Stack) -> (Tenant, Shop) {
    let tenant = stack.tenant().await;
    let shop = tenant.shop(stack, &[("db-0", 2), ("web-0", 1)]).await;
    (tenant, shop)
}

#[tokio::test]
async fn a8_action_answers_operation_at_once() {
    let stack = Stack::start().await;
    let (tenant, shop) = start(&stack).await;
    let path = format!("/protection-groups/{}/action", shop.group);
    let wrong = json!({"explode": {}});
    let answer = tenant.change(&shop.group, "POST", &path, wrong).await;
    assert_eq!(answer.status, 400, "{}", answer.body);

    let order = json!({"failover": {"type": "planned", "mappings": mappings()}});
    let answer = tenant.change(&shop.group, "POST", &path, order).await.expect(202);
    let operation = &answer["operation"];
    assert_eq!(operation["operation_type"], "failover");
    assert_eq!(operation["status"], "pending");
    assert_eq!(operation["progress"], 0);
    assert_eq!(operation["source_site_id"], tenant.ids[0].as_str());
    assert_eq!(operation["target_site_id"], tenant.ids[1].as_str());

    // It waits for the other site's word, and is listed meanwhile.
    let query = format!("/operations?protection_group_id={}", shop.group);
    let listed = tenant.a.api("GET", &query, Value::Null).await.expect(200);
    assert_eq!(listed["operations"][0]["id"], operation["id"]);
    tenant.push(&shop.group).await;
    let ended = tenant.ended(operation).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    assert_eq!(ended["progress"], 100);
    let phases = json!([
        "prepare",
        "storage_failover",
        "instance_recreation",
        "finalization"
    ]);
    assert_eq!(ended["steps_completed"], phases);
    assert_eq!(
        ended["result_data"]["instances_created"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn o1_planned_failover_moves_vms_with_their_data() {
    let stack = Stack::start().await;
    let (tenant, shop) = start(&stack).await;
    let mut wanted = Vec::new();
    for server in &shop.servers {
        for disk in stack.disks("site-a", server).await {
            let device = disk["device"].as_str().unwrap();
            for number in 0..2 {
                stack
                    .write("site-a", server, device, &format!("{server} {device} {number}"))
                    .await;
            }
            wanted.push(stack.read("site-a", server, device).await);
        }
    }
    let operation = tenant.failover(&shop.group, mappings()).await;
    let ended = tenant.ended(&operation).await;
    assert_eq!(ended["outcome"], "completed", "{ended}");

    let mut found = Vec::new();
    let new = servers(&tenant.b).await;
    assert_eq!(new.len(), 2);
    for (server, disks) in new.iter().zip([2, 1]) {
        assert_eq!(server["status"], "ACTIVE", "{server}");
        let id = server["id"].as_str().unwrap();
        let places = stack.disks("site-b", id).await;
        assert_eq!(places.len(), disks);
        for disk in places {
            found.push(stack.read("site-b", id, disk["device"].as_str().unwrap()).await);
        }
    }
    assert_eq!(found, wanted);
    assert!(found.iter().all(|markers| markers.len() == 2));
    for server in servers(&tenant.a).await {
        assert_eq!(server["status"], "SHUTOFF", "{server}");
    }
}

#[tokio::test]
async fn o1_the_group_is_failed_over_on_both_sites_and_counts_it() {
    let stack = Stack::start().await;
    let (tenant, shop) = start(&stack).await;
    let before = tenant.group(&tenant.a, &shop.group).await;
    let operation = tenant.failover(&shop.group, mappings()).await;
    assert_eq!(tenant.ended(&operation).await["outcome"], "completed");
    for user in [&tenant.a, &tenant.b] {
        let group = tenant.group(user, &shop.group).await;
        assert_eq!(group["status"], "failed_over", "{}: {group}", user.site);
        assert_eq!(group["failover_count"], 1);
        assert_eq!(group["current_primary_site"], "site-b");
        assert_eq!(
            group["primary_site"], "site-a",
            "where it was made doesn't change"
        );
        assert_eq!(group["epoch"], before["epoch"].as_u64().unwrap() + 1);
    }
}

#[tokio::test]
async fn o1_networks_addresses_and_flavors_are_mapped() {
    let stack = Stack::start().await;
    let (tenant, shop) = start(&stack).await;
    twin_network(&tenant).await;
    let order = json!({"networks": {"demo-net": "demo-net-dr"}, "flavors": {"m1.small": "m1.medium"}});
    let before = servers(&tenant.a).await;
    let operation = tenant.failover(&shop.group, order).await;
    let ended = tenant.ended(&operation).await;
    assert_eq!(ended["outcome"], "completed", "{ended}");
    let flavors = tenant
        .b
        .cloud("compute", "GET", "/flavors", Value::Null)
        .await
        .expect(200);
    let medium = flavors["flavors"].as_array().unwrap().iter();
    let medium = medium
        .into_iter()
        .find(|flavor| flavor["name"] == "m1.medium")
        .unwrap();
    for (old, new) in before.iter().zip(servers(&tenant.b).await) {
        assert_eq!(old["name"], new["name"]);
        let address = |server: &Value, network: &str| server["addresses"][network][0]["addr"].clone();
        assert_eq!(address(&new, "demo-net-dr"), address(old, "demo-net"), "{new}");
        assert_eq!(new["flavor"]["id"], medium["id"], "{new}");
        assert_eq!(new["metadata"]["app"], old["metadata"]["app"]);
        assert_eq!(new["key_name"], old["key_name"]);
        assert_eq!(new["security_groups"], old["security_groups"]);
    }
}

#[tokio::test]
async fn o1_every_member_must_be_protected() {
    let stack = Stack::start().await;
    let tenant = stack.tenant().await;
    let group = tenant.create("shop").await;
    let path = format!("/protection-groups/{group}/action");
    let order = json!({"failover": {"type": "planned", "mappings": mappings()}});
    let message = tenant
        .change(&group, "POST", &path, order.clone())
        .await
        .refusal(409);
    assert!(message.contains("policy"), "{message}");
    tenant.bind(&stack, &group, "shop-pg").await;
    let message = tenant
        .change(&group, "POST", &path, order.clone())
        .await
        .refusal(409);
    assert!(message.contains("no members"), "{message}");

    // A change that has not reached the other site: versions are not equal.
    let server = stack.boot("web-0", 1).await;
    let members = format!("/protection-groups/{group}/members");
    let body = json!({"member": {"instance_id": server}});
    tenant.change(&group, "POST", &members, body).await.expect(202);
    let nonce = json!({"nonce": {}});
    let sync = format!("/protection-groups/{group}/sync");
    let answer = tenant.a.api("POST", &sync, nonce).await;
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(
        answer.body.to_string().contains("\"sync_status\":\"pending\""),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn o11_volumes_imported_by_service_and_transfer() {
    let stack = Stack::start().await;
    let (tenant, shop) = start(&stack).await;
    let service = stack.user("site-b", "protector").await;
    let operation = tenant.failover(&shop.group, mappings()).await;
    assert_eq!(tenant.ended(&operation).await["outcome"], "completed");

    // By whom: the paths of Cinder carry the project of the caller.
    let managed = stack.calls("site-b", "POST", "manageable_volumes").await;
    assert_eq!(managed.len(), 3);
    let answer = service
        .cloud(
            "volumev3",
            "GET",
            "/os-services?binary=cinder-volume",
            Value::Null,
        )
        .await
        .expect(200);
    let hosts: Vec<&str> = answer["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["host"].as_str().unwrap())
        .collect();
    for call in &managed {
        let path = call["path"].as_str().unwrap();
        assert!(path.contains(&service.project), "not by the service user: {path}");
        let host = call["body"]["volume"]["host"].as_str().unwrap();
        let backend = host.split('#').next().unwrap();
        assert!(hosts.contains(&backend), "{host} is not of {hosts:?}");
        // What is taken over is a clone of the replicated snapshot.
        let reference = call["body"]["volume"]["ref"].to_string();
        assert!(reference.contains("dr-"), "{reference}");
    }
    let accepted = stack.calls("site-b", "POST", "/accept").await;
    assert_eq!(accepted.len(), 3);
    for call in &accepted {
        let path = call["path"].as_str().unwrap();
        assert!(
            path.contains(&tenant.b.project),
            "not accepted by the tenant: {path}"
        );
    }
    let volumes = tenant
        .b
        .cloud("volumev3", "GET", "/volumes/detail", Value::Null)
        .await
        .expect(200);
    let volumes = volumes["volumes"].as_array().unwrap();
    assert_eq!(volumes.len(), 3);
    for volume in volumes {
        assert_eq!(volume["status"], "in-use", "{volume}");
        assert_eq!(volume["os-vol-tenant-attr:tenant_id"], tenant.b.project.as_str());
    }
    let left = service
        .cloud("volumev3", "GET", "/volumes/detail", Value::Null)
        .await
        .expect(200);
    assert_eq!(left["volumes"], json!([]), "the service's project keeps nothing");
}

#[tokio::test]
async fn o11_volumes_are_found_by_the_replicated_snapshot() {
    let stack = Stack::start().await;
    let (tenant, shop) = start(&stack).await;
    let operation = tenant.failover(&shop.group, mappings()).await;
    assert_eq!(tenant.ended(&operation).await["outcome"], "completed");
    let query = "calls?service=fa-b&method=POST&path=/volumes";
    let calls = stack.arrays("GET", query, Value::Null).await;
    let sources: Vec<String> = calls["calls"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|call| call.pointer("/body/source/name")?.as_str().map(str::to_owned))
        .collect();
    assert_eq!(sources.len(), 3, "{sources:?}");
    let short = operation["id"].as_str().unwrap();
    for source in &sources {
        // <array>:<group>.<snapshot>.<volume>
        assert!(source.starts_with("fa-a:shop-pg.dr-"), "{source}");
        assert!(source.contains(&short[..8]), "{source}");
    }
}

#[tokio::test]
async fn o11_rollback_releases_volumes_by_unmanage() {
    let stack = Stack::start().await;
    let (tenant, shop) = start(&stack).await;
    let rule = json!({
        "method": "POST", "path": "/compute/.*servers$", "times": 1,
        "action": {"kind": "status", "status": 403, "body": {"forbidden": {"code": 403, "message": "Not today."}}}
    });
    stack.control("POST", "site-b/faults/rules", rule).await;
    let operation = tenant.failover(&shop.group, mappings()).await;
    let ended = tenant.ended(&operation).await;
    assert_eq!(ended["outcome"], "rolled_back", "{ended}");
    let calls = stack.calls("site-b", "POST", "/action").await;
    let released = calls
        .iter()
        .filter(|call| call["body"].get("os-unmanage").is_some())
        .count();
    assert_eq!(released, 3);
    assert!(servers(&tenant.b).await.is_empty());
}
