//! From flags to a request. Flags become the same JSON that every producer sends, so that one
//! piece of code refuses what is wrong, with one wording.

use std::io::{Read, Write};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Number, Value, json};

use super::enqueue::{
    AdoptArgs, AskArgs, AuthorizeArgs, ChargeArgs, CheckoutArgs, CommonArgs, CustomerArgs,
    EnqueueArgs, FromJson, MoneyArgs, PlanArgs, SaveCardArgs, TokenArgs,
};
use super::failure::Failure;
use crate::api::v1::span;
use crate::payment::{InvalidMoney, Request};

/// What flags may need besides themselves.
pub struct Around<'a> {
    /// The environment variables.
    pub env: &'a [(String, String)],
    /// Standard input.
    pub input: &'a mut dyn Read,
    /// Where warnings go: standard error.
    pub warnings: &'a mut dyn Write,
}

/// The request that was typed.
pub(super) fn request(args: &EnqueueArgs, around: &mut Around<'_>) -> Result<Request, Failure> {
    let (kind, from) = match &args.ask {
        None => (None, &args.json),
        Some(AskArgs::Authorize(ask)) => (Some("authorize"), &ask.common.json),
        Some(AskArgs::SaveCard(ask)) => (Some("save_card"), &ask.common.json),
        Some(AskArgs::Charge(ask)) => (Some("charge"), &ask.common.json),
        Some(AskArgs::Adopt(ask)) => (Some("adopt"), &ask.common.json),
    };
    let json = match (&from.request, &args.ask) {
        (Some(file), _) => {
            let text = read(file, "--request", around)?;
            same_kind(&text, kind)?;
            text
        }
        (None, None) => {
            let told = "name a kind of request (authorize, save-card, charge, adopt) or give \
                        --request FILE";
            return Err(Failure::Wrong(told.to_owned()));
        }
        (None, Some(ask)) => flags(ask, around)?.to_string(),
    };
    Ok(Request::from_json(json.as_bytes())?)
}

/// How long to wait for the outcome.
pub(super) const fn waiting(args: &EnqueueArgs) -> Option<std::time::Duration> {
    let FromJson { wait, .. } = match &args.ask {
        None => &args.json,
        Some(AskArgs::Authorize(ask)) => &ask.common.json,
        Some(AskArgs::SaveCard(ask)) => &ask.common.json,
        Some(AskArgs::Charge(ask)) => &ask.common.json,
        Some(AskArgs::Adopt(ask)) => &ask.common.json,
    };
    *wait
}

/// `enqueue charge --request` with an authorize in it is a slip that would move money otherwise.
fn same_kind(text: &str, kind: Option<&str>) -> Result<(), Failure> {
    let value: Option<Value> = serde_json::from_str(text).ok();
    let told = value
        .as_ref()
        .and_then(|value| value.get("type"))
        .and_then(Value::as_str);
    match (kind, told) {
        (Some(kind), Some(told)) if kind != told => Err(Failure::Wrong(format!(
            "type: the request is {told:?} and the command line says {kind}; make them agree"
        ))),
        _ => Ok(()),
    }
}

fn flags(ask: &AskArgs, around: &mut Around<'_>) -> Result<Value, Failure> {
    let (common, mut fields) = match ask {
        AskArgs::Authorize(ask) => (&ask.common, authorize(ask, around)?),
        AskArgs::SaveCard(ask) => (&ask.common, save_card(ask)),
        AskArgs::Charge(ask) => (&ask.common, charge(ask, around)?),
        AskArgs::Adopt(ask) => (&ask.common, adopt(ask, around)?),
    };
    let CommonArgs {
        account,
        idempotency_key,
        reference,
        ..
    } = common;
    fields.insert("v".to_owned(), json!(1));
    put(&mut fields, "account", account.as_ref());
    put(&mut fields, "idempotency_key", idempotency_key.as_ref());
    put(&mut fields, "reference", reference.as_ref());
    Ok(Value::Object(fields))
}

fn authorize(ask: &AuthorizeArgs, around: &mut Around<'_>) -> Result<Map<String, Value>, Failure> {
    let source = match token(&ask.token, around)? {
        Some(token) => json!({ "token": token }),
        None => json!({ "checkout": checkout(&ask.payer) }),
    };
    let mut fields = kind("authorize");
    fields.insert("money".to_owned(), money(&ask.money)?);
    fields.insert("source".to_owned(), source);
    fields.insert("plan".to_owned(), plan(&ask.plan)?);
    customer(&mut fields, &ask.customer);
    Ok(fields)
}

fn save_card(ask: &SaveCardArgs) -> Map<String, Value> {
    let mut fields = kind("save_card");
    fields.insert("checkout".to_owned(), checkout(&ask.payer));
    put(&mut fields, "currency", ask.currency.as_ref());
    customer(&mut fields, &ask.customer);
    fields
}

