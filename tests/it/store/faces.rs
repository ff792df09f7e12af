//! The faces of unfinished payments: always those that follow from the records, whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use futures_util::future::join_all;
use holdfast::operate::find::{Doubt, Filter, FindError, Found, find};
use holdfast::operate::overview::{self, Overview};
use holdfast::operate::tally::Tally;
use holdfast::payment::*;
use holdfast::store::redis::RedisStore;
use holdfast::store::{At, Claim, Dated, Face, StepName, Store, Then};
use tokio_util::sync::CancellationToken;

use super::on_redis::raw;
use super::torn::tear;
use super::world::{LEASE_MS, World, adopted, called, payment, policy, worth};

const HOUR_MS: i64 = 3_600_000;
const PURCHASE: &str = "5a9e3c1c-0000-4000-8000-00000000beef";

/// All faces of the index, each as text.
async fn faces(store: &RedisStore) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.faces(None, after.as_ref()).await.unwrap();
        found.extend(page.faces.iter().map(ToString::to_string));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

fn sighting(payment: &Payment, standing: Standing) -> Sighting {
    let purchase = payment.purchase().map(|purchase| purchase.id.clone());
    let money = payment.request().money().unwrap();
    let taken = (standing == Standing::Paid).then(|| payment.money_to_take());
    Sighting {
        purchase: purchase.unwrap_or_else(|| PurchaseId::new(PURCHASE).unwrap()),
        total: money.amount.minor(),
        currency: "MYR".to_owned(),
        converted: false,
        brand: "brand".to_owned(),
        test: true,
        reference: payment.id().to_string(),
        taken: taken.flatten().map(|money| Taken {
            amount: money.amount.minor(),
            currency: "MYR".to_owned(),
        }),
        by_hand: false,
        card: None,
        face: None,
        tries: Vec::new(),
        held_since: None,
        due: None,
        links: Links::default(),
        standing,
    }
}

fn shown(payment: &Payment, standing: Standing) -> LookUp {
    LookUp::Shown(Box::new(sighting(payment, standing)))
}

fn authorized(key: &str, source: &str, plan: &str, now: Timestamp) -> Payment {
    let json = format!(
        r#"{{"v":1,"type":"authorize","account":"hotel","idempotency_key":"{key}",
        "money":{{"amount":9900,"currency":"MYR"}},"source":{source},"plan":{plan},
        "customer":{{"email":"payer@mail.example"}}}}"#
    );
    Payment::new(Request::from_json(json.as_bytes()).unwrap(), now).unwrap()
}

/// Luck that a number decides.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn of<T: Clone>(&mut self, what: &[T]) -> T {
        let sides = u64::try_from(what.len()).unwrap();
        what[usize::try_from(self.throw(sides)).unwrap()].clone()
    }
}

/// Some payments that live at random.
struct Lives {
    world: World<RedisStore>,
    dice: Dice,
    /// What was true of each one's turn when it was last written.
    written: BTreeMap<PaymentId, At>,
    commands: u32,
}

