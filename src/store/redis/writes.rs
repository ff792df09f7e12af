//! The writes: each one is made of plain values, so that it can be repeated until it is answered.

use super::call::{self, Call};
use super::record::{body_of, write_id};
use super::{RedisStore, keys, value};
use crate::payment::{Payment, Timestamp};
use crate::store::audit::AuditEntry;
use crate::store::by::place_of;
use crate::store::write::{After, due_ms};
use crate::store::{
    At, Claim, Created, Loaded, SaveError, StateEvent, Store, StoreError, Then, json_of,
};

fn event_of(payment: &Payment, version: u64) -> Result<Vec<u8>, StoreError> {
    json_of(&StateEvent::of(payment, version), "an event").map(String::into_bytes)
}

impl RedisStore {
    pub(super) async fn write_new(
        &self,
        payment: &Payment,
        due: Timestamp,
    ) -> Result<Created, StoreError> {
        let body = body_of(payment)?;
        let event = event_of(payment, 1)?;
        let face = keys::by_face(payment, At::Rest);
        // By chance, two producers may ask for the same at the same time: one of them made it.
        let write = write_id(&[&rand::random::<u128>().to_be_bytes(), &body]);
        let make = || {
            Call::new(&call::CREATE, self.0.keys.four(payment.id()))
                .arg(payment.id().as_str())
                .arg(write.as_str())
                .arg(payment.state().name().as_str())
                .arg(place_of(payment))
                .number(due_ms(due))
                .arg(payment.fingerprint().as_str())
                .arg(body.as_slice())
                .arg(event.as_slice())
                .arg(keys::by_reference(payment).unwrap_or_default())
                .arg(self.0.keys.wake())
                .arg(self.0.link.run())
                .arg(face.as_str())
        };
        let patience = self.0.settings.save_patience();
        let reply = match self.0.link.insist(patience, make).await {
            Err(error) if error.is_about_one() => {
                // Either what stands at its key is no payment, which the load says; or it is
                // recorded by now, and what cannot be written stands beside it.
                self.load(payment.id()).await?;
                let told = format!("beside the payment: {error}");
                return Err(StoreError::Refused(told));
            }
            reply => reply?,
        };
        match (
            value::word(&reply),
            value::items(&reply).get(1).and_then(value::text),
        ) {
            ("created", _) => Ok(Created::New),
            ("existing", Some(print)) if print == payment.fingerprint().as_str() => {
                match self.load(payment.id()).await? {
                    Some(loaded) => Ok(Created::Existing(Box::new(loaded))),
                    None => Err(StoreError::Busy(payment.id().to_string())),
                }
            }
            ("existing", _) => Ok(Created::Conflict),
            _ => Err(value::unexpected("a create")),
        }
    }

    /// Whether money may move on this claim at all.
    pub(super) fn check_license(&self, claim: &Claim) -> Result<(), SaveError> {
        self.0.link.durability()?;
        if claim.lineage == self.0.link.lineage() {
            Ok(())
        } else {
            Err(SaveError::Lost)
        }
    }

    /// Answers how often the payment was nudged.
    pub(super) async fn write_claimed(&self, claim: &Claim, then: Then) -> Result<u64, SaveError> {
        let payment = &claim.payment;
        let body = body_of(payment)?;
        // The script knows whether this state was told before.
        let event = event_of(payment, claim.version + 1)?;
        let nonce = claim.key.nonce.as_str();
        let (asked, at) = match then {
            Then::Keep => ("keep".to_owned(), At::Work),
            Then::Rest(due) => (format!("rest {:?}", due.map(due_ms)), At::Rest),
        };
        let face = keys::by_face(payment, at);
        let found = claim.version.to_string();
        let write = write_id(&[
            found.as_bytes(),
            nonce.as_bytes(),
            asked.as_bytes(),
            body.as_slice(),
        ]);
        let make = || {
            let now = self.0.clock.now();
            let after = After::of(payment, then, now, self.0.settings.lease_ms);
            let (goes_on, due, if_nudged, to_live) = match after {
                After::Leased(end) => (nonce, due_ms(end).to_string(), due_ms(end), String::new()),
                After::Due(due) => ("", due_ms(due).to_string(), due_ms(now), String::new()),
                After::Finished => (
                    "",
                    String::new(),
                    0,
                    self.0.settings.retention_ms().to_string(),
                ),
            };
            Call::new(&call::SAVE, self.0.keys.four(payment.id()))
                .arg(payment.id().as_str())
                .arg(found.as_str())
                .arg(nonce)
                .arg(write.as_str())
                .arg(payment.state().name().as_str())
                .arg(place_of(payment))
                .arg(body.as_slice())
                .arg(event.as_slice())
                .arg(to_live)
                .arg(goes_on)
                .arg(due)
                .number(if_nudged)
                .number(claim.nudges)
                .arg(self.0.link.run())
                .arg(face.as_str())
        };
        let reply = self
            .0
            .link
            .insist(self.0.settings.save_patience(), make)
            .await?;
        match value::word(&reply) {
            "written" => value::items(&reply)
                .get(1)
                .and_then(value::number)
                .ok_or_else(|| value::unexpected("a save").into()),
            "missing" => Err(SaveError::Missing),
            "lost" => Err(SaveError::Lost),
            "outdated" => Err(SaveError::Outdated),
            _ => Err(value::unexpected("a save").into()),
        }
    }

    pub(super) async fn write_command(
        &self,
        loaded: &Loaded,
        due: Option<Timestamp>,
        audit: Option<&AuditEntry>,
    ) -> Result<(), SaveError> {
        let payment = &loaded.payment;
        let body = body_of(payment)?;
        let (entry, hash) = audit.map_or(Ok(Default::default()), AuditEntry::sealed)?;
        let found = loaded.version.to_string();
        let write = write_id(&[found.as_bytes(), b"command", body.as_slice()]);
        let at = if loaded.claimed { At::Work } else { At::Rest };
        let face = keys::by_face(payment, at);
        let make = || {
            Call::new(&call::COMMAND, self.0.keys.commanded(payment.id()))
                .arg(payment.id().as_str())
                .arg(found.as_str())
                .arg(write.as_str())
                .arg(body.as_slice())
                .arg(due.map_or(String::new(), |due| due_ms(due).to_string()))
                .number(self.0.clock.now().timestamp_millis())
                .arg(self.0.keys.wake())
                .arg(entry.as_slice())
                .arg(hash.as_str())
                .arg(face.as_str())
                .number(loaded.nudges)
        };
        let reply = self
            .0
            .link
            .insist(self.0.settings.save_patience(), make)
            .await?;
        match value::word(&reply) {
            "written" => Ok(()),
            "missing" => Err(SaveError::Missing),
            "outdated" => Err(SaveError::Outdated),
            _ => Err(value::unexpected("a command").into()),
        }
    }
}
