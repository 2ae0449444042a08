//! The index against Cedar's own authorizer, which asks every policy: decision, reasons and errors
//! of random sets, stores and requests are compared, and the same comparison must notice each
//! mutant of the index, which lacks one source of keys.
//!
//! Nothing here is valid by any schema: hierarchies are arbitrary, entities are absent, attributes
//! are missing and numbers overflow. `cargo xtask equal` runs it at length.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Effect, Entities, Entity, EntityUid, Policy,
    PolicyId, PolicySet, Request, Response, RestrictedExpression, SlotId,
};

use super::{Index, Source};
use crate::condition::Condition;

/// Without `EQUAL_CASES`; a million or more is for `cargo xtask equal`.
const CASES: u64 = 20_000;
const STORES_PER_SET: u64 = 8;
const REQUESTS_PER_STORE: u64 = 16;
const MUTANTS: [Source; 3] = [Source::Ancestors, Source::Kinds, Source::ActionGroups];

/// Sebastiano Vigna's SplitMix64: a seed gives the same cases everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    fn entity(&mut self, kinds: &[&str]) -> String {
        format!("T::{}::\"{}\"", self.of(kinds), self.below(4))
    }
}

const ACTIONS: &[&str] = &["Action"];
const ACTORS: &[&str] = &["User", "Service", "Group", "Group", "Group"];
const THINGS: &[&str] = &["Route", "Api", "Api", "Group"];
const ALL: &[&str] = &["User", "Service", "Group", "Route", "Api"];
const CONDITIONS: &[&str] = &[
    "principal.n + 1 > 3",
    "resource.n * 2 > 10",
    "resource has n && resource.n < 5",
    "context.x > 2",
    "context has x && context.x > 2",
    "principal == resource.owner",
    "principal in T::Group::\"1\"",
    "resource in principal",
    "principal is T::User && resource is T::Route",
    "action in T::Action::\"3\"",
    "principal.getTag(\"a\") == \"b\"",
    "principal.n",
    "T::User::\"1\".n > 3 || T::User::\"2\" in T::Group::\"2\"",
    "true",
    "false",
];

/// A principal's or resource's part of a scope.
fn constraint(random: &mut Random, name: &str, kinds: &[&str], slot: Option<&str>) -> String {
    let entity = slot.map_or_else(|| random.entity(kinds), str::to_owned);
    let kind = random.of(kinds);
    match random.below(if slot.is_some() { 3 } else { 6 }) {
        0 => format!("{name} == {entity}"),
        1 => format!("{name} in {entity}"),
        2 => format!("{name} is T::{kind} in {entity}"),
        3 => format!("{name} is T::{kind}"),
        _ => name.to_owned(),
    }
}

fn action(random: &mut Random) -> String {
    match random.below(5) {
        0 => format!("action == {}", random.entity(ACTIONS)),
        1 => format!("action in {}", random.entity(ACTIONS)),
        2 | 3 => {
            let all: Vec<String> = (0..random.below(4)).map(|_| random.entity(ACTIONS)).collect();
            format!("action in [{}]", all.join(", "))
        }
        _ => "action".to_owned(),
    }
}

fn policy(random: &mut Random, principal: Option<&str>, resource: Option<&str>) -> String {
    let effect = random.of(&["permit", "forbid"]);
    let principal = constraint(random, "principal", ACTORS, principal);
    let resource = constraint(random, "resource", THINGS, resource);
    let mut text = format!("{effect} ({principal}, {}, {resource})", action(random));
    for _ in 0..random.below(3) {
        let when = random.of(&["when", "unless"]);
        let _ = write!(text, " {when} {{ {} }}", random.of(CONDITIONS));
    }
    text + ";\n"
}

