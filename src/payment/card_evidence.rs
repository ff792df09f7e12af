//! What a payment says of its card: that it was alive when it was charged or saved, or that the gateway
//! said of the token itself that it cannot be charged.

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::attempt::{Step, Verdict};
use super::card::CardFace;
use super::id::{AccountName, CardToken, PaymentId};
use super::record::Payment;
use super::state::{FailReason, ParkReason, State};

/// Why a card cannot be charged any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Death {
    /// The gateway refused a charge: it does not know the token, or not any more.
    InvalidRecurringToken,
    /// A charge was declined: the token's time is over.
    RecurringTokenExpired,
    /// A deletion was asked for here and sent, and the gateway has shown that it keeps it no more.
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

/// What a payment shows of its card's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardSign {
    /// It was charged.
    Alive,
    /// It was saved by this very payment.
    Saved,
    /// It cannot be charged, for this reason.
    Dead(Death),
    /// Nothing: the payer picked a card that was saved before, whatever became of it since.
    Shown,
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
    /// Whether it was alive.
    pub sign: CardSign,
    /// When the call began that showed it: the card was so at that time, whenever it became known.
    pub at: Timestamp,
}

impl Payment {
    /// What it says of its card: that it was alive when it was charged or saved, or that the gateway
    /// said of the card itself that it cannot be charged. Nothing else says anything of the card.
    #[must_use]
    pub fn card_evidence(&self) -> Option<CardEvidence> {
        let token = self.card_token()?.clone();
        let (sign, at) = match (self.card_died(), &self.state) {
            (Some((why, at)), _) => (CardSign::Dead(why), at),
            (None, State::Saved(_)) => self.card_saved(&token)?,
            (None, State::Held(_) | State::Paid(_)) => {
                let began = self.charge_began(|verdict| refusal(verdict).is_none())?;
                (CardSign::Alive, began)
            }
            // Whatever became of the money since, the card was alive then.
            (None, _) => {
                let began = self.charge_began(|verdict| verdict == Some(&Verdict::Done))?;
                (CardSign::Alive, began)
            }
        };
        Some(CardEvidence {
            payment: self.id.clone(),
            account: self.request.account.clone(),
            token,
            face: self.face.clone(),
            sign,
            at,
        })
    }

    /// Why the card cannot be charged, and when the charge began that showed it.
    fn card_died(&self) -> Option<(Death, Timestamp)> {
        let (State::Failed(FailReason::Declined { code })
        | State::Parked {
            reason: ParkReason::DeclinedForOperator { code } | ParkReason::Refused { code },
            ..
        }) = &self.state
        else {
            return None;
        };
        let why = Death::of_code(code)?;
        let at = self.charge_began(|verdict| refusal(verdict) == Some(code))?;
        Some((why, at))
    }

    /// That the card was saved. A card of before is named by an older purchase's id, and what it was
    /// then says nothing of now. It is dated by when the purchase was made, before which there was no
    /// such token: when the card was saved is known later, and a deletion may have come between.
    fn card_saved(&self, token: &CardToken) -> Option<(CardSign, Timestamp)> {
        let purchase = self.purchase.as_ref()?;
        let made = self.attempts.iter().rev();
        let mut made = made.filter(|attempt| attempt.step == Step::Create);
        let known = || self.history.last().map(|change| change.at);
        let at = made
            .next()
            .map(|attempt| attempt.opened_at)
            .or_else(known)?;
        let own = purchase.id.as_card_token() == *token;
        Some((
            if own {
                CardSign::Saved
            } else {
                CardSign::Shown
            },
            at,
        ))
    }

    /// When the last charge that was sent began, and ended so, if it did.
    fn charge_began(&self, ended: impl Fn(Option<&Verdict>) -> bool) -> Option<Timestamp> {
        let charges = self.attempts.iter().rev();
        let mut charges = charges.filter(|attempt| attempt.step == Step::Charge);
        let charge = charges.find(|attempt| {
            let verdict = attempt.closed.as_ref().map(|closed| &closed.verdict);
            verdict != Some(&Verdict::NotSent) && ended(verdict)
        });
        charge.map(|attempt| attempt.opened_at)
    }
}

/// The code of a refusal, if a call ended with one.
fn refusal(verdict: Option<&Verdict>) -> Option<&String> {
    match verdict {
        Some(Verdict::Declined { code } | Verdict::Refused { code }) => Some(code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::evidence::{Standing, TryKind};
    use crate::payment::scenes::{
        MINUTE, Scene, charge, charged, failed_try, held, save_card, sighting, start,
    };
    use crate::payment::{Answer, Command, LookUp, StateName, UnknownPolicy};

    fn at(minute: i32) -> Timestamp {
        start() + MINUTE * minute
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
            assert_eq!(
                (evidence.sign, evidence.at),
                (CardSign::Dead(why), at(1)),
                "{code}"
            );
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
        assert_eq!((evidence.sign, evidence.at), (CardSign::Alive, at(1)));
        let hold = held("{}").payment.card_evidence().unwrap();
        assert_eq!((hold.sign, hold.at), (CardSign::Alive, at(0)));
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

    #[test]
    fn a_card_that_was_charged_was_alive_whatever_became_of_the_money_since() {
        let mut scene = held("{}");
        scene.pass(MINUTE);
        scene.command(Command::Release);
        assert_eq!(scene.show(Standing::Released), Step::Release);
        assert_eq!(scene.state(), StateName::Released);
        let evidence = scene.payment.card_evidence().unwrap();
        assert_eq!((evidence.sign, evidence.at), (CardSign::Alive, at(0)));
    }

    #[test]
    fn a_card_that_a_payment_saved_is_dated_by_its_purchase_and_one_of_before_says_nothing() {
        let saved_as = |token: Option<&str>| {
            let mut scene = Scene::new(save_card(), UnknownPolicy::Park);
            scene.show(Standing::Payable);
            scene.pass(MINUTE);
            scene.payment.nudged(1);
            let mut seen = sighting(&scene.payment, Standing::CardSaved);
            if let Some(token) = token {
                seen.card = Some(CardToken::new(token).unwrap());
            }
            scene.look_at(seen);
            assert_eq!(scene.state(), StateName::Saved);
            let evidence = scene.payment.card_evidence().unwrap();
            (evidence.sign, evidence.at)
        };
        assert_eq!(saved_as(None), (CardSign::Saved, at(0)));
        let older = saved_as(Some("5a9e3c1c-0000-4000-8000-000000000009"));
        assert_eq!(older, (CardSign::Shown, at(0)));
    }
}
