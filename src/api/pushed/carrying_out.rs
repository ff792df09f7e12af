//! What was read is done: through the same door as what comes over HTTP.

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt as _, StreamExt as _, stream};

use super::Intake;
use super::answer::Answer;
use super::element::{Asked, Element, PushedCommand};
use crate::api::intake::{self, IntakeError, Submitted};
use crate::api::v1::commands::moved;
use crate::api::v1::problem::Problem;
use crate::api::v1::shown::Secrets;
use crate::api::v1::{ProblemCode, shown};
use crate::payment::{Payment, PaymentId, StateName};
use crate::store::StoreError;

/// How many requests are under way at once.
const AT_ONCE: usize = 64;

/// What became of an element.
pub(super) struct Done {
    pub(super) answer: Answer,
    /// Why it goes into quarantine, if it does.
    pub(super) poison: Option<Problem>,
}

/// Why the store did not say what became of an element: nothing after it is done either.
pub(super) type Undone = StoreError;

impl Intake {
    /// Does what the elements ask for, in their order where that can be told: of one payment the
    /// first request wins, and a command comes after all that was pushed before it. Ends at the
    /// first that the store leaves open.
    pub(super) async fn carry_out(&self, elements: &[Element]) -> (Vec<Done>, Option<Undone>) {
        let mut done = Vec::with_capacity(elements.len());
        let mut rest = elements;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(side_by_side(rest));
            let mut doing = Vec::with_capacity(now.len());
            for element in now {
                doing.push(self.carry_out_one(element));
            }
            let results: Vec<_> = stream::iter(doing).buffered(AT_ONCE).collect().await;
            for result in results {
                match result {
                    Ok(one) => done.push(one),
                    Err(undone) => return (done, Some(undone)),
                }
            }
            rest = later;
        }
        (done, None)
    }

    async fn carry_out_one(&self, element: &Element) -> Result<Done, Undone> {
        // Whatever breaks on one element must not keep the others from being taken.
        let caught = AssertUnwindSafe(self.attempt(element)).catch_unwind().await;
        let result = caught.unwrap_or_else(|_| {
            let told = "this version of Holdfast breaks on it; tell an operator";
            Err(Problem::new(ProblemCode::RecordUnreadable, told).into())
        });
        match result {
            Ok(answer) => Ok(Done {
                answer,
                poison: None,
            }),
            Err(Refusal::Poison(problem)) => Ok(Done {
                answer: Answer::refused(&problem, self.clock.now()),
                poison: Some(*problem),
            }),
            Err(Refusal::Decided(problem)) => Ok(Done {
                answer: Answer::refused(&problem, self.clock.now()),
                poison: None,
            }),
            Err(Refusal::Undone(error)) => Err(error),
        }
    }

    async fn attempt(&self, element: &Element) -> Result<Answer, Refusal> {
        match (&element.asked, &element.refused) {
            (Some(Asked::Payment(request)), Some(problem)) => {
                // What was recorded when it was allowed is answered all the same: a refusal would
                // be read as "nothing was done".
                let recorded = intake::recorded(&*self.store, request).await?;
                let known = recorded.ok_or_else(|| Refusal::from(problem.clone()))?;
                Ok(Answer::recorded(
                    &known,
                    element.secrets(),
                    self.clock.now(),
                ))
            }
            (Some(Asked::Command(command)), _) => self.command(element, command).await,
            (None, Some(problem)) => Err(problem.clone().into()),
            (Some(Asked::Payment(request)), None) => {
                let (store, policies) = (&*self.store, &self.policies.get());
                let submitting = intake::submit(store, &self.clock, policies, request.clone());
                let submitted = submitting.await?;
                let payment = submitted.payment();
                tracing::info!(
                    payment.id = %payment.id(),
                    account = %payment.request().account,
                    kid = element.kid(),
                    again = matches!(submitted, Submitted::Existing(_)),
                    "a payment was asked for by a push"
                );
                Ok(Answer::recorded(payment, Secrets::Shown, self.clock.now()))
            }
            (None, None) => {
                let told = "it asks for nothing";
                Err(Problem::new(ProblemCode::InvalidRequest, told).into())
            }
        }
    }

    async fn command(&self, element: &Element, asked: &PushedCommand) -> Result<Answer, Refusal> {
        let PushedCommand {
            account,
            key,
            payment: id,
            command,
            ..
        } = asked;
        let refused = element.refused.as_ref();
        let before = match intake::load(&*self.store, id).await {
            Ok(loaded) if loaded.payment.request().account == *account => loaded.payment,
            Ok(_) | Err(IntakeError::Missing(_)) => return Err(missing(id, refused)),
            Err(error) => return Err(error.into()),
        };
        let mut entries = before.commands().iter();
        let known = entries.any(|entry| entry.key == *key && entry.command == *command);
        // What was recorded when it was allowed is answered as it was then.
        if !known {
            Self::may_command(element, asked, &before)?;
        }
        let what = (id, key, command);
        let policies = self.policies.get();
        let commanding = intake::command(&*self.store, &self.clock, &policies, what);
        let done = commanding.await.map_err(|error| match error {
            IntakeError::Invalid(_) => Problem::from(error).of_command().into(),
            error => Refusal::from(error),
        })?;
        let (told, payment) = (done.answer, &done.payment);
        tracing::info!(payment.id = %id, command = asked.kind.as_str(), kid = element.kid(), ?told, "commanded by a push");
        let secrets = element.secrets();
        match Problem::of_answer(told) {
            None => Ok(Answer::commanded(
                (told, payment),
                secrets,
                self.clock.now(),
            )),
            Some(problem) => {
                // The refusal stands in the payment's record; there is nothing to keep.
                let shown = shown::payment(payment, secrets);
                Err(Refusal::Decided(Box::new(problem.about(shown))))
            }
        }
    }

    /// Whether a command that is new may be given to this payment.
    fn may_command(
        element: &Element,
        asked: &PushedCommand,
        payment: &Payment,
    ) -> Result<(), Problem> {
        if let Some(problem) = &element.refused {
            return Err(problem.clone());
        }
        if let Some(producer) = &element.producer {
            let currency = payment.request().currency();
            producer.may_move(moved(payment, &asked.command), currency)?;
        }
        if payment.state().name() == StateName::Parked {
            let told = "the payment waits for a person: an operator must look at it first";
            return Err(Problem::new(ProblemCode::Parked, told));
        }
        Ok(())
    }
}

