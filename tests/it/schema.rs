//! The JSON Schemas of the wire format against the code that reads it, in both directions.

mod corpus;
mod wire;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::Parser;
use holdfast::cli::{Around, Cli, run};
use holdfast::payment::{Command, LARGEST_MINOR, Request};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

use corpus::{anything, fine_request};
use wire::{DAY, FRACTION, OF_A_REQUEST, Verdict, Wire};

const TOKEN: &str = "5a9e3c1c-0000-4000-8000-00000000cafe";

/// Puts `value` at `place`, with the objects that lead there.
fn put(message: &mut Value, place: &str, value: Value) {
    let mut at = message;
    for name in place.split('/').skip(1) {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[name];
    }
    *at = value;
}

fn take_away(message: &mut Value, place: &str) {
    let (parent, name) = place.rsplit_once('/').unwrap();
    if let Some(Value::Object(fields)) = message.pointer_mut(parent) {
        fields.remove(name);
    }
}

/// Where there is anything in a message.
fn places(message: &Value, at: &str, found: &mut Vec<String>) {
    for (name, value) in message.as_object().into_iter().flatten() {
        let place = format!("{at}/{name}");
        places(value, &place, found);
        found.push(place);
    }
}

/// Asserts that both agree on `message`, whatever is taken from it, added to it or put in it.
fn survives_mutation(wire: &Wire, message: &Value, seen: &mut BTreeSet<Verdict>, count: &mut u32) {
    let mut judge = |message: &Value| {
        *count += 1;
        seen.insert(wire.judged(message));
    };
    let tag = if message["type"].is_string() {
        "type"
    } else {
        "command"
    };
    let of_this_kind = |kind: &&Value| kind["properties"][tag]["const"] == message[tag];
    let kind = wire.kinds().into_iter().find(of_this_kind).unwrap();
    let mut fields = Vec::new();
    wire.fields(kind, "", &mut fields);
    let mut at = vec![String::new()];
    places(message, "", &mut at);
    at.extend(fields.into_iter().map(|(place, _)| place));
    for place in &at {
        for value in anything() {
            let mut changed = message.clone();
            put(&mut changed, place, value);
            judge(&changed);
        }
        for name in ["surprise", "Amount", "ask", ""] {
            let mut changed = message.clone();
            put(&mut changed, &format!("{place}/{name}"), json!(1));
            judge(&changed);
        }
        if !place.is_empty() {
            let mut changed = message.clone();
            take_away(&mut changed, place);
            judge(&changed);
        }
    }
}

#[test]
fn what_the_schema_refuses_the_code_refuses_and_the_reverse() {
    for (wire, least) in [(Wire::requests(), 20_000), (Wire::commands(), 2_000)] {
        let (mut seen, mut count) = (BTreeSet::new(), 0);
        for message in wire.examples() {
            assert_eq!(wire.judged(&message), Verdict::Taken);
            survives_mutation(&wire, &message, &mut seen, &mut count);
        }
        assert!(count > least, "{count} mutations");
        assert!(seen.contains(&Verdict::Taken) && seen.contains(&Verdict::Refused));
    }
}

#[test]
fn what_the_schema_cannot_say_its_description_says() {
    let request = |kind: &str, place: &str, value: Value| {
        let wire = Wire::requests();
        // The last example of a kind says the most, but for `authorize`, whose last has a token.
        let of_kind = |example: &Value| example["type"] == kind && example["reference"].is_string();
        let mut message = wire.examples().into_iter().find(of_kind).unwrap();
        put(&mut message, place, value);
        wire.judged(&message)
    };
    let early = || json!("2027-01-01T00:00:00Z");
    let told = [
        request("charge", "/money/amount", json!(1500.0)),
        request("charge", "/not_after", json!("2027-02-30T00:00:00Z")),
        request("authorize", "/plan/release_at", early()),
        request("authorize", "/plan/expires_at", early()),
        request("authorize", "/plan/capture_amount", json!(45001)),
        request("charge", "/not_after", early()),
        request("charge", "/idempotency_key", json!("é".repeat(128))),
        request("charge", "/customer/email", json!("a@€.example")),
    ];
    for (verdict, unsaid) in told.iter().zip(&OF_A_REQUEST) {
        assert_eq!(*verdict, Verdict::Unsaid(unsaid.words));
    }
    let commands = Wire::commands();
    let wrong = json!({"command": "capture", "amount": 1500.0});
    assert_eq!(commands.judged(&wrong), Verdict::Unsaid(FRACTION.words));
    let wrong = json!({"command": "reschedule", "capture_at": "2027-02-30T00:00:00Z"});
    assert_eq!(commands.judged(&wrong), Verdict::Unsaid(DAY.words));
    for wire in [Wire::requests(), commands] {
        let description = wire.schema["description"].as_str().unwrap();
        for unsaid in wire.unsaid {
            assert!(description.contains(unsaid.words), "{}", unsaid.words);
        }
    }
}

