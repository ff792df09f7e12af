//! Each row of the table, with bounds that a test can wait for. The long bounds: `make model`.

use holdfast_model::rows::{Kind, ROWS, Row};
use holdfast_model::run::{Finding, Verdict, run};

fn find(name: &str) -> Finding {
    let row = Row::named(name).expect("a row of that name");
    let finding = run(&row.quick());
    let story = holdfast_model::report::story(&finding);
    assert!(finding.is_as_expected(), "{story}");
    finding
}

/// Everything was seen, nothing is wrong, and every good end was reached.
fn holds(name: &str) {
    let finding = find(name);
    assert_eq!(finding.row.kind, Kind::Promise);
    assert_eq!(finding.verdict, Verdict::Complete);
    assert!(finding.paid > 0 && finding.failed > 0 && finding.parked > 0);
}

/// The search finds what goes wrong, and tells how.
fn fails(name: &str, wrong: &str) {
    let finding = find(name);
    assert_ne!(finding.row.kind, Kind::Promise);
    assert!(matches!(finding.verdict, Verdict::Wrong(what) if what.contains(wrong)));
    assert!(finding.trace.len() > 5);
}

#[test]
fn park_on_the_weakest_gateway_never_moves_money_twice() {
    holds("park");
}

#[test]
fn park_holds_with_three_workers() {
    holds("park_three_workers");
}

#[test]
fn park_holds_on_a_store_that_shows_what_a_failover_takes_back() {
    holds("park_replicated");
}

#[test]
fn park_holds_where_nothing_is_forgotten_of_lost_claims() {
    holds("park_numbered");
}

#[test]
fn park_holds_with_workers_that_sleep_over_a_look_up() {
    holds("park_slow_looks");
}

#[test]
fn reading_a_seal_twice_at_once_is_enough_where_a_cancel_waits_for_charges() {
    holds("park_read_at_once");
}

#[test]
fn reading_a_seal_twice_at_once_is_enough_where_no_call_is_late() {
    holds("park_read_at_once_punctual");
}

#[test]
fn resend_same_on_a_serialising_gateway_never_moves_money_twice() {
    holds("resend_same");
}

#[test]
fn resend_same_holds_with_workers_that_sleep_over_a_look_up() {
    holds("resend_same_slow_looks");
}

#[test]
fn resend_same_holds_with_three_workers() {
    holds("resend_same_three_workers");
}

#[test]
fn resend_same_holds_on_a_store_that_shows_what_a_failover_takes_back() {
    holds("resend_same_replicated");
}

#[test]
fn resend_same_holds_on_any_gateway_where_no_call_is_late() {
    holds("resend_same_punctual");
}

#[test]
fn a_new_purchase_because_a_look_up_said_unpaid_double_charges() {
    fails("new_purchase", "twice");
}

#[test]
fn a_charge_before_the_id_is_recorded_double_charges() {
    fails("charge_before_id", "twice");
}

#[test]
fn making_an_open_attempt_again_without_a_look_double_charges() {
    fails("no_look_first", "twice");
}

#[test]
fn a_call_on_a_note_that_is_not_durable_double_charges_after_one_failover() {
    fails("no_gate", "twice");
}

#[test]
fn a_counter_as_fence_double_charges_after_one_failover() {
    fails("counter", "twice");
}

#[test]
fn a_testimony_that_gives_a_number_alone_double_charges() {
    fails("testimony_by_number", "twice");
}

#[test]
fn saves_that_compare_nothing_double_charge() {
    fails("no_compare_and_swap", "twice");
}

#[test]
fn a_failure_without_a_seal_is_a_false_report() {
    fails("no_seal", "Failed");
}

#[test]
fn a_seal_that_counts_since_it_was_asked_for_is_a_false_report() {
    fails("look_dated_by_question", "Failed");
}

#[test]
fn a_look_up_that_counts_when_its_answer_is_there_is_a_false_report() {
    fails("look_dated_by_answer", "Failed");
}

#[test]
fn an_end_that_is_told_before_it_is_durable_is_a_false_report_after_one_failover() {
    fails("report_before_durable", "Failed");
}

#[test]
fn a_command_that_compares_the_version_alone_is_a_false_report_after_one_failover() {
    fails("command_by_version", "Failed");
}

#[test]
fn resend_same_on_a_gateway_that_does_not_serialise_double_charges() {
    fails("resend_same_unserialised", "twice");
}

#[test]
fn a_quiet_period_shorter_than_the_longest_delivery_double_charges() {
    fails("no_quiet_period", "twice");
}

#[test]
fn a_quiet_period_shorter_than_the_longest_delivery_is_a_false_report_under_park() {
    fails("park_no_quiet_period", "Failed");
}

#[test]
fn reading_a_seal_twice_at_once_is_a_false_report_where_a_call_is_late() {
    fails("read_at_once_late_call", "Failed");
}

#[test]
fn look_ups_older_than_the_quiet_period_are_a_false_report_under_the_weakest_gateway() {
    fails("stale_for_ever", "Failed");
}

#[test]
fn every_row_has_a_test() {
    let tests = include_str!("rows.rs");
    for row in ROWS {
        let named = format!("\"{}\"", row.name);
        assert!(tests.contains(&named), "{} has no test", row.name);
    }
}

#[test]
fn a_trace_says_who_did_what_until_it_went_wrong() {
    let finding = find("charge_before_id");
    let what: Vec<_> = finding.trace.iter().map(|line| &line.what).collect();
    assert!(what[0].contains("W1") && what[0].contains("claims the payment"));
    assert!(
        what.iter()
            .any(|what| what.contains("creates a purchase, P2"))
    );
    let last = finding.trace.last().expect("a last line");
    assert!(last.then.ends_with("taken 2"), "{}", last.then);
}

#[test]
fn a_search_that_is_cut_short_is_not_as_expected() {
    let mut finding = find("park_read_at_once_punctual");
    finding.verdict = Verdict::Truncated;
    assert!(!finding.is_as_expected());
}

#[test]
fn a_promise_under_which_nothing_is_ever_paid_is_not_as_expected() {
    let mut finding = find("park_read_at_once_punctual");
    finding.paid = 0;
    assert!(!finding.is_as_expected());
}
