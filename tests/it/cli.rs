//! Promises of the command line, over a store in memory.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use clap::{CommandFactory, Parser};
use holdfast::api::{self, Api, intake};
use holdfast::cli::{Around, Cli, Desk, Failure, run};
use holdfast::clock::Clock;
use holdfast::config::Config;
use holdfast::gateway::{Account, ChipGateway};
use holdfast::payment::*;
use holdfast::store::audit::Mandate;
use holdfast::store::memory::{MemoryStore, Trouble};
use holdfast::store::{Cards, Store, Then};
use holdfast::worker::Policies;
use holdfast_rig::{Redis, RedisOptions};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "5a9e3c1c-0000-4000-8000-00000000cafe";
const PURCHASE: &str = "5a9e3c1c-0000-4000-8000-00000000beef";
const BRAND: &str = "409eb80e-3782-4b1d-afa8-b779759266a5";

fn start() -> Timestamp {
    "2027-01-31T06:00:00Z".parse().unwrap()
}

/// What came out of a command line: the output, and the failure if there was one.
struct Done {
    out: String,
    failure: Option<Failure>,
}

impl Done {
    fn fine(self) -> String {
        assert!(self.failure.is_none(), "{}: {:?}", self.out, self.failure);
        self.out
    }

    fn json(self) -> Value {
        serde_json::from_str(&self.fine()).unwrap()
    }

    /// Asserts the exit code and what the message holds.
    #[track_caller]
    fn failed(self, code: u8, words: &[&str]) {
        let failure = self
            .failure
            .unwrap_or_else(|| panic!("it was taken: {}", self.out));
        assert_eq!(failure.exit_code(), code, "{failure}");
        for word in words {
            assert!(
                failure.to_string().contains(word),
                "{word:?} is not in: {failure}"
            );
        }
    }
}

struct Shop {
    store: MemoryStore,
    clock: Clock,
    policies: Policies,
    env: Vec<(String, String)>,
    input: String,
}

impl Shop {
    fn open() -> Self {
        let clock = Clock::manual(start());
        let env = [
            ("HOLDFAST__ACCOUNTS__HOTEL__MODE", "test"),
            ("HOLDFAST__ACCOUNTS__HOTEL__BRAND_ID", BRAND),
            ("HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY", "key"),
            ("USER", "aisyah"),
            ("CARD", TOKEN),
        ];
        let env: Vec<_> = env
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let policies = Config::load(None, env.clone()).unwrap().policies();
        let store = MemoryStore::new(clock.clone(), 30_000);
        Self {
            store,
            clock,
            policies,
            env,
            input: String::new(),
        }
    }

    async fn types(&self, line: &[&str]) -> Done {
        let cli = match Cli::try_parse_from(["holdfast"].iter().chain(line)) {
            Ok(cli) => cli,
            Err(error) => {
                assert_eq!(error.exit_code(), 2);
                let failure = Some(Failure::Wrong(error.to_string()));
                return Done {
                    out: String::new(),
                    failure,
                };
            }
        };
        let desk = Desk {
            store: &self.store,
            clock: &self.clock,
            policies: &self.policies,
            as_json: cli.json,
        };
        let mut around = Around {
            env: &self.env,
            input: &mut self.input.as_bytes(),
            warnings: &mut std::io::sink(),
        };
        let mut out = Vec::new();
        let failure = desk.serve(cli.verb, &mut around, &mut out).await.err();
        Done {
            out: String::from_utf8(out).unwrap(),
            failure,
        }
    }

    /// `enqueue`, with what every request has, and `more`.
    async fn asks(&self, kind: &str, key: &str, more: &[&str]) -> Done {
        let mut line = vec![
            "enqueue",
            kind,
            "--account",
            "hotel",
            "--idempotency-key",
            key,
        ];
        line.extend(more);
        self.types(&line).await
    }

    async fn charges(&self, more: &[&str]) -> Done {
        let mut line = vec!["--email", "a@b.example", "--token", TOKEN];
        line.extend(more);
        self.asks("charge", "k1", &line).await
    }

    /// An authorization by checkout that the gateway has put on hold.
    async fn held(&self, more: &[&str]) -> String {
        let mut line = vec!["--email", "canary@b.example", "--checkout"];
        line.extend(["--amount", "1500", "--currency", "MYR", "--json"]);
        line.extend(more);
        let asked = self.asks("authorize", "k1", &line).await.json();
        self.turn(&[Standing::Payable, Standing::Held]).await;
        asked["payment"].as_str().unwrap().to_owned()
    }

    /// A worker's turn that comes to this conclusion.
    async fn settle(&self, event: impl FnOnce(&Payment) -> Event) {
        let mut claim = self.store.claim(1).await.unwrap().claims.remove(0);
        let policy = &self.policies[&claim.payment.request().account];
        let event = event(&claim.payment);
        claim.payment.settled(event, self.clock.now(), policy);
        let due = claim.payment.due(self.clock.now(), policy);
        self.store.save(&mut claim, Then::Rest(due)).await.unwrap();
    }

