//! YAML text as a tree in which every node knows its place.
//!
//! The YAML that is read is the 1.2 core schema without what makes two readers see two things:
//! anchors, aliases, merge keys, tags, several documents, duplicate keys, keys that are no strings
//! and characters that cannot be seen are refused. It knows nothing of what a configuration may
//! hold.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::Value as Json;

use super::{
    problem::{Place, Problems, quoted},
    scalar::{integer, plain},
};

/// Lists and maps within each other.
pub const DEPTH_MAX: usize = 32;

/// Keys, scalars, lists and maps in one file.
pub const NODES_MAX: usize = 100_000;

/// Bytes in one file.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) at: Place,
}

/// What YAML's core schema knows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Nothing was written.
    Null,
    Bool(bool),
    Integer(i64),
    /// A number with a fraction or an exponent; what it is does not matter here.
    Fraction,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// A problem was already reported here.
    Refused,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key begins.
    pub(super) at: Place,
    pub(super) value: Node,
}

impl Node {
    /// The value of a key, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A key and its value, if this is a map that has it.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The value as JSON, without places.
    pub(super) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null | Value::Fraction | Value::Refused => Json::Null,
            Value::Bool(value) => Json::from(*value),
            Value::Integer(value) => Json::from(*value),
            Value::Text(text) => Json::from(text.as_str()),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
            }
        }
    }
}

/// Reads one file. `None` if it is not YAML at all; what is merely refused is reported and left
/// out, so that the rest can be looked at.
pub(super) fn parse(file: usize, bytes: &[u8], problems: &mut Problems) -> Option<Node> {
    let text = readable(file, bytes, problems)?;
    let mut builder = Builder::new(file, problems);
    let mut parser = Parser::new_from_str(text);
    loop {
        match parser.next_event() {
            None | Some(Ok((Event::StreamEnd, _))) => break,
            Some(Ok((event, span))) => builder.event(event, span)?,
            Some(Err(error)) => {
                let mark = error.marker();
                let at = Place { file, line: mark.line().max(1), column: mark.col() + 1 };
                problems.add(at, format!("not YAML: {}", error.info()));
                return None;
            }
        }
    }
    let root = builder.root;
    if root.is_none() {
        problems.add(Place::start(file), "the file is empty");
    }
    root
}

/// The file's text, if it is short enough and of characters that can be seen.
fn readable<'a>(file: usize, bytes: &'a [u8], problems: &mut Problems) -> Option<&'a str> {
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!("the file is longer than {} KiB", FILE_BYTES_MAX / 1024);
        problems.add_hinted(Place::start(file), message, "split it with `include`".to_owned());
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid =
                bytes.split_at_checked(error.valid_up_to()).map_or(bytes, |(valid, _)| valid);
            let at = end_of(file, &String::from_utf8_lossy(valid));
            problems.add(at, "not UTF-8");
            return None;
        }
    };
    let lone_cr = |at: usize| !text.get(at..).is_some_and(|rest| rest.starts_with("\r\n"));
    let refused = |(at, c): &(usize, char)| !visible(*at, *c) || *c == '\r' && lone_cr(*at);
    match text.char_indices().find(refused) {
        None => Some(text),
        Some((at, c)) => {
            let place = end_of(file, text.get(..at).unwrap_or_default());
            problems.add(place, format!("the character U+{:04X} is refused", u32::from(c)));
            None
        }
    }
}

/// YAML's printable characters (1.2.2 §5.1), without those that reorder what a reader sees. A CR
/// alone is refused, too: it is YAML's end of a line (of a comment, say), and few editors'.
fn visible(at: usize, c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        '\u{feff}' => at == 0,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => false,
        '\u{fffe}' | '\u{ffff}' => false,
        _ => !c.is_control(),
    }
}

/// The place after `text`.
fn end_of(file: usize, text: &str) -> Place {
    let line = text.matches('\n').count() + 1;
    let column = text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Place { file, line, column }
}

/// A list or map that is not finished.
struct Open {
    at: Place,
    within: Within,
}

enum Within {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, seen: HashMap<String, Place>, key: Option<Key> },
}

/// The key whose value comes next.
enum Key {
    Taken {
        key: String,
        at: Place,
    },
    /// The key was refused; its value is read and dropped.
    Refused,
}

struct Builder<'p> {
    file: usize,
    problems: &'p mut Problems,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
}

impl<'p> Builder<'p> {
    fn new(file: usize, problems: &'p mut Problems) -> Self {
        Self { file, problems, open: Vec::new(), root: None, documents: 0, nodes: 0 }
    }

