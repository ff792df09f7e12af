//! To stop and to let go on, at a terminal.

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::commands::typist;
use super::desk::person;
use super::failure::Failure;
use super::request::parse_wait;
use super::view::time;
use crate::clock::Clock;
use crate::config::Config;
use crate::operate::switches::{Changed, LetGo, Seen, let_go, line, lives, stop, wait_until_seen};
use crate::payment::{AccountName, millis};
use crate::store::audit::Mandate;
use crate::store::redis::RedisStore;
use crate::store::switches::{Switch, SwitchName, WorkerNote};

/// What to do about what is sent.
#[derive(Debug, Subcommand)]
pub enum SwitchVerb {
    /// Start no more steps of an account, of one step or of a kind of request. Calls under way go to
    /// their end; look-ups go on, and so does what producers ask.
    #[command(after_help = "Example: holdfast pause --account hotel --reason \"CHIP asks us to\"")]
    Pause {
        /// What.
        #[command(flatten)]
        what: Part,
        /// Why, and who asks.
        #[command(flatten)]
        said: Said,
    },
    /// Let go on what was paused. It goes on by itself, within half a minute.
    #[command(after_help = "Example: holdfast resume --account hotel --reason \"mended\"")]
    Resume {
        /// What.
        #[command(flatten)]
        what: Part,
        /// Why, and who asks.
        #[command(flatten)]
        said: Said,
    },
    /// Start nothing at all any more, on any worker, until `holdfast go`.
    #[command(after_help = "Example: holdfast stop --reason \"amounts are wrong\"")]
    Stop {
        /// Why, and who asks.
        #[command(flatten)]
        said: Said,
    },
    /// Let everything go on after `holdfast stop`; what is paused stays so.
    #[command(after_help = "Example: holdfast go --reason \"prices mended\"")]
    Go {
        /// Why, and who asks.
        #[command(flatten)]
        said: Said,
    },
    /// Before workers are replaced: those that run now start nothing that cannot end in the time left.
    /// Workers started later are not touched, and it ends by itself.
    #[command(after_help = "Example: holdfast drain --within 90s --reason \"release 1.4\"")]
    Drain {
        /// How long until they are stopped: 90s, 5m.
        #[arg(long, value_name = "TIME", value_parser = parse_wait)]
        within: Duration,
        /// Why, and who asks.
        #[command(flatten)]
        said: Said,
    },
    /// Show what is stopped, since when, by whom and why.
    #[command(after_help = "Example: holdfast switches")]
    Switches,
    /// Show the workers that are there, and what they have under way.
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

/// Who says so, and why.
#[derive(Debug, Args)]
pub struct Said {
    /// Why; kept in the audit log.
    #[arg(long)]
    reason: String,
    /// Who asks; the user of this terminal without it.
    #[arg(long, value_parser = person)]
    actor: Option<String>,
    /// How long to wait until every worker has seen it.
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
            SwitchVerb::Resume { what, said } => {
                self.let_go_on(("resume", &what.name()?), (&said, env), out)
                    .await
            }
            SwitchVerb::Go { said } => {
                self.let_go_on(("go", &SwitchName::All), (&said, env), out)
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
        let changed = stop(store, clock, (action, name), &wanted, &by).await?;
        self.told((name, Some(&wanted)), &changed, said.wait, out)
            .await
    }

    async fn let_go_on(
        &self,
        (action, name): (&str, &SwitchName),
        (said, env): (&Said, &[(String, String)]),
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let by = said.mandate(env)?;
        let (store, clock) = (self.store, self.clock);
        let found = store.switches().await?;
        match let_go(store, clock, (action, name), &found, &by).await? {
            LetGo::Now(changed) => self.told((name, None), &changed, said.wait, out).await,
            LetGo::StoppedSince(switch) => Err(Failure::Refused(stopped_since(name, &switch))),
        }
    }

