//! One try at a step, and what the gateway's answer to it means.

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::evidence::{Sighting, TryKind};
use super::money::Amount;

/// One verb at the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Step {
    /// Make the purchase. Moves no money: a purchase nobody knows of is only a link that expires.
    Create,
    /// Charge the saved card.
    Charge,
    /// Take held money.
    Capture {
        /// How much.
        amount: Amount,
    },
    /// Give held money back.
    Release,
    /// Make sure that it can never be paid.
    Cancel,
}

impl Step {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Charge => "charge",
            Self::Capture { .. } => "capture",
            Self::Release => "release",
            Self::Cancel => "cancel",
        }
    }

    /// Whether the step, carried out twice, could take money twice on a gateway that does not
    /// guard against it. Such a step is sent again only after the quiet period and by policy.
    #[must_use]
    pub const fn takes_money(self) -> bool {
        matches!(self, Self::Charge | Self::Capture { .. })
    }

    /// How the gateway lists tries at this step, if the acquirer takes part in it.
    #[must_use]
    pub const fn try_kind(self) -> Option<TryKind> {
        match self {
            Self::Charge => Some(TryKind::Pay),
            Self::Capture { .. } => Some(TryKind::Capture),
            Self::Release => Some(TryKind::Release),
            Self::Create | Self::Cancel => None,
        }
    }
}

/// One try at a step. While it is open its outcome is not known: the note that was written
/// before the call is what tells the next worker to look instead of calling again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// 1 for the first of this payment.
    pub number: u32,
    /// At what.
    pub step: Step,
    /// When it was opened; the call follows.
    pub opened_at: Timestamp,
    /// How many tries at this step the gateway listed before.
    pub tries_before: u32,
    /// The claim under which it was opened, which tells it from another one of its number that was
    /// opened where this one was never written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_by: Option<String>,
    /// What look-ups showed while it was open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks: Option<Looks>,
    /// What was answered, if anything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// What was answered to a call, before it is known what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When.
    pub at: Timestamp,
    /// The class of the answer.
    pub class: AnswerClass,
    /// The gateway's code, or the reason in our words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// What look-ups showed while an attempt was open, for whoever wants to know why it takes long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looks {
    /// How many.
    pub count: u32,
    /// The last one.
    pub last_at: Timestamp,
    /// What it showed, in a word.
    pub last_saw: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// When that was known.
    pub at: Timestamp,
    /// What it did.
    pub verdict: Verdict,
}

/// What an attempt did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Verdict {
    /// What was asked.
    Done,
    /// Nothing: no byte of it left.
    NotSent,
    /// Nothing: the gateway refused it.
    Refused {
        /// The gateway's code.
        code: String,
    },
    /// Nothing: the acquirer refused it.
    Declined {
        /// The transaction code.
        code: String,
    },
    /// Nothing, as far as look-ups show after the quiet period.
    DidNotHappen,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotSent => "not_sent",
            Self::Refused { .. } => "refused",
            Self::Declined { .. } => "declined",
            Self::DidNotHappen => "did_not_happen",
        }
    }
}

impl Attempt {
    /// Whether its outcome is still unknown.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Whether a request may have reached the acquirer: it left, and the gateway did not refuse it
    /// as such. Too many requests is such a refusal, once a look has shown nothing of the call.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        match self.closed.as_ref().map(|closed| &closed.verdict) {
            Some(Verdict::NotSent | Verdict::Refused { .. }) => false,
            Some(Verdict::DidNotHappen) => self.answer_class() != Some(AnswerClass::RateLimited),
            None | Some(Verdict::Done | Verdict::Declined { .. }) => true,
        }
    }

    /// The last moment at which its request can have been on its way, as far as is known.
    #[must_use]
    pub fn last_sign(&self) -> Timestamp {
        self.note
            .as_ref()
            .map_or(self.opened_at, |note| note.at.max(self.opened_at))
    }

    /// The class of the answer, if one came.
    #[must_use]
    pub fn answer_class(&self) -> Option<AnswerClass> {
        self.note.as_ref().map(|note| note.class)
    }
}

