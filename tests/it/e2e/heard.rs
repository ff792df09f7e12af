//! What the gateway posts to a worker is noted for the doctor.

use std::time::Duration;

use holdfast_rig::{PARKS, Pace};

use super::stage::{charges, until, until_paid, works};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_ends_has_noted_when_the_gateway_last_posted_something() {
    let (works, token) = works(Pace::QUICK).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    drop(port);
    let callback = format!("http://{address}/callbacks/chip/{PARKS}");
    let settings = [
        ("HOLDFAST__HTTP__LISTEN", address),
        ("HOLDFAST__ACCOUNTS__HOTEL__SUCCESS_CALLBACK", callback),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    let began = works.clock.now();
    let mut worker = works.worker_with("listens", &settings).unwrap();
    charges(&works, PARKS, "heard", 1, &token).await;
    until_paid(&works, 1).await;
    works.sandbox.deliveries_settled().await;
    worker.signal("TERM").unwrap();
    let ended = worker.ended_within(Duration::from_secs(20)).unwrap();
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
    until(&works, "it is noted", async || {
        !works.store.heard().await.unwrap().is_empty()
    })
    .await;
    let heard = works.store.heard().await.unwrap();
    let (account, at) = heard.first_key_value().unwrap();
    assert_eq!((account.as_str(), heard.len()), (PARKS, 1));
    assert!(*at >= began && *at <= works.clock.now(), "{at}");
}
