//! Every state beside what the gateway may show of it.

use chip_sandbox::Status;

use super::*;

/// What comes of each state (a row) beside each status (a column).
const TABLE: &str = "
         | created                | pending_capture | hold                   | released               | cancelled              | preauthorized          | settled
paid     | record_without_payment | not_compared    | record_without_payment | record_without_payment | record_without_payment | record_without_payment | not_compared
held     | stands_otherwise       | open            | agree                  | stands_otherwise       | stands_otherwise       | stands_otherwise       | not_compared
released | stands_otherwise       | not_compared    | held_against_record    | agree                  | stands_otherwise       | stands_otherwise       | taken_against_record
failed   | stands_otherwise       | not_compared    | held_against_record    | stands_otherwise       | agree                  | stands_otherwise       | taken_against_record
saved    | stands_otherwise       | not_compared    | held_against_record    | stands_otherwise       | stands_otherwise       | agree                  | taken_against_record
parked   | parked                 | parked          | parked                 | parked                 | parked                 | parked                 | not_compared
new      | open                   | open            | open                   | open                   | open                   | open                   | open
";

fn cells(line: &str) -> Vec<&str> {
    line.split('|').map(str::trim).collect()
}

fn state(name: &str) -> Value {
    let money = json!({"amount": 1_500, "currency": "MYR"});
    match name {
        "paid" => paid(1_500, "MYR"),
        "held" => json!({"name": name, "with": {
            "money": money, "since": start_time(), "expires_at": start_time() + TimeDelta::days(5),
        }}),
        "failed" => json!({"name": name, "with": {"why": "expired"}}),
        "saved" => json!({"name": name, "with": Uuid::from_u128(7)}),
        "parked" => json!({"name": name, "with": {
            "reason": {"why": "before_expiry"}, "from": {"name": "new"},
        }}),
        _ => json!({"name": name}),
    }
}

fn word(report: &Report) -> &'static str {
    match report.findings.first() {
        Some(finding) => finding.kind.as_str(),
        None if report.not_compared > 0 => "not_compared",
        None if report.open > 0 => "open",
        None if report.parked > 0 => "parked",
        None => "agree",
    }
}

#[tokio::test]
async fn each_state_agrees_with_its_own_standing_at_the_gateway_and_with_no_other() {
    let desk = Desk::in_memory().await;
    let stage = &desk.stage;
    let gateway = gateway(&stage.sandbox.base_url(), &stage.clock);
    let mut lines = TABLE.lines().filter(|line| !line.trim().is_empty());
    let statuses = cells(lines.next().unwrap());
    for line in lines {
        let row = cells(line);
        for (status, expected) in statuses.iter().zip(&row).skip(1) {
            let purchase = desk.made(named("k").as_str(), 1_500, true);
            let forced: Status = serde_json::from_value(json!(status)).unwrap();
            stage.sandbox.force_status(purchase, forced);
            let store = MemoryStore::new(stage.clock.clone(), 30_000);
            let payment = written("k", state(row[0]), purchase, stage.clock.now());
            store.create(&payment, stage.clock.now()).await.unwrap();
            let books = Books {
                store: &store,
                gateway: &gateway,
                clock: &stage.clock,
                pace: PACE,
            };
            let asked = asking(StatementFrom::Nowhere);
            let report = books
                .reconcile(&asked, &mut |_: Progress| {})
                .await
                .unwrap();
            assert_eq!(report.looked_at(), 1);
            assert_eq!(word(&report), *expected, "{} beside {status}", row[0]);
        }
    }
}

#[tokio::test]
async fn what_a_person_marked_as_paid_is_no_money_that_was_taken() {
    let desk = Desk::in_memory().await;
    let mark = |purchase: Uuid| desk.acts(purchase, "mark_as_paid", &json!({}));
    for (key, state, kind) in [
        ("one", paid(1_500, "MYR"), Kind::RecordWithoutPayment),
        ("two", json!({"name": "released"}), Kind::StandsOtherwise),
    ] {
        let purchase = desk.made(named(key).as_str(), 1_500, false);
        mark(purchase);
        desk.recorded(key, state, purchase).await;
        let asked = asking(StatementFrom::Nowhere);
        let report = desk.reconcile_with(&asked).await.unwrap();
        assert_eq!(report.findings.last().map(|it| it.kind), Some(kind));
    }
}
