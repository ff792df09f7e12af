//! What a look-up, or an answer that shows the purchase, tells.

use super::payment::Age;

/// What a decline asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Advice {
    /// Never charge again.
    Never,
    /// Charge again another day.
    Later,
}

/// What the purchase looked like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Shows {
    /// Not paid, with so many declined charges listed, and what the newest one asks for.
    Payable { declines: u8, advice: Advice },
    /// A charge is under way.
    Pending,
    /// Money was taken.
    Paid,
    /// Cancelled.
    Cancelled,
}

/// A look-up that a worker waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Question {
    /// Whether the quiet period of the open attempt was over when it was asked.
    pub(crate) quiet: bool,
    /// Whether that since the first sighting of the seal was.
    pub(crate) seal_quiet: bool,
    /// How long ago it was asked.
    pub(crate) asked: Age,
    /// What the gateway answered, and whether that was old news.
    pub(crate) answer: Option<(Shows, bool)>,
}

/// One sighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sighting {
    pub(crate) shows: Shows,
    /// Whether the quiet period of the open attempt was over when it was made.
    pub(crate) quiet: bool,
    /// Whether that since the first sighting of the seal was.
    pub(crate) seal_quiet: bool,
    /// How long ago what it shows for the first time is thought to have begun.
    pub(crate) began: Age,
}
