//! Real workers tell real receivers.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use holdfast::store::EndpointName;
use holdfast_rig::{PARKS, Pace};

use super::stage::{charges, until, until_paid, works};
use crate::outbox::receiver::{Answer, Receiver};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_while_it_tells_loses_no_event() {
    let (works, token) = works(Pace::QUICK).await;
    let receiver = Receiver::start().await;
    let before = fs::read_to_string(&works.command().config).unwrap();
    let secret = works.folder().join("shop.whsec");
    fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let configure = |url: &str| {
        let secret = secret.display();
        let shop = format!(
            "[endpoints.shop]\nurl = \"{url}\"\nsecret_files = [\"{secret}\"]\ntimeout_ms = 2000\n"
        );
        fs::write(&works.command().config, format!("{before}\n{shop}")).unwrap();
    };
    configure(&receiver.url());
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
    let moved = Receiver::start().await;
    configure(&moved.url());
    second.signal("HUP").unwrap();
    until(&works, "the endpoint has moved", async || {
        fs::read_to_string(&second.log)
            .unwrap()
            .contains("endpoints were exchanged")
    })
    .await;
    charges(&works, PARKS, "moved", 1, &token).await;
    until(&works, "it is told there", async || {
        moved.heard().len() == 2
    })
    .await;
    // What a log may hold of it: names, never addresses or secrets.
    for log in [&first.log, &second.log] {
        let log = fs::read_to_string(log).unwrap();
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
