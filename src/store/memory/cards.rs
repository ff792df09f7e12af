//! What is known of saved cards, in memory.

use super::MemoryStore;
use crate::payment::{CardId, KnownCard, Private, Timestamp};
use crate::store::audit::AuditEntry;
use crate::store::{CardKept, Cards, FoundCard, Happened, Heard, News, StoreError};

impl Cards for MemoryStore {
    async fn card(&self, id: &CardId) -> Result<Option<FoundCard>, StoreError> {
        self.ask("card", |books, _| {
            let found = books.cards.get(id);
            Ok(found.map(|(card, write)| FoundCard {
                card: card.clone(),
                mark: Private::new(write.to_string()),
            }))
        })
    }

    async fn keep_card(
        &self,
        found: Option<&FoundCard>,
        card: &KnownCard,
    ) -> Result<CardKept, StoreError> {
        self.keep(found, card, None)
    }

    async fn keep_ordered_card(
        &self,
        found: &FoundCard,
        card: &KnownCard,
        audit: &AuditEntry,
    ) -> Result<CardKept, StoreError> {
        self.keep(Some(found), card, Some(audit))
    }

    async fn due_cards(&self, slots: usize) -> Result<Vec<CardId>, StoreError> {
        self.ask("due_cards", |books, now| {
            let due = books.cards.iter().filter_map(|(id, (card, _))| {
                let due = card.due_at().filter(|due| *due <= now)?;
                Some((due, id.clone()))
            });
            let mut due: Vec<_> = due.collect();
            due.sort_unstable();
            due.truncate(slots);
            Ok(due.into_iter().map(|(_, id)| id).collect())
        })
    }

    async fn postpone_card(&self, id: &CardId, until: Timestamp) -> Result<(), StoreError> {
        self.ask("postpone_card", |books, _| {
            if let Some((card, _)) = books.cards.get_mut(id)
                && card.due_at().is_some_and(|due| due < until)
            {
                card.take(until);
            }
            Ok(())
        })
    }
}

impl MemoryStore {
    fn keep(
        &self,
        found: Option<&FoundCard>,
        card: &KnownCard,
        audit: Option<&AuditEntry>,
    ) -> Result<CardKept, StoreError> {
        self.ask("keep_card", |books, _| {
            let there = books.cards.get(&card.id());
            let there = there.map(|(_, write)| write.to_string());
            if there.as_deref() != found.map(|found| found.mark.reveal().as_str()) {
                return Ok(CardKept::Outdated);
            }
            books.audit.extend(audit.cloned());
            books.card_writes += 1;
            let write = books.card_writes;
            books.cards.insert(card.id(), (card.clone(), write));
            Ok(CardKept::Now)
        })
    }
}

impl News for MemoryStore {
    type Followed = usize;

    async fn followed(&self) -> Result<usize, StoreError> {
        self.ask("followed", |books, _| Ok(books.followed))
    }

    async fn news(&self, from: &usize) -> Result<Heard<usize>, StoreError> {
        self.ask("news", |books, _| {
            let new = books.events.get(*from..).unwrap_or_default();
            Ok(Heard {
                happened: new.iter().filter_map(Happened::of).collect(),
                read: new.len(),
                to: from + new.len(),
            })
        })
    }

    async fn passed(&self, from: &usize, to: &usize) -> Result<bool, StoreError> {
        self.ask("passed", |books, _| {
            let first = books.followed == *from;
            if first {
                books.followed = *to;
            }
            Ok(first)
        })
    }
}
