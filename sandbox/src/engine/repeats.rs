//! Answers for whoever repeats a call with its `Idempotency-Key`, on a gateway that minds it. Of two
//! at the same time the second is no repeat yet: what it may do is decided as without a key.

use std::collections::HashMap;

use uuid::Uuid;

use super::purchase::Realm;
use super::refusal::Refusal;
use super::request::Response;
use super::route::Operation;
use super::{Engine, LateCall};

/// What makes two calls the same one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct RepeatOf {
    realm: Realm,
    operation: Operation,
    purchase: Uuid,
    key: String,
}

impl RepeatOf {
    pub(super) fn of(call: &LateCall) -> Option<Self> {
        let operation = call.route.operation;
        Some(Self {
            realm: call.realm?,
            operation,
            purchase: call.route.id,
            key: call.idempotency_key.clone()?,
        })
        .filter(|_| operation.is_write())
    }
}

/// What calls with a key were answered.
pub(super) type Repeats = HashMap<RepeatOf, Response>;

impl Engine {
    pub(super) fn answered_before(&self, call: &LateCall) -> Option<Response> {
        if !self.behaviour.honours_idempotency_keys {
            return None;
        }
        self.repeats.get(&RepeatOf::of(call)?).cloned()
    }

    /// Keeps an answer; a refusal is not one that has to be given again.
    pub(super) fn keep_answer(
        &mut self,
        repeat_of: Option<RepeatOf>,
        answer: &Result<Response, Refusal>,
    ) {
        if let (true, Some(call), Ok(response)) =
            (self.behaviour.honours_idempotency_keys, repeat_of, answer)
        {
            self.repeats.insert(call, response.clone());
        }
    }
}
