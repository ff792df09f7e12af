//! What a great many payments cost that are not due yet: a worker that waits, and people who look.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use holdfast::api::KeyHash;
use holdfast::api::v1::new_key;
use holdfast::payment::PaymentId;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use super::probe::cpu_seconds;
use super::stage::Stage;
use super::timing::{Sample, now_us};

/// When they are due: long after the run.
const DUE_AFTER_MS: i64 = 30 * 86_400_000;
/// How many are made in memory at once.
const CHUNK: usize = 10_000;
/// How long the worker is watched while it waits.
const WATCHED: Duration = Duration::from_secs(30);
/// How long it has to come up first.
const COME_UP: Duration = Duration::from_secs(3);
/// How long it may read what happened before it was there.
const CATCH_UP: Duration = Duration::from_secs(300);
/// Whether the last event of a partition was read for what is known of cards.
const HAS_READ: &str = "local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1] \
    local read = redis.call('HGET', KEYS[1], ':cards') or '' \
    return (not last or string.find(read, last[1], 1, true) == 1) and 1 or 0";
/// How often one payment is looked at, and how often a page of them.
const GETS: usize = 2_000;
const LISTS: usize = 500;

/// What they cost.
#[derive(Debug, Clone)]
pub struct Future {
    /// How many wait.
    pub payments: usize,
    /// CPU of the waiting worker, in percent of a core.
    pub worker_cpu_percent: f64,
    /// CPU of Redis meanwhile, in percent of a core.
    pub redis_cpu_percent: f64,
    /// Looks at one payment over HTTP.
    pub get: Sample,
    /// Looks at a page of 50, of different kinds in turn.
    pub list: Sample,
}

impl Future {
    /// All of it as JSON.
    #[must_use]
    pub(super) fn json(&self) -> Value {
        json!({
            "payments": self.payments,
            "worker_cpu_percent": self.worker_cpu_percent,
            "redis_cpu_percent": self.redis_cpu_percent,
            "get": self.get.json(),
            "list": self.list.json(),
        })
    }
}

/// Records `count` charges for next month, lets a worker wait for them, and looks.
pub(super) async fn future(binary: &Path, count: usize) -> anyhow::Result<Future> {
    let stage = Stage::start().await?;
    let ids = record(&stage, count).await?;
    let (key, address) = (new_key(), free_address().await?);
    let settings = format!(
        "[api]\nlisten = \"{address}\"\nper_second = 100000\nburst = 100000\n\n\
         [[api.keys]]\nname = \"bench\"\nsha256 = \"{}\"\nscopes = [\"read\"]\n\n",
        KeyHash::of(key.reveal())
    );
    let worker = stage.worker_with(binary, (32, stage.gateway), &settings)?;
    sleep(COME_UP).await;
    caught_up(&stage).await?;
    let redis = stage.redis.pid().unwrap_or_default();
    let cpu = || anyhow::Ok([cpu_seconds(worker.id())?, cpu_seconds(redis)?]);
    let (before, began) = (cpu()?, Instant::now());
    sleep(WATCHED).await;
    let (after, took) = (cpu()?, began.elapsed().as_secs_f64());
    let percent = |which: usize| (after[which] - before[which]) * 100.0 / took;
    let asker = Asker {
        address,
        key: key.reveal().clone(),
    };
    Ok(Future {
        payments: count,
        worker_cpu_percent: percent(0),
        redis_cpu_percent: percent(1),
        get: gets(&asker, &ids).await?,
        list: lists(&asker).await?,
    })
}

/// A worker that is there from the beginning reads each event as it comes; this one came after all.
async fn caught_up(stage: &Stage) -> anyhow::Result<()> {
    let mut probe = stage.probe()?;
    let began = Instant::now();
    for partition in 0..8 {
        let at = format!("{{hf:{partition}}}");
        let ask = format!("EVAL \"{HAS_READ}\" 2 {at}:cursors {at}:events");
        while probe.ask(&ask)? != ":1" {
            ensure!(
                began.elapsed() < CATCH_UP,
                "the worker still reads old events"
            );
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

async fn record(stage: &Stage, count: usize) -> anyhow::Result<Vec<PaymentId>> {
    let due_ms = now_us() / 1_000 + DUE_AFTER_MS;
    let mut ids = Vec::new();
    for first in (0..count).step_by(CHUNK) {
        let charges: Vec<_> = (first..count.min(first + CHUNK))
            .map(|number| stage.charge(number, Some(due_ms)))
            .collect::<Result<_, _>>()?;
        ids.extend(charges.iter().map(|charge| charge.id().clone()));
        stage.enqueue(&charges, due_ms).await?;
    }
    Ok(ids)
}

async fn gets(asker: &Asker, ids: &[PaymentId]) -> anyhow::Result<Sample> {
    let mut sample = Sample::default();
    let step = (ids.len() / GETS).max(1);
    for id in ids.iter().step_by(step).take(GETS) {
        let taken = asker.ask(&format!("/v1/payments/{id}")).await?;
        sample.add_duration(taken);
    }
    Ok(sample)
}

async fn lists(asker: &Asker) -> anyhow::Result<Sample> {
    let mut sample = Sample::default();
    let pages = [
        "/v1/payments?state=new&limit=50",
        "/v1/payments?due_before=2099-01-01T00:00:00Z&limit=50",
        "/v1/payments?account=hotel&reference=none&limit=50",
    ];
    for page in pages.iter().cycle().take(LISTS) {
        sample.add_duration(asker.ask(page).await?);
    }
    Ok(sample)
}

/// Asks over HTTP, on a connection of its own each time.
struct Asker {
    address: String,
    key: String,
}

impl Asker {
    /// How long a whole answer takes.
    async fn ask(&self, path: &str) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let mut stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let (address, key) = (&self.address, &self.key);
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             authorization: Bearer {key}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let taken = began.elapsed();
        let status = answer.split(|byte| *byte == b'\r').next();
        ensure!(
            status == Some(b"HTTP/1.1 200 OK"),
            "{path}: {}",
            String::from_utf8_lossy(status.unwrap_or_default())
        );
        Ok(taken)
    }
}

async fn free_address() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr().context("a free address")?;
    Ok(address.to_string())
}
