//! What is warned of, of a directory that loads, and of one that does not.

use verdict::cases::{self, Case};
use verdict::{Checked, Lint, Source, check};

use crate::support::{ENTITIES, load, shop, starter, yaml};

const SEE: &str = r#"@id("see")
permit (
  principal in Portcullis::Role::"buyer",
  action == Shop::Action::"see",
  resource in Portcullis::Api::"shop"
);
"#;

/// Place, kind and beginning of each warning.
fn warnings(checked: &Checked) -> Vec<(String, &str, &str)> {
    let place = |p: &verdict::Problem| format!("{}:{}:{}", p.file, p.line, p.column);
    checked.warnings.iter().map(|p| (place(p), p.lint.id(), p.message.as_str())).collect()
}

fn found(source: &Source, cases: &[Case], want: &[(&str, Lint, &str)]) {
    let checked = check(source, cases);
    assert_eq!(checked.errors, [], "{source:?}");
    let got = warnings(&checked);
    assert_eq!(got.len(), want.len(), "{got:#?}");
    for ((place, lint, message), want) in got.iter().zip(want) {
        assert_eq!((place.as_str(), *lint), (want.0, want.1.id()), "{got:#?}");
        assert!(message.starts_with(want.2), "{got:#?}");
    }
}

fn starter_cases() -> Vec<Case> {
    let files = starter().files.into_iter().filter(|(path, _)| path.starts_with("cases/"));
    files.flat_map(|(_, text)| cases::read(&yaml(&text)).unwrap()).collect()
}

#[test]
fn there_is_nothing_to_say_of_the_starter() {
    found(&starter(), &starter_cases(), &[]);
    let counts = check(&starter(), &[]).counts;
    assert!(counts.policies >= 14 && counts.entities >= 8, "{counts:?}");
}

#[test]
fn parts_of_a_scope_that_nothing_meets() {
    let policies = |from: &str, to: &str, want: &[(&str, Lint, &str)]| {
        let text = SEE.replace(from, to);
        assert!(from.is_empty() || text != SEE);
        found(&shop(&text, ""), &[], want);
    };
    policies("", "", &[]);
    policies(
        "Role::\"buyer\"",
        "Role::\"byer\"",
        &[
            (
                "entities/all.json:3:3",
                Lint::Unused,
                "no policy asks for `Portcullis::Role::\"buyer\"`",
            ),
            ("entities/all.json:4:3", Lint::Unused, "to be in `Portcullis::Group::\"corp|all\"`"),
            ("entities/all.json:6:3", Lint::Unused, "to be in `Portcullis::Group::\"corp|team\"`"),
            ("entities/all.json:8:3", Lint::Unused, "`Portcullis::User::\"corp|vip\"` is as if"),
            (
                "shop/policies.cedar:3:16",
                Lint::Unreachable,
                "nobody has `Portcullis::Role::\"byer\"`",
            ),
        ],
    );
    policies(
        "action == Shop::Action::\"see\"",
        "action in [Shop::Action::\"see\", Shop::Action::\"buy\"]",
        &[],
    );
    policies(
        "principal in Portcullis::Role::\"buyer\",\n  action == Shop::Action::\"see\"",
        "principal is Portcullis::ApiKey in Portcullis::Role::\"buyer\",\n  action in [Shop::Action::\"buy\", Shop::Action::\"read\"]",
        &[(
            "shop/policies.cedar:4:14",
            Lint::Unreachable,
            "for `Shop::Action::\"buy\"` this policy never holds",
        )],
    );
}

#[test]
fn an_api_that_does_not_exist_is_told() {
    let forbid = "@id(\"g\") @refuse(\"blocked\")\nforbid (principal, action, resource in Portcullis::Api::\"shp\");";
    let want = "there is no `Portcullis::Api::\"shp\"`";
    found(&shop(SEE, forbid), &[], &[("guardrails/all.cedar:2:40", Lint::Unreachable, want)]);
    let hint = check(&shop(SEE, forbid), &[]).warnings.remove(0).hint.unwrap();
    assert_eq!(hint, "did you mean `Portcullis::Api::\"shop\"`?");
}

