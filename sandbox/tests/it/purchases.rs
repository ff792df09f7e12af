use chip_sandbox::{
    Account, Behaviour, ChargeOnSkipCapture, Config, MovementKind, Request, Status,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::gate::{Gate, code, hold, id_of, sale};

#[test]
fn a_charge_takes_the_money_and_a_second_one_is_refused() {
    let mut gate = Gate::new();
    let token = gate.token();
    let id = gate.create(&sale(1500));
    let (status, paid) = gate.charge(id, token);
    assert_eq!((status, paid["status"].as_str()), (200, Some("paid")));
    assert_eq!(paid["payment"]["amount"], 1500);
    assert_eq!(paid["recurring_token"], token.to_string());
    assert_eq!(paid["refundable_amount"], 1500);
    assert!(
        paid["checkout_url"]
            .as_str()
            .unwrap()
            .ends_with("/invoice/")
    );
    let (status, refused) = gate.charge(id, token);
    assert_eq!(
        (status, code(&refused)),
        (400, "purchase_charge_wrong_status")
    );
    assert_eq!(gate.moved(id), [(MovementKind::Charge, 1500)]);
    assert_eq!(gate.engine.ledger().taken_for_reference("order-1"), 1500);
}

#[test]
fn a_dead_token_is_noticed_before_the_status() {
    let mut gate = Gate::new();
    let token = gate.token();
    let id = gate.create(&sale(1500));
    gate.charge(id, token);
    let (status, refused) = gate.charge(id, Uuid::from_u128(1));
    assert_eq!((status, code(&refused)), (400, "invalid_recurring_token"));
    assert_eq!(
        gate.act(token, "delete_recurring_token", &Value::Null).1["is_recurring_token"],
        false
    );
    let other = gate.create(&sale(1));
    assert_eq!(
        code(&gate.charge(other, token).1),
        "invalid_recurring_token"
    );
}

#[test]
fn a_charge_of_a_purchase_to_be_held_does_what_it_is_told_to() {
    for (choice, status, answer) in [
        (ChargeOnSkipCapture::Hold, 200, Some("hold")),
        (ChargeOnSkipCapture::Paid, 200, Some("paid")),
        (ChargeOnSkipCapture::Refused, 400, None),
    ] {
        let behaviour = Behaviour {
            charge_on_skip_capture: choice,
            ..Behaviour::default()
        };
        let mut gate = Gate::behaving(behaviour);
        let token = gate.token();
        let id = gate.create(&hold(500));
        let (got, body) = gate.charge(id, token);
        assert_eq!((got, body["status"].as_str()), (status, answer));
    }
}

#[test]
fn what_is_wrong_with_a_body_is_said_where_it_is_wrong() {
    let mut gate = Gate::new();
    let mut refused = |change: &dyn Fn(&mut Value)| {
        let mut body = sale(100);
        change(&mut body);
        let (status, answer) = gate.post("purchases/", &body);
        assert_eq!(status, 400, "{answer}");
        answer
    };
    let both = refused(&|b| b["client_id"] = json!(Uuid::nil()));
    assert_eq!(code(&both), "purchase_client_or_id_only");
    let neither = refused(&|b| b["client"] = Value::Null);
    assert_eq!(code(&neither), "purchase_client_or_id_required");
    let zero = refused(&|b| b["purchase"]["total_override"] = json!(0));
    assert!(zero["__all__"].is_array());
    let long = refused(&|b| b["purchase"]["notes"] = json!("x".repeat(10_001)));
    assert_eq!(long["purchase"]["notes"][0]["code"], "max_length");
    let second = refused(&|b| {
        b["purchase"]["products"] = json!([{ "name": "a", "price": 1 }, { "name": "b", "price": 1, "quantity": "1.23456" }]);
    });
    assert_eq!(second["purchase"]["products"][0], json!({}));
    let found = &second["purchase"]["products"][1]["quantity"][0]["code"];
    assert_eq!(found, "max_decimal_places");
    let category = refused(&|b| b["purchase"]["products"][0]["category"] = Value::Null);
    assert_eq!(
        category["purchase"]["products"][0]["category"][0]["code"],
        "null"
    );
    let dict = refused(&|b| b["payment_method_whitelist"] = json!({ "0": "visa" }));
    assert!(dict["payment_method_whitelist"].is_array());
    let unusable = refused(&|b| b["payment_method_whitelist"] = json!(["razer"]));
    assert_eq!(code(&unusable), "invalid_payment_method_whitelist");
}

#[test]
fn totals_are_computed_and_sent_ones_ignored() {
    let mut gate = Gate::new();
    let mut body = sale(100);
    body["purchase"]["total"] = json!(999_999);
    body["purchase"]["debt"] = json!(-50);
    body["purchase"]["skip_capture"] = json!(true);
    body["unknown"] = json!("ignored");
    let (status, created) = gate.post("purchases/", &body);
    assert_eq!((status, &created["purchase"]["total"]), (201, &json!(50)));
    assert_eq!(
        created["skip_capture"], false,
        "a nested skip_capture means nothing"
    );
    assert_eq!(
        created["due"].as_i64().unwrap() - created["created_on"].as_i64().unwrap(),
        3600
    );
}

#[test]
fn a_cancelled_purchase_cannot_be_paid_or_cancelled_again() {
    let mut gate = Gate::new();
    let token = gate.token();
    let id = gate.create(&sale(100));
    assert_eq!(
        gate.act(id, "cancel", &Value::Null).1["status"],
        "cancelled"
    );
    let (status, again) = gate.act(id, "cancel", &Value::Null);
    assert_eq!(
        (status, code(&again)),
        (400, "purchase_cancel_wrong_status")
    );
    assert_eq!(
        code(&gate.charge(id, token).1),
        "purchase_charge_wrong_status"
    );
    assert_eq!(gate.moved(id), []);
}

#[test]
fn after_its_due_time_a_strict_purchase_expires_and_another_is_only_overdue() {
    let mut gate = Gate::new();
    let token = gate.token();
    let mut body = sale(100);
    let lenient = gate.create(&body);
    body["purchase"]["due_strict"] = json!(true);
    let strict = gate.create(&body);
    gate.pass_ms(3_600_000);
    assert_eq!(gate.get(strict)["status"], "expired");
    assert_eq!(gate.get(lenient)["status"], "overdue");
    assert_eq!(
        code(&gate.charge(strict, token).1),
        "purchase_charge_wrong_status"
    );
    assert_eq!(gate.charge(lenient, token).1["status"], "paid");
}

#[test]
fn refunds_add_up_to_what_was_taken() {
    let mut gate = Gate::new();
    let token = gate.token();
    let id = gate.create(&sale(1000));
    let early = gate.act(id, "refund", &Value::Null).1;
    assert_eq!(code(&early), "purchase_refund_wrong_status");
    gate.charge(id, token);
    let (status, payment) = gate.act(id, "refund", &json!({ "amount": 400 }));
    assert_eq!((status, payment["type"].as_str()), (200, Some("payment")));
    assert_eq!(payment["payment"]["amount"], 400);
    let over = gate.act(id, "refund", &json!({ "amount": 601 })).1;
    assert_eq!(over["amount"][0]["code"], "max_value");
    assert_eq!(gate.act(id, "refund", &Value::Null).0, 200);
    let again = gate.act(id, "refund", &Value::Null).1;
    assert_eq!(code(&again), "purchase_refund_not_possible");
    assert_eq!(gate.engine.ledger().refunded_for_reference("order-1"), 1000);
}

#[test]
fn test_and_live_data_and_companies_do_not_see_each_other() {
    let other = Account::new("Other", "other-key", Uuid::from_u128(9)).with_live_key("live-key");
    let config = Config {
        accounts: vec![Account::default(), other],
        ..Config::default()
    };
    let mut gate = Gate::with(&config);
    let ours = gate.create(&sale(100));
    let now_ms = gate.now_ms;
    for key in ["other-key", "live-key"] {
        let request = Request::api("GET", &format!("purchases/{ours}/"), key, "");
        assert_eq!(gate.engine.answer(now_ms, request).status, 404);
    }
    let mut body = sale(100);
    body["brand_id"] = json!(Uuid::from_u128(9));
    let request = Request::api("POST", "purchases/", "live-key", body.to_string());
    let live: Value = serde_json::from_str(&gate.engine.answer(now_ms, request).body).unwrap();
    assert_eq!(live["is_test"], false);
    assert_eq!(gate.engine.status_of(id_of(&live)), Some(Status::Created));
}

#[test]
fn unknown_keys_paths_methods_and_missing_slashes_are_refused() {
    let mut gate = Gate::new();
    let mut answer = |method: &str, path: &str, key: &str| {
        gate.engine.answer(0, Request::api(method, path, key, ""))
    };
    let key = chip_sandbox::DEFAULT_SECRET_KEY;
    assert_eq!(answer("GET", "public_key/", "wrong").status, 401);
    assert_eq!(answer("GET", "purchases/", key).status, 405);
    assert_eq!(answer("GET", "nothing/", key).status, 404);
    assert_eq!(answer("POST", "purchases", key).status, 404);
    assert_eq!(answer("POST", "purchases/?time=1", key).status, 400);
}

#[test]
fn a_client_keeps_the_cards_saved_under_its_email() {
    let mut gate = Gate::new();
    let token = gate.token();
    let (_, found) = gate.call("GET", "clients/?q=payer@example.com", &Value::Null);
    let client = id_of(&found["results"][0]);
    let path = format!("clients/{client}/recurring_tokens/");
    let (_, tokens) = gate.call("GET", &path, &Value::Null);
    assert_eq!(tokens["results"][0]["id"], token.to_string());
    assert_eq!(tokens["results"][0]["description"], "444433******1111");
    let one = format!("{path}{token}/");
    assert_eq!(gate.call("DELETE", &one, &Value::Null).0, 204);
    assert_eq!(gate.call("GET", &one, &Value::Null).0, 404);
    assert_eq!(gate.get(token)["is_recurring_token"], false);
}

#[test]
fn the_same_seed_gives_the_same_answers() {
    let run = || {
        let mut gate = Gate::new();
        let token = gate.token();
        let id = gate.create(&sale(100));
        gate.charge(id, token).1.to_string()
    };
    assert_eq!(run(), run());
}
