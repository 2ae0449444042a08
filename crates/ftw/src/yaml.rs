//! YAML as the regression tests of the OWASP CRS are written: text, lists and maps, keys in their
//! order, each with its line.
//!
//! Deliberately no types: what is a number is for the reader to say, so that a header's value stays
//! the text that was written. Anchors and tags are refused; the tests have none.

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::{Result, Wrong};

/// Lists and maps within each other.
const DEPTH_MAX: usize = 16;

/// A value and the line on which it begins.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Something is wrong here.
    pub(crate) fn wrong(&self, message: impl Into<String>) -> Wrong {
        Wrong::at(self.line, message)
    }

    /// A scalar's text as it was written; nothing is the empty text.
    pub(crate) fn text(&self) -> Result<&str> {
        match &self.value {
            Value::Null => Ok(""),
            Value::Text(text) => Ok(text),
            Value::List(_) | Value::Map(_) => Err(self.wrong("not a scalar")),
        }
    }

    /// A scalar that is a number.
    pub(crate) fn number<N: std::str::FromStr>(&self) -> Result<N> {
        let number = self.text()?.parse().ok();
        number.ok_or_else(|| self.wrong("not such a number"))
    }

    /// A scalar that is true or false.
    pub(crate) fn truth(&self) -> Result<bool> {
        self.text()?.parse().map_err(|_| self.wrong("not `true` or `false`"))
    }

    /// A list's items; nothing is no items.
    pub(crate) fn list(&self) -> Result<&[Self]> {
        match &self.value {
            Value::Null => Ok(&[]),
            Value::List(items) => Ok(items),
            Value::Text(_) | Value::Map(_) => Err(self.wrong("not a list")),
        }
    }

    /// A map's keys and values as they are written; nothing is none.
    pub(crate) fn map(&self) -> Result<&[(String, Self)]> {
        match &self.value {
            Value::Null => Ok(&[]),
            Value::Map(entries) => Ok(entries),
            Value::Text(_) | Value::List(_) => Err(self.wrong("not a map")),
        }
    }

    /// The values of these keys, in this order; another key, or one that is there twice, is an
    /// error.
    pub(crate) fn keys<const N: usize>(&self, known: [&str; N]) -> Result<[Option<&Self>; N]> {
        let mut found = [None; N];
        for (key, node) in self.map()? {
            let nth = known.iter().position(|known| known == key);
            match nth.and_then(|nth| found.get_mut(nth)) {
                Some(slot @ None) => *slot = Some(node),
                Some(Some(_)) => return Err(node.wrong(format!("`{key}` is there twice"))),
                None => return Err(node.wrong(format!("what `{key}` is, is not known"))),
            }
        }
        Ok(found)
    }
}

/// What is open: a list, or a map and the key whose value comes next.
struct Open {
    node: Node,
    key: Option<String>,
}

/// Reads the one document of a file; `None` if it holds nothing.
pub(crate) fn parse(text: &str) -> Result<Option<Node>> {
    let (mut open, mut root): (Vec<Open>, Option<Node>) = (Vec::new(), None);
    for event in Parser::new_from_str(text) {
        let (event, span) = event
            .map_err(|error| Wrong::at(error.marker().line(), format!("not YAML: {error}")))?;
        let line = span.start.line();
        let value = match event {
            Event::Scalar(_, _, anchor, Some(_)) | Event::Scalar(_, _, anchor @ 1.., _) => {
                return Err(Wrong::at(line, format!("a tag or an anchor ({anchor})")));
            }
            Event::Alias(_) => return Err(Wrong::at(line, "an alias")),
            Event::Scalar(text, ScalarStyle::Plain, ..) if ["", "~", "null"].contains(&&*text) => {
                Value::Null
            }
            Event::Scalar(text, ..) => Value::Text(text.into_owned()),
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() >= DEPTH_MAX {
                    return Err(Wrong::at(line, "too deep"));
                }
                let is_list = matches!(event, Event::SequenceStart(..));
                let value = if is_list { Value::List(Vec::new()) } else { Value::Map(Vec::new()) };
                open.push(Open { node: Node { line, value }, key: None });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let done = open.pop().ok_or_else(|| Wrong::at(line, "the end of nothing"))?;
                put(&mut open, &mut root, done.node)?;
                continue;
            }
            _ => continue,
        };
        put(&mut open, &mut root, Node { line, value })?;
    }
    Ok(root.filter(|root| !matches!(root.value, Value::Null)))
}

fn put(open: &mut [Open], root: &mut Option<Node>, done: Node) -> Result<()> {
    let Some(Open { node, key }) = open.last_mut() else {
        if root.is_some() {
            return Err(done.wrong("a second document"));
        }
        *root = Some(done);
        return Ok(());
    };
    match &mut node.value {
        Value::List(items) => items.push(done),
        Value::Map(entries) => match key.take() {
            Some(key) => entries.push((key, done)),
            None => *key = Some(done.text()?.to_owned()),
        },
        Value::Null | Value::Text(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_as_it_was_written_and_keys_in_their_order() {
        let root = parse("b: 007\na: 'x: y'\nc:\nd: |\n  1\n  2\n").unwrap().unwrap();
        let entries: Vec<(&str, &str)> = root
            .map()
            .unwrap()
            .iter()
            .map(|(key, node)| (key.as_str(), node.text().unwrap()))
            .collect();
        assert_eq!(entries, [("b", "007"), ("a", "x: y"), ("c", ""), ("d", "1\n2\n")]);
    }

    #[test]
    fn what_is_not_expected_is_told_with_its_line() {
        let check = |text: &str, want: &str| {
            let root = parse(text);
            let error = match root {
                Ok(Some(root)) => root.keys(["a"]).map(|_| ()).unwrap_err(),
                Ok(None) => panic!("{text}: nothing"),
                Err(error) => error,
            };
            assert!(error.to_string().contains(want), "{text}: {error}");
        };
        check("a: 1\nb: 2\n", ":2: what `b` is");
        check("a: 1\na: 2\n", ":2: `a` is there twice");
        check("- a\n", ":1: not a map");
        check("a: &x 1\n", ":1: a tag or an anchor");
        check("a: 1\n---\na: 2\n", "a second document");
        check("a: [1\n", "not YAML");
    }
}
