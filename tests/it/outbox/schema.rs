//! The JSON Schema of an event against the events that the code makes.

use boon::{Compiler, Schemas};
use holdfast::store::StateEvent;
use serde_json::json;

use super::*;
use crate::stage;

fn schema() -> Value {
    serde_json::from_str(StateEvent::SCHEMA).unwrap()
}

fn judge(body: &Value) -> Result<(), String> {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.enable_format_assertions();
    let address = "http://schema.example/event.json";
    compiler.add_resource(address, schema()).unwrap();
    let schema = compiler.compile(address, &mut schemas).unwrap();
    schemas
        .validate(body, schema)
        .map_err(|error| format!("{body}: {error:#}"))
}

pub(crate) fn is_valid(body: &Value) {
    judge(body).unwrap();
}

/// Every field below a value, as `hold.money.amount`; `seen` on one side, described on the other.
fn fields(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    for (name, inner) in value.as_object().into_iter().flatten() {
        let place = format!("{at}.{name}");
        fields(inner, &place, found);
        found.insert(place);
    }
}

fn described(part: &Value, at: &str, found: &mut BTreeSet<String>) {
    let whole = schema();
    let part = match part["$ref"].as_str() {
        Some(to) => whole.pointer(to.trim_start_matches('#')).unwrap(),
        None => part,
    };
    assert!(part["description"].is_string(), "{at} is not described");
    assert!(part["examples"].is_array(), "{at} has no example");
    for (name, inner) in part["properties"].as_object().into_iter().flatten() {
        let place = format!("{at}.{name}");
        described(inner, &place, found);
        found.insert(place);
    }
}

#[test]
fn the_examples_are_events_and_read_as_such() {
    let examples = schema()["examples"].as_array().unwrap().clone();
    assert!(examples.len() >= 3);
    for example in examples {
        is_valid(&example);
        let event: StateEvent = serde_json::from_value(example["data"].clone()).unwrap();
        assert_eq!(serde_json::to_value(&event).unwrap(), example["data"]);
        assert_eq!(example["type"], format!("payment.{}", event.state));
        assert_eq!(example["timestamp"], example["data"]["at"]);
    }
}

#[test]
fn the_event_that_the_page_shows_is_one() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/events.md");
    let page = std::fs::read_to_string(page).unwrap();
    let at = page.find(r#"{"type":"payment."#).unwrap();
    let mut values = serde_json::Deserializer::from_str(&page[at..]).into_iter();
    let shown: Value = values.next().unwrap().unwrap();
    is_valid(&shown);
    let version = shown["data"]["version"].as_u64().unwrap();
    let id = format!("evt_{}_{version}", field(&shown["data"], "payment"));
    let (_, shown_id) = page.split_once("webhook-id: ").unwrap();
    let (shown_id, _) = shown_id.split_once('\n').unwrap();
    let place = shown_id.strip_prefix(&format!("{id}_")).unwrap();
    assert!(place.parse::<holdfast::store::EventPlace>().is_ok());
}

#[test]
fn an_event_of_before_is_still_one() {
    let body = json!({"type": "payment.held", "timestamp": "2027-01-31T06:00:00Z", "data": {
        "v": 1, "payment": "pay_3f0c2b7de1a94c5d8e6f70819a2b3c4d", "account": "hotel",
        "state": "held", "version": 3, "at": "2027-01-31T06:00:00Z"}});
    is_valid(&body);
    let event: StateEvent = serde_json::from_value(body["data"].clone()).unwrap();
    assert_eq!(serde_json::to_value(event).unwrap(), body["data"]);
    let mut wrong = body.clone();
    wrong["data"]["state"] = json!("gone");
    assert!(judge(&wrong).is_err());
}

#[tokio::test]
async fn what_the_code_tells_and_what_the_schema_describes_are_the_same() {
    let mail = Mail::start().await;
    let stage = &mail.stage;
    mail.paid("paid").await;
    let held = stage.authorize_by_token("held", 45_000, "{}").await;
    let checkout = stage.authorize_by_checkout("waits", 1_500, "{}").await;
    let body = r#""type":"save_card","checkout":{},"currency":"MYR","reference":"8123",
        "customer":{"email":"payer@test.example"}"#;
    let saved = stage.enqueue("saved", body).await;
    let cancelled = stage.charge("cancelled", 1_500).await;
    stage.command(&cancelled, "never", Command::Cancel).await;
    // A purchase that nobody knows: the look-ups end, and a person is asked.
    let unknown = r#""type":"adopt","purchase":"5a9e3c1c-0000-4000-8000-00000000dead",
        "money":{"amount":1500,"currency":"MYR"}"#;
    let parked = stage.enqueue("parked", unknown).await;
    stage.work().await;
    stage.payer_pays(&saved).await;
    stage.command(&held, "back", Command::Release).await;
    stage.work_for(TimeDelta::days(3)).await;
    let states = [
        (&held, StateName::Released),
        (&saved, StateName::Saved),
        (&cancelled, StateName::Failed),
        (&parked, StateName::Parked),
    ];
    for (id, state) in states {
        assert_eq!(stage.state(id).await, state);
    }
    assert_eq!(stage.state(&checkout).await, StateName::Failed);
    mail.deliver().await;
    let (mut seen, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    let card = match stage.payment(&saved).await.state() {
        State::Saved(token) => token.as_str().to_owned(),
        other => panic!("{other:?}"),
    };
    for heard in mail.receiver.heard() {
        is_valid(&heard.body());
        fields(&heard.body(), "", &mut seen);
        kinds.insert(heard.kind());
        assert!(!heard.text().contains(&card), "a token was told");
    }
    let all = StateName::ALL.map(|state| format!("payment.{state}"));
    assert_eq!(kinds, all.into());
    let mut known = BTreeSet::new();
    described(&schema(), "", &mut known);
    // These come with some reasons only, and where people settled it, which no flow of this test has.
    let others = [".data.reason.code", ".data.reason.what", ".data.resolved"];
    seen.extend(others.map(str::to_owned));
    assert_eq!(seen, known);
    assert_eq!(stage::account().as_str(), "hotel");
}
