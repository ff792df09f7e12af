//! A point between a worker and its Redis where things go wrong on demand.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes everything on until it is told otherwise. Ends when it is dropped.
pub struct FaultPoint {
    directory: TempDir,
    faults: Arc<Faults>,
    task: JoinHandle<()>,
}

struct Faults {
    /// Counts the cuts: a connection that sees it change ends.
    cuts: watch::Sender<u64>,
    delay_ms: AtomicU64,
    lose_replies: AtomicUsize,
    connections: AtomicUsize,
    lost: AtomicUsize,
    watched: std::sync::Mutex<Vec<u8>>,
}

impl FaultPoint {
    /// A point in front of the Redis that listens on `socket`.
    pub fn start(socket: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("holdfast-fault-")
            .tempdir()?;
        let listener = UnixListener::bind(directory.path().join("fault.sock"))?;
        let faults = Arc::new(Faults {
            cuts: watch::Sender::new(0),
            delay_ms: AtomicU64::new(0),
            lose_replies: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            watched: std::sync::Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, socket.to_owned(), Arc::clone(&faults)));
        Ok(Self {
            directory,
            faults,
            task,
        })
    }

    /// The address to give to the worker.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "unix://{}",
            self.directory.path().join("fault.sock").display()
        )
    }

    /// Ends all connections now.
    pub fn cut(&self) {
        self.faults.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Holds back every reply for so long.
    pub fn delay_replies(&self, delay: Duration) {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.faults.delay_ms.store(delay_ms, Ordering::SeqCst);
    }

    /// Lets the next `count` requests that contain `text` be carried out, and ends the connection
    /// instead of passing the reply on.
    pub fn lose_replies_to(&self, text: &str, count: usize) {
        let mut watched = self
            .faults
            .watched
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *watched = text.as_bytes().to_vec();
        self.faults.lose_replies.store(count, Ordering::SeqCst);
    }

    /// How many connections were made so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.faults.connections.load(Ordering::SeqCst)
    }

    /// How many replies were lost so far.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.faults.lost.load(Ordering::SeqCst)
    }
}

impl Drop for FaultPoint {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn accept(listener: UnixListener, socket: PathBuf, faults: Arc<Faults>) {
    while let Ok((client, _)) = listener.accept().await {
        faults.connections.fetch_add(1, Ordering::SeqCst);
        let Ok(server) = UnixStream::connect(&socket).await else {
            continue;
        };
        tokio::spawn(pass(client, server, Arc::clone(&faults)));
    }
}

/// Passes one connection on until either side ends or it is cut.
async fn pass(client: UnixStream, server: UnixStream, faults: Arc<Faults>) {
    let mut cuts = faults.cuts.subscribe();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (lose, losing) = watch::channel(false);
    tokio::select! {
        _ = cuts.changed() => {}
        _ = requests(from_client, to_server, &faults, lose) => {}
        _ = replies(from_server, to_client, &faults, losing) => {}
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    faults: &Faults,
    lose: watch::Sender<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        if faults.takes(&buffer[..read]) {
            lose.send_replace(true);
        }
        to.write_all(&buffer[..read]).await?;
    }
}

async fn replies(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    faults: &Faults,
    losing: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        if *losing.borrow() {
            faults.lost.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        let delay_ms = faults.delay_ms.load(Ordering::SeqCst);
        if delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

impl Faults {
    /// Whether the reply to this request is to be lost.
    fn takes(&self, request: &[u8]) -> bool {
        if self.lose_replies.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let watched = self
            .watched
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let named = request
            .windows(watched.len().max(1))
            .any(|part| part == watched.as_slice());
        let less = |left: usize| left.checked_sub(1);
        named
            && self
                .lose_replies
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                .is_ok()
    }
}
