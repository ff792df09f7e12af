//! A small HTTP client that shows what really came over the wire.

use std::io;

use chip_sandbox::{DEFAULT_SECRET_KEY, Sandbox};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    /// Bytes announced and not sent.
    pub(crate) missing: usize,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

pub(crate) async fn open(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    body: &Value,
) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(sandbox.address()).await?;
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n\
         Authorization: Bearer {DEFAULT_SECRET_KEY}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

pub(crate) async fn read(mut stream: TcpStream) -> io::Result<Reply> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
    let head = head.to_lowercase();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .ok_or_else(cut)?;
    let announced = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let announced: usize = announced.and_then(|n| n.parse().ok()).unwrap_or(body.len());
    let missing = announced - body.len();
    Ok(Reply {
        status,
        body: body.to_owned(),
        missing,
        head,
    })
}

pub(crate) async fn call(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    body: &Value,
) -> io::Result<Reply> {
    read(open(sandbox, method, path, body).await?).await
}
