//! What is SQLite's own: the file, its schema, what lies in it.

use std::path::Path;
use std::sync::Arc;

use protector_domain::SiteId;
use protector_ports::cloud::Credentials;
use protector_ports::store::Along;
use protector_ports::{SealError, Sealer, Store, StoreError};
use protector_store::{NewIdentity, OpenError, SqliteStore, migrate, schema_version, sqlite_dsn};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, Row, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::suite::samples::*;
use crate::suite::suite;

/// Not a cipher, but no clear text either, and bound to its place.
struct Backwards;

impl Sealer for Backwards {
    fn seal(&self, plain: &SecretString, aad: &str) -> Result<String, SealError> {
        Ok(format!(
            "{}|{aad}",
            plain.expose_secret().chars().rev().collect::<String>()
        ))
    }

    fn open(&self, sealed: &str, aad: &str) -> Result<SecretString, SealError> {
        match sealed.rsplit_once('|') {
            Some((text, place)) if place == aad => Ok(text.chars().rev().collect::<String>().into()),
            _ => Err(SealError("it was sealed for another place".to_owned())),
        }
    }
}

async fn open(file: &Path) -> SqliteStore {
    SqliteStore::connect(&sqlite_dsn(file), Arc::new(Backwards))
        .await
        .unwrap()
}

