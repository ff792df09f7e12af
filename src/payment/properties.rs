//! What holds for every payment, whatever the gateway answers and whoever commands what.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::scenes::*;
use super::*;

/// One thing that happens to a payment. The gateway may answer anything, even what it never said
/// before and what contradicts it.
#[derive(Debug, Clone)]
enum Act {
    Pass(u32),
    Turn(Reply),
    Nudge,
    Command(u8, u16),
    Crash,
}

#[derive(Debug, Clone)]
enum Reply {
    Shown {
        standing: u8,
        tries: Vec<(u8, bool, u8)>,
        twist: u8,
    },
    Class(u8),
}

fn reply() -> impl Strategy<Value = Reply> {
    let tries = prop::collection::vec((0u8..4, any::<bool>(), 0u8..8), 0..3);
    prop_oneof![
        6 => (0u8..9, tries, 0u8..24)
            .prop_map(|(standing, tries, twist)| Reply::Shown { standing, tries, twist }),
        4 => (0u8..8).prop_map(Reply::Class),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => prop_oneof![0u32..10_000, 0u32..3_600_000, 0u32..400_000_000].prop_map(Act::Pass),
        8 => reply().prop_map(Act::Turn),
        1 => Just(Act::Nudge),
        2 => (0u8..5, 1u16..2_000).prop_map(|(kind, amount)| Act::Command(kind, amount)),
        1 => Just(Act::Crash),
    ]
}

