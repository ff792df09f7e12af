//! Payments by what is known of them, a page at a time.
//!
//! What is unfinished is found by its face, and only what is shown is loaded. What is finished is read
//! from the index of its state, or of its reference, and the records are looked at. Either way one page
//! reads so far and no further; whoever wants more goes on from there.

use chrono::TimeDelta;

use super::plan::Filter as PlanFilter;
use crate::payment::{AccountName, PaymentId, Reference, StateName, Timestamp};
use crate::store::redis::{FaceCursor, RedisStore};
use crate::store::{At, By, Cursor, Face, InvalidCursor, Loaded, Store, StoreError};

/// How many faces are looked at for one page.
const MOST_FACES: usize = 50_000;
/// How many records are.
const MOST_RECORDS: usize = 2_000;
/// How many records are read in one go.
const STEP: usize = 200;

/// What is looked for. What is not given does not matter; without a state, a reference or a whole id,
/// what is unfinished is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this state.
    pub state: Option<StateName>,
    /// Under this account.
    pub account: Option<AccountName>,
    /// Called so by the producer, which is looked for within an account.
    pub reference: Option<Reference>,
    /// In its state for at least so long.
    pub for_at_least: Option<TimeDelta>,
    /// In its state for at most so long.
    pub for_at_most: Option<TimeDelta>,
    /// Of at least so much, in minor units.
    pub at_least: Option<u64>,
    /// Of at most so much, in minor units.
    pub at_most: Option<u64>,
    /// Failed or parked for this reason.
    pub reason: Option<String>,
    /// Whether there must be a call whose outcome is not known.
    pub doubt: Doubt,
    /// With a hold that lapses after this time.
    pub lapses_after: Option<Timestamp>,
    /// With a hold that lapses by this time.
    pub lapses_by: Option<Timestamp>,
    /// With something planned before this time.
    pub planned_before: Option<Timestamp>,
    /// With an id in which this stands. Whoever gives the whole id means that payment, ended or not.
    pub id_part: Option<String>,
}

/// Whether only payments with a call whose outcome is not known are looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Doubt {
    /// It does not matter.
    #[default]
    Any,
    /// Only those.
    Only,
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The payments, the longest in their state first; of a state that is an end, the newest first.
    pub payments: Vec<Loaded>,
    /// Those that cannot be read, so that nobody knows whether they are meant; of accounts that the asker
    /// may see.
    pub unread: Vec<PaymentId>,
    /// The same, of accounts that nobody knows: only for whoever may see all of them.
    pub unread_of_any: Vec<PaymentId>,
    /// How many were looked at for it.
    pub looked_at: usize,
    /// Where to go on; `None` when all was looked at.
    pub next: Option<String>,
}

/// Why nothing was looked for.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The cursor is none.
    #[error(transparent)]
    Cursor(#[from] InvalidCursor),
    /// A reference is looked for within an account.
    #[error("name the account as well: a reference is looked for within an account")]
    NoAccount,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Filter {
    /// The id that is looked for, if it is a whole one.
    fn whole_id(&self) -> Option<PaymentId> {
        let part = self.id_part.as_ref()?.to_ascii_lowercase();
        let whole = PaymentId::looks_like_one(&part);
        whole.then(|| PaymentId::new(part).ok()).flatten()
    }

    /// The same as a plan has it, if it looks for nothing that no plan can.
    #[must_use]
    pub fn of_plan(&self) -> Option<PlanFilter> {
        let plain = Self {
            state: self.state,
            account: self.account.clone(),
            reason: self.reason.clone(),
            for_at_least: self.for_at_least,
            ..Self::default()
        };
        let state = self.state.filter(|state| !state.is_finished())?;
        let age = self.for_at_least.map(|age| age.num_milliseconds());
        (plain == *self).then(|| PlanFilter {
            state,
            account: plain.account,
            reason: plain.reason,
            older_than_ms: age.and_then(|ms| u64::try_from(ms).ok()),
        })
    }

    /// Whether a payment with this face is looked for.
    #[must_use]
    pub fn admits(&self, face: &Face, now: Timestamp) -> bool {
        let age = now - face.since;
        let minor = face.money.map_or(0, |money| money.amount.minor());
        let (lapses_at, planned_at) = (face.lapses_at, face.planned.map(|planned| planned.at));
        self.state.is_none_or(|state| state == face.state)
            && self.account.as_ref().is_none_or(|it| *it == face.account)
            && self.for_at_least.is_none_or(|least| age >= least)
            && self.for_at_most.is_none_or(|most| age <= most)
            && self.at_least.is_none_or(|least| minor >= least)
            && self.at_most.is_none_or(|most| minor <= most)
            && (self.reason.is_none() || self.reason == face.reason)
            && (self.doubt == Doubt::Any || face.in_doubt.is_some())
            && self
                .lapses_after
                .is_none_or(|t| lapses_at.is_some_and(|at| at > t))
            && self
                .lapses_by
                .is_none_or(|t| lapses_at.is_some_and(|at| at <= t))
            && self
                .planned_before
                .is_none_or(|t| planned_at.is_some_and(|at| at < t))
            && self.id_part.as_ref().is_none_or(|part| {
                let part = part.to_ascii_lowercase();
                face.id.as_str().contains(&part)
            })
    }
}

/// A page of at most `limit` payments that fit the filter and that the asker `may` see.
pub async fn find(
    store: &RedisStore,
    (filter, may): (&Filter, &(dyn Fn(&AccountName) -> bool + Sync)),
    (after, limit): (Option<&str>, usize),
    now: Timestamp,
) -> Result<Found, FindError> {
    let limit = limit.max(1);
    let admits = |face: &Face| filter.admits(face, now);
    let asked: Asked<'_> = (&admits, may);
    if let Some(id) = filter.whole_id() {
        return by_id(store, (&id, asked)).await;
    }
    let by = match (&filter.reference, &filter.account, filter.state) {
        (Some(reference), Some(account), _) => By::Reference(account.clone(), reference.clone()),
        (Some(_), None, _) => return Err(FindError::NoAccount),
        (None, _, Some(state)) if state.is_finished() => By::State(state),
        (None, ..) => {
            let cursor = after.map(|text| {
                let none = || InvalidCursor::of(text);
                FaceCursor::from_text(text).ok_or_else(none)
            });
            return by_face(store, (filter.state, asked), (cursor.transpose()?, limit)).await;
        }
    };
    let cursor = after.map(Cursor::from_text).transpose()?;
    by_record(store, (&by, asked), (cursor, limit)).await
}

/// What is looked for, and whose payments may be seen. What may not be seen is passed over: it is not
/// counted, and no page ends at it, for a cursor tells where it stands.
type Asked<'a> = (
    &'a (dyn Fn(&Face) -> bool + Sync),
    &'a (dyn Fn(&AccountName) -> bool + Sync),
);

