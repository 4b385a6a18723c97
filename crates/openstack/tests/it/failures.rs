//! What is said after a failure, and whether anything may have happened.

use std::time::{Duration, Instant};

use axum::body::Body;
use protector_domain::VolumeId;
use protector_openstack::{AddressPolicy, ClientConfig, OpenStackClient};
use protector_ports::cloud::{Access, Cloud, ManageVolume};
use protector_ports::{Class, Kind, PortError};
use serde_json::json;

use crate::mock::{
    Mock, PASSWORD, TRUST, USER_TOKEN, breaks_off, client, cloud, config, hangs_up, raw, reply, text,
    trickles,
};

fn manage() -> ManageVolume {
    ManageVolume {
        host: "ctl@pure-1#pure-1".into(),
        source_name: "dr-1".into(),
        name: "db-root".into(),
        description: "dr op".into(),
        volume_type: "fast".into(),
        availability_zone: None,
        bootable: true,
    }
}

fn id() -> VolumeId {
    VolumeId::new("v1").unwrap()
}

/// The error of a read and that of a change, after how long.
async fn both(client: &OpenStackClient, access: &Access) -> [(PortError, Duration); 2] {
    let started = Instant::now();
    let read = client.volume(access, &id()).await.unwrap_err();
    let read = (read, started.elapsed());
    let started = Instant::now();
    let change = client.manage_volume(access, &manage()).await.unwrap_err();
    [read, (change, started.elapsed())]
}

fn sorted(errors: &[(PortError, Duration); 2]) -> [(Class, Kind); 2] {
    [
        (errors[0].0.class, errors[0].0.kind),
        (errors[1].0.class, errors[1].0.kind),
    ]
}

async fn with_volume_at(url: String) -> Mock {
    cloud(|_| reply(500, json!({}))).volume_url(url).start().await
}

const DOUBT: [(Class, Kind); 2] = [
    (Class::Retryable, Kind::Unavailable),
    (Class::Ambiguous, Kind::Unavailable),
];

#[tokio::test]
async fn a_connection_lost_after_the_request_leaves_a_change_in_doubt() {
    for url in [hangs_up().await, breaks_off().await] {
        let site = with_volume_at(url).await;
        let errors = both(&client(), &site.access()).await;
        assert_eq!(sorted(&errors), DOUBT);
        assert_eq!(
            errors[1].0.to_string(),
            "Cinder at site-b broke the connection before \"manage volume\" was answered, so it may or may not have happened."
        );
    }
}

#[tokio::test]
async fn nobody_listening_means_that_nothing_happened() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let site = with_volume_at(format!("http://127.0.0.1:{gone}/v3/proj")).await;
    let errors = both(&client(), &site.access()).await;
    assert_eq!(sorted(&errors), [(Class::Retryable, Kind::Unavailable); 2]);
    assert_eq!(
        errors[1].0.to_string(),
        "Cinder at site-b can't be reached for \"manage volume\": connection refused."
    );

    let site = with_volume_at("http://no-such-host.invalid/v3/proj".into()).await;
    assert_eq!(
        sorted(&both(&client(), &site.access()).await),
        [(Class::Retryable, Kind::Unavailable); 2]
    );
}

/// A dead site's usual face: packets get lost on the way there.
#[tokio::test]
async fn a_connection_that_does_not_come_about_means_that_nothing_happened() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(
        Duration::from_millis(200),
        tokio::net::TcpStream::connect(address),
    )
    .await
    {
        held.push(stream);
        assert!(held.len() < 50, "the queue never fills");
    }
    let site = with_volume_at(format!("http://{address}/v3/proj")).await;
    let client = OpenStackClient::new(ClientConfig {
        connect_timeout: Duration::from_millis(300),
        ..config()
    })
    .unwrap();
    let errors = both(&client, &site.access()).await;
    assert_eq!(sorted(&errors), [(Class::Retryable, Kind::Unavailable); 2]);
    assert!(errors.iter().all(|(_, took)| *took < Duration::from_secs(3)));
}

#[tokio::test]
async fn slow_and_endless_answers_end_with_the_time_given() {
    let sleeps = raw(|stream| {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(30)).await;
            drop(stream);
        })
    })
    .await;
    for url in [sleeps, trickles().await] {
        let site = with_volume_at(url).await;
        let errors = both(
            &client(),
            &Access {
                timeout: Duration::from_millis(400),
                ..site.access()
            },
        )
        .await;
        assert_eq!(sorted(&errors), DOUBT);
        for (error, took) in &errors {
            assert!(
                *took >= Duration::from_millis(350) && *took < Duration::from_secs(2),
                "{took:?} {error}"
            );
        }
    }
}

