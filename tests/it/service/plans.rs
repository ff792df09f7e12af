//! Plans over the API: for operators, and each of its own accounts.

use chip_sandbox::{Effect, Operation, Rule};
use holdfast::gateway::ChipGateway;
use holdfast::worker::plans::Planner;

use super::*;
use crate::stage::gateway;

/// The API for an operator whose key is for some accounts, beside a worker.
struct Office {
    shop: Shop,
    planner: Planner<MemoryStore, ChipGateway>,
}

impl Office {
    async fn open(change: impl FnOnce(&mut ApiKey)) -> Self {
        let mut shop = Shop::open().await;
        let mut operator = key("ops", SHOP, &[Scope::Read, Scope::Command, Scope::Operate]);
        change(&mut operator);
        let (store, clock) = (Arc::clone(&shop.stage.store), shop.stage.clock.clone());
        shop.served = Served::over(Arc::clone(&store), &clock, vec![operator], PACE).await;
        let gateway = gateway(&shop.stage.sandbox.base_url(), &clock);
        let policies = Policies::from([(account(), policy(UnknownPolicy::Park))]);
        let planner = Planner::new(store, Arc::new(gateway), clock, policies);
        Self { shop, planner }
    }

    async fn parked(&self, key: &str, amount: u64) -> PaymentId {
        let wrong = Effect::decline("acquirer_configuration_error");
        self.shop
            .stage
            .fault(Rule::on(Operation::Charge, wrong).times(1));
        let id = self.shop.stage.charge(key, amount).await;
        self.shop.stage.work().await;
        assert_eq!(self.shop.stage.state(&id).await, StateName::Parked);
        id
    }

