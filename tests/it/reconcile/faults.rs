//! Many payments, made while the gateway misbehaves: their books agree, and what is planted among
//! them is found. `make reconcile` does the same with 10,000, on real workers.

use chip_sandbox::{Answer, Effect, Operation, Rule};

use super::*;

const COUNT: u64 = 300;

fn misbehave<S: Store>(stage: &Stage<S>) {
    let effects = [
        Effect::reset_before_commit(),
        Effect::reset_after_commit(),
        Effect::status_before_commit(503),
        Effect::status_after_commit(500),
        Effect::answered(Answer::NotJson),
        Effect::truncated(),
        Effect::rate_limited(1),
    ];
    let calls = [
        Operation::Create,
        Operation::Charge,
        Operation::Capture,
        Operation::Release,
        Operation::Retrieve,
    ];
    let mut seed = 7;
    for operation in calls {
        for effect in &effects {
            seed += 1;
            let rule = Rule::on(operation, effect.clone());
            stage.fault(rule.probability(0.03, seed));
        }
    }
    for effect in [Effect::decline("do_not_honour"), Effect::pending(30_000)] {
        seed += 1;
        stage.fault(Rule::on(Operation::Charge, effect).probability(0.05, seed));
    }
}

/// Charges, and holds that are captured or released.
async fn ask_for_all<S: Store>(stage: &Stage<S>) {
    let card = stage.sandbox.save_card("payer@test.example").to_string();
    misbehave(stage);
    let source = format!(r#"{{"token":"{card}"}}"#);
    let at = "2027-01-31T06:20:00Z";
    let captured = format!(r#"{{"capture_at":"{at}","capture_amount":500}}"#);
    let released = format!(r#"{{"release_at":"{at}"}}"#);
    for number in 0..COUNT {
        let amount = 1_000 + number;
        let body = match number % 4 {
            0 => crate::stage::authorize_of(&source, amount, &captured),
            1 => crate::stage::authorize_of(&source, amount, &released),
            _ => crate::stage::charge_of(&card, amount),
        };
        stage.enqueue(&format!("k{number}"), &body).await;
    }
}

/// Ten differences, and what they are.
async fn plant<S: Store>(desk: &Desk<S>) -> Vec<Kind> {
    desk.charged("ORDER-1", 800, false);
    desk.charged(named("lost").as_str(), 800, false);
    desk.charged(named("k2").as_str(), 1_002, false);
    let open = desk.made(named("unpaid").as_str(), 1_500, true);
    desk.recorded("unpaid", paid(1_500, "MYR"), open).await;
    let failed = json!({"name": "failed", "with": {"why": "cancelled"}});
    let states = [paid(1_400, "MYR"), paid(1_500, "SGD"), failed];
    for (key, state) in ["less", "sgd", "failed"].into_iter().zip(states) {
        let purchase = desk.charged(named(key).as_str(), 1_500, false);
        desk.recorded(key, state, purchase).await;
    }
    let released = json!({"name": "released"});
    let held = desk.charged(named("stuck").as_str(), 1_500, true);
    desk.recorded("stuck", released.clone(), held).await;
    let mixed = desk.charged("ORDER-2", 1_500, false);
    desk.recorded("mixed", paid(1_500, "MYR"), mixed).await;
    let gone = desk.made(named("gone").as_str(), 1_500, false);
    desk.recorded("gone", released, gone).await;
    vec![
        Kind::PaidWithoutRecord,
        Kind::PaidWithoutRecord,
        Kind::TwoPaidForOne,
        Kind::RecordWithoutPayment,
        Kind::AmountDiffers,
        Kind::CurrencyDiffers,
        Kind::TakenAgainstRecord,
        Kind::HeldAgainstRecord,
        Kind::AnothersPurchase,
        Kind::StandsOtherwise,
    ]
}

#[tokio::test]
async fn the_books_agree_on_payments_made_through_faults_and_what_is_planted_is_found() {
    let desk = Desk::in_memory().await;
    let stage = &desk.stage;
    ask_for_all(stage).await;
    stage.work_for(TimeDelta::hours(5)).await;
    stage.sandbox.clear_faults();
    stage.work_for(TimeDelta::hours(2)).await;
    let ledger = stage.ledger();
    let met: u64 = ledger.faults_met().values().sum();
    assert!(met > 100, "{met}");
    let mut asked = asking(StatementFrom::Gateway(layout()));
    asked.period.to = stage.clock.now();
    desk.evening();
    let report = desk.reconcile_with(&asked).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Agree, "{report:?}");
    assert_eq!(report.agree + report.open + report.parked, COUNT);
    assert!(report.agree > COUNT * 9 / 10, "{report:?}");
    let sums = report.sums["MYR"];
    let moved: i64 = (0..COUNT)
        .map(|number| ledger.taken_for_reference(named(&format!("k{number}")).as_str()))
        .sum();
    let all = (sums.recorded, sums.gateway, sums.statement);
    let moved = u64::try_from(moved).unwrap();
    assert_eq!(all, (moved, moved, moved));

    let mut expected = plant(&desk).await;
    asked.period.to = stage.clock.now() + TimeDelta::minutes(1);
    desk.evening();
    let report = desk.reconcile_with(&asked).await.unwrap();
    let mut found = kinds(&report);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{report:?}");
}
