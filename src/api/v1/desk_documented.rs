//! What the document says of what is for operators: plans, and payments that people settle.

use serde_json::{Map, Value, json};

use super::ProblemCode as P;
use super::documents::{maybe, states, time};
use super::keys::Scope;
use super::openapi::{COMMANDED, OF_A_COMMAND, Operation};

const PLAN_ID: &str = "^plan_[0-9a-f]{32}$";

pub(super) const OPERATIONS: [Operation; 9] = [
    of_a_word(
        ("/v1/payments/{id}/resolve_as_shown", "resolveAsShown"),
        "Have what the gateway shows of a parked payment reported, though it is not as asked: captured in \
         another amount or released by somebody else. A worker looks first, and no call follows. What a \
         person only marked as paid is not taken.",
        "Because",
    ),
    of_a_word(
        ("/v1/payments/{id}/propose_by_hand", "proposeByHand"),
        "State how a parked payment ended, where the gateway does not show it. Nothing follows before \
         another key approves. That money was taken cannot be stated.",
        "Stated",
    ),
    of_a_word(
        ("/v1/payments/{id}/approve_by_hand", "approveByHand"),
        "Approve what another key stated within a day. A worker looks first: where the gateway shows \
         otherwise, that counts.",
        "Stated",
    ),
    Operation {
        path: "/v1/plans",
        method: "post",
        id: "makePlan",
        about: "Plan to rerun stopped payments: a worker asks the gateway about each, and nothing is \
                done to any. Ask for the plan until its `phase` is `ready`, look at it, then have it \
                applied.",
        scope: Scope::Operate,
        parameters: &[],
        body: Some("WantedPlan"),
        answers: &[(202, "Plan", "Recorded; a worker asks now.")],
        problems: &[P::AccountForbidden, P::Busy],
    },
    Operation {
        path: "/v1/plans",
        method: "get",
        id: "listPlans",
        about: "The plans of the last 30 days, the newest first, without their payments.",
        scope: Scope::Operate,
        parameters: &[],
        body: None,
        answers: &[(200, "Plans", "The plans.")],
        problems: &[],
    },
    Operation {
        path: "/v1/plans/{plan}",
        method: "get",
        id: "getPlan",
        about: "What would be done to each payment of a plan, or what became of it.",
        scope: Scope::Operate,
        parameters: &["plan"],
        body: None,
        answers: &[(200, "Plan", "The plan.")],
        problems: &[P::PlanNotFound],
    },
    of_a_run(
        ("/v1/plans/{plan}/apply", "applyPlan"),
        "Have a plan applied, once, within 15 minutes. Each payment that is still as it was planned is \
         rerun: looked at, and then the legal next step. One first, then ten, then a hundred at a \
         time; it stops by itself if too many come out otherwise than foreseen.",
    ),
    Operation {
        problems: &[P::PlanNotFound, P::PlanNotNow, P::Busy],
        ..of_a_run(
            ("/v1/plans/{plan}/stop", "stopPlan"),
            "Tell no further payment of a plan that is being applied. What was told is carried out. \
             However much it moves, whoever sees it may stop it.",
        )
    },
    of_a_run(
        ("/v1/plans/{plan}/resume", "resumePlan"),
        "Go on with a plan that was stopped less than a day after it was made.",
    ),
];

const fn of_a_run((path, id): (&'static str, &'static str), about: &'static str) -> Operation {
    Operation {
        path,
        method: "post",
        id,
        about,
        scope: Scope::Operate,
        parameters: &["plan"],
        body: Some("Because"),
        answers: &[(202, "Plan", "Recorded; a worker carries it out.")],
        problems: &[P::PlanNotFound, P::PlanNotNow, P::AmountForbidden, P::Busy],
    }
}

const fn of_a_word(
    (path, id): (&'static str, &'static str),
    about: &'static str,
    body: &'static str,
) -> Operation {
    Operation {
        path,
        method: "post",
        id,
        about,
        scope: Scope::Operate,
        parameters: &["id", "Idempotency-Key", "wait"],
        body: Some(body),
        answers: COMMANDED,
        problems: OF_A_COMMAND,
    }
}

pub(super) fn parameter() -> Value {
    json!({
        "name": "plan", "in": "path", "required": true,
        "schema": { "type": "string", "pattern": PLAN_ID },
    })
}

pub(super) fn schemas(schemas: &mut Map<String, Value>) {
    schemas.insert("WantedPlan".to_owned(), wanted());
    schemas.insert("Because".to_owned(), because());
    schemas.insert("Stated".to_owned(), stated());
    let summary = summary();
    let mut whole = summary.clone();
    whole["properties"]["payments"] = json!({ "type": "array", "items": planned() });
    if let Value::Array(required) = &mut whole["required"] {
        required.push("payments".into());
    }
    schemas.insert("Plan".to_owned(), whole);
    schemas.insert(
        "Plans".to_owned(),
        object(&json!({
            "plans": {
                "type": "array", "items": summary, "maxItems": 200,
                "description": "Those that a worker carries out and the newest, the newest first.",
            },
            "more": { "type": "boolean", "description": "Whether others were not looked at." },
        })),
    );
}

