//! Statements: when they are made, what stands in them, and who may read them.

use chip_sandbox::{Behaviour, DEFAULT_BRAND_ID, Request};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::gate::{Gate, START_MS};

fn csv() -> Value {
    json!({ "format": "csv", "timezone": "UTC" })
}

fn scheduled(gate: &mut Gate, query: &str) -> Value {
    let (status, shown) = gate.post(&format!("company_statements/{query}"), &csv());
    assert_eq!(status, 201, "{shown}");
    shown
}

fn read(gate: &mut Gate, statement: &Value) -> Value {
    let id = statement["id"].as_str().unwrap();
    let path = format!("company_statements/{id}/");
    gate.call("GET", &path, &Value::Null).1
}

/// The rows of a statement that is made, without a key.
fn rows(gate: &mut Gate, statement: &Value) -> Vec<String> {
    let shown = read(gate, statement);
    let link = shown["download_url"].as_str().unwrap();
    let path = link.strip_prefix("http://gate.test").unwrap();
    let request = Request {
        method: "GET".to_owned(),
        path: path.to_owned(),
        ..Request::default()
    };
    let answer = gate.engine.answer(gate.now_ms, request);
    assert_eq!(answer.status, 200);
    let mut lines = answer.body.lines().map(str::to_owned);
    assert!(lines.next().unwrap().starts_with("id,type,status"));
    lines.collect()
}

fn paid(gate: &mut Gate, reference: &str, total: u64) -> Uuid {
    let token = gate.token();
    let id = gate.create(&json!({
        "brand_id": DEFAULT_BRAND_ID, "client": { "email": "payer@example.com" },
        "reference": reference,
        "purchase": { "products": [{ "name": "Room", "price": total }] },
    }));
    assert_eq!(gate.charge(id, token).0, 200);
    id
}

#[test]
fn a_statement_is_made_after_a_while_from_what_was_taken_and_given_back() {
    let mut gate = Gate::new();
    let id = paid(&mut gate, "order, \"one\"", 1505);
    gate.act(id, "refund", &json!({ "amount": 500 }));
    let statement = scheduled(&mut gate, "");
    assert_eq!(read(&mut gate, &statement)["status"], "pending");
    assert_eq!(read(&mut gate, &statement)["download_url"], "");
    gate.pass_ms(2_000);
    assert_eq!(read(&mut gate, &statement)["status"], "success");
    let rows = rows(&mut gate, &statement);
    assert_eq!(rows.len(), 2, "{rows:?}");
    let begin =
        format!("{id},purchase,refunded,\"order, \"\"one\"\"\",{DEFAULT_BRAND_ID},MYR,15.05,");
    assert!(rows[0].starts_with(&begin), "{rows:?}");
    assert!(rows[0].ends_with("2026-09-21 14:13:20,true"), "{rows:?}");
    assert!(rows[1].contains(",refund,") && rows[1].contains(",5.00,"));
}

#[test]
fn only_what_was_paid_in_the_time_asked_for_stands_in_it() {
    let mut gate = Gate::behaving(Behaviour {
        statement_ms: 0,
        ..Behaviour::default()
    });
    let at_s = START_MS / 1000;
    paid(&mut gate, "one", 100);
    gate.pass_ms(1_000);
    paid(&mut gate, "two", 200);
    let query = format!("?paid_from={}&paid_to={}", at_s + 1, at_s + 2);
    let statement = scheduled(&mut gate, &query);
    let rows = rows(&mut gate, &statement);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert!(rows[0].contains(",two,"));
    let (status, told) = gate.post("company_statements/?paid_from=soon", &csv());
    assert_eq!(
        (status, &told["paid_from"][0]["code"]),
        (400, &json!("invalid"))
    );
}

#[test]
fn a_statement_that_was_cancelled_is_never_made() {
    let mut gate = Gate::new();
    let statement = scheduled(&mut gate, "");
    let id = statement["id"].as_str().unwrap().to_owned();
    let path = format!("company_statements/{id}/cancel/");
    assert_eq!(gate.post(&path, &Value::Null).1["status"], "cancelled");
    gate.pass_ms(60_000);
    let shown = read(&mut gate, &statement);
    assert_eq!(
        (&shown["status"], &shown["download_url"]),
        (&json!("cancelled"), &json!(""))
    );
    let listed = gate.call("GET", "company_statements/", &Value::Null).1;
    assert_eq!(listed["results"].as_array().unwrap().len(), 1);
}
