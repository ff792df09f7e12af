//! The gateway itself, without transport or clock: requests in, answers out.
//!
//! Nothing here waits, reads the time or draws true randomness, so a run is a function of its
//! seed and its calls.

mod admission;
mod body;
mod clients;
mod dress;
mod events;
mod fields;
mod hooks;
mod lookup;
mod money;
mod notes;
mod outcome;
mod page;
mod pay;
mod product;
mod purchase;
mod purchases;
mod refusal;
mod repeats;
mod request;
mod route;
mod statements;
mod status;
mod timer;
mod view;

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use uuid::Uuid;

use crate::config::{Account, Behaviour, Config};
use crate::fault::{Chosen, Commit, Effect, Rule, Rules};
use crate::ledger::{Ledger, Row};
pub use events::Delivery;
pub(crate) use page::escape;
pub use pay::TestCard;
pub use request::{Manner, Request, Response, Step, Ticket};
pub use route::Operation;
pub use status::Status;

use clients::Client;
use events::Events;
use hooks::Webhook;
use money::{Flight, Launch};
use purchase::{Purchase, Realm};
use refusal::Refusal;
use repeats::{RepeatOf, Repeats};
use route::Route;
use statements::Statement;
use timer::{Timer, Timers};

/// The gateway.
pub struct Engine {
    base_url: String,
    accounts: Vec<Account>,
    realms: HashMap<String, Realm>,
    behaviour: Behaviour,
    purchases: HashMap<Uuid, Purchase>,
    clients: HashMap<Uuid, Client>,
    clients_by_email: HashMap<(Realm, String), Uuid>,
    webhooks: Vec<Webhook>,
    webhooks_made: u32,
    statements: Vec<Statement>,
    rules: Rules,
    ledger: Ledger,
    timers: Timers,
    working: HashMap<u64, Working>,
    tickets: u64,
    events: Events,
    repeats: Repeats,
    dice: StdRng,
}

/// A request on its way through the engine.
pub(crate) struct LateCall {
    route: Route,
    realm: Option<Realm>,
    body: Value,
    form: Vec<u8>,
    query: String,
    client_ip: String,
    idempotency_key: Option<String>,
    row: Row,
    fate: Option<Effect>,
    stale: Option<Effect>,
}

struct Working {
    flight: Flight,
    repeat_of: Option<RepeatOf>,
    row: Row,
    chosen: Chosen,
}

/// What performing a call came to.
enum Performed {
    Done {
        answer: Result<Response, Refusal>,
        purchase: Option<Uuid>,
        took_effect: bool,
    },
    Flying(Box<Flight>, u64),
}

