use std::collections::BTreeMap;

use super::*;
use crate::pseudonym::Pseudonyms;
/// A route of one line: `host METHODS path -> name`, resource id from the path's parameters.
fn route(line: &str) -> Route {
    let (left, name) = line.split_once(" -> ").unwrap();
    let mut words = left.split(' ');
    let mut next = || words.next().unwrap();
    let (host, methods, path) = (next(), next(), next());
    let template = Template::parse(path).unwrap();
    let id: Vec<String> = template.parameters().map(|name| format!("{{{name}}}")).collect();
    let mut methods: Vec<Method> = methods.split(',').map(|m| m.parse().unwrap()).collect();
    methods.sort_by_key(|m| m.to_string());
    let second = std::time::Duration::from_secs(1);
    Route {
        name: name.to_owned(),
        api: Arc::new(Api {
            name: "orders".to_owned(),
            hosts: vec![HostPattern::parse(host).unwrap()],
            namespace: "Orders".to_owned(),
            issuers: Vec::new(),
        }),
        methods,
        resource: ResourceRule::parse("Orders::Order".to_owned(), &id.join("/"), &template)
            .unwrap(),
        template,
        action: Action { namespace: "Orders".to_owned(), name: "read".to_owned() },
        hidden: BTreeMap::new(),
        upstream: Arc::new(Upstream {
            name: "orders".to_owned(),
            endpoints: vec!["http://127.0.0.1".to_owned()],
            connect_timeout: second,
            response_timeout: second,
            idle_timeout: second,
            pool_idle_max_per_worker: 1,
            pool_idle_timeout: second,
            eject_after: 1,
            eject_for: second,
        }),
        audit: None,
        checks: Checks::default(),
        inspect: Inspect::None,
        encoded_slash_opaque: false,
        matrix_params_opaque: false,
        forward_authorization: false,
        cors: None,
    }
}

fn routes(lines: &[&str]) -> Routes {
    let mut routes = Routes::default();
    for line in lines {
        routes.insert(Arc::new(route(line))).unwrap();
    }
    routes
}

/// What a request finds, in words: `name a=b`, `405 GET, POST` or `404`.
fn found(routes: &Routes, host: &str, method: &str, path: &[&str]) -> String {
    let path: Vec<String> = path.iter().map(|s| (*s).to_owned()).collect();
    match routes.find(host, &method.parse().unwrap(), &path) {
        Match::Found { route, params } => {
            let params: Vec<String> = params.iter().map(|(n, v)| format!(" {n}={v}")).collect();
            format!("{}{}", route.name, params.concat())
        }
        Match::WrongMethod { allow, .. } => format!("405 {allow}"),
        Match::NoRoute => "404".to_owned(),
    }
}

const SHOP: [&str; 13] = [
    "a.test GET / -> root",
    "a.test GET,POST /orders -> orders",
    "a.test GET /orders/ -> orders-slash",
    "a.test GET /orders/{id} -> order",
    "a.test DELETE /orders/{key} -> delete-order",
    "a.test GET /orders/new -> new-order",
    "a.test POST /orders/{id}/notes -> notes",
    "a.test GET /orders/new/{what} -> new-what",
    "a.test GET /files/{*rest} -> files",
    "a.test GET /files/{name}/info -> file-info",
    "a.test GET /{page} -> page",
    "*.b.test GET /x -> any-x",
    "one.b.test GET /y -> one-y",
];

