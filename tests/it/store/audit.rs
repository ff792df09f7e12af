//! The audit log on Redis: one entry for one command, and no change of it that is not found.

use std::sync::Arc;

use holdfast::operate::audit::{Questions, Verified, What, read_heads, shown_head, verify};
use holdfast::payment::{Command, IdempotencyKey, PaymentId, Timestamp};
use holdfast::store::audit::{AuditEntry, AuditStream, Mandate};
use holdfast::store::redis::RedisStore;
use holdfast::store::{Loaded, SaveError, Store};
use redis::aio::MultiplexedConnection;

use super::on_redis::raw;
use super::world::{World, payment};

/// An entry as Redis has it: its place, and number, link and what it says.
type Raw = (String, Vec<(String, String)>);

/// Keys of payments of one partition.
fn side_by_side(world: &World<RedisStore>, count: usize) -> Vec<String> {
    let names = (0..).map(|number| format!("stay-{number}"));
    let first = |key: &String| payment(key, world.now()).id().spread().is_multiple_of(8);
    names.filter(first).take(count).collect()
}

async fn loaded(world: &World<RedisStore>, id: &PaymentId) -> Loaded {
    world.store.load(id).await.unwrap().unwrap()
}

/// Decides about a command, and what the log says of it.
fn commanded(loaded: &Loaded, key: &str, now: Timestamp) -> (Loaded, AuditEntry) {
    let mut asked = loaded.clone();
    let key = IdempotencyKey::new(key).unwrap();
    asked.payment.command(key, Command::Cancel, now).unwrap();
    let by = Mandate::typed_by("aisyah").because(Some("asked by the guest"));
    let before = (&loaded.payment, loaded.version);
    let entry = AuditEntry::of_command(&by, before, &asked.payment).unwrap();
    (asked, entry)
}

async fn give(world: &World<RedisStore>, id: &PaymentId, key: &str) {
    loop {
        let found = loaded(world, id).await;
        let (asked, entry) = commanded(&found, key, world.now());
        match world.store.command(&asked, None, Some(&entry)).await {
            Err(SaveError::Outdated) => {}
            done => return done.unwrap(),
        }
    }
}

/// A log of as many commands, on payments of one partition.
async fn logged(count: usize) -> World<RedisStore> {
    let world = World::on_redis().await;
    for key in side_by_side(&world, count) {
        let payment = world.created(&key).await;
        give(&world, payment.id(), "cancel").await;
    }
    world
}

async fn verified(world: &World<RedisStore>, questions: &Questions) -> Verified {
    verify(&world.store, questions, &|_, _| {}).await.unwrap()
}

fn with_records() -> Questions {
    Questions {
        records_since: Some(Timestamp::UNIX_EPOCH),
        ..Questions::default()
    }
}

async fn is_whole(world: &World<RedisStore>, entries: u64) {
    let told = verified(world, &with_records()).await;
    assert_eq!(told.findings, []);
    assert_eq!(told.streams.iter().map(|s| s.entries).sum::<u64>(), entries);
}

async fn is_broken(world: &World<RedisStore>, how: &str) -> Vec<What> {
    let told = verified(world, &Questions::default()).await;
    assert!(told.is_broken(), "{how} is not found");
    told.findings.into_iter().map(|found| found.what).collect()
}

/// Whoever can write to Redis, and does.
struct Intruder(MultiplexedConnection);

const STREAM: &str = "{hf:0}:audit";

impl Intruder {
    async fn into(world: &World<RedisStore>) -> Self {
        Self(raw(world.redis.as_ref().unwrap()).await)
    }

    async fn does(&self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.exec_async(&mut self.0.clone()).await.unwrap();
    }

    async fn entries(&self) -> Vec<Raw> {
        let mut ask = redis::cmd("XRANGE");
        ask.arg(STREAM).arg("-").arg("+");
        let read: Vec<(String, Vec<String>)> = ask.query_async(&mut self.0.clone()).await.unwrap();
        let pairs = |fields: Vec<String>| {
            let pairs = fields.as_chunks::<2>().0.iter();
            pairs
                .map(|[name, value]| (name.clone(), value.clone()))
                .collect()
        };
        read.into_iter()
            .map(|(id, fields)| (id, pairs(fields)))
            .collect()
    }

    /// Puts other entries in the place of what is there, leaving no trace of it.
    async fn writes(&self, entries: &[Raw]) {
        self.does(&["DEL", STREAM]).await;
        for (id, fields) in entries {
            let mut words = vec!["XADD", STREAM, id];
            for (name, value) in fields {
                words.extend([name.as_str(), value.as_str()]);
            }
            self.does(&words).await;
        }
    }
}

