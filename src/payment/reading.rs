//! What a sighting says about the call that is open.

use super::attempt::{AnswerClass, Attempt, Step, Verdict};
use super::decline::Advice;
use super::evidence::Sighting;
use super::ladder::millis;
use super::{Policy, Timestamp};

/// What a sighting says about the call that is open, where it shows no success of it.
pub(super) enum Reading {
    /// The gateway had refused the call, and there is no trace of it.
    Refused(String),
    /// A new failed try is listed.
    Declined(String, Advice),
    /// There were too many requests, and there is no trace of this one.
    RateLimited,
    /// The gateway took it on, and this sighting does not show it: it is older than that, or the
    /// gateway has not made up its mind. Never "it did not happen" by itself; and where it lists
    /// the call as done, not even for who gives up.
    TakenOn { listed: bool },
    /// There is no trace of it, after the quiet period or before.
    NoTrace { quiet: bool },
}

/// Reads what `seen` says about `open`.
pub(super) fn reading(open: &Attempt, seen: &Sighting, now: Timestamp, policy: &Policy) -> Reading {
    let newest = open.step.try_kind().and_then(|kind| {
        seen.newest(kind)
            .filter(|_| seen.count(kind) > open.tries_before)
    });
    match newest {
        Some(failed) if !failed.successful => {
            let code = failed.code.clone().unwrap_or_else(|| "unknown".to_owned());
            let advice = policy.declines.advice(&code);
            return Reading::Declined(code, advice);
        }
        Some(_) => return Reading::TakenOn { listed: true },
        None => {}
    }
    let quiet = is_quiet(open, now, policy);
    match (
        open.answer_class(),
        open.note.as_ref().and_then(|note| note.code.clone()),
    ) {
        // A refused call can be a decline in substance, such as that of a dead card token.
        (Some(AnswerClass::NoEffect), Some(code)) => match policy.declines.listed(&code) {
            Some(advice) => Reading::Declined(code, advice),
            None => Reading::Refused(code),
        },
        (Some(AnswerClass::RateLimited), _) => Reading::RateLimited,
        (Some(AnswerClass::Pending), _) => Reading::TakenOn { listed: false },
        // The gateway said that it failed and lists no try: believed once nothing more can come.
        (Some(AnswerClass::Declined), Some(code)) if quiet && open.step.takes_money() => {
            let advice = policy.declines.advice(&code);
            Reading::Declined(code, advice)
        }
        // Not in the state for it, it said, and the purchase still is, for as long as anything of
        // ours could have been under way: it will not take this charge at all. Of a capture that
        // is not enough: what is refused may be given back, and a capture may have been first.
        (Some(AnswerClass::Conflict), Some(code)) if quiet && open.step == Step::Charge => {
            Reading::Refused(code)
        }
        _ => Reading::NoTrace { quiet },
    }
}

/// Whether the quiet period since the last sign of the call is over.
pub(super) fn is_quiet(open: &Attempt, now: Timestamp, policy: &Policy) -> bool {
    now - open.last_sign() >= millis(policy.quiet_ms)
}

/// Whether it is known what a call did. Looking for it in vain explains nothing, nor does a code that
/// leaves open whether money moved: who gives up on such a call ends the search, not the doubt.
pub(super) fn is_explained(attempt: &Attempt, policy: &Policy) -> bool {
    match attempt.closed.as_ref().map(|closed| &closed.verdict) {
        None | Some(Verdict::DidNotHappen) => false,
        Some(Verdict::Declined { code }) => policy.declines.advice(code) != Advice::InDoubt,
        Some(Verdict::Done | Verdict::NotSent | Verdict::Refused { .. }) => true,
    }
}
