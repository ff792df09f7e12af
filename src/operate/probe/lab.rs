//! What all experiments share: purchases of the smallest sum, and that nothing is left of them.

use std::time::Duration;

use chrono::TimeDelta;

use super::judge::{End, Kind, Reply, progress, taken};
use super::report::Tally;
use super::{AMOUNT_MINOR, Pace, ProbeError, Question};
use crate::clock::Clock;
use crate::gateway::{Act, Created, Heard, PostedCard, ProbeOrder, TestAccount, TestPurchase};
use crate::payment::{Answer, CardToken, Sighting, Standing, Timestamp};

/// How long a purchase can be paid: nothing that is forgotten stays payable.
const LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// How often is looked whether something came to its end, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const MOST_LOOKS: u32 = 60;
/// The pause before each purchase: a test account has a limit of calls as well.
const PAUSE: Duration = Duration::from_millis(250);

/// Why an experiment does not go on.
pub(super) enum Halt {
    /// This round says nothing.
    Round(String),
    /// Nothing more may be asked.
    Run(ProbeError),
}

/// A purchase to try something out on.
pub(super) struct Made {
    pub(super) on: TestPurchase,
    pub(super) seen: Box<Sighting>,
    /// How long it took to make it: a call in which no acquirer has a part.
    pub(super) took_ms: u64,
}

/// A saved card.
pub(super) struct Card {
    pub(super) token: CardToken,
    /// What saved it, if we did.
    pub(super) saved_by: Option<TestPurchase>,
}

/// The bench at which experiments are made.
pub(super) struct Lab<'a, P> {
    pub(super) account: &'a TestAccount,
    pub(super) clock: &'a Clock,
    pub(super) pace: &'a P,
    /// How many purchases may still be made.
    pub(super) left: u32,
    /// How long a charge took that was taken.
    pub(super) charge_ms: Option<u64>,
    pub(super) tally: Tally,
}

