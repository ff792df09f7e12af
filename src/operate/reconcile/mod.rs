//! Whether the books agree: our records, the gateway purchase by purchase, and its own statement.
//!
//! | file | what |
//! |---|---|
//! | `period` | which days |
//! | `statement`, `columns` | the statement's CSV, read into lines |
//! | `matching` | one payment in all books; pure |
//! | `finding` | in what they differ, and what to do |
//! | `pages` | the records, a page at a time |
//! | `books` | reads the records, and asks the gateway for each |
//! | `asking` | asks the gateway, as fast as it allows |
//! | `strays` | lines of the statement that no record claimed |
//! | `report` | what came of it, for programs and for counting |
//!
//! Records are read by state and by when they were made, from the first one on: a hold may be captured
//! long after it was made, and what is old costs only the reading. The gateway is asked about those
//! that were not finished before the period began, and the statement's lines name their payments
//! themselves. So nothing grows with the number of records but a few bytes of each.

mod asking;
mod books;
mod columns;
mod finding;
mod matching;
mod pages;
mod period;
mod report;
mod statement;
mod strays;

use std::time::Duration;

pub use books::Books;
pub use columns::{Column, Layout, Named, Unit};
pub use finding::{Finding, Kind, Side, masked_name};
pub use matching::{Case, Compared, Rules, Shown};
pub use period::{InvalidPeriod, MALAYSIA, Period};
pub use report::{Lines, Plan, Report, Sums, Verdict};
pub use statement::{BadStatement, Line, Statement, Whose};

use crate::gateway::NoStatement;
use crate::payment::{AccountName, Timestamp};
use crate::store::StoreError;

/// What is to be compared.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The records of this account.
    pub account: AccountName,
    /// Other accounts of the same brand and company: their lines stand in the same statement.
    pub siblings: Vec<AccountName>,
    /// What was taken then.
    pub period: Period,
    /// Where the statement comes from.
    pub statement: StatementFrom,
    /// Who else uses the brand.
    pub brand: BrandUse,
}

/// Where the statement comes from.
#[derive(Debug, Clone)]
pub enum StatementFrom {
    /// The gateway makes one, with columns of these names and times in UTC.
    Gateway(Layout),
    /// It was read before.
    Read {
        /// What stands in it.
        statement: Statement,
        /// When it was made: what was taken later cannot stand in it.
        made_at: Timestamp,
    },
    /// Records and gateway are compared without one: what no record knows of is not found.
    Nowhere,
}

/// Who uses the brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrandUse {
    /// Nobody but Holdfast: whatever else is paid is a difference.
    Ours,
    /// Other systems too: what carries no reference of ours is counted and left alone.
    Shared,
}

/// How fast everything goes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How many purchases are asked about at once.
    pub at_once: usize,
    /// How often one is asked about that is not answered.
    pub tries: u32,
    /// How long to wait between those; twice as long each time.
    pub wait: Duration,
    /// How often to ask whether the statement is made.
    pub poll: Duration,
    /// How often at most.
    pub polls: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            at_once: 8,
            tries: 5,
            wait: Duration::from_secs(1),
            poll: Duration::from_secs(5),
            polls: 180,
        }
    }
}

/// How far it is, for whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The gateway makes the statement; asked so often whether it is made.
    Statement(u32),
    /// So many payments were compared.
    Compared(u64),
    /// So many records were read.
    Read(u64),
}

/// Why nothing, or not everything, was compared.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The gateway does not know the key, or gives it no rights.
    #[error("the gateway refuses the account's key; nothing can be compared with it")]
    Denied,
    /// There is no statement.
    #[error(
        "there is no statement: {0}. Download one in CHIP's portal and give it with --statement, or \
         compare without: --no-statement"
    )]
    NoStatement(#[from] NoStatement),
    /// It cannot be read.
    #[error(transparent)]
    BadStatement(#[from] BadStatement),
}
