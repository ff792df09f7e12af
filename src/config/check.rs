//! What no single setting can tell: each problem names the setting, its value and the fix.

use std::net::SocketAddr;

use url::{Host, Url};

use super::problem::Problems;
use super::secret::{MASK, quoted, quoted_with};
use super::sections::{Gateway, Mode, PolicySettings, Redis, Worker, Written};
use crate::api::Limits;
use crate::payment::Ladder;
use crate::store::redis::Profile;

/// How many payments one process can usefully work on at once.
const MOST_CONCURRENCY: usize = 1024;
/// The shortest time in which a healthy Redis that is at its disk may be given up.
const SHORTEST_RESPONSE_MS: u64 = 2_000;
/// The payment methods that can hold money or save a card.
const CARDS: [&str; 3] = ["visa", "mastercard", "maestro"];

pub(super) fn check(written: &Written, problems: &mut Problems) {
    worker(&written.worker, problems);
    redis(&written.redis, problems);
    gateway(&written.gateway, problems);
    quiet(written, problems);
    policy(&written.policy, problems);
    ladders(&written.policy, problems);
    limits("http", &written.http.limits, problems);
    profile(written, problems);
    if let Err(problem) = crate::telemetry::check_filter(&written.log.filter) {
        problems.add(
            "log.filter",
            quoted_with(&written.log.filter, "=,:"),
            problem,
        );
    }
}

fn above_zero(problems: &mut Problems, section: &str, settings: &[(&str, u64)]) {
    for (name, value) in settings {
        problems.unless(*value > 0, &format!("{section}.{name}"), value, || {
            "must be above 0; leave it out to have the default".to_owned()
        });
    }
}

fn worker(worker: &Worker, problems: &mut Problems) {
    for (name, value) in [("concurrency", worker.concurrency), ("batch", worker.batch)] {
        let fine = (1..=MOST_CONCURRENCY).contains(&value);
        problems.unless(fine, &format!("worker.{name}"), value, || {
            format!("must be 1 to {MOST_CONCURRENCY}; start more processes for more")
        });
    }
    let Worker {
        lease_ms,
        renew_ms,
        poll_ms,
        shutdown_ms,
        ..
    } = *worker;
    above_zero(
        problems,
        "worker",
        &[
            ("renew_ms", renew_ms),
            ("poll_ms", poll_ms),
            ("shutdown_ms", shutdown_ms),
        ],
    );
    problems.unless(lease_ms >= renew_ms.saturating_mul(3), "worker.lease_ms", lease_ms, || {
        let least = renew_ms.saturating_mul(3);
        format!(
            "must be at least three times worker.renew_ms ({renew_ms}), so that two renewals may \
             fail; set it to {least} or more, or renew more often"
        )
    });
}

fn redis(redis: &Redis, problems: &mut Problems) {
    // What is no address may be a password that stands where the address belongs.
    let url = redis.url.reveal();
    let is_address = url::Url::parse(url)
        .is_ok_and(|url| matches!(url.scheme(), "redis" | "rediss" | "unix" | "redis+unix"));
    let shown = if is_address && !has_credentials(url) {
        url
    } else {
        MASK
    };
    if let Err(fix) = redis_url(redis.url.reveal()) {
        problems.add("redis.url", shown, fix);
    }
    let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
    problems.unless(
        word(&redis.prefix),
        "redis.prefix",
        quoted(&redis.prefix),
        || "must be letters and digits, at least one; the default is hf".to_owned(),
    );
    let response = redis.response_timeout_ms;
    problems.unless(response >= SHORTEST_RESPONSE_MS, "redis.response_timeout_ms", response, || {
        format!("must be at least {SHORTEST_RESPONSE_MS}: a healthy Redis can be at its disk so long")
    });
    above_zero(
        problems,
        "redis",
        &[
            ("connect_timeout_ms", redis.connect_timeout_ms),
            ("save_patience_ms", redis.save_patience_ms),
        ],
    );
    problems.unless(
        redis.retention_days >= 1,
        "redis.retention_days",
        redis.retention_days,
        || "must be 1 or more: a late duplicate of a forgotten payment would run again".to_owned(),
    );
}

fn redis_url(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text)
        .map_err(|_| "is no address; write redis://host:port/db or unix:///path")?;
    match url.scheme() {
        "redis" if url.host_str().is_some_and(|host| !host.is_empty()) => Ok(()),
        "redis" => Err("has no host; write redis://host:port/db"),
        "unix" | "redis+unix" => Ok(()),
        "rediss" => Err(
            "asks for TLS, which this version does not speak to Redis; use redis:// \
                         on a trusted network, or a TLS proxy beside the worker",
        ),
        _ => Err("is no address of Redis; write redis://host:port/db or unix:///path"),
    }
}

