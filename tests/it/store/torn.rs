//! A crash can leave half a script at the end of the append-only file. Redis 7 then reads the file up
//! to the last whole command, not to the last whole transaction, writes on behind the half one, and at
//! its next start carries the half one out together with the next transaction. So every beginning of
//! what a script writes must be something that a repeat, or the next turn, makes whole.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;

use holdfast::operate::audit::{Questions, verify};
use holdfast::payment::{
    AccountName, CardEvidence, CardSign, CardToken, Command, IdempotencyKey, KnownCard, Payment,
    PaymentId, StateName, Wish,
};
use holdfast::store::audit::{AuditEntry, Mandate};
use holdfast::store::redis::{
    AnswerEntry, Deed, Did, Elements, Lease, Portion, QuarantineId, QuarantineNote, RedisStore,
    Settled, Settlement, Standing, Taken,
};
use holdfast::store::{
    Cards, Created, EndpointName, EventHead, Reader, Spread, Store, Then, change_card,
};
use holdfast_rig::{Redis, unrest};

use super::on_redis::raw;
use super::world::{LEASE_MS, Watched, World, payment, settings, start as world_start};

const HOUR_MS: i64 = 3_600_000;

/// Where the append-only file ends.
fn end_of_file(redis: &Redis) -> (PathBuf, usize) {
    let file = redis
        .folder()
        .join("appendonlydir/appendonly.aof.1.incr.aof");
    let end = fs::metadata(&file).unwrap().len();
    (file, usize::try_from(end).unwrap())
}

/// The places right behind each command of a script, but for the last: cut there, and a little
/// further, half a transaction is left.
fn places(written: &[u8]) -> Vec<usize> {
    let begins = |at: &usize| written[*at..].starts_with(b"\r\n*");
    let places: Vec<_> = (0..written.len()).filter(begins).map(|at| at + 2).collect();
    assert!(
        places.len() >= 3,
        "it is no transaction of several commands"
    );
    places
}

/// Cuts the file at the `nth` place, and starts Redis on what is left; `None` when there is no such
/// place.
async fn cut(world: &mut World<RedisStore>, before: usize, nth: usize) -> Option<()> {
    let redis = world.redis.as_mut().unwrap();
    let (file, _) = end_of_file(redis);
    let written = fs::read(&file).unwrap().split_off(before);
    let place = *places(&written).get(nth)?;
    redis.kill().unwrap();
    let cut = u64::try_from(before + place + 2).unwrap();
    OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(cut)
        .unwrap();
    redis.start_again().await.unwrap();
    world.connect().await;
    Some(())
}

/// Lets a script be torn at the `nth` place, and Redis be started twice; `None` when there is no such
/// place. Between the starts another payment is recorded.
pub(super) async fn tear(
    world: &mut World<RedisStore>,
    before: usize,
    nth: usize,
) -> Option<Payment> {
    cut(world, before, nth).await?;
    let other = world.created("another").await;
    let redis = world.redis.as_mut().unwrap();
    redis.restart().await.unwrap();
    world.connect().await;
    Some(other)
}

impl World<RedisStore> {
    pub(super) async fn connect(&mut self) {
        let url = self.redis.as_ref().unwrap().url();
        self.store = RedisStore::connect(settings(url), self.clock.clone())
            .await
            .unwrap();
    }

    async fn spread(&self) -> Spread {
        let reader = Reader {
            endpoint: shop(),
            filter: "all".to_owned(),
            since: world_start(),
            wants: |_: &EventHead| true,
        };
        self.store.spread(&reader).await.unwrap()
    }

    pub(super) fn end(&self) -> usize {
        end_of_file(self.redis.as_ref().unwrap()).1
    }

    async fn assert_at_rest(&self, nth: usize, ids: &[&PaymentId]) {
        let ids: Vec<_> = ids.iter().map(|id| (*id).clone()).collect();
        let problems = unrest(&self.store, &ids).await.unwrap();
        assert!(problems.is_empty(), "torn at {nth}: {problems:?}");
    }
}

