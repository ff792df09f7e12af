//! Sums over all unfinished payments, made of their faces: exact, and no record is read.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::payment::{AccountName, Currency, StateName, Timestamp};
use crate::store::{Face, StepName};

/// Within how many hours a hold that lapses is counted as lapsing soon; each count holds the ones before.
pub const LAPSING_HOURS: [i64; 3] = [24, 48, 72];
/// For how many hours ahead what is planned is counted as due.
pub const DUE_HOURS: i64 = 24;
/// How long one bar of the timeline of holds is, and how many there are.
pub const BAR_HOURS: i64 = 12;
const BARS: usize = 16;

/// What an operator asks first, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// As of when.
    pub as_of: Timestamp,
    /// How long counting took, in milliseconds.
    pub took_ms: u64,
    /// How many unfinished payments are in none of these sums, at least: they were recorded before
    /// there were faces, and not saved since.
    pub uncounted: u64,
    /// Everything unfinished, by state; the age is the time in that state.
    pub by_state: BTreeMap<StateName, Sums>,
    /// Holds, also of parked payments: money that is reserved now.
    pub held: Sums,
    /// Holds that lapse within [`LAPSING_HOURS`], those not counted that should have lapsed by now.
    pub lapsing: [Sums; LAPSING_HOURS.len()],
    /// Holds that should have lapsed by now.
    pub lapsed: Sums,
    /// Holds by when they lapse, from now on, one bar after the other.
    pub bars: [Sums; BARS],
    /// Holds that lapse after the last bar.
    pub later: Sums,
    /// What is planned within [`DUE_HOURS`], or should have been done: by step. The age counts from
    /// the planned time.
    pub due: BTreeMap<StepName, Sums>,
    /// What is not known of calls that were made, by step. The age counts from the call.
    pub in_doubt: BTreeMap<StepName, Sums>,
    /// What a person must look at, by reason.
    pub parked: BTreeMap<String, Sums>,
}

/// How many, how much and since when, by account and currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums(BTreeMap<AccountName, BTreeMap<Option<Currency>, Sum>>);

/// How many, how much and since when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many payments.
    pub count: u64,
    /// How much in all, in minor units.
    pub minor: u64,
    /// The oldest.
    pub oldest: Option<Timestamp>,
}

impl Sum {
    const fn one(minor: u64, at: Timestamp) -> Self {
        Self {
            count: 1,
            minor,
            oldest: Some(at),
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            minor: self.minor.saturating_add(other.minor),
            oldest: self.oldest.into_iter().chain(other.oldest).min(),
        }
    }
}

impl Sums {
    fn add(&mut self, face: &Face, at: Timestamp) {
        // No name is copied but for the first payment of an account.
        if !self.0.contains_key(&face.account) {
            self.0.insert(face.account.clone(), BTreeMap::new());
        }
        let (currency, minor) = face.money.map_or((None, 0), |money| {
            (Some(money.currency), money.amount.minor())
        });
        if let Some(own) = self.0.get_mut(&face.account) {
            let sum = own.entry(currency).or_default();
            *sum = sum.and(Sum::one(minor, at));
        }
    }

    /// Each account's own, by currency; without one for what is about no money.
    pub fn each(&self) -> impl Iterator<Item = (&AccountName, Option<Currency>, Sum)> {
        self.0.iter().flat_map(|(account, own)| {
            let each = own.iter();
            each.map(move |(currency, sum)| (account, *currency, *sum))
        })
    }

    /// All of it in one, whatever its currency: only count and age mean something.
    #[must_use]
    pub fn whole(&self) -> Sum {
        self.each()
            .fold(Sum::default(), |whole, (_, _, sum)| whole.and(sum))
    }

    /// By currency, over all accounts.
    #[must_use]
    pub fn by_currency(&self) -> BTreeMap<Currency, Sum> {
        let mut sums: BTreeMap<Currency, Sum> = BTreeMap::new();
        for (_, currency, sum) in self.each() {
            if let Some(currency) = currency {
                let known = sums.entry(currency).or_default();
                *known = known.and(sum);
            }
        }
        sums
    }

