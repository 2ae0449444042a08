//! `ARGS|!ARGS:token|&REQUEST_HEADERS:Host`: what a rule looks at, as it is written.

use crate::problem::Fault;

use super::{Argument, Piece};

/// One of the targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) excluded: bool,
    pub(crate) count: bool,
    pub(crate) variable: Piece,
    pub(crate) selector: Option<Selector>,
}

/// What follows the `:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    Name(Piece),
    /// Between `/` and `/`.
    Pattern(Piece),
}

/// Splits at `|`, except inside `/…/` and `'…'`.
pub(crate) fn targets(list: &Argument, faults: &mut Vec<Fault>) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut rest = list.text.as_str();
    loop {
        let index = list.text.len() - rest.len();
        let (text, after) = split(rest);
        match target(list, index, text) {
            Ok(target) => targets.push(target),
            Err(fault) => faults.push(fault),
        }
        match after {
            Some(after) => rest = after,
            None => return targets,
        }
    }
}

/// The first target of a list, and what follows the `|` after it.
fn split(list: &str) -> (&str, Option<&str>) {
    let start = list.find([':', '|']).map_or(list.len(), |at| at + 1);
    let selector = list.get(start..).unwrap_or_default();
    let is_xml = list
        .trim_start_matches([' ', '!', '&'])
        .get(..3)
        .is_some_and(|name| name.eq_ignore_ascii_case("xml"));
    let closing = match selector.chars().next() {
        _ if list.get(..start).is_none_or(|before| !before.ends_with(':')) || is_xml => None,
        Some('/') => Some("/|"),
        Some('\'') => Some("'|"),
        _ => None,
    };
    let end = match closing {
        None => list.find('|'),
        Some(closing) => {
            selector.get(1..).and_then(|rest| rest.find(closing)).map(|at| start + 1 + at + 1)
        }
    };
    match end {
        Some(end) => (list.get(..end).unwrap_or_default(), list.get(end + 1..)),
        None => (list, None),
    }
}

fn target(list: &Argument, index: usize, text: &str) -> Result<Target, Fault> {
    let at = |piece: &str| list.place(index + (text.len() - piece.len()));
    let trimmed = text.trim();
    let start = text.trim_start();
    let (excluded, rest) = match start.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, start),
    };
    let (count, rest) = match rest.strip_prefix('&') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let (name, selector) = match rest.split_once(':') {
        Some((name, selector)) => (name, Some(selector)),
        None => (rest, None),
    };
    let place = at(rest);
    let selector = selector.map(|selector| (at(selector), selector.trim_end()));
    if name.trim().is_empty() || selector.is_some_and(|(_, text)| text.is_empty()) {
        return Err(Fault::new(list.place(index), format!("`{trimmed}` is no target")));
    }
    let is_xml = name.trim().eq_ignore_ascii_case("xml");
    let selector = selector.map(|(at, selector)| {
        let selector = selector
            .strip_prefix('\'')
            .and_then(|inner| inner.strip_suffix('\''))
            .unwrap_or(selector);
        match selector.strip_prefix('/').and_then(|inner| inner.strip_suffix('/')) {
            Some(pattern) if !is_xml => {
                Selector::Pattern(Piece { at: at + 1, text: pattern.to_owned() })
            }
            _ => Selector::Name(Piece { at, text: selector.to_owned() }),
        }
    });
    Ok(Target {
        excluded,
        count,
        variable: Piece { at: place, text: name.trim().to_owned() },
        selector,
    })
}
