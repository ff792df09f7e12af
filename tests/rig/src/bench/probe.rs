//! What Redis and the kernel count.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// What `getconf CLK_TCK` answers on every Linux of today.
const TICKS_A_SECOND: f64 = 100.0;

/// A connection to Redis for questions and for bare writes, one at a time.
pub(super) struct RedisProbe(BufReader<UnixStream>);

impl RedisProbe {
    /// Connects.
    pub(super) fn connect(socket: &Path) -> io::Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(socket)?)))
    }

    /// Sends a command of plain words and reads the answer.
    pub(super) fn ask(&mut self, command: &str) -> io::Result<String> {
        self.0
            .get_mut()
            .write_all(format!("{command}\r\n").as_bytes())?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let Some(length) = line.strip_prefix('$') else {
            return Ok(line.trim_end().to_owned());
        };
        let length: usize = length.trim_end().parse().map_err(io::Error::other)?;
        let mut text = vec![0; length + 2];
        self.0.read_exact(&mut text)?;
        text.truncate(length);
        String::from_utf8(text).map_err(io::Error::other)
    }

    /// How many payments are finished: only their records have an end.
    pub(super) fn finished(&mut self) -> io::Result<u64> {
        let info = self.ask("INFO keyspace")?;
        let after = info.split("expires=").nth(1).unwrap_or("0");
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().map_err(io::Error::other)
    }

    /// What it counted so far.
    pub(super) fn counts(&mut self) -> io::Result<RedisCounts> {
        let info = self.ask("INFO everything")?;
        let mut counts = RedisCounts::default();
        for line in info.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let number = || value.trim().parse().unwrap_or(0);
            match name {
                "total_net_input_bytes" => counts.bytes_in = number(),
                "total_net_output_bytes" => counts.bytes_out = number(),
                _ => {}
            }
            if let Some(command) = name.strip_prefix("cmdstat_") {
                let calls = value.strip_prefix("calls=").unwrap_or("0");
                let digits: String = calls.chars().take_while(char::is_ascii_digit).collect();
                counts
                    .calls
                    .insert(command.to_owned(), digits.parse().unwrap_or(0));
            }
        }
        Ok(counts)
    }
}

/// What Redis counted: what scripts call is counted as well as the scripts themselves.
#[derive(Debug, Clone, Default)]
pub(super) struct RedisCounts {
    /// Bytes that arrived.
    pub(super) bytes_in: u64,
    /// Bytes that were answered.
    pub(super) bytes_out: u64,
    /// How often each command was called.
    pub(super) calls: BTreeMap<String, u64>,
}

impl RedisCounts {
    /// What was added since `before`, but for the questions of this program.
    #[must_use]
    pub(super) fn since(&self, before: &Self) -> Self {
        let calls = self
            .calls
            .iter()
            .filter(|(name, _)| *name != "info")
            .map(|(name, calls)| {
                (
                    name.clone(),
                    calls - before.calls.get(name).copied().unwrap_or(0),
                )
            });
        Self {
            bytes_in: self.bytes_in - before.bytes_in,
            bytes_out: self.bytes_out - before.bytes_out,
            calls: calls.filter(|(_, calls)| *calls > 0).collect(),
        }
    }
}

/// CPU seconds that a process has used, its threads together.
pub(super) fn cpu_seconds(pid: u32) -> io::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the process may hold spaces; it ends with the last bracket.
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
    };
    let used = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
    used.map(|ticks| ticks / TICKS_A_SECOND)
        .ok_or_else(|| io::Error::other("no times in stat"))
}

/// Milliseconds that the threads a process has now were running: finer than [`cpu_seconds`], for
/// what takes only a moment.
pub(super) fn busy_ms(pid: u32) -> io::Result<f64> {
    let mut busy_ns = 0.0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let running = text.split_whitespace().next();
        let running = running.and_then(|ns| ns.parse::<f64>().ok());
        busy_ns += running.ok_or_else(|| io::Error::other("no times in schedstat"))?;
    }
    Ok(busy_ns / 1_000_000.0)
}

/// The most memory that a process had so far, in MiB.
pub(super) fn peak_mib(pid: u32) -> io::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.map(|kib| kib / 1_024.0)
        .ok_or_else(|| io::Error::other("no VmHWM in status"))
}
