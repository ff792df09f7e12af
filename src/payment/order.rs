//! What exactly is to be sent for a step: made from the record alone, so that the call carries
//! what the durable note says and nothing else.

use super::attempt::{Attempt, Step, Verdict};
use super::id::{AccountName, CardToken, PaymentId, PurchaseId, Reference};
use super::ladder::millis;
use super::money::{Amount, Currency};
use super::record::Payment;
use super::request::{Ask, Checkout, Customer, Source};
use super::{Policy, Timestamp};

/// The order to create a purchase. Moves no money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateOrder {
    /// For which payment; becomes the purchase's reference, so that it can be traced.
    pub payment: PaymentId,
    /// Under which key and brand.
    pub account: AccountName,
    /// How much, in minor units; 0 only verifies a card.
    pub total_minor: u64,
    /// In which currency.
    pub currency: Currency,
    /// Whether the funds are only reserved.
    pub reserve: bool,
    /// Whether the payer's card is to be kept.
    pub save_card: bool,
    /// Until when it can be paid; strictly.
    pub due: Timestamp,
    /// Who pays.
    pub customer: Customer,
    /// What it is for.
    pub description: Option<String>,
    /// The producer's own number.
    pub reference: Option<Reference>,
    /// Where the payer lands, if there is a payer.
    pub checkout: Option<Checkout>,
}

/// The order to move money, or to make sure that it never moves, on one purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoneyOrder {
    /// For which payment.
    pub payment: PaymentId,
    /// Under which key.
    pub account: AccountName,
    /// On which purchase.
    pub purchase: PurchaseId,
    /// The attempt that licenses it.
    pub attempt: u32,
    /// By what the gateway may recognise the repeat of a call of which nothing is known: the same
    /// for it and for all its repeats, another one for a call that is meant anew.
    pub key: String,
    /// What to do.
    pub call: MoneyCall,
}

/// What to do on a purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoneyCall {
    /// Charge this saved card.
    Charge(CardToken),
    /// Take this much of the hold.
    Capture(Amount),
    /// Give the hold back.
    Release,
    /// Make sure that it can never be paid.
    Cancel,
}

impl MoneyCall {
    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Charge(_) => "charge",
            Self::Capture(_) => "capture",
            Self::Release => "release",
            Self::Cancel => "cancel",
        }
    }
}

impl Payment {
    /// What to send for [`Step::Create`]; `None` where nothing is created (an adopted hold).
    #[must_use]
    pub fn create_order(&self, now: Timestamp, policy: &Policy) -> Option<CreateOrder> {
        let request = &self.request;
        let base = |customer: &Customer, description: &Option<String>| CreateOrder {
            payment: self.id.clone(),
            account: request.account.clone(),
            total_minor: request.money().map_or(0, |money| money.amount.minor()),
            currency: request
                .money()
                .map_or(Currency::MYR, |money| money.currency),
            reserve: true,
            save_card: false,
            due: now + millis(policy.purchase_lifetime_ms),
            customer: customer.clone(),
            description: description.clone(),
            reference: request.reference.clone(),
            checkout: None,
        };
        let link_due = |checkout: &Checkout| {
            checkout
                .pay_by
                .unwrap_or_else(|| now + millis(policy.link_lifetime_ms))
        };
        Some(match &request.ask {
            Ask::Authorize(ask) => match &ask.source {
                Source::Token(_) => base(&ask.customer, &ask.description),
                Source::Checkout(checkout) => CreateOrder {
                    due: link_due(checkout),
                    checkout: Some(checkout.clone()),
                    ..base(&ask.customer, &ask.description)
                },
            },
            Ask::SaveCard(ask) => CreateOrder {
                currency: ask.currency,
                save_card: true,
                due: link_due(&ask.checkout),
                checkout: Some(ask.checkout.clone()),
                ..base(&ask.customer, &ask.description)
            },
            Ask::Charge(ask) => CreateOrder {
                reserve: false,
                ..base(&ask.customer, &ask.description)
            },
            Ask::Adopt(_) => return None,
        })
    }

