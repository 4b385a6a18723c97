//! Which routes there are, and which rule guards which. A request to a route without a rule is refused.

use axum::Router;
use axum::routing::{delete, get, post};

use crate::App;
use crate::v1::{consistency_groups, members, metadata, operations, policies, protection_groups, sites, sync, tenant_mappings};

pub const RULES: &[(&str, &str, &str)] = &[
    ("GET", "/v1/admin/sites", "protector:sites:admin"),
    ("POST", "/v1/admin/sites", "protector:sites:admin"),
    ("GET", "/v1/admin/sites/{site}", "protector:sites:admin"),
    ("PATCH", "/v1/admin/sites/{site}", "protector:sites:admin"),
    ("DELETE", "/v1/admin/sites/{site}", "protector:sites:admin"),
    ("POST", "/v1/admin/sites/{site}/validate", "protector:sites:admin"),
    ("GET", "/v1/admin/sites/{site}/volume-types", "protector:sites:admin"),
    ("GET", "/v1/{project}/sites", "protector:sites:index"),
    ("GET", "/v1/{project}/tenant-mappings", "protector:tenant_mappings:admin"),
    ("POST", "/v1/{project}/tenant-mappings", "protector:tenant_mappings:admin"),
    ("GET", "/v1/{project}/tenant-mappings/{mapping}", "protector:tenant_mappings:admin"),
    ("DELETE", "/v1/{project}/tenant-mappings/{mapping}", "protector:tenant_mappings:admin"),
    ("GET", "/v1/{project}/protection-groups", "protector:protection_groups:index"),
    ("POST", "/v1/{project}/protection-groups", "protector:protection_groups:create"),
    ("GET", "/v1/{project}/protection-groups/{group}", "protector:protection_groups:show"),
    ("PATCH", "/v1/{project}/protection-groups/{group}", "protector:protection_groups:update"),
    ("DELETE", "/v1/{project}/protection-groups/{group}", "protector:protection_groups:delete"),
    ("GET", "/v1/{project}/protection-groups/{group}/mappings", "protector:mappings:show"),
    ("PUT", "/v1/{project}/protection-groups/{group}/mappings", "protector:protection_groups:update"),
    ("GET", "/v1/{project}/protection-groups/{group}/members", "protector:members:index"),
    ("POST", "/v1/{project}/protection-groups/{group}/members", "protector:members:create"),
    ("GET", "/v1/{project}/protection-groups/{group}/members/{member}", "protector:members:show"),
    ("DELETE", "/v1/{project}/protection-groups/{group}/members/{member}", "protector:members:delete"),
    ("GET", "/v1/{project}/protection-groups/{group}/policy", "protector:policies:show"),
    ("POST", "/v1/{project}/protection-groups/{group}/policy", "protector:policies:create"),
    ("GET", "/v1/{project}/protection-groups/{group}/consistency-group", "protector:consistency_groups:show"),
    ("POST", "/v1/{project}/protection-groups/{group}/action", "protector:operations:action"),
    ("GET", "/v1/{project}/protection-groups/{group}/metadata", "protector:metadata:export"),
    ("PUT", "/v1/{project}/protection-groups/{group}/metadata", "protector:metadata:import"),
    ("GET", "/v1/{project}/protection-groups/{group}/sync", "protector:sync:show"),
    ("POST", "/v1/{project}/protection-groups/{group}/sync", "protector:sync:exchange"),
    ("GET", "/v1/{project}/protection-groups/{group}/sync-log", "protector:sync:show"),
    ("GET", "/v1/{project}/operations", "protector:operations:index"),
    ("GET", "/v1/{project}/operations/{operation}", "protector:operations:show"),
];

/// The rule of a route, by method and by the path as the router knows it. `HEAD` is `GET` without a body.
pub fn rule_of(method: &str, path: &str) -> Option<&'static str> {
    let method = if method == "HEAD" { "GET" } else { method };
    RULES.iter().find(|(verb, route, _)| *verb == method && *route == path).map(|(_, _, rule)| *rule)
}

/// Every route that needs a token.
pub(crate) fn guarded() -> Router<App> {
    let group = "/v1/{project}/protection-groups/{group}";
    Router::new()
        .route("/v1/admin/sites", get(sites::list).post(sites::create))
        .route("/v1/admin/sites/{site}", get(sites::show).patch(sites::update).delete(sites::remove))
        .route("/v1/admin/sites/{site}/validate", post(sites::validate))
        .route("/v1/admin/sites/{site}/volume-types", get(sites::volume_types))
        .route("/v1/{project}/sites", get(sites::list))
        .route("/v1/{project}/tenant-mappings", get(tenant_mappings::list).post(tenant_mappings::create))
        .route("/v1/{project}/tenant-mappings/{mapping}", get(tenant_mappings::show).delete(tenant_mappings::remove))
        .route("/v1/{project}/protection-groups", get(protection_groups::list).post(protection_groups::create))
        .route(group, get(protection_groups::show).patch(protection_groups::update).delete(protection_groups::remove))
        .route(&format!("{group}/mappings"), get(protection_groups::mappings).put(protection_groups::set_mappings))
        .route(&format!("{group}/members"), get(members::list).post(members::create))
        .route(&format!("{group}/members/{{member}}"), get(members::show))
        .route(&format!("{group}/members/{{member}}"), delete(members::remove))
        .route(&format!("{group}/policy"), get(policies::show).post(policies::create))
        .route(&format!("{group}/consistency-group"), get(consistency_groups::show))
        .route(&format!("{group}/action"), post(operations::start))
        .route(&format!("{group}/metadata"), get(metadata::export).put(metadata::import))
        .route(&format!("{group}/sync"), get(sync::show).post(sync::exchange))
        .route(&format!("{group}/sync-log"), get(sync::log))
        .route("/v1/{project}/operations", get(operations::list))
        .route("/v1/{project}/operations/{operation}", get(operations::show))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_of_a_route_is_declared() {
        for (method, path, rule) in RULES {
            assert!(crate::policy::RULES.iter().any(|declared| declared.name == *rule), "{method} {path}: {rule}");
        }
    }
}