#[tokio::test]
async fn entries_of_a_record_that_cannot_be_read_keep_nobody_from_verifying_the_others() {
    let world = World::on_redis().await;
    let key = side_by_side(&world, 1).remove(0);
    let id = world.created(&key).await.id().clone();
    give(&world, &id, "cancel").await;
    let intruder = Intruder::into(&world).await;
    let record = format!("{{hf:0}}:payment:{id}");
    intruder.does(&["HSET", &record, "body", "{}"]).await;
    let told = verified(&world, &with_records()).await;
    assert_eq!((told.findings, told.payments), (vec![], 0));
    assert_eq!(told.unread.keys().collect::<Vec<_>>(), [&id]);
}

#[tokio::test]
async fn a_log_that_nobody_touched_is_whole_and_agrees_with_the_records() {
    let world = logged(12).await;
    is_whole(&world, 12).await;
    let heads = world.store.audit_heads().await.unwrap();
    assert_eq!((heads.len(), heads[0].n), (1, 12));
    assert_eq!(heads[0].stream, AuditStream::Partition(0));
}

#[tokio::test]
async fn whatever_is_deleted_is_found_wherever_it_was() {
    for (place, how) in [(0, "the first"), (2, "one"), (4, "the last")] {
        let world = logged(5).await;
        let intruder = Intruder::into(&world).await;
        let entries = intruder.entries().await;
        intruder.does(&["XDEL", STREAM, &entries[place].0]).await;
        is_broken(&world, how).await;
        // The chain goes on from what is left: what Redis counts betrays it.
        let payment = world.created("later").await;
        give(&world, payment.id(), "cancel").await;
        let next = side_by_side(&world, 6).pop().unwrap();
        let payment = world.created(&next).await;
        give(&world, payment.id(), "cancel").await;
        is_broken(&world, how).await;
    }
    let world = logged(5).await;
    let intruder = Intruder::into(&world).await;
    intruder.does(&["XTRIM", STREAM, "MAXLEN", "2"]).await;
    is_broken(&world, "a trimmed beginning").await;
    intruder.does(&["XTRIM", STREAM, "MAXLEN", "0"]).await;
    is_broken(&world, "an emptied stream").await;
}

#[tokio::test]
async fn whatever_is_written_over_moved_or_put_in_is_found() {
    let world = logged(5).await;
    let intruder = Intruder::into(&world).await;
    let entries = intruder.entries().await;
    for place in 0..5 {
        let mut changed = entries.clone();
        let said = &mut changed[place].1[2].1;
        *said = said.replace("aisyah", "nobody");
        intruder.writes(&changed).await;
        let told = is_broken(&world, "another name").await;
        assert_eq!(told, [What::Unlinked]);
        let mut without = entries.clone();
        without.remove(place);
        intruder.writes(&without).await;
        let found = verified(&world, &with_records()).await;
        assert!(found.is_broken(), "without {place}");
        let mut more = entries.clone();
        more[place].1.push(("note".to_owned(), "x".to_owned()));
        intruder.writes(&more).await;
        is_broken(&world, "one field more").await;
        let mut padded = entries.clone();
        padded[place].1[0].1.insert(0, '0');
        intruder.writes(&padded).await;
        is_broken(&world, "a number written otherwise").await;
        if place > 0 {
            let mut swapped = entries.clone();
            let fields = swapped[place - 1].1.clone();
            swapped[place - 1].1 = std::mem::replace(&mut swapped[place].1, fields);
            intruder.writes(&swapped).await;
            is_broken(&world, "two that were swapped").await;
        }
    }
    intruder.writes(&entries).await;
    is_whole(&world, 5).await;
}

#[tokio::test]
async fn a_chain_that_was_written_anew_is_found_by_what_was_noted_before() {
    let world = logged(5).await;
    let heads = world.store.audit_heads().await.unwrap();
    let noted: Vec<String> = heads.iter().map(shown_head).collect();
    let questions = Questions {
        heads: read_heads(&noted.join(" ")).unwrap(),
        ..Questions::default()
    };
    let key = side_by_side(&world, 6).pop().unwrap();
    let payment = world.created(&key).await;
    give(&world, payment.id(), "cancel").await;
    assert_eq!(verified(&world, &questions).await.findings, []);
    // Somebody else's name in the second entry, and all links computed anew.
    let intruder = Intruder::into(&world).await;
    let mut entries = intruder.entries().await;
    let mut link = holdfast::store::audit::NO_LINK.to_owned();
    for (place, (_, fields)) in entries.iter_mut().enumerate() {
        if place == 1 {
            fields[2].1 = fields[2].1.replace("aisyah", "nobody");
        }
        link = holdfast::store::audit::link_after(&link, fields[2].1.as_bytes());
        fields[1].1.clone_from(&link);
    }
    intruder.writes(&entries).await;
    assert_eq!(verified(&world, &Questions::default()).await.findings, []);
    let told = verified(&world, &questions).await;
    assert!(told.is_broken());
    assert_eq!(told.findings[0].what, What::HeadGone { n: 5 });
    // Nothing is left of it at all.
    intruder.does(&["DEL", STREAM]).await;
    assert!(verified(&world, &questions).await.is_broken());
    let records = verified(&world, &with_records()).await;
    assert_eq!(records.findings.len(), 6, "{:?}", records.findings);
    assert!(records.is_broken());
}

