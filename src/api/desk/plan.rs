//! One planned rerun: what would be done to each payment, and what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Extension, Path, Query, State};
use axum::response::Html;
use maud::{Markup, html};

use super::Desk;
use super::act::allowed;
use super::frame::{Page, Trouble, framed};
use super::payment::commanded;
use super::planned::{Looked, odd_ones, payments};
use super::planning::anew;
use super::plans::{phase, selected};
use super::session::Who;
use super::show::{absolute, in_currency, short, when, words};
use crate::api::v1::plans::{may_command, may_operate, sees};
use crate::operate::planning::{self, PlanError};
use crate::operate::shown::{by_what, fates};
use crate::operate::{Fate, Phase, Plan, PlanCommand, Touch};
use crate::payment::Timestamp;
use crate::store::audit::{AuditEntry, AuditStream, Chained};
use crate::store::redis::AuditOrder;
use crate::store::{PlanId, StoreError};

/// How often the page asks again, in seconds.
const LIVE_S: u32 = 2;
/// How many of the newest entries of the audit log are read for it.
const AUDIT_STEP: usize = 200;

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
                (warnings(&plan))
            }
            (actions(&who, &plan, now))
            div.tiles { (payments_touched(&plan)) (money_touched(&plan)) }
            div.columns.uneven {
                div {
                    section.panel { h2 { "What a rerun does, by payments" } (what(&plan)) }
                    @if plan.applied.is_some() {
                        section.panel { h2 { "What became of them" } (became(&plan)) }
                    }
                }
                div {
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
            h1.sentence { (selected(&plan.of)) }
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
            Phase::Wanted => "A worker will find the payments and ask the gateway about each. Nothing is done to any.",
            Phase::Asking => "A worker asks the gateway about each payment. Nothing is done to any before the plan is applied.",
            Phase::Ready { until } => @match plan.may(PlanCommand::Apply, now) {
                Ok(()) => {
                    "Nothing was done yet. It can be applied until " (absolute(*until)) ", that is "
                    (when(*until, now)) "; each payment is then compared with it once more."
                },
                Err(not_now) => { "Nothing was done: " (not_now) "." },
            },
            Phase::Applying { .. } => {
                "Payments are rerun in stages: one first, then ten, then a hundred at a time. The run stops \
                 by itself if too many turn out otherwise than foreseen."
            },
            Phase::Stopped { .. } if plan.waiting() == 0 => { "None is left to be rerun" (odd(plan)) "." },
            Phase::Stopped { .. } => {
                "No further payment is rerun; reruns that were started are carried out. "
                @if plan.may(PlanCommand::Resume, now).is_ok() {
                    "It can be resumed until " (absolute(plan.resumed_until())) "."
                } @else { "It can no longer be resumed." }
            },
            Phase::Done => { "All of it was done" (odd(plan)) "." },
        }
    }
}

/// How many did not come out as foreseen, or not yet, as the end of a sentence.
fn odd(plan: &Plan) -> Markup {
    let fates = fates(plan);
    html! {
        @if let Some(odd) = fates.get("odd") { ", and " (odd) " came out otherwise than foreseen" }
        @if let Some(on) = fates.get("looks_on") { ", and " (on) " still looked on" }
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
            let came = of(&["as_foreseen", "odd", "looks_on", "changed_since"]);
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
    let anew = anew.filter(|_| allowed(who).is_ok());
    html! {
        @if !open.is_empty() || anew.is_some() {
            section.actions aria-label="What can be done now" {
                @for command in &open {
                    @match refused(who, plan, *command) {
                        Some(refused) => p.quiet { (refused) },
                        None => a.button.primary[*command != PlanCommand::Stop] data-row=""
                            href=(format!("/desk/plans/{}/{}", plan.id, command.as_str())) {
                            (command.as_str()) "…"
                        },
                    }
                }
                @if let Some(query) = anew {
                    a.button href=(format!("/desk/plans/new?{query}")) data-row="" { "plan it anew…" }
                }
            }
        }
    }
}

/// Why whoever looks may not give the command, if that is so.
fn refused(who: &Who, plan: &Plan, command: PlanCommand) -> Option<String> {
    let to = command.as_str();
    let lacks = match command {
        PlanCommand::Stop => None,
        PlanCommand::Apply | PlanCommand::Resume => allowed(who).err(),
    };
    let much = || may_command(&who.caller, plan, command).err();
    lacks
        .map(|lacks| format!("To {to} it the key {lacks}."))
        .or_else(|| much().map(|problem| format!("To {to} it: {}.", problem.detail)))
}

/// What whoever applies it should know.
pub(super) fn warnings(plan: &Plan) -> Markup {
    let warnings = plan.warnings();
    html! {
        @if !warnings.is_empty() {
            div.problem role="status" { @for warning in &warnings { p { (warning) "." } } }
        }
    }
}

fn payments_touched(plan: &Plan) -> Markup {
    let count = |fits: fn(&Fate) -> bool| {
        let fates = plan.payments.iter().map(|planned| &planned.fate);
        fates.filter(|fate| fits(fate)).count()
    };
    let all = plan.payments.len();
    let left_out = count(|fate| matches!(fate, Fate::LeftOut { .. }));
    let unasked = count(|fate| *fate == Fate::Unasked);
    html! {
        section.tile {
            h2 { "Payments" }
            div.figure { (all - left_out - unasked) }
            @if plan.more { p.quiet { "there are more than that" } }
            @if unasked > 0 { p.quiet { (unasked) " not asked about yet" } }
            @if left_out > 0 { p.quiet { (left_out) " left out" } }
        }
    }
}

/// How much money it is about at most, by what becomes of it: a tile each.
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
        @for (how, sums) in &sums {
            section.tile {
                h2 { (title(how)) }
                div.figure {
                    @for (currency, minor) in sums {
                        div { (in_currency(*currency, *minor)) }
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
    html! {
        dl.facts {
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
