//! What was fine when it was looked at and isn't when it is used: room, addresses, tokens, trusts, arrays,
//! snapshots. Before the point of no return all of it is taken back; behind it, it goes on when that is healed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::harness::setback::{as_before, brief, stop_at_last, told};
use crate::harness::state::differences;
use crate::harness::{Case, Pair, Session, Stack, Trouble, names, text};
use crate::takeover::replicated;

/// As Nova words it when the instances are used up.
fn nova_full() -> Value {
    json!({"forbidden": {"code": 403,
        "message": "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"}})
}

/// As Cinder words it when the volumes are used up.
fn cinder_full() -> Value {
    json!({"overLimit": {"code": 413, "retryAfter": "0",
        "message": "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota 'volumes'."}})
}

fn neutron(kind: &str, message: &str) -> Value {
    json!({"NeutronError": {"type": kind, "message": message, "detail": ""}})
}

fn array(context: &str, message: &str) -> Value {
    json!({"errors": [{"context": context, "message": message}]})
}

/// Room that ran out, and addresses that were taken, between the look and the deed: at the second of two, so that
/// there is one to take back.
fn used_up_meanwhile() -> Vec<Case> {
    const ROOM: &str = "Make room there";
    vec![
        Case::new(
            "Nova has no room",
            &[
                "Nova at site-b",
                "Quota exceeded for instances",
                "server 'web-",
                ROOM,
            ],
        )
        .with(
            Trouble::at("site-b", "POST /servers$")
                .nth(2)
                .times(1)
                .status(403, nova_full()),
        ),
        Case::new(
            "Cinder has no room to import",
            &[
                "Cinder at site-b",
                "VolumeLimitExceeded",
                "importing volume",
                ROOM,
            ],
        )
        .with(
            Trouble::at("site-b", "POST /manageable_volumes$")
                .nth(2)
                .times(1)
                .status(413, cinder_full()),
        ),
        Case::new(
            "Cinder has no room to hand over",
            &[
                "Cinder at site-b",
                "VolumeLimitExceeded",
                "handing over volume",
                ROOM,
            ],
        )
        .with(
            Trouble::at("site-b", "POST /accept$")
                .nth(2)
                .times(1)
                .status(413, cinder_full()),
        ),
        Case::new(
            "Neutron has no room",
            &[
                "Neutron at site-b",
                "Quota exceeded for resources: ['port']",
                "server 'web-",
                ROOM,
            ],
        )
        .with(Trouble::at("site-b", "POST /ports$").nth(2).times(1).status(
            409,
            neutron("OverQuota", "Quota exceeded for resources: ['port']."),
        )),
        Case::new(
            "an address was taken",
            &[
                "Neutron at site-b",
                "already allocated",
                "a port for server 'web-",
                "Free the address",
                "--network-mapping",
            ],
        )
        .with(Trouble::at("site-b", "POST /ports$").nth(2).times(1).status(
            409,
            neutron(
                "IpAddressAlreadyAllocated",
                "IP address 10.2.0.9 already allocated in subnet 5f3b.",
            ),
        )),
        Case::new(
            "a MAC address was taken",
            &[
                "Neutron at site-b",
                "in use",
                "a port for server 'web-",
                "Free the address",
                "--network-mapping",
            ],
        )
        .with(Trouble::at("site-b", "POST /ports$").nth(2).times(1).status(
            409,
            neutron(
                "MacAddressInUse",
                "Unable to complete operation for network 1. The mac address fa:16:3e:00:00:01 is in use.",
            ),
        )),
        Case::new(
            "the source's array is full",
            &["refused to take the snapshot pg-web.dr-", "capacity", ROOM],
        )
        .with(
            Trouble::at("fa-a", "POST /protection-group-snapshots$")
                .times(1)
                .status(400, array("pg-web", "The array does not have enough capacity.")),
        ),
        Case::new(
            "the target's array is full",
            &[
                "refused to make the volume dr-",
                "capacity",
                "cloning volume",
                ROOM,
            ],
        )
        .with(
            Trouble::at("fa-b", "POST /volumes$")
                .nth(2)
                .times(1)
                .status(400, array("dr-1", "The array does not have enough capacity.")),
        ),
        Case::new(
            "the target's array has too many volumes",
            &[
                "refused to make the volume dr-",
                "limit reached",
                "cloning volume",
                ROOM,
            ],
        )
        .with(
            Trouble::at("fa-b", "POST /volumes$")
                .nth(2)
                .times(1)
                .status(400, array("dr-1", "Volume limit reached.")),
        ),
    ]
}

