//! Parked payments that people settle, over the API: two keys are two people. The sandbox's ledger is
//! the judge of what was taken, and of what was sent.

use chip_sandbox::{Effect, Operation, Rule};
use futures_util::future::join_all;
use holdfast::store::redis::{self, RedisStore};
use holdfast_rig::{Redis, RedisOptions};

use super::*;
use crate::stage::KEY;

const OTHER: &str = "hf_b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q";

/// Two operators, each with a key.
struct Pair {
    shop: Shop,
}

impl Pair {
    async fn open() -> Self {
        let mut shop = Shop::open().await;
        let scopes = [Scope::Read, Scope::Command, Scope::Operate];
        let keys = vec![key("aina", SHOP, &scopes), key("badrul", OTHER, &scopes)];
        let (store, clock) = (Arc::clone(&shop.stage.store), shop.stage.clock.clone());
        shop.served = Served::over(store, &clock, keys, PACE).await;
        Self { shop }
    }

    async fn says(&self, secret: &str, id: &PaymentId, word: &str, body: &Value) -> Heard {
        let served = &self.shop.served;
        let address = format!("http://{}/v1/payments/{id}/{word}", served.address);
        let key = format!("{secret}-{word}");
        let request = served.client.post(address).header("Idempotency-Key", key);
        Heard::of(request.bearer_auth(secret).json(body)).await
    }

    /// A charge whose call left no trace, parked.
    async fn doubtful(&self, effect: Effect) -> PaymentId {
        let stage = &self.shop.stage;
        stage.fault(Rule::on(Operation::Charge, effect).times(1));
        let id = stage.charge("k", 1_500).await;
        stage.work_for(TimeDelta::minutes(22)).await;
        assert_eq!(stage.state(&id).await, StateName::Parked);
        id
    }

