//! Faces of unfinished payments, as the index has them.

use redis::{Pipeline, Value};

use super::RedisStore;
use super::keys::{self, Keys, PARTITIONS};
use super::value::{items, number, text};
use crate::payment::{PaymentId, StateName};
use crate::store::{Face, Loaded, StoreError, Unread};

/// How many faces of each partition one page reads.
const STEP: usize = 500;
/// How often payments without a face are counted before they are believed to be there.
const COUNTS: usize = 3;

/// A page of faces, by state and by how long they are in it, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faces {
    /// The faces.
    pub faces: Vec<Face>,
    /// Behind which one to go on; `None` at the end.
    pub next: Option<FaceCursor>,
}

/// Where a walk over faces goes on: opaque, and true whatever changes meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaceCursor(String);

impl FaceCursor {
    /// Right behind a face.
    #[must_use]
    pub fn behind(face: &Face) -> Self {
        Self(face.place())
    }

    /// Right behind an entry, be its face readable or not.
    fn at(member: &str) -> Self {
        let place: Vec<&str> = member.split(':').skip(1).take(3).collect();
        Self(place.join(":"))
    }

    /// A cursor as it was given before; `None` for what was never one.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let state = parts.next()?.parse::<StateName>().ok()?;
        let (since, id) = (parts.next()?.parse::<u64>().ok()?, parts.next()?);
        let whole = PaymentId::looks_like_one(id) && parts.next().is_none();
        whole.then(|| Self(format!("{state}:{since:013}:{id}")))
    }

    /// The cursor as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RedisStore {
    /// Faces of unfinished payments, of one state or of all, behind a cursor: some hundreds, and some
    /// thousands at the most. Whoever walks over all of them sees each payment that does not change
    /// meanwhile once.
    pub async fn faces(
        &self,
        of: Option<StateName>,
        after: Option<&FaceCursor>,
    ) -> Result<Faces, StoreError> {
        let (mut from, to) = keys::range(&keys::of_faces(of), None);
        if let Some(FaceCursor(place)) = after {
            let behind = format!("(open:{place};");
            from = from.max(behind);
        }
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            page_of(&mut pipeline, &self.0.keys.states(partition), &from, &to);
        }
        let replies = self.0.link.read(&pipeline).await?;
        let members: Vec<Vec<&str>> = replies
            .iter()
            .map(|reply| items(reply).iter().filter_map(text).collect())
            .collect();
        // No further than the first partition that has more: what comes behind is for the next page.
        let full = members.iter().filter(|members| members.len() == STEP);
        let end = full.filter_map(|members| members.last()).min().copied();
        let mut read: Vec<&str> = members.into_iter().flatten().collect();
        read.retain(|member| end.is_none_or(|end| *member <= end));
        read.sort_unstable();
        Ok(Faces {
            faces: read.into_iter().filter_map(face_of).collect(),
            next: end.map(FaceCursor::at),
        })
    }

    /// How many unfinished payments have no face, at least: those that were recorded before there were
    /// faces, and not saved since. What is saved while it is counted does not look like one.
    pub async fn faceless(&self) -> Result<u64, StoreError> {
        let mut least = u64::MAX;
        for _ in 0..COUNTS {
            least = least.min(self.count_faceless().await?);
            if least == 0 {
                break;
            }
        }
        Ok(least)
    }

    /// Faces are counted before and after the payments: one that came in between, and one that left,
    /// are each in one of the two counts.
    async fn count_faceless(&self) -> Result<u64, StoreError> {
        let (from, to) = keys::range(&keys::of_faces(None), None);
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            let states = self.0.keys.states(partition);
            pipeline.cmd("ZLEXCOUNT").arg(&states).arg(&from).arg(&to);
            // Every unfinished payment is due at some time.
            pipeline.cmd("ZCARD").arg(self.0.keys.due(partition));
            pipeline.cmd("ZLEXCOUNT").arg(&states).arg(&from).arg(&to);
        }
        let replies = self.0.link.read(&pipeline).await?;
        let replies: Vec<u64> = replies.iter().filter_map(number).collect();
        let each = replies.as_chunks::<3>().0.iter();
        let missing = each.map(|[before, payments, after]| {
            let faces = *before.max(after);
            payments.saturating_sub(faces)
        });
        Ok(missing.sum())
    }

    /// The payments of these names, in that order, as far as they are there; and those that cannot be read.
    pub async fn load_all(
        &self,
        ids: &[PaymentId],
    ) -> Result<(Vec<Loaded>, Vec<Unread>), StoreError> {
        let places: Vec<(u64, String)> = ids
            .iter()
            .map(|id| (Keys::partition(id), format!(":{id}")))
            .collect();
        let places: Vec<(u64, &str)> = places.iter().map(|(p, place)| (*p, &**place)).collect();
        self.load_places(&places).await
    }

    /// Takes faces out of a partition that are not those of a record. Scripts keep the two in step; a
    /// crash in the middle of one, which Redis carries on with one start later, can leave a face of
    /// a payment that has long ended.
    pub(super) async fn sweep_faces(&self, partition: u64) -> Result<u64, StoreError> {
        let index = self.0.keys.states(partition);
        let (mut from, to) = keys::range(&keys::of_faces(None), None);
        let mut swept = 0;
        loop {
            let mut pipeline = Pipeline::new();
            page_of(&mut pipeline, &index, &from, &to);
            let reply = self.0.link.read(&pipeline).await?.into_iter().next();
            let members: Vec<&str> = reply.iter().flat_map(items).filter_map(text).collect();
            let Some(last) = members.last() else {
                return Ok(swept);
            };
            from = format!("({last}");
            let mut pipeline = Pipeline::new();
            for member in &members {
                let id = member.split(':').nth(3).unwrap_or_default();
                let key = self.0.keys.payment_named(partition, id);
                pipeline.cmd("HGET").arg(key).arg("face");
            }
            let found = self.0.link.read(&pipeline).await?;
            let stale = members
                .iter()
                .zip(&found)
                .filter(|(member, stored)| !may_stand(member, stored));
            let stale: Vec<&str> = stale.map(|(member, _)| *member).collect();
            if !stale.is_empty() {
                let mut pipeline = Pipeline::new();
                pipeline.cmd("ZREM").arg(&index).arg(&stale);
                self.0.link.repeat(&pipeline).await?;
                swept += stale.len() as u64;
            }
        }
    }
}

fn page_of(pipeline: &mut Pipeline, index: &str, from: &str, to: &str) {
    pipeline.cmd("ZRANGE").arg(index).arg(from).arg(to);
    pipeline.arg("BYLEX").arg("LIMIT").arg(0).arg(STEP);
}

fn face_of(member: &str) -> Option<Face> {
    Face::from_text(member.strip_prefix("open:")?)
}

/// Whether the record names the face, alone or among those that its next turn brings in order.
fn may_stand(member: &str, stored: &Value) -> bool {
    text(stored).is_some_and(|stored| stored == member || stored.contains('\n'))
}
