//! The durable record of one payment. Its fields change only through this module's siblings:
//! what was learned (`learn`), what was commanded (`obey`), what is about to be sent (`open`).

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::attempt::{Attempt, Step};
use super::card::CardFace;
use super::command::CommandEntry;
use super::evidence::{Sighting, TryKind};
use super::id::{Fingerprint, PaymentId, Private, PurchaseId};
use super::money::{Amount, Money};
use super::request::{Adopt, Ask, Authorize, InvalidRequest, Plan, Request, Source};
use super::resolution::Resolution;
use super::state::{FailReason, State};
use super::state_name::StateName;

/// The version of the stored form.
pub(crate) const BODY_VERSION: u32 = 1;

/// One promise about money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub(super) v: u32,
    pub(super) id: PaymentId,
    pub(super) fingerprint: Fingerprint,
    pub(super) request: Request,
    pub(super) created_at: Timestamp,
    pub(super) state: State,
    pub(super) history: Vec<Change>,
    /// The plan as it stands now; the request keeps the plan as it was asked.
    pub(super) plan: Plan,
    /// Whether a person set the plan when the hold stood: then the guard waits for its times.
    pub(super) plan_by_command: bool,
    pub(super) purchase: Option<Purchase>,
    /// What people call the card by that paid or was saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) face: Option<CardFace>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) commands: Vec<CommandEntry>,
    pub(super) decision: Option<Decision>,
    pub(super) ending: Option<FailReason>,
    pub(super) seal_seen_at: Option<Timestamp>,
    pub(super) pace: Pace,
    pub(super) tries_seen: TriesSeen,
    pub(super) look_wanted: bool,
    pub(super) rerun_wanted: bool,
    pub(super) nudges_seen: u64,
    /// How people settled it, or are about to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resolution: Option<Resolution>,
}

/// Where a payer can pay now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PayableLinks<'a> {
    /// The gateway's page.
    pub checkout: Option<&'a Private<String>>,
    /// Where a form of the shop's own posts the card to.
    pub direct_post: Option<&'a Private<String>>,
}

/// What the payment became at the gateway. Set once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// The gateway's id.
    pub id: PurchaseId,
    /// Until when it can be paid.
    pub due: Option<Timestamp>,
    /// The gateway's page for the payer.
    pub checkout_url: Option<Private<String>>,
    /// Where a form on the shop's page posts the card.
    pub direct_post_url: Option<Private<String>>,
}

/// A change of state, for the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// To what.
    pub to: StateName,
}

/// Whether a hold is captured or released. Once its call was sent it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Which of the two.
    pub outcome: HoldOutcome,
    /// Whether a command decided, rather than the plan's time.
    pub by_command: bool,
}

impl Decision {
    /// What the plan says, at its time.
    #[must_use]
    pub const fn planned(outcome: HoldOutcome) -> Self {
        Self {
            outcome,
            by_command: false,
        }
    }
}

/// What becomes of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldOutcome {
    /// Take this much; the gateway gives the rest back.
    Capture(Amount),
    /// Give it all back.
    Release,
}

impl HoldOutcome {
    /// The step that carries it out.
    #[must_use]
    pub const fn step(self) -> Step {
        match self {
            Self::Capture(amount) => Step::Capture { amount },
            Self::Release => Step::Release,
        }
    }
}

/// Where the payment stands on its three ladders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pace {
    /// When to look next.
    pub(super) look_at: Option<Timestamp>,
    /// How often it was looked at without a conclusion.
    pub(super) looks: u32,
    /// Since when a conclusion is sought.
    pub(super) looking_since: Option<Timestamp>,
    /// The gateway was last seen busy with it, or in a status that nobody knows: nothing is sent
    /// until it is seen otherwise.
    #[serde(default)]
    pub(super) unsettled: bool,
    /// When it was last looked at without a conclusion.
    #[serde(default)]
    pub(super) looked_at: Option<Timestamp>,
    /// How often in a row the gateway knew no such purchase, and since when.
    #[serde(default)]
    pub(super) missing: u32,
    #[serde(default)]
    pub(super) missing_since: Option<Timestamp>,
    /// The gateway refuses the key, and has told nothing of the purchase since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) denied: Option<Denied>,
    /// The earliest time of the next call.
    pub(super) step_at: Option<Timestamp>,
    /// How often in a row a call did not reach the gateway.
    pub(super) technical: u32,
    /// Since when.
    pub(super) technical_since: Option<Timestamp>,
    /// When such a call was last made.
    #[serde(default)]
    pub(super) failed_at: Option<Timestamp>,
    /// How often the acquirer refused.
    pub(super) declines: u32,
    /// A person asked for one more try after the plan's end.
    pub(super) one_more: bool,
}

/// How long the gateway has refused the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Denied {
    /// Since which look.
    pub(super) since: Timestamp,
    /// In so many looks.
    pub(super) looks: u32,
}

/// How many tries at the acquirer the gateway has listed so far, by kind: what tells a new
/// refusal from an old one. Never goes down, however stale a sighting is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TriesSeen {
    pay: u32,
    capture: u32,
    release: u32,
}

impl TriesSeen {
    pub(super) const fn of(&self, kind: TryKind) -> u32 {
        match kind {
            TryKind::Pay => self.pay,
            TryKind::Capture => self.capture,
            TryKind::Release => self.release,
            TryKind::Other => 0,
        }
    }