#[tokio::test]
async fn a_create_that_a_crash_tore_apart_is_whole_once_it_is_repeated() {
    for nth in 0.. {
        let mut world = World::on_redis().await;
        // The scripts are known, and the file has a beginning.
        world.created("before").await;
        let before = world.end();
        let torn = world.created("torn").await;
        let Some(other) = tear(&mut world, before, nth).await else {
            assert!(nth >= 3, "only {nth} places");
            break;
        };
        let created = world.store.create(&torn, world.now()).await.unwrap();
        assert!(!matches!(created, Created::Conflict));
        let loaded = world.store.load(torn.id()).await.unwrap().unwrap();
        assert_eq!(
            loaded.due,
            Some(world.now()),
            "torn at {nth}: it is never due"
        );
        let first = payment("before", world.now());
        world
            .assert_at_rest(nth, &[first.id(), torn.id(), other.id()])
            .await;
    }
}

#[tokio::test]
async fn a_command_that_a_crash_tore_apart_makes_nothing_late() {
    for (from_ms, to_ms) in [(HOUR_MS, 0), (HOUR_MS, 9 * HOUR_MS)] {
        for nth in 0.. {
            let mut world = World::on_redis().await;
            let torn = payment("torn", world.now());
            let due = world.in_ms(from_ms);
            world.store.create(&torn, due).await.unwrap();
            let before = world.end();
            let mut loaded = world.store.load(torn.id()).await.unwrap().unwrap();
            let key = IdempotencyKey::new("cancel").unwrap();
            loaded
                .payment
                .command(key, Command::Cancel, world.now())
                .unwrap();
            let wanted = world.in_ms(to_ms);
            let by = Mandate::typed_by("aisyah");
            let audit = AuditEntry::of_command(&by, (&torn, 1), &loaded.payment).unwrap();
            let written = world.store.command(&loaded, Some(wanted), Some(&audit));
            written.await.unwrap();
            let Some(other) = tear(&mut world, before, nth).await else {
                assert!(nth >= 2, "only {nth} places");
                break;
            };
            let found = world.store.load(torn.id()).await.unwrap().unwrap();
            let is_known = !found.payment.commands().is_empty();
            // Whatever of it comes to light, the log is no worse than ahead of the record.
            let questions = Questions {
                records_since: Some(world_start()),
                ..Questions::default()
            };
            let log = verify(&world.store, &questions, &|_, _| {}).await.unwrap();
            assert!(!log.is_broken(), "torn at {nth}: {:?}", log.findings);
            let latest = if is_known { wanted } else { due };
            assert!(
                found.due.unwrap() <= latest,
                "torn at {nth}: due at {:?}, not by {latest}",
                found.due
            );
            world.assert_at_rest(nth, &[torn.id(), other.id()]).await;
        }
    }
}

/// Delivers all that is pending, and says what of which payment, in order.
async fn told(world: &World<RedisStore>) -> Vec<(PaymentId, String)> {
    let (shop, mut told) = (shop(), Vec::new());
    loop {
        while world.spread().await.read > 0 {}
        let taken = world.store.take_events(&shop, 100, LEASE_MS).await.unwrap();
        if taken.is_empty() {
            break;
        }
        for event in taken {
            told.push((event.head.payment.clone(), event.head.state.clone()));
            world.store.delivered(&event).await.unwrap();
        }
    }
    let left = world.store.waiting(&shop).await.unwrap();
    assert_eq!((left.events, left.payments, left.oldest), (0, 0, None));
    told
}

fn shop() -> EndpointName {
    EndpointName::new("shop").unwrap()
}

/// Lets a script be torn at the `nth` place, and Redis be started twice; `None` when there is no such
/// place. Between the starts, events of the same stream are written, and copied for the endpoint.
async fn tear_and_copy(
    world: &mut World<RedisStore>,
    (before, nth): (usize, usize),
    torn: &PaymentId,
) -> Option<PaymentId> {
    cut(world, before, nth).await?;
    let beside = |key: &String| payment(key, world_start()).id().spread() % 8 == torn.spread() % 8;
    let key = (0..1_000)
        .map(|number| format!("beside-{number}"))
        .find(beside);
    let other = world.created(&key.unwrap()).await;
    assert!(world.spread().await.read > 0);
    let redis = world.redis.as_mut().unwrap();
    redis.restart().await.unwrap();
    world.connect().await;
    Some(other.id().clone())
}

