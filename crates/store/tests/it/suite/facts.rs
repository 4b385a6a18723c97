use std::sync::Arc;

use protector_ports::Store;
use protector_ports::store::{Along, FactsAbout, RecordedFacts};
use secrecy::SecretString;
use serde_json::json;

use super::samples::{group, now, two_sites};

pub async fn the_last_facts_are_kept_with_their_group(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    let web = group(sites, "p1", "web");
    let facts = |user_data: &str| RecordedFacts {
        about: FactsAbout {
            site: sites.0,
            read_at: now(),
            servers: web
                .document
                .members
                .iter()
                .map(|member| member.instance_id.clone())
                .collect(),
        },
        facts: SecretString::from(json!({"members": {"user_data": user_data}}).to_string()),
    };
    assert!(
        store.keep_facts(web.id(), &facts("early")).await.is_err(),
        "of no group"
    );
    store.insert_group(&web, Along::default()).await.unwrap();
    assert_eq!(store.facts(web.id()).await.unwrap(), None);
    let (first, second) = (facts("first"), facts("second"));
    for kept in [first, second.clone()] {
        store.keep_facts(web.id(), &kept).await.unwrap();
        assert_eq!(
            store.facts_about(web.id()).await.unwrap(),
            Some(kept.about.clone())
        );
        assert_eq!(store.facts(web.id()).await.unwrap(), Some(kept));
    }
    let web = store.update_group(&web, Along::default()).await.unwrap();
    assert_eq!(store.facts(web.id()).await.unwrap(), Some(second.clone()));
    assert!(!format!("{second:?}").contains("second"), "user data prints");
    store.delete_group(web.id(), Along::default()).await.unwrap();
    assert_eq!(store.facts(web.id()).await.unwrap(), None);
}
