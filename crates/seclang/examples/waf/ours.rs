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

/// What came of it.
pub(crate) struct Look {
    /// The rules that matched.
    pub(crate) ids: Vec<u64>,
    /// Whether all was looked at.
    pub(crate) health: Health,
    /// What transformations and operators read.
    pub(crate) work_bytes: u64,
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

    /// Looks at a request for what comes of it.
    pub(crate) fn look(&self, request: &Request) -> Look {
        let inspection = self.run(&Asked::new(request));
        let outcome = inspection.outcome();
        let ids = outcome.matched.into_iter().map(u64::from).collect();
        Look { ids, health: outcome.health, work_bytes: inspection.work_bytes() }
    }
}
