//! One run of one flow, with the faults of a plan.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use chip_sandbox::Request as Call;
use chrono::TimeDelta;
use holdfast::payment::{Payment, PaymentId, Progress, Request, UnknownPolicy};
use serde_json::json;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::end::End;
use super::fault::{Fault, Point};
use super::flow::{Flow, Setup};
use super::script::{AMOUNT, Given, PART, Script};
use super::second::Twice;
use super::watch::Watch;
use super::{people, staff};
use crate::asks::hold_elsewhere;
use crate::oracle;
use crate::plan::{Charges, Durability, Plan};
use crate::policy::{COMPANIES, Company, SETTLED_AFTER_MS};
use crate::trace::Keep;
use crate::webhooks;
use crate::world::{World, rest};

/// Decides nothing but how long messages take.
const SEED: u64 = 7;
const LOOK_EVERY_MS: u64 = 1_000;
/// So long all is at rest before a run is over.
const AT_REST_MS: u64 = 10_000;
/// The guard acts so long before a hold lapses: many times the quiet period, as it is configured in
/// earnest, so that what became of its call can be found out in time, and of another one after it.
pub(super) const MARGIN_MS: u64 = 45 * 60_000;
pub(super) const HOLD_LASTS_MS: u64 = 2 * MARGIN_MS;
/// How long a hold lasts that is about to lapse, as the shop was told.
pub(super) const SHORTLY_MS: u64 = 60_000;
/// What is due within this time is under way.
const SOON_MS: i64 = 60_000;

/// One run of one flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What happens by itself.
    pub setup: Setup,
    /// When every job is delivered a second time, if it is.
    pub twice: Option<Twice>,
    /// What is struck.
    pub faults: Vec<Fault>,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Told {
    /// All I/Os, in the order in which they were made.
    pub sequence: Vec<Point>,
    /// How it ended.
    pub end: Option<End>,
    /// The promises that were broken.
    pub problems: Vec<String>,
    /// What happened, if lines were kept.
    pub lines: Vec<String>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--case {}", self.setup)?;
        if let Some(twice) = self.twice {
            write!(f, " --twice {twice}")?;
        }
        self.faults
            .iter()
            .try_for_each(|fault| write!(f, " --fault {fault}"))
    }
}

impl Case {
    /// The flow without any fault.
    #[must_use]
    pub const fn undisturbed(setup: Setup, twice: Option<Twice>) -> Self {
        Self {
            setup,
            twice,
            faults: Vec::new(),
        }
    }

    /// The same with one more fault.
    #[must_use]
    pub fn with(&self, fault: Fault) -> Self {
        let mut faults = self.faults.clone();
        faults.push(fault);
        Self {
            faults,
            ..self.clone()
        }
    }

    /// Runs it.
    pub fn run(&self, keep: Keep) -> anyhow::Result<Told> {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        runtime.block_on(self.live(keep))
    }

    async fn live(&self, keep: Keep) -> anyhow::Result<Told> {
        let mut world = World::new(plan(), keep)?;
        for policy in Arc::get_mut(&mut world)
            .into_iter()
            .flat_map(|w| w.policies.values_mut())
        {
            policy.expiry_margin_ms = MARGIN_MS;
            policy.account.hold_lifetime_ms = match self.setup.flow {
                Flow::StatedByHand => SHORTLY_MS,
                _ => HOLD_LASTS_MS,
            };
        }
        let company = COMPANIES.iter().find(|c| c.name == self.setup.account);
        let company = company.unwrap_or(&COMPANIES[0]);
        let given = given(&world, company)?;
        let script = Script::of(self.setup.flow, &world, &given);
        let watch = Watch::new(self.faults.clone(), self.twice, script.webhooks);
        let _ = world.watch.set(watch);
        prepare(&world, &script);
        if script.captured_elsewhere {
            capture_elsewhere(&world, company, &given.hold)?;
        }
        let body = &script.body;
        let json = format!(
            r#"{{"v":1,"account":"{}","idempotency_key":"one",{body}}}"#,
            company.name
        );
        let request = Request::from_json(json.as_bytes())?;

        let (end, mut actors) = (CancellationToken::new(), JoinSet::new());
        let worker = tokio::spawn(staff::keep(
            Arc::clone(&world),
            script.redeployed,
            end.clone(),
        ));
        let clock = tokio::spawn(webhooks::keep_time(Arc::clone(&world)));
        let id = people::ask(&world, request).await;
        if let Some(id) = &id {
            if let Some(after_ms) = script.pays_after_ms {
                actors.spawn(people::pay(Arc::clone(&world), id.clone(), after_ms));
            }
            if let Some((state, after_ms, command)) = script.command {
                let words = [Some(command), script.seconded];
                let what = (state, after_ms, words.into_iter().flatten().collect());
                actors.spawn(people::give(Arc::clone(&world), id.clone(), what));
            }
            settle(&world, &mut actors).await;
        }
        let sequence = world.watch.get().map(Watch::sequence).unwrap_or_default();
        if !world.watch.get().is_some_and(Watch::all_struck) {
            world.problem("a fault of the plan never struck");
        }
        end.cancel();
        if worker.await.is_err() {
            world.problem("who keeps the worker panicked");
        }
        clock.abort();
        let acknowledged: Vec<PaymentId> = id.into_iter().collect();
        oracle::check_all(&world, &acknowledged, 0).await;
        let end = End::of(&world);
        let told = world.tell();
        Ok(Told {
            sequence,
            end,
            problems: told.problems,
            lines: told.lines,
        })
    }
}

