//! A YAML file of another kind (policy cases), read as strictly as the configuration, its places
//! kept so that a problem found later can be told with its line.

use std::collections::BTreeMap;
use std::path::Path;

use super::problem::{Place, Problem, Problems};
use super::tree::{self, Node, Value};

/// A YAML document and the places of its values.
#[derive(Debug)]
pub struct Yaml {
    file: String,
    root: Node,
}

impl Yaml {
    /// Reads a document.
    ///
    /// # Errors
    /// Every problem there is.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let file = path.display().to_string();
        let mut problems = Problems::new(vec![file.clone()], Vec::new());
        match tree::parse(0, bytes, &mut problems) {
            Some(root) if problems.is_empty() => Ok(Self { file, root }),
            _ => Err(problems.into_sorted()),
        }
    }

    /// The document as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        self.root.to_json()
    }

    /// The document with the places of its values, for those who read values.
    pub fn to_document(&self) -> verdict::Document {
        let (mut places, mut keys) = (BTreeMap::new(), BTreeMap::new());
        let mut next = vec![(String::new(), &self.root)];
        while let Some((pointer, node)) = next.pop() {
            let child =
                |key: &str| format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
            match &node.value {
                Value::List(items) => {
                    let items = items.iter().enumerate();
                    next.extend(items.map(|(nth, item)| (child(&nth.to_string()), item)));
                }
                Value::Map(entries) => {
                    for entry in entries {
                        let Place { line, column, .. } = entry.at;
                        keys.insert(child(&entry.key), (line, column));
                        next.push((child(&entry.key), &entry.value));
                    }
                }
                Value::Null
                | Value::Bool(_)
                | Value::Integer(_)
                | Value::Fraction
                | Value::Text(_)
                | Value::Refused => {}
            }
            places.insert(pointer, (node.at.line, node.at.column));
        }
        verdict::Document { value: self.to_json(), places, keys }
    }

    /// A problem with the value at an RFC 6901 pointer, or with the nearest that is there.
    pub fn problem(&self, pointer: &str, message: &str) -> Problem {
        let Place { line, column, .. } = self.place(pointer);
        Problem { file: self.file.clone(), line, column, message: message.to_owned(), hint: None }
    }

    /// A problem with the key at the end of a pointer.
    pub fn problem_of_key(&self, pointer: &str, message: &str) -> Problem {
        let (above, key) = pointer.rsplit_once('/').unwrap_or_default();
        let key = unescaped(key);
        let Place { line, column, .. } =
            self.node(above).entry(&key).map_or_else(|| self.place(pointer), |entry| entry.at);
        Problem { line, column, ..self.problem(pointer, message) }
    }

    fn place(&self, pointer: &str) -> Place {
        self.node(pointer).at
    }

    fn node(&self, pointer: &str) -> &Node {
        let mut node = &self.root;
        for token in pointer.split('/').skip(1) {
            let token = unescaped(token);
            let next = match &node.value {
                Value::Map(_) => node.get(&token),
                Value::List(items) => token.parse().ok().and_then(|at: usize| items.get(at)),
                _ => None,
            };
            let Some(next) = next else { break };
            node = next;
        }
        node
    }
}

/// A token of a pointer as the key that it is.
fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}
