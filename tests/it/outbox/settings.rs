//! Promises of the settings of endpoints.

use holdfast::config::{Config, Problems};

use super::*;

const CANARY: &str = "https://canary.example/hooks/c4n4ry";

fn load(file: &str, env: &[(&str, &str)]) -> Result<Config, Problems> {
    let account = "[accounts.hotel]\nmode = \"test\"\n\
        brand_id = \"409eb80e-3782-4b1d-afa8-b779759266a5\"\n";
    let mut given = vec![("HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY", "key")];
    given.extend(env);
    let env = given
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Config::read("holdfast.toml", &format!("{account}{file}"), env)
}

const SECRETS: (&str, &str) = ("HOLDFAST__ENDPOINTS__SHOP__SECRETS", SECRET);

#[track_caller]
fn refused(file: &str, env: &[(&str, &str)], setting: &str, word: &str) {
    let problems = load(file, env).expect_err("it was taken").0;
    let told = problems.iter().find(|problem| problem.setting == setting);
    let told = told.unwrap_or_else(|| panic!("{setting} is not refused: {problems:?}"));
    assert!(told.to_string().contains(word), "{told}");
    assert!(!told.to_string().contains("c4n4ry"), "{told}");
}

#[test]
fn an_endpoint_is_read_from_file_and_environment() {
    let file = format!(
        "[endpoints.shop-a]\nurl = \"{CANARY}\"\naccounts = [\"hotel\"]\n\
         types = [\"payment.held\", \"payment.paid\"]\ntimeout_ms = 3000\n"
    );
    let both = format!("{SECRET},{OTHER_SECRET}");
    let config = load(&file, &[("HOLDFAST__ENDPOINTS__SHOP_A__SECRETS", &both)]);
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    let [shop] = &config.events.endpoints[..] else {
        panic!("{:?}", config.events);
    };
    assert_eq!(shop.name.as_str(), "shop-a");
    assert_eq!(shop.url.reveal(), CANARY);
    assert_eq!(shop.secrets.len(), 2);
    assert_eq!(shop.timeout, Duration::from_secs(3));
    assert!(shop.enabled);
    let shown = format!(
        "{config:?} {}",
        serde_json::to_string(&config.settings).unwrap()
    );
    for secret in ["c4n4ry", "canary.example", &SECRET[6..], &OTHER_SECRET[6..]] {
        assert!(!shown.contains(secret), "{secret} is shown: {shown}");
    }
}

#[test]
fn an_endpoint_that_would_send_in_the_clear_or_unsigned_is_refused() {
    let at = |url: &str| format!("[endpoints.shop]\nurl = \"{url}\"\n");
    let url = "endpoints.shop.url";
    refused(&at("http://shop.example/c4n4ry"), &[SECRETS], url, "https");
    refused(
        &at("https://c4n4ry:b@shop.example/"),
        &[SECRETS],
        url,
        "user",
    );
    refused(&at("ftp://shop.example/c4n4ry"), &[SECRETS], url, "https");
    refused(&at("c4n4ry"), &[SECRETS], url, "no address");
    refused("[endpoints.shop]\n", &[SECRETS], url, "missing");
    for near in [
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://[::1]:1/",
    ] {
        assert!(load(&at(near), &[SECRETS]).is_ok(), "{near}");
    }
    refused(&at(CANARY), &[], "endpoints.shop.secrets", "missing");
    let short = [("HOLDFAST__ENDPOINTS__SHOP__SECRETS", "whsec_c4n4ryAA")];
    refused(&at(CANARY), &short, "endpoints.shop.secrets", "24 to 64");
    let in_file = format!("{}secrets = [\"{SECRET}\"]\n", at(CANARY));
    refused(&in_file, &[], "endpoints.shop.secrets", "secret_files");
}

#[test]
fn an_endpoint_that_could_never_get_anything_is_refused() {
    let with = |line: &str| format!("[endpoints.shop]\nurl = \"{CANARY}\"\n{line}\n");
    for (line, setting, word) in [
        ("accounts = []", "accounts", "names none"),
        ("accounts = [\"motel\"]", "accounts", "not configured"),
        ("types = []", "types", "names none"),
        ("types = [\"payment.gone\"]", "types", "payment.held"),
        ("timeout_ms = 0", "timeout_ms", "1 to 60000"),
    ] {
        let setting = format!("endpoints.shop.{setting}");
        refused(&with(line), &[SECRETS], &setting, word);
    }
    refused("[events]\nkeep_days = 0\n", &[], "events.keep_days", "1 to");
    let backwards = "[events.schedule]\ndelays_ms = [9, 5]\n";
    refused(backwards, &[], "events.schedule.delays_ms", "shorter");
}

/// The page tells receivers what they may rely on.
#[test]
fn the_schedule_is_the_published_one() {
    let schedule = load("", &[]).unwrap().events.outbox.schedule;
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/events.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, published) = page.split_once("is retried after ").unwrap();
    let (published, _) = published.split_once('.').unwrap();
    let words: Vec<&str> = published.split_whitespace().collect();
    let words = words.join(" ").replace(" and ", ", ");
    let unit = |unit: &str| match unit {
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        other => panic!("{other}"),
    };
    let delays: Vec<u64> = words
        .split(", ")
        .map(|wait| {
            let (count, of) = wait.split_once(' ').unwrap();
            count.parse::<u64>().unwrap() * unit(of)
        })
        .collect();
    assert_eq!(schedule.delays_ms, delays);
}
