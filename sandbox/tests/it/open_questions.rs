//! Where nobody has written down what the gateway does: every answer can be had.

use chip_sandbox::{
    Behaviour, DEFAULT_SECRET_KEY, Effect, MovementKind, Operation, Request, Rule, Step,
};
use serde_json::{Value, json};

use crate::gate::{Gate, code, hold, sale};

fn with(change: impl FnOnce(&mut Behaviour)) -> Gate {
    let mut behaviour = Behaviour::default();
    change(&mut behaviour);
    Gate::behaving(behaviour)
}

#[test]
fn a_charge_after_a_decline_is_taken_or_refused() {
    for may in [true, false] {
        let mut gate = with(|it| it.charges_after_error = may);
        let token = gate.token();
        let id = gate.create(&sale(100));
        gate.fault(Rule::on(Operation::Charge, Effect::decline("do_not_honour")).times(1));
        gate.charge(id, token);
        let (status, second) = gate.charge(id, token);
        if may {
            assert_eq!((status, second["status"].as_str()), (200, Some("paid")));
        } else {
            assert_eq!(
                (status, code(&second)),
                (400, "purchase_charge_wrong_status")
            );
            assert_eq!(gate.moved(id), []);
        }
    }
}

#[test]
fn of_two_captures_in_flight_one_is_refused_unless_the_gateway_does_not_serialise() {
    for (serialises, captures) in [(true, 1), (false, 2)] {
        let mut gate = with(|it| {
            it.capture_ms = 100;
            it.serialises_captures = serialises;
        });
        let id = gate.held(1000);
        let flights: Vec<_> = (0..2)
            .filter_map(|_| {
                let path = format!("purchases/{id}/capture/");
                let request = Request::api("POST", &path, DEFAULT_SECRET_KEY, "");
                match gate.engine.handle(gate.now_ms, request) {
                    Step::Working { ticket, .. } => Some(ticket),
                    Step::Answer(refused) => {
                        assert_eq!(refused.status, 400);
                        None
                    }
                }
            })
            .collect();
        for ticket in flights {
            let answer = gate.engine.finish(gate.now_ms, ticket).unwrap();
            assert_eq!(answer.status, 200);
        }
        let taken = gate.moved(id);
        let taken = taken.iter().filter(|m| m.0 == MovementKind::Capture);
        assert_eq!(taken.count(), captures);
        assert_eq!(gate.get(id)["status"], "paid");
    }
}

#[test]
fn a_failed_pending_capture_may_leave_no_trace() {
    for (lists, attempts) in [(true, 2), (false, 1)] {
        let mut gate = with(|it| it.lists_failed_captures = lists);
        let id = gate.held(100);
        let effect = Effect::pending_then_declined(2_000, "acquirer_internal_error");
        gate.fault(Rule::on(Operation::Capture, effect).times(1));
        gate.act(id, "capture", &Value::Null);
        gate.pass_ms(2_000);
        let shown = gate.get(id);
        assert_eq!(shown["status"], "hold");
        let listed = shown["transaction_data"]["attempts"].as_array().unwrap();
        assert_eq!(listed.len(), attempts);
    }
}

#[test]
fn a_paid_purchase_may_show_its_payment_later() {
    let mut gate = with(|it| it.paid_without_payment_ms = 3_000);
    let token = gate.token();
    let id = gate.create(&sale(100));
    let paid = gate.charge(id, token).1;
    assert_eq!(
        (&paid["status"], &paid["payment"]),
        (&json!("paid"), &Value::Null)
    );
    gate.pass_ms(2_999);
    assert_eq!(gate.get(id)["payment"], Value::Null);
    gate.pass_ms(1);
    assert_eq!(gate.get(id)["payment"]["amount"], 100);
}

#[test]
fn what_a_person_marks_as_paid_moves_no_money() {
    let mut gate = Gate::new();
    let token = gate.token();
    let id = gate.create(&sale(100));
    let (status, marked) = gate.act(id, "mark_as_paid", &Value::Null);
    assert_eq!((status, &marked["status"]), (200, &json!("paid")));
    assert_eq!(marked["marked_as_paid"], true);
    assert_eq!(gate.moved(id), []);
    assert_eq!(
        code(&gate.charge(id, token).1),
        "purchase_charge_wrong_status"
    );
    let (status, again) = gate.act(id, "mark_as_paid", &Value::Null);
    assert_eq!(
        (status, code(&again)),
        (400, "purchase_mark_as_paid_wrong_status")
    );
}

