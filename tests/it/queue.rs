//! Promises of the queue.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod on_redis;
pub(crate) mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, pending};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chip_sandbox::Operation;
use chrono::TimeDelta;
use holdfast::clock::Clock;
use holdfast::payment::{Payment, PaymentId, Request, Timestamp, UnknownPolicy, Verdict};
use holdfast::queue::{Cause, Handler, Settings, Stopped, run};
use holdfast::store::memory::MemoryStore;
use holdfast::store::{Claim, SaveError, Store, Then};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::stage::{Stage, start_time};
use watched::Watched;

/// Every wait in these tests ends with a failure after this time.
const PATIENCE: Duration = Duration::from_secs(30);
/// Polling, and leases, that play no part in a test.
const NEVER_MS: u64 = 3_600_000;

const QUICK: Settings = Settings {
    concurrency: 4,
    batch: 32,
    lease_ms: NEVER_MS,
    renew_ms: NEVER_MS,
    poll_ms: NEVER_MS,
    shutdown_ms: 10_000,
    identity: 7,
};

fn payment(number: usize, now: Timestamp) -> Payment {
    let json = format!(
        r#"{{"v":1,"type":"charge","account":"main","idempotency_key":"order-{number}",
            "money":{{"amount":1500,"currency":"MYR"}},"token":"token-{number}",
            "customer":{{"email":"payer@example.com"}}}}"#
    );
    Payment::new(Request::from_json(json.as_bytes()).unwrap(), now).unwrap()
}

/// A store with `count` payments that are due now.
async fn store_with(count: usize) -> (Arc<Watched<MemoryStore>>, Clock) {
    store_leasing(count, NEVER_MS).await
}

async fn store_leasing(count: usize, lease_ms: u64) -> (Arc<Watched<MemoryStore>>, Clock) {
    let clock = Clock::system();
    let store = Arc::new(Watched::new(MemoryStore::new(clock.clone(), lease_ms)));
    create(&*store, &clock, 0..count).await;
    (store, clock)
}

async fn create<S: Store>(store: &S, clock: &Clock, numbers: std::ops::Range<usize>) {
    let now = clock.now();
    for number in numbers {
        store.create(&payment(number, now), now).await.unwrap();
    }
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<Stopped>,
}

fn start<S: Store, H: Handler>(
    store: &Arc<S>,
    clock: &Clock,
    settings: Settings,
    handler: H,
) -> Running {
    let stop = CancellationToken::new();
    let running = run(
        Arc::clone(store),
        Arc::new(handler),
        clock.clone(),
        settings,
        stop.clone(),
    );
    Running {
        stop,
        task: tokio::spawn(running),
    }
}

impl Running {
    async fn stop(self) -> Stopped {
        self.stop.cancel();
        let stopped = soon(self.task).await.unwrap();
        assert_eq!(stopped.cause, Cause::Asked);
        stopped
    }
}

async fn soon<T>(event: impl Future<Output = T>) -> T {
    timeout(PATIENCE, event)
        .await
        .expect("the event came too late")
}

