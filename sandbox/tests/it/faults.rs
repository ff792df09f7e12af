use chip_sandbox::{
    Answer, Behaviour, Commit, Config, DEFAULT_SECRET_KEY, Effect, Manner, MovementKind, Operation,
    Request, Rule, Step, Ticket,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::gate::{Gate, code, sale};

fn begin(gate: &mut Gate, id: Uuid, token: Uuid) -> Result<Ticket, u16> {
    let body = json!({ "recurring_token": token }).to_string();
    let path = format!("purchases/{id}/charge/");
    let request = Request::api("POST", &path, DEFAULT_SECRET_KEY, body);
    match gate.engine.handle(gate.now_ms, request) {
        Step::Working { ticket, .. } => Ok(ticket),
        Step::Answer(response) => Err(response.status),
    }
}

#[test]
fn a_declined_charge_says_why_and_may_be_tried_again() {
    let mut gate = Gate::new();
    let token = gate.token();
    let id = gate.create(&sale(100));
    gate.fault(Rule::on(Operation::Charge, Effect::decline("insufficient_funds")).times(1));
    let (status, refused) = gate.charge(id, token);
    assert_eq!((status, code(&refused)), (400, "purchase_charge_error"));
    let shown = gate.get(id);
    assert_eq!(shown["status"], "error");
    let newest = &shown["transaction_data"]["attempts"][0];
    assert_eq!(newest["error"]["code"], "insufficient_funds");
    assert_eq!(gate.charge(id, token).1["status"], "paid");
}

#[test]
fn a_single_attempt_purchase_cannot_be_tried_again() {
    let mut gate = Gate::new();
    let token = gate.token();
    let mut body = sale(100);
    body["purchase"]["single_attempt"] = json!(true);
    let id = gate.create(&body);
    gate.fault(Rule::on(Operation::Charge, Effect::decline("do_not_honour")).times(1));
    gate.charge(id, token);
    assert_eq!(
        code(&gate.charge(id, token).1),
        "purchase_charge_wrong_status"
    );
}

#[test]
fn a_pending_charge_lists_no_attempt_until_it_ends() {
    let mut gate = Gate::new();
    let token = gate.token();
    gate.fault(Rule::on(Operation::Charge, Effect::pending(5_000)).nth(1));
    let bad = Effect::pending_then_declined(5_000, "expired_card");
    gate.fault(Rule::on(Operation::Charge, bad).nth(2));
    let (good, bad) = (gate.create(&sale(100)), gate.create(&sale(100)));
    for id in [good, bad] {
        let (status, pending) = gate.charge(id, token);
        assert_eq!(
            (status, pending["status"].as_str()),
            (200, Some("pending_charge"))
        );
        assert_eq!(pending["transaction_data"]["attempts"], json!([]));
        assert_eq!(gate.moved(id), []);
    }
    gate.pass_ms(5_000);
    assert_eq!(gate.get(good)["status"], "paid");
    assert_eq!(gate.get(bad)["status"], "error");
    assert_eq!(gate.moved(good), [(MovementKind::Charge, 100)]);
    assert_eq!(gate.moved(bad), []);
}

#[test]
fn a_failed_pending_capture_goes_back_to_hold() {
    let mut gate = Gate::new();
    let id = gate.held(100);
    let effect = Effect::pending_then_declined(2_000, "acquirer_internal_error");
    gate.fault(Rule::on(Operation::Capture, effect));
    assert_eq!(
        gate.act(id, "capture", &Value::Null).1["status"],
        "pending_capture"
    );
    gate.pass_ms(2_000);
    assert_eq!(gate.get(id)["status"], "hold");
}

#[test]
fn whether_money_moves_depends_on_the_commit_and_not_on_the_answer() {
    for (effect, manner, moves) in [
        (Effect::timeout_before_commit(), Manner::Silence, false),
        (Effect::timeout_after_commit(), Manner::Silence, true),
        (Effect::reset_before_commit(), Manner::Reset, false),
        (Effect::reset_after_commit(), Manner::Reset, true),
        (Effect::status_before_commit(502), Manner::Whole, false),
        (Effect::status_after_commit(500), Manner::Whole, true),
        (Effect::truncated(), Manner::Truncated, true),
        (Effect::rate_limited(7), Manner::Whole, false),
    ] {
        let mut gate = Gate::new();
        let token = gate.token();
        let id = gate.create(&sale(100));
        gate.fault(Rule::on(Operation::Charge, effect));
        let body = json!({ "recurring_token": token });
        let response = gate.raw("POST", &format!("purchases/{id}/charge/"), &body);
        assert_eq!(response.manner, manner);
        assert_eq!(!gate.moved(id).is_empty(), moves);
        let ledger = gate.engine.ledger();
        let row = ledger.requests_of(id, Operation::Charge)[0];
        assert_eq!((row.committed, row.faults.len()), (moves, 1));
        assert_eq!(ledger.counts(Operation::Charge).faulted, 1);
    }
}

#[test]
fn a_request_stuck_on_the_way_takes_effect_late_and_unannounced() {
    let mut gate = Gate::new();
    let token = gate.token();
    let id = gate.create(&sale(100));
    gate.fault(Rule::on(Operation::Charge, Effect::committed_late(60_000)).times(1));
    gate.charge(id, token);
    gate.pass_ms(59_999);
    assert_eq!(gate.get(id)["status"], "created");
    gate.pass_ms(1);
    assert_eq!(gate.get(id)["status"], "paid");
}

#[test]
fn a_late_charge_after_a_cancel_moves_nothing() {
    let mut gate = Gate::new();
    let token = gate.token();
    let id = gate.create(&sale(100));
    gate.fault(Rule::on(Operation::Charge, Effect::committed_late(60_000)));
    gate.charge(id, token);
    assert_eq!(gate.act(id, "cancel", &Value::Null).0, 200);
    gate.pass_ms(60_000);
    assert_eq!(gate.get(id)["status"], "cancelled");
    assert_eq!(gate.moved(id), []);
}

#[test]
fn answers_can_be_rubbish_or_name_another_purchase() {
    let mut gate = Gate::new();
    let id = gate.create(&sale(100));
    let broken = |answer| Effect::Broken {
        commit: Commit::Now,
        answer,
    };
    gate.fault(Rule::on(Operation::Retrieve, broken(Answer::NotJson)).nth(1));
    gate.fault(Rule::on(Operation::Retrieve, broken(Answer::WrongId)).nth(2));
    let path = format!("purchases/{id}/");
    let rubbish = gate.raw("GET", &path, &Value::Null);
    assert!(rubbish.status == 200 && serde_json::from_str::<Value>(&rubbish.body).is_err());
    let other = gate.get(id);
    assert_ne!(other["id"], id.to_string());
    assert_eq!(gate.get(id)["id"], id.to_string());
}

#[test]
fn stale_reads_show_what_was_true() {
    let mut gate = Gate::new();
    let token = gate.token();
    let id = gate.create(&sale(100));
    gate.pass_ms(10_000);
    gate.charge(id, token);
    gate.pass_ms(1_000);
    gate.fault(Rule::on(Operation::Retrieve, Effect::StaleBy(5_000)).nth(1));
    gate.fault(Rule::on(Operation::Retrieve, Effect::StaleStatus).nth(2));
    let old = gate.get(id);
    assert_eq!(
        (old["status"].as_str(), &old["payment"]),
        (Some("created"), &Value::Null)
    );
    assert_eq!(old["status_history"].as_array().unwrap().len(), 1);
    assert_eq!(gate.get(id)["status"], "pending_charge");
    assert_eq!(gate.get(id)["status"], "paid");
}

#[test]
fn of_two_charges_in_flight_one_is_refused_unless_the_gateway_does_not_serialise() {
    for (serialises, movements) in [(true, 1), (false, 2)] {
        let behaviour = Behaviour {
            charge_ms: 100,
            serialises_charges: serialises,
            ..Behaviour::default()
        };
        let mut gate = Gate::behaving(behaviour);
        let token = gate.token();
        let id = gate.create(&sale(100));
        let flights = [begin(&mut gate, id, token), begin(&mut gate, id, token)];
        assert_eq!(flights[1].is_ok(), !serialises);
        for ticket in flights.into_iter().flatten() {
            assert_eq!(gate.engine.finish(gate.now_ms, ticket).unwrap().status, 200);
        }
        assert_eq!(gate.moved(id).len(), movements);
    }
}

#[test]
fn a_cancel_can_be_made_to_race_a_charge() {
    for races in [false, true] {
        let behaviour = Behaviour {
            charge_ms: 100,
            cancel_races_charge: races,
            ..Behaviour::default()
        };
        let mut gate = Gate::behaving(behaviour);
        let token = gate.token();
        let id = gate.create(&sale(100));
        let ticket = begin(&mut gate, id, token).unwrap();
        let cancelled = gate.act(id, "cancel", &Value::Null).0;
        assert_eq!(cancelled, if races { 200 } else { 400 });
        gate.engine.finish(gate.now_ms, ticket).unwrap();
        assert_eq!(gate.get(id)["status"], "paid");
        assert_eq!(gate.moved(id).len(), 1);
    }
}

#[test]
fn a_rule_acts_only_on_the_calls_it_names() {
    let mut gate = Gate::new();
    let effect = || Effect::status_before_commit(503);
    gate.fault(Rule::on(Operation::Create, effect()).reference("other"));
    gate.fault(Rule::on(Operation::Create, effect()).metadata("order", 7));
    gate.fault(Rule::on(Operation::Retrieve, effect()).every(2));
    let id = gate.create(&sale(100));
    let mut other = sale(100);
    other["reference"] = json!("other");
    assert_eq!(gate.post("purchases/", &other).0, 503);
    let mut tagged = sale(100);
    tagged["purchase"]["metadata"] = json!({ "order": 7 });
    assert_eq!(gate.post("purchases/", &tagged).0, 503);
    let path = format!("purchases/{id}/");
    let seen: Vec<u16> = (0..4)
        .map(|_| gate.call("GET", &path, &Value::Null).0)
        .collect();
    assert_eq!(seen, [200, 503, 200, 503]);
}

#[test]
fn chance_follows_from_its_seed() {
    let run = |seed| -> Vec<u16> {
        let mut gate = Gate::new();
        let id = gate.create(&sale(100));
        let effect = Effect::status_before_commit(503);
        gate.fault(Rule::on(Operation::Retrieve, effect).probability(0.5, seed));
        let path = format!("purchases/{id}/");
        (0..64)
            .map(|_| gate.call("GET", &path, &Value::Null).0)
            .collect()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn rules_survive_the_wire() {
    let rule = Rule::on(Operation::Charge, Effect::committed_late(9)).nth(2);
    let text = serde_json::to_string(&rule).unwrap();
    assert_eq!(serde_json::from_str::<Rule>(&text).unwrap(), rule);
    let short = json!({ "operation": "charge", "effect": { "decline": "lost_card" } });
    assert!(serde_json::from_value::<Rule>(short).is_ok());
}

#[test]
fn without_request_rows_counts_and_movements_are_kept() {
    let mut gate = Gate::with(&Config {
        keep_requests: false,
        ..Config::default()
    });
    let id = gate.held(100);
    assert!(gate.engine.ledger().requests().is_empty());
    assert_eq!(gate.engine.ledger().counts(Operation::Create).committed, 1);
    assert_eq!(gate.moved(id).len(), 1);
}
