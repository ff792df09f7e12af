//! Real workers tell real receivers.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use holdfast::store::EndpointName;
use holdfast_rig::{PARKS, Pace, WorkerProcess, Works};
use tokio::time::Instant;

use super::stage::{charges, until, until_paid, works};
use crate::outbox::receiver::{Answer, Receiver};

fn shop() -> EndpointName {
    EndpointName::new("shop").unwrap()
}

/// Puts the endpoint `shop` at the end of what the configuration was `before`.
fn configure(works: &Works, before: &str, url: &str) {
    let secret = works.folder().join("shop.whsec");
    fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let secret = secret.display();
    let text = format!(
        "{before}\n[endpoints.shop]\nurl = \"{url}\"\nsecret_files = [\"{secret}\"]\n\
         timeout_ms = 2000\n"
    );
    fs::write(&works.command().config, text).unwrap();
}

/// Starts a worker, and waits until events are kept for the endpoint.
async fn worker(works: &Works, name: &str) -> WorkerProcess {
    let worker = works.worker(name).unwrap();
    until(works, "the endpoint is known", async || {
        let known = works.store.known_endpoints().await;
        known.unwrap().contains(&shop())
    })
    .await;
    worker
}

/// What a log may hold: names, never addresses or secrets.
fn assert_nothing_secret_in(worker: &WorkerProcess) {
    let log = fs::read_to_string(&worker.log).unwrap();
    for hidden in ["/hook", "MfKQ9r8G"] {
        assert!(!log.contains(hidden), "{hidden} stands in {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_while_it_tells_loses_no_event() {
    let (works, token) = works(Pace::QUICK).await;
    let receiver = Receiver::start().await;
    let before = fs::read_to_string(&works.command().config).unwrap();
    configure(&works, &before, &receiver.url());
    receiver.answer_always(Answer::Hang);
    let mut first = worker(&works, "first").await;
    let ids = charges(&works, PARKS, "told", 10, &token).await;
    until_paid(&works, ids.len()).await;
    until(&works, "some are being told", async || {
        !receiver.heard().is_empty()
    })
    .await;
    first.kill().unwrap();
    receiver.answer_always(Answer::Status(204));
    let mut second = worker(&works, "second").await;
    until(&works, "all are told", async || {
        let pending = works.store.waiting(&shop()).await.unwrap().events;
        pending == 0 && receiver.heard().len() >= 20
    })
    .await;
    let mut told: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for heard in receiver.heard() {
        assert!(heard.is_named_well());
        let id = ids.iter().find(|id| heard.is_about(id)).unwrap();
        let kinds = told.entry(id.clone()).or_default();
        if kinds.last() != Some(&heard.kind()) {
            kinds.push(heard.kind());
        }
    }
    for id in &ids {
        assert_eq!(told[id], ["payment.new", "payment.paid"], "{id}");
    }
    assert_nothing_secret_in(&first);
    assert_nothing_secret_in(&second);
    second.signal("TERM").unwrap();
    let ended = second.ended_within(Duration::from_secs(20)).unwrap();
    assert!(ended.is_some_and(|status| status.success()));
}

/// In a whole worker, where everything shares one runtime: charges are paid long before the receiver's
/// time is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_holds_up_no_payment() {
    const TIMEOUT: Duration = Duration::from_secs(60);
    let (works, token) = works(Pace::QUICK).await;
    let receiver = Receiver::start().await;
    receiver.answer_always(Answer::Hang);
    let before = fs::read_to_string(&works.command().config).unwrap();
    configure(&works, &before, &receiver.url());
    let config = fs::read_to_string(&works.command().config).unwrap();
    let patient = config.replace("timeout_ms = 2000\n", "timeout_ms = 60000\n");
    assert_ne!(config, patient);
    fs::write(&works.command().config, patient).unwrap();
    let mut one = worker(&works, "one").await;
    charges(&works, PARKS, "first", 10, &token).await;
    until(&works, "deliveries hang", async || {
        receiver.heard().len() >= 8
    })
    .await;
    let began = Instant::now();
    charges(&works, PARKS, "second", 10, &token).await;
    until_paid(&works, 20).await;
    assert!(began.elapsed() < TIMEOUT / 2, "{:?}", began.elapsed());
    assert_eq!(receiver.answered(), 0, "it hangs still");
    one.kill().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_another_address_without_a_restart() {
    let (works, token) = works(Pace::QUICK).await;
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    let before = fs::read_to_string(&works.command().config).unwrap();
    configure(&works, &before, &old.url());
    let worker = worker(&works, "one").await;
    configure(&works, &before, &new.url());
    worker.signal("HUP").unwrap();
    until(&works, "the endpoint has moved", async || {
        let log = fs::read_to_string(&worker.log).unwrap();
        log.contains("endpoints were exchanged")
    })
    .await;
    charges(&works, PARKS, "moved", 1, &token).await;
    until(&works, "it is told there", async || new.heard().len() == 2).await;
    assert_eq!(old.heard().len(), 0);
    assert_nothing_secret_in(&worker);
}
