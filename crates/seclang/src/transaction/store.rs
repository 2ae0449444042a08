//! What a transaction holds: all bytes in one place, the texts in it, and which variables they
//! are values of.

use crate::{
    byte_set::ByteSet,
    program::{Chain, WordSet, Words, acting},
    transform::Transform,
    variable::{COUNT, Variable},
};

/// Where bytes are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

/// A text, and what is known of it.
#[derive(Debug, Clone, Copy)]
struct Text {
    span: Span,
    /// The transformations that may change it.
    acts: u32,
    /// Its row in `steps`, if one of them was tried.
    row: u32,
    words: Read,
}

/// Whether a text was read for words.
#[derive(Debug, Clone, Copy)]
enum Read {
    Not,
    /// The sets of which a word is in it are there in `words`.
    At(u32),
    /// It has the words of another text, as that in lower case.
    As(u32),
}

/// A value of a variable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub(super) variable: Variable,
    pub(super) name: Span,
    pub(super) text: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Store {
    bytes: Vec<u8>,
    texts: Vec<Text>,
    seen: Vec<ByteSet>,
    /// For each text that has a row and each transformation the text that comes of it.
    steps: Vec<u32>,
    words: Vec<u64>,
    values: Vec<Value>,
    ranges: [(u32, u32); COUNT],
    values_max: usize,
    /// Bytes read so far.
    pub(super) work: u64,
    /// There was no room for a value.
    pub(super) full: bool,
    /// What the bytes in a text rule out is not tried, and no transformation is done twice. Only
    /// tests look without, to compare.
    pub(super) filters: bool,
}

/// Texts of its length that a body becomes, as a rule, and bytes of it that room is made for.
const TEXTS_OF_BODY: usize = 8;
const BODY_BYTES_MAX: usize = 128 << 10;

/// What it takes to choose a value, or to see that it need not be read, in bytes that are read
/// meanwhile: of many short ones most is this.
pub(super) const VALUE_WORK: u64 = 4;

const NONE: u32 = u32::MAX;
const ROW: usize = u32::BITS as usize;

impl Span {
    /// Part of a text.
    pub(super) fn part(self, range: std::ops::Range<usize>) -> Self {
        let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let start = number(range.start).min(self.len);
        let end = number(range.end).clamp(start, self.len);
        Self { start: self.start + start, len: end - start }
    }
}

