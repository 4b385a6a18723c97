//! Every route has a rule, every rule that guards something has its route, and the documented rules are as printed.

use std::collections::BTreeSet;

use protector_api::{policy, routes};

use crate::site::Site;

#[test]
fn routes_and_rules_know_each_other() {
    let routes: BTreeSet<(String, String, String)> = routes::table()
        .iter()
        .map(|route| {
            (
                route.rule.to_owned(),
                route.method.to_owned(),
                route.path.to_owned(),
            )
        })
        .collect();
    let rules: BTreeSet<(String, String, String)> = policy::RULES
        .iter()
        .flat_map(|rule| {
            rule.operations
                .iter()
                .map(|op| (rule.name.to_owned(), op.method.to_owned(), op.path.to_owned()))
        })
        .collect();
    assert_eq!(routes, rules);
}

/// A4
#[test]
fn the_documented_rules_are_as_printed() {
    let printed = [
        ("context_is_admin", "role:admin"),
        ("admin_or_owner", "is_admin:True or project_id:%(project_id)s"),
        ("default", "rule:admin_or_owner"),
        ("protector:protection_groups:index", "rule:default"),
        ("protector:protection_groups:show", "rule:default"),
        ("protector:protection_groups:create", "rule:default"),
        ("protector:protection_groups:update", "rule:default"),
        ("protector:protection_groups:delete", "rule:default"),
        ("protector:members:index", "rule:default"),
        ("protector:members:create", "rule:default"),
        ("protector:members:delete", "rule:default"),
        ("protector:operations:index", "rule:default"),
        ("protector:operations:show", "rule:default"),
        ("protector:operations:action", "rule:default"),
        ("protector:policies:show", "rule:default"),
        ("protector:policies:create", "rule:default"),
    ];
    for (name, check) in printed {
        let found = policy::RULES.iter().find(|rule| rule.name == name);
        assert_eq!(found.map(|rule| rule.check), Some(check), "{name}");
    }
}

fn filled(path: &str, project: &str) -> String {
    path.split('/')
        .map(|part| match part {
            "{project}" => project,
            part if part.starts_with('{') => "6b0e27d5-0f5b-4a0c-8a4c-5a3a3a0f3c11",
            part => part,
        })
        .collect::<Vec<_>>()
        .join("/")
}

/// A2, A3, A4: nobody without a token, nobody of another project, nobody whom the rule excludes.
#[tokio::test]
async fn every_route_is_guarded() {
    let site = Site::with_policy(Some("default: '!'\ncontext_is_admin: '!'\n")).await;
    for route in routes::table() {
        let path = filled(route.path, "p1");
        let what = format!("{} {path}", route.method);
        let answer = site.ask(route.method, "", &path, None, &[]).await;
        assert_eq!(answer.status, 401, "{what}");
        let answer = site.ask(route.method, "bogus", &path, None, &[]).await;
        assert_eq!(answer.status, 401, "{what}");
        if route.path.contains("{project}") {
            let message = site
                .ask(route.method, "stranger", &path, None, &[])
                .await
                .fault("forbidden", 403);
            assert!(message.contains("another project"), "{what}: {message}");
        }
        let message = site
            .ask(route.method, "tenant", &path, None, &[])
            .await
            .fault("forbidden", 403);
        assert_eq!(
            message,
            format!("Policy doesn't allow {} to be performed.", route.rule),
            "{what}"
        );
    }
}

/// A system-scoped administrator has no project, and none of the administrators' routes needs one.
#[tokio::test]
async fn administrators_need_no_project() {
    let site = Site::new().await;
    site.get("system-admin", "/v1/admin/sites").await.ok(200);
    site.get("system-admin", "/v1/p0/sites")
        .await
        .fault("forbidden", 403);
    site.get("tenant", "/v1/admin/sites")
        .await
        .fault("forbidden", 403);
}
