//! From directives to rules, and from rules to a program.

use std::collections::HashMap;

use crate::{
    problem::{Fault, Problem},
    syntax::{self, Directive},
    transform::Transform,
    variable::Variable,
};

use super::{
    Chain, Effect, Flow, Group, Key, Link, LinkText, Look, Needs, Operator, PHASES, Program, Rule,
    Rules, Targets, Template, Verdict,
    actions::{Actions, Intent},
    build::{Building, Defaults, Draft, DraftEffect, DraftFlow, DraftLink, Which, number},
    directive::{is_blank, wrong_count},
    written::Material,
};

impl Default for Defaults {
    fn default() -> Self {
        Self { log: true, verdict: Verdict::Pass, status: 403, transforms: Vec::new() }
    }
}

impl Building<'_> {
    /// `SecRule`.
    pub(crate) fn rule(&mut self, directive: &Directive) -> Result<(), Fault> {
        let continues = std::mem::take(&mut self.chained);
        self.pattern_fault = None;
        self.material = Material::default();
        let (targets, test, actions) = match directive.arguments.as_slice() {
            [targets, test] => (targets, test, None),
            [targets, test, actions] => (targets, test, Some(actions)),
            _ => return Err(wrong_count(directive, "targets, an operator and actions")),
        };
        let actions = self.actions(actions);
        self.chained = actions.chain;
        let mut faults = Vec::new();
        let written = syntax::targets(targets, &mut faults);
        let clean = faults.is_empty();
        let selected = self.select(&written, &mut faults);
        if clean && faults.is_empty() && written.iter().all(|target| target.excluded) {
            faults.push(Fault::new(targets.place(0), "the rule excludes targets and names none"));
        }
        self.faults(faults);
        if is_blank(test) {
            self.fault(Fault::new(test.place(0), "the rule looks for nothing"));
        }
        let text = test.text.trim().to_owned();
        let test = syntax::test(test);
        let (operator, needs) = self.operator(&test).unwrap_or_else(|fault| {
            self.fault(fault);
            (Operator::Never, Needs::default())
        });
        let (targets, negated) = (Some(selected), test.negated);
        let link = LinkParts { targets, test: text, operator, needs, negated };
        self.add(directive, actions, link, continues)
    }

    /// `SecAction`.
    pub(crate) fn unconditional(&mut self, directive: &Directive) -> Result<(), Fault> {
        let [actions] = directive.arguments.as_slice() else {
            return Err(wrong_count(directive, "actions"));
        };
        let actions = self.actions(Some(actions));
        if actions.chain {
            return Err(Fault::new(directive.name.at, "`SecAction` cannot be part of a chain"));
        }
        self.material = Material::default();
        let link = LinkParts {
            targets: None,
            test: String::new(),
            operator: Operator::Always,
            needs: Needs::default(),
            negated: false,
        };
        self.add(directive, actions, link, false)
    }

    /// `SecDefaultAction`.
    pub(crate) fn default_action(&mut self, directive: &Directive) -> Result<(), Fault> {
        let [argument] = directive.arguments.as_slice() else {
            return Err(wrong_count(directive, "actions"));
        };
        let actions = self.actions(Some(argument));
        let Some((_, phase)) = actions.phase else {
            return Err(Fault::new(directive.name.at, "default actions name their `phase`"));
        };
        if actions.id.is_some() || actions.chain || actions.flow.is_some() {
            return Err(Fault::new(argument.place(0), "`id`, `chain` and `skip` are no defaults"));
        }
        let verdict = match actions.verdict {
            Some(Intent::This(verdict)) => verdict,
            Some(Intent::Block) => Verdict::Deny,
            None => Verdict::Pass,
        };
        let defaults = Defaults {
            log: actions.log.unwrap_or(true),
            verdict,
            status: actions.status.unwrap_or(403),
            transforms: actions.transforms,
        };
        self.defaults.insert(phase, defaults);
        Ok(())
    }

    pub(crate) fn defaults_of(&self, phase: u8) -> Defaults {
        self.defaults.get(&phase).cloned().unwrap_or_default()
    }

    /// The message with its macros.
    pub(crate) fn message(&mut self, actions: &Actions) -> Result<Template, Fault> {
        actions.message.as_ref().map_or_else(
            || Ok(Template::default()),
            |message| Template::new(message.at, &message.text, self),
        )
    }

    fn add(
        &mut self,
        directive: &Directive,
        actions: Actions,
        parts: LinkParts,
        continues: bool,
    ) -> Result<(), Fault> {
        let phase = match self.drafts.last() {
            Some(draft) if continues => draft.phase,
            _ => actions.phase.map_or(2, |(_, phase)| phase),
        };
        let defaults = self.defaults_of(phase);
        let mut transforms =
            if actions.from_none { Vec::new() } else { defaults.transforms.clone() };
        transforms.extend(&actions.transforms);
        let mut material = std::mem::take(&mut self.material);
        material.directive(directive);
        if continues {
            if let Some((at, _)) = actions.id {
                return Err(Fault::new(at, "only the first rule of a chain has an `id`"));
            }
            if let Some((at, _)) = actions.phase {
                return Err(Fault::new(at, "only the first rule of a chain has a `phase`"));
            }
            let link = parts.link(transforms, actions);
            if std::mem::take(&mut self.broken) {
                self.broken = self.chained;
            } else if let Some(draft) = self.drafts.last_mut() {
                draft.links.push(link);
                draft.material.append(material);
                draft.faults.extend(self.pattern_fault.take());
            }
            return Ok(());
        }
        self.broken = self.chained;
        let Some((at, id)) = actions.id else {
            return Err(Fault::new(directive.name.at, "the rule has no `id`"));
        };
        if !self.ids.insert(id) {
            return Err(Fault::new(at, format!("the id `{id}` is used twice")));
        }
        self.broken = false;
        material.add(format!("{defaults:?}").as_bytes());
        let message_made = self.message(&actions)?;
        let mut draft = Draft {
            id,
            phase,
            links: Vec::new(),
            log: defaults.log,
            message: String::new(),
            message_made: Template::default(),
            data: Template::default(),
            severity: None,
            tags: Vec::new(),
            version: String::new(),
            verdict: defaults.verdict,
            status: defaults.status,
            flow: DraftFlow::Next,
            file: self.file(),
            at: directive.name.at,
            removed: false,
            material,
            faults: self.pattern_fault.take().into_iter().collect(),
        };
        if let Some(data) = &actions.data {
            draft.data = Template::new(data.at, &data.text, self)?;
        }
        draft.describe(&actions, message_made, &defaults);
        draft.links.push(parts.link(transforms, actions));
        self.drafts.push(draft);
        Ok(())
    }

    /// The whole, or everything that is wrong with it.
    pub(crate) fn finish(mut self) -> Result<(Program, Vec<Problem>), Vec<Problem>> {
        let drafts = std::mem::take(&mut self.drafts);
        let markers = std::mem::take(&mut self.markers);
        let mut lowering = Lowering::default();
        let kept: Vec<(usize, Draft)> =
            drafts.into_iter().enumerate().filter(|(_, draft)| !draft.removed).collect();
        let places = Places::of(&kept, &markers);
        let chosen = |which: &Which| {
            let numbers = (0..).zip(&kept).filter(|(_, (_, draft))| which.takes(draft, &self.tags));
            Rules::of(numbers.map(|(index, _)| index))
        };
        // Rules that effects name are found before the rules are taken apart.
        let mut named: Vec<Rules> = Vec::new();
        for (_, draft) in &kept {
            for effect in draft.links.iter().flat_map(|link| &link.effects) {
                if let DraftEffect::Remove(which) | DraftEffect::RemoveTargets(which, _) = effect {
                    named.push(chosen(which));
                }
            }
        }
        let mut named = named.into_iter();
        let mut missing = Vec::new();
        for (order, mut draft) in kept {
            missing.extend(draft.faults.drain(..).map(|fault| (draft.file, fault)));
            let flow = match places.flow(order, &draft) {
                Ok(flow) => flow,
                Err(fault) => {
                    missing.push((draft.file, fault));
                    Flow::Next
                }
            };
            let line = self.line(draft.file, draft.at);
            lowering.rule(draft, flow, line, &self, &mut named);
        }
        for (file, fault) in missing {
            self.fault_in(file, fault);
        }
        let notices = self.outcome()?;
        let mut program = lowering.program;
        program.files = self.sources.iter().map(|source| source.name.clone()).collect();
        program.selectors = self.selectors;
        program.patterns = self.patterns;
        program.words = self.words.ready();
        program.tags = self.tags;
        program.tx_names = self.tx_names;
        program.tx_slots = self.tx_slots;
        program.select_slots();
        program.engine = self.engine;
        program.used = self.used;
        Ok((program, notices))
    }
}