#[test]
fn the_most_specific_host_then_path_then_method_answers() {
    let routes = routes(&SHOP);
    for (host, method, path, want) in [
        ("a.test", "GET", &[][..], "root"),
        ("a.test", "GET", &[""], "root"),
        ("a.test", "POST", &[], "405 GET"),
        ("a.test", "GET", &["orders"], "orders"),
        ("a.test", "POST", &["orders"], "orders"),
        ("a.test", "PUT", &["orders"], "405 GET, POST"),
        ("a.test", "HEAD", &["orders"], "405 GET, POST"),
        ("a.test", "OPTIONS", &["orders"], "405 GET, POST"),
        ("a.test", "get", &["orders"], "405 GET, POST"),
        ("a.test", "GET", &["orders", ""], "orders-slash"),
        ("a.test", "GET", &["orders", "7"], "order id=7"),
        ("a.test", "GET", &["orders", "a/b ü"], "order id=a/b ü"),
        ("a.test", "DELETE", &["orders", "7"], "delete-order key=7"),
        ("a.test", "GET", &["orders", "new"], "new-order"),
        // The path is known by GET; that DELETE would fit a parameter there does not count.
        ("a.test", "DELETE", &["orders", "new"], "405 GET"),
        ("a.test", "GET", &["orders", "NEW"], "order id=NEW"),
        // `new` leads to `{what}`, which is no leaf for `notes` by POST but is one for GET.
        ("a.test", "POST", &["orders", "new", "notes"], "405 GET"),
        ("a.test", "POST", &["orders", "7", "notes"], "notes id=7"),
        ("a.test", "GET", &["orders", "new", "x"], "new-what what=x"),
        ("a.test", "GET", &["orders", "7", "x"], "404"),
        ("a.test", "GET", &["orders", "7", ""], "404"),
        ("a.test", "GET", &["files", "a"], "files rest=a"),
        ("a.test", "GET", &["files", "a", "b", ""], "files rest=a/b/"),
        ("a.test", "GET", &["files", "a", "info"], "file-info name=a"),
        ("a.test", "GET", &["files", "a", "info", "b"], "files rest=a/info/b"),
        ("a.test", "GET", &["files", ""], "404"),
        ("a.test", "GET", &["files"], "page page=files"),
        ("a.test", "GET", &["about"], "page page=about"),
        ("a.test", "GET", &[".portcullis"], "404"),
        ("a.test", "GET", &[".portcullis", "login"], "404"),
        ("a.test", "GET", &["orders", ".portcullis"], "order id=.portcullis"),
        ("x.b.test", "GET", &["x"], "any-x"),
        ("y.x.b.test", "GET", &["x"], "404"),
        ("b.test", "GET", &["x"], "404"),
        (".b.test", "GET", &["x"], "404"),
        ("one.b.test", "GET", &["y"], "one-y"),
        // The most specific host answers, also if another one knows the path.
        ("one.b.test", "GET", &["x"], "404"),
        ("c.test", "GET", &["x"], "404"),
        ("", "GET", &[], "404"),
    ] {
        assert_eq!(found(&routes, host, method, path), want, "{method} {host} {path:?}");
    }
}

#[test]
fn a_less_specific_branch_is_tried_where_a_more_specific_one_ends() {
    let routes = routes(&["a GET /a/b/c -> abc", "a GET /a/{x}/d -> axd", "a GET /{*all} -> all"]);
    assert_eq!(found(&routes, "a", "GET", &["a", "b", "c"]), "abc");
    assert_eq!(found(&routes, "a", "GET", &["a", "b", "d"]), "axd x=b");
    assert_eq!(found(&routes, "a", "GET", &["a", "b", "e"]), "all all=a/b/e");
    assert_eq!(found(&routes, "a", "GET", &[".portcullis", "e"]), "404");
}

#[test]
fn two_routes_for_the_same_requests_conflict() {
    for (first, second, want) in [
        ("a GET /x -> one", "a GET /x -> two", Some("one")),
        ("a GET,POST /x -> one", "a POST /x -> two", Some("one")),
        ("a GET /x/{a} -> one", "a GET /x/{b} -> two", Some("one")),
        ("a GET /x/{*a} -> one", "a GET /x/{*b} -> two", Some("one")),
        ("*.a GET /x -> one", "*.a GET /x -> two", Some("one")),
        ("a GET /x -> one", "a POST /x -> two", None),
        ("a GET /x -> one", "a GET /x/ -> two", None),
        ("a GET /x/{a} -> one", "a GET /x/{*a} -> two", None),
        ("a GET /x -> one", "b GET /x -> two", None),
        ("a GET /x -> one", "a GET /X -> two", None),
    ] {
        let mut routes = routes(&[first]);
        let other = routes.insert(Arc::new(route(second))).err();
        assert_eq!(other.map(|o| o.name.clone()).as_deref(), want, "{first} {second}");
    }
}

#[test]
fn templates_are_refused_where_they_could_be_read_in_two_ways() {
    let long = |segments: usize| "/a".repeat(segments);
    let (fits, longer) = (long(SEGMENTS_MAX), long(SEGMENTS_MAX + 1));
    for (template, want) in [
        ("/", ""),
        ("/orders/", ""),
        ("/a-b.c_d~e/@x:y/(z)", ""),
        ("/{a}/{b_2}/{*c}", ""),
        (fits.as_str(), ""),
        (longer.as_str(), "more than 32 segments"),
        ("orders", "a path begins with `/`"),
        ("//", "an empty segment"),
        ("/a//b", "an empty segment"),
        ("/a/./b", "the segment `.` never reaches a route"),
        ("/..", "the segment `..` never reaches a route"),
        ("/a%20b", "the character `%` cannot be in a path"),
        ("/a;b", "the character `;` cannot be in a path"),
        ("/a?b", "the character `?` cannot be in a path"),
        ("/a#b", "the character `#` cannot be in a path"),
        ("/a\\b", "the character `\\` cannot be in a path"),
        ("/*", ""),
        ("/{id}.json", "`{id}.json`: a parameter is a whole segment, `{name}` or `{*name}`"),
        ("/{", "`{`: a parameter is a whole segment, `{name}` or `{*name}`"),
        ("/{}", "`` is not a parameter's name: lower-case letters, digits and `_`"),
        ("/{Id}", "`Id` is not a parameter's name: lower-case letters, digits and `_`"),
        ("/{a{b}}", "`a{b}` is not a parameter's name: lower-case letters, digits and `_`"),
        ("/{*}", "`` is not a parameter's name: lower-case letters, digits and `_`"),
        ("/{a}/{a}", "two parameters are named `a`"),
        ("/{a}/{*a}", "two parameters are named `a`"),
        ("/{*a}/b", "`{*a}` is not at the end"),
        ("/.portcullis", "`/.portcullis/` is the gateway's own"),
        ("/.portcullis/{a}", "`/.portcullis/` is the gateway's own"),
    ] {
        let got = Template::parse(template).err().map(|e| e.to_string()).unwrap_or_default();
        assert_eq!(got, want, "{template}");
    }
}

