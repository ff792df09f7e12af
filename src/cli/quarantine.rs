//! What was pushed and refused: people look at it, and decide.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use serde_json::{Value, json};

use super::desk::user;
use super::failure::Failure;
use super::view::time;
use crate::clock::Clock;
use crate::store::redis::{Dropped, QuarantineId, QuarantineNote, RedisStore};

/// What to do about pushes.
#[derive(Debug, Subcommand)]
pub enum IntakeVerb {
    /// What was refused: list it, look at it, push it again, or throw it away.
    #[command(subcommand)]
    Quarantine(QuarantineVerb),
}

/// What to do about what was refused.
#[derive(Debug, Subcommand)]
pub enum QuarantineVerb {
    /// List what was refused, the newest first, and why.
    List {
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Show one: why it was refused, and what was pushed.
    Show {
        /// Its id, as the list has it.
        id: String,
        /// Show the bytes. They say who pays, and with what card.
        #[arg(long)]
        reveal: bool,
    },
    /// Push it again as it was, after what was wrong here is mended.
    Retry {
        /// Its id, as the list has it.
        id: String,
    },
    /// Throw the bytes away; who did it and why stays.
    Drop {
        /// Its id, as the list has it.
        id: String,
        /// Why; kept in their place.
        #[arg(long)]
        reason: String,
        /// Who does it; the user of this terminal without it.
        #[arg(long)]
        actor: Option<String>,
    },
}

/// Where it is kept.
pub(super) struct Ward<'a> {
    pub(super) store: &'a RedisStore,
    pub(super) clock: &'a Clock,
    pub(super) as_json: bool,
}

impl Ward<'_> {
    pub(super) async fn serve(
        &self,
        verb: QuarantineVerb,
        env: &[(String, String)],
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        match verb {
            QuarantineVerb::List { limit } => self.list(usize::from(limit), out).await,
            QuarantineVerb::Show { id, reveal } => self.show(&read(&id)?, reveal, out).await,
            QuarantineVerb::Retry { id } => {
                let id = read(&id)?;
                if !self.store.retry_quarantined(&id).await? {
                    return Err(missing(&id));
                }
                self.tell(&id, "retried", "is pushed again", out)
            }
            QuarantineVerb::Drop { id, reason, actor } => {
                let id = read(&id)?;
                let actor = actor.map_or_else(|| user(env), Ok)?;
                let found = self.store.quarantined(&id).await?;
                let (note, Some(_)) = found.ok_or_else(|| missing(&id))? else {
                    return Err(missing(&id));
                };
                let at = self.clock.now();
                let note = QuarantineNote {
                    dropped: Some(Dropped { at, actor, reason }),
                    ..note
                };
                if !self.store.drop_quarantined(&id, &note).await? {
                    return Err(missing(&id));
                }
                self.tell(&id, "dropped", "is thrown away; why stays", out)
            }
        }
    }

    async fn list(&self, limit: usize, out: &mut dyn Write) -> Result<(), Failure> {
        let (found, count) = self.store.quarantine(limit).await?;
        if self.as_json {
            let shown: Vec<Value> = found.iter().map(|(id, note)| json_of(id, note)).collect();
            let told = json!({ "quarantine": shown, "count": count });
            return Ok(writeln!(out, "{told}")?);
        }
        for (id, note) in &found {
            writeln!(out, "{}", line(id, note))?;
        }
        if count > found.len() {
            writeln!(out, "{} of {count}", found.len())?;
        }
        Ok(())
    }

    async fn show(
        &self,
        id: &QuarantineId,
        reveal: bool,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let (note, bytes) = self
            .store
            .quarantined(id)
            .await?
            .ok_or_else(|| missing(id))?;
        let bytes = bytes.filter(|_| reveal);
        if self.as_json {
            let mut told = json_of(id, &note);
            told["detail"] = json!(note.detail);
            if let Some(bytes) = bytes {
                told["base64"] = json!(STANDARD.encode(bytes));
            }
            return Ok(writeln!(out, "{told:#}")?);
        }
        writeln!(out, "{}", line(id, &note))?;
        writeln!(out, "{}", plain(&note.detail))?;
        if let Some(dropped) = &note.dropped {
            let Dropped { at, actor, reason } = dropped;
            writeln!(out, "thrown away {} by {actor}: {reason}", time(*at))?;
        }
        if let Some(bytes) = bytes {
            // As text where it is some: nothing that moves a terminal's cursor.
            writeln!(out, "{}", String::from_utf8_lossy(&bytes).escape_debug())?;
        }
        Ok(())
    }

    fn tell(
        &self,
        id: &QuarantineId,
        word: &str,
        told: &str,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        if self.as_json {
            return Ok(writeln!(out, "{}", json!({ word: id.to_string() }))?);
        }
        Ok(writeln!(out, "{id} {told}")?)
    }
}

fn line(id: &QuarantineId, note: &QuarantineNote) -> String {
    let field = note.field.as_deref().map(plain);
    let field = field.map(|field| format!(" ({field})"));
    let kid = note.kid.as_deref().unwrap_or("unsigned");
    let account = note
        .account
        .as_ref()
        .map_or("-", |account| account.as_str());
    let key = note
        .idempotency_key
        .as_ref()
        .map_or("-", |key| key.as_str());
    let dropped = note.dropped.as_ref().map_or("", |_| "  dropped");
    format!(
        "{id}  {}  {}{}  {kid}  {account}  {key}  {} bytes{dropped}",
        time(note.at),
        note.code,
        field.unwrap_or_default(),
        note.bytes
    )
}

/// Text that was pushed may move a terminal's cursor.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// Without the detail, which may quote what was pushed.
fn json_of(id: &QuarantineId, note: &QuarantineNote) -> Value {
    json!({
        "id": id.to_string(), "at": note.at, "code": note.code, "field": note.field,
        "kid": note.kid, "account": note.account, "idempotency_key": note.idempotency_key,
        "bytes": note.bytes, "dropped": note.dropped,
    })
}

fn read(text: &str) -> Result<QuarantineId, Failure> {
    QuarantineId::parse(text).ok_or_else(|| {
        let told =
            "is no id of a quarantine; use one as `holdfast intake quarantine list` shows it";
        Failure::Wrong(format!("{text:?} {told}"))
    })
}

fn missing(id: &QuarantineId) -> Failure {
    Failure::Wrong(format!(
        "{id} is not in quarantine, or its bytes were thrown away"
    ))
}
