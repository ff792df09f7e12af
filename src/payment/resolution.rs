//! How a person settles what is parked: by what the gateway shows though it is not as asked, or by what
//! two people state where the gateway shows nothing. Neither ever leads to a call, and what the gateway
//! shows outranks what anybody states.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::attempt::{Denial, LookUp, Step, Verdict};
use super::command::CommandAnswer;
use super::evidence::{Sighting, Standing, Stated, TakenProof, TryKind};
use super::reading::is_quiet;
use super::record::Payment;
use super::request::{Ask, InvalidRequest};
use super::state::{Active, Event, State};
use super::{Policy, Timestamp};

/// What stands before the name of a key of the API, where it speaks.
pub const KEYED: &str = "key:";

/// How long what one person states waits for another one, and what both state for a look.
const STATED_FOR: TimeDelta = TimeDelta::hours(24);

/// What became of a word about a payment that went on: the gateway showed that it was not at its end.
const WENT_ON: &str = "otherwise";

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
        });
        self.look_wanted = true;
        CommandAnswer::Accepted
    }

    /// States an end. Nothing follows from one person's word, nor is anything of two people's undone by it.
    pub(super) fn propose_by_hand(&mut self, outcome: StatedEnd, said: Spoken) -> CommandAnswer {
        if !self.can_be_resolved() || !self.can_end_so(outcome) {
            return CommandAnswer::NotApplicable;
        }
        if self.wanted_by(ResolvedHow::ByHand, said.at).is_some() {
            return CommandAnswer::AlreadyDecided;
        }
        self.resolution = Some(Resolution {
            how: ResolvedHow::ByHand,
            outcome: Some(outcome),
            progress: Progress::Proposed,
            said: vec![said],
        });
        CommandAnswer::Accepted
    }

    /// States the same end as somebody else did within a day. A look comes first.
    pub(super) fn approve_by_hand(
        &mut self,
        outcome: StatedEnd,
        said: Spoken,
    ) -> Result<CommandAnswer, InvalidRequest> {
        let can_end = self.can_be_resolved() && self.can_end_so(outcome);
        let proposed = self.resolution.as_mut().filter(|proposed| {
            let fresh = proposed.said.iter().all(|it| said.at - it.at <= STATED_FOR);
            proposed.progress == Progress::Proposed && proposed.outcome == Some(outcome) && fresh
        });
        let Some(proposed) = proposed.filter(|_| can_end) else {
            return Ok(CommandAnswer::NotApplicable);
        };
        if proposed.said.iter().any(|before| before.is_by(&said)) {
            let problem = "must be another person than the one who proposed it";
            return Err(InvalidRequest::new("actor", problem));
        }
        proposed.said.push(said);
        proposed.progress = Progress::Wanted;
        self.look_wanted = true;
        Ok(CommandAnswer::Accepted)
    }

    /// People spoke of the payment as it was parked then. Once it goes on, calls follow that they knew nothing
    /// of: if it is parked again, that is for people to say anew.
    pub(super) fn leave_words_behind(&mut self, next: &State) {
        let goes_on = !matches!(next, State::Parked { .. }) && !next.name().is_finished();
        if let Some(said) = self.resolution.as_mut().filter(|_| goes_on)
            && matches!(said.progress, Progress::Proposed | Progress::Wanted)
        {
            let shown = WENT_ON.to_owned();
            said.progress = Progress::Void { shown };
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
    /// nothing to it.
    fn wanted_by(&self, how: ResolvedHow, at: Timestamp) -> Option<&Resolution> {
        let parked = matches!(self.state, State::Parked { .. });
        self.resolution.as_ref().filter(|wanted| {
            let newest = wanted.said.last().map(|said| said.at);
            let said_before = newest.is_some_and(|said| said <= at && at - said <= STATED_FOR);
            parked && wanted.how == how && wanted.progress == Progress::Wanted && said_before
        })
    }

    /// Whether a person wants what a look at `at` shows taken for the end.
    pub(super) fn is_taken_as_shown(&self, at: Timestamp) -> bool {
        self.wanted_by(ResolvedHow::AsShown, at).is_some()
    }

    /// Reports the money that the gateway shows as taken, though another amount was asked for or none, if a
    /// person wants that.
    pub(super) fn settle_as_shown(&mut self, seen: &Sighting, now: Timestamp) -> bool {
        if !self.is_taken_as_shown(now) {
            return false;
        }
        let Ok(proof) = TakenProof::whatever_was_asked(self, seen) else {
            return false;
        };
        self.rerun_wanted = false;
        self.close_as(Step::takes_money, now);
        self.on(Event::TakenAsShown(proof), now).is_ok()
    }

    /// After a look that people wait for: carries out what they state where the gateway shows nothing
    /// against it, and takes note of what became of their word.
    pub(super) fn resolve(&mut self, look: &LookUp, now: Timestamp, policy: &Policy) {
        let finished = self.is_finished();
        if self.wanted_by(ResolvedHow::ByHand, now).is_some() {
            return self.resolve_by_hand(look, now, policy);
        }
        let shown = matches!(look, LookUp::Shown(_));
        let missing = *look == LookUp::NotFound && self.is_missing_for_long(now, policy);
        if self.is_taken_as_shown(now) && !shown && !missing {
            // Looked at again, for as long as the word counts.
            return self.look_from(now, self.lookup_delay(policy, 4));
        }
        let Some(wanted) = self.resolution.as_mut() else {
            return;
        };
        let newest = wanted.said.last().map(|said| said.at);
        let answered = newest.is_some_and(|said| said <= now);
        if wanted.progress != Progress::Wanted || !answered {
            return;
        }
        let as_shown = wanted.how == ResolvedHow::AsShown;
        wanted.progress = if as_shown && finished && shown {
            Progress::Done
        } else {
            void(look)
        };
    }

    fn resolve_by_hand(&mut self, look: &LookUp, now: Timestamp, policy: &Policy) {
        let Some(outcome) = self.resolution.as_ref().and_then(|wanted| wanted.outcome) else {
            return;
        };
        let in_flight = self
            .open_attempt()
            .is_some_and(|open| !is_quiet(open, now, policy));
        let progress = match self.says_to(outcome, look, (now, policy)) {
            Says::Nothing if !in_flight => {
                self.close(Verdict::DidNotHappen, now);
                let stated = Event::StatedByHand(Stated::by_two_people(outcome));
                match self.on(stated, now) {
                    Ok(()) => Progress::Done,
                    Err(_) => void(look),
                }
            }
            Says::Nothing | Says::NotAnswered => {
                // Looked at again, for as long as their word counts.
                self.look_from(now, self.lookup_delay(policy, 4));
                return;
            }
            Says::Otherwise => void(look),
        };
        if let Some(wanted) = &mut self.resolution {
            wanted.progress = progress;
        }
    }

    const fn saves_none(&self, seen: &Sighting) -> bool {
        matches!(self.request.ask, Ask::SaveCard(_)) && seen.card.is_none()
    }

    /// What a look says to what people state.
    fn says_to(
        &self,
        outcome: StatedEnd,
        look: &LookUp,
        (now, policy): (Timestamp, &Policy),
    ) -> Says {
        let lapsed = match self.state.active() {
            Some(Active::Held(hold)) => now >= hold.expires_at,
            _ => false,
        };
        let seen = match look {
            LookUp::Shown(seen) => seen,
            // It may be there and captured, for all that anybody can see.
            _ if outcome == StatedEnd::HoldGone && !lapsed => return Says::NotAnswered,
            LookUp::Failed {
                denied: Denial::Said,
                ..
            } if self.is_denied_for_long(now, policy) => {
                return Says::Nothing;
            }
            LookUp::NotFound if self.is_missing_for_long(now, policy) => return Says::Nothing,
            // A stale copy may not know it yet, and a key refused once may be a slip.
            LookUp::NotFound | LookUp::Failed { .. } => return Says::NotAnswered,
        };
        match (outcome, &seen.standing) {
            // How much is not written yet, perhaps, but the try is listed.
            _ if seen.taken.is_some() || seen.lists_done(TryKind::Capture) => Says::Otherwise,
            // A hold that was never known of here was given back: its try is listed, and took nothing.
            (StatedEnd::NeverPaid, Standing::Released) => Says::Nothing,
            // Verified, and no card is kept: nothing to report, and no money in it.
            (StatedEnd::NeverPaid, Standing::CardSaved) if self.saves_none(seen) => Says::Nothing,
            (StatedEnd::NeverPaid, _) if seen.lists_done(TryKind::Pay) => Says::Otherwise,
            (_, Standing::Other(_)) => Says::Nothing,
            // The gateway has no word for a hold that lapsed: it goes on showing it.
            (StatedEnd::HoldGone, Standing::Held) if lapsed => Says::Nothing,
            (StatedEnd::HoldGone, Standing::Released | Standing::Cancelled | Standing::Expired) => {
                Says::Nothing
            }
            (
                StatedEnd::NeverPaid | StatedEnd::HoldGone,
                Standing::Payable
                | Standing::Pending
                | Standing::Held
                | Standing::Paid
                | Standing::CardSaved
                | Standing::Cancelled
                | Standing::Expired,
            ) => Says::Otherwise,
        }
    }
}

/// What a look says to what people state.
enum Says {
    /// Nothing against it.
    Nothing,
    /// Nothing at all, this time.
    NotAnswered,
    /// Something else, or something that can still change.
    Otherwise,
}

fn void(look: &LookUp) -> Progress {
    let shown = match look {
        LookUp::Shown(seen) if seen.by_hand => "marked_by_hand",
        look => look.as_str(),
    };
    let shown = shown.to_owned();
    Progress::Void { shown }
}
