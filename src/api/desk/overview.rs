//! The first page: what an operator must know at once.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::Html;
use maud::{Markup, html};

use super::Desk;
use super::chart::{Bar, bars};
use super::frame::{Page, Trouble, framed};
use super::session::Who;
use super::show::{amount, count, count_and_age, in_currency, span, state, sums, when, words};
use crate::operate::pulse::{MINUTES, Minute, share_wrong};
use crate::operate::switches;
use crate::operate::tally::{BAR_HOURS, DUE_HOURS, LAPSING_HOURS, Sum, Sums, Tally};
use crate::payment::{AccountName, Timestamp, millis};
use crate::store::Store;
use crate::store::switches::SwitchName;

/// How often the page asks again, in seconds.
const LIVE_S: u32 = 5;

pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    Extension(who): Extension<Who>,
) -> Result<Html<String>, Trouble> {
    let tally = desk.overview.newest().await?;
    let tally = tally.only(&|account: &AccountName| who.caller.sees(account));
    let now = desk.clock.now();
    let minutes = desk.pulse.minutes(now);
    let concerns = |name: &SwitchName| match name {
        SwitchName::Account(account) => who.caller.sees(account),
        _ => true,
    };
    let theirs = (&concerns as _, who.unread());
    let stopped = desk.in_time(switches::standing(&desk.store, &desk.clock, theirs));
    let stopped = stopped.await?;
    let body = html! {
        div #overview data-fresh="" {
            div.heading {
                h1 { "Overview" }
                p.quiet { "Counted " (when(tally.as_of, now)) }
            }
            @if let Err(lack) = desk.store.durability() {
                p.problem role="alert" { strong { "No money moves now. " } (lack.to_string()) }
            }
            @for line in &stopped {
                p.problem role="status" { strong { a href="/desk/switches" { "Stopped." } } " " (line) }
            }
            // Whose they are is not known without reading them.
            @if tally.uncounted > 0 && who.caller.accounts().is_none() {
                p.problem role="status" {
                    strong { (count(tally.uncounted)) " not counted here. " }
                    "A version without the desk recorded them; each is counted from its next save on, a \
                     parked one within a day. " code { "holdfast list" } " has them."
                }
            }
            (tiles(&tally, now))
            (lapses(&tally))
            div.columns {
                div { (parked(&tally, now)) (by_account(&tally, now)) }
                (states(&tally, now))
            }
            // What the hour counts is of all accounts.
            @if who.caller.accounts().is_none() { (hour(&minutes)) }
        }
    };
    Ok(framed(&who, ("Overview", Page::Overview, LIVE_S), &body))
}

fn tile(title: &str, class: &str, to: &str, body: &Markup) -> Markup {
    let class = format!("tile {class}");
    html! {
        section class=(class) {
            h2 { a href=(to) data-row="" { (title) } }
            (body)
        }
    }
}

/// Money first, how many and how old below.
fn figures(of: &Sums, now: Timestamp, none: &str) -> Markup {
    let whole = of.whole();
    html! {
        @if whole.count == 0 {
            div.figure.none { (none) }
        } @else {
            div.figure { (sums(of)) }
            p.quiet { (count_and_age(whole, now)) }
        }
    }
}

