//! A wire format: what is written about it, and the code that reads it.

use boon::{Compiler, SchemaIndex, Schemas};
use holdfast::payment::{Command, InvalidRequest, Request};
use serde_json::Value;

/// What the code refuses although the schema, which cannot say it, does not: the words with which
/// the schema's description says so, and how to know such a refusal.
pub(super) struct Unsaid {
    pub(super) words: &'static str,
    is: fn(&Value, &InvalidRequest) -> bool,
}

pub(super) const FRACTION: Unsaid = Unsaid {
    words: "written without a fraction or exponent",
    is: |_, error| {
        let number = error.problem.rsplit("got ").next().unwrap_or_default();
        let whole: Option<f64> = number.parse().ok();
        number.contains(['.', 'e']) && whole.is_some_and(|number| number.fract() == 0.0)
    },
};

pub(super) const DAY: Unsaid = Unsaid {
    words: "the day of a time exists in its month",
    is: |_, error| {
        let date = error.problem.rsplit("got \"").next().unwrap_or_default();
        let month_and_day = date.get(5..10).unwrap_or_default();
        error.problem.contains("must be a time")
            && [
                "02-29", "02-30", "02-31", "04-31", "06-31", "09-31", "11-31",
            ]
            .contains(&month_and_day)
    },
};

pub(super) const OF_A_REQUEST: [Unsaid; 8] = [
    FRACTION,
    DAY,
    Unsaid {
        words: "release_at is after capture_at",
        is: |_, e| e.field == "plan.release_at" && e.problem.contains("after plan.capture_at"),
    },
    Unsaid {
        words: "expires_at is after both",
        is: |_, e| e.field.starts_with("plan.") && e.problem.contains("before plan.expires_at"),
    },
    Unsaid {
        words: "capture_amount is at most money.amount",
        is: |_, e| e.field == "plan.capture_amount" && e.problem.contains("is above the hold"),
    },
    Unsaid {
        words: "not_after is after not_before",
        is: |_, e| e.field == "not_after" && e.problem.contains("after not_before"),
    },
    Unsaid {
        words: "idempotency_key and reference count bytes",
        is: |request, e| {
            let text = request[&e.field].as_str().unwrap_or_default();
            ["idempotency_key", "reference"].contains(&e.field.as_str())
                && e.problem.contains("bytes long, above")
                && !text.is_ascii()
        },
    },
    Unsaid {
        words: "beyond ASCII in the domain of an e-mail address are letters or digits",
        is: |request, error| {
            let email = request["customer"]["email"].as_str().unwrap_or_default();
            let domain = email.rsplit('@').next().unwrap_or_default();
            let strange = |c: char| !c.is_ascii() && !c.is_alphanumeric();
            error.field == "customer.email" && domain.contains(strange)
        },
    },
];

/// One wire format: what is written about it, and the code that reads it.
pub(super) struct Wire {
    pub(super) schema: Value,
    compiled: Schemas,
    index: SchemaIndex,
    read: fn(&[u8]) -> Result<(), InvalidRequest>,
    pub(super) unsaid: &'static [Unsaid],
}

/// What both say to a message.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Taken,
    Refused,
    /// Refused by the code alone, for this reason.
    Unsaid(&'static str),
}

impl Wire {
    fn new(
        text: &str,
        read: fn(&[u8]) -> Result<(), InvalidRequest>,
        unsaid: &'static [Unsaid],
    ) -> Self {
        let schema: Value = serde_json::from_str(text).unwrap();
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        let id = schema["$id"].as_str().unwrap();
        compiler.add_resource(id, schema.clone()).unwrap();
        let index = compiler.compile(id, &mut schemas).unwrap();
        Self {
            schema,
            compiled: schemas,
            index,
            read,
            unsaid,
        }
    }

    pub(super) fn requests() -> Self {
        let read = |json: &[u8]| Request::from_json(json).map(drop);
        Self::new(Request::SCHEMA, read, &OF_A_REQUEST)
    }

    pub(super) fn commands() -> Self {
        let read = |json: &[u8]| Command::from_json(json).map(drop);
        Self::new(Command::SCHEMA, read, &[FRACTION, DAY])
    }

    /// What both say; an error where they differ and no description says so.
    pub(super) fn judge(&self, message: &Value) -> Result<Verdict, String> {
        let by_schema = self.compiled.validate(message, self.index);
        let by_code = (self.read)(message.to_string().as_bytes());
        match (by_schema, by_code) {
            (Ok(()), Ok(())) => Ok(Verdict::Taken),
            (Err(_), Err(_)) => Ok(Verdict::Refused),
            (Err(error), Ok(())) => Err(format!("only the code takes {message}: {error:#}")),
            (Ok(()), Err(error)) => {
                let unsaid = self
                    .unsaid
                    .iter()
                    .find(|unsaid| (unsaid.is)(message, &error));
                unsaid
                    .map(|unsaid| Verdict::Unsaid(unsaid.words))
                    .ok_or_else(|| format!("only the schema takes {message}: {error}"))
            }
        }
    }

    #[track_caller]
    pub(super) fn judged(&self, message: &Value) -> Verdict {
        self.judge(message).unwrap_or_else(|told| panic!("{told}"))
    }

    /// The kinds of message, as the schema lists them.
    pub(super) fn kinds(&self) -> Vec<&Value> {
        let kinds = self.schema["oneOf"].as_array().unwrap();
        kinds.iter().map(|kind| self.resolved(kind)).collect()
    }

    pub(super) fn resolved<'s>(&'s self, part: &'s Value) -> &'s Value {
        match part["$ref"].as_str() {
            Some(name) => self.schema.pointer(&name[1..]).unwrap(),
            None => part,
        }
    }

    /// All examples of whole messages.
    pub(super) fn examples(&self) -> Vec<Value> {
        let kinds = self.kinds().into_iter().chain([&self.schema]);
        kinds
            .flat_map(|kind| kind["examples"].as_array().unwrap().clone())
            .collect()
    }

    /// Every field that a message of this kind may have: its place, and what it is.
    pub(super) fn fields<'s>(
        &'s self,
        of: &'s Value,
        at: &str,
        found: &mut Vec<(String, &'s Value)>,
    ) {
        for (name, field) in of["properties"].as_object().into_iter().flatten() {
            let place = format!("{at}/{name}");
            self.fields(self.resolved(field), &place, found);
            found.push((place, field));
        }
    }
}
