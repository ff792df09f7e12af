//! What the operations of the API refer to: bodies, answers, parameters.

use serde_json::{Map, Value, json};

use super::{ProblemCode, desk_documented};
use crate::payment::{Command, Request, StateName};

/// What a card is called.
const CARD_ID: &str = "^card_[0-9a-f]{32}$";

/// The `components` of the document.
pub(super) fn components() -> Value {
    let mut schemas = Map::new();
    requests(&mut schemas);
    commands(&mut schemas);
    schemas.insert("Payment".to_owned(), payment());
    schemas.insert("Card".to_owned(), card());
    schemas.insert("Problem".to_owned(), problem());
    schemas.insert("Page".to_owned(), page());
    schemas.insert("Batch".to_owned(), batch());
    schemas.insert("BatchResults".to_owned(), batch_results());
    desk_documented::schemas(&mut schemas);
    json!({
        "schemas": schemas,
        "parameters": parameters(),
        "securitySchemes": { "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, as `holdfast api-key` makes it.",
        }},
    })
}

/// Takes a JSON Schema's definitions in, under names that begin with `prefix`.
fn take_in(schemas: &mut Map<String, Value>, schema: &str, prefix: &str) -> Value {
    let renamed = schema.replace("#/$defs/", &format!("#/components/schemas/{prefix}."));
    let mut schema: Value = serde_json::from_str(&renamed).unwrap_or_default();
    let definitions = schema["$defs"].take();
    for (name, definition) in definitions.as_object().into_iter().flatten() {
        schemas.insert(format!("{prefix}.{name}"), definition.clone());
    }
    schema
}

/// Requests, but that the address says the version, and a header may say the key.
fn requests(schemas: &mut Map<String, Value>) {
    let whole = take_in(schemas, Request::SCHEMA, "request");
    for kind in ["authorize", "save_card", "charge", "adopt"] {
        let required = &mut schemas[&format!("request.{kind}")]["required"];
        if let Value::Array(names) = required {
            names.retain(|name| name != "v" && name != "idempotency_key");
        }
    }
    let told = json!({
        "description": "What a producer asks: one promise about money.",
        "oneOf": whole["oneOf"],
        "discriminator": { "propertyName": "type", "mapping": {
            "authorize": "#/components/schemas/request.authorize",
            "save_card": "#/components/schemas/request.save_card",
            "charge": "#/components/schemas/request.charge",
            "adopt": "#/components/schemas/request.adopt",
        }},
        "examples": whole["examples"],
    });
    schemas.insert("Request".to_owned(), told);
}

/// Commands, but that the address says which.
fn commands(schemas: &mut Map<String, Value>) {
    take_in(schemas, Command::SCHEMA, "command");
    for (name, kind) in [("Capture", "capture"), ("Reschedule", "reschedule")] {
        let mut body = schemas[&format!("command.{kind}")].clone();
        if let Some(fields) = body["properties"].as_object_mut() {
            fields.remove("command");
        }
        if let Some(fields) = body.as_object_mut() {
            fields.remove("required");
            fields.remove("examples");
        }
        schemas.insert(name.to_owned(), body);
    }
    for kind in [
        "capture",
        "release",
        "reschedule",
        "cancel",
        "rerun",
        "resolve_as_shown",
        "propose_by_hand",
        "approve_by_hand",
    ] {
        schemas.remove(&format!("command.{kind}"));
    }
}

pub(super) fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