/// There is no such payment; or what there was to say before that was known.
fn missing(id: &PaymentId, refused: Option<&Problem>) -> Refusal {
    let told = || IntakeError::Missing(id.clone()).into();
    refused.cloned().map_or_else(told, Refusal::from)
}

/// How many of the elements can be done at once: those up to a command, or to a payment that one
/// of them is about already.
fn side_by_side(elements: &[Element]) -> usize {
    let mut ids: Vec<PaymentId> = Vec::new();
    for (count, element) in elements.iter().enumerate() {
        match &element.asked {
            Some(Asked::Command(_)) => return count.max(1),
            Some(Asked::Payment(request)) => {
                let id = request.payment_id();
                if ids.contains(&id) {
                    return count;
                }
                ids.push(id);
            }
            None => {}
        }
    }
    elements.len()
}

/// Why an element is not recorded.
enum Refusal {
    /// It is refused, and kept for people to look at.
    Poison(Box<Problem>),
    /// It is refused, and that is written in the payment's record.
    Decided(Box<Problem>),
    /// The store did not say; it is tried again.
    Undone(StoreError),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Poison(Box::new(problem))
    }
}

impl From<IntakeError> for Refusal {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Store(StoreError::Refused(why)) if !is_about_one(&why) => {
                Self::Undone(StoreError::Refused(why))
            }
            IntakeError::Store(error @ StoreError::Unavailable(_)) => Self::Undone(error),
            // What changes all the time is tried again with the next portion.
            IntakeError::Busy(id) => {
                Self::Undone(StoreError::Unavailable(format!("{id} changes too quickly")))
            }
            IntakeError::Store(StoreError::Refused(why)) => {
                tracing::error!(why, "what stands at a payment's key is no payment");
                let told = "what stands in Redis for this payment cannot be read; tell an operator";
                Problem::new(ProblemCode::RecordUnreadable, told).into()
            }
            error => Problem::from(error).into(),
        }
    }
}

/// Whether Redis refused because of what stands at one key, rather than for a reason that holds for
/// all: memory, rights, a full disk.
fn is_about_one(why: &str) -> bool {
    why.starts_with("WRONGTYPE ")
}

impl Element {
    /// What an answer shows: links and tokens are for whoever was let in.
    const fn secrets(&self) -> Secrets {
        match (&self.refused, &self.producer) {
            (Some(_), None) => Secrets::Left,
            _ => Secrets::Shown,
        }
    }

    fn kid(&self) -> Option<&str> {
        self.kid.as_ref().map(crate::api::KeyName::as_str)
    }
}
