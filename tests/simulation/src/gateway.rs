//! The gateway as a worker process reaches it: the product's own calls and its own reading of the
//! answers, with the sandbox's engine at the other end, and nothing in between but a network that
//! the seed decides.

use std::sync::Arc;

use chip_sandbox::{Manner, Request, Response, Rule, Step};
use holdfast::gateway::{Call, Gateway, Reply, answer, look_up, look_up_path};
use holdfast::payment::{
    AccountName, Answer, CreateOrder, Denial, LookUp, MoneyCall, MoneyOrder, PurchaseId,
};
use holdfast::store::Permit;
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant, sleep_until, timeout_at};
use uuid::Uuid;

use crate::actors::payers;
use crate::network::{Fate, Verb, Way};
use crate::oracle;
use crate::plan::FaultId;
use crate::points;
use crate::policy::{DEADLINES, key_of};
use crate::process::Process;
use crate::webhooks::pump;
use crate::world::{World, rest};

/// The number of no payment.
const UNKNOWN: u64 = 999;

/// The gateway, as one process reaches it.
pub(crate) struct SimulatedGateway {
    pub(crate) world: Arc<World>,
    pub(crate) process: Arc<Process>,
}

/// What became of one request.
enum Trip {
    Answered(Reply),
    NotSent,
    Unknown(String),
}

/// What the client hears.
enum Heard {
    Answer(Response),
    Broken,
    Nothing,
}

impl Gateway for SimulatedGateway {
    async fn create(&self, order: &CreateOrder) -> Answer {
        let subject = self.world.number(&order.payment);
        let account = self.world.accounts.get(&order.account);
        let Some(call) = account.and_then(|known| Call::create(order, known, &DEADLINES)) else {
            return unwritable();
        };
        let request = request(&order.account, &call);
        self.write((Verb::Create, subject), request, call.deadline_ms, None)
            .await
    }

    async fn send(&self, permit: Permit) -> Answer {
        let order = permit.order();
        let subject = self.world.number(&order.payment);
        let Some(call) = Call::money(order, &DEADLINES) else {
            return unwritable();
        };
        self.world.sends.leave(&self.world, order);
        self.process.running().await;
        oracle::check_noted(&self.world, order);
        if order.call == MoneyCall::Cancel {
            self.rush_the_payer(order, subject);
        }
        let request = request(&order.account, &call);
        let what = (verb_of(order), subject);
        let answer = self
            .write(what, request, call.deadline_ms, Some(&order.purchase))
            .await;
        self.world.sends.heard(order, answer.class());
        answer
    }

    async fn look_up(&self, account: &AccountName, purchase: &PurchaseId) -> LookUp {
        let known = self.world.number_of_purchase(purchase.as_str());
        let subject = known.unwrap_or(UNKNOWN);
        let path = look_up_path(purchase);
        let request = Request::api("GET", &path, key_of(account), Vec::new());
        let deadline_ms = DEADLINES.look_up_ms;
        match self.trip(Verb::LookUp, subject, request, deadline_ms).await {
            Trip::Answered(reply) => look_up(&reply, purchase),
            Trip::NotSent => failed("not connected"),
            Trip::Unknown(why) => failed(&why),
        }
    }
}

fn request(account: &AccountName, call: &Call) -> Request {
    Request::api("POST", &call.path, key_of(account), call.body.clone())
}

const fn verb_of(order: &MoneyOrder) -> Verb {
    match order.call {
        MoneyCall::Charge(_) => Verb::Charge,
        MoneyCall::Capture(_) => Verb::Capture,
        MoneyCall::Release => Verb::Release,
        MoneyCall::Cancel => Verb::Cancel,
    }
}

fn unwritable() -> Answer {
    Answer::NotSent {
        why: "the request could not be written".to_owned(),
    }
}

fn failed(why: &str) -> LookUp {
    LookUp::Failed {
        why: why.to_owned(),
        denied: Denial::No,
        retry_after_ms: None,
    }
}

impl SimulatedGateway {
    async fn write(
        &self,
        (verb, subject): (Verb, u64),
        request: Request,
        deadline_ms: u64,
        purchase: Option<&PurchaseId>,
    ) -> Answer {
        match self.trip(verb, subject, request, deadline_ms).await {
            Trip::Answered(reply) => answer(&reply, purchase),
            Trip::NotSent => Answer::NotSent {
                why: "not connected".to_owned(),
            },
            Trip::Unknown(why) => Answer::Unknown { why },
        }
    }

    async fn trip(&self, verb: Verb, subject: u64, request: Request, deadline_ms: u64) -> Trip {
        self.process.running().await;
        let world = &self.world;
        let (mut fate, id) = self.fate(verb, subject);
        let met = points::meet(world, &self.process, verb.as_str()).await;
        fate.bend(met);
        let told = fate.fault.unwrap_or("fine");
        self.note(verb, subject, format_args!("goes out ({told})"));
        if let Some(fault) = fate.fault {
            world.struck_at(subject, id, (verb.as_str(), fault));
        }
        let busy = self.process.begin(verb.as_str());
        let trip = self.travel(verb, fate, request, deadline_ms).await;
        drop(busy);
        points::after(world, &self.process, met).await;
        self.process.running().await;
        match &trip {
            Trip::Answered(reply) => {
                self.note(verb, subject, format_args!("answered {}", reply.status));
            }
            Trip::NotSent => self.note(verb, subject, format_args!("not sent")),
            Trip::Unknown(why) => self.note(verb, subject, format_args!("unknown: {why}")),
        }
        trip
    }