    /// Waits until the workers know, and says so.
    async fn told(
        &self,
        (name, wanted): (&SwitchName, Option<&Switch>),
        changed: &Changed,
        patience: Duration,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let (store, clock) = (self.store, self.clock);
        let seen = wait_until_seen(store, clock, changed.version, patience).await?;
        if self.as_json {
            let told = json!({
                "switch": name.to_string(), "stopped": wanted, "before": changed.before,
                "workers": seen.workers, "behind": seen.behind, "unreadable": seen.unreadable,
                "under_way": seen.under_way,
            });
            writeln!(out, "{told}")?;
        } else {
            let told = match (wanted, &changed.before) {
                (Some(wanted), _) => line(name, wanted),
                (None, Some(_)) => format!("{name} goes on"),
                (None, None) => format!("{name} was not stopped; nothing was changed"),
            };
            writeln!(out, "{told}")?;
            writeln!(out, "{}", sentence(&seen, wanted.is_some()))?;
        }
        if seen.behind.is_empty() {
            return Ok(());
        }
        let unreadable = if seen.unreadable.is_empty() {
            String::new()
        } else {
            let unreadable = seen.unreadable.join(", ");
            format!("; this version cannot read what {unreadable} says, and so nobody knows")
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
        if standing.is_empty() && switches.unknown.is_none() {
            return Ok(writeln!(out, "nothing is stopped")?);
        }
        for (name, switch) in standing {
            writeln!(out, "{}", line(name, switch))?;
        }
        if let Some(unknown) = switches.unknown {
            writeln!(out, "{unknown} is stopped, and so is everything here")?;
        }
        Ok(())
    }

    async fn workers(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let (notes, now) = (self.store.workers().await?, self.clock.now());
        let unreadable: Vec<String> = notes.unreadable.into_keys().collect();
        let notes: Vec<(String, WorkerNote)> = (notes.read.into_iter())
            .filter(|(_, note)| lives(note, now))
            .collect();
        if self.as_json {
            let told: Vec<Value> = notes
                .iter()
                .map(|(id, note)| {
                    let mut told = json!(note);
                    told["id"] = json!(id);
                    told
                })
                .collect();
            return Ok(writeln!(
                out,
                "{}",
                json!({ "workers": told, "unreadable": unreadable })
            )?);
        }
        for id in &unreadable {
            writeln!(out, "{id}  this version cannot read what it says")?;
        }
        if notes.is_empty() && unreadable.is_empty() {
            return Ok(writeln!(out, "no worker is there")?);
        }
        let version = self.store.switches().await?.version;
        for (id, note) in notes {
            let behind = if note.switches < version {
                "  has not seen the last switch"
            } else {
                ""
            };
            writeln!(
                out,
                "{id}  {}  since {}  {} turns at once  {}{behind}",
                note.program,
                time(note.started),
                note.concurrency,
                calls(note.under_way.iter())
            )?;
        }
        Ok(())
    }
}

impl Part {
    fn name(self) -> Result<SwitchName, Failure> {
        let account = self.account.map(SwitchName::Account);
        let named = account.or(self.step).or(self.kind);
        named.ok_or_else(|| Failure::Wrong("name an account, a step or a kind".to_owned()))
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

fn calls<'a>(under_way: impl Iterator<Item = (&'a String, &'a u64)>) -> String {
    let some = under_way.filter(|(_, count)| **count > 0);
    let some: Vec<String> = some
        .map(|(step, count)| format!("{count} {step}"))
        .collect();
    if some.is_empty() {
        "no call under way".to_owned()
    } else {
        format!("under way: {}", some.join(", "))
    }
}

/// Why nothing was let go on.
fn stopped_since(name: &SwitchName, switch: &Switch) -> String {
    let stands = line(name, switch);
    format!(
        "it was stopped again meanwhile, and that stands: {stands}; to let that go on, run it again"
    )
}

/// What the workers know of it.
fn sentence(seen: &Seen, stops: bool) -> String {
    let Seen {
        workers, behind, ..
    } = seen;
    if *workers == 0 {
        return "no worker is there; those that start will see it".to_owned();
    }
    let told = workers - behind.len();
    let under_way = calls(seen.under_way.iter());
    let end = if stops && !seen.under_way.is_empty() {
        "; what is under way goes to its end"
    } else {
        ""
    };
    format!("{told} of {workers} workers have seen it; {under_way}{end}")
}