fn tiles(tally: &Tally, now: Timestamp) -> Markup {
    let due = Sums::of(tally.due.values());
    let about_money = tally
        .in_doubt
        .iter()
        .filter(|(step, _)| step.is_about_money());
    let doubt = Sums::of(about_money.map(|(_, sums)| sums));
    let doubts = Sums::of(tally.in_doubt.values()).whole();
    let parked = Sums::of(tally.parked.values());
    let warn = |sums: u64| if sums > 0 { "warn" } else { "" };
    html! {
        div.tiles {
            (tile("Money held", "", "/desk/payments?lapses=any", &html! {
                (figures(&tally.held, now, "Nothing is held"))
                @if tally.lapsed.whole().count > 0 {
                    p.alert {
                        a href="/desk/payments?lapses=past" {
                            (count(tally.lapsed.whole().count)) " past the hold's time"
                        }
                    }
                }
            }))
            (tile(&format!("Due within {DUE_HOURS} h"), "", "/desk/payments?due=24", &html! {
                @match due.whole() {
                    Sum { count: 0, .. } => div.figure.none { "Nothing is due" },
                    whole => {
                        div.figure { (sums(&due)) }
                        p.quiet {
                            (count(whole.count))
                            @if let Some(first) = whole.oldest { ", the first " (when(first, now)) }
                        }
                    },
                }
                ul.plain {
                    @for (step, sums) in &tally.due {
                        li { (words(step.as_str())) span.number { (sums.whole().count) } }
                    }
                }
            }))
            (tile("Lapsing soon", warn(tally.lapsing[0].whole().count), "/desk/payments?lapses=72", &html! {
                ul.plain.spread {
                    @for (hours, of) in LAPSING_HOURS.iter().zip(&tally.lapsing) {
                        li {
                            a href=(format!("/desk/payments?lapses={hours}")) { (hours) " h" }
                            span.number {
                                @if of.whole().count == 0 { "none" }
                                @else { (sums(of)) small { (count(of.whole().count)) } }
                            }
                        }
                    }
                }
            }))
            (tile("Outcome unknown", warn(doubts.count), "/desk/payments?doubt=1", &html! {
                (figures(&doubt, now, "Nothing is in doubt"))
                @if doubts.count > doubt.whole().count {
                    p.quiet { (count(doubts.count - doubt.whole().count)) " more, about no money" }
                }
            }))
            (tile("Parked", warn(parked.whole().count), "/desk/payments?state=parked", &html! {
                (figures(&parked, now, "Nobody is asked"))
            }))
        }
    }
}

/// Holds by when they lapse.
fn lapses(tally: &Tally) -> Markup {
    let told = |bar: usize, of: &Sums| {
        let (from, to) = (tally.bar_begins(bar), tally.bar_begins(bar + 1));
        let time = |at: Timestamp| at.format("%a %-d %b %H:%M").to_string();
        let money = of
            .by_currency()
            .into_iter()
            .map(|(currency, sum)| format!(", {} {}", currency.as_str(), amount(sum.minor)));
        let money: String = money.collect();
        format!(
            "{} to {}: {}{money}",
            time(from),
            time(to),
            count(of.whole().count)
        )
    };
    let bar = |(at, of): (usize, &Sums)| Bar {
        value: of.whole().count,
        told: told(at, of),
        class: if at < 2 { "soon" } else { "hold" },
    };
    let all: Vec<Bar> = tally.bars.iter().enumerate().map(bar).collect();
    let days = tally.bars.len() / 2;
    html! {
        section.panel {
            div.heading {
                h2 { "Holds by when they lapse" }
                p.quiet { "each bar " (BAR_HOURS) " h; a bar's height is how many" }
            }
            @if tally.held.whole().count == 0 {
                p.empty { "No hold stands." }
            } @else {
                (bars("Holds by when they lapse", &all))
                div.axis aria-hidden="true" {
                    @for day in 0..days {
                        span { (tally.bar_begins(day * 2).format("%a %-d %b").to_string()) }
                    }
                }
                p.quiet {
                    @if tally.lapsed.whole().count > 0 {
                        strong { (count(tally.lapsed.whole().count)) } " should have lapsed by now. "
                    }
                    @if tally.later.whole().count > 0 {
                        (count(tally.later.whole().count)) " later than that."
                    }
                }
            }
        }
    }
}

