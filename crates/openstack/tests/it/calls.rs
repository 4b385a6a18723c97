//! The calls themselves: what is sent, and how answers are put together.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use protector_domain::{ProjectId, ServerId, VolumeId};
use protector_ports::Kind;
use protector_ports::cloud::{Cloud, Keypair, ManageVolume, NewServer};
use serde_json::json;

use crate::mock::{Seen, client, cloud, reply};

fn fault(name: &str, code: u16, message: &str) -> crate::mock::Reply {
    reply(code, json!({name: {"code": code, "message": message}}))
}

#[tokio::test]
async fn keystone_is_probed_without_credentials() {
    let site = cloud(|_| reply(200, json!({"version": {"id": "v3.14", "status": "stable"}})))
        .start()
        .await;
    client().probe(&site.access()).await.unwrap();
    let seen = site.seen();
    assert_eq!(
        (seen.len(), seen[0].path.as_str(), seen[0].token.as_str()),
        (1, "/v3", "")
    );
}

#[tokio::test]
async fn managing_names_the_volume_under_both_keys_at_the_pinned_version() {
    let site = cloud(|_| {
        reply(
            202,
            json!({"volume": {"id": "v1", "status": "creating", "size": 0}}),
        )
    })
    .start()
    .await;
    let volume = ManageVolume {
        host: "h@b#p".into(),
        source_name: "dr-1".into(),
        name: "root".into(),
        description: "op".into(),
        volume_type: "fast".into(),
        availability_zone: Some("nova".into()),
        bootable: true,
    };
    assert_eq!(
        client()
            .manage_volume(&site.access(), &volume)
            .await
            .unwrap()
            .as_str(),
        "v1"
    );
    let call = &site.calls()[0];
    assert_eq!(
        (call.path.as_str(), call.version.as_str()),
        ("/volume/v3/proj/manageable_volumes", "volume 3.62")
    );
    assert_eq!(
        call.body["volume"]["ref"],
        json!({"source-name": "dr-1", "name": "dr-1"})
    );
    assert_eq!(call.body["volume"]["availability_zone"], "nova");
}

#[tokio::test]
async fn a_server_is_made_of_ports_and_volumes_in_their_order() {
    let site = cloud(|_| reply(202, json!({"server": {"id": "s1", "adminPass": "x"}})))
        .start()
        .await;
    let server = NewServer {
        name: "web".into(),
        flavor_id: "f1".parse().unwrap(),
        key_name: None,
        config_drive: true,
        user_data: Some("Zm9v".into()),
        availability_zone: None,
        description: None,
        tags: vec!["t".into()],
        metadata: [("dr_operation_id".to_owned(), "o".to_owned())].into(),
        ports: vec!["p2".parse().unwrap(), "p1".parse().unwrap()],
        volumes: vec!["v2".parse().unwrap(), "v1".parse().unwrap()],
    };
    client().create_server(&site.access(), &server).await.unwrap();
    let call = &site.calls()[0];
    assert_eq!(
        (call.path.as_str(), call.version.as_str()),
        ("/compute/v2.1/servers", "compute 2.87")
    );
    let body = &call.body["server"];
    assert_eq!(body["networks"], json!([{"port": "p2"}, {"port": "p1"}]));
    let disks: Vec<_> = body["block_device_mapping_v2"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["uuid"].clone(), d["boot_index"].clone()))
        .collect();
    assert_eq!(disks, [(json!("v2"), json!(0)), (json!("v1"), json!(-1))]);
    assert!(body.get("key_name").is_none() && body.get("availability_zone").is_none());
}

#[tokio::test]
async fn stopping_what_is_stopped_is_done_and_what_is_locked_is_not() {
    for (status, task, done) in [
        ("SHUTOFF", json!(null), true),
        ("ACTIVE", json!("powering-off"), true),
        ("ACTIVE", json!(null), false),
    ] {
        let site = cloud(move |seen: &Seen| {
            if seen.method == "POST" {
                return fault("conflictingRequest", 409, "Cannot 'stop' instance s1 while it is in vm_state stopped");
            }
            reply(200, json!({"server": {"id": "s1", "tenant_id": "proj", "status": status, "OS-EXT-STS:task_state": task}}))
        })
        .start()
        .await;
        let result = client()
            .stop_server(&site.access(), &ServerId::new("s1").unwrap())
            .await;
        assert_eq!(result.is_ok(), done);
        assert!(result.err().is_none_or(|error| error.is(Kind::Conflict)));
    }
}