impl Lives {
    async fn begin(seed: u64) -> Self {
        let world = World::on_redis().await;
        let now = world.now();
        let plan = r#"{"capture_at":"2027-01-17T08:00:00Z","release_at":"2027-01-18T08:00:00Z"}"#;
        let given_back = r#"{"release_at":"2027-01-18T08:00:00Z"}"#;
        let token = r#"{"token":"5a9e3c1c-0000-4000-8000-000000000001"}"#;
        let payments = [
            payment("charge", now),
            called("called", "main", "order 1", now),
            adopted("adopted", now),
            authorized("token", token, plan, now),
            authorized("given back", token, given_back, now),
            authorized("given back later", r#"{"checkout":{}}"#, given_back, now),
            authorized("checkout", r#"{"checkout":{}}"#, "{}", now),
            authorized("planned", r#"{"checkout":{}}"#, plan, now),
        ];
        let mut written = BTreeMap::new();
        for payment in payments {
            world.store.create(&payment, now).await.unwrap();
            written.insert(payment.id().clone(), At::Rest);
        }
        Self {
            world,
            dice: Dice(seed),
            written,
            commands: 0,
        }
    }

    /// One thing happens to one of them.
    async fn step(&mut self) {
        let pause = [1, 1_000, 40_000, 1_000_000, 40_000_000];
        self.world.pass(self.dice.of(&pause));
        if self.dice.throw(4) == 0 {
            return self.command().await;
        }
        let mut claims = self.world.store.claim(1).await.unwrap().claims;
        if let Some(claim) = claims.pop() {
            self.turn(claim).await;
        }
    }

    async fn turn(&mut self, mut claim: Claim) {
        for _ in 0..=self.dice.throw(2) {
            if !self.moved(&mut claim).await {
                // The worker dies with a call on its way.
                return;
            }
        }
        let now = self.world.now();
        let due = claim.payment.due(now, &policy());
        let due = due.map(|due| due.min(now + TimeDelta::hours(6)));
        let saved = self.world.store.save(&mut claim, Then::Rest(due)).await;
        saved.unwrap();
        self.written.insert(claim.key.id, At::Rest);
    }

    /// Whether the worker is still alive after one move of a turn.
    async fn moved(&mut self, claim: &mut Claim) -> bool {
        let (now, policy) = (self.world.now(), policy());
        let standings = [
            Standing::Payable,
            Standing::Pending,
            Standing::Held,
            Standing::Paid,
            Standing::Released,
            Standing::Cancelled,
        ];
        let seen = sighting(&claim.payment, self.dice.of(&standings));
        let unknown = Answer::Unknown {
            why: "time-out".to_owned(),
        };
        let not_sent = Answer::NotSent {
            why: "refused".to_owned(),
        };
        let answers = [Answer::Shown(Box::new(seen.clone())), unknown, not_sent];
        let answer = self.dice.of(&answers);
        match claim.payment.next(now, &policy) {
            Next::Send(Step::Create) => {
                let number = claim.payment.open(Step::Create, now, &policy).unwrap();
                claim.payment.answered(number, &answer, now, &policy);
            }
            Next::Send(step) => {
                let number = claim.payment.open(step, now, &policy).unwrap();
                drop(self.world.store.license(claim).await.unwrap());
                self.written.insert(claim.key.id.clone(), At::Work);
                if self.dice.throw(5) == 0 {
                    return false;
                }
                claim.payment.answered(number, &answer, now, &policy);
            }
            Next::LookUp => {
                let looks = [LookUp::Shown(Box::new(seen)), LookUp::NotFound];
                let look = self.dice.of(&looks);
                claim.payment.looked_up(&look, now, &policy);
            }
            Next::Settle(event) => claim.payment.settled(event, now, &policy),
            Next::WaitUntil(_) | Next::Nothing if self.dice.throw(9) == 0 => {
                let poison = Event::Stuck(ParkReason::Poison);
                claim.payment.settled(poison, now, &policy);
            }
            Next::WaitUntil(_) | Next::Nothing => {}
        }
        true
    }

    async fn command(&mut self) {
        let ids: Vec<PaymentId> = self.written.keys().cloned().collect();
        let id = self.dice.of(&ids);
        let mut loaded = self.world.store.load(&id).await.unwrap().unwrap();
        let now = self.world.now();
        let later = Some(now + TimeDelta::hours(2));
        let command = self.dice.of(&[
            Command::Capture { amount: None },
            Command::Release,
            Command::Cancel,
            Command::Reschedule {
                capture_at: later,
                capture_amount: None,
                release_at: None,
            },
            Command::Rerun {
                reason: "why".to_owned(),
                actor: "who".to_owned(),
            },
        ]);
        self.commands += 1;
        let key = IdempotencyKey::new(format!("c{}", self.commands)).unwrap();
        let answer = loaded.payment.command(key, command, now);
        if loaded.payment.is_finished() || answer.is_err() {
            return;
        }
        let due = loaded.payment.due(now, &policy());
        self.world.store.command(&loaded, due, None).await.unwrap();
        let at = if loaded.claimed { At::Work } else { At::Rest };
        self.written.insert(id, at);
    }

    /// The faces that follow from the records, in the order of the index.
    async fn expected(&self) -> Vec<String> {
        let mut expected = Vec::new();
        for (id, at) in &self.written {
            let loaded = self.world.store.load(id).await.unwrap().unwrap();
            if !loaded.payment.is_finished() {
                expected.push(Face::of(&loaded.payment, *at).to_string());
            }
        }
        expected.sort();
        expected
    }
}

#[tokio::test]
async fn whatever_happens_the_faces_are_those_of_the_records() {
    let mut seen = BTreeSet::new();
    for seed in 0..12 {
        let mut lives = Lives::begin(seed).await;
        for step in 0..60 {
            lives.step().await;
            let (found, expected) = (faces(&lives.world.store).await, lives.expected().await);
            assert_eq!(found, expected, "seed {seed}, step {step}");
            for face in &found {
                let face = Face::from_text(face).expect("it is read as it was written");
                seen.insert(face.state.to_string());
                seen.extend(face.in_doubt.map(|_| "in doubt".to_owned()));
                seen.extend(face.planned.map(|it| it.step.as_str().to_owned()));
                seen.extend(face.reason);
                seen.extend(face.lapses_at.map(|_| "a hold".to_owned()));
            }
        }
        lives.sums_are_those_of_the_records().await;
        sweeps_nothing_that_lives(&lives.world.store).await;
    }
    for what in [
        "new",
        "awaiting_payer",
        "held",
        "parked",
        "in doubt",
        "a hold",
    ] {
        assert!(seen.contains(what), "{what} never came up: {seen:?}");
    }
    for what in ["charge", "capture", "release"] {
        assert!(seen.contains(what), "{what} was never planned: {seen:?}");
    }
}

async fn sweeps_nothing_that_lives(store: &RedisStore) {
    let before = faces(store).await;
    store.sweep().await.unwrap();
    assert_eq!(faces(store).await, before);
}

impl Lives {
    async fn sums_are_those_of_the_records(&self) {
        let tally = overview::count(&self.world.store, &self.world.clock);
        let tally = tally.await.unwrap();
        let (mut held, mut parked, mut doubts) = (0, 0, 0);
        for (id, at) in &self.written {
            let loaded = self.world.store.load(id).await.unwrap().unwrap();
            let payment = &loaded.payment;
            if let Some(Active::Held(hold)) = payment.state().active() {
                held += hold.money.amount.minor();
            }
            parked += u64::from(payment.state().name() == StateName::Parked);
            let open = payment.open_attempt();
            let counts = open
                .is_some_and(|open| *at == At::Rest || open.note.is_some() || open.looks.is_some());
            doubts += u64::from(counts && !payment.is_finished());
        }
        let myr = tally.held.by_currency().get(&Currency::MYR).copied();
        assert_eq!(myr.unwrap_or_default().minor, held);
        let count = |sums: &BTreeMap<_, _>| {
            let sums: &BTreeMap<String, holdfast::operate::tally::Sums> = sums;
            sums.values().map(|sums| sums.whole().count).sum::<u64>()
        };
        assert_eq!(count(&tally.parked), parked);
        let in_doubt: u64 = tally.in_doubt.values().map(|s| s.whole().count).sum();
        assert_eq!(in_doubt, doubts);
        let stats = self.world.store.stats().await.unwrap();
        let all: u64 = tally.by_state.values().map(|s| s.whole().count).sum();
        assert_eq!(all, stats.unfinished);
    }
}

impl World<RedisStore> {
    /// One that is held, and at rest.
    async fn held(&self, key: &str) -> PaymentId {
        let payment = adopted(key, self.now());
        self.store.create(&payment, self.now()).await.unwrap();
        let mut claim = self.claim_one().await;
        let look = shown(&claim.payment, Standing::Held);
        claim.payment.looked_up(&look, self.now(), &policy());
        assert_eq!(claim.payment.state().name(), StateName::Held);
        let far = Then::Rest(Some(self.in_ms(9 * HOUR_MS)));
        self.store.save(&mut claim, far).await.unwrap();
        payment.id().clone()
    }

    /// All faces, and what follows from these records at rest.
    async fn faces_and_expected(&self, ids: &[&PaymentId]) -> (Vec<String>, Vec<String>) {
        let mut expected = Vec::new();
        for id in ids {
            let loaded = self.store.load(id).await.unwrap();
            let unfinished = loaded.filter(|loaded| !loaded.payment.is_finished());
            expected.extend(unfinished.map(|it| Face::of(&it.payment, At::Rest).to_string()));
        }
        expected.sort();
        (faces(&self.store).await, expected)
    }
}

/// What the turn after a crash makes of the payment that the script was about.
#[derive(Clone, Copy, Debug)]
enum NextTurn {
    Leaves,
    Parks,
    Ends,
}

#[tokio::test]
async fn a_face_that_a_crash_tore_apart_is_right_after_the_next_turn() {
    for next in [NextTurn::Leaves, NextTurn::Parks, NextTurn::Ends] {
        for nth in 0.. {
            let mut world = World::on_redis().await;
            let mut claim = world.claimed("torn").await;
            let id = claim.key.id.clone();
            let before = world.end();
            world.park(&mut claim.payment);
            let rest = Then::Rest(Some(world.in_ms(HOUR_MS)));
            world.store.save(&mut claim, rest).await.unwrap();
            let Some(other) = tear(&mut world, before, nth).await else {
                assert!(nth >= 7, "only {nth} places");
                break;
            };
            world.pass(LEASE_MS + 2 * 3_600_000);
            for mut claim in world.store.claim(10).await.unwrap().claims {
                let its = claim.key.id == id;
                let state = claim.payment.state().name();
                match next {
                    NextTurn::Parks if its && state == StateName::New => {
                        world.park(&mut claim.payment);
                    }
                    NextTurn::Ends if its && state == StateName::New => {
                        world.fail(&mut claim.payment);
                    }
                    _ => {}
                }
                let rest = Then::Rest(Some(world.in_ms(HOUR_MS)));
                world.store.save(&mut claim, rest).await.unwrap();
            }
            let (found, expected) = world.faces_and_expected(&[&id, other.id()]).await;
            assert_eq!(found, expected, "torn at {nth}, and then {next:?}");
        }
    }
}

#[tokio::test]
async fn the_face_of_a_create_that_a_crash_tore_apart_is_right_once_it_is_repeated() {
    for nth in 0.. {
        let mut world = World::on_redis().await;
        let first = world.created("before").await;
        let before = world.end();
        let torn = world.created("torn").await;
        let Some(other) = tear(&mut world, before, nth).await else {
            assert!(nth >= 5, "only {nth} places");
            break;
        };
        world.store.create(&torn, world.now()).await.unwrap();
        for mut claim in world.store.claim(10).await.unwrap().claims {
            if claim.key.id == *torn.id() {
                world.park(&mut claim.payment);
            }
            let rest = Then::Rest(Some(world.in_ms(HOUR_MS)));
            world.store.save(&mut claim, rest).await.unwrap();
        }
        let ids = [first.id(), torn.id(), other.id()];
        let (found, expected) = world.faces_and_expected(&ids).await;
        assert_eq!(found, expected, "torn at {nth}");
        assert_eq!(found.len(), 3);
    }
}

#[tokio::test]
async fn the_face_of_a_command_that_a_crash_tore_apart_is_right_after_the_next_turn() {
    for nth in 0.. {
        let mut world = World::on_redis().await;
        let id = world.held("torn").await;
        let before = world.end();
        let mut loaded = world.store.load(&id).await.unwrap().unwrap();
        let key = IdempotencyKey::new("later").unwrap();
        let later = Command::Reschedule {
            capture_at: Some(world.in_ms(5 * HOUR_MS)),
            capture_amount: None,
            release_at: None,
        };
        let answer = loaded.payment.command(key, later, world.now()).unwrap();
        assert_eq!(answer, CommandAnswer::Accepted);
        let due = Some(world.in_ms(HOUR_MS));
        world.store.command(&loaded, due, None).await.unwrap();
        let Some(other) = tear(&mut world, before, nth).await else {
            assert!(nth >= 5, "only {nth} places");
            break;
        };
        world.pass(10 * 3_600_000);
        for mut claim in world.store.claim(10).await.unwrap().claims {
            let rest = Then::Rest(Some(world.in_ms(HOUR_MS)));
            world.store.save(&mut claim, rest).await.unwrap();
        }
        let (found, expected) = world.faces_and_expected(&[&id, other.id()]).await;
        assert_eq!(found, expected, "torn at {nth}");
    }
}

#[tokio::test]
async fn a_command_that_changes_the_plan_changes_the_face_at_once() {
    let world = World::on_redis().await;
    let id = world.held("k").await;
    let mut loaded = world.store.load(&id).await.unwrap().unwrap();
    let at = world.in_ms(3 * HOUR_MS);
    let later = Command::Reschedule {
        capture_at: Some(at),
        capture_amount: None,
        release_at: None,
    };
    let key = IdempotencyKey::new("later").unwrap();
    loaded.payment.command(key, later, world.now()).unwrap();
    world.store.command(&loaded, Some(at), None).await.unwrap();
    let page = world.store.faces(None, None).await.unwrap();
    let planned: Vec<_> = page.faces.into_iter().map(|face| face.planned).collect();
    let step = StepName::Capture;
    assert_eq!(planned, [Some(Dated { step, at })]);
}

#[tokio::test]
async fn a_record_of_before_gets_its_face_at_its_next_save() {
    let world = World::on_redis().await;
    let mut claim = world.claimed("old").await;
    let id = claim.key.id.clone();
    let mut redis = raw(world.redis.as_ref().unwrap()).await;
    let place = format!("{{hf:{}}}", id.spread() % 8);
    let face: String = redis::cmd("HGET")
        .arg(format!("{place}:payment:{id}"))
        .arg("face")
        .query_async(&mut redis)
        .await
        .unwrap();
    let mut forget = redis::pipe();
    forget
        .hdel(format!("{place}:payment:{id}"), "face")
        .zrem(format!("{place}:states"), &face);
    forget.exec_async(&mut redis).await.unwrap();
    assert!(faces(&world.store).await.is_empty());
    assert_eq!(world.store.faceless().await.unwrap(), 1);
    let rest = Then::Rest(Some(world.in_ms(HOUR_MS)));
    world.store.save(&mut claim, rest).await.unwrap();
    assert_eq!(format!("open:{}", faces(&world.store).await[0]), face);
    assert_eq!(world.store.faceless().await.unwrap(), 0);
}

#[tokio::test]
async fn the_sweep_takes_a_face_that_is_of_no_record_and_no_other() {
    let world = World::on_redis().await;
    let mut claim = world.claimed("ends").await;
    let ended = Face::of(&claim.payment, At::Rest);
    world.fail(&mut claim.payment);
    world
        .store
        .save(&mut claim, Then::Rest(None))
        .await
        .unwrap();
    let lives = world.created("lives").await;
    let never = Face::of(&payment("never", world.now()), At::Rest);
    let mut redis = raw(world.redis.as_ref().unwrap()).await;
    for left in [ended, never] {
        let index = format!("{{hf:{}}}:states", left.id.spread() % 8);
        let mut add = redis::cmd("ZADD");
        add.arg(index).arg(0).arg(format!("open:{left}"));
        add.exec_async(&mut redis).await.unwrap();
    }
    assert_eq!(faces(&world.store).await.len(), 3);
    world.store.sweep().await.unwrap();
    let (found, expected) = world.faces_and_expected(&[lives.id()]).await;
    assert_eq!(found, expected);
}

/// How often each command was carried out so far.
async fn carried_out(world: &World<RedisStore>) -> BTreeMap<String, u64> {
    let mut redis = raw(world.redis.as_ref().unwrap()).await;
    let mut info = redis::cmd("INFO");
    let text: String = info
        .arg("commandstats")
        .query_async(&mut redis)
        .await
        .unwrap();
    let lines = text.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let calls = rest.split(',').next()?.parse().ok()?;
        Some((name.to_owned(), calls))
    });
    lines.collect()
}

#[tokio::test]
async fn the_note_of_a_call_and_a_rest_without_news_write_nothing_for_the_face() {
    let world = World::on_redis().await;
    let payment = adopted("k", world.now());
    world.store.create(&payment, world.now()).await.unwrap();
    let mut claim = world.claim_one().await;
    let rest = Then::Rest(Some(world.in_ms(HOUR_MS)));
    let before = carried_out(&world).await;
    world.open(&mut claim);
    drop(world.store.license(&mut claim).await.unwrap());
    let not_sent = Answer::NotSent {
        why: "refused".to_owned(),
    };
    claim.payment.answered(1, &not_sent, world.now(), &policy());
    world.store.save(&mut claim, rest).await.unwrap();
    let after = carried_out(&world).await;
    let of = |name: &str| {
        let at = |stats: &BTreeMap<String, u64>| stats.get(name).copied().unwrap_or_default();
        at(&after) - at(&before)
    };
    // Two saves: each reads once, writes the record, and moves the due time.
    let counts = ["hmget", "hset", "hincrby", "hdel", "zadd", "zrem", "xadd"].map(of);
    assert_eq!(counts, [2, 2, 2, 2, 2, 0, 0]);
}

#[tokio::test]
async fn what_is_open_is_in_doubt_once_a_turn_rests_with_it() {
    let world = World::on_redis().await;
    let payment = adopted("k", world.now());
    world.store.create(&payment, world.now()).await.unwrap();
    let doubt = async || {
        let page = world.store.faces(None, None).await.unwrap();
        page.faces[0].in_doubt
    };
    let mut claim = world.claim_one().await;
    world.open(&mut claim);
    let opened_at = world.now();
    drop(world.store.license(&mut claim).await.unwrap());
    assert_eq!(doubt().await, None);
    world.pass(LEASE_MS + 1);
    // Whoever comes after the crash learns nothing.
    let mut claim = world.claim_one().await;
    let rest = Then::Rest(Some(world.in_ms(HOUR_MS)));
    world.store.save(&mut claim, rest).await.unwrap();
    let told = Dated {
        step: StepName::Cancel,
        at: opened_at,
    };
    assert_eq!(doubt().await, Some(told));
}

#[tokio::test]
async fn ten_thousand_payments_are_counted_exactly() {
    let world = World::on_redis().await;
    let now = world.now();
    let mut expected = BTreeMap::new();
    for hundred in 0_u64..100 {
        let payments: Vec<Payment> = (0..100)
            .map(|unit| {
                let number = hundred * 100 + unit;
                let amount = number % 977 + 1;
                let sum = expected.entry(Currency::MYR).or_insert((0_u64, 0_u64));
                *sum = (sum.0 + 1, sum.1 + amount);
                worth(&format!("k{number}"), amount, now)
            })
            .collect();
        let created = payments.iter().map(|it| world.store.create(it, now));
        join_all(created).await.into_iter().for_each(|it| {
            it.unwrap();
        });
    }
    let tally = overview::count(&world.store, &world.clock).await.unwrap();
    let new = &tally.by_state[&StateName::New];
    let found: BTreeMap<_, _> = new
        .by_currency()
        .into_iter()
        .map(|(currency, sum)| (currency, (sum.count, sum.minor)))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(tally.by_state.len(), 1);
    assert_eq!(tally.due[&StepName::Charge].whole().count, 10_000);
    let all = faces(&world.store).await;
    assert!(all.is_sorted(), "they come by state and age");
    let each: BTreeSet<&String> = all.iter().collect();
    assert_eq!((all.len(), each.len()), (10_000, 10_000));
    // And a page of a search goes on where it ended.
    let filter = Filter {
        at_least: Some(970),
        ..Filter::default()
    };
    let (mut ids, mut after) = (BTreeSet::new(), None);
    loop {
        let cursor = after.as_deref();
        let found = find(&world.store, (&filter, &|_| true), (cursor, 7), now).await;
        let found: Found = found.unwrap();
        assert!(found.payments.len() <= 7);
        for loaded in found.payments {
            assert!(ids.insert(loaded.payment.id().clone()), "it came twice");
        }
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    let wanted = (0..10_000).filter(|number| number % 977 + 1 >= 970).count();
    assert_eq!(ids.len(), wanted);
}

impl World<RedisStore> {
    async fn found(&self, filter: &Filter) -> Vec<PaymentId> {
        let everything = |_: &AccountName| true;
        let found = find(&self.store, (filter, &everything), (None, 50), self.now()).await;
        let payments = found.unwrap().payments.into_iter();
        payments.map(|loaded| loaded.payment.id().clone()).collect()
    }
}

/// A world with one payment of each kind, by name.
async fn some_of_each() -> (World<RedisStore>, [PaymentId; 4]) {
    let world = World::on_redis().await;
    let held = world.held("held").await;
    world.pass(3_600_000);
    let far = Then::Rest(Some(world.in_ms(90 * HOUR_MS)));
    let mut claim = world.claimed("parked").await;
    let parked = claim.key.id.clone();
    world.park(&mut claim.payment);
    world.store.save(&mut claim, far).await.unwrap();
    let mut claim = world.claimed("failed").await;
    let failed = claim.key.id.clone();
    world.fail(&mut claim.payment);
    world.store.save(&mut claim, far).await.unwrap();
    let known = called("called", "other", "order 7", world.now());
    world.store.create(&known, world.now()).await.unwrap();
    let ids = [held, parked, failed, known.id().clone()];
    (world, ids)
}

fn of(state: StateName) -> Filter {
    Filter {
        state: Some(state),
        ..Filter::default()
    }
}

fn order_7() -> Filter {
    Filter {
        account: Some(AccountName::new("other").unwrap()),
        reference: Some(Reference::new("order 7").unwrap()),
        ..Filter::default()
    }
}

#[tokio::test]
async fn payments_are_found_by_state_account_and_name() {
    let (world, [held, parked, failed, known]) = some_of_each().await;
    let account = Filter {
        reference: None,
        ..order_7()
    };
    let part = Filter {
        id_part: Some(held.as_str()[4..20].to_uppercase()),
        ..Filter::default()
    };
    let cases = [
        (Filter::default(), vec![&held, &known, &parked]),
        (of(StateName::Held), vec![&held]),
        (of(StateName::Failed), vec![&failed]),
        (account, vec![&known]),
        (order_7(), vec![&known]),
        (part, vec![&held]),
    ];
    for (filter, expected) in cases {
        let found = world.found(&filter).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
    }
    let filter = Filter {
        account: None,
        ..order_7()
    };
    let refused = find(&world.store, (&filter, &|_| true), (None, 9), world.now()).await;
    assert!(matches!(refused, Err(FindError::NoAccount)));
}

#[tokio::test]
async fn payments_are_found_by_age_amount_reason_and_what_is_to_come() {
    let (world, [held, parked, failed, known]) = some_of_each().await;
    let any = Filter::default;
    let hour = Some(TimeDelta::minutes(30));
    let why = |reason: &str| Some(reason.to_owned());
    let end = Some(world.in_ms(30 * 24 * HOUR_MS));
    let mut cases = vec![];
    let mut case = |filter, expected| cases.push((filter, expected));
    let for_at_least = hour;
    case(
        Filter {
            for_at_least,
            ..any()
        },
        vec![&held],
    );
    let for_at_most = hour;
    case(
        Filter {
            for_at_most,
            ..any()
        },
        vec![&known, &parked],
    );
    let reason = why("poison");
    case(Filter { reason, ..any() }, vec![&parked]);
    let reason = why("cancelled");
    case(
        Filter {
            reason,
            ..of(StateName::Failed)
        },
        vec![&failed],
    );
    let lapses_by = end;
    case(Filter { lapses_by, ..any() }, vec![&held]);
    let lapses_after = end;
    case(
        Filter {
            lapses_after,
            ..any()
        },
        vec![],
    );
    let planned_before = end;
    case(
        Filter {
            planned_before,
            ..any()
        },
        vec![&known],
    );
    let doubt = Doubt::Only;
    case(Filter { doubt, ..any() }, vec![]);
    let at_most = Some(1_499);
    case(Filter { at_most, ..any() }, vec![]);
    let at_least = Some(1_500);
    case(
        Filter {
            at_least,
            ..of(StateName::Held)
        },
        vec![&held],
    );
    for (filter, expected) in cases {
        let found = world.found(&filter).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn what_somebody_may_not_see_is_neither_found_nor_counted() {
    let (world, [.., known]) = some_of_each().await;
    let may = |account: &AccountName| account.as_str() == "other";
    let any = Filter::default();
    let found = find(&world.store, (&any, &may), (None, 9), world.now()).await;
    let found: Vec<_> = found.unwrap().payments;
    let ids: Vec<_> = found.iter().map(|loaded| loaded.payment.id()).collect();
    assert_eq!(ids, [&known]);
    let sums: Tally = overview::count(&world.store, &world.clock).await.unwrap();
    assert_eq!(sums.held.whole().count, 1);
    let sums = sums.only(&may);
    assert_eq!(sums.held.whole().count, 0);
    assert_eq!(sums.by_state[&StateName::New].whole().count, 1);
    assert!(sums.parked.is_empty());
}

#[tokio::test]
async fn a_hold_is_counted_by_when_it_lapses_and_a_parked_one_is_held_still() {
    let world = World::on_redis().await;
    let id = world.held("k").await;
    let count = async || overview::count(&world.store, &world.clock).await.unwrap();
    // It lapses in seven days.
    let tally = count().await;
    let [day, two, three] = tally.lapsing.each_ref().map(|sums| sums.whole().count);
    assert_eq!((day, two, three, tally.held.whole().count), (0, 0, 0, 1));
    assert_eq!(tally.bars[14].whole().count, 1);
    assert_eq!(tally.bar_begins(14), tally.as_of + TimeDelta::days(7));
    world.pass(5 * 24 * 3_600_000 + 1);
    let mut claim = world.claim_one().await;
    world.park(&mut claim.payment);
    let far = Then::Rest(Some(world.in_ms(900 * HOUR_MS)));
    world.store.save(&mut claim, far).await.unwrap();
    let tally = count().await;
    let [day, two, three] = tally.lapsing.each_ref().map(|sums| sums.whole().minor);
    assert_eq!((day, two, three), (0, 1_500, 1_500));
    assert_eq!(tally.parked["poison"].whole().minor, 1_500);
    assert_eq!(tally.held.whole().minor, 1_500);
    world.pass(2 * 24 * 3_600_000);
    let tally = count().await;
    assert_eq!(tally.lapsed.whole().count, 1);
    assert_eq!(tally.lapsing[2].whole().count, 0);
    assert!(world.store.load(&id).await.unwrap().is_some());
}

#[tokio::test]
async fn an_overview_is_counted_when_somebody_asks_and_says_as_of_when() {
    let world = World::on_redis().await;
    world.created("k").await;
    let store = std::sync::Arc::new(world.store.clone());
    let overview = std::sync::Arc::new(Overview::new(store, world.clock.clone()));
    let stop = CancellationToken::new();
    let counting = {
        let (overview, stop) = (std::sync::Arc::clone(&overview), stop.clone());
        tokio::spawn(async move { overview.count_on_demand(stop).await })
    };
    let first = overview.newest().await.unwrap();
    assert_eq!(first.as_of, world.now());
    assert_eq!(first.by_state[&StateName::New].whole().count, 1);
    world.created("another").await;
    let again = overview.newest().await.unwrap();
    assert_eq!(again.as_of, first.as_of, "it is not counted for each asker");
    assert_eq!(again, first);
    stop.cancel();
    counting.await.unwrap();
}
