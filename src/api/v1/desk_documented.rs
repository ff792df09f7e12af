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
        "Report what the gateway shows of a parked payment, although it is not what was asked: another \
         amount, or a hold that somebody else captured or released. A worker looks first, and no call \
         follows. A purchase that was only marked as paid by hand is not accepted.",
        "Because",
    ),
    of_a_word(
        ("/v1/payments/{id}/propose_by_hand", "proposeByHand"),
        "State how a parked payment ended, if the gateway does not show it. Nothing happens until another \
         key approves. That money was taken cannot be stated.",
        "Stated",
    ),
    of_a_word(
        ("/v1/payments/{id}/approve_by_hand", "approveByHand"),
        "Approve what another key stated, within a day. A worker looks first: if the gateway shows \
         something else, that counts.",
        "Stated",
    ),
    Operation {
        path: "/v1/plans",
        method: "post",
        id: "makePlan",
        about: "Make a plan to rerun parked payments, or others that are unfinished. A worker asks the \
                gateway about each; nothing is changed. Get the plan until its `phase` is `ready`, check \
                it, then apply it.",
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
        about: "The plans of the last 30 days, newest first, without their payments.",
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
        about: "What a plan would do to each payment, or what became of it.",
        scope: Scope::Operate,
        parameters: &["plan"],
        body: None,
        answers: &[(200, "Plan", "The plan.")],
        problems: &[P::PlanNotFound],
    },
    of_a_run(
        ("/v1/plans/{plan}/apply", "applyPlan"),
        "Apply a plan, once, within 15 minutes. Payments that have not changed since are rerun: one first, \
         then ten, then a hundred at a time. A rerun can charge and capture, up to the key's largest \
         amount. The run stops by itself if too many turn out otherwise than planned.",
    ),
    Operation {
        problems: &[P::PlanNotFound, P::PlanNotNow, P::Busy],
        ..of_a_run(
            ("/v1/plans/{plan}/stop", "stopPlan"),
            "Stop a run: no further payment is rerun. Reruns that were started are carried out. Any key \
             with the scope that sees the plan may stop it, whatever its largest amount.",
        )
    },
    of_a_run(
        ("/v1/plans/{plan}/resume", "resumePlan"),
        "Resume a run that was stopped, until a day after the plan was made. A rerun can charge and capture, up to the key's largest amount.",
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
                "description": "Those that a worker is working on, and the newest others; newest first.",
            },
            "more": { "type": "boolean", "description": "Whether there are others that were not listed." },
        })),
    );
}

fn wanted() -> Value {
    json!({
        "type": "object",
        "description": "Either `payments`, or a `state` that the other fields narrow down.",
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
                "description": "For how long they have been in their state at least.",
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
        "description": "never_paid: nothing was taken or reserved, and nothing ever will be. hold_gone: \
                        the reservation is gone, and nothing of it was taken.",
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
            "description": "How much is reserved first, in minor units, if the amount is then taken from a hold.",
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
        "made_by": { "type": "string", "description": "`key:` and a key's name, or a person's name." },
        "of": { "type": "object", "description": "Which payments it is about." },
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
            "description": "How much money its reruns can move at most, all together. For a run that was stopped: the reruns that may still follow.",
        },
        "fates": {
            "type": "object", "additionalProperties": { "type": "integer" },
            "description": "How many payments have each fate.",
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
            "description": "What the gateway showed; null if no purchase was made there.",
        },
        "foreseen": { "type": ["string", "null"], "description": "What a rerun would do, in words." },
        "touches": described(
            maybe(&touched_by_one()),
            "What a rerun can move at most, at once or later.",
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