#[tokio::test]
async fn what_is_gone_needs_no_deleting() {
    let site = cloud(|_| fault("itemNotFound", 404, "could not be found"))
        .start()
        .await;
    let (client, access) = (client(), site.access());
    client
        .delete_server(&access, &"x".parse().unwrap())
        .await
        .unwrap();
    client
        .delete_volume(&access, &"x".parse().unwrap())
        .await
        .unwrap();
    client
        .unmanage_volume(&access, &"x".parse().unwrap())
        .await
        .unwrap();
    client
        .delete_volume_group(&access, &"x".parse().unwrap())
        .await
        .unwrap();
    client
        .delete_transfer(&access, &"x".parse().unwrap())
        .await
        .unwrap();
    client.delete_port(&access, &"x".parse().unwrap()).await.unwrap();
    client.delete_trust(&access, &"x".into()).await.unwrap();
    assert_eq!(
        client
            .volume(&access, &"x".parse().unwrap())
            .await
            .unwrap_err()
            .kind,
        Kind::NotFound
    );
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let site = cloud(|seen: &Seen| {
        let first = if seen.query.contains("marker=v2") { 3 } else { 1 };
        let volumes: Vec<_> = (first..first + 2)
            .map(|n| json!({"id": format!("v{n}")}))
            .collect();
        let mut page = json!({"volumes": volumes});
        if first == 1 {
            page["volumes_links"] =
                json!([{"rel": "next", "href": "http://internal-name/v3/volumes?marker=v2"}]);
        }
        reply(200, page)
    })
    .start()
    .await;
    let volumes = client().volumes(&site.access(), true).await.unwrap();
    assert_eq!(
        volumes
            .iter()
            .map(|volume| volume.id.as_str())
            .collect::<Vec<_>>(),
        ["v1", "v2", "v3", "v4"]
    );
    assert!(
        site.calls()
            .iter()
            .all(|call| call.query.contains("all_tenants=1") && call.query.contains("limit=1000"))
    );
}

/// Nova and Cinder answer 400, Neutron 404, when what a page ended with is gone.
#[tokio::test]
async fn a_list_begins_anew_when_its_place_is_deleted() {
    for gone in [400, 404] {
        let asked = AtomicUsize::new(0);
        let site = cloud(move |seen: &Seen| {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            match (seen.query.contains("marker="), number) {
                (true, 1) => reply(gone, json!({"error": {"code": gone, "message": "marker [v2] not found"}})),
                (true, _) => reply(200, json!({"volumes": [{"id": "v3"}]})),
                (false, 0) => reply(
                    200,
                    json!({"volumes": [{"id": "v1"}, {"id": "v2"}], "volumes_links": [{"rel": "next", "href": "x"}]}),
                ),
                (false, _) => reply(
                    200,
                    json!({"volumes": [{"id": "v1"}], "volumes_links": [{"rel": "next", "href": "x"}]}),
                ),
            }
        })
        .start()
        .await;
        let volumes = client().volumes(&site.access(), true).await.unwrap();
        let ids: Vec<&str> = volumes.iter().map(|volume| volume.id.as_str()).collect();
        assert_eq!(ids, ["v1", "v3"], "{gone}");
    }
}

/// But not for ever.
#[tokio::test]
async fn a_list_that_never_goes_on_is_left() {
    let site = cloud(|seen: &Seen| match seen.query.contains("marker=") {
        true => reply(400, json!({"badRequest": {"code": 400, "message": "marker [s1] not found"}})),
        false => reply(
            200,
            json!({"servers": [{"id": "s1", "tenant_id": "p"}], "servers_links": [{"rel": "next", "href": "x"}]}),
        ),
    })
    .start()
    .await;
    let error = client().servers(&site.access(), false).await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid);
    assert_eq!(site.calls().len(), 10);
}

#[tokio::test]
async fn a_list_that_runs_in_circles_is_left() {
    let site = cloud(|_| {
        reply(200, json!({"servers": [{"id": "s1", "tenant_id": "p"}], "servers_links": [{"rel": "next", "href": "x"}]}))
    })
    .start()
    .await;
    assert_eq!(
        client().servers(&site.access(), false).await.unwrap_err().kind,
        Kind::Protocol
    );
    assert_eq!(site.calls().len(), 2);
}