#[tokio::test]
async fn o8_what_is_used_up_meanwhile_is_said_and_everything_taken_back() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    for case in used_up_meanwhile() {
        case.taken_back(&stack, &pair, &group.id).await?;
    }
    // Nothing of all that is in the way.
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{}", brief(&ended));
    stack.nobody_panicked()
}

/// Settings of `site-b` that leave too little room, what undoes them, and what is said.
const TOO_LITTLE: &[(&str, &str, &str)] = &[
    (
        r#"{"compute_quotas": {"instances": 0}}"#,
        r#"{"compute_quotas": {"instances": 100}}"#,
        "instances",
    ),
    (
        r#"{"compute_quotas": {"cores": 1}}"#,
        r#"{"compute_quotas": {"cores": 400}}"#,
        "cores",
    ),
    (
        r#"{"compute_quotas": {"ram": 100}}"#,
        r#"{"compute_quotas": {"ram": 1048576}}"#,
        "RAM",
    ),
    (
        r#"{"volume_quotas": {"gigabytes_replicated-ssd": 1}}"#,
        r#"{"volume_quotas": {"gigabytes_replicated-ssd": -1}}"#,
        "gigabytes of type replicated-ssd",
    ),
    (
        r#"{"volume_quotas": {"volumes": 0}}"#,
        r#"{"volume_quotas": {"volumes": 10}}"#,
        "volumes",
    ),
    (
        r#"{"network_quotas": {"port": 0}}"#,
        r#"{"network_quotas": {"port": 500}}"#,
        "ports",
    ),
];

/// Before anything was touched.
fn in_prepare(ended: &Value) -> Result<()> {
    ensure!(ended["steps_failed"] == json!(["prepare"]), "{}", brief(&ended));
    ensure!(ended["progress"].as_u64() < Some(20), "{}", brief(&ended));
    Ok(())
}

#[tokio::test]
async fn o8_too_little_room_and_taken_addresses_are_seen_before_anything_is_touched() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    for (little, usual, what) in TOO_LITTLE {
        stack
            .simulation
            .settings("site-b", &serde_json::from_str(little)?)
            .await?;
        let case = Case::new(little, &["Quota exceeded at site 'site-b'", "needed", "Raise it"]);
        let ended = case.taken_back(&stack, &pair, &group.id).await?;
        told(&ended, &[what])?;
        in_prepare(&ended)?;
        stack
            .simulation
            .settings("site-b", &serde_json::from_str(usual)?)
            .await?;
    }
    // The same addresses exist there, and the first server's are somebody's.
    let (network, subnet) = same_addresses(&pair.there).await?;
    let own = pair
        .here
        .listed(
            "network",
            &format!("/v2.0/ports?device_id={}", group.servers[0]),
            "ports",
        )
        .await?;
    let (ip, mac) = (
        text(&own[0]["fixed_ips"][0], "ip_address")?,
        text(&own[0], "mac_address")?,
    );
    for (port, says) in [
        (
            json!({"fixed_ips": [{"subnet_id": subnet, "ip_address": ip}]}),
            ["is taken", "free it, or map", ip],
        ),
        (
            json!({"mac_address": mac, "fixed_ips": [{"subnet_id": subnet, "ip_address": "10.1.0.200"}]}),
            ["is taken", "MAC address", mac],
        ),
    ] {
        let mut port = port;
        port["network_id"] = json!(network);
        let made = pair
            .there
            .cloud(
                "network",
                Method::POST,
                "/v2.0/ports",
                Some(&json!({"port": port})),
            )
            .await?
            .ok(201)?;
        let case =
            Case::new("an address is taken", &[]).mapped(json!({"networks": {"demo-net": "same-net"}}));
        let ended = case.taken_back(&stack, &pair, &group.id).await?;
        told(&ended, &says)?;
        in_prepare(&ended)?;
        let path = format!("/v2.0/ports/{}", text(&made["port"], "id")?);
        pair.there.cloud("network", Method::DELETE, &path, None).await?;
    }
    // When it is free they are kept.
    let operation = pair
        .failover(&group.id, json!({"networks": {"demo-net": "same-net"}}))
        .await?;
    assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], "completed");
    let ports = pair
        .there
        .listed("network", &format!("/v2.0/ports?network_id={network}"), "ports")
        .await?;
    ensure!(
        ports
            .iter()
            .any(|port| port["mac_address"] == mac && port["fixed_ips"][0]["ip_address"] == ip),
        "{ports:#?}"
    );
    stack.nobody_panicked()
}

