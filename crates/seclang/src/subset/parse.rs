//! From text to directives: lines joined at `\`, arguments split, actions and targets taken
//! apart. Every piece keeps its place in the text.

use crate::problem::Fault;

/// A piece of text and its byte offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) at: usize,
    pub(crate) text: String,
}

/// An argument of a directive: it may run over several lines, so every byte keeps its place.
struct Argument {
    text: String,
    places: Vec<usize>,
}

impl Argument {
    fn push(&mut self, at: usize, char: char) {
        self.text.push(char);
        self.places.resize(self.text.len(), at);
    }

    /// Where the byte at `index` stands; at the end, where the last one does.
    fn place(&self, index: usize) -> usize {
        self.places.get(index).or(self.places.last()).copied().unwrap_or(0)
    }
}

/// `SecRule` or `SecAction`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    pub(crate) at: usize,
    /// What a `SecRule` looks at and for.
    pub(crate) test: Option<Test>,
    pub(crate) actions: Vec<Action>,
}

/// The targets and the operator of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) targets: Vec<Target>,
    pub(crate) negated: bool,
    pub(crate) operator: Piece,
    pub(crate) argument: Piece,
}

/// `ARGS`, `REQUEST_HEADERS:User-Agent`, `!ARGS:token`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) excluded: bool,
    pub(crate) collection: Piece,
    pub(crate) selector: Option<String>,
}

/// `id:100`, `msg:'…'`, `chain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) name: Piece,
    pub(crate) value: Option<Piece>,
}

/// Reads a file; every fault is noted and the rest is read on.
pub(crate) fn parse(text: &str, faults: &mut Vec<Fault>) -> Vec<Directive> {
    let mut directives = Vec::new();
    for line in logical_lines(text) {
        match arguments(&line).and_then(|arguments| directive(&arguments, faults)) {
            Ok(directive) => directives.push(directive),
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
    let mut offset = 0;
    for physical in text.split_inclusive('\n') {
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

/// Splits at white space; `"…"` is one argument, in which `\"` is a quote.
fn arguments(line: &Line) -> Result<Vec<Argument>, Fault> {
    let mut arguments = Vec::new();
    let mut chars = line.iter().copied().peekable();
    while let Some((at, first)) = chars.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut argument = Argument { text: String::new(), places: Vec::new() };
        if first != '"' {
            argument.push(at, first);
            while let Some((at, char)) = chars.next_if(|(_, char)| !char.is_whitespace()) {
                argument.push(at, char);
            }
            arguments.push(argument);
            continue;
        }
        loop {
            match chars.next() {
                Some((_, '"')) => break,
                Some((at, '\\')) if chars.next_if(|(_, char)| *char == '"').is_some() => {
                    argument.push(at, '"');
                }
                Some((at, char)) => argument.push(at, char),
                None => return Err(Fault::new(at, "the quote is not closed")),
            }
        }
        arguments.push(argument);
    }
    Ok(arguments)
}

fn directive(arguments: &[Argument], faults: &mut Vec<Fault>) -> Result<Directive, Fault> {
    let Some((name, rest)) = arguments.split_first() else {
        return Err(Fault::new(0, "an empty directive"));
    };
    let at = name.place(0);
    match (name.text.as_str(), rest) {
        ("SecRule", [targets, test, actions]) => Ok(Directive {
            at,
            test: Some(self::test(targets, test)?),
            actions: self::actions(actions, faults),
        }),
        ("SecRule", _) => Err(Fault::new(
            at,
            format!(
                "`SecRule` takes targets, an operator and actions, not {} arguments",
                rest.len()
            ),
        )),
        ("SecAction", [actions]) => {
            Ok(Directive { at, test: None, actions: self::actions(actions, faults) })
        }
        ("SecAction", _) => {
            Err(Fault::new(at, format!("`SecAction` takes actions, not {} arguments", rest.len())))
        }
        (other, _) => Err(Fault::new(at, format!("unknown directive `{other}`"))
            .hint("`SecRule` and `SecAction` are known")),
    }
}

fn test(targets: &Argument, operator: &Argument) -> Result<Test, Fault> {
    let mut index = 0;
    let mut list = Vec::new();
    for text in targets.text.split('|') {
        list.push(target(targets.place(index), text)?);
        index += text.len() + 1;
    }
    let piece =
        |index: usize, text: &str| Piece { at: operator.place(index), text: text.to_owned() };
    let (negated, rest) = match operator.text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, operator.text.as_str()),
    };
    let index = usize::from(negated);
    let (operator, argument) = match rest.strip_prefix('@') {
        // Without a name it is a pattern (the reference manual's default operator).
        None => (piece(index, "rx"), piece(index, rest)),
        Some(named) => {
            let (name, argument) = named.split_once(' ').unwrap_or((named, ""));
            (piece(index + 1, name), piece(index + 1 + name.len() + 1, argument.trim()))
        }
    };
    Ok(Test { targets: list, negated, operator, argument })
}

fn target(at: usize, text: &str) -> Result<Target, Fault> {
    let (excluded, rest) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (collection, selector) = match rest.split_once(':') {
        Some((collection, selector)) => (collection, Some(selector.to_owned())),
        None => (rest, None),
    };
    if collection.is_empty() || selector.as_ref().is_some_and(String::is_empty) {
        return Err(Fault::new(at, format!("`{text}` is no target")));
    }
    let at = at + usize::from(excluded);
    Ok(Target { excluded, collection: Piece { at, text: collection.to_owned() }, selector })
}

/// Splits at commas outside `'…'`, in which `\'` is a quote.
fn actions(argument: &Argument, faults: &mut Vec<Fault>) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut chars = argument.text.char_indices().peekable();
    loop {
        while chars.next_if(|(_, char)| char.is_whitespace() || *char == ',').is_some() {}
        let Some((start, _)) = chars.peek().copied() else { return actions };
        let mut name = String::new();
        while let Some((_, char)) = chars.next_if(|(_, char)| !matches!(char, ',' | ':')) {
            name.push(char);
        }
        let name = Piece { at: argument.place(start), text: name.trim().to_owned() };
        let value = match chars.next_if(|(_, char)| *char == ':') {
            Some((colon, _)) => match value(&mut chars) {
                Ok(text) => Some(Piece { at: argument.place(colon + 1), text }),
                Err(message) => {
                    faults.push(Fault::new(name.at, message));
                    return actions;
                }
            },
            None => None,
        };
        actions.push(Action { name, value });
    }
}

fn value(
    chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
) -> Result<String, &'static str> {
    let mut text = String::new();
    if chars.next_if(|(_, char)| *char == '\'').is_none() {
        while let Some((_, char)) = chars.next_if(|(_, char)| *char != ',') {
            text.push(char);
        }
        return Ok(text.trim().to_owned());
    }
    loop {
        match chars.next() {
            Some((_, '\'')) => return Ok(text),
            Some((_, '\\')) if chars.next_if(|(_, char)| *char == '\'').is_some() => {
                text.push('\'');
            }
            Some((_, char)) => text.push(char),
            None => return Err("the value's quote is not closed"),
        }
    }
}
