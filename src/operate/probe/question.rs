//! What is asked of a gateway, and what the answers mean for the settings.

use serde::{Deserialize, Serialize};

use super::judge::Manner;
use super::report::{Open, Verdict};

/// What CHIP does not document, and how Holdfast is set depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Two charges of one purchase at the same time.
    ConcurrentCharges,
    /// A cancel while a charge is under way.
    CancelUnderCharge,
    /// A charge after the strict due time.
    ChargeAfterDue,
    /// Two creates with one `Idempotency-Key`.
    KeyOnCreate,
    /// Two charges with one `Idempotency-Key`.
    KeyOnCharge,
    /// A charge of a purchase with `skip_capture`.
    ChargeWithSkipCapture,
    /// A charge of a purchase whose payment failed.
    ChargeAfterError,
    /// How old look-ups are.
    StaleLookUps,
}

impl Question {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 8] = [
        Self::ConcurrentCharges,
        Self::CancelUnderCharge,
        Self::ChargeAfterDue,
        Self::KeyOnCreate,
        Self::KeyOnCharge,
        Self::ChargeWithSkipCapture,
        Self::ChargeAfterError,
        Self::StaleLookUps,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConcurrentCharges => "concurrent_charges",
            Self::CancelUnderCharge => "cancel_under_charge",
            Self::ChargeAfterDue => "charge_after_due",
            Self::KeyOnCreate => "key_on_create",
            Self::KeyOnCharge => "key_on_charge",
            Self::ChargeWithSkipCapture => "charge_with_skip_capture",
            Self::ChargeAfterError => "charge_after_error",
            Self::StaleLookUps => "stale_look_ups",
        }
    }

    /// What is asked, in words.
    #[must_use]
    pub const fn asked(self) -> &'static str {
        match self {
            Self::ConcurrentCharges => {
                "two charges of one purchase, sent at the same time: how many are taken?"
            }
            Self::CancelUnderCharge => {
                "a cancel while a charge of the same purchase is under way: which wins, or do both?"
            }
            Self::ChargeAfterDue => {
                "a charge after the due time of a purchase with due_strict: is it refused?"
            }
            Self::KeyOnCreate => "two creates with one Idempotency-Key: one purchase, or two?",
            Self::KeyOnCharge => {
                "the same charge twice with one Idempotency-Key: the same answer, or a call of its own?"
            }
            Self::ChargeWithSkipCapture => {
                "a charge of a purchase with skip_capture: does it reserve, or take?"
            }
            Self::ChargeAfterError => {
                "a charge of a purchase whose payment was declined: is it taken, or refused?"
            }
            Self::StaleLookUps => "looks right after a charge was answered: do they show it?",
        }
    }

    /// Whether it is a race, which is asked again and again.
    pub(super) const fn is_race(self) -> bool {
        matches!(self, Self::ConcurrentCharges | Self::CancelUnderCharge)
    }

    /// How many purchases one round makes.
    pub(super) const fn purchases(self) -> u32 {
        if matches!(self, Self::KeyOnCreate) {
            2
        } else {
            1
        }
    }

    /// Whether it can be asked without a saved card.
    pub(super) const fn needs_card(self) -> bool {
        !matches!(self, Self::KeyOnCreate)
    }

    /// What the answer means for the settings.
    pub(super) const fn means(self, verdict: Verdict) -> &'static str {
        match (self, verdict) {
            (_, Verdict::Always(manner)) => of_manner(manner),
            (Self::ConcurrentCharges, Verdict::Open(Open::Mixed)) => {
                "one purchase can be taken twice, at times: keep unknown = \"park\""
            }
            (Self::StaleLookUps, Verdict::Open(Open::Mixed)) => of_manner(Manner::Stale),
            (Self::CancelUnderCharge, Verdict::Open(Open::Mixed)) => {
                "it depends on the moment: keep policy.quiet_ms longer than any charge takes"
            }
            (_, Verdict::Open(Open::Mixed)) => {
                "the gateway does not always behave alike: rely on none of it, and ask CHIP"
            }
            (Self::ConcurrentCharges, Verdict::Open(Open::NotMeasured)) => {
                "nothing is known: keep unknown = \"park\""
            }
            (Self::ConcurrentCharges, Verdict::Open(Open::TooFew)) => {
                "it went well, and too seldom to rely on: keep unknown = \"park\", and measure again with \
                 more --rounds"
            }
            (_, Verdict::Open(Open::TooFew)) => {
                "it went well, and too seldom to rely on: measure again with more --rounds"
            }
            (_, Verdict::Open(Open::NotMeasured)) => "nothing is known",
        }
    }
}

/// What it means if this is always so.
const fn of_manner(manner: Manner) -> &'static str {
    match manner {
        Manner::OneTaken => {
            "charges of one purchase are serialised: nothing seen here stands against \
             unknown = \"resend_same\". Test mode only, so ask CHIP for its word before a live account \
             relies on it"
        }
        Manner::BothTaken => "one purchase can be taken twice: keep unknown = \"park\"",
        Manner::BothAccepted => {
            "whether one was taken or two cannot be told: keep unknown = \"park\", and read the \
             account's statement"
        }
        Manner::CancelRefused => {
            "what is cancelled is not charged: a seal is one from its first look"
        }
        Manner::CancelledAndCharged => {
            "a cancelled purchase may still be paid: Holdfast reads a seal again after the quiet \
             period. Keep policy.quiet_ms longer than any charge takes"
        }
        Manner::CancelledAndNotCharged => "a cancel stops a charge: what is cancelled stays unpaid",
        Manner::RefusedAfterDue => "due_strict binds charges too: what is expired stays unpaid",
        Manner::ChargedAfterDue => {
            "an expired purchase can be charged, so expiry is no seal for a charge that is still on its \
             way: keep policy.quiet_ms longer than any charge takes, and ask CHIP"
        }
        Manner::KeyHonoured => "repeats with a key are recognised; Holdfast does not rely on it",
        Manner::KeyIgnored => "the key does nothing, which is what Holdfast assumes",
        Manner::TakenAgain => {
            "one purchase can be taken twice: keep unknown = \"park\", and ask CHIP"
        }
        Manner::ChargeHolds => "authorize by token holds, as it should",
        Manner::ChargeTakes => {
            "authorize by token would take the money at once: let producers hold by checkout only"
        }
        Manner::ChargeRefused => {
            "authorize by token is refused: let producers hold by checkout only"
        }
        Manner::ChargedAfterError => {
            "a decline that may pass is charged again, as policy.business says"
        }
        Manner::RefusedAfterError => {
            "after a decline the same purchase is never taken: policy.business brings nothing, and \
             such payments end when their purchase expires"
        }
        Manner::Fresh => "look-ups are of now, as far as seen",
        Manner::Stale => "look-ups can be old: policy.quiet_ms must be longer than they lag behind",
    }
}

impl std::str::FromStr for Question {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == text);
        found.ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            format!("nothing of that name is measured; use one of {all}")
        })
    }
}
