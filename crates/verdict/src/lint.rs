//! What a problem is an instance of: a closed list with stable ids, which tools and suppressions
//! name. What each problem says in particular is its message.

/// The kind of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lint {
    /// A file without a place, or one that is missing.
    Layout,
    /// The schema.
    Schema,
    /// An entity of `entities/*.json`.
    Entity,
    /// A policy's text.
    Syntax,
    /// A policy's types.
    Types,
    /// A policy that never holds.
    Impossible,
    /// A policy, or a part of its scope, that no question reaches.
    Unreachable,
    /// Text that reads as another.
    Confusable,
    /// `@id`.
    Id,
    /// An annotation that is not known, or means nothing where it is.
    Annotation,
    /// An annotation whose value is none, or that is missing.
    Obligation,
    /// A policy that reaches beyond its API, or a guardrail that permits.
    Reach,
    /// A permit for everybody, everything and every action.
    EmptyScope,
    /// A link of `links/*.yaml`.
    Link,
    /// A link that is over.
    Expired,
    /// A case of `cases/*`.
    Case,
    /// An entity, a template or a link that makes no difference.
    Unused,
    /// A file that is not as the manifest has it.
    Sealed,
}

impl Lint {
    /// Every one.
    pub const ALL: [Self; 18] = [
        Self::Layout,
        Self::Schema,
        Self::Entity,
        Self::Syntax,
        Self::Types,
        Self::Impossible,
        Self::Unreachable,
        Self::Confusable,
        Self::Id,
        Self::Annotation,
        Self::Obligation,
        Self::Reach,
        Self::EmptyScope,
        Self::Link,
        Self::Expired,
        Self::Case,
        Self::Unused,
        Self::Sealed,
    ];

    /// The id. It does not change.
    pub fn id(self) -> &'static str {
        match self {
            Self::Layout => "layout",
            Self::Schema => "schema",
            Self::Entity => "entity",
            Self::Syntax => "syntax",
            Self::Types => "types",
            Self::Impossible => "impossible",
            Self::Unreachable => "unreachable",
            Self::Confusable => "confusable",
            Self::Id => "id",
            Self::Annotation => "annotation",
            Self::Obligation => "obligation",
            Self::Reach => "reach",
            Self::EmptyScope => "empty-scope",
            Self::Link => "link",
            Self::Expired => "expired",
            Self::Case => "case",
            Self::Unused => "unused",
            Self::Sealed => "sealed",
        }
    }

    /// What it looks for, in a sentence.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Layout => {
                "Every file of a policies directory has a place, and a schema is there."
            }
            Self::Schema => "The schema is sound, and its actions ask the gateway's question.",
            Self::Entity => "Entities are those that the schema declares, each declared once.",
            Self::Syntax => "Policies are Cedar.",
            Self::Types => "Policies are valid by the schema, strictly.",
            Self::Impossible => "Every policy can hold.",
            Self::Unreachable => "Every policy, and every action and role it names, can be met.",
            Self::Confusable => "No text hides characters that read as others.",
            Self::Id => "Every policy has an `@id` of its own.",
            Self::Annotation => "Annotations are known, and mean something where they are.",
            Self::Obligation => {
                "Every forbid says how it refuses, and obligations have known values."
            }
            Self::Reach => "Guardrails only forbid, and an API's policies stay within it.",
            Self::EmptyScope => "A permit for everybody stands in a file that is listed as global.",
            Self::Link => "Links fit their templates.",
            Self::Expired => "No link is over.",
            Self::Case => "Cases can be read.",
            Self::Unused => "Every entity, template and link makes a difference.",
            Self::Sealed => "A set with a manifest is the one that was sealed.",
        }
    }

    /// The kind of a problem with a file of this name of which no more is said.
    pub(crate) fn of_file(file: &str) -> Self {
        match file.split_once('/') {
            Some(("entities", _)) => Self::Entity,
            Some(("links", _)) => Self::Link,
            Some(("cases", _)) => Self::Case,
            _ if file.ends_with(".cedarschema") => Self::Schema,
            _ if file.ends_with(".cedar") => Self::Syntax,
            _ => Self::Layout,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_and_summaries_are_each_their_own() {
        let ids: BTreeSet<_> = Lint::ALL.into_iter().map(Lint::id).collect();
        let summaries: BTreeSet<_> = Lint::ALL.into_iter().map(Lint::summary).collect();
        assert_eq!((ids.len(), summaries.len()), (Lint::ALL.len(), Lint::ALL.len()));
    }

    #[test]
    fn a_file_says_what_its_problems_are() {
        let check = |file: &str, want| assert_eq!(Lint::of_file(file), want, "{file}");
        check("schema.cedarschema", Lint::Schema);
        check("entities/a.json", Lint::Entity);
        check("cases/a.yaml", Lint::Case);
        check("shop/a.cedar", Lint::Syntax);
        check("shop/a.ceder", Lint::Layout);
    }
}
