//! A reload gives what a load gives, whatever changed; and what changed is told.

use verdict::{Changes, Policies, Problem, Source};

use crate::support::{ENTITIES, SCHEMA, load, shop};

const API: &str = "resource in Portcullis::Api::\"shop\"";

fn permit(id: &str, condition: &str) -> String {
    format!(
        "@id(\"{id}\")\npermit (principal is Portcullis::User, action == Shop::Action::\"see\", {API})\nwhen {{ {condition} }};\n"
    )
}

/// Two policies in two files, and two guardrails.
fn before() -> Source {
    let guardrails = "@id(\"g1\") @refuse(\"blocked\")\nforbid (principal, action, resource) when { context.waf.score > 5 };\n@id(\"g2\") @refuse(\"blocked\") @mode(\"shadow\")\nforbid (principal, action, resource);\n";
    let mut source = shop(&permit("a", "context.token.acr == \"x\""), guardrails);
    source.files.insert("shop/more.cedar".to_owned(), permit("b", "true == context.conn.tls"));
    source
}

/// What a set says for itself, as far as it can be seen from outside.
fn seen(loaded: &Result<Policies, Vec<Problem>>) -> Result<String, &Vec<Problem>> {
    let cases = verdict::cases::read(&crate::support::yaml(CASES)).unwrap();
    loaded.as_ref().map(|policies| {
        let bases: Vec<_> = verdict::cases::run_cases(policies, &cases)
            .into_iter()
            .map(|result| result.basis)
            .collect();
        format!("{:?}\n{bases:#?}\n{}", policies.digests(), policies.matrix(&cases))
    })
}

const CASES: &str = r#"
principals:
  vip: { kind: User, id: corp|vip }
resources:
  book: { kind: Shop::Item, id: book, api: shop }
cases:
  - { name: plain, principal: vip, action: Shop::see, resource: book, expect: forbidden }
  - { name: strong, principal: vip, action: Shop::see, resource: book, facts: { token: { acr: x } }, expect: allow }
  - { name: attack, principal: vip, action: Shop::see, resource: book, facts: { waf: { score: 9 }, conn: { tls: true } }, expect: blocked }
  - { name: tls, principal: vip, action: Shop::see, resource: book, facts: { conn: { tls: true } }, expect: allow }
"#;

/// Changes one file (or removes it, if there is no text), and reloads.
#[track_caller]
fn check(path: &str, text: Option<&str>, want: Result<&str, &[&str]>) {
    let (mut source, first) = (before(), load(&before()));
    match text {
        Some(text) => drop(source.files.insert(path.to_owned(), text.to_owned())),
        None => drop(source.files.remove(path).unwrap()),
    }
    let again = first.reload(&source);
    assert_eq!(seen(&again), seen(&Policies::load(&source)), "{path}: as a load");
    match (again, want) {
        (Ok(policies), Ok(want)) => {
            let Changes { added, removed, changed, schema, entities } =
                policies.changes_since(Some(&first));
            let told = format!(
                "+{} -{} *{}{}{}",
                added.join(","),
                removed.join(","),
                changed.join(","),
                if schema { " schema" } else { "" },
                if entities { " entities" } else { "" },
            );
            assert_eq!(told, want, "{path}");
            // and back again, from there
            let back = policies.reload(&before());
            assert_eq!(seen(&back), seen(&Ok(first)), "{path}: back again");
        }
        (Err(problems), Err(want)) => {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert_eq!(told.len(), want.len(), "{path}: {told:#?}");
            for (told, want) in told.iter().zip(want) {
                assert!(told.contains(want), "{path}: {told} instead of {want}");
            }
        }
        (got, want) => panic!("{path}: {got:?} instead of {want:?}"),
    }
}

