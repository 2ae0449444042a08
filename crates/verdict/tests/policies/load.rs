//! What a load says of a directory that is not right.

use verdict::{Policies, Problem, Source};

use crate::support::{ENTITIES, SCHEMA, load, shop};

fn problems(source: &Source) -> Vec<Problem> {
    Policies::load(source).err().unwrap_or_default()
}

/// Where each problem is and how its message begins.
fn places(problems: &[Problem]) -> Vec<(&str, usize, usize, &str)> {
    problems.iter().map(|p| (p.file.as_str(), p.line, p.column, p.message.as_str())).collect()
}

fn with(files: &[(&str, &str)]) -> Source {
    let mut source = shop("", "");
    for (path, text) in files {
        source.files.insert((*path).to_owned(), (*text).to_owned());
    }
    source
}

#[test]
fn everything_wrong_is_told_at_once() {
    let source = with(&[
        (
            "guardrails/a.cedar",
            "// fine\n@id(\"g\")\n@refuse(\"blokced\")\nforbid (principal, action, resource);\n\n@refuse(\"blocked\")\nforbid (principal, action, resource);\n",
        ),
        ("guardrails/b.cedar", "@id(\"p\")\npermit (principal, action, resource);\n"),
        ("shop/broken.cedar", "@id(\"x\")\npermit (principal, action resource);\n"),
        (
            "shop/types.cedar",
            "@id(\"t\")\npermit (principal, action, resource in Portcullis::Api::\"shop\")\nwhen { context.waf.scoer > 5 };\n\n@id(\"wide\")\npermit (principal, action == Shop::Action::\"buy\", resource);\n\n@id(\"t\") @refsue(\"blocked\")\nforbid (principal, action, resource in Portcullis::Api::\"shop\");\n",
        ),
        (
            "stop/policies.cedar",
            "@id(\"s\") permit (principal, action, resource in Portcullis::Api::\"stop\");\n",
        ),
        ("shop/policies.ceder", "forbid (principal, action, resource);"),
        (
            "entities/bad.json",
            "[\n  {\"uid\": {\"type\": \"Shop::Item\", \"id\": \"pen\"}, \"attrs\": {\"price\": \"two\"}, \"parents\": []},\n  {\"uid\": {\"type\": \"Shop::Item\", \"id\": \"ink\"}, \"attrs\": {\"price\": 2}, \"parents\": []},\n  {\"uid\": {\"type\": \"Portcullis::Role\", \"id\": \"buyer\"}, \"attrs\": {}, \"parents\": []},\n  {\"uid\": {\"type\": \"Shop::Itme\", \"id\": \"ink\"}, \"attrs\": {}, \"parents\": []}\n]\n",
        ),
        ("entities/syntax.json", "[\n  {\"uid\": }\n]\n"),
    ]);
    let problems = problems(&source);
    let want = [
        ("entities/bad.json", 2, 3, "entity does not conform to the schema: in attribute `price`"),
        ("entities/bad.json", 3, 3, "`Shop::Item::\"ink\"` is in no API"),
        ("entities/bad.json", 4, 3, "`Portcullis::Role::\"buyer\"` is declared twice"),
        ("entities/bad.json", 5, 3, "error during entity deserialization"),
        ("entities/syntax.json", 2, 11, "not a JSON array of entities: expected value"),
        ("guardrails/a.cedar", 3, 1, "`@refuse` cannot be `blokced`"),
        ("guardrails/a.cedar", 6, 1, "this `forbid` has no `@id`"),
        ("guardrails/b.cedar", 1, 1, "a guardrail cannot permit"),
        ("shop/broken.cedar", 2, 27, "unexpected token `resource`"),
        ("shop/policies.ceder", 1, 1, "`shop/policies.ceder` has no place"),
        ("shop/types.cedar", 3, 8, "for policy `t`, attribute `waf.scoer`"),
        ("shop/types.cedar", 5, 1, "this policy reaches beyond the API `shop`"),
        ("shop/types.cedar", 8, 1, "`@id(\"t\")` is taken"),
        ("shop/types.cedar", 8, 1, "this `forbid` has no `@refuse`"),
        ("shop/types.cedar", 8, 10, "unknown annotation `@refsue`"),
        ("stop/policies.cedar", 1, 1, "`stop/` is not the directory of a declared API"),
    ];
    let got = places(&problems);
    assert_eq!(got.len(), want.len(), "{got:#?}");
    for (got, want) in got.iter().zip(want) {
        assert_eq!((got.0, got.1, got.2), (want.0, want.1, want.2), "{got:?}");
        assert!(got.3.starts_with(want.3), "{got:?}");
    }
}

