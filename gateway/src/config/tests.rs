//! The configuration as a whole: what loads, what does not, and that our schema is enforced.

mod broken;
mod candidate;
mod cors;
mod waf;

use std::time::Duration;

use regex::Regex;
use serde_json::{Map, Value as Json};
use signals::{Checks, RateKey, RateLimit, Scheme};

use super::*;
use crate::route::{Hidden, Inspect, Match, Origin};

/// A sound configuration, short enough to count its lines.
const BASE: &str = r#"version: 1
gateway: {domain: example.com, cluster: eu, instance: one}
listeners:
  - name: public
    address: 127.0.0.1:8443
    tls: {certificate: tls.crt, key: {file: tls.key}}
policies: {directory: policies}
audit:
  spool: {directory: spool, segment_bytes: 1MiB}
  keys: {issuer: {file: issuer.key}, issuer_note: issuer.note, root: root.vkey}
issuers:
  corp:
    issuer: https://login.example.com
    audiences: [orders]
    algorithms: [ES256]
upstreams:
  orders: {endpoints: ["http://127.0.0.1:8080"]}
apis:
  orders:
    hosts: [api.example.com]
    namespace: Orders
    issuers: [corp]
    routes:
      - name: read
        methods: [GET]
        path: /orders/{id}
        action: read
        resource: {type: Order, id: "{id}"}
        upstream: orders
"#;

const SAMPLE: &str = include_str!("../../portcullis.yaml");

/// A main file, then what it includes.
fn files(files: &[(&str, &str)]) -> Files {
    let mut files = files
        .iter()
        .map(|(path, text)| File { path: path.into(), bytes: text.as_bytes().to_vec() });
    Files::new(files.next().unwrap(), files.collect())
}

/// Each problem on one line, its hint after ` | `.
fn problems(texts: &[(&str, &str)]) -> Vec<String> {
    let problems = Config::parse(&files(texts)).err().unwrap_or_default();
    let lines: Vec<String> =
        problems.iter().map(|problem| problem.to_string().replace("\n  hint: ", " | ")).collect();
    let surprised = |line: &&String| line.contains("taken over") || line.contains("incomplete");
    assert_eq!(lines.iter().find(surprised), None, "the schema and the types disagree");
    lines
}

fn base() -> Config {
    Config::parse(&files(&[("etc/p.yaml", BASE)])).unwrap()
}

fn tls(config: &Config) -> &Tls {
    config.listeners[0].transport.tls().unwrap()
}

#[test]
fn the_base_loads_with_its_defaults() {
    let config = base();
    assert_eq!(config.gateway.workers, None);
    assert_eq!(config.listeners[0].limits.head_bytes, 32 * 1024);
    assert_eq!(config.listeners[0].limits.idle_timeout, Duration::from_secs(60));
    assert_eq!(tls(&config).min_version, TlsVersion::V12);
    let Listener { proxy_protocol, trusted_proxies, .. } = &config.listeners[0];
    assert_eq!((proxy_protocol, trusted_proxies), (&Networks::default(), &None));
    assert_eq!(config.origins, Origins::default());
    assert_eq!(config.audit.kafka, None);
    assert_eq!(config.audit.spool.bytes_max, 1 << 30);
    assert_eq!(config.issuers["corp"].token_types, ["at+jwt"]);
    assert!(!config.issuers["corp"].allow_private_addresses);
    assert!(config.reload.watch);
    assert_eq!(config.health, None);
    let route = config.routes.iter().next().unwrap();
    assert!(!route.forward_authorization && !route.encoded_slash_opaque);
    assert_eq!((route.inspect, route.audit), (Inspect::Bytes(65_536), None));
    assert_eq!(route.checks, Checks { rate: None, waf: signals::Inspect::Body, view: 0 });
}

