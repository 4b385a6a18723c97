//! What is set up on the arrays.

use protector_tests::Stack;
use serde_json::Value;

/// One object of an array's state by its name.
fn named<'a>(state: &'a Value, kind: &str, name: &str) -> Option<&'a Value> {
    let list = &state[kind];
    match list {
        Value::Array(items) => items.iter().find(|item| item["name"] == name),
        Value::Object(items) => items.get(name),
        _ => None,
    }
}

#[tokio::test]
async fn d1_array_group_schedule_and_replicas() {
    let stack = Stack::start().await;
    let tenant = stack.tenant().await;
    let shop = tenant.shop(&stack, &[("db-0", 2)]).await;
    let state = stack.arrays("GET", "arrays/fa-a/state", Value::Null).await;
    let group =
        named(&state, "protection_groups", "shop-pg").unwrap_or_else(|| panic!("no group in {state}"));
    let text = group.to_string();
    assert!(text.contains("fa-b"), "no target: {text}");
    assert!(text.contains("300000"), "no schedule of five minutes: {text}");
    for disk in stack.disks("site-a", &shop.servers[0]).await {
        let name = disk["array_volume"].as_str().unwrap();
        assert!(text.contains(name), "{name} is not in {text}");
    }
    let operation = tenant.failover(&shop.group, crate::failover::mappings()).await;
    let ended = tenant.ended(&operation).await;
    assert_eq!(ended["outcome"], "completed", "{ended}");
    let state = stack.arrays("GET", "arrays/fa-b/state", Value::Null).await;
    assert!(
        state.to_string().contains("fa-a:shop-pg.dr-"),
        "no replicated snapshot in {state}"
    );
}
