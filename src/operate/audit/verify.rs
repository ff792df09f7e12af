//! Going through all streams, page by page, and through the records if that is wanted.

use std::collections::{BTreeMap, HashMap};

use super::chain::Chain;
use super::finding::{Finding, What};
use crate::payment::{IdempotencyKey, PaymentId, StateName, Timestamp};
use crate::store::audit::{AuditHead, AuditStream, Chained, StreamFacts};
use crate::store::redis::{AuditOrder, RedisStore};
use crate::store::{Loaded, Store, StoreError};

/// How many entries, or payments, one step reads.
const STEP: usize = 500;
/// How many findings are kept; the others are counted.
const MOST_FINDINGS: usize = 1_000;

/// What is to be verified besides the chains.
#[derive(Debug, Clone, Default)]
pub struct Questions {
    /// Heads that were noted before.
    pub heads: Vec<AuditHead>,
    /// Whether every command of every record since then has its entry, and the other way round.
    pub records_since: Option<Timestamp>,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// Each stream.
    pub streams: Vec<StreamReport>,
    /// How many payments were compared.
    pub payments: u64,
    /// Those that were not, as their records cannot be read: why not.
    pub unread: BTreeMap<PaymentId, String>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// How much more is, of which nothing is told.
    pub more: u64,
}

impl Verified {
    /// Whether somebody must have changed something.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.more > 0 || self.findings.iter().any(|found| found.what.is_broken())
    }

    fn found(&mut self, stream: AuditStream, place: Option<String>, what: What) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(Finding {
                stream,
                place,
                what,
            });
        } else {
            self.more += 1;
        }
    }
}

/// A stream that was gone through.
#[derive(Debug, Clone)]
pub struct StreamReport {
    /// Which.
    pub stream: AuditStream,
    /// How many entries there are.
    pub entries: u64,
    /// The number and the link of the last one.
    pub head: Option<(u64, String)>,
    /// Its place.
    last: Option<String>,
}

/// Of which commands there are entries, and where.
type Told = HashMap<(PaymentId, IdempotencyKey), Entry>;

struct Entry {
    stream: AuditStream,
    place: String,
    /// Whether a record shows it.
    shown: bool,
}

/// Goes through everything. `tell` is told now and then how much was read: of what, and how many.
pub async fn verify(
    store: &RedisStore,
    questions: &Questions,
    tell: &(dyn Fn(&str, u64) + Sync),
) -> Result<Verified, StoreError> {
    let mut verified = Verified::default();
    let mut told = Told::new();
    let wanted = questions.records_since.is_some();
    let mut read = 0;
    for stream in AuditStream::all() {
        let facts = store.audit_facts(stream).await?;
        let mut walk = Walk::new(stream, facts, &questions.heads);
        loop {
            let after = walk.report.last.as_deref();
            let page = store
                .audit_page(stream, AuditOrder::Oldest, after, STEP)
                .await?;
            if page.is_empty() {
                break;
            }
            read += page.len() as u64;
            tell("entries", read);
            for entry in &page {
                walk.take(entry, &mut verified);
                if wanted {
                    remember(stream, entry, &mut told);
                }
            }
        }
        let report = walk.end(&mut verified);
        verified.streams.push(report);
    }
    if let Some(since) = questions.records_since {
        compare(store, (since, told), &mut verified, tell).await?;
    }
    Ok(verified)
}

/// One stream on its way.
struct Walk<'a> {
    report: StreamReport,
    facts: Option<StreamFacts>,
    /// Heads that were not met yet.
    heads: Vec<&'a AuditHead>,
    chain: Chain,
    /// Whether the newest that Redis knows of was met.
    met_last: bool,
}

impl<'a> Walk<'a> {
    fn new(stream: AuditStream, facts: Option<StreamFacts>, heads: &'a [AuditHead]) -> Self {
        let report = StreamReport {
            stream,
            entries: 0,
            head: None,
            last: None,
        };
        Self {
            report,
            facts,
            heads: heads.iter().filter(|head| head.stream == stream).collect(),
            chain: Chain::default(),
            met_last: false,
        }
    }