fn parked(tally: &Tally, now: Timestamp) -> Markup {
    html! {
        section.panel {
            h2 { "Parked, by reason" }
            @if tally.parked.is_empty() {
                p.empty { "Nothing waits for a person." }
            } @else {
                table {
                    thead { tr { th { "reason" } th.end { "count" } th.end { "money" } th.end { "oldest" } } }
                    tbody {
                        @for (reason, of) in &tally.parked {
                            tr {
                                td { a href=(format!("/desk/payments?state=parked&reason={reason}")) data-row="" {
                                    (words(reason))
                                } }
                                (cells(of, now))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Whose money is held, if there is more than one account.
fn by_account(tally: &Tally, now: Timestamp) -> Markup {
    let each: Vec<_> = tally.held.each().collect();
    html! {
        @if each.len() > 1 {
            section.panel {
                h2 { "Held, by account" }
                table {
                    thead { tr { th { "account" } th.end { "count" } th.end { "money" } th.end { "oldest" } } }
                    tbody {
                        @for (account, currency, sum) in each {
                            tr {
                                td { a href=(format!("/desk/payments?account={account}&lapses=any")) data-row="" {
                                    (account)
                                } }
                                td.end { (sum.count) }
                                td.end { @if let Some(currency) = currency { (in_currency(currency, sum.minor)) } }
                                td.end { @if let Some(oldest) = sum.oldest { (super::show::age(oldest, now)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn states(tally: &Tally, now: Timestamp) -> Markup {
    html! {
        section.panel {
            h2 { "Unfinished, by state" }
            @if tally.by_state.is_empty() {
                p.empty { "Everything has ended." }
            } @else {
                table {
                    thead { tr { th { "state" } th.end { "count" } th.end { "money" } th.end { "oldest" } } }
                    tbody {
                        @for (name, of) in &tally.by_state {
                            tr {
                                td { a href=(format!("/desk/payments?state={name}")) data-row="" {
                                    (state(*name))
                                } }
                                (cells(of, now))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cells(of: &Sums, now: Timestamp) -> Markup {
    let whole = of.whole();
    html! {
        td.end { (whole.count) }
        td.end { (sums(of)) }
        td.end { @if let Some(oldest) = whole.oldest { (super::show::age(oldest, now)) } }
    }
}

/// The last hour, as this worker saw it.
fn hour(minutes: &[Minute; MINUTES]) -> Markup {
    let ended: u64 = minutes.iter().map(|minute| minute.ended).sum();
    let late = minutes.iter().filter_map(|minute| minute.late_ms).max();
    let late_text = |ms: u64| match ms {
        0..1_000 => format!("{ms} ms"),
        ms => span(millis(ms)),
    };
    let each = |class, value: fn(&Minute) -> u64, told: &dyn Fn(&Minute) -> String| {
        let bar = |(at, minute): (usize, &Minute)| Bar {
            value: value(minute),
            told: format!("{} min ago: {}", MINUTES - 1 - at, told(minute)),
            class,
        };
        minutes.iter().enumerate().map(bar).collect::<Vec<Bar>>()
    };
    let ends = each("hold", |it| it.ended, &|it| format!("{} ended", it.ended));
    let lates = each("late", |it| it.late_ms.unwrap_or_default(), &|it| {
        it.late_ms.map_or("nobody looked".to_owned(), late_text)
    });
    let wrongs = each("wrong", Minute::wrong, &|it| {
        format!("{} failed, {} parked", it.failed, it.parked)
    });
    let share = share_wrong(minutes);
    html! {
        section.panel {
            div.heading {
                h2 { "The last hour" }
                p.quiet { "as this worker saw it; a bar is a minute" }
            }
            div.charts {
                figure {
                    figcaption { "Ended" strong { (ended) } }
                    (bars("Payments that ended, by minute", &ends))
                }
                figure {
                    figcaption { "Most overdue"
                        strong { (late.map_or("not looked yet".to_owned(), late_text)) } }
                    (bars("How late the most overdue payment was, by minute", &lates))
                }
                figure {
                    figcaption { "Failed or parked" strong { (share) "%" } }
                    (bars("Payments that failed or were parked, by minute", &wrongs))
                }
            }
        }
    }
}
