//! Whom the client believes to be the cloud.

use std::path::PathBuf;

use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use protector_openstack::{ClientConfig, ConfigError, OpenStackClient};
use protector_ports::Class;
use protector_ports::cloud::{Access, Cloud};

use crate::mock::{cloud, config, reply};

async fn keystone() -> (String, PathBuf, tempfile::TempDir) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let cafile = directory.path().join("ca.pem");
    std::fs::write(&cafile, certified.cert.pem()).unwrap();
    let tls = RustlsConfig::from_pem(
        certified.cert.pem().into(),
        certified.signing_key.serialize_pem().into(),
    )
    .await
    .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("https://{}/v3", listener.local_addr().unwrap());
    let app = Router::new().fallback(async || r#"{"version": {"id": "v3.14"}}"#);
    let server = axum_server::from_tcp_rustls(listener, tls).unwrap();
    tokio::spawn(server.serve(app.into_make_service()));
    (url, cafile, directory)
}

#[tokio::test]
async fn a_certificate_is_verified_by_the_given_authority() {
    let (url, cafile, _directory) = keystone().await;
    let site = cloud(|_| reply(200, serde_json::json!({}))).start().await;
    let access = Access {
        auth_url: url,
        ..site.access()
    };

    let error = OpenStackClient::new(config())
        .unwrap()
        .probe(&access)
        .await
        .unwrap_err();
    // It won't be another one the next time.
    assert_eq!(error.class, Class::Permanent);
    let host = access.auth_url.replace("https://", "").replace("/v3", "");
    for part in ["certificate", &host, "issuer", "cafile", "[site:"] {
        assert!(error.message.contains(part), "{part}: {error}");
    }
    OpenStackClient::new(ClientConfig {
        cafile: Some(cafile.clone()),
        ..config()
    })
    .unwrap()
    .probe(&access)
    .await
    .unwrap();
    let for_sites = |name: &str| ClientConfig {
        site_cafiles: [(name.to_owned(), cafile.clone())].into(),
        ..config()
    };
    let its_own = OpenStackClient::new(for_sites(&access.site_name)).unwrap();
    its_own.probe(&access).await.unwrap();
    let anothers = OpenStackClient::new(for_sites("another site")).unwrap();
    anothers.probe(&access).await.unwrap_err();
    OpenStackClient::new(ClientConfig {
        insecure: true,
        ..config()
    })
    .unwrap()
    .probe(&access)
    .await
    .unwrap();
}

#[tokio::test]
async fn an_unusable_ca_file_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let missing = ClientConfig {
        cafile: Some(directory.path().join("none.pem")),
        ..config()
    };
    assert!(matches!(
        OpenStackClient::new(missing),
        Err(ConfigError::CaFile { .. })
    ));
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "nothing\n").unwrap();
    let empty = ClientConfig {
        cafile: Some(empty),
        ..config()
    };
    assert!(matches!(
        OpenStackClient::new(empty),
        Err(ConfigError::CaContent { .. })
    ));
}
