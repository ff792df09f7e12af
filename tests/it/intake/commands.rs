//! Whoever has only Redis can take what is held.

use chip_sandbox::{Effect, MovementKind, Operation, Rule};
use chrono::TimeDelta;
use holdfast::api::pushed::{Asked, Element, Kind};

use super::*;

fn command(key: &str, of: &str, command: &Value) -> Value {
    let mut json = json!({"v": 1, "push": PUSH, "account": "hotel", "idempotency_key": key,
        "payment_key": of});
    let fields = json.as_object_mut().unwrap();
    fields.extend(command.as_object().unwrap().clone());
    json
}

#[tokio::test]
async fn a_hold_that_was_pushed_is_captured_in_part_by_a_push() {
    let dock = Dock::open().await;
    let held = dock
        .answered(authorize("stay", &dock.token()).to_string())
        .await;
    let id = is_recorded(&held);
    dock.stage.work().await;
    let capture = command(
        "c1",
        "stay",
        &json!({"command": "capture", "amount": 4_000}),
    )
    .to_string();
    let answer = dock.answered(&capture).await;
    assert_eq!(is_recorded(&answer), id);
    assert_eq!(answer["command"], "accepted");
    dock.answered(&capture).await;
    dock.stage.work().await;
    dock.answered(&capture).await;
    dock.stage.work().await;
    assert_eq!(dock.stage.taken(&id), (4_000, 1));
    // By its id, and what is too late is told as that; it is no poison.
    let late = json!({"v": 1, "push": PUSH, "account": "hotel", "idempotency_key": "r1", "payment": id,
        "command": "release"});
    let answer = dock.answered(late.to_string()).await;
    assert_eq!(answer["problem"]["code"], "too_late_captured");
    assert_eq!(answer["problem"]["payment"]["taken"]["amount"], 4_000);
    let again = command(
        "c2",
        "stay",
        &json!({"command": "capture", "amount": 4_000}),
    );
    let answer = dock.answered(again.to_string()).await;
    assert_eq!(answer["command"], "done");
    assert!(dock.quarantine().await.is_empty());
    assert_eq!(dock.stage.moved(&id, MovementKind::Release), 1, "the rest");
}

#[tokio::test]
async fn commands_come_after_all_that_was_pushed_before_them() {
    let dock = Dock::open().await;
    dock.push(authorize("stay", &dock.token()).to_string())
        .await;
    let cancel = command("x", "stay", &json!({"command": "cancel"})).to_string();
    dock.push(&cancel).await;
    dock.take_in().await;
    let answer = dock.answer("hotel", &cancel).await.unwrap();
    let id = is_recorded(&answer);
    dock.stage.work_for(TimeDelta::hours(1)).await;
    assert_eq!(dock.stage.state(&id).await, StateName::Failed);
    assert_eq!(dock.stage.taken(&id), (0, 0));
}

#[tokio::test]
async fn a_command_reaches_no_payment_of_another_account_and_no_further_than_its_key() {
    let limited = Producer {
        types: Some([Kind::Authorize, Kind::Capture].into()),
        largest_amount_minor: Some(9_000),
        ..shop()
    };
    let dock = Dock::with(Rules {
        accept_unsigned: false,
        producers: vec![limited.clone()],
    })
    .await;
    let held = dock
        .answered(signed(&authorize("stay", &dock.token())))
        .await;
    let id = is_recorded(&held);
    dock.stage.work().await;
    let give = async |key: &str, change: &dyn Fn(&mut Value)| {
        let mut json = json!({"push": PUSH, "account": "hotel", "idempotency_key": key, "payment": id,
            "command": "capture"});
        change(&mut json);
        let element = signed(&json);
        dock.push(&element).await;
        dock.take_in().await;
        dock.answer(json["account"].as_str().unwrap(), &element)
            .await
            .unwrap()
    };
    let other = give("c1", &|json| json["account"] = "rental".into()).await;
    is_refused(&other, "payment_not_found");
    is_refused(
        &give("c2", &|json| json["command"] = "release".into()).await,
        "scope_missing",
    );
    let rules = |largest| Rules {
        accept_unsigned: false,
        producers: vec![Producer {
            largest_amount_minor: Some(largest),
            ..limited.clone()
        }],
    };
    // A capture of all moves all, whatever it says.
    dock.producers.replace(rules(8_999));
    is_refused(&give("c3", &|_| ()).await, "amount_forbidden");
    dock.producers.replace(rules(9_000));
    is_recorded(&give("c4", &|_| ()).await);
    dock.stage.work().await;
    assert_eq!(dock.stage.taken(&id), (9_000, 1));
}

