//! SIGKILL at random times, with everything going wrong at the gateway that can.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_rig::torture::{Manners, Plan, Report, run};

use super::stage::binary;

const PAYMENTS: usize = 200;

fn plan() -> Plan {
    Plan {
        seed: 20_261_123,
        payments: PAYMENTS,
        faults_for: Duration::from_secs(15),
        least_kills: 15,
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

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_at_random_under_all_faults_leave_each_payment_one_effect_and_a_true_report()
{
    let report = run(&plan(), |_| ()).await.unwrap();
    let problems: Vec<_> = report.problems().collect();
    assert!(
        problems.is_empty(),
        "{}\nlogs in {}",
        problems.join("\n"),
        report.logs.display()
    );
    assert_eq!(report.moved_twice(), 0);
    assert_eq!(report.lines.len(), PAYMENTS, "a payment is lost");

    // None of this says anything unless enough went wrong.
    assert!(report.kills >= 15, "only {} kills", report.kills);
    assert!(report.faults >= 150, "only {} faults", report.faults);
    let (kinds, calls) = met(&report);
    assert!(
        kinds.len() >= 10 && kinds.values().all(|count| *count >= 5),
        "{kinds:?}"
    );
    assert!(
        calls.len() >= 6 && calls.values().all(|count| *count >= 5),
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
