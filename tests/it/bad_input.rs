//! What users get wrong: things that don't exist, texts that are no ids, servers that can't be protected, mappings
//! that are missing. It is refused with what is wrong and what helps, and nothing anywhere has changed.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::setback::told;
use crate::harness::state::{Allowed, differences};
use crate::harness::{Case, Pair, Session, Stack, text};

/// As they stand in a URL. The last one looks like an id, and is nobody's.
fn strange_ids() -> Vec<String> {
    vec![
        "..%2Fx".to_owned(),
        "%2E%2E%2F%2E%2E%2Fetc%2Fpasswd".to_owned(),
        "a".repeat(300),
        "%F0%9F%90%99".to_owned(),
        "x%00y".to_owned(),
        "%0d%0aX-Evil:%201".to_owned(),
        "'%20OR%20'1'='1".to_owned(),
        "%22;DROP%20TABLE%20groups;--".to_owned(),
        "%FF%FE".to_owned(),
        "web".to_owned(),
        Uuid::new_v4().to_string(),
    ]
}

/// Calls with a place for an id. `{group}` is a group that exists.
const PLACES: &[(&str, &str)] = &[
    ("GET", "/protection-groups/{}"),
    ("PATCH", "/protection-groups/{}"),
    ("DELETE", "/protection-groups/{}"),
    ("GET", "/protection-groups/{}/members"),
    ("POST", "/protection-groups/{}/members"),
    ("GET", "/protection-groups/{}/policy"),
    ("GET", "/protection-groups/{}/mappings"),
    ("GET", "/protection-groups/{}/consistency-group"),
    ("GET", "/protection-groups/{}/sync"),
    ("GET", "/protection-groups/{}/sync-log"),
    ("GET", "/protection-groups/{}/metadata"),
    ("PUT", "/protection-groups/{}/metadata"),
    ("POST", "/protection-groups/{}/action"),
    ("GET", "/protection-groups/{group}/members/{}"),
    ("DELETE", "/protection-groups/{group}/members/{}"),
    ("GET", "/operations/{}"),
    ("POST", "/operations/{}/action"),
    ("GET", "/tenant-mappings/{}"),
    ("GET", "/sites/{}"),
];

/// The clock of what nobody did anything to.
const CLOCKS: &[Allowed] = &[
    Allowed {
        path: "fa-a/time",
        why: "the array's clock",
    },
    Allowed {
        path: "fa-b/time",
        why: "the array's clock",
    },
];

/// A fault with words in it, of a length that fits on a screen.
fn is_clear(name: &str, body: &Value) -> Result<String> {
    let fault = body.as_object().and_then(|body| body.values().next());
    let message = fault
        .and_then(|fault| fault["message"].as_str())
        .unwrap_or_default();
    ensure!((10..500).contains(&message.len()), "{name}: {body}");
    ensure!(!message.chars().any(char::is_control), "{name}: {body}");
    ensure!(message.ends_with(['.', ')']), "{name}: {body}");
    Ok(message.to_owned())
}

