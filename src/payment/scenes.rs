//! What the tests of this module start from: a policy, requests, sightings.

use std::cell::Cell;

use chrono::TimeDelta;

use super::*;

pub(super) const MINUTE: TimeDelta = TimeDelta::minutes(1);
pub(super) const QUIET: TimeDelta = TimeDelta::minutes(15);

pub(super) fn start() -> Timestamp {
    "2027-01-31T06:00:00Z".parse().unwrap()
}

fn ladder(delays_ms: &[u64], give_up_after_ms: u64) -> Ladder {
    Ladder {
        delays_ms: delays_ms.to_vec(),
        jitter_percent: 20,
        give_up_after_ms,
    }
}

const DAY: u64 = 86_400_000;

pub(super) fn policy(unknown: UnknownPolicy) -> Policy {
    use Advice::{InDoubt, Later, NeedsCustomer, NeedsOperator, Never};
    let codes = [
        ("insufficient_funds", Later),
        ("expired_card", NeedsCustomer),
        ("stolen_card", Never),
        ("invalid_recurring_token", Never),
        ("acquirer_configuration_error", NeedsOperator),
        ("timeout", InDoubt),
    ];
    Policy {
        account: AccountFacts {
            brand: "brand".into(),
            test: true,
            hold_lifetime_ms: 6 * DAY,
            largest_amount_minor: None,
        },
        quiet_ms: 900_000,
        unknown,
        lookup: ladder(
            &[2_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000],
            DAY,
        ),
        technical: ladder(&[1_000, 5_000, 30_000, 300_000], DAY),
        business: ladder(&[DAY, 2 * DAY, 2 * DAY], 10 * DAY),
        payer: ladder(&[15_000, 60_000, 300_000], DAY),
        parked_look_every_ms: DAY,
        link_lifetime_ms: 3_600_000,
        link_grace_ms: 120_000,
        purchase_lifetime_ms: 7 * DAY,
        expiry_margin_ms: DAY,
        before_expiry: BeforeExpiry::Release,
        retry_after_cap_ms: 60_000,
        poison_claims: 10,
        declines: DeclineTable {
            as_of: "2026-11-23".into(),
            default: Never,
            codes: codes
                .into_iter()
                .map(|(code, advice)| (code.to_owned(), advice))
                .collect(),
        },
    }
}

pub(super) const TOKEN: &str = "5a9e3c1c-0000-4000-8000-000000000001";
pub(super) const PURCHASE: &str = "5a9e3c1c-0000-4000-8000-000000000002";

