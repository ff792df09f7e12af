//! Sends webhooks and success callbacks, over plain HTTP.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Shared;
use crate::engine::Delivery;

/// Why a delivery got no answer.
#[derive(Debug, thiserror::Error)]
enum Undelivered {
    #[error("only http URLs with a host are spoken to")]
    Url,
    #[error("the signature was not made")]
    Signature(#[from] tokio::task::JoinError),
    #[error("no connection")]
    Connect(#[from] std::io::Error),
    #[error("no answer")]
    Http(#[from] hyper::Error),
    #[error("not a request")]
    Request(#[from] axum::http::Error),
    #[error("no answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
}

pub(crate) fn spawn(shared: &Arc<Shared>, delivery: Delivery) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let sent = tokio::select! {
            () = shared.until_stopped() => return,
            sent = tokio::time::timeout(shared.delivery_timeout, send(&delivery)) => sent,
        };
        let is_accepted = match sent.map_err(Undelivered::from).flatten() {
            Ok(status) => (200..300).contains(&status),
            Err(error) => {
                tracing::debug!(event = delivery.event, %error, "a delivery was not answered");
                false
            }
        };
        shared.with(|engine, now_ms| engine.delivered(now_ms, delivery.id, is_accepted));
        shared.deliveries_open.fetch_sub(1, Ordering::SeqCst);
        shared.delivered.notify_waiters();
    });
}

async fn send(delivery: &Delivery) -> Result<u16, Undelivered> {
    let uri: Uri = delivery.url.parse().map_err(|_| Undelivered::Url)?;
    let host = uri
        .host()
        .filter(|_| uri.scheme_str() == Some("http"))
        .ok_or(Undelivered::Url)?;
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let signing = delivery.clone();
    let signature = tokio::task::spawn_blocking(move || signing.signature()).await?;
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header("Host", authority)
        .header("Content-Type", "application/json")
        .header("X-Signature", signature)
        .body(Body::from(delivery.body.as_bytes().to_vec()))?;
    let answer = sender.send_request(request).await;
    connection.abort();
    Ok(answer?.status().as_u16())
}
