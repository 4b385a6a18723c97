//! A client: it carries what the sites say to each other as the command line client does, and at times as nobody should.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::chance::Chance;
use crate::forgery;
use crate::plan::{Action, Change, What};
use crate::record::{Document, Outcome, Side, Stamp};
use crate::scene::{Paper, PaperKind};
use crate::wire::{Ask, Reply, Stop, Wire};

const STATEMENT: &str = "x-protector-statement";
const DELETED: &str = "x-protector-deleted";

/// How often a change is begun anew when the ground moved under it.
const ATTEMPTS: usize = 4;

type Said<T> = Result<T, Stop>;

/// What became of one attempt at a change.
enum Attempt {
    Made(Reply),
    /// The group runs on the other site.
    Elsewhere,
    /// An earlier change hasn't been carried over yet.
    Pending,
    /// Somebody else was faster.
    Moved,
    Refused,
}

impl Attempt {
    /// What a conflict asks for.
    fn of(reply: &Reply) -> Attempt {
        let fault = reply.fault();
        let sync = fault["sync_status"].as_str().unwrap_or_default();
        if fault["current_primary_site_id"].is_string() {
            Attempt::Elsewhere
        } else if matches!(sync, "pending" | "failed") {
            Attempt::Pending
        } else {
            Attempt::Refused
        }
    }
}

/// A change, before it is known where it is made.
struct Order<'a> {
    group: usize,
    method: Method,
    rest: &'a str,
    kind: Kind,
    twice: bool,
}

enum Kind {
    /// An edit, by its place in the record.
    Edit {
        number: usize,
        change: Change,
        mark: String,
    },
    Plain(Option<Value>),
}

pub struct Client {
    wire: Wire,
    edits: usize,
}

impl Client {
    pub fn new(wire: Wire) -> Self {
        Self { wire, edits: 0 }
    }

    /// Does one thing after the other. Where it is killed or cut off, it begins with the next.
    pub async fn run(mut self, actions: &[Action]) {
        for action in actions {
            sleep(action.pause).await;
            self.wire.chance = Chance::of(action.seed);
            self.wire.left = action.dies_after;
            // The record has what came of it.
            let _ = self.act(action).await;
        }
    }

    async fn act(&mut self, action: &Action) -> Said<()> {
        let Action { group, first, .. } = *action;
        match action.what {
            What::Edit { change, carry, twice } => self.edit(group, first, change, carry, twice).await,
            What::Sync => self.sync(group).await,
            What::Mend => self.mend(group, first).await,
            What::Replay { paper, astray } => self.replay(group, paper, astray).await,
            What::Forge { paper, how } => self.forge(group, paper, how).await,
            What::Stale { paper, change } => self.stale(group, first, paper, change).await,
            What::Complain => self.complain(group, first, "somebody says so").await,
            What::Failover => self.failover(group, first).await,
            What::TakeOver => self.take_over(group, first.other()).await,
            What::Delete => self.delete(group, first).await,
        }
    }

    async fn ask(&mut self, ask: Ask<'_>) -> Said<Reply> {
        self.wire.ask(ask).await
    }

    fn keep(&self, group: usize, by: Side, kind: PaperKind, value: &Value) {
        self.wire.scene.keep(Paper {
            group,
            by,
            kind,
            value: value.clone(),
        });
    }

    // Changes

    fn new_edit(&mut self, group: usize, change: Change) -> Kind {
        self.edits += 1;
        let mark = format!("c{}e{}", self.wire.client, self.edits);
        let name = format!("{}-{mark}", self.wire.scene.ids[group]);
        let renames = (change == Change::Rename).then_some(name);
        let number = self.wire.scene.edit(group, &mark, renames);
        Kind::Edit { number, change, mark }
    }

    async fn edit(
        &mut self,
        group: usize,
        first: Side,
        change: Change,
        carry: bool,
        twice: bool,
    ) -> Said<()> {
        let kind = self.new_edit(group, change);
        let (method, rest) = place(change);
        let order = Order {
            group,
            method,
            rest,
            kind,
            twice,
        };
        if let Some((_, side)) = self.change(&order, first).await?
            && carry
        {
            self.push(group, side).await?;
        }
        Ok(())
    }

