//! How each state was reached, and which states lead on without a fault.

const START: u32 = u32::MAX;

/// The ways between states, by number.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// The state from which each one was first reached.
    from: Vec<u32>,
    /// What each state leads to without a fault, one after the other.
    onward: Vec<u32>,
    /// Where in `onward` the list of each state ends.
    ends: Vec<usize>,
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than four billion states")
}

impl Paths {
    pub(super) fn begin(&mut self) {
        self.from.push(START);
    }

    /// A new state was reached from `from`.
    pub(super) fn found(&mut self, from: usize) {
        self.from.push(number(from));
    }

    /// The state that is being looked at leads to `to` without a fault.
    pub(super) fn progress(&mut self, to: usize) {
        self.onward.push(number(to));
    }

    /// The next state is looked at from now on.
    pub(super) fn done(&mut self) {
        self.ends.push(self.onward.len());
    }

    /// The states on the shortest way to `index`, the first one left out.
    pub(super) fn to(&self, index: usize) -> Vec<usize> {
        let mut way = Vec::new();
        let mut at = number(index);
        while self.from[at as usize] != START {
            way.push(at as usize);
            at = self.from[at as usize];
        }
        way.reverse();
        way
    }

    /// The first state from which no `goal` can be reached without a fault.
    pub(super) fn never_reach(&self, goal: impl Fn(usize) -> bool) -> Option<usize> {
        let count = self.ends.len();
        let (starts, back) = self.backwards(count);
        let mut good = vec![false; count];
        let mut open: Vec<usize> = (0..count).filter(|index| goal(*index)).collect();
        for index in &open {
            good[*index] = true;
        }
        while let Some(index) = open.pop() {
            for before in &back[starts[index]..starts[index + 1]] {
                let before = *before as usize;
                if !good[before] {
                    good[before] = true;
                    open.push(before);
                }
            }
        }
        good.iter().position(|good| !good)
    }

    /// The same ways, backwards: where the list of each state starts, and the lists.
    fn backwards(&self, count: usize) -> (Vec<usize>, Vec<u32>) {
        let mut starts = vec![0; count + 1];
        for to in &self.onward {
            starts[*to as usize + 1] += 1;
        }
        for index in 0..count {
            starts[index + 1] += starts[index];
        }
        let mut free = starts.clone();
        let mut back = vec![0; self.onward.len()];
        let mut begin = 0;
        for (from, end) in self.ends.iter().enumerate() {
            for to in &self.onward[begin..*end] {
                back[free[*to as usize]] = number(from);
                free[*to as usize] += 1;
            }
            begin = *end;
        }
        (starts, back)
    }
}
