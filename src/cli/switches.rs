//! Stop and go, at a terminal.

use std::io::Write;
use std::time::Duration;

use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::commands::typist;
use super::desk::person;
use super::failure::Failure;
use super::request::parse_wait;
use super::workers::sentence;
use crate::clock::Clock;
use crate::config::Config;
use crate::operate::switches::{LetGo, Stopped, let_go, line, stop, wait_until_seen};
use crate::payment::{AccountName, Timestamp, millis, parse_time};
use crate::store::audit::Mandate;
use crate::store::redis::RedisStore;
use crate::store::switches::{Switch, SwitchName};

/// What to do about what is sent.
#[derive(Debug, Subcommand)]
pub enum SwitchVerb {
    /// Pause an account, a step or a kind of request: nothing new of it is started. Calls under way run to
    /// their end; look-ups and incoming requests continue.
    #[command(after_help = "Example: holdfast pause --account hotel --reason \"CHIP asks us to\"")]
    Pause {
        /// What.
        #[command(flatten)]
        what: Part,
        /// Why, and who asks.
        #[command(flatten)]
        said: Said,
    },
    /// Lift a pause. Payments continue within half a minute; no restart is needed.
    #[command(after_help = "Example: holdfast resume --account hotel --reason \"mended\"")]
    Resume {
        /// What.
        #[command(flatten)]
        what: Part,
        /// Which stop is meant.
        #[command(flatten)]
        meant: Meant,
        /// Why, and who asks.
        #[command(flatten)]
        said: Said,
    },
    /// Stop everything, on all workers, until `holdfast go`: nothing new is started. Calls under way run to
    /// their end.
    #[command(after_help = "Example: holdfast stop --reason \"amounts are wrong\"")]
    Stop {
        /// Why, and who asks.
        #[command(flatten)]
        said: Said,
    },
    /// Lift `holdfast stop`. What is paused stays paused.
    #[command(after_help = "Example: holdfast go --reason \"prices mended\"")]
    Go {
        /// Which stop is meant.
        #[command(flatten)]
        meant: Meant,
        /// Why, and who asks.
        #[command(flatten)]
        said: Said,
    },
    /// Drain the running workers before they are replaced: they start nothing that cannot end in the time
    /// left. Workers started later are not affected. A drain ends by itself.
    #[command(after_help = "Example: holdfast drain --within 90s --reason \"release 1.4\"")]
    Drain {
        /// The time left until they are stopped: 90s, 5m.
        #[arg(long, value_name = "TIME", value_parser = parse_wait)]
        within: Duration,
        /// Why, and who asks.
        #[command(flatten)]
        said: Said,
    },
    /// Show what is stopped, since when, by whom and why.
    #[command(after_help = "Example: holdfast switches")]
    Switches,
    /// Show the running workers, and their calls under way.
    #[command(after_help = "Example: holdfast workers --json")]
    Workers,
}

/// A part of what is sent.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Part {
    /// All of an account.
    #[arg(long)]
    account: Option<AccountName>,
    /// One step: create, charge, capture, release or cancel.
    #[arg(long, value_parser = step)]
    step: Option<SwitchName>,
    /// Payments of one kind: authorize, charge, `save_card` or adopt.
    #[arg(long, value_parser = kind)]
    kind: Option<SwitchName>,
}

/// Which stop is meant; needed to lift another person's.
#[derive(Debug, Args)]
pub struct Meant {
    /// When it was stopped, as `holdfast switches` shows it; required to lift another person's stop.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Timestamp>,
}

/// Who says so, and why.
#[derive(Debug, Args)]
pub struct Said {
    /// Why; kept in the audit log.
    #[arg(long)]
    reason: String,
    /// Who asks. Default: the user of this terminal.
    #[arg(long, value_parser = person)]
    actor: Option<String>,
    /// How long to wait for every worker to see it.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_wait)]
    wait: Duration,
}

fn step(text: &str) -> Result<SwitchName, String> {
    let told = "one of create, charge, capture, release, cancel";
    SwitchName::parse(&format!("step:{text}")).ok_or_else(|| told.to_owned())
}

fn kind(text: &str) -> Result<SwitchName, String> {
    let told = "one of authorize, charge, save_card, adopt";
    SwitchName::parse(&format!("kind:{text}")).ok_or_else(|| told.to_owned())
}

