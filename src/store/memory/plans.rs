//! What operators plan, in memory.

use super::MemoryStore;
use crate::payment::Timestamp;
use crate::store::plans::SOON;
use crate::store::switches::Switches;
use crate::store::{FoundPlan, PlanId, PlanWrite, Plans, StoreError};

impl Plans for MemoryStore {
    async fn plan(&self, id: &PlanId) -> Result<Option<FoundPlan>, StoreError> {
        self.ask("plan", |books, _| {
            let found = books.plans.get(id);
            Ok(found.map(|(text, write, _)| FoundPlan {
                text: text.clone(),
                mark: write.to_string(),
            }))
        })
    }

    async fn keep_plan(
        &self,
        id: &PlanId,
        found: Option<&FoundPlan>,
        PlanWrite { text, due, audit }: PlanWrite<'_>,
    ) -> Result<Option<FoundPlan>, StoreError> {
        self.ask("keep_plan", |books, _| {
            let there = books.plans.get(id).map(|(_, write, _)| write.to_string());
            if there.as_deref() != found.map(|found| found.mark.as_str()) {
                return Ok(None);
            }
            books.card_writes += 1;
            let write = books.card_writes;
            books.audit.extend(audit.cloned());
            match due {
                Some(due) => books
                    .plans
                    .insert(id.clone(), (text.to_owned(), write, due)),
                None => books.plans.remove(id),
            };
            Ok(Some(FoundPlan {
                text: text.to_owned(),
                mark: write.to_string(),
            }))
        })
    }

    async fn due_plans(&self, slots: usize) -> Result<Vec<PlanId>, StoreError> {
        self.ask("due_plans", |books, now| {
            let all = books.plans.iter();
            let due = all.filter_map(|(id, (_, _, due))| (*due <= now).then_some((*due, id)));
            let mut due: Vec<_> = due.collect();
            due.sort_unstable();
            due.truncate(slots);
            Ok(due.into_iter().map(|(_, id)| id.clone()).collect())
        })
    }

    async fn postpone_plan(&self, id: &PlanId, until: Timestamp) -> Result<(), StoreError> {
        self.ask("postpone_plan", |books, _| {
            if let Some((_, _, due)) = books.plans.get_mut(id) {
                *due = until.max(*due);
            }
            Ok(())
        })
    }

    async fn plans(&self, most: usize) -> Result<Vec<PlanId>, StoreError> {
        self.ask("plans", |books, now| {
            let all = books.plans.iter().map(|(id, (_, _, due))| (*due, id));
            let (mut soon, mut later): (Vec<_>, Vec<_>) =
                all.partition(|(due, _)| *due <= now + SOON);
            soon.sort_unstable();
            later.sort_unstable_by(|one, other| other.cmp(one));
            let ids = soon.into_iter().chain(later).map(|(_, id)| id.clone());
            Ok(ids.take(most).collect())
        })
    }

    /// Nothing can be stopped in it.
    async fn switches(&self) -> Result<Switches, StoreError> {
        Ok(Switches::default())
    }
}
