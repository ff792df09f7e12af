//! Faults by rule: when a rule matches a call, its effect is applied to it.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::engine::Operation;

/// When a request takes effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Commit {
    /// As usual.
    #[default]
    Now,
    /// Never.
    Never,
    /// So many milliseconds later, on the sandbox's clock, as if it had been stuck on the way.
    Late(u64),
}

/// What the client gets instead of the true answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Nothing; the connection stays open until the client gives up (or a cap).
    Silence,
    /// A connection reset.
    Reset,
    /// The true answer, cut in the middle of its body.
    Truncated,
    /// Another status.
    Status {
        /// The status: 500, 502, 503, 429 …
        status: u16,
        /// `Retry-After` in seconds.
        #[serde(default)]
        retry_after_s: Option<u64>,
        /// An HTML body, as a proxy sends, instead of a JSON one.
        #[serde(default)]
        html: bool,
    },
    /// 200 with a body that is not JSON.
    NotJson,
    /// The true answer with another purchase's id in it.
    WrongId,
}

/// How long an operation stays pending, and how it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Milliseconds on the sandbox's clock; none for ever.
    pub for_ms: Option<u64>,
    /// The transaction code it fails with; none if it ends well.
    #[serde(default)]
    pub failing_with: Option<String>,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The answer (or, for a delivery, the first try) comes so many milliseconds later.
    Latency(u64),
    /// The answer is not the true one.
    Broken {
        /// Whether the request takes effect all the same.
        #[serde(default)]
        commit: Commit,
        /// What the client gets.
        answer: Answer,
    },
    /// The acquirer declines, with a transaction code.
    Decline(String),
    /// The acquirer's fraud scoring stops it: like a decline, with the status `blocked`.
    Block(String),
    /// The operation is accepted and stays pending.
    Pending(Pending),
    /// A read answers what was true so many milliseconds ago.
    StaleBy(u64),
    /// A read answers the status before the present one.
    StaleStatus,
    /// A delivery is never made, and the gateway believes it was.
    Lost,
    /// A delivery is made twice.
    Duplicated,
    /// A delivery is made so many milliseconds later, and later events overtake it.
    Reordered(u64),
}

impl Effect {
    /// A time-out, and nothing happened.
    #[must_use]
    pub fn timeout_before_commit() -> Self {
        Self::Broken {
            commit: Commit::Never,
            answer: Answer::Silence,
        }
    }

    /// A time-out, and it happened.
    #[must_use]
    pub fn timeout_after_commit() -> Self {
        Self::Broken {
            commit: Commit::Now,
            answer: Answer::Silence,
        }
    }

    /// A time-out, and it happens later than the client waited.
    #[must_use]
    pub fn committed_late(after_ms: u64) -> Self {
        Self::Broken {
            commit: Commit::Late(after_ms),
            answer: Answer::Silence,
        }
    }

    /// A JSON error status, and nothing happened.
    #[must_use]
    pub fn status_before_commit(status: u16) -> Self {
        Self::Broken {
            commit: Commit::Never,
            answer: Answer::status(status),
        }
    }

    /// A JSON error status, and it happened.
    #[must_use]
    pub fn status_after_commit(status: u16) -> Self {
        Self::Broken {
            commit: Commit::Now,
            answer: Answer::status(status),
        }
    }

    /// A connection reset, and nothing happened.
    #[must_use]
    pub fn reset_before_commit() -> Self {
        Self::Broken {
            commit: Commit::Never,
            answer: Answer::Reset,
        }
    }

    /// A connection reset, and it happened.
    #[must_use]
    pub fn reset_after_commit() -> Self {
        Self::Broken {
            commit: Commit::Now,
            answer: Answer::Reset,
        }
    }

    /// Half an answer, and it happened.
    #[must_use]
    pub fn truncated() -> Self {
        Self::Broken {
            commit: Commit::Now,
            answer: Answer::Truncated,
        }
    }

    /// 429 with `Retry-After`, and nothing happened.
    #[must_use]
    pub fn rate_limited(retry_after_s: u64) -> Self {
        let answer = Answer::Status {
            status: 429,
            retry_after_s: Some(retry_after_s),
            html: false,
        };
        Self::Broken {
            commit: Commit::Never,
            answer,
        }
    }

    /// A decline with a transaction code.
    #[must_use]
    pub fn decline(code: &str) -> Self {
        Self::Decline(code.to_owned())
    }

