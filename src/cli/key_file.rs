//! A file for the public key of a webhook.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Failure;
use crate::gateway::{PublicKey, Registered};

pub(super) fn key_of(webhook: &Registered) -> Result<PublicKey, Failure> {
    webhook.key().ok_or_else(|| {
        let told = "the gateway showed no key that can be used; look into its portal";
        Failure::Other(told.to_owned())
    })
}

/// A file for a key. Written beside its place first: it is there whole, or not at all.
pub(super) struct KeyFile<'a> {
    path: &'a Path,
    /// Where it is written; nothing is to be written without it.
    part: Option<(PathBuf, fs::File)>,
}

impl<'a> KeyFile<'a> {
    /// Makes sure that the key can be written, or is there. A file that holds anything else stays.
    pub(super) fn open(path: &'a Path, key: Option<&PublicKey>) -> Result<Self, Failure> {
        match fs::read(path) {
            Ok(there) if !there.is_empty() => {
                let there = PublicKey::from_pem(&String::from_utf8_lossy(&there)).ok();
                if there.is_none() || there.as_ref() != key {
                    return Err(Failure::Refused(format!(
                        "{} holds something else; give the new key a file of its own",
                        path.display()
                    )));
                }
                return Ok(Self { path, part: None });
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unwritable(path, &error)),
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let file = fs::File::create(&part).map_err(|error| unwritable(path, &error))?;
        let part = Some((part, file));
        Ok(Self { path, part })
    }

    pub(super) fn keep(self, webhook: &Registered) -> Result<(), Failure> {
        key_of(webhook)?;
        let Some((part, mut file)) = self.part else {
            return Ok(());
        };
        let pem = webhook.public_key.as_deref().unwrap_or_default();
        file.write_all(pem.replace("\\n", "\n").as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&part, self.path))
            .map_err(|error| unwritable(self.path, &error))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::Other(format!("{} cannot be written: {error}", path.display()))
}
