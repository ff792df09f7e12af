//! Breadth-first search of everything that can happen, until nothing new comes up. What it finds
//! first is shortest.

mod paths;
mod seen;

#[cfg(test)]
mod tests;

use std::hash::Hash;

use paths::Paths;
use seen::Seen;

/// How many marks a state can bear.
pub(crate) const MARKS: usize = 5;

/// What is searched.
pub(crate) trait Model {
    /// Everything there is at one moment.
    type State: Copy + Eq + Hash;
    /// What leads from one moment to another.
    type Action: Copy;

    /// Where it begins.
    fn start(&self) -> Self::State;
    /// What can happen next, and what is then.
    fn follow(&self, state: &Self::State, follow: &mut Vec<(Self::Action, Self::State)>);
    /// The one that stands for all states that differ only in names.
    fn representative(&self, state: &Self::State) -> Self::State;
    /// What is wrong, if something is.
    fn violation(&self, state: &Self::State) -> Option<&'static str>;
    /// What can be said of a state, a bit each.
    fn marks(&self, state: &Self::State) -> u8;
    /// The marks that can be reached from everywhere without a fault, and what is wrong if not.
    fn goals(&self) -> Vec<(u8, &'static str)>;
    /// Whether it is no fault.
    fn is_progress(&self, action: &Self::Action) -> bool;
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything was seen, and nothing is wrong.
    Complete,
    /// This is wrong.
    Wrong(&'static str),
    /// There were more states than allowed: says nothing.
    Truncated,
}

/// What a search found.
#[derive(Debug)]
pub(crate) struct Found<M: Model> {
    pub(crate) end: End,
    /// How many states were seen.
    pub(crate) states: usize,
    /// How many actions it takes to reach the state that was looked at last.
    pub(crate) depth: usize,
    /// How many states bear each mark.
    pub(crate) marked: [usize; MARKS],
    /// The shortest way to what is wrong.
    pub(crate) trace: Vec<(M::Action, M::State)>,
}

/// Searches `model`, giving up beyond `most` states.
pub(crate) fn search<M: Model>(model: &M, most: usize) -> Found<M> {
    let mut seen = Seen::new();
    let mut paths = Paths::default();
    let mut marks = Vec::new();
    let mut follow = Vec::new();
    seen.insert(model.representative(&model.start()));
    paths.begin();
    let mut end = End::Complete;
    while let Some(&state) = seen.get(marks.len()) {
        let at = marks.len();
        if let Some(wrong) = model.violation(&state) {
            end = End::Wrong(wrong);
            break;
        }
        if seen.len() > most {
            end = End::Truncated;
            break;
        }
        follow.clear();
        model.follow(&state, &mut follow);
        for (action, next) in &follow {
            let (to, new) = seen.insert(model.representative(next));
            if new {
                paths.found(at);
            }
            if model.is_progress(action) {
                paths.progress(to);
            }
        }
        paths.done();
        marks.push(model.marks(&state));
    }
    let last = marks.len().min(seen.len() - 1);
    let mut wrong = matches!(end, End::Wrong(_)).then_some(last);
    if end == End::Complete
        && let Some((lost, what)) = first_lost(model, &paths, &marks)
    {
        end = End::Wrong(what);
        wrong = Some(lost);
    }
    Found {
        end,
        states: seen.len(),
        depth: paths.to(last).len(),
        marked: count(&marks),
        trace: wrong.map_or_else(Vec::new, |index| replay(model, &seen, &paths.to(index))),
    }
}

/// The first state from which a goal cannot be reached without a fault, and which.
fn first_lost<M: Model>(model: &M, paths: &Paths, marks: &[u8]) -> Option<(usize, &'static str)> {
    let goals = model.goals().into_iter();
    let lost = goals.filter_map(|(goal, what)| {
        let lost = paths.never_reach(|index| marks[index] & goal != 0)?;
        Some((lost, what))
    });
    lost.min_by_key(|(index, _)| *index)
}

fn count(marks: &[u8]) -> [usize; MARKS] {
    let mut bit = 0;
    [(); MARKS].map(|()| {
        let with = marks.iter().filter(|marks| *marks >> bit & 1 == 1).count();
        bit += 1;
        with
    })
}

/// Walks the way again with the names that things had when they came up.
fn replay<M: Model>(model: &M, seen: &Seen<M::State>, way: &[usize]) -> Vec<(M::Action, M::State)> {
    let mut trace = Vec::new();
    let mut state = model.start();
    for index in way {
        let mut follow = Vec::new();
        model.follow(&state, &mut follow);
        let step = follow
            .into_iter()
            .find(|(_, next)| seen.get(*index) == Some(&model.representative(next)));
        let step = step.expect("what stands for others can do what they can");
        state = step.1;
        trace.push(step);
    }
    trace
}
