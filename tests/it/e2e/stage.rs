//! What these tests share: an installation, charges by the dozen, and the judge.

use std::path::PathBuf;
use std::time::Duration;

use chip_sandbox::{Config, Operation};
use chrono::SecondsFormat;
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast::payment::{PaymentId, StateName, Timestamp};
use holdfast::store::{Loaded, Store};
use holdfast_rig::{PARKS, Pace, WorkerProcess, Works, compare};
use tokio::time::{Instant, sleep};

/// How long an event may take that is only waited for. Where time is the promise, the test says so.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);

/// The binary under test.
pub(super) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_holdfast"))
}

/// An installation without workers, and a saved card, which is a purchase of its own.
pub(super) async fn works(pace: Pace) -> (Works, String) {
    works_with(pace, Config::default()).await
}

pub(super) async fn works_with(pace: Pace, sandbox: Config) -> (Works, String) {
    let works = Works::start(pace, sandbox, Some(binary())).await.unwrap();
    let token = works.sandbox.save_card("payer@test.example").to_string();
    (works, token)
}

/// A request to charge the card.
pub(super) fn charge(account: &str, key: &str, token: &str) -> String {
    format!(
        r#"{{"v":1,"account":"{account}","idempotency_key":"{key}","type":"charge",
        "money":{{"amount":1500,"currency":"MYR"}},"token":"{token}",
        "customer":{{"email":"payer@test.example"}}}}"#
    )
}

/// Records so many charges, due now.
pub(super) async fn charges(
    works: &Works,
    account: &str,
    keys: &str,
    count: usize,
    token: &str,
) -> Vec<PaymentId> {
    let requests = (0..count).map(|number| charge(account, &format!("{keys}-{number}"), token));
    record(works, requests, works.clock.now()).await
}

/// When charges may start, and when they are due.
pub(super) struct Window {
    pub(super) from: Timestamp,
    pub(super) until: Option<Timestamp>,
    pub(super) due: Timestamp,
}

/// Records so many charges with a window.
pub(super) async fn charges_within(
    works: &Works,
    keys: &str,
    count: usize,
    token: &str,
    window: &Window,
) -> Vec<PaymentId> {
    let text = |time: Timestamp| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let after = window
        .until
        .map(|until| format!(r#","not_after":"{}""#, text(until)));
    let times = format!(
        r#","not_before":"{}"{}}}"#,
        text(window.from),
        after.unwrap_or_default()
    );
    let requests = (0..count).map(|number| {
        let body = charge(PARKS, &format!("{keys}-{number}"), token);
        format!("{}{times}", body.strip_suffix('}').unwrap())
    });
    record(works, requests, window.due).await
}

async fn record(
    works: &Works,
    requests: impl Iterator<Item = String>,
    due: Timestamp,
) -> Vec<PaymentId> {
    stream::iter(requests)
        .map(|request| async move { works.enqueue_due(&request, due).await })
        .buffered(64)
        .try_collect()
        .await
        .unwrap()
}

/// Says what the workers last logged when a test fails.
pub(super) fn logs(works: &Works) -> String {
    let files = std::fs::read_dir(works.folder())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let logs = files.filter(|path| path.extension().is_some_and(|ending| ending == "log"));
    logs.map(|path| {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let first = lines[..lines.len().min(4)].join("\n");
        let last = lines[lines.len().saturating_sub(12)..].join("\n");
        format!("{}:\n{first}\n…\n{last}\n", path.display())
    })
    .collect::<Vec<_>>()
    .concat()
}

/// What has not ended yet, or waits for a person: how many in each state, and some of them whole.
async fn unfinished(works: &Works) -> String {
    let mut told = Vec::new();
    for state in StateName::ALL
        .into_iter()
        .filter(|state| !state.is_finished())
    {
        let page = works.store.list(&state.into(), None, 3).await.unwrap();
        let count = count_in(works, state).await;
        let some: Vec<_> = page.payments.iter().map(|p| format!("{p:?}")).collect();
        told.push(format!("{count} are {state}\n{}", some.join("\n")));
    }
    told.join("\n")
}

/// Waits for an event of which nothing is promised but that it comes.
pub(super) async fn until(works: &Works, what: &str, mut came: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !came().await {
        if Instant::now() >= end {
            let unfinished = unfinished(works).await;
            panic!(
                "{what}: not within {PATIENCE:?}\n{unfinished}\n{}",
                logs(works)
            );
        }
        sleep(STEP).await;
    }
}

/// How many requests of an operation arrived at the gateway.
/// Waits until each of these has all that it needs of Redis and looks for work: a worker that loses
/// Redis before does not start, and says so.
pub(super) async fn until_working(works: &Works, workers: &[WorkerProcess]) {
    let works_now = |worker: &WorkerProcess| worker.tail(usize::MAX).contains("\"working\"");
    until(works, "the workers work", async || {
        workers.iter().all(works_now)
    })
    .await;
}

pub(super) fn arrived(works: &Works, operation: Operation) -> usize {
    let arrived = works
        .sandbox
        .with(|engine, _| engine.ledger().counts(operation).arrived);
    usize::try_from(arrived).unwrap()
}

/// Waits until so many requests of an operation arrived.
pub(super) async fn until_arrived(works: &Works, operation: Operation, count: usize) {
    let what = format!("{count} times {operation:?}");
    until(works, &what, async || arrived(works, operation) >= count).await;
}

/// How many payments are in a state.
pub(super) async fn count_in(works: &Works, state: StateName) -> usize {
    let held = works.store.stats().await.unwrap();
    let count = held
        .by_state
        .iter()
        .find(|(name, _)| *name == state)
        .map_or(0, |(_, n)| *n);
    usize::try_from(count).unwrap()
}

/// Waits until so many payments are paid.
pub(super) async fn until_paid(works: &Works, count: usize) {
    until(works, &format!("{count} payments paid"), async || {
        count_in(works, StateName::Paid).await >= count
    })
    .await;
}

pub(super) async fn load_all(works: &Works, ids: &[PaymentId]) -> Vec<Loaded> {
    stream::iter(ids)
        .map(|id| works.load(id))
        .buffered(64)
        .try_collect()
        .await
        .unwrap()
}

/// Every one of them is paid, and the ledger shows that its money moved once.
pub(super) async fn assert_paid_once(works: &Works, ids: &[PaymentId]) {
    let ledger = works.sandbox.ledger();
    for loaded in load_all(works, ids).await {
        let line = compare(loaded.payment, &ledger, true);
        assert!(
            line.problems.is_empty(),
            "{:?}: {:?}",
            line.problems,
            line.payment
        );
        assert_eq!(
            line.payment.state().name(),
            StateName::Paid,
            "{:?}",
            line.payment
        );
        assert_eq!(line.ledger.takes, 1, "{:?}", line.payment);
    }
}

/// How often requests of an operation about this payment's purchase arrived.
pub(super) async fn arrived_for(works: &Works, id: &PaymentId, operation: Operation) -> usize {
    let payment = works.load(id).await.unwrap().payment;
    let purchase = payment.purchase().unwrap().id.as_str().parse().unwrap();
    works
        .sandbox
        .with(|engine, _| engine.ledger().requests_of(purchase, operation).len())
}

/// The worker was not ended by anything.
pub(super) fn assert_alive(worker: &mut WorkerProcess) {
    let ended = worker.ended_within(Duration::ZERO).unwrap();
    assert!(
        ended.is_none(),
        "a worker ended ({ended:?}): {}",
        worker.tail(10)
    );
}
