//! Differences, each planted alone beside a healthy world: it is found, and nothing else.

use super::*;

/// A healthy world, with one difference in it.
async fn desk() -> Desk<RedisStore> {
    let desk = Desk::on_redis().await;
    healthy(&desk).await;
    desk
}

/// One difference, of this kind, about this payment; everything else agrees as before.
#[track_caller]
fn only(report: &Report, kind: Kind, payment: Option<&PaymentId>) {
    assert_eq!(kinds(report), [kind], "{report:?}");
    assert_eq!(report.findings[0].payment.as_ref(), payment);
    assert_eq!(report.verdict(), Verdict::Differ);
    assert_eq!(report.not_compared, 0);
    assert!(report.agree >= 5, "{report:?}");
}

#[tokio::test]
async fn money_that_no_record_knows_of_is_found() {
    let desk = desk().await;
    let purchase = desk.charged("ORDER-78", 800, false);
    desk.evening();
    let report = desk.reconcile().await;
    only(&report, Kind::PaidWithoutRecord, None);
    let finding = &report.findings[0];
    let stated = finding.statement.as_ref().unwrap();
    assert_eq!(stated.money, Some((800, "MYR".to_owned())));
    let printed = report.json(false).to_string();
    assert!(!printed.contains(&purchase.to_string()) && !printed.contains("ORDER-78"));
    let revealed = report.json(true).to_string();
    assert!(revealed.contains(&purchase.to_string()) && revealed.contains("ORDER-78"));
    // Without a statement nobody can know, and nobody says that the books agree.
    let without = desk.reconcile_with(&asking(StatementFrom::Nowhere)).await;
    let without = without.unwrap();
    assert_eq!(without.verdict(), Verdict::AgreeWithoutStatement);
    assert_eq!(without.json(false)["verdict"], "agree_without_statement");
}

#[tokio::test]
async fn money_under_the_name_of_a_payment_that_is_not_recorded_is_found() {
    let desk = desk().await;
    let id = named("lost");
    desk.charged(id.as_str(), 800, false);
    desk.evening();
    only(&desk.reconcile().await, Kind::PaidWithoutRecord, Some(&id));
}

#[tokio::test]
async fn a_record_of_money_that_was_not_taken_is_found() {
    let desk = desk().await;
    let purchase = desk.made(named("wrong").as_str(), 1_500, true);
    let id = desk.recorded("wrong", paid(1_500, "MYR"), purchase).await;
    desk.evening();
    let report = desk.reconcile().await;
    only(&report, Kind::RecordWithoutPayment, Some(&id));
    assert_eq!(report.findings[0].gateway.as_ref().unwrap().word, "payable");
}

#[tokio::test]
async fn a_record_of_a_purchase_that_the_gateway_does_not_know_is_found() {
    let desk = desk().await;
    let purchase = Uuid::from_u128(0xdead);
    let id = desk.recorded("wrong", paid(1_500, "MYR"), purchase).await;
    desk.evening();
    let report = desk.reconcile().await;
    only(&report, Kind::RecordWithoutPayment, Some(&id));
}

#[tokio::test]
async fn a_payment_that_was_paid_on_two_purchases_is_found() {
    let desk = desk().await;
    let id = named("charge");
    desk.charged(id.as_str(), 1_000, false);
    desk.evening();
    let report = desk.reconcile().await;
    only(&report, Kind::TwoPaidForOne, Some(&id));
    assert_eq!(report.agree, 6);
}

#[tokio::test]
async fn a_purchase_that_was_paid_twice_is_found() {
    let desk = desk().await;
    desk.evening();
    let mut text = statement_text(&desk);
    let twice = text
        .lines()
        .find(|line| line.contains(named("charge").as_str()));
    text = format!("{text}{}\n", twice.unwrap());
    let asked = asking(desk.downloaded(&text));
    let report = desk.reconcile_with(&asked).await.unwrap();
    only(&report, Kind::TwoPaidForOne, Some(&named("charge")));
    let stated = report.findings[0].statement.as_ref().unwrap();
    assert_eq!(stated.money, Some((2_000, "MYR".to_owned())));
}

#[tokio::test]
async fn another_amount_than_recorded_is_found() {
    let desk = desk().await;
    let purchase = desk.charged(named("less").as_str(), 1_500, false);
    let id = desk.recorded("less", paid(1_400, "MYR"), purchase).await;
    desk.evening();
    let report = desk.reconcile().await;
    only(&report, Kind::AmountDiffers, Some(&id));
    let shown = report.findings[0].gateway.as_ref().unwrap();
    assert_eq!(shown.money, Some((1_500, "MYR".to_owned())));
}

#[tokio::test]
async fn another_amount_in_the_statement_alone_is_found() {
    let desk = desk().await;
    desk.evening();
    let text = statement_text(&desk);
    let wrong = text.replace(",MYR,9.00,", ",MYR,9.01,");
    assert_ne!(wrong, text);
    let asked = asking(desk.downloaded(&wrong));
    let report = desk.reconcile_with(&asked).await.unwrap();
    only(&report, Kind::AmountDiffers, Some(&named("captured")));
}

