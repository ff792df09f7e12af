//! Whether records and indexes agree, and making them agree. What is told was seen twice, some moments
//! apart, with nothing written to the record in between: workers go on meanwhile, and what they are in
//! the middle of is no fault.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{Check, Found};
use super::{Doctor, Repair};
use crate::payment::{AccountName, PaymentId, Timestamp};
use crate::store::audit::{AuditEntry, Mandate};
use crate::store::redis::{Fault, Mended, Newest, RedisStore, Suspect, Walking};
use crate::store::{Store, StoreError};

/// How many payments are named for each thing that is wrong.
const MOST_NAMED: usize = 20;

/// What was found.
pub(super) struct Examined {
    pub(super) checks: Vec<Check>,
    /// The accounts that unfinished payments are of.
    pub(super) accounts: BTreeSet<AccountName>,
    /// What came last to each account at the gateway.
    pub(super) newest: BTreeMap<AccountName, Newest>,
}

/// One thing that must hold.
struct Rule {
    name: &'static str,
    holds: &'static str,
    found: Found,
    broken: &'static str,
    fix: &'static str,
}

const MENDS: &str = "run `holdfast doctor --repair`";
const HOW_CAME: &str = "somebody wrote to Redis by hand, or it is a fault of Holdfast: report it";

const RULES: [Rule; 12] = [
    Rule {
        name: "due",
        holds: "every unfinished payment is due, or somebody works on it",
        found: Found::Wrong,
        broken: "not finished and not in the due index: nobody would ever look at it again",
        fix: MENDS,
    },
    Rule {
        name: "in_time",
        holds: "no payment is due later than it must be",
        found: Found::Wrong,
        broken: "due long after it must be looked at, by its plan and these settings: until then nobody does",
        fix: MENDS,
    },
    Rule {
        name: "lease",
        holds: "no lease without a place in the due index",
        found: Found::Wrong,
        broken: "under a lease and not in the due index: when its worker is gone, nobody takes over",
        fix: MENDS,
    },
    Rule {
        name: "expiry",
        holds: "nothing that is not finished expires",
        found: Found::Wrong,
        broken: "not finished, and Redis would forget it",
        fix: MENDS,
    },
    Rule {
        name: "entries",
        holds: "every payment stands in the index by its state, its reference and its face",
        found: Found::Wrong,
        broken: "missing in the index by state, reference or face: lists, counts and sums are short of it",
        fix: MENDS,
    },
    Rule {
        name: "strays",
        holds: "no payment stands where it does not belong",
        found: Found::Wrong,
        broken: "in the index under a state, reference or face that it does not have: lists, counts and sums \
                 tell it twice",
        fix: MENDS,
    },
    Rule {
        name: "records",
        holds: "no index without a record",
        found: Found::Wrong,
        broken: "in an index, and there is no record: it was deleted, or a crash cut its creation short",
        fix: "look in CHIP's portal for a purchase with this id as its reference; if there is none, have its \
              producer ask again under the same key, which makes it whole. Otherwise it may have been paid: \
              put its record back from a backup",
    },
    Rule {
        name: "bodies",
        holds: "every record can be read, and stands where it belongs",
        found: Found::Wrong,
        broken: "a record that cannot be read, is somewhere else, or says two things about its state; it is \
                 left alone",
        fix: "keep the record and report it; restore it from a backup",
    },
    Rule {
        name: "versions",
        holds: "every record is of a version that this program reads",
        found: Found::Warning,
        broken: "written by a newer version, and left to newer workers",
        fix: "finish the upgrade: run the newer version everywhere",
    },
    Rule {
        name: "told",
        holds: "every end was told",
        found: Found::Wrong,
        broken: "finished, and no event was written of it: its producer was told nothing",
        fix: MENDS,
    },
    Rule {
        name: "turns",
        holds: "no payment waits for a turn to put it right",
        found: Found::Warning,
        broken: "half written when Redis crashed; its next turn puts it right, if a worker runs",
        fix: "see that a worker runs: `holdfast stats`",
    },
    Rule {
        name: "kept",
        holds: "what is finished is forgotten in the end",
        found: Found::Warning,
        broken: "finished and kept for ever, as Redis crashed in between: it costs a little memory and nothing else",
        fix: "leave it",
    },
];

