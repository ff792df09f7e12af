//! To stop and to let go on at the desk.

use holdfast::operate::switches::{self, Unread};
use holdfast::payment::AccountName;
use holdfast::store::audit::{AuditEntry, AuditStream, Chained};
use holdfast::store::redis::AuditOrder;
use holdfast::store::switches::{SwitchName, WorkerNote};
use reqwest::header::LOCATION;

use super::looking::stop;
use super::{OPERATOR, Office, READER, RENTAL, Seen};

const HOTEL: &str = "/desk/switches/account:hotel";

impl Office {
    /// Asks to stop something or to let it go on, and gives that with a reason.
    async fn switches(&self, cookie: &str, path: &str, reason: &str) -> Seen {
        let page = self.get(cookie, path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let (mark, shown) = (page.hidden("mark"), page.hidden("shown"));
        self.switches_as_shown(cookie, path, [&mark, &shown, reason])
            .await
    }

    async fn switches_as_shown(
        &self,
        cookie: &str,
        path: &str,
        [mark, shown, reason]: [&str; 3],
    ) -> Seen {
        let shown = shown.replace("&quot;", "\"");
        let fields = [("mark", mark), ("shown", &shown), ("reason", reason)];
        self.post(cookie, path, &fields).await
    }

    /// What stands in the audit log beside the payments.
    async fn audited(&self) -> Vec<AuditEntry> {
        let page = self
            .stage
            .store
            .audit_page(AuditStream::Desk, AuditOrder::Oldest, None, 100);
        page.await
            .unwrap()
            .iter()
            .filter_map(Chained::entry)
            .collect()
    }

    /// A worker that runs, and has read nothing of what is stopped; its name.
    async fn late_worker(&self) -> String {
        let now = self.stage.clock.now();
        let note = WorkerNote {
            started: now,
            seen: now,
            program: "1.0.0".to_owned(),
            switches: 0,
            concurrency: 8,
            under_way: [("charge".to_owned(), 2)].into(),
            longest_call_ms: 60_000,
        };
        let name = "worker-that-is-late".to_owned();
        self.stage.store.note_worker(&name, &note).await.unwrap();
        name
    }

    async fn stopped(&self) -> Vec<String> {
        let (store, clock) = (&self.stage.store, &self.stage.clock);
        let all = (&|_: &SwitchName| true) as _;
        let found = switches::standing(store, clock, (all, Unread::Named));
        found.await.unwrap()
    }
}

fn hotel() -> SwitchName {
    SwitchName::Account(AccountName::new("hotel").unwrap())
}

#[tokio::test]
async fn an_account_is_paused_at_the_desk_and_let_go_on_and_both_are_audited() {
    let office = Office::open().await;
    let cookie = office.enter(OPERATOR).await;
    let page = office.get(&cookie, "/desk/switches").await;
    page.shows(&["Nothing is stopped.", HOTEL, "/desk/switches/step:capture"]);
    let done = office.switches(&cookie, HOTEL, "CHIP asks us to").await;
    assert_eq!(done.status, 303, "{}", done.text);
    let page = office.get(&cookie, done.header(LOCATION)).await;
    page.shows(&[
        "account hotel is paused",
        "by key:aisyah: CHIP asks us to",
        "Let it go on…",
    ]);
    let found = office.stage.store.switches().await.unwrap();
    assert_eq!(found.set[&hotel()].reason, "CHIP asks us to");
    let overview = office.get(&cookie, "/desk").await;
    overview.shows(&["account hotel is paused"]);
    office.switches(&cookie, HOTEL, "mended").await;
    assert_eq!(office.stopped().await, Vec::<String>::new());
    let entries = office.audited().await;
    for (action, reason) in [("pause", "CHIP asks us to"), ("resume", "mended")] {
        let told = entries.iter().find(|entry| entry.action == action);
        let told = told.unwrap_or_else(|| panic!("{action} is not in {entries:?}"));
        assert_eq!(told.reason.as_deref(), Some(reason));
        assert_eq!(told.actor.name, "aisyah");
        assert_eq!(told.via.as_str(), "dashboard");
    }
}

#[tokio::test]
async fn a_page_from_before_somebody_else_stopped_it_lets_nothing_go_on() {
    let office = Office::open().await;
    let cookie = office.enter(OPERATOR).await;
    office.switches(&cookie, HOTEL, "first").await;
    let old = office.get(&cookie, HOTEL).await;
    let (mark, shown) = (old.hidden("mark"), old.hidden("shown"));
    office.stage.clock.advance(chrono::TimeDelta::seconds(1));
    office.switches(&cookie, HOTEL, "mended").await;
    stop(&office, &hotel(), "second").await;
    let refused = office
        .switches_as_shown(&cookie, HOTEL, [&mark, &shown, "mended"])
        .await;
    assert_eq!(refused.status, 400);
    refused.shows(&["nothing was changed"]);
    // Nor does an old page stop again what was let go on.
    let refused = office
        .switches_as_shown(&cookie, HOTEL, [&mark, "", "stop it"])
        .await;
    assert_eq!(refused.status, 400);
    let stopped = office.stopped().await;
    assert_eq!(stopped.len(), 1);
    assert!(stopped[0].ends_with("by farid: second"), "{stopped:?}");
}

#[tokio::test]
async fn what_another_version_stopped_of_an_account_is_named_to_those_alone_who_see_all() {
    let office = Office::open().await;
    let id = office.stage.authorize_by_token("held", 9_900, "{}").await;
    office.stage.work().await;
    let (whole, rental) = (office.enter(OPERATOR).await, office.enter(RENTAL).await);
    let mut connection = crate::store::on_redis::raw(&office.redis).await;
    let mut set = redis::cmd("HSET");
    set.arg("{hf:desk}:switches").arg("account:hotel");
    let _: i64 = set
        .arg("{\"by\":1}")
        .query_async(&mut connection)
        .await
        .unwrap();
    for path in ["/desk", "/desk/switches"] {
        let page = office.get(&rental, path).await;
        page.shows(&["everything is stopped by another version"]);
        page.shows_none_of(&["hotel"]);
        let page = office.get(&whole, path).await;
        page.shows(&["everything is stopped: account:hotel is, and this version"]);
    }
    let page = office.get(&whole, &format!("/desk/payments/{id}")).await;
    page.shows(&["everything is stopped: account:hotel is"]);
}

#[tokio::test]
async fn nobody_stops_more_than_the_key_is_for_nor_without_a_reason_or_a_mark() {
    let office = Office::open().await;
    let reader = office.enter(READER).await;
    let page = office.get(&reader, "/desk/switches").await;
    page.shows(&["needs the scope operate"]);
    assert_eq!(office.get(&reader, HOTEL).await.status, 403);
    let rental = office.enter(RENTAL).await;
    let page = office.get(&rental, "/desk/switches").await;
    page.shows(&["/desk/switches/account:rental"]);
    page.shows_none_of(&["hotel", "/desk/switches/all", "/desk/switches/step:charge"]);
    page.shows(&["No worker is running; one that starts will see the last switch."]);
    stop(&office, &SwitchName::Step("charge"), "double taken").await;
    let late = office.late_worker().await;
    let page = office.get(&rental, "/desk/switches").await;
    page.shows(&["One worker has not seen the last switch yet"]);
    let whole = office.enter(OPERATOR).await;
    let page = office.get(&whole, "/desk/switches").await;
    page.shows(&["not seen yet", &late, "2 charge"]);
    // One that says nothing any more may still have calls under way.
    office.stage.clock.advance(chrono::TimeDelta::seconds(50));
    let page = office.get(&whole, "/desk/switches").await;
    page.shows(&["silent since", &late, "2 charge"]);
    let page = office.get(&rental, "/desk/switches").await;
    page.shows(&["One worker is silent, and may still have calls under way."]);
    page.shows_none_of(&["Every worker", &late]);
    let stands = office.stopped().await;
    for path in [HOTEL, "/desk/switches/all", "/desk/switches/kind:charge"] {
        let mark = office.get(&rental, "/desk/switches/account:rental").await;
        let mark = mark.hidden("mark");
        assert_eq!(office.get(&rental, path).await.status, 403, "{path}");
        let sent = office
            .switches_as_shown(&rental, path, [&mark, "", "why"])
            .await;
        assert_eq!(sent.status, 403, "{path}");
    }
    let cookie = office.enter(OPERATOR).await;
    let mark = office.get(&cookie, HOTEL).await.hidden("mark");
    let nothing = office
        .switches_as_shown(&cookie, HOTEL, [&mark, "", "  "])
        .await;
    assert_eq!(nothing.status, 400);
    let forged = office
        .switches_as_shown(&cookie, HOTEL, ["forged", "", "why"])
        .await;
    assert_eq!(forged.status, 403);
    for nothing in ["drain", "account:hotell", "step:look_up"] {
        let path = format!("/desk/switches/{nothing}");
        assert_eq!(office.get(&cookie, &path).await.status, 404, "{path}");
    }
    assert_eq!(office.stopped().await, stands);
}
