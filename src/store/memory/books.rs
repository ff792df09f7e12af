//! What the store in memory holds, and each call on it as one step.

use std::collections::{BTreeMap, BTreeSet};

use super::super::audit::AuditEntry;
use super::super::by::place_of;
use super::super::write::{After, whole_ms};
use super::super::{
    By, Claim, ClaimKey, Claims, Created, Cursor, Loaded, Nonce, NotDurable, Nudged, Page, PlanId,
    SaveError, StateEvent, Stats, Then, Tried,
};
use super::Trouble;
use super::replica::Replica;
use crate::payment::{
    CardId, KnownCard, Payment, PaymentId, StateName, Timestamp, digest_of, millis,
};

pub(super) type Disturb = Box<dyn FnMut(&'static str) -> Option<Trouble> + Send>;

#[derive(Default)]
pub(super) struct Books {
    pub(super) records: BTreeMap<PaymentId, Record>,
    due: BTreeSet<(Timestamp, PaymentId)>,
    pub(super) events: Vec<StateEvent>,
    pub(super) audit: Vec<AuditEntry>,
    /// What is known of cards, and which write of it that is.
    pub(super) cards: BTreeMap<CardId, (KnownCard, u64)>,
    pub(super) card_writes: u64,
    /// What operators plan, which write of it that is, and when it is due.
    pub(super) plans: BTreeMap<PlanId, (String, u64, Timestamp)>,
    /// Up to where the events were read for what is known of cards.
    pub(super) followed: usize,
    seed: Option<u64>,
    nonces: u64,
    pub(super) lineage: u64,
    pub(super) shortfall: Option<String>,
    pub(super) disturb: Option<Disturb>,
    pub(super) replica: Option<Replica>,
    lease_ms: u64,
}

#[derive(Clone)]
pub(super) struct Record {
    pub(super) payment: Payment,
    version: u64,
    /// What the last write found and asked for: with the payment, what tells a repeat of it from
    /// another write.
    write: (u64, Option<Nonce>, Option<Then>),
    nonce: Option<Nonce>,
    nudges: u64,
    barren: u32,
    /// Commanded or nudged while it was claimed.
    stirred: bool,
    due: Option<Timestamp>,
}

impl Record {
    fn is_held(&self, now: Timestamp) -> bool {
        self.nonce.is_some() && self.due.is_some_and(|due| due > now)
    }

    /// Where it stands in a listing, if it does.
    fn place(&self, by: &By) -> Option<Cursor> {
        let request = self.payment.request();
        let listed = match by {
            By::State(state) => self.payment.state().name() == *state,
            By::Reference(account, reference) => {
                request.account == *account && request.reference.as_ref() == Some(reference)
            }
            By::Due(before) => {
                let due = self.due.filter(|due| due < before)?;
                return Some(Cursor::due(due, self.payment.id()));
            }
        };
        listed.then(|| Cursor::at(&place_of(&self.payment)))
    }

    fn is_repeat(&self, write: &(u64, Option<Nonce>, Option<Then>), payment: &Payment) -> bool {
        self.version == write.0 + 1 && self.write == *write && self.payment == *payment
    }

    pub(super) fn loaded(&self, now: Timestamp) -> Loaded {
        Loaded {
            payment: self.payment.clone(),
            version: self.version,
            nudges: self.nudges,
            stored: self.payment.state().name(),
            due: self.due,
            claimed: self.is_held(now),
        }
    }
}

impl Books {
    pub(super) fn new(lease_ms: u64, seed: Option<u64>) -> Self {
        Self {
            seed,
            lease_ms,
            ..Self::default()
        }
    }

    pub(super) fn trouble(&mut self, call: &'static str) -> Option<Trouble> {
        self.disturb.as_mut().and_then(|disturb| disturb(call))
    }

    pub(super) fn durability(&self) -> Result<(), NotDurable> {
        self.shortfall.as_ref().map_or(Ok(()), |problem| {
            Err(NotDurable {
                profile: "memory",
                problem: problem.clone(),
            })
        })
    }

    /// Changes a record and keeps the due index in step with it.
    fn change<T>(&mut self, id: &PaymentId, f: impl FnOnce(&mut Record) -> T) -> Option<T> {
        let record = self.records.get_mut(id)?;
        let before = record.due;
        let answer = f(record);
        let after = record.due;
        if let Some(replica) = &mut self.replica {
            replica.note(id, record);
        }
        if before != after {
            if let Some(due) = before {
                self.due.remove(&(due, id.clone()));
            }
            if let Some(due) = after {
                self.due.insert((due, id.clone()));
            }
        }
        Some(answer)
    }

    /// What is not durable is gone, and what was claimed licenses nothing any more. The events stay:
    /// nothing can be untold.
    pub(super) fn fail_over(&mut self) {
        self.lineage += 1;
        if let Some(replica) = &mut self.replica {
            self.records = replica.take_over();
            let due = |(id, record): (&PaymentId, &Record)| Some((record.due?, id.clone()));
            self.due = self.records.iter().filter_map(due).collect();
        }
    }

    fn nonce(&mut self) -> Nonce {
        self.nonces += 1;
        self.seed.map_or_else(Nonce::fresh, |seed| {
            let digest = digest_of(&[&seed.to_be_bytes(), &self.nonces.to_be_bytes()]);
            let half = digest.iter().take(16);
            Nonce::from_bits(half.fold(0, |sum, byte| sum << 8 | u128::from(*byte)))
        })
    }

    pub(super) fn create(&mut self, payment: &Payment, due: Timestamp, now: Timestamp) -> Created {
        if let Some(found) = self.records.get(payment.id()) {
            return if found.payment.fingerprint() == payment.fingerprint() {
                Created::Existing(Box::new(found.loaded(now)))
            } else {
                Created::Conflict
            };
        }
        let due = whole_ms(due);
        let record = Record {
            payment: payment.clone(),
            version: 1,
            write: (0, None, None),
            nonce: None,
            nudges: 0,
            barren: 0,
            stirred: false,
            due: Some(due),
        };
        self.due.insert((due, payment.id().clone()));
        if let Some(replica) = &mut self.replica {
            replica.note(payment.id(), &record);
        }
        self.records.insert(payment.id().clone(), record);
        self.events.push(StateEvent::of(payment, 1));
        Created::New
    }

    pub(super) fn claim(&mut self, slots: usize, now: Timestamp) -> Claims {
        let lease_end = now + millis(self.lease_ms);
        let waiting = self
            .due
            .iter()
            .take_while(|(due, _)| *due <= now)
            .take(slots);
        let found: Vec<PaymentId> = waiting.map(|(_, id)| id.clone()).collect();
        let lineage = self.lineage;
        let mut claims = Vec::new();
        for id in found {
            let nonce = self.nonce();
            let key = ClaimKey {
                id: id.clone(),
                nonce: nonce.clone(),
            };
            claims.extend(self.change(&id, |record| {
                let fell_due = record.due;
                record.nonce = Some(nonce);
                record.due = Some(lease_end);
                record.stirred = false;
                record.barren += 1;
                Claim::new(key, record.loaded(now), record.barren, lineage).fallen_due(fell_due)
            }));
        }
        Claims {
            claims,
            next_due: self.next_due(),
        }
    }

    /// Answers how often the payment was nudged.
    pub(super) fn save(
        &mut self,
        claim: &Claim,
        then: Then,
        now: Timestamp,
    ) -> Result<u64, SaveError> {
        let after = After::of(&claim.payment, then, now, self.lease_ms);
        let write = (claim.version, Some(claim.key.nonce.clone()), Some(then));
        let save = |record: &mut Record| {
            let held = record.nonce.as_ref() == Some(&claim.key.nonce);
            let goes_on = matches!(after, After::Leased(_));
            // Applied before, but a claim that was to go on may have lapsed since.
            if record.is_repeat(&write, &claim.payment) && (held || !goes_on) {
                return Ok((record.nudges, false));
            }
            if !held {
                return Err(SaveError::Lost);
            }
            if record.version != claim.version {
                return Err(SaveError::Outdated);
            }
            let changed = record.payment.state().name() != claim.payment.state().name();
            record.payment = claim.payment.clone();
            record.version += 1;
            record.write = write;
            record.barren = 0;
            record.stirred = false;
            record.due = match after {
                After::Due(_) if record.nudges > claim.nudges => Some(now),
                After::Due(time) | After::Leased(time) => Some(time),
                After::Finished => None,
            };
            if !goes_on {
                record.nonce = None;
            }
            Ok((record.nudges, changed))
        };
        let (nudges, changed) = self
            .change(&claim.key.id, save)
            .ok_or(SaveError::Missing)??;
        if changed {
            self.events
                .push(StateEvent::of(&claim.payment, claim.version + 1));
        }
        Ok(nudges)
    }

    pub(super) fn license(&mut self, claim: &Claim, now: Timestamp) -> Result<u64, SaveError> {
        self.durability()?;
        if claim.lineage != self.lineage {
            return Err(SaveError::Lost);
        }
        claim.check_license()?;
        self.save(claim, Then::Keep, now)
    }

    pub(super) fn command(
        &mut self,
        loaded: &Loaded,
        due: Option<Timestamp>,
        audit: Option<&AuditEntry>,
        now: Timestamp,
    ) -> Result<(), SaveError> {
        let write = (loaded.version, None, None);
        let obey = |record: &mut Record| {
            if record.is_repeat(&write, &loaded.payment) {
                return Ok(None);
            }
            if record.version != loaded.version {
                return Err(SaveError::Outdated);
            }
            record.payment = loaded.payment.clone();
            record.version += 1;
            record.write = write;
            if record.is_held(now) {
                record.stirred = true;
            } else if let (Some(_), Some(due)) = (record.due, due) {
                record.nonce = None;
                // Nudged since the door read it, it is due now, not when the door said.
                let nudged = record.nudges > loaded.nudges;
                record.due = Some(if nudged { now } else { whole_ms(due) });
            }
            Ok(audit.cloned())
        };
        let obeyed = self.change(loaded.payment.id(), obey);
        self.audit.extend(obeyed.ok_or(SaveError::Missing)??);
        Ok(())
    }

    pub(super) fn nudge(&mut self, id: &PaymentId, now: Timestamp) -> Nudged {
        let nudge = |record: &mut Record| {
            let Some(due) = record.due else {
                return Nudged::Finished;
            };
            record.nudges += 1;
            if record.is_held(now) {
                record.stirred = true;
                return Nudged::Busy;
            }
            record.due = Some(due.min(now));
            Nudged::Due
        };
        self.change(id, nudge).unwrap_or(Nudged::Missing)
    }

    pub(super) fn renew(&mut self, claims: &[ClaimKey], now: Timestamp) -> Vec<ClaimKey> {
        let lease_end = now + millis(self.lease_ms);
        let mut lost = Vec::new();
        for key in claims {
            let renewed = self.change(&key.id, |record| {
                let held = record.nonce.as_ref() == Some(&key.nonce);
                if held {
                    record.due = Some(lease_end);
                }
                held
            });
            if renewed != Some(true) {
                lost.push(key.clone());
            }
        }
        lost
    }

    pub(super) fn give_back(
        &mut self,
        key: &ClaimKey,
        due: Timestamp,
        tried: Tried,
        now: Timestamp,
    ) {
        self.change(&key.id, |record| {
            if record.nonce.as_ref() == Some(&key.nonce) {
                record.nonce = None;
                record.due = Some(if record.stirred { now } else { whole_ms(due) });
                record.stirred = false;
                if tried == Tried::No {
                    record.barren = record.barren.saturating_sub(1);
                }
            }
        });
    }

    pub(super) fn list(
        &self,
        by: &By,
        cursor: Option<&Cursor>,
        limit: usize,
        now: Timestamp,
    ) -> Page {
        let mut found: Vec<(Cursor, &Record)> = self
            .records
            .values()
            .filter_map(|record| Some((record.place(by)?, record)))
            .filter(|(place, _)| cursor.is_none_or(|cursor| place.as_str() > cursor.as_str()))
            .collect();
        found.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more);
        let next = next.map(|(place, _)| place.clone());
        let payments = found.into_iter().map(|(_, it)| it.loaded(now));
        Page {
            payments: payments.collect(),
            unread: Vec::new(),
            next,
        }
    }

    pub(super) fn stats(&self, now: Timestamp) -> Stats {
        let mut by_state: BTreeMap<StateName, u64> = BTreeMap::new();
        for record in self.records.values() {
            *by_state.entry(record.payment.state().name()).or_default() += 1;
        }
        Stats {
            by_state: by_state.into_iter().collect(),
            due_now: self.due.iter().take_while(|(due, _)| *due <= now).count() as u64,
            unfinished: self.due.len() as u64,
            next_due: self.next_due(),
        }
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }
}
