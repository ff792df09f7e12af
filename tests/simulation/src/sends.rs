//! What leaves for the gateway, judged by what whoever sends it can have known: not by what it wrote
//! down, and not by what came of it. A gateway that is kind forgives a call too many; this does not.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chip_sandbox::Engine;
use holdfast::payment::{
    AnswerClass, Ask, MoneyCall, MoneyOrder, Payment, PaymentId, UnknownPolicy,
};
use uuid::Uuid;

use crate::oracle::SKEW_MS;
use crate::policy::QUIET_MS;
use crate::world::World;

/// So long after its note a call may leave.
const LEAVES_WITHIN_MS: i64 = 30_000;

/// All that was sent, and what was heard of it.
#[derive(Default)]
pub(crate) struct Sends {
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    sent: BTreeMap<PaymentId, Vec<Sent>>,
    licensed_ms: BTreeMap<(PaymentId, u32), i64>,
}

/// A call that left.
struct Sent {
    attempt: u32,
    step: Step,
    at_ms: i64,
    heard: Option<AnswerClass>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Charge,
    Capture,
    Release,
    Cancel,
}

impl Step {
    const fn of(call: &MoneyCall) -> Self {
        match call {
            MoneyCall::Charge(_) => Self::Charge,
            MoneyCall::Capture(_) => Self::Capture,
            MoneyCall::Release => Self::Release,
            MoneyCall::Cancel => Self::Cancel,
        }
    }

    /// Under which types the gateway lists tries at it.
    const fn listed_as(self) -> &'static [&'static str] {
        match self {
            Self::Charge => &["recurring_execute"],
            Self::Capture => &["capture"],
            Self::Release => &["release"],
            Self::Cancel => &[],
        }
    }
}

impl Sent {
    /// Whether it may have done something, for all that was heard.
    const fn may_have_acted(&self) -> bool {
        !matches!(
            self.heard,
            Some(
                AnswerClass::NotSent
                    | AnswerClass::NoEffect
                    | AnswerClass::Conflict
                    | AnswerClass::RateLimited
            )
        )
    }

    /// Whether nobody was told what it did.
    const fn is_unheard(&self) -> bool {
        matches!(
            self.heard,
            None | Some(AnswerClass::Unknown | AnswerClass::InDoubt | AnswerClass::Pending)
        )
    }
}

/// What a call is judged by, besides those before it.
struct Scene<'a> {
    world: &'a World,
    order: &'a MoneyOrder,
    now_ms: i64,
}

impl Sends {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A note was written.
    pub(crate) fn licensed(&self, payment: &Payment, now_ms: i64) {
        let open = payment.open_attempt().map(|open| open.number);
        let key = open.map(|number| (payment.id().clone(), number));
        if let Some(key) = key {
            self.book().licensed_ms.insert(key, now_ms);
        }
    }

    /// What was answered to the last call of that attempt.
    pub(crate) fn heard(&self, order: &MoneyOrder, class: AnswerClass) {
        let mut book = self.book();
        let sent = book.sent.entry(order.payment.clone()).or_default();
        let of_it = sent.iter_mut().rev().find(|s| s.attempt == order.attempt);
        if let Some(sent) = of_it {
            sent.heard = Some(class);
        }
    }

    /// Judges a call that is about to leave, and takes note of it.
    pub(crate) fn leave(&self, world: &World, order: &MoneyOrder) {
        let scene = Scene {
            world,
            order,
            now_ms: world.now_ms(),
        };
        let step = Step::of(&order.call);
        let wrong = {
            let mut book = self.book();
            let noted_ms = book
                .licensed_ms
                .get(&(order.payment.clone(), order.attempt));
            let late = noted_ms.is_none_or(|ms| scene.now_ms - ms > LEAVES_WITHIN_MS + SKEW_MS);
            let before = book.sent.entry(order.payment.clone()).or_default();
            let mut wrong = scene.problems(step, before);
            wrong.extend(late.then_some("long after it was noted"));
            before.push(Sent {
                attempt: order.attempt,
                step,
                at_ms: scene.now_ms,
                heard: None,
            });
            wrong
        };
        let number = world.number(&order.payment);
        for wrong in wrong {
            let call = order.call.as_str();
            world.problem(&format!("p{number:02}: {call} is sent {wrong}"));
        }
    }
}

