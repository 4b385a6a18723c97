//! The end of a history: all faults are over, and a client brings the sites together, as `sync-force` does.

use std::time::{Duration, Instant};

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protector_tests::{Answer, Session};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::record::{Document, Ending, Line, Side, Stamp};

/// A failover under way may have to end first, perhaps by an engine that has just been started.
const PATIENCE: Duration = Duration::from_secs(60);

/// In a group where nothing runs, this many times carrying have to be enough.
const CARRIES: usize = 3;

/// The site that has to push: the one with a change that wasn't receipted, else the one that holds the later document.
pub fn pushes(states: &[Option<Value>; 2]) -> Option<Side> {
    let [a, b] = states;
    let (a, b) = match (a, b) {
        (None, None) => return None,
        (Some(_), None) => return Some(Side::A),
        (None, Some(_)) => return Some(Side::B),
        (Some(a), Some(b)) => (a, b),
    };
    let unfinished = |sync: &Value| sync["status"] != "synced";
    let primary = |sync: &Value| sync["site_id"] == sync["current_primary_site_id"];
    Some(match (unfinished(a), unfinished(b)) {
        (true, false) => Side::A,
        (false, true) => Side::B,
        _ if Stamp::read(a) < Stamp::read(b) => Side::B,
        _ if Stamp::read(a) == Stamp::read(b) && primary(b) => Side::B,
        _ => Side::A,
    })
}

pub struct Settler<'a> {
    /// Straight to both sites.
    pub sessions: &'a [Session; 2],
    pub group: &'a str,
}

impl Settler<'_> {
    fn at(&self, side: Side) -> &Session {
        &self.sessions[side as usize]
    }

    fn path(&self, rest: &str) -> String {
        format!("/protection-groups/{}{rest}", self.group)
    }

    async fn call(&self, side: Side, method: Method, rest: &str, body: Option<&Value>) -> Result<Answer> {
        self.at(side).call(method, &self.path(rest), body).await
    }

    async fn show(&self, side: Side, rest: &str, what: &str) -> Result<Option<Value>> {
        let answer = self.call(side, Method::GET, rest, None).await?;
        match answer.status.as_u16() {
            404 => Ok(None),
            _ => Ok(Some(answer.ok(200)?[what].clone())),
        }
    }

    /// Carries until both sites hold the same and know it; or says why they don't.
    pub async fn settle(&self, deleted: bool) -> Result<Result<(), String>> {
        let begun = Instant::now();
        let (mut carries, mut last) = (0, String::new());
        loop {
            let groups = [
                self.show(Side::A, "", "protection_group").await?,
                self.show(Side::B, "", "protection_group").await?,
            ];
            let states = [
                self.show(Side::A, "/sync", "sync").await?,
                self.show(Side::B, "/sync", "sync").await?,
            ];
            let rests = groups.iter().flatten().all(|group| {
                !matches!(
                    group["status"].as_str().unwrap_or_default(),
                    "failing_over" | "failing_back" | "deleting" | "creating"
                )
            });
            match &states {
                [None, None] => return Ok(Ok(())),
                [Some(a), Some(b)] if rests && agree(a, b) => return Ok(Ok(())),
                [Some(a), Some(b)] if rests && carries >= CARRIES => {
                    return Ok(Err(format!(
                        "carried {carries} times ({last}), and still {a} and {b}"
                    )));
                }
                _ if begun.elapsed() > PATIENCE => {
                    return Ok(Err(format!("{last}; {groups:?} {states:?}")));
                }
                _ => {}
            }
            // One that only one site has may be half deleted, or half made.
            let is_going =
                |group: &Option<Value>| group.as_ref().is_none_or(|group| group["status"] == "deleting");
            let buried = match deleted && groups.iter().any(is_going) {
                true => self.bury().await?,
                false => None,
            };
            if let Some(buried) = buried {
                last = buried;
            } else if let Some(side) = pushes(&states) {
                last = self.carry(side).await?;
                carries += usize::from(rests);
            }
            sleep(Duration::from_millis(if rests { 20 } else { 100 })).await;
        }
    }

    /// The document from one site to the other and the receipt back; what stood in the way.
    async fn carry(&self, from: Side) -> Result<String> {
        let Some(bundle) = self.show(from, "/metadata", "bundle").await? else {
            return Ok("it is gone".to_owned());
        };
        let put = self
            .call(
                from.other(),
                Method::PUT,
                "/metadata",
                Some(&json!({"bundle": bundle})),
            )
            .await?;
        if !put.status.is_success() {
            return Ok(format!("from {from:?}: {}", put.body));
        }
        let receipt = json!({"receipt": put.body["receipt"]});
        let taken = self.call(from, Method::POST, "/sync", Some(&receipt)).await?;
        Ok(match taken.status.is_success() {
            true => format!("from {from:?}: done"),
            false => format!("receipt to {from:?}: {}", taken.body),
        })
    }

    /// A deletion that one site knows of is brought to the other one.
    async fn bury(&self) -> Result<Option<String>> {
        for side in Side::BOTH {
            // Without a statement nothing new is deleted by that.
            let begun = self.call(side, Method::DELETE, "", None).await?;
            if begun.status.is_success() {
                let header = STANDARD.encode(begun.body["tombstone"].to_string());
                let headers = [("x-protector-deleted", header.as_str())];
                let peer = self.at(side.other());
                let url = format!("{}{}", peer.base(), self.path(""));
                let told = peer.ask(Method::DELETE, &url, &headers, None).await?;
                return Ok(Some(format!("buried by {side:?}: {} {}", told.status, told.body)));
            }
        }
        Ok(None)
    }

    /// Brings what was said while the group lived to both sites, as somebody who comes late: what they take.
    pub async fn haunt(&self, bundles: &[Value]) -> Result<Vec<String>> {
        let mut taken = Vec::new();
        for bundle in bundles {
            for side in Side::BOTH {
                let body = json!({"bundle": bundle});
                let answer = self.call(side, Method::PUT, "/metadata", Some(&body)).await?;
                if answer.status.is_success() {
                    taken.push(format!(
                        "a bundle of the deleted group {} at {side:?}",
                        self.group
                    ));
                }
            }
        }
        Ok(taken)
    }

    /// What a site has in the end.
    pub async fn ending(&self, side: Side, sites: &[String; 2]) -> Result<Ending> {
        let Some(bundle) = self.show(side, "/metadata", "bundle").await? else {
            return Ok(Ending::Gone);
        };
        let sync = self.show(side, "/sync", "sync").await?.unwrap_or_default();
        let log = self
            .show(side, "/sync-log?limit=1000", "sync_log")
            .await?
            .unwrap_or_default();
        let mut log: Vec<Line> = log.as_array().into_iter().flatten().map(Line::read).collect();
        log.reverse();
        let document = Document::read(&bundle["document"], sites);
        Ok(Ending::Held {
            document: Box::new(
                document.ok_or_else(|| anyhow::anyhow!("a bundle that can't be read: {bundle}"))?,
            ),
            sync: sync["status"].as_str().unwrap_or_default().to_owned(),
            log,
        })
    }
}

/// Both hold the same, know that the other one does, and have nothing under way.
fn agree(a: &Value, b: &Value) -> bool {
    let stamp = |sync: &Value| Stamp::read(sync);
    let rests = |sync: &Value| sync["status"] == "synced" && sync["open_intent"].is_null();
    rests(a) && rests(b) && stamp(a) == stamp(b) && a["checksum"] == b["checksum"]
}