    /// A worker's turn in which the gateway shows this.
    async fn turn(&self, shown: &[Standing]) {
        let mut claim = self.store.claim(1).await.unwrap().claims.remove(0);
        let policy = &self.policies[&claim.payment.request().account];
        let now = self.clock.now();
        for standing in shown {
            let payment = &mut claim.payment;
            let seen = sighting(payment, standing.clone());
            match payment.next(now, policy) {
                Next::Send(step) => {
                    let number = payment.open(step, now, policy).unwrap();
                    payment.answered(number, &Answer::Shown(Box::new(seen)), now, policy);
                }
                _ => payment.looked_up(&LookUp::Shown(Box::new(seen)), now, policy),
            }
        }
        let due = claim.payment.due(now, policy);
        self.store.save(&mut claim, Then::Rest(due)).await.unwrap();
    }
}

fn sighting(payment: &Payment, standing: Standing) -> Sighting {
    let money = payment.request().money();
    Sighting {
        by_hand: false,
        purchase: PurchaseId::new(PURCHASE).unwrap(),
        total: money.map_or(0, |money| money.amount.minor()),
        currency: "MYR".into(),
        converted: false,
        brand: BRAND.into(),
        test: true,
        reference: payment.id().to_string(),
        taken: None,
        card: (standing == Standing::CardSaved).then(|| CardToken::new(PURCHASE).unwrap()),
        face: None,
        tries: Vec::new(),
        held_since: Some(start()),
        due: Some(start() + TimeDelta::hours(1)),
        links: Links {
            checkout: Some(Private::new("https://canary-link.example/p/1".into())),
            direct_post: None,
        },
        standing,
    }
}

const MONEY: [&str; 4] = ["--amount", "1500", "--currency", "MYR"];

/// A card of which this is known.
async fn known_card(shop: &Shop, death: Option<Death>) -> String {
    let account = AccountName::new("hotel").unwrap();
    let card = KnownCard::first(&CardEvidence {
        payment: PaymentId::derive(&account, &IdempotencyKey::new("k0").unwrap()),
        account,
        token: CardToken::new(TOKEN).unwrap(),
        face: CardFace::of("visa", "444433******1111"),
        sign: death.map_or(CardSign::Alive, CardSign::Dead),
        at: start(),
    });
    shop.store.keep_card(None, &card).await.unwrap();
    card.id().to_string()
}

#[tokio::test]
async fn a_charge_on_a_dead_card_is_refused_with_the_reason() {
    let shop = Shop::open();
    let id = known_card(&shop, Some(Death::RecurringTokenExpired)).await;
    let done = shop.charges(&MONEY).await;
    done.failed(
        3,
        &[
            &id,
            "recurring_token_expired",
            "2027-01-31T06:00:00Z",
            "card keep",
        ],
    );
    assert!(shop.store.all().is_empty());
}

#[tokio::test]
async fn a_card_is_shown_looked_at_and_deleted_by_its_name_and_never_by_its_token() {
    let shop = Shop::open();
    let wrong = ["card", "show", TOKEN];
    shop.types(&wrong).await.failed(2, &["card_"]);
    let unknown = ["card", "delete", "card_0123456789abcdef0123456789abcdef"];
    shop.types(&unknown).await.failed(2, &["nothing is known"]);
    let id = known_card(&shop, None).await;
    let shown = shop.types(&["card", "show", &id]).await.fine();
    for word in ["visa", "1111", "live", "hotel"] {
        assert!(shown.contains(word), "{shown}");
    }
    assert!(!shown.contains(TOKEN), "{shown}");
    let looked = shop.types(&["card", "look", &id, "--json"]).await.json();
    assert_eq!(
        (&looked["state"], &looked["wanted"]),
        (&"live".into(), &"look".into())
    );
    let deleted = shop.types(&["card", "delete", &id, "--json"]).await.json();
    assert_eq!(
        (&deleted["state"], &deleted["id"]),
        (&"deleting".into(), &id.as_str().into())
    );
    let refused = shop.charges(&MONEY).await;
    refused.failed(3, &["being_deleted", "card keep"]);
    let unsaid = shop.types(&["card", "keep", &id]).await;
    unsaid.failed(2, &["--reason"]);
    let keep = [
        "card",
        "keep",
        &id,
        "--actor",
        "ann",
        "--reason",
        "by mistake",
    ];
    let kept = shop.types(&keep).await.fine();
    for word in ["live", "keep", "by ann by mistake", "delete"] {
        assert!(kept.contains(word), "{kept}");
    }
    let shown = shop.types(&["card", "show", &id, "--json"]).await.json();
    assert!(shown["wanted"].is_null(), "{shown}");
    assert_eq!(shown["asked"][1]["what"], "keep", "{shown}");
    assert_eq!(shown["asked"][1]["reason"], "by mistake", "{shown}");
    shop.charges(&MONEY).await.fine();
}

#[tokio::test]
async fn a_payment_is_shown_with_what_people_call_its_card_by() {
    let shop = Shop::open();
    let asked = shop
        .charges(&[&MONEY[..], &["--json"]].concat())
        .await
        .json();
    let shown = shop
        .types(&["show", asked["payment"].as_str().unwrap()])
        .await
        .fine();
    let card = shown
        .lines()
        .find(|line| line.starts_with("card "))
        .unwrap();
    assert!(card.contains("card_") && !card.contains(TOKEN), "{card}");
}

#[test]
fn the_command_line_is_consistent_in_itself() {
    Cli::command().debug_assert();
}