/// Lets whoever is due take its turn; what is to fail fails.
async fn turns(world: &World<RedisStore>, to_fail: &PaymentId) {
    for mut claim in world.store.claim(10).await.unwrap().claims {
        let fails = claim.key.id == *to_fail;
        if fails && !claim.payment.is_finished() {
            world.fail(&mut claim.payment);
        }
        let due = (!fails).then(|| world.in_ms(HOUR_MS));
        world.store.save(&mut claim, Then::Rest(due)).await.unwrap();
    }
}

#[tokio::test]
async fn a_change_that_a_crash_tore_apart_is_told_though_later_ones_were_told_before() {
    for nth in 0.. {
        let mut world = World::on_redis().await;
        world.spread().await;
        let mut claim = world.claimed("torn").await;
        let id = claim.key.id.clone();
        assert_eq!(told(&world).await.len(), 1);
        let before = world.end();
        world.fail(&mut claim.payment);
        let rest = Then::Rest(None);
        world.store.save(&mut claim, rest).await.unwrap();
        if tear_and_copy(&mut world, (before, nth), &id)
            .await
            .is_none()
        {
            assert!(nth >= 7, "only {nth} places");
            break;
        }
        world.pass(LEASE_MS + 1_000);
        turns(&world, &id).await;
        let told = told(&world).await;
        let of_it = told.iter().filter(|(payment, _)| *payment == id);
        let mut states: Vec<_> = of_it.map(|(_, state)| &**state).collect();
        states.dedup();
        assert_eq!(states, ["failed"], "torn at {nth}");
        let found = world.store.load(&id).await.unwrap().unwrap();
        assert!(found.payment.is_finished());
    }
}

#[tokio::test]
async fn a_create_that_a_crash_tore_apart_is_told_once_it_is_recorded_and_never_before() {
    for nth in 0.. {
        let mut world = World::on_redis().await;
        world.spread().await;
        world.created("before").await;
        assert_eq!(told(&world).await.len(), 1);
        let before = world.end();
        let torn = world.created("torn").await;
        let id = torn.id().clone();
        if tear_and_copy(&mut world, (before, nth), &id)
            .await
            .is_none()
        {
            assert!(nth >= 4, "only {nth} places");
            break;
        }
        let is_recorded = world.store.load(&id).await.unwrap().is_some();
        let mut of_it = told(&world).await;
        of_it.retain(|(payment, _)| *payment == id);
        assert!(
            is_recorded || of_it.is_empty(),
            "torn at {nth}: it is told and not recorded"
        );
        world.store.create(&torn, world.now()).await.unwrap();
        let due = Then::Rest(Some(world.in_ms(HOUR_MS)));
        for mut claim in world.store.claim(10).await.unwrap().claims {
            world.store.save(&mut claim, due).await.unwrap();
        }
        of_it.extend(told(&world).await);
        let told = of_it.iter().any(|(payment, _)| *payment == id);
        assert!(told, "torn at {nth}: it is told to nobody");
    }
}

#[tokio::test]
async fn no_two_events_have_one_name_wherever_a_crash_tore_one() {
    for nth in 0.. {
        let mut world = World::on_redis().await;
        world.spread().await;
        let mut claim = world.claimed("torn").await;
        let id = claim.key.id.clone();
        let before = world.end();
        world.fail(&mut claim.payment);
        let rest = Then::Rest(None);
        world.store.save(&mut claim, rest).await.unwrap();
        if cut(&mut world, before, nth).await.is_none() {
            assert!(nth >= 7, "only {nth} places");
            break;
        }
        // In the run between it goes another way.
        world.pass(LEASE_MS + 1_000);
        let mut claim = world.claim_one().await;
        world.park(&mut claim.payment);
        world.store.save(&mut claim, rest).await.unwrap();
        world.redis.as_mut().unwrap().restart().await.unwrap();
        world.connect().await;
        let mut names = std::collections::BTreeSet::new();
        let (shop, mut told) = (shop(), Vec::new());
        while world.spread().await.read > 0 {}
        loop {
            let taken = world.store.take_events(&shop, 1, LEASE_MS).await.unwrap();
            let Some(event) = taken.first() else { break };
            assert!(names.insert(event.id()), "torn at {nth}: {}", event.id());
            told.push((event.place, event.head.state.clone()));
            world.store.delivered(event).await.unwrap();
        }
        assert!(told.is_sorted_by_key(|(place, _)| *place), "{told:?}");
        let parked = told.iter().any(|(_, state)| state == "parked");
        assert!(parked, "torn at {nth}: {told:?}");
        assert_eq!(id, claim.key.id);
    }
}

