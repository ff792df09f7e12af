//! `holdfast webhooks`: the gateway's webhooks, set up by its own API. What to do is decided from
//! what is registered now, so that each command can be run again after any answer, or none.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use url::Url;

use super::Failure;
use super::commands::typist;
use super::desk::person;
use super::key_file::{KeyFile, key_of};
use super::worker::gateway;
use crate::clock::Clock;
use crate::config::{Account, Config, Mode, unknown_account};
use crate::gateway::{ChipGateway, NotRegistered, Registered};
use crate::payment::AccountName;
use crate::store::audit::{AuditEntry, Mandate};
use crate::store::redis::RedisStore;

pub(super) const EXAMPLES: &str = "\
Examples:
  holdfast webhooks register --account hotel \\
      --url https://pay.example.com/webhooks/chip/hotel --key-file hotel-1.pem
  holdfast webhooks list --account hotel

Workers refuse what is signed with a key that they do not know, and CHIP then holds back later events of the
same purchase. So a new webhook posts nothing that matters at first. Put its key into the settings of every
worker, then run the same command again to make it post. To replace a key, run rotate with a new --key-file,
and then without one, which also removes the old webhook.";

/// What to do with the gateway's webhooks.
#[derive(Debug, Subcommand)]
pub enum WebhooksVerb {
    /// Register a webhook; run again when its key is in the settings, to make it post.
    #[command(after_help = "\
Example: holdfast webhooks register --account hotel \\
    --url https://pay.example.com/webhooks/chip/hotel --key-file hotel-1.pem")]
    Register {
        /// Which account of the settings.
        #[arg(long)]
        account: String,
        /// The worker's public address, such as `https://pay.example.com/webhooks/chip/hotel`.
        #[arg(long)]
        url: String,
        /// Where to write the public key that verifies its signatures.
        #[arg(long, value_name = "FILE")]
        key_file: PathBuf,
        /// Who asks, and why.
        #[command(flatten)]
        by: By,
    },
    /// List the registered webhooks, and whether their keys are in these settings.
    #[command(after_help = "Example: holdfast webhooks list --account hotel")]
    List {
        /// Which account of the settings.
        #[arg(long)]
        account: String,
    },
    /// Replace the key: start with --key-file, finish without it.
    #[command(after_help = "\
Examples:
  holdfast webhooks rotate --account hotel \\
      --url https://pay.example.com/webhooks/chip/hotel --key-file hotel-2.pem
  holdfast webhooks rotate --account hotel --url https://pay.example.com/webhooks/chip/hotel")]
    Rotate {
        /// Which account of the settings.
        #[arg(long)]
        account: String,
        /// The address at which the webhook is registered.
        #[arg(long)]
        url: String,
        /// Where to write the new public key.
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// Who asks, and why.
        #[command(flatten)]
        by: By,
    },
}

/// Who asks, and why.
#[derive(Debug, Args)]
pub struct By {
    /// Who asks. Default: the user of this terminal.
    #[arg(long, value_parser = person)]
    actor: Option<String>,
    /// Why; kept in the audit log.
    #[arg(long)]
    reason: Option<String>,
}

impl WebhooksVerb {
    fn account(&self) -> &str {
        match self {
            Self::Register { account, .. }
            | Self::List { account }
            | Self::Rotate { account, .. } => account,
        }
    }
}

/// Does what was typed.
pub(super) async fn run(
    verb: &WebhooksVerb,
    config: &Config,
    (env, as_json): (&[(String, String)], bool),
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let clock = Clock::system();
    let named = AccountName::new(verb.account());
    let named = named.map_err(|error| Failure::Wrong(format!("--account: {error}")))?;
    let Some((name, account)) = config.accounts.get_key_value(&named) else {
        let told = unknown_account(&named, config.accounts.keys());
        return Err(Failure::Wrong(told));
    };
    let gateway = gateway(config, &clock);
    let gateway = gateway.map_err(|error| Failure::Other(format!("{error:#}")))?;
    let log = match verb {
        WebhooksVerb::List { .. } => None,
        WebhooksVerb::Register { by, .. } | WebhooksVerb::Rotate { by, .. } => {
            let store = RedisStore::connect(config.store_settings(), clock.clone()).await?;
            let typed = Mandate::typed_by(&typist(by.actor.as_deref(), env));
            Some((store, typed.because(by.reason.as_deref())))
        }
    };
    let desk = Desk {
        gateway,
        name,
        account,
        log,
        clock,
    };
    let told = match verb {
        WebhooksVerb::List { .. } => desk.list().await?,
        WebhooksVerb::Register { url, key_file, .. } => desk.register(url, key_file).await?,
        WebhooksVerb::Rotate {
            url,
            key_file: Some(key_file),
            ..
        } => desk.rotate(url, key_file).await?,
        WebhooksVerb::Rotate { url, .. } => desk.finish(url).await?,
    };
    let text = if as_json {
        told.json.to_string()
    } else {
        told.text
    };
    Ok(writeln!(out, "{text}")?)
}

