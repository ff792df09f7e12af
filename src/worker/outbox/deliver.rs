//! One delivery: take an event, send it, settle what became of it.

use chrono::TimeDelta;

use super::{Endpoint, Message, Outbox, Outcome, alarm, is_off};
use crate::payment::millis;
use crate::store::{Decided, Mark, Outgoing, Owned, Sends, StoreError};

/// What a lease is longer than a delivery may take, in milliseconds: for the writes around it.
const MARGIN_MS: u64 = 15_000;
/// By then it is written that an endpoint is disabled; whoever enables it has all of its events sent at once.
const MARKED_WITHIN: TimeDelta = TimeDelta::seconds(10);
/// Who disables an endpoint when nobody did.
const WORKER: &str = "worker";

/// What is true of an event after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It was accepted, and is pending no more.
    Delivered,
    /// The endpoint does not want it any more, and it is pending no more.
    Unwanted,
    /// It is tried again.
    Waits,
    /// It is tried again, and somebody must look after it: others are accepted, and it is not.
    Stuck,
    /// It waits until somebody enables the endpoint again.
    Disabled,
}

impl Settled {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Unwanted => "unwanted",
            Self::Waits => "waits",
            Self::Stuck => "stuck",
            Self::Disabled => "disabled",
        }
    }
}

impl Outbox {
    /// Takes events that are due for an endpoint, up to `slots`, never two of one payment.
    pub async fn take(
        &self,
        endpoint: &Endpoint,
        slots: usize,
    ) -> Result<Vec<Outgoing>, StoreError> {
        if slots == 0 {
            return Ok(Vec::new());
        }
        self.store
            .take_events(&endpoint.name, slots, lease_ms(endpoint))
            .await
    }

    /// Sends an event and settles it.
    pub async fn deliver(
        &self,
        endpoint: &Endpoint,
        event: &Outgoing,
    ) -> Result<Settled, StoreError> {
        let outcome = self.send(endpoint, event).await;
        let settled = self.settle(endpoint, event, outcome).await?;
        (self.metrics).delivered(endpoint.name.as_str(), settled.as_str());
        Ok(settled)
    }

    /// Sends an event, once. Whoever stood still since it was taken sends nothing: by now it may be
    /// somebody else's, and the next one be delivered. What was copied by another filter than that of
    /// today is sent to nobody.
    pub async fn send(&self, endpoint: &Endpoint, event: &Outgoing) -> Outcome {
        if !endpoint.wants(&event.head) {
            return Outcome::Unwanted;
        }
        let now = self.clock.now();
        if now - event.taken_at >= millis(MARGIN_MS / 2) {
            return Outcome::TooLate;
        }
        let message = Message::of(event);
        let headers = message.headers(endpoint, now);
        let posted = self
            .poster
            .post(
                endpoint.url.reveal(),
                &headers,
                message.body,
                endpoint.timeout,
            )
            .await;
        Outcome::of(&posted)
    }

    /// Writes down what became of a try.
    pub async fn settle(
        &self,
        endpoint: &Endpoint,
        event: &Outgoing,
        outcome: Outcome,
    ) -> Result<Settled, StoreError> {
        match outcome {
            Outcome::Accepted => {
                self.store.delivered(event).await?;
                tracing::debug!(endpoint = %endpoint.name, event.id = event.id(), "an event was delivered");
                Ok(Settled::Delivered)
            }
            Outcome::Unwanted => {
                self.store.unwanted(event).await?;
                tracing::info!(
                    endpoint = %endpoint.name, event.id = event.id(),
                    "an event is not sent: by the settings of now it is not wanted"
                );
                Ok(Settled::Unwanted)
            }
            Outcome::Gone => {
                self.disable(endpoint, event, "it answered 410: it is gone")
                    .await
            }
            Outcome::TooLate => {
                let now = self.clock.now();
                self.store.postpone(event, now, event.tries).await?;
                Ok(Settled::Waits)
            }
            Outcome::Failed { why, wait_ms } => self.failed(endpoint, event, (&why, wait_ms)).await,
        }
    }

    async fn failed(
        &self,
        endpoint: &Endpoint,
        event: &Outgoing,
        (why, wait_ms): (&str, Option<u64>),
    ) -> Result<Settled, StoreError> {
        let (tries, now, id) = (event.tries + 1, self.clock.now(), event.id());
        let (name, payment) = (&endpoint.name, &event.head.payment);
        tracing::warn!(
            endpoint = %name, payment.id = %payment, event.id = id, tries, why,
            "an event was not accepted"
        );
        let schedule = &self.settings.schedule;
        if let Some(due) = schedule.next(tries, wait_ms, &id, now) {
            self.store.postpone(event, due, tries).await?;
            return Ok(Settled::Waits);
        }
        let why = format!("{id} was tried {tries} times in vain; at last: {why}");
        let accepted = self.store.accepted_at(name).await?;
        let first = event.first_tried_at.unwrap_or(event.taken_at);
        let last_rung = schedule.next(event.tries, wait_ms, &id, now);
        let Some(due) = last_rung.filter(|_| accepted.is_some_and(|at| at > first)) else {
            return self.disable(endpoint, event, &why).await;
        };
        // Others were accepted meanwhile: it is this event that the endpoint cannot take.
        self.store.postpone(event, due, event.tries).await?;
        tracing::error!(
            event = "event_stuck", endpoint = %name, payment.id = %payment, event.id = id, why,
            "this endpoint accepts other events and not this one, which is tried on, and the payment's \
             next ones wait for it: mend the receiver, or `holdfast events skip --endpoint {name} \
             --id {id} --reason \"…\"`"
        );
        Ok(Settled::Stuck)
    }

    /// Sends nothing more to an endpoint until a person says so; the event stays where it is.
    async fn disable(
        &self,
        endpoint: &Endpoint,
        event: &Outgoing,
        why: &str,
    ) -> Result<Settled, StoreError> {
        let now = self.clock.now();
        // What another has by now is no reason any more. Given back for at once, it would be sent once
        // more before the mark is written.
        let later = now + MARKED_WITHIN;
        if self.store.postpone(event, later, event.tries).await? == Owned::NoMore {
            return Ok(Settled::Waits);
        }
        // Nor is what an address says that was replaced.
        if !self.still_serves(endpoint) {
            self.store.try_anew(event).await?;
            return Ok(Settled::Waits);
        }
        let mark = Mark {
            sends: Sends::Disabled,
            at: now,
            why: why.to_owned(),
            by: WORKER.to_owned(),
            address: Some(endpoint.address()),
        };
        match self.store.decide_after(event, &mark).await? {
            Decided::Now => {
                alarm(endpoint, &mark);
                // Whoever sends to another address by now need not wait.
                self.store.try_anew(event).await?;
                Ok(Settled::Disabled)
            }
            // Another delivery did the same, or a person had all of it tried anew.
            Decided::Before => {
                let marks = self.store.marks().await?;
                if marks
                    .get(&endpoint.name)
                    .is_some_and(|mark| is_off(endpoint, mark))
                {
                    return Ok(Settled::Disabled);
                }
                self.store.try_anew(event).await?;
                Ok(Settled::Waits)
            }
        }
    }
}

/// Longer than a delivery and the writes around it may take.
fn lease_ms(endpoint: &Endpoint) -> u64 {
    let timeout = u64::try_from(endpoint.timeout.as_millis()).unwrap_or(u64::MAX);
    timeout.saturating_add(MARGIN_MS)
}
