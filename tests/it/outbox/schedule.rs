//! What is not accepted is tried again by the published schedule, and what never is becomes an alarm.

use super::*;
use holdfast::store::Sends;

/// The waits of `schedule()`, in seconds.
const WAITS_S: [i64; 3] = [5, 300, 1_800];

impl Mail {
    async fn is_disabled(&self) -> Option<String> {
        let marks = self.stage.store.marks().await.unwrap();
        let mark = marks.get(&self.endpoint.name);
        mark.filter(|mark| mark.sends == Sends::Disabled)
            .map(|mark| mark.why.clone())
    }

    async fn enable(&self) -> u64 {
        let mark = holdfast::store::Mark {
            sends: Sends::Enabled,
            at: self.stage.clock.now(),
            why: "mended".to_owned(),
            by: "aina".to_owned(),
            address: None,
        };
        let store = &self.stage.store;
        store.set_mark(&self.endpoint.name, &mark).await.unwrap()
    }
}

#[tokio::test]
async fn tries_follow_the_schedule_and_then_the_endpoint_is_disabled() {
    let mail = Mail::start().await;
    mail.receiver.answer_always(Answer::Status(500));
    let id = mail.paid("one").await;
    assert_eq!(mail.deliver().await, [Settled::Waits]);
    for (number, wait_s) in WAITS_S.into_iter().enumerate() {
        assert_eq!(mail.is_disabled().await, None);
        mail.pass_s(wait_s - 1);
        assert!(mail.take().await.is_empty(), "try {number} is early");
        mail.pass_s(1);
        let settled = if number + 1 < WAITS_S.len() {
            Settled::Waits
        } else {
            Settled::Disabled
        };
        let event = mail.take_one().await;
        let done = mail.outbox.deliver(&mail.endpoint, &event).await;
        assert_eq!(done.unwrap(), settled);
    }
    let why = mail.is_disabled().await.unwrap();
    assert!(why.contains("4 times") && why.contains("500"), "{why}");
    assert_eq!(mail.pending().await, 2, "both events are kept");
    // Only the first one was ever sent: the next waits for it.
    assert_eq!(mail.told(&id), ["payment.new"; 4]);
}

#[tokio::test]
async fn a_disabled_endpoint_gets_nothing_and_everything_once_it_is_enabled() {
    let mail = Mail::start().await;
    mail.receiver.answer(&[Answer::Status(410)]);
    let one = mail.stage.charge("one", 1500).await;
    assert_eq!(mail.take().await.len(), 1);
    mail.pass_s(60);
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&mail.outbox).run(stop.clone()));
    until("it is disabled", async || {
        mail.is_disabled().await.is_some()
    })
    .await;
    mail.stage.work().await;
    let two = mail.paid("two").await;
    mail.pass_s(90 * 86_400);
    // Enough time to copy, which costs memory for nothing: the streams have it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(mail.pending().await, 1);
    assert!(mail.waiting().await.unread_since.is_some());
    assert_eq!(mail.told(&one), ["payment.new"]);
    assert_eq!(mail.told(&two), Vec::<String>::new());
    assert!(mail.is_disabled().await.unwrap().contains("410"));
    assert_eq!(mail.enable().await, 1);
    until("all are told", async || mail.pending().await == 0).await;
    let told = ["payment.new", "payment.new", "payment.paid"];
    assert_eq!(mail.told(&one), told);
    assert_eq!(mail.told(&two), told[1..]);
    stop.cancel();
    running.await.unwrap();
    let deeds = mail.stage.store.deeds(10).await.unwrap();
    let told: Vec<_> = deeds.iter().map(|d| (&*d.what, &*d.by)).collect();
    assert_eq!(told, [("enabled", "aina"), ("disabled", "worker")]);
}

#[tokio::test]
async fn whoever_is_enabled_again_has_all_tries_again_at_once() {
    let mail = Mail::start().await;
    mail.receiver.answer(&[500; 3].map(Answer::Status));
    mail.stage.charge("one", 1500).await;
    mail.deliver().await;
    for wait_s in &WAITS_S[..2] {
        mail.pass_s(*wait_s);
        mail.deliver().await;
    }
    assert_eq!(mail.enable().await, 1);
    let event = mail.take_one().await;
    assert_eq!(event.tries, 0);
    let done = mail.outbox.deliver(&mail.endpoint, &event).await;
    assert_eq!(done.unwrap(), Settled::Delivered);
}

#[tokio::test]
async fn a_person_who_enables_an_endpoint_is_not_overruled_by_a_try_from_before() {
    let mail = Mail::start().await;
    mail.receiver.answer(&[Answer::Status(410)]);
    mail.stage.charge("one", 1500).await;
    let before = mail.take_one().await;
    mail.enable().await;
    mail.outbox.deliver(&mail.endpoint, &before).await.unwrap();
    assert_eq!(mail.is_disabled().await, None);
    assert_eq!(mail.deliver().await, [Settled::Delivered]);
}

#[tokio::test]
async fn an_endpoint_that_asks_to_be_left_alone_is() {
    let mail = Mail::start().await;
    let wait = vec![("retry-after".to_owned(), "120".to_owned())];
    mail.receiver.answer(&[Answer::With(429, wait)]);
    mail.stage.charge("one", 1500).await;
    mail.deliver().await;
    mail.pass_s(119);
    assert!(mail.take().await.is_empty());
    mail.pass_s(1);
    assert_eq!(mail.deliver().await, [Settled::Delivered]);
}

#[tokio::test]
async fn no_answer_in_time_is_a_try_in_vain() {
    let mut mail = Mail::start().await;
    mail.endpoint.timeout = Duration::from_millis(100);
    mail.receiver.answer(&[Answer::Hang]);
    mail.stage.charge("one", 1500).await;
    assert_eq!(mail.deliver().await, [Settled::Waits]);
    mail.receiver.let_go();
    mail.endpoint.timeout = Duration::from_secs(20);
    mail.pass_s(5);
    assert_eq!(mail.deliver().await, [Settled::Delivered]);
}

#[tokio::test]
async fn an_endpoint_that_the_settings_switch_off_has_its_events_kept() {
    let mut mail = Mail::start().await;
    mail.endpoint.enabled = false;
    let off = mail.endpoint.clone();
    mail.outbox = outbox(&mail.redis, &mail.stage.clock, vec![off]).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&mail.outbox).run(stop.clone()));
    mail.paid("one").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(mail.pending().await, 0, "the streams have it");
    assert!(mail.waiting().await.unread_since.is_some());
    mail.endpoint.enabled = true;
    mail.outbox.replace(vec![mail.endpoint.clone()]);
    until("both are told", async || mail.receiver.answered() == 2).await;
    stop.cancel();
    running.await.unwrap();
}
