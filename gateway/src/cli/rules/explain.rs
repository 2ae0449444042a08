//! `portcullis rules explain`: what rules find in a request, where, and what it counts for.
//!
//! The request is looked at as it is written: it need not be one that the gateway would read.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::Context as _;
use signals::{MatchedData, RuleHealth, RuleLimits, RuleRequest};

use super::{Chosen, Format, invalid};
use crate::cli::{DENIED, OK};

/// Say what the rules find in a request
///
/// Exit codes: 0 it scores below the threshold, 2 it does not or was not looked at whole, 3 the
/// rules are wrong.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Explain {
    #[command(flatten)]
    chosen: Chosen,
    /// A file with an HTTP/1.1 request as it is sent: request line, fields, an empty line, content
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The paranoia level, instead of what the files say
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=4))]
    paranoia: Option<u8>,
    /// Show what matched whole, which may be somebody's secret; else it is masked
    #[arg(long)]
    matched: bool,
}

impl Explain {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let ruleset = match self.chosen.load() {
            Ok(ruleset) => ruleset,
            Err(problems) => return invalid("explain", &problems, Format::Text, out),
        };
        let name = self.request.display();
        let text = std::fs::read(&self.request).with_context(|| format!("read `{name}`"))?;
        let written = Written::read(&text).with_context(|| format!("`{name}` is no request"))?;
        let set = ruleset.rules().set();
        let settings =
            signals::RuleEngineSettings { paranoia: self.paranoia, ..Default::default() };
        let overlay = set.overlay(&settings).map_err(anyhow::Error::msg)?;
        let mut inspection = set.inspect(&written.asked(), &overlay, &RuleLimits::default());
        inspection.finish();
        let data = if self.matched { MatchedData::Plain } else { MatchedData::Masked };
        let outcome = inspection.outcome_with(data);
        for hit in &outcome.hits {
            writeln!(out, "{} {}", hit.id, hit.message)?;
            let matched = hit.data.as_deref().unwrap_or_default();
            writeln!(out, "  {} {matched}", hit.target)?;
            if let Some(place) = set.place(hit.place) {
                writeln!(out, "  {place}")?;
            }
            if let Some(log) = &hit.log {
                writeln!(out, "  {log}")?;
            }
        }
        for (category, score) in &outcome.categories {
            writeln!(out, "{category}: {score}")?;
        }
        let (health, whole) = match outcome.health {
            RuleHealth::Ok => ("ok", true),
            RuleHealth::Truncated => ("truncated", false),
            RuleHealth::Malformed(reason) => (reason.as_str(), false),
        };
        writeln!(
            out,
            "rules explain: hits={} score={} threshold={} health={health}",
            outcome.hits.len(),
            outcome.score,
            outcome.threshold
        )?;
        Ok(if whole && outcome.score < outcome.threshold { OK } else { DENIED })
    }
}

/// A request as it is written in a file. Lines may end with LF alone.
struct Written<'a> {
    method: &'a [u8],
    target: &'a [u8],
    protocol: &'a [u8],
    headers: Vec<(&'a [u8], &'a [u8])>,
    body: &'a [u8],
}

impl<'a> Written<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        let (line, mut rest) = line(text);
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let (method, target) = (words.next()?, words.next()?);
        let protocol = words.next().unwrap_or(b"HTTP/1.1");
        let mut headers = Vec::new();
        while !rest.is_empty() {
            let (field, after) = self::line(rest);
            rest = after;
            if field.is_empty() {
                break;
            }
            let colon = field.iter().position(|byte| *byte == b':')?;
            let (name, value) = field.split_at_checked(colon)?;
            headers.push((name, value.get(1..)?.trim_ascii()));
        }
        Some(Self { method, target, protocol, headers, body: rest })
    }

    fn asked(&self) -> RuleRequest<'_> {
        RuleRequest {
            method: self.method,
            target: self.target,
            protocol: self.protocol,
            headers: &self.headers,
            body: self.body,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            client_port: 0,
            id: "",
        }
    }
}

/// The first line, and what comes after it.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n');
    let (line, rest) = match end.and_then(|end| text.split_at_checked(end)) {
        Some((line, rest)) => (line, rest.get(1..).unwrap_or_default()),
        None => (text, &b""[..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cli::INVALID;

    const RULES: &str = "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=5\"\n\
        SecRule ARGS \"@rx (?i)union\\s+select\" \"id:2,phase:2,deny,t:none,t:urlDecodeUni,\
        msg:'a query',setvar:'tx.anomaly_score=+5'\"\n";

    fn run(rules: &str, request: &str, matched: bool) -> (u8, String) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.conf");
        let asked = directory.path().join("request");
        fs::write(&file, rules).unwrap();
        fs::write(&asked, request).unwrap();
        let chosen = Chosen { files: vec![file], config: None };
        let explain = Explain { chosen, request: asked, paranoia: None, matched };
        let mut out = Vec::new();
        let code = explain.run(&mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_hit_is_told_with_its_place_and_masked() {
        let request =
            "GET /?q=0123456789%20union%20select%20secret HTTP/1.1\r\nHost: a.test\r\n\r\n";
        let (code, text) = run(RULES, request, false);
        assert_eq!(code, DENIED, "{text}");
        assert!(text.starts_with("2 a query\n  ARGS:q "), "{text}");
        assert!(text.contains("a.conf:2"), "{text}");
        assert!(!text.contains("secret"), "{text}");
        assert!(text.ends_with("rules explain: hits=1 score=5 threshold=5 health=ok\n"), "{text}");
        assert!(run(RULES, request, true).1.contains("union select"));
    }

    #[test]
    fn content_is_looked_at_and_nothing_found_is_said() {
        let head =
            "POST / HTTP/1.1\nHost: a.test\nContent-Type: application/x-www-form-urlencoded\n\n";
        assert_eq!(run(RULES, &format!("{head}a=union+select+1"), false).0, DENIED);
        let (code, text) = run(RULES, &format!("{head}a=1"), false);
        assert_eq!(code, OK);
        assert_eq!(text, "rules explain: hits=0 score=0 threshold=5 health=ok\n");
        let json = "POST / HTTP/1.1\nHost: a.test\nContent-Type: application/json\n\n{\"a\":";
        let with = format!(
            "{RULES}SecRule REQUEST_HEADERS:Content-Type \"@contains json\" \
             \"id:3,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON\"\n"
        );
        assert_eq!(run(&with, json, false).0, DENIED, "what is malformed is not looked at whole");
    }

    #[test]
    fn wrong_rules_are_told() {
        let (code, text) = run("SecRule", "GET / HTTP/1.1\n\n", false);
        assert_eq!(code, INVALID);
        assert!(text.ends_with("rules explain: problems=1\n"), "{text}");
    }
}
