//! The webhooks a merchant registers.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::clients::page;
use super::fields::Fields;
use super::purchase::Realm;
use super::refusal::Refusal;
use super::request::Response;
use super::route::Operation;
use super::{Engine, LateCall};
use crate::config::WebhookConfig;

/// The first key number of webhooks; the smaller ones are the companies'.
const FIRST_KEY: u32 = 1000;

/// Every event that a webhook can ask for.
const EVENTS: [&str; 29] = [
    "purchase.created",
    "purchase.paid",
    "purchase.payment_failure",
    "purchase.refund_failure",
    "purchase.capture_failure",
    "purchase.release_failure",
    "purchase.pending_execute",
    "purchase.pending_charge",
    "purchase.cancelled",
    "purchase.hold",
    "purchase.captured",
    "purchase.pending_capture",
    "purchase.released",
    "purchase.pending_release",
    "purchase.preauthorized",
    "purchase.pending_recurring_token_delete",
    "purchase.recurring_token_deleted",
    "purchase.subscription_charge_failure",
    "purchase.pending_refund",
    "purchase.viewed",
    "purchase.settled",
    "payment.refunded",
    "payment.charged_back",
    "payment.chargeback_reversed",
    "billing_template_client.subscription_billing_cancelled",
    "payout.pending",
    "payout.failed",
    "payout.success",
    "payout.created",
];

/// A registered webhook.
pub(crate) struct Webhook {
    id: Uuid,
    pub(crate) realm: Realm,
    pub(crate) url: String,
    pub(crate) key: u32,
    title: String,
    /// Empty for every event.
    events: Vec<String>,
    created_s: i64,
    updated_s: i64,
}

impl Webhook {
    pub(crate) fn hears(&self, realm: Realm, event: &str) -> bool {
        self.realm == realm && (self.events.is_empty() || self.events.iter().any(|e| e == event))
    }

    fn view(&self) -> Value {
        json!({
            "id": self.id, "type": "webhook", "title": self.title, "callback": self.url,
            "all_events": self.events.is_empty(), "events": self.events,
            "public_key": crate::signature::public_key(self.key),
            "created_on": self.created_s, "updated_on": self.updated_s,
        })
    }
}

struct Wish {
    title: String,
    url: String,
    events: Vec<String>,
}

fn read(body: &Value) -> Result<Wish, Refusal> {
    let empty = Map::new();
    let mut fields = Fields::of(body.as_object(), &empty);
    let title = fields.required_text("title", 100);
    let url = fields.url("callback");
    if url.is_empty() {
        fields.fail("callback", "required", "This field is required.");
    }
    let hears_all = fields.flag("all_events");
    let listed = fields.get("events").and_then(Value::as_array);
    let mut events: Vec<String> = Vec::new();
    if !hears_all {
        for name in listed.into_iter().flatten() {
            match name.as_str() {
                Some(name) if EVENTS.contains(&name) => events.push(name.to_owned()),
                _ => {
                    let text = format!("{name} is not a valid choice.");
                    fields.fail("events", "invalid_choice", &text);
                }
            }
        }
        if listed.is_none_or(Vec::is_empty) {
            fields.fail("events", "min_length", "This list may not be empty.");
        }
    }
    fields
        .finish()
        .map_err(|body| Refusal { status: 400, body })?;
    Ok(Wish { title, url, events })
}

impl Engine {
    /// Registers a webhook as the merchant's request would.
    pub(crate) fn register(&mut self, webhook: &WebhookConfig, now_ms: i64) {
        let realm = Realm {
            account: webhook.account,
            live: webhook.live,
        };
        let wish = Wish {
            title: webhook.title.clone(),
            url: webhook.url.clone(),
            events: webhook.events.clone(),
        };
        self.add_webhook(now_ms, realm, wish);
    }

    fn add_webhook(&mut self, now_ms: i64, realm: Realm, wish: Wish) -> usize {
        let at_s = now_ms.div_euclid(1000);
        let key = FIRST_KEY + self.webhooks_made;
        self.webhooks_made += 1;
        let Wish { title, url, events } = wish;
        let id = self.new_id();
        let (created_s, updated_s) = (at_s, at_s);
        self.webhooks.push(Webhook {
            id,
            realm,
            url,
            key,
            title,
            events,
            created_s,
            updated_s,
        });
        self.webhooks.len() - 1
    }

    pub(crate) fn webhook_call(
        &mut self,
        now_ms: i64,
        call: &LateCall,
        realm: Realm,
    ) -> Result<Response, Refusal> {
        match call.route.operation {
            Operation::WebhookCreate => {
                let wish = read(&call.body)?;
                let index = self.add_webhook(now_ms, realm, wish);
                return Ok(Response::json(201, self.webhooks[index].view().to_string()));
            }
            Operation::WebhookList => {
                let theirs = self
                    .webhooks
                    .iter()
                    .filter(|webhook| webhook.realm == realm);
                return Ok(page(theirs.map(Webhook::view).collect()));
            }
            _ => {}
        }
        let is_meant = |webhook: &Webhook| webhook.realm == realm && webhook.id == call.route.id;
        let index = self
            .webhooks
            .iter()
            .position(is_meant)
            .ok_or_else(Refusal::not_found)?;
        match call.route.operation {
            Operation::WebhookDelete => {
                self.webhooks.remove(index);
                return Ok(Response::json(204, String::new()));
            }
            Operation::WebhookWrite => {
                let wish = read(&call.body)?;
                let webhook = &mut self.webhooks[index];
                webhook.title = wish.title;
                webhook.url = wish.url;
                webhook.events = wish.events;
                webhook.updated_s = now_ms.div_euclid(1000);
            }
            _ => {}
        }
        Ok(Response::json(200, self.webhooks[index].view().to_string()))
    }
}
