//! `holdfast probe-gateway` against the sandbox with each behaviour switched both ways: the verdicts tell
//! them apart, and the ledger says what was done for it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use chip_sandbox::{
    Behaviour, ChargeOnSkipCapture, DEFAULT_BRAND_ID, Effect, MovementKind, Operation, Rule,
    Sandbox,
};
use chrono::TimeDelta;
use clap::Parser;
use holdfast::cli::{Around, Cli, run};
use holdfast::clock::Clock;
use holdfast::config::Config;
use holdfast::gateway::{AccountConfig, ChipGateway, NoTestAccount, TestAccount};
use holdfast::operate::probe::{
    Manner, Pace, ProbeError, ProbeReport, Question, Verdict, Wish, measure,
};
use holdfast::payment::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stage::{self, KEY, account, account_at, sandbox_config, start_time};

const LIVE_KEY: &str = "sandbox-live-key";
/// How long a charge takes where it must be met while it is under way: real time.
const SLOW_MS: u64 = 300;
const ROUNDS: u32 = 3;

/// A gateway, and whoever waits for it moves the time.
struct Bench {
    sandbox: Sandbox,
    clock: Clock,
}

impl Pace for Bench {
    async fn wait(&self, time: Duration) {
        self.sandbox.advance(time);
        self.clock.advance(TimeDelta::from_std(time).unwrap());
    }
}

impl Bench {
    async fn behaving(change: impl FnOnce(&mut Behaviour)) -> Self {
        let mut config = sandbox_config();
        config.accounts[0].live_key = Some(LIVE_KEY.to_owned());
        let sandbox = Sandbox::start(config).await.unwrap();
        sandbox.set_behaviour(change);
        Self {
            sandbox,
            clock: Clock::manual(start_time()),
        }
    }

    fn account(&self) -> TestAccount {
        let config = account_at(&self.sandbox.base_url());
        TestAccount::of(client(config, &self.clock), &account()).unwrap()
    }

    async fn measure(&self, wish: &Wish) -> Result<ProbeReport, ProbeError> {
        let measured = measure(&self.account(), wish, &self.clock, self, |_| ()).await?;
        assert_eq!(measured.broken_off, None);
        Ok(measured.report)
    }

    async fn ask(&self, question: Question) -> ProbeReport {
        self.measure(&only(question)).await.unwrap()
    }

    fn arrived(&self, operation: Operation) -> u64 {
        self.sandbox.ledger().counts(operation).arrived
    }

    /// How often money moved in this manner, whatever for.
    fn moved(&self, kind: MovementKind) -> usize {
        let ledger = self.sandbox.ledger();
        let moved = ledger.movements().iter().filter(|it| it.kind == kind);
        moved.count()
    }
}

fn client(config: AccountConfig, clock: &Clock) -> ChipGateway {
    stage::gateway_of(config, clock, 10_000)
}

fn only(question: Question) -> Wish {
    Wish {
        questions: vec![question],
        rounds: ROUNDS,
        token: None,
    }
}

/// Asks one question of a gateway that behaves so, and asserts the verdict. Nothing may stay reserved,
/// and no more taken than what one refund cannot give back.
async fn shows(
    question: Question,
    change: impl FnOnce(&mut Behaviour),
    manner: Manner,
) -> (Bench, ProbeReport) {
    let bench = Bench::behaving(change).await;
    let report = bench.ask(question).await;
    let found = &report.findings[0];
    assert_eq!(found.verdict, Verdict::Always(manner), "{found:?}");
    assert!(found.not_measured.is_empty(), "{found:?}");
    let released = bench.moved(MovementKind::Release);
    assert_eq!(bench.moved(MovementKind::Hold), released, "{question:?}");
    let kept = bench.moved(MovementKind::Charge) - bench.moved(MovementKind::Refund);
    assert_eq!(
        kept,
        usize::try_from(report.purchases.left_behind).unwrap(),
        "{report:?}"
    );
    assert_eq!(
        bench.arrived(Operation::DeleteToken),
        u64::from(question != Question::KeyOnCreate)
    );
    (bench, report)
}

