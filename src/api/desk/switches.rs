//! What is stopped, by whom and why; which workers have seen it; and the doors to stop and to let go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::Desk;
use super::frame::{Page, Trouble, framed};
use super::session::Who;
use super::show::{when, words};
use crate::api::v1::Scope;
use crate::api::v1::plans::actor;
use crate::operate::switches::{
    LetGo, Stopped, Unread, is_lost, let_go, line, lives, stop, unknown_lines,
};
use crate::payment::Timestamp;
use crate::store::audit::Via;
use crate::store::switches::{KINDS, STEPS, Switch, SwitchName, Switches, WorkerNotes};

/// How often the page asks again, in seconds: whoever stopped something waits for the workers.
const LIVE_S: u32 = 2;

/// What is stopped now, and what can be.
pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
) -> Result<Html<String>, Trouble> {
    let now = desk.clock.now();
    let switches = desk.in_time(desk.store.switches()).await?;
    let workers = desk.in_time(desk.store.workers()).await?;
    let body = html! {
        div.heading { h1 { "Stop and go" } p.quiet { "what is sent is never cut; look-ups go on" } }
        div #switches data-fresh="" {
            (standing(&who, &switches, now))
            @match who.caller.accounts() {
                None => (seen_by(&workers, switches.version, now)),
                // What workers do is of all accounts; that a switch stands is for whoever threw it.
                Some(_) => (seen_by_all(&workers, switches.version, now)),
            }
        }
        (to_stop(&desk, &who, &switches))
    };
    let title = ("Stop and go", Page::Switches, LIVE_S);
    Ok(framed(&who, title, &body))
}

/// Whether whoever looks may stop it and let it go on; what the key lacks, if not.
fn allowed(who: &Who, name: &SwitchName) -> Result<(), String> {
    (who.caller.may(Scope::Operate)).map_err(|_| "The key needs the scope operate.".to_owned())?;
    match name {
        SwitchName::Account(account) if who.caller.sees(account) => Ok(()),
        SwitchName::Account(_) => Err("The key is not for that account.".to_owned()),
        _ if who.caller.accounts().is_none() => Ok(()),
        _ => Err("That is of all accounts, and the key is for some alone.".to_owned()),
    }
}

impl Who {
    /// Whether what another version stopped is named: it may be another account's.
    pub(super) fn unread(&self) -> Unread {
        match self.caller.accounts() {
            None => Unread::Named,
            Some(_) => Unread::Unnamed,
        }
    }
}

fn concerns(who: &Who, name: &SwitchName) -> bool {
    match name {
        SwitchName::Account(account) => who.caller.sees(account),
        _ => true,
    }
}

fn standing(who: &Who, switches: &Switches, now: Timestamp) -> Markup {
    let stopped = switches.standing(now);
    let stopped: Vec<_> = stopped.filter(|(name, _)| concerns(who, name)).collect();
    html! {
        section.panel {
            h2 { "Stopped now" }
            @for unknown in unknown_lines(switches, who.unread()) {
                p.problem role="alert" { strong { (unknown) } }
            }
            @if stopped.is_empty() && switches.unknown.is_empty() {
                p.empty { "Nothing is stopped." }
            }
            @for (name, switch) in stopped {
                div.problem.stopped role="status" {
                    p { (line(name, switch)) }
                    @if *name != SwitchName::Drain && allowed(who, name).is_ok() {
                        a.button href=(address(name)) data-row="" { "Let it go on…" }
                    }
                }
            }
        }
    }
}

/// Who has seen it: until all have, something may still be sent.
fn seen_by(notes: &WorkerNotes, version: u64, now: Timestamp) -> Markup {
    let here = (notes.read.iter()).filter(|(_, note)| lives(note, now) || is_lost(note, now));
    let here: Vec<_> = here.collect();
    html! {
        section.panel {
            h2 { "Workers" }
            @if here.is_empty() && notes.unreadable.is_empty() { p.empty { "No worker is running." } }
            @else {
                table {
                    thead { tr {
                        th { "worker" } th.wide { "program" } th.end.wide { "runs since" }
                        th { "calls under way" } th { "the last switch" }
                    } }
                    tbody {
                        @for (id, note) in here { tr {
                            td { code { (id) } } td.wide { (note.program) }
                            td.end.wide { (when(note.started, now)) }
                            td { (under_way(&note.under_way)) }
                            td { @if is_lost(note, now) { strong { "silent since " (when(note.seen, now)) } }
                                @else if note.switches < version { strong { "not seen yet" } }
                                @else { "seen" } }
                        } }
                        @for id in notes.unreadable.keys() { tr {
                            td { code { (id) } } td.wide {} td.wide {}
                            td { "this version cannot read what it reports" }
                            td { strong { "not known" } }
                        } }
                    }
                }
            }
        }
    }
}