#[test]
fn a_reload_gives_what_a_load_gives() {
    let file = |texts: &[String]| texts.concat();
    check("shop/more.cedar", Some(&permit("b", "context.conn.mtls")), Ok("+ - *b"));
    check("shop/more.cedar", Some(&permit("c", "true == context.conn.tls")), Ok("+c -b *"));
    check("shop/more.cedar", None, Ok("+ -b *"));
    let two = file(&[permit("b", "true == context.conn.tls"), permit("c", "context.conn.mtls")]);
    check("shop/more.cedar", Some(&two), Ok("+c - *"));
    check("shop/new.cedar", Some(&permit("c", "context.conn.mtls")), Ok("+c - *"));
    check("README.md", Some("what this is"), Ok("+ - *"));
    let commented = format!("// why\n{}", permit("b", "true   == context.conn.tls"));
    check("shop/more.cedar", Some(&commented), Ok("+ - *"));
    let enforced = before().files["guardrails/all.cedar"].replace("@mode(\"shadow\")", "");
    check("guardrails/all.cedar", Some(&enforced), Ok("+ - *g2"));
    let other = before().files["guardrails/all.cedar"].replacen("blocked", "forbidden", 1);
    check("guardrails/all.cedar", Some(&other), Ok("+ - *g1"));
    let entities = ENTITIES.replace("\"price\": 20", "\"price\": 21");
    check("entities/all.json", Some(&entities), Ok("+ - * entities"));
    let schema = SCHEMA.replace("price: Long", "price: Long, colour?: String");
    check("schema.cedarschema", Some(&schema), Ok("+ - * schema"));
}

#[test]
fn what_is_wrong_between_files_is_found_whichever_changed() {
    let copy = permit("a", "context.conn.mtls");
    let taken = ["`@id(\"a\")` is taken (hint: the other is at shop/more.cedar:1:1)"];
    check("shop/more.cedar", Some(&copy), Err(&taken));
    let taken = ["`@id(\"a\")` is taken (hint: the other is at shop/another.cedar:1:1)"];
    check("shop/another.cedar", Some(&copy), Err(&taken));
    check("shop/more.cedar", Some("permit (everyone"), Err(&["shop/more.cedar:1:17"]));
    let beyond = "@id(\"w\") permit (principal, action == Shop::Action::\"see\", resource);";
    check("shop/more.cedar", Some(beyond), Err(&["reaches beyond the API `shop`"]));
    let wrong = permit("b", "resource.price == \"x\"");
    check("shop/more.cedar", Some(&wrong), Err(&["the types"]));
    // Files that did not change are wrong under another schema, or without their API.
    let schema = SCHEMA.replace("action see", "action sees");
    let (more, policies) = ("shop/more.cedar:", "shop/policies.cedar:");
    let gone = [more, more, policies, policies];
    check("schema.cedarschema", Some(&schema), Err(&gone));
    let entities = ENTITIES.replace("\"id\": \"shop\"}", "\"id\": \"shops\"}");
    let lost = ["`shop/` is not the directory"; 2];
    check("entities/all.json", Some(&entities), Err(&lost));
    check("schema.cedarschema", None, Err(&["there is no `schema.cedarschema`"]));
    check("shop/more.ceder", Some(""), Err(&["has no place in a policies directory"]));
}

#[test]
fn annotations_that_are_listed_no_more_are_found_in_files_that_did_not_change() {
    let mut source = before();
    let owned = permit("b", "context.conn.mtls").replace("@id", "@owner(\"x\") @id");
    source.files.insert("shop/more.cedar".to_owned(), owned);
    source.annotations = ["owner".to_owned()].into();
    let first = load(&source);
    source.annotations.clear();
    let problems = first.reload(&source).expect_err("not listed");
    assert!(problems[0].message.contains("`@owner`"), "{problems:#?}");
}

#[test]
fn a_first_set_is_new_altogether() {
    let policies = load(&before());
    let changes = policies.changes_since(None);
    assert_eq!(changes.added, ["a", "b", "g1", "g2"]);
    assert!(changes.schema && changes.entities && !changes.is_empty());
    let again = policies.reload(&before()).expect("the same");
    assert!(again.changes_since(Some(&policies)).is_empty());
    // A set that shares nothing with the one before is compared all the same.
    assert!(load(&before()).changes_since(Some(&policies)).is_empty());
}

/// What a file may do hangs on the list of global files, so another list reads it again.
#[test]
fn another_list_of_global_files_is_looked_at() {
    let mut source = before();
    let all = "@id(\"all\") permit (principal, action, resource);";
    source.files.insert("shop/all.cedar".to_owned(), all.to_owned());
    source.global = ["shop/all.cedar".to_owned()].into();
    let open = load(&source);
    assert!(open.reload(&source).is_ok());
    source.global.clear();
    assert_eq!(seen(&open.reload(&source)), seen(&Policies::load(&source)));
    assert!(open.reload(&source).is_err());
}
