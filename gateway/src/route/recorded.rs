//! How a path is recorded: its parameters as they are, under a pseudonym, or not at all.
//!
//! What is recorded is what policy is asked about, so that a recorded question can be asked again.
//! What goes upstream is not its matter: that is the path as it came.

use std::sync::Arc;

use super::{Route, Routes};
use crate::pseudonym::Pseudonyms;

/// What stands for a secret.
const SECRET: &str = "*";

/// How a parameter is kept out of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// It has a pseudonym.
    Pseudonym,
    /// Nothing tells it from another.
    Secret,
}

impl Route {
    /// What [`Routes::find`] bound, as it is recorded. Without a key for them, pseudonyms are
    /// secrets; a load without one that they need has failed.
    pub fn recorded(
        &self,
        mut params: Vec<(String, String)>,
        pseudonyms: Option<&Pseudonyms>,
    ) -> Vec<(String, String)> {
        for (name, value) in &mut params {
            match (self.hidden.get(name), pseudonyms) {
                (None, _) => {}
                (Some(Hidden::Pseudonym), Some(pseudonyms)) => *value = pseudonyms.parameter(value),
                (Some(_), _) => SECRET.clone_into(value),
            }
        }
        params
    }

    /// The path as it is recorded, from the path as it came (`raw`), its decoded segments and
    /// [`Route::recorded`]; `None` if that is as it came.
    pub fn recorded_path(
        &self,
        raw: &str,
        path: &[String],
        recorded: &[(String, String)],
    ) -> Option<String> {
        let is_hidden = |name: &str| self.hidden.contains_key(name);
        let shown = |name: &str| recorded.iter().find(|(known, _)| known == name);
        let mut text = String::with_capacity(raw.len());
        let mut last = None;
        let names =
            self.template.parameter_of(path).map(|name| name.filter(|name| is_hidden(name)));
        for (segment, name) in raw.strip_prefix('/')?.split('/').zip(names) {
            match name {
                None => text.extend(["/", segment]),
                Some(name) if last == Some(name) => {} // the rest of a path is one parameter
                Some(name) => {
                    text.extend(["/", shown(name).map_or(SECRET, |(_, value)| value.as_str())]);
                }
            }
            last = name;
        }
        (!self.hidden.is_empty()).then_some(text)
    }
}

impl Routes {
    /// Whether a route hides a parameter.
    pub fn hide(&self) -> bool {
        !self.hiding.is_empty()
    }

    /// The path of a request that policy is not asked about: whatever stands where some route, of
    /// whichever host and method, hides a parameter, is left out. `None` if nothing is.
    pub fn concealed_path(&self, raw: &str, path: &[String]) -> Option<String> {
        let mut segments: Vec<&str> = raw.strip_prefix('/')?.split('/').collect();
        let mut changed = false;
        for route in &self.hiding {
            let names = route.template.parameter_of(path);
            for (segment, name) in segments.iter_mut().zip(names) {
                if name.is_some_and(|name| route.hidden.contains_key(name)) {
                    (*segment, changed) = (SECRET, true);
                }
            }
        }
        changed.then(|| format!("/{}", segments.join("/")))
    }

    pub(super) fn note_hiding(&mut self, route: &Arc<Route>) {
        if !route.hidden.is_empty() {
            self.hiding.push(Arc::clone(route));
        }
    }
}
