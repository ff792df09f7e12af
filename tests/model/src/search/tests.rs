use super::{End, Found, MARKS, Model, search};

/// A walk on a line of numbers: one up, or back to the start.
struct Line {
    length: u8,
    /// The number that is wrong.
    wrong: Option<u8>,
    /// The number from which there is no way back.
    trap: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    Up,
    TwoUp,
    Back,
}

impl Model for Line {
    type State = u8;
    type Action = Walk;

    fn start(&self) -> u8 {
        0
    }

    fn follow(&self, at: &u8, follow: &mut Vec<(Walk, u8)>) {
        if self.trap == Some(*at) {
            return;
        }
        let up = [(Walk::Up, at + 1), (Walk::TwoUp, at + 2)];
        follow.extend(up.into_iter().filter(|(_, to)| *to <= self.length));
        follow.push((Walk::Back, 0));
    }

    fn representative(&self, at: &u8) -> u8 {
        *at
    }

    fn violation(&self, at: &u8) -> Option<&'static str> {
        (self.wrong == Some(*at)).then_some("wrong")
    }

    fn marks(&self, at: &u8) -> u8 {
        u8::from(*at == 0)
    }

    fn goals(&self) -> Vec<(u8, &'static str)> {
        vec![(1, "no way back")]
    }

    fn is_progress(&self, walk: &Walk) -> bool {
        *walk != Walk::TwoUp
    }
}

fn find(length: u8, wrong: Option<u8>, trap: Option<u8>, most: usize) -> Found<Line> {
    let line = Line {
        length,
        wrong,
        trap,
    };
    search(&line, most)
}

#[test]
fn everything_is_seen_once() {
    let found = find(100, None, None, 1000);
    assert_eq!(found.end, End::Complete);
    assert_eq!(found.states, 101);
    assert_eq!(found.depth, 50);
    assert_eq!(found.marked, [1, 0, 0, 0, 0][..MARKS]);
}

#[test]
fn the_trace_is_the_shortest_way_to_what_is_wrong() {
    let found = find(100, Some(7), None, 1000);
    assert_eq!(found.end, End::Wrong("wrong"));
    assert_eq!(found.trace.len(), 4);
    assert_eq!(found.trace.last().map(|(_, at)| *at), Some(7));
}

#[test]
fn a_state_with_no_way_to_the_goal_is_found() {
    let found = find(100, None, Some(9), 1000);
    assert_eq!(found.end, End::Wrong("no way back"));
    assert_eq!(found.trace.last().map(|(_, at)| *at), Some(9));
}

#[test]
fn a_search_that_was_cut_short_says_nothing() {
    assert_eq!(find(100, None, None, 50).end, End::Truncated);
    assert_eq!(find(100, None, None, 101).end, End::Complete);
}

#[test]
fn many_states_are_told_apart() {
    let mut seen = super::seen::Seen::new();
    for number in 0..50_000_u32 {
        let (index, new) = seen.insert(number.wrapping_mul(2_654_435_761).to_le_bytes());
        assert!(new);
        assert_eq!(index, number as usize);
    }
    for number in 0..50_000_u32 {
        let (index, new) = seen.insert(number.wrapping_mul(2_654_435_761).to_le_bytes());
        assert!(!new);
        assert_eq!(index, number as usize);
    }
}
