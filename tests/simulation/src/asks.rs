//! What producers ask for: requests of every kind.

use anyhow::Context;
use chip_sandbox::{Engine, Request};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::policy::{COMPANIES, Company};
use crate::world::World;

/// What requests refer to: saved cards, and holds that another service made.
pub(crate) struct Asks {
    /// Of each company.
    pub(crate) cards: Vec<Vec<uuid::Uuid>>,
    holds: Vec<(u64, String, u64)>,
}

impl Asks {
    /// Saves cards and makes holds at the gateway, before anything goes wrong.
    pub(crate) fn prepare(world: &World) -> anyhow::Result<Self> {
        world.engine(|engine, now_ms| {
            let mut cards = Vec::new();
            for company in &COMPANIES {
                let card = |number| {
                    let email = format!("payer{number}@test.example");
                    let saved = engine.save_test_card(now_ms, company.key, &email);
                    saved.context("a saved card")
                };
                cards.push((0..3).map(card).collect::<anyhow::Result<Vec<_>>>()?);
            }
            let mut holds = Vec::new();
            for number in 0..world.plan.payments {
                let mut dice = Dice::of(world.plan.seed, "ask", &[number]);
                let (kind, amount) = (Kind::of(&mut dice), amount(&mut dice));
                let account = company(&mut dice);
                if kind == Kind::Adopt {
                    let card = (&COMPANIES[account], cards[account][0]);
                    let hold = hold_elsewhere(engine, now_ms, card, amount)?;
                    holds.push((number, hold, amount));
                }
            }
            Ok(Self { cards, holds })
        })
    }

    /// The request of that number, as JSON; made once, since times are in it.
    pub(crate) fn request(&self, world: &World, number: u64) -> String {
        let mut dice = Dice::of(world.plan.seed, "ask", &[number]);
        let kind = Kind::of(&mut dice);
        let amount = amount(&mut dice);
        let account = company(&mut dice);
        let card = dice.pick(&self.cards[account]);
        let account = COMPANIES[account].name;
        let money = format!(r#""money":{{"amount":{amount},"currency":"MYR"}}"#);
        let customer = r#""customer":{"email":"payer@test.example"}"#;
        let plan = plan(world, amount, &mut dice);
        let body = match kind {
            Kind::Charge => format!(r#""type":"charge",{money},"token":"{card}",{customer}"#),
            Kind::ChargeLater => {
                let start = dice.between(1_000, 120_000);
                let end = world.written_time(start + dice.between(2_000, 240_000));
                let start = world.written_time(start);
                format!(
                    r#""type":"charge",{money},"token":"{card}",{customer},"not_before":"{start}","not_after":"{end}""#
                )
            }
            Kind::AuthorizeByToken => format!(
                r#""type":"authorize",{money},"source":{{"token":"{card}"}},"plan":{plan},{customer}"#
            ),
            Kind::Checkout => format!(
                r#""type":"authorize",{money},"source":{{"checkout":{{}}}},"plan":{plan},{customer}"#
            ),
            Kind::Adopt => {
                let hold = self.holds.iter().find(|(of, ..)| *of == number);
                let hold = hold.map_or("", |(_, hold, _)| hold.as_str());
                format!(r#""type":"adopt",{money},"purchase":"{hold}","plan":{plan}"#)
            }
            Kind::SaveCard => format!(r#""type":"save_card",{customer}"#),
        };
        format!(r#"{{"v":1,"account":"{account}","idempotency_key":"sim-{number}",{body}}}"#)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Charge,
    ChargeLater,
    AuthorizeByToken,
    Checkout,
    Adopt,
    SaveCard,
}

impl Kind {
    fn of(dice: &mut Dice) -> Self {
        match dice.below(20) {
            0..6 => Self::Charge,
            6..9 => Self::ChargeLater,
            9..13 => Self::AuthorizeByToken,
            13..16 => Self::Checkout,
            16..18 => Self::Adopt,
            _ => Self::SaveCard,
        }
    }
}

/// Whose request it is.
fn company(dice: &mut Dice) -> usize {
    usize::try_from(dice.below(COMPANIES.len() as u64)).unwrap_or(0)
}

fn amount(dice: &mut Dice) -> u64 {
    dice.between(100, 100_000)
}

fn plan(world: &World, amount: u64, dice: &mut Dice) -> String {
    let soon = dice.between(1_000, world.plan.trouble_ms / 2);
    let later = world.written_time(soon + dice.between(1_000, 300_000));
    let soon = world.written_time(soon);
    let half = amount / 2;
    match dice.below(8) {
        0 => format!(r#"{{"capture_at":"{soon}","capture_amount":{half}}}"#),
        1 | 6 | 7 => format!(r#"{{"release_at":"{soon}"}}"#),
        2 => format!(r#"{{"capture_at":"{soon}","release_at":"{later}"}}"#),
        3 => "{}".to_owned(),
        _ => format!(r#"{{"capture_at":"{soon}"}}"#),
    }
}

/// A hold that another service made.
pub(crate) fn hold_elsewhere(
    engine: &mut Engine,
    now_ms: i64,
    (company, card): (&Company, uuid::Uuid),
    amount: u64,
) -> anyhow::Result<String> {
    let purchase = json!({
        "brand_id": company.brand, "client": {"email": "payer@test.example"},
        "reference": "made elsewhere", "skip_capture": true,
        "purchase": {"currency": "MYR", "products": [{"name": "Room", "price": amount}]},
    });
    let mut call = |path: &str, body: &Value| -> anyhow::Result<Value> {
        let request = Request::api("POST", path, company.key, body.to_string());
        Ok(serde_json::from_str(&engine.answer(now_ms, request).body)?)
    };
    let made = call("purchases/", &purchase)?;
    let id = made["id"].as_str().context("a purchase")?.to_owned();
    let held = call(
        &format!("purchases/{id}/charge/"),
        &json!({"recurring_token": card}),
    )?;
    anyhow::ensure!(held["status"] == "hold", "no hold");
    Ok(id)
}
