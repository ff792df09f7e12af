//! All that happened to a payment, line by line.

use serde_json::Value;

use super::words::{time, word};
use crate::payment::{
    Active, Attempt, Change, Command, Looks, Payment, Policy, Step, Timestamp, Verdict, millis,
};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// Of what kind it is.
    pub kind: Kind,
    /// What it was.
    pub text: String,
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Another state, of which an event is told.
    State,
    /// A producer or an operator asked for something.
    Command,
    /// A call was noted, to be made.
    Call,
    /// It was answered.
    Answer,
    /// The gateway was asked what is true.
    Look,
    /// It is known what the call did.
    End,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Command => "command",
            Self::Call => "call",
            Self::Answer => "answer",
            Self::Look => "look",
            Self::End => "end",
        }
    }
}

/// All that happened, in order. Of what happened at the same moment the cause comes first.
#[must_use]
pub fn timeline(payment: &Payment) -> Vec<Moment> {
    let state = |change: &Change| Moment {
        at: change.at,
        kind: Kind::State,
        text: format!("state {}", change.to),
    };
    let (made, changes) = payment.history().split_at(1.min(payment.history().len()));
    let mut moments: Vec<Moment> = made.iter().map(state).collect();
    for command in payment.commands() {
        let what = serde_json::to_value(&command.command).unwrap_or_default();
        let field = |name: &str| what.get(name).and_then(Value::as_str).unwrap_or_default();
        let said = match (field("actor"), field("reason")) {
            ("", _) => String::new(),
            (actor, why) => format!(" by {actor} ({why})"),
        };
        let (name, answer) = (field("command"), word(&command.answer));
        moments.push(Moment {
            at: command.at,
            kind: Kind::Command,
            text: format!("command {name}{said}: {answer} [key {}]", command.key),
        });
    }
    for attempt in payment.attempts() {
        moments.extend(of_attempt(attempt));
    }
    moments.extend(changes.iter().map(state));
    moments.sort_by_key(|moment| moment.at);
    moments
}

fn of_attempt(attempt: &Attempt) -> Vec<Moment> {
    let amount = match attempt.step {
        Step::Capture { amount } => format!(" {} minor units", amount.minor()),
        Step::Create | Step::Charge | Step::Release | Step::Cancel => String::new(),
    };
    let name = format!("attempt {} {}", attempt.number, attempt.step.as_str());
    let moment = |at, kind, text| Moment { at, kind, text };
    let opened = format!("{name}{amount}: opened");
    let mut moments = vec![moment(attempt.opened_at, Kind::Call, opened)];
    if let Some(note) = &attempt.note {
        let code = note
            .code
            .as_ref()
            .map(|code| format!(" ({code})"))
            .unwrap_or_default();
        let answered = format!("{name}: answered {}{code}", word(&note.class));
        moments.push(moment(note.at, Kind::Answer, answered));
    } else if attempt.looks.is_some() {
        // Whoever asks why a payment took long finds the cause here: the answer was lost, or whoever
        // waited for it was.
        let lost = format!("{name}: no answer is recorded");
        moments.push(moment(attempt.opened_at, Kind::Answer, lost));
    }
    if let Some(looks) = &attempt.looks {
        let Looks {
            count,
            last_at,
            last_saw,
        } = looks;
        let how_often = match count {
            1 => "once".to_owned(),
            count => format!("{count} times"),
        };
        let looked = format!("{name}: looked up {how_often}, last seen {last_saw}");
        moments.push(moment(*last_at, Kind::Look, looked));
    }
    if let Some(closed) = &attempt.closed {
        let code = match &closed.verdict {
            Verdict::Refused { code } | Verdict::Declined { code } => format!(" ({code})"),
            Verdict::Done | Verdict::NotSent | Verdict::DidNotHappen => String::new(),
        };
        let ended = format!("{name}: {}{code}", closed.verdict.as_str());
        moments.push(moment(closed.at, Kind::End, ended));
    }
    moments
}

/// That a parked payment is to go on by itself, once a look shows that it can: no look has shown it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RerunWanted {
    /// A person or a producer asked for something that has it looked at again.
    Asked(Timestamp),
    /// The machine looks again: the call that it was parked for was never made.
    Parked(Timestamp),
}

