//! What a match does.

use std::borrow::Cow;

use crate::{
    operator::{Check, sqli_fingerprint},
    program::{Change, Effect, Link, Operator, Template, TxName},
};

use super::{Inspection, found::Found, store::Span, tx::Held};

/// Bytes of a text that macros make: one that is put into itself again and again would fill the
/// memory.
const EXPANDED_BYTES_MAX: usize = 1 << 20;

/// Groups of a pattern that are kept, as `tx.0` to `tx.9`.
const CAPTURES: u32 = 10;

impl<'r> Inspection<'r> {
    /// A value matched.
    pub(super) fn matched(&mut self, link: &'r Link, found: Found<'r>) {
        self.matched.push(found);
        self.last = Some(found);
        self.effects(link);
    }

    pub(super) fn effects(&mut self, link: &'r Link) {
        link.effects.iter().for_each(|effect| self.effect(effect));
    }

    fn effect(&mut self, effect: &'r Effect) {
        match effect {
            Effect::Set { variable, change } => self.set(variable, change),
            Effect::Engine(state) => self.state = *state,
            Effect::Remove(rules) => self.removed.extend(rules),
            Effect::RemoveTargets { rules, selector } => {
                if let Some(selector) = self.rules.program.selectors.get(*selector as usize) {
                    self.filtered.extend(rules);
                    self.removals.push((Cow::Borrowed(rules), Cow::Borrowed(selector)));
                }
            }
            Effect::Processor(name) => self.body.processor = self.put_expanded(name),
            Effect::ForceBody(forced) => self.body.forced = *forced,
            Effect::BodyAccess(read) => self.body.read = *read,
        }
    }

    fn set(&mut self, variable: &'r TxName, change: &'r Change) {
        let name = match variable {
            TxName::Slot(slot) => return self.set_slot(*slot, change),
            TxName::Made(template) => {
                let mut name = Vec::new();
                self.expand(template, &mut name);
                name.make_ascii_lowercase();
                name
            }
        };
        if let Some(slot) = self.rules.program.tx_slots.get(&name) {
            return self.set_slot(*slot, change);
        }
        let before = self.tx.get_made(&name);
        let held = self.changed(before, change);
        self.tx.set_made(name, held, &mut self.store);
    }

    fn set_slot(&mut self, slot: u32, change: &'r Change) {
        let before = self.tx(slot);
        let held = self.changed(before, change);
        self.tx.set(slot, held);
    }

    fn changed(&mut self, before: Held<'r>, change: &'r Change) -> Held<'r> {
        match change {
            Change::Unset => Held::Nothing,
            Change::Assign(template) => self.hold(template),
            Change::Add(template) => {
                let amount = self.amount(template);
                Held::Number(before.number(&self.store).saturating_add(amount))
            }
            Change::Subtract(template) => {
                let amount = self.amount(template);
                Held::Number(before.number(&self.store).saturating_sub(amount))
            }
        }
    }

    /// Expands a text and keeps it.
    pub(super) fn put_expanded(&mut self, template: &Template) -> Span {
        self.put_made(|here, out| here.expand(template, out))
    }

    /// Keeps a text that is made of what is here.
    pub(super) fn put_made(&mut self, make: impl FnOnce(&Self, &mut Vec<u8>)) -> Span {
        let mut out = std::mem::take(&mut self.scratch);
        out.clear();
        make(self, &mut out);
        if out.len() > EXPANDED_BYTES_MAX {
            out.truncate(EXPANDED_BYTES_MAX);
            self.truncated();
        }
        let span = self.store.put(&out);
        self.store.work += out.len() as u64;
        self.scratch = out;
        span
    }

    /// `capture`: the groups of the pattern, or what the operator found.
    pub(super) fn capture(&mut self, link: &'r Link, text: u32) {
        let span = self.store.span(text);
        let bytes = self.store.text_bytes(text);
        let mut groups: [Held<'r>; CAPTURES as usize] = Default::default();
        let found = |range| Held::Text(span.part(range));
        match &link.operator {
            Operator::Pattern(number) => {
                let pattern = self.rules.program.patterns.get(*number as usize);
                let Some(captures) = pattern.and_then(|pattern| pattern.regex.captures(bytes))
                else {
                    return;
                };
                for (slot, group) in groups.iter_mut().zip(captures.iter()) {
                    *slot = group.map_or(Held::Constant(b""), |group| found(group.range()));
                }
            }
            Operator::Check(Check::Phrases(phrases)) => {
                let Some(phrase) = phrases.find(bytes) else { return };
                let phrase = phrase.to_vec();
                let span = self.store.put(&phrase);
                if let Some(first) = groups.first_mut() {
                    *first = Held::Text(span);
                }
            }
            Operator::Check(Check::Sqli) => {
                let Some(fingerprint) = sqli_fingerprint(bytes) else { return };
                let span = self.store.put(fingerprint.as_bytes());
                if let Some(first) = groups.first_mut() {
                    *first = Held::Text(span);
                }
            }
            _ => {
                if let Some(first) = groups.first_mut() {
                    *first = Held::Text(span);
                }
            }
        }
        for (slot, group) in (0..CAPTURES).zip(groups) {
            self.tx.set(slot, group);
        }
    }
}
