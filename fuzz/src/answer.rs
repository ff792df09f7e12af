//! What the gateway answers.

use std::sync::OnceLock;

use holdfast::config::Config;
use holdfast::gateway::{Reply, answer as read, look_up};
use holdfast::payment::{
    AccountName, Next, Payment, Policy, PurchaseId, Request, State, Step, Timestamp,
};
use serde_json::Value;

use crate::{ACCOUNT, KEY};

const STATUSES: [u16; 16] = [
    200, 201, 204, 302, 400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 502, 503,
];
const PURCHASE: &str = "5a9e3c1c-0000-4000-8000-000000000002";
const MINOR: u64 = 1500;
const CHARGE: &str = r#"{"v":1,"type":"charge","account":"hotel","idempotency_key":"k",
    "money":{"amount":1500,"currency":"MYR"},"token":"5a9e3c1c-0000-4000-8000-000000000001",
    "customer":{"email":"a@b.example"}}"#;
/// What the gateway must say itself before a charge is reported paid.
const PAID: [&str; 6] = [
    "paid",
    "cleared",
    "settled",
    "pending_refund",
    "refunded",
    "chargeback",
];

/// An answer: a byte that chooses the HTTP number, and the body. It is the answer to a charge, and
/// to a look-up of it; whatever it says, the charge is reported paid only if the body says so in
/// its own words, and failed never.
pub fn answer(bytes: &[u8]) {
    let (status, body) = bytes.split_first().unwrap_or((&0, &[]));
    let reply = Reply {
        status: STATUSES[usize::from(*status) % STATUSES.len()],
        retry_after: body
            .get(..2)
            .map(|text| String::from_utf8_lossy(text).into()),
        at: Timestamp::UNIX_EPOCH,
        body: body.to_vec(),
    };
    let purchase = PurchaseId::new(PURCHASE).expect("an id");
    let now = Timestamp::UNIX_EPOCH;
    let (mut answered, number) = charged();
    let mut looked_up = answered.clone();
    answered.answered(number, &read(&reply, Some(&purchase)), now, policy());
    looked_up.looked_up(&look_up(&reply, &purchase), now, policy());
    for payment in [&answered, &looked_up] {
        is_true(payment, &reply, PURCHASE);
    }
    // A create is answered too, with whatever purchase it made; what it shows is checked before
    // anything is charged, and if it is paid already, then that is what is true of it.
    let mut created = new();
    if let Next::Send(Step::Create) = created.next(now, policy()) {
        let number = created.open(Step::Create, now, policy());
        created.answered(number.unwrap_or(1), &read(&reply, None), now, policy());
    }
    // A create that is refused made nothing, and fails at once.
    if matches!(created.state(), State::Paid(_)) {
        let made = created
            .purchase()
            .expect("what is paid is known")
            .id
            .as_str();
        assert!(says_paid(&reply, made), "reported paid, and nobody said so");
    }
}

/// The policy of an account, as the defaults have it.
pub(crate) fn policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| {
        let key = (KEY.0.to_owned(), KEY.1.to_owned());
        let config = Config::read("fuzz.toml", ACCOUNT, [key]).expect("a configuration");
        let hotel = AccountName::new("hotel").expect("a name");
        config.policies().get(&hotel).expect("an account").clone()
    })
}

fn new() -> Payment {
    let request = Request::from_json(CHARGE.as_bytes()).expect("a request");
    Payment::new(request, Timestamp::UNIX_EPOCH).expect("a payment")
}

/// A charge whose purchase was made and recorded, and whose call is out.
fn charged() -> (Payment, u32) {
    let (mut payment, now) = (new(), Timestamp::UNIX_EPOCH);
    let (brand, reference) = (&policy().account.brand, payment.id().clone());
    let made = Reply {
        status: 201,
        retry_after: None,
        at: now,
        body: format!(
            r#"{{"id":"{PURCHASE}","type":"purchase","status":"created","brand_id":"{brand}",
            "is_test":true,"reference":"{reference}","purchase":{{"total":{MINOR},"currency":"MYR"}},"payment":null}}"#
        )
        .into_bytes(),
    };
    let create = payment.open(Step::Create, now, policy()).expect("a create");
    payment.answered(create, &read(&made, None), now, policy());
    assert_eq!(payment.next(now, policy()), Next::Send(Step::Charge));
    let charge = payment.open(Step::Charge, now, policy()).expect("a charge");
    payment.sign_open("a claim");
    (payment, charge)
}

fn is_true(payment: &Payment, reply: &Reply, purchase: &str) {
    match payment.state() {
        State::Paid(_) => assert!(
            says_paid(reply, purchase),
            "reported paid, and the gateway never said so"
        ),
        State::Failed { .. } => panic!("reported failed, and only one answer was read"),
        State::Released | State::Saved { .. } => panic!("a charge is neither released nor saved"),
        _ => {}
    }
}

/// Whether the body says, read as plain JSON, that exactly this was paid.
fn says_paid(reply: &Reply, purchase: &str) -> bool {
    // What decides nothing may be no text at all.
    let text = String::from_utf8_lossy(&reply.body);
    let Ok(body) = serde_json::from_str::<Value>(&text) else {
        return false;
    };
    let of = |pointer| body.pointer(pointer).unwrap_or(&Value::Null);
    let is_whole = |value: &Value| match value {
        Value::Number(number) => number.as_f64().is_some_and(|n| (n - 1500.0).abs() < 1e-9),
        Value::String(text) => text
            .trim()
            .parse()
            .is_ok_and(|n: f64| (n - 1500.0).abs() < 1e-9),
        _ => false,
    };
    (200..300).contains(&reply.status)
        && of("/status")
            .as_str()
            .is_some_and(|status| PAID.contains(&status))
        && of("/id")
            .as_str()
            .is_some_and(|id| id.eq_ignore_ascii_case(purchase))
        && is_whole(of("/payment/amount"))
        && of("/payment/currency") == "MYR"
        && of("/marked_as_paid") != true
        && of("/is_test") == true
}