#[test]
fn the_sample_loads_and_shows_defaults_as_they_are() {
    let config = Config::parse(&files(&[("portcullis.yaml", SAMPLE)])).unwrap();
    let base = base();
    assert_eq!(config.listeners[0].limits, base.listeners[0].limits);
    assert_eq!(config.drain, base.drain);
    assert_eq!(config.reload, base.reload);
    assert_eq!(config.audit.heartbeat, base.audit.heartbeat);
    assert_eq!(config.audit.flood, base.audit.flood);
    let upstream = |config: &Config| Upstream {
        endpoints: Vec::new(),
        ..(*config.upstreams["orders"]).clone()
    };
    assert_eq!(upstream(&config), upstream(&base));
    let sample = &config.issuers["corp"];
    assert_eq!(
        (sample.leeway, sample.refresh),
        (base.issuers["corp"].leeway, base.issuers["corp"].refresh)
    );
    assert_eq!(config.audit.kafka.unwrap().topic_prefix, "audit");
}

#[test]
fn paths_are_relative_to_the_file_that_names_them() {
    let config = base();
    assert_eq!(tls(&config).certificate, Path::new("etc/tls.crt"));
    assert_eq!(tls(&config).key, SecretSource::File("etc/tls.key".into()));
    assert_eq!(config.policies.directory, Path::new("etc/policies"));
    assert_eq!(config.audit.spool.directory, Path::new("etc/spool"));
    assert_eq!(config.audit.keys.issuer_note, Path::new("etc/issuer.note"));
    let absolute = BASE.replace("tls.crt", "/run/tls.crt");
    let config = Config::parse(&files(&[("etc/p.yaml", &absolute)])).unwrap();
    assert_eq!(tls(&config).certificate, Path::new("/run/tls.crt"));
}

#[test]
fn parameters_and_people_are_hidden_where_it_says_so() {
    let text = BASE
        .replace("  keys:", "  subjects: pseudonym\n  pseudonym_key: {file: p.key}\n  keys:")
        .replace("/orders/{id}", "/orders/{id}/{token}/{*rest}")
        + "        parameters: {id: pseudonym, token: secret, rest: plain}\n";
    let config = Config::parse(&files(&[("etc/p.yaml", &text)])).unwrap();
    let key = Some(SecretSource::File("etc/p.key".into()));
    assert_eq!((config.audit.subjects, &config.audit.pseudonym_key), (Subjects::Pseudonym, &key));
    let route = config.routes.iter().next().unwrap();
    let hidden: Vec<_> = route.hidden.iter().map(|(name, how)| (name.as_str(), *how)).collect();
    assert_eq!(hidden, [("id", Hidden::Pseudonym), ("token", Hidden::Secret)]);
    let audit = base().audit;
    assert_eq!((audit.subjects, &audit.pseudonym_key), (Subjects::Clear, &None));
    let spool = Spool { volatile: true, ..audit.spool.clone() };
    for (other, kept) in [
        (Audit { subjects: Subjects::Pseudonym, pseudonym_key: key, ..audit.clone() }, true),
        (Audit { spool, ..audit.clone() }, false),
    ] {
        assert_eq!(audit.is_kept(&other), kept, "{other:?}");
    }
}

#[test]
fn a_request_finds_its_route_action_and_resource() {
    let rated = BASE.replace(
        "upstream: orders\n",
        "upstream: orders\n        rate: {limit: 5, window: 1s, key: client}\n",
    );
    let config = Config::parse(&files(&[("p.yaml", &rated)])).unwrap();
    let path = ["orders".to_owned(), "7".to_owned()];
    let Match::Found { route, params } =
        config.routes.find("api.example.com", &http::Method::GET, &path)
    else {
        panic!("no route")
    };
    assert_eq!(route.action, Action { namespace: "Orders".to_owned(), name: "read".to_owned() });
    let resource = route.resource(&params).unwrap();
    assert_eq!(
        (resource.kind.as_str(), resource.id.as_str(), resource.api.as_str()),
        ("Orders::Order", "7", "orders")
    );
    assert_eq!(route.upstream.name, "orders");
    assert_eq!(route.api.issuers, ["corp"]);
    let limit = RateLimit {
        scope: "orders/read".to_owned(),
        limit: 5,
        window_ms: 1000,
        key: RateKey::Client,
    };
    assert_eq!(route.checks.rate, Some(limit));
}

