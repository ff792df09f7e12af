//! What a rerun of a payment would do, tried on a copy of it with what the gateway shows now. Nothing is
//! decided here: the copy goes through the very code that a worker's turn goes through.

use serde::{Deserialize, Serialize};

use super::ahead::{Captured, Touch, Touched, ahead, touched};
use crate::payment::{
    Active, Amount, Ask, Command, IdempotencyKey, LookUp, Next, ParkReason, Payment, Policy, State,
    StateName, Step, Timestamp,
};

/// So many moves are followed; a rerun that needs more is not foreseen to its end.
pub(super) const MOST_MOVES: usize = 8;

/// What a rerun would do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreseen {
    /// What.
    #[serde(flatten)]
    pub then: Then,
    /// The money that it is about, if it is about some: what it moves at once, or may come to move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touches: Option<Touched>,
}

/// What a rerun would do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "then", rename_all = "snake_case")]
pub enum Then {
    /// It makes a call.
    Sends {
        /// Which.
        step: Step,
    },
    /// It ends with what the gateway shows.
    Ends {
        /// In which state.
        state: StateName,
    },
    /// It stays parked.
    StaysParked {
        /// Why.
        reason: ParkReason,
    },
    /// It stays parked for now, and the rerun stays wanted: it goes on by itself as soon as a look shows
    /// that it can.
    LooksOn {
        /// Why it is parked.
        reason: ParkReason,
    },
    /// It goes on, and waits or looks again.
    GoesOn {
        /// In which state.
        state: StateName,
    },
    /// It takes no command any more.
    TakesNone,
}

/// How what became of a payment compares with what was foreseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// As foreseen.
    AsForeseen,
    /// Otherwise.
    Otherwise,
    /// It is not known yet.
    NotYet,
}

/// What a rerun would do now, if a look-up came to `look`; without a purchase nothing is looked up.
#[must_use]
pub fn foresee(
    payment: &Payment,
    look: Option<&LookUp>,
    now: Timestamp,
    policy: &Policy,
) -> Foreseen {
    let mut copy = payment.clone();
    let rerun = Command::Rerun {
        reason: "foreseen".to_owned(),
        actor: "foreseen".to_owned(),
    };
    let given = IdempotencyKey::new("foreseen").map(|key| copy.command(key, rerun, now));
    if !matches!(given, Ok(Ok(answer)) if answer.is_accepted()) {
        return then(Then::TakesNone);
    }
    for _ in 0..MOST_MOVES {
        match (copy.next(now, policy), look) {
            (Next::LookUp, Some(look)) => copy.looked_up(look, now, policy),
            (Next::Settle(event), _) => copy.settled(event, now, policy),
            (Next::Send(step), _) => {
                let touches = touched(&copy, step, Captured::AtOnce, now, policy);
                let then = Then::Sends { step };
                return Foreseen { then, touches };
            }
            (Next::LookUp, None) | (Next::WaitUntil(_) | Next::Nothing, _) => break,
        }
    }
    match copy.state() {
        State::Paid(money) => Foreseen {
            then: Then::Ends {
                state: StateName::Paid,
            },
            touches: Some(Touched::new(Touch::RecordsTaken, *money)),
        },
        // What was asked for outlives a look that says nothing: the next one may let it go on.
        State::Parked { reason, .. } if copy.asked().1 => Foreseen {
            then: Then::LooksOn {
                reason: reason.clone(),
            },
            touches: ahead(&copy, now, policy),
        },
        State::Parked { reason, .. } => then(Then::StaysParked {
            reason: reason.clone(),
        }),
        state if state.name().is_finished() => then(Then::Ends {
            state: state.name(),
        }),
        state => Foreseen {
            then: Then::GoesOn {
                state: state.name(),
            },
            touches: ahead(&copy, now, policy),
        },
    }
}

/// The most that a rerun of `payment`, of which this is foreseen, may come to take or reserve, in minor
/// units.
#[must_use]
pub fn most_moved(payment: &Payment, foreseen: &Foreseen) -> u64 {
    let moves = |touched: &Touched| matches!(touched.how, Touch::Takes | Touch::Reserves);
    let touched = foreseen.touches.filter(moves);
    let touched = touched.map_or(0, |touched| touched.most().amount.minor());
    touched.max(rerun_moves(payment))
}

