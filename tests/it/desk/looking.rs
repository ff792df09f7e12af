//! What pages show, and what they never do.

use holdfast::operate::find::{Filter, find};
use holdfast::operate::overview;
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
    overview.shows_none_of(&["not counted here"]);
}

#[tokio::test]
async fn the_page_of_a_payment_tells_all_that_happened_and_who_asked_for_it() {
    let office = Office::open().await;
    let id = office.parked("k").await;
    let rerun = Command::Rerun {
        reason: "the bank says it never came".to_owned(),
        actor: "farid".to_owned(),
    };
    let cookie = office.enter(READER).await;
    let path = format!("/desk/payments/{id}");
    let before = office.get(&cookie, &path).await;
    before.shows_none_of(&["A rerun is wanted."]);
    office.stage.command(&id, "c1", rerun).await;
    let page = office.get(&cookie, &path).await;
    page.shows(&[
        "A rerun is wanted.",
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
    overview.shows_none_of(&["99.00", "hotel", "The last hour"]);
    let list = office.get(&cookie, "/desk/payments").await;
    list.shows(&["No payment that has not ended is like that."]);
    list.shows_none_of(&["hotel", id.as_str()]);
    list.shows(&["0 shown, 0 looked at"]);
    // One that is there and another account's is as one that is not there.
    let missing = "00000000-0000-4000-8000-000000000000";
    assert_ne!(missing, id.as_str());
    for path in ["", "/release"] {
        let mut pages = Vec::new();
        for id in [id.as_str(), missing] {
            let path = format!("/desk/payments/{id}{path}");
            let page = office.get(&cookie, &path).await;
            assert_eq!(page.status, 404);
            page.shows_none_of(&["hotel", id]);
            pages.push(page.text);
        }
        assert_eq!(pages[0], pages[1]);
    }
    let mut refused = Vec::new();
    for account in ["hotel", "no-such"] {
        let query = format!("/desk/payments?account={account}&reference=r");
        let page = office.get(&cookie, &query).await;
        page.shows(&["The key is not for that account."]);
        page.shows_none_of(&["looked at"]);
        refused.push(page.text);
    }
    assert_eq!(refused[0], refused[1]);
    let cookie = office.enter(READER).await;
    let overview = office.get(&cookie, "/desk").await;
    overview.shows(&["99.00", "The last hour"]);
}

#[tokio::test]
async fn what_is_typed_wrongly_is_told_and_breaks_nothing() {
    let office = Office::open().await;
    let cookie = office.enter(READER).await;
    for (query, told) in [
        ("state=gone", "is no state"),
        ("least=much", "is no amount"),
        ("age=x", "is no number of hours"),
        ("id=0123456789012345678901234567890123456", "36 characters"),
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
async fn who_has_an_id_finds_its_payment_ended_or_not_and_who_has_a_part_is_told_where_to_look() {
    let office = Office::open().await;
    let id = office.stage.charge("paid", 1_500).await;
    office.stage.work().await;
    let link = format!("/desk/payments/{id}");
    let cookie = office.enter(READER).await;
    let whole = format!("/desk/payments?id=%20{}", id.as_str().to_uppercase());
    office.get(&cookie, &whole).await.shows(&[&link]);
    let held = office.get(&cookie, &format!("{whole}&state=held")).await;
    held.shows(&["No payment is like that."]);
    let part = &id.as_str()[4..12];
    let list = office
        .get(&cookie, &format!("/desk/payments?id={part}"))
        .await;
    list.shows_none_of(&[&link]);
    let there = format!("/desk/payments?id={part}&amp;state=paid");
    list.shows(&["No payment that has not ended is like that.", &there]);
    let list = office.get(&cookie, &there.replace("&amp;", "&")).await;
    list.shows(&[&link]);
    let rental = office.enter(RENTAL).await;
    office.get(&rental, &whole).await.shows_none_of(&[&link]);
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
    let script = office.get("", "/desk/desk.js").await;
    script.shows(&[
        "held while text is selected",
        "AbortSignal.timeout",
        "|| asking",
    ]);
    let all = office.one_of_each().await;
    let cookie = office.enter(OPERATOR).await;
    let pages = [
        "/desk",
        "/desk/payments",
        "/desk/switches",
        "/desk/switches/all",
    ];
    let mut paths = pages.map(str::to_owned).to_vec();
    paths.extend(all.iter().map(|(_, id)| format!("/desk/payments/{id}")));
    for path in paths {
        let page = office.get(&cookie, &path).await;
        page.shows_none_of(&[
            " style=", "<style", "onclick", "http://", "https://", "<script>",
        ]);
    }
}

/// Stops something, by farid.
pub(super) async fn stop(office: &Office, name: &SwitchName, reason: &str) {
    let (store, clock) = (&office.stage.store, &office.stage.clock);
    let stopped = Switch {
        actor: "farid".to_owned(),
        reason: reason.to_owned(),
        since: clock.now(),
        until: None,
    };
    let by = Mandate::typed_by("farid");
    switches::stop(store, clock, ("stop", name), &stopped, &by)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_stopped_stands_on_the_overview_with_who_and_why() {
    let office = Office::open().await;
    let cookie = office.enter(READER).await;
    let page = office.get(&cookie, "/desk").await;
    page.shows_none_of(&["Stopped."]);
    stop(&office, &SwitchName::All, "amounts are <wrong>").await;
    let page = office.get(&cookie, "/desk").await;
    page.shows(&["Stopped.", "by farid: amounts are &lt;wrong&gt;"]);
}

#[tokio::test]
async fn what_is_stopped_stands_with_the_payments_that_it_concerns_and_no_others() {
    let office = Office::open().await;
    let id = office.stage.authorize_by_token("held", 9_900, "{}").await;
    office.stage.work().await;
    let other = AccountName::new("rental").unwrap();
    stop(&office, &SwitchName::Account(other), "rental-why").await;
    stop(&office, &SwitchName::Kind("charge"), "charge-why").await;
    let cookie = office.enter(READER).await;
    let path = format!("/desk/payments/{id}");
    let page = office.get(&cookie, &path).await;
    page.shows_none_of(&["Stopped."]);
    stop(
        &office,
        &SwitchName::Account(crate::stage::account()),
        "hotel-why",
    )
    .await;
    let page = office.get(&cookie, &path).await;
    page.shows(&["Stopped.", "by farid: hotel-why"]);
    page.shows_none_of(&["rental-why", "charge-why"]);
    // Why an account is paused is for those who see it.
    let cookie = office.enter(RENTAL).await;
    let page = office.get(&cookie, "/desk").await;
    page.shows(&["rental-why", "charge-why"]);
    page.shows_none_of(&["hotel"]);
}

#[tokio::test]
async fn no_page_of_a_list_ends_at_a_payment_of_another_account() {
    let office = Office::open().await;
    for number in 0..60 {
        let account = if number % 2 == 0 { "rental" } else { "hotel" };
        let body = serde_json::json!({
            "v": 1, "type": "charge", "account": account, "idempotency_key": format!("k{number}"),
            "money": {"amount": 1500, "currency": "MYR"}, "token": "a-token",
            "not_before": "2027-03-01T00:00:00Z", "customer": {"email": "payer@test.example"},
        });
        let request = Request::from_json(body.to_string().as_bytes()).unwrap();
        let now = office.stage.clock.now();
        let payment = Payment::new(request, now).unwrap();
        office.stage.store.create(&payment, now).await.unwrap();
        office.stage.pass(chrono::TimeDelta::seconds(1));
    }
    let rental = AccountName::new("rental").unwrap();
    let may = |account: &AccountName| *account == rental;
    let (store, now) = (&office.stage.store, office.stage.clock.now());
    for state in [None, Some(StateName::New)] {
        let filter = Filter {
            state,
            ..Filter::default()
        };
        let (mut after, mut all) = (None::<String>, Vec::new());
        loop {
            let page = (after.as_deref(), 7);
            let found = find(store, (&filter, &may), page, now).await.unwrap();
            assert_eq!(
                found.looked_at,
                found.payments.len(),
                "others are not counted"
            );
            let Some(last) = found.payments.last() else {
                panic!("a page shows nothing, and there was to be more")
            };
            if let Some(next) = &found.next {
                assert!(next.contains(last.payment.id().as_str()), "{next}");
            }
            all.extend(found.payments.iter().map(|it| it.payment.id().clone()));
            after = found.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(all.len(), 30);
    }
    // What fits nothing is looked for as far as there is anything, and leaves no trace of others.
    let filter = Filter {
        id_part: Some("zz".to_owned()),
        ..Filter::default()
    };
    let found = find(store, (&filter, &may), (None, 7), now).await.unwrap();
    assert_eq!((found.looked_at, found.next), (30, None));
}

#[tokio::test]
async fn what_lapses_soon_is_on_the_list_behind_its_number_and_what_should_have_is_not() {
    let office = Office::open().await;
    let soon = office.stage.authorize_by_token("soon", 9_900, "{}").await;
    office.stage.work().await;
    let lapses_at = match office.stage.payment(&soon).await.state() {
        State::Held(hold) => hold.expires_at,
        state => panic!("{state:?}"),
    };
    for (before, [day, three, past]) in [
        (chrono::TimeDelta::hours(80), [false, false, false]),
        (chrono::TimeDelta::hours(72), [false, true, false]),
        (chrono::TimeDelta::hours(24), [true, true, false]),
        (chrono::TimeDelta::zero(), [false, false, true]),
    ] {
        let (store, clock) = (&office.stage.store, &office.stage.clock);
        office.stage.pass(lapses_at - before - clock.now());
        let tally = overview::count(store, clock).await.unwrap();
        let counted = [&tally.lapsing[0], &tally.lapsing[2], &tally.lapsed];
        let counted = counted.map(|sums| sums.whole().count == 1);
        assert_eq!(counted, [day, three, past], "{before}");
        let cookie = office.enter(READER).await;
        let mut listed = Vec::new();
        for within in ["24", "72", "past", "any"] {
            let path = format!("/desk/payments?lapses={within}");
            let page = office.get(&cookie, &path).await;
            listed.push(page.text.contains(soon.as_str()));
        }
        assert_eq!(listed, [day, three, past, true], "{before}");
    }
    let cookie = office.enter(READER).await;
    let page = office.get(&cookie, "/desk").await;
    page.shows(&["lapses=past\">1 payment past the hold's time</a>"]);
}

#[tokio::test]
async fn what_has_ended_is_listed_with_the_newest_first_over_all_pages() {
    let office = Office::open().await;
    let mut made = Vec::new();
    for number in 0..60 {
        made.push(office.stage.charge(&format!("k{number}"), 100).await);
        office.stage.work().await;
        office.stage.pass(chrono::TimeDelta::seconds(1));
    }
    made.reverse();
    let (store, now) = (&office.stage.store, office.stage.clock.now());
    let filter = Filter {
        state: Some(StateName::Paid),
        ..Filter::default()
    };
    let (mut after, mut all) = (None::<String>, Vec::new());
    loop {
        let page = (after.as_deref(), 7);
        let found = find(store, (&filter, &|_| true), page, now).await.unwrap();
        all.extend(found.payments.iter().map(|it| it.payment.id().clone()));
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(all, made);
    let cookie = office.enter(READER).await;
    let page = office.get(&cookie, "/desk/payments?state=paid").await;
    page.shows(&["the last recorded first", made[0].as_str()]);
    page.shows_none_of(&[made[59].as_str()]);
}

#[tokio::test]
async fn the_overview_says_what_it_does_not_count_and_only_then() {
    let office = Office::open().await;
    let id = office.stage.authorize_by_token("old", 9_900, "{}").await;
    office.stage.work().await;
    let (store, clock) = (&office.stage.store, &office.stage.clock);
    let tally = overview::count(store, clock).await.unwrap();
    assert_eq!(tally.uncounted, 0);
    office.forgets_the_face_of(&id).await;
    let cookie = office.enter(READER).await;
    let page = office.get(&cookie, "/desk").await;
    page.shows(&["1 payment not counted here.", "Nothing is held"]);
    // Of whose account they are is not known.
    let rental = office.enter(RENTAL).await;
    let page = office.get(&rental, "/desk").await;
    page.shows_none_of(&["not counted here"]);
}

#[tokio::test]
async fn a_list_names_what_cannot_be_read_to_whoever_may_know_of_it() {
    let office = Office::open().await;
    let parked = office.parked("k").await;
    let paid = office.stage.charge("paid", 1_000).await;
    office.stage.work().await;
    let mut raw = crate::store::on_redis::raw(&office.redis).await;
    for id in [&parked, &paid] {
        let mut set = ::redis::cmd("HSET");
        set.arg(format!("{{hf:{}}}:payment:{id}", id.spread() % 8));
        set.arg("body").arg("{}");
        set.exec_async(&mut raw).await.unwrap();
    }
    let lists = |state: &str| format!("/desk/payments?state={state}");
    let all = office.enter(READER).await;
    let rental = office.enter(RENTAL).await;
    for (state, id) in [("parked", &parked), ("paid", &paid)] {
        let page = office.get(&all, &lists(state)).await;
        page.shows(&["cannot be read", "can be read is like that", id.as_str()]);
        let page = office.get(&rental, &lists(state)).await;
        page.shows_none_of(&["cannot be read", id.as_str()]);
    }
}