#[test]
fn every_field_is_described_and_its_examples_are_taken() {
    for wire in [Wire::requests(), Wire::commands()] {
        for kind in wire.kinds() {
            let mut fields = Vec::new();
            wire.fields(kind, "", &mut fields);
            let least = &kind["examples"][0];
            for (place, field) in fields {
                let described =
                    |part: &Value| part["description"].as_str().is_some_and(|t| t.len() > 5);
                assert!(described(field), "{place} is not described");
                let whole = wire.resolved(field);
                let examples = [field, whole].map(|part| part["examples"].as_array());
                assert!(examples[0].is_some(), "{place} has no example");
                for example in examples.into_iter().flatten().flatten() {
                    let mut message = least.clone();
                    if place.ends_with("capture_amount") && kind["properties"]["money"].is_object()
                    {
                        put(&mut message, "/money/amount", json!(LARGEST_MINOR));
                    }
                    if place.starts_with("/source/token") {
                        take_away(&mut message, "/source/checkout");
                    }
                    put(&mut message, &place, example.clone());
                    assert_eq!(wire.judged(&message), Verdict::Taken, "{message}");
                }
            }
        }
        for part in wire.schema["$defs"].as_object().unwrap().values() {
            for word in ["title", "description", "examples"] {
                assert!(!part[word].is_null(), "{} has no {word}", part["title"]);
            }
        }
    }
}

#[test]
fn the_requests_that_the_pages_show_are_valid() {
    let wire = Wire::requests();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = ["README.md", "docs/redis-intake.md"];
    let page: String = pages
        .map(|page| fs::read_to_string(root.join(page)).unwrap())
        .concat()
        .replace("$(cat card.token)", TOKEN)
        .replace("<saved card>", TOKEN);
    let begins = [r#"{"v":"#, r#"{"type":"authorize", "#];
    let shown: Vec<Value> = begins
        .into_iter()
        .flat_map(|begin| page.match_indices(begin))
        .map(|(at, _)| {
            let mut values = serde_json::Deserializer::from_str(&page[at..]).into_iter();
            values.next().unwrap().unwrap()
        })
        .collect();
    assert!(shown.len() >= 3, "the pages show too few requests");
    for mut request in shown {
        // The name of a push is no part of the request; over HTTP the key is a header, and `v` is 1.
        let fields = request.as_object_mut().unwrap();
        fields.remove("push");
        fields.entry("v").or_insert(1.into());
        fields.entry("idempotency_key").or_insert("one".into());
        assert_eq!(wire.judged(&request), Verdict::Taken, "{request}");
    }
}

#[tokio::test]
async fn whoever_has_only_the_binary_can_print_the_schema() {
    for (of, schema) in [("request", Request::SCHEMA), ("command", Command::SCHEMA)] {
        // Settings that are wrong are no hindrance.
        let env = [("HOLDFAST__REDIS__URL".to_owned(), "nowhere".to_owned())];
        let around = Around {
            env: &env,
            input: &mut std::io::empty(),
            warnings: &mut std::io::sink(),
        };
        let mut out = Vec::new();
        let cli = Cli::try_parse_from(["holdfast", "schema", of]).unwrap();
        run(cli, around, &mut out).await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), schema);
    }
}

/// A character that matters to one of the patterns, and one that may take its place.
const TELLING: &str =
    "aZ09 -_.:/@?#<>'\"\\{}+\n\t\u{0}\u{85}\u{a0}é€\u{300}\u{2003}\u{2212}\u{feff}😀";

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_within_the_limits_is_taken_by_both(request in fine_request()) {
        thread_local!(static WIRE: Wire = Wire::requests());
        prop_assert_eq!(WIRE.with(|wire| wire.judge(&request)), Ok(Verdict::Taken));
    }

    #[test]
    fn whatever_is_typed_wrong_both_say_the_same(
        request in fine_request(),
        slips in prop::collection::vec((any::<Index>(), any::<Index>(), any::<Index>(), any::<bool>()), 1..4),
    ) {
        thread_local!(static WIRE: Wire = Wire::requests());
        let mut request = request;
        for (place, at, typed, is_added) in slips {
            let mut all = Vec::new();
            places(&request, "", &mut all);
            let value = request.pointer_mut(place.get::<String>(&all)).unwrap();
            if let Value::String(text) = value {
                let mut letters: Vec<char> = text.chars().collect();
                let at = at.index(letters.len() + 1);
                let telling: Vec<char> = TELLING.chars().collect();
                letters.splice(at..(at + usize::from(!is_added)).min(letters.len()), [*typed.get(&telling)]);
                *text = letters.into_iter().collect();
            } else {
                let others = anything();
                *value = typed.get(&others).clone();
            }
        }
        if let Err(told) = WIRE.with(|wire| wire.judge(&request)) {
            prop_assert!(false, "{}", told);
        }
    }
}
