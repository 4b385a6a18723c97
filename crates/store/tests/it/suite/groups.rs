use std::sync::Arc;

use protector_domain::{Grave, Group, GroupStatus, PolicyId, ProjectId};
use protector_ports::store::{Along, GroupFilter, OperationFilter, Page};
use protector_ports::{Store, StoreError};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::samples::*;

pub async fn a_group_comes_back_as_it_was(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let mut web = group(sites, "p1", "web-🦀");
    store.insert_group(&web, Along::default()).await.unwrap();
    assert_eq!(store.group(web.id()).await.unwrap().as_ref(), Some(&web));

    web.set_status(GroupStatus::FailingOver, None).unwrap();
    web.document.members.push(member("cache"));
    web.document.members.swap(0, 2);
    web.document.policy = None;
    web.policy_status = None;
    web.document.touch(now());
    let written = store.update_group(&web, Along::default()).await.unwrap();
    assert_eq!(written.revision, web.revision + 1);
    web.revision += 1;
    assert_eq!(written, web);
    assert_eq!(store.group(web.id()).await.unwrap(), Some(web));

    let unknown = group(sites, "p1", "nothing");
    assert!(matches!(
        store.update_group(&unknown, Along::default()).await,
        Err(StoreError::Missing(_))
    ));
    assert_eq!(store.group(unknown.id()).await.unwrap(), None);
}

pub async fn names_are_taken_per_project(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let first = group(sites, "p1", "web");
    store.insert_group(&first, Along::default()).await.unwrap();
    let error = store
        .insert_group(&group(sites, "p1", "web"), Along::default())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "a protection group named 'web' exists already");
    // Case counts, and so does the project.
    store
        .insert_group(&group(sites, "p1", "Web"), Along::default())
        .await
        .unwrap();
    store
        .insert_group(&group(sites, "p2", "web"), Along::default())
        .await
        .unwrap();
    let mut other = group(sites, "p1", "db");
    store.insert_group(&other, Along::default()).await.unwrap();
    other.document.name = "web".to_owned();
    assert!(matches!(
        store.update_group(&other, Along::default()).await,
        Err(StoreError::Exists(_))
    ));
    let error = store.insert_group(&first, Along::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists(_)), "{error}");
}

pub async fn a_server_is_protected_once(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let first = group(sites, "p1", "web");
    store.insert_group(&first, Along::default()).await.unwrap();
    let mut second = group(sites, "p1", "db");
    second.document.members[0].instance_id = first.document.members[0].instance_id.clone();
    assert!(matches!(
        store.insert_group(&second, Along::default()).await,
        Err(StoreError::Exists(_))
    ));
    assert_eq!(
        store.group(second.id()).await.unwrap(),
        None,
        "nothing of it was written"
    );
    // A group that runs elsewhere names servers of another cloud.
    second.document.current_primary_site_id = sites.1;
    store.insert_group(&second, Along::default()).await.unwrap();
}

fn names(groups: &[Group]) -> Vec<&str> {
    groups.iter().map(|group| group.document.name.as_str()).collect()
}