#[test]
fn help_tells_the_exit_codes_and_shows_examples() {
    let mut cli = Cli::command();
    assert!(cli.render_help().to_string().contains("Exit codes"));
    let enqueue = cli
        .find_subcommand_mut("enqueue")
        .unwrap()
        .render_help()
        .to_string();
    assert!(
        enqueue.contains("holdfast enqueue authorize --account"),
        "{enqueue}"
    );
}

#[tokio::test]
async fn the_same_request_twice_is_one_payment_and_another_one_under_its_key_is_refused() {
    let shop = Shop::open();
    let mut line = MONEY.to_vec();
    line.push("--json");
    let first = shop.charges(&line).await.json();
    let second = shop.charges(&line).await.json();
    assert_eq!(
        (&first["new"], &second["new"]),
        (&Value::from(true), &Value::from(false))
    );
    assert_eq!(first["payment"], second["payment"]);
    assert_eq!(shop.store.all().len(), 1);
    let other = shop
        .charges(&["--amount", "1501", "--currency", "MYR"])
        .await;
    other.failed(3, &["idempotency_key", "another content", "new key"]);
}

#[tokio::test]
async fn flags_ask_for_the_same_as_json_does() {
    let mut shop = Shop::open();
    let plan = [
        "--capture-at",
        "2027-02-01T12:00:00+08:00",
        "--capture-amount",
        "1000",
    ];
    let end = [
        "--release-at",
        "2027-02-02T12:00:00+08:00",
        "--before-expiry",
        "park",
    ];
    let customer = [
        "--email",
        "a@b.example",
        "--full-name",
        "A B",
        "--phone",
        "60 123",
    ];
    let payer = [
        "--success-redirect",
        "https://s.example/",
        "--pay-by",
        "2027-01-31T20:00:00Z",
    ];
    let flags = [
        &MONEY[..],
        &plan,
        &end,
        &customer,
        &payer,
        &["--checkout", "--reference", "R1"],
    ];
    let flags: Vec<&str> = flags.concat();
    shop.asks("authorize", "k1", &flags).await.fine();
    shop.input = r#"{"v":1,"type":"authorize","account":"hotel","idempotency_key":"k1",
        "reference":"R1","money":{"amount":1500,"currency":"MYR"},
        "source":{"checkout":{"success_redirect":"https://s.example/",
            "pay_by":"2027-02-01T04:00:00+08:00"}},
        "plan":{"capture_at":"2027-02-01T04:00:00Z","capture_amount":1000,
            "release_at":"2027-02-02T04:00:00Z","before_expiry":"park"},
        "customer":{"email":"a@b.example","full_name":"A B","phone":"60 123"}}"#
        .to_owned();
    for line in [
        &["enqueue", "--request", "-"][..],
        &["enqueue", "authorize", "--request", "-"],
    ] {
        assert!(
            shop.types(line).await.fine().contains("recorded before"),
            "{line:?}"
        );
    }
    shop.types(&["enqueue", "charge", "--request", "-"])
        .await
        .failed(2, &["make them agree"]);
}

#[tokio::test]
async fn every_kind_of_request_can_be_typed() {
    let shop = Shop::open();
    let email = ["--email", "a@b.example"];
    let save = shop.asks("save-card", "s", &email).await.fine();
    assert!(save.contains(" new"), "{save}");
    let hold = [&MONEY[..], &["--purchase", PURCHASE]].concat();
    shop.asks("adopt", "a", &hold).await.fine();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let file = file.to_str().unwrap();
    for (key, token) in [
        ("1", ["--token-file", file]),
        ("2", ["--token-env", "CARD"]),
    ] {
        let charge = [&MONEY[..], &email, &token].concat();
        shop.asks("charge", key, &charge).await.fine();
    }
    let tokens = shop
        .store
        .all()
        .into_iter()
        .filter_map(|l| match &l.payment.request().ask {
            Ask::Charge(ask) => Some(ask.token.as_str().to_owned()),
            _ => None,
        });
    assert_eq!(tokens.collect::<Vec<_>>(), [TOKEN, TOKEN]);
}

