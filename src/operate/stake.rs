//! How much money a plan's reruns may move.

use std::collections::BTreeMap;

use super::ahead::{Touch, Touched};
use super::plan::{Fate, Phase, Plan, Planned};
use crate::payment::Currency;

impl Plan {
    /// How much money its reruns are about, by currency and by what becomes of it, in minor units.
    #[must_use]
    pub fn touches(&self) -> BTreeMap<(Currency, Touch), u64> {
        let mut sums = BTreeMap::new();
        for planned in self.at_stake() {
            let touched = planned.foreseen.as_ref().and_then(|it| it.touches);
            for (how, money) in touched.iter().flat_map(Touched::each) {
                let sum = sums.entry((money.currency, how)).or_insert(0_u64);
                *sum = sum.saturating_add(money.amount.minor());
            }
        }
        sums
    }

    /// All the money that its reruns are about at most, whatever becomes of it: what is reserved and then
    /// taken is one.
    #[must_use]
    pub fn about(&self) -> BTreeMap<Currency, u64> {
        let mut sums = BTreeMap::new();
        let foreseen = self
            .at_stake()
            .filter_map(|planned| planned.foreseen.as_ref());
        for money in foreseen.filter_map(|it| it.touches).map(|it| it.most()) {
            let sum = sums.entry(money.currency).or_insert(0_u64);
            *sum = sum.saturating_add(money.amount.minor());
        }
        sums
    }

    /// The payments that it is about; once a run was stopped, those that may still be: whoever has it go
    /// on decides about them alone.
    pub(super) fn at_stake(&self) -> impl Iterator<Item = &Planned> + Clone {
        let stopped = matches!(self.phase, Phase::Stopped { .. });
        let of = move |planned: &&Planned| {
            if stopped {
                planned.is_to_come()
            } else {
                planned.is_planned()
            }
        };
        self.payments.iter().filter(of)
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
