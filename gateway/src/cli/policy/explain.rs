//! `portcullis policy explain`: why an answer is what it is, and what would turn it.
//!
//! Of a recorded decision it needs the event and the policies that decided it; it verifies
//! neither, which is `audit verify`'s and `audit-sink show`'s to do.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use ledger::Look;
use serde::Deserialize as _;
use serde_json::{Value, json};
use signals::Facts;
use verdict::{
    Basis, Decision, Explained, ExplainedPart, Explanation, Outcome, Policies, RecordedQuestion,
};

use super::{Directory, invalid, read};
use crate::cli::{FAILED, OK};
use crate::snapshot;

/// Say why an answer is what it is, and what would turn it
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("asked").required(true).args(["from", "events", "request"]))]
pub(in crate::cli) struct Explain {
    /// The policies that decided it
    #[arg(long, default_value = "policies")]
    policies: PathBuf,
    /// Annotations that policies may carry besides those Portcullis knows
    #[arg(long)]
    allow_annotation: Vec<String>,
    /// Policy files, by their path in the directory, that hold for every API and may permit there
    #[arg(long, value_name = "FILE")]
    global: Vec<String>,
    /// A decision's id, as the client's problem and the header `Portcullis-Decision-Id` have it
    decision: Option<String>,
    /// The spool that has the decision
    #[arg(long, requires = "decision", value_name = "SPOOL")]
    from: Option<PathBuf>,
    /// A file with the decision's event, one event a line; `-` for what `audit-sink show` prints
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// A file of cases, each of which is asked and explained
    #[arg(long, value_name = "FILE", conflicts_with = "decision")]
    request: Option<PathBuf>,
    /// Explain with these policies although others decided it
    #[arg(long)]
    other_policies: bool,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One object for each question
    Json,
}

/// A question, and what it is called.
struct Asked {
    name: String,
    question: RecordedQuestion,
    facts: Facts,
    /// `unmapped.cedar` of the event, if it is a recorded one.
    recorded: Option<Value>,
}

impl Explain {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let directory = Directory {
            directory: self.policies.clone(),
            allow_annotation: self.allow_annotation.clone(),
            global: self.global.clone(),
        };
        let loaded = directory
            .source()
            .and_then(|source| Ok((snapshot::load(&directory.directory, &source)?, source)));
        let (policies, source) = match loaded {
            Ok(loaded) => loaded,
            Err(problems) => return invalid("explain", &problems, out),
        };
        let all = match (&self.from, &self.events, &self.request) {
            (Some(spool), _, _) => vec![self.recorded(self.lines_of(spool)?)?],
            (_, Some(file), _) => vec![self.recorded(text(file)?.lines().map(str::to_owned))?],
            (_, _, Some(file)) => match read(file)? {
                Ok(cases) => cases.into_iter().map(Asked::of_case).collect(),
                Err(problems) => return invalid("explain", &problems, out),
            },
            (None, None, None) => bail!("nothing is asked about"),
        };
        let (mut code, mut differing) = (OK, 0);
        for asked in &all {
            let explanation = policies.explain(&source, &asked.question, &asked.facts)?;
            let note = asked.differs(&policies, &explanation.basis);
            if note.is_some() {
                differing += 1;
                code = if self.other_policies { code } else { FAILED };
            }
            self.print(asked, &explanation, note.as_deref(), out)?;
        }
        writeln!(out, "policy explain: questions={} differing={differing}", all.len())?;
        Ok(code)
    }

    /// The decision that is asked about, of all events.
    fn recorded(&self, lines: impl Iterator<Item = String>) -> anyhow::Result<Asked> {
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let event: Value = serde_json::from_str(&line).context("an event is not JSON")?;
            let uid = event.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
            let Some(unmapped) = event.get("unmapped").filter(|all| all.get("cedar").is_some())
            else {
                continue;
            };
            if self.decision.as_deref().is_none_or(|wanted| wanted == uid) {
                return Asked::of_event(uid, unmapped);
            }
        }
        match &self.decision {
            Some(wanted) => bail!("no decision `{wanted}` of policy is there"),
            None => bail!("no decision of policy is there"),
        }
    }

    /// The events of a spool that name the decision.
    fn lines_of(&self, spool: &Path) -> anyhow::Result<impl Iterator<Item = String>> {
        let wanted = self.decision.as_deref().unwrap_or_default();
        let mut lines = Vec::new();
        for mut log in Look::all(spool)? {
            while let Some(group) = log.group()? {
                let text =
                    group.records.iter().map(|record| String::from_utf8_lossy(&record.value));
                let named = text.filter(|line| line.contains(wanted));
                lines.extend(named.map(std::borrow::Cow::into_owned));
            }
        }
        Ok(lines.into_iter())
    }

    fn print(
        &self,
        asked: &Asked,
        explanation: &Explanation,
        note: Option<&str>,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        match self.format {
            Format::Json => {
                let object = json!({
                    "question": asked.name,
                    "note": note,
                    "explanation": explanation,
                });
                writeln!(out, "{object}")?;
            }
            Format::Text => {
                writeln!(out, "{}", shown(&asked.name))?;
                note.map_or(Ok(()), |note| writeln!(out, "  note: {note}"))?;
                write(explanation, out)?;
            }
        }
        Ok(())
    }
}

