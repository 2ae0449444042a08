//! What is wrong with a configuration, and where.
//!
//! Problems are collected, never thrown one at a time: whoever fixes a configuration wants the
//! whole list. A message may quote what the operator wrote, but never from where a secret is
//! expected.

use std::fmt;
use std::path::Path;

use serde::{Serialize, Serializer};

/// Problems listed at most; the rest is counted in one last line.
pub const PROBLEMS_MAX: usize = 1000;

/// Characters of the operator's text that a message quotes at most.
const QUOTED_CHARS_MAX: usize = 64;

/// One thing to fix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The file, as it was named or found.
    pub file: String,
    /// Line, from 1; 0 of what is wrong with the file as a whole, or with a directory.
    #[serde(serialize_with = "or_null")]
    pub line: usize,
    /// Column in characters, from 1; 0 where there is no line.
    #[serde(serialize_with = "or_null")]
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right, where that is known.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem with a file as a whole, or with a directory.
    pub fn of_file(path: &Path, message: impl Into<String>) -> Self {
        let file = path.display().to_string();
        Self { file, line: 0, column: 0, message: message.into(), hint: None }
    }

    /// A problem at the start of a file, for want of a better place.
    pub fn at_start(path: &Path, message: impl Into<String>) -> Self {
        Self { line: 1, column: 1, ..Self::of_file(path, message) }
    }
}

/// A place from 1 as it is, and null where there is none.
pub fn or_null<S: Serializer>(place: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    Some(*place).filter(|place| *place > 0).serialize(serializer)
}

/// As a terminal shows it: it quotes files that somebody else may have written, and file names.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, message) = (shown(&self.file), shown_lines(&self.message));
        match self.line {
            0 => write!(f, "{file}: {message}")?,
            line => write!(f, "{file}:{line}:{}: {message}", self.column)?,
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {}", shown_lines(hint)),
            None => Ok(()),
        }
    }
}

/// With control characters as escapes: values are what somebody sent, and this is a terminal.
pub(crate) fn shown(text: &str) -> String {
    // What turns the direction of writing makes a terminal show another text.
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let moves = |c: char| c.is_control() || turns(c);
    let escaped = |c: char| if moves(c) { c.escape_unicode().to_string() } else { c.into() };
    text.chars().map(escaped).collect()
}

/// The same, in its lines.
fn shown_lines(text: &str) -> String {
    text.split('\n').map(shown).collect::<Vec<_>>().join("\n")
}

/// A place in a file, for problems that are found when the configuration is loaded already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    file: String,
    line: usize,
    column: usize,
}

impl Site {
    /// A problem at this place.
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        let Self { file, line, column } = self.clone();
        Problem { file, line, column, message: message.into(), hint: None }
    }
}

/// A position in one of the files that make up a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Index of the file: 0 is the main file.
    pub(super) file: usize,
    /// Line, from 1.
    pub(super) line: usize,
    /// Column in characters, from 1.
    pub(super) column: usize,
}

impl Place {
    /// The beginning of a file.
    pub(super) fn start(file: usize) -> Self {
        Self { file, line: 1, column: 1 }
    }
}

/// The problems found so far, in whatever order they were found.
#[derive(Debug)]
pub(super) struct Problems {
    names: Vec<String>,
    found: Vec<Problem>,
}

impl Problems {
    /// No problem yet. `names` are the files' names, by index.
    pub(super) fn new(names: Vec<String>, found: Vec<Problem>) -> Self {
        Self { names, found }
    }

    /// Adds a problem without a hint.
    pub(super) fn add(&mut self, place: Place, message: impl Into<String>) {
        self.push(place, message.into(), None);
    }

    /// Adds a problem with a hint, if there is one.
    pub(super) fn add_hinted(
        &mut self,
        place: Place,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.push(place, message.into(), hint.into());
    }

    /// The place as the operator reads it: `file:line:column`.
    pub(super) fn show(&self, place: Place) -> String {
        format!("{}:{}:{}", self.name(place), place.line, place.column)
    }

    /// The place, by itself.
    pub(super) fn site(&self, place: Place) -> Site {
        Site { file: self.name(place).to_owned(), line: place.line, column: place.column }
    }

    /// The name of the file a place is in.
    fn name(&self, place: Place) -> &str {
        self.names.get(place.file).map_or("", String::as_str)
    }

