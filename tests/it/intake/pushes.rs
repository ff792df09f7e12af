//! Pushed is done once, or waits.

use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn what_is_pushed_is_recorded_answered_and_paid_once() {
    let dock = Dock::open().await;
    let element = charge("one", &dock.token(), 1_500).to_string();
    let answer = dock.answered(&element).await;
    let id = is_recorded(&answer);
    assert_eq!(answer["payment"]["state"], "new");
    dock.stage.work().await;
    assert_eq!(dock.stage.taken(&id), (1_500, 1));
    // The same again changes nothing, and is answered with what is true by now.
    let answer = dock.answered(&element).await;
    assert_eq!(is_recorded(&answer), id);
    assert_eq!(answer["payment"]["state"], "paid");
    dock.stage.work().await;
    assert_eq!(dock.stage.taken(&id), (1_500, 1));
    let left: i64 = dock.ask(&["PTTL", &answer_at("hotel", &element)]).await;
    assert!(
        (1..=i64::try_from(HOUR_MS).unwrap()).contains(&left),
        "answers are kept for a while: {left}"
    );
}

#[tokio::test]
async fn whoever_authorizes_finds_the_link_in_the_answer_to_the_same_pushed_again() {
    let dock = Dock::open().await;
    let mut asked = authorize("stay", "");
    asked["source"] = json!({"checkout": {}});
    let element = asked.to_string();
    is_recorded(&dock.answered(&element).await);
    dock.stage.work().await;
    let answer = dock.answered(&element).await;
    assert_eq!(answer["payment"]["state"], "awaiting_payer");
    assert!(answer["payment"]["checkout_url"].is_string());
}

#[tokio::test]
async fn a_thousand_pushes_of_one_key_make_one_payment_that_is_paid_once() {
    let dock = Dock::open().await;
    let element = charge("one", &dock.token(), 1_500).to_string();
    // Over all intakes, and taken in by two workers at once.
    let pushes = (0..1_000).map(|number| {
        let (intake, element) = (format!("{{hf:{}}}:intake", number % 8), &element);
        let dock = &dock;
        async move { dock.ask::<i64>(&["RPUSH", &intake, element]).await }
    });
    join_all(pushes).await;
    let other = dock.other_intake();
    while dock.waiting().await > 0 {
        let (one, two) = tokio::join!(dock.intake.round(), other.round());
        one.and(two).unwrap();
    }
    assert_eq!(dock.payments().await, 1);
    let answer = dock.answer("hotel", &element).await.unwrap();
    let id = is_recorded(&answer);
    dock.stage.work().await;
    assert_eq!(dock.stage.taken(&id), (1_500, 1));
    assert!(dock.quarantine().await.is_empty());
}

#[tokio::test]
async fn of_two_contents_under_one_key_the_first_is_recorded_and_the_other_refused() {
    let dock = Dock::open().await;
    let token = dock.token();
    let contents: Vec<String> = (0..50)
        .map(|more| charge("one", &token, 1_500 + more).to_string())
        .collect();
    for content in &contents {
        dock.push(content).await;
    }
    dock.take_in().await;
    let first = dock.answer("hotel", &contents[0]).await.unwrap();
    let id = is_recorded(&first);
    for content in &contents[1..] {
        let other = dock.answer("hotel", content).await.unwrap();
        is_refused(&other, "idempotency_key_reused");
        assert_eq!(other["problem"]["status"], 422);
    }
    dock.stage.work().await;
    assert_eq!(dock.stage.taken(&id), (1_500, 1));
    assert_eq!(dock.quarantine().await.len(), contents.len() - 1);
}

#[tokio::test]
async fn a_worker_that_dies_before_it_settles_loses_nothing_and_does_nothing_twice() {
    let dock = Dock::open().await;
    let token = dock.token();
    let elements: Vec<String> = (0..20)
        .map(|number| charge(&format!("k{number}"), &token, 1_500).to_string())
        .collect();
    for element in &elements {
        dock.push(element).await;
    }
    // It dies once before it did anything, and once when all is done but taking it off the list.
    drop(dock.intake.take(0).await.unwrap().unwrap());
    dock.ask::<i64>(&["DEL", LEASE]).await;
    let portion = dock.intake.take(0).await.unwrap().unwrap();
    drop(dock.intake.carry_out_all(portion).await);
    dock.stage.work().await;
    assert_eq!(dock.waiting().await, 20);
    assert_eq!(
        dock.intake.round().await.unwrap(),
        0,
        "the lease still stands"
    );
    dock.ask::<i64>(&["DEL", LEASE]).await;
    dock.take_in().await;
    dock.stage.work().await;
    for element in &elements {
        let answer = dock.answer("hotel", element).await;
        let id = is_recorded(&answer.unwrap());
        assert_eq!(dock.stage.taken(&id), (1_500, 1));
    }
    assert_eq!(dock.payments().await, 20);
}

