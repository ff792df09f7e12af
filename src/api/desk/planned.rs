//! The payments of a plan: how each was, what a rerun does to it, and what became of it.

use maud::{Markup, html};
use serde::Deserialize;

use super::show::{doubt, short, state, words};
use crate::operate::shown::{fate_word, foreseen_word};
use crate::operate::{Fate, Plan, Planned};
use crate::payment::ParkReason;

/// How many payments a page shows, and how many odd ones stand above them.
const PAGE: usize = 100;
const MOST_ODD: usize = 20;

/// Which of its payments are looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Looked {
    /// Those with this fate; all, if it is empty.
    only: String,
    /// From which place on.
    from: String,
}

/// Those that came out otherwise than foreseen, where they are not what is looked at anyway.
pub(super) fn odd_ones(plan: &Plan, looked: &Looked) -> Markup {
    let odd = |planned: &&Planned| matches!(planned.fate, Fate::Odd { .. });
    let odd: Vec<&Planned> = plan.payments.iter().filter(odd).take(MOST_ODD).collect();
    html! {
        @if !odd.is_empty() && odd.len() < plan.payments.len() && looked.only.is_empty() {
            div.heading { h2 { "Otherwise than foreseen" } }
            (table(&odd))
        }
    }
}

pub(super) fn payments(plan: &Plan, looked: &Looked) -> Markup {
    let from: usize = looked.from.parse().unwrap_or(0);
    let fits =
        |planned: &&Planned| looked.only.is_empty() || fate_word(&planned.fate) == looked.only;
    let all: Vec<&Planned> = plan.payments.iter().filter(fits).collect();
    let shown: Vec<&Planned> = all.iter().copied().skip(from).take(PAGE).collect();
    let next = Some(from.saturating_add(PAGE)).filter(|next| *next < all.len());
    let to = |from: usize| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("only", &looked.only)
            .append_pair("from", &from.to_string());
        format!("/desk/plans/{}?{}", plan.id, query.finish())
    };
    html! {
        @if !plan.payments.is_empty() {
            div.heading {
                h2 { @if looked.only.is_empty() { "Each payment" } @else { "Those " (words(&looked.only)) } }
                @if !looked.only.is_empty() { a href=(format!("/desk/plans/{}", plan.id)) { "all" } }
            }
            @if shown.is_empty() { p.empty { "No payment is like that." } } @else { (table(&shown)) }
            p.more {
                span.quiet { (shown.len()) " of " (all.len()) " shown" }
                @if let Some(next) = next { a.button href=(to(next)) rel="next" { "Further" } }
            }
        }
    }
}

fn table(shown: &[&Planned]) -> Markup {
    html! {
        table.sheet.planned {
            thead { tr {
                th { "was" } th { "payment" } th { "account" } th { "the gateway shows" }
                th { "a rerun" } th { "what became of it" }
            } }
            tbody { @for planned in shown { (row(planned)) } }
        }
    }
}

fn row(planned: &Planned) -> Markup {
    let seen = planned.seen.as_ref();
    let id = planned.payment.as_str();
    html! {
        tr {
            td {
                @if let Some(seen) = seen {
                    @let why = seen.reason.as_ref().map(ParkReason::as_str);
                    // That the outcome is unknown need not be said twice.
                    @let said = why == Some(ParkReason::OutcomeUnknown.as_str());
                    (state(seen.state)) @if seen.in_doubt && !said { " " (doubt()) }
                    @if let Some(why) = why { div.quiet { (words(why)) } }
                } @else { "–" }
            }
            td { a.id href=(format!("/desk/payments/{id}")) title=(id) data-row="" { (short(id)) } }
            td { @if let Some(account) = &planned.account { (account) } @else { "–" } }
            td {
                @match (&planned.shown, &planned.foreseen) {
                    (Some(shown), _) => (words(shown)),
                    (None, Some(_)) => "nothing made yet",
                    (None, None) => "–",
                }
            }
            td.sentence {
                @if let Some(foreseen) = &planned.foreseen { (words(&foreseen_word(foreseen))) } @else { "–" }
                @if let Some(stopped) = &planned.stopped { div.quiet { "held up: " (stopped) " is stopped" } }
            }
            td { (fate(&planned.fate)) }
        }
    }
}

fn fate(fate: &Fate) -> Markup {
    html! {
        @match fate {
            Fate::Unasked => "not asked about yet",
            Fate::LeftOut { why } => { "left out: " (words(why.as_str())) },
            Fate::Waits => "waits",
            Fate::Given { .. } => "told; not known yet",
            Fate::ChangedSince => "changed since, and left alone",
            Fate::AsForeseen { state: name } => { (state(*name)) " as foreseen" },
            Fate::LooksOn { state: name, reason } => {
                (state(*name)) " still looks on"
                @if let Some(why) = reason.as_ref().map(ParkReason::as_str) { div.quiet { (words(why)) } }
            },
            Fate::Odd { state: name, reason } => {
                (state(*name)) " " strong.alert { "odd" }
                @if let Some(why) = reason.as_ref().map(ParkReason::as_str) { div.quiet { (words(why)) } }
            },
        }
    }
}
