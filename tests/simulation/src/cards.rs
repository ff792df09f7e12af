//! Cards as a process sees them: nothing is known of any.

use holdfast::payment::{CardId, KnownCard, Timestamp};
use holdfast::store::audit::AuditEntry;
use holdfast::store::{CardKept, Cards, FoundCard, StoreError};

use crate::store::SimulatedStore;

/// What is known of cards stands beside payments and is no part of any promise: here nothing is known
/// of any, and asking is no I/O that could be struck.
impl Cards for SimulatedStore {
    async fn card(&self, _: &CardId) -> Result<Option<FoundCard>, StoreError> {
        Ok(None)
    }

    async fn keep_card(
        &self,
        _: Option<&FoundCard>,
        _: &KnownCard,
    ) -> Result<CardKept, StoreError> {
        Ok(CardKept::Now)
    }

    async fn keep_ordered_card(
        &self,
        _: &FoundCard,
        _: &KnownCard,
        _: &AuditEntry,
    ) -> Result<CardKept, StoreError> {
        Ok(CardKept::Now)
    }

    async fn due_cards(&self, _: usize) -> Result<Vec<CardId>, StoreError> {
        Ok(Vec::new())
    }

    async fn postpone_card(&self, _: &CardId, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}
