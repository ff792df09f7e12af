//! To stop and to let go on: nothing new leaves, what left goes to its end, and it goes on by itself.

use std::sync::Arc;

use chip_sandbox::{Effect, Operation, Rule};
use chrono::TimeDelta;
use clap::Parser as _;
use holdfast::cli::{Around, Cli, Failure, run};
use holdfast::clock::Clock;
use holdfast::gateway::{Account, Accounts, ChipGateway, Deadlines, Settings};
use holdfast::operate::audit::{Questions, verify};
use holdfast::operate::switches::{LetGo, Stopped, let_go, lives, seen};
use holdfast::payment::*;
use holdfast::store::Store as _;
use holdfast::store::audit::Mandate;
use holdfast::store::memory::MemoryStore;
use holdfast::store::redis::RedisStore;
use holdfast::store::switches::{Switch, SwitchName, Switches};
use holdfast::worker::doorman::Doorman;
use holdfast::worker::gate::Gate;
use holdfast::worker::{Policies, Worker};
use holdfast_rig::{Redis, RedisOptions};
use serde_json::{Value, json};

use crate::stage::{Stage, account, account_at, policy, start_time};

/// How long calls may take, as the gate is told.
const DEADLINE_MS: u64 = 60_000;

fn deadlines() -> Deadlines {
    Deadlines {
        create_ms: 20_000,
        look_up_ms: 20_000,
        charge_ms: DEADLINE_MS,
        capture_ms: DEADLINE_MS,
        release_ms: DEADLINE_MS,
        cancel_ms: DEADLINE_MS,
    }
}

/// That these are stopped, from now on.
fn stopped(version: u64, names: &[&str], since: Timestamp) -> Switches {
    let switch = Switch {
        since,
        actor: "aisyah".to_owned(),
        reason: "a test".to_owned(),
        until: None,
    };
    let switched = |name: &&str| (SwitchName::parse(name).unwrap(), switch.clone());
    Switches {
        version,
        set: names.iter().map(switched).collect(),
        unknown: [].into(),
    }
}

/// A stage with a gate, and a second account.
struct Yard {
    stage: Stage<MemoryStore>,
    gate: Gate,
}

impl Yard {
    async fn open() -> Self {
        let clock = Clock::manual(start_time());
        let store = MemoryStore::new(clock.clone(), 30_000);
        let mut stage = Stage::over(store, clock.clone(), UnknownPolicy::Park).await;
        let gate = Gate::watched(clock.now(), deadlines(), Switches::default());
        stage.worker = worker_of_two(&stage).behind(gate.clone());
        Self { stage, gate }
    }

    /// These are stopped now, and no others.
    fn stop(&self, names: &[&str]) {
        let now = self.stage.clock.now();
        self.gate.learn(stopped(1, names, now), now);
    }

    /// Time passes, and it is read all the while what is stopped.
    async fn work_for(&self, names: &[&str], time: TimeDelta) {
        let end = self.stage.clock.now() + time;
        while self.stage.clock.now() < end {
            self.stop(names);
            self.stage.work().await;
            self.stage.pass(TimeDelta::seconds(5));
        }
        self.stop(names);
    }

