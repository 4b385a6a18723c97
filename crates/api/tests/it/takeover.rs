//! An unplanned failover begins on the site that survives, and asks nobody else.

use std::collections::BTreeMap;

use chrono::Utc;
use protector_domain::{
    FailoverOrder, Group, GroupStatus, Intent, IntentState, Member, MemberId, MemberStatus, OperationId,
    OperationKind, Outcome, ProjectId, ServerId, SiteId, SyncStatus, Work,
};
use protector_ports::Store;
use protector_ports::store::Along;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::groups::group_of;
use crate::sealed::{policy, token};
use crate::site::{Answer, Site};

/// The survivor, and the other site with a listener where its Keystone was.
struct Pair {
    site: Site,
    peer: SiteId,
    listener: TcpListener,
}

async fn pair() -> Pair {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (site, peer) = (Site::new().await, SiteId(Uuid::new_v4()));
    let address = listener.local_addr().unwrap();
    site.register_at(site.id, "site-b", "http://127.0.0.1:1/v3").await;
    // Registering looks at the address; that one call is taken off the queue.
    let auth_url = format!("http://{address}/v3");
    let (_, answered) = tokio::join!(site.register_at(peer, "site-a", &auth_url), async {
        drop(listener.accept().await)
    });
    let () = answered;
    Pair { site, peer, listener }
}

impl Pair {
    /// Nobody tried to reach the other site.
    async fn quiet(&self) {
        let moment = std::time::Duration::from_millis(50);
        let came = tokio::time::timeout(moment, self.listener.accept()).await;
        assert!(came.is_err(), "the other site was asked");
    }

    fn group(&self) -> Group {
        let mut group = group_of(self.peer, self.site.id, GroupStatus::Active, SyncStatus::Synced);
        let project = |text: &str| ProjectId::new(text).unwrap();
        group.document.projects = BTreeMap::from([(self.peer, project("q1")), (self.site.id, project("p1"))]);
        group.document.policy = Some(policy(self.peer, self.site.id));
        for name in ["web", "db"] {
            group.document.members.push(Member {
                id: MemberId(Uuid::new_v4()),
                instance_id: ServerId::new(format!("server-{name}-{}", Uuid::new_v4())).unwrap(),
                instance_name: name.into(),
                left: Default::default(),
                volumes: Vec::new(),
            });
        }
        group
    }

    async fn keep(&self, group: &Group) {
        let along = Along {
            trusts: vec![(self.site.id, token("trust"))],
            array_tokens: group
                .document
                .policy
                .iter()
                .map(|_| (self.site.id, token("t-b")))
                .collect(),
            ..Along::default()
        };
        self.site.store.insert_group(group, along).await.unwrap();
    }

    async fn act(&self, group: &Group) -> Answer {
        let path = format!("/v1/p1/protection-groups/{}/action", group.id());
        let body = json!({"failover": {"type": "unplanned", "mappings": {"networks": {"a": "c"}}}});
        self.site.post("tenant", &path, body).await
    }

    /// It is refused with these words, and nothing is changed.
    async fn refuses(&self, group: &Group, words: &str) -> String {
        let before = self.site.store.group(group.id()).await.unwrap();
        let message = self.act(group).await.fault("conflictingRequest", 409);
        assert!(message.contains(words), "{message}");
        assert_eq!(self.site.store.group(group.id()).await.unwrap(), before);
        message
    }

