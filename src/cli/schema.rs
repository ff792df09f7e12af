//! The wire format, for whoever has only the binary.

use std::io::{self, Write};

use clap::ValueEnum;

use crate::api::v1::DOCUMENT;
use crate::payment::{Command, Request};
use crate::store::StateEvent;

/// What is sent to Holdfast, and by it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum SchemaOf {
    /// What a producer asks: authorize, `save_card`, charge or adopt.
    Request,
    /// What is asked of a payment: capture, release, reschedule, cancel or rerun.
    Command,
    /// What a producer is told: a change of state, as it is posted to endpoints.
    Event,
    /// All that the HTTP API takes and answers, as OpenAPI 3.1.
    Openapi,
}

pub(super) fn print(of: SchemaOf, out: &mut dyn Write) -> io::Result<()> {
    match of {
        SchemaOf::Request => out.write_all(Request::SCHEMA.as_bytes()),
        SchemaOf::Command => out.write_all(Command::SCHEMA.as_bytes()),
        SchemaOf::Event => out.write_all(StateEvent::SCHEMA.as_bytes()),
        SchemaOf::Openapi => writeln!(out, "{:#}", *DOCUMENT),
    }
}
