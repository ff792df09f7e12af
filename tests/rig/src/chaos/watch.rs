//! The judge looks on: what is wrong with money is told at once.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chip_sandbox::{Movement, MovementKind};
use holdfast::payment::StateName;
use holdfast::store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::ground::Ground;

const EVERY: Duration = Duration::from_millis(500);
/// What is asked of a worker that listens.
const QUESTIONS: [&str; 3] = ["livez", "readyz", "metrics"];

/// Counts effects as they come until faults are over: one take, one hold, one release at most.
pub(super) async fn money(ground: Arc<Ground>) -> anyhow::Result<()> {
    let mut seen = 0;
    let mut effects: BTreeMap<(Uuid, &'static str), u32> = BTreeMap::new();
    while !ground.is_over() {
        sleep(EVERY).await;
        let new: Vec<Movement> = ground.sandbox.with(|engine, _| {
            let all = engine.ledger().movements();
            all[seen..].to_vec()
        });
        seen += new.len();
        for movement in new {
            let effect = match movement.kind {
                MovementKind::Charge | MovementKind::Capture => "taken",
                MovementKind::Hold => "reserved",
                MovementKind::Release | MovementKind::Lapse | MovementKind::Refund => continue,
            };
            let count = effects.entry((movement.purchase_id, effect)).or_default();
            *count += 1;
            if *count > 1 {
                let reference = &movement.reference;
                ground.broken(format!("a purchase of {reference}: {effect} {count} times"));
            }
        }
    }
    Ok(())
}

/// Asks how much is under way until faults are over.
pub(super) async fn backlog(ground: Arc<Ground>) -> anyhow::Result<()> {
    while !ground.is_over() {
        sleep(EVERY / 2).await;
        if let Ok(stats) = ground.store.stats().await {
            let parked = stats.by_state.iter();
            let parked = parked.filter(|(state, _)| *state == StateName::Parked);
            let parked: u64 = parked.map(|(_, count)| count).sum();
            let under_way = stats.unfinished.saturating_sub(parked);
            ground.under_way.store(under_way, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Writes down what a worker answers about itself, until faults are over: it is searched for what
/// must not be told, as the logs are.
pub(super) async fn answers(ground: Arc<Ground>, listens: SocketAddr) -> anyhow::Result<()> {
    let path = ground.command.logs.join("answers.log");
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    while !ground.is_over() {
        for question in QUESTIONS {
            sleep(EVERY).await;
            if let Ok(Ok(answer)) = timeout(EVERY * 4, ask(listens, question)).await {
                file.write_all(&answer)?;
            }
        }
    }
    Ok(())
}

async fn ask(listens: SocketAddr, question: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(listens).await?;
    let request = format!("GET /{question} HTTP/1.1\r\nhost: worker\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}
