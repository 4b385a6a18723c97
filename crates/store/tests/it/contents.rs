//! What lies in the tables, for whoever looks into them beside the store.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use protector_domain::{OperationStatus, SagaId};
use protector_ports::cloud::Credentials;
use protector_ports::store::Along;
use protector_ports::{Store, StoreError};
use protector_saga::{Claim, Event, Journal, SagaOutcome};
use protector_store::{Purged, SqlStore};
use secrecy::SecretString;

use crate::fixture::{Fixture, on_both};
use crate::suite::samples::*;

on_both! {
    two_processes_write_the_same_database,
    the_documented_tables_hold_what_the_group_says,
    no_secret_lies_in_clear,
    what_is_unreadable_is_said_and_not_guessed,
    text_is_told_apart_to_the_last_byte,
    what_is_long_over_is_forgotten_and_nothing_else,
}

/// The API and the engine share the database: neither loses a write, neither is told that the database is away.
async fn two_processes_write_the_same_database(fixture: &Fixture) {
    let (api, engine) = (Arc::new(fixture.migrated().await), Arc::new(fixture.open().await));
    let sites = two_sites(&*api).await;
    let web = group(sites, "p1", "web");
    let along = Along {
        saga: Some(saga(web.id())),
        ..Along::default()
    };
    api.insert_group(&web, along).await.unwrap();
    let claim = claim(&*engine, "e1", Duration::from_secs(60)).await.unwrap();
    let writes = async |store: Arc<SqlStore>, claim: Option<&Claim>| {
        let mut written = 0;
        while written < 25 {
            let group = store.group(web.id()).await.unwrap().unwrap();
            let along = Along {
                claim,
                ..Along::default()
            };
            match store.update_group(&group, along).await {
                Ok(_) => written += 1,
                Err(StoreError::Stale(_)) => {}
                Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
            }
        }
    };
    tokio::join!(writes(api.clone(), None), writes(engine, Some(&claim)));
    assert_eq!(
        api.group(web.id()).await.unwrap().unwrap().revision,
        web.revision + 50
    );
}

async fn count(fixture: &Fixture, table: &str) -> String {
    fixture.value(&format!("SELECT count(*) FROM {table}")).await
}

async fn the_documented_tables_hold_what_the_group_says(fixture: &Fixture) {
    let store = fixture.migrated().await;
    let sites = two_sites(&store).await;
    let web = group(sites, "p1", "web");
    store.insert_group(&web, Along::default()).await.unwrap();

    let tables = fixture.tables().await;
    for documented in [
        "alembic_version",
        "consistency_groups",
        "cg_volumes",
        "dr_operations",
        "pg_members",
        "protection_groups",
        "replication_policies",
        "sites",
    ] {
        assert!(tables.iter().any(|table| table == documented), "{documented}");
    }
    let members = "SELECT instance_name, error_message, volume_count FROM pg_members ORDER BY position";
    assert_eq!(fixture.sql(members).await[0], ["web-🦀", "no such volume", "2"]);
    assert_eq!(count(fixture, "cg_volumes").await, "4");
    let cg = "SELECT primary_cg_id, volume_count FROM consistency_groups";
    assert_eq!(fixture.sql(cg).await, [["cg-here", "4"]]);
    let policy = "SELECT pure_pg_name, replication_interval FROM replication_policies";
    assert_eq!(fixture.sql(policy).await, [["pg-web", "300"]]);

    let mut smaller = web.clone();
    smaller.document.members.truncate(1);
    smaller.document.policy = None;
    store.update_group(&smaller, Along::default()).await.unwrap();
    for (table, rows) in [
        ("pg_members", "1"),
        ("cg_volumes", "2"),
        ("replication_policies", "0"),
    ] {
        assert_eq!(count(fixture, table).await, rows, "{table}");
    }
    store.delete_group(web.id(), Along::default()).await.unwrap();
    for table in [
        "protection_groups",
        "pg_members",
        "cg_volumes",
        "consistency_groups",
        "group_trusts",
    ] {
        assert_eq!(count(fixture, table).await, "0", "{table}");
    }
}

