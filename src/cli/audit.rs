//! The audit log, at a terminal.

use std::fs;
use std::io::{IsTerminal as _, Write, stderr};
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::desk::payment_id;
use super::failure::Failure;
use super::view::time;
use crate::operate::audit::{
    Finding, Found, Questions, Verified, Wanted, find, read_heads, shown_head, verify,
};
use crate::payment::{Timestamp, parse_time};
use crate::store::audit::{AuditEntry, AuditStream};
use crate::store::redis::{AuditOrder, RedisStore};

/// How many entries one step reads.
const STEP: usize = 500;
/// How often progress is told, in entries or payments.
const TELL_EVERY: u64 = 5_000;

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// List entries, newest first.
    #[command(after_help = "Example: holdfast audit list --actor aisyah --limit 10")]
    List {
        /// Only about this payment.
        #[arg(long, value_name = "ID")]
        payment: Option<String>,
        /// Only of this person, API key or producer.
        #[arg(long)]
        actor: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Check whether any entry was changed, removed or moved. Exit code 7 if one was, 8 if some records
    /// could not be read.
    #[command(after_help = "Example: holdfast audit verify --records --anchor heads.txt")]
    Verify {
        /// Also compare with the records of all payments: every command must have its entry, and every
        /// entry its command. Needs some 300 bytes of memory for each command.
        #[arg(long)]
        records: bool,
        /// Expect entries only for commands from this time on, with offset.
        #[arg(long, value_name = "TIME", requires = "records")]
        since: Option<String>,
        /// Expect the heads in this file, which `holdfast audit heads` printed earlier. This also finds a
        /// log that was rewritten as a whole.
        #[arg(long, value_name = "FILE")]
        anchor: Option<PathBuf>,
    },
    /// Print the end of each chain. Keep it where nobody who can write to Redis can change it.
    #[command(after_help = "Example: holdfast audit heads > heads.txt")]
    Heads,
    /// Print all entries with their links for an archive, one line of JSON each.
    #[command(after_help = "Example: holdfast audit export > audit.jsonl")]
    Export,
}

/// Where it is read.
pub(super) struct Reader<'a> {
    pub(super) store: &'a RedisStore,
    pub(super) as_json: bool,
}

