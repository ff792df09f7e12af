//! What a worker does now and then beside its work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use crate::api::WebhookCounts;
use crate::operate::audit::tell_heads;
use crate::store::redis::RedisStore;

/// How often entries of finished payments that have expired are taken out of the state index.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// How often it is noted when webhooks came.
const NOTE_HEARD_EVERY: Duration = Duration::from_secs(60);

/// Sweeps the state index, trims the streams of events, and notes the ends of the audit log.
pub(super) fn keep_house(parts: &mut Parts, store: &Arc<RedisStore>, keep: TimeDelta) {
    let (sweeping, stop) = (Arc::clone(store), parts.stop.clone());
    parts.spawn("house", async move {
        let sweep = async {
            loop {
                if let Err(error) = sweeping.trim_events(keep).await {
                    tracing::warn!(%error, "events were not trimmed; it is tried again");
                }
                if let Err(error) = tell_heads(&sweeping).await {
                    tracing::warn!(%error, "the ends of the audit log were not noted");
                }
                tokio::time::sleep(SWEEP_EVERY).await;
                if let Err(error) = sweeping.sweep().await {
                    tracing::warn!(%error, "the state index was not swept; it is tried again");
                }
            }
        };
        stop.run_until_cancelled(sweep).await;
    });
}

/// Notes once a minute, and at the stop, when the gateway last posted something: outside of whatever
/// answers it. `holdfast doctor` tells it.
pub(super) async fn note_heard(
    store: Arc<RedisStore>,
    counts: Arc<WebhookCounts>,
    stop: CancellationToken,
) {
    let mut noted = BTreeMap::new();
    loop {
        let goes_on = stop
            .run_until_cancelled(tokio::time::sleep(NOTE_HEARD_EVERY))
            .await;
        let heard = counts.heard();
        if heard != noted {
            match store.note_heard(&heard).await {
                Ok(()) => noted = heard,
                Err(error) => tracing::debug!(%error, "when webhooks came was not noted"),
            }
        }
        if goes_on.is_none() {
            return;
        }
    }
}
