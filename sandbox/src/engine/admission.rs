//! The way in: what a request asks for, whose it is, and which faults await it.

use serde_json::Value;

use super::purchase::Realm;
use super::refusal::Refusal;
use super::request::Request;
use super::route::{self, Operation, Route};
use super::{Engine, LateCall};
use crate::fault::{Chosen, Facts};
use crate::ledger::{RequestRow, Row};

impl Engine {
    pub(super) fn admit(
        &mut self,
        now_ms: i64,
        request: Request,
    ) -> Result<(LateCall, Chosen), (Refusal, Row)> {
        let route = route::route(&request.method, &request.path);
        let row = self.arrived(now_ms, &request);
        let route = route.map_err(|refusal| (refusal, row))?;
        let operation = route.operation;
        let realm = self
            .realm(operation, request.key.as_deref())
            .map_err(|r| (r, row))?;
        let (body, form) = if operation.is_payers() {
            (Value::Null, request.body)
        } else {
            (
                parse(&request).map_err(|refusal| (refusal, row))?,
                Vec::new(),
            )
        };
        let mut chosen = self.choose(&route, &body);
        self.ledger.faulted(row, &chosen.names);
        let call = LateCall {
            route,
            realm,
            body,
            form,
            query: request.query,
            client_ip: request.client_ip,
            idempotency_key: request.idempotency_key,
            row,
            fate: chosen.fate.take(),
            stale: chosen.stale.take(),
        };
        Ok((call, chosen))
    }

    /// Writes a request down as it arrived.
    pub(super) fn arrived(&mut self, now_ms: i64, request: &Request) -> Row {
        let route = route::route(&request.method, &request.path).ok();
        self.ledger.arrived(RequestRow {
            seq: 0,
            at_ms: now_ms,
            method: request.method.clone(),
            path: request.path.clone(),
            idempotency_key: request.idempotency_key.clone(),
            operation: route.map_or(Operation::Unknown, |route| route.operation),
            purchase_id: route.map(|route| route.id).filter(|id| !id.is_nil()),
            status: None,
            faults: Vec::new(),
            committed: false,
        })
    }

    fn realm(&self, operation: Operation, key: Option<&str>) -> Result<Option<Realm>, Refusal> {
        if operation.needs_no_key() {
            return Ok(None);
        }
        let realm = key.and_then(|key| self.realms.get(key)).copied();
        let refusal = || Refusal::all(401, "authentication_failed", "Incorrect secret_key");
        realm.map(Some).ok_or_else(refusal)
    }

    fn choose(&mut self, route: &Route, body: &Value) -> Chosen {
        if self.rules.is_empty() {
            return Chosen::default();
        }
        let purchase = self.purchases.get(&route.id);
        let asked = body
            .get("reference")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let facts = Facts {
            operation: route.operation,
            purchase_id: purchase.map(|p| p.id),
            reference: purchase.map_or(asked, |p| &p.terms.reference),
            metadata: purchase.map_or_else(
                || body.pointer("/purchase/metadata"),
                |p| p.terms.metadata.as_ref(),
            ),
            event: None,
        };
        self.rules.choose(&facts)
    }
}

fn parse(request: &Request) -> Result<Value, Refusal> {
    if request.body.is_empty() {
        return Ok(Value::Null);
    }
    let media = request.content_type.as_deref().unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let text = format!("Unsupported media type \"{media}\" in request.");
        return Err(Refusal::all(415, "unsupported_media_type", &text));
    }
    serde_json::from_slice(&request.body)
        .map_err(|_| Refusal::all(400, "parse_error", "The body is not valid JSON."))
}
