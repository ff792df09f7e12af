//! What changes while events are on their way: addresses, filters, decisions of people, and one event
//! that a receiver cannot take.

use holdfast::store::{Mark, Sends};
use holdfast::worker::outbox::Outcome;

use super::*;

impl Mail {
    async fn is_off(&self) -> bool {
        let marks = self.stage.store.marks().await.unwrap();
        marks.values().any(|mark| mark.sends == Sends::Disabled)
    }

    fn only(&self, kind: &str) -> Endpoint {
        Endpoint {
            types: Some(BTreeSet::from([kind.to_owned()])),
            ..self.endpoint.clone()
        }
    }
}

fn enabled(mail: &Mail) -> Mark {
    Mark {
        sends: Sends::Enabled,
        at: mail.stage.clock.now(),
        why: "to be sure".to_owned(),
        by: "aina".to_owned(),
        address: None,
    }
}

#[tokio::test]
async fn an_address_that_was_replaced_disables_nothing() {
    let mail = Mail::start().await;
    let id = mail.stage.charge("one", 1500).await;
    let event = mail.take_one().await;
    let other = Receiver::start().await;
    let moved = endpoint("shop", &other.url());
    mail.outbox.replace(vec![moved.clone()]);
    let settled = mail.outbox.settle(&mail.endpoint, &event, Outcome::Gone);
    assert_eq!(settled.await.unwrap(), Settled::Waits);
    assert!(!mail.is_off().await);
    let event = mail.take_one().await;
    mail.outbox.deliver(&moved, &event).await.unwrap();
    assert!(other.heard()[0].is_about(&id));
}

#[tokio::test]
async fn what_one_address_answered_says_nothing_of_the_next() {
    let mail = Mail::start().await;
    mail.receiver.answer(&[Answer::Status(410)]);
    mail.paid("one").await;
    assert_eq!(mail.deliver_one().await, Settled::Disabled);
    assert!(mail.is_off().await);
    // Another worker, which was started with another address.
    let other = Receiver::start().await;
    let moved = endpoint("shop", &other.url());
    let second = outbox(&mail.redis, &mail.stage.clock, vec![moved]).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(second.run(stop.clone()));
    until("it is told there", async || other.heard().len() == 2).await;
    stop.cancel();
    running.await.unwrap();
}

impl Mail {
    async fn deliver_one(&self) -> Settled {
        let event = self.take_one().await;
        let settled = self.outbox.deliver(&self.endpoint, &event).await;
        settled.unwrap()
    }
}

/// Slower than deliveries may be at a stop.
#[tokio::test]
async fn a_reload_lets_deliveries_under_way_come_to_their_end() {
    let mail = Mail::start().await;
    mail.receiver.slow_down(Duration::from_secs(7));
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&mail.outbox).run(stop.clone()));
    mail.stage.charge("one", 1500).await;
    until("it is being told", async || {
        !mail.receiver.heard().is_empty()
    })
    .await;
    mail.outbox.replace(vec![mail.endpoint.clone()]);
    until("it is told", async || mail.pending().await == 0).await;
    assert_eq!(mail.receiver.heard().len(), 1);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn of_two_filters_the_one_that_was_read_last_counts() {
    let mail = Mail::start().await;
    let (all, paid) = (mail.endpoint.clone(), mail.only("payment.paid"));
    let old = outbox(&mail.redis, &mail.stage.clock, vec![all.clone()]).await;
    mail.outbox.spread(&all).await.unwrap();
    mail.pass_s(1);
    let new = outbox(&mail.redis, &mail.stage.clock, vec![paid.clone()]).await;
    // It takes over before anything happens.
    assert!(!new.spread(&paid).await.unwrap().outranked);
    let id = mail.paid("one").await;
    let stood_back = old.spread(&all).await.unwrap();
    assert!(stood_back.outranked && stood_back.read == 0);
    new.spread(&paid).await.unwrap();
    let taken = new.take(&paid, 10).await.unwrap();
    let states: Vec<_> = taken.iter().map(|event| &*event.head.state).collect();
    assert_eq!(states, ["paid"]);
    assert_eq!(taken[0].head.payment, id);
    // Whoever reads its settings anew is the last one.
    mail.pass_s(1);
    old.replace(vec![all.clone()]);
    assert!(!old.spread(&all).await.unwrap().outranked);
    assert!(new.spread(&paid).await.unwrap().outranked);
}

#[tokio::test]
async fn a_worker_whose_filter_was_replaced_sends_nothing() {
    let mail = Mail::start().await;
    mail.paid("one").await;
    mail.outbox.spread(&mail.endpoint).await.unwrap();
    let (clock, paid) = (&mail.stage.clock, mail.only("payment.paid"));
    mail.pass_s(1);
    let new = outbox(&mail.redis, clock, vec![paid.clone()]).await;
    new.spread(&paid).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&mail.outbox).run(stop.clone()));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(mail.receiver.heard().len(), 0);
    stop.cancel();
    running.await.unwrap();
    // What was copied by the old filter is not sent by the new one either.
    for expected in [Settled::Unwanted, Settled::Delivered] {
        let taken = new.take(&paid, 10).await.unwrap();
        assert_eq!(new.deliver(&paid, &taken[0]).await.unwrap(), expected);
    }
    let kinds: Vec<_> = mail.receiver.heard().iter().map(Heard::kind).collect();
    assert_eq!(kinds, ["payment.paid"]);
    assert_eq!(mail.pending().await, 0);
}