    fn take(&mut self, entry: &Chained, verified: &mut Verified) {
        for (place, what) in self.chain.take(entry) {
            verified.found(self.report.stream, Some(place), what);
        }
        if let Some((n, link, _)) = &entry.whole {
            self.heads.retain(|head| head.n != *n || head.link != *link);
        }
        let last = self.facts.as_ref().map(|facts| facts.last.as_str());
        self.met_last |= last == Some(entry.id.as_str());
        self.report.entries += 1;
        self.report.last = Some(entry.id.clone());
    }

    fn end(mut self, verified: &mut Verified) -> StreamReport {
        let stream = self.report.stream;
        for (place, what) in self.chain.end() {
            verified.found(stream, Some(place), what);
        }
        if let Some(facts) = &self.facts {
            let deleted = facts.deleted != "0-0" || facts.added != facts.length;
            let cut = facts.length > 0 && !self.met_last;
            if deleted || cut || facts.length == 0 {
                let (added, there) = (facts.added, facts.length);
                verified.found(stream, None, What::Vanished { added, there });
            }
        }
        for head in self.heads {
            verified.found(stream, None, What::HeadGone { n: head.n });
        }
        let head = self.chain.head();
        self.report.head = head.map(|(n, link)| (n, link.to_owned()));
        self.report
    }
}

fn remember(stream: AuditStream, entry: &Chained, told: &mut Told) {
    let said = entry
        .entry()
        .and_then(|said| Some((said.payment?, said.key?)));
    if let Some(command) = said {
        let entry = Entry {
            stream,
            place: entry.id.clone(),
            shown: false,
        };
        told.insert(command, entry);
    }
}

/// Holds the entries against the records, in both directions.
async fn compare(
    store: &RedisStore,
    (since, mut told): (Timestamp, Told),
    verified: &mut Verified,
    tell: &(dyn Fn(&str, u64) + Sync),
) -> Result<(), StoreError> {
    let mut untold = Vec::new();
    for state in StateName::ALL {
        let mut cursor = None;
        loop {
            let page = store.list(&state.into(), cursor.as_ref(), STEP).await?;
            verified.payments += page.payments.len() as u64;
            tell("payments", verified.payments);
            for loaded in &page.payments {
                untold.extend(untold_of(loaded, since, &mut told));
            }
            let unread = page.unread.into_iter().map(|it| (it.payment, it.problem));
            verified.unread.extend(unread);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    // What was commanded meanwhile has its entry behind what was read.
    let mut late = Told::new();
    for report in &verified.streams {
        let mut last = report.last.clone();
        loop {
            let (stream, after) = (report.stream, last.as_deref());
            let page = store
                .audit_page(stream, AuditOrder::Oldest, after, STEP)
                .await?;
            let Some(newest) = page.last() else { break };
            last = Some(newest.id.clone());
            for entry in &page {
                remember(stream, entry, &mut late);
            }
        }
    }
    for (payment, key) in untold {
        let command = (payment, key);
        if !late.contains_key(&command) {
            let (payment, key) = command;
            let stream = AuditStream::of(&payment);
            verified.found(stream, None, What::NoEntry { payment, key });
        }
    }
    let unseen = told.into_iter().filter(|(_, entry)| !entry.shown);
    for ((payment, key), Entry { stream, place, .. }) in unseen {
        // A payment that is kept no more says nothing.
        let loaded = match store.load(&payment).await {
            Ok(Some(loaded)) => loaded,
            Ok(None) => continue,
            Err(error) if error.is_about_one() => {
                let known = verified.unread.entry(payment);
                known.or_insert_with(|| error.to_string());
                continue;
            }
            Err(error) => return Err(error),
        };
        let mut commands = loaded.payment.commands().iter();
        if !commands.any(|known| known.key == key) {
            verified.found(stream, Some(place), What::NoCommand { payment, key });
        }
    }
    Ok(())
}

/// Which commands of a payment nothing tells of.
fn untold_of(
    loaded: &Loaded,
    since: Timestamp,
    told: &mut Told,
) -> Vec<(PaymentId, IdempotencyKey)> {
    let mut untold = Vec::new();
    for given in loaded.payment.commands() {
        let command = (loaded.payment.id().clone(), given.key.clone());
        match told.get_mut(&command) {
            Some(entry) => entry.shown = true,
            None if given.at >= since => untold.push(command),
            None => {}
        }
    }
    untold
}