impl RerunWanted {
    /// Whether that is so of a payment, and since when.
    #[must_use]
    pub fn of(payment: &Payment) -> Option<Self> {
        let (_, wanted) = payment.asked();
        let parked = payment.history().last().map(|change| change.at);
        let parked = parked.filter(|_| wanted)?;
        let held = matches!(payment.state().active(), Some(Active::Held(_)));
        let mut given = payment.commands().iter().rev();
        let given = given.find(|entry| {
            let looks = has_looked_at(&entry.command, held);
            looks && entry.answer.is_accepted() && entry.at >= parked
        });
        Some(given.map_or(Self::Parked(parked), |entry| Self::Asked(entry.at)))
    }

    /// Since when.
    #[must_use]
    pub const fn since(self) -> Timestamp {
        match self {
            Self::Asked(since) | Self::Parked(since) => since,
        }
    }
}

/// Whether a command has a parked payment go on; a new plan does where there is a hold to go by it.
const fn has_looked_at(command: &Command, held: bool) -> bool {
    match command {
        Command::Rerun { .. } | Command::Cancel | Command::Capture { .. } | Command::Release => {
            true
        }
        Command::Reschedule { .. } => held,
        Command::ResolveAsShown { .. }
        | Command::ProposeByHand { .. }
        | Command::ApproveByHand { .. } => false,
    }
}

/// Since when a parked payment is to go on by itself.
#[must_use]
pub fn rerun_wanted_since(payment: &Payment) -> Option<Timestamp> {
    RerunWanted::of(payment).map(RerunWanted::since)
}

/// A call that is open: what it did is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// At which step.
    pub step: &'static str,
    /// When it was noted, to be sent.
    pub sent_at: Timestamp,
    /// What the last look showed, if there was one.
    pub last_saw: Option<String>,
    /// Until when it is not believed that it did nothing, if that is still to come.
    pub open_until: Option<Timestamp>,
}

impl Doubt {
    /// What is not known of a payment, if anything is.
    #[must_use]
    pub fn of(payment: &Payment, policy: Option<&Policy>, now: Timestamp) -> Option<Self> {
        let open = payment.open_attempt()?;
        let quiet = policy.map(|policy| open.last_sign() + millis(policy.quiet_ms));
        Some(Self {
            step: open.step.as_str(),
            sent_at: open.opened_at,
            last_saw: open.looks.as_ref().map(|looks| looks.last_saw.clone()),
            open_until: quiet.filter(|end| open.step.takes_money() && *end > now),
        })
    }
}

/// What is not known of the call that is open, and until when nothing is concluded.
#[must_use]
pub fn doubt(payment: &Payment, policy: Option<&Policy>, now: Timestamp) -> Option<String> {
    let open = Doubt::of(payment, policy, now)?;
    let (step, sent) = (open.step, time(open.sent_at));
    let seen = open.last_saw.map_or_else(
        || "not looked up yet".to_owned(),
        |saw| format!("last seen {saw}"),
    );
    let until = open.open_until.map_or(String::new(), |end| {
        format!("; that it did nothing is not believed before {}", time(end))
    });
    Some(format!(
        "what {step} of {sent} did is not known yet: {seen}{until}"
    ))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn whoever_asks_why_it_was_in_doubt_finds_that_no_answer_came() {
        let at = |seconds| Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let mut attempt = Attempt {
            number: 2,
            step: Step::Charge,
            opened_at: at(1),
            tries_before: 0,
            opened_by: None,
            looks: None,
            note: None,
            closed: None,
        };
        let told = |attempt: &Attempt| -> Vec<String> {
            let moments = of_attempt(attempt).into_iter();
            moments.map(|moment| moment.text).collect()
        };
        // It is on its way: nothing is said of its answer.
        assert_eq!(told(&attempt), ["attempt 2 charge: opened"]);
        attempt.looks = Some(Looks {
            count: 1,
            last_at: at(2),
            last_saw: "paid".to_owned(),
        });
        let expected = [
            "attempt 2 charge: opened",
            "attempt 2 charge: no answer is recorded",
            "attempt 2 charge: looked up once, last seen paid",
        ];
        assert_eq!(told(&attempt), expected);
    }
}
