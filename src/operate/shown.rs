//! A plan as it is shown: nothing of it lets its reader pay or charge.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ahead::Touched;
use super::foresee::{Foreseen, Then};
use super::plan::{Fate, Phase, Plan, Planned, Selection};
use crate::payment::{Currency, ParkReason, Step, Timestamp};

/// The word for how far a plan is.
#[must_use]
pub fn phase_word(plan: &Plan, now: Timestamp) -> &'static str {
    match plan.phase {
        Phase::Wanted | Phase::Asking => "asking",
        Phase::Ready { .. } if plan.is_expired(now) => "expired",
        Phase::Ready { .. } => "ready",
        Phase::Applying { .. } => "applying",
        Phase::Stopped { .. } => "stopped",
        Phase::Done => "done",
    }
}

/// The word for what became of a payment.
#[must_use]
pub const fn fate_word(fate: &Fate) -> &'static str {
    match fate {
        Fate::Unasked => "unasked",
        Fate::LeftOut { .. } => "left_out",
        Fate::Waits => "waits",
        Fate::Given { .. } => "told",
        Fate::ChangedSince => "changed_since",
        Fate::AsForeseen { .. } => "as_foreseen",
        Fate::LooksOn { .. } => "looks_on",
        Fate::Odd { .. } => "odd",
    }
}

/// How many payments of a plan have each fate, by its word.
#[must_use]
pub fn fates(plan: &Plan) -> BTreeMap<&'static str, u64> {
    let mut fates = BTreeMap::new();
    for planned in &plan.payments {
        *fates.entry(fate_word(&planned.fate)).or_default() += 1;
    }
    fates
}

/// What would be done to some payments of a plan, or was: to how many, and about how much money at
/// most, in minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alike {
    /// How many.
    pub count: u64,
    /// How much money that is, by currency.
    pub minor: BTreeMap<Currency, u64>,
}

/// A plan's payments by what would be done to them, or why nothing would.
#[must_use]
pub fn by_what(plan: &Plan) -> BTreeMap<String, Alike> {
    let mut alike = BTreeMap::<String, Alike>::new();
    for planned in &plan.payments {
        let (what, foreseen) = match (&planned.fate, &planned.foreseen) {
            (Fate::Unasked, _) => ("not asked about yet".to_owned(), None),
            (Fate::LeftOut { why }, _) => (format!("left out: {}", why.as_str()), None),
            (_, Some(foreseen)) => (foreseen_kind(foreseen), Some(foreseen)),
            (_, None) => continue,
        };
        let own = alike.entry(what).or_default();
        own.count += 1;
        if let Some(touched) = foreseen.and_then(|foreseen| foreseen.touches) {
            let money = touched.most();
            let sum = own.minor.entry(money.currency).or_default();
            *sum = sum.saturating_add(money.amount.minor());
        }
    }
    alike
}

/// Which payments a plan is of, in words.
#[must_use]
pub fn selection_word(of: &Selection) -> String {
    match of {
        Selection::Payments(payments) => match &payments[..] {
            [one] => format!("payment {one}"),
            all => format!("{} chosen payments", all.len()),
        },
        Selection::Matching(filter) => {
            let mut words = vec![filter.state.as_str().to_owned()];
            if let Some(reason) = &filter.reason {
                words.push(format!(" for {reason}"));
            }
            if let Some(account) = &filter.account {
                words.push(format!(", of {account}"));
            }
            if let Some(ms) = filter.older_than_ms {
                let hours = ms / 3_600_000;
                let age = match ms % 3_600_000 {
                    0 => format!("{hours} h"),
                    _ => format!("{} min", ms / 60_000),
                };
                words.push(format!(", for {age} and more"));
            }
            words.concat()
        }
    }
}

/// Without its payments.
#[must_use]
pub fn summary(plan: &Plan, now: Timestamp) -> Value {
    let touches = plan.touches();
    let touches = touches.iter().map(|((currency, how), minor)| {
        json!({ "how": how.as_str(), "amount": minor, "currency": currency })
    });
    json!({
        "id": plan.id,
        "made_at": plan.made_at,
        "made_by": plan.made_by,
        "of": of(&plan.of),
        "phase": phase_word(plan, now),
        "until": match plan.phase { Phase::Ready { until } => Some(until), _ => None },
        "why": match &plan.phase { Phase::Stopped { why } => Some(why), _ => None },
        "applied_at": plan.applied.as_ref().map(|applied| applied.at),
        "applied_by": plan.applied.as_ref().map(|applied| &applied.by),
        "reason": plan.applied.as_ref().map(|applied| &applied.reason),
        "touches": touches.collect::<Vec<_>>(),
        "fates": fates(plan),
        "warnings": plan.warnings(),
    })
}

