//! One payment, and all that happened to it.

use std::sync::Arc;

use axum::extract::{Extension, Path, Query, State};
use axum::response::Html;
use maud::{Markup, html};
use serde::Deserialize;

use super::Desk;
use super::act::{allowed, told};
use super::frame::{Page, Trouble, framed};
use super::session::Who;
use super::show::{absolute, doubt, money, state, when, words};
use crate::api::v1::plans::actor;
use crate::operate::legal::legal;
use crate::operate::switches;
use crate::operate::timeline::{Doubt, Kind, Moment, RerunWanted, timeline};
use crate::operate::words::{asked, called, next, plan, why};
use crate::payment::{Ask, Payment, PaymentId, Policy, ResolvedHow, State as Standing, Timestamp};
use crate::store::audit::{AuditEntry, AuditStream, Chained};
use crate::store::redis::AuditOrder;
use crate::store::switches::SwitchName;
use crate::store::{EndpointName, Loaded, Store, StoreError};

/// How often the page asks again, in seconds.
const LIVE_S: u32 = 2;
/// How many of the newest entries of the audit log are read for it.
const AUDIT_STEP: usize = 200;

/// What was done a moment ago, by the key of the command.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Done {
    done: String,
}

pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
    Path(id): Path<String>,
    Query(done): Query<Done>,
) -> Result<Html<String>, Trouble> {
    let loaded = desk.seen(&who, id).await?;
    let now = desk.clock.now();
    let policies = desk.policies.get();
    let payment = &loaded.payment;
    let policy = policies.get(&payment.request().account);
    let mut told_to = desk.in_time(desk.told_to(payment.id())).await?;
    if who.caller.accounts().is_some() {
        // Where events of others go is theirs.
        told_to.retain(|it| it.events > 0);
    }
    let of_it = |name: &SwitchName| concerns(name, payment);
    let stopped = switches::standing(&desk.store, &desk.clock, (&of_it, who.unread()));
    let stopped = desk.in_time(stopped).await?;
    let asked = desk.in_time(desk.asked_by(payment)).await?;
    let title = format!("Payment {}", super::show::short(payment.id().as_str()));
    let done = payment
        .commands()
        .iter()
        .rev()
        .find(|entry| entry.key.as_str() == done.done);
    let body = html! {
        div #payment data-fresh="" {
            p.crumbs { a href="/desk/payments" { "Payments" } }
            @if let Some(entry) = done {
                p.done role="status" { (told(entry, &stopped)) }
            }
            (head(&loaded, policy, now))
            @for line in &stopped {
                p.problem role="status" { strong { "Stopped. " } (line) }
            }
            (actions(&who, &loaded, now))
            div.columns.uneven {
                section.panel { h2 { "What happened" } (happened(&timeline(payment), now)) }
                div {
                    section.panel { h2 { "What was asked" } (facts(&loaded, now)) }
                    @if !asked.is_empty() {
                        section.panel { h2 { "Who commanded" } (commanded(&asked, now)) }
                    }
                    section.panel { h2 { "Events" } (events(&loaded, &told_to)) }
                }
            }
        }
    };
    Ok(framed(&who, (&title, Page::Payments, LIVE_S), &body))
}

/// Whether what is stopped may keep something of this payment from being sent.
fn concerns(name: &SwitchName, payment: &Payment) -> bool {
    let request = payment.request();
    !payment.state().name().is_finished()
        && match name {
            SwitchName::Account(account) => *account == request.account,
            SwitchName::Kind(kind) => *kind == request.ask.kind(),
            SwitchName::All | SwitchName::Step(_) | SwitchName::Drain => true,
        }
}

/// What is pending of a payment for one endpoint.
struct Pending {
    endpoint: EndpointName,
    events: u64,
    tries: u64,
}

impl Desk {
    /// The payment of that id, if there is one that may be seen. To others it is not there.
    pub(super) async fn seen(&self, who: &Who, id: String) -> Result<Loaded, Trouble> {
        let nothing = || Trouble::nothing("There is no such payment, or it is not for this key.");
        let id = Some(id).filter(|id| PaymentId::looks_like_one(id));
        let id = id
            .and_then(|id| PaymentId::new(id).ok())
            .ok_or_else(nothing)?;
        let loaded = self.in_time(self.store.load(&id)).await?;
        let own = |loaded: &Loaded| who.caller.sees(&loaded.payment.request().account);
        loaded.filter(own).ok_or_else(nothing)
    }

