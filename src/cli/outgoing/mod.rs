//! What operators do about endpoints and the events that are sent to them.

mod trouble;
mod typed;

use std::collections::BTreeSet;
use std::io::Write;

use serde_json::{Value, json};

use trouble::status;
pub(super) use trouble::trouble;
pub(super) use typed::new_secret;
pub use typed::{EndpointsVerb, EventsVerb, RangeArgs, Signed};

use super::args::Verb;
use super::desk::user;
use super::failure::Failure;
use super::view::time;
use crate::clock::Clock;
use crate::config::Config;
use crate::payment::Timestamp;
use crate::store::audit::{AuditEntry, Mandate};
use crate::store::redis::RedisStore;
use crate::store::{Deed, EndpointName, Kept, Mark, Range, Sends, Waiting};
use crate::worker::outbox::Endpoint;

/// Where operators are served who ask about endpoints and events.
pub struct Operated<'a> {
    endpoints: &'a [Endpoint],
    store: &'a RedisStore,
    clock: &'a Clock,
    as_json: bool,
}

impl<'a> Operated<'a> {
    /// Over a store, for the endpoints of these settings.
    #[must_use]
    pub fn of(config: &'a Config, store: &'a RedisStore, clock: &'a Clock, as_json: bool) -> Self {
        Self {
            endpoints: &config.events.endpoints,
            store,
            clock,
            as_json,
        }
    }

    /// Does what `verb` says, if it is about endpoints or events.
    pub async fn serve(
        &self,
        verb: Verb,
        env: &[(String, String)],
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let by = |actor: Option<String>| actor.map_or_else(|| user(env), Ok);
        match verb {
            Verb::Endpoints(EndpointsVerb::List) => self.list(out).await,
            Verb::Endpoints(EndpointsVerb::Enable(signed)) => {
                let by = by(signed.actor)?;
                self.set(&signed.name, Sends::Enabled, (by, signed.reason), out)
                    .await
            }
            Verb::Endpoints(EndpointsVerb::Disable(signed)) => {
                let by = by(signed.actor)?;
                self.set(&signed.name, Sends::Disabled, (by, signed.reason), out)
                    .await
            }
            Verb::Endpoints(EndpointsVerb::Forget(signed)) => {
                let by = by(signed.actor)?;
                self.forget(&signed.name, (by, signed.reason), out).await
            }
            Verb::Endpoints(EndpointsVerb::Log { limit }) => self.log(limit, out).await,
            Verb::Events(EventsVerb::List(range)) => self.events(&range.read()?, out).await,
            Verb::Events(EventsVerb::Replay {
                endpoint,
                range,
                reason,
                actor,
                dry_run,
            }) => {
                let endpoint = self.configured(&endpoint)?;
                let range = range.read()?;
                if dry_run {
                    return self.count(endpoint, &range, out).await;
                }
                let by = by(actor)?;
                self.replay(endpoint, &range, (by, reason), out).await
            }
            Verb::Events(EventsVerb::Skip {
                endpoint,
                id,
                reason,
                actor,
            }) => {
                let by = by(actor)?;
                self.skip(&endpoint, &id, (by, reason), out).await
            }
            _ => Err(Failure::Other(
                "this is neither about endpoints nor about events".to_owned(),
            )),
        }
    }

