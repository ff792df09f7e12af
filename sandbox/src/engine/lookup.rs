//! What a test or an operator may ask or do behind the gateway's back.

use serde_json::{Value, json};
use uuid::Uuid;

use super::purchase::Realm;
use super::request::{Request, Response, Step};
use super::status::Status;
use super::{Engine, pay::TestCard, view};

impl Realm {
    /// The number of the company's signing key.
    pub(crate) fn key_number(self) -> u32 {
        u32::try_from(self.account).unwrap_or(u32::MAX / 4) * 2 + u32::from(self.live)
    }
}

impl Engine {
    /// A purchase as the gateway would show it, whoever's it is.
    #[must_use]
    pub fn purchase_json(&self, id: Uuid) -> Option<Value> {
        let purchase = self.purchases.get(&id)?;
        Some(view::purchase_value(
            purchase,
            &self.setting(purchase.realm, None),
        ))
    }

    /// The status of a purchase.
    #[must_use]
    pub fn status_of(&self, id: Uuid) -> Option<Status> {
        self.purchases.get(&id).map(|purchase| purchase.face.status)
    }

    /// The tries at the acquirer that a purchase lists under these types: when, in seconds, and whether
    /// it failed.
    #[must_use]
    pub fn tries_of(&self, id: Uuid, types: &[&str]) -> Vec<(i64, bool)> {
        let listed = self.purchases.get(&id).map(|purchase| &purchase.attempts);
        let tries = listed.into_iter().flatten();
        let of_it = tries.filter(|attempt| types.contains(&attempt.kind));
        of_it
            .map(|try_| (try_.at_s, try_.error.is_some()))
            .collect()
    }

    /// How many purchases there are.
    #[must_use]
    pub fn purchase_count(&self) -> usize {
        self.purchases.len()
    }

    /// Makes a saved card unusable, as its issuer or its holder might.
    pub fn kill_token(&mut self, now_ms: i64, token: Uuid) {
        self.kill_token_at(now_ms, token);
    }

    /// Puts a purchase in a status without any of what usually leads there, money included:
    /// for states only the gateway's back office reaches (`settled`, `chargeback` …).
    pub fn force_status(&mut self, now_ms: i64, id: Uuid, status: Status) {
        if let Some(purchase) = self.purchases.get_mut(&id) {
            purchase.enter(now_ms, status);
        }
    }

    /// The payer opens the checkout of a purchase and pays with a test card, 3-D Secure included.
    pub fn pay(&mut self, now_ms: i64, id: Uuid, card: TestCard, remember: bool) -> Response {
        self.answer(now_ms, Request::checkout("GET", id, ""));
        let posted = self.answer(now_ms, Request::checkout("POST", id, card.form(remember)));
        if self
            .purchases
            .get(&id)
            .is_some_and(|purchase| purchase.confirmation.is_some())
        {
            let request = Request::checkout("POST", id, "answer=approve");
            let path = format!("{}confirm/", request.path);
            return self.answer(now_ms, Request { path, ..request });
        }
        posted
    }

    /// One more key for what `known` is a key for.
    pub fn add_key(&mut self, known: &str, key: &str) {
        if let Some(realm) = self.realms.get(known).copied() {
            self.realms.insert(key.to_owned(), realm);
        }
    }

    /// From now on this key is refused.
    pub fn revoke_key(&mut self, key: &str) {
        self.realms.remove(key);
    }

    /// Saves a card as a preauthorization does; answers the token.
    pub fn save_test_card(&mut self, now_ms: i64, key: &str, email: &str) -> Option<Uuid> {
        let realm = *self.realms.get(key)?;
        let brand = self.accounts[realm.account].brands.first()?;
        let body = json!({
            "brand_id": brand, "client": { "email": email }, "skip_capture": true,
            "purchase": { "products": [{ "name": "Saved card", "price": 0 }] },
        });
        let request = Request::api("POST", "purchases/", key, body.to_string());
        let created = self.answer(now_ms, request);
        let created: Value = serde_json::from_str(&created.body).ok()?;
        let id = Uuid::try_parse(created.get("id")?.as_str()?).ok()?;
        self.pay(now_ms, id, TestCard::Plain, true);
        self.purchases
            .get(&id)
            .filter(|purchase| purchase.face.is_token)
            .map(|_| id)
    }

    /// Handles a request and finishes it at once, however long the acquirer would take.
    pub fn answer(&mut self, now_ms: i64, request: Request) -> Response {
        match self.handle(now_ms, request) {
            Step::Answer(response) => response,
            Step::Working { ticket, .. } => self.finish(now_ms, ticket).unwrap_or_default(),
        }
    }

    pub(crate) fn payment_methods(query: &str) -> Response {
        let asked = |name: &str| {
            form_urlencoded::parse(query.as_bytes()).any(|(n, v)| n == name && v == "true")
        };
        let cards_only = asked("skip_capture") || asked("preauthorization") || asked("recurring");
        let all = ["visa", "mastercard", "maestro", "fpx", "duitnow_qr"];
        let methods = if cards_only { &all[..3] } else { &all[..] };
        let names: serde_json::Map<String, Value> = methods
            .iter()
            .map(|name| ((*name).to_owned(), json!(name)))
            .collect();
        let body = json!({
            "available_payment_methods": methods, "by_country": { "any": methods },
            "country_names": { "any": "Other" }, "names": names, "logos": {},
            "card_methods": &all[..3],
        });
        Response::json(200, body.to_string())
    }
}
