//! A cloud or an array that answers nonsense, nothing, too much or too late: who it was is said, it ends in time, and
//! what passes by itself is waited for.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;

use crate::harness::protection::Group;
use crate::harness::setback::{as_before, brief, told};
use crate::harness::{Case, Pair, Stack, Trouble, names};

const HTML: &str = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
const IN_FRONT: &str = "at what stands in front of it";
const RUNS: &str = "Look whether it runs";
/// Calls are given two seconds, so that a minute needn't be waited for.
const SHORT: &str = "[engine]\ncall_timeout_seconds = 2\n";

struct Scene {
    stack: Stack,
    pair: Pair,
    group: Group,
}

impl Scene {
    async fn open() -> Result<Self> {
        let stack = Stack::configured(SHORT).await?;
        let pair = stack.pair("demo").await?;
        let group = stack.protected(&pair, "web", 1).await?;
        Ok(Self { stack, pair, group })
    }

    async fn all_taken_back(cases: Vec<Case>) -> Result<()> {
        let scene = Self::open().await?;
        for case in cases {
            case.taken_back(&scene.stack, &scene.pair, &scene.group.id)
                .await?;
        }
        scene.completes().await
    }

    /// A failover that nothing is in the way of any more, and nobody has stumbled before.
    async fn completes(&self) -> Result<()> {
        let operation = self.pair.failover(&self.group.id, json!({})).await?;
        let ended = self.pair.ended(&self.group.id, &operation).await?;
        ensure!(ended["outcome"] == "completed", "{}", brief(&ended));
        self.nothing_twice().await?;
        self.stack.nobody_panicked()
    }

