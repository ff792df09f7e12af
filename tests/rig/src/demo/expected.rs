//! What must come of a payment, at the worker and at the gateway.

use holdfast::payment::{FailReason, State, Timestamp};

use super::seen::Seen;
use super::table::rm;

/// How long after its time a capture or release may come. Far more than it takes: a machine may
/// be slow, but an hour later is not on schedule.
const LATEST_MS: i64 = 10_000;

/// What a scene promises of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    ending: Ending,
    /// How many calls that charge the card arrive, all for the same purchase.
    charges: usize,
    look_ups: LookUps,
}

/// Amounts are in sen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ending {
    Saved,
    Paid(u64),
    Captured {
        held: u64,
        taken: u64,
        at: Timestamp,
    },
    Released {
        held: u64,
        at: Timestamp,
    },
    Declined(&'static str),
}

/// What part looking the purchase up plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookUps {
    /// None that matters.
    Any,
    /// It was charged, nobody knew, and a look showed it.
    FoundPaid,
    /// A look showed that it was not charged.
    FoundUnpaid,
    /// As [`LookUps::FoundPaid`], by another worker than the one that sent the call.
    TakenOver,
}

impl Expected {
    const fn new(ending: Ending, charges: usize) -> Self {
        Self {
            ending,
            charges,
            look_ups: LookUps::Any,
        }
    }

    /// A card is saved, and no money moves.
    pub(super) const fn saved() -> Self {
        Self::new(Ending::Saved, 0)
    }

    /// A card is charged, by one call.
    pub(super) const fn paid(taken: u64) -> Self {
        Self::new(Ending::Paid(taken), 1)
    }

    /// Of what is held, so much is taken at that time.
    pub(super) const fn captured(held: u64, taken: u64, at: Timestamp) -> Self {
        Self::new(Ending::Captured { held, taken, at }, 0)
    }

    /// All of what is held is given back at that time.
    pub(super) const fn released(held: u64, at: Timestamp) -> Self {
        Self::new(Ending::Released { held, at }, 0)
    }

    /// It fails with this code, and no money moves.
    pub(super) const fn declined(code: &'static str) -> Self {
        Self::new(Ending::Declined(code), 1)
    }

    /// So many calls charge the card.
    pub(super) const fn with_charges(mut self, charges: usize) -> Self {
        self.charges = charges;
        self
    }

    /// Looking the purchase up plays a part.
    pub(super) const fn with_look_ups(mut self, look_ups: LookUps) -> Self {
        self.look_ups = look_ups;
        self
    }

    /// What is not as promised; empty when all is.
    pub(super) fn misses(&self, seen: &Seen) -> Vec<String> {
        let mut misses = Vec::new();
        if !self.ending.is(&seen.state) {
            misses.push(format!("must be {}", self.ending.text()));
        }
        let (held, taken) = self.ending.moves();
        if (seen.ledger.held_minor, seen.ledger.taken_minor) != (held, taken) {
            misses.push(format!(
                "the ledger must show {} held and {} taken, and shows {} and {}",
                rm(held),
                rm(taken),
                rm(seen.ledger.held_minor),
                rm(seen.ledger.taken_minor)
            ));
        }
        if seen.charges != self.charges {
            misses.push(format!(
                "must be charged by {} calls, and {} arrived",
                self.charges, seen.charges
            ));
        }
        if self.look_ups != LookUps::Any && seen.look_ups == 0 {
            misses.push("nobody looked it up".to_owned());
        }
        if let Some(late_ms) = self.late_ms(seen)
            && !(0..=LATEST_MS).contains(&late_ms)
        {
            misses.push(format!("was settled {late_ms} ms after its time"));
        }
        misses
    }

    /// How it went, for the books. True of what [`Expected::misses`] finds nothing amiss with.
    pub(super) fn note(&self, seen: &Seen) -> String {
        let late = self.late_ms(seen).unwrap_or_default();
        match (&self.ending, self.look_ups) {
            (Ending::Captured { held, taken, .. }, _) if taken < held => {
                format!("of {} held", rm(*held))
            }
            (Ending::Captured { .. } | Ending::Released { .. }, _) => {
                format!("{late} ms after its time")
            }
            (Ending::Declined(code), _) => format!("declined: {code}"),
            (Ending::Saved, _) => "no money moved".to_owned(),
            (Ending::Paid(_), LookUps::FoundPaid) => "looked up and found paid".to_owned(),
            (Ending::Paid(_), LookUps::FoundUnpaid) => {
                format!("sent {} times, taken once", seen.charges)
            }
            (Ending::Paid(_), LookUps::TakenOver) => "taken over, found paid".to_owned(),
            (Ending::Paid(_), LookUps::Any) => "sent once".to_owned(),
        }
    }

    fn late_ms(&self, seen: &Seen) -> Option<i64> {
        match &self.ending {
            Ending::Captured { at, .. } | Ending::Released { at, .. } => {
                seen.settled_ms.map(|ms| ms - at.timestamp_millis())
            }
            Ending::Saved | Ending::Paid(_) | Ending::Declined(_) => None,
        }
    }
}

