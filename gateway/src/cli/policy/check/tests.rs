use std::fs;

use super::*;
use crate::cli::policy::setting::Setting;

const SCHEMA: &str = "namespace Shop {
  entity Item in [Portcullis::Api];
  action see appliesTo { principal: [Portcullis::User], resource: [Item], context: Portcullis::Facts };
}
";
const ENTITIES: &str = r#"[
  {"uid": {"type": "Portcullis::Api", "id": "shop"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Portcullis::Group", "id": "corp|idle"}, "attrs": {}, "parents": []}
]
"#;
const POLICY: &str =
    "@id(\"see\")\npermit (principal, action, resource in Portcullis::Api::\"shop\");\n";
const CASES: &str = "principals:\n  ann: { kind: User, id: \"corp|ann\" }\ncases: []\n";

/// The exit code, and what is printed of a small directory with these policies and cases.
fn run(policy: &str, cases: &str, format: Format, deny_warnings: bool) -> (u8, String) {
    let root = tempfile::tempdir().unwrap();
    let files = [
        ("schema.cedarschema", SCHEMA),
        ("entities/all.json", ENTITIES),
        ("shop/a.cedar", policy),
        ("cases/a.yaml", cases),
    ];
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let directory = Directory::of(root.path().to_owned());
    let mut out = Vec::new();
    let code = Check { directory, format, deny_warnings }.run(&mut out).unwrap();
    let base = format!("{}/", root.path().display());
    (code, String::from_utf8(out).unwrap().replace(&base, ""))
}

#[test]
fn the_committed_policies_leave_nothing_to_say() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let directory = Directory::of(policies);
    let mut out = Vec::new();
    let check = Check { directory, format: Format::Text, deny_warnings: true };
    assert_eq!(check.run(&mut out).unwrap(), OK);
    let out = String::from_utf8(out).unwrap();
    assert!(
        out.starts_with("policy check: policies=") && out.ends_with(" errors=0 warnings=0\n"),
        "{out}"
    );
}

