//! What is kept in the store: written by this program, by an older or a newer one, or spoilt.

use holdfast::payment::{Payment, Policy, Timestamp};
use holdfast::store::redis::{RecordProblem, read_record};

use crate::answer::policy;
use crate::is_fit_to_show;

/// A record. One that can be read is written as it was read, and a worker can decide about it.
pub fn record(body: &[u8]) {
    match read_record(body) {
        Ok(payment) => can_be_decided(&payment, policy()),
        Err(error @ (RecordProblem::Newer(_) | RecordProblem::Broken(_))) => {
            is_fit_to_show(&error.to_string());
        }
    }
}

fn can_be_decided(payment: &Payment, policy: &Policy) {
    let written = serde_json::to_vec(payment).expect("a payment is kept as JSON");
    let back = read_record(&written).expect("what is written can be read");
    assert_eq!(&back, payment);
    for now in [payment.created_at(), Timestamp::UNIX_EPOCH] {
        let due = payment.due(now, policy);
        // R15: what is not finished is due some day.
        assert_eq!(due.is_none(), payment.is_finished());
    }
}