    pub(super) fn note(&mut self, seen: &Sighting) {
        self.pay = self.pay.max(seen.count(TryKind::Pay));
        self.capture = self.capture.max(seen.count(TryKind::Capture));
        self.release = self.release.max(seen.count(TryKind::Release));
    }
}

impl Payment {
    /// A payment as it is first recorded. Checks the request once more.
    pub fn new(request: Request, now: Timestamp) -> Result<Self, InvalidRequest> {
        request.check()?;
        let purchase = match &request.ask {
            Ask::Adopt(adopt) => Some(Purchase {
                id: adopt.purchase.clone(),
                due: None,
                checkout_url: None,
                direct_post_url: None,
            }),
            Ask::Authorize(_) | Ask::SaveCard(_) | Ask::Charge(_) => None,
        };
        let plan = match &request.ask {
            Ask::Authorize(ask) => ask.plan.clone(),
            Ask::Adopt(ask) => ask.plan.clone(),
            Ask::SaveCard(_) | Ask::Charge(_) => Plan::default(),
        };
        Ok(Self {
            v: BODY_VERSION,
            id: request.payment_id(),
            fingerprint: request.fingerprint()?,
            look_wanted: purchase.is_some(),
            request,
            created_at: now,
            state: State::New,
            history: vec![Change {
                at: now,
                to: StateName::New,
            }],
            plan,
            plan_by_command: false,
            purchase,
            face: None,
            attempts: Vec::new(),
            commands: Vec::new(),
            decision: None,
            ending: None,
            seal_seen_at: None,
            pace: Pace::default(),
            tries_seen: TriesSeen::default(),
            rerun_wanted: false,
            nudges_seen: 0,
            resolution: None,
        })
    }

    /// The version of its stored form.
    #[must_use]
    pub(crate) const fn body_version(&self) -> u32 {
        self.v
    }
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &PaymentId {
        &self.id
    }
    /// The fingerprint of the request that made it.
    #[must_use]
    pub const fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
    /// What was asked.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.request
    }
    /// When it was recorded.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.created_at
    }
    /// What is true of the money.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }
    /// The states it went through, the oldest first.
    #[must_use]
    pub fn history(&self) -> &[Change] {
        &self.history
    }
    /// What becomes of the hold, as it stands now.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }
    /// What was decided about the hold, once something was.
    #[must_use]
    pub const fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }
    /// What it became at the gateway.
    #[must_use]
    pub const fn purchase(&self) -> Option<&Purchase> {
        self.purchase.as_ref()
    }
    /// Its attempts, the oldest first.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }
    /// The commands it was given, the oldest first.
    #[must_use]
    pub fn commands(&self) -> &[CommandEntry] {
        &self.commands
    }
    /// Why it is going to fail once it is sealed.
    #[must_use]
    pub const fn ending(&self) -> Option<&FailReason> {
        self.ending.as_ref()
    }
    /// When the purchase was first seen cancelled or expired.
    #[must_use]
    pub const fn seal_seen_at(&self) -> Option<Timestamp> {
        self.seal_seen_at
    }
    /// Whether nothing more can happen.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.state.name().is_finished()
    }
    /// When it finished.
    #[must_use]
    pub fn finished_at(&self) -> Option<Timestamp> {
        self.history
            .last()
            .filter(|change| change.to.is_finished())
            .map(|change| change.at)
    }

    /// The attempt whose outcome is not known yet. There is never more than one.
    #[must_use]
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| attempt.is_open())
    }

    /// The links where the payer pays: only while the payer may. What a charge or a hold on a saved
    /// card could be paid by as well, and what has been paid, is nobody's to hand out.
    #[must_use]
    pub fn payable_links(&self) -> PayableLinks<'_> {
        let payable = self.is_checkout() && self.state == State::AwaitingPayer;
        let purchase = self.purchase.as_ref().filter(|_| payable);
        PayableLinks {
            checkout: purchase.and_then(|purchase| purchase.checkout_url.as_ref()),
            direct_post: purchase.and_then(|purchase| purchase.direct_post_url.as_ref()),
        }
    }

    /// Whether the payer, rather than a saved card, pays.
    #[must_use]
    pub const fn is_checkout(&self) -> bool {
        match &self.request.ask {
            Ask::Authorize(ask) => matches!(ask.source, Source::Checkout(_)),
            Ask::SaveCard(_) => true,
            Ask::Charge(_) | Ask::Adopt(_) => false,
        }
    }

    /// The money that this payment may take in the end: all of a charge, and of a hold what was
    /// decided or planned.
    #[must_use]
    pub fn money_to_take(&self) -> Option<Money> {
        let amount = match (&self.decision, &self.state.active(), &self.request.ask) {
            (_, _, Ask::SaveCard(_)) => return None,
            (_, _, Ask::Charge(ask)) => ask.money.amount,
            (
                Some(Decision {
                    outcome: HoldOutcome::Capture(amount),
                    ..
                }),
                ..,
            ) => *amount,
            (
                None,
                Some(_),
                Ask::Authorize(Authorize { money, .. }) | Ask::Adopt(Adopt { money, .. }),
            ) => self.plan.capture_amount.unwrap_or(money.amount),
            (
                Some(Decision {
                    outcome: HoldOutcome::Release,
                    ..
                })
                | None,
                ..,
            ) => return None,
        };
        let currency = self.request.money()?.currency;
        Some(Money { amount, currency })
    }
}
