//! What is known of a saved card: whether it can still be charged, and why not. Put together from
//! what payments came to and what look-ups showed. Of each kind of sign the newest is kept, and what
//! follows from them does not depend on the order in which they are told, or how often.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::card::CardFace;
use super::card_evidence::{CardDeath, CardEvidence, CardSign, Death};
use super::card_order::{CardAsked, CardOrder, Wanted, Wish};
use super::id::{AccountName, CardId, CardToken, PaymentId};

/// The version of the stored form.
const CARD_VERSION: u32 = 1;
/// How long to wait after a call about a card came to nothing, in seconds; the last one again and
/// again.
const WAITS_S: [i64; 6] = [10, 30, 120, 600, 1_800, 3_600];
/// How long after a look, or after somebody asked for one, comes another at the earliest.
const LOOKS_APART: TimeDelta = TimeDelta::seconds(5);
/// How many words about its deletion are kept, the newest.
const MOST_ASKED: usize = 8;

/// Whether a card can be charged, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CardState {
    /// It was, or it was saved.
    Live,
    /// Somebody wants it deleted; whether it is by now is not known yet.
    Deleting,
    /// It cannot.
    Dead,
}

/// A saved card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCard {
    v: u32,
    account: AccountName,
    token: CardToken,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    face: Option<CardFace>,
    first_seen_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    saved_by: Option<PaymentId>,
    /// The newest sign of life: it was charged, or saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alive_at: Option<Timestamp>,
    /// When a look last showed that the gateway keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept_at: Option<Timestamp>,
    /// The newest sign of each kind of death.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    deaths: Vec<CardDeath>,
    /// When the gateway was last asked about it, and said whether it keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    looked_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wanted: Option<Wanted>,
    /// When a worker is to carry out what is wanted, or its lease ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
    /// What was asked about its deletion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    asked: Vec<CardAsked>,
}

impl KnownCard {
    /// A card of which nothing was known before.
    #[must_use]
    pub fn first(evidence: &CardEvidence) -> Self {
        let mut card = Self {
            v: CARD_VERSION,
            account: evidence.account.clone(),
            token: evidence.token.clone(),
            face: None,
            first_seen_at: evidence.at,
            saved_by: None,
            alive_at: None,
            kept_at: None,
            deaths: Vec::new(),
            looked_at: None,
            wanted: None,
            due_at: None,
            asked: Vec::new(),
        };
        card.learn(evidence);
        card
    }