#[test]
fn a_route_says_what_its_checks_look_at() {
    use signals::Inspect as Looks;
    let check = |keys: &str, checks: Looks, inspect: Inspect| {
        let route = format!("upstream: orders\n{keys}");
        let text = BASE.replace("upstream: orders\n", &route);
        let config = Config::parse(&files(&[("p.yaml", &text)])).unwrap();
        let route = config.routes.iter().next().unwrap().clone();
        assert_eq!((route.checks.waf, route.inspect), (checks, inspect), "{keys}");
    };
    check("        inspect: 1KiB\n", Looks::Body, Inspect::Bytes(1024));
    check("        inspect: none\n", Looks::Head, Inspect::None);
    check("        checks: []\n", Looks::Nothing, Inspect::None);
    check("        checks: []\n        inspect: none\n", Looks::Nothing, Inspect::None);
    check("        checks: [waf]\n", Looks::Body, Inspect::Bytes(65_536));
}

#[test]
fn what_stands_before_a_listener_is_believed_as_it_says() {
    let edge = r#"    plain: {from: [10.0.0.0/24]}
    proxy_protocol: {from: [10.0.0.7/32, "fd00::/8"]}
    trusted_proxies: {from: [10.2.0.0/16], field: forwarded}"#;
    let text = BASE.replace("    tls: {certificate: tls.crt, key: {file: tls.key}}", edge);
    let config = Config::parse(&files(&[("p.yaml", &text)])).unwrap();
    let listener = &config.listeners[0];
    let has = |networks: &Networks, ip: &str| networks.contain(ip.parse().unwrap());
    let Transport::Plain { from } = &listener.transport else { panic!("{listener:?}") };
    assert!(has(from, "10.0.0.255") && !has(from, "10.0.1.0") && !has(from, "127.0.0.1"));
    let proxies = &listener.proxy_protocol;
    assert!(has(proxies, "10.0.0.7") && has(proxies, "fd12::1") && !has(proxies, "10.0.0.8"));
    let trusted = listener.trusted_proxies.as_ref().unwrap();
    assert!(has(&trusted.from, "10.2.3.4") && !has(&trusted.from, "10.0.0.7"));
    assert_eq!(trusted.field, Field::Forwarded);
    let text = text.replace("field: forwarded", "field: x-forwarded-for");
    let config = Config::parse(&files(&[("p.yaml", &text)])).unwrap();
    let trusted = config.listeners[0].trusted_proxies.as_ref().unwrap();
    assert_eq!(trusted.field, Field::XForwardedFor);
}

#[test]
fn a_host_is_where_its_origin_says() {
    let origins = r#"origins: ["https://api.example.com:8443", "http://[::1]", "https://*.shop.test:444", "https://a.shop.test"]"#;
    let text = format!("{}{origins}\n", BASE).replace(
        "hosts: [api.example.com]",
        "hosts: [api.example.com, \"[::1]\", \"*.shop.test\", other.test]",
    );
    let config = Config::parse(&files(&[("p.yaml", &text)])).unwrap();
    let check = |host: &str, scheme, port| {
        assert_eq!(config.origins.find(host), Origin { scheme, port }, "{host}");
    };
    check("api.example.com", Scheme::Https, 8443);
    check("[::1]", Scheme::Http, 80);
    check("a.shop.test", Scheme::Https, 443);
    check("b.shop.test", Scheme::Https, 444);
    check("other.test", Scheme::Https, 443);
}

