//! APIs and their routes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use http::Method;
use ledger::event::Durability;
use signals::{Checks, RateKey, RateLimit};
use verdict::Action;

use super::waf::Views;
use super::{Here, MINUTE, at_most, audit::KEY_LACKING};
use crate::{
    config::{
        ActionUse, Api, Upstream,
        problem::{Place, Problems, did_you_mean, quoted},
        raw,
        units::{Name, Size},
    },
    cors::{Cors, Origins},
    route::{Hidden, HostPattern, Inspect, ResourceRule, Route, Routes, Template},
};

/// The most of a body that is held back until the decision.
const INSPECT_BYTES_MAX: u64 = 1 << 20;

/// What the rule engine looks at unless the route says otherwise.
const INSPECT_BYTES_DEFAULT: usize = 64 << 10;

/// Cedar namespaces that are not an operator's.
const NAMESPACES_RESERVED: [&str; 2] = ["Portcullis", "__cedar"];

/// What routes may refer to.
pub(super) struct Known<'a> {
    pub(super) upstreams: &'a BTreeMap<String, Arc<Upstream>>,
    pub(super) upstream_names: &'a BTreeSet<String>,
    pub(super) issuer_names: &'a BTreeSet<String>,
    /// There is a key for pseudonyms.
    pub(super) pseudonyms: bool,
}

type Apis = BTreeMap<String, Arc<Api>>;

pub(super) fn apis(
    raw: BTreeMap<Name, raw::Api>,
    apis_here: Here<'_>,
    known: &Known<'_>,
    views: &mut Views,
    problems: &mut Problems,
) -> (Apis, Arc<Routes>, Vec<ActionUse>) {
    let mut apis = BTreeMap::new();
    let mut found: Vec<(Here<'_>, Arc<Route>)> = Vec::new();
    for (Name(name), raw) in raw {
        let here = apis_here.key(&name);
        let api = Arc::new(api(name.clone(), &raw, here, known, problems));
        let of_api = raw.cors.as_ref().map(|raw| cors(raw, here.key("cors"), problems));
        let mut names: BTreeMap<&str, Place> = BTreeMap::new();
        for (index, raw) in raw.routes.iter().enumerate() {
            let here = here.key("routes").item(index);
            if let Some(first) = names.insert(&raw.name.0, here.key("name").at) {
                let first = format!("first at {}", problems.show(first));
                let message = format!("the API has two routes `{}`", raw.name);
                problems.add_hinted(here.key("name").at, message, first);
            }
            let of = format!("{name}/{}", raw.name);
            let view = views.of_route(of, raw.waf.as_ref(), here.key("waf"), problems);
            let of_all = OfAll { cors: of_api.as_ref(), view };
            let route = route(raw, &api, of_all, here, known, problems);
            found.extend(route.map(|route| (here, Arc::new(route))));
        }
        apis.insert(name, api);
    }
    found.sort_by_key(|(here, _)| here.at);
    let actions = found.iter().map(|(here, route)| action_use(route, apis_here, *here, problems));
    let actions = actions.collect();
    (apis, Arc::new(routes(found, problems)), actions)
}

fn api(
    name: String,
    raw: &raw::Api,
    here: Here<'_>,
    known: &Known<'_>,
    problems: &mut Problems,
) -> Api {
    let outermost = raw.namespace.0.split("::").next().unwrap_or_default();
    if NAMESPACES_RESERVED.contains(&outermost) {
        let message = format!("the namespace `{}` is reserved", raw.namespace);
        problems.add(here.key("namespace").at, message);
    }
    let mut hosts = Vec::new();
    for (index, host) in raw.hosts.iter().enumerate() {
        match HostPattern::parse(&host.0) {
            Ok(host) => hosts.push(host),
            Err(meant) => {
                let message = format!("{} is not a host as requests name it", quoted(&host.0));
                let hint = meant.map(|meant| format!("did you mean `{meant}`?"));
                problems.add_hinted(here.key("hosts").item(index).at, message, hint);
            }
        }
    }
    let issuers = match &raw.issuers {
        raw::Issuers::None(_) => &[][..],
        raw::Issuers::Listed(names) => names,
    };
    for (index, Name(name)) in issuers.iter().enumerate() {
        let here = here.key("issuers").item(index);
        refers("issuer", name, known.issuer_names, here, problems);
    }
    let issuers = issuers.iter().map(|name| name.0.clone()).collect();
    Api { name, hosts, namespace: raw.namespace.0.clone(), issuers }
}

/// What a route has that is not said at it.
#[derive(Clone, Copy)]
struct OfAll<'a> {
    /// What the pages of other origins may do, if the API says.
    cors: Option<&'a Cors>,
    /// What the rules count for.
    view: usize,
}

