//! When the gateway last posted something that it had signed: nobody decides anything by it.

use std::collections::BTreeMap;

use redis::Pipeline;

use super::RedisStore;
use super::value::{items, number, text};
use crate::clock::from_millis;
use crate::payment::{AccountName, Timestamp};
use crate::store::StoreError;

impl RedisStore {
    /// Notes when something was last heard for these accounts.
    pub async fn note_heard(
        &self,
        heard: &BTreeMap<AccountName, Timestamp>,
    ) -> Result<(), StoreError> {
        if heard.is_empty() {
            return Ok(());
        }
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HSET").arg(self.0.keys.heard());
        for (account, at) in heard {
            pipeline.arg(account.as_str()).arg(at.timestamp_millis());
        }
        self.0.link.repeat(&pipeline).await.map(drop)
    }

    /// When something was last heard, by account.
    pub async fn heard(&self) -> Result<BTreeMap<AccountName, Timestamp>, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HGETALL").arg(self.0.keys.heard());
        let replies = self.0.link.read(&pipeline).await?;
        let pairs = replies.first().map(items).unwrap_or_default();
        let read = |[account, at]: &[redis::Value; 2]| {
            let account = AccountName::new(text(account)?).ok()?;
            Some((account, from_millis(number(at)?)?))
        };
        Ok(pairs.as_chunks::<2>().0.iter().filter_map(read).collect())
    }
}
