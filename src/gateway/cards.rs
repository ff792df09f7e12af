//! Saved cards at the gateway: whether it keeps one, and that it is to keep it no more. No money
//! moves, so nothing is noted before: whatever a lost answer did, the next look shows.

use std::future::Future;

use super::call::{Call, look_up_path};
use super::client::{ChipGateway, UNKNOWN_ACCOUNT};
use super::transport::Trip;
use super::{Reply, classify};
use crate::payment::{AccountName, CardId, CardToken, LookUp, PurchaseId};

/// What the gateway shows of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardLook {
    /// It keeps it: it can be charged.
    Kept,
    /// It does not keep it any more.
    Gone,
    /// It knows nothing of that name.
    NotFound,
    /// It did not say, for this reason.
    Unclear(String),
}

/// The gateway, as far as saved cards go. No method retries, and none fails.
pub trait CardGateway: Send + Sync + 'static {
    /// Asks whether a card is kept.
    fn look_at_card(
        &self,
        account: &AccountName,
        token: &CardToken,
    ) -> impl Future<Output = CardLook> + Send;

    /// Asks that a card be kept no more, once. Nothing is concluded from the answer, but for the log:
    /// the next look shows what came of it.
    fn delete_card(
        &self,
        account: &AccountName,
        token: &CardToken,
    ) -> impl Future<Output = String> + Send;
}

impl CardGateway for ChipGateway {
    async fn look_at_card(&self, account: &AccountName, token: &CardToken) -> CardLook {
        let accounts = self.accounts.get();
        let Some(known) = accounts.get(account) else {
            return CardLook::Unclear(UNKNOWN_ACCOUNT.to_owned());
        };
        // A token is the id of the purchase that saved the card.
        let Ok(purchase) = PurchaseId::new(token.as_str()) else {
            return CardLook::NotFound;
        };
        match self.get(known, &look_up_path(&purchase)).await {
            Trip::Answered(reply) => shown(&reply, &purchase),
            Trip::NotSent(why) => CardLook::Unclear(why.to_owned()),
            Trip::Unknown(why) => CardLook::Unclear(why),
        }
    }

    async fn delete_card(&self, account: &AccountName, token: &CardToken) -> String {
        let accounts = self.accounts.get();
        let Some(known) = accounts.get(account) else {
            return UNKNOWN_ACCOUNT.to_owned();
        };
        let Ok(purchase) = PurchaseId::new(token.as_str()) else {
            return "the token is no id of the gateway's".to_owned();
        };
        let call = Call::delete_card(&purchase, &self.settings.deadlines);
        let told = match self.post(known, call).await {
            Trip::Answered(reply) => {
                let answer = classify::answer(&reply, Some(&purchase));
                let note = answer.note(self.clock.now());
                let code = note.code.unwrap_or_default();
                format!("{} {} {code}", reply.status, note.class.as_str())
            }
            Trip::NotSent(why) => why.to_owned(),
            Trip::Unknown(why) => why,
        };
        let told = told.trim().to_owned();
        let card = CardId::derive(account, token);
        tracing::info!(%account, card.id = %card, told, "the gateway was asked to delete a card");
        told
    }
}

/// What an answer shows of the card that the purchase saved.
fn shown(reply: &Reply, purchase: &PurchaseId) -> CardLook {
    match classify::look_up(reply, purchase) {
        LookUp::Shown(seen) if seen.card == Some(purchase.as_card_token()) => CardLook::Kept,
        LookUp::Shown(_) => CardLook::Gone,
        LookUp::NotFound => CardLook::NotFound,
        LookUp::Failed { why, .. } => CardLook::Unclear(why),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
        assert_eq!(look(200, &purchase(&Value::Null, &other)), CardLook::Gone);
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
            assert!(matches!(seen, CardLook::Unclear(_)), "{status}: {seen:?}");
        }
    }
}
