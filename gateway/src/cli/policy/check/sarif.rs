//! Findings as SARIF 2.1.0 (OASIS), which code hosts show beside a change.
//!
//! One run, a rule for each kind of problem whether or not it was found, places as relative URIs
//! where the directory was named relatively. Columns count characters.

use std::io::{self, Write};

use serde_json::{Value, json};
use verdict::Lint;

use super::Finding;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn write(findings: &[Finding], out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &log(findings))?;
    writeln!(out)
}

fn log(findings: &[Finding]) -> Value {
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "portcullis policy check",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": Lint::ALL.map(rule),
            }},
            "columnKind": "unicodeCodePoints",
            "results": findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn rule(lint: Lint) -> Value {
    json!({ "id": lint.id(), "shortDescription": { "text": lint.summary() } })
}

fn result(finding: &Finding) -> Value {
    let Finding { severity, rule, file, line, column, message, hint, text: _ } = finding;
    let text = match hint {
        Some(hint) => format!("{message} (hint: {hint})"),
        None => message.clone(),
    };
    let at = json!({ "uri": uri(file) });
    let place = match line {
        0 => json!({ "artifactLocation": at }),
        _ => json!({
            "artifactLocation": at,
            "region": { "startLine": line, "startColumn": column },
        }),
    };
    json!({
        "ruleId": rule,
        "ruleIndex": Lint::ALL.iter().position(|lint| lint.id() == *rule),
        "level": severity.as_str(),
        "message": { "text": text },
        "locations": [{ "physicalLocation": place }],
    })
}

/// A path as a URI reference (RFC 3986): absolute ones as `file:`, what is not plain in percents.
fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.trim_start_matches("./").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn paths_are_uris() {
        let check = |path: &str, want: &str| assert_eq!(uri(path), want);
        check("policies/a.cedar", "policies/a.cedar");
        check("./policies/a b.cedar", "policies/a%20b.cedar");
        check("/srv/é:%.cedar", "file:///srv/%C3%A9%3A%25.cedar");
    }

    #[test]
    fn a_finding_is_a_result_of_its_rule() {
        let finding = Finding {
            severity: Severity::Warning,
            rule: Lint::Unused.id(),
            file: "policies/entities/a.json".to_owned(),
            line: 2,
            column: 3,
            message: "idle".to_owned(),
            hint: Some("remove it".to_owned()),
            text: None,
        };
        let log = log(&[finding]);
        let run = &log["runs"][0];
        let result = &run["results"][0];
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "unused");
        assert_eq!((&result["ruleId"], &result["level"]), (&json!("unused"), &json!("warning")));
        assert_eq!(result["message"]["text"], "idle (hint: remove it)");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "policies/entities/a.json");
        assert_eq!(place["region"], json!({ "startLine": 2, "startColumn": 3 }));
    }
}