fn charge(ask: &ChargeArgs, around: &mut Around<'_>) -> Result<Map<String, Value>, Failure> {
    let mut fields = kind("charge");
    fields.insert("money".to_owned(), money(&ask.money)?);
    put(&mut fields, "token", token(&ask.token, around)?.as_ref());
    put(&mut fields, "not_before", ask.not_before.as_ref());
    put(&mut fields, "not_after", ask.not_after.as_ref());
    customer(&mut fields, &ask.customer);
    Ok(fields)
}

fn adopt(ask: &AdoptArgs, around: &mut Around<'_>) -> Result<Map<String, Value>, Failure> {
    let purchase = match &ask.purchase_file {
        Some(file) => Some(read(file, "--purchase-file", around)?.trim().to_owned()),
        None => ask.purchase.clone(),
    };
    let mut fields = kind("adopt");
    fields.insert("money".to_owned(), money(&ask.money)?);
    put(&mut fields, "purchase", purchase.as_ref());
    fields.insert("plan".to_owned(), plan(&ask.plan)?);
    Ok(fields)
}

fn kind(name: &str) -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), json!(name))])
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Option<&String>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), json!(value));
    }
}

fn money(args: &MoneyArgs) -> Result<Value, Failure> {
    let amount = args
        .amount
        .as_deref()
        .map(|text| amount("--amount", text))
        .transpose()?;
    Ok(json!({"amount": amount, "currency": args.currency}))
}

/// An amount as it was typed; whether it is one is for the request to say.
fn amount(flag: &str, text: &str) -> Result<Number, Failure> {
    let wrong = |_| Failure::Wrong(format!("{flag}: {}", InvalidMoney::Amount(text.to_owned())));
    Number::from_str(text.trim()).map_err(wrong)
}

/// The same of a flag that may be missing.
pub(super) fn amount_if_given(flag: &str, text: Option<String>) -> Result<Option<Number>, Failure> {
    text.map(|text| amount(flag, &text)).transpose()
}

fn customer(fields: &mut Map<String, Value>, args: &CustomerArgs) {
    let mut customer = Map::new();
    put(&mut customer, "email", args.email.as_ref());
    put(&mut customer, "full_name", args.full_name.as_ref());
    put(&mut customer, "phone", args.phone.as_ref());
    fields.insert("customer".to_owned(), Value::Object(customer));
    put(fields, "description", args.description.as_ref());
}

fn checkout(args: &CheckoutArgs) -> Value {
    let mut checkout = Map::new();
    put(
        &mut checkout,
        "success_redirect",
        args.success_redirect.as_ref(),
    );
    put(
        &mut checkout,
        "failure_redirect",
        args.failure_redirect.as_ref(),
    );
    put(
        &mut checkout,
        "cancel_redirect",
        args.cancel_redirect.as_ref(),
    );
    put(&mut checkout, "pay_by", args.pay_by.as_ref());
    Value::Object(checkout)
}

fn plan(args: &PlanArgs) -> Result<Value, Failure> {
    let mut plan = Map::new();
    put(&mut plan, "capture_at", args.capture_at.as_ref());
    put(&mut plan, "release_at", args.release_at.as_ref());
    put(&mut plan, "expires_at", args.expires_at.as_ref());
    put(&mut plan, "before_expiry", args.before_expiry.as_ref());
    if let Some(text) = &args.capture_amount {
        plan.insert(
            "capture_amount".to_owned(),
            amount("--capture-amount", text)?.into(),
        );
    }
    Ok(Value::Object(plan))
}

/// The token that was typed, or stands where it was said.
pub(super) fn token(args: &TokenArgs, around: &mut Around<'_>) -> Result<Option<String>, Failure> {
    if let Some(file) = &args.token_file {
        return Ok(Some(read(file, "--token-file", around)?.trim().to_owned()));
    }
    let Some(name) = &args.token_env else {
        return Ok(args.token.clone());
    };
    let found = around.env.iter().find(|(known, _)| known == name);
    let wrong = || Failure::Wrong(format!("--token-env: the variable {name} is not set"));
    found
        .map(|(_, value)| Some(value.trim().to_owned()))
        .ok_or_else(wrong)
}

fn read(file: &Path, flag: &str, around: &mut Around<'_>) -> Result<String, Failure> {
    let mut text = String::new();
    let done = if file.as_os_str() == "-" {
        around.input.read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    let wrong = |error| {
        let file = file.display();
        Failure::Wrong(format!(
            "{flag}: {file} cannot be read ({error}); name a file, or - for standard input"
        ))
    };
    done.map(|()| text).map_err(wrong)
}

/// How long to wait, as it was typed.
pub(super) fn parse_wait(text: &str) -> Result<Duration, String> {
    span(text).ok_or_else(|| "write a number and a unit: 500ms, 5s or 2m".to_owned())
}
