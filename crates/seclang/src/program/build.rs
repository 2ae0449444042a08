//! What has been read so far: rules still open to later directives, and the tables they share.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::RangeInclusive,
};

use crate::{
    problem::{Fault, Problem},
    transform::Transform,
    variable::Variable,
};

use super::{
    Change, Engine, EngineState, File, Needs, Operator, Pattern, Selector, Targets, Template,
    TxName, Verdict, Wanted, set::Fetch, words::WordLists, written::Material,
};

/// Files that include one another, at most.
const DEPTH_MAX: usize = 16;

/// A rule as far as it is read.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) id: u32,
    pub(crate) phase: u8,
    pub(crate) links: Vec<DraftLink>,
    pub(crate) log: bool,
    pub(crate) message: String,
    pub(crate) message_made: Template,
    pub(crate) data: Template,
    pub(crate) severity: Option<u8>,
    pub(crate) tags: Vec<u32>,
    pub(crate) version: String,
    pub(crate) verdict: Verdict,
    pub(crate) status: u16,
    pub(crate) flow: DraftFlow,
    pub(crate) file: usize,
    pub(crate) at: usize,
    pub(crate) removed: bool,
    pub(crate) material: Material,
    /// Its pattern cannot be used; no matter if the rule is removed.
    pub(crate) faults: Vec<Fault>,
}

/// One of its links.
#[derive(Debug)]
pub(crate) struct DraftLink {
    /// `None` looks at nothing, and always matches.
    pub(crate) targets: Option<Targets>,
    /// As it is written.
    pub(crate) test: String,
    pub(crate) operator: Operator,
    pub(crate) needs: Needs,
    pub(crate) negated: bool,
    pub(crate) transforms: Vec<Transform>,
    pub(crate) capture: bool,
    pub(crate) multi_match: bool,
    pub(crate) effects: Vec<DraftEffect>,
}

/// Where evaluation goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DraftFlow {
    Next,
    Skip(usize),
    After(usize, String),
}

/// An effect, in which rules are named and not yet numbered.
#[derive(Debug)]
pub(crate) enum DraftEffect {
    Set(TxName, Change),
    Engine(EngineState),
    Remove(Which),
    RemoveTargets(Which, u32),
    Processor(Template),
    ForceBody(bool),
    BodyAccess(bool),
}

/// Rules, by what they have in common.
#[derive(Debug, Clone)]
pub(crate) enum Which {
    Ids(Vec<RangeInclusive<u32>>),
    /// The whole of one of the tags.
    Tag(regex::Regex),
    Message(String, Option<regex::Regex>),
}

/// What rules of a phase do unless they say otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Defaults {
    pub(crate) log: bool,
    pub(crate) verdict: Verdict,
    pub(crate) status: u16,
    pub(crate) transforms: Vec<Transform>,
}

/// A file that was read.
pub(crate) struct Source {
    pub(crate) name: String,
    text: String,
    line_starts: Vec<usize>,
}

/// A rule set in the making.
pub(crate) struct Building<'a> {
    fetch: Fetch<'a>,
    pub(crate) sources: Vec<Source>,
    file: usize,
    depth: usize,
    faults: Vec<(usize, Fault)>,
    notices: BTreeSet<Problem>,
    pub(crate) drafts: Vec<Draft>,
    /// Names of markers, and how many rules come before each.
    pub(crate) markers: Vec<(String, usize)>,
    pub(crate) ids: HashSet<u32>,
    pub(crate) defaults: HashMap<u8, Defaults>,
    pub(crate) engine: Engine,
    /// The rule read last goes on with the next.
    pub(crate) chained: bool,
    /// What is wrong with the pattern of the link that is being read.
    pub(crate) pattern_fault: Option<Fault>,
    /// What the link that is being read is made of.
    pub(crate) material: Material,
    /// The rule read last could not be read, so what is chained to it is not either.
    pub(crate) broken: bool,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) words: WordLists,
    pattern_numbers: HashMap<String, u32>,
    pub(crate) selectors: Vec<Selector>,
    pub(crate) selector_texts: Vec<String>,
    selector_numbers: HashMap<String, u32>,
    pub(crate) used: HashSet<Variable>,
    pub(crate) tags: Vec<String>,
    tag_numbers: HashMap<String, u32>,
    pub(crate) tx_names: Vec<Vec<u8>>,
    pub(crate) tx_slots: HashMap<Vec<u8>, u32>,
}

impl<'a> Building<'a> {
    pub(crate) fn new(fetch: Fetch<'a>) -> Self {
        let mut building = Self::empty(fetch);
        // What a pattern captures is in the first slots.
        for group in 0..10 {
            building.tx(&group.to_string());
        }
        building
    }

    fn empty(fetch: Fetch<'a>) -> Self {
        Self {
            fetch,
            sources: Vec::new(),
            file: 0,
            depth: 0,
            faults: Vec::new(),
            notices: BTreeSet::new(),
            drafts: Vec::new(),
            markers: Vec::new(),
            ids: HashSet::new(),
            defaults: HashMap::new(),
            engine: Engine::default(),
            chained: false,
            pattern_fault: None,
            material: Material::default(),
            broken: false,
            patterns: Vec::new(),
            words: WordLists::default(),
            pattern_numbers: HashMap::new(),
            selectors: Vec::new(),
            selector_texts: Vec::new(),
            selector_numbers: HashMap::new(),
            used: HashSet::new(),
            tags: Vec::new(),
            tag_numbers: HashMap::new(),
            tx_names: Vec::new(),
            tx_slots: HashMap::new(),
        }
    }