/// A world in which a payment was recorded and has failed, since the endpoint is there.
async fn told_of_two_changes() -> (World<RedisStore>, PaymentId) {
    let world = World::on_redis().await;
    world.spread().await;
    let mut claim = world.claimed("torn").await;
    world.fail(&mut claim.payment);
    let rest = Then::Rest(None);
    world.store.save(&mut claim, rest).await.unwrap();
    (world, claim.key.id)
}

#[tokio::test]
async fn copying_that_a_crash_tore_apart_is_whole_once_it_is_repeated() {
    for nth in 0.. {
        let (mut world, id) = told_of_two_changes().await;
        let before = world.end();
        world.spread().await;
        let Some(other) = tear(&mut world, before, nth).await else {
            assert!(nth >= 7, "only {nth} places");
            break;
        };
        let told = told(&world).await;
        let of = |id: &PaymentId| {
            let states = told.iter().filter(|(payment, _)| payment == id);
            states.map(|(_, state)| &**state).collect::<Vec<_>>()
        };
        assert_eq!(of(&id), ["new", "failed"], "torn at {nth}");
        assert_eq!(of(other.id()), ["new"], "torn at {nth}");
    }
}

#[tokio::test]
async fn a_delivery_whose_end_a_crash_tore_apart_is_made_again_before_the_next() {
    for nth in 0.. {
        let (mut world, id) = told_of_two_changes().await;
        world.spread().await;
        let taken = world.store.take_events(&shop(), 1, LEASE_MS).await.unwrap();
        let before = world.end();
        world.store.delivered(&taken[0]).await.unwrap();
        if tear(&mut world, before, nth).await.is_none() {
            assert!(nth >= 5, "only {nth} places");
            break;
        }
        world.pass(LEASE_MS + 1_000);
        let mut told = told(&world).await;
        told.retain(|(payment, _)| *payment == id);
        let states: Vec<_> = told.iter().map(|(_, state)| &**state).collect();
        let whole = [&["new", "failed"][..], &["failed"]];
        assert!(whole.contains(&&*states), "torn at {nth}: {states:?}");
    }
}

#[tokio::test]
async fn a_skip_that_a_crash_tore_apart_loses_no_other_event() {
    for nth in 0.. {
        let (mut world, id) = told_of_two_changes().await;
        world.spread().await;
        let taken = world.store.take_events(&shop(), 1, LEASE_MS).await.unwrap();
        let refused = world.in_ms(5_000);
        world.store.postpone(&taken[0], refused, 1).await.unwrap();
        let before = world.end();
        let first = taken[0].place;
        assert!(world.store.skip(&shop(), &id, first).await.unwrap());
        if tear(&mut world, before, nth).await.is_none() {
            assert!(nth >= 4, "only {nth} places");
            break;
        }
        world.pass(LEASE_MS + 1_000);
        let mut told = told(&world).await;
        told.retain(|(payment, _)| *payment == id);
        let states: Vec<_> = told.iter().map(|(_, state)| &**state).collect();
        let whole = [&["new", "failed"][..], &["failed"]];
        assert!(whole.contains(&&*states), "torn at {nth}: {states:?}");
    }
}

#[tokio::test]
async fn a_try_in_vain_that_a_crash_tore_apart_is_made_again() {
    for nth in 0.. {
        let (mut world, id) = told_of_two_changes().await;
        world.spread().await;
        let before = world.end();
        let taken = world.store.take_events(&shop(), 1, LEASE_MS).await.unwrap();
        let due = world.in_ms(5_000);
        world.store.postpone(&taken[0], due, 1).await.unwrap();
        if tear(&mut world, before, nth).await.is_none() {
            assert!(nth >= 6, "only {nth} places");
            break;
        }
        world.pass(LEASE_MS + 1_000);
        let mut told = told(&world).await;
        told.retain(|(payment, _)| *payment == id);
        let states: Vec<_> = told.iter().map(|(_, state)| &**state).collect();
        assert_eq!(states, ["new", "failed"], "torn at {nth}");
    }
}