    async fn works(&self) {
        for _ in 0..20 {
            while self.planner.carry_out().await.unwrap() > 0 {}
            self.shop.stage.work().await;
            self.shop.stage.pass(TimeDelta::seconds(1));
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Heard {
        self.shop.served.post(path, None, body).await
    }

    async fn made(&self, body: &Value) -> String {
        let heard = self.post("/v1/plans", body).await;
        assert_eq!(
            (heard.status, &heard.body["phase"]),
            (202, &json!("asking"))
        );
        self.works().await;
        format!("/v1/plans/{}", heard.id())
    }
}

#[tokio::test]
async fn a_plan_is_made_seen_and_applied_over_the_api() {
    let office = Office::open(|_| {}).await;
    let id = office.parked("k", 1_500).await;
    let plan = office
        .made(&json!({"state": "parked", "reason": "declined_for_operator"}))
        .await;
    let seen = office.shop.served.get(&plan).await;
    assert_eq!((seen.status, &seen.body["phase"]), (200, &json!("ready")));
    assert_eq!(seen.body["made_by"], "key:ops");
    assert_eq!(seen.body["payments"][0]["payment"], json!(id));
    let expected = json!({"how": "takes", "amount": 1_500, "currency": "MYR"});
    assert_eq!(seen.body["touches"][0], expected);
    assert_eq!(office.shop.stage.taken(&id), (0, 0));
    let apply = format!("{plan}/apply");
    let why = json!({"reason": "mended"});
    assert_eq!(office.post(&apply, &why).await.status, 202);
    office.works().await;
    let done = office.shop.served.get(&plan).await;
    assert_eq!(
        (&done.body["phase"], &done.body["fates"]),
        (&json!("done"), &json!({"as_foreseen": 1}))
    );
    assert_eq!(office.shop.stage.taken(&id), (1_500, 1));
    office.post(&apply, &why).await.is(409, "plan_not_now");
    for other in ["stop", "resume"] {
        office
            .post(&format!("{plan}/{other}"), &why)
            .await
            .is(409, "plan_not_now");
    }
    let listed = office.shop.served.get("/v1/plans").await;
    assert_eq!(listed.body["plans"][0]["applied_by"], "key:ops");
}

#[tokio::test]
async fn plans_are_for_operators_alone() {
    let shop = Shop::open().await;
    let none = json!({"state": "parked"});
    shop.served
        .post("/v1/plans", None, &none)
        .await
        .is(403, "scope_missing");
    shop.served.get("/v1/plans").await.is(403, "scope_missing");
}

#[tokio::test]
async fn a_key_plans_for_its_own_accounts_and_sees_no_others_plan() {
    let rental = || Some([AccountName::new("rental").unwrap()].into());
    let office = Office::open(|key| key.accounts = rental()).await;
    let id = office.parked("k", 1_500).await;
    let elsewhere = office
        .post("/v1/plans", &json!({"state": "parked", "account": "hotel"}))
        .await;
    elsewhere.is(403, "account_forbidden");
    let plan = office.made(&json!({"payments": [id]})).await;
    let seen = office.shop.served.get(&plan).await;
    assert_eq!(seen.body["payments"][0]["left_out"], "missing");
    assert!(seen.body["payments"][0]["state"].is_null(), "{seen:?}");
    let whole = Office::open(|_| {}).await;
    whole.parked("k", 1_500).await;
    let plan = whole.made(&json!({"state": "parked"})).await;
    let mut narrow = key("ops", SHOP, &[Scope::Operate]);
    narrow.accounts = rental();
    whole.shop.served.ring.replace(vec![narrow]);
    whole.shop.served.get(&plan).await.is(404, "plan_not_found");
    let apply = whole
        .post(&format!("{plan}/apply"), &json!({"reason": "x"}))
        .await;
    apply.is(404, "plan_not_found");
    let listed = whole.shop.served.get("/v1/plans").await;
    assert_eq!(listed.body["plans"], json!([]));
}

#[tokio::test]
async fn a_key_applies_no_plan_that_moves_more_than_it_may() {
    for (largest, status) in [(1_499, 403), (1_500, 202)] {
        let office = Office::open(|key| key.largest_amount_minor = Some(largest)).await;
        office.parked("k", 1_500).await;
        let plan = office.made(&json!({"state": "parked"})).await;
        let apply = office
            .post(&format!("{plan}/apply"), &json!({"reason": "x"}))
            .await;
        assert_eq!(apply.status, status, "{apply:?}");
    }
}

#[tokio::test]
async fn a_key_applies_no_plan_that_may_come_to_more_than_it_may_move() {
    for (largest, status) in [(1_499, 403), (1_500, 202)] {
        for (after, state, foreseen) in [
            (TimeDelta::minutes(1), "new", "goes on as new"),
            (
                TimeDelta::minutes(40),
                "parked",
                "stays parked: outcome_unknown",
            ),
        ] {
            let office = Office::open(|key| key.largest_amount_minor = Some(largest)).await;
            let lost = Rule::on(Operation::Charge, Effect::timeout_before_commit());
            office.shop.stage.fault(lost.times(1));
            let id = office.shop.stage.charge("k", 1_500).await;
            office.shop.stage.work_for(after).await;
            let plan = office.made(&json!({"payments": [id]})).await;
            let seen = office.shop.served.get(&plan).await;
            let planned = &seen.body["payments"][0];
            assert_eq!(planned["state"], state);
            let told = planned["foreseen"].as_str().unwrap();
            assert!(told.starts_with(foreseen), "{told}");
            let apply = office
                .post(&format!("{plan}/apply"), &json!({"reason": "x"}))
                .await;
            assert_eq!(apply.status, status, "{apply:?}");
        }
    }
}

#[tokio::test]
async fn whoever_sees_a_plan_stops_it_however_much_it_moves_and_while_redis_falls_short() {
    let office = Office::open(|_| {}).await;
    for at in 0..3 {
        office.parked(&format!("k{at}"), 1_500).await;
    }
    let plan = office.made(&json!({"state": "parked"})).await;
    let why = json!({"reason": "x"});
    assert_eq!(
        office.post(&format!("{plan}/apply"), &why).await.status,
        202
    );
    let store = &office.shop.stage.store;
    store.fall_short(Some("appendfsync is everysec"));
    let ring = &office.shop.served.ring;
    let mut little = key("ops", SHOP, &[Scope::Operate]);
    little.largest_amount_minor = Some(1);
    let mut elsewhere = key("ops", SHOP, &[Scope::Operate]);
    elsewhere.accounts = Some([AccountName::new("rental").unwrap()].into());
    let stop = format!("{plan}/stop");
    ring.replace(vec![elsewhere]);
    office.post(&stop, &why).await.is(404, "plan_not_found");
    ring.replace(vec![key("ops", SHOP, &[Scope::Read, Scope::Command])]);
    office.post(&stop, &why).await.is(403, "scope_missing");
    ring.replace(vec![little]);
    let stopped = office.post(&stop, &why).await;
    assert_eq!(
        (stopped.status, &stopped.body["phase"]),
        (202, &json!("stopped"))
    );
    let resume = format!("{plan}/resume");
    office.post(&resume, &why).await.is(403, "amount_forbidden");
    ring.replace(vec![key("ops", SHOP, &[Scope::Operate])]);
    office
        .post(&resume, &why)
        .await
        .is(503, "store_unavailable");
    store.fall_short(None);
    assert_eq!(office.post(&resume, &why).await.status, 202);
}

#[tokio::test]
async fn a_payment_says_since_when_a_rerun_is_wanted_of_it() {
    let office = Office::open(|_| {}).await;
    let id = office.parked("k", 1_500).await;
    let missing = Rule::on(Operation::Retrieve, Effect::status_before_commit(404));
    office.shop.stage.fault(missing.times(1_000));
    let address = format!("/v1/payments/{id}");
    let seen = office.shop.served.get(&address).await;
    assert!(seen.body["rerun_wanted_since"].is_null(), "{seen:?}");
    let given = office.shop.stage.clock.now();
    let rerun = holdfast::payment::Command::Rerun {
        reason: "mended".to_owned(),
        actor: "aina".to_owned(),
    };
    office.shop.stage.command(&id, "r", rerun).await;
    office.works().await;
    let seen = office.shop.served.get(&address).await;
    let since = seen.body["rerun_wanted_since"].as_str().unwrap();
    assert_eq!(since.parse::<Timestamp>().unwrap(), given, "{seen:?}");
    assert_eq!(seen.body["state"], "parked");
}

#[tokio::test]
async fn a_wrong_plan_is_told_where_it_is_wrong() {
    let office = Office::open(|_| {}).await;
    let id = office.parked("k", 1_500).await;
    for (body, field) in [
        (json!({}), "payments"),
        (json!({"payments": []}), "payments"),
        (json!({"payments": vec![&id; 1_001]}), "payments"),
        (json!({"payments": [id], "state": "parked"}), "payments"),
        (json!({"payments": [id], "account": "hotel"}), "payments"),
        (json!({"state": "paid"}), "state"),
        (
            json!({"state": "parked", "older_than_ms": "2h"}),
            "older_than_ms",
        ),
    ] {
        let heard = office.post("/v1/plans", &body).await;
        heard.is(400, "invalid_request");
        assert_eq!(heard.body["field"], field, "{body}");
    }
    let plan = office.made(&json!({"payments": [id]})).await;
    for body in [
        json!({}),
        json!({"reason": " "}),
        json!({"reason": "x", "actor": "y"}),
    ] {
        let heard = office.post(&format!("{plan}/apply"), &body).await;
        heard.is(400, "invalid_request");
    }
    let none = office.shop.served.get("/v1/plans/plan_1").await;
    none.is(404, "plan_not_found");
    assert_eq!(office.shop.stage.taken(&id), (0, 0));
}