async fn by_id(
    store: &RedisStore,
    (id, (admits, may)): (&PaymentId, Asked<'_>),
) -> Result<Found, FindError> {
    let loaded = store.load(id).await?;
    let seen_by = |loaded: &Loaded| may(&loaded.payment.request().account);
    let mut payments: Vec<Loaded> = loaded.into_iter().filter(seen_by).collect();
    let looked_at = payments.len();
    payments.retain(|loaded| admits(&seen(loaded)));
    Ok(Found {
        payments,
        unread: Vec::new(),
        unread_of_any: Vec::new(),
        looked_at,
        next: None,
    })
}

async fn by_face(
    store: &RedisStore,
    (of, (admits, may)): (Option<StateName>, Asked<'_>),
    (mut after, limit): (Option<FaceCursor>, usize),
) -> Result<Found, FindError> {
    let (mut ids, mut looked_at, mut passed) = (Vec::new(), 0, 0);
    let mut last = None;
    loop {
        let page = store.faces(of, after.as_ref()).await?;
        after = page.next;
        passed += page.faces.len();
        let mut faces = page.faces.iter().filter(|face| may(&face.account));
        while ids.len() < limit
            && let Some(face) = faces.next()
        {
            looked_at += 1;
            last = Some(FaceCursor::behind(face));
            if admits(face) {
                ids.push(face.id.clone());
            }
        }
        let more = after.is_some() || faces.next().is_some();
        // However far it is to the next one that may be seen, a page ends behind one.
        let far = passed >= MOST_FACES && last.is_some();
        if !more {
            last = None;
        }
        if !more || ids.len() == limit || far {
            break;
        }
    }
    // It may have changed since: what is shown is what fits still.
    let (mut payments, unread) = store.load_all(&ids).await?;
    payments.retain(|loaded| {
        let face = seen(loaded);
        may(&face.account) && admits(&face)
    });
    Ok(Found {
        payments,
        unread: unread.into_iter().map(|it| it.payment).collect(),
        unread_of_any: Vec::new(),
        looked_at,
        next: last.map(|cursor| cursor.as_str().to_owned()),
    })
}

async fn by_record(
    store: &RedisStore,
    (by, (admits, may)): (&By, Asked<'_>),
    (mut after, limit): (Option<Cursor>, usize),
) -> Result<Found, FindError> {
    let (mut payments, mut looked_at, mut passed) = (Vec::new(), 0, 0);
    let (mut unread, mut unread_of_any) = (Vec::new(), Vec::new());
    let mut last = None;
    loop {
        let page = match by {
            By::State(state) => store.newest(*state, after.as_ref(), STEP).await?,
            by => store.list(by, after.as_ref(), STEP).await?,
        };
        after = page.next;
        passed += page.payments.len() + page.unread.len();
        let cannot = page.unread.into_iter().map(|it| it.payment);
        match by {
            By::Reference(account, _) if may(account) => unread.extend(cannot),
            By::Reference(..) => {}
            By::State(_) | By::Due(_) => unread_of_any.extend(cannot),
        }
        let records = page.payments.into_iter();
        let mut records = records.filter(|loaded| may(&loaded.payment.request().account));
        while payments.len() < limit
            && let Some(loaded) = records.next()
        {
            looked_at += 1;
            last = Some(Cursor::behind(&loaded.payment));
            if admits(&seen(&loaded)) {
                payments.push(loaded);
            }
        }
        let more = after.is_some() || records.next().is_some();
        let far = passed >= MOST_RECORDS && last.is_some();
        if !more {
            last = None;
        }
        if !more || payments.len() == limit || far {
            break;
        }
    }
    Ok(Found {
        payments,
        unread,
        unread_of_any,
        looked_at,
        next: last.map(|cursor| cursor.as_str().to_owned()),
    })
}

/// The face of a payment as it is now.
#[must_use]
pub fn seen(loaded: &Loaded) -> Face {
    let at = if loaded.claimed { At::Work } else { At::Rest };
    Face::of(&loaded.payment, at)
}