const fn rule_of(fault: &Fault) -> &'static str {
    match fault {
        Fault::NotDue { leased: false } => "due",
        Fault::NotDue { leased: true } => "lease",
        Fault::DueLate => "in_time",
        Fault::Expires => "expiry",
        Fault::NotEntered(_) => "entries",
        Fault::Stray(_) | Fault::HalfShown { due: false } => "strays",
        Fault::NoRecord => "records",
        Fault::Unreadable(_) | Fault::Misplaced | Fault::TwoStates => "bodies",
        Fault::Newer(_) => "versions",
        Fault::Untold { due: false } => "told",
        Fault::Untold { due: true } | Fault::HalfShown { due: true } | Fault::StillDue => "turns",
        Fault::KeptForEver => "kept",
    }
}

/// What became of the faults under one rule, each with its payment.
#[derive(Default)]
struct Tally {
    /// They stand as they were found.
    left: BTreeSet<String>,
    /// They were put right.
    mended: BTreeSet<String>,
    /// Their records moved on before: to be looked at again.
    moved: BTreeSet<String>,
    refused: Option<String>,
}

/// Why nobody could look, otherwise.
pub(super) async fn examine(
    doctor: &Doctor<'_>,
    store: &RedisStore,
    repair: Repair<'_>,
    seen: &mut (dyn FnMut(u64) + Send),
) -> Result<Examined, String> {
    let told = |error: StoreError| error.to_string();
    let by = Walking {
        policies: doctor.config.policies(),
        most: doctor.most,
    };
    let walked = store.walk(&by, seen).await.map_err(told)?;
    let mut suspects = walked.suspects;
    if !suspects.is_empty() {
        tokio::time::sleep(doctor.between).await;
        suspects = store.look_again(&by, suspects).await.map_err(told)?;
    }
    // What is written there may be lost: it would be called put right, and not be.
    let lacking = store.durability().err().map(|lack| lack.to_string());
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for suspect in &suspects {
        for fault in &suspect.faults {
            let tally = tallies.entry(rule_of(fault)).or_default();
            match (repair, &lacking) {
                (Repair::Mend(by), None) => {
                    let at = doctor.clock.now();
                    put_right(store, (suspect, fault), (by, at), tally).await;
                }
                (Repair::Mend(_), Some(_)) => {
                    tally.left.insert(suspect.id.clone());
                    tally.refused.clone_from(&lacking);
                }
                (Repair::Tell | Repair::Plan, _) => {
                    tally.left.insert(suspect.id.clone());
                }
            }
        }
    }
    let looked_at = format!(
        "looked at {} records and {} entries of indexes",
        walked.records, walked.entries
    );
    let mut checks = vec![match walked.unknown {
        0 => Check::fine("walk", looked_at),
        some => {
            let apart =
                format!("{some} of them of no kind that this version knows: ask the newest one");
            Check::not_checked("walk", format!("{looked_at}, {apart}"))
        }
    }];
    if walked.more {
        checks.push(Check::not_checked(
            "walk",
            "so much is wrong that not all of it is listed: repair this, and run it again",
        ));
    }
    checks.extend(all_told(tallies, walked.undated, repair));
    Ok(Examined {
        checks,
        accounts: walked.accounts,
        newest: walked.newest,
    })
}

/// What is told of each rule.
fn all_told(
    mut tallies: BTreeMap<&str, Tally>,
    undated_count: u64,
    repair: Repair<'_>,
) -> Vec<Check> {
    let mut checks = Vec::new();
    for rule in &RULES {
        let tally = tallies.remove(rule.name);
        // What else is wrong there is told; but that all the others are in time nobody knows.
        match (rule.name, undated_count) {
            ("in_time", 1..) => {
                let wrong = tally.map(|tally| told_of(rule, Some(tally), repair));
                checks.extend(wrong.unwrap_or_default());
                checks.push(undated(undated_count));
            }
            _ => checks.extend(told_of(rule, tally, repair)),
        }
    }
    checks
}

fn undated(count: u64) -> Check {
    let why = format!(
        "of {count} payments that are not finished nobody can tell when they must be looked at: their \
         record cannot be read, or these settings lack their account"
    );
    Check::not_checked("in_time", why)
}

