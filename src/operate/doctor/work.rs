//! Whether anybody works, what people have stopped, and what is overdue: the first questions when money
//! does not move.

use chrono::TimeDelta;

use super::check::Check;
use crate::clock::Clock;
use crate::operate::switches::{Unread, lives, standing};
use crate::store::redis::RedisStore;
use crate::store::switches::WorkerNotes;
use crate::store::{Stats, Store};

/// What is due for longer is taken up by nobody.
const OVERDUE: TimeDelta = TimeDelta::minutes(2);

pub(super) async fn checks(store: &RedisStore, clock: &Clock) -> Vec<Check> {
    let unread = |name: &'static str, error| Check::not_checked(name, format!("{error}"));
    vec![
        match store.workers().await {
            Ok(notes) => workers(&notes, clock),
            Err(error) => unread("workers", error),
        },
        match standing(store, clock, (&|_| true, Unread::Named)).await {
            Ok(stopped) => of_stopped(&stopped),
            Err(error) => unread("stopped", error),
        },
        match store.stats().await {
            Ok(stats) => overdue(&stats, clock),
            Err(error) => unread("overdue", error),
        },
    ]
}

fn workers(notes: &WorkerNotes, clock: &Clock) -> Check {
    let now = clock.now();
    let there = notes.read.values().filter(|note| lives(note, now)).count();
    let start = "start one, and look at the last lines of its log: exit code 4 means that Redis cannot be \
                 used, 2 that the settings are wrong";
    match (there, notes.unreadable.len()) {
        (0, 0) => Check::wrong(
            "workers",
            "no worker has reported for 40 s: nobody works on payments",
            start,
        ),
        (there, 0) => Check::fine(
            "workers",
            format!("{there} said a moment ago that they work"),
        ),
        (there, other) => Check::warning(
            "workers",
            format!(
                "{there} said a moment ago that they work, and {other} what this version cannot read"
            ),
            "ask with the version that the workers run: `holdfast workers`",
        ),
    }
}

fn of_stopped(stopped: &[String]) -> Check {
    if stopped.is_empty() {
        return Check::fine("stopped", "nothing is stopped");
    }
    Check::warning(
        "stopped",
        stopped.join("; "),
        "ask the person who did; then `holdfast go`, or `holdfast resume` for a part. Holds lapse meanwhile",
    )
}

fn overdue(stats: &Stats, clock: &Clock) -> Check {
    let since = stats.next_due.filter(|_| stats.due_now > 0);
    let late = since.map_or(TimeDelta::zero(), |due| clock.now() - due);
    if late <= OVERDUE {
        return Check::fine("overdue", "whatever is due is taken up");
    }
    Check::wrong(
        "overdue",
        format!(
            "{} payments are due, one of them for {} min, and nobody takes them",
            stats.due_now,
            late.num_minutes()
        ),
        "is a worker there, does its log say redis_lost, claim_refused or account_missing, are all its places \
         taken? After a long outage they are worked off: ask again in some minutes",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::doctor::Found;

    #[test]
    fn what_is_due_for_minutes_is_overdue_and_what_is_not_due_never_is() {
        let clock = Clock::manual("2027-01-31T06:00:00Z".parse().unwrap());
        let found = |due_now, minutes| {
            let stats = Stats {
                by_state: Vec::new(),
                unfinished: 3,
                due_now,
                next_due: Some(clock.now() - TimeDelta::minutes(minutes)),
            };
            overdue(&stats, &clock).found
        };
        assert_eq!(found(1, 2), Found::Fine);
        assert_eq!(found(1, 3), Found::Wrong);
        assert_eq!(found(0, -3), Found::Fine);
    }
}
