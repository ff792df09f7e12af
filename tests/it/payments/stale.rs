//! Reads that are older than the truth.

use chip_sandbox::{Effect, MovementKind, Operation, Rule};
use chrono::TimeDelta;
use holdfast::payment::*;
use holdfast_rig::compare;

use super::{Here, QUIET, stage};
use crate::stage::QUIET_MINUTES;

const MINUTE_MS: u64 = 60_000;

#[derive(Debug, Clone, Copy)]
enum Scene {
    Charge,
    HoldAndCapture,
    HoldAndRelease,
    Checkout,
}

impl Scene {
    const ALL: [Self; 4] = [
        Self::Charge,
        Self::HoldAndCapture,
        Self::HoldAndRelease,
        Self::Checkout,
    ];

    async fn begin(self, stage: &Here) -> PaymentId {
        let capture = r#"{"capture_at":"2027-01-31T06:30:00Z","capture_amount":900}"#;
        let release = r#"{"release_at":"2027-01-31T06:30:00Z"}"#;
        match self {
            Self::Charge => stage.charge("k", 1500).await,
            Self::HoldAndCapture => stage.authorize_by_token("k", 1500, capture).await,
            Self::HoldAndRelease => stage.authorize_by_token("k", 1500, release).await,
            Self::Checkout => {
                let id = stage.authorize_by_checkout("k", 1500, capture).await;
                stage.work().await;
                stage.payer_pays(&id).await;
                id
            }
        }
    }

    /// Where it ends when nothing stands in its way.
    fn end(self) -> StateName {
        match self {
            Self::HoldAndRelease => StateName::Released,
            Self::Charge | Self::HoldAndCapture | Self::Checkout => StateName::Paid,
        }
    }
}

/// How old reads are: younger and older than the quiet period, and without any bound.
fn ages() -> [Effect; 4] {
    let quiet_ms = u64::try_from(QUIET_MINUTES).unwrap() * MINUTE_MS;
    [
        Effect::StaleBy(MINUTE_MS),
        Effect::StaleBy(quiet_ms + 5 * MINUTE_MS),
        Effect::StaleStatus,
        Effect::BeforeOperation,
    ]
}

/// No effect twice and no report that the ledger does not bear out, at this moment.
async fn sound(stage: &Here, id: &PaymentId, scene: &str) {
    let line = compare(stage.payment(id).await, &stage.ledger(), false)
        .beside(|id| stage.sandbox.status_of(id));
    assert_eq!(line.problems, [""; 0], "{scene}: {:?}", line.payment);
    let moved = |kind| stage.moved(id, kind);
    assert!(moved(MovementKind::Hold) <= 1, "{scene}");
}

fn lose(stage: &Here, effect: &Effect) {
    for operation in [Operation::Charge, Operation::Capture, Operation::Release] {
        stage.fault(Rule::on(operation, effect.clone()).times(1));
    }
}

#[tokio::test]
async fn stale_reads_never_cost_money() {
    for unknown in [UnknownPolicy::Park, UnknownPolicy::ResendSame] {
        for what in Scene::ALL {
            for age in ages() {
                for lost in [None, Some(Effect::timeout_after_commit())] {
                    let scene = format!("{unknown:?} {what:?} {age:?} {lost:?}");
                    let stage = stage(unknown).await;
                    // The answers of money calls may be lost: then reads are all there is.
                    if let Some(effect) = &lost {
                        lose(&stage, effect);
                    }
                    stage.fault(Rule::on(Operation::Retrieve, age.clone()));
                    let id = what.begin(&stage).await;
                    for _ in 0..4 {
                        stage.work_for(QUIET).await;
                        sound(&stage, &id, &scene).await;
                    }
                    // In the end the gateway tells the truth, and a person asks once more.
                    stage.sandbox.clear_faults();
                    if stage.state(&id).await == StateName::Parked {
                        let rerun = Command::Rerun {
                            reason: "the gateway was behind".into(),
                            actor: "aina".into(),
                        };
                        stage.command(&id, "r", rerun).await;
                    }
                    stage.work_for(TimeDelta::days(2)).await;
                    sound(&stage, &id, &scene).await;
                    assert_eq!(stage.state(&id).await, what.end(), "{scene}");
                }
            }
        }
    }
}