impl Ending {
    fn is(&self, state: &State) -> bool {
        match (self, state) {
            (Self::Saved, State::Saved(_)) | (Self::Released { .. }, State::Released) => true,
            (Self::Paid(taken) | Self::Captured { taken, .. }, State::Paid(money)) => {
                money.amount.minor() == *taken
            }
            (Self::Declined(expected), State::Failed(FailReason::Declined { code })) => {
                code == expected
            }
            _ => false,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Saved => "saved".to_owned(),
            Self::Paid(taken) | Self::Captured { taken, .. } => format!("paid {}", rm(*taken)),
            Self::Released { .. } => "released".to_owned(),
            Self::Declined(code) => format!("failed with {code}"),
        }
    }

    /// Held and taken.
    const fn moves(&self) -> (u64, u64) {
        match self {
            Self::Saved | Self::Declined(_) => (0, 0),
            Self::Paid(taken) => (0, *taken),
            Self::Captured { held, taken, .. } => (*held, *taken),
            Self::Released { held, .. } => (*held, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast::payment::{Amount, Currency, Money};

    use super::*;
    use crate::books::Movements;

    const AT_MS: i64 = 1_790_000_000_000;

    fn paid(minor: u64) -> State {
        let (amount, currency) = (Amount::new(minor).unwrap(), Currency::new("MYR").unwrap());
        State::Paid(Money { amount, currency })
    }

    fn failed(code: &str) -> State {
        let code = code.to_owned();
        State::Failed(FailReason::Declined { code })
    }

    fn seen(state: State, held: u64, taken: u64, charges: usize, look_ups: usize) -> Seen {
        let ledger = Movements {
            held_minor: held,
            taken_minor: taken,
            ..Movements::default()
        };
        Seen {
            state,
            ledger,
            charges,
            look_ups,
            settled_ms: None,
        }
    }

    /// `honest` fits, and none of the others does.
    fn only_fits(expected: &Expected, honest: &Seen, others: &[Seen]) {
        assert_eq!(expected.misses(honest), [""; 0]);
        for other in others {
            assert_ne!(expected.misses(other), [""; 0], "{other:?}");
        }
    }

    #[test]
    fn a_lost_answer_that_was_not_looked_up_or_was_charged_again_is_told() {
        let expected = Expected::paid(700).with_look_ups(LookUps::FoundPaid);
        let others = [
            seen(paid(700), 0, 700, 1, 0),
            seen(paid(700), 0, 700, 2, 1),
            seen(paid(700), 0, 1_400, 1, 1),
            seen(paid(600), 0, 700, 1, 1),
            seen(State::New, 0, 700, 1, 1),
        ];
        only_fits(&expected, &seen(paid(700), 0, 700, 1, 3), &others);
    }

    #[test]
    fn a_lost_call_that_was_not_sent_again_is_told() {
        let expected = Expected::paid(700)
            .with_charges(2)
            .with_look_ups(LookUps::FoundUnpaid);
        let others = [seen(paid(700), 0, 700, 1, 1), seen(State::New, 0, 0, 1, 1)];
        only_fits(&expected, &seen(paid(700), 0, 700, 2, 1), &others);
    }

    #[test]
    fn a_decline_for_another_reason_or_of_what_was_taken_is_told() {
        let expected = Expected::declined("do_not_honour");
        let others = [
            seen(failed("lost_card"), 0, 0, 1, 0),
            seen(State::Failed(FailReason::Cancelled), 0, 0, 1, 0),
            seen(failed("do_not_honour"), 0, 700, 1, 0),
            seen(failed("do_not_honour"), 0, 0, 0, 0),
            seen(paid(700), 0, 700, 1, 0),
        ];
        only_fits(
            &expected,
            &seen(failed("do_not_honour"), 0, 0, 1, 0),
            &others,
        );
    }

    #[test]
    fn another_part_than_planned_and_another_time_are_told() {
        let at = Timestamp::from_timestamp_millis(AT_MS).unwrap();
        let settled = |seen: Seen, late_ms: i64| Seen {
            settled_ms: Some(AT_MS + late_ms),
            ..seen
        };
        let part = Expected::captured(900, 400, at);
        let honest = settled(seen(paid(400), 900, 400, 0, 0), 5);
        let others = [
            settled(honest.clone(), -1),
            settled(honest.clone(), LATEST_MS + 1),
            settled(seen(paid(900), 900, 900, 0, 0), 5),
            settled(seen(paid(400), 400, 400, 0, 0), 5),
        ];
        only_fits(&part, &honest, &others);

        let release = Expected::released(900, at);
        let honest = settled(seen(State::Released, 900, 0, 0, 0), 5);
        let others = [
            settled(honest.clone(), -1),
            settled(seen(paid(900), 900, 900, 0, 0), 5),
        ];
        only_fits(&release, &honest, &others);
    }
}
