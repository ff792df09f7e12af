//! An engine under a clock that the test moves.

use chip_sandbox::{
    Behaviour, Config, DEFAULT_BRAND_ID, DEFAULT_SECRET_KEY, Engine, MovementKind, Request,
    Response, Rule,
};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const START_MS: i64 = 1_790_000_000_000;

pub(crate) struct Gate {
    pub(crate) engine: Engine,
    pub(crate) now_ms: i64,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self::with(&Config::default())
    }

    pub(crate) fn with(config: &Config) -> Self {
        let engine = Engine::new(config, "http://gate.test", 7, START_MS);
        Self {
            engine,
            now_ms: START_MS,
        }
    }

    pub(crate) fn behaving(behaviour: Behaviour) -> Self {
        Self::with(&Config {
            behaviour,
            ..Config::default()
        })
    }

    pub(crate) fn fault(&mut self, rule: Rule) {
        self.engine.add_fault(rule);
    }

    pub(crate) fn pass_ms(&mut self, ms: i64) {
        self.now_ms += ms;
    }

    pub(crate) fn raw(&mut self, method: &str, path: &str, body: &Value) -> Response {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = Request::api(method, path, DEFAULT_SECRET_KEY, body);
        self.engine.answer(self.now_ms, request)
    }

    pub(crate) fn call(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let response = self.raw(method, path, body);
        (
            response.status,
            serde_json::from_str(&response.body).unwrap_or_default(),
        )
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        self.call("POST", path, body)
    }

    pub(crate) fn act(&mut self, id: Uuid, verb: &str, body: &Value) -> (u16, Value) {
        self.post(&format!("purchases/{id}/{verb}/"), body)
    }

    pub(crate) fn get(&mut self, id: Uuid) -> Value {
        self.call("GET", &format!("purchases/{id}/"), &Value::Null)
            .1
    }

    pub(crate) fn create(&mut self, body: &Value) -> Uuid {
        let (status, created) = self.post("purchases/", body);
        assert_eq!(status, 201, "{created}");
        id_of(&created)
    }

    pub(crate) fn token(&mut self) -> Uuid {
        let now_ms = self.now_ms;
        self.engine
            .save_test_card(now_ms, DEFAULT_SECRET_KEY, "payer@example.com")
            .unwrap()
    }

    pub(crate) fn charge(&mut self, id: Uuid, token: Uuid) -> (u16, Value) {
        self.act(id, "charge", &json!({ "recurring_token": token }))
    }

    pub(crate) fn held(&mut self, amount: i64) -> Uuid {
        let id = self.create(&hold(amount));
        self.engine
            .pay(self.now_ms, id, chip_sandbox::TestCard::Plain, false);
        id
    }

    pub(crate) fn moved(&self, id: Uuid) -> Vec<(MovementKind, i64)> {
        let movements = self.engine.ledger().movements_of(id);
        movements
            .iter()
            .map(|movement| (movement.kind, movement.amount))
            .collect()
    }
}

pub(crate) fn sale(amount: i64) -> Value {
    json!({
        "brand_id": DEFAULT_BRAND_ID, "client": { "email": "payer@example.com" },
        "reference": "order-1",
        "purchase": { "products": [{ "name": "Thing", "price": amount }] },
    })
}

pub(crate) fn hold(amount: i64) -> Value {
    let mut body = sale(amount);
    body["skip_capture"] = json!(true);
    body
}

pub(crate) fn id_of(value: &Value) -> Uuid {
    Uuid::try_parse(value["id"].as_str().unwrap()).unwrap()
}

pub(crate) fn code(body: &Value) -> &str {
    body["__all__"][0]["code"].as_str().unwrap_or_default()
}
