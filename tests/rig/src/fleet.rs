//! Worker processes: started, killed without warning, stopped politely.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How to start a worker process.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    /// The `holdfast` binary.
    pub binary: PathBuf,
    /// Its configuration file.
    pub config: PathBuf,
    /// Environment: secrets, and settings that differ between processes.
    pub env: Vec<(String, String)>,
    /// Where its log goes, one file a process.
    pub logs: PathBuf,
}

/// One worker process. Killed when dropped.
#[derive(Debug)]
pub struct WorkerProcess {
    child: Child,
    /// Where its log is.
    pub log: PathBuf,
}

impl WorkerCommand {
    /// Starts a worker under this name.
    pub fn start(&self, name: &str) -> io::Result<WorkerProcess> {
        let log = self.logs.join(format!("{name}.log"));
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)?;
        let child = Command::new(&self.binary)
            .arg("--config")
            .arg(&self.config)
            .arg("worker")
            .env_clear()
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::from(file.try_clone()?))
            .stderr(Stdio::from(file))
            .spawn()?;
        Ok(WorkerProcess { child, log })
    }
}

impl WorkerProcess {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no warning, no clean-up.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// Sends a signal by name, such as `TERM` or `STOP`.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.id().to_string())
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other("the process is gone"))
        }
    }

    /// Waits for it to end by itself; `None` when it has not by then.
    pub fn ended_within(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let end = now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if now() >= end {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The last lines of its log.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the rig measures real processes by real time"
)]
fn now() -> Instant {
    Instant::now()
}

fn tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// The `holdfast` binary beside the program that is running, as cargo puts them.
pub fn holdfast_binary() -> io::Result<PathBuf> {
    program_beside("holdfast")
}

/// A program of this workspace beside the one that is running, as cargo puts them.
pub fn program_beside(name: &str) -> io::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let missing = || io::Error::other(format!("build {name} first: cargo build -p {name}"));
    here.ancestors()
        .skip(1)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(missing)
}
