//! Money, times and states, as pages show them.

use chrono::{SecondsFormat, TimeDelta};
use maud::{Markup, html};

use crate::operate::tally::{Sum, Sums};
use crate::payment::{Currency, Money, StateName, Timestamp};

/// An amount with its thousands apart.
pub(super) fn amount(minor: u64) -> String {
    let (whole, rest) = (minor / 100, minor % 100);
    let digits = whole.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped}.{rest:02}")
}

pub(super) fn money(money: Money) -> Markup {
    in_currency(money.currency, money.amount.minor())
}

/// The same, in minor units.
pub(super) fn in_currency(currency: Currency, minor: u64) -> Markup {
    html! { span.money { span.currency { (currency.as_str()) } " " (amount(minor)) } }
}

/// Sums of money, one line for each currency.
pub(super) fn sums(sums: &Sums) -> Markup {
    html! {
        @for (currency, sum) in sums.by_currency() {
            div { (in_currency(currency, sum.minor)) }
        }
    }
}

/// How many, and since when the oldest.
pub(super) fn count_and_age(sum: Sum, now: Timestamp) -> Markup {
    html! {
        (count(sum.count))
        @if let Some(oldest) = sum.oldest { ", oldest " (age(oldest, now)) }
    }
}

pub(super) fn count(payments: u64) -> String {
    match payments {
        0 => "none".to_owned(),
        1 => "1 payment".to_owned(),
        payments => format!("{payments} payments"),
    }
}

/// A time as it is from now, and whole for whoever wants it.
pub(super) fn when(at: Timestamp, now: Timestamp) -> Markup {
    let from_now = match at - now {
        ahead if ahead >= TimeDelta::seconds(1) => format!("in {}", span(ahead)),
        ago if ago > TimeDelta::seconds(-1) => "now".to_owned(),
        ago => format!("{} ago", span(-ago)),
    };
    timed(at, &from_now)
}

/// How long ago it was.
pub(super) fn age(at: Timestamp, now: Timestamp) -> Markup {
    timed(at, &span((now - at).max(TimeDelta::zero())))
}

fn timed(at: Timestamp, text: &str) -> Markup {
    let whole = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    html! { time datetime=(whole) title=(absolute(at)) { (text) } }
}

/// A time by itself.
pub(super) fn absolute(at: Timestamp) -> String {
    at.format("%-d %b %Y %H:%M:%S UTC").to_string()
}

/// A length of time in its two largest units.
pub(super) fn span(length: TimeDelta) -> String {
    let seconds = length.num_seconds();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    let two = |more: i64, unit: &str, less: i64, small: &str| match less {
        0 => format!("{more} {unit}"),
        less => format!("{more} {unit} {less} {small}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, minutes) => two(minutes, "min", rest, "s"),
        (0, hours, minutes) => two(hours, "h", minutes, "min"),
        (days, hours, _) => two(days, "d", hours, "h"),
    }
}

/// A state: a colour and its word.
pub(super) fn state(name: StateName) -> Markup {
    let class = format!("state {}", name.as_str());
    html! { span class=(class) { (words(name.as_str())) } }
}

/// That something is not known.
pub(super) fn doubt() -> Markup {
    html! { span.state.doubt { "outcome unknown" } }
}

/// A stored word as people read it.
pub(super) fn words(word: &str) -> String {
    word.replace('_', " ")
}

/// An id, short enough for a table.
pub(super) fn short(id: &str) -> String {
    match (id.get(..8), id.get(id.len().saturating_sub(4)..)) {
        (Some(begin), Some(end)) if id.len() > 16 => format!("{begin}…{end}"),
        _ => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_thousands_apart() {
        for (minor, text) in [
            (0, "0.00"),
            (5, "0.05"),
            (99_999, "999.99"),
            (100_000, "1,000.00"),
            (123_456_789, "1,234,567.89"),
        ] {
            assert_eq!(amount(minor), text);
        }
    }

    #[test]
    fn a_length_of_time_is_told_in_its_two_largest_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3_600, "1 h"),
            (3_661, "1 h 1 min"),
            (90_000, "1 d 1 h"),
            (864_000, "10 d"),
        ] {
            assert_eq!(span(TimeDelta::seconds(seconds)), text);
        }
    }
}