#[tokio::test]
async fn a7_what_does_not_exist_is_not_found_whatever_it_is_called() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.bare_group(&pair, "web").await?;
    let admin = stack.a.sign_in("admin").await?;
    let before = stack.simulation.world().await?;
    for id in strange_ids() {
        for (method, place) in PLACES {
            let path = place.replace("{}", &id).replace("{group}", &group);
            let name = format!("{method} {path}");
            let statement = pair.statement(&group).await?;
            let url = format!("{}{path}", pair.here.base());
            let header = [("X-Protector-Statement", statement.as_str())];
            let body = match *place {
                "/operations/{}/action" => json!({"retry": {}}),
                "/protection-groups/{}/members" => json!({"member": {"instance_id": Uuid::new_v4()}}),
                "/protection-groups/{}/action" => json!({"failover": {"type": "planned"}}),
                "/protection-groups/{}/metadata" => json!({"bundle": {}}),
                _ => json!({"protection_group": {"description": "x"}}),
            };
            let method = Method::from_bytes(method.as_bytes())?;
            let body = (method != Method::GET && method != Method::DELETE).then_some(&body);
            let answer = pair.here.ask(method, &url, &header, body).await?;
            let status = answer.status.as_u16();
            ensure!(matches!(status, 400 | 403 | 404 | 409), "{name}: {answer:?}");
            // To tell that there is none, one has to understand what was asked for.
            let may_differ =
                place.ends_with("metadata") || place.starts_with("/sites") || place.starts_with("/tenant");
            ensure!(status == 404 || may_differ, "{name}: {answer:?}");
            if answer.body.is_object() {
                is_clear(&name, &answer.body)?;
            }
        }
        let answer = admin.admin(Method::GET, &format!("/sites/{id}"), None).await?;
        is_clear("site", &answer.ok(404)?)?;
        // As a filter it finds nothing; as a marker it is no place in a list.
        let found = pair
            .here
            .call(Method::GET, &format!("/protection-groups?name={id}"), None)
            .await?;
        ensure!(
            id == "web" || found.body["protection_groups"] == json!([]),
            "{id}: {found:?}"
        );
        let found = pair
            .here
            .call(
                Method::GET,
                &format!("/operations?protection_group_id={id}"),
                None,
            )
            .await?;
        ensure!(matches!(found.status.as_u16(), 200 | 400), "{id}: {found:?}");
        ensure!(
            found.status == 400 || found.body["operations"] == json!([]),
            "{id}: {found:?}"
        );
    }
    let found = differences(&before, &stack.simulation.world().await?, CLOCKS);
    ensure!(found.is_empty(), "{}", found.join("\n"));
    stack.nobody_panicked()
}

/// Texts in a body that are no servers, no sites and no names.
#[tokio::test]
async fn a7_strange_texts_in_a_body_change_nothing() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.bare_group(&pair, "web").await?;
    let before = stack.simulation.world().await?;
    let texts = [
        "",
        "../x",
        "🐙",
        "a\u{0}b",
        "a\nb",
        "' OR '1'='1",
        &"a".repeat(300),
    ];
    let members = format!("/protection-groups/{group}/members");
    for instance in texts {
        let body = json!({"member": {"instance_id": instance}});
        let answer = pair.change(&group, Method::POST, &members, Some(&body)).await?;
        ensure!(matches!(answer.status.as_u16(), 400 | 404), "{answer:?}");
        is_clear(instance, &answer.body)?;
    }
    for wrong in [json!(7), json!(null), json!(["x"]), json!({"id": "x"})] {
        let body = json!({"member": {"instance_id": wrong}});
        let answer = pair.change(&group, Method::POST, &members, Some(&body)).await?;
        is_clear("a wrong type", &answer.ok(400)?)?;
    }
    let unknown = json!({"member": {"instance_id": Uuid::new_v4()}});
    let answer = pair
        .change(&group, Method::POST, &members, Some(&unknown))
        .await?;
    let message = answer.fault("itemNotFound", 404)?;
    ensure!(message.contains("No server with the id"), "{message}");
    // A group's name may be what a human writes; it may not be what breaks a screen.
    for (name, taken) in [
        ("", false),
        ("a\u{0}b", false),
        ("a\nb", false),
        (&"a".repeat(300), false),
        ("🐙 'web'", true),
    ] {
        let id = Uuid::new_v4().to_string();
        let body = stack.group_body(&id, name, "nowhere", "async").await?;
        let answer = pair
            .change(&id, Method::POST, "/protection-groups", Some(&body))
            .await?;
        ensure!(answer.status == if taken { 404 } else { 400 }, "{answer:?}");
        let message = is_clear(name, &answer.body)?;
        // Where the name is fine it is the type that isn't.
        ensure!(message.contains("nowhere") == taken, "{name}: {message}");
    }
    for field in ["primary_site_id", "secondary_site_id"] {
        for (wrong, status) in [(json!("../x"), 400), (json!(7), 400), (json!(Uuid::new_v4()), 0)] {
            let id = Uuid::new_v4().to_string();
            let mut body = stack.group_body(&id, "other", "replicated-ssd", "async").await?;
            body["protection_group"][field] = wrong;
            let answer = pair
                .change(&id, Method::POST, "/protection-groups", Some(&body))
                .await?;
            ensure!(
                answer.status.is_client_error() && (status == 0 || answer.status == status),
                "{answer:?}"
            );
            is_clear(field, &answer.body)?;
        }
    }
    let found = differences(&before, &stack.simulation.world().await?, CLOCKS);
    ensure!(found.is_empty(), "{}", found.join("\n"));
    stack.nobody_panicked()
}

