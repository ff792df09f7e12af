//! The client for services in Rust.

use std::time::Duration;

use holdfast::client::{Answer, Client, ClientError, Of, SigningKey};

use super::*;

/// Made by `openssl genpkey -algorithm ed25519`, and its public half.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n\
    -----END PRIVATE KEY-----\n";

fn client(dock: &Dock) -> Client {
    let client = Client::new(&dock.redis.url(), "hf").unwrap();
    client.with_clock(dock.stage.clock.clone())
}

#[tokio::test]
async fn a_request_that_the_client_signs_and_pushes_is_the_one_that_is_recorded() {
    let dock = Dock::with(Rules {
        accept_unsigned: false,
        producers: vec![shop()],
    })
    .await;
    let client = client(&dock).signing(SigningKey::from_pem("shop", PEM).unwrap());
    let token = dock.token();
    let mut asked = authorize("stay", &token);
    asked["reference"] = "room 7".into();
    asked["plan"] = json!({"capture_at": "2027-02-01T08:00:00+08:00"});
    asked["customer"]["full_name"] = "Aina".into();
    asked.as_object_mut().unwrap().remove("push");
    let json = asked.to_string();
    let request = Request::from_json(json.as_bytes()).unwrap();
    let pushed = client.push(&request).await.unwrap();
    assert_eq!(client.answer(&pushed).await.unwrap(), None);
    let soon = Duration::from_secs(20);
    let (answer, ()) = tokio::join!(client.answer_within(&pushed, soon), dock.take_in());
    let Some(Answer::Recorded {
        payment, command, ..
    }) = answer.unwrap()
    else {
        panic!("it is not recorded");
    };
    assert_eq!(command, None);
    let id = PaymentId::new(payment["id"].as_str().unwrap()).unwrap();
    assert_eq!(dock.stage.payment(&id).await.request(), &request);
    dock.stage.work().await;
    let key = |text: &str| IdempotencyKey::new(text).unwrap();
    let capture = Command::Capture { amount: None };
    for (of, name) in [(Of::Key(&key("stay")), "c1"), (Of::Payment(&id), "c2")] {
        let pushed = client.command(&account(), of, &key(name), &capture).await;
        dock.take_in().await;
        let answer = client.answer(&pushed.unwrap()).await.unwrap().unwrap();
        assert!(
            matches!(
                answer,
                Answer::Recorded {
                    command: Some(_),
                    ..
                }
            ),
            "{answer:?}"
        );
    }
    dock.stage.work().await;
    assert_eq!(dock.stage.taken(&id), (9_000, 1));
}

#[tokio::test]
async fn the_client_tells_a_refusal_and_what_was_never_pushed() {
    let mut dock = Dock::open().await;
    let client = client(&dock);
    let wrong = json!({"account": "hotel", "idempotency_key": "k", "type": "gift"});
    let pushed = client
        .push_json(wrong.to_string().as_bytes())
        .await
        .unwrap();
    dock.take_in().await;
    let answer = client.answer(&pushed).await.unwrap().unwrap();
    let Answer::Refused { code, field, .. } = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(
        (code.as_str(), field.as_deref()),
        ("invalid_request", Some("type"))
    );
    let long = json!({"account": "hotel", "idempotency_key": "k", "reference": "x".repeat(65_536)});
    for nothing in [
        &b"no json"[..],
        b"{}",
        br#"{"account":"hotel"}"#,
        br#"{"account":"Hotel!","idempotency_key":"k"}"#,
        br#"{"account":"hotel","idempotency_key":""}"#,
        long.to_string().as_bytes(),
    ] {
        let told = client.push_json(nothing).await;
        assert!(matches!(told, Err(ClientError::Content(_))), "{told:?}");
    }
    assert_eq!(
        dock.waiting().await,
        0,
        "what is never answered is not pushed"
    );
    dock.redis.kill().unwrap();
    let silent = client
        .answer_within(&pushed, Duration::from_millis(300))
        .await;
    assert!(matches!(silent, Err(ClientError::Redis(_))), "{silent:?}");
    let away = client.push_json(wrong.to_string().as_bytes()).await;
    assert!(matches!(away, Err(ClientError::Redis(_))), "{away:?}");
    dock.redis.start_again().await.unwrap();
    client
        .push_json(wrong.to_string().as_bytes())
        .await
        .unwrap();
    for (url, prefix) in [
        ("http://x/", "hf"),
        ("redis://x/", ""),
        ("redis://x/", "h:f"),
    ] {
        assert!(matches!(
            Client::new(url, prefix),
            Err(ClientError::Setting(_))
        ));
    }
    for (kid, pem) in [
        ("shop", ""),
        ("shop", "-----BEGIN PRIVATE KEY-----"),
        ("a b", PEM),
    ] {
        assert!(matches!(
            SigningKey::from_pem(kid, pem),
            Err(ClientError::Key(_))
        ));
    }
}

#[tokio::test]
async fn the_client_needs_no_more_than_a_producer_may() {
    let dock = Dock::open().await;
    super::rights::let_in(&dock).await;
    let url = format!("{}?user=shop&pass=CHANGE-ME", dock.redis.url());
    let client = Client::new(&url, "hf").unwrap();
    let json = charge("one", &dock.token(), 1_500).to_string();
    let pushed = client.push_json(json.as_bytes()).await.unwrap();
    dock.take_in().await;
    let answer = client.answer(&pushed).await.unwrap();
    assert!(matches!(answer, Some(Answer::Recorded { .. })));
}

#[tokio::test]
async fn the_answer_to_an_earlier_push_is_never_taken_for_that_to_a_later_one() {
    let dock = Dock::with(Rules::default()).await;
    let client = client(&dock).signing(SigningKey::from_pem("shop", PEM).unwrap());
    let json = charge_without_a_name(&dock);
    let first = client.push_json(&json).await.unwrap();
    dock.take_in().await;
    let refused = client.answer(&first).await.unwrap();
    assert!(
        matches!(refused, Some(Answer::Refused { .. })),
        "{refused:?}"
    );
    dock.producers.replace(Rules {
        accept_unsigned: false,
        producers: vec![shop()],
    });
    // The very same is pushed again: until it is taken in there is no answer to it.
    let second = client.push_json(&json).await.unwrap();
    assert_eq!(client.answer(&second).await.unwrap(), None);
    dock.take_in().await;
    let recorded = client.answer(&second).await.unwrap();
    let Some(Answer::Recorded { at, .. }) = recorded else {
        panic!("{recorded:?}");
    };
    assert_eq!(at, start_time());
    assert_eq!(dock.payments().await, 1);
}

fn charge_without_a_name(dock: &Dock) -> Vec<u8> {
    let mut json = charge("one", &dock.token(), 1_500);
    json.as_object_mut().unwrap().remove("push");
    json.to_string().into_bytes()
}
