//! Whoever dies, and wherever: nothing is lost, and a payment's events keep their order.

use holdfast::worker::outbox::Outcome;

use super::*;

/// Longer than any lease of these tests.
const BEYOND_LEASE_S: i64 = 36;

/// What was told of a payment, a repeat counted once.
fn once(told: &[String]) -> Vec<&str> {
    let mut told: Vec<&str> = told.iter().map(String::as_str).collect();
    told.dedup();
    told
}

#[tokio::test]
async fn a_worker_that_dies_before_the_post_leaves_the_event_to_another() {
    let mail = Mail::start().await;
    let id = mail.paid("one").await;
    drop(mail.take_one().await);
    assert!(mail.take().await.is_empty(), "it is leased");
    mail.pass_s(BEYOND_LEASE_S);
    mail.deliver().await;
    assert_eq!(mail.told(&id), ["payment.new", "payment.paid"]);
    assert_eq!(mail.pending().await, 0);
}

#[tokio::test]
async fn a_worker_that_dies_after_the_post_has_the_same_event_told_again_before_the_next() {
    let mail = Mail::start().await;
    let id = mail.paid("one").await;
    let event = mail.take_one().await;
    let outcome = mail.outbox.send(&mail.endpoint, &event).await;
    assert_eq!(outcome, Outcome::Accepted);
    mail.pass_s(BEYOND_LEASE_S);
    mail.deliver().await;
    let told = mail.told(&id);
    assert_eq!(told, ["payment.new", "payment.new", "payment.paid"]);
    assert_eq!(once(&told), ["payment.new", "payment.paid"]);
    let heard = mail.receiver.heard();
    assert_eq!(heard[0].header("webhook-id"), heard[1].header("webhook-id"));
}

#[tokio::test]
async fn who_lost_the_lease_settles_nothing() {
    let mail = Mail::start().await;
    mail.paid("one").await;
    let (late, endpoint) = (mail.take_one().await, &mail.endpoint);
    mail.pass_s(BEYOND_LEASE_S);
    let event = mail.take_one().await;
    assert_eq!(event.head, late.head);
    let settle = async |event, outcome| mail.outbox.settle(endpoint, event, outcome).await;
    settle(&late, Outcome::Accepted).await.unwrap();
    settle(&late, Outcome::Gone).await.unwrap();
    assert_eq!(mail.pending().await, 2, "it is another's by now");
    assert!(mail.stage.store.marks().await.unwrap().is_empty());
    assert!(mail.take().await.is_empty(), "it is leased still");
    settle(&event, Outcome::Accepted).await.unwrap();
    assert_eq!(mail.pending().await, 1);
}

#[tokio::test]
async fn a_worker_that_stood_still_sends_nothing() {
    let mail = Mail::start().await;
    mail.paid("one").await;
    let event = mail.take_one().await;
    mail.pass_s(8);
    let outcome = mail.outbox.send(&mail.endpoint, &event).await;
    assert_eq!(outcome, Outcome::TooLate);
    assert_eq!(mail.receiver.heard().len(), 0);
    let settled = mail.outbox.settle(&mail.endpoint, &event, outcome).await;
    assert_eq!(settled.unwrap(), Settled::Waits);
    assert_eq!(mail.take_one().await.tries, 0, "that was no try");
}

#[tokio::test]
async fn when_redis_dies_nothing_is_lost() {
    let mut mail = Mail::start().await;
    let one = mail.paid("one").await;
    mail.redis.restart().await.unwrap();
    // Copied, taken and sent, each of them before a crash.
    let event = mail.take_one().await;
    mail.redis.restart().await.unwrap();
    assert_eq!(
        mail.outbox.send(&mail.endpoint, &event).await,
        Outcome::Accepted
    );
    mail.redis.restart().await.unwrap();
    let settled = mail
        .outbox
        .settle(&mail.endpoint, &event, Outcome::Accepted);
    assert_eq!(settled.await.unwrap(), Settled::Delivered);
    let two = mail.paid("two").await;
    mail.redis.restart().await.unwrap();
    mail.deliver().await;
    for id in [one, two] {
        assert_eq!(mail.told(&id), ["payment.new", "payment.paid"]);
    }
    assert_eq!(mail.pending().await, 0);
}

#[tokio::test]
async fn an_outage_of_redis_only_delays_what_a_running_worker_tells() {
    let mut mail = Mail::start().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&mail.outbox).run(stop.clone()));
    for number in 0..3 {
        mail.paid(&format!("charge-{number}")).await;
        mail.redis.restart().await.unwrap();
    }
    // A take whose answer was lost waits for the end of its lease.
    until("all are told", async || {
        mail.pass_s(1);
        mail.pending().await == 0 && mail.receiver.heard().len() >= 6
    })
    .await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_full_memory_keeps_no_event_that_is_pending_from_being_told() {
    let mail = Mail::start().await;
    let one = mail.paid("one").await;
    mail.outbox.spread(&mail.endpoint).await.unwrap();
    let two = mail.paid("two").await;
    let limit = async |bytes: &str| {
        let client = redis::Client::open(mail.redis.url()).unwrap();
        let mut raw = client.get_multiplexed_async_connection().await.unwrap();
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("maxmemory").arg(bytes);
        set.exec_async(&mut raw).await.unwrap();
    };
    limit("1").await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&mail.outbox).run(stop.clone()));
    until("what is pending is told", async || {
        mail.told(&one).len() == 2
    })
    .await;
    assert_eq!(mail.told(&one), ["payment.new", "payment.paid"]);
    assert_eq!(mail.told(&two).len(), 0, "it could not be copied");
    limit("0").await;
    until("the others are told", async || mail.told(&two).len() == 2).await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn two_events_of_one_version_are_two_and_come_as_they_were_written() {
    let mail = Mail::start().await;
    let id = mail.stage.charge("one", 1500).await;
    mail.deliver().await;
    let client = redis::Client::open(mail.redis.url()).unwrap();
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    for state in ["paid", "failed"] {
        let event = format!(
            r#"{{"v":1,"payment":"{id}","account":"hotel","state":"{state}","version":2,
                "at":"2027-01-31T06:00:00Z"}}"#
        );
        let mut add = redis::cmd("XADD");
        add.arg(format!("{{hf:{}}}:events", id.spread() % 8));
        add.arg("*").arg("event").arg(event);
        add.exec_async(&mut raw).await.unwrap();
    }
    mail.deliver().await;
    let told = ["payment.new", "payment.paid", "payment.failed"];
    assert_eq!(mail.told(&id), told);
    let heard = mail.receiver.heard();
    let ids: BTreeSet<&str> = heard.iter().map(|one| one.header("webhook-id")).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(mail.waiting().await.oldest, None);
}
