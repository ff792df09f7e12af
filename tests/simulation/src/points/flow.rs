//! The flows: small, fixed, and one of each kind of thing that a payment can go through.

use std::fmt;
use std::str::FromStr;

use anyhow::Context;

use super::io::words;
use crate::policy::COMPANIES;

words! {
    /// What a payment goes through.
    Flow {
        /// A saved card is charged.
        Charge = "charge",
        /// The same at an acquirer that takes longer than leases are renewed.
        ChargeSlowly = "charge-slowly",
        /// The worker is redeployed while a charge is on its way.
        Redeployed = "redeployed",
        /// A charge stays pending for a while.
        ChargePending = "charge-pending",
        /// The card is declined for good.
        DeclinedForGood = "declined-for-good",
        /// The card is declined, and pays when it is tried again.
        DeclinedForLater = "declined-for-later",
        /// The gateway refuses the key, a person puts it right and has the payment run again.
        Rerun = "rerun",
        /// The payer authorizes on the gateway's page, and the hold is captured at its time.
        CaptureAt = "capture-at",
        /// The payer authorizes, and the hold is released at its time.
        ReleaseAt = "release-at",
        /// A saved card is held, and a person captures.
        CaptureCommand = "capture-command",
        /// A saved card is held, and a person gives the money back.
        ReleaseCommand = "release-command",
        /// A part of the hold is captured.
        CapturePart = "capture-part",
        /// A card is saved.
        SaveCard = "save-card",
        /// A hold that another service made is taken over and captured.
        Adopt = "adopt",
        /// Nobody pays while the link can be paid.
        LinkExpires = "link-expires",
        /// A person cancels before anybody paid.
        Cancel = "cancel",
        /// A person has the hold captured earlier than it was planned.
        Reschedule = "reschedule",
        /// Nobody decides about the hold, and it is given back before it lapses.
        GuardReleases = "guard-releases",
        /// Nobody decides about the hold, and it is captured before it lapses.
        GuardCaptures = "guard-captures",
        /// A hold is captured elsewhere, in part, and a person takes that for the end.
        TakenAsShown = "taken-as-shown",
        /// The acquirer refuses the capture until the hold has lapsed, and two people state that.
        StatedByHand = "stated-by-hand",
    }
}

/// A flow under one account's policy for what is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setup {
    /// The flow.
    pub flow: Flow,
    /// The account: `parks` asks a person, `resends` sends the same call again.
    pub account: &'static str,
}

impl Setup {
    /// Every flow under every account.
    pub fn all() -> impl Iterator<Item = Self> {
        let flows = Flow::ALL.iter();
        flows.flat_map(|flow| {
            COMPANIES.iter().map(|company| Self {
                flow: *flow,
                account: company.name,
            })
        })
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.flow, self.account)
    }
}

impl FromStr for Setup {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let found = Self::all().find(|setup| setup.to_string() == text);
        found.with_context(|| format!("{text}: a flow and an account, such as charge/parks"))
    }
}
