//! `holdfast`: arguments in, exit code out.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use holdfast::cli::{Around, Cli, Failure, run};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) if told.use_stderr() && std::env::args().any(|arg| arg == "--json") => {
            return end(&Failure::Wrong(told.render().to_string()), true);
        }
        Err(told) => told.exit(),
    };
    let as_json = cli.json;
    let env = environment();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("the process cannot start: {error}")))
        .and_then(|runtime| {
            let around = Around {
                env: &env,
                input: &mut io::stdin(),
                warnings: &mut io::stderr(),
            };
            // Colours reach a terminal that wants them (NO_COLOR, TERM), and nobody else.
            let mut out = anstream::stdout();
            let done = runtime.block_on(run(cli, around, &mut out));
            // A look-up of a name, or a turn that blocks its thread, must not keep a stop waiting.
            runtime.shutdown_timeout(Duration::from_millis(200));
            done
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => end(&failure, as_json),
    }
}

fn end(failure: &Failure, as_json: bool) -> ExitCode {
    // Nobody is left to tell if standard error is gone; the exit code still says it.
    let _ = failure.tell(as_json, &mut io::stderr());
    ExitCode::from(failure.exit_code())
}

/// The environment, as far as it is text: a setting that is not could not be one.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the edge that reads it for everybody"
)]
fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}
