//! An array's administrator, who does what he likes behind protector's back.

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;

pub struct Administrator {
    http: Client,
    base: String,
    session: String,
}

impl Administrator {
    pub async fn sign_in(url: &str, token: &str) -> Result<Self> {
        let http = Client::builder()
            .no_proxy()
            .tls_danger_accept_invalid_certs(true)
            .build()?;
        let base = format!("{url}/api/2.26");
        let login = http.post(format!("{base}/login")).header("api-token", token);
        let answer = login.send().await?.error_for_status()?;
        let session = answer.headers().get("x-auth-token").context("no session")?;
        let session = session.to_str()?.to_owned();
        Ok(Self { http, base, session })
    }

    /// Take a volume out of a protection group.
    pub async fn take_out(&self, group: &str, volume: &str) -> Result<()> {
        let url = format!(
            "{}/protection-groups/volumes?group_names={group}&member_names={volume}",
            self.base
        );
        self.told(self.http.request(Method::DELETE, url)).await
    }

    /// Let no more snapshots of another array's group in.
    pub async fn refuse(&self, group: &str, own_name: &str) -> Result<()> {
        let url = format!(
            "{}/protection-groups/targets?group_names={group}&member_names={own_name}",
            self.base
        );
        let refusal = json!({"allowed": false});
        self.told(self.http.request(Method::PATCH, url).json(&refusal))
            .await
    }

    async fn told(&self, request: RequestBuilder) -> Result<()> {
        let answer = request.header("x-auth-token", &self.session).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "{status}: {}", answer.text().await?);
        Ok(())
    }
}