    /// What to send for the open attempt; `None` unless one is open that may be sent.
    #[must_use]
    pub fn money_order(&self) -> Option<MoneyOrder> {
        let open = self.open_attempt()?;
        let call = match (open.step, &self.request.ask) {
            (Step::Capture { amount }, _) => MoneyCall::Capture(amount),
            (Step::Release, _) => MoneyCall::Release,
            (Step::Cancel, _) => MoneyCall::Cancel,
            (Step::Charge, Ask::Charge(ask)) => MoneyCall::Charge(ask.token.clone()),
            (Step::Charge, Ask::Authorize(ask)) => match &ask.source {
                Source::Token(token) => MoneyCall::Charge(token.clone()),
                Source::Checkout(_) => return None,
            },
            (Step::Charge, Ask::SaveCard(_) | Ask::Adopt(_)) | (Step::Create, _) => return None,
        };
        Some(MoneyOrder {
            payment: self.id.clone(),
            account: self.request.account.clone(),
            purchase: self.purchase.as_ref()?.id.clone(),
            attempt: open.number,
            key: format!("{}-{}", self.id, self.first_of_repeats(open)),
            call,
        })
    }

    /// The attempt that `open` repeats: the first of an unbroken row at the same step, each of which
    /// left no trace or never left. One that was refused or declined had its answer, and a gateway
    /// that minds the key would only give that answer again.
    fn first_of_repeats(&self, open: &Attempt) -> u32 {
        let traceless = |attempt: &&Attempt| {
            let verdict = attempt.closed.as_ref().map(|closed| &closed.verdict);
            attempt.step == open.step
                && matches!(verdict, Some(Verdict::DidNotHappen | Verdict::NotSent))
        };
        self.attempts
            .iter()
            .rev()
            .skip_while(|attempt| attempt.number >= open.number)
            .take_while(traceless)
            .last()
            .map_or(open.number, |first| first.number)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenes::*;
    use super::super::{
        Amount, Answer, Command, Currency, MoneyCall, Next, Standing, Step, TryKind,
    };
    use super::super::{Request, UnknownPolicy};
    use super::CreateOrder;
    use chrono::TimeDelta;

    fn order(request: Request) -> Option<CreateOrder> {
        let scene = Scene::new(request, UnknownPolicy::Park);
        scene.payment.create_order(scene.now, &scene.policy)
    }

    #[test]
    fn a_purchase_is_made_as_the_request_says() {
        let charge = order(charge()).unwrap();
        assert_eq!((charge.total_minor, charge.currency), (1500, Currency::MYR));
        assert!(!charge.reserve && !charge.save_card && charge.checkout.is_none());
        assert_eq!(
            charge.due,
            start() + TimeDelta::days(7),
            "it spans the ladder"
        );

        let on_card = order(by_token("{}")).unwrap();
        assert_eq!(on_card.total_minor, 1500);
        assert!(on_card.reserve && !on_card.save_card && on_card.checkout.is_none());
        assert_eq!(on_card.due, start() + TimeDelta::days(7));

        let checkout = order(by_checkout("{}")).unwrap();
        assert_eq!(checkout.total_minor, 1500);
        assert!(checkout.reserve && !checkout.save_card && checkout.checkout.is_some());
        assert_eq!(checkout.due, start() + TimeDelta::hours(1));

        let saved = order(request(
            r#""type":"save_card","currency":"SGD","customer":{"email":"a@b.example"}"#,
        ));
        let saved = saved.unwrap();
        assert_eq!((saved.total_minor, saved.currency.as_str()), (0, "SGD"));
        assert!(saved.reserve && saved.save_card && saved.checkout.is_some());
        assert_eq!(saved.due, start() + TimeDelta::hours(1));

        assert_eq!(order(adopt()), None, "it is there already");
    }

    #[test]
    fn a_link_can_be_paid_until_the_time_the_producer_says() {
        let link = r#"{"checkout":{"pay_by":"2027-02-02T06:00:00Z"}}"#;
        let due = start() + TimeDelta::days(2);
        assert_eq!(order(authorize(link, "{}")).unwrap().due, due);
        let saved = request(
            r#""type":"save_card","checkout":{"pay_by":"2027-02-02T06:00:00Z"},
            "customer":{"email":"a@b.example"}"#,
        );
        assert_eq!(order(saved).unwrap().due, due);
    }

    #[test]
    fn what_is_sent_is_what_the_open_attempt_says_and_nothing_without_one() {
        let opened = |scene: &mut Scene| {
            assert_eq!(scene.payment.money_order(), None);
            let Next::Send(step) = scene.next() else {
                panic!("{:?}", scene.next());
            };
            let number = scene.payment.open(step, scene.now, &scene.policy);
            let order = scene.payment.money_order()?;
            assert_eq!(Some(order.attempt), number);
            assert_eq!(order.payment, *scene.payment.id());
            assert_eq!(order.account.as_str(), "hotel");
            assert_eq!(order.purchase.as_str(), PURCHASE);
            Some(order.call)
        };
        for request in [charge(), by_token("{}")] {
            let mut scene = Scene::new(request, UnknownPolicy::Park);
            scene.show(Standing::Payable);
            let call = opened(&mut scene).unwrap();
            assert!(matches!(&call, MoneyCall::Charge(token) if token.as_str() == TOKEN));
            assert_eq!(call.as_str(), "charge");
        }
        let amount = Amount::new(900).unwrap();
        for (command, call, word) in [
            (capture(900), MoneyCall::Capture(amount), "capture"),
            (Command::Release, MoneyCall::Release, "release"),
        ] {
            let mut scene = held("{}");
            scene.command(command);
            assert_eq!((opened(&mut scene), call.as_str()), (Some(call), word));
        }
        let mut scene = Scene::new(by_checkout("{}"), UnknownPolicy::Park);
        assert_eq!(opened(&mut scene), None, "making a purchase moves no money");
        let mut scene = Scene::new(by_checkout("{}"), UnknownPolicy::Park);
        scene.show(Standing::Payable);
        scene.command(Command::Cancel);
        assert_eq!(opened(&mut scene), Some(MoneyCall::Cancel));
        assert_eq!(MoneyCall::Cancel.as_str(), "cancel");
    }

    /// Opens the charge that is next, has it answered, and tells the key it carried.
    fn charge_answered(scene: &mut Scene, answer: &Answer) -> String {
        while scene.next() == Next::LookUp {
            scene.look(Standing::Payable);
            scene.until_due();
        }
        assert_eq!(scene.next(), Next::Send(Step::Charge));
        let number = scene
            .payment
            .open(Step::Charge, scene.now, &scene.policy)
            .unwrap();
        let key = scene.payment.money_order().unwrap().key;
        scene
            .payment
            .answered(number, answer, scene.now, &scene.policy);
        key
    }

    #[test]
    fn a_repeat_of_an_unknown_charge_carries_the_same_key_and_a_retry_after_a_decline_another() {
        let mut scene = Scene::new(charge(), UnknownPolicy::ResendSame);
        scene.show(Standing::Payable);
        let not_sent = Answer::NotSent {
            why: "refused".into(),
        };
        let declined = Answer::Declined {
            code: "purchase_charge_error".into(),
        };
        let first = charge_answered(&mut scene, &Scene::unknown());
        assert_eq!(first, format!("{}-2", scene.payment.id()));
        scene.pass(QUIET);
        let repeat = charge_answered(&mut scene, &not_sent);
        assert_eq!(repeat, first, "nothing is known of the first");
        scene.until_due();
        let again = charge_answered(&mut scene, &declined);
        assert_eq!(again, first, "the second never left");

        let mut seen = sighting(&scene.payment, Standing::Payable);
        seen.tries
            .push(failed_try(TryKind::Pay, "insufficient_funds"));
        scene.look_at(seen);
        scene.until_due();
        let retry = charge_answered(&mut scene, &Scene::unknown());
        assert_eq!(retry, format!("{}-5", scene.payment.id()));
    }
}
