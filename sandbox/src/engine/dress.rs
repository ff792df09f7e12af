//! The way out: the true answer, or what a fault makes of it.

use uuid::Uuid;

use super::Engine;
use super::refusal::Refusal;
use super::request::{Manner, Response};
use crate::fault::{Answer, Chosen};
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
            Answer::Status {
                status,
                retry_after_s,
                html,
            } => {
                let made = if *html {
                    html_error(*status)
                } else {
                    json_error(*status)
                };
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

fn json_error(status: u16) -> Response {
    let (code, message) = match status {
        429 => ("rate_limited", "Too many requests."),
        401 => ("authentication_failed", "Incorrect secret_key"),
        403 => ("forbidden", "This key may not do that."),
        502 => ("bad_gateway", "The upstream did not answer."),
        _ => ("internal_error", "Something went wrong on our side."),
    };
    Response::json(status, Refusal::all(status, code, message).body.to_string())
}

fn html_error(status: u16) -> Response {
    Response::html(
        status,
        format!("<html><body><h1>{status}</h1></body></html>\n"),
    )
}
