//! What two people settled where the gateway shows nothing: no difference for ever, unless money was
//! taken.

use chip_sandbox::Status;

use super::*;

/// A record that two people's word ended so.
fn settled(key: &str, outcome: &str, purchase: Uuid, now: Timestamp) -> Payment {
    let state = match outcome {
        "hold_gone" => json!({"name": "released"}),
        _ => json!({"name": "failed", "with": {"why": "stated_by_hand"}}),
    };
    let mut payment = serde_json::to_value(written(key, state, purchase, now)).unwrap();
    let said = |actor: &str| json!({"at": now, "actor": actor, "reason": "the bank says so"});
    payment["resolution"] = json!({
        "how": "by_hand", "outcome": outcome, "progress": {"name": "done"},
        "said": [said("aina"), said("badrul")],
    });
    serde_json::from_value(payment).unwrap()
}

/// What comes of an outcome beside each status.
const TABLE: [(&str, Status, &str); 12] = [
    ("hold_gone", Status::Hold, "by_hand"),
    ("hold_gone", Status::Released, "agree"),
    ("hold_gone", Status::Cancelled, "by_hand"),
    ("hold_gone", Status::Expired, "by_hand"),
    ("hold_gone", Status::Created, "stands_otherwise"),
    ("hold_gone", Status::Paid, "taken_against_record"),
    ("never_paid", Status::Cancelled, "agree"),
    ("never_paid", Status::Released, "by_hand"),
    ("never_paid", Status::Hold, "held_against_record"),
    ("never_paid", Status::Created, "stands_otherwise"),
    ("never_paid", Status::Paid, "taken_against_record"),
    ("never_paid", Status::PendingCharge, "not_compared"),
];

fn word(report: &Report) -> &'static str {
    match report.findings.first() {
        Some(finding) => finding.kind.as_str(),
        None if report.settled_by_hand > 0 => "by_hand",
        None if report.not_compared > 0 => "not_compared",
        None => "agree",
    }
}

#[tokio::test]
async fn what_two_people_settled_is_no_difference_unless_money_was_taken_or_can_be() {
    for (outcome, status, expected) in TABLE {
        let desk = Desk::in_memory().await;
        let purchase = desk.made(named("k").as_str(), 1_500, true);
        desk.stage.sandbox.force_status(purchase, status);
        let payment = settled("k", outcome, purchase, desk.stage.clock.now());
        desk.keeps(&payment).await;
        desk.evening();
        let report = desk.reconcile_with(&asking(StatementFrom::Nowhere)).await;
        let report = report.unwrap();
        let beside = format!("{outcome} beside {status:?}: {report:?}");
        assert_eq!(word(&report), expected, "{beside}");
        assert_eq!(report.looked_at(), 1);
        if expected == "by_hand" {
            assert_eq!(report.verdict(), Verdict::AgreeWithoutStatement, "{beside}");
            let told = report.json(false);
            assert_eq!(told["settled_by_hand"], json!([payment.id()]));
            assert_eq!(told["payments"]["settled_by_hand"], 1);
        }
    }
}

#[tokio::test]
async fn a_purchase_that_the_gateway_forgot_is_settled_unless_its_statement_has_it() {
    let desk = Desk::in_memory().await;
    let gone = Uuid::from_u128(0xdead);
    let payment = settled("k", "never_paid", gone, desk.stage.clock.now());
    desk.keeps(&payment).await;
    desk.evening();
    let report = desk.reconcile().await;
    assert_eq!(report.verdict(), Verdict::Agree, "{report:?}");
    assert_eq!(report.settled_by_hand_listed, [payment.id().clone()]);
    let head = "id,status,reference,amount,currency,paid_on";
    let id = payment.id();
    let text = format!("{head}\n{gone},paid,{id},15.00,MYR,2027-01-31 06:10:00\n");
    let asked = asking(desk.downloaded(&text));
    let report = desk.reconcile_with(&asked).await.unwrap();
    assert_eq!(kinds(&report), [Kind::TakenAgainstRecord], "{report:?}");
}

#[tokio::test]
async fn the_report_for_people_names_what_was_settled_by_hand() {
    let typed = super::typed::Typed::start().await;
    let now = typed.desk.stage.clock.now();
    let payment = settled("k", "never_paid", Uuid::from_u128(0xdead), now);
    let id = typed.desk.keeps(&payment).await;
    let (told, code) = typed.types(&["--no-statement"]).await;
    assert_eq!(code, 0, "{told}");
    let (_, named) = told.split_once("by hand (1):\n").unwrap();
    assert!(named.trim_start().starts_with(id.as_str()), "{told}");
}
