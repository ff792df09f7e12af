//! What a run came to, and whether it may differ from the undisturbed one.

use std::fmt;

use holdfast::payment::{CommandAnswer, ParkReason, Payment, State};
use holdfast_rig::{Movements, compare};

use super::case::Case;
use crate::world::World;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The state, with the reason or the amount.
    pub state: String,
    /// What the ledger says.
    pub ledger: Movements,
    /// The states that were told to whoever listens, in this order.
    pub told: Vec<String>,
    /// What was answered to the command.
    pub answers: Vec<CommandAnswer>,
    /// What a person is asked about, if that is how it ended.
    pub doubt: Option<Doubt>,
}

/// A call that was noted and of which nothing was ever seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Who noted it lives and was not told that the call is lost: it should have said so.
    Knowable,
    /// Who noted it is dead, or its call is on its way for ever: nobody is left who can know.
    Unknowable,
}

impl End {
    /// As things are in that world.
    pub(super) fn of(world: &World) -> Option<Self> {
        let loaded = world.store.all().into_iter().next()?;
        let payment = loaded.payment;
        let state = match payment.state() {
            State::Saved(_) => "saved".to_owned(),
            State::Parked { reason, .. } => format!("parked: {reason:?}"),
            state => format!("{state:?}"),
        };
        let events = world.store.events();
        let answers = world.commands_of(payment.id()).into_iter();
        Some(Self {
            state,
            told: events.iter().map(|event| event.state.to_string()).collect(),
            answers: answers.map(|(_, answer)| answer).collect(),
            doubt: doubt(world, &payment),
            ledger: world.engine(|engine, _| compare(payment, engine.ledger(), true).ledger),
        })
    }
}

/// How the end of a struck run stands to that of the undisturbed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The same.
    AsExpected,
    /// Another one, and for this reason it has to be so.
    Excused(&'static str),
    /// Another one.
    Wrong,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsExpected => f.write_str("as expected"),
            Self::Excused(why) => write!(f, "otherwise: {why}"),
            Self::Wrong => f.write_str("WRONG"),
        }
    }
}

impl Verdict {
    /// Judges how a case ended.
    #[must_use]
    pub fn of(case: &Case, expected: &End, end: &End) -> Self {
        if end == expected {
            return Self::AsExpected;
        }
        if case.setup.account == "parks" && is_asked_about(expected, end) {
            return Self::Excused(UNKNOWABLE);
        }
        Self::Wrong
    }
}

/// The note of the call is on disk, and whoever wrote it died before the call, or the call never
/// arrived: nobody is left who can know that it was not made. A look-up shows no trace of it, and
/// one that is still on its way shows none either; so under `park` a person is asked. Under
/// `resends` the same call is made again, and the end is as expected.
const UNKNOWABLE: &str = "parked, because nobody can know that a noted call was never made";

/// Whether a person is asked about what nobody can know, and all was well until then.
fn is_asked_about(expected: &End, end: &End) -> bool {
    let until_then = end
        .told
        .split_last()
        .is_some_and(|(last, before)| last == "parked" && expected.told.starts_with(before));
    until_then && end.doubt == Some(Doubt::Unknowable) && end.ledger.takes == 0
}

fn doubt(world: &World, payment: &Payment) -> Option<Doubt> {
    let unknown = matches!(
        payment.state(),
        State::Parked {
            reason: ParkReason::OutcomeUnknown,
            ..
        }
    );
    let open = payment.attempts().last().filter(|_| unknown)?;
    let opener = open.opened_by.as_deref()?;
    let watch = world.watch.get()?;
    Some(if watch.is_speechless(opener) {
        Doubt::Unknowable
    } else {
        Doubt::Knowable
    })
}
