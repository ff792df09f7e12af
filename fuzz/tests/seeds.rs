//! All seeds are read in every run of the tests, and many small changes of each.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use holdfast_fuzz::{SEEDS, TARGETS, Target};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// How many changed texts are read for each seed.
const CHANGES: usize = 400;
/// What is put where something else stood.
const WORDS: [&str; 18] = [
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "\"\"",
    "-1",
    "0",
    "1e999",
    "0.1",
    "\"1500\"",
    "18446744073709551616",
    "9223372036854775807",
    "\u{0}",
    "\"\\ud800\"",
    "[[[[[[[[",
    "\n",
    "=",
];

fn seeds_of(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(SEEDS).join(name);
    let mut seeds: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    seeds.sort();
    seeds
}

fn changed(seed: &[u8], others: &[(String, Vec<u8>)], dice: &mut StdRng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..dice.random_range(1..4) {
        let from = dice.random_range(0..=bytes.len());
        let to = bytes.len().min(from + dice.random_range(0..24));
        match dice.random_range(0..6) {
            0 => drop(bytes.drain(from..to)),
            1 => drop(bytes.splice(from..to, WORDS.choose(dice).unwrap().bytes())),
            2 => bytes.truncate(from),
            3 => {
                let other = &others.choose(dice).unwrap().1;
                let start = dice.random_range(0..=other.len());
                bytes.splice(from..to, other[start..].iter().copied());
            }
            4 => {
                let again = bytes[from..to].to_vec();
                bytes.splice(from..from, again);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte ^= 1 << dice.random_range(0..8);
                }
            }
        }
    }
    bytes
}

fn reads_everything(name: &str, target: Target) {
    let seeds = seeds_of(name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let mut dice = StdRng::seed_from_u64(1);
    for (seed, bytes) in &seeds {
        target(bytes);
        for _ in 0..CHANGES {
            let changed = changed(bytes, &seeds, &mut dice);
            let read = catch_unwind(|| target(&changed));
            assert!(
                read.is_ok(),
                "{name}/{seed}, changed: {:?}",
                changed.escape_ascii().to_string()
            );
        }
    }
}

#[test]
fn whatever_comes_from_outside_is_read_or_refused_and_never_believed_too_much() {
    std::thread::scope(|scope| {
        for (name, target) in TARGETS {
            scope.spawn(move || reads_everything(name, target));
        }
    });
}

#[test]
fn every_target_has_a_program_and_seeds() {
    let mut folders: Vec<String> = fs::read_dir(SEEDS)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(folders, names);
    for name in names {
        let program = format!("{SEEDS}/../fuzz_targets/{name}.rs");
        let text = fs::read_to_string(program).unwrap();
        assert!(text.contains(&format!("holdfast_fuzz::{name}(bytes)")));
    }
}

/// A fuzzer that only feeds what is refused at the first byte tests nothing.
#[test]
fn the_seeds_reach_what_they_are_for() {
    for (name, json) in seeds_of("request") {
        holdfast::payment::Request::from_json(&json).expect(&name);
    }
    for (name, json) in seeds_of("command") {
        let read = holdfast::payment::Command::from_json(&json);
        assert_eq!(read.is_err(), name.starts_with("bad-"), "{name}");
    }
    for (name, element) in seeds_of("intake") {
        use holdfast::api::pushed::{Element, Rules};
        let rules = Rules {
            accept_unsigned: true,
            producers: Vec::new(),
        };
        let bare = element.first() == Some(&b'{');
        let element = Element::read(&element, &rules, holdfast::payment::Timestamp::UNIX_EPOCH);
        assert_eq!(element.verdict().is_ok(), bare, "{name}: {element:?}");
        // Those that are signed are refused here because nobody's key is known.
        assert!(element.account.is_some(), "{name}: {element:?}");
    }
    let mut answered = BTreeMap::new();
    for (name, request) in seeds_of("http") {
        answered.insert(name, holdfast_fuzz::http(&request));
    }
    let expected = [
        ("authorize", 200),
        ("batch", 200),
        ("cancel", 202),
        ("capture", 409),
        ("charge", 201),
        ("document", 200),
        ("list", 200),
        ("list-state", 200),
        ("look", 200),
        ("no-key", 401),
        ("nothing", 405),
        ("reads", 403),
        ("release", 409),
        ("reschedule", 202),
        ("wait", 201),
    ];
    let expected = expected.map(|(name, status)| (name.to_owned(), Some(status)));
    assert_eq!(answered, BTreeMap::from(expected));
    for (name, body) in seeds_of("record") {
        let read = holdfast::store::redis::read_record(&body);
        assert_eq!(read.is_err(), name.starts_with("bad-"), "{name}: {read:?}");
    }
    for (name, answer) in seeds_of("answer").into_iter().filter(|(_, a)| a[0] == 0) {
        holdfast::gateway::read_sighting(&answer[1..]).expect(&name);
    }
}
