//! Why an answer is what it is, part by part, and what would turn it.

use serde_json::Value;
use signals::Facts;
use verdict::cases::{self, Case};
use verdict::{Decision, Explanation, Flip, Outcome, Policies, RecordedQuestion};

use crate::links::{END_MS, with};
use crate::support::{load, shop, yaml};

/// One case: who, what and on what in a line, and facts.
fn case(who: &str, action: &str, item: &str, facts: &str) -> Case {
    let text = format!(
        "cases:\n  - name: a\n    principal: {who}\n    action: Shop::{action}\n    \
         resource: {{ kind: Shop::Item, id: {item}, api: shop }}\n    facts: {facts}\n    \
         expect: allow\n"
    );
    cases::read(&yaml(&text)).unwrap().remove(0)
}

fn question(case: &Case) -> RecordedQuestion {
    let Case { principal, action, resource, .. } = case.clone();
    RecordedQuestion { principal, action, resource }
}

fn explain(policies: &Policies, case: &Case) -> Explanation {
    policies.explain(&question(case), &case.facts).unwrap()
}

/// As it is told: what, from what, to what.
fn told(flip: &Flip) -> String {
    let Flip { attribute, from, to, .. } = flip;
    let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    format!("{attribute}: {} > {}", word(from), word(to))
}

const ANN: &str = "{ kind: User, id: \"corp|ann\" }";
const BUYER: &str = "{ kind: User, id: \"corp|ann\", groups: [\"corp|team\"] }";
const NOBODY: &str = "{ kind: Anonymous }";

/// The flips of a question to the shop with these conditions of one permit, and these guardrails.
#[track_caller]
fn flips(policies: &str, guardrails: &str, case: &Case, answer: Decision, want: &[&str]) {
    let policies = load(&shop(policies, guardrails));
    let explanation = explain(&policies, case);
    assert_eq!(explanation.basis.decision, answer, "{explanation:#?}");
    let got: Vec<String> = explanation.flips.iter().map(told).collect();
    assert_eq!(got, want, "{:#?}", explanation.search);
    assert_eq!((explanation.search.untried, explanation.search.policies_left), (0, 0));
}

fn permit(scope: &str, condition: &str) -> String {
    format!(
        "@id(\"p\") permit ({scope}, resource in Portcullis::Api::\"shop\") when {{ {condition} }};"
    )
}

const SEE: &str = "principal, action == Shop::Action::\"see\"";

#[test]
fn a_refusal_turns_with_what_the_nearest_permits_lack() {
    let check = |scope: &str, condition: &str, who: &str, facts: &str, want: &[&str]| {
        let case = case(who, "see", "book", facts);
        flips(&permit(scope, condition), "", &case, Decision::Deny, want);
    };
    let all = |condition: &str, facts: &str, want: &[&str]| {
        check(SEE, condition, ANN, facts, want);
    };
    all("context.conn.mtls", "{}", &["context.conn.mtls: false > true"]);
    all(
        "context.token.acr == \"aal2\" || context.token.acr == \"aal3\"",
        "{}",
        &["context.token.acr: \"\" > \"aal2\"", "context.token.acr: \"\" > \"aal3\""],
    );
    all("context.waf.score < 5", "{ waf: { score: 90 } }", &["context.waf.score: 90 > 4"]);
    all(
        "context.rate.limit - context.rate.remaining < 10",
        "{ rate: { limit: 100, remaining: 20 } }",
        &["context.rate.limit: 100 > 29", "context.rate.remaining: 20 > 91"],
    );
    all(
        "context.token.scope.contains(\"shop\")",
        "{ token: { scope: [read] } }",
        &["context.token.scope: [\"read\"] > [\"read\",\"shop\"]"],
    );
    all("context.waf.health == \"ok\"", "{}", &["context.waf.health: \"skipped\" > \"ok\""]);
    all(
        "context.conn.ip.isInRange(ip(\"10.0.0.0/8\"))",
        "{}",
        &["context.conn.ip: \"0.0.0.0\" > \"10.0.0.0\""],
    );
    all(
        "principal.hasTag(\"team\") && principal.getTag(\"team\").contains(\"blue\")",
        "{}",
        &["principal tag team: - > [\"blue\"]"],
    );
    // The smallest first: facts, then groups and roles, then the catalogue.
    all(
        "resource.price < 10 || context.conn.mtls || context.waf.score > 3 \
         || principal in Portcullis::Role::\"buyer\" || context.token.acr == \"aal2\"",
        "{}",
        &[
            "context.conn.mtls: false > true",
            "context.token.acr: \"\" > \"aal2\"",
            "context.waf.score: 0 > 4",
            "principal in: - > Portcullis::Role::\"buyer\"",
            "resource.price: 20 > 9",
        ],
    );
    // Of another type than the schema's, an attribute cannot be.
    all(
        "resource has owner && resource.owner == principal",
        "{}",
        &["resource.owner: - > Portcullis::User::\"corp|ann\""],
    );
    let within = "principal in Portcullis::Group::\"corp|all\", action == Shop::Action::\"see\"";
    check(within, "true", ANN, "{}", &["principal in: - > Portcullis::Group::\"corp|all\""]);
    // Nobody known is in no group, and what takes two changes is none.
    check(within, "true", NOBODY, "{}", &[]);
    all("context.conn.mtls && context.waf.score > 3", "{}", &[]);
    check("principal, action == Shop::Action::\"buy\"", "true", ANN, "{}", &[]);
}