/// A network of the tenant with the range of `site-a`'s.
async fn same_addresses(there: &Session) -> Result<(String, String)> {
    let body = json!({"network": {"name": "same-net"}});
    let network = there
        .cloud("network", Method::POST, "/v2.0/networks", Some(&body))
        .await?
        .ok(201)?;
    let network = text(&network["network"], "id")?.to_owned();
    let body =
        json!({"subnet": {"name": "same", "network_id": network, "cidr": "10.1.0.0/24", "ip_version": 4}});
    let subnet = there
        .cloud("network", Method::POST, "/v2.0/subnets", Some(&body))
        .await?
        .ok(201)?;
    Ok((network, text(&subnet["subnet"], "id")?.to_owned()))
}

/// Look at an operation until it is working on a step of this kind.
async fn until_at(pair: &Pair, operation: &str, step: &str) -> Result<()> {
    let path = format!("/operations/{operation}");
    pair.until(&path, "operation", |now| {
        now["current_step"]
            .as_str()
            .is_some_and(|at| at.starts_with(step))
    })
    .await?;
    Ok(())
}

fn unauthorized() -> Value {
    json!({"error": {"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}})
}

#[tokio::test]
async fn o8_tokens_that_end_in_the_middle_are_renewed() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let once = |place, call| Trouble::at(place, call).times(1);
    let mut case = Case::stopped_at_last("every token is refused once");
    for (place, call) in [
        ("site-a", "POST /servers/[^/]+/action$"),
        ("site-b", "POST /manageable_volumes$"),
        ("site-b", "POST /volume-transfers$"),
        ("site-b", "POST /accept$"),
        ("site-b", "POST /ports$"),
        ("site-b", "POST /servers$"),
        ("site-b", "GET /network.*/ports$"),
    ] {
        case = case.with(once(place, call).status(401, unauthorized()));
    }
    for (place, call) in [
        ("fa-a", "POST /protection-group-snapshots$"),
        ("fa-b", "POST /volumes$"),
    ] {
        case = case.with(once(place, call).status(401, array("", "Unauthorized")));
    }
    case.taken_back(&stack, &pair, &group.id).await?;
    // Hours go by while Cinder imports: all tokens there are have ended, and so have the arrays' sessions.
    Trouble::at("site-b", "POST /manageable_volumes$")
        .times(1)
        .late(700)
        .cause(&stack.simulation)
        .await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    until_at(&pair, &operation, "import-volume").await?;
    for site in ["site-a", "site-b"] {
        stack.simulation.pass(site, Duration::from_secs(7200)).await?;
    }
    for array in ["fa-a", "fa-b"] {
        stack
            .simulation
            .array(Method::DELETE, &format!("{array}/sessions"), None)
            .await?;
    }
    let pair = stack.pair("demo").await?;
    let ended = pair.ended(&group.id, &operation).await?;
    ensure!(ended["outcome"] == "completed", "{}", brief(&ended));
    stack.nobody_panicked()
}

/// Delete a user, as an administrator does whose colleague has left.
async fn delete_user(admin: &Session, name: &str) -> Result<()> {
    let users = admin
        .listed("identity", &format!("/users?name={name}"), "users")
        .await?;
    let path = format!("/users/{}", text(users.first().context("no such user")?, "id")?);
    let gone = admin.cloud("identity", Method::DELETE, &path, None).await?;
    ensure!(gone.status == 204, "{gone:?}");
    Ok(())
}

#[tokio::test]
async fn o8_a_trust_that_is_gone_is_named_with_what_renews_it() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    // Gone before: who starts the failover renews it on the way.
    let admin = stack.b.sign_in("admin").await?;
    let users = admin.listed("identity", "/users?name=demo", "users").await?;
    let path = format!(
        "/OS-TRUST/trusts?trustor_user_id={}",
        text(users.first().context("no demo")?, "id")?
    );
    let trusts = pair.there.listed("identity", &path, "trusts").await?;
    ensure!(!trusts.is_empty(), "there is no trust to delete");
    for trust in &trusts {
        let path = format!("/OS-TRUST/trusts/{}", text(trust, "id")?);
        let gone = pair.there.cloud("identity", Method::DELETE, &path, None).await?;
        ensure!(gone.status == 204, "{gone:?}");
    }
    let case = Case::stopped_at_last("the trust was deleted before");
    case.taken_back_but(&stack, &pair, &group.id, &["site-b/identity"])
        .await?;
    // Gone in the middle: its user is deleted while the volumes are imported.
    let before = stack.simulation.world().await?;
    Trouble::at("site-b", "POST /manageable_volumes$")
        .times(1)
        .late(700)
        .cause(&stack.simulation)
        .await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    until_at(&pair, &operation, "import-volume").await?;
    delete_user(&admin, "demo").await?;
    let ended = over(&pair, &operation).await?;
    ensure!(ended["outcome"] == "rolled_back", "{}", brief(&ended));
    told(
        &ended,
        &[
            "The tenant's trust at site 'site-b' gives no token any more",
            "deleted",
            "lost his role",
            "sync-force",
        ],
    )?;
    assert_eq!(ended["result_data"]["left_behind"], json!([]));
    as_before(&stack, &before, &["site-b/identity"]).await?;
    stack.nobody_panicked()
}

async fn over(pair: &Pair, operation: &str) -> Result<Value> {
    pair.until(&format!("/operations/{operation}"), "operation", |now| {
        !now["outcome"].is_null()
    })
    .await
}

/// The user who stopped the servers is deleted where they are: they run again all the same.
#[tokio::test]
async fn o8_servers_start_again_though_their_trustor_is_gone() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    let admin = stack.a.sign_in("admin").await?;
    let colleague = colleague(&stack, &admin, &pair.here.project).await?;
    let before = stack.simulation.world().await?;
    stop_at_last().cause(&stack.simulation).await?;
    Trouble::at("site-b", "POST /manageable_volumes$")
        .times(1)
        .late(700)
        .cause(&stack.simulation)
        .await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    until_at(&pair, &operation, "import-volume").await?;
    delete_user(&admin, "demo").await?;
    let pair = Pair {
        here: colleague,
        there: pair.there,
    };
    let ended = over(&pair, &operation).await?;
    ensure!(ended["outcome"] == "rolled_back", "{}", brief(&ended));
    assert_eq!(ended["result_data"]["left_behind"], json!([]));
    as_before(&stack, &before, &["site-a/identity"]).await?;
    stack.nobody_panicked()
}

