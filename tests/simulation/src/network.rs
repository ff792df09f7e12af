//! What becomes of a call on its way to the gateway and back.

use chip_sandbox::{Answer, Commit, Effect, Operation};

use crate::dice::Dice;
use crate::plan::{Charges, Plan};
use crate::points::Manner;

/// A call of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Create,
    Charge,
    Capture,
    Release,
    Cancel,
    LookUp,
}

impl Verb {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Charge => "charge",
            Self::Capture => "capture",
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::LookUp => "look_up",
        }
    }

    pub(crate) const fn operation(self) -> Operation {
        match self {
            Self::Create => Operation::Create,
            Self::Charge => Operation::Charge,
            Self::Capture => Operation::Capture,
            Self::Release => Operation::Release,
            Self::Cancel => Operation::Cancel,
            Self::LookUp => Operation::Retrieve,
        }
    }

    const fn faults(self) -> &'static [&'static str] {
        match self {
            Self::Create => ON_CREATE,
            Self::Charge | Self::Capture | Self::Release => ON_ACQUIRER,
            Self::Cancel => ON_CANCEL,
            Self::LookUp => ON_LOOK_UP,
        }
    }
}

pub(crate) const ON_LOOK_UP: &[&str] = &[
    "not_sent",
    "lost_before",
    "lost_after",
    "reset_before",
    "reset_after",
    "status_before",
    "rate_limited",
    "denied",
    "truncated",
    "not_json",
    "wrong_id",
    "slow",
    "stale",
];
pub(crate) const ON_CREATE: &[&str] = &[
    "not_sent",
    "lost_before",
    "lost_after",
    "reset_before",
    "reset_after",
    "status_before",
    "status_after",
    "rate_limited",
    "denied",
    "truncated",
    "not_json",
    "late",
    "slow",
    "doubled",
];
pub(crate) const ON_CANCEL: &[&str] = &[
    "not_sent",
    "lost_before",
    "lost_after",
    "reset_before",
    "reset_after",
    "status_before",
    "status_after",
    "rate_limited",
    "denied",
    "truncated",
    "not_json",
    "wrong_id",
    "late",
    "slow",
    "doubled",
];
pub(crate) const ON_ACQUIRER: &[&str] = &[
    "not_sent",
    "lost_before",
    "lost_after",
    "reset_before",
    "reset_after",
    "status_before",
    "status_after",
    "rate_limited",
    "denied",
    "truncated",
    "not_json",
    "wrong_id",
    "late",
    "slow",
    "doubled",
    "declined",
    "pending",
    "pending_declined",
];
const DECLINES: &[&str] = &["insufficient_funds", "do_not_honour", "timeout"];

/// How a call travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// There and back.
    Through,
    /// Not a byte leaves.
    Unsent,
    /// It does not arrive, and the client hears nothing.
    Lost,
    /// It arrives, and the client hears nothing.
    Unheard,
    /// It does not arrive, and the client hears that the connection broke.
    Broken,
    /// It arrives that much later than anybody waits for it.
    Late(u64),
    /// Something on the way delivers it once more, that much later.
    Doubled(u64),
}

/// What becomes of a call.
#[derive(Debug, Clone)]
pub(crate) struct Fate {
    pub(crate) fault: Option<&'static str>,
    pub(crate) out_ms: u64,
    pub(crate) back_ms: u64,
    pub(crate) way: Way,
    /// What the gateway makes of it.
    pub(crate) effect: Option<Effect>,
}

impl Fate {
    /// A call that nothing happens to.
    pub(crate) fn fine(dice: &mut Dice) -> Self {
        Self {
            fault: None,
            out_ms: dice.between(1, 80),
            back_ms: dice.between(1, 80),
            way: Way::Through,
            effect: None,
        }
    }

    /// What a crash point makes of it: it gets there and nobody hears of it, or it does not.
    pub(crate) fn bend(&mut self, met: Option<Manner>) {
        match met {
            Some(Manner::ReplyLost) => self.way = Way::Unheard,
            Some(Manner::NotArrived) => self.way = Way::Lost,
            Some(
                Manner::CrashBefore | Manner::CrashAfter | Manner::TakenBefore | Manner::TakenAfter,
            )
            | None => {}
        }
    }

    /// One of the faults that fit the call.
    pub(crate) fn faulty(verb: Verb, dice: &mut Dice, plan: &Plan) -> Self {
        let mut fault = *dice.pick(verb.faults());
        let weak = plan.charges == Charges::Concurrent;
        if weak && (fault == "doubled" || dice.in_1000(300)) && verb != Verb::LookUp {
            // There, what something on the way doubles is taken twice, whoever is the client.
            fault = "late";
        }
        let mut fate = Self::fine(dice);
        fate.fault = Some(fault);
        fate.suffer(fault, dice, plan);
        fate
    }

    fn suffer(&mut self, fault: &str, dice: &mut Dice, plan: &Plan) {
        let error = *dice.pick(&[500, 502, 503, 504]);
        let pending_ms = *dice.pick(&[3_000, 30_000, 200_000]);
        let broken = |commit, answer| Some(Effect::Broken { commit, answer });
        match fault {
            "not_sent" => self.way = Way::Unsent,
            "lost_before" => self.way = Way::Lost,
            "reset_before" => self.way = Way::Broken,
            "late" => self.way = Way::Late(lateness(dice, plan)),
            "doubled" => self.way = Way::Doubled(*dice.pick(&[1, 400, 30_000, 150_000])),
            "slow" => self.back_ms = *dice.pick(&[5_000, 14_000, 30_000, 59_500]),
            "lost_after" => self.effect = Some(Effect::timeout_after_commit()),
            "reset_after" => self.effect = Some(Effect::reset_after_commit()),
            "status_before" => self.effect = Some(Effect::status_before_commit(error)),
            "status_after" => self.effect = Some(Effect::status_after_commit(error)),
            "rate_limited" => {
                self.effect = Some(Effect::rate_limited(dice.between(1, 90)));
            }
            "denied" => {
                let status = *dice.pick(&[401, 403]);
                self.effect = Some(Effect::status_before_commit(status));
            }
            "truncated" => self.effect = Some(Effect::truncated()),
            "not_json" => self.effect = broken(Commit::Now, Answer::NotJson),
            "wrong_id" => self.effect = broken(Commit::Now, Answer::WrongId),
            "stale" => {
                self.effect = Some(if dice.in_1000(500) {
                    Effect::StaleStatus
                } else {
                    Effect::StaleBy(dice.between(100, 60_000))
                });
            }
            "declined" => self.effect = Some(Effect::decline(dice.pick::<&str>(DECLINES))),
            "pending" => self.effect = Some(Effect::pending(pending_ms)),
            "pending_declined" => {
                let code = dice.pick::<&str>(DECLINES);
                self.effect = Some(Effect::pending_then_declined(pending_ms, code));
            }
            _ => {}
        }
    }
}

/// How much later a call may arrive: after any deadline, around the quiet period, long after it.
fn lateness(dice: &mut Dice, plan: &Plan) -> u64 {
    let quiet = crate::policy::QUIET_MS;
    if plan.charges == Charges::Concurrent {
        return dice.between(quiet * 9 / 10, quiet * 3 / 2);
    }
    match dice.below(4) {
        0 => dice.between(500, 20_000),
        1 => dice.between(20_000, quiet),
        2 => dice.between(quiet * 9 / 10, quiet * 11 / 10),
        _ => dice.between(quiet, 3 * quiet),
    }
}