impl Draft {
    /// What actions say of the rule as a whole.
    fn describe(&mut self, actions: &Actions, message_made: Template, defaults: &Defaults) {
        if let Some(message) = &actions.message {
            self.message.clone_from(&message.text);
            self.message_made = message_made;
        }
        self.log = actions.log.unwrap_or(self.log);
        self.severity = actions.severity.or(self.severity);
        self.tags.extend(&actions.tags);
        self.status = actions.status.unwrap_or(self.status);
        if let Some(version) = &actions.version {
            self.version.clone_from(version);
        }
        match actions.verdict {
            Some(Intent::Block) => self.verdict = defaults.verdict,
            Some(Intent::This(verdict)) => self.verdict = verdict,
            None => {}
        }
        if let Some(flow) = &actions.flow {
            self.flow = flow.clone();
        }
    }

    /// `SecRuleUpdateActionById`.
    pub(crate) fn update(
        &mut self,
        actions: Actions,
        message_made: Template,
        defaults: &Defaults,
        link: usize,
    ) {
        if link == 0 {
            self.describe(&actions, message_made, defaults);
        }
        let Some(link) = self.links.get_mut(link) else { return };
        if actions.from_none || !actions.transforms.is_empty() {
            if actions.from_none {
                link.transforms.clear();
            }
            link.transforms.extend(actions.transforms);
        }
        link.capture |= actions.capture;
        link.multi_match |= actions.multi_match;
        link.effects.extend(actions.effects);
    }
}