#[test]
fn what_routes_ask_of_the_policies_has_its_place() {
    let config = base();
    let asked: Vec<&ActionUse> = config.actions().collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].action.name.as_str(), asked[0].resource_type.as_str(), asked[0].api.as_str()),
        ("read", "Orders::Order", "orders")
    );
    let at = |site: &Site| site.problem("x").to_string();
    assert_eq!(at(&asked[0].action_site), "etc/p.yaml:27:17: x");
    assert_eq!(at(&asked[0].resource_site), "etc/p.yaml:28:26: x");
    assert_eq!(at(&asked[0].api_site), "etc/p.yaml:19:3: x");
}

#[test]
fn types_of_another_namespace_are_taken_as_they_are() {
    let text = BASE.replace("type: Order,", "type: \"Shop::Order\",");
    let config = Config::parse(&files(&[("p.yaml", &text)])).unwrap();
    assert_eq!(config.actions().next().unwrap().resource_type, "Shop::Order");
}

#[test]
fn an_api_may_take_no_tokens_at_all() {
    let text = BASE.replace("issuers: [corp]", "issuers: none");
    let config = Config::parse(&files(&[("p.yaml", &text)])).unwrap();
    assert_eq!(config.apis["orders"].issuers, [""; 0]);
}

#[test]
fn teams_own_their_routes_in_files_of_their_own() {
    let (main, routes) = BASE.split_once("upstreams:\n").unwrap();
    let routes = format!("upstreams:\n{routes}");
    let bills = "apis:\n  bills:\n    hosts: [api.example.com]\n    namespace: Bills\n    issuers: none\n    routes:\n      - {name: list, methods: [GET], path: /bills, action: list, resource: {type: Bill, id: all}, upstream: orders}\n";
    let config = Config::parse(&files(&[
        ("p.yaml", main),
        ("t/orders.yaml", &routes),
        ("t/bills.yaml", bills),
    ]))
    .unwrap();
    assert_eq!(config.apis.keys().collect::<Vec<_>>(), ["bills", "orders"]);
    assert_eq!(config.routes.iter().count(), 2);
    assert_eq!(
        config.files,
        [Path::new("p.yaml"), Path::new("t/orders.yaml"), Path::new("t/bills.yaml")]
    );
}

#[test]
fn problems_of_included_files_name_them() {
    let check = |included: &[(&str, &str)], want: &[&str]| {
        let all: Vec<(&str, &str)> =
            [("p.yaml", BASE)].into_iter().chain(included.iter().copied()).collect();
        assert_eq!(problems(&all), want);
    };
    check(
        &[("t.yaml", "version: 1\nlisteners: []\ninclude: [x.yaml]\n")],
        &[
            "t.yaml:1:1: unknown key `version` | the keys here are `upstreams`, `apis`",
            "t.yaml:2:1: unknown key `listeners` | the keys here are `upstreams`, `apis`",
            "t.yaml:3:1: unknown key `include` | the keys here are `upstreams`, `apis`",
        ],
    );
    check(
        &[("t.yaml", "upstreams:\n  orders: {endpoints: [\"http://evil\"]}\n")],
        &["t.yaml:2:3: `orders` is in two files | first at p.yaml:17:3"],
    );
    check(
        &[
            ("t.yaml", "upstreams:\n  a: {endpoints: [\"http://a\"]}\n"),
            ("u.yaml", "upstreams:\n  a: {endpoints: [\"http://b\"]}\n"),
        ],
        &["u.yaml:2:3: `a` is in two files | first at t.yaml:2:3"],
    );
    let same = "apis:\n  other:\n    hosts: [api.example.com]\n    namespace: Other\n    issuers: none\n    routes:\n      - {name: steal, methods: [POST, GET], path: \"/orders/{x}\", action: a, resource: {type: T, id: x}, upstream: gone}\n";
    check(&[("t.yaml", same)], &["t.yaml:7:115: there is no upstream `gone`"]);
    check(
        &[("t.yaml", &same.replace("gone", "orders"))],
        &[
            "t.yaml:7:51: the route `steal` and the route `read` of `orders` are for the same requests | first at p.yaml:26:15",
        ],
    );
    check(&[("t.yaml", "- a\n")], &["t.yaml:1:1: expected a map, found a list"]);
    check(&[("t.yaml", "")], &["t.yaml:1:1: the file is empty"]);
    check(
        &[("t.yaml", "apis: {a: b\n"), ("u.yaml", "x: 1\n")],
        &[
            "t.yaml:2:1: not YAML: while parsing a flow mapping, did not find expected ',' or '}'",
            "u.yaml:1:1: unknown key `x` | the keys here are `upstreams`, `apis`",
        ],
    );
}

