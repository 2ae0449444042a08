//! A decision against the whole: the same sets, asked policy by policy by Cedar's own authorizer,
//! with every fact and all entities. What the index, the projection of what is read and the memos
//! save must change nothing of a basis, not even an error's text.

use std::fmt::Write as _;

use cedar_policy::{AuthorizationError, Authorizer, PolicySet, Response};
use signals::{Facts, Health, Identity, Principal, PrincipalKind};

use super::{Policies, capped, unaskable};
use crate::annotations::{Meta, Rule};
use crate::inputs::Inputs;
use crate::outcome::{Basis, Class, Decision, Obligations, PolicyError};
use crate::question::{Action, Question, Resource};
use crate::reads::Reads;
use crate::source::Source;

const SETS: u64 = 60;
const QUESTIONS: u64 = 200;

const SCHEMA: &str = "namespace Shop {
  entity Item in [Portcullis::Api] { price: Long, owner?: Portcullis::User, shelf?: Shelf };
  entity Shelf in [Portcullis::Api] tags Set<String>;
  action read, write;
  action see in [read] appliesTo { context: Portcullis::Facts, resource: [Item, Shelf], principal:
    [Portcullis::User, Portcullis::Workload, Portcullis::ApiKey, Portcullis::Anonymous] };
  action buy in [write] appliesTo { context: Portcullis::Facts, resource: [Item], principal:
    [Portcullis::User, Portcullis::Workload] };
  action fill in [read, write] appliesTo { context: Portcullis::Facts, resource: [Item, Shelf],
    principal: [Portcullis::User] };
}";

const ENTITIES: &str = r#"[
  {"uid": {"type": "Portcullis::Api", "id": "shop"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Portcullis::Api", "id": "else"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Portcullis::Role", "id": "0"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Portcullis::Role", "id": "1"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Portcullis::Group", "id": "0"}, "attrs": {},
   "parents": [{"type": "Portcullis::Role", "id": "0"}, {"type": "Portcullis::Group", "id": "1"}]},
  {"uid": {"type": "Portcullis::Group", "id": "1"}, "attrs": {},
   "parents": [{"type": "Portcullis::Role", "id": "1"}]},
  {"uid": {"type": "Portcullis::User", "id": "0"}, "attrs": {},
   "parents": [{"type": "Portcullis::Role", "id": "1"}]},
  {"uid": {"type": "Shop::Shelf", "id": "0"}, "attrs": {}, "tags": {"of": ["books"]},
   "parents": [{"type": "Portcullis::Api", "id": "shop"}]},
  {"uid": {"type": "Shop::Item", "id": "0"},
   "attrs": {"price": 20, "owner": {"type": "Portcullis::User", "id": "0"}},
   "parents": [{"type": "Portcullis::Api", "id": "shop"}]},
  {"uid": {"type": "Shop::Item", "id": "1"}, "attrs": {"price": 9223372036854775807},
   "parents": [{"type": "Portcullis::Api", "id": "else"}]}
]"#;

const USERS: &[&str] = &["principal is Portcullis::User", "principal == Portcullis::User::\"0\""];
const ANYONE: &[&str] = &[
    "principal",
    "principal in Portcullis::Role::\"0\"",
    "principal in Portcullis::Group::\"1\"",
    "principal is Portcullis::User in Portcullis::Role::\"1\"",
    "principal == Portcullis::Workload::\"0\"",
];
const ACTIONS: &[&str] = &[
    "action",
    "action == Shop::Action::\"see\"",
    "action in Shop::Action::\"read\"",
    "action in [Shop::Action::\"write\", Shop::Action::\"see\"]",
];
const ITEMS: &str = "resource is Shop::Item in Portcullis::Api::\"shop\"";
const THINGS: &[&str] = &[ITEMS, "resource in Portcullis::Api::\"shop\""];
/// Valid for anyone and anything.
const CONDITIONS: &[&str] = &[
    "context.waf.score > 3",
    "context.waf.health == \"truncated\"",
    "context.token.scope.contains(\"a\")",
    "context.token.expires_at_s + 1 > 0",
    "context.identity == context.identity",
    "principal == resource",
    "principal in Portcullis::Group::\"1\"",
    "action in Shop::Action::\"write\"",
    "resource in Portcullis::Api::\"else\"",
    "principal is Portcullis::User && principal.hasTag(\"t\") && principal.getTag(\"t\").contains(\"x\")",
    "principal is Portcullis::User && principal.getTag(\"t\").contains(\"x\")",
    "context.conn.ip.isLoopback()",
];
/// Valid for items; the second errs where the price overflows, or is not known.
const OF_ITEMS: &[&str] = &[
    "resource has owner && resource.owner == principal",
    "resource.price * 2 > 30",
    "resource has shelf && resource.shelf == Shop::Shelf::\"0\"",
];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

