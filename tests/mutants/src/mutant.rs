//! A mutant: what is written instead of what.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::killer::Killer;

/// One rule, broken in one way.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Written")]
pub struct Mutant {
    /// What it does, in a few words with dashes between them.
    pub name: String,
    /// The rule that it breaks: `R1` to `R17`.
    pub rule: String,
    /// What would go wrong.
    pub why: String,
    /// What is changed: one place, or several together.
    pub edits: Vec<Edit>,
    /// What may kill it, in this order.
    pub killers: Vec<Killer>,
    /// Whether a layer that does not end in time has killed it, too.
    pub may_hang: bool,
}

/// As it is kept: most have one edit, which needs no table of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    rule: String,
    why: String,
    file: PathBuf,
    find: String,
    replace: String,
    #[serde(default)]
    also: Vec<Edit>,
    killers: Vec<Killer>,
    #[serde(default)]
    may_hang: bool,
}

impl From<Written> for Mutant {
    fn from(written: Written) -> Self {
        let mut edits = vec![Edit {
            file: written.file,
            find: written.find,
            replace: written.replace,
        }];
        edits.extend(written.also);
        Self {
            name: written.name,
            rule: written.rule,
            why: written.why,
            edits,
            killers: written.killers,
            may_hang: written.may_hang,
        }
    }
}

/// A piece of text that is replaced.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// From the root of the repository.
    pub file: PathBuf,
    /// What stands there, exactly once.
    pub find: String,
    /// What is written instead.
    pub replace: String,
}

impl Edit {
    /// The file's text after the edit.
    pub fn of(&self, text: &str) -> anyhow::Result<String> {
        let count = text.matches(&self.find).count();
        ensure!(
            count == 1,
            "what is to be replaced is there {count} times in {}",
            self.file.display()
        );
        ensure!(self.find != self.replace, "it changes nothing");
        Ok(text.replacen(&self.find, &self.replace, 1))
    }
}

impl Mutant {
    /// The files below `root` as they are with the mutant in them.
    pub fn applied(&self, root: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
        let mut changed: Vec<(PathBuf, String)> = Vec::new();
        for edit in &self.edits {
            let path = root.join(&edit.file);
            let name = || format!("{}: {}", self.name, edit.file.display());
            if let Some((_, text)) = changed.iter_mut().find(|(known, _)| *known == path) {
                *text = edit.of(text).with_context(name)?;
            } else {
                let text = fs::read_to_string(&path).with_context(name)?;
                changed.push((path, edit.of(&text).with_context(name)?));
            }
        }
        Ok(changed)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    mutant: Vec<Mutant>,
}

/// All mutants that are kept below `root`, in the order of their files' names.
pub fn read_all(root: &Path) -> anyhow::Result<Vec<Mutant>> {
    let folder = root.join("tests/mutants/rules");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        files.push(entry?.path());
    }
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        let group: Group = toml::from_str(&text)
            .with_context(|| format!("{} is not as expected", file.display()))?;
        all.extend(group.mutant);
    }
    Ok(all)
}