#[test]
fn a_configuration_without_routes_is_refused() {
    let (main, _) = BASE.split_once("apis:\n").unwrap();
    assert_eq!(
        problems(&[("p.yaml", main)]),
        ["p.yaml:1:1: there is no route: every request would be answered 404"]
    );
}

/// A value that does not fit is left out, and all the rest is still looked at.
#[test]
fn all_problems_are_reported_at_once() {
    let text = r#"version: 3
gateway: {domain: EXAMPLE.com, cluster: eu, instance: one, worker: 2}
listeners:
  - name: public
    address: localhost:8443
    tls: {certificate: tls.crt, key: hunter2}
  - name: private
    address: 127.0.0.1:8444
    tls: {certificate: tls.crt, key: {env: KEY}}
    limits: {head_timeout: 10, headers: 0}
    idle_timeout: 5m
policies: {directory: policies, annotations_allowed: owner}
audit:
  spool: {directory: spool, segment_bytes: 2GiB, volatile: no}
  keys: {issuer: {file: issuer.key}}
issuers:
  corp:
    issuer: http://login.example.com
    audiences: []
    algorithms: [HS256, ES256]
  Corp2: {}
upstreams:
  orders: {endpoints: ["http://127.0.0.1:8080/"]}
  bills: {endpoint: ["http://127.0.0.1:8081"]}
apis:
  orders:
    hosts: [api.example.com, "API.example.com"]
    namespace: Orders
    issuers: [corp, crop]
    routes:
      - {name: a, methods: [get], path: "/a", action: a, resource: {type: T, id: x}, upstream: bills}
      - {name: b, methods: [GET], path: "/b//", action: a, resource: {type: T, id: x}, upstream: orders}
      - {name: c, methods: [GET], path: "/c/{d}", action: a, resource: {type: T, id: "{e}"}, upstream: orders}
      - {name: d, methods: [GET], path: "/d", action: a, resource: {type: T, id: x}, upstream: order}
      - {name: e, methods: [GET], path: "/e", action: a, resource: {type: T}, upstream: orders}
      - {name: e, methods: [GET], path: "/f", action: a, resource: {type: T, id: x}, upstream: orders, rate: {limit: 5, window: 48h, key: client}}
      - {name: g, methods: [PUT, GET], path: "/f", action: a, resource: {type: T, id: x}, upstream: orders, audit: never}
      - {name: h, methods: [GET], path: "/f", action: a, resource: {type: T, id: x}, upstream: orders}
drain: {delay: 1h}
reload: {watch: maybe}
"#;
    assert_eq!(problems(&[("p.yaml", text)]), WANT);
}

