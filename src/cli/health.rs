//! `holdfast health`: asks the worker of this machine whether it is ready, or whether it lives.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::failure::Failure;

const PATIENCE: Duration = Duration::from_secs(2);
const ANSWER_BYTES: u64 = 4_096;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether the process lives.
    Lives,
    /// Whether it can do its work now.
    IsReady,
}

impl Question {
    const fn path(self) -> &'static str {
        match self {
            Self::Lives => "/livez",
            Self::IsReady => "/readyz",
        }
    }

    /// What a yes is told as. A ready worker can still have to let money wait, and says why.
    fn yes(self, body: &str) -> String {
        let told: Value = serde_json::from_str(body).unwrap_or_default();
        match (self, told["reason"].as_str()) {
            (Self::Lives, _) => "alive".to_owned(),
            (Self::IsReady, None) => "ready".to_owned(),
            (Self::IsReady, Some(why)) => format!("ready, but money stands still: {why}"),
        }
    }
}

/// Asks at the address that the worker listens to.
pub(super) async fn ask(
    question: Question,
    listen: Option<SocketAddr>,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Some(listen) = listen else {
        let told = "http.listen is empty, so nobody can be asked; set it, or check the process";
        return Err(Failure::Wrong(told.to_owned()));
    };
    let here = reachable(listen);
    let answer = tokio::time::timeout(PATIENCE, get(question.path(), here)).await;
    let body = |text: &str| text.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned();
    match answer {
        Ok(Ok(text)) if text.starts_with("HTTP/1.1 200") => {
            let told = if as_json {
                body(&text)
            } else {
                question.yes(&body(&text))
            };
            Ok(writeln!(out, "{told}")?)
        }
        Ok(Ok(text)) => Err(Failure::Refused(format!("not ready: {}", body(&text)))),
        Ok(Err(error)) => Err(Failure::Other(format!("nobody answers at {here}: {error}"))),
        Err(_) => Err(Failure::Other(format!("no answer from {here} in time"))),
    }
}

/// A worker that listens everywhere is asked here.
const fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn get(path: &str, at: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(at).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
