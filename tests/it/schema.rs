//! The schema of the database: made, upgraded, and refused where it isn't this release's.

use std::path::Path;

use crate::harness::database::{as_first_release, sql};
use crate::harness::programs::run;
use crate::harness::refused::SERVICES;
use crate::harness::stack::{Conf, free_port};
use crate::harness::{Stack, text};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

const SYNC: &str = "protector-manage db sync";

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

/// Everything that says how a database is made and whose it is.
async fn shape(database: &Path) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for statement in [
        "SELECT name, sql FROM sqlite_master ORDER BY name",
        "SELECT * FROM site_identity",
        "SELECT * FROM alembic_version",
    ] {
        found.extend(sql(database, statement).await?);
    }
    Ok(found)
}

/// The one value of a statement.
async fn one(database: &Path, statement: &str) -> Result<Value> {
    let rows = sql(database, statement).await?;
    Ok(rows.first().context("no row")?[0].clone())
}

#[tokio::test]
async fn p5_db_sync_makes_the_schema_and_may_be_repeated() -> Result<()> {
    let directory = TempDir::new()?;
    let conf = Conf {
        auth_url: "http://127.0.0.1:9/identity/v3".to_owned(),
        password: "keystone-password".to_owned(),
        port: free_port()?,
        more: String::new(),
    };
    let conf = conf.write(directory.path())?;
    let conf = conf.to_string_lossy().into_owned();
    let database = directory.path().join("state/protector.db");
    let said = async |program: &str, before: &[&str]| -> Result<(bool, String)> {
        let mut arguments = before.to_vec();
        arguments.extend(["--config-file", &conf]);
        let output = run(program, &arguments).await?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((output.status.success(), text))
    };
    let sync = async || said("protector-manage", &["db", "sync"]).await;

    let (made, told) = sync().await?;
    ensure!(made && told.contains("The schema was made: version"), "{told}");
    let first = shape(&database).await?;
    let version = one(&database, "SELECT version_num FROM alembic_version").await?;
    let (known, told) = said("protector-manage", &["db", "version"]).await?;
    ensure!(known && json!(told.trim()) == version, "{told}");
    // Two at once, as two hosts of an installation may do it, and once more.
    for (again, told) in [tokio::try_join!(sync(), sync())?, (sync().await?, sync().await?)]
        .map(<[_; 2]>::from)
        .concat()
    {
        ensure!(again && told.contains("The schema is up to date"), "{told}");
    }
    assert_eq!(shape(&database).await?, first);

    // A file without tables, and none at all.
    for there in [true, false] {
        std::fs::remove_file(&database)?;
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", database.display()));
        }
        if there {
            std::fs::write(&database, "")?;
        }
        for (program, before) in SERVICES {
            let (started, told) = said(program, before).await?;
            ensure!(!started && told.contains(SYNC), "{program}: {told}");
            ensure!(told.contains(&*database.to_string_lossy()), "{program}: {told}");
        }
        if !there {
            break;
        }
    }
    Ok(())
}

/// What a tenant and an administrator see of all that the database holds.
async fn seen(stack: &Stack, group: &str) -> Result<Value> {
    let (demo, admin) = (stack.a.sign_in("demo").await?, stack.a.sign_in("admin").await?);
    let mut all = json!({});
    for path in [
        String::new(),
        "/members".to_owned(),
        "/policy".to_owned(),
        "/consistency-group".to_owned(),
        "/sync-log".to_owned(),
    ] {
        let mut found = demo.get(&format!("/protection-groups/{group}{path}")).await?;
        // What the first release did not keep is read anew.
        for field in ["facts_read_at", "facts_complete"] {
            found["protection_group"][field] = Value::Null;
        }
        all[path] = found;
    }
    all["sites"] = demo.get("/sites").await?;
    all["operations"] = demo.get("/operations").await?;
    all["mappings"] = admin.get("/tenant-mappings").await?;
    Ok(all)
}

#[tokio::test]
async fn p5_an_older_schema_is_upgraded_with_all_that_is_in_it() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let rule = json!({"method": "POST", "path": "/servers$", "times": 1, "action": {"kind": "status", "status": 403,
        "body": {"forbidden": {"code": 403, "message": "Not today."}}}});
    stack.simulation.disturb("site-b", &rule).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], "rolled_back");

    let database = stack.a.database();
    for table in DOCUMENTED {
        let rows = one(&database, &format!("SELECT count(*) FROM {table}")).await?;
        ensure!(rows.as_u64() > Some(0), "nothing is in {table}");
    }
    let before = seen(&stack, &group.id).await?;
    stack.a.stop().await?;
    let newest = one(&database, "SELECT version_num FROM alembic_version").await?;
    let newest = newest.as_str().context("no version")?.to_owned();
    as_first_release(&database).await?;
    for (program, arguments) in SERVICES {
        let (started, told) = stack.a.says(program, arguments).await?;
        ensure!(!started && told.contains(SYNC), "{program}: {told}");
        ensure!(
            told.contains("0001") && told.contains(&newest),
            "{program}: {told}"
        );
    }
    let (upgraded, told) = stack.a.says("protector-manage", &["db", "sync"]).await?;
    let wanted = format!("upgraded from version 0001 to {newest}");
    ensure!(upgraded && told.contains(&wanted), "{told}");
    stack.a.start().await?;
    assert_eq!(seen(&stack, &group.id).await?, before);
    // And it works: the failover that was refused goes through now.
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(text(&ended, "outcome")?, "completed");
    Ok(())
}

#[tokio::test]
async fn p5_a_newer_schema_is_refused_and_left_alone() -> Result<()> {
    let mut stack = Stack::unregistered().await?;
    let database = stack.a.database();
    stack.a.stop().await?;
    sql(&database, "UPDATE alembic_version SET version_num = '9999'").await?;
    let before = shape(&database).await?;
    for (program, arguments) in [
        ("protector-api", &[][..]),
        ("protector-engine", &[]),
        ("protector-manage", &["db", "sync"]),
    ] {
        let (started, told) = stack.a.says(program, arguments).await?;
        ensure!(!started && told.contains("9999"), "{program}: {told}");
        ensure!(
            told.contains(SYNC) && told.contains("newer release"),
            "{program}: {told}"
        );
    }
    assert_eq!(shape(&database).await?, before);
    Ok(())
}
