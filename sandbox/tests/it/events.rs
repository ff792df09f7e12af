use chip_sandbox::{Config, Delivery, Effect, Operation, Rule, WebhookConfig};
use serde_json::{Value, json};

use crate::gate::{Gate, START_MS, hold, sale};

const MINUTE_MS: i64 = 60_000;

fn heard(events: &[&str]) -> Gate {
    let webhook = WebhookConfig {
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        ..WebhookConfig::all("http://shop.test/hook")
    };
    Gate::with(&Config {
        webhooks: vec![webhook],
        ..Config::default()
    })
}

fn due(gate: &mut Gate) -> Vec<Delivery> {
    gate.engine.tick(gate.now_ms)
}

/// Accepts everything until nothing more comes; answers the events in their order.
fn drain(gate: &mut Gate) -> Vec<&'static str> {
    let mut names = Vec::new();
    loop {
        let deliveries = due(gate);
        if deliveries.is_empty() {
            return names;
        }
        for delivery in deliveries {
            names.push(delivery.event);
            gate.engine.delivered(gate.now_ms, delivery.id, true);
        }
    }
}

#[test]
fn a_captured_hold_is_told_step_by_step_and_in_order() {
    let mut gate = heard(&[]);
    let id = gate.held(100);
    gate.act(id, "capture", &Value::Null);
    let expected = [
        "created",
        "viewed",
        "pending_execute",
        "hold",
        "pending_capture",
        "captured",
        "paid",
    ];
    let names: Vec<_> = drain(&mut gate)
        .iter()
        .map(|n| n.trim_start_matches("purchase."))
        .collect();
    assert_eq!(names, expected);
}

#[test]
fn a_delivery_is_the_flat_purchase_as_it_was_at_the_event() {
    let mut gate = heard(&["purchase.hold"]);
    let id = gate.held(100);
    gate.act(id, "release", &Value::Null);
    let delivery = due(&mut gate).remove(0);
    let body: Value = serde_json::from_str(&delivery.body).unwrap();
    assert_eq!(body["event_type"], "purchase.hold");
    assert_eq!(
        (body["status"].as_str(), &body["id"]),
        (Some("hold"), &json!(id))
    );
}

#[test]
fn a_refused_delivery_is_tried_eight_times_on_the_schedule_and_then_given_up() {
    let mut gate = heard(&["purchase.created", "purchase.cancelled"]);
    let id = gate.create(&sale(100));
    gate.act(id, "cancel", &Value::Null);
    let mut tries = Vec::new();
    loop {
        let deliveries = due(&mut gate);
        if let Some(delivery) = deliveries.first() {
            if delivery.event == "purchase.cancelled" {
                break;
            }
            tries.push((gate.now_ms - START_MS) / MINUTE_MS);
            gate.engine.delivered(gate.now_ms, delivery.id, false);
        }
        gate.now_ms = gate.engine.next_wake_ms().unwrap().max(gate.now_ms);
    }
    assert_eq!(tries, [0, 2, 8, 26, 80, 242, 728, 2186]);
}

#[test]
fn a_later_event_waits_for_an_earlier_one_of_the_same_purchase_only() {
    let mut gate = heard(&[]);
    let first = gate.create(&sale(100));
    gate.act(first, "cancel", &Value::Null);
    let second = gate.create(&sale(100));
    let now = due(&mut gate);
    let objects: Vec<_> = now
        .iter()
        .map(|delivery| (delivery.object_id, delivery.event))
        .collect();
    assert_eq!(
        objects,
        [(first, "purchase.created"), (second, "purchase.created")]
    );
}

#[test]
fn webhooks_can_be_lost_duplicated_late_and_overtaken() {
    let run = |effect: Effect| {
        let mut gate = heard(&["purchase.created", "purchase.cancelled"]);
        gate.fault(Rule::on_event("purchase.created", effect));
        let id = gate.create(&sale(100));
        gate.act(id, "cancel", &Value::Null);
        let mut names = drain(&mut gate);
        gate.pass_ms(10_000);
        names.extend(drain(&mut gate));
        names
    };
    assert_eq!(run(Effect::Lost), ["purchase.cancelled"]);
    let twice = run(Effect::Duplicated);
    assert_eq!(
        twice
            .iter()
            .filter(|name| **name == "purchase.created")
            .count(),
        2
    );
    assert_eq!(
        run(Effect::Latency(5_000)),
        ["purchase.created", "purchase.cancelled"]
    );
    assert_eq!(
        run(Effect::Reordered(5_000)),
        ["purchase.cancelled", "purchase.created"]
    );
}

#[test]
fn the_success_callback_fires_only_when_money_was_taken() {
    let mut gate = Gate::new();
    let token = gate.token();
    let calling = |mut body: Value| {
        body["success_callback"] = json!("http://shop.test/callback");
        body
    };
    let held = gate.create(&calling(hold(100)));
    gate.charge(held, token);
    assert!(drain(&mut gate).is_empty(), "a hold is not a success");
    gate.act(held, "capture", &Value::Null);
    assert_eq!(drain(&mut gate), ["purchase.paid"]);
    let sold = gate.create(&calling(sale(100)));
    gate.fault(Rule::on(Operation::Charge, Effect::decline("do_not_honour")).times(1));
    gate.charge(sold, token);
    assert!(drain(&mut gate).is_empty(), "a decline is not a success");
    gate.charge(sold, token);
    assert_eq!(drain(&mut gate), ["purchase.paid"]);
}

#[test]
fn a_registered_webhook_hears_what_it_asked_for_until_it_is_deleted() {
    let mut gate = Gate::new();
    let wish = json!({
        "title": "mine", "callback": "http://shop.test/hook", "events": ["purchase.cancelled"],
    });
    let (status, hook) = gate.post("webhooks/", &wish);
    assert_eq!(status, 201);
    assert!(
        hook["public_key"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN PUBLIC KEY-----")
    );
    let id = gate.create(&sale(100));
    gate.act(id, "cancel", &Value::Null);
    assert_eq!(drain(&mut gate), ["purchase.cancelled"]);
    let path = format!("webhooks/{}/", hook["id"].as_str().unwrap());
    assert_eq!(gate.call("DELETE", &path, &Value::Null).0, 204);
    let id = gate.create(&sale(100));
    gate.act(id, "cancel", &Value::Null);
    assert!(drain(&mut gate).is_empty());
}
