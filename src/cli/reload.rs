//! Accounts and API keys are exchanged without a restart: when SIGHUP asks for it, and when the
//! configuration or a file that it names was changed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::worker::accounts;
use crate::api::KeyRing;
use crate::config::Current;
use crate::config::{Config, Problems};
use crate::gateway::ChipGateway;
use crate::payment::AccountName;
use crate::worker::Policies;

/// How often it is looked whether something was changed. A change holds once it was seen twice: a
/// file that is being written is never taken for what was meant.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What is in use, and where what is new goes.
pub(super) struct Reload {
    pub(super) config: Config,
    pub(super) gateway: ChipGateway,
    pub(super) policies: Current<Policies>,
    pub(super) keys: Arc<KeyRing>,
}

/// What was read, beside what is in use.
#[derive(Debug, Clone)]
enum Found {
    Same,
    Changed(Box<Config>),
    Wrong(Problems),
}

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Same, Self::Same) => true,
            (Self::Changed(one), Self::Changed(other)) => !one.is_exchanged_by(other),
            (Self::Wrong(one), Self::Wrong(other)) => one == other,
            _ => false,
        }
    }
}

impl Reload {
    /// Exchanges what `read` finds changed, for ever; at once whenever it is `asked` for.
    pub(super) async fn run(
        mut self,
        asked: Arc<Notify>,
        read: impl Fn() -> Result<Config, Problems>,
    ) -> Infallible {
        // What is wrong is told once, not whenever it is looked.
        let (mut seen, mut dealt_with) = (Found::Same, Found::Same);
        loop {
            let at_once = tokio::select! {
                () = asked.notified() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            let read = read();
            if at_once && let Ok(next) = &read {
                tell_of_waiting(&self.config.waiting(next));
            }
            let found = self.compare(read);
            let settled = found == seen && found != dealt_with;
            seen.clone_from(&found);
            if at_once || settled {
                dealt_with = self.take(found);
            }
        }
    }

    fn compare(&self, read: Result<Config, Problems>) -> Found {
        match read {
            Ok(next) if self.config.is_exchanged_by(&next) => Found::Changed(Box::new(next)),
            Ok(_) => Found::Same,
            Err(problems) => Found::Wrong(problems),
        }
    }

    /// Takes what is new, and answers what is not the same any more after that.
    fn take(&mut self, found: Found) -> Found {
        let refused = match &found {
            Found::Same => {
                tracing::info!("accounts and API keys are as they were");
                return found;
            }
            Found::Wrong(problems) => problems.to_string(),
            Found::Changed(next) => match self.exchange(next) {
                Ok(()) => return Found::Same,
                Err(why) => why,
            },
        };
        tracing::error!(
            refused,
            "the new settings cannot be taken; nothing was exchanged"
        );
        found
    }

    /// A new account is known to the gateway's client before anything of it is worked on.
    fn exchange(&mut self, next: &Config) -> Result<(), String> {
        let next = self
            .config
            .exchanged(next)
            .map_err(|error| error.to_string())?;
        let known = accounts(&next).map_err(|error| format!("{error:#}"))?;
        tell_of_removed(&self.config, &next);
        self.gateway.replace_accounts(known);
        self.policies.replace(next.policies());
        self.keys.replace(next.api.keys.clone());
        self.config = next;
        tracing::info!(
            accounts = self.config.accounts.len(),
            api_keys = self.config.api.keys.len(),
            "accounts and API keys were exchanged"
        );
        Ok(())
    }
}

fn tell_of_waiting(waiting: &[String]) {
    if !waiting.is_empty() {
        let settings = waiting.join(", ");
        tracing::warn!(
            settings,
            "other settings were changed too; they take a restart"
        );
    }
}

fn tell_of_removed(before: &Config, next: &Config) {
    let gone = |name: &&AccountName| !next.accounts.contains_key(*name);
    for account in before.accounts.keys().filter(gone) {
        tracing::warn!(%account, "the account was taken out; payments of it wait until it is back");
    }
    if next.api.keys.is_empty() && !before.api.keys.is_empty() {
        tracing::warn!("no API key is left; nobody is let in");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::clock::Clock;

    const BRAND: &str = "4f1a9c1e-5a0b-4d39-8a63-6e4a2f2f7c01";

    /// Settings with the account of the hotel and what else the text says.
    fn read(text: &str) -> Result<Config, Problems> {
        let hotel = format!("[accounts.hotel]\nmode = \"test\"\nbrand_id = \"{BRAND}\"\n");
        let named = |name: &&str| *name == "HOTEL" || text.contains(&name.to_lowercase());
        let keys = ["HOTEL", "SHOP", "KIOSK"]
            .into_iter()
            .filter(named)
            .map(|name| {
                let variable = format!("HOLDFAST__ACCOUNTS__{name}__SECRET_KEY");
                (variable, "secret".to_owned())
            });
        Config::read("holdfast.toml", &format!("{text}\n{hotel}"), keys)
    }

    /// A file that is changed while a worker reads it, and what that worker has in use.
    struct Stage {
        text: Arc<Mutex<String>>,
        asked: Arc<Notify>,
        policies: Current<Policies>,
        keys: Arc<KeyRing>,
    }

    impl Stage {
        fn begin() -> Self {
            let config = read("").unwrap();
            let gateway = ChipGateway::new(
                accounts(&config).unwrap(),
                config.gateway_settings(),
                Clock::system(),
            );
            let stage = Self {
                text: Arc::default(),
                asked: Arc::default(),
                policies: Current::new(config.policies()),
                keys: Arc::new(KeyRing::new(Vec::new(), config.api.pace)),
            };
            let reload = Reload {
                config,
                gateway: gateway.unwrap(),
                policies: stage.policies.clone(),
                keys: Arc::clone(&stage.keys),
            };
            let (text, asked) = (Arc::clone(&stage.text), Arc::clone(&stage.asked));
            tokio::spawn(async move { reload.run(asked, || read(&text.lock().unwrap())).await });
            stage
        }

        fn write(&self, text: &str) {
            text.clone_into(&mut self.text.lock().unwrap());
        }

        async fn looked(&self, times: u32) {
            tokio::time::sleep(LOOK_EVERY * times + LOOK_EVERY / 2).await;
        }

        fn accounts(&self) -> Vec<String> {
            let policies = self.policies.get();
            policies.keys().map(ToString::to_string).collect()
        }
    }

    const OTHER: &str = "1f4a9c1e-5a0b-4d39-8a63-6e4a2f2f7c02";
    const SHOP: &str = "[accounts.shop]
mode = \"test\"
brand_id = \"4f1a9c1e-5a0b-4d39-8a63-6e4a2f2f7c01\"
";

    #[tokio::test(start_paused = true)]
    async fn what_was_changed_is_taken_once_it_was_seen_twice() {
        let stage = Stage::begin();
        stage.write(SHOP);
        stage.looked(1).await;
        assert_eq!(stage.accounts(), ["hotel"]);
        stage.looked(1).await;
        assert_eq!(stage.accounts(), ["hotel", "shop"]);
        stage.write("");
        stage.looked(3).await;
        assert_eq!(stage.accounts(), ["hotel"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_being_written_is_never_taken() {
        let stage = Stage::begin();
        let halves = [SHOP.split_at(SHOP.len() / 2).0, SHOP, "", SHOP, ""];
        for half in halves {
            stage.write(half);
            stage.looked(1).await;
            assert_eq!(stage.accounts(), ["hotel"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_has_it_at_once() {
        let stage = Stage::begin();
        stage.write(SHOP);
        stage.asked.notify_one();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(stage.accounts(), ["hotel", "shop"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_move_a_payment_elsewhere_changes_nothing() {
        let elsewhere = [
            SHOP.replace(BRAND, OTHER),
            SHOP.replace("test", "live"),
            format!("{SHOP}base_url = \"http://127.0.0.1:1/\""),
            format!("{SHOP}[policy]\nquiet_ms = 1000000"),
            format!("[gateway]\nbase_url = \"https://other.example/api/v1/\"\n{SHOP}"),
        ];
        for change in elsewhere {
            let stage = Stage::begin();
            stage.write(SHOP);
            stage.looked(2).await;
            let before = stage.policies.get();
            // What could be taken by itself is not taken either.
            let changed = format!("{change}\n{}", SHOP.replace("shop", "kiosk"));
            assert!(read(&changed).is_ok(), "{changed}");
            stage.write(&changed);
            stage.asked.notify_one();
            stage.looked(3).await;
            assert_eq!(before, stage.policies.get(), "{change}");
        }
    }
}
