//! Accounts, keys and endpoints are exchanged without a restart: when SIGHUP asks for it, and when the
//! configuration or a file that it names was changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::worker::accounts;
use crate::api::KeyRing;
use crate::api::pushed::Producers;
use crate::config::{Account, Config, Current, Problems};
use crate::gateway::ChipGateway;
use crate::payment::AccountName;
use crate::worker::Policies;
use crate::worker::outbox::Outbox;

/// How often it is looked whether something was changed. A change holds once it was seen twice: a
/// file that is being written is never taken for what was meant.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What is in use, and where what is new goes.
pub(super) struct Reload {
    config: Config,
    /// Every account that this process ever had, as it was last: payments of one that was taken out
    /// may still be under way.
    former: BTreeMap<AccountName, Account>,
    gateway: ChipGateway,
    policies: Current<Policies>,
    keys: Arc<KeyRing>,
    /// Nothing else depends on these, and they depend on nothing.
    apart: Option<(Arc<Outbox>, Arc<Producers>)>,
}

/// What was read, beside what is in use.
#[derive(Debug, Clone, PartialEq)]
enum Found {
    Same,
    Changed(Box<Config>),
    Wrong(Problems),
}

/// Why accounts stay as they are.
enum Refused {
    ForGood(String),
    /// It is tried again.
    ForNow(String),
}

impl Reload {
    pub(super) fn new(
        config: Config,
        gateway: ChipGateway,
        policies: Current<Policies>,
        keys: Arc<KeyRing>,
    ) -> Self {
        Self {
            former: config.accounts.clone(),
            config,
            gateway,
            policies,
            keys,
            apart: None,
        }
    }

    /// The same, with endpoints and the keys of producers that are exchanged too.
    pub(super) fn with(self, outbox: Arc<Outbox>, producers: Arc<Producers>) -> Self {
        let apart = Some((outbox, producers));
        Self { apart, ..self }
    }

