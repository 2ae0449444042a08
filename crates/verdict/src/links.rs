//! `links/*.yaml`: who a template is granted to, on what, until when, and by which ticket.
//!
//! ```yaml
//! - id: alice-reads-o-1002
//!   template: orders-read-one
//!   principal: Portcullis::User::"corp|alice"    # as the template has the slot
//!   resource: Orders::Order::"o-1002"
//!   until: 2026-12-31                            # that day's end in UTC, a moment, or never
//!   ticket: ACME-1                               # optional
//! ```
//!
//! This module reads values, not YAML: the shell parses a file and says where each value is.
//! Whether a link fits its template is the policies' to say.

use std::collections::BTreeMap;

use cedar_policy::EntityUid;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::annotations::{WORD, word};
use crate::lint::Lint;
use crate::problem::{Problem, Text};
use crate::until::Until;

/// Longest ticket: it is told with the link.
const TICKET_BYTES_MAX: usize = 96;

const KEYS: [&str; 6] = ["id", "template", "principal", "resource", "until", "ticket"];

/// A file as the shell parsed it: its value, and where each part of it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// JSON pointers (RFC 6901) to line and column, each from 1.
    pub places: BTreeMap<String, (usize, usize)>,
    /// The same of the keys of maps, by the pointers of their values.
    pub keys: BTreeMap<String, (usize, usize)>,
}

/// One link as it is written, whether or not its template is there.
#[derive(Debug, Clone)]
pub(crate) struct Link<'a> {
    pub(crate) file: &'a str,
    /// Where it begins, by line and column.
    pub(crate) at: (usize, usize),
    pub(crate) id: String,
    pub(crate) template: String,
    pub(crate) principal: Option<EntityUid>,
    pub(crate) resource: Option<EntityUid>,
    pub(crate) until: Until,
    /// The end as it is written.
    pub(crate) written: String,
    pub(crate) ticket: Option<String>,
    places: Places,
}

/// Where the parts of a link are.
#[derive(Debug, Clone, Copy, Default)]
struct Places {
    template: Option<(usize, usize)>,
    principal: Option<(usize, usize)>,
    resource: Option<(usize, usize)>,
}

/// A part of a link that something can be wrong with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    Template,
    Principal,
    Resource,
}

impl Link<'_> {
    /// Who and what it names.
    pub(crate) fn values(&self) -> impl Iterator<Item = &EntityUid> {
        self.principal.iter().chain(&self.resource)
    }

    pub(crate) fn problem(&self, part: Part, message: impl Into<String>) -> Problem {
        let place = match part {
            Part::Whole => None,
            Part::Template => self.places.template,
            Part::Principal => self.places.principal,
            Part::Resource => self.places.resource,
        };
        at(self.file, place.unwrap_or(self.at), message)
    }
}

fn at(file: &str, (line, column): (usize, usize), message: impl Into<String>) -> Problem {
    let problem = Text::new(file, "").problem(0, message).lint(Lint::Link);
    Problem { line, column, ..problem }
}

/// The links of one file that are right by themselves; problems are appended.
pub(crate) fn read<'a>(
    file: &'a str,
    document: &Document,
    problems: &mut Vec<Problem>,
) -> Vec<Link<'a>> {
    let mut reader = Reader { file, document, problems };
    let Value::Array(entries) = &document.value else {
        reader.wrong("", "not a list of links", "write `- id: …`, `  template: …` and so on");
        return Vec::new();
    };
    let pointer = |nth: usize| format!("/{nth}");
    entries
        .iter()
        .enumerate()
        .filter_map(|(nth, entry)| reader.link(entry, &pointer(nth)))
        .collect()
}

/// The links of all files; problems are appended. A file that the shell did not parse is one.
pub(crate) fn read_all<'a>(
    files: &[Text<'a>],
    documents: &BTreeMap<String, Document>,
    problems: &mut Vec<Problem>,
) -> Vec<Link<'a>> {
    let mut links = Vec::new();
    for Text { file, .. } in files {
        match documents.get(*file) {
            Some(document) => links.extend(read(file, document, problems)),
            None => problems.push(at(file, (1, 1), "the links of this file were not parsed")),
        }
    }
    links
}

/// What is over is told. It is left out an hour later: a request that came before the end may
/// still be on its way to its decision, and its answer does not hang on when a set was loaded.
const LEFT_OUT_AFTER_MS: i64 = 3_600_000;

