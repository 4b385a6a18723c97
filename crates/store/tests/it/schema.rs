//! Schemas: made, upgraded, repeated, refused.

use protector_domain::SiteId;
use protector_ports::Store;
use protector_store::{NewIdentity, OpenError, SqlStore, migrate, schema_version};
use uuid::Uuid;

use crate::fixture::{Fixture, on_both, sealer};

on_both! {
    migrating_twice_changes_nothing,
    an_identity_is_given_once,
    an_older_schema_becomes_what_a_new_one_is,
    a_migration_that_broke_off_is_repeated,
    two_processes_may_migrate_at_once,
    a_schema_of_another_release_is_refused_with_the_remedy,
}

const NOBODY: NewIdentity = NewIdentity {
    id: None,
    public_key: None,
};

fn with_key(key: &str) -> NewIdentity {
    NewIdentity {
        public_key: Some(key.to_owned()),
        ..NOBODY
    }
}

async fn migrating_twice_changes_nothing(fixture: &Fixture) {
    let dsn = fixture.dsn();
    assert_eq!(schema_version(&dsn).await.unwrap(), None);
    let first = migrate(&dsn, &NOBODY).await.unwrap();
    assert_eq!((first.from, first.to.as_str()), (None, "0005"));
    let shape = fixture.shape().await;
    let second = migrate(&dsn, &NOBODY).await.unwrap();
    assert_eq!(
        (second.from.as_deref(), second.site_id),
        (Some("0005"), first.site_id)
    );
    assert_eq!(fixture.shape().await, shape);
    assert_eq!(schema_version(&dsn).await.unwrap().as_deref(), Some("0005"));
}

async fn an_identity_is_given_once(fixture: &Fixture) {
    let dsn = fixture.dsn();
    let first = migrate(&dsn, &NOBODY).await.unwrap();
    for key in ["a2V5", "b3RoZXI="] {
        migrate(&dsn, &with_key(key)).await.unwrap();
    }
    let store = fixture.open().await;
    assert_eq!(store.local_site_id().await.unwrap(), first.site_id);
    assert_eq!(store.public_key().await.unwrap().as_deref(), Some("a2V5"));
    let chosen = NewIdentity {
        id: Some(SiteId(Uuid::new_v4())),
        ..NOBODY
    };
    assert!(matches!(
        migrate(&dsn, &chosen).await,
        Err(OpenError::OtherSite { .. })
    ));
    let other = fixture.another();
    let made = migrate(&other.dsn(), &chosen).await.unwrap();
    assert_eq!(Some(made.site_id), chosen.id);
}

/// As the first release left it: without what later ones added.
async fn an_older_schema_becomes_what_a_new_one_is(fixture: &Fixture) {
    let dsn = fixture.dsn();
    migrate(&dsn, &NOBODY).await.unwrap();
    let shape = fixture.shape().await;
    fixture.sql("DROP TABLE group_facts").await;
    fixture
        .sql("UPDATE alembic_version SET version_num = '0001'")
        .await;
    let upgraded = migrate(&dsn, &NOBODY).await.unwrap();
    assert_eq!(upgraded.from.as_deref(), Some("0001"));
    assert_eq!(fixture.shape().await, shape);
}

/// Wherever it broke off: each table in its turn is the first that is missing.
async fn a_migration_that_broke_off_is_repeated(fixture: &Fixture) {
    let dsn = fixture.dsn();
    let first = migrate(&dsn, &NOBODY).await.unwrap();
    let shape = fixture.shape().await;
    let dependents = [
        vec!["alembic_version"],
        vec!["group_facts"],
        vec!["saga_events"],
        vec!["saga_events", "sagas"],
        vec![
            "group_facts",
            "group_trusts",
            "replication_policies",
            "cg_volumes",
            "pg_members",
        ],
    ];
    for missing in dependents {
        for table in &missing {
            fixture.sql(&format!("DROP TABLE {table}")).await;
        }
        if missing != ["alembic_version"] {
            fixture.sql("DELETE FROM alembic_version").await;
        }
        let again = migrate(&dsn, &NOBODY).await.unwrap();
        assert_eq!((again.from, again.site_id), (None, first.site_id), "{missing:?}");
        let found = fixture.shape().await;
        assert_eq!(found, shape, "{missing:?}");
    }
}

async fn two_processes_may_migrate_at_once(fixture: &Fixture) {
    let dsn = fixture.dsn();
    let (one, two, three) = tokio::join!(
        migrate(&dsn, &NOBODY),
        migrate(&dsn, &NOBODY),
        migrate(&dsn, &NOBODY)
    );
    let site = one.unwrap().site_id;
    assert_eq!([two.unwrap().site_id, three.unwrap().site_id], [site, site]);
}

async fn refusal(fixture: &Fixture) -> String {
    match SqlStore::connect(&fixture.dsn(), sealer()).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

async fn a_schema_of_another_release_is_refused_with_the_remedy(fixture: &Fixture) {
    let said = refusal(fixture).await;
    assert!(
        said.contains(&fixture.name()) && said.contains("protector-manage db sync"),
        "{said}"
    );
    if let Some(file) = fixture.dsn().file() {
        assert!(!file.exists(), "looking makes no file");
    }
    migrate(&fixture.dsn(), &NOBODY).await.unwrap();
    fixture
        .sql("UPDATE alembic_version SET version_num = '0001'")
        .await;
    let said = refusal(fixture).await;
    assert!(
        said.contains("has schema 0001, this release needs 0005: run protector-manage db sync"),
        "{said}"
    );
    fixture
        .sql("UPDATE alembic_version SET version_num = '9999'")
        .await;
    let said = refusal(fixture).await;
    assert!(
        said.contains("has schema 9999, this release knows up to 0005"),
        "{said}"
    );
    assert!(matches!(
        migrate(&fixture.dsn(), &NOBODY).await,
        Err(OpenError::Newer { .. })
    ));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let directory = tempfile::TempDir::new().unwrap();
    let text = directory.path().join("text.db");
    std::fs::write(
        &text,
        "this is no database, and long enough to be looked at".repeat(50),
    )
    .unwrap();
    for file in [
        text.as_path(),
        std::path::Path::new("/nowhere/at/all/protector.db"),
    ] {
        let dsn = protector_store::sqlite_dsn(file);
        let error = SqlStore::connect(&dsn, sealer()).await.err().unwrap().to_string();
        assert!(error.contains(&*file.to_string_lossy()), "{error}");
    }
}