    /// Makes a change at the site that accepts it.
    async fn change(&mut self, order: &Order<'_>, first: Side) -> Said<Option<(Reply, Side)>> {
        let mut side = first;
        for _ in 0..ATTEMPTS {
            match self.attempt(order, side).await? {
                Attempt::Made(reply) => return Ok(Some((reply, side))),
                Attempt::Elsewhere => {
                    self.mend(order.group, side).await?;
                    side = side.other();
                }
                Attempt::Pending => self.push(order.group, side).await?,
                Attempt::Moved => {}
                Attempt::Refused => break,
            }
        }
        Ok(None)
    }

    async fn attempt(&mut self, order: &Order<'_>, side: Side) -> Said<Attempt> {
        let group = order.group;
        let nonce = Ask::new(side, Method::POST, group, "/sync").json(&json!({"nonce": {}}));
        let nonce = self.ask(nonce).await?;
        if !nonce.is_good() {
            return Ok(Attempt::of(&nonce));
        }
        let ask = json!({"statement": {"nonce": nonce.body["nonce"]["value"]}});
        let said = self
            .ask(Ask::new(side.other(), Method::POST, group, "/sync").json(&ask))
            .await?;
        if !said.is_good() {
            return Ok(Attempt::of(&said));
        }
        let statement = said.body["statement"].clone();
        self.keep(group, side.other(), PaperKind::Statement, &statement);
        let body = match &order.kind {
            Kind::Plain(body) => body.clone(),
            Kind::Edit { change, mark, .. } => {
                let Some(document) = self.look(group, side).await? else {
                    return Ok(Attempt::Refused);
                };
                // With this statement only this very version can be changed: so what is read now can't be
                // overwritten by mistake.
                if Stamp::read(&statement["stamp"]) != Some(document.stamp) {
                    return Ok(Attempt::Moved);
                }
                // It was made before, and the answer was lost.
                if document.marks.contains(mark) {
                    return Ok(Attempt::Refused);
                }
                Some(self.body(group, *change, mark, &document))
            }
        };
        let mut reply = self.send(order, side, &statement, body.as_ref()).await;
        if order.twice {
            let again = self.send(order, side, &statement, body.as_ref()).await;
            reply = match (reply, again) {
                (Ok(first), Ok(second)) => Ok(if second.is_good() { second } else { first }),
                (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
                (Err(stop), Err(_)) => Err(stop),
            };
        }
        let reply = reply?;
        Ok(match reply.is_good() {
            true => Attempt::Made(reply),
            false => Attempt::of(&reply),
        })
    }

    async fn send(
        &mut self,
        order: &Order<'_>,
        side: Side,
        statement: &Value,
        body: Option<&Value>,
    ) -> Said<Reply> {
        let mut ask =
            Ask::new(side, order.method.clone(), order.group, order.rest).with(STATEMENT, statement);
        if let Some(body) = body {
            ask = ask.json(body);
        }
        let reply = self.ask(ask).await;
        if let Kind::Edit { number, .. } = order.kind {
            let outcome = match &reply {
                Err(Stop::Dead) => return reply,
                Err(Stop::Lost) => Outcome::Unknown,
                Ok(reply) if reply.is_good() => {
                    Outcome::Acknowledged(Stamp::read(&reply.body["protection_group"]))
                }
                Ok(reply) if reply.status < 500 => Outcome::Refused,
                Ok(_) => Outcome::Unknown,
            };
            let edits = &mut self.wire.scene.record().groups[order.group].edits;
            edits[number].sent.push((side, outcome));
        }
        reply
    }

    fn body(&self, group: usize, change: Change, mark: &str, document: &Document) -> Value {
        let content = &document.content;
        let text = content["description"].as_str().unwrap_or_default();
        let description = format!("{text} {mark}").trim().to_owned();
        match change {
            Change::Describe => json!({"protection_group": {"description": description}}),
            Change::Rename => {
                let name = format!("{}-{mark}", self.wire.scene.ids[group]);
                json!({"protection_group": {"description": description, "name": name}})
            }
            Change::Map => {
                let mut mappings = content["mappings"].clone();
                mappings["networks"][mark] = json!(mark);
                json!({"mappings": mappings})
            }
        }
    }

    /// An edit with a statement of earlier.
    async fn stale(&mut self, group: usize, side: Side, paper: u64, change: Change) -> Said<()> {
        let is_statement = |kind| kind == PaperKind::Statement;
        let Some(paper) = self.wire.scene.paper(group, paper, is_statement) else {
            return Ok(());
        };
        let Some(document) = self.look(group, side).await? else {
            return Ok(());
        };
        if Stamp::read(&paper.value["stamp"]) > Some(document.stamp) {
            // It may be good for what comes before this edit is sent, and then somebody else's edit would be overwritten.
            return Ok(());
        }
        let kind = self.new_edit(group, change);
        let (method, rest) = place(change);
        let Kind::Edit { mark, .. } = &kind else {
            return Ok(());
        };
        let body = self.body(group, change, mark, &document);
        let order = Order {
            group,
            method,
            rest,
            kind,
            twice: false,
        };
        self.send(&order, side, &paper.value, Some(&body)).await?;
        Ok(())
    }

    // Carrying

    /// The document that a site holds, if it hands one out.
    async fn look(&mut self, group: usize, side: Side) -> Said<Option<Document>> {
        Ok(self.bundle(group, side).await?.map(|(_, document)| document))
    }

    async fn bundle(&mut self, group: usize, side: Side) -> Said<Option<(Value, Document)>> {
        let begun = self.wire.scene.now();
        let reply = self.ask(Ask::new(side, Method::GET, group, "/metadata")).await?;
        if !reply.is_good() {
            return Ok(None);
        }
        let bundle = reply.body["bundle"].clone();
        self.keep(group, side, PaperKind::Bundle, &bundle);
        let document = self.wire.scene.looked(group, side, begun, &bundle);
        Ok(document.map(|document| (bundle, document)))
    }

    /// The document from one site to the other, and the receipt back.
    async fn push(&mut self, group: usize, from: Side) -> Said<()> {
        let Some((bundle, _)) = self.bundle(group, from).await? else {
            return Ok(());
        };
        let put = self
            .bring(group, from.other(), PaperKind::Bundle, &bundle)
            .await?;
        if !put.is_good() {
            return self.complain(group, from, &put.message()).await;
        }
        let receipt = put.body["receipt"].clone();
        self.keep(group, from.other(), PaperKind::Receipt, &receipt);
        self.bring(group, from, PaperKind::Receipt, &receipt).await?;
        Ok(())
    }

    async fn bring(&mut self, group: usize, to: Side, kind: PaperKind, paper: &Value) -> Said<Reply> {
        self.bring_bytes(group, to, kind, paper, None).await
    }

    /// `bytes` in the place of the paper's own.
    async fn bring_bytes(
        &mut self,
        group: usize,
        to: Side,
        kind: PaperKind,
        paper: &Value,
        bytes: Option<Vec<u8>>,
    ) -> Said<Reply> {
        let mut ask = match kind {
            PaperKind::Bundle => {
                Ask::new(to, Method::PUT, group, "/metadata").json(&json!({"bundle": paper}))
            }
            PaperKind::Receipt => Ask::new(to, Method::POST, group, "/sync").json(&json!({"receipt": paper})),
            PaperKind::Tombstone => Ask::new(to, Method::DELETE, group, "").with(DELETED, paper),
            PaperKind::Statement => Ask::new(to, Method::PATCH, group, "")
                .with(STATEMENT, paper)
                .json(&json!({"protection_group": {"description": "forged"}})),
        };
        if let Some(bytes) = bytes {
            match &mut ask.header {
                Some((_, value)) => *value = STANDARD.encode(bytes),
                None => ask.body = Some(bytes),
            }
        }
        self.ask(ask).await
    }

    async fn complain(&mut self, group: usize, side: Side, reason: &str) -> Said<()> {
        let note = json!({"failed": {"reason": reason}});
        self.ask(Ask::new(side, Method::POST, group, "/sync").json(&note))
            .await?;
        Ok(())
    }

    async fn sync_of(&mut self, group: usize, side: Side) -> Said<Option<Value>> {
        let reply = self.ask(Ask::new(side, Method::GET, group, "/sync")).await?;
        Ok(reply.is_good().then(|| reply.body["sync"].clone()))
    }

    /// Carries what a site has left to be carried.
    async fn mend(&mut self, group: usize, side: Side) -> Said<()> {
        match self.sync_of(group, side).await? {
            Some(sync) if sync["status"] != "synced" => self.push(group, side).await,
            _ => Ok(()),
        }
    }

    async fn sync(&mut self, group: usize) -> Said<()> {
        let states = [
            self.sync_of(group, Side::A).await?,
            self.sync_of(group, Side::B).await?,
        ];
        match crate::settle::pushes(&states) {
            Some(side) => self.push(group, side).await,
            None => Ok(()),
        }
    }

    async fn replay(&mut self, group: usize, paper: u64, astray: bool) -> Said<()> {
        let carried = |kind| kind != PaperKind::Statement;
        let Some(paper) = self.wire.scene.paper(group, paper, carried) else {
            return Ok(());
        };
        let to = if astray { paper.by } else { paper.by.other() };
        let reply = self.bring(group, to, paper.kind, &paper.value).await?;
        if paper.kind == PaperKind::Bundle && reply.is_good() {
            self.keep(group, to, PaperKind::Receipt, &reply.body["receipt"]);
        }
        Ok(())
    }

    /// Brings what no site has said. It must not be taken.
    async fn forge(&mut self, group: usize, paper: u64, how: u64) -> Said<()> {
        let Some(paper) = self
            .wire
            .scene
            .paper(group, paper, |kind| kind != PaperKind::Tombstone)
        else {
            return Ok(());
        };
        let forged = forgery::of(&paper, how, &self.wire.scene.sites);
        let reply = self
            .bring_bytes(group, paper.by.other(), paper.kind, &forged.value, forged.bytes)
            .await?;
        if reply.is_good() {
            let what = format!("{:?} with {}", paper.kind, forged.how);
            self.wire.scene.record().wrongly_taken.push(what);
        }
        Ok(())
    }

    // Moving and ending

    async fn failover(&mut self, group: usize, first: Side) -> Said<()> {
        let order = Order {
            group,
            method: Method::POST,
            rest: "/action",
            kind: Kind::Plain(Some(json!({"failover": {"type": "planned", "mappings": {}}}))),
            twice: false,
        };
        if let Some((_, side)) = self.change(&order, first).await? {
            self.push(group, side).await?;
        }
        Ok(())
    }

    /// Where a group has no servers this is refused.
    async fn take_over(&mut self, group: usize, side: Side) -> Said<()> {
        let order = json!({"failover": {"type": "unplanned"}});
        self.ask(Ask::new(side, Method::POST, group, "/action").json(&order))
            .await?;
        Ok(())
    }

    async fn delete(&mut self, group: usize, first: Side) -> Said<()> {
        self.wire.scene.record().groups[group].deleted = true;
        let order = Order {
            group,
            method: Method::DELETE,
            rest: "",
            kind: Kind::Plain(None),
            twice: false,
        };
        let Some((reply, side)) = self.change(&order, first).await? else {
            return Ok(());
        };
        let tombstone = &reply.body["tombstone"];
        self.keep(group, side, PaperKind::Tombstone, tombstone);
        self.bring(group, side.other(), PaperKind::Tombstone, tombstone)
            .await?;
        Ok(())
    }
}

/// Where a change is made.
fn place(change: Change) -> (Method, &'static str) {
    match change {
        Change::Describe | Change::Rename => (Method::PATCH, ""),
        Change::Map => (Method::PUT, "/mappings"),
    }
}