/// The links to load, and all that have an end.
pub(crate) fn split(links: Vec<Link<'_>>, now_ms: Option<i64>) -> (Vec<Link<'_>>, Vec<DatedLink>) {
    let dated = links.iter().filter(|link| link.until != Until::Never);
    let dated = dated.map(DatedLink::of).collect();
    let Some(now_ms) = now_ms else { return (links, dated) };
    let left_out = now_ms.saturating_sub(LEFT_OUT_AFTER_MS);
    (links.into_iter().filter(|link| !link.until.is_over(left_out)).collect(), dated)
}

/// The warning of a link that is over.
pub(crate) fn is_over(link: &Link<'_>) -> Problem {
    let of = link.ticket.as_ref().map(|ticket| format!(" of `{ticket}`")).unwrap_or_default();
    let message = format!("the link `{}`{of} is over since `{}`", link.id, link.written);
    link.problem(Part::Whole, message).hint("it counts no more: remove it").lint(Lint::Expired)
}

/// A link that has an end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatedLink {
    /// Its file, relative to the policies directory.
    pub file: String,
    /// Where it is there, from 1.
    pub line: usize,
    /// Its id.
    pub id: String,
    /// Until when it counts, as it is written.
    pub until: String,
    /// Its ticket.
    pub ticket: Option<String>,
    #[serde(skip)]
    ends: Until,
}

impl DatedLink {
    pub(crate) fn is_over(&self, at_ms: i64) -> bool {
        self.ends.is_over(at_ms)
    }

    fn of(link: &Link<'_>) -> Self {
        Self {
            file: link.file.to_owned(),
            line: link.at.0,
            id: link.id.clone(),
            until: link.written.clone(),
            ticket: link.ticket.clone(),
            ends: link.until,
        }
    }
}

struct Reader<'a, 'r> {
    file: &'a str,
    document: &'r Document,
    problems: &'r mut Vec<Problem>,
}

impl<'a> Reader<'a, '_> {
    fn place(&self, pointer: &str) -> Option<(usize, usize)> {
        self.document.places.get(pointer).copied()
    }

    fn wrong(&mut self, pointer: &str, message: impl Into<String>, hint: &str) {
        let place = self.place(pointer).unwrap_or((1, 1));
        self.problems.push(at(self.file, place, message).hint(hint));
    }

    fn link(&mut self, entry: &Value, pointer: &str) -> Option<Link<'a>> {
        let Value::Object(entry) = entry else {
            self.wrong(pointer, "a link is a map", "write `id: …`, `template: …` and so on");
            return None;
        };
        let before = self.problems.len();
        for key in entry.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            let keys = format!("the keys of a link are `{}`", KEYS.join("`, `"));
            let escaped = key.replace('~', "~0").replace('/', "~1");
            let place = self.document.keys.get(&format!("{pointer}/{escaped}")).copied();
            let place = place.or_else(|| self.place(pointer)).unwrap_or((1, 1));
            let problem = at(self.file, place, format!("a link has no `{key}`"));
            self.problems.push(problem.hint(keys));
        }
        let id = self.required(entry, pointer, "id", WORD, word);
        let template = self.required(entry, pointer, "template", "the `@id` of a template", word);
        let until = self.required(entry, pointer, "until", UNTIL, Until::parse);
        let uid = |text: &str| text.parse::<EntityUid>().ok();
        let principal = self.value(entry, pointer, "principal", UID, uid);
        let resource = self.value(entry, pointer, "resource", UID, uid);
        let ticket = self.value(entry, pointer, "ticket", TICKET, ticket);
        if self.problems.len() > before {
            return None;
        }
        let place = |key: &str| self.place(&format!("{pointer}/{key}"));
        Some(Link {
            file: self.file,
            at: self.place(pointer).unwrap_or((1, 1)),
            id: id?,
            template: template?,
            principal,
            resource,
            until: until?,
            written: entry.get("until").and_then(Value::as_str).unwrap_or_default().to_owned(),
            ticket,
            places: Places {
                template: place("template"),
                principal: place("principal"),
                resource: place("resource"),
            },
        })
    }

    fn required<T>(
        &mut self,
        entry: &Map<String, Value>,
        pointer: &str,
        key: &str,
        want: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        if !entry.contains_key(key) {
            self.wrong(pointer, format!("this link has no `{key}`"), want);
        }
        self.value(entry, pointer, key, want, parse)
    }

    fn value<T>(
        &mut self,
        entry: &Map<String, Value>,
        pointer: &str,
        key: &str,
        want: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = entry.get(key)?;
        let parsed = value.as_str().and_then(parse);
        if parsed.is_none() {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let message = format!("`{key}` cannot be `{}`", shown.escape_debug());
            self.wrong(&format!("{pointer}/{key}"), message, want);
        }
        parsed
    }
}

