//! The entities that the operator declares: APIs, roles, groups, resources with their attributes.
//!
//! What it knows of principals is their place in the hierarchy; their tags come from the
//! credential alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cedar_policy::entities_errors::EntitiesError;
use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, Schema};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::problem::{Problem, Text};
use crate::schema::kind_of;

const FIELDS: [&str; 4] = ["uid", "attrs", "parents", "tags"];

/// The entities, ready for a request's store.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    /// Resources and everything else that is no principal, with all their ancestors.
    entities: Entities,
    /// Of each group and principal: its ancestors.
    ancestors: HashMap<EntityUid, Vec<EntityUid>>,
    apis: BTreeSet<String>,
}

/// `Portcullis::Api::"<api>"`.
pub(crate) fn api_uid(api: &str) -> EntityUid {
    uid("Portcullis::Api", api)
}

/// An entity of one of our own types.
pub(crate) fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(type_name(kind), EntityId::new(id))
}

/// One of our own types, by a name that parses.
pub(crate) fn type_name(kind: &str) -> EntityTypeName {
    #[expect(clippy::expect_used, reason = "called with literals of this crate, which tests cover")]
    kind.parse().expect("our own type name parses")
}

/// An entity, and where it is declared.
#[derive(Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) text: Text<'a>,
    /// Byte offset in the file.
    pub(crate) offset: usize,
    pub(crate) json: &'a str,
    pub(crate) entity: Entity,
}

impl Catalogue {
    /// Reads every file against the schema; problems are appended. `None` if there is no telling
    /// what is above what.
    pub(crate) fn read(
        files: &[Text<'_>],
        schema: &Schema,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let placed = Self::place(files, schema, problems);
        duplicates(&placed, problems);
        let entities = placed.iter().map(|placed| placed.entity.clone());
        match Entities::from_entities(entities, None) {
            Ok(entities) => {
                let catalogue = Self::of(entities);
                problems.extend(placed.iter().filter_map(|placed| catalogue.wrong(placed, schema)));
                Some(catalogue)
            }
            // Duplicates have been told; what is left is a circle of parents.
            Err(error) => {
                circles(&placed, &error, problems);
                None
            }
        }
    }

    /// Each entity that the schema has, with its place; problems are appended.
    pub(crate) fn place<'a>(
        files: &[Text<'a>],
        schema: &Schema,
        problems: &mut Vec<Problem>,
    ) -> Vec<Placed<'a>> {
        let mut placed = Vec::new();
        for text in files {
            for (offset, json) in elements(*text, ENTITIES, problems) {
                unknown_fields(*text, offset, json, problems);
                match Entity::from_json_str(json, Some(schema)) {
                    Ok(entity) => placed.push(Placed { text: *text, offset, json, entity }),
                    Err(error) => problems.extend(
                        text.problems(&error, 0)
                            .into_iter()
                            .map(|problem| at(*text, offset, problem)),
                    ),
                }
            }
        }
        placed
    }

    fn of(entities: Entities) -> Self {
        let group = type_name("Portcullis::Group");
        let api = type_name("Portcullis::Api");
        let mut catalogue = Self::default();
        for entity in entities.iter() {
            let uid = entity.uid();
            if *uid.type_name() == api {
                catalogue.apis.insert(uid.id().unescaped().to_owned());
            }
            if *uid.type_name() == group || kind_of(uid.type_name()).is_some() {
                let ancestors = entities.ancestors(&uid).into_iter().flatten().cloned().collect();
                catalogue.ancestors.insert(uid, ancestors);
            }
        }
        catalogue.entities = entities;
        catalogue
    }

    fn wrong(&self, placed: &Placed<'_>, schema: &Schema) -> Option<Problem> {
        let uid = placed.entity.uid();
        let problem = |message| placed.text.problem(placed.offset, message);
        if kind_of(uid.type_name()).is_some() && placed.entity.tags().next().is_some() {
            return Some(
                problem(format!("`{uid}` has tags"))
                    .hint("the tags of a principal come from its credential; grant roles here"),
            );
        }
        let is_resource = schema.resources().any(|kind| kind == uid.type_name());
        let api = type_name("Portcullis::Api");
        let mut ancestors = self.entities.ancestors(&uid).into_iter().flatten();
        (is_resource && !ancestors.any(|ancestor| *ancestor.type_name() == api)).then(|| {
            problem(format!("`{uid}` is in no API"))
                .hint("give it the parent {\"type\": \"Portcullis::Api\", \"id\": \"<api>\"}")
        })
    }

    /// The APIs it declares.
    pub(crate) fn apis(&self) -> &BTreeSet<String> {
        &self.apis
    }

