//! The CHIP Collect client: the only code that speaks to the gateway, and the only place where
//! its words (`purchase`, `recurring_token`, statuses) are translated into ours.

use std::future::Future;

use crate::payment::{AccountName, Answer, CreateOrder, LookUp, PurchaseId};
use crate::store::Permit;

/// The gateway, as the worker needs it. No method retries, and none fails: an error is an answer
/// of the class `Unknown` or `NotSent`, because that is what it means for the money.
pub trait Gateway: Send + Sync + 'static {
    /// Creates a purchase. Moves no money.
    fn create(&self, order: &CreateOrder) -> impl Future<Output = Answer> + Send;

    /// Makes the call that `permit` licenses, once.
    fn send(&self, permit: Permit) -> impl Future<Output = Answer> + Send;

    /// Asks what is true of a purchase.
    fn look_up(
        &self,
        account: &AccountName,
        purchase: &PurchaseId,
    ) -> impl Future<Output = LookUp> + Send;
}
