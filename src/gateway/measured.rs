//! The same gateway, with every call counted by what its answer means, and timed.

use std::time::Duration;

use tokio::time::Instant;

use super::{CardDeletion, CardGateway, CardLook, Gateway};
use crate::payment::{
    AccountName, Answer, AnswerClass, CardToken, CreateOrder, LookUp, MoneyOrder, PurchaseId,
};
use crate::store::Permit;
use crate::telemetry::Metrics;

/// A gateway whose calls are measured. It changes nothing about them.
#[derive(Debug, Clone)]
pub struct Measured<G> {
    gateway: G,
    metrics: Metrics,
}

impl<G> Measured<G> {
    /// Measures the calls of `gateway`.
    pub const fn new(gateway: G, metrics: Metrics) -> Self {
        Self { gateway, metrics }
    }

    fn note(&self, account: &AccountName, call: (&'static str, &'static str), began: Instant) {
        let took: Duration = began.elapsed();
        self.metrics.answered(account, call, took);
    }
}

impl<G: Gateway> Gateway for Measured<G> {
    async fn create(&self, order: &CreateOrder) -> Answer {
        let began = Instant::now();
        let answer = self.gateway.create(order).await;
        let class = answer.class().as_str();
        self.note(&order.account, ("create", class), began);
        answer
    }

    async fn send(&self, permit: Permit) -> Answer {
        let MoneyOrder { account, call, .. } = permit.order();
        let (account, operation) = (account.clone(), call.as_str());
        let began = Instant::now();
        let answer = self.gateway.send(permit).await;
        self.note(&account, (operation, answer.class().as_str()), began);
        answer
    }

    async fn look_up(&self, account: &AccountName, purchase: &PurchaseId) -> LookUp {
        let began = Instant::now();
        let outcome = self.gateway.look_up(account, purchase).await;
        let class = match &outcome {
            LookUp::Shown(_) => "shown",
            LookUp::NotFound => "not_found",
            LookUp::Failed { denied, .. } => unclear(denied.is_any()),
        };
        self.note(account, ("look_up", class), began);
        outcome
    }
}

impl<G: CardGateway> CardGateway for Measured<G> {
    async fn look_at_card(&self, account: &AccountName, token: &CardToken) -> CardLook {
        let began = Instant::now();
        let look = self.gateway.look_at_card(account, token).await;
        let class = match &look {
            CardLook::Kept | CardLook::Gone => "shown",
            CardLook::NotFound => "not_found",
            CardLook::Unclear { denied, .. } => unclear(*denied),
        };
        self.note(account, ("look_at_card", class), began);
        look
    }

    async fn delete_card(&self, account: &AccountName, token: &CardToken) -> CardDeletion {
        let began = Instant::now();
        let deletion = self.gateway.delete_card(account, token).await;
        let class = match deletion {
            CardDeletion::Sent => "sent",
            CardDeletion::NotSent => AnswerClass::NotSent.as_str(),
            CardDeletion::TooFast(_) => AnswerClass::RateLimited.as_str(),
        };
        self.note(account, ("delete_card", class), began);
        deletion
    }
}

/// Of a question that was not answered.
const fn unclear(denied: bool) -> &'static str {
    if denied { "denied" } else { "failed" }
}