fn route(
    raw: &raw::Route,
    api: &Arc<Api>,
    of_all: OfAll<'_>,
    here: Here<'_>,
    known: &Known<'_>,
    problems: &mut Problems,
) -> Option<Route> {
    let methods = methods(raw, here.key("methods"), problems);
    let inspect = inspect(raw, here.key("inspect"), problems);
    let own = raw.cors.as_ref().map(|raw| cors(raw, here.key("cors"), problems));
    if let Some(rate) = &raw.rate {
        at_most(rate.window, MINUTE * 60 * 24, here.key("rate").key("window"), problems);
    }
    refers("upstream", &raw.upstream.0, known.upstream_names, here.key("upstream"), problems);
    let template = template(raw, here, problems)?;
    let id = here.key("resource").key("id");
    let kind = match raw.resource.kind.0.contains("::") {
        true => raw.resource.kind.0.clone(),
        false => format!("{}::{}", api.namespace, raw.resource.kind),
    };
    let resource = ResourceRule::parse(kind, &raw.resource.id.0, &template)
        .map_err(|error| {
            let message = format!("the id {}: {error}", quoted(&raw.resource.id.0));
            let names: Vec<&str> = template.parameters().collect();
            let hint =
                (!names.is_empty()).then(|| format!("the path has `{}`", names.join("`, `")));
            problems.add_hinted(id.at, message, hint);
        })
        .ok()?;
    let hidden = hidden(raw, &template, &resource, here, known, problems);
    Some(Route {
        name: raw.name.0.clone(),
        api: api.clone(),
        methods,
        template,
        action: Action { namespace: api.namespace.clone(), name: raw.action.0.clone() },
        resource,
        hidden,
        upstream: known.upstreams.get(&raw.upstream.0)?.clone(),
        audit: raw.audit.map(durability),
        checks: checks(raw, api, inspect, of_all.view),
        inspect,
        encoded_slash_opaque: raw.encoded_slash == raw::Unusual::Opaque,
        matrix_params_opaque: raw.matrix_params == raw::Unusual::Opaque,
        forward_authorization: raw.forward_authorization,
        cors: own.or_else(|| of_all.cors.cloned()),
    })
}

fn cors(raw: &raw::Cors, here: Here<'_>, problems: &mut Problems) -> Cors {
    at_most(raw.max_age, MINUTE * 60 * 24, here.key("max_age"), problems);
    let any = raw.origins.iter().any(|origin| origin.0 == "*");
    if any && raw.origins.len() > 1 {
        problems.add(here.key("origins").at, "`*` stands alone: it is every origin");
    }
    if any && raw.credentials {
        let message = "credentials cannot go with `*`: every page could act as its visitor";
        problems.add_hinted(here.key("credentials").at, message, "list the origins".to_owned());
    }
    let listed = raw.origins.iter().map(|origin| origin.0.clone()).collect();
    Cors {
        origins: if any { Origins::Any } else { Origins::Listed(listed) },
        headers: raw.headers.iter().map(|name| name.0.to_ascii_lowercase()).collect(),
        max_age: raw.max_age.0,
        credentials: raw.credentials,
    }
}

fn methods(raw: &raw::Route, here: Here<'_>, problems: &mut Problems) -> Vec<Method> {
    let mut methods = Vec::new();
    for (index, text) in raw.methods.iter().enumerate() {
        let here = here.item(index);
        match Method::from_bytes(text.0.as_bytes()) {
            Ok(Method::CONNECT | Method::TRACE) => {
                problems.add(here.at, format!("`{text}` is never forwarded"));
            }
            Ok(method) => methods.push(method),
            Err(_) => super::not("a method", &text.0, here, problems),
        }
    }
    methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    methods
}

fn template(raw: &raw::Route, here: Here<'_>, problems: &mut Problems) -> Option<Template> {
    let path = here.key("path");
    let template = match Template::parse(&raw.path.0) {
        Ok(template) => template,
        Err(error) => {
            problems.add(path.at, format!("the path {}: {error}", quoted(&raw.path.0)));
            return None;
        }
    };
    if template.has_rest() && raw.encoded_slash == raw::Unusual::Opaque {
        // `a%2Fb` and `a/b` would be one resource to policy and two to the upstream.
        let message = "a path with `{*…}` cannot take encoded slashes";
        problems.add(here.key("encoded_slash").at, message);
    }
    Some(template)
}

