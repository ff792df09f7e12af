//! The page on reliability is what its text and the kept figures make it.

use std::fs;
use std::path::Path;

use holdfast_rig::reliability::{PAGE, page};

#[test]
fn the_page_on_reliability_is_made_from_what_the_long_runs_kept() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let made = page(&root).expect("docs/reliability/ is whole");
    let kept = fs::read_to_string(root.join(PAGE)).unwrap_or_default();
    assert!(made == kept, "{PAGE} is old: make reliability");
}
