//! `make demo`: the main job for real. Each scene says beforehand what must come of it.

#![allow(clippy::print_stdout, reason = "what people see")]

mod doors;
mod expected;
mod gateway;
mod kill;
mod scenes;
mod seen;
mod table;
mod wait;

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use chip_sandbox::Time;
use holdfast::payment::PaymentId;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use self::expected::Expected;
use crate::fleet::WorkerProcess;
use crate::works::{PARKS, Pace, Works};

/// Short times, so that all of it fits into seconds.
const PACE: Pace = Pace {
    deadline_ms: 1_900,
    ..Pace::QUICK
};
/// What the README promises.
const PROMISED: Duration = Duration::from_secs(60);
/// Where worker 1 listens for webhooks; the others do not.
const LISTEN: &str = "HOLDFAST__HTTP__LISTEN";
/// Where it serves the API, and with it the operator's desk.
const SERVE: &str = "HOLDFAST__API__LISTEN";

/// What happens at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtTheEnd {
    /// Everything is stopped.
    Stop,
    /// Everything runs on until Ctrl-C.
    Keep,
}

/// Whether the demo showed what it set out to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every scene ended as it must, and the books agree.
    Sound,
    /// At least one did not, or they do not. What it was has been printed.
    Unsound,
}

/// A payment that a scene asked for.
struct Asked {
    id: PaymentId,
    what: &'static str,
    expected: Expected,
}

/// A demo that is running.
struct Demo {
    works: Works,
    workers: Vec<WorkerProcess>,
    asked: Vec<Asked>,
    listen: String,
    desk: Desk,
    began: Instant,
}

/// The operator's desk: where it is, and what opens it.
struct Desk {
    address: String,
    key: String,
}

/// Runs the demo from beginning to end, with the `holdfast` binary beside the running program
/// unless another one is given.
pub async fn run(at_the_end: AtTheEnd, binary: Option<PathBuf>) -> anyhow::Result<Verdict> {
    println!(
        "Holdfast demo: real workers, a real Redis, a simulator of the gateway that keeps a ledger.\n\
         It has short times of its own: leases {} s (usually 30 s), calls {} s (60 s), \
         quiet period {} s (15 min).\n",
        seconds(PACE.lease_ms),
        seconds(PACE.deadline_ms),
        seconds(PACE.quiet_ms)
    );
    let mut told_to_stop = std::pin::pin!(told_to_stop());
    let mut demo = Demo::start(binary).await?;
    tokio::select! {
        shown = demo.show() => shown?,
        told = &mut told_to_stop => {
            told?;
            anyhow::bail!("stopped before the end; nothing of it is left running");
        }
    }
    if at_the_end == AtTheEnd::Stop {
        demo.stop()?;
        return demo.show_books().await;
    }
    demo.say("starting a new worker 2 in place of the killed one");
    demo.workers[1] = demo.works.worker("worker-2")?;
    let verdict = demo.show_books().await?;
    demo.show_doors().await?;
    told_to_stop.await?;
    demo.stop()?;
    Ok(verdict)
}

/// Resolves at Ctrl-C or SIGTERM.
async fn told_to_stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

impl Demo {
    /// Starts Redis, sandbox and two workers, and registers a webhook from the one to the other.
    async fn start(binary: Option<PathBuf>) -> anyhow::Result<Self> {
        let began = Instant::now();
        let sandbox = chip_sandbox::Config {
            time: Time::System,
            silence_cap: Duration::from_secs(5),
            ..chip_sandbox::Config::default()
        };
        let works = Works::start(PACE, sandbox, binary).await?;
        let free = || -> anyhow::Result<String> {
            Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
        };
        let listen = free()?;
        let desk = Desk {
            address: free()?,
            key: works.api_key("you")?,
        };
        let mut demo = Self {
            works,
            workers: Vec::new(),
            asked: Vec::new(),
            listen,
            desk,
            began,
        };
        demo.say(
            "a private Redis (appendonly yes, appendfsync always) and the gateway's simulator run",
        );
        let callback = format!("http://{}/webhooks/chip/{PARKS}", demo.listen);
        let key = gateway::register_webhook(&demo.works.sandbox, &callback)?;
        let key_file = demo.works.folder().join("webhook.pem");
        std::fs::write(&key_file, key)?;
        demo.works.set(
            "HOLDFAST__ACCOUNTS__HOTEL__WEBHOOK_PUBLIC_KEY_FILES",
            key_file.display().to_string(),
        );
        demo.works.set(LISTEN, demo.listen.clone());
        demo.works.set(SERVE, demo.desk.address.clone());
        let one = demo.works.worker("worker-1")?;
        demo.works.set(LISTEN, "");
        demo.works.set(SERVE, "");
        let two = demo.works.worker("worker-2")?;
        demo.workers = vec![one, two];
        demo.say("worker 1, which also listens for webhooks, and worker 2 are started");
        Ok(demo)
    }

    async fn show(&mut self) -> anyhow::Result<()> {
        self.scenes().await?;
        self.settle().await
    }

    /// Stops the workers politely, whichever of them still live.
    fn stop(&mut self) -> anyhow::Result<()> {
        for worker in &mut self.workers {
            if worker.ended_within(Duration::ZERO)?.is_some() {
                continue;
            }
            worker.signal("TERM")?;
            let status = worker.ended_within(Duration::from_secs(10))?;
            ensure!(
                status.is_some_and(|status| status.success()),
                "a worker did not stop as it should:\n{}",
                worker.tail(20)
            );
        }
        self.say("the workers have stopped");
        Ok(())
    }

    /// Records a request; `what` is what the books call it.
    async fn ask(
        &mut self,
        account: &str,
        key: &str,
        body: &str,
        (what, expected): (&'static str, Expected),
    ) -> anyhow::Result<PaymentId> {
        let request = scenes::request(account, key, body);
        let id = self.works.enqueue(&request).await?;
        self.asked.push(Asked {
            id: id.clone(),
            what,
            expected,
        });
        Ok(id)
    }

    fn say(&self, line: &str) {
        println!("{:5.1} s  {line}", self.began.elapsed().as_secs_f64());
    }
}

fn seconds(ms: u64) -> String {
    let text = format!("{}.{}", ms / 1_000, ms % 1_000 / 100);
    text.trim_end_matches(".0").to_owned()
}
