//! What the gateway refuses, and what its error answers look like.

use chip_sandbox::{
    Answer, Commit, DEFAULT_SECRET_KEY, Difference, Effect, ErrorBody, Operation, Request, Rule,
};
use serde_json::{Value, json};

use crate::gate::{Gate, code, sale};

#[test]
fn a_body_that_is_not_announced_as_json_is_refused() {
    let mut gate = Gate::new();
    let whole = Request::api(
        "POST",
        "purchases/",
        DEFAULT_SECRET_KEY,
        sale(100).to_string(),
    );
    for (content_type, status) in [
        (None, 415),
        (Some("text/plain"), 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (Some("application/json; charset=utf-8"), 201),
    ] {
        let request = Request {
            content_type: content_type.map(str::to_owned),
            ..whole.clone()
        };
        let answer = gate.engine.answer(gate.now_ms, request);
        assert_eq!(answer.status, status, "{content_type:?}");
    }
    let id = gate.create(&sale(100));
    let bare = Request {
        content_type: None,
        ..Request::api(
            "POST",
            &format!("purchases/{id}/cancel/"),
            DEFAULT_SECRET_KEY,
            "",
        )
    };
    assert_eq!(gate.engine.answer(gate.now_ms, bare).status, 200);
}

#[test]
fn an_amount_is_a_number_or_left_out() {
    let mut gate = Gate::new();
    let id = gate.held(1000);
    let (status, refused) = gate.act(id, "capture", &json!({ "amount": null }));
    assert_eq!(
        (status, &refused["amount"][0]["code"]),
        (400, &json!("null"))
    );
    let (status, refused) = gate.act(id, "capture", &json!([700]));
    assert_eq!(
        (status, &refused["non_field_errors"][0]["code"]),
        (400, &json!("invalid"))
    );
    assert_eq!(gate.act(id, "capture", &json!({})).1["status"], "paid");
    let (status, refused) = gate.act(id, "refund", &json!({ "amount": null }));
    assert_eq!(
        (status, &refused["amount"][0]["code"]),
        (400, &json!("null"))
    );
    assert_eq!(gate.act(id, "refund", &json!("all")).0, 400);
    assert_eq!(gate.engine.ledger().refunded_for_reference("order-1"), 0);
}

#[test]
fn emails_links_and_whitelists_are_looked_at() {
    let mut gate = Gate::new();
    let mut refused = |name: &str, value: Value| {
        let mut body = sale(100);
        body[name] = value;
        let (status, answer) = gate.post("purchases/", &body);
        assert_eq!(status, 400, "{name}: {answer}");
        answer
    };
    for email in [
        "payer",
        "@test.example",
        "a b@test.example",
        "payer@test",
        "payer@te..st",
    ] {
        let answer = refused("client", json!({ "email": email }));
        assert_eq!(answer["client"]["email"][0]["code"], "invalid", "{email}");
    }
    for name in ["success_redirect", "failure_redirect", "cancel_redirect"] {
        for url in [
            "shop.test",
            "ftp://shop.test/",
            "https://",
            "https://shop.test/a b",
        ] {
            assert_eq!(
                refused(name, json!(url))[name][0]["code"],
                "invalid",
                "{url}"
            );
        }
        let long = format!("https://shop.test/{}", "x".repeat(500));
        assert_eq!(refused(name, json!(long))[name][0]["code"], "max_length");
    }
    let quoted = refused("cancel_redirect", json!("https://shop.test/?a='b'"));
    assert_eq!(quoted["cancel_redirect"][0]["code"], "invalid");
    let name = "payment_method_whitelist";
    let mixed = refused(name, json!(["visa", "razer"]));
    assert_eq!(code(&mixed), "invalid_payment_method_whitelist");
    let unknown = refused(name, json!(["visa", "card"]));
    assert_eq!(unknown[name][0]["code"], "invalid_choice");
}

#[test]
fn a_hold_takes_cards_only() {
    let mut gate = Gate::new();
    let mut body = crate::gate::hold(100);
    body["payment_method_whitelist"] = json!(["visa", "fpx"]);
    let (status, refused) = gate.post("purchases/", &body);
    assert_eq!(
        (status, code(&refused)),
        (400, "invalid_payment_method_whitelist")
    );
    body["payment_method_whitelist"] = json!(["visa", "mastercard"]);
    assert_eq!(gate.post("purchases/", &body).0, 201);
}

#[test]
fn a_webhook_asks_for_events_that_there_are() {
    let mut gate = Gate::new();
    let wish =
        |events: Value| json!({ "title": "t", "callback": "http://shop.test/", "events": events });
    let (status, refused) = gate.post(
        "webhooks/",
        &wish(json!(["purchase.paid", "purchase.lost"])),
    );
    assert_eq!(
        (status, &refused["events"][0]["code"]),
        (400, &json!("invalid_choice"))
    );
    assert_eq!(
        gate.post("webhooks/", &wish(json!(["purchase.paid"]))).0,
        201
    );
}

#[test]
fn an_error_status_carries_its_code_in_the_body_that_was_asked_for() {
    for (status, expected) in [
        (400, "invalid_request"),
        (401, "authentication_failed"),
        (403, "forbidden"),
        (404, "not_found"),
        (405, "method_not_allowed"),
        (409, "conflict"),
        (422, "unprocessable_entity"),
        (429, "rate_limited"),
        (502, "bad_gateway"),
        (503, "internal_error"),
    ] {
        let answer = |body| {
            let mut gate = Gate::new();
            let id = gate.create(&sale(100));
            let effect = Effect::Broken {
                commit: Commit::Never,
                answer: Answer::Status {
                    status,
                    retry_after_s: None,
                    body,
                },
            };
            gate.fault(Rule::on(Operation::Retrieve, effect));
            let answer = gate.raw("GET", &format!("purchases/{id}/"), &Value::Null);
            assert_eq!(answer.status, status);
            answer.body
        };
        let json = |body| serde_json::from_str::<Value>(&answer(body)).unwrap();
        assert_eq!(code(&json(ErrorBody::List)), expected);
        assert_eq!(json(ErrorBody::Object)["__all__"]["code"], expected);
        assert!(answer(ErrorBody::Html).starts_with("<html>"));
        assert_eq!(answer(ErrorBody::Empty), "");
    }
}

#[test]
fn an_answer_can_differ_from_what_was_asked_for_and_the_truth_stays() {
    let mut gate = Gate::new();
    let id = gate.create(&sale(100));
    let truth = gate.get(id);
    for (difference, pointer) in [
        (Difference::Amount, "/purchase/total"),
        (Difference::Currency, "/purchase/currency"),
        (Difference::Brand, "/brand_id"),
        (Difference::Mode, "/is_test"),
        (Difference::Conversion, "/currency_conversion"),
        (Difference::MarkedAsPaid, "/marked_as_paid"),
    ] {
        let effect = Effect::answered(Answer::Differing(difference));
        gate.fault(Rule::on(Operation::Retrieve, effect).times(1));
        let mut shown = gate.get(id);
        assert_ne!(
            shown.pointer(pointer),
            truth.pointer(pointer),
            "{difference:?}"
        );
        *shown.pointer_mut(pointer).unwrap() = truth.pointer(pointer).unwrap().clone();
        assert_eq!(shown, truth, "only that differs: {difference:?}");
        assert_eq!(gate.get(id), truth);
    }
}

#[test]
fn a_misspelt_rule_is_refused_instead_of_hitting_every_call() {
    let rule = |text: &str| serde_json::from_str::<Rule>(text).map(|rule| rule.operation);
    let good = r#"{"operation":"charge","effect":{"decline":"lost_card"}}"#;
    assert_eq!(rule(good).unwrap(), Some(Operation::Charge));
    for bad in [
        r#"{"operatoin":"charge","effect":{"decline":"lost_card"}}"#,
        r#"{"operation":"charge","effect":{"broken":{"comit":"never","answer":"silence"}}}"#,
        r#"{"operation":"charge","effect":{"broken":{"answer":{"status":{"status":500,"html":true}}}}}"#,
        r#"{"operation":"charge","effect":{"pending":{"for_ms":1,"failing":"timeout"}}}"#,
    ] {
        assert!(rule(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_fault_that_the_readme_shows_is_one() {
    let readme = include_str!("../../../README.md");
    let shown = readme
        .lines()
        .map(|line| line.trim_matches([' ', '`']))
        .find(|line| line.starts_with(r#"{"operation""#));
    let rule: Rule = serde_json::from_str(shown.unwrap()).unwrap();
    let meant = Rule::on(Operation::Charge, Effect::timeout_after_commit()).times(1);
    assert_eq!(rule, meant);
}
