//! The audit log: what belongs to no payment is added here, with a command or a card it is written by
//! their scripts; and all of it is read here, page by page.

use redis::{Pipeline, Value};

use super::call::{self, Call};
use super::keys::{Keys, PARTITIONS};
use super::value::{items, number, text, word};
use super::{RedisStore, value};
use crate::payment::PaymentId;
use crate::store::StoreError;
use crate::store::audit::{AuditEntry, AuditHead, AuditStream, Chained, StreamFacts};

/// From which end a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditOrder {
    /// The oldest first.
    Oldest,
    /// The newest first.
    Newest,
}

impl AuditStream {
    /// All there are.
    pub fn all() -> impl Iterator<Item = Self> {
        let partitions = (0..PARTITIONS).map(Self::Partition);
        partitions.chain([Self::Desk])
    }

    /// Where commands on a payment stand.
    #[must_use]
    pub fn of(payment: &PaymentId) -> Self {
        Self::Partition(Keys::partition(payment))
    }

    /// Reads it as it is shown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::all().find(|stream| stream.to_string() == text)
    }
}

impl RedisStore {
    /// Adds an entry about what belongs to no payment, and whose script cannot add it. To be called
    /// before it is done.
    pub async fn note_intent(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let (json, hash) = entry.sealed()?;
        let make = || {
            Call::new(&call::AUDIT, vec![self.0.keys.audit(AuditStream::Desk)])
                .arg(json.as_slice())
                .arg(hash.as_str())
        };
        let patience = self.0.settings.save_patience();
        match word(&self.0.link.insist(patience, make).await?) {
            "noted" => Ok(()),
            _ => Err(value::unexpected("an audit entry")),
        }
    }

    /// Some entries of a stream, behind the one at `after`.
    pub async fn audit_page(
        &self,
        stream: AuditStream,
        order: AuditOrder,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Chained>, StoreError> {
        let (verb, begin, end) = match order {
            AuditOrder::Oldest => ("XRANGE", "-", "+"),
            AuditOrder::Newest => ("XREVRANGE", "+", "-"),
        };
        let from = after.map_or(begin.to_owned(), |after| format!("({after}"));
        let mut pipeline = Pipeline::new();
        pipeline.cmd(verb).arg(self.0.keys.audit(stream));
        pipeline.arg(from).arg(end).arg("COUNT").arg(limit);
        let replies = self.0.link.read(&pipeline).await?;
        Ok(replies.iter().flat_map(items).filter_map(chained).collect())
    }

    /// What Redis knows of a stream; `None` if nothing stands at its key.
    pub async fn audit_facts(
        &self,
        stream: AuditStream,
    ) -> Result<Option<StreamFacts>, StoreError> {
        let key = self.0.keys.audit(stream);
        let mut pipeline = Pipeline::new();
        pipeline.cmd("EXISTS").arg(&key);
        let replies = self.0.link.read(&pipeline).await?;
        if replies.first().and_then(number::<u64>) == Some(0) {
            return Ok(None);
        }
        let mut pipeline = Pipeline::new();
        pipeline.cmd("XINFO").arg("STREAM").arg(&key);
        let replies = self.0.link.read(&pipeline).await?;
        let pairs = replies.first().map(items).unwrap_or_default();
        let named = |name: &str| {
            let pairs = pairs.as_chunks::<2>().0;
            let found = pairs.iter().find(|[known, _]| text(known) == Some(name));
            found.map(|[_, value]| value)
        };
        let place = |name| named(name).and_then(text).map(ToOwned::to_owned);
        let read = || {
            Some(StreamFacts {
                length: number(named("length")?)?,
                added: number(named("entries-added")?)?,
                deleted: place("max-deleted-entry-id")?,
                last: place("last-generated-id")?,
            })
        };
        read().map(Some).ok_or_else(|| value::unexpected("XINFO"))
    }

    /// The end of each chain that has begun.
    pub async fn audit_heads(&self) -> Result<Vec<AuditHead>, StoreError> {
        let mut heads = Vec::new();
        for stream in AuditStream::all() {
            let last = self
                .audit_page(stream, AuditOrder::Newest, None, 1)
                .await?
                .pop();
            let head = last.and_then(|last| last.whole);
            heads.extend(head.map(|(n, link, _)| AuditHead { stream, n, link }));
        }
        Ok(heads)
    }
}

fn chained(entry: &Value) -> Option<Chained> {
    let [id, fields] = items(entry) else {
        return None;
    };
    let whole = || match items(fields) {
        [a, n, b, link, c, Value::BulkString(json)]
            if [a, b, c].map(text) == [Some("n"), Some("link"), Some("entry")] =>
        {
            // Written as this program writes it: a zero before it makes no other number.
            let written = text(n)?;
            let n: u64 = written.parse().ok()?;
            let plain = n.to_string() == written;
            plain.then_some((n, text(link)?.to_owned(), json.clone()))
        }
        _ => None,
    };
    Some(Chained {
        id: text(id)?.to_owned(),
        whole: whole(),
    })
}
