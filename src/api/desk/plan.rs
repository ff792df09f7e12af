//! One planned rerun: what would be done to each payment, and what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Extension, Path, Query, State};
use axum::response::Html;
use maud::{Markup, html};
use serde::Deserialize;

use super::Desk;
use super::act::allowed;
use super::frame::{Page, Trouble, framed};
use super::payment::commanded;
use super::planning::anew;
use super::plans::phase;
use super::session::Who;
use super::show::{absolute, doubt, in_currency, short, state, when, words};
use crate::api::v1::plans::{may_command, may_operate, sees};
use crate::operate::planning::{self, PlanError};
use crate::operate::shown::{by_what, fate_word, fates, foreseen_word, selection_word};
use crate::operate::{Fate, Phase, Plan, PlanCommand, Planned, Touch};
use crate::payment::{ParkReason, Timestamp};
use crate::store::audit::{AuditEntry, AuditStream, Chained};
use crate::store::redis::AuditOrder;
use crate::store::{PlanId, StoreError};

/// How often the page asks again, in seconds.
const LIVE_S: u32 = 2;
/// How many payments a page shows, and how many odd ones stand above them.
const PAGE: usize = 100;
const MOST_ODD: usize = 20;
/// How many of the newest entries of the audit log are read for it.
const AUDIT_STEP: usize = 200;

/// Which of its payments are looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Looked {
    /// Those with this fate; all, if it is empty.
    only: String,
    /// From which place on.
    from: String,
}

pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
    Path(id): Path<String>,
    Query(looked): Query<Looked>,
) -> Result<Html<String>, Trouble> {
    let plan = desk.plan_seen(&who, &id).await?;
    let now = desk.clock.now();
    let asked = desk.in_time(desk.asked_of(&plan.id)).await?;
    let title = format!("Plan {}", short(plan.id.as_str()));
    let body = html! {
        div #plan data-fresh="" {
            p.crumbs { a href="/desk/plans" { "Planned reruns" } }
            (head(&plan, now))
            @if let Phase::Stopped { why } = &plan.phase {
                p.problem role="alert" { strong { "Stopped. " } (why) }
            }
            @if plan.phase != Phase::Done && !plan.is_expired(now) {
                @for warning in plan.warnings() { p.problem role="status" { (warning) "." } }
            }
            (actions(&who, &plan, now))
            (money_touched(&plan))
            div.columns.uneven {
                section.panel { h2 { "What a rerun does, by payments" } (what(&plan)) }
                div {
                    @if plan.applied.is_some() {
                        section.panel { h2 { "What became of them" } (became(&plan)) }
                    }
                    section.panel { h2 { "The plan" } (facts(&plan, now)) }
                    @if !asked.is_empty() {
                        section.panel { h2 { "Who commanded" } (commanded(&asked, now)) }
                    }
                }
            }
            (odd_ones(&plan, &looked))
            (payments(&plan, &looked))
        }
    };
    Ok(framed(&who, (&title, Page::Plans, LIVE_S), &body))
}

impl Desk {
    /// The plan of that id, if there is one that may be seen. To others it is not there.
    pub(super) async fn plan_seen(&self, who: &Who, id: &str) -> Result<Plan, Trouble> {
        may_operate(&who.caller)?;
        let nothing = || Trouble::nothing("There is no such plan, or it is not for this key.");
        let id = id.parse::<PlanId>().map_err(|_| nothing())?;
        let plan = async {
            match planning::plan(&*self.store, &id).await {
                Err(PlanError::Missing(_)) => Ok(None),
                plan => plan.map(Some),
            }
        };
        let plan = self.in_time(plan).await?;
        plan.filter(|plan| sees(&who.caller, plan))
            .ok_or_else(nothing)
    }

    /// Who commanded it and why, as far as the newest entries of the audit log tell.
    async fn asked_of(&self, id: &PlanId) -> Result<Vec<AuditEntry>, StoreError> {
        let (stream, newest) = (AuditStream::Desk, AuditOrder::Newest);
        let newest = self.store.audit_page(stream, newest, None, AUDIT_STEP);
        let newest = newest.await?;
        let entries = newest.iter().filter_map(Chained::entry);
        let own = |entry: &AuditEntry| entry.subject.as_deref() == Some(id.as_str());
        Ok(entries.filter(own).collect())
    }
}

