//! SIGKILL at random times, with everything going wrong at the gateway that can.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_rig::torture::{Manners, Plan, Report, run};

use super::stage::binary;

const PAYMENTS: usize = 200;
const FEW: usize = 60;

fn plan() -> Plan {
    Plan {
        seed: 20_261_123,
        payments: PAYMENTS,
        faults_for: Duration::from_secs(15),
        least_kills: 15,
        least_faults: 150,
        workers: 3,
        manners: Manners::AsObserved,
        binary: Some(binary()),
    }
}

/// How often each fault was met, on whichever call, and how often each call met any.
fn met(report: &Report) -> (BTreeMap<&str, usize>, BTreeMap<&str, usize>) {
    let mut kinds = BTreeMap::new();
    let mut calls = BTreeMap::new();
    for ((call, kind), count) in &report.hits {
        *kinds.entry(*kind).or_default() += count;
        *calls.entry(call.as_str()).or_default() += count;
    }
    (kinds, calls)
}

/// One effect at most for each payment, and a true report of it.
fn sound(report: &Report, payments: usize) {
    let problems: Vec<_> = report.problems().collect();
    assert!(
        problems.is_empty(),
        "{}\nlogs in {}",
        problems.join("\n"),
        report.logs.display()
    );
    assert_eq!(report.moved_twice(), 0);
    assert_eq!(report.lines.len(), payments, "a payment is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_at_random_under_all_faults_leave_each_payment_one_effect_and_a_true_report()
{
    let report = run(&plan(), |_| ()).await.unwrap();
    sound(&report, PAYMENTS);

    // None of this says anything unless enough went wrong.
    assert!(report.kills >= 15, "only {} kills", report.kills);
    assert!(report.faults >= 150, "only {} faults", report.faults);
    assert!(report.heard >= 50, "only {} deliveries", report.heard);
    let (kinds, calls) = met(&report);
    assert!(
        kinds.len() >= 18 && kinds.values().all(|count| *count >= 5),
        "{kinds:?}"
    );
    assert!(
        calls.len() >= 7 && calls.values().all(|count| *count >= 5),
        "{calls:?}"
    );
    let missed = report.hits.values().filter(|count| **count == 0).count();
    assert!(
        missed * 4 <= report.hits.len(),
        "too many were never met: {:?}",
        report.hits
    );
    let states = report.states();
    for state in ["paid", "failed", "released", "saved"] {
        assert!(states.contains_key(state), "none is {state}: {states:?}");
    }
}

/// Nobody has written down how the gateway answers these questions, so the promise holds for each
/// answer; where a gateway may take one purchase twice, for accounts that park what is unknown.
async fn whatever_the_gateway_does(manners: Manners, seed: u64) {
    let plan = Plan {
        seed,
        payments: FEW,
        faults_for: Duration::from_secs(5),
        least_kills: 5,
        least_faults: 30,
        manners,
        ..plan()
    };
    let report = run(&plan, |_| ()).await.unwrap();
    sound(&report, FEW);
    assert!(report.kills >= 5, "only {} kills", report.kills);
    assert!(report.faults >= 30, "only {} faults", report.faults);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_takes_two_charges_in_flight_takes_each_payment_once() {
    whatever_the_gateway_does(Manners::TakesTwice, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_cancels_under_a_charge_leads_to_no_false_report() {
    whatever_the_gateway_does(Manners::CancelRacesCharge, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_says_conflict_or_as_little_as_it_may_is_understood() {
    whatever_the_gateway_does(Manners::ConflictIs409, 3).await;
    whatever_the_gateway_does(Manners::SaysLittle, 4).await;
}