#[tokio::test]
async fn charges_at_the_same_time_are_told_apart() {
    let slow = |serialises: bool| {
        move |it: &mut Behaviour| {
            it.charge_ms = SLOW_MS;
            it.serialises_charges = serialises;
        }
    };
    let asked = Question::ConcurrentCharges;
    let (bench, report) = shows(asked, slow(true), Manner::OneTaken).await;
    assert_eq!(bench.moved(MovementKind::Charge), 3);
    assert_eq!(bench.arrived(Operation::Charge), 6);
    assert_eq!(report.against_sending_again(), None);
    assert_eq!(report.gateway, bench.sandbox.origin());
    let (bench, report) = shows(asked, slow(false), Manner::BothTaken).await;
    assert_eq!(bench.moved(MovementKind::Charge), 6);
    assert_eq!(report.purchases.left_behind, 3, "one refund gives back one");
    assert!(report.against_sending_again().is_some());
}

#[tokio::test]
async fn a_cancel_under_a_charge_is_told_apart() {
    let racing = |races: bool| {
        move |it: &mut Behaviour| {
            it.charge_ms = SLOW_MS;
            it.cancel_races_charge = races;
        }
    };
    let asked = Question::CancelUnderCharge;
    shows(asked, racing(false), Manner::CancelRefused).await;
    let (bench, _) = shows(asked, racing(true), Manner::CancelledAndCharged).await;
    assert_eq!(bench.moved(MovementKind::Charge), 3);
    assert_eq!(
        bench.sandbox.ledger().counts(Operation::Cancel).committed,
        3
    );
}

#[tokio::test]
async fn a_charge_after_the_due_time_is_told_apart() {
    for (may, manner) in [
        (false, Manner::RefusedAfterDue),
        (true, Manner::ChargedAfterDue),
    ] {
        let asked = Question::ChargeAfterDue;
        let (bench, _) = shows(asked, |it| it.charges_expired = may, manner).await;
        assert_eq!(bench.moved(MovementKind::Charge), 2 * usize::from(may));
    }
}

#[tokio::test]
async fn what_an_idempotency_key_does_is_told_apart() {
    for (honours, manner) in [(false, Manner::KeyIgnored), (true, Manner::KeyHonoured)] {
        let set = |it: &mut Behaviour| it.honours_idempotency_keys = honours;
        let (bench, report) = shows(Question::KeyOnCreate, set, manner).await;
        let made = if honours { 2 } else { 4 };
        let there = bench.sandbox.with(|it, _| it.purchase_count());
        assert_eq!(u32::try_from(there), Ok(made));
        assert_eq!(report.purchases.made, made);
        assert_eq!(report.purchases.cancelled, made);
        let (bench, _) = shows(Question::KeyOnCharge, set, manner).await;
        assert_eq!(bench.arrived(Operation::Charge), 4);
        assert_eq!(bench.moved(MovementKind::Charge), 2);
    }
}

#[tokio::test]
async fn a_charge_with_skip_capture_is_told_apart() {
    for (behaves, manner) in [
        (ChargeOnSkipCapture::Hold, Manner::ChargeHolds),
        (ChargeOnSkipCapture::Paid, Manner::ChargeTakes),
        (ChargeOnSkipCapture::Refused, Manner::ChargeRefused),
    ] {
        let asked = Question::ChargeWithSkipCapture;
        shows(asked, |it| it.charge_on_skip_capture = behaves, manner).await;
    }
}

#[tokio::test]
async fn a_charge_after_a_decline_is_told_apart() {
    for (may, manner) in [
        (true, Manner::ChargedAfterError),
        (false, Manner::RefusedAfterError),
    ] {
        let asked = Question::ChargeAfterError;
        let (bench, _) = shows(asked, |it| it.charges_after_error = may, manner).await;
        assert_eq!(bench.moved(MovementKind::Charge), 2 * usize::from(may));
    }
}

#[tokio::test]
async fn old_answers_are_told_from_present_ones() {
    shows(Question::StaleLookUps, |_| (), Manner::Fresh).await;
    let bench = Bench::behaving(|_| ()).await;
    bench
        .sandbox
        .add_fault(Rule::on(Operation::Retrieve, Effect::StaleBy(600)));
    let report = bench.ask(Question::StaleLookUps).await;
    let found = &report.findings[0];
    assert_eq!(found.verdict, Verdict::Always(Manner::Stale), "{found:?}");
    assert_eq!(
        report.purchases.left_behind, 0,
        "old answers are waited for"
    );
    assert_eq!(bench.moved(MovementKind::Refund), 2);
}