#[tokio::test]
async fn an_end_that_a_crash_tore_apart_is_whole_after_the_next_turn() {
    for nth in 0.. {
        let mut world = World::on_redis().await;
        let mut claim = world.claimed("torn").await;
        let before = world.end();
        world.fail(&mut claim.payment);
        world
            .store
            .save(&mut claim, Then::Rest(None))
            .await
            .unwrap();
        let id = claim.key.id.clone();
        let Some(other) = tear(&mut world, before, nth).await else {
            assert!(nth >= 6, "only {nth} places");
            break;
        };
        world.pass(LEASE_MS + 1_000);
        for mut claim in world.store.claim(10).await.unwrap().claims {
            let then = if claim.key.id == id {
                if !claim.payment.is_finished() {
                    world.fail(&mut claim.payment);
                }
                Then::Rest(None)
            } else {
                Then::Rest(Some(world.now()))
            };
            world.store.save(&mut claim, then).await.unwrap();
        }
        let found = world.store.load(&id).await.unwrap().unwrap();
        assert!(
            found.payment.is_finished(),
            "torn at {nth}: {:?}",
            found.payment
        );
        world.assert_at_rest(nth, &[&id, other.id()]).await;
        let events = world.store.events_so_far().await;
        let told = events
            .iter()
            .any(|event| event.payment == id && event.state == StateName::Failed);
        assert!(told, "torn at {nth}: its end is told to nobody: {events:?}");
    }
}

const INTAKE: &str = "{hf:0}:intake";

async fn push(redis: &Redis, elements: &[&str]) {
    let mut command = redis::cmd("RPUSH");
    let pushed = command.arg(INTAKE).arg(elements);
    let mut connection = raw(redis).await;
    pushed.query_async::<i64>(&mut connection).await.unwrap();
}

impl World<RedisStore> {
    /// Takes the intake's elements, whoever had the lease before.
    async fn take(&self) -> Option<(Taken, Vec<String>)> {
        let mut end = redis::cmd("DEL");
        let mut connection = raw(self.redis.as_ref().unwrap()).await;
        let end = end.arg(format!("{INTAKE}:lease"));
        end.query_async::<i64>(&mut connection).await.unwrap();
        let most = Portion {
            elements: 10,
            bytes: 1_000,
            longest: 1_000,
            lease_ms: 60_000,
        };
        let taken = self.store.take(0, most).await.unwrap()?;
        let Elements::Read(elements) = &taken.elements else {
            panic!("nothing is too long");
        };
        let texts = elements
            .iter()
            .map(|e| String::from_utf8(e.clone()).unwrap());
        let texts = texts.collect();
        Some((taken, texts))
    }

    /// Takes all of it off; what is called bad goes into quarantine.
    async fn settle(&self, (taken, texts): &(Taken, Vec<String>)) {
        let settlement = |(place, text): (usize, &String)| {
            let sha256 = format!("{text:0>64}");
            let id = taken.quarantine_id(&sha256);
            Settlement {
                place,
                note: text.starts_with("bad").then(|| (id, note(self.now()))),
                answer: Some(AnswerEntry {
                    account: AccountName::new("hotel").unwrap(),
                    sha256,
                    json: b"{}".to_vec(),
                }),
            }
        };
        let settlements: Vec<_> = texts.iter().enumerate().map(settlement).collect();
        let settled = self
            .store
            .settle(taken, &settlements, (Lease::Ends, 60_000));
        let settled = settled.await.unwrap();
        assert_eq!(settled, Settled::Done);
    }
}

impl World<RedisStore> {
    async fn retry(&self, id: &QuarantineId) -> bool {
        let deed = Deed {
            did: Did::Retried,
            at: self.now(),
            actor: "aina".to_owned(),
            reason: "it is mended".to_owned(),
            corrected: None,
        };
        let sha256 = format!("{:0>64}", "bad");
        let account = AccountName::new("hotel").unwrap();
        let answer = Some((&account, sha256.as_str()));
        self.store
            .retry_quarantined(id, answer, &deed)
            .await
            .unwrap()
    }
}

fn note(at: holdfast::payment::Timestamp) -> QuarantineNote {
    QuarantineNote {
        at,
        code: "invalid_request".to_owned(),
        field: None,
        detail: "it is bad".to_owned(),
        kid: None,
        account: None,
        idempotency_key: None,
        bytes: 3,
    }
}