/// With them.
#[must_use]
pub fn whole(plan: &Plan, now: Timestamp) -> Value {
    let mut shown = summary(plan, now);
    shown["payments"] = plan.payments.iter().map(payment).collect();
    shown
}

fn of(of: &Selection) -> Value {
    match of {
        Selection::Payments(payments) => json!({ "payments": payments }),
        Selection::Matching(filter) => json!({
            "state": filter.state,
            "account": filter.account,
            "reason": filter.reason,
            "older_than_ms": filter.older_than_ms,
        }),
    }
}

fn payment(planned: &Planned) -> Value {
    let seen = planned.seen.as_ref();
    let foreseen = planned.foreseen.as_ref();
    let touches = foreseen.and_then(|foreseen| foreseen.touches);
    let (state, reason) = match &planned.fate {
        Fate::AsForeseen { state } => (Some(state), None),
        Fate::Odd { state, reason } | Fate::LooksOn { state, reason } => {
            (Some(state), reason.as_ref().map(ParkReason::as_str))
        }
        _ => (None, None),
    };
    json!({
        "payment": planned.payment,
        "account": planned.account,
        "version": seen.map(|seen| seen.version),
        "state": seen.map(|seen| seen.state),
        "parked_for": seen.and_then(|seen| seen.reason.as_ref().map(ParkReason::as_str)),
        "shown": planned.shown,
        "foreseen": foreseen.map(foreseen_word),
        "touches": touches.map(|touched| json!({
            "how": touched.how,
            "amount": touched.money.amount,
            "currency": touched.money.currency,
            "of_hold": touched.of_hold.map(|money| money.amount),
        })),
        "fate": fate_word(&planned.fate),
        "left_out": match planned.fate {
            Fate::LeftOut { why } => Some(why.as_str()),
            _ => None,
        },
        "came_to": state,
        "parked_again_for": reason,
    })
}

/// What is foreseen, in some words.
#[must_use]
pub fn foreseen_word(foreseen: &Foreseen) -> String {
    let kind = foreseen_kind(foreseen);
    match (&foreseen.then, foreseen.touches) {
        (
            Then::Sends { .. },
            Some(Touched {
                money,
                of_hold: Some(hold),
                ..
            }),
        ) => format!("{kind}: {hold} is reserved, and {money} of it taken"),
        (Then::Sends { .. }, Some(touched)) => format!("{kind} {}", touched.money),
        (
            Then::Sends {
                step: Step::Capture { amount },
            },
            None,
        ) => {
            format!("{kind} {} minor units", amount.minor())
        }
        (Then::LooksOn { .. } | Then::GoesOn { .. }, Some(touched)) => {
            format!("{kind}; {} may move", touched.most())
        }
        _ => kind,
    }
}

/// The same, without how much money that is.
#[must_use]
pub fn foreseen_kind(foreseen: &Foreseen) -> String {
    match &foreseen.then {
        Then::Sends { step } => sends(*step, foreseen.touches.is_some()).to_owned(),
        Then::Ends { state } => format!("is reported {state}, as the gateway shows"),
        Then::StaysParked { reason } => format!("stays parked: {}", reason.as_str()),
        Then::LooksOn { reason } => format!(
            "looks on, parked for {}, and goes on once it can",
            reason.as_str()
        ),
        Then::GoesOn { state } => format!("goes on as {state}, and looks again"),
        Then::TakesNone => "takes no command any more".to_owned(),
    }
}

const fn sends(step: Step, charges: bool) -> &'static str {
    match step {
        Step::Create if charges => "makes a purchase and charges",
        Step::Create => "makes a link for the payer",
        Step::Charge => "charges",
        Step::Capture { .. } => "captures",
        Step::Release => "releases",
        Step::Cancel => "cancels, so that it can never be paid",
    }
}
