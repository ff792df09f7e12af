//! A whole installation on one machine: a private Redis, the sandbox, worker processes.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use chip_sandbox::{Config, Sandbox};
use holdfast::clock::Clock;
use holdfast::payment::{Payment, PaymentId, Request, StateName, Timestamp};
use holdfast::store::redis::{Profile, RedisStore, Settings};
use holdfast::store::{Created, Loaded, Store};
use tempfile::TempDir;

use crate::fleet::{WorkerCommand, WorkerProcess, holdfast_binary};
use crate::redis::{Redis, RedisOptions};

/// How quick everything goes, in milliseconds. Real installations are far more patient.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long a claim lasts without a renewal.
    pub lease_ms: u64,
    /// How long a call may take.
    pub deadline_ms: u64,
    /// How long "it did not happen" takes to be believed.
    pub quiet_ms: u64,
    /// How many turns run at once in one worker.
    pub concurrency: usize,
}

impl Pace {
    /// For demos and tests of minutes: leases of a second and a half, a quiet period of four.
    pub const QUICK: Self = Self {
        lease_ms: 1_500,
        deadline_ms: 800,
        quiet_ms: 4_000,
        concurrency: 32,
    };
}

/// The account that asks a person when a call stays unknown.
pub const PARKS: &str = "hotel";
/// The account that sends an unknown call again, for the same purchase.
pub const RESENDS: &str = "shop";

/// A whole installation. Everything it started ends when it is dropped.
pub struct Works {
    /// The private Redis.
    pub redis: Redis,
    /// The gateway's simulator; its ledger is the judge.
    pub sandbox: Sandbox,
    /// The store, as a producer or an operator uses it.
    pub store: RedisStore,
    /// The clock of that store.
    pub clock: Clock,
    folder: TempDir,
    command: WorkerCommand,
}

impl Works {
    /// Starts Redis and the sandbox, and writes the workers' configuration. No worker yet.
    pub async fn start(
        pace: Pace,
        sandbox: Config,
        binary: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        Self::start_on(RedisOptions::default(), pace, sandbox, binary).await
    }

    /// Starts the same on a Redis that is set up otherwise.
    pub async fn start_on(
        redis: RedisOptions,
        pace: Pace,
        sandbox: Config,
        binary: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let binary = match binary {
            Some(binary) => binary,
            None => holdfast_binary()?,
        };
        let redis = Redis::start(redis).await.context("redis-server")?;
        let sandbox = Sandbox::start(sandbox).await.context("sandbox")?;
        let folder = tempfile::Builder::new()
            .prefix("holdfast-works-")
            .tempdir()?;
        let config = folder.path().join("holdfast.toml");
        std::fs::write(&config, configuration(pace, &sandbox.base_url()))?;
        let key = chip_sandbox::DEFAULT_SECRET_KEY.to_owned();
        let env = vec![
            (
                "HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY".to_owned(),
                key.clone(),
            ),
            ("HOLDFAST__ACCOUNTS__SHOP__SECRET_KEY".to_owned(), key),
            ("HOLDFAST__REDIS__URL".to_owned(), redis.url()),
            ("RUST_BACKTRACE".to_owned(), "1".to_owned()),
        ];
        let clock = Clock::system();
        let store = RedisStore::connect(store_settings(redis.url(), pace.lease_ms), clock.clone())
            .await
            .context("the store")?;
        let command = WorkerCommand {
            binary,
            config,
            env,
            logs: folder.path().to_owned(),
        };
        Ok(Self {
            redis,
            sandbox,
            store,
            clock,
            folder,
            command,
        })
    }

    /// Starts a worker process.
    pub fn worker(&self, name: &str) -> anyhow::Result<WorkerProcess> {
        self.worker_with(name, &[])
    }

    /// Starts a worker process with settings of its own, such as the address it listens on.
    pub fn worker_with(
        &self,
        name: &str,
        settings: &[(String, String)],
    ) -> anyhow::Result<WorkerProcess> {
        let mut command = self.command.clone();
        command.env.extend_from_slice(settings);
        command.start(name).context("a worker")
    }

    /// How workers are started: to run other commands beside them.
    #[must_use]
    pub const fn command(&self) -> &WorkerCommand {
        &self.command
    }

    /// Makes an API key that may do everything, for the workers that are started from now on.
    pub fn api_key(&self, name: &str) -> anyhow::Result<String> {
        let key = holdfast::api::v1::new_key();
        let hash = holdfast::api::KeyHash::of(key.reveal());
        let mut config = OpenOptions::new().append(true).open(&self.command.config)?;
        write!(
            config,
            "\n[[api.keys]]\nname = \"{name}\"\nsha256 = \"{hash}\"\n\
             scopes = [\"enqueue\", \"read\", \"command\", \"operate\"]\n"
        )?;
        Ok(key.reveal().clone())
    }

    /// Adds an account of the sandbox to the settings of workers that run or are started, with its
    /// key in a file of its own.
    pub fn add_account(&self, name: &str) -> anyhow::Result<()> {
        let key = self.folder.path().join(name);
        std::fs::write(&key, chip_sandbox::DEFAULT_SECRET_KEY)?;
        let mut config = OpenOptions::new().append(true).open(&self.command.config)?;
        let base_url = self.sandbox.base_url();
        write!(
            config,
            "\n{}secret_key_file = \"{}\"\n",
            account(name, "resend_same", &base_url),
            key.display()
        )?;
        Ok(())
    }

