//! The same, from a terminal.
//!
//! | file | what |
//! |---|---|
//! | `args`, `enqueue` | what can be typed |
//! | `request` | from flags to the JSON that every producer sends |
//! | `desk` | what producers and operators do, over any store |
//! | `commands` | commands on payments, and what the answers mean |
//! | `card` | what is known of a saved card, and wanted of it |
//! | `view` | a payment, for people and for programs |
//! | `resolve` | parked payments that people settle |
//! | `plans` | reruns of many payments, planned and applied |
//! | `quarantine`, `fix` | what was pushed and refused; and corrected |
//! | `audit` | who asked for what, and whether anybody changed that |
//! | `switches`, `workers` | stop and go; which workers are running |
//! | `worker`, `serving` | everything that runs in one worker process; what it serves over HTTP |
//! | `parts` | those of a worker: one that ends is noticed; their connections to Redis |
//! | `housekeeping` | what it does now and then beside its work |
//! | `reload` | accounts, keys, producers and endpoints, exchanged while it runs |
//! | `outgoing` | endpoints, and events that are sent to them |
//! | `key` | a new API key |
//! | `probe` | what CHIP does not document, measured on a test account |
//! | `schema` | the wire format |
//! | `health` | whether the worker of this machine is ready, or lives |
//! | `webhooks`, `key_file` | the gateway's webhooks, set up by its API; the file of a webhook's key |
//! | `doctor` | what is wrong with an installation |
//! | `completions` | for shells |
//! | `reconcile`, `compared` | whether the books agree; what is told of it |
//! | `failure` | what went wrong, as an exit code |

mod args;
mod audit;
mod card;
mod commands;
mod compared;
mod completions;
mod desk;
mod doctor;
mod enqueue;
mod failure;
mod fix;
mod health;
mod housekeeping;
mod key;
mod key_file;
mod outgoing;
mod parts;
mod plans;
mod probe;
mod quarantine;
mod reconcile;
mod reload;
mod request;
mod resolve;
mod schema;
mod serving;
mod switches;
mod view;
mod webhooks;
mod worker;
mod workers;

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

pub use args::{Cli, ConfigVerb, On, Verb};
pub use audit::AuditVerb;
pub use card::CardVerb;
pub use desk::Desk;
pub use doctor::DoctorArgs;
pub use enqueue::{
    AdoptArgs, AskArgs, AuthorizeArgs, ChargeArgs, CheckoutArgs, CommonArgs, CustomerArgs,
    EnqueueArgs, FromJson, MoneyArgs, PlanArgs, SaveCardArgs, TokenArgs,
};
pub use failure::Failure;
pub use fix::FixArgs;
pub use outgoing::{EndpointsVerb, EventsVerb, Operated, RangeArgs, Signed};
pub use plans::{MakeArgs, PlansVerb, RunArgs};
pub use probe::ProbeArgs;
pub use quarantine::{IntakeVerb, QuarantineVerb};
pub use reconcile::ReconcileArgs;
pub use request::Around;
pub use resolve::{Outcome, ResolveVerb, Said, Stated};
pub use schema::SchemaOf;
pub use switches::SwitchVerb;
pub use webhooks::WebhooksVerb;

use health::Question;

use crate::clock::Clock;
use crate::config::{Config, DEFAULTS, LogFormat, Problems};
use crate::operate::switches::{Unread, standing};
use crate::payment::AccountName;
use crate::store::Store;
use crate::store::redis::{OpenError, RedisStore};
use crate::telemetry;

/// Does what was typed. Results go to `out`.
pub async fn run(cli: Cli, mut around: Around<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let path = config_path(&cli, around.env);
    let loaded = load(path.as_deref(), around.env);
    match cli.verb {
        Verb::Config(ConfigVerb::Check) => return check(loaded, cli.json, around.warnings, out),
        Verb::Config(ConfigVerb::Defaults) if cli.json => {
            return Ok(writeln!(out, "{}", json!({ "toml": DEFAULTS }))?);
        }
        Verb::Schema { of } => return Ok(schema::print(of, out)?),
        Verb::Completions { shell } => return Ok(completions::print(shell, out)?),
        Verb::Config(ConfigVerb::Defaults) => return Ok(out.write_all(DEFAULTS.as_bytes())?),
        Verb::ApiKey { name } => return key::make(&name, cli.json, out),
        Verb::Endpoints(EndpointsVerb::NewSecret) => return outgoing::new_secret(cli.json, out),
        _ => {}
    }
    let config = loaded?;
    match cli.verb {
        Verb::Config(_) => show_settings(&config, cli.json, out),
        Verb::Health { live } => {
            let question = if live {
                Question::Lives
            } else {
                Question::IsReady
            };
            health::ask(question, config.listen, cli.json, out).await
        }
        Verb::Doctor(args) => doctor::run(&args, &config, (around.env, cli.json), out).await,
        Verb::ProbeGateway(args) => probe::run(&args, &config, &mut around, cli.json, out).await,
        Verb::Webhooks(verb) => webhooks::run(&verb, &config, (around.env, cli.json), out).await,
        Verb::Worker => {
            config.require_accounts()?;
            config.require_callers()?;
            let mut log = config.log.clone();
            if cli.json {
                log.format = LogFormat::Json;
            }
            telemetry::init(&log).map_err(|error| Failure::Other(error.to_string()))?;
            let env = around.env.to_vec();
            let again = move || Config::load_anew(path.as_deref(), env.iter().cloned());
            worker::run(&config, again).await.map_err(worker_failure)
        }
        verb => over_store(verb, &config, cli.json, &mut around, out).await,
    }
}