#[tokio::test]
async fn the_ports_of_a_server_are_in_the_guests_order() {
    let site = cloud(|seen: &Seen| {
        if seen.path.ends_with("/servers/s1") {
            let on = |mac: &str| json!({"addr": "10.0.0.1", "OS-EXT-IPS-MAC:mac_addr": mac});
            let addresses = json!({"zebra": [on("fa:00:00:00:00:03"), on("fa:00:00:00:00:03")], "alpha": [on("fa:00:00:00:00:01")]});
            return reply(200, json!({"server": {"id": "s1", "tenant_id": "proj", "addresses": addresses}}));
        }
        if seen.path.ends_with("os-interface") {
            let on = |id: &str| json!({"port_id": id});
            return reply(200, json!({"interfaceAttachments": [on("p1"), on("p5"), on("p2"), on("p3")]}));
        }
        assert_eq!(seen.path, "/network/v2.0/ports");
        let port = |n: u8| json!({"id": format!("p{n}"), "network_id": "n", "mac_address": format!("FA:00:00:00:00:0{n}"), "tenant_id": ""});
        reply(200, json!({"ports": [port(1), port(2), port(3), port(4), port(5)]}))
    })
    .start()
    .await;
    let ports = client()
        .server_ports(&site.access(), &"s1".parse().unwrap())
        .await
        .unwrap();
    // By address, then without one as Nova lists them, then what only Neutron knows.
    assert_eq!(
        ports.iter().map(|port| port.id.as_str()).collect::<Vec<_>>(),
        ["p3", "p1", "p5", "p2", "p4"]
    );
    assert!(
        site.calls()
            .iter()
            .any(|call| call.query.contains("device_id=s1"))
    );
}

#[tokio::test]
async fn a_pool_is_up_where_its_back_end_is_at_work() {
    let site = cloud(|seen: &Seen| {
        if seen.path.ends_with("get_pools") {
            let pool = |name: &str| json!({"name": name, "capabilities": {"volume_backend_name": "pure"}});
            return reply(200, json!({"pools": [pool("c@up#x"), pool("c@down#x"), pool("c@off#x"), pool("c@unknown#x")]}));
        }
        let service = |host: &str, status: &str, state: &str| json!({"host": host, "status": status, "state": state});
        reply(200, json!({"services": [service("c@up", "enabled", "up"), service("c@down", "enabled", "down"), service("c@off", "disabled", "up")]}))
    })
    .start()
    .await;
    let pools = client().volume_pools(&site.access()).await.unwrap();
    assert_eq!(
        pools
            .iter()
            .filter(|pool| pool.up)
            .map(|pool| pool.name.as_str())
            .collect::<Vec<_>>(),
        ["c@up#x"]
    );
}

#[tokio::test]
async fn groups_without_their_volumes_are_read_one_by_one() {
    let site = cloud(|seen: &Seen| {
        if seen.path.ends_with("/groups/detail") {
            return reply(
                200,
                json!({"groups": [{"id": "g1", "status": "available"}, {"id": "gone"}]}),
            );
        }
        if seen.path.ends_with("/gone") {
            return fault("itemNotFound", 404, "Group gone could not be found.");
        }
        reply(
            200,
            json!({"group": {"id": "g1", "status": "available", "volumes": ["v1"], "project_id": "p"}}),
        )
    })
    .start()
    .await;
    let groups = client().volume_groups(&site.access(), true).await.unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].volumes[0].as_str(), "v1");
}

#[tokio::test]
async fn a_group_is_changed_by_text_with_commas_and_not_for_nothing() {
    let site = cloud(|_| reply(202, json!({}))).start().await;
    let (client, access) = (client(), site.access());
    let volumes: Vec<VolumeId> = vec!["v1".parse().unwrap(), "v2".parse().unwrap()];
    client
        .update_volume_group(&access, &"g".parse().unwrap(), &volumes, &[])
        .await
        .unwrap();
    client
        .update_volume_group(&access, &"g".parse().unwrap(), &[], &[])
        .await
        .unwrap();
    assert_eq!(site.calls().len(), 1);
    assert_eq!(site.calls()[0].body, json!({"group": {"add_volumes": "v1,v2"}}));
}

