//! `tx` variables: those that rules name in slots, those whose names macros make in a list.

use std::collections::HashMap;

use crate::operator::number;

use super::store::{Span, Store};

/// What a variable holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Held<'r> {
    /// It is not set.
    #[default]
    Nothing,
    Number(i64),
    Text(Span),
    /// A text in the rules.
    Constant(&'r [u8]),
    /// The same, copied.
    Copied(Span),
}

/// The variables of a transaction.
#[derive(Debug)]
pub(super) struct Tx<'r> {
    slots: Vec<Held<'r>>,
    made: Vec<(Span, Held<'r>)>,
    /// Where each is in `made`.
    places: HashMap<Vec<u8>, usize>,
    pinned: &'r [(u32, i64)],
}

impl<'r> Tx<'r> {
    pub(super) fn new(slots: usize, pinned: &'r [(u32, i64)]) -> Self {
        let mut tx = Self {
            slots: vec![Held::Nothing; slots],
            made: Vec::new(),
            places: HashMap::new(),
            pinned,
        };
        for (slot, value) in pinned {
            if let Some(held) = tx.slots.get_mut(*slot as usize) {
                *held = Held::Number(*value);
            }
        }
        tx
    }

    /// What is held, with all texts in another place.
    pub(super) fn moved(&self, from: &Store, to: &mut Store) -> Tx<'static> {
        let mut moved = |held: &Held<'r>| match held {
            Held::Nothing => Held::Nothing,
            Held::Number(number) => Held::Number(*number),
            Held::Text(span) => Held::Text(to.put(from.bytes(*span))),
            Held::Constant(text) => Held::Copied(to.put(text)),
            Held::Copied(span) => Held::Copied(to.put(from.bytes(*span))),
        };
        let slots = self.slots.iter().map(&mut moved).collect();
        let held: Vec<Held<'static>> = self.made.iter().map(|(_, held)| moved(held)).collect();
        let names = self.made.iter().map(|(name, _)| to.put(from.bytes(*name)));
        let made = names.zip(held).collect();
        Tx { slots, made, places: self.places.clone(), pinned: &[] }
    }

    /// Bytes of memory, about.
    pub(super) fn held_bytes(&self) -> usize {
        let names: usize = self.places.keys().map(Vec::len).sum();
        size_of_val(self.slots.as_slice()) + size_of_val(self.made.as_slice()) + 2 * names
    }

    /// The same, where rules cannot change some of it.
    pub(super) fn pinned(self, pinned: &'r [(u32, i64)]) -> Self {
        Self { pinned, ..self }
    }

    pub(super) fn get(&self, slot: u32) -> Held<'r> {
        self.slots.get(slot as usize).copied().unwrap_or_default()
    }

    pub(super) fn set(&mut self, slot: u32, held: Held<'r>) {
        if self.pinned.iter().any(|(pinned, _)| *pinned == slot) {
            return;
        }
        if let Some(known) = self.slots.get_mut(slot as usize) {
            *known = held;
        }
    }

    /// A variable that no rule names as it is; names are in lower case.
    pub(super) fn get_made(&self, name: &[u8]) -> Held<'r> {
        let made = self.places.get(name).and_then(|place| self.made.get(*place));
        made.map(|(_, held)| *held).unwrap_or_default()
    }

    pub(super) fn set_made(&mut self, name: Vec<u8>, held: Held<'r>, store: &mut Store) {
        let next = self.made.len();
        let span = match self.places.get(&name) {
            Some(place) => {
                return self.made.iter_mut().skip(*place).take(1).for_each(|it| it.1 = held);
            }
            None => store.put(&name),
        };
        self.places.insert(name, next);
        self.made.push((span, held));
    }

    /// The variables that no rule names as they are.
    pub(super) fn made(&self) -> impl Iterator<Item = (Span, Held<'r>)> {
        self.made.iter().copied().filter(|(_, held)| *held != Held::Nothing)
    }

    /// What the variable holds is a number that rules counted or said.
    pub(super) fn is_counted(&self, slot: u32) -> bool {
        matches!(self.get(slot), Held::Number(_) | Held::Constant(_) | Held::Copied(_))
    }

    /// A variable as a number; zero if it is not set.
    pub(super) fn number(&self, slot: u32, store: &Store) -> i64 {
        self.get(slot).number(store)
    }
}

impl Held<'_> {
    pub(super) fn number(self, store: &Store) -> i64 {
        match self {
            Self::Nothing => 0,
            Self::Number(number) => number,
            Self::Text(span) | Self::Copied(span) => number(store.bytes(span)),
            Self::Constant(text) => number(text),
        }
    }

    /// Adds it to a text.
    pub(super) fn write(self, store: &Store, out: &mut Vec<u8>) {
        match self {
            Self::Nothing => {}
            Self::Number(number) => out.extend(number.to_string().bytes()),
            Self::Text(span) | Self::Copied(span) => out.extend_from_slice(store.bytes(span)),
            Self::Constant(text) => out.extend_from_slice(text),
        }
    }
}
