//! What is known of a saved card: whether it can still be charged, and why not. Put together from
//! what payments came to and what look-ups showed; of two signs the later one counts, in whatever
//! order they are told, and however often.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::attempt::{Step, Verdict};
use super::card::CardFace;
use super::id::{AccountName, CardId, CardToken, PaymentId};
use super::record::Payment;
use super::state::{FailReason, ParkReason, State};

/// The version of the stored form.
const CARD_VERSION: u32 = 1;
/// How long to wait after a call about a card came to nothing, in seconds; the last one again and
/// again.
const WAITS_S: [i64; 6] = [10, 30, 120, 600, 1_800, 3_600];

/// Why a card cannot be charged any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Death {
    /// The gateway refused a charge: it does not know the token, or not any more.
    InvalidRecurringToken,
    /// A charge was declined: the token's time is over.
    RecurringTokenExpired,
    /// It was deleted from here, and the gateway has shown that.
    Deleted,
    /// The gateway showed that it is kept no more, though nobody deleted it from here.
    NotAToken,
}

impl Death {
    /// What the gateway says of the token itself, if `code` says that.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        match code {
            "invalid_recurring_token" => Some(Self::InvalidRecurringToken),
            "recurring_token_expired" => Some(Self::RecurringTokenExpired),
            _ => None,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRecurringToken => "invalid_recurring_token",
            Self::RecurringTokenExpired => "recurring_token_expired",
            Self::Deleted => "deleted",
            Self::NotAToken => "not_a_token",
        }
    }
}

/// That a card died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardDeath {
    /// Why.
    pub why: Death,
    /// When the call or the look began that showed it.
    pub at: Timestamp,
    /// The payment that met it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
}

/// What a payment says of its card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardEvidence {
    /// The payment.
    pub payment: PaymentId,
    /// Its account.
    pub account: AccountName,
    /// The card.
    pub token: CardToken,
    /// What people call it by, if that was shown.
    pub face: Option<CardFace>,
    /// Whether the payment saved it.
    pub saved: bool,
    /// Why it died, if it did; else it was alive.
    pub death: Option<Death>,
    /// When the call began that showed it: the card was so at that time, whenever it became known.
    pub at: Timestamp,
}

/// What somebody wants of a card, and a worker carries out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// That the gateway be asked whether it keeps it.
    Look,
    /// That the gateway keep it no more.
    Delete,
}

/// That somebody wants something of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// What.
    pub what: Wish,
    /// Since when.
    pub since: Timestamp,
    /// How often it was tried in vain.
    pub tries: u32,
}

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
    /// The newest sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alive_at: Option<Timestamp>,
    /// The newest sign of death.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    death: Option<CardDeath>,
    /// When the gateway was last asked about it, and said whether it keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    looked_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wanted: Option<Wanted>,
    /// When a worker is to carry out what is wanted, or its lease ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
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
            death: None,
            looked_at: None,
            wanted: None,
            due_at: None,
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

    /// How it died, unless it showed a sign of life since.
    #[must_use]
    pub fn death(&self) -> Option<&CardDeath> {
        let alive_at = self.alive_at;
        let death = self.death.as_ref();
        death.filter(|death| alive_at.is_none_or(|alive| alive <= death.at))
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
        if evidence.saved {
            self.saved_by = Some(evidence.payment.clone());
        }
        match evidence.death {
            Some(why) => self.note_death(CardDeath {
                why,
                at: evidence.at,
                payment: Some(evidence.payment.clone()),
            }),
            None => self.note_life(evidence.at),
        }
    }

    /// Takes in that the gateway, asked at this time, showed that it keeps it, or that it does not.
    pub fn looked(&mut self, kept: bool, at: Timestamp) {
        self.looked_at = self.looked_at.max(Some(at));
        let deleting = self.state() == CardState::Deleting;
        if kept {
            self.note_life(at);
            if deleting {
                return;
            }
        } else if deleting || self.death().is_none() {
            let why = if deleting {
                Death::Deleted
            } else {
                Death::NotAToken
            };
            let payment = None;
            self.note_death(CardDeath { why, at, payment });
        }
        self.rest();
    }

    /// Takes in that the gateway knows nothing of that name: it says nothing of the card, since it is
    /// what a wrong key would show too. A look ends with that; a deletion does not.
    pub fn not_found(&mut self, now: Timestamp) {
        if self.state() == CardState::Deleting {
            self.missed(now);
        } else {
            self.rest();
        }
    }

    /// Takes in that what is wanted came to nothing, or is not seen to be done: again later.
    pub fn missed(&mut self, now: Timestamp) {
        if let Some(wanted) = &mut self.wanted {
            let rung = usize::try_from(wanted.tries).unwrap_or(usize::MAX);
            let wait = WAITS_S[rung.min(WAITS_S.len() - 1)];
            wanted.tries = wanted.tries.saturating_add(1);
            self.due_at = Some(now + TimeDelta::seconds(wait));
        }
    }

    /// Takes in that somebody wants something of it. What was deleted is not deleted again, and a look
    /// is part of a deletion.
    pub fn wish(&mut self, what: Wish, now: Timestamp) {
        let wanted = self.wanted.as_ref().map(|wanted| wanted.what);
        let done = what == Wish::Delete && self.is_deleted();
        if done || wanted == Some(what) || wanted == Some(Wish::Delete) {
            return;
        }
        let (since, tries) = (now, 0);
        self.wanted = Some(Wanted { what, since, tries });
        self.due_at = Some(now);
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
        if self.death.as_ref().is_none_or(|known| known.at < death.at) {
            self.death = Some(death);
        }
    }
}

