//! Every name in Redis, in one place.
//!
//! | key | type | what |
//! |---|---|---|
//! | `{hf:3}:payment:<id>` | hash | a payment: what the scripts compare, and the body |
//! | `{hf:3}:due` | sorted set | id by the time it is due, or its lease ends, in ms |
//! | `{hf:3}:states` | sorted set, all scores 0 | `<state>:<place>` and `ref:<hash>:<place>`, read by name; a place is `<created, ms>:<id>`, and `:<hash>` of account and reference, if it has one; `open:<face>` of what is unfinished, with `<state>:<since, ms>:<id>:<account>` first |
//! | `{hf:3}:events` | stream | what the outside is told, and in which run of Redis it was written |
//! | `{hf:3}:cursors` | hash | up to where the stream was copied for each endpoint, and read for what is known of cards (`:cards`) |
//! | `{hf:3}:out:<endpoint>:events` | sorted set, all scores 0 | `<payment>:<place in the stream>:<event>`: what is pending for it |
//! | `{hf:3}:out:<endpoint>:ages` | sorted set | `<payment>:<place in the stream>` by when it happened, in ms |
//! | `{hf:3}:out:<endpoint>:due` | sorted set | payment by the next try, or the end of a lease, in ms |
//! | `{hf:3}:out:<endpoint>:notes` | hash | `nonce:<payment>`, `tries:<payment>` in vain, `first:<payment>` of them; `accepted`, when it last accepted one |
//! | `hf:endpoints` | hash | whether events are sent to an endpoint, since when, why |
//! | `hf:deeds` | stream | what was done about endpoints |
//! | `hf:heard` | hash | account by when the gateway last posted something for it, in ms |
//! | `{hf:3}:card:<id>` | string | what is known of a saved card, as JSON, until nobody has seen it for long |
//! | `{hf:3}:cards:due` | sorted set | card by when what is wanted of it is carried out, or a lease ends, in ms |
//! | `{hf:3}:intake` | list | what producers pushed, the oldest first |
//! | `{hf:3}:intake:lease` | string | the nonce of whoever takes it in, for some seconds |
//! | `{hf:3}:quarantine` | hash | by id: why something that was pushed was refused |
//! | `{hf:3}:quarantine:bytes` | hash | by id: what was pushed, until somebody decides |
//! | `{hf:3}:quarantine:deeds` | hash | by id: what was done about it, by whom and why, a line each; `as:` and the id: as what it is put right |
//! | `{hf:3}:answer:<account>:<SHA-256 of what was pushed>` | string | the answer, for some days |
//! | `{hf:3}:audit` | stream | what was asked of payments and cards: `n`, `link`, `entry`; never trimmed |
//! | `{hf:desk}:audit` | stream | the same of what belongs to no payment |
//! | `{hf:desk}:switches` | hash | what people have stopped, by name, as JSON; `version`, which goes up with each change |
//! | `{hf:desk}:workers` | hash | by a name of its own: what a worker says of itself every few seconds |
//! | `{hf:desk}:plan:<id>` | string | what an operator plans, as JSON, until it is forgotten |
//! | `{hf:desk}:plans:due` | sorted set | plan by when it is due, or to be forgotten, in ms |
//! | `hf:wake` | channel | there may be something to do |
//!
//! The braces keep a partition's keys on one node of a cluster. One index for all states and
//! references, rather than one for each, keeps every write to four keys.

use crate::payment::{AccountName, CardId, Payment, PaymentId, Reference, StateName};
use crate::store::audit::AuditStream;
use crate::store::by::{place_of, reference_hash};
use crate::store::{At, EndpointName, Face, PlanId};

/// How many partitions there are. Payments are found by it, so it never changes.
pub(super) const PARTITIONS: u64 = 8;

