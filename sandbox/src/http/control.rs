//! Control endpoints, for tests and demonstrations in other processes. None of them needs a key.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Shared;
use crate::config::Behaviour;
use crate::engine::{Status, TestCard};
use crate::fault::Rule;

type App = State<Arc<Shared>>;

/// Which part of the ledger is asked for.
#[derive(Deserialize)]
pub(crate) struct Span {
    /// Only entries with a greater `seq`.
    #[serde(default)]
    after: u64,
    /// `false` leaves the requests out.
    requests: Option<bool>,
}

pub(crate) async fn ledger(State(shared): App, Query(span): Query<Span>) -> Json<Value> {
    Json(shared.with(|engine, now_ms| {
        let ledger = engine.ledger();
        let from = ledger
            .requests()
            .partition_point(|row| row.seq <= span.after);
        let requests = if span.requests == Some(false) {
            &[]
        } else {
            &ledger.requests()[from..]
        };
        let from = ledger
            .movements()
            .partition_point(|row| row.seq <= span.after);
        json!({
            "now_ms": now_ms, "counts": ledger.all_counts(), "requests": requests,
            "movements": &ledger.movements()[from..], "deliveries": ledger.deliveries(),
        })
    }))
}

pub(crate) async fn reference(State(shared): App, Path(reference): Path<String>) -> Json<Value> {
    Json(shared.with(|engine, _| {
        let ledger = engine.ledger();
        json!({
            "reference": reference, "taken": ledger.taken_for_reference(&reference),
            "held": ledger.held_for_reference(&reference),
            "refunded": ledger.refunded_for_reference(&reference),
            "movements": ledger.movements_for_reference(&reference),
        })
    }))
}

pub(crate) async fn purchase(
    State(shared): App,
    Path(id): Path<Uuid>,
) -> Result<Json<Value>, StatusCode> {
    let found = shared.with(|engine, _| {
        let purchase = engine.purchase_json(id)?;
        Some(json!({ "purchase": purchase, "movements": engine.ledger().movements_of(id) }))
    });
    found.map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// How the payer pays.
#[derive(Deserialize)]
pub(crate) struct Paying {
    #[serde(default)]
    remember: bool,
    #[serde(default)]
    three_d_secure: bool,
}

pub(crate) async fn pay(
    State(shared): App,
    Path(id): Path<Uuid>,
    Json(paying): Json<Paying>,
) -> Result<Json<Value>, StatusCode> {
    let card = if paying.three_d_secure {
        TestCard::ThreeDSecure
    } else {
        TestCard::Plain
    };
    let status = shared.with(|engine, now_ms| {
        engine.pay(now_ms, id, card, paying.remember);
        engine.status_of(id)
    });
    status
        .map(|status| Json(json!({ "status": status })))
        .ok_or(StatusCode::NOT_FOUND)
}

#[derive(Deserialize)]
pub(crate) struct Forced {
    status: Status,
}

pub(crate) async fn force_status(
    State(shared): App,
    Path(id): Path<Uuid>,
    Json(forced): Json<Forced>,
) -> StatusCode {
    shared.with(|engine, now_ms| engine.force_status(now_ms, id, forced.status));
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
pub(crate) struct SavedFor {
    key: String,
    email: String,
}

pub(crate) async fn save_card(
    State(shared): App,
    Json(wish): Json<SavedFor>,
) -> Result<Json<Value>, StatusCode> {
    let token = shared.with(|engine, now_ms| engine.save_test_card(now_ms, &wish.key, &wish.email));
    token
        .map(|token| Json(json!({ "token": token })))
        .ok_or(StatusCode::UNPROCESSABLE_ENTITY)
}

pub(crate) async fn kill_card(State(shared): App, Path(id): Path<Uuid>) -> StatusCode {
    shared.with(|engine, now_ms| engine.kill_token(now_ms, id));
    StatusCode::NO_CONTENT
}

pub(crate) async fn add_fault(State(shared): App, Json(rule): Json<Rule>) -> Json<Value> {
    Json(json!({ "rule": shared.with(|engine, _| engine.add_fault(rule)) }))
}

pub(crate) async fn clear_faults(State(shared): App) -> StatusCode {
    shared.with(|engine, _| engine.clear_faults());
    StatusCode::NO_CONTENT
}

/// How the clock is moved.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Move {
    AdvanceMs(i64),
    Set(DateTime<Utc>),
}

pub(crate) async fn clock(State(shared): App, Json(wish): Json<Move>) -> Json<Value> {
    match wish {
        Move::AdvanceMs(by_ms) => shared.advance(by_ms),
        Move::Set(to) => shared.set_time(to),
    }
    time(State(shared)).await
}

pub(crate) async fn time(State(shared): App) -> Json<Value> {
    let now_ms = shared.now_ms();
    Json(json!({ "now_ms": now_ms, "now": DateTime::from_timestamp_millis(now_ms) }))
}

pub(crate) async fn behaviour(State(shared): App, Json(to): Json<Behaviour>) -> Json<Behaviour> {
    shared.with(|engine, _| engine.behaviour().clone_from(&to));
    Json(to)
}

pub(crate) async fn show_behaviour(State(shared): App) -> Json<Behaviour> {
    Json(shared.with(|engine, _| engine.behaviour().clone()))
}
