//! That the model of the protocol in `tests/model` decides as a charge here does. What is searched
//! there is worth as much as this holds.

use holdfast_model::twin::{Outline, Seen, Twin};
use proptest::prelude::*;

use super::scenes::*;
use super::*;

/// Under which claim everything is done.
const CLAIM: &str = "claim";
/// A walk ends where the model's bounds would: so many charges sent again, or again another day.
const MOST: usize = 3;

#[derive(Debug, Clone, Copy)]
enum Act {
    /// Does what is next. Whether a time-out is noted of what was sent.
    Follow {
        noted: bool,
    },
    Look(Seen),
    Quiet,
    NeverSent,
    Cancel,
    Rerun,
}

fn acts() -> impl Strategy<Value = Act> {
    let payable = (0u8..3, any::<bool>());
    let seen = prop_oneof![
        6 => payable.prop_map(|(declines, for_good)| Seen::Payable { declines, for_good }),
        2 => Just(Seen::Pending),
        1 => Just(Seen::Paid),
        3 => Just(Seen::Cancelled),
    ];
    prop_oneof![
        8 => any::<bool>().prop_map(|noted| Act::Follow { noted }),
        6 => seen.prop_map(Act::Look),
        4 => Just(Act::Quiet),
        1 => Just(Act::NeverSent),
        1 => Just(Act::Cancel),
        2 => Just(Act::Rerun),
    ]
}

/// The two of them, and what was seen last.
struct Pair {
    scene: Scene,
    twin: Twin,
    last: Option<Seen>,
    declines: usize,
}

impl Pair {
    fn new(unknown: UnknownPolicy) -> Self {
        Self {
            scene: Scene::new(charge(), unknown),
            twin: Twin::new(unknown == UnknownPolicy::ResendSame),
            last: None,
            declines: 0,
        }
    }

    /// Does the same to both; false if the walk is over.
    fn act(&mut self, act: Act) -> bool {
        let known = self.scene.payment.purchase().is_some();
        match act {
            // A look that was asked for comes first here; there anybody may look at any time.
            Act::Follow { .. } if self.scene.payment.look_wanted => {}
            Act::Follow { noted } => self.follow(noted),
            Act::Look(seen) if known => self.look(seen),
            Act::Quiet => {
                self.scene.pass(QUIET + MINUTE);
                self.twin.quiet_passes();
            }
            // What a parked payment makes of it depends on when it was parked, and whether a charge
            // was pending before is not remembered by the model while an attempt is open.
            Act::NeverSent
                if self.scene.state() == StateName::New && self.last != Some(Seen::Pending) =>
            {
                self.never_sent();
            }
            Act::Cancel => {
                self.scene.command(Command::Cancel);
                self.twin.cancel();
            }
            Act::Rerun => {
                let said = "a test".to_owned();
                self.scene.command(Command::Rerun {
                    reason: said.clone(),
                    actor: said,
                });
                self.twin.rerun();
            }
            Act::Look(_) | Act::NeverSent => {}
        }
        self.twin.outline().unexplained < MOST && self.declines < MOST
    }

    fn follow(&mut self, noted: bool) {
        let Scene {
            payment,
            policy,
            now,
            ..
        } = &mut self.scene;
        match next(payment, *now, policy) {
            Next::Send(step) => {
                let number = payment.open(step, *now, policy).unwrap();
                payment.sign_open(CLAIM);
                let answer = match step {
                    Step::Create => {
                        let seen = sighting(payment, Standing::Payable);
                        Some(Answer::Shown(Box::new(seen)))
                    }
                    _ => noted.then(Scene::unknown),
                };
                if let Some(answer) = answer {
                    payment.answered(number, &answer, *now, policy);
                }
            }
            Next::Settle(event) => payment.settled(event, *now, policy),
            Next::LookUp | Next::WaitUntil(_) | Next::Nothing => {}
        }
        self.twin.follow();
    }

    fn look(&mut self, seen: Seen) {
        let mut sighting = sighting(
            &self.scene.payment,
            match seen {
                Seen::Payable { .. } => Standing::Payable,
                Seen::Pending => Standing::Pending,
                Seen::Paid => Standing::Paid,
                Seen::Cancelled => Standing::Cancelled,
            },
        );
        if let Seen::Payable { declines, for_good } = seen {
            let code = if for_good {
                "stolen_card"
            } else {
                "insufficient_funds"
            };
            let tries = (0..declines).map(|_| failed_try(TryKind::Pay, code));
            sighting.tries = tries.collect();
        }
        let Scene {
            payment,
            policy,
            now,
            ..
        } = &mut self.scene;
        payment.looked_up(&LookUp::Shown(Box::new(sighting)), *now, policy);
        let declined = |attempt: &&Attempt| {
            let verdict = attempt.closed.as_ref().map(|closed| &closed.verdict);
            matches!(verdict, Some(Verdict::Declined { .. }))
        };
        self.declines = payment.attempts().iter().filter(declined).count();
        self.twin.saw(seen);
        self.last = Some(seen);
    }

    fn never_sent(&mut self) {
        let Scene {
            payment,
            policy,
            now,
            ..
        } = &mut self.scene;
        if let Some(number) = payment.open_attempt().map(|open| open.number) {
            payment.never_sent(number, CLAIM, *now, policy);
        }
        self.twin.never_sent();
    }
}

/// What is next, once nothing has to be waited for.
fn next(payment: &Payment, now: Timestamp, policy: &Policy) -> Next {
    let mut at = now;
    for _ in 0..8 {
        match payment.next(at, policy) {
            Next::WaitUntil(time) => at = time,
            next => return next,
        }
    }
    Next::Nothing
}

fn word(next: &Next) -> &'static str {
    match next {
        Next::Send(step) => step.as_str(),
        Next::LookUp => "look",
        Next::Settle(Event::Sealed(..)) => "fail",
        Next::Settle(Event::Resumed) => "resume",
        Next::Settle(_) => "park",
        Next::WaitUntil(_) | Next::Nothing => "nothing",
    }
}

fn outline(payment: &Payment) -> Outline {
    let charges = || {
        let attempts = payment.attempts().iter();
        attempts.filter(|attempt| attempt.step == Step::Charge)
    };
    let unexplained = |attempt: &&Attempt| {
        let verdict = attempt.closed.as_ref().map(|closed| &closed.verdict);
        verdict == Some(&Verdict::DidNotHappen)
    };
    Outline {
        state: payment.state().name().as_str(),
        purchase: payment.purchase().is_some(),
        open: payment.open_attempt().map(|open| open.step.as_str()),
        charges: charges().count(),
        unexplained: charges().filter(unexplained).count(),
        ending: payment.ending().is_some(),
        seal_seen: payment.seal_seen_at().is_some(),
        rerun: payment.rerun_wanted,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_model_decides_as_a_charge_does(
        resend in any::<bool>(),
        acts in prop::collection::vec(acts(), 1..40),
    ) {
        let unknown = if resend { UnknownPolicy::ResendSame } else { UnknownPolicy::Park };
        let mut pair = Pair::new(unknown);
        for act in acts {
            if !pair.act(act) {
                break;
            }
            let Scene { payment, policy, now, .. } = &pair.scene;
            prop_assert_eq!(pair.twin.outline(), outline(payment), "after {:?}", act);
            if !payment.look_wanted {
                let next = next(payment, *now, policy);
                prop_assert_eq!(pair.twin.next(), word(&next), "after {:?}", act);
            }
        }
    }
}
