//! What every store promises: the same tests for the one on Redis and the one in memory.

use std::collections::HashSet;

use holdfast::payment::{AccountName, Command, IdempotencyKey, PaymentId, Reference, StateName};
use holdfast::store::{By, Created, Cursor, Loaded, Nudged, SaveError, Saved, Store, Then, Tried};

use super::world::{LEASE_MS, Watched, World, adopted, called, payment, worth};

macro_rules! promises {
    ($($name:ident)*) => {
        mod in_memory {
            use super::World;
            $(#[tokio::test] async fn $name() { super::$name(World::in_memory()).await; })*
        }
        mod on_redis {
            use super::World;
            $(#[tokio::test] async fn $name() { super::$name(World::on_redis().await).await; })*
        }
    };
}

promises! {
    a_payment_is_recorded_as_it_is
    the_same_key_is_the_same_payment
    only_what_is_due_is_claimed_and_only_once
    a_claim_tells_when_the_next_is_due
    a_claim_tells_since_when_it_was_due
    what_comes_after_a_look_is_claimed_or_told_of_at_once
    a_lapsed_lease_goes_to_another_and_the_first_is_lost
    a_renewed_lease_does_not_lapse
    a_save_needs_the_version_it_read
    an_identical_repeat_is_answered_as_the_first
    a_keeping_repeat_is_lost_when_the_claim_is
    a_claim_without_a_save_is_barren
    what_was_not_tried_is_not_barren
    a_command_lets_the_holder_decide_again
    a_command_makes_an_unclaimed_payment_due
    a_command_on_an_old_version_is_refused
    a_nudge_that_comes_while_a_command_is_decided_is_not_put_off
    a_nudge_makes_a_resting_payment_due
    a_nudge_reaches_whoever_works_on_the_payment
    a_nudge_during_the_turn_makes_the_rest_short
    a_nudge_of_what_is_finished_or_missing_changes_nothing
    a_permit_is_handed_out_once_for_an_attempt
    what_a_permit_is_for_is_recorded_first
    no_permit_without_an_open_attempt
    no_permit_for_a_claim_that_is_lost
    what_is_finished_leaves_the_due_index
    what_is_not_finished_stays_in_the_due_index
    the_state_index_follows
    one_event_for_each_change_of_state
    what_is_given_back_is_due_again
    what_is_commanded_before_it_is_given_back_is_due_now
    a_listing_goes_page_by_page_from_the_oldest
    what_is_called_alike_is_listed_for_each_account_whatever_its_state
    what_is_due_before_a_time_is_listed_the_earliest_first
    the_counts_are_right
    ten_thousand_at_once_are_all_claimed_once
    a_create_wakes_whoever_waits
}

fn command(loaded: &mut Loaded, key: &str, world_now: holdfast::payment::Timestamp) {
    let key = IdempotencyKey::new(key).unwrap();
    let answer = loaded
        .payment
        .command(key, Command::Cancel, world_now)
        .unwrap();
    assert!(answer.is_accepted());
}

async fn loaded<S: Store>(world: &World<S>, id: &PaymentId) -> Loaded {
    world
        .store
        .load(id)
        .await
        .unwrap()
        .expect("it was recorded")
}

async fn a_payment_is_recorded_as_it_is<S: Watched>(world: World<S>) {
    let payment = payment("one", world.now());
    assert_eq!(world.store.load(payment.id()).await.unwrap(), None);
    let due = world.in_ms(5_000);
    assert_eq!(
        world.store.create(&payment, due).await.unwrap(),
        Created::New
    );
    let loaded = loaded(&world, payment.id()).await;
    assert_eq!(loaded.payment, payment);
    assert_eq!(
        (loaded.version, loaded.nudges, loaded.claimed),
        (1, 0, false)
    );
    assert_eq!((loaded.stored, loaded.due), (StateName::New, Some(due)));
}

async fn the_same_key_is_the_same_payment<S: Watched>(world: World<S>) {
    let first = world.created("one").await;
    world.pass(10);
    let again = payment("one", world.now());
    let Created::Existing(found) = world.store.create(&again, world.now()).await.unwrap() else {
        panic!("it was there already");
    };
    assert_eq!(found.payment, first);
    let other = worth("one", 9_900, world.now());
    assert_eq!(
        world.store.create(&other, world.now()).await.unwrap(),
        Created::Conflict
    );
    assert_eq!(loaded(&world, first.id()).await.payment, first);
    assert_eq!(world.store.events_so_far().await.len(), 1);
}

async fn only_what_is_due_is_claimed_and_only_once<S: Watched>(world: World<S>) {
    let later = payment("later", world.now());
    world.store.create(&later, world.in_ms(1)).await.unwrap();
    world.claim_none().await;
    let claim = world.claimed("now").await;
    assert_eq!((claim.barren, claim.is_lost()), (1, false));
    assert!(loaded(&world, &claim.key.id).await.claimed);
    world.claim_none().await;
    world.pass(1);
    assert_eq!(world.claim_one().await.key.id, *later.id());
    world.claim_none().await;
}

async fn a_claim_tells_when_the_next_is_due<S: Watched>(world: World<S>) {
    assert_eq!(world.store.claim(5).await.unwrap().next_due, None);
    for key in ["a", "b", "c"] {
        world.created(key).await;
    }
    let more = world.store.claim(2).await.unwrap();
    assert_eq!(more.claims.len(), 2);
    assert!(more.next_due.is_some_and(|due| due <= world.now()));
    assert_eq!(world.store.claim(2).await.unwrap().claims.len(), 1);
    let soon = payment("soon", world.now());
    world.store.create(&soon, world.in_ms(700)).await.unwrap();
    assert_eq!(
        world.store.claim(1).await.unwrap().next_due,
        Some(world.in_ms(700))
    );
}

async fn what_comes_after_a_look_is_claimed_or_told_of_at_once<S: Watched>(world: World<S>) {
    for key in ["a", "b", "c"] {
        world.created(key).await;
    }
    assert_eq!(world.store.claim(2).await.unwrap().claims.len(), 2);
    world.created("d").await;
    let mut claimed = 0;
    loop {
        let more = world.store.claim(5).await.unwrap();
        claimed += more.claims.len();
        if more.next_due.is_none_or(|due| due > world.now()) {
            break;
        }
        assert!(
            !more.claims.is_empty(),
            "it tells of something and brings nothing"
        );
    }
    assert_eq!(claimed, 2);
}

async fn a_claim_tells_since_when_it_was_due<S: Watched>(world: World<S>) {
    let due = world.in_ms(10);
    let later = payment("later", world.now());
    world.store.create(&later, due).await.unwrap();
    world.pass(70);
    let claim = world.claim_one().await;
    assert_eq!(claim.fell_due, Some(due));
    // Whoever dies leaves it due when the lease ends.
    let lapses = world.in_ms(i64::try_from(LEASE_MS).unwrap());
    world.pass(LEASE_MS + 5);
    assert_eq!(world.claim_one().await.fell_due, Some(lapses));
}

async fn a_lapsed_lease_goes_to_another_and_the_first_is_lost<S: Watched>(world: World<S>) {
    let mut first = world.claimed("one").await;
    world.pass(LEASE_MS - 1);
    world.claim_none().await;
    world.pass(1);
    let mut second = world.claim_one().await;
    assert_ne!(first.key.nonce, second.key.nonce);
    let save = world.store.save(&mut first, Then::Rest(None)).await;
    assert!(matches!(save, Err(SaveError::Lost)));
    let keys = [first.key.clone(), second.key.clone()];
    assert_eq!(world.store.renew(&keys).await.unwrap(), [first.key.clone()]);
    world
        .store
        .give_back(&first.key, world.now(), Tried::Yes)
        .await
        .unwrap();
    world.claim_none().await;
    world.store.save(&mut second, Then::Keep).await.unwrap();
}

async fn a_renewed_lease_does_not_lapse<S: Watched>(world: World<S>) {
    let claim = world.claimed("one").await;
    for _ in 0..5 {
        world.pass(LEASE_MS - 1);
        assert!(
            world
                .store
                .renew(std::slice::from_ref(&claim.key))
                .await
                .unwrap()
                .is_empty()
        );
        world.claim_none().await;
    }
}

async fn a_save_needs_the_version_it_read<S: Watched>(world: World<S>) {
    let mut claim = world.claimed("one").await;
    world.park(&mut claim.payment);
    world.store.save(&mut claim, Then::Keep).await.unwrap();
    world.store.save(&mut claim, Then::Keep).await.unwrap();
    let stored = loaded(&world, &claim.key.id).await;
    assert_eq!((stored.version, stored.payment), (3, claim.payment.clone()));
    let missing = payment("missing", world.now());
    let stranger = Loaded {
        payment: missing,
        ..loaded(&world, &claim.key.id).await
    };
    let command = world.store.command(&stranger, None, None).await;
    assert!(matches!(command, Err(SaveError::Missing)));
}

async fn an_identical_repeat_is_answered_as_the_first<S: Watched>(world: World<S>) {
    let payment = world.created("one").await;
    let mut before = loaded(&world, payment.id()).await;
    command(&mut before, "stop", world.now());
    world
        .store
        .command(&before, Some(world.now()), None)
        .await
        .unwrap();
    world
        .store
        .command(&before, Some(world.now()), None)
        .await
        .unwrap();
    assert_eq!(loaded(&world, payment.id()).await.version, 2);
    command(&mut before, "stop again", world.now());
    let other = world.store.command(&before, Some(world.now()), None).await;
    assert!(matches!(other, Err(SaveError::Outdated)));
}

async fn a_keeping_repeat_is_lost_when_the_claim_is<S: Watched>(world: World<S>) {
    let mut claim = world.claimed("one").await;
    world.store.save(&mut claim, Then::Keep).await.unwrap();
    world.pass(LEASE_MS);
    let mut second = world.claim_one().await;
    let late = world.store.save(&mut claim, Then::Keep).await;
    assert!(matches!(late, Err(SaveError::Lost)));
    world
        .store
        .save(&mut second, Then::Rest(None))
        .await
        .unwrap();
    let later = world.store.save(&mut claim, Then::Keep).await;
    assert!(matches!(later, Err(SaveError::Lost)));
}

async fn a_claim_without_a_save_is_barren<S: Watched>(world: World<S>) {
    let mut claim = world.claimed("one").await;
    for barren in 2..5 {
        world.pass(LEASE_MS);
        claim = world.claim_one().await;
        assert_eq!(claim.barren, barren);
    }
    world
        .store
        .save(&mut claim, Then::Rest(Some(world.now())))
        .await
        .unwrap();
    assert_eq!(world.claim_one().await.barren, 1);
}

async fn what_was_not_tried_is_not_barren<S: Watched>(world: World<S>) {
    let mut claim = world.claimed("one").await;
    for (tried, barren) in [
        (Tried::Yes, 2),
        (Tried::No, 2),
        (Tried::No, 2),
        (Tried::Yes, 3),
    ] {
        world
            .store
            .give_back(&claim.key, world.now(), tried)
            .await
            .unwrap();
        claim = world.claim_one().await;
        assert_eq!(claim.barren, barren, "{tried:?}");
    }
}

async fn a_command_lets_the_holder_decide_again<S: Watched>(world: World<S>) {
    let mut claim = world.claimed("one").await;
    let mut asked = loaded(&world, &claim.key.id).await;
    command(&mut asked, "stop", world.now());
    world
        .store
        .command(&asked, Some(world.now()), None)
        .await
        .unwrap();
    world.claim_none().await;
    assert!(
        world
            .store
            .renew(std::slice::from_ref(&claim.key))
            .await
            .unwrap()
            .is_empty()
    );
    let outdated = world
        .store
        .save(&mut claim, Then::Rest(Some(world.in_ms(99))))
        .await;
    assert!(matches!(outdated, Err(SaveError::Outdated)));
    claim.refresh(loaded(&world, &claim.key.id).await);
    assert_eq!(claim.payment.commands().len(), 1);
    world.store.save(&mut claim, Then::Keep).await.unwrap();
}

async fn a_command_makes_an_unclaimed_payment_due<S: Watched>(world: World<S>) {
    let payment = payment("one", world.now());
    world
        .store
        .create(&payment, world.in_ms(60_000))
        .await
        .unwrap();
    let mut asked = loaded(&world, payment.id()).await;
    command(&mut asked, "stop", world.now());
    world
        .store
        .command(&asked, Some(world.now()), None)
        .await
        .unwrap();
    assert_eq!(world.claim_one().await.payment.commands().len(), 1);
    // A lease that has lapsed holds nothing.
    world.pass(LEASE_MS);
    let mut asked = loaded(&world, payment.id()).await;
    command(&mut asked, "stop again", world.now());
    world
        .store
        .command(&asked, Some(world.in_ms(500)), None)
        .await
        .unwrap();
    let stored = loaded(&world, payment.id()).await;
    assert_eq!(
        (stored.due, stored.claimed),
        (Some(world.in_ms(500)), false)
    );
}

async fn a_command_on_an_old_version_is_refused<S: Watched>(world: World<S>) {
    let mut claim = world.claimed("one").await;
    let mut asked = loaded(&world, &claim.key.id).await;
    world.store.save(&mut claim, Then::Keep).await.unwrap();
    command(&mut asked, "stop", world.now());
    let refused = world.store.command(&asked, None, None).await;
    assert!(matches!(refused, Err(SaveError::Outdated)));
    assert!(
        loaded(&world, &claim.key.id)
            .await
            .payment
            .commands()
            .is_empty()
    );
}

async fn a_nudge_makes_a_resting_payment_due<S: Watched>(world: World<S>) {
    let payment = adopted("one", world.now());
    world
        .store
        .create(&payment, world.in_ms(60_000))
        .await
        .unwrap();
    assert_eq!(world.store.nudge(payment.id()).await.unwrap(), Nudged::Due);
    assert_eq!(loaded(&world, payment.id()).await.nudges, 1);
    let claim = world.claim_one().await;
    assert_eq!(claim.key.id, *payment.id());
    assert_ne!(
        claim.payment, payment,
        "the payment knows that it was nudged"
    );
    // What has waited for long goes on waiting from then, not from now.
    let waiting = world.created("waiting").await;
    let since = world.now();
    world.pass(20);
    assert_eq!(world.store.nudge(waiting.id()).await.unwrap(), Nudged::Due);
    assert_eq!(loaded(&world, waiting.id()).await.due, Some(since));
}

async fn a_nudge_that_comes_while_a_command_is_decided_is_not_put_off<S: Watched>(world: World<S>) {
    let payment = payment("one", world.now());
    let later = world.in_ms(60_000);
    world.store.create(&payment, later).await.unwrap();
    let mut asked = loaded(&world, payment.id()).await;
    command(&mut asked, "first", world.now());
    assert_eq!(world.store.nudge(payment.id()).await.unwrap(), Nudged::Due);
    let given = world.store.command(&asked, Some(later), None).await;
    given.unwrap();
    assert!(loaded(&world, payment.id()).await.due <= Some(world.now()));
    let mut claim = world.claim_one().await;
    assert_eq!(claim.payment.commands().len(), 1, "what was asked stands");
    // What was known to whoever asked moves nothing: the door reckoned with it.
    let rest = Then::Rest(Some(later));
    world.store.save(&mut claim, rest).await.unwrap();
    let mut asked = loaded(&world, payment.id()).await;
    assert_eq!(asked.nudges, 1);
    command(&mut asked, "second", world.now());
    let given = world.store.command(&asked, Some(later), None).await;
    given.unwrap();
    assert_eq!(loaded(&world, payment.id()).await.due, Some(later));
}

async fn a_nudge_reaches_whoever_works_on_the_payment<S: Watched>(world: World<S>) {
    let mut claim = world.claimed("one").await;
    assert_eq!(
        world.store.nudge(&claim.key.id).await.unwrap(),
        Nudged::Busy
    );
    world.claim_none().await;
    let keep = world.store.save(&mut claim, Then::Keep).await.unwrap();
    assert_eq!(keep, Saved { nudged: true });
    let rest = world
        .store
        .save(&mut claim, Then::Rest(Some(world.in_ms(50))))
        .await
        .unwrap();
    assert_eq!(rest, Saved { nudged: false });
    assert_eq!(
        loaded(&world, &claim.key.id).await.due,
        Some(world.in_ms(50))
    );
    // A lapsed lease is due as it is.
    world.pass(50);
    let claim = world.claim_one().await;
    world.pass(LEASE_MS);
    assert_eq!(world.store.nudge(&claim.key.id).await.unwrap(), Nudged::Due);
    assert_eq!(world.claim_one().await.key.id, claim.key.id);
}

async fn a_nudge_during_the_turn_makes_the_rest_short<S: Watched>(world: World<S>) {
    let mut claim = world.claimed("one").await;
    world.store.nudge(&claim.key.id).await.unwrap();
    world.pass(3);
    let rest = world
        .store
        .save(&mut claim, Then::Rest(Some(world.in_ms(60_000))))
        .await;
    assert_eq!(rest.unwrap(), Saved { nudged: true });
    assert_eq!(world.claim_one().await.key.id, claim.key.id);
}

async fn a_nudge_of_what_is_finished_or_missing_changes_nothing<S: Watched>(world: World<S>) {
    let mut claim = world.claimed("one").await;
    world.fail(&mut claim.payment);
    world
        .store
        .save(&mut claim, Then::Rest(None))
        .await
        .unwrap();
    assert_eq!(
        world.store.nudge(&claim.key.id).await.unwrap(),
        Nudged::Finished
    );
    let missing = payment("missing", world.now());
    assert_eq!(
        world.store.nudge(missing.id()).await.unwrap(),
        Nudged::Missing
    );
    world.claim_none().await;
    assert_eq!(world.store.stats().await.unwrap().unfinished, 0);
}

async fn a_permit_is_handed_out_once_for_an_attempt<S: Watched>(world: World<S>) {
    let payment = adopted("one", world.now());
    world.store.create(&payment, world.now()).await.unwrap();
    let mut claim = world.claim_one().await;
    world.open(&mut claim);
    let permit = world.store.license(&mut claim).await.unwrap();
    assert_eq!(
        (permit.order().attempt, &permit.order().payment),
        (1, payment.id())
    );
    let stored = loaded(&world, payment.id()).await;
    assert!(stored.payment.open_attempt().is_some() && stored.claimed);
    let second = world.store.license(&mut claim).await;
    assert!(matches!(second, Err(SaveError::NothingToLicense)));
    claim.refresh(loaded(&world, payment.id()).await);
    let third = world.store.license(&mut claim).await;
    assert!(matches!(third, Err(SaveError::NothingToLicense)));
    world.pass(LEASE_MS);
    let mut heir = world.claim_one().await;
    let fourth = world.store.license(&mut heir).await;
    assert!(matches!(fourth, Err(SaveError::NothingToLicense)));
}

/// Whoever takes over from a worker that died after its call must know what to look up.
async fn what_a_permit_is_for_is_recorded_first<S: Watched>(world: World<S>) {
    let payment = adopted("one", world.now());
    world.store.create(&payment, world.now()).await.unwrap();
    let mut claim = world.claim_one().await;
    world.open(&mut claim);
    let permit = world.store.license(&mut claim).await.unwrap();
    world.pass(LEASE_MS);
    let heir = world.claim_one().await;
    let recorded = heir.payment.purchase().expect("its purchase is recorded");
    assert_eq!(recorded.id, permit.order().purchase);
    let open = heir.payment.open_attempt().expect("its call is recorded");
    assert_eq!(open.number, permit.order().attempt);
}

async fn no_permit_without_an_open_attempt<S: Watched>(world: World<S>) {
    let mut claim = world.claimed("one").await;
    let none = world.store.license(&mut claim).await;
    assert!(matches!(none, Err(SaveError::NothingToLicense)));
    assert_eq!(loaded(&world, &claim.key.id).await.version, 1);
}

async fn no_permit_for_a_claim_that_is_lost<S: Watched>(world: World<S>) {
    let payment = adopted("one", world.now());
    world.store.create(&payment, world.now()).await.unwrap();
    let mut claim = world.claim_one().await;
    world.pass(LEASE_MS);
    world.claim_one().await;
    world.open(&mut claim);
    assert!(matches!(
        world.store.license(&mut claim).await,
        Err(SaveError::Lost)
    ));
    world.pass(LEASE_MS);
    let mut told = world.claim_one().await;
    told.lost_mark()
        .store(true, std::sync::atomic::Ordering::Release);
    world.open(&mut told);
    assert!(matches!(
        world.store.license(&mut told).await,
        Err(SaveError::Lost)
    ));
    assert_eq!(
        loaded(&world, payment.id()).await.payment.attempts().len(),
        0
    );
}

async fn what_is_finished_leaves_the_due_index<S: Watched>(world: World<S>) {
    for (key, then) in [("rest", Then::Rest(None)), ("keep", Then::Keep)] {
        let mut claim = world.claimed(key).await;
        world.fail(&mut claim.payment);
        world.store.save(&mut claim, then).await.unwrap();
        let stored = loaded(&world, &claim.key.id).await;
        assert_eq!((stored.due, stored.claimed), (None, false));
        world.pass(LEASE_MS);
        world.claim_none().await;
        let mut again = loaded(&world, &claim.key.id).await;
        let key = IdempotencyKey::new("stop").unwrap();
        again
            .payment
            .command(key, Command::Cancel, world.now())
            .unwrap();
        world
            .store
            .command(&again, Some(world.now()), None)
            .await
            .unwrap();
        world.claim_none().await;
    }
}

async fn what_is_not_finished_stays_in_the_due_index<S: Watched>(world: World<S>) {
    let mut claim = world.claimed("one").await;
    let id = claim.key.id.clone();
    let unfinished = async || world.store.stats().await.unwrap().unfinished;
    world.store.save(&mut claim, Then::Keep).await.unwrap();
    assert_eq!(unfinished().await, 1);
    world
        .store
        .save(&mut claim, Then::Rest(None))
        .await
        .unwrap();
    assert_eq!(
        loaded(&world, &id).await.due,
        Some(world.now()),
        "without a time it is due now"
    );
    let mut claim = world.claim_one().await;
    world.park(&mut claim.payment);
    world
        .store
        .save(&mut claim, Then::Rest(Some(world.in_ms(10))))
        .await
        .unwrap();
    world.store.nudge(&id).await.unwrap();
    assert_eq!(unfinished().await, 1);
    let claim = world.claim_one().await;
    world
        .store
        .renew(std::slice::from_ref(&claim.key))
        .await
        .unwrap();
    world
        .store
        .give_back(&claim.key, world.in_ms(10), Tried::Yes)
        .await
        .unwrap();
    world
        .store
        .command(&loaded(&world, &id).await, None, None)
        .await
        .unwrap();
    assert_eq!(unfinished().await, 1);
    assert_eq!(loaded(&world, &id).await.due, Some(world.in_ms(10)));
}

async fn ids<S: Store>(world: &World<S>, state: StateName) -> Vec<PaymentId> {
    let page = world.store.list(&state.into(), None, 100).await.unwrap();
    page.payments
        .iter()
        .map(|found| found.payment.id().clone())
        .collect()
}

async fn the_state_index_follows<S: Watched>(world: World<S>) {
    let mut claim = world.claimed("one").await;
    let id = claim.key.id.clone();
    assert_eq!(ids(&world, StateName::New).await, std::slice::from_ref(&id));
    world.park(&mut claim.payment);
    world.store.save(&mut claim, Then::Keep).await.unwrap();
    assert!(ids(&world, StateName::New).await.is_empty());
    assert_eq!(
        ids(&world, StateName::Parked).await,
        std::slice::from_ref(&id)
    );
    world.fail(&mut claim.payment);
    world
        .store
        .save(&mut claim, Then::Rest(None))
        .await
        .unwrap();
    assert!(ids(&world, StateName::Parked).await.is_empty());
    assert_eq!(ids(&world, StateName::Failed).await, [id]);
}

async fn one_event_for_each_change_of_state<S: Watched>(world: World<S>) {
    let mut claim = world.claimed("one").await;
    world.store.save(&mut claim, Then::Keep).await.unwrap();
    world.park(&mut claim.payment);
    world.store.save(&mut claim, Then::Keep).await.unwrap();
    world.store.save(&mut claim, Then::Keep).await.unwrap();
    world.fail(&mut claim.payment);
    world
        .store
        .save(&mut claim, Then::Rest(None))
        .await
        .unwrap();
    let events = world.store.events_so_far().await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.state, event.version))
        .collect();
    assert_eq!(
        told,
        [
            (StateName::New, 1),
            (StateName::Parked, 3),
            (StateName::Failed, 5)
        ]
    );
    assert!(
        events
            .iter()
            .all(|event| event.payment == claim.key.id && event.at == world.now())
    );
}

