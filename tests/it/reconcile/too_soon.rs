//! What is not known yet: calls in doubt, payers who have not paid, periods that are not over. However
//! long nobody looks, none of it is called agreed once money was taken.

use super::*;

/// A charge that was taken, and whose worker died before it learned of it.
async fn in_doubt() -> (Desk<MemoryStore>, PaymentId) {
    let desk = Desk::in_memory().await;
    let stage = &desk.stage;
    let fault = chip_sandbox::Effect::reset_after_commit();
    stage.fault(chip_sandbox::Rule::on(chip_sandbox::Operation::Charge, fault).times(1));
    let id = stage.charge("in-doubt", 1_000).await;
    let claim = stage.store.claim(1).await.unwrap().claims.remove(0);
    stage.worker.turn(claim).await;
    assert!(stage.payment(&id).await.open_attempt().is_some());
    (desk, id)
}

#[track_caller]
fn is_in_doubt(report: &Report, id: &PaymentId) {
    assert_eq!(report.verdict(), Verdict::NotAllCompared, "{report:?}");
    let [(named, why)] = &report.not_compared_listed[..] else {
        panic!("{report:?}");
    };
    assert_eq!(named, id);
    assert!(why.contains("in doubt, and money was taken"), "{why}");
}

#[tokio::test]
async fn a_call_in_doubt_whose_money_was_taken_for_an_hour_is_not_passed_over() {
    let (desk, id) = in_doubt().await;
    desk.stage.pass(TimeDelta::minutes(61));
    is_in_doubt(&desk.reconcile().await, &id);
    // With either book alone.
    let without = desk.reconcile_with(&asking(StatementFrom::Nowhere)).await;
    is_in_doubt(&without.unwrap(), &id);
    let asked = asking(desk.downloaded(&statement_text(&desk)));
    let purchase = desk.stage.payment(&id).await;
    let purchase = purchase.purchase().unwrap().id.as_str().parse().unwrap();
    let pending = chip_sandbox::Status::PendingCharge;
    desk.stage.sandbox.force_status(purchase, pending);
    is_in_doubt(&desk.reconcile_with(&asked).await.unwrap(), &id);
}

/// Has the gateway show the purchase so, or as gone.
async fn shows(desk: &Desk<MemoryStore>, id: &PaymentId, status: Option<&str>) {
    let payment = desk.stage.payment(id).await;
    let purchase = payment.purchase().unwrap().id.as_str().parse().unwrap();
    if let Some(status) = status {
        let status = serde_json::from_value(json!(status)).unwrap();
        desk.stage.sandbox.force_status(purchase, status);
    } else {
        let gone = chip_sandbox::Effect::status_before_commit(404);
        let rule = chip_sandbox::Rule::on(chip_sandbox::Operation::Retrieve, gone);
        desk.stage.fault(rule.reference(id.as_str()));
    }
}

async fn without_statement(desk: &Desk<MemoryStore>) -> Report {
    let asked = asking(StatementFrom::Nowhere);
    desk.reconcile_with(&asked).await.unwrap()
}

#[tokio::test]
async fn a_call_in_doubt_is_not_passed_over_once_its_purchase_is_held_or_over_for_an_hour() {
    for (status, word) in [
        (Some("hold"), "funds were reserved"),
        (Some("released"), "has ended or is gone"),
        (Some("cancelled"), "has ended or is gone"),
        (Some("expired"), "has ended or is gone"),
        (None, "has ended or is gone"),
    ] {
        let (desk, id) = in_doubt().await;
        shows(&desk, &id, status).await;
        desk.stage.pass(TimeDelta::minutes(59));
        assert_eq!(without_statement(&desk).await.open, 1, "{status:?}");
        desk.stage.pass(TimeDelta::minutes(2));
        let report = without_statement(&desk).await;
        assert_eq!(report.verdict(), Verdict::NotAllCompared, "{status:?}");
        let (named, why) = &report.not_compared_listed[0];
        assert_eq!(named, &id);
        assert!(why.contains(word), "{status:?}: {why}");
    }
    // The charge did not come there.
    let (desk, id) = in_doubt().await;
    shows(&desk, &id, Some("created")).await;
    desk.stage.pass(TimeDelta::minutes(61));
    assert_eq!(without_statement(&desk).await.open, 1);
}