    async fn charge_of(&self, account: &str, key: &str) -> PaymentId {
        let token = self
            .stage
            .sandbox
            .save_card("payer@test.example")
            .to_string();
        let body = crate::stage::charge_of(&token, 1500);
        let json = format!(r#"{{"v":1,"account":"{account}","idempotency_key":"{key}",{body}}}"#);
        let now = self.stage.clock.now();
        let payment = Payment::new(Request::from_json(json.as_bytes()).unwrap(), now).unwrap();
        self.stage.store.create(&payment, now).await.unwrap();
        payment.id().clone()
    }

    fn arrived(&self, operation: Operation) -> u64 {
        self.stage.ledger().counts(operation).arrived
    }
}

/// A worker of the hotel's and of a rental's payments.
fn worker_of_two(stage: &Stage<MemoryStore>) -> Worker<MemoryStore, ChipGateway> {
    let rental = AccountName::new("rental").unwrap();
    let of = |name: &AccountName| {
        let config = account_at(&stage.sandbox.base_url());
        (name.clone(), Account::new(config).unwrap())
    };
    let accounts = Accounts::from_iter([of(&account()), of(&rental)]);
    let settings = Settings {
        deadlines: Deadlines {
            charge_ms: 5_000,
            ..deadlines()
        },
        connect_timeout_ms: 1_000,
        largest_answer_bytes: 1 << 20,
        idle_connections: 8,
        idle_timeout_ms: 1_000,
        company_key_every_ms: 60_000,
    };
    let gateway = ChipGateway::new(accounts, settings, stage.clock.clone()).unwrap();
    let rules = policy(UnknownPolicy::Park);
    let policies = Policies::from([(account(), rules.clone()), (rental, rules)]);
    let store = Arc::clone(&stage.store);
    Worker::new(store, Arc::new(gateway), stage.clock.clone(), policies)
}

#[tokio::test]
async fn a_paused_account_starts_nothing_while_another_goes_on_and_goes_on_by_itself() {
    let yard = Yard::open().await;
    yard.stop(&["account:hotel"]);
    let hotel = yard.charge_of("hotel", "h").await;
    let rental = yard.charge_of("rental", "r").await;
    let before = yard.arrived(Operation::Create);
    yard.work_for(&["account:hotel"], TimeDelta::minutes(10))
        .await;
    assert_eq!(yard.stage.state(&rental).await, StateName::Paid);
    let waits = yard.stage.payment(&hotel).await;
    assert_eq!(
        (waits.state().name(), waits.attempts().len()),
        (StateName::New, 0)
    );
    assert_eq!(waits.purchase(), None, "nothing at all was sent");
    assert_eq!(yard.arrived(Operation::Create), before + 1);
    // The payment waits for so long at the most; nobody has to do anything.
    yard.work_for(&[], TimeDelta::seconds(25)).await;
    assert_eq!(yard.stage.state(&hotel).await, StateName::Paid);
    assert_eq!(yard.stage.taken(&hotel), (1500, 1));
}

#[tokio::test]
async fn look_ups_go_on_while_everything_is_stopped() {
    let yard = Yard::open().await;
    let lost = Rule::on(Operation::Charge, Effect::reset_after_commit()).times(1);
    yard.stage.fault(lost);
    let doubt = yard.charge_of("hotel", "doubt").await;
    yard.stage.work().await;
    assert_eq!(yard.stage.state(&doubt).await, StateName::New);
    let other = yard.charge_of("hotel", "other").await;
    yard.work_for(&["all"], TimeDelta::minutes(2)).await;
    assert_eq!(
        yard.stage.state(&doubt).await,
        StateName::Paid,
        "it was looked up"
    );
    assert_eq!(yard.stage.state(&other).await, StateName::New);
    assert_eq!(yard.arrived(Operation::Charge), 1);
    yard.work_for(&[], TimeDelta::seconds(25)).await;
    assert_eq!(yard.stage.state(&other).await, StateName::Paid);
}

#[tokio::test]
async fn a_step_and_a_kind_are_stopped_alone() {
    let yard = Yard::open().await;
    let plan = r#"{"capture_at":"2027-01-31T06:01:00Z"}"#;
    let held = yard.stage.authorize_by_token("held", 900, plan).await;
    yard.stage.work().await;
    let charge = yard.charge_of("hotel", "charge").await;
    let names = ["step:capture", "kind:charge"];
    yard.work_for(&names, TimeDelta::minutes(5)).await;
    assert_eq!(yard.stage.state(&held).await, StateName::Held);
    assert_eq!(yard.stage.state(&charge).await, StateName::New);
    assert_eq!(yard.arrived(Operation::Capture), 0);
    yard.work_for(&["kind:charge"], TimeDelta::seconds(25))
        .await;
    assert_eq!(yard.stage.state(&held).await, StateName::Paid);
    assert_eq!(yard.stage.state(&charge).await, StateName::New);
    yard.work_for(&[], TimeDelta::seconds(25)).await;
    assert_eq!(yard.stage.state(&charge).await, StateName::Paid);
}

#[tokio::test]
async fn a_drain_starts_nothing_that_does_not_fit_and_lets_go_on_when_it_is_over() {
    let yard = Yard::open().await;
    yard.stage.pass(TimeDelta::seconds(1));
    let asked = yard.stage.clock.now();
    let mut drain = stopped(1, &["drain"], asked);
    let until = Some(asked + TimeDelta::seconds(90));
    drain.set.get_mut(&SwitchName::Drain).unwrap().until = until;
    let learn = || yard.gate.learn(drain.clone(), yard.stage.clock.now());
    learn();
    let fits = yard.charge_of("hotel", "fits").await;
    yard.stage.work().await;
    assert_eq!(yard.stage.state(&fits).await, StateName::Paid);
    // A purchase is made within 20 s, a charge takes 60 s at the most, and 50 s are left.
    yard.stage.pass(TimeDelta::seconds(40));
    learn();
    let waits = yard.charge_of("hotel", "waits").await;
    yard.stage.work().await;
    let there = yard.stage.payment(&waits).await;
    assert!(there.purchase().is_some());
    assert!(there.attempts().iter().all(|one| one.step == Step::Create));
    assert_eq!(yard.arrived(Operation::Charge), 1);
    // A worker that was started meanwhile is another one.
    let late = Gate::watched(yard.stage.clock.now(), deadlines(), drain.clone());
    let new = worker_of_two(&yard.stage).behind(late);
    let fresh = yard.charge_of("rental", "fresh").await;
    let claim = yard.stage.store.claim(1).await.unwrap().claims.remove(0);
    assert_eq!(claim.key.id, fresh);
    new.turn(claim).await;
    assert_eq!(yard.stage.state(&fresh).await, StateName::Paid);
    yard.stage.pass(TimeDelta::seconds(50));
    learn();
    yard.stage.work().await;
    assert_eq!(yard.stage.state(&waits).await, StateName::Paid);
}

#[tokio::test]
async fn a_worker_that_cannot_read_what_is_stopped_sends_nothing_until_it_can() {
    let yard = Yard::open().await;
    yard.stage.pass(TimeDelta::seconds(11));
    let id = yard.charge_of("hotel", "k").await;
    let before = yard.arrived(Operation::Create);
    yard.stage.work().await;
    assert_eq!(yard.arrived(Operation::Create), before);
    assert!(
        yard.gate
            .told(yard.stage.clock.now())
            .unwrap()
            .contains("cannot be read")
    );
    yard.work_for(&[], TimeDelta::seconds(25)).await;
    assert_eq!(yard.stage.state(&id).await, StateName::Paid);
    assert_eq!(yard.gate.told(yard.stage.clock.now()), None);
}

#[tokio::test]
async fn what_was_noted_when_the_stop_came_is_not_sent_and_nobody_is_asked() {
    let yard = Yard::open().await;
    let (gate, now) = (yard.gate.clone(), yard.stage.clock.now());
    let mut first = true;
    yard.stage.store.disturb(move |call| {
        if call == "license" && std::mem::take(&mut first) {
            gate.learn(stopped(1, &["all"], now), now);
        }
        None
    });
    let id = yard.charge_of("hotel", "k").await;
    yard.work_for(&["all"], TimeDelta::seconds(0)).await;
    yard.gate.learn(Switches::default(), now);
    yard.stage.work().await;
    assert_eq!(yard.arrived(Operation::Charge), 0);
    let noted = yard.stage.payment(&id).await;
    let mut attempts = noted.attempts().iter();
    let charge = attempts.find(|one| one.step == Step::Charge).unwrap();
    let closed = charge.closed.as_ref().unwrap();
    assert_eq!(closed.verdict, Verdict::NotSent);
    yard.work_for(&[], TimeDelta::minutes(1)).await;
    assert_eq!(yard.stage.state(&id).await, StateName::Paid);
    assert_eq!(yard.stage.taken(&id), (1500, 1));
}

#[tokio::test]
async fn as_long_as_a_worker_that_stands_still_would_send_whoever_stops_waits_for_it() {
    let (lodge, mut doorman) = Lodge::at(Clock::manual(start_time())).await;
    doorman.round().await;
    lodge.clock.advance(TimeDelta::seconds(3));
    doorman.round().await;
    let note = lodge
        .store
        .workers()
        .await
        .unwrap()
        .read
        .remove(ID)
        .unwrap();
    let stopped_still = lodge.clock.now();
    let mut sends_until = TimeDelta::zero();
    for second in 0..60 {
        let after = TimeDelta::seconds(second);
        if lodge.gate.told(stopped_still + after).is_none() {
            assert!(lives(&note, stopped_still + after), "{second} s");
            sends_until = after;
        }
    }
    let differs = TimeDelta::seconds(15);
    assert!(lives(&note, stopped_still + sends_until + differs));
    assert!(sends_until >= TimeDelta::seconds(5), "it was never tried");
}

#[tokio::test]
async fn a_worker_whose_notes_are_refused_sends_nothing_though_it_reads() {
    let (lodge, mut doorman) = Lodge::at(Clock::manual(start_time())).await;
    doorman.round().await;
    let note = lodge
        .store
        .workers()
        .await
        .unwrap()
        .read
        .remove(ID)
        .unwrap();
    lodge.asks(&["DEL", WORKERS]).await;
    lodge.asks(&["SET", WORKERS, "in the way"]).await;
    for second in 1..60 {
        lodge.clock.advance(TimeDelta::seconds(1));
        doorman.round().await;
        if lodge.gate.told(lodge.clock.now()).is_none() {
            assert!(lives(&note, lodge.clock.now()), "{second} s");
        }
    }
    assert!(lodge.gate.told(lodge.clock.now()).is_some());
    lodge.asks(&["DEL", WORKERS]).await;
    doorman.round().await;
    assert_eq!(lodge.gate.told(lodge.clock.now()), None);
}

#[tokio::test]
async fn a_worker_is_seen_and_goes_on_though_redis_has_no_memory_left() {
    let (lodge, mut doorman) = Lodge::at(Clock::manual(start_time())).await;
    doorman.round().await;
    lodge.asks(&["CONFIG", "SET", "maxmemory", "1"]).await;
    lodge.clock.advance(TimeDelta::minutes(2));
    doorman.round().await;
    let seen = seen(&lodge.store, &lodge.clock, 1).await.unwrap();
    assert_eq!((seen.workers, seen.behind), (1, vec![ID.to_owned()]));
    assert_eq!(lodge.gate.told(lodge.clock.now()), None);
}

#[tokio::test]
async fn a_worker_whose_note_cannot_be_read_counts_as_one_that_has_seen_nothing_until_it_is_gone() {
    let (lodge, mut doorman) = Lodge::at(Clock::manual(start_time())).await;
    lodge
        .asks(&["HSET", WORKERS, "beef", r#"{"a_later":"form"}"#])
        .await;
    let listed = lodge.told(&["workers"]).await;
    assert!(
        listed.contains("beef  this version cannot read"),
        "{listed}"
    );
    let stop = ["stop", "--reason", "odd amounts", "--wait", "1ms"];
    let (done, told, _) = lodge.types(&stop).await;
    assert!(told.contains("0 of 1 workers have seen it"), "{told}");
    let failure = done.unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    let named = "this version cannot read what beef reports";
    assert!(failure.to_string().contains(named), "{failure}");
    // One that is there writes another note meanwhile.
    for note in ["one", "another", "another"] {
        lodge.asks(&["HSET", WORKERS, "beef", note]).await;
        let there = lodge.store.workers().await.unwrap().unreadable;
        assert!(there.contains_key("beef"), "it was forgotten before {note}");
        lodge.clock.advance(TimeDelta::minutes(11));
        doorman.round().await;
    }
    assert_eq!(lodge.store.workers().await.unwrap().unreadable, [].into());
}

#[tokio::test]
async fn whoever_stops_while_a_worker_starts_waits_for_it() {
    let (lodge, _) = Lodge::open().await;
    let own = connect(&lodge.redis, &lodge.clock).await;
    lodge.told(&["stop", "--reason", "a test"]).await;
    lodge.told(&["go", "--reason", "a test"]).await;
    let arriving = Doorman::arrive(own, &lodge.clock, deadlines(), (7, 16));
    let (gate, mut doorman) = arriving.await.unwrap();
    assert_eq!(gate.told(lodge.clock.now()), None);
    let note = lodge
        .store
        .workers()
        .await
        .unwrap()
        .read
        .remove(ID)
        .unwrap();
    assert_eq!(note.switches, 0, "it was said before it was read");
    let stop = ["stop", "--reason", "odd amounts", "--wait", "1ms"];
    let (done, told, _) = lodge.types(&stop).await;
    assert!(told.contains("0 of 1 workers have seen it"), "{told}");
    assert_eq!(done.unwrap_err().exit_code(), 3);
    doorman.round().await;
    assert!(gate.told(lodge.clock.now()).unwrap().contains("all"));
    let version = lodge.store.switches().await.unwrap().version;
    let seen = seen(&lodge.store, &lodge.clock, version).await.unwrap();
    assert_eq!((seen.workers, seen.behind), (1, vec![]));
}

#[tokio::test]
async fn what_somebody_stopped_since_is_not_let_go_on() {
    let (lodge, _) = Lodge::open().await;
    let (all, by) = (SwitchName::All, Mandate::typed_by("aisyah"));
    lodge.told(&["stop", "--reason", "prices"]).await;
    let found = lodge.store.switches().await.unwrap();
    lodge.told(&["go", "--reason", "mended"]).await;
    let stop = ["stop", "--reason", "a thief", "--actor", "farid"];
    lodge.told(&stop).await;
    let go = || let_go(&lodge.store, &lodge.clock, ("go", &all), &found, &by);
    let LetGo::StoppedSince(stands) = go().await.unwrap() else {
        panic!("it was let go on");
    };
    assert_eq!(
        (stands.actor.as_str(), stands.reason.as_str()),
        ("farid", "a thief")
    );
    let now = lodge.store.switches().await.unwrap();
    assert_eq!(now.set[&all], stands);
    // And what was let go on since goes on.
    lodge
        .told(&["go", "--reason", "mended", "--actor", "farid"])
        .await;
    let LetGo::Now(changed) = go().await.unwrap() else {
        panic!("nobody stopped it");
    };
    assert_eq!(changed.version, now.version + 1);
}

#[tokio::test]
async fn a_switch_of_another_form_is_not_tried_for_ever() {
    let (lodge, _) = Lodge::open().await;
    let readable = r#"{"since":"2026-11-27T00:00:00Z","actor":"aina","reason":"b","later":1}"#;
    for other in [readable, r#"{"by":"a"}"#] {
        for name in ["all", "zone:x"] {
            lodge
                .asks(&["HSET", "{hf:desk}:switches", name, other])
                .await;
        }
        for verb in ["stop", "go"] {
            let line = [verb, "--reason", "x"];
            let typed = lodge.types(&line);
            let soon = std::time::Duration::from_secs(20);
            let (done, told, _) = tokio::time::timeout(soon, typed).await.unwrap();
            let failure = done.unwrap_err();
            assert_eq!(failure.exit_code(), 3, "Redis is not at fault: {failure}");
            let failure = failure.to_string();
            assert!(failure.contains("by another version"), "{failure}");
            assert!(!failure.contains("Redis"), "{failure}");
            assert_eq!(told, "", "nothing was changed, and nothing is said of it");
        }
        let version = lodge.store.switches().await.unwrap().version;
        assert_eq!(version, 0, "{other}");
    }
    let listed = lodge.told(&["switches"]).await;
    assert!(
        listed.contains("all was stopped by another version"),
        "{listed}"
    );
    assert!(listed.contains("zone:x was stopped by another"), "{listed}");
}

#[tokio::test]
async fn at_a_terminal_another_persons_stop_is_let_go_on_only_by_who_names_it() {
    let (lodge, _) = Lodge::open().await;
    lodge
        .told(&["stop", "--reason", "a thief", "--actor", "farid"])
        .await;
    let (done, told, _) = lodge.types(&["go", "--reason", "prices mended"]).await;
    let failure = done.unwrap_err();
    assert_eq!((failure.exit_code(), told.as_str()), (3, ""));
    let since = lodge.since("all").await;
    for part in ["by farid: a thief", &format!("--since {since}")] {
        assert!(failure.to_string().contains(part), "{failure}");
    }
    let old = ["go", "--reason", "x", "--since", "2026-11-26T08:00:00Z"];
    let (done, _, _) = lodge.types(&old).await;
    assert_eq!(done.unwrap_err().exit_code(), 3, "that is another stop");
    let (all, found) = (SwitchName::All, lodge.store.switches().await.unwrap());
    assert_eq!(found.set[&all].actor, "farid", "it stands");
    let go = ["go", "--reason", "he is found", "--since", &since];
    let told = lodge.told(&go).await;
    assert!(told.contains("by farid: a thief"), "{told}");
    // The same of what is paused; and one's own needs no more words.
    let pause = ["pause", "--step", "charge", "--reason", "x", "--actor"];
    let resume = ["resume", "--step", "charge", "--reason", "x"];
    lodge.told(&[&pause[..], &["farid"][..]].concat()).await;
    let (done, _, _) = lodge.types(&resume).await;
    assert_eq!(done.unwrap_err().exit_code(), 3);
    let since = lodge.since("step:charge").await;
    let named = [&resume[..], &["--since", &since][..]].concat();
    lodge.told(&named).await;
    lodge.told(&[&pause[..], &["aina"][..]].concat()).await;
    let told = lodge.told(&resume).await;
    assert!(told.contains("step:charge goes on"), "{told}");
}

#[tokio::test]
async fn a_stop_of_another_person_is_kept_by_who_stops_too_and_told_to_them() {
    let (lodge, _) = Lodge::open().await;
    let thief = ["stop", "--reason", "a thief", "--actor", "farid"];
    lodge.told(&thief).await;
    let before = lodge.store.switches().await.unwrap();
    let told = lodge.told(&["stop", "--reason", "deploy"]).await;
    for part in [
        "already stopped by another person",
        "by farid: a thief",
        "no worker is running",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!told.contains("deploy"), "{told}");
    let json = lodge.told(&["--json", "stop", "--reason", "deploy"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["stood_already"], true);
    assert_eq!(json["stopped"]["actor"], "farid");
    assert_eq!(lodge.store.switches().await.unwrap(), before);
    // And so nobody lifts it who has not read it.
    let (done, _, _) = lodge.types(&["go", "--reason", "deployed"]).await;
    assert_eq!(done.unwrap_err().exit_code(), 3);
    // One's own is replaced, and a drain, which nobody lets go on.
    let own = ["stop", "--reason", "he is here", "--actor", "farid"];
    let told = lodge.told(&own).await;
    assert!(told.contains("by farid: he is here"), "{told}");
    let drain = ["drain", "--within", "90s", "--reason", "release"];
    lodge
        .told(&[&drain[..], &["--actor", "farid"]].concat())
        .await;
    let told = lodge.told(&drain).await;
    assert!(told.contains("by aina: release"), "{told}");
}

#[tokio::test]
async fn a_worker_of_a_version_that_does_not_say_how_long_its_calls_take_is_lost_for_long() {
    let (lodge, mut doorman) = Lodge::at(Clock::manual(start_time())).await;
    doorman.round().await;
    let note = lodge.store.workers().await.unwrap().read[ID].clone();
    let mut older = serde_json::to_value(&note).unwrap();
    older.as_object_mut().unwrap().remove("longest_call_ms");
    lodge.asks(&["HSET", WORKERS, ID, &older.to_string()]).await;
    for (after, lost) in [(41, 1), (879, 1), (41, 0)] {
        lodge.clock.advance(TimeDelta::seconds(after));
        let seen = seen(&lodge.store, &lodge.clock, 0).await.unwrap();
        assert_eq!((seen.workers, seen.lost.len()), (0, lost));
    }
}

#[tokio::test]
async fn a_call_of_a_worker_that_was_cut_off_is_told_until_it_must_have_ended() {
    let (lodge, mut doorman) = Lodge::at(Clock::manual(start_time())).await;
    doorman.round().await;
    let mut note = lodge.store.workers().await.unwrap().read[ID].clone();
    assert_eq!(note.longest_call_ms, DEADLINE_MS);
    note.under_way = [("charge".to_owned(), 1)].into();
    lodge.store.note_worker(ID, &note).await.unwrap();
    let calls = |after: i64| {
        let then = start_time() + TimeDelta::seconds(after);
        lodge.clock.advance(then - lodge.clock.now());
        seen(&lodge.store, &lodge.clock, 0)
    };
    let one = || std::collections::BTreeMap::from([("charge".to_owned(), 1)]);
    let there = calls(40).await.unwrap();
    assert_eq!(
        (there.workers, there.lost, there.under_way),
        (1, vec![], one())
    );
    // What it read counts for 20 s at the longest, and what it sent then takes its whole time.
    for after in [41, 50, 80] {
        let lost = calls(after).await.unwrap();
        assert_eq!((lost.workers, lost.behind), (0, vec![]), "{after} s");
        assert_eq!((lost.lost, lost.under_way), (vec![ID.to_owned()], one()));
    }
    let ended = calls(81).await.unwrap();
    assert_eq!((ended.lost, ended.under_way), (vec![], [].into()));
}

#[tokio::test]
async fn whoever_stops_is_told_of_a_worker_that_says_nothing_any_more() {
    let (lodge, mut doorman) = Lodge::open().await;
    doorman.round().await;
    let mut note = lodge.store.workers().await.unwrap().read[ID].clone();
    note.seen = lodge.clock.now() - TimeDelta::seconds(50);
    note.under_way = [("charge".to_owned(), 1)].into();
    lodge.store.note_worker(ID, &note).await.unwrap();
    let told = lodge.told(&["stop", "--reason", "odd amounts"]).await;
    assert!(told.contains("silent workers: 1"), "{told}");
    assert!(told.contains("under way: 1 charge"), "{told}");
    let listed = lodge.told(&["workers"]).await;
    assert!(
        listed.contains("may have calls under way until"),
        "{listed}"
    );
    let json = lodge.told(&["--json", "workers"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["workers"][0]["lost"], true);
}

/// How the lodge's worker is called.
const ID: &str = "0000000000000007";
/// What workers say of themselves.
const WORKERS: &str = "{hf:desk}:workers";

/// The gate of a worker on Redis, with its doorman.
struct Lodge {
    redis: Redis,
    clock: Clock,
    store: RedisStore,
    gate: Gate,
}

impl Lodge {
    async fn open() -> (Self, Doorman) {
        Self::at(Clock::system()).await
    }

    async fn at(clock: Clock) -> (Self, Doorman) {
        let redis = Redis::start(RedisOptions::default()).await.unwrap();
        let store = connect(&redis, &clock).await;
        let gate = Gate::watched(clock.now(), deadlines(), store.switches().await.unwrap());
        let own = connect(&redis, &clock).await;
        let doorman = Doorman::new(own, clock.clone(), gate.clone(), (7, 16));
        let lodge = Self {
            redis,
            clock,
            store,
            gate,
        };
        (lodge, doorman)
    }

    /// Something that none of our programs asks of Redis.
    async fn asks(&self, words: &[&str]) {
        let client = redis::Client::open(self.redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let _: redis::Value = command.query_async(&mut connection).await.unwrap();
    }

    async fn types(&self, line: &[&str]) -> (Result<(), Failure>, String, String) {
        let env = [
            ("HOLDFAST__REDIS__URL", self.redis.url()),
            ("HOLDFAST__ACCOUNTS__HOTEL__MODE", "test".to_owned()),
            (
                "HOLDFAST__ACCOUNTS__HOTEL__BRAND_ID",
                chip_sandbox::DEFAULT_BRAND_ID.to_string(),
            ),
            ("HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY", "key".to_owned()),
            ("USER", "aina".to_owned()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value));
        let (mut out, mut warnings) = (Vec::new(), Vec::new());
        let around = Around {
            env: &env,
            input: &mut std::io::empty(),
            warnings: &mut warnings,
        };
        let cli = Cli::try_parse_from(["holdfast"].iter().chain(line)).unwrap();
        let done = run(cli, around, &mut out).await;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (done, text(out), text(warnings))
    }

    /// Since when it is stopped, as people see it.
    async fn since(&self, name: &str) -> String {
        let found = self.store.switches().await.unwrap();
        let since = found.set[&SwitchName::parse(name).unwrap()].since;
        since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    }

    async fn told(&self, line: &[&str]) -> String {
        let (done, told, _) = self.types(line).await;
        done.unwrap();
        told
    }
}

async fn connect(redis: &Redis, clock: &Clock) -> RedisStore {
    let settings = holdfast::store::redis::Settings {
        url: redis.url(),
        ..holdfast::store::redis::Settings::default()
    };
    RedisStore::connect(settings, clock.clone()).await.unwrap()
}

#[tokio::test]
async fn what_is_stopped_at_a_terminal_is_seen_everywhere_and_audited() {
    let (lodge, _) = Lodge::open().await;
    assert_eq!(lodge.told(&["switches"]).await, "nothing is stopped\n");
    assert_eq!(lodge.told(&["workers"]).await, "no worker is running\n");
    let pause = ["pause", "--account", "hotel", "--reason", "CHIP asks us to"];
    let told = lodge.told(&pause).await;
    assert!(told.contains("account hotel is paused since"), "{told}");
    assert!(told.contains("no worker is running"), "{told}");
    let listed = lodge.told(&["switches"]).await;
    assert!(listed.contains("by aina: CHIP asks us to"), "{listed}");
    let (_, _, warned) = lodge.types(&["stats"]).await;
    assert!(warned.contains("account hotel is paused"), "{warned}");
    lodge
        .told(&["stop", "--reason", "odd amounts", "--actor", "farid"])
        .await;
    let since = lodge.since("all").await;
    let go = ["go", "--reason", "mended", "--since", &since];
    let told = lodge.told(&go).await;
    assert!(told.contains("by farid: odd amounts"), "{told}");
    lodge
        .told(&["resume", "--account", "hotel", "--reason", "mended"])
        .await;
    // What goes on goes on: nothing is changed, nothing is said.
    let again = lodge
        .told(&["resume", "--account", "hotel", "--reason", "mended"])
        .await;
    assert!(again.contains("was not stopped"), "{again}");
    assert_eq!(lodge.told(&["switches"]).await, "nothing is stopped\n");
    let log = lodge.told(&["--json", "audit", "list"]).await;
    let log: Value = serde_json::from_str(&log).unwrap();
    let mut entries: Vec<&Value> = log["audit"].as_array().unwrap().iter().collect();
    entries.reverse();
    let said: Vec<_> = entries
        .iter()
        .map(|one| &one["entry"])
        .map(|entry| [&entry["action"], &entry["subject"], &entry["actor"]["name"]])
        .collect();
    let expected = [
        ["pause", "account:hotel", "aina"],
        ["stop", "all", "farid"],
        ["go", "all", "aina"],
        ["resume", "account:hotel", "aina"],
    ];
    assert_eq!(json!(said), json!(expected));
    assert_eq!(entries[0]["entry"]["after"]["reason"], "CHIP asks us to");
    assert_eq!(entries[3]["entry"]["before"]["actor"], "aina");
    let whole = verify(&lodge.store, &Questions::default(), &|_, _| {}).await;
    assert_eq!(whole.unwrap().findings, []);
}

#[tokio::test]
async fn whoever_stops_is_told_who_has_seen_it_and_what_is_under_way() {
    let (lodge, mut doorman) = Lodge::open().await;
    doorman.round().await;
    let listed = lodge.told(&["workers"]).await;
    assert!(
        listed.contains("0000000000000007") && listed.contains("16 turns"),
        "{listed}"
    );
    // A worker that is there and reads nothing.
    let (done, told, _) = lodge
        .types(&["stop", "--reason", "odd amounts", "--wait", "1ms"])
        .await;
    assert!(told.contains("0 of 1 workers have seen it"), "{told}");
    let failure = done.unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    assert!(
        failure.to_string().contains("0000000000000007"),
        "{failure}"
    );
    doorman.round().await;
    let told = lodge.told(&["--json", "stop", "--reason", "odd amounts"]);
    let hearing = async {
        loop {
            doorman.round().await;
            tokio::task::yield_now().await;
        }
    };
    let told = tokio::select! {
        told = told => told,
        () = hearing => unreachable!(),
    };
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["workers"], &told["behind"]), (&json!(1), &json!([])));
    assert_eq!(told["before"]["reason"], "odd amounts");
}

#[tokio::test]
async fn a_call_under_way_is_counted_goes_to_its_end_and_is_written() {
    let (lodge, mut doorman) = Lodge::at(Clock::manual(start_time())).await;
    let store = connect(&lodge.redis, &lodge.clock).await;
    let mut stage = Stage::over(store, lodge.clock.clone(), UnknownPolicy::Park).await;
    let gateway =
        crate::stage::gateway_of(account_at(&stage.sandbox.base_url()), &lodge.clock, 20_000);
    let policies = Policies::from([(account(), policy(UnknownPolicy::Park))]);
    let worker = Worker::new(
        Arc::clone(&stage.store),
        Arc::new(gateway),
        lodge.clock.clone(),
        policies,
    );
    stage.worker = worker.behind(lodge.gate.clone());
    stage.fault(Rule::on(Operation::Charge, Effect::Latency(1_500)));
    let id = stage.charge("k", 1500).await;
    let claim = stage.store.claim(1).await.unwrap().claims.remove(0);
    let stopping = async {
        while stage.ledger().counts(Operation::Charge).arrived == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let now = lodge.clock.now();
        let all = SwitchName::All;
        let by = Mandate::typed_by("aisyah");
        let wanted = stopped(0, &["all"], now).set[&all].clone();
        let switching = holdfast::operate::switches::stop(
            &lodge.store,
            &lodge.clock,
            ("stop", &all),
            &wanted,
            &by,
        );
        let Stopped::Now(changed) = switching.await.unwrap() else {
            panic!("nobody else stopped it");
        };
        doorman.round().await;
        let seen = seen(&lodge.store, &lodge.clock, changed.version)
            .await
            .unwrap();
        assert_eq!((seen.workers, seen.behind.len()), (1, 0));
        assert_eq!(seen.under_way, [("charge".to_owned(), 1)].into());
        changed.version
    };
    let (_, version) = tokio::join!(stage.worker.turn(claim), stopping);
    assert_eq!(stage.state(&id).await, StateName::Paid);
    assert_eq!(stage.taken(&id), (1500, 1));
    let (_, obeyed, under_way) = lodge.gate.standing().unwrap();
    assert_eq!((obeyed, under_way["charge"]), (version, 0));
}

#[tokio::test]
async fn an_account_with_a_letter_too_many_is_not_paused() {
    let (lodge, _) = Lodge::open().await;
    let pause = ["pause", "--account", "hotels", "--reason", "x"];
    let (done, _, _) = lodge.types(&pause).await;
    let failure = done.unwrap_err();
    assert_eq!(failure.exit_code(), 2);
    assert!(failure.to_string().contains("hotel"), "{failure}");
    for wrong in [
        &["pause", "--reason", "x"][..],
        &["pause", "--step", "look_up", "--reason", "x"],
        &["pause", "--kind", "refund", "--reason", "x"],
        &["pause", "--account", "hotel"],
        &[
            "pause",
            "--account",
            "hotel",
            "--step",
            "charge",
            "--reason",
            "x",
        ],
    ] {
        let line = ["holdfast"].iter().chain(wrong);
        assert!(Cli::try_parse_from(line).is_err(), "{wrong:?}");
    }
}
