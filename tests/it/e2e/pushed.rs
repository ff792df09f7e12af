//! Pushes to Redis, taken in by real workers: whatever is killed in between, each is done once.

use holdfast::client::{Answer, Client, Pushed, SigningKey};
use holdfast::payment::PaymentId;
use holdfast_rig::{Pace, RESENDS, Works};

use super::stage::{assert_paid_once, charge, until, until_paid, works};

const PUSHES: usize = 200;

fn settings(unsigned: bool) -> [(String, String); 2] {
    let given = |name: &str, value: bool| (format!("HOLDFAST__INTAKE__{name}"), value.to_string());
    [given("ENABLED", true), given("ACCEPT_UNSIGNED", unsigned)]
}

async fn until_answered(works: &Works, client: &Client, pushed: &Pushed) -> Answer {
    let mut answer = None;
    until(works, "an answer", async || {
        answer = client.answer(pushed).await.unwrap();
        answer.is_some()
    })
    .await;
    answer.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pushed_three_times_is_paid_once_though_its_worker_is_killed() {
    let (works, token) = works(Pace::QUICK).await;
    let client = Client::new(&works.redis.url(), "hf").unwrap();
    let mut worker = works.worker_with("first", &settings(true)).unwrap();
    let mut pushed = Vec::new();
    for number in 0..PUSHES * 3 {
        let key = format!("order-{}", number % PUSHES);
        let request = charge(RESENDS, &key, &token);
        pushed.push(client.push_json(request.as_bytes()).await.unwrap());
        if number == PUSHES {
            worker.kill().unwrap();
        }
    }
    let _second = works.worker_with("second", &settings(true)).unwrap();
    let mut ids = Vec::new();
    for one in &pushed {
        let Answer::Recorded { payment, .. } = until_answered(&works, &client, one).await else {
            panic!("a good request was refused");
        };
        ids.push(PaymentId::new(payment["id"].as_str().unwrap()).unwrap());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), PUSHES);
    until_paid(&works, PUSHES).await;
    assert_paid_once(&works, &ids).await;
    let left = async || works.store.pushed().await.unwrap().is_empty();
    until(&works, "nothing is left", left).await;
    assert_eq!(works.store.quarantine(1).await.unwrap().1, 0);
}

#[tokio::test]
async fn a_producers_key_is_exchanged_in_a_running_worker() {
    let (works, token) = works(Pace::QUICK).await;
    let signing = |kid: &str| {
        let pem = std::fs::read_to_string(works.producer(kid).unwrap()).unwrap();
        let client = Client::new(&works.redis.url(), "hf").unwrap();
        client.signing(SigningKey::from_pem(kid, &pem).unwrap())
    };
    let old = signing("old");
    let worker = works.worker_with("worker", &settings(false)).unwrap();
    let request = |key: &str| charge(RESENDS, key, &token).into_bytes();
    let answered = async |client: &Client, key: &str| {
        let pushed = client.push_json(&request(key)).await.unwrap();
        until_answered(&works, client, &pushed).await
    };
    let is_recorded = |answer: &Answer| matches!(answer, Answer::Recorded { .. });
    assert!(is_recorded(&answered(&old, "one").await));
    let new = signing("new");
    let early = answered(&new, "two").await;
    assert!(!is_recorded(&early), "{early:?}");
    worker.signal("HUP").unwrap();
    let opens = async || is_recorded(&answered(&new, "two").await);
    until(&works, "the new key opens", opens).await;
    assert!(is_recorded(&answered(&old, "one").await), "both are valid");
}