#[tokio::test]
async fn another_currency_than_recorded_is_found() {
    let desk = desk().await;
    let purchase = desk.charged(named("sgd").as_str(), 1_500, false);
    let id = desk.recorded("sgd", paid(1_500, "SGD"), purchase).await;
    desk.evening();
    only(&desk.reconcile().await, Kind::CurrencyDiffers, Some(&id));
}

#[tokio::test]
async fn money_that_was_taken_for_what_is_reported_failed_or_released_is_found() {
    let failed = json!({"name": "failed", "with": {"why": "cancelled"}});
    for state in [failed, json!({"name": "released"})] {
        let desk = desk().await;
        let purchase = desk.charged(named("not-so").as_str(), 1_500, false);
        let id = desk.recorded("not-so", state, purchase).await;
        desk.evening();
        only(&desk.reconcile().await, Kind::TakenAgainstRecord, Some(&id));
    }
}

#[tokio::test]
async fn a_hold_that_was_captured_behind_our_back_is_found() {
    let desk = desk().await;
    let purchase = desk.stage.payment(&named("held")).await;
    let purchase = purchase.purchase().unwrap().id.as_str().parse().unwrap();
    desk.acts(purchase, "capture", &json!({"amount": 1_500}));
    desk.stage.pass(TimeDelta::minutes(30));
    // It may be on its way to us.
    assert_eq!(desk.reconcile().await.verdict(), Verdict::Agree);
    desk.evening();
    let report = desk.reconcile().await;
    only(&report, Kind::TakenAgainstRecord, Some(&named("held")));
    let recorded = report.findings[0].recorded.as_ref().unwrap();
    assert_eq!(recorded.word, "held");
}

#[tokio::test]
async fn money_that_was_taken_for_what_is_parked_is_found() {
    let desk = desk().await;
    let parked = json!({"name": "parked", "with": {
        "reason": {"why": "outcome_unknown"}, "from": {"name": "new"},
    }});
    let taken = desk.charged(named("taken").as_str(), 1_500, false);
    let id = desk.recorded("taken", parked.clone(), taken).await;
    let open = desk.made(named("not-taken").as_str(), 1_500, false);
    desk.recorded("not-taken", parked, open).await;
    desk.evening();
    let report = desk.reconcile().await;
    only(&report, Kind::TakenAgainstRecord, Some(&id));
    assert_eq!(report.parked, 1);
}

#[tokio::test]
async fn a_hold_that_was_released_behind_our_back_is_found() {
    let desk = desk().await;
    let purchase = desk.stage.payment(&named("held")).await;
    let purchase = purchase.purchase().unwrap().id.as_str().parse().unwrap();
    desk.acts(purchase, "release", &Value::Null);
    desk.evening();
    let report = desk.reconcile().await;
    only(&report, Kind::StandsOtherwise, Some(&named("held")));
}

#[tokio::test]
async fn funds_that_are_reserved_still_for_what_is_reported_released_are_found() {
    let desk = desk().await;
    let purchase = desk.charged(named("stuck").as_str(), 1_500, true);
    let state = json!({"name": "released"});
    let id = desk.recorded("stuck", state, purchase).await;
    desk.evening();
    only(&desk.reconcile().await, Kind::HeldAgainstRecord, Some(&id));
}

#[tokio::test]
async fn what_the_statement_lacks_is_found_but_for_what_is_too_new() {
    let desk = desk().await;
    let lines = |text: &str| {
        let name = named("charge");
        let kept = text.lines().filter(|line| !line.contains(name.as_str()));
        kept.collect::<Vec<_>>().join("\n")
    };
    let mut asked = asking(desk.downloaded(&lines(&statement_text(&desk))));
    desk.evening();
    let report = desk.reconcile_with(&asked).await.unwrap();
    only(&report, Kind::NotInStatement, Some(&named("charge")));
    // What was taken after it was made cannot stand in it, however long that is ago.
    asked.period.to += TimeDelta::days(1);
    desk.stage.charge("new", 500).await;
    desk.stage.work().await;
    desk.evening();
    let report = desk.reconcile_with(&asked).await.unwrap();
    only(&report, Kind::NotInStatement, Some(&named("charge")));
}

#[tokio::test]
async fn a_record_that_names_another_payments_purchase_is_found() {
    let desk = desk().await;
    let purchase = desk.charged("ORDER-79", 1_500, false);
    let id = desk.recorded("mixed", paid(1_500, "MYR"), purchase).await;
    desk.evening();
    only(&desk.reconcile().await, Kind::AnothersPurchase, Some(&id));
}

#[tokio::test]
async fn what_was_refunded_or_charged_back_is_told_and_is_no_difference() {
    let desk = desk().await;
    let of = async |key: &str| -> Uuid {
        let payment = desk.stage.payment(&named(key)).await;
        payment.purchase().unwrap().id.as_str().parse().unwrap()
    };
    desk.acts(of("charge").await, "refund", &json!({"amount": 400}));
    let captured = of("captured").await;
    desk.stage
        .sandbox
        .force_status(captured, chip_sandbox::Status::Chargeback);
    desk.evening();
    let report = desk.reconcile().await;
    assert_eq!(report.verdict(), Verdict::Agree, "{report:?}");
    assert_eq!(report.refunded, [named("charge")]);
    assert_eq!(report.charged_back, [named("captured")]);
    assert_eq!(report.lines.unwrap().given_back, 1);
}
