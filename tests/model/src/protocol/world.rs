//! Everything there is at one moment, and what must be true of it at every moment.

use super::gateway::Gateway;
use super::payment::{Age, NONE, Payment, PurchaseId, State, Step};
use super::same::nonce_of;
use super::store::{NOBODY, Record, Save, Saved, Store};
use super::worker::{At, Worker};
use crate::setup::{self, Fence, Setup};

/// How many workers there can be.
pub(crate) const WORKERS: usize = 3;

/// What the outside was told. It cannot be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Reported {
    pub(crate) paid: bool,
    pub(crate) failed: bool,
}

/// Everything there is at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) workers: [Worker; WORKERS],
    pub(crate) gateway: Gateway,
    /// The record as somebody read it who is about to write a command.
    pub(crate) desk: Option<(u8, Payment)>,
    pub(crate) reported: Reported,
    pub(crate) failovers_left: u8,
    /// How many claims were made, whatever failed over; only where claims are numbered.
    pub(crate) claims: u8,
}

impl World {
    /// The payment was asked for, durably; nothing else has happened.
    pub(crate) fn start(setup: &Setup) -> Self {
        Self {
            store: Store::start(),
            failovers_left: setup.bounds.failovers,
            ..Self::default()
        }
    }

    pub(crate) const fn payment(&self) -> &Payment {
        &self.store.record.payment
    }

    /// What must be true at every moment: what is wrong, if it is not.
    pub(crate) fn violation(&self) -> Option<&'static str> {
        let taken = self.gateway.taken;
        let Reported { paid, failed } = self.reported;
        if taken > 1 {
            Some("money was taken twice")
        } else if paid && taken == 0 {
            Some("Paid was reported, and no money was taken")
        } else if failed && taken > 0 {
            Some("Failed was reported, and money was taken")
        } else if failed && self.gateway.may_still_take() {
            Some("Failed was reported while a charge may still take money")
        } else {
            None
        }
    }

    /// Parked because a charge was never explained, though the quiet period was waited for.
    pub(crate) fn is_parked_in_doubt(&self) -> bool {
        let quiet_charge = self
            .payment()
            .open
            .is_some_and(|open| open.step == Step::Charge && open.age == Age::Quiet);
        self.payment().state == State::Parked && quiet_charge
    }

    /// Whether what was written last can still be lost.
    fn can_fail_over(&self) -> bool {
        self.failovers_left > 0
    }

    pub(crate) fn write(&mut self, record: Record, setup: &Setup) {
        self.store.write(record, setup.bounds.lag);
        if !self.can_fail_over() {
            self.store.flush();
        }
        self.report(setup);
    }

    /// A save by worker `w` of what it has in hand.
    pub(crate) fn save(&mut self, w: usize, keep_claim: bool, setup: &Setup) -> Saved {
        let worker = &self.workers[w];
        let save = Save {
            payment: worker.payment,
            version: worker.version,
            nonce: worker.nonce,
            writer: if setup.rules.fence == Fence::Counter {
                nonce_of(w)
            } else {
                NOBODY
            },
            keep_claim,
        };
        let (saved, record) = self.store.judge(&save, setup.rules.compare_and_swap);
        if let Some(record) = record {
            self.write(record, setup);
        }
        // On one Redis a reply waits for the disk, so whoever is answered sees what is there to
        // stay. The answer to a note that a permit rests on is an action of its own.
        if !keep_claim || saved != Saved::Written {
            self.answered(setup);
        }
        saved
    }

    /// Somebody was answered by the store.
    pub(crate) fn answered(&mut self, setup: &Setup) {
        if setup.around.store == setup::Store::Solo {
            self.flush(setup);
        }
    }

    pub(crate) fn flush(&mut self, setup: &Setup) {
        self.store.flush();
        for worker in &mut self.workers {
            if worker.at == At::Gating {
                worker.take_permit();
            }
        }
        self.report(setup);
    }

    fn report(&mut self, setup: &Setup) {
        if self.store.is_durable() || !setup.rules.report_when_durable {
            self.reported.paid |= self.payment().state == State::Paid;
            self.reported.failed |= self.payment().state == State::Failed;
        }
    }

    pub(crate) fn fail_over_to(&mut self, record: Record, setup: &Setup) {
        self.store.fail_over_to(record);
        self.failovers_left -= 1;
        for worker in &mut self.workers {
            worker.from_before = !worker.is_idle();
            if worker.at == At::Gating {
                worker.at = At::Repeating;
            }
        }
        self.report(setup);
    }

    /// The quiet period passes since everything that has happened so far.
    pub(crate) fn quiet_passes(&mut self, setup: &Setup) {
        self.change_payments(Payment::grow_quiet);
        for worker in &mut self.workers {
            if let Some(question) = &mut worker.question {
                question.asked = Age::Quiet;
            }
        }
        self.gateway.quiet_passes(setup.around);
    }

    /// Changes the payment wherever anybody has it in hand.
    pub(crate) fn change_payments(&mut self, mut change: impl FnMut(&mut Payment)) {
        self.store.change_all(|record| change(&mut record.payment));
        for worker in &mut self.workers {
            change(&mut worker.payment);
        }
        if let Some((_, payment)) = &mut self.desk {
            change(payment);
        }
    }

    /// Changes the marks of claims wherever they are written.
    pub(crate) fn change_marks(&mut self, change: impl Fn(u8) -> u8) {
        self.store
            .change_all(|record| record.nonce = change(record.nonce));
        self.change_payments(|payment| {
            if let Some(open) = &mut payment.open {
                open.opened_by = change(open.opened_by);
            }
        });
    }

    /// Forgets what can make no difference any more, so that the search meets fewer states: what a
    /// worker remembers whose mark is nowhere in the store, and the marks of claims that nobody
    /// holds.
    pub(crate) fn forget(&mut self, setup: &Setup) {
        if !setup.lost_claims_stay_lost() {
            return;
        }
        for w in 0..WORKERS {
            let worker = self.workers[w];
            let claimed = self.records().any(|record| record.nonce == worker.nonce);
            if !claimed || worker.nonce == NOBODY {
                let noted = |record: &Record| {
                    let open = record.payment.open;
                    open.is_some_and(|open| open.opened_by == worker.nonce)
                };
                let noted = worker.nonce != NOBODY && self.records().any(noted);
                self.workers[w] = worker.without_claim(noted);
            }
        }
        let holders = self.workers.map(|worker| worker.nonce);
        self.change_marks(|mark| {
            if holders.contains(&mark) {
                mark
            } else {
                NOBODY
            }
        });
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        std::iter::once(&self.store.record).chain(self.store.older())
    }

    /// The purchases that somebody knows, in a fixed order.
    pub(crate) fn known_purchases(&self) -> impl Iterator<Item = PurchaseId> {
        let recorded = self.records().map(|record| record.payment.purchase);
        let worked_on = self.workers.iter().flat_map(Worker::knows);
        let commanded = self.desk.iter().map(|(_, payment)| payment.purchase);
        recorded
            .chain(worked_on)
            .chain(commanded)
            .filter(|id| *id != NONE)
    }
}
