//! Where events are sent, checked.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::account::TWICE;
use super::problem::Problems;
use super::secret::{MASK, Secret, in_file, quoted};
use super::sections::Written;
use crate::payment::{AccountName, Private, StateName};
use crate::store::EndpointName;
use crate::worker::outbox::{Endpoint, Schedule, Settings, SigningSecret};

/// How events are sent, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsSettings {
    keep_days: u32,
    poll_ms: u64,
    in_flight: usize,
    timeout_ms: u64,
    schedule: Schedule,
}

/// An endpoint, as written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointSettings {
    url: Option<Secret>,
    url_file: Option<PathBuf>,
    secrets: Option<Vec<Secret>>,
    secret_files: Option<Vec<PathBuf>>,
    accounts: Option<BTreeSet<String>>,
    types: Option<BTreeSet<String>>,
    timeout_ms: Option<u64>,
    enabled: Option<bool>,
}

/// Where events are sent, and how long they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsConfig {
    /// How long they are kept in the streams.
    pub keep: TimeDelta,
    /// How they are sent.
    pub outbox: Settings,
    /// To whom.
    pub endpoints: Vec<Endpoint>,
}

/// The longest time that a delivery may take.
const LONGEST_TIMEOUT_MS: u64 = 60_000;
/// The most deliveries to one endpoint at once.
const MOST_IN_FLIGHT: usize = 256;

/// Checks the sections `[events]` and `[endpoints]`.
pub(super) fn events(written: &Written, problems: &mut Problems) -> EventsConfig {
    let settings = &written.events;
    let days = settings.keep_days;
    problems.unless(
        (1..=3_650).contains(&days),
        "events.keep_days",
        days,
        || "must be 1 to 3650".to_owned(),
    );
    problems.unless(
        settings.poll_ms > 0,
        "events.poll_ms",
        settings.poll_ms,
        || "must be above 0; leave it out to have the default".to_owned(),
    );
    let in_flight = settings.in_flight;
    let fine = (1..=MOST_IN_FLIGHT).contains(&in_flight);
    problems.unless(fine, "events.in_flight", in_flight, || {
        format!("must be 1 to {MOST_IN_FLIGHT}")
    });
    timeout("events.timeout_ms", settings.timeout_ms, problems);
    schedule(&settings.schedule, problems);
    let each = written.endpoints.iter();
    let endpoints = each.filter_map(|(name, settings)| {
        let name = EndpointName::new(name)?;
        endpoint(&name, settings, written, problems)
    });
    EventsConfig {
        keep: TimeDelta::days(i64::from(days)),
        outbox: Settings {
            poll_ms: settings.poll_ms,
            in_flight,
            schedule: settings.schedule.clone(),
        },
        endpoints: endpoints.collect(),
    }
}

fn timeout(setting: &str, ms: u64, problems: &mut Problems) {
    problems.unless((1..=LONGEST_TIMEOUT_MS).contains(&ms), setting, ms, || {
        format!("must be 1 to {LONGEST_TIMEOUT_MS}; 15000 is usual")
    });
}

fn schedule(schedule: &Schedule, problems: &mut Problems) {
    let delays = &schedule.delays_ms;
    let ascending = delays.is_sorted() && delays.first().is_some_and(|first| *first > 0);
    let shown = format!("{delays:?}");
    problems.unless(ascending, "events.schedule.delays_ms", shown, || {
        "must hold one wait at least, all above 0, none shorter than the one before".to_owned()
    });
    let jitter = schedule.jitter_percent;
    problems.unless(
        jitter <= 100,
        "events.schedule.jitter_percent",
        jitter,
        || "must be 0 to 100; 10 is usual".to_owned(),
    );
}

