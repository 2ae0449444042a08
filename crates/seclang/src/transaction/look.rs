//! One link of a rule: its targets, tested.

use crate::{
    byte_set::ByteSet,
    program::{Link, Look, Operator, Pattern},
    variable::Variable,
};

use super::{
    Inspection,
    found::{Found, Name, Worth},
    store::{Span, VALUE_WORK},
    tx::Held,
};

impl<'r> Inspection<'r> {
    /// The link matches. Its effects are done for each value that matched.
    pub(super) fn look(&mut self, link: &'r Link) -> bool {
        match link.look {
            Look::Always => {
                self.effects(link);
                true
            }
            Look::Never => false,
            Look::TxNumber(slot) => match self.tx(slot) {
                Held::Nothing => false,
                held => self.number(link, slot, held.number(&self.store)),
            },
            Look::TxCount(slot) => {
                let count = i64::from(self.tx(slot) != Held::Nothing);
                self.number(link, slot, count)
            }
            Look::Group(group) => self.group(link, group),
            Look::Targets(targets) => self.targets(link, targets),
        }
    }

    fn number(&mut self, link: &'r Link, slot: u32, number: i64) -> bool {
        let Operator::Number(comparison, comparand) = &link.operator else { return false };
        let holds = comparison.holds(number, self.comparand(comparand)) != link.negated;
        if holds {
            let worth = Worth::Number(number);
            self.matched(link, Found { variable: Variable::Tx, name: Name::Slot(slot), worth });
        }
        holds
    }

    /// Values of the message.
    fn group(&mut self, link: &'r Link, number: u32) -> bool {
        let program = &self.rules.program;
        let group = self.memo.group(number, program, &mut self.store);
        if group.start == group.end {
            return false;
        }
        // A transformation on the way may leave bytes that the last text has no more.
        if !link.negated && !link.multi_match && !self.may_match(link, group.seen) {
            return false;
        }
        self.prepare(link);
        let mut any = false;
        for index in group.start..group.end {
            let Some(pair) = self.memo.pair(index) else { continue };
            if self.is_spent() {
                break;
            }
            self.store.work += VALUE_WORK;
            if link.multi_match {
                any |= self.each_text(link, number, pair.value);
                continue;
            }
            if !self.may_match(link, self.store.seen(pair.text)) && !link.negated {
                continue;
            }
            if self.holds(link, pair.text) {
                any |= self.value_matched(link, number, pair.value, pair.text);
            }
        }
        any
    }

    /// `multiMatch`: the value, and each text that a transformation makes of it.
    fn each_text(&mut self, link: &'r Link, group: u32, value: u32) -> bool {
        let Some(entry) = self.store.get(value) else { return false };
        let Some(chain) = self.rules.program.chains.get(link.chain as usize) else { return false };
        let mut any = false;
        let mut text = entry.text;
        if self.holds(link, text) {
            any |= self.value_matched(link, group, value, text);
        }
        for step in &chain.steps {
            let after = self.store.step(text, *step);
            if after != text && self.holds(link, after) {
                any |= self.value_matched(link, group, value, after);
            }
            text = after;
        }
        any
    }

    fn value_matched(&mut self, link: &'r Link, group: u32, value: u32, text: u32) -> bool {
        let Some(entry) = self.store.get(value) else { return false };
        let variable = self.called(entry.variable, group);
        let found = Found { variable, name: Name::Of(entry.name), worth: Worth::Text(text) };
        if self.filtered.contains(self.running) && self.is_removed(&found, entry.variable) {
            return false;
        }
        if link.capture {
            self.capture(link, text);
        }
        self.matched(link, found);
        true
    }

    /// What the rule calls the variable: a parameter is of `ARGS`, if that is what it names.
    fn called(&self, variable: Variable, group: u32) -> Variable {
        let program = &self.rules.program;
        let group = program.groups.get(group as usize);
        let targets = group.and_then(|group| program.targets.get(group.targets as usize));
        let included = targets.map(|targets| targets.included.as_slice()).unwrap_or_default();
        let mut named =
            included.iter().filter_map(|selector| program.selectors.get(*selector as usize));
        let named = named.find(|selector| selector.variable.parts().contains(&variable));
        named.map_or(variable, |selector| selector.variable)
    }

    /// A rule that ran, or the route, removed the target from this rule.
    fn is_removed(&self, found: &Found<'_>, variable: Variable) -> bool {
        let program = &self.rules.program;
        let member = found.member(&self.store, program);
        self.removals.iter().any(|(rules, selector)| {
            rules.contains(self.running)
                && (selector.takes(variable, member, &program.tx_names)
                    || selector.takes(found.variable, member, &program.tx_names))
        })
    }

