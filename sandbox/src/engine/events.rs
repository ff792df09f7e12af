//! Events on their way to webhooks and success callbacks: in order for each object, with the
//! gateway's schedule of retries.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use super::Engine;
use super::route::Operation;
use super::timer::Timer;
use super::view;
use crate::fault::{Chosen, Effect, Facts};
use crate::ledger::DeliveryRow;

/// How often a delivery is tried in all.
const ATTEMPTS: u32 = 8;
const MINUTE_MS: i64 = 60_000;

/// A webhook or callback to send now.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its number, for [`Engine::delivered`].
    pub id: u64,
    /// Where to.
    pub url: Arc<str>,
    /// The event.
    pub event: &'static str,
    /// Which object it is about.
    pub object_id: Uuid,
    /// The body, byte for byte the same at every try.
    pub body: Arc<str>,
    /// Which try, from 1.
    pub attempt: u32,
    pub(crate) key: u32,
}

impl Delivery {
    /// The value of `X-Signature`.
    #[must_use]
    pub fn signature(&self) -> String {
        crate::signature::sign(self.key, self.body.as_bytes())
    }
}

struct Target {
    url: Arc<str>,
    key: u32,
}

struct Event {
    name: &'static str,
    object: Uuid,
    purchase: Uuid,
    body: Arc<str>,
    targets: Vec<Target>,
    open: usize,
}

struct Try {
    delivery: Delivery,
    plan: Plan,
}

/// When a delivery is first tried, and what waits for it.
struct Plan {
    first_ms: i64,
    is_blocking: bool,
    faults: Vec<&'static str>,
}

/// The events that are not delivered yet.
#[derive(Default)]
pub(crate) struct Events {
    queues: HashMap<Uuid, VecDeque<Event>>,
    tries: HashMap<u64, Try>,
    outbox: Vec<Delivery>,
    made: u64,
}

impl Events {
    pub(crate) fn has_outbox(&self) -> bool {
        !self.outbox.is_empty()
    }

    pub(crate) fn take_outbox(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.outbox)
    }

    pub(crate) fn send(&mut self, number: u64) {
        if let Some(attempt) = self.tries.get_mut(&number) {
            attempt.delivery.attempt += 1;
            self.outbox.push(attempt.delivery.clone());
        }
    }

    /// Takes a delivery on; answers its number.
    fn add(&mut self, event: &Event, target: &Target, plan: Plan) -> u64 {
        self.made += 1;
        let delivery = Delivery {
            id: self.made,
            url: Arc::clone(&target.url),
            event: event.name,
            object_id: event.object,
            body: Arc::clone(&event.body),
            attempt: 0,
            key: target.key,
        };
        self.tries.insert(self.made, Try { delivery, plan });
        self.made
    }
}

impl Engine {
    /// Announces an event of a purchase to whoever listens.
    pub(crate) fn emit(&mut self, now_ms: i64, purchase: Uuid, name: &'static str) {
        let targets = self.targets(purchase, name);
        let Some(subject) = self
            .purchases
            .get(&purchase)
            .filter(|_| !targets.is_empty())
        else {
            return;
        };
        let setting = self.setting(subject.realm, Some(name));
        let body = Arc::from(view::purchase(subject, &subject.face, &setting));
        self.queue(
            now_ms,
            Event {
                name,
                object: purchase,
                purchase,
                body,
                targets,
                open: 0,
            },
        );
    }

    /// The same for another object that belongs to a purchase: `(purchase, object)`.
    pub(crate) fn emit_body(
        &mut self,
        now_ms: i64,
        (purchase, object): (Uuid, Uuid),
        name: &'static str,
        body: String,
    ) {
        let targets = self.targets(purchase, name);
        if !targets.is_empty() {
            let body = Arc::from(body);
            self.queue(
                now_ms,
                Event {
                    name,
                    object,
                    purchase,
                    body,
                    targets,
                    open: 0,
                },
            );
        }
    }

    /// Reports how a delivery went: whether the endpoint answered 2xx in time.
    pub fn delivered(&mut self, now_ms: i64, id: u64, is_accepted: bool) {
        let Some(attempt) = self.events.tries.get(&id) else {
            return;
        };
        let (object, made) = (attempt.delivery.object_id, attempt.delivery.attempt);
        self.ledger.delivered(DeliveryRow {
            at_ms: now_ms,
            event: attempt.delivery.event,
            object_id: object,
            attempt: made,
            accepted: is_accepted,
            faults: attempt.plan.faults.clone(),
        });
        if !is_accepted && made < ATTEMPTS {
            let at_ms = attempt.plan.first_ms + (3_i64.pow(made) - 1) * MINUTE_MS;
            self.timers.at(at_ms.max(now_ms), Timer::Deliver(id));
            return;
        }
        let is_blocking = attempt.plan.is_blocking;
        self.events.tries.remove(&id);
        let queue = self.events.queues.get_mut(&object).filter(|_| is_blocking);
        let Some(head) = queue.and_then(VecDeque::front_mut) else {
            return;
        };
        head.open = head.open.saturating_sub(1);
        if head.open == 0 {
            self.next_event(now_ms, object);
        }
    }