    /// What it is called.
    #[must_use]
    pub fn id(&self) -> CardId {
        CardId::derive(&self.account, &self.token)
    }
    /// The version of its stored form; whether this code can read it.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        self.v == CARD_VERSION
    }
    /// Its account.
    #[must_use]
    pub const fn account(&self) -> &AccountName {
        &self.account
    }
    /// Its token.
    #[must_use]
    pub const fn token(&self) -> &CardToken {
        &self.token
    }
    /// What people call it by, once that was shown.
    #[must_use]
    pub const fn face(&self) -> Option<&CardFace> {
        self.face.as_ref()
    }
    /// When the first call began that showed it.
    #[must_use]
    pub const fn first_seen_at(&self) -> Timestamp {
        self.first_seen_at
    }
    /// The payment that saved it, if that is known.
    #[must_use]
    pub const fn saved_by(&self) -> Option<&PaymentId> {
        self.saved_by.as_ref()
    }
    /// When the gateway was last asked about it, and said whether it keeps it.
    #[must_use]
    pub const fn looked_at(&self) -> Option<Timestamp> {
        self.looked_at
    }
    /// What is wanted of it.
    #[must_use]
    pub const fn wanted(&self) -> Option<&Wanted> {
        self.wanted.as_ref()
    }
    /// When a worker is to carry that out.
    #[must_use]
    pub const fn due_at(&self) -> Option<Timestamp> {
        self.due_at
    }

    /// What was asked about its deletion, the newest last.
    #[must_use]
    pub fn asked(&self) -> &[CardAsked] {
        &self.asked
    }

    /// How it died, unless it showed a sign of life since. That it was deleted is the last word: what
    /// a charge of it was refused with later follows from that.
    #[must_use]
    pub fn death(&self) -> Option<&CardDeath> {
        let dead = self.deaths.iter().filter(|death| self.counts(death));
        dead.max_by_key(|death| {
            let weight = match death.why {
                Death::Deleted => 2,
                Death::InvalidRecurringToken | Death::RecurringTokenExpired => 1,
                Death::NotAToken => 0,
            };
            (weight, death.at, death.why)
        })
    }

    /// Whether nothing was seen since that a card which died so does not show. The gateway keeps a
    /// card whose time is over, so that it keeps it says nothing against that.
    fn counts(&self, death: &CardDeath) -> bool {
        let life = match death.why {
            Death::RecurringTokenExpired => self.alive_at,
            _ => self.alive_at.max(self.kept_at),
        };
        life.is_none_or(|alive| alive <= death.at)
    }

    /// Whether it can be charged, as far as is known.
    #[must_use]
    pub fn state(&self) -> CardState {
        match (&self.wanted, self.death()) {
            (
                Some(Wanted {
                    what: Wish::Delete, ..
                }),
                _,
            ) => CardState::Deleting,
            (_, Some(_)) => CardState::Dead,
            (_, None) => CardState::Live,
        }
    }

    /// Whether it was deleted from here, and the gateway has shown that.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        let deleted = |death: &CardDeath| death.why == Death::Deleted;
        self.state() == CardState::Dead && self.death().is_some_and(deleted)
    }

    /// Takes in what a payment says.
    pub fn learn(&mut self, evidence: &CardEvidence) {
        self.first_seen_at = self.first_seen_at.min(evidence.at);
        if let Some(face) = &evidence.face {
            self.face = Some(face.clone());
        }
        match evidence.sign {
            CardSign::Alive => self.note_life(evidence.at),
            CardSign::Saved => {
                self.saved_by = Some(evidence.payment.clone());
                self.note_life(evidence.at);
            }
            CardSign::Dead(why) => self.note_death(CardDeath {
                why,
                at: evidence.at,
                payment: Some(evidence.payment.clone()),
            }),
            CardSign::Shown => {}
        }
    }

    /// Takes in that the gateway, asked at this time, showed that it keeps it, or that it does not.
    /// What was wanted only since is not answered by that, nor is a deletion that was not sent.
    pub fn looked(&mut self, kept: bool, asked: Timestamp) {
        self.looked_at = self.looked_at.max(Some(asked));
        if kept {
            self.kept_at = self.kept_at.max(Some(asked));
        }
        let in_time = self.wanted.as_ref();
        let in_time = in_time.filter(|wanted| wanted.since <= asked);
        let answered = in_time.is_some_and(|wanted| match wanted.what {
            Wish::Look => true,
            Wish::Delete => !kept && wanted.sent,
        });
        let deleted = answered && self.state() == CardState::Deleting;
        if !kept {
            let why = if deleted {
                Death::Deleted
            } else {
                Death::NotAToken
            };
            let (at, payment) = (asked, None);
            self.note_death(CardDeath { why, at, payment });
        }
        if answered {
            self.rest();
        }
    }

    /// Takes in that the gateway, asked at this time, knows nothing of that name: it says nothing of
    /// the card, since it is what a wrong key would show too. A look ends with that; a deletion does
    /// not.
    pub fn not_found(&mut self, asked: Timestamp) {
        let ends = |wanted: &Wanted| wanted.what == Wish::Look && wanted.since <= asked;
        if self.wanted.as_ref().is_some_and(ends) {
            self.rest();
        }
    }

    /// Takes in that a call to delete it was sent for what is wanted, at this time.
    pub fn was_sent(&mut self, at: Timestamp) {
        let wanted = self.wanted.as_mut();
        if let Some(wanted) = wanted.filter(|wanted| wanted.since <= at) {
            wanted.sent |= wanted.what == Wish::Delete;
        }
    }

    /// Takes in that what was wanted by `asked` came to nothing, or is not seen to be done: again
    /// later, and not before `rest` is over.
    pub fn missed(&mut self, (asked, now): (Timestamp, Timestamp), rest: TimeDelta) {
        let wanted = self.wanted.as_mut();
        if let Some(wanted) = wanted.filter(|wanted| wanted.since <= asked) {
            let rung = usize::try_from(wanted.tries).unwrap_or(usize::MAX);
            let wait = WAITS_S[rung.min(WAITS_S.len() - 1)];
            wanted.tries = wanted.tries.saturating_add(1);
            self.due_at = Some(now + TimeDelta::seconds(wait).max(rest));
        }
    }

    /// Takes in what somebody asks of it. What changes whether it is deleted is kept, with who said so.
    pub fn heed(&mut self, order: &CardOrder, now: Timestamp) {
        let before = (self.wanted.clone(), self.alive_at);
        match order.wish() {
            Some(what) => self.wish(what, now),
            None => self.keep(now),
        }
        let changed = before != (self.wanted.clone(), self.alive_at);
        if changed && *order != CardOrder::Look {
            let order = order.clone();
            self.asked.push(CardAsked { at: now, order });
            let old = self.asked.len().saturating_sub(MOST_ASKED);
            self.asked.drain(..old);
        }
    }

    /// Takes in that somebody wants something of it. What was deleted is not deleted again, and a look
    /// is part of a deletion. Whoever asks for a look again wants to know how it is now: that is
    /// another look, soon.
    pub fn wish(&mut self, what: Wish, now: Timestamp) {
        let known = self.wanted.as_ref().map(|wanted| wanted.what);
        let done = what == Wish::Delete && self.is_deleted();
        if done || known == Some(Wish::Delete) {
            return;
        }
        let due = match (what, known) {
            (Wish::Delete, _) => now,
            (Wish::Look, None) => {
                let looked = self.looked_at.map(|looked| looked + LOOKS_APART);
                looked.map_or(now, |after| after.max(now))
            }
            (Wish::Look, Some(_)) => {
                let soon = now + LOOKS_APART;
                self.due_at.map_or(soon, |due| due.min(soon))
            }
        };
        let tries = self.wanted.as_ref().filter(|_| known == Some(what));
        self.wanted = Some(Wanted {
            what,
            since: now,
            tries: tries.map_or(0, |wanted| wanted.tries),
            sent: false,
        });
        self.due_at = Some(due);
    }

    /// Takes in that nothing more is to be done about it. A card whose time is said to be over is
    /// charged again: only a person can know better.
    fn keep(&mut self, now: Timestamp) {
        self.rest();
        let expired = |death: &CardDeath| death.why == Death::RecurringTokenExpired;
        if self.death().is_some_and(expired) {
            self.note_life(now);
        }
    }

    /// Takes it to carry out what is wanted, until a lease ends.
    pub fn take(&mut self, lease_ends: Timestamp) {
        self.due_at = self.wanted.as_ref().map(|_| lease_ends);
    }

    fn rest(&mut self) {
        self.wanted = None;
        self.due_at = None;
    }

    fn note_life(&mut self, at: Timestamp) {
        self.alive_at = self.alive_at.max(Some(at));
    }

    fn note_death(&mut self, death: CardDeath) {
        let known = self.deaths.iter_mut().find(|known| known.why == death.why);
        match known {
            None => self.deaths.push(death),
            Some(known) if known.at < death.at => *known = death,
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::scenes::{MINUTE, start};
    use crate::payment::{IdempotencyKey, Voice};

    fn at(minute: i32) -> Timestamp {
        start() + MINUTE * minute
    }

    fn evidence(minute: i32, death: Option<Death>) -> CardEvidence {
        let account = AccountName::new("hotel").unwrap();
        let key = IdempotencyKey::new(format!("k{minute}")).unwrap();
        CardEvidence {
            payment: PaymentId::derive(&account, &key),
            account,
            token: CardToken::new("11111111-2222").unwrap(),
            face: None,
            sign: death.map_or(CardSign::Alive, CardSign::Dead),
            at: at(minute),
        }
    }

    fn known(signs: &[(i32, Option<Death>)]) -> KnownCard {
        let mut signs = signs
            .iter()
            .map(|(minute, death)| evidence(*minute, *death));
        let mut card = KnownCard::first(&signs.next().unwrap());
        signs.for_each(|sign| card.learn(&sign));
        card
    }

    const REFUSED: Option<Death> = Some(Death::InvalidRecurringToken);

    #[test]
    fn of_two_signs_the_later_one_counts_in_whatever_order_they_are_told() {
        use CardState::{Dead, Live};
        for (signs, state) in [
            (&[(1, None)][..], Live),
            (&[(1, REFUSED)], Dead),
            (&[(1, None), (2, REFUSED)], Dead),
            (&[(2, REFUSED), (1, None)], Dead),
            (&[(1, REFUSED), (2, None)], Live),
            (&[(2, None), (1, REFUSED)], Live),
            (&[(1, REFUSED), (2, None), (1, REFUSED)], Live),
            (&[(3, REFUSED), (2, None), (1, REFUSED)], Dead),
            (&[(1, None), (1, REFUSED)], Dead),
            (&[(1, REFUSED), (1, None)], Dead),
        ] {
            let card = known(signs);
            assert_eq!(card.state(), state, "{signs:?}");
            assert_eq!(card.death().is_some(), state == Dead, "{signs:?}");
            let first = signs.iter().map(|(minute, _)| at(*minute)).min().unwrap();
            assert_eq!(card.first_seen_at(), first, "{signs:?}");
        }
        let twice = known(&[
            (1, REFUSED),
            (3, REFUSED),
            (2, Some(Death::RecurringTokenExpired)),
        ]);
        let death = twice.death().unwrap();
        assert_eq!((death.why, death.at), (Death::InvalidRecurringToken, at(3)));
        assert_eq!(death.payment, Some(evidence(3, None).payment));
    }

    #[test]
    fn what_is_told_twice_changes_nothing() {
        let mut card = known(&[(1, None), (2, REFUSED)]);
        let before = card.clone();
        card.learn(&evidence(1, None));
        card.learn(&evidence(2, REFUSED));
        assert_eq!(card, before);
    }

    #[test]
    fn a_deletion_is_wanted_until_the_gateway_does_not_keep_the_card() {
        let mut card = known(&[(1, None)]);
        card.wish(Wish::Look, at(2));
        card.looked(false, at(1));
        assert_eq!(
            card.state(),
            CardState::Dead,
            "but the look is still to come"
        );
        assert_eq!(card.wanted().unwrap().what, Wish::Look);
        card.learn(&evidence(2, None));
        card.wish(Wish::Delete, at(3));
        assert_eq!(
            (card.state(), card.due_at()),
            (CardState::Deleting, Some(at(3)))
        );
        let wished = card.clone();
        card.wish(Wish::Delete, at(4));
        card.wish(Wish::Look, at(4));
        assert_eq!(card, wished, "asked again, and a look is part of it");
        card.take(at(7));
        assert_eq!(card.due_at(), Some(at(7)));
        card.looked(true, at(5));
        card.not_found(at(5));
        card.looked(false, at(5));
        assert_eq!(card.state(), CardState::Deleting, "nothing was sent");
        card.was_sent(at(2));
        card.looked(false, at(6));
        assert_eq!(
            card.state(),
            CardState::Deleting,
            "that was not sent for this"
        );
        card.was_sent(at(6));
        card.looked(false, at(2));
        assert_eq!(card.state(), CardState::Deleting, "an older look");
        card.looked(false, at(6));
        assert_eq!((card.wanted(), card.due_at()), (None, None));
        assert_eq!(card.death().unwrap().why, Death::Deleted);
        assert!(card.is_deleted());
        card.wish(Wish::Delete, at(8));
        assert_eq!(card.wanted(), None, "what is deleted is deleted");
        card.learn(&evidence(5, None));
        assert!(card.is_deleted(), "an older sign of life");
        card.learn(&evidence(9, None));
        assert!(!card.is_deleted());
        card.wish(Wish::Delete, at(10));
        assert_eq!(card.state(), CardState::Deleting);
    }

    #[test]
    fn a_dead_card_can_be_deleted_and_then_that_is_why() {
        let mut card = known(&[(1, REFUSED)]);
        card.wish(Wish::Delete, at(2));
        card.was_sent(at(2));
        card.looked(false, at(2));
        assert_eq!(card.death().unwrap().why, Death::Deleted);
    }

    #[test]
    fn what_a_charge_of_a_deleted_card_is_refused_with_does_not_undo_the_deletion() {
        let deleted = |card: &mut KnownCard| {
            card.wish(Wish::Delete, at(2));
            card.was_sent(at(2));
            card.looked(false, at(3));
        };
        let mut before = known(&[(1, None)]);
        deleted(&mut before);
        before.learn(&evidence(5, REFUSED));
        let mut after = known(&[(1, None), (5, REFUSED)]);
        deleted(&mut after);
        for card in [&mut before, &mut after] {
            assert!(card.is_deleted(), "{card:?}");
            assert_eq!(card.death().unwrap().at, at(3));
            card.wish(Wish::Delete, at(6));
            assert_eq!(card.wanted(), None, "it is done");
            card.learn(&evidence(4, None));
            let death = card.death().unwrap();
            assert_eq!((death.why, death.at), (Death::InvalidRecurringToken, at(5)));
        }
        // That it is kept no more is the least that can be said of a token that was refused.
        before.looked(false, at(7));
        assert_eq!(before.death().unwrap().why, Death::InvalidRecurringToken);
    }

    #[test]
    fn a_card_whose_time_is_over_is_kept_by_the_gateway_and_only_a_charge_or_a_person_revives_it() {
        let expired = Some(Death::RecurringTokenExpired);
        let mut card = known(&[(1, None), (2, expired)]);
        card.looked(true, at(3));
        assert_eq!(card.death().unwrap().why, Death::RecurringTokenExpired);
        let mut paid = card.clone();
        paid.learn(&evidence(4, None));
        assert_eq!(paid.state(), CardState::Live);
        let keep = CardOrder::Keep(Voice::new("ann", Some("the issuer says so")));
        card.heed(&keep, at(5));
        assert_eq!((card.state(), card.asked().len()), (CardState::Live, 1));
        card.learn(&evidence(6, expired));
        assert_eq!(card.state(), CardState::Dead);
        let mut refused = known(&[(1, REFUSED)]);
        refused.heed(&keep, at(2));
        assert_eq!(refused.state(), CardState::Dead, "a look can tell");
        assert_eq!(refused.asked(), []);
    }

    #[test]
    fn a_deletion_can_be_withdrawn_and_it_is_kept_who_said_what_and_why() {
        let mut card = known(&[(1, None)]);
        let delete = CardOrder::Delete(Voice::new("shop", None));
        let keep = CardOrder::Keep(Voice::new("ann", Some(&"by mistake ".repeat(100))));
        card.heed(&CardOrder::Look, at(2));
        for minute in [2, 3] {
            card.heed(&delete, at(minute));
        }
        assert_eq!(card.state(), CardState::Deleting);
        card.was_sent(at(3));
        card.heed(&keep, at(4));
        assert_eq!((card.state(), card.due_at()), (CardState::Live, None));
        let asked: Vec<_> = card
            .asked()
            .iter()
            .map(|asked| (asked.at, &asked.order))
            .collect();
        assert_eq!(asked, [(at(2), &delete), (at(4), &keep)]);
        let CardOrder::Keep(voice) = &card.asked()[1].order else {
            panic!("{:?}", card.asked());
        };
        assert_eq!(voice.reason.as_ref().unwrap().len(), 500);
        // What was sent for the one that was withdrawn counts for no other.
        card.wish(Wish::Delete, at(5));
        card.was_sent(at(4));
        card.looked(false, at(5));
        assert!(!card.is_deleted());
        for minute in 6..30 {
            card.heed(&keep, at(minute));
            card.heed(&delete, at(minute));
        }
        assert_eq!(card.asked().len(), 8);
        assert_eq!(card.asked()[7].at, at(29));
        let stored = serde_json::to_string(&card).unwrap();
        assert_eq!(serde_json::from_str::<KnownCard>(&stored).unwrap(), card);
    }

    #[test]
    fn a_look_that_is_asked_for_while_one_is_under_way_is_another_one() {
        let mut card = known(&[(1, None)]);
        card.wish(Wish::Look, at(2));
        card.take(at(9));
        card.wish(Wish::Look, at(4));
        let soon = at(4) + TimeDelta::seconds(5);
        assert_eq!(card.due_at(), Some(soon), "and soon");
        for old in [at(2), at(3)] {
            card.looked(true, old);
            card.not_found(old);
            card.missed((old, at(4)), TimeDelta::zero());
        }
        assert_eq!(card.wanted().unwrap().since, at(4));
        assert_eq!(
            (card.due_at(), card.wanted().unwrap().tries),
            (Some(soon), 0)
        );
        // However often it is asked for, it comes.
        card.wish(Wish::Look, at(4) + TimeDelta::seconds(3));
        assert_eq!(card.due_at(), Some(soon));
        card.looked(true, soon);
        assert_eq!((card.wanted(), card.due_at()), (None, None));
        card.wish(Wish::Look, soon + TimeDelta::seconds(1));
        assert_eq!(card.due_at(), Some(soon + TimeDelta::seconds(5)));
    }

    #[test]
    fn a_card_of_before_that_a_payer_picked_is_shown_and_nothing_is_said_of_its_life() {
        let mut card = known(&[(1, REFUSED)]);
        let mut shown = evidence(3, None);
        shown.sign = CardSign::Shown;
        shown.face = CardFace::of("visa", "444433******1111");
        card.learn(&shown);
        assert_eq!((card.state(), card.saved_by()), (CardState::Dead, None));
        assert_eq!(card.face(), shown.face.as_ref());
        shown.sign = CardSign::Saved;
        card.learn(&shown);
        assert_eq!(card.state(), CardState::Live);
        assert_eq!(card.saved_by(), Some(&shown.payment));
    }

    #[test]
    fn a_look_ends_with_whatever_the_gateway_says_of_the_card() {
        let looked = |signs: &[(i32, Option<Death>)], kept| {
            let mut card = known(signs);
            card.wish(Wish::Look, at(5));
            card.looked(kept, at(5));
            assert_eq!((card.wanted(), card.due_at()), (None, None));
            assert_eq!(card.looked_at(), Some(at(5)));
            (card.state(), card.death().map(|death| death.why))
        };
        assert_eq!(looked(&[(1, REFUSED)], true), (CardState::Live, None));
        let gone = (CardState::Dead, Some(Death::NotAToken));
        assert_eq!(looked(&[(1, None)], false), gone);
        let refused = (CardState::Dead, REFUSED);
        assert_eq!(looked(&[(1, REFUSED)], false), refused, "why stays");
        let mut unknown = known(&[(1, None)]);
        unknown.wish(Wish::Look, at(2));
        unknown.not_found(at(2));
        assert_eq!((unknown.state(), unknown.wanted()), (CardState::Live, None));
    }

    #[test]
    fn what_came_to_nothing_is_tried_again_later_and_later_up_to_an_hour() {
        let mut card = known(&[(1, None)]);
        let none = TimeDelta::zero();
        card.missed((at(2), at(2)), none);
        assert_eq!(card.due_at(), None, "nothing is wanted");
        card.wish(Wish::Delete, at(2));
        for seconds in [10, 30, 120, 600, 1_800, 3_600, 3_600] {
            card.missed((at(2), at(3)), none);
            assert_eq!(card.due_at(), Some(at(3) + TimeDelta::seconds(seconds)));
        }
        assert_eq!(card.wanted().unwrap().tries, 7);
        let told = TimeDelta::hours(2);
        card.missed((at(2), at(3)), told);
        assert_eq!(card.due_at(), Some(at(3) + told), "as the gateway asks");
    }

    #[test]
    fn a_card_is_stored_as_it_is_and_never_printed_with_its_token() {
        let mut card = known(&[(1, None), (2, REFUSED)]);
        card.wish(Wish::Look, at(3));
        let stored = serde_json::to_string(&card).unwrap();
        assert_eq!(serde_json::from_str::<KnownCard>(&stored).unwrap(), card);
        assert!(card.is_readable());
        let printed = format!("{card:?} {:?}", evidence(1, None));
        assert!(!printed.contains("1111"), "{printed}");
    }
}
