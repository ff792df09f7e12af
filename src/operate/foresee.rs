//! What a rerun of a payment would do, tried on a copy of it with what the gateway shows now. Nothing is
//! decided here: the copy goes through the very code that a worker's turn goes through.

use serde::{Deserialize, Serialize};

use crate::payment::{
    Active, Ask, Authorize, Command, IdempotencyKey, LookUp, Money, Next, ParkReason, Payment,
    Policy, Source, State, StateName, Step, Timestamp,
};

/// So many moves are followed; a rerun that needs more is not foreseen to its end.
const MOST_MOVES: usize = 8;

/// What a rerun would do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreseen {
    /// What.
    #[serde(flatten)]
    pub then: Then,
    /// The money that it is about, if it is about some.
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
    /// It goes on, and waits or looks again.
    GoesOn {
        /// In which state.
        state: StateName,
    },
    /// It takes no command any more.
    TakesNone,
}

/// What becomes of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Touch {
    /// It is taken.
    Takes,
    /// It is reserved.
    Reserves,
    /// It is given back.
    GivesBack,
    /// It was taken before, and that is recorded.
    RecordsTaken,
}

impl Touch {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Takes => "takes",
            Self::Reserves => "reserves",
            Self::GivesBack => "gives_back",
            Self::RecordsTaken => "records_taken",
        }
    }
}

/// Money, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// What becomes of it.
    pub how: Touch,
    /// How much.
    pub money: Money,
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
                let touches = touched(&copy, step);
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
            touches: Some(Touched {
                how: Touch::RecordsTaken,
                money: *money,
            }),
        },
        State::Parked { reason, .. } => then(Then::StaysParked {
            reason: reason.clone(),
        }),
        state if state.name().is_finished() => then(Then::Ends {
            state: state.name(),
        }),
        state => then(Then::GoesOn {
            state: state.name(),
        }),
    }
}

const fn then(then: Then) -> Foreseen {
    Foreseen {
        then,
        touches: None,
    }
}

/// The money that `step` is about, and what a purchase that is made for it is charged with.
fn touched(payment: &Payment, step: Step) -> Option<Touched> {
    let held = match payment.state().active() {
        Some(Active::Held(hold)) => Some(hold.money),
        _ => None,
    };
    let (how, money) = match (step, &payment.request().ask) {
        (Step::Create | Step::Charge, Ask::Charge(ask)) => (Touch::Takes, ask.money),
        (
            Step::Create | Step::Charge,
            Ask::Authorize(Authorize {
                money,
                source: Source::Token(_),
                ..
            }),
        ) => (Touch::Reserves, *money),
        (Step::Capture { amount }, _) => {
            let currency = held?.currency;
            (Touch::Takes, Money { amount, currency })
        }
        (Step::Release, _) => (Touch::GivesBack, held?),
        (Step::Create | Step::Charge | Step::Cancel, _) => return None,
    };
    Some(Touched { how, money })
}

impl Foreseen {
    /// Whether a worker is expected to make a call for it.
    #[must_use]
    pub const fn sends(&self) -> bool {
        matches!(self.then, Then::Sends { .. })
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
            Then::Sends { step } => (settled, came_of(*step, payment).contains(&state.name())),
            Then::Ends { state: end } => (settled, state.name() == *end),
            Then::StaysParked { reason } => {
                let same = matches!(state, State::Parked { reason: found, .. } if found == reason);
                (true, same)
            }
            // It may come to its end meanwhile; what was asked for was to go on.
            Then::GoesOn { .. } => {
                let stopped = matches!(state.name(), StateName::Parked | StateName::Failed);
                (!reruns, !stopped)
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
