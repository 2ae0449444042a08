//! Routes: which request means what.
//!
//! A host has one tree of path templates. The most specific host answers, then the most specific
//! path (text before a parameter, a parameter before the rest of a path, segment by segment from
//! the left), then the method: a path that is known by another method is a wrong method, never a
//! less specific path. No method implies another; `HEAD` and `OPTIONS` are listed like the rest.
//! Paths that begin with `/.portcullis/` are the gateway's own and belong to no route.
//!
//! It sees decoded segments, each decoded once, and decides nothing.

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv6Addr,
    sync::Arc,
};

use http::Method;
use ledger::event::Durability;
use signals::Checks;
use verdict::{Action, Resource};

use crate::config::{Api, Upstream};
use crate::cors::Cors;

mod origin;
mod recorded;
mod resource;
mod template;
#[cfg(test)]
mod tests;

pub use origin::{Origin, Origins};
pub use recorded::Hidden;
pub use resource::{ResourceError, ResourceRule};
use template::Segment;
pub use template::{RESERVED, SEGMENTS_MAX, Template, TemplateError};

/// Bytes of a resource's id. It is recorded whole, and more than once.
pub const RESOURCE_ID_BYTES_MAX: usize = 2048;

/// What a request means, who decides about it how, and where it goes.
#[derive(Debug)]
pub struct Route {
    /// Its name, one within its API.
    pub name: String,
    /// The API it belongs to.
    pub api: Arc<Api>,
    /// Its methods, sorted, at least one.
    pub methods: Vec<Method>,
    /// Its path.
    pub template: Template,
    /// The Cedar action that a request is.
    pub action: Action,
    /// The Cedar resource that it is about.
    pub resource: ResourceRule,
    /// The parameters that the record, and policy with it, do not get as they are.
    pub hidden: BTreeMap<String, Hidden>,
    /// Where it goes.
    pub upstream: Arc<Upstream>,
    /// What the configuration says of durability, if anything; see [`Route::durability`].
    pub audit: Option<Durability>,
    /// The checks that look at it. Its rate limit is counted for the route by itself.
    pub checks: Checks,
    /// How much of the body the checks look at before the decision.
    pub inspect: Inspect,
    /// A segment may hold an encoded slash.
    pub encoded_slash_opaque: bool,
    /// A segment may hold `;`.
    pub matrix_params_opaque: bool,
    /// The upstream gets the client's `Authorization`.
    pub forward_authorization: bool,
    /// What the pages of other origins may do with it.
    pub cors: Option<Cors>,
}

/// How much of a body is looked at before the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inspect {
    /// Nothing.
    None,
    /// At most so many bytes, at least 1.
    Bytes(usize),
}

impl Route {
    /// What must be on disk when: as configured, else before the answer for methods that only
    /// ask (`GET`, `HEAD`, `OPTIONS`), and before the upstream sees anything for all others.
    pub fn durability(&self, method: &Method) -> Durability {
        let asks = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        let default = if asks { Durability::Gated } else { Durability::Strict };
        self.audit.unwrap_or(default)
    }

    /// The Cedar resource of a request, given what [`Routes::find`] bound, as recorded; `None`
    /// if its id is longer than [`RESOURCE_ID_BYTES_MAX`].
    pub fn resource(&self, params: &[(String, String)]) -> Option<Resource> {
        let id = self.resource.id(params);
        (id.len() <= RESOURCE_ID_BYTES_MAX).then(|| Resource {
            kind: self.resource.kind.clone(),
            id,
            api: self.api.name.clone(),
        })
    }
}

/// A host that a route answers for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// One label in front of this domain: `*.example.com`.
    AnyLabel(String),
}

impl HostPattern {
    /// Reads a host in canonical form, as requests have it. The error is the canonical form, if
    /// there is one.
    ///
    /// # Errors
    /// An IPv6 address that is written in another way, or that is none.
    pub fn parse(text: &str) -> Result<Self, Option<String>> {
        if let Some(domain) = text.strip_prefix("*.") {
            return Ok(Self::AnyLabel(domain.to_owned()));
        }
        if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            let canonical = address.parse::<Ipv6Addr>().map(|address| format!("[{address}]"));
            return match canonical {
                Ok(canonical) if canonical == text => Ok(Self::Exact(canonical)),
                other => Err(other.ok()),
            };
        }
        Ok(Self::Exact(text.to_owned()))
    }
}

/// What [`Routes::find`] found.
#[derive(Debug, Clone)]
pub enum Match {
    /// The route, and what its parameters are, decoded, from the left.
    Found {
        /// The route.
        route: Arc<Route>,
        /// Names and values.
        params: Vec<(String, String)>,
    },
    /// The path is known, the method is not.
    WrongMethod {
        /// The methods of the path, sorted, for `Allow` (RFC 9110 §10.2.1).
        allow: String,
        /// A route of that path: its API and template say what was asked.
        route: Arc<Route>,
    },
    /// No such host or path.
    NoRoute,
}

