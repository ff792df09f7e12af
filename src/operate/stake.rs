//! How much money a plan's reruns may move.

use std::collections::BTreeMap;

use super::foresee::Touch;
use super::plan::{Fate, Plan, Planned};
use crate::payment::Currency;

impl Plan {
    /// How much money its reruns are about, by currency and by what becomes of it, in minor units.
    #[must_use]
    pub fn touches(&self) -> BTreeMap<(Currency, Touch), u64> {
        let mut sums = BTreeMap::new();
        for planned in self.payments.iter().filter(|planned| planned.is_planned()) {
            if let Some(touched) = planned.foreseen.as_ref().and_then(|it| it.touches) {
                let sum = sums
                    .entry((touched.money.currency, touched.how))
                    .or_insert(0_u64);
                *sum = sum.saturating_add(touched.money.amount.minor());
            }
        }
        sums
    }

    /// The largest amount that a rerun may come to take or reserve which is to be told or may not have
    /// been, in minor units. Of what says nothing about that it may be any.
    #[must_use]
    pub fn largest_moved(&self) -> u64 {
        let open = |planned: &&Planned| matches!(planned.fate, Fate::Waits | Fate::Given { .. });
        let open = self.payments.iter().filter(open);
        let most = open.map(|planned| planned.most.unwrap_or(u64::MAX));
        most.max().unwrap_or(0)
    }
}