    /// Targets that rules change while they run.
    fn targets(&mut self, link: &'r Link, number: u32) -> bool {
        let program = &self.rules.program;
        let Some(targets) = program.targets.get(number as usize) else { return false };
        let mut found = std::mem::take(&mut self.candidates);
        found.clear();
        for selector in
            targets.included.iter().filter_map(|number| program.selectors.get(*number as usize))
        {
            if selector.variable == Variable::Rule {
                found.extend(self.rule_as_value(&selector.key));
            } else {
                self.select(selector, &mut found);
            }
        }
        let excluded = |found: &Found<'_>| {
            let member = found.member(&self.store, program);
            let mut selectors = targets
                .excluded
                .iter()
                .filter_map(|number| program.selectors.get(*number as usize));
            selectors.any(|selector| selector.takes(found.variable, member, &program.tx_names))
        };
        found.retain(|found| !excluded(found));
        if self.filtered.contains(self.running) {
            found.retain(|found| !self.is_removed(found, found.variable));
        }
        if !found.is_empty() {
            self.prepare(link);
        }
        let mut any = false;
        for candidate in &found {
            if self.is_spent() {
                break;
            }
            any |= self.candidate(link, *candidate);
        }
        self.candidates = found;
        any
    }

    fn rule_as_value(&mut self, key: &crate::program::Key) -> Option<Found<'r>> {
        let crate::program::Key::Name(key) = key else { return None };
        let mut out = std::mem::take(&mut self.scratch);
        out.clear();
        self.rule_member(key, &mut out);
        let worth = Worth::Bytes(self.store.put(&out));
        self.scratch = out;
        Some(Found { variable: Variable::Rule, name: Name::Of(Span::default()), worth })
    }

    fn candidate(&mut self, link: &'r Link, found: Found<'r>) -> bool {
        let Some(chain) = self.rules.program.chains.get(link.chain as usize) else { return false };
        if let (Worth::Number(number), Operator::Number(comparison, comparand), true) =
            (found.worth, &link.operator, chain.steps.is_empty())
        {
            let holds = comparison.holds(number, self.comparand(comparand)) != link.negated;
            if holds {
                self.matched(link, found);
            }
            return holds;
        }
        let mut text = self.text_of(&found);
        let mut any = false;
        let mut test = |inspection: &mut Self, text: u32| {
            if inspection.holds(link, text) {
                if link.capture {
                    inspection.capture(link, text);
                }
                inspection.matched(link, Found { worth: Worth::Text(text), ..found });
                any = true;
            }
        };
        if !link.multi_match {
            let after = self.store.after(text, chain);
            test(self, after);
            return any;
        }
        test(self, text);
        for step in &chain.steps {
            let after = self.store.step(text, *step);
            if after != text {
                test(self, after);
            }
            text = after;
        }
        any
    }

    fn text_of(&mut self, found: &Found<'r>) -> u32 {
        match found.worth {
            Worth::Text(text) => text,
            Worth::Bytes(span) => self.store.text(span),
            _ => {
                let mut out = std::mem::take(&mut self.scratch);
                out.clear();
                found.write_value(&self.store, &self.rules.program, &mut out);
                let span = self.store.put(&out);
                self.scratch = out;
                self.store.text(span)
            }
        }
    }

    /// The bytes that a text has do not rule out that the operator holds of it.
    #[inline]
    fn may_match(&self, link: &Link, seen: ByteSet) -> bool {
        !self.store.filters || link.needs.may_match(seen)
    }

    /// A word that the operator needs may be in the text.
    #[inline]
    fn may_have_word(&mut self, link: &Link, text: u32) -> bool {
        let Some(set) = link.needs.words.filter(|_| self.store.filters) else { return true };
        // What the bytes rule out need not be read.
        !self.may_match(link, self.store.seen(text))
            || self.store.has_word(text, set, &self.rules.program.words)
    }

    /// Expands the operator's argument, once for all values.
    fn prepare(&mut self, link: &'r Link) {
        if let Operator::Text(_, template) | Operator::MadePattern(template) = &link.operator {
            let mut argument = std::mem::take(&mut self.argument);
            argument.clear();
            self.expand(template, &mut argument);
            if matches!(link.operator, Operator::MadePattern(_)) {
                self.store.work += 64 * argument.len() as u64;
                self.made = Pattern::expanded(&String::from_utf8_lossy(&argument)).ok();
            }
            self.argument = argument;
        }
    }

    /// The limit of work is reached: values that come later are not looked at.
    fn is_spent(&mut self) -> bool {
        let spent = self.store.work > self.limits.work_bytes_max;
        if spent {
            self.truncated();
        }
        spent
    }

    /// The operator holds of a text, or does not where the link is negated.
    #[inline]
    fn holds(&mut self, link: &'r Link, text: u32) -> bool {
        if !self.may_have_word(link, text) {
            return link.negated;
        }
        let bytes = self.store.text_bytes(text);
        let holds = match &link.operator {
            _ if self.store.filters && bytes.len() < link.needs.len_min => false,
            Operator::Pattern(_) if !self.may_match(link, self.store.seen(text)) => false,
            Operator::Pattern(number) => {
                let pattern = self.rules.program.patterns.get(*number as usize);
                let holds = pattern.is_some_and(|pattern| pattern.regex.is_match(bytes));
                self.store.work += bytes.len() as u64;
                holds
            }
            Operator::Check(check) => {
                let holds = match self.store.filters {
                    true => check.holds(bytes, self.store.seen(text)),
                    false => check.holds_unfiltered(bytes),
                };
                self.store.work += bytes.len() as u64;
                holds
            }
            Operator::Number(comparison, comparand) => {
                let number = crate::operator::number(bytes);
                comparison.holds(number, self.comparand(comparand))
            }
            Operator::Text(test, _) => {
                let holds = test.holds(bytes, &self.argument);
                self.store.work += (bytes.len() + self.argument.len()) as u64;
                holds
            }
            Operator::MadePattern(_) => {
                // What does not compile matches nothing, so that a negated rule matches.
                let holds = self.made.as_ref().is_some_and(|regex| regex.is_match(bytes));
                self.store.work += bytes.len() as u64;
                holds
            }
            Operator::Always => true,
            Operator::Never => return false,
        };
        holds != link.negated
    }
}
