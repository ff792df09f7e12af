//! The judge has teeth: books that were doctored are found out.

use chip_sandbox::{
    Config, DEFAULT_BRAND_ID, DEFAULT_SECRET_KEY, Engine, Request as Call, Step, TestCard,
};
use holdfast::payment::{Payment, Request};
use holdfast_rig::compare;
use serde_json::{Value, json};
use uuid::Uuid;

const NOW_MS: i64 = 1_790_000_000_000;

/// A gateway without a network, and a payment to be doctored.
struct Books {
    engine: Engine,
    token: Uuid,
    payment: Value,
}

impl Books {
    /// A payment of 1500 that nothing was done for.
    fn of(ask: &str) -> Self {
        let mut engine = Engine::new(&Config::default(), "http://gate.test", 7, NOW_MS);
        let token = engine
            .save_test_card(NOW_MS, DEFAULT_SECRET_KEY, "payer@test.example")
            .unwrap();
        let customer = r#""customer":{"email":"payer@test.example"}"#;
        let money = r#""money":{"amount":1500,"currency":"MYR"}"#;
        let body = match ask {
            "charge" => format!(r#""type":"charge",{money},"token":"{token}",{customer}"#),
            "hold" => {
                format!(r#""type":"authorize",{money},"source":{{"token":"{token}"}},{customer}"#)
            }
            _ => format!(r#""type":"save_card",{customer}"#),
        };
        let body = format!(r#"{{"v":1,"account":"hotel","idempotency_key":"k",{body}}}"#);
        let request = Request::from_json(body.as_bytes()).unwrap();
        let now = chrono::DateTime::from_timestamp_millis(NOW_MS).unwrap();
        let payment = serde_json::to_value(Payment::new(request, now).unwrap()).unwrap();
        Self {
            engine,
            token,
            payment,
        }
    }

    fn call(&mut self, path: &str, body: &Value) -> Value {
        let call = Call::api("POST", path, DEFAULT_SECRET_KEY, body.to_string());
        let Step::Answer(response) = self.engine.handle(NOW_MS, call) else {
            panic!("{path}")
        };
        assert!(response.status < 300, "{path}: {}", response.body);
        serde_json::from_str(&response.body).unwrap()
    }

    fn create(&mut self, amount: u64, currency: &str, hold: bool) -> Uuid {
        let reference = self.payment["id"].clone();
        let body = json!({
            "brand_id": DEFAULT_BRAND_ID, "client": {"email": "payer@test.example"},
            "reference": reference, "skip_capture": hold,
            "purchase": {"currency": currency, "products": [{"name": "Room", "price": amount}]},
        });
        self.call("purchases/", &body)["id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    fn charge(&mut self, purchase: Uuid) {
        let body = json!({"recurring_token": self.token});
        self.call(&format!("purchases/{purchase}/charge/"), &body);
    }

    /// A charge of the payment, by the book.
    fn charged(&mut self, amount: u64) {
        let purchase = self.create(amount, "MYR", false);
        self.note(&json!({"name": "charge"}));
        self.charge(purchase);
    }

    /// A hold of the payment, by the book.
    fn held(&mut self) -> Uuid {
        let purchase = self.create(1500, "MYR", true);
        self.note(&json!({"name": "charge"}));
        self.charge(purchase);
        purchase
    }

    /// A command that was accepted.
    fn told(&mut self, command: &Value) {
        let commands = self.payment["commands"].as_array_mut().unwrap();
        let key = format!("command-{}", commands.len());
        let at = "2027-01-01T00:00:00Z";
        commands.push(json!({"key": key, "command": command, "answer": "accepted", "at": at}));
    }

    fn capture(&mut self, purchase: Uuid, amount: u64) {
        self.note(&json!({"name": "capture", "amount": amount}));
        self.payment["decision"] = json!({"outcome": {"capture": amount}, "by_command": true});
        self.call(
            &format!("purchases/{purchase}/capture/"),
            &json!({"amount": amount}),
        );
    }

    fn release(&mut self, purchase: Uuid) {
        self.note(&json!({"name": "release"}));
        self.payment["decision"] = json!({"outcome": "release", "by_command": true});
        self.call(&format!("purchases/{purchase}/release/"), &json!({}));
    }

    fn note(&mut self, step: &Value) {
        let attempts = self.payment["attempts"].as_array_mut().unwrap();
        let number = attempts.len() + 1;
        let opened_at = "2027-01-01T00:00:00Z";
        attempts.push(
            json!({"number": number, "step": step, "opened_at": opened_at, "tries_before": 0}),
        );
    }

    fn report(&mut self, state: Value) {
        self.payment["state"] = state;
    }

    fn paid(&mut self, amount: u64) {
        let money = json!({"amount": amount, "currency": "MYR"});
        self.report(json!({"name": "paid", "with": money}));
    }

    fn failed(&mut self) {
        self.report(json!({"name": "failed", "with": {"why": "cancelled"}}));
    }

    fn problems(&self) -> String {
        let payment: Payment = serde_json::from_value(self.payment.clone()).unwrap();
        compare(payment, self.engine.ledger(), true)
            .problems
            .join("; ")
    }

    fn assert_found(&self, what: &str) {
        let problems = self.problems();
        assert!(
            problems.contains(what),
            "{what:?} was not found out: {problems:?}"
        );
    }
}

#[test]
fn honest_books_show_no_problem() {
    let mut books = Books::of("charge");
    books.charged(1500);
    books.paid(1500);
    assert_eq!(books.problems(), "");

    let mut books = Books::of("hold");
    let hold = books.held();
    books.told(&json!({"command": "capture", "amount": 700}));
    books.capture(hold, 700);
    books.paid(700);
    assert_eq!(books.problems(), "");

    let mut books = Books::of("hold");
    let hold = books.held();
    books.release(hold);
    books.report(json!({"name": "released"}));
    assert_eq!(books.problems(), "");

    let mut books = Books::of("charge");
    books.failed();
    assert_eq!(books.problems(), "");
}

#[test]
fn a_double_charge_is_found_out_whatever_is_reported() {
    for paid in [true, false] {
        let mut books = Books::of("charge");
        books.charged(1500);
        books.charged(1500);
        if paid {
            books.paid(1500);
        }
        books.assert_found("money was taken 2 times");
    }
}

#[test]
fn a_false_paid_is_found_out() {
    let mut books = Books::of("charge");
    books.paid(1500);
    books.assert_found("reported paid");
    books.charged(1500);
    books.paid(1400);
    books.assert_found("reported paid");
}

#[test]
fn a_false_failed_is_found_out() {
    let mut books = Books::of("charge");
    books.charged(1500);
    books.failed();
    books.assert_found("reported that it was not");
    let mut books = Books::of("hold");
    books.held();
    books.failed();
    books.assert_found("still reserved");
}

#[test]
fn a_hold_that_is_both_taken_and_given_back_is_found_out() {
    let mut books = Books::of("hold");
    let (one, two) = (books.held(), books.held());
    books.release(one);
    books.capture(two, 1500);
    books.paid(1500);
    books.assert_found("both taken and given back");
}

#[test]
fn a_hold_left_behind_is_found_out() {
    let mut books = Books::of("hold");
    let (one, _two) = (books.held(), books.held());
    books.release(one);
    books.report(json!({"name": "released"}));
    books.assert_found("funds were reserved 2 times");
    books.assert_found("still reserved");

    let mut books = Books::of("hold");
    books.held();
    let hold = json!({
        "money": {"amount": 1500, "currency": "MYR"},
        "since": "2027-01-01T00:00:00Z", "expires_at": "2027-01-08T00:00:00Z",
    });
    books.report(json!({"name": "held", "with": hold}));
    books.assert_found("still under way");
}

#[test]
fn another_amount_currency_card_or_kind_than_asked_is_found_out() {
    let mut books = Books::of("charge");
    books.charged(1600);
    books.paid(1600);
    books.assert_found("asked 1500, moved 1600");

    let mut books = Books::of("charge");
    let purchase = books.create(1500, "SGD", false);
    books.note(&json!({"name": "charge"}));
    books.charge(purchase);
    books.paid(1500);
    books.assert_found("in SGD");

    let mut books = Books::of("charge");
    let other = books
        .engine
        .save_test_card(NOW_MS, DEFAULT_SECRET_KEY, "b@test.example");
    books.token = other.unwrap();
    books.charged(1500);
    books.paid(1500);
    books.assert_found("another card");

    let mut books = Books::of("charge");
    books.held();
    books.assert_found("what is no such thing");
}

#[test]
fn money_that_moved_without_a_note_of_it_is_found_out() {
    let mut books = Books::of("charge");
    let purchase = books.create(1500, "MYR", false);
    books.charge(purchase);
    books.paid(1500);
    books.assert_found("without a note");

    let mut books = Books::of("hold");
    let hold = books.held();
    books.capture(hold, 700);
    books.payment["decision"] = json!({"outcome": {"capture": 1500}, "by_command": false});
    books.paid(700);
    books.assert_found("without a note");
}

#[test]
fn money_that_a_saved_card_was_charged_is_found_out() {
    let mut books = Books::of("card");
    let purchase = books.create(1500, "MYR", false);
    books.engine.pay(NOW_MS, purchase, TestCard::Plain, false);
    books.report(json!({"name": "saved", "with": books.token}));
    books.assert_found("reported that it was not");
}

#[test]
fn a_hold_that_ends_otherwise_than_people_asked_is_found_out() {
    let otherwise = "is not what was asked";
    let mut books = Books::of("hold");
    let hold = books.held();
    books.told(&json!({"command": "capture", "amount": 700}));
    books.capture(hold, 1500);
    books.paid(1500);
    books.assert_found(otherwise);

    let mut books = Books::of("hold");
    let hold = books.held();
    books.told(&json!({"command": "release"}));
    books.capture(hold, 1500);
    books.paid(1500);
    books.assert_found(otherwise);

    let mut books = Books::of("hold");
    let hold = books.held();
    books.told(&json!({"command": "capture"}));
    books.release(hold);
    books.report(json!({"name": "released"}));
    books.assert_found(otherwise);
}