/// A server of the tenant by Nova's own call.
async fn booted(stack: &Stack, here: &Session, server: Value) -> Result<String> {
    let made = here
        .cloud(
            "compute",
            Method::POST,
            "/servers",
            Some(&json!({"server": server})),
        )
        .await?
        .ok(202)?;
    let id = text(&made["server"], "id")?.to_owned();
    stack
        .simulation
        .pass("site-a", std::time::Duration::from_secs(60))
        .await?;
    let path = format!("/servers/{id}");
    let shown = here.cloud("compute", Method::GET, &path, None).await?.ok(200)?;
    ensure!(shown["server"]["status"] == "ACTIVE", "{shown}");
    Ok(id)
}

async fn id_of(session: &Session, service: &str, path: &str, what: &str, name: &str) -> Result<String> {
    let listed = session.listed(service, path, what).await?;
    let found = listed
        .iter()
        .find(|one| one["name"] == name)
        .cloned()
        .unwrap_or_default();
    Ok(text(&found, "id")?.to_owned())
}

#[tokio::test]
async fn g4_servers_that_cannot_be_protected_are_refused_with_reason_and_remedy() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let (group, other) = (
        stack.bare_group(&pair, "web").await?,
        stack.protected(&pair, "db", 1).await?,
    );
    let simulation = &stack.simulation;
    let admin = stack.a.sign_in("admin").await?;
    let (flavor, network) = (
        id_of(&pair.here, "compute", "/flavors/detail", "flavors", "m1.small").await?,
        id_of(&pair.here, "network", "/v2.0/networks", "networks", "demo-net").await?,
    );
    let image = id_of(&pair.here, "image", "/v2/images", "images", "cirros").await?;
    let ephemeral = booted(
        &stack,
        &pair.here,
        json!({"name": "from-image", "flavorRef": flavor, "imageRef": image,
        "networks": [{"uuid": network}]}),
    )
    .await?;
    let plain = simulation.boot("site-a", "plain", 1, "plain").await?;
    let foreign = simulation.boot("site-a", "mixed", 1, "replicated-ssd").await?;
    let disk = json!({"volume": {"name": "extra", "size": 1, "volume_type": "plain"}});
    let disk = pair
        .here
        .cloud("volumev3", Method::POST, "/volumes", Some(&disk))
        .await?
        .ok(202)?;
    simulation
        .pass("site-a", std::time::Duration::from_secs(60))
        .await?;
    let attach = json!({"volumeAttachment": {"volumeId": disk["volume"]["id"]}});
    let path = format!("/servers/{foreign}/os-volume_attachments");
    pair.here
        .cloud("compute", Method::POST, &path, Some(&attach))
        .await?
        .ok(200)?;
    simulation
        .pass("site-a", std::time::Duration::from_secs(60))
        .await?;
    // Another project has a group too.
    let stranger = stack.pair("admin").await?;
    let own = Uuid::new_v4().to_string();
    map_admin(&stack).await?;
    let body = stack.group_body(&own, "own", "replicated-ssd", "async").await?;
    stranger
        .modify(&own, Method::POST, "/protection-groups", Some(&body), 202)
        .await?;
    stranger
        .until(
            &format!("/protection-groups/{own}"),
            "protection_group",
            |group| group["status"] == "active",
        )
        .await?;
    // From here on what is made of the group's type is encrypted.
    let kind = id_of(&admin, "volumev3", "/types", "volume_types", "replicated-ssd").await?;
    let encryption = json!({"encryption": {"provider": "luks", "control_location": "front-end", "cipher": "aes-xts-plain64", "key_size": 256}});
    let path = format!("/types/{kind}/encryption");
    admin
        .cloud("volumev3", Method::POST, &path, Some(&encryption))
        .await?
        .ok(200)?;
    let encrypted = simulation
        .boot("site-a", "encrypted", 1, "replicated-ssd")
        .await?;
    let theirs = json!({"name": "theirs", "user": "admin", "disks": 1, "volume_type": "plain"});
    let theirs = simulation
        .site(Method::POST, "site-a/servers", Some(&theirs))
        .await?;
    let theirs = text(&theirs, "id")?.to_owned();

    let cases: &[(&str, u16, &[&str])] = &[
        (
            &ephemeral,
            400,
            &[
                "'from-image'",
                "root disk on the hypervisor",
                "boot from a volume",
                "add the new one",
            ],
        ),
        (
            &plain,
            400,
            &["volume type mismatch", "'replicated-ssd'", "(plain)", "Retype"],
        ),
        (&foreign, 400, &["volume type mismatch", "(plain)", "Retype"]),
        (&encrypted, 400, &["is encrypted", "without encryption"]),
        (
            &other.servers[0],
            409,
            &["protected already", "'db'", "Remove it there first"],
        ),
        (&theirs, 404, &["No server with the id"]),
    ];
    let members = format!("/protection-groups/{group}/members");
    let before = simulation.world().await?;
    let shown =
        async |pair: &Pair| -> Result<Value> { pair.here.get(&format!("/protection-groups/{group}")).await };
    let (here, there) = (shown(&pair).await?, shown(&pair.reversed()).await?);
    for (server, status, says) in cases {
        let body = json!({"member": {"instance_id": server}});
        let answer = pair.change(&group, Method::POST, &members, Some(&body)).await?;
        let message = is_clear(server, &answer.ok(*status)?)?;
        for part in *says {
            ensure!(message.contains(part), "'{part}' isn't said in: {message}");
        }
        assert_eq!(pair.here.get(&members).await?["members"], json!([]));
    }
    // Another project's looks as one that isn't there, and even one that is protected does.
    let protected = &other.servers[0];
    let nobody = Uuid::new_v4().to_string();
    let mut said = Vec::new();
    for server in [protected, &nobody] {
        let body = json!({"member": {"instance_id": server}});
        let path = format!("/protection-groups/{own}/members");
        let answer = stranger.change(&own, Method::POST, &path, Some(&body)).await?;
        said.push(answer.fault("itemNotFound", 404)?.replace(server.as_str(), "ID"));
    }
    assert_eq!(said[0], said[1], "it can be told from one that isn't there");
    assert_eq!(shown(&pair).await?, here);
    assert_eq!(shown(&pair.reversed()).await?, there);
    let after = simulation.world().await?;
    let found = differences(&before, &after, CLOCKS);
    ensure!(found.is_empty(), "{}", found.join("\n"));
    stack.nobody_panicked()
}

