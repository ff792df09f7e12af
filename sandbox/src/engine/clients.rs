//! Clients and the cards saved for them.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use uuid::Uuid;

use super::body::{Payer, client_details};
use super::purchase::{Purchase, Realm};
use super::refusal::Refusal;
use super::request::Response;
use super::route::Operation;
use super::{Engine, LateCall};

/// A client of a merchant.
pub(crate) struct Client {
    realm: Realm,
    created_s: i64,
    updated_s: i64,
    details: Value,
    tokens: Vec<Uuid>,
}

const PAGE: usize = 100;

impl Engine {
    pub(crate) fn client_call(
        &mut self,
        now_ms: i64,
        call: &LateCall,
        realm: Realm,
    ) -> Result<Response, Refusal> {
        let (id, token) = (call.route.id, call.route.second);
        let at_s = now_ms.div_euclid(1000);
        if call.route.operation == Operation::ClientCreate {
            let details = details_of(&call.body)?;
            let id = self.add_client(at_s, realm, details);
            return self
                .client(realm, id)
                .map(|client| object(201, &client_view(id, client)));
        }
        if call.route.operation == Operation::ClientList {
            return Ok(self.client_list(realm, &call.query));
        }
        self.client(realm, id)?;
        match call.route.operation {
            Operation::ClientWrite => {
                let details = self.merged(id, &call.body)?;
                if let Some(client) = self.clients.get_mut(&id) {
                    client.details = details;
                    client.updated_s = at_s;
                }
            }
            Operation::ClientDelete => {
                self.clients.remove(&id);
                self.clients_by_email.retain(|_, client| *client != id);
                return Ok(Response::json(204, String::new()));
            }
            Operation::TokenList => return self.token_list(realm, id),
            Operation::TokenRead => {
                let purchase = self.token_of(realm, id, token)?;
                return Ok(object(200, &token_view(purchase)));
            }
            Operation::TokenDelete => {
                self.token_of(realm, id, token)?;
                self.kill_token_at(now_ms, token);
                return Ok(Response::json(204, String::new()));
            }
            _ => {}
        }
        self.client(realm, id)
            .map(|client| object(200, &client_view(id, client)))
    }

    /// The client of a purchase and the details the purchase keeps of them.
    pub(crate) fn payer(
        &mut self,
        now_s: i64,
        realm: Realm,
        payer: Payer,
    ) -> Result<(Uuid, Box<RawValue>), Refusal> {
        let (id, details) = match payer {
            Payer::Known(id) => {
                let missing = |_| Refusal::field("client_id", "does_not_exist", "No such client.");
                (
                    id,
                    to_raw_value(&self.client(realm, id).map_err(missing)?.details),
                )
            }
            Payer::Given(details) => {
                let raw = to_raw_value(&details);
                let known = self
                    .clients_by_email
                    .get(&(realm, email(&details)))
                    .copied();
                (
                    known.unwrap_or_else(|| self.add_client(now_s, realm, details)),
                    raw,
                )
            }
        };
        Ok((id, details.unwrap_or_else(|_| RawValue::NULL.to_owned())))
    }

    /// Makes the card of a purchase chargeable, when it is to be.
    pub(crate) fn save_card(&mut self, now_ms: i64, id: Uuid, is_wished: bool) {
        let Some(purchase) = self.purchases.get_mut(&id) else {
            return;
        };
        if !is_wished && !purchase.terms.force_recurring && !purchase.is_preauthorization() {
            return;
        }
        purchase.change(now_ms, |face| face.is_token = true);
        if let Some(client) = self.clients.get_mut(&purchase.client_id) {
            client.tokens.push(id);
        }
    }