#[tokio::test]
async fn a_capture_in_doubt_is_open_beside_the_hold_and_not_compared_beside_its_end() {
    let desk = Desk::in_memory().await;
    let stage = &desk.stage;
    let at = "2027-01-31T06:30:00Z";
    let plan = format!(r#"{{"capture_at":"{at}"}}"#);
    let id = stage.authorize_by_token("captured", 1_500, &plan).await;
    stage.work().await;
    let lost = chip_sandbox::Effect::timeout_before_commit();
    stage.fault(chip_sandbox::Rule::on(chip_sandbox::Operation::Capture, lost).times(1));
    stage.clock.advance(TimeDelta::minutes(40));
    let claim = stage.store.claim(1).await.unwrap().claims.remove(0);
    stage.worker.turn(claim).await;
    let payment = stage.payment(&id).await;
    let attempt = payment.open_attempt().unwrap();
    assert!(matches!(attempt.step, Step::Capture { .. }));
    stage.pass(TimeDelta::minutes(61));
    assert_eq!(without_statement(&desk).await.open, 1);
    shows(&desk, &id, Some("released")).await;
    let report = without_statement(&desk).await;
    assert_eq!(report.not_compared, 1, "{report:?}");
}

#[tokio::test]
async fn a_hold_that_no_record_knows_of_for_an_hour_is_not_passed_over() {
    let desk = Desk::in_memory().await;
    let there = desk.charged(named("held").as_str(), 1_500, true);
    let state = json!({"name": "awaiting_payer"});
    let id = desk.recorded("held", state, there).await;
    let asked = asking(StatementFrom::Nowhere);
    desk.stage.pass(TimeDelta::minutes(59));
    let report = desk.reconcile_with(&asked).await.unwrap();
    assert_eq!(report.open, 1, "{report:?}");
    desk.stage.pass(TimeDelta::minutes(2));
    let report = desk.reconcile_with(&asked).await.unwrap();
    assert_eq!(report.verdict(), Verdict::NotAllCompared, "{report:?}");
    let (named, why) = &report.not_compared_listed[0];
    assert_eq!(named, &id);
    assert!(why.contains("funds are reserved"), "{why}");
}

#[tokio::test]
async fn two_lines_for_one_purchase_are_told_whatever_else_is_in_doubt() {
    let (desk, id) = in_doubt().await;
    // As new as anything may be.
    desk.stage.pass(TimeDelta::minutes(5));
    let text = statement_text(&desk);
    let twice = text.lines().find(|line| line.contains(id.as_str()));
    let text = format!("{text}{}\n", twice.unwrap());
    let report = desk.reconcile_with(&asking(desk.downloaded(&text))).await;
    let report = report.unwrap();
    assert_eq!(kinds(&report), [Kind::TwoPaidForOne], "{report:?}");
    assert_eq!(report.findings[0].payment.as_ref(), Some(&id));
}

#[tokio::test]
async fn a_payer_who_paid_hours_ago_is_found_without_a_statement() {
    let desk = Desk::in_memory().await;
    let later = r#"{"capture_at":"2027-02-03T06:00:00Z"}"#;
    desk.stage
        .authorize_by_checkout("waiting", 1_500, later)
        .await;
    desk.stage.work().await;
    let there = desk.charged(named("paid").as_str(), 1_500, false);
    let state = json!({"name": "awaiting_payer"});
    let id = desk.recorded("paid", state, there).await;
    desk.stage.pass(TimeDelta::minutes(59));
    let asked = asking(StatementFrom::Nowhere);
    let report = desk.reconcile_with(&asked).await.unwrap();
    assert_eq!(report.verdict(), Verdict::AgreeWithoutStatement);
    assert_eq!(report.open, 2);
    desk.stage.pass(TimeDelta::hours(2));
    let report = desk.reconcile_with(&asked).await.unwrap();
    assert_eq!(kinds(&report), [Kind::TakenAgainstRecord], "{report:?}");
    assert_eq!(report.findings[0].payment.as_ref(), Some(&id));
    assert_eq!(report.open, 1, "who has not paid is no difference");
}

#[tokio::test]
async fn a_period_is_over_ten_minutes_after_its_end_and_not_before() {
    let desk = Desk::in_memory().await;
    healthy(&desk).await;
    let end = desk.stage.clock.now();
    for statement in [StatementFrom::Gateway(layout()), StatementFrom::Nowhere] {
        let mut asked = asking(statement);
        asked.period.to = desk.stage.clock.now();
        desk.stage.pass(TimeDelta::minutes(9));
        let report = desk.reconcile_with(&asked).await.unwrap();
        assert_eq!(report.verdict(), Verdict::NotAllCompared);
        assert_eq!((report.not_compared, report.differing()), (0, 0));
        let after = asked.period.to + TimeDelta::minutes(10);
        assert_eq!(report.too_early, Some(after));
        assert_eq!(report.json(false)["run_again_after"], json!(after));
        desk.stage.pass(TimeDelta::minutes(1));
        let report = desk.reconcile_with(&asked).await.unwrap();
        assert_ne!(report.verdict(), Verdict::NotAllCompared, "{report:?}");
        assert_eq!(report.too_early, None);
    }
    // A statement that was made then says nothing of what came later.
    let mut asked = asking(StatementFrom::Read {
        statement: read(&statement_text(&desk)),
        made_at: end,
    });
    asked.period.to = end;
    let report = desk.reconcile_with(&asked).await.unwrap();
    assert_eq!(report.verdict(), Verdict::NotAllCompared);
    assert_eq!(report.too_early, Some(end + TimeDelta::minutes(10)));
}
