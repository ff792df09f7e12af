//! All that happened to a payment, line by line.

use serde_json::Value;

use super::view::{time, word};
use crate::payment::{Attempt, Change, Looks, Payment, Policy, Step, Timestamp, Verdict, millis};

/// All that happened, in order. Of what happened at the same moment the cause comes first.
pub(super) fn timeline(payment: &Payment) -> Vec<(Timestamp, String)> {
    let state = |change: &Change| (change.at, format!("state {}", change.to));
    let (made, changes) = payment.history().split_at(1.min(payment.history().len()));
    let mut lines: Vec<(Timestamp, String)> = made.iter().map(state).collect();
    for command in payment.commands() {
        let what = serde_json::to_value(&command.command).unwrap_or_default();
        let field = |name: &str| what.get(name).and_then(Value::as_str).unwrap_or_default();
        let said = match (field("actor"), field("reason")) {
            ("", _) => String::new(),
            (actor, why) => format!(" by {actor} ({why})"),
        };
        let (name, answer) = (field("command"), word(&command.answer));
        lines.push((
            command.at,
            format!("command {name}{said}: {answer} [key {}]", command.key),
        ));
    }
    for attempt in payment.attempts() {
        lines.extend(attempt_lines(attempt));
    }
    lines.extend(changes.iter().map(state));
    lines.sort_by_key(|(at, _)| *at);
    lines
}

fn attempt_lines(attempt: &Attempt) -> Vec<(Timestamp, String)> {
    let amount = match attempt.step {
        Step::Capture { amount } => format!(" {} minor units", amount.minor()),
        Step::Create | Step::Charge | Step::Release | Step::Cancel => String::new(),
    };
    let name = format!("attempt {} {}", attempt.number, attempt.step.as_str());
    let mut lines = vec![(attempt.opened_at, format!("{name}{amount}: opened"))];
    if let Some(note) = &attempt.note {
        let code = note
            .code
            .as_ref()
            .map(|code| format!(" ({code})"))
            .unwrap_or_default();
        lines.push((
            note.at,
            format!("{name}: answered {}{code}", word(&note.class)),
        ));
    }
    if let Some(looks) = &attempt.looks {
        let Looks {
            count,
            last_at,
            last_saw,
        } = looks;
        let how_often = match count {
            1 => "once".to_owned(),
            count => format!("{count} times"),
        };
        lines.push((
            *last_at,
            format!("{name}: looked up {how_often}, last seen {last_saw}"),
        ));
    }
    if let Some(closed) = &attempt.closed {
        let code = match &closed.verdict {
            Verdict::Refused { code } | Verdict::Declined { code } => format!(" ({code})"),
            Verdict::Done | Verdict::NotSent | Verdict::DidNotHappen => String::new(),
        };
        lines.push((
            closed.at,
            format!("{name}: {}{code}", closed.verdict.as_str()),
        ));
    }
    lines
}

/// What is not known of the call that is open, and until when nothing is concluded.
pub(super) fn doubt(payment: &Payment, policy: Option<&Policy>, now: Timestamp) -> Option<String> {
    let open = payment.open_attempt()?;
    let step = open.step.as_str();
    let sent = time(open.opened_at);
    let seen = open.looks.as_ref().map_or_else(
        || "not looked up yet".to_owned(),
        |looks| format!("last seen {}", looks.last_saw),
    );
    let quiet = policy.map(|policy| open.last_sign() + millis(policy.quiet_ms));
    let until = match quiet.filter(|_| open.step.takes_money()) {
        Some(end) if end > now => {
            format!("; that it did nothing is not believed before {}", time(end))
        }
        _ => String::new(),
    };
    Some(format!(
        "what {step} of {sent} did is not known yet: {seen}{until}"
    ))
}
