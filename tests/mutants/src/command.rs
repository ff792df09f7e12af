//! A program that is run to its end, or to the end of its time.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With this code.
    Code(i32),
    /// It was stopped when its time was over.
    OutOfTime,
}

/// Runs `command` in `folder` for `limit` at most. Answers how it ended and all that it said.
pub(crate) fn run(
    command: &mut Command,
    folder: &Path,
    log: &Path,
    limit: Duration,
) -> anyhow::Result<(Exit, String)> {
    let out = File::create(log)?;
    let name = command.get_program().to_string_lossy().into_owned();
    // A group of its own, so that what it starts is stopped with it.
    let mut child = command
        .current_dir(folder)
        .stdin(std::process::Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .process_group(0)
        .spawn()
        .with_context(|| format!("{name} does not start"))?;
    let began = Instant::now();
    let exit = loop {
        if let Some(status) = child.try_wait()? {
            break Exit::Code(status.code().unwrap_or(-1));
        }
        if began.elapsed() > limit {
            let group = format!("-{}", child.id());
            Command::new("kill")
                .args(["-KILL", "--", &group])
                .status()?;
            child.wait()?;
            break Exit::OutOfTime;
        }
        sleep(LOOK_EVERY);
    };
    let said = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    Ok((exit, said))
}
