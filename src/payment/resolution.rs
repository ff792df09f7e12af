//! How a person settles what is parked: by what the gateway shows though it is not as asked, or by what
//! two people state where the gateway shows nothing. Neither ever leads to a call, and what the gateway
//! shows outranks what anybody states.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::attempt::LookUp;
use super::command::CommandAnswer;
use super::record::Payment;
use super::request::InvalidRequest;
use super::settled::void;
use super::state::{Active, State};

/// What stands before the name of a key of the API, where it speaks.
pub const KEYED: &str = "key:";

/// How long what one person states waits for another one, and what both state for a look.
const STATED_FOR: TimeDelta = TimeDelta::hours(24);

/// What became of a word about a payment that went on without a look, or ended so.
const WENT_ON: &str = "went_on";

/// An end that people state where the gateway does not show it. Never that money was taken: that is
/// reported only where the gateway shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatedEnd {
    /// Nothing was taken or reserved, and nothing ever will be.
    NeverPaid,
    /// The reservation is gone, and nothing of it was taken.
    HoldGone,
}

/// How a payment was settled by people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolvedHow {
    /// By what the gateway shows, though it is not as asked.
    AsShown,
    /// By what two people state.
    ByHand,
}

/// How people settle a payment, from the first word to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// In which manner.
    pub how: ResolvedHow,
    /// What is stated, by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<StatedEnd>,
    /// How far it is.
    pub progress: Progress,
    /// Who said so and why: one person, or one who proposed it and one who approved.
    pub said: Vec<Spoken>,
    /// Of which record it was said. A version that does not know it leaves it out: then nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_of: Option<SaidOf>,
}

/// How far a record had come when people spoke of it: both only ever grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidOf {
    /// How many changes of state it had seen.
    pub changes: usize,
    /// How many calls it had noted.
    pub attempts: usize,
}

impl Resolution {
    /// Whether what one person stated waits for another one in vain: it is too old to be approved.
    #[must_use]
    pub fn is_too_old(&self, now: Timestamp) -> bool {
        self.said.iter().any(|said| now - said.at > STATED_FOR)
    }

    /// Whether it waits: for another person, or for a look.
    #[must_use]
    pub const fn waits(&self) -> bool {
        matches!(self.progress, Progress::Proposed | Progress::Wanted)
    }
}

/// How far a resolution is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Progress {
    /// Another person is to approve it.
    Proposed,
    /// A look-up is to tell whether the gateway allows it.
    Wanted,
    /// It came to nothing, because the gateway showed this.
    Void {
        /// In a word.
        shown: String,
    },
    /// The payment ended by it.
    Done,
}

/// What a person said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoken {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

impl Spoken {
    pub(super) fn new(actor: &str, reason: &str, at: Timestamp) -> Result<Self, InvalidRequest> {
        let (actor, reason) = (actor.trim().to_owned(), reason.trim().to_owned());
        if actor.is_empty() || reason.is_empty() {
            let problem = "must say why and who; neither may be empty";
            return Err(InvalidRequest::new("reason", problem));
        }
        Ok(Self { at, actor, reason })
    }

    /// Whether the same person speaks, however the name is written and through whichever door: a key of
    /// the API that bears somebody's name is theirs.
    fn is_by(&self, other: &Self) -> bool {
        let name = |actor: &str| {
            let name = actor.to_lowercase();
            name.strip_prefix(KEYED).unwrap_or(&name).trim().to_owned()
        };
        name(&self.actor) == name(&other.actor)
    }
}

impl Payment {
    /// How people settled it, or are about to.
    #[must_use]
    pub const fn resolution(&self) -> Option<&Resolution> {
        self.resolution.as_ref()
    }

    /// In which manner people settled it, if they did.
    #[must_use]
    pub fn resolved(&self) -> Option<ResolvedHow> {
        let done = |resolution: &&Resolution| resolution.progress == Progress::Done;
        self.resolution
            .as_ref()
            .filter(done)
            .map(|resolution| resolution.how)
    }

    /// Has the next look taken for the end, whatever was asked for. Without a purchase there is nothing to
    /// be shown.
    pub(super) fn resolve_as_shown(&mut self, said: Spoken) -> CommandAnswer {
        if !self.can_be_resolved() {
            return CommandAnswer::NotApplicable;
        }
        self.resolution = Some(Resolution {
            how: ResolvedHow::AsShown,
            outcome: None,
            progress: Progress::Wanted,
            said: vec![said],
            said_of: Some(self.stands_at()),
        });
        self.look_for_the_word();
        CommandAnswer::Accepted
    }

