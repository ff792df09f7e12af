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
    let bare = dock.answered(json.to_string()).await;
    is_refused(&bare, "signature_missing");
    assert_eq!(dock.payments().await, 0);
    is_recorded(&dock.answered(signed(&json)).await);
    // Another key that is valid at the same time: one replaces the other.
    let other = signed_with(8, &header("shop-2"), json.to_string().as_bytes());
    is_recorded(&dock.answered(other).await);
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
    let right = signed_with(SHOP_SEED, &header("shop"), bytes);
    let (head, signature) = right.rsplit_once('.').unwrap();
    let coded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let hmac = format!(
        "{}.{}.{signature}",
        coded(&header("shop").replace("EdDSA", "HS256")),
        coded(&json)
    );
    let none = format!(
        "{}.{}.",
        coded(&header("shop").replace("EdDSA", "none")),
        coded(&json)
    );
    let iat = start_time().timestamp();
    let headers = [
        format!(r#"{{"alg":"EdDSA","iat":{iat}}}"#),
        header("other"),
        header("nobody"),
        format!(r#"{{"alg":"EdDSA","kid":7,"iat":{iat}}}"#),
        format!(r#"{{"alg":"none","kid":"shop","iat":{iat}}}"#),
        format!(r#"{{"alg":"ES256","kid":"shop","iat":{iat}}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"shop","iat":{iat},"crit":["b64"],"b64":false}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"shop","iat":{iat},"jwk":{{}}}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"shop","kid":"shop","iat":{iat}}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"shop","iat":"{iat}"}}"#),
        r#"{"alg":"EdDSA","kid":"shop"}"#.to_owned(),
        format!(r#"["EdDSA","shop",{iat}]"#),
        "shop".to_owned(),
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
        signed_with(SHOP_SEED + 1, &header("shop"), bytes),
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
    is_recorded(&dock.answered(&right).await);
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
        dock.answer(account, &element).await.unwrap()
    };
    is_recorded(&answered("fits", &|_| ()).await);
    let above = answered("above", &|json| json["money"]["amount"] = 1_501.into()).await;
    is_refused(&above, "amount_forbidden");
    let foreign = answered("foreign", &|json| json["money"]["currency"] = "SGD".into()).await;
    is_refused(&foreign, "currency_forbidden");
    let rental = answered("rental", &|json| json["account"] = "rental".into()).await;
    is_refused(&rental, "account_forbidden");
    let hold = signed(&authorize("hold", &token));
    is_refused(&dock.answered(hold).await, "scope_missing");
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
    let save = json!({"v": 1, "push": PUSH, "type": "save_card", "account": "hotel", "idempotency_key": "card",
        "customer": {"email": "payer@test.example"}});
    let answer = dock.answered(signed(&save)).await;
    is_refused(&answer, "currency_forbidden");
}

#[tokio::test]
async fn keys_are_exchanged_while_pushes_are_taken() {
    let dock = strict(vec![shop()]).await;
    let element = signed(&charge("one", &dock.token(), 1_500));
    dock.producers.replace(Rules::default());
    is_refused(&dock.answered(&element).await, "signature_invalid");
    dock.producers.replace(Rules {
        accept_unsigned: false,
        producers: vec![shop()],
    });
    is_recorded(&dock.answered(&element).await);
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
    let told = dock.answer("hotel", &element).await.unwrap();
    is_recorded(&told);
    dock.intake.settle(recorded).await.unwrap();
    is_recorded(&dock.answer("hotel", &element).await.unwrap());
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
    // Another has taken it over: what this one would say is not said, neither before nor after.
    let other = dock.other_intake();
    let theirs = other.take(0).await.unwrap().unwrap();
    assert_eq!(dock.intake.settle(refused).await.unwrap(), 0);
    assert_eq!(dock.answer("hotel", &second).await, None);
    let theirs = other.carry_out_all(theirs).await;
    assert_eq!(other.settle(theirs).await.unwrap(), 1);
    is_recorded(&dock.answer("hotel", &second).await.unwrap());
}

#[tokio::test]
async fn what_was_signed_long_ago_is_not_done_and_what_was_recorded_then_is_answered() {
    let dock = strict(vec![shop()]).await;
    let token = dock.token();
    let known = signed(&charge("known", &token, 1_500));
    is_recorded(&dock.answered(&known).await);
    let old = signed(&charge("old", &token, 1_500));
    dock.stage.pass(TimeDelta::days(7));
    is_recorded(&dock.answered(signed(&charge("week", &token, 1_500))).await);
    dock.stage.pass(TimeDelta::seconds(1));
    let answer = dock.answered(&old).await;
    is_refused(&answer, "signature_invalid");
    assert_eq!(answer["problem"]["field"], "iat");
    is_recorded(&dock.answered(&known).await);
    let ahead = dock.stage.clock.now() + TimeDelta::minutes(6);
    let header = format!(
        r#"{{"alg":"EdDSA","kid":"shop","iat":{}}}"#,
        ahead.timestamp()
    );
    let json = charge("ahead", &token, 1_500).to_string();
    let ahead = signed_with(SHOP_SEED, &header, json.as_bytes());
    is_refused(&dock.answered(ahead).await, "signature_invalid");
    assert_eq!(dock.payments().await, 2);
}

#[tokio::test]
async fn a_key_that_is_not_for_captures_is_not_for_plans_that_capture() {
    let holds = Producer {
        types: Some([Kind::Authorize, Kind::Reschedule].into()),
        ..shop()
    };
    let dock = strict(vec![holds]).await;
    let token = dock.token();
    let planned = |key: &str, plan: Value| {
        let mut json = authorize(key, &token);
        json["plan"] = plan;
        signed(&json)
    };
    let at = json!({"capture_at": "2027-02-02T08:00:00+08:00"});
    for plan in [at.clone(), json!({"before_expiry": "capture"})] {
        is_refused(&dock.answered(planned("one", plan)).await, "scope_missing");
    }
    let release = json!({"release_at": "2027-02-02T08:00:00+08:00"});
    is_recorded(&dock.answered(planned("two", release.clone())).await);
    let move_it = |key: &str, to: &Value| {
        let mut json = json!({"push": PUSH, "account": "hotel", "idempotency_key": key,
            "payment_key": "two", "command": "reschedule"});
        let fields = json.as_object_mut().unwrap();
        fields.extend(to.as_object().unwrap().clone());
        signed(&json)
    };
    is_refused(&dock.answered(move_it("m1", &at)).await, "scope_missing");
    let more = json!({"capture_amount": 1_500});
    is_refused(&dock.answered(move_it("m3", &more)).await, "scope_missing");
    is_recorded(&dock.answered(move_it("m2", &release)).await);
}
