//! Every phrase that some operator looks for and every text that some pattern cannot do without,
//! in one automaton: a text is read once, and each rule then asks whether any of its own may be there.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{
    Anchored, StartKind,
    automaton::{Automaton, StateID},
    dfa::DFA,
};

/// Bytes of all words, and so states of the automaton (256 bytes each). A set beyond is not in it.
const BYTES_MAX: usize = 32 << 10;

/// Of a longer word only so many bytes are looked for.
const WORD_BYTES_MAX: usize = 6;

/// Places in a text that are read at once, and bytes from which on that is worth it.
const LANES: usize = 4;
const LANE_BYTES_MIN: usize = 32;

/// The number of a set of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WordSet(u32);

/// Sets of words in the making.
#[derive(Debug, Default)]
pub(crate) struct WordLists {
    /// For each word, in lower case, the sets that have it.
    words: BTreeMap<Vec<u8>, Vec<u32>>,
    bytes: usize,
    sets: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Words {
    automaton: Option<Ready>,
    sets: u32,
}

#[derive(Debug)]
struct Ready {
    dfa: DFA,
    start: StateID,
    /// For each word the sets that have it.
    sets: Vec<Box<[u32]>>,
}

impl WordLists {
    /// Adds a set, if there is room for it.
    pub(crate) fn add<'a>(&mut self, words: impl Iterator<Item = &'a [u8]>) -> Option<WordSet> {
        let begins = |word: &'a [u8]| word.get(..WORD_BYTES_MAX).unwrap_or(word);
        let words: BTreeSet<Vec<u8>> =
            words.map(|word| begins(word).to_ascii_lowercase()).collect();
        let new = words.iter().filter(|word| !self.words.contains_key(*word));
        let bytes = self.bytes + new.map(Vec::len).sum::<usize>();
        if bytes > BYTES_MAX || words.iter().any(Vec::is_empty) {
            return None;
        }
        for word in words {
            self.words.entry(word).or_default().push(self.sets);
        }
        self.bytes = bytes;
        self.sets += 1;
        Some(WordSet(self.sets - 1))
    }

    /// Makes the automaton. Without one, every set may be anywhere.
    pub(crate) fn ready(self) -> Words {
        let (words, sets): (Vec<Vec<u8>>, Vec<Vec<u32>>) = self.words.into_iter().unzip();
        if words.is_empty() {
            return Words::default();
        }
        let dfa = DFA::builder().prefilter(false).start_kind(StartKind::Unanchored).build(words);
        let automaton = dfa.ok().and_then(|dfa| {
            let start = dfa.start_state(Anchored::No).ok()?;
            let sets = sets.into_iter().map(Vec::into_boxed_slice).collect();
            Some(Ready { dfa, start, sets })
        });
        Words { automaton, sets: self.sets }
    }
}

impl Words {
    /// Words of 64 bits that a set of sets takes.
    pub(crate) fn width(&self) -> usize {
        self.sets.div_ceil(64) as usize
    }

    /// Adds the sets of which a word is in the text, in whatever case.
    pub(crate) fn find(&self, text: &[u8], found: &mut [u64]) {
        let Some(ready) = &self.automaton else {
            found.fill(u64::MAX);
            return;
        };
        if text.len() < LANES * LANE_BYTES_MIN {
            ready.walk(text, &mut Lane::new(ready.start), found);
            return;
        }
        // One state needs the one before; of several places in a text at once none waits for
        // another. A word that begins in one part ends in the next, which so begins before it.
        let part = text.len().div_ceil(LANES);
        let [a, b, c, d]: [&[u8]; LANES] = std::array::from_fn(|lane| {
            let from = (lane * part).saturating_sub(WORD_BYTES_MAX - 1);
            text.get(from..text.len().min((lane + 1) * part)).unwrap_or_default()
        });
        let mut lanes: [Lane; LANES] = std::array::from_fn(|_| Lane::new(ready.start));
        let [at_a, at_b, at_c, at_d] = &mut lanes;
        for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
            ready.step(*a, at_a, found);
            ready.step(*b, at_b, found);
            ready.step(*c, at_c, found);
            ready.step(*d, at_d, found);
        }
        let least = a.len().min(b.len()).min(c.len()).min(d.len());
        for (part, lane) in [a, b, c, d].into_iter().zip(&mut lanes) {
            ready.walk(part.get(least..).unwrap_or_default(), lane, found);
        }
    }
}

