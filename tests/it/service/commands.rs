//! To command payments.

use chip_sandbox::{Effect, MovementKind, Operation, Rule};

use super::*;

#[tokio::test]
async fn a_hold_is_captured_in_part_and_later_commands_are_told_that_it_was() {
    let shop = Shop::open().await;
    let address = shop.hold("stay").await;
    let held = shop.served.get(&address).await;
    assert_eq!(held.body["state"], "held");
    assert_eq!(held.body["hold"]["money"]["amount"], 9_000);
    let capture = format!("{address}/capture");
    let body = json!({"amount": 4_000});
    let taken = shop.served.post(&capture, Some("c1"), &body).await;
    assert_eq!(taken.status, 202, "{taken:?}");
    let again = shop.served.post(&capture, Some("c1"), &body).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    shop.served
        .post(&capture, Some("c1"), &json!({}))
        .await
        .is(422, "idempotency_key_reused");
    shop.stage.work().await;
    let id = PaymentId::new(held.id()).unwrap();
    assert_eq!(shop.stage.taken(&id), (4_000, 1));
    let done = shop.served.post(&capture, Some("c2"), &body).await;
    assert_eq!((done.status, &done.body["state"]), (200, &json!("paid")));
    let release = format!("{address}/release");
    let late = shop.served.post(&release, Some("r1"), &json!({})).await;
    late.is(409, "too_late_captured");
    assert_eq!(late.body["payment"]["taken"]["amount"], 4_000);
    let given_back = shop.stage.moved(&id, MovementKind::Release);
    assert_eq!(given_back, 1, "the rest, by the capture itself");
}

#[tokio::test]
async fn a_hold_is_rescheduled_and_released_and_a_capture_is_too_late() {
    let shop = Shop::open().await;
    let address = shop.hold("stay").await;
    let plan = json!({"release_at": "2027-02-01T10:00:00+08:00"});
    let moved = shop
        .served
        .post(&format!("{address}/reschedule"), Some("p"), &plan)
        .await;
    assert_eq!(moved.status, 202, "{moved:?}");
    assert_eq!(moved.body["plan"]["release_at"], "2027-02-01T02:00:00Z");
    shop.stage.work_for(TimeDelta::days(2)).await;
    let late = shop
        .served
        .post(&format!("{address}/capture"), Some("c"), &json!({}))
        .await;
    late.is(409, "too_late_released");
}

#[tokio::test]
async fn what_is_in_doubt_is_told_as_that() {
    let shop = Shop::open().await;
    let address = shop.hold("stay").await;
    let lost = Rule::on(Operation::Capture, Effect::timeout_before_commit());
    shop.stage.fault(lost.times(1));
    shop.served
        .post(&format!("{address}/capture"), Some("c"), &json!({}))
        .await;
    shop.stage.work().await;
    let doubt = shop
        .served
        .post(&format!("{address}/release"), Some("r"), &json!({}))
        .await;
    doubt.is(409, "too_late_in_doubt");
}

#[tokio::test]
async fn a_payment_that_nobody_paid_is_cancelled_and_then_has_ended() {
    let shop = Shop::open().await;
    let body = json!({"type": "authorize", "account": "hotel", "source": {"checkout": {}},
        "money": {"amount": 100, "currency": "MYR"}, "customer": {"email": "p@test.example"}});
    let asked = shop.served.post("/v1/payments", Some("k"), &body).await;
    let address = format!("/v1/payments/{}", asked.id());
    shop.stage.work().await;
    let early = shop
        .served
        .post(&format!("{address}/capture"), Some("c"), &json!({}))
        .await;
    early.is(409, "not_applicable");
    let cancel = format!("{address}/cancel");
    assert_eq!(
        shop.served
            .post(&cancel, Some("x"), &json!({}))
            .await
            .status,
        202
    );
    shop.stage.work_for(TimeDelta::hours(1)).await;
    let failed = shop.served.get(&address).await;
    assert_eq!(
        (&failed.body["state"], &failed.body["reason"]["why"]),
        (&json!("failed"), &json!("cancelled"))
    );
    let ended = shop
        .served
        .post(&format!("{address}/capture"), Some("c2"), &json!({}))
        .await;
    ended.is(409, "ended");
}

#[tokio::test]
async fn a_command_after_the_payments_time_is_told_that_its_time_was_over() {
    let shop = Shop::open().await;
    let mut body = shop.charge(1_500);
    body["not_after"] = json!("2027-01-31T06:10:00Z");
    body["not_before"] = json!("2027-01-31T06:09:59Z");
    let asked = shop.served.post("/v1/payments", Some("k"), &body).await;
    assert_eq!(asked.status, 201, "{asked:?}");
    shop.stage.clock.advance(TimeDelta::days(1));
    shop.stage.work().await;
    let address = format!("/v1/payments/{}", asked.id());
    let failed = shop.served.get(&address).await;
    assert_eq!(failed.body["reason"]["why"], "expired", "{failed:?}");
    let cancel = format!("{address}/cancel");
    let late = shop.served.post(&cancel, Some("x"), &json!({})).await;
    late.is(409, "expired");
}

#[tokio::test]
async fn of_two_commands_about_a_hold_the_second_is_told_that_the_first_has_decided() {
    let shop = Shop::open().await;
    let address = shop.hold("stay").await;
    let (capture, release) = (format!("{address}/capture"), format!("{address}/release"));
    let first = shop.served.post(&capture, Some("c"), &json!({})).await;
    assert_eq!(first.status, 202);
    let second = shop.served.post(&release, Some("r"), &json!({})).await;
    second.is(409, "already_decided");
    shop.stage.work().await;
    assert_eq!(shop.served.get(&address).await.body["state"], "paid");
}

#[tokio::test]
async fn who_waits_for_a_capture_hears_that_it_was_made() {
    let shop = Shop::open().await;
    let address = shop.hold("stay").await;
    let before = shop.stage.store.stats().await.unwrap().due_now;
    let capture = format!("{address}/capture?wait=5s");
    let body = json!({});
    let asked = shop.served.post(&capture, Some("c"), &body);
    let worked = async {
        while shop.stage.store.stats().await.unwrap().due_now == before {
            tokio::task::yield_now().await;
        }
        shop.stage.work().await;
    };
    let (heard, ()) = tokio::join!(asked, worked);
    assert_eq!((heard.status, &heard.body["state"]), (202, &json!("paid")));
}

#[tokio::test]
async fn a_command_needs_a_key_a_payment_and_fitting_content() {
    let shop = Shop::open().await;
    let address = shop.hold("stay").await;
    let capture = format!("{address}/capture");
    shop.served
        .post(&capture, None, &json!({}))
        .await
        .is(400, "idempotency_key_missing");
    let above = shop
        .served
        .post(&capture, Some("c"), &json!({"amount": 9_001}))
        .await;
    above.is(400, "invalid_request");
    assert_eq!(above.body["field"], "amount");
    let more = shop
        .served
        .post(&capture, Some("c"), &json!({"all": true}))
        .await;
    more.is(400, "invalid_request");
    let nobody = format!("/v1/payments/pay_{}/capture", "0".repeat(32));
    shop.served
        .post(&nobody, Some("c"), &json!({}))
        .await
        .is(404, "payment_not_found");
    let no_id = shop
        .served
        .post("/v1/payments/x/capture", Some("c"), &json!({}))
        .await;
    no_id.is(404, "payment_not_found");
}
