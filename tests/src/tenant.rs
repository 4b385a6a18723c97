//! A tenant of both sites, who plays a client's part: statement, change, bundle, receipt.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::stack::{Stack, eventually, text};
use crate::user::{Answer, User};

/// The replicated volume type of both clouds.
pub const VOLUME_TYPE: &str = "replicated-ssd";

pub struct Tenant {
    pub a: User,
    pub b: User,
    /// The sites' UUIDs.
    pub ids: [String; 2],
}

/// A protected group at `site-a`.
pub struct Shop {
    pub group: String,
    /// Ids of the members' servers, in the order in which they were added.
    pub servers: Vec<String>,
}

fn at(group: &str, rest: &str) -> String {
    format!("/protection-groups/{group}{rest}")
}

/// A document as the value of a header.
fn encode(document: &Value) -> String {
    STANDARD.encode(document.to_string())
}

impl Tenant {
    /// What `site-b` says of a group, in answer to a nonce of `site-a`.
    pub async fn statement(&self, group: &str) -> String {
        let nonce = self
            .a
            .api("POST", &at(group, "/sync"), json!({"nonce": {}}))
            .await
            .expect(200);
        let ask = json!({"statement": {"nonce": nonce["nonce"]["value"]}});
        let answer = self.b.api("POST", &at(group, "/sync"), ask).await.expect(200);
        encode(&answer["statement"])
    }

    /// A change at `site-a`, carried to `site-b` if it was accepted.
    pub async fn modify(&self, group: &str, method: &str, path: &str, body: Value) -> Answer {
        let answer = self.change(group, method, path, body).await;
        if answer.status < 300 {
            self.push(group).await;
        }
        answer
    }

    /// A change at `site-a` that nobody carries.
    pub async fn change(&self, group: &str, method: &str, path: &str, body: Value) -> Answer {
        let statement = self.statement(group).await;
        let headers = [("X-Protector-Statement", statement.as_str())];
        self.a.api_with(method, path, &headers, body).await
    }

    /// Carry what `site-a` holds to `site-b`, and the receipt back.
    pub async fn push(&self, group: &str) {
        let bundle = self
            .a
            .api("GET", &at(group, "/metadata"), Value::Null)
            .await
            .expect(200);
        let receipt = self
            .b
            .api(
                "PUT",
                &at(group, "/metadata"),
                json!({"bundle": bundle["bundle"]}),
            )
            .await
            .expect(200);
        let receipt = json!({"receipt": receipt["receipt"]});
        self.a.api("POST", &at(group, "/sync"), receipt).await.expect(200);
    }

    /// The body of a group's creation.
    #[must_use]
    pub fn group_body(&self, group: &str, name: &str) -> Value {
        json!({"protection_group": {
            "id": group, "name": name, "description": "of a test", "replication_type": "async",
            "primary_site_id": self.ids[0], "secondary_site_id": self.ids[1], "volume_type": VOLUME_TYPE
        }})
    }

    /// Make a group; gives its id. Both sites have it when this returns.
    pub async fn create(&self, name: &str) -> String {
        let group = uuid::Uuid::new_v4().to_string();
        let body = self.group_body(&group, name);
        let answer = self.modify(&group, "POST", "/protection-groups", body).await;
        let made = answer.expect(202);
        assert_eq!(made["protection_group"]["id"], group.as_str());
        for user in [&self.a, &self.b] {
            self.status(user, &group, &["active"]).await;
        }
        group
    }

    pub async fn group(&self, user: &User, group: &str) -> Value {
        let answer = user.api("GET", &at(group, ""), Value::Null).await.expect(200);
        answer["protection_group"].clone()
    }

    /// Wait for a group's status.
    pub async fn status(&self, user: &User, group: &str, wanted: &[&str]) -> Value {
        eventually(
            &format!("{group} becoming {wanted:?} at {}", user.site),
            async || {
                let now = self.group(user, group).await;
                let status = now["status"].as_str().unwrap_or_default();
                if wanted.contains(&status) {
                    Ok(now)
                } else {
                    Err(now.to_string())
                }
            },
        )
        .await
    }

    /// Bind a group to the arrays.
    pub async fn bind(&self, stack: &Stack, group: &str, array_group: &str) -> Value {
        let array = |site: &str| {
            let array = &stack.site(site)["array"];
            let token = format!("{}-token", array["name"].as_str().expect("a name"));
            (array["url"].clone(), token)
        };
        let ((url_a, token_a), (url_b, token_b)) = (array("site-a"), array("site-b"));
        let body = json!({"policy": {
            "primary_fa_url": url_a, "primary_fa_token": token_a, "secondary_fa_url": url_b,
            "secondary_fa_token": token_b, "pure_pg_name": array_group, "replication_interval": 300,
            "rpo_minutes": 15
        }});
        let path = at(group, "/policy");
        let made = self.modify(group, "POST", &path, body).await.expect(202);
        assert!(!made.to_string().contains("-token"), "a token came back: {made}");
        eventually("an active policy", async || {
            let now = self.a.api("GET", &path, Value::Null).await.expect(200);
            if now["policy"]["status"] == "active" {
                Ok(now["policy"].clone())
            } else {
                Err(now.to_string())
            }
        })
        .await
    }

    /// Take a server in and wait until it is protected.
    pub async fn add(&self, group: &str, server: &str) -> Value {
        let body = json!({"member": {"instance_id": server}});
        let path = at(group, "/members");
        let made = self.modify(group, "POST", &path, body).await.expect(202);
        let member = text(&made, "/member/id");
        eventually("a protected member", async || {
            let path = at(group, &format!("/members/{member}"));
            let now = self.a.api("GET", &path, Value::Null).await.expect(200);
            if now["member"]["status"] == "protected" {
                Ok(now["member"].clone())
            } else {
                Err(now.to_string())
            }
        })
        .await
    }

    /// A group with policy and these servers, all protected.
    pub async fn shop(&self, stack: &Stack, servers: &[(&str, usize)]) -> Shop {
        let group = self.create("shop").await;
        self.bind(stack, &group, "shop-pg").await;
        let mut ids = Vec::new();
        for (name, disks) in servers {
            let id = stack.boot(name, *disks).await;
            self.add(&group, &id).await;
            ids.push(id);
        }
        Shop { group, servers: ids }
    }

    /// Order a planned failover to the networks `demo-net` of both sites; gives the operation as answered.
    pub async fn failover(&self, group: &str, mappings: Value) -> Value {
        let order = json!({"failover": {"type": "planned", "mappings": mappings}});
        let path = at(group, "/action");
        let made = self.modify(group, "POST", &path, order).await.expect(202);
        made["operation"].clone()
    }

    /// Follow an operation to its end and carry its outcome.
    pub async fn ended(&self, operation: &Value) -> Value {
        let path = format!("/operations/{}", text(operation, "/id"));
        let ended = eventually("the operation's end", async || {
            let now = self.a.api("GET", &path, Value::Null).await.expect(200);
            let now = now["operation"].clone();
            if matches!(now["status"].as_str(), Some("completed" | "failed")) {
                Ok(now)
            } else {
                Err(now.to_string())
            }
        })
        .await;
        self.push(&text(&ended, "/protection_group_id")).await;
        ended
    }
}
