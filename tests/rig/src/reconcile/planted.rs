//! Differences of every kind, planted at the gateway and among the records.

use anyhow::Context;
use chip_sandbox::{DEFAULT_BRAND_ID, DEFAULT_SECRET_KEY, Request};
use chrono::TimeDelta;
use holdfast::operate::reconcile::Kind;
use holdfast::payment::{AccountName, IdempotencyKey, Payment, PaymentId, StateName};
use holdfast::store::Store;
use serde_json::{Value, json};

use crate::works::{PARKS, Works};

/// How much each is about.
const AMOUNT: u64 = 1_500;

/// What is true at the gateway.
#[derive(Clone, Copy)]
enum There {
    /// It can be paid.
    Payable,
    /// It was paid.
    Paid,
    /// It is on hold.
    Held,
}

/// Plants, and answers what is to be found of it.
pub(super) async fn plant(works: &Works) -> anyhow::Result<Vec<Kind>> {
    let mut kinds = Vec::new();
    // Money of nobody, of a payment that is not there, and of one that is paid already.
    purchase(works, "ORDER-1", There::Paid)?;
    kinds.push(Kind::PaidWithoutRecord);
    purchase(works, named("lost")?.as_str(), There::Paid)?;
    kinds.push(Kind::PaidWithoutRecord);
    purchase(works, some_paid(works).await?.as_str(), There::Paid)?;
    kinds.push(Kind::TwoPaidForOne);
    let paid = |amount: u64, currency: &str| json!({"name": "paid", "with": {"amount": amount, "currency": currency}});
    let failed = json!({"name": "failed", "with": {"why": "cancelled"}});
    let released = json!({"name": "released"});
    for (key, there, recorded, kind) in [
        (
            "unpaid",
            There::Payable,
            paid(AMOUNT, "MYR"),
            Kind::RecordWithoutPayment,
        ),
        (
            "less",
            There::Paid,
            paid(AMOUNT - 1, "MYR"),
            Kind::AmountDiffers,
        ),
        (
            "sgd",
            There::Paid,
            paid(AMOUNT, "SGD"),
            Kind::CurrencyDiffers,
        ),
        ("failed", There::Paid, failed, Kind::TakenAgainstRecord),
        (
            "stuck",
            There::Held,
            released.clone(),
            Kind::HeldAgainstRecord,
        ),
        ("open", There::Payable, released, Kind::StandsOtherwise),
    ] {
        let purchase = purchase(works, named(key)?.as_str(), there)?;
        record(works, key, recorded, &purchase).await?;
        kinds.push(kind);
    }
    let anothers = purchase(works, "ORDER-2", There::Paid)?;
    record(works, "mixed", paid(AMOUNT, "MYR"), &anothers).await?;
    kinds.push(Kind::AnothersPurchase);
    Ok(kinds)
}

fn named(key: &str) -> anyhow::Result<PaymentId> {
    let account = AccountName::new(PARKS)?;
    Ok(PaymentId::derive(&account, &IdempotencyKey::new(key)?))
}

/// A payment of the account that is paid.
async fn some_paid(works: &Works) -> anyhow::Result<PaymentId> {
    let page = works.store.list(&StateName::Paid.into(), None, 500).await?;
    let ours = |payment: &&Payment| payment.request().account.as_str() == PARKS;
    let mut payments = page.payments.iter().map(|loaded| &loaded.payment);
    let found = payments.find(|payment| ours(payment));
    Ok(found.context("nothing is paid")?.id().clone())
}

/// A purchase that somebody makes, whoever that is.
fn purchase(works: &Works, reference: &str, there: There) -> anyhow::Result<String> {
    let calls = |path: &str, body: &Value| -> anyhow::Result<Value> {
        let request = Request::api("POST", path, DEFAULT_SECRET_KEY, body.to_string());
        let answer = works
            .sandbox
            .with(|engine, now_ms| engine.answer(now_ms, request));
        anyhow::ensure!(answer.status < 300, "{}", answer.body);
        Ok(serde_json::from_str(&answer.body)?)
    };
    let made = calls(
        "purchases/",
        &json!({
            "brand_id": DEFAULT_BRAND_ID, "client": {"email": "payer@test.example"},
            "reference": reference, "skip_capture": matches!(there, There::Held),
            "purchase": {"currency": "MYR", "products": [{"name": "Room", "price": AMOUNT}]},
        }),
    )?;
    let id = made["id"].as_str().context("a purchase")?.to_owned();
    if !matches!(there, There::Payable) {
        let token = works.sandbox.save_card("payer@test.example");
        let path = format!("purchases/{id}/charge/");
        calls(&path, &json!({"recurring_token": token}))?;
    }
    Ok(id)
}

/// A record in this state, on this purchase, as it should never have been written.
async fn record(works: &Works, key: &str, state: Value, purchase: &str) -> anyhow::Result<()> {
    let body = json!({
        "v": 1, "account": PARKS, "idempotency_key": key, "type": "authorize",
        "money": {"amount": AMOUNT, "currency": "MYR"}, "source": {"checkout": {}},
        "customer": {"email": "payer@test.example"},
    });
    let request = holdfast::payment::Request::from_json(body.to_string().as_bytes())?;
    let now = works.clock.now();
    let mut written = serde_json::to_value(Payment::new(request, now)?)?;
    let history = written["history"].as_array_mut().context("a history")?;
    history.push(json!({"at": now, "to": state["name"]}));
    written["state"] = state;
    written["purchase"] = json!({
        "id": purchase, "due": null, "checkout_url": null, "direct_post_url": null,
    });
    let payment: Payment = serde_json::from_value(written)?;
    // No worker is to come upon it.
    let due = now + TimeDelta::days(1);
    works.store.create(&payment, due).await?;
    Ok(())
}