#[tokio::test]
async fn a_type_that_is_not_there_does_not_pass_as_unencrypted() {
    let site = cloud(|_| fault("itemNotFound", 404, "Volume type t could not be found."))
        .start()
        .await;
    assert!(
        client()
            .is_type_encrypted(&site.access(), &"t".parse().unwrap())
            .await
            .unwrap_err()
            .is(Kind::NotFound)
    );
    let site = cloud(|seen: &Seen| {
        if seen.path.ends_with("/encryption") {
            fault("itemNotFound", 404, "none")
        } else {
            reply(200, json!({}))
        }
    })
    .start()
    .await;
    assert!(
        !client()
            .is_type_encrypted(&site.access(), &"t".parse().unwrap())
            .await
            .unwrap()
    );
    let site = cloud(|_| reply(200, json!({"provider": "luks", "encryption_id": "e"})))
        .start()
        .await;
    assert!(
        client()
            .is_type_encrypted(&site.access(), &"t".parse().unwrap())
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn the_same_key_twice_is_one_keypair_and_another_is_a_conflict() {
    let site = cloud(|seen: &Seen| {
        if seen.method == "POST" {
            return fault("conflictingRequest", 409, "Key pair 'k' already exists.");
        }
        assert_eq!(seen.path, "/compute/v2.1/os-keypairs/my%20key%2F1");
        reply(
            200,
            json!({"keypair": {"name": "my key/1", "public_key": "ssh-rsa AAA\n", "type": "ssh"}}),
        )
    })
    .start()
    .await;
    let key = |public_key: &str| Keypair {
        name: "my key/1".into(),
        public_key: public_key.into(),
        key_type: "ssh".into(),
    };
    let made = client()
        .create_keypair(&site.access(), &key("ssh-rsa AAA"))
        .await
        .unwrap();
    assert!(!made, "it was there");
    assert!(
        client()
            .create_keypair(&site.access(), &key("ssh-rsa BBB"))
            .await
            .unwrap_err()
            .is(Kind::Conflict)
    );
}

#[tokio::test]
async fn a_keypair_is_deleted_of_oneself_or_of_another_user_and_may_be_gone() {
    let site = cloud(|seen: &Seen| match seen.method.as_str() {
        "POST" => reply(
            201,
            json!({"keypair": {"name": "k", "public_key": "ssh-rsa AAA"}}),
        ),
        _ if seen.query.is_empty() => fault("itemNotFound", 404, "Keypair k not found for user user1"),
        _ => reply(204, json!(null)),
    })
    .start()
    .await;
    let (client, access) = (client(), site.access());
    let key = Keypair {
        name: "k".into(),
        public_key: "ssh-rsa AAA".into(),
        key_type: "ssh".into(),
    };
    assert!(client.create_keypair(&access, &key).await.unwrap(), "it is new");
    client.delete_keypair(&access, "k", None).await.unwrap();
    client
        .delete_keypair(&access, "k", Some("another"))
        .await
        .unwrap();
    let asked: Vec<String> = site
        .calls()
        .iter()
        .filter(|seen| seen.method == "DELETE")
        .map(|seen| format!("{}?{}", seen.path, seen.query))
        .collect();
    assert_eq!(
        asked,
        [
            "/compute/v2.1/os-keypairs/k?",
            "/compute/v2.1/os-keypairs/k?user_id=another"
        ]
    );
}

#[tokio::test]
async fn room_that_may_not_be_seen_is_taken_from_the_limits_or_left_unknown() {
    let site = cloud(|seen: &Seen| {
        if seen.path.contains("quota") {
            return fault("forbidden", 403, "Policy doesn't allow it to be performed.");
        }
        reply(200, json!({"limits": {"absolute": {
            "maxTotalInstances": 10, "totalInstancesUsed": 4, "maxTotalCores": -1, "maxTotalVolumes": 5, "totalVolumesUsed": 7
        }}}))
    })
    .start()
    .await;
    let (client, access) = (client(), site.access());
    let own = ProjectId::new("proj").unwrap();
    let room = client.compute_room(&access, &own).await.unwrap();
    assert_eq!((room.instances, room.cores, room.ram_mb), (Some(6), None, None));
    assert_eq!(client.volume_room(&access, &own).await.unwrap().volumes, Some(0));
    assert_eq!(client.network_room(&access, &own).await.unwrap().ports, None);
    // Our own limits say nothing about another's project.
    let other = ProjectId::new("other").unwrap();
    assert!(
        client
            .compute_room(&access, &other)
            .await
            .unwrap_err()
            .is(Kind::Forbidden)
    );
}

#[tokio::test]
async fn pages_and_renewals_come_out_of_one_time() {
    let site = cloud(|seen: &Seen| {
        let id = format!("v{}", seen.query.len());
        reply(
            200,
            json!({"volumes": [{"id": id}], "volumes_links": [{"rel": "next"}]}),
        )
        .after(Duration::from_millis(120))
    })
    .start()
    .await;
    let access = protector_ports::cloud::Access {
        timeout: Duration::from_millis(300),
        ..site.access()
    };
    let started = std::time::Instant::now();
    client().volumes(&access, false).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5));
}
