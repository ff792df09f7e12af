//! What can be commanded of a payment: asked once more with the money that it is about, then given through
//! the one door that all commands take, under the same rules as over the API.

use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Desk;
use super::frame::{Page, Trouble, framed};
use super::session::Who;
use super::show::{amount, money, state, when, words};
use crate::api::intake::{self, Commanded, Given};
use crate::api::v1::Scope;
use crate::api::v1::commands;
use crate::api::v1::plans::actor;
use crate::api::v1::problem::{Problem, ProblemCode};
use crate::operate::legal::{Legal, legal};
use crate::operate::words::{time, word};
use crate::payment::{
    Amount, Command, CommandAnswer, CommandEntry, IdempotencyKey, Payment, Timestamp,
};
use crate::store::audit::Via;
use crate::store::{Loaded, Store};

/// Whether whoever looks may act at all; what the key lacks, if not.
pub(super) fn allowed(who: &Who) -> Result<(), String> {
    for scope in [Scope::Command, Scope::Operate] {
        let lacks = |_| format!("needs the scope {}", scope.as_str());
        who.caller.may(scope).map_err(lacks)?;
    }
    Ok(())
}

/// What became of a command, in a sentence, where this much is `stopped` of what may be sent.
pub(super) fn told(entry: &CommandEntry, stopped: &[String]) -> &'static str {
    match entry.answer {
        CommandAnswer::Accepted => to_follow(&entry.command, stopped),
        refused => not_done(refused),
    }
}

/// What follows a command that was accepted.
fn to_follow(command: &Command, stopped: &[String]) -> &'static str {
    match command {
        Command::Reschedule { .. } => "Recorded. It is done at the times of the plan.",
        Command::ProposeByHand { .. } => {
            "Recorded. Nothing follows before another person approves it."
        }
        Command::ResolveAsShown { .. } | Command::ApproveByHand { .. } => {
            "Recorded. A worker looks at the gateway, and reports it if that allows it."
        }
        Command::Rerun { .. } | Command::Capture { .. } | Command::Release | Command::Cancel => {
            match stopped {
                [] => "Recorded. A worker carries it out now.",
                _ => "Recorded. It is sent once what is stopped goes on.",
            }
        }
    }
}

const fn not_done(answer: CommandAnswer) -> &'static str {
    match answer {
        CommandAnswer::Accepted => "Recorded.",
        CommandAnswer::Done => "That is true already; nothing was changed.",
        CommandAnswer::TooLateInDoubt => {
            "Refused: a call that decides this was sent, and its outcome is not known yet."
        }
        CommandAnswer::AlreadyDecided => {
            "Refused: already decided, by another command or by two people."
        }
        CommandAnswer::TooLateCaptured => "Refused: the money was taken.",
        CommandAnswer::TooLateReleased => "Refused: the hold is gone.",
        CommandAnswer::Expired => "Refused: its time was over before anything was taken.",
        CommandAnswer::Ended => "Refused: the payment has ended.",
        CommandAnswer::NotApplicable => "Refused: it does not apply in this state.",
    }
}

/// What a command does, before it is given.
fn meaning(name: &str) -> &'static str {
    match name {
        "rerun" => {
            "A worker looks the payment up at the gateway, and takes the legal next step from what it \
             finds. This can charge or capture. Nothing is sent again without a look."
        }
        "capture" => "The held money is taken now, and the rest of the hold is given back.",
        "release" => "The whole hold is given back now. It cannot be captured afterwards.",
        "cancel" => {
            "The purchase is cancelled, so that it can never be paid. The payment is reported as failed \
             once the gateway shows that."
        }
        "reschedule" => {
            "The hold is captured or released at other times. What is left empty stays as it is."
        }
        "resolve_as_shown" => {
            "A worker looks, and what the gateway shows is reported as the end, although it is not what \
             was asked: another amount, or ended by somebody else. It leads to no call."
        }
        "propose_by_hand" => {
            "You state how it ended, if the gateway does not show it. Nothing happens until another \
             person approves, within a day."
        }
        _ => {
            "You approve what another person stated: it is reported, unless the gateway shows something \
             else. It leads to no call."
        }
    }
}

