//! What a look makes of the words of people (`resolution`): it settles the payment by them, or they come to
//! nothing.

use super::attempt::{Denial, LookUp, Step, Verdict};
use super::evidence::{Sighting, Standing, Stated, TakenProof, TryKind};
use super::reading::is_quiet;
use super::record::Payment;
use super::request::Ask;
use super::resolution::{Progress, ResolvedHow, StatedEnd};
use super::state::{Active, Event};
use super::{Policy, Timestamp};

impl Payment {
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

/// That it came to nothing, by what a look showed.
pub(super) fn void(look: &LookUp) -> Progress {
    let shown = match look {
        LookUp::Shown(seen) if seen.by_hand => "marked_by_hand",
        look => look.as_str(),
    };
    let shown = shown.to_owned();
    Progress::Void { shown }
}