impl Reader<'_> {
    pub(super) async fn serve(&self, verb: AuditVerb, out: &mut dyn Write) -> Result<(), Failure> {
        match verb {
            AuditVerb::List {
                payment,
                actor,
                limit,
            } => {
                let payment = payment.as_deref().map(payment_id).transpose()?;
                let limit = usize::from(limit);
                let wanted = Wanted {
                    payment,
                    actor,
                    limit,
                };
                let found = find(self.store, &wanted).await?;
                self.list(&found, out)
            }
            AuditVerb::Verify {
                records,
                since,
                anchor,
            } => {
                let since = since.map_or(Ok(Timestamp::UNIX_EPOCH), |since| {
                    let wrong = |error| Failure::Wrong(format!("--since: {error}"));
                    parse_time(&since).map_err(wrong)
                })?;
                let heads = match anchor {
                    None => Vec::new(),
                    Some(path) => {
                        let wrong = |error: String| {
                            Failure::Wrong(format!("--anchor: {}: {error}", path.display()))
                        };
                        let text = fs::read_to_string(&path).map_err(|e| wrong(e.to_string()))?;
                        read_heads(&text).map_err(|e| wrong(e.to_string()))?
                    }
                };
                let questions = Questions {
                    heads,
                    records_since: records.then_some(since),
                };
                self.verify(&questions, out).await
            }
            AuditVerb::Heads => self.heads(out).await,
            AuditVerb::Export => self.export(out).await,
        }
    }

    fn list(&self, found: &[Found], out: &mut dyn Write) -> Result<(), Failure> {
        if self.as_json {
            let shown = |found: &Found| json!({"stream": found.stream.to_string(), "n": found.n, "entry": found.entry});
            let entries: Vec<Value> = found.iter().map(shown).collect();
            return Ok(writeln!(out, "{}", json!({ "audit": entries }))?);
        }
        for found in found {
            writeln!(out, "{}", line(&found.entry))?;
        }
        Ok(())
    }

    async fn verify(&self, questions: &Questions, out: &mut dyn Write) -> Result<(), Failure> {
        let watched = stderr().is_terminal() && !self.as_json;
        let tell = |what: &str, count: u64| {
            if watched && count.is_multiple_of(TELL_EVERY) {
                let _ = write!(stderr(), "\r{count} {what} read");
            }
        };
        let verified = verify(self.store, questions, &tell).await?;
        if watched {
            let _ = write!(stderr(), "\r\x1b[K");
        }
        let broken = verified.is_broken();
        if self.as_json {
            writeln!(out, "{}", json_of(&verified))?;
        } else {
            for finding in &verified.findings {
                writeln!(out, "{finding}")?;
            }
            if verified.more > 0 {
                writeln!(out, "and {} more", verified.more)?;
            }
            let entries: u64 = verified.streams.iter().map(|stream| stream.entries).sum();
            let compared = match questions.records_since {
                Some(_) => format!(", held against {} payments", verified.payments),
                None => String::new(),
            };
            for (payment, problem) in &verified.unread {
                writeln!(out, "not compared: {payment} cannot be read: {problem}")?;
            }
            let verdict = match (broken, verified.unread.len()) {
                (true, _) => "is broken",
                (false, 0) => "is whole",
                (false, _) => "is whole as far as it could be compared",
            };
            writeln!(
                out,
                "the audit log {verdict}: {entries} entries read{compared}"
            )?;
        }
        if broken {
            let told = "the audit log is not as it was written; find out who can write to Redis";
            return Err(Failure::BooksBroken(told.to_owned()));
        }
        match verified.unread.len() {
            0 => Ok(()),
            some => Err(Failure::NotAllCompared(format!(
                "{some} payments could not be compared, as their records cannot be read"
            ))),
        }
    }

    async fn heads(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let heads = self.store.audit_heads().await?;
        let shown: Vec<String> = heads.iter().map(shown_head).collect();
        if self.as_json {
            return Ok(writeln!(out, "{}", json!({ "heads": shown }))?);
        }
        for head in shown {
            writeln!(out, "{head}")?;
        }
        Ok(())
    }

    async fn export(&self, out: &mut dyn Write) -> Result<(), Failure> {
        for stream in AuditStream::all() {
            let mut after = None::<String>;
            loop {
                let page = self
                    .store
                    .audit_page(stream, AuditOrder::Oldest, after.as_deref(), STEP)
                    .await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id.clone());
                for chained in &page {
                    let mut told = json!({"stream": stream.to_string(), "place": chained.id});
                    if let Some((n, link, json)) = &chained.whole {
                        told["n"] = json!(n);
                        told["link"] = json!(link);
                        // As text: its bytes are what the link is made of.
                        told["entry"] = json!(String::from_utf8_lossy(json));
                    }
                    writeln!(out, "{told}")?;
                }
            }
        }
        Ok(())
    }
}

/// An entry as people read it.
fn line(entry: &AuditEntry) -> String {
    let AuditEntry {
        at, actor, action, ..
    } = entry;
    let about = entry.payment.as_ref().map(ToString::to_string);
    let about = about.or_else(|| entry.card.as_ref().map(ToString::to_string));
    let about = about.or_else(|| entry.subject.clone()).unwrap_or_default();
    let (kind, via) = (actor.kind.as_str(), entry.via.as_str());
    let state = |standing: &Option<Value>| {
        let state = standing.as_ref()?.get("state")?.as_str()?;
        Some(state.to_owned())
    };
    let change = match (state(&entry.before), state(&entry.after)) {
        (Some(before), Some(after)) if before != after => format!(" ({before} → {after})"),
        (Some(before), _) => format!(" ({before})"),
        _ => String::new(),
    };
    let reason = entry.reason.as_deref();
    let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
    let told = format!(
        "{}  {action} {about}  {}{change}  by {} ({kind}, {via}){reason}",
        time(*at),
        entry.answer,
        actor.name
    );
    // Names and reasons are whatever somebody wrote, and may move a terminal's cursor.
    told.replace(char::is_control, "?")
}

fn json_of(verified: &Verified) -> Value {
    let streams: Vec<Value> = verified
        .streams
        .iter()
        .map(|report| {
            let head = report.head.as_ref();
            json!({
                "stream": report.stream.to_string(), "entries": report.entries,
                "n": head.map(|(n, _)| n), "link": head.map(|(_, link)| link),
            })
        })
        .collect();
    let findings: Vec<Value> = verified.findings.iter().map(Finding::json).collect();
    let unread = verified.unread.iter();
    let unread = unread.map(|(payment, problem)| json!({"payment": payment, "problem": problem}));
    json!({
        "broken": verified.is_broken(), "streams": streams, "payments": verified.payments,
        "findings": findings, "more": verified.more, "unreadable": unread.collect::<Vec<_>>(),
    })
}
