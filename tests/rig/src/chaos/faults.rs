//! What goes wrong at the gateway: everything that a call can meet, on every call that matters.

use std::collections::BTreeMap;

use chip_sandbox::{Answer, Effect, Ledger, Operation, Rule};

/// The calls, and how likely each effect is on each of them.
const CALLS: [(Operation, f64); 7] = [
    (Operation::Create, 0.015),
    (Operation::Charge, 0.03),
    (Operation::Capture, 0.03),
    (Operation::Release, 0.03),
    (Operation::Cancel, 0.025),
    (Operation::Retrieve, 0.015),
    (Operation::Delivery, 0.03),
];
const DECLINES: [&str; 3] = ["insufficient_funds", "do_not_honour", "timeout"];
/// The first call that meets a fault for certain; every second one after it meets the next.
const FIRST: u64 = 2;

/// What can go wrong with any call of the API. A rejected key (401, 403) is not among it: it is a
/// mistake in the configuration, and a payment that stops for it stops rightly.
fn everywhere() -> Vec<Effect> {
    vec![
        Effect::timeout_before_commit(),
        Effect::timeout_after_commit(),
        Effect::committed_late(1_500),
        Effect::status_after_commit(500),
        Effect::status_before_commit(503),
        Effect::reset_before_commit(),
        Effect::reset_after_commit(),
        Effect::truncated(),
        // A 429 goes by the same name: a status, and no commit.
        Effect::rate_limited(1),
        Effect::answered(Answer::NotJson),
        Effect::answered(Answer::WrongId),
        Effect::Latency(600),
    ]
}

/// What can go wrong with a call.
fn effects(operation: Operation) -> Vec<Effect> {
    let more = match operation {
        Operation::Delivery => {
            return vec![
                Effect::Lost,
                Effect::Duplicated,
                Effect::Reordered(1_500),
                Effect::Latency(1_200),
            ];
        }
        Operation::Charge => vec![
            Effect::pending(1_200),
            Effect::pending_then_declined(1_200, "do_not_honour"),
            Effect::Block("suspected_fraud".to_owned()),
        ],
        Operation::Capture | Operation::Release => vec![
            Effect::pending(1_200),
            Effect::pending_then_declined(1_200, "do_not_honour"),
        ],
        // All of them are younger than the quiet period, or show what no quiet period makes true.
        Operation::Retrieve => vec![
            Effect::StaleBy(1_000),
            Effect::StaleStatus,
            Effect::BeforeOperation,
        ],
        _ => Vec::new(),
    };
    [everywhere(), more].concat()
}

/// The rules: each effect once for certain on each call, if there are that many calls, and again
/// and again by chance, which is multiplied `by` so much.
pub(crate) fn rules(seed: u64, by: f64) -> Vec<Rule> {
    let mut certain = Vec::new();
    let mut chance = Vec::new();
    let mut seed = seed;
    for (operation, probability) in CALLS {
        let mut nth = FIRST;
        for effect in effects(operation) {
            seed = seed.wrapping_add(1);
            // What only one call can meet is met there more often.
            let probability = match effect {
                Effect::Block(_)
                | Effect::StaleBy(_)
                | Effect::StaleStatus
                | Effect::BeforeOperation => probability * 3.0,
                _ => probability,
            };
            certain.push(Rule::on(operation, effect.clone()).nth(nth));
            chance.push(Rule::on(operation, effect).probability(probability * by, seed));
            nth += 2;
        }
    }
    for code in DECLINES {
        for operation in [Operation::Charge, Operation::Capture, Operation::Release] {
            seed = seed.wrapping_add(1);
            chance.push(Rule::on(operation, Effect::decline(code)).probability(0.03 * by, seed));
        }
    }
    certain.append(&mut chance);
    certain
}

/// How often each fault was met, by call and kind; what can be met and was not is there with 0.
pub type Hits = BTreeMap<(String, &'static str), u64>;

/// How many calls and deliveries met a fault so far.
pub(super) fn met(ledger: &Ledger) -> u64 {
    ledger.faults_met().values().sum()
}

/// Counts what the ledger's requests and deliveries met.
pub(super) fn hits(ledger: &Ledger) -> Hits {
    let mut hits = Hits::new();
    for (operation, _) in CALLS {
        for effect in effects(operation) {
            hits.insert((format!("{operation:?}"), effect.name()), 0);
        }
    }
    for ((operation, name), count) in ledger.faults_met() {
        *hits.entry((format!("{operation:?}"), *name)).or_default() += count;
    }
    hits
}