    pub(crate) fn kill_token_at(&mut self, now_ms: i64, id: Uuid) {
        // What is dead already dies no second time, and nobody hears of it again.
        let alive = |purchase: &&mut Purchase| purchase.face.is_token;
        let Some(purchase) = self.purchases.get_mut(&id).filter(alive) else {
            return;
        };
        purchase.change(now_ms, |face| face.is_token = false);
        if let Some(client) = self.clients.get_mut(&purchase.client_id) {
            client.tokens.retain(|token| *token != id);
        }
        self.emit(now_ms, id, "purchase.recurring_token_deleted");
    }

    fn client(&self, realm: Realm, id: Uuid) -> Result<&Client, Refusal> {
        let found = self.clients.get(&id).filter(|client| client.realm == realm);
        found.ok_or_else(Refusal::not_found)
    }

    fn add_client(&mut self, now_s: i64, realm: Realm, details: Value) -> Uuid {
        let id = self.new_id();
        self.clients_by_email
            .entry((realm, email(&details)))
            .or_insert(id);
        let client = Client {
            realm,
            created_s: now_s,
            updated_s: now_s,
            details,
            tokens: Vec::new(),
        };
        self.clients.insert(id, client);
        id
    }

    fn merged(&self, id: Uuid, body: &Value) -> Result<Value, Refusal> {
        let mut whole = self
            .clients
            .get(&id)
            .map(|c| c.details.clone())
            .unwrap_or_default();
        if let (Some(whole), Some(part)) = (whole.as_object_mut(), body.as_object()) {
            whole.extend(part.clone());
        }
        details_of(&whole)
    }

    fn client_list(&self, realm: Realm, query: &str) -> Response {
        let wanted = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "q");
        let wanted = wanted
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default();
        let mut found: Vec<_> = self
            .clients
            .iter()
            .filter(|(_, client)| client.realm == realm)
            .filter(|(_, client)| wanted.is_empty() || email(&client.details) == wanted)
            .collect();
        found.sort_by_key(|(id, client)| (client.created_s, **id));
        page(
            found
                .into_iter()
                .take(PAGE)
                .map(|(id, client)| client_view(*id, client))
                .collect(),
        )
    }

    fn token_list(&self, realm: Realm, id: Uuid) -> Result<Response, Refusal> {
        let tokens = self.client(realm, id)?.tokens.iter();
        Ok(page(
            tokens
                .filter_map(|id| self.purchases.get(id))
                .map(token_view)
                .collect(),
        ))
    }

    fn token_of(&self, realm: Realm, client: Uuid, token: Uuid) -> Result<&Purchase, Refusal> {
        let is_theirs = self.client(realm, client)?.tokens.contains(&token);
        let found = self.purchases.get(&token).filter(|_| is_theirs);
        found.ok_or_else(Refusal::not_found)
    }
}

fn details_of(body: &Value) -> Result<Value, Refusal> {
    client_details(body).map_err(|body| Refusal { status: 400, body })
}

fn email(details: &Value) -> String {
    details
        .get("email")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_lowercase()
}

fn object(status: u16, value: &Value) -> Response {
    Response::json(status, value.to_string())
}

pub(crate) fn page(results: Vec<Value>) -> Response {
    let body = json!({ "results": Value::Array(results), "next": null, "previous": null });
    Response::json(200, body.to_string())
}

fn client_view(id: Uuid, client: &Client) -> Value {
    let mut view = client.details.clone();
    if let Some(map) = view.as_object_mut() {
        map.insert("id".to_owned(), json!(id));
        map.insert("type".to_owned(), json!("client"));
        map.insert("created_on".to_owned(), json!(client.created_s));
        map.insert("updated_on".to_owned(), json!(client.updated_s));
    }
    view
}

fn token_view(purchase: &Purchase) -> Value {
    let card = purchase.card.as_ref();
    json!({
        "id": purchase.id, "type": "recurring_token", "created_on": purchase.created_s,
        "updated_on": purchase.face.updated_s,
        "payment_method": card.map_or("", |card| card.brand),
        "description": card.map_or("", |card| card.masked_pan.as_str()),
    })
}
