//! The rules in force, and what they choose for a call.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::effect::{Answer, Commit, Effect};
use super::rule::{Facts, Rule};

/// The effects chosen for a call.
#[derive(Default, Debug)]
pub(crate) struct Chosen {
    pub(crate) latency_ms: u64,
    pub(crate) broken: Option<(Commit, Answer)>,
    pub(crate) fate: Option<Effect>,
    pub(crate) stale: Option<Effect>,
    pub(crate) delivery: Option<Effect>,
    pub(crate) names: Vec<&'static str>,
}

struct Armed {
    id: u64,
    rule: Rule,
    seen: u64,
    acted: u64,
    dice: StdRng,
}

/// The rules in force.
#[derive(Default)]
pub(crate) struct Rules {
    armed: Vec<Armed>,
    made: u64,
}

impl Rules {
    pub(crate) fn add(&mut self, rule: Rule) -> u64 {
        self.made += 1;
        let dice = StdRng::seed_from_u64(rule.seed);
        self.armed.push(Armed {
            id: self.made,
            rule,
            seen: 0,
            acted: 0,
            dice,
        });
        self.made
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.armed.retain(|armed| armed.id != id);
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }

    pub(crate) fn choose(&mut self, facts: &Facts<'_>) -> Chosen {
        let mut chosen = Chosen::default();
        for armed in &mut self.armed {
            if armed.is_its_turn(facts) && chosen.take(&armed.rule.effect) {
                armed.acted += 1;
            }
        }
        chosen
    }
}

impl Armed {
    fn is_its_turn(&mut self, facts: &Facts<'_>) -> bool {
        if !self.rule.matches(facts) || self.rule.times.is_some_and(|times| self.acted >= times) {
            return false;
        }
        self.seen += 1;
        self.rule.nth.is_none_or(|nth| self.seen == nth)
            && self
                .rule
                .every
                .is_none_or(|every| self.seen.is_multiple_of(every.max(1)))
            && self
                .rule
                .probability
                .is_none_or(|p| self.dice.random_bool(p.clamp(0.0, 1.0)))
    }
}

impl Chosen {
    /// Takes an effect on, unless another one of its sort was there first.
    fn take(&mut self, effect: &Effect) -> bool {
        let is_free = match effect {
            Effect::Latency(ms) => {
                self.latency_ms += ms;
                true
            }
            Effect::Broken { commit, answer } => {
                let is_free = self.broken.is_none();
                self.broken.get_or_insert_with(|| (*commit, answer.clone()));
                is_free
            }
            Effect::Decline(_) | Effect::Block(_) | Effect::Pending(_) => {
                fill(&mut self.fate, effect)
            }
            Effect::StaleBy(_) | Effect::StaleStatus | Effect::BeforeOperation => {
                fill(&mut self.stale, effect)
            }
            Effect::Lost | Effect::Duplicated | Effect::Reordered(_) => {
                fill(&mut self.delivery, effect)
            }
        };
        if is_free {
            self.names.push(effect.name());
        }
        is_free
    }
}

fn fill(slot: &mut Option<Effect>, effect: &Effect) -> bool {
    let is_free = slot.is_none();
    slot.get_or_insert_with(|| effect.clone());
    is_free
}
