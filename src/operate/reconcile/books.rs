//! Reads the records a page at a time, and compares each with what the gateway shows.

use std::collections::HashSet;

use chrono::{Offset, TimeDelta, Utc};
use futures_util::stream::{self, StreamExt};

use super::asking::{Asking, Heard};
use super::columns::Layout;
use super::matching::{Case, Compared, Rules, SETTLES_WITHIN, Shown};
use super::pages::{Pages, digits_of, in_order_of_life};
use super::report::{Lines, Plan, Report, Sums};
use super::statement::{Line, Statement};
use super::{Asked, Pace, Period, Progress, StatementFrom, Stopped};
use crate::clock::Clock;
use crate::gateway::ChipGateway;
use crate::payment::{Payment, PaymentId, PurchaseId, State, StateName, Timestamp};
use crate::store::{Loaded, Store, Unread};

/// How much earlier and later than the period the statement is asked for.
const AROUND: TimeDelta = TimeDelta::days(1);
/// What was taken so shortly before the statement was made need not stand in it.
const TOO_NEW: TimeDelta = TimeDelta::minutes(10);
/// How often a payment that differs is read again while it goes on changing.
const MOST_CHANGES: u32 = 4;

/// Everything that there is to compare.
#[derive(Clone, Copy)]
pub struct Books<'a, S> {
    /// Our records.
    pub store: &'a S,
    /// The gateway.
    pub gateway: &'a ChipGateway,
    /// What time it is.
    pub clock: &'a Clock,
    /// How fast everything goes.
    pub pace: Pace,
}

/// One comparing, from beginning to end.
pub(super) struct Run<'a, S> {
    pub(super) store: &'a S,
    pub(super) asked: &'a Asked,
    pub(super) asking: Asking<'a>,
    pub(super) rules: Rules,
    pub(super) statement: Statement,
}

/// What came of one payment.
pub(super) struct Done {
    pub(super) payment: PaymentId,
    purchase: Option<PurchaseId>,
    compared: Compared,
    sums: Option<(String, Sums)>,
}

impl Done {
    /// A record that cannot be read.
    pub(super) fn not_read(payment: PaymentId, problem: &str) -> Self {
        let why = format!("its record cannot be read ({problem}): it is of no known account");
        done(payment, None, Compared::Not(why))
    }

    /// A record of an account that shares no statement with this one, as far as the settings say.
    pub(super) fn anothers(payment: &Payment) -> Self {
        let account = &payment.request().account;
        let why = format!(
            "its record is of the account {account}, which these settings do not have with this brand: \
             nobody compares it"
        );
        done(payment.id().clone(), None, Compared::Not(why))
    }
}

/// Whether a payment has to do with the period.
enum Concern {
    /// It was over before.
    None,
    /// There is nothing at the gateway to compare it with, or it is on its way.
    Open,
    /// It was over before anything was made at the gateway.
    Nothing,
    /// Ask the gateway.
    Ask,
}

impl<S: Store> Books<'_, S> {
    /// Compares the books.
    pub async fn reconcile(
        &self,
        asked: &Asked,
        progress: &mut impl FnMut(Progress),
    ) -> Result<Report, Stopped> {
        let asking = Asking::new(self.gateway, &asked.account, self.pace);
        let now = self.clock.now();
        let Period { from, to, .. } = asked.period;
        let made_at = match &asked.statement {
            StatementFrom::Read { made_at, .. } => now.min(*made_at),
            StatementFrom::Gateway(_) | StatementFrom::Nowhere => now,
        };
        let statement = match &asked.statement {
            StatementFrom::Nowhere => None,
            StatementFrom::Read { statement, .. } => Some(statement.clone()),
            StatementFrom::Gateway(layout) => {
                let bytes = asking.statement(from - AROUND, to + AROUND, progress);
                let layout = Layout {
                    offset: Utc.fix(),
                    ..layout.clone()
                };
                Some(Statement::read(&bytes.await?, &layout)?)
            }
        };
        let mut report = Report::new(asked.account.clone(), asked.period);
        report.too_early = (to > made_at - TOO_NEW).then(|| to + TOO_NEW);
        report.lines = statement.as_ref().map(|statement| Lines {
            given_back: statement.given_back,
            other: statement.other,
            ..Lines::default()
        });
        let run = Run {
            store: self.store,
            asked,
            asking,
            rules: Rules {
                period: asked.period,
                stated_until: statement.as_ref().map(|_| made_at - TOO_NEW),
                now,
            },
            statement: statement.unwrap_or_default(),
        };
        let mut claimed = vec![false; run.statement.lines().len()];
        run.records(&mut report, &mut claimed, progress).await?;
        run.strays(&mut report, &claimed).await?;
        Ok(report)
    }

    /// What that would be, without a word to the gateway.
    pub async fn plan(
        &self,
        asked: &Asked,
        progress: &mut impl FnMut(Progress),
    ) -> Result<Plan, Stopped> {
        let (mut plan, now, mut read) = (Plan::default(), self.clock.now(), 0);
        for state in StateName::ALL {
            let mut pages = Pages::of(self.store, asked, state);
            while let Some(page) = pages.next().await? {
                read += page.payments.len() as u64;
                progress(Progress::Read(read));
                plan.unread += page.unread.len() as u64;
                for loaded in page.payments {
                    match concern(&loaded.payment, &asked.period, now) {
                        Concern::None => {}
                        Concern::Open | Concern::Nothing => plan.without += 1,
                        Concern::Ask => plan.look_ups += 1,
                    }
                }
            }
        }
        Ok(plan)
    }
}