#[test]
fn hints_say_what_to_do() {
    let check = |path: &str, text: &str, want: &str| {
        let source = with(&[(path, text)]);
        let problems = problems(&source);
        let hints: Vec<_> = problems.iter().filter_map(|problem| problem.hint.as_deref()).collect();
        assert!(hints.iter().any(|hint| hint.contains(want)), "{path}: {problems:#?}");
    };
    let api = "resource in Portcullis::Api::\"shop\"";
    check(
        "shop/a.cedar",
        &format!("@id(\"a\") @auddit(\"strict\") permit (principal, action, {api});"),
        "did you mean `@audit`?",
    );
    check(
        "shop/a.cedar",
        &format!("@id(\"a\") @owner(\"x\") permit (principal, action, {api});"),
        "list annotations of your own",
    );
    check(
        "shop/a.cedar",
        &format!("@id(\"a\") forbid (principal, action, {api});"),
        "one of `unavailable`",
    );
    check(
        "shop/a.cedar",
        &format!("@id(\"a\") permit (principal, action, {api}) when {{ context.waf.scoer > 5 }};"),
        "did you mean `score`?",
    );
    check(
        "shop/a.cedar",
        "@id(\"a\") permit (principal, action, resource);",
        "resource in Portcullis::Api::\"shop\"",
    );
    check(
        "shp/a.cedar",
        "@id(\"a\") permit (principal, action, resource in Portcullis::Api::\"shp\");",
        "did you mean `shop/`?",
    );
    check(
        "shop/a.cedar",
        "@id(\"a\") permit (principal == ?principal, action, resource);",
        "`resource in ?resource`",
    );
    check("links/a.yml.bak", "", "links/*.yaml");
}

/// Warnings of Cedar's, and policies that a request's store cannot answer.
#[test]
fn validation_is_strict() {
    let check = |condition: &str, want: &str| {
        let policy = format!(
            "@id(\"p\")\npermit (principal is Portcullis::User, action == Shop::Action::\"see\", resource is Shop::Item in Portcullis::Api::\"shop\")\nwhen {{ {condition} }};"
        );
        let problems = problems(&with(&[("shop/a.cedar", &policy)]));
        let got = places(&problems);
        assert_eq!(got.len(), usize::from(!want.is_empty()), "{condition}: {got:?}");
        assert!(got.iter().all(|problem| problem.3.contains(want)), "{condition}: {got:?}");
    };
    check("resource.price > 1", "");
    check("resource.price == \"1\"", "the types");
    check("false", "impossible");
    check("resource.owner == principal", "optional");
    check("resource has owner && resource.owner == principal", "");
    check("resource has owner && resource.owner in Portcullis::Role::\"buyer\"", "level");
    check("resource has owner && resource.owner.hasTag(\"x\")", "level");
    check("principal has age", "impossible");
    check("context.waf.hits.isEmpty()", "attribute `waf.hits`");
}