#[tokio::test]
async fn whoever_lost_the_lease_takes_nothing_off() {
    let dock = Dock::open().await;
    let token = dock.token();
    dock.push(charge("one", &token, 1_500).to_string()).await;
    dock.push("no json").await;
    let portion = dock.intake.take(0).await.unwrap().unwrap();
    let done = dock.intake.carry_out_all(portion).await;
    dock.ask::<i64>(&["DEL", LEASE]).await;
    let other = dock.other_intake();
    let theirs = other.take(0).await.unwrap().unwrap();
    assert_eq!(dock.intake.settle(done).await.unwrap(), 0);
    assert_eq!(dock.waiting().await, 2);
    assert!(dock.quarantine().await.is_empty());
    let theirs = other.carry_out_all(theirs).await;
    // Nor does what was pushed since go with what was handled.
    dock.push(charge("two", &token, 1_500).to_string()).await;
    assert_eq!(other.settle(theirs).await.unwrap(), 2);
    assert_eq!(
        (dock.waiting().await, dock.quarantine().await.len()),
        (1, 1)
    );
    let lease: Option<String> = dock.ask(&["GET", LEASE]).await;
    assert_eq!(lease, None, "the lease ends with the work");
}

#[tokio::test]
async fn poison_goes_into_quarantine_and_holds_nothing_up() {
    let dock = Dock::open().await;
    let token = dock.token();
    let poison: [&[u8]; 6] = [
        b"",
        b"\xff\xfe\x00",
        b"[]",
        b"{\"v\":1}",
        br#"{"v":1,"push":"0c7b1f0e-push-of-a-test","type":"charge","account":"hotel",
            "idempotency_key":"bad","money":5}"#,
        b"aaa.bbb.ccc",
    ];
    for (number, bytes) in poison.iter().enumerate() {
        dock.push(charge(&format!("k{number}"), &token, 1_500).to_string())
            .await;
        dock.push(bytes).await;
        // However often it comes, it is there once.
        dock.push(bytes).await;
    }
    dock.take_in().await;
    assert_eq!(dock.payments().await, 6);
    let notes = dock.quarantine().await;
    assert_eq!(notes.len(), poison.len());
    let mut kept = Vec::new();
    for (id, note) in notes {
        assert!(!note.detail.is_empty() && note.at == start_time());
        kept.push(
            dock.store
                .quarantined(&id)
                .await
                .unwrap()
                .unwrap()
                .1
                .unwrap(),
        );
    }
    kept.sort();
    let mut pushed: Vec<Vec<u8>> = poison.iter().map(|bytes| bytes.to_vec()).collect();
    pushed.sort();
    assert_eq!(kept, pushed, "byte by byte");
    let bad = dock.answer("hotel", poison[4]).await.unwrap();
    is_refused(&bad, "invalid_request");
    assert_eq!(bad["problem"]["field"], "money");
}

#[tokio::test]
async fn what_is_too_long_is_set_aside_unread_and_whole() {
    let dock = Dock::open().await;
    let token = dock.token();
    let long = vec![b'{'; 300_000];
    dock.push(charge("one", &token, 1_500).to_string()).await;
    dock.push(&long).await;
    dock.push(charge("two", &token, 1_500).to_string()).await;
    dock.take_in().await;
    assert_eq!(dock.payments().await, 2);
    let (id, note) = dock.quarantine().await.remove(0);
    assert_eq!(
        (note.code.as_str(), note.bytes),
        ("body_too_large", 300_000)
    );
    let kept = dock.store.quarantined(&id).await.unwrap().unwrap().1;
    assert!(kept == Some(long));
}