fn policy(random: &mut Random, id: &str, guardrail: bool) -> String {
    // Half of the guardrails are asked of every request: their answers are kept.
    let always = guardrail && random.below(2) == 0;
    let users = random.below(3) == 0;
    let principal = match always {
        true => "principal",
        false => random.of(if users { USERS } else { ANYONE }),
    };
    let resource = if guardrail { "resource" } else { random.of(THINGS) };
    let mode = random.of(&["", "", "", "@mode(\"shadow\")"]);
    let effect = match random.below(if guardrail { 2 } else { 12 }) {
        0 => "@refuse(\"blocked\") @message_id(\"m\") forbid",
        1 => "@refuse(\"throttled\") @audit(\"gated\") forbid",
        2 => "@cache(\"no-store\") permit",
        _ => "permit",
    };
    let action = if always { "action" } else { random.of(ACTIONS) };
    let mut text = format!("@id(\"{id}\") {mode} {effect} ({principal}, {action}, {resource})");
    let least = u64::from(text.contains("forbid"));
    for _ in 0..least + random.below(2) {
        let all = if resource == ITEMS && random.below(2) == 0 { OF_ITEMS } else { CONDITIONS };
        let condition = random.of(all);
        let _ = write!(text, " {} {{ {condition} }}", random.of(&["when", "unless"]));
    }
    text + ";\n"
}

/// A set of policies that validate: those that do not by themselves are left out.
fn set(random: &mut Random) -> Policies {
    let (mut shop, mut guardrails) = (String::new(), String::new());
    for nth in 0..12 + random.below(10) {
        let guardrail = random.below(4) == 0;
        let text = policy(random, &format!("p{nth}"), guardrail);
        let alone = if guardrail { source("", &text) } else { source(&text, "") };
        if Policies::load(&alone).is_ok() {
            *(if guardrail { &mut guardrails } else { &mut shop }) += &text;
        }
    }
    Policies::load(&source(&shop, &guardrails)).unwrap()
}