/// The parameters that are not recorded as they are.
fn hidden(
    raw: &raw::Route,
    template: &Template,
    resource: &ResourceRule,
    here: Here<'_>,
    known: &Known<'_>,
    problems: &mut Problems,
) -> BTreeMap<String, Hidden> {
    let here = here.key("parameters");
    let mut hidden = BTreeMap::new();
    for (Name(name), shown) in &raw.parameters {
        let at = here.name(name).at;
        if template.parameters().all(|parameter| parameter != name) {
            let hint = did_you_mean(name, template.parameters());
            problems.add_hinted(at, format!("the path has no parameter `{name}`"), hint);
        }
        let mode = match shown {
            raw::Shown::Plain => continue,
            raw::Shown::Pseudonym => Hidden::Pseudonym,
            raw::Shown::Secret => Hidden::Secret,
        };
        if mode == Hidden::Pseudonym && !known.pseudonyms {
            problems.add(at, KEY_LACKING);
        }
        if mode == Hidden::Secret && resource.parameters().any(|parameter| parameter == name) {
            let message = "a secret cannot be in the resource's id, which policy is asked about";
            problems.add_hinted(at, message, "`pseudonym` can".to_owned());
        }
        hidden.insert(name.clone(), mode);
    }
    hidden
}

fn inspect(raw: &raw::Route, here: Here<'_>, problems: &mut Problems) -> Inspect {
    let waf = raw.checks.contains(&raw::Check::Waf);
    let Some(text) = &raw.inspect else {
        return if waf { Inspect::Bytes(INSPECT_BYTES_DEFAULT) } else { Inspect::None };
    };
    let Ok(size) = Size::try_from(text.0.clone()) else { return Inspect::None };
    if size.0 > INSPECT_BYTES_MAX {
        let max = Size(INSPECT_BYTES_MAX);
        problems.add(here.at, format!("{size} is above {max}, the most allowed"));
    }
    if !waf {
        problems.add(here.at, "no check looks at the body");
    }
    Inspect::Bytes(usize::try_from(size.0).unwrap_or(usize::MAX))
}

fn checks(raw: &raw::Route, api: &Api, inspect: Inspect, view: usize) -> Checks {
    let rate = raw.rate.as_ref().map(|rate| RateLimit {
        scope: format!("{}/{}", api.name, raw.name),
        limit: rate.limit,
        window_ms: u64::try_from(rate.window.0.as_millis()).unwrap_or(u64::MAX),
        key: match rate.key {
            raw::RateKey::Client => RateKey::Client,
            raw::RateKey::Principal => RateKey::Principal,
        },
    });
    let waf = match (raw.checks.contains(&raw::Check::Waf), inspect) {
        (false, _) => signals::Inspect::Nothing,
        (true, Inspect::None) => signals::Inspect::Head,
        (true, Inspect::Bytes(_)) => signals::Inspect::Body,
    };
    Checks { rate, waf, view }
}

fn durability(audited: raw::Audited) -> Durability {
    match audited {
        raw::Audited::Strict => Durability::Strict,
        raw::Audited::Gated => Durability::Gated,
        raw::Audited::Buffered => Durability::Buffered,
    }
}

fn routes(found: Vec<(Here<'_>, Arc<Route>)>, problems: &mut Problems) -> Routes {
    let mut routes = Routes::default();
    let mut places: BTreeMap<(String, String), Place> = BTreeMap::new();
    let key = |route: &Route| (route.api.name.clone(), route.name.clone());
    for (here, route) in found {
        places.entry(key(&route)).or_insert(here.key("path").at);
        if let Err(other) = routes.insert(route.clone()) {
            let message = format!(
                "the route `{}` and the route `{}` of `{}` are for the same requests",
                route.name, other.name, other.api.name
            );
            let first =
                places.get(&key(&other)).map(|at| format!("first at {}", problems.show(*at)));
            problems.add_hinted(here.key("path").at, message, first);
        }
    }
    routes
}

fn action_use(route: &Route, apis: Here<'_>, here: Here<'_>, problems: &Problems) -> ActionUse {
    ActionUse {
        action: route.action.clone(),
        resource_type: route.resource.kind.clone(),
        api: route.api.name.clone(),
        action_site: problems.site(here.key("action").at),
        resource_site: problems.site(here.key("resource").key("type").at),
        api_site: problems.site(apis.name(&route.api.name).at),
    }
}

/// Reports a name that nothing has.
fn refers(
    what: &str,
    name: &str,
    known: &BTreeSet<String>,
    here: Here<'_>,
    problems: &mut Problems,
) {
    if !known.contains(name) {
        let hint = did_you_mean(name, known.iter().map(String::as_str));
        problems.add_hinted(here.at, format!("there is no {what} `{name}`"), hint);
    }
}
