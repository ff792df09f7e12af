//! WHAT may happen to a payment. Pure: no async, no I/O, no clock.
//!
//! | file | what |
//! |---|---|
//! | `id`, `money` | names and amounts, each with one fallible constructor |
//! | `request`, `times`, `limits`, `wire`, `command` | what producers and operators ask |
//! | `state`, `state_name`, `reason` | what is true of the money, and the one table of transitions; the words for reasons |
//! | `record` | the durable record: a [`Payment`] |
//! | `attempt` | one try at a step; the classes of an answer |
//! | `evidence` | what the gateway showed, and the proofs that can be made of it |
//! | `next` | what is to be done now |
//! | `change` | the few moves out of which every change of the record is made |
//! | `learn`, `saw` and its parts, `reading` | what an answer, a look-up, a sighting of the purchase changes |
//! | `card`, `card_evidence`, `card_order`, `known_card` | what a card is known by, what is asked of it, and whether it can still be charged |
//! | `obey` | what a command changes |
//! | `resolution`, `settled` | how people settle what is parked; what a look makes of their words |
//! | `order` | what exactly is sent |
//! | `ladder`, `decline`, `policy` | how long to wait, and what the configuration decides |

mod attempt;
mod card;
mod card_evidence;
mod card_order;
mod change;
mod command;
mod decline;
mod evidence;
mod id;
mod known_card;
mod ladder;
mod learn;
mod limits;
mod money;
mod next;
mod obey;
mod order;
mod policy;
mod reading;
mod reason;
mod record;
mod request;
mod resolution;
mod saw;
mod saw_call;
mod saw_hold;
mod saw_unpaid;
mod settled;
mod state;
mod state_name;
mod times;
mod wire;

#[cfg(test)]
mod commands;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod flows;
#[cfg(test)]
mod hard_cases;
#[cfg(test)]
mod modelled;
#[cfg(test)]
mod near_misses;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod resolved;
#[cfg(test)]
mod scenes;
#[cfg(test)]
mod second_looks;
#[cfg(test)]
mod table;

pub use attempt::{
    Answer, AnswerClass, Attempt, Closed, Denial, LookUp, Looks, Note, Step, Verdict,
};
pub use card::{CardFace, ShownCard};
pub use card_evidence::{CardDeath, CardEvidence, CardSign, Death};
pub use card_order::{CardAsked, CardOrder, Voice, Wanted, Wish};
pub use command::{Command, CommandAnswer, CommandEntry};
pub use decline::{Advice, DeclineTable};
pub use evidence::{
    HeldProof, Links, PaidProof, Seal, Sighting, Standing, Stated, Taken, TakenProof, Try, TryKind,
};
pub use id::{
    AccountName, CardId, CardToken, Fingerprint, IdempotencyKey, InvalidName, PaymentId, Private,
    PurchaseId, Reference,
};
pub(crate) use id::{digest_of, hex};
pub use known_card::{CardState, KnownCard};
pub use ladder::{Ladder, millis};
pub use money::{Amount, Currency, InvalidMoney, LARGEST_MINOR, Money};
pub use next::Next;
pub use order::{CreateOrder, MoneyCall, MoneyOrder};
pub use policy::{AccountFacts, Policy, UnknownPolicy};
pub(crate) use record::BODY_VERSION;
pub use record::{Change, Decision, HoldOutcome, PayableLinks, Payment, Purchase};
pub use request::{
    Adopt, Ask, Authorize, BeforeExpiry, Charge, Checkout, Customer, InvalidRequest, Plan, Request,
    SaveCard, Source, parse_time,
};
pub use resolution::{KEYED, Progress, Resolution, ResolvedHow, SaidOf, Spoken, StatedEnd};
pub use state::{Active, Event, FailReason, Hold, Illegal, Mismatch, ParkReason, State};
pub use state_name::StateName;

/// A moment, in UTC, kept to the millisecond.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