#[tokio::test]
async fn old_answers_spoil_no_other_verdict() {
    let bench = Bench::behaving(|it| {
        it.charge_ms = SLOW_MS;
        it.serialises_charges = false;
    })
    .await;
    bench
        .sandbox
        .add_fault(Rule::on(Operation::Retrieve, Effect::StaleBy(600)));
    let report = bench.ask(Question::ConcurrentCharges).await;
    let found = &report.findings[0];
    assert_eq!(
        found.verdict,
        Verdict::Always(Manner::BothTaken),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_live_object_stops_everything_before_any_charge() {
    let bench = Bench::behaving(|_| ()).await;
    let config = AccountConfig {
        secret_key: Private::new(LIVE_KEY.to_owned()),
        ..account_at(&bench.sandbox.base_url())
    };
    let live = TestAccount::of(client(config, &bench.clock), &account()).unwrap();
    let token = CardToken::new(bench.sandbox.save_card("payer@test.example").to_string()).unwrap();
    for token in [None, Some(token)] {
        let before = bench.sandbox.ledger().requests().len();
        let wish = Wish {
            questions: Question::ALL.to_vec(),
            rounds: ROUNDS,
            token,
        };
        let told = measure(&live, &wish, &bench.clock, &bench, |_| ()).await;
        assert_eq!(told, Err(ProbeError::NotTest));
        let asked = bench.sandbox.ledger().requests()[before..].to_vec();
        let asked: Vec<Operation> = asked.iter().map(|row| row.operation).collect();
        assert_eq!(asked, [Operation::Create]);
    }
}

#[tokio::test]
async fn without_a_card_it_says_so_and_guesses_nothing() {
    let bench = Bench::behaving(|it| it.offers_direct_post = false).await;
    let wish = Wish {
        questions: vec![Question::KeyOnCreate, Question::ConcurrentCharges],
        rounds: ROUNDS,
        token: None,
    };
    let report = bench.measure(&wish).await.unwrap();
    let word = |question| report.verdict(question).unwrap().word();
    assert_eq!(word(Question::KeyOnCreate), "key_ignored");
    assert_eq!(word(Question::ConcurrentCharges), "not_measured");
    let whys = &report.findings[1].not_measured;
    assert!(whys[0].contains("Direct Post"), "{whys:?}");
    assert_eq!(bench.arrived(Operation::Charge), 0);

    // Where nothing at all can be said there is no report.
    let told = bench.measure(&only(Question::KeyOnCharge)).await;
    assert!(matches!(told, Err(ProbeError::Nothing(why)) if why.contains("Direct Post")));

    let token = bench.sandbox.save_card("payer@test.example").to_string();
    let wish = Wish {
        token: Some(CardToken::new(token).unwrap()),
        ..only(Question::KeyOnCharge)
    };
    let report = bench.measure(&wish).await.unwrap();
    assert_eq!(report.findings[0].verdict.word(), "key_ignored");
    assert_eq!(bench.arrived(Operation::DeleteToken), 0, "it is not ours");
}

#[tokio::test]
async fn an_answer_that_was_lost_says_nothing_and_is_given_back() {
    let bench = Bench::behaving(|_| ()).await;
    bench
        .sandbox
        .add_fault(Rule::on(Operation::Charge, Effect::reset_after_commit()).nth(1));
    let report = bench.ask(Question::KeyOnCharge).await;
    let found = &report.findings[0];
    assert_eq!(
        (found.observed.len(), found.not_measured.len()),
        (1, 1),
        "{found:?}"
    );
    assert_eq!(bench.moved(MovementKind::Charge), 2);
    assert_eq!(bench.moved(MovementKind::Refund), 2);
}

#[tokio::test]
async fn a_report_names_no_purchase_and_no_token() {
    let bench = Bench::behaving(|it| it.charge_ms = 20).await;
    let wish = Wish {
        questions: Question::ALL.to_vec(),
        rounds: 1,
        token: None,
    };
    let report = serde_json::to_string(&bench.measure(&wish).await.unwrap()).unwrap();
    let ledger = bench.sandbox.ledger();
    let ids = ledger.requests().iter().filter_map(|row| row.purchase_id);
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    assert!(ids.len() > 20, "{}", ids.len());
    // Which gateway it was stands there, and no other address.
    let origin = bench.sandbox.origin();
    assert_eq!(report.matches("://").count(), 1, "{report}");
    assert!(report.contains(&format!("\"{origin}\"")), "{report}");
    for word in ids
        .iter()
        .map(String::as_str)
        .chain([KEY, "4444333322221111"])
    {
        assert!(!report.contains(word), "{word} in {report}");
    }
}

/// The command line, in a folder of its own.
struct Shop {
    folder: TempDir,
    settings: String,
}

impl Shop {
    fn with(mode: &str, base_url: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            settings: format!(
                "[api]\nlisten = \"\"\n[accounts.hotel]\nmode = \"{mode}\"\nbrand_id = \"{DEFAULT_BRAND_ID}\"\n\
                 base_url = \"{base_url}\"\n"
            ),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn env() -> [(String, String); 1] {
        let name = "HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY";
        [(name.to_owned(), KEY.to_owned())]
    }

    /// What is answered and warned of, or the exit code and what is told.
    async fn types(&self, line: &[&str]) -> Result<(Value, String), (u8, String)> {
        std::fs::write(self.file("holdfast.toml"), &self.settings).unwrap();
        let config = self.file("holdfast.toml").display().to_string();
        let before = ["holdfast", "--json", "--config", &config];
        let cli = Cli::try_parse_from(before.iter().chain(line)).unwrap();
        let (mut out, mut warnings) = (Vec::new(), Vec::new());
        let env = Self::env();
        let around = Around {
            env: &env,
            input: &mut std::io::empty(),
            warnings: &mut warnings,
        };
        match run(cli, around, &mut out).await {
            Ok(()) => Ok((
                serde_json::from_slice(&out).unwrap(),
                String::from_utf8(warnings).unwrap(),
            )),
            Err(failure) => Err((failure.exit_code(), failure.to_string())),
        }
    }

    async fn probes(&self, more: &[&str]) -> Result<(Value, String), (u8, String)> {
        let out = self.file("report.json").display().to_string();
        let line = ["probe-gateway", "--account", "hotel", "--out", &out];
        self.types(&[&line, more].concat()).await
    }

    /// The settings with more lines about the account.
    fn loaded(&self, more: &str) -> Result<Config, String> {
        let text = format!("{}{more}\n", self.settings);
        Config::read("holdfast.toml", &text, Self::env()).map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn a_live_account_is_refused_before_any_call() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let base_url = format!("https://{}/api/v1/", listener.local_addr().unwrap());
    let shop = Shop::with("live", &base_url);
    let (code, told) = shop.probes(&[]).await.unwrap_err();
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("mode is live"), "{told}");
    assert!(!shop.file("report.json").exists());
    let nobody = listener.accept().map(|_| ()).unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);

    let config = AccountConfig {
        test: false,
        ..account_at(&base_url)
    };
    let opened = TestAccount::of(client(config, &Clock::manual(start_time())), &account());
    assert_eq!(opened.map(|_| ()), Err(NoTestAccount::Live));
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_sent_and_sends_nothing() {
    let sandbox = Sandbox::start(sandbox_config()).await.unwrap();
    let shop = Shop::with("test", &sandbox.base_url());
    let (plan, _) = shop.probes(&["--dry-run", "--rounds", "3"]).await.unwrap();
    assert_eq!(plan["purchases"], 1 + 3 + 3 + 2 + 4 + 2 + 2 + 2 + 2);
    assert_eq!(plan["questions"].as_array().unwrap().len(), 8);
    assert_eq!(sandbox.ledger().requests().len(), 0);
    assert!(!shop.file("report.json").exists());
}

#[tokio::test]
async fn the_report_is_a_file_that_the_settings_point_to() {
    // Real time: the command waits by the clock on the wall.
    let sandbox = Sandbox::start(chip_sandbox::Config::default())
        .await
        .unwrap();
    sandbox.set_behaviour(|it| {
        it.charge_ms = SLOW_MS;
        it.serialises_charges = false;
    });
    let shop = Shop::with("test", &sandbox.base_url());
    let asked = ["--only", "concurrent_charges", "--rounds", "1"];
    std::fs::write(shop.file("report.json"), "something else").unwrap();
    let (code, told) = shop.probes(&asked).await.unwrap_err();
    assert_eq!(code, 3, "{told}");
    assert_eq!(
        sandbox.ledger().requests().len(),
        0,
        "nothing was sent for nothing"
    );
    std::fs::remove_file(shop.file("report.json")).unwrap();

    let (report, _) = shop.probes(&asked).await.unwrap();
    assert_eq!(report["findings"][0]["verdict"], "both_taken");
    let written = std::fs::read_to_string(shop.file("report.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), report);
    assert!(!shop.file("report.json.part").exists());

    let points = format!("probe_report_file = {:?}", shop.file("report.json"));
    let config = shop.loaded(&points).unwrap();
    assert_eq!(
        config.accounts[&account()].probed.as_ref().unwrap().account,
        account()
    );
    let told = shop
        .loaded(&format!("{points}\nunknown = \"resend_same\""))
        .unwrap_err();
    assert!(
        told.contains("accounts.hotel.unknown = \"resend_same\": must be \"park\""),
        "{told}"
    );
    assert!(told.contains("were both taken"), "{told}");

    // One round in which it went well is no answer: what is known stays.
    sandbox.set_behaviour(|it| it.serialises_charges = true);
    let (report, _) = shop.probes(&asked).await.unwrap();
    assert_eq!(report["findings"][0]["verdict"], "both_taken");
    let asked = ["--only", "concurrent_charges", "--rounds", "3"];
    let (report, _) = shop.probes(&asked).await.unwrap();
    assert_eq!(report["findings"][0]["verdict"], "one_taken");
    // What was asked before stays beside what is asked now.
    let (report, _) = shop.probes(&["--only", "key_on_create"]).await.unwrap();
    let words = [&report["findings"][0], &report["findings"][1]].map(|it| &it["verdict"]);
    assert_eq!(words, ["one_taken", "key_ignored"]);
    let written = std::fs::read_to_string(shop.file("report.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), report);
    let config = shop
        .loaded(&format!("{points}\nunknown = \"resend_same\""))
        .unwrap();
    let measured = config.accounts[&account()]
        .probed
        .as_ref()
        .unwrap()
        .measured_at;
    let days_later = |days| config.doubts(measured + TimeDelta::days(days));
    assert_eq!(days_later(1), [""; 0]);
    assert!(
        days_later(200)[0].contains("180 days"),
        "{:?}",
        days_later(200)
    );
}

#[tokio::test]
async fn what_was_measured_before_it_was_broken_off_is_kept() {
    let sandbox = Sandbox::start(chip_sandbox::Config::default())
        .await
        .unwrap();
    sandbox.set_behaviour(|it| {
        it.charge_ms = SLOW_MS;
        it.serialises_charges = false;
    });
    let shop = Shop::with("test", &sandbox.base_url());
    // The card, one round, and then the key is refused.
    let denied = Rule::on(Operation::Create, Effect::status_before_commit(401));
    sandbox.add_fault(denied.nth(3));
    let asked = ["--only", "concurrent_charges,key_on_create"];
    let (code, told) = shop.probes(&asked).await.unwrap_err();
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("refused the key"), "{told}");
    let written = std::fs::read_to_string(shop.file("report.json")).unwrap();
    let report = ProbeReport::read(&written).unwrap();
    assert_eq!(report.findings.len(), 1, "{report:?}");
    let both = Verdict::Always(Manner::BothTaken);
    assert_eq!(report.verdict(Question::ConcurrentCharges), Some(both));
    assert!(report.against_sending_again().is_some());
}

#[tokio::test]
async fn a_report_that_cannot_be_used_is_a_problem_and_a_weak_one_a_warning() {
    let mut shop = Shop::with("test", "http://127.0.0.1:9/api/v1/");
    let file = shop.file("gateway.report.json");
    let points = format!("probe_report_file = {file:?}");
    let told = shop.loaded(&points).unwrap_err();
    assert!(told.contains("accounts.hotel.probe_report_file"), "{told}");
    std::fs::write(&file, "{}").unwrap();
    let told = shop.loaded(&points).unwrap_err();
    assert!(told.contains("holdfast probe-gateway"), "{told}");

    let report = json!({
        "v": 1, "holdfast": "0.1.0", "account": "hotel", "mode": "test",
        "gateway": "http://127.0.0.1:9",
        "measured_at": "2020-01-01T00:00:00Z", "findings": [],
        "purchases": {"made": 0, "cancelled": 0, "released": 0, "refunded": 0, "ended": 0, "left_behind": 0},
    });
    std::fs::write(&file, report.to_string()).unwrap();
    shop.settings = format!("{}{points}\nunknown = \"resend_same\"\n", shop.settings);
    let config = shop.loaded("").unwrap();
    let doubts = config.doubts(start_time());
    assert_eq!(doubts.len(), 2, "{doubts:?}");
    assert!(doubts[0].contains("2020-01-01"), "{doubts:?}");
    assert!(doubts[1].contains("charges are serialised"), "{doubts:?}");
    let (checked, _) = shop.types(&["config", "check"]).await.unwrap();
    assert_eq!(checked["problems"], json!([]));
    assert_eq!(
        checked["warnings"],
        json!(config.doubts(Clock::system().now()))
    );
}

/// A report of a gateway whose charges were told apart in so many rounds of five.
fn report_of(gateway: &str, telling: u32) -> Value {
    let at = "2027-01-30T06:00:00Z";
    let verdict = if telling < 3 { "too_few" } else { "one_taken" };
    json!({
        "v": 1, "holdfast": "0.1.0", "account": "hotel", "mode": "test", "gateway": gateway,
        "measured_at": at,
        "findings": [{
            "question": "concurrent_charges", "measured_at": at, "asked": "", "verdict": verdict,
            "rounds": {"one_taken": telling}, "of_rounds": 5, "observed": [], "not_measured": [],
            "means": "",
        }],
        "purchases": {"made": 5, "cancelled": 0, "released": 0, "refunded": 5, "ended": 0,
            "left_behind": 0},
    })
}

#[tokio::test]
async fn a_report_of_another_gateway_or_of_too_few_rounds_is_nothing_to_send_again_by() {
    let mut shop = Shop::with("test", "http://127.0.0.1:9/api/v1/");
    let file = shop.file("gateway.report.json");
    let points = format!("probe_report_file = {file:?}\nunknown = \"resend_same\"\n");
    shop.settings.push_str(&points);
    let doubts = |gateway: &str, telling| {
        std::fs::write(&file, report_of(gateway, telling).to_string()).unwrap();
        shop.loaded("").unwrap().doubts(start_time())
    };
    assert_eq!(doubts("http://127.0.0.1:9", 3), [""; 0]);
    let told = doubts("http://127.0.0.1:9", 1);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("charges are serialised"), "{told:?}");
    let told = doubts("https://sandbox.example", 5);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("measured at https://sandbox.example"),
        "{told:?}"
    );
    assert!(told[1].contains("charges are serialised"), "{told:?}");
}

#[tokio::test]
async fn a_report_of_another_account_or_gateway_is_not_written_over() {
    let sandbox = Sandbox::start(chip_sandbox::Config::default())
        .await
        .unwrap();
    let shop = Shop::with("test", &sandbox.base_url());
    let mut of_another = report_of(&sandbox.origin(), 3);
    of_another["account"] = json!("shop");
    for there in [report_of("https://sandbox.example", 3), of_another] {
        std::fs::write(shop.file("report.json"), there.to_string()).unwrap();
        let (code, told) = shop.probes(&["--only", "key_on_create"]).await.unwrap_err();
        assert_eq!(code, 3, "{told}");
        assert!(told.contains("another account or gateway"), "{told}");
        let kept = std::fs::read_to_string(shop.file("report.json")).unwrap();
        assert_eq!(kept, there.to_string());
    }
    assert_eq!(sandbox.ledger().requests().len(), 0);
}
