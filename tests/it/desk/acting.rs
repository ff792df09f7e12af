//! What is commanded at the desk goes the way of all commands.

use holdfast::api::{ApiKey, Scope};
use holdfast::operate::switches;
use holdfast::payment::*;
use holdfast::store::Store;
use holdfast::store::audit::Mandate;
use holdfast::store::switches::{Switch, SwitchName};
use reqwest::header::LOCATION;

use super::{OPERATOR, Office, READER, key};

impl Office {
    /// Asks for a command, and gives it as the form has it with these fields filled in.
    async fn commands(
        &self,
        cookie: &str,
        (id, name): (&PaymentId, &str),
        filled: &[(&str, &str)],
    ) -> super::Seen {
        let path = format!("/desk/payments/{id}/{name}");
        let page = self.get(cookie, &path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let (mark, key) = (page.hidden("mark"), page.hidden("key"));
        let shown = ["shown", "outcome", "stated"].map(|name| (name, page.hidden_if(name)));
        let mut fields = vec![("mark", &*mark), ("key", &*key)];
        fields.extend(
            shown
                .iter()
                .filter_map(|(name, value)| Some((*name, value.as_deref()?))),
        );
        fields.extend_from_slice(filled);
        self.post(cookie, &path, &fields).await
    }
}

#[tokio::test]
async fn a_rerun_looks_and_is_kept_with_who_and_why() {
    let office = Office::open().await;
    let id = office.parked("k").await;
    let cookie = office.enter(OPERATOR).await;
    let page = office.get(&cookie, &format!("/desk/payments/{id}")).await;
    page.shows(&["rerun…", "cancel…", "resolve as shown…", "propose by hand…"]);
    page.shows_none_of(&["capture…", "release…", "reschedule…", "approve by hand…"]);
    let ask = office
        .get(&cookie, &format!("/desk/payments/{id}/rerun"))
        .await;
    ask.shows(&[
        "money touched, at most",
        "42.00",
        "aisyah",
        "looks the payment up",
    ]);
    let why = [("reason", "the bank says it never came")];
    let done = office.commands(&cookie, (&id, "rerun"), &why).await;
    assert_eq!(done.status, 303, "{}", done.text);
    let shown = office.get(&cookie, done.header(LOCATION)).await;
    shown.shows(&[
        "Recorded. A worker carries it out now.",
        "rerun by key:aisyah (the bank says it never came): accepted",
    ]);
    let name = ("stop", &SwitchName::All);
    let stopped = Switch {
        actor: "farid".to_owned(),
        reason: "amounts are wrong".to_owned(),
        since: office.stage.clock.now(),
        until: None,
    };
    let (store, clock) = (&office.stage.store, &office.stage.clock);
    let by = Mandate::typed_by("farid");
    switches::stop(store, clock, name, &stopped, &by)
        .await
        .unwrap();
    let shown = office.get(&cookie, done.header(LOCATION)).await;
    shown.shows(&["Recorded. It is sent once what is stopped goes on."]);
    shown.shows_none_of(&["carries it out now"]);
    let before = office.stage.ledger().movements().len();
    office.stage.work().await;
    let after = office.stage.ledger().movements().len();
    assert_eq!(before, after, "a look moves nothing under park");
}

#[tokio::test]
async fn a_hold_is_captured_in_part_once_however_often_the_form_is_sent() {
    let office = Office::open().await;
    let id = office.stage.authorize_by_token("k", 9_900, "{}").await;
    office.stage.work().await;
    let cookie = office.enter(OPERATOR).await;
    let path = format!("/desk/payments/{id}/capture");
    let page = office.get(&cookie, &path).await;
    page.shows(&["99.00", "taken now"]);
    let (mark, key) = (page.hidden("mark"), page.hidden("key"));
    let why = ("reason", "the guest left early");
    let fields = [("mark", &*mark), ("key", &*key), ("amount", "40.00"), why];
    for _ in 0..3 {
        let done = office.post(&cookie, &path, &fields).await;
        assert_eq!(done.status, 303, "{}", done.text);
    }
    office.stage.work().await;
    assert_eq!(office.stage.state(&id).await, StateName::Paid);
    assert_eq!(office.stage.taken(&id), (4_000, 1));
    let late = office.post(&cookie, &path, &fields).await;
    let shown = office.get(&cookie, late.header(LOCATION)).await;
    shown.shows(&[
        "Recorded.",
        "aisyah (api key, dashboard)",
        "the guest left early",
    ]);
    assert_eq!(office.get(&cookie, &path).await.status, 400, "it has ended");
}

#[tokio::test]
async fn a_hold_is_released_and_a_plan_moved_by_a_form() {
    let office = Office::open().await;
    let id = office.stage.authorize_by_token("k", 9_900, "{}").await;
    office.stage.work().await;
    let cookie = office.enter(OPERATOR).await;
    let times = [("capture_at", "2027-02-02T10:30"), ("amount", "50.00")];
    let moved = office.commands(&cookie, (&id, "reschedule"), &times).await;
    assert_eq!(moved.status, 303, "{}", moved.text);
    let plan = office.stage.payment(&id).await.plan().clone();
    let at = "2027-02-02T10:30:00Z".parse::<Timestamp>().unwrap();
    let shown = office.get(&cookie, moved.header(LOCATION)).await;
    shown.shows(&["Recorded. It is done at the times of the plan."]);
    assert_eq!(plan.capture_at, Some(at));
    assert_eq!(plan.capture_amount.map(Amount::minor), Some(5_000));
    let late = [("capture_at", "2028-02-02T10:30")];
    let refused = office.commands(&cookie, (&id, "reschedule"), &late).await;
    assert_eq!(refused.status, 400);
    refused.shows(&["before the hold lapses"]);
    let done = office.commands(&cookie, (&id, "release"), &[]).await;
    assert_eq!(done.status, 303);
    office.stage.work().await;
    assert_eq!(office.stage.state(&id).await, StateName::Released);
}

#[tokio::test]
async fn whoever_may_only_look_or_move_less_cannot_act() {
    let limited = ApiKey {
        largest_amount_minor: Some(5_000),
        ..key(
            "limited",
            OPERATOR,
            &[Scope::Read, Scope::Command, Scope::Operate],
        )
    };
    let office = Office::with(vec![limited, key("reader", READER, &[Scope::Read])]).await;
    let id = office.stage.authorize_by_token("k", 9_900, "{}").await;
    office.stage.work().await;
    let reader = office.enter(READER).await;
    let path = format!("/desk/payments/{id}/release");
    assert_eq!(office.get(&reader, &path).await.status, 403);
    let mark = office.get(&reader, "/desk/payments").await.hidden("mark");
    let fields = [("mark", &*mark), ("key", "k1")];
    assert_eq!(office.post(&reader, &path, &fields).await.status, 403);
    let cookie = office.enter(OPERATOR).await;
    let refused = office.commands(&cookie, (&id, "capture"), &[]).await;
    assert_eq!(refused.status, 403);
    refused.shows(&["may move 5000 at most"]);
    let in_part = [("amount", "50.00")];
    let done = office.commands(&cookie, (&id, "capture"), &in_part).await;
    assert_eq!(done.status, 303);
    assert_eq!(office.stage.payment(&id).await.commands().len(), 1);
    // Whoever lacks the scope operate commands nothing at the desk.
    office
        .ring
        .replace(vec![key("less", OPERATOR, &[Scope::Read, Scope::Command])]);
    let page = office.get(&cookie, &format!("/desk/payments/{id}")).await;
    page.shows(&["needs the scope operate"]);
    assert_eq!(office.get(&cookie, &path).await.status, 403);
}

#[tokio::test]
async fn how_a_payment_ended_is_stated_by_two_people_and_never_by_one() {
    let all = [Scope::Read, Scope::Command, Scope::Operate];
    let both = vec![key("aisyah", OPERATOR, &all), key("farid", READER, &all)];
    let office = Office::with(both).await;
    let id = office.parked("k").await;
    let (one, other) = (office.enter(OPERATOR).await, office.enter(READER).await);
    let why = [("reason", "the bank's list does not have it")];
    let done = office.commands(&one, (&id, "propose_by_hand"), &why).await;
    assert_eq!(done.status, 303, "{}", done.text);
    let shown = office.get(&one, done.header(LOCATION)).await;
    shown.shows(&["Nothing follows before another person approves it."]);
    let path = format!("/desk/payments/{id}");
    office
        .get(&one, &path)
        .await
        .shows_none_of(&["approve by hand…"]);
    office.get(&other, &path).await.shows(&["approve by hand…"]);
    let ask = office.get(&other, &format!("{path}/approve_by_hand")).await;
    ask.shows(&["It is stated: ", "never paid"]);
    ask.shows(&["key:aisyah", "the bank's list does not have it"]);
    // Another end than the one that the page stated is not approved.
    let [mark, key, read] = ["mark", "key", "stated"].map(|name| ask.hidden(name));
    let another = format!("{key}-another");
    let fields = |key, outcome| {
        [
            ("mark", &*mark),
            ("key", key),
            ("stated", &*read),
            ("reason", "the list does not have it"),
            ("outcome", outcome),
        ]
    };
    let to = format!("{path}/approve_by_hand");
    let sent = fields(&*another, "hold_gone");
    let refused = office.post(&other, &to, &sent).await;
    let refused = office.get(&other, refused.header(LOCATION)).await;
    refused.shows(&["Refused: it does not apply in this state."]);
    let said = office.stage.payment(&id).await;
    assert_eq!(said.resolution().unwrap().said.len(), 1);
    for _ in 0..2 {
        let done = office.post(&other, &to, &fields(&*key, "never_paid")).await;
        assert_eq!(done.status, 303, "{}", done.text);
    }
    let said = office.stage.payment(&id).await;
    let said = said.resolution().unwrap().said.clone();
    let who: Vec<_> = said.iter().map(|said| &*said.actor).collect();
    assert_eq!(who, ["key:aisyah", "key:farid"]);
}

#[tokio::test]
async fn a_proposal_is_approved_that_was_read_and_no_other() {
    let all = [Scope::Read, Scope::Command, Scope::Operate];
    let both = vec![key("aisyah", OPERATOR, &all), key("farid", READER, &all)];
    let office = Office::with(both).await;
    let id = office.parked("k").await;
    let (one, other) = (office.enter(OPERATOR).await, office.enter(READER).await);
    let why = [("reason", "the bank's list does not have it")];
    office.commands(&one, (&id, "propose_by_hand"), &why).await;
    office.stage.pass(chrono::TimeDelta::minutes(5));
    let path = format!("/desk/payments/{id}/approve_by_hand");
    let ask = office.get(&other, &path).await;
    ask.shows(&["key:aisyah", "5 min ago"]);
    // It is proposed anew, for another reason, while somebody reads.
    let undone = office
        .get(&one, &format!("/desk/payments/{id}/resolve_as_shown"))
        .await;
    undone.shows(&["What key:aisyah stated is undone by it: never paid."]);
    let anew = [("reason", "the guest says so")];
    office.commands(&one, (&id, "propose_by_hand"), &anew).await;
    let names = ["mark", "key", "stated", "outcome"];
    let shown = names.map(|name| ask.hidden(name));
    let mut fields: Vec<_> = names
        .into_iter()
        .zip(shown.iter().map(|it| &**it))
        .collect();
    fields.push(("reason", "the list does not have it"));
    let refused = office.post(&other, &path, &fields).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    refused.shows(&["what is proposed is not what the page showed"]);
    // Nor is it undone by who read the one before.
    let names = ["mark", "key", "stated"];
    let shown = names.map(|name| undone.hidden(name));
    let mut fields: Vec<_> = names
        .into_iter()
        .zip(shown.iter().map(|it| &**it))
        .collect();
    fields.push(("reason", "captured in the portal"));
    let to = format!("/desk/payments/{id}/resolve_as_shown");
    let refused = office.post(&one, &to, &fields).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    refused.shows(&["people have stated something about it since"]);
    let known = office.stage.payment(&id).await;
    assert_eq!(known.resolution().unwrap().progress, Progress::Proposed);
    let ask = office.get(&other, &path).await;
    let names = ["mark", "key", "stated", "outcome"];
    let shown = names.map(|name| ask.hidden(name));
    let mut fields: Vec<_> = names
        .into_iter()
        .zip(shown.iter().map(|it| &**it))
        .collect();
    fields.push(("reason", "so I heard"));
    for time in ["first", "second"] {
        let done = office.post(&other, &path, &fields).await;
        assert_eq!(done.status, 303, "{time}: {}", done.text);
    }
    let page = office.get(&one, &format!("/desk/payments/{id}")).await;
    page.shows_none_of(&["propose by hand…"]);
}

#[tokio::test]
async fn a_plan_is_moved_with_the_amount_that_the_page_showed_or_not_at_all() {
    let office = Office::open().await;
    let id = office.stage.authorize_by_token("k", 9_900, "{}").await;
    office.stage.work().await;
    let cookie = office.enter(OPERATOR).await;
    let path = format!("/desk/payments/{id}/reschedule");
    let page = office.get(&cookie, &path).await;
    let [mark, key, shown] = ["mark", "key", "shown"].map(|name| page.hidden(name));
    assert_eq!(shown, "9900");
    let less = [("capture_at", "2027-02-02T10:30"), ("amount", "50.00")];
    let moved = office.commands(&cookie, (&id, "reschedule"), &less).await;
    assert_eq!(moved.status, 303, "{}", moved.text);
    let fields = [
        ("mark", &*mark),
        ("key", &*key),
        ("shown", &*shown),
        ("capture_at", "2027-02-03T10:30"),
    ];
    let refused = office.post(&cookie, &path, &fields).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    refused.shows(&["is not the one that the page showed"]);
    let plan = office.stage.payment(&id).await.plan().clone();
    assert_eq!(plan.capture_amount.map(Amount::minor), Some(5_000));
    assert_eq!(plan.capture_at, "2027-02-02T10:30:00Z".parse().ok());
    let later = [("capture_at", "2027-02-03T10:30")];
    let moved = office.commands(&cookie, (&id, "reschedule"), &later).await;
    assert_eq!(moved.status, 303, "{}", moved.text);
    let plan = office.stage.payment(&id).await.plan().clone();
    assert_eq!(plan.capture_amount.map(Amount::minor), Some(5_000));
    assert_eq!(plan.capture_at, "2027-02-03T10:30:00Z".parse().ok());
}

#[tokio::test]
async fn a_rerun_without_a_reason_and_what_is_no_command_are_refused() {
    let office = Office::open().await;
    let id = office.parked("k").await;
    let cookie = office.enter(OPERATOR).await;
    let empty = [("reason", " ")];
    let refused = office.commands(&cookie, (&id, "rerun"), &empty).await;
    assert_eq!(refused.status, 400);
    refused.shows(&["must say why"]);
    for name in ["capture", "refund", "nonsense"] {
        let page = office
            .get(&cookie, &format!("/desk/payments/{id}/{name}"))
            .await;
        assert_eq!(page.status, 400, "{name}");
    }
    assert!(office.stage.payment(&id).await.commands().is_empty());
}

#[tokio::test]
async fn an_amount_left_empty_is_the_one_that_the_page_showed() {
    let office = Office::open().await;
    let id = office.stage.authorize_by_token("k", 9_900, "{}").await;
    office.stage.work().await;
    let cookie = office.enter(OPERATOR).await;
    let path = format!("/desk/payments/{id}/capture");
    let page = office.get(&cookie, &path).await;
    let [mark, key, shown] = ["mark", "key", "shown"].map(|name| page.hidden(name));
    assert_eq!(shown, "9900");
    // The plan is another one by the time that the form is sent.
    let less = [("capture_at", "2027-02-02T10:30"), ("amount", "50.00")];
    let moved = office.commands(&cookie, (&id, "reschedule"), &less).await;
    assert_eq!(moved.status, 303, "{}", moved.text);
    let (sent, empty) = ([("mark", &*mark), ("key", &*key)], ("amount", ""));
    let bare = office.post(&cookie, &path, &sent).await;
    assert_eq!(bare.status, 400, "what was shown is not known");
    let fields = [sent[0], sent[1], ("shown", &*shown), empty];
    let done = office.post(&cookie, &path, &fields).await;
    assert_eq!(done.status, 303, "{}", done.text);
    office.stage.work().await;
    assert_eq!(office.stage.taken(&id), (9_900, 1));
}

#[tokio::test]
async fn what_people_settled_says_on_whose_word_it_stands() {
    let office = Office::open().await;
    let stage = &office.stage;
    let id = stage.authorize_by_token("k", 1_500, "{}").await;
    stage.work().await;
    // Somebody else captures another amount.
    let payment = stage.payment(&id).await;
    let purchase = payment.purchase().unwrap().id.as_str();
    let address = format!("{}purchases/{purchase}/capture/", stage.sandbox.base_url());
    let request = office.client.post(address).bearer_auth(crate::stage::KEY);
    let answer = request.json(&serde_json::json!({"amount": 900})).send();
    assert_eq!(answer.await.unwrap().status().as_u16(), 200);
    stage.store.nudge(&id).await.unwrap();
    stage.work().await;
    assert_eq!(stage.state(&id).await, StateName::Parked);
    let cookie = office.enter(OPERATOR).await;
    let why = [("reason", "captured in the portal")];
    let done = office.commands(&cookie, (&id, "resolve_as_shown"), &why);
    let done = done.await;
    assert_eq!(done.status, 303, "{}", done.text);
    stage.work().await;
    let page = office.get(&cookie, &format!("/desk/payments/{id}")).await;
    page.shows(&["9.00</span> was taken, as the gateway showed."]);
}

#[tokio::test]
async fn a_rerun_is_for_whoever_may_move_what_it_may_come_to() {
    let limited = |largest| ApiKey {
        largest_amount_minor: Some(largest),
        ..key(
            "limited",
            OPERATOR,
            &[Scope::Read, Scope::Command, Scope::Operate],
        )
    };
    let office = Office::with(vec![limited(4_199)]).await;
    let id = office.parked("k").await;
    let cookie = office.enter(OPERATOR).await;
    let why = [("reason", "the bank says it never came")];
    let refused = office.commands(&cookie, (&id, "rerun"), &why).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    refused.shows(&["may move 4199 at most"]);
    assert!(office.stage.payment(&id).await.commands().is_empty());
    office.ring.replace(vec![limited(4_200)]);
    let done = office.commands(&cookie, (&id, "rerun"), &why).await;
    assert_eq!(done.status, 303, "{}", done.text);
}

#[tokio::test]
async fn what_is_open_does_not_hang_on_the_keys_of_commands_before() {
    let office = Office::open().await;
    let id = office.stage.authorize_by_token("k", 9_900, "{}").await;
    office.stage.work().await;
    let later = Command::Reschedule {
        capture_at: Some("2027-02-02T10:30:00Z".parse().unwrap()),
        capture_amount: None,
        release_at: None,
    };
    office.stage.command(&id, "tried-on-a-copy", later).await;
    let cookie = office.enter(OPERATOR).await;
    let page = office.get(&cookie, &format!("/desk/payments/{id}")).await;
    page.shows(&["capture…", "release…", "reschedule…"]);
}
