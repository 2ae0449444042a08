//! What tests of recorded decisions work on: decisions of the starter policies in a file, the set
//! that made them, kept, and a copy of its directory.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use signals::{Facts, Health, Identity, Principal, PrincipalKind};
use verdict::{Action, Policies, Question, Resource, Source};

use crate::bundle::{Bundle, Kept};

/// A record of decisions by the starter policies, and the set that made them, kept.
pub(super) struct Setting {
    directory: tempfile::TempDir,
}

const WHO: [&str; 3] = ["corp|alice", "corp|bob", ""];
const WHAT: [(&str, &str, &str); 3] =
    [("Orders", "get", "o-1001"), ("Orders", "get", "o-1002"), ("Public", "view", "home")];

impl Setting {
    pub(super) fn new() -> Self {
        let setting = Self { directory: tempfile::tempdir().unwrap() };
        let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let bundle = Bundle::read(&starter, Source::default(), false, None).unwrap();
        let policies = Policies::load(&bundle.source).unwrap();
        let kept = Kept { directory: setting.path("kept"), sets_max: 2 };
        kept.keep(&bundle, policies.digests()).unwrap();
        for (path, text) in &bundle.source.files {
            let path = setting.path("candidate").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut events = vec![
            json!({"class_uid": 6002, "metadata": {"uid": "x", "event_code": "log_open"}, "unmapped": {}}),
        ];
        for who in WHO {
            for what in WHAT {
                events.push(event(&policies, who, what));
            }
        }
        setting.record(&events);
        setting
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn record(&self, events: &[Value]) {
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        fs::write(self.path("events.jsonl"), lines.join("\n")).unwrap();
    }

    pub(super) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("events.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The words of a command line; those that begin with `@` are paths here.
    pub(super) fn words(&self, line: &str) -> Vec<String> {
        let word = |word: &str| match word.strip_prefix('@') {
            Some(name) => self.path(name).display().to_string(),
            None => word.to_owned(),
        };
        line.split_whitespace().map(word).collect()
    }
}

/// The event of a decision that these policies make.
pub(in crate::cli) fn event(
    policies: &Policies,
    who: &str,
    (namespace, name, id): (&str, &str, &str),
) -> Value {
    let principal = match who {
        "" => Principal::default(),
        who => Principal {
            kind: PrincipalKind::User,
            id: who.to_owned(),
            groups: vec!["corp|customers".to_owned()],
            ..Principal::default()
        },
    };
    let identity = Identity { principal, ..Identity::anonymous() };
    let mut facts = Facts::default();
    facts.identity.health = Health::Ok;
    facts.identity.presented = !who.is_empty();
    facts.identity.verified = !who.is_empty();
    facts.token.present = !who.is_empty();
    facts.token.scope = vec!["orders:read".to_owned()];
    let action = Action { namespace: namespace.to_owned(), name: name.to_owned() };
    let (kind, api) = if namespace == "Orders" {
        ("Orders::Order", "orders")
    } else {
        ("Public::Page", "public")
    };
    let resource = Resource { kind: kind.to_owned(), id: id.to_owned(), api: api.to_owned() };
    let question =
        Question { principal: &identity, action: &action, resource: &resource, context: &facts };
    let mut cedar = serde_json::to_value(policies.decide(&question, ()).basis).unwrap();
    cedar["digests"] = serde_json::to_value(policies.digests()).unwrap();
    json!({
        "class_uid": 6003,
        "metadata": {"uid": format!("{who}/{id}"), "event_code": "decision"},
        "unmapped": {"route": name, "question": question, "facts": facts, "cedar": cedar},
    })
}
