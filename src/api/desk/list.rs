//! Payments by what is known of them.

use std::sync::Arc;

use axum::extract::{Extension, Query, State};
use axum::response::Html;
use maud::{Markup, html};

use super::Desk;
use super::act::allowed;
use super::asked::Asked;
use super::frame::{Page, Trouble, framed};
use super::session::Who;
use super::show::{age, doubt, money, short, state, when, words};
use crate::operate::find::{Found, find, seen};
use crate::operate::words::why;
use crate::payment::{AccountName, PaymentId, StateName, Timestamp};
use crate::store::Loaded;

/// How many payments a page shows.
const PAGE: usize = 50;
/// How often the page asks again, in seconds.
const LIVE_S: u32 = 10;

pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
    Query(asked): Query<Asked>,
) -> Result<Html<String>, Trouble> {
    let now = desk.clock.now();
    let policies = desk.policies.get();
    let accounts = policies.keys().filter(|name| who.caller.sees(name));
    let accounts: Vec<&AccountName> = accounts.collect();
    let filter = asked.filter(&accounts, now).and_then(|filter| {
        let of = filter.account.as_ref();
        match of.filter(|account| !who.caller.sees(account)) {
            None => Ok(filter),
            Some(_) => Err("The key is not for that account.".to_owned()),
        }
    });
    let found = match &filter {
        Ok(filter) => {
            let may = |account: &AccountName| who.caller.sees(account);
            let after = Some(&*asked.after).filter(|after| !after.is_empty());
            let finding = find(&desk.store, (filter, &may), (after, PAGE), now);
            Ok(desk.in_time(finding).await?)
        }
        Err(wrong) => Err(wrong),
    };
    let open = |found: &Found| found.payments.iter().any(|it| !it.payment.is_finished());
    let some = found.as_ref().is_ok_and(open);
    let body = html! {
        div.heading {
            h1 { "Payments" }
            p.quiet { (asked.told()) }
            @if some && asked.can_be_planned() && allowed(&who).is_ok() {
                span.spring {}
                a.button href=(format!("/desk/plans/new?{}", asked.written())) {
                    "Plan a rerun of these…"
                }
            }
        }
        (form(&asked, &accounts))
        div #found data-fresh="" {
            @match &found {
                Ok(found) => {
                    @let unread = unread_for(&who, found);
                    (table(&asked, (found, &unread), now)) (not_read(&unread)) (more(&asked, found))
                }
                Err(wrong) => { p.problem role="alert" { (wrong) } }
            }
        }
    };
    Ok(framed(&who, ("Payments", Page::Payments, LIVE_S), &body))
}

