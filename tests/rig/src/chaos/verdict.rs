//! What is wrong when all has settled: the sandbox's ledger is the judge.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use anyhow::Context;
use chip_sandbox::{Ledger, Sandbox};
use holdfast::payment::{IdempotencyKey, ParkReason, Payment, PaymentId, State, Verdict};
use holdfast::store::Store;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Manners;
use super::ground::{Ground, Told};
use super::settle::patiently;
use crate::books::{compare, found};
use crate::rest::unrest;

/// How many payments are read at a time.
const AT_ONCE: usize = 64;

/// How the books compare.
#[derive(Default)]
pub(super) struct Books {
    /// How many payments ended in each state, parked ones by reason.
    pub(super) states: BTreeMap<String, u64>,
    /// How many payments' money moved more than once.
    pub(super) moved_twice: u64,
    pub(super) problems: Vec<String>,
    /// What it cost that Redis lost what it had answered, by kind.
    pub(super) cost: BTreeMap<String, u64>,
    /// Purchases and cards, which no log may name.
    pub(super) ids: HashSet<Uuid>,
    explained: BTreeSet<u64>,
}

/// Compares everything that was told with what is recorded, and both with the ledger.
pub(super) async fn judge(ground: &Arc<Ground>) -> anyhow::Result<Books> {
    let mut told = std::mem::take(&mut *ground.told());
    let ledger = ground.sandbox.ledger();
    let mut books = Books::default();
    let mut commands: HashMap<&PaymentId, Vec<&IdempotencyKey>> = HashMap::new();
    for (id, key) in &told.commands {
        commands.entry(id).or_default().push(key);
    }
    for ids in told.payments.chunks(AT_ONCE) {
        for payment in load(ground, ids, &mut books.problems).await? {
            let kept = payment.commands();
            for key in commands.get(payment.id()).into_iter().flatten() {
                if !kept.iter().any(|entry| entry.key == **key) {
                    let id = payment.id();
                    let key = key.as_str();
                    let lost = format!("{id}: a command was answered, and is lost ({key})");
                    books.problems.push(lost);
                }
            }
            if let Some(end) = told.ends.get(payment.id())
                && end != payment.state()
            {
                let (id, now) = (payment.id(), payment.state());
                books
                    .problems
                    .push(format!("{id}: it was reported {end:?}, and is {now:?}"));
            }
            books.enter(ground, payment, &ledger);
        }
    }
    books.strays(ground, &ledger);
    books
        .problems
        .extend(patiently(|| unrest(&ground.store, &told.payments)).await?);
    books.problems.append(&mut told.broken);
    books.set_apart(&told);
    Ok(books)
}

async fn load(
    ground: &Arc<Ground>,
    ids: &[PaymentId],
    problems: &mut Vec<String>,
) -> anyhow::Result<Vec<Payment>> {
    let mut loading = JoinSet::new();
    for id in ids {
        let (ground, id) = (Arc::clone(ground), id.clone());
        loading.spawn(async move {
            let loaded = patiently(|| ground.store.load(&id)).await;
            (loaded, id)
        });
    }
    let mut payments = Vec::new();
    while let Some(loaded) = loading.join_next().await {
        let (loaded, id) = loaded.context("a look into the store")?;
        match loaded? {
            Some(loaded) => payments.push(loaded.payment),
            None => problems.push(format!("{id}: it was recorded, and is lost")),
        }
    }
    Ok(payments)
}