impl Store {
    pub(super) fn new(values_max: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(8 << 10),
            texts: Vec::with_capacity(192),
            seen: Vec::with_capacity(192),
            steps: Vec::new(),
            words: Vec::new(),
            values: Vec::with_capacity(128),
            ranges: [(0, 0); COUNT],
            values_max,
            work: 0,
            full: false,
            filters: true,
        }
    }

    /// Makes room for a body and what becomes of it, so that little is moved when it comes.
    pub(super) fn expect(&mut self, body: usize) {
        self.bytes.reserve(body.min(BODY_BYTES_MAX) * TEXTS_OF_BODY);
    }

    /// The values alone, without what transformations made of them.
    pub(super) fn values_alone(&self) -> Self {
        let mut alone = Self {
            bytes: Vec::new(),
            texts: Vec::with_capacity(self.values.len()),
            seen: Vec::with_capacity(self.values.len()),
            values: Vec::with_capacity(self.values.len()),
            work: self.work,
            full: self.full,
            filters: self.filters,
            ..Self::new(self.values_max)
        };
        // A text may be the value of more than one variable.
        let mut copied = vec![NONE; self.texts.len()];
        for Value { variable, name, text } in &self.values {
            let name = alone.put(self.bytes(*name));
            let known = copied.get_mut(*text as usize);
            let at = match known {
                Some(at) if *at != NONE => *at,
                known => {
                    let span = alone.put(self.text_bytes(*text));
                    let at = alone.text(span);
                    known.into_iter().for_each(|known| *known = at);
                    at
                }
            };
            alone.value_of(*variable, name, at);
        }
        alone
    }

    /// Bytes of memory, about.
    pub(super) fn held_bytes(&self) -> usize {
        let texts = size_of::<Text>() + size_of::<ByteSet>() + size_of::<Value>();
        self.bytes.capacity() + self.texts.capacity() * texts + self.steps.capacity() * 4
    }

    /// Keeps bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Span {
        let number = |index: usize| u32::try_from(index).ok();
        let at = number(self.bytes.len());
        let end = self.bytes.len().checked_add(bytes.len()).and_then(number);
        match (at, end) {
            (Some(start), Some(end)) => {
                self.bytes.extend_from_slice(bytes);
                Span { start, len: end - start }
            }
            // More than 4 GiB: limits end a transaction long before.
            _ => {
                self.full = true;
                Span::default()
            }
        }
    }

    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        self.bytes.get(start..start + span.len as usize).unwrap_or_default()
    }

    /// A text, which is somewhere in the bytes.
    pub(super) fn text(&mut self, span: Span) -> u32 {
        let seen = ByteSet::seen(self.bytes(span));
        let text = u32::try_from(self.texts.len()).unwrap_or(NONE);
        let acts = if self.filters { acting(seen) } else { u32::MAX };
        self.texts.push(Text { span, acts, row: NONE, words: Read::Not });
        self.seen.push(seen);
        text
    }

    pub(super) fn span(&self, text: u32) -> Span {
        self.texts.get(text as usize).map_or(Span::default(), |text| text.span)
    }

    pub(super) fn text_bytes(&self, text: u32) -> &[u8] {
        self.bytes(self.span(text))
    }

    pub(super) fn seen(&self, text: u32) -> ByteSet {
        self.seen.get(text as usize).copied().unwrap_or(ByteSet::ALL)
    }

    /// A word of the set is in the text, which is read for all sets at once.
    #[inline]
    pub(super) fn has_word(&mut self, text: u32, set: WordSet, words: &Words) -> bool {
        let start = match self.texts.get(text as usize).map(|text| text.words) {
            Some(Read::Not) => self.find_words(text, words),
            Some(Read::At(start)) => start as usize,
            Some(Read::As(other)) => return self.has_word(other, set, words),
            None => return true,
        };
        set.is_in(self.words.get(start..).unwrap_or_default())
    }

    fn find_words(&mut self, text: u32, words: &Words) -> usize {
        let start = self.words.len();
        self.words.resize(start + words.width(), 0);
        let Some(entry) = self.texts.get_mut(text as usize) else { return start };
        entry.words = u32::try_from(start).map_or(Read::Not, Read::At);
        let (from, len) = (entry.span.start as usize, entry.span.len as usize);
        let bytes = self.bytes.get(from..from + len).unwrap_or_default();
        words.find(bytes, self.words.get_mut(start..).unwrap_or_default());
        self.work += len as u64;
        start
    }

    /// Adds a value, if there is room. Values of a variable are added one after the other; those
    /// that come later take the place of those before.
    pub(super) fn value(&mut self, variable: Variable, name: Span, span: Span) {
        let text = self.text(span);
        self.value_of(variable, name, text);
    }

    /// As [`Self::value`], of a text that is there.
    pub(super) fn value_of(&mut self, variable: Variable, name: Span, text: u32) {
        if self.values.len() >= self.values_max {
            self.full = true;
            return;
        }
        let at = u32::try_from(self.values.len()).unwrap_or(NONE);
        self.values.push(Value { variable, name, text });
        if let Some(range) = self.ranges.get_mut(variable as usize) {
            if range.1 != at {
                range.0 = at;
            }
            range.1 = at + 1;
        }
    }

    /// A value without a name.
    pub(super) fn scalar(&mut self, variable: Variable, bytes: &[u8]) {
        let span = self.put(bytes);
        self.value(variable, Span::default(), span);
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The numbers of a variable's values.
    pub(super) fn range(&self, variable: Variable) -> std::ops::Range<u32> {
        self.ranges.get(variable as usize).map_or(0..0, |(start, end)| *start..*end)
    }

    pub(super) fn get(&self, value: u32) -> Option<Value> {
        self.values.get(value as usize).copied()
    }

    /// What a chain of transformations makes of a text.
    #[inline]
    pub(super) fn after(&mut self, text: u32, chain: &Chain) -> u32 {
        let acts = self.texts.get(text as usize).map_or(0, |text| text.acts);
        if acts & chain.mask == 0 { text } else { self.walk(text, chain) }
    }

    fn walk(&mut self, text: u32, chain: &Chain) -> u32 {
        chain.steps.iter().fold(text, |text, step| self.step(text, *step))
    }

    /// What a transformation makes of a text; done once for each.
    pub(super) fn step(&mut self, text: u32, transform: Transform) -> u32 {
        let Some(entry) = self.texts.get(text as usize).copied() else { return text };
        if entry.acts >> transform as u32 & 1 == 0 {
            return text;
        }
        let row = if entry.row == NONE { self.row(text) } else { entry.row };
        let cell = row as usize * ROW + transform as usize;
        match self.steps.get(cell) {
            Some(known) if *known != NONE && self.filters => return *known,
            _ => {}
        }
        self.work += u64::from(entry.span.len);
        let after = match transform.apply(self.bytes(entry.span)) {
            Some(bytes) => {
                let span = self.put(&bytes);
                let after = self.text(span);
                if let (Transform::Lowercase, Some(entry)) =
                    (transform, self.texts.get_mut(after as usize))
                {
                    entry.words = Read::As(text);
                }
                after
            }
            None => text,
        };
        if let Some(cell) = self.steps.get_mut(cell) {
            *cell = after;
        }
        after
    }

    fn row(&mut self, text: u32) -> u32 {
        let row = u32::try_from(self.steps.len() / ROW).unwrap_or(NONE);
        self.steps.resize(self.steps.len() + ROW, NONE);
        if let Some(text) = self.texts.get_mut(text as usize) {
            text.row = row;
        }
        row
    }
}
