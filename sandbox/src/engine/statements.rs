//! Company statements: scheduled, made after a while, and then to be had as CSV under a link.
//!
//! What a statement's columns are called is written down nowhere. These are named as the API names
//! the same fields, amounts are in ringgit, and times are those of the zone that was asked for. The
//! rows are made from the ledger: one for each movement that took money or gave taken money back.

use std::fmt::Write as _;

use chrono::{DateTime, FixedOffset, Offset, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::clients::page;
use super::fields::Fields;
use super::purchase::Realm;
use super::refusal::Refusal;
use super::request::Response;
use super::route::Operation;
use super::timer::Timer;
use super::{Engine, LateCall};
use crate::ledger::{Movement, MovementKind};

const HEADER: &str = "id,type,status,reference,brand_id,currency,amount,fee_amount,net_amount,\
                      payment_method,created_on,paid_on,is_test\n";

/// How far a statement is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Pending,
    Success,
    Cancelled,
}

impl Progress {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A statement that was asked for.
pub(crate) struct Statement {
    id: Uuid,
    /// What its link ends in: whoever knows it may read the statement.
    link: Uuid,
    realm: Realm,
    wish: Wish,
    progress: Progress,
    created_s: i64,
    finished_s: Option<i64>,
    csv: String,
}

/// What it is about.
struct Wish {
    query: String,
    timezone: String,
    offset: FixedOffset,
    brand: Option<Uuid>,
    /// When it was paid, in unix seconds: from the first on, before the second.
    paid: (i64, i64),
}

impl Wish {
    fn read(call: &LateCall) -> Result<Self, Refusal> {
        let empty = Map::new();
        let mut fields = Fields::of(call.body.as_object(), &empty);
        let format = fields.required_text("format", 32);
        if !format.is_empty() && format != "csv" {
            let text = format!("\"{format}\" is not a valid choice.");
            fields.fail("format", "invalid_choice", &text);
        }
        let timezone = fields.text("timezone", 64);
        let offset = offset_of(&timezone);
        if offset.is_none() {
            fields.fail("timezone", "invalid_choice", "Not a valid time zone.");
        }
        let asked = |name: &str| {
            let mut pairs = form_urlencoded::parse(call.query.as_bytes());
            pairs.find_map(|(known, value)| (known == name).then(|| value.into_owned()))
        };
        let mut second = |name: &str, default: i64| match asked(name).map(|text| text.parse()) {
            None => default,
            Some(Ok(second)) => second,
            Some(Err(_)) => {
                fields.fail(name, "invalid", "A valid integer is required.");
                default
            }
        };
        let paid = (second("paid_from", i64::MIN), second("paid_to", i64::MAX));
        let brand = asked("brand_id").map(|text| Uuid::try_parse(&text));
        if let Some(Err(_)) = brand {
            fields.fail("brand_id", "invalid", "Must be a valid UUID.");
        }
        fields
            .finish()
            .map_err(|body| Refusal { status: 400, body })?;
        Ok(Self {
            query: call.query.clone(),
            timezone,
            offset: offset.unwrap_or_else(|| Utc.fix()),
            brand: brand.and_then(Result::ok),
            paid,
        })
    }
}

/// The zones that matter here; neither has a summer time.
fn offset_of(timezone: &str) -> Option<FixedOffset> {
    match timezone {
        "" | "UTC" => Some(Utc.fix()),
        "Asia/Kuala_Lumpur" | "Asia/Singapore" => FixedOffset::east_opt(8 * 3600),
        _ => None,
    }
}

impl Engine {
    pub(crate) fn statement_call(
        &mut self,
        now_ms: i64,
        call: &LateCall,
        realm: Realm,
    ) -> Result<Response, Refusal> {
        let theirs = |statement: &&Statement| statement.realm == realm;
        match call.route.operation {
            Operation::StatementSchedule => {
                let wish = Wish::read(call)?;
                return Ok(self.schedule(now_ms, realm, wish));
            }
            Operation::StatementList => {
                let theirs = self.statements.iter().filter(theirs);
                return Ok(page(theirs.map(|one| self.shown_statement(one)).collect()));
            }
            _ => {}
        }
        let is_meant = |one: &Statement| one.realm == realm && one.id == call.route.id;
        let index = self.statements.iter().position(is_meant);
        let index = index.ok_or_else(Refusal::not_found)?;
        let is_pending = self.statements[index].progress == Progress::Pending;
        if call.route.operation == Operation::StatementCancel && is_pending {
            self.statements[index].progress = Progress::Cancelled;
        }
        let shown = self.shown_statement(&self.statements[index]);
        Ok(Response::json(200, shown.to_string()))
    }

