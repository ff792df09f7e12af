//! Everything outside the processes: the time, the store, the gateway, and who keeps the score.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use chip_sandbox::{Account as At, Behaviour, Config, Engine, WebhookConfig};
use chrono::TimeDelta;
use holdfast::clock::Clock;
use holdfast::gateway::Account;
use holdfast::payment::{
    AccountName, CommandAnswer, IdempotencyKey, Payment, PaymentId, StateName, Timestamp,
};
use holdfast::store::memory::{MemoryStore, Trouble};
use holdfast::worker::Policies;
use tokio::sync::Notify;
use tokio::time::{Duration, sleep};

use crate::cells::{Cell, Cells};
use crate::dice::{Dice, word};
use crate::durable::Durable;
use crate::halts::Halts;
use crate::plan::{Charges, FaultId, Plan};
use crate::points::Watch;
use crate::policy::{self, COMPANIES, HOLD_MS, LEASE_MS};
use crate::sends::Sends;
use crate::trace::{Keep, Trace};

/// When every run begins.
const START_MS: i64 = 1_800_000_000_000;
/// So many problems are enough.
const MOST_PROBLEMS: usize = 12;

/// The world of one run.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) clock: Clock,
    pub(crate) store: MemoryStore,
    pub(crate) policies: Policies,
    pub(crate) accounts: BTreeMap<AccountName, Account>,
    pub(crate) durable: Durable,
    pub(crate) sends: Sends,
    pub(crate) halts: Halts,
    pub(crate) written: Notify,
    pub(crate) gateway_moved: Notify,
    engine: Mutex<Engine>,
    score: Mutex<Score>,
    quiet: AtomicBool,
    outage: AtomicBool,
    forgetful: AtomicBool,
    on_the_way: AtomicU64,
    /// The next call on the store is done, and its answer lost.
    reply_lost: Arc<AtomicBool>,
    /// Who counts and strikes the I/Os of a flow; nobody where a seed decides.
    pub(crate) watch: OnceLock<Watch>,
}

/// What is kept count of.
struct Score {
    trace: Trace,
    cells: Cells,
    problems: Vec<String>,
    faults: Vec<FaultId>,
    /// Which payment met what.
    met_by: Vec<(u64, Cell)>,
    names: BTreeMap<String, u64>,
    purchases: BTreeMap<String, u64>,
    commanded: Vec<(PaymentId, IdempotencyKey, CommandAnswer)>,
    turns: BTreeMap<(u64, u64), u64>,
    movements_seen: usize,
}

/// What a run came to.
pub(crate) struct Told {
    pub(crate) digest: u64,
    pub(crate) events: u64,
    pub(crate) lines: Vec<String>,
    pub(crate) cells: Cells,
    pub(crate) problems: Vec<String>,
    pub(crate) faults: Vec<FaultId>,
}

impl World {
    /// A world of its own in the present runtime, whose time must be simulated.
    pub(crate) fn new(plan: Plan, keep: Keep) -> anyhow::Result<Arc<Self>> {
        let start = holdfast::clock::from_millis(START_MS).unwrap_or_default();
        let clock = Clock::starting_at(start);
        let store = MemoryStore::seeded(clock.clone(), LEASE_MS, plan.seed);
        let reply_lost = Arc::new(AtomicBool::new(false));
        let lost = Arc::clone(&reply_lost);
        store.disturb(move |_| {
            let lost = lost.swap(false, Ordering::Relaxed);
            lost.then_some(Trouble::ReplyLost)
        });
        store.replicate();
        let config = Config {
            behaviour: behaviour(&plan),
            accounts: COMPANIES
                .iter()
                .map(|company| At::new(company.name, company.key, company.brand))
                .collect(),
            webhooks: (0..COMPANIES.len()).map(webhook).collect(),
            keep_requests: false,
            ..Config::default()
        };
        let engine = Engine::new(&config, "http://gateway.simulated", plan.seed, START_MS);
        Ok(Arc::new(Self {
            policies: policy::policies(&plan),
            accounts: policy::accounts()?,
            plan,
            clock,
            store,
            durable: Durable::default(),
            sends: Sends::default(),
            halts: Halts::default(),
            written: Notify::new(),
            gateway_moved: Notify::new(),
            engine: Mutex::new(engine),
            score: Mutex::new(Score {
                trace: Trace::new(keep),
                cells: Cells::default(),
                problems: Vec::new(),
                faults: Vec::new(),
                met_by: Vec::new(),
                names: BTreeMap::new(),
                purchases: BTreeMap::new(),
                commanded: Vec::new(),
                turns: BTreeMap::new(),
                movements_seen: 0,
            }),
            quiet: AtomicBool::new(false),
            outage: AtomicBool::new(false),
            forgetful: AtomicBool::new(false),
            on_the_way: AtomicU64::new(0),
            reply_lost,
            watch: OnceLock::new(),
        }))
    }

