//! A copy of the tree, to be mutated, with a folder of its own for what is built of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::mutant::Mutant;

/// The copy. It is kept from run to run, so that little is built anew.
#[derive(Debug)]
pub struct Tree {
    original: PathBuf,
    copy: PathBuf,
    built: PathBuf,
}

impl Tree {
    /// Makes the copy in `target/mutants-tree` like the tree at `root`, as it is on the disk.
    pub fn copy_of(root: &Path) -> anyhow::Result<Self> {
        let tree = Self {
            original: root.to_owned(),
            copy: root.join("target/mutants-tree"),
            built: root.join("target/mutants-build"),
        };
        let files = tree.files()?;
        fs::create_dir_all(&tree.built)?;
        fs::create_dir_all(&tree.copy)?;
        remove_others(&tree.copy, &tree.copy, &files)?;
        for file in &files {
            tree.restore(file)?;
        }
        Ok(tree)
    }

    /// Where the copy is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.copy
    }

    /// Where that is which is built of it.
    #[must_use]
    pub fn built(&self) -> &Path {
        &self.built
    }

    /// Puts a mutant in; what has been put in stays until [`Tree::take_out`].
    pub fn put_in(&self, mutant: &Mutant) -> anyhow::Result<()> {
        for (path, text) in mutant.applied(&self.copy)? {
            fs::write(path, text)?;
        }
        Ok(())
    }

    /// Makes the files of a mutant as they were.
    pub fn take_out(&self, mutant: &Mutant) -> anyhow::Result<()> {
        mutant
            .edits
            .iter()
            .try_for_each(|edit| self.restore(&edit.file))
    }

    /// What git knows of, or would: nothing that is built.
    fn files(&self) -> anyhow::Result<BTreeSet<PathBuf>> {
        let output = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(&self.original)
            .output()
            .context("git is needed to tell what belongs to the tree")?;
        ensure!(output.status.success(), "this is no git repository");
        let text = String::from_utf8(output.stdout)?;
        let named = text.split('\0').filter(|name| !name.is_empty());
        Ok(named
            .map(PathBuf::from)
            .filter(|file| self.original.join(file).is_file())
            .collect())
    }

    /// Writes only what differs: what was not touched is not built anew.
    fn restore(&self, file: &Path) -> anyhow::Result<()> {
        let (from, to) = (self.original.join(file), self.copy.join(file));
        let wanted = fs::read(&from).with_context(|| from.display().to_string())?;
        if fs::read(&to).is_ok_and(|there| there == wanted) {
            return Ok(());
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&to, wanted).with_context(|| to.display().to_string())
    }
}

fn remove_others(copy: &Path, folder: &Path, files: &BTreeSet<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(copy, &path, files)?;
        } else if !path
            .strip_prefix(copy)
            .is_ok_and(|file| files.contains(file))
        {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
