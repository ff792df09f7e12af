//! The way out: the true answer, or what a fault makes of it.

use serde_json::{Value, json};
use uuid::Uuid;

use super::Engine;
use super::refusal::{Refusal, fault};
use super::request::{Manner, Response};
use crate::fault::{Answer, Chosen, Difference, ErrorBody};
use crate::ledger::Row;

impl Engine {
    /// Turns the true answer into the one the client gets, and writes it down.
    pub(super) fn dress(
        &mut self,
        row: Row,
        chosen: &Chosen,
        answer: Result<Response, Refusal>,
        purchase: Option<Uuid>,
    ) -> Response {
        let mut response = answer
            .unwrap_or_else(|refusal| Response::json(refusal.status, refusal.body.to_string()));
        response.delay_ms = chosen.latency_ms;
        if let Some((_, fault)) = &chosen.broken {
            self.spoil(&mut response, fault, purchase);
        }
        let is_answered = matches!(response.manner, Manner::Whole | Manner::Truncated);
        self.ledger
            .answered(row, is_answered.then_some(response.status), purchase);
        response
    }

    fn spoil(&mut self, response: &mut Response, fault: &Answer, purchase: Option<Uuid>) {
        match fault {
            Answer::Silence => response.manner = Manner::Silence,
            Answer::Reset => response.manner = Manner::Reset,
            Answer::Truncated => response.manner = Manner::Truncated,
            Answer::NotJson => {
                let body = "<!doctype html><title>One moment</title>".to_owned();
                *response = Response {
                    delay_ms: response.delay_ms,
                    ..Response::html(200, body)
                };
            }
            Answer::WrongId => {
                let other = self.new_id().to_string();
                if let Some(id) = purchase {
                    response.body = response.body.replace(&id.to_string(), &other);
                }
            }
            Answer::Differing(difference) => differ(response, *difference),
            Answer::Status {
                status,
                retry_after_s,
                body,
            } => {
                let made = error(*status, *body);
                let delay_ms = response.delay_ms;
                *response = Response {
                    delay_ms,
                    retry_after_s: *retry_after_s,
                    ..made
                };
            }
        }
    }
}

fn error(status: u16, body: ErrorBody) -> Response {
    let (code, message) = words(status);
    match body {
        ErrorBody::List => {
            Response::json(status, Refusal::all(status, code, message).body.to_string())
        }
        ErrorBody::Object => {
            let body = json!({ "__all__": fault(code, message) });
            Response::json(status, body.to_string())
        }
        ErrorBody::Html => {
            let body = format!("<html><body><h1>{status}</h1></body></html>\n");
            Response::html(status, body)
        }
        ErrorBody::Empty => Response {
            status,
            ..Response::default()
        },
    }
}

/// The code that goes with a status.
fn words(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => (
            "invalid_request",
            "Required fields are missing or malformed.",
        ),
        401 => ("authentication_failed", "Incorrect secret_key"),
        403 => ("forbidden", "This key may not do that."),
        404 => ("not_found", "Not found."),
        405 => ("method_not_allowed", "Method not allowed."),
        409 => ("conflict", "Not possible in the present state."),
        422 => ("unprocessable_entity", "Not possible with these values."),
        429 => ("rate_limited", "Too many requests."),
        502 => ("bad_gateway", "The upstream did not answer."),
        _ => ("internal_error", "Something went wrong on our side."),
    }
}

/// Changes what an answer says of the purchase; an answer that is none stays as it is.
fn differ(response: &mut Response, difference: Difference) {
    let Ok(mut body) = serde_json::from_str::<Value>(&response.body) else {
        return;
    };
    if body.get("purchase").is_none() {
        return;
    }
    match difference {
        Difference::Amount => {
            more(&mut body, "/purchase/total");
            more(&mut body, "/payment/amount");
        }
        Difference::Currency => {
            body["purchase"]["currency"] = json!("SGD");
            if body["payment"].is_object() {
                body["payment"]["currency"] = json!("SGD");
            }
        }
        Difference::Brand => body["brand_id"] = json!(Uuid::from_u128(0xd1ff)),
        Difference::Mode => {
            let is_test = body["is_test"].as_bool().unwrap_or_default();
            body["is_test"] = json!(!is_test);
        }
        Difference::Conversion => {
            body["currency_conversion"] =
                json!({ "original_currency": "USD", "original_amount": 100, "exchange_rate": 4.2 });
        }
        Difference::MarkedAsPaid => body["marked_as_paid"] = json!(true),
    }
    response.body = body.to_string();
}

fn more(body: &mut Value, pointer: &str) {
    if let Some(amount) = body.pointer_mut(pointer)
        && let Some(minor) = amount.as_i64()
    {
        *amount = json!(minor + 1);
    }
}
