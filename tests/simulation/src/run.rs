//! One run: everything that happens in the world of one seed, and what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use holdfast::payment::{Payment, Progress, ResolvedHow, State, StateName};
use holdfast::store::Store;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::actors::producers::Acknowledged;
use crate::actors::workers::{self, Fleet};
use crate::actors::{operator, payers, producers, replicas, settlers};
use crate::asks::Asks;
use crate::cells::Cells;
use crate::halts;
use crate::oracle;
use crate::plan::{FaultId, Plan};
use crate::policy::{DRAINED_AFTER_MS, SETTLED_AFTER_MS};
use crate::trace::Keep;
use crate::webhooks;
use crate::world::{Told, World, rest};

/// How often it is looked whether all is settled, in milliseconds.
const LOOK_EVERY_MS: u64 = 10_000;

/// What became of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The promises that were broken; empty when all is well.
    pub problems: Vec<String>,
    /// What happened, one line an event, if lines were kept.
    pub lines: Vec<String>,
    /// The same for the same plan, always.
    pub digest: u64,
    /// How many events there were.
    pub events: u64,
    /// The faults that struck.
    pub faults: Vec<FaultId>,
    /// Where they struck.
    pub cells: Cells,
    /// How many payments ended in each state; parked ones by reason.
    pub states: BTreeMap<String, u64>,
    /// How many payments' money was taken more than once.
    pub doubles: u64,
    /// How often a worker was killed, paused and told to end.
    pub workers: [u64; 3],
    /// How much virtual time went by, in milliseconds.
    pub lasted_ms: i64,
}

/// Runs a plan.
pub fn run(plan: Plan, keep: Keep) -> anyhow::Result<Outcome> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(live(plan, keep))
}

struct Cast {
    fleet: Arc<Fleet>,
    known: Arc<Acknowledged>,
    end: CancellationToken,
    workers: JoinSet<()>,
    producers: JoinSet<()>,
    others: JoinSet<()>,
}

async fn live(plan: Plan, keep: Keep) -> anyhow::Result<Outcome> {
    let world = World::new(plan, keep)?;
    let asks = Arc::new(Asks::prepare(&world)?);
    let start_ms = world.now_ms();
    let mut cast = enter(&world, &asks);
    rest(world.plan.trouble_ms).await;
    world.fall_quiet();
    settle(&world, &mut cast).await;
    for key in ["look", "look-again"] {
        operator::look_at_the_parked(&world, key).await;
        rest(2 * LOOK_EVERY_MS).await;
        until_settled(&world, &cast.fleet).await;
    }
    settlers::settle_the_parked(&world).await;
    until_settled(&world, &cast.fleet).await;
    drain(&world).await;
    // What came in late may have brought a payment back to life.
    until_settled(&world, &cast.fleet).await;
    leave(&world, &mut cast).await;
    let kills = cast.fleet.kills.load(Ordering::Relaxed);
    oracle::check_all(&world, &cast.known.all(), kills).await;
    Ok(told(&world, &cast, start_ms))
}

fn enter(world: &Arc<World>, asks: &Arc<Asks>) -> Cast {
    let mut cast = Cast {
        fleet: Arc::default(),
        known: Arc::default(),
        end: CancellationToken::new(),
        workers: JoinSet::new(),
        producers: JoinSet::new(),
        others: JoinSet::new(),
    };
    let here = || Arc::clone(world);
    cast.others.spawn(webhooks::keep_time(here()));
    cast.others.spawn(replicas::catch_up(here()));
    cast.others.spawn(replicas::suffer(here()));
    cast.others.spawn(payers::pay(here()));
    cast.others
        .spawn(operator::command_some(here(), Arc::clone(&cast.known)));
    cast.others.spawn(settlers::settle_some(here()));
    cast.others.spawn(halts::halt_some(here()));
    cast.others
        .spawn(operator::kill_a_card(here(), Arc::clone(asks)));
    let (known, asks) = (Arc::clone(&cast.known), Arc::clone(asks));
    cast.producers
        .spawn(producers::ask_all(here(), known, asks));
    for slot in 1..=world.plan.workers {
        let (fleet, end) = (Arc::clone(&cast.fleet), cast.end.clone());
        cast.workers.spawn(workers::keep(here(), fleet, slot, end));
    }
    cast
}

