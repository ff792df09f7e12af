//! What is asked for: requests of every kind, and commands at random.

use anyhow::Context;
use chip_sandbox::{DEFAULT_BRAND_ID, DEFAULT_SECRET_KEY, Operation, Request, Step};
use chrono::{SecondsFormat, TimeDelta};
use holdfast::api::intake::{self, IntakeError};
use holdfast::payment::{Command, IdempotencyKey, PaymentId};
use holdfast::worker::Policies;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use serde_json::{Value, json};

use crate::works::Works;

/// Makes up requests.
pub(super) struct Asks<'a> {
    pub(super) works: &'a Works,
    pub(super) token: String,
    pub(super) accounts: &'a [&'a str],
}

impl Asks<'_> {
    /// One request of some kind, as JSON.
    pub(super) fn request(&self, number: usize, random: &mut StdRng) -> anyhow::Result<String> {
        let account = self.accounts[random.random_range(0..self.accounts.len())];
        let amount = 100 + random.next_u32() % 100_000;
        let token = &self.token;
        let money = format!(r#""money":{{"amount":{amount},"currency":"MYR"}}"#);
        let customer = r#""customer":{"email":"payer@test.example"}"#;
        let plan = self.plan(amount, random);
        let body = match random.next_u32() % 20 {
            0..6 => format!(r#""type":"charge",{money},"token":"{token}",{customer}"#),
            6..8 => {
                let (from, until) = (self.at(1), self.at(4));
                format!(
                    r#""type":"charge",{money},"token":"{token}",{customer},"not_before":"{from}","not_after":"{until}""#
                )
            }
            8..12 => format!(
                r#""type":"authorize",{money},"source":{{"token":"{token}"}},"plan":{plan},{customer}"#
            ),
            12..14 => {
                let held = hold_elsewhere(self.works, &self.token, amount)?;
                format!(r#""type":"adopt",{money},"purchase":"{held}","plan":{plan}"#)
            }
            14..18 => format!(
                r#""type":"authorize",{money},"source":{{"checkout":{{}}}},"plan":{plan},{customer}"#
            ),
            _ => format!(r#""type":"save_card",{customer}"#),
        };
        Ok(format!(
            r#"{{"v":1,"account":"{account}","idempotency_key":"torture-{number}",{body}}}"#
        ))
    }

    fn plan(&self, amount: u32, random: &mut StdRng) -> String {
        let soon = 2 + i64::from(random.next_u32() % 15);
        let (soon, later) = (self.at(soon), self.at(soon + 60));
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

    fn at(&self, seconds: i64) -> String {
        let time = self.works.clock.now() + TimeDelta::seconds(seconds);
        time.to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

/// A hold that another service made; before any fault is in force.
fn hold_elsewhere(works: &Works, token: &str, amount: u32) -> anyhow::Result<String> {
    let purchase = json!({
        "brand_id": DEFAULT_BRAND_ID, "client": {"email": "payer@test.example"},
        "reference": "made elsewhere", "skip_capture": true,
        "purchase": {"currency": "MYR", "products": [{"name": "Room", "price": amount}]},
    });
    let made = call(works, "purchases/", &purchase)?;
    let id = made["id"].as_str().context("a purchase")?.to_owned();
    let held = call(
        works,
        &format!("purchases/{id}/charge/"),
        &json!({"recurring_token": token}),
    )?;
    anyhow::ensure!(held["status"] == "hold", "no hold: {held}");
    Ok(id)
}

fn call(works: &Works, path: &str, body: &Value) -> anyhow::Result<Value> {
    let request = Request::api("POST", path, DEFAULT_SECRET_KEY, body.to_string());
    match works
        .sandbox
        .with(|engine, now_ms| engine.handle(now_ms, request))
    {
        Step::Answer(response) => Ok(serde_json::from_str(&response.body)?),
        Step::Working { .. } => anyhow::bail!("the acquirer is busy with {:?}", Operation::Charge),
    }
}

/// Gives some payment some command; what it answers is its own affair.
pub(super) async fn command_some(
    works: &Works,
    ids: &[PaymentId],
    number: usize,
    random: &mut StdRng,
) -> anyhow::Result<()> {
    let soon = works.clock.now() + TimeDelta::seconds(i64::from(1 + random.next_u32() % 5));
    let command = match random.next_u32() % 5 {
        0 => Command::Capture { amount: None },
        1 => Command::Release,
        2 => Command::Reschedule {
            capture_at: Some(soon),
            capture_amount: None,
            release_at: None,
        },
        3 => Command::Cancel,
        _ => rerun(),
    };
    let id = &ids[random.random_range(0..ids.len())];
    give(works, id, &format!("command-{number}"), &command).await
}

/// A look at a payment, asked for by a person.
pub(super) fn rerun() -> Command {
    Command::Rerun {
        reason: "torture".to_owned(),
        actor: "nobody".to_owned(),
    }
}

pub(super) async fn give(
    works: &Works,
    id: &PaymentId,
    key: &str,
    command: &Command,
) -> anyhow::Result<()> {
    let key = IdempotencyKey::new(key)?;
    let given = (id, &key, command);
    match intake::command(&works.store, &works.clock, &Policies::default(), given).await {
        // Some commands fit no payment of that kind or time, and some payments change too quickly.
        Ok(_) | Err(IntakeError::Invalid(_) | IntakeError::Busy(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
