//! `holdfast completions`: what a shell needs to complete what is typed.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::args::Cli;

/// Written whole or not at all: the library panics where it cannot write.
pub(super) fn print(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "holdfast", &mut script);
    out.write_all(&script)
}