fn head(plan: &Plan, now: Timestamp) -> Markup {
    html! {
        div.heading.payment {
            h1.sentence { (words(&selection_word(&plan.of))) }
            (phase(plan, now))
            code.whole { (plan.id) }
        }
        p.lead { (standing(plan, now)) }
        (progress(plan))
    }
}

/// How it stands, as a sentence.
fn standing(plan: &Plan, now: Timestamp) -> Markup {
    html! {
        @match &plan.phase {
            Phase::Wanted => "A worker is to find the payments and to ask the gateway about each. Nothing is done to any.",
            Phase::Asking => "A worker asks the gateway about each payment. Nothing is done to any before the plan is applied.",
            Phase::Ready { until } => @match plan.may(PlanCommand::Apply, now) {
                Ok(()) => {
                    "Nothing was done yet. It can be applied until " (absolute(*until)) ", that is "
                    (when(*until, now)) "; each payment is compared with it once more then."
                },
                Err(not_now) => { "Nothing was done: " (not_now) "." },
            },
            Phase::Applying { .. } => {
                "Payments are told to be rerun stage by stage: one first, then ten, then a hundred at a \
                 time. It stops by itself when too many come out otherwise than foreseen."
            },
            Phase::Stopped { .. } => {
                "No further payment is told; what was told is carried out. "
                @if plan.may(PlanCommand::Resume, now).is_ok() {
                    "It can be resumed until " (absolute(plan.resumed_until())) "."
                } @else { "It can be resumed no more." }
            },
            Phase::Done => "All of it was done.",
        }
    }
}

/// How much of what a worker does now is done.
fn progress(plan: &Plan) -> Markup {
    let fates = fates(plan);
    let of = |words: &[&str]| -> u64 { words.iter().filter_map(|word| fates.get(word)).sum() };
    let all: u64 = fates.values().sum();
    let (done, all, told) = match plan.phase {
        Phase::Asking => (all - of(&["unasked"]), all, "asked about"),
        Phase::Applying { .. } => {
            let came = of(&["as_foreseen", "odd", "changed_since"]);
            (came, all - of(&["left_out"]), "came to rest")
        }
        _ => return Markup::default(),
    };
    html! {
        p.progress {
            progress max=(all.max(1)) value=(done) aria-label=(told) {}
            span { (done) " of " (all) " " (told) @if of(&["odd"]) > 0 { ", " strong { (of(&["odd"])) " odd" } } }
        }
    }
}

fn actions(who: &Who, plan: &Plan, now: Timestamp) -> Markup {
    let open = |command: &PlanCommand| plan.may(*command, now).is_ok();
    let open: Vec<_> = PlanCommand::ALL.into_iter().filter(open).collect();
    let anew = anew(&plan.of).filter(|_| plan.rests() && (open.is_empty() || plan.runs() > 0));
    let lacks = allowed(who).err();
    let refused = lacks.map(|lacks| format!("To act on it the key {lacks}."));
    let much = || may_command(&who.caller, plan).err();
    let refused =
        refused.or_else(|| much().map(|problem| format!("To act on it: {}.", problem.detail)));
    html! {
        @if !open.is_empty() || anew.is_some() {
            section.actions aria-label="What can be done now" {
                @match refused {
                    Some(refused) => p.quiet { (refused) },
                    None => {
                        @for command in &open {
                            a.button.primary[*command != PlanCommand::Stop] data-row=""
                                href=(format!("/desk/plans/{}/{}", plan.id, command.as_str())) {
                                (command.as_str()) "…"
                            }
                        }
                        @if let Some(query) = anew {
                            a.button href=(format!("/desk/plans/new?{query}")) data-row="" { "plan it anew…" }
                        }
                    },
                }
            }
        }
    }
}

