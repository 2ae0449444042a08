//! Who can do what, as a text.

use verdict::cases;

use crate::support::{load, shop, yaml};

const HEAD_LINES: usize = 6;

/// The matrix without its head, of the shop's policies and a population.
fn check(policies: &str, population: &str, want: &str) {
    let cases = cases::read(&yaml(population)).unwrap();
    let text = load(&shop(policies, "")).matrix(&cases).to_string();
    let body: String = text.split_inclusive('\n').skip(HEAD_LINES).collect();
    assert_eq!(body, want, "{text}");
}

const POLICIES: &str = r#"
@id("see") permit (principal, action == Shop::Action::"see", resource in Portcullis::Api::"shop");
@id("buy") permit (principal in Portcullis::Role::"buyer", action == Shop::Action::"buy", resource in Portcullis::Api::"shop");
@id("dear") @refuse("step_up") @acr("aal2") forbid (principal, action == Shop::Action::"buy", resource is Shop::Item in Portcullis::Api::"shop")
when { resource has owner };
@id("rare") @refuse("throttled") forbid (principal is Portcullis::User, action == Shop::Action::"see", resource in Portcullis::Api::"shop")
when { principal.hasTag("slow") };
"#;

const POPULATION: &str = r#"
principals:
  ann: { kind: User, id: "corp|ann", groups: ["corp|team"] }
  bob: { kind: User, id: "corp|bob", attributes: { slow: ["yes", "very"] } }
resources:
  book: { kind: "Shop::Item", id: book, api: shop }
cases:
  - { name: "1", principal: ann, action: "Shop::buy", resource: book, expect: allow }
  - { name: "2", principal: bob, action: "Shop::see", resource: book, expect: allow }
  - { name: "3", principal: { kind: Anonymous }, action: "Shop::see", resource: book, expect: allow }
  - { name: "4", principal: ann, action: "Shop::see", resource: { kind: "Shop::Item", id: book, api: else }, expect: allow }
  - { name: "5", principal: { kind: User, id: "corp|ann" }, action: "Shop::see", resource: { kind: "Shop::Item", id: "a\nb", api: else }, expect: allow }
"#;

#[test]
fn each_principal_is_asked_for_each_action_on_each_resource() {
    let want = "
principal         groups     roles  attributes
Anonymous
User corp|ann
User corp|ann #2  corp|team  buyer
User corp|bob                       slow=very,yes

Shop::Item a\\nb in else  buy        see
Anonymous                -          unauthenticated
User corp|ann            forbidden  forbidden
User corp|ann #2         forbidden  forbidden
User corp|bob            forbidden  forbidden

Shop::Item book in else  buy        see
Anonymous                -          allow
User corp|ann            forbidden  allow
User corp|ann #2         allow      allow
User corp|bob            forbidden  throttled

Shop::Item book in shop  buy        see
Anonymous                -          allow
User corp|ann            forbidden  allow
User corp|ann #2         allow      allow
User corp|bob            forbidden  throttled

# not shown: no case has a principal `Workload`
# not shown: no case has a principal `ApiKey`
";
    check(POLICIES, POPULATION, want);
}

#[test]
fn a_step_up_names_what_it_asks_for() {
    let policies =
        POLICIES.replace("when { resource has owner }", "when { !(resource has owner) }");
    let population = r#"
cases:
  - { name: "1", principal: { kind: User, id: "corp|vip" }, action: "Shop::buy", resource: { kind: "Shop::Item", id: book, api: shop }, expect: allow }
  - { name: "2", principal: { kind: Workload, id: "corp|w" }, action: "Shop::buy", resource: { kind: "Shop::Item", id: book, api: shop }, expect: allow }
  - { name: "3", principal: { kind: ApiKey, id: "corp|k" }, action: "Shop::buy", resource: { kind: "Shop::Item", id: book, api: shop }, expect: allow }
  - { name: "4", principal: { kind: Anonymous }, action: "Shop::buy", resource: { kind: "Shop::Item", id: book, api: shop }, expect: allow }
"#;
    let want = "
principal        groups  roles  attributes
Anonymous
ApiKey corp|k
User corp|vip            buyer
Workload corp|w

Shop::Item book in shop  buy            see
Anonymous                -              allow
ApiKey corp|k            -              allow
User corp|vip            step_up(aal2)  allow
Workload corp|w          -              allow
";
    check(&policies, population, want);
}

#[test]
fn what_no_case_names_is_told() {
    let population = r#"
cases:
  - { name: "1", principal: { kind: Anonymous }, action: "Shop::see", resource: { kind: "Shop::Shelf", id: one, api: shop }, expect: forbidden }
"#;
    let want = "
principal  groups  roles  attributes
Anonymous

Shop::Shelf one in shop
Anonymous

# not shown: no case has a principal `User`
# not shown: no case has a principal `Workload`
# not shown: no case has a principal `ApiKey`
# not shown: no case has a resource for `Shop::buy`
# not shown: no case has a resource for `Shop::see`
";
    check(POLICIES, population, want);
}