impl Engine {
    /// A gateway with the accounts, webhooks and faults of a configuration. `base_url` is the
    /// start of the links it hands out, without a slash at the end; `seed` decides its ids.
    #[must_use]
    pub fn new(config: &Config, base_url: &str, seed: u64, now_ms: i64) -> Self {
        let mut engine = Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            accounts: config.accounts.clone(),
            realms: realms(&config.accounts),
            behaviour: config.behaviour.clone(),
            purchases: HashMap::new(),
            clients: HashMap::new(),
            clients_by_email: HashMap::new(),
            webhooks: Vec::new(),
            webhooks_made: 0,
            statements: Vec::new(),
            rules: Rules::default(),
            ledger: Ledger::new(config.keep_requests),
            timers: Timers::default(),
            working: HashMap::new(),
            tickets: 0,
            events: Events::default(),
            repeats: Repeats::default(),
            dice: StdRng::seed_from_u64(seed),
        };
        for rule in &config.faults {
            engine.rules.add(rule.clone());
        }
        for webhook in &config.webhooks {
            engine.register(webhook, now_ms);
        }
        engine
    }

    /// Takes a request. The answer may have to wait for the acquirer: see [`Step`].
    pub fn handle(&mut self, now_ms: i64, request: Request) -> Step {
        self.run_timers(now_ms);
        match self.admit(now_ms, request) {
            Ok((call, chosen)) => match self.answered_before(&call) {
                Some(answer) => Step::Answer(self.dress(call.row, &chosen, Ok(answer), None)),
                None => self.dispatch(now_ms, call, chosen),
            },
            Err((refusal, row)) => {
                self.ledger.answered(row, Some(refusal.status), None);
                Step::Answer(Response::json(refusal.status, refusal.body.to_string()))
            }
        }
    }

    /// Refuses a request whose body was too large to be read, and writes it down.
    pub fn refuse_too_large(&mut self, now_ms: i64, request: &Request) -> Response {
        let row = self.arrived(now_ms, request);
        let refusal = Refusal::all(413, "request_too_large", "The body is too large.");
        self.ledger.answered(row, Some(refusal.status), None);
        Response::json(refusal.status, refusal.body.to_string())
    }

    /// Ends what [`Step::Working`] began; none if the ticket is unknown or was used.
    pub fn finish(&mut self, now_ms: i64, ticket: Ticket) -> Option<Response> {
        self.run_timers(now_ms);
        let Working {
            flight,
            repeat_of,
            row,
            chosen,
        } = self.working.remove(&ticket.0)?;
        let purchase = Some(flight.purchase);
        let settled = self.settle(now_ms, flight);
        self.note_commit(row, settled.took_effect);
        self.keep_answer(repeat_of, &settled.answer);
        Some(self.dress(row, &chosen, settled.answer, purchase))
    }

    /// Does what has come due, and answers the webhooks to send now. Every one of them has to
    /// be reported with [`delivered`](Self::delivered).
    pub fn tick(&mut self, now_ms: i64) -> Vec<Delivery> {
        self.run_timers(now_ms);
        self.events.take_outbox()
    }

    /// When [`tick`](Self::tick) next has something to do.
    #[must_use]
    pub fn next_wake_ms(&self) -> Option<i64> {
        if self.events.has_outbox() {
            Some(i64::MIN)
        } else {
            self.timers.next_ms()
        }
    }

    /// Every request and movement so far.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How the gateway behaves; may be changed at any time.
    pub fn behaviour(&mut self) -> &mut Behaviour {
        &mut self.behaviour
    }

    /// Puts a fault rule in force; answers its number.
    pub fn add_fault(&mut self, rule: Rule) -> u64 {
        self.rules.add(rule)
    }

    /// Takes one fault rule out of force.
    pub fn remove_fault(&mut self, number: u64) {
        self.rules.remove(number);
    }

    /// Takes every fault rule out of force.
    pub fn clear_faults(&mut self) {
        self.rules.clear();
    }

    fn dispatch(&mut self, now_ms: i64, call: LateCall, chosen: Chosen) -> Step {
        let row = call.row;
        let about = Some(call.route.id).filter(|id| !id.is_nil());
        let nothing = Ok(Response::json(200, "{}".to_owned()));
        match chosen.broken {
            Some((Commit::Never, _)) => Step::Answer(self.dress(row, &chosen, nothing, about)),
            Some((Commit::Late(after_ms), _)) => {
                let at_ms = now_ms.saturating_add_unsigned(after_ms);
                self.timers.at(at_ms, Timer::Commit(Box::new(call)));
                Step::Answer(self.dress(row, &chosen, nothing, about))
            }
            Some((Commit::Now, _)) | None => match self.perform(now_ms, &call) {
                Performed::Done {
                    answer,
                    purchase,
                    took_effect,
                } => {
                    self.note_commit(row, took_effect);
                    self.keep_answer(RepeatOf::of(&call), &answer);
                    Step::Answer(self.dress(row, &chosen, answer, purchase))
                }
                Performed::Flying(flight, for_ms) => {
                    self.tickets += 1;
                    let working = Working {
                        flight: *flight,
                        repeat_of: RepeatOf::of(&call),
                        row,
                        chosen,
                    };
                    self.working.insert(self.tickets, working);
                    Step::Working {
                        ticket: Ticket(self.tickets),
                        for_ms,
                    }
                }
            },
        }
    }

    fn perform(&mut self, now_ms: i64, call: &LateCall) -> Performed {
        let id = call.route.id;
        match self.launch(now_ms, call) {
            Launch::Not => {
                let (answer, purchase) = self.simple(now_ms, call);
                Performed::Done {
                    took_effect: answer.is_ok(),
                    answer,
                    purchase: purchase.or(Some(id).filter(|id| !id.is_nil())),
                }
            }
            Launch::Refused(refusal) => Performed::Done {
                answer: Err(refusal),
                purchase: Some(id),
                took_effect: false,
            },
            Launch::Answered(response) => Performed::Done {
                answer: Ok(response),
                purchase: Some(id),
                took_effect: false,
            },
            Launch::Flying(flight, 0) => {
                let settled = self.settle(now_ms, *flight);
                Performed::Done {
                    answer: settled.answer,
                    purchase: Some(id),
                    took_effect: settled.took_effect,
                }
            }
            Launch::Flying(flight, for_ms) => Performed::Flying(flight, for_ms),
        }
    }

    fn run_timers(&mut self, now_ms: i64) {
        while let Some((at_ms, timer)) = self.timers.pop(now_ms) {
            match timer {
                Timer::Due(purchase) => self.fall_due(at_ms, purchase),
                Timer::Lapse(purchase) => self.lapse(at_ms, purchase),
                Timer::ShowPayment(purchase) => self.show_payment(at_ms, purchase),
                Timer::Settle(flight) => drop(self.settle(at_ms, *flight)),
                Timer::Statement(id) => self.make_statement(at_ms, id),
                Timer::Deliver(number) => self.events.send(number),
                Timer::Commit(call) => {
                    let row = call.row;
                    let took_effect = match self.perform(at_ms, &call) {
                        Performed::Done { took_effect, .. } => took_effect,
                        Performed::Flying(flight, _) => self.settle(at_ms, *flight).took_effect,
                    };
                    self.note_commit(row, took_effect);
                }
            }
        }
    }

    fn note_commit(&mut self, row: Row, took_effect: bool) {
        if took_effect && row.operation.is_write() {
            self.ledger.committed(row);
        }
    }

    fn new_id(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.dice.random()).into_uuid()
    }
}

fn realms(accounts: &[Account]) -> HashMap<String, Realm> {
    let mut realms = HashMap::new();
    for (account, company) in accounts.iter().enumerate() {
        realms.insert(
            company.test_key.clone(),
            Realm {
                account,
                live: false,
            },
        );
        if let Some(key) = &company.live_key {
            realms.insert(
                key.clone(),
                Realm {
                    account,
                    live: true,
                },
            );
        }
    }
    realms
}
