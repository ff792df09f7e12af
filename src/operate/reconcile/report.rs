//! What came of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::finding::{Finding, Kind, Side, masked_name};
use super::matching::Compared;
use super::period::Period;
use crate::gateway::Since;
use crate::payment::{AccountName, PaymentId, Timestamp};

/// How many differences, and how many payments that could not be compared, are listed; all are
/// counted. A wrong key would otherwise list every payment there is.
const MOST_LISTED: usize = 10_000;

/// Whether the books agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They do.
    Agree,
    /// They do not.
    Differ,
    /// As far as they could be compared; some of it could not.
    NotAllCompared,
    /// Records and gateway do, and nobody looked for money that no record knows of.
    AgreeWithoutStatement,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::Differ => "differ",
            Self::NotAllCompared => "not_all_compared",
            Self::AgreeWithoutStatement => "agree_without_statement",
        }
    }
}

/// What would be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Plan {
    /// How many payments would be looked up at the gateway.
    pub look_ups: u64,
    /// How many have nothing there to look up, or are on their way.
    pub without: u64,
    /// How many records cannot be read.
    pub unread: u64,
}

/// The statement's lines about taken money.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lines {
    /// All that are of the period.
    pub of_period: u64,
    /// Of other accounts with the same brand.
    pub of_siblings: u64,
    /// Without a reference of ours, on a brand that others use too.
    pub foreign: u64,
    /// About money that was given back.
    pub given_back: u64,
    /// About something else.
    pub other: u64,
}

/// Money by currency, in minor units: of the payments that are recorded paid and were taken in the
/// period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// As recorded.
    pub recorded: u64,
    /// As the gateway shows it.
    pub gateway: u64,
    /// As its statement says.
    pub statement: u64,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// Whose books.
    pub account: AccountName,
    /// Of when.
    pub period: Period,
    /// After when it is to be done once more, if the period was not over yet, or not when the statement
    /// was made.
    pub too_early: Option<Timestamp>,
    /// What the statement has; `None` without one.
    pub lines: Option<Lines>,
    /// How many payments were compared and agree.
    pub agree: u64,
    /// How many are on their way.
    pub open: u64,
    /// How many are parked, and nothing was taken.
    pub parked: u64,
    /// How many ended as two people stated: the gateway shows nothing against it, nor for it.
    pub settled_by_hand: u64,
    /// Which.
    pub settled_by_hand_listed: Vec<PaymentId>,
    /// How many could not be compared.
    pub not_compared: u64,
    /// Which, and why.
    pub not_compared_listed: Vec<(PaymentId, String)>,
    /// How many differences of each kind.
    pub differences: BTreeMap<Kind, u64>,
    /// Which.
    pub findings: Vec<Finding>,
    /// Money that was given back later, or taken back by a bank: no difference.
    pub refunded: Vec<PaymentId>,
    /// See `refunded`.
    pub charged_back: Vec<PaymentId>,
    /// Money by currency.
    pub sums: BTreeMap<String, Sums>,
}

