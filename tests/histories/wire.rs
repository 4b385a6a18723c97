//! A client's calls: each through its own door, with a fault of its own, written down.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client as Http, Method};
use serde_json::Value;

use crate::chance::Chance;
use crate::proxy::{Door, Fault};
use crate::record::{Call, Side};
use crate::scene::Scene;

/// Why an action goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// No answer: nobody knows what became of the call.
    Lost,
    /// The client was killed.
    Dead,
}

/// What a site answered.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

impl Reply {
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What stands in an OpenStack fault.
    pub fn fault(&self) -> &Value {
        let first = self.body.as_object().and_then(|fields| fields.values().next());
        first.unwrap_or(&Value::Null)
    }

    pub fn message(&self) -> String {
        match self.is_good() {
            true => String::new(),
            false => self.fault()["message"].as_str().unwrap_or_default().to_owned(),
        }
    }
}

/// One call, before it is made.
pub struct Ask<'a> {
    pub side: Side,
    pub method: Method,
    pub group: usize,
    /// Behind the group's path.
    pub rest: &'a str,
    pub header: Option<(&'static str, String)>,
    pub body: Option<Vec<u8>>,
}

impl Ask<'_> {
    pub fn new(side: Side, method: Method, group: usize, rest: &str) -> Ask<'_> {
        Ask {
            side,
            method,
            group,
            rest,
            header: None,
            body: None,
        }
    }

    pub fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string().into_bytes());
        self
    }

    /// A paper in a header.
    pub fn with(mut self, name: &'static str, paper: &Value) -> Self {
        self.header = Some((name, STANDARD.encode(paper.to_string())));
        self
    }
}

/// A tenant's token and project at a site.
#[derive(Clone)]
pub struct Pass {
    pub token: String,
    pub project: String,
}

/// A client's two doors, and what it needs to be let in.
pub struct Wire {
    pub client: usize,
    pub http: Http,
    pub doors: [Door; 2],
    pub passes: [Pass; 2],
    pub scene: Arc<Scene>,
    pub chance: Chance,
    /// So many calls in a hundred meet one.
    pub faults: u64,
    /// So many calls it still lives.
    pub left: Option<u64>,
}

/// One connection for each call: a fault belongs to one call, and nothing is repeated in secret.
pub fn http() -> Result<Http> {
    Ok(Http::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(20))
        .build()?)
}

impl Wire {
    pub async fn ask(&mut self, ask: Ask<'_>) -> Result<Reply, Stop> {
        match &mut self.left {
            Some(0) => return Err(Stop::Dead),
            Some(left) => *left -= 1,
            None => {}
        }
        let fault = Fault::draw(&mut self.chance, self.faults);
        let side = ask.side;
        let door = &self.doors[side as usize];
        door.arm(fault);
        let pass = &self.passes[side as usize];
        let id = &self.scene.ids[ask.group];
        let path = format!("/v1/{}/protection-groups/{id}{}", pass.project, ask.rest);
        let mut request = self
            .http
            .request(ask.method.clone(), format!("http://{}{path}", door.address))
            .header("x-auth-token", &pass.token)
            .header("content-type", "application/json");
        if let Some((name, value)) = &ask.header {
            request = request.header(*name, value);
        }
        let shown = ask
            .body
            .as_deref()
            .map(String::from_utf8_lossy)
            .unwrap_or_default();
        let shown: String = shown.chars().take(70).collect();
        if let Some(body) = ask.body {
            request = request.body(body);
        }
        let begun = self.scene.now();
        let reply = receive(request).await;
        self.scene.called(Call {
            client: self.client,
            begun,
            ended: self.scene.now(),
            what: format!("{} {}{} {shown}", ask.method, ask.group, ask.rest),
            side,
            fault: (fault != Fault::None).then(|| format!("{fault:?}")),
            status: reply.as_ref().map(|reply| reply.status),
            message: reply.as_ref().map(Reply::message).unwrap_or_default(),
        });
        reply.ok_or(Stop::Lost)
    }
}

/// `None` where the line was cut before the answer was whole.
async fn receive(request: reqwest::RequestBuilder) -> Option<Reply> {
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    let bytes = response.bytes().await.ok()?;
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Some(Reply { status, body })
}