#[test]
fn a_wrong_schema_leaves_the_other_problems_standing() {
    let schema =
        SCHEMA.replace("context: Portcullis::Facts,\n  };\n}", "context: { x: Long },\n  };\n}");
    let source = with(&[
        ("schema.cedarschema", &schema),
        ("shop/a.cedar", "permit (principal, action, resource in Portcullis::Api::\"shop\");"),
    ]);
    let problems = problems(&source);
    assert_eq!(places(&problems).len(), 2, "{problems:#?}");
    assert_eq!(problems[0].file, "schema.cedarschema");
    assert_eq!(problems[0].line, 9);
    assert!(problems[1].message.contains("no `@id`"), "{problems:#?}");
}

#[test]
fn entities_are_checked_together() {
    let check = |from: &str, to: &str, want: &str| {
        let entities = ENTITIES.replace(from, to);
        assert_ne!(entities, ENTITIES);
        let problems = problems(&with(&[("entities/all.json", &entities)]));
        assert_eq!(problems.len(), 1, "{to}: {problems:#?}");
        assert!(problems[0].message.contains(want), "{to}: {problems:#?}");
    };
    check("\"price\": 20", "\"price\": 20, \"colour\": \"red\"", "colour");
    check("{\"price\": 20}", "{}", "price");
    check("\"price\": 20", "\"price\": 9223372036854775808", "");
    check("\"price\": 20", "\"price\": 1.5", "");
    check("{\"price\": 20},", "{\"price\": 20}, \"tag\": {\"x\": \"y\"},", "no field `tag`");
    check(
        "\"id\": \"corp|vip\"}, \"attrs\": {}",
        "\"id\": \"corp|vip\"}, \"attrs\": {}, \"tags\": {\"x\": [\"y\"]}",
        "has tags",
    );
}

/// Each member of the circle is told, and the circle alone.
#[test]
fn a_circle_of_parents_is_told() {
    let all = "\"id\": \"corp|all\"}, \"attrs\": {},\n   \"parents\": [";
    let team = "{\"type\": \"Portcullis::Group\", \"id\": \"corp|team\"}, ";
    let entities = ENTITIES.replace(all, &format!("{all}{team}"));
    let problems = problems(&with(&[("entities/all.json", &entities)]));
    let file = "entities/all.json";
    let want = [
        (file, 4, 3, "`Portcullis::Group::\"corp|all\"` is above itself"),
        (file, 6, 3, "`Portcullis::Group::\"corp|team\"` is above itself"),
    ];
    assert_eq!(places(&problems), want);
}

#[test]
fn listed_annotations_are_kept_and_near_misses_are_not() {
    let policy = |annotation: &str| {
        format!(
            "@id(\"a\") @{annotation}(\"x\") permit (principal, action, resource in Portcullis::Api::\"shop\");"
        )
    };
    let check = |annotation: &str, want: usize| {
        let mut source = with(&[("shop/a.cedar", &policy(annotation))]);
        source.annotations = ["ticket", "owner", "cached"].map(str::to_owned).into();
        assert_eq!(problems(&source).len(), want, "{annotation}");
    };
    check("ticket", 0);
    check("owner", 0);
    check("cached", 1);
    check("control", 1);
}

#[test]
fn an_empty_set_loads_and_permits_nothing() {
    let mut source = shop("", "");
    source.files.insert("README.md".to_owned(), "what this is".to_owned());
    source.files.insert("cases/none.yaml".to_owned(), "cases: []".to_owned());
    let digests = load(&source).digests().clone();
    assert!(
        [&digests.policies, &digests.schema, &digests.entities].iter().all(|hex| hex.len() == 64)
    );
}

#[test]
fn a_problem_reads_like_a_compilers() {
    let problem = Problem {
        file: "shop/a.cedar".to_owned(),
        line: 3,
        column: 1,
        message: "wrong".to_owned(),
        lint: verdict::Lint::Syntax,
        hint: Some("put it right".to_owned()),
    };
    assert_eq!(problem.to_string(), "shop/a.cedar:3:1: wrong (hint: put it right)");
}
