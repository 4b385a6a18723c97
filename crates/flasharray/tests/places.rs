//! Where the client goes and where it doesn't; arrays that aren't there.

use std::time::{Duration, Instant};

use protector_flasharray::{Client, ClientConfig, ConfigError, Kind};

use super::{Mock, client, config, token};

const SECOND: Duration = Duration::from_secs(1);

fn kind_of(client: &Client, url: &str) -> Option<Kind> {
    client.array(url, &token(), SECOND).err().map(|error| error.kind)
}

#[tokio::test]
async fn addresses_are_checked() {
    let strict = Client::new(&ClientConfig::default()).unwrap();
    for url in [
        "https://127.0.0.1",
        "https://[::1]:443",
        "https://169.254.169.254",
        "http://10.0.0.1",
        "ftp://10.0.0.1",
    ] {
        assert_eq!(kind_of(&strict, url), Some(Kind::Address), "{url}");
    }
    for url in [
        "https://10.0.0.1",
        "10.0.0.1",
        "https://fa-a.example.com:8443/",
        "https://fa-a/api",
    ] {
        assert_eq!(kind_of(&strict, url), None, "{url}");
    }
    for url in [
        "",
        "https://",
        "https://me:secret@10.0.0.1",
        "https://10.0.0.1/x",
        "https://10.0.0.1/?a=b",
        "https://a b",
    ] {
        assert_eq!(kind_of(&strict, url), Some(Kind::Invalid), "{url}");
    }
    let lab = client();
    assert_eq!(kind_of(&lab, "http://127.0.0.1:1"), None);
    assert_eq!(kind_of(&lab, "https://169.254.169.254"), Some(Kind::Address));
    // A name is seen through when it is resolved.
    let array = strict.array("https://localhost:1", &token(), SECOND).unwrap();
    assert_eq!(array.volumes(None).await.unwrap_err().kind, Kind::Address);
}

#[tokio::test]
async fn an_array_that_is_not_there_is_unavailable_at_once() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let started = Instant::now();
    let array = client()
        .array(&format!("http://{gone}"), &token(), Duration::from_secs(20))
        .unwrap();
    let error = array.create_group("pg").await.unwrap_err();
    assert_eq!(
        (error.kind, error.words.as_str()),
        (Kind::Unavailable, "it could not be connected to")
    );
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_stranger_with_tls_is_not_trusted() {
    // Plain HTTP where TLS is expected: no answer, and nothing was changed.
    let mock = Mock::start().await;
    let url = mock.url.replace("http://", "https://");
    let array = client().array(&url, &token(), SECOND).unwrap();
    assert_eq!(
        array.create_group("pg").await.unwrap_err().kind,
        Kind::Unavailable
    );
    assert_eq!(mock.script.calls().len(), 0);
}

#[test]
fn a_bad_ca_file_is_said_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let with = |path: std::path::PathBuf| {
        Client::new(&ClientConfig {
            cafile: Some(path),
            ..config()
        })
        .err()
        .unwrap()
    };
    assert!(matches!(
        with(dir.path().join("none.pem")),
        ConfigError::CaFile { .. }
    ));
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    assert!(matches!(with(empty), ConfigError::CaContent { .. }));
}