    /// Exchanges what `read` finds changed, for ever; at once whenever it is `asked` for.
    pub(super) async fn run<R>(mut self, asked: Arc<Notify>, read: R)
    where
        R: Fn() -> Result<Config, Problems> + Clone + Send + 'static,
    {
        // What is wrong is told once, not whenever it is looked.
        let (mut seen, mut dealt_with) = (Found::Same, Found::Same);
        loop {
            let at_once = tokio::select! {
                () = asked.notified() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            // A file may lie on a disk that hangs.
            let Ok(read) = tokio::task::spawn_blocking(read.clone()).await else {
                continue;
            };
            if at_once && let Ok(next) = &read {
                tell_of_waiting(&self.config.waiting(next));
            }
            let found = self.compare(read);
            let settled = found == seen && found != dealt_with;
            seen.clone_from(&found);
            if at_once || settled {
                dealt_with = self.take(found).await;
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

    /// Takes what is new, and answers what need not be looked at again.
    async fn take(&mut self, found: Found) -> Found {
        let next = match &found {
            Found::Same => {
                tracing::info!("accounts, keys and endpoints are as they were");
                return found;
            }
            Found::Wrong(problems) => {
                tracing::error!(%problems, "the new settings are wrong; nothing was exchanged");
                return found;
            }
            Found::Changed(next) => next,
        };
        // By themselves: nothing shall keep a key from being taken away.
        self.exchange_keys(next);
        self.exchange_producers(next);
        self.exchange_endpoints(next);
        match self.exchange_accounts(next).await {
            Ok(()) => Found::Same,
            Err(Refused::ForGood(why)) => {
                tracing::error!(
                    why,
                    "the accounts cannot be exchanged; they stay as they are"
                );
                found
            }
            Err(Refused::ForNow(why)) => {
                tracing::error!(why, "the accounts are not exchanged yet; it is tried again");
                Found::Same
            }
        }
    }

    fn exchange_keys(&mut self, next: &Config) {
        if self.config.api.keys == next.api.keys {
            return;
        }
        self.keys.replace(next.api.keys.clone());
        self.config.api.keys.clone_from(&next.api.keys);
        let keys = self.config.api.keys.len();
        tracing::info!(keys, "the API keys were exchanged");
        if keys == 0 && !self.keys.is_open() {
            tracing::warn!("no API key is left; nobody is let in");
        }
    }

    fn exchange_endpoints(&mut self, next: &Config) {
        if self.config.events.endpoints == next.events.endpoints {
            return;
        }
        self.config
            .events
            .endpoints
            .clone_from(&next.events.endpoints);
        let endpoints = self.config.events.endpoints.clone();
        tracing::info!(endpoints = endpoints.len(), "the endpoints were exchanged");
        if let Some((outbox, _)) = &self.apart {
            outbox.replace(endpoints);
        }
    }

    fn exchange_producers(&mut self, next: &Config) {
        if self.config.intake.rules == next.intake.rules {
            return;
        }
        self.config.intake.rules.clone_from(&next.intake.rules);
        let rules = self.config.intake.rules.clone();
        let producers = rules.producers.len();
        tracing::info!(producers, "the keys of producers were exchanged");
        if let Some((_, known)) = &self.apart {
            known.replace(rules);
        }
    }

    async fn exchange_accounts(&mut self, next: &Config) -> Result<(), Refused> {
        if self.config.accounts == next.accounts {
            return Ok(());
        }
        let wrong = |error: String| Refused::ForGood(error);
        let next = self.config.with_accounts_of(next, &self.former);
        let next = next.map_err(|error| wrong(error.to_string()))?;
        let mut all = self.former.clone();
        all.extend(next.accounts.clone());
        let known = Config {
            accounts: all.clone(),
            ..next.clone()
        };
        let known = accounts(&known).map_err(|error| wrong(format!("{error:#}")))?;
        for (name, account) in &next.accounts {
            let before = self.former.get(name);
            let changed = before.is_some_and(|before| before.secret_key != account.secret_key);
            if let Some(account) = known.get(name).filter(|_| changed) {
                let proved = self.gateway.is_same_company(name, account).await;
                proved.map_err(|why| {
                    Refused::ForNow(format!("the new secret key of {name} is not proved: {why}"))
                })?;
            }
        }
        tell_of_removed(&self.config, &next);
        // Known to the gateway's client before anything of it is worked on, and for as long as a
        // turn that has begun may need it.
        self.gateway.replace_accounts(known);
        self.policies.replace(next.policies());
        self.former = all;
        self.config = next;
        let accounts = self.config.accounts.len();
        tracing::info!(accounts, "the accounts were exchanged");
        Ok(())
    }
}

fn tell_of_waiting(waiting: &[String]) {
    if !waiting.is_empty() {
        let settings = waiting.join(", ");
        tracing::warn!(settings, "other settings were changed; they take a restart");
    }
}

fn tell_of_removed(before: &Config, next: &Config) {
    let gone = |name: &&AccountName| !next.accounts.contains_key(*name);
    for account in before.accounts.keys().filter(gone) {
        tracing::warn!(%account, "the account was taken out; payments of it wait until it is back");
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
            let (policies, keys) = (stage.policies.clone(), Arc::clone(&stage.keys));
            let reload = Reload::new(config, gateway.unwrap(), policies, keys);
            let text = Arc::clone(&stage.text);
            let again = move || read(&text.lock().unwrap());
            tokio::spawn(reload.run(Arc::clone(&stage.asked), again));
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
    async fn an_api_key_is_taken_away_whatever_else_is_wrong_and_what_is_put_right_is_taken() {
        let key = format!(
            "[[api.keys]]\nname = \"till\"\nsha256 = \"{}\"\nscopes = [\"read\"]\n",
            "0".repeat(64)
        );
        let stage = Stage::begin();
        stage.write(&key);
        stage.looked(2).await;
        assert!(!stage.keys.is_open());
        let before = stage.keys.len();
        stage.write(&format!("{SHOP}[policy]\nquiet_ms = 1000000"));
        stage.looked(2).await;
        assert_eq!((before, stage.keys.len()), (1, 0));
        assert_eq!(stage.accounts(), ["hotel"]);
        stage.write(SHOP);
        stage.looked(2).await;
        assert_eq!(stage.accounts(), ["hotel", "shop"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_that_was_taken_out_does_not_come_back_as_another() {
        let stage = Stage::begin();
        for (text, accounts) in [
            (SHOP.to_owned(), 2),
            (String::new(), 1),
            (SHOP.replace(BRAND, OTHER), 1),
            (SHOP.to_owned(), 2),
        ] {
            stage.write(&text);
            stage.looked(3).await;
            assert_eq!(stage.accounts().len(), accounts, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_move_a_payment_elsewhere_changes_nothing() {
        let elsewhere = [
            SHOP.replace(BRAND, OTHER),
            SHOP.replace("test", "live"),
            format!("{SHOP}base_url = \"http://127.0.0.1:1/\""),
            format!("{SHOP}[policy]\nquiet_ms = 1000000"),
            format!("{SHOP}[redis]\nprefix = \"other\""),
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
