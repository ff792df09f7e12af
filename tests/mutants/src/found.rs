//! What was found of each mutant, over as many runs as a round takes. One that was noticed is not run
//! again as long as it is as it was, and the files that it changes are. When they have changed, what was
//! noticed stays on record with its commit until it is run again, after all that nobody has run.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use holdfast_rig::Before;
use serde_json::{Value, json};

use crate::killer::Killer;
use crate::mutant::Mutant;
use crate::round::{Ended, Verdict};

/// What was found, by the name of the mutant.
#[derive(Debug, Default)]
pub struct Found {
    rows: BTreeMap<String, Value>,
    /// Noticed by as many seeds, when the mutant or what it changes was not as it is now.
    older: BTreeMap<String, Value>,
}

impl Found {
    /// What stands on record of these mutants and holds still: those that were noticed, by as many
    /// seeds, and are the same below `root`.
    #[must_use]
    pub fn on_record(before: &Before, (root, seeds): (&Path, u64), mutants: &[Mutant]) -> Self {
        let told = &before.figures;
        let rows = told["mutants"].as_array().into_iter().flatten();
        let named = rows.filter_map(|row| Some((row["name"].as_str()?, row)));
        let known: BTreeMap<&str, &Value> = named.collect();
        let mut found = Self::default();
        for mutant in mutants {
            let row = known.get(mutant.name.as_str());
            let noticed = |row: &&&Value| row["noticed"] == true && told["seeds"] == seeds;
            if let Some(row) = row.filter(noticed) {
                let same = row["same"].as_str() == likeness(mutant, root).as_deref();
                let rows = if same {
                    &mut found.rows
                } else {
                    &mut found.older
                };
                rows.insert(mutant.name.clone(), (*row).clone());
            }
        }
        found
    }

    /// Those of which it is not known what becomes of them, what was never noticed first.
    #[must_use]
    pub fn left_of(&self, mutants: &[Mutant]) -> Vec<Mutant> {
        let left = mutants.iter().filter(|mutant| !self.knows(mutant));
        let mut left: Vec<Mutant> = left.cloned().collect();
        left.sort_by_key(|mutant| self.older.contains_key(&mutant.name));
        left
    }

    /// Whether it is known of a mutant what becomes of it.
    #[must_use]
    pub fn knows(&self, mutant: &Mutant) -> bool {
        self.rows.contains_key(&mutant.name)
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn row(&self, mutant: &Mutant) -> Option<&Value> {
        let row = self.rows.get(&mutant.name);
        row.or_else(|| self.older.get(&mutant.name))
    }

    /// Adds what became of one, in the tree of that commit.
    pub fn add(&mut self, mutant: &Mutant, (root, commit): (&Path, &str), ended: &Ended) {
        let (word, how) = ended.verdict.told();
        let row = json!({
            "name": mutant.name,
            "rule": mutant.rule,
            "killed_by": word,
            "how": how.chars().take(120).collect::<String>(),
            "seconds": ended.seconds,
            "noticed": matches!(ended.verdict, Verdict::Killed { .. }),
            "same": likeness(mutant, root),
            "commit": commit,
        });
        self.rows.insert(mutant.name.clone(), row);
    }

    /// Whether each of these mutants was noticed.
    #[must_use]
    pub fn all_noticed(&self, mutants: &[Mutant]) -> bool {
        let noticed = |mutant: &Mutant| {
            let row = self.row(mutant);
            row.is_some_and(|row| row["noticed"] == true)
        };
        mutants.iter().all(noticed)
    }

    /// As it is published, in the order of `mutants`.
    #[must_use]
    pub fn figures(&self, mutants: &[Mutant], seeds: u64) -> Value {
        let told = |mutant: &Mutant| {
            let mut row = self.row(mutant)?.clone();
            row["unnoticed_by"] = asked_in_vain(mutant, &row).into();
            Some(row)
        };
        let rows: Vec<Value> = mutants.iter().filter_map(told).collect();
        let mut by = BTreeMap::<&str, u64>::new();
        for row in &rows {
            *by.entry(row["killed_by"].as_str().unwrap_or_default())
                .or_default() += 1;
        }
        json!({ "seeds": seeds, "of": mutants.len(), "by": by, "mutants": rows })
    }
}

/// The layers that were asked before the one that noticed.
fn asked_in_vain(mutant: &Mutant, row: &Value) -> Vec<&'static str> {
    let by = row["killed_by"].as_str().unwrap_or_default();
    let layers = mutant.killers.iter().map(Killer::layer);
    let mut asked: Vec<_> = layers.take_while(|layer| *layer != by).collect();
    asked.dedup();
    asked
}

/// What the mutant and the files with it in them come to: another text is another mutant. `None` if it
/// does not apply.
fn likeness(mutant: &Mutant, root: &Path) -> Option<String> {
    let mut hasher = DefaultHasher::new();
    for (_, text) in mutant.applied(root).ok()? {
        text.hash(&mut hasher);
    }
    format!("{:?} {}", mutant.killers, mutant.may_hang).hash(&mut hasher);
    Some(format!("{:016x}", hasher.finish()))
}
