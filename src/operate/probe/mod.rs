//! What CHIP does not document, measured on a test account.
//!
//! Each question is an experiment: what is asked, what was heard, a verdict, and what that means for the
//! settings. Money of a test account is no money, and nothing but a
//! [`TestAccount`] can be asked: see there why the probe needs no permits.
//!
//! | file | what |
//! |---|---|
//! | `question` | what is asked, and what the answers mean |
//! | `ask` | one round of each experiment |
//! | `judge` | what a round shows, or why it says nothing; pure |
//! | `lab` | purchases to try things out on, and that nothing is left of them |
//! | `report` | the verdicts, dated, as a file that the settings can point to |

mod ask;
mod judge;
mod lab;
mod question;
mod report;

use std::future::Future;
use std::time::Duration;

pub use judge::Manner;
pub use question::Question;
pub use report::{Finding, NoReport, Open, ProbeReport, Tally, Verdict};

use crate::clock::Clock;
use crate::gateway::TestAccount;
use crate::payment::CardToken;
use judge::Round;
use lab::{Card, Halt, Lab};

/// The sum of every purchase, in sen: the smallest that card payments are known to take.
pub const AMOUNT_MINOR: u64 = 100;
/// How often what is no race is asked.
const ASKED: u32 = 2;

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Which questions.
    pub questions: Vec<Question>,
    /// How often each race is asked.
    pub rounds: u32,
    /// The token of a saved test card; one is saved without it.
    pub token: Option<CardToken>,
}

/// How the probe waits. In tests, whoever waits moves the time.
pub trait Pace: Sync {
    /// Waits so long.
    fn wait(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// Why nothing was measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// Whatever the settings say, the gateway does not.
    #[error(
        "the gateway did not answer with a test purchase of this account's brand and sum; nothing was \
         charged on it, and nothing more is asked. Is the key a live one?"
    )]
    NotTest,
    /// The key may not.
    #[error("the gateway refused the key: {0}")]
    Denied(String),
    /// It is not there.
    #[error("{0}; nothing was sent")]
    Unreachable(String),
    /// It answered nothing that says anything.
    #[error("nothing could be measured: {0}")]
    Nothing(String),
}

impl Wish {
    /// How often a question is asked.
    #[must_use]
    pub const fn rounds_of(&self, question: Question) -> u32 {
        if question.is_race() {
            self.rounds
        } else {
            ASKED
        }
    }

    /// Whether a card has to be saved.
    #[must_use]
    pub fn saves_card(&self) -> bool {
        self.token.is_none() && self.questions.iter().any(|it| it.needs_card())
    }

    /// How many purchases are made of a question at most.
    #[must_use]
    pub const fn purchases_of(&self, question: Question) -> u32 {
        self.rounds_of(question) * question.purchases()
    }

    /// How many purchases are made at most.
    #[must_use]
    pub fn purchases(&self) -> u32 {
        let asked = self.questions.iter().map(|it| self.purchases_of(*it));
        asked.sum::<u32>() + u32::from(self.saves_card())
    }
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// All of it: what was found out before it was broken off is no less true.
    pub report: ProbeReport,
    /// Why not all was asked, if it was not.
    pub broken_off: Option<ProbeError>,
}

/// Measures what is wished. `begins` is told of each question.
pub async fn measure<P: Pace>(
    account: &TestAccount,
    wish: &Wish,
    clock: &Clock,
    pace: &P,
    mut begins: impl FnMut(Question),
) -> Result<Measured, ProbeError> {
    let mut report = ProbeReport::new(account.name(), account.origin(), clock.now());
    let mut lab = Lab {
        account,
        clock,
        pace,
        left: wish.purchases(),
        charge_ms: None,
        tally: Tally::default(),
    };
    let card = card(&mut lab, wish).await?;
    let mut broken_off = None;
    for question in &wish.questions {
        begins(*question);
        let (rounds, ended) = rounds(&mut lab, *question, wish, card.as_ref()).await;
        if !rounds.is_empty() {
            let found = Finding::of(*question, rounds, report.measured_at);
            report.findings.push(found);
        }
        broken_off = ended.err();
        if broken_off.is_some() {
            break;
        }
    }
    if let Ok(Card {
        saved_by: Some(purchase),
        ..
    }) = &card
    {
        // A card that stays is a test card that stays.
        let _answer = account.forget_card(purchase).await;
    }
    report.purchases = lab.tally;
    if report.says_anything() {
        return Ok(Measured { report, broken_off });
    }
    let whys = report.findings.iter().flat_map(|it| &it.not_measured);
    let why = whys.last().cloned().unwrap_or_default();
    Err(broken_off.unwrap_or(ProbeError::Nothing(why)))
}

/// The saved card to charge, or why there is none.
async fn card<P: Pace>(
    lab: &mut Lab<'_, P>,
    wish: &Wish,
) -> Result<Result<Card, String>, ProbeError> {
    if let Some(token) = wish.token.clone() {
        let saved_by = None;
        return Ok(Ok(Card { token, saved_by }));
    }
    if !wish.saves_card() {
        return Ok(Err("no card was asked for".to_owned()));
    }
    match lab.save_card().await {
        Ok(card) => Ok(Ok(card)),
        Err(Halt::Round(why)) => Ok(Err(why)),
        Err(Halt::Run(error)) => Err(error),
    }
}

async fn rounds<P: Pace>(
    lab: &mut Lab<'_, P>,
    question: Question,
    wish: &Wish,
    card: Result<&Card, &String>,
) -> (Vec<Round>, Result<(), ProbeError>) {
    let mut rounds = Vec::new();
    for _ in 0..wish.rounds_of(question) {
        match lab.ask(question, card).await {
            Ok(round) => rounds.push(round),
            Err(Halt::Round(why)) => rounds.push(Round::SaidNothing(why)),
            Err(Halt::Run(error)) => return (rounds, Err(error)),
        }
    }
    (rounds, Ok(()))
}
