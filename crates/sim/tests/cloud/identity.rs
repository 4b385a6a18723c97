use protector_sim::cloud::Settings;
use serde_json::{Value, json};

use super::{User, password, scope, sign_in, sites};

#[tokio::test]
async fn tokens_say_who_and_where_and_end() {
    let sites = sites().await;
    let cloud = sites.cloud("site-a").unwrap();
    let service = User::named(cloud, "protector").await;
    let demo = User::named(cloud, "demo").await;
    let roles: Vec<&str> = demo.body["roles"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|role| role["name"].as_str())
        .collect();
    assert_eq!(roles, ["member", "reader"]);
    assert_ne!(
        demo.project,
        User::named(sites.cloud("site-b").unwrap(), "demo").await.project
    );

    cloud.register(
        "protector",
        "protector",
        "http://controller:8788/v1/%(tenant_id)s",
    );
    let again = User::named(cloud, "demo").await;
    let catalog = again.body["catalog"].as_array().unwrap();
    let own = catalog.iter().find(|entry| entry["type"] == "protector").unwrap();
    assert_eq!(
        own["endpoints"][0]["url"],
        format!("http://controller:8788/v1/{}", demo.project)
    );

    let http = reqwest::Client::new();
    let validate = |subject: &str, by: &str| {
        http.get(format!("{}/auth/tokens", cloud.auth_url()))
            .header("x-auth-token", by)
            .header("x-subject-token", subject)
            .send()
    };
    assert_eq!(validate(&demo.token, &service.token).await.unwrap().status(), 200);
    assert_eq!(validate(&demo.token, &demo.token).await.unwrap().status(), 200);
    assert_eq!(validate(&service.token, &demo.token).await.unwrap().status(), 403);
    assert_eq!(validate("nosuch", &service.token).await.unwrap().status(), 404);
    assert_eq!(validate(&demo.token, "nosuch").await.unwrap().status(), 401);

    let mut wrong = password(cloud, "demo");
    wrong["password"]["user"]["password"] = json!("wrong");
    let got = sign_in(cloud, json!({"identity": wrong, "scope": scope(cloud, "demo")})).await;
    got.refused(401, "requires authentication");
    let elsewhere = json!({"identity": password(cloud, "demo"), "scope": scope(cloud, "admin")});
    assert_eq!(sign_in(cloud, elsewhere).await.status, 401);

    cloud.set(Settings {
        token_seconds: Some(10),
        ..Settings::default()
    });
    let brief = User::named(cloud, "demo").await;
    cloud.advance(std::time::Duration::from_secs(11));
    let got = brief.get("/compute/servers").await;
    assert!(
        got.headers["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Keystone uri=")
    );
    assert_eq!(got.status, 401);
}

fn trust(demo: &User, trustee: &str, roles: Value) -> Value {
    json!({"trust": {
        "trustor_user_id": demo.id, "trustee_user_id": trustee, "project_id": demo.project, "impersonation": true,
        "roles": roles
    }})
}

#[tokio::test]
async fn trusts_follow_keystones_rules() {
    let sites = sites().await;
    let cloud = sites.cloud("site-a").unwrap();
    let (admin, demo, service) = (
        User::named(cloud, "admin").await,
        User::named(cloud, "demo").await,
        User::named(cloud, "protector").await,
    );
    let trusts = "/identity/OS-TRUST/trusts";
    let wanted = trust(&demo, &service.id, json!([{"name": "member"}]));
    service.post(trusts, wanted.clone()).await.refused(403, "trustor");
    demo.post(trusts, trust(&demo, &service.id, json!([{"name": "_member_"}])))
        .await
        .refused(404, "_member_");
    demo.post(trusts, trust(&demo, &service.id, json!([{"name": "admin"}])))
        .await
        .refused(404, "admin");
    demo.post(trusts, trust(&demo, &service.id, json!([])))
        .await
        .refused(403, "role");
    demo.post(trusts, trust(&demo, "nobody", json!([{"name": "member"}])))
        .await
        .refused(404, "nobody");
    let made = demo.post(trusts, wanted.clone()).await.is(201);
    let id = made["trust"]["id"].as_str().unwrap().to_owned();
    let by_trust =
        |user: &str| json!({"identity": password(cloud, user), "scope": {"OS-TRUST:trust": {"id": id}}});

    let lent = User::with(cloud, by_trust("protector")).await;
    assert_eq!((&lent.id, &lent.project), (&demo.id, &demo.project));
    assert_eq!(lent.body["OS-TRUST:trust"]["trustee_user"]["id"], service.id);
    lent.post(trusts, wanted.clone())
        .await
        .refused(403, "Delegated tokens cannot manage trusts");
    assert_eq!(sign_in(cloud, by_trust("admin")).await.status, 403);

    let robot = demo
        .post(
            &format!("/identity/users/{}/application_credentials", demo.id),
            json!({"application_credential": {"name": "robot"}}),
        )
        .await
        .is(201);
    let robot = &robot["application_credential"];
    let robot = json!({"identity": {"methods": ["application_credential"],
        "application_credential": {"id": robot["id"], "secret": robot["secret"]}}});
    let robot = User::with(cloud, robot).await;
    robot
        .post(trusts, wanted)
        .await
        .refused(403, "Delegated tokens cannot manage trusts");

    // The trustor loses the role, gets it back, is deleted.
    let roles = admin.get("/identity/roles?name=member").await.is(200);
    let role = roles["roles"][0]["id"].as_str().unwrap();
    let grant = format!(
        "/identity/projects/{}/users/{}/roles/{role}",
        demo.project, demo.id
    );
    admin.delete(&grant).await.is(204);
    assert_eq!(sign_in(cloud, by_trust("protector")).await.status, 403);
    assert_eq!(lent.get("/compute/servers").await.status, 401);
    admin.put(&grant, Value::Null).await.is(204);
    assert_eq!(sign_in(cloud, by_trust("protector")).await.status, 201);
    admin
        .delete(&format!("/identity/users/{}", demo.id))
        .await
        .is(204);
    assert_eq!(sign_in(cloud, by_trust("protector")).await.status, 401);
    assert_eq!(cloud.state()["identity"]["trusts"], json!([]));
}
