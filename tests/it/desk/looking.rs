//! What pages show, and what they never do.

use holdfast::operate::switches;
use holdfast::payment::*;
use holdfast::store::Store;
use holdfast::store::audit::Mandate;
use holdfast::store::switches::{Switch, SwitchName};

use super::{OPERATOR, Office, READER, RENTAL, secrets};

#[tokio::test]
async fn every_state_has_its_pages_and_no_secret_stands_on_any() {
    let office = Office::open().await;
    let all = office.one_of_each().await;
    let cookie = office.enter(READER).await;
    let secrets = secrets(&office).await;
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    assert!(secrets.len() > 10);
    for (state, id) in &all {
        let page = office.get(&cookie, &format!("/desk/payments/{id}")).await;
        assert_eq!(page.status, 200, "{state}");
        page.shows(&[&format!("state {state}"), id.as_str(), "state new", "hotel"]);
        page.shows_none_of(&secrets);
        let list = office
            .get(&cookie, &format!("/desk/payments?state={state}"))
            .await;
        list.shows(&[&format!("/desk/payments/{id}")]);
        list.shows_none_of(&secrets);
    }
    let overview = office.get(&cookie, "/desk").await;
    assert_eq!(overview.status, 200);
    overview.shows(&[
        "99.00",
        "42.00",
        "outcome unknown",
        "/desk/payments?state=parked&amp;reason=outcome_unknown",
    ]);
    overview.shows_none_of(&secrets);
}

#[tokio::test]
async fn the_page_of_a_payment_tells_all_that_happened_and_who_asked_for_it() {
    let office = Office::open().await;
    let id = office.parked("k").await;
    let rerun = Command::Rerun {
        reason: "the bank says it never came".to_owned(),
        actor: "farid".to_owned(),
    };
    office.stage.command(&id, "c1", rerun).await;
    let cookie = office.enter(READER).await;
    let page = office.get(&cookie, &format!("/desk/payments/{id}")).await;
    page.shows(&[
        "In doubt.",
        "attempt 2 charge: opened",
        "attempt 2 charge: answered unknown",
        "looked up",
        "rerun by farid (the bank says it never came)",
        "outcome unknown",
        "charge MYR 42.00 on a saved card",
        "needs the scope command",
    ]);
    page.shows_none_of(&["Rerun…", "rerun…"]);
}

#[tokio::test]
async fn what_producers_write_is_shown_as_text() {
    let office = Office::open().await;
    let evil = r#"<script>alert(1)</script>"><img src=x onerror=alert(1)>"#;
    let body = serde_json::json!({
        "v": 1, "type": "charge", "account": "hotel", "idempotency_key": format!("{evil}k"),
        "reference": evil, "money": {"amount": 1500, "currency": "MYR"}, "token": "a-token",
        "not_before": "2027-03-01T00:00:00Z", "customer": {"email": "payer@test.example"},
    });
    let request = Request::from_json(body.to_string().as_bytes()).unwrap();
    let payment = Payment::new(request, office.stage.clock.now()).unwrap();
    let due = office.stage.clock.now();
    office.stage.store.create(&payment, due).await.unwrap();
    let cookie = office.enter(OPERATOR).await;
    let query = url::form_urlencoded::byte_serialize(evil.as_bytes()).collect::<String>();
    for path in [
        format!("/desk/payments/{}", payment.id()),
        "/desk/payments?state=new".to_owned(),
        format!("/desk/payments?account=hotel&reference={query}&reason={query}&id={query}"),
        format!("/desk/payments?account={query}&least={query}"),
        format!("/desk/payments/{}?done={query}", payment.id()),
    ] {
        let page = office.get(&cookie, &path).await;
        assert_eq!(page.status, 200, "{path}");
        page.shows_none_of(&["<script>alert", "<img", "onerror=alert(1)>\""]);
    }
    let found = format!("/desk/payments?account=hotel&reference={query}");
    let page = office.get(&cookie, &found).await;
    page.shows(&[
        "&lt;script&gt;",
        &format!("/desk/payments/{}", payment.id()),
    ]);
}

#[tokio::test]
async fn a_key_sees_its_own_accounts_and_nothing_of_others() {
    let office = Office::open().await;
    let id = office.stage.authorize_by_token("held", 9_900, "{}").await;
    office.stage.work().await;
    let cookie = office.enter(RENTAL).await;
    let overview = office.get(&cookie, "/desk").await;
    overview.shows(&["Nothing is held", "Everything has ended."]);
    overview.shows_none_of(&["99.00", "hotel"]);
    let list = office.get(&cookie, "/desk/payments").await;
    list.shows(&["No payment is like that."]);
    list.shows_none_of(&["hotel", id.as_str()]);
    for path in ["", "/release"] {
        let page = office
            .get(&cookie, &format!("/desk/payments/{id}{path}"))
            .await;
        assert_eq!(page.status, 404);
        page.shows_none_of(&["hotel"]);
    }
    let cookie = office.enter(READER).await;
    let overview = office.get(&cookie, "/desk").await;
    overview.shows(&["99.00"]);
}

