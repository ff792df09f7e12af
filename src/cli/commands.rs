//! Commands at a terminal: given through the same door as those of producers, and answered in words.

use std::io::Write;

use serde_json::{Value, json};

use super::args::On;
use super::desk::{Desk, payment_id, user};
use super::failure::Failure;
use crate::api::intake::{self, Given};
use crate::payment::{Active, Command, CommandAnswer, IdempotencyKey, Payment};
use crate::store::audit::Mandate;
use crate::store::{Cards, Plans, Store};

impl<S: Store + Cards + Plans> Desk<'_, S> {
    pub(super) async fn command(
        &self,
        on: &On,
        command: &Value,
        by: &Mandate,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let id = payment_id(&on.id)?;
        let key = match &on.key {
            Some(key) => key.clone(),
            None => format!("cli-{}", uuid::Uuid::new_v4()),
        };
        let key = IdempotencyKey::new(key).map_err(|error| Failure::Wrong(error.to_string()))?;
        let command = Command::from_json(command.to_string().as_bytes())?;
        let given = Given {
            to: &id,
            key: &key,
            command: &command,
            by,
        };
        let done = intake::command(self.store, self.clock, self.policies, given).await?;
        let state = done.payment.state().name();
        let fine = matches!(done.answer, CommandAnswer::Accepted | CommandAnswer::Done);
        let meaning = match done.answer {
            CommandAnswer::NotApplicable => not_applicable(&command, &done.payment),
            answer => meaning(answer),
        };
        let text = format!("{id} is {state}: {meaning} [key {key}]");
        if self.as_json {
            let told = json!({"payment": id, "key": key, "answer": done.answer, "state": state});
            writeln!(out, "{told}")?;
        } else if fine {
            writeln!(out, "{text}")?;
        }
        if fine {
            Ok(())
        } else {
            Err(Failure::Refused(text))
        }
    }
}

/// Whoever types, as far as that can be told: a command may be given by a job, where nobody is named.
pub(super) fn typist(actor: Option<&str>, env: &[(String, String)]) -> String {
    let named = actor.map(ToOwned::to_owned).or_else(|| user(env).ok());
    named.unwrap_or_else(|| "the command line".to_owned())
}

pub(super) fn typed_by(on: &On, env: &[(String, String)], reason: Option<&str>) -> Mandate {
    Mandate::typed_by(&typist(on.actor.as_deref(), env)).because(reason)
}

/// What to do instead of a command that does not fit the state.
fn not_applicable(command: &Command, payment: &Payment) -> &'static str {
    let held = matches!(payment.state().active(), Some(Active::Held(_)));
    match command {
        Command::Cancel if held => {
            "there is a hold already, which cancel does not give back; use release"
        }
        Command::Cancel => "an adopted hold can only be captured or released; use release",
        Command::Capture { .. } | Command::Release if payment.is_checkout() => {
            "nothing is held yet; wait for the payer, or use cancel"
        }
        Command::Capture { .. } | Command::Release => "nothing is held; nothing was changed",
        Command::Reschedule { .. } => "only holds have a plan; nothing was changed",
        Command::ResolveAsShown { .. } => {
            "only a parked payment that has a purchase can be resolved; nothing was changed"
        }
        Command::ProposeByHand { .. } | Command::ApproveByHand { .. } => {
            "only a parked payment that has a purchase can be settled by hand: hold-gone if there was a \
             hold, never-paid if there was none. Only what another person proposed within a day can be \
             approved. Nothing was changed"
        }
        Command::Rerun { .. } => meaning(CommandAnswer::NotApplicable),
    }
}

const fn meaning(answer: CommandAnswer) -> &'static str {
    match answer {
        CommandAnswer::Accepted => "accepted; the worker carries it out",
        CommandAnswer::Done => "done before",
        CommandAnswer::TooLateInDoubt => {
            "too late: a call that decides the matter was sent, and the money has not been seen to move"
        }
        CommandAnswer::AlreadyDecided => {
            "already decided by another command, or by two people; nothing was changed"
        }
        CommandAnswer::TooLateCaptured => "too late: the money was taken",
        CommandAnswer::TooLateReleased => "too late: the hold is gone",
        CommandAnswer::Expired => "too late: the payment's time was over",
        CommandAnswer::Ended => "too late: the payment has ended",
        CommandAnswer::NotApplicable => "not applicable in this state; nothing was changed",
    }
}