/// A place in a text.
struct Lane {
    state: StateID,
    /// Where a word ended last: in prose the same ones end again and again.
    last: StateID,
}

impl Lane {
    fn new(start: StateID) -> Self {
        Self { state: start, last: start }
    }
}

impl Ready {
    fn walk(&self, text: &[u8], lane: &mut Lane, found: &mut [u64]) {
        text.iter().for_each(|byte| self.step(*byte, lane, found));
    }

    #[inline(always)]
    fn step(&self, byte: u8, lane: &mut Lane, found: &mut [u64]) {
        let byte = byte.to_ascii_lowercase();
        lane.state = self.dfa.next_state(Anchored::No, lane.state, byte);
        if self.dfa.is_special(lane.state) && lane.state != lane.last {
            self.ended(lane, found);
        }
    }

    #[cold]
    fn ended(&self, lane: &mut Lane, found: &mut [u64]) {
        let state = lane.state;
        if !self.dfa.is_match(state) {
            return;
        }
        lane.last = state;
        for index in 0..self.dfa.match_len(state) {
            let word = self.dfa.match_pattern(state, index);
            for set in self.sets.get(word.as_usize()).into_iter().flatten() {
                WordSet(*set).put(found);
            }
        }
    }
}

impl WordSet {
    fn put(self, found: &mut [u64]) {
        if let Some(word) = found.get_mut(self.0 as usize / 64) {
            *word |= 1 << (self.0 % 64);
        }
    }

    /// It is among those found.
    pub(crate) fn is_in(self, found: &[u64]) -> bool {
        found.get(self.0 as usize / 64).is_some_and(|word| word >> (self.0 % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(words: &Words, text: &[u8]) -> Vec<u64> {
        let mut found = vec![0; words.width()];
        words.find(text, &mut found);
        found
    }

    const SETS: [&[&[u8]]; 5] =
        [&[b"ab", b"ABC"], &[b"b"], &[b"cab", b"x"], &[b"\xff\x00"], &[b"ab"]];

    #[test]
    fn sets_beyond_the_limit_are_left_out() {
        let mut lists = WordLists::default();
        let long: Vec<String> =
            (0..BYTES_MAX / WORD_BYTES_MAX).map(|n| format!("{n:0WORD_BYTES_MAX$}")).collect();
        assert!(lists.add(long.iter().map(String::as_bytes)).is_some());
        assert!(lists.add([&b"abcdef"[..]].into_iter()).is_none());
        assert!(lists.add(long.iter().map(String::as_bytes)).is_some(), "they are there");
        assert!(lists.add([&b""[..]].into_iter()).is_none(), "every text has it");
    }

    #[test]
    fn longer_words_may_be_where_their_beginning_is() {
        let mut lists = WordLists::default();
        let set = lists.add([&b"information_schema"[..]].into_iter()).expect("room");
        let words = lists.ready();
        assert!(set.is_in(&found(&words, b"for INFORMATION only")));
        assert!(!set.is_in(&found(&words, b"_schema, infor")));
    }

    proptest! {
        #[test]
        fn a_set_is_found_where_a_word_of_it_is(
            text in prop::collection::vec(prop::sample::select(b"aAbBcCx\xff\x00".to_vec()), 0..16),
        ) {
            let mut lists = WordLists::default();
            let sets = SETS.map(|set| lists.add(set.iter().copied()).expect("room"));
            let words = lists.ready();
            let found = found(&words, &text);
            let lower = text.to_ascii_lowercase();
            for (set, number) in SETS.iter().zip(sets) {
                let there = set.iter().any(|word| {
                    let word = word.to_ascii_lowercase();
                    lower.windows(word.len()).any(|part| part == word)
                });
                prop_assert_eq!(number.is_in(&found), there, "{:?}", set);
            }
        }
    }
}
