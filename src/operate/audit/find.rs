//! Entries of a payment, or of somebody, the newest first.

use std::cmp::Reverse;

use crate::payment::PaymentId;
use crate::store::StoreError;
use crate::store::audit::{AuditEntry, AuditStream};
use crate::store::redis::{AuditOrder, RedisStore};

/// How many entries one step reads.
const STEP: usize = 500;

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of this payment alone.
    pub payment: Option<PaymentId>,
    /// By this actor alone.
    pub actor: Option<String>,
    /// How many at most.
    pub limit: usize,
}

/// An entry that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// In which stream.
    pub stream: AuditStream,
    /// Its number there.
    pub n: u64,
    /// What it says.
    pub entry: AuditEntry,
}

/// Finds them. Those of a payment stand in one stream; those of somebody may stand in all.
pub async fn find(store: &RedisStore, wanted: &Wanted) -> Result<Vec<Found>, StoreError> {
    let mut found = Vec::new();
    let only = wanted.payment.as_ref().map(AuditStream::of);
    let streams = AuditStream::all().filter(|stream| only.is_none_or(|only| only == *stream));
    for stream in streams {
        let (mut after, mut taken) = (None::<String>, 0);
        while taken < wanted.limit {
            let page = store
                .audit_page(stream, AuditOrder::Newest, after.as_deref(), STEP)
                .await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            let readable = page.iter().filter_map(|chained| {
                let (n, _, _) = chained.whole.as_ref()?;
                let entry = chained.entry()?;
                Some(Found {
                    stream,
                    n: *n,
                    entry,
                })
            });
            let fits: Vec<Found> = readable
                .filter(|found| fits(&found.entry, wanted))
                .collect();
            taken += fits.len();
            found.extend(fits);
        }
    }
    found.sort_by_key(|found| Reverse((found.entry.at, found.n)));
    found.truncate(wanted.limit);
    Ok(found)
}

fn fits(entry: &AuditEntry, wanted: &Wanted) -> bool {
    let same = |payment: &PaymentId| entry.payment.as_ref() == Some(payment);
    wanted.payment.as_ref().is_none_or(same)
        && wanted
            .actor
            .as_ref()
            .is_none_or(|actor| entry.actor.name == *actor)
}