#[tokio::test]
async fn a_command_that_was_recorded_is_answered_so_though_its_key_is_gone() {
    let dock = Dock::open().await;
    let held = dock
        .answered(authorize("stay", &dock.token()).to_string())
        .await;
    let id = is_recorded(&held);
    dock.stage.work().await;
    let capture = signed(&command("c", "stay", &json!({"command": "capture"})));
    dock.push(&capture).await;
    let taken = dock.intake.take(0).await.unwrap().unwrap();
    drop(dock.intake.carry_out_all(taken).await);
    dock.ask::<i64>(&["DEL", LEASE]).await;
    dock.producers.replace(Rules::default());
    dock.take_in().await;
    let answer = dock.answer("hotel", &capture).await.unwrap();
    assert_eq!(is_recorded(&answer), id);
    assert!(dock.quarantine().await.is_empty());
    // One that is new is not let in, whatever else is wrong with it.
    for (key, of) in [("c2", "stay"), ("c3", "nobody")] {
        let other = signed(&command(key, of, &json!({"command": "release"})));
        is_refused(&dock.answered(other).await, "signature_invalid");
    }
}

#[tokio::test]
async fn what_is_in_doubt_or_parked_is_left_to_people() {
    let dock = Dock::open().await;
    let id = is_recorded(
        &dock
            .answered(authorize("stay", &dock.token()).to_string())
            .await,
    );
    dock.stage.work().await;
    let lost = Rule::on(Operation::Capture, Effect::timeout_before_commit());
    dock.stage.fault(lost.times(1));
    let capture = command("c", "stay", &json!({"command": "capture"})).to_string();
    is_recorded(&dock.answered(&capture).await);
    let other = command("r0", "stay", &json!({"command": "release"})).to_string();
    let answer = dock.answered(other).await;
    assert_eq!(answer["problem"]["code"], "already_decided");
    dock.stage.work().await;
    let release = command("r", "stay", &json!({"command": "release"})).to_string();
    let answer = dock.answered(release).await;
    assert_eq!(answer["problem"]["code"], "too_late_in_doubt");
    dock.stage.work_for(TimeDelta::days(2)).await;
    assert_eq!(dock.stage.state(&id).await, StateName::Parked);
    let release = command("r2", "stay", &json!({"command": "release"})).to_string();
    is_refused(&dock.answered(release).await, "parked");
    // What was answered before is answered so again.
    is_recorded(&dock.answered(&capture).await);
}

#[tokio::test]
async fn a_command_that_is_wrong_is_told_what() {
    let dock = Dock::open().await;
    dock.answered(authorize("stay", &dock.token()).to_string())
        .await;
    let bare = |json: &Value| json.to_string();
    let capture = json!({"command": "capture"});
    let mut both = command("c", "stay", &capture);
    both["payment"] = format!("pay_{}", "0".repeat(32)).into();
    let mut neither = command("c", "stay", &capture);
    neither.as_object_mut().unwrap().remove("payment_key");
    let mut newer = command("c", "stay", &capture);
    newer["v"] = 2.into();
    let rerun = command(
        "c",
        "stay",
        &json!({"command": "rerun", "reason": "a", "actor": "b"}),
    );
    let more = command("c", "stay", &json!({"command": "release", "amount": 5}));
    let typed = command(
        "c",
        "stay",
        &json!({"command": "capture", "type": "charge"}),
    );
    for (json, field) in [
        (both, "payment"),
        (neither, "payment"),
        (newer, "v"),
        (rerun, "command"),
        (more, "amount"),
        (typed, "type"),
    ] {
        let answer = dock.answered(bare(&json)).await;
        is_refused(&answer, "invalid_request");
        assert_eq!(answer["problem"]["field"], field, "{json}");
    }
    let nobody = command("c", "nobody", &capture);
    is_refused(&dock.answered(bare(&nobody)).await, "payment_not_found");
}

#[test]
fn the_command_that_the_page_shows_is_taken() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/redis-intake.md");
    let page = std::fs::read_to_string(page).unwrap();
    let at = page.find(r#"{"command":"capture""#).unwrap();
    let mut shown = serde_json::Deserializer::from_str(&page[at..]).into_iter::<Value>();
    let shown = shown.next().unwrap().unwrap().to_string();
    let rules = Rules {
        accept_unsigned: true,
        producers: Vec::new(),
    };
    let element = Element::read(shown.as_bytes(), &rules, start_time());
    assert!(
        matches!(element.verdict(), Ok(Asked::Command(_))),
        "{element:?}"
    );
}