    /// Everything of the one server is at `site-b` once, and nothing else is.
    async fn nothing_twice(&self) -> Result<()> {
        let there = &self.pair.there;
        let servers = there.listed("compute", "/servers/detail", "servers").await?;
        ensure!(
            names(&servers) == ["web-0"] && servers[0]["status"] == "ACTIVE",
            "{servers:#?}"
        );
        let volumes = there.listed("volumev3", "/volumes/detail", "volumes").await?;
        ensure!(
            volumes.len() == 2 && volumes.iter().all(|volume| volume["status"] == "in-use"),
            "{volumes:#?}"
        );
        let ports = there.listed("network", "/v2.0/ports", "ports").await?;
        ensure!(
            ports.iter().all(|port| port["device_id"] == servers[0]["id"]),
            "{ports:#?}"
        );
        let service = self.stack.b.sign_in("protector").await?;
        let kept = service.listed("volumev3", "/volumes/detail", "volumes").await?;
        let transfers = service
            .listed("volumev3", "/volume-transfers/detail?all_tenants=1", "transfers")
            .await?;
        ensure!(
            kept.is_empty() && transfers.is_empty(),
            "{kept:#?} {transfers:#?}"
        );
        let array = self.stack.simulation.array_state("fa-b").await?;
        let live = array["volumes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|volume| volume["destroyed"] == false);
        ensure!(live.count() == 2, "{:#}", array["volumes"]);
        Ok(())
    }
}

/// What doesn't get better: told at once where asking again is no use, else after a few tries.
fn broken_for_good() -> Vec<Vec<Case>> {
    vec![
        vec![
            Case::new("Nova answers a page", &["Nova at site-b", "not JSON", IN_FRONT])
                .with(Trouble::at("site-b", "GET /compute.*/flavors").page(200, HTML)),
            Case::new(
                "Neutron answers texts for lists",
                &["Neutron at site-b", "unexpected form", IN_FRONT],
            )
            .with(Trouble::at("site-b", "GET /networks$").page(200, r#"{"networks": "none"}"#)),
            Case::new(
                "Neutron answers numbers for ids",
                &["Neutron at site-b", "unexpected form", IN_FRONT],
            )
            .with(Trouble::at("site-b", "GET /networks$").page(200, r#"{"networks": [{"id": 7}]}"#)),
            Case::new(
                "Neutron doesn't stop answering",
                &["Neutron at site-b", "more than", "bytes", IN_FRONT],
            )
            .with(Trouble::at("site-b", "GET /networks$").endless()),
            Case::new(
                "Cinder answers nothing",
                &["Cinder at site-b", "importing volume", "not JSON", IN_FRONT],
            )
            .with(Trouble::at("site-b", "POST /manageable_volumes$").page(202, "")),
        ],
        vec![
            Case::new(
                "Nova makes a server without id",
                &[
                    "Nova at site-b",
                    "creating server 'web-0'",
                    "unexpected form",
                    IN_FRONT,
                ],
            )
            .with(Trouble::at("site-b", "POST /servers$").page(202, r#"{"server": {}}"#)),
            Case::new(
                "the array answers texts for lists",
                &["The array 127.0.0.1", "no usable answer", IN_FRONT],
            )
            .with(
                Trouble::at("fa-b", "GET /protection-group-snapshots/transfer$")
                    .page(200, r#"{"items": "none"}"#),
            ),
            Case::new(
                "the array doesn't stop answering",
                &["The array 127.0.0.1", "longer than", IN_FRONT],
            )
            .with(Trouble::at("fa-b", "GET /protection-group-snapshots/transfer$").endless()),
            Case::new(
                "the array's gateway is broken",
                &["The array 127.0.0.1", "cloning volume", "502", RUNS],
            )
            .with(Trouble::at("fa-b", "POST /volumes$").page(502, HTML)),
        ],
        vec![
            Case::new(
                "Nova doesn't answer",
                &["Nova at site-b", "did not answer", "in time", RUNS],
            )
            .with(Trouble::at("site-b", "GET /compute.*/flavors").hang())
            .within(50),
            Case::new(
                "Neutron's gateway is broken",
                &["Neutron at site-b", "a port for server 'web-0'", "504", RUNS],
            )
            .with(Trouble::at("site-b", "POST /ports$").page(504, HTML)),
        ],
        vec![
            Case::new(
                "the array answers a page",
                &["The array 127.0.0.1", "not JSON", RUNS],
            )
            .with(Trouble::at("fa-b", "GET /protection-group-snapshots/transfer$").page(200, HTML)),
            Case::new(
                "Keystone answers a page",
                &["Keystone at site-b", "sign in", "not JSON", IN_FRONT],
            )
            .with(Trouble::at("site-b", "POST /auth/tokens$").page(201, HTML)),
        ],
    ]
}

#[tokio::test]
async fn o8_who_answers_nonsense_is_named_and_everything_taken_back() -> Result<()> {
    // Most of the time is spent waiting between two tries.
    let lanes = broken_for_good()
        .into_iter()
        .map(Scene::all_taken_back)
        .map(tokio::spawn);
    for lane in lanes.collect::<Vec<_>>() {
        lane.await??;
    }
    Ok(())
}

/// Taking back needs the array that answers nonsense: that is tried, then said, and goes on by a word.
#[tokio::test]
async fn o8_what_cannot_be_taken_back_yet_waits_for_the_operator() -> Result<()> {
    let scene = Scene::open().await?;
    let (simulation, pair, group) = (&scene.stack.simulation, &scene.pair, &scene.group.id);
    let before = simulation.world().await?;
    let nonsense = Trouble::at("fa-b", "GET /protection-group-snapshots$").page(200, r#"{"items": "none"}"#);
    nonsense.cause(simulation).await?;
    let operation = pair.failover(group, json!({})).await?;
    let path = format!("/operations/{operation}");
    let waiting = pair
        .until(&path, "operation", |now| now["waiting_for"] == "operator")
        .await?;
    ensure!(waiting["status"] == "rolling_back", "{}", brief(&waiting));
    told(
        &waiting,
        &[
            "how far the snapshot",
            "waits for an operator",
            "undoing step 'final-snapshot' failed",
            IN_FRONT,
        ],
    )?;
    told(
        &waiting,
        &[
            &format!("openstack protector operation retry {operation}"),
            "--decision accept",
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
    let ended = pair.ended(group, &operation).await?;
    ensure!(
        ended["outcome"] == "rolled_back" && ended["waiting_for"].is_null(),
        "{}",
        brief(&ended)
    );
    as_before(&scene.stack, &before, &[]).await?;
    scene.completes().await
}

/// The changes of a failover, each once with an answer that nobody gets: they are found and not made again.
fn changes() -> Vec<(&'static str, Trouble)> {
    vec![
        (
            "snapshot",
            Trouble::at("fa-a", "POST /protection-group-snapshots$"),
        ),
        ("clone", Trouble::at("fa-b", "POST /volumes$")),
        ("manage", Trouble::at("site-b", "POST /manageable_volumes$")),
        ("transfer", Trouble::at("site-b", "POST /volume-transfers$")),
        ("accept", Trouble::at("site-b", "POST /accept$")),
        ("port", Trouble::at("site-b", "POST /ports$")),
        ("server", Trouble::at("site-b", "POST /servers$")),
    ]
}

#[tokio::test]
async fn o8_a_change_whose_answer_is_lost_is_not_made_twice() -> Result<()> {
    let scene = Scene::open().await?;
    let (simulation, pair, group) = (&scene.stack.simulation, &scene.pair, &scene.group.id);
    // One by one, and stopped at last: what was made by a call that nobody heard of is taken back too.
    for (name, change) in changes() {
        let case = Case::stopped_at_last(name).with(change.times(1).lost_answer());
        case.taken_back(&scene.stack, pair, group).await?;
    }
    // A proxy's page after the deed is a lost answer too.
    let mut case = Case::stopped_at_last("a proxy gives up on all of them");
    for (_, change) in changes() {
        case = case.with(change.times(1).page_after(504, HTML));
    }
    case.taken_back(&scene.stack, pair, group).await?;
    // All of them in one operation, and it completes.
    for (_, change) in changes() {
        change.times(1).lost_answer().cause(simulation).await?;
    }
    let operation = pair.failover(group, json!({})).await?;
    let ended = pair.ended(group, &operation).await?;
    for place in ["site-b", "fa-a", "fa-b"] {
        let idle = simulation.idle_rules(place).await?;
        ensure!(idle.is_empty(), "{idle:?}");
    }
    ensure!(ended["outcome"] == "completed", "{}", brief(&ended));
    scene.nothing_twice().await?;
    scene.stack.nobody_panicked()
}

/// What passes by itself holds nothing up for good, whoever it was.
#[tokio::test]
async fn o8_nonsense_that_passes_is_waited_for() -> Result<()> {
    let scene = Scene::open().await?;
    let reads = [
        ("site-a", "GET /compute.*/servers/detail"),
        ("site-b", "GET /compute.*/flavors"),
        ("site-b", "GET /volume.*/types"),
        ("site-b", "GET /network.*/subnets"),
        ("site-b", "GET /network.*/ports"),
        ("fa-b", "GET /protection-group-snapshots/transfer"),
    ];
    let once = |place, call| Trouble::at(place, call).times(1);
    let mut pages = Case::stopped_at_last("every service has a proxy's page once");
    let mut nothing = Case::stopped_at_last("every service answers nothing once");
    for (place, call) in reads {
        pages = pages.with(once(place, call).page(200, HTML));
        nothing = nothing.with(once(place, call).page(200, ""));
    }
    let busy = Case::stopped_at_last("every service is restarted")
        .with(once("site-b", "POST /servers$").page(503, HTML))
        .with(once("site-b", "POST /ports$").page(503, HTML))
        .with(once("site-b", "POST /manageable_volumes$").page(503, HTML))
        .with(once("fa-b", "POST /volumes$").page(503, HTML));
    let slow = Case::stopped_at_last("Nova and the array are asleep for a moment")
        .with(once("site-b", "POST /servers$").hang())
        .with(once("fa-b", "POST /volumes$").hang());
    for case in [pages, nothing, busy, slow.within(40)] {
        case.taken_back(&scene.stack, &scene.pair, &scene.group.id)
            .await?;
    }
    scene.completes().await
}