#[tokio::test]
async fn wrong_input_is_refused_with_the_reason_and_the_fix() {
    let shop = Shop::open();
    let amount = |text| ["--amount", text, "--currency", "MYR"];
    for (wrong, got) in [
        ("0", "got 0"),
        ("-5", "got -5"),
        ("15.00", "got 15.0"),
        ("RM15", "got RM15"),
    ] {
        shop.charges(&amount(wrong))
            .await
            .failed(2, &["amount", "minor units", got]);
    }
    for wrong in ["RM", "myr", "RINGGIT"] {
        let line = ["--amount", "1500", "--currency", wrong];
        shop.charges(&line)
            .await
            .failed(2, &["currency", "three capital letters", wrong]);
    }
    let late = [&MONEY[..], &["--not-after", "2027-01-31T14:00:00"]].concat();
    shop.charges(&late)
        .await
        .failed(2, &["not_after", "offset", "2027-01-31T14:00:00"]);

    let plan = |times: &[&'static str]| {
        [&MONEY[..], &["--email", "a@b.example", "--checkout"], times].concat()
    };
    let backwards = [
        "--capture-at",
        "2027-02-02T00:00:00Z",
        "--release-at",
        "2027-02-01T00:00:00Z",
    ];
    let done = shop.asks("authorize", "p", &plan(&backwards)).await;
    done.failed(2, &["plan.release_at", "after plan.capture_at"]);
    let done = shop
        .asks("authorize", "p", &plan(&["--capture-amount", "1501"]))
        .await;
    done.failed(2, &["plan.capture_amount", "1501", "1500"]);
    let done = shop
        .asks("authorize", "p", &plan(&["--capture-at", "tomorrow"]))
        .await;
    done.failed(2, &["capture_at", "RFC 3339", "tomorrow"]);

    let mut line = vec![
        "enqueue",
        "charge",
        "--account",
        "motel",
        "--idempotency-key",
        "k",
    ];
    line.extend(MONEY);
    line.extend(["--email", "a@b.example", "--token", TOKEN]);
    shop.types(&line).await.failed(2, &["motel", "hotel"]);
    assert_eq!(shop.store.all().len(), 0, "something was recorded");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let shop = Shop::open();
    shop.types(&["enqueue", "charge", "--account", "hotel"])
        .await
        .failed(2, &["--amount"]);
    shop.charges(&[]).await.failed(2, &["--currency"]);
    let both = [
        &MONEY[..],
        &["--checkout", "--token", TOKEN, "--email", "a@b"],
    ]
    .concat();
    shop.asks("authorize", "k", &both)
        .await
        .failed(2, &["cannot be used with"]);
    shop.types(&["capture"]).await.failed(2, &["<ID>"]);
    for verb in ["capture", "show"] {
        shop.types(&[verb, "pay_nobody"])
            .await
            .failed(2, &["\"pay_nobody\" is no payment's id", "32 hexadecimal"]);
    }
    let nobody = "pay_00000000000000000000000000000000";
    shop.types(&["show", nobody])
        .await
        .failed(2, &["there is no payment", nobody]);
    shop.types(&["reschedule", "pay_nobody"])
        .await
        .failed(2, &["--capture-at"]);
    shop.types(&["list", "--state", "lost"])
        .await
        .failed(2, &["awaiting_payer"]);
}

