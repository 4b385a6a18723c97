//! One user's sign-in at one cloud: password, project, token, catalog.

use std::time::Duration;

use http::Method;
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::error::{Error, Result, message_of};

/// Answers are JSON documents of an API; what is larger is none.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// The client that all sessions share. Redirects are not followed: a token goes where the catalog says, or nowhere.
pub fn http_client() -> Result<Client> {
    http_client_trusting(&[])
}

/// The same, which takes the word of these private authorities (PEM) besides that of the known ones.
pub fn http_client_trusting(authorities: &[&str]) -> Result<Client> {
    let authorities = authorities
        .iter()
        .map(|pem| reqwest::Certificate::from_pem(pem.as_bytes()))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(Error::Client)?;
    let mut builder = Client::builder();
    if !authorities.is_empty() {
        builder = builder.tls_certs_merge(authorities);
    }
    builder
        .user_agent(concat!("protector-relay/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(60))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(Error::Client)
}

/// Who signs in, and where.
#[derive(Clone, Debug)]
pub struct Login {
    /// What the site is called in messages.
    pub site: String,
    /// Its Keystone, with `/v3`.
    pub auth_url: String,
    pub username: String,
    pub password: SecretString,
    pub project: String,
    pub user_domain: String,
    pub project_domain: String,
    /// Where its Keystone has several: which of them is meant.
    pub region: Option<String>,
}

impl Login {
    /// A user and a project of the domain `Default`.
    #[must_use]
    pub fn new(site: &str, auth_url: &str, username: &str, password: SecretString, project: &str) -> Self {
        Self {
            site: site.to_owned(),
            auth_url: auth_url.trim_end_matches('/').to_owned(),
            username: username.to_owned(),
            password,
            project: project.to_owned(),
            user_domain: "Default".to_owned(),
            project_domain: "Default".to_owned(),
            region: None,
        }
    }

    /// The user and the project are of another domain.
    #[must_use]
    pub fn in_domain(mut self, name: &str) -> Self {
        self.user_domain = name.to_owned();
        self.project_domain = name.to_owned();
        self
    }

    /// Only this region's services are meant.
    #[must_use]
    pub fn in_region(mut self, name: &str) -> Self {
        self.region = Some(name.to_owned());
        self
    }
}

struct Token {
    value: SecretString,
    project_id: String,
    catalog: Value,
}

/// A user who is signed in. A token that has run out is replaced at the next call.
pub struct Session {
    http: Client,
    login: Login,
    token: RwLock<Token>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub async fn sign_in(http: &Client, login: Login) -> Result<Self> {
        let token = RwLock::new(authenticate(http, &login).await?);
        Ok(Self {
            http: http.clone(),
            login,
            token,
        })
    }

    /// What the site is called in messages.
    #[must_use]
    pub fn site(&self) -> &str {
        &self.login.site
    }

    #[must_use]
    pub fn auth_url(&self) -> &str {
        &self.login.auth_url
    }

    /// The project that the user signed in to.
    pub async fn project_id(&self) -> String {
        self.token.read().await.project_id.clone()
    }

    /// The public URL of a service, without a slash at its end.
    pub async fn endpoint(&self, service: &str) -> Result<String> {
        let token = self.token.read().await;
        let listed = token.catalog.as_array().into_iter().flatten();
        listed
            .filter(|entry| entry["type"] == service)
            .flat_map(|entry| entry["endpoints"].as_array().into_iter().flatten())
            .filter(|endpoint| endpoint["interface"] == "public")
            .find(|endpoint| {
                let region = self.login.region.as_deref();
                region.is_none_or(|region| endpoint["region_id"] == region)
            })
            .and_then(|endpoint| endpoint["url"].as_str())
            .map(|url| url.trim_end_matches('/').to_owned())
            .ok_or_else(|| Error::NoEndpoint {
                site: self.login.site.clone(),
                service: service.to_owned(),
            })
    }

    /// Call a service of the catalog; `path` begins with a slash and follows the service's URL.
    pub async fn call(
        &self,
        service: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let url = format!("{}{path}", self.endpoint(service).await?);
        self.send(method, &url, &[], body).await
    }

    /// As [`Session::call`], with headers.
    pub async fn call_with(
        &self,
        service: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value> {
        let url = format!("{}{path}", self.endpoint(service).await?);
        self.send(method, &url, headers, body).await
    }

    /// Send a request with the token; where that has run out, sign in and send once more.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value> {
        let used = self.token.read().await.value.clone();
        let first = self.attempt(&method, url, headers, body, &used).await;
        match first {
            Err(error) if error.status() == Some(401) => {}
            other => return other,
        }
        let fresh = {
            let mut token = self.token.write().await;
            if token.value.expose_secret() == used.expose_secret() {
                *token = authenticate(&self.http, &self.login).await?;
            }
            token.value.clone()
        };
        self.attempt(&method, url, headers, body, &fresh).await
    }

    async fn attempt(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
        token: &SecretString,
    ) -> Result<Value> {
        let mut request = self
            .http
            .request(method.clone(), url)
            .header("X-Auth-Token", token.expose_secret());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Ok(exchange(&self.login.site, method, url, request).await?.1)
    }
}

async fn authenticate(http: &Client, login: &Login) -> Result<Token> {
    let url = format!("{}/auth/tokens", login.auth_url);
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": login.username, "domain": {"name": login.user_domain}, "password": login.password.expose_secret()
        }}},
        "scope": {"project": {"name": login.project, "domain": {"name": login.project_domain}}}
    }});
    let (subject, answer) = exchange(&login.site, &Method::POST, &url, http.post(&url).json(&body)).await?;
    let unexpected = |what: &str| Error::Unexpected {
        site: login.site.clone(),
        path: "/auth/tokens".to_owned(),
        what: what.to_owned(),
    };
    let project_id = answer["token"]["project"]["id"]
        .as_str()
        .ok_or_else(|| unexpected("the token has no project"))?;
    Ok(Token {
        value: subject.ok_or_else(|| unexpected("there is no X-Subject-Token"))?,
        project_id: project_id.to_owned(),
        catalog: answer["token"]["catalog"].clone(),
    })
}

/// Send one request and read its whole answer, within limits. Gives the subject token where there is one.
pub(crate) async fn exchange(
    site: &str,
    method: &Method,
    url: &str,
    request: reqwest::RequestBuilder,
) -> Result<(Option<SecretString>, Value)> {
    let unreachable = |source: reqwest::Error| Error::Unreachable {
        site: site.to_owned(),
        url: url.to_owned(),
        source: source.without_url(),
    };
    let path = url
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].to_owned()))
        .unwrap_or_else(|| "/".to_owned());
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let subject = response
        .headers()
        .get("x-subject-token")
        .and_then(|value| value.to_str().ok())
        .map(SecretString::from);
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if bytes.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Error::Unexpected {
                site: site.to_owned(),
                path,
                what: format!("more than {LARGEST_ANSWER} bytes"),
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    let parsed = serde_json::from_slice::<Value>(&bytes);
    if status.is_success() || status.as_u16() == 300 {
        return match parsed {
            Ok(body) => Ok((subject, body)),
            Err(_) if bytes.is_empty() => Ok((subject, Value::Null)),
            Err(error) => Err(Error::Unexpected {
                site: site.to_owned(),
                path,
                what: error.to_string(),
            }),
        };
    }
    let body = parsed.unwrap_or_default();
    Err(Error::Refused {
        site: site.to_owned(),
        status: status.as_u16(),
        method: method.to_string(),
        path,
        message: message_of(&body, &String::from_utf8_lossy(&bytes)),
        body: Box::new(body),
    })
}