impl Books {
    fn enter(&mut self, ground: &Ground, payment: Payment, ledger: &Ledger) {
        let moved = found(&payment, ledger);
        self.explained
            .extend(moved.iter().map(|movement| movement.seq));
        self.ids
            .extend(moved.iter().map(|movement| movement.purchase_id));
        let purchase = payment.purchase();
        self.ids
            .extend(purchase.and_then(|known| known.id.as_str().parse::<Uuid>().ok()));
        let line = compare(payment, ledger, true).beside(|id| ground.sandbox.status_of(id));
        let mut name = line.payment.state().name().to_string();
        let mut problems = line.problems;
        if let State::Parked { reason, .. } = line.payment.state() {
            name = format!("parked: {reason:?}");
            if !is_explained(reason, &line.payment, &ground.sandbox)
                && !is_known_of(ground.plan.manners, reason, &line.payment)
            {
                problems.push(format!("parked, and no fault explains why: {reason:?}"));
            }
        }
        *self.states.entry(name).or_default() += 1;
        let moved = &line.ledger;
        self.moved_twice += u64::from(moved.takes > 1 || moved.holds > 1 || moved.releases > 1);
        let id = line.payment.id();
        for problem in problems {
            self.problems
                .push(format!("{id}: {problem}\n    {:?}", line.payment));
        }
    }

    /// Sets apart what is about payments of which Redis lost something that it had answered.
    fn set_apart(&mut self, told: &Told) {
        let (cost, problems) = std::mem::take(&mut self.problems)
            .into_iter()
            .partition::<Vec<_>, _>(|problem| told.is_cost(problem));
        self.problems = problems;
        for problem in cost {
            let what = problem.lines().next().unwrap_or_default();
            let what = what.split_once(": ").map_or(what, |(_, what)| what);
            let words = what.split(|c: char| c == '{' || c == '(' || c.is_ascii_digit());
            let kind: String = words.take(1).collect();
            *self.cost.entry(kind.trim().to_owned()).or_default() += 1;
        }
    }

    /// Money that moved and belongs to no payment, but for holds that nobody asked to take over.
    fn strays(&mut self, ground: &Ground, ledger: &Ledger) {
        let left_over = ground.purse.left_over();
        let left_over: HashSet<Uuid> = left_over.iter().filter_map(|id| id.parse().ok()).collect();
        for movement in ledger.movements() {
            if !self.explained.contains(&movement.seq) && !left_over.contains(&movement.purchase_id)
            {
                let reference = &movement.reference;
                self.problems
                    .push(format!("{reference}: money of no payment: {movement:?}"));
            }
        }
    }
}

/// Whether faults alone can lead there. Nobody else acts at the gateway, nothing is wrong with the
/// configuration, and no worker dies of a payment.
fn is_explained(reason: &ParkReason, payment: &Payment, sandbox: &Sandbox) -> bool {
    match reason {
        ParkReason::OutcomeUnknown
        | ParkReason::LookUpsExhausted
        | ParkReason::HoldLost
        | ParkReason::NotCaptured
        | ParkReason::ReleaseRefused => true,
        // The answer to the create named a purchase that there is not, and nothing else is known of
        // the one that was made. It cannot be charged by us and expires by itself; no look-up will
        // ever find the other, so a person decides. Only that fault explains it.
        ParkReason::Refused { code } => code == "not_found" && !is_there(payment, sandbox),
        ParkReason::Contradiction { .. }
        | ParkReason::DeclinedForOperator { .. }
        | ParkReason::GatewayUnreachable
        | ParkReason::GatewayFailing
        | ParkReason::BeforeExpiry
        | ParkReason::Poison => false,
    }
}

/// Whether it is what this gateway leads to without any fault. One that charges nothing a second
/// time refuses what is tried again after a soft decline, and nobody but a person can go on.
fn is_known_of(manners: Manners, reason: &ParkReason, payment: &Payment) -> bool {
    let refused =
        matches!(reason, ParkReason::Refused { code } if code == "purchase_charge_wrong_status");
    let was_declined = payment.attempts().iter().any(|attempt| {
        let closed = attempt.closed.as_ref();
        closed.is_some_and(|closed| matches!(closed.verdict, Verdict::Declined { .. }))
    });
    manners == Manners::SaysLittle && refused && was_declined
}

fn is_there(payment: &Payment, sandbox: &Sandbox) -> bool {
    let id = payment.purchase().map(|known| known.id.as_str().parse());
    matches!(id, Some(Ok(id)) if sandbox.status_of(id).is_some())
}
