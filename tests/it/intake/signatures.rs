//! Who signed, and what they may ask for.

use chrono::TimeDelta;
use holdfast::api::pushed::Kind;

use super::*;

async fn strict(producers: Vec<Producer>) -> Dock {
    Dock::with(Rules {
        accept_unsigned: false,
        producers,
    })
    .await
}

#[tokio::test]
async fn what_a_known_producer_signed_is_recorded_and_what_nobody_signed_is_not() {
    let dock = strict(vec![shop(), producer("shop-2", 8)]).await;
    let token = dock.token();
    let json = charge("one", &token, 1_500);
    let bare = dock.answered(json.to_string(), "one").await;
    is_refused(&bare, "signature_missing");
    assert_eq!(dock.payments().await, 0);
    is_recorded(&dock.answered(signed(&json), "one").await);
    // Another key that is valid at the same time: one replaces the other.
    let header = r#"{"kid":"shop-2","alg":"EdDSA"}"#;
    let other = signed_with(8, header, json.to_string().as_bytes());
    is_recorded(&dock.answered(other, "one").await);
    assert_eq!(dock.payments().await, 1);
}

/// A signature with one bit changed.
fn altered(element: &str, part: usize) -> String {
    let mut parts: Vec<Vec<u8>> = element
        .split('.')
        .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
        .collect();
    let middle = parts[part].len() / 2;
    parts[part][middle] ^= 1;
    let coded: Vec<String> = parts.iter().map(|p| URL_SAFE_NO_PAD.encode(p)).collect();
    coded.join(".")
}

