//! What happens in each flow by itself: what is asked, who pays when, what people command, what the
//! acquirer says.

use chip_sandbox::{Effect, Operation, Rule};
use chrono::TimeDelta;
use holdfast::payment::{Amount, Command, StateName, StatedEnd};
use uuid::Uuid;

use super::case::{HOLD_LASTS_MS, MARGIN_MS, SHORTLY_MS};
use super::flow::Flow;
use super::watch::Webhooks;
use crate::world::World;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
pub(super) const AMOUNT: u64 = 1_500;
pub(super) const PART: u64 = 600;

/// What happens in a flow by itself.
pub(super) struct Script {
    /// The request without version, account and key.
    pub(super) body: String,
    /// How long after the link is there it is paid, in milliseconds.
    pub(super) pays_after_ms: Option<u64>,
    /// What a person commands: in which state, how long after it was seen, what.
    pub(super) command: Option<(StateName, u64, Command)>,
    /// What another person commands after it.
    pub(super) seconded: Option<Command>,
    /// What the gateway does otherwise than usual, until a person puts it right.
    pub(super) rule: Option<Rule>,
    /// How long a hold lasts at the acquirer.
    pub(super) hold_lasts_ms: u64,
    /// Whether a part of the hold that is to be taken over is captured before.
    pub(super) captured_elsewhere: bool,
    /// How long the acquirer takes.
    pub(super) acquirer_ms: u64,
    pub(super) webhooks: Webhooks,
    /// Whether the worker is told to end during the charge.
    pub(super) redeployed: bool,
}

/// What a request can refer to.
pub(super) struct Given {
    pub(super) card: Uuid,
    pub(super) hold: String,
}

impl Script {
    fn of_body(body: String) -> Self {
        Self {
            body,
            pays_after_ms: None,
            command: None,
            seconded: None,
            rule: None,
            hold_lasts_ms: HOLD_LASTS_MS,
            captured_elsewhere: false,
            acquirer_ms: 200,
            webhooks: Webhooks::Delivered,
            redeployed: false,
        }
    }

    fn charge(given: &Given) -> Self {
        let card = given.card;
        Self::of_body(format!(
            r#""type":"charge",{},"token":"{card}",{CUSTOMER}"#,
            money()
        ))
    }

    fn held(given: &Given, plan: &str) -> Self {
        let card = given.card;
        Self::of_body(format!(
            r#""type":"authorize",{},"source":{{"token":"{card}"}},"plan":{{{plan}}},{CUSTOMER}"#,
            money()
        ))
    }

    fn adopt(given: &Given, capture_at: &str) -> Self {
        let (hold, plan) = (&given.hold, time("capture_at", capture_at));
        Self::of_body(format!(
            r#""type":"adopt",{},"purchase":"{hold}","plan":{{{plan}}}"#,
            money()
        ))
    }

    fn checkout(checkout: &str, plan: &str) -> Self {
        Self {
            pays_after_ms: Some(5 * SECOND),
            ..Self::of_body(format!(
                r#""type":"authorize",{},"source":{{"checkout":{{{checkout}}}}},"plan":{{{plan}}},{CUSTOMER}"#,
                money()
            ))
        }
    }

    fn ruled(self, operation: Operation, effect: Effect) -> Self {
        let rule = Rule::on(operation, effect).times(1);
        Self {
            rule: Some(rule),
            ..self
        }
    }

    fn commanded(self, state: StateName, command: Command) -> Self {
        Self {
            command: Some((state, 3 * SECOND, command)),
            ..self
        }
    }

    fn silent(self) -> Self {
        Self {
            webhooks: Webhooks::Silent,
            ..self
        }
    }

    fn taken_as_shown(given: &Given, capture_at: &str) -> Self {
        Self {
            captured_elsewhere: true,
            ..Self::adopt(given, capture_at)
                .commanded(StateName::Parked, as_shown())
                .silent()
        }
    }

