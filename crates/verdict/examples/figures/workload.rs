//! The policies and the questions that are measured: a gateway of many APIs, each with its share
//! of the policies, and principals of five groups.
//!
//! Of an API's policies 45 % name a group and an action, 20 % a group and two actions, 10 % a
//! user, 10 % users of a group, 10 % workloads of a group and 5 % a group and any action; each
//! has up to three conditions. Ten guardrails hold for all. The scopes of about twelve policies
//! are true of a question, however many there are.

use std::fmt::Write as _;
use std::path::Path;

use signals::{Facts, Health, Identity, Principal, PrincipalKind};
use verdict::{Action, Question, RecordedQuestion, Resource, Source};

/// Policies of one API.
const PER_API: usize = 100;
/// Policies of one file.
const PER_FILE: usize = 10;
const GROUPS: u64 = 40;
const USERS: u64 = 1_000;
const ITEMS: u64 = 50;
const ACTIONS: [&str; 8] =
    ["list", "get", "head", "create", "update", "replace", "delete", "approve"];

const SCHEMA: &str = r#"namespace Gw {
  entity Item in [Portcullis::Api] { owner?: Portcullis::User, level: Long };
  action read; action write; action admin;
  action list, get, head in [read] appliesTo {
    principal: [Portcullis::User, Portcullis::Workload], resource: [Item], context: Portcullis::Facts };
  action create, update, replace in [write] appliesTo {
    principal: [Portcullis::User, Portcullis::Workload], resource: [Item], context: Portcullis::Facts };
  action delete, approve in [write, admin] appliesTo {
    principal: [Portcullis::User, Portcullis::Workload], resource: [Item], context: Portcullis::Facts };
}"#;

const GUARDRAILS: [&str; 10] = [
    r#"context.identity.health == "unavailable""#,
    "context.identity.presented && !context.identity.verified",
    r#"context.session.health == "unavailable""#,
    "context.rate.limited",
    r#"context.rate.health == "unavailable""#,
    r#"context.waf.health != "skipped" && context.waf.score >= context.waf.threshold"#,
    r#"context.waf.health == "truncated""#,
    r#"context.waf.health == "unavailable""#,
    r#"context.abuse.health == "unavailable""#,
    "context.abuse.score >= 80",
];

const CONDITIONS: [&str; 6] = [
    r#"context.token.acr == "aal2""#,
    "context.conn.tls",
    r#"context.token.scope.contains("orders:read")"#,
    "context.waf.score < 3",
    r#"context.token.client == "web""#,
    "context.token.expires_at_s > 1700000000",
];

/// Sebastiano Vigna's SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// A policies directory of that many policies.
pub(crate) fn source(policies: usize) -> Source {
    let mut source = Source::default();
    let mut add = |path: String, text: String| drop(source.files.insert(path, text));
    add("schema.cedarschema".to_owned(), SCHEMA.to_owned());
    let mut guardrails = String::new();
    for (nth, condition) in GUARDRAILS.iter().enumerate() {
        let _ = writeln!(
            guardrails,
            "@id(\"guard-{nth}\") @refuse(\"blocked\")\nforbid (principal, action, resource) when {{ {condition} }};"
        );
    }
    add("guardrails/all.cedar".to_owned(), guardrails);
    let mut random = Random(policies as u64);
    let apis = policies / PER_API;
    let mut entities = Vec::new();
    for api in 0..apis {
        entities.push(format!(
            r#"{{"uid":{{"type":"Portcullis::Api","id":"a{api}"}},"attrs":{{}},"parents":[]}}"#
        ));
        for item in 0..ITEMS / 10 {
            entities.push(format!(
                r#"{{"uid":{{"type":"Gw::Item","id":"a{api}-{item}"}},"attrs":{{"level":{item}}},"parents":[{{"type":"Portcullis::Api","id":"a{api}"}}]}}"#
            ));
        }
        for file in 0..PER_API / PER_FILE {
            let text = (0..PER_FILE).map(|nth| {
                let nth = file * PER_FILE + nth;
                policy(&mut random, api, nth)
            });
            add(format!("a{api}/{file}.cedar"), text.collect());
        }
    }
    add("entities/all.json".to_owned(), format!("[{}]", entities.join(",\n")));
    source
}

fn policy(random: &mut Random, api: usize, nth: usize) -> String {
    let group = format!("Portcullis::Group::\"corp|g{}\"", random.below(GROUPS));
    let user = random.below(USERS);
    let mut action = || format!("Gw::Action::\"{}\"", random.of(&ACTIONS));
    let (principal, action) = match nth {
        0..45 => (format!("principal in {group}"), format!("action == {}", action())),
        45..65 => {
            (format!("principal in {group}"), format!("action in [{}, {}]", action(), action()))
        }
        65..75 => (
            format!("principal == Portcullis::User::\"corp|u{user}\""),
            format!("action == {}", action()),
        ),
        75..85 => (
            format!("principal is Portcullis::User in {group}"),
            "action in Gw::Action::\"read\"".to_owned(),
        ),
        85..95 => (
            format!("principal is Portcullis::Workload in {group}"),
            "action in Gw::Action::\"write\"".to_owned(),
        ),
        _ => (format!("principal in {group}"), "action".to_owned()),
    };
    let head = match random.below(10) {
        0 => "@refuse(\"forbidden\")\nforbid",
        _ => "@cache(\"no-store\")\npermit",
    };
    let mut text = format!(
        "@id(\"a{api}-{nth}\") {head} (\n  {principal},\n  {action},\n  resource in Portcullis::Api::\"a{api}\"\n)"
    );
    for _ in 0..random.below(4) {
        let _ = write!(text, "\nwhen {{ {} }}", random.of(&CONDITIONS));
    }
    text + ";\n"
}

