//! Room and addresses that are too scarce from the beginning, or were used up between the look and the deed.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bad_luck::array;
use crate::harness::setback::{brief, told};
use crate::harness::{Case, Session, Stack, Trouble, text};

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
    ensure!(ended["steps_failed"] == json!(["prepare"]), "{}", brief(ended));
    ensure!(ended["progress"].as_u64() < Some(20), "{}", brief(ended));
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
            ["is taken", "Free it, or map", ip],
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
