//! Every code that a push can be answered with is documented, and is provoked by these tests.

use std::collections::BTreeSet;

use holdfast::api::pushed::REFUSALS;
use holdfast::api::v1::ProblemCode;

/// In which of these files each code is asserted.
const TESTS: [&str; 4] = [
    include_str!("codes.rs"),
    include_str!("commands.rs"),
    include_str!("pushes.rs"),
    include_str!("signatures.rs"),
];

use super::*;

#[tokio::test]
async fn what_only_comes_up_now_and_then_is_answered_as_over_http() {
    let dock = Dock::open().await;
    let token = dock.token();
    let mut no_key = charge("", &token, 1_500);
    no_key.as_object_mut().unwrap().remove("idempotency_key");
    dock.push(no_key.to_string()).await;
    dock.take_in().await;
    let (_, note) = dock.quarantine().await.remove(0);
    assert_eq!(note.code, "idempotency_key_missing");
    let adopt = |key: &str| {
        json!({"v": 1, "type": "adopt", "account": "hotel", "idempotency_key": key,
            "purchase": "5a9e3c1c-0000-4000-8000-000000000009",
            "money": {"amount": 1_500, "currency": "MYR"}})
    };
    is_recorded(&dock.answered(adopt("a").to_string(), "a").await);
    is_refused(
        &dock.answered(adopt("b").to_string(), "b").await,
        "already_adopted",
    );
    // A hold that is given back, and one that nobody ever paid.
    let held = is_recorded(
        &dock
            .answered(authorize("stay", &token).to_string(), "stay")
            .await,
    );
    dock.stage.work().await;
    let give = async |key: &str, of: &PaymentId, command: &str| {
        let json = json!({"account": "hotel", "idempotency_key": key, "payment": of,
            "command": command});
        dock.answered(json.to_string(), key).await
    };
    is_refused_as_decided(&give("x0", &held, "cancel").await, "not_applicable");
    is_recorded(&give("r", &held, "release").await);
    dock.stage.work().await;
    is_refused_as_decided(&give("c", &held, "capture").await, "too_late_released");
    let mut open = authorize("open", "");
    open["source"] = json!({"checkout": {}});
    let open = is_recorded(&dock.answered(open.to_string(), "open").await);
    is_recorded(&give("x", &open, "cancel").await);
    dock.stage.work_for(chrono::TimeDelta::hours(1)).await;
    is_refused_as_decided(&give("c1", &open, "capture").await, "ended");
    assert_eq!(
        dock.quarantine().await.len(),
        2,
        "what is decided is no poison"
    );
}

#[track_caller]
fn is_refused_as_decided(answer: &Value, code: &str) {
    is_refused(answer, code);
    assert!(answer["problem"]["payment"]["id"].is_string(), "{answer}");
}

#[test]
fn every_code_is_provoked_and_documented() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let page = std::fs::read_to_string(page).unwrap();
    let codes = BTreeSet::from(REFUSALS);
    assert_eq!(codes.len(), REFUSALS.len());
    for code in codes {
        let word = code.as_str();
        let tried = TESTS
            .iter()
            .any(|text| text.contains(&format!("\"{word}\"")));
        assert!(tried, "{word} is provoked by no test");
        assert!(
            page.contains(&format!("`{word}`")),
            "{word} is not in the README"
        );
    }
    for code in ProblemCode::OF_PUSHES {
        assert!(REFUSALS.contains(&code), "{}", code.as_str());
    }
}