    fn schedule(&mut self, now_ms: i64, realm: Realm, wish: Wish) -> Response {
        let statement = Statement {
            id: self.new_id(),
            link: self.new_id(),
            realm,
            wish,
            progress: Progress::Pending,
            created_s: now_ms.div_euclid(1000),
            finished_s: None,
            csv: String::new(),
        };
        let at_ms = now_ms.saturating_add_unsigned(self.behaviour.statement_ms);
        self.timers.at(at_ms, Timer::Statement(statement.id));
        let shown = self.shown_statement(&statement);
        self.statements.push(statement);
        Response::json(201, shown.to_string())
    }

    fn shown_statement(&self, statement: &Statement) -> Value {
        let is_made = statement.progress == Progress::Success;
        let link = format!("{}/statements/{}/", self.base_url, statement.link);
        let company = &self.accounts[statement.realm.account];
        json!({
            "id": statement.id, "type": "company_statement", "format": "csv",
            "timezone": statement.wish.timezone, "is_test": !statement.realm.live,
            "company_uid": company.company_id, "query_string": statement.wish.query,
            "status": statement.progress.as_str(),
            "download_url": if is_made { link } else { String::new() },
            "began_on": statement.finished_s.map(|_| statement.created_s),
            "finished_on": statement.finished_s, "created_on": statement.created_s,
            "updated_on": statement.finished_s.unwrap_or(statement.created_s),
        })
    }

    /// What has come due: the statement is made as the books stand now.
    pub(crate) fn make_statement(&mut self, now_ms: i64, id: Uuid) {
        let waits = |one: &Statement| one.id == id && one.progress == Progress::Pending;
        let Some(index) = self.statements.iter().position(waits) else {
            return;
        };
        let mut csv = HEADER.to_owned();
        for movement in self.ledger.movements() {
            self.write_row(&self.statements[index], movement, &mut csv);
        }
        let statement = &mut self.statements[index];
        statement.csv = csv;
        statement.progress = Progress::Success;
        statement.finished_s = Some(now_ms.div_euclid(1000));
    }

    fn write_row(&self, of: &Statement, movement: &Movement, csv: &mut String) {
        let kind = match movement.kind {
            MovementKind::Capture | MovementKind::Charge => "purchase",
            MovementKind::Refund => "refund",
            MovementKind::Hold | MovementKind::Release | MovementKind::Lapse => return,
        };
        let at_s = movement.at_ms.div_euclid(1000);
        let Some(purchase) = self.purchases.get(&movement.purchase_id) else {
            return;
        };
        let (from, to) = of.wish.paid;
        let brand = purchase.terms.brand_id;
        let is_meant = purchase.realm == of.realm
            && of.wish.brand.is_none_or(|wanted| wanted == brand)
            && (from..to).contains(&at_s);
        if !is_meant {
            return;
        }
        let status = json!(purchase.face.status);
        let method = purchase.card.as_ref().map_or("", |card| card.brand);
        let amount = format!("{}.{:02}", movement.amount / 100, movement.amount % 100);
        // Writing to a string cannot fail.
        let _ = writeln!(
            csv,
            "{},{kind},{},{},{brand},{},{amount},0.00,{amount},{method},{},{},{}",
            purchase.id,
            status.as_str().unwrap_or_default(),
            quoted(&movement.reference),
            movement.currency,
            shown_time(purchase.created_s, of.wish.offset),
            shown_time(at_s, of.wish.offset),
            movement.is_test,
        );
    }

    pub(crate) fn download_statement(&self, link: Uuid) -> Result<Response, Refusal> {
        let is_meant = |one: &&Statement| one.link == link && one.progress == Progress::Success;
        let found = self.statements.iter().find(is_meant);
        let found = found.ok_or_else(Refusal::not_found)?;
        Ok(Response::csv(found.csv.clone()))
    }
}

/// A field as CSV has it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn shown_time(at_s: i64, offset: FixedOffset) -> String {
    let at = DateTime::from_timestamp(at_s, 0).unwrap_or_default();
    let at = at.with_timezone(&offset);
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}