/// The classes of an answer. Classified by the gateway's code first, then by the HTTP number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerClass {
    /// No byte of the request left.
    NotSent,
    /// The gateway refused the request as such.
    NoEffect,
    /// The acquirer refused; the reason is read from the purchase.
    Declined,
    /// The acquirer's code leaves open whether money moved.
    InDoubt,
    /// The purchase was not in the state for it: usually an earlier call of ours won.
    Conflict,
    /// Too many requests.
    RateLimited,
    /// Nothing readable came back.
    Unknown,
    /// Accepted, and under way.
    Pending,
    /// Answered with the purchase.
    Done,
}

impl AnswerClass {
    /// The word for it, as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::NoEffect => "no_effect",
            Self::Declined => "declined",
            Self::InDoubt => "in_doubt",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate_limited",
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::Done => "done",
        }
    }
}

/// What the gateway answered to a call that may change something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A readable purchase with the right id.
    Shown(Box<Sighting>),
    /// The request never left: name resolution, connection or TLS failed.
    NotSent {
        /// What failed.
        why: String,
    },
    /// Refused as such, with the gateway's code.
    NoEffect {
        /// The gateway's code, or one made of the HTTP number.
        code: String,
        /// Whether the key or its rights were refused (401, 403).
        denied: bool,
    },
    /// Refused by the acquirer.
    Declined {
        /// The gateway's code for the refusal of the call.
        code: String,
    },
    /// Not in the state for it.
    Conflict {
        /// The gateway's code.
        code: String,
    },
    /// Too many requests.
    RateLimited {
        /// How long the gateway asks to wait, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// Time-out, reset, 5xx, 3xx, an unreadable body, another id.
    Unknown {
        /// What came instead, in our words.
        why: String,
    },
}

impl Answer {
    /// The class.
    #[must_use]
    pub const fn class(&self) -> AnswerClass {
        use super::evidence::Standing;
        match self {
            Self::Shown(seen) => match seen.standing {
                Standing::Pending => AnswerClass::Pending,
                _ => AnswerClass::Done,
            },
            Self::NotSent { .. } => AnswerClass::NotSent,
            Self::NoEffect { .. } => AnswerClass::NoEffect,
            Self::Declined { .. } => AnswerClass::Declined,
            Self::Conflict { .. } => AnswerClass::Conflict,
            Self::RateLimited { .. } => AnswerClass::RateLimited,
            Self::Unknown { .. } => AnswerClass::Unknown,
        }
    }

    /// The class, and the code or the reason.
    #[must_use]
    pub fn note(&self, at: Timestamp) -> Note {
        let code = match self {
            Self::Shown(_) | Self::RateLimited { .. } => None,
            Self::NotSent { why: told } | Self::Unknown { why: told } => Some(told.clone()),
            Self::NoEffect { code, .. } | Self::Declined { code } | Self::Conflict { code } => {
                Some(code.clone())
            }
        };
        let class = self.class();
        Note { at, class, code }
    }
}

impl LookUp {
    /// What it showed, in a word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Shown(seen) => seen.standing.as_str(),
            Self::NotFound => "not_found",
            Self::Failed { .. } => "nothing",
        }
    }
}

/// Whether the key or its rights were refused, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// Not so.
    No,
    /// So says the number alone, 401 or 403: something before the gateway may have answered.
    Bare,
    /// So the gateway says, with its code.
    Said,
}

impl Denial {
    /// Whether it was, whoever says so.
    #[must_use]
    pub const fn is_any(self) -> bool {
        !matches!(self, Self::No)
    }
}

