//! Each thing that must hold between records and indexes, broken by hand.

use holdfast::store::Store;
use holdfast::store::redis::{Fault, Walking};

use super::*;

/// Names in Redis, as anybody would type them.
fn in_partition(id: &PaymentId, what: &str) -> String {
    format!("{{hf:{}}}:{what}", id.spread() % 8)
}

fn record(id: &PaymentId) -> String {
    in_partition(id, &format!("payment:{id}"))
}

impl Ward {
    /// A checkout that waits for its payer, with a reference.
    async fn waiting(&self, key: &str) -> PaymentId {
        let body = r#""type":"authorize","money":{"amount":1500,"currency":"MYR"},
            "source":{"checkout":{}},"plan":{},"customer":{"email":"payer@test.example"}"#;
        let body = format!(r#""reference":"booking-{key}",{body}"#);
        let id = self.stage.enqueue(key, &body).await;
        self.stage.work().await;
        assert_eq!(self.stage.state(&id).await, StateName::AwaitingPayer);
        id
    }

    async fn paid(&self, key: &str) -> PaymentId {
        let id = self.stage.charge(key, 1500).await;
        self.stage.work().await;
        assert_eq!(self.stage.state(&id).await, StateName::Paid);
        id
    }

    /// The entries of the index that name this payment.
    async fn entries(&self, id: &PaymentId) -> Vec<String> {
        let all: Vec<String> = self
            .ask(&["ZRANGE", &in_partition(id, "states"), "0", "-1"])
            .await;
        all.into_iter()
            .filter(|member| member.contains(id.as_str()))
            .collect()
    }

    /// The one that begins so.
    async fn entry(&self, id: &PaymentId, begins: &str) -> String {
        let entries = self.entries(id).await;
        entries
            .into_iter()
            .find(|member| member.starts_with(begins))
            .unwrap()
    }
}

#[track_caller]
fn only(report: &Report, name: &str, found: Found, id: &PaymentId) {
    is(report, (Group::Index, name), found, &[]);
    let check = check(report, Group::Index, name);
    assert_eq!(check.payments, [id.to_string()], "{check:?}");
    let others = troubles(report);
    let same = |other: &&Check| other.name == name;
    let apart = others.iter().filter(|other| !same(other)).count();
    assert_eq!(apart, 0, "one thing was broken: {others:?}");
}

/// What was broken is found, planned, put right; then nothing is wrong any more.
async fn found_and_mended(ward: &Ward, name: &str, id: &PaymentId) {
    let before: Vec<u8> = ward.ask(&["DUMP", &record(id)]).await;
    only(&ward.examine(Repair::Tell).await, name, Found::Wrong, id);
    let planned = ward.examine(Repair::Plan).await;
    only(&planned, name, Found::Wrong, id);
    is(
        &planned,
        (Group::Index, name),
        Found::Wrong,
        &["without --dry-run"],
    );
    assert_eq!(ward.ask::<Vec<u8>>(&["DUMP", &record(id)]).await, before);
    only(
        &ward.examine(Repair::Mend(&aina())).await,
        name,
        Found::Mended,
        id,
    );
    let after: Vec<u8> = ward.ask(&["DUMP", &record(id)]).await;
    assert_eq!(after, before, "no record is touched");
    assert_eq!(
        troubles(&ward.examine(Repair::Tell).await),
        Vec::<&Check>::new()
    );
}

#[tokio::test]
async fn a_payment_that_nobody_would_look_at_again_is_made_due_and_goes_on() {
    for (key, name) in [("plain", "due"), ("leased", "lease")] {
        let ward = Ward::open().await;
        let id = ward.waiting(key).await;
        if name == "lease" {
            ward.ask::<()>(&["HSET", &record(&id), "nonce", "of-a-dead-worker"])
                .await;
        }
        ward.ask::<()>(&["ZREM", &in_partition(&id, "due"), id.as_str()])
            .await;
        ward.stage.payer_pays(&id).await;
        ward.stage.work_for(TimeDelta::hours(2)).await;
        assert_eq!(
            ward.stage.state(&id).await,
            StateName::AwaitingPayer,
            "it is forgotten"
        );
        found_and_mended(&ward, name, &id).await;
        ward.stage.work().await;
        assert_eq!(ward.stage.state(&id).await, StateName::Held);
    }
}

#[tokio::test]
async fn a_payment_that_is_due_a_year_too_late_is_made_due_and_goes_on() {
    let ward = Ward::open().await;
    let id = ward.stage.charge("k", 1500).await;
    let due = in_partition(&id, "due");
    let in_a_year = ward.stage.clock.now() + TimeDelta::days(365);
    let in_a_year = in_a_year.timestamp_millis().to_string();
    ward.ask::<()>(&["ZADD", &due, &in_a_year, id.as_str()])
        .await;
    ward.stage.work().await;
    assert_eq!(ward.stage.state(&id).await, StateName::New, "it waits");
    found_and_mended(&ward, "in_time", &id).await;
    ward.stage.work().await;
    assert_eq!(ward.stage.state(&id).await, StateName::Paid);
}

#[tokio::test]
async fn a_payment_that_a_webhook_asked_to_look_at_is_late_if_it_waits_for_its_plan() {
    let ward = Ward::open().await;
    let plan = r#"{"capture_at":"2027-02-03T06:00:00Z"}"#;
    let id = ward.stage.authorize_by_token("k", 1500, plan).await;
    ward.stage.work().await;
    assert_eq!(ward.stage.state(&id).await, StateName::Held);
    let due = in_partition(&id, "due");
    let planned: String = ward.ask(&["ZSCORE", &due, id.as_str()]).await;
    let report = ward.examine(Repair::Tell).await;
    assert_eq!(troubles(&report), Vec::<&Check>::new());
    ward.stage.store.nudge(&id).await.unwrap();
    ward.ask::<()>(&["ZADD", &due, &planned, id.as_str()]).await;
    found_and_mended(&ward, "in_time", &id).await;
}

#[tokio::test]
async fn what_is_planned_for_later_is_not_late_and_whoever_took_it_up_keeps_it() {
    use holdfast::store::redis::{Mend, Mended};
    let ward = Ward::open().await;
    let start = ward.stage.clock.now() + TimeDelta::days(200);
    let body = format!(
        r#""type":"charge","money":{{"amount":1500,"currency":"MYR"}},"token":"a-token",
        "not_before":"{}","customer":{{"email":"payer@test.example"}}"#,
        start.to_rfc3339()
    );
    ward.stage.enqueue("later", &body).await;
    ward.stage.work().await;
    let report = ward.examine(Repair::Tell).await;
    assert_eq!(troubles(&report), Vec::<&Check>::new());

    let id = ward.stage.charge("k", 1500).await;
    let store = &ward.stage.store;
    let claims = store.claim(1).await.unwrap().claims;
    assert_eq!(claims[0].key.id, id);
    let leased = store.load(&id).await.unwrap().unwrap();
    let mended = store.mend(&id, leased.version, &Mend::Sooner).await;
    assert_eq!(mended.unwrap(), Mended::Done);
    let after = store.load(&id).await.unwrap().unwrap();
    assert_eq!(after.due, leased.due, "its lease stands");
}

#[tokio::test]
async fn more_than_can_be_kept_in_mind_is_never_all() {
    let ward = Ward::open().await;
    for key in ["one", "two"] {
        let id = ward.waiting(key).await;
        ward.ask::<()>(&["ZREM", &in_partition(&id, "due"), id.as_str()])
            .await;
    }
    let (config, clock) = (ward.config(), Clock::system());
    let gateway = gateway(&config, &clock);
    let by = aina();
    let examine = async |most| {
        let doctor = Doctor {
            config: &config,
            gateway: &gateway,
            store: Ok(&ward.stage.store),
            clock: &clock,
            machine: &clock,
            between: Duration::ZERO,
            most,
        };
        doctor.examine(Repair::Mend(&by), &mut |_| {}).await
    };
    let report = examine(1).await;
    assert_eq!(report.count(Found::Mended), 1);
    assert_eq!(report.count(Found::Wrong), 0);
    assert!(!report.is_whole(), "{report:?}");
    let report = examine(1).await;
    assert_eq!(report.count(Found::Mended), 1, "the other one");
    assert!(report.is_whole(), "{report:?}");
}

/// What the audit log has of repairs: what, of which payment, by whom and why.
async fn repairs(ward: &Ward) -> Vec<String> {
    let page = ward
        .stage
        .store
        .audit_page(AuditStream::Desk, AuditOrder::Oldest, None, 100);
    let entries = page.await.unwrap().into_iter().map(|chained| {
        let entry = chained.entry().unwrap();
        let (subject, reason) = (entry.subject.unwrap(), entry.reason.unwrap());
        format!("{} {subject} {} {reason}", entry.action, entry.actor.name)
    });
    entries.collect()
}

#[tokio::test]
async fn what_is_not_finished_is_kept_again_when_it_was_to_expire() {
    let ward = Ward::open().await;
    let id = ward.waiting("k").await;
    ward.ask::<()>(&["PEXPIRE", &record(&id), "86400000"]).await;
    assert_eq!(repairs(&ward).await, Vec::<String>::new());
    found_and_mended(&ward, "expiry", &id).await;
    assert_eq!(
        repairs(&ward).await,
        [format!("repair_expiry {id} aina restored")]
    );
    assert_eq!(ward.ask::<i64>(&["PTTL", &record(&id)]).await, -1);
}

#[tokio::test]
async fn entries_that_are_missing_come_back_and_those_that_are_too_much_go() {
    let ward = Ward::open().await;
    let id = ward.waiting("k").await;
    let states = in_partition(&id, "states");
    let right = ward.entries(&id).await;
    assert_eq!(right.len(), 3, "by state, by reference and by its face");
    for begins in ["awaiting_payer:", "ref:", "open:"] {
        let entry = ward.entry(&id, begins).await;
        ward.ask::<()>(&["ZREM", &states, &entry]).await;
        found_and_mended(&ward, "entries", &id).await;
        assert_eq!(ward.entries(&id).await, right);
    }
    let place = ward.entry(&id, "awaiting_payer:").await;
    let place = place.split_once(':').unwrap().1.to_owned();
    let other_time = place.replacen('1', "2", 1);
    for stray in [
        format!("held:{place}"),
        format!("awaiting_payer:{other_time}"),
        format!("ref:0123456789abcdef0123456789abcdef:{place}"),
        format!("open:held:{place}:hotel:MYR:1500:-:-:-:-"),
    ] {
        ward.ask::<()>(&["ZADD", &states, "0", &stray]).await;
        found_and_mended(&ward, "strays", &id).await;
        assert_eq!(ward.entries(&id).await, right);
    }
    ward.ask::<()>(&["ZADD", &states, "0", &format!("another-kind:{place}")])
        .await;
    let report = ward.examine(Repair::Mend(&aina())).await;
    assert_eq!(
        troubles(&report),
        Vec::<&Check>::new(),
        "what is not known is left alone"
    );
    let walk = (Group::Index, "walk");
    is(&report, walk, Found::NotChecked, &["1 of them of no kind"]);
    assert!(!report.is_whole());
    assert_eq!(ward.entries(&id).await.len(), 4);
}

#[tokio::test]
async fn an_end_that_nobody_was_told_of_is_told_after_all() {
    let ward = Ward::open().await;
    let id = ward.paid("k").await;
    ward.ask::<()>(&["HSET", &record(&id), "told", "new"]).await;
    let events = ward.stage.store.events(100).await.unwrap().len();
    found_told(&ward, &id).await;
    ward.stage.work().await;
    assert_eq!(
        ward.stage.store.events(100).await.unwrap().len(),
        events + 1
    );
    assert_eq!(ward.stage.taken(&id), (1500, 1), "nothing is taken for it");
    assert_eq!(
        troubles(&ward.examine(Repair::Tell).await),
        Vec::<&Check>::new()
    );
}

async fn found_told(ward: &Ward, id: &PaymentId) {
    only(&ward.examine(Repair::Tell).await, "told", Found::Wrong, id);
    only(
        &ward.examine(Repair::Mend(&aina())).await,
        "told",
        Found::Mended,
        id,
    );
    // Until its turn it is due, which the end of a payment is not for long.
    only(
        &ward.examine(Repair::Tell).await,
        "turns",
        Found::Warning,
        id,
    );
}

#[tokio::test]
async fn what_a_person_must_look_at_is_named_and_left_as_it_is() {
    for (name, found, finished) in [
        ("records", Found::Wrong, false),
        ("bodies", Found::Wrong, false),
        ("versions", Found::Warning, false),
        ("turns", Found::Warning, true),
        ("turns", Found::Warning, false),
        ("kept", Found::Warning, true),
    ] {
        let ward = Ward::open().await;
        let id = if finished {
            ward.paid("k").await
        } else {
            ward.waiting("k").await
        };
        let key = record(&id);
        match name {
            "records" => ward.ask::<()>(&["DEL", &key]).await,
            "bodies" => {
                ward.ask::<()>(&["HSET", &key, "body", r#"{"v":1,"secret":"canary"}"#])
                    .await;
            }
            "versions" => ward.ask::<()>(&["HSET", &key, "body", r#"{"v":99}"#]).await,
            "turns" if !finished => {
                let face = ward.entry(&id, "open:").await;
                let two = format!("{face}\nopen:of-before");
                ward.ask::<()>(&["HSET", &key, "face", &two]).await;
            }
            "turns" => {
                ward.ask::<()>(&["ZADD", &in_partition(&id, "due"), "2e12", id.as_str()])
                    .await;
            }
            _ => ward.ask::<()>(&["PERSIST", &key]).await,
        }
        let mended = ward.examine(Repair::Mend(&aina())).await;
        only(&mended, name, found, &id);
        assert!(!format!("{mended:?}").contains("canary"));
        only(&ward.examine(Repair::Tell).await, name, found, &id);
    }
}

#[tokio::test]
async fn records_that_are_not_where_they_belong_or_say_two_things_are_found() {
    let ward = Ward::open().await;
    let id = ward.waiting("k").await;
    let elsewhere = format!("{{hf:{}}}:payment:{id}", (id.spread() + 1) % 8);
    ward.ask::<()>(&["COPY", &record(&id), &elsewhere]).await;
    only(
        &ward.examine(Repair::Mend(&aina())).await,
        "bodies",
        Found::Wrong,
        &id,
    );
    ward.ask::<()>(&["DEL", &elsewhere]).await;
    ward.ask::<()>(&["HSET", &record(&id), "state", "held"])
        .await;
    is(
        &ward.examine(Repair::Mend(&aina())).await,
        (Group::Index, "bodies"),
        Found::Wrong,
        &[],
    );
    ward.ask::<()>(&["HSET", &record(&id), "state", "awaiting_payer"])
        .await;
    ward.ask::<()>(&["SET", "{hf:0}:payment:rubbish", "1"])
        .await;
    is(
        &ward.examine(Repair::Mend(&aina())).await,
        (Group::Index, "bodies"),
        Found::Wrong,
        &[],
    );
    ward.ask::<()>(&["DEL", "{hf:0}:payment:rubbish"]).await;
    assert_eq!(
        troubles(&ward.examine(Repair::Tell).await),
        Vec::<&Check>::new()
    );
}

#[tokio::test]
async fn accounts_that_payments_wait_for_and_that_are_not_configured_are_found() {
    let ward = Ward::open().await;
    let json = r#"{"v":1,"account":"motel","idempotency_key":"k","type":"charge","token":"a-token",
        "money":{"amount":1500,"currency":"MYR"},"customer":{"email":"payer@test.example"}}"#;
    let now = ward.stage.clock.now();
    let payment = Payment::new(Request::from_json(json.as_bytes()).unwrap(), now).unwrap();
    ward.stage.store.create(&payment, now).await.unwrap();
    let report = ward.examine(Repair::Tell).await;
    is(
        &report,
        (Group::Settings, "accounts"),
        Found::Wrong,
        &["motel"],
    );
    // Nor does anybody know when it must be looked at.
    is(
        &report,
        (Group::Index, "in_time"),
        Found::NotChecked,
        &["of 1 payments", "lack their account"],
    );
    assert!(!report.is_whole());
}

#[tokio::test]
async fn what_changed_between_two_looks_is_no_fault() {
    let ward = Ward::open().await;
    let store = &ward.stage.store;
    let id = ward.waiting("k").await;
    let due = in_partition(&id, "due");
    let was: String = ward.ask(&["ZSCORE", &due, id.as_str()]).await;
    ward.ask::<()>(&["ZREM", &due, id.as_str()]).await;
    let by = Walking {
        policies: ward.config().policies(),
        most: MOST_SUSPECTS,
    };
    let suspects = store.walk(&by, &mut |_| {}).await.unwrap().suspects;
    assert!(
        suspects[0]
            .faults
            .contains(&Fault::NotDue { leased: false })
    );
    let still = store.look_again(&by, suspects.clone()).await.unwrap();
    assert_eq!(still, suspects, "nothing changed, so it is a fault");
    // The same is missing, but something was written meanwhile: a worker is at it.
    ward.ask::<()>(&["HINCRBY", &record(&id), "version", "1"])
        .await;
    let again = store.look_again(&by, suspects.clone()).await;
    assert_eq!(again.unwrap(), []);
    ward.ask::<()>(&["HINCRBY", &record(&id), "version", "-1"])
        .await;
    ward.ask::<()>(&["ZADD", &due, &was, id.as_str()]).await;
    assert_eq!(store.look_again(&by, suspects).await.unwrap(), []);
}

#[tokio::test]
async fn a_repair_whose_record_moved_on_writes_nothing() {
    use holdfast::store::redis::{Mend, Mended};
    let ward = Ward::open().await;
    let store = &ward.stage.store;
    let id = ward.waiting("k").await;
    ward.ask::<()>(&["ZREM", &in_partition(&id, "due"), id.as_str()])
        .await;
    ward.ask::<()>(&["PEXPIRE", &record(&id), "86400000"]).await;
    let version = store.load(&id).await.unwrap().unwrap().version;
    let entries = ward.entries(&id).await;
    for mend in [
        Mend::Due,
        Mend::Keep,
        Mend::Enter("held:1:x".to_owned()),
        Mend::TakeOut(entries[0].clone()),
    ] {
        assert_eq!(
            store.mend(&id, version + 1, &mend).await.unwrap(),
            Mended::Moved
        );
    }
    assert_eq!(ward.entries(&id).await, entries);
    assert!(ward.ask::<i64>(&["PTTL", &record(&id)]).await > 0);
    assert_eq!(store.load(&id).await.unwrap().unwrap().due, None);
    assert_eq!(
        store.mend(&id, version, &Mend::Due).await.unwrap(),
        Mended::Done
    );
    let due = store.load(&id).await.unwrap().unwrap().due;
    assert_eq!(due, Some(ward.stage.clock.now()));
}

#[tokio::test]
async fn a_busy_installation_is_left_in_peace() {
    let ward = Ward::open().await;
    let busy = async {
        let mut ids = Vec::new();
        for number in 0..120 {
            let key = format!("k{number}");
            ids.push(match number % 3 {
                0 => ward.stage.authorize_by_token(&key, 1500, "{}").await,
                1 => ward.stage.authorize_by_checkout(&key, 1500, "{}").await,
                _ => ward.stage.charge(&key, 1500).await,
            });
            ward.stage.work().await;
        }
        ids
    };
    tokio::pin!(busy);
    let mut examined = 0;
    let ids = loop {
        let by = aina();
        let report = ward.examine(Repair::Mend(&by));
        tokio::pin!(report);
        tokio::select! {
            biased;
            ids = &mut busy => break ids,
            report = &mut report => {
                examined += 1;
                let index = troubles(&report);
                assert_eq!(index, Vec::<&Check>::new());
                assert_eq!(report.count(Found::Mended), 0);
            }
        }
    };
    assert!(
        examined > 1,
        "it was looked at {examined} times while there was work"
    );
    for id in ids {
        let taken = ward.stage.taken(&id);
        assert!(taken.1 <= 1, "{taken:?}");
    }
}
