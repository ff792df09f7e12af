//! One HTTP request to the engine and back, with the faults that live on the wire.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request as HttpRequest, StatusCode};
use axum::response::Response as HttpResponse;
use http_body::Frame;

use super::Shared;
use super::wire::Cord;
use crate::engine::{Manner, Request, Response, Step, Ticket};

const BODY_LIMIT: usize = 1 << 20;

/// Everything that is not a control endpoint.
pub(crate) async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cord): ConnectInfo<Cord>,
    request: HttpRequest<Body>,
) -> HttpResponse {
    let (parts, body) = request.into_parts();
    let mut request = read(&parts, &cord);
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        let refused = shared.with(|engine, now_ms| engine.refuse_too_large(now_ms, &request));
        return send(&shared, &cord, refused).await;
    };
    request.body = body.into();
    let response = match shared.with(|engine, now_ms| engine.handle(now_ms, request)) {
        Step::Answer(response) => response,
        Step::Working { ticket, for_ms } => finish(&shared, ticket, for_ms).await,
    };
    send(&shared, &cord, response).await
}

/// A request without its body.
fn read(parts: &Parts, cord: &Cord) -> Request {
    let header = |name: &str| {
        let value = parts.headers.get(name)?;
        value.to_str().ok()
    };
    let key = header(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        key: key.map(str::to_owned),
        content_type: header(CONTENT_TYPE.as_str()).map(str::to_owned),
        idempotency_key: header("idempotency-key").map(str::to_owned),
        body: Vec::new(),
        client_ip: cord.peer.ip().to_string(),
    }
}

/// Waits for the acquirer, which goes on even when the client hangs up.
async fn finish(shared: &Arc<Shared>, ticket: Ticket, for_ms: u64) -> Response {
    let worker = Arc::clone(shared);
    let work = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(for_ms)).await;
        worker.with(|engine, now_ms| engine.finish(now_ms, ticket))
    });
    work.await.ok().flatten().unwrap_or_default()
}

async fn send(shared: &Shared, cord: &Cord, response: Response) -> HttpResponse {
    if response.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(response.delay_ms)).await;
    }
    match response.manner {
        Manner::Whole => whole(response),
        Manner::Truncated => truncated(response),
        Manner::Reset => {
            cord.pull();
            plain(StatusCode::OK)
        }
        Manner::Silence => {
            tokio::select! {
                () = tokio::time::sleep(shared.silence_cap) => {}
                () = shared.until_stopped() => {}
            }
            cord.pull();
            plain(StatusCode::OK)
        }
    }
}

fn plain(status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn head(response: &Response, body: Body) -> HttpResponse {
    let mut sent = HttpResponse::new(body);
    *sent.status_mut() =
        StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = sent.headers_mut();
    if !response.content_type.is_empty() {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(response.content_type),
        );
    }
    let location = response.location.as_deref().map(HeaderValue::from_str);
    if let Some(Ok(location)) = location {
        headers.insert(LOCATION, location);
    }
    if let Some(seconds) = response.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    sent
}

fn whole(mut response: Response) -> HttpResponse {
    let body = std::mem::take(&mut response.body);
    head(&response, Body::from(body))
}

fn truncated(mut response: Response) -> HttpResponse {
    let mut bytes = std::mem::take(&mut response.body).into_bytes();
    let length = bytes.len();
    bytes.truncate(length / 2);
    let cut = Cut {
        half: Some(Bytes::from(bytes)),
        is_flushed: false,
    };
    let mut sent = head(&response, Body::new(cut));
    sent.headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(length));
    sent
}

/// Half a body, then the end of the connection.
struct Cut {
    half: Option<Bytes>,
    is_flushed: bool,
}

impl HttpBody for Cut {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        if !self.is_flushed {
            // Lets the half go out before the connection is closed.
            self.is_flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionAborted.into())))
    }
}
