//! The records of an account, a page at a time.

use crate::operate::reconcile::{Asked, Stopped};
use crate::payment::{PaymentId, StateName};
use crate::store::{By, Cursor, Loaded, Store, Unread};

/// How many records are read at a time.
const PAGE: usize = 500;

/// What one reading brought.
pub(super) struct Read {
    /// Of the account, made before the period ended.
    pub(super) payments: Vec<Loaded>,
    /// What cannot be read: nobody can tell whose it is, so it may be the account's.
    pub(super) unread: Vec<Unread>,
}

/// The records of an account in one state that were made before the period ended, the oldest first.
pub(super) struct Pages<'a, S> {
    store: &'a S,
    asked: &'a Asked,
    by: By,
    cursor: Option<Cursor>,
    ended: bool,
}

impl<'a, S: Store> Pages<'a, S> {
    pub(super) const fn of(store: &'a S, asked: &'a Asked, state: StateName) -> Self {
        Self {
            store,
            asked,
            by: By::State(state),
            cursor: None,
            ended: false,
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Read>, Stopped> {
        if self.ended {
            return Ok(None);
        }
        let page = self
            .store
            .list(&self.by, self.cursor.as_ref(), PAGE)
            .await?;
        self.cursor = page.next;
        let mut payments = page.payments;
        let to = self.asked.period.to;
        let all = payments.len();
        payments.retain(|loaded| loaded.payment.created_at() < to);
        self.ended = self.cursor.is_none() || payments.len() < all;
        payments.retain(|loaded| loaded.payment.request().account == self.asked.account);
        Ok(Some(Read {
            payments,
            unread: page.unread,
        }))
    }
}

/// The states in the order in which they are read: a payment that moves on meanwhile is met once at
/// least. What is unfinished comes before what it may end as. A parked payment may go back to where it
/// was, so those are read before that and after it.
pub(super) fn in_order_of_life() -> impl Iterator<Item = StateName> {
    let unfinished = StateName::ALL.into_iter().filter(|s| !s.is_finished());
    let moving = unfinished.filter(|state| *state != StateName::Parked);
    let finished = StateName::ALL.into_iter().filter(|s| s.is_finished());
    let parked = [StateName::Parked];
    parked
        .into_iter()
        .chain(moving)
        .chain(parked)
        .chain(finished)
}

/// A payment's id in few bytes.
pub(super) fn digits_of(payment: &PaymentId) -> u128 {
    let digits = payment.as_str().strip_prefix("pay_").unwrap_or_default();
    u128::from_str_radix(digits, 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_that_moves_while_records_are_read_is_met_wherever_it_goes() {
        let order: Vec<StateName> = in_order_of_life().collect();
        let first = |state| order.iter().position(|it| *it == state).unwrap();
        let last = |state| order.iter().rposition(|it| *it == state).unwrap();
        for state in StateName::ALL
            .into_iter()
            .filter(|s| *s != StateName::Parked)
        {
            if state.is_finished() {
                assert!(last(StateName::Parked) < first(state), "{state}");
            } else {
                assert!(first(StateName::Parked) < first(state), "{state}");
                assert!(last(state) < last(StateName::Parked), "{state}");
            }
        }
    }
}