    /// Pending for a time, then success.
    #[must_use]
    pub fn pending(for_ms: u64) -> Self {
        Self::Pending(Pending {
            for_ms: Some(for_ms),
            failing_with: None,
        })
    }

    /// Pending for a time, then a decline.
    #[must_use]
    pub fn pending_then_declined(for_ms: u64, code: &str) -> Self {
        let failing_with = Some(code.to_owned());
        Self::Pending(Pending {
            for_ms: Some(for_ms),
            failing_with,
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Latency(_) => "latency",
            Self::Broken { commit, answer } => answer.name(*commit),
            Self::Decline(_) => "decline",
            Self::Block(_) => "block",
            Self::Pending(_) => "pending",
            Self::StaleBy(_) | Self::StaleStatus => "stale",
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Reordered(_) => "reordered",
        }
    }
}

impl Answer {
    /// An error status with a JSON body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status {
            status,
            retry_after_s: None,
            html: false,
        }
    }

    fn name(&self, commit: Commit) -> &'static str {
        match (self, commit) {
            (Self::Silence, Commit::Now) => "timeout_after_commit",
            (Self::Silence, Commit::Never) => "timeout_before_commit",
            (Self::Silence, Commit::Late(_)) => "timeout_committed_late",
            (Self::Reset, Commit::Now) => "reset_after_commit",
            (Self::Reset, Commit::Never) => "reset_before_commit",
            (Self::Reset, Commit::Late(_)) => "reset_committed_late",
            (Self::Status { .. }, Commit::Now) => "status_after_commit",
            (Self::Status { .. }, Commit::Never) => "status_before_commit",
            (Self::Status { .. }, Commit::Late(_)) => "status_committed_late",
            (Self::Truncated, _) => "truncated",
            (Self::NotJson, _) => "not_json",
            (Self::WrongId, _) => "wrong_id",
        }
    }
}

/// Which calls a rule looks at, which of them it acts on, and what it does. Of several rules
/// that act on one call, latencies add up and the first of every other sort of effect wins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The operation; none for every one of the API.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// Only calls about this purchase.
    #[serde(default)]
    pub purchase_id: Option<Uuid>,
    /// Only calls about purchases with this reference.
    #[serde(default)]
    pub reference: Option<String>,
    /// Only calls about purchases whose metadata has this value under this key.
    #[serde(default)]
    pub metadata: Option<(String, Value)>,
    /// Only deliveries of this event.
    #[serde(default)]
    pub event: Option<String>,
    /// Acts on the n-th matching call only, counted from 1.
    #[serde(default)]
    pub nth: Option<u64>,
    /// Acts on every n-th matching call.
    #[serde(default)]
    pub every: Option<u64>,
    /// Acts with this probability.
    #[serde(default)]
    pub probability: Option<f64>,
    /// The seed of that probability.
    #[serde(default)]
    pub seed: u64,
    /// Acts at most so many times.
    #[serde(default)]
    pub times: Option<u64>,
    /// What it does.
    pub effect: Effect,
}

impl Rule {
    /// A rule for every call of an operation.
    #[must_use]
    pub fn on(operation: Operation, effect: Effect) -> Self {
        Self {
            operation: Some(operation),
            ..Self::everywhere(effect)
        }
    }

    /// A rule for every call of the API.
    #[must_use]
    pub fn everywhere(effect: Effect) -> Self {
        Self {
            operation: None,
            purchase_id: None,
            reference: None,
            metadata: None,
            event: None,
            nth: None,
            every: None,
            probability: None,
            seed: 0,
            times: None,
            effect,
        }
    }

    /// A rule for deliveries of one event.
    #[must_use]
    pub fn on_event(event: &str, effect: Effect) -> Self {
        Self {
            event: Some(event.to_owned()),
            ..Self::on(Operation::Delivery, effect)
        }
    }

    /// Only for one purchase.
    #[must_use]
    pub fn purchase(self, purchase: Uuid) -> Self {
        Self {
            purchase_id: Some(purchase),
            ..self
        }
    }

    /// Only for purchases with a reference.
    #[must_use]
    pub fn reference(self, reference: &str) -> Self {
        Self {
            reference: Some(reference.to_owned()),
            ..self
        }
    }

    /// Only for purchases with a metadata value.
    #[must_use]
    pub fn metadata(self, key: &str, value: impl Into<Value>) -> Self {
        Self {
            metadata: Some((key.to_owned(), value.into())),
            ..self
        }
    }

