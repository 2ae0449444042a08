//! The engine as the bench runs it. Deliberately all that the bench knows of it.

use std::{net::Ipv4Addr, path::Path};

use anyhow::Result;
use seclang::{Health, Inspection, Limits, Overlay, RuleSet};

use crate::{files, requests::Request};

/// A loaded set of rules.
pub(crate) struct Ours {
    rules: RuleSet,
    overlay: Overlay,
}

/// A request in the engine's terms.
pub(crate) struct Asked<'a> {
    request: &'a Request,
    headers: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Asked<'a> {
    /// Of a request.
    pub(crate) fn new(request: &'a Request) -> Self {
        let headers = request.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        Self { request, headers }
    }
}

impl Ours {
    /// Loads a file and what it includes.
    pub(crate) fn load(file: &Path) -> Result<Self> {
        let rules = files::load(&[files::read(file)?])?;
        Ok(Self { rules, overlay: Overlay::default() })
    }

    /// Looks at a request, all phases that have one.
    pub(crate) fn run(&self, asked: &Asked<'_>) -> Inspection<'_> {
        let request = seclang::Request {
            method: asked.request.method.as_bytes(),
            target: asked.request.target.as_bytes(),
            protocol: b"HTTP/1.1",
            headers: &asked.headers,
            body: &asked.request.body,
            client: Ipv4Addr::LOCALHOST.into(),
            client_port: 40_000,
            id: "bench",
        };
        let mut inspection = self.rules.inspect(&request, &self.overlay, &Limits::default());
        inspection.finish();
        inspection
    }

    /// The rules that match, and whether all was looked at.
    pub(crate) fn look(&self, request: &Request) -> (Vec<u64>, Health) {
        let outcome = self.run(&Asked::new(request)).outcome();
        (outcome.matched.into_iter().map(u64::from).collect(), outcome.health)
    }
}
