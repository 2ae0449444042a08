//! How a value is looked at: each transformation is done once, however many rules begin with it,
//! and all patterns look together at each text that comes of them.

use std::{borrow::Cow, ops::Range};

use regex::bytes::{RegexSet, RegexSetBuilder, SetMatches};

use crate::{
    byte_set::ByteSet,
    subset::input::{Collection, Value},
    operator,
    transform::Transform,
};

/// Bytes the automaton may take when compiled, and for its cache at run time.
const AUTOMATON_BYTES_MAX: usize = 64 << 20;
const AUTOMATON_CACHE_BYTES: usize = 2 << 20;

/// One test of a rule or of its chain.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) included: Vec<Selector>,
    pub(crate) excluded: Vec<Selector>,
    pub(crate) negated: bool,
    pub(crate) probe: Probe,
    /// The transformations before the test, as steps of the plan.
    pub(crate) steps: Vec<usize>,
}

/// `ARGS`, `REQUEST_HEADERS:User-Agent`.
#[derive(Debug)]
pub(crate) struct Selector {
    pub(crate) collections: &'static [Collection],
    pub(crate) name: Option<String>,
}

/// What a link looks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Probe {
    /// The pattern of that number.
    Pattern(usize),
    Sqli,
    Xss,
}

/// The links, ready to look at values.
#[derive(Debug)]
pub(crate) struct Plan {
    links: Vec<Link>,
    steps: Vec<Step>,
    patterns: RegexSet,
    /// For each collection the links that look at some of its values.
    candidates: Vec<Candidates>,
    waiting: Vec<Waiting>,
}

/// A link that tokenizes, which is dear: it waits for the patterns of its chain to match.
#[derive(Debug)]
struct Waiting {
    link: usize,
    patterns: Vec<usize>,
}

/// A transformation of what the step before made; steps with the same beginning are shared.
#[derive(Debug)]
struct Step {
    before: Option<usize>,
    transform: Transform,
}

#[derive(Debug, Default, Clone)]
struct Candidates {
    /// Links that look at every value of the collection.
    all: Vec<usize>,
    /// Links for which the value's name matters.
    by_name: Vec<usize>,
}

/// The links and patterns read so far.
#[derive(Default)]
pub(crate) struct Planning {
    links: Vec<Link>,
    steps: Vec<Step>,
    patterns: Vec<String>,
}

/// What transformations made of a value, and what was found in it.
struct Text<'a> {
    bytes: Cow<'a, [u8]>,
    seen: ByteSet,
    matches: Option<SetMatches>,
}

/// The texts of one value: the first is the value itself.
struct Texts<'a> {
    texts: Vec<Text<'a>>,
    /// For each step the text it made.
    made: Vec<Option<usize>>,
}

impl Selector {
    fn selects(&self, value: &Value) -> bool {
        self.collections.contains(&value.collection)
            && self.name.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(&value.name))
    }
}

impl Link {
    fn targets(&self, value: &Value) -> bool {
        let selects = |selector: &Selector| selector.selects(value);
        self.included.iter().any(selects) && !self.excluded.iter().any(selects)
    }

    /// Looks at every value of the collection, at none (`None`), or it depends on the name.
    fn reach(&self, collection: Collection) -> Option<bool> {
        let of = |selector: &&Selector| selector.collections.contains(&collection);
        let every = |selector: &Selector| selector.name.is_none();
        let included = self.included.iter().filter(of);
        if included.clone().next().is_none() || self.excluded.iter().filter(of).any(every) {
            return None;
        }
        Some(included.into_iter().any(every) && !self.excluded.iter().any(|s| of(&s)))
    }
}

impl Planning {
    /// How many links there are.
    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// The number of a pattern, which is added.
    pub(crate) fn pattern(&mut self, pattern: String) -> usize {
        self.patterns.push(pattern);
        self.patterns.len() - 1
    }

    /// The steps of a chain of transformations.
    pub(crate) fn steps(&mut self, transforms: &[Transform]) -> Vec<usize> {
        let mut chain = Vec::with_capacity(transforms.len());
        for transform in transforms {
            let before = chain.last().copied();
            let same = |step: &Step| step.before == before && step.transform == *transform;
            let step = self.steps.iter().position(same).unwrap_or_else(|| {
                self.steps.push(Step { before, transform: *transform });
                self.steps.len() - 1
            });
            chain.push(step);
        }
        chain
    }

    pub(crate) fn link(&mut self, link: Link) {
        self.links.push(link);
    }

    /// All links, of these chains.
    pub(crate) fn finish(
        self,
        chains: impl Iterator<Item = Range<usize>>,
    ) -> Result<Plan, regex::Error> {
        let waiting: Vec<Waiting> = chains.flat_map(|chain| self.waiting(chain)).collect();
        let waits = |index: usize| waiting.iter().any(|waiting| waiting.link == index);
        let patterns = RegexSetBuilder::new(self.patterns)
            .unicode(false)
            .dot_matches_new_line(true)
            .multi_line(true)
            .size_limit(AUTOMATON_BYTES_MAX)
            .dfa_size_limit(AUTOMATON_CACHE_BYTES)
            .build()?;
        let candidates = Collection::ALL.map(|collection| {
            let mut candidates = Candidates::default();
            let links = self.links.iter().enumerate();
            for (index, link) in links.filter(|(index, _)| !waits(*index)) {
                match link.reach(collection) {
                    Some(true) => candidates.all.push(index),
                    Some(false) => candidates.by_name.push(index),
                    None => {}
                }
            }
            candidates
        });
        let candidates = candidates.into();
        Ok(Plan { links: self.links, steps: self.steps, patterns, candidates, waiting })
    }