#[test]
fn a_resource_id_is_made_of_parameters_and_text() {
    let path = Template::parse("/t/{tenant}/o/{id}").unwrap();
    let params = |tenant: &str, id: &str| {
        vec![("tenant".to_owned(), tenant.to_owned()), ("id".to_owned(), id.to_owned())]
    };
    for (id, tenant, order, want) in [
        ("{id}", "t", "a/b %2F", "a/b %2F"),
        ("order-{id}", "t", "7", "order-7"),
        ("catalogue", "t", "7", "catalogue"),
        ("{tenant}/{id}", "t", "7", "t/7"),
        ("{tenant}/{id}", "t/7", "8", "t%2F7/8"),
        ("{tenant}/{id}", "t", "7/8", "t/7%2F8"),
        ("{tenant}/{id}", "t%2F7", "8", "t%252F7/8"),
        ("x{tenant}::{id}y", "a:b", "x", "xa%3Ab::xy"),
    ] {
        let rule = ResourceRule::parse("O::Order".to_owned(), id, &path).unwrap();
        assert_eq!(rule.id(&params(tenant, order)), want, "{id} {tenant} {order}");
    }
}

#[test]
fn an_id_that_could_mean_two_things_is_refused() {
    let path = Template::parse("/t/{tenant}/o/{id}").unwrap();
    for (id, want) in [
        ("{order}", "the path has no parameter `order`"),
        ("{tenant}{id}", "between two parameters there is punctuation only, such as `/` or `:`"),
        ("{tenant}-a-{id}", "between two parameters there is punctuation only, such as `/` or `:`"),
        ("{tenant}%{id}", "between two parameters there is punctuation only, such as `/` or `:`"),
        ("{id", "a brace without its other"),
        ("id}", "a brace without its other"),
        ("{{id}}", "a brace without its other"),
        ("a}b{id}", "a brace without its other"),
    ] {
        let got = ResourceRule::parse("O::Order".to_owned(), id, &path).err();
        assert_eq!(got.map(|e| e.to_string()).as_deref(), Some(want), "{id}");
    }
}

#[test]
fn ids_are_equal_only_where_all_parameters_are() {
    let path = Template::parse("/{a}/{b}").unwrap();
    let rule = ResourceRule::parse("O::Order".to_owned(), "{a}/:{b}", &path).unwrap();
    let values = ["", "a", "/", ":", "/:", "%", "%2F", "a/:b", "%25", "25"];
    let mut ids = BTreeMap::new();
    for a in values {
        for b in values {
            let params = vec![("a".to_owned(), a.to_owned()), ("b".to_owned(), b.to_owned())];
            assert_eq!(ids.insert(rule.id(&params), (a, b)), None, "{a} {b}");
        }
    }
    assert_eq!(ids.len(), 100);
}

#[test]
fn hosts_are_written_as_requests_name_them() {
    for (host, want) in [
        ("a.test", Ok(HostPattern::Exact("a.test".into()))),
        ("*.a.test", Ok(HostPattern::AnyLabel("a.test".into()))),
        ("127.0.0.1", Ok(HostPattern::Exact("127.0.0.1".into()))),
        ("[::1]", Ok(HostPattern::Exact("[::1]".into()))),
        ("[0:0::1]", Err(Some("[::1]".to_owned()))),
        ("[::1::]", Err(None)),
    ] {
        assert_eq!(HostPattern::parse(host), want, "{host}");
    }
}

