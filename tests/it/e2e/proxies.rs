//! What the environment offers and is not taken.

use holdfast_rig::{PARKS, Pace};

use super::stage::{assert_paid_once, charges, until_paid, works};

#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_of_the_environment_stands_between_worker_and_gateway() {
    let (mut works, token) = works(Pace::QUICK).await;
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ] {
        works.set(name, "http://127.0.0.1:9");
    }
    let ids = charges(&works, PARKS, "direct", 3, &token).await;
    let _worker = works.worker("one").unwrap();
    until_paid(&works, ids.len()).await;
    assert_paid_once(&works, &ids).await;
}
