//! A payment in words, for people. No word here lets its reader pay or charge.

use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::Value;

use crate::payment::{
    Ask, Event, Next, Payment, Plan, Policy, ShownCard, Source, State, Timestamp,
};

/// Times are UTC everywhere.
#[must_use]
pub fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The word under which a value is stored.
pub fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        Ok(Value::Object(fields)) => {
            let parts = ["why", "name", "code", "what"]
                .into_iter()
                .filter_map(|key| fields.get(key));
            parts
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        }
        _ => "unknown".to_owned(),
    }
}

/// Why a payment failed or is parked, in a word or two.
#[must_use]
pub fn why(state: &State) -> Option<String> {
    match state {
        State::Failed(reason) => Some(word(reason)),
        State::Parked { reason, .. } => Some(word(reason)),
        _ => None,
    }
}

/// What is done next, and when.
#[must_use]
pub fn next(payment: &Payment, policy: &Policy, now: Timestamp) -> (String, Option<Timestamp>) {
    let what = |next: &Next| match next {
        Next::Send(step) => step.as_str().to_owned(),
        Next::LookUp => "look_up".to_owned(),
        Next::Settle(Event::Stuck(reason)) => format!("park: {}", word(reason)),
        Next::Settle(Event::Sealed(_, reason)) => format!("fail: {}", word(reason)),
        Next::Settle(_) => "settle".to_owned(),
        Next::WaitUntil(_) => "wait".to_owned(),
        Next::Nothing => "nothing".to_owned(),
    };
    match payment.next(now, policy) {
        Next::WaitUntil(at) => (what(&payment.next(at, policy)), Some(at)),
        Next::Nothing => (what(&Next::Nothing), None),
        next => (what(&next), Some(now)),
    }
}

/// A card as people call it, and its name here.
#[must_use]
pub fn called(card: &ShownCard) -> String {
    let face = [card.brand.clone(), card.last_four.clone()];
    let name = card.id.as_ref().map(ToString::to_string);
    let parts: Vec<String> = face.into_iter().chain([name]).flatten().collect();
    parts.join(" ")
}

/// What was asked for.
#[must_use]
pub fn asked(ask: &Ask) -> String {
    match ask {
        Ask::Authorize(ask) => {
            let how = match ask.source {
                Source::Checkout(_) => "by checkout",
                Source::Token(_) => "on a saved card",
            };
            format!("authorize {} {how}", ask.money)
        }
        Ask::SaveCard(_) => "save a card".to_owned(),
        Ask::Charge(ask) => {
            let between = |name: &str, at: Option<Timestamp>| {
                at.map(|at| format!(", {name} {}", time(at)))
                    .unwrap_or_default()
            };
            let (from, to) = (
                between("not before", ask.not_before),
                between("not after", ask.not_after),
            );
            format!("charge {} on a saved card{from}{to}", ask.money)
        }
        Ask::Adopt(ask) => format!("adopt a hold of {}", ask.money),
    }
}

/// What becomes of the hold.
#[must_use]
pub fn plan(plan: &Plan) -> String {
    let mut parts = Vec::new();
    if let Some(at) = plan.capture_at {
        parts.push(format!("capture at {}", time(at)));
    }
    if let Some(amount) = plan.capture_amount {
        parts.push(format!("capture {} minor units", amount.minor()));
    }
    if let Some(at) = plan.release_at {
        parts.push(format!("release at {}", time(at)));
    }
    if let Some(what) = plan.before_expiry {
        parts.push(format!("{} before the hold lapses", word(&what)));
    }
    if parts.is_empty() {
        "waits for a command".to_owned()
    } else {
        parts.join(", ")
    }
}
