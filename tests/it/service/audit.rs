//! Whoever asks over HTTP stands in the audit log by the name of the key, once for each command.

use holdfast::store::audit::{ActorKind, AuditEntry, Via};

use super::*;

fn who(entry: &AuditEntry) -> (&str, ActorKind, &str, Via) {
    let name = entry.actor.name.as_str();
    (entry.action.as_str(), entry.actor.kind, name, entry.via)
}

#[tokio::test]
async fn a_command_is_logged_once_under_the_name_of_the_key() {
    let shop = Shop::open().await;
    let address = shop.hold("stay").await;
    let (capture, body) = (format!("{address}/capture"), json!({"amount": 4_000}));
    for _ in 0..2 {
        let taken = shop.served.post(&capture, Some("c1"), &body).await;
        assert_eq!(taken.status, 202, "{taken:?}");
    }
    let other = shop
        .served
        .post(&format!("{address}/release"), Some("r1"), &json!({}))
        .await;
    other.is(409, "already_decided");
    let log = shop.stage.store.audit();
    assert_eq!(log.len(), 2, "{log:?}");
    assert_eq!(
        who(&log[0]),
        ("capture", ActorKind::ApiKey, "shop", Via::Api)
    );
    assert_eq!(log[0].answer, "accepted");
    assert_eq!(
        log[0].asked,
        Some(Command::Capture {
            amount: Some(Amount::new(4_000).unwrap())
        })
    );
    assert_eq!(log[0].before.as_ref().unwrap()["state"], "held");
    assert_eq!(
        (who(&log[1]).0, log[1].answer.as_str()),
        ("release", "already_decided")
    );
    for canary in ["payer@test.example", "purchase", SHOP] {
        let told = serde_json::to_string(&log).unwrap();
        assert!(!told.contains(canary), "{told}");
    }
}

#[tokio::test]
async fn what_the_door_refuses_is_no_command_and_who_needs_no_key_is_anybody() {
    let shop = Shop::open().await;
    let address = shop.hold("stay").await;
    shop.served
        .ring
        .replace(vec![key("shop", SHOP, &[Scope::Read])]);
    let capture = format!("{address}/capture");
    let refused = shop.served.post(&capture, Some("c1"), &json!({})).await;
    refused.is(403, "scope_missing");
    assert_eq!(shop.stage.store.audit(), []);
    let clock = &shop.stage.clock;
    let open = Served::over(Arc::clone(&shop.stage.store), clock, Vec::new(), PACE).await;
    let taken = open.post(&capture, Some("c1"), &json!({})).await;
    assert_eq!(taken.status, 202, "{taken:?}");
    let log = shop.stage.store.audit();
    assert_eq!(
        who(&log[0]),
        ("capture", ActorKind::Anybody, "anybody", Via::Api)
    );
}