#[test]
fn people_see_the_line() {
    let warning = "warning[unused]: to be in `Portcullis::Group::\"corp|idle\"` gives nobody anything
  --> entities/all.json:3:3
   |
 3 |   {\"uid\": {\"type\": \"Portcullis::Group\", \"id\": \"corp|idle\"}, \"attrs\": {}, \"parents\": []}
   |   ^
   = hint: no policy names it, nor a role or group above it

policy check: policies=1 templates=0 links=0 entities=2 errors=0 warnings=1
";
    assert_eq!(run(POLICY, CASES, Format::Text, false), (OK, warning.to_owned()));
    assert_eq!(run(POLICY, CASES, Format::Text, true), (INVALID, warning.to_owned()));
    let error = "error[annotation]: unknown annotation `@refsue`
  --> shop/a.cedar:1:12
   |
 1 | @id(\"see\") @refsue(\"blocked\")
   |            ^^^^^^^
   = hint: did you mean `@refuse`?

";
    let wrong = POLICY.replacen('\n', " @refsue(\"blocked\")\n", 1);
    let (code, out) = run(&wrong, CASES, Format::Text, false);
    assert!(out.contains(error), "{out}");
    assert_eq!(code, INVALID);
}

/// In `cases/*.json` as in `cases/*.yaml`, with `policy test` of one mind.
#[test]
fn a_test_of_cedars_that_cannot_be_asked_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("schema.cedarschema", SCHEMA),
        ("entities/all.json", ENTITIES),
        ("shop/a.cedar", POLICY),
        ("cases/a.json", "[\n  {\"name\": \"a\"}\n]\n"),
    ] {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let directory = || Directory::of(root.path().to_owned());
    let told = |code: u8, out: Vec<u8>| {
        let out = String::from_utf8(out).unwrap();
        assert_eq!(code, INVALID, "{out}");
        assert!(out.contains("cases/a.json:2:3") && out.contains("this is no test"), "{out}");
        out
    };
    let mut out = Vec::new();
    let check = Check { directory: directory(), format: Format::Text, deny_warnings: false };
    let code = check.run(&mut out).unwrap();
    assert!(told(code, out).contains("error[case]: "));
    let mut out = Vec::new();
    let code = super::super::test::Test::of(directory(), None).run(&mut out).unwrap();
    assert!(told(code, out).ends_with("policy test: problems=1\n"));
}

#[test]
fn a_case_file_that_cannot_be_read_is_an_error() {
    let (code, out) = run(POLICY, &CASES.replace("cases:", "case:"), Format::Text, false);
    assert!(out.contains("error[case]: unknown key"), "{out}");
    assert!(out.contains("  --> cases/a.yaml:3:1\n"), "{out}");
    assert_eq!(code, INVALID);
}

/// A slip in a case that expects a refusal would pass, and show nothing: an error here and for
/// `policy test`.
#[test]
fn a_case_that_names_what_the_set_does_not_have_is_an_error() {
    let setting = Setting::new();
    let cases = "resources:
  page: { kind: \"Public::Page\", id: home, api: public }
cases:
  - name: n
    principal: { kind: User, id: \"corp|alice\" }
    action: Orders::delete
    resource: { kind: \"Orders::Order\", id: o-1001, api: orders }
    expect: forbidden
    would_refuse: []
    determining: []
";
    let root = setting.path("candidate");
    let case = |from: &str, to: &str, want: &[(usize, usize, &str)]| {
        let text = cases.replacen(from, to, 1);
        fs::write(root.join("cases/mine.yaml"), text).unwrap();
        let report = Report::of(&Directory::of(root.clone()));
        let told = report.findings.iter().map(|it| (it.line, it.column, it.message.as_str()));
        assert_eq!(told.collect::<Vec<_>>(), want);
        let mut out = Vec::new();
        let test = super::super::test::Test::of(Directory::of(root.clone()), None);
        let code = test.run(&mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(code, if want.is_empty() { OK } else { INVALID }, "{out}");
        for (line, column, message) in want {
            let want = format!("/cases/mine.yaml:{line}:{column}: {message}\n");
            assert!(out.contains(&want), "no `{want}` in {out}");
        }
    };
    case("", "", &[]);
    let action = "the schema has no action `Orders::delte`; did you mean `Orders::delete`?";
    case("Orders::delete", "Orders::delte", &[(6, 13, action)]);
    let kind = "the schema has no type `Orders::Ordr`; did you mean `Orders::Order`?";
    case("Orders::Order", "Orders::Ordr", &[(7, 23, kind)]);
    let kind = "the schema has no type `Public::Pagge`; did you mean `Public::Page`?";
    case("Public::Page", "Public::Pagge", &[(2, 17, kind)]);
    let who = "there is no principal of kind `Usr`; did you mean `User`?";
    case("kind: User", "kind: Usr", &[(5, 24, who)]);
    let api = "the entities have no API `ordres`; did you mean `orders`?";
    case("api: orders", "api: ordres", &[(7, 57, api)]);
    case("api: orders", "api: stock", &[(7, 57, "the entities have no API `stock`")]);
    let policy = "there is no policy `guard-waf-shade`; did you mean `guard-waf-shadow`?";
    case("would_refuse: []", "would_refuse: [guard-waf-shade]", &[(9, 20, policy)]);
    let policy = "there is no policy `guard-waf-scor`; did you mean `guard-waf-score`?";
    case("determining: []", "determining: [guard-waf-scor]", &[(10, 19, policy)]);
    // The key is marked, as it is what is wrong.
    let fact = "there is no fact `wav`; did you mean `waf`?";
    let facts = "expect: forbidden\n    facts: { wav: {} }";
    case("expect: forbidden", facts, &[(9, 14, fact)]);
    // What cannot be read of the set is not said to be missing.
    fs::write(root.join("public/more.cedar"), "permit (everyone").unwrap();
    let text = cases.replacen("determining: []", "determining: [more]", 1);
    fs::write(root.join("cases/mine.yaml"), text.replacen("::delete", "::delte", 1)).unwrap();
    let report = Report::of(&Directory::of(root.clone()));
    let lints: Vec<_> = report.findings.iter().map(|it| it.rule).collect();
    assert_eq!(lints, ["case", "syntax"]);
}

/// The places of links go from YAML to what is told.
#[test]
fn links_are_read_with_their_places() {
    let root = tempfile::tempdir().unwrap();
    let template = "@id(\"see\")\npermit (principal == ?principal, action, resource in Portcullis::Api::\"shop\");\n";
    let check = |links: &str| {
        for (path, text) in [
            ("schema.cedarschema", SCHEMA),
            ("entities/all.json", ENTITIES),
            ("shop/a.cedar", template),
            ("links/a.yaml", links),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let directory = Directory::of(root.path().to_owned());
        Report::of(&directory)
    };
    let right = "- id: ann\n  template: see\n  principal: Portcullis::User::\"corp|ann\"\n  until: 2999-12-31\n";
    let report = check(right);
    assert_eq!((report.summary.errors, report.summary.templates, report.summary.links), (0, 1, 1));
    let place = |links: &str| {
        let mut findings = check(links).findings.into_iter();
        let finding = findings.find(|it| it.file.ends_with("links/a.yaml")).unwrap();
        (finding.rule, finding.line, finding.column, finding.text)
    };
    let line = "  until: 2999-02-30".to_owned();
    assert_eq!(place(&right.replace("12-31", "02-30")), ("link", 4, 10, Some(line)));
    let more = place(&format!("{right}  untill: never\n"));
    assert_eq!((more.0, more.1, more.2), ("link", 5, 3), "the key, not its value");
    let over = place(&right.replace("2999", "1999"));
    assert_eq!((over.0, over.1, over.2), ("expired", 1, 3));
    let (rule, line, ..) = place("- {");
    assert_eq!((rule, line), ("layout", 2));
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let directory = Directory::of("/nowhere/policies".into());
    let mut out = Vec::new();
    let check = Check { directory, format: Format::Text, deny_warnings: false };
    assert_eq!(check.run(&mut out).unwrap(), INVALID);
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("  --> /nowhere/policies\n"), "{out}");
    assert!(
        out.ends_with(
            "policy check: policies=0 templates=0 links=0 entities=0 errors=1 warnings=0\n"
        ),
        "{out}"
    );
}

/// As the gateway has it, which refuses such a set; whoever edits sees all the rest beside it.
#[test]
fn a_set_that_is_not_as_it_was_sealed_is_an_error() {
    let setting = Setting::new();
    let root = setting.path("candidate");
    let check = || {
        let report = Report::of(&Directory::of(root.clone()));
        let told = |it: &Finding| format!("{}[{}]: {}", it.severity.as_str(), it.rule, it.message);
        let told: Vec<_> = report.findings.iter().map(told).collect();
        told.join("\n")
    };
    bundle::seal(&root, Default::default()).unwrap();
    assert_eq!(check(), "");
    let staff = root.join("orders/staff.cedar");
    let text = fs::read_to_string(&staff).unwrap();
    fs::write(&staff, format!("{text}// more\n")).unwrap();
    let another =
        "error[sealed]: `orders/staff.cedar` is another: the set is not the one that was sealed";
    assert_eq!(check(), another);
    // The other verbs are for whoever works at it.
    let directory = Directory::of(root.clone());
    assert!(directory.load().unwrap().is_ok());
    fs::write(root.join("public/more.cedar"), "permit (everyone").unwrap();
    let told = check();
    assert!(told.contains(another) && told.contains("error[syntax]: "), "{told}");
    assert!(told.contains("error[sealed]: `MANIFEST` does not list it"), "{told}");
    fs::remove_file(root.join("public/more.cedar")).unwrap();
    fs::remove_file(&staff).unwrap();
    assert!(check().contains("error[sealed]: `orders/staff.cedar` is missing"));
    let mut out = Vec::new();
    let check = Check { directory, format: Format::Text, deny_warnings: false };
    assert_eq!(check.run(&mut out).unwrap(), INVALID);
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("/candidate/MANIFEST:") && out.contains(UNLIKE_SEALED), "{out}");
}

#[test]
fn tools_get_json_and_sarif() {
    let (_, out) = run(POLICY, CASES, Format::Json, false);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["findings"][0]["rule"], "unused");
    assert_eq!(json["findings"][0]["file"], "entities/all.json");
    assert_eq!(json["summary"]["warnings"], 1);
    let (_, out) = run(POLICY, CASES, Format::Sarif, false);
    let sarif: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&sarif["version"], &sarif["runs"][0]["results"][0]["level"]),
        (&"2.1.0".into(), &"warning".into())
    );
}