/// The same, whatever is foreseen: a rerun goes on with what the payment was about, and may come to as
/// much as a capture of all of it; before there is a hold, to all that is to be held, of which a capture
/// may take less.
#[must_use]
pub fn rerun_moves(payment: &Payment) -> u64 {
    let all = Command::Capture { amount: None };
    let taken = payment.lets_take(&all);
    let reserved = match payment.state().active() {
        Some(Active::Held(_)) => None,
        _ => payment.request().money().map(|money| money.amount),
    };
    taken.max(reserved).map_or(0, Amount::minor)
}

const fn then(then: Then) -> Foreseen {
    Foreseen {
        then,
        touches: None,
    }
}

impl Foreseen {
    /// Whether a worker is expected to make a call for it.
    #[must_use]
    pub const fn sends(&self) -> bool {
        matches!(self.then, Then::Sends { .. })
    }

    /// How much is to be learned from how it comes out, before many others are rerun: most from a call
    /// that takes or reserves money.
    #[must_use]
    pub fn tells(&self) -> u8 {
        let moves = |touched: Touched| matches!(touched.how, Touch::Takes | Touch::Reserves);
        let moves = self.touches.is_some_and(moves);
        match self.then {
            Then::Sends { .. } if moves => 3,
            Then::Sends { .. } => 2,
            _ => u8::from(moves),
        }
    }

    /// Whether it was said that more is to be looked for first, for nobody knows how long.
    #[must_use]
    pub const fn looks_first(&self) -> bool {
        matches!(self.then, Then::LooksOn { .. } | Then::GoesOn { .. })
    }

    /// How `payment`, which was rerun, compares with it.
    #[must_use]
    pub fn fits(&self, payment: &Payment, now: Timestamp, policy: Option<&Policy>) -> Fit {
        let (state, (looks, reruns)) = (payment.state(), payment.asked());
        let waits = policy.is_none_or(|policy| {
            let next = payment.next(now, policy);
            matches!(next, Next::WaitUntil(_) | Next::Nothing)
        });
        let settled = !reruns && payment.open_attempt().is_none();
        let (rests, fits) = match &self.then {
            // Once it is seen dead at the gateway its end is only told later, when nothing can be under way.
            Then::Sends { step: Step::Cancel } if payment.seal_seen_at().is_some() => {
                (settled, true)
            }
            Then::Sends { step } => (settled, came_of(*step, payment).contains(&state.name())),
            Then::Ends { state: end } => (settled, state.name() == *end),
            Then::StaysParked { reason } => {
                let same = matches!(state, State::Parked { reason: found, .. } if found == reason);
                (!reruns, same)
            }
            // It may come to its end meanwhile; what was asked for was to go on. A call in doubt proves
            // nothing of that: it may be made again.
            Then::LooksOn { .. } | Then::GoesOn { .. } => {
                let stopped = matches!(state.name(), StateName::Parked | StateName::Failed);
                (settled, !stopped)
            }
            Then::TakesNone => (true, true),
        };
        match fits {
            _ if !payment.is_finished() && (looks || !waits || !rests) => Fit::NotYet,
            true => Fit::AsForeseen,
            false => Fit::Otherwise,
        }
    }
}

/// The states in which a payment can be once `step` did what it is for; a hold may have gone on.
fn came_of(step: Step, payment: &Payment) -> &'static [StateName] {
    use StateName::{AwaitingPayer, Failed, Held, Paid, Released, Saved};
    match step {
        Step::Create if payment.is_checkout() => &[AwaitingPayer, Held, Paid, Released, Saved],
        Step::Create | Step::Charge => match payment.request().ask {
            Ask::Charge(_) => &[Paid],
            Ask::Authorize(_) | Ask::SaveCard(_) | Ask::Adopt(_) => &[Held, Paid, Released],
        },
        Step::Capture { .. } => &[Paid],
        Step::Release => &[Released],
        Step::Cancel => &[Failed],
    }
}
