//! `holdfast reconcile` as it is typed: exit codes, reports for people and programs, and no secrets.

use clap::Parser;
use holdfast::cli::{Around, Cli, Failure, run};

use super::*;

/// How long ago everything happened: the period of what is typed is over.
const AGO: TimeDelta = TimeDelta::days(4);

/// A world that lives some days before the machine's time, by which a typed command goes.
pub(super) struct Typed {
    pub(super) desk: Desk<RedisStore>,
    env: Vec<(String, String)>,
    day: String,
}

impl Typed {
    pub(super) async fn start() -> Self {
        let redis = Redis::start(RedisOptions::default()).await.unwrap();
        let clock = Clock::manual(Clock::system().now() - AGO);
        let settings = Settings {
            url: redis.url(),
            profile: Profile::Solo,
            lease_ms: 30_000,
            ..Settings::default()
        };
        let store = RedisStore::connect(settings, clock.clone()).await.unwrap();
        let url = redis.url();
        let desk = Desk::with(store, clock, Some(redis)).await;
        let now = desk.stage.clock.now();
        desk.stage.sandbox.set_time(now);
        let brand = DEFAULT_BRAND_ID.to_string();
        let base_url = desk.stage.sandbox.base_url();
        let env = [
            ("HOLDFAST__REDIS__URL", url.as_str()),
            ("HOLDFAST__ACCOUNTS__HOTEL__MODE", "test"),
            ("HOLDFAST__ACCOUNTS__HOTEL__BRAND_ID", &brand),
            ("HOLDFAST__ACCOUNTS__HOTEL__BASE_URL", &base_url),
            ("HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY", KEY),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            env: env.into(),
            day: now.format("%Y-%m-%d").to_string(),
            desk,
        }
    }

    /// What is printed, and the exit code. From a day before to a day after: midnight may be near.
    pub(super) async fn types(&self, more: &[&str]) -> (String, u8) {
        let day: chrono::NaiveDate = self.day.parse().unwrap();
        let (from, to) = (day.pred_opt().unwrap(), day.succ_opt().unwrap());
        self.types_of((&from.to_string(), &to.to_string()), more)
            .await
    }

    async fn types_of(&self, (from, to): (&str, &str), more: &[&str]) -> (String, u8) {
        let line = [
            "holdfast",
            "reconcile",
            "--account",
            "hotel",
            "--from",
            from,
        ];
        let line = [&line[..], &["--to", to], more].concat();
        let (out, warnings, code) = self.run(&line).await;
        assert!(warnings.is_empty(), "{warnings}");
        (out, code)
    }

    /// What is printed, what is warned of, and the exit code.
    pub(super) async fn run(&self, line: &[&str]) -> (String, String, u8) {
        let cli = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{error}"));
        let mut warnings = Vec::new();
        let around = Around {
            env: &self.env,
            input: &mut std::io::empty(),
            warnings: &mut warnings,
        };
        let mut out = Vec::new();
        let failure = run(cli, around, &mut out).await.err();
        let told = failure.as_ref().map(Failure::to_string);
        let mut out = String::from_utf8(out).unwrap();
        out.push_str(&told.unwrap_or_default());
        let warnings = String::from_utf8(warnings).unwrap();
        (
            out,
            warnings,
            failure.map_or(0, |failure| failure.exit_code()),
        )
    }

    pub(super) async fn charge(&self, key: &str) -> PaymentId {
        let id = self.desk.stage.charge(key, 1_500).await;
        self.desk.stage.work().await;
        assert_eq!(self.desk.stage.state(&id).await, StateName::Paid);
        id
    }
}

