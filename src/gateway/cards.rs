//! Saved cards at the gateway: whether it keeps one, and that it is to keep it no more. No money
//! moves, so nothing is noted before: whatever a lost answer did, the next look shows.

use std::future::Future;

use serde::Deserialize;
use serde_json::Value;

use super::call::{Call, look_up_path};
use super::client::{ChipGateway, UNKNOWN_ACCOUNT};
use super::transport::Trip;
use super::{Reply, classify};
use crate::payment::{AccountName, Answer, CardId, CardToken, LookUp, PurchaseId, Standing};

/// What the gateway shows of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardLook {
    /// It keeps it: it can be charged.
    Kept,
    /// It does not keep it any more.
    Gone,
    /// It knows nothing of that name.
    NotFound,
    /// It did not say.
    Unclear {
        /// Why.
        why: String,
        /// Whether the key or its rights were refused.
        denied: bool,
        /// How long the gateway asks to wait, in milliseconds.
        retry_after_ms: Option<u64>,
    },
}

impl CardLook {
    fn unclear(why: impl Into<String>) -> Self {
        Self::Unclear {
            why: why.into(),
            denied: false,
            retry_after_ms: None,
        }
    }
}

/// Whether a call to delete a card was sent. What it did is another question, which a look answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardDeletion {
    /// It was, or may have been.
    Sent,
    /// It was not.
    NotSent,
    /// The gateway turned it away for now, and says how long to wait, in milliseconds, if it does.
    TooFast(Option<u64>),
}

/// The gateway, as far as saved cards go. No method retries, and none fails.
pub trait CardGateway: Send + Sync + 'static {
    /// Asks whether a card is kept.
    fn look_at_card(
        &self,
        account: &AccountName,
        token: &CardToken,
    ) -> impl Future<Output = CardLook> + Send;

    /// Asks that a card be kept no more, once. Nothing is concluded from the answer, but how fast to
    /// go on: the next look shows what came of it.
    fn delete_card(
        &self,
        account: &AccountName,
        token: &CardToken,
    ) -> impl Future<Output = CardDeletion> + Send;
}

impl CardGateway for ChipGateway {
    async fn look_at_card(&self, account: &AccountName, token: &CardToken) -> CardLook {
        let accounts = self.accounts.get();
        let Some(known) = accounts.get(account) else {
            return CardLook::unclear(UNKNOWN_ACCOUNT);
        };
        // A token is the id of the purchase that saved the card.
        let Ok(purchase) = PurchaseId::new(token.as_str()) else {
            return CardLook::NotFound;
        };
        match self.get(known, &look_up_path(&purchase)).await {
            Trip::Answered(reply) => shown(&reply, &purchase),
            Trip::NotSent(why) => CardLook::unclear(why),
            Trip::Unknown(why) => CardLook::unclear(why),
        }
    }

    async fn delete_card(&self, account: &AccountName, token: &CardToken) -> CardDeletion {
        let accounts = self.accounts.get();
        let purchase = PurchaseId::new(token.as_str());
        let (Some(known), Ok(purchase)) = (accounts.get(account), purchase) else {
            return CardDeletion::NotSent;
        };
        let call = Call::delete_card(&purchase, &self.settings.deadlines);
        let (told, sent) = match self.post(known, call).await {
            Trip::Answered(reply) => {
                let answer = classify::answer(&reply, Some(&purchase));
                let note = answer.note(self.clock.now());
                let code = note.code.unwrap_or_default();
                let told = format!("{} {} {code}", reply.status, note.class.as_str());
                let sent = match answer {
                    Answer::RateLimited { retry_after_ms } => CardDeletion::TooFast(retry_after_ms),
                    _ => CardDeletion::Sent,
                };
                (told, sent)
            }
            Trip::NotSent(why) => (why.to_owned(), CardDeletion::NotSent),
            Trip::Unknown(why) => (why, CardDeletion::Sent),
        };
        let (told, card) = (told.trim(), CardId::derive(account, token));
        tracing::info!(%account, card.id = %card, told, "the gateway was asked to delete a card");
        sent
    }
}

/// The one field of a purchase that says whether its card is kept.
#[derive(Deserialize)]
struct Keeping {
    #[serde(default)]
    is_recurring_token: Value,
}

