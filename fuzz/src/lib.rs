//! Everything that comes from outside, read from random bytes: whatever they are, nothing panics,
//! nothing false is concluded, and nothing private is repeated in an error.
//!
//! `make fuzz` lets the fuzzer look for such bytes; in every run of the tests the [seeds](SEEDS) are
//! read, and many small changes of each. A file that the fuzzer finds belongs among the seeds.

// To panic is how a target tells what it found.
#![allow(clippy::missing_panics_doc)]

mod answer;
mod configuration;
mod demands;
mod http;
mod intake;
mod record;
mod webhook;

pub use answer::answer;
pub use configuration::configuration;
pub use demands::{command, request};
pub use http::http;
pub use intake::intake;
pub use record::record;
pub use webhook::webhook;

/// Reads bytes from outside, and panics if that goes wrong.
pub type Target = fn(&[u8]);

/// All targets, by the name of their folder of seeds.
pub const TARGETS: [(&str, Target); 8] = [
    ("answer", answer),
    ("command", command),
    ("configuration", configuration),
    ("http", asked_over_http),
    ("intake", intake),
    ("record", record),
    ("request", request),
    ("webhook", webhook),
];

fn asked_over_http(bytes: &[u8]) {
    let _ = http(bytes);
}

/// Where the seeds are, a folder for each target.
pub const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds");

/// What an account needs.
const ACCOUNT: &str = "[accounts.hotel]\nmode = \"test\"\n\
                       brand_id = \"409eb80e-3782-4b1d-afa8-b779759266a5\"\n";
/// A key that must not be shown, and where it is given.
const KEY: (&str, &str) = (
    "HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY",
    "canary-key-never-to-be-shown",
);

/// An error that tells people what to do is short, and repeats nothing at length.
fn is_fit_to_show(error: &str) {
    assert!(!error.is_empty(), "an error that says nothing");
    assert!(error.len() < 2_000, "an error of {} bytes", error.len());
}
