//! What is asked for: requests of every kind, and commands at random.

use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use chip_sandbox::{DEFAULT_BRAND_ID, Operation, Request, Sandbox, Step};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use holdfast::payment::Command;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use serde_json::{Value, json};

use super::Plan;
use super::canaries::{EMAIL, KEY, NAME, PHONE, REDIRECT};

/// How many saved cards there are.
const CARDS: usize = 16;
/// Of how many payments one takes over a hold, at least.
const ONE_ADOPTION_IN: u64 = 9;

/// The reference of holds that another service made.
pub(super) const MADE_ELSEWHERE: &str = "made elsewhere";

/// What can be paid with: saved cards, and holds that another service made.
pub(super) struct Purse {
    pub(super) cards: Vec<String>,
    holds: Mutex<Vec<(String, u32)>>,
}

impl Purse {
    /// Filled before any fault is in force.
    pub(super) fn filled(plan: &Plan, sandbox: &Sandbox) -> anyhow::Result<Self> {
        let card = |_| sandbox.save_card(EMAIL).to_string();
        let cards: Vec<_> = (0..CARDS).map(card).collect();
        let mut holds = Vec::new();
        for number in 0..plan.quotas.payments / ONE_ADOPTION_IN + 20 {
            let amount = 100 + u32::try_from(number * 37 % 100_000)?;
            holds.push((hold_elsewhere(sandbox, &cards[0], amount)?, amount));
        }
        let holds = Mutex::new(holds);
        Ok(Self { cards, holds })
    }

    /// A hold for one payment, while there is any.
    fn hold(&self) -> Option<(String, u32)> {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        holds.pop()
    }

    /// The purchases of holds that nobody has asked for.
    pub(super) fn left_over(&self) -> Vec<String> {
        let holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        holds.iter().map(|(purchase, _)| purchase.clone()).collect()
    }

    /// One request of some kind, as JSON, at a moment.
    pub(super) fn request(
        &self,
        (number, account): (u64, &str),
        now: DateTime<Utc>,
        random: &mut StdRng,
    ) -> String {
        let amount = 100 + random.next_u32() % 100_000;
        let token = &self.cards[random.random_range(0..self.cards.len())];
        let money = |amount: u32| format!(r#""money":{{"amount":{amount},"currency":"MYR"}}"#);
        let asked = money(amount);
        let customer =
            format!(r#""customer":{{"email":"{EMAIL}","full_name":"{NAME}","phone":"{PHONE}"}}"#);
        let link =
            format!(r#"{{"success_redirect":"{REDIRECT}","failure_redirect":"{REDIRECT}"}}"#);
        let plan = plan(amount, now, random);
        let charge = format!(r#""type":"charge",{asked},"token":"{token}",{customer}"#);
        let body = match random.next_u32() % 20 {
            0..6 => charge,
            6..8 => {
                let (from, until) = (at(now, 1), at(now, 30));
                format!(r#"{charge},"not_before":"{from}","not_after":"{until}""#)
            }
            8..12 => format!(
                r#""type":"authorize",{asked},"source":{{"token":"{token}"}},"plan":{plan},{customer}"#
            ),
            12..14 => match self.hold() {
                Some((held, amount)) => format!(
                    r#""type":"adopt",{},"purchase":"{held}","plan":{}"#,
                    money(amount),
                    self::plan(amount, now, random),
                ),
                None => charge,
            },
            14..18 => format!(
                r#""type":"authorize",{asked},"source":{{"checkout":{link}}},"plan":{plan},{customer}"#
            ),
            _ => format!(r#""type":"save_card","checkout":{link},{customer}"#),
        };
        format!(r#"{{"v":1,"account":"{account}","idempotency_key":"chaos-{number}",{body}}}"#)
    }
}

fn plan(amount: u32, now: DateTime<Utc>, random: &mut StdRng) -> String {
    let soon = 4 + i64::from(random.next_u32() % 8);
    let (soon, later) = (at(now, soon), at(now, soon + 60));
    match random.next_u32() % 4 {
        0 => format!(
            r#"{{"capture_at":"{soon}","capture_amount":{}}}"#,
            amount / 2
        ),
        1 => format!(r#"{{"release_at":"{soon}"}}"#),
        2 => format!(r#"{{"capture_at":"{soon}","release_at":"{later}"}}"#),
        _ => format!(r#"{{"capture_at":"{soon}"}}"#),
    }
}

fn at(now: DateTime<Utc>, seconds: i64) -> String {
    (now + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A hold that another service made; before any fault is in force.
fn hold_elsewhere(sandbox: &Sandbox, token: &str, amount: u32) -> anyhow::Result<String> {
    let purchase = json!({
        "brand_id": DEFAULT_BRAND_ID, "client": {"email": EMAIL},
        "reference": MADE_ELSEWHERE, "skip_capture": true,
        "purchase": {"currency": "MYR", "products": [{"name": "Room", "price": amount}]},
    });
    let made = call(sandbox, "purchases/", &purchase)?;
    let id = made["id"].as_str().context("a purchase")?.to_owned();
    let charge = json!({"recurring_token": token});
    let held = call(sandbox, &format!("purchases/{id}/charge/"), &charge)?;
    anyhow::ensure!(held["status"] == "hold", "no hold: {held}");
    Ok(id)
}

fn call(sandbox: &Sandbox, path: &str, body: &Value) -> anyhow::Result<Value> {
    let request = Request::api("POST", path, KEY, body.to_string());
    match sandbox.with(|engine, now_ms| engine.handle(now_ms, request)) {
        Step::Answer(response) => Ok(serde_json::from_str(&response.body)?),
        Step::Working { .. } => anyhow::bail!("the acquirer is busy with {:?}", Operation::Charge),
    }
}

/// Some command; whether it fits the payment is another matter.
pub(super) fn some_command(now: DateTime<Utc>, random: &mut StdRng) -> Command {
    let soon = now + TimeDelta::seconds(i64::from(1 + random.next_u32() % 5));
    match random.next_u32() % 5 {
        0 => Command::Capture { amount: None },
        1 => Command::Release,
        2 => Command::Reschedule {
            capture_at: Some(soon),
            capture_amount: None,
            release_at: None,
        },
        3 => Command::Cancel,
        _ => rerun(),
    }
}

/// A look at a payment, asked for by a person.
pub(super) fn rerun() -> Command {
    Command::Rerun {
        reason: "chaos".to_owned(),
        actor: "nobody".to_owned(),
    }
}
