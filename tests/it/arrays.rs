//! What is set up on the arrays.

use protector_tests::Stack;
use serde_json::Value;

#[tokio::test]
async fn d1_array_group_schedule_and_replicas() {
    let stack = Stack::start().await;
    let tenant = stack.tenant().await;
    let shop = tenant.shop(&stack, &[("db-0", 2)]).await;
    let state = stack.arrays("GET", "arrays/fa-a/state", Value::Null).await;
    let groups = state["groups"].as_array().unwrap();
    let group = groups.iter().find(|group| group["name"] == "shop-pg");
    let group = group.unwrap_or_else(|| panic!("no group shop-pg in {groups:?}"));
    assert_eq!(group["targets"]["fa-b"], true, "{group}");
    let schedule = &group["replication_schedule"];
    assert_eq!(schedule["enabled"], true, "{group}");
    assert_eq!(schedule["frequency"], 300_000, "{group}");
    let inside = group["volumes"].as_array().unwrap();
    assert_eq!(inside.len(), 2);
    for disk in stack.disks("site-a", &shop.servers[0]).await {
        assert!(
            inside.contains(&disk["array_volume"]),
            "{disk} is not in {inside:?}"
        );
    }

    let operation = tenant.failover(&shop.group, crate::failover::mappings()).await;
    let ended = tenant.ended(&operation).await;
    assert_eq!(ended["outcome"], "completed", "{ended}");
    let state = stack.arrays("GET", "arrays/fa-b/state", Value::Null).await;
    let snapshots = state["group_snapshots"].as_array().unwrap();
    assert!(
        snapshots
            .iter()
            .any(|snapshot| snapshot.to_string().contains("shop-pg.dr-")),
        "no replicated snapshot in {snapshots:?}"
    );
}
