//! Making indexes agree with their records. No body is touched, and no record is taken away: what is
//! written says what the record says already, and each script looks at its version first.

use super::RedisStore;
use super::call::{self, Call};
use super::keys::Keys;
use super::value;
use crate::payment::{PaymentId, millis};
use crate::store::StoreError;
use crate::store::write::due_ms;

/// What can be put right without a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// Make it due now: its next turn looks at what is true, and goes on from there.
    Due,
    /// The same for one that is due, and much too late.
    Sooner,
    /// Enter it in the index where its record says that it belongs.
    Enter(String),
    /// Take out an entry that its record does not have.
    TakeOut(String),
    /// Keep the record, which was to expire.
    Keep,
}

/// Behind every time that is ever due, and a whole number for Lua.
const WHENEVER_MS: i64 = 1 << 53;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mended {
    /// It agrees now.
    Done,
    /// The record changed meanwhile, or is gone: nothing was written.
    Moved,
}

impl RedisStore {
    /// Puts one thing right, if the record still has the version at which it was looked at.
    pub async fn mend(
        &self,
        id: &PaymentId,
        version: u64,
        mend: &Mend,
    ) -> Result<Mended, StoreError> {
        let keys = &self.0.keys;
        let states = || keys.states(Keys::partition(id));
        let entry = |missing: &str, stray: &str| {
            Call::new(&call::MEND_ENTRY, vec![keys.payment(id), states()])
                .number(version)
                .arg(missing)
                .arg(stray)
        };
        let now = self.0.clock.now();
        let due = |unless_by: i64| {
            Call::new(&call::MEND_DUE, keys.two(id))
                .arg(id.as_str())
                .number(version)
                .number(now.timestamp_millis())
                .arg(keys.wake())
                .number(unless_by)
        };
        let call = match mend {
            Mend::Due => due(WHENEVER_MS),
            // Whoever has just taken it up keeps it.
            Mend::Sooner => due(due_ms(now + millis(self.0.settings.lease_ms))),
            Mend::Enter(missing) => entry(missing, ""),
            Mend::TakeOut(stray) => entry("", stray),
            Mend::Keep => Call::new(&call::MEND_LIFE, vec![keys.payment(id)]).number(version),
        };
        match value::word(&self.0.link.call(call).await?) {
            "mended" | "needless" => Ok(Mended::Done),
            "missing" | "outdated" => Ok(Mended::Moved),
            _ => Err(value::unexpected("a repair")),
        }
    }
}