#[tokio::test]
async fn nothing_but_a_signature_of_that_key_over_this_content_counts() {
    let dock = strict(vec![shop(), producer("other", 9)]).await;
    let json = charge("one", &dock.token(), 1_500).to_string();
    let bytes = json.as_bytes();
    let right = signed_with(SHOP_SEED, r#"{"alg":"EdDSA","kid":"shop"}"#, bytes);
    let (head, signature) = right.rsplit_once('.').unwrap();
    let coded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let hmac = format!(
        "{}.{}.{signature}",
        coded(r#"{"alg":"HS256","kid":"shop"}"#),
        coded(&json)
    );
    let none = format!(
        "{}.{}.",
        coded(r#"{"alg":"none","kid":"shop"}"#),
        coded(&json)
    );
    let headers = [
        r#"{"alg":"EdDSA"}"#,
        r#"{"alg":"EdDSA","kid":"other"}"#,
        r#"{"alg":"EdDSA","kid":"nobody"}"#,
        r#"{"alg":"EdDSA","kid":7}"#,
        r#"{"alg":"none","kid":"shop"}"#,
        r#"{"alg":"ES256","kid":"shop"}"#,
        r#"{"alg":"EdDSA","kid":"shop","crit":["b64"],"b64":false}"#,
        r#"{"alg":"EdDSA","kid":"shop","jwk":{}}"#,
        r#"{"alg":"EdDSA","kid":"shop","kid":"shop"}"#,
        r#"["EdDSA","shop"]"#,
        "shop",
    ];
    let mut wrong: Vec<String> = headers
        .iter()
        .map(|header| signed_with(SHOP_SEED, header, bytes))
        .collect();
    wrong.extend([hmac, none, altered(&right, 1), altered(&right, 2)]);
    wrong.extend([
        format!("{head}."),
        format!("{right}."),
        format!("{right}="),
        format!("{right}\n"),
        right.replacen('.', "..", 1),
        head.to_owned(),
        signed_with(SHOP_SEED + 1, r#"{"alg":"EdDSA","kid":"shop"}"#, bytes),
    ]);
    for element in &wrong {
        dock.push(element).await;
    }
    dock.take_in().await;
    assert_eq!(dock.payments().await, 0);
    let notes = dock.quarantine().await;
    assert_eq!(notes.len(), wrong.len());
    for (_, note) in notes {
        assert_eq!(note.code, "signature_invalid", "{note:?}");
    }
    is_recorded(&dock.answered(&right, "one").await);
}

#[tokio::test]
async fn a_producer_gets_no_further_than_its_key_reaches() {
    let limited = Producer {
        types: Some([Kind::Charge, Kind::Capture].into()),
        accounts: Some([account()].into()),
        currencies: Some([Currency::MYR].into()),
        largest_amount_minor: Some(1_500),
        expires_at: Some(start_time() + TimeDelta::hours(1)),
        ..shop()
    };
    let dock = strict(vec![limited]).await;
    let token = dock.token();
    let answered = async |key: &str, change: &dyn Fn(&mut Value)| {
        let mut json = charge(key, &token, 1_500);
        change(&mut json);
        let element = signed(&json);
        dock.push(&element).await;
        dock.take_in().await;
        let account = json["account"].as_str().unwrap();
        dock.answer(account, key, &element).await.unwrap()
    };
    is_recorded(&answered("fits", &|_| ()).await);
    let above = answered("above", &|json| json["money"]["amount"] = 1_501.into()).await;
    is_refused(&above, "amount_forbidden");
    let foreign = answered("foreign", &|json| json["money"]["currency"] = "SGD".into()).await;
    is_refused(&foreign, "currency_forbidden");
    let rental = answered("rental", &|json| json["account"] = "rental".into()).await;
    is_refused(&rental, "account_forbidden");
    let hold = signed(&authorize("hold", &token));
    is_refused(&dock.answered(hold, "hold").await, "scope_missing");
    dock.stage.pass(TimeDelta::hours(1));
    is_refused(&answered("late", &|_| ()).await, "key_expired");
    // What was asked for in time is answered all the same.
    is_recorded(&answered("fits", &|_| ()).await);
    assert_eq!(dock.payments().await, 1);
    let codes: Vec<String> = dock
        .quarantine()
        .await
        .into_iter()
        .map(|(_, n)| n.code)
        .collect();
    assert_eq!(codes.len(), 5, "{codes:?}");
}

#[tokio::test]
async fn a_card_is_saved_only_in_a_currency_that_the_key_is_for() {
    let limited = Producer {
        currencies: Some([Currency::new("SGD").unwrap()].into()),
        ..shop()
    };
    let dock = strict(vec![limited]).await;
    let save = json!({"v": 1, "type": "save_card", "account": "hotel", "idempotency_key": "card",
        "customer": {"email": "payer@test.example"}});
    let answer = dock.answered(signed(&save), "card").await;
    is_refused(&answer, "currency_forbidden");
}

#[tokio::test]
async fn keys_are_exchanged_while_pushes_are_taken() {
    let dock = strict(vec![shop()]).await;
    let element = signed(&charge("one", &dock.token(), 1_500));
    dock.producers.replace(Rules::default());
    is_refused(&dock.answered(&element, "one").await, "signature_invalid");
    dock.producers.replace(Rules {
        accept_unsigned: false,
        producers: vec![shop()],
    });
    is_recorded(&dock.answered(&element, "one").await);
}

#[tokio::test]
async fn no_refusal_hides_what_is_recorded() {
    let dock = strict(vec![shop()]).await;
    let element = signed(&charge("one", &dock.token(), 1_500));
    dock.push(&element).await;
    // One worker has recorded it and stands still. In the meantime its key is taken away.
    let taken = dock.intake.take(0).await.unwrap().unwrap();
    let recorded = dock.intake.carry_out_all(taken).await;
    dock.producers.replace(Rules::default());
    dock.ask::<i64>(&["DEL", LEASE]).await;
    dock.take_in().await;
    let told = dock.answer("hotel", "one", &element).await.unwrap();
    is_recorded(&told);
    dock.intake.settle(recorded).await.unwrap();
    is_recorded(&dock.answer("hotel", "one", &element).await.unwrap());
    // And the other way round: a refusal that was decided before it could be recorded.
    let second = signed(&charge("two", &dock.token(), 1_500));
    dock.push(&second).await;
    let taken = dock.intake.take(0).await.unwrap().unwrap();
    let refused = dock.intake.carry_out_all(taken).await;
    let rules = Rules {
        accept_unsigned: false,
        producers: vec![shop()],
    };
    dock.producers.replace(rules);
    dock.ask::<i64>(&["DEL", LEASE]).await;
    dock.take_in().await;
    assert_eq!(dock.intake.settle(refused).await.unwrap(), 0);
    is_recorded(&dock.answer("hotel", "two", &second).await.unwrap());
}