/// The project `admin` of the one site is that of the other.
async fn map_admin(stack: &Stack) -> Result<()> {
    let (a, b) = (stack.a.sign_in("admin").await?, stack.b.sign_in("admin").await?);
    let id = Uuid::new_v4();
    for (own, other, site) in [(&a, &b, &stack.b), (&b, &a, &stack.a)] {
        let body = json!({"tenant_mapping": {
            "id": id, "local_tenant": own.project, "remote_site": site.identity().await?["id"],
            "remote_tenant": other.project, "description": ""
        }});
        own.call(Method::POST, "/tenant-mappings", Some(&body))
            .await?
            .ok(201)?;
    }
    Ok(())
}

/// Something at `site-b` under another name, and back again.
struct Renamed {
    service: &'static str,
    path: String,
    key: &'static str,
}

impl Renamed {
    async fn to(&self, session: &Session, name: &str) -> Result<()> {
        let body = json!({self.key: {"name": name}});
        session
            .cloud(self.service, Method::PUT, &self.path, Some(&body))
            .await?
            .ok(200)?;
        Ok(())
    }
}

#[tokio::test]
async fn o8_a_missing_mapping_fails_before_anything_is_touched_and_names_the_option() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let there = &pair.there;
    let network = id_of(there, "network", "/v2.0/networks", "networks", "demo-net").await?;
    let security = id_of(
        there,
        "network",
        "/v2.0/security-groups",
        "security_groups",
        "web",
    )
    .await?;
    let renamed = [
        (
            Renamed {
                service: "network",
                path: format!("/v2.0/networks/{network}"),
                key: "network",
            },
            "demo-net",
            "--network-mapping",
        ),
        (
            Renamed {
                service: "network",
                path: format!("/v2.0/security-groups/{security}"),
                key: "security_group",
            },
            "web",
            "--security-group-mapping",
        ),
    ];
    for (one, usual, option) in renamed {
        one.to(there, "elsewhere").await?;
        let case = Case::new(option, &["site-b"]);
        let ended = case.taken_back(&stack, &pair, &group.id).await?;
        told(&ended, &[option, usual])?;
        assert_eq!(ended["steps_failed"], json!(["prepare"]));
        one.to(there, usual).await?;
    }
    // What a mapping names has to be there too.
    for (mappings, what) in [
        (json!({"networks": {"demo-net": "nowhere"}}), "nowhere"),
        (json!({"flavors": {"m1.small": "m9.huge"}}), "m9.huge"),
        (json!({"security_groups": {"web": "nothing"}}), "nothing"),
    ] {
        let case = Case::new("a mapping to what isn't there", &["site-b"]).mapped(mappings);
        let ended = case.taken_back(&stack, &pair, &group.id).await?;
        told(&ended, &[what])?;
        assert_eq!(ended["steps_failed"], json!(["prepare"]));
    }
    // A keypair that is nowhere any more: neither to be read nor to be found.
    for session in [&pair.here, there] {
        session
            .cloud("compute", Method::DELETE, "/os-keypairs/demo-key", None)
            .await?;
    }
    let ended = Case::new("a keypair", &["demo-key", "--keypair-mapping", "site-b"])
        .taken_back(&stack, &pair, &group.id)
        .await?;
    assert_eq!(ended["steps_failed"], json!(["prepare"]));
    let key = json!({"keypair": {"name": "other-key", "type": "ssh",
        "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDemo demo"}});
    let made = there
        .cloud("compute", Method::POST, "/os-keypairs", Some(&key))
        .await?;
    ensure!(made.status.is_success(), "{made:?}");
    // A flavor that is nowhere, nor one like it.
    let admin = stack.b.sign_in("admin").await?;
    let flavor = id_of(&admin, "compute", "/flavors/detail", "flavors", "m1.small").await?;
    admin
        .cloud("compute", Method::DELETE, &format!("/flavors/{flavor}"), None)
        .await?;
    let keypairs = json!({"keypairs": {"demo-key": "other-key"}});
    let case = Case::new("a flavor", &["m1.small", "--flavor-mapping", "site-b"]).mapped(keypairs);
    let ended = case.taken_back(&stack, &pair, &group.id).await?;
    assert_eq!(ended["steps_failed"], json!(["prepare"]));
    // With the options that were named it completes.
    let mappings = json!({"flavors": {"m1.small": "m1.medium"}, "keypairs": {"demo-key": "other-key"}});
    let operation = pair.failover(&group.id, mappings).await?;
    assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], "completed");
    stack.nobody_panicked()
}