/// A link before its actions.
struct LinkParts {
    targets: Option<Targets>,
    test: String,
    operator: Operator,
    needs: Needs,
    negated: bool,
}

impl LinkParts {
    fn link(self, transforms: Vec<Transform>, actions: Actions) -> DraftLink {
        DraftLink {
            targets: self.targets,
            test: self.test,
            operator: self.operator,
            needs: self.needs,
            negated: self.negated,
            transforms,
            capture: actions.capture,
            multi_match: actions.multi_match,
            effects: actions.effects,
        }
    }
}

/// Where rules and markers stand.
struct Places {
    /// For each phase the rules in it, by their order of reading.
    phases: [Vec<usize>; PHASES],
    /// Markers, and the ids of rules, with the order of the first rule after them.
    marks: Vec<(String, usize)>,
}

impl Places {
    fn of(kept: &[(usize, Draft)], markers: &[(String, usize)]) -> Self {
        let mut phases: [Vec<usize>; PHASES] = Default::default();
        let mut marks = markers.to_vec();
        for (order, draft) in kept {
            if let Some(phase) = phases.get_mut(usize::from(draft.phase) - 1) {
                phase.push(*order);
            }
            marks.push((draft.id.to_string(), order + 1));
        }
        Self { phases, marks }
    }

    fn flow(&self, order: usize, draft: &Draft) -> Result<Flow, Fault> {
        let phase =
            self.phases.get(usize::from(draft.phase) - 1).map(Vec::as_slice).unwrap_or_default();
        let place = |order: usize| number(phase.partition_point(|other| *other < order));
        match &draft.flow {
            DraftFlow::Next => Ok(Flow::Next),
            DraftFlow::Skip(count) => {
                Ok(Flow::Jump(place(order + 1).saturating_add(number(*count))))
            }
            DraftFlow::After(at, name) => {
                let after = |(mark, after): &&(String, usize)| mark == name && *after > order;
                let mark = self.marks.iter().find(after);
                let (_, after) = mark.ok_or_else(|| {
                    Fault::new(*at, format!("no `SecMarker {name}` comes after this rule"))
                })?;
                Ok(Flow::Jump(place(*after)))
            }
        }
    }
}

/// The program as far as it is made.
#[derive(Default)]
struct Lowering {
    program: Program,
    chains: HashMap<Vec<Transform>, u32>,
    targets: HashMap<(Vec<u32>, Vec<u32>), u32>,
    exclusions: HashMap<Vec<u32>, u32>,
    groups: HashMap<Group, u32>,
}