async fn put_right(
    store: &RedisStore,
    (suspect, fault): (&Suspect, &Fault),
    (by, at): (&Mandate, Timestamp),
    tally: &mut Tally,
) {
    let name = suspect.id.clone();
    let id = PaymentId::new(name.as_str());
    let (Some(mend), Ok(id), Some(version)) = (fault.mend(), id, suspect.version) else {
        tally.left.insert(name);
        return;
    };
    let what = format!("repair_{}", rule_of(fault));
    let intent = AuditEntry::intent(by, &what, Some(&name), at);
    let mending = async {
        store.note_intent(&intent).await?;
        store.mend(&id, version, &mend).await
    };
    match mending.await {
        Ok(Mended::Done) => {
            tally.mended.insert(name);
        }
        Ok(Mended::Moved) => {
            tally.moved.insert(name);
        }
        Err(error) => {
            tally.left.insert(name);
            tally.refused = Some(error.to_string());
        }
    }
}

/// What is told of one rule: one line, or one for what was mended and one for what was not.
fn told_of(rule: &Rule, tally: Option<Tally>, repair: Repair<'_>) -> Vec<Check> {
    let Some(tally) = tally else {
        return vec![Check::fine(rule.name, rule.holds)];
    };
    let mends = rule.fix == MENDS;
    let mut checks = Vec::new();
    if !tally.mended.is_empty() {
        let what = format!("{} put right: {}", tally.mended.len(), rule.broken);
        checks.push(with(
            Check::found(rule.name, Found::Mended, what, HOW_CAME),
            &tally.mended,
        ));
    }
    if !tally.moved.is_empty() {
        let what = format!(
            "{} moved on before it could be put right: nobody knows how it stands now",
            tally.moved.len()
        );
        let fix = "run it again";
        checks.push(with(
            Check::found(rule.name, Found::Wrong, what, fix),
            &tally.moved,
        ));
    }
    if !tally.left.is_empty() {
        let what = format!("{}: {}", tally.left.len(), rule.broken);
        let fix = match (&tally.refused, repair) {
            (Some(why), _) => format!("it could not be put right: {why}"),
            (None, Repair::Plan) if mends => "it would be put right without --dry-run".to_owned(),
            (None, _) => rule.fix.to_owned(),
        };
        checks.push(with(
            Check::found(rule.name, rule.found, what, fix),
            &tally.left,
        ));
    }
    checks
}

fn with(check: Check, payments: &BTreeSet<String>) -> Check {
    Check {
        payments: payments.iter().take(MOST_NAMED).cloned().collect(),
        ..check
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was not put right, so nobody may be told that nothing is wrong.
    #[test]
    fn what_moved_on_before_it_could_be_put_right_is_still_wrong() {
        let tally = Tally {
            moved: ["pay_1".to_owned()].into(),
            ..Tally::default()
        };
        let by = Mandate::typed_by("aina");
        let told = told_of(&RULES[0], Some(tally), Repair::Mend(&by));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].found, Found::Wrong);
        assert_eq!(told[0].payments, ["pay_1"]);
    }

    #[test]
    fn every_fault_is_told_under_a_rule_and_only_those_that_can_be_mended_say_so() {
        let entry = || "new:1:pay_1".to_owned();
        let faults = [
            Fault::NotDue { leased: true },
            Fault::NotDue { leased: false },
            Fault::DueLate,
            Fault::Expires,
            Fault::NotEntered(entry()),
            Fault::Stray(entry()),
            Fault::NoRecord,
            Fault::Newer(9),
            Fault::Unreadable("its field x".to_owned()),
            Fault::Misplaced,
            Fault::TwoStates,
            Fault::Untold { due: true },
            Fault::Untold { due: false },
            Fault::HalfShown { due: true },
            Fault::HalfShown { due: false },
            Fault::StillDue,
            Fault::KeptForEver,
        ];
        let named: BTreeSet<&str> = faults.iter().map(rule_of).collect();
        assert_eq!(named.len(), RULES.len());
        for fault in faults {
            let rule = RULES
                .iter()
                .find(|rule| rule.name == rule_of(&fault))
                .unwrap();
            assert_eq!(fault.mend().is_some(), rule.fix == MENDS, "{fault:?}");
        }
    }
}
