//! What is not as it must be about a record and the entries that lead to it. Pure: what was read goes
//! in, faults come out. One more rule about what must be indexed is one more line of [`entries_of`].

use super::keys::{self, Keys};
use super::mend::Mend;
use super::record::Problem;
use crate::payment::{Payment, PaymentId, StateName};
use crate::store::by::place_of;

/// What is not as it must be. No worker causes any of it; a crash of Redis in the middle of a script can
/// cause [`Fault::NoRecord`] and the last four, most of which a repeat or the next turn puts right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Not finished, and not in the due index: nobody would ever look at it again. Whether somebody
    /// has a lease on it.
    NotDue {
        /// A nonce stands in the record.
        leased: bool,
    },
    /// Not finished, and due long after its plan and the settings say that it must be looked at.
    DueLate,
    /// Not finished, and it expires.
    Expires,
    /// It is missing in the index where its state or reference says that it belongs.
    NotEntered(String),
    /// It stands in the index where its record does not say that it belongs.
    Stray(String),
    /// An index names it, and there is no record.
    NoRecord,
    /// A newer version wrote it.
    Newer(u32),
    /// It cannot be read.
    Unreadable(String),
    /// It is not where a payment of its id belongs, or holds another one's body.
    Misplaced,
    /// What the scripts compare and what the body says are two states.
    TwoStates,
    /// Its change was not told to anybody. Whether it is due, and so will be.
    Untold {
        /// Its next turn tells it.
        due: bool,
    },
    /// A crash tore the change of its face apart. Whether it is due, and so will be put right.
    HalfShown {
        /// Its next turn does all of it again.
        due: bool,
    },
    /// Finished and still due: a crash tore its end apart.
    StillDue,
    /// Finished, and kept for ever: a crash tore its end apart.
    KeptForEver,
}

impl Fault {
    /// How it is put right without a person, if it can be.
    #[must_use]
    pub fn mend(&self) -> Option<Mend> {
        match self {
            Self::NotDue { .. } | Self::Untold { due: false } | Self::HalfShown { due: false } => {
                Some(Mend::Due)
            }
            Self::DueLate => Some(Mend::Sooner),
            Self::Expires => Some(Mend::Keep),
            Self::NotEntered(entry) => Some(Mend::Enter(entry.clone())),
            Self::Stray(entry) => Some(Mend::TakeOut(entry.clone())),
            Self::NoRecord
            | Self::Newer(_)
            | Self::Unreadable(_)
            | Self::Misplaced
            | Self::TwoStates
            | Self::Untold { due: true }
            | Self::HalfShown { due: true }
            | Self::StillDue
            | Self::KeptForEver => None,
        }
    }
}

/// What stands at one id.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) partition: u64,
    pub(super) id: String,
    /// Something stands at its key.
    pub(super) there: bool,
    pub(super) version: Option<u64>,
    pub(super) state: Option<StateName>,
    /// Under which claim, if it is under one.
    pub(super) nonce: Option<String>,
    /// What was told, if the record is new enough to say.
    pub(super) told: Option<String>,
    /// Which entry shows its face, if the record is new enough to say; several lines while that changes.
    pub(super) face: Option<String>,
    pub(super) body: Option<Result<Payment, Problem>>,
    /// How often webhooks asked for a look, whether or not the body has taken note.
    pub(super) nudges: u64,
    pub(super) expires: bool,
    pub(super) due: bool,
    /// When it is due, or its lease ends, in ms.
    pub(super) due_at: Option<i64>,
    /// When it must be due at the latest, in ms, if anybody can tell.
    pub(super) latest: Option<i64>,
    /// Entries that were asked for because an index has them, or had them a moment ago.
    pub(super) found: Vec<(String, bool)>,
    /// Entries that the record says there are.
    pub(super) expected: Vec<(String, bool)>,
}