#[tokio::test]
async fn what_is_typed_wrongly_is_told_and_breaks_nothing() {
    let office = Office::open().await;
    let cookie = office.enter(READER).await;
    for (query, told) in [
        ("state=gone", "is no state"),
        ("least=much", "is no amount"),
        ("age=x", "is no number of hours"),
        ("account=a%20b", "the account name"),
        ("reference=r", "Not understood"),
        ("after=nonsense", "Begin anew"),
    ] {
        let page = office
            .get(&cookie, &format!("/desk/payments?{query}"))
            .await;
        assert!(page.status < 500, "{query}");
        page.shows(&[told]);
    }
    let page = office.get(&cookie, "/desk/payments/nonsense").await;
    assert_eq!(page.status, 404);
    let page = office.get(&cookie, "/desk/nowhere").await;
    assert_eq!(page.status, 404);
    page.shows(&["Not here"]);
}

#[tokio::test]
async fn a_list_goes_on_where_the_page_before_ended() {
    let office = Office::open().await;
    let later = r#""type":"charge","money":{"amount":1500,"currency":"MYR"},
        "token":"a-token","not_before":"2027-03-01T00:00:00Z",
        "customer":{"email":"payer@test.example"}"#;
    for number in 0..60 {
        office.stage.enqueue(&format!("k{number}"), later).await;
    }
    let cookie = office.enter(READER).await;
    let ids = |page: &super::Seen| -> Vec<String> {
        let rows = page
            .text
            .split("class=\"id\" href=\"/desk/payments/")
            .skip(1);
        rows.map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect()
    };
    let first = office.get(&cookie, "/desk/payments?state=new").await;
    let (_, rest) = first
        .text
        .split_once("class=\"button\" href=\"/desk/payments?")
        .unwrap();
    let rest = rest
        .split_once("class=\"button\" href=\"")
        .map_or(rest, |(_, rest)| rest);
    let further = rest.split('"').next().unwrap().replace("&amp;", "&");
    let further = further.trim_start_matches("/desk/payments?");
    let second = office
        .get(&cookie, &format!("/desk/payments?{further}"))
        .await;
    let mut all = ids(&first);
    assert_eq!(all.len(), 50);
    all.extend(ids(&second));
    let each: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!((all.len(), each.len()), (60, 60));
}

#[tokio::test]
async fn style_and_script_come_from_here_and_nothing_is_inline() {
    let office = Office::open().await;
    for (path, kind) in [
        ("/desk/desk.css", "text/css"),
        ("/desk/desk.js", "text/javascript"),
        ("/desk/icon.svg", "image/svg+xml"),
    ] {
        let seen = office.get("", path).await;
        assert_eq!(seen.status, 200);
        assert!(seen.header("content-type").starts_with(kind));
    }
    let all = office.one_of_each().await;
    let cookie = office.enter(OPERATOR).await;
    let mut paths = vec!["/desk".to_owned(), "/desk/payments".to_owned()];
    paths.extend(all.iter().map(|(_, id)| format!("/desk/payments/{id}")));
    for path in paths {
        let page = office.get(&cookie, &path).await;
        page.shows_none_of(&[
            " style=", "<style", "onclick", "http://", "https://", "<script>",
        ]);
    }
}

#[tokio::test]
async fn what_is_stopped_stands_on_the_overview_with_who_and_why() {
    let office = Office::open().await;
    let cookie = office.enter(READER).await;
    let page = office.get(&cookie, "/desk").await;
    page.shows_none_of(&["Stopped."]);
    let (store, clock) = (&office.stage.store, &office.stage.clock);
    let stopped = Switch {
        actor: "farid".to_owned(),
        reason: "amounts are <wrong>".to_owned(),
        since: clock.now(),
        until: None,
    };
    let name = ("stop", &SwitchName::All);
    let by = Mandate::typed_by("farid");
    switches::stop(store, clock, name, &stopped, &by)
        .await
        .unwrap();
    let page = office.get(&cookie, "/desk").await;
    page.shows(&["Stopped.", "by farid: amounts are &lt;wrong&gt;"]);
}
