//! Bars, drawn as SVG. Each says in words what it stands for.

use maud::{Markup, html};

/// How high a chart is, in its own units.
const HEIGHT: u64 = 100;
/// How wide one bar is with its gap, and without.
const PITCH: usize = 10;
const WIDTH: usize = 8;

/// One bar.
pub(super) struct Bar {
    /// How much it stands for.
    pub(super) value: u64,
    /// What it says to whoever asks.
    pub(super) told: String,
    /// How it looks.
    pub(super) class: &'static str,
}

/// Bars beside each other; the highest fills the chart. `name` says what all of it shows.
pub(super) fn bars(name: &str, bars: &[Bar]) -> Markup {
    let highest = bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1);
    let width = bars.len() * PITCH;
    let frame = format!("0 0 {width} {HEIGHT}");
    html! {
        svg.bars viewBox=(frame) preserveAspectRatio="none" role="img" aria-label=(name) {
            @for (at, bar) in bars.iter().enumerate() {
                // What is there is seen, however little it is beside the highest.
                @let least = if bar.value > 0 { 3 } else { 1 };
                @let height = (bar.value.saturating_mul(HEIGHT) / highest).max(least);
                @let class = if bar.value > 0 { bar.class } else { "nothing" };
                rect class=(class) x=(at * PITCH) y=(HEIGHT - height) width=(WIDTH) height=(height)
                    rx="1" { title { (bar.told) } }
            }
        }
    }
}
