//! What people have stopped, and what workers say of themselves: the product's gate stands before
//! every call, and once a stop stands nothing leaves that it covers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdfast::clock::Clock;
use holdfast::operate::switches::{is_lost, lives};
use holdfast::payment::{AccountName, Ask, MoneyOrder, Payment, Timestamp, millis};
use holdfast::store::switches::{Outgoing, Switch, SwitchName, Switches, WorkerNote};
use holdfast::worker::gate::Gate;

use crate::dice::Dice;
use crate::policy::{COMPANIES, DEADLINES};
use crate::process::Process;
use crate::world::{World, rest};

/// The longest that a worker takes from one reading to the next.
const READS_EVERY_MS: u64 = 1_000;
/// How often it is looked whether a stop stands.
const LOOKS_EVERY_MS: u64 = 500;

/// What is stopped, who has seen it, and whether it stands.
#[derive(Default)]
pub(crate) struct Halts {
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    switches: Switches,
    notes: BTreeMap<String, WorkerNote>,
    stands: bool,
}

impl Halts {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A gate that knows what is stopped, for a worker that starts now.
    pub(crate) fn gate(&self, name: &str, clock: &Clock) -> Gate {
        let mut book = self.book();
        let now = clock.now();
        let gate = Gate::watched(now, DEADLINES, book.switches.clone());
        book.note(name, &gate, now);
        gate
    }

    /// A worker ended as it should: nobody waits for it any more.
    pub(crate) fn forget(&self, name: &str) {
        self.book().notes.remove(name);
    }

    /// Why this call must not leave, if a stop stands that covers it.
    pub(crate) fn forbid(&self, payment: &Payment, order: &MoneyOrder) -> Option<&'static str> {
        let book = self.book();
        let kind = match payment.request().ask {
            Ask::Authorize(_) => "authorize",
            Ask::SaveCard(_) => "save_card",
            Ask::Charge(_) => "charge",
            Ask::Adopt(_) => "adopt",
        };
        let call = Outgoing {
            account: &order.account,
            kind,
            step: order.call.as_str(),
            deadline: millis(DEADLINES.longest_ms()),
        };
        // Nothing depends on when a worker started: nobody drains here.
        let started = Timestamp::UNIX_EPOCH;
        let stopped = book.switches.stops(call, started, started);
        (book.stands && stopped.is_some()).then_some("though it is stopped, and that stands")
    }
}

impl Book {
    fn note(&mut self, name: &str, gate: &Gate, now: Timestamp) {
        let Some((started, switches, under_way)) = gate.standing() else {
            return;
        };
        let note = WorkerNote {
            started,
            seen: now,
            program: String::new(),
            switches,
            concurrency: 1,
            under_way,
            longest_call_ms: gate.longest_call_ms(),
        };
        self.notes.insert(name.to_owned(), note);
    }

    fn set(&mut self, name: Option<SwitchName>, now: Timestamp) {
        self.switches.version += 1;
        self.stands = false;
        self.switches.set.clear();
        if let Some(name) = name {
            let switch = Switch {
                since: now,
                actor: "person".to_owned(),
                reason: "simulation".to_owned(),
                until: None,
            };
            self.switches.set.insert(name, switch);
        }
    }

    /// As people are told: every worker has seen it, and none is left that may still send.
    fn is_seen(&self, now: Timestamp) -> bool {
        self.notes.values().all(|note| {
            let behind = lives(note, now) && note.switches < self.switches.version;
            !behind && !is_lost(note, now)
        })
    }
}

/// Reads what is stopped for a gate, and says so, for as long as the process lives.
pub(crate) async fn attend(
    world: Arc<World>,
    process: Arc<Process>,
    (gate, clock): (Gate, Clock),
    mut dice: Dice,
) {
    let reading = async {
        loop {
            rest(dice.between(200, READS_EVERY_MS)).await;
            process.running().await;
            let asked = clock.now();
            rest(1).await;
            if world.is_out() {
                continue;
            }
            let found = world.halts.book().switches.clone();
            rest(1).await;
            process.running().await;
            gate.learn(found, asked);
            world.halts.book().note(&process.name, &gate, clock.now());
        }
    };
    process.outlived(reading).await;
}

/// Stops something now and then, and lets it go on.
pub(crate) async fn halt_some(world: Arc<World>) {
    for number in 0.. {
        let (mut dice, id) = world.dice_for("halts", &[number]);
        rest(dice.between(20_000, 200_000)).await;
        if world.is_quiet() {
            return;
        }
        if world.may_strike(id) {
            let name = some_switch(&mut dice);
            world.struck(id, ("person", "stops"));
            world.note("person", format_args!("{name} is stopped"));
            world.halts.book().set(Some(name), world.now());
            until_let_go(&world, dice.between(1_000, 120_000)).await;
            world.note("person", format_args!("it goes on"));
            world.halts.book().set(None, world.now());
        }
    }
}

async fn until_let_go(world: &World, for_ms: u64) {
    let until_ms = world.now_ms() + for_ms.cast_signed();
    while world.now_ms() < until_ms && !world.is_quiet() {
        rest(LOOKS_EVERY_MS).await;
        let mut book = world.halts.book();
        if !book.stands && book.is_seen(world.now()) {
            book.stands = true;
            drop(book);
            world.hit(("person", "sees_it_stand"));
            world.note("person", format_args!("it stands"));
        }
    }
}

fn some_switch(dice: &mut Dice) -> SwitchName {
    let account = dice.pick(&COMPANIES).name;
    let step = *dice.pick(&["charge", "capture", "release", "cancel"]);
    let kind = *dice.pick(&["authorize", "charge", "adopt"]);
    match dice.below(4) {
        0 => SwitchName::All,
        1 => AccountName::new(account).map_or(SwitchName::All, SwitchName::Account),
        2 => SwitchName::Step(step),
        _ => SwitchName::Kind(kind),
    }
}
