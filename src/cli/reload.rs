//! Accounts, keys and endpoints are exchanged without a restart: when SIGHUP asks for it, and when the
//! configuration or a file that it names was changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::worker::accounts;
use crate::api::pushed::{DAYS_SIGNED, Producers, Rules};
use crate::api::{ApiKey, KeyRing};
use crate::config::{Account, Config, Current, Wrong};
use crate::gateway::ChipGateway;
use crate::payment::AccountName;
use crate::telemetry::Metrics;
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
    // Nothing else depends on these, and they depend on nothing.
    outbox: Option<Arc<Outbox>>,
    producers: Option<Arc<Producers>>,
    metrics: Metrics,
}

/// What was read, beside what is in use.
#[derive(Debug, Clone, PartialEq)]
enum Found {
    Same,
    Changed(Box<Config>),
    Wrong(Wrong),
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
            outbox: None,
            producers: None,
            metrics: Metrics::default(),
        }
    }

    /// The same, with figures that are told of every account.
    pub(super) fn told(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// The same, with endpoints and the keys of producers that are exchanged too.
    pub(super) fn with(self, outbox: Arc<Outbox>, producers: Arc<Producers>) -> Self {
        Self {
            outbox: Some(outbox),
            producers: Some(producers),
            ..self
        }
    }

    /// Exchanges what `read` finds changed, for ever; at once whenever it is `asked` for.
    pub(super) async fn run<R>(mut self, asked: Arc<Notify>, read: R)
    where
        R: Fn() -> Result<Config, Wrong> + Clone + Send + 'static,
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

    fn compare(&self, read: Result<Config, Wrong>) -> Found {
        match read {
            Ok(next) if self.config.is_exchanged_by(&next) => Found::Changed(Box::new(next)),
            Ok(_) => Found::Same,
            Err(wrong) => Found::Wrong(wrong),
        }
    }

    /// Takes what is new, and answers what need not be looked at again.
    async fn take(&mut self, found: Found) -> Found {
        let next = match &found {
            Found::Same => {
                tracing::info!("accounts, keys and endpoints are as they were");
                return found;
            }
            Found::Wrong(Wrong { problems, callers }) => {
                tracing::error!(
                    event = "settings_refused",
                    %problems,
                    "the new settings are wrong; only keys of the API and of producers are exchanged, \
                     as far as each can be read"
                );
                self.exchange_keys(callers.keys(&self.config.api.keys));
                self.exchange_producers(callers.rules(&self.config.intake.rules));
                return found;
            }
            Found::Changed(next) => next,
        };
        // By themselves: nothing shall keep a key from being taken away.
        self.exchange_keys(next.api.keys.clone());
        self.exchange_producers(next.intake.rules.clone());
        self.exchange_endpoints(next);
        match self.exchange_accounts(next).await {
            Ok(()) => Found::Same,
            Err(Refused::ForGood(why)) => {
                tracing::error!(
                    event = "accounts_kept",
                    why,
                    "the accounts cannot be exchanged; they stay as they are"
                );
                found
            }
            Err(Refused::ForNow(why)) => {
                tracing::error!(
                    event = "accounts_kept",
                    why,
                    "the accounts are not exchanged yet; it is tried again"
                );
                Found::Same
            }
        }
    }

    fn exchange_keys(&mut self, next: Vec<ApiKey>) {
        if self.config.api.keys == next {
            return;
        }
        self.keys.replace(next.clone());
        self.config.api.keys = next;
        let keys = self.config.api.keys.len();
        tracing::info!(keys, "the API keys were exchanged");
        if self.config.api.listen.is_some() && keys == 0 && !self.keys.is_open() {
            tracing::error!(
                event = "api_keys_gone",
                "no API key is left: the API lets nobody in, and no worker starts with these settings"
            );
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
        if let Some(outbox) = &self.outbox {
            outbox.replace(endpoints);
        }
    }

    fn exchange_producers(&mut self, next: Rules) {
        if self.config.intake.rules == next {
            return;
        }
        self.config.intake.rules = next;
        let mut rules = self.config.intake.rules.clone();
        // How long payments are kept is read at the start alone.
        if self.config.redis.retention_days <= DAYS_SIGNED && !rules.producers.is_empty() {
            tracing::error!(
                event = "producers_gone",
                "what producers sign is taken for longer than this worker keeps payments \
                 (redis.retention_days); it takes none of it until it is started again"
            );
            rules.producers.clear();
        }
        let (producers, unsigned) = (rules.producers.len(), rules.accept_unsigned);
        tracing::info!(producers, unsigned, "the keys of producers were exchanged");
        if self.config.intake.enabled && producers == 0 && !unsigned {
            tracing::error!(
                event = "producers_gone",
                "no producer is left: whatever is pushed is refused and goes into quarantine, and no \
                 worker that takes pushes starts with these settings"
            );
        }
        if let Some(known) = &self.producers {
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
        for account in next.accounts.keys() {
            self.metrics.know(account);
        }
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
    fn read(text: &str) -> Result<Config, Wrong> {
        let hotel = format!("[accounts.hotel]\nmode = \"test\"\nbrand_id = \"{BRAND}\"\n");
        let section = |name: &str| format!("[accounts.{}]", name.to_lowercase());
        let named = |name: &&str| *name == "HOTEL" || text.contains(&section(name));
        let keys = ["HOTEL", "SHOP", "KIOSK"]
            .into_iter()
            .filter(named)
            .map(|name| {
                let variable = format!("HOLDFAST__ACCOUNTS__{name}__SECRET_KEY");
                (variable, "secret".to_owned())
            });
        Config::read_anew("holdfast.toml", &format!("{text}\n{hotel}"), keys)
    }

    /// A file that is changed while a worker reads it, and what that worker has in use.
    struct Stage {
        text: Arc<Mutex<String>>,
        asked: Arc<Notify>,
        policies: Current<Policies>,
        keys: Arc<KeyRing>,
        producers: Arc<Producers>,
        metrics: Metrics,
    }

    impl Stage {
        fn begin() -> Self {
            Self::begin_with("")
        }

        fn begin_with(text: &str) -> Self {
            let config = read(text).unwrap();
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
                producers: Arc::new(Producers::new(config.intake.rules.clone())),
                metrics: Metrics::default(),
            };
            let (policies, keys) = (stage.policies.clone(), Arc::clone(&stage.keys));
            let mut reload = Reload::new(config, gateway.unwrap(), policies, keys);
            reload.producers = Some(Arc::clone(&stage.producers));
            reload = reload.told(stage.metrics.clone());
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

        fn keys(&self) -> Vec<String> {
            let keys = self.keys.all();
            keys.iter()
                .map(|key| key.name.as_str().to_owned())
                .collect()
        }

        fn producers(&self) -> Vec<String> {
            let rules = self.producers.rules();
            let each = rules.producers.iter();
            each.map(|one| one.kid.as_str().to_owned()).collect()
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
        let none_parked = r#"holdfast_parkings_total{account="shop",reason="poison"} 0"#;
        let told = stage.metrics.encode();
        assert!(told.contains(none_parked), "it is told before it happens");
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
        let before = stage.keys().len();
        stage.write(&format!("{SHOP}[policy]\nquiet_ms = 1000000"));
        stage.looked(2).await;
        assert_eq!((before, stage.keys().len()), (1, 0));
        assert_eq!(stage.accounts(), ["hotel"]);
        stage.write(SHOP);
        stage.looked(2).await;
        assert_eq!(stage.accounts(), ["hotel", "shop"]);
    }

    /// A key of the API, and a producer of the same name: each with rights to read and to charge.
    fn key(digit: char, more: &str) -> String {
        let hash = digit.to_string().repeat(64);
        format!(
            "[[api.keys]]\nname = \"k{digit}\"\nsha256 = \"{hash}\"\nscopes = [\"read\"]\n{more}\n"
        )
    }

    fn producer(name: &str, key: &str, more: &str) -> String {
        format!("[[intake.producers]]\nkid = \"{name}\"\n{key}\ntypes = [\"charge\"]\n{more}\n")
    }

    /// A public half that is `byte` and nothing but.
    fn half(byte: u8) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode([byte; 32]);
        format!("public_key = \"{text}\"")
    }

    /// What is truly wrong, and has nothing to do with keys.
    const ELSEWHERE: [&str; 7] = [
        "[worker]\nconcurrency = \"many\"\n",
        "[policy]\nquiet_ms = 1\n",
        "[log]\ncolour = true\n",
        "[accounts.shop]\nmode = \"test\"\n",
        "[accounts.shop]\nmode = \"test\"\nbrand_id = \"x\"\nsecret_key_file = \"/nowhere\"\n",
        "[accounts.shop]\nmode = \"test\"\nwebhook_public_key_files = [\"/nowhere\"]\n",
        "[endpoints.shop]\nurl_file = \"/nowhere\"\n",
    ];

    #[tokio::test(start_paused = true)]
    async fn the_last_key_and_the_last_producer_can_be_taken_away() {
        let stage = Stage::begin();
        let listening = "[api]\nlisten = \"0.0.0.0:8081\"\n";
        let with = |lists: &str| format!("[intake]\nenabled = true\n{listening}{lists}");
        stage.write(&with(&format!(
            "{}{}",
            key('1', ""),
            producer("p1", &half(1), "")
        )));
        stage.looked(2).await;
        assert_eq!(
            (stage.keys(), stage.producers()),
            (vec!["k1".to_owned()], vec!["p1".to_owned()])
        );
        stage.write(&with(""));
        assert!(read(&with("")).unwrap().require_callers().is_err());
        stage.looked(2).await;
        assert_eq!((stage.keys().len(), stage.producers().len()), (0, 0));
        assert!(!stage.keys.is_open() && !stage.producers.rules().accept_unsigned);
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_else_is_wrong_what_is_no_longer_listed_is_withdrawn_and_what_is_whole_is_taken()
     {
        for wrong in ELSEWHERE {
            let stage = Stage::begin();
            let all = |one: char, other: char| {
                let half = |digit: char| half(digit as u8);
                format!(
                    "{}{}{}{}",
                    key(one, ""),
                    key(other, ""),
                    producer(&format!("p{one}"), &half(one), ""),
                    producer(&format!("p{other}"), &half(other), ""),
                )
            };
            stage.write(&all('1', '2'));
            stage.looked(2).await;
            let before = (stage.keys(), stage.producers());
            assert_eq!(before.0, ["k1", "k2"]);
            assert_eq!(before.1, ["p1", "p2"]);
            let changed = format!("{wrong}{}", all('2', '3'));
            assert!(read(&changed).is_err(), "{wrong}");
            stage.write(&changed);
            stage.looked(2).await;
            assert_eq!(stage.keys(), ["k2", "k3"], "{wrong}");
            assert_eq!(stage.producers(), ["p2", "p3"], "{wrong}");
            assert_eq!(stage.accounts(), ["hotel"], "{wrong}");
            // Put right, and all of it is taken.
            stage.write(&format!("{SHOP}{}", all('2', '4')));
            stage.looked(2).await;
            assert_eq!(stage.keys(), ["k2", "k4"], "{wrong}");
            assert_eq!(stage.accounts(), ["hotel", "shop"], "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_of_an_account_that_went_in_the_same_edit_stays_as_it_was_and_others_go() {
        let stage = Stage::begin();
        let named = "accounts = [\"shop\"]";
        let lists = |digit: char| {
            format!(
                "{}{}",
                key(digit, named),
                producer(&format!("p{digit}"), &half(digit as u8), named)
            )
        };
        stage.write(&format!("{}{}{SHOP}", lists('1'), lists('2')));
        stage.looked(2).await;
        let before = (stage.keys.all(), stage.producers.rules());
        stage.write(&lists('1'));
        stage.looked(2).await;
        assert_eq!(stage.keys.all(), before.0[..1]);
        assert_eq!(stage.producers.rules().producers, before.1.producers[..1]);
        assert_eq!(stage.accounts(), ["hotel", "shop"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_that_is_not_whole_widens_nothing() {
        let stage = Stage::begin();
        let narrow = "accounts = [\"hotel\"]\nlargest_amount_minor = 100";
        let lists = |more: &str| format!("{}{}", key('1', more), producer("p1", &half(1), more));
        stage.write(&lists(narrow));
        stage.looked(2).await;
        let before = (stage.keys.all(), stage.producers.rules());
        assert_eq!((before.0.len(), before.1.producers.len()), (1, 1));
        let widened = [
            "account = [\"hotel\"]",
            "accounts = []",
            "accounts = [\"hotel\", \"motel\"]\nlargest_amount_minor = 200",
            "accounts = [\"hotel\"]\nlargest_amount_minor = \"none\"",
            "expires_at = \"never\"",
        ];
        for more in widened {
            stage.write(&format!(
                "[intake]\naccept_unsigned = true\n{}",
                lists(more)
            ));
            stage.looked(2).await;
            assert_eq!(stage.keys.all(), before.0, "{more}");
            assert_eq!(stage.producers.rules(), before.1, "{more}");
        }
        // Twice is not whole, whichever of the two is meant.
        stage.write(&format!("{}{}", lists(""), lists("")));
        stage.looked(2).await;
        assert_eq!(stage.keys.all(), before.0);
        assert_eq!(stage.producers.rules(), before.1);
        // What was never whole is not taken at all.
        stage.write(&format!("{}{}", lists(narrow), key('2', "account = []")));
        stage.looked(2).await;
        assert_eq!(stage.keys.all(), before.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_producer_is_withdrawn_with_its_public_half_and_not_with_a_file_that_cannot_be_read()
    {
        for (next, stays) in [
            ("public_key_file = \"/nowhere\"".to_owned(), true),
            (half(2), false),
            ("public_key = \"x\"".to_owned(), false),
            (String::new(), false),
        ] {
            let stage = Stage::begin();
            stage.write(&producer("p1", &half(1), ""));
            stage.looked(2).await;
            let wrong = producer("p1", &next, "largest_amount_minor = \"none\"");
            stage.write(&wrong);
            stage.looked(2).await;
            assert_eq!(stage.producers().len(), usize::from(stays), "{next}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_cannot_be_read_changes_nothing_and_unsigned_pushes_can_be_refused_by_it() {
        let stage = Stage::begin();
        let lists = format!("{}{}", key('1', ""), producer("p1", &half(1), ""));
        stage.write(&format!("[intake]\naccept_unsigned = true\n{lists}"));
        stage.looked(2).await;
        assert!(stage.producers.rules().accept_unsigned);
        for unread in [
            "[api",
            "[api]\nkeys = 5\n[intake]\nproducers = 5\naccept_unsigned = true",
        ] {
            stage.write(unread);
            stage.looked(2).await;
            let now = (stage.keys().len(), stage.producers().len());
            assert_eq!(now, (1, 1), "{unread}");
            assert!(stage.producers.rules().accept_unsigned);
        }
        stage.write(&format!(
            "[policy]\nquiet_ms = 1\n[intake]\naccept_unsigned = false\n{lists}"
        ));
        stage.looked(2).await;
        assert!(!stage.producers.rules().accept_unsigned);
    }

    #[tokio::test(start_paused = true)]
    async fn no_producer_comes_to_a_worker_that_forgets_payments_before_what_is_signed() {
        let stage = Stage::begin_with("[redis]\nretention_days = 7\n");
        stage.write(&producer("p1", &half(1), ""));
        stage.looked(3).await;
        assert_eq!(stage.producers().len(), 0);
    }

    /// Settings of the hotel at a sandbox, with this secret key.
    fn at(sandbox: &chip_sandbox::Sandbox, secret: &str) -> Config {
        let (base_url, brand) = (sandbox.base_url(), chip_sandbox::DEFAULT_BRAND_ID);
        let text = format!(
            "[gateway]\nbase_url = \"{base_url}\"\n[accounts.hotel]\nmode = \"test\"\nbrand_id = \"{brand}\"\n"
        );
        let variable = "HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY".to_owned();
        Config::read("holdfast.toml", &text, [(variable, secret.to_owned())]).unwrap()
    }

    #[tokio::test]
    async fn a_new_secret_key_is_taken_once_it_is_proved_to_be_one_of_the_same_company() {
        use chip_sandbox::{Account, DEFAULT_BRAND_ID, Effect, Operation, Rule, Sandbox};

        let motel = uuid::Uuid::from_u128(1);
        let config = chip_sandbox::Config {
            accounts: vec![
                Account::new("Hotel", "first", DEFAULT_BRAND_ID),
                Account::new("Motel", "foreign", motel),
            ],
            ..chip_sandbox::Config::default()
        };
        let sandbox = Sandbox::start(config).await.unwrap();
        sandbox.add_key("second");
        let config = at(&sandbox, "first");
        let known = accounts(&config).unwrap();
        let gateway = ChipGateway::new(known, config.gateway_settings(), Clock::system()).unwrap();
        let keys = Arc::new(KeyRing::new(Vec::new(), config.api.pace));
        let policies = Current::new(config.policies());
        let mut reload = Reload::new(config, gateway.clone(), policies, keys);
        let hotel = AccountName::new("hotel").unwrap();
        let in_use = async |reload: &mut Reload, secret: &str| {
            let found = reload.compare(Ok(at(&sandbox, secret)));
            assert!(matches!(found, Found::Changed(_)), "{secret}");
            reload.take(found).await;
            reload.config.accounts[&hotel]
                .secret_key
                .reveal()
                .to_owned()
        };
        assert_eq!(in_use(&mut reload, "foreign").await, "first");
        sandbox.revoke_key("foreign");
        assert!(gateway.company_key(&hotel).await.is_some());
        sandbox.add_fault(Rule::on(
            Operation::PublicKey,
            Effect::status_after_commit(503),
        ));
        assert_eq!(in_use(&mut reload, "second").await, "first");
        sandbox.clear_faults();
        assert_eq!(in_use(&mut reload, "second").await, "second");
        sandbox.revoke_key("first");
        assert!(gateway.company_key(&hotel).await.is_some());
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