#[tokio::test]
async fn the_exit_code_says_whether_the_books_agree() {
    use chip_sandbox::Status;
    let typed = Typed::start().await;
    let id = typed.charge("one").await;
    let (told, code) = typed.types(&[]).await;
    assert_eq!(code, 0, "{told}");
    for words in [
        "1 agree",
        "MYR 15.00",
        "the books agree",
        "0 about money given back",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let (told, code) = typed.types(&["--no-statement"]).await;
    assert_eq!(code, 0, "{told}");
    assert!(
        told.contains("records and CHIP agree; no statement"),
        "{told}"
    );
    assert!(!told.contains("the books agree"), "{told}");
    let payment = typed.desk.stage.payment(&id).await;
    let purchase: Uuid = payment.purchase().unwrap().id.as_str().parse().unwrap();
    let sandbox = &typed.desk.stage.sandbox;
    sandbox.force_status(purchase, Status::PendingCapture);
    let (told, code) = typed.types(&["--json"]).await;
    assert_eq!(code, 8, "{told}");
    assert!(told.contains(r#""verdict":"not_all_compared""#), "{told}");
    sandbox.force_status(purchase, Status::Cancelled);
    let (told, code) = typed.types(&[]).await;
    assert_eq!(code, 7, "{told}");
    for words in ["record_without_payment", id.as_str(), "CHIP cancelled"] {
        assert!(told.contains(words), "{told}");
    }
    let printed = typed.types(&["--json"]).await.0 + &told;
    assert!(!printed.contains(&purchase.to_string()), "{printed}");
    let revealed = typed.types(&["--reveal"]).await.0;
    assert!(revealed.contains(&purchase.to_string()), "{revealed}");
}

#[tokio::test]
async fn a_period_that_is_not_over_or_was_not_when_its_statement_was_made_is_not_called_agreed() {
    let typed = Typed::start().await;
    typed.charge("one").await;
    let today = Clock::system().now();
    let tomorrow = (today + TimeDelta::days(1)).format("%Y-%m-%d").to_string();
    for more in [&[][..], &["--no-statement"]] {
        let (told, code) = typed.types_of((&typed.day, &tomorrow), more).await;
        assert_eq!(code, 8, "{told}");
        assert!(told.contains("run it again after"), "{told}");
        assert!(!told.contains("the books agree"), "{told}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("january.csv");
    std::fs::write(&file, statement_text(&typed.desk)).unwrap();
    let line = ["--statement", file.to_str().unwrap(), "--offset", "+00:00"];
    let (told, code) = typed.types(&line).await;
    assert_eq!(code, 0, "{told}");
    // As if it had been downloaded before the period was over.
    let early = std::fs::File::options().write(true).open(&file).unwrap();
    early.set_modified((today - AGO).into()).unwrap();
    let (told, code) = typed.types(&line).await;
    assert_eq!(code, 8, "{told}");
    assert!(told.contains("statement that was made after it"), "{told}");
}

#[tokio::test]
async fn a_dry_run_asks_the_gateway_nothing() {
    let typed = Typed::start().await;
    typed.charge("one").await;
    let before = typed.desk.stage.ledger().requests().len();
    let (told, code) = typed.types(&["--dry-run", "--json"]).await;
    assert_eq!(code, 0, "{told}");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["look_ups"], &told["asks_for_statement"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(typed.desk.stage.ledger().requests().len(), before);
}

#[tokio::test]
async fn a_statement_from_the_portal_is_read_with_the_names_that_are_given() {
    let typed = Typed::start().await;
    typed.charge("one").await;
    let text = statement_text(&typed.desk).replace("paid_on", "Date paid");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("january.csv");
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let (told, code) = typed.types(&["--statement", file]).await;
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("no column `paid_on`"), "{told}");
    let named = ["--column", "paid_on=Date paid", "--offset", "+00:00"];
    let line = [&["--statement", file], &named[..]].concat();
    let (told, code) = typed.types(&line).await;
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("in the statement MYR 15.00"), "{told}");
    let scheduled = typed.desk.calls("GET", "company_statements/", &Value::Null);
    assert_eq!(
        scheduled["results"].as_array().unwrap().len(),
        1,
        "only the test's own"
    );
}

#[tokio::test]
async fn what_is_typed_wrongly_is_refused_before_anything_is_asked() {
    let typed = Typed::start().await;
    let line = [
        "holdfast",
        "reconcile",
        "--account",
        "hotel",
        "--from",
        "2020-01-01",
    ];
    let cli = Cli::try_parse_from(line.iter().chain(&["--to", "2020-01-31"])).unwrap();
    let around = Around {
        env: &typed.env,
        input: &mut std::io::empty(),
        warnings: &mut std::io::sink(),
    };
    let failure = run(cli, around, &mut Vec::new()).await.unwrap_err();
    assert_eq!(failure.exit_code(), 2);
    assert!(failure.to_string().contains("retention_days"), "{failure}");
    assert!(typed.desk.stage.ledger().requests().is_empty());
}