/// Static policies, templates and their links.
fn policies(random: &mut Random) -> PolicySet {
    let mut text = String::new();
    for _ in 0..4 + random.below(8) {
        text += &policy(random, None, None);
    }
    let slots = [(true, false), (false, true), (true, true)];
    for (principal, resource) in slots.into_iter().take(usize::try_from(random.below(4)).unwrap()) {
        let slot = |there: bool, name| there.then_some(name);
        text += &policy(random, slot(principal, "?principal"), slot(resource, "?resource"));
    }
    let mut set: PolicySet = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
    let templates: BTreeMap<PolicyId, BTreeSet<SlotId>> =
        set.templates().map(|one| (one.id().clone(), one.slots().cloned().collect())).collect();
    for (template, slots) in templates {
        for nth in 0..random.below(4) {
            let id = PolicyId::new(format!("{template}-{nth}"));
            let values: HashMap<SlotId, EntityUid> = slots
                .iter()
                .map(|slot| (slot.clone(), random.entity(ALL).parse().unwrap()))
                .collect();
            set.link(template.clone(), id, values).unwrap();
        }
    }
    set
}

/// Any entity may be in any that comes before it, whatever their types; some are absent.
fn store(random: &mut Random) -> Entities {
    let mut entities = Vec::new();
    for kinds in [ALL, ACTIONS] {
        let mut before: Vec<EntityUid> = Vec::new();
        let mut all: Vec<String> = kinds
            .iter()
            .flat_map(|kind| (0..4).map(move |nth| format!("T::{kind}::\"{nth}\"")))
            .collect();
        for last in (1..all.len()).rev() {
            all.swap(last, usize::try_from(random.below(last as u64 + 1)).unwrap());
        }
        for uid in all {
            let uid: EntityUid = uid.parse().unwrap();
            let chances = 1 + before.len() as u64;
            let parents: HashSet<EntityUid> =
                before.iter().filter(|_| random.below(chances) < 2).cloned().collect();
            before.push(uid.clone());
            if !random.one_in(5) {
                entities.push(entity(random, uid, parents));
            }
        }
    }
    Entities::from_entities(entities, None).unwrap()
}

fn entity(random: &mut Random, uid: EntityUid, parents: HashSet<EntityUid>) -> Entity {
    let mut attributes = Vec::new();
    if !random.one_in(3) {
        let n = if random.one_in(3) { i64::MAX } else { i64::try_from(random.below(10)).unwrap() };
        attributes.push(("n".to_owned(), RestrictedExpression::new_long(n)));
    }
    if random.one_in(2) {
        let owner = random.entity(ALL).parse().unwrap();
        attributes.push(("owner".to_owned(), RestrictedExpression::new_entity_uid(owner)));
    }
    let tag = ("a".to_owned(), RestrictedExpression::new_string("b".to_owned()));
    let tags = random.one_in(2).then_some(tag);
    Entity::new_with_tags(uid, attributes, parents, tags).unwrap()
}

fn request(random: &mut Random) -> Request {
    let mut any = |kinds: &[&str]| -> EntityUid {
        let uid = match random.below(12) {
            0 => "T::Unknown::\"0\"".to_owned(),
            1 => random.entity(ALL),
            _ => random.entity(kinds),
        };
        uid.parse().unwrap()
    };
    let (principal, action, resource) = (any(ACTORS), any(ACTIONS), any(THINGS));
    let x = i64::try_from(random.below(5)).unwrap();
    let x = ("x".to_owned(), RestrictedExpression::new_long(x));
    let context = Context::from_pairs((!random.one_in(3)).then_some(x)).unwrap();
    Request::new(principal, action, resource, context, None).unwrap()
}

/// Decision, reasons and errors.
type Answer = (Decision, BTreeSet<String>, BTreeMap<String, String>);

fn of_cedar(response: &Response) -> Answer {
    let reasons = response.diagnostics().reason().map(ToString::to_string).collect();
    let error = |error: &AuthorizationError| match error {
        AuthorizationError::PolicyEvaluationError(error) => {
            (error.policy_id().to_string(), error.inner().to_string())
        }
    };
    (response.decision(), reasons, response.diagnostics().errors().map(error).collect())
}