/// Whether what people said of it waits for a look.
fn has_word_waiting(payment: &Payment) -> bool {
    let said = payment.resolution();
    said.is_some_and(|said| said.progress == Progress::Wanted)
}

fn plan() -> Plan {
    Plan {
        seed: SEED,
        payments: 1,
        workers: 1,
        durability: Durability::Solo,
        charges: Charges::Serialised,
        unknown: None::<UnknownPolicy>,
        faults_in_1000: 0,
        trouble_ms: 0,
        acquirer_ms: 200,
        spared: BTreeSet::new(),
        unasked: BTreeSet::new(),
    }
}

/// A saved card, and a hold that another service made.
fn given(world: &World, company: &Company) -> anyhow::Result<Given> {
    world.engine(|engine, now_ms| {
        let saved = engine.save_test_card(now_ms, company.key, "payer@test.example");
        let card = saved.ok_or_else(|| anyhow::anyhow!("no saved card"))?;
        let hold = hold_elsewhere(engine, now_ms, (company, card), AMOUNT)?;
        Ok(Given { card, hold })
    })
}

/// The shop's own desk captures a part of a hold.
fn capture_elsewhere(world: &World, company: &Company, hold: &str) -> anyhow::Result<()> {
    let body = json!({ "amount": PART }).to_string();
    let call = Call::api(
        "POST",
        &format!("purchases/{hold}/capture/"),
        company.key,
        body,
    );
    let answer = world.engine(|engine, now_ms| engine.answer(now_ms, call));
    anyhow::ensure!(
        answer.status == 200,
        "it is not captured: {}",
        answer.status
    );
    Ok(())
}

fn prepare(world: &World, script: &Script) {
    world.engine(|engine, _| {
        let behaviour = engine.behaviour();
        behaviour.charge_ms = script.acquirer_ms;
        behaviour.capture_ms = script.acquirer_ms;
        behaviour.release_ms = script.acquirer_ms;
        behaviour.hold_lifetime_ms = Some(script.hold_lasts_ms);
        if let Some(rule) = script.rule.clone() {
            engine.add_fault(rule);
        }
    });
    if script.rule.is_some() {
        // It explains why a payment is parked, should that be its end.
        world.hit(("create", "denied"));
    }
}

/// Until the payment is finished or parked, everybody has done what they had to, nothing is on its
/// way, and all that for a while.
async fn settle(world: &Arc<World>, actors: &mut JoinSet<()>) {
    let (mut waited_ms, mut at_rest_ms) = (0, 0);
    while at_rest_ms < AT_REST_MS {
        rest(LOOK_EVERY_MS).await;
        waited_ms += LOOK_EVERY_MS;
        while let Some(ended) = actors.try_join_next() {
            if let Err(error) = ended {
                world.problem(&format!("an actor panicked: {error}"));
            }
        }
        let needs_nobody = world.store.all().iter().all(|loaded| {
            let soon = world.now() + TimeDelta::milliseconds(SOON_MS);
            people::is_at_rest(&loaded.payment)
                && !loaded.claimed
                && !has_word_waiting(&loaded.payment)
                && loaded.due.is_none_or(|due| due > soon)
        });
        let rests = needs_nobody && world.on_the_way() == 0 && actors.is_empty();
        at_rest_ms = if rests { at_rest_ms + LOOK_EVERY_MS } else { 0 };
        if waited_ms > SETTLED_AFTER_MS {
            return world.problem("it does not come to an end");
        }
    }
}
