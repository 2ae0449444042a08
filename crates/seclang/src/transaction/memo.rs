//! What targets and transformations come to, worked out once for all rules that share them.

use crate::{
    byte_set::ByteSet,
    program::{Key, Program},
};

use super::store::{Store, VALUE_WORK};

/// A value, and the text that a chain of transformations makes of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) value: u32,
    pub(super) text: u32,
}

/// The pairs of a group, and the bytes that are in any of the texts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GroupPairs {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) seen: ByteSet,
}

/// See the module. It holds as long as the values stay the same.
#[derive(Debug)]
pub(super) struct Memo {
    groups: Vec<Option<GroupPairs>>,
    pairs: Vec<Pair>,
    /// For selectors, exclusions and targets, where in `words` the set of their values begins.
    selectors: Vec<u32>,
    exclusions: Vec<u32>,
    targets: Vec<u32>,
    words: Vec<u64>,
    /// The count of values for which it holds.
    values: usize,
}

const NONE: u32 = u32::MAX;

impl Memo {
    pub(super) fn new(program: &Program) -> Self {
        Self {
            groups: vec![None; program.groups.len()],
            pairs: Vec::with_capacity(2048),
            selectors: vec![NONE; program.selectors.len()],
            exclusions: vec![NONE; program.exclusions.len()],
            targets: vec![NONE; program.targets.len()],
            words: Vec::with_capacity(128),
            values: 0,
        }
    }

    /// Forgets all if there are other values than before.
    pub(super) fn refresh(&mut self, store: &Store) {
        if self.values != store.len() {
            self.values = store.len();
            self.groups.fill(None);
            self.selectors.fill(NONE);
            self.exclusions.fill(NONE);
            self.targets.fill(NONE);
            self.pairs.clear();
            self.words.clear();
        }
    }

    pub(super) fn pair(&self, index: u32) -> Option<Pair> {
        self.pairs.get(index as usize).copied()
    }

    /// The pairs of a group.
    #[inline]
    pub(super) fn group(
        &mut self,
        number: u32,
        program: &Program,
        store: &mut Store,
    ) -> GroupPairs {
        match self.groups.get(number as usize) {
            Some(Some(known)) => *known,
            _ => self.resolve(number, program, store),
        }
    }

    fn resolve(&mut self, number: u32, program: &Program, store: &mut Store) -> GroupPairs {
        let mut found = GroupPairs::default();
        let group = program.groups.get(number as usize);
        let chain = group.and_then(|group| program.chains.get(group.chain as usize));
        let (Some(group), Some(chain)) = (group, chain) else { return found };
        let start = self.targets(group.targets, program, store);
        found.start = u32::try_from(self.pairs.len()).unwrap_or(NONE);
        for word in 0..self.width() {
            let mut bits = self.words.get(start + word).copied().unwrap_or(0);
            while bits != 0 {
                let value = u32::try_from(word * 64).unwrap_or(0) + bits.trailing_zeros();
                bits &= bits - 1;
                let Some(entry) = store.get(value) else { continue };
                store.work += VALUE_WORK;
                let text = store.after(entry.text, chain);
                found.seen = found.seen.and(store.seen(text));
                self.pairs.push(Pair { value, text });
            }
        }
        found.end = u32::try_from(self.pairs.len()).unwrap_or(NONE);
        if let Some(known) = self.groups.get_mut(number as usize) {
            *known = Some(found);
        }
        found
    }

    fn width(&self) -> usize {
        self.values.div_ceil(64)
    }

    /// Where the set of the values that targets name begins.
    fn targets(&mut self, number: u32, program: &Program, store: &Store) -> usize {
        if let Some(start) = known(&self.targets, number) {
            return start;
        }
        let start = self.set();
        if let Some(targets) = program.targets.get(number as usize) {
            for selector in &targets.included {
                let from = self.selector(*selector, program, store);
                self.merge(start, from, true);
            }
            let from = self.exclusion(targets.exclusion, program, store);
            self.merge(start, from, false);
        }
        keep(&mut self.targets, number, start);
        start
    }

    /// Where the set of the values that an exclusion names begins.
    fn exclusion(&mut self, number: u32, program: &Program, store: &Store) -> usize {
        if let Some(start) = known(&self.exclusions, number) {
            return start;
        }
        let start = self.set();
        for selector in program.exclusions.get(number as usize).into_iter().flatten() {
            let from = self.selector(*selector, program, store);
            self.merge(start, from, true);
        }
        keep(&mut self.exclusions, number, start);
        start
    }

    fn merge(&mut self, into: usize, from: usize, included: bool) {
        for word in 0..self.width() {
            let bits = self.words.get(from + word).copied().unwrap_or(0);
            if let Some(slot) = self.words.get_mut(into + word) {
                if included { *slot |= bits } else { *slot &= !bits }
            }
        }
    }

    fn set(&mut self) -> usize {
        let start = self.words.len();
        self.words.resize(start + self.width(), 0);
        start
    }

    /// Where the set of the values that a selector names begins.
    fn selector(&mut self, number: u32, program: &Program, store: &Store) -> usize {
        if let Some(start) = known(&self.selectors, number) {
            return start;
        }
        let start = self.set();
        if let Some(selector) = program.selectors.get(number as usize) {
            for part in selector.variable.parts() {
                for value in store.range(*part) {
                    let name = store.get(value).map(|value| value.name);
                    let chosen = matches!(selector.key, Key::All)
                        || name.is_some_and(|name| selector.selects(store.bytes(name)));
                    if let Some(word) = self.words.get_mut(start + value as usize / 64) {
                        *word |= u64::from(chosen) << (value % 64);
                    }
                }
            }
        }
        keep(&mut self.selectors, number, start);
        start
    }
}

/// Where a set begins that was worked out before.
fn known(starts: &[u32], number: u32) -> Option<usize> {
    starts.get(number as usize).filter(|start| **start != NONE).map(|start| *start as usize)
}

fn keep(starts: &mut [u32], number: u32, start: usize) {
    if let Some(known) = starts.get_mut(number as usize) {
        *known = u32::try_from(start).unwrap_or(NONE);
    }
}
