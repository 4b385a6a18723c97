//! Groups, their policy and their members.

use protector_tests::{Stack, Tenant};
use serde_json::{Value, json};
use uuid::Uuid;

fn fresh() -> String {
    Uuid::new_v4().to_string()
}

/// The groups of Cinder that a tenant sees.
async fn cinder_groups(user: &protector_tests::User) -> Vec<Value> {
    let answer = user
        .cloud("volumev3", "GET", "/groups/detail?list_volume=true", Value::Null)
        .await
        .expect(200);
    answer["groups"].as_array().unwrap().clone()
}

async fn refused(tenant: &Tenant, group: &str, body: Value, status: u16) -> String {
    tenant
        .change(group, "POST", "/protection-groups", body)
        .await
        .refusal(status)
}

#[tokio::test]
async fn a7_groups_create_list_show_update_delete() {
    let stack = Stack::start().await;
    let tenant = stack.tenant().await;
    let group = tenant.create("shop").await;
    let path = format!("/protection-groups/{group}");
    for user in [&tenant.a, &tenant.b] {
        let listed = user
            .api("GET", "/protection-groups?name=shop", Value::Null)
            .await
            .expect(200);
        assert_eq!(listed["protection_groups"].as_array().unwrap().len(), 1);
        assert_eq!(listed["protection_groups"][0]["id"], group.as_str());
        let shown = tenant.group(user, &group).await;
        assert_eq!(shown["primary_site"], "site-a");
        assert_eq!(shown["secondary_site"], "site-b");
        assert_eq!(shown["current_primary_site"], "site-a");
        assert_eq!(shown["status"], "active");
        assert_eq!(shown["failover_count"], 0);
        assert_eq!(shown["project_id"], user.project.as_str());
    }
    let none = tenant
        .a
        .api("GET", "/protection-groups?name=other", Value::Null)
        .await
        .expect(200);
    assert_eq!(none["protection_groups"], json!([]));

    let change = json!({"protection_group": {"name": "store", "description": "Renamed"}});
    tenant.modify(&group, "PATCH", &path, change).await.expect(200);
    for user in [&tenant.a, &tenant.b] {
        let shown = tenant.group(user, &group).await;
        assert_eq!(
            (&shown["name"], &shown["description"]),
            (&json!("store"), &json!("Renamed"))
        );
        assert_eq!(shown["version"], 2);
    }

    let answer = tenant
        .change(&group, "DELETE", &path, Value::Null)
        .await
        .expect(202);
    let tombstone = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        answer["tombstone"].to_string(),
    );
    let told = [("X-Protector-Deleted", tombstone.as_str())];
    tenant
        .b
        .api_with("DELETE", &path, &told, Value::Null)
        .await
        .success();
    for user in [&tenant.a, &tenant.b] {
        gone(user, &path).await;
        assert_eq!(cinder_groups(user).await, Vec::<Value>::new());
    }
}