/// The page before a command.
pub(super) async fn ask(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
    Path((id, name)): Path<(String, String)>,
) -> Result<Html<String>, Trouble> {
    let (loaded, legal) = desk.about_to(&who, id, &name).await?;
    let payment = &loaded.payment;
    let back = format!("/desk/payments/{}", payment.id());
    // One form is one command, however often it is sent.
    let key = format!("desk-{}", uuid::Uuid::new_v4());
    let body = html! {
        p.crumbs { a href="/desk/payments" { "Payments" } " / " a href=(back) { (payment.id()) } }
        section.confirm {
            h1 { (words(legal.name())) "?" }
            p { (meaning(legal.name())) }
            dl.facts {
                dt { "payment" } dd { code { (payment.id()) } }
                dt { "account" } dd { (payment.request().account) }
                dt { "state" } dd { (state(payment.state().name())) }
                dt { "money touched" @if legal.name() == "rerun" { ", at most" } }
                dd.figure { @if let Some(it) = legal.money { (money(it)) } @else { "none" } }
                dt { "as" } dd { (who.caller.name()) }
            }
            form method="post" action=(format!("{back}/{}", legal.name())) {
                input type="hidden" name="mark" value=(who.mark);
                input type="hidden" name="key" value=(key);
                (said_before(payment, legal.name(), desk.clock.now()))
                (fields(&legal))
                div.buttons {
                    button.primary type="submit" { (words(legal.name())) }
                    a.button href=(back) { "Not now" }
                }
            }
        }
    };
    Ok(framed(&who, (&words(&name), Page::Payments, 0), &body))
}

/// What people stated, where that is approved, or where it is undone.
fn said_before(payment: &Payment, name: &str, now: Timestamp) -> Markup {
    let bound = matches!(
        name,
        "approve_by_hand" | "resolve_as_shown" | "propose_by_hand"
    );
    let Some(known) = payment.resolution().filter(|known| known.waits()) else {
        return html! { @if bound { input type="hidden" name="stated" value=""; } };
    };
    let who: Vec<&str> = known.said.iter().map(|said| said.actor.as_str()).collect();
    let outcome = known
        .outcome
        .map_or_else(String::new, |it| words(&word(&it)));
    html! {
        @if bound { input type="hidden" name="stated" value=(stated(payment)); }
        @match (name, known.said.first()) {
            ("approve_by_hand", Some(said)) => {
                p { "Proposed by " strong { (said.actor) } " " (when(said.at, now)) ": " (said.reason) }
            },
            ("resolve_as_shown" | "propose_by_hand", Some(_)) if known.outcome.is_some() => {
                p.problem { "What " (who.join(" and ")) " stated is undone by it: " (outcome) "." }
            },
            _ => {},
        }
    }
}

/// What people have said that waits, for the form that approves or undoes it: what was said since is not
/// what was read.
fn stated(payment: &Payment) -> String {
    let known = payment.resolution().filter(|known| known.waits());
    let said = known.map_or(&[][..], |known| &known.said);
    let said = said
        .iter()
        .map(|said| format!("{} {}", time(said.at), said.actor));
    said.collect::<Vec<_>>().join(", ")
}

/// What the command leaves as it is must be what the page showed.
fn is_as_shown(payment: &Payment, command: &Command, typed: &Typed) -> Result<(), Problem> {
    let told = match command {
        Command::Reschedule {
            capture_amount: None,
            ..
        } if payment.lets_take(command).map(Amount::minor) != typed.shown.parse().ok() => {
            "the amount that the plan takes is not the one that the page showed"
        }
        Command::ApproveByHand { .. } if stated(payment) != typed.stated => {
            "what is proposed is not what the page showed"
        }
        Command::ResolveAsShown { .. } | Command::ProposeByHand { .. }
            if stated(payment) != typed.stated =>
        {
            "people have stated something about it since the page was loaded, or it came to nothing"
        }
        _ => return Ok(()),
    };
    let told = format!("{told}; nothing was changed. Look again, and decide anew");
    Err(Problem::new(ProblemCode::AlreadyDecided, told))
}

fn fields(legal: &Legal) -> Markup {
    let shown = legal.money.map(|it| it.amount.minor());
    let optional = shown.map(amount);
    html! {
        @match legal.name() {
            // Left empty, it is the amount that stands here, whatever the plan says by then.
            "capture" => {
                @if let Some(shown) = shown { input type="hidden" name="shown" value=(shown); }
                label { "Amount" input.short name="amount" inputmode="decimal" placeholder=[optional]; }
            },
            // Left empty, it is what the plan says, and that must be what stands here.
            "reschedule" => {
                @if let Some(shown) = shown { input type="hidden" name="shown" value=(shown); }
                label { "Capture at, UTC" input type="datetime-local" name="capture_at"; }
                label { "Amount" input.short name="amount" inputmode="decimal" placeholder=[optional]; }
                label { "Release at, UTC" input type="datetime-local" name="release_at"; }
            },
            _ => {},
        }
        @match (legal.command.reason(), &legal.command) {
            (Some(_), command) => {
                @if let Command::ProposeByHand { outcome, .. } | Command::ApproveByHand { outcome, .. } = command {
                    input type="hidden" name="outcome" value=(word(outcome));
                    p { "It is stated: " strong { (words(&word(outcome))) } "." }
                }
                label { "Why" input name="reason" required maxlength="300" autofocus
                    placeholder="what was found out or repaired"; }
            },
            (None, _) => label { "Why, for the audit log" input name="reason" maxlength="300"; },
        }
    }
}

