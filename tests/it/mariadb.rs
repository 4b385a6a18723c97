//! A real MariaDB under protector: made ready by `db sync`, looked at before an upgrade, refused where it can't be
//! used, and killed in the middle of a failover.

use std::time::Duration;

use crate::harness::refused::{ALL, SERVICES, refused_start};
use crate::harness::stack::{Conf, free_port};
use crate::harness::{Pair, Stack, names, programs::run};
use anyhow::{Context, Result, ensure};
use protector_mariadbd::Server;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

const DOCUMENTED: [&str; 8] = [
    "alembic_version",
    "cg_volumes",
    "consistency_groups",
    "dr_operations",
    "pg_members",
    "protection_groups",
    "replication_policies",
    "sites",
];

/// All that a database says of its columns, keys and rows that make it this site's.
const SHAPE: [&str; 4] = [
    "SELECT table_name, column_name, column_type, is_nullable, column_key, collation_name, extra \
     FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position",
    "SELECT table_name, index_name, non_unique, seq_in_index, column_name FROM information_schema.statistics \
     WHERE table_schema = DATABASE() ORDER BY table_name, index_name, seq_in_index",
    "SELECT * FROM site_identity",
    "SELECT * FROM alembic_version",
];

fn connection(dsn: &str) -> String {
    format!("[database]\nconnection = {dsn}\n")
}

#[tokio::test]
async fn p5_db_sync_makes_the_schema_in_mariadb_and_may_be_repeated() -> Result<()> {
    let directory = TempDir::new()?;
    let server = Server::start(&directory.path().join("mariadb"))?;
    let client = server.client();
    let conf = Conf {
        auth_url: "http://127.0.0.1:9/identity/v3".to_owned(),
        password: "keystone-password".to_owned(),
        port: free_port()?,
        more: connection(&client.create("protector")?),
    };
    let conf = conf.write(directory.path())?;
    let conf = conf.to_string_lossy().into_owned();
    let said = async |program: &str, before: &[&str]| -> Result<(Option<i32>, String)> {
        let mut arguments = before.to_vec();
        arguments.extend(["--config-file", &conf]);
        let output = run(program, &arguments).await?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((output.status.code(), text))
    };
    let sync = async || said("protector-manage", &["db", "sync"]).await;
    let shape = || -> Result<Vec<Vec<Vec<String>>>> {
        SHAPE.iter().map(|look| client.sql("protector", look)).collect()
    };

    // Empty, the database is refused, and the check says what to do.
    for (program, before) in SERVICES {
        let (code, told) = said(program, before).await?;
        ensure!(
            code != Some(0) && told.contains("protector-manage db sync"),
            "{program}: {told}"
        );
    }
    let (code, told) = said("protector-status", &["upgrade", "check"]).await?;
    ensure!(
        code == Some(2) && told.contains("protector-manage db sync"),
        "{told}"
    );

    let (code, told) = sync().await?;
    ensure!(
        code == Some(0) && told.contains("The schema was made: version"),
        "{told}"
    );
    let first = shape()?;
    let (code, told) = said("protector-manage", &["db", "version"]).await?;
    ensure!(code == Some(0) && told.trim() == first[3][0][0], "{told}");
    let both = tokio::try_join!(sync(), sync())?;
    for (code, told) in [both.0, both.1, sync().await?] {
        ensure!(
            code == Some(0) && told.contains("The schema is up to date"),
            "{told}"
        );
    }
    assert_eq!(shape()?, first);
    for table in DOCUMENTED {
        ensure!(
            first[0].iter().any(|column| column[0] == table),
            "{table} is not there"
        );
    }
    let (code, told) = said("protector-status", &["upgrade", "check"]).await?;
    ensure!(
        code == Some(0) && told.matches("Result: Success").count() == 4,
        "{told}"
    );

    // A newer release was here.
    client.sql("protector", "UPDATE alembic_version SET version_num = '9999'")?;
    let (code, told) = sync().await?;
    ensure!(
        code != Some(0) && told.contains("9999") && told.contains("newer release"),
        "{told}"
    );
    Ok(())
}

#[tokio::test]
async fn p5_what_ended_long_ago_is_purged() -> Result<()> {
    let directory = TempDir::new()?;
    let server = Server::start(directory.path())?;
    let dsn = server.client().create("site_a")?;
    let stack = Stack::configured_apart([&connection(&dsn), ""]).await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    pair.ended(&group.id, &operation).await?;
    let purge = async |more: &[&str]| -> Result<String> {
        let mut arguments = vec!["db", "purge", "--older-than", "30"];
        arguments.extend(more);
        let (done, told) = stack.a.says("protector-manage", &arguments).await?;
        ensure!(done, "{told}");
        Ok(told)
    };
    let told = purge(&[]).await?;
    ensure!(told.contains("0 operations and 0 journals"), "{told}");
    for statement in [
        "UPDATE dr_operations SET completed_at = '2020-01-01T00:00:00.000000Z'",
        "UPDATE sagas SET ended_at = '2020-01-01T00:00:00.000000Z' WHERE kind = 'planned_failover'",
    ] {
        server.client().sql("site_a", statement)?;
    }
    for _ in 0..2 {
        let told = purge(&["--dry-run"]).await?;
        ensure!(
            told.contains("1 operations and 1 journals") && told.contains("would be"),
            "{told}"
        );
    }
    let told = purge(&[]).await?;
    ensure!(told.contains("1 operations and 1 journals"), "{told}");
    let left = pair.here.get("/operations").await?;
    assert_eq!(left["operations"], json!([]));
    Ok(())
}