#[tokio::test]
async fn what_is_pushed_to_a_full_redis_waits_until_there_is_room() {
    let dock = Dock::open().await;
    let token = dock.token();
    let held = dock.answered(authorize("stay", &token).to_string()).await;
    let id = is_recorded(&held);
    dock.stage.work().await;
    // More than is read at once stands before a command.
    for number in 0..150 {
        dock.push(charge(&format!("k{number}"), &token, 1_500).to_string())
            .await;
    }
    let give = |key: &str, of: &str, command: &str| {
        json!({"push": PUSH, "account": "hotel", "idempotency_key": key, "payment_key": of,
            "command": command})
        .to_string()
    };
    let (capture, behind) = (give("c", "stay", "capture"), give("x", "k149", "cancel"));
    dock.push(&behind).await;
    dock.push(&capture).await;
    dock.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = dock.intake.round().await;
    assert!(refused.unwrap_err().to_string().contains("OOM"));
    // Neither waits for the other; what is about a payment that waits, waits for it.
    let answer = dock.answer("hotel", &capture).await;
    assert_eq!(is_recorded(&answer.unwrap()), id);
    assert_eq!(dock.answer("hotel", &behind).await, None);
    assert_eq!((dock.waiting().await, dock.payments().await), (151, 1));
    dock.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    dock.take_in().await;
    assert_eq!(dock.payments().await, 151);
    is_recorded(&dock.answer("hotel", &behind).await.unwrap());
    assert!(dock.quarantine().await.is_empty());
}

#[tokio::test]
async fn what_stays_open_holds_up_only_what_is_about_the_same_payment() {
    let dock = Dock::open().await;
    let token = dock.token();
    // A worker that may write to all partitions of payments but one.
    let rule = "ACL SETUSER lame on >x ~{hf:[0-24-7]}:* ~{hf:3}:intake ~hf:* &* +@all";
    dock.ask::<()>(&rule.split(' ').collect::<Vec<_>>()).await;
    let url = format!("{}?user=lame&pass=x", dock.redis.url());
    let lame = RedisStore::connect(settings(url), dock.stage.clock.clone());
    let lame = Dock::intake_over(
        &Arc::new(lame.await.unwrap()),
        &dock.stage.clock,
        &dock.producers,
    );
    let keys: Vec<String> = (0..40).map(|number| format!("k{number}")).collect();
    let stuck = |key: &String| {
        let key = IdempotencyKey::new(key.as_str()).unwrap();
        PaymentId::derive(&account(), &key).spread() % 8 == 3
    };
    let (open, mut fine): (Vec<_>, Vec<_>) = keys.iter().partition(|key| stuck(key));
    assert!(open.len() > 1 && fine.len() > 2, "{open:?}");
    let apart = fine.pop().unwrap();
    let cancel = |key: &str| {
        json!({"push": PUSH, "account": "hotel", "idempotency_key": "x", "payment_key": key,
            "command": "cancel"})
        .to_string()
    };
    for key in open.iter().chain(&fine) {
        dock.push(charge(key, &token, 1_500).to_string()).await;
        dock.push(cancel(key)).await;
    }
    let elsewhere = charge(apart, &token, 1_500).to_string();
    dock.ask::<i64>(&["RPUSH", "{hf:5}:intake", &elsewhere])
        .await;
    let stuck = lame.round().await.unwrap_err();
    assert!(stuck.to_string().contains("NOPERM"), "{stuck}");
    for key in &fine {
        is_recorded(&dock.answer("hotel", cancel(key)).await.unwrap());
    }
    assert_eq!(dock.waiting().await, 2 * open.len() as u64);
    assert_eq!(dock.payments().await, fine.len() as u64 + 1);
    dock.take_in().await;
    for key in &open {
        is_recorded(&dock.answer("hotel", cancel(key)).await.unwrap());
    }
    assert!(dock.quarantine().await.is_empty());
}

#[tokio::test]
async fn a_portion_ends_while_its_lease_lasts_whatever_the_store_does() {
    let dock = Dock::open().await;
    let patient = holdfast::store::redis::Settings {
        save_patience_ms: 60_000,
        ..settings(dock.redis.url())
    };
    let store = RedisStore::connect(patient, dock.stage.clock.clone());
    let store = Arc::new(store.await.unwrap());
    let intake = Dock::intake_over(&store, &dock.stage.clock, &dock.producers);
    let element = charge("one", &dock.token(), 1_500).to_string();
    dock.push(&element).await;
    let taken = intake.take(0).await.unwrap().unwrap();
    dock.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let done = intake.carry_out_all(taken).await;
    let left: i64 = dock.ask(&["PTTL", LEASE]).await;
    let longest = i64::try_from(store.longest_call().as_millis()).unwrap();
    assert!(left > longest, "{left} ms of the lease are left");
    intake.settle(done).await.unwrap_err();
    assert_eq!(dock.answer("hotel", &element).await, None);
    assert_eq!(dock.waiting().await, 1);
}

