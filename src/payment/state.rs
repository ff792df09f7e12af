//! What is true of the money, and the only ways it can change.

use serde::{Deserialize, Serialize};

use super::evidence::{PaidProof, Seal, Stated, TakenProof};
use super::id::CardToken;
use super::money::Money;
use super::resolution::StatedEnd;
use super::state_name::StateName;
use super::{HeldProof, Timestamp};

/// What is true of the money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", content = "with", rename_all = "snake_case")]
pub enum State {
    /// Recorded; no money reserved or taken.
    New,
    /// The payer has a link and may pay.
    AwaitingPayer,
    /// Funds are reserved.
    Held(Hold),
    /// Money was taken, exactly this much.
    Paid(Money),
    /// The reservation was given back.
    Released,
    /// The card is verified and kept under this token.
    Saved(CardToken),
    /// No money moved, and none can move any more.
    Failed(FailReason),
    /// The machine will not act on its own; a person decides.
    Parked {
        /// Why it stopped.
        reason: ParkReason,
        /// What was true before, and is true still unless a look-up shows otherwise.
        from: Active,
    },
}

/// The states in which the machine still acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", content = "with", rename_all = "snake_case")]
pub enum Active {
    /// As [`State::New`].
    New,
    /// As [`State::AwaitingPayer`].
    AwaitingPayer,
    /// As [`State::Held`].
    Held(Hold),
}

impl From<Active> for State {
    fn from(active: Active) -> Self {
        match active {
            Active::New => Self::New,
            Active::AwaitingPayer => Self::AwaitingPayer,
            Active::Held(hold) => Self::Held(hold),
        }
    }
}

/// Reserved funds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// How much is reserved.
    pub money: Money,
    /// Since when, as far as the gateway said.
    pub since: Timestamp,
    /// When the reservation lapses; the gateway reports no such event.
    pub expires_at: Timestamp,
}

/// Why no money moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum FailReason {
    /// The card would not pay.
    Declined {
        /// The gateway's transaction code.
        code: String,
    },
    /// The time in which it could be paid is over.
    Expired,
    /// Somebody cancelled it.
    Cancelled,
    /// Two people stated that nothing was taken and nothing will be; the gateway showed nothing of it.
    StatedByHand,
}

/// Why a person must look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum ParkReason {
    /// The capture came to nothing until the hold's time was over: it has probably lapsed.
    HoldLost,
    /// The capture came to nothing until the plan's end, and the hold's time is not over.
    NotCaptured,
    /// The acquirer refused the release until the hold's end.
    ReleaseRefused,
    /// A call that takes money may or may not have happened, and policy forbids sending it again.
    OutcomeUnknown,
    /// Look-ups went on for as long as the ladder allows without a conclusion.
    LookUpsExhausted,
    /// The gateway shows something that was not asked for.
    Contradiction {
        /// What differs.
        what: Mismatch,
    },
    /// The gateway refused the call; configuration or request are wrong.
    Refused {
        /// The gateway's code.
        code: String,
    },
    /// The acquirer says the shop's set-up is wrong.
    DeclinedForOperator {
        /// The gateway's transaction code.
        code: String,
    },
    /// The gateway could not be reached for as long as the ladder allows.
    GatewayUnreachable,
    /// Calls left for as long as the ladder allows, and came to nothing.
    GatewayFailing,
    /// The plan says to ask a person before the hold lapses.
    BeforeExpiry,
    /// The payment was claimed again and again without anything being recorded.
    Poison,
}

/// What the gateway shows that was not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mismatch {
    /// Another amount.
    Amount,
    /// Another currency, or a conversion.
    Currency,
    /// Another brand.
    Brand,
    /// Test where live was meant, or the reverse.
    Mode,
    /// Another id, or a reference that belongs to another payment.
    Identity,
    /// Taken at once instead of held, or held instead of taken.
    Kind,
    /// Captured, released or otherwise ended by somebody else.
    ElsewhereEnded,
}

/// What happened, as far as it changes what is true. The events that report an end carry the
/// evidence for it, and evidence cannot be made up: see `evidence.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The payer's link exists.
    LinkMade,
    /// The gateway shows the hold.
    Held(HeldProof),
    /// The gateway shows the money taken, as asked.
    Paid(PaidProof),
    /// The gateway shows the hold given back.
    Released,
    /// The gateway shows the card saved.
    Saved(CardToken),
    /// The purchase can never be paid any more.
    Sealed(Seal, FailReason),
    /// The machine must not go on by itself.
    Stuck(ParkReason),
    /// A person asked to go on, and a look-up showed nothing against it.
    Resumed,
    /// A person has what the gateway shows reported: money taken, though not as asked.
    TakenAsShown(TakenProof),
    /// Two people state how it ended, and the gateway shows nothing against it.
    StatedByHand(Stated),
}

impl Event {
    const fn name(&self) -> &'static str {
        match self {
            Self::LinkMade => "link_made",
            Self::Held(_) => "held",
            Self::Paid(_) => "paid",
            Self::Released => "released",
            Self::Saved(_) => "saved",
            Self::Sealed(..) => "sealed",
            Self::Stuck(_) => "stuck",
            Self::Resumed => "resumed",
            Self::TakenAsShown(_) => "taken_as_shown",
            Self::StatedByHand(_) => "stated_by_hand",
        }
    }
}