impl Asked {
    fn of_case(case: verdict::cases::Case) -> Self {
        let verdict::cases::Case { name, principal, action, resource, facts, .. } = case;
        let question = RecordedQuestion { principal, action, resource };
        Self { name, question, facts, recorded: None }
    }

    fn of_event(uid: &str, unmapped: &Value) -> anyhow::Result<Self> {
        let part = |name: &str| unmapped.get(name).unwrap_or(&Value::Null);
        Ok(Self {
            name: uid.to_owned(),
            question: RecordedQuestion::deserialize(part("question"))
                .context("the recorded question cannot be read")?,
            facts: Facts::deserialize(part("facts"))
                .context("the recorded facts cannot be read")?,
            recorded: unmapped.get("cedar").cloned(),
        })
    }

    /// What of a recorded decision is not these policies'.
    fn differs(&self, policies: &Policies, basis: &Basis) -> Option<String> {
        let mut recorded = self.recorded.clone()?;
        let digests = recorded.as_object_mut().and_then(|cedar| cedar.shift_remove("digests"));
        if digests != serde_json::to_value(policies.digests()).ok() {
            return Some(
                "other policies decided it: these are not the recorded digests".to_owned(),
            );
        }
        (serde_json::to_value(basis).ok() != Some(recorded))
            .then(|| "asked again, the answer is not the recorded one".to_owned())
    }
}

fn text(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("read the standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("read `{}`", file.display()))
}

fn write(explanation: &Explanation, out: &mut impl Write) -> std::io::Result<()> {
    let Explanation { basis, determining, nearest, flips } = explanation;
    match (basis.decision, basis.refusal) {
        (Decision::Allow, _) => writeln!(out, "  ALLOW")?,
        (Decision::Deny, Some(class)) => writeln!(out, "  DENY {}", class.as_str())?,
        (Decision::Deny, None) => writeln!(out, "  DENY")?,
    }
    if determining.is_empty() {
        writeln!(out, "  nothing permits it")?;
    }
    for one in determining {
        policy("determining", one, out)?;
    }
    for one in nearest {
        policy("nearest", one, out)?;
    }
    for flip in flips {
        let from = flip.from.as_deref().map(|from| format!(" (is {from})")).unwrap_or_default();
        writeln!(
            out,
            "  it would turn with {} {}{} [{}]",
            shown(&flip.attribute),
            shown(&flip.to),
            shown(&from),
            flip.policy
        )?;
    }
    if flips.is_empty() {
        writeln!(out, "  no change of one attribute that these policies name would turn it")?;
    }
    Ok(())
}

fn policy(role: &str, one: &Explained, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "  {role} {} {}", one.effect, one.policy)?;
    for ExplainedPart { clause, text, came, error, reads, .. } in &one.parts {
        let mark = match came {
            Outcome::True => "true ",
            Outcome::False => "false",
            Outcome::NotReached => "-    ",
            Outcome::Error => "error",
        };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(out, "    {mark} {clause:<6} {}", shown(&text))?;
        if let Some(error) = error {
            writeln!(out, "                 {}", shown(error))?;
        }
        for (path, value) in reads {
            let value = value.as_deref().unwrap_or("(not there)");
            writeln!(out, "                 {path} = {}", shown(value))?;
        }
    }
    Ok(())
}