fn seen_by_all(notes: &WorkerNotes, version: u64, now: Timestamp) -> Markup {
    let here: Vec<_> = (notes.read.values())
        .filter(|note| lives(note, now))
        .collect();
    let there = here.len() + notes.unreadable.len();
    let behind = here.iter().filter(|note| note.switches < version);
    let behind = behind.count() + notes.unreadable.len();
    let lost = notes.read.values().filter(|note| is_lost(note, now));
    html! {
        p.quiet role="status" {
            @match (there, behind) {
                (0, _) => "No worker is running; one that starts will see the last switch.",
                (_, 0) => "Every worker that is there has seen the last switch.",
                (_, 1) => strong { "One worker has not seen the last switch yet, and may still send." },
                (_, behind) => strong { (behind) " workers have not seen the last switch yet, and may still send." },
            }
            @match lost.count() {
                0 => {},
                1 => strong { " One worker is silent, and may still have calls under way." },
                lost => strong { " " (lost) " workers are silent, and may still have calls under way." },
            }
        }
    }
}

fn under_way(calls: &BTreeMap<String, u64>) -> String {
    let calls = calls.iter().filter(|(_, count)| **count > 0);
    let told: Vec<String> = calls
        .map(|(step, count)| format!("{count} {step}"))
        .collect();
    if told.is_empty() {
        "none".to_owned()
    } else {
        told.join(", ")
    }
}

fn address(name: &SwitchName) -> String {
    format!("/desk/switches/{name}")
}

/// What goes on and can be stopped by whoever looks.
fn to_stop(desk: &Desk, who: &Who, switches: &Switches) -> Markup {
    let accounts: Vec<SwitchName> = (desk.policies.get().keys())
        .map(|name| SwitchName::Account(name.clone()))
        .collect();
    let groups = [
        ("An account", accounts),
        ("A step", STEPS.map(SwitchName::Step).into()),
        ("Payments of a kind", KINDS.map(SwitchName::Kind).into()),
        ("Everything", vec![SwitchName::All]),
    ];
    let open = |name: &SwitchName| allowed(who, name).is_ok() && !switches.set.contains_key(name);
    html! {
        section.panel {
            h2 { "To stop" }
            @if who.caller.may(Scope::Operate).is_err() {
                p.quiet { "To stop something the key needs the scope operate." }
            } @else {
                dl.facts {
                    @for (title, names) in &groups {
                        @let names: Vec<&SwitchName> = names.iter().filter(|name| open(name)).collect();
                        @if !names.is_empty() {
                            dt { (title) }
                            dd.buttons { @for name in names {
                                a.button href=(address(name)) { (short(name)) "…" }
                            } }
                        }
                    }
                }
            }
        }
    }
}

/// The name without the word that stands beside it.
fn short(name: &SwitchName) -> String {
    match name {
        SwitchName::All => "stop all".to_owned(),
        SwitchName::Drain => "drain".to_owned(),
        SwitchName::Account(account) => account.to_string(),
        SwitchName::Step(word) | SwitchName::Kind(word) => words(word),
    }
}

/// What is named, in a sentence.
fn named(name: &SwitchName) -> String {
    match name {
        SwitchName::All => "everything".to_owned(),
        SwitchName::Drain => "the drain".to_owned(),
        SwitchName::Account(account) => format!("the account {account}"),
        SwitchName::Step(step) => format!("the step {step}"),
        SwitchName::Kind(kind) => format!("payments of the kind {}", words(kind)),
    }
}