#[tokio::test]
async fn an_entry_without_its_command_and_a_command_without_its_entry_are_told() {
    let world = logged(3).await;
    let keys = side_by_side(&world, 4);
    let payment = world.created(&keys[3]).await;
    let found = loaded(&world, payment.id()).await;
    let (asked, entry) = commanded(&found, "nobody-heard", world.now());
    world.store.command(&asked, None, None).await.unwrap();
    let told = verified(&world, &with_records()).await;
    assert!(told.is_broken());
    let (id, key) = (payment.id(), IdempotencyKey::new("nobody-heard").unwrap());
    let [only] = told.findings.as_slice() else {
        panic!("{:?}", told.findings)
    };
    let untold = What::NoEntry {
        payment: id.clone(),
        key,
    };
    assert_eq!(only.what, untold);
    // Commands from before the log began are not expected in it.
    let questions = Questions {
        records_since: Some(world.in_ms(1)),
        ..Questions::default()
    };
    assert_eq!(verified(&world, &questions).await.findings, []);
    // An entry that says what the record of another payment does not show.
    let other = world.created(&side_by_side(&world, 5)[4]).await;
    let found = loaded(&world, other.id()).await;
    let (asked, _) = commanded(&found, "shown", world.now());
    world
        .store
        .command(&asked, None, Some(&entry))
        .await
        .unwrap();
    let told = verified(&world, &with_records()).await;
    let untold = told.findings.iter().filter(|found| found.what.is_broken());
    assert_eq!(untold.count(), 1, "{:?}", told.findings);
}

#[tokio::test]
async fn a_command_whose_reply_was_lost_is_logged_once() {
    let world = World::on_redis().await;
    let payment = world.created("stay").await;
    let found = loaded(&world, payment.id()).await;
    let (asked, entry) = commanded(&found, "cancel", world.now());
    for _ in 0..3 {
        world
            .store
            .command(&asked, None, Some(&entry))
            .await
            .unwrap();
    }
    is_whole(&world, 1).await;
    let late = world.store.command(&found, None, Some(&entry)).await;
    assert!(matches!(late, Err(SaveError::Outdated)), "{late:?}");
    is_whole(&world, 1).await;
    let by = Mandate::typed_by("aisyah").because(Some("mended"));
    let intent = AuditEntry::intent(&by, "endpoint_enable", Some("shop"), world.now());
    for _ in 0..3 {
        world.store.note_intent(&intent).await.unwrap();
    }
    is_whole(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_commands_at_once_leave_one_unbroken_chain() {
    let world = Arc::new(World::on_redis().await);
    let mut ids = Vec::new();
    for key in side_by_side(&world, 20) {
        ids.push(world.created(&key).await.id().clone());
    }
    let all = (0..100).map(|number| {
        let (world, id) = (Arc::clone(&world), ids[number % 20].clone());
        tokio::spawn(async move { give(&world, &id, &format!("c{number}")).await })
    });
    for task in all.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    is_whole(&world, 100).await;
    let heads = world.store.audit_heads().await.unwrap();
    assert_eq!((heads.len(), heads[0].n), (1, 100));
}

#[tokio::test]
async fn nothing_in_the_log_lets_anybody_pay_or_says_who_pays() {
    let world = logged(3).await;
    let entries = Intruder::into(&world).await.entries().await;
    for (_, fields) in entries {
        let said = &fields[2].1;
        for canary in ["a-token", "payer@mail.example", "mail.example"] {
            assert!(!said.contains(canary), "{said}");
        }
        let entry: AuditEntry = serde_json::from_str(said).unwrap();
        assert_eq!(entry.reason.as_deref(), Some("asked by the guest"));
        assert_eq!(entry.before.unwrap()["version"], 1);
        let after = entry.after.unwrap();
        assert_eq!(
            (&after["version"], &after["state"]),
            (&2.into(), &"new".into())
        );
    }
}