/// Whether an address of Redis holds a user or a password; what cannot be read may.
pub(super) fn has_credentials(url: &str) -> bool {
    Url::parse(url).map_or(url.contains('@'), |url| {
        // Such as `user:password@host`, whose scheme was forgotten.
        if url.cannot_be_a_base() {
            return url.path().contains('@');
        }
        let named = url
            .query_pairs()
            .any(|(name, _)| matches!(&*name, "user" | "pass"));
        !url.username().is_empty() || url.password().is_some() || named
    })
}

fn gateway(gateway: &Gateway, problems: &mut Problems) {
    let deadlines = &gateway.deadlines;
    let all = [
        ("create_ms", deadlines.create_ms),
        ("look_up_ms", deadlines.look_up_ms),
        ("charge_ms", deadlines.charge_ms),
        ("capture_ms", deadlines.capture_ms),
        ("release_ms", deadlines.release_ms),
        ("cancel_ms", deadlines.cancel_ms),
    ];
    above_zero(problems, "gateway.deadlines", &all);
    let connect = gateway.connect_timeout_ms;
    let shortest = all.into_iter().map(|(_, value)| value).min().unwrap_or(0);
    problems.unless(
        (1..shortest).contains(&connect),
        "gateway.connect_timeout_ms",
        connect,
        || format!("must be above 0 and below the shortest of gateway.deadlines ({shortest})"),
    );
    above_zero(
        problems,
        "gateway",
        &[
            ("idle_timeout_ms", gateway.idle_timeout_ms),
            ("company_key_every_ms", gateway.company_key_every_ms),
        ],
    );
    let largest = gateway.largest_answer_bytes;
    problems.unless(
        largest >= 65_536,
        "gateway.largest_answer_bytes",
        largest,
        || "must be 65536 or more: a purchase with its attempts takes some 20 kB".to_owned(),
    );
    let list = &gateway.card_whitelist;
    let cards = list.iter().all(|card| CARDS.contains(&card.as_str()));
    let shown: Vec<String> = list.iter().map(|card| quoted(card)).collect();
    problems.unless(cards, "gateway.card_whitelist", shown.join(", "), || {
        format!(
            "must be some of {}; only cards can hold money",
            CARDS.join(", ")
        )
    });
}

/// R12: whatever was sent has been answered or cut off when the quiet period ends.
fn quiet(written: &Written, problems: &mut Problems) {
    let longest = written.gateway.deadlines.longest_ms();
    let lease = written.worker.lease_ms;
    // A call may begin up to half the quiet period after its note.
    let floor = longest.saturating_add(longest.max(lease));
    let quiet = written.policy.quiet_ms;
    problems.unless(quiet > floor, "policy.quiet_ms", quiet, || {
        format!(
            "must be longer than the longest of gateway.deadlines ({longest}) and worker.lease_ms \
             ({lease}) together, and than twice that deadline; set it above {floor}, or shorten \
             the deadlines"
        )
    });
}

fn policy(policy: &PolicySettings, problems: &mut Problems) {
    above_zero(
        problems,
        "policy",
        &[
            ("parked_look_every_ms", policy.parked_look_every_ms),
            ("link_lifetime_ms", policy.link_lifetime_ms),
            ("retry_after_cap_ms", policy.retry_after_cap_ms),
            ("poison_claims", u64::from(policy.poison_claims)),
            ("expiry_margin_ms", policy.expiry_margin_ms),
        ],
    );
    hold_lifetime(
        policy.hold_lifetime_ms,
        "policy.hold_lifetime_ms",
        policy,
        problems,
    );
    let stretched = |ladder: &Ladder| {
        let sum = ladder
            .delays_ms
            .iter()
            .fold(0_u64, |sum, delay| sum.saturating_add(*delay));
        sum.saturating_add(sum / 100 * u64::from(ladder.jitter_percent))
    };
    let (lifetime, span) = (policy.purchase_lifetime_ms, stretched(&policy.business));
    problems.unless(
        lifetime > span,
        "policy.purchase_lifetime_ms",
        lifetime,
        || {
            format!(
                "must be longer than all of policy.business with its jitter ({span}), or the last \
             charges come too late; set it above that, or shorten the ladder"
            )
        },
    );
}

/// The guard must have something left to guard.
pub(super) fn hold_lifetime(ms: u64, setting: &str, policy: &PolicySettings, to: &mut Problems) {
    let margin = policy.expiry_margin_ms;
    to.unless(ms > margin, setting, ms, || {
        format!(
            "must be longer than policy.expiry_margin_ms ({margin}), or every hold is released \
                 as soon as it is there"
        )
    });
}

