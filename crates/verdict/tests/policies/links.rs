//! Templates and the links to them: what they grant, until when, and what keeps them from loading.

use serde_json::json;
use signals::{Facts, Principal, PrincipalKind};
use verdict::{Action, Basis, Checked, Decision, Document, Policies, Problem, Resource, Source};

use crate::support::{load, shop, yaml};

const TEMPLATES: &str = r#"@id("one")
@cache("no-store")
permit (principal == ?principal, action == Shop::Action::"see", resource == ?resource);
@id("all")
permit (principal in ?principal, action, resource in Portcullis::Api::"shop");
@id("held")
permit (principal == ?principal, action == Shop::Action::"buy", resource == ?resource)
when { resource in Portcullis::Api::"shop" && resource.price < 50 };
"#;

const BOOK: &str = r#"- id: ann-book
  template: one
  principal: Portcullis::User::"corp|ann"
  resource: Shop::Item::"book"
  until: 2026-12-31
  ticket: ACME-1
"#;

/// The end of that day.
pub(crate) const END_MS: i64 = 1_798_761_600_000;

pub(crate) fn with(templates: &str, links: &str) -> Source {
    let mut source = shop(templates, "");
    let value = yaml(links);
    let mut places = std::collections::BTreeMap::new();
    for (nth, link) in value.as_array().unwrap().iter().enumerate() {
        places.insert(format!("/{nth}"), (nth + 1, 3));
        for (key, column) in link.as_object().unwrap().keys().zip(11..) {
            places.insert(format!("/{nth}/{key}"), (nth + 1, column));
        }
    }
    source.files.insert("links/a.yaml".to_owned(), links.to_owned());
    source
        .links
        .insert("links/a.yaml".to_owned(), Document { value, places, ..Document::default() });
    source
}

fn ask(policies: &Policies, who: &str, name: &str, id: &str, received_ms: i64) -> Basis {
    let principal =
        Principal { kind: PrincipalKind::User, id: who.to_owned(), ..Principal::default() };
    let question = json!({
        "principal": principal,
        "action": Action { namespace: "Shop".to_owned(), name: name.to_owned() },
        "resource": Resource { kind: "Shop::Item".to_owned(), id: id.to_owned(), api: "shop".to_owned() },
    });
    let mut facts = Facts::default();
    facts.conn.received_ms = received_ms;
    policies.ask_again(&question, &serde_json::to_value(facts).unwrap()).unwrap()
}

#[test]
fn a_link_grants_what_it_says_and_nothing_else() {
    let policies = load(&with(TEMPLATES, BOOK));
    let check = |who: &str, name: &str, id: &str, want: &[&str]| {
        let basis = ask(&policies, who, name, id, 1);
        assert_eq!(basis.determining, want, "{who} {name} {id}");
        assert_eq!(basis.decision == Decision::Allow, !want.is_empty());
        assert_eq!(basis.obligations.cache.is_some(), !want.is_empty(), "as its template asks");
    };
    check("corp|ann", "see", "book", &["ann-book"]);
    check("corp|ann", "see", "island", &[]);
    check("corp|ann", "buy", "book", &[]);
    check("corp|bob", "see", "book", &[]);
}

/// To the millisecond, whenever the set was loaded: the recorded question is asked again of a set
/// that was loaded later, and of one that was told no time.
#[test]
fn a_link_counts_until_its_end() {
    let hour = 3_600_000;
    let loaded = |now_ms: Option<i64>| load(&Source { now_ms, ..with(TEMPLATES, BOOK) });
    let check = |now_ms: Option<i64>, received_ms: i64, want: bool| {
        let basis = ask(&loaded(now_ms), "corp|ann", "see", "book", received_ms);
        assert_eq!(basis.decision == Decision::Allow, want, "{now_ms:?} {received_ms}");
    };
    for now_ms in [None, Some(1), Some(END_MS - 1), Some(END_MS), Some(END_MS + hour - 1)] {
        check(now_ms, END_MS - 1, true);
        check(now_ms, END_MS, false);
    }
    check(Some(END_MS + hour), END_MS - 1, false); // left out
    // Where no time is recorded, it is that of the load; without it, the end has come.
    check(Some(END_MS - 1), 0, true);
    check(Some(END_MS), 0, false);
    check(None, 0, false);
    let never = BOOK.replace("2026-12-31", "never");
    let basis = ask(&load(&with(TEMPLATES, &never)), "corp|ann", "see", "book", i64::MAX);
    assert_eq!(basis.decision, Decision::Allow);
}

#[test]
fn what_is_over_is_listed() {
    let loaded = |now_ms| load(&Source { now_ms: Some(now_ms), ..with(TEMPLATES, BOOK) });
    // Whenever it was loaded: a link ends without a load.
    for (loaded_ms, at_ms) in [(1, END_MS), (END_MS, END_MS), (END_MS + 86_400_000, END_MS + 1)] {
        let policies = loaded(loaded_ms);
        assert_eq!(policies.links_over(END_MS - 1).next(), None);
        let over: Vec<_> = policies.links_over(at_ms).collect();
        let [link] = over.as_slice() else { panic!("{loaded_ms}") };
        assert_eq!(
            (link.file.as_str(), link.line, link.id.as_str()),
            ("links/a.yaml", 1, "ann-book")
        );
        assert_eq!((link.until.as_str(), link.ticket.as_deref()), ("2026-12-31", Some("ACME-1")));
    }
}

