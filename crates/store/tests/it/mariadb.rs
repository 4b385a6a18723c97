//! What MariaDB alone can do to a store: lock out, deadlock, go away, refuse.

use std::time::Duration;

use protector_ports::store::Along;
use protector_ports::{Store, StoreError};
use protector_saga::{Event, Journal, JournalError};
use protector_store::{Dsn, SqlStore};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, MySqlConnection};

use crate::fixture::{Fixture, sealer};
use crate::suite::samples::*;

/// A stranger's connection to the same database, in a transaction.
async fn stranger(fixture: &Fixture) -> MySqlConnection {
    let Fixture::MariaDb { server, database } = fixture else {
        panic!("not MariaDB")
    };
    let dsn = server.client().dsn(database).replace("mysql+pymysql", "mysql");
    let options: MySqlConnectOptions = dsn.parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    connection.execute("START TRANSACTION").await.unwrap();
    connection
}

/// Until a change of a group has been waiting for its row for a while.
async fn somebody_waits(fixture: &Fixture) {
    let waiting = "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() \
                   AND info LIKE 'UPDATE protection_groups%' AND time_ms > 100";
    while fixture.value(waiting).await == "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_is_survived() {
    let fixture = Fixture::mariadb();
    let store = fixture.migrated().await;
    let sites = two_sites(&store).await;
    let web = group(sites, "p1", "web");
    store.insert_group(&web, Along::default()).await.unwrap();
    let mut stranger = stranger(&fixture).await;
    // It has changed more than the store, so the server sacrifices the store's transaction.
    stranger
        .execute("UPDATE sites SET description = 'changed'")
        .await
        .unwrap();
    let lock = format!(
        "SELECT 1 FROM protection_groups WHERE id = '{}' FOR UPDATE",
        web.id()
    );
    stranger.execute(AssertSqlSafe(lock)).await.unwrap();
    let write = store.update_group(&web, Along::default());
    let cross = async {
        somebody_waits(&fixture).await;
        stranger
            .execute("SELECT 1 FROM site_identity FOR UPDATE")
            .await
            .unwrap();
        stranger.execute("COMMIT").await.unwrap();
    };
    let (written, ()) = tokio::join!(write, cross);
    assert_eq!(written.unwrap().revision, web.revision + 1);
    let deadlocks = fixture.value("SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'INNODB_DEADLOCKS'").await;
    assert_ne!(deadlocks, "0", "there was one");
}

/// The owner looks at his claim while another engine's takeover isn't committed yet: he has to wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_under_way_fences_the_old_owner() {
    let fixture = Fixture::mariadb();
    let store = fixture.migrated().await;
    let sites = two_sites(&store).await;
    let web = group(sites, "p1", "web");
    let work = saga(web.id());
    let along = Along {
        saga: Some(work.clone()),
        ..Along::default()
    };
    store.insert_group(&web, along).await.unwrap();
    let old = claim(&store, "e1", Duration::from_secs(60)).await.unwrap();
    let mut stranger = stranger(&fixture).await;
    let takeover = format!(
        "UPDATE sagas SET owner = 'e2', fence = 2 WHERE id = '{}'",
        work.id
    );
    stranger.execute(AssertSqlSafe(takeover)).await.unwrap();
    let claims = store
        .claim(&engine("e3"), Duration::from_secs(60), 9)
        .await
        .unwrap();
    assert!(claims.is_empty(), "what is locked is passed by");
    let events = [Event::Paused];
    let commit = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stranger.execute("COMMIT").await.unwrap();
    };
    let (written, ()) = tokio::join!(store.append(&old, &events), commit);
    assert!(matches!(written, Err(JournalError::Fenced(_))), "{written:?}");
    assert_eq!(store.events(work.id).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_for_long_is_waited_for() {
    let fixture = Fixture::mariadb();
    let store = fixture.migrated().await;
    let sites = two_sites(&store).await;
    let web = group(sites, "p1", "web");
    store.insert_group(&web, Along::default()).await.unwrap();
    let mut stranger = stranger(&fixture).await;
    let lock = format!(
        "SELECT 1 FROM protection_groups WHERE id = '{}' FOR UPDATE",
        web.id()
    );
    stranger.execute(AssertSqlSafe(lock)).await.unwrap();
    let release = async {
        // Longer than a session waits for a lock.
        tokio::time::sleep(Duration::from_secs(5)).await;
        stranger.execute("ROLLBACK").await.unwrap();
    };
    let (written, ()) = tokio::join!(store.update_group(&web, Along::default()), release);
    assert_eq!(written.unwrap().revision, web.revision + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_is_found_again() {
    let directory = tempfile::TempDir::new().unwrap();
    let mut server = protector_mariadbd::Server::start(directory.path()).unwrap();
    let dsn = Dsn::parse(&server.client().create("protector").unwrap()).unwrap();
    protector_store::migrate(&dsn, &protector_store::NewIdentity::default())
        .await
        .unwrap();
    let store = SqlStore::connect(&dsn, sealer()).await.unwrap();
    let sites = two_sites(&store).await;
    let web = group(sites, "p1", "web");
    store.insert_group(&web, Along::default()).await.unwrap();
    server.kill().unwrap();
    for _ in 0..3 {
        let error = store.group(web.id()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        let error = store.update_group(&web, Along::default()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    }
    let why = std::error::Error::source(&store.ping().await.unwrap_err())
        .unwrap()
        .to_string();
    assert!(why.contains("'protector' on host '127.0.0.1:"), "{why}");
    server.start_again().unwrap();
    assert_eq!(
        store.group(web.id()).await.unwrap().unwrap().revision,
        web.revision
    );
    store.update_group(&web, Along::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_door_is_named_at_once_and_its_key_never() {
    let fixture = Fixture::mariadb();
    let Fixture::MariaDb { server, database } = &fixture else {
        panic!("not MariaDB")
    };
    let dsn = server.client().dsn(database);
    let port = server.client().port.to_string();
    for (wrong, host) in [
        (dsn.replace("%40im", "%40wrong"), "127.0.0.1"),
        (dsn.replace("protector:", "nobody:"), "127.0.0.1"),
        (dsn.replace(&port, "9"), "127.0.0.1:9"),
        (
            dsn.replace("127.0.0.1", "no-such-host.invalid"),
            "no-such-host.invalid",
        ),
        (dsn.replace(&**database, "protector_nowhere"), "protector_nowhere"),
    ] {
        assert_ne!(wrong, dsn);
        let dsn = Dsn::parse(&wrong).unwrap();
        let error = SqlStore::connect(&dsn, sealer()).await.err().unwrap();
        let mut said = format!("{error} {error:?}");
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            said = format!("{said}: {inner}");
            cause = inner.source();
        }
        assert!(said.contains("protector_") && said.contains(host), "{said}");
        for secret in ["he@im", "he%40", "wrong"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}