    /// Only the n-th matching call, from 1.
    #[must_use]
    pub fn nth(self, nth: u64) -> Self {
        Self {
            nth: Some(nth),
            ..self
        }
    }

    /// Every n-th matching call.
    #[must_use]
    pub fn every(self, every: u64) -> Self {
        Self {
            every: Some(every),
            ..self
        }
    }

    /// With a probability, drawn from a seed.
    #[must_use]
    pub fn probability(self, probability: f64, seed: u64) -> Self {
        Self {
            probability: Some(probability),
            seed,
            ..self
        }
    }

    /// At most so many times.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }
}

/// What a rule looks at in a call.
pub(crate) struct Facts<'a> {
    pub(crate) operation: Operation,
    pub(crate) purchase_id: Option<Uuid>,
    pub(crate) reference: &'a str,
    pub(crate) metadata: Option<&'a Value>,
    pub(crate) event: Option<&'a str>,
}

/// The effects chosen for a call.
#[derive(Default, Debug)]
pub(crate) struct Chosen {
    pub(crate) latency_ms: u64,
    pub(crate) broken: Option<(Commit, Answer)>,
    pub(crate) fate: Option<Effect>,
    pub(crate) stale: Option<Effect>,
    pub(crate) delivery: Option<Effect>,
    pub(crate) names: Vec<&'static str>,
}

struct Armed {
    id: u64,
    rule: Rule,
    seen: u64,
    acted: u64,
    dice: StdRng,
}

/// The rules in force.
#[derive(Default)]
pub(crate) struct Rules {
    armed: Vec<Armed>,
    made: u64,
}

impl Rules {
    pub(crate) fn add(&mut self, rule: Rule) -> u64 {
        self.made += 1;
        let dice = StdRng::seed_from_u64(rule.seed);
        self.armed.push(Armed {
            id: self.made,
            rule,
            seen: 0,
            acted: 0,
            dice,
        });
        self.made
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.armed.retain(|armed| armed.id != id);
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }

    pub(crate) fn choose(&mut self, facts: &Facts<'_>) -> Chosen {
        let mut chosen = Chosen::default();
        for armed in &mut self.armed {
            if armed.acts_on(facts) {
                chosen.take(&armed.rule.effect);
            }
        }
        chosen
    }
}

impl Armed {
    fn acts_on(&mut self, facts: &Facts<'_>) -> bool {
        if !self.rule.matches(facts) || self.rule.times.is_some_and(|times| self.acted >= times) {
            return false;
        }
        self.seen += 1;
        let is_turn = self.rule.nth.is_none_or(|nth| self.seen == nth)
            && self
                .rule
                .every
                .is_none_or(|every| self.seen.is_multiple_of(every.max(1)))
            && self
                .rule
                .probability
                .is_none_or(|p| self.dice.random_bool(p.clamp(0.0, 1.0)));
        self.acted += u64::from(is_turn);
        is_turn
    }
}

impl Rule {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        let is_delivery = facts.operation == Operation::Delivery;
        let operation_fits = match self.operation {
            None => !is_delivery,
            Some(operation) => operation == facts.operation,
        };
        let metadata_fits = self.metadata.as_ref().is_none_or(|(key, value)| {
            facts.metadata.and_then(|metadata| metadata.get(key)) == Some(value)
        });
        operation_fits
            && metadata_fits
            && self
                .purchase_id
                .is_none_or(|id| facts.purchase_id == Some(id))
            && self
                .reference
                .as_ref()
                .is_none_or(|reference| reference == facts.reference)
            && self
                .event
                .as_deref()
                .is_none_or(|event| facts.event == Some(event))
    }
}

impl Chosen {
    fn take(&mut self, effect: &Effect) {
        let slot = match effect {
            Effect::Latency(ms) => {
                self.latency_ms += ms;
                self.names.push(effect.name());
                return;
            }
            Effect::Broken { commit, answer } => {
                if self.broken.is_none() {
                    self.broken = Some((*commit, answer.clone()));
                    self.names.push(effect.name());
                }
                return;
            }
            Effect::Decline(_) | Effect::Block(_) | Effect::Pending(_) => &mut self.fate,
            Effect::StaleBy(_) | Effect::StaleStatus => &mut self.stale,
            Effect::Lost | Effect::Duplicated | Effect::Reordered(_) => &mut self.delivery,
        };
        if slot.is_none() {
            *slot = Some(effect.clone());
            self.names.push(effect.name());
        }
    }
}