impl<S: Store> Run<'_, S> {
    /// All records that have to do with the period, and those that nobody can read.
    async fn records(
        &self,
        report: &mut Report,
        claimed: &mut [bool],
        progress: &mut impl FnMut(Progress),
    ) -> Result<(), Stopped> {
        let mut met: HashSet<u128> = HashSet::new();
        for state in in_order_of_life() {
            let mut pages = Pages::of(self.store, self.asked, state);
            while let Some(page) = pages.next().await? {
                for Unread { payment, problem } in page.unread {
                    if met.insert(digits_of(&payment)) {
                        self.enter(Done::not_read(payment, &problem), report, claimed);
                    }
                }
                let mut wanted = Vec::new();
                for loaded in page.payments {
                    let concern = concern(&loaded.payment, &self.rules.period, self.rules.now);
                    let is_none = matches!(concern, Concern::None);
                    if is_none || !met.insert(digits_of(loaded.payment.id())) {
                        continue;
                    }
                    match concern {
                        Concern::Open if !self.is_stated(&loaded) => report.open += 1,
                        Concern::Nothing => report.agree += 1,
                        _ => wanted.push(loaded),
                    }
                }
                let looks = wanted.into_iter().map(|loaded| self.one(loaded));
                let mut looks =
                    stream::iter(looks).buffer_unordered(self.asking.pace.at_once.max(1));
                while let Some(done) = looks.next().await {
                    self.enter(done?, report, claimed);
                    progress(Progress::Compared(report.looked_at()));
                }
            }
        }
        Ok(())
    }

    /// Counts what came of a payment, and claims its lines.
    pub(super) fn enter(&self, done: Done, report: &mut Report, claimed: &mut [bool]) {
        let places = done
            .purchase
            .map(|purchase| self.statement.places_of(&purchase));
        for claim in places
            .and_then(|at| claimed.get_mut(at))
            .into_iter()
            .flatten()
        {
            *claim = true;
        }
        if let Some((currency, sums)) = done.sums {
            let sum = report.sums.entry(currency).or_default();
            sum.recorded += sums.recorded;
            sum.gateway += sums.gateway;
            sum.statement += sums.statement;
        }
        report.add(done.payment, done.compared);
    }

    /// Compares one payment. A difference is believed when it was seen twice on a record that did
    /// not change between the two: what is on its way changes its record first.
    pub(super) async fn one(&self, mut loaded: Loaded) -> Result<Done, Stopped> {
        let id = loaded.payment.id().clone();
        let (mut differed_at, mut last) = (None, None);
        for _ in 0..MOST_CHANGES {
            let payment = &loaded.payment;
            let Some(purchase) = payment.purchase().map(|known| known.id.clone()) else {
                return Ok(done(id, None, Compared::Open));
            };
            let shown = match self.asking.ask(&purchase).await? {
                Heard::Shown(shown) => shown,
                Heard::Nothing(why) => {
                    return Ok(done(id, Some(purchase), Compared::Not(why)));
                }
            };
            let case = Case {
                payment,
                shown: &shown,
                lines: self.lines_of(&purchase),
                rules: &self.rules,
            };
            let compared = case.compare();
            let certain = differed_at == Some(loaded.version);
            if certain || !matches!(compared, Compared::Differs(_)) {
                let sums = sums(&case);
                let compared = done(id, Some(purchase), compared);
                return Ok(Done { sums, ..compared });
            }
            differed_at = Some(loaded.version);
            last = Some(purchase.clone());
            let Some(again) = self.store.load(&id).await? else {
                let why = "its record is gone by now".to_owned();
                return Ok(done(id, Some(purchase), Compared::Not(why)));
            };
            loaded = again;
        }
        Ok(done(id, last, Compared::Open))
    }

    /// Whether the statement has money for a payment of which the record knows nothing yet.
    fn is_stated(&self, loaded: &Loaded) -> bool {
        let purchase = loaded.payment.purchase();
        purchase.is_some_and(|known| !self.lines_of(&known.id).is_empty())
    }

    fn lines_of(&self, purchase: &PurchaseId) -> &[Line] {
        let places = self.statement.places_of(purchase);
        self.statement.lines().get(places).unwrap_or_default()
    }
}

fn done(payment: PaymentId, purchase: Option<PurchaseId>, compared: Compared) -> Done {
    Done {
        payment,
        purchase,
        compared,
        sums: None,
    }
}

/// The money of a payment that is recorded paid, if it was taken in the period.
fn sums(case: &Case<'_>) -> Option<(String, Sums)> {
    let State::Paid(money) = case.payment.state() else {
        return None;
    };
    let of_period = case.taken_at().is_some_and(|at| case.rules.period.has(at));
    let shown = match case.shown {
        Shown::Entry(entry) => entry.seen.taken.as_ref().map_or(0, |taken| taken.amount),
        Shown::NoSuchPurchase => 0,
    };
    of_period.then(|| {
        let sums = Sums {
            recorded: money.amount.minor(),
            gateway: shown,
            statement: case.lines.iter().map(|line| line.amount).sum(),
        };
        (money.currency.as_str().to_owned(), sums)
    })
}

fn concern(payment: &Payment, period: &Period, now: Timestamp) -> Concern {
    let over_before = payment.finished_at().is_some_and(|at| at < period.from);
    let is_new = now - payment.created_at() < SETTLES_WITHIN;
    match (payment.state(), payment.purchase()) {
        _ if over_before => Concern::None,
        // A worker is about to ask; but whether one does, nobody says: what is older is asked about here.
        (State::New | State::AwaitingPayer, Some(_)) if is_new => Concern::Open,
        (State::New | State::AwaitingPayer | State::Held(_) | State::Parked { .. }, None) => {
            Concern::Open
        }
        (_, None) => Concern::Nothing,
        (_, Some(_)) => Concern::Ask,
    }
}