    /// The sums of several together.
    pub fn of<'a>(several: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sums = Self::default();
        for some in several {
            for (account, currency, sum) in some.each() {
                let own = sums.0.entry(account.clone()).or_default();
                let known = own.entry(currency).or_default();
                *known = known.and(sum);
            }
        }
        sums
    }

    fn only(&self, may: &dyn Fn(&AccountName) -> bool) -> Self {
        let kept = self.0.iter().filter(|(account, _)| may(account));
        Self(
            kept.map(|(name, own)| (name.clone(), own.clone()))
                .collect(),
        )
    }
}

impl Tally {
    /// A tally of nothing yet.
    #[must_use]
    pub fn new(as_of: Timestamp) -> Self {
        Self {
            as_of,
            took_ms: 0,
            uncounted: 0,
            by_state: BTreeMap::new(),
            held: Sums::default(),
            lapsing: std::array::from_fn(|_| Sums::default()),
            lapsed: Sums::default(),
            bars: std::array::from_fn(|_| Sums::default()),
            later: Sums::default(),
            due: BTreeMap::new(),
            in_doubt: BTreeMap::new(),
            parked: BTreeMap::new(),
        }
    }

    /// Takes in one payment.
    pub fn add(&mut self, face: &Face) {
        let since = face.since;
        self.by_state
            .entry(face.state)
            .or_default()
            .add(face, since);
        if let Some(lapses_at) = face.lapses_at {
            self.held.add(face, since);
            self.add_lapse(face, lapses_at);
        }
        let soon = self.as_of + TimeDelta::hours(DUE_HOURS);
        if let Some(planned) = face.planned.filter(|planned| planned.at < soon) {
            let sums = self.due.entry(planned.step).or_default();
            sums.add(face, planned.at);
        }
        if let Some(doubt) = face.in_doubt {
            let sums = self.in_doubt.entry(doubt.step).or_default();
            sums.add(face, doubt.at);
        }
        if let (StateName::Parked, Some(reason)) = (face.state, &face.reason) {
            if !self.parked.contains_key(reason) {
                self.parked.insert(reason.clone(), Sums::default());
            }
            if let Some(sums) = self.parked.get_mut(reason) {
                sums.add(face, since);
            }
        }
    }

    fn add_lapse(&mut self, face: &Face, lapses_at: Timestamp) {
        let left = lapses_at - self.as_of;
        if left <= TimeDelta::zero() {
            return self.lapsed.add(face, face.since);
        }
        for (hours, sums) in LAPSING_HOURS.into_iter().zip(&mut self.lapsing) {
            if left <= TimeDelta::hours(hours) {
                sums.add(face, face.since);
            }
        }
        let bar = usize::try_from(left.num_milliseconds() / (BAR_HOURS * 3_600_000));
        match bar.ok().and_then(|bar| self.bars.get_mut(bar)) {
            Some(sums) => sums.add(face, face.since),
            None => self.later.add(face, face.since),
        }
    }

    /// When a bar begins.
    #[must_use]
    pub fn bar_begins(&self, bar: usize) -> Timestamp {
        let bars = i64::try_from(bar).unwrap_or_default();
        self.as_of + TimeDelta::hours(BAR_HOURS * bars)
    }

    /// The same, of those accounts alone that somebody may see.
    #[must_use]
    pub fn only(&self, may: &dyn Fn(&AccountName) -> bool) -> Self {
        let each = |sums: &Sums| sums.only(may);
        Self {
            as_of: self.as_of,
            took_ms: self.took_ms,
            uncounted: self.uncounted,
            by_state: kept(&self.by_state, &each),
            held: each(&self.held),
            lapsing: self.lapsing.each_ref().map(each),
            lapsed: each(&self.lapsed),
            bars: self.bars.each_ref().map(each),
            later: each(&self.later),
            due: kept(&self.due, &each),
            in_doubt: kept(&self.in_doubt, &each),
            parked: kept(&self.parked, &each),
        }
    }
}

/// What is left of each, without what is empty then.
fn kept<K: Ord + Clone>(
    all: &BTreeMap<K, Sums>,
    each: &dyn Fn(&Sums) -> Sums,
) -> BTreeMap<K, Sums> {
    let left = all.iter().map(|(key, sums)| (key.clone(), each(sums)));
    left.filter(|(_, sums)| !sums.0.is_empty()).collect()
}
