//! Up to where a stream was copied for an endpoint, and what is compared when it moves on.
//!
//! A half script, left by a crash, is carried out at the start after the next, so that its event comes
//! to stand behind the last one of the run before: before events of the run between, which the cursor
//! may have passed. So each event says in which run of Redis it was written, and a cursor keeps between
//! which two the runs changed: whatever stands there later is copied then.

use redis::Value;

use super::value::{items, text};
use crate::store::{EventPlace, Reader};

/// What stands where nothing is known.
const NONE: &str = "-";

/// A cursor, and as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cursor {
    pub(super) at: EventPlace,
    /// In which run the entry there was written.
    run: Option<String>,
    /// The last entry of a run, and the first one of the next.
    edge: Option<(EventPlace, EventPlace)>,
    /// Which filter moves it, and since when that one is wanted, in milliseconds.
    filter: Option<(i64, String)>,
}

/// What a worker may do with a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It moves it.
    Holds,
    /// It takes it over first: another filter moved it so far.
    TakesOver,
    /// A worker that read its settings later moves it by another filter.
    Outranked,
}

impl Cursor {
    /// Behind the entry that is the last one of its stream.
    pub(super) fn behind(entry: &Value) -> Option<Self> {
        Some(Self {
            at: place_of(entry)?,
            run: run_of(entry),
            ..Self::default()
        })
    }

    pub(super) fn parse(written: &str) -> Option<Self> {
        let mut parts = written.split(' ');
        let mut next = || parts.next().filter(|part| *part != NONE);
        let at = next()?.parse().ok()?;
        let run = next().map(ToOwned::to_owned);
        let edge = (next(), next());
        let (since, filter) = (next(), next());
        let place = |text: &str| text.parse().ok();
        Some(Self {
            at,
            run,
            edge: edge.0.and_then(place).zip(edge.1.and_then(place)),
            filter: since
                .zip(filter)
                .and_then(|(since, filter)| Some((since.parse().ok()?, filter.to_owned()))),
        })
    }

    pub(super) fn written(&self) -> String {
        let or = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        let edge = self.edge.as_ref();
        [
            self.at.to_string(),
            or(self.run.clone()),
            or(edge.map(|edge| edge.0.to_string())),
            or(edge.map(|edge| edge.1.to_string())),
            or(self.filter.as_ref().map(|filter| filter.0.to_string())),
            or(self.filter.as_ref().map(|filter| filter.1.clone())),
        ]
        .join(" ")
    }

    /// Between which two entries one may have come to stand since.
    pub(super) const fn edge(&self) -> Option<(EventPlace, EventPlace)> {
        self.edge
    }

    /// What `reader` may do with it.
    pub(super) fn standing<F>(&self, reader: &Reader<F>) -> Standing {
        match &self.filter {
            Some((_, filter)) if *filter == reader.filter => Standing::Holds,
            Some((since, _)) if *since > reader.since.timestamp_millis() => Standing::Outranked,
            _ => Standing::TakesOver,
        }
    }

    /// The cursor once `late` was copied, which stood at the edge, and `entries` behind the cursor.
    pub(super) fn passed<F>(&self, reader: &Reader<F>, late: &[Value], entries: &[Value]) -> Self {
        let mut next = self.clone();
        let since = reader.since.timestamp_millis();
        let before = next.filter.as_ref().map(|(since, _)| *since);
        next.filter = Some((before.unwrap_or(since).max(since), reader.filter.clone()));
        next.moved(late, entries)
    }

    /// The cursor behind `late`, which stood at the edge, and `entries`, whoever read them.
    pub(super) fn moved(&self, late: &[Value], entries: &[Value]) -> Self {
        let mut next = self.clone();
        if let (Some((_, after)), Some(last)) = (next.edge, late.last().and_then(place_of)) {
            next.edge = Some((last, after));
        }
        for entry in entries {
            let (Some(at), run) = (place_of(entry), run_of(entry)) else {
                continue;
            };
            if run != next.run {
                next.edge = Some((next.at, at));
            }
            (next.at, next.run) = (at, run);
        }
        next
    }
}

/// Where an entry stands.
pub(super) fn place_of(entry: &Value) -> Option<EventPlace> {
    text(items(entry).first()?)?.parse().ok()
}

/// In which run of Redis an entry was written.
fn run_of(entry: &Value) -> Option<String> {
    let fields = items(items(entry).get(1)?);
    let mut pairs = fields.as_chunks::<2>().0.iter();
    let run = pairs.find(|pair| text(&pair[0]) == Some("run"))?;
    text(&run[1]).map(ToOwned::to_owned)
}
