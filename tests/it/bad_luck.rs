//! What was fine when it was looked at and isn't when it is used: tokens, trusts, arrays. Before the point of no
//! return all of it is taken back; behind it, it goes on when that is healed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::harness::setback::{as_before, brief, stop_at_last, told};
use crate::harness::{Case, Pair, Session, Stack, Trouble, names, text};

/// A refusal as an array words it.
pub fn array(context: &str, message: &str) -> Value {
    json!({"errors": [{"context": context, "message": message}]})
}

/// Look at an operation until it is working on a step of this kind.
pub async fn until_at(pair: &Pair, operation: &str, step: &str) -> Result<()> {
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
        .held_back()
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
        .held_back()
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

pub async fn over(pair: &Pair, operation: &str) -> Result<Value> {
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
        .held_back()
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
    stack.a.sign_in_as("admin", "site-a-admin", "demo").await
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

/// The servers of the source are up again.
async fn run_again(pair: &Pair, servers: &[String]) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let listed = pair.here.listed("compute", "/servers/detail", "servers").await?;
        let runs = |id: &String| {
            listed
                .iter()
                .any(|one| one["id"] == **id && one["status"] == "ACTIVE")
        };
        if servers.iter().all(runs) {
            return Ok(());
        }
        ensure!(Instant::now() < end, "the servers stay stopped: {listed:#?}");
        sleep(Duration::from_millis(50)).await;
    }
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
            .held_back()
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
    // Nobody's work waits for it.
    run_again(&pair, &group.servers).await?;
    let meanwhile = pair.here.get(&path).await?["operation"].clone();
    ensure!(meanwhile["status"] == "rolling_back", "{}", brief(&meanwhile));
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

/// Volumes are imported by the tenant, and Cinder's policy doesn't let him: the clones go again, and everything else.
#[tokio::test]
async fn o12_a_tenant_who_may_not_import_finds_everything_as_it_was() -> Result<()> {
    let stack = Stack::configured("[cinder]\nimport_as = tenant\n").await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    let says = &[
        "volume_extension:volume_manage",
        "/etc/cinder/policy.yaml",
        "import_as = service",
    ];
    let case = Case::new("the tenant may not import", says);
    case.taken_back(&stack, &pair, &group.id).await?;
    stack.nobody_panicked()
}