impl Scene<'_> {
    fn problems(&self, step: Step, before: &[Sent]) -> Vec<&'static str> {
        let mut problems = Vec::new();
        if before.iter().any(|sent| sent.attempt == self.order.attempt) {
            problems.push("twice under one note");
        }
        problems.extend(self.forbidden());
        match step {
            Step::Charge => {
                problems.extend(self.after_the_end());
                problems.extend(self.again(Step::Charge, before));
                problems.extend(self.too_late());
            }
            Step::Capture => {
                problems.extend(self.after_the_end());
                problems.extend(self.again(Step::Capture, before));
                let released = self.is_undecided(Step::Release, before);
                problems.extend(released.then_some("after a release"));
            }
            Step::Release => {
                let captured = self.is_undecided(Step::Capture, before);
                problems.extend(captured.then_some("after a capture"));
            }
            Step::Cancel => {}
        }
        problems
    }

    /// A call that takes money, where one before it has left no trace: it may be on its way.
    fn again(&self, step: Step, before: &[Sent]) -> Option<&'static str> {
        let tries = self.tries(step);
        let of_step: Vec<&Sent> = before.iter().filter(|sent| sent.step == step).collect();
        // As many tries are listed since it was sent as calls were made that may be among them.
        let is_traced = |place: usize, sent: &Sent| {
            let later = of_step.iter().skip(place);
            let acted = later.filter(|sent| sent.may_have_acted()).count();
            let since = |(at_s, _): &&(i64, bool)| *at_s >= sent.at_ms.div_euclid(1_000);
            tries.iter().filter(since).count() >= acted
        };
        let open = of_step.iter().enumerate();
        let mut open = open.filter(|(place, sent)| sent.is_unheard() && !is_traced(*place, sent));
        match self.unknown_policy() {
            UnknownPolicy::Park => open
                .next()
                .map(|_| "though nobody knows of the one before it"),
            UnknownPolicy::ResendSame => {
                let quiet = i64::try_from(QUIET_MS).unwrap_or(i64::MAX);
                let soon = |(_, sent): (usize, &&Sent)| self.now_ms - sent.at_ms + SKEW_MS < quiet;
                open.any(soon)
                    .then_some("while the one before it may be on its way")
            }
        }
    }

    /// Whether a call of that step was sent and is not known to have failed.
    fn is_undecided(&self, step: Step, before: &[Sent]) -> bool {
        let acted = before
            .iter()
            .filter(|sent| sent.step == step && sent.may_have_acted());
        let failed = self.tries(step).into_iter().filter(|(_, failed)| *failed);
        acted.count() > failed.count()
    }

    /// The tries at it that the gateway lists.
    fn tries(&self, step: Step) -> Vec<(i64, bool)> {
        let Ok(purchase) = self.order.purchase.as_str().parse::<Uuid>() else {
            return Vec::new();
        };
        let list = |engine: &mut Engine, _| engine.tries_of(purchase, step.listed_as());
        self.world.engine(list)
    }

    fn unknown_policy(&self) -> UnknownPolicy {
        let policy = self.world.policies.get(&self.order.account);
        policy.map_or(UnknownPolicy::Park, |policy| policy.unknown)
    }

    fn stored(&self) -> Option<Payment> {
        self.world.store.stored(&self.order.payment)
    }

    fn forbidden(&self) -> Option<&'static str> {
        let payment = self.stored()?;
        self.world.halts.forbid(&payment, self.order)
    }

    fn after_the_end(&self) -> Option<&'static str> {
        let ended = self.stored().is_some_and(|payment| payment.is_finished());
        ended.then_some("after the payment has ended")
    }

    fn too_late(&self) -> Option<&'static str> {
        let payment = self.stored()?;
        let Ask::Charge(ask) = &payment.request().ask else {
            return None;
        };
        let end_ms = ask.not_after?.timestamp_millis();
        (self.now_ms > end_ms + SKEW_MS).then_some("after the time for it is over")
    }
}