impl Report {
    pub(super) fn new(account: AccountName, period: Period) -> Self {
        Self {
            account,
            period,
            too_early: None,
            lines: None,
            agree: 0,
            open: 0,
            parked: 0,
            settled_by_hand: 0,
            settled_by_hand_listed: Vec::new(),
            not_compared: 0,
            not_compared_listed: Vec::new(),
            differences: BTreeMap::new(),
            findings: Vec::new(),
            refunded: Vec::new(),
            charged_back: Vec::new(),
            sums: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, payment: PaymentId, compared: Compared) {
        match compared {
            Compared::Agrees(since) => {
                self.agree += 1;
                let later = match since {
                    Since::Nothing => return,
                    Since::Refunded => &mut self.refunded,
                    Since::ChargedBack => &mut self.charged_back,
                };
                if later.len() < MOST_LISTED {
                    later.push(payment);
                }
            }
            Compared::Differs(finding) => self.find(*finding),
            Compared::Open => self.open += 1,
            Compared::Parked => self.parked += 1,
            Compared::SettledByHand => {
                self.settled_by_hand += 1;
                if self.settled_by_hand_listed.len() < MOST_LISTED {
                    self.settled_by_hand_listed.push(payment);
                }
            }
            Compared::Not(why) => {
                self.not_compared += 1;
                if self.not_compared_listed.len() < MOST_LISTED {
                    self.not_compared_listed.push((payment, why));
                }
            }
        }
    }

    pub(super) fn find(&mut self, finding: Finding) {
        *self.differences.entry(finding.kind).or_default() += 1;
        if self.findings.len() < MOST_LISTED {
            self.findings.push(finding);
        }
    }

    /// Whether a payment stands among those that could not be compared.
    pub(super) fn names(&self, payment: &PaymentId) -> bool {
        let mut named = self.not_compared_listed.iter();
        named.any(|(known, _)| known == payment)
    }

    /// How many payments were looked at.
    #[must_use]
    pub fn looked_at(&self) -> u64 {
        let compared = self.agree + self.settled_by_hand + self.differing();
        compared + self.open + self.parked + self.not_compared
    }

    /// How many differences there are.
    #[must_use]
    pub fn differing(&self) -> u64 {
        self.differences.values().sum()
    }

    /// Whether the books agree.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.differing() > 0 {
            Verdict::Differ
        } else if self.not_compared > 0 || self.too_early.is_some() {
            Verdict::NotAllCompared
        } else if self.lines.is_none() {
            Verdict::AgreeWithoutStatement
        } else {
            Verdict::Agree
        }
    }

    /// For programs. Ids of purchases and references that are not ours only if they are asked for.
    #[must_use]
    pub fn json(&self, reveal: bool) -> Value {
        let sums = self.sums.iter().map(|(currency, sums)| {
            json!({
                "currency": currency, "recorded": sums.recorded, "gateway": sums.gateway,
                "statement": self.lines.map(|_| sums.statement),
            })
        });
        let not_compared = self
            .not_compared_listed
            .iter()
            .map(|(payment, why)| json!({"payment": payment, "why": why}));
        let found = self.findings.iter();
        json!({
            "account": self.account, "from": self.period.from, "to": self.period.to,
            "verdict": self.verdict().as_str(), "run_again_after": self.too_early,
            "payments": {
                "looked_at": self.looked_at(), "agree": self.agree, "open": self.open,
                "parked": self.parked, "settled_by_hand": self.settled_by_hand,
                "not_compared": self.not_compared,
            },
            "statement": self.lines.map(|lines| json!({
                "of_period": lines.of_period, "of_other_accounts": lines.of_siblings,
                "foreign": lines.foreign, "given_back": lines.given_back, "other": lines.other,
            })),
            "taken": sums.collect::<Vec<_>>(),
            "differences": self.differing(),
            "findings": found.map(|it| self.finding(it, reveal)).collect::<Vec<_>>(),
            "not_compared": not_compared.collect::<Vec<_>>(),
            "settled_by_hand": self.settled_by_hand_listed,
            "refunded": self.refunded, "charged_back": self.charged_back,
        })
    }

    fn finding(&self, finding: &Finding, reveal: bool) -> Value {
        let side = |side: &Option<Side>| {
            side.as_ref().map(|side| {
                json!({
                    "is": side.word,
                    "amount": side.money.as_ref().map(|(amount, _)| amount),
                    "currency": side.money.as_ref().map(|(_, currency)| currency),
                })
            })
        };
        json!({
            "kind": finding.kind.as_str(), "payment": finding.payment,
            "purchase": self.purchase_name(finding, reveal),
            "reference": finding.reference.as_ref().filter(|_| reveal),
            "recorded": side(&finding.recorded), "gateway": side(&finding.gateway),
            "statement": side(&finding.statement), "to_do": finding.kind.what_to_do(),
        })
    }

    /// What a finding's purchase is called.
    #[must_use]
    pub fn purchase_name(&self, finding: &Finding, reveal: bool) -> Option<String> {
        let purchase = finding.purchase.as_ref()?;
        Some(if reveal {
            purchase.as_str().to_owned()
        } else {
            masked_name(&self.account, purchase)
        })
    }
}
