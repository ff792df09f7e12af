//! What a command changes. It never calls anything: it writes down what is wanted, and the next
//! turn carries it out from what is true.

use super::Timestamp;
use super::attempt::{Step, Verdict};
use super::command::{Command, CommandAnswer, CommandEntry};
use super::id::IdempotencyKey;
use super::money::Amount;
use super::record::{Decision, HoldOutcome, Payment};
use super::request::{InvalidRequest, Plan};
use super::resolution::Spoken;
use super::state::{Active, FailReason, Hold, State};

/// How many commands one payment takes; a caller that sends more is in a loop. What decides about
/// the money, and what people ask who settle it, is taken for much longer.
const MOST_COMMANDS: usize = 200;
const MOST_DECIDING: usize = 1_000;

const fn most_before(command: &Command) -> usize {
    match command {
        Command::Reschedule { .. } => MOST_COMMANDS,
        Command::Capture { .. }
        | Command::Release
        | Command::Cancel
        | Command::Rerun { .. }
        | Command::ResolveAsShown { .. }
        | Command::ProposeByHand { .. }
        | Command::ApproveByHand { .. } => MOST_DECIDING,
    }
}

impl Payment {
    /// Takes a command. The same key answers the same again; what is refused changes nothing. Once
    /// the payment has ended nothing is noted any more: the answer cannot change, and whoever goes on
    /// asking would only make the record longer.
    pub fn command(
        &mut self,
        key: IdempotencyKey,
        command: Command,
        now: Timestamp,
    ) -> Result<CommandAnswer, InvalidRequest> {
        if let Some(known) = self.commands.iter().find(|entry| entry.key == key) {
            return if known.command == command {
                Ok(known.answer)
            } else {
                let problem = "was used for another command on this payment; use a new key";
                Err(InvalidRequest::new(InvalidRequest::KEY_FIELD, problem))
            };
        }
        if let Some(answer) = self.ended(&command) {
            return Ok(answer);
        }
        let most = most_before(&command);
        if self.commands.len() >= most {
            let problem = format!("this payment has taken {most} commands; it takes no more");
            return Err(InvalidRequest::new("command", problem));
        }
        let answer = self.obey(&command, now)?;
        self.commands.push(CommandEntry {
            key,
            command,
            answer,
            at: now,
        });
        Ok(answer)
    }

    /// Whether it was given this very command under this key: a repeat, which is answered as then.
    #[must_use]
    pub fn was_given(&self, key: &IdempotencyKey, command: &Command) -> bool {
        let same = |entry: &CommandEntry| entry.key == *key && entry.command == *command;
        self.commands.iter().any(same)
    }

    fn obey(&mut self, command: &Command, now: Timestamp) -> Result<CommandAnswer, InvalidRequest> {
        match command {
            Command::Rerun { reason, actor } => {
                if reason.trim().is_empty() || actor.trim().is_empty() {
                    let problem = "must say why and who; neither may be empty";
                    return Err(InvalidRequest::new("reason", problem));
                }
                self.look_again();
                Ok(CommandAnswer::Accepted)
            }
            Command::ResolveAsShown { reason, actor } => {
                Ok(self.resolve_as_shown(Spoken::new(actor, reason, now)?))
            }
            Command::ProposeByHand {
                outcome,
                reason,
                actor,
            } => Ok(self.propose_by_hand(*outcome, Spoken::new(actor, reason, now)?)),
            Command::ApproveByHand {
                outcome,
                reason,
                actor,
            } => self.approve_by_hand(*outcome, Spoken::new(actor, reason, now)?),
            Command::Cancel => Ok(self.cancel()),
            Command::Capture { amount } => match self.free_hold() {
                Ok(hold) => {
                    let amount = amount
                        .or(self.decided_amount())
                        .or(self.plan.capture_amount)
                        .unwrap_or(hold.money.amount);
                    let plan = Plan {
                        capture_amount: Some(amount),
                        ..Plan::default()
                    };
                    plan.check(hold.money.amount)
                        .map_err(|error| InvalidRequest::new("amount", error.problem))?;
                    Ok(self.decide_now(HoldOutcome::Capture(amount)))
                }
                Err(answer) => Ok(answer),
            },
            Command::Release => match self.free_hold() {
                Ok(_) => Ok(self.decide_now(HoldOutcome::Release)),
                Err(answer) => Ok(answer),
            },
            Command::Reschedule {
                capture_at,
                capture_amount,
                release_at,
            } => {
                let mut plan = self.plan.clone();
                plan.capture_at = capture_at.or(plan.capture_at);
                plan.capture_amount = capture_amount.or(plan.capture_amount);
                plan.release_at = release_at.or(plan.release_at);
                self.reschedule(plan)
            }
        }
    }

    /// The answer of a payment that has ended, to any command.
    fn ended(&self, command: &Command) -> Option<CommandAnswer> {
        Some(match (&self.state, command) {
            (State::Paid(money), Command::Capture { amount })
                if self.decision.is_some() && amount.is_none_or(|asked| asked == money.amount) =>
            {
                CommandAnswer::Done
            }
            (State::Released, Command::Release)
            | (State::Failed(FailReason::Cancelled), Command::Cancel) => CommandAnswer::Done,
            (State::Paid(_), _) => CommandAnswer::TooLateCaptured,
            (State::Released, _) => CommandAnswer::TooLateReleased,
            (State::Failed(FailReason::Expired), _) => CommandAnswer::Expired,
            (State::Failed(_) | State::Saved(_), _) => CommandAnswer::Ended,
            (
                State::New | State::AwaitingPayer | State::Held(_) | State::Parked { .. },
                Command::Capture { .. }
                | Command::Release
                | Command::Reschedule { .. }
                | Command::Cancel
                | Command::ResolveAsShown { .. }
                | Command::ProposeByHand { .. }
                | Command::ApproveByHand { .. }
                | Command::Rerun { .. },
            ) => return None,
        })
    }