/// Another member of the tenant's project: the administrator, who gives himself the role.
async fn colleague(stack: &Stack, admin: &Session, project: &str) -> Result<Session> {
    let find = async |what: &str, name: &str| -> Result<String> {
        let listed = admin
            .listed("identity", &format!("/{what}?name={name}"), what)
            .await?;
        Ok(text(listed.first().context("nothing of that name")?, "id")?.to_owned())
    };
    let (user, role) = (find("users", "admin").await?, find("roles", "member").await?);
    let path = format!("/projects/{project}/users/{user}/roles/{role}");
    let given = admin.cloud("identity", Method::PUT, &path, None).await?;
    ensure!(given.status == 204, "{given:?}");
    Session::sign_in(
        &stack.http,
        &stack.a.root,
        &stack.a.auth_url,
        "admin",
        "site-a-admin",
        "demo",
    )
    .await
}

/// The array knows the token no more: calls are refused, and so is signing in.
fn token_revoked(call: &str) -> [Trouble; 2] {
    [
        Trouble::at("fa-b", call)
            .times(1)
            .status(401, array("", "Unauthorized")),
        Trouble::at("fa-b", "POST /login$").status(401, array("", "Invalid API token.")),
    ]
}

async fn switched(stack: &Stack, array: &str, down: bool) -> Result<()> {
    let body = json!({"down": down});
    stack
        .simulation
        .array(Method::PATCH, &format!("{array}/faults"), Some(&body))
        .await?;
    Ok(())
}

