//! A line between the workers and whom they talk to, where things go wrong on demand.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{RwLock, RwLockWriteGuard};
use tokio::task::JoinHandle;

use super::mishap::{Mishap, Side};
use super::tally::{Blow, Tally};

/// How many mishaps may wait for a request at most.
const MOST_WAITING: usize = 4;
/// How many pieces a slow reply comes in at most.
const MOST_PIECES: usize = 6;

/// Where a line leads.
pub(super) enum Far {
    Socket(PathBuf),
    Address(SocketAddr),
}

/// Passes everything on until it is told otherwise. Ends when it is dropped.
pub(super) struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    far: Far,
    side: Side,
    tally: Arc<Tally>,
    waiting: Mutex<VecDeque<Mishap>>,
    random: Mutex<StdRng>,
    /// Every reply passes here. Counts the lives of the far end: what belongs to an earlier one is
    /// not passed on.
    sluice: RwLock<u64>,
}

/// How a connection ends.
enum End {
    Closed,
    Reset,
}

/// While this is there, no reply passes.
pub(super) struct Held<'a>(RwLockWriteGuard<'a, u64>);

impl Held<'_> {
    /// Drops what was held back: the far end died.
    pub(super) fn drop_all(mut self) {
        *self.0 += 1;
    }
}

impl Line {
    pub(super) async fn start(
        (side, far): (Side, Far),
        tally: Arc<Tally>,
        seed: u64,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            far,
            side,
            tally,
            waiting: Mutex::default(),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            sluice: RwLock::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets this go wrong with the connection that the next request comes by.
    pub(super) fn order(&self, mishap: Mishap) {
        let mut waiting = self.shared.waiting();
        if waiting.len() < MOST_WAITING {
            waiting.push_back(mishap);
        }
    }

    /// Takes back what has not gone wrong yet.
    pub(super) fn order_nothing(&self) {
        self.shared.waiting().clear();
    }

    /// From when this answers no reply passes: whatever came through was on the far end's disk.
    pub(super) async fn hold(&self) -> Held<'_> {
        Held(self.shared.sluice.write().await)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // A connection that is gone before it is accepted is no reason to end.
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(connect(client, Arc::clone(&shared)));
        }
    }
}

async fn connect(client: TcpStream, shared: Arc<Shared>) {
    let life = *shared.sluice.read().await;
    let _ = client.set_nodelay(true);
    match &shared.far {
        Far::Socket(path) => {
            if let Ok(server) = UnixStream::connect(path).await {
                pass(client, server, &shared, life).await;
            }
        }
        Far::Address(address) => {
            if let Ok(server) = TcpStream::connect(address).await {
                let _ = server.set_nodelay(true);
                pass(client, server, &shared, life).await;
            }
        }
    }
}

/// Passes one connection on until either side ends, or something ends it.
async fn pass<S>(mut client: TcpStream, server: S, shared: &Shared, life: u64)
where
    S: AsyncRead + AsyncWrite,
{
    let (from_server, to_server) = tokio::io::split(server);
    let next = Mutex::new(None);
    let end = {
        let (from_client, to_client) = client.split();
        tokio::select! {
            end = requests(from_client, to_server, shared, &next) => end,
            end = replies(from_server, (to_client, life), shared, &next) => end,
        }
    };
    if matches!(end, Ok(End::Reset)) {
        let _ = client.set_zero_linger();
    }
}

async fn requests(
    mut from: ReadHalf<'_>,
    mut to: impl AsyncWrite + Unpin,
    shared: &Shared,
    next: &Mutex<Option<Mishap>>,
) -> io::Result<End> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(End::Closed);
        }
        let request = &buffer[..read];
        let Some(mishap) = shared.take() else {
            to.write_all(request).await?;
            continue;
        };
        match mishap {
            Mishap::Cut | Mishap::Reset | Mishap::CutInRequest | Mishap::MuteClient => {
                shared.count(mishap);
            }
            Mishap::CutBeforeReply | Mishap::ResetInReply | Mishap::MuteServer | Mishap::Slow => {
                *next.lock().unwrap_or_else(PoisonError::into_inner) = Some(mishap);
                to.write_all(request).await?;
            }
        }
        match mishap {
            Mishap::Cut => return Ok(End::Closed),
            Mishap::Reset => return Ok(End::Reset),
            Mishap::CutInRequest => {
                to.write_all(&request[..shared.somewhere_in(read)]).await?;
                to.flush().await?;
                return Ok(End::Closed);
            }
            Mishap::MuteClient => while from.read(&mut buffer).await? > 0 {},
            Mishap::CutBeforeReply | Mishap::ResetInReply | Mishap::MuteServer | Mishap::Slow => {}
        }
    }
}

async fn replies(
    mut from: impl AsyncRead + Unpin,
    (mut to, life): (WriteHalf<'_>, u64),
    shared: &Shared,
    next: &Mutex<Option<Mishap>>,
) -> io::Result<End> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(End::Closed);
        }
        let reply = &buffer[..read];
        let mishap = next.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mishap) = mishap {
            shared.count(mishap);
        }
        match mishap {
            Some(Mishap::CutBeforeReply) => return Ok(End::Closed),
            Some(Mishap::ResetInReply) => {
                let part = &reply[..shared.somewhere_in(read)];
                shared.forward(&mut to, part, life).await?;
                return Ok(End::Reset);
            }
            Some(Mishap::MuteServer) => while from.read(&mut buffer).await? > 0 {},
            Some(Mishap::Slow) => {
                for piece in reply.chunks(read.div_ceil(MOST_PIECES)) {
                    tokio::time::sleep(shared.moment()).await;
                    shared.forward(&mut to, piece, life).await?;
                }
            }
            Some(Mishap::Cut | Mishap::Reset | Mishap::CutInRequest | Mishap::MuteClient)
            | None => shared.forward(&mut to, reply, life).await?,
        }
    }
}

impl Shared {
    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<Mishap>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Mishap> {
        self.waiting().pop_front()
    }

    fn count(&self, mishap: Mishap) {
        self.tally.count(Blow::Socket(self.side, mishap));
    }

    fn random<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Fewer bytes than these.
    fn somewhere_in(&self, bytes: usize) -> usize {
        self.random(|random| random.random_range(0..bytes))
    }

    fn moment(&self) -> Duration {
        Duration::from_millis(self.random(|random| random.random_range(20..300)))
    }

    async fn forward(&self, to: &mut WriteHalf<'_>, part: &[u8], life: u64) -> io::Result<()> {
        let now = self.sluice.read().await;
        if *now == life {
            to.write_all(part).await
        } else {
            Err(io::Error::other("the far end died meanwhile"))
        }
    }
}
