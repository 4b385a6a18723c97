//! What clients carry, damaged or made up in tens of thousands of ways: it never stops a program, and it counts only where
//! it says what the site said.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use http::{Request, StatusCode};
use protector_domain::{
    Bundle, Checksum, Group, GroupStatus, Member, MemberId, MemberVolume, OperationId, OperationKind,
    Receipt, ServerId, Signed, SiteId, Stamp, Statement, SyncStatus, Tombstone, VolumeId, protocol,
};
use protector_ports::Store;
use protector_ports::store::Along;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::groups::{group_at, group_of};
use crate::mutation::Mutator;
use crate::sealed::{policy, two_sites};
use crate::site::{Site, said_by};

/// A group of the other site with something of everything in its document.
fn rich(here: SiteId, peer: SiteId) -> Group {
    let mut group = group_of(here, peer, GroupStatus::Active, SyncStatus::Synced);
    let document = &mut group.document;
    document.current_primary_site_id = peer;
    document.description = "größer \"quoted\" \\ \u{1f600}".to_owned();
    document.policy = Some(policy(peer, here));
    document
        .mappings
        .networks
        .insert("front".into(), "front-dr".into());
    document.members.push(Member {
        id: MemberId(Uuid::from_u128(1)),
        instance_id: ServerId::new("11111111-1111-1111-1111-111111111111").unwrap(),
        instance_name: "web".into(),
        left: std::collections::BTreeMap::new(),
        volumes: vec![MemberVolume {
            volume_id: VolumeId::new("22222222-2222-2222-2222-222222222222").unwrap(),
            array_name: "volume-2".into(),
            device: "/dev/vda".into(),
            boot: true,
            size_gb: 10,
        }],
    });
    protocol::announce(
        &mut group,
        OperationId(Uuid::from_u128(2)),
        OperationKind::Failover,
        2,
        Utc::now(),
    );
    group.document.close(
        OperationId(Uuid::from_u128(2)),
        protector_domain::Outcome::RolledBack,
    );
    group
}

fn statement(group: &Group, by: SiteId, nonce: &str) -> Statement {
    let said = protocol::state(group.id(), Some(group), nonce.to_owned(), by, Utc::now());
    said_by("site-a", said)
}

fn receipt(group: &Group, by: SiteId) -> Receipt {
    said_by(
        "site-a",
        Receipt {
            group_id: group.id(),
            site_id: by,
            stamp: group.document.stamp,
            checksum: Checksum::of(&serde_json::to_value(&group.document).unwrap()),
            trust_id: Some("trust".into()),
            received_at: Utc::now(),
            signature: None,
        },
    )
}

fn tombstone(group: &Group, by: SiteId) -> Tombstone {
    let stamp = group.document.stamp.modified();
    said_by(
        "site-a",
        Tombstone {
            group_id: group.id(),
            stamp,
            origin_site_id: by,
            signature: None,
        },
    )
}

fn bundle(group: &Group, by: SiteId) -> Bundle {
    let mut bundle = Bundle::pack(
        &group.document,
        by,
        json!({"backend_name": "pool@x", "policy_status": null}),
    )
    .unwrap();
    bundle.sealed = Some("sealed".into());
    said_by("site-a", bundle)
}

/// Reads so many mutations of it. One that can be read and whose signature fits says what was said.
fn read_mutations<T: Signed + DeserializeOwned + PartialEq + std::fmt::Debug>(
    said: &T,
    cases: u64,
    whole: fn(&T) -> bool,
) {
    let text = serde_json::to_vec(said).unwrap();
    let mut read = 0;
    for seed in 0..cases {
        let bytes = Mutator::of(seed).mutated(&text);
        let Ok(found) = serde_json::from_slice::<T>(&bytes) else {
            continue;
        };
        read += 1;
        let fits = found.words().unwrap() == said.words().unwrap() && found.signature() == said.signature();
        if fits && whole(&found) {
            assert_eq!(found, *said, "seed {seed}: {}", String::from_utf8_lossy(&bytes));
        }
    }
    // Or nothing would have been tried but the parser.
    assert!(read > cases / 50, "{read} of {cases} could be read");
}

#[test]
fn a_signature_fits_nothing_but_what_was_said() {
    let (here, peer) = (SiteId(Uuid::from_u128(10)), SiteId(Uuid::from_u128(11)));
    let group = rich(here, peer);
    read_mutations(&bundle(&group, peer), 12_000, |bundle| bundle.open().is_ok());
    read_mutations(&statement(&group, peer, "nonce"), 6_000, |_| true);
    read_mutations(&receipt(&group, peer), 6_000, |_| true);
    read_mutations(&tombstone(&group, peer), 6_000, |_| true);
}

