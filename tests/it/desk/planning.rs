//! Reruns that are planned and applied at the desk.

use std::sync::Arc;

use chip_sandbox::{Effect, Operation, Rule};
use chrono::TimeDelta;
use holdfast::api::{ApiKey, Scope};
use holdfast::gateway::ChipGateway;
use holdfast::operate::planning::{self, Said};
use holdfast::operate::{Phase, Plan, Selection};
use holdfast::payment::*;
use holdfast::store::audit::{AuditStream, Chained, Mandate};
use holdfast::store::redis::{AuditOrder, RedisStore};
use holdfast::store::{PlanId, Plans};
use holdfast::worker::Policies;
use holdfast::worker::plans::Planner;
use reqwest::header::{COOKIE, LOCATION};

use super::{OPERATOR, Office, READER, RENTAL, Seen, key, secrets};
use crate::stage::{account, gateway, policy};

const PARKED: &str = "state=parked";
const ALL: [Scope; 3] = [Scope::Read, Scope::Command, Scope::Operate];

impl Office {
    /// A charge that is parked because the acquirer said that the shop's set-up is wrong; a rerun charges
    /// it.
    async fn declined(&self, key: &str, amount: u64) -> PaymentId {
        let id = self.stage.charge(key, amount).await;
        self.declines(&id);
        self.stage.work().await;
        assert_eq!(self.stage.state(&id).await, StateName::Parked);
        id
    }

    fn declines(&self, id: &PaymentId) {
        let refusal = Effect::decline("acquirer_configuration_error");
        let rule = Rule::on(Operation::Charge, refusal).reference(id.as_str());
        self.stage.fault(rule.times(1));
    }

    fn planner(&self) -> Planner<RedisStore, ChipGateway> {
        let (stage, rules) = (&self.stage, policy(UnknownPolicy::Park));
        let gateway = gateway(&stage.sandbox.base_url(), &stage.clock);
        let policies = Policies::from([(account(), rules)]);
        let store = Arc::clone(&stage.store);
        Planner::new(store, Arc::new(gateway), stage.clock.clone(), policies)
    }

    /// Lets a worker do what there is to do about plans, and about payments, until nothing changes.
    async fn carries_out(&self, plan: &PlanId) -> Plan {
        let planner = self.planner();
        for _ in 0..200 {
            while planner.carry_out().await.unwrap() > 0 {}
            self.stage.work().await;
            let now = self.plan(plan).await;
            if now.rests() {
                return now;
            }
            self.stage.pass(TimeDelta::seconds(1));
        }
        panic!("it does not come to rest: {:?}", self.plan(plan).await);
    }

    async fn plan(&self, id: &PlanId) -> Plan {
        planning::plan(&*self.stage.store, id).await.unwrap()
    }

