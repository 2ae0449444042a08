//! The sets that recorded decisions were made by, found by the digests in their events: among those
//! that a gateway kept, or in policies directories. `policy replay` and `policy explain` look here.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use verdict::{Digests, Policies, Source};

use crate::bundle::{self, KeptError};
use crate::config::{self, Config, Problem};
use crate::snapshot;

/// Sets that are loaded at a time. Decisions of one set mostly follow each other.
const LOADED_MAX: usize = 8;

/// Where sets are looked for.
#[derive(Debug, Default)]
pub(super) struct Sets {
    /// Directories of kept sets.
    kept: Vec<PathBuf>,
    /// Directories of policies, loaded.
    directories: Vec<Rc<Policies>>,
    loaded: HashMap<String, Found>,
    last: Option<(Digests, Found)>,
}

/// The set, or why it cannot be had.
pub(super) type Found = Result<Rc<Policies>, &'static str>;

impl Sets {
    /// Looks in a directory of kept sets, or in one of policies.
    pub(super) fn add(&mut self, place: &Path, like: Source) -> Result<(), Vec<Problem>> {
        if !place.join("schema.cedarschema").exists() {
            self.kept.push(place.to_owned());
            return Ok(());
        }
        self.directories.push(Rc::new(load(place, like)?));
        Ok(())
    }

    /// Looks in these places; without any, in `bundles` beside the record.
    pub(super) fn add_kept(
        &mut self,
        record: &Path,
        places: &[PathBuf],
        like: &Source,
    ) -> Result<(), Vec<Problem>> {
        if places.is_empty() {
            return self.add(&record.join("bundles"), like.clone());
        }
        places.iter().try_for_each(|place| match place.exists() {
            true => self.add(place, like.clone()),
            // That it has no sets is not to be taken for the answer.
            false => Err(vec![Problem::of_file(place, "there is no such directory")]),
        })
    }

    /// Looks where a configuration's gateway keeps its sets, and in its policies directory. That
    /// these may be wrong now is no problem of what was decided then.
    pub(super) fn add_configured(&mut self, config: &Config) {
        self.kept.extend(config.policies.keep.iter().map(|keep| keep.directory.clone()));
        let _ = self.add(&config.policies.directory, configured(config));
    }

    /// The set with these digests.
    pub(super) fn find(&mut self, digests: &Digests) -> Found {
        if let Some((last, found)) = &self.last
            && last == digests
        {
            return found.clone();
        }
        let name = digests.set();
        let found = match self.loaded.get(&name) {
            Some(found) => found.clone(),
            None => {
                let found = self.look(digests);
                if self.loaded.len() >= LOADED_MAX {
                    self.loaded.clear();
                }
                self.loaded.insert(name, found.clone());
                found
            }
        };
        self.last = Some((digests.clone(), found.clone()));
        found
    }

    fn look(&self, digests: &Digests) -> Found {
        let mut why = "the set that decided is not there";
        if let Some(found) = self.directories.iter().find(|set| set.digests() == digests) {
            return Ok(Rc::clone(found));
        }
        for place in &self.kept {
            match bundle::find(place, digests) {
                Ok((_, policies)) => return Ok(Rc::new(policies)),
                Err(KeptError::None(_)) => {}
                Err(KeptError::Io { .. } | KeptError::Broken { .. }) => {
                    why = "the set that decided is there, and cannot be loaded";
                }
            }
        }
        Err(why)
    }
}

/// The policies of a directory, to be asked what was recorded. A link counts until its end,
/// whenever that is asked: one that is over now may not have been when it was decided.
pub(super) fn load(directory: &Path, like: Source) -> Result<Policies, Vec<Problem>> {
    let Source { annotations, global, .. } = like;
    let source = snapshot::read_policies(directory, annotations, global)?;
    // What is wrong with links that are not over is told of the directory as it is now.
    snapshot::load(directory, &source)?;
    snapshot::load(directory, &Source { now_ms: None, ..source })
}

/// What a configuration allows its policies, without their files.
pub(super) fn configured(config: &Config) -> Source {
    let config::Policies { annotations_allowed, global, .. } = &config.policies;
    Source { annotations: annotations_allowed.clone(), global: global.clone(), ..Source::default() }
}

/// Adds what the command line lists.
pub(super) fn with(mut like: Source, annotations: &[String], global: &[String]) -> Source {
    let add = |to: &mut BTreeSet<String>, from: &[String]| to.extend(from.iter().cloned());
    add(&mut like.annotations, annotations);
    add(&mut like.global, global);
    like
}
