//! What the ledger says of requests and deliveries.

use chip_sandbox::{
    Config, DEFAULT_SECRET_KEY, Effect, Operation, Request, Rule, Sandbox, TestCard, WebhookConfig,
};
use serde_json::{Value, json};

use crate::gate::{Gate, sale};
use crate::wire::call;

fn committed(gate: &Gate, operation: Operation) -> Vec<bool> {
    let rows = gate.engine.ledger().requests().iter();
    rows.filter(|row| row.operation == operation)
        .map(|row| row.committed)
        .collect()
}

#[test]
fn a_page_that_was_looked_at_and_a_card_that_was_declined_took_no_effect() {
    let mut gate = Gate::new();
    let id = gate.create(&sale(100));
    gate.fault(Rule::on(Operation::DirectPost, Effect::decline("do_not_honour")).nth(1));
    for _ in 0..2 {
        gate.engine.pay(gate.now_ms, id, TestCard::Plain, false);
    }
    assert_eq!(committed(&gate, Operation::View), [false, false]);
    assert_eq!(committed(&gate, Operation::DirectPost), [false, true]);
    let asked = gate.create(&sale(100));
    gate.engine
        .pay(gate.now_ms, asked, TestCard::ThreeDSecure, false);
    assert_eq!(
        committed(&gate, Operation::DirectPost),
        [false, true, false]
    );
    assert_eq!(committed(&gate, Operation::Confirm), [true]);
}

#[test]
fn the_idempotency_key_of_a_request_is_kept_and_otherwise_ignored() {
    let mut gate = Gate::new();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let request = Request {
            idempotency_key: Some("once".to_owned()),
            ..Request::api(
                "POST",
                "purchases/",
                DEFAULT_SECRET_KEY,
                sale(100).to_string(),
            )
        };
        let answer = gate.engine.answer(gate.now_ms, request);
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        ids.push(body["id"].to_string());
    }
    assert_ne!(ids[0], ids[1], "as observed of the gateway");
    let rows = gate.engine.ledger().requests();
    let keys: Vec<_> = rows
        .iter()
        .map(|row| row.idempotency_key.as_deref())
        .collect();
    assert_eq!(keys, [Some("once"), Some("once")]);
}

#[test]
fn a_lost_delivery_leaves_a_row() {
    let mut gate = Gate::with(&Config {
        webhooks: vec![WebhookConfig::all("http://shop.test/hook")],
        ..Config::default()
    });
    gate.fault(Rule::on_event("purchase.created", Effect::Lost));
    let id = gate.create(&sale(100));
    assert!(gate.engine.tick(gate.now_ms).is_empty());
    let rows = gate.engine.ledger().deliveries();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].object_id, rows[0].attempt), (id, 0));
    assert!(!rows[0].accepted && rows[0].faults == ["lost"]);
}

#[test]
fn a_token_is_deleted_once_and_its_deletion_told_as_it_goes() {
    let mut gate = Gate::with(&Config {
        webhooks: vec![WebhookConfig {
            events: vec![
                "purchase.pending_recurring_token_delete".to_owned(),
                "purchase.recurring_token_deleted".to_owned(),
            ],
            ..WebhookConfig::all("http://shop.test/hook")
        }],
        ..Config::default()
    });
    let token = gate.token();
    gate.fault(Rule::on(Operation::DeleteToken, Effect::pending(1_000)).times(1));
    let pending = gate.act(token, "delete_recurring_token", &Value::Null).1;
    assert_eq!(pending["is_recurring_token"], true);
    gate.pass_ms(1_000);
    assert_eq!(gate.get(token)["is_recurring_token"], false);
    gate.engine.kill_token(gate.now_ms, token);
    let mut told = Vec::new();
    loop {
        let due = gate.engine.tick(gate.now_ms);
        if due.is_empty() {
            break;
        }
        for delivery in due {
            told.push(delivery.event);
            gate.engine.delivered(gate.now_ms, delivery.id, true);
        }
    }
    assert_eq!(
        told,
        [
            "purchase.pending_recurring_token_delete",
            "purchase.recurring_token_deleted"
        ]
    );
}

#[test]
fn a_token_that_cannot_be_deleted_is_told_to_nobody() {
    let mut gate = Gate::with(&Config {
        webhooks: vec![WebhookConfig::all("http://shop.test/hook")],
        ..Config::default()
    });
    let token = gate.token();
    gate.fault(Rule::on(Operation::DeleteToken, Effect::decline("timeout")));
    assert_eq!(
        gate.act(token, "delete_recurring_token", &Value::Null).0,
        400
    );
    loop {
        let due = gate.engine.tick(gate.now_ms);
        if due.is_empty() {
            break;
        }
        for delivery in due {
            assert!(!delivery.event.contains("token"), "{}", delivery.event);
            gate.engine.delivered(gate.now_ms, delivery.id, true);
        }
    }
}

#[tokio::test]
async fn what_is_refused_at_the_door_is_in_the_ledger() {
    let sandbox = Sandbox::start(Config::default()).await.unwrap();
    let path = "/api/v1/purchases/";
    let head = call(&sandbox, "HEAD", path, &Value::Null).await.unwrap();
    assert_eq!(head.status, 405);
    let huge = json!({ "notes": "x".repeat(2 << 20) });
    // The refusal may come before the whole body was sent, and then be lost with the connection.
    let _refused = call(&sandbox, "POST", path, &huge).await;
    let ledger = sandbox.ledger();
    let seen: Vec<_> = ledger
        .requests()
        .iter()
        .map(|row| (row.method.as_str(), row.operation, row.status))
        .collect();
    assert_eq!(
        seen,
        [
            ("HEAD", Operation::Unknown, Some(405)),
            ("POST", Operation::Create, Some(413))
        ]
    );
}