#[tokio::test]
async fn a_page_in_the_services_place_is_not_taken_for_its_answer() {
    let site = cloud(|_| text(200, "<html><body>Please sign in</body></html>"))
        .start()
        .await;
    let errors = both(&client(), &site.access()).await;
    assert_eq!(
        sorted(&errors),
        [
            (Class::Retryable, Kind::Protocol),
            (Class::Ambiguous, Kind::Protocol)
        ]
    );
    let site = cloud(|_| text(404, "<html><body>No such page</body></html>"))
        .start()
        .await;
    let error = client().delete_volume(&site.access(), &id()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Protocol);
    assert!(!error.message.contains("<html>"));
}

#[tokio::test]
async fn a_huge_answer_is_refused_with_and_without_a_promised_length() {
    for streamed in [false, true] {
        let site = cloud(move |_| {
            let body = format!("{{\"volume\": \"{}\"}}", "x".repeat(200 << 10));
            let body = if streamed {
                unannounced(body)
            } else {
                Body::from(body)
            };
            text(200, body)
        })
        .start()
        .await;
        let errors = both(&client(), &site.access()).await;
        assert_eq!(
            sorted(&errors),
            [
                (Class::Permanent, Kind::Protocol),
                (Class::Ambiguous, Kind::Protocol)
            ]
        );
    }
}

/// A body whose length isn't announced.
fn unannounced(text: String) -> Body {
    Body::from_stream(futures::stream::iter([
        Ok::<_, std::io::Error>(text.clone()),
        Ok(text),
    ]))
}

#[tokio::test]
async fn answers_of_another_form_are_said_to_be_so_and_nothing_panics() {
    let answers = [
        json!(null),
        json!([]),
        json!("volume"),
        json!({"volume": []}),
        json!({"volume": {"id": 7}}),
        json!({"volume": {"id": "../../etc"}}),
        json!({"volume": {"id": "v1", "size": -3}}),
        json!({"volume": {"id": "v1", "attachments": {"a": 1}}}),
        json!({"volume": {"id": "v1", "metadata": "none"}}),
    ];
    for answer in answers {
        let body = answer.clone();
        let site = cloud(move |_| reply(200, body.clone())).start().await;
        let error = client().volume(&site.access(), &id()).await.unwrap_err();
        assert_eq!(
            (error.class, error.kind),
            (Class::Permanent, Kind::Protocol),
            "{answer}"
        );
    }
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let site = cloud(move |_| text(200, deep.clone())).start().await;
    assert_eq!(
        client().volume(&site.access(), &id()).await.unwrap_err().kind,
        Kind::Protocol
    );
}

#[tokio::test]
async fn keystones_nonsense_is_no_token() {
    for answer in [
        json!({}),
        json!({"token": {"user": {"id": "u"}, "expires_at": "never"}}),
        json!([1]),
    ] {
        let site = cloud(|_| reply(200, json!({})))
            .sign_in(move |_| Some(reply(201, answer.clone()).header("x-subject-token", "t")))
            .start()
            .await;
        assert_eq!(
            client().volume(&site.access(), &id()).await.unwrap_err().kind,
            Kind::Protocol
        );
    }
    let site = cloud(|_| reply(200, json!({})))
        .sign_in(|_| Some(reply(201, json!({"token": {}}))))
        .start()
        .await;
    assert_eq!(
        client().volume(&site.access(), &id()).await.unwrap_err().kind,
        Kind::Protocol
    );
}

#[tokio::test]
async fn an_overloaded_service_is_asked_again_by_reads_only() {
    let site = cloud(|_| {
        reply(
            503,
            json!({"serviceUnavailable": {"code": 503, "message": "busy"}}),
        )
        .header("retry-after", "0")
    })
    .start()
    .await;
    let client = client();
    let error = client.volume(&site.access(), &id()).await.unwrap_err();
    assert_eq!(
        (error.class, error.kind, site.calls().len()),
        (Class::Retryable, Kind::Unavailable, 4)
    );
    let error = client.manage_volume(&site.access(), &manage()).await.unwrap_err();
    assert_eq!(
        (error.class, error.kind, site.calls().len()),
        (Class::Retryable, Kind::Unavailable, 5)
    );
}