async fn what_is_given_back_is_due_again<S: Watched>(world: World<S>) {
    let mut claim = world.claimed("one").await;
    world
        .store
        .give_back(&claim.key, world.in_ms(40), Tried::Yes)
        .await
        .unwrap();
    let stored = loaded(&world, &claim.key.id).await;
    assert_eq!((stored.due, stored.claimed), (Some(world.in_ms(40)), false));
    let save = world.store.save(&mut claim, Then::Keep).await;
    assert!(matches!(save, Err(SaveError::Lost)));
    world.claim_none().await;
    world.pass(40);
    assert_eq!(world.claim_one().await.key.id, claim.key.id);
}

async fn what_is_commanded_before_it_is_given_back_is_due_now<S: Watched>(world: World<S>) {
    let claim = world.claimed("commanded").await;
    let mut asked = loaded(&world, &claim.key.id).await;
    command(&mut asked, "stop", world.now());
    world
        .store
        .command(&asked, Some(world.now()), None)
        .await
        .unwrap();
    world
        .store
        .give_back(&claim.key, world.in_ms(60_000), Tried::Yes)
        .await
        .unwrap();
    let claim = world.claim_one().await;
    assert_eq!(claim.payment.commands().len(), 1);
    world
        .store
        .give_back(&claim.key, world.in_ms(60_000), Tried::Yes)
        .await
        .unwrap();
    world.claim_none().await;
    // What stirred an earlier claim does not stir a later one, which has seen it.
    world.pass(60_000);
    let first = world.claim_one().await;
    world.store.nudge(&first.key.id).await.unwrap();
    world.pass(LEASE_MS);
    let second = world.claim_one().await;
    world
        .store
        .give_back(&second.key, world.in_ms(60_000), Tried::Yes)
        .await
        .unwrap();
    world.claim_none().await;
}

