//! Whether an entry follows from the one before.
//!
//! A crash of Redis in the middle of a script may leave an entry that comes to light one start later
//! (see `command.lua`), in front of another with the same number that follows from the same one:
//! they are *rivals*, and the chain goes on from one of them. That is told, and is no break.

use super::finding::What;
use crate::store::audit::{Chained, NO_LINK, link_after};

/// A chain, as far as it was read.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The number of the last entry.
    n: u64,
    /// What the next entry may follow from: more than one while there are rivals.
    ends: Vec<End>,
    /// What the ends followed from.
    before: Vec<String>,
}

#[derive(Debug, Clone)]
struct End {
    id: String,
    link: String,
}

impl Default for Chain {
    fn default() -> Self {
        let link = NO_LINK.to_owned();
        let id = "0-0".to_owned();
        Self {
            n: 0,
            ends: vec![End { id, link }],
            before: Vec::new(),
        }
    }
}

impl Chain {
    /// Goes on to the next entry. Answers what is wrong, and at which place; after a break it goes
    /// on from what stands there, so that one is told of once.
    pub fn take(&mut self, next: &Chained) -> Vec<(String, What)> {
        let id = &next.id;
        let Some((n, link, json)) = &next.whole else {
            self.n += 1;
            return vec![(id.clone(), What::Unreadable)];
        };
        let follows = |before: &str| link_after(before, json) == *link;
        let end = || End {
            id: id.clone(),
            link: link.clone(),
        };
        if *n == self.n + 1
            && let Some(at) = self.ends.iter().rposition(|end| follows(&end.link))
        {
            let chosen = self.ends.swap_remove(at);
            let told = self.ends.drain(..).map(|rival| (rival.id, What::Torn));
            let told = told.collect();
            self.before = vec![chosen.link];
            self.n = *n;
            self.ends.push(end());
            return told;
        }
        if *n == self.n && self.before.iter().any(|before| follows(before)) {
            self.ends.push(end());
            return Vec::new();
        }
        let what = if *n == self.n + 1 {
            What::Unlinked
        } else {
            What::Misnumbered {
                expected: self.n + 1,
            }
        };
        self.n = *n;
        self.before = Vec::new();
        self.ends = vec![end()];
        vec![(id.clone(), what)]
    }

    /// What is left to tell when no entry comes any more.
    pub fn end(&mut self) -> Vec<(String, What)> {
        let rivals = self.ends.len().saturating_sub(1);
        let told = self.ends.drain(..rivals);
        told.map(|rival| (rival.id, What::Torn)).collect()
    }

    /// The number and the link of the last entry; `None` before the first.
    #[must_use]
    pub fn head(&self) -> Option<(u64, &str)> {
        let end = self.ends.last()?;
        (self.n > 0).then_some((self.n, end.link.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chained(number: u64, before: &str, json: &str) -> Chained {
        let link = link_after(before, json.as_bytes());
        Chained {
            id: format!("{number}-0"),
            whole: Some((number, link, json.as_bytes().to_vec())),
        }
    }

    fn link(of: &Chained) -> &str {
        &of.whole.as_ref().unwrap().1
    }

    /// Seven entries that say different things.
    fn sound() -> Vec<Chained> {
        let mut all: Vec<Chained> = Vec::new();
        for number in 1..=7 {
            let before = all.last().map_or(NO_LINK, link).to_owned();
            all.push(chained(number, &before, &format!("{{\"says\":{number}}}")));
        }
        all
    }

    fn told(entries: &[Chained]) -> Vec<(String, What)> {
        let mut chain = Chain::default();
        let mut told: Vec<_> = entries.iter().flat_map(|entry| chain.take(entry)).collect();
        told.extend(chain.end());
        told
    }

    #[track_caller]
    fn is_broken(entries: &[Chained], how: &str) {
        let told = told(entries);
        let broken = told.iter().any(|(_, what)| what.is_broken());
        assert!(broken, "{how}: {told:?}");
    }

    #[test]
    fn a_chain_that_nobody_touched_is_whole() {
        assert_eq!(told(&sound()), []);
        let mut chain = Chain::default();
        assert_eq!(chain.head(), None);
        for entry in sound() {
            chain.take(&entry);
        }
        assert_eq!(chain.head(), Some((7, link(&sound()[6]))));
    }

    #[test]
    fn every_byte_that_is_changed_anywhere_is_found() {
        for place in 0..7 {
            let length = sound()[place].whole.as_ref().unwrap().2.len();
            for at in 0..length {
                for bit in 0..8 {
                    let mut all = sound();
                    all[place].whole.as_mut().unwrap().2[at] ^= 1 << bit;
                    is_broken(&all, &format!("byte {at} of {place}"));
                }
            }
            for at in 0..40 {
                let mut all = sound();
                let link = &mut all[place].whole.as_mut().unwrap().1;
                let digit = if &link[at..=at] == "0" { "1" } else { "0" };
                link.replace_range(at..=at, digit);
                is_broken(&all, &format!("digit {at} of the link of {place}"));
            }
            for number in (0..9).filter(|number| *number != place as u64 + 1) {
                let mut all = sound();
                all[place].whole.as_mut().unwrap().0 = number;
                is_broken(&all, &format!("{number} as the number of {place}"));
            }
        }
    }

    #[test]
    fn whatever_is_taken_out_moved_or_put_in_between_is_found() {
        for place in 0..6 {
            let mut all = sound();
            all.remove(place);
            is_broken(&all, &format!("without {place}"));
        }
        for one in 0..7 {
            for other in one + 1..7 {
                let mut all = sound();
                all.swap(one, other);
                is_broken(&all, &format!("{one} and {other} swapped"));
            }
        }
        for place in 0..7 {
            // One that follows from the right place, and those behind it do not follow from it.
            let mut all = sound();
            let before = if place == 0 {
                NO_LINK
            } else {
                link(&all[place - 1])
            }
            .to_owned();
            let number = place as u64 + 1;
            all.insert(place, chained(number, &before, "{\"says\":\"forged\"}"));
            assert!(!told(&all).is_empty(), "one put in before {place}");
            let mut unreadable = sound();
            unreadable[place].whole = None;
            is_broken(&unreadable, &format!("{place} cannot be read"));
        }
    }

    #[test]
    fn what_a_crash_tore_off_is_told_and_is_no_break() {
        let mut all = sound();
        let torn = chained(4, link(&all[2]), "{\"says\":\"torn\"}");
        all.insert(
            3,
            Chained {
                id: "3-1".to_owned(),
                ..torn.clone()
            },
        );
        assert_eq!(told(&all), [("3-1".to_owned(), What::Torn)]);
        // Torn, and repeated by whoever asked.
        let mut all = sound();
        let again = Chained {
            id: "3-1".to_owned(),
            ..all[3].clone()
        };
        all.insert(3, again);
        assert_eq!(told(&all).len(), 1);
        // At the very end it cannot be told which of the two the chain goes on from.
        let mut all = sound()[..3].to_vec();
        all.push(torn.clone());
        let rival = chained(4, link(&all[2]), "{}");
        all.push(rival);
        assert_eq!(told(&all), [(torn.id, What::Torn)]);
    }
}