/// Nobody looks at a link that was over when the set was in force; of a set that is loaded without
/// a time, to ask again what it decided, it may be such a one.
#[test]
fn a_link_that_may_have_been_over_keeps_no_set_from_loading_again() {
    let gone = BOOK.replace("ann-book", "old").replace("template: one", "template: gone");
    let links = format!("{BOOK}{gone}{BOOK}");
    let loaded =
        |now_ms: Option<i64>| Policies::load(&Source { now_ms, ..with(TEMPLATES, &links) });
    let problems = loaded(Some(1)).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(loaded(Some(END_MS + 86_400_000)).is_ok());
    let again = loaded(None).unwrap();
    let basis = ask(&again, "corp|ann", "see", "book", 1);
    assert_eq!(basis.determining, ["ann-book"]);
}

/// A template's parts are seen through all of its links; a template without any is left out.
#[test]
fn coverage_sees_a_template_through_its_links() {
    let bob = BOOK.replace("ann", "bob").replace("book", "island").replace("one", "held");
    let links = format!("{BOOK}{bob}");
    let source = Source { now_ms: Some(1), ..with(TEMPLATES, &links) };
    let case = |who: &str, action: &str, id: &str| {
        format!(
            "  - {{name: a, principal: {{kind: User, id: \"corp|{who}\"}}, action: \"Shop::{action}\", \
             resource: {{kind: \"Shop::Item\", id: {id}, api: shop}}, expect: forbidden}}\n"
        )
    };
    let check = |cases: &str, want: &[(&str, &str, bool, bool)]| {
        let cases = verdict::cases::read(&yaml(&format!("cases:\n{cases}"))).unwrap();
        let coverage = load(&source).coverage(&source, &cases);
        let got: Vec<_> = coverage
            .parts
            .iter()
            .map(|part| (part.policy.as_str(), part.text.as_str(), part.seen_true, part.seen_false))
            .collect();
        assert_eq!(got, want);
    };
    let one =
        "permit (principal == ?principal, action == Shop::Action::\"see\", resource == ?resource)";
    let held =
        "permit (principal == ?principal, action == Shop::Action::\"buy\", resource == ?resource)";
    let (is_in, price) = ("resource in Portcullis::Api::\"shop\"", "resource.price < 50");
    check(
        &case("ann", "see", "book"),
        &[
            ("one", one, true, false),
            ("held", held, false, true),
            ("held", is_in, false, false),
            ("held", price, false, false),
        ],
    );
    check(
        &[case("bob", "buy", "island"), case("ann", "see", "book")].concat(),
        &[
            ("one", one, true, true),
            ("held", held, true, true),
            ("held", is_in, true, false),
            ("held", price, false, true),
        ],
    );
}

#[test]
fn links_are_part_of_what_is_digested_and_told_as_changed() {
    let (first, other) = (load(&with(TEMPLATES, BOOK)), BOOK.replace("12-31", "12-30"));
    let none = load(&shop(TEMPLATES, ""));
    let later = first.reload(&with(TEMPLATES, &other)).unwrap();
    assert_ne!(first.digests().policies, none.digests().policies);
    assert_ne!(first.digests().policies, later.digests().policies);
    assert_eq!(later.changes_since(Some(&first)).changed, ["ann-book"]);
    assert_eq!(first.changes_since(Some(&none)).added, ["ann-book"]);
    assert_eq!(none.changes_since(Some(&first)).removed, ["ann-book"]);
    assert!(first.reload(&with(TEMPLATES, BOOK)).unwrap().changes_since(Some(&first)).is_empty());
}

#[test]
fn each_wrong_link_is_told_with_its_place() {
    let check = |from: &str, to: &str, want: Option<(usize, &str)>| {
        let links = BOOK.replace(from, to);
        let source = Source { now_ms: Some(1), ..with(TEMPLATES, &links) };
        let problems = Policies::load(&source).err().unwrap_or_default();
        let got: Vec<_> = problems.iter().map(|p| (p.column, p.message.as_str())).collect();
        assert_eq!(got.len(), usize::from(want.is_some()), "{to}: {problems:#?}");
        for (got, want) in got.iter().zip(want) {
            assert!(got.0 == want.0 && got.1.contains(want.1), "{to}: {problems:#?}");
            assert_eq!(problems[0].file, "links/a.yaml");
        }
    };
    check("", "", None);
    check("one", "on", Some((12, "no template has the `@id` `on`")));
    check("  resource: Shop::Item::\"book\"\n", "", Some((3, "this link has no `resource`")));
    check("one", "all", Some((14, "the template has no `?resource`")));
    check("id: ann-book", "id: one", Some((3, "`one` is taken")));
    check("Item::\"book\"", "Item::\"pen\"", Some((14, "is not known to be in the API `shop`")));
    check("one", "held", None);
    check(
        "template: one\n  principal: Portcullis::User::\"corp|ann\"\n  resource: Shop::Item::\"book\"",
        "template: held\n  principal: Portcullis::User::\"corp|ann\"\n  resource: Shop::Item::\"pen\"",
        None,
    );
    check(
        "Portcullis::User::\"corp|ann\"",
        "Portcullis::Usr::\"corp|ann\"",
        Some((3, "Portcullis::Usr")),
    );
    check("Portcullis::User::\"corp|ann\"", "Shop::Item::\"book\"", Some((3, "")));
    check("2026-12-31", "2026-02-30", Some((15, "`until` cannot be `2026-02-30`")));
}