async fn a_listing_goes_page_by_page_from_the_oldest<S: Watched>(world: World<S>) {
    let mut expected = Vec::new();
    for number in 0..25 {
        expected.push(world.created(&format!("key-{number}")).await.id().clone());
        world.pass(1);
    }
    let (found, pages) = all_of(&world, &StateName::New.into(), 10).await;
    assert_eq!((found, pages), (expected, 3));
    assert!(
        world
            .store
            .list(&StateName::Held.into(), None, 10)
            .await
            .unwrap()
            .payments
            .is_empty()
    );
}

async fn the_counts_are_right<S: Watched>(world: World<S>) {
    assert_eq!(world.store.stats().await.unwrap().next_due, None);
    let mut parked = world.claimed("parked").await;
    world.park(&mut parked.payment);
    world
        .store
        .save(&mut parked, Then::Rest(Some(world.in_ms(900))))
        .await
        .unwrap();
    let mut failed = world.claimed("failed").await;
    world.fail(&mut failed.payment);
    world
        .store
        .save(&mut failed, Then::Rest(None))
        .await
        .unwrap();
    world.claimed("worked on").await;
    world.created("waiting").await;
    world.created("waiting too").await;
    let stats = world.store.stats().await.unwrap();
    let by_state = [
        (StateName::New, 3),
        (StateName::Failed, 1),
        (StateName::Parked, 1),
    ];
    assert_eq!(stats.by_state, by_state);
    assert_eq!((stats.due_now, stats.unfinished), (2, 4));
    assert_eq!(stats.next_due, Some(world.now()));
}

