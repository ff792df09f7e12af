//! The table of transitions, walked through pair by pair, and rendered for ARCHITECTURE.md.

use super::evidence::forged;
use super::scenes::start;
use super::*;

fn money() -> Money {
    Money {
        amount: Amount::new(1500).unwrap(),
        currency: Currency::MYR,
    }
}

fn hold() -> Hold {
    Hold {
        money: money(),
        since: start(),
        expires_at: start() + chrono::TimeDelta::days(6),
    }
}

fn states() -> Vec<(&'static str, State)> {
    let parked = |from| State::Parked {
        reason: ParkReason::Poison,
        from,
    };
    vec![
        ("New", State::New),
        ("AwaitingPayer", State::AwaitingPayer),
        ("Held", State::Held(hold())),
        ("Paid", State::Paid(money())),
        ("Released", State::Released),
        ("Saved", State::Saved(CardToken::new("t").unwrap())),
        ("Failed", State::Failed(FailReason::Cancelled)),
        ("Parked (was New)", parked(Active::New)),
        ("Parked (was AwaitingPayer)", parked(Active::AwaitingPayer)),
        ("Parked (was Held)", parked(Active::Held(hold()))),
    ]
}

fn events() -> Vec<(&'static str, Event)> {
    vec![
        ("LinkMade", Event::LinkMade),
        ("Held", Event::Held(forged::held(hold()))),
        ("Paid", Event::Paid(forged::paid(money()))),
        ("Released", Event::Released),
        ("Saved", Event::Saved(CardToken::new("t").unwrap())),
        (
            "Sealed",
            Event::Sealed(forged::seal(), FailReason::Cancelled),
        ),
        ("Stuck", Event::Stuck(ParkReason::Poison)),
        ("Resumed", Event::Resumed),
        ("TakenAsShown", Event::TakenAsShown(forged::taken(money()))),
        (
            "StatedByHand (never paid)",
            Event::StatedByHand(Stated::by_two_people(StatedEnd::NeverPaid)),
        ),
        (
            "StatedByHand (hold gone)",
            Event::StatedByHand(Stated::by_two_people(StatedEnd::HoldGone)),
        ),
    ]
}

#[allow(
    clippy::format_push_string,
    reason = "a test that is read more than it is run"
)]
fn rendered() -> String {
    let mut table = String::from("| from |");
    for (name, _) in events() {
        table += &format!(" {name} |");
    }
    table.push_str("\n|---|");
    table.push_str(&"---|".repeat(events().len()));
    for (name, state) in states() {
        table += &format!("\n| {name} |");
        for (_, event) in events() {
            let to = match state.on(event) {
                Ok(to) => format!("{:?}", to.name()),
                Err(_) => "–".to_owned(),
            };
            table += &format!(" {to} |");
        }
    }
    table
}

#[test]
fn finished_states_accept_no_event() {
    for (name, state) in states()
        .into_iter()
        .filter(|(_, state)| state.name().is_finished())
    {
        for (event_name, event) in events() {
            assert!(state.on(event).is_err(), "{name} accepted {event_name}");
        }
    }
}

#[test]
fn only_listed_pairs_are_accepted() {
    let accepted = states()
        .iter()
        .flat_map(|(_, state)| {
            events()
                .into_iter()
                .map(move |(_, event)| state.on(event).is_ok())
        })
        .filter(|accepted| *accepted)
        .count();
    assert_eq!(
        accepted,
        5 + 4 + 3 + 6 + 7 + 5 + 3 + 2 + 1,
        "a pair was added or taken away: {}",
        rendered()
    );
}

#[test]
fn the_architecture_page_shows_this_very_table() {
    let page = include_str!("../../ARCHITECTURE.md");
    assert!(
        page.contains(&rendered()),
        "put this into ARCHITECTURE.md:\n{}",
        rendered()
    );
}
