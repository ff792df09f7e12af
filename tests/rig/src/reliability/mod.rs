//! `docs/reliability.md`: a page of text, with the figures of the last long runs put in.
//!
//! The text is `docs/reliability/page.md`. A line such as `{{simulate.matrix}}` in it stands for a
//! table that is made from `docs/reliability/simulate.json`, which the run wrote itself.

mod changed;
mod fuzzed;
mod kept;
mod markdown;
mod rows;
mod tables;

pub use changed::{Changed, SURVIVORS, changed};
pub use fuzzed::fuzzed;
pub use kept::{FOLDER, Kept, keep_output};

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};

/// The page, below the root of the repository.
pub const PAGE: &str = "docs/reliability.md";

/// Makes the page of the repository at `root`.
pub fn page(root: &Path) -> anyhow::Result<String> {
    let folder = root.join(FOLDER);
    let text = folder.join("page.md");
    let text = fs::read_to_string(&text).with_context(|| format!("{}", text.display()))?;
    let runs = kept::all(&folder)?;
    let mut page = String::new();
    for line in text.lines() {
        match placeholder(line) {
            Some(name) => page.push_str(&tables::table_of(name, &runs)?),
            None => page.push_str(line),
        }
        page.push('\n');
    }
    for run in runs.keys() {
        ensure!(
            text.contains(&format!("{{{{{run}.")) && page.contains(&runs[run].commit),
            "{FOLDER}/page.md says nothing of {run}.json"
        );
    }
    Ok(page)
}

fn placeholder(line: &str) -> Option<&str> {
    line.strip_prefix("{{")?.strip_suffix("}}")
}