#[test]
fn a_refusal_turns_where_the_forbid_does_not_hold() {
    let open = permit(SEE, "true");
    let check = |guardrail: &str, who: &str, facts: &str, want: &[&str]| {
        let guardrail = format!("@id(\"g\") @refuse(\"blocked\") forbid ({guardrail};");
        flips(&open, &guardrail, &case(who, "see", "book", facts), Decision::Deny, want);
    };
    let all = "principal, action, resource) when";
    check(
        &format!("{all} {{ context.waf.score >= context.waf.threshold }}"),
        ANN,
        "{ waf: { score: 7, threshold: 5 } }",
        &["context.waf.score: 7 > 4", "context.waf.threshold: 5 > 8"],
    );
    check(
        &format!("{all} {{ context.waf.health == \"truncated\" }}"),
        ANN,
        "{ waf: { health: truncated } }",
        &[
            "context.waf.health: \"truncated\" > \"ok\"",
            "context.waf.health: \"truncated\" > \"skipped\"",
            "context.waf.health: \"truncated\" > \"malformed\"",
            "context.waf.health: \"truncated\" > \"unavailable\"",
        ],
    );
    check(
        "principal in Portcullis::Role::\"buyer\", action, resource)",
        BUYER,
        "{}",
        &[
            "principal in: Portcullis::Group::\"corp|team\" > -",
            "principal in: Portcullis::Role::\"buyer\" > -",
        ],
    );
    // A forbid that errs refuses, and does so no more with another attribute.
    let erring = format!("{all} {{ resource is Shop::Item && resource.price + 1 > 100 }}");
    let guardrail = format!("@id(\"g\") @refuse(\"blocked\") forbid ({erring};");
    let policies = load(&shop(&open, &guardrail));
    let found = explain(&policies, &case(ANN, "see", "island", "{}"));
    assert_eq!(found.determining[0].parts[1].came, Outcome::Error, "{found:#?}");
    assert!(found.flips.iter().any(|flip| flip.attribute == "resource.price"), "{found:#?}");
}