    /// The hold, if nothing was sent that decides about it.
    fn free_hold(&self) -> Result<Hold, CommandAnswer> {
        if self.hold_call_sent() {
            return Err(CommandAnswer::TooLateInDoubt);
        }
        match self.state.active() {
            Some(Active::Held(hold)) => Ok(hold),
            _ => Err(CommandAnswer::NotApplicable),
        }
    }

    /// How much of a hold this command lets be taken, now or by the plan that it leaves behind. A new
    /// time alone is about all that the plan would capture.
    #[must_use]
    pub fn lets_take(&self, command: &Command) -> Option<Amount> {
        let whole = || match self.state.active() {
            Some(Active::Held(hold)) => Some(hold.money.amount),
            _ => self.request.money().map(|money| money.amount),
        };
        let planned = || self.plan.capture_amount.or_else(whole);
        match command {
            Command::Capture { amount } => {
                amount.or_else(|| self.decided_amount()).or_else(planned)
            }
            Command::Reschedule { capture_amount, .. } => capture_amount.or_else(planned),
            Command::Release
            | Command::Cancel
            | Command::ResolveAsShown { .. }
            | Command::ProposeByHand { .. }
            | Command::ApproveByHand { .. }
            | Command::Rerun { .. } => None,
        }
    }

    fn decided_amount(&self) -> Option<Amount> {
        match self.decision.as_ref()?.outcome {
            HoldOutcome::Capture(amount) => Some(amount),
            HoldOutcome::Release => None,
        }
    }

    /// Decides about the hold, once: a second command may repeat the first one, not change it.
    fn decide_now(&mut self, outcome: HoldOutcome) -> CommandAnswer {
        let before = self
            .decision
            .as_ref()
            .filter(|decision| decision.by_command);
        let refused = self.attempts.last().is_some_and(|attempt| {
            let of_the_hold = matches!(attempt.step, Step::Capture { .. } | Step::Release);
            let verdict = attempt.closed.as_ref().map(|closed| &closed.verdict);
            of_the_hold && matches!(verdict, Some(Verdict::Refused { .. }))
        });
        if before.is_some_and(|decision| decision.outcome != outcome) && !refused {
            return CommandAnswer::AlreadyDecided;
        }
        self.decision = Some(Decision {
            outcome,
            by_command: true,
        });
        self.climb_anew();
        self.wake_parked();
        CommandAnswer::Accepted
    }

    fn reschedule(&mut self, plan: Plan) -> Result<CommandAnswer, InvalidRequest> {
        let Some(money) = self.request.money().filter(|_| self.takes_plan()) else {
            return Ok(CommandAnswer::NotApplicable);
        };
        if self.hold_call_sent() {
            return Ok(CommandAnswer::TooLateInDoubt);
        }
        if self.decision.is_some() {
            return Ok(CommandAnswer::AlreadyDecided);
        }
        plan.check(money.amount)?;
        if let Some(Active::Held(hold)) = self.state.active()
            && [plan.capture_at, plan.release_at]
                .into_iter()
                .flatten()
                .any(|t| t >= hold.expires_at)
        {
            let problem = format!(
                "is not before the hold lapses at {}; choose an earlier time",
                hold.expires_at.to_rfc3339()
            );
            return Err(InvalidRequest::new("plan", problem));
        }
        self.plan = plan;
        self.climb_anew();
        self.plan_by_command = matches!(self.state.active(), Some(Active::Held(_)));
        if self.plan_by_command {
            self.wake_parked();
        }
        Ok(CommandAnswer::Accepted)
    }

    fn takes_plan(&self) -> bool {
        use super::request::Ask;
        matches!(self.request.ask, Ask::Authorize(_) | Ask::Adopt(_))
    }

    /// Seals the payment, unless money may already be on its way.
    fn cancel(&mut self) -> CommandAnswer {
        if self.hold_call_sent() {
            return CommandAnswer::TooLateInDoubt;
        }
        if matches!(self.state.active(), Some(Active::Held(_))) || self.is_adoption() {
            return CommandAnswer::NotApplicable;
        }
        if matches!(self.state, State::Parked { .. }) {
            return self.cancel_parked();
        }
        match self.open_attempt() {
            Some(open) if open.step.takes_money() => CommandAnswer::TooLateInDoubt,
            _ => {
                self.ending.get_or_insert(FailReason::Cancelled);
                self.pace.step_at = None;
                CommandAnswer::Accepted
            }
        }
    }

    /// Whether a cancel was accepted, whatever else the payment is ending for.
    pub(super) fn was_cancelled(&self) -> bool {
        let cancels = |entry: &CommandEntry| {
            entry.command == Command::Cancel && entry.answer == CommandAnswer::Accepted
        };
        self.commands.iter().any(cancels)
    }

    /// A person gives up on a payment that is parked: whatever was sent had its quiet period, and
    /// the seal decides. Nothing is reported before the gateway shows that it can never be paid.
    fn cancel_parked(&mut self) -> CommandAnswer {
        self.ending.get_or_insert(FailReason::Cancelled);
        self.look_again();
        CommandAnswer::Accepted
    }

    const fn is_adoption(&self) -> bool {
        matches!(self.request.ask, super::request::Ask::Adopt(_))
    }

    /// A fresh search: how long an earlier one went on does not count.
    fn look_again(&mut self) {
        self.stop_looking();
        self.rerun_wanted = matches!(self.state, State::Parked { .. });
        self.look_wanted = self.purchase.is_some();
    }

    fn wake_parked(&mut self) {
        if matches!(self.state, State::Parked { .. }) {
            self.look_again();
        }
    }
}