    /// Who commanded it and why, as far as the newest entries of the audit log tell.
    async fn asked_by(&self, payment: &Payment) -> Result<Vec<AuditEntry>, StoreError> {
        if payment.commands().is_empty() {
            return Ok(Vec::new());
        }
        let stream = AuditStream::of(payment.id());
        let newest = self
            .store
            .audit_page(stream, AuditOrder::Newest, None, AUDIT_STEP)
            .await?;
        let entries = newest.iter().filter_map(Chained::entry);
        let own = |entry: &AuditEntry| entry.payment.as_ref() == Some(payment.id());
        Ok(entries.filter(own).collect())
    }

    async fn told_to(&self, id: &PaymentId) -> Result<Vec<Pending>, StoreError> {
        let endpoints = self.store.known_endpoints().await?;
        let pending = self.store.pending_of(id, &endpoints).await?;
        let each = endpoints.into_iter().zip(pending);
        Ok(each
            .map(|(endpoint, (events, tries))| Pending {
                endpoint,
                events,
                tries,
            })
            .collect())
    }
}

fn head(loaded: &Loaded, policy: Option<&Policy>, now: Timestamp) -> Markup {
    let payment = &loaded.payment;
    let name = payment.state().name();
    let open = Doubt::of(payment, policy, now);
    html! {
        div.heading.payment {
            h1 {
                @if let Some(asked) = crate::operate::find::seen(loaded).money { (money(asked)) }
                @else { "No money" }
            }
            (state(name)) @if open.is_some() { " " (doubt()) }
            code.whole { (payment.id()) }
        }
        @if let Some(open) = open {
            p.problem {
                strong { "In doubt. " } "What the " (open.step) " sent " (when(open.sent_at, now))
                " did is not known yet: "
                @match open.last_saw {
                    Some(saw) => { "last seen " (words(&saw)) "." },
                    None => "not looked up yet.",
                }
                @if let Some(end) = open.open_until {
                    " That it did nothing is not believed before " (absolute(end)) "."
                }
            }
        }
        @if let Some(wanted) = RerunWanted::of(payment) {
            p.problem {
                strong { "A rerun is wanted. " }
                @match wanted {
                    RerunWanted::Asked(since) => { "It was asked for " (when(since, now)) ", and goes on" },
                    RerunWanted::Parked(since) => {
                        "The call that it was parked for " (when(since, now)) " was never made, and it goes on"
                    },
                }
                " by itself once a look at the gateway shows that it can."
            }
        }
        p.lead { (standing(loaded, now)) " " (to_come(loaded, policy, now)) }
    }
}

/// What is true of the money, as a sentence.
fn standing(loaded: &Loaded, now: Timestamp) -> Markup {
    let state = loaded.payment.state();
    let reason = why(state).map(|why| words(&why)).unwrap_or_default();
    // Where people settled it, on whose word this stands.
    let how = match loaded.payment.resolved() {
        Some(ResolvedHow::AsShown) => ", as the gateway showed",
        Some(ResolvedHow::ByHand) => ", as two people stated",
        None => "",
    };
    html! {
        @match state {
            Standing::New => "Recorded; nothing is reserved or taken.",
            Standing::AwaitingPayer => "The payer has a link and may pay.",
            Standing::Held(hold) => { (money(hold.money)) " is held; the hold lapses "
                (when(hold.expires_at, now)) "." },
            Standing::Paid(taken) => { (money(*taken)) " was taken" (how) "." },
            Standing::Released if loaded.payment.resolved() == Some(ResolvedHow::ByHand) => {
                "The hold is gone" (how) "."
            },
            Standing::Released => { "The hold was given back" (how) "." },
            Standing::Saved(_) => "The card is saved.",
            Standing::Failed(_) => { "Failed: " (reason) ". No money moved" (how) "." },
            Standing::Parked { from, .. } => { "Parked: " strong { (reason) } ". Before that it was "
                (words(Standing::from(from.clone()).name().as_str())) "; a person decides." },
        }
    }
}

fn to_come(loaded: &Loaded, policy: Option<&Policy>, now: Timestamp) -> Markup {
    let planned = policy.map(|policy| next(&loaded.payment, policy, now));
    html! {
        @match planned {
            None => "Its account is not configured at this worker.",
            Some((_, None)) => "Nothing more is to come.",
            Some((what, Some(at))) => {
                "Next: " (words(&what)) " " (when(at, now))
                @if loaded.claimed { "; a worker is on it" } "."
            },
        }
    }
}