#[tokio::test]
async fn a_settlement_that_a_crash_tore_apart_takes_off_nothing_that_nobody_handled() {
    for nth in 0.. {
        let mut world = World::on_redis().await;
        world.created("before").await;
        push(world.redis.as_ref().unwrap(), &["one", "bad", "two"]).await;
        let taken = world.take().await.unwrap();
        let before = world.end();
        world.settle(&taken).await;
        if cut(&mut world, before, nth).await.is_none() {
            assert!(nth >= 6, "only {nth} places");
            break;
        }
        // All of it is done once more, and others push meanwhile.
        let again = world.take().await.unwrap();
        assert_eq!(again.1, ["one", "bad", "two"], "torn at {nth}");
        push(world.redis.as_ref().unwrap(), &["three", "four"]).await;
        world.settle(&again).await;
        push(world.redis.as_ref().unwrap(), &["five"]).await;
        world.redis.as_mut().unwrap().restart().await.unwrap();
        world.connect().await;
        let (_, left) = world.take().await.unwrap();
        assert_eq!(left, ["three", "four", "five"], "torn at {nth}");
        let (kept, count) = world.store.quarantine(10).await.unwrap();
        assert_eq!(count, 1, "torn at {nth}: {kept:?}");
        let (_, bytes) = world.store.quarantined(&kept[0].id).await.unwrap().unwrap();
        assert_eq!(bytes.as_deref(), Some(&b"bad"[..]), "torn at {nth}");
    }
}

#[tokio::test]
async fn a_wish_about_a_card_that_a_crash_tore_apart_is_due_or_was_never_said() {
    for nth in 0.. {
        let mut world = World::on_redis().await;
        world.created("before").await;
        let card = live_card(&world);
        world.store.keep_card(None, &card).await.unwrap();
        let before = world.end();
        let wish = async |world: &World<RedisStore>| {
            let now = world.now();
            let id = card.id();
            let wish = change_card(&world.store, &id, |card| {
                let mut wished = card?.clone();
                wished.wish(Wish::Delete, now);
                (card != Some(&wished)).then_some(wished)
            });
            wish.await.unwrap();
        };
        wish(&world).await;
        if tear(&mut world, before, nth).await.is_none() {
            assert!(nth >= 2, "only {nth} places");
            break;
        }
        let known = world.store.card(&card.id()).await.unwrap().unwrap().card;
        let due = world.store.due_cards(9).await.unwrap();
        if known.wanted().is_some() {
            assert_eq!(due, [card.id()], "torn at {nth}");
        }
        wish(&world).await;
        let known = world.store.card(&card.id()).await.unwrap().unwrap().card;
        assert!(known.wanted().is_some(), "torn at {nth}");
        assert_eq!(
            world.store.due_cards(9).await.unwrap(),
            [card.id()],
            "torn at {nth}"
        );
    }
}

fn live_card(world: &World<RedisStore>) -> KnownCard {
    let account = AccountName::new("hotel").unwrap();
    KnownCard::first(&CardEvidence {
        payment: PaymentId::derive(&account, &IdempotencyKey::new("k").unwrap()),
        account,
        token: CardToken::new("5a9e3c1c-0000-4000-8000-00000000cafe").unwrap(),
        face: None,
        sign: CardSign::Saved,
        at: world.now(),
    })
}

#[tokio::test]
async fn a_retry_that_a_crash_tore_apart_loses_nothing() {
    for nth in 0.. {
        let mut world = World::on_redis().await;
        world.created("before").await;
        push(world.redis.as_ref().unwrap(), &["bad"]).await;
        let taken = world.take().await.unwrap();
        world.settle(&taken).await;
        let id = world.store.quarantine(1).await.unwrap().0.remove(0).id;
        let before = world.end();
        assert!(world.retry(&id).await);
        if cut(&mut world, before, nth).await.is_none() {
            assert!(nth >= 3, "only {nth} places");
            break;
        }
        assert!(world.retry(&id).await);
        world.redis.as_mut().unwrap().restart().await.unwrap();
        world.connect().await;
        let (_, texts) = world.take().await.unwrap();
        assert!(
            !texts.is_empty() && texts.iter().all(|text| text == "bad"),
            "torn at {nth}"
        );
        let told = world.store.quarantined(&id).await.unwrap().unwrap().0;
        assert_eq!(told.standing, Standing::Decided, "torn at {nth}");
        assert!(!told.deeds.is_empty(), "torn at {nth}");
    }
}