const WANT: [&str; 32] = [
    "p.yaml:1:10: 3 is above 1, the most allowed",
    "p.yaml:2:19: `EXAMPLE.com` is not a DNS name in lower case | such as `example.com`",
    "p.yaml:2:60: unknown key `worker` | did you mean `workers`?",
    "p.yaml:5:14: `localhost:8443` is not an IP address and a port | such as `0.0.0.0:8443` or `[::]:8443`",
    "p.yaml:6:38: expected a map, found a string | Where a secret is: `{file: path}` or `{env: NAME}`",
    "p.yaml:10:28: expected a time, found a number | such as `500ms` or `2s` or `1m`",
    "p.yaml:10:41: 0 is below 1, the least allowed",
    "p.yaml:11:5: unknown key `idle_timeout` | the keys here are `name`, `address`, `tls`, `plain`, `proxy_protocol`, `trusted_proxies`, `limits`",
    "p.yaml:12:54: expected a list, found a string | a list is written `[a, b]`, or with a `-` before each item",
    "p.yaml:14:60: expected `true` or `false`, found a string | write `false`",
    "p.yaml:15:9: the key `issuer_note` is missing | The audit root's note on the issuer key",
    "p.yaml:15:9: the key `root` is missing | The audit root's verifier key",
    "p.yaml:18:13: `http://login.example.com` is not `https` | an issuer without TLS needs `allow_plain_http: true`, for development",
    "p.yaml:19:16: the list is empty | an empty list never means `anything`: say what is meant",
    "p.yaml:20:18: `HS256` is refused | with HMAC, whoever can verify a token can make one",
    "p.yaml:21:3: the key `Corp2` is not a name | a name is lower-case letters, digits, `-` and `_`, begins with a letter and has at most 63 characters",
    "p.yaml:23:24: `http://127.0.0.1:8080/` is not an address of the form `http://host:port` | such as `http://10.0.0.7:8080`",
    "p.yaml:24:10: the key `endpoints` is missing | Where it answers",
    "p.yaml:24:11: unknown key `endpoint` | did you mean `endpoints`?",
    "p.yaml:27:30: `API.example.com` is not a host in lower case, without a port | such as `api.example.com` or `*.example.com`",
    "p.yaml:29:21: there is no issuer `crop` | did you mean `corp`?",
    "p.yaml:31:29: `get` is not a method in upper case | such as `GET` or `POST`",
    "p.yaml:32:41: the path `/b//`: an empty segment",
    "p.yaml:33:86: the id `{e}`: the path has no parameter `e` | the path has `d`",
    "p.yaml:34:96: there is no upstream `order` | did you mean `orders`?",
    "p.yaml:35:68: the key `id` is missing | Its id",
    "p.yaml:36:129: 48h is above 24h, the most allowed",
    "p.yaml:37:46: the route `g` and the route `e` of `orders` are for the same requests | first at p.yaml:36:41",
    "p.yaml:37:116: `never` is not one of `strict`, `gated`, `buffered`",
    "p.yaml:38:41: the route `h` and the route `e` of `orders` are for the same requests | first at p.yaml:36:41",
    "p.yaml:39:16: 1h is above 10m, the most allowed",
    "p.yaml:40:17: expected `true` or `false`, found a string",
];

#[test]
fn secrets_written_in_place_are_refused_and_not_repeated() {
    let text =
        BASE.replace("{file: tls.key}", "hunter2").replace("{file: issuer.key}", "[hunter2]");
    let got = problems(&[("p.yaml", &text)]);
    assert_eq!(got.len(), 2);
    assert!(got.iter().all(|line| !line.contains("hunter2")), "{got:?}");
}

#[test]
fn the_digest_is_of_all_files_and_of_nothing_else() {
    let included = "upstreams:\n  a: {endpoints: [\"http://a\"]}\n";
    let digest = |texts: &[(&str, &str)]| Config::parse(&files(texts)).unwrap().digest;
    let one = digest(&[("p.yaml", BASE), ("t/a.yaml", included)]);
    assert_eq!(one.len(), 64);
    assert_eq!(one, digest(&[("/etc/x/p.yaml", BASE), ("/etc/x/t/a.yaml", included)]));
    assert_ne!(one, digest(&[("p.yaml", BASE), ("t/b.yaml", included)]));
    assert_ne!(one, digest(&[("p.yaml", BASE), ("t/a.yaml", &format!("{included}#"))]));
    assert_ne!(one, digest(&[("p.yaml", &format!("{BASE}#")), ("t/a.yaml", included)]));
    assert_ne!(one, digest(&[("p.yaml", BASE)]));
}