/// Names under one prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// Which partition a payment is in.
    pub(super) fn partition(id: &PaymentId) -> u64 {
        id.spread() % PARTITIONS
    }

    pub(super) fn payment(&self, id: &PaymentId) -> String {
        self.payment_named(Self::partition(id), id.as_str())
    }

    /// The same, for an id that was read from an index.
    pub(super) fn payment_named(&self, partition: u64, id: &str) -> String {
        format!("{{{}:{partition}}}:payment:{id}", self.prefix)
    }

    pub(super) fn due(&self, partition: u64) -> String {
        format!("{{{}:{partition}}}:due", self.prefix)
    }

    pub(super) fn states(&self, partition: u64) -> String {
        format!("{{{}:{partition}}}:states", self.prefix)
    }

    pub(super) fn events(&self, partition: u64) -> String {
        format!("{{{}:{partition}}}:events", self.prefix)
    }

    pub(super) fn cursors(&self, partition: u64) -> String {
        format!("{{{}:{partition}}}:cursors", self.prefix)
    }

    /// What is pending for an endpoint: `events`, `ages`, `due` or `notes`.
    pub(super) fn out(&self, partition: u64, endpoint: &EndpointName, what: &str) -> String {
        format!("{{{}:{partition}}}:out:{endpoint}:{what}", self.prefix)
    }

    pub(super) fn endpoints(&self) -> String {
        format!("{}:endpoints", self.prefix)
    }

    pub(super) fn deeds(&self) -> String {
        format!("{}:deeds", self.prefix)
    }

    pub(super) fn audit(&self, stream: AuditStream) -> String {
        format!("{{{}:{stream}}}:audit", self.prefix)
    }

    pub(super) fn heard(&self) -> String {
        format!("{}:heard", self.prefix)
    }

    /// What the records of all partitions are called, as a pattern.
    pub(super) fn all_payments(&self) -> String {
        format!("{{{}:[0-{}]}}:payment:*", self.prefix, PARTITIONS - 1)
    }

    /// The partition and the id in the name of a record.
    pub(super) fn payment_in<'a>(&self, key: &'a str) -> Option<(u64, &'a str)> {
        let rest = key.strip_prefix('{')?.strip_prefix(&*self.prefix)?;
        let (partition, id) = rest.strip_prefix(':')?.split_once("}:payment:")?;
        Some((partition.parse().ok()?, id))
    }

    /// A card and the index of those of which something is wanted.
    pub(super) fn card_two(&self, id: &CardId) -> Vec<String> {
        let partition = id.spread() % PARTITIONS;
        let card = format!("{{{}:{partition}}}:card:{id}", self.prefix);
        vec![card, self.cards_due(partition)]
    }

    /// The same, and the audit log.
    pub(super) fn card_three(&self, id: &CardId) -> Vec<String> {
        let mut keys = self.card_two(id);
        keys.push(self.audit(AuditStream::Partition(id.spread() % PARTITIONS)));
        keys
    }

    pub(super) fn cards_due(&self, partition: u64) -> String {
        format!("{{{}:{partition}}}:cards:due", self.prefix)
    }

    /// A plan, the index of those that are due, and the audit log of what belongs to no payment.
    pub(super) fn plan_three(&self, id: &PlanId) -> [String; 3] {
        let plan = format!("{{{}:desk}}:plan:{id}", self.prefix);
        [plan, self.plans_due(), self.audit(AuditStream::Desk)]
    }

    pub(super) fn plans_due(&self) -> String {
        format!("{{{}:desk}}:plans:due", self.prefix)
    }

    pub(super) fn intake(&self, partition: u64) -> String {
        format!("{{{}:{partition}}}:intake", self.prefix)
    }

    /// Intake and its lease.
    pub(super) fn intake_two(&self, partition: u64) -> Vec<String> {
        let intake = self.intake(partition);
        let lease = format!("{intake}:lease");
        vec![intake, lease]
    }

    /// Quarantine, the bytes in it, and what was done about them.
    pub(super) fn quarantine(&self, partition: u64) -> [String; 3] {
        let quarantine = format!("{{{}:{partition}}}:quarantine", self.prefix);
        let [bytes, deeds] = ["bytes", "deeds"].map(|what| format!("{quarantine}:{what}"));
        [quarantine, bytes, deeds]
    }

    /// The answer to what was pushed to an intake. In the same partition, so that it is written in
    /// one step with what it is about.
    pub(super) fn answer(&self, partition: u64, account: &AccountName, sha256: &str) -> String {
        format!("{{{}:{partition}}}:answer:{account}:{sha256}", self.prefix)
    }

    pub(super) fn switches(&self) -> String {
        format!("{{{}:desk}}:switches", self.prefix)
    }

    pub(super) fn workers(&self) -> String {
        format!("{{{}:desk}}:workers", self.prefix)
    }

    pub(super) fn wake(&self) -> String {
        format!("{}:wake", self.prefix)
    }

    /// Payment and due index.
    pub(super) fn two(&self, id: &PaymentId) -> Vec<String> {
        vec![self.payment(id), self.due(Self::partition(id))]
    }

    /// All that a command writes: payment, due index, audit log and states.
    pub(super) fn commanded(&self, id: &PaymentId) -> Vec<String> {
        let partition = Self::partition(id);
        let mut keys = self.two(id);
        keys.extend([
            self.audit(AuditStream::Partition(partition)),
            self.states(partition),
        ]);
        keys
    }

    /// Payment and all that is written with it.
    pub(super) fn four(&self, id: &PaymentId) -> Vec<String> {
        let partition = Self::partition(id);
        let mut keys = self.two(id);
        keys.extend([self.states(partition), self.events(partition)]);
        keys
    }
}