#[tokio::test]
async fn a_wait_longer_than_the_time_left_is_not_begun() {
    let site = cloud(|_| reply(429, json!({})).header("retry-after", "3600"))
        .start()
        .await;
    let started = Instant::now();
    client().volume(&site.access(), &id()).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(site.calls().len(), 1);
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let elsewhere = cloud(|_| reply(200, json!({"volume": {"id": "v1"}})))
        .start()
        .await;
    let port = elsewhere.port;
    let site = cloud(move |_| reply(302, json!({})).header("location", format!("http://127.0.0.1:{port}/x")))
        .start()
        .await;
    let error = client().volume(&site.access(), &id()).await.unwrap_err();
    assert_eq!((error.class, error.kind), (Class::Permanent, Kind::Protocol));
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn addresses_that_are_excluded_are_not_connected_to() {
    let site = cloud(|_| reply(200, json!({}))).start().await;
    let strict = OpenStackClient::new(ClientConfig::default()).unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]", "0.0.0.0"] {
        let access = Access {
            auth_url: format!("http://{host}:{}/v3", site.port),
            ..site.access()
        };
        let error = strict.probe(&access).await.unwrap_err();
        assert_eq!(
            (error.class, error.kind),
            (Class::Permanent, Kind::Invalid),
            "{host}: {error}"
        );
    }
    assert!(site.seen().is_empty());
    // Nor where a catalog leads there.
    let lab = OpenStackClient::new(ClientConfig {
        addresses: AddressPolicy { allow_loopback: true },
        ..config()
    })
    .unwrap();
    let site = with_volume_at("http://169.254.169.254/latest/meta-data".into()).await;
    let error = lab.volume(&site.access(), &id()).await.unwrap_err();
    assert_eq!((error.class, error.kind), (Class::Permanent, Kind::Invalid));
}

#[tokio::test]
async fn no_secret_is_in_an_error_even_when_a_service_repeats_it() {
    let site = cloud(|seen| {
        let said = format!("{} {PASSWORD} {TRUST} {USER_TOKEN} key-5ecret", seen.token);
        reply(400, json!({"badRequest": {"code": 400, "message": said}}))
    })
    .start()
    .await;
    let client = client();
    let transfer = protector_ports::cloud::Transfer {
        id: "t1".parse().unwrap(),
        auth_key: "key-5ecret".into(),
    };
    for (access, secrets) in [
        (site.access(), vec![PASSWORD]),
        (site.as_trust(), vec![PASSWORD, TRUST]),
        (site.as_user(), vec![USER_TOKEN]),
    ] {
        let error = client.accept_transfer(&access, &transfer).await.unwrap_err();
        for shown in [
            format!("{error}"),
            format!("{error:?}"),
            format!("{access:?}"),
            format!("{client:?}"),
        ] {
            for secret in secrets.iter().chain(&["key-5ecret"]) {
                assert!(!shown.contains(secret), "{shown}");
            }
            assert!(!shown.contains(&format!("token-{}", site.port)), "{shown}");
        }
    }
}

#[derive(Clone, Default)]
struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_tells_each_call_and_no_secret_even_when_it_tells_all() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let site = cloud(|_| reply(404, json!({"error": {"code": 404, "message": "gone"}})))
        .start()
        .await;
    let client = client();
    let transfer = protector_ports::cloud::Transfer {
        id: "t1".parse().unwrap(),
        auth_key: "key-5ecret".into(),
    };
    for access in [site.access(), site.as_trust(), site.as_user()] {
        client.accept_transfer(&access, &transfer).await.unwrap_err();
        client.delete_trust(&access, &TRUST.into()).await.unwrap();
    }
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("service=\"Keystone\" method=POST path=\"/v3/auth/tokens\" status=201"),
        "{log}"
    );
    assert!(log.contains("request_id=\"req-mock\""), "{log}");
    for secret in [
        PASSWORD,
        TRUST,
        USER_TOKEN,
        "key-5ecret",
        &format!("token-{}", site.port),
    ] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test]
async fn the_key_of_a_transfer_is_not_repeated_when_its_answer_is_odd() {
    let site = cloud(|_| reply(202, json!({"transfer": {"id": 5, "auth_key": "key-5ecret"}})))
        .start()
        .await;
    let Err(error) = client().create_transfer(&site.access(), &id(), "t").await else {
        panic!("accepted")
    };
    assert_eq!((error.class, error.kind), (Class::Ambiguous, Kind::Protocol));
    assert!(!format!("{error:?}").contains("key-5ecret"));
}

#[tokio::test]
async fn a_site_that_hangs_takes_no_other_sites_place() {
    let hung = cloud(|_| reply(200, json!({})).after(Duration::from_secs(30)))
        .start()
        .await;
    let well = cloud(|_| reply(200, json!({"volume": {"id": "v1"}})))
        .start()
        .await;
    let client = std::sync::Arc::new(
        OpenStackClient::new(ClientConfig {
            max_concurrency: 1,
            ..config()
        })
        .unwrap(),
    );
    let (waiting, access) = (client.clone(), hung.access());
    let waiter = tokio::spawn(async move { waiting.volume(&access, &id()).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    client.volume(&well.access(), &id()).await.unwrap();
    // And who finds no place at the hung one in time, has done nothing there.
    let error = client
        .manage_volume(
            &Access {
                timeout: Duration::from_millis(100),
                ..hung.access()
            },
            &manage(),
        )
        .await
        .unwrap_err();
    assert_eq!((error.class, error.kind), (Class::Retryable, Kind::Unavailable));
    waiter.abort();
}