fn of_index(
    index: &Index,
    policies: &[(&Policy, Condition)],
    request: &Request,
    store: &Entities,
) -> Answer {
    let part = |uid: &EntityUid| index.part(uid, store.ancestors(uid).into_iter().flatten());
    let action = request.action().unwrap();
    let groups = store.ancestors(action).into_iter().flatten();
    let matching = index.matching(
        &part(request.principal().unwrap()),
        &index.action(action, groups),
        &part(request.resource().unwrap()),
    );
    let (mut permits, mut forbids) = (BTreeSet::new(), BTreeSet::new());
    let mut errors = BTreeMap::new();
    for nth in matching {
        let (policy, condition) = &policies[usize::try_from(nth).unwrap()];
        let id = policy.id().to_string();
        match (condition.holds(request, store), policy.effect()) {
            (Ok(true), Effect::Permit) => assert!(permits.insert(id)),
            (Ok(true), Effect::Forbid) => assert!(forbids.insert(id)),
            (Ok(false), _) => {}
            (Err(message), _) => assert_eq!(errors.insert(id, message), None),
        }
    }
    match (forbids.is_empty(), permits.is_empty()) {
        (true, false) => (Decision::Allow, permits, errors),
        (_, _) => (Decision::Deny, forbids, errors),
    }
}

#[expect(clippy::disallowed_methods, reason = "how long the test runs is no part of the product")]
fn asked(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |number| number.parse().unwrap())
}

/// How many cases were of each kind: a comparison of nothing but denials would show little.
#[derive(Debug, Default)]
struct Seen {
    allowed: u64,
    with_reasons: u64,
    with_errors: u64,
}

#[test]
fn the_index_answers_as_cedar_does_and_its_mutants_do_not() {
    let (cases, seed) = (asked("EQUAL_CASES", CASES), asked("EQUAL_SEED", 1));
    let mut random = Random(seed);
    let authorizer = Authorizer::new();
    let (mut done, mut differences, mut seen) = (0, 0, Seen::default());
    let mut noticed = [0_u64; MUTANTS.len()];
    while done < cases {
        let set = policies(&mut random);
        let all: Vec<_> = set.policies().map(|one| (one, Condition::of(one))).collect();
        let index = || Index::of(set.policies());
        let mutants = MUTANTS.map(|without| Index { without: Some(without), ..index() });
        let index = index();
        for _ in 0..STORES_PER_SET {
            let store = store(&mut random);
            for _ in 0..REQUESTS_PER_STORE {
                let request = request(&mut random);
                let want = of_cedar(&authorizer.is_authorized(&request, &set, &store));
                let got = of_index(&index, &all, &request, &store);
                if got != want && differences < 3 {
                    println!("seed {seed}: {request}\nwant {want:?}\ngot {got:?}\n{set}\n");
                }
                differences += u64::from(got != want);
                for (mutant, noticed) in mutants.iter().zip(&mut noticed) {
                    *noticed += u64::from(of_index(mutant, &all, &request, &store) != want);
                }
                seen.allowed += u64::from(want.0 == Decision::Allow);
                seen.with_reasons += u64::from(!want.1.is_empty());
                seen.with_errors += u64::from(!want.2.is_empty());
                done += 1;
            }
        }
    }
    let Seen { allowed, with_reasons, with_errors } = seen;
    let killed = noticed.iter().filter(|noticed| **noticed > 0).count();
    println!("allowed={allowed} with_reasons={with_reasons} with_errors={with_errors}");
    println!("noticed of the mutants {MUTANTS:?}: {noticed:?}");
    println!("equal: cases={done} differences={differences} mutants_killed={killed}/3");
    assert_eq!((differences, killed), (0, MUTANTS.len()));
    assert!([allowed, with_reasons, with_errors].iter().all(|kind| kind * 20 > done));
}