impl<P: Pace> Lab<'_, P> {
    /// A purchase of the smallest sum, that takes it.
    pub(super) fn usual(&self, about: &'static str) -> ProbeOrder<'static> {
        ProbeOrder {
            about,
            total_minor: AMOUNT_MINOR,
            reserve: false,
            due: self.clock.now() + LIFETIME,
            key: None,
        }
    }

    /// Makes the usual purchase.
    pub(super) async fn sale(&mut self, question: Question) -> Result<Made, Halt> {
        let order = self.usual(question.as_str());
        self.make(&order).await
    }

    pub(super) async fn make(&mut self, order: &ProbeOrder<'_>) -> Result<Made, Halt> {
        if self.left == 0 {
            return Err(Halt::Round("no more purchases are made".to_owned()));
        }
        self.left -= 1;
        self.pace.wait(PAUSE).await;
        let (heard, created) = self.account.create(order).await;
        let reply = Reply::of(&heard);
        match created {
            Created::Test(on, seen) => {
                self.tally.made += 1;
                let took_ms = reply.took_ms();
                Ok(Made { on, seen, took_ms })
            }
            Created::Foreign => Err(Halt::Run(ProbeError::NotTest)),
            Created::Not => Err(self.halt(&heard, "no purchase was made", &reply)),
        }
    }

    /// Charges, and remembers how long that takes.
    pub(super) async fn charge(&mut self, on: &TestPurchase, card: &Card) -> Result<Reply, Halt> {
        let heard = self.account.charge(on, &card.token, None).await;
        let reply = Reply::of(&heard);
        self.remember(&reply);
        self.clear(&heard, reply)
    }

    pub(super) fn remember(&mut self, reply: &Reply) {
        if reply.kind == Kind::Shown(Standing::Paid) {
            self.charge_ms = Some(reply.took_ms());
        }
    }

    /// An answer that was given because of the key is none about the purchase.
    pub(super) fn clear(&self, heard: &Heard, reply: Reply) -> Result<Reply, Halt> {
        match heard.answer {
            Answer::NoEffect { denied: true, .. } | Answer::RateLimited { .. } => {
                Err(self.halt(heard, "the gateway turned the call away", &reply))
            }
            _ => Ok(reply),
        }
    }

    fn halt(&self, heard: &Heard, what: &str, reply: &Reply) -> Halt {
        match &heard.answer {
            Answer::NoEffect { code, denied: true } => Halt::Run(ProbeError::Denied(code.clone())),
            Answer::NotSent { why } if self.tally.made == 0 => {
                Halt::Run(ProbeError::Unreachable(why.clone()))
            }
            _ => Halt::Round(format!("{what}: {}", reply.words)),
        }
    }

    /// What is true once nothing is under way any more, and looks show as much as was answered.
    pub(super) async fn settle(&self, on: &TestPurchase, replies: &[&Reply]) -> End {
        let answered = replies.iter().filter_map(|reply| match &reply.kind {
            Kind::Shown(standing) => Some(progress(standing)),
            _ => None,
        });
        let least = answered.max().unwrap_or_default();
        let listed = replies.iter().map(|reply| reply.taken).max();
        let mut end = End {
            standing: None,
            taken: listed.unwrap_or_default(),
        };
        for _ in 0..MOST_LOOKS {
            if let Answer::Shown(seen) = self.account.look(on).await.answer {
                end.taken = end.taken.max(taken(&seen));
                if seen.standing != Standing::Pending && progress(&seen.standing) >= least {
                    end.standing = Some(seen.standing);
                    return end;
                }
            }
            self.pace.wait(LOOK_EVERY).await;
        }
        end
    }

    /// Saves the test card, as a payer would on a shop's page.
    pub(super) async fn save_card(&mut self) -> Result<Card, Halt> {
        let order = ProbeOrder {
            total_minor: 0,
            reserve: true,
            ..self.usual("card")
        };
        let made = self.make(&order).await?;
        let seen = self.posted(&made, PostedCard::Kept).await;
        let saved = seen.filter(|seen| seen.standing == Standing::CardSaved);
        let token = saved.and_then(|seen| seen.card);
        let Some(token) = token else {
            self.clean(&made.on, &[]).await;
            let why = "no card could be saved: does the account offer Direct Post? Give the token of a \
                       saved test card";
            return Err(Halt::Round(why.to_owned()));
        };
        self.tally.ended += 1;
        let saved_by = Some(made.on);
        Ok(Card { token, saved_by })
    }

    /// Posts a card, and what a look shows of it afterwards; `None` where no card can be posted.
    pub(super) async fn posted(&self, made: &Made, card: PostedCard) -> Option<Box<Sighting>> {
        let until: Timestamp = self.clock.now() + TimeDelta::days(365);
        self.account.post_card(&made.seen, card, until).await?;
        for _ in 0..MOST_LOOKS {
            if let Answer::Shown(seen) = self.account.look(&made.on).await.answer {
                let is_untried = seen.standing == Standing::Payable && seen.tries.is_empty();
                if seen.standing != Standing::Pending && !is_untried {
                    return Some(seen);
                }
            }
            self.pace.wait(LOOK_EVERY).await;
        }
        None
    }

    /// Leaves nothing that can be paid, is reserved or was taken.
    pub(super) async fn clean(&mut self, on: &TestPurchase, replies: &[&Reply]) {
        let end = self.settle(on, replies).await;
        let act = match end.standing {
            Some(Standing::Payable) => Act::Cancel,
            Some(Standing::Held) => Act::Release,
            Some(Standing::Paid) => Act::Refund,
            Some(
                Standing::Released | Standing::CardSaved | Standing::Cancelled | Standing::Expired,
            ) => return self.tally.ended += 1,
            Some(Standing::Pending | Standing::Other(_)) | None => {
                return self.tally.left_behind += 1;
            }
        };
        let heard = self.account.act(on, act).await;
        let is_done = heard.http_status.is_some_and(|s| (200..300).contains(&s));
        let count = match act {
            // One refund gives back one of two that were taken.
            _ if !is_done || end.taken > 1 => &mut self.tally.left_behind,
            Act::Cancel => &mut self.tally.cancelled,
            Act::Release => &mut self.tally.released,
            Act::Refund => &mut self.tally.refunded,
        };
        *count += 1;
    }
}