async fn until(what: &str, come: impl Fn() -> bool) {
    let since = Instant::now();
    while !come() {
        assert!(since.elapsed() < PATIENCE, "too late: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Ends a turn as a worker does: saved, and not due again in this test.
async fn finish<S: Store>(store: &S, mut claim: Claim) {
    let far = claim.payment.created_at() + TimeDelta::days(30);
    store.save(&mut claim, Then::Rest(Some(far))).await.unwrap();
}

/// A handler that tells which payment it begins and finishes when it gets a permission.
fn gated<S: Store>(
    store: &Arc<S>,
) -> (
    impl Handler + use<S>,
    mpsc::UnboundedReceiver<PaymentId>,
    Arc<Semaphore>,
) {
    let (began, beginnings) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let (store, permissions) = (Arc::clone(store), Arc::clone(&gate));
    let handler = move |claim: Claim| {
        let (store, permissions) = (Arc::clone(&store), Arc::clone(&permissions));
        let _ = began.send(claim.key.id.clone());
        async move {
            permissions.acquire().await.unwrap().forget();
            finish(&*store, claim).await;
        }
    };
    (handler, beginnings, gate)
}

async fn take(beginnings: &mut mpsc::UnboundedReceiver<PaymentId>, count: usize) {
    for _ in 0..count {
        soon(beginnings.recv()).await.expect("the handler lives");
    }
}

async fn claimed<S: Store>(store: &S, numbers: std::ops::Range<usize>, now: Timestamp) -> usize {
    let mut count = 0;
    for number in numbers {
        let found = store
            .load(payment(number, now).id())
            .await
            .unwrap()
            .unwrap();
        count += usize::from(found.claimed);
    }
    count
}

#[tokio::test]
async fn only_as_many_are_claimed_as_there_are_free_slots() {
    let (store, clock) = store_with(10).await;
    let (handler, mut began, gate) = gated(&store);
    let running = start(
        &store,
        &clock,
        Settings {
            concurrency: 3,
            ..QUICK
        },
        handler,
    );
    take(&mut began, 3).await;
    assert_eq!(claimed(&*store, 0..10, clock.now()).await, 3);
    for done in 1..=7 {
        gate.add_permits(1);
        take(&mut began, 1).await;
        assert_eq!(
            claimed(&*store, 0..10, clock.now()).await,
            3,
            "after {done} turns"
        );
    }
    gate.add_permits(3);
    until("all turns ended", || store.saves() == 10).await;
    let stopped = running.stop().await;
    assert_eq!((stopped.finished, stopped.given_back), (10, 0));
}

#[tokio::test]
async fn turns_that_end_together_cost_one_claim_together() {
    let (store, clock) = store_with(64).await;
    let (handler, mut began, gate) = gated(&store);
    let running = start(
        &store,
        &clock,
        Settings {
            concurrency: 32,
            ..QUICK
        },
        handler,
    );
    take(&mut began, 32).await;
    assert_eq!(store.asked(), [32]);
    gate.add_permits(32);
    take(&mut began, 32).await;
    let calls = store.asked().len();
    assert!(
        calls <= 9,
        "32 slots that were freed at once cost {calls} calls"
    );
    gate.add_permits(32);
    assert_eq!(running.stop().await.finished, 64);
}

#[tokio::test]
async fn new_work_wakes_an_idle_queue() {
    let (store, clock) = store_with(0).await;
    let (handler, mut began, gate) = gated(&store);
    gate.add_permits(1);
    let running = start(&store, &clock, QUICK, handler);
    until("the queue is idle", || store.claims() > 0).await;
    create(&*store, &clock, 0..1).await;
    take(&mut began, 1).await;
    assert_eq!(running.stop().await.finished, 1);
}

#[tokio::test]
async fn a_lost_hint_is_made_up_for_by_polling() {
    let (store, clock) = store_with(0).await;
    store.lose_hints();
    let (handler, mut began, gate) = gated(&store);
    gate.add_permits(1);
    let running = start(
        &store,
        &clock,
        Settings {
            poll_ms: 20,
            ..QUICK
        },
        handler,
    );
    until("the queue is idle", || store.claims() > 0).await;
    create(&*store, &clock, 0..1).await;
    take(&mut began, 1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_payment_is_started_when_it_falls_due() {
    let (store, clock) = store_with(0).await;
    let due = clock.now() + TimeDelta::milliseconds(120);
    store.create(&payment(0, clock.now()), due).await.unwrap();
    let (began, mut beginnings) = mpsc::unbounded_channel();
    let (inner, time) = (Arc::clone(&store), clock.clone());
    let running = start(&store, &clock, QUICK, move |claim| {
        began.send(time.now()).unwrap();
        let inner = Arc::clone(&inner);
        async move { finish(&*inner, claim).await }
    });
    let at = soon(beginnings.recv()).await.unwrap();
    assert!(at >= due, "{at} is before {due}");
    let calls = store.claims();
    assert!(
        calls <= 6,
        "waiting for one payment cost {calls} claim calls"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_payment_that_rests_for_a_moment_needs_no_hint_to_come_back() {
    let (store, clock) = store_with(1).await;
    store.lose_hints();
    let turns = Arc::new(AtomicUsize::new(0));
    let (inner, count, time) = (Arc::clone(&store), Arc::clone(&turns), clock.clone());
    let running = start(&store, &clock, QUICK, move |mut claim: Claim| {
        let (inner, time) = (Arc::clone(&inner), time.clone());
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            let due = time.now() + TimeDelta::milliseconds(30);
            inner.save(&mut claim, Then::Rest(Some(due))).await.unwrap();
        }
    });
    until("it came back again and again", || {
        turns.load(Ordering::Relaxed) >= 4
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn an_idle_queue_asks_once_a_poll_interval() {
    let (store, clock) = store_with(0).await;
    let since = Instant::now();
    let running = start(
        &store,
        &clock,
        Settings {
            poll_ms: 40,
            ..QUICK
        },
        |_: Claim| async {},
    );
    until("ten calls", || store.claims() >= 10).await;
    // The first is made at once, and nine intervals lie between ten calls.
    assert!(
        since.elapsed() >= Duration::from_millis(9 * 40),
        "after {:?}",
        since.elapsed()
    );
    running.stop().await;
}

#[tokio::test]
async fn hints_without_work_do_not_make_the_queue_spin() {
    let (store, clock) = store_with(0).await;
    store.always_hint();
    let since = Instant::now();
    let running = start(&store, &clock, QUICK, |_: Claim| async {});
    until("fifty calls", || store.claims() >= 50).await;
    assert!(
        since.elapsed() >= Duration::from_millis(40),
        "after {:?}",
        since.elapsed()
    );
    running.stop().await;
}

#[tokio::test]
async fn something_due_that_cannot_be_had_does_not_make_the_queue_spin() {
    let (store, clock) = store_with(1).await;
    store.withhold();
    let since = Instant::now();
    let running = start(
        &store,
        &clock,
        Settings {
            poll_ms: 100,
            ..QUICK
        },
        |_: Claim| async {},
    );
    until("ten calls", || store.claims() >= 10).await;
    assert!(
        since.elapsed() >= Duration::from_millis(250),
        "after {:?}",
        since.elapsed()
    );
    running.stop().await;
}

#[tokio::test]
async fn a_lease_outlives_its_time_while_the_turn_runs() {
    let (store, clock) = store_leasing(3, 300).await;
    let settings = Settings {
        lease_ms: 300,
        renew_ms: 60,
        poll_ms: 20,
        ..QUICK
    };
    let (handler, mut began, gate) = gated(&store);
    let running = start(&store, &clock, settings, handler);
    take(&mut began, 3).await;
    let since = Instant::now();
    until("many renewals", || store.renewals().len() >= 15).await;
    assert!(
        since.elapsed() > Duration::from_millis(600),
        "twice the lease was to pass"
    );
    assert!(
        store.renewals().iter().all(|keys| keys.len() == 3),
        "one call renews all"
    );
    assert!(began.try_recv().is_err(), "nothing was started twice");
    gate.add_permits(3);
    assert_eq!(running.stop().await.finished, 3);
}

#[tokio::test]
async fn a_turn_is_told_that_its_lease_is_lost() {
    let (store, clock) = store_with(1).await;
    store.lose_leases();
    let (told, mut told_of) = mpsc::unbounded_channel();
    let running = start(
        &store,
        &clock,
        Settings {
            renew_ms: 10,
            ..QUICK
        },
        move |claim: Claim| {
            let told = told.clone();
            async move {
                until("the lease is lost", || claim.is_lost()).await;
                told.send(()).unwrap();
            }
        },
    );
    soon(told_of.recv()).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_turn_whose_lease_is_lost_between_note_and_call_makes_no_call() {
    let clock = Clock::manual(start_time());
    let store = Watched::new(MemoryStore::new(clock.clone(), 30_000));
    let stage = Stage::over(store, clock, UnknownPolicy::Park).await;
    let id = stage.charge("k", 1500).await;
    stage.store.lose_leases();
    let claim = stage.store.claim(1).await.unwrap().claims.remove(0);
    stage.worker.turn(claim).await;
    assert_eq!(stage.ledger().counts(Operation::Charge).arrived, 0);
    let payment = stage.payment(&id).await;
    let closed = payment.attempts().last().unwrap().closed.as_ref();
    assert_eq!(
        closed.map(|closed| &closed.verdict),
        Some(&Verdict::NotSent)
    );
}

#[tokio::test]
async fn a_payment_never_has_two_turns_at_once_in_one_process() {
    let (store, clock) = store_leasing(1, 40).await;
    let settings = Settings {
        lease_ms: 40,
        poll_ms: 10,
        ..QUICK
    };
    let (told, mut told_of) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let (inner, permissions) = (Arc::clone(&store), Arc::clone(&gate));
    let running = start(&store, &clock, settings, move |claim: Claim| {
        told.send((claim.key.nonce.clone(), claim.lost_mark()))
            .unwrap();
        let (inner, permissions) = (Arc::clone(&inner), Arc::clone(&permissions));
        async move {
            permissions.acquire().await.unwrap().forget();
            if !claim.is_lost() {
                finish(&*inner, claim).await;
            }
        }
    });
    let (_, lost) = soon(told_of.recv()).await.unwrap();
    until("it was claimed anew", || store.brought() >= 2).await;
    until("the turn knows", || lost.load(Ordering::Acquire)).await;
    assert!(
        told_of.try_recv().is_err(),
        "the second turn waits for the first"
    );
    gate.add_permits(1);
    soon(told_of.recv()).await.expect("the second turn follows");
    gate.add_permits(100);
    until("it is finished", || store.saves() == 1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_store_that_is_away_ends_nothing() {
    let (store, clock) = store_with(1).await;
    let (handler, mut began, gate) = gated(&store);
    let running = start(
        &store,
        &clock,
        Settings {
            renew_ms: 20,
            ..QUICK
        },
        handler,
    );
    take(&mut began, 1).await;
    store.go_away();
    until("calls failed", || store.failures() >= 6).await;
    assert!(!running.task.is_finished());
    store.come_back();
    create(&*store, &clock, 1..2).await;
    take(&mut began, 1).await;
    gate.add_permits(2);
    assert_eq!(running.stop().await.finished, 2);
}

#[tokio::test]
async fn turns_keep_leases_that_ran_out_while_the_store_was_away() {
    let (store, clock) = store_leasing(3, 500).await;
    let settings = Settings {
        lease_ms: 500,
        poll_ms: 10,
        ..QUICK
    };
    let (handler, mut began, gate) = gated(&store);
    let running = start(&store, &clock, settings, handler);
    take(&mut began, 3).await;
    store.go_away();
    let ends = clock.now() + TimeDelta::milliseconds(500);
    until("the leases ran out", || {
        clock.now() > ends && store.failures() >= 2
    })
    .await;
    store.come_back();
    let claims = store.claims();
    until("the queue claims again", || store.claims() > claims).await;
    gate.add_permits(3);
    until("the turns ended", || store.saves() == 3).await;
    running.stop().await;
    assert_eq!(store.brought(), 3, "nothing was claimed twice");
}

#[tokio::test]
async fn a_queue_that_breaks_says_so_and_gives_back_what_it_holds() {
    let (store, clock) = store_with(2).await;
    store.break_renewals();
    let settings = Settings {
        renew_ms: 10,
        shutdown_ms: 50,
        ..QUICK
    };
    let running = start(&store, &clock, settings, |_: Claim| pending());
    let stopped = soon(running.task).await.unwrap();
    assert_eq!((stopped.cause, stopped.given_back), (Cause::Broken, 2));
    assert_eq!(store.stats().await.unwrap().due_now, 2);
}

#[tokio::test]
async fn one_slow_reply_holds_up_no_running_turn_and_no_renewal() {
    let (store, clock) = store_with(1).await;
    let (handler, mut began, gate) = gated(&store);
    let running = start(
        &store,
        &clock,
        Settings {
            renew_ms: 10,
            ..QUICK
        },
        handler,
    );
    take(&mut began, 1).await;
    let claims = store.claims();
    store.hold_claims();
    create(&*store, &clock, 1..2).await;
    until("a claim hangs", || store.claims() > claims).await;
    let renewals = store.renewals().len();
    until("renewals go on", || store.renewals().len() > renewals + 2).await;
    gate.add_permits(1);
    until("the turn ended", || store.saves() == 1).await;
    store.let_claims_go();
    take(&mut began, 1).await;
    gate.add_permits(1);
    assert_eq!(running.stop().await.finished, 2);
}

#[tokio::test]
async fn a_panic_gives_the_claim_back_and_the_worker_lives() {
    let (store, clock) = store_with(20).await;
    let poison = payment(7, clock.now()).id().clone();
    let (inner, bad) = (Arc::clone(&store), poison.clone());
    let since = clock.now();
    let running = start(
        &store,
        &clock,
        Settings {
            concurrency: 1,
            ..QUICK
        },
        move |claim: Claim| {
            let (inner, bad) = (Arc::clone(&inner), bad.clone());
            async move {
                assert!(claim.key.id != bad, "this turn is meant to panic");
                finish(&*inner, claim).await;
            }
        },
    );
    until("the others are done", || store.saves() == 19).await;
    until("it was given back", || store.returned().len() == 1).await;
    let (key, due) = store.returned().remove(0);
    assert_eq!(key.id, poison);
    assert!(due >= since + TimeDelta::seconds(5), "not at once");
    let stopped = running.stop().await;
    assert_eq!(
        (stopped.finished, stopped.panicked, stopped.given_back),
        (19, 1, 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_payments_due_at_once_are_each_turned_once() {
    const COUNT: usize = 10_000;
    let (store, clock) = store_with(COUNT).await;
    let turns = Arc::new(Mutex::new(BTreeMap::<PaymentId, usize>::new()));
    let (inner, seen) = (Arc::clone(&store), Arc::clone(&turns));
    let settings = Settings {
        concurrency: 64,
        ..QUICK
    };
    let running = start(&store, &clock, settings, move |claim: Claim| {
        *seen
            .lock()
            .unwrap()
            .entry(claim.key.id.clone())
            .or_default() += 1;
        let inner = Arc::clone(&inner);
        async move { finish(&*inner, claim).await }
    });
    until("all are turned", || store.saves() == COUNT).await;
    create(&*store, &clock, COUNT..COUNT + 1).await;
    until("the queue still runs", || store.saves() == COUNT + 1).await;
    assert_eq!(running.stop().await.finished, COUNT as u64 + 1);
    let turns = turns.lock().unwrap();
    assert_eq!(turns.len(), COUNT + 1);
    assert!(turns.values().all(|count| *count == 1));
    let calls = store.claims();
    assert!(
        calls < COUNT / 3,
        "{calls} claim calls for {COUNT} payments"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_full_load_leaves_nothing_leased() {
    for concurrency in [1, 32, 128] {
        let count = concurrency * 3;
        let (store, clock) = store_with(count).await;
        let (began, mut beginnings) = mpsc::unbounded_channel();
        let settings = Settings {
            concurrency,
            shutdown_ms: 50,
            ..QUICK
        };
        let running = start(&store, &clock, settings, move |claim: Claim| {
            began.send(claim.key.id.clone()).unwrap();
            pending()
        });
        take(&mut beginnings, concurrency).await;
        let since = Instant::now();
        let stopped = running.stop().await;
        assert!(
            since.elapsed() < Duration::from_millis(3_050),
            "{:?}",
            since.elapsed()
        );
        assert_eq!(stopped.abandoned, concurrency as u64);
        assert_eq!(
            (stopped.given_back, stopped.left_leased),
            (concurrency as u64, 0)
        );
        let stats = store.stats().await.unwrap();
        assert_eq!(
            stats.due_now, count as u64,
            "all are due now, for the next worker"
        );
        assert_eq!(claimed(&*store, 0..count, clock.now()).await, 0);
    }
}

#[tokio::test]
async fn turns_that_end_in_time_are_not_cut_off_by_a_stop() {
    let (store, clock) = store_with(8).await;
    let (handler, mut began, gate) = gated(&store);
    let running = start(&store, &clock, QUICK, handler);
    take(&mut began, 4).await;
    running.stop.cancel();
    // Everybody hears of the stop before any turn can end.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(100);
    let stopped = running.stop().await;
    assert_eq!(
        (stopped.finished, stopped.abandoned, stopped.left_leased),
        (4, 0, 0)
    );
    assert_eq!(store.saves(), 4, "nothing was begun after the stop");
}

#[tokio::test]
async fn claims_that_arrive_after_a_stop_are_given_back_unstarted() {
    let (store, clock) = store_with(4).await;
    store.hold_claims();
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let running = start(&store, &clock, QUICK, move |_: Claim| {
        count.fetch_add(1, Ordering::Relaxed);
        pending()
    });
    until("a claim is under way", || store.claims() == 1).await;
    running.stop.cancel();
    store.let_claims_go();
    let stopped = running.stop().await;
    assert_eq!(
        (stopped.unstarted, stopped.given_back, stopped.left_leased),
        (4, 4, 0)
    );
    assert_eq!(started.load(Ordering::Relaxed), 0);
    assert_eq!(store.stats().await.unwrap().due_now, 4);
}

#[tokio::test]
async fn a_stop_ends_in_time_while_the_store_is_away() {
    let (store, clock) = store_with(4).await;
    let (handler, mut began, _gate) = gated(&store);
    let running = start(
        &store,
        &clock,
        Settings {
            shutdown_ms: 50,
            ..QUICK
        },
        handler,
    );
    take(&mut began, 4).await;
    store.go_away();
    let since = Instant::now();
    let stopped = running.stop().await;
    assert!(
        since.elapsed() < Duration::from_millis(3_050),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(
        (stopped.abandoned, stopped.given_back, stopped.left_leased),
        (4, 0, 4)
    );
}

#[tokio::test]
async fn a_stop_ends_in_time_while_a_claim_hangs() {
    let (store, clock) = store_with(4).await;
    store.hold_claims();
    let running = start(
        &store,
        &clock,
        Settings {
            shutdown_ms: 50,
            ..QUICK
        },
        |_: Claim| pending(),
    );
    until("a claim hangs", || store.claims() == 1).await;
    let since = Instant::now();
    running.stop().await;
    assert!(
        since.elapsed() < Duration::from_millis(3_050),
        "{:?}",
        since.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stop_ends_in_time_while_a_turn_blocks_its_thread() {
    let (store, clock) = store_with(1).await;
    let (began, mut beginnings) = mpsc::unbounded_channel();
    let (free, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    let settings = Settings {
        shutdown_ms: 50,
        ..QUICK
    };
    let running = start(&store, &clock, settings, move |claim: Claim| {
        began.send(claim.key.id).unwrap();
        let _ = blocked.lock().unwrap().recv();
        async {}
    });
    take(&mut beginnings, 1).await;
    let since = Instant::now();
    let stopped = running.stop().await;
    assert!(
        since.elapsed() < Duration::from_millis(3_050),
        "{:?}",
        since.elapsed()
    );
    assert_eq!((stopped.abandoned, stopped.given_back), (1, 1));
    drop(free);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_queues_share_the_work_without_doubling_any() {
    const COUNT: usize = 500;
    let (store, clock) = store_with(COUNT).await;
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let handler = || {
        let (inner, seen) = (Arc::clone(&store), Arc::clone(&seen));
        move |claim: Claim| {
            assert!(
                seen.lock().unwrap().insert(claim.key.id.clone()),
                "turned twice"
            );
            let inner = Arc::clone(&inner);
            async move { finish(&*inner, claim).await }
        }
    };
    let one = start(&store, &clock, QUICK, handler());
    let other = start(&store, &clock, QUICK, handler());
    until("all are turned", || store.saves() == COUNT).await;
    let (one, other) = (one.stop().await, other.stop().await);
    assert_eq!(one.finished + other.finished, COUNT as u64);
    assert_eq!(one.panicked + other.panicked, 0);
}
