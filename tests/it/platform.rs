//! Services, start, and that the sites stand alone.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::harness::refused::{ALL, refused_start};
use crate::harness::{Stack, text};
use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

/// A listener that counts who comes, and passes them on.
async fn counting(root: &str) -> Result<(String, Arc<AtomicU64>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let target = root.trim_start_matches("http://").to_owned();
    let came = Arc::new(AtomicU64::new(0));
    let count = came.clone();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            if let Ok(mut to) = TcpStream::connect(&target).await {
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut from, &mut to).await });
            }
        }
    });
    Ok((url, came))
}

/// Both catalogs name addresses at which everybody is counted. This test's own client goes past them.
#[tokio::test]
async fn p1_no_service_calls_the_other_protector() -> Result<()> {
    let stack = Stack::unregistered().await?;
    let mut counters = Vec::new();
    for site in [&stack.a, &stack.b] {
        let (url, came) = counting(&site.root).await?;
        let endpoint =
            json!({"type": "protector", "name": "protector", "url": format!("{url}/v1/%(tenant_id)s")});
        let path = format!("{}/endpoints", site.name);
        stack
            .simulation
            .site(Method::POST, &path, Some(&endpoint))
            .await?;
        counters.push((url, came));
    }
    let moved = everything(&stack).await;
    // The calls first: one that went astray may well be why something failed.
    for (url, came) in &counters {
        assert_eq!(came.load(Ordering::SeqCst), 0, "somebody called {url}");
        // The counter counts: otherwise nothing was shown.
        stack.http.get(format!("{url}/")).send().await?;
        assert_eq!(came.load(Ordering::SeqCst), 1);
    }
    assert_eq!(moved?["outcome"], "completed");
    Ok(())
}

/// All that services do: sites are registered and looked at, a group is protected and moved.
async fn everything(stack: &Stack) -> Result<Value> {
    stack.register().await?;
    let admin = stack.a.sign_in("admin").await?;
    for site in [&stack.a, &stack.b] {
        let id = site.identity().await?;
        let path = format!("/sites/{}/validate", text(&id, "id")?);
        admin.admin(Method::POST, &path, None).await?.ok(200)?;
    }
    let tenant = stack.pair("demo").await?;
    let group = stack.protected(&tenant, "web", 1).await?;
    let operation = tenant.failover(&group.id, json!({})).await?;
    tenant.ended(&group.id, &operation).await
}

#[tokio::test]
async fn p1_each_site_has_its_own_services_and_database() -> Result<()> {
    let stack = Stack::unregistered().await?;
    let mut identities = Vec::new();
    for site in [&stack.a, &stack.b] {
        let identity = site.identity().await?;
        identities.push((
            text(&identity, "id")?.to_owned(),
            text(&identity, "public_key")?.to_owned(),
        ));
        let state = site.state();
        ensure!(
            state.join("protector.db").is_file(),
            "{} has no database",
            site.name
        );
        for file in open_files(&site.pids()?)? {
            let foreign = stack.state_of_the_other(site);
            ensure!(
                !file.starts_with(&foreign),
                "{} holds {} open",
                site.name,
                file.display()
            );
        }
        ensure!(
            open_files(&site.pids()?)?.contains(&state.join("protector.db")),
            "the services of {} don't use its database",
            site.name
        );
    }
    ensure!(
        identities[0].0 != identities[1].0 && identities[0].1 != identities[1].1,
        "the sites are one: {identities:?}"
    );
    Ok(())
}

