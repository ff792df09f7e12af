//! What the metrics tell of endpoints.

use holdfast::operate::Observer;
use holdfast::operate::overview::Overview;
use holdfast::store::{Mark, Sends};
use holdfast::telemetry::Metrics;

use super::*;
use crate::metrics::Scrape;

#[tokio::test]
async fn deliveries_are_counted_and_what_waits_is_told_with_its_age() {
    let mail = Mail::start().await;
    let metrics = Metrics::default();
    let endpoints = vec![mail.endpoint.clone()];
    let store = connect(&mail.redis, &mail.stage.clock).await;
    let counted = Outbox::new(store, mail.stage.clock.clone(), settings(), endpoints).unwrap();
    let counted = Arc::new(counted.counted(metrics.clone()));
    let store = connect(&mail.redis, &mail.stage.clock).await;
    let overview = Overview::new(Arc::new(store.clone()), mail.stage.clock.clone());
    let observer = Observer::new(
        store,
        Arc::new(overview),
        Arc::clone(&counted),
        mail.stage.clock.clone(),
        metrics.clone(),
    );
    let look = async || {
        observer.look().await.unwrap();
        Scrape::read(metrics.encode())
    };
    let shop = [("endpoint", "shop")];
    let told = look().await;
    told.is("holdfast_events_pending", &shop, 0.0);
    assert_eq!(
        told.get("holdfast_events_oldest_timestamp_seconds", &shop),
        None
    );

    mail.paid("k").await;
    let since = f64::from(u32::try_from(start_time().timestamp()).unwrap());
    // Before it is copied, too.
    let told = look().await;
    let unread = told.get("holdfast_events_oldest_timestamp_seconds", &shop);
    assert!(unread.is_some(), "{told:?}");
    mail.pass_s(60);
    mail.receiver.answer(&[Answer::Status(500)]);
    let taken = mail.take().await;
    let [event] = &taken[..] else {
        panic!("{taken:?}");
    };
    counted.deliver(&mail.endpoint, event).await.unwrap();
    let told = look().await;
    told.is("holdfast_events_pending", &shop, 2.0);
    told.is("holdfast_events_oldest_timestamp_seconds", &shop, since);
    told.is("holdfast_endpoint_disabled", &shop, 0.0);
    let waits = [shop[0], ("outcome", "waits")];
    told.is("holdfast_event_deliveries_total", &waits, 1.0);

    let mark = Mark {
        sends: Sends::Disabled,
        at: mail.stage.clock.now(),
        why: "it is moved".to_owned(),
        by: "aina".to_owned(),
        address: None,
    };
    let store = &mail.stage.store;
    store.set_mark(&mail.endpoint.name, &mark).await.unwrap();
    look().await.is("holdfast_endpoint_disabled", &shop, 1.0);
}