/// A document that was changed doesn't open, whatever its head says.
#[test]
fn a_changed_document_fits_no_checksum_but_its_own() {
    let (here, peer) = (SiteId(Uuid::from_u128(10)), SiteId(Uuid::from_u128(11)));
    let said = bundle(&rich(here, peer), peer);
    let text = serde_json::to_vec(&said.document).unwrap();
    for seed in 0..10_000 {
        let bytes = Mutator::of(seed).mutated(&text);
        let Ok(document) = serde_json::from_slice::<Value>(&bytes) else {
            continue;
        };
        let changed = Bundle {
            document,
            ..said.clone()
        };
        assert!(
            changed.open().is_err() || changed.document == said.document,
            "seed {seed}: {}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

/// Where a paper goes, and how it is brought there.
struct Way<'a> {
    site: &'a Site,
    method: &'a str,
    path: String,
    /// The header that carries it, where the body doesn't.
    header: Option<&'a str>,
    body: Vec<u8>,
}

impl Way<'_> {
    async fn bring(&self, bytes: &[u8]) -> (StatusCode, String) {
        let mut request = Request::builder()
            .method(self.method)
            .uri(&self.path)
            .header("host", "api:8788")
            .header("x-auth-token", "tenant")
            .header("content-type", "application/json");
        let body = match self.header {
            Some(header) => {
                request = request.header(header, STANDARD.encode(bytes));
                self.body.clone()
            }
            None => bytes.to_vec(),
        };
        let answer = self.site.send(request.body(body.into()).unwrap()).await;
        (answer.status, answer.body.to_string())
    }
}

/// Brings so many mutations of a paper; those that aren't refused say what it says.
async fn bring_mutations(way: &Way<'_>, text: &[u8], cases: u64, same: impl Fn(&[u8]) -> bool) -> u64 {
    let mut taken = 0;
    for seed in 0..cases {
        let bytes = Mutator::of(seed).mutated(text);
        let (status, answer) = way.bring(&bytes).await;
        let shown = String::from_utf8_lossy(&bytes);
        if status.is_success() {
            taken += 1;
            assert!(same(&bytes), "seed {seed} was taken: {shown}");
        } else {
            assert!(
                status.is_client_error(),
                "seed {seed}: {status} {answer} for {shown}"
            );
        }
    }
    taken
}

fn inside<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Option<T> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    serde_json::from_value(value[name].clone()).ok()
}

#[tokio::test]
async fn a_damaged_bundle_changes_nothing() {
    let (site, peer) = two_sites().await;
    let mut group = rich(site.id, peer);
    let along = Along {
        trusts: vec![(site.id, "trust".into())],
        ..Along::default()
    };
    site.store.insert_group(&group, along).await.unwrap();
    let held = group.document.clone();
    protocol::commit(&mut group, Utc::now());
    let mut said = bundle(&group, peer);
    said.sealed = None;
    let said = said_by("site-a", said);
    let way = Way {
        site: &site,
        method: "PUT",
        path: format!("/v1/p1/protection-groups/{}/metadata", group.id()),
        header: None,
        body: Vec::new(),
    };
    let text = json!({"bundle": said}).to_string().into_bytes();
    let same = |bytes: &[u8]| inside::<Bundle>(bytes, "bundle").is_some_and(|found| found == said);
    let taken = bring_mutations(&way, &text, 1_500, same).await;
    let now = site.store.group(group.id()).await.unwrap().unwrap();
    assert_eq!(now.document, if taken == 0 { held } else { group.document });
    let groups = site.get("tenant", "/v1/p1/protection-groups").await.ok(200);
    assert_eq!(groups["protection_groups"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn damaged_statements_receipts_and_tombstones_change_nothing() {
    let (site, peer) = two_sites().await;
    let id = group_at(&site, peer, GroupStatus::Active, SyncStatus::Pending).await;
    let group = site.store.group(id).await.unwrap().unwrap();
    let base = format!("/v1/p1/protection-groups/{id}");

    let said = receipt(&group, peer);
    let way = Way {
        site: &site,
        method: "POST",
        path: format!("{base}/sync"),
        header: None,
        body: Vec::new(),
    };
    let text = json!({"receipt": said}).to_string().into_bytes();
    let same = |bytes: &[u8]| inside::<Receipt>(bytes, "receipt").is_some_and(|found| found == said);
    bring_mutations(&way, &text, 700, same).await;
    let (status, answer) = way.bring(&text).await;
    assert!(status.is_success(), "{answer}");

    let nonce = site.post("tenant", &way.path, json!({"nonce": {}})).await.ok(200);
    let said = statement(&group, peer, nonce["nonce"]["value"].as_str().unwrap());
    let way = Way {
        method: "PATCH",
        path: base.clone(),
        header: Some("x-protector-statement"),
        body: json!({"protection_group": {"description": "changed"}})
            .to_string()
            .into_bytes(),
        ..way
    };
    let text = serde_json::to_vec(&said).unwrap();
    let same = |bytes: &[u8]| serde_json::from_slice::<Statement>(bytes).is_ok_and(|found| found == said);
    let taken = bring_mutations(&way, &text, 700, same).await;
    let now = site.store.group(id).await.unwrap().unwrap();
    // Once at most: its nonce serves once.
    assert!(taken <= 1);
    assert_eq!(now.document.stamp.version, Stamp::FIRST.version + taken);

    let mut theirs = rich(site.id, peer);
    theirs.document.name = "theirs".into();
    site.store.insert_group(&theirs, Along::default()).await.unwrap();
    let said = tombstone(&theirs, peer);
    let way = Way {
        method: "DELETE",
        path: format!("/v1/p1/protection-groups/{}", theirs.id()),
        header: Some("x-protector-deleted"),
        body: Vec::new(),
        ..way
    };
    let text = serde_json::to_vec(&said).unwrap();
    let same = |bytes: &[u8]| serde_json::from_slice::<Tombstone>(bytes).is_ok_and(|found| found == said);
    let taken = bring_mutations(&way, &text, 700, same).await;
    let now = site.store.group(theirs.id()).await.unwrap().unwrap();
    assert_eq!(now.status == GroupStatus::Deleting, taken > 0);
}
