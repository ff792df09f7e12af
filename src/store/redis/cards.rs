//! What is known of saved cards. A card is one value, written by comparing all of it: each write has a
//! nonce in it, so that no two are alike.

use redis::{Pipeline, Value};
use serde::{Deserialize, Serialize};

use super::call::{self, Call};
use super::cursor::Cursor;
use super::keys::PARTITIONS;
use super::record::millis_of;
use super::value::{items, number, text, word};
use super::{RedisStore, value};
use crate::payment::{CardId, KnownCard, Private, Timestamp};
use crate::store::audit::AuditEntry;
use crate::store::write::due_ms;
use crate::store::{CardKept, Cards, FoundCard, Happened, Heard, News, Nonce, StoreError, json_of};

/// Who reads the streams: no endpoint has such a name.
pub(super) const READER: &str = ":cards";
/// How long a card is known that nobody has seen, in milliseconds: two years. What is forgotten is
/// known again once it is charged.
const KEPT_FOR_MS: i64 = 2 * 365 * 86_400_000;

/// Up to where the streams were read for what is known of cards.
#[derive(Debug, Clone)]
pub struct Followed(Vec<Cursor>);

/// As it is stored.
#[derive(Serialize, Deserialize)]
struct Written<C> {
    nonce: String,
    card: C,
}

impl RedisStore {
    /// Of how many cards something is wanted.
    pub async fn wanted_cards(&self) -> Result<u64, StoreError> {
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            pipeline.cmd("ZCARD").arg(self.0.keys.cards_due(partition));
        }
        let replies = self.0.link.read(&pipeline).await?;
        Ok(replies.iter().filter_map(number::<u64>).sum())
    }
}

impl Cards for RedisStore {
    async fn card(&self, id: &CardId) -> Result<Option<FoundCard>, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("GET").arg(&self.0.keys.card_two(id)[0]);
        let replies = self.0.link.read(&pipeline).await?;
        match replies.first() {
            Some(Value::Nil) => Ok(None),
            reply => {
                let mark = reply.and_then(text).unwrap_or_default().to_owned();
                let written = serde_json::from_str::<Written<KnownCard>>(&mark).ok();
                let card = written.map(|written| written.card);
                let card = card.filter(KnownCard::is_readable);
                // Not a word of what stands there: a token does.
                let card = card.ok_or_else(|| StoreError::Unreadable {
                    id: id.to_string(),
                    problem: "it is not as this version writes it".to_owned(),
                })?;
                let mark = Private::new(mark);
                Ok(Some(FoundCard { card, mark }))
            }
        }
    }

    async fn keep_card(
        &self,
        found: Option<&FoundCard>,
        card: &KnownCard,
    ) -> Result<CardKept, StoreError> {
        self.write_card(found, card, None).await
    }

    async fn keep_ordered_card(
        &self,
        found: &FoundCard,
        card: &KnownCard,
        audit: &AuditEntry,
    ) -> Result<CardKept, StoreError> {
        self.write_card(Some(found), card, Some(audit)).await
    }

    async fn due_cards(&self, slots: usize) -> Result<Vec<CardId>, StoreError> {
        let now = self.0.clock.now().timestamp_millis();
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            pipeline.cmd("ZRANGE").arg(self.0.keys.cards_due(partition));
            pipeline.arg("-inf").arg(now).arg("BYSCORE");
            pipeline.arg("LIMIT").arg(0).arg(slots).arg("WITHSCORES");
        }
        let replies = self.0.link.read(&pipeline).await?;
        let pairs = replies
            .iter()
            .flat_map(|reply| items(reply).as_chunks::<2>().0);
        let mut due: Vec<(i64, CardId)> = pairs
            .filter_map(|[card, score]| Some((millis_of(score)?, CardId::new(text(card)?).ok()?)))
            .collect();
        due.sort_unstable();
        due.truncate(slots);
        Ok(due.into_iter().map(|(_, card)| card).collect())
    }

    async fn postpone_card(&self, id: &CardId, until: Timestamp) -> Result<(), StoreError> {
        let call = Call::new(&call::POSTPONE_CARD, self.0.keys.card_two(id))
            .arg(id.as_str())
            .arg(due_ms(until).to_string());
        self.0.link.call(call).await.map(drop)
    }
}