#[tokio::test]
async fn o8_an_array_that_fails_before_the_point_of_no_return() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let simulation = &stack.simulation;
    // Its token is revoked, and taking back waits until it is good again.
    let before = simulation.world().await?;
    for trouble in token_revoked("POST /volumes$") {
        trouble.cause(simulation).await?;
    }
    let operation = pair.failover(&group.id, json!({})).await?;
    let path = format!("/operations/{operation}");
    pair.until(&path, "operation", |now| now["status"] == "rolling_back")
        .await?;
    sleep(Duration::from_secs(2)).await;
    simulation.heal().await?;
    let ended = pair.ended(&group.id, &operation).await?;
    ensure!(ended["outcome"] == "rolled_back", "{}", brief(&ended));
    told(
        &ended,
        &[
            "The array 127.0.0.1",
            "cloning volume",
            "does not accept the API token",
            "Make its API token valid again",
        ],
    )?;
    as_before(&stack, &before, &[]).await?;
    // It is away for as long as a controller needs to change over: nobody notices.
    let before = simulation.world().await?;
    let snapshot = || {
        Trouble::at("fa-a", "POST /protection-group-snapshots$")
            .times(1)
            .late(400)
    };
    snapshot().cause(simulation).await?;
    stop_at_last().cause(simulation).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    until_at(&pair, &operation, "final-snapshot").await?;
    switched(&stack, "fa-b", true).await?;
    sleep(Duration::from_secs(2)).await;
    switched(&stack, "fa-b", false).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    told(&ended, &["Stopped at last."])?;
    as_before(&stack, &before, &[]).await?;
    // It is away for longer than is waited for.
    let before = simulation.world().await?;
    simulation.heal().await?;
    snapshot().cause(simulation).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    until_at(&pair, &operation, "final-snapshot").await?;
    switched(&stack, "fa-b", true).await?;
    let path = format!("/operations/{operation}");
    pair.until(&path, "operation", |now| now["status"] == "rolling_back")
        .await?;
    switched(&stack, "fa-b", false).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    ensure!(ended["outcome"] == "rolled_back", "{}", brief(&ended));
    told(
        &ended,
        &["The array 127.0.0.1", "could not be", "Look whether it runs"],
    )?;
    as_before(&stack, &before, &[]).await?;
    stack.nobody_panicked()
}