/// Where it is stopped.
pub(super) struct Switchboard<'a> {
    pub(super) config: &'a Config,
    pub(super) store: &'a RedisStore,
    pub(super) clock: &'a Clock,
    pub(super) as_json: bool,
}

impl Switchboard<'_> {
    pub(super) async fn serve(
        &self,
        verb: SwitchVerb,
        env: &[(String, String)],
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        match verb {
            SwitchVerb::Pause { what, said } => {
                let name = self.configured(what)?;
                self.stop(("pause", &name), None, (&said, env), out).await
            }
            SwitchVerb::Stop { said } => {
                self.stop(("stop", &SwitchName::All), None, (&said, env), out)
                    .await
            }
            SwitchVerb::Drain { within, said } => {
                let name = SwitchName::Drain;
                self.stop(("drain", &name), Some(within), (&said, env), out)
                    .await
            }
            SwitchVerb::Resume { what, meant, said } => {
                let name = what.name()?;
                self.let_go_on(("resume", &name), &meant, (&said, env), out)
                    .await
            }
            SwitchVerb::Go { meant, said } => {
                self.let_go_on(("go", &SwitchName::All), &meant, (&said, env), out)
                    .await
            }
            SwitchVerb::Switches => self.list(out).await,
            SwitchVerb::Workers => self.workers(out).await,
        }
    }

    /// A name with a letter too many would stop nothing.
    fn configured(&self, what: Part) -> Result<SwitchName, Failure> {
        let known = &self.config.accounts;
        if let Some(account) = &what.account
            && !known.is_empty()
            && !known.contains_key(account)
        {
            let known: Vec<&str> = known.keys().map(AccountName::as_str).collect();
            let known = known.join(", ");
            let told = format!("--account: {account} is not configured; use one of: {known}");
            return Err(Failure::Wrong(told));
        }
        what.name()
    }

    async fn stop(
        &self,
        (action, name): (&str, &SwitchName),
        within: Option<Duration>,
        (said, env): (&Said, &[(String, String)]),
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let by = said.mandate(env)?;
        let since = self.clock.now();
        let within = within.map(|within| u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
        let wanted = Switch {
            since,
            actor: typist(said.actor.as_deref(), env),
            reason: said.reason.clone(),
            until: within.map(|within| since + millis(within)),
        };
        let (store, clock) = (self.store, self.clock);
        let stopped = stop(store, clock, (action, name), &wanted, &by).await?;
        let (version, came) = match &stopped {
            Stopped::Now(changed) => (changed.version, Came::Stopped(&wanted, &changed.before)),
            Stopped::Already { version, stands } => (*version, Came::StoodAlready(stands)),
        };
        self.told((name, came), version, said.wait, out).await
    }

    async fn let_go_on(
        &self,
        (action, name): (&str, &SwitchName),
        meant: &Meant,
        (said, env): (&Said, &[(String, String)]),
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let by = said.mandate(env)?;
        let (store, clock) = (self.store, self.clock);
        let found = store.switches().await?;
        let stands = found.set.get(name);
        if let Some(stands) = stands.filter(|it| !meant.is(it, &typist(said.actor.as_deref(), env)))
        {
            return Err(Failure::Refused(another_stands(name, stands)));
        }
        match let_go(store, clock, (action, name), &found, &by).await? {
            LetGo::Now(changed) => {
                let came = Came::LetGo(&changed.before);
                self.told((name, came), changed.version, said.wait, out)
                    .await
            }
            LetGo::StoppedSince(switch) => Err(Failure::Refused(another_stands(name, &switch))),
        }
    }

    /// Waits until the workers know, and says so.
    async fn told(
        &self,
        (name, came): (&SwitchName, Came<'_>),
        version: u64,
        patience: Duration,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let (store, clock) = (self.store, self.clock);
        let seen = wait_until_seen(store, clock, version, patience).await?;
        let (stands, before) = came.now_and_before();
        if self.as_json {
            let told = json!({
                "switch": name.to_string(), "stopped": stands, "before": before,
                "stood_already": matches!(came, Came::StoodAlready(_)),
                "workers": seen.workers, "behind": seen.behind, "unreadable": seen.unreadable,
                "lost": seen.lost, "under_way": seen.under_way,
            });
            writeln!(out, "{told}")?;
        } else {
            writeln!(out, "{}", came.sentence(name))?;
            writeln!(out, "{}", sentence(&seen, stands.is_some()))?;
        }
        if seen.behind.is_empty() {
            return Ok(());
        }
        let unreadable = if seen.unreadable.is_empty() {
            String::new()
        } else {
            let unreadable = seen.unreadable.join(", ");
            format!("; this version cannot read what {unreadable} reports")
        };
        Err(Failure::Refused(format!(
            "{} of {} workers have not seen it within {:?}: {}{unreadable}; see their logs",
            seen.behind.len(),
            seen.workers,
            patience,
            seen.behind.join(", ")
        )))
    }

    async fn list(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let switches = self.store.switches().await?;
        let standing: Vec<_> = switches.standing(self.clock.now()).collect();
        if self.as_json {
            let set: serde_json::Map<String, Value> = standing
                .iter()
                .map(|(name, switch)| (name.to_string(), json!(switch)))
                .collect();
            let told = json!({"switches": set, "unknown": switches.unknown,
                "version": switches.version});
            return Ok(writeln!(out, "{told}")?);
        }
        if standing.is_empty() && switches.unknown.is_empty() {
            return Ok(writeln!(out, "nothing is stopped")?);
        }
        for (name, switch) in standing {
            writeln!(out, "{}", line(name, switch))?;
        }
        for unknown in switches.unknown {
            writeln!(
                out,
                "{unknown} was stopped by another version, so this version sends nothing at all; lift it with \
                 that version"
            )?;
        }
        Ok(())
    }
}

/// What became of a verb.
#[derive(Clone, Copy)]
enum Came<'a> {
    /// It stands so; and how it stood before.
    Stopped(&'a Switch, &'a Option<Switch>),
    /// Another person's stop stands so, as before.
    StoodAlready(&'a Switch),
    /// It goes on; and how it stood before.
    LetGo(&'a Option<Switch>),
}

impl Came<'_> {
    const fn now_and_before(&self) -> (Option<&Switch>, Option<&Switch>) {
        match self {
            Self::Stopped(stands, before) => (Some(stands), before.as_ref()),
            Self::StoodAlready(stands) => (Some(stands), Some(stands)),
            Self::LetGo(before) => (None, before.as_ref()),
        }
    }

    fn sentence(&self, name: &SwitchName) -> String {
        match self {
            Self::Stopped(stands, _) => line(name, stands),
            Self::StoodAlready(stands) => format!(
                "already stopped by another person: {}\nTheir stop stands, and your reason is not recorded, so \
                 tell them.",
                line(name, stands)
            ),
            Self::LetGo(Some(before)) => {
                format!("{name} goes on. Lifted: {}", line(name, before))
            }
            Self::LetGo(None) => format!("{name} was not stopped; nothing was changed"),
        }
    }
}

impl Part {
    fn name(self) -> Result<SwitchName, Failure> {
        let account = self.account.map(SwitchName::Account);
        let named = account.or(self.step).or(self.kind);
        named.ok_or_else(|| Failure::Wrong("name an account, a step or a kind".to_owned()))
    }
}

impl Meant {
    /// Whether that is the stop that is meant by `actor`: the one of that time, or one's own. Times are shown
    /// to the second.
    fn is(&self, stands: &Switch, actor: &str) -> bool {
        match self.since {
            None => stands.actor == actor,
            Some(since) if since.timestamp_subsec_nanos() == 0 => {
                since.timestamp() == stands.since.timestamp()
            }
            Some(since) => since == stands.since,
        }
    }
}

impl Said {
    fn mandate(&self, env: &[(String, String)]) -> Result<Mandate, Failure> {
        if self.reason.trim().is_empty() {
            return Err(Failure::Wrong("--reason must say why".to_owned()));
        }
        let by = Mandate::typed_by(&typist(self.actor.as_deref(), env));
        Ok(by.because(Some(&self.reason)))
    }
}

/// Why nothing was let go on: another stop stands than the one that is meant, or another person's.
fn another_stands(name: &SwitchName, switch: &Switch) -> String {
    let since = switch.since.to_rfc3339_opts(SecondsFormat::Secs, true);
    let stands = line(name, switch);
    format!(
        "this is another person's stop, or not the one you mean: {stands}; to lift it, add --since {since}"
    )
}
