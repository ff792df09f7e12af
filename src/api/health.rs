//! Whether the process lives, and whether it can do its work.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::Api;
use crate::payment::{AccountName, IdempotencyKey, PaymentId};
use crate::store::Store;

#[derive(Debug, Serialize)]
struct Health {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) fn routes<S: Store>() -> Router<Arc<Api<S>>> {
    Router::new()
        .route("/livez", get(alive))
        .route("/readyz", get(ready::<S>))
}

async fn alive() -> Json<Health> {
    Json(Health {
        ok: true,
        reason: None,
    })
}

async fn ready<S: Store>(State(api): State<Arc<Api<S>>>) -> (StatusCode, Json<Health>) {
    if let Some(reason) = silence(&api).await {
        let reason = Some(reason);
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(Health { ok: false, reason }),
        );
    }
    // While money waits for a durable store, webhooks are recorded and looked after as ever: whoever
    // routes by this answer must not turn them away.
    let waits = api.store.durability().err();
    let waits = waits.map(|shortfall| shortfall.to_string());
    let reason = waits.or_else(|| api.gate.told(api.gateway.clock().now()));
    (StatusCode::OK, Json(Health { ok: true, reason }))
}

/// Why nothing can be recorded now.
async fn silence<S: Store>(api: &Api<S>) -> Option<String> {
    if let Some(nobody) = nobody() {
        match tokio::time::timeout(api.store_timeout(), api.store.load(&nobody)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Some(error.to_string()),
            Err(_) => {
                let ms = api.limits.store_timeout_ms;
                return Some(format!("the store did not answer within {ms} ms"));
            }
        }
    }
    None
}

/// The id of no payment: to read it is the cheapest question there is.
fn nobody() -> Option<PaymentId> {
    let account = AccountName::new("readyz").ok()?;
    let key = IdempotencyKey::new("readyz").ok()?;
    Some(PaymentId::derive(&account, &key))
}
