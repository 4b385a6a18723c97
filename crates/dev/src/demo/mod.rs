//! The demo: three servers move from one cloud to another, with their data, addresses and networks.
//!
//! What happens is ordered over public REST, as any client does it. What came of it is read from the simulated
//! clouds and arrays, so that protector isn't its own witness.

mod look;
mod verdict;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::DateTime;
use clap::Args;
use protector_relay::{NewGroup, NewPolicy, Operation, Pair, StepView};
use protector_sim::cloud::SitesOptions;
use serde_json::{Value, json};

use self::verdict::Row;
use crate::programs::Programs;
use crate::screen::Screen;
use crate::sites;
use crate::stack::Stack;

/// How long one part may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The volume type that replicates, on both clouds.
const VOLUME_TYPE: &str = "replicated-ssd";

/// A planned failover from beginning to end.
///
/// Two simulated OpenStack clouds with a storage array each start on free ports of this machine, protector on both.
/// A tenant's three servers are protected and moved from site-a to site-b; a closing table shows where each
/// server, address and byte is now. It fails if anything isn't as it must be, and takes less than a minute.
#[derive(Args)]
pub(crate) struct Options {
    /// Where configuration, databases and logs go; what a former run left there is removed
    #[arg(long, value_name = "DIR", default_value = ".run/demo")]
    dir: PathBuf,
    /// Take protector's programs as they are instead of building them first
    #[arg(long)]
    no_build: bool,
    /// Leave everything running at the end, to look around, until Ctrl-C
    #[arg(long)]
    stay: bool,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let mut screen = Screen::new();
    let began = Instant::now();
    let show = async {
        let programs = Programs::ready(!options.no_build).await?;
        screen.step("starting two simulated clouds with their arrays, and protector on both");
        let stack = Stack::start(&SitesOptions::default(), &programs, &options.dir).await?;
        for line in tour(&stack) {
            screen.line(&format!("          {line}"));
        }
        let told = play(&stack, &mut screen, began).await;
        anyhow::Ok((stack, told))
    };
    let (stack, told) = tokio::select! {
        shown = show => shown?,
        // Dropping what has been started ends it.
        stopped = crate::asked_to_stop() => {
            stopped?;
            bail!("stopped by request; what the demo had started is gone");
        }
    };
    if told.is_err() {
        screen.line(&format!(
            "          the services' logs: {}/site-*/log",
            options.dir.display()
        ));
    }
    if options.stay {
        screen.line(&format!(
            "          everything stays up until Ctrl-C; try: OS_CLIENT_CONFIG_FILE={} openstack --os-cloud site-b server list",
            stack.clouds_yaml.display()
        ));
        crate::asked_to_stop().await?;
    }
    stack.stop().await;
    let told = told?;
    sites::say(&told);
    Ok(())
}

fn tour(stack: &Stack) -> Vec<String> {
    let sites = stack.describe()["sites"].as_array().cloned().unwrap_or_default();
    let line = |site: &Value| {
        let text = |pointer| site.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        format!(
            "{}: Keystone {}  array {}  protector {}",
            text("/name"),
            text("/auth_url"),
            text("/array/url"),
            text("/protector/url")
        )
    };
    sites.iter().map(line).collect()
}

async fn play(stack: &Stack, screen: &mut Screen, began: Instant) -> Result<Value> {
    screen.step("registering the sites with each other, as their administrator");
    stack.register().await?;

    let tenant = stack.pair("demo").await?;
    let (a, b) = (tenant.here().session(), tenant.there().session());
    let (cloud_a, cloud_b) = (stack.cloud("site-a")?, stack.cloud("site-b")?);
    screen.step("booting web-0, db-0 (two disks) and gw-0 (two networks, a fixed address) at site-a");
    workload::make_networks(a, b).await?;
    workload::boot(a, VOLUME_TYPE).await?;

    screen.step("making the protection group 'shop' on both sites");
    let group = protect(stack, &tenant, screen).await?;

    let mark = format!("{:08x}", std::process::id());
    for server in look::servers(a, cloud_a).await? {
        for disk in &server.disks {
            let device = disk.device.trim_start_matches("/dev/");
            cloud_a.write(&server.id, device, &format!("{} {device} {mark}", server.name))?;
        }
    }
    screen.step("the guests have written to all their disks");
    let before = look::servers(a, cloud_a).await?;

    screen.step("planned failover: front becomes front-dr, back becomes back-dr");
    let networks: BTreeMap<&str, &str> = workload::NETWORKS
        .iter()
        .map(|network| (network.at_a, network.at_b))
        .collect();
    let order = json!({"type": "planned", "mappings": {"networks": networks}});
    let ordered = Instant::now();
    let (operation, at) = tenant.act(&group, "failover", &order).await?;
    let mut told = BTreeSet::new();
    let operation = tenant
        .follow(operation, at, Duration::from_millis(250), |now| {
            progress(screen, now, &mut told);
        })
        .await?;
    let seconds = ordered.elapsed().as_secs_f64();
    if operation.outcome.as_deref() != Some("completed") {
        bail!(
            "the failover ended {} ({}): {}",
            operation.status,
            operation.outcome.as_deref().unwrap_or("no outcome"),
            operation.error_message.as_deref().unwrap_or("no reason given")
        );
    }
    screen.step(&format!(
        "the group runs at site-b; the failover took {seconds:.1} s"
    ));

    let after_a = look::servers(a, cloud_a).await?;
    let after_b = look::servers(b, cloud_b).await?;
    let members = tenant.members(&group).await?;
    let rows: Vec<Row> = before
        .into_iter()
        .map(|before| {
            let member = members
                .iter()
                .find(|member| member.instance_name == before.name)
                .map(|member| member.id.as_str());
            Row {
                old: after_a.iter().find(|server| server.id == before.id).cloned(),
                new: after_b.iter().find(|server| server.name == before.name).cloned(),
                seconds: member.and_then(|member| active_after(&operation, member)),
                before,
            }
        })
        .collect();
    screen.line(&verdict::table(&rows));
    let complaints = verdict::complaints(&rows);
    if !complaints.is_empty() {
        bail!("not everything is as it must be:\n  {}", complaints.join("\n  "));
    }
    screen.line("Every server runs at site-b with its own data; the old ones are stopped.");
    let disks: usize = rows.iter().map(|row| row.before.disks.len()).sum();
    Ok(json!({
        "demo": "planned failover", "members": rows.len(), "volumes": disks, "data": "identical",
        "failover_seconds": round(seconds), "seconds": round(began.elapsed().as_secs_f64())
    }))
}

