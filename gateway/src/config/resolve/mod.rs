//! From what is written to what is meant: references are followed, texts become addresses and
//! times, and what does not make sense together is reported, all of it at once.
//!
//! It reads no file and no environment: that a certificate exists is seen when it is loaded.

mod api;
mod audit;
mod issuer;
mod listener;
mod origin;
mod upstream;
mod waf;

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use super::{
    Admin, Candidate, Config, Drain, Gateway, Health, Policies, Reload, Sites,
    problem::{Place, Problems, quoted},
    raw,
    tree::{Node, Value},
    units::Time,
};
use crate::bundle::Kept;
use crate::candidate::Share;

/// What is known besides the configuration's text.
pub(super) struct Around<'a> {
    /// The directory of the main file.
    pub(super) base: &'a Path,
    /// The digest of all files.
    pub(super) digest: String,
    /// Names that are declared, also where what they stand for is broken.
    pub(super) upstreams: BTreeSet<String>,
    /// As above.
    pub(super) issuers: BTreeSet<String>,
    /// Listeners that say neither `tls` nor `plain`, right or wrong.
    pub(super) bare: BTreeSet<Place>,
}

/// Resolves what is written. `None` goes with at least one problem.
pub(super) fn config(
    raw: raw::Main,
    root: &Node,
    around: Around<'_>,
    problems: &mut Problems,
) -> Option<Config> {
    let here = Here::root(root);
    let (listeners, tls) = listener::listeners(&raw, here, &around, problems);
    let health = raw.health.as_ref().and_then(|health| {
        let address =
            listener::address(&health.address, here.key("health").key("address"), problems)?;
        Some(Health { address })
    });
    let admin = raw.admin.as_ref().and_then(|admin| {
        let here = here.key("admin").key("address");
        let address = listener::address(&admin.address, here, problems)?;
        if !address.ip().is_loopback() {
            let message = format!(
                "`{address}` is not loopback: the admin listener is for this machine alone"
            );
            problems.add(here.at, message);
        }
        Some(Admin { address })
    });
    let pseudonyms = raw.audit.as_ref().is_some_and(|audit| audit.pseudonym_key.is_some());
    let audit =
        raw.audit.map(|audit| audit::audit(audit, here.key("audit"), around.base, problems));
    let drain = drain(&raw.drain, here.key("drain"), problems);
    let issuers = issuer::issuers(raw.issuers, here.key("issuers"), around.base, problems);
    let upstreams = upstream::upstreams(raw.upstreams, here.key("upstreams"), problems);
    let mut views = waf::Views::of(&raw.waf, here.key("waf"), problems);
    let known = api::Known {
        upstreams: &upstreams,
        upstream_names: &around.upstreams,
        issuer_names: &around.issuers,
        pseudonyms,
    };
    let (apis, routes, actions) =
        api::apis(raw.apis, here.key("apis"), &known, &mut views, problems);
    let waf = views.finish(&raw.waf, here.key("waf"), around.base, problems);
    let origins = origin::origins(
        &raw.origins,
        apis.values().map(Arc::as_ref),
        here.key("origins"),
        problems,
    );
    let sites = Sites { tls, keys: problems.site(here.key("audit").key("keys").at) };
    let gateway = raw.gateway?;
    let policies = policies(raw.policies?, here.key("policies"), around.base, problems);
    Some(Config {
        gateway: Gateway {
            domain: gateway.domain.0,
            cluster: gateway.cluster.0,
            instance: gateway.instance.0,
            workers: gateway.workers.map(usize::from),
        },
        listeners,
        health,
        admin,
        policies,
        waf,
        audit: audit??,
        issuers,
        upstreams,
        apis,
        routes,
        origins,
        drain,
        reload: Reload { watch: raw.reload.watch },
        digest: around.digest,
        files: Vec::new(),
        sites,
        actions,
    })
}

/// The share that is written. The schema has seen that it is one: what is not would be none.
fn share(percent: &raw::Percent) -> Share {
    match percent {
        raw::Percent::Whole(percent) => Share::of_million(percent.saturating_mul(10_000)),
        raw::Percent::Decimals(text) => {
            let (whole, decimals) = text.0.split_once('.').unwrap_or((&text.0, ""));
            let millionths: Option<u32> = format!("{whole}{decimals:0<4}").parse().ok();
            Share::of_million(millionths.unwrap_or(0))
        }
    }
}

fn policies(raw: raw::Policies, here: Here<'_>, base: &Path, problems: &mut Problems) -> Policies {
    if raw.start_from_kept && raw.keep.is_none() {
        let message = "there is nothing to start from without `policies.keep`";
        problems.add(here.key("start_from_kept").at, message);
    }
    Policies {
        directory: base.join(raw.directory),
        annotations_allowed: raw.annotations_allowed.into_iter().map(|a| a.0).collect(),
        global: raw.global.into_iter().collect(),
        messages: raw.messages.into_iter().map(|(id, text)| (id.0, text)).collect(),
        candidate: raw.candidate.map(|candidate| Candidate {
            directory: base.join(candidate.directory),
            share: share(&candidate.percent),
        }),
        require_manifest: raw.require_manifest,
        keep: raw.keep.map(|keep| Kept {
            directory: base.join(keep.directory),
            sets_max: usize::try_from(keep.sets_max).unwrap_or(usize::MAX),
        }),
        start_from_kept: raw.start_from_kept,
    }
}

fn drain(raw: &raw::Drain, here: Here<'_>, problems: &mut Problems) -> Drain {
    at_most(raw.delay, MINUTE * 10, here.key("delay"), problems);
    at_most(raw.deadline, MINUTE * 60, here.key("deadline"), problems);
    Drain { delay: raw.delay.0, deadline: raw.deadline.0 }
}

const MINUTE: Duration = Duration::from_secs(60);

/// Reports a time above what makes sense.
fn at_most(time: Time, max: Duration, here: Here<'_>, problems: &mut Problems) {
    if time.0 > max {
        let max = Time(max);
        problems.add(here.at, format!("{time} is above {max}, the most allowed"));
    }
}

/// Reports what is written in a form that only looks right.
fn not(noun: &str, text: &str, here: Here<'_>, problems: &mut Problems) {
    problems.add(here.at, format!("{} is not {noun}", quoted(text)));
}

/// A place in the tree: that of a value, or of the nearest thing around it that was written.
#[derive(Clone, Copy)]
struct Here<'a> {
    node: Option<&'a Node>,
    at: Place,
}

impl<'a> Here<'a> {
    fn root(root: &'a Node) -> Self {
        Self { node: Some(root), at: root.at }
    }

    /// The value of a key.
    fn key(self, key: &str) -> Self {
        let value = self.node.and_then(|node| node.get(key));
        Self { node: value, at: value.map_or(self.at, |value| value.at) }
    }

    /// The key itself.
    fn name(self, key: &str) -> Self {
        let entry = self.node.and_then(|node| node.entry(key));
        Self { node: None, at: entry.map_or(self.at, |entry| entry.at) }
    }

    /// An item of a list.
    fn item(self, index: usize) -> Self {
        let item = match self.node.map(|node| &node.value) {
            Some(Value::List(items)) => items.get(index),
            _ => None,
        };
        Self { node: item, at: item.map_or(self.at, |item| item.at) }
    }
}