fn ladders(policy: &PolicySettings, problems: &mut Problems) {
    for (name, ladder) in [
        ("lookup", &policy.lookup),
        ("technical", &policy.technical),
        ("business", &policy.business),
        ("payer", &policy.payer),
    ] {
        let delays = &ladder.delays_ms;
        let setting = |field: &str| format!("policy.{name}.{field}");
        let ascending = delays.is_sorted() && delays.first().is_some_and(|first| *first > 0);
        problems.unless(
            ascending,
            &setting("delays_ms"),
            format!("{delays:?}"),
            || {
                "must hold one wait at least, all above 0, none shorter than the one before"
                    .to_owned()
            },
        );
        let jitter = ladder.jitter_percent;
        problems.unless(jitter <= 100, &setting("jitter_percent"), jitter, || {
            "must be 0 to 100; 20 is usual".to_owned()
        });
        above_zero(
            problems,
            &format!("policy.{name}"),
            &[("give_up_after_ms", ladder.give_up_after_ms)],
        );
    }
    let (give_up, quiet) = (policy.lookup.give_up_after_ms, policy.quiet_ms);
    problems.unless(give_up > quiet, "policy.lookup.give_up_after_ms", give_up, || {
        format!("must be longer than policy.quiet_ms ({quiet}): before that nothing can be concluded")
    });
}

/// How a listener is kept from being held up.
pub(super) fn limits(section: &str, limits: &Limits, problems: &mut Problems) {
    let name = |setting: &str| format!("{section}.limits.{setting}");
    problems.unless(
        limits.connections > 0,
        &name("connections"),
        limits.connections,
        || format!("must be above 0; to listen to nothing set {section}.listen to \"\""),
    );
    let (request, store) = (limits.request_timeout_ms, limits.store_timeout_ms);
    above_zero(
        problems,
        &format!("{section}.limits"),
        &[
            ("header_timeout_ms", limits.header_timeout_ms),
            ("store_timeout_ms", store),
            ("drain_timeout_ms", limits.drain_timeout_ms),
        ],
    );
    problems.unless(
        request > store,
        &name("request_timeout_ms"),
        request,
        || format!("must be longer than {section}.limits.store_timeout_ms ({store})"),
    );
}

/// Where to listen; an empty text means not at all.
pub(super) fn address(setting: &str, listen: &str, problems: &mut Problems) -> Option<SocketAddr> {
    if listen.is_empty() {
        return None;
    }
    let parsed = listen.parse().ok();
    problems.unless(parsed.is_some(), setting, quoted_with(listen, ":[]"), || {
        "must be an address and a port, such as 127.0.0.1:8080 or 0.0.0.0:8080; \"\" listens to \
         nothing"
            .to_owned()
    });
    parsed
}

/// No live key over a store that may forget, and no promise that is not kept yet.
fn profile(written: &Written, problems: &mut Problems) {
    let live = written
        .accounts
        .iter()
        .find(|(_, account)| account.mode == Mode::Live);
    let fix = match (written.redis.durability, live) {
        (Profile::Dev, Some((name, _))) => format!(
            "is for development and accounts.{name} is live; use solo (appendonly yes, appendfsync \
             always, noeviction), or a test account"
        ),
        (Profile::Replicated, _) => {
            "is not built yet; use solo on a Redis whose disk you trust".to_owned()
        }
        (Profile::Dev, None) | (Profile::Solo, _) => return,
    };
    let durability = written.redis.durability.as_str();
    problems.add("redis.durability", format!("{durability:?}"), fix);
}

/// An address that is wrong, for a report: without what may hold a secret.
pub(super) fn shown_url(text: &str) -> String {
    let plain = Url::parse(text).is_ok_and(|url| {
        let bare = url.username().is_empty() && url.password().is_none();
        bare && url.has_host() && url.query().is_none() && url.fragment().is_none()
    });
    if plain {
        format!("{text:?}")
    } else {
        quoted(text)
    }
}

/// An address of the gateway: https, or plain http to this machine for a test account.
pub(super) fn base_url(text: &str, mode: Mode) -> Result<(), &'static str> {
    let url = Url::parse(text.trim())
        .map_err(|_| "is no address; write https://gate.chip-in.asia/api/v1/")?;
    let plain = url.username().is_empty() && url.password().is_none();
    if !plain || url.query().is_some() || url.fragment().is_some() {
        return Err("must have no user, password, query or fragment");
    }
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => return Err("has no host; write https://gate.chip-in.asia/api/v1/"),
    };
    match (url.scheme(), mode) {
        ("https", _) => Ok(()),
        ("http", Mode::Test) if here => Ok(()),
        ("http", Mode::Live) => {
            Err("must be https for a live account: its key would travel in the clear")
        }
        ("http", Mode::Test) => {
            Err("must be https; plain http is only for a simulator on this machine")
        }
        _ => Err("must begin with https://"),
    }
}
