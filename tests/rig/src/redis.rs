//! A private Redis.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::sleep;

/// How long a Redis may take to start or to stop.
const PATIENCE_MS: u64 = 20_000;
const STEP_MS: u64 = 5;

/// How a private Redis is set up. The defaults are what the `solo` profile demands.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// `appendonly`.
    pub append_only: bool,
    /// `appendfsync`.
    pub append_fsync: &'static str,
    /// `maxmemory-policy`.
    pub eviction: &'static str,
    /// Listen on a free TCP port as well.
    pub tcp: bool,
    /// Further lines for redis.conf.
    pub lines: Vec<String>,
    /// Its environment, beside what it inherits.
    pub env: Vec<(String, String)>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            append_only: true,
            append_fsync: "always",
            eviction: "noeviction",
            tcp: false,
            lines: Vec::new(),
            env: Vec::new(),
        }
    }
}

/// A Redis process of one's own, with its own directory; both are gone when it is dropped.
pub struct Redis {
    directory: TempDir,
    port: u16,
    env: Vec<(String, String)>,
    process: Option<Child>,
}

impl Redis {
    /// Starts one and waits until it answers.
    pub async fn start(options: RedisOptions) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("holdfast-redis-")
            .tempdir()?;
        // Freed at once; whoever takes it first wins, which among tests is us.
        let port = if options.tcp {
            TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()
        } else {
            0
        };
        let path = directory.path().display();
        let mut conf = format!(
            "port {port}\nbind 127.0.0.1\nunixsocket {path}/redis.sock\ndir {path}\n\
             logfile {path}/redis.log\nsave \"\"\ndaemonize no\n\
             appendonly {}\nappendfsync {}\nmaxmemory-policy {}\n",
            if options.append_only { "yes" } else { "no" },
            options.append_fsync,
            options.eviction,
        );
        for line in &options.lines {
            conf.push_str(line);
            conf.push('\n');
        }
        std::fs::write(directory.path().join("redis.conf"), conf)?;
        let mut redis = Self {
            directory,
            port,
            env: options.env,
            process: None,
        };
        redis.start_again().await?;
        Ok(redis)
    }

    /// Its address, over the socket.
    #[must_use]
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Its address over TCP, if it was asked to listen there.
    #[must_use]
    pub fn tcp_url(&self) -> Option<String> {
        (self.port != 0).then(|| format!("redis://127.0.0.1:{}/0", self.port))
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    /// Its folder, with its log and what it keeps.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Leaves its folder behind when it is dropped.
    pub fn keep(&mut self) {
        self.directory.disable_cleanup(true);
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Starts it again with what it kept, after [`Redis::kill`] or [`Redis::stop`].
    pub async fn start_again(&mut self) -> io::Result<()> {
        let mut process = Command::new("redis-server")
            .arg(self.directory.path().join("redis.conf"))
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        for _ in 0..PATIENCE_MS / STEP_MS {
            if answers(&self.socket()) {
                self.process = Some(process);
                return Ok(());
            }
            if let Some(status) = process.try_wait()? {
                let log = std::fs::read_to_string(self.directory.path().join("redis.log"));
                let log = log.unwrap_or_default();
                return Err(io::Error::other(format!(
                    "redis-server ended ({status}): {log}"
                )));
            }
            sleep(Duration::from_millis(STEP_MS)).await;
        }
        let _ = process.kill();
        let _ = process.wait();
        Err(io::Error::from(io::ErrorKind::TimedOut))
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        process.kill()?;
        process.wait()?;
        let _ = std::fs::remove_file(self.socket());
        Ok(())
    }

    /// Ends it in good order.
    pub async fn stop(&mut self) -> io::Result<()> {
        if let Some(mut process) = self.process.take() {
            signal(process.id(), "TERM")?;
            for _ in 0..PATIENCE_MS / STEP_MS {
                if process.try_wait()?.is_some() {
                    let _ = std::fs::remove_file(self.socket());
                    return Ok(());
                }
                sleep(Duration::from_millis(STEP_MS)).await;
            }
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Kills it and starts it again at once.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.kill()?;
        self.start_again().await
    }

    /// Makes it stand still: connections stay open, nothing is answered.
    pub fn freeze(&self) -> io::Result<()> {
        self.pid().map_or(Ok(()), |pid| signal(pid, "STOP"))
    }

    /// Lets it go on.
    pub fn thaw(&self) -> io::Result<()> {
        self.pid().map_or(Ok(()), |pid| signal(pid, "CONT"))
    }

    /// Makes it stand still for a while.
    pub async fn freeze_for(&self, how_long: Duration) -> io::Result<()> {
        self.freeze()?;
        sleep(how_long).await;
        self.thaw()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn signal(pid: u32, name: &str) -> io::Result<()> {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other("the process is gone"))
    }
}

/// Whether a Redis that has loaded its data answers on the socket.
fn answers(socket: &Path) -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(&answer == b"+PONG")
    };
    ask().unwrap_or(false)
}
