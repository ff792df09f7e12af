//! The listener. It accepts no more connections than it may hold, and every phase of a connection
//! has an end: the head, the request, the answer, and idleness.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use super::Limits;

/// After a failed accept: time for file descriptors to become free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `stop`; then lets the requests in flight end, within the
/// time that `limits` give them.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let free = Arc::new(Semaphore::new(limits.connections.max(1)));
    let mut connections = JoinSet::new();
    while let Some(Ok(place)) = stop
        .run_until_cancelled(Arc::clone(&free).acquire_owned())
        .await
    {
        while connections.try_join_next().is_some() {}
        let socket = match stop.run_until_cancelled(listener.accept()).await {
            Some(Ok((socket, _))) => socket,
            Some(Err(error)) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
            None => break,
        };
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            serve_one(socket, router, limits, stop).await;
            drop(place);
        });
    }
    drop(listener);
    let drain = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_millis(limits.drain_timeout_ms), drain)
        .await
        .is_err()
    {
        tracing::warn!("some requests were cut off at the stop");
    }
}

async fn serve_one(socket: TcpStream, router: Router, limits: Limits, stop: CancellationToken) {
    // Whoever asks and never reads the answers would keep the connection for ever.
    let mut socket = TimeoutStream::new(socket);
    socket.set_write_timeout(Some(Duration::from_millis(limits.request_timeout_ms)));
    let socket = Box::pin(socket);
    let head = Duration::from_millis(limits.header_timeout_ms);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = if let Some(ended) = stop.run_until_cancelled(connection.as_mut()).await {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection ended early");
    }
}
