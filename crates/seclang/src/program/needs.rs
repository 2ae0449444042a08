//! What a text must hold for a pattern to match in it: so many bytes, and a byte of each of these
//! sets. A question to a text's [`ByteSet`] then answers most searches before they begin.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::WordSet;
use crate::byte_set::ByteSet;

/// Sets kept of a pattern; the rarest bytes first.
const CLAUSES_MAX: usize = 6;

/// A set with more bytes than this, or with letters that every text has, tells nothing.
const WEIGHT_MAX: u32 = 700;

/// The necessary conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// A byte of each of these is there.
    pub(crate) clauses: Box<[ByteSet]>,
    /// So many bytes are there.
    pub(crate) len_min: usize,
    /// A word of this set is there.
    pub(crate) words: Option<WordSet>,
}

impl Needs {
    /// What a pattern needs.
    pub(crate) fn of_pattern(hir: &Hir) -> Self {
        let mut clauses = clauses(hir);
        tidy(&mut clauses);
        Self {
            clauses: clauses.into_boxed_slice(),
            len_min: hir.properties().minimum_len().unwrap_or(0),
            words: None,
        }
    }

    /// What any of some phrases needs, in whatever case.
    pub(crate) fn of_phrases<'a>(phrases: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut set = ByteSet::default();
        let mut len_min = usize::MAX;
        for phrase in phrases {
            let cost = |byte: &&u8| commonness(byte.to_ascii_lowercase());
            let rarest = phrase.iter().min_by_key(cost);
            set = set.and(rarest.map_or(ByteSet::ALL, |byte| both_cases(*byte)));
            len_min = len_min.min(phrase.len());
        }
        Self { clauses: Box::new([set]), len_min, words: None }
    }

    /// What `@contains`, `@streq` and the like need: every byte of the argument.
    pub(crate) fn of_text(text: &[u8]) -> Self {
        let mut clauses: Vec<ByteSet> = text.iter().map(|byte| ByteSet::of(&[*byte])).collect();
        tidy(&mut clauses);
        Self { clauses: clauses.into_boxed_slice(), len_min: text.len(), words: None }
    }

    /// A text of which these bytes are may match.
    pub(crate) fn may_match(&self, seen: ByteSet) -> bool {
        self.clauses.iter().all(|clause| clause.meets(seen))
    }
}

fn both_cases(byte: u8) -> ByteSet {
    ByteSet::of(&[byte.to_ascii_lowercase(), byte.to_ascii_uppercase()])
}

/// How likely a text is to hold a byte of the set, in no unit.
fn weight(set: ByteSet) -> u32 {
    set.bytes().map(commonness).sum()
}

pub(super) fn commonness(byte: u8) -> u32 {
    match byte {
        b'a' | b'e' | b'i' | b'o' | b'n' | b's' | b't' | b'r' => 60,
        b'l' | b'c' | b'd' | b'm' | b'u' | b'p' | b'h' | b'g' => 40,
        b'0'..=b'9' | b'a'..=b'z' => 25,
        b'-' | b'.' | b'_' | b'/' | b' ' | b'=' => 25,
        b'A'..=b'Z' | b',' | b':' | b';' => 12,
        b'%' | b'&' | b'+' | b'(' | b')' | b'"' | b'?' | b'@' | b'*' => 6,
        _ => 2,
    }
}

/// The rarest first, without repetition, no more than are kept.
fn tidy(clauses: &mut Vec<ByteSet>) {
    let mut weighed: Vec<(u32, ByteSet)> =
        clauses.iter().map(|clause| (weight(*clause), *clause)).collect();
    weighed.retain(|(weight, _)| *weight <= WEIGHT_MAX);
    weighed.sort_by_key(|(weight, _)| *weight);
    let mut kept: Vec<ByteSet> = Vec::new();
    for (_, clause) in weighed {
        // One that holds another which is kept adds nothing.
        if kept.len() < CLAUSES_MAX && !kept.iter().any(|other| other.within(clause)) {
            kept.push(clause);
        }
    }
    *clauses = kept;
}

fn clauses(hir: &Hir) -> Vec<ByteSet> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Vec::new(),
        HirKind::Literal(literal) => literal.0.iter().map(|byte| ByteSet::of(&[*byte])).collect(),
        HirKind::Class(class) => vec![class_bytes(class)],
        HirKind::Repetition(repetition) if repetition.min == 0 => Vec::new(),
        HirKind::Repetition(repetition) => clauses(&repetition.sub),
        HirKind::Capture(capture) => clauses(&capture.sub),
        HirKind::Concat(parts) => {
            let mut all: Vec<ByteSet> = parts.iter().flat_map(clauses).collect();
            tidy(&mut all);
            all
        }
        HirKind::Alternation(branches) => alternation(branches),
    }
}

