//! Something that was pushed and refused, put right by a person: recorded as that person's own request,
//! checked as any other, and kept beside what was pushed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Map, Value, json};

use super::desk::person;
use super::failure::Failure;
use super::quarantine::{Ward, missing, read};
use crate::api::intake::{self, Commanded, Given, Submitted};
use crate::api::pushed::{Asked, Element, PushedCommand, Rules};
use crate::payment::{InvalidRequest, Payment};
use crate::store::audit::Mandate;
use crate::store::redis::{Corrected, Deed, Did, Noted, PutRight, QuarantineId, Quarantined};

/// What to record in place of what was pushed.
#[derive(Debug, Args)]
pub struct FixArgs {
    /// Its id, as the list has it.
    pub id: String,
    /// A file with the corrected request or command as JSON, under the idempotency key of the push and
    /// without a signature.
    #[arg(long, value_name = "FILE")]
    pub with: PathBuf,
    /// Why; kept.
    #[arg(long)]
    pub reason: String,
    /// Who does it. Default: the user of this terminal.
    #[arg(long, value_parser = person)]
    pub actor: Option<String>,
}

impl Ward<'_> {
    /// Does what the file asks for, and takes what was pushed out of quarantine. Repeated, it finds that
    /// it was done, as everything here has a key.
    pub(super) async fn fix(
        &self,
        args: FixArgs,
        env: &[(String, String)],
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let id = read(&args.id)?;
        let mut deed = self.deed(Did::Fixed, args.reason, args.actor, env)?;
        let found = self.store.quarantined(&id).await?;
        let (known, Some(pushed)) = found.ok_or_else(|| missing(&id))? else {
            return Err(missing(&id));
        };
        let fields = corrected(&args.with, &known)?;
        let text = Value::Object(fields).to_string();
        let rules = Rules {
            accept_unsigned: true,
            producers: Vec::new(),
        };
        let element = Element::read(text.as_bytes(), &rules, self.clock.now());
        let asked = element
            .verdict()
            .map_err(|(_, told)| Failure::Wrong(format!("--with: {told}")))?;
        self.intend("quarantine_fix", &id, &deed).await?;
        let payment = self.asked_once(&id, asked, &deed).await?;
        deed.corrected = Some(Corrected {
            payment: payment.id().clone(),
            with: STANDARD.encode(&text),
            pushed: STANDARD.encode(pushed),
        });
        if !self.store.drop_quarantined(&id, &deed).await? {
            return Err(Failure::Other(format!(
                "{} is recorded; somebody else had decided about {id} meanwhile",
                payment.id()
            )));
        }
        let (payment, state) = (payment.id(), payment.state().name());
        if self.as_json {
            let told = json!({"fixed": id.to_string(), "payment": payment, "state": state});
            return Ok(writeln!(out, "{told}")?);
        }
        Ok(writeln!(out, "{id} is fixed: {payment} {state}")?)
    }

    /// Asks for it as the one thing that `id` is put right as: of two who put it right in two ways at
    /// the same time, one asks for something.
    async fn asked_once(
        &self,
        id: &QuarantineId,
        asked: &Asked,
        deed: &Deed,
    ) -> Result<Payment, Failure> {
        let put_right = put_right(asked);
        let noted = match self.store.note_put_right(id, &put_right).await? {
            Noted::Missing => return Err(missing(id)),
            Noted::Before(other) if other != put_right => return Err(begun(id, &other)),
            noted => noted,
        };
        let by = Mandate::typed_by(&deed.actor).because(Some(&deed.reason));
        let done = match asked {
            Asked::Payment(request) => {
                let request = request.clone();
                let submitted = intake::submit(self.store, self.clock, self.policies, request);
                submitted
                    .await
                    .map(Submitted::into_payment)
                    .map_err(Failure::from)
            }
            Asked::Command(asked) => self.give(asked, &by).await,
        };
        // What is refused can be asked for in another way. What was not heard of may have been done.
        let refused = matches!(done, Err(Failure::Wrong(_) | Failure::Refused(_)));
        if refused && noted == Noted::Now {
            self.store.forget_put_right(id, &put_right).await?;
        }
        done
    }

    /// Refuses what would ask for it a second time: somebody has begun to put it right.
    pub(super) async fn check_not_begun(&self, id: &QuarantineId) -> Result<(), Failure> {
        let noted = self.store.put_right(id).await?;
        noted.map_or(Ok(()), |noted| Err(begun(id, &noted)))
    }

    async fn give(&self, asked: &PushedCommand, by: &Mandate) -> Result<Payment, Failure> {
        let given = Given {
            to: &asked.payment,
            key: &asked.key,
            command: &asked.command,
            by,
        };
        let of_the_account = |payment: &Payment| {
            let same = payment.request().account == asked.account;
            same.then_some(()).ok_or(())
        };
        let (store, clock, policies) = (self.store, self.clock, self.policies);
        let commanding = intake::command_if(store, clock, policies, given, &of_the_account);
        let Ok(Commanded {
            answer, payment, ..
        }) = commanding.await?
        else {
            let told = "--with: the payment is of another account than the command says";
            return Err(Failure::Wrong(told.to_owned()));
        };
        if answer.is_accepted() || answer == crate::payment::CommandAnswer::Done {
            return Ok(payment);
        }
        let (id, word) = (payment.id(), answer.as_str());
        Err(Failure::Refused(format!(
            "{id} answers the command with {word}; nothing was changed, and the push stays in quarantine"
        )))
    }
}