pub(super) fn maybe(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

pub(super) fn states() -> Value {
    let names: Vec<&str> = StateName::ALL.iter().map(|state| state.as_str()).collect();
    json!({ "enum": names })
}

fn money() -> Value {
    json!({
        "type": "object",
        "required": ["amount", "currency"],
        "properties": {
            "amount": { "type": "integer", "description": "In minor units: 1500 is RM 15.00." },
            "currency": { "type": "string" },
        },
    })
}

fn card_id() -> Value {
    json!({ "type": ["string", "null"], "pattern": CARD_ID })
}

fn brand() -> Value {
    json!({ "type": ["string", "null"], "description": "Once the gateway has shown it: visa." })
}

fn last_four() -> Value {
    json!({
        "type": ["string", "null"],
        "pattern": "^[0-9]{4}$",
        "description": "Of the card's number, once the gateway has shown them.",
    })
}

fn payment() -> Value {
    let text = json!({ "type": "string" });
    let link = json!({ "type": ["string", "null"], "description": "While the payer may pay." });
    let fields = json!({
        "id": text,
        "account": text,
        "idempotency_key": text,
        "reference": { "type": ["string", "null"] },
        "type": { "enum": ["authorize", "save_card", "charge", "adopt"] },
        "money": maybe(&money()),
        "state": states(),
        "reason": maybe(&json!({
            "type": "object",
            "required": ["why"],
            "properties": { "why": text },
            "description": "Why it failed or was parked.",
        })),
        "resolved": {
            "enum": ["as_shown", "by_hand", null],
            "description": "How people settled it. as_shown: by what the gateway shows, although it is not \
                            what was asked. by_hand: by what two people stated, with nothing at the \
                            gateway against it.",
        },
        "rerun_wanted_since": {
            "type": ["string", "null"], "format": "date-time",
            "description": "It is parked, and a rerun is wanted: somebody asked for it, or the call that it \
                            was parked for was never made. It goes on by itself once a look at the gateway \
                            shows that it can.",
        },
        "taken": maybe(&money()),
        "hold": maybe(&json!({
            "type": "object",
            "required": ["money", "since", "expires_at"],
            "properties": { "money": money(), "since": time(), "expires_at": time() },
        })),
        "token": { "type": ["string", "null"], "description": "Of the card that was saved." },
        "card": maybe(&json!({
            "type": "object",
            "required": ["id", "brand", "last_four"],
            "properties": { "id": card_id(), "brand": brand(), "last_four": last_four() },
            "additionalProperties": false,
            "description": "The card, once something is known of it; the id, once its token is.",
        })),
        "plan": { "type": "object" },
        "checkout_url": link,
        "direct_post_url": link,
        "created_at": time(),
        "finished_at": maybe(&time()),
        "history": { "type": "array", "items": {
            "type": "object",
            "required": ["at", "to"],
            "properties": { "at": time(), "to": states() },
        }},
        "commands": { "type": "array", "items": {
            "type": "object",
            "required": ["idempotency_key", "command", "answer", "at"],
            "properties": {
                "idempotency_key": text,
                "command": { "type": "object" },
                "answer": text,
                "at": time(),
            },
        }},
    });
    let names: Vec<&String> = fields.as_object().into_iter().flat_map(Map::keys).collect();
    json!({
        "type": "object",
        "required": names,
        "properties": fields,
        "additionalProperties": false,
    })
}

fn problem() -> Value {
    let over_http = |code: &&ProblemCode| !ProblemCode::OF_PUSHES.contains(code);
    let codes = ProblemCode::ALL.iter().filter(over_http);
    let codes: Vec<&str> = codes.map(|code| code.as_str()).collect();
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457). `code` is stable; `detail` says what to do.",
        "required": ["type", "code", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string" },
            "code": { "enum": codes },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "field": { "type": "string" },
            "payment": { "$ref": "#/components/schemas/Payment" },
        },
        "additionalProperties": false,
    })
}

fn card() -> Value {
    let fields = json!({
        "id": { "type": "string", "pattern": CARD_ID },
        "account": { "type": "string" },
        "brand": brand(),
        "last_four": last_four(),
        "state": {
            "enum": ["live", "deleting", "dead"],
            "description": "Whether it can be charged, as far as is known.",
        },
        "why": maybe(&json!({
            "enum": ["invalid_recurring_token", "recurring_token_expired", "deleted", "not_a_token"],
            "description": "Why it is dead. invalid_recurring_token, recurring_token_expired: a charge was \
                            refused for the token itself. deleted: its deletion was asked for here, and \
                            the gateway has shown it. not_a_token: the gateway no longer has it, although \
                            nobody asked for that here.",
        })),
        "since": maybe(&json!({
            "type": "string",
            "format": "date-time",
            "description": "Since when it is dead, or being deleted.",
        })),
        "payment": { "type": ["string", "null"], "description": "The payment that found out that it is dead." },
        "wanted": {
            "enum": ["look", "delete", null],
            "description": "What a worker is still trying to do.",
        },
        "first_seen_at": time(),
        "looked_at": maybe(&json!({
            "type": "string",
            "format": "date-time",
            "description": "When the gateway last said whether it has it.",
        })),
        "saved_by": { "type": ["string", "null"], "description": "The payment that saved it." },
    });
    let names: Vec<&String> = fields.as_object().into_iter().flat_map(Map::keys).collect();
    json!({
        "type": "object",
        "required": names,
        "properties": fields,
        "additionalProperties": false,
        "description": "What is known of a saved card. It lags behind payments by a moment.",
    })
}