impl Lowering {
    fn rule(
        &mut self,
        draft: Draft,
        flow: Flow,
        line: u32,
        building: &Building<'_>,
        named: &mut impl Iterator<Item = Rules>,
    ) {
        let start = number(self.program.links.len());
        for link in draft.links {
            let targets = link.targets.as_ref().map(|targets| building.targets_text(targets));
            let (targets, operator) =
                (targets.unwrap_or_default().into(), link.test.as_str().into());
            self.program.texts.push(LinkText { targets, operator });
            let link = self.link(link, building, named);
            self.program.links.push(link);
        }
        let own = number(self.program.rules.len());
        self.program.by_id.insert(draft.id, own);
        if let Some(phase) = self.program.phases.get_mut(usize::from(draft.phase) - 1) {
            phase.push(own);
        }
        self.program.rules.push(Rule {
            id: draft.id,
            links: start..number(self.program.links.len()),
            log: draft.log,
            message: draft.message_made,
            data: draft.data,
            severity: draft.severity,
            tags: draft.tags,
            version: draft.version,
            verdict: draft.verdict,
            status: draft.status,
            flow,
            file: number(draft.file),
            line,
            fingerprint: draft.material.fingerprint(),
        });
    }

    fn link(
        &mut self,
        draft: DraftLink,
        building: &Building<'_>,
        named: &mut impl Iterator<Item = Rules>,
    ) -> Link {
        let plain = draft.transforms.is_empty() && !draft.capture && !draft.multi_match;
        let chain = self.chain(draft.transforms);
        let is_number = matches!(draft.operator, Operator::Number(..));
        let look = match draft.targets {
            None => Look::Always,
            Some(targets)
                if targets.included.is_empty() || matches!(draft.operator, Operator::Never) =>
            {
                Look::Never
            }
            Some(targets) => match tx_alone(&targets, building) {
                Some((slot, false)) if plain && is_number => Look::TxNumber(slot),
                Some((slot, true)) if plain && is_number => Look::TxCount(slot),
                _ if targets.dynamic => Look::Targets(self.targets(targets)),
                _ => {
                    let targets = self.targets(targets);
                    Look::Group(self.group(Group { targets, chain }))
                }
            },
        };
        let mut effect = |effect| match effect {
            DraftEffect::Set(variable, change) => Effect::Set { variable, change },
            DraftEffect::Engine(state) => Effect::Engine(state),
            DraftEffect::Remove(_) => Effect::Remove(named.next().unwrap_or_default()),
            DraftEffect::RemoveTargets(_, selector) => {
                Effect::RemoveTargets { rules: named.next().unwrap_or_default(), selector }
            }
            DraftEffect::Processor(name) => Effect::Processor(name),
            DraftEffect::ForceBody(on) => Effect::ForceBody(on),
            DraftEffect::BodyAccess(on) => Effect::BodyAccess(on),
        };
        Link {
            look,
            chain,
            operator: draft.operator,
            needs: draft.needs,
            negated: draft.negated,
            capture: draft.capture,
            multi_match: draft.multi_match,
            effects: draft.effects.into_iter().map(&mut effect).collect(),
        }
    }

    fn chain(&mut self, steps: Vec<Transform>) -> u32 {
        let next = number(self.program.chains.len());
        let known = *self.chains.entry(steps.clone()).or_insert(next);
        if known == next {
            self.program.chains.push(Chain::new(steps));
        }
        known
    }

    fn targets(&mut self, mut targets: Targets) -> u32 {
        targets.excluded.sort_unstable();
        if !targets.dynamic {
            targets.included.sort_unstable();
        }
        let next = number(self.program.targets.len());
        let key = (targets.included.clone(), targets.excluded.clone());
        let known = *self.targets.entry(key).or_insert(next);
        if known == next {
            let next = number(self.program.exclusions.len());
            targets.exclusion = *self.exclusions.entry(targets.excluded.clone()).or_insert(next);
            if targets.exclusion == next {
                self.program.exclusions.push(targets.excluded.clone());
            }
            self.program.targets.push(targets);
        }
        known
    }

    fn group(&mut self, group: Group) -> u32 {
        let next = number(self.program.groups.len());
        let known = *self.groups.entry(group).or_insert(next);
        if known == next {
            self.program.groups.push(group);
        }
        known
    }
}

/// The only target, if it is a `tx` variable, and whether it is counted.
fn tx_alone(targets: &Targets, building: &Building<'_>) -> Option<(u32, bool)> {
    let [only] = targets.included.as_slice() else { return None };
    let selector = building.selector_at(*only).filter(|_| targets.excluded.is_empty())?;
    match selector.key {
        Key::Slot(slot) if selector.variable == Variable::Tx => Some((slot, selector.count)),
        _ => None,
    }
}
