//! One thing that is wrong with a policies directory, and where.

use std::fmt;

use miette::Diagnostic;

use crate::lint::Lint;

/// One problem of the policies directory: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, relative to the policies directory.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// What kind of problem it is.
    pub lint: Lint,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// A file of the policies directory, to point into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

impl<'a> Text<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text }
    }

    /// A problem at a byte offset of the text.
    pub(crate) fn problem(self, offset: usize, message: impl Into<String>) -> Problem {
        let (line, column) = position(self.text, offset);
        let lint = Lint::of_file(self.file);
        let message = message.into();
        Problem { file: self.file.to_owned(), line, column, message, hint: None, lint }
    }

    /// Everything one of Cedar's errors says, at its own place or else at `fallback`.
    pub(crate) fn problems(self, error: &dyn Diagnostic, fallback: usize) -> Vec<Problem> {
        let offset = error
            .labels()
            .and_then(|mut labels| labels.next())
            .map_or(fallback, |label| label.offset());
        let mut problem = self.problem(offset, chain(error));
        problem.hint = error.help().map(|help| help.to_string());
        let mut problems = vec![problem];
        for related in error.related().into_iter().flatten() {
            problems.extend(self.problems(related, fallback));
        }
        problems
    }
}

impl Problem {
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn lint(self, lint: Lint) -> Self {
        Self { lint, ..self }
    }
}

/// The line and column, both from 1, of a byte offset. An offset past the end is the end.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut line = 1;
    let mut column = 1;
    for (at, character) in text.char_indices() {
        if at >= offset {
            break;
        }
        if character == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    (line, column)
}

/// An error's message and those of its sources, without repeats.
fn chain(error: &dyn Diagnostic) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let check = |offset, want| assert_eq!(position("ab\nçd\n\ne", offset), want, "at {offset}");
        check(0, (1, 1));
        check(2, (1, 3));
        check(3, (2, 1));
        check(5, (2, 2));
        check(8, (4, 1));
        check(99, (4, 2));
    }
}
