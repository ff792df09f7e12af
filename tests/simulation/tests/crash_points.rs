//! Every I/O of every flow, struck in every manner: all singles in every run of the tests;
//! `make crash-points` goes on to all pairs.
//!
//! What is written down here is counted. An I/O that comes new into a flow changes a number, a call
//! that comes new into a trait is missing in a table, and a person has to look.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use holdfast_simulation::Keep;
use holdfast_simulation::points::{
    Case, Depth, Fault, Flow, Io, Manner, Point, Role, Setup, Sum, Twice, Verdict, every,
};

/// How many I/Os each undisturbed flow has, and how many of the singles end with a question to a
/// person, under `park`: one for a crash after the note of a call that takes money, one for a crash
/// before the call, one for a call that never arrives.
const FLOWS: &[(Flow, usize, u64)] = &[
    (Flow::Charge, 27, 3),
    (Flow::ChargeSlowly, 10, 3),
    (Flow::Redeployed, 18, 3),
    (Flow::ChargePending, 33, 3),
    (Flow::DeclinedForGood, 33, 3),
    (Flow::DeclinedForLater, 14, 6),
    (Flow::Rerun, 37, 3),
    (Flow::CaptureAt, 45, 3),
    (Flow::ReleaseAt, 12, 0),
    (Flow::CaptureCommand, 47, 6),
    (Flow::ReleaseCommand, 15, 3),
    (Flow::CapturePart, 11, 6),
    (Flow::SaveCard, 31, 0),
    (Flow::Adopt, 35, 3),
    (Flow::LinkExpires, 38, 0),
    (Flow::Cancel, 39, 0),
    (Flow::Reschedule, 50, 3),
    (Flow::GuardReleases, 12, 3),
    (Flow::GuardCaptures, 44, 6),
    (Flow::TakenAsShown, 12, 0),
    (Flow::StatedByHand, 38, 3),
];

/// Who makes which calls.
const CALLERS: &[(Io, &[Role])] = &[
    (Io::Record, &[Role::Shop]),
    (Io::Load, &[Role::Person]),
    (Io::Claim, &[Role::Worker]),
    (Io::Renew, &[Role::Worker]),
    (Io::Save, &[Role::Worker]),
    (Io::License, &[Role::Worker]),
    (Io::Command, &[Role::Person]),
    (Io::GiveBack, &[Role::Worker]),
    (Io::Nudge, &[Role::Hook]),
    (Io::List, &[Role::Person]),
    (Io::Stats, &[Role::Person]),
    (Io::Create, &[Role::Worker]),
    (Io::Charge, &[Role::Worker]),
    (Io::Capture, &[Role::Worker]),
    (Io::Release, &[Role::Worker]),
    (Io::Cancel, &[Role::Worker]),
    (Io::LookUp, &[Role::Worker]),
];

/// The methods of the traits that are no I/O to be struck, and why.
const NO_IO: &[(&str, &str)] = &[
    (
        "woken",
        "a wait for a hint, and whoever misses the hint asks again by itself",
    ),
    ("durability", "answered from what the process knows already"),
    (
        "send",
        "one call for each sort of money call: charge, capture, release, cancel",
    ),
];

fn strike(twice: Option<Twice>) -> Sum {
    let setups: Vec<Setup> = Setup::all().collect();
    let sum = every(&setups, (twice, Depth::Singles), 2, |_| ()).expect("a runtime");
    assert!(sum.told.is_empty(), "{} fail: {:#?}", sum.failed, sum.told);
    assert_eq!(sum.failed, 0);
    assert!(!sum.ends.contains_key(&Verdict::Wrong));
    sum
}

/// All singles, and everything that is counted about them.
#[test]
fn a_crash_at_any_io_of_any_flow_changes_nothing_about_its_end() {
    let sum = strike(None);
    let excused = |flow: Flow| {
        let verdicts = sum.verdicts.iter();
        let of_flow = verdicts
            .filter(|((of, _, verdict), _)| *of == flow && matches!(verdict, Verdict::Excused(_)));
        of_flow.map(|(_, count)| count).sum()
    };
    let counted: Vec<(Flow, usize, u64)> = sum
        .points
        .iter()
        .map(|(setup, points)| (setup.flow, *points, excused(setup.flow)))
        .collect();
    let expected: Vec<(Flow, usize, u64)> = FLOWS.iter().flat_map(|row| [*row, *row]).collect();
    assert_eq!(
        counted, expected,
        "an I/O came new or is gone: is it meant?"
    );
    assert_eq!(FLOWS.len(), Flow::ALL.len());

    let expected: BTreeSet<(Role, Io, Manner)> = CALLERS
        .iter()
        .flat_map(|(io, roles)| roles.iter().map(|role| (*io, *role)))
        .flat_map(|(io, role)| {
            let point = Point { role, io, nth: 1 };
            Fault::all_at(point).map(move |fault| (role, io, fault.manner))
        })
        .collect();
    let met: BTreeSet<_> = sum.cells.keys().copied().collect();
    assert_eq!(
        met, expected,
        "every call, of whoever makes it, in every manner"
    );
}

