//! One delivery: take an event, send it, settle what became of it.

use super::{Endpoint, Message, Outbox, Outcome, alarm};
use crate::payment::millis;
use crate::store::{Mark, Outgoing, Owned, Sends, StoreError};

/// What a lease is longer than a delivery may take, in milliseconds: for the writes around it.
const MARGIN_MS: u64 = 15_000;
/// Who disables an endpoint when nobody did.
const WORKER: &str = "worker";

/// What is true of an event after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It was accepted, and is pending no more.
    Delivered,
    /// It is tried again.
    Waits,
    /// It waits until somebody enables the endpoint again.
    Disabled,
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
        self.settle(endpoint, event, outcome).await
    }

    /// Sends an event, once. Whoever stood still since it was taken sends nothing: by now it may be
    /// somebody else's, and the next one be delivered.
    pub async fn send(&self, endpoint: &Endpoint, event: &Outgoing) -> Outcome {
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
        let (name, id) = (&endpoint.name, event.head.id());
        match outcome {
            Outcome::Accepted => {
                self.store.delivered(event).await?;
                tracing::debug!(endpoint = %name, event.id = id, "an event was delivered");
                Ok(Settled::Delivered)
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
            Outcome::Failed { why, wait_ms } => {
                let (tries, now) = (event.tries + 1, self.clock.now());
                let payment = &event.head.payment;
                tracing::warn!(
                    endpoint = %name, payment.id = %payment, event.id = id, tries, why,
                    "an event was not accepted"
                );
                let next = self.settings.schedule.next(tries, wait_ms, &id, now);
                let Some(due) = next else {
                    let why = format!("{id} was tried {tries} times in vain; at last: {why}");
                    return self.disable(endpoint, event, &why).await;
                };
                self.store.postpone(event, due, tries).await?;
                Ok(Settled::Waits)
            }
        }
    }

    /// Sends nothing more to an endpoint until a person says so; the event stays where it is.
    async fn disable(
        &self,
        endpoint: &Endpoint,
        event: &Outgoing,
        why: &str,
    ) -> Result<Settled, StoreError> {
        let now = self.clock.now();
        // What another has by now, or a person had tried anew, is no reason any more.
        if self.store.postpone(event, now, event.tries).await? == Owned::NoMore {
            return Ok(Settled::Waits);
        }
        let marks = self.store.marks().await?;
        if !marks.get(&endpoint.name).is_some_and(super::is_off) {
            let mark = Mark {
                sends: Sends::Disabled,
                at: now,
                why: why.to_owned(),
                by: WORKER.to_owned(),
            };
            self.store.set_mark(&endpoint.name, &mark).await?;
            alarm(endpoint, &mark);
        }
        Ok(Settled::Disabled)
    }
}

/// Longer than a delivery and the writes around it may take.
fn lease_ms(endpoint: &Endpoint) -> u64 {
    let timeout = u64::try_from(endpoint.timeout.as_millis()).unwrap_or(u64::MAX);
    timeout.saturating_add(MARGIN_MS)
}