fn page() -> Value {
    json!({
        "type": "object",
        "required": ["payments", "unreadable", "next"],
        "properties": {
            "payments": { "type": "array", "items": { "$ref": "#/components/schemas/Payment" } },
            "unreadable": {
                "type": "array",
                "items": { "type": "string" },
                "description": "Payments that may belong here, and whose records this version cannot read. \
                                A key that is limited to accounts gets them only when it asks by \
                                reference.",
            },
            "next": {
                "type": ["string", "null"],
                "description": "The cursor of the next page; null at the end.",
            },
        },
        "additionalProperties": false,
    })
}

fn batch() -> Value {
    let batched = json!({
        "type": "charge",
        "account": "hotel",
        "idempotency_key": "minibar-8123",
        "money": { "amount": 1500, "currency": "MYR" },
        "token": "5a9e3c1c-0000-4000-8000-00000000cafe",
        "customer": { "email": "guest@example.com" },
    });
    json!({
        "type": "object",
        "required": ["requests"],
        "properties": { "requests": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1000,
            "items": {
                "description": "Each is a Request with its idempotency_key. A wrong one gets its problem as \
                                its answer.",
                "examples": [batched],
            },
        }},
        "additionalProperties": false,
    })
}

fn batch_results() -> Value {
    json!({
        "type": "object",
        "required": ["results"],
        "properties": { "results": { "type": "array", "items": {
            "type": "object",
            "required": ["status"],
            "properties": {
                "status": { "type": "integer", "description": "As for a single request." },
                "replayed": { "type": "boolean" },
                "payment": { "$ref": "#/components/schemas/Payment" },
                "problem": { "$ref": "#/components/schemas/Problem" },
            },
            "additionalProperties": false,
        }}},
        "additionalProperties": false,
    })
}

fn parameters() -> Value {
    let query = |name: &str, about: &str, schema: Value| json!({ "name": name, "in": "query", "description": about, "schema": schema });
    let key = |required: bool| {
        json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": required,
            "description": "Your own key: a new one for each thing you want, the same one when you repeat \
                            a request. A request for a payment may have it in the body instead.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
        })
    };
    json!({
        "id": {
            "name": "id", "in": "path", "required": true,
            "schema": { "type": "string", "pattern": "^pay_[0-9a-f]{32}$" },
        },
        "card": {
            "name": "card", "in": "path", "required": true,
            "description": "`card.id` of payments and events; never the token.",
            "schema": { "type": "string", "pattern": CARD_ID },
        },
        "plan": desk_documented::parameter(),
        "Idempotency-Key": key(true),
        "optional_Idempotency-Key": key(false),
        "wait": query(
            "wait",
            "Answer when the payment has left its state, or after this time: 500ms, 5s.",
            json!({ "type": "string", "pattern": "^[0-9]{1,6}(ms|s|m)$" }),
        ),
        "state": query("state", "Those in this state.", states()),
        "account": query(
            "account",
            "Those of this account.",
            json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" }),
        ),
        "reference": query(
            "reference",
            "Those of the account with this reference.",
            json!({ "type": "string", "minLength": 1, "maxLength": 128 }),
        ),
        "due_before": query("due_before", "Unfinished ones that are due before this time.", time()),
        "cursor": query("cursor", "`next` of the page before.", json!({ "type": "string" })),
        "limit": query(
            "limit",
            "How many at most.",
            json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 }),
        ),
    })
}