    async fn order(&self, group: &Group) -> FailoverOrder {
        let saga = self.site.store.live_saga(group.id()).await.unwrap().unwrap();
        match Work::from_parts(&saga.kind, saga.version, &saga.params).unwrap() {
            Work::UnplannedFailover(order) => order,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_survivor_begins_alone() {
    let pair = pair().await;
    for status in [
        GroupStatus::Active,
        GroupStatus::Error,
        GroupStatus::FailedOver,
        GroupStatus::FailedOverPartial,
    ] {
        let mut group = pair.group();
        group.status = status;
        group.document.mappings.networks =
            BTreeMap::from([("a".to_owned(), "b".to_owned()), ("x".to_owned(), "y".to_owned())]);
        group.document.open(Intent {
            operation_id: OperationId(Uuid::new_v4()),
            kind: OperationKind::Failover,
            reserved_epoch: 4,
            state: IntentState::Closed(Outcome::RolledBack),
            adopts: None,
        });
        pair.keep(&group).await;
        let shown = pair.act(&group).await.ok(202);
        let operation = &shown["operation"];
        assert_eq!(operation["operation_type"], "failover");
        assert_eq!(operation["status"], "pending");
        assert_eq!(operation["source_site_id"], pair.peer.to_string());
        assert_eq!(operation["target_site_id"], pair.site.id.to_string());

        let stored = pair.site.store.group(group.id()).await.unwrap().unwrap();
        assert_eq!(stored.status, GroupStatus::FailingOver);
        assert_eq!(stored.document, group.document);
        let order = pair.order(&group).await;
        assert_eq!(order.operation.to_string(), operation["id"].as_str().unwrap());
        assert_eq!((order.source, order.target), (pair.peer, pair.site.id));
        assert_eq!(order.members, group.document.members);
        assert_eq!(order.epoch, 6);
        assert_eq!(order.array_group, "pg");
        assert_eq!(order.replication_interval_seconds, 600);
        assert_eq!(order.mappings.networks["a"], "c");
        assert_eq!(order.mappings.networks["x"], "y");
        let log = pair.site.store.sync_log(group.id(), None, 5).await.unwrap();
        assert_eq!(
            log[0].message,
            format!("unplanned failover {} begun", order.operation)
        );

        let message = pair.refuses(&group, "is not over yet").await;
        assert!(message.contains(&order.operation.to_string()), "{message}");
    }
    pair.quiet().await;
}

#[tokio::test]
async fn what_failed_is_repeated_in_the_same_epoch() {
    let pair = pair().await;
    let mut group = pair.group();
    group.status = GroupStatus::FailedOverPartial;
    group.document.current_primary_site_id = pair.site.id;
    group.document.stamp.epoch = 2;
    let [web, db] = [0, 1].map(|index| group.document.members[index].id);
    group.set_member(web, MemberStatus::Protected, None, Utc::now());
    group.set_member(db, MemberStatus::Protected, None, Utc::now());
    pair.keep(&group).await;
    pair.refuses(&group, "No member of protection group").await;

    let mut group = pair.site.store.group(group.id()).await.unwrap().unwrap();
    group.set_member(db, MemberStatus::Error, Some("no room".into()), Utc::now());
    pair.site
        .store
        .update_group(&group, Along::default())
        .await
        .unwrap();
    pair.act(&group).await.ok(202);
    let order = pair.order(&group).await;
    assert_eq!(order.members, [group.document.members[1].clone()]);
    assert_eq!(order.epoch, 2);
    pair.quiet().await;
}

#[tokio::test]
async fn what_can_not_be_taken_over_is_refused_with_the_reason() {
    let pair = pair().await;

    let mut group = pair.group();
    group.document.current_primary_site_id = pair.site.id;
    pair.keep(&group).await;
    pair.refuses(&group, "runs on this site ('site-b'").await;

    let mut group = pair.group();
    group.document.members.clear();
    pair.keep(&group).await;
    pair.refuses(&group, "has no members").await;

    let mut group = pair.group();
    group.document.policy = None;
    pair.keep(&group).await;
    pair.refuses(&group, "no replication policy").await;

    let group = pair.group();
    pair.site
        .store
        .insert_group(&group, Along::default())
        .await
        .unwrap();
    pair.refuses(&group, "doesn't hold the token of its own array")
        .await;

    for status in [
        GroupStatus::Creating,
        GroupStatus::Deleting,
        GroupStatus::FailingBack,
    ] {
        let mut group = pair.group();
        group.status = status;
        pair.keep(&group).await;
        pair.refuses(&group, "wait until that is over").await;
    }

    let rows = pair.site.get("tenant", "/v1/p1/operations").await.ok(200);
    assert_eq!(rows, json!({"operations": []}));
    pair.quiet().await;
}

/// The other site was moving the group here when it was lost.
#[tokio::test]
async fn an_announced_operation_is_carried_on() {
    let pair = pair().await;
    let mut group = pair.group();
    let announced = OperationId(Uuid::new_v4());
    group.status = GroupStatus::FailingOver;
    group.document.open(Intent {
        operation_id: announced,
        kind: OperationKind::Failover,
        reserved_epoch: 2,
        state: IntentState::Open,
        adopts: None,
    });
    pair.keep(&group).await;
    pair.act(&group).await.ok(202);
    let order = pair.order(&group).await;
    assert_eq!((order.adopts, order.epoch), (Some(announced), 4));
    assert_eq!(order.maker(), announced);
    // Once.
    let message = pair.act(&group).await.fault("conflictingRequest", 409);
    assert!(message.contains(&order.operation.to_string()), "{message}");
    pair.quiet().await;
}

#[tokio::test]
async fn only_the_owner_takes_a_group_over() {
    let pair = pair().await;
    let group = pair.group();
    pair.keep(&group).await;
    let path = format!("/v1/p2/protection-groups/{}/action", group.id());
    let body = json!({"failover": {"type": "unplanned"}});
    pair.site
        .post("stranger", &path, body)
        .await
        .fault("itemNotFound", 404);
    // A planned one still needs the other site's word.
    let path = format!("/v1/p1/protection-groups/{}/action", group.id());
    let planned: Value = json!({"failover": {"type": "planned"}});
    let message = pair
        .site
        .post("tenant", &path, planned)
        .await
        .fault("badRequest", 400);
    assert!(message.contains("X-Protector-Statement"), "{message}");
}