    /// Makes a key that may sign everything that is pushed, for the workers that are started from now
    /// on, and answers where its private half is.
    pub fn producer(&self, kid: &str) -> anyhow::Result<PathBuf> {
        let seed: [u8; 32] = rand::random();
        let key = holdfast::client::SigningKey::from_seed(kid, &seed)?;
        let file = self.folder.path().join(format!("{kid}.pem"));
        std::fs::write(&file, holdfast::client::SigningKey::pem_of(&seed))?;
        let mut config = OpenOptions::new().append(true).open(&self.command.config)?;
        let public_key = key.public_key();
        write!(
            config,
            "\n[[intake.producers]]\nkid = \"{kid}\"\npublic_key = \"{public_key}\"\n"
        )?;
        Ok(file)
    }

    /// Gives a setting to the workers that are started from now on, by their environment. The last
    /// value given is the one they get.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        give(&mut self.command.env, name, value.into());
    }

    /// Leaves the folders of workers and Redis behind, for whoever must find out what happened.
    pub fn keep(&mut self) {
        self.folder.disable_cleanup(true);
        self.redis.keep();
    }

    /// The folder with configuration and logs.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Records a request given as JSON, due now.
    pub async fn enqueue(&self, json: &str) -> anyhow::Result<PaymentId> {
        self.enqueue_due(json, self.clock.now()).await
    }

    /// Records a request given as JSON, due at a moment.
    pub async fn enqueue_due(&self, json: &str, due: Timestamp) -> anyhow::Result<PaymentId> {
        let request = Request::from_json(json.as_bytes())?;
        let payment = Payment::new(request, self.clock.now())?;
        match self.store.create(&payment, due).await? {
            Created::New => Ok(payment.id().clone()),
            Created::Existing(_) | Created::Conflict => anyhow::bail!("the key is taken"),
        }
    }

    /// Reads a payment.
    pub async fn load(&self, id: &PaymentId) -> anyhow::Result<Loaded> {
        self.store.load(id).await?.context("no such payment")
    }

    /// Waits until `done` says so of the payment; `false` when it has not within `limit`.
    pub async fn until(
        &self,
        id: &PaymentId,
        limit: Duration,
        done: impl Fn(StateName) -> bool,
    ) -> anyhow::Result<bool> {
        let waited = tokio::time::timeout(limit, async {
            loop {
                let loaded = self.load(id).await?;
                if done(loaded.payment.state().name()) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        match waited.await {
            Ok(result) => result.map(|()| true),
            Err(_) => Ok(false),
        }
    }
}

fn give(env: &mut Vec<(String, String)>, name: &str, value: String) {
    match env.iter_mut().find(|(given, _)| given == name) {
        Some((_, given)) => *given = value,
        None => env.push((name.to_owned(), value)),
    }
}

fn store_settings(url: String, lease_ms: u64) -> Settings {
    Settings {
        url,
        prefix: "hf".to_owned(),
        lease_ms,
        profile: Profile::Solo,
        response_timeout_ms: 5_000,
        connect_timeout_ms: 5_000,
        save_patience_ms: 60_000,
        retention_days: 400,
    }
}

/// What does not depend on the pace.
const SCHEDULES: &str = r#"
[policy.lookup]
delays_ms = [200, 400, 800, 1500, 3000]
jitter_percent = 20
give_up_after_ms = 60000

[policy.technical]
delays_ms = [200, 500, 1000]
jitter_percent = 20
give_up_after_ms = 60000

[policy.business]
delays_ms = [1500, 2000, 2500]
jitter_percent = 10
give_up_after_ms = 120000

[policy.payer]
delays_ms = [300, 500, 1000]
jitter_percent = 20
give_up_after_ms = 60000

[log]
format = "json"
filter = "holdfast=info"
"#;

fn configuration(pace: Pace, base_url: &str) -> String {
    let Pace {
        lease_ms,
        deadline_ms,
        quiet_ms,
        concurrency,
    } = pace;
    let renew_ms = lease_ms / 3;
    let (parks, resends) = (
        account(PARKS, "park", base_url),
        account(RESENDS, "resend_same", base_url),
    );
    format!(
        r#"# Written for one run. Everything is much quicker here than in a real installation: leases
# of {lease_ms} ms, calls of {deadline_ms} ms, a quiet period of {quiet_ms} ms instead of 15 minutes.

[worker]
concurrency = {concurrency}
batch = {concurrency}
lease_ms = {lease_ms}
renew_ms = {renew_ms}
poll_ms = 250
shutdown_ms = 5000

[gateway]
connect_timeout_ms = 500

[gateway.deadlines]
create_ms = {deadline_ms}
look_up_ms = {deadline_ms}
charge_ms = {deadline_ms}
capture_ms = {deadline_ms}
release_ms = {deadline_ms}
cancel_ms = {deadline_ms}

[http]
listen = ""

[policy]
quiet_ms = {quiet_ms}
parked_look_every_ms = 60000
link_lifetime_ms = 600000
link_grace_ms = 2000
hold_lifetime_ms = 600000
expiry_margin_ms = 5000
retry_after_cap_ms = 2000
{SCHEDULES}
{parks}
{resends}"#
    )
}

fn account(name: &str, unknown: &str, base_url: &str) -> String {
    let brand = chip_sandbox::DEFAULT_BRAND_ID;
    format!(
        "[accounts.{name}]\nmode = \"test\"\nbrand_id = \"{brand}\"\n\
         base_url = \"{base_url}\"\nunknown = \"{unknown}\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_given_again_replaces_the_first() {
        let mut env = Vec::new();
        give(&mut env, "A", "1".to_owned());
        give(&mut env, "B", "2".to_owned());
        give(&mut env, "A", String::new());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(env, [pair("A", ""), pair("B", "2")]);
    }
}