    fn targets(&self, purchase: Uuid, name: &str) -> Vec<Target> {
        let Some(subject) = self.purchases.get(&purchase) else {
            return Vec::new();
        };
        let realm = subject.realm;
        let hearing = self
            .webhooks
            .iter()
            .filter(|webhook| webhook.hears(realm, name));
        let mut targets: Vec<Target> = hearing
            .map(|webhook| Target {
                url: Arc::from(webhook.url.as_str()),
                key: webhook.key,
            })
            .collect();
        let callback = &subject.terms.success_callback;
        if name == "purchase.paid" && !callback.is_empty() {
            let url = Arc::from(callback.as_str());
            targets.push(Target {
                url,
                key: realm.key_number(),
            });
        }
        targets
    }

    fn queue(&mut self, now_ms: i64, event: Event) {
        let object = event.object;
        let queue = self.events.queues.entry(object).or_default();
        queue.push_back(event);
        if queue.len() == 1 {
            self.start_event(now_ms, object);
        }
    }

    fn next_event(&mut self, now_ms: i64, object: Uuid) {
        if let Some(queue) = self.events.queues.get_mut(&object) {
            queue.pop_front();
            if queue.is_empty() {
                self.events.queues.remove(&object);
            }
        }
        self.start_event(now_ms, object);
    }

    /// Starts the deliveries of the event at the head of an object's queue, and of those after
    /// it as long as none has to be waited for.
    fn start_event(&mut self, now_ms: i64, object: Uuid) {
        while let Some(mut event) = self
            .events
            .queues
            .get_mut(&object)
            .and_then(VecDeque::pop_front)
        {
            let chosen = self.delivery_faults(&event);
            let first_ms = now_ms.saturating_add_unsigned(chosen.latency_ms);
            for target in &event.targets {
                self.start_delivery(&chosen, &event, target, first_ms);
            }
            if chosen.delivery == Some(Effect::Lost) {
                self.note_lost(now_ms, &event, &chosen);
            }
            let overtaken = matches!(chosen.delivery, Some(Effect::Lost | Effect::Reordered(_)));
            if !overtaken {
                event.open = event.targets.len();
                self.events
                    .queues
                    .entry(object)
                    .or_default()
                    .push_front(event);
                return;
            }
        }
        self.events.queues.remove(&object);
    }

    fn start_delivery(&mut self, chosen: &Chosen, event: &Event, target: &Target, first_ms: i64) {
        let times: &[(i64, bool)] = match chosen.delivery {
            Some(Effect::Lost) => &[],
            Some(Effect::Reordered(ms)) => &[(ms.cast_signed(), false)],
            Some(Effect::Duplicated) => &[(0, true), (0, false)],
            _ => &[(0, true)],
        };
        for (after_ms, is_blocking) in times {
            let at_ms = first_ms.saturating_add(*after_ms);
            let plan = Plan {
                first_ms: at_ms,
                is_blocking: *is_blocking,
                faults: chosen.names.clone(),
            };
            let number = self.events.add(event, target, plan);
            self.timers.at(at_ms, Timer::Deliver(number));
        }
    }

    fn note_lost(&mut self, now_ms: i64, event: &Event, chosen: &Chosen) {
        for _ in &event.targets {
            self.ledger.delivered(DeliveryRow {
                at_ms: now_ms,
                event: event.name,
                object_id: event.object,
                attempt: 0,
                accepted: false,
                faults: chosen.names.clone(),
            });
        }
    }

    fn delivery_faults(&mut self, event: &Event) -> Chosen {
        if self.rules.is_empty() {
            return Chosen::default();
        }
        let purchase = self.purchases.get(&event.purchase);
        self.rules.choose(&Facts {
            operation: Operation::Delivery,
            purchase_id: Some(event.purchase),
            reference: purchase.map_or("", |p| &p.terms.reference),
            metadata: purchase.and_then(|p| p.terms.metadata.as_ref()),
            event: Some(event.name),
        })
    }
}