pub(super) fn request(body: &str) -> Request {
    let json = format!(r#"{{"v":1,"account":"hotel","idempotency_key":"k1",{body}}}"#);
    Request::from_json(json.as_bytes()).unwrap()
}

pub(super) fn charge() -> Request {
    request(&format!(
        r#""type":"charge","money":{{"amount":1500,"currency":"MYR"}},"token":"{TOKEN}",
        "customer":{{"email":"a@b.example"}}"#
    ))
}

pub(super) fn authorize(source: &str, plan: &str) -> Request {
    request(&format!(
        r#""type":"authorize","money":{{"amount":1500,"currency":"MYR"}},"source":{source},
        "plan":{plan},"customer":{{"email":"a@b.example"}}"#
    ))
}

pub(super) fn by_checkout(plan: &str) -> Request {
    authorize(r#"{"checkout":{}}"#, plan)
}

pub(super) fn by_token(plan: &str) -> Request {
    authorize(&format!(r#"{{"token":"{TOKEN}"}}"#), plan)
}

pub(super) fn save_card() -> Request {
    request(r#""type":"save_card","customer":{"email":"a@b.example"}"#)
}

pub(super) fn adopt() -> Request {
    request(&format!(
        r#""type":"adopt","purchase":"{PURCHASE}","money":{{"amount":1500,"currency":"MYR"}}"#
    ))
}

/// The payment's purchase as an honest gateway would show it.
pub(super) fn sighting(payment: &Payment, standing: Standing) -> Sighting {
    let money = payment.request().money();
    let taken = payment
        .money_to_take()
        .filter(|_| standing == Standing::Paid)
        .map(|money| Taken {
            amount: money.amount.minor(),
            currency: money.currency.as_str().to_owned(),
        });
    Sighting {
        purchase: PurchaseId::new(PURCHASE).unwrap(),
        card: (standing == Standing::CardSaved).then(|| CardToken::new(PURCHASE).unwrap()),
        face: None,
        standing,
        by_hand: false,
        total: money.map_or(0, |money| money.amount.minor()),
        currency: "MYR".into(),
        converted: false,
        brand: "brand".into(),
        test: true,
        reference: payment.id().to_string(),
        taken,
        tries: Vec::new(),
        held_since: None,
        due: Some(payment.created_at() + TimeDelta::hours(1)),
        links: Links::default(),
    }
}

pub(super) fn failed_try(kind: TryKind, code: &str) -> Try {
    Try {
        kind,
        successful: false,
        code: Some(code.to_owned()),
    }
}

pub(super) fn rerun() -> Command {
    Command::Rerun {
        reason: "x".into(),
        actor: "y".into(),
    }
}

pub(super) fn capture(amount: u64) -> Command {
    Command::Capture {
        amount: Amount::new(amount).ok(),
    }
}

/// A charge whose purchase was made, and which is next.
pub(super) fn charged(unknown: UnknownPolicy) -> Scene {
    let mut scene = Scene::new(charge(), unknown);
    scene.show(Standing::Payable);
    scene
}

/// A hold on a saved card.
pub(super) fn held(plan: &str) -> Scene {
    let mut scene = Scene::new(by_token(plan), UnknownPolicy::Park);
    scene.show(Standing::Payable);
    scene.show(Standing::Held);
    assert_eq!(scene.state(), StateName::Held);
    scene
}

/// A look-up, which must be what is next, that comes to nothing.
pub(super) fn failed_get(scene: &mut Scene) {
    assert_eq!(scene.next(), Next::LookUp);
    let failed = LookUp::Failed {
        why: "time-out".into(),
        denied: Denial::No,
        retry_after_ms: None,
    };
    scene.payment.looked_up(&failed, scene.now, &scene.policy);
}

/// How the last attempt ended.
pub(super) fn last_verdict(scene: &Scene) -> Option<&Verdict> {
    let last = scene.payment.attempts().last()?;
    last.closed.as_ref().map(|closed| &closed.verdict)
}

/// How long until the payment is due.
pub(super) fn wait(scene: &Scene) -> TimeDelta {
    scene.payment.due(scene.now, &scene.policy).unwrap() - scene.now
}

/// A payment being played through: its clock, and the gateway's answers chosen by the test.
pub(super) struct Scene {
    pub payment: Payment,
    pub policy: Policy,
    pub now: Timestamp,
    /// How often the test asked what is next; one that goes round in circles ends.
    asked: Cell<u32>,
}

impl Scene {
    pub(super) fn new(request: Request, unknown: UnknownPolicy) -> Self {
        let now = start();
        Self {
            payment: Payment::new(request, now).unwrap(),
            policy: policy(unknown),
            now,
            asked: Cell::new(0),
        }
    }

    pub(super) fn next(&self) -> Next {
        self.count();
        self.payment.next(self.now, &self.policy)
    }

    fn count(&self) {
        self.asked.update(|times| times + 1);
        assert!(self.asked.get() < 10_000, "it goes round in circles");
    }

    pub(super) fn state(&self) -> StateName {
        self.payment.state().name()
    }

    pub(super) fn pass(&mut self, time: TimeDelta) {
        self.now += time;
    }

    /// Moves the clock to when the payment is due.
    pub(super) fn until_due(&mut self) {
        self.count();
        if let Some(due) = self.payment.due(self.now, &self.policy) {
            self.now = self.now.max(due);
        }
    }

    /// Sends what is next, and has it answered.
    pub(super) fn answer(&mut self, answer: &Answer) -> Step {
        let Next::Send(step) = self.next() else {
            panic!("nothing to send: {:?}", self.next());
        };
        let number = self.payment.open(step, self.now, &self.policy).unwrap();
        self.payment
            .answered(number, answer, self.now, &self.policy);
        step
    }

    pub(super) fn shown(&self, standing: Standing) -> Answer {
        Answer::Shown(Box::new(sighting(&self.payment, standing)))
    }

    /// Sends what is next and has it answered with the purchase.
    pub(super) fn show(&mut self, standing: Standing) -> Step {
        let answer = self.shown(standing);
        self.answer(&answer)
    }

    /// Looks up, which must be what is next, and is shown the purchase.
    pub(super) fn look(&mut self, standing: Standing) {
        let seen = sighting(&self.payment, standing);
        self.look_at(seen);
    }

    pub(super) fn look_at(&mut self, seen: Sighting) {
        assert_eq!(self.next(), Next::LookUp, "at {:?}", self.payment);
        self.payment
            .looked_up(&LookUp::Shown(Box::new(seen)), self.now, &self.policy);
    }

    pub(super) fn settle(&mut self) {
        let Next::Settle(event) = self.next() else {
            panic!("nothing to settle: {:?}", self.next());
        };
        self.payment.settled(event, self.now, &self.policy);
    }

    pub(super) fn command(&mut self, command: Command) -> CommandAnswer {
        let key = format!("c{}", self.payment.commands().len());
        let key = IdempotencyKey::new(key).unwrap();
        self.payment.command(key, command, self.now).unwrap()
    }

    pub(super) fn unknown() -> Answer {
        Answer::Unknown {
            why: "time-out".into(),
        }
    }
}