/// One group moves, the other one stays: each has its own primary site, and the services just run on.
#[tokio::test]
async fn p2_a_failover_swaps_the_roles_of_its_group_alone() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let (a, b) = (stack.a.identity().await?, stack.b.identity().await?);
    let idle = stack.bare_group(&pair, "idle").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let before = (stack.a.pids()?, stack.b.pids()?);
    let operation = pair.failover(&group.id, json!({})).await?;
    assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], "completed");
    for side in [&pair, &pair.reversed()] {
        for (id, primary, name) in [(&group.id, &b, "site-b"), (&idle, &a, "site-a")] {
            let shown = side.here.get(&format!("/protection-groups/{id}")).await?;
            let shown = &shown["protection_group"];
            assert_eq!(shown["current_primary_site_id"], primary["id"], "{shown}");
            assert_eq!(shown["current_primary_site"], name, "{shown}");
        }
    }
    // Changes are made at the new primary now, and only there.
    let path = format!("/protection-groups/{}", group.id);
    let body = json!({"protection_group": {"description": "moved"}});
    let sync = json!({"nonce": {}});
    pair.here
        .call(Method::POST, &format!("{path}/sync"), Some(&sync))
        .await?
        .fault("conflictingRequest", 409)?;
    pair.reversed()
        .modify(&group.id, Method::PATCH, &path, Some(&body), 200)
        .await?;
    let shown = pair.here.get(&path).await?;
    assert_eq!(shown["protection_group"]["description"], "moved");
    for (site, pids) in [(&stack.a, before.0), (&stack.b, before.1)] {
        assert_eq!(site.pids()?, pids);
        for pid in pids {
            ensure!(
                std::fs::exists(format!("/proc/{pid}"))?,
                "{} was restarted",
                site.name
            );
        }
    }
    Ok(())
}

/// What processes have open.
fn open_files(pids: &[u32]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for pid in pids {
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
            // One that was closed meanwhile has no target any more.
            files.extend(std::fs::read_link(entry?.path()));
        }
    }
    Ok(files)
}

/// By Keystone's own API, as `openstack service create` and `openstack endpoint create` do it.
#[tokio::test]
async fn p11_registered_as_documented() -> Result<()> {
    let stack = Stack::unregistered().await?;
    let admin = stack.a.sign_in("admin").await?;
    let named = admin
        .cloud("identity", Method::GET, "/services?type=protector", None)
        .await?
        .ok(200)?;
    for service in named["services"].as_array().into_iter().flatten() {
        let path = format!("/services/{}", text(service, "id")?);
        admin
            .cloud("identity", Method::DELETE, &path, None)
            .await?
            .ok(204)?;
    }
    ensure!(stack.a.sign_in("demo").await?.endpoint("protector").is_err());
    let service = json!({"service": {
        "type": "protector", "name": "protector", "description": "Disaster recovery", "enabled": true
    }});
    let service = admin
        .cloud("identity", Method::POST, "/services", Some(&service))
        .await?
        .ok(201)?;
    for interface in ["public", "internal", "admin"] {
        let endpoint = json!({"endpoint": {
            "service_id": service["service"]["id"], "interface": interface, "region_id": "RegionOne",
            "url": format!("{}/v1/%(tenant_id)s", stack.a.root), "enabled": true
        }});
        admin
            .cloud("identity", Method::POST, "/endpoints", Some(&endpoint))
            .await?
            .ok(201)?;
    }
    let demo = stack.a.sign_in("demo").await?;
    let url = demo.endpoint("protector")?;
    assert_eq!(url, demo.base());
    let listed = demo
        .ask(Method::GET, &format!("{url}/protection-groups"), &[], None)
        .await?
        .ok(200)?;
    assert_eq!(listed["protection_groups"], json!([]));
    Ok(())
}

fn connection(dsn: &str) -> String {
    format!("[database]\nconnection = {dsn}\n")
}

#[tokio::test]
async fn p12_a_wrong_connection_names_host_and_database_never_the_password() -> Result<()> {
    for password in ["geheim-7", "ge/he@im-7"] {
        let dsn = format!("mysql+pymysql://protector:{password}@db7.example:3306/protector_dr?charset=utf8");
        for said in refused_start(&connection(&dsn), ALL).await? {
            ensure!(said.contains("db7.example"), "{said}");
            ensure!(said.contains("protector_dr"), "{said}");
            ensure!(!said.contains("im-7") && !said.contains("geheim"), "{said}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn p12_a_database_file_that_cannot_be_opened_is_named() -> Result<()> {
    // A directory stands where the file should be, or a file where the directory should: not even root opens that.
    let directory = TempDir::new()?;
    let file = directory.path().join("file");
    std::fs::write(&file, "no directory")?;
    for name in [directory.path().to_owned(), file.join("protector.db")] {
        for said in refused_start(&connection(&format!("sqlite:///{}", name.display())), ALL).await? {
            ensure!(said.contains(&*name.to_string_lossy()), "{said}");
        }
    }
    Ok(())
}
