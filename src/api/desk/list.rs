//! Payments by what is known of them.

use std::sync::Arc;

use axum::extract::{Extension, Query, State};
use axum::response::Html;
use chrono::TimeDelta;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::Desk;
use super::frame::{Page, Trouble, framed};
use super::session::Who;
use super::show::{age, doubt, money, short, state, when, words};
use crate::operate::find::{Doubt, Filter, Found, find, seen};
use crate::operate::words::why;
use crate::payment::{AccountName, PaymentId, Reference, StateName, Timestamp};
use crate::store::Loaded;

/// How many payments a page shows.
const PAGE: usize = 50;
/// How long an id is: what is longer is part of none.
const LONGEST_ID: usize = 36;
/// How often the page asks again, in seconds.
const LIVE_S: u32 = 10;
/// Farther ahead than any hold lasts.
const EVER: TimeDelta = TimeDelta::days(36_500);

/// What is asked for, as it stands in the address. What is empty is not asked for.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Asked {
    state: String,
    account: String,
    reference: String,
    reason: String,
    id: String,
    least: String,
    most: String,
    /// In its state for so many hours.
    age: String,
    /// Lapses within so many hours, or `any`.
    lapses: String,
    /// Planned within so many hours.
    due: String,
    doubt: String,
    after: String,
}

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
    let body = html! {
        div.heading { h1 { "Payments" } p.quiet { (asked.told()) } }
        (form(&asked, &accounts))
        div #found data-fresh="" {
            @match &found {
                Ok(found) => { (table(&asked, found, now)) (more(&asked, found)) }
                Err(wrong) => { p.problem role="alert" { (wrong) } }
            }
        }
    };
    Ok(framed(&who, ("Payments", Page::Payments, LIVE_S), &body))
}

impl Asked {
    fn told(&self) -> &'static str {
        match self.state.parse::<StateName>() {
            Ok(state) if state.is_finished() => "those that ended so, the oldest first",
            Ok(_) => "the longest in that state first",
            Err(_) => "all that has not ended, by state; name a state to see what has",
        }
    }

    /// Whether anything is asked for that stands further down in the form.
    fn narrows(&self) -> bool {
        let further = [
            &self.reason,
            &self.least,
            &self.most,
            &self.age,
            &self.lapses,
            &self.due,
            &self.doubt,
        ];
        further.into_iter().any(|text| !text.is_empty())
    }

    fn filter(&self, accounts: &[&AccountName], now: Timestamp) -> Result<Filter, String> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let account = given(&self.account).map(AccountName::new).transpose();
        let account = account.map_err(|error| error.to_string())?;
        let reference = given(&self.reference).map(Reference::new).transpose();
        let reference = reference.map_err(|error| error.to_string())?;
        // With one account alone there is nothing to choose.
        let only = match accounts {
            [only] if reference.is_some() => Some((*only).clone()),
            _ => None,
        };
        let ahead = |text: &str| match given(text).as_deref() {
            None => Ok(None),
            Some("any") => Ok(Some(now + EVER)),
            Some(text) => hours(text).map(|ahead| Some(now + ahead)),
        };
        let id_part = given(&self.id);
        if id_part.as_ref().is_some_and(|part| part.len() > LONGEST_ID) {
            return Err(format!("An id has {LONGEST_ID} characters at most."));
        }
        let state = given(&self.state).map(|state| state.parse()).transpose()?;
        Ok(Filter {
            state,
            account: account.or(only),
            reference,
            for_at_least: given(&self.age).map(|age| hours(&age)).transpose()?,
            for_at_most: None,
            at_least: given(&self.least).map(|text| minor(&text)).transpose()?,
            at_most: given(&self.most).map(|text| minor(&text)).transpose()?,
            reason: given(&self.reason),
            doubt: match given(&self.doubt) {
                Some(_) => Doubt::Only,
                None => Doubt::Any,
            },
            lapses_before: ahead(&self.lapses)?,
            planned_before: ahead(&self.due)?,
            id_part,
        })
    }
}

fn hours(text: &str) -> Result<TimeDelta, String> {
    let hours = text.parse::<u16>().ok().map(i64::from);
    let hours = hours.and_then(TimeDelta::try_hours);
    hours.ok_or_else(|| format!("{text:?} is no number of hours"))
}

/// An amount as people type it, in minor units: `1,500` and `1500.50`. A comma parts thousands and nothing
/// else: where it stands for a point, `1,50` would be a hundred times too much.
pub(super) fn minor(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "{text:?} is no amount; type one such as 1500, 1,500 or 1500.50, with a point before the sen"
        )
    };
    let (whole, rest) = text.split_once('.').unwrap_or((text, "00"));
    let digits = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit());
    let grouped = match whole.split_once(',') {
        None => !whole.is_empty(),
        Some((first, later)) => {
            (1..=3).contains(&first.len()) && later.split(',').all(|group| group.len() == 3)
        }
    };
    let whole = whole.replace(',', "");
    if rest.len() != 2 || !grouped || !digits(&whole) || !digits(rest) {
        return Err(wrong());
    }
    format!("{whole}{rest}").parse().map_err(|_| wrong())
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

fn table(asked: &Asked, found: &Found, now: Timestamp) -> Markup {
    html! {
        @if found.payments.is_empty() {
            p.empty {
                @if found.next.is_some() { "None among those that were looked at; there are more." }
                @else if asked.passes_over_the_ended() { (among_the_ended(asked)) }
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
    let next = found.next.as_ref();
    let next = next.map(|next| asked.with(|asked| asked.after.clone_from(next)));
    html! {
        p.more {
            span.quiet { (found.payments.len()) " shown, " (found.looked_at) " looked at" }
            @if let Some(next) = next { a.button href=(next) rel="next" { "Further" }
            }
        }
    }
}

impl Asked {
    /// Whether what has ended is not among what is shown.
    fn passes_over_the_ended(&self) -> bool {
        self.state.is_empty()
            && self.reference.is_empty()
            && !PaymentId::looks_like_one(self.id.trim())
    }

    /// The address of the same question with something changed.
    fn with(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut changed = self.clone();
        change(&mut changed);
        format!("/desk/payments?{}", changed.written())
    }

    /// As an address has it.
    fn written(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let fields = serde_json::to_value(self).unwrap_or_default();
        for (name, value) in fields.as_object().into_iter().flatten() {
            if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
                query.append_pair(name, text);
            }
        }
        query.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_as_people_type_it_and_nothing_else_is_taken_for_one() {
        for (text, expected) in [
            ("15", Some(1_500)),
            ("15.05", Some(1_505)),
            ("1,500.00", Some(150_000)),
            ("1,234,567", Some(123_456_700)),
            ("1,50", None),
            ("40,00", None),
            ("1,5.00", None),
            ("15,00,000", None),
            ("1500,000", None),
            (",500", None),
            ("1.500,00", None),
            ("15.5", None),
            ("", None),
            (".50", None),
            ("-1", None),
            ("1e5", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(minor(text).ok(), expected, "{text}");
        }
    }
}