#[tokio::test]
async fn a_capture_is_taken_once_and_what_comes_later_is_told_so() {
    let shop = Shop::open();
    let id = &shop.held(&[]).await;
    let capture = ["capture", id, "--amount", "1000", "--key", "c1", "--json"];
    let first = shop.types(&capture).await.json();
    assert_eq!(first["answer"], "accepted");
    assert_eq!(shop.types(&capture).await.json(), first);
    let loaded = shop
        .store
        .load(&PaymentId::new(id.as_str()).unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(loaded.payment.commands().len(), 1);
    assert_eq!(
        loaded.due,
        Some(shop.clock.now()),
        "the worker is to act at once"
    );
    let other = ["capture", id, "--amount", "900", "--key", "c1"];
    shop.types(&other)
        .await
        .failed(2, &["idempotency_key", "new key"]);
    shop.types(&["cancel", id])
        .await
        .failed(3, &["is held", "use release"]);
    shop.types(&["capture", id, "--amount", "1501"])
        .await
        .failed(2, &["amount", "above the hold"]);
}

#[tokio::test]
async fn a_key_is_made_and_printed_where_none_is_given() {
    let shop = Shop::open();
    let id = &shop.held(&[]).await;
    let done = shop.types(&["release", id, "--json"]).await.json();
    assert!(done["key"].as_str().unwrap().starts_with("cli-"), "{done}");
}

#[tokio::test]
async fn a_command_whose_reply_was_lost_is_given_once() {
    let shop = Shop::open();
    let id = &shop.held(&[]).await;
    // The reply of the first write is lost: it is done, and nothing is known of it.
    let mut lost = Some(Trouble::ReplyLost);
    shop.store
        .disturb(move |call| if call == "command" { lost.take() } else { None });
    let release = ["release", id, "--key", "r1"];
    shop.types(&release).await.failed(4, &["repeating", "safe"]);
    shop.types(&release).await.fine();
    let loaded = shop
        .store
        .load(&PaymentId::new(id.as_str()).unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(loaded.payment.commands().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_that_meet_on_one_record_are_all_kept() {
    let shop = Arc::new(Shop::open());
    let id = PaymentId::new(shop.held(&[]).await).unwrap();
    let all = (0..16).map(|number| {
        let (shop, id) = (Arc::clone(&shop), id.clone());
        tokio::spawn(async move {
            let key = IdempotencyKey::new(format!("c{number}")).unwrap();
            let (store, clock, policies) = (&shop.store, &shop.clock, &shop.policies);
            let json = br#"{"command":"reschedule","capture_at":"2027-02-01T00:00:00Z"}"#;
            let command = Command::from_json(json).unwrap();
            let given = intake::Given {
                to: &id,
                key: &key,
                command: &command,
                by: &Mandate::typed_by("aisyah"),
            };
            intake::command(store, clock, policies, given)
                .await
                .unwrap()
                .answer
        })
    });
    for task in all.collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap(), CommandAnswer::Accepted);
    }
    let loaded = shop.store.load(&id).await.unwrap().unwrap();
    assert_eq!(loaded.payment.commands().len(), 16);
}

#[tokio::test]
async fn a_store_that_is_away_is_told_apart() {
    let shop = Shop::open();
    shop.store.disturb(|_| Some(Trouble::Unreached));
    shop.charges(&MONEY)
        .await
        .failed(4, &["Redis cannot be reached", "same key"]);
    shop.types(&["stats"]).await.failed(4, &["Redis"]);
}

#[tokio::test]
async fn a_rerun_says_who_and_why() {
    let shop = Shop::open();
    let id = &shop.held(&[]).await;
    shop.types(&["rerun", id, "--reason", "key replaced"])
        .await
        .fine();
    let told = shop.types(&["show", id]).await.fine();
    assert!(
        told.contains("command rerun by aisyah (key replaced): accepted"),
        "{told}"
    );
    shop.types(&["rerun", id]).await.failed(2, &["--reason"]);
}

#[tokio::test]
async fn nobody_at_a_terminal_speaks_as_a_key_of_the_api() {
    let mut shop = Shop::open();
    let id = &shop.held(&[]).await;
    let lines: [&[&str]; 6] = [
        &["rerun", id, "--reason", "x"],
        &["resolve", "as-shown", id, "--reason", "x"],
        &["plans", "make", "--state", "parked"],
        &["card", "keep", "card_1", "--reason", "x"],
        &["release", id],
        &["intake", "quarantine", "drop", "q", "--reason", "x"],
    ];
    for line in lines {
        for name in ["key:other", " Key:aisyah"] {
            let line: Vec<&str> = line.iter().copied().chain(["--actor", name]).collect();
            shop.types(&line).await.failed(2, &["--actor", "key:"]);
        }
    }
    for (name, value) in &mut shop.env {
        if name == "USER" {
            "key:other".clone_into(value);
        }
    }
    let told = ["--actor", "begins with key:"];
    shop.types(lines[0]).await.failed(2, &told);
    shop.types(lines[1]).await.failed(2, &told);
}

#[tokio::test]
async fn show_tells_what_was_what_is_and_what_comes_next() {
    let shop = Shop::open();
    let id = &shop
        .held(&["--capture-at", "2027-02-01T12:00:00+08:00"])
        .await;
    let told = shop.types(&["show", id]).await.fine();
    for line in [
        "asked      authorize MYR 15.00 by checkout",
        "state      held: MYR 15.00 since 2027-01-31T06:00:00.000Z",
        "plan       capture at 2027-02-01T04:00:00.000Z",
        "next       capture at 2027-02-01T04:00:00.000Z",
        "attempt 1 create: opened",
        "attempt 1 create: answered done",
        "state awaiting_payer",
    ] {
        assert!(told.contains(line), "{line:?} is not in:\n{told}");
    }
    let order = [
        "state new",
        "attempt 1 create: opened",
        "state awaiting_payer",
        "state held",
    ];
    let places: Vec<_> = order.iter().map(|line| told.rfind(line).unwrap()).collect();
    assert!(places.is_sorted(), "{told}");
}

#[tokio::test]
async fn what_lets_its_reader_pay_or_charge_is_masked_unless_revealed() {
    let shop = Shop::open();
    let id = &shop.held(&[]).await;
    let secrets = [PURCHASE, "canary-link", "canary@"];
    for line in [
        vec!["show", id],
        vec!["show", id, "--json"],
        vec!["list", "--state", "held"],
    ] {
        let told = shop.types(&line).await.fine();
        assert!(
            !secrets.iter().any(|secret| told.contains(secret)),
            "{told}"
        );
    }
    let told = shop.types(&["show", id, "--reveal"]).await.fine();
    assert!(told.contains(PURCHASE), "{told}");
    assert!(!told.contains("canary@"), "{told}");
    let email = ["--email", "canary@b.example"];
    shop.asks("save-card", "s", &email).await.fine();
    shop.turn(&[Standing::Payable, Standing::CardSaved]).await;
    let list = shop
        .types(&["list", "--state", "saved", "--json"])
        .await
        .json();
    assert_eq!(list["payments"][0]["token"], "***");
    let id = list["payments"][0]["payment"].as_str().unwrap();
    let told = shop.types(&["show", id, "--reveal", "--json"]).await.json();
    assert_eq!(told["token"], PURCHASE);
}

#[tokio::test]
async fn waiting_ends_with_the_link_or_with_the_time() {
    let shop = Shop::open();
    let line = [
        &MONEY[..],
        &["--email", "a@b.example", "--checkout", "--wait", "1ms"],
    ]
    .concat();
    let told = shop.asks("authorize", "k", &line).await.fine();
    assert!(told.contains("not settled yet"), "{told}");
    let line = [
        &MONEY[..],
        &["--email", "a@b.example", "--checkout", "--wait", "30s"],
    ]
    .concat();
    let (told, ()) = tokio::join!(shop.asks("authorize", "k", &line), async {
        tokio::task::yield_now().await;
        shop.turn(&[Standing::Payable]).await;
    });
    let told = told.fine();
    assert!(
        told.contains("awaiting_payer") && told.contains("https://canary-link"),
        "{told}"
    );
}

#[tokio::test]
async fn a_link_is_handed_out_only_to_a_payer_who_may_pay() {
    let shop = Shop::open();
    // On a saved card: the purchase that the charge is made on has a link, too.
    let charge = [&MONEY[..], &["--email", "a@b.example", "--token", TOKEN]].concat();
    let asked = shop.asks("charge", "c", &charge).await.fine();
    let id = asked.split(' ').next().unwrap();
    shop.turn(&[Standing::Payable]).await;
    let again = shop.asks("charge", "c", &charge).await.fine();
    let shown = shop.types(&["show", id, "--reveal"]).await.fine();
    for told in [again, shown] {
        assert!(!told.contains("canary-link"), "{told}");
    }

    let shop = Shop::open();
    let held = [&MONEY[..], &["--email", "a@b.example", "--checkout"]].concat();
    let asked = shop.asks("authorize", "h", &held).await.fine();
    let id = asked.split(' ').next().unwrap();
    shop.turn(&[Standing::Payable]).await;
    let again = shop.asks("authorize", "h", &held).await.fine();
    assert!(
        again.contains("checkout_url https://canary-link"),
        "{again}"
    );
    let shown = shop.types(&["show", id]).await.fine();
    assert!(shown.contains("checkout   ***"), "{shown}");
    let shown = shop.types(&["show", id, "--reveal"]).await.fine();
    assert!(shown.contains("checkout   https://canary-link"), "{shown}");
    shop.clock.advance(TimeDelta::minutes(1));
    shop.turn(&[Standing::Held]).await;
    let again = shop.asks("authorize", "h", &held).await.fine();
    let shown = shop.types(&["show", id, "--reveal", "--json"]).await.fine();
    for told in [again, shown] {
        assert!(!told.contains("canary-link"), "{told}");
    }
}

#[tokio::test]
async fn waiting_for_a_payment_that_fails_or_parks_tells_why_and_has_exit_codes_of_its_own() {
    let shop = Shop::open();
    let charge = [&MONEY[..], &["--email", "a@b.example", "--token", TOKEN]].concat();
    let waits = [&charge[..], &["--wait", "1s"]].concat();

    let asked = shop.asks("charge", "p", &charge).await.fine();
    let parked = asked.split(' ').next().unwrap();
    shop.settle(|_| Event::Stuck(ParkReason::Poison)).await;
    let done = shop.asks("charge", "p", &waits).await;
    assert!(done.out.contains("parked: poison"), "{}", done.out);
    done.failed(6, &[parked, "is parked: poison", "a person must look"]);
    let listed = shop.types(&["list", "--state", "parked"]).await.fine();
    assert!(listed.contains("  poison"), "{listed}");

    shop.asks("charge", "f", &charge).await.fine();
    let code = "lost_card".to_owned();
    shop.settle(|payment| {
        let seal = Seal::nothing_created(payment).unwrap();
        Event::Sealed(seal, FailReason::Declined { code })
    })
    .await;
    let done = shop.asks("charge", "f", &waits).await;
    assert!(
        done.out.contains("failed: declined lost_card"),
        "{}",
        done.out
    );
    done.failed(5, &["is failed: declined lost_card", "no money moved"]);
    let listed = shop.types(&["list", "--state", "failed"]).await.fine();
    assert!(listed.contains("  declined lost_card"), "{listed}");
    // Without waiting nothing is said about the outcome but what it is.
    let told = shop.asks("charge", "f", &charge).await.fine();
    assert!(told.contains("failed: declined lost_card"), "{told}");

    let help = Cli::command().render_help().to_string();
    for code in ["5 enqueue --wait", "6 enqueue --wait"] {
        assert!(help.contains(code), "{help}");
    }
}

#[tokio::test]
async fn a_cursor_that_is_none_is_refused() {
    let shop = Shop::open();
    for wrong in [
        "garbage",
        "",
        "1801375200000:",
        "x:pay_00000000000000000000000000000000",
    ] {
        shop.types(&["list", "--state", "new", "--after", wrong])
            .await
            .failed(2, &["--after", "is no cursor"]);
    }
}

#[tokio::test]
async fn a_list_goes_on_where_it_ended() {
    let shop = Shop::open();
    for key in ["1", "2", "3"] {
        let line = [&MONEY[..], &["--email", "a@b.example", "--token", TOKEN]].concat();
        shop.asks("charge", key, &line).await.fine();
        shop.clock.advance(TimeDelta::seconds(1));
    }
    let page = shop
        .types(&["list", "--state", "new", "--limit", "2", "--json"])
        .await
        .json();
    assert_eq!(page["payments"].as_array().unwrap().len(), 2);
    let next = page["next"].as_str().unwrap();
    let rest = ["list", "--state", "new", "--after", next, "--json"];
    assert_eq!(
        shop.types(&rest).await.json()["payments"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let stats = shop.types(&["stats", "--json"]).await.json();
    assert_eq!(
        (&stats["by_state"]["new"], &stats["unfinished"]),
        (&3.into(), &3.into())
    );
}

/// A command line as the process gets it.
async fn process(line: &[&str], env: &[(String, String)]) -> Done {
    process_that_warns(line, env).await.0
}

/// The same, and what it warned of.
async fn process_that_warns(line: &[&str], env: &[(String, String)]) -> (Done, String) {
    let cli = Cli::try_parse_from(["holdfast"].iter().chain(line)).unwrap();
    let (mut out, mut warnings) = (Vec::new(), Vec::new());
    let around = Around {
        env,
        input: &mut std::io::empty(),
        warnings: &mut warnings,
    };
    let failure = run(cli, around, &mut out).await.err();
    let done = Done {
        out: String::from_utf8(out).unwrap(),
        failure,
    };
    (done, String::from_utf8(warnings).unwrap())
}

#[tokio::test]
async fn the_settings_can_be_checked_and_shown_without_a_store() {
    let shop = Shop::open();
    let told = process(&["config", "check"], &shop.env).await.fine();
    assert!(told.contains("accounts: hotel"), "{told}");
    let told = process(&["config", "show"], &shop.env).await.fine();
    assert!(
        told.contains("accounts.hotel.secret_key = \"***\"  # environment"),
        "{told}"
    );
    assert!(
        told.contains("worker.lease_ms = 30000  # default"),
        "{told}"
    );
    let mut env = shop.env.clone();
    env.push(("HOLDFAST__WORKER__POLL_MS".into(), "0".into()));
    env.push(("HOLDFAST__WORKER__BATCH".into(), "0".into()));
    process(&["config", "check"], &env)
        .await
        .failed(2, &["worker.poll_ms", "worker.batch"]);
    let done = process(&["config", "check", "--json"], &env).await;
    let told: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(told["problems"].as_array().unwrap().len(), 2);
    done.failed(2, &[]);
}

#[tokio::test]
async fn the_file_is_found_by_flag_or_variable() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("holdfast.toml");
    fs::write(&file, "[worker]\nbatch = 7\n").unwrap();
    let file = file.to_str().unwrap();
    let env = [("HOLDFAST_CONFIG".to_owned(), file.to_owned())];
    for done in [
        process(&["--config", file, "config", "show"], &[]).await,
        process(&["config", "show"], &env).await,
    ] {
        assert!(done.fine().contains("worker.batch = 7  # file"));
    }
    process(&["--config", "/nowhere", "config", "check"], &[])
        .await
        .failed(2, &["/nowhere"]);
}

#[tokio::test]
async fn a_redis_that_nobody_answers_at_ends_with_its_own_exit_code() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut env = Shop::open().env;
    env.push((
        "HOLDFAST__REDIS__URL".into(),
        format!("redis://127.0.0.1:{port}/"),
    ));
    let stats = tokio::time::timeout(Duration::from_secs(20), process(&["stats"], &env));
    stats.await.unwrap().failed(4, &["Redis"]);
}

#[tokio::test]
async fn a_redis_that_may_forget_can_be_looked_into_with_a_warning_but_takes_nothing() {
    let options = RedisOptions {
        append_fsync: "everysec",
        ..RedisOptions::default()
    };
    let redis = Redis::start(options).await.unwrap();
    let mut env = Shop::open().env;
    env.push(("HOLDFAST__REDIS__URL".into(), redis.url()));
    let nobody = "pay_00000000000000000000000000000000";
    for line in [&["stats"][..], &["list", "--state", "parked"]] {
        let (done, warned) = process_that_warns(line, &env).await;
        done.fine();
        assert!(warned.starts_with("warning: "), "{line:?}: {warned}");
        assert!(warned.contains("appendfsync is \"everysec\""), "{warned}");
    }
    let (done, warned) = process_that_warns(&["show", nobody, "--json"], &env).await;
    done.failed(2, &["there is no payment"]);
    let warned: Value = serde_json::from_str(&warned).unwrap();
    assert_eq!(warned["warning"]["kind"], "durability");
    let mut charge = vec![
        "enqueue",
        "charge",
        "--account",
        "hotel",
        "--email",
        "a@b.example",
    ];
    charge.extend(["--idempotency-key", "k", "--token", TOKEN]);
    charge.extend(MONEY);
    for line in [&charge[..], &["release", nobody]] {
        process(line, &env).await.failed(4, &["appendfsync"]);
    }
    // Whoever must stop a run is told how it stands, and not to mend Redis first.
    let plan = "plan_00000000000000000000000000000000";
    let run = |verb| ["plans", verb, plan, "--reason", "why"];
    process(&run("stop"), &env)
        .await
        .failed(2, &["there is no plan"]);
    for verb in ["apply", "resume"] {
        process(&run(verb), &env).await.failed(4, &["appendfsync"]);
    }
    let stats = process(&["stats", "--json"], &env).await.json();
    assert_eq!(stats["unfinished"], 0);
}

#[tokio::test]
async fn a_worker_without_an_account_does_not_start() {
    let env = [("HOLDFAST__LOG__FILTER".to_owned(), "off".to_owned())];
    process(&["worker"], &env)
        .await
        .failed(2, &["[accounts.hotel]"]);
}

#[tokio::test]
async fn a_worker_that_nobody_may_ask_does_not_start_and_its_settings_are_not_fine() {
    let api = ("HOLDFAST__API__LISTEN", "0.0.0.0:0", "api.keys");
    let intake = ("HOLDFAST__INTAKE__ENABLED", "true", "intake.producers");
    for (variable, value, setting) in [api, intake] {
        let mut env = Shop::open().env;
        env.push((variable.to_owned(), value.to_owned()));
        env.push(("HOLDFAST__LOG__FILTER".to_owned(), "off".to_owned()));
        for line in [&["worker"][..], &["config", "check"]] {
            process(line, &env).await.failed(2, &[setting]);
        }
        // Whoever took the last key away can still look at what is there.
        process(&["config", "show"], &env).await.fine();
    }
}

#[tokio::test]
async fn health_asks_the_worker_of_this_machine() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let listen = |text: String| [("HOLDFAST__HTTP__LISTEN".to_owned(), text)];
    for line in [&["health"][..], &["health", "--live"]] {
        let nobody = process(line, &listen(format!("0.0.0.0:{port}"))).await;
        nobody.failed(1, &["nobody answers", "127.0.0.1"]);
    }
    process(&["health"], &listen(String::new()))
        .await
        .failed(2, &["http.listen"]);
}

/// A worker's listener as it answers without Redis: alive, and not ready.
async fn a_worker_that_waits_for_redis() -> String {
    let store = MemoryStore::new(Clock::manual(start()), 30_000);
    store.disturb(|_| Some(Trouble::Unreached));
    a_worker_on(store).await
}

/// Where a worker's listener is, over this store.
async fn a_worker_on(store: MemoryStore) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let store = Arc::new(store);
    let config = Config::load(None, Shop::open().env).unwrap();
    let limits = config.http.limits;
    let accounts = config
        .gateway_accounts()
        .into_iter()
        .map(|(name, account)| (name, Account::new(account).unwrap()))
        .collect();
    let gateway =
        ChipGateway::new(accounts, config.gateway_settings(), Clock::manual(start())).unwrap();
    let router = api::router(Api::new(store, Arc::new(gateway), limits));
    tokio::spawn(api::serve(
        listener,
        router,
        limits,
        CancellationToken::new(),
    ));
    address
}