#[test]
fn a_permission_turns_with_what_its_permits_or_a_forbid_hang_on() {
    let check = |permit: &str, guardrail: &str, who: &str, facts: &str, want: &[&str]| {
        flips(permit, guardrail, &case(who, "see", "book", facts), Decision::Allow, want);
    };
    let when = |condition: &str| permit(SEE, condition);
    check(
        &when("context.conn.mtls"),
        "",
        ANN,
        "{ conn: { mtls: true } }",
        &["context.conn.mtls: true > false"],
    );
    check(
        &when("context.token.acr == \"aal2\""),
        "",
        ANN,
        "{ token: { acr: aal2 } }",
        &["context.token.acr: \"aal2\" > \"\""],
    );
    check(&when("context.waf.score < 5"), "", ANN, "{}", &["context.waf.score: 0 > 5"]);
    check(
        &when("principal in Portcullis::Role::\"buyer\""),
        "",
        BUYER,
        "{}",
        &[
            "principal in: Portcullis::Group::\"corp|team\" > -",
            "principal in: Portcullis::Role::\"buyer\" > -",
        ],
    );
    check(
        &when("principal.hasTag(\"team\") && principal.getTag(\"team\").contains(\"blue\")"),
        "",
        "{ kind: User, id: \"corp|ann\", attributes: { team: [blue, red] } }",
        "{}",
        &[
            "principal tag team: [\"blue\",\"red\"] > -",
            "principal tag team: [\"blue\",\"red\"] > [\"red\"]",
        ],
    );
    // Nothing of the permit can be changed: the forbids are what can refuse.
    let guardrails = "@id(\"g\") @refuse(\"blocked\") forbid (principal, action, resource)
        when { context.waf.health != \"skipped\" && context.waf.score >= 5 };
        @id(\"h\") @refuse(\"throttled\") forbid (principal, action, resource) when { context.rate.limited };
        @id(\"i\") @refuse(\"forbidden\") forbid (principal in Portcullis::Group::\"corp|out\", action, resource);
        @id(\"j\") @refuse(\"forbidden\") forbid (principal, action == Shop::Action::\"buy\", resource);
        @id(\"k\") @refuse(\"forbidden\") @mode(\"shadow\") forbid (principal, action, resource) when { context.conn.tls };";
    check(
        &permit(SEE, "true"),
        guardrails,
        ANN,
        "{}",
        &[
            "context.rate.limited: false > true",
            "principal in: - > Portcullis::Group::\"corp|out\"",
        ],
    );
    // Two permits hold: what one hangs on turns nothing.
    let two =
        format!("{}\n{}", when("context.conn.mtls"), permit(SEE, "true").replace("\"p\"", "\"q\""));
    check(&two, "", ANN, "{ conn: { mtls: true } }", &[]);
}

/// An attribute that need not be there can be lost; one of the catalogue's that has to be, changed.
#[test]
fn what_the_catalogue_says_turns_a_permission_too() {
    let mut source = shop(&permit(SEE, "resource has owner && resource.owner == principal"), "");
    let owned = "\"attrs\": {\"price\": 20, \"owner\": {\"type\": \"Portcullis::User\", \"id\": \"corp|ann\"}}";
    let entities = source.files.get_mut("entities/all.json").unwrap();
    *entities = entities.replace("\"attrs\": {\"price\": 20}", owned);
    let policies = load(&source);
    let found = explain(&policies, &case(ANN, "see", "book", "{}"));
    assert_eq!(found.basis.decision, Decision::Allow);
    let ann = "Portcullis::User::\"corp|ann\"";
    let want = [
        format!("resource.owner: {ann} > -"),
        format!("resource.owner: {ann} > Portcullis::User::\"\""),
    ];
    assert_eq!(found.flips.iter().map(told).collect::<Vec<_>>(), want);
    let policies = load(&shop(&permit(SEE, "resource.price < 50"), ""));
    let found = explain(&policies, &case(ANN, "see", "book", "{}"));
    assert_eq!(found.flips.iter().map(told).collect::<Vec<_>>(), ["resource.price: 20 > 50"]);
    // Not in the catalogue, it has no price.
    let found = explain(&policies, &case(ANN, "see", "other", "{}"));
    assert_eq!(
        (found.basis.decision, found.nearest[0].parts[2].came),
        (Decision::Deny, Outcome::Error)
    );
    assert_eq!(found.flips.iter().map(told).collect::<Vec<_>>(), ["resource.price: - > 49"]);
}

/// What was not tried is counted.
#[test]
fn limits_are_told() {
    let texts: Vec<String> = (0..1_100).map(|nth| format!("\"t{nth}\"")).collect();
    let condition =
        format!("context.conn.tls && [{}].contains(context.token.acr)", texts.join(", "));
    let policies = load(&shop(&permit(SEE, &condition), ""));
    let found = explain(&policies, &case(ANN, "see", "book", "{}"));
    assert_eq!(found.search.tried, 1_000, "the limit");
    assert!(found.search.untried >= 101 && found.flips.is_empty(), "{found:#?}");
    let found = explain(&policies, &case(ANN, "see", "book", "{ conn: { tls: true } }"));
    assert_eq!((found.flips.len(), found.search.more), (5, 995), "{:?}", found.search);
    let many: String = (0..66)
        .map(|nth| permit(SEE, "context.waf.score > 3").replace("\"p\"", &format!("\"p{nth}\"")))
        .collect();
    let found = explain(&load(&shop(&many, "")), &case(ANN, "see", "book", "{}"));
    assert_eq!((found.nearest.len(), found.search.policies_left), (3, 2));
    // Another action is no change of an attribute: such policies are none that were left out.
    let found = explain(&load(&shop(&many, "")), &case(ANN, "buy", "book", "{}"));
    assert_eq!((found.nearest.len(), found.search.policies_left), (3, 0));
}

/// Every flip that is told is one: asked of policies whose facts are so, the answer is the other.
#[test]
fn a_flip_of_a_fact_is_confirmed_by_asking() {
    let guardrails = "@id(\"g\") @refuse(\"blocked\") forbid (principal, action, resource)
        when { context.waf.health == \"ok\" && context.waf.score >= context.waf.threshold };";
    let policies =
        load(&shop(&permit(SEE, "context.token.acr == \"aal2\" && context.conn.tls"), guardrails));
    let mut asked = 0;
    for facts in [
        "{ token: { acr: aal2 } }",
        "{ token: { acr: aal2 }, conn: { tls: true } }",
        "{ conn: { tls: true }, waf: { health: ok, score: 1, threshold: 5 } }",
        "{ token: { acr: aal2 }, conn: { tls: true }, waf: { health: ok, score: 9, threshold: 5 } }",
    ] {
        let case = case(ANN, "see", "book", facts);
        let found = explain(&policies, &case);
        assert!(!found.flips.is_empty(), "{facts}");
        for Flip { attribute, to, .. } in &found.flips {
            let mut json = serde_json::to_value(&case.facts).unwrap();
            let pointer = attribute.strip_prefix("context").unwrap().replace('.', "/");
            *json.pointer_mut(&pointer).unwrap() =
                serde_json::from_str(to.as_ref().unwrap()).unwrap();
            let facts: Facts = serde_json::from_value(json).unwrap();
            let now = policies.would_answer(&question(&case), &facts).decision;
            assert_ne!(now, found.basis.decision, "{attribute} {to:?}");
            asked += 1;
        }
    }
    assert!(asked >= 6, "{asked}");
}

const TEMPLATE: &str = "@id(\"t\") permit (principal == ?principal, action == Shop::Action::\"see\", \
     resource == ?resource) when { context.conn.tls && resource in Portcullis::Api::\"shop\" };";
const LINK: &str = "- id: ann-book\n  template: t\n  principal: Portcullis::User::\"corp|ann\"\n  \
     resource: Shop::Item::\"book\"\n  until: 2026-12-31\n";

/// A link's parts are its own scope and what its template says; when it is over, it is not there.
#[test]
fn a_link_is_explained_as_of_the_time_that_is_asked_about() {
    let policies = load(&with(TEMPLATE, LINK));
    let at = |received_ms: i64| {
        let mut case = case(ANN, "see", "book", "{ conn: { tls: true } }");
        case.facts.conn.received_ms = received_ms;
        explain(&policies, &case)
    };
    let before = at(END_MS - 1);
    assert_eq!(before.basis.determining, ["ann-book"]);
    let parts: Vec<(&str, &str)> =
        before.determining[0].parts.iter().map(|part| (part.clause, part.text.as_str())).collect();
    assert_eq!(
        parts,
        [
            ("scope", "principal == Portcullis::User::\"corp|ann\""),
            ("scope", "action == Shop::Action::\"see\""),
            ("scope", "resource == Shop::Item::\"book\""),
            ("when", "context.conn.tls"),
            ("when", "resource in Portcullis::Api::\"shop\""),
        ]
    );
    assert_eq!(
        before.flips.iter().map(told).collect::<Vec<_>>(),
        ["context.conn.tls: true > false"]
    );
    let after = at(END_MS);
    assert_eq!((after.basis.decision, after.nearest.len()), (Decision::Deny, 0));
}

/// True, false, not reached, in error, with what was read; and a policy that took no part.
#[test]
fn thirteen_conditions_are_traced() {
    let conditions: Vec<String> =
        (0..11).map(|nth| format!("context.waf.score >= {nth}")).collect();
    let condition =
        format!("{} && resource.owner == principal && context.conn.tls", conditions.join(" && "));
    let policies = load(&shop(&permit(SEE, &format!("resource has owner && {condition}")), ""));
    let case = case(ANN, "see", "book", "{ waf: { score: 10 } }");
    let asked = question(&case);
    let inquiry = policies.inquire(&asked, &case.facts).unwrap();
    let found = inquiry.policy("p").unwrap();
    let parts: Vec<_> = found.parts.iter().filter(|part| part.clause != "scope").collect();
    assert_eq!(parts.len(), 14);
    let came: Vec<Outcome> = parts.iter().map(|part| part.came).collect();
    let (yes, no, not) = (Outcome::True, Outcome::False, Outcome::NotReached);
    assert_eq!(came[0], no, "the order has no owner");
    assert!(came[1..12].iter().all(|came| *came == yes), "{came:?}");
    assert_eq!(came[12..], [not, no]);
    let reads = |nth: usize| parts[nth].reads.clone();
    assert_eq!(reads(1), [("context.waf.score".to_owned(), Some("10".to_owned()))]);
    assert_eq!(reads(0), [("resource.owner".to_owned(), None)]);
    assert_eq!(inquiry.policy("q"), None);
    let json: Value = serde_json::to_value(inquiry.explain()).unwrap();
    assert_eq!(json["nearest"][0]["parts"][2]["came"], "false", "{json:#}");
}

/// What no schema declares is refused, whatever is changed.
#[test]
fn an_undeclared_question_is_not_searched() {
    let policies = load(&shop(&permit("principal, action", "context.conn.tls"), ""));
    let found = explain(&policies, &case(NOBODY, "buy", "book", "{}"));
    assert!(!found.basis.declared && found.flips.is_empty() && found.search.tried == 0);
    let found = explain(&policies, &case(ANN, "buy", "book", "{}"));
    assert_eq!((found.flips.len(), found.search.tried), (1, 1));
}

/// A guardrail that an exception took out of the answer is shown, and so is what shadow policies
/// would have done; those that an exception had nothing to do with are not.
#[test]
fn what_stood_beside_the_answer_is_shown() {
    let guardrails = "@id(\"score\") @refuse(\"blocked\") forbid (principal, action, resource) \
         when { context.waf.score >= 5 } unless { context.conn.mtls };\n\
         @id(\"limited\") @refuse(\"blocked\") forbid (principal, action, resource) \
         when { context.rate.limited } unless { context.conn.mtls };\n\
         @id(\"plain\") @refuse(\"blocked\") forbid (principal, action, resource) when { context.waf.score >= 90 };\n\
         @id(\"either\") @refuse(\"blocked\") forbid (principal, action, resource) \
         unless { context.conn.mtls } unless { context.conn.tls } when { context.waf.score >= 5 };\n\
         @id(\"late\") @mode(\"shadow\") @refuse(\"blocked\") forbid (principal, action, resource) \
         when { context.waf.score >= 7 };\n\
         @id(\"later\") @mode(\"shadow\") @refuse(\"blocked\") forbid (principal, action, resource) \
         when { context.waf.score >= 8 };";
    let policies = load(&shop(&permit(SEE, "true"), guardrails));
    let check = |facts: &str, decision: Decision, excepted: &[&str], shadow: &[&str]| {
        let found = explain(&policies, &case(ANN, "see", "book", facts));
        let ids = |all: &[verdict::Explained]| -> Vec<String> {
            all.iter().map(|one| one.policy.clone()).collect()
        };
        assert_eq!(found.basis.decision, decision, "{facts}");
        assert_eq!(ids(&found.excepted), excepted, "{facts}: {:#?}", found.excepted);
        assert_eq!(ids(&found.shadow), shadow, "{facts}");
        assert_eq!(found.beside_left, 0);
    };
    check(
        "{ conn: { mtls: true }, waf: { score: 7 } }",
        Decision::Allow,
        &["either", "score"],
        &["late"],
    );
    check("{ conn: { tls: true }, waf: { score: 6 } }", Decision::Deny, &["either"], &[]);
    check("{ conn: { mtls: true }, waf: { score: 4 } }", Decision::Allow, &[], &[]);
    check("{ waf: { score: 8 } }", Decision::Deny, &[], &["late", "later"]);
}
