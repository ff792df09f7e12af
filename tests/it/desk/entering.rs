//! Who may come in, and for how long.

use chrono::TimeDelta;
use holdfast::api::{ApiKey, Scope};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};

use super::{OPERATOR, Office, READER, key, keys};

#[tokio::test]
async fn nobody_sees_a_page_without_a_key_that_may_read() {
    let office = Office::open().await;
    for path in ["/desk", "/desk/payments", "/desk/payments/x", "/desk/else"] {
        let seen = office.get("", path).await;
        assert_eq!((seen.status, seen.header(LOCATION)), (303, "/desk/login"));
        let seen = office.get("holdfast_desk=made-up", path).await;
        assert_eq!(seen.status, 303);
    }
    let live = office.client.get(office.at("/desk")).header("X-Live", "1");
    assert_eq!(office.sent(live).await.status, 401);
    let wrong = [("key", "hf_bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm9")];
    let seen = office.post("", "/desk/login", &wrong).await;
    assert_eq!(seen.status, 401);
    seen.shows(&["not known"]);
    assert_eq!(seen.header(SET_COOKIE), "");
    let office = Office::with(vec![key("asks", OPERATOR, &[Scope::Enqueue])]).await;
    let seen = office.post("", "/desk/login", &[("key", OPERATOR)]).await;
    assert_eq!(seen.status, 403);
    seen.shows(&["lacks the scope read"]);
}