    /// Nothing is wrong so far.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All problems: by file, line and column, each once, [`PROBLEMS_MAX`] at most.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        let order = |problem: &Problem| {
            self.names.iter().position(|name| *name == problem.file).unwrap_or(usize::MAX)
        };
        self.found.sort_by_cached_key(|problem| (order(problem), problem.clone()));
        self.found.dedup();
        let more = self.found.len().saturating_sub(PROBLEMS_MAX);
        self.found.truncate(PROBLEMS_MAX);
        if more > 0
            && let Some(last) = self.found.last().cloned()
        {
            self.found.push(Problem { message: format!("and {more} more"), hint: None, ..last });
        }
        self.found
    }

    fn push(&mut self, place: Place, message: String, hint: Option<String>) {
        let problem = self.site(place).problem(message);
        self.found.push(Problem { hint, ..problem });
    }
}

/// The operator's text in backticks: shortened, control characters shown as escapes.
pub(super) fn quoted(text: &str) -> String {
    let mut shown = String::from("`");
    for c in text.chars().take(QUOTED_CHARS_MAX) {
        match c.is_control() {
            true => shown.extend(c.escape_debug()),
            false => shown.push(c),
        }
    }
    if text.chars().nth(QUOTED_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown.push('`');
    shown
}

/// `a`, `b` and so on, each in backticks.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// The known word that was probably meant, as a hint.
pub(super) fn did_you_mean<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let word = word.to_lowercase();
    let furthest = (word.chars().count() / 3).clamp(1, 2);
    let nearest = known
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    (nearest.0 <= furthest).then(|| format!("did you mean `{}`?", nearest.1))
}

/// Levenshtein's distance, neighbouring letters swapped counting once.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (row, ca) in a.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, cb) in b.iter().enumerate() {
            let cell = |line: &[usize], at: usize| line.get(at).copied().unwrap_or(usize::MAX - 1);
            let mut best = cell(&above, column) + usize::from(ca != *cb);
            best = best.min(cell(&above, column + 1) + 1).min(cell(&current, column) + 1);
            let left = column.checked_sub(1).and_then(|left| b.get(left));
            if previous == Some(*cb) && left == Some(&ca) && ca != *cb {
                best = best.min(cell(&before, column.saturating_sub(1)) + 1);
            }
            current.push(best);
        }
        previous = Some(ca);
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_if_it_is_near() {
        let known = ["upstream", "methods", "name", "path", "audit"];
        for (word, want) in [
            ("upsteam", Some("did you mean `upstream`?")),
            ("upstraem", Some("did you mean `upstream`?")),
            ("Methods", Some("did you mean `methods`?")),
            ("method", Some("did you mean `methods`?")),
            ("nmae", Some("did you mean `name`?")),
            ("pth", Some("did you mean `path`?")),
            ("host", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(word, known).as_deref(), want, "{word}");
        }
    }

    #[test]
    fn the_distance_counts_a_swap_once() {
        for (a, b, want) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("abc", "acb", 1),
            ("abcd", "badc", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), want, "{a} {b}");
        }
    }

    #[test]
    fn quoted_text_is_short_and_shows_control_characters() {
        assert_eq!(quoted("a\u{1b}[31m\n"), "`a\\u{1b}[31m\\n`");
        assert_eq!(quoted(&"x".repeat(64)), format!("`{}`", "x".repeat(64)));
        assert_eq!(quoted(&"x".repeat(65)), format!("`{}…`", "x".repeat(64)));
    }

    #[test]
    fn a_problem_as_text_moves_no_terminal() {
        let site = Site { file: "a\u{1b}[2J\n.conf".to_owned(), line: 1, column: 2 };
        let problem = site.problem("`\u{1b}]0;x\u{7}` is\nunknown\u{202e}");
        let problem = Problem { hint: Some("\u{9b}1m".to_owned()), ..problem };
        let want = "a\\u{1b}[2J\\u{a}.conf:1:2: `\\u{1b}]0;x\\u{7}` is\nunknown\\u{202e}\n  hint: \\u{9b}1m";
        assert_eq!(problem.to_string(), want);
    }

    #[test]
    fn problems_are_sorted_by_file_as_given_and_capped() {
        let mut problems = Problems::new(vec!["z.yaml".into(), "a.yaml".into()], Vec::new());
        for line in (1..=PROBLEMS_MAX + 3).rev() {
            problems.add(Place { file: 1, line, column: 1 }, "wrong");
        }
        problems.add(Place::start(0), "first");
        problems.add(Place::start(0), "first");
        let sorted = problems.into_sorted();
        assert_eq!(sorted.len(), PROBLEMS_MAX + 1);
        assert_eq!(sorted.first().map(ToString::to_string).as_deref(), Some("z.yaml:1:1: first"));
        assert_eq!(sorted.get(1).map(|p| p.line), Some(1));
        assert_eq!(sorted.last().map(|p| p.message.clone()).as_deref(), Some("and 4 more"));
    }
}