const UNTIL: &str = "a day as `2026-12-31`, a moment as `2026-12-31T17:00:00Z`, or `never`";
const UID: &str = "an entity, as `Portcullis::User::\"corp|alice\"`";
const TICKET: &str = "printable characters, at most 96 bytes";

fn ticket(text: &str) -> Option<String> {
    let plain = !text.is_empty() && !text.chars().any(char::is_control);
    (plain && text.len() <= TICKET_BYTES_MAX).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whole() -> Value {
        json!({
            "id": "a", "template": "t", "principal": "Portcullis::User::\"corp|alice\"",
            "resource": "Orders::Order::\"o-1\"", "until": "2026-12-31", "ticket": "ACME-1"
        })
    }

    fn read_one(value: Value) -> (Vec<Link<'static>>, Vec<Problem>) {
        let keys = ["", "/0", "/0/id", "/0/until", "/0/principal", "/0/ticket", "/0/untill"];
        let places = keys.iter().zip(1..).map(|(key, line)| ((*key).to_owned(), (line, 3)));
        let keys = [("/0/untill".to_owned(), (7, 1))].into();
        let document = Document { value, places: places.collect(), keys };
        let mut problems = Vec::new();
        let links = read("links/a.yaml", &document, &mut problems);
        (links, problems)
    }

    #[test]
    fn a_link_says_who_what_and_until_when() {
        let (links, problems) = read_one(json!([whole()]));
        assert_eq!(problems, []);
        let link = &links[0];
        assert_eq!((link.id.as_str(), link.template.as_str(), link.at), ("a", "t", (2, 3)));
        assert_eq!(link.principal, "Portcullis::User::\"corp|alice\"".parse().ok());
        assert_eq!(link.until, Until::Ms(1_798_761_600_000));
        assert_eq!((link.written.as_str(), link.ticket.as_deref()), ("2026-12-31", Some("ACME-1")));
        assert_eq!(link.problem(Part::Principal, "x").line, 5);
        assert_eq!(link.problem(Part::Template, "x").line, 2, "as far as places are known");
    }

    #[test]
    fn each_mistake_has_its_place() {
        let check = |key: &str, value: Option<Value>, line: usize, message: &str| {
            let mut link = whole();
            match value {
                Some(value) => link[key] = value,
                None => drop(link.as_object_mut().unwrap().remove(key)),
            }
            let (links, problems) = read_one(json!([link]));
            assert!(links.is_empty());
            let got: Vec<_> = problems.iter().map(|p| (p.line, p.message.as_str())).collect();
            assert_eq!(got, [(line, message)]);
            assert_eq!(problems[0].lint, Lint::Link);
        };
        check("id", None, 2, "this link has no `id`");
        check("id", Some(json!("a b")), 3, "`id` cannot be `a b`");
        check("id", Some(json!(7)), 3, "`id` cannot be `7`");
        check("until", None, 2, "this link has no `until`");
        check("until", Some(json!("soon")), 4, "`until` cannot be `soon`");
        check("principal", Some(json!("alice")), 5, "`principal` cannot be `alice`");
        check("ticket", Some(json!("a\nb")), 6, "`ticket` cannot be `a\\nb`");
        check("untill", Some(json!("never")), 7, "a link has no `untill`");
        let mut more = whole();
        more["untill"] = json!("never");
        assert_eq!(read_one(json!([more])).1[0].column, 1, "the key is marked, not its value");
        let (_, problems) = read_one(json!({}));
        assert_eq!(problems[0].message, "not a list of links");
        let (_, problems) = read_one(json!(["a"]));
        assert_eq!((problems[0].message.as_str(), problems[0].line), ("a link is a map", 2));
    }

    #[test]
    fn tickets_have_a_limit() {
        assert!(ticket(&"x".repeat(TICKET_BYTES_MAX)).is_some());
        assert!(ticket(&"x".repeat(TICKET_BYTES_MAX + 1)).is_none());
    }
}