#[tokio::test]
async fn nothing_is_taken_in_by_a_redis_that_may_forget_it() {
    let dock = Dock::open().await;
    dock.push(charge("one", &dock.token(), 1_500).to_string())
        .await;
    dock.ask::<()>(&["CONFIG", "SET", "appendfsync", "everysec"])
        .await;
    dock.store.inspect().await.unwrap();
    assert_eq!(dock.intake.round().await.unwrap(), 0);
    assert_eq!((dock.waiting().await, dock.payments().await), (1, 0));
    dock.ask::<()>(&["CONFIG", "SET", "appendfsync", "always"])
        .await;
    dock.store.inspect().await.unwrap();
    dock.take_in().await;
    assert_eq!(dock.payments().await, 1);
}

#[tokio::test]
async fn what_waits_while_redis_is_away_is_there_when_it_is_back() {
    let mut dock = Dock::open().await;
    let element = charge("one", &dock.token(), 1_500).to_string();
    dock.push(&element).await;
    let portion = dock.intake.take(0).await.unwrap().unwrap();
    dock.redis.kill().unwrap();
    let done = dock.intake.carry_out_all(portion).await;
    dock.intake.settle(done).await.unwrap_err();
    dock.intake.round().await.unwrap_err();
    dock.redis.start_again().await.unwrap();
    dock.raw = raw(dock.redis.url()).await;
    dock.ask::<i64>(&["DEL", LEASE]).await;
    while dock.waiting().await > 0 {
        let _ = dock.intake.round().await;
    }
    is_recorded(&dock.answer("hotel", &element).await.unwrap());
    assert_eq!(
        (dock.payments().await, dock.quarantine().await.len()),
        (1, 0)
    );
}

#[tokio::test]
async fn a_record_that_cannot_be_read_holds_up_nobody_else() {
    let dock = Dock::open().await;
    let (token, element) = (dock.token(), charge("one", "a-token", 1_500).to_string());
    let id = PaymentId::derive(&account(), &IdempotencyKey::new("one").unwrap());
    for partition in 0..8 {
        let at = format!("{{hf:{partition}}}:payment:{id}");
        dock.ask::<()>(&["SET", &at, "something else"]).await;
    }
    dock.push(&element).await;
    dock.push(charge("two", &token, 1_500).to_string()).await;
    dock.take_in().await;
    let answer = dock.answer("hotel", &element).await.unwrap();
    is_refused(&answer, "record_unreadable");
    assert_eq!(
        (dock.payments().await, dock.quarantine().await.len()),
        (1, 1)
    );
}

#[tokio::test]
async fn a_push_is_taken_in_at_once_when_the_producer_gives_a_hint_and_soon_without() {
    let dock = Dock::open().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let (other, until) = (dock.other_intake(), stop.clone());
    let running = tokio::spawn(async move { other.run(until).await });
    for (key, hint) in [("one", false), ("two", true)] {
        let element = charge(key, &dock.token(), 1_500).to_string();
        dock.push(&element).await;
        if hint {
            dock.ask::<i64>(&["PUBLISH", "hf:wake", ""]).await;
        }
        while dock.answer("hotel", &element).await.is_none() {
            tokio::task::yield_now().await;
        }
    }
    stop.cancel();
    running.await.unwrap();
    assert_eq!(dock.payments().await, 2);
}

#[tokio::test]
async fn what_says_a_thing_twice_or_has_no_name_of_its_own_is_refused() {
    let dock = Dock::open().await;
    let fine = charge("one", &dock.token(), 1_500).to_string();
    for (wrong, field) in [
        (fine.replacen('{', r#"{"v":1,"#, 1), "body"),
        (
            fine.replace(r#""amount":1500"#, r#""amount":1500,"amount":9"#),
            "body",
        ),
        (fine.replace(PUSH, "short"), "push"),
        (fine.replace(PUSH, "not one word, but many"), "push"),
        (fine.replace(r#""push":""#, r#""reference":""#), "push"),
    ] {
        assert_ne!(wrong, fine);
        dock.push(&wrong).await;
        dock.take_in().await;
        let (id, note) = dock.quarantine().await.remove(0);
        let told = (note.code.as_str(), note.field.as_deref());
        assert_eq!(told, ("invalid_request", Some(field)), "{wrong}");
        assert_eq!(id.to_string().len(), 34);
        dock.ask::<i64>(&["DEL", "{hf:0}:quarantine", "{hf:0}:quarantine:bytes"])
            .await;
    }
    assert_eq!(dock.payments().await, 0);
}
