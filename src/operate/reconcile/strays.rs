//! Lines of the statement that no record claimed: each names its payment itself, by its reference or,
//! if it was adopted, by its purchase.

use futures_util::stream::{self, StreamExt};

use super::books::{Done, Run};
use super::finding::{Finding, Kind};
use super::matching::{recorded, stated};
use super::report::Report;
use super::statement::{Line, Whose};
use super::{BrandUse, Stopped};
use crate::payment::{PaymentId, PurchaseId, StateName};
use crate::store::{Loaded, Store, StoreError};

/// What a line without a record turned out to be.
enum Stray {
    /// A payment that was left alone so far.
    Compared(Box<Done>),
    /// A difference.
    Found(Box<Finding>),
    /// Of another account with the same brand.
    Siblings,
    /// Of another system that uses the brand.
    Foreign,
}

impl<S: Store> Run<'_, S> {
    /// Every line of the period that no payment claimed.
    pub(super) async fn strays(
        &self,
        report: &mut Report,
        claimed: &[bool],
    ) -> Result<(), Stopped> {
        let Some(mut counts) = report.lines else {
            return Ok(());
        };
        let lines = self.statement.lines();
        let of_period = |line: &Line| self.rules.period.has(line.paid_at);
        counts.of_period = lines.iter().filter(|line| of_period(line)).count() as u64;
        let groups = lines
            .chunk_by(Line::is_of_same_purchase)
            .scan(0, |at, group| {
                let first = *at;
                *at += group.len();
                Some((first, group))
            })
            .filter(|(first, group)| {
                let is_claimed = claimed.get(*first).copied().unwrap_or_default();
                !is_claimed && group.iter().any(of_period)
            });
        let looks = groups.map(|(_, group)| self.stray(group));
        let mut looks = stream::iter(looks).buffer_unordered(self.asking.pace.at_once.max(1));
        while let Some(stray) = looks.next().await {
            match stray? {
                // What cannot be read was met among the records already.
                Stray::Compared(done) if report.names(&done.payment) => {}
                Stray::Compared(done) => self.enter(*done, report, &mut []),
                Stray::Found(finding) => report.find(*finding),
                Stray::Siblings => counts.of_siblings += 1,
                Stray::Foreign => counts.foreign += 1,
            }
        }
        report.lines = Some(counts);
        Ok(())
    }

    async fn stray(&self, lines: &[Line]) -> Result<Stray, Stopped> {
        let (Some(line), Some(purchase)) = (lines.first(), lines.first().and_then(Line::purchase))
        else {
            return Ok(Stray::Foreign);
        };
        let found = match self.record_of(line, &purchase).await {
            Ok(found) => found,
            Err((id, StoreError::Unreadable { problem, .. })) => {
                return Ok(Stray::Compared(Box::new(Done::not_read(id, &problem))));
            }
            Err((_, error)) => return Err(error.into()),
        };
        let finding = |kind, found: Option<&Loaded>| {
            let reference = match &line.whose {
                Whose::Foreign(reference) => reference.as_deref().map(str::to_owned),
                Whose::Ours(_) => None,
            };
            Stray::Found(Box::new(Finding {
                kind,
                payment: line.payment(),
                purchase: Some(purchase.clone()),
                reference,
                recorded: found.map(|loaded| recorded(&loaded.payment)),
                gateway: None,
                statement: Some(stated(lines)),
            }))
        };
        let Some(loaded) = found else {
            let foreign = matches!(line.whose, Whose::Foreign(_));
            return Ok(if foreign && self.asked.brand == BrandUse::Shared {
                Stray::Foreign
            } else {
                finding(Kind::PaidWithoutRecord, None)
            });
        };
        let payment = &loaded.payment;
        let account = &payment.request().account;
        if payment.purchase().is_some_and(|known| known.id == purchase) {
            return Ok(if *account == self.asked.account {
                Stray::Compared(Box::new(self.one(loaded).await?))
            } else if self.asked.siblings.contains(account) {
                // It is compared there, where its record names this very purchase.
                Stray::Siblings
            } else {
                Stray::Compared(Box::new(Done::anothers(payment)))
            });
        }
        Ok(match payment.state().name() {
            StateName::Paid => finding(Kind::TwoPaidForOne, Some(&loaded)),
            _ => finding(Kind::PaidWithoutRecord, Some(&loaded)),
        })
    }

    /// The record that a line is about.
    async fn record_of(
        &self,
        line: &Line,
        purchase: &PurchaseId,
    ) -> Result<Option<Loaded>, (PaymentId, StoreError)> {
        let accounts = std::iter::once(&self.asked.account).chain(&self.asked.siblings);
        let adopted = accounts.map(|account| PaymentId::derive_adopted(account, purchase));
        let ids: Vec<PaymentId> = match line.payment() {
            Some(id) => vec![id],
            None => adopted.collect(),
        };
        for id in ids {
            match self.store.load(&id).await {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => return Err((id, error)),
            }
        }
        Ok(None)
    }
}