impl RedisStore {
    async fn write_card(
        &self,
        found: Option<&FoundCard>,
        card: &KnownCard,
        audit: Option<&AuditEntry>,
    ) -> Result<CardKept, StoreError> {
        let id = card.id();
        let nonce = Nonce::fresh().as_str().to_owned();
        let written = json_of(&Written { nonce, card }, "a card")?;
        let due = card.due_at().map(|due| due_ms(due).to_string());
        let lives = due.is_none().then(|| KEPT_FOR_MS.to_string());
        let (entry, hash) = audit.map_or(Ok(Default::default()), AuditEntry::sealed)?;
        let make = || {
            Call::new(&call::CARD, self.0.keys.card_three(&id))
                .arg(id.as_str())
                .arg(found.map_or("", |found| found.mark.reveal().as_str()))
                .arg(written.as_str())
                .arg(due.as_deref().unwrap_or_default())
                .arg(lives.as_deref().unwrap_or_default())
                .arg(entry.as_slice())
                .arg(hash.as_str())
        };
        let patience = self.0.settings.save_patience();
        match word(&self.0.link.insist(patience, make).await?) {
            "kept" => Ok(CardKept::Now),
            "outdated" => Ok(CardKept::Outdated),
            _ => Err(value::unexpected("a card")),
        }
    }
}

impl News for RedisStore {
    type Followed = Followed;

    /// Where nobody has read yet it begins at the oldest event that is kept.
    async fn followed(&self) -> Result<Followed, StoreError> {
        let mut found = self.found_cursors(READER).await?;
        if !found.iter().all(Option::is_some) {
            let mut pipeline = Pipeline::new();
            for partition in 0..PARTITIONS {
                let cursors = self.0.keys.cursors(partition);
                pipeline.cmd("HSETNX").arg(cursors).arg(READER);
                pipeline.arg(Cursor::default().written());
            }
            self.0.link.repeat(&pipeline).await?;
            found = self.found_cursors(READER).await?;
        }
        Ok(Followed(found.into_iter().flatten().collect()))
    }

    async fn news(&self, from: &Followed) -> Result<Heard<Followed>, StoreError> {
        let replies = self.behind(&from.0).await?;
        let mut heard = Heard {
            happened: Vec::new(),
            read: 0,
            to: Followed(Vec::with_capacity(from.0.len())),
        };
        for (cursor, [late, new]) in from.0.iter().zip(replies.as_chunks::<2>().0) {
            let (late, new) = (items(late), items(new));
            heard.read += late.len() + new.len();
            heard.to.0.push(cursor.moved(late, new));
            let events = late.iter().chain(new);
            let events = events.filter_map(|entry| text(items(items(entry).get(1)?).get(1)?));
            heard.happened.extend(events.filter_map(Happened::read));
        }
        Ok(heard)
    }

    async fn passed(&self, from: &Followed, to: &Followed) -> Result<bool, StoreError> {
        let moves = (0..).zip(from.0.iter().zip(&to.0));
        let calls: Vec<Call> = moves
            .filter(|(_, (from, to))| from != to)
            .map(|(partition, (from, to))| {
                Call::new(&call::PASS, vec![self.0.keys.cursors(partition)])
                    .arg(READER)
                    .arg(from.written())
                    .arg(to.written())
            })
            .collect();
        let mut first = true;
        for reply in self.0.link.call_all(&calls).await? {
            match word(&reply?) {
                "passed" => {}
                // Whoever was quicker has read it, and goes on.
                "outdated" => first = false,
                _ => return Err(value::unexpected("a place")),
            }
        }
        Ok(first)
    }
}
