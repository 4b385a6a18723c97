//! One user at one site.

use anyhow::{Context, Result, bail, ensure};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// What came back, whatever it was.
#[derive(Debug)]
pub struct Answer {
    pub asked: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The body, if the answer has this status.
    pub fn ok(self, status: u16) -> Result<Value> {
        ensure!(
            self.status.as_u16() == status,
            "{}: {} and not {status}: {}",
            self.asked,
            self.status,
            self.body
        );
        Ok(self.body)
    }

    /// The message of an OpenStack fault of this name and status.
    pub fn fault(self, name: &str, status: u16) -> Result<String> {
        let asked = self.asked.clone();
        let body = self.ok(status)?;
        let fault = &body[name];
        ensure!(fault["code"] == status, "{asked}: no {name} in {body}");
        fault["message"]
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("{asked}: no message in {body}"))
    }

    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// Send a request and take its answer, JSON or not.
pub async fn send(
    http: &Client,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Answer> {
    let asked = format!("{method} {url}");
    let mut request = http.request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await.with_context(|| asked.clone())?;
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.with_context(|| asked.clone())?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer {
        asked,
        status,
        headers,
        body,
    })
}

/// Who signs in.
#[derive(Clone, Debug)]
pub struct Login {
    pub user: String,
    pub password: String,
    pub project: String,
    /// Of both.
    pub domain: String,
}

/// A user who is signed in at a site.
#[derive(Clone)]
pub struct Session {
    pub(crate) http: Client,
    /// Protector's, such as `http://127.0.0.1:8788`.
    pub root: String,
    pub region: String,
    pub token: String,
    pub project: String,
    pub catalog: Value,
}

impl Session {
    pub async fn sign_in(
        http: &Client,
        root: &str,
        auth_url: &str,
        region: &str,
        login: &Login,
    ) -> Result<Self> {
        let Login {
            user,
            password,
            project,
            domain,
        } = login;
        let domain = json!({ "name": domain });
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {
                "user": {"name": user, "domain": domain, "password": password}
            }},
            "scope": {"project": {"name": project, "domain": domain}}
        }});
        let url = format!("{auth_url}/auth/tokens");
        let answer = send(http, Method::POST, &url, &[], Some(&body)).await?;
        let token = answer.header("x-subject-token").to_owned();
        let body = answer.ok(201)?;
        let project = body["token"]["project"]["id"].as_str();
        Ok(Self {
            http: http.clone(),
            root: root.to_owned(),
            region: region.to_owned(),
            token,
            project: project.context("a token without a project")?.to_owned(),
            catalog: body["token"]["catalog"].clone(),
        })
    }

    /// The public address of a service in the catalog.
    pub fn endpoint(&self, service: &str) -> Result<String> {
        for entry in self.catalog.as_array().into_iter().flatten() {
            let endpoints = entry["endpoints"].as_array().into_iter().flatten();
            for endpoint in endpoints.filter(|_| entry["type"] == service) {
                if endpoint["interface"] == "public" && endpoint["region_id"] == self.region.as_str() {
                    return Ok(endpoint["url"].as_str().unwrap_or_default().to_owned());
                }
            }
        }
        bail!("the catalog has no {service}")
    }

    pub async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer> {
        let mut all = vec![("x-auth-token", self.token.as_str())];
        all.extend_from_slice(headers);
        send(&self.http, method, url, &all, body).await
    }

    /// Protector's address of this session's project.
    #[must_use]
    pub fn base(&self) -> String {
        format!("{}/v1/{}", self.root, self.project)
    }

    /// Ask protector, below the project's address.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.ask(method, &format!("{}{path}", self.base()), &[], body)
            .await
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await?.ok(200)
    }

    /// Ask protector as an administrator does.
    pub async fn admin(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.ask(method, &format!("{}/v1/admin{path}", self.root), &[], body)
            .await
    }

    /// Ask another service of the site.
    pub async fn cloud(
        &self,
        service: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let url = format!("{}{path}", self.endpoint(service)?);
        let version = match service {
            "compute" => ("OpenStack-API-Version", "compute 2.87"),
            _ => ("OpenStack-API-Version", "volume 3.62"),
        };
        self.ask(method, &url, &[version], body).await
    }

    /// A list of another service, such as the servers of the project.
    pub async fn listed(&self, service: &str, path: &str, what: &str) -> Result<Vec<Value>> {
        let body = self.cloud(service, Method::GET, path, None).await?.ok(200)?;
        Ok(body[what].as_array().cloned().unwrap_or_default())
    }
}