impl Match {
    /// The route of the path, whatever its methods.
    pub fn route(&self) -> Option<&Route> {
        match self {
            Self::Found { route, .. } | Self::WrongMethod { route, .. } => Some(route),
            Self::NoRoute => None,
        }
    }
}

/// All routes.
#[derive(Debug, Default)]
pub struct Routes {
    exact: HashMap<String, Branch>,
    /// By the domain behind the label.
    any_label: HashMap<String, Branch>,
    all: Vec<Arc<Route>>,
    /// Those that hide a parameter.
    hiding: Vec<Arc<Route>>,
}

/// A place in the tree of one host, reached by the segments before it.
#[derive(Debug, Default)]
struct Branch {
    literals: HashMap<String, Branch>,
    parameter: Option<Box<Branch>>,
    rest: Leaf,
    leaf: Leaf,
}

/// The routes of one path, by method.
#[derive(Debug, Default)]
struct Leaf(BTreeMap<String, Arc<Route>>);

impl Routes {
    /// Adds a route for its API's hosts.
    ///
    /// # Errors
    /// The route that already answers for one of its hosts, the path and a method of it. This
    /// route may then have been added for other hosts.
    pub fn insert(&mut self, route: Arc<Route>) -> Result<(), Arc<Route>> {
        self.all.push(route.clone());
        self.note_hiding(&route);
        for host in &route.api.hosts {
            let branch = match host {
                HostPattern::Exact(host) => self.exact.entry(host.clone()),
                HostPattern::AnyLabel(domain) => self.any_label.entry(domain.clone()),
            };
            let leaf = branch.or_default().leaf_mut(&route.template.segments);
            for method in &route.methods {
                match leaf.0.get(method.as_str()) {
                    Some(other) => return Err(other.clone()),
                    None => leaf.0.insert(method.as_str().to_owned(), route.clone()),
                };
            }
        }
        Ok(())
    }

    /// What a request means. `host` is canonical: lower case, no port; `path` is the decoded
    /// segments, none for `/`, the last one empty for a path that ends with `/`.
    pub fn find(&self, host: &str, method: &Method, path: &[String]) -> Match {
        let path = match path {
            [only] if only.is_empty() => &[],
            path => path,
        };
        let Some(leaf) = self.host(host).and_then(|branch| branch.find(path)) else {
            return Match::NoRoute;
        };
        match (leaf.0.get(method.as_str()), leaf.0.values().next()) {
            (Some(route), _) => {
                Match::Found { route: route.clone(), params: route.template.bind(path) }
            }
            (None, Some(route)) => {
                let methods: Vec<&str> = leaf.0.keys().map(String::as_str).collect();
                Match::WrongMethod { allow: methods.join(", "), route: route.clone() }
            }
            (None, None) => Match::NoRoute,
        }
    }

    /// Every route, as configured.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.all.iter()
    }

    fn host(&self, host: &str) -> Option<&Branch> {
        self.exact.get(host).or_else(|| {
            let (label, domain) = host.split_once('.')?;
            self.any_label.get(domain).filter(|_| !label.is_empty())
        })
    }
}

impl Branch {
    fn leaf_mut(&mut self, template: &[Segment]) -> &mut Leaf {
        match template.split_first() {
            None => &mut self.leaf,
            Some((Segment::Literal(text), after)) => {
                self.literals.entry(text.clone()).or_default().leaf_mut(after)
            }
            Some((Segment::Parameter(_), after)) => {
                self.parameter.get_or_insert_default().leaf_mut(after)
            }
            Some((Segment::Rest(_), _)) => &mut self.rest,
        }
    }

    /// The most specific leaf. Each branch is looked at once at most: only one path leads to it.
    fn find(&self, path: &[String]) -> Option<&Leaf> {
        if path.first().is_some_and(|segment| segment == RESERVED) {
            return None;
        }
        self.search(path)
    }

    fn search(&self, path: &[String]) -> Option<&Leaf> {
        let Some((segment, after)) = path.split_first() else {
            return Some(&self.leaf).filter(|leaf| !leaf.0.is_empty());
        };
        let literal = || self.literals.get(segment)?.search(after);
        let parameter = || self.parameter.as_ref().filter(|_| !segment.is_empty())?.search(after);
        let rest = || Some(&self.rest).filter(|rest| !rest.0.is_empty() && !segment.is_empty());
        literal().or_else(parameter).or_else(rest)
    }
}