#[tokio::test]
async fn p12_a_mariadb_that_refuses_is_named_and_the_password_never() -> Result<()> {
    let directory = TempDir::new()?;
    let server = Server::start(directory.path())?;
    let dsn = server.client().create("protector_dr")?;
    let port = server.client().port.to_string();
    for wrong in [
        dsn.replace("%40im", "%40wrong"),
        dsn.replace("//protector:", "//nobody:"),
        dsn.replace("protector_dr", "protector_dr7"),
        dsn.replace(&port, "9"),
    ] {
        ensure!(wrong != dsn, "{wrong}");
        for said in refused_start(&connection(&wrong), ALL).await? {
            ensure!(
                said.contains("127.0.0.1") && said.contains("protector_dr"),
                "{said}"
            );
            for password in ["he@im", "he%40", "@wrong", "%40wrong"] {
                ensure!(!said.contains(password), "{said}");
            }
        }
    }
    Ok(())
}

/// A read, a write and the balancer's question; all are answered at once, and none with anything but "not now".
async fn all_say_not_now(stack: &Stack, pair: &Pair, group: &str) -> Result<Duration> {
    let began = Instant::now();
    let read = pair.here.call(Method::GET, "/protection-groups", None);
    let read = timeout(Duration::from_secs(10), read)
        .await
        .context("the read")??;
    let mut fastest = began.elapsed();
    ensure!(read.status == 503, "{read:?}");

    let began = Instant::now();
    let path = format!("/protection-groups/{group}/sync");
    let body = json!({"nonce": {}});
    let write = pair.here.call(Method::POST, &path, Some(&body));
    let write = timeout(Duration::from_secs(10), write)
        .await
        .context("the write")??;
    fastest = fastest.min(began.elapsed());
    ensure!(write.status == 503, "{write:?}");

    let health = stack.http.get(format!("{}/healthcheck", stack.a.root));
    let health = health.send().await?;
    ensure!(health.status() == 503, "{health:?}");
    let why = health.text().await?;
    ensure!(why.contains("database"), "{why}");
    Ok(fastest)
}

#[tokio::test]
async fn a_database_killed_in_a_failover_delays_it_and_no_more() -> Result<()> {
    let directory = TempDir::new()?;
    let mut server = Server::start(directory.path())?;
    let dsn = server.client().create("site_a")?;
    // The lease outlives the outage, so the engine comes back by its own patience and not by a new claim.
    let more = format!("{}[engine]\nlease_seconds = 60\n", connection(&dsn));
    let stack = Stack::configured_apart([&more, ""]).await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    let path = format!("/operations/{operation}");
    pair.until(&path, "operation", |now| now["progress"].as_u64() > Some(20))
        .await?;
    server.kill()?;

    let down = Instant::now();
    let mut fastest = Duration::MAX;
    // Long enough for the engine to become patient.
    while down.elapsed() < Duration::from_secs(10) {
        fastest = fastest.min(all_say_not_now(&stack, &pair, &group.id).await?);
        sleep(Duration::from_millis(200)).await;
    }
    ensure!(fastest < Duration::from_secs(1), "{fastest:?}");

    server.start_again()?;
    let back = Instant::now();
    let before = loop {
        let found = pair.here.call(Method::GET, &path, None).await?;
        if found.status == 200 {
            break found.body["operation"].clone();
        }
        ensure!(back.elapsed() < Duration::from_secs(5), "{found:?}");
        sleep(Duration::from_millis(50)).await;
    };
    ensure!(before["status"] == "running", "{before:#}");
    pair.until(&path, "operation", |now| *now != before).await?;
    let resumed = back.elapsed();
    println!("503 after {fastest:?}, resumed after {resumed:?}");
    ensure!(resumed < Duration::from_secs(5), "resumed after {resumed:?}");
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");

    // Nothing is there twice.
    let servers = pair.there.listed("compute", "/servers/detail", "servers").await?;
    assert_eq!(names(&servers), ["web-0"]);
    let volumes = pair
        .there
        .listed("volumev3", "/volumes/detail", "volumes")
        .await?;
    let attached: Vec<&Value> = volumes
        .iter()
        .filter(|volume| volume["status"] == "in-use")
        .collect();
    assert_eq!((volumes.len(), attached.len()), (2, 2), "{volumes:#?}");
    let steps = "SELECT event FROM saga_events WHERE saga_id IN (SELECT id FROM sagas WHERE kind = 'planned_failover')";
    let events = server.client().sql("site_a", steps)?.concat();
    let ends = events.iter().filter(|event| event.contains("ended")).count();
    assert_eq!(ends, 1, "{events:#?}");
    let health = stack.http.get(format!("{}/healthcheck", stack.a.root));
    ensure!(health.send().await?.status() == 200, "it is healthy again");
    stack.nobody_panicked()
}