    /// Reads a file and all that it includes.
    pub(crate) fn read(&mut self, file: &File) {
        let (text, invalid) = match String::from_utf8(file.text.clone()) {
            Ok(text) => (text, None),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let valid = error.as_bytes().get(..at).unwrap_or_default();
                let text = str::from_utf8(valid).unwrap_or_default().to_owned();
                (text, Some(Fault::new(at, "the file is not UTF-8")))
            }
        };
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        let line_starts = line_starts.collect();
        self.sources.push(Source { name: file.name.clone(), text: text.clone(), line_starts });
        let outer = std::mem::replace(&mut self.file, self.sources.len() - 1);
        if let Some(fault) = invalid {
            self.fault(fault);
        }
        self.directives(&text);
        self.file = outer;
    }

    /// Reads what an `Include` names.
    pub(crate) fn include(&mut self, at: usize, pattern: &str) -> Result<(), Fault> {
        if self.depth >= DEPTH_MAX {
            return Err(Fault::new(at, "files include one another too deep"));
        }
        let from = self.file_name().to_owned();
        let files = (self.fetch)(Wanted::Include { from: &from, pattern })
            .map_err(|error| Fault::new(at, error))?;
        self.depth += 1;
        for file in &files {
            self.read(file);
        }
        self.depth -= 1;
        Ok(())
    }

    /// The bytes of a file that an operator names.
    pub(crate) fn data(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let files = (self.fetch)(Wanted::Data { from: self.file_name(), name })?;
        let [file] = files.as_slice() else {
            return Err(format!("`{name}` names {} files, not one", files.len()));
        };
        self.material.file(&file.text);
        Ok(file.text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&file.text).to_vec())
    }

    fn file_name(&self) -> &str {
        self.sources.get(self.file).map_or("", |source| &source.name)
    }

    pub(crate) fn file(&self) -> usize {
        self.file
    }

    /// Something is wrong in the file that is being read.
    pub(crate) fn fault(&mut self, fault: Fault) {
        self.faults.push((self.file, fault));
    }

    pub(crate) fn faults(&mut self, faults: Vec<Fault>) {
        faults.into_iter().for_each(|fault| self.fault(fault));
    }

    /// Something is wrong in a file read before.
    pub(crate) fn fault_in(&mut self, file: usize, fault: Fault) {
        self.faults.push((file, fault));
    }

    /// Something in the file that is being read has no meaning here.
    pub(crate) fn notice(&mut self, at: usize, message: String) {
        let notice = self.located(self.file, Fault::new(at, message));
        self.notices.insert(notice);
    }

    fn located(&self, file: usize, fault: Fault) -> Problem {
        let source = self.sources.get(file);
        let text = source.map_or("", |source| source.text.as_str());
        fault.locate(source.map_or("", |source| &source.name), text)
    }

    /// The line, from 1, of an offset in a file.
    pub(crate) fn line(&self, file: usize, at: usize) -> u32 {
        let starts = self.sources.get(file).map(|source| source.line_starts.as_slice());
        let line = starts.unwrap_or_default().partition_point(|start| *start <= at);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// What was wrong, in the order of the files; or nothing, and what is to be told.
    pub(crate) fn outcome(&mut self) -> Result<Vec<Problem>, Vec<Problem>> {
        let faults = std::mem::take(&mut self.faults);
        let mut problems: Vec<Problem> =
            faults.into_iter().map(|(file, fault)| self.located(file, fault)).collect();
        problems.sort();
        problems.dedup();
        if problems.is_empty() {
            Ok(std::mem::take(&mut self.notices).into_iter().collect())
        } else {
            Err(problems)
        }
    }

    /// The slot of a `tx` variable.
    pub(crate) fn tx(&mut self, name: &str) -> u32 {
        let name = name.to_ascii_lowercase().into_bytes();
        let next = number(self.tx_names.len());
        let slot = *self.tx_slots.entry(name.clone()).or_insert(next);
        if slot == next {
            self.tx_names.push(name);
        }
        slot
    }

    /// The number of a tag.
    pub(crate) fn tag(&mut self, tag: &str) -> u32 {
        let next = number(self.tags.len());
        let known = *self.tag_numbers.entry(tag.to_owned()).or_insert(next);
        if known == next {
            self.tags.push(tag.to_owned());
        }
        known
    }

    /// The number of a pattern, and what it needs.
    pub(crate) fn pattern(&mut self, written: &str) -> Result<(u32, Needs), String> {
        if let Some(known) = self.pattern_numbers.get(written) {
            let needs = self.patterns.get(*known as usize).map(|pattern| pattern.needs.clone());
            return Ok((*known, needs.unwrap_or_default()));
        }
        let mut pattern = Pattern::new(written)?;
        let next = number(self.patterns.len());
        if let Some(texts) = pattern.texts.take() {
            pattern.needs.words = self.words.add(texts.iter().map(Vec::as_slice));
        }
        let needs = pattern.needs.clone();
        self.patterns.push(pattern);
        self.pattern_numbers.insert(written.to_owned(), next);
        Ok((next, needs))
    }

    /// The number of a selector.
    pub(crate) fn intern_selector(&mut self, written: String, selector: Selector) -> u32 {
        let next = number(self.selectors.len());
        self.used.insert(selector.variable);
        let known = *self.selector_numbers.entry(written.clone()).or_insert(next);
        if known == next {
            self.selector_texts.push(written);
            self.selectors.push(selector);
        }
        known
    }

    pub(crate) fn selector_at(&self, number: u32) -> Option<&Selector> {
        self.selectors.get(number as usize)
    }
}

/// Tables have fewer than 2³² rows.
pub(crate) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
