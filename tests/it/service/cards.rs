//! Saved cards: what is known of them, what is refused for it, and how one is deleted. The sandbox is
//! the judge of whether a card is kept.

use chip_sandbox::{Effect, Operation, Rule};
use futures_util::FutureExt as _;
use holdfast::cli::Failure;
use holdfast::gateway::{CardDeletion, CardGateway, CardLook, ChipGateway, Deadlines};
use holdfast::payment::{CardOrder, Voice, Wish};
use holdfast::store::switches::{Switch, SwitchName, Switches};
use holdfast::store::{CardKept, change_card};
use holdfast::worker::cards::CardKeeper;
use holdfast::worker::gate::Gate;

use super::*;
use crate::stage::gateway;

/// The shop, and whoever keeps what is known of cards, one step at a time.
struct Counter {
    shop: Shop,
    keeper: CardKeeper<MemoryStore, ChipGateway>,
}

impl Counter {
    async fn open() -> Self {
        let shop = Shop::open().await;
        let (store, clock) = (Arc::clone(&shop.stage.store), shop.stage.clock.clone());
        let gateway = gateway(&shop.stage.sandbox.base_url(), &clock);
        let keeper = CardKeeper::new(store, Arc::new(gateway), clock);
        Self { shop, keeper }
    }

    fn token(&self) -> String {
        let sandbox = &self.shop.stage.sandbox;
        sandbox.save_card("payer@test.example").to_string()
    }

    fn at(token: &str) -> String {
        let token = CardToken::new(token).unwrap();
        format!("/v1/cards/{}", CardId::derive(&account(), &token))
    }

    async fn asks(&self, key: &str, token: &str) -> Heard {
        let body = charge(token, 1_500);
        self.shop
            .served
            .post("/v1/payments", Some(key), &body)
            .await
    }

    /// A charge of the card, carried out as far as it goes in five minutes, and taken in.
    async fn charges(&self, key: &str, token: &str) -> PaymentId {
        let heard = self.asks(key, token).await;
        assert_eq!(heard.status, 201, "{heard:?}");
        self.shop.stage.work_for(TimeDelta::minutes(5)).await;
        self.follow().await;
        PaymentId::new(heard.id()).unwrap()
    }

    async fn follow(&self) {
        while self.keeper.follow(&mut None).await.unwrap() > 0 {}
    }

    async fn card(&self, token: &str) -> Value {
        let heard = self.shop.served.get(&Self::at(token)).await;
        assert_eq!(heard.status, 200, "{heard:?}");
        heard.body
    }

    async fn delete(&self, token: &str) -> (u16, Value) {
        let heard = self.shop.served.delete(&Self::at(token)).await;
        (heard.status, heard.body["state"].clone())
    }

    async fn keep(&self, token: &str) {
        let card = CardId::derive(&account(), &CardToken::new(token).unwrap());
        let keep = CardOrder::Keep(Voice::new("ann", Some("asked by mistake")));
        let (store, clock) = (&*self.shop.stage.store, &self.shop.stage.clock);
        let kept = holdfast::api::cards::order(store, clock, &card, &keep, None);
        let kept = kept.await.unwrap();
        assert_eq!(kept.asked().last().unwrap().order, keep);
    }

    /// A card that a payer saves a minute after being asked, five minutes ago.
    async fn saves_a_card(&self) -> String {
        let body = json!({"type": "save_card", "account": "hotel",
            "customer": {"email": "payer@test.example"}});
        let served = &self.shop.served;
        let asked = served.post("/v1/payments", Some("s"), &body).await;
        let id = PaymentId::new(asked.id()).unwrap();
        self.shop.stage.work().await;
        self.shop.stage.pass(TimeDelta::minutes(1));
        self.shop.stage.payer_pays(&id).await;
        self.shop.stage.work_for(TimeDelta::minutes(5)).await;
        self.follow().await;
        let saved = served.get(&format!("/v1/payments/{id}")).await;
        saved.body["token"].as_str().unwrap().to_owned()
    }

    async fn look(&self, token: &str) {
        let address = format!("{}/look", Self::at(token));
        let heard = self.shop.served.post(&address, None, &json!({})).await;
        assert_eq!((heard.status, &heard.body["wanted"]), (202, &json!("look")));
    }

    /// Carries out what is wanted of cards, until nothing is for so long.
    async fn carry_out_for(&self, time: TimeDelta) {
        let end = self.shop.stage.clock.now() + time;
        loop {
            while self.keeper.carry_out().await.unwrap() > 0 {}
            if self.shop.stage.clock.now() >= end {
                return;
            }
            self.shop.stage.pass(TimeDelta::seconds(10));
        }
    }

