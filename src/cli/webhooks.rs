//! `holdfast webhooks`: the gateway's webhooks, set up by its own API. What to do is decided from
//! what is registered now, so that each command can be run again after any answer, or none.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};
use url::Url;

use super::Failure;
use super::worker::gateway;
use crate::clock::Clock;
use crate::config::{Account, Config, Mode, unknown_account};
use crate::gateway::{ChipGateway, NotRegistered, PublicKey, Registered};
use crate::payment::AccountName;

pub(super) const EXAMPLES: &str = "\
Examples:
  holdfast webhooks register --account hotel \\
      --url https://pay.example.com/webhooks/chip/hotel --key-file hotel-1.pem
  holdfast webhooks list --account hotel

A key is replaced without losing an event: rotate with a new --key-file registers a second webhook;
when every worker knows its key, rotate without --key-file takes the first one away.";

/// What to do with the gateway's webhooks.
#[derive(Debug, Subcommand)]
pub enum WebhooksVerb {
    /// Make sure that one is registered at this address and tells everything that matters.
    Register {
        /// Which account of the settings.
        #[arg(long)]
        account: String,
        /// The worker's public address, such as `https://pay.example.com/webhooks/chip/hotel`.
        #[arg(long)]
        url: String,
        /// Where to write the public key under which it signs.
        #[arg(long, value_name = "FILE")]
        key_file: PathBuf,
    },
    /// List all that are registered, and whether their keys are configured here.
    List {
        /// Which account of the settings.
        #[arg(long)]
        account: String,
    },
    /// Replace the key: with --key-file begin, without it end.
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
    },
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
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let named = AccountName::new(verb.account());
    let named = named.map_err(|error| Failure::Wrong(format!("--account: {error}")))?;
    let Some((name, account)) = config.accounts.get_key_value(&named) else {
        let told = unknown_account(&named, config.accounts.keys());
        return Err(Failure::Wrong(told));
    };
    let gateway = gateway(config, &Clock::system());
    let gateway = gateway.map_err(|error| Failure::Other(format!("{error:#}")))?;
    let desk = Desk {
        gateway,
        name,
        account,
    };
    let told = match verb {
        WebhooksVerb::List { .. } => desk.list(as_json).await?,
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
}

struct Told {
    text: String,
    json: Value,
}

impl Desk<'_> {
    async fn list(&self, as_json: bool) -> Result<Told, Failure> {
        let all = self.gateway.registered(self.name).await?;
        let json = all.iter().map(|webhook| self.shown(webhook)).collect();
        let mut lines: Vec<String> = Vec::new();
        for webhook in all.iter().filter(|_| !as_json) {
            let (known, heard) = (self.knows(webhook), webhook.hears_enough());
            let key = if known {
                "key configured"
            } else {
                "key NOT configured"
            };
            let events = if heard {
                "events complete"
            } else {
                "events MISSING"
            };
            lines.push(format!(
                "{}  {key}, {events}  {}",
                webhook.id, webhook.callback
            ));
        }
        if lines.is_empty() {
            lines.push(format!(
                "no webhook is registered for {}; `holdfast webhooks register` makes one",
                self.name
            ));
        }
        let text = lines.join("\n");
        Ok(Told { text, json })
    }

    /// One webhook at `url` that hears everything, and its key in a file.
    async fn register(&self, url: &str, key_file: &Path) -> Result<Told, Failure> {
        self.check_url(url)?;
        let webhook = match self.at(url).await?.pop() {
            Some(there) if there.hears_enough() => there,
            Some(there) => self.gateway.complete(self.name, &there).await?,
            None => self.one_more(url, key_file).await?,
        };
        keep(&webhook, key_file)?;
        Ok(self.next_step(&webhook, key_file))
    }

    /// A second webhook at the same address, whose key is to take the place of the first one's.
    async fn rotate(&self, url: &str, key_file: &Path) -> Result<Told, Failure> {
        self.check_url(url)?;
        let mut there = self.at(url).await?;
        let newest = there.pop().ok_or_else(|| {
            let told = "nothing is registered at this address; `holdfast webhooks register` first";
            Failure::Refused(told.to_owned())
        })?;
        // Its key is not in use yet: a rotation that was begun before is gone on with.
        let begun = !there.is_empty() && !self.knows(&newest);
        let webhook = if begun {
            newest
        } else {
            self.one_more(url, key_file).await?
        };
        keep(&webhook, key_file)?;
        Ok(self.next_step(&webhook, key_file))
    }

    /// Takes the older webhooks at `url` away, once the newest one's key is known here.
    async fn finish(&self, url: &str) -> Result<Told, Failure> {
        let mut there = self.at(url).await?;
        let newest = there.pop();
        if !newest.as_ref().is_some_and(|newest| self.knows(newest)) {
            let told = format!(
                "the newest webhook's key is not configured, so what it posts would be refused; \
                 begin with --key-file, and name that file in \
                 accounts.{}.webhook_public_key_files",
                self.name
            );
            return Err(Failure::Refused(told));
        }
        for old in &there {
            self.gateway.unregister(self.name, old).await?;
        }
        let removed: Vec<&str> = there.iter().map(|old| old.id.as_str()).collect();
        let text = format!(
            "{} older taken away; their keys can be taken out of the settings now",
            removed.len()
        );
        let json = json!({"removed": removed, "kept": newest.map(|newest| newest.id)});
        Ok(Told { text, json })
    }

    /// Registers one, when its key has somewhere to go.
    async fn one_more(&self, url: &str, key_file: &Path) -> Result<Registered, Failure> {
        if key_file.exists() {
            return Err(taken(key_file));
        }
        Ok(self.gateway.register(self.name, url).await?)
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
        let key = webhook.key();
        let configured = self.account.webhook_keys.iter();
        key.is_some()
            && configured
                .map(|pem| PublicKey::from_pem(pem).ok())
                .any(|known| known == key)
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

    fn next_step(&self, webhook: &Registered, key_file: &Path) -> Told {
        let known = self.knows(webhook);
        let mut text = format!(
            "{} is registered; its key is in {}",
            webhook.id,
            key_file.display()
        );
        if !known {
            text = format!(
                "{text}\nAdd that file to accounts.{}.webhook_public_key_files of every worker, \
                 beside those that are there; workers that run take it within half a minute, \
                 or at SIGHUP",
                self.name
            );
        }
        let json = self.shown(webhook);
        Told { text, json }
    }
}

/// Writes the key down. A file that holds another key is in use, and stays as it is.
fn keep(webhook: &Registered, file: &Path) -> Result<(), Failure> {
    let key = webhook.key().ok_or_else(|| {
        let told = "the gateway showed no key that can be used; look into its portal";
        Failure::Other(told.to_owned())
    })?;
    match fs::read_to_string(file) {
        Ok(there) if PublicKey::from_pem(&there).is_ok_and(|there| there == key) => Ok(()),
        Ok(_) => Err(taken(file)),
        Err(_) => fs::write(file, webhook.public_key.replace("\\n", "\n")).map_err(|error| {
            Failure::Other(format!("{} cannot be written: {error}", file.display()))
        }),
    }
}

fn taken(file: &Path) -> Failure {
    Failure::Refused(format!(
        "{} holds something else; give the new key a file of its own",
        file.display()
    ))
}

impl From<NotRegistered> for Failure {
    fn from(error: NotRegistered) -> Self {
        match error {
            NotRegistered::Refused { .. } => Self::Refused(error.to_string()),
            NotRegistered::UnknownAccount
            | NotRegistered::NotSent(_)
            | NotRegistered::Unknown(_) => Self::Other(error.to_string()),
        }
    }
}