#[test]
fn a_read_can_be_older_than_the_purchase_or_than_the_last_operation() {
    let mut gate = Gate::new();
    let token = gate.token();
    let id = gate.create(&sale(100));
    gate.pass_ms(1_000);
    gate.charge(id, token);
    gate.pass_ms(1_000);
    gate.fault(Rule::on(Operation::Retrieve, Effect::StaleBy(2_001)).nth(1));
    gate.fault(Rule::on(Operation::Retrieve, Effect::StaleBy(2_000)).nth(2));
    gate.fault(Rule::on(Operation::Retrieve, Effect::BeforeOperation).nth(3));
    let path = format!("purchases/{id}/");
    let (status, missing) = gate.call("GET", &path, &Value::Null);
    assert_eq!((status, code(&missing)), (404, "not_found"));
    assert_eq!(gate.get(id)["status"], "created");
    let before = gate.get(id);
    assert_eq!(
        before["status"], "created",
        "a synchronous charge as if it were not"
    );
    assert_eq!(before["transaction_data"]["attempts"], json!([]));
    assert_eq!(gate.get(id)["status"], "paid");
}

#[test]
fn a_lapsed_hold_is_reserved_no_more_and_can_only_be_let_go() {
    let mut gate = with(|it| it.hold_lifetime_ms = Some(60_000));
    let id = gate.create(&hold(500));
    let token = gate.token();
    gate.charge(id, token);
    gate.pass_ms(59_999);
    gate.engine.tick(gate.now_ms);
    assert_eq!(gate.engine.ledger().held_for_reference("order-1"), 500);
    gate.pass_ms(1);
    gate.engine.tick(gate.now_ms);
    assert_eq!(gate.engine.ledger().held_for_reference("order-1"), 0);
    assert_eq!(
        code(&gate.act(id, "capture", &Value::Null).1),
        "purchase_capture_error"
    );
    assert_eq!(
        gate.act(id, "release", &Value::Null).1["status"],
        "released"
    );
    assert_eq!(
        gate.moved(id),
        [(MovementKind::Hold, 500), (MovementKind::Lapse, 500)]
    );
}

#[test]
fn a_hold_does_not_lapse_under_a_capture_that_is_under_way() {
    let mut gate = with(|it| it.hold_lifetime_ms = Some(60_000));
    let id = gate.held(500);
    gate.fault(Rule::on(Operation::Capture, Effect::pending(10_000)));
    gate.pass_ms(55_000);
    gate.act(id, "capture", &Value::Null);
    gate.pass_ms(10_000);
    assert_eq!(gate.get(id)["status"], "paid");
    assert_eq!(
        gate.moved(id),
        [(MovementKind::Hold, 500), (MovementKind::Capture, 500)]
    );
}

#[test]
fn an_expired_purchase_is_charged_or_not() {
    for may in [false, true] {
        let mut gate = with(|it| it.charges_expired = may);
        let token = gate.token();
        let mut body = sale(100);
        body["due"] = json!(gate.now_ms / 1000 + 10);
        body["purchase"]["due_strict"] = json!(true);
        let id = gate.create(&body);
        gate.pass_ms(10_000);
        assert_eq!(gate.get(id)["status"], "expired");
        let (status, answer) = gate.charge(id, token);
        if may {
            assert_eq!((status, answer["status"].as_str()), (200, Some("paid")));
            assert_eq!(gate.moved(id), [(MovementKind::Charge, 100)]);
        } else {
            assert_eq!(
                (status, code(&answer)),
                (400, "purchase_charge_wrong_status")
            );
            assert_eq!(gate.moved(id), []);
        }
    }
}

#[test]
fn a_repeat_with_its_key_is_answered_as_the_call_was_or_is_a_call_of_its_own() {
    for honours in [false, true] {
        let mut gate = with(|it| it.honours_idempotency_keys = honours);
        let token = gate.token();
        let mut sent = |path: &str, body: &Value| {
            let mut request = Request::api("POST", path, DEFAULT_SECRET_KEY, body.to_string());
            request.idempotency_key = Some("once".to_owned());
            let answer = gate.engine.answer(gate.now_ms, request);
            (answer.status, serde_json::from_str(&answer.body).unwrap())
        };
        let made: [(u16, Value); 2] = [(); 2].map(|()| sent("purchases/", &sale(100)));
        assert_eq!(made[0].1["id"] == made[1].1["id"], honours);
        let id = made[0].1["id"].as_str().unwrap();
        let charge = json!({ "recurring_token": token });
        let path = format!("purchases/{id}/charge/");
        assert_eq!(sent(&path, &charge).0, 200);
        assert_eq!(sent(&path, &charge).0 == 200, honours);
        let id = uuid::Uuid::try_parse(id).unwrap();
        assert_eq!(gate.moved(id), [(MovementKind::Charge, 100)], "{honours}");
    }
}

#[test]
fn a_merchant_may_have_no_form_of_its_own() {
    for offers in [true, false] {
        let mut gate = with(|it| it.offers_direct_post = offers);
        let mut body = sale(100);
        for redirect in ["success_redirect", "failure_redirect"] {
            body[redirect] = json!("https://shop.example/back");
        }
        let id = gate.create(&body);
        assert_eq!(gate.get(id)["direct_post_url"].is_string(), offers);
    }
}
