//! A pair of sites for people: the same as `stack`, and in words how to use it.

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use crate::screen::Screen;
use crate::stack::{self, Place, Stack};

#[derive(Args)]
#[command(after_long_help = "\
Examples:
  protector-dev up --servers 2        two servers at site-a, to have something to protect
  protector-dev up --dir /tmp/pair    keep everything in another place

The client is installed from the checkout, once: pip install ./clients/python-protectorclient")]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
}

/// Run a pair until Ctrl-C, and tell how to use it.
pub(crate) async fn run(options: Options) -> Result<()> {
    let mut screen = Screen::new();
    screen.step("starting two simulated clouds with their arrays, and protector on both");
    let servers = options.place.sites.servers;
    let ready = |stack: &Stack| {
        screen.step("both sites are there, registered with each other; the tenant is 'demo' on both");
        for line in told(stack, servers) {
            screen.line(&line);
        }
    };
    stack::serve(&options.place, true, false, ready).await
}

fn told(stack: &Stack, servers: usize) -> Vec<String> {
    let mut lines: Vec<String> = stack
        .tour()
        .iter()
        .map(|line| format!("          {line}"))
        .collect();
    let logs = stack.clouds_yaml.with_file_name("site-*");
    lines.push(format!("          logs: {}/log", logs.display()));
    lines.push(instructions(&stack.describe(), servers));
    lines
}

/// What to type in another shell. `about` is what the stack says of itself.
fn instructions(about: &Value, servers: usize) -> String {
    let text = |pointer| about.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (site, array) = (text("/control"), text("/arrays_control"));
    let protect = "openstack --os-cloud site-a protector protection-group";
    let servers = if servers == 0 {
        format!(
            "\
    # a server to protect, with two disks
    curl -H 'content-type: application/json' -d '{{\"name\": \"web-0\", \"disks\": 2}}' \\
      {site}/control/sites/site-a/servers
"
        )
    } else {
        String::new()
    };
    format!(
        "
In another shell, with the client (pip install ./clients/python-protectorclient):

    export OS_CLIENT_CONFIG_FILE={clouds}   # site-a, site-a-admin, site-b, site-b-admin
{servers}    openstack --os-cloud site-a server list
    {protect} create --name web --replication-type async --primary-site site-a \\
      --secondary-site site-b --volume-type replicated-ssd --wait
    {protect} policy-create web --pure-pg-name web-pg --replication-interval 300 \\
      --primary-fa-url {fa_a} --primary-fa-token fa-a-token \\
      --secondary-fa-url {fa_b} --secondary-fa-token fa-b-token
    {protect} member-add web --instance-id web-0

A planned failover, both sites being well:

    {protect} failover web --wait

Or an unplanned one: the arrays' clock goes on until a snapshot has come over, then site-a loses its power.

    curl -H 'content-type: application/json' -d '{{\"advance_millis\": 301000}}' {array}/control/time
    curl -H 'content-type: application/json' -X PUT -d '{{\"on\": false}}' {site}/control/sites/site-a/power
    openstack --os-cloud site-b protector protection-group failover web --type unplanned --wait

Everything stays up until Ctrl-C.",
        clouds = text("/clouds_yaml"),
        fa_a = text("/sites/0/array/url"),
        fa_b = text("/sites/1/array/url"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_lines_to_type_name_this_pair() {
        let about = json!({
            "control": "http://c", "arrays_control": "http://t", "clouds_yaml": "/d/clouds.yaml",
            "sites": [{"array": {"url": "https://fa-a"}}, {"array": {"url": "https://fa-b"}}]
        });
        let told = instructions(&about, 0);
        for part in [
            "OS_CLIENT_CONFIG_FILE=/d/clouds.yaml",
            "--primary-fa-url https://fa-a",
            "--secondary-fa-url https://fa-b",
            "'{\"on\": false}' http://c/control/sites/site-a/power",
            "http://t/control/time",
            "http://c/control/sites/site-a/servers",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!instructions(&about, 1).contains("site-a/servers"));
    }
}