#[tokio::test]
async fn the_cookie_is_for_the_desk_alone_and_is_no_key() {
    let office = Office::open().await;
    let seen = office.post("", "/desk/login", &[("key", OPERATOR)]).await;
    let cookie = seen.header(SET_COOKIE);
    for part in ["Path=/desk", "HttpOnly", "SameSite=Strict", "Max-Age=28800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "this machine has no TLS");
    assert!(!cookie.contains(OPERATOR));
    let far = office.client.post(office.at("/desk/login"));
    let far = far
        .header("Host", "desk.example")
        .form(&[("key", OPERATOR)]);
    let far = office.sent(far).await;
    // Over TLS it is this very host's, whatever its neighbours set.
    let set = far.header(SET_COOKIE);
    assert!(
        set.ends_with("; Secure") && set.contains("Path=/;"),
        "{set}"
    );
    let own = set.split(';').next().unwrap().to_owned();
    assert!(own.starts_with("__Host-holdfast_desk="), "{own}");
    let planted = own.trim_start_matches("__Host-").to_owned();
    for (cookie, status) in [(&planted, 303), (&own, 200)] {
        let page = office.client.get(office.at("/desk/payments"));
        let page = page.header("Host", "desk.example").header(COOKIE, cookie);
        let seen = office.sent(page).await;
        assert_eq!(seen.status, status, "{cookie}");
        if let Some(mark) = seen.hidden_if("mark").filter(|_| status == 200) {
            let leave = office.client.post(office.at("/desk/logout"));
            let leave = leave.header("Host", "desk.example").header(COOKIE, cookie);
            let left = office.sent(leave.form(&[("mark", mark)])).await;
            let gone = left.header(SET_COOKIE);
            assert!(
                gone.starts_with("__Host-holdfast_desk=; Path=/; Max-Age=0"),
                "{gone}"
            );
        }
    }
}

#[tokio::test]
async fn a_session_ends_with_its_time_its_key_or_when_it_is_left() {
    let office = Office::open().await;
    let cookie = office.enter(OPERATOR).await;
    assert_eq!(office.get(&cookie, "/desk").await.status, 200);
    // Its key is taken away.
    office
        .ring
        .replace(vec![key("reader", READER, &[Scope::Read])]);
    assert_eq!(office.get(&cookie, "/desk").await.status, 303);
    office.ring.replace(keys());
    assert_eq!(office.get(&cookie, "/desk").await.status, 303, "for good");
    // Its key loses what it needs, or expires.
    let cookie = office.enter(OPERATOR).await;
    let less = key("aisyah", OPERATOR, &[Scope::Command]);
    office.ring.replace(vec![less]);
    assert_eq!(office.get(&cookie, "/desk").await.status, 403);
    let expired = ApiKey {
        expires_at: Some(office.stage.clock.now()),
        ..keys().remove(0)
    };
    office.ring.replace(vec![expired]);
    assert_eq!(office.get(&cookie, "/desk").await.status, 303);
    office.ring.replace(keys());
    // Its time is over.
    let cookie = office.enter(OPERATOR).await;
    office.stage.pass(TimeDelta::hours(8));
    assert_eq!(office.get(&cookie, "/desk").await.status, 303);
    // It is left, by a form of its own.
    let cookie = office.enter(OPERATOR).await;
    let page = office.get(&cookie, "/desk/payments").await;
    let mark = page.hidden("mark");
    let wrong = office.post(&cookie, "/desk/logout", &[("mark", "x")]).await;
    assert_eq!(wrong.status, 403);
    let left = office
        .post(&cookie, "/desk/logout", &[("mark", &mark)])
        .await;
    assert_eq!((left.status, left.header(LOCATION)), (303, "/desk/login"));
    assert_eq!(office.get(&cookie, "/desk").await.status, 303);
}

#[tokio::test]
async fn keys_cannot_be_tried_without_end() {
    let office = Office::open().await;
    let guess = [("key", "hf_bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm9")];
    let mut statuses = Vec::new();
    for _ in 0..31 {
        statuses.push(office.post("", "/desk/login", &guess).await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 30);
    assert_eq!(statuses.last(), Some(&429));
    // That locks out nobody who has a key.
    office.enter(OPERATOR).await;
    office.stage.pass(TimeDelta::minutes(1));
    let again = office.post("", "/desk/login", &guess).await;
    assert_eq!(again.status, 401);
}

#[tokio::test]
async fn a_key_that_logs_in_without_end_ends_its_own_sessions_alone() {
    let office = Office::open().await;
    let other = office.enter(READER).await;
    let mut own = Vec::new();
    for _ in 0..21 {
        own.push(office.enter(OPERATOR).await);
        office.stage.pass(TimeDelta::seconds(1));
    }
    let mut statuses = Vec::new();
    for cookie in [&own[0], &own[1], &own[20], &other] {
        statuses.push(office.get(cookie, "/desk").await.status);
    }
    assert_eq!(statuses, [303, 200, 200, 200]);
}

#[tokio::test]
async fn without_keys_only_this_machine_is_let_in() {
    let office = Office::with(Vec::new()).await;
    let seen = office.get("", "/desk").await;
    assert_eq!(seen.status, 200);
    seen.shows(&["development"]);
    let rebound = office.client.get(office.at("/desk"));
    let rebound = office.sent(rebound.header("Host", "evil.example")).await;
    assert_eq!(rebound.status, 403);
}

#[tokio::test]
async fn a_form_from_elsewhere_is_refused() {
    let office = Office::open().await;
    let cookie = office.enter(OPERATOR).await;
    let id = office.parked("k").await;
    let page = office
        .get(&cookie, &format!("/desk/payments/{id}/rerun"))
        .await;
    let (mark, key) = (page.hidden("mark"), page.hidden("key"));
    let path = format!("/desk/payments/{id}/rerun");
    let fields = |mark: &str| {
        let fields = [("mark", mark), ("key", &*key), ("reason", "tried")];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let post = |header: (&'static str, &'static str), mark: &str| {
        let request = office.client.post(office.at(&path)).form(&fields(mark));
        request.header(COOKIE, &*cookie).header(header.0, header.1)
    };
    for header in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ] {
        assert_eq!(
            office.sent(post(header, &mark)).await.status,
            403,
            "{header:?}"
        );
    }
    let fine = ("Sec-Fetch-Site", "same-origin");
    assert_eq!(office.sent(post(fine, "guessed")).await.status, 403);
    let other = office.enter(READER).await;
    let others = office.get(&other, "/desk/payments").await.hidden("mark");
    assert_eq!(office.sent(post(fine, &others)).await.status, 403);
    assert!(office.stage.payment(&id).await.commands().is_empty());
    assert_eq!(office.sent(post(fine, &mark)).await.status, 303);
    assert_eq!(office.stage.payment(&id).await.commands().len(), 1);
}

#[tokio::test]
async fn pages_count_as_requests_of_their_key() {
    let office = Office::open().await;
    let cookie = office.enter(READER).await;
    for _ in 0..1_000 {
        let seen = office.get(&cookie, "/desk/nowhere").await;
        assert_eq!(seen.status, 404);
    }
    let seen = office.get(&cookie, "/desk/nowhere").await;
    assert_eq!((seen.status, seen.header("retry-after")), (429, "1"));
    let other = office.enter(OPERATOR).await;
    assert_eq!(office.get(&other, "/desk/nowhere").await.status, 404);
    office.stage.pass(TimeDelta::seconds(1));
    assert_eq!(office.get(&cookie, "/desk/nowhere").await.status, 404);
}
