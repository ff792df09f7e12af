//! What goes wrong at the gateway: everything that a call can meet, on every call that matters.

use std::collections::BTreeMap;

use chip_sandbox::{Effect, Ledger, Operation, Rule};

/// The calls, and how likely each effect is on each of them.
const CALLS: [(Operation, f64); 6] = [
    (Operation::Create, 0.02),
    (Operation::Charge, 0.04),
    (Operation::Capture, 0.04),
    (Operation::Release, 0.04),
    (Operation::Cancel, 0.03),
    (Operation::Retrieve, 0.02),
];
const DECLINES: [&str; 3] = ["insufficient_funds", "do_not_honour", "timeout"];
/// The first call that meets a fault for certain; every second one after it meets the next.
const FIRST: u64 = 2;

fn effects() -> [(&'static str, Effect); 10] {
    [
        ("timeout_before_commit", Effect::timeout_before_commit()),
        ("timeout_after_commit", Effect::timeout_after_commit()),
        ("timeout_committed_late", Effect::committed_late(1_500)),
        ("status_after_commit", Effect::status_after_commit(500)),
        ("status_before_commit", Effect::status_before_commit(503)),
        ("reset_before_commit", Effect::reset_before_commit()),
        ("reset_after_commit", Effect::reset_after_commit()),
        ("truncated", Effect::truncated()),
        // A 429 goes by the same name: a status, and no commit.
        ("status_before_commit", Effect::rate_limited(1)),
        ("pending", Effect::pending(1_200)),
    ]
}

/// Whether an effect means something on a call.
fn fits(operation: Operation, effect: &Effect) -> bool {
    let goes_to_acquirer = matches!(
        operation,
        Operation::Charge | Operation::Capture | Operation::Release
    );
    goes_to_acquirer || !matches!(effect, Effect::Pending(_))
}

/// The rules: each effect once for certain on each call, if there are that many calls, and again
/// and again by chance.
pub(super) fn rules(seed: u64) -> Vec<Rule> {
    let mut certain = Vec::new();
    let mut chance = Vec::new();
    let mut seed = seed;
    for (operation, probability) in CALLS {
        let mut nth = FIRST;
        for (_, effect) in effects()
            .into_iter()
            .filter(|(_, effect)| fits(operation, effect))
        {
            seed = seed.wrapping_add(1);
            certain.push(Rule::on(operation, effect.clone()).nth(nth));
            chance.push(Rule::on(operation, effect).probability(probability, seed));
            nth += 2;
        }
    }
    for code in DECLINES {
        for operation in [Operation::Charge, Operation::Capture] {
            seed = seed.wrapping_add(1);
            chance.push(Rule::on(operation, Effect::decline(code)).probability(0.03, seed));
        }
    }
    certain.append(&mut chance);
    certain
}

/// How often each fault was met, by call and kind; what can be met and was not is there with 0.
pub type Hits = BTreeMap<(String, &'static str), usize>;

/// Counts what the ledger's requests met.
pub(super) fn hits(ledger: &Ledger) -> Hits {
    let mut hits = Hits::new();
    for (operation, _) in CALLS {
        for (name, _) in effects()
            .into_iter()
            .filter(|(_, effect)| fits(operation, effect))
        {
            hits.insert((format!("{operation:?}"), name), 0);
        }
    }
    for request in ledger.requests() {
        for name in &request.faults {
            *hits
                .entry((format!("{:?}", request.operation), *name))
                .or_default() += 1;
        }
    }
    hits
}