    /// States an end. Nothing follows from one person's word, nor is anything of two people's undone by it.
    pub(super) fn propose_by_hand(&mut self, outcome: StatedEnd, said: Spoken) -> CommandAnswer {
        if !self.can_be_resolved() || !self.can_end_so(outcome) {
            return CommandAnswer::NotApplicable;
        }
        let by_two = |known: &Resolution| {
            let wanted = known.how == ResolvedHow::ByHand && known.progress == Progress::Wanted;
            let newest = known.said.last();
            wanted && newest.is_some_and(|it| said.at - it.at <= STATED_FOR)
        };
        // Whose clock is behind undoes it as little as anybody.
        if self.resolution.as_ref().is_some_and(by_two) {
            return CommandAnswer::AlreadyDecided;
        }
        self.resolution = Some(Resolution {
            how: ResolvedHow::ByHand,
            outcome: Some(outcome),
            progress: Progress::Proposed,
            said: vec![said],
            said_of: Some(self.stands_at()),
        });
        CommandAnswer::Accepted
    }

    /// States the same end as somebody else did within a day. A look comes first.
    pub(super) fn approve_by_hand(
        &mut self,
        outcome: StatedEnd,
        said: Spoken,
    ) -> Result<CommandAnswer, InvalidRequest> {
        // It was proposed of what can end so, and nothing has changed since.
        let as_it_stands = Some(self.stands_at());
        let proposed = self.resolution.as_mut().filter(|proposed| {
            let fresh = !proposed.is_too_old(said.at) && proposed.said_of == as_it_stands;
            proposed.progress == Progress::Proposed && proposed.outcome == Some(outcome) && fresh
        });
        let Some(proposed) = proposed else {
            return Ok(CommandAnswer::NotApplicable);
        };
        if proposed.said.iter().any(|before| before.is_by(&said)) {
            let problem = "must be another person than the one who proposed it";
            return Err(InvalidRequest::new("actor", problem));
        }
        proposed.said.push(said);
        proposed.progress = Progress::Wanted;
        self.look_for_the_word();
        Ok(CommandAnswer::Accepted)
    }

    /// No call follows from the word: what was asked for before it, and would send one, waits to be asked
    /// for again.
    const fn look_for_the_word(&mut self) {
        self.rerun_wanted = false;
        self.look_wanted = true;
    }

    /// How far the record has come.
    const fn stands_at(&self) -> SaidOf {
        SaidOf {
            changes: self.history.len(),
            attempts: self.attempts.len(),
        }
    }

    /// People spoke of the payment as it was parked then. Once it goes on, calls follow that they knew nothing
    /// of: if it is parked again, that is for people to say anew. Once it has ended nobody approves anything.
    pub(super) fn leave_words_behind(&mut self, next: &State) {
        let (parked, ended) = (
            matches!(next, State::Parked { .. }),
            next.name().is_finished(),
        );
        if let Some(said) = self.resolution.as_mut().filter(|it| it.waits() && !parked)
            && (!ended || said.progress == Progress::Proposed)
        {
            let shown = WENT_ON.to_owned();
            said.progress = Progress::Void { shown };
        }
    }

    /// Whether what people said waits for something.
    pub(super) fn has_words_waiting(&self) -> bool {
        self.resolution.as_ref().is_some_and(Resolution::waits)
    }

    /// Whether a look is to tell what becomes of it.
    pub(super) fn waits_for_a_look(&self) -> bool {
        let wanted = |said: &Resolution| said.progress == Progress::Wanted;
        self.resolution.as_ref().is_some_and(wanted)
    }

    /// Names what the look showed by which the words that waited before it were left behind.
    pub(super) fn left_behind_by(&mut self, look: &LookUp) {
        if let Some(said) = &mut self.resolution
            && matches!(&said.progress, Progress::Void { shown } if shown == WENT_ON)
        {
            said.progress = void(look);
        }
    }

    const fn can_be_resolved(&self) -> bool {
        matches!(self.state, State::Parked { .. }) && self.purchase.is_some()
    }

    fn can_end_so(&self, outcome: StatedEnd) -> bool {
        let held = matches!(self.state.active(), Some(Active::Held(_)));
        held == (outcome == StatedEnd::HoldGone)
    }

    /// What people want settled by a look that began at `at`: one that is older than their word says
    /// nothing to it. What two people state ends a payment that stands as it stood then.
    pub(super) fn wanted_by(&self, how: ResolvedHow, at: Timestamp) -> Option<&Resolution> {
        let parked = matches!(self.state, State::Parked { .. });
        self.resolution.as_ref().filter(|wanted| {
            let newest = wanted.said.last().map(|said| said.at);
            let said_before = newest.is_some_and(|said| said <= at && at - said <= STATED_FOR);
            let as_shown = how == ResolvedHow::AsShown;
            let of_this = as_shown || wanted.said_of == Some(self.stands_at());
            let wants = wanted.how == how && wanted.progress == Progress::Wanted;
            parked && wants && said_before && of_this
        })
    }

    /// Whether a person wants what a look at `at` shows taken for the end.
    pub(super) fn is_taken_as_shown(&self, at: Timestamp) -> bool {
        self.wanted_by(ResolvedHow::AsShown, at).is_some()
    }
}
