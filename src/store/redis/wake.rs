//! Hints that there may be something to do, over a connection of their own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::{Client, RedisResult};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::trouble::Pause;

/// After so long without a hint the connection is asked whether it still stands.
const QUIET: Duration = Duration::from_secs(30);

/// Listens until `stop`. What breaks is mended in silence: a hint may be lost.
pub(super) async fn listen(
    client: Client,
    channel: String,
    waiting: Arc<Notify>,
    stop: CancellationToken,
    patience: Duration,
) {
    let mut pause = Pause::default();
    let listening = async {
        loop {
            match listen_once(&client, &channel, &waiting, patience).await {
                Ok(()) => pause = Pause::default(),
                Err(error) => tracing::debug!(%error, "no hints from Redis for now"),
            }
            pause.rest().await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = listening => {}
    }
}

/// Listens until the connection breaks.
async fn listen_once(
    client: &Client,
    channel: &str,
    waiting: &Notify,
    patience: Duration,
) -> RedisResult<()> {
    let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    let subscribe = async {
        let mut hints = client.get_async_pubsub().await?;
        hints.subscribe(channel).await?;
        RedisResult::Ok(hints.split())
    };
    let (mut ask, mut hints) = timeout(patience, subscribe).await.map_err(late)??;
    // Whatever was published meanwhile went unheard.
    waiting.notify_waiters();
    loop {
        match timeout(QUIET, hints.next()).await {
            Ok(Some(_)) => waiting.notify_waiters(),
            Ok(None) => return Ok(()),
            Err(_) => {
                let pong = timeout(patience, ask.ping::<redis::Value>()).await;
                pong.map_err(late)??;
            }
        }
    }
}
