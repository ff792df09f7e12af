//! The states that were seen, each once, in the order in which they came up.

use std::hash::{Hash, Hasher};

/// A place in the table: which state is there, and a part of its hash, so that most others are told
/// from it without a look at it.
#[derive(Debug, Clone, Copy)]
struct Place {
    index: u32,
    tag: u32,
}

const FREE: Place = Place {
    index: u32::MAX,
    tag: 0,
};

/// A set that numbers what it holds. Every state is kept whole: two are never taken for one.
#[derive(Debug)]
pub(super) struct Seen<S> {
    states: Vec<S>,
    /// Each state is where its hash says, or in the next free place.
    places: Vec<Place>,
}

impl<S: Copy + Eq + Hash> Seen<S> {
    pub(super) fn new() -> Self {
        Self {
            states: Vec::new(),
            places: vec![FREE; 1 << 10],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&S> {
        self.states.get(index)
    }

    /// The number of `state`, and whether it is new.
    pub(super) fn insert(&mut self, state: S) -> (usize, bool) {
        if self.states.len() * 2 >= self.places.len() {
            self.grow();
        }
        let (at, tag) = self.place(&state);
        if self.places[at].index != FREE.index {
            return (self.places[at].index as usize, false);
        }
        let index = self.states.len();
        self.places[at] = Place {
            index: u32::try_from(index).expect("fewer than four billion states"),
            tag,
        };
        self.states.push(state);
        (index, true)
    }

    /// Where `state` is, or where it belongs.
    fn place(&self, state: &S) -> (usize, u32) {
        let mut hasher = Mix::default();
        state.hash(&mut hasher);
        let [a, b, c, d, high @ ..] = hasher.finish().to_le_bytes();
        let (low, tag) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(high));
        let last = self.places.len() - 1;
        let mut at = low as usize & last;
        loop {
            let Place { index, tag: found } = self.places[at];
            let free = index == FREE.index;
            if free || (found == tag && self.states[index as usize] == *state) {
                return (at, tag);
            }
            at = (at + 1) & last;
        }
    }

    fn grow(&mut self) {
        self.places = vec![FREE; self.places.len() * 2];
        for index in 0..self.states.len() {
            let (at, tag) = self.place(&self.states[index]);
            let index = u32::try_from(index).unwrap_or(FREE.index);
            self.places[at] = Place { index, tag };
        }
    }
}

/// A quick hash for states that are made of many small parts; the standard one is made against
/// attackers.
#[derive(Default)]
struct Mix {
    hash: u64,
    /// Parts that are not mixed in yet, a byte each.
    word: u64,
    bytes: u32,
}

impl Mix {
    fn mix(&mut self) {
        self.hash = (self.hash.rotate_left(5) ^ self.word).wrapping_mul(0x517c_c1b7_2722_0a95);
        self.word = 0;
        self.bytes = 0;
    }
}

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.word = self.word << 8 | u64::from(byte);
        self.bytes += 1;
        if self.bytes == u64::BITS / u8::BITS {
            self.mix();
        }
    }

    /// Which variant of an enum: there are never many.
    fn write_isize(&mut self, variant: isize) {
        self.write_u8(variant.to_le_bytes()[0]);
    }

    fn finish(&self) -> u64 {
        let mut last = Self { ..*self };
        last.mix();
        last.hash ^ (last.hash >> 32)
    }
}