#[test]
fn a_configuration_is_loaded_from_files() {
    let directory = tempfile::tempdir().unwrap();
    let (main, routes) = BASE.split_once("upstreams:\n").unwrap();
    let write = |path: &str, text: &str| std::fs::write(directory.path().join(path), text).unwrap();
    std::fs::create_dir(directory.path().join("t")).unwrap();
    write("p.yaml", &format!("{main}include: [t/*.yaml]\n"));
    write("t/orders.yaml", &format!("upstreams:\n{routes}"));
    let path = directory.path().join("p.yaml");
    let config = Config::load(&path).unwrap();
    assert_eq!(config.files, [path.clone(), directory.path().join("t/orders.yaml")]);
    write("p.yaml", &format!("{main}include: [t/*.yaml, gone.yaml]\ncolour: red\n"));
    let problems: Vec<String> =
        Config::load(&path).unwrap_err().iter().map(|p| p.message.clone()).collect();
    assert_eq!(problems, ["no file is included by this", "unknown key `colour`"]);
}

/// Calls `look` with every schema within a schema.
fn walk(schema: &Json, look: &mut impl FnMut(&Map<String, Json>)) {
    let Json::Object(object) = schema else { return };
    look(object);
    for (key, value) in object {
        match (key.as_str(), value) {
            ("properties" | "patternProperties" | "$defs", Json::Object(schemas)) => {
                schemas.values().for_each(|schema| walk(schema, look));
            }
            ("oneOf" | "anyOf", Json::Array(schemas)) => {
                schemas.iter().for_each(|schema| walk(schema, look));
            }
            ("items" | "additionalProperties", schema) => walk(schema, look),
            _ => {}
        }
    }
}

#[test]
fn every_word_of_our_schema_is_one_that_is_enforced() {
    const ENFORCED: [&str; 18] = [
        "$ref",
        "type",
        "enum",
        "const",
        "oneOf",
        "anyOf",
        "pattern",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "items",
        "minItems",
        "maxItems",
        "properties",
        "required",
        "patternProperties",
        "uniqueItems",
    ];
    const SAID: [&str; 10] = [
        "$schema",
        "$defs",
        "title",
        "description",
        "default",
        "examples",
        "x-noun",
        "x-refused",
        "writeOnly",
        "additionalProperties",
    ];
    let mut looked_at = 0;
    for schema in [schema::schema(), schema::included()] {
        walk(&schema, &mut |schema| {
            looked_at += 1;
            for key in schema.keys() {
                assert!(ENFORCED.contains(&key.as_str()) || SAID.contains(&key.as_str()), "{key}");
                let beside = ["$ref", "description", "default"].contains(&key.as_str());
                assert!(!schema.contains_key("$ref") || beside, "`{key}` beside `$ref`");
            }
            if schema.get("type").is_some_and(|kind| kind == "object") {
                assert_eq!(schema.get("additionalProperties"), Some(&Json::Bool(false)));
            }
            if schema.get("type").is_some_and(|kind| kind == "integer") {
                assert!(
                    schema.contains_key("minimum") && schema.contains_key("maximum"),
                    "{schema:?}"
                );
            }
            assert!(schema.get("minLength").is_none_or(|least| least == 1), "{schema:?}");
            if let Some(pattern) = schema.get("pattern") {
                let pattern = Regex::new(pattern.as_str().unwrap()).unwrap();
                let examples = schema["examples"].as_array().unwrap();
                assert!(examples.iter().all(|example| pattern.is_match(example.as_str().unwrap())));
                assert!(schema.contains_key("x-noun"));
            }
        });
    }
    assert!(looked_at > 200, "{looked_at}");
}