    fn is_kept(&self, token: &str) -> bool {
        let purchase = self.shop.stage.sandbox.purchase(token.parse().unwrap());
        purchase.unwrap()["is_recurring_token"] == true
    }

    fn deletions(&self) -> u64 {
        self.shop
            .stage
            .ledger()
            .counts(Operation::DeleteToken)
            .arrived
    }
}

#[tokio::test]
async fn a_card_is_known_by_its_face_once_it_has_paid_and_never_by_its_token() {
    let counter = Counter::open().await;
    let token = counter.token();
    let unknown = counter.shop.served.get(&Counter::at(&token)).await;
    unknown.is(404, "card_not_found");
    let asked = counter.asks("k", &token).await;
    let card = &asked.body["card"];
    assert_eq!(
        format!("/v1/cards/{}", card["id"].as_str().unwrap()),
        Counter::at(&token)
    );
    assert!(
        card["brand"].is_null() && card["last_four"].is_null(),
        "{card}"
    );
    counter.shop.stage.work().await;
    counter.follow().await;
    let paid = counter
        .shop
        .served
        .get(&format!("/v1/payments/{}", asked.id()))
        .await;
    assert_eq!(paid.body["state"], "paid");
    let card = counter.card(&token).await;
    for shown in [&card, &paid.body["card"]] {
        assert_eq!(shown["brand"], "visa", "{shown}");
        assert_eq!(shown["last_four"], "1111", "{shown}");
        assert!(!shown.to_string().contains(&token), "{shown}");
    }
    assert_eq!(card["state"], "live");
    assert!(card["why"].is_null() && card["since"].is_null() && card["wanted"].is_null());
    let events = counter.shop.stage.store.events();
    let told = serde_json::to_string(events.last().unwrap()).unwrap();
    assert!(
        told.contains(r#""last_four":"1111""#) && !told.contains(&token),
        "{told}"
    );
    let stored = counter
        .shop
        .stage
        .payment(&PaymentId::new(asked.id()).unwrap())
        .await;
    let stored = serde_json::to_string(&stored).unwrap();
    assert!(
        !stored.contains("444433"),
        "nothing more of its number is kept"
    );
}

#[tokio::test]
async fn the_payment_that_saved_a_card_is_told_with_it() {
    let counter = Counter::open().await;
    let body = json!({"type": "save_card", "account": "hotel",
        "customer": {"email": "payer@test.example"}});
    let asked = counter
        .shop
        .served
        .post("/v1/payments", Some("s"), &body)
        .await;
    assert!(asked.body["card"].is_null(), "nothing is known of one");
    let id = PaymentId::new(asked.id()).unwrap();
    counter.shop.stage.work().await;
    counter.shop.stage.payer_pays(&id).await;
    counter.shop.stage.work_for(TimeDelta::minutes(5)).await;
    counter.follow().await;
    let saved = counter.shop.served.get(&format!("/v1/payments/{id}")).await;
    let token = saved.body["token"].as_str().unwrap().to_owned();
    let card = counter.card(&token).await;
    assert_eq!(
        (&card["saved_by"], &card["state"]),
        (&json!(id), &json!("live"))
    );
    assert_eq!(
        (&card["brand"], &card["last_four"]),
        (&json!("visa"), &json!("1111"))
    );
}

#[tokio::test]
async fn a_card_whose_token_the_gateway_refused_is_refused_at_once_with_the_reason() {
    let counter = Counter::open().await;
    let token = counter.token();
    let early = counter.asks("early", &token).await;
    counter
        .shop
        .stage
        .sandbox
        .kill_token(token.parse().unwrap());
    let began = counter.shop.stage.clock.now();
    let failed = counter.charges("k", &token).await;
    let card = counter.card(&token).await;
    assert_eq!(card["state"], "dead", "{card}");
    assert_eq!(card["why"], "invalid_recurring_token");
    assert_eq!(
        card["since"],
        json!(began),
        "when the call began that was refused"
    );
    assert!(
        card["payment"] == json!(failed) || card["payment"] == early.body["id"],
        "{card}"
    );
    let refused = counter.asks("again", &token).await;
    refused.is(409, "card_dead");
    assert_eq!(refused.body["field"], "token");
    let told = refused.body["detail"].as_str().unwrap();
    assert!(
        told.contains("invalid_recurring_token") && told.contains("2027-"),
        "{told}"
    );
    assert!(!told.contains(&token), "{told}");
    let mut shouted = charge(&token.to_uppercase(), 1_500);
    let heard = counter
        .shop
        .served
        .post("/v1/payments", Some("a2"), &shouted)
        .await;
    heard.is(409, "card_dead");
    // Nothing was recorded, and what was recorded before is answered as before.
    let id = PaymentId::derive(&account(), &IdempotencyKey::new("again").unwrap());
    assert!(counter.shop.stage.store.load(&id).await.unwrap().is_none());
    let before = counter.asks("k", &token).await;
    assert_eq!((before.status, before.id()), (200, failed.as_str()));
    shouted["money"]["amount"] = 1_600.into();
    let other = counter
        .shop
        .served
        .post("/v1/payments", Some("k"), &shouted)
        .await;
    other.is(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_hold_on_a_dead_card_is_refused_and_a_checkout_or_anothers_card_is_not() {
    let counter = Counter::open().await;
    let token = counter.token();
    counter
        .shop
        .stage
        .sandbox
        .kill_token(token.parse().unwrap());
    counter.charges("k", &token).await;
    let mut hold = json!({"type": "authorize", "account": "hotel", "source": {"token": token},
        "money": {"amount": 9_000, "currency": "MYR"},
        "customer": {"email": "payer@test.example"}});
    let heard = counter
        .shop
        .served
        .post("/v1/payments", Some("h"), &hold)
        .await;
    heard.is(409, "card_dead");
    assert_eq!(heard.body["field"], "source.token");
    hold["source"] = json!({"checkout": {}});
    let heard = counter
        .shop
        .served
        .post("/v1/payments", Some("h"), &hold)
        .await;
    assert_eq!(heard.status, 201);
    let mut elsewhere = charge(&token, 1_500);
    elsewhere["account"] = "rental".into();
    let heard = counter
        .shop
        .served
        .post("/v1/payments", Some("r"), &elsewhere)
        .await;
    assert_eq!(heard.status, 201);
}

#[tokio::test]
async fn a_decline_that_says_nothing_of_the_token_says_nothing_of_the_card() {
    let counter = Counter::open().await;
    let token = counter.token();
    counter.charges("paid", &token).await;
    let decline = Rule::on(Operation::Charge, Effect::decline("do_not_honour"));
    counter.shop.stage.fault(decline.times(1));
    let id = counter.charges("k", &token).await;
    assert_eq!(counter.shop.stage.state(&id).await, StateName::Failed);
    assert_eq!(counter.card(&token).await["state"], "live");
    assert_eq!(counter.asks("again", &token).await.status, 201);
}

#[tokio::test]
async fn a_look_does_not_revive_a_card_whose_time_is_said_to_be_over_but_a_person_does() {
    let counter = Counter::open().await;
    let token = counter.token();
    let decline = Rule::on(
        Operation::Charge,
        Effect::decline("recurring_token_expired"),
    );
    counter.shop.stage.fault(decline.times(1));
    counter.charges("k", &token).await;
    counter.shop.stage.pass(TimeDelta::minutes(1));
    counter.look(&token).await;
    counter.carry_out_for(TimeDelta::zero()).await;
    let card = counter.card(&token).await;
    assert_eq!(card["why"], "recurring_token_expired", "{card}");
    assert!(card["wanted"].is_null(), "{card}");
    counter.asks("again", &token).await.is(409, "card_dead");
    counter.keep(&token).await;
    let id = counter.charges("again", &token).await;
    assert_eq!(counter.shop.stage.taken(&id), (1_500, 1));
}

#[tokio::test]
async fn an_old_copy_of_a_purchase_kills_no_card_and_ends_no_deletion() {
    for wish in [Wish::Look, Wish::Delete] {
        let counter = Counter::open().await;
        let token = counter.saves_a_card().await;
        let old = Rule::on(Operation::Retrieve, Effect::StaleBy(330_000));
        counter.shop.stage.fault(old.times(1));
        match wish {
            Wish::Look => counter.look(&token).await,
            Wish::Delete => {
                let told = counter.delete(&token).await;
                assert_eq!(told, (202, json!("deleting")));
            }
        }
        counter.carry_out_for(TimeDelta::zero()).await;
        let card = counter.card(&token).await;
        assert_ne!(card["state"], "dead", "{card}");
        assert!(counter.is_kept(&token));
        assert!(!card["wanted"].is_null(), "it is asked again: {card}");
        counter.carry_out_for(TimeDelta::seconds(10)).await;
        let card = counter.card(&token).await;
        assert!(card["wanted"].is_null(), "{card}");
        let (state, kept, sent) = match wish {
            Wish::Look => ("live", true, 0),
            Wish::Delete => ("dead", false, 1),
        };
        assert_eq!(card["state"], state, "{card}");
        assert_eq!((counter.is_kept(&token), counter.deletions()), (kept, sent));
    }
}

#[tokio::test]
async fn no_card_is_told_deleted_for_which_no_deletion_was_sent() {
    let counter = Counter::open().await;
    let token = counter.token();
    counter.charges("k", &token).await;
    let sandbox = &counter.shop.stage.sandbox;
    sandbox.kill_token(token.parse().unwrap());
    counter.look(&token).await;
    counter.carry_out_for(TimeDelta::zero()).await;
    assert_eq!(counter.card(&token).await["why"], "not_a_token");
    assert_eq!(counter.delete(&token).await, (202, json!("deleting")));
    let cut = Rule::on(Operation::Retrieve, Effect::status_before_commit(502));
    counter.shop.stage.fault(cut.times(1));
    counter.carry_out_for(TimeDelta::zero()).await;
    assert_eq!(counter.deletions(), 0);
    assert_eq!(counter.card(&token).await["state"], "deleting");
    counter.carry_out_for(TimeDelta::seconds(10)).await;
    assert_eq!(counter.deletions(), 1);
    assert_eq!(counter.card(&token).await["why"], "deleted");
    assert_eq!(counter.delete(&token).await, (200, json!("dead")));
}

#[tokio::test]
async fn nothing_is_asked_of_a_card_that_the_store_may_forget_and_repeats_are_answered() {
    let counter = Counter::open().await;
    let (token, other) = (counter.token(), counter.token());
    counter.charges("k", &token).await;
    counter.charges("o", &other).await;
    counter.delete(&token).await;
    let store = &counter.shop.stage.store;
    store.fall_short(Some("appendfsync is everysec"));
    let served = &counter.shop.served;
    let refused = served.delete(&Counter::at(&other)).await;
    refused.is(503, "store_unavailable");
    assert!(refused.header("retry-after").is_some());
    let look = format!("{}/look", Counter::at(&other));
    let refused = served.post(&look, None, &json!({})).await;
    refused.is(503, "store_unavailable");
    let card = counter.card(&other).await;
    assert!(card["wanted"].is_null(), "nothing was recorded: {card}");
    assert_eq!(counter.delete(&token).await, (202, json!("deleting")));
    counter.carry_out_for(TimeDelta::zero()).await;
    assert_eq!(counter.delete(&token).await, (200, json!("dead")));
    store.fall_short(None);
    assert_eq!(counter.delete(&other).await.0, 202);
}

#[tokio::test]
async fn a_deletion_that_was_withdrawn_is_not_carried_out() {
    let counter = Counter::open().await;
    let token = counter.token();
    counter.charges("k", &token).await;
    let away = Rule::on(Operation::Retrieve, Effect::status_before_commit(502));
    counter.shop.stage.fault(away.times(2));
    counter.delete(&token).await;
    counter.carry_out_for(TimeDelta::seconds(10)).await;
    counter.keep(&token).await;
    counter.carry_out_for(TimeDelta::hours(2)).await;
    assert_eq!((counter.deletions(), counter.is_kept(&token)), (0, true));
    assert_eq!(counter.card(&token).await["state"], "live");
    let id = counter.charges("again", &token).await;
    assert_eq!(counter.shop.stage.taken(&id), (1_500, 1));
}

#[tokio::test]
async fn no_card_is_deleted_while_that_is_stopped_and_a_look_goes_on() {
    let mut counter = Counter::open().await;
    let clock = counter.shop.stage.clock.clone();
    let (deleted, looked_at) = (counter.token(), counter.token());
    counter.charges("k", &deleted).await;
    counter.charges("other", &looked_at).await;
    let stops = |name: Option<&str>| Switches {
        set: name
            .map(|name| {
                let switch = Switch {
                    since: clock.now(),
                    actor: "aisyah".to_owned(),
                    reason: "a test".to_owned(),
                    until: None,
                };
                (SwitchName::parse(name).unwrap(), switch)
            })
            .into_iter()
            .collect(),
        ..Switches::default()
    };
    let deadlines = Deadlines {
        create_ms: 20_000,
        look_up_ms: 20_000,
        charge_ms: 20_000,
        capture_ms: 20_000,
        release_ms: 20_000,
        cancel_ms: 20_000,
    };
    let gate = Gate::watched(clock.now(), deadlines, Switches::default());
    let Counter { shop, keeper } = counter;
    let keeper = keeper.behind(gate.clone());
    counter = Counter { shop, keeper };
    counter.delete(&deleted).await;
    counter.look(&looked_at).await;
    for name in ["all", "account:hotel"] {
        for _ in 0..5 {
            gate.learn(stops(Some(name)), clock.now());
            while counter.keeper.carry_out().await.unwrap() > 0 {}
            counter.shop.stage.pass(TimeDelta::seconds(10));
        }
        assert_eq!((counter.deletions(), counter.is_kept(&deleted)), (0, true));
        assert_eq!(counter.card(&looked_at).await["wanted"], Value::Null);
    }
    for _ in 0..3 {
        gate.learn(stops(Some("account:rental")), clock.now());
        counter.carry_out_for(TimeDelta::zero()).await;
        counter.shop.stage.pass(TimeDelta::seconds(10));
    }
    assert_eq!((counter.deletions(), counter.is_kept(&deleted)), (1, false));
    let (_, _, under_way) = gate.standing().unwrap();
    assert_eq!(under_way, [("delete_card".to_owned(), 0)].into());
}

#[tokio::test]
async fn what_cannot_be_read_of_payments_holds_up_no_deletion() {
    let counter = Counter::open().await;
    let token = counter.token();
    counter.charges("k", &token).await;
    counter.delete(&token).await;
    let unreached = holdfast::store::memory::Trouble::Unreached;
    let store = &counter.shop.stage.store;
    store.disturb(move |call| (call == "news").then_some(unreached));
    let stop = tokio_util::sync::CancellationToken::new();
    let Counter { shop, keeper } = counter;
    let running = tokio::spawn(keeper.run(stop.clone()));
    let card = Counter::at(&token);
    let seen = async {
        while shop.served.get(&card).await.body["why"] != "deleted" {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let seen = tokio::time::timeout(std::time::Duration::from_secs(20), seen).await;
    seen.expect("it is deleted");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn an_account_whose_key_is_refused_or_that_is_too_fast_has_its_cards_left_alone() {
    for (effect, rest) in [
        (Effect::status_before_commit(401), 60),
        (Effect::rate_limited(45), 45),
    ] {
        let counter = Counter::open().await;
        let mut tokens = Vec::new();
        for nth in 0..3 {
            let token = counter.token();
            counter.charges(&format!("k{nth}"), &token).await;
            counter.delete(&token).await;
            tokens.push(token);
        }
        let looks = || {
            let ledger = counter.shop.stage.ledger();
            ledger.counts(Operation::Retrieve).arrived
        };
        let name = format!("{effect:?}");
        let refused = Rule::on(Operation::Retrieve, effect);
        counter.shop.stage.fault(refused.times(2));
        let before = looks();
        counter.keeper.carry_out().await.unwrap();
        assert_eq!(looks() - before, 2, "{name}: two at once");
        for _ in 0..3 {
            counter.keeper.carry_out().await.unwrap();
        }
        counter.shop.stage.pass(TimeDelta::seconds(rest - 1));
        counter.keeper.carry_out().await.unwrap();
        assert_eq!(looks() - before, 2, "{name}: the others wait as well");
        counter.carry_out_for(TimeDelta::seconds(10)).await;
        for token in &tokens {
            assert!(!counter.is_kept(token), "{name}");
        }
    }
}

#[tokio::test]
async fn a_deletion_that_came_too_fast_is_sent_again_when_the_gateway_says() {
    let counter = Counter::open().await;
    let token = counter.token();
    counter.charges("k", &token).await;
    counter.delete(&token).await;
    let fast = Rule::on(Operation::DeleteToken, Effect::rate_limited(90));
    counter.shop.stage.fault(fast.times(1));
    counter.carry_out_for(TimeDelta::seconds(80)).await;
    assert_eq!(counter.deletions(), 1);
    counter.carry_out_for(TimeDelta::seconds(20)).await;
    assert_eq!((counter.deletions(), counter.is_kept(&token)), (2, false));
}

#[tokio::test]
async fn a_look_revives_a_card_that_was_taken_for_dead() {
    let counter = Counter::open().await;
    let token = counter.token();
    let decline = Rule::on(
        Operation::Charge,
        Effect::decline("invalid_recurring_token"),
    );
    counter.shop.stage.fault(decline.times(1));
    counter.charges("k", &token).await;
    assert_eq!(counter.card(&token).await["why"], "invalid_recurring_token");
    counter.asks("again", &token).await.is(409, "card_dead");
    counter.look(&token).await;
    counter.carry_out_for(TimeDelta::zero()).await;
    let card = counter.card(&token).await;
    assert_eq!(card["state"], "live", "{card}");
    assert_eq!(card["looked_at"], json!(counter.shop.stage.clock.now()));
    assert!(card["wanted"].is_null(), "{card}");
    let id = counter.charges("again", &token).await;
    assert_eq!(counter.shop.stage.taken(&id), (1_500, 1));
    // The old death, told once more, is still the older sign.
    counter.follow().await;
    assert_eq!(counter.card(&token).await["state"], "live");
}

#[tokio::test]
async fn a_look_finds_a_card_that_was_deleted_elsewhere() {
    let counter = Counter::open().await;
    let token = counter.token();
    counter.charges("k", &token).await;
    counter
        .shop
        .stage
        .sandbox
        .kill_token(token.parse().unwrap());
    let away = Rule::on(Operation::Retrieve, Effect::status_before_commit(502));
    counter.shop.stage.fault(away.times(2));
    counter.look(&token).await;
    counter.carry_out_for(TimeDelta::seconds(30)).await;
    assert_eq!(
        counter.card(&token).await["wanted"],
        "look",
        "it goes on trying"
    );
    counter.carry_out_for(TimeDelta::minutes(3)).await;
    let card = counter.card(&token).await;
    assert_eq!(
        (&card["state"], &card["why"]),
        (&json!("dead"), &json!("not_a_token"))
    );
    counter.asks("again", &token).await.is(409, "card_dead");
    assert_eq!(counter.deletions(), 0, "a look deletes nothing");
}

#[tokio::test]
async fn what_is_not_known_at_the_gateway_ends_a_look_and_says_nothing_of_the_card() {
    let counter = Counter::open().await;
    let token = counter.token();
    counter.charges("k", &token).await;
    let unknown = Rule::on(Operation::Retrieve, Effect::status_before_commit(404));
    counter.shop.stage.fault(unknown);
    counter.look(&token).await;
    counter.carry_out_for(TimeDelta::seconds(10)).await;
    assert_eq!(counter.card(&token).await["state"], "live");
}

#[tokio::test]
async fn a_deletion_is_durable_refuses_at_once_and_ends_when_the_gateway_shows_it() {
    let counter = Counter::open().await;
    let token = counter.token();
    counter.charges("k", &token).await;
    assert_eq!(counter.delete(&token).await, (202, json!("deleting")));
    let refused = counter.asks("again", &token).await;
    refused.is(409, "card_dead");
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .contains("being_deleted")
    );
    assert_eq!(
        counter.delete(&token).await,
        (202, json!("deleting")),
        "the same again"
    );
    assert!(counter.is_kept(&token), "nobody has worked yet");
    counter.carry_out_for(TimeDelta::zero()).await;
    assert!(!counter.is_kept(&token));
    let card = counter.card(&token).await;
    assert_eq!(
        (&card["state"], &card["why"]),
        (&json!("dead"), &json!("deleted"))
    );
    assert_eq!(counter.delete(&token).await, (200, json!("dead")));
    counter.asks("again", &token).await.is(409, "card_dead");
    counter.carry_out_for(TimeDelta::minutes(1)).await;
    assert_eq!(counter.deletions(), 1);
}

#[tokio::test]
async fn whatever_becomes_of_the_calls_a_card_is_told_deleted_only_when_it_is() {
    for (fault, sent) in [
        (Effect::timeout_after_commit(), 1),
        (Effect::reset_after_commit(), 1),
        (Effect::status_after_commit(500), 1),
        (Effect::truncated(), 1),
        (Effect::timeout_before_commit(), 2),
        (Effect::status_before_commit(503), 2),
        (Effect::rate_limited(1), 2),
        (Effect::pending(5_000), 1),
    ] {
        let counter = Counter::open().await;
        let token = counter.token();
        counter.charges("k", &token).await;
        let name = format!("{fault:?}");
        counter
            .shop
            .stage
            .fault(Rule::on(Operation::DeleteToken, fault).times(1));
        counter.delete(&token).await;
        for _ in 0..6 {
            counter.carry_out_for(TimeDelta::zero()).await;
            let card = counter.card(&token).await;
            let told = card["state"] == "dead";
            assert!(!told || !counter.is_kept(&token), "{name}: {card}");
            assert_eq!(counter.asks("no", &token).await.status, 409, "{name}");
            counter.shop.stage.pass(TimeDelta::seconds(10));
        }
        let card = counter.card(&token).await;
        assert_eq!(
            (&card["state"], &card["why"]),
            (&json!("dead"), &json!("deleted")),
            "{name}"
        );
        assert_eq!(counter.deletions(), sent, "{name}");
    }
}

#[tokio::test]
async fn a_deletion_waits_longer_and_longer_and_is_never_given_up() {
    let counter = Counter::open().await;
    let token = counter.token();
    counter.charges("k", &token).await;
    let away = Rule::on(Operation::Retrieve, Effect::status_before_commit(502));
    counter.shop.stage.fault(away.times(8));
    counter.delete(&token).await;
    let looks = |counter: &Counter| {
        counter
            .shop
            .stage
            .ledger()
            .counts(Operation::Retrieve)
            .arrived
    };
    let before = looks(&counter);
    let mut waits = Vec::new();
    for seconds in [0, 10, 30, 120, 600, 1_800, 3_600, 3_600] {
        if seconds > 0 {
            counter.shop.stage.pass(TimeDelta::seconds(seconds - 1));
            assert_eq!(counter.keeper.carry_out().await.unwrap(), 0, "{seconds}");
            counter.shop.stage.pass(TimeDelta::seconds(1));
        }
        counter.keeper.carry_out().await.unwrap();
        waits.push(looks(&counter) - before);
    }
    assert_eq!(waits, [1, 2, 3, 4, 5, 6, 7, 8]);
    counter.carry_out_for(TimeDelta::hours(1)).await;
    assert_eq!(counter.card(&token).await["why"], "deleted");
}

#[tokio::test]
async fn a_card_is_nobody_elses_to_see_or_to_delete() {
    let counter = Counter::open().await;
    let token = counter.token();
    counter.charges("k", &token).await;
    let served = &counter.shop.served;
    let at = Counter::at(&token);
    let rental = ApiKey {
        accounts: Some([AccountName::new("rental").unwrap()].into()),
        ..shop()
    };
    let reads = key("reads", READS, &[Scope::Read]);
    served.ring.replace(vec![rental, reads]);
    served.get(&at).await.is(404, "card_not_found");
    served.delete(&at).await.is(404, "card_not_found");
    let look = format!("{at}/look");
    served
        .post(&look, None, &json!({}))
        .await
        .is(404, "card_not_found");
    let url = format!("http://{}{at}", served.address);
    let seen = Heard::of(served.client.get(&url).bearer_auth(READS)).await;
    assert_eq!(seen.status, 200);
    let refused = Heard::of(served.client.delete(&url).bearer_auth(READS)).await;
    refused.is(403, "scope_missing");
    served
        .ring
        .replace(vec![key("commands", SHOP, &[Scope::Command])]);
    served.get(&at).await.is(403, "scope_missing");
    served.ring.replace(vec![shop()]);
    for wrong in [
        token.as_str(),
        "card_0",
        "pay_0123456789abcdef0123456789abcdef",
    ] {
        served
            .get(&format!("/v1/cards/{wrong}"))
            .await
            .is(404, "card_not_found");
    }
    assert!(
        counter.card(&token).await["wanted"].is_null(),
        "nothing was begun"
    );
}

#[tokio::test]
async fn a_store_that_cannot_be_asked_about_a_card_refuses_its_request_until_it_can() {
    let counter = Counter::open().await;
    let token = counter.token();
    counter.charges("k", &token).await;
    let store = &counter.shop.stage.store;
    let unreached = holdfast::store::memory::Trouble::Unreached;
    store.disturb(move |call| (call == "card").then_some(unreached));
    counter
        .asks("again", &token)
        .await
        .is(503, "store_unavailable");
    store.disturb(|_| None);
    let pays = counter.asks("again", &token).await;
    assert_eq!(pays.status, 201);
}

#[tokio::test]
async fn only_a_request_with_a_token_asks_for_a_card_and_once() {
    let counter = Counter::open().await;
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let calls = Arc::clone(&asked);
    counter.shop.stage.store.disturb(move |call| {
        calls.lock().unwrap().push(call);
        None
    });
    counter.asks("k", &counter.token()).await;
    assert_eq!(
        std::mem::take(&mut *asked.lock().unwrap()),
        ["card", "create"]
    );
    let save = json!({"type": "save_card", "account": "hotel",
        "customer": {"email": "payer@test.example"}});
    counter
        .shop
        .served
        .post("/v1/payments", Some("s"), &save)
        .await;
    assert_eq!(*asked.lock().unwrap(), ["create"]);
}

/// Keeps the lines that are logged.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_token_is_logged_whatever_is_done_about_its_card() {
    let lines = Lines::default();
    let writer = lines.clone();
    let _log = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish(),
    );
    let counter = Counter::open().await;
    let token = counter.token();
    counter.charges("k", &token).await;
    counter.look(&token).await;
    counter.carry_out_for(TimeDelta::zero()).await;
    let lost = Rule::on(Operation::DeleteToken, Effect::reset_before_commit());
    counter.shop.stage.fault(lost.times(1));
    counter.delete(&token).await;
    counter.carry_out_for(TimeDelta::minutes(1)).await;
    counter.asks("again", &token).await.is(409, "card_dead");
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let ours: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(" holdfast::"))
        .collect();
    for told in [
        "a card was looked at",
        "is not done yet",
        "asked to delete a card",
    ] {
        assert!(
            ours.iter().any(|line| line.contains(told)),
            "{told}: {ours:#?}"
        );
    }
    let secret = ours.iter().find(|line| line.contains(&token));
    assert_eq!(secret, None);
}

#[tokio::test]
async fn who_wants_something_of_a_card_is_logged_once() {
    let counter = Counter::open().await;
    let token = counter.token();
    counter.charges("k", &token).await;
    counter.delete(&token).await;
    // Asked for the same, nothing changes, and nothing is said.
    counter.delete(&token).await;
    let log = counter.shop.stage.store.audit();
    assert_eq!(log.len(), 1, "{log:?}");
    let said = (log[0].action.as_str(), log[0].actor.name.as_str());
    assert_eq!(said, ("card_delete", "shop"));
    let card = CardId::derive(&account(), &CardToken::new(&token).unwrap());
    assert_eq!(log[0].card, Some(card));
    assert_eq!(log[0].after.as_ref().unwrap()["wanted"], "delete");
    let told = serde_json::to_string(&log).unwrap();
    assert!(!told.contains(&token), "{told}");
}

/// A gateway that the program breaks on when it shows this card.
struct BreaksAt {
    gateway: ChipGateway,
    token: String,
}

impl CardGateway for BreaksAt {
    async fn look_at_card(&self, account: &AccountName, token: &CardToken) -> CardLook {
        assert_ne!(token.as_str(), self.token, "of this test");
        self.gateway.look_at_card(account, token).await
    }

    async fn delete_card(&self, account: &AccountName, token: &CardToken) -> CardDeletion {
        self.gateway.delete_card(account, token).await
    }
}

#[tokio::test]
async fn a_card_that_breaks_its_step_keeps_no_other_from_being_deleted() {
    let counter = Counter::open().await;
    let (bad, good) = (counter.token(), counter.token());
    counter.charges("bad", &bad).await;
    counter.charges("good", &good).await;
    for token in [&bad, &good] {
        assert_eq!(counter.delete(token).await.0, 202);
    }
    let stage = &counter.shop.stage;
    let breaks = BreaksAt {
        gateway: gateway(&stage.sandbox.base_url(), &stage.clock),
        token: bad.clone(),
    };
    let (store, clock) = (Arc::clone(&stage.store), stage.clock.clone());
    let keeper = CardKeeper::new(store, Arc::new(breaks), clock);
    // To tell of a panic takes so long that a look beside it may be lost.
    for _ in 0..6 {
        while keeper.carry_out().await.unwrap() > 0 {}
        stage.pass(TimeDelta::seconds(10));
    }
    assert!(!counter.is_kept(&good));
    assert!(counter.is_kept(&bad));

    // By a program that does not break on it.
    stage.pass(TimeDelta::minutes(10));
    counter.carry_out_for(TimeDelta::minutes(1)).await;
    assert!(!counter.is_kept(&bad));
}

#[tokio::test]
async fn of_a_card_that_others_change_all_the_time_it_is_said_that_it_was_not_done() {
    let counter = Counter::open().await;
    let token = counter.token();
    counter.charges("k", &token).await;
    let id = CardId::derive(&account(), &CardToken::new(&token).unwrap());
    let store = &*counter.shop.stage.store;
    let changed = change_card(store, &id, |known| {
        let card = known?.clone();
        let found = store.card(&id).now_or_never().unwrap().unwrap();
        let quicker = store.keep_card(found.as_ref(), &card).now_or_never();
        assert_eq!(quicker.unwrap().unwrap(), CardKept::Now);
        Some(card)
    });
    let failure = Failure::from(changed.await.unwrap_err());
    assert_eq!(failure.exit_code(), 3, "Redis is not at fault: {failure}");
    let told = failure.to_string();
    assert!(told.contains("it was not done"), "{told}");
    assert!(!told.contains("Redis"), "{told}");
}
