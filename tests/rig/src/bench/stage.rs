//! A private Redis, the sandbox as a process of its own, and workers with the default settings.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::{DateTime, SecondsFormat};
use holdfast::clock::Clock;
use holdfast::payment::{Payment, Request};
use holdfast::store::redis::{Profile, RedisStore, Settings};
use holdfast::store::{Created, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::probe::RedisProbe;
use crate::fleet::{WorkerCommand, WorkerProcess, program_beside};
use crate::redis::{Redis, RedisOptions};

/// The lease of the default settings; the bench's own store must agree with the workers'.
const LEASE_MS: u64 = 30_000;
/// How many producers enqueue side by side.
const PRODUCERS: usize = 64;

/// Where one figure is taken. Everything it started ends when it is dropped.
pub(super) struct Stage {
    /// The private Redis.
    pub(super) redis: Redis,
    /// Where the gateway's simulator listens.
    pub(super) gateway: SocketAddr,
    /// The store, as a producer uses it.
    pub(super) store: Arc<RedisStore>,
    /// The clock of that store.
    pub(super) clock: Clock,
    sandbox: Child,
    token: String,
    folder: TempDir,
}

impl Stage {
    /// Starts Redis and the sandbox.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let redis = Redis::start(RedisOptions::default())
            .await
            .context("redis-server")?;
        let folder = tempfile::Builder::new()
            .prefix("holdfast-bench-")
            .tempdir()?;
        let (sandbox, gateway) = start_sandbox()?;
        let clock = Clock::system();
        let store = RedisStore::connect(store_settings(redis.url()), clock.clone()).await;
        let store = Arc::new(store.context("the store")?);
        let mut stage = Self {
            redis,
            gateway,
            store,
            clock,
            sandbox,
            token: String::new(),
            folder,
        };
        stage.token = stage.save_card().await?;
        Ok(stage)
    }

    /// The sandbox's process.
    #[must_use]
    pub(super) fn sandbox_pid(&self) -> u32 {
        self.sandbox.id()
    }

    /// A connection for questions to Redis.
    pub(super) fn probe(&self) -> std::io::Result<RedisProbe> {
        RedisProbe::connect(&self.redis.socket())
    }

    /// Starts a worker that finds the gateway at `door`.
    pub(super) fn worker(
        &self,
        binary: &Path,
        concurrency: usize,
        door: SocketAddr,
    ) -> anyhow::Result<WorkerProcess> {
        self.worker_with(binary, (concurrency, door), "")
    }

    /// The same, with more sections of settings.
    pub(super) fn worker_with(
        &self,
        binary: &Path,
        (concurrency, door): (usize, SocketAddr),
        more: &str,
    ) -> anyhow::Result<WorkerProcess> {
        let config = self.folder.path().join("holdfast.toml");
        let text = format!("{more}{}", configuration(concurrency, door));
        std::fs::write(&config, text)?;
        let key = chip_sandbox::DEFAULT_SECRET_KEY.to_owned();
        let env = vec![
            ("HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY".to_owned(), key),
            ("HOLDFAST__REDIS__URL".to_owned(), self.redis.url()),
        ];
        let logs = self.folder.path().to_owned();
        let command = WorkerCommand {
            binary: binary.to_owned(),
            config,
            env,
            logs,
        };
        command.start("worker").context("a worker")
    }

    /// A charge of the saved card, not before `at_ms` if that is given.
    pub(super) fn charge(&self, key: usize, at_ms: Option<i64>) -> anyhow::Result<Payment> {
        let mut request = json!({"type": "charge", "token": self.token});
        if let Some(at_ms) = at_ms {
            request["not_before"] = time(at_ms)?;
        }
        self.payment(key, request)
    }

    /// A hold on the saved card, to be captured at `at_ms`.
    pub(super) fn hold(&self, key: usize, at_ms: i64) -> anyhow::Result<Payment> {
        let plan = json!({"capture_at": time(at_ms)?});
        let source = json!({"token": self.token});
        self.payment(
            key,
            json!({"type": "authorize", "source": source, "plan": plan}),
        )
    }

    fn payment(&self, key: usize, mut request: Value) -> anyhow::Result<Payment> {
        request["v"] = json!(1);
        request["account"] = json!("hotel");
        request["idempotency_key"] = json!(format!("bench-{key}"));
        request["money"] = json!({"amount": 1500 + key % 1000, "currency": "MYR"});
        request["customer"] = json!({"email": "payer@test.example"});
        let request = Request::from_json(request.to_string().as_bytes())?;
        Ok(Payment::new(request, self.clock.now())?)
    }

    /// Records payments that are due at `due_ms`, many producers side by side.
    pub(super) async fn enqueue(&self, payments: &[Payment], due_ms: i64) -> anyhow::Result<()> {
        let due = DateTime::from_timestamp_millis(due_ms).context("a time out of range")?;
        let mut producers = JoinSet::new();
        let each = payments.len().div_ceil(PRODUCERS).max(1);
        for some in payments.chunks(each) {
            let (some, store) = (some.to_vec(), Arc::clone(&self.store));
            producers.spawn(async move {
                for payment in &some {
                    let created = store.create(payment, due).await?;
                    ensure!(created == Created::New, "the key is taken");
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = producers.join_next().await {
            done??;
        }
        Ok(())
    }

    async fn save_card(&self) -> anyhow::Result<String> {
        let wish = json!({"key": chip_sandbox::DEFAULT_SECRET_KEY, "email": "payer@test.example"});
        let answer = exchange(self.gateway, "POST", "/sandbox/cards", &wish.to_string()).await?;
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        let token = serde_json::from_str::<Value>(body)?["token"]
            .as_str()
            .map(str::to_owned);
        token.context("the sandbox saved no card")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.sandbox.kill();
        let _ = self.sandbox.wait();
    }
}

/// One HTTP request on a connection of its own, and the whole answer.
pub(super) async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await??;
    Ok(answer)
}

fn time(at_ms: i64) -> anyhow::Result<Value> {
    let at = DateTime::from_timestamp_millis(at_ms).context("a time out of range")?;
    Ok(json!(at.to_rfc3339_opts(SecondsFormat::Millis, true)))
}

fn start_sandbox() -> anyhow::Result<(Child, SocketAddr)> {
    let binary: PathBuf = program_beside("chip-sandbox")?;
    let mut sandbox = Command::new(binary)
        .args(["--listen", "127.0.0.1:0", "--no-request-log"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("the sandbox")?;
    let said = sandbox.stdout.take().context("the sandbox has no output")?;
    for line in BufReader::new(said).lines() {
        let line = line?;
        let Some(url) = line.trim().strip_prefix("API") else {
            continue;
        };
        let address = url.trim().trim_start_matches("http://").split('/').next();
        return Ok((sandbox, address.unwrap_or_default().parse()?));
    }
    anyhow::bail!("the sandbox did not say where it listens")
}

fn store_settings(url: String) -> Settings {
    Settings {
        url,
        prefix: "hf".to_owned(),
        lease_ms: LEASE_MS,
        profile: Profile::Solo,
        response_timeout_ms: 10_000,
        connect_timeout_ms: 5_000,
        save_patience_ms: 60_000,
        retention_days: 400,
    }
}

/// The defaults, but for where things are.
fn configuration(concurrency: usize, door: SocketAddr) -> String {
    let brand = chip_sandbox::DEFAULT_BRAND_ID;
    format!(
        "[worker]\nconcurrency = {concurrency}\nbatch = {concurrency}\n\n\
         [http]\nlisten = \"\"\n\n[log]\nformat = \"json\"\n\n\
         [accounts.hotel]\nmode = \"test\"\nbrand_id = \"{brand}\"\n\
         base_url = \"http://{door}/api/v1/\"\n"
    )
}
