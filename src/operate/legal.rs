//! What a person can command of a payment now, tried on a copy of it: what a hold allows is not what a
//! charge does, and a call that was sent rules more out.

use crate::payment::{
    Active, Command, CommandAnswer, IdempotencyKey, Money, Payment, StateName, StatedEnd, Timestamp,
};

/// A command that would be accepted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Legal {
    /// As it would be given, with nothing in it that is the person's to say.
    pub command: Command,
    /// The money that it is about, if any: what it would let be taken, or give back.
    pub money: Option<Money>,
}

impl Legal {
    /// The word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.command.word()
    }
}

/// What a person says who has not said anything yet.
const WHY: &str = "why";

fn rerun(actor: &str) -> Command {
    Command::Rerun {
        reason: WHY.to_owned(),
        actor: actor.to_owned(),
    }
}

/// Whether the payment would accept it.
fn accepts(payment: &Payment, command: &Command, now: Timestamp) -> bool {
    // A key that nobody has used, or the copy would answer as it was answered then.
    let Ok(key) = IdempotencyKey::new(uuid::Uuid::new_v4().to_string()) else {
        return false;
    };
    match payment.clone().command(key, command.clone(), now) {
        Ok(answer) => answer == CommandAnswer::Accepted,
        // Open to whoever names another amount, or other times.
        Err(wrong) => wrong.field == "amount" || wrong.field.starts_with("plan"),
    }
}

/// What a person can command of a parked payment.
#[must_use]
pub fn open_to_a_person(payment: &Payment, now: Timestamp) -> Vec<&'static str> {
    let commands = [
        rerun("who"),
        Command::Capture { amount: None },
        Command::Release,
        Command::Cancel,
    ];
    let open = commands.iter();
    open.filter(|command| accepts(payment, command, now))
        .map(Command::word)
        .collect()
}

/// What this person can command of a payment now. A rerun means something where a call is in doubt, or
/// a person is asked; how it ended is for people to say where one is asked.
#[must_use]
pub fn legal(payment: &Payment, actor: &str, now: Timestamp) -> Vec<Legal> {
    let parked = payment.state().name() == StateName::Parked;
    let mut commands = Vec::new();
    if parked || payment.open_attempt().is_some() {
        commands.push(rerun(actor));
    }
    commands.extend([
        Command::Capture { amount: None },
        Command::Release,
        Command::Reschedule {
            capture_at: None,
            capture_amount: None,
            release_at: None,
        },
        Command::Cancel,
    ]);
    if parked {
        commands.extend(settling(payment, actor));
    }
    commands
        .into_iter()
        .filter(|command| accepts(payment, command, now))
        .map(|command| Legal {
            money: money(payment, &command),
            command,
        })
        .collect()
}

/// What settles a parked payment: as the gateway shows it, or by the word of two people.
fn settling(payment: &Payment, actor: &str) -> [Command; 3] {
    let own = match payment.state().active() {
        Some(Active::Held(_)) => StatedEnd::HoldGone,
        _ => StatedEnd::NeverPaid,
    };
    let proposed = payment.resolution().and_then(|known| known.outcome);
    let (reason, actor) = (|| WHY.to_owned(), || actor.to_owned());
    [
        Command::ResolveAsShown {
            reason: reason(),
            actor: actor(),
        },
        Command::ProposeByHand {
            outcome: own,
            reason: reason(),
            actor: actor(),
        },
        Command::ApproveByHand {
            outcome: proposed.unwrap_or(own),
            reason: reason(),
            actor: actor(),
        },
    ]
}

/// The money that a command is about.
fn money(payment: &Payment, command: &Command) -> Option<Money> {
    let whole = match payment.state().active() {
        Some(Active::Held(hold)) => hold.money,
        _ => payment.request().money()?,
    };
    match command {
        Command::Capture { .. } | Command::Reschedule { .. } => {
            let amount = payment.lets_take(command)?;
            Some(Money { amount, ..whole })
        }
        // A release gives all of it back, a rerun goes on with it, a cancel keeps it from being taken;
        // what people settle is what became of it.
        Command::Release
        | Command::Rerun { .. }
        | Command::Cancel
        | Command::ResolveAsShown { .. }
        | Command::ProposeByHand { .. }
        | Command::ApproveByHand { .. } => Some(whole),
    }
}