async fn no_secret_lies_in_clear(fixture: &Fixture) {
    let store = fixture.migrated().await;
    let sites = two_sites(&store).await;
    let secret = |text: &str| SecretString::from(text);
    let credentials = Credentials {
        username: "protector".to_owned(),
        password: secret("needle-password"),
        project_name: "service".to_owned(),
        user_domain_name: "Default".to_owned(),
        project_domain_name: "Default".to_owned(),
    };
    let mut there = store.site(sites.1).await.unwrap().unwrap();
    there.description = "changed".to_owned();
    store.update_site(&there, Some(&credentials)).await.unwrap();
    let web = group(sites, "p1", "web");
    let along = Along {
        trusts: vec![(sites.0, secret("needle-trust"))],
        array_tokens: vec![(sites.0, secret("needle-token"))],
        ..Along::default()
    };
    store.insert_group(&web, along).await.unwrap();
    let mut sealed = 0;
    for table in fixture.tables().await {
        let rows = format!("{:?}", fixture.sql(&format!("SELECT * FROM {table}")).await);
        assert!(!rows.contains("needle-"), "a secret lies in clear in {table}");
        // As the tests' own sealer leaves them.
        sealed += rows.matches("-eldeen|").count();
    }
    assert_eq!(sealed, 3);
    if let Some(file) = fixture.dsn().file() {
        for entry in std::fs::read_dir(file.parent().unwrap()).unwrap() {
            let content = std::fs::read(entry.unwrap().path()).unwrap();
            let found = content.windows(7).any(|part| part == b"needle-");
            assert!(!found, "a secret lies in clear in the file");
        }
    }

    // A sealed text that was moved to another row doesn't open.
    fixture
        .sql("UPDATE group_trusts SET trust_id = (SELECT primary_fa_api_token FROM replication_policies)")
        .await;
    let error = store.group_trust(web.id(), sites.0).await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("can't be opened") && !error.contains("needle"),
        "{error}"
    );
}

async fn what_is_unreadable_is_said_and_not_guessed(fixture: &Fixture) {
    let store = fixture.migrated().await;
    let sites = two_sites(&store).await;
    let web = group(sites, "p1", "web");
    store.insert_group(&web, Along::default()).await.unwrap();
    store.ping().await.unwrap();
    fixture.sql("UPDATE protection_groups SET document = '{'").await;
    let error = store.group(web.id()).await.unwrap_err().to_string();
    assert!(error.contains(&web.id().to_string()), "{error}");
}

/// Names that differ in case, accents or blanks are different names, and what is listed by one isn't the other.
async fn text_is_told_apart_to_the_last_byte(fixture: &Fixture) {
    let store = fixture.migrated().await;
    let sites = two_sites(&store).await;
    let names = ["web", "Web", "wéb", "web ", "w\u{65}\u{301}b", "웹 🦀"];
    for name in names {
        let made = store
            .insert_group(&group(sites, "p1", name), Along::default())
            .await;
        made.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for name in names {
        let filter = protector_ports::store::GroupFilter {
            name: Some(name.to_owned()),
            ..Default::default()
        };
        let found = store.groups(&filter, &Default::default()).await.unwrap();
        let found: Vec<&str> = found.iter().map(|group| group.document.name.as_str()).collect();
        assert_eq!(found, [name]);
    }
}

async fn what_is_long_over_is_forgotten_and_nothing_else(fixture: &Fixture) {
    let store = fixture.migrated().await;
    let sites = two_sites(&store).await;
    let long_ago = now() - TimeDelta::days(40);
    let mut made = Vec::new();
    for name in ["over", "just-over", "running"] {
        let group = group(sites, "p1", name);
        let mut operation = operation(&group, "p1");
        operation.created_at = long_ago;
        let mut work = saga(group.id());
        work.id = SagaId(operation.id.0);
        let along = Along {
            operation: Some(&operation),
            saga: Some(work.clone()),
            ..Along::default()
        };
        store.insert_group(&group, along).await.unwrap();
        let claim = claim(&store, "e1", Duration::from_secs(60)).await.unwrap();
        // What it is about may be done while its work still has to end.
        operation.status = OperationStatus::Completed;
        operation.completed_at = Some(if name == "just-over" { now() } else { long_ago });
        store.update_operation(&operation, Some(&claim)).await.unwrap();
        if name != "running" {
            let ended = Event::Ended {
                outcome: SagaOutcome::Completed,
            };
            store.append(&claim, &[ended]).await.unwrap();
        }
        made.push((operation.id, work.id));
    }
    let over = made[0].1.to_string();
    fixture
        .sql(&format!(
            "UPDATE sagas SET ended_at = '{}' WHERE id = '{over}'",
            long_ago.format("%Y-%m-%dT%H:%M:%S%.6fZ")
        ))
        .await;
    fixture
        .sql("UPDATE sagas SET created_at = '2001-01-01T00:00:00.000000Z' WHERE state = 'live'")
        .await;
    let before = now() - TimeDelta::days(30);
    let one = Purged {
        operations: 1,
        journals: 1,
    };
    assert_eq!(store.ended_before(before).await.unwrap(), one);
    assert_eq!(store.purge(before).await.unwrap(), one);
    let none = Purged {
        operations: 0,
        journals: 0,
    };
    assert_eq!(store.purge(before).await.unwrap(), none);
    assert_eq!(store.operation(made[0].0).await.unwrap(), None);
    assert!(store.events(made[0].1).await.unwrap().is_empty());
    for (operation, work) in &made[1..] {
        assert!(store.operation(*operation).await.unwrap().is_some());
        assert!(!store.events(*work).await.unwrap().is_empty());
    }
    let live = store.live_sagas().await.unwrap();
    assert_eq!(live.iter().map(|saga| saga.id).collect::<Vec<_>>(), [made[2].1]);
}
