use std::sync::Arc;

use protector_domain::{SiteId, SiteStatus, TenantMapping, TenantMappingId};
use protector_ports::cloud::Credentials;
use protector_ports::store::Along;
use protector_ports::{Store, StoreError};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::samples::*;

fn credentials(password: &str) -> Credentials {
    Credentials {
        username: "protector".to_owned(),
        password: SecretString::from(password),
        project_name: "service".to_owned(),
        user_domain_name: "Default".to_owned(),
        project_domain_name: "Default".to_owned(),
    }
}

pub async fn sites_and_their_credentials(store: Arc<dyn Store>) {
    let mut site = site(SiteId(Uuid::new_v4()), "site-b");
    store.insert_site(&site, None).await.unwrap();
    assert_eq!(store.site(site.id).await.unwrap().as_ref(), Some(&site));
    assert!(store.site_credentials(site.id).await.unwrap().is_none());

    site.status = SiteStatus::Unreachable;
    site.status_reason = Some("no route".to_owned());
    store
        .update_site(&site, Some(&credentials("s3cret")))
        .await
        .unwrap();
    // No credentials given: the stored ones stay.
    site.region_name = None;
    store.update_site(&site, None).await.unwrap();
    assert_eq!(store.sites().await.unwrap(), [site.clone()]);
    let kept = store.site_credentials(site.id).await.unwrap().unwrap();
    assert_eq!(
        (kept.username.as_str(), kept.password.expose_secret()),
        ("protector", "s3cret")
    );

    let mut other = super::samples::site(SiteId(Uuid::new_v4()), "site-b");
    let error = store.insert_site(&other, None).await.unwrap_err();
    assert_eq!(error.to_string(), "a site named 'site-b' exists already");
    let error = store.update_site(&other, None).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Exists(_) | StoreError::Missing(_)),
        "{error}"
    );
    other.name = "site-c".to_owned();
    store.insert_site(&other, Some(&credentials("x"))).await.unwrap();
    store.delete_site(other.id).await.unwrap();
    assert!(matches!(
        store.delete_site(other.id).await,
        Err(StoreError::Missing(_))
    ));
    assert_eq!(store.site(other.id).await.unwrap(), None);
}

pub async fn a_site_in_use_stays(store: Arc<dyn Store>) {
    let sites = two_sites(&*store).await;
    store
        .insert_group(&group(sites, "p1", "web"), Along::default())
        .await
        .unwrap();
    for site in [sites.0, sites.1] {
        assert!(matches!(store.delete_site(site).await, Err(StoreError::InUse(_))));
    }
    let elsewhere = (sites.0, SiteId(Uuid::new_v4()));
    let error = store
        .insert_group(&group(elsewhere, "p1", "db"), Along::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "a site of protection group 'db' does not exist"
    );
}

pub async fn tenant_mappings(store: Arc<dyn Store>) {
    let (_, there) = two_sites(&*store).await;
    let mapping = TenantMapping {
        id: TenantMappingId(Uuid::new_v4()),
        local_tenant: project("p1"),
        remote_site: there,
        remote_tenant: project("q1"),
        description: "shop".to_owned(),
        created_at: now(),
    };
    store.insert_tenant_mapping(&mapping).await.unwrap();
    assert_eq!(
        store.tenant_mappings().await.unwrap(),
        std::slice::from_ref(&mapping)
    );
    let again = TenantMapping {
        id: TenantMappingId(Uuid::new_v4()),
        ..mapping.clone()
    };
    assert!(matches!(
        store.insert_tenant_mapping(&again).await,
        Err(StoreError::Exists(_))
    ));
    let nowhere = TenantMapping {
        remote_site: SiteId(Uuid::new_v4()),
        ..again
    };
    assert!(matches!(
        store.insert_tenant_mapping(&nowhere).await,
        Err(StoreError::Missing(_))
    ));
    assert!(matches!(
        store.delete_site(there).await,
        Err(StoreError::InUse(_))
    ));
    store.delete_tenant_mapping(mapping.id).await.unwrap();
    assert!(matches!(
        store.delete_tenant_mapping(mapping.id).await,
        Err(StoreError::Missing(_))
    ));
    store.delete_site(there).await.unwrap();
}
