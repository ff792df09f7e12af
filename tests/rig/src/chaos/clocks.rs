//! Clocks that jump: a worker's machine's, and that of Redis, which all workers follow.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use chrono::TimeDelta;
use tempfile::TempDir;

/// What stands between a process and its machine's clock.
const SOURCE: &str = include_str!("clock.c");

/// Lets processes see another time of day than there is.
pub(super) struct Clocks(TempDir);

impl Clocks {
    /// Compiles what is loaded into the processes, with the C compiler that Rust links with.
    pub(super) fn make() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("holdfast-clocks-")
            .tempdir()?;
        let (source, library) = (
            folder.path().join("clock.c"),
            folder.path().join("clock.so"),
        );
        fs::write(&source, SOURCE)?;
        let made = Command::new("cc")
            .args(["-O2", "-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(&source)
            .output()
            .context("cc, the C compiler")?;
        ensure!(
            made.status.success(),
            "the clock cannot be compiled: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        Ok(Self(folder))
    }

    /// What a process must have in its environment to live by the clock of this name.
    pub(super) fn env(&self, name: &str) -> anyhow::Result<Vec<(String, String)>> {
        self.set(name, TimeDelta::zero())?;
        let library = self.0.path().join("clock.so");
        let text = |path: PathBuf| path.display().to_string();
        Ok(vec![
            ("LD_PRELOAD".to_owned(), text(library)),
            ("CHAOS_CLOCK_FILE".to_owned(), text(self.file(name))),
        ])
    }

    /// Lets a clock show so much more than the machine's, from now on.
    pub(super) fn set(&self, name: &str, later: TimeDelta) -> anyhow::Result<()> {
        let later_ns = later.num_nanoseconds().context("too much")?;
        // Written in place: the processes look at the file itself.
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.file(name))?;
        Ok(file.write_all(&later_ns.to_ne_bytes())?)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.later"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(clocks: &Clocks) -> i64 {
        let date = Command::new("date")
            .arg("+%s")
            .envs(clocks.env("date").unwrap())
            .output();
        let told = String::from_utf8(date.unwrap().stdout).unwrap();
        told.trim().parse().unwrap()
    }

    #[test]
    fn a_process_lives_by_the_clock_that_it_is_given() {
        let clocks = Clocks::make().unwrap();
        let right = seconds(&clocks);
        for later in [3_600, -3_600, 2_592_000] {
            let env = clocks.env("date").unwrap();
            clocks
                .set("date", TimeDelta::milliseconds(later * 1_000 + 500))
                .unwrap();
            let date = Command::new("date").arg("+%s").envs(env).output().unwrap();
            let told: i64 = String::from_utf8(date.stdout)
                .unwrap()
                .trim()
                .parse()
                .unwrap();
            let off = told - right - later;
            assert!(
                (0..60).contains(&off),
                "{later} s later it showed {off} s more"
            );
        }
    }
}