    fn score(&self) -> MutexGuard<'_, Score> {
        self.score.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.now().timestamp_millis()
    }

    /// The time as a request writes it, that much later.
    pub(crate) fn written_time(&self, after_ms: u64) -> String {
        let time = self.now() + TimeDelta::milliseconds(after_ms.cast_signed());
        time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    }

    /// Does something at the gateway, now.
    pub(crate) fn engine<T>(&self, work: impl FnOnce(&mut Engine, i64) -> T) -> T {
        let now_ms = self.now_ms();
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut engine, now_ms)
    }

    /// Writes a line.
    pub(crate) fn note(&self, who: &str, what: fmt::Arguments<'_>) {
        let at_ms = self.now_ms() - START_MS;
        self.score().trace.note(at_ms, who, what);
    }

    /// A promise was broken.
    pub(crate) fn problem(&self, what: &str) {
        self.note("!!", format_args!("{what}"));
        let mut score = self.score();
        let known = score.problems.iter().any(|problem| problem == what);
        if !known && score.problems.len() < MOST_PROBLEMS {
            score.problems.push(what.to_owned());
        }
    }

    pub(crate) fn hit(&self, cell: Cell) {
        self.score().cells.hit(cell);
    }

    /// A number for a payment, in the order of appearance.
    pub(crate) fn number(&self, id: &PaymentId) -> u64 {
        let mut score = self.score();
        let next = score.names.len() as u64;
        *score.names.entry(id.as_str().to_owned()).or_insert(next)
    }

    /// Gives a payment the number under which it was asked for.
    pub(crate) fn name(&self, id: &PaymentId, number: u64) {
        self.score()
            .names
            .entry(id.as_str().to_owned())
            .or_insert(number);
    }

    /// Takes note of a payment's purchase, so that calls about it can be told by its number.
    pub(crate) fn name_purchase(&self, payment: &Payment) {
        if let Some(known) = payment.purchase() {
            let number = self.number(payment.id());
            let id = known.id.as_str().to_owned();
            self.score().purchases.entry(id).or_insert(number);
        }
    }

    /// The number of the payment that a purchase is for, if it is recorded.
    pub(crate) fn number_of_purchase(&self, purchase: &str) -> Option<u64> {
        self.score().purchases.get(purchase).copied()
    }

    /// The number of a payment that was asked for.
    pub(crate) fn known(&self, id: &PaymentId) -> Option<u64> {
        self.score().names.get(id.as_str()).copied()
    }

    pub(crate) fn dice(&self, name: &str, parts: &[u64]) -> Dice {
        Dice::of(self.plan.seed, name, parts)
    }

    /// The dice for the next decision of its kind about a subject.
    pub(crate) fn next_dice(&self, name: &'static str, subject: u64) -> (Dice, FaultId) {
        let turn = {
            let mut score = self.score();
            let turn = score.turns.entry((word(name), subject)).or_default();
            *turn += 1;
            *turn
        };
        self.dice_for(name, &[subject, turn])
    }

    /// The dice of one decision, and its name.
    pub(crate) fn dice_for(&self, name: &str, parts: &[u64]) -> (Dice, FaultId) {
        (self.dice(name, parts), Dice::of(0, name, parts).next())
    }

    /// Whether something may go wrong here: not once it is quiet, and not if it is spared.
    pub(crate) fn may_strike(&self, id: FaultId) -> bool {
        !self.is_quiet() && !self.plan.spared.contains(&id)
    }

    /// Something goes wrong.
    pub(crate) fn struck(&self, id: FaultId, cell: Cell) {
        let mut score = self.score();
        score.faults.push(id);
        score.cells.hit(cell);
    }

    /// Something goes wrong with a call about a payment.
    pub(crate) fn struck_at(&self, payment: u64, id: FaultId, cell: Cell) {
        self.struck(id, cell);
        self.score().met_by.push((payment, cell));
    }

    /// Takes note of how a payment ended.
    pub(crate) fn ended(&self, id: &PaymentId, state: StateName) {
        let number = self.number(id);
        let mut score = self.score();
        let Score { met_by, cells, .. } = &mut *score;
        for (_, cell) in met_by.iter().filter(|(payment, _)| *payment == number) {
            cells.ended(*cell, state);
        }
    }

    /// Whether that went wrong at least once.
    pub(crate) fn was_hit(&self, fault: &str) -> bool {
        let score = self.score();
        let mut hit = score.cells.iter().filter(|(_, count)| *count > 0);
        hit.any(|((_, of), _)| of == fault)
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Relaxed)
    }

    /// From now on nothing goes wrong any more.
    pub(crate) fn fall_quiet(&self) {
        self.quiet.store(true, Ordering::Relaxed);
        self.store.fall_short(None);
        self.set_forgetful(false);
        self.set_outage(false);
        self.note("world", format_args!("nothing goes wrong any more"));
    }

    pub(crate) fn is_out(&self) -> bool {
        self.outage.load(Ordering::Relaxed)
    }

    pub(crate) fn set_outage(&self, out: bool) {
        self.outage.store(out, Ordering::Relaxed);
    }

    /// Whether a store that has fallen short would lose what is written now.
    pub(crate) fn is_forgetful(&self) -> bool {
        self.forgetful.load(Ordering::Relaxed)
    }

    pub(crate) fn set_forgetful(&self, forgetful: bool) {
        self.forgetful.store(forgetful, Ordering::Relaxed);
    }

    /// The next call on the store is done, and whoever made it does not know.
    pub(crate) fn lose_next_reply(&self) {
        self.reply_lost.store(true, Ordering::Relaxed);
    }

    pub(crate) fn sent_off(&self) {
        self.on_the_way.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn arrived(&self) {
        self.on_the_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many messages are under way.
    pub(crate) fn on_the_way(&self) -> u64 {
        self.on_the_way.load(Ordering::Relaxed)
    }

    /// A command was answered.
    pub(crate) fn commanded(&self, id: &PaymentId, key: &IdempotencyKey, answer: CommandAnswer) {
        let told = (id.clone(), key.clone(), answer);
        self.score().commanded.push(told);
    }

    /// What was answered to the commands for a payment.
    pub(crate) fn commands_of(&self, id: &PaymentId) -> Vec<(IdempotencyKey, CommandAnswer)> {
        let score = self.score();
        let theirs = score.commanded.iter().filter(|(of, ..)| of == id);
        theirs
            .map(|(_, key, answer)| (key.clone(), *answer))
            .collect()
    }

    /// Moves that were not looked at yet: their number is forgotten.
    pub(crate) fn new_movements(&self, all: usize) -> std::ops::Range<usize> {
        let mut score = self.score();
        let seen = score.movements_seen;
        score.movements_seen = all;
        seen..all
    }

    pub(crate) fn tell(&self) -> Told {
        let mut score = self.score();
        Told {
            digest: score.trace.digest(),
            events: score.trace.events(),
            lines: score.trace.take_lines(),
            cells: std::mem::take(&mut score.cells),
            problems: std::mem::take(&mut score.problems),
            faults: std::mem::take(&mut score.faults),
        }
    }
}

/// Each company has its own webhook.
fn webhook(account: usize) -> WebhookConfig {
    let url = format!("http://shop.simulated/{}", COMPANIES[account].name);
    WebhookConfig {
        account,
        ..WebhookConfig::all(&url)
    }
}

fn behaviour(plan: &Plan) -> Behaviour {
    let mut dice = Dice::of(plan.seed, "behaviour", &[]);
    let slow = plan.acquirer_ms;
    let weak = plan.charges == Charges::Concurrent;
    Behaviour {
        charge_ms: dice.between(slow / 2, slow),
        capture_ms: dice.between(50, slow),
        release_ms: dice.between(50, slow),
        serialises_charges: plan.charges == Charges::Serialised,
        serialises_captures: plan.charges == Charges::Serialised,
        cancel_races_charge: plan.charges == Charges::Concurrent,
        charges_after_error: dice.in_1000(if weak { 500 } else { 1_000 }),
        lists_failed_captures: dice.in_1000(if weak { 500 } else { 1_000 }),
        paid_without_payment_ms: if weak { *dice.pick(&[0, 0, 20_000]) } else { 0 },
        // Now and then a hold lapses much earlier than the shop was told.
        hold_lifetime_ms: Some(*dice.pick(&[HOLD_MS, HOLD_MS, HOLD_MS, HOLD_MS / 10])),
        wrong_status_http: *dice.pick(&[400, 409]),
        ..Behaviour::default()
    }
}

/// Waits in virtual time.
pub(crate) async fn rest(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}