pub async fn lists_are_filtered_sorted_and_cut(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let start = now();
    for (n, name) in ["delta", "alpha", "charlie", "bravo"].into_iter().enumerate() {
        let mut group = group(sites, if name == "bravo" { "p2" } else { "p1" }, name);
        group.created_at = start + chrono::TimeDelta::seconds(i64::try_from(n).unwrap());
        if name == "alpha" {
            group.status = GroupStatus::Error;
        }
        store.insert_group(&group, Along::default()).await.unwrap();
    }
    let all = GroupFilter::default();
    let newest = store.groups(&all, &Page::default()).await.unwrap();
    assert_eq!(names(&newest), ["bravo", "charlie", "alpha", "delta"]);
    let by_name = Page {
        sort_key: Some("name".to_owned()),
        ascending: true,
        ..Page::default()
    };
    assert_eq!(
        names(&store.groups(&all, &by_name).await.unwrap()),
        ["alpha", "bravo", "charlie", "delta"]
    );

    // Page by page nothing is missed and nothing comes twice, also where the sorted values are equal.
    for key in ["name", "created_at", "status", "replication_type"] {
        for ascending in [true, false] {
            let whole = Page {
                sort_key: Some(key.to_owned()),
                ascending,
                ..Page::default()
            };
            let whole_list = store.groups(&all, &whole).await.unwrap();
            let mut pages = Vec::new();
            let mut marker = None;
            loop {
                let page = Page {
                    limit: Some(1),
                    marker: marker.clone(),
                    ..whole.clone()
                };
                let Some(group) = store.groups(&all, &page).await.unwrap().pop() else {
                    break;
                };
                marker = Some(group.id().to_string());
                pages.push(group);
            }
            assert_eq!(pages, whole_list, "{key} {ascending}");
        }
    }

    let of = |filter: GroupFilter| {
        let store = store.clone();
        async move { names(&store.groups(&filter, &Page::default()).await.unwrap()).join(" ") }
    };
    assert_eq!(
        of(GroupFilter {
            project: Some(project("p2")),
            ..all.clone()
        })
        .await,
        "bravo"
    );
    assert_eq!(
        of(GroupFilter {
            name: Some("alpha".to_owned()),
            ..all.clone()
        })
        .await,
        "alpha"
    );
    assert_eq!(
        of(GroupFilter {
            status: Some("error".to_owned()),
            ..all.clone()
        })
        .await,
        "alpha"
    );
    assert_eq!(
        of(GroupFilter {
            name: Some("' OR 1=1 --".to_owned()),
            ..all.clone()
        })
        .await,
        ""
    );
    let bad = Page {
        sort_key: Some("name; DROP TABLE sites".to_owned()),
        ..Page::default()
    };
    assert!(matches!(
        store.groups(&all, &bad).await,
        Err(StoreError::Missing(_))
    ));
    let bad = Page {
        marker: Some("nowhere".to_owned()),
        ..Page::default()
    };
    assert!(matches!(
        store.groups(&all, &bad).await,
        Err(StoreError::Missing(_))
    ));
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

pub async fn secrets_belong_to_their_array_and_group(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let mut web = group(sites, "p1", "web");
    let along = Along {
        trusts: vec![(sites.0, secret("trust-1"))],
        array_tokens: vec![(sites.0, secret("token-a")), (sites.1, secret("token-b"))],
        ..Along::default()
    };
    store.insert_group(&web, along).await.unwrap();
    let id = web.id();
    let token = |site| {
        let store = store.clone();
        async move {
            store
                .array_token(id, site)
                .await
                .unwrap()
                .map(|token| token.expose_secret().to_owned())
        }
    };
    let trust = store.group_trust(web.id(), sites.0).await.unwrap().unwrap();
    assert_eq!(trust.expose_secret(), "trust-1");
    assert!(store.group_trust(web.id(), sites.1).await.unwrap().is_none());
    assert_eq!(
        (token(sites.0).await, token(sites.1).await),
        (Some("token-a".to_owned()), Some("token-b".to_owned()))
    );

    // An ordinary write keeps them; another address of the array drops its token only.
    web = store.update_group(&web, Along::default()).await.unwrap();
    assert_eq!(token(sites.0).await.as_deref(), Some("token-a"));
    web.document.policy.as_mut().unwrap().primary.url = "https://elsewhere.example".to_owned();
    web = store.update_group(&web, Along::default()).await.unwrap();
    assert_eq!(
        (token(sites.0).await, token(sites.1).await),
        (None, Some("token-b".to_owned()))
    );

    // Another policy has none of the old one's.
    web.document.policy.as_mut().unwrap().id = PolicyId(Uuid::new_v4());
    let along = Along {
        array_tokens: vec![(sites.0, secret("new"))],
        trusts: vec![(sites.0, secret("t2"))],
        ..Along::default()
    };
    web = store.update_group(&web, along).await.unwrap();
    assert_eq!(
        (token(sites.0).await.as_deref(), token(sites.1).await),
        (Some("new"), None)
    );
    assert_eq!(
        store
            .group_trust(web.id(), sites.0)
            .await
            .unwrap()
            .unwrap()
            .expose_secret(),
        "t2"
    );

    // A token without an array to use it on is a mistake, and takes the whole write with it.
    web.document.policy = None;
    let along = Along {
        array_tokens: vec![(sites.0, secret("lost"))],
        ..Along::default()
    };
    assert!(matches!(
        store.update_group(&web, along).await,
        Err(StoreError::Missing(_))
    ));
    assert_eq!(token(sites.0).await.as_deref(), Some("new"));
}

pub async fn a_deleted_group_leaves_a_grave(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let mut web = group(sites, "p1", "web");
    for version in [3, 4] {
        web.document.stamp.version = version;
        store.insert_group(&web, Along::default()).await.unwrap();
        store.delete_group(web.id(), Along::default()).await.unwrap();
        let grave = Grave {
            group_id: web.id(),
            project_id: ProjectId::new("p1").unwrap(),
            primary_site_id: web.document.current_primary_site_id,
            stamp: web.document.stamp,
        };
        assert_eq!(store.grave(web.id()).await.unwrap(), Some(grave));
    }
    let other = group(sites, "p1", "other");
    assert_eq!(store.grave(other.id()).await.unwrap(), None);
}

pub async fn a_deleted_group_leaves_its_operations(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let web = group(sites, "p1", "web");
    let failover = operation(&web, "p1");
    let work = saga(web.id());
    let along = Along {
        operation: Some(&failover),
        saga: Some(work.clone()),
        ..Along::default()
    };
    store.insert_group(&web, along).await.unwrap();
    let error = store.delete_group(web.id(), Along::default()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "another change of it is still running: planned_failover {}",
            work.id
        )
    );
    // The saga itself may remove it.
    let claim = claim(&*store, "e1", std::time::Duration::from_secs(30))
        .await
        .unwrap();
    store
        .delete_group(
            web.id(),
            Along {
                claim: Some(&claim),
                ..Along::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(store.group(web.id()).await.unwrap(), None);
    let filter = OperationFilter {
        group: Some(web.id()),
        ..OperationFilter::default()
    };
    assert_eq!(
        store.operations(&filter, &Page::default()).await.unwrap(),
        [failover]
    );
    assert!(matches!(
        store
            .delete_group(
                web.id(),
                Along {
                    claim: Some(&claim),
                    ..Along::default()
                }
            )
            .await,
        Err(StoreError::Missing(_))
    ));
}