impl Payment {
    /// What it says of its card: that it was alive when it paid or was saved, or that the gateway
    /// said of the card itself that it cannot be charged. Nothing else says anything of the card.
    #[must_use]
    pub fn card_evidence(&self) -> Option<CardEvidence> {
        let token = self.card_token()?.clone();
        let since = self.history.last().map(|change| change.at);
        let (saved, death, at) = match &self.state {
            State::Saved(_) => (true, None, since?),
            State::Held(_) | State::Paid(_) => {
                (false, None, self.charge_began(|refused| refused.is_none())?)
            }
            State::Failed(FailReason::Declined { code })
            | State::Parked {
                reason: ParkReason::DeclinedForOperator { code } | ParkReason::Refused { code },
                ..
            } => {
                let why = Death::of_code(code)?;
                let at = self.charge_began(|refused| refused == Some(code))?;
                (false, Some(why), at)
            }
            _ => return None,
        };
        Some(CardEvidence {
            payment: self.id.clone(),
            account: self.request.account.clone(),
            token,
            face: self.face.clone(),
            saved,
            death,
            at,
        })
    }

    /// When the last charge began that ended so: with this code of a refusal, or without one.
    fn charge_began(&self, ended: impl Fn(Option<&String>) -> bool) -> Option<Timestamp> {
        let charges = self.attempts.iter().rev();
        let mut charges = charges.filter(|attempt| attempt.step == Step::Charge);
        let charge =
            charges.find(
                |attempt| match attempt.closed.as_ref().map(|closed| &closed.verdict) {
                    Some(Verdict::NotSent) => false,
                    Some(Verdict::Declined { code } | Verdict::Refused { code }) => {
                        ended(Some(code))
                    }
                    _ => ended(None),
                },
            );
        charge.map(|attempt| attempt.opened_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::evidence::{Standing, TryKind};
    use crate::payment::scenes::{
        MINUTE, Scene, charge, charged, failed_try, held, sighting, start,
    };
    use crate::payment::{Answer, IdempotencyKey, LookUp, StateName, UnknownPolicy};

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
            saved: false,
            death,
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
        assert_eq!(card.state(), CardState::Deleting);
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
        card.looked(false, at(2));
        assert_eq!(card.death().unwrap().why, Death::Deleted);
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
        card.missed(at(2));
        assert_eq!(card.due_at(), None, "nothing is wanted");
        card.wish(Wish::Delete, at(2));
        for seconds in [10, 30, 120, 600, 1_800, 3_600, 3_600] {
            card.missed(at(3));
            assert_eq!(card.due_at(), Some(at(3) + TimeDelta::seconds(seconds)));
        }
        assert_eq!(card.wanted().unwrap().tries, 7);
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

    /// A charge that was refused with this code, and is sealed.
    fn refused_with(code: &str) -> Scene {
        let mut scene = charged(UnknownPolicy::Park);
        scene.pass(MINUTE);
        scene.answer(&Answer::NoEffect {
            code: code.into(),
            denied: false,
        });
        for standing in [Standing::Payable, Standing::Cancelled, Standing::Cancelled] {
            scene.pass(MINUTE);
            let mut seen = sighting(&scene.payment, standing);
            seen.tries = vec![failed_try(TryKind::Pay, code)];
            let (now, policy) = (scene.now, scene.policy.clone());
            scene
                .payment
                .looked_up(&LookUp::Shown(Box::new(seen)), now, &policy);
        }
        assert_eq!(scene.state(), StateName::Failed);
        scene
    }

    #[test]
    fn a_refusal_of_the_token_kills_a_card_as_of_the_call_and_no_other_refusal_does() {
        for (code, why) in [
            ("invalid_recurring_token", Death::InvalidRecurringToken),
            ("recurring_token_expired", Death::RecurringTokenExpired),
        ] {
            let scene = refused_with(code);
            let evidence = scene.payment.card_evidence().unwrap();
            assert_eq!((evidence.death, evidence.at), (Some(why), at(1)), "{code}");
            assert_eq!(why.as_str(), code);
        }
        assert_eq!(refused_with("do_not_honour").payment.card_evidence(), None);
        assert_eq!(refused_with("expired_card").payment.card_evidence(), None);
    }

    #[test]
    fn a_card_was_alive_when_the_call_began_that_took_or_reserved_money() {
        let mut scene = charged(UnknownPolicy::Park);
        assert_eq!(scene.payment.card_evidence(), None, "nothing is known yet");
        scene.pass(MINUTE);
        scene.answer(&Answer::Unknown { why: "x".into() });
        scene.pass(MINUTE * 3);
        let seen = sighting(&scene.payment, Standing::Paid);
        let (now, policy) = (scene.now, scene.policy.clone());
        scene
            .payment
            .looked_up(&LookUp::Shown(Box::new(seen)), now, &policy);
        let evidence = scene.payment.card_evidence().unwrap();
        assert_eq!((evidence.death, evidence.at), (None, at(1)));
        assert!(!evidence.saved);
        let hold = held("{}").payment.card_evidence().unwrap();
        assert_eq!((hold.death, hold.at), (None, at(0)));
        let checkout = Scene::new(
            crate::payment::scenes::by_checkout("{}"),
            UnknownPolicy::Park,
        );
        assert_eq!(checkout.payment.card_evidence(), None);
        assert_eq!(
            Scene::new(charge(), UnknownPolicy::Park)
                .payment
                .card_evidence(),
            None
        );
    }
}