async fn gone(user: &protector_tests::User, path: &str) {
    for _ in 0..300 {
        let answer = user.api("GET", path, Value::Null).await;
        if answer.status == 404 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{path} is still there at {}", user.site);
}

#[tokio::test]
async fn a7_members_create_list_show_delete() {
    let stack = Stack::start().await;
    let tenant = stack.tenant().await;
    let group = tenant.create("shop").await;
    let server = stack.boot("web-0", 2).await;
    let member = tenant.add(&group, &server).await;
    assert_eq!(member["instance_id"], server.as_str());
    assert_eq!(member["instance_name"], "web-0");
    assert_eq!(member["volumes_added"], 2);
    let path = format!("/protection-groups/{group}/members");
    let listed = tenant.a.api("GET", &path, Value::Null).await.expect(200);
    assert_eq!(listed["members"].as_array().unwrap().len(), 1);
    assert_eq!(tenant.group(&tenant.b, &group).await["member_count"], 1);

    let one = format!("{path}/{}", member["id"].as_str().unwrap());
    tenant
        .modify(&group, "DELETE", &one, Value::Null)
        .await
        .expect(202);
    gone(&tenant.a, &one).await;
    assert_eq!(tenant.group(&tenant.a, &group).await["member_count"], 0);
    // The member is off the list at once; the engine takes its volumes out of the groups.
    for _ in 0..300 {
        if cinder_groups(&tenant.a).await[0]["volumes"] == json!([]) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the volumes stay in the consistency group");
}

#[tokio::test]
async fn a7_policy_create_and_show() {
    let stack = Stack::start().await;
    let tenant = stack.tenant().await;
    let group = tenant.create("shop").await;
    let policy = tenant.bind(&stack, &group, "shop-pg").await;
    assert_eq!(policy["pure_pg_name"], "shop-pg");
    assert_eq!(policy["replication_interval"], 300);
    assert_eq!(policy["rpo_minutes"], 15);
    assert_eq!(policy["protection_group_id"], group.as_str());
    assert!(
        policy.get("primary_fa_token").is_none_or(Value::is_null),
        "{policy}"
    );
    assert_eq!(tenant.group(&tenant.b, &group).await["has_policy"], true);
}

#[tokio::test]
async fn g1_creation_makes_a_consistency_group_on_both_sites_at_version_1() {
    let stack = Stack::start().await;
    let tenant = stack.tenant().await;
    let group = tenant.create("shop").await;
    for user in [&tenant.a, &tenant.b] {
        let shown = tenant.group(user, &group).await;
        assert_eq!(
            (&shown["epoch"], &shown["version"]),
            (&json!(1), &json!(1)),
            "{shown}"
        );
        let path = format!("/protection-groups/{group}/consistency-group");
        let answer = user.api("GET", &path, Value::Null).await.expect(200);
        let consistency = &answer["consistency_group"];
        assert_eq!(consistency["status"], "active", "{consistency}");
        let own = if user.site == "site-a" {
            "primary_cg_id"
        } else {
            "secondary_cg_id"
        };
        let groups = cinder_groups(user).await;
        assert_eq!(groups.len(), 1, "{}: {groups:?}", user.site);
        assert_eq!(groups[0]["id"], consistency[own], "{}", user.site);
    }
    let sync = format!("/protection-groups/{group}/sync");
    let sync = tenant.a.api("GET", &sync, Value::Null).await.expect(200);
    assert_eq!(sync["sync"]["status"], "synced");
    assert_eq!(sync["sync"]["peer_version"], 1);
}

#[tokio::test]
async fn g1_both_sites_must_be_active() {
    let stack = Stack::start().await;
    let tenant = stack.tenant().await;
    let admin = stack.user("site-a", "admin").await;
    let group = fresh();
    // A first statement, while the peer can still look at a token.
    let statement = tenant.statement(&group).await;
    stack.control("PUT", "site-b/power", json!({"on": false})).await;
    let path = format!("/sites/{}/validate", tenant.ids[1]);
    admin.admin("POST", &path, Value::Null).await.expect(200);
    let headers = [("X-Protector-Statement", statement.as_str())];
    let body = tenant.group_body(&group, "shop");
    let answer = tenant
        .a
        .api_with("POST", "/protection-groups", &headers, body)
        .await;
    let message = answer.refusal(409);
    assert!(
        message.contains("site-b") && message.contains("unreachable"),
        "{message}"
    );
    assert_eq!(cinder_groups(&tenant.a).await, Vec::<Value>::new());
}

#[tokio::test]
async fn g2_volume_type_must_replicate() {
    let stack = Stack::start().await;
    let tenant = stack.tenant().await;
    let group = fresh();
    let mut body = tenant.group_body(&group, "shop");
    body["protection_group"]["volume_type"] = json!("plain");
    let message = refused(&tenant, &group, body, 400).await;
    assert!(
        message.contains("volume type does not support replication"),
        "{message}"
    );
    for user in [&tenant.a, &tenant.b] {
        assert_eq!(cinder_groups(user).await, Vec::<Value>::new());
        let path = format!("/protection-groups/{group}");
        assert_eq!(user.api("GET", &path, Value::Null).await.status, 404);
    }
}

#[tokio::test]
async fn g2_volume_type_of_another_kind_of_replication_is_not_eligible() {
    let stack = Stack::start().await;
    let tenant = stack.tenant().await;
    let admin = stack.user("site-a", "admin").await;
    let kind = json!({"volume_type": {"name": "mirrored", "extra_specs": {
        "replication_enabled": "<is> True", "replication_type": "<in> sync"
    }}});
    admin.cloud("volumev3", "POST", "/types", kind).await.success();
    let group = fresh();
    let mut body = tenant.group_body(&group, "shop");
    body["protection_group"]["volume_type"] = json!("mirrored");
    let message = refused(&tenant, &group, body, 400).await;
    assert!(message.contains("not eligible for replication"), "{message}");
}

#[tokio::test]
async fn g2_the_other_site_must_have_the_type_too() {
    let stack = Stack::start().await;
    let tenant = stack.tenant().await;
    let admin = stack.user("site-b", "admin").await;
    let types = admin
        .cloud("volumev3", "GET", "/types", Value::Null)
        .await
        .expect(200);
    let types = types["volume_types"].as_array().unwrap();
    let found = types
        .iter()
        .find(|kind| kind["name"] == protector_tests::VOLUME_TYPE)
        .unwrap();
    let path = format!("/types/{}", found["id"].as_str().unwrap());
    admin
        .cloud("volumev3", "DELETE", &path, Value::Null)
        .await
        .success();
    let group = fresh();
    let message = refused(&tenant, &group, tenant.group_body(&group, "shop"), 400).await;
    assert!(
        message.contains("volume type does not support replication"),
        "{message}"
    );
    assert!(message.contains("site-b"), "{message}");
}

#[tokio::test]
async fn g3_name_unique_sites_differ_and_creation_is_fixed() {
    let stack = Stack::start().await;
    let tenant = stack.tenant().await;
    let group = tenant.create("shop").await;
    let second = fresh();
    let message = refused(&tenant, &second, tenant.group_body(&second, "shop"), 409).await;
    assert!(message.contains("shop"), "{message}");

    let mut same = tenant.group_body(&second, "other");
    same["protection_group"]["secondary_site_id"] = json!(tenant.ids[0]);
    let message = refused(&tenant, &second, same, 400).await;
    assert!(message.contains("must differ"), "{message}");

    let path = format!("/protection-groups/{group}");
    let before = tenant.group(&tenant.a, &group).await;
    for (field, value) in [
        ("volume_type", json!("plain")),
        ("replication_type", json!("sync")),
        ("primary_site_id", json!(tenant.ids[1])),
        ("secondary_site_id", json!(tenant.ids[0])),
    ] {
        let change = json!({"protection_group": { field: value }});
        let answer = tenant.change(&group, "PATCH", &path, change).await;
        assert_eq!(answer.status, 400, "{field}: {}", answer.body);
    }
    assert_eq!(tenant.group(&tenant.a, &group).await, before);
    let change = json!({"protection_group": {"description": "Changed"}});
    tenant.modify(&group, "PATCH", &path, change).await.expect(200);
    assert_eq!(tenant.group(&tenant.b, &group).await["description"], "Changed");
}

#[tokio::test]
async fn g4_member_add_takes_all_volumes_into_the_consistency_group() {
    let stack = Stack::start().await;
    let tenant = stack.tenant().await;
    let group = tenant.create("shop").await;
    let server = stack.boot("db-0", 3).await;
    let member = tenant.add(&group, &server).await;
    assert_eq!(
        (&member["volumes_added"], &member["volume_count"]),
        (&json!(3), &json!(3))
    );
    let mut disks: Vec<String> = stack
        .disks("site-a", &server)
        .await
        .iter()
        .map(|disk| disk["volume_id"].as_str().unwrap().to_owned())
        .collect();
    disks.sort_unstable();
    let groups = cinder_groups(&tenant.a).await;
    let mut inside: Vec<&str> = groups[0]["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    inside.sort_unstable();
    assert_eq!(inside, disks);
}

#[tokio::test]
async fn g4_volume_type_mismatch_is_refused() {
    let stack = Stack::start().await;
    let tenant = stack.tenant().await;
    let group = tenant.create("shop").await;
    let server = stack.boot_as("site-a", "other-0", 2, "demo", "plain").await;
    let path = format!("/protection-groups/{group}/members");
    let body = json!({"member": {"instance_id": server}});
    let message = tenant.change(&group, "POST", &path, body).await.refusal(400);
    assert!(message.contains("volume type mismatch"), "{message}");
    for disk in stack.disks("site-a", &server).await {
        assert!(message.contains(disk["volume_id"].as_str().unwrap()), "{message}");
    }
    let listed = tenant.a.api("GET", &path, Value::Null).await.expect(200);
    assert_eq!(listed["members"], json!([]));
    assert_eq!(cinder_groups(&tenant.a).await[0]["volumes"], json!([]));
}
