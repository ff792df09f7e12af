//! Everything fails at the same time: a bounded slice of `make chaos`.

use std::time::Duration;

use holdfast_rig::chaos::{Blow, Manners, Mishap, Outcome, Plan, Quotas, Side, run};

use super::stage::binary;

const PAYMENTS: u64 = 400;
const FEW: u64 = 60;

fn plan() -> Plan {
    Plan {
        binary: Some(binary()),
        log_filter: "holdfast=trace",
        span: Duration::from_secs(15),
        ..Plan::around(PAYMENTS, 20_261_123)
    }
}

/// One effect at most for each payment, a true report of it, nothing lost, nothing told.
fn sound(outcome: &Outcome, payments: u64) {
    assert!(
        outcome.problems.is_empty(),
        "{}\nlogs and Redis' files in {:?}",
        outcome.problems.join("\n"),
        outcome.kept
    );
    assert_eq!(outcome.moved_twice, 0);
    assert!(outcome.payments >= payments, "too few payments");
    let ended: u64 = outcome.states.values().sum();
    assert_eq!(ended, outcome.payments, "a payment is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_at_the_same_time_each_payment_has_one_effect_and_a_true_report() {
    let outcome = run(&plan(), |_| ()).await.unwrap();
    sound(&outcome, PAYMENTS);

    // None of this says anything unless enough went wrong.
    let kills = outcome.count(|it| matches!(it, Blow::Kill | Blow::KillWhilePaused));
    let pauses = outcome.count(|it| matches!(it, Blow::Pause | Blow::LongPause));
    assert!(kills >= 10 && pauses >= 4, "{:?}", outcome.blows);
    for harm in [Blow::RedisKill, Blow::RedisCut, Blow::RedisTorn] {
        assert!(outcome.count(|it| it == harm) > 0, "{:?}", outcome.blows);
    }
    for side in [Side::Redis, Side::Gateway] {
        for mishap in Mishap::ALL {
            let met = outcome.count(|it| it == Blow::Socket(side, mishap));
            assert!(met > 0, "no {side:?} {mishap:?}: {:?}", outcome.blows);
        }
    }
    if outcome.clocks_jumped {
        for clock in [Blow::WorkerClock, Blow::RedisClock] {
            assert!(outcome.count(|it| it == clock) > 0, "{:?}", outcome.blows);
        }
    }
    assert!(outcome.heard >= 50, "only {} deliveries", outcome.heard);
    let kinds = outcome.hits_by_fault();
    assert!(
        kinds.len() >= 18 && kinds.values().all(|count| *count >= 5),
        "{kinds:?}"
    );
    let missed = outcome.hits.values().filter(|count| **count == 0).count();
    assert!(
        missed * 4 <= outcome.hits.len(),
        "too many were never met: {:?}",
        outcome.hits
    );
    let states = &outcome.states;
    for state in ["paid", "failed", "released", "saved"] {
        assert!(states.contains_key(state), "none is {state}: {states:?}");
    }
}

/// Nobody has written down how the gateway answers these questions, so the promise holds for each
/// answer; where a gateway may take one purchase twice, for accounts that park what is unknown.
async fn whatever_the_gateway_does(manners: Manners, seed: u64) {
    let all = Plan::around(FEW, seed);
    let quotas = Quotas {
        payments: FEW,
        kills: 5,
        gateway: 30,
        pauses: 0,
        stops: 0,
        redis_kills: 0,
        sockets: 0,
        jumps: 0,
    };
    let plan = Plan {
        quotas,
        span: Duration::from_secs(5),
        manners,
        binary: Some(binary()),
        ..all
    };
    let outcome = run(&plan, |_| ()).await.unwrap();
    sound(&outcome, FEW);
    let kills = outcome.count(|it| it == Blow::Kill);
    assert!(kills >= 5, "only {kills} kills");
    assert!(outcome.gateway_faults() >= 30, "{:?}", outcome.hits);
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
