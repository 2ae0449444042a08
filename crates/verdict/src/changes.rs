//! What one set of policies has that another had not: for the event of a load, not a proof of who
//! may do what now.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::compiled::Compiled;
use crate::decide::Policies;
use crate::policy::KeptFiles;

/// What changed, by the policies' `@id`. Lists are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Policies that were not there.
    pub added: Vec<String>,
    /// Policies that are gone.
    pub removed: Vec<String>,
    /// Policies whose text, annotations or effect are others; where they stand does not matter,
    /// nor do spaces and comments.
    pub changed: Vec<String>,
    /// The schema, the embedded one included, is another.
    pub schema: bool,
    /// The entities are others.
    pub entities: bool,
}

impl Changes {
    /// Nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Policies {
    /// What this set has that `before` had not; everything, if there was none.
    pub fn changes_since(&self, before: Option<&Self>) -> Changes {
        let (none, digests) = (KeptFiles::new(), before.map(|before| &before.digests));
        let theirs = before.map_or(&none, |before| &before.files);
        let links = before.map_or(&[][..], |before| &before.links);
        let new = others(&self.files, &self.links, theirs);
        let old = others(theirs, links, &self.files);
        let not_in = |of: &BTreeMap<&str, &Compiled>, there: &BTreeMap<&str, &Compiled>| {
            let lacks = of.keys().filter(|id| !there.contains_key(**id));
            lacks.map(|id| (*id).to_owned()).collect()
        };
        let differs = |(id, is): &(&&str, &&Compiled)| {
            let is_other = |was: &&Compiled| was.policy != is.policy || was.until != is.until;
            old.get(**id).is_some_and(is_other)
        };
        Changes {
            added: not_in(&new, &old),
            removed: not_in(&old, &new),
            changed: new.iter().filter(differs).map(|(id, _)| (*id).to_owned()).collect(),
            schema: digests.is_none_or(|digests| digests.schema != self.digests.schema),
            entities: digests.is_none_or(|digests| digests.entities != self.digests.entities),
        }
    }
}

/// The policies of the files of one set that are not the same files in the other, and its links.
fn others<'a>(
    of: &'a KeptFiles,
    links: &'a [Arc<Compiled>],
    there: &KeptFiles,
) -> BTreeMap<&'a str, &'a Compiled> {
    of.iter()
        .filter(|(path, file)| !there.get(*path).is_some_and(|same| Arc::ptr_eq(file, same)))
        .flat_map(|(_, file)| file.compiled())
        .chain(links)
        .map(|one| (one.id(), one.as_ref()))
        .collect()
}