fn endpoint(
    name: &EndpointName,
    settings: &EndpointSettings,
    written: &Written,
    problems: &mut Problems,
) -> Option<Endpoint> {
    let at = |setting: &str| format!("endpoints.{name}.{setting}");
    let url = address(settings, &at, problems);
    let secrets = secrets(settings, &at, problems);
    let timeout_ms = settings.timeout_ms.unwrap_or(written.events.timeout_ms);
    if settings.timeout_ms.is_some() {
        timeout(&at("timeout_ms"), timeout_ms, problems);
    }
    let accounts = settings.accounts.as_ref().map(|names| {
        nothing_at_all(names, &at("accounts"), problems);
        let known = |name: &&String| written.accounts.contains_key(name.as_str());
        for name in names.iter().filter(|name| !known(name)) {
            let fix = "is not configured; name accounts that are";
            problems.add(&at("accounts"), quoted(name), fix);
        }
        let names = names.iter().filter(known);
        names
            .filter_map(|name| AccountName::new(name).ok())
            .collect()
    });
    if let Some(types) = &settings.types {
        nothing_at_all(types, &at("types"), problems);
        let all = StateName::ALL.map(|state| format!("payment.{state}"));
        for kind in types.iter().filter(|kind| !all.contains(kind)) {
            let fix = format!("is no event; use some of {}", all.join(", "));
            problems.add(&at("types"), quoted(kind), fix);
        }
    }
    Some(Endpoint {
        name: name.clone(),
        url: Private::new(url?),
        secrets: secrets?,
        accounts,
        types: settings.types.clone(),
        timeout: Duration::from_millis(timeout_ms),
        enabled: settings.enabled.unwrap_or(true),
    })
}

fn nothing_at_all(names: &BTreeSet<String>, setting: &str, problems: &mut Problems) {
    problems.unless(!names.is_empty(), setting, "[]", || {
        "names none, so nothing would ever be sent; leave it out for all".to_owned()
    });
}

/// What a secret can be read over the shoulder from is never quoted.
fn address(
    settings: &EndpointSettings,
    at: &impl Fn(&str) -> String,
    problems: &mut Problems,
) -> Option<String> {
    let text = match (&settings.url, &settings.url_file) {
        (Some(_), Some(_)) => {
            problems.add(&at("url"), MASK, TWICE);
            return None;
        }
        (None, None) => {
            let fix = "is missing; it says where events are posted to, or url_file does";
            problems.add(&at("url"), "", fix);
            return None;
        }
        (Some(url), None) => url.reveal().to_owned(),
        (None, Some(file)) => in_file(file, &at("url_file"), problems)?,
    };
    let text = text.trim();
    match check_address(text) {
        Ok(()) => Some(text.to_owned()),
        Err(fix) => {
            problems.add(&at("url"), MASK, fix);
            None
        }
    }
}

fn check_address(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text).map_err(|_| "is no address; write https://host/path")?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("must have no user, password or fragment");
    }
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => return Err("has no host; write https://host/path"),
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if here => Ok(()),
        "http" => Err("must be https; plain http is only for this machine"),
        _ => Err("must begin with https://"),
    }
}

fn secrets(
    settings: &EndpointSettings,
    at: &impl Fn(&str) -> String,
    problems: &mut Problems,
) -> Option<Vec<SigningSecret>> {
    let fix =
        "must be whsec_ and 24 to 64 bytes in base64; `holdfast endpoints new-secret` makes one";
    let mut found = Vec::new();
    let mut fine = true;
    let mut read = |text: &str, setting: &str, problems: &mut Problems| {
        let secret = SigningSecret::parse(text.trim());
        problems.unless(secret.is_some(), &at(setting), MASK, || fix.to_owned());
        fine &= secret.is_some();
        found.extend(secret);
    };
    for secret in settings.secrets.iter().flatten() {
        read(secret.reveal(), "secrets", problems);
    }
    for file in settings.secret_files.iter().flatten() {
        let text = in_file(file, &at("secret_files"), problems)?;
        read(&text, "secret_files", problems);
    }
    if found.is_empty() && fine {
        problems.add(
            &at("secrets"),
            "",
            "is missing, so nobody could tell our events from others; name secret_files, or set it \
             in the environment",
        );
    }
    (!found.is_empty() && fine).then_some(found)
}
