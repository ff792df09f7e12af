//! Every mutant still stands for something: cheap, so that it is asked with every run of the tests.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use holdfast_mutants::{Ended, Found, Killer, Mutant, Verdict, read_all};
use holdfast_rig::{Before, Report};

/// Fewer would leave rules unproven.
const LEAST: usize = 60;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn all() -> Vec<Mutant> {
    read_all(&root()).unwrap()
}

#[test]
fn every_mutant_still_changes_what_it_was_made_for() {
    for mutant in all() {
        let changed = mutant.applied(&root()).unwrap();
        assert!(!changed.is_empty(), "{}", mutant.name);
        assert!(!mutant.why.is_empty(), "{}", mutant.name);
        assert!(!mutant.killers.is_empty(), "{}", mutant.name);
    }
}

#[test]
fn every_rule_is_broken_in_some_way() {
    let rules: BTreeSet<String> = all().into_iter().map(|mutant| mutant.rule).collect();
    let known: BTreeSet<String> = (1..=17).map(|number| format!("R{number}")).collect();
    assert_eq!(rules, known);
}

/// What must never be left unbroken, and what breaks it.
const NAMED: [(&str, &[&str]); 22] = [
    (
        "skip the gate",
        &[
            "memory-licenses-without-the-gate",
            "redis-licenses-without-the-gate",
        ],
    ),
    (
        "gate before the write",
        &[
            "memory-licenses-before-it-writes",
            "redis-licenses-before-it-writes",
        ],
    ),
    (
        "nonce not compared",
        &[
            "memory-save-ignores-the-nonce",
            "redis-save-ignores-the-nonce",
        ],
    ),
    (
        "version not compared",
        &[
            "memory-save-ignores-the-version",
            "redis-save-ignores-the-version",
        ],
    ),
    (
        "purchase id overwritten",
        &["the-purchase-id-is-overwritten"],
    ),
    (
        "charge before its purchase is saved",
        &[
            "memory-charges-before-the-purchase-is-recorded",
            "redis-charges-before-the-purchase-is-recorded",
        ],
    ),
    (
        "new purchase on unknown",
        &["an-unknown-call-gets-a-new-purchase"],
    ),
    ("5xx read as decline", &["a-5xx-is-read-as-a-decline"]),
    (
        "time-out read as decline",
        &["a-time-out-is-read-as-a-decline"],
    ),
    (
        "wrong_status read as decline",
        &["a-wrong-status-is-read-as-a-decline"],
    ),
    ("Q = 0", &["nothing-is-quiet-for-long"]),
    (
        "Failed without seal",
        &["failed-is-written-without-a-seal", "a-seal-is-read-once"],
    ),
    (
        "Paid without amount check",
        &["paid-is-written-for-another-amount"],
    ),
    ("is_test ignored", &["a-test-object-is-accepted"]),
    (
        "release after a capture was sent",
        &["a-release-is-taken-after-a-capture-was-sent"],
    ),
    (
        "rerun resets the state",
        &["a-rerun-forgets-the-open-attempt"],
    ),
    (
        "TTL on an unfinished payment",
        &["redis-unfinished-payments-expire"],
    ),
    ("a webhook sets the state", &["a-nudge-is-believed"]),
    (
        "non-2xx to an unknown event",
        &["an-event-about-nothing-of-ours-is-refused"],
    ),
    (
        "retry inside the HTTP client",
        &["the-client-tries-again-by-itself"],
    ),
    (
        "allow-oom missing on outcome scripts",
        &[
            "redis-save-is-refused-when-memory-is-full",
            "redis-giving-back-is-refused-when-memory-is-full",
            "a-delivery-is-not-noted-when-memory-is-full",
        ],
    ),
    (
        "drain drops an outcome in hand",
        &["a-stop-drops-the-outcome-in-hand"],
    ),
];

#[test]
fn what_must_never_be_done_is_done_by_some_mutant() {
    let all = all();
    for (what, broken_by) in NAMED {
        for name in broken_by {
            let there = all.iter().any(|mutant| mutant.name == *name);
            assert!(there, "{what}: there is no mutant {name}");
        }
    }
}

#[test]
fn no_two_mutants_share_a_name_and_there_are_many() {
    let all = all();
    let names: BTreeSet<&str> = all.iter().map(|mutant| mutant.name.as_str()).collect();
    assert_eq!(names.len(), all.len());
    assert!(all.len() >= LEAST, "only {} are left", all.len());
    for name in names {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(name.bytes().all(plain), "{name}");
    }
}

#[test]
fn every_test_that_is_to_kill_one_is_there() {
    let mut text = String::new();
    for folder in ["src", "tests/it"] {
        read(&root().join(folder), &mut text);
    }
    for mutant in all() {
        for name in mutant.killers.iter().filter_map(Killer::test) {
            let last = name.rsplit("::").next().unwrap();
            let there = [format!("fn {last}("), format!("    {last}\n")];
            assert!(
                there.iter().any(|form| text.contains(form)),
                "{}: there is no test {name}",
                mutant.name
            );
        }
    }
}

fn read(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, text);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn what_was_noticed_is_not_run_again_until_it_or_what_it_changes_is_another() {
    let all = all();
    let (one, other) = (&all[0], &all[1]);
    let ended = |verdict| Ended {
        verdict,
        seconds: 1,
    };
    let mut found = Found::default();
    let noticed = Verdict::Killed {
        by: "tests",
        how: "a promise".to_owned(),
    };
    found.add(one, (&root(), "a1"), &ended(noticed));
    found.add(other, (&root(), "a1"), &ended(Verdict::Survived));
    assert!(!found.all_noticed(&all));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mutants.json");
    let report = Report::begin(&path, "mutants", "make mutants".to_owned());
    report.write(false, &found.figures(&all, 1_000)).unwrap();
    let before = Before::read(&path).unwrap();
    let row = |place: usize| &before.figures["mutants"][place]["unnoticed_by"];
    let layers = all[1].killers.iter().map(Killer::layer);
    let mut layers: Vec<&str> = layers.collect();
    layers.dedup();
    assert_eq!(*row(1), serde_json::json!(layers), "all of them were asked");
    let known = |seeds, mutants: &[Mutant]| {
        let found = Found::on_record(&before, (&root(), seeds), mutants);
        let known = mutants.iter().filter(|mutant| found.knows(mutant));
        known.map(|mutant| mutant.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(known(1_000, &all), std::slice::from_ref(&one.name));
    assert!(
        known(999, &all).is_empty(),
        "other seeds prove something else"
    );
    let mut changed = all.clone();
    changed[0].edits[0].replace.push(' ');
    assert!(known(1_000, &changed).is_empty());
    // It stays on record, with its commit, and comes after those that nobody has run.
    let older = Found::on_record(&before, (&root(), 1_000), &changed);
    let rows = &older.figures(&changed, 1_000)["mutants"];
    assert_eq!(rows[0]["commit"], "a1");
    let left = older.left_of(&changed[..3]);
    let names: Vec<&str> = left.iter().map(|mutant| mutant.name.as_str()).collect();
    assert_eq!(names, [1, 2, 0].map(|place| changed[place].name.as_str()));
    let mut changed = all.clone();
    changed[0].killers.clone_from(&all[1].killers);
    assert!(known(1_000, &changed).is_empty());
}