/// Make group, policy and members; everything is protected when this returns.
async fn protect(stack: &Stack, tenant: &Pair, screen: &mut Screen) -> Result<String> {
    let group = tenant
        .create_group(&NewGroup {
            name: "shop",
            description: "The demo's servers",
            volume_type: VOLUME_TYPE,
        })
        .await?;
    for site in [tenant.here(), tenant.there()] {
        tenant
            .group_becomes(site, &group.id, &["active"], PATIENCE)
            .await?;
    }
    screen.step("binding it to the arrays fa-a and fa-b");
    let url = |array: &str| {
        let url = stack.sites.arrays().url(array);
        url.with_context(|| format!("there is no array {array}"))
    };
    let token = |array: &str| secrecy::SecretString::from(format!("{array}-token"));
    let policy = NewPolicy {
        primary_url: url("fa-a")?,
        primary_token: token("fa-a"),
        secondary_url: url("fa-b")?,
        secondary_token: token("fa-b"),
        array_group: "shop-pg".to_owned(),
        interval_seconds: 300,
    };
    tenant.create_policy(&group.id, &policy, PATIENCE).await?;
    for server in look::servers(tenant.here().session(), stack.cloud("site-a")?).await? {
        tenant.add_member(&group.id, &server.id).await?;
        // A group takes one change at a time.
        tenant.members_protected(&group.id, PATIENCE).await?;
        let disks = server.disks.len();
        screen.step(&format!(
            "  {} is protected, {disks} of {disks} disks",
            server.name
        ));
    }
    Ok(group.id)
}

/// Say which kinds of step have ended since the last look, and what failed. `told` has what was said before.
fn progress(screen: &mut Screen, now: &Operation, told: &mut BTreeSet<String>) {
    for step in &now.steps {
        let reason = step.error.as_ref().and_then(|error| error["message"].as_str());
        if let Some(reason) = reason
            && told.insert(format!("{} {reason}", step.name))
        {
            screen.step(&format!("  {} {}: {reason}", step.name, step.state));
        }
        let kind = kind_of(step);
        let same: Vec<&StepView> = now.steps.iter().filter(|other| kind_of(other) == kind).collect();
        if same.iter().all(|step| step.state == "done") && told.insert(kind.clone()) {
            let times = if step.name.contains('/') {
                format!(" ({})", same.len())
            } else {
                String::new()
            };
            let phase = step.phase.as_deref().unwrap_or_default().replace('_', " ");
            screen.step(&format!("  {phase}: {kind}{times}"));
        }
    }
    let current = now.current_step.as_deref().unwrap_or(&now.status);
    screen.bar(now.progress, current);
}

/// What a step does, without which member or volume it does it to.
fn kind_of(step: &StepView) -> String {
    step.name.split('/').next().unwrap_or_default().replace('-', " ")
}

/// From the order to the end of the step that waits for a member's server.
fn active_after(operation: &Operation, member: &str) -> Option<f64> {
    let step = operation
        .steps
        .iter()
        .find(|step| step.name == format!("boot-server/{member}"))?;
    let moment = |text: &Option<String>| DateTime::parse_from_rfc3339(text.as_deref()?).ok();
    let passed = moment(&step.completed_at)? - moment(&operation.created_at)?;
    Some(passed.num_milliseconds() as f64 / 1000.0)
}

fn round(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}