    /// Whether a resource is known to be in another entity.
    pub(crate) fn is_in(&self, uid: &EntityUid, above: &EntityUid) -> bool {
        self.entities.ancestors(uid).into_iter().flatten().any(|ancestor| ancestor == above)
    }

    /// The ancestors of a group or principal that it knows.
    pub(crate) fn ancestors(&self, uid: &EntityUid) -> &[EntityUid] {
        self.ancestors.get(uid).map_or(&[], Vec::as_slice)
    }

    /// Everything that a resource that it knows is in.
    pub(crate) fn above(&self, uid: &EntityUid) -> Option<impl Iterator<Item = &EntityUid>> {
        self.entities.ancestors(uid)
    }

    /// Everything that it knows with attributes.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Entity> {
        self.entities.iter()
    }

    /// A resource that it knows, with its attributes and ancestors.
    pub(crate) fn resource(&self, uid: &EntityUid) -> Option<&Entity> {
        self.entities.get(uid)
    }
}

/// What a file of entities is, and how one is written.
const ENTITIES: (&str, &str) =
    ("entities", "write `[{\"uid\": …, \"attrs\": {}, \"parents\": []}]`");

/// Each element of the file's array with its byte offset; what they are is for the problem.
pub(crate) fn elements<'a>(
    text: Text<'a>,
    (what, hint): (&str, &str),
    problems: &mut Vec<Problem>,
) -> Vec<(usize, &'a str)> {
    let start = text.text.as_ptr().addr();
    match serde_json::from_str::<Vec<&'a RawValue>>(text.text) {
        Ok(elements) => elements
            .into_iter()
            .map(|element| (element.get().as_ptr().addr().saturating_sub(start), element.get()))
            .collect(),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default();
            let mut problem = text.problem(0, format!("not a JSON array of {what}: {reason}"));
            (problem.line, problem.column) = (error.line(), error.column().max(1));
            problems.push(problem.hint(hint));
            Vec::new()
        }
    }
}

/// Cedar ignores what it does not know: an entity whose `tags` are misspelt would have none.
fn unknown_fields(text: Text<'_>, offset: usize, json: &str, problems: &mut Vec<Problem>) {
    let fields: BTreeMap<String, IgnoredAny> = serde_json::from_str(json).unwrap_or_default();
    for field in fields.keys().filter(|field| !FIELDS.contains(&field.as_str())) {
        let within = json.find(&format!("\"{field}\"")).unwrap_or_default();
        let message = format!("an entity has no field `{field}`");
        let hint = format!("its fields are `{}`", FIELDS.join("`, `"));
        problems.push(text.problem(offset.saturating_add(within), message).hint(hint));
    }
}

/// Cedar gives no place within an entity: the problem is at its beginning.
fn at(text: Text<'_>, offset: usize, problem: Problem) -> Problem {
    let place = text.problem(offset, "");
    Problem { line: place.line, column: place.column, ..problem }
}

fn duplicates(placed: &[Placed<'_>], problems: &mut Vec<Problem>) {
    let mut seen: HashMap<EntityUid, &Placed<'_>> = HashMap::new();
    for this in placed {
        let uid = this.entity.uid();
        match seen.get(&uid) {
            Some(first) => {
                let first = first.text.problem(first.offset, "");
                let hint =
                    format!("the other is at {}:{}:{}", first.file, first.line, first.column);
                problems.push(
                    this.text.problem(this.offset, format!("`{uid}` is declared twice")).hint(hint),
                );
            }
            None => {
                seen.insert(uid, this);
            }
        }
    }
}

/// Every entity that is above itself; without any, what Cedar says.
fn circles(placed: &[Placed<'_>], error: &EntitiesError, problems: &mut Vec<Problem>) {
    let parents: HashMap<EntityUid, HashSet<EntityUid>> = placed
        .iter()
        .map(|placed| (placed.entity.uid(), placed.entity.clone().into_inner().2))
        .collect();
    let before = problems.len();
    for this in placed {
        let uid = this.entity.uid();
        let mut above = HashSet::new();
        let mut next: Vec<&EntityUid> = parents.get(&uid).into_iter().flatten().collect();
        while let Some(parent) = next.pop() {
            if above.insert(parent) {
                next.extend(parents.get(parent).into_iter().flatten());
            }
        }
        if above.contains(&uid) {
            let problem = this.text.problem(this.offset, format!("`{uid}` is above itself"));
            problems.push(problem.hint("take a parent away from one of those in the circle"));
        }
    }
    if problems.len() == before {
        problems
            .extend(placed.iter().take(1).flat_map(|this| this.text.problems(error, this.offset)));
    }
}
