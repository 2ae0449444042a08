//! Lines, and the arguments on them.

use crate::problem::Fault;

use super::Piece;

/// An argument of a directive: it may run over several lines, so every byte keeps its place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Argument {
    pub(crate) text: String,
    /// Where runs of the text begin: index in `text`, offset in the file.
    runs: Vec<(usize, usize)>,
    /// The file's offset after the last character.
    end: usize,
}

/// A directive: its name and what stands after it.
#[derive(Debug, Clone)]
pub(crate) struct Directive {
    pub(crate) name: Piece,
    pub(crate) arguments: Vec<Argument>,
}

impl Argument {
    /// A piece of an argument, as one of its own.
    pub(crate) fn of(at: usize, text: &str) -> Self {
        Self { text: text.to_owned(), runs: vec![(0, at)], end: at + text.len() }
    }

    fn push(&mut self, at: usize, char: char) {
        if self.runs.is_empty() || at != self.end {
            self.runs.push((self.text.len(), at));
        }
        self.text.push(char);
        self.end = at + char.len_utf8();
    }

    /// Where the byte at `index` stands; past the end, where the last one does.
    pub(crate) fn place(&self, index: usize) -> usize {
        let after = self.runs.partition_point(|(start, _)| *start <= index);
        let run = after.checked_sub(1).and_then(|run| self.runs.get(run));
        run.map_or(0, |(start, at)| {
            at + index.min(self.text.len().max(1) - 1).saturating_sub(*start)
        })
    }

    /// The whole of it.
    pub(crate) fn piece(&self) -> Piece {
        Piece { at: self.place(0), text: self.text.clone() }
    }
}

/// Reads a file; every fault is noted and the rest is read on.
pub(crate) fn directives(text: &str, faults: &mut Vec<Fault>) -> Vec<Directive> {
    let mut directives = Vec::new();
    for line in logical_lines(text) {
        match arguments(&line) {
            Ok(arguments) => {
                let mut arguments = arguments.into_iter();
                if let Some(name) = arguments.next() {
                    let arguments = arguments.collect();
                    directives.push(Directive { name: name.piece(), arguments });
                }
            }
            Err(fault) => faults.push(fault),
        }
    }
    directives
}

/// A character and its offset; a joined line is a run of them.
type Line = Vec<(usize, char)>;

/// Lines that are neither blank nor comments, with continuations joined.
fn logical_lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line: Line = Vec::new();
    let mut offset = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    for physical in text.get(offset..).unwrap_or_default().split_inclusive('\n') {
        let content = physical.trim_end_matches(['\n', '\r']);
        let skipped = line.is_empty() && {
            let start = content.trim_start();
            start.is_empty() || start.starts_with('#')
        };
        let (content, goes_on) = match content.strip_suffix('\\') {
            Some(content) if !skipped => (content, true),
            _ => (content, false),
        };
        if !skipped {
            line.extend(content.char_indices().map(|(at, char)| (offset + at, char)));
        }
        offset += physical.len();
        if !goes_on && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Splits at white space; `"…"` and `'…'` are one argument, in which `\` before the quote makes
/// it a character like others.
fn arguments(line: &Line) -> Result<Vec<Argument>, Fault> {
    let mut arguments = Vec::new();
    let mut chars = line.iter().copied().peekable();
    while let Some((at, first)) = chars.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut argument = Argument::default();
        if !matches!(first, '"' | '\'') {
            argument.push(at, first);
            while let Some((at, char)) = chars.next_if(|(_, char)| !char.is_whitespace()) {
                argument.push(at, char);
            }
            arguments.push(argument);
            continue;
        }
        argument.end = at;
        loop {
            match chars.next() {
                Some((_, char)) if char == first => break,
                Some((_, '\\')) if chars.peek().is_some_and(|(_, char)| *char == first) => {
                    if let Some((at, quote)) = chars.next() {
                        argument.push(at, quote);
                    }
                }
                Some((at, char)) => argument.push(at, char),
                None => return Err(Fault::new(at, "the quote is not closed")),
            }
        }
        if argument.runs.is_empty() {
            argument.runs.push((0, at));
        }
        arguments.push(argument);
    }
    Ok(arguments)
}