/// What can be commanded now, and by whom.
fn actions(who: &Who, loaded: &Loaded, now: Timestamp) -> Markup {
    let payment = &loaded.payment;
    let legal = legal(payment, &actor(&who.caller), now);
    let to = |name: &str| format!("/desk/payments/{}/{name}", payment.id());
    html! {
        @if !legal.is_empty() {
            section.actions aria-label="What can be done now" {
                @match allowed(who) {
                    Ok(()) => {
                        @for command in &legal {
                            a.button href=(to(command.name())) data-row="" { (words(command.name())) "…" }
                        }
                        @if legal.iter().any(|command| command.name() == "rerun") {
                            a.button href=(format!("/desk/plans/new?payment={}", payment.id())) data-row="" {
                                "plan a rerun…"
                            }
                        }
                    },
                    Err(lacks) => p.quiet { "To act on it the key " (lacks) "." },
                }
            }
        }
    }
}

fn happened(moments: &[Moment], now: Timestamp) -> Markup {
    html! {
        ol.timeline {
            @for moment in moments {
                li class=(format!("of-{}", moment.kind.as_str())) {
                    span.kind { (moment.kind.as_str()) }
                    span.what { (what(moment)) }
                    span.at { (when(moment.at, now)) small { (absolute(moment.at)) } }
                }
            }
        }
    }
}

/// What happened, without the word that stands beside it.
fn what(moment: &Moment) -> Markup {
    let kind = format!("{} ", moment.kind.as_str());
    let text = moment.text.strip_prefix(&kind).unwrap_or(&moment.text);
    html! {
        @match (moment.kind, text.parse()) {
            (Kind::State, Ok(name)) => (state(name)),
            _ => (words(text)),
        }
    }
}

fn facts(loaded: &Loaded, now: Timestamp) -> Markup {
    let payment = &loaded.payment;
    let request = payment.request();
    let plans = matches!(request.ask, Ask::Authorize(_) | Ask::Adopt(_));
    html! {
        dl.facts {
            dt { "asked" } dd { (asked(&request.ask)) }
            dt { "account" } dd { (request.account) }
            @if let Some(reference) = &request.reference { dt { "reference" } dd { (reference) } }
            dt { "key" } dd { (request.idempotency_key) }
            @if let Some(card) = payment.shown_card() { dt { "card" } dd { (called(&card)) } }
            @if plans { dt { "plan" } dd { (plan(payment.plan())) } }
            dt { "recorded" } dd { (when(payment.created_at(), now)) " " small { (absolute(payment.created_at())) } }
            @if let Some(at) = payment.finished_at() {
                dt { "ended" } dd { (when(at, now)) " " small { (absolute(at)) } }
            }
            @if payment.purchase().is_some() { dt { "at the gateway" } dd { "a purchase is recorded" } }
            dt { "version" } dd { (loaded.version) }
        }
    }
}

pub(super) fn commanded(asked: &[AuditEntry], now: Timestamp) -> Markup {
    html! {
        dl.facts {
            @for entry in asked {
                dt { (words(&entry.action)) }
                dd {
                    (entry.actor.name) " (" (words(entry.actor.kind.as_str())) ", " (entry.via.as_str()) ") "
                    (when(entry.at, now)) ": " (words(&entry.answer))
                    @if let Some(reason) = &entry.reason { div.quiet { (reason) } }
                }
            }
        }
    }
}

fn events(loaded: &Loaded, told_to: &[Pending]) -> Markup {
    let changes = loaded.payment.history().len();
    html! {
        dl.facts {
            dt { "made so far" } dd { (changes) @if changes == 1 { " change of state" } @else { " changes of state" } }
            @for it in told_to {
                dt { "to " (it.endpoint.as_str()) }
                dd {
                    @match (it.events, it.tries) {
                        (0, _) => "nothing waits to be sent",
                        (events, 0) => { (events) " waiting, not tried in vain yet" },
                        (events, tries) => strong { (events) " waiting, tried in vain " (tries) " times" },
                    }
                }
            }
            @if told_to.is_empty() {
                dt { "endpoints" } dd { "nothing waits to be sent; events stand in the streams of Redis" }
            }
            dt { "hints heard" }
            dd { @match loaded.nudges { 0 => "none", 1 => "1 webhook or callback made it look",
                nudges => { (nudges) " webhooks and callbacks made it look" } } }
        }
    }
}