async fn ten_thousand_at_once_are_all_claimed_once<S: Watched>(world: World<S>) {
    const ALL: usize = 10_000;
    const AT_ONCE: usize = 100;
    for first in (0..ALL).step_by(AT_ONCE) {
        let payments: Vec<_> = (first..first + AT_ONCE)
            .map(|n| payment(&format!("key-{n}"), world.now()))
            .collect();
        let creates = payments
            .iter()
            .map(|payment| world.store.create(payment, world.now()));
        for created in futures_util::future::join_all(creates).await {
            assert_eq!(created.unwrap(), Created::New);
        }
    }
    let claimer = |slots: usize| {
        let store = world.store.clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claims = store.claim(slots).await.unwrap();
                let nothing = claims.claims.is_empty();
                mine.extend(claims.claims.into_iter().map(|claim| claim.key.id));
                if nothing
                    && claims
                        .next_due
                        .is_none_or(|due| due > super::world::start())
                {
                    return mine;
                }
            }
        })
    };
    let claimers = [1, 7, 64, 300].map(claimer);
    let mut found = Vec::new();
    for claimer in claimers {
        found.extend(claimer.await.unwrap());
    }
    let distinct: HashSet<_> = found.iter().collect();
    assert_eq!((found.len(), distinct.len()), (ALL, ALL));
    assert_eq!(world.store.stats().await.unwrap().due_now, 0);
}

