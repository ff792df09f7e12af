//! One I/O of a run and what happens to it, as text and back.

use std::fmt;
use std::str::FromStr;

use anyhow::Context;

use super::io::{Io, Manner, words};

words! {
    /// Who makes a call.
    Role {
        /// A worker, or the one that was started in its place.
        Worker = "worker",
        /// A worker that was given what another one works on.
        Second = "second",
        /// A producer.
        Shop = "shop",
        /// A person with the command line.
        Person = "person",
        /// Who receives webhooks.
        Hook = "hook",
    }
}

impl Role {
    /// The role of a process, by its name.
    pub(crate) fn of(process: &str) -> Option<Self> {
        let word = process.split('.').next().unwrap_or_default();
        Self::named(word)
    }
}

/// One I/O of a run: the n-th such call of such a process, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// Who.
    pub role: Role,
    /// What.
    pub io: Io,
    /// Which of them.
    pub nth: u32,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.role, self.io, self.nth)
    }
}

/// What is struck, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fault {
    /// Which I/O.
    pub point: Point,
    /// How.
    pub manner: Manner,
}

impl Fault {
    /// A point in every manner that fits it.
    pub fn all_at(point: Point) -> impl Iterator<Item = Self> {
        let manners = Manner::ALL.iter().copied();
        manners
            .filter(move |manner| manner.fits(point.role))
            .map(move |manner| Self { point, manner })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.point, self.manner)
    }
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut words = text.split('/');
        let mut word = || words.next().unwrap_or_default();
        let role = Role::named(word()).context("a role, such as worker")?;
        let io = Io::named(word()).context("a call, such as store.save")?;
        let nth = word().parse().context("which of them, from 1")?;
        let manner = Manner::named(word()).context("a manner, such as crash-before")?;
        let point = Point { role, io, nth };
        Ok(Self { point, manner })
    }
}
