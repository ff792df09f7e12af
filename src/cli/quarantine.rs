//! What was pushed and refused: people look at it, and decide.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use clap::Subcommand;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::commands::typist;
use super::desk::{person, user};
use super::failure::Failure;
use super::fix::{FixArgs, write_corrected};
use super::view::time;
use crate::api::pushed::{DAYS_SIGNED, is_over};
use crate::clock::Clock;
use crate::config::MASK;
use crate::payment::hex;
use crate::store::StoreError;
use crate::store::audit::{AuditEntry, Mandate};
use crate::store::redis::{Deed, Did, QuarantineId, Quarantined, RedisStore, Standing};
use crate::worker::Policies;

/// How long the name of a field is at most.
const LONGEST_FIELD: usize = 32;

/// What to do about pushes.
#[derive(Debug, Subcommand)]
pub enum IntakeVerb {
    /// Handle what was refused: list, show, push again, correct or drop it.
    #[command(subcommand)]
    Quarantine(QuarantineVerb),
}

/// What to do about what was refused.
#[derive(Debug, Subcommand)]
pub enum QuarantineVerb {
    /// List what was refused and why, newest first.
    #[command(after_help = "Example: holdfast intake quarantine list --limit 10")]
    List {
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Show why one push was refused, and what was pushed.
    #[command(after_help = "Example: holdfast intake quarantine show 0-3f0c…")]
    Show {
        /// Its id, as the list has it.
        id: String,
        /// Show what is wrong in words, and what was pushed. Both may contain card tokens and customer
        /// data.
        #[arg(long)]
        reveal: bool,
    },
    /// Push it again as it was, after you corrected what was wrong here. The producer was told that it was
    /// refused, and may have asked again in another way, so ask them first. A push signed more than a week
    /// ago must be signed and pushed again by the producer.
    #[command(
        after_help = "Example: holdfast intake quarantine retry 0-3f0c… --reason \"account added\""
    )]
    Retry {
        /// Its id, as the list has it.
        id: String,
        /// Why; kept.
        #[arg(long)]
        reason: String,
        /// Who does it. Default: the user of this terminal.
        #[arg(long, value_parser = person)]
        actor: Option<String>,
    },
    /// Record a corrected request or command as your own, and take the push out of quarantine. Both
    /// versions are kept. The producer was told that it was refused, so tell them.
    #[command(
        after_help = "Example: holdfast intake quarantine fix 0-3f0c… --with right.json --reason \"typo\""
    )]
    Fix(FixArgs),
    /// Drop it: what was pushed is deleted; who did it and why is kept.
    #[command(after_help = "Example: holdfast intake quarantine drop 0-3f0c… --reason \"a test\"")]
    Drop {
        /// Its id, as the list has it.
        id: String,
        /// Why; kept.
        #[arg(long)]
        reason: String,
        /// Who does it. Default: the user of this terminal.
        #[arg(long, value_parser = person)]
        actor: Option<String>,
    },
    /// Forget pushes that were decided about and were refused long ago.
    #[command(after_help = "Example: holdfast intake quarantine purge --older-than-days 90")]
    Purge {
        /// Refused at least so many days ago.
        #[arg(long, default_value_t = 30)]
        older_than_days: u16,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: Option<String>,
        /// Who does it. Default: the user of this terminal.
        #[arg(long, value_parser = person)]
        actor: Option<String>,
    },
}