#[test]
fn entities_that_make_no_difference() {
    let entity = |more: &str| {
        let mut source = shop(SEE, "");
        let entities = ENTITIES.replace("\n]\n", &format!(",\n  {more}\n]\n"));
        source.files.insert("entities/all.json".to_owned(), entities);
        source
    };
    let check = |more: &str, cases: &str, want: Option<&str>| {
        let cases = cases::read(&yaml(cases)).unwrap();
        let at = "entities/all.json:14:3";
        let want: Vec<_> = want.into_iter().map(|want| (at, Lint::Unused, want)).collect();
        found(&entity(more), &cases, &want);
    };
    let none = "cases: []";
    let about = |principal: &str| {
        format!(
            "cases:\n  - {{ name: n, principal: {principal}, action: \"Shop::see\", resource: {{ kind: \"Shop::Item\", id: book, api: shop }}, expect: allow }}"
        )
    };
    let group =
        r#"{"uid": {"type": "Portcullis::Group", "id": "corp|idle"}, "attrs": {}, "parents": []}"#;
    check(group, none, Some("to be in `Portcullis::Group::\"corp|idle\"` gives nobody anything"));
    check(group, &about("{ kind: User, id: a, groups: [\"corp|idle\"] }"), None);
    let below = group
        .replace("\"parents\": []", r#""parents": [{"type": "Portcullis::Role", "id": "buyer"}]"#);
    check(&below, none, None);
    let user = group.replace("Group", "User");
    check(&user, none, Some("`Portcullis::User::\"corp|idle\"` is as if it were not declared"));
    check(&user, &about("{ kind: User, id: \"corp|idle\" }"), None);
    check(&user, &about("{ kind: Workload, id: \"corp|idle\" }"), Some("`Portcullis::User"));
    let api = r#"{"uid": {"type": "Portcullis::Api", "id": "rent"}, "attrs": {}, "parents": []}"#;
    check(api, none, Some("no policy is for `Portcullis::Api::\"rent\"`"));
    let item = r#"{"uid": {"type": "Shop::Item", "id": "pen"}, "attrs": {"price": 1, "owner": {"__entity": {"type": "Portcullis::User", "id": "corp|idle"}}}, "parents": [{"type": "Portcullis::Api", "id": "shop"}]}"#;
    check(&format!("{user},\n  {item}"), none, None);
}

/// What keeps a set from loading is an error, once; what is wrong with the types of one policy
/// leaves warnings about the others standing.
#[test]
fn errors_and_warnings_stand_together() {
    let policies = format!(
        "{SEE}@id(\"never\") permit (principal is Portcullis::Workload, action == Shop::Action::\"buy\", resource in Portcullis::Api::\"shop\");\n\
         @id(\"typo\") permit (principal in Portcullis::Role::\"byer\", action, resource in Portcullis::Api::\"shop\") when {{ context.waf.scoer > 1 }};\n"
    );
    let checked = check(&shop(&policies, ""), &[]);
    let errors: Vec<_> = checked.errors.iter().map(|p| (p.line, p.lint)).collect();
    assert_eq!(errors, [(7, Lint::Unreachable), (8, Lint::Types)], "{:#?}", checked.errors);
    let got = warnings(&checked);
    assert_eq!(got.len(), 1, "{got:#?}");
    assert_eq!((got[0].0.as_str(), got[0].1), ("shop/policies.cedar:8:34", "unreachable"));
    let checked =
        check(&shop(&policies.replace("permit (principal is", "permit (principal s"), ""), &[]);
    assert_eq!(checked.warnings, []);
    assert!(!checked.errors.is_empty());
}

#[test]
fn a_permit_for_everybody_needs_its_file_listed() {
    let all = "@id(\"all\") permit (principal, action, resource);";
    let check = |file: &str, global: &[&str], want: &[(Lint, &str)]| {
        let mut source = shop(SEE, "");
        source.files.insert(file.to_owned(), all.to_owned());
        source.global = global.iter().map(|file| (*file).to_owned()).collect();
        let errors = verdict::check(&source, &[]).errors;
        let got: Vec<_> = errors.iter().map(|p| (p.lint, p.message.as_str())).collect();
        assert_eq!(got.len(), want.len(), "{file}: {got:#?}");
        for (got, want) in got.iter().zip(want) {
            assert!(got.0 == want.0 && got.1.contains(want.1), "{file}: {got:?}");
        }
    };
    check("shop/all.cedar", &[], &[(Lint::EmptyScope, "an empty scope")]);
    check("guardrails/more.cedar", &[], &[(Lint::Reach, "a guardrail cannot permit")]);
    check("shop/all.cedar", &["shop/all.cedar"], &[]);
    check("guardrails/more.cedar", &["guardrails/more.cedar"], &[]);
    let other = "is listed as global, and is no policy file";
    check("shop/all.cedar", &["all.cedar"], &[(Lint::Layout, other), (Lint::EmptyScope, "")]);
}

/// Tests of Cedar's are read as they are asked: what cannot be asked is an error with its place.
#[test]
fn tests_that_cannot_be_asked_are_errors() {
    let policies = load(&shop(SEE, ""));
    let case = "cases:\n  - name: a\n    principal: { kind: User, id: \"corp|a\" }\n    action: Shop::see\n    resource: { kind: Shop::Item, id: book, api: shop }\n    expect: allow\n";
    let cases = cases::read(&yaml(case)).unwrap();
    let test = policies.export_tests(&cases).unwrap()[0].to_string();
    let check = |tests: &str, want: &[(&str, &str)]| {
        let mut source = shop(SEE, "");
        source.files.insert("cases/a.json".to_owned(), tests.to_owned());
        let errors = check(&source, &[]).errors;
        let place = |p: &verdict::Problem| format!("{}:{}:{}", p.file, p.line, p.column);
        assert_eq!(errors.len(), want.len(), "{tests}: {errors:#?}");
        for (error, (at, message)) in errors.iter().zip(want) {
            assert_eq!((place(error).as_str(), error.lint), (*at, Lint::Case), "{error}");
            assert!(error.message.contains(message), "{error}");
        }
    };
    check(&format!("[{test}]"), &[]);
    check("[]", &[]);
    check("{}", &[("cases/a.json:1:1", "not a JSON array of tests")]);
    check("[\n  {,\n]", &[("cases/a.json:2:4", "not a JSON array of tests")]);
    check("[{}]", &[("cases/a.json:1:2", "this is no test: missing field `request`")]);
    let wrong = |from: &str, to: &str| {
        let changed = test.replacen(from, to, 1);
        assert_ne!(changed, test, "{from}");
        format!("[\n{test},\n {changed}]")
    };
    let second = "cases/a.json:3:2";
    check(&wrong("::Action::\\\"see", "::Action::\\\"sell"), &[(second, "the context")]);
    check(&wrong("\"price\":20", "\"price\":\"20\""), &[(second, "the entities")]);
    check(
        &wrong("Portcullis::User::\\\"", "Portcullis::User:\\\""),
        &[(second, "is not an entity")],
    );
    check(&wrong("\"deny\"", "\"perhaps\""), &[(second, "this is no test")]);
}

/// What an invariant or a test of Cedar's is about makes a difference, if no policy names it.
#[test]
fn what_invariants_and_tests_name_is_used() {
    let mut source = shop(SEE, "");
    let idle = "{\"uid\": {\"type\": \"Portcullis::Group\", \"id\": \"corp|idle\"}, \"attrs\": {}, \"parents\": []},";
    let entities = source.files.get_mut("entities/all.json").unwrap();
    *entities = ENTITIES.replacen('[', &format!("[\n{idle}"), 1);
    let warned = |source: &Source| {
        let told = check(source, &[]);
        assert_eq!(told.errors, []);
        told.warnings.iter().any(|warning| warning.message.contains("corp|idle"))
    };
    assert!(warned(&source), "nothing names it");
    let mut with = source.clone();
    with.files.insert("invariants/a.cedar".to_owned(), "@id(\"never\") forbid (principal in Portcullis::Group::\"corp|idle\", action == Shop::Action::\"buy\", resource);".to_owned());
    assert!(!warned(&with), "an invariant names it");
    let case = "cases:\n  - name: a\n    principal: { kind: User, id: \"corp|a\" }\n    action: Shop::see\n    resource: { kind: Shop::Item, id: book, api: shop }\n    expect: allow\n";
    let cases = cases::read(&yaml(case)).unwrap();
    let mut tests = load(&source).export_tests(&cases).unwrap();
    let entities = tests[0]["entities"].as_array_mut().unwrap();
    entities.push(serde_json::json!({
        "uid": { "type": "Portcullis::Group", "id": "corp|idle" }, "attrs": {}, "parents": [],
    }));
    let mut with = source.clone();
    with.files.insert("cases/a.json".to_owned(), tests.to_string());
    assert!(!warned(&with), "a test names it");
}