/// With control characters as escapes: values are what somebody sent, and this is a terminal.
fn shown(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "principals:
  alice: { kind: User, id: corp|alice, groups: [corp|customers] }
cases:
  - name: hers
    principal: alice
    action: Orders::get
    resource: { kind: Orders::Order, id: o-1001, api: orders }
    expect: allow
  - name: not hers
    principal: alice
    action: Orders::get
    resource: { kind: Orders::Order, id: o-1002, api: orders }
    expect: forbidden
";

    fn explain(change: impl FnOnce(&mut Explain)) -> (u8, String) {
        let directory = tempfile::tempdir().unwrap();
        let request = directory.path().join("request.yaml");
        std::fs::write(&request, REQUEST).unwrap();
        let mut explain = Explain {
            policies: Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies"),
            allow_annotation: Vec::new(),
            global: Vec::new(),
            decision: None,
            from: None,
            events: None,
            request: Some(request),
            other_policies: false,
            format: Format::Text,
        };
        change(&mut explain);
        let mut out = Vec::new();
        let code = explain.run(&mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn an_answer_is_explained_part_by_part() {
        let (code, text) = explain(|_| {});
        assert_eq!(code, OK, "{text}");
        for want in [
            "hers\n  ALLOW\n  determining permit orders-customer-own\n",
            "not hers\n  DENY forbidden\n  nothing permits it\n  nearest permit orders-customer-own\n",
            "    true  when   resource has owner\n",
            "    false when   resource.owner == principal\n",
            "resource.owner = Portcullis::User::\"corp|bob\"\n",
            "it would turn with principal in Portcullis::Role::\"support\"",
            "it would turn with resource.owner",
            "policy explain: questions=2 differing=0\n",
        ] {
            assert!(text.contains(want), "no `{want}` in\n{text}");
        }
        let (_, json) = explain(|explain| explain.format = Format::Json);
        let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!(first["explanation"]["basis"]["decision"], "allow");
    }

    /// The event of a decision of the committed policies, its digests changed by `change`.
    fn event(change: impl FnOnce(&mut Value)) -> String {
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let policies = Directory::of(policies.clone())
            .source()
            .and_then(|source| snapshot::load(&policies, &source))
            .unwrap();
        let question = json!({
            "principal": { "kind": "User", "id": "corp|alice", "groups": [], "attributes": {} },
            "action": { "namespace": "Orders", "name": "get" },
            "resource": { "kind": "Orders::Order", "id": "o-1001", "api": "orders" },
        });
        let facts = serde_json::to_value(Facts::default()).unwrap();
        let basis = policies.ask_again(&question, &facts).unwrap();
        let mut cedar = serde_json::to_value(basis).unwrap();
        cedar["digests"] = serde_json::to_value(policies.digests()).unwrap();
        change(&mut cedar);
        let unmapped = json!({ "question": question, "facts": facts, "cedar": cedar });
        json!({ "metadata": { "uid": "d-1" }, "unmapped": unmapped }).to_string()
    }

    #[test]
    fn a_recorded_decision_is_explained_with_the_policies_that_decided_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("events.jsonl");
        let check = |event: String, other_policies, want, said: &str| {
            std::fs::write(&file, format!("{{}}\n{event}\n")).unwrap();
            let (code, text) = explain(|explain| {
                (explain.request, explain.events) = (None, Some(file.clone()));
                explain.decision = Some("d-1".to_owned());
                explain.other_policies = other_policies;
            });
            assert_eq!(code, want, "{text}");
            assert!(text.starts_with("d-1\n") && text.contains(said), "{text}");
        };
        let others = |cedar: &mut Value| cedar["digests"]["policies"] = json!("0".repeat(64));
        let another = |cedar: &mut Value| cedar["decision"] = json!("allow");
        check(event(|_| {}), false, OK, "questions=1 differing=0");
        check(event(others), false, FAILED, "note: other policies decided it");
        check(event(others), true, OK, "note: other policies decided it");
        check(event(another), false, FAILED, "note: asked again, the answer is not");
    }
}