fn form(asked: &Asked, accounts: &[&AccountName]) -> Markup {
    html! {
        form.filter method="get" action="/desk/payments" role="search" {
            label { "Id"
                input #find name="id" value=(asked.id) placeholder="whole, or a part" spellcheck="false"; }
            label { "Reference"
                input name="reference" value=(asked.reference) placeholder="whole"; }
            label { "State"
                select name="state" {
                    option value="" { "not ended" }
                    @for name in StateName::ALL {
                        option value=(name) selected[asked.state == name.as_str()] {
                            (words(name.as_str()))
                        }
                    }
                }
            }
            label { "Account"
                select name="account" {
                    option value="" { "all" }
                    @for name in accounts {
                        option value=(name) selected[asked.account == name.as_str()] { (name) }
                    }
                }
            }
            div.buttons {
                button.primary type="submit" { "Find" }
                a.button href="/desk/payments" { "Clear" }
            }
            (further(asked))
        }
    }
}

/// What is looked for less often.
fn further(asked: &Asked) -> Markup {
    let hours = |name: &str, label: &str, value: &str, options: &[(&str, &str)]| {
        html! {
            label { (label)
                select name=(name) {
                    option value="" { "any" }
                    @for (hours, told) in options {
                        option value=(hours) selected[value == *hours] { (told) }
                    }
                }
            }
        }
    };
    let ages = [
        ("1", "1 h and more"),
        ("24", "1 d and more"),
        ("72", "3 d and more"),
        ("168", "7 d and more"),
    ];
    let lapses = [
        ("24", "24 h"),
        ("48", "48 h"),
        ("72", "72 h"),
        ("any", "at any time"),
        ("past", "by now, it should"),
    ];
    let due = [("1", "1 h"), ("24", "24 h"), ("168", "7 d")];
    html! {
        details open[asked.narrows()] {
            summary { "More to look for" }
            div.fields {
                label { "Reason"
                    input name="reason" value=(asked.reason) placeholder="outcome_unknown"; }
                label { "From"
                    input name="least" value=(asked.least) inputmode="decimal" placeholder="0.00"; }
                label { "To"
                    input name="most" value=(asked.most) inputmode="decimal" placeholder="any"; }
                (hours("age", "In its state for", &asked.age, &ages))
                (hours("lapses", "Hold lapses within", &asked.lapses, &lapses))
                (hours("due", "Planned within", &asked.due, &due))
                label.check {
                    input type="checkbox" name="doubt" value="1" checked[!asked.doubt.is_empty()];
                    "outcome unknown"
                }
            }
        }
    }
}

fn table(asked: &Asked, (found, unread): (&Found, &[&PaymentId]), now: Timestamp) -> Markup {
    html! {
        @if found.payments.is_empty() {
            p.empty {
                @if found.next.is_some() { "None among those that were looked at; there are more." }
                @else if asked.passes_over_the_ended() { (among_the_ended(asked)) }
                @else if !unread.is_empty() { "No payment that can be read is like that." }
                @else { "No payment is like that." }
            }
        } @else {
            table.payments {
                thead { tr {
                    th { "state" } th { "payment" } th { "account" } th { "reference" }
                    th.end { "money" } th.end { "in it for" } th { "what is to come, or why" }
                } }
                tbody { @for loaded in &found.payments { (row(loaded, now)) } }
            }
        }
    }
}

/// Those of which nobody knows whether they are meant. Of whose they are nobody knows where no account was
/// named: that is for keys of all accounts.
fn unread_for<'a>(who: &Who, found: &'a Found) -> Vec<&'a PaymentId> {
    let sees_all = who.caller.accounts().is_none();
    let of_any = found.unread_of_any.iter().filter(|_| sees_all);
    found.unread.iter().chain(of_any).collect()
}

fn not_read(unread: &[&PaymentId]) -> Markup {
    html! {
        @if !unread.is_empty() {
            p.problem {
                "These cannot be read, and nobody knows whether they are meant (holdfast doctor says why): "
                @for (at, id) in unread.iter().enumerate() { @if at > 0 { ", " } (id) }
            }
        }
    }
}

/// Where else what is looked for may stand.
fn among_the_ended(asked: &Asked) -> Markup {
    let ended = StateName::ALL.into_iter().filter(|name| name.is_finished());
    html! {
        "No payment that has not ended is like that. Look among those that are "
        @for (at, name) in ended.enumerate() {
            @if at > 0 { ", " }
            a href=(asked.with(|asked| name.as_str().clone_into(&mut asked.state))) {
                (words(name.as_str()))
            }
        }
        "."
    }
}

fn row(loaded: &Loaded, now: Timestamp) -> Markup {
    let (payment, face) = (&loaded.payment, seen(loaded));
    let request = payment.request();
    let to = format!("/desk/payments/{}", payment.id());
    html! {
        tr {
            td { (state(face.state)) @if face.in_doubt.is_some() { " " (doubt()) } }
            td { a.id href=(to) title=(payment.id()) data-row="" { (short(payment.id().as_str())) } }
            td { (request.account) }
            td {
                @if let Some(reference) = &request.reference { span.clip { (reference) } } @else { "–" }
            }
            td.end { @if let Some(it) = face.money { (money(it)) } @else { "–" } }
            td.end { (age(face.since, now)) }
            td {
                @if let Some(why) = why(payment.state()) { (words(&why)) }
                @else if let Some(planned) = face.planned {
                    (words(planned.step.as_str())) " " (when(planned.at, now))
                }
                @if let Some(lapses_at) = face.lapses_at { div.quiet { "lapses " (when(lapses_at, now)) } }
            }
        }
    }
}

fn more(asked: &Asked, found: &Found) -> Markup {
    let next = found.next.as_ref().map(|next| asked.further(next));
    html! {
        p.more {
            span.quiet { (found.payments.len()) " shown, " (found.looked_at) " looked at" }
            @if let Some(query) = next {
                a.button href=(format!("/desk/payments?{query}")) rel="next" { "Further" }
            }
        }
    }
}