fn requests() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(charge()),
        Just(request(&format!(
            r#""type":"charge","money":{{"amount":1500,"currency":"MYR"}},"token":"{TOKEN}",
            "customer":{{"email":"a@b.example"}},"not_after":"2027-01-31T18:00:00+08:00""#
        ))),
        Just(by_checkout("{}")),
        Just(by_checkout(
            r#"{"capture_at":"2027-02-01T00:00:00Z","capture_amount":900}"#
        )),
        Just(by_token(r#"{"release_at":"2027-02-02T00:00:00Z"}"#)),
        Just(by_token(
            r#"{"capture_at":"2027-02-01T00:00:00Z","release_at":"2027-02-02T00:00:00Z"}"#
        )),
        Just(by_token(r#"{"before_expiry":"park"}"#)),
        Just(save_card()),
        Just(adopt()),
    ]
}

const CODES: [&str; 8] = [
    "insufficient_funds",
    "expired_card",
    "stolen_card",
    "acquirer_configuration_error",
    "timeout",
    "never_heard_of",
    "invalid_recurring_token",
    "not_found",
];

fn seen(payment: &Payment, standing: u8, tries: &[(u8, bool, u8)], twist: u8) -> Sighting {
    let standings = [
        Standing::Payable,
        Standing::Pending,
        Standing::Held,
        Standing::Paid,
        Standing::Released,
        Standing::CardSaved,
        Standing::Cancelled,
        Standing::Expired,
        Standing::Other("new_status".into()),
    ];
    let kinds = [
        TryKind::Pay,
        TryKind::Capture,
        TryKind::Release,
        TryKind::Other,
    ];
    let mut seen = sighting(payment, standings[usize::from(standing) % 9].clone());
    seen.tries = tries
        .iter()
        .map(|(kind, successful, code)| Try {
            kind: kinds[usize::from(*kind) % 4],
            successful: *successful,
            code: (!successful).then(|| CODES[usize::from(*code) % 8].to_owned()),
        })
        .collect();
    match twist {
        0 => seen.total += 1,
        1 => seen.currency = "SGD".into(),
        2 => seen.test = false,
        3 => seen.brand = "other".into(),
        4 => {
            seen.taken = Some(Taken {
                amount: 1,
                currency: "MYR".into(),
            });
        }
        5 => seen.converted = true,
        _ => {}
    }
    seen
}

fn answer(payment: &Payment, reply: &Reply) -> Answer {
    match reply {
        Reply::Shown {
            standing,
            tries,
            twist,
        } => Answer::Shown(Box::new(seen(payment, *standing, tries, *twist))),
        Reply::Class(class) => match class {
            0 => Answer::NotSent {
                why: "refused".into(),
            },
            1 => Answer::NoEffect {
                code: "authentication_failed".into(),
                denied: true,
            },
            2 => Answer::NoEffect {
                code: "invalid_recurring_token".into(),
                denied: false,
            },
            3 => Answer::NoEffect {
                code: "not_found".into(),
                denied: false,
            },
            4 => Answer::Declined {
                code: "purchase_charge_error".into(),
            },
            5 => Answer::Conflict {
                code: "purchase_charge_wrong_status".into(),
            },
            6 => Answer::RateLimited {
                retry_after_ms: Some(1_000_000_000),
            },
            _ => Answer::Unknown {
                why: "time-out".into(),
            },
        },
    }
}

fn look_up(payment: &Payment, reply: &Reply) -> LookUp {
    match reply {
        Reply::Shown {
            standing,
            tries,
            twist,
        } => LookUp::Shown(Box::new(seen(payment, *standing, tries, *twist))),
        Reply::Class(3) => LookUp::NotFound,
        Reply::Class(class) => LookUp::Failed {
            why: "gone".into(),
            denied: if *class == 1 {
                Denial::Said
            } else {
                Denial::No
            },
            retry_after_ms: (*class == 6).then_some(5_000),
        },
    }
}

fn command(kind: u8, amount: u16) -> Command {
    let at = Some(start() + TimeDelta::minutes(i64::from(amount)));
    match kind {
        0 => Command::Capture {
            amount: Amount::new(u64::from(amount)).ok(),
        },
        1 => Command::Release,
        2 => Command::Reschedule {
            capture_at: at,
            capture_amount: None,
            release_at: None,
        },
        3 => Command::Cancel,
        _ => Command::Rerun {
            reason: "try again".into(),
            actor: "ops".into(),
        },
    }
}

/// What the world saw, besides the record: against it the record is judged.
#[derive(Default)]
struct World {
    shown: Vec<Standing>,
    sent: Vec<(Step, Timestamp)>,
    commands: usize,
    nudges: u64,
    /// Whether somebody asked for something since the payment was parked.
    asked: bool,
    /// What came of the last call or look.
    reply: Option<Reply>,
    /// What the gateway showed last, if it was what was asked for.
    last: Option<Standing>,
}

impl World {
    fn act(&mut self, scene: &mut Scene, act: &Act) {
        match act {
            Act::Pass(ms) => scene.pass(TimeDelta::milliseconds(i64::from(*ms))),
            Act::Nudge => {
                self.nudges += 1;
                scene.payment.nudged(self.nudges);
            }
            Act::Command(kind, amount) => {
                self.commands += 1;
                let key = IdempotencyKey::new(format!("c{}", self.commands)).unwrap();
                let answer = scene
                    .payment
                    .command(key, command(*kind, *amount), scene.now);
                self.asked |= answer == Ok(CommandAnswer::Accepted);
            }
            Act::Crash => {
                if let Next::Send(step) = scene.next()
                    && step != Step::Create
                {
                    scene.payment.open(step, scene.now, &scene.policy).unwrap();
                    self.sent.push((step, scene.now));
                }
            }
            Act::Turn(reply) => self.turn(scene, reply),
        }
    }

    fn turn(&mut self, scene: &mut Scene, reply: &Reply) {
        self.reply = Some(reply.clone());
        let next = scene.next();
        if let Next::Send(step) = next {
            self.check_send(scene, step);
        }
        if let Reply::Shown {
            standing, twist, ..
        } = reply
        {
            let seen = seen(&scene.payment, *standing, &[], 99);
            self.shown.push(seen.standing.clone());
            if matches!(next, Next::Send(_) | Next::LookUp) {
                self.last = (*twist > 5).then_some(seen.standing);
            }
        }
        match next {
            Next::Send(step) => {
                let answer = answer(&scene.payment, reply);
                if !matches!(answer, Answer::NotSent { .. } | Answer::NoEffect { .. }) {
                    self.sent.push((step, scene.now));
                }
                scene.answer(&answer);
            }
            Next::LookUp => {
                let outcome = look_up(&scene.payment, reply);
                scene.payment.looked_up(&outcome, scene.now, &scene.policy);
            }
            Next::Settle(_) => scene.settle(),
            Next::WaitUntil(time) => {
                assert!(time > scene.now, "waits for the past");
                assert!(
                    time - scene.now <= TimeDelta::days(30),
                    "waits too long: {time}"
                );
            }
            Next::Nothing => assert!(scene.payment.is_finished()),
        }
    }

    /// What may never be sent.
    fn check_send(&self, scene: &Scene, step: Step) {
        let busy = matches!(
            self.last,
            Some(Standing::Pending | Standing::Paid | Standing::Other(_))
        );
        assert!(
            !busy || step == Step::Create,
            "sent while the gateway is busy with it"
        );
        let sent = |wanted: fn(&Step) -> bool| self.sent.iter().any(|(step, _)| wanted(step));
        match step {
            Step::Capture { amount } => {
                assert!(
                    !sent(|step| *step == Step::Release),
                    "capture after release"
                );
                assert!(amount.minor() <= 1500, "captures more than is held");
            }
            Step::Release => {
                assert!(
                    !sent(|s| matches!(s, Step::Capture { .. })),
                    "release after capture"
                );
            }
            Step::Charge => assert!(!sent(|step| *step == Step::Cancel), "charge after cancel"),
            Step::Create => assert!(scene.payment.purchase().is_none(), "a second purchase"),
            Step::Cancel => {}
        }
        let unknown = scene
            .payment
            .attempts()
            .iter()
            .rev()
            .find(|a| a.step == step);
        if let Some(attempt) = unknown
            && step.takes_money()
            && let Some(Closed {
                verdict: Verdict::DidNotHappen,
                ..
            }) = attempt.closed
            && attempt.answer_class() != Some(AnswerClass::RateLimited)
        {
            assert!(
                scene.now - attempt.opened_at >= QUIET,
                "sent again too early"
            );
            assert_eq!(
                scene.policy.unknown,
                UnknownPolicy::ResendSame,
                "sent again under park"
            );
        }
    }

    fn check(&mut self, scene: &Scene, before: &Payment) {
        let payment = &scene.payment;
        if let State::Parked { from, .. } = before.state() {
            let resumed = State::from(from.clone()) == *payment.state();
            assert!(!resumed || self.asked, "taken up again, and nobody asked");
        }
        let parked_again = payment.state().name() == StateName::Parked
            && payment.state() != before.state()
            && !matches!(self.reply, Some(Reply::Class(_)));
        if parked_again {
            self.asked = false;
        }
        let open = payment
            .attempts()
            .iter()
            .filter(|attempt| attempt.is_open())
            .count();
        assert!(open <= 1, "two open attempts");
        if before.is_finished() {
            assert_eq!(
                before.state(),
                payment.state(),
                "a finished payment changed"
            );
        }
        if let (Some(was), Some(is)) = (before.purchase(), payment.purchase()) {
            assert_eq!(was.id, is.id, "the purchase was replaced");
        }
        assert_eq!(
            payment.due(scene.now, &scene.policy).is_none(),
            payment.is_finished(),
            "unfinished and not due, or finished and due"
        );
        match payment.state() {
            State::Paid(money) => {
                assert!(
                    self.shown.contains(&Standing::Paid),
                    "paid without evidence"
                );
                assert!(money.amount.minor() <= 1500);
            }
            State::Failed(_) => {
                let sealed = |s: &&Standing| matches!(s, Standing::Cancelled | Standing::Expired);
                let reads = self.shown.iter().filter(sealed).count();
                assert!(
                    payment.purchase().is_none() || reads >= 2,
                    "failed without a seal"
                );
            }
            State::Saved(_) => assert!(self.shown.contains(&Standing::CardSaved)),
            State::Released => assert!(self.shown.contains(&Standing::Released)),
            State::Held(_) => assert!(self.shown.contains(&Standing::Held)),
            State::New | State::AwaitingPayer | State::Parked { .. } => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_and_no_command_breaks_a_rule(
        request in requests(),
        resend in any::<bool>(),
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let unknown = if resend { UnknownPolicy::ResendSame } else { UnknownPolicy::Park };
        let mut scene = Scene::new(request, unknown);
        let mut world = World::default();
        for act in &acts {
            let before = scene.payment.clone();
            world.act(&mut scene, act);
            world.check(&scene, &before);
        }
    }

    #[test]
    fn a_record_reads_back_as_it_was_written(
        request in requests(),
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let mut scene = Scene::new(request, UnknownPolicy::Park);
        let mut world = World::default();
        for act in &acts {
            world.act(&mut scene, act);
        }
        let json = serde_json::to_string(&scene.payment).unwrap();
        let back: Payment = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(back, scene.payment);
    }

    #[test]
    fn a_wait_is_never_shorter_than_its_rung_nor_longer_than_its_jitter(
        rung in 0u32..50, seed in "[a-z0-9]{1,12}", jitter in 0u8..=100,
    ) {
        let ladder = Ladder {
            delays_ms: vec![2_000, 5_000, 60_000],
            jitter_percent: jitter,
            give_up_after_ms: 1,
        };
        let base = [2_000, 5_000, 60_000][usize::try_from(rung).unwrap().min(2)];
        let wait = ladder.delay(rung, &seed).num_milliseconds();
        prop_assert!(wait >= base && wait <= base + base * i64::from(jitter) / 100);
    }
}