async fn a_create_wakes_whoever_waits<S: Watched>(world: World<S>) {
    let bound = std::time::Duration::from_secs(10);
    // The first wake-up may come from listening itself.
    for key in ["one", "two"] {
        let woken = world.store.woken();
        world.created(key).await;
        tokio::time::timeout(bound, woken)
            .await
            .expect("it was woken");
    }
}

/// All that is listed, and on how many pages.
async fn all_of<S: Watched>(world: &World<S>, by: &By, limit: usize) -> (Vec<PaymentId>, usize) {
    let (mut found, mut cursor, mut pages) = (Vec::new(), None::<Cursor>, 0);
    loop {
        let page = world.store.list(by, cursor.as_ref(), limit).await.unwrap();
        found.extend(page.payments.iter().map(|l| l.payment.id().clone()));
        pages += 1;
        match page.next {
            Some(next) => cursor = Some(Cursor::from_text(next.as_str()).unwrap()),
            None => return (found, pages),
        }
    }
}

async fn what_is_called_alike_is_listed_for_each_account_whatever_its_state<S: Watched>(
    world: World<S>,
) {
    let mut alike = Vec::new();
    for number in 0..5 {
        for (account, reference) in [("main", "a:b"), ("main", "a"), ("other", "a:b")] {
            let key = format!("{account} {reference} {number}");
            let payment = called(&key, account, reference, world.now());
            world.store.create(&payment, world.now()).await.unwrap();
            if (account, reference) == ("main", "a:b") {
                alike.push(payment.id().clone());
            }
            world.pass(1);
        }
    }
    world.created("without").await;
    let mut claim = world.claim_one().await;
    world.fail(&mut claim.payment);
    world
        .store
        .save(&mut claim, Then::Rest(None))
        .await
        .unwrap();
    let account = AccountName::new("main").unwrap();
    let by = By::Reference(account.clone(), Reference::new("a:b").unwrap());
    assert_eq!(all_of(&world, &by, 2).await, (alike, 3));
    let none = By::Reference(account, Reference::new("b").unwrap());
    assert_eq!(all_of(&world, &none, 2).await, (Vec::new(), 1));
}

async fn what_is_due_before_a_time_is_listed_the_earliest_first<S: Watched>(world: World<S>) {
    let (mut early, mut together) = (Vec::new(), HashSet::new());
    for number in 0..40 {
        let payment = payment(&format!("together-{number}"), world.now());
        world
            .store
            .create(&payment, world.in_ms(5_000))
            .await
            .unwrap();
        together.insert(payment.id().clone());
    }
    for number in 0..3 {
        let payment = payment(&format!("early-{number}"), world.now());
        let due = world.in_ms(1_000 * (number + 1));
        world.store.create(&payment, due).await.unwrap();
        early.push(payment.id().clone());
    }
    let until = |ms: i64| By::Due(world.in_ms(ms));
    assert_eq!(
        all_of(&world, &until(3_000), 10).await,
        (early[..2].to_vec(), 1)
    );
    let (found, pages) = all_of(&world, &until(5_001), 7).await;
    assert_eq!((&found[..3], pages), (&early[..], 7));
    assert_eq!(found[3..].iter().cloned().collect::<HashSet<_>>(), together);
    assert_eq!(found.len(), 43, "one is listed twice");
}
