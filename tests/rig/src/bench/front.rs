//! A door before the gateway that notes when a request arrives.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::timing::now_us;

/// A request that has arrived.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    /// When its first byte was read.
    pub(super) at_us: i64,
    /// Method and path.
    pub(super) line: String,
}

impl Arrival {
    /// The purchase it is about, if its path names the verb.
    #[must_use]
    pub(super) fn purchase(&self, verb: &str) -> Option<&str> {
        let path = self.line.trim_end_matches('/').strip_suffix(verb)?;
        path.trim_end_matches('/').rsplit('/').next()
    }
}

/// Passes all connections on to the gateway. Ends when it is dropped.
pub(super) struct Front {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// What arrived.
    pub(super) arrivals: UnboundedReceiver<Arrival>,
    task: JoinHandle<()>,
}

impl Front {
    /// Opens a door before the gateway at `gateway`.
    pub(super) async fn open(gateway: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (tell, arrivals) = unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, gateway, tell.clone()));
            }
        });
        Ok(Self {
            address,
            arrivals,
            task,
        })
    }

    /// The next request whose path ends with `verb`, and when it arrived.
    pub(super) async fn next(&mut self, verb: &str) -> Option<Arrival> {
        loop {
            let arrival = self.arrivals.recv().await?;
            if arrival.line.trim_end_matches('/').ends_with(verb) {
                return Some(arrival);
            }
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(client: TcpStream, gateway: SocketAddr, tell: UnboundedSender<Arrival>) {
    let Ok(server) = TcpStream::connect(gateway).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            let at_us = now_us();
            if let Some(line) = request_line(&buffer[..read]) {
                let _ = tell.send(Arrival { at_us, line });
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
        let _ = to_server.shutdown().await;
    };
    let back = async move {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    tokio::join!(there, back);
}

/// Method and path, if these bytes begin a request.
fn request_line(bytes: &[u8]) -> Option<String> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_suffix(" HTTP/1.1")?;
    Some(line.to_owned())
}
