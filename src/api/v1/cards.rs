//! To see what is known of a saved card, to have it looked at, to have it deleted.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde_json::Value;

use super::Service;
use super::guard::Caller;
use super::keys::Scope;
use super::problem::{Problem, ProblemCode};
use crate::api::cards;
use crate::api::intake::IntakeError;
use crate::payment::{CardId, KnownCard, Wish};
use crate::store::{Cards, Store};

type Id = Result<Path<String>, PathRejection>;

pub(super) async fn show<S: Store + Cards>(
    State(service): State<Arc<Service<S>>>,
    Extension(caller): Extension<Caller>,
    id: Id,
) -> Result<Json<Value>, Problem> {
    caller.may(Scope::Read)?;
    let card = service.card(&caller, id).await?;
    Ok(Json(cards::shown(&card)))
}

/// Answers 202 until the gateway has shown that it is deleted. Whoever asks again asks for the same.
pub(super) async fn delete<S: Store + Cards>(
    State(service): State<Arc<Service<S>>>,
    Extension(caller): Extension<Caller>,
    id: Id,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let card = service.wished(&caller, id, Wish::Delete).await?;
    let status = if card.is_deleted() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok((status, Json(cards::shown(&card))))
}

pub(super) async fn look<S: Store + Cards>(
    State(service): State<Arc<Service<S>>>,
    Extension(caller): Extension<Caller>,
    id: Id,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let card = service.wished(&caller, id, Wish::Look).await?;
    Ok((StatusCode::ACCEPTED, Json(cards::shown(&card))))
}

impl<S: Store + Cards> Service<S> {
    /// The card of that id, if there is one that the caller may see. To others it is not there.
    async fn card(&self, caller: &Caller, id: Id) -> Result<KnownCard, Problem> {
        let given = id.ok().map(|Path(id)| id);
        let given = given.filter(|id| CardId::looks_like_one(id));
        let Some(id) = given.and_then(|id| CardId::new(id).ok()) else {
            let told = "a card's id is card_ and 32 hexadecimal digits, and never its token";
            return Err(Problem::new(ProblemCode::CardNotFound, told));
        };
        let card = self.in_time(cards::known(&*self.store, &id)).await?;
        if caller.sees(card.account()) {
            return Ok(card);
        }
        Err(IntakeError::NoCard(id).into())
    }

    async fn wished(&self, caller: &Caller, id: Id, what: Wish) -> Result<KnownCard, Problem> {
        caller.may(Scope::Command)?;
        let id = self.card(caller, id).await?.id();
        let wishing = cards::wish(&*self.store, &self.clock, &id, what);
        let card = self.in_time(wishing).await?;
        tracing::info!(
            card.id = %id, account = %card.account(), key = caller.name(), ?what,
            state = ?card.state(), "something is wanted of a card"
        );
        Ok(card)
    }
}