struct Desk<'a> {
    gateway: ChipGateway,
    name: &'a AccountName,
    account: &'a Account,
    /// Where it is written down before anything is changed at the gateway, and on whose word.
    log: Option<(RedisStore, Mandate)>,
    clock: Clock,
}

struct Told {
    text: String,
    json: Value,
}

impl Desk<'_> {
    async fn list(&self) -> Result<Told, Failure> {
        let all = self.gateway.registered(self.name).await?;
        let json = all.iter().map(|webhook| self.shown(webhook)).collect();
        let line = |webhook: &Registered| {
            let key = if self.knows(webhook) {
                "key in these settings"
            } else {
                "key NOT in these settings"
            };
            let posts = if webhook.hears_enough() {
                "posts all that matters"
            } else {
                "does NOT post all that matters"
            };
            format!("{}  {key}, {posts}  {}", webhook.id, webhook.callback)
        };
        let mut lines: Vec<String> = all.iter().map(line).collect();
        if lines.is_empty() {
            let told = "no webhook is registered; `holdfast webhooks register` makes one";
            lines.push(told.to_owned());
        }
        let text = lines.join("\n");
        Ok(Told { text, json })
    }

    /// One webhook at `url`, its key in a file; once the key is in the settings it posts.
    async fn register(&self, url: &str, key_file: &Path) -> Result<Told, Failure> {
        self.check_url(url)?;
        let mut there = self.at(url).await?;
        if there.len() > 1 {
            let told = "several webhooks post to this address; `holdfast webhooks rotate` leaves \
                        the newest one";
            return Err(Failure::Refused(told.to_owned()));
        }
        let webhook = self.there_or_new(there.pop(), url, key_file).await?;
        let webhook = if self.knows(&webhook) && !webhook.hears_enough() {
            self.intend("webhook_complete").await?;
            self.gateway.complete(self.name, &webhook).await?
        } else {
            webhook
        };
        let again = "run this command again: until then it posts nothing that matters";
        Ok(self.next_step(&webhook, key_file, again))
    }

    /// A second webhook at the same address, whose key is to take the place of the first one's.
    async fn rotate(&self, url: &str, key_file: &Path) -> Result<Told, Failure> {
        self.check_url(url)?;
        let mut there = self.at(url).await?;
        let newest = there.pop().ok_or_else(|| {
            let told = "nothing is registered at this address; `holdfast webhooks register` first";
            Failure::Refused(told.to_owned())
        })?;
        // A rotation that was begun and not ended is gone on with.
        let begun = !there.is_empty() && !newest.hears_enough();
        let webhook = self
            .there_or_new(begun.then_some(newest), url, key_file)
            .await?;
        let again = "run `holdfast webhooks rotate` without --key-file";
        Ok(self.next_step(&webhook, key_file, again))
    }

    /// Makes the newest webhook at `url` post, and takes the older ones away, once its key is known.
    async fn finish(&self, url: &str) -> Result<Told, Failure> {
        let mut there = self.at(url).await?;
        let newest = there.pop().filter(|newest| self.knows(newest));
        let Some(newest) = newest else {
            return Err(Failure::Refused(format!(
                "the newest webhook's key is not in these settings, so what it posts would be \
                 refused; begin with --key-file, and name that file in \
                 accounts.{}.webhook_public_key_files of every worker",
                self.name
            )));
        };
        let in_one_second = |old: &Registered| old.created_on == newest.created_on;
        if newest.hears_enough() && there.last().is_some_and(in_one_second) {
            let told = "two webhooks were made in the same second; take the older one away in \
                        CHIP's portal";
            return Err(Failure::Refused(told.to_owned()));
        }
        if !newest.hears_enough() {
            self.intend("webhook_complete").await?;
            self.gateway.complete(self.name, &newest).await?;
        }
        let old = there.iter().filter(|old| old.id != newest.id);
        for old in old.clone() {
            self.intend("webhook_remove").await?;
            self.gateway.unregister(self.name, old).await?;
        }
        if self.at(url).await?.len() > 1 {
            let told = "an older webhook is still there; run this again".to_owned();
            return Err(Failure::Other(told));
        }
        let removed: Vec<&str> = old.map(|old| old.id.as_str()).collect();
        let text = format!(
            "{} older taken away. What was posted under an old key may come again for up to 37 \
             hours: leave it in the settings for so long",
            removed.len()
        );
        let json = json!({"removed": removed, "kept": newest.id});
        Ok(Told { text, json })
    }

    /// The webhook that is there, or a new one, and its key in `file`. What stands in the way of
    /// writing the key down is found before anything is registered.
    async fn there_or_new(
        &self,
        there: Option<Registered>,
        url: &str,
        file: &Path,
    ) -> Result<Registered, Failure> {
        if let Some(there) = there {
            KeyFile::open(file, Some(&key_of(&there)?))?.keep(&there)?;
            return Ok(there);
        }
        let file = KeyFile::open(file, None)?;
        self.intend("webhook_register").await?;
        let made = self.gateway.register(self.name, url).await?;
        file.keep(&made)?;
        Ok(made)
    }

    /// Adds to the audit log what is about to be changed at the gateway.
    async fn intend(&self, what: &str) -> Result<(), Failure> {
        let Some((store, by)) = &self.log else {
            return Ok(());
        };
        let intent = AuditEntry::intent(by, what, Some(self.name.as_str()), self.clock.now());
        Ok(store.note_intent(&intent).await?)
    }

    /// Those that post to `url`, the oldest first.
    async fn at(&self, url: &str) -> Result<Vec<Registered>, Failure> {
        let mut all = self.gateway.registered(self.name).await?;
        let same =
            |one: &str, other: &str| one.trim_end_matches('/') == other.trim_end_matches('/');
        all.retain(|webhook| same(&webhook.callback, url));
        Ok(all)
    }

    /// What is posted elsewhere never reaches this account's payments.
    fn check_url(&self, text: &str) -> Result<(), Failure> {
        let path = format!("/webhooks/chip/{}", self.name);
        let url = Url::parse(text).ok().filter(Url::has_host);
        let fine = url.is_some_and(|url| {
            let scheme = url.scheme() == "https"
                || (url.scheme() == "http" && self.account.mode == Mode::Test);
            scheme && url.path().trim_end_matches('/').ends_with(&path)
        });
        if fine && text.len() <= 500 {
            return Ok(());
        }
        Err(Failure::Wrong(format!(
            "--url must be this worker's public address and end in {path}, with https unless the \
             account is a test account, and 500 characters at most"
        )))
    }

    fn knows(&self, webhook: &Registered) -> bool {
        self.gateway.knows(self.name, webhook)
    }

    fn shown(&self, webhook: &Registered) -> Value {
        json!({
            "id": webhook.id,
            "title": webhook.title,
            "callback": webhook.callback,
            "events": if webhook.all_events { json!("all") } else { json!(webhook.events) },
            "events_complete": webhook.hears_enough(),
            "key_configured": self.knows(webhook),
        })
    }

    fn next_step(&self, webhook: &Registered, key_file: &Path, again: &str) -> Told {
        let json = self.shown(webhook);
        let (id, file) = (&webhook.id, key_file.display());
        let text = if self.knows(webhook) && webhook.hears_enough() {
            format!("{id} is registered, and posts all that matters")
        } else {
            format!(
                "{id} is registered; its key is in {file}\n\
                 Add that file to accounts.{}.webhook_public_key_files of every worker, beside \
                 those that are there; running workers take it within half a minute, or at SIGHUP, \
                 and log that accounts were exchanged. When all have, {again}",
                self.name
            )
        };
        Told { text, json }
    }
}

impl From<NotRegistered> for Failure {
    fn from(error: NotRegistered) -> Self {
        match error {
            NotRegistered::Refused { .. } => Self::Refused(error.to_string()),
            NotRegistered::UnknownAccount
            | NotRegistered::Unreadable(_)
            | NotRegistered::NotSent(_)
            | NotRegistered::Unknown(_) => Self::Other(error.to_string()),
        }
    }
}
