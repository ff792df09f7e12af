//! Claiming what is due.

use redis::Value;
use tokio::time::Instant;

use super::call::{self, Call};
use super::finder::{self, Hint};
use super::{MOST_AT_ONCE, RedisStore, record, value};
use crate::payment::{Timestamp, millis};
use crate::store::write::due_ms;
use crate::store::{Claim, ClaimKey, Claims, Loaded, Nonce, StoreError, Tried};

/// When a record that cannot be read is tried again, in case somebody mended it.
const BROKEN_WAITS_MS: u64 = 60 * 60 * 1000;
/// When a record of a newer version is tried again: by then a newer worker may have taken it.
const NEWER_WAITS_MS: u64 = 5 * 1000;
/// How often one call looks anew when others were quicker.
const MOST_LOOKS: usize = 4;

impl RedisStore {
    /// See [`Store::claim`]. May be dropped at any await: what was claimed meanwhile is found again.
    ///
    /// What was claimed is not kept waiting for another look. If the hints of an earlier look ran
    /// dry before all slots were filled, the answer is that more may be due already.
    pub(super) async fn claim_due(&self, slots: usize) -> Result<Claims, StoreError> {
        let mut claims = Vec::new();
        let mut looks = 0;
        while claims.len() < slots {
            let wanted = slots - claims.len();
            let before = claims.len();
            let tried = match self.try_hints(wanted, &mut claims).await {
                Err(error) if claims.is_empty() => return Err(error),
                Err(_) => break,
                Ok(tried) => tried,
            };
            let got = claims.len() - before;
            if tried > got * 2 {
                self.0.finder.forget();
            }
            if !claims.is_empty() && self.0.finder.is_empty() {
                break;
            }
            if tried > 0 && got > 0 {
                continue;
            }
            if looks == MOST_LOOKS {
                break;
            }
            looks += 1;
            match self.look(slots).await {
                Err(error) if claims.is_empty() => return Err(error),
                Err(_) => break,
                Ok(()) if self.0.finder.is_empty() => break,
                Ok(()) => {}
            }
        }
        let unseen = looks == 0 && claims.len() < slots;
        let next_due = if unseen {
            Some(self.0.clock.now())
        } else {
            self.0.finder.next_due()
        };
        Ok(Claims { claims, next_due })
    }

    /// Looks at what is due in all partitions.
    async fn look(&self, slots: usize) -> Result<(), StoreError> {
        let depth = finder::depth_for(slots);
        let asked = Instant::now();
        let now = self.0.clock.now().timestamp_millis();
        let look = finder::look(&self.0.keys, depth, now);
        let replies = self.0.link.read(&look).await?;
        let Some((time, partitions)) = replies.split_first() else {
            return Err(value::unexpected("TIME"));
        };
        if let Some(time) = finder::time_of(time) {
            self.0.clock.sync(time, asked.elapsed());
        }
        self.0
            .finder
            .learn(partitions, depth, self.0.clock.now().timestamp_millis());
        Ok(())
    }

    /// Tries to claim what the finder hints at, up to `count`. Answers how many were tried.
    async fn try_hints(&self, count: usize, claims: &mut Vec<Claim>) -> Result<usize, StoreError> {
        let mut trying = self.0.finder.take(count.min(MOST_AT_ONCE));
        // Read before the calls: a claim may be thought older than it is, never younger.
        let lineage = self.0.link.lineage();
        let now = self.0.clock.now();
        let lease_end = due_ms(now + millis(self.0.settings.lease_ms));
        let mut calls = Vec::with_capacity(trying.hints.len());
        for hint in &mut trying.hints {
            let nonce = hint.nonce.get_or_insert_with(Nonce::fresh);
            calls.push(
                Call::new(&call::CLAIM, self.0.keys.two(&hint.id))
                    .arg(hint.id.as_str())
                    .number(now.timestamp_millis())
                    .number(lease_end)
                    .arg(nonce.as_str()),
            );
        }
        let replies = self.0.link.call_all(&calls).await?;
        let hints = trying.done();
        let tried = hints.len();
        let mut unreadable = Vec::new();
        let mut refused = None;
        for (hint, reply) in hints.into_iter().zip(replies) {
            let Hint {
                id,
                nonce: Some(nonce),
                ..
            } = hint
            else {
                continue;
            };
            let key = ClaimKey { id, nonce };
            match reply.map(|reply| claimed(&reply)) {
                Ok(Ok(None)) => {}
                Ok(Ok(Some((loaded, barren, due)))) => {
                    let fell_due = due.filter(|due| *due <= now);
                    let loaded = Loaded {
                        due: crate::clock::from_millis(lease_end),
                        ..loaded
                    };
                    let claim = Claim::new(key, loaded, barren, lineage);
                    claims.push(claim.fallen_due(fell_due));
                }
                Ok(Err(problem)) => unreadable.push((key, problem)),
                Err(error) => refused = Some((key.id, error)),
            }
        }
        if let Some((id, error)) = refused {
            tracing::error!(
                event = "claim_refused", payment.id = %id, %error,
                "a payment cannot be claimed, and perhaps others"
            );
        }
        self.set_aside(unreadable).await;
        Ok(tried)
    }

    /// Leaves records that cannot be read as they are, and tries again later.
    async fn set_aside(&self, records: Vec<(ClaimKey, record::Problem)>) {
        let now = self.0.clock.now();
        let mut calls = Vec::with_capacity(records.len());
        for (key, problem) in &records {
            tracing::error!(
                event = "record_unreadable", payment.id = %key.id, %problem,
                "a record cannot be read; it is left as it is"
            );
            let (reason, wait) = match problem {
                record::Problem::Newer(_) => ("record_newer", NEWER_WAITS_MS),
                record::Problem::Broken(_) => ("record_unreadable", BROKEN_WAITS_MS),
            };
            self.0.link.unworkable(reason);
            calls.push(self.giving_back(key, now + millis(wait), Tried::No));
        }
        if let Err(error) = self.0.link.call_all(&calls).await {
            tracing::warn!(%error, "they come up again when their leases end");
        }
    }

    /// The call that ends a claim without a change.
    pub(super) fn giving_back(&self, claim: &ClaimKey, due: Timestamp, tried: Tried) -> Call {
        let barren = match tried {
            Tried::Yes => 0,
            Tried::No => -1,
        };
        Call::new(&call::GIVE_BACK, self.0.keys.two(&claim.id))
            .arg(claim.id.as_str())
            .arg(claim.nonce.as_str())
            .number(due_ms(due))
            .number(self.0.clock.now().timestamp_millis())
            .number(barren)
            .arg(self.0.keys.wake())
    }
}

/// What a claim brought: the payment, the number of barren claims, and what the due index said of it;
/// `None` when it is not due.
fn claimed(reply: &Value) -> Result<Option<(Loaded, u32, Option<Timestamp>)>, record::Problem> {
    match reply {
        Value::Nil => Ok(None),
        Value::Array(fields) => match fields.as_slice() {
            [version, state, nudges, barren, body, due] => {
                let loaded = record::loaded([version, state, nudges, body])?;
                let barren = value::number(barren).unwrap_or(0);
                Ok(Some((
                    Loaded {
                        claimed: true,
                        ..loaded
                    },
                    barren,
                    record::millis_of(due).and_then(crate::clock::from_millis),
                )))
            }
            _ => Err(record::Problem::broken("it is due, but it is not there")),
        },
        _ => Err(record::Problem::broken(
            "it was answered in an unknown form",
        )),
    }
}
