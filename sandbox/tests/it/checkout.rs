use chip_sandbox::{MovementKind, Request, Response, TestCard};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::gate::{Gate, hold, sale};

fn redirecting(mut body: Value) -> Value {
    body["success_redirect"] = json!("https://shop.test/thanks");
    body["failure_redirect"] = json!("https://shop.test/sorry");
    body
}

fn submit(gate: &mut Gate, id: Uuid, form: &str) -> Response {
    gate.engine
        .answer(gate.now_ms, Request::checkout("POST", id, form))
}

fn confirm(gate: &mut Gate, id: Uuid, form: &str) -> Response {
    let request = Request::checkout("POST", id, form);
    let path = format!("{}confirm/", request.path);
    gate.engine.answer(gate.now_ms, Request { path, ..request })
}

#[test]
fn opening_the_page_marks_the_purchase_viewed_and_says_what_will_happen() {
    let mut gate = Gate::new();
    for (body, word) in [
        (sale(100), "Pay"),
        (hold(100), "Reserve"),
        (hold(0), "Save card"),
    ] {
        let id = gate.create(&body);
        let page = gate
            .engine
            .answer(gate.now_ms, Request::checkout("GET", id, ""));
        assert!(page.body.contains(&format!("<button>{word}</button>")));
        assert_eq!(gate.get(id)["status"], "viewed");
        assert!(gate.get(id)["viewed_on"].is_i64());
    }
}

#[test]
fn a_plain_card_goes_straight_through_to_the_success_page() {
    let mut gate = Gate::new();
    let id = gate.create(&redirecting(sale(100)));
    assert_eq!(
        gate.get(id)["direct_post_url"],
        format!("http://gate.test/p/{id}/")
    );
    let landed = submit(&mut gate, id, &TestCard::Plain.form(false));
    assert_eq!(landed.status, 302);
    assert_eq!(landed.location.as_deref(), Some("https://shop.test/thanks"));
    assert_eq!(gate.moved(id), [(MovementKind::Charge, 100)]);
    assert_eq!(gate.get(id)["direct_post_url"], Value::Null);
}

#[test]
fn a_wrong_cvc_fails_and_the_payer_may_try_again() {
    let mut gate = Gate::new();
    let id = gate.create(&redirecting(hold(100)));
    let form = TestCard::Plain.form(false).replace("cvc=123", "cvc=999");
    let landed = submit(&mut gate, id, &form);
    assert_eq!(landed.location.as_deref(), Some("https://shop.test/sorry"));
    let shown = gate.get(id);
    assert_eq!(shown["status"], "error");
    let error = &shown["transaction_data"]["attempts"][0]["error"];
    assert_eq!(error["code"], "validation_cvc_invalid");
    submit(&mut gate, id, &TestCard::Plain.form(false));
    assert_eq!(gate.get(id)["status"], "hold");
}

#[test]
fn a_past_month_fails_and_the_present_one_does_not() {
    let mut gate = Gate::new();
    for (expires, status) in [("08%2F26", "error"), ("09%2F26", "hold")] {
        let id = gate.create(&hold(100));
        let form = TestCard::Plain.form(false).replace("12%2F99", expires);
        submit(&mut gate, id, &form);
        assert_eq!(gate.get(id)["status"], status);
    }
}

#[test]
fn a_secure_card_waits_for_the_bank_and_a_rejection_fails() {
    let mut gate = Gate::new();
    for (answer, status) in [("answer=approve", "hold"), ("answer=reject", "error")] {
        let id = gate.create(&hold(100));
        let asked = submit(&mut gate, id, &TestCard::ThreeDSecure.form(false));
        assert!(asked.body.contains("Approve"));
        assert_eq!(gate.moved(id), []);
        confirm(&mut gate, id, answer);
        assert_eq!(gate.get(id)["status"], status);
    }
}

#[test]
fn there_is_no_direct_post_without_redirects_or_with_details_to_ask() {
    let mut gate = Gate::new();
    let plain = gate.create(&sale(100));
    assert_eq!(gate.get(plain)["direct_post_url"], Value::Null);
    let mut body = redirecting(sale(100));
    body["purchase"]["request_client_details"] = json!(["phone"]);
    let asking = gate.create(&body);
    assert_eq!(gate.get(asking)["direct_post_url"], Value::Null);
}

#[test]
fn a_paid_purchase_is_not_paid_twice_by_a_second_post() {
    let mut gate = Gate::new();
    let id = gate.create(&sale(100));
    submit(&mut gate, id, &TestCard::Plain.form(false));
    submit(&mut gate, id, &TestCard::Plain.form(false));
    assert_eq!(gate.moved(id).len(), 1);
}

#[test]
fn no_page_and_no_object_repeats_a_card_number() {
    let mut gate = Gate::new();
    let id = gate.create(&hold(100));
    let page = submit(&mut gate, id, &TestCard::Plain.form(true));
    let shown = gate.get(id).to_string();
    assert!(!page.body.contains("4444333322221111") && !shown.contains("4444333322221111"));
    assert!(shown.contains("444433******1111"));
}
