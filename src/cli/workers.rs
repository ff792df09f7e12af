//! Which workers are there, what they have seen of what is stopped, and what they have under way.

use std::io::Write;

use serde_json::{Value, json};

use super::failure::Failure;
use super::switches::Switchboard;
use super::view::time;
use crate::operate::switches::{Seen, calls_until, is_lost, lives};
use crate::store::switches::WorkerNote;

impl Switchboard<'_> {
    pub(super) async fn workers(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let (notes, now) = (self.store.workers().await?, self.clock.now());
        let unreadable: Vec<String> = notes.unreadable.into_keys().collect();
        let notes: Vec<(String, WorkerNote)> = (notes.read.into_iter())
            .filter(|(_, note)| lives(note, now) || is_lost(note, now))
            .collect();
        if self.as_json {
            let told: Vec<Value> = notes
                .iter()
                .map(|(id, note)| {
                    let mut told = json!(note);
                    told["id"] = json!(id);
                    told["lost"] = json!(is_lost(note, now));
                    told
                })
                .collect();
            return Ok(writeln!(
                out,
                "{}",
                json!({ "workers": told, "unreadable": unreadable })
            )?);
        }
        for id in &unreadable {
            writeln!(out, "{id}  this version cannot read what it reports")?;
        }
        if notes.is_empty() && unreadable.is_empty() {
            return Ok(writeln!(out, "no worker is running")?);
        }
        let version = self.store.switches().await?.version;
        for (id, note) in notes {
            let behind = if is_lost(&note, now) {
                let until = time(calls_until(&note));
                format!(
                    "  silent since {}; it may have calls under way until {until}",
                    time(note.seen)
                )
            } else if note.switches < version {
                "  has not seen the last switch".to_owned()
            } else {
                String::new()
            };
            writeln!(
                out,
                "{id}  {}  since {}  {} turns at once  {}{behind}",
                note.program,
                time(note.started),
                note.concurrency,
                calls(note.under_way.iter())
            )?;
        }
        Ok(())
    }
}

fn calls<'a>(under_way: impl Iterator<Item = (&'a String, &'a u64)>) -> String {
    let some = under_way.filter(|(_, count)| **count > 0);
    let some: Vec<String> = some
        .map(|(step, count)| format!("{count} {step}"))
        .collect();
    if some.is_empty() {
        "no call under way".to_owned()
    } else {
        format!("under way: {}", some.join(", "))
    }
}

/// What the workers know of it.
pub(super) fn sentence(seen: &Seen, stops: bool) -> String {
    let Seen {
        workers,
        behind,
        lost,
        ..
    } = seen;
    let under_way = calls(seen.under_way.iter());
    let under_way = match lost.len() {
        0 => under_way,
        lost => format!(
            "silent workers: {lost}, which may still have calls under way (`holdfast workers`); {under_way}, \
             as last reported"
        ),
    };
    if *workers == 0 {
        let rest = if lost.is_empty() {
            String::new()
        } else {
            format!("; {under_way}")
        };
        return format!("no worker is running; those that start will see it{rest}");
    }
    let told = workers - behind.len();
    let end = if stops && !seen.under_way.is_empty() {
        "; calls under way run to their end"
    } else {
        ""
    };
    format!("{told} of {workers} workers have seen it; {under_way}{end}")
}
