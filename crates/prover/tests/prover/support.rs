//! A small shop, to change one thing in.

use std::time::Duration;

use prover::{Compared, Diff, Means, Solver};
use verdict::{Policies, Source};

const SCHEMA: &str = r#"namespace Shop {
  entity Item in [Portcullis::Api] { owner?: Portcullis::User };
  action see, buy appliesTo {
    principal: [Portcullis::User, Portcullis::Anonymous],
    resource: [Item],
    context: Portcullis::Facts,
  };
}
"#;

const ENTITIES: &str = r#"[
  {"uid": {"type": "Portcullis::Api", "id": "shop"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Portcullis::Role", "id": "buyer"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Shop::Item", "id": "book"},
   "attrs": {"owner": {"type": "Portcullis::User", "id": "corp|alice"}},
   "parents": [{"type": "Portcullis::Api", "id": "shop"}]}
]
"#;

pub(crate) const SEE: &str = r#"@id("see") permit (principal, action == Shop::Action::"see", resource in Portcullis::Api::"shop")"#;
pub(crate) const BUY: &str = r#"@id("buy") permit (principal is Portcullis::User, action == Shop::Action::"buy", resource in Portcullis::Api::"shop")"#;

/// The shop with these policies, guardrails and invariants.
pub(crate) fn shop(policies: &str, guardrails: &str, invariants: &str) -> Policies {
    let files = [
        ("schema.cedarschema", SCHEMA),
        ("entities/all.json", ENTITIES),
        ("shop/all.cedar", policies),
        ("guardrails/all.cedar", guardrails),
        ("invariants/all.cedar", invariants),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let source = Source { files: files.into(), ..Source::default() };
    Policies::load(&source).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

pub(crate) fn means(solver: Option<Solver>) -> Means {
    Means { solver, deadline: Duration::from_secs(60), requests: 500 }
}

/// The environments that are not equivalent, with their relation.
pub(crate) fn others(found: &Diff) -> Vec<(String, &'static str)> {
    let all = found.environments.iter();
    all.filter(|compared| !compared.proved || compared.relation != prover::Relation::Equivalent)
        .map(|Compared { environment, relation, .. }| {
            let kind = environment.principal.trim_start_matches("Portcullis::");
            let action = environment.action.rsplit("::").next().unwrap_or_default();
            (format!("{kind} {}", action.trim_matches('"')), relation.as_str())
        })
        .collect()
}
