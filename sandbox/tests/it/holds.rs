use chip_sandbox::{Behaviour, MovementKind, TestCard};
use serde_json::{Value, json};

use crate::gate::{Gate, code, hold};

#[test]
fn a_partial_capture_gives_the_rest_back_and_is_the_only_one() {
    let mut gate = Gate::new();
    let id = gate.held(1000);
    let shown = gate.get(id);
    assert_eq!(shown["status"], "hold");
    assert_eq!(shown["payment"], Value::Null);
    let over = gate.act(id, "capture", &json!({ "amount": 1001 })).1;
    assert_eq!(over["amount"][0]["code"], "max_value");
    let none = gate.act(id, "capture", &json!({ "amount": 0 })).1;
    assert_eq!(none["amount"][0]["code"], "min_value");
    let (status, paid) = gate.act(id, "capture", &json!({ "amount": 700 }));
    assert_eq!((status, paid["status"].as_str()), (200, Some("paid")));
    assert_eq!(paid["payment"]["amount"], 700);
    assert_eq!(paid["purchase"]["total"], 1000);
    assert_eq!(paid["transaction_data"]["attempts"][0]["type"], "capture");
    assert_eq!(paid["transaction_data"]["attempts"][1]["type"], "authorize");
    let (status, again) = gate.act(id, "capture", &Value::Null);
    assert_eq!(
        (status, code(&again)),
        (400, "purchase_capture_wrong_status")
    );
    let kinds = [
        MovementKind::Hold,
        MovementKind::Capture,
        MovementKind::Release,
    ];
    assert_eq!(
        gate.moved(id),
        [(kinds[0], 1000), (kinds[1], 700), (kinds[2], 300)]
    );
    assert_eq!(gate.engine.ledger().held_for_reference("order-1"), 0);
}

#[test]
fn a_released_hold_can_be_neither_captured_nor_released() {
    let mut gate = Gate::new();
    let id = gate.held(1000);
    assert_eq!(
        gate.act(id, "release", &Value::Null).1["status"],
        "released"
    );
    assert_eq!(
        code(&gate.act(id, "release", &Value::Null).1),
        "purchase_release_wrong_status"
    );
    assert_eq!(
        code(&gate.act(id, "capture", &Value::Null).1),
        "purchase_capture_wrong_status"
    );
    assert_eq!(
        gate.moved(id),
        [(MovementKind::Hold, 1000), (MovementKind::Release, 1000)]
    );
}

#[test]
fn a_lapsed_hold_still_says_hold_and_its_capture_fails_at_the_acquirer() {
    let behaviour = Behaviour {
        hold_lifetime_ms: Some(60_000),
        ..Behaviour::default()
    };
    let mut gate = Gate::behaving(behaviour);
    let id = gate.held(1000);
    gate.pass_ms(60_000);
    let (status, refused) = gate.act(id, "capture", &Value::Null);
    assert_eq!((status, code(&refused)), (400, "purchase_capture_error"));
    let shown = gate.get(id);
    assert_eq!(shown["status"], "hold");
    assert_eq!(
        shown["transaction_data"]["attempts"][0]["successful"],
        false
    );
    assert_eq!(
        gate.moved(id),
        [(MovementKind::Hold, 1000), (MovementKind::Lapse, 1000)]
    );
}

#[test]
fn a_preauthorization_saves_the_card_and_moves_no_money() {
    let mut gate = Gate::new();
    let id = gate.create(&hold(0));
    gate.engine.pay(gate.now_ms, id, TestCard::Plain, false);
    let shown = gate.get(id);
    assert_eq!(shown["status"], "preauthorized");
    assert_eq!(shown["is_recurring_token"], true);
    assert_eq!(gate.moved(id), []);
    assert_eq!(
        code(&gate.act(id, "capture", &Value::Null).1),
        "purchase_capture_wrong_status"
    );
}

#[test]
fn a_hold_is_a_token_only_when_asked_for() {
    let mut gate = Gate::new();
    let plain = gate.held(100);
    assert_eq!(gate.get(plain)["is_recurring_token"], false);
    let remembered = gate.create(&hold(100));
    gate.engine
        .pay(gate.now_ms, remembered, TestCard::Plain, true);
    assert_eq!(gate.get(remembered)["is_recurring_token"], true);
}
