//! What the gateway does where nobody has written down what it does.

use chip_sandbox::Behaviour;
use clap::ValueEnum;

use crate::works::{PARKS, RESENDS};

/// What the gateway does where nobody has written down what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Manners {
    /// What was seen of it.
    AsObserved,
    /// Two charges, or two captures, of one purchase that are under way together both take.
    TakesTwice,
    /// A purchase can be cancelled while a charge of it is under way, which goes on.
    CancelRacesCharge,
    /// A state conflict answers 409, as documented, and not 400, as observed.
    ConflictIs409,
    /// It says as little as it may: what was paid shows its payment later, a capture that failed
    /// after a while leaves no trace, and what was declined once cannot be charged again.
    SaysLittle,
}

impl Manners {
    /// Which accounts can be used at all: an unknown call is sent again only at a gateway that
    /// never takes one purchase twice.
    pub(super) const fn accounts(self) -> &'static [&'static str] {
        match self {
            Self::TakesTwice => &[PARKS],
            Self::AsObserved | Self::CancelRacesCharge | Self::ConflictIs409 | Self::SaysLittle => {
                &[PARKS, RESENDS]
            }
        }
    }

    pub(super) const fn apply(self, behaviour: &mut Behaviour) {
        match self {
            Self::AsObserved => {}
            Self::TakesTwice => {
                behaviour.charge_ms = 150;
                behaviour.capture_ms = 150;
                behaviour.serialises_charges = false;
                behaviour.serialises_captures = false;
            }
            Self::CancelRacesCharge => {
                behaviour.charge_ms = 300;
                behaviour.cancel_races_charge = true;
            }
            Self::ConflictIs409 => behaviour.wrong_status_http = 409,
            Self::SaysLittle => {
                behaviour.paid_without_payment_ms = 700;
                behaviour.lists_failed_captures = false;
                behaviour.charges_after_error = false;
            }
        }
    }
}