/// What an answer shows of the card that the purchase saved. That it is gone is final for whoever
/// wanted that, so the answer must say it in so many words, and of a purchase that has come so far
/// that it could have saved a card: a copy from before says the same.
fn shown(reply: &Reply, purchase: &PurchaseId) -> CardLook {
    let seen = match classify::look_up(reply, purchase) {
        LookUp::Shown(seen) => seen,
        LookUp::NotFound => return CardLook::NotFound,
        LookUp::Failed {
            why,
            denied,
            retry_after_ms,
        } => {
            return CardLook::Unclear {
                why,
                denied: denied.is_any(),
                retry_after_ms,
            };
        }
    };
    let keeping = serde_json::from_slice::<Keeping>(&reply.body).ok();
    let keeping = keeping.and_then(|body| body.is_recurring_token.as_bool());
    match (keeping, &seen.standing) {
        (Some(true), _) => CardLook::Kept,
        (Some(false), Standing::Payable | Standing::Pending | Standing::Other(_)) => {
            CardLook::unclear("what was shown may be from before the card was saved")
        }
        (Some(false), _) => CardLook::Gone,
        (None, _) => CardLook::unclear("the answer does not say whether the card is kept"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "5a9e3c1c-0000-4000-8000-000000000002";

    fn look(status: u16, body: &Value) -> CardLook {
        let reply = Reply {
            status,
            retry_after: None,
            at: crate::clock::from_millis(1_800_000_000_000).unwrap(),
            body: body.to_string().into_bytes(),
        };
        shown(&reply, &PurchaseId::new(ID).unwrap())
    }

    fn purchase(is_token: &Value, recurring: &Value) -> Value {
        json!({
            "id": ID, "type": "purchase", "status": "preauthorized", "brand_id": "b",
            "is_test": true, "purchase": {"total": 0, "currency": "MYR"},
            "is_recurring_token": is_token, "recurring_token": recurring,
        })
    }

    #[test]
    fn a_card_is_kept_only_while_its_own_purchase_says_so() {
        let other = json!("5a9e3c1c-0000-4000-8000-000000000009");
        assert_eq!(
            look(200, &purchase(&json!(true), &Value::Null)),
            CardLook::Kept
        );
        assert_eq!(
            look(200, &purchase(&json!(false), &Value::Null)),
            CardLook::Gone
        );
        assert_eq!(look(200, &purchase(&json!(false), &other)), CardLook::Gone);
    }

    #[test]
    fn a_card_is_gone_only_if_that_is_said_and_of_a_purchase_that_came_so_far() {
        let mut silent = purchase(&json!(false), &Value::Null);
        silent.as_object_mut().unwrap().remove("is_recurring_token");
        let unsaid = [
            Value::Null,
            json!("false"),
            json!("true"),
            json!(0),
            json!({}),
        ];
        let mut unclear: Vec<Value> = unsaid.iter().map(|it| purchase(it, &Value::Null)).collect();
        unclear.push(silent);
        for status in [
            "created",
            "viewed",
            "pending_execute",
            "overdue",
            "something_new",
        ] {
            let mut early = purchase(&json!(false), &Value::Null);
            early["status"] = json!(status);
            unclear.push(early);
        }
        for body in unclear {
            let seen = look(200, &body);
            assert!(matches!(seen, CardLook::Unclear { .. }), "{body}: {seen:?}");
        }
        for status in ["paid", "hold", "released", "refunded", "cancelled"] {
            let mut ended = purchase(&json!(false), &Value::Null);
            ended["status"] = json!(status);
            assert_eq!(look(200, &ended), CardLook::Gone, "{status}");
        }
    }

    #[test]
    fn what_is_no_answer_about_this_very_card_says_nothing_of_it() {
        let missing = json!({"__all__": [{"message": "x", "code": "not_found"}]});
        assert_eq!(look(404, &missing), CardLook::NotFound);
        let mut another = purchase(&json!(false), &Value::Null);
        another["id"] = json!("5a9e3c1c-0000-4000-8000-000000000003");
        let denied = json!({"__all__": [{"message": "x", "code": "authentication_failed"}]});
        let answers = [
            (200, another),
            (200, json!({"status": "paid"})),
            (401, denied),
            (404, json!("a page")),
            (500, json!({})),
            (429, json!({})),
        ];
        for (status, body) in answers {
            let seen = look(status, &body);
            let CardLook::Unclear { denied, .. } = seen else {
                panic!("{status}: {seen:?}");
            };
            assert_eq!(denied, status == 401);
        }
    }
}
