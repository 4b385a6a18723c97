//! Keypairs of the twins, made for the tenant where he has none of that name, and taken back with the rest.
//!
//! A keypair has no field that could carry the operation, and it belongs to a user, who may make one of the same
//! name and key at any time. So the record of the step is the only proof that it is ours: it names what a call
//! of this step was seen to make, and of whom. Where the record was lost with an answer or an engine, the keypair
//! stays and is listed as in doubt: nothing breaks by it, while one that its user relies on is not ours to take.

use protector_domain::UserId;
use protector_ports::cloud::{Access, Keypair};
use protector_ports::error::{Absent, Kind};
use protector_saga::{State, StepContext};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::left_behind::{IN_DOUBT, Make, Remnant};
use super::{Failover, recorded, step};
use crate::failure::{OrFail, StepResult, While};

/// What this step was seen to make.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KeypairRecord {
    /// Whose they are: the trustor of that moment.
    user_id: Option<UserId>,
    made: Vec<String>,
}

fn is_same(one: &Keypair, other: &Keypair) -> bool {
    one.public_key.trim() == other.public_key.trim()
}

impl Failover {
    pub(super) async fn create_keypairs(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let cloud = &self.world.cloud;
        let plan = self.target_plan(context.state)?;
        let tenant = self.tenant(self.order.target).await?;
        let mut record = KeypairRecord::default();
        for (name, keypair) in &plan.keypairs {
            let there = cloud.keypair(&tenant, name, None).await.absent().or_fail()?;
            if there.is_some() {
                continue;
            }
            if record.user_id.is_none() {
                record.user_id = Some(cloud.owner(&tenant).await.or_fail()?.user_id);
            }
            match cloud.create_keypair(&tenant, keypair).await {
                Ok(true) => record.made.push(name.clone()),
                Ok(false) => {}
                Err(error) => {
                    // A step that fails leaves no record, so what it made goes now.
                    for made in &record.made {
                        if let Err(error) = cloud.delete_keypair(&tenant, made, None).await {
                            tracing::warn!(keypair = made, reason = error.message, "a new keypair stays");
                        }
                    }
                    return Err(error).or_fail().during(format!("creating keypair '{name}'"));
                }
            }
        }
        serde_json::to_value(record).or_fail()
    }

    /// Only what is known to be ours, and still is what it was.
    pub(super) async fn delete_keypairs(&self, context: &StepContext<'_>) -> StepResult<()> {
        let Ok(record) = recorded::<KeypairRecord>(context.state, step::KEYPAIRS) else {
            return Ok(());
        };
        let Some(user) = record.user_id.as_ref().filter(|_| !record.made.is_empty()) else {
            return Ok(());
        };
        let plan = self.target_plan(context.state)?;
        let (access, of) = self.keeper(user).await?;
        for name in &record.made {
            let now = self.world.cloud.keypair(&access, name, of).await;
            if let (Some(now), Some(ours)) = (now.absent().or_fail()?, plan.keypairs.get(name))
                && is_same(&now, ours)
            {
                let deleted = self.world.cloud.delete_keypair(&access, name, of).await;
                deleted.or_fail().during(format!("deleting keypair '{name}'"))?;
            }
        }
        Ok(())
    }

    /// What was not there when the operation began, is there now, and has the key that the operation would
    /// have made it with.
    pub(super) async fn keypairs_left(&self, state: &State, remnant: &Make<'_>) -> StepResult<Vec<Remnant>> {
        let begun = state.step(step::KEYPAIRS).is_some_and(|step| step.attempts > 0);
        let (true, Ok(plan)) = (begun, self.target_plan(state)) else {
            return Ok(Vec::new());
        };
        let record = recorded::<KeypairRecord>(state, step::KEYPAIRS).unwrap_or_default();
        let (access, of) = match &record.user_id {
            Some(user) => self.keeper(user).await?,
            None => (self.tenant(self.order.target).await?, None),
        };
        let mut found = Vec::new();
        for (name, ours) in &plan.keypairs {
            if !plan.missing_keypairs.contains(name) && !record.made.contains(name) {
                continue;
            }
            let now = self.world.cloud.keypair(&access, name, of).await;
            let now = now.absent().or_fail().during("looking for keypairs")?;
            if now.is_some_and(|now| is_same(&now, ours)) {
                let known = record.made.contains(name);
                let status = if known { "present" } else { IN_DOUBT };
                found.push(remnant("keypair", name.clone(), name.clone(), status.to_owned()));
            }
        }
        Ok(found)
    }

    /// Who reaches this user's keypairs: he himself by his trust. Where the trust is another's by now, or is
    /// gone, the service user asks for them by the user's id.
    async fn keeper<'a>(&self, user: &'a UserId) -> StepResult<(Access, Option<&'a str>)> {
        let tenant = self.tenant(self.order.target).await?;
        match self.world.cloud.owner(&tenant).await {
            Ok(owner) if owner.user_id == *user => Ok((tenant, None)),
            Err(error) if !error.is(Kind::Unauthorized) && !error.is(Kind::Forbidden) => Err(error).or_fail(),
            _ => {
                let service = self.service(self.order.target).await?;
                Ok((service, Some(user.as_str())))
            }
        }
    }
}
