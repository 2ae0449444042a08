//! `@pm` and `@pmFromFile`: many phrases, looked for at once and in any case.

use aho_corasick::AhoCorasick;

/// Phrases, ready to be looked for.
#[derive(Debug, Clone)]
pub struct Phrases(AhoCorasick);

impl Phrases {
    /// `@pm`: phrases between spaces, in which `|0d 0a|` are bytes in hexadecimal digits.
    pub fn new(argument: &str) -> Result<Self, String> {
        let mut phrases = vec![Vec::new()];
        for (index, part) in argument.split('|').enumerate() {
            let last = phrases.last_mut();
            match (index % 2, last) {
                (1, Some(last)) => last.extend(bytes(part)?),
                _ => words(part, &mut phrases),
            }
        }
        if argument.matches('|').count() % 2 == 1 {
            return Err(
                "a `|` opens bytes in hexadecimal digits that no `|` closes: as itself it is \
                        `|7c|`"
                    .to_owned(),
            );
        }
        Self::of(phrases)
    }

    /// `@pmFromFile`: a phrase on each line; lines that begin with `#` say nothing.
    pub fn of_file(text: &[u8]) -> Result<Self, String> {
        Self::of(lines(text).map(<[u8]>::to_vec).collect())
    }

    fn of(mut phrases: Vec<Vec<u8>>) -> Result<Self, String> {
        phrases.retain(|phrase| !phrase.is_empty());
        if phrases.is_empty() {
            return Err("there is no phrase to look for".to_owned());
        }
        let phrases = needed(phrases);
        let built = AhoCorasick::builder().ascii_case_insensitive(true).build(phrases);
        built.map(Self).map_err(|error| format!("the phrases are too many: {error}"))
    }

    /// The first phrase to end in the text, as it stands there.
    pub fn find<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        self.0.find(text).and_then(|found| text.get(found.range()))
    }

    /// How many phrases are looked for: see [`needed`].
    pub fn len(&self) -> usize {
        self.0.patterns_len()
    }

    /// There is none: that does not happen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Without those that begin with another, in whatever case: where one of them is, the other ends
/// first, and is found. An automaton with many of them takes a time to build that grows with the
/// square of their number.
fn needed(mut phrases: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    phrases.iter_mut().for_each(|phrase| phrase.make_ascii_lowercase());
    phrases.sort_unstable();
    // What begins with a phrase comes after it, and nothing else comes between.
    phrases.dedup_by(|phrase, shorter| phrase.starts_with(shorter));
    phrases
}

/// The lines of a file of phrases or networks that say something.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

/// Goes on with the last phrase; each space begins another.
fn words(part: &str, phrases: &mut Vec<Vec<u8>>) {
    for (index, word) in part.split(|char: char| char.is_ascii_whitespace()).enumerate() {
        if index > 0 {
            phrases.push(Vec::new());
        }
        if let Some(last) = phrases.last_mut() {
            last.extend_from_slice(word.as_bytes());
        }
    }
}

fn bytes(part: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = part.bytes().filter(|byte| *byte != b' ').collect();
    let byte = |pair: &[u8]| match pair {
        [a, b] => {
            let (a, b) = (char::from(*a).to_digit(16)?, char::from(*b).to_digit(16)?);
            u8::try_from(a << 4 | b).ok()
        }
        _ => None,
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes
        .filter(|bytes| !bytes.is_empty())
        .ok_or_else(|| format!("`|{part}|` is no bytes in hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn phrases_that_begin_with_another_cost_nothing() {
        let words: Vec<String> = (0..80_000).map(|word| format!("w{word}")).collect();
        assert_eq!(Phrases::new(&words.join(" ")).unwrap().len(), 10);
        assert_eq!(Phrases::of_file(words.join("\n").as_bytes()).unwrap().len(), 10);
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_all_of_them_find(
            phrases in prop::collection::vec("[abAB]{1,4}", 1..6),
            text in "[abABc]{0,16}",
        ) {
            let all = AhoCorasick::builder().ascii_case_insensitive(true).build(&phrases).unwrap();
            let want = all.find(&text).map(|found| &text.as_bytes()[found.range()]);
            let found = Phrases::new(&phrases.join(" ")).unwrap();
            prop_assert_eq!(found.find(text.as_bytes()), want);
        }
    }
}
