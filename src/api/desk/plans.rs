//! Planned reruns: those of the last days.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::Html;
use maud::{Markup, html};

use super::Desk;
use super::frame::{Page, Trouble, framed};
use super::session::Who;
use super::show::{count, in_currency, short, when, words};
use crate::api::v1::plans::{may_operate, sees};
use crate::operate::planning::{self, Listed};
use crate::operate::shown::{phase_word, selection_word};
use crate::operate::{Phase, Plan, Selection};
use crate::payment::Timestamp;

/// How many plans the page shows.
const MOST_LISTED: usize = 50;
/// How often the page asks again, in seconds.
const LIVE_S: u32 = 5;

pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
) -> Result<Html<String>, Trouble> {
    may_operate(&who.caller)?;
    let now = desk.clock.now();
    let seen = |plan: &Plan| sees(&who.caller, plan).then(|| row(plan, now));
    let listing = planning::plans(&*desk.store, MOST_LISTED, seen);
    let Listed { plans, more } = desk.in_time(listing).await?;
    let body = html! {
        div.heading {
            h1 { "Planned reruns" }
            p.quiet { "of the last 30 days, the newest first" }
            span.spring {}
            a.button href="/desk/payments?state=parked" { "What is parked" }
        }
        div #plans data-fresh="" {
            @if plans.is_empty() {
                p.empty { "No rerun was planned. One is planned from a list of payments, or from the page of one." }
            } @else {
                table.sheet.plans {
                    thead { tr {
                        th { "state" } th { "plan" } th.end { "payments" } th.end { "money, at most" }
                        th { "made" } th { "what is to come, or why" }
                    } }
                    tbody { @for plan in &plans { (plan) } }
                }
                @if more { p.more { span.quiet { "There are older ones: " code { "holdfast plans list" } } } }
            }
        }
    };
    Ok(framed(&who, ("Reruns", Page::Plans, LIVE_S), &body))
}

/// Which payments a plan is of, short enough for a heading.
pub(super) fn selected(of: &Selection) -> String {
    if let Selection::Payments(payments) = of
        && let [one] = &payments[..]
    {
        return format!("payment {}", short(one.as_str()));
    }
    words(&selection_word(of))
}

/// How far a plan is: a colour and its word.
pub(super) fn phase(plan: &Plan, now: Timestamp) -> Markup {
    let word = phase_word(plan, now);
    html! { span class=(format!("state phase-{word}")) { (word) } }
}

fn row(plan: &Plan, now: Timestamp) -> Markup {
    let to = format!("/desk/plans/{}", plan.id);
    html! {
        tr {
            td { (phase(plan, now)) }
            td {
                a href=(to) title=(plan.id) data-row="" { (selected(&plan.of)) }
                div.quiet { code { (short(plan.id.as_str())) } }
            }
            td.end { (count(plan.payments.len() as u64)) }
            td.end { (at_most(plan)) }
            td { (when(plan.made_at, now)) div.quiet { (plan.made_by) } }
            td { (to_come(plan, now)) }
        }
    }
}

/// All money that its reruns may be about, whatever becomes of it.
fn at_most(plan: &Plan) -> Markup {
    let sums = plan.about();
    html! {
        @if sums.is_empty() { "–" }
        @for (currency, minor) in sums { div { (in_currency(currency, minor)) } }
    }
}

fn to_come(plan: &Plan, now: Timestamp) -> Markup {
    html! {
        @match &plan.phase {
            Phase::Wanted | Phase::Asking => "the gateway is asked",
            Phase::Ready { .. } if plan.is_expired(now) => "never applied",
            Phase::Ready { until } => { "expires " (when(*until, now)) },
            Phase::Stopped { why } => (why),
            Phase::Applying { .. } | Phase::Done => {},
        }
        @if let Some(applied) = &plan.applied {
            div.quiet { "applied by " (applied.by) ": " (applied.reason) }
        }
    }
}