/// What came of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUp {
    /// The purchase.
    Shown(Box<Sighting>),
    /// The gateway knows no such purchase.
    NotFound,
    /// Nothing could be learned this time.
    Failed {
        /// Why, in our words or as the gateway's code.
        why: String,
        /// Whether the key or its rights were refused.
        denied: Denial,
        /// How long the gateway asks to wait, in milliseconds.
        retry_after_ms: Option<u64>,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::scenes::{charged, start};
    use super::super::{Standing, UnknownPolicy};
    use super::*;

    fn stored(what: &impl Serialize) -> Value {
        serde_json::to_value(what).unwrap()
    }

    #[test]
    fn what_is_shown_and_logged_is_the_word_that_is_stored() {
        let amount = Amount::new(900).unwrap();
        for step in [
            Step::Create,
            Step::Charge,
            Step::Capture { amount },
            Step::Release,
            Step::Cancel,
        ] {
            assert_eq!(stored(&step)["name"], step.as_str());
        }
        let code = || "x".to_owned();
        for verdict in [
            Verdict::Done,
            Verdict::NotSent,
            Verdict::Refused { code: code() },
            Verdict::Declined { code: code() },
            Verdict::DidNotHappen,
        ] {
            assert_eq!(stored(&verdict)["name"], verdict.as_str());
        }
        for class in [
            AnswerClass::NotSent,
            AnswerClass::NoEffect,
            AnswerClass::Declined,
            AnswerClass::InDoubt,
            AnswerClass::Conflict,
            AnswerClass::RateLimited,
            AnswerClass::Unknown,
            AnswerClass::Pending,
            AnswerClass::Done,
        ] {
            assert_eq!(stored(&class), json!(class.as_str()));
        }
        assert_eq!(LookUp::NotFound.as_str(), "not_found");
    }

    #[test]
    fn only_a_charge_and_a_capture_could_take_money_twice() {
        let amount = Amount::new(900).unwrap();
        assert!(Step::Charge.takes_money() && Step::Capture { amount }.takes_money());
        for step in [Step::Create, Step::Release, Step::Cancel] {
            assert!(!step.takes_money(), "{step:?}");
        }
        assert_eq!(Step::Create.try_kind(), None);
        assert_eq!(Step::Cancel.try_kind(), None);
        assert_eq!(Step::Charge.try_kind(), Some(TryKind::Pay));
        assert_eq!(Step::Release.try_kind(), Some(TryKind::Release));
    }

    fn attempt(verdict: Option<Verdict>) -> Attempt {
        Attempt {
            number: 1,
            step: Step::Charge,
            opened_at: start(),
            tries_before: 0,
            opened_by: None,
            looks: None,
            note: None,
            closed: verdict.map(|verdict| Closed {
                at: start(),
                verdict,
            }),
        }
    }

    #[test]
    fn a_call_may_have_reached_the_acquirer_unless_it_never_left_or_was_refused_as_such() {
        let code = || "x".to_owned();
        for (verdict, sent) in [
            (None, true),
            (Some(Verdict::Done), true),
            (Some(Verdict::DidNotHappen), true),
            (Some(Verdict::Declined { code: code() }), true),
            (Some(Verdict::NotSent), false),
            (Some(Verdict::Refused { code: code() }), false),
        ] {
            assert_eq!(attempt(verdict.clone()).was_sent(), sent, "{verdict:?}");
        }
        let too_many = Answer::RateLimited {
            retry_after_ms: None,
        };
        for (verdict, sent) in [
            (None, true),
            (Some(Verdict::DidNotHappen), false),
            (Some(Verdict::Declined { code: code() }), true),
        ] {
            let mut limited = attempt(verdict.clone());
            limited.note = Some(too_many.note(start()));
            assert_eq!(limited.was_sent(), sent, "{verdict:?}");
        }
    }

    #[test]
    fn an_answer_that_shows_the_purchase_under_way_is_no_answer_yet() {
        let scene = charged(UnknownPolicy::Park);
        for (standing, class) in [
            (Standing::Pending, AnswerClass::Pending),
            (Standing::Payable, AnswerClass::Done),
            (Standing::Paid, AnswerClass::Done),
        ] {
            assert_eq!(scene.shown(standing).note(start()).class, class);
        }
    }

    #[test]
    fn the_last_sign_of_a_call_is_its_answer_or_its_note() {
        let mut open = attempt(None);
        assert_eq!((open.last_sign(), open.answer_class()), (start(), None));
        let later = start() + chrono::TimeDelta::seconds(9);
        let answer = Answer::RateLimited {
            retry_after_ms: None,
        };
        open.note = Some(answer.note(later));
        assert_eq!(open.last_sign(), later);
        assert_eq!(open.answer_class(), Some(AnswerClass::RateLimited));
        open.note = Some(answer.note(start() - chrono::TimeDelta::seconds(9)));
        assert_eq!(open.last_sign(), start(), "a clock that went back");
    }
}
