//! The words for reasons.

use super::state::ParkReason;

impl ParkReason {
    /// All the words that [`ParkReason::as_str`] knows.
    pub const WORDS: [&str; 12] = [
        "hold_lost",
        "not_captured",
        "release_refused",
        "outcome_unknown",
        "look_ups_exhausted",
        "contradiction",
        "refused",
        "declined_for_operator",
        "gateway_unreachable",
        "gateway_failing",
        "before_expiry",
        "poison",
    ];

    /// The word for it, as it is stored.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::HoldLost => "hold_lost",
            Self::NotCaptured => "not_captured",
            Self::ReleaseRefused => "release_refused",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::LookUpsExhausted => "look_ups_exhausted",
            Self::Contradiction { .. } => "contradiction",
            Self::Refused { .. } => "refused",
            Self::DeclinedForOperator { .. } => "declined_for_operator",
            Self::GatewayUnreachable => "gateway_unreachable",
            Self::GatewayFailing => "gateway_failing",
            Self::BeforeExpiry => "before_expiry",
            Self::Poison => "poison",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::Mismatch;

    #[test]
    fn a_reason_has_the_word_under_which_it_is_stored() {
        let code = || "c".to_owned();
        let reasons = [
            ParkReason::HoldLost,
            ParkReason::NotCaptured,
            ParkReason::ReleaseRefused,
            ParkReason::OutcomeUnknown,
            ParkReason::LookUpsExhausted,
            ParkReason::Contradiction {
                what: Mismatch::Amount,
            },
            ParkReason::Refused { code: code() },
            ParkReason::DeclinedForOperator { code: code() },
            ParkReason::GatewayUnreachable,
            ParkReason::GatewayFailing,
            ParkReason::BeforeExpiry,
            ParkReason::Poison,
        ];
        assert_eq!(
            reasons.each_ref().map(ParkReason::as_str),
            ParkReason::WORDS
        );
        for reason in reasons {
            let stored = serde_json::to_value(&reason).unwrap();
            assert_eq!(stored["why"], reason.as_str());
        }
    }
}