/// A match is of one branch, so of each branch one set may stand for it; the rarest ones together
/// make the first condition, the next ones the second.
fn alternation(branches: &[Hir]) -> Vec<ByteSet> {
    let mut each: Vec<Vec<ByteSet>> = branches.iter().map(clauses).collect();
    each.iter_mut().for_each(tidy);
    if each.iter().any(Vec::is_empty) {
        return Vec::new();
    }
    let most = each.iter().map(Vec::len).max().unwrap_or(0);
    let nth = |nth: usize| {
        each.iter().fold(ByteSet::default(), |set, clauses| {
            let clause = clauses.get(nth).or(clauses.last());
            set.and(clause.copied().unwrap_or(ByteSet::ALL))
        })
    };
    (0..most).map(nth).collect()
}

/// The bytes of a class; of a class of characters, those that begin one.
fn class_bytes(class: &Class) -> ByteSet {
    match class {
        Class::Bytes(class) => class.iter().fold(ByteSet::default(), |set, range| {
            set.and(ByteSet::range(range.start(), range.end()))
        }),
        Class::Unicode(class) => class.iter().fold(ByteSet::default(), |set, range| {
            let first = |char: char| {
                let mut bytes = [0; 4];
                char.encode_utf8(&mut bytes).bytes().next().unwrap_or(0)
            };
            set.and(ByteSet::range(first(range.start()), first(range.end())))
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::Pattern, *};

    const PATTERNS: [&str; 14] = [
        "ab+c",
        "(?i)union\\s+select",
        "a|bc|[x-z]d",
        "(?:a|)b",
        "(?:<|%3c)script",
        "[^a-z]{2,}",
        "^a?$",
        "(?:ab|a(?:c|d)){2}x*",
        "\\bor\\b.*?=",
        "(?i:k)[[:digit:]]",
        "a(?:b(?:c|d)|e[fg])h?",
        "(?u)\u{e9}|\u{df}x",
        "\\x00|\\xff[a-f]",
        "(?:(?:a)|(?:b|c)x)y",
    ];

    #[test]
    fn a_pattern_needs_its_rarest_bytes() {
        let needs = |pattern: &str| Pattern::new(pattern).expect("a pattern").needs;
        let all = needs("a;b");
        assert_eq!((all.clauses.first(), all.len_min), (Some(&ByteSet::of(b";")), 3));
        assert_eq!(needs("x<|;y").clauses.first(), Some(&ByteSet::of(b"<;")));
        assert_eq!(*needs("a?").clauses, []);
        assert_eq!(needs("(?i)q").clauses.first(), Some(&ByteSet::of(b"qQ")));
    }

    proptest! {
        #[test]
        fn what_matches_holds_what_is_needed(
            which in 0..PATTERNS.len(),
            text in prop::collection::vec(prop::sample::select(
                b"abcdefghxyzUNIONunionSELECTselectkK0 ;=<%3script\x00\xff\xc3\xa9\xdf\n".to_vec()), 0..24),
        ) {
            let pattern = Pattern::new(PATTERNS[which]).expect("a pattern");
            if pattern.regex.is_match(&text) {
                prop_assert!(pattern.needs.may_match(ByteSet::seen(&text)), "{}", PATTERNS[which]);
                prop_assert!(text.len() >= pattern.needs.len_min);
            }
        }

        #[test]
        fn a_text_with_a_phrase_in_it_holds_what_is_needed(
            text in prop::collection::vec(prop::sample::select(b"aBc-/.x".to_vec()), 0..12),
        ) {
            let phrases: [&[u8]; 3] = [b"a/b", b"C-", b"x.x"];
            let needs = Needs::of_phrases(phrases.into_iter());
            let lower = text.to_ascii_lowercase();
            let found = phrases.iter().any(|phrase| {
                let phrase = phrase.to_ascii_lowercase();
                lower.windows(phrase.len()).any(|part| part == phrase)
            });
            if found {
                prop_assert!(needs.may_match(ByteSet::seen(&text)) && text.len() >= needs.len_min);
            }
        }
    }
}
