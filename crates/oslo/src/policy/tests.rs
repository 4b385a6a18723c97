use serde_json::json;

use super::*;

const RULES: &[RuleDefault] = &[
    rule("context_is_admin", "role:admin"),
    rule("admin_or_owner", "is_admin:True or project_id:%(project_id)s"),
    rule("default", "rule:admin_or_owner"),
    RuleDefault {
        name: "thing:show",
        check: "rule:default",
        description: "Show a thing.",
        operations: &[Operation {
            method: "GET",
            path: "/v1/{project_id}/things/{thing_id}",
        }],
    },
    rule("thing:write", "rule:context_is_admin"),
];

const fn rule(name: &'static str, check: &'static str) -> RuleDefault {
    RuleDefault {
        name,
        check,
        description: "",
        operations: &[],
    }
}

fn defaults() -> Enforcer {
    Enforcer::load(RULES, None).unwrap()
}

fn overridden(text: &str) -> Result<Enforcer, PolicyError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.yaml");
    std::fs::write(&path, text).unwrap();
    Enforcer::load(RULES, Some(&path))
}

fn target(project: &str) -> Map<String, Value> {
    flatten(&json!({"project_id": project, "user": {"enabled": true, "id": "u7"}}))
}

fn member() -> Value {
    json!({"roles": ["Member"], "project_id": "p1", "is_admin": false, "groups": [{"id": "g1"}, {"id": "g2"}]})
}

fn allows(check: &str, credentials: &Value) -> bool {
    let text = serde_yaml_ng::to_string(&json!({"it": check})).unwrap();
    overridden(&text)
        .unwrap()
        .authorize("it", &target("p1"), credentials)
        .is_ok()
}

#[test]
fn the_documented_rules_work_as_written() {
    let policy = defaults();
    let admin = json!({"roles": ["ADMIN"], "project_id": "p9", "is_admin": true});
    assert!(policy.authorize("thing:show", &target("p1"), &member()).is_ok());
    assert!(policy.authorize("thing:show", &target("p2"), &member()).is_err());
    assert!(policy.authorize("thing:show", &target("p2"), &admin).is_ok());
    assert!(policy.authorize("thing:write", &target("p2"), &admin).is_ok());
    let denied = policy
        .authorize("thing:write", &target("p1"), &member())
        .unwrap_err();
    assert_eq!(
        denied.to_string(),
        "Policy doesn't allow thing:write to be performed."
    );
}

#[test]
fn checks_look_at_credentials_and_target() {
    let credentials = member();
    for check in [
        "",
        "@",
        "role:member",
        "role:MEMBER",
        "not role:admin",
        "project_id:%(project_id)s",
        "is_admin:False",
        "True:%(user.enabled)s",
        "'u7':%(user.id)s",
        "\"u7\":%(user.id)s",
        "groups.id:g2",
        "1:1",
        "None:None",
        "'a%':a%%",
        "'u7-p1':%(user.id)s-%(project_id)s",
        "groups.id:g1 and (role:x or role:member)",
    ] {
        assert!(allows(check, &credentials), "{check}");
    }
    for check in [
        "!",
        "role:admin",
        "role:%(nothing)s",
        "project_id:%(nothing)s",
        "is_admin:True",
        "groups.id:g3",
        "x.y:z",
        "groups:g1",
        "'u7':%(user.id)d",
        "'u7':%",
        "project_id:%(project_id)s and",
    ] {
        assert!(!allows(check, &credentials), "{check}");
    }
}

#[test]
fn a_rule_without_a_name_of_its_own_falls_to_the_default() {
    let policy = defaults();
    assert!(
        policy
            .authorize("thing:unheard", &target("p1"), &member())
            .is_ok()
    );
    assert!(
        policy
            .authorize("thing:unheard", &target("p2"), &member())
            .is_err()
    );
    let bare = Enforcer::load(&[rule("a", "rule:b")], None).unwrap();
    assert!(bare.authorize("a", &target("p1"), &member()).is_err());
    assert!(bare.authorize("c", &target("p1"), &member()).is_err());
}

#[test]
fn a_file_overrides_rule_by_rule_in_yaml_or_json() {
    for text in [
        "# ours\n\"thing:write\": \"role:member\"\nextra: [['role:x'], ['@']]\n",
        "{\"thing:write\": \"role:member\", \"extra\": [[\"@\"]]}",
    ] {
        let policy = overridden(text).unwrap();
        assert!(policy.authorize("thing:write", &target("p2"), &member()).is_ok());
        assert!(policy.authorize("extra", &target("p2"), &member()).is_ok());
        assert!(policy.authorize("thing:show", &target("p2"), &member()).is_err());
    }
    assert!(overridden("# nothing\n").is_ok());
    assert!(Enforcer::load(RULES, Some(Path::new("/nonexistent/policy.yaml"))).is_ok());
}

#[test]
fn a_broken_file_stops_the_start_with_its_name() {
    for (text, told) in [
        ("a: [", "policy.yaml: the policy file is neither YAML nor JSON"),
        (
            "- a\n",
            "policy.yaml: the policy file must be a mapping of rule names to rules",
        ),
        (
            "a: 5\n",
            "policy.yaml: rule \"a\": a rule must be a text, or a list of lists of texts",
        ),
        (
            "a: rule:b\nb: rule:c or @\nc: not rule:a\n",
            "policy rules refer to each other in a circle: a -> b -> c -> a",
        ),
    ] {
        let error = overridden(text).unwrap_err().to_string();
        assert!(error.ends_with(told), "{error}");
    }
}

#[test]
fn a_circle_that_got_through_still_denies_under_a_not() {
    let enforcer = Enforcer {
        defaults: vec![],
        rules: HashMap::from([("a".to_owned(), parser::parse("not rule:a"))]),
    };
    assert!(enforcer.authorize("a", &Map::new(), &json!({})).is_err());
}

#[test]
fn the_sample_changes_nothing_and_shows_everything() {
    let sample = Enforcer::sample(RULES);
    assert!(sample.contains(
        "# Show a thing.\n# GET  /v1/{project_id}/things/{thing_id}\n#\"thing:show\": \"rule:default\"\n"
    ));
    let uncommented: String = sample
        .lines()
        .filter(|l| l.starts_with("#\""))
        .map(|l| format!("{}\n", &l[1..]))
        .collect();
    assert!(overridden(&sample).is_ok() && overridden(&uncommented).is_ok());
}