/// The page before something is stopped, or goes on.
pub(super) async fn ask(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
    Path(name): Path<String>,
) -> Result<Html<String>, Trouble> {
    let found = desk.in_time(desk.store.switches()).await?;
    let name = desk.switch_for(&who, &name, &found)?;
    let stopped = found.set.get(&name);
    let (title, meaning) = match stopped {
        None => (
            format!(
                "{} {}",
                if name == SwitchName::All {
                    "Stop"
                } else {
                    "Pause"
                },
                named(&name)
            ),
            "No new call is made for it. Calls under way run to their end, look-ups continue, and requests \
             and commands are recorded. A hold that lapses meanwhile is lost.",
        ),
        Some(_) => (
            format!("Let {} go on", named(&name)),
            "Payments continue within half a minute, with what was due meanwhile.",
        ),
    };
    let body = html! {
        p.crumbs { a href="/desk/switches" { "Stop and go" } " / " (name) }
        section.confirm {
            h1 { (title) "?" }
            p { (meaning) }
            @if let Some(switch) = stopped { p.problem { (line(&name, switch)) } }
            form method="post" action=(address(&name)) {
                input type="hidden" name="mark" value=(who.mark);
                input type="hidden" name="shown" value=(shown(stopped));
                label { "Why" input name="reason" required maxlength="300" autofocus
                    placeholder="kept in the audit log, for your colleagues"; }
                div.buttons {
                    button.primary type="submit" { (title) }
                    a.button href="/desk/switches" { "Not now" }
                }
            }
        }
    };
    Ok(framed(&who, (&title, Page::Switches, 0), &body))
}

/// What the page showed: only that is let go on, and only what went on is stopped.
fn shown(switch: Option<&Switch>) -> String {
    switch.map_or_else(String::new, |it| {
        serde_json::to_string(it).unwrap_or_default()
    })
}

/// What is typed on that page.
#[derive(Debug, Deserialize)]
pub(super) struct Typed {
    mark: String,
    shown: String,
    #[serde(default)]
    reason: String,
}

/// Stops it, or lets it go on.
pub(super) async fn give(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
    Path(name): Path<String>,
    typed: Result<Form<Typed>, FormRejection>,
) -> Result<Response, Trouble> {
    let Form(typed) = typed.map_err(|_| Trouble::wrong("The form could not be read."))?;
    who.sent(&typed.mark)?;
    let found = desk.in_time(desk.store.switches()).await?;
    let name = desk.switch_for(&who, &name, &found)?;
    let reason = typed.reason.trim();
    if reason.is_empty() {
        return Err(Trouble::wrong(
            "Say why: your colleagues will want to know.",
        ));
    }
    if shown(found.set.get(&name)) != typed.shown {
        return Err(Trouble::wrong(CHANGED_SINCE));
    }
    let by = who.caller.mandate_by(Via::Dashboard).because(Some(reason));
    let (store, clock) = (&*desk.store, &desk.clock);
    let verb = verb(&name, &typed);
    if typed.shown.is_empty() {
        let wanted = Switch {
            since: clock.now(),
            actor: actor(&who.caller),
            reason: reason.to_owned(),
            until: None,
        };
        let stopping = stop(store, clock, (verb, &name), &wanted, &by);
        if let Stopped::Already { .. } = desk.in_time(stopping).await? {
            return Err(Trouble::wrong(CHANGED_SINCE));
        }
    } else {
        let going = let_go(store, clock, (verb, &name), &found, &by);
        if let LetGo::StoppedSince(_) = desk.in_time(going).await? {
            return Err(Trouble::wrong(CHANGED_SINCE));
        }
    }
    tracing::info!(switch = %name, action = verb, key = who.caller.name(), "switched at the desk");
    Ok(Redirect::to("/desk/switches").into_response())
}

const CHANGED_SINCE: &str = "Somebody has stopped it or let it go on since that page was loaded: nothing was changed. \
     Look again, and decide anew.";

/// The word of the command line for it, for the audit log.
fn verb(name: &SwitchName, typed: &Typed) -> &'static str {
    match (name, typed.shown.is_empty()) {
        (SwitchName::All, true) => "stop",
        (SwitchName::All, false) => "go",
        (_, true) => "pause",
        (_, false) => "resume",
    }
}

impl Desk {
    /// What is named, if whoever looks may stop it here or let it go on.
    fn switch_for(&self, who: &Who, name: &str, found: &Switches) -> Result<SwitchName, Trouble> {
        let nothing = || Trouble::nothing("There is nothing of that name to stop.");
        let name = SwitchName::parse(name).ok_or_else(nothing)?;
        // A drain has its own time, and ends by itself.
        let known = match &name {
            SwitchName::Drain => false,
            // One that is configured here no more may stand stopped still.
            SwitchName::Account(account) => {
                self.policies.get().contains_key(account) || found.set.contains_key(&name)
            }
            SwitchName::All | SwitchName::Step(_) | SwitchName::Kind(_) => true,
        };
        allowed(who, &name).map_err(|lacks| Trouble::forbidden(&lacks))?;
        if known { Ok(name) } else { Err(nothing()) }
    }
}
