//! The engine, for the suite: a copy of the CRS as rules, a request and its answer as what they
//! match. Deliberately all that this program knows of the engine.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use seclang::{File, Limits, MatchedData, Overlay, RuleSet, Wanted};

use crate::{reflect::Response, run::Seen, wire::Request};

const SETUP: &str = include_str!("setup.conf");

/// A copy of the CRS, loaded with the suite's settings.
pub(crate) struct Rules {
    rules: RuleSet,
    overlay: Overlay,
    limits: Limits,
}

/// Loads one.
pub(crate) fn load(dir: &Path) -> Result<Rules> {
    let mut files = vec![file(&dir.join("crs-setup.conf.example"))?];
    files.push(File { name: "setup.conf".to_owned(), text: SETUP.as_bytes().to_vec() });
    let mut paths: Vec<PathBuf> = fs::read_dir(dir.join("rules"))
        .with_context(|| dir.display().to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|it| it == "conf"))
        .collect();
    paths.sort();
    for path in paths {
        files.push(file(&path)?);
    }
    match RuleSet::load(&files, &fetch) {
        Ok(loaded) => {
            Ok(Rules { rules: loaded.rules, overlay: Overlay::default(), limits: limits() })
        }
        Err(problems) => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            bail!("{}", problems.join("\n"))
        }
    }
}

/// The suite has a form of more values than a gateway would read, and a request of one length.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.body.json_depth_max = 1024;
    limits
}

fn file(path: &Path) -> Result<File> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(File { name: path.display().to_string(), text })
}

fn fetch(wanted: Wanted<'_>) -> Result<Vec<File>, String> {
    let (from, name) = match wanted {
        Wanted::Include { from, pattern } => (from, pattern),
        Wanted::Data { from, name } => (from, name),
    };
    let path = Path::new(from).parent().unwrap_or(Path::new("")).join(name);
    file(&path).map(|file| vec![file]).map_err(|error| format!("{error:#}"))
}

/// What a request and its answer match.
pub(crate) fn inspect(rules: &Rules, request: &Request, response: &Response) -> Result<Seen> {
    let headers = borrowed(&request.headers);
    let asked = seclang::Request {
        method: &request.method,
        target: &request.target,
        protocol: &request.protocol,
        headers: &headers,
        body: &request.body,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        client_port: 50_000,
        id: "a-transaction",
    };
    let mut inspection = rules.rules.inspect(&asked, &rules.overlay, &rules.limits);
    let headers = borrowed(&response.headers);
    inspection.response(&seclang::Response {
        status: response.status,
        protocol: b"HTTP/1.1",
        headers: &headers,
        body: &response.body,
    });
    inspection.finish();
    let outcome = inspection.outcome_with(MatchedData::Plain);
    let mut seen = Seen::default();
    for hit in &outcome.hits {
        seen.ids.insert(hit.id);
        let log = hit.log.as_deref().unwrap_or_default();
        seen.log += &format!("[id \"{}\"] [msg \"{}\"] [data \"{log}\"]\n", hit.id, hit.message);
    }
    Ok(seen)
}

fn borrowed(headers: &[(Vec<u8>, Vec<u8>)]) -> Vec<(&[u8], &[u8])> {
    headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect()
}