#[test]
fn a_resource_id_is_as_long_as_the_limit() {
    let route = route("a GET /{id} -> x");
    for (bytes, want) in [(RESOURCE_ID_BYTES_MAX, true), (RESOURCE_ID_BYTES_MAX + 1, false)] {
        let id = "a".repeat(bytes);
        let resource = route.resource(&[("id".to_owned(), id.clone())]);
        assert_eq!(resource.map(|resource| resource.id), want.then_some(id), "{bytes}");
    }
}

#[test]
fn durability_is_by_method_unless_configured() {
    let mut route = route("a GET /x -> x");
    for (method, want) in [
        (Method::GET, Durability::Gated),
        (Method::HEAD, Durability::Gated),
        (Method::OPTIONS, Durability::Gated),
        (Method::POST, Durability::Strict),
        (Method::DELETE, Durability::Strict),
        ("PROPFIND".parse().unwrap(), Durability::Strict),
    ] {
        assert_eq!(route.durability(&method), want, "{method}");
    }
    route.audit = Some(Durability::Buffered);
    assert_eq!(route.durability(&Method::POST), Durability::Buffered);
}

/// A route whose parameters `p…` have pseudonyms and `s…` are secrets.
fn hiding(line: &str) -> Arc<Route> {
    let mut route = route(line);
    for name in route.template.parameters().map(str::to_owned).collect::<Vec<_>>() {
        match name.chars().next() {
            Some('p') => drop(route.hidden.insert(name, Hidden::Pseudonym)),
            Some('s') => drop(route.hidden.insert(name, Hidden::Secret)),
            _ => {}
        }
    }
    Arc::new(route)
}

fn decoded(raw: &str) -> Vec<String> {
    raw.split('/').skip(1).map(|segment| segment.replace("%2F", "/")).collect()
}

#[test]
fn hidden_parameters_are_not_in_the_path_or_the_id() {
    let pseudonyms = Pseudonyms::new(&[7; 32]).unwrap();
    let check = |line: &str, raw: &str, want: Option<&str>, id: &str| {
        let route = hiding(line);
        let path = decoded(raw);
        let params = route.recorded(route.template.bind(&path), Some(&pseudonyms));
        let marked = |text: &str| {
            // each value by its name, so that the table can be read
            ["x", "y/z", "y"].iter().fold(text.to_owned(), |text, value| {
                text.replace(&pseudonyms.parameter(value), &format!("<{value}>"))
            })
        };
        let recorded = route.recorded_path(raw, &path, &params);
        assert_eq!(recorded.map(|text| marked(&text)).as_deref(), want, "{line} {raw}");
        assert_eq!(marked(&route.resource(&params).unwrap().id), id, "{line} {raw}");
    };
    check("h GET /a/{b}/c -> r", "/a/x/c", None, "x");
    check("h GET /a/{p}/c -> r", "/a/x/c", Some("/a/<x>/c"), "<x>");
    check("h GET /a/{p}/{b} -> r", "/a/x/y%2Fz", Some("/a/<x>/y%2Fz"), "<x>/y%2Fz");
    check("h GET /a/{b}/{p} -> r", "/a/x/y%2Fz", Some("/a/x/<y/z>"), "x/<y/z>");
    check("h GET /a/{s}/{p} -> r", "/a/x/y", Some("/a/*/<y>"), "*/<y>");
    check("h GET /{p}/{*p_rest} -> r", "/x/y/z", Some("/<x>/<y/z>"), "<x>/<y/z>");
    check("h GET /{*s} -> r", "/x/y/z", Some("/*"), "*");
}

#[test]
fn without_a_key_a_pseudonym_is_a_secret() {
    let route = hiding("h GET /a/{p} -> r");
    let path = decoded("/a/x");
    let params = route.recorded(route.template.bind(&path), None);
    assert_eq!(route.recorded_path("/a/x", &path, &params).as_deref(), Some("/a/*"));
}

#[test]
fn what_no_policy_is_asked_about_tells_no_hidden_parameter() {
    let mut routes = Routes::default();
    assert!(!routes.hide());
    for line in
        ["h GET /a/{p}/c -> r", "h POST /a/{s} -> q", "h GET /d/{b} -> o", "g GET /e/{*s} -> n"]
    {
        routes.insert(hiding(line)).unwrap();
    }
    assert!(routes.hide());
    let check = |raw: &str, want: Option<&str>| {
        assert_eq!(routes.concealed_path(raw, &decoded(raw)).as_deref(), want, "{raw}");
    };
    check("/a/x", Some("/a/*"));
    check("/a/x/c", Some("/a/*/c"));
    check("/a/x/other/y", Some("/a/*/other/y"));
    check("/a/x/", Some("/a/*/"));
    check("/e/x/y", Some("/e/*/*"));
    check("/d/x", None);
    check("/b/x", None);
    check("/", None);
    check("*", None);
}