/// An event that cannot happen in this state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event `{event}` cannot happen to a payment that is `{state}`")]
pub struct Illegal {
    /// The state.
    pub state: StateName,
    /// The event.
    pub event: &'static str,
}

impl State {
    /// The state's name.
    #[must_use]
    pub const fn name(&self) -> StateName {
        match self {
            Self::New => StateName::New,
            Self::AwaitingPayer => StateName::AwaitingPayer,
            Self::Held(_) => StateName::Held,
            Self::Paid(_) => StateName::Paid,
            Self::Released => StateName::Released,
            Self::Saved(_) => StateName::Saved,
            Self::Failed(_) => StateName::Failed,
            Self::Parked { .. } => StateName::Parked,
        }
    }

    /// What was true before the machine stopped; the state itself where it still acts.
    #[must_use]
    pub fn active(&self) -> Option<Active> {
        match self {
            Self::New => Some(Active::New),
            Self::AwaitingPayer => Some(Active::AwaitingPayer),
            Self::Held(hold) => Some(Active::Held(hold.clone())),
            Self::Parked { from, .. } => Some(from.clone()),
            Self::Paid(_) | Self::Released | Self::Saved(_) | Self::Failed(_) => None,
        }
    }

    /// The one table of transitions: what `event` makes of this state.
    #[allow(clippy::too_many_lines, reason = "one table, read in one piece")]
    pub fn on(&self, event: Event) -> Result<Self, Illegal> {
        use Event as E;
        let illegal = Illegal {
            state: self.name(),
            event: event.name(),
        };
        match (self, event) {
            (Self::New, E::LinkMade) => Ok(Self::AwaitingPayer),

            (Self::New | Self::AwaitingPayer | Self::Parked { .. }, E::Held(proof)) => {
                Ok(Self::Held(proof.into_hold()))
            }
            (Self::New | Self::Held(_) | Self::Parked { .. }, E::Paid(proof)) => {
                Ok(Self::Paid(proof.into_money()))
            }
            (Self::Held(_) | Self::Parked { .. }, E::Released) => Ok(Self::Released),
            (
                Self::AwaitingPayer
                | Self::Parked {
                    from: Active::AwaitingPayer,
                    ..
                },
                E::Saved(token),
            ) => Ok(Self::Saved(token)),
            (
                Self::New
                | Self::AwaitingPayer
                | Self::Parked {
                    from: Active::New | Active::AwaitingPayer,
                    ..
                },
                E::Sealed(_, reason),
            ) => Ok(Self::Failed(reason)),

            (Self::New, E::Stuck(reason)) => Ok(Self::Parked {
                reason,
                from: Active::New,
            }),
            (Self::AwaitingPayer, E::Stuck(reason)) => Ok(Self::Parked {
                reason,
                from: Active::AwaitingPayer,
            }),
            (Self::Held(hold), E::Stuck(reason)) => Ok(Self::Parked {
                reason,
                from: Active::Held(hold.clone()),
            }),
            (Self::Parked { from, .. }, E::Stuck(reason)) => Ok(Self::Parked {
                reason,
                from: from.clone(),
            }),
            (Self::Parked { from, .. }, E::Resumed) => Ok(from.clone().into()),

            (Self::Parked { .. }, E::TakenAsShown(proof)) => Ok(Self::Paid(proof.into_money())),
            (Self::Parked { from, .. }, E::StatedByHand(stated)) => {
                match (from, stated.outcome()) {
                    (Active::New | Active::AwaitingPayer, StatedEnd::NeverPaid) => {
                        Ok(Self::Failed(FailReason::StatedByHand))
                    }
                    (Active::Held(_), StatedEnd::HoldGone) => Ok(Self::Released),
                    (Active::New | Active::AwaitingPayer, StatedEnd::HoldGone)
                    | (Active::Held(_), StatedEnd::NeverPaid) => Err(illegal),
                }
            }

            (Self::New, E::Released | E::Saved(_) | E::Resumed)
            | (Self::AwaitingPayer, E::LinkMade | E::Paid(_) | E::Released | E::Resumed)
            | (
                Self::Held(_),
                E::LinkMade | E::Held(_) | E::Saved(_) | E::Sealed(..) | E::Resumed,
            )
            | (
                Self::New | Self::AwaitingPayer | Self::Held(_),
                E::TakenAsShown(_) | E::StatedByHand(_),
            )
            | (Self::Parked { .. }, E::LinkMade)
            | (
                Self::Parked {
                    from: Active::New | Active::Held(_),
                    ..
                },
                E::Saved(_),
            )
            | (
                Self::Parked {
                    from: Active::Held(_),
                    ..
                },
                E::Sealed(..),
            )
            | (
                Self::Paid(_) | Self::Released | Self::Saved(_) | Self::Failed(_),
                E::LinkMade
                | E::Held(_)
                | E::Paid(_)
                | E::Released
                | E::Saved(_)
                | E::Sealed(..)
                | E::Stuck(_)
                | E::Resumed
                | E::TakenAsShown(_)
                | E::StatedByHand(_),
            ) => Err(illegal),
        }
    }
}