fn source(shop: &str, guardrails: &str) -> Source {
    let files = [
        ("schema.cedarschema", SCHEMA),
        ("entities/all.json", ENTITIES),
        ("shop/all.cedar", shop),
        ("guardrails/all.cedar", guardrails),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    Source { files: files.into(), ..Source::default() }
}

fn principal(random: &mut Random) -> Principal {
    use PrincipalKind::{Anonymous, ApiKey, User, Workload};
    let kind = *random.of(&[User, User, User, Workload, ApiKey, Anonymous]);
    if kind == Anonymous {
        return Principal::default();
    }
    let mut principal = Principal { kind, id: random.below(3).to_string(), ..Principal::default() };
    principal.groups = (0..random.below(3)).map(|_| random.below(3).to_string()).collect();
    if random.below(2) == 0 {
        let values = ["x", "y"].iter().take(usize::try_from(random.below(3)).unwrap());
        let values = values.map(|value| (*value).to_owned()).collect();
        principal.attributes.insert("t".to_owned(), values);
    }
    principal
}

fn facts(random: &mut Random) -> Facts {
    let mut facts = Facts::default();
    facts.waf.score = i64::try_from(random.below(6)).unwrap();
    facts.waf.health = *random.of(&[Health::Ok, Health::Truncated]);
    facts.token.scope = vec![random.of(&["a", "b"]).to_string()];
    facts.token.expires_at_s = *random.of(&[0, i64::MAX]);
    facts.conn.ip = random.of(&[[127, 0, 0, 1], [10, 0, 0, 1]]).map(u8::from).into();
    facts
}

/// What is not declared is asked too: other types, and one that is above another.
fn resource(random: &mut Random) -> Resource {
    let kind = *random.of(&[
        "Shop::Item",
        "Shop::Item",
        "Shop::Item",
        "Shop::Shelf",
        "Portcullis::Group",
        "Portcullis::User",
        "Portcullis::Api",
        "Shop::Action",
        "?",
    ]);
    let id = (*random.of(&["0", "1", "2", "shop", "read"])).to_owned();
    let api = (*random.of(&["shop", "shop", "else", "none"])).to_owned();
    Resource { kind: kind.to_owned(), id, api }
}

/// The basis by Cedar's authorizer over whole sets.
fn whole(
    policies: &Policies,
    principal: &Principal,
    action: &Action,
    resource: &Resource,
    facts: &Facts,
) -> Basis {
    let asked = policies.maker().asked(principal, action, resource);
    match asked.and_then(|asked| asked.inputs(facts, Reads::EVERYTHING)) {
        Ok(inputs) => evaluated(policies, &inputs, principal.kind),
        Err(error) => unaskable(&error).basis,
    }
}

fn evaluated(policies: &Policies, inputs: &Inputs, kind: PrincipalKind) -> Basis {
    let of = |wanted: &dyn Fn(&Meta) -> bool| {
        let mut set = PolicySet::new();
        for one in policies.policies.iter().filter(|one| wanted(&one.meta)) {
            set.add(one.policy.clone()).unwrap();
        }
        Authorizer::new().is_authorized(&inputs.request, &set, &inputs.store)
    };
    let is_forbid = |meta: &Meta| matches!(meta.rule, Rule::Forbid { .. });
    let enforced = of(&|meta| !meta.shadow);
    let shadow_forbids = of(&|meta| meta.shadow && is_forbid(meta));
    let shadow_permits = of(&|meta| meta.shadow && !is_forbid(meta));
    let meta = |id: &str| &policies.policies.iter().find(|one| one.id() == id).unwrap().meta;
    let class = |id: &str| match &meta(id).rule {
        Rule::Forbid { class, .. } => Some(*class),
        Rule::Permit => None,
    };
    let held = |response: &Response| -> Vec<String> {
        response.diagnostics().reason().map(ToString::to_string).collect()
    };
    let erred = |response: &Response| -> Vec<String> {
        let errors = errors(response).into_iter().map(|error| error.policy);
        errors.filter(|id| inputs.declared && is_forbid(meta(id))).collect()
    };
    let mut grounds: Vec<(String, Class)> = held(&enforced)
        .into_iter()
        .filter_map(|id| Some((class(&id)?, id)))
        .map(|(class, id)| (id, class))
        .chain(erred(&enforced).into_iter().map(|id| (id, Class::Unavailable)))
        .collect();
    grounds.sort();
    let allowed = enforced.decision() == cedar_policy::Decision::Allow
        && inputs.declared
        && grounds.is_empty();
    let default = match kind {
        PrincipalKind::Anonymous => Class::Unauthenticated,
        PrincipalKind::User | PrincipalKind::Workload | PrincipalKind::ApiKey => Class::Forbidden,
    };
    let worst = grounds.iter().map(|(_, class)| *class).min().unwrap_or(default);
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    let determining = match allowed {
        true => sorted(held(&enforced)),
        false => grounds.into_iter().map(|(id, _)| id).collect(),
    };
    let mut all_errors: Vec<PolicyError> =
        [&enforced, &shadow_forbids, &shadow_permits].into_iter().flat_map(errors).collect();
    all_errors.sort();
    Basis {
        decision: if allowed { Decision::Allow } else { Decision::Deny },
        obligations: determining
            .iter()
            .fold(Obligations::default(), |all, id| all.and(meta(id).obligations)),
        determining,
        errors: all_errors,
        would_refuse: sorted([held(&shadow_forbids), erred(&shadow_forbids)].concat()),
        would_permit: sorted(held(&shadow_permits)),
        refusal: (!allowed).then_some(worst),
        declared: inputs.declared,
    }
}

fn errors(response: &Response) -> Vec<PolicyError> {
    let error = |error: &AuthorizationError| match error {
        AuthorizationError::PolicyEvaluationError(error) => PolicyError {
            policy: error.policy_id().to_string(),
            message: capped(error.inner().to_string()),
        },
    };
    response.diagnostics().errors().map(error).collect()
}

#[test]
fn a_decision_is_that_of_the_whole_set() {
    let mut random = Random(1);
    let (mut allowed, mut erring, mut shadowed, mut undeclared) = (0, 0, 0, 0);
    for _ in 0..SETS {
        let set = set(&mut random);
        for _ in 0..QUESTIONS {
            let (who, what) = (principal(&mut random), resource(&mut random));
            let facts = facts(&mut random);
            let name = *random.of(&["see", "see", "buy", "fill", "read", "other"]);
            let action = Action { namespace: "Shop".to_owned(), name: name.to_owned() };
            let identity = Identity { principal: who.clone(), ..Identity::default() };
            let question = Question {
                principal: &identity,
                action: &action,
                resource: &what,
                context: &facts,
            };
            let got = set.decide(&question, ()).basis;
            let want = whole(&set, &who, &action, &what, &facts);
            assert_eq!(got, want, "{who:?} {action} {what:?} {facts:?}");
            allowed += u64::from(got.decision == Decision::Allow);
            erring += u64::from(!got.errors.is_empty());
            shadowed += u64::from(!got.would_refuse.is_empty() || !got.would_permit.is_empty());
            undeclared += u64::from(!got.declared && !got.determining.is_empty());
        }
    }
    let seen = [allowed, erring, shadowed, undeclared];
    assert!(seen.iter().all(|kind| kind * 40 > SETS * QUESTIONS), "{seen:?}");
}
