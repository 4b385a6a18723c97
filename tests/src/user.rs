//! Somebody who is signed in at one cloud.

use std::sync::{Arc, Mutex};

use reqwest::Client;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// Method and URL.
    pub call: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The body, if the status is this one.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.call, self.body);
        self.body
    }

    /// The body of a success.
    pub fn success(self) -> Value {
        assert!(self.status < 300, "{}: {} {}", self.call, self.status, self.body);
        self.body
    }

    /// The message of a refusal with this status, in the form of an OpenStack fault.
    #[must_use]
    pub fn refusal(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}: {}", self.call, self.body);
        let faults = self
            .body
            .as_object()
            .unwrap_or_else(|| panic!("no fault: {}", self.body));
        let (_, fault) = faults.iter().next().expect("a fault");
        assert_eq!(fault["code"], status, "{}", self.body);
        fault["message"].as_str().expect("a message").to_owned()
    }

    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

pub(crate) async fn send(
    http: &Client,
    seen: &Seen,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Answer {
    let method = method.parse().expect("a method");
    let call = format!("{method} {url}");
    let mut request = http.request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !body.is_null() {
        request = request.json(body);
    }
    let response = request
        .send()
        .await
        .unwrap_or_else(|error| panic!("{call}: {error:?}"));
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response
        .bytes()
        .await
        .unwrap_or_else(|error| panic!("{call}: {error:?}"));
    if let Some(id) = headers
        .get("x-openstack-request-id")
        .and_then(|value| value.to_str().ok())
    {
        seen.lock().expect("a lock").push(id.to_owned());
    }
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Answer {
        call,
        status,
        headers,
        body,
    }
}

/// A user with a token for one project.
#[derive(Clone, Debug)]
pub struct User {
    pub site: String,
    pub project: String,
    pub token: String,
    catalog: Value,
    http: Client,
    seen: Seen,
}

impl User {
    pub(crate) async fn sign_in(
        http: &Client,
        seen: &Seen,
        site: &str,
        auth_url: &str,
        account: &Value,
    ) -> Self {
        let domain = json!({"name": account["domain"]});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": account["user"], "domain": domain, "password": account["password"]
            }}},
            "scope": {"project": {"name": account["project"], "domain": domain}}
        }});
        let url = format!("{auth_url}/auth/tokens");
        let answer = send(http, seen, "POST", &url, &[], &body).await;
        let token = answer.header("x-subject-token").expect("a token").to_owned();
        let body = answer.expect(201);
        Self {
            site: site.to_owned(),
            project: crate::stack::text(&body, "/token/project/id"),
            token,
            catalog: body["token"]["catalog"].clone(),
            http: http.clone(),
            seen: seen.clone(),
        }
    }

    /// The public endpoint of a service.
    #[must_use]
    pub fn endpoint(&self, service: &str) -> &str {
        let listed = self.catalog.as_array().expect("a catalog").iter();
        let found = listed
            .filter(|entry| entry["type"] == service)
            .flat_map(|entry| entry["endpoints"].as_array().expect("endpoints"))
            .find(|endpoint| endpoint["interface"] == "public");
        let url = found.and_then(|endpoint| endpoint["url"].as_str());
        url.unwrap_or_else(|| panic!("{} has no service {service}", self.site))
    }

    pub async fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut all = vec![("X-Auth-Token", self.token.as_str())];
        all.extend_from_slice(headers);
        send(&self.http, &self.seen, method, url, &all, body).await
    }

    /// Call protector below the project's URL.
    pub async fn api(&self, method: &str, path: &str, body: Value) -> Answer {
        self.api_with(method, path, &[], body).await
    }

    pub async fn api_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let url = format!("{}{path}", self.endpoint("protector"));
        self.send(method, &url, headers, &body).await
    }

    /// Call what only administrators may.
    pub async fn admin(&self, method: &str, path: &str, body: Value) -> Answer {
        let endpoint = self.endpoint("protector");
        let root = endpoint.split("/v1/").next().expect("a root");
        let url = format!("{root}/v1/admin{path}");
        self.send(method, &url, &[], &body).await
    }

    /// Call an OpenStack service.
    pub async fn cloud(&self, service: &str, method: &str, path: &str, body: Value) -> Answer {
        let url = format!("{}{path}", self.endpoint(service));
        let newest = [("OpenStack-API-Version", "volume 3.60")];
        let headers: &[_] = if service == "volumev3" { &newest } else { &[] };
        self.send(method, &url, headers, &body).await
    }
}