    fn stated_by_hand(given: &Given) -> Self {
        let refused = Rule::on(Operation::Capture, Effect::decline("do_not_honour"));
        Self {
            rule: Some(refused),
            // At the acquirer it is gone a little earlier than the shop was told.
            hold_lasts_ms: SHORTLY_MS - 10 * SECOND,
            seconded: Some(approve()),
            ..Self::held(given, r#""before_expiry":"capture""#)
                .commanded(StateName::Parked, propose())
                .silent()
        }
    }

    /// The script of a flow.
    pub(super) fn of(flow: Flow, world: &World, given: &Given) -> Self {
        let at = |after_ms| world.written_time(after_ms);
        match flow {
            Flow::Charge => Self::charge(given),
            Flow::ChargeSlowly => Self {
                acquirer_ms: 25 * SECOND,
                ..Self::charge(given).silent()
            },
            Flow::Redeployed => Self {
                acquirer_ms: 40 * SECOND,
                redeployed: true,
                ..Self::charge(given).silent()
            },
            Flow::ChargePending => {
                Self::charge(given).ruled(Operation::Charge, Effect::pending(20 * SECOND))
            }
            Flow::DeclinedForGood => {
                Self::charge(given).ruled(Operation::Charge, Effect::decline("do_not_honour"))
            }
            Flow::DeclinedForLater => {
                let later = Effect::decline("insufficient_funds");
                Self::charge(given).silent().ruled(Operation::Charge, later)
            }
            Flow::Rerun => {
                let refused = Rule::on(Operation::Create, Effect::status_before_commit(403));
                Self {
                    rule: Some(refused),
                    ..Self::charge(given).commanded(StateName::Parked, rerun())
                }
            }
            Flow::CaptureAt => Self::checkout("", &time("capture_at", &at(20 * SECOND))),
            Flow::ReleaseAt => Self::checkout("", &time("release_at", &at(20 * SECOND))).silent(),
            Flow::CaptureCommand => Self::held(given, "").commanded(StateName::Held, capture()),
            Flow::ReleaseCommand => Self::held(given, "")
                .silent()
                .commanded(StateName::Held, Command::Release),
            Flow::CapturePart => {
                let plan = time("capture_at", &at(15 * SECOND));
                Self::held(given, &format!(r#"{plan},"capture_amount":{PART}"#)).silent()
            }
            Flow::SaveCard => Self {
                pays_after_ms: Some(5 * SECOND),
                ..Self::of_body(format!(r#""type":"save_card",{CUSTOMER}"#))
            },
            Flow::Adopt => Self::adopt(given, &at(10 * SECOND)),
            Flow::LinkExpires => Self {
                pays_after_ms: None,
                ..Self::checkout(&time("pay_by", &at(3 * MINUTE)), "")
            },
            Flow::Cancel => Self {
                pays_after_ms: None,
                ..Self::checkout("", "").commanded(StateName::AwaitingPayer, Command::Cancel)
            },
            Flow::Reschedule => Self::checkout("", &time("capture_at", &at(15 * MINUTE)))
                .commanded(StateName::Held, reschedule(world)),
            Flow::GuardReleases => Self::held(given, &guard(world, "release")).silent(),
            Flow::GuardCaptures => Self::held(given, &guard(world, "capture")),
            Flow::TakenAsShown => Self::taken_as_shown(given, &at(10 * SECOND)),
            Flow::StatedByHand => Self::stated_by_hand(given),
        }
    }
}

const CUSTOMER: &str = r#""customer":{"email":"payer@test.example"}"#;

fn money() -> String {
    format!(r#""money":{{"amount":{AMOUNT},"currency":"MYR"}}"#)
}

fn time(name: &str, time: &str) -> String {
    format!(r#""{name}":"{time}""#)
}

fn guard(world: &World, before_expiry: &str) -> String {
    let lapses = time("expires_at", &world.written_time(MARGIN_MS + 2 * MINUTE));
    format!(r#"{lapses},"before_expiry":"{before_expiry}""#)
}

fn as_shown() -> Command {
    Command::ResolveAsShown {
        reason: "the desk captured a part".to_owned(),
        actor: "aisyah".to_owned(),
    }
}

fn propose() -> Command {
    Command::ProposeByHand {
        outcome: StatedEnd::HoldGone,
        reason: "the bank says so".to_owned(),
        actor: "aisyah".to_owned(),
    }
}

fn approve() -> Command {
    Command::ApproveByHand {
        outcome: StatedEnd::HoldGone,
        reason: "I asked, too".to_owned(),
        actor: "bala".to_owned(),
    }
}

fn capture() -> Command {
    Command::Capture {
        amount: Amount::new(PART).ok(),
    }
}

fn reschedule(world: &World) -> Command {
    Command::Reschedule {
        capture_at: Some(world.now() + TimeDelta::seconds(75)),
        capture_amount: None,
        release_at: None,
    }
}

fn rerun() -> Command {
    Command::Rerun {
        reason: "the key is put right".to_owned(),
        actor: "nobody".to_owned(),
    }
}