/// How much money it is about at most, by what becomes of it.
pub(super) fn money_touched(plan: &Plan) -> Markup {
    let mut sums = BTreeMap::<Touch, Vec<_>>::new();
    for ((currency, how), minor) in plan.touches() {
        sums.entry(how).or_default().push((currency, minor));
    }
    let title = |how: &Touch| match how {
        Touch::Takes => "Taken, at most",
        Touch::Reserves => "Reserved, at most",
        Touch::GivesBack => "Given back, at most",
        Touch::RecordsTaken => "Taken before, and recorded",
    };
    html! {
        @if !sums.is_empty() {
            div.tiles {
                @for (how, sums) in &sums {
                    section.tile {
                        h2 { (title(how)) }
                        div.figure { @for (currency, minor) in sums { div { (in_currency(*currency, *minor)) } } }
                    }
                }
            }
        }
    }
}

fn what(plan: &Plan) -> Markup {
    let mut alike: Vec<_> = by_what(plan).into_iter().collect();
    alike.sort_by_key(|(_, own)| std::cmp::Reverse(own.count));
    html! {
        @if alike.is_empty() {
            p.empty { @if plan.phase == Phase::Wanted { "Not known yet." } @else { "No payment is like that." } }
        } @else {
            table {
                thead { tr { th { "a rerun" } th.end { "payments" } th.end { "money, at most" } } }
                tbody {
                    @for (what, own) in &alike {
                        tr {
                            td.sentence { (words(what)) }
                            td.end { (own.count) }
                            td.end { @for (currency, minor) in &own.minor { div { (in_currency(*currency, *minor)) } } }
                        }
                    }
                }
            }
        }
    }
}

fn became(plan: &Plan) -> Markup {
    html! {
        table {
            tbody {
                @for (fate, count) in fates(plan) {
                    tr {
                        td { a href=(format!("/desk/plans/{}?only={fate}", plan.id)) data-row="" { (words(fate)) } }
                        td.end { (count) }
                    }
                }
            }
        }
    }
}

fn facts(plan: &Plan, now: Timestamp) -> Markup {
    let planned = plan.payments.iter();
    let left_out = planned
        .filter(|it| matches!(it.fate, Fate::LeftOut { .. }))
        .count();
    html! {
        dl.facts {
            dt { "payments" }
            dd { (plan.payments.len()) @if plan.more { " and more" } @if left_out > 0 { ", of which " (left_out) " are left out" } }
            dt { "made" } dd { (when(plan.made_at, now)) " by " (plan.made_by) " " small { (absolute(plan.made_at)) } }
            @if let Some(accounts) = &plan.accounts {
                dt { "of accounts" } dd { @for account in accounts { div { (account) } } }
            }
            @for (at, applied) in plan.applied.iter().chain(&plan.resumed).enumerate() {
                dt { @if at == 0 { "applied" } @else { "resumed" } }
                dd { (when(applied.at, now)) " by " (applied.by) div.quiet { (applied.reason) } }
            }
        }
    }
}

/// Those that came out otherwise than foreseen, where they are not what is looked at anyway.
fn odd_ones(plan: &Plan, looked: &Looked) -> Markup {
    let odd = |planned: &&Planned| matches!(planned.fate, Fate::Odd { .. });
    let odd: Vec<&Planned> = plan.payments.iter().filter(odd).take(MOST_ODD).collect();
    html! {
        @if !odd.is_empty() && looked.only.is_empty() {
            div.heading { h2 { "Otherwise than foreseen" } }
            (table(&odd))
        }
    }
}

fn payments(plan: &Plan, looked: &Looked) -> Markup {
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
                    (state(seen.state)) @if seen.in_doubt { " " (doubt()) }
                    @if let Some(why) = &seen.reason { div.quiet { (words(why.as_str())) } }
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
            Fate::Odd { state: name, reason } => {
                (state(*name)) " " strong.alert { "odd" }
                @if let Some(why) = reason.as_ref().map(ParkReason::as_str) { div.quiet { (words(why)) } }
            },
        }
    }
}