    /// Has a plan made as the form has it; answers the form's fields as well.
    async fn plans(&self, cookie: &str, query: &str, why: &str) -> (PlanId, [String; 2]) {
        let path = format!("/desk/plans/new?{query}");
        let page = self.get(cookie, &path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let [mark, key] = ["mark", "key"].map(|name| page.hidden(name));
        let fields = [("mark", &*mark), ("key", &*key), ("reason", why)];
        let made = self.post(cookie, &path, &fields).await;
        (led_to(&made), [mark, key])
    }

    /// Commands a plan as the form has it.
    async fn runs(&self, cookie: &str, id: &PlanId, name: &str, why: &str) -> Seen {
        let path = format!("/desk/plans/{id}/{name}");
        let page = self.get(cookie, &path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let [mark, runs] = ["mark", "runs"].map(|name| page.hidden(name));
        let fields = [("mark", &*mark), ("runs", &*runs), ("reason", why)];
        self.post(cookie, &path, &fields).await
    }

    async fn shows_no_secret_on(&self, pages: &[&Seen]) {
        let secrets = secrets(self).await;
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        for page in pages {
            page.shows_none_of(&secrets);
            page.shows_none_of(&[" style=", "<style", "onclick", "http://", "<script>"]);
        }
    }

    /// What the audit log has of plans, the oldest first.
    async fn heard_of_plans(&self) -> Vec<(String, String, Option<String>)> {
        let (desk, oldest) = (AuditStream::Desk, AuditOrder::Oldest);
        let page = self.stage.store.audit_page(desk, oldest, None, 100).await;
        let entries = page.unwrap();
        let entries = entries.iter().filter_map(Chained::entry);
        entries
            .map(|it| {
                let by = format!("{} by {}", it.actor.name, it.via.as_str());
                (it.action, by, it.reason)
            })
            .collect()
    }
}

#[track_caller]
fn led_to(seen: &Seen) -> PlanId {
    assert_eq!(seen.status, 303, "{}", seen.text);
    let id = seen.header(LOCATION).strip_prefix("/desk/plans/");
    id.unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_a_list_shows_is_planned_once_however_often_the_form_is_sent() {
    let office = Office::open().await;
    office.declined("one", 1_500).await;
    office.declined("two", 2_500).await;
    let cookie = office.enter(OPERATOR).await;
    let list = office
        .get(&cookie, &format!("/desk/payments?{PARKED}"))
        .await;
    list.shows(&[
        "Plan a rerun of these…",
        r#"href="/desk/plans/new?state=parked""#,
    ]);
    let ask = office
        .get(&cookie, &format!("/desk/plans/new?{PARKED}"))
        .await;
    ask.shows(&["2 payments", "aisyah", "Nothing is done to any"]);
    let (id, [mark, key]) = office.plans(&cookie, PARKED, "the key is mended").await;
    let fields = [("mark", &*mark), ("key", &*key), ("reason", "once more")];
    let again = office
        .post(&cookie, &format!("/desk/plans/new?{PARKED}"), &fields)
        .await;
    assert_eq!(led_to(&again), id, "one form is one plan");
    assert!(matches!(office.plan(&id).await.of, Selection::Matching(_)));
    let path = format!("/desk/plans/{id}");
    let asking = office.get(&cookie, &path).await;
    asking.shows(&["state phase-asking", "Nothing is done to any."]);
    office.carries_out(&id).await;
    let ready = office.get(&cookie, &path).await;
    ready.shows(&[
        "state phase-ready",
        "Nothing was done yet.",
        "Taken, at most",
        "40.00",
        "charges MYR 15.00",
        "charges MYR 25.00",
        "apply…",
        "the key is mended",
        "key:aisyah",
    ]);
    ready.shows_none_of(&["stop…", "resume…"]);
    office.shows_no_secret_on(&[&ask, &asking, &ready]).await;
    let by = "aisyah by dashboard".to_owned();
    let expected = [("plan_make".to_owned(), by, Some("the key is mended".into()))];
    assert_eq!(office.heard_of_plans().await, expected);
}

#[tokio::test]
async fn a_plan_is_applied_once_however_often_the_form_is_sent() {
    let office = Office::open().await;
    let ids = [
        office.declined("one", 1_500).await,
        office.declined("two", 2_500).await,
    ];
    let cookie = office.enter(OPERATOR).await;
    let (id, _) = office.plans(&cookie, PARKED, "the key is mended").await;
    let path = format!("/desk/plans/{id}");
    office.carries_out(&id).await;
    let apply = office.get(&cookie, &format!("{path}/apply")).await;
    apply.shows(&["Taken, at most", "40.00", "2 payments", "expires"]);
    let [mark, runs] = ["mark", "runs"].map(|name| apply.hidden(name));
    let fields = [
        ("mark", &*mark),
        ("runs", &*runs),
        ("reason", "all is well"),
    ];
    for _ in 0..3 {
        let done = office
            .post(&cookie, &format!("{path}/apply"), &fields)
            .await;
        assert_eq!(led_to(&done), id);
    }
    office.get(&cookie, &path).await.shows(&[
        "state phase-applying",
        "0 of 2 came to rest",
        "stop…",
    ]);
    let done = office.carries_out(&id).await;
    assert_eq!(done.phase, Phase::Done);
    let shown = office.get(&cookie, &path).await;
    shown.shows(&[
        "state phase-done",
        "as foreseen",
        "state paid",
        "all is well",
    ]);
    office.shows_no_secret_on(&[&apply, &shown]).await;
    let taken = ids.each_ref().map(|id| office.stage.taken(id));
    assert_eq!(taken, [(1_500, 1), (2_500, 1)]);
    let by = || "aisyah by dashboard".to_owned();
    let expected = [
        ("plan_make".into(), by(), Some("the key is mended".into())),
        ("plan_apply".into(), by(), Some("all is well".into())),
    ];
    assert_eq!(office.heard_of_plans().await, expected);
    let listed = office.get(&cookie, "/desk/plans").await;
    listed.shows(&[&path, "state phase-done", "40.00", "2 payments"]);
}

#[tokio::test]
async fn what_no_plan_can_look_for_is_planned_by_the_names_that_the_list_shows() {
    let office = Office::open().await;
    let cheap = office.declined("cheap", 1_500).await;
    let dear = office.declined("dear", 90_000).await;
    let cookie = office.enter(OPERATOR).await;
    let query = "state=parked&least=100";
    let ask = office
        .get(&cookie, &format!("/desk/plans/new?{query}"))
        .await;
    ask.shows(&["1 payment", "<dt>from</dt><dd>100</dd>"]);
    let (id, _) = office.plans(&cookie, query, "why").await;
    let of = Selection::Payments(vec![dear.clone()]);
    assert_eq!(office.plan(&id).await.of, of);
    // One payment, from its own page.
    let path = format!("/desk/payments/{cheap}");
    let page = office.get(&cookie, &path).await;
    let query = format!("payment={cheap}");
    page.shows(&["plan a rerun…", &query]);
    let (id, _) = office.plans(&cookie, &query, "why").await;
    assert_eq!(
        office.plan(&id).await.of,
        Selection::Payments(vec![cheap.clone()])
    );
    let ready = office.carries_out(&id).await;
    assert_eq!(ready.payments.len(), 1);
    // What is looked for is understood as on the list, or refused.
    for (query, status) in [
        ("", 400),
        ("state=paid", 400),
        ("state=parked&least=much", 400),
        ("state=parked&account=nobodys&id=x", 200),
        ("payment=nothing", 404),
    ] {
        let path = format!("/desk/plans/new?{query}");
        assert_eq!(office.get(&cookie, &path).await.status, status, "{query}");
    }
    for (list, offered) in [
        ("", false),
        ("?state=paid", false),
        ("?state=parked&reason=poison", false),
        ("?id=pay", true),
    ] {
        let page = office.get(&cookie, &format!("/desk/payments{list}")).await;
        let found = page.text.contains("Plan a rerun of these…");
        assert_eq!(found, offered, "{list}");
    }
}

#[tokio::test]
async fn plans_are_for_whoever_may_operate_and_sees_all_that_they_are_of() {
    let office = Office::open().await;
    let id = office.declined("k", 4_200).await;
    let cookie = office.enter(OPERATOR).await;
    let (plan, _) = office.plans(&cookie, PARKED, "why").await;
    office.carries_out(&plan).await;
    let path = format!("/desk/plans/{plan}");
    // Whoever may only look sees none, and is led to none.
    let reader = office.enter(READER).await;
    let page = office.get(&reader, &format!("/desk/payments/{id}")).await;
    page.shows_none_of(&["/desk/plans"]);
    let list = office
        .get(&reader, &format!("/desk/payments?{PARKED}"))
        .await;
    list.shows_none_of(&["/desk/plans"]);
    let new = format!("/desk/plans/new?payment={id}");
    for path in ["/desk/plans", &*path, &*new, &format!("{path}/apply")] {
        assert_eq!(office.get(&reader, path).await.status, 403, "{path}");
    }
    // To whoever is for another account it is as one that is not there.
    let rental = office.enter(RENTAL).await;
    let listed = office.get(&rental, "/desk/plans").await;
    listed.shows(&["No rerun was planned."]);
    listed.shows_none_of(&[plan.as_str(), "hotel", "42.00"]);
    let missing = format!("/desk/plans/{}", PlanId::fresh());
    for ending in ["", "/apply"] {
        let mut pages = Vec::new();
        for path in [&path, &missing] {
            let page = office.get(&rental, &format!("{path}{ending}")).await;
            assert_eq!(page.status, 404);
            pages.push(page.text);
        }
        assert_eq!(pages[0], pages[1]);
    }
    assert_eq!(office.get(&rental, &new).await.status, 404);
    let others = "/desk/plans/new?state=parked&account=hotel";
    assert_eq!(office.get(&rental, others).await.status, 403);
    // What it plans itself is of its own account alone.
    let (own, _) = office.plans(&rental, PARKED, "why").await;
    let own = office.carries_out(&own).await;
    assert!(own.payments.is_empty(), "{own:?}");
    assert!(own.accounts.is_some());
    let listed = office.get(&cookie, "/desk/plans").await;
    listed.shows(&[own.id.as_str(), plan.as_str()]);
}

#[tokio::test]
async fn a_plan_is_applied_by_whoever_may_command_and_move_as_much() {
    let limited = |largest| ApiKey {
        largest_amount_minor: Some(largest),
        ..key("limited", OPERATOR, &ALL)
    };
    let office = Office::with(vec![limited(4_199)]).await;
    let id = office.declined("k", 4_200).await;
    let cookie = office.enter(OPERATOR).await;
    let (plan, _) = office.plans(&cookie, PARKED, "why").await;
    let path = format!("/desk/plans/{plan}");
    // How much it moves is not known before the gateway was asked, and then it is too much.
    let page = office.get(&cookie, "/desk/payments").await;
    let mark = page.hidden("mark");
    office.carries_out(&plan).await;
    let fields = [("mark", &*mark), ("runs", "0"), ("reason", "why")];
    let refused = office
        .post(&cookie, &format!("{path}/apply"), &fields)
        .await;
    assert_eq!(refused.status, 403);
    refused.shows(&["may move 4199 at most"]);
    let ask = office.get(&cookie, &format!("{path}/apply")).await;
    assert_eq!(ask.status, 403);
    let shown = office.get(&cookie, &path).await;
    shown.shows(&["may move 4199 at most", "42.00"]);
    shown.shows_none_of(&["apply…"]);
    // At the desk it needs the scope command as well.
    let operates = key("limited", OPERATOR, &[Scope::Read, Scope::Operate]);
    office.ring.replace(vec![operates]);
    let shown = office.get(&cookie, &path).await;
    shown.shows(&["needs the scope command"]);
    let refused = office
        .post(&cookie, &format!("{path}/apply"), &fields)
        .await;
    assert_eq!(refused.status, 403);
    assert!(office.plan(&plan).await.applied.is_none());
    office.ring.replace(vec![limited(4_200)]);
    led_to(&office.runs(&cookie, &plan, "apply", "why").await);
    office.carries_out(&plan).await;
    assert_eq!(office.stage.taken(&id), (4_200, 1));
}

#[tokio::test]
async fn whoever_sees_a_plan_may_stop_it_whatever_else_the_key_may_not_do() {
    let office = Office::with(vec![key("aisyah", OPERATOR, &ALL)]).await;
    office.declined("k", 4_200).await;
    let cookie = office.enter(OPERATOR).await;
    let (plan, _) = office.plans(&cookie, PARKED, "why").await;
    office.carries_out(&plan).await;
    led_to(&office.runs(&cookie, &plan, "apply", "why").await);
    let little = ApiKey {
        largest_amount_minor: Some(1),
        ..key("aisyah", OPERATOR, &[Scope::Read, Scope::Operate])
    };
    office.ring.replace(vec![little]);
    let shown = office.get(&cookie, &format!("/desk/plans/{plan}")).await;
    shown.shows(&["stop…"]);
    led_to(&office.runs(&cookie, &plan, "stop", "amounts are odd").await);
    let phase = office.plan(&plan).await.phase;
    assert!(matches!(phase, Phase::Stopped { .. }), "{phase:?}");
    let shown = office.get(&cookie, &format!("/desk/plans/{plan}")).await;
    shown.shows(&["To resume it the key needs the scope command."]);
}

#[tokio::test]
async fn no_form_of_elsewhere_or_without_a_reason_makes_or_commands_a_plan() {
    let office = Office::open().await;
    office.declined("k", 4_200).await;
    let cookie = office.enter(OPERATOR).await;
    let (plan, [mark, key]) = office.plans(&cookie, PARKED, "why").await;
    office.carries_out(&plan).await;
    let audited = office.heard_of_plans().await;
    let apply = format!("/desk/plans/{plan}/apply");
    let new = format!("/desk/plans/new?{PARKED}");
    let other = format!("{key}-another");
    let fields = |mark: &str, reason: &str| {
        let fields = [
            ("mark", mark),
            ("key", &*other),
            ("runs", "0"),
            ("reason", reason),
        ];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    for path in [&apply, &new] {
        for (header, mark, reason, status) in [
            (("Sec-Fetch-Site", "cross-site"), &*mark, "why", 403),
            (("Origin", "https://evil.example"), &*mark, "why", 403),
            (("Sec-Fetch-Site", "same-origin"), "guessed", "why", 403),
            (("Sec-Fetch-Site", "same-origin"), &*mark, " ", 400),
        ] {
            let request = office.client.post(office.at(path));
            let request = request.form(&fields(mark, reason)).header(COOKIE, &cookie);
            let seen = office.sent(request.header(header.0, header.1)).await;
            assert_eq!(seen.status, status, "{path} {header:?} {reason:?}");
        }
    }
    assert_eq!(office.heard_of_plans().await, audited);
    // Too late is too late.
    office.stage.pass(TimeDelta::minutes(16));
    let typed = fields(&mark, "why");
    let late = office.client.post(office.at(&apply)).form(&typed);
    let late = office.sent(late.header(COOKIE, &cookie)).await;
    assert_eq!(late.status, 409, "{}", late.text);
    late.shows(&["the plan has expired"]);
    let shown = office.get(&cookie, &format!("/desk/plans/{plan}")).await;
    shown.shows(&["state phase-expired", "plan it anew…", "new?state=parked"]);
    shown.shows_none_of(&["apply…"]);
}

#[tokio::test]
async fn a_plan_that_stopped_says_why_and_goes_on_once_for_each_time_it_is_told_to() {
    let office = Office::open().await;
    let ids = [
        office.declined("one", 1_500).await,
        office.declined("two", 2_500).await,
        office.declined("three", 3_500).await,
    ];
    let cookie = office.enter(OPERATOR).await;
    let (plan, _) = office.plans(&cookie, PARKED, "why").await;
    let path = format!("/desk/plans/{plan}");
    office.carries_out(&plan).await;
    // Each comes out otherwise than foreseen.
    for id in &ids {
        office.declines(id);
    }
    led_to(&office.runs(&cookie, &plan, "apply", "why").await);
    let stopped = office.carries_out(&plan).await;
    assert!(matches!(stopped.phase, Phase::Stopped { .. }));
    let shown = office.get(&cookie, &path).await;
    shown.shows(&[
        "state phase-stopped",
        "1 came out otherwise than foreseen",
        "Otherwise than foreseen",
        "declined for operator",
        "resume…",
        "?only=odd",
    ]);
    let only = office.get(&cookie, &format!("{path}?only=odd")).await;
    only.shows(&["1 of 1 shown"]);
    let resume = office.get(&cookie, &format!("{path}/resume")).await;
    let [mark, runs] = ["mark", "runs"].map(|name| resume.hidden(name));
    let fields = [("mark", &*mark), ("runs", &*runs), ("reason", "looked")];
    let to = format!("{path}/resume");
    led_to(&office.post(&cookie, &to, &fields).await);
    let stopped = office.carries_out(&plan).await;
    assert!(matches!(stopped.phase, Phase::Stopped { .. }));
    // The same form does not set it going a third time.
    led_to(&office.post(&cookie, &to, &fields).await);
    let other = [fields[0], fields[1], ("reason", "another")];
    let refused = office.post(&cookie, &to, &other).await;
    assert_eq!(refused.status, 409);
    refused.shows(&["since the page was loaded"]);
    assert_eq!(office.plan(&plan).await, stopped);
    led_to(&office.runs(&cookie, &plan, "resume", "looked again").await);
    // To stop it needs no page that knows of this run.
    let stop = [fields[0], fields[1], ("reason", "the bank calls")];
    for _ in 0..2 {
        led_to(&office.post(&cookie, &format!("{path}/stop"), &stop).await);
    }
    let shown = office.get(&cookie, &path).await;
    shown.shows(&[
        "Stopped. </strong>by key:aisyah: the bank calls",
        "looked again",
    ]);
    let taken = ids.each_ref().map(|id| office.stage.taken(id).1);
    assert_eq!(taken, [0, 0, 0]);
    let actions: Vec<String> = office
        .heard_of_plans()
        .await
        .into_iter()
        .map(|it| it.0)
        .collect();
    let expected = [
        "plan_make",
        "plan_apply",
        "plan_resume",
        "plan_resume",
        "plan_stop",
    ];
    assert_eq!(actions, expected);
}

#[tokio::test]
async fn a_large_plan_is_shown_a_page_at_a_time() {
    let office = Office::open().await;
    let now = office.stage.clock.now();
    let (store, by) = (&*office.stage.store, Mandate::typed_by("farid"));
    let names = (0..130).map(|number| {
        let id = format!("pay_{:032x}", number + 1);
        PaymentId::new(id).unwrap()
    });
    let of = Selection::Payments(names.collect());
    let plan = planning::ask(store, Plan::wanted(of, "farid", now), &by);
    let id = plan.await.unwrap().id;
    office.carries_out(&id).await;
    let cookie = office.enter(OPERATOR).await;
    let path = format!("/desk/plans/{id}");
    let first = office.get(&cookie, &path).await;
    first.shows(&[
        "100 of 130 shown",
        "only=&amp;from=100",
        "130 chosen payments",
    ]);
    first.shows(&["left out: missing", "no payment that can be rerun"]);
    let second = office.get(&cookie, &format!("{path}?only=&from=100")).await;
    second.shows(&["30 of 130 shown"]);
    second.shows_none_of(&["rel=\"next\""]);
    let said = Said::new("farid", "why", &by).unwrap();
    let refused = planning::apply(store, &office.stage.clock, &id, &said).await;
    assert!(refused.is_err());
    assert!(store.plan(&id).await.unwrap().is_some());
}