/// What the entries of a state begin with.
pub(super) fn of_state(state: StateName) -> String {
    format!("{}:", state.as_str())
}

/// What the entries of a reference begin with.
pub(super) fn of_reference(account: &AccountName, reference: &Reference) -> String {
    format!("ref:{}:", reference_hash(account, reference))
}

/// The entry of a payment by its reference, if it has one.
pub(super) fn by_reference(payment: &Payment) -> Option<String> {
    let request = payment.request();
    let reference = request.reference.as_ref()?;
    let begins = of_reference(&request.account, reference);
    Some(format!("{begins}{}", place_of(payment)))
}

/// What the entries of faces begin with: of all that is unfinished, or of one state.
pub(super) fn of_faces(state: Option<StateName>) -> String {
    state.map_or_else(|| "open:".to_owned(), |state| format!("open:{state}:"))
}

/// The entry of a payment by its face; '' once it is finished.
pub(super) fn by_face(payment: &Payment, at: At) -> String {
    if payment.is_finished() {
        return String::new();
    }
    format!("open:{}", Face::of(payment, at))
}

/// The entry by its reference of a place, if it has one.
pub(super) fn reference_at(place: &str) -> Option<String> {
    let hash = place.split(':').nth(2)?;
    Some(format!("ref:{hash}:{place}"))
}

/// What an entry of the index of states, references and faces is about: the id of a payment; and the
/// state, if it is by state. `None` for entries of another kind.
pub(super) fn entry_of(member: &str) -> Option<(&str, Option<StateName>)> {
    let (kind, place) = member.split_once(':')?;
    let mut parts = place.split(':');
    match kind {
        "ref" | "open" => Some((parts.nth(2)?, None)),
        state => Some((parts.nth(1)?, Some(state.parse().ok()?))),
    }
}

/// The bounds of the entries that begin so, after a cursor.
pub(super) fn range(begins: &str, cursor: Option<&str>) -> (String, String) {
    // ';' is the character after ':': behind everything that goes on with one.
    let from = cursor.map_or_else(String::new, |cursor| format!("{cursor};"));
    let end = begins.trim_end_matches(':');
    (format!("({begins}{from}"), format!("({end};"))
}

/// The same backwards: from the end, or from before a cursor, to the beginning.
pub(super) fn range_back(begins: &str, cursor: Option<&str>) -> (String, String) {
    let end = begins.trim_end_matches(':');
    let from = cursor.map_or_else(|| format!("({end};"), |cursor| format!("({begins}{cursor}"));
    (from, format!("({begins}"))
}