fn put_right(asked: &Asked) -> PutRight {
    match asked {
        Asked::Payment(request) => PutRight {
            account: request.account.clone(),
            idempotency_key: request.idempotency_key.clone(),
            of: None,
        },
        Asked::Command(asked) => PutRight {
            account: asked.account.clone(),
            idempotency_key: asked.key.clone(),
            of: Some(asked.payment.clone()),
        },
    }
}

fn begun(id: &QuarantineId, noted: &PutRight) -> Failure {
    let PutRight {
        account,
        idempotency_key: key,
        of,
    } = noted;
    let of = of.as_ref().map(|payment| format!(", of {payment}"));
    Failure::Refused(format!(
        "somebody has put {id} right, or begun to, under account {account} and idempotency_key \
         {key}{}; that may be recorded: put it right under the same, or drop it",
        of.unwrap_or_default()
    ))
}

/// What the file says, with a name of its own as pushes have one.
fn corrected(path: &Path, known: &Quarantined) -> Result<Map<String, Value>, Failure> {
    let wrong = |told: String| Failure::Wrong(format!("--with {}: {told}", path.display()));
    let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let fields = serde_json::from_slice::<Map<String, Value>>(&bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        wrong(format!("is no JSON object: line {line}, column {column}"))
    })?;
    let key = fields
        .get(InvalidRequest::KEY_FIELD)
        .and_then(Value::as_str);
    let pushed = known.note.idempotency_key.as_ref();
    if let Some(pushed) = pushed.filter(|pushed| Some(pushed.as_str()) != key) {
        // Whoever pushed it may push it anew, put right, under the key that it had.
        let told = format!("must have the idempotency_key of what was pushed, {pushed}");
        return Err(wrong(told));
    }
    let mut fields = fields;
    fields.insert("push".to_owned(), uuid::Uuid::new_v4().to_string().into());
    Ok(fields)
}

/// What was recorded in the place of what was pushed, if something was; both of them on demand. As text
/// where it is some: nothing that moves a terminal's cursor.
pub(super) fn write_corrected(
    deed: &Deed,
    reveal: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Some(corrected) = &deed.corrected else {
        return Ok(());
    };
    writeln!(out, "recorded as {}", corrected.payment)?;
    let both = [("pushed", &corrected.pushed), ("instead", &corrected.with)];
    for (name, kept) in both.into_iter().filter(|_| reveal) {
        let bytes = STANDARD.decode(kept).unwrap_or_default();
        writeln!(
            out,
            "{name} {}",
            String::from_utf8_lossy(&bytes).escape_debug()
        )?;
    }
    Ok(())
}
