//! The experiments: one round of each.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;

use super::judge::{self, End, Flight, Kind, Looked, Manner, Reply, Round};
use super::lab::{Card, Halt, Lab, Made};
use super::{Pace, Question};
use crate::gateway::{Act, Heard, PostedCard, ProbeOrder, TestPurchase};
use crate::payment::{Answer, Sighting, Standing};

/// How far ahead the due time of a purchase is that is meant to expire.
const SOON: TimeDelta = TimeDelta::seconds(10);
/// How long after it is waited for the gateway to say so.
const AFTER_DUE: TimeDelta = TimeDelta::seconds(60);
/// Between two looks while something is awaited.
const A_WHILE: Duration = Duration::from_secs(1);
const A_MOMENT: Duration = Duration::from_millis(20);
/// How often is looked after a charge was answered, and how far apart.
const LOOKS: usize = 6;
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl<P: Pace> Lab<'_, P> {
    /// One round. Whatever came of it, nothing is left behind that could be taken away.
    pub(super) async fn ask(
        &mut self,
        question: Question,
        card: Result<&Card, &String>,
    ) -> Result<Round, Halt> {
        if question == Question::KeyOnCreate {
            return self.key_on_create().await;
        }
        let card = card.map_err(|why| Halt::Round(why.clone()))?;
        match question {
            Question::ConcurrentCharges => self.concurrent_charges(card).await,
            Question::CancelUnderCharge => self.cancel_under_charge(card).await,
            Question::ChargeAfterDue => self.charge_after_due(card).await,
            Question::KeyOnCreate => self.key_on_create().await,
            Question::KeyOnCharge => self.key_on_charge(card).await,
            Question::ChargeWithSkipCapture => self.charge_with_skip_capture(card).await,
            Question::ChargeAfterError => self.charge_after_error(card).await,
            Question::StaleLookUps => self.stale_look_ups(card).await,
        }
    }

    async fn concurrent_charges(&mut self, card: &Card) -> Result<Round, Halt> {
        let made = self.sale(Question::ConcurrentCharges).await?;
        let charge = || self.account.charge(&made.on, &card.token, None);
        let (one, other) = tokio::join!(charge(), charge());
        let two = [Reply::of(&one), Reply::of(&other)];
        for reply in &two {
            self.remember(reply);
        }
        let end = self.settle(&made.on, &[&two[0], &two[1]]).await;
        self.clean(&made.on, &[&two[0], &two[1]]).await;
        for (heard, reply) in [one, other].iter().zip(&two) {
            self.clear(heard, reply.clone())?;
        }
        Ok(judge::concurrent(&two, &end, made.took_ms))
    }

    async fn cancel_under_charge(&mut self, card: &Card) -> Result<Round, Halt> {
        let made = self.sale(Question::CancelUnderCharge).await?;
        let is_answered = AtomicBool::new(false);
        let charge = async {
            let heard = self.account.charge(&made.on, &card.token, None).await;
            is_answered.store(true, Ordering::SeqCst);
            heard
        };
        let (charge, cancel) = tokio::join!(charge, self.cancel_once(&made.on, &is_answered));
        let reply = Reply::of(&charge);
        if cancel.is_none() {
            self.remember(&reply);
        }
        let cancel = cancel.map(|(heard, flight)| (Reply::of(&heard), flight));
        let end = self.settle(&made.on, &[&reply]).await;
        self.clean(&made.on, &[&reply]).await;
        let reply = self.clear(&charge, reply)?;
        let cancel = cancel.as_ref().map(|(reply, flight)| (reply, *flight));
        Ok(judge::cancel(&reply, cancel, &end, made.took_ms))
    }

    /// Cancels as soon as the charge is seen to be under way, or has been for half as long as charges
    /// take; not any more once it is answered.
    async fn cancel_once(
        &self,
        on: &TestPurchase,
        is_answered: &AtomicBool,
    ) -> Option<(Heard, Flight)> {
        let half_ms = self.charge_ms.map(|ms| self.account.elapsed_ms() + ms / 2);
        while !is_answered.load(Ordering::SeqCst) {
            let look = self.account.look(on).await;
            let is_seen =
                matches!(&look.answer, Answer::Shown(seen) if seen.standing == Standing::Pending);
            let is_half = half_ms.is_some_and(|half_ms| self.account.elapsed_ms() >= half_ms);
            if is_answered.load(Ordering::SeqCst) {
                return None;
            }
            if is_seen || is_half {
                let flight = if is_seen {
                    Flight::Seen
                } else {
                    Flight::Assumed
                };
                return Some((self.account.act(on, Act::Cancel).await, flight));
            }
            self.pace.wait(A_MOMENT).await;
        }
        None
    }

    async fn charge_after_due(&mut self, card: &Card) -> Result<Round, Halt> {
        let due = self.clock.now() + SOON;
        let usual = self.usual(Question::ChargeAfterDue.as_str());
        let made = self.make(&ProbeOrder { due, ..usual }).await?;
        let is_expired = |heard: &Heard| matches!(&heard.answer, Answer::Shown(seen) if seen.standing == Standing::Expired);
        while !is_expired(&self.account.look(&made.on).await) {
            if self.clock.now() > due + AFTER_DUE {
                self.clean(&made.on, &[]).await;
                let why = "a minute after its due time it did not show as expired";
                return Err(Halt::Round(why.to_owned()));
            }
            self.pace.wait(A_WHILE).await;
        }
        let (reply, end) = self.charged(&made, card).await?;
        let (accepted, refused) = (Manner::ChargedAfterDue, Manner::RefusedAfterDue);
        Ok(judge::either(&reply, &end, accepted, refused))
    }

    async fn key_on_create(&mut self) -> Result<Round, Halt> {
        let key = format!("holdfast-probe-{:032x}", rand::random::<u128>());
        let order = ProbeOrder {
            key: Some(&key),
            ..self.usual(Question::KeyOnCreate.as_str())
        };
        let mut made: Vec<Made> = Vec::new();
        for _ in 0..2 {
            match self.make(&order).await {
                Ok(one) => made.push(one),
                Err(halt) => {
                    for one in &made {
                        self.clean(&one.on, &[]).await;
                    }
                    return Err(halt);
                }
            }
        }
        let is_one = made[0].on == made[1].on;
        for one in made.iter().skip(usize::from(is_one)) {
            self.clean(&one.on, &[]).await;
        }
        let (manner, heard) = if is_one {
            self.tally.made -= 1;
            (Manner::KeyHonoured, "one purchase")
        } else {
            (Manner::KeyIgnored, "two purchases")
        };
        Ok(Round::Showed(manner, heard.to_owned()))
    }

    async fn key_on_charge(&mut self, card: &Card) -> Result<Round, Halt> {
        let made = self.sale(Question::KeyOnCharge).await?;
        let key = format!("holdfast-probe-{:032x}", rand::random::<u128>());
        let mut replies = Vec::new();
        for _ in 0..2 {
            let heard = self.account.charge(&made.on, &card.token, Some(&key)).await;
            let reply = Reply::of(&heard);
            match self.clear(&heard, reply.clone()) {
                Ok(reply) => replies.push(reply),
                Err(halt) => {
                    self.clean(&made.on, &[&reply]).await;
                    return Err(halt);
                }
            }
        }
        let end = self.settle(&made.on, &[&replies[0], &replies[1]]).await;
        self.clean(&made.on, &[&replies[0]]).await;
        Ok(judge::repeated(&replies[0], &replies[1], &end))
    }

    async fn charge_with_skip_capture(&mut self, card: &Card) -> Result<Round, Halt> {
        let usual = self.usual(Question::ChargeWithSkipCapture.as_str());
        let reserve = true;
        let made = self.make(&ProbeOrder { reserve, ..usual }).await?;
        let (reply, end) = self.charged(&made, card).await?;
        Ok(judge::reserving(&reply, &end))
    }

    async fn charge_after_error(&mut self, card: &Card) -> Result<Round, Halt> {
        let made = self.sale(Question::ChargeAfterError).await?;
        let declined = self.posted(&made, PostedCard::Declined).await;
        let is_declined =
            |seen: &Sighting| seen.standing == Standing::Payable && judge::taken(seen) == 0;
        if !declined.is_some_and(|seen| is_declined(&seen)) {
            self.clean(&made.on, &[]).await;
            let why = "no payment could be made to fail: does the account offer Direct Post?";
            return Err(Halt::Round(why.to_owned()));
        }
        let (reply, end) = self.charged(&made, card).await?;
        let (accepted, refused) = (Manner::ChargedAfterError, Manner::RefusedAfterError);
        Ok(judge::either(&reply, &end, accepted, refused))
    }

    async fn stale_look_ups(&mut self, card: &Card) -> Result<Round, Halt> {
        let made = self.sale(Question::StaleLookUps).await?;
        let reply = self.charge(&made.on, card).await;
        let mut looks = Vec::new();
        if let Ok(Reply {
            kind: Kind::Shown(_),
            ended_ms,
            ..
        }) = &reply
        {
            for number in 0..LOOKS {
                if number > 0 {
                    self.pace.wait(LOOK_EVERY).await;
                }
                let look = self.account.look(&made.on).await;
                let later_ms = look.began_ms.saturating_sub(*ended_ms);
                looks.push((later_ms, Looked::of(&look)));
            }
        }
        self.clean(
            &made.on,
            &reply.as_ref().ok().into_iter().collect::<Vec<_>>(),
        )
        .await;
        Ok(judge::staleness(&reply?, &looks))
    }

    /// Charges, waits for the end of it, and leaves nothing behind.
    async fn charged(&mut self, made: &Made, card: &Card) -> Result<(Reply, End), Halt> {
        let reply = self.charge(&made.on, card).await;
        let known: Vec<&Reply> = reply.as_ref().ok().into_iter().collect();
        let end = self.settle(&made.on, &known).await;
        self.clean(&made.on, &known).await;
        Ok((reply?, end))
    }
}