/// The entries that a record must have. Without a body that can be read nobody knows.
pub(super) fn entries_of(standing: &Standing) -> Vec<String> {
    let (Some(Ok(payment)), Some(state)) = (&standing.body, standing.state) else {
        return Vec::new();
    };
    let by_state = format!("{}{}", keys::of_state(state), place_of(payment));
    let face = standing.face.clone();
    std::iter::once(by_state)
        .chain(keys::by_reference(payment))
        .chain(face.filter(|face| !face.is_empty() && !is_half(face)))
        .collect()
}

/// Until a new face stands alone, the record names it beside those before.
fn is_half(face: &str) -> bool {
    face.contains('\n')
}

/// All that is wrong there.
pub(super) fn faults_of(standing: &Standing) -> Vec<Fault> {
    let present = || standing.found.iter().filter(|(_, there)| *there);
    if !standing.there {
        // Of what was finished and expired, the sweep takes the entries out within the hour.
        let unfinished = |member: &str| {
            let state = keys::entry_of(member).and_then(|(_, state)| state);
            state.is_some_and(|state| !state.is_finished())
        };
        let named = standing.due || present().any(|(member, _)| unfinished(member));
        return named.then_some(Fault::NoRecord).into_iter().collect();
    }
    let mut faults = Vec::new();
    let payment = match &standing.body {
        Some(Ok(payment)) => Some(payment),
        Some(Err(Problem::Newer(version))) => {
            faults.push(Fault::Newer(*version));
            None
        }
        Some(Err(problem)) => {
            faults.push(Fault::Unreadable(problem.to_string()));
            None
        }
        None => {
            faults.push(Fault::Unreadable("it is no record of a payment".to_owned()));
            None
        }
    };
    let Some(state) = standing.state else {
        if faults.is_empty() {
            faults.push(Fault::Unreadable(
                "its field state is not as expected".to_owned(),
            ));
        }
        return faults;
    };
    if standing.version.is_none() && faults.is_empty() {
        faults.push(Fault::Unreadable("it has no version".to_owned()));
    }
    lifetime(standing, state, &mut faults);
    let Some(payment) = payment else {
        return faults;
    };
    let id = PaymentId::new(standing.id.as_str());
    let at_home =
        id.is_ok_and(|id| id == *payment.id() && Keys::partition(&id) == standing.partition);
    if !at_home {
        return vec![Fault::Misplaced];
    }
    if payment.state().name() != state {
        faults.push(Fault::TwoStates);
        return faults;
    }
    let missing = standing.expected.iter().filter(|(_, there)| !there);
    faults.extend(missing.map(|(entry, _)| Fault::NotEntered(entry.clone())));
    let expected = |member: &str| standing.expected.iter().any(|(entry, _)| entry == member);
    let half = standing.face.as_deref().is_some_and(is_half);
    let due = standing.due;
    faults.extend(half.then_some(Fault::HalfShown { due }));
    let faces = keys::of_faces(None);
    let changes = |member: &str| half && member.starts_with(&*faces);
    let stray = present().filter(|(member, _)| !expected(member) && !changes(member));
    faults.extend(stray.map(|(member, _)| Fault::Stray(member.clone())));
    faults
}

/// What a state says about being due, being kept, and being told.
fn lifetime(standing: &Standing, state: StateName, faults: &mut Vec<Fault>) {
    let due = standing.due;
    if state.is_finished() {
        faults.extend(due.then_some(Fault::StillDue));
        faults.extend((!due && !standing.expires).then_some(Fault::KeptForEver));
    } else {
        let leased = standing.nonce.is_some();
        faults.extend((!due).then_some(Fault::NotDue { leased }));
        let late = standing.due_at.zip(standing.latest);
        faults.extend(
            late.is_some_and(|(at, by)| at > by)
                .then_some(Fault::DueLate),
        );
        faults.extend(standing.expires.then_some(Fault::Expires));
    }
    let untold = standing
        .told
        .as_deref()
        .is_some_and(|told| told != state.as_str());
    faults.extend(untold.then_some(Fault::Untold { due }));
}