#[tokio::test]
async fn a_worker_that_waits_for_redis_is_not_ready_but_alive() {
    let env = [(
        "HOLDFAST__HTTP__LISTEN".to_owned(),
        a_worker_that_waits_for_redis().await,
    )];
    process(&["health"], &env)
        .await
        .failed(3, &["not ready", "Redis cannot be reached"]);
    let told = process(&["health", "--live"], &env).await.fine();
    assert_eq!(told, "alive\n");
    let told = process(&["health", "--live", "--json"], &env).await.json();
    assert_eq!(told["ok"], true);
}

#[tokio::test]
async fn a_worker_whose_money_stands_still_is_ready_and_says_so() {
    let store = MemoryStore::new(Clock::manual(start()), 30_000);
    store.fall_short(Some("appendfsync is everysec"));
    let env = [(
        "HOLDFAST__HTTP__LISTEN".to_owned(),
        a_worker_on(store).await,
    )];
    let told = process(&["health"], &env).await.fine();
    assert!(
        told.starts_with("ready, but money stands still: "),
        "{told}"
    );
    assert!(told.contains("appendfsync is everysec"), "{told}");
    let told = process(&["health", "--live"], &env).await.fine();
    assert_eq!(told, "alive\n");
}

/// What `show` says that a person can do.
async fn offered(shop: &Shop, id: &str) -> String {
    let shown = shop.types(&["show", id]).await.fine();
    let (_, offered) = shown.split_once("a person decides: ").unwrap();
    offered.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn what_a_parked_payment_offers_is_what_it_takes() {
    let shop = Shop::open();
    let charge = [&MONEY[..], &["--email", "a@b.example", "--token", TOKEN]].concat();
    let asked = shop.asks("charge", "p", &charge).await.fine();
    let id = asked.split(' ').next().unwrap();
    shop.settle(|_| Event::Stuck(ParkReason::Poison)).await;
    assert_eq!(offered(&shop, id).await, "rerun, cancel");

    let shop = Shop::open();
    let id = shop.held(&["--before-expiry", "park"]).await;
    shop.clock
        .advance(TimeDelta::days(6) + TimeDelta::minutes(1));
    shop.settle(|_| Event::Stuck(ParkReason::BeforeExpiry))
        .await;
    assert_eq!(offered(&shop, &id).await, "rerun, capture, release");
    shop.types(&["cancel", &id])
        .await
        .failed(3, &["use release"]);
    shop.types(&["release", &id]).await.fine();
}

#[test]
fn errors_are_json_where_results_are() {
    let mut told = Vec::new();
    Failure::Refused("too late".into())
        .tell(true, &mut told)
        .unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(
        (&told["error"]["kind"], &told["error"]["message"]),
        (&"refused".into(), &"too late".into())
    );
}

#[tokio::test]
async fn a_call_whose_outcome_is_not_known_is_shown_as_that() {
    let shop = Shop::open();
    let asked = shop
        .charges(&["--amount", "1500", "--currency", "MYR", "--json"])
        .await
        .json();
    let id = asked["payment"].as_str().unwrap();
    // Created, then charged with an answer that leaves it open, then looked up.
    shop.turn(&[Standing::Payable, Standing::Pending, Standing::Payable])
        .await;
    let told = shop.types(&["show", id]).await.fine();
    for part in [
        "in doubt",
        "what charge of",
        "is not believed before",
        "looked up once, last seen payable",
    ] {
        assert!(told.contains(part), "{part} is missing:\n{told}");
    }
}