    /// Somebody else calls the gateway with the same key.
    async fn elsewhere(&self, id: &PaymentId, verb: &str, body: &Value) {
        let stage = &self.shop.stage;
        let purchase = stage.payment(id).await.purchase().unwrap().id.clone();
        let base = stage.sandbox.base_url();
        let address = format!("{base}purchases/{}/{verb}/", purchase.as_str());
        let request = self.shop.served.client.post(address).bearer_auth(KEY);
        let answer = request.json(body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        stage.store.nudge(id).await.unwrap();
        stage.work().await;
    }

    /// What the last event says.
    fn event(&self) -> Value {
        let events = self.shop.stage.store.events();
        let event = events.last().unwrap();
        let told = json!({"type": format!("payment.{}", event.state), "timestamp": event.at, "data": event});
        crate::outbox::schema::is_valid(&told);
        told["data"].clone()
    }

    fn sent(&self) -> u64 {
        let ledger = self.shop.stage.ledger();
        let moving = [Operation::Charge, Operation::Capture, Operation::Cancel];
        moving.map(|it| ledger.counts(it).arrived).iter().sum()
    }
}

fn why() -> Value {
    json!({"reason": "seen in the portal"})
}

fn stated(outcome: &str) -> Value {
    json!({"outcome": outcome, "reason": "the bank says so"})
}

#[tokio::test]
async fn what_somebody_else_captured_is_reported_with_the_amount_that_was_taken() {
    let pair = Pair::open().await;
    let stage = &pair.shop.stage;
    let id = stage.authorize_by_token("h", 1_500, "{}").await;
    stage.work().await;
    pair.elsewhere(&id, "capture", &json!({"amount": 900}))
        .await;
    assert_eq!(stage.state(&id).await, StateName::Parked);
    let before = pair.sent();
    let heard = pair.says(SHOP, &id, "resolve_as_shown", &why()).await;
    assert_eq!(heard.status, 202, "{heard:?}");
    assert!(heard.body["resolved"].is_null());
    stage.work().await;
    assert_eq!(stage.state(&id).await, StateName::Paid);
    let event = pair.event();
    assert_eq!(
        (&event["taken"]["amount"], &event["resolved"]),
        (&json!(900), &json!("as_shown"))
    );
    assert_eq!(stage.taken(&id), (900, 1));
    let seen = pair.shop.served.get(&format!("/v1/payments/{id}")).await;
    assert_eq!(
        (&seen.body["taken"]["amount"], &seen.body["resolved"]),
        (&json!(900), &json!("as_shown"))
    );
    let said = &stage.payment(&id).await.resolution().unwrap().said[0].clone();
    assert_eq!(
        (said.actor.as_str(), said.reason.as_str()),
        ("key:aina", "seen in the portal")
    );
    stage.work_for(TimeDelta::days(8)).await;
    assert_eq!(pair.sent(), before, "no call follows");
}

#[tokio::test]
async fn two_keys_state_that_it_was_never_paid_where_the_gateway_shows_nothing_any_more() {
    let pair = Pair::open().await;
    let stage = &pair.shop.stage;
    let id = pair.doubtful(Effect::timeout_before_commit()).await;
    let before = pair.sent();
    stage.sandbox.revoke_key(KEY);
    let never = stated("never_paid");
    let alone = pair.says(SHOP, &id, "approve_by_hand", &never).await;
    alone.is(409, "not_applicable");
    let heard = pair.says(SHOP, &id, "propose_by_hand", &never).await;
    assert_eq!(heard.status, 202, "{heard:?}");
    stage.work_for(TimeDelta::minutes(5)).await;
    assert_eq!(
        stage.state(&id).await,
        StateName::Parked,
        "one word is none"
    );
    let again = json!({"outcome": "never_paid", "reason": "once more"});
    let served = &pair.shop.served;
    let address = format!("/v1/payments/{id}/approve_by_hand");
    let same = served.post(&address, Some("another-key"), &again).await;
    same.is(400, "invalid_request");
    assert_eq!(same.body["field"], "actor");
    let disguised = json!({"outcome": "never_paid", "reason": "x", "actor": "badrul"});
    let same = served.post(&address, Some("third-key"), &disguised).await;
    same.is(400, "invalid_request");
    stage.work_for(TimeDelta::minutes(5)).await;
    assert_eq!(stage.state(&id).await, StateName::Parked);
    let heard = pair.says(OTHER, &id, "approve_by_hand", &never).await;
    assert_eq!(heard.status, 202, "{heard:?}");
    stage.work_for(TimeDelta::minutes(5)).await;
    let still = stage.state(&id).await;
    assert_eq!(still, StateName::Parked, "it may be a slip");
    stage.work_for(TimeDelta::minutes(20)).await;
    assert_eq!(stage.state(&id).await, StateName::Failed);
    let event = pair.event();
    assert_eq!(
        (&event["reason"]["why"], &event["resolved"]),
        (&json!("stated_by_hand"), &json!("by_hand"))
    );
    assert_eq!(stage.taken(&id), (0, 0));
    stage.work_for(TimeDelta::days(2)).await;
    assert_eq!(pair.sent(), before, "no call follows");
}

#[tokio::test]
async fn a_hold_that_two_keys_state_gone_is_not_said_to_have_been_given_back() {
    let pair = Pair::open().await;
    let stage = &pair.shop.stage;
    let plan = r#"{"before_expiry":"park"}"#;
    let id = stage.authorize_by_token("k", 1_500, plan).await;
    stage.work_for(TimeDelta::days(6)).await;
    assert_eq!(stage.state(&id).await, StateName::Parked);
    let gone = stated("hold_gone");
    let one = pair.says(SHOP, &id, "propose_by_hand", &gone).await;
    let other = pair.says(OTHER, &id, "approve_by_hand", &gone).await;
    assert_eq!((one.status, other.status), (202, 202), "{other:?}");
    stage.work_for(TimeDelta::minutes(5)).await;
    assert_eq!(stage.state(&id).await, StateName::Released);
    let late = pair.says(SHOP, &id, "capture", &json!({})).await;
    late.is(409, "too_late_released");
    assert_eq!(late.body["detail"], "the hold is gone");
    assert_eq!(late.body["title"], "Too late: the hold is gone");
    assert_eq!(stage.ledger().counts(Operation::Release).arrived, 0);
}

#[tokio::test]
async fn what_the_gateway_shows_counts_and_not_what_two_keys_state() {
    let pair = Pair::open().await;
    let stage = &pair.shop.stage;
    let id = pair.doubtful(Effect::committed_late(25 * 60_000)).await;
    let never = stated("never_paid");
    pair.says(SHOP, &id, "propose_by_hand", &never).await;
    stage.pass(TimeDelta::minutes(10));
    let heard = pair.says(OTHER, &id, "approve_by_hand", &never).await;
    assert_eq!(heard.status, 202);
    stage.work_for(TimeDelta::minutes(5)).await;
    assert_eq!(stage.state(&id).await, StateName::Paid);
    assert_eq!(stage.taken(&id), (1_500, 1));
    assert!(pair.event()["resolved"].is_null());
}

#[tokio::test]
async fn a_purchase_that_can_still_be_paid_is_not_stated_never_paid() {
    let pair = Pair::open().await;
    let stage = &pair.shop.stage;
    let id = pair.doubtful(Effect::timeout_before_commit()).await;
    let never = stated("never_paid");
    pair.says(SHOP, &id, "propose_by_hand", &never).await;
    pair.says(OTHER, &id, "approve_by_hand", &never).await;
    stage.work_for(TimeDelta::minutes(5)).await;
    assert_eq!(stage.state(&id).await, StateName::Parked);
    let progress = &stage
        .payment(&id)
        .await
        .resolution()
        .unwrap()
        .progress
        .clone();
    let shown = "payable".to_owned();
    assert_eq!(*progress, Progress::Void { shown });
}

#[tokio::test]
async fn only_keys_for_operators_settle_anything() {
    let shop = Shop::open().await;
    let id = shop.stage.charge("k", 1_500).await;
    for (word, body) in [
        ("resolve_as_shown", why()),
        ("propose_by_hand", stated("never_paid")),
        ("approve_by_hand", stated("never_paid")),
    ] {
        let address = format!("/v1/payments/{id}/{word}");
        let heard = shop.served.post(&address, Some("k"), &body).await;
        heard.is(403, "scope_missing");
    }
    assert_eq!(shop.stage.payment(&id).await.commands(), []);
}

#[tokio::test]
async fn of_many_approvals_at_once_one_counts() {
    use holdfast::api::intake::{self, Given};
    use holdfast::store::audit::Mandate;

    let process = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::manual(start_time());
    let settings = redis::Settings {
        url: process.url(),
        ..redis::Settings::default()
    };
    let store = RedisStore::connect(settings, clock.clone()).await.unwrap();
    let stage = Stage::over(store, clock, UnknownPolicy::Park).await;
    let lost = Effect::timeout_before_commit();
    stage.fault(Rule::on(Operation::Charge, lost).times(1));
    let id = stage.charge("k", 1_500).await;
    stage.work_for(TimeDelta::minutes(22)).await;
    assert_eq!(stage.state(&id).await, StateName::Parked);
    stage.sandbox.revoke_key(KEY);
    let policies = Policies::from([(account(), policy(UnknownPolicy::Park))]);
    let give = async |actor: String, approves: bool| {
        let (outcome, reason) = (StatedEnd::NeverPaid, "the bank says so".to_owned());
        let key = IdempotencyKey::new(actor.clone()).unwrap();
        let by = Mandate::typed_by(&actor);
        let command = if approves {
            Command::ApproveByHand {
                outcome,
                reason,
                actor,
            }
        } else {
            Command::ProposeByHand {
                outcome,
                reason,
                actor,
            }
        };
        let given = Given {
            to: &id,
            key: &key,
            command: &command,
            by: &by,
        };
        intake::command(&*stage.store, &stage.clock, &policies, given).await
    };
    give("proposer".to_owned(), false).await.unwrap();
    let approvals = (0..12).map(|number| give(format!("approver-{number}"), true));
    let answers = join_all(approvals).await;
    let accepted = answers.iter().filter(|answer| {
        let told = answer.as_ref().map(|done| done.answer);
        matches!(told, Ok(CommandAnswer::Accepted))
    });
    assert_eq!(accepted.count(), 1, "{answers:?}");
    stage.work_for(TimeDelta::minutes(25)).await;
    let payment = stage.payment(&id).await;
    assert_eq!(*payment.state(), State::Failed(FailReason::StatedByHand));
    assert_eq!(payment.resolution().unwrap().said.len(), 2);
    assert_eq!(stage.taken(&id), (0, 0));
}