    /// Now and then the payer pays just when the purchase is to be sealed.
    fn rush_the_payer(&self, order: &MoneyOrder, subject: u64) {
        let world = &self.world;
        let has_payer = world
            .store
            .stored(&order.payment)
            .is_some_and(|payment| payment.is_checkout());
        let (mut dice, id) = world.next_dice("payer.rushes", subject);
        let purchase = Uuid::parse_str(order.purchase.as_str()).ok();
        let rushes = has_payer && dice.in_1000(300) && world.may_strike(id);
        if let Some(purchase) = purchase.filter(|_| rushes) {
            world.struck(id, ("payer", "rushes"));
            let after_ms = dice.between(1, 200);
            tokio::spawn(payers::rush(Arc::clone(world), purchase, subject, after_ms));
        }
    }

    fn note(&self, verb: Verb, subject: u64, what: std::fmt::Arguments<'_>) {
        let (name, verb) = (&self.process.name, verb.as_str());
        self.world
            .note(name, format_args!("p{subject:02} {verb} {what}"));
    }

    fn fate(&self, verb: Verb, subject: u64) -> (Fate, FaultId) {
        let (mut dice, id) = self.world.next_dice(verb.as_str(), subject);
        let struck = dice.in_1000(self.world.plan.faults_in_1000) && self.world.may_strike(id);
        let fate = if struck {
            Fate::faulty(verb, &mut dice, &self.world.plan)
        } else {
            Fate::fine(&mut dice)
        };
        (fate, id)
    }

    async fn travel(&self, verb: Verb, fate: Fate, request: Request, deadline_ms: u64) -> Trip {
        let deadline = Instant::now() + Duration::from_millis(deadline_ms);
        if fate.way == Way::Unsent {
            rest(fate.out_ms).await;
            return Trip::NotSent;
        }
        let (tell, told) = oneshot::channel();
        self.world.sent_off();
        tokio::spawn(fly(Arc::clone(&self.world), verb, request, (fate, tell)));
        let heard = timeout_at(deadline, told).await;
        match heard {
            Ok(Ok(Heard::Answer(response))) => self.read(response),
            Ok(Ok(Heard::Broken) | Err(_)) => {
                Trip::Unknown("the connection broke before the answer was whole".to_owned())
            }
            Ok(Ok(Heard::Nothing)) => {
                sleep_until(deadline).await;
                too_late(deadline_ms)
            }
            Err(_) => too_late(deadline_ms),
        }
    }

    fn read(&self, response: Response) -> Trip {
        match response.manner {
            Manner::Whole => Trip::Answered(Reply {
                status: response.status,
                retry_after: response.retry_after_s.map(|seconds| seconds.to_string()),
                at: self.world.now(),
                body: response.body.into_bytes(),
            }),
            Manner::Truncated => Trip::Unknown(format!(
                "the gateway answered {}, but the connection broke before the answer was whole",
                response.status
            )),
            Manner::Reset | Manner::Silence => Trip::Unknown("no answer".to_owned()),
        }
    }
}

fn too_late(deadline_ms: u64) -> Trip {
    Trip::Unknown(format!("no whole answer within {deadline_ms} ms"))
}

/// A request on its own, whatever becomes of the process that sent it.
async fn fly(
    world: Arc<World>,
    verb: Verb,
    request: Request,
    (fate, tell): (Fate, oneshot::Sender<Heard>),
) {
    rest(fate.out_ms).await;
    let heard = match fate.way {
        Way::Unsent | Way::Lost => Heard::Nothing,
        Way::Broken => Heard::Broken,
        Way::Unheard => {
            perform(&world, verb, request, &fate).await;
            Heard::Nothing
        }
        Way::Late(after_ms) => {
            let _ = tell.send(Heard::Nothing);
            rest(after_ms).await;
            perform(&world, verb, request, &fate).await;
            world.arrived();
            return;
        }
        Way::Doubled(after_ms) => {
            let again = (request.clone(), fate.clone());
            world.sent_off();
            tokio::spawn(once_more(Arc::clone(&world), verb, again, after_ms));
            perform(&world, verb, request, &fate).await
        }
        Way::Through => perform(&world, verb, request, &fate).await,
    };
    rest(fate.back_ms).await;
    world.arrived();
    // Nobody listens any more if the process was killed or gave up.
    let _ = tell.send(heard);
}

async fn once_more(world: Arc<World>, verb: Verb, (request, fate): (Request, Fate), after_ms: u64) {
    rest(after_ms).await;
    perform(&world, verb, request, &fate).await;
    world.arrived();
}

/// What the gateway does with a request that arrived.
async fn perform(world: &Arc<World>, verb: Verb, request: Request, fate: &Fate) -> Heard {
    let step = world.engine(|engine, now_ms| {
        let rule = fate.effect.clone();
        let rule = rule.map(|effect| engine.add_fault(Rule::on(verb.operation(), effect)));
        let step = engine.handle(now_ms, request);
        if let Some(number) = rule {
            engine.remove_fault(number);
        }
        step
    });
    pump(world);
    let response = match step {
        Step::Answer(response) => Some(response),
        Step::Working { ticket, for_ms } => {
            rest(for_ms).await;
            let finished = world.engine(|engine, now_ms| engine.finish(now_ms, ticket));
            pump(world);
            finished
        }
    };
    match response {
        Some(response) if response.manner == Manner::Silence => Heard::Nothing,
        Some(response) if response.manner == Manner::Reset => Heard::Broken,
        Some(response) => Heard::Answer(response),
        None => Heard::Nothing,
    }
}