/// All that was asked for is acknowledged, and comes to its end in time.
async fn settle(world: &Arc<World>, cast: &mut Cast) {
    let acknowledged = timeout(Duration::from_secs(600), cast.producers.join_next());
    if acknowledged.await.is_err() {
        world.problem("a producer is not answered");
    }
    until_settled(world, &cast.fleet).await;
}

/// Nothing is under way, and no worker sleeps that could still say that a call was never made.
async fn until_settled(world: &Arc<World>, fleet: &Fleet) {
    let mut waited_ms = 0;
    while fleet.asleep.load(Ordering::Relaxed) > 0 || is_under_way(world).await {
        rest(LOOK_EVERY_MS).await;
        waited_ms += LOOK_EVERY_MS;
        if waited_ms > SETTLED_AFTER_MS {
            // Which ones are named when the books are compared.
            return world.problem("something is under way long after all went well again");
        }
    }
}

/// Whether a payment is neither finished nor parked, or parked and to be looked at now, as all workers
/// may be standing still just when somebody asks for that; or people's word of it waits for a look.
async fn is_under_way(world: &World) -> bool {
    let stats = world.store.stats().await.unwrap_or_default();
    let busy = |name: StateName| !name.is_finished() && name != StateName::Parked;
    let mut counts = stats.by_state.iter();
    if counts.any(|(name, count)| busy(*name) && *count > 0) {
        return true;
    }
    let now = world.now();
    let is_due = |payment: &Payment| {
        let policy = world.policies.get(&payment.request().account);
        let due = policy.and_then(|policy| payment.due(now, policy));
        due.is_some_and(|due| due <= now)
    };
    let has_word = |payment: &Payment| {
        let said = payment.resolution();
        said.is_some_and(|said| said.progress == Progress::Wanted)
    };
    let all = world.store.all();
    let mut parked = all.iter().filter(|l| !l.payment.is_finished());
    stats.next_due.is_some_and(|due| due <= now)
        || parked.any(|l| is_due(&l.payment) || has_word(&l.payment))
}

/// Waits until nothing is on its way any more, however late it is.
async fn drain(world: &Arc<World>) {
    let mut waited_ms = 0;
    while world.on_the_way() > 0 && waited_ms <= 2 * DRAINED_AFTER_MS {
        rest(LOOK_EVERY_MS).await;
        waited_ms += LOOK_EVERY_MS;
    }
    if world.on_the_way() > 0 {
        world.problem("something is on its way for ever");
    }
}

async fn leave(world: &Arc<World>, cast: &mut Cast) {
    cast.end.cancel();
    while let Some(left) = cast.workers.join_next().await {
        if let Err(error) = left {
            world.problem(&format!("who keeps a worker panicked: {error}"));
        }
    }
    while let Some(left) = cast.others.try_join_next() {
        if let Err(error) = left {
            world.problem(&format!("an actor panicked: {error}"));
        }
    }
}

fn told(world: &Arc<World>, cast: &Cast, start_ms: i64) -> Outcome {
    let mut states = BTreeMap::new();
    let mut doubles = 0;
    for loaded in world.store.all() {
        let state = loaded.payment.state();
        let name = match (state, loaded.payment.resolved()) {
            (State::Parked { reason, .. }, _) => format!("parked: {reason:?}"),
            (state, None) => state.name().to_string(),
            (state, Some(ResolvedHow::AsShown)) => format!("{}: as people took it", state.name()),
            (state, Some(ResolvedHow::ByHand)) => format!("{}: as people stated", state.name()),
        };
        *states.entry(name).or_default() += 1;
        world.ended(loaded.payment.id(), loaded.payment.state().name());
        let line =
            world.engine(|engine, _| holdfast_rig::compare(loaded.payment, engine.ledger(), true));
        doubles += u64::from(line.ledger.takes > 1 || line.ledger.holds > 1);
    }
    let fleet = &cast.fleet;
    let count = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed);
    let lasted_ms = world.now_ms() - start_ms;
    let Told {
        digest,
        events,
        lines,
        cells,
        problems,
        faults,
    } = world.tell();
    Outcome {
        problems,
        lines,
        digest,
        events,
        faults,
        cells,
        states,
        doubles,
        workers: [
            count(&fleet.kills),
            count(&fleet.pauses),
            count(&fleet.stops),
        ],
        lasted_ms,
    }
}