#[tokio::test]
async fn a_new_time_is_about_all_that_would_be_captured() {
    let limited = Producer {
        largest_amount_minor: Some(4_000),
        ..producer("limited", 9)
    };
    let dock = Dock::with(Rules {
        accept_unsigned: true,
        producers: vec![limited],
    })
    .await;
    let id = is_recorded(
        &dock
            .answered(authorize("stay", &dock.token()).to_string())
            .await,
    );
    dock.stage.work().await;
    let give = async |key: &str, change: Value| {
        let json = command(key, "stay", &change).to_string();
        let element = signed_with(9, &header("limited"), json.as_bytes());
        dock.answered(element).await
    };
    let at = "2027-02-02T08:00:00+08:00";
    let whole = json!({"command": "reschedule", "capture_at": at});
    is_refused(&give("m1", whole).await, "amount_forbidden");
    let part = json!({"command": "reschedule", "capture_at": at, "capture_amount": 4_000});
    is_recorded(&give("m2", part).await);
    // Of what is planned, or decided, the rest is no matter.
    is_recorded(&give("m3", json!({"command": "reschedule", "capture_at": at})).await);
    is_recorded(&give("c", json!({"command": "capture"})).await);
    dock.stage.work().await;
    assert_eq!(dock.stage.taken(&id), (4_000, 1));
}

fn given<'a>(
    to: &'a PaymentId,
    key: &'a IdempotencyKey,
    command: &'a Command,
    by: &'a holdfast::store::audit::Mandate,
) -> holdfast::api::intake::Given<'a> {
    holdfast::api::intake::Given {
        to,
        key,
        command,
        by,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_command_may_be_given_is_asked_of_the_record_that_it_changes() {
    use holdfast::api::intake::{self, Said};
    use holdfast::store::audit::Mandate;
    use std::sync::atomic::{AtomicU32, Ordering};
    let dock = Dock::open().await;
    let id = is_recorded(
        &dock
            .answered(authorize("stay", &dock.token()).to_string())
            .await,
    );
    dock.stage.work().await;
    let key = |text: &str| IdempotencyKey::new(text).unwrap();
    let plan = |amount| Command::Reschedule {
        capture_at: None,
        capture_amount: Some(Amount::new(amount).unwrap()),
        release_at: None,
    };
    let (store, clock, policies) = (&*dock.store, &dock.stage.clock, policies());
    let by = Mandate::typed_by("aisyah");
    let (name, lower) = (key("p1"), plan(1_000));
    let first = given(&id, &name, &lower, &by);
    intake::command(store, clock, &policies, first)
        .await
        .unwrap();
    let (asked, capture) = (AtomicU32::new(0), Command::Capture { amount: None });
    let judge = |payment: &Payment| {
        if asked.fetch_add(1, Ordering::Relaxed) == 0 {
            // Behind its back the plan is raised.
            let (higher, name) = (plan(9_000), key("p2"));
            let raising = intake::command(store, clock, &policies, given(&id, &name, &higher, &by));
            let on = tokio::runtime::Handle::current();
            tokio::task::block_in_place(|| on.block_on(raising)).unwrap();
        }
        let amount = payment.lets_take(&capture).unwrap().minor();
        if amount > 1_000 { Err(amount) } else { Ok(()) }
    };
    let name = key("c");
    let taking = intake::command_if(
        store,
        clock,
        &policies,
        given(&id, &name, &capture, &by),
        &judge,
    );
    assert_eq!(taking.await.unwrap(), Err(9_000));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let (name, plan) = (key("p2"), plan(9_000));
    let known = intake::command(store, clock, &policies, given(&id, &name, &plan, &by));
    assert_eq!(known.await.unwrap().said, Said::Before);
    dock.stage.work().await;
    assert_eq!(dock.stage.taken(&id), (0, 0));
}

#[tokio::test]
async fn an_answer_to_a_command_has_no_links_and_no_tokens_and_none_has_the_history() {
    let dock = Dock::open().await;
    let mut open = authorize("open", "");
    open["source"] = json!({"checkout": {}});
    let asked = open.to_string();
    is_recorded(&dock.answered(&asked).await);
    dock.stage.work().await;
    let link = dock.answered(&asked).await;
    assert!(link["payment"]["checkout_url"].is_string(), "{link}");
    let moved = json!({"command": "reschedule", "release_at": "2027-02-02T08:00:00+08:00"});
    let fine = dock
        .answered(command("m", "open", &moved).to_string())
        .await;
    assert_eq!(fine["command"], "accepted", "{fine}");
    let late = json!({"command": "release"});
    let late = dock.answered(command("r", "open", &late).to_string()).await;
    assert_eq!(late["problem"]["code"], "not_applicable", "{late}");
    for shown in [&fine["payment"], &late["problem"]["payment"]] {
        assert!(shown["id"].is_string(), "{shown}");
        assert!(shown["checkout_url"].is_null(), "{shown}");
    }
    for shown in [
        &link["payment"],
        &fine["payment"],
        &late["problem"]["payment"],
    ] {
        for long in ["history", "commands"] {
            assert!(shown.get(long).is_none(), "{shown}");
        }
    }
    // Nor has what is answered to a key that may no longer ask for it.
    dock.producers.replace(Rules::default());
    let gone = dock.answered(&asked).await;
    is_recorded(&gone);
    assert!(gone["payment"]["checkout_url"].is_null(), "{gone}");
}
