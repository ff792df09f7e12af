//! An event as it is posted: what it is, when it happened, the event itself.

use chrono::SecondsFormat;

use super::Endpoint;
use super::sign::signature;
use crate::payment::Timestamp;
use crate::store::Outgoing;

/// A message, without the time at which it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Names the event: the same however often it is sent.
    pub id: String,
    /// The body. Made of the event as it was written, so that it is the same each time.
    pub body: String,
}

impl Message {
    /// The message that tells of an event.
    #[must_use]
    pub fn of(event: &Outgoing) -> Self {
        let (kind, at) = (event.head.kind(), event.head.at);
        let at = at.to_rfc3339_opts(SecondsFormat::Millis, true);
        // Kind and time are words of ours without anything to escape; the event is JSON already.
        let body = format!(
            r#"{{"type":"{kind}","timestamp":"{at}","data":{}}}"#,
            event.json
        );
        Self {
            id: event.id(),
            body,
        }
    }

    /// What stands above the body when it is sent now.
    #[must_use]
    pub fn headers(&self, endpoint: &Endpoint, now: Timestamp) -> [(&'static str, String); 3] {
        [
            ("webhook-id", self.id.clone()),
            ("webhook-timestamp", now.timestamp().to_string()),
            (
                "webhook-signature",
                signature(&endpoint.secrets, &self.id, now, &self.body),
            ),
        ]
    }
}