fn wanted() -> Value {
    json!({
        "type": "object",
        "description": "Give `payments`, or a `state`, which the rest narrows down.",
        "properties": {
            "payments": {
                "type": ["array", "null"], "minItems": 1, "maxItems": 1000,
                "items": { "type": "string", "pattern": "^pay_[0-9a-f]{32}$" },
            },
            "state": { "enum": ["new", "awaiting_payer", "held", "parked", null] },
            "account": { "type": ["string", "null"] },
            "reason": { "type": ["string", "null"], "description": "Why they are parked." },
            "older_than_ms": {
                "type": ["integer", "null"], "minimum": 0,
                "description": "So long they have been in their state.",
            },
        },
        "additionalProperties": false,
        "examples": [{ "state": "parked", "reason": "gateway_unreachable" }],
    })
}

fn because() -> Value {
    json!({
        "type": "object",
        "required": ["reason"],
        "properties": { "reason": { "type": "string", "minLength": 1, "maxLength": 500 } },
        "additionalProperties": false,
        "examples": [{ "reason": "key replaced" }],
    })
}

fn stated() -> Value {
    let mut stated = because();
    stated["properties"]["outcome"] = json!({
        "enum": ["never_paid", "hold_gone"],
        "description": "Nothing was taken or reserved, and nothing ever will be; or the reservation is \
                        gone, and nothing of it was taken.",
    });
    stated["required"] = json!(["outcome", "reason"]);
    stated["examples"] = json!([{ "outcome": "hold_gone", "reason": "it lapsed" }]);
    stated
}

/// An object with all of these fields, and no others.
fn object(fields: &Value) -> Value {
    let names: Vec<&String> = fields.as_object().into_iter().flat_map(Map::keys).collect();
    json!({
        "type": "object",
        "required": names,
        "properties": fields,
        "additionalProperties": false,
    })
}

fn how() -> Value {
    json!({ "enum": ["takes", "reserves", "gives_back", "records_taken"] })
}

fn touched() -> Value {
    object(&json!({
        "how": how(),
        "amount": { "type": "integer", "description": "In minor units: 1500 is RM 15.00." },
        "currency": { "type": "string" },
    }))
}

fn touched_by_one() -> Value {
    object(&json!({
        "how": how(),
        "amount": { "type": "integer", "description": "In minor units: 1500 is RM 15.00." },
        "currency": { "type": "string" },
        "of_hold": {
            "type": ["integer", "null"],
            "description": "So much is reserved first, in minor units, where the amount is then taken of it.",
        },
    }))
}

fn described(mut schema: Value, told: &str) -> Value {
    schema["description"] = told.into();
    schema
}

fn summary() -> Value {
    let text = json!({ "type": ["string", "null"] });
    object(&json!({
        "id": { "type": "string", "pattern": PLAN_ID },
        "made_at": time(),
        "made_by": { "type": "string", "description": "A key's name behind `key:`, or a person." },
        "of": { "type": "object", "description": "Which payments it is of." },
        "phase": { "enum": ["asking", "ready", "expired", "applying", "stopped", "done"] },
        "until": maybe(&json!({
            "type": "string", "format": "date-time", "description": "Until when it can be applied.",
        })),
        "why": { "type": ["string", "null"], "description": "Why it was stopped." },
        "applied_at": maybe(&time()),
        "applied_by": text,
        "reason": { "type": ["string", "null"], "description": "Why it was applied." },
        "touches": {
            "type": "array", "items": touched(),
            "description": "How much money its reruns move at most, all together; of a run that was stopped, those that may still be.",
        },
        "fates": {
            "type": "object", "additionalProperties": { "type": "integer" },
            "description": "How many payments there are of each fate.",
        },
        "warnings": { "type": "array", "items": { "type": "string" } },
    }))
}

fn planned() -> Value {
    let text = json!({ "type": ["string", "null"] });
    object(&json!({
        "payment": { "type": "string" },
        "account": text,
        "version": { "type": ["integer", "null"], "description": "Of the record, as it was read." },
        "state": maybe(&states()),
        "parked_for": text,
        "shown": {
            "type": ["string", "null"],
            "description": "What the gateway showed; null where nothing was made there.",
        },
        "foreseen": { "type": ["string", "null"], "description": "What a rerun would do, in words." },
        "touches": described(
            maybe(&touched_by_one()),
            "What a rerun moves at once; or may come to, where it goes on later by itself.",
        ),
        "fate": { "enum": [
            "unasked", "left_out", "waits", "told", "changed_since", "as_foreseen", "looks_on", "odd",
        ]},
        "left_out": { "enum": [
            "missing", "finished", "account_missing", "gateway_silent", "key_refused",
            "rate_limited", "takes_none", "unreadable", null,
        ]},
        "came_to": maybe(&states()),
        "parked_again_for": text,
    }))
}
