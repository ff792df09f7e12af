//! What must not be known from anything that a worker says, and the search for it.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use memchr::memmem::Finder;
use uuid::Uuid;

/// The key of the accounts.
pub(super) const KEY: &str = "canary-secret-key-7f3a";
/// The customer, and where the payer is sent to.
pub(super) const EMAIL: &str = "canary.person@secret.example";
pub(super) const NAME: &str = "Canary Bird Person";
pub(super) const PHONE: &str = "60 123498765";
pub(super) const REDIRECT: &str = "https://shop.example/canary-redirect";

/// Whatever the gateway links to has these in it; the numbers are those of cards that payers use.
const PARTS: [&str; 7] = [
    "123498765",
    "/p/",
    "/direct_post",
    "Bearer ",
    "4444333322221111",
    "5555555555554444",
    "canary",
];
/// How many finds are told of each file.
const MOST_TOLD: usize = 3;
const UUID_LENGTH: usize = 36;

/// What was read and what was found in it.
#[derive(Debug, Default, Clone)]
pub struct Search {
    /// How many files were read.
    pub files: u64,
    /// How many bytes.
    pub bytes: u64,
    /// What must not be there.
    pub found: Vec<String>,
}

/// Searches all that workers wrote. `ids` are the purchases and cards, which nobody may read either.
pub(super) fn search(folder: &Path, ids: &HashSet<Uuid>) -> anyhow::Result<Search> {
    let canaries = [EMAIL, NAME, KEY].into_iter().chain(PARTS);
    let finders: Vec<_> = canaries.map(|text| (text, Finder::new(text))).collect();
    let panic = Finder::new("this is a fault of Holdfast");
    let mut search = Search::default();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "log") {
            continue;
        }
        let text = fs::read(&path)?;
        search.files += 1;
        search.bytes += text.len() as u64;
        let mut found: Vec<(usize, &str)> = Vec::new();
        for (canary, finder) in &finders {
            found.extend(finder.find(&text).map(|place| (place, *canary)));
        }
        found.extend(panic.find(&text).map(|place| (place, "a panic")));
        let known = uuids(&text).filter(|(_, id)| ids.contains(id));
        found.extend(
            known
                .take(MOST_TOLD)
                .map(|(place, _)| (place, "an id of the gateway")),
        );
        for (place, what) in found.into_iter().take(MOST_TOLD) {
            let name = path.display();
            let line = line_at(&text, place);
            search.found.push(format!("{name}: {what}: {line}"));
        }
    }
    Ok(search)
}

/// Everything that is written as a UUID.
fn uuids(text: &[u8]) -> impl Iterator<Item = (usize, Uuid)> + '_ {
    memchr::memchr_iter(b'-', text).filter_map(|dash| {
        let begin = dash.checked_sub(8)?;
        let part = text.get(begin..begin + UUID_LENGTH)?;
        // The first dash of four: the others do not begin anything.
        let is_one = part[13] == b'-' && part[18] == b'-' && part[23] == b'-';
        let id = is_one.then(|| Uuid::try_parse_ascii(part).ok())??;
        Some((begin, id))
    })
}

fn line_at(text: &[u8], place: usize) -> String {
    let begin = text[..place].iter().rposition(|byte| *byte == b'\n');
    let end = text[place..].iter().position(|byte| *byte == b'\n');
    let (begin, end) = (
        begin.map_or(0, |at| at + 1),
        end.map_or(text.len(), |at| place + at),
    );
    String::from_utf8_lossy(&text[begin..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_be_told_is_found_wherever_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let id = Uuid::from_u128(0x5a4d_b000_0000_4000_8000_0000_0000_0007);
        let ids = HashSet::from([id]);
        let wrote = |text: String| {
            fs::write(folder.path().join("worker.log"), text).unwrap();
            search(folder.path(), &ids).unwrap().found
        };
        let clean = format!("one\n{} is nobody's\n", Uuid::from_u128(1));
        assert!(wrote(clean.clone()).is_empty());
        for told in [
            KEY,
            EMAIL,
            NAME,
            "http://gate/p/1",
            "60 123498765",
            &id.to_string(),
        ] {
            let found = wrote(format!("{clean}x{told}y\nlast"));
            let line = format!("x{told}y");
            let is_told = |found: &String| found.contains(&line);
            assert!(found.iter().any(is_told), "{told}: {found:?}");
        }
    }
}
