//! A payment as producers see it.

use serde_json::{Value, json};

use crate::operate::timeline::rerun_wanted_since;
use crate::payment::{Active, Payment, Private, State};

/// Whether links and tokens are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Secrets {
    /// To whoever asked for the payment, or may read.
    Shown,
    /// To whoever may only command.
    Left,
}

/// What a payment is, for whoever asked for it: the links while the payer may pay, the token of a
/// card once it is saved. A token that was given is not given back.
pub(in crate::api) fn payment(payment: &Payment, secrets: Secrets) -> Value {
    let (request, state) = (payment.request(), payment.state());
    let links = payment.payable_links();
    let shown = |secret: Option<&str>| {
        let secret = secret.filter(|_| secrets == Secrets::Shown);
        secret.map(ToOwned::to_owned)
    };
    let link = |link: Option<&Private<String>>| shown(link.map(|link| link.reveal().as_str()));
    let commands = payment.commands().iter().map(|entry| {
        json!({
            "idempotency_key": entry.key,
            "command": entry.command,
            "answer": entry.answer,
            "at": entry.at,
        })
    });
    json!({
        "id": payment.id(),
        "account": request.account,
        "idempotency_key": request.idempotency_key,
        "reference": request.reference,
        "type": request.ask.kind(),
        "money": request.money(),
        "state": state.name(),
        "reason": reason(state),
        "resolved": payment.resolved(),
        "rerun_wanted_since": rerun_wanted_since(payment),
        "taken": match state { State::Paid(money) => Some(money), _ => None },
        "hold": hold(state),
        "token": match state { State::Saved(token) => shown(Some(token.as_str())), _ => None },
        "card": payment.shown_card(),
        "plan": payment.plan(),
        "checkout_url": link(links.checkout),
        "direct_post_url": link(links.direct_post),
        "created_at": payment.created_at(),
        "finished_at": payment.finished_at(),
        "history": payment.history(),
        "commands": commands.collect::<Vec<_>>(),
    })
}

/// Why it failed or was parked.
pub(crate) fn reason(state: &State) -> Option<Value> {
    match state {
        State::Failed(reason) => serde_json::to_value(reason).ok(),
        State::Parked { reason, .. } => serde_json::to_value(reason).ok(),
        _ => None,
    }
}

/// The hold, while there is one.
pub(crate) fn hold(state: &State) -> Option<Value> {
    match state.active() {
        Some(Active::Held(hold)) => serde_json::to_value(hold).ok(),
        _ => None,
    }
}