async fn raw(file: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_passes_the_suite() {
    let directory = TempDir::new().unwrap();
    suite(|| async {
        let file = directory.path().join(format!("{}.db", Uuid::new_v4()));
        migrate(&sqlite_dsn(&file), &NewIdentity::default())
            .await
            .unwrap();
        Arc::new(open(&file).await) as Arc<dyn Store>
    })
    .await;
}

/// The API and the engine share the file: neither loses a write, neither is told that the database is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_write_the_same_file() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("protector.db");
    migrate(&sqlite_dsn(&file), &NewIdentity::default())
        .await
        .unwrap();
    let (api, engine) = (Arc::new(open(&file).await), Arc::new(open(&file).await));
    let sites = two_sites(&*api).await;
    let web = group(sites, "p1", "web");
    api.insert_group(
        &web,
        Along {
            saga: Some(saga(web.id())),
            ..Along::default()
        },
    )
    .await
    .unwrap();
    let claim = claim(&*engine, "e1", std::time::Duration::from_secs(60))
        .await
        .unwrap();
    let writes = async |store: Arc<SqliteStore>, claim: Option<&protector_saga::Claim>| {
        let mut written = 0;
        while written < 25 {
            let group = store.group(web.id()).await.unwrap().unwrap();
            match store
                .update_group(
                    &group,
                    Along {
                        claim,
                        ..Along::default()
                    },
                )
                .await
            {
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

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("protector.db");
    let dsn = sqlite_dsn(&file);
    assert_eq!(schema_version(&dsn).await.unwrap(), None);
    let first = migrate(&dsn, &NewIdentity::default()).await.unwrap();
    assert_eq!((first.from, first.to.as_str()), (None, "0002"));
    let key = NewIdentity {
        public_key: Some("a2V5".to_owned()),
        ..NewIdentity::default()
    };
    let second = migrate(&dsn, &key).await.unwrap();
    assert_eq!(
        (second.from.as_deref(), second.site_id),
        (Some("0002"), first.site_id)
    );
    let other = NewIdentity {
        public_key: Some("b3RoZXI=".to_owned()),
        ..NewIdentity::default()
    };
    migrate(&dsn, &other).await.unwrap();
    let store = open(&file).await;
    assert_eq!(store.local_site_id().await.unwrap(), first.site_id);
    assert_eq!(
        store.public_key().await.unwrap().as_deref(),
        Some("a2V5"),
        "an identity is for ever"
    );
    assert_eq!(schema_version(&dsn).await.unwrap().as_deref(), Some("0002"));

    let thief = NewIdentity {
        id: Some(SiteId(Uuid::new_v4())),
        ..NewIdentity::default()
    };
    assert!(matches!(
        migrate(&dsn, &thief).await,
        Err(OpenError::OtherSite { .. })
    ));
    let chosen = SiteId(Uuid::new_v4());
    let dsn = sqlite_dsn(&directory.path().join("other.db"));
    let made = migrate(
        &dsn,
        &NewIdentity {
            id: Some(chosen),
            ..NewIdentity::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(made.site_id, chosen);
}

/// The statements may be run again over what is there: a migration that broke off is repeated.
#[tokio::test]
async fn every_migration_can_be_repeated() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("protector.db");
    let dsn = sqlite_dsn(&file);
    let first = migrate(&dsn, &NewIdentity::default()).await.unwrap();
    let mut connection = raw(&file).await;
    sqlx::query("DELETE FROM alembic_version")
        .execute(&mut connection)
        .await
        .unwrap();
    let again = migrate(&dsn, &NewIdentity::default()).await.unwrap();
    assert_eq!((again.from, again.site_id), (None, first.site_id));
}

#[tokio::test]
async fn two_processes_may_migrate_at_once() {
    let directory = TempDir::new().unwrap();
    let dsn = sqlite_dsn(&directory.path().join("protector.db"));
    let identity = NewIdentity::default();
    let (one, two) = tokio::join!(migrate(&dsn, &identity), migrate(&dsn, &identity));
    assert_eq!(one.unwrap().site_id, two.unwrap().site_id);
}

async fn refusal(dsn: &str) -> String {
    match SqliteStore::connect(dsn, Arc::new(Backwards)).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_schema_of_another_release_is_refused_with_the_remedy() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("protector.db");
    let dsn = sqlite_dsn(&file);
    let said = refusal(&dsn).await;
    assert!(
        said.contains(&*file.to_string_lossy()) && said.contains("protector-manage db sync"),
        "{said}"
    );
    assert!(!file.exists(), "looking makes no file");

    migrate(&dsn, &NewIdentity::default()).await.unwrap();
    let mut connection = raw(&file).await;
    sqlx::query("UPDATE alembic_version SET version_num = '0001'")
        .execute(&mut connection)
        .await
        .unwrap();
    let said = refusal(&dsn).await;
    assert!(
        said.contains("has schema 0001, this release needs 0002: run protector-manage db sync"),
        "{said}"
    );
    sqlx::query("UPDATE alembic_version SET version_num = '9999'")
        .execute(&mut connection)
        .await
        .unwrap();
    let said = refusal(&dsn).await;
    assert!(
        said.contains("has schema 9999, this release knows up to 0002"),
        "{said}"
    );
    assert!(matches!(
        migrate(&dsn, &NewIdentity::default()).await,
        Err(OpenError::Newer { .. })
    ));

    let unreachable = refusal("sqlite:////nowhere/at/all/protector.db").await;
    assert!(
        unreachable.contains("/nowhere/at/all/protector.db"),
        "{unreachable}"
    );
    std::fs::write(
        directory.path().join("text.db"),
        "this is no database, and long enough to be looked at".repeat(50),
    )
    .unwrap();
    let said = refusal(&sqlite_dsn(&directory.path().join("text.db"))).await;
    assert!(said.contains("text.db can't be opened"), "{said}");
}

#[tokio::test]
async fn the_documented_tables_hold_what_the_group_says() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("protector.db");
    migrate(&sqlite_dsn(&file), &NewIdentity::default())
        .await
        .unwrap();
    let store = open(&file).await;
    let sites = two_sites(&store).await;
    let web = group(sites, "p1", "web");
    store.insert_group(&web, Along::default()).await.unwrap();
    let mut connection = raw(&file).await;

    let tables = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table'")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let tables: Vec<String> = tables.iter().map(|row| row.get("name")).collect();
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
    let count = async |connection: &mut SqliteConnection, table: &str| -> i64 {
        let query = format!("SELECT count(*) AS n FROM {table}");
        sqlx::query(sqlx::AssertSqlSafe(query))
            .fetch_one(connection)
            .await
            .unwrap()
            .get("n")
    };
    let members = sqlx::query("SELECT * FROM pg_members ORDER BY position")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(members[0].get::<String, _>("instance_name"), "web-🦀");
    assert_eq!(members[0].get::<String, _>("error_message"), "no such volume");
    assert_eq!(members[0].get::<i64, _>("volume_count"), 2);
    assert_eq!(count(&mut connection, "cg_volumes").await, 4);
    let cg = sqlx::query("SELECT * FROM consistency_groups")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(
        (
            cg.get::<String, _>("primary_cg_id"),
            cg.get::<i64, _>("volume_count")
        ),
        ("cg-here".to_owned(), 4)
    );
    let policy = sqlx::query("SELECT * FROM replication_policies")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(
        (
            policy.get::<String, _>("pure_pg_name"),
            policy.get::<i64, _>("replication_interval")
        ),
        ("pg-web".to_owned(), 300)
    );

    let mut smaller = web.clone();
    smaller.document.members.truncate(1);
    smaller.document.policy = None;
    store.update_group(&smaller, Along::default()).await.unwrap();
    assert_eq!(
        (
            count(&mut connection, "pg_members").await,
            count(&mut connection, "cg_volumes").await
        ),
        (1, 2)
    );
    assert_eq!(count(&mut connection, "replication_policies").await, 0);
    store.delete_group(web.id(), Along::default()).await.unwrap();
    for table in [
        "protection_groups",
        "pg_members",
        "cg_volumes",
        "consistency_groups",
        "group_trusts",
    ] {
        assert_eq!(count(&mut connection, table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn no_secret_lies_in_the_file_in_clear() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("protector.db");
    migrate(&sqlite_dsn(&file), &NewIdentity::default())
        .await
        .unwrap();
    let store = open(&file).await;
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
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(
            !content.windows(7).any(|part| part == b"needle-"),
            "a secret lies in clear"
        );
    }

    // A sealed text that was moved to another row doesn't open.
    let mut connection = raw(&file).await;
    sqlx::query("UPDATE group_trusts SET trust_id = (SELECT primary_fa_api_token FROM replication_policies)")
        .execute(&mut connection)
        .await
        .unwrap();
    let error = store
        .group_trust(web.id(), sites.0)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("can't be opened") && !error.contains("needle"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_unreadable_is_said_and_not_guessed() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("protector.db");
    migrate(&sqlite_dsn(&file), &NewIdentity::default())
        .await
        .unwrap();
    let store = open(&file).await;
    let sites = two_sites(&store).await;
    let web = group(sites, "p1", "web");
    store.insert_group(&web, Along::default()).await.unwrap();
    store.ping().await.unwrap();
    let mut connection = raw(&file).await;
    sqlx::query("UPDATE protection_groups SET document = '{'")
        .execute(&mut connection)
        .await
        .unwrap();
    let error = store.group(web.id()).await.unwrap_err().to_string();
    assert!(error.contains(&web.id().to_string()), "{error}");
}
