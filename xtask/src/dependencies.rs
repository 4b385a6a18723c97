//! The dependency rule: which crate of the workspace may know which.

use anyhow::Context;
use serde_json::Value;

/// A crate, and the crates of this workspace that it may depend on. What isn't listed is forbidden.
const RULE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("flasharray", &[]),
    ("oslo", &[]),
    ("secrets", &[]),
    ("saga", &["domain"]),
    ("ports", &["domain", "saga"]),
    ("workflows", &["domain", "saga", "ports"]),
    ("service", &["domain", "saga", "ports"]),
    ("store", &["domain", "saga", "ports"]),
    ("bus", &["ports"]),
    ("openstack", &["domain", "saga", "ports"]),
    ("arrays", &["domain", "saga", "ports", "flasharray"]),
    ("api", &["domain", "saga", "ports", "service", "oslo"]),
    (
        "bins",
        &[
            "domain",
            "flasharray",
            "oslo",
            "secrets",
            "saga",
            "ports",
            "workflows",
            "service",
            "store",
            "bus",
            "openstack",
            "arrays",
            "api",
        ],
    ),
    ("sim", &[]),
    ("simulation", &["domain", "saga", "ports", "workflows"]),
    ("model", &["domain"]),
    ("relay", &[]),
    ("mariadbd", &[]),
    // The product's own engine and database for the demo saga; everything else speaks public REST.
    ("dev", &["sim", "relay", "domain", "saga", "ports", "store"]),
    (
        "bench",
        &[
            "domain",
            "secrets",
            "saga",
            "ports",
            "store",
            "openstack",
            "arrays",
            "sim",
        ],
    ),
    ("tests", &["sim", "relay", "mariadbd"]),
    ("xtask", &[]),
];

/// What tests inside a crate may use besides: simulators, and real adapters behind the ports (the API's tests run
/// over a database file). The black-box tests get nothing more than the rule gives them.
const IN_TESTS: &[&str] = &["sim", "saga", "store", "openstack", "arrays", "mariadbd"];

const FORBIDDEN: &[&str] = &["openssl", "openssl-sys", "native-tls"];

/// Breaches of the rule, one line each.
pub fn breaches(metadata: &Value) -> anyhow::Result<Vec<String>> {
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata without packages")?;
    let members: Vec<_> = packages.iter().filter(|it| it["source"].is_null()).collect();
    let names: Vec<_> = members.iter().map(|it| short(&it["name"])).collect();
    let mut found = Vec::new();
    for member in &members {
        let name = short(&member["name"]);
        let Some((_, allowed)) = RULE.iter().find(|it| it.0 == name) else {
            found.push(format!("{name} has no line in xtask/src/dependencies.rs"));
            continue;
        };
        for dependency in member["dependencies"].as_array().into_iter().flatten() {
            let target = short(&dependency["name"]);
            if !names.contains(&target) {
                continue;
            }
            let in_tests = dependency["kind"] == "dev";
            let for_its_tests = in_tests && name != "tests" && IN_TESTS.contains(&target);
            if !allowed.contains(&target) && !for_its_tests {
                let how = if in_tests { " in its tests" } else { "" };
                found.push(format!("{name} must not depend on {target}{how}"));
            }
            let testing = dependency["features"]
                .as_array()
                .is_some_and(|it| it.iter().any(|it| it == "testing"));
            if testing && !in_tests {
                found.push(format!(
                    "{name} takes the testing parts of {target} outside of tests"
                ));
            }
        }
    }
    Ok(found)
}

/// Packages that must not be in the tree, directly or not.
pub fn unwanted(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array();
    let names = packages
        .into_iter()
        .flatten()
        .filter_map(|it| it["name"].as_str());
    names
        .filter(|it| FORBIDDEN.contains(it))
        .map(|it| format!("{it} is in the dependency tree"))
        .collect()
}

fn short(name: &Value) -> &str {
    let name = name.as_str().unwrap_or_default();
    name.strip_prefix("protector-").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workspace(from: &str, to: &str, kind: Value, features: &[&str]) -> Value {
        let dependency = json!({"name": format!("protector-{to}"), "kind": kind, "features": features});
        json!({"packages": [
            {"name": format!("protector-{from}"), "source": null, "dependencies": [dependency]},
            {"name": format!("protector-{to}"), "source": null, "dependencies": []},
        ]})
    }

    fn count(from: &str, to: &str, kind: Value, features: &[&str]) -> usize {
        breaches(&workspace(from, to, kind, features)).unwrap().len()
    }

    #[test]
    fn the_inside_does_not_know_the_outside() {
        assert_eq!(count("service", "ports", Value::Null, &[]), 0);
        assert_eq!(count("service", "store", Value::Null, &[]), 1);
        assert_eq!(count("workflows", "openstack", Value::Null, &[]), 1);
        assert_eq!(count("relay", "store", Value::Null, &[]), 1);
    }

    #[test]
    fn tests_may_use_simulated_sites_and_the_product_may_not() {
        assert_eq!(count("arrays", "sim", json!("dev"), &[]), 0);
        assert_eq!(count("arrays", "sim", Value::Null, &[]), 1);
        assert_eq!(count("tests", "saga", json!("dev"), &[]), 1);
        assert_eq!(count("store", "saga", json!("dev"), &["testing"]), 0);
        assert_eq!(count("store", "saga", Value::Null, &["testing"]), 1);
    }

    #[test]
    fn a_crate_without_a_line_is_a_breach() {
        assert_eq!(count("newcomer", "domain", Value::Null, &[]), 1);
    }

    #[test]
    fn openssl_is_found_anywhere_in_the_tree() {
        let tree = json!({"packages": [{"name": "openssl-sys", "source": "registry"}]});
        assert_eq!(unwanted(&tree), ["openssl-sys is in the dependency tree"]);
    }
}
