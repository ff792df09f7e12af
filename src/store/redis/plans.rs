//! What operators plan. A plan is one value, written by comparing all of it, as a card is: by the same
//! scripts.

use redis::{Pipeline, Value};

use super::call::{self, Call};
use super::value::{items, text, word};
use super::{RedisStore, value};
use crate::payment::Timestamp;
use crate::store::audit::AuditEntry;
use crate::store::plans::SOON;
use crate::store::switches::Switches;
use crate::store::write::due_ms;
use crate::store::{FoundPlan, Nonce, PlanId, PlanWrite, Plans, StoreError};

/// How long a plan is still there that is to be forgotten, in milliseconds.
const FORGOTTEN_AFTER_MS: i64 = 1_000;

impl Plans for RedisStore {
    async fn plan(&self, id: &PlanId) -> Result<Option<FoundPlan>, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("GET").arg(&self.0.keys.plan_three(id)[0]);
        let replies = self.0.link.read(&pipeline).await?;
        match replies.first() {
            Some(Value::Nil) => Ok(None),
            reply => {
                let mark = reply.and_then(text).unwrap_or_default();
                let (_, plan) = mark.split_once(' ').unwrap_or_default();
                Ok(Some(FoundPlan {
                    text: plan.to_owned(),
                    mark: mark.to_owned(),
                }))
            }
        }
    }

    async fn keep_plan(
        &self,
        id: &PlanId,
        found: Option<&FoundPlan>,
        PlanWrite { text, due, audit }: PlanWrite<'_>,
    ) -> Result<Option<FoundPlan>, StoreError> {
        let (entry, hash) = audit
            .map(AuditEntry::sealed)
            .transpose()?
            .unwrap_or_default();
        // No two writes are alike.
        let written = format!("{} {text}", Nonce::fresh().as_str());
        let due = due.map(|due| due_ms(due).to_string());
        let make = || {
            Call::new(&call::CARD, self.0.keys.plan_three(id).into())
                .arg(id.as_str())
                .arg(found.map_or("", |found| found.mark.as_str()))
                .arg(written.as_str())
                .arg(due.as_deref().unwrap_or_default())
                .number(FORGOTTEN_AFTER_MS)
                .arg(entry.as_slice())
                .arg(hash.as_str())
        };
        let patience = self.0.settings.save_patience();
        match word(&self.0.link.insist(patience, make).await?) {
            "kept" => Ok(Some(FoundPlan {
                text: text.to_owned(),
                mark: written,
            })),
            "outdated" => Ok(None),
            _ => Err(value::unexpected("a plan")),
        }
    }

    async fn due_plans(&self, slots: usize) -> Result<Vec<PlanId>, StoreError> {
        let now = self.0.clock.now().timestamp_millis();
        let mut pipeline = Pipeline::new();
        pipeline.cmd("ZRANGE").arg(self.0.keys.plans_due());
        pipeline.arg("-inf").arg(now).arg("BYSCORE");
        pipeline.arg("LIMIT").arg(0).arg(slots);
        Ok(ids(&self.0.link.read(&pipeline).await?))
    }

    async fn postpone_plan(&self, id: &PlanId, until: Timestamp) -> Result<(), StoreError> {
        let [plan, due, _] = self.0.keys.plan_three(id);
        let call = Call::new(&call::POSTPONE_CARD, vec![plan, due])
            .arg(id.as_str())
            .arg(due_ms(until).to_string());
        self.0.link.call(call).await.map(drop)
    }

    async fn plans(&self, most: usize) -> Result<Vec<PlanId>, StoreError> {
        let soon = due_ms(self.0.clock.now() + SOON);
        let due = self.0.keys.plans_due();
        let mut pipeline = Pipeline::new();
        pipeline.cmd("ZRANGE").arg(&due).arg("-inf").arg(soon);
        pipeline.arg("BYSCORE").arg("LIMIT").arg(0).arg(most);
        pipeline.cmd("ZRANGE").arg(&due).arg("+inf");
        pipeline.arg(format!("({soon}"));
        pipeline.arg("BYSCORE").arg("REV");
        pipeline.arg("LIMIT").arg(0).arg(most);
        let mut found = ids(&self.0.link.read(&pipeline).await?);
        found.truncate(most);
        Ok(found)
    }

    async fn switches(&self) -> Result<Switches, StoreError> {
        // The method of the same name that asks Redis.
        Self::switches(self).await
    }
}

fn ids(replies: &[Value]) -> Vec<PlanId> {
    let named = replies.iter().flat_map(items).filter_map(text);
    named.filter_map(|id| id.parse().ok()).collect()
}
