//! What was measured, as a file that the settings can point to.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::Question;
use super::judge::{Manner, Round};
use crate::payment::{AccountName, Timestamp};

/// The version of the file.
const VERSION: u8 = 1;
/// How old a report may be before it is to be measured anew: a gateway changes without telling.
const OLDEST: TimeDelta = TimeDelta::days(180);

/// What was measured, where and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    v: u8,
    holdfast: String,
    /// By its name in the settings.
    pub account: AccountName,
    mode: TestMode,
    /// When it was begun.
    pub measured_at: Timestamp,
    /// One for each question that was asked.
    pub findings: Vec<Finding>,
    /// What became of the purchases.
    pub purchases: Tally,
}

/// The only mode in which anything is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TestMode {
    Test,
}

/// What was found out about one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which one.
    pub question: Question,
    /// In words.
    pub asked: String,
    /// The answer.
    pub verdict: Verdict,
    /// How many rounds showed what.
    pub rounds: BTreeMap<Manner, u32>,
    /// What was heard, round by round.
    pub observed: Vec<String>,
    /// Why the other rounds, or all of them, say nothing.
    pub not_measured: Vec<String>,
    /// What it means for the settings.
    pub means: String,
}

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Verdict {
    /// Every round that says anything shows this.
    Always(Manner),
    /// There is no one answer.
    Open(Open),
}

/// Why there is no one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Open {
    /// Rounds differ.
    Mixed,
    /// No round says anything.
    NotMeasured,
}

/// What became of the purchases that were made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many were made.
    pub made: u32,
    /// Cancelled: never to be paid.
    pub cancelled: u32,
    /// Their hold given back.
    pub released: u32,
    /// Their money given back.
    pub refunded: u32,
    /// Ended by themselves: expired, or a card that was checked.
    pub ended: u32,
    /// Left as they were: what was asked for could not be done.
    pub left_behind: u32,
}

/// Why a file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no report of `holdfast probe-gateway`, or one of another version; measure anew")]
pub struct NoReport;

impl Finding {
    pub(super) fn of(question: Question, rounds: Vec<Round>) -> Self {
        let mut counts = BTreeMap::new();
        let (mut observed, mut not_measured) = (Vec::new(), Vec::new());
        for round in rounds {
            match round {
                Round::Showed(manner, heard) => {
                    *counts.entry(manner).or_default() += 1;
                    observed.push(heard);
                }
                Round::SaidNothing(why) => not_measured.push(why),
            }
        }
        not_measured.dedup();
        let mut manners = counts.keys();
        let verdict = match (manners.next(), manners.next()) {
            (None, _) => Verdict::Open(Open::NotMeasured),
            (Some(manner), None) => Verdict::Always(*manner),
            (Some(_), Some(_)) => Verdict::Open(Open::Mixed),
        };
        Self {
            question,
            asked: question.asked().to_owned(),
            means: question.means(verdict).to_owned(),
            verdict,
            rounds: counts,
            observed,
            not_measured,
        }
    }
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> String {
        let word = serde_json::to_value(self).unwrap_or_default();
        word.as_str().unwrap_or_default().to_owned()
    }
}

impl ProbeReport {
    pub(super) fn new(account: &AccountName, measured_at: Timestamp) -> Self {
        Self {
            v: VERSION,
            holdfast: env!("CARGO_PKG_VERSION").to_owned(),
            account: account.clone(),
            mode: TestMode::Test,
            measured_at,
            findings: Vec::new(),
            purchases: Tally::default(),
        }
    }

    /// Reads a file.
    pub fn read(text: &str) -> Result<Self, NoReport> {
        let report: Self = serde_json::from_str(text).map_err(|_| NoReport)?;
        Some(report).filter(|it| it.v == VERSION).ok_or(NoReport)
    }

    /// What was found out about a question, if it was asked.
    #[must_use]
    pub fn verdict(&self, question: Question) -> Option<Verdict> {
        let found = self.findings.iter().find(|it| it.question == question)?;
        Some(found.verdict)
    }

