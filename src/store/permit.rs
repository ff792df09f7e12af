//! The licence to move money.

use crate::payment::{MoneyOrder, Payment};

/// The licence for one call that moves money, or that makes sure it never moves.
///
/// Only a store can make one, out of a write that is durable; it cannot be copied, and sending it
/// uses it up. So an ungated call does not compile:
///
/// ```compile_fail
/// use holdfast::store::Permit;
/// fn forge(order: holdfast::payment::MoneyOrder) -> Permit {
///     Permit { order }
/// }
/// ```
///
/// and neither does a second one:
///
/// ```compile_fail
/// use holdfast::gateway::Gateway;
/// async fn twice<G: Gateway>(gateway: G, permit: holdfast::store::Permit) {
///     gateway.send(permit).await;
///     gateway.send(permit).await;
/// }
/// ```
///
/// whereas one call does:
///
/// ```
/// use holdfast::gateway::Gateway;
/// async fn once<G: Gateway>(gateway: G, permit: holdfast::store::Permit) {
///     gateway.send(permit).await;
/// }
/// ```
#[derive(Debug)]
#[must_use = "a permit that is not sent leaves an open attempt behind"]
pub struct Permit {
    order: MoneyOrder,
}

impl Permit {
    /// The permit for the open attempt of `payment`, which was just written durably.
    pub(super) fn for_open_attempt(payment: &Payment) -> Option<Self> {
        payment.money_order().map(|order| Self { order })
    }

    /// What it licenses.
    #[must_use]
    pub const fn order(&self) -> &MoneyOrder {
        &self.order
    }
}
