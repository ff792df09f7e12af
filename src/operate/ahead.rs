//! What becomes of money when a payment goes on: by its next call, or by a hold that is still to come, which
//! is tried on a copy of it.

use serde::{Deserialize, Serialize};

use super::course::RESUMED_WITHIN;
use super::foresee::MOST_MOVES;
use crate::payment::{
    Active, Amount, Ask, Authorize, Event, Links, LookUp, Money, Next, Payment, Policy, PurchaseId,
    Sighting, Source, Standing, Step, Timestamp,
};

/// What becomes of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Touch {
    /// It is taken.
    Takes,
    /// It is reserved.
    Reserves,
    /// It is given back.
    GivesBack,
    /// It was taken before, and that is recorded.
    RecordsTaken,
}

impl Touch {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Takes => "takes",
            Self::Reserves => "reserves",
            Self::GivesBack => "gives_back",
            Self::RecordsTaken => "records_taken",
        }
    }
}

/// Money, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// What becomes of it.
    pub how: Touch,
    /// How much.
    pub money: Money,
    /// The whole of a hold that comes about first, where this is then taken of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_hold: Option<Money>,
}

impl Touched {
    pub(super) const fn new(how: Touch, money: Money) -> Self {
        Self {
            how,
            money,
            of_hold: None,
        }
    }

    /// All that becomes of money, each with how much.
    pub fn each(&self) -> impl Iterator<Item = (Touch, Money)> {
        let reserved = self.of_hold.map(|money| (Touch::Reserves, money));
        [(self.how, self.money)].into_iter().chain(reserved)
    }

    /// The most that it is about.
    #[must_use]
    pub fn most(&self) -> Money {
        match self.of_hold {
            Some(hold) if hold.amount > self.money.amount => hold,
            _ => self.money,
        }
    }
}

/// When a hold is to be captured for that to be told as taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Captured {
    /// As soon as it stands, if it comes about while the plan can be carried out.
    AtOnce,
    /// At any time.
    Ever,
}

/// The money that a payment may come to move which goes on, or will: by its next call, by the one of which
/// is not known what it did, by the charge that it is for, or by the hold that it waits for.
pub(super) fn ahead(payment: &Payment, now: Timestamp, policy: &Policy) -> Option<Touched> {
    let mut on = payment.clone();
    on.settled(Event::Resumed, now, policy);
    let active = on.state().active().filter(|_| on.ending().is_none());
    let (_, next) = comes_to(&on, now, policy);
    let step = match (active, next, on.open_attempt()) {
        // The payer may have paid while nobody looked.
        (Some(Active::AwaitingPayer), _, None) => Step::Charge,
        (_, Next::Send(step), _) => step,
        (_, _, Some(open)) => open.step,
        (Some(Active::New), _, None) => Step::Charge,
        _ => return None,
    };
    touched(&on, step, Captured::Ever, now, policy)
}

/// What is done next with nothing new from anybody, and when.
fn comes_to(payment: &Payment, from: Timestamp, policy: &Policy) -> (Timestamp, Next) {
    let mut at = from;
    for _ in 0..MOST_MOVES {
        match payment.next(at, policy) {
            Next::WaitUntil(later) if later > at => at = later,
            next => return (at, next),
        }
    }
    (at, Next::Nothing)
}

/// The money that `step` is about, and what a purchase that is made for it is charged with.
pub(super) fn touched(
    payment: &Payment,
    step: Step,
    captured: Captured,
    now: Timestamp,
    policy: &Policy,
) -> Option<Touched> {
    let held = match payment.state().active() {
        Some(Active::Held(hold)) => Some(hold.money),
        _ => None,
    };
    match (step, &payment.request().ask) {
        (Step::Create | Step::Charge, Ask::Charge(ask)) => {
            Some(Touched::new(Touch::Takes, ask.money))
        }
        // By itself a link reserves nothing.
        (
            Step::Create,
            Ask::Authorize(Authorize {
                source: Source::Checkout(_),
                ..
            }),
        ) => None,
        (Step::Create | Step::Charge, Ask::Authorize(ask)) => {
            Some(of_hold(payment, ask.money, captured, now, policy))
        }
        // Its hold stands already, or never comes.
        (Step::Create | Step::Charge, Ask::Adopt(ask)) => Some(Touched {
            of_hold: None,
            ..of_hold(payment, ask.money, captured, now, policy)
        }),
        (Step::Capture { amount }, _) => {
            let currency = held?.currency;
            Some(Touched::new(Touch::Takes, Money { amount, currency }))
        }
        (Step::Release, _) => Some(Touched::new(Touch::GivesBack, held?)),
        (Step::Create | Step::Charge | Step::Cancel, _) => None,
    }
}

/// What becomes of the money of a hold that may come about.
fn of_hold(
    payment: &Payment,
    money: Money,
    captured: Captured,
    now: Timestamp,
    policy: &Policy,
) -> Touched {
    let currency = money.currency;
    let course = |at| course_of_hold(payment, money, at, policy);
    let planned = payment.plan().capture_at.filter(|at| *at >= now);
    let taken = match captured {
        Captured::Ever => {
            let times = [Some(now), planned].into_iter().flatten();
            times.filter_map(|at| Some(course(at)?.1)).max()
        }
        Captured::AtOnce => {
            let end = now + RESUMED_WITHIN;
            let due = course(now).map(|(at, _)| at);
            let times = [Some(now), due, planned, Some(end)].into_iter().flatten();
            let at_once = |at| course(at).filter(|(taken, _)| *taken == at);
            let taken = times.filter(|at| *at <= end).filter_map(at_once);
            taken.map(|(_, amount)| amount).max()
        }
    };
    match taken {
        Some(amount) => Touched {
            how: Touch::Takes,
            money: Money { amount, currency },
            of_hold: Some(money),
        },
        None => Touched::new(Touch::Reserves, money),
    }
}

/// When a hold is captured that comes about at `at`, and how much of it, if nobody says anything more.
fn course_of_hold(
    payment: &Payment,
    money: Money,
    at: Timestamp,
    policy: &Policy,
) -> Option<(Timestamp, Amount)> {
    let purchase = match payment.purchase() {
        Some(purchase) => purchase.id.clone(),
        None => PurchaseId::new("foreseen").ok()?,
    };
    let held = Sighting {
        purchase,
        standing: Standing::Held,
        total: money.amount.minor(),
        currency: money.currency.as_str().to_owned(),
        converted: false,
        brand: policy.account.brand.clone(),
        test: policy.account.test,
        reference: payment.id().as_str().to_owned(),
        taken: None,
        by_hand: false,
        card: None,
        face: None,
        tries: Vec::new(),
        held_since: Some(at),
        due: None,
        links: Links::default(),
    };
    let mut copy = payment.clone();
    copy.looked_up(&LookUp::Shown(Box::new(held)), at, policy);
    match comes_to(&copy, at, policy) {
        (at, Next::Send(Step::Capture { amount })) => Some((at, amount)),
        _ => None,
    }
}