    /// The links of a chain that wait for others of it.
    fn waiting(&self, chain: Range<usize>) -> Vec<Waiting> {
        let is_pattern = |index: &usize| {
            self.links.get(*index).is_some_and(|link| matches!(link.probe, Probe::Pattern(_)))
        };
        let (patterns, tokenizing): (Vec<usize>, Vec<usize>) = chain.partition(is_pattern);
        if patterns.is_empty() {
            return Vec::new();
        }
        let waiting = |link| Waiting { link, patterns: patterns.clone() };
        tokenizing.into_iter().map(waiting).collect()
    }
}

impl Plan {
    /// For each link the first value it matched.
    pub(crate) fn matches<'a>(&self, values: &'a [Value]) -> Vec<Option<&'a Value>> {
        let mut found = vec![None; self.links.len()];
        let mut texts = Texts { texts: Vec::new(), made: vec![None; self.steps.len()] };
        for value in values {
            let Some(candidates) = self.candidates.get(value.collection as usize) else { continue };
            texts.start(&value.bytes);
            for index in &candidates.all {
                self.look(*index, value, &mut texts, &mut found);
            }
            for index in &candidates.by_name {
                self.look_at_target(*index, value, &mut texts, &mut found);
            }
        }
        let matched = |index: &usize| found.get(*index).is_some_and(Option::is_some);
        let due = self.waiting.iter().filter(|waiting| waiting.patterns.iter().all(matched));
        let due: Vec<usize> = due.map(|waiting| waiting.link).collect();
        for value in values.iter().filter(|_| !due.is_empty()) {
            texts.start(&value.bytes);
            for index in &due {
                self.look_at_target(*index, value, &mut texts, &mut found);
            }
        }
        found
    }

    /// One link on one value, if it is a target of the link's.
    fn look_at_target<'a>(
        &self,
        index: usize,
        value: &'a Value,
        texts: &mut Texts<'a>,
        found: &mut [Option<&'a Value>],
    ) {
        if self.links.get(index).is_some_and(|link| link.targets(value)) {
            self.look(index, value, texts, found);
        }
    }

    /// One link on one value, unless it matched another before.
    fn look<'a>(
        &self,
        index: usize,
        value: &'a Value,
        texts: &mut Texts<'a>,
        found: &mut [Option<&'a Value>],
    ) {
        let (Some(link), Some(found @ None)) = (self.links.get(index), found.get_mut(index)) else {
            return;
        };
        let Some(text) = texts.after(&link.steps, &self.steps) else { return };
        let holds = match link.probe {
            Probe::Pattern(pattern) => text.matches(&self.patterns).matched(pattern),
            Probe::Sqli => operator::is_sqli(&text.bytes, text.seen),
            Probe::Xss => operator::is_xss(&text.bytes, text.seen),
        };
        if holds != link.negated {
            *found = Some(value);
        }
    }
}

impl Text<'_> {
    fn matches(&mut self, patterns: &RegexSet) -> &SetMatches {
        self.matches.get_or_insert_with(|| patterns.matches(&self.bytes))
    }
}

impl<'a> Texts<'a> {
    /// Goes on to the next value.
    fn start(&mut self, bytes: &'a [u8]) {
        self.texts.clear();
        self.made.fill(None);
        self.add(Cow::Borrowed(bytes));
    }

    /// The text after these steps; those done before are not done again.
    fn after(&mut self, chain: &[usize], steps: &[Step]) -> Option<&mut Text<'a>> {
        let mut at = 0;
        for index in chain {
            at = match self.made.get(*index)? {
                Some(made) => *made,
                None => {
                    let made = self.step(at, steps.get(*index)?.transform)?;
                    self.made.get_mut(*index)?.insert(made).to_owned()
                }
            };
        }
        self.texts.get_mut(at)
    }

    /// The text that a transformation makes of the text `at`, often that text itself.
    fn step(&mut self, at: usize, transform: Transform) -> Option<usize> {
        let text = self.texts.get(at)?;
        if !text.seen.meets(transform.acts_on()) {
            return Some(at);
        }
        let Some(bytes) = transform.apply(&text.bytes) else { return Some(at) };
        let same = self.texts.iter().position(|text| *text.bytes == *bytes);
        Some(same.unwrap_or_else(|| self.add(Cow::Owned(bytes))))
    }

    fn add(&mut self, bytes: Cow<'a, [u8]>) -> usize {
        self.texts.push(Text { seen: ByteSet::seen(&bytes), bytes, matches: None });
        self.texts.len() - 1
    }
}
