//! What was read is done: through the same door as what comes over HTTP.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use super::Intake;
use super::answer::{Answer, brief};
use super::element::{Asked, Element, PushedCommand};
use crate::api::intake::{self, Given, IntakeError, Submitted};
use crate::api::v1::ProblemCode;
use crate::api::v1::commands::moved;
use crate::api::v1::problem::Problem;
use crate::api::v1::shown::Secrets;
use crate::payment::{Payment, PaymentId, StateName};
use crate::store::StoreError;
use crate::store::audit::{ActorKind, Mandate, Via};

/// How many requests are under way at once.
const AT_ONCE: usize = 64;
/// How long a portion may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What became of an element.
pub(super) struct Done {
    pub(super) answer: Answer,
    /// Why it goes into quarantine, if it does.
    pub(super) poison: Option<Problem>,
}

/// Why it is open what became of an element: it stays where it is.
struct Undone {
    error: StoreError,
    others: Others,
}

/// What one that stays open says of the others.
enum Others {
    /// Nothing, unless they are about the same payment.
    GoOn,
    /// There is no room for more payments. Commands need next to none.
    NoRoom,
    /// The store is away.
    Wait,
}

/// What stays where it is, and what has to wait for it.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// How many elements.
    pub(super) left: usize,
    /// Why the first one does.
    pub(super) error: Option<StoreError>,
    /// What is pushed later for these payments waits, so that it comes later.
    payments: HashSet<PaymentId>,
    no_room: bool,
    /// Whether there is no use in reading on.
    pub(super) away: bool,
}

impl Behind {
    fn holds(&self, element: &Element) -> bool {
        let waits = |id| self.away || self.payments.contains(id);
        match &element.asked {
            None => false,
            Some(Asked::Payment(request)) => self.no_room || waits(&request.payment_id()),
            Some(Asked::Command(command)) => waits(&command.payment),
        }
    }

    fn note(&mut self, element: &Element, undone: Option<Undone>) {
        self.left += 1;
        match &element.asked {
            None => {}
            Some(Asked::Payment(request)) => {
                self.payments.insert(request.payment_id());
            }
            Some(Asked::Command(command)) => {
                self.payments.insert(command.payment.clone());
            }
        }
        if let Some(Undone { error, others }) = undone {
            self.no_room |= matches!(others, Others::NoRoom);
            self.away |= matches!(others, Others::Wait);
            self.error.get_or_insert(error);
        }
    }
}

impl Intake {
    /// Does what the elements ask for, in their order where that can be told: of one payment the
    /// first request wins, and a command comes after all that was pushed before it. `None` for what
    /// stays where it is, because the store leaves it open, or because it is behind another that
    /// does.
    pub(super) async fn carry_out(
        &self,
        elements: &[Element],
        behind: &mut Behind,
    ) -> Vec<Option<Done>> {
        let until = Instant::now() + PATIENCE;
        let mut done = Vec::with_capacity(elements.len());
        let mut rest = elements;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(side_by_side(rest));
            let mut doing = Vec::with_capacity(now.len());
            for element in now {
                doing.push(self.unless_it_waits(element, behind.holds(element), until));
            }
            let results: Vec<_> = stream::iter(doing).buffered(AT_ONCE).collect().await;
            for (element, result) in now.iter().zip(results) {
                match result {
                    Ok(one) => done.push(Some(one)),
                    Err(undone) => {
                        behind.note(element, undone);
                        done.push(None);
                    }
                }
            }
            rest = later;
        }
        done
    }

    /// Leaves open what is not done in time: the lease must outlast it.
    async fn unless_it_waits(
        &self,
        element: &Element,
        waits: bool,
        until: Instant,
    ) -> Result<Done, Option<Undone>> {
        if waits {
            return Err(None);
        }
        match timeout_at(until, self.carry_out_one(element)).await {
            Ok(done) => done.map_err(Some),
            Err(_) => Err(Some(Undone {
                error: StoreError::Unavailable(format!("it was not done within {PATIENCE:?}")),
                others: Others::Wait,
            })),
        }
    }

    async fn carry_out_one(&self, element: &Element) -> Result<Done, Undone> {
        // Whatever breaks on one element must not keep the others from being taken.
        let caught = AssertUnwindSafe(self.attempt(element)).catch_unwind().await;
        let result = caught.unwrap_or_else(|_| Err(Element::breaks().into()));
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
            Err(Refusal::Undone(undone)) => Err(undone),
        }
    }

    async fn attempt(&self, element: &Element) -> Result<Answer, Refusal> {
        match (&element.asked, &element.refused) {
            (Some(Asked::Payment(request)), Some(problem)) => {
                // What was recorded when it was allowed is answered all the same: a refusal would
                // be read as "nothing was done".
                let recorded = intake::recorded(&*self.store, request).await?;
                let known = recorded.ok_or_else(|| Refusal::from(problem.clone()))?;
                // Links and tokens are for whoever may ask for them today.
                Ok(Answer::recorded(&known, Secrets::Left, self.clock.now()))
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
        // What was recorded when it was allowed is answered as it was then.
        if !before.was_given(key, command) {
            Self::may_command(element, asked, &before)?;
        }
        let by = Mandate::new(
            ActorKind::Producer,
            element.kid().unwrap_or("unsigned"),
            Via::Intake,
        );
        let what = Given {
            to: id,
            key,
            command,
            by: &by,
        };
        let policies = self.policies.get();
        let judge = |payment: &Payment| Self::may_command(element, asked, payment);
        let commanding = intake::command_if(&*self.store, &self.clock, &policies, what, &judge);
        let done = commanding.await.map_err(|error| match error {
            IntakeError::Invalid(_) => Problem::from(error).of_command().into(),
            error => Refusal::from(error),
        })??;
        let (told, payment) = (done.answer, &done.payment);
        tracing::info!(payment.id = %id, command = asked.kind.as_str(), kid = element.kid(), ?told, "commanded by a push");
        match Problem::of_answer(told) {
            None => Ok(Answer::commanded(told, payment, self.clock.now())),
            Some(problem) => {
                // The refusal stands in the payment's record; there is nothing to keep.
                let shown = brief(payment, Secrets::Left);
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
    Undone(Undone),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Poison(Box::new(problem))
    }
}

impl From<IntakeError> for Refusal {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Store(error) if error.is_about_one() => Problem::from(error).into(),
            IntakeError::Store(StoreError::Refused(why)) => {
                let others = if why.starts_with("OOM ") {
                    Others::NoRoom
                } else {
                    Others::GoOn
                };
                let error = StoreError::Refused(why);
                Self::Undone(Undone { error, others })
            }
            IntakeError::Store(error @ StoreError::Unavailable(_)) => Self::Undone(Undone {
                error,
                others: Others::Wait,
            }),
            // What changes all the time is tried again in the next round.
            IntakeError::Store(error @ StoreError::Busy(_)) => Self::Undone(Undone {
                error,
                others: Others::GoOn,
            }),
            IntakeError::Busy(id) => Self::Undone(Undone {
                error: StoreError::Busy(id.to_string()),
                others: Others::GoOn,
            }),
            error => Problem::from(error).into(),
        }
    }
}

impl Element {
    fn kid(&self) -> Option<&str> {
        self.kid.as_ref().map(crate::api::KeyName::as_str)
    }
}