/// Two turns begin with the same record, at every claim of every flow, with and without a fault.
#[test]
fn every_job_delivered_twice_at_once_has_one_effect_whatever_is_struck() {
    let sum = strike(Some(Twice::AtClaim));
    assert_is_second(&sum, &[Io::Charge, Io::Capture, Io::Release, Io::Cancel]);
    // The first worker finds out that the record is another's, and reads it again.
    assert!(
        sum.cells
            .contains_key(&(Role::Worker, Io::Load, Manner::ReplyLost))
    );
}

/// The second turn begins when the first has its permit in hand and its call goes out.
#[test]
fn every_job_delivered_again_under_an_open_call_has_one_effect_whatever_is_struck() {
    let sum = strike(Some(Twice::AtPermit));
    assert_is_second(&sum, &[Io::LookUp, Io::Save]);
}

/// The second worker really works: it makes these calls.
fn assert_is_second(sum: &Sum, calls: &[Io]) {
    for io in calls {
        let struck = sum.cells.get(&(Role::Second, *io, Manner::CrashBefore));
        assert!(struck.is_some(), "no second worker comes to {io}");
    }
}

/// A method that comes new into a trait is struck, or it is said why not.
#[test]
fn every_method_of_the_store_and_of_the_gateway_is_struck() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src");
    let methods = |file: &str, name: &str| {
        let text = fs::read_to_string(src.join(file)).expect("the trait's source");
        let start = text.find(&format!("pub trait {name}:")).expect("the trait");
        let end = text[start..].find("\n}").expect("its end");
        let lines = text[start..start + end].lines();
        let methods = lines.filter_map(|line| line.strip_prefix("    fn "));
        let names = methods.filter_map(|rest| rest.split(['(', '<']).next());
        names.map(ToOwned::to_owned).collect::<BTreeSet<String>>()
    };
    let mut declared: BTreeSet<String> = methods("store/mod.rs", "Store")
        .iter()
        .map(|name| format!("store.{name}"))
        .collect();
    declared.extend(methods("gateway/mod.rs", "Gateway"));
    declared.extend(["charge", "capture", "release", "cancel"].map(ToOwned::to_owned));
    let mut known: BTreeSet<String> = Io::ALL.iter().map(ToString::to_string).collect();
    for (name, why) in NO_IO {
        assert!(!why.is_empty());
        let there = [format!("store.{name}"), (*name).to_owned()];
        known.extend(there.into_iter().filter(|name| declared.contains(name)));
    }
    assert_eq!(declared, known);
    let with_callers: Vec<Io> = CALLERS.iter().map(|(io, _)| *io).collect();
    assert_eq!(with_callers, Io::ALL);
}

/// A failing case is shown again by its command: the same I/Os, the same lines.
#[test]
fn a_case_is_the_same_every_time_and_is_named_in_words() {
    let fault: Fault = "worker/charge/1/crash-before".parse().unwrap();
    assert_eq!(fault.to_string(), "worker/charge/1/crash-before");
    let setup: Setup = "charge/resends".parse().unwrap();
    let case = Case::undisturbed(setup, Some(Twice::AtPermit)).with(fault);
    assert_eq!(
        case.to_string(),
        "--case charge/resends --twice at-permit --fault worker/charge/1/crash-before"
    );
    let once = case.run(Keep::Lines).unwrap();
    let again = case.run(Keep::Lines).unwrap();
    assert_eq!(once.lines, again.lines);
    assert_eq!(once.sequence, again.sequence);
    assert!(once.problems.is_empty(), "{:?}", once.problems);
    for line in &once.lines {
        for secret in ["simulated-key", "@test.example", "http", "pay_"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

/// What is struck after another fault depends on what came of that one.
#[test]
fn a_pair_is_two_faults_of_one_run() {
    let setups = ["charge-slowly/parks".parse().unwrap()];
    let sum = every(&setups, (None, Depth::Pairs), 2, |_| ()).unwrap();
    assert!(sum.told.is_empty(), "{:#?}", sum.told);
    assert!(sum.pairs > 10 * sum.singles, "{} pairs", sum.pairs);
    let counts: BTreeMap<_, _> = sum.ends.into_iter().collect();
    assert_eq!(counts.values().sum::<u64>(), 1 + sum.singles + sum.pairs);
}