/// Behind the point of no return nothing is taken back: it goes on by itself, or by a word.
#[tokio::test]
async fn o8_trouble_behind_the_point_of_no_return_holds_up_and_takes_nothing_back() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let first = stack.protected(&pair, "web", 1).await?;
    let second = stack.protected(&pair, "db", 1).await?;
    let simulation = &stack.simulation;
    let running = async |names_there: &[&str]| -> Result<()> {
        let servers = pair.there.listed("compute", "/servers/detail", "servers").await?;
        ensure!(
            names(&servers) == names_there && servers.iter().all(|server| server["status"] == "ACTIVE"),
            "{servers:#?}"
        );
        Ok(())
    };
    // The old cloud and the new array are restarted: tried again until it works. (Nova's first action is the stop.)
    Trouble::at("site-a", "POST /servers/[^/]+/action$")
        .nth(2)
        .times(2)
        .page(503, "")
        .cause(simulation)
        .await?;
    Trouble::at("fa-b", "POST /protection-groups$")
        .times(2)
        .page(502, "")
        .cause(simulation)
        .await?;
    let operation = pair.failover(&first.id, json!({})).await?;
    let ended = pair.ended(&first.id, &operation).await?;
    for place in ["site-a", "fa-b"] {
        ensure!(
            simulation.idle_rules(place).await?.is_empty(),
            "nothing was hit at {place}"
        );
    }
    simulation.heal().await?;
    ensure!(ended["outcome"] == "completed", "{}", brief(&ended));
    ensure!(
        ended["result_data"]["reverse_replication"] == "active",
        "{}",
        brief(&ended)
    );
    running(&["web-0"]).await?;
    // The array's token is revoked: somebody has to do something about that, and then to say so.
    for trouble in token_revoked("POST /protection-groups$") {
        trouble.cause(simulation).await?;
    }
    let operation = pair.failover(&second.id, json!({})).await?;
    let path = format!("/operations/{operation}");
    let waiting = pair
        .until(&path, "operation", |now| now["waiting_for"] == "operator")
        .await?;
    running(&["db-0", "web-0"]).await?;
    let retry = format!("openstack protector operation retry {operation}");
    told(
        &waiting,
        &[
            "step 'reverse-replication' failed",
            "does not accept the API token",
            "Make its API token valid again",
            &retry,
        ],
    )?;
    simulation.heal().await?;
    pair.here
        .call(
            Method::POST,
            &format!("{path}/action"),
            Some(&json!({"retry": {}})),
        )
        .await?
        .ok(202)?;
    let ended = pair.ended(&second.id, &operation).await?;
    ensure!(
        ended["outcome"] == "completed" && ended["error_message"].is_null(),
        "{}",
        brief(&ended)
    );
    running(&["db-0", "web-0"]).await?;
    stack.nobody_panicked()
}

/// Whoever administers an array, and does what he shouldn't.
struct Hand {
    http: reqwest::Client,
    url: String,
    session: String,
}

impl Hand {
    async fn at(url: &str, token: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .danger_accept_invalid_certs(true)
            .build()?;
        let answer = http
            .post(format!("{url}/api/2.26/login"))
            .header("api-token", token)
            .send()
            .await?;
        let session = answer
            .headers()
            .get("x-auth-token")
            .context("no session")?
            .to_str()?
            .to_owned();
        Ok(Self {
            http,
            url: url.to_owned(),
            session,
        })
    }

    /// The group snapshots of a group, the newest first.
    async fn snapshots(&self, group: &str) -> Result<Vec<String>> {
        let url = format!("{}/api/2.26/protection-group-snapshots?destroyed=false", self.url);
        let answer: Value = self
            .http
            .get(url)
            .header("x-auth-token", &self.session)
            .send()
            .await?
            .json()
            .await?;
        let mut found: Vec<(u64, String)> = answer["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| Some((one["created"].as_u64()?, one["name"].as_str()?.to_owned())))
            .filter(|(_, name)| name.starts_with(&format!("{group}.")))
            .collect();
        found.sort();
        Ok(found.into_iter().rev().map(|(_, name)| name).collect())
    }

    async fn eradicate(&self, snapshot: &str) -> Result<()> {
        let url = format!(
            "{}/api/2.26/protection-group-snapshots?names={snapshot}",
            self.url
        );
        let destroyed = self
            .http
            .patch(&url)
            .header("x-auth-token", &self.session)
            .json(&json!({"destroyed": true}));
        destroyed.send().await?.error_for_status()?;
        self.http
            .delete(&url)
            .header("x-auth-token", &self.session)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }
}

#[tokio::test]
async fn o8_a_final_snapshot_that_is_eradicated_is_said_and_taken_again() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    let before = stack.simulation.world().await?;
    let hand = Hand::at(&stack.b.array_url, "fa-b-token").await?;
    Trouble::at("fa-b", "POST /volumes$")
        .late(700)
        .cause(&stack.simulation)
        .await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    until_at(&pair, &operation, "clone-volume").await?;
    let newest = hand.snapshots("fa-a:pg-web").await?;
    hand.eradicate(newest.first().context("no snapshot")?).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    stack.simulation.heal().await?;
    ensure!(ended["outcome"] == "rolled_back", "{}", brief(&ended));
    told(
        &ended,
        &[
            "cloning volume",
            "does not exist",
            "destroyed while it was needed",
            "started again, the operation takes another snapshot",
        ],
    )?;
    as_before(&stack, &before, &[]).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], "completed");
    stack.nobody_panicked()
}