/// What is typed on that page.
#[derive(Debug, Deserialize)]
pub(super) struct Typed {
    mark: String,
    key: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    amount: String,
    /// The amount that the page showed, in minor units.
    #[serde(default)]
    shown: String,
    /// The proposal that it showed.
    #[serde(default)]
    stated: String,
    /// How it ended, as the page stated it.
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    capture_at: String,
    #[serde(default)]
    release_at: String,
}

/// Gives the command.
pub(super) async fn give(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
    Path((id, name)): Path<(String, String)>,
    typed: Result<Form<Typed>, FormRejection>,
) -> Result<Response, Trouble> {
    let Form(typed) = typed.map_err(|_| Trouble::wrong("The form could not be read."))?;
    who.sent(&typed.mark)?;
    allowed(&who).map_err(|lacks| Trouble::forbidden(&format!("The key {lacks}.")))?;
    let loaded = desk.seen(&who, id).await?;
    let id = loaded.payment.id();
    let key = IdempotencyKey::new(typed.key.clone());
    let key = key.map_err(|_| Trouble::wrong("The form has no key; load it again."))?;
    let command = command(&name, &typed, &actor(&who.caller))?;
    let judge = |payment: &Payment| {
        commands::may(&who.caller, payment, &command)?;
        // What the page showed is changed by the form itself: sent again it is answered as it was.
        if !payment.was_given(&key, &command) {
            is_as_shown(payment, &command, &typed)?;
        }
        desk.store.durability().map_err(|lack| {
            let told = format!("nothing new is recorded now: {lack}");
            Problem::new(ProblemCode::StoreUnavailable, told)
        })
    };
    let policies = desk.policies.get();
    let why = Some(typed.reason.trim()).filter(|why| !why.is_empty());
    let what = Given {
        to: id,
        key: &key,
        command: &command,
        by: &who.caller.mandate_by(Via::Dashboard).because(why),
    };
    let giving = intake::command_if(&*desk.store, &desk.clock, &policies, what, &judge);
    let Commanded { answer, .. } = desk.in_time(giving).await??;
    tracing::info!(
        payment.id = %id, command = %name, key = who.caller.name(), ?answer, "commanded at the desk"
    );
    let after = desk.in_time(intake::load(&*desk.store, id)).await?;
    if after
        .payment
        .commands()
        .iter()
        .any(|entry| entry.key == key)
    {
        let done = format!("/desk/payments/{id}?done={}", key.as_str());
        return Ok(Redirect::to(&done).into_response());
    }
    // What comes after the end is not noted.
    Err(Trouble::wrong(not_done(answer)))
}

impl Desk {
    /// The payment, and the command as it would be accepted now.
    async fn about_to(
        &self,
        who: &Who,
        id: String,
        name: &str,
    ) -> Result<(Loaded, Legal), Trouble> {
        allowed(who).map_err(|lacks| Trouble::forbidden(&format!("The key {lacks}.")))?;
        let loaded = self.seen(who, id).await?;
        let legal = legal(&loaded.payment, &actor(&who.caller), self.clock.now());
        let command = legal.into_iter().find(|command| command.name() == name);
        let told =
            "That is not open to this payment now: it moved on, or the state is another one.";
        Ok((loaded, command.ok_or_else(|| Trouble::wrong(told))?))
    }
}

/// The command that was typed, read as every other. What the page before showed is given as it was shown:
/// what has changed since is for the payment to refuse, and a form that is sent twice is one command.
fn command(name: &str, typed: &Typed, actor: &str) -> Result<Command, Trouble> {
    let mut fields = Map::new();
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let mut set = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(field.to_owned(), value);
        }
    };
    set("command", Some(name.into()));
    let amount = given(&typed.amount)
        .map(|text| super::asked::minor(&text).map(Value::from))
        .transpose()
        .map_err(Trouble::wrong)?;
    let time = |text: &str| given(text).map(|time| Value::from(utc(&time)));
    match name {
        "rerun" | "resolve_as_shown" | "propose_by_hand" | "approve_by_hand" => {
            set("reason", Some(typed.reason.trim().into()));
            set("actor", Some(actor.into()));
            set("outcome", given(&typed.outcome).map(Value::from));
        }
        "capture" => {
            let shown = typed.shown.parse::<u64>().ok().map(Value::from);
            let amount = amount
                .or(shown)
                .ok_or_else(|| Trouble::wrong("The form does not say how much; load it again."))?;
            set("amount", Some(amount));
        }
        "reschedule" => {
            set("capture_amount", amount);
            set("capture_at", time(&typed.capture_at));
            set("release_at", time(&typed.release_at));
        }
        _ => {}
    }
    let json = Value::Object(fields).to_string();
    Command::from_json(json.as_bytes()).map_err(|error| Trouble::wrong(error.to_string()))
}

/// A time as a browser's field has it, which knows no zone.
fn utc(typed: &str) -> String {
    let seconds = if typed.len() == 16 { ":00" } else { "" };
    format!("{typed}{seconds}Z")
}