/// Where it is kept.
pub(super) struct Ward<'a> {
    pub(super) store: &'a RedisStore,
    pub(super) clock: &'a Clock,
    pub(super) policies: &'a Policies,
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
            QuarantineVerb::Retry { id, reason, actor } => {
                let (id, deed) = (read(&id)?, self.deed(Did::Retried, reason, actor, env)?);
                let found = self.store.quarantined(&id).await?;
                let (known, Some(bytes)) = found.ok_or_else(|| missing(&id))? else {
                    return Err(missing(&id));
                };
                if is_over(&bytes, self.clock.now()) {
                    return Err(Failure::Wrong(format!(
                        "{id} was signed more than {DAYS_SIGNED} days ago, and is refused however \
                         often it is pushed: have the producer sign and push it again, under the same \
                         idempotency_key; then drop this one"
                    )));
                }
                self.check_not_begun(&id).await?;
                let sha256 = hex(&Sha256::digest(bytes));
                let account = known.note.account.as_ref();
                let answer = account.map(|account| (account, sha256.as_str()));
                self.intend("quarantine_retry", &id, &deed).await?;
                if !self.store.retry_quarantined(&id, answer, &deed).await? {
                    return Err(missing(&id));
                }
                self.tell(&id, "retried", "is pushed again", out)
            }
            QuarantineVerb::Fix(args) => self.fix(args, env, out).await,
            QuarantineVerb::Drop { id, reason, actor } => {
                let (id, deed) = (read(&id)?, self.deed(Did::Dropped, reason, actor, env)?);
                self.intend("quarantine_drop", &id, &deed).await?;
                if !self.store.drop_quarantined(&id, &deed).await? {
                    return Err(missing(&id));
                }
                self.tell(&id, "dropped", "is dropped; the reason is kept", out)
            }
            QuarantineVerb::Purge {
                older_than_days,
                reason,
                actor,
            } => {
                let by = Mandate::typed_by(&typist(actor.as_deref(), env));
                let by = by.because(reason.as_deref());
                let subject = format!("decided {older_than_days} days ago or more");
                let (what, at) = ("quarantine_purge", self.clock.now());
                let intent = AuditEntry::intent(&by, what, Some(&subject), at);
                self.store.note_intent(&intent).await?;
                self.purge(TimeDelta::days(older_than_days.into()), out)
                    .await
            }
        }
    }

    pub(super) fn deed(
        &self,
        did: Did,
        reason: String,
        actor: Option<String>,
        env: &[(String, String)],
    ) -> Result<Deed, Failure> {
        let actor = actor.map_or_else(|| user(env), Ok)?;
        if reason.trim().is_empty() || actor.trim().is_empty() {
            let told = "--reason and --actor must say why and who; neither may be empty";
            return Err(Failure::Wrong(told.to_owned()));
        }
        let at = self.clock.now();
        Ok(Deed {
            did,
            at,
            actor,
            reason,
            corrected: None,
        })
    }

    /// Written down first: what was done and not heard of shall be known too.
    pub(super) async fn intend(
        &self,
        what: &str,
        id: &QuarantineId,
        deed: &Deed,
    ) -> Result<(), Failure> {
        let by = Mandate::typed_by(&deed.actor).because(Some(&deed.reason));
        let intent = AuditEntry::intent(&by, what, Some(&id.to_string()), deed.at);
        Ok(self.store.note_intent(&intent).await?)
    }

    async fn purge(&self, age: TimeDelta, out: &mut dyn Write) -> Result<(), Failure> {
        let (found, _) = self.store.quarantine(usize::MAX).await?;
        let before = self.clock.now() - age;
        let mut purged = 0;
        for one in found {
            let over = one.standing == Standing::Decided && one.note.at <= before;
            if over && self.store.purge_quarantined(&one.id).await? {
                purged += 1;
            }
        }
        if self.as_json {
            return Ok(writeln!(out, "{}", json!({ "purged": purged }))?);
        }
        Ok(writeln!(out, "{purged} forgotten")?)
    }

    async fn list(&self, limit: usize, out: &mut dyn Write) -> Result<(), Failure> {
        let (found, count) = self.store.quarantine(limit).await?;
        if self.as_json {
            let shown: Vec<Value> = found.iter().map(json_of).collect();
            let told = json!({ "quarantine": shown, "count": count });
            return Ok(writeln!(out, "{told}")?);
        }
        for one in &found {
            writeln!(out, "{}", line(one))?;
        }
        if count > found.len() as u64 {
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
        let (found, bytes) = self
            .store
            .quarantined(id)
            .await?
            .ok_or_else(|| missing(id))?;
        let bytes = bytes.filter(|_| reveal);
        if self.as_json {
            let mut told = json_of(&found);
            told["detail"] = json!(if reveal { &found.note.detail } else { MASK });
            if reveal {
                told["deeds"] = json!(found.deeds);
            }
            if let Some(bytes) = bytes {
                told["base64"] = json!(STANDARD.encode(bytes));
            }
            return Ok(writeln!(out, "{told:#}")?);
        }
        writeln!(out, "{}", line(&found))?;
        if reveal {
            writeln!(out, "{}", plain(&found.note.detail))?;
        } else {
            writeln!(
                out,
                "{MASK} (--reveal: what is wrong in words, and what was pushed)"
            )?;
        }
        for deed in &found.deeds {
            let (did, actor) = (word(deed.did), &deed.actor);
            writeln!(out, "{did} {} by {actor}: {}", time(deed.at), deed.reason)?;
            write_corrected(deed, reveal, out)?;
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

/// What of the intake somebody should know of: what was refused, and what nobody takes.
pub(super) async fn waiting(store: &RedisStore) -> Result<Vec<(&'static str, String)>, StoreError> {
    let (pushed, refused) = store.intake_backlog().await?;
    let mut told = Vec::new();
    if pushed > 0 {
        let text = format!("pushes not taken in yet: {pushed}");
        told.push(("intake_waiting", text));
    }
    if refused > 0 {
        let text =
            format!("pushes in quarantine: {refused}; see `holdfast intake quarantine list`");
        told.push(("intake_quarantine", text));
    }
    Ok(told)
}

const fn word(did: Did) -> &'static str {
    match did {
        Did::Retried => "retried",
        Did::Dropped => "dropped",
        Did::Fixed => "fixed",
    }
}

/// What was done last.
fn last(found: &Quarantined) -> Option<Did> {
    found.deeds.last().map(|deed| deed.did)
}

fn line(found: &Quarantined) -> String {
    let (id, note) = (&found.id, &found.note);
    let field = note.field.as_deref().map(field_of);
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
    let standing = match (found.standing, last(found)) {
        (Standing::Waits, None) => "",
        (Standing::Waits, Some(_)) => "  refused again",
        (Standing::Decided, Some(Did::Retried)) => "  retried",
        (Standing::Decided, Some(Did::Fixed)) => "  fixed",
        (Standing::Decided, _) => "  dropped",
    };
    format!(
        "{id}  {}  {}{}  {kid}  {account}  {key}  {} bytes{standing}",
        time(note.at),
        note.code,
        field.unwrap_or_default(),
        note.bytes
    )
}

/// The path of a field. Its last part may be a name that was pushed, and that anything can stand in.
fn field_of(path: &str) -> &str {
    let named = |part: &str| {
        let name = part.split('[').next().unwrap_or_default();
        name.len() <= LONGEST_FIELD
            && name
                .chars()
                .all(|c| c.is_ascii_alphabetic() || c == '_' || c == '-')
    };
    if path.split('.').all(named) {
        path
    } else {
        MASK
    }
}

/// Text that was pushed may move a terminal's cursor.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// Without the detail, which may quote what was pushed.
fn json_of(found: &Quarantined) -> Value {
    let Quarantined { id, note, .. } = found;
    let deeds: Vec<Deed> = found.deeds.iter().map(Deed::masked).collect();
    json!({
        "id": id.to_string(), "at": note.at, "code": note.code, "field": note.field.as_deref().map(field_of),
        "kid": note.kid, "account": note.account, "idempotency_key": note.idempotency_key,
        "bytes": note.bytes, "waits": found.standing == Standing::Waits, "deeds": deeds,
    })
}

pub(super) fn read(text: &str) -> Result<QuarantineId, Failure> {
    QuarantineId::parse(text).ok_or_else(|| {
        let told =
            "is no id of a quarantine; use one as `holdfast intake quarantine list` shows it";
        Failure::Wrong(format!("{text:?} {told}"))
    })
}

pub(super) fn missing(id: &QuarantineId) -> Failure {
    Failure::Wrong(format!(
        "{id} is not in quarantine, or it was decided about already"
    ))
}