async fn take_over(pair: &Pair, group: &str) -> Result<String> {
    let body = json!({"failover": {"type": "unplanned"}});
    let path = format!("/protection-groups/{group}/action");
    let answer = pair.there.call(Method::POST, &path, Some(&body)).await?.ok(202)?;
    Ok(text(&answer["operation"], "id")?.to_owned())
}

#[tokio::test]
async fn o2_a_snapshot_that_is_missing_or_eradicated_is_said_and_another_one_taken() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    let there = pair.reversed();
    let hand = Hand::at(&stack.b.array_url, "fa-b-token").await?;
    for snapshot in hand.snapshots("fa-a:pg-web").await? {
        hand.eradicate(&snapshot).await?;
    }
    let before = stack.simulation.world().await?;
    let operation = take_over(&pair, &group.id).await?;
    let ended = over(&there, &operation).await?;
    ensure!(ended["outcome"] == "rolled_back", "{}", brief(&ended));
    told(
        &ended,
        &[
            "no replicated snapshot found",
            "'pg-web'",
            "Verify replication policy and RPO",
        ],
    )?;
    assert_eq!(ended["result_data"]["left_behind"], json!([]));
    as_before(&stack, &before, &[]).await?;
    // Two come over, and the one that was chosen goes while it is cloned.
    replicated(&stack).await?;
    stack.advance(Duration::from_secs(301)).await?;
    let end = Instant::now() + Duration::from_secs(20);
    while hand.snapshots("fa-a:pg-web").await?.len() < 2 {
        ensure!(Instant::now() < end, "no second snapshot arrives");
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_millis(500)).await;
    stack.lose_site_a().await?;
    let before = stack.simulation.cloud_state("site-b").await?;
    Trouble::at("fa-b", "POST /volumes$")
        .late(700)
        .cause(&stack.simulation)
        .await?;
    let operation = take_over(&pair, &group.id).await?;
    until_at(&there, &operation, "clone-volume").await?;
    let chosen = hand.snapshots("fa-a:pg-web").await?;
    hand.eradicate(&chosen[0]).await?;
    let ended = over(&there, &operation).await?;
    ensure!(ended["outcome"] == "rolled_back", "{}", brief(&ended));
    told(
        &ended,
        &[
            "No server could be brought up",
            "does not exist",
            "never mixed",
            "takes another snapshot",
        ],
    )?;
    assert_eq!(ended["result_data"]["left_behind"], json!([]));
    let found = differences(&before, &stack.simulation.cloud_state("site-b").await?, &[]);
    ensure!(found.is_empty(), "{}", found.join("\n"));
    // The older one is whole: started again, all servers are of it.
    let operation = take_over(&pair, &group.id).await?;
    let ended = over(&there, &operation).await?;
    ensure!(ended["outcome"] == "completed", "{}", brief(&ended));
    let suffix = chosen[1].rsplit('.').next().unwrap_or_default();
    assert_eq!(
        ended["result_data"]["snapshot"]["suffix"],
        suffix,
        "{}",
        brief(&ended)
    );
    stack.nobody_panicked()
}
