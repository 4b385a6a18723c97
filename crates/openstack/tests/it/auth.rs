//! Tokens: whose, how many, how long, and where they go.

use std::time::Duration;

use protector_ports::cloud::{Access, Actor, Cloud};
use protector_ports::{Class, Kind};
use serde_json::{Value, json};

use crate::mock::{TRUST, USER_TOKEN, client, cloud, reply};

fn no_volumes() -> Value {
    json!({"volumes": []})
}

#[tokio::test]
async fn one_sign_in_serves_many_calls_and_all_who_wait() {
    let site = cloud(|_| reply(200, no_volumes()).after(Duration::from_millis(10)))
        .start()
        .await;
    let (client, access) = (std::sync::Arc::new(client()), site.access());
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let (client, access) = (client.clone(), access.clone());
            tokio::spawn(async move { client.volumes(&access, false).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((site.sign_ins(), site.calls().len()), (1, 10));
}

#[tokio::test]
async fn a_token_near_its_end_is_not_used_again() {
    let site = cloud(|_| reply(200, no_volumes())).life(45).start().await;
    let client = client();
    for _ in 0..3 {
        client.volumes(&site.access(), false).await.unwrap();
    }
    assert_eq!(site.sign_ins(), 3);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_even_for_a_change() {
    let site = cloud(|seen| {
        if seen.token.ends_with("-1") {
            reply(
                401,
                json!({"error": {"code": 401, "title": "Unauthorized", "message": "expired"}}),
            )
        } else {
            reply(202, json!({}))
        }
    })
    .start()
    .await;
    let client = client();
    client
        .set_bootable(&site.access(), &"v1".parse().unwrap(), true)
        .await
        .unwrap();
    assert_eq!((site.sign_ins(), site.calls().len()), (2, 2));
    client
        .set_bootable(&site.access(), &"v1".parse().unwrap(), true)
        .await
        .unwrap();
    assert_eq!((site.sign_ins(), site.calls().len()), (2, 3));
}

#[tokio::test]
async fn a_service_that_refuses_every_token_is_asked_twice_and_no_more() {
    let site = cloud(|_| reply(401, json!({"error": {"code": 401, "message": "no"}})))
        .start()
        .await;
    let error = client().volumes(&site.access(), false).await.unwrap_err();
    assert_eq!(
        (error.class, error.kind, error.status),
        (Class::Permanent, Kind::Unauthorized, Some(401))
    );
    assert_eq!((site.sign_ins(), site.calls().len()), (2, 2));
}

#[tokio::test]
async fn a_callers_token_is_looked_at_with_itself_and_never_renewed() {
    let site = cloud(|_| reply(401, json!({"error": {"code": 401, "message": "expired"}})))
        .start()
        .await;
    let error = client().volumes(&site.as_user(), false).await.unwrap_err();
    assert_eq!((error.class, error.kind), (Class::Permanent, Kind::Unauthorized));
    let seen = site.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        (seen[0].method.as_str(), seen[0].token.as_str()),
        ("GET", USER_TOKEN)
    );
    assert_eq!(seen[1].token, USER_TOKEN);
}

#[tokio::test]
async fn a_trust_is_a_scope_of_its_own() {
    let site = cloud(|_| reply(200, no_volumes())).start().await;
    let owner = client().owner(&site.as_trust()).await.unwrap();
    assert_eq!(
        (owner.user_id.as_str(), owner.project_id.as_str()),
        ("user1", "proj")
    );
    assert_eq!(owner.services, ["compute", "key-manager", "network", "volumev3"]);
    assert_eq!(
        site.seen()[0].body["auth"]["scope"],
        json!({"OS-TRUST:trust": {"id": TRUST}})
    );
}

#[tokio::test]
async fn a_dead_trust_is_told_as_credentials_that_do_not_hold() {
    for status in [401, 403, 404] {
        let site = cloud(|_| reply(200, no_volumes()))
            .sign_in(move |_| {
                Some(reply(
                    status,
                    json!({"error": {"code": status, "message": format!("Could not find trust: {TRUST}.")}}),
                ))
            })
            .start()
            .await;
        let error = client().volumes(&site.as_trust(), false).await.unwrap_err();
        assert_eq!(
            (error.class, error.kind),
            (Class::Permanent, Kind::Unauthorized),
            "{status}"
        );
        for part in [
            "The tenant's trust at site 'site-b' gives no token any more",
            "Keystone at site-b refused \"sign in\": Could not find trust: ***.",
            "sync-force",
        ] {
            assert!(error.message.contains(part), "{part}: {error}");
        }
    }
}

#[tokio::test]
async fn tokens_of_actors_and_clouds_are_kept_apart() {
    let (a, b) = (
        cloud(|_| reply(200, no_volumes())).start().await,
        cloud(|_| reply(200, no_volumes())).start().await,
    );
    let client = client();
    for site in [&a, &b] {
        for access in [site.access(), site.as_trust()] {
            client.volumes(&access, false).await.unwrap();
        }
        let tokens: Vec<_> = site.calls().into_iter().map(|seen| seen.token).collect();
        assert_eq!(
            tokens,
            [format!("token-{}-1", site.port), format!("token-{}-2", site.port)]
        );
    }
    // Another password is another actor, also where the first one's token is still good.
    let Actor::Service(mut credentials) = a.access().actor else {
        unreachable!()
    };
    credentials.password = "other".into();
    client
        .volumes(
            &Access {
                actor: Actor::Service(credentials),
                ..a.access()
            },
            false,
        )
        .await
        .unwrap();
    assert_eq!(a.sign_ins(), 3);
}

#[tokio::test]
async fn a_region_without_the_service_is_said_by_name() {
    let site = cloud(|_| reply(200, no_volumes())).start().await;
    let error = client()
        .volumes(
            &Access {
                region: Some("r2".into()),
                ..site.access()
            },
            false,
        )
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "The catalog of site-b has no public endpoint of Cinder in region r2."
    );
    assert_eq!((error.class, error.kind), (Class::Permanent, Kind::Invalid));
}

#[tokio::test]
async fn a_sign_in_that_fails_leaves_nothing_done() {
    let site = cloud(|_| reply(202, json!({})))
        .sign_in(|_| Some(reply(500, json!({}))))
        .start()
        .await;
    let error = client()
        .set_bootable(&site.access(), &"v1".parse().unwrap(), true)
        .await
        .unwrap_err();
    assert_eq!((error.class, error.kind), (Class::Retryable, Kind::Unavailable));
    assert!(site.calls().is_empty());
}

#[tokio::test]
async fn whether_a_trust_still_holds_is_asked_and_not_remembered() {
    let site = cloud(|_| reply(200, no_volumes()))
        .sign_in(|number| match number {
            1 => None,
            2 => Some(reply(503, json!({}))),
            _ => Some(reply(
                403,
                json!({"error": {"code": 403, "message": "no such role"}}),
            )),
        })
        .start()
        .await;
    let (client, access) = (client(), site.as_trust());
    client.volumes(&access, false).await.unwrap();
    // A Keystone that is busy changes nothing about the token that is there.
    assert_eq!(client.owner(&access).await.unwrap_err().class, Class::Retryable);
    client.volumes(&access, false).await.unwrap();
    assert_eq!(client.owner(&access).await.unwrap_err().kind, Kind::Unauthorized);
    assert_eq!(
        client.volumes(&access, false).await.unwrap_err().kind,
        Kind::Unauthorized
    );
}
