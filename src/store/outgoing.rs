//! Events on their way to the endpoints of producers.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Nonce;
use crate::payment::{AccountName, PaymentId, Timestamp};

/// The name of an endpoint: from the configuration, part of keys in Redis.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointName(String);

impl EndpointName {
    /// A name of 1 to 64 letters, digits, `-` and `_`.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        ((1..=64).contains(&name.len()) && name.bytes().all(fits)).then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EndpointName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let fix = "the name of an endpoint is 1 to 64 letters, digits, - or _";
        Self::new(text).ok_or_else(|| fix.to_owned())
    }
}

/// Where an event stands in its stream: when it was written, and a count within that millisecond.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventPlace {
    /// When it was written, in milliseconds.
    pub ms: u64,
    /// The how manyth it was then.
    pub count: u64,
}

impl EventPlace {
    /// As text that sorts as places do.
    pub(super) fn sorted(self) -> String {
        format!("{:013}-{:010}", self.ms, self.count)
    }
}

impl fmt::Display for EventPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.count)
    }
}

impl FromStr for EventPlace {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (ms, count) = text.split_once('-').ok_or(())?;
        let number = |part: &str| part.parse().map_err(|_| ());
        Ok(Self {
            ms: number(ms)?,
            count: number(count)?,
        })
    }
}

/// Who copies events for an endpoint: what it wants, and since when that is wanted.
#[derive(Debug, Clone)]
pub struct Reader<F> {
    /// For which endpoint.
    pub endpoint: EndpointName,
    /// Names the filter: another name for another filter.
    pub filter: String,
    /// When the settings were read that say so. Of two filters the later one counts.
    pub since: Timestamp,
    /// Whether an event is wanted.
    pub wants: F,
}

/// What is needed of an event to send it on. It is read so that an event which a newer version
/// wrote, into a state that this one does not know, is still sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EventHead {
    /// Which payment.
    pub payment: PaymentId,
    /// Under which account.
    pub account: AccountName,
    /// Into which state.
    pub state: String,
    /// The version of the record that shows it.
    pub version: u64,
    /// When.
    pub at: Timestamp,
}

impl EventHead {
    /// What names the event that stands at `place`: the same however often it is sent. A crash in the
    /// middle of a write can leave two events of one version, so the version alone names none.
    #[must_use]
    pub fn id(&self, place: EventPlace) -> String {
        format!("evt_{}_{}_{place}", self.payment, self.version)
    }

    /// What kind of event it is, such as `payment.held`.
    #[must_use]
    pub fn kind(&self) -> String {
        format!("payment.{}", self.state)
    }
}

/// An event that was taken to be sent, and is nobody else's until the lease ends.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// For which endpoint.
    pub endpoint: EndpointName,
    /// What it is.
    pub head: EventHead,
    /// Where it stands in its stream.
    pub place: EventPlace,
    /// The event as it was written.
    pub json: String,
    /// How often in a row it was tried in vain.
    pub tries: u32,
    /// When the first of them was.
    pub first_tried_at: Option<Timestamp>,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// What was decided about the endpoint by then, as it was written; empty for nothing.
    pub(super) mark: String,
    /// How it stands among the pending ones.
    pub(super) entry: String,
    pub(super) nonce: Nonce,
}

impl Outgoing {
    /// What names the event.
    #[must_use]
    pub fn id(&self) -> String {
        self.head.id(self.place)
    }
}

/// Whose an event was that a delivery of it was ended for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owned {
    /// That of whoever ended it.
    Still,
    /// Not any more, or the reply to the same call was lost before.
    NoMore,
}

/// What one step of copying events from the streams to an endpoint did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// Whether a worker that read its settings later has another filter: then nothing was copied.
    pub outranked: bool,
    /// How many are pending now that were not before.
    pub wanted: usize,
    /// How many were read.
    pub read: usize,
}

/// Whether events are sent to an endpoint, as somebody or something last decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Whether they are.
    pub sends: Sends,
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub why: String,
    /// Who decided: a person, or the worker.
    pub by: String,
    /// The hash of the address that it is about; of any without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// Whether a decision was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It was.
    Now,
    /// Somebody else has decided since.
    Before,
}

/// Whether events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sends {
    /// They are.
    Enabled,
    /// They are kept.
    Disabled,
    /// They are not even kept, until somebody enables it again.
    Forgotten,
}

/// What was done about an endpoint, for whoever asks later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// About which.
    pub endpoint: String,
    /// What: `enabled`, `disabled`, `replayed`, `skipped` or `forgotten`.
    pub what: String,
    /// Which event it was about, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
}

/// How an endpoint stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many events are pending.
    pub events: u64,
    /// When the oldest was written that was not copied yet, wanted or not.
    pub unread_since: Option<Timestamp>,
    /// Of how many payments.
    pub payments: u64,
    /// When the oldest of them happened.
    pub oldest: Option<Timestamp>,
    /// When it last accepted one.
    pub accepted_at: Option<Timestamp>,
}

/// Which events of the streams are meant, by when they were written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Range {
    /// From this time on; from the oldest that is kept without it.
    pub from: Option<Timestamp>,
    /// Up to this time; up to the newest without it.
    pub to: Option<Timestamp>,
    /// Of this payment alone.
    pub payment: Option<PaymentId>,
}

impl Range {
    /// In words, for logs.
    #[must_use]
    pub fn words(&self) -> String {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_rfc3339());
        let from = time(self.from).map(|from| format!("from {from}"));
        let to = time(self.to).map(|to| format!("to {to}"));
        let payment = self.payment.as_ref().map(|id| format!("of {id}"));
        let words: Vec<String> = [from, to, payment].into_iter().flatten().collect();
        words.join(" ")
    }
}

/// What trimming the streams did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// How many events are gone.
    pub events: u64,
    /// For which endpoints events are kept longer than they should, as they were not copied yet.
    pub pinned: BTreeSet<EndpointName>,
}

/// An event as it stands in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// When it was written.
    pub written_at: Timestamp,
    /// Where it stands.
    pub place: EventPlace,
    /// What it is.
    pub head: EventHead,
    /// The event as it was written.
    pub json: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_into_a_state_of_tomorrow_is_still_one() {
        let json = r#"{"v":2,"payment":"pay_0123456789abcdef0123456789abcdef","account":"hotel",
            "state":"refunded","version":9,"at":"2027-01-31T06:00:00Z","surprise":[1]}"#;
        let head: EventHead = serde_json::from_str(json).unwrap();
        assert_eq!(head.kind(), "payment.refunded");
        let place = "1800000000000-1".parse().unwrap();
        assert_eq!(
            head.id(place),
            "evt_pay_0123456789abcdef0123456789abcdef_9_1800000000000-1"
        );
    }

    #[test]
    fn a_name_that_could_be_a_part_of_another_key_is_none() {
        for wrong in ["", "a:b", "a b", "ä", "{hf:1}", &"x".repeat(65)] {
            assert_eq!(EndpointName::new(wrong), None, "{wrong}");
        }
        assert!(EndpointName::new("shop-1_B").is_some());
    }
}