/// What one request asks.
pub(crate) struct Asked {
    identity: Identity,
    action: Action,
    resource: Resource,
    pub(crate) facts: Facts,
}

impl Asked {
    pub(crate) fn question(&self) -> Question<'_> {
        let Self { identity, action, resource, facts } = self;
        Question { principal: identity, action, resource, context: facts }
    }
}

/// Questions to a set of that many policies, by so many principals.
pub(crate) fn questions(policies: usize, count: usize, principals: usize) -> Vec<Asked> {
    let mut random = Random(7);
    let apis = (policies / PER_API) as u64;
    let one = |nth: usize| {
        let who = (nth % principals) as u64;
        let mut own = Random(who);
        let mut groups: Vec<String> =
            (0..5).map(|_| format!("corp|g{}", own.below(GROUPS))).collect();
        groups.sort();
        groups.dedup();
        let principal = Principal {
            kind: own.of(&[PrincipalKind::User, PrincipalKind::User, PrincipalKind::Workload]),
            id: format!("corp|u{who}"),
            groups,
            ..Principal::default()
        };
        let (api, item) = (random.below(apis), random.below(ITEMS));
        asked(
            principal,
            "Gw",
            random.of(&ACTIONS),
            ("Gw::Item", format!("a{api}-{item}"), format!("a{api}")),
            who,
        )
    };
    (0..count).map(one).collect()
}

fn asked(
    principal: Principal,
    namespace: &str,
    action: &str,
    (kind, id, api): (&str, String, String),
    who: u64,
) -> Asked {
    let mut facts = Facts::default();
    facts.identity.health = Health::Ok;
    (facts.identity.presented, facts.identity.verified) = (true, true);
    facts.identity.issuer = "corp".to_owned();
    facts.token.present = true;
    facts.token.issuer = "https://id.example.test".to_owned();
    facts.token.audience = vec!["https://api.example.test".to_owned()];
    facts.token.scope = ["openid", "orders:read", "orders:write"].map(str::to_owned).into();
    facts.token.client = "web".to_owned();
    facts.token.acr = if who.is_multiple_of(2) { "aal2" } else { "aal1" }.to_owned();
    facts.token.amr = vec!["pwd".to_owned(), "otp".to_owned()];
    facts.token.expires_at_s = 1_800_000_000 + i64::try_from(who).unwrap();
    facts.conn.ip = [203, 0, 113, 7].into();
    (facts.conn.tls, facts.conn.port) = (true, 40_000);
    facts.conn.received_ms = 1_790_000_000_000;
    (facts.waf.health, facts.waf.threshold) = (Health::Ok, 5);
    (facts.rate.health, facts.rate.limit, facts.rate.remaining) = (Health::Ok, 100, 99);
    let identity = Identity { principal, fact: facts.identity.clone(), token: facts.token.clone() };
    let action = Action { namespace: namespace.to_owned(), name: action.to_owned() };
    Asked { identity, action, resource: Resource { kind: kind.to_owned(), id, api }, facts }
}

/// One policy with 13 conditions, of which the tenth is false of what is [`explained`].
pub(crate) fn thirteen() -> Source {
    let conditions = [
        "context.identity.verified",
        r#"context.token.issuer == "https://id.example.test""#,
        r#"context.token.scope.contains("orders:read")"#,
        r#"context.token.client == "web""#,
        "context.conn.tls",
        "!context.rate.limited",
        "context.waf.score < context.waf.threshold",
        "context.token.expires_at_s > 1700000000",
        "resource.level < 3",
        r#"context.token.acr == "aal3""#,
        r#"resource has owner && resource.owner == principal"#,
        r#"context.conn.ip.isInRange(ip("203.0.113.0/24"))"#,
    ];
    let text = format!(
        "@id(\"thirteen\")\npermit (principal in Portcullis::Group::\"corp|g1\", action in \
         Gw::Action::\"read\", resource in Portcullis::Api::\"a0\")\nwhen {{ {} }};\n",
        conditions.join("\n  && ")
    );
    let mut source = source(PER_API);
    source.files.retain(|path, _| !path.ends_with(".cedar"));
    source.files.insert("a0/thirteen.cedar".to_owned(), text);
    source
}

/// What is asked of it.
pub(crate) fn explained() -> (RecordedQuestion, Facts) {
    let principal = Principal {
        kind: PrincipalKind::User,
        id: "corp|u0".to_owned(),
        groups: vec!["corp|g1".to_owned()],
        ..Principal::default()
    };
    let what = ("Gw::Item", "a0-1".to_owned(), "a0".to_owned());
    let Asked { identity, action, resource, facts } = asked(principal, "Gw", "get", what, 0);
    (RecordedQuestion { principal: identity.principal, action, resource }, facts)
}

/// The policies directory of the repository.
pub(crate) fn starter() -> Source {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let mut source = Source::default();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            source.files.insert(name, std::fs::read_to_string(path).unwrap());
        }
    }
    source
}

/// A customer who reads orders, her own and others.
pub(crate) fn starter_questions(count: usize) -> Vec<Asked> {
    let one = |nth: usize| {
        let principal = Principal {
            kind: PrincipalKind::User,
            id: "corp|alice".to_owned(),
            groups: vec!["corp|customers".to_owned()],
            ..Principal::default()
        };
        let order = format!("o-{}", 1_001 + nth % 10);
        asked(principal, "Orders", "get", ("Orders::Order", order, "orders".to_owned()), 0)
    };
    (0..count).map(one).collect()
}
