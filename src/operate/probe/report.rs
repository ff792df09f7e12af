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
/// How many rounds of a race must tell the same before it counts as a promise: one or two may have met by
/// chance just so.
const ENOUGH: u32 = 3;

/// What was measured, where and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    v: u8,
    holdfast: String,
    /// By its name in the settings.
    pub account: AccountName,
    mode: TestMode,
    /// Of which gateway: scheme, host and port of its address.
    pub gateway: String,
    /// When it was last added to.
    pub measured_at: Timestamp,
    /// One for each question that was asked.
    pub findings: Vec<Finding>,
    /// What became of the purchases of the last run.
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
    /// When it was measured.
    pub measured_at: Timestamp,
    /// In words.
    pub asked: String,
    /// The answer.
    pub verdict: Verdict,
    /// How many rounds showed what.
    pub rounds: BTreeMap<Manner, u32>,
    /// Of how many.
    pub of_rounds: u32,
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
    /// All that say anything promise the same, and they are too few for a race.
    TooFew,
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
    pub(super) fn of(question: Question, rounds: Vec<Round>, measured_at: Timestamp) -> Self {
        let of_rounds = u32::try_from(rounds.len()).unwrap_or(u32::MAX);
        let mut counts: BTreeMap<Manner, u32> = BTreeMap::new();
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
        let mut manners = counts.iter();
        let verdict = match (manners.next(), manners.next()) {
            (None, _) => Verdict::Open(Open::NotMeasured),
            (Some((manner, count)), None)
                if question.is_race() && manner.is_promise() && *count < ENOUGH =>
            {
                Verdict::Open(Open::TooFew)
            }
            (Some((manner, _)), None) => Verdict::Always(*manner),
            (Some(_), Some(_)) => Verdict::Open(Open::Mixed),
        };
        Self {
            question,
            measured_at,
            of_rounds,
            asked: question.asked().to_owned(),
            means: question.means(verdict).to_owned(),
            verdict,
            rounds: counts,
            observed,
            not_measured,
        }
    }

    /// How many rounds tell anything, of how many.
    #[must_use]
    pub fn told(&self) -> (u32, u32) {
        (self.rounds.values().sum(), self.of_rounds)
    }

    /// Whether it takes the place of what was found out before. What could not be measured this time
    /// leaves what was known, bad news above all: whatever was seen once in a race is not taken back by
    /// fewer rounds than showed it.
    fn replaces(&self, earlier: &Self) -> bool {
        let is_answer =
            |it: &Self| !matches!(it.verdict, Verdict::Open(Open::NotMeasured | Open::TooFew));
        let promises = |it: &Self| it.rounds.keys().all(|manner| manner.is_promise());
        let takes_back = self.question.is_race() && promises(self) && !promises(earlier);
        let (telling, told_before) = (self.told().0, earlier.told().0);
        (is_answer(self) || !is_answer(earlier)) && (!takes_back || telling >= told_before)
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
    pub(super) fn new(account: &AccountName, gateway: String, measured_at: Timestamp) -> Self {
        Self {
            gateway,
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

    /// Whether it is of the same account, at the same gateway.
    #[must_use]
    pub fn is_of(&self, account: &AccountName, gateway: &str) -> bool {
        self.account == *account && self.gateway == gateway
    }

    /// This report with what an earlier one of the same account says beyond it: only what was asked and
    /// answered again takes the place of what was known.
    #[must_use]
    pub fn over(mut self, earlier: Self) -> Self {
        for known in earlier.findings {
            let found = self.findings.iter_mut();
            match found.into_iter().find(|it| it.question == known.question) {
                None => self.findings.push(known),
                Some(found) if found.replaces(&known) => {}
                Some(found) => *found = known,
            }
        }
        let place = |question| Question::ALL.iter().position(|it| *it == question);
        self.findings.sort_by_key(|found| place(found.question));
        self
    }

    /// What was found out about a question, if it was asked.
    #[must_use]
    pub fn verdict(&self, question: Question) -> Option<Verdict> {
        let found = self.findings.iter().find(|it| it.question == question)?;
        Some(found.verdict)
    }

    /// What stands against sending an unexplained call again: that one purchase was taken twice, or
    /// may have been; and when that was measured.
    #[must_use]
    pub fn against_sending_again(&self) -> Option<(&'static str, Timestamp)> {
        use Manner::{BothAccepted, BothTaken, TakenAgain};
        use Question::{ConcurrentCharges, KeyOnCharge};
        let news = [
            (
                ConcurrentCharges,
                BothTaken,
                "two charges of one purchase at the same time were both taken",
            ),
            (
                ConcurrentCharges,
                BothAccepted,
                "two charges of one purchase at the same time were both accepted",
            ),
            (
                KeyOnCharge,
                TakenAgain,
                "a purchase that was paid was charged once more",
            ),
        ];
        news.into_iter().find_map(|(question, manner, why)| {
            let found = self.findings.iter().find(|it| it.question == question)?;
            let showed = found.rounds.contains_key(&manner);
            showed.then_some((why, found.measured_at))
        })
    }

    /// What is to be known before it is relied on at `now`, for people.
    #[must_use]
    pub fn doubts(&self, now: Timestamp) -> Vec<String> {
        let oldest = self.findings.iter().map(|found| found.measured_at).min();
        let oldest = oldest.unwrap_or(self.measured_at);
        let day = oldest.format("%Y-%m-%d");
        let mut doubts = Vec::new();
        if self.measured_at > now + TimeDelta::days(1) {
            let day = self.measured_at.format("%Y-%m-%d");
            doubts.push(format!("it is dated {day}, which is still to come"));
        } else if now - oldest > OLDEST {
            let most = OLDEST.num_days();
            doubts.push(format!(
                "some of it is of {day}, more than {most} days old; measure anew"
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
            ..ProbeReport::new(&account, GATEWAY.to_owned(), at)
        }
    }

    const GATEWAY: &str = "https://gate.example";

    fn found(question: Question, rounds: Vec<Round>) -> Finding {
        Finding::of(question, rounds, "2026-11-27T10:00:00Z".parse().unwrap())
    }

    fn silent() -> Round {
        Round::SaidNothing("too quick".to_owned())
    }

    #[test]
    fn a_verdict_counts_what_was_shown_and_keeps_why_the_rest_says_nothing() {
        let of = |rounds| found(Question::ConcurrentCharges, rounds);
        let one = of(vec![showed(Manner::BothTaken), silent()]);
        assert_eq!(one.verdict, Verdict::Always(Manner::BothTaken));
        assert_eq!(one.not_measured, ["too quick"]);
        assert_eq!(one.told(), (1, 2));
        let mixed = of(vec![showed(Manner::OneTaken), showed(Manner::BothTaken)]);
        assert_eq!(mixed.verdict.word(), "mixed");
        assert_eq!(mixed.rounds[&Manner::BothTaken], 1);
        assert_eq!(of(vec![silent()]).verdict.word(), "not_measured");
        assert_eq!(of(vec![]).verdict.word(), "not_measured");
    }

    #[test]
    fn a_race_that_went_well_promises_nothing_before_three_rounds_tell_so() {
        use Manner::{BothTaken, CancelRefused, CancelledAndCharged, CancelledAndNotCharged};
        let rounds = |manner, telling: usize| {
            let all = (0..5).map(|at| {
                if at < telling {
                    showed(manner)
                } else {
                    silent()
                }
            });
            all.collect::<Vec<_>>()
        };
        let two = Question::ConcurrentCharges;
        let cancel = Question::CancelUnderCharge;
        for (question, manner) in [
            (two, Manner::OneTaken),
            (cancel, CancelRefused),
            (cancel, CancelledAndNotCharged),
        ] {
            for telling in [1, 2] {
                let few = found(question, rounds(manner, telling));
                assert_eq!(few.verdict.word(), "too_few", "{telling} {manner:?}");
                assert!(few.means.contains("--rounds"), "{}", few.means);
            }
            let enough = found(question, rounds(manner, 3));
            assert_eq!(enough.verdict, Verdict::Always(manner));
        }
        for (question, manner) in [(two, BothTaken), (cancel, CancelledAndCharged)] {
            let bad = found(question, rounds(manner, 1));
            assert_eq!(bad.verdict, Verdict::Always(manner), "once is enough");
        }
        let fresh = found(Question::StaleLookUps, rounds(Manner::Fresh, 1));
        assert_eq!(fresh.verdict, Verdict::Always(Manner::Fresh), "no race");
    }

    #[test]
    fn what_was_not_asked_and_answered_again_stays_with_its_own_date() {
        use Manner::{BothTaken, Fresh, OneTaken, TakenAgain};
        let (two, key) = (Question::ConcurrentCharges, Question::KeyOnCharge);
        let earlier = report(vec![
            found(two, vec![showed(BothTaken)]),
            found(key, vec![showed(TakenAgain)]),
        ]);
        let was = earlier.measured_at;
        let later = was + TimeDelta::days(100);
        let again = |question, rounds| {
            let findings = vec![Finding::of(question, rounds, later)];
            let measured_at = later;
            let report = report(findings);
            ProbeReport {
                measured_at,
                ..report
            }
            .over(earlier.clone())
        };
        let merged = again(Question::StaleLookUps, vec![showed(Fresh); 2]);
        let questions: Vec<Question> = merged.findings.iter().map(|it| it.question).collect();
        assert_eq!(questions, [two, key, Question::StaleLookUps]);
        let dates: Vec<Timestamp> = merged.findings.iter().map(|it| it.measured_at).collect();
        assert_eq!(dates, [was, was, later]);
        assert!(merged.against_sending_again().is_some());
        assert_eq!(merged.doubts(was + TimeDelta::days(181)).len(), 1);
        // An answer takes the place of an answer; what says nothing, or too little, does not.
        for rounds in [vec![silent(); 5], vec![showed(OneTaken); 2]] {
            let merged = again(two, rounds);
            assert_eq!(merged.verdict(two), Some(Verdict::Always(BothTaken)));
            let (_, at) = merged.against_sending_again().unwrap();
            assert_eq!(at, was);
        }
        let merged = again(two, vec![showed(OneTaken); 3]);
        assert_eq!(
            merged.verdict(two),
            Some(Verdict::Always(OneTaken)),
            "3 of 1"
        );
        let (why, _) = merged.against_sending_again().unwrap();
        assert!(why.contains("once more"), "the other question's: {why}");
    }

    #[test]
    fn what_was_seen_once_in_a_race_is_not_taken_back_by_fewer_rounds_than_showed_it() {
        use Manner::{BothTaken, OneTaken};
        let two = Question::ConcurrentCharges;
        let mut rounds = vec![showed(OneTaken); 19];
        rounds.push(showed(BothTaken));
        let earlier = report(vec![found(two, rounds)]);
        for (telling, verdict) in [
            (3, Verdict::Open(Open::Mixed)),
            (19, Verdict::Open(Open::Mixed)),
            (20, Verdict::Always(OneTaken)),
        ] {
            let lucky = report(vec![found(two, vec![showed(OneTaken); telling])]);
            let merged = lucky.over(earlier.clone());
            assert_eq!(merged.verdict(two), Some(verdict), "{telling}");
        }
        let worse = report(vec![found(two, vec![showed(BothTaken)])]).over(earlier);
        assert_eq!(worse.verdict(two), Some(Verdict::Always(BothTaken)));
    }

    #[test]
    fn one_round_in_which_both_were_taken_stands_against_sending_again() {
        use Manner::{BothAccepted, BothTaken, KeyIgnored, OneTaken, TakenAgain};
        let of = |question, rounds: Vec<Manner>| {
            let rounds = rounds.into_iter().map(showed).collect();
            report(vec![found(question, rounds)]).against_sending_again()
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
        let written = report(vec![found(Question::StaleLookUps, rounds)]);
        let text = serde_json::to_string(&written).unwrap();
        assert_eq!(ProbeReport::read(&text), Ok(written));
        for (was, becomes) in [
            ("\"v\":1", "\"v\":2"),
            ("\"mode\":\"test\"", "\"mode\":\"live\""),
            ("\"fresh\"", "\"new_word\""),
            ("\"measured_at\"", "\"at\""),
            ("\"gateway\"", "\"place\""),
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