/// What needs the store.
async fn over_store(
    verb: Verb,
    config: &Config,
    as_json: bool,
    around: &mut Around<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let clock = &Clock::system();
    let store = &open(config, clock, &verb, as_json, around.warnings).await?;
    match verb {
        Verb::Endpoints(_) | Verb::Events(_) => {
            let operated = Operated::of(config, store, clock, as_json);
            operated.serve(verb, around.env, out).await
        }
        Verb::Intake(IntakeVerb::Quarantine(verb)) => {
            let ward = quarantine::Ward {
                store,
                clock,
                policies: &config.policies(),
                as_json,
            };
            ward.serve(verb, around.env, out).await
        }
        Verb::Audit(verb) => audit::Reader { store, as_json }.serve(verb, out).await,
        Verb::Switch(verb) => {
            let board = switches::Switchboard {
                config,
                store,
                clock,
                as_json,
            };
            board.serve(verb, around.env, out).await
        }
        Verb::Reconcile(args) => {
            let comparing = reconcile::Comparing {
                store,
                config,
                clock,
                as_json,
            };
            comparing.serve(&args, around.warnings, out).await
        }
        verb => {
            let desk = Desk {
                store,
                clock,
                policies: &config.policies(),
                as_json,
            };
            desk.serve(verb, around, out).await
        }
    }
}

/// Opens the store. What writes needs a Redis that keeps what it is told; whoever only looks needs
/// it most while it does not, and is warned.
async fn open(
    config: &Config,
    clock: &Clock,
    verb: &Verb,
    as_json: bool,
    warnings: &mut dyn Write,
) -> Result<RedisStore, Failure> {
    let settings = config.store_settings();
    let only_looks = match verb {
        Verb::Show { .. }
        | Verb::List { .. }
        | Verb::Stats
        | Verb::Audit(_)
        | Verb::Reconcile(_)
        // Whoever must stop something is not sent away because Redis falls short.
        | Verb::Switch(_)
        | Verb::Plans(PlansVerb::Stop(_))
        | Verb::Card(CardVerb::Show { .. }) => true,
        Verb::Endpoints(verb) => verb.only_looks(),
        Verb::Events(verb) => verb.only_looks(),
        Verb::Plans(verb) => verb.only_looks(),
        Verb::Intake(IntakeVerb::Quarantine(verb)) => matches!(
            verb,
            QuarantineVerb::List { .. } | QuarantineVerb::Show { .. }
        ),
        _ => false,
    };
    if !only_looks {
        return Ok(RedisStore::connect(settings, clock.clone()).await?);
    }
    let store = RedisStore::connect_for_reading(settings, clock.clone()).await?;
    let mut warn = |kind: &str, text: String| {
        if as_json {
            let told = json!({"warning": {"kind": kind, "message": text}});
            writeln!(warnings, "{told}")
        } else {
            writeln!(warnings, "warning: {text}")
        }
    };
    if let Err(lack) = store.durability() {
        warn("durability", lack.to_string())?;
    }
    if let Verb::Stats = verb {
        for (kind, text) in outgoing::trouble(config, &store).await? {
            warn(kind, text)?;
        }
        for (kind, text) in quarantine::waiting(&store).await? {
            warn(kind, text)?;
        }
        for text in standing(&store, clock, (&|_| true, Unread::Named)).await? {
            warn("stopped", text)?;
        }
    }
    Ok(store)
}

/// The configuration file that was named, or that the environment names.
fn config_path(cli: &Cli, env: &[(String, String)]) -> Option<PathBuf> {
    cli.config.clone().or_else(|| {
        let named = env.iter().find(|(name, _)| name == "HOLDFAST_CONFIG");
        named.map(|(_, path)| PathBuf::from(path))
    })
}

fn load(path: Option<&Path>, env: &[(String, String)]) -> Result<Config, Problems> {
    Config::load(path, env.iter().cloned())
}

fn check(
    loaded: Result<Config, Problems>,
    as_json: bool,
    warnings: &mut dyn Write,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let loaded = loaded.and_then(|config| config.require_callers().map(|()| config));
    let problems = match &loaded {
        Ok(_) => &[][..],
        Err(problems) => &problems.0,
    };
    let now = Clock::system().now();
    let doubts = loaded.as_ref().map(|config| config.doubts(now));
    let doubts = doubts.unwrap_or_default();
    if as_json {
        let told = json!({ "problems": problems, "warnings": doubts });
        writeln!(out, "{told}")?;
    }
    let config = loaded?;
    if !as_json {
        for doubt in &doubts {
            writeln!(warnings, "warning: {doubt}")?;
        }
    }
    if !as_json {
        let names: Vec<&str> = config.accounts.keys().map(AccountName::as_str).collect();
        let accounts = match names[..] {
            [] => "no account yet: a worker needs one".to_owned(),
            _ => format!("accounts: {}", names.join(", ")),
        };
        let durability = config.redis.durability.as_str();
        writeln!(
            out,
            "the settings are fine; {accounts}; durability {durability}"
        )?;
    }
    Ok(())
}

/// Every setting on a line of its own, which together are TOML.
fn show_settings(config: &Config, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if as_json {
        return Ok(writeln!(out, "{}", json!({ "settings": config.settings }))?);
    }
    for setting in &config.settings {
        let origin = json!(setting.origin);
        let origin = origin.as_str().unwrap_or_default();
        writeln!(out, "{} = {}  # {origin}", setting.name, setting.value)?;
    }
    Ok(())
}

fn worker_failure(error: anyhow::Error) -> Failure {
    match error.downcast::<Problems>() {
        Ok(problems) => problems.into(),
        Err(error) => match error.downcast::<OpenError>() {
            Ok(error) => error.into(),
            Err(error) => Failure::Other(format!("{error:#}")),
        },
    }
}
