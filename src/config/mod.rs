//! Settings: defaults, file, environment; checked once.
//!
//! | file | what |
//! |---|---|
//! | `config/default.toml` | every setting, its unit, its reason, its default |
//! | `config/declines.toml` | what the gateway's transaction codes ask for |
//! | `layers` | defaults, file, environment: one over the other |
//! | `sections` | the settings as they are written |
//! | `read` | from a tree of values to types; unknown names, secrets in the wrong place |
//! | `check` | what no single setting can tell: all problems at once |
//! | `callers` | who may ask, as far as it can be read when something else is wrong |
//! | `exchange`, `current` | what can be exchanged while a worker runs, and how it is |
//! | `api`, `intake` | who may ask, over HTTP and by pushing to Redis, and how they are served |
//! | `events` | where events are sent |
//! | `account`, `wiring` | the accounts, and what the other modules are given |
//! | `probed` | what was measured of the gateway, held against the settings |
//! | `secret`, `problem` | what is never shown; what is wrong |

mod account;
mod api;
mod callers;
mod check;
mod current;
mod events;
mod exchange;
mod intake;
mod layers;
mod probed;
mod problem;
mod read;
mod secret;
mod sections;
mod wiring;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

pub use account::Account;
pub use api::ApiConfig;
pub use callers::{Callers, Wrong};
pub use current::Current;
pub use events::EventsConfig;
pub use intake::IntakeConfig;
pub use layers::{DEFAULTS, Origin};
pub use problem::{Problem, Problems};
pub use secret::{MASK, Secret};
pub use sections::{Gateway, Http, Log, LogFormat, Mode, PolicySettings, Redis, Worker};
pub use wiring::declines;

use crate::payment::AccountName;
use layers::Layers;
use sections::Written;

/// The settings, checked. There is no other way to make one than [`Config::load`] and
/// [`Config::read`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// How the queue runs.
    pub worker: Worker,
    /// Where payments are kept.
    pub redis: Redis,
    /// How the gateway is called.
    pub gateway: Gateway,
    /// Where HTTP is listened for, if it is.
    pub listen: Option<SocketAddr>,
    /// How HTTP is listened for.
    pub http: Http,
    /// How producers and operators are served.
    pub api: ApiConfig,
    /// How what is pushed to Redis is taken.
    pub intake: IntakeConfig,
    /// How payments are decided.
    pub policy: PolicySettings,
    /// What is logged.
    pub log: Log,
    /// Where events are sent, and how long they are kept.
    pub events: EventsConfig,
    /// Under which keys and brands.
    pub accounts: BTreeMap<AccountName, Account>,
    /// Every setting in effect, for people.
    pub settings: Vec<Setting>,
}

/// One setting in effect. Secrets are masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its path, such as `worker.lease_ms`.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

impl Config {
    /// Reads the defaults, the file at `path` and the variables `env`, and checks everything
    /// together. All problems are reported at once.
    pub fn load(
        path: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        Self::load_anew(path, env).map_err(|wrong| wrong.problems)
    }

    /// The same with the text of a file, which problems call `name`.
    pub fn read(
        name: &str,
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        Self::read_anew(name, text, env).map_err(|wrong| wrong.problems)
    }

    /// The same as [`Config::load`] for a process that runs with settings already, and has to know
    /// who may still ask, whatever is wrong.
    pub fn load_anew(
        path: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Wrong> {
        match path {
            None => Self::read_anew("", "", env),
            Some(path) => {
                let text = layers::read_file(path)?;
                Self::read_anew(&path.display().to_string(), &text, env)
            }
        }
    }

    /// The same with the text of a file, which problems call `name`.
    pub fn read_anew(
        name: &str,
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Wrong> {
        let layers = Layers::read((name, text), env).map_err(|problems| {
            // A variable that can be put nowhere keeps no key valid that the file lists no more.
            let file = Layers::read((name, text), []);
            let callers =
                file.map_or_else(|_| Callers::default(), |file| Callers::of(&file.merged));
            Wrong { problems, callers }
        })?;
        Self::of(&layers).map_err(|problems| Wrong {
            problems,
            callers: Callers::of(&layers.merged),
        })
    }

    fn of(layers: &Layers) -> Result<Self, Problems> {
        let mut problems = Problems(Vec::new());
        let mut tree = layers.merged.clone();
        read::refuse_names(&mut tree, &mut problems);
        read::refuse_unknown(&mut tree, &layers.known, &mut problems);
        read::refuse_secrets_in_file(&mut tree, layers, &mut problems);
        read::take_in_redis_url(&mut tree, layers, &mut problems);
        let settings = read::shown(&tree, layers);
        let written = read::typed(tree, &layers.known, &mut problems)?;
        // Of a list of which an entry cannot be read, nothing is left.
        let whole = |setting: &str| setting.split('[').next().map(str::to_owned);
        let spoiled = problems.0.iter().filter_map(|p| whole(&p.setting));
        let spoiled: Vec<String> = spoiled.collect();

        let mut found = Problems(Vec::new());
        check::check(&written, &mut found);
        let listen = check::address("http.listen", &written.http.listen, &mut found);
        let api = api::api(&written, &mut found);
        let events = events::events(&written, &mut found);
        let intake = intake::intake(&written, &mut found);
        let accounts = account::accounts(&written, &mut found);
        // A setting that could not be read was replaced to find the other problems.
        problems.0.extend(
            found
                .0
                .into_iter()
                .filter(|p| !spoiled.contains(&p.setting)),
        );
        if !problems.0.is_empty() {
            return Err(problems);
        }
        let Written {
            worker,
            redis,
            gateway,
            http,
            policy,
            log,
            ..
        } = written;
        Ok(Self {
            worker,
            redis,
            gateway,
            listen,
            http,
            api,
            intake,
            policy,
            log,
            events,
            accounts,
            settings,
        })
    }

    /// A worker without an account has nothing to do, which is never what was meant.
    pub fn require_accounts(&self) -> Result<(), Problems> {
        if self.accounts.is_empty() {
            let fix = "there is none; add a section such as [accounts.hotel] with mode and \
                       brand_id, and the key as HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY";
            return Err(Problems::one("accounts", "", fix));
        }
        Ok(())
    }

    /// A worker begins with somebody who may ask. One that runs is left without when the last key
    /// is taken away: then nobody is let in.
    pub fn require_callers(&self) -> Result<(), Problems> {
        let mut problems = Problems(Vec::new());
        self.api.has_callers(self.redis.durability, &mut problems);
        self.intake.has_callers(&mut problems);
        if problems.0.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }
}

/// Why `name` is refused, and which accounts there are.
pub fn unknown_account<'a>(
    name: &AccountName,
    known: impl Iterator<Item = &'a AccountName>,
) -> String {
    let known: Vec<&str> = known.map(AccountName::as_str).collect();
    let known = if known.is_empty() {
        "none is".to_owned()
    } else {
        known.join(", ")
    };
    format!("{name} is not configured; use one of: {known}, or add [accounts.{name}]")
}