    /// What stands against sending an unexplained call again: that one purchase was taken twice, or
    /// may have been.
    #[must_use]
    pub fn against_sending_again(&self) -> Option<&'static str> {
        use Manner::{BothAccepted, BothTaken, TakenAgain};
        let showed = |question, manners: &[Manner]| {
            let found = self.findings.iter().find(|it| it.question == question);
            found.is_some_and(|it| manners.iter().any(|manner| it.rounds.contains_key(manner)))
        };
        if showed(Question::ConcurrentCharges, &[BothTaken]) {
            Some("two charges of one purchase at the same time were both taken")
        } else if showed(Question::ConcurrentCharges, &[BothAccepted]) {
            Some("two charges of one purchase at the same time were both accepted")
        } else if showed(Question::KeyOnCharge, &[TakenAgain]) {
            Some("a purchase that was paid was charged once more")
        } else {
            None
        }
    }

    /// What is to be known before it is relied on at `now`, for people.
    #[must_use]
    pub fn doubts(&self, now: Timestamp) -> Vec<String> {
        let day = self.measured_at.format("%Y-%m-%d");
        let mut doubts = Vec::new();
        if self.measured_at > now + TimeDelta::days(1) {
            doubts.push(format!("it is dated {day}, which is still to come"));
        } else if now - self.measured_at > OLDEST {
            let most = OLDEST.num_days();
            doubts.push(format!(
                "it is of {day}, more than {most} days old; measure anew"
            ));
        }
        doubts
    }

    /// Whether it answers anything at all.
    #[must_use]
    pub fn says_anything(&self) -> bool {
        let answered = |it: &Finding| it.verdict != Verdict::Open(Open::NotMeasured);
        self.findings.iter().any(answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn showed(manner: Manner) -> Round {
        Round::Showed(manner, "heard".to_owned())
    }

    fn report(findings: Vec<Finding>) -> ProbeReport {
        let at = "2026-11-27T10:00:00Z".parse().unwrap();
        let account = AccountName::new("hotel").unwrap();
        ProbeReport {
            findings,
            ..ProbeReport::new(&account, at)
        }
    }

    #[test]
    fn a_verdict_counts_what_was_shown_and_keeps_why_the_rest_says_nothing() {
        let silent = || Round::SaidNothing("too quick".to_owned());
        let of = |rounds| Finding::of(Question::ConcurrentCharges, rounds);
        let one = of(vec![showed(Manner::OneTaken), silent()]);
        assert_eq!(one.verdict, Verdict::Always(Manner::OneTaken));
        assert_eq!(one.not_measured, ["too quick"]);
        let mixed = of(vec![showed(Manner::OneTaken), showed(Manner::BothTaken)]);
        assert_eq!(mixed.verdict.word(), "mixed");
        assert_eq!(mixed.rounds[&Manner::BothTaken], 1);
        assert_eq!(of(vec![silent()]).verdict.word(), "not_measured");
        assert_eq!(of(vec![]).verdict.word(), "not_measured");
    }

    #[test]
    fn one_round_in_which_both_were_taken_stands_against_sending_again() {
        use Manner::{BothAccepted, BothTaken, KeyIgnored, OneTaken, TakenAgain};
        let of = |question, rounds: Vec<Manner>| {
            let rounds = rounds.into_iter().map(showed).collect();
            report(vec![Finding::of(question, rounds)]).against_sending_again()
        };
        let two = Question::ConcurrentCharges;
        assert_eq!(of(two, vec![OneTaken; 5]), None);
        assert_eq!(of(two, vec![]), None, "what was not measured says nothing");
        assert_eq!(of(Question::KeyOnCharge, vec![KeyIgnored]), None);
        assert!(of(two, vec![OneTaken, OneTaken, BothTaken]).is_some());
        assert!(of(two, vec![BothAccepted]).is_some());
        assert!(of(Question::KeyOnCharge, vec![TakenAgain]).is_some());
    }

    #[test]
    fn a_report_is_read_as_it_was_written_and_nothing_else_is_taken_for_one() {
        let rounds = vec![showed(Manner::Fresh)];
        let written = report(vec![Finding::of(Question::StaleLookUps, rounds)]);
        let text = serde_json::to_string(&written).unwrap();
        assert_eq!(ProbeReport::read(&text), Ok(written));
        for (was, becomes) in [
            ("\"v\":1", "\"v\":2"),
            ("\"mode\":\"test\"", "\"mode\":\"live\""),
            ("\"fresh\"", "\"new_word\""),
            ("\"measured_at\"", "\"at\""),
        ] {
            assert!(text.contains(was), "{was}");
            let other = text.replace(was, becomes);
            assert_eq!(ProbeReport::read(&other), Err(NoReport), "{becomes}");
        }
    }

    #[test]
    fn an_old_report_and_one_of_tomorrow_are_doubted() {
        let of_today = report(Vec::new());
        let days_later = |days| of_today.doubts(of_today.measured_at + TimeDelta::days(days));
        assert_eq!(days_later(180), [""; 0]);
        assert!(days_later(181)[0].contains("2026-11-27"));
        assert!(days_later(-2)[0].contains("still to come"));
    }
}
