//! What can go wrong with a call.

use serde::{Deserialize, Serialize};

/// When a request takes effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Commit {
    /// As usual.
    #[default]
    Now,
    /// Never.
    Never,
    /// So many milliseconds later, on the sandbox's clock, as if it had been stuck on the way.
    Late(u64),
}

/// What the body of an error status is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorBody {
    /// JSON with a list under `__all__`, as observed.
    #[default]
    List,
    /// JSON with an object under `__all__`, as documented.
    Object,
    /// HTML, as a proxy sends.
    Html,
    /// Nothing.
    Empty,
}

/// What differs in an answer from what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// One sen more: the total, and what was taken.
    Amount,
    /// Another currency.
    Currency,
    /// Another brand.
    Brand,
    /// A live object for a test key, or the other way round.
    Mode,
    /// The gateway converts into another currency.
    Conversion,
    /// A person marked it as paid.
    MarkedAsPaid,
}

/// What the client gets instead of the true answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
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
        /// What the body is.
        #[serde(default)]
        body: ErrorBody,
    },
    /// 200 with a body that is not JSON.
    NotJson,
    /// The true answer with another purchase's id in it.
    WrongId,
    /// The true answer with something in it that was asked for otherwise.
    Differing(Difference),
}

/// How long an operation stays pending, and how it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// Milliseconds on the sandbox's clock; none for ever.
    pub for_ms: Option<u64>,
    /// The transaction code it fails with; none if it ends well.
    #[serde(default)]
    pub failing_with: Option<String>,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
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
    /// A read answers what was true before the last charge, capture, release, refund, cancel or
    /// payment by the payer, however long ago that was.
    BeforeOperation,
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
            body: ErrorBody::List,
        };
        Self::Broken {
            commit: Commit::Never,
            answer,
        }
    }

    /// Another answer than the true one, and it happened.
    #[must_use]
    pub fn answered(answer: Answer) -> Self {
        Self::Broken {
            commit: Commit::Now,
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

    /// What the ledger calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Latency(_) => "latency",
            Self::Broken { commit, answer } => answer.name(*commit),
            Self::Decline(_) => "decline",
            Self::Block(_) => "block",
            Self::Pending(_) => "pending",
            Self::StaleBy(_) => "stale_by",
            Self::StaleStatus => "stale_status",
            Self::BeforeOperation => "before_operation",
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
            body: ErrorBody::List,
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
            (Self::Differing(_), _) => "differing",
        }
    }
}