    /// Takes one event. `None` where reading on would only report what follows from this.
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let at =
            Place { file: self.file, line: span.start.line().max(1), column: span.start.col() + 1 };
        match event {
            Event::DocumentStart(_) => self.document(at),
            Event::Scalar(text, style, anchor, tag) => {
                let refused = self.decorated(at, anchor, tag.is_some());
                self.scalar(&text, style, at, refused)
            }
            Event::SequenceStart(anchor, tag) => {
                self.decorated(at, anchor, tag.is_some());
                self.start(at, Within::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.decorated(at, anchor, tag.is_some());
                let seen = HashMap::new();
                self.start(at, Within::Map { entries: Vec::new(), seen, key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(_) => {
                self.problems.add_hinted(at, "aliases are refused", written_out());
                self.scalar("", ScalarStyle::Plain, at, true)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Some(()),
        }
    }

    fn document(&mut self, at: Place) -> Option<()> {
        self.documents += 1;
        if self.documents == 1 {
            return Some(());
        }
        self.problems.add_hinted(at, "a second document", "one file holds one document".to_owned());
        None
    }

    /// Reports an anchor or a tag on what comes next.
    fn decorated(&mut self, at: Place, anchor: usize, tagged: bool) -> bool {
        if anchor != 0 {
            self.problems.add_hinted(at, "anchors are refused", written_out());
        }
        if tagged {
            let hint = "a value is what it looks like; quote it to make it a string";
            self.problems.add_hinted(at, "tags are refused", hint.to_owned());
        }
        anchor != 0 || tagged
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: Place, refused: bool) -> Option<()> {
        self.count(at)?;
        let value = match style {
            _ if refused => Value::Refused,
            ScalarStyle::Plain => plain(text),
            _ => Value::Text(text.to_owned()),
        };
        let expects_key =
            matches!(self.open.last(), Some(Open { within: Within::Map { key: None, .. }, .. }));
        match expects_key {
            true => self.key(value, text, at),
            false => {
                let value = self.sound(value, text, at);
                self.place(Node { value, at });
            }
        }
        Some(())
    }

    /// Reports a number that no setting could hold.
    fn sound(&mut self, value: Value, text: &str, at: Place) -> Value {
        if value == Value::Fraction && integer(text) == Some(None) {
            self.problems.add(at, format!("the number {} is too large", quoted(text)));
            return Value::Refused;
        }
        value
    }

    fn key(&mut self, value: Value, text: &str, at: Place) {
        let Some(Open { within: Within::Map { seen, key, .. }, .. }) = self.open.last_mut() else {
            return;
        };
        *key = Some(Key::Refused);
        match value {
            Value::Refused => {}
            Value::Text(name) if name == "<<" => {
                self.problems.add_hinted(at, "merge keys are refused", written_out());
            }
            Value::Text(name) => match seen.get(&name) {
                Some(first) => {
                    let first = self.problems.show(*first);
                    let message = format!("the key {} is written twice", quoted(&name));
                    self.problems.add_hinted(at, message, format!("first at {first}"));
                }
                None => {
                    seen.insert(name.clone(), at);
                    *key = Some(Key::Taken { key: name, at });
                }
            },
            _ => {
                let message = format!("the key {} is not a string", quoted(text));
                self.problems.add_hinted(at, message, "quote it".to_owned());
            }
        }
    }

    fn start(&mut self, at: Place, within: Within) -> Option<()> {
        self.count(at)?;
        if matches!(self.open.last(), Some(Open { within: Within::Map { key: None, .. }, .. })) {
            self.problems.add(at, "a list or map as a key");
            return None;
        }
        if self.open.len() >= DEPTH_MAX {
            self.problems.add(at, format!("deeper than {DEPTH_MAX} levels"));
            return None;
        }
        self.open.push(Open { at, within });
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        let open = self.open.pop()?;
        let value = match open.within {
            Within::List(items) => Value::List(items),
            Within::Map { entries, .. } => Value::Map(entries),
        };
        self.place(Node { value, at: open.at });
        Some(())
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { within: Within::List(items), .. }) => items.push(node),
            Some(Open { within: Within::Map { entries, key, .. }, .. }) => {
                if let Some(Key::Taken { key, at }) = key.take() {
                    entries.push(Entry { key, at, value: node });
                }
            }
        }
    }

    fn count(&mut self, at: Place) -> Option<()> {
        self.nodes += 1;
        if self.nodes <= NODES_MAX {
            return Some(());
        }
        self.problems.add(at, format!("more than {NODES_MAX} values"));
        None
    }
}

fn written_out() -> String {
    "write the values out where they are used".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> (Option<Node>, Vec<String>) {
        let mut problems = Problems::new(vec!["f".to_owned()], Vec::new());
        let node = parse(0, text, &mut problems);
        (
            node,
            problems
                .into_sorted()
                .iter()
                .map(|p| format!("{}:{}: {}", p.line, p.column, p.message))
                .collect(),
        )
    }

    fn check(text: &str, want: &[&str]) {
        assert_eq!(read(text.as_bytes()).1, want, "{text:?}");
    }

    #[test]
    fn what_is_quoted_is_text() {
        for quoted in ["'12'", "\"12\"", "\"1\\u0032\"", "|-\n  12", "'12' # a comment"] {
            let (node, problems) = read(format!("a: {quoted}\n").as_bytes());
            assert_eq!(problems, [""; 0], "{quoted}");
            assert_eq!(node.unwrap().get("a").unwrap().value, Value::Text("12".into()), "{quoted}");
        }
    }

    #[test]
    fn every_node_knows_its_place() {
        let (node, _) = read("a:\n  - b: {c: d}\n  - ü: e\n".as_bytes());
        let node = node.unwrap();
        let Value::List(items) = &node.get("a").unwrap().value else { panic!("no list") };
        let places = |n: &Node| (n.at.line, n.at.column);
        assert_eq!(places(&items[0]), (2, 5));
        assert_eq!(places(items[0].get("b").unwrap()), (2, 8));
        assert_eq!(places(items[0].get("b").unwrap().get("c").unwrap()), (2, 12));
        assert_eq!(places(items[1].get("ü").unwrap()), (3, 8));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        check("a: &x 1\nb: *x\n", &["1:4: anchors are refused", "2:4: aliases are refused"]);
        check(
            "a: &x {c: 1}\nb:\n  <<: *x\n",
            &[
                "1:4: anchors are refused",
                "3:3: merge keys are refused",
                "3:7: aliases are refused",
            ],
        );
        check("a: &x [1]\n", &["1:4: anchors are refused"]);
        check("a: !!str 1\n", &["1:4: tags are refused"]);
        check("a: !secret {b: c}\n", &["1:4: tags are refused"]);
        check("a: 1\nb: 2\na: 3\n", &["3:1: the key `a` is written twice"]);
        check("a: 1\n---\nb: 2\n", &["2:1: a second document"]);
        check("1: a\n", &["1:1: the key `1` is not a string"]);
        check("true: a\n", &["1:1: the key `true` is not a string"]);
        check("? [a]\n: b\n", &["1:3: a list or map as a key"]);
        check("a: 9223372036854775808\n", &["1:4: the number `9223372036854775808` is too large"]);
        check("a: 0xffffffffffffffff\n", &["1:4: the number `0xffffffffffffffff` is too large"]);
        check("", &["1:1: the file is empty"]);
        check("# only a comment\n", &["1:1: the file is empty"]);
        check("a: [1, 2\n", &["2:1: not YAML: while parsing a flow sequence, expected ',' or ']'"]);
        check("a: b: c\n", &["1:5: not YAML: mapping values are not allowed in this context"]);
    }

    #[test]
    fn characters_that_hide_are_refused() {
        check("a: b\0c: d\n", &["1:5: the character U+0000 is refused"]);
        check("a: b\nc: \u{1b}[1m\n", &["2:4: the character U+001B is refused"]);
        check("a: \u{202e}b\n", &["1:4: the character U+202E is refused"]);
        check("a: b\u{feff}\n", &["1:5: the character U+FEFF is refused"]);
        check("# a: b\rc: d\n", &["1:7: the character U+000D is refused"]);
        check("a: b\r\nc: d\r\n", &[]);
        check("\u{feff}a: b\n", &[]);
        assert_eq!(read(b"a: b\nc: \xff\n").1, ["2:4: not UTF-8"]);
    }

    #[test]
    fn limits_hold_at_their_edges() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        check(&deep(DEPTH_MAX), &[]);
        check(&deep(DEPTH_MAX + 1), &["1:33: deeper than 32 levels"]);
        let list = |items: usize| "- 1\n".repeat(items);
        check(&list(NODES_MAX - 1), &[]);
        check(&list(NODES_MAX), &["100000:3: more than 100000 values"]);
        let long = |bytes: usize| format!("a: {}\n", "x".repeat(bytes - 4));
        check(&long(FILE_BYTES_MAX), &[]);
        check(&long(FILE_BYTES_MAX + 1), &["1:1: the file is longer than 1024 KiB"]);
    }
}