#[test]
fn ids_are_of_one_link_alone() {
    let twice = format!("{BOOK}{BOOK}");
    let source = Source { now_ms: Some(1), ..with(TEMPLATES, &twice) };
    let problems = Policies::load(&source).unwrap_err();
    let got: Vec<_> = problems.iter().map(|p| (p.line, p.message.as_str())).collect();
    assert_eq!(got, [(2, "`ann-book` is taken")]);
}

/// A caller that forgets to parse the links does not load a set without them.
#[test]
fn links_that_were_not_parsed_are_a_problem() {
    let mut source = with(TEMPLATES, BOOK);
    source.links.clear();
    let problems = Policies::load(&source).unwrap_err();
    assert_eq!(problems[0].message, "the links of this file were not parsed");
}

#[test]
fn a_template_stays_within_its_api() {
    let problems = |file: &str, template: &str| -> Vec<Problem> {
        let mut source = shop("", "");
        source.files.insert(file.to_owned(), format!("@id(\"t\")\n{template}"));
        Policies::load(&source).err().unwrap_or_default()
    };
    let check = |file: &str, template: &str, want: Option<&str>| {
        let got = problems(file, template);
        assert_eq!(got.len(), usize::from(want.is_some()), "{template}: {got:#?}");
        assert!(got.iter().zip(want).all(|(got, want)| got.message.contains(want)), "{got:#?}");
    };
    let (file, beyond) = ("shop/t.cedar", Some("reaches beyond the API `shop`"));
    check(file, "permit (principal in ?principal, action, resource in ?resource);", None);
    check(file, "permit (principal in ?principal, action, resource);", beyond);
    check(file, "permit (principal == ?principal, action, resource is Shop::Item);", beyond);
    check(
        file,
        "permit (principal == ?principal, action, resource is Shop::Item in Portcullis::Api::\"shop\");",
        None,
    );
    let guardrail = "guardrails/t.cedar";
    check(guardrail, "permit (principal in ?principal, action, resource);", Some("cannot permit"));
    check(
        guardrail,
        "@refuse(\"blocked\") forbid (principal == ?principal, action, resource);",
        None,
    );
    check(guardrail, "forbid (principal == ?principal, action, resource);", Some("no `@refuse`"));
}

#[test]
fn what_makes_no_difference_is_warned_of() {
    let found = |links: &str, now_ms: i64| -> Vec<(String, usize, String)> {
        let source = Source { now_ms: Some(now_ms), ..with(TEMPLATES, links) };
        let Checked { errors, warnings, .. } = verdict::check(&source, &[]);
        assert_eq!(errors, [], "{links}");
        let of = |p: Problem| (p.lint.id().to_owned(), p.line, p.message);
        warnings.into_iter().filter(|p| !p.file.starts_with("entities")).map(of).collect()
    };
    let all = format!(
        "{BOOK}- {{ id: of-all, template: all, principal: 'Portcullis::Role::\"buyer\"', until: never }}\n\
         - {{ id: of-held, template: held, principal: 'Portcullis::User::\"corp|ann\"', resource: 'Shop::Item::\"pen\"', until: never }}\n"
    );
    assert_eq!(found(&all, 1), []);
    let over = found(&all, END_MS);
    let want = "the link `ann-book` of `ACME-1` is over since `2026-12-31`";
    assert_eq!(over, [("expired".to_owned(), 1, want.to_owned())]);
    let unlinked: Vec<_> = found(BOOK, 1).into_iter().map(|(lint, line, _)| (lint, line)).collect();
    assert_eq!(unlinked, [("unused".to_owned(), 4), ("unused".to_owned(), 6)]);
    let nobody = found(&all.replace("Role::\"buyer\"", "Role::\"byer\""), 1);
    assert_eq!(nobody[0].2, "nobody has `Portcullis::Role::\"byer\"`");
    let twice =
        found(&format!("{all}{}", BOOK.replace("ann-book", "more").replace("12-31", "12-30")), 1);
    assert_eq!(twice, [("unused".to_owned(), 4, "`ann-book` grants the same".to_owned())]);
}