    fn configured(&self, name: &EndpointName) -> Result<&'a Endpoint, Failure> {
        let found = self.endpoints.iter().find(|known| known.name == *name);
        found.ok_or_else(|| {
            let known: Vec<&str> = self.endpoints.iter().map(|e| e.name.as_str()).collect();
            let known = if known.is_empty() {
                "none is".to_owned()
            } else {
                known.join(", ")
            };
            Failure::Wrong(format!("{name} is not configured; use one of: {known}"))
        })
    }

    async fn list(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let marks = self.store.marks().await?;
        let mut names = self.store.known_endpoints().await?;
        names.extend(self.endpoints.iter().map(|endpoint| endpoint.name.clone()));
        let mut told = Vec::new();
        for name in &names {
            let waiting = self.store.waiting(name).await?;
            let endpoint = self.endpoints.iter().find(|known| known.name == *name);
            let status = status(endpoint, marks.get(name));
            if self.as_json {
                told.push(self.as_value(name, (status, marks.get(name)), &waiting));
            } else {
                self.tell(name, (status, marks.get(name)), &waiting, out)?;
            }
        }
        if self.as_json {
            writeln!(out, "{}", json!({ "endpoints": told }))?;
        } else if names.is_empty() {
            writeln!(out, "no endpoint is configured: events stay in the streams")?;
        }
        Ok(())
    }

    fn as_value(
        &self,
        name: &EndpointName,
        (status, mark): (&str, Option<&Mark>),
        waiting: &Waiting,
    ) -> Value {
        json!({
            "name": name.as_str(), "status": status, "since": mark.map(|mark| mark.at),
            "why": mark.map(|mark| &mark.why), "by": mark.map(|mark| &mark.by),
            "pending_events": waiting.events, "pending_payments": waiting.payments,
            "uncopied_since": waiting.unread_since,
            "oldest_pending_at": waiting.oldest, "oldest_pending_age_s": self.age_s(waiting),
            "accepted_at": waiting.accepted_at,
        })
    }

    fn age_s(&self, waiting: &Waiting) -> Option<i64> {
        let age = |oldest: Timestamp| (self.clock.now() - oldest).num_seconds().max(0);
        waiting.oldest.map(age)
    }

    fn tell(
        &self,
        name: &EndpointName,
        (status, mark): (&str, Option<&Mark>),
        waiting: &Waiting,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let Waiting {
            events, payments, ..
        } = waiting;
        let age = self
            .age_s(waiting)
            .map_or(String::new(), |age| format!(", the oldest for {age} s"));
        let accepted = waiting.accepted_at.map_or("never".to_owned(), time);
        let more = waiting.unread_since.map_or(String::new(), |since| {
            format!(", and those in the streams since {}", time(since))
        });
        let why = mark.map_or(String::new(), |mark| {
            format!(" since {} by {}: {}", time(mark.at), mark.by, mark.why)
        });
        Ok(writeln!(
            out,
            "{name}  {status}{why}\n    {events} events of {payments} payments pending{age}{more}; \
             last accepted {accepted}"
        )?)
    }

    async fn set(
        &self,
        name: &EndpointName,
        sends: Sends,
        (by, why): (String, String),
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        self.configured(name)?;
        let action = match sends {
            Sends::Enabled => "endpoint_enable",
            Sends::Disabled | Sends::Forgotten => "endpoint_disable",
        };
        self.intend(action, name.as_str(), (&by, &why)).await?;
        let mark = self.mark(sends, by, why);
        let payments = self.store.set_mark(name, &mark).await?;
        let pending = self.store.waiting(name).await?.events;
        if self.as_json {
            let told = json!({"endpoint": name.as_str(), "sends": sends,
                "pending_events": pending, "payments_due_now": payments});
            return Ok(writeln!(out, "{told}")?);
        }
        let word = match sends {
            Sends::Enabled => "enabled; they are sent now",
            Sends::Disabled | Sends::Forgotten => "disabled; they are kept",
        };
        Ok(writeln!(out, "{name}: {pending} events pending, {word}")?)
    }

    async fn forget(
        &self,
        name: &EndpointName,
        (by, why): (String, String),
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        if self.endpoints.iter().any(|known| known.name == *name) {
            return Err(Failure::Refused(format!(
                "{name} is configured: what is pending for it would be lost to it; take it out of the \
                 settings of all workers first"
            )));
        }
        self.intend("endpoint_forget", name.as_str(), (&by, &why))
            .await?;
        let mark = self.mark(Sends::Forgotten, by, why);
        let dropped = self.store.forget(name, &mark).await?;
        if self.as_json {
            let told = json!({"endpoint": name.as_str(), "dropped_events": dropped});
            return Ok(writeln!(out, "{told}")?);
        }
        Ok(writeln!(
            out,
            "{name} is forgotten; {dropped} events were pending for it"
        )?)
    }

    /// Adds to the audit log what is about to be done.
    async fn intend(
        &self,
        what: &str,
        subject: &str,
        (by, why): (&str, &str),
    ) -> Result<(), Failure> {
        let by = Mandate::typed_by(by).because(Some(why));
        let intent = AuditEntry::intent(&by, what, Some(subject), self.clock.now());
        Ok(self.store.note_intent(&intent).await?)
    }

    fn mark(&self, sends: Sends, by: String, why: String) -> Mark {
        Mark {
            sends,
            at: self.clock.now(),
            why,
            by,
            address: None,
        }
    }

    async fn skip(
        &self,
        name: &EndpointName,
        id: &str,
        (by, why): (String, String),
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        self.configured(name)?;
        let (payment, place) = typed::event_id(id)?;
        self.intend("event_skip", &format!("{name} {id}"), (&by, &why))
            .await?;
        // Written down first: what was done and not heard of shall be known too.
        let mut deed = self.deed(name, "skipped", by, why);
        deed.event = Some(id.to_owned());
        self.store.note(&deed).await?;
        if !self.store.skip(name, &payment, place).await? {
            return Err(Failure::Refused(format!("{id} is not pending for {name}")));
        }
        if self.as_json {
            let told = json!({"endpoint": name.as_str(), "skipped": id});
            return Ok(writeln!(out, "{told}")?);
        }
        Ok(writeln!(out, "{id} is not sent to {name}")?)
    }

    fn deed(&self, name: &EndpointName, what: &str, by: String, why: String) -> Deed {
        Deed {
            at: self.clock.now(),
            endpoint: name.to_string(),
            what: what.to_owned(),
            event: None,
            by,
            why,
        }
    }

    async fn log(&self, limit: u16, out: &mut dyn Write) -> Result<(), Failure> {
        let deeds = self.store.deeds(usize::from(limit)).await?;
        if self.as_json {
            return Ok(writeln!(out, "{}", json!({ "log": deeds }))?);
        }
        for deed in deeds {
            let at = time(deed.at);
            let (name, what, by, why) = (deed.endpoint, deed.what, deed.by, deed.why);
            let event = deed
                .event
                .map_or(String::new(), |event| format!(" {event}"));
            writeln!(out, "{at}  {name}  {what}{event} by {by}: {why}")?;
        }
        Ok(())
    }

    async fn events(&self, range: &Range, out: &mut dyn Write) -> Result<(), Failure> {
        let (mut told, mut written) = (Vec::new(), Ok(()));
        let each = |event: Kept| {
            let head = &event.head;
            let (id, kind) = (head.id(event.place), head.kind());
            if self.as_json {
                // It was written as JSON, and read as such a moment ago.
                let data: Value = serde_json::from_str(&event.json).unwrap_or_default();
                told.push(
                    json!({"id": id, "type": kind, "written_at": event.written_at,
                    "data": data}),
                );
            } else if written.is_ok() {
                let (at, account) = (time(head.at), &head.account);
                written = writeln!(out, "{at}  {id}  {kind}  {account}");
            }
        };
        self.store.visit_events(range, each).await?;
        written?;
        if self.as_json {
            writeln!(out, "{}", json!({ "events": told }))?;
        }
        Ok(())
    }

    async fn count(
        &self,
        endpoint: &Endpoint,
        range: &Range,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let (mut events, mut payments) = (0_u64, BTreeSet::new());
        let each = |event: Kept| {
            if endpoint.wants(&event.head) {
                events += 1;
                payments.insert(event.head.payment);
            }
        };
        self.store.visit_events(range, each).await?;
        let payments = payments.len();
        if self.as_json {
            let told = json!({"endpoint": endpoint.name.as_str(), "events": events,
                "payments": payments, "dry_run": true});
            return Ok(writeln!(out, "{told}")?);
        }
        let name = &endpoint.name;
        Ok(writeln!(
            out,
            "{events} events of {payments} payments would be sent to {name} again"
        )?)
    }

    async fn replay(
        &self,
        endpoint: &Endpoint,
        range: &Range,
        (by, why): (String, String),
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let name = &endpoint.name;
        let subject = format!("{name} {}", range.words());
        self.intend("events_replay", &subject, (&by, &why)).await?;
        // Written down first: what was begun and not finished shall be known too.
        let deed = self.deed(name, "replayed", by, why);
        self.store.note(&deed).await?;
        let wanted = |head: &_| endpoint.wants(head);
        let events = self.store.replay(name, range, wanted).await?;
        if self.as_json {
            let told = json!({"endpoint": name.as_str(), "events": events, "dry_run": false});
            return Ok(writeln!(out, "{told}")?);
        }
        Ok(writeln!(out, "{events} events are sent to {name} again")?)
    }
}