#[tokio::test]
async fn enabling_what_is_enabled_sends_nothing_twice_and_hurries_what_waits() {
    let mail = Mail::start().await;
    mail.receiver.answer(&[Answer::Status(500)]);
    mail.stage.charge("waits", 1500).await;
    mail.deliver().await;
    let under_way = mail.stage.charge("under-way", 1500).await;
    let event = mail.take_one().await;
    let (store, name) = (&mail.stage.store, &mail.endpoint.name);
    assert_eq!(store.set_mark(name, &enabled(&mail)).await.unwrap(), 2);
    let waited = mail.take_one().await;
    assert_ne!(waited.head.payment, under_way);
    assert_eq!(waited.tries, 0);
    for event in [&event, &waited] {
        let settled = mail.outbox.deliver(&mail.endpoint, event).await;
        assert_eq!(settled.unwrap(), Settled::Delivered);
    }
    assert_eq!(mail.receiver.heard().len(), 3);
    assert_eq!(mail.pending().await, 0);
}

#[tokio::test]
async fn enabling_hurries_each_of_very_many_that_wait() {
    const WAITING: i64 = 3_000;
    let mail = Mail::start().await;
    let mut redis = crate::store::on_redis::raw(&mail.redis).await;
    let due = format!("{{hf:3}}:out:{}:due", mail.endpoint.name);
    let now = mail.stage.clock.now().timestamp_millis();
    let mut wait = redis::cmd("ZADD");
    wait.arg(&due);
    for number in 0..WAITING {
        wait.arg(now + 60_000 + number).arg(format!("pay_{number}"));
    }
    let waiting: i64 = wait.query_async(&mut redis).await.unwrap();
    assert_eq!(waiting, WAITING);
    let (store, name) = (&mail.stage.store, &mail.endpoint.name);
    assert_eq!(store.set_mark(name, &enabled(&mail)).await.unwrap(), 3_000);
    let mut count = redis::cmd("ZCOUNT");
    count.arg(&due).arg("-inf").arg(now);
    let hurried: i64 = count.query_async(&mut redis).await.unwrap();
    assert_eq!(hurried, WAITING);
}

#[tokio::test]
async fn a_worker_that_did_not_see_a_decision_overrules_nobody() {
    let mail = Mail::start().await;
    mail.stage.charge("one", 1500).await;
    let event = mail.take_one().await;
    let (store, name) = (&mail.stage.store, &mail.endpoint.name);
    let person = enabled(&mail);
    store.set_mark(name, &person).await.unwrap();
    let settled = mail.outbox.settle(&mail.endpoint, &event, Outcome::Gone);
    assert_eq!(settled.await.unwrap(), Settled::Waits);
    assert_eq!(store.marks().await.unwrap()[name], person);
}

#[tokio::test]
async fn one_event_that_a_receiver_cannot_take_stops_no_other_and_can_be_skipped() {
    let mail = Mail::start().await;
    mail.receiver.answer(&[500; 4].map(Answer::Status));
    let stuck = mail.paid("stuck").await;
    let waits = schedule().delays_ms;
    let rungs: Vec<i64> = waits
        .iter()
        .map(|ms| i64::try_from(ms / 1_000).unwrap())
        .collect();
    assert_eq!(mail.deliver_one().await, Settled::Waits);
    for wait_s in &rungs[..2] {
        mail.pass_s(*wait_s);
        assert_eq!(mail.deliver_one().await, Settled::Waits);
    }
    mail.pass_s(rungs[2]);
    // The last try, and others are accepted after it was first tried.
    let event = mail.take_one().await;
    let outcome = mail.outbox.send(&mail.endpoint, &event).await;
    mail.paid("other").await;
    mail.deliver().await;
    let settled = mail.outbox.settle(&mail.endpoint, &event, outcome);
    assert_eq!(settled.await.unwrap(), Settled::Stuck);
    assert!(!mail.is_off().await);
    mail.pass_s(rungs[2] - 1);
    assert!(mail.take().await.is_empty());
    let line = [
        "events",
        "skip",
        "--endpoint",
        "shop",
        "--id",
        &event.id(),
        "--reason",
        "bad field",
    ];
    mail.types(&line).await.unwrap();
    let log = mail.types(&["endpoints", "log"]).await.unwrap();
    assert_eq!(log["log"][0]["what"], "skipped");
    assert_eq!(log["log"][0]["event"], event.id());
    assert_eq!(mail.types(&line).await.unwrap_err().exit_code(), 3);
    mail.pass_s(1);
    // Typed by a command, which has the time of today; these tests have another.
    mail.deliver().await;
    assert_eq!(mail.told(&stuck).last().unwrap(), "payment.paid");
    assert_eq!(mail.pending().await, 0);
}
