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
use crate::payment::{CardId, CardOrder, CardState, KnownCard, Voice};
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
    let order = CardOrder::Delete(Voice::new(caller.name(), None));
    let card = service.ordered(&caller, id, &order).await?;
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
    let card = service.ordered(&caller, id, &CardOrder::Look).await?;
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

    /// Records what is asked of a card. A store that may forget it takes nothing new: whoever was told
    /// "recorded" asks for nothing else.
    async fn ordered(
        &self,
        caller: &Caller,
        id: Id,
        order: &CardOrder,
    ) -> Result<KnownCard, Problem> {
        caller.may(Scope::Command)?;
        let card = self.card(caller, id).await?;
        let asked_before = matches!(order, CardOrder::Delete(_))
            && (card.is_deleted() || card.state() == CardState::Deleting);
        if !asked_before {
            self.keeps_what_is_new()?;
        }
        let id = card.id();
        let card = self
            .in_time(cards::order(
                &*self.store,
                &self.clock,
                &id,
                order,
                Some(&caller.mandate()),
            ))
            .await?;
        tracing::info!(
            card.id = %id, account = %card.account(), key = caller.name(), wish = ?order.wish(),
            state = ?card.state(), "something is asked of a card"
        );
        Ok(card)
    }
}
