//! Real workers tell real receivers.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast::store::EndpointName;
use holdfast_rig::{PARKS, Pace};

use super::stage::{charges, until, until_paid, works};
use crate::outbox::receiver::{Answer, Receiver};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_while_it_tells_loses_no_event() {
    let (mut works, token) = works(Pace::QUICK).await;
    let receiver = Receiver::start().await;
    works.set("HOLDFAST__ENDPOINTS__SHOP__URL", receiver.url());
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    works.set("HOLDFAST__ENDPOINTS__SHOP__SECRETS", secret);
    works.set("HOLDFAST__ENDPOINTS__SHOP__TIMEOUT_MS", "2000");
    receiver.answer_always(Answer::Hang);
    let mut first = works.worker("first").unwrap();
    let shop = EndpointName::new("shop").unwrap();
    until(&works, "the endpoint is known", async || {
        works.store.known_endpoints().await.unwrap().contains(&shop)
    })
    .await;
    let ids = charges(&works, PARKS, "told", 10, &token).await;
    until_paid(&works, ids.len()).await;
    until(&works, "some are being told", async || {
        !receiver.heard().is_empty()
    })
    .await;
    first.kill().unwrap();
    receiver.answer_always(Answer::Status(204));
    let second = works.worker("second").unwrap();
    until(&works, "all are told", async || {
        works.store.waiting(&shop).await.unwrap().events == 0 && receiver.heard().len() >= 20
    })
    .await;
    let mut told: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for heard in receiver.heard() {
        let id = ids.iter().find(|id| heard.is_about(id)).unwrap();
        let kinds = told.entry(id.clone()).or_default();
        if kinds.last() != Some(&heard.kind()) {
            kinds.push(heard.kind());
        }
    }
    for id in &ids {
        assert_eq!(told[id], ["payment.new", "payment.paid"], "{id}");
    }
    // What a log may hold of it: names, never addresses or secrets.
    for log in [&first.log, &second.log] {
        let log = std::fs::read_to_string(log).unwrap();
        for hidden in ["/hook", "MfKQ9r8G"] {
            assert!(!log.contains(hidden), "{hidden} stands in {log}");
        }
    }
    second.signal("TERM").unwrap();
    let mut second = second;
    let ended = second.ended_within(Duration::from_secs(20)).unwrap();
    assert!(ended.is_some_and(|status| status.success()));
    assert!(
        receiver
            .heard()
            .iter()
            .all(|heard| heard.header("webhook-id") == heard.id())
    );
}
