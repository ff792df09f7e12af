//! A plan as it is shown: nothing of it lets its reader pay or charge.

use serde_json::{Map, Value, json};

use super::foresee::{Foreseen, Then};
use super::plan::{Fate, Phase, Plan, Planned, Selection};
use crate::payment::{Amount, Money, ParkReason, Step, Timestamp};

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
        Fate::Odd { .. } => "odd",
    }
}

/// Without its payments.
#[must_use]
pub fn summary(plan: &Plan, now: Timestamp) -> Value {
    let mut fates = Map::new();
    for planned in &plan.payments {
        let count = fates.entry(fate_word(&planned.fate)).or_insert(json!(0));
        *count = json!(count.as_u64().unwrap_or(0) + 1);
    }
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
        "fates": fates,
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
        Fate::Odd { state, reason } => (Some(state), reason.as_ref().map(ParkReason::as_str)),
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
    let parked = |reason: &ParkReason| format!("stays parked: {}", reason.as_str());
    match &foreseen.then {
        Then::Sends { step } => sends(*step, foreseen),
        Then::Ends { state } => format!("is reported {state}, as the gateway shows"),
        Then::StaysParked { reason } => parked(reason),
        Then::GoesOn { state } => format!("goes on as {state}, and looks again"),
        Then::TakesNone => "takes no command any more".to_owned(),
    }
}

fn sends(step: Step, foreseen: &Foreseen) -> String {
    let money = foreseen.touches.map(|touched| touched.money);
    let of = |money: Option<Money>| money.map_or(String::new(), |money| format!(" {money}"));
    match step {
        Step::Create if money.is_some() => format!("makes a purchase and charges{}", of(money)),
        Step::Create => "makes a link for the payer".to_owned(),
        Step::Charge => format!("charges{}", of(money)),
        Step::Capture { amount } => format!("captures{}", amount_of(money, amount)),
        Step::Release => format!("releases{}", of(money)),
        Step::Cancel => "cancels, so that it can never be paid".to_owned(),
    }
}

fn amount_of(money: Option<Money>, amount: Amount) -> String {
    money.map_or_else(
        || format!(" {} minor units", amount.minor()),
        |money| format!(" {money}"),
    )
}
