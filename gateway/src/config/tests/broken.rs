//! Broken configurations: one change each to a sound one, and every problem that follows.

use super::{BASE, problems};

/// What is replaced, what stands there instead, and the problems: `line:column: message`, then
/// ` | ` and the hint if there is one.
type Case = (&'static str, &'static str, &'static [&'static str]);

fn check(cases: &[Case]) {
    for (from, to, want) in cases {
        assert_eq!(BASE.matches(from).count(), 1, "{from:?} is not one place of the base");
        let got = problems(&[("p.yaml", &BASE.replacen(from, to, 1))]);
        let got: Vec<&str> = got.iter().map(|p| p.strip_prefix("p.yaml:").unwrap_or(p)).collect();
        assert_eq!(&got, want, "{from:?} => {to:?}");
    }
}

#[test]
fn what_is_written_at_the_top() {
    check(&[
        ("version: 1", "version: 2", &["1:10: 2 is above 1, the most allowed"]),
        ("version: 1", "version: \"1\"", &["1:10: expected a whole number, found a string"]),
        ("version: 1", "version: 1.0", &["1:10: expected a whole number, found a fraction"]),
        ("version: 1\n", "", &["1:1: the key `version` is missing | The version of this format"]),
        ("version: 1", "version:", &["1:8: expected a whole number, found nothing"]),
        (
            "version: 1",
            "version: 1\ncolour: red",
            &[
                "2:1: unknown key `colour` | the keys here are `version`, `gateway`, `include`, `listeners`, `health`, `admin`, `policies`, `waf`, `audit`, `issuers`, `upstreams`, `apis`, `origins`, `drain`, `reload`",
            ],
        ),
        (
            "policies: {directory",
            "policys: {directory",
            &[
                "1:1: the key `policies` is missing | The policies that decide",
                "7:1: unknown key `policys` | did you mean `policies`?",
            ],
        ),
        (
            "policies: {directory: policies}",
            "policies: [policies]",
            &["7:11: expected a map, found a list"],
        ),
        (
            "policies: {directory: policies}",
            "policies: {directory: \"\"}",
            &["7:23: the string is empty"],
        ),
        (
            "policies: {directory: policies}",
            "policies: {directory: policies, annotations_allowed: [Owner]}",
            &["7:55: `Owner` is not the name of an annotation | such as `owner`"],
        ),
        (
            "policies: {directory: policies}",
            "policies: {directory: policies}\nreload: {watch: yes}",
            &["8:17: expected `true` or `false`, found a string | write `true`"],
        ),
        (
            "policies: {directory: policies}",
            "policies: {directory: policies}\nreload: yes",
            &["8:9: expected a map, found a string | the keys here are `watch`"],
        ),
        (
            "policies: {directory: policies}",
            "policies: {directory: policies}\nhealth: {address: localhost:8081}",
            &[
                "8:19: `localhost:8081` is not an IP address and a port | such as `0.0.0.0:8443` or `[::]:8443`",
            ],
        ),
        (
            "policies: {directory: policies}",
            "policies: {directory: policies}\nhealth: {address: \"127.0.0.1:8443\"}",
            &["8:19: `127.0.0.1:8443` is used twice | first at p.yaml:5:14"],
        ),
        (
            "policies: {directory: policies}",
            "policies: {directory: policies}\nhealth: {address: \"[::1]:81\"}\nadmin: {address: \"[::1]:81\"}",
            &["9:18: `[::1]:81` is used twice | first at p.yaml:8:19"],
        ),
        (
            "policies: {directory: policies}",
            "policies: {directory: policies}\nadmin: {address: 0.0.0.0:8082}",
            &["8:18: `0.0.0.0:8082` is not loopback: the admin listener is for this machine alone"],
        ),
        (
            "policies: {directory: policies}",
            "policies: {directory: policies}\nhealth: {address: 1.2.3.4:99999}",
            &["8:19: `1.2.3.4:99999` is not an IP address and a port"],
        ),
        (
            "policies: {directory: policies}",
            "policies: {directory: policies}\ndrain: {delay: 0s, deadline: 2h}",
            &[
                "8:16: `0s` is not a time | such as `500ms` or `2s` or `1m`",
                "8:30: 2h is above 1h, the most allowed",
            ],
        ),
        (
            "policies: {directory: policies}",
            "policies: {directory: policies}\ndrain: {delay: 20}",
            &["8:16: expected a time, found a number | such as `500ms` or `2s` or `1m`"],
        ),
        (
            "policies: {directory: policies}",
            "policies: {directory: policies}\ninclude: ['*/x.yaml']",
            &[
                "8:11: `*/x.yaml` is not a glob that can be included | `*` stands within the file's name only",
            ],
        ),
        (
            "domain: example.com",
            "domain: Example.com",
            &["2:19: `Example.com` is not a DNS name in lower case | such as `example.com`"],
        ),
        ("instance: one", "instance: one, workers: 0", &["2:69: 0 is below 1, the least allowed"]),
        (
            "instance: one",
            "instance: one, workers: 257",
            &["2:69: 257 is above 256, the most allowed"],
        ),
        (
            "instance: one",
            "instance: one, workers: two",
            &["2:69: expected a whole number, found a string"],
        ),
        (
            "instance: one",
            "instance: -1",
            &["2:55: expected a name, found a number | such as `orders` or `read-order`"],
        ),
    ]);
}

#[test]
fn listeners() {
    check(&[
        (
            "    address: 127.0.0.1:8443",
            "    address: 8443",
            &[
                "5:14: expected an IP address and a port, found a number | such as `0.0.0.0:8443` or `[::]:8443`",
            ],
        ),
        (
            "    address: 127.0.0.1:8443",
            "    address: 300.0.0.1:8443",
            &["5:14: `300.0.0.1:8443` is not an IP address and a port"],
        ),
        (
            "    address: 127.0.0.1:8443\n",
            "",
            &["4:5: the key `address` is missing | Where it listens"],
        ),
        (
            "    tls: {certificate: tls.crt, key: {file: tls.key}}",
            "    tls: none",
            &[
                "6:10: expected a map, found a string | the keys here are `certificate`, `key`, `min_version`",
            ],
        ),
        (
            "    tls: {certificate: tls.crt, key: {file: tls.key}}",
            "    tls: {certificate: tls.crt, key: hunter2}",
            &[
                "6:38: expected a map, found a string | Where a secret is: `{file: path}` or `{env: NAME}`",
            ],
        ),
        (
            "    tls: {certificate: tls.crt, key: {file: tls.key}}",
            "    tls: {certificate: tls.crt, key: {}}",
            &["6:38: a map with one of `file`, `env` is expected"],
        ),
        (
            "    tls: {certificate: tls.crt, key: {file: tls.key}}",
            "    tls: {certificate: tls.crt, key: {file: a, env: B}}",
            &["6:48: unknown key `env` | the keys here are `file`"],
        ),
        (
            "    tls: {certificate: tls.crt, key: {file: tls.key}}",
            "    tls: {certificate: tls.crt, key: {env: \"A B\"}}",
            &["6:44: this is not the name of an environment variable | such as `ISSUER_KEY`"],
        ),
        (
            "    tls: {certificate: tls.crt, key: {file: tls.key}}",
            "    tls: {certificate: tls.crt, key: {file: tls.key}, min_version: \"1.1\"}",
            &["6:68: `1.1` is not one of `1.2`, `1.3` | did you mean `1.2`?"],
        ),
        (
            "    tls: {certificate: tls.crt, key: {file: tls.key}}",
            "    tls: {certificate: tls.crt, key: {file: tls.key}, min_version: 1.3}",
            &["6:68: expected one of `1.2`, `1.3`, found a fraction | quote it"],
        ),
        (
            "    tls: {certificate: tls.crt, key: {file: tls.key}}\n",
            "",
            &[
                "4:5: a listener has `tls` or `plain` | `plain` is for load balancers that end TLS before it",
            ],
        ),
        (
            "  - name: public",
            "  - name: public\n    plain: {from: [10.0.0.0/8]}",
            &["5:5: a listener has `tls` or `plain`, not both"],
        ),
        (
            "    tls: {certificate: tls.crt, key: {file: tls.key}}",
            "    plain: {}",
            &["6:12: the key `from` is missing | From these addresses; no other is meant"],
        ),
        (
            "    tls: {certificate: tls.crt, key: {file: tls.key}}",
            "    plain: {from: []}",
            &["6:19: the list is empty | an empty list never means `anything`: say what is meant"],
        ),
        (
            "  - name: public",
            "  - name: public\n    proxy_protocol: {from: [10.0.0.1, 10.0.0.1/8, \"::ffff:10.0.0.0/104\", 10.0.0/8, 10.0.0.0/33]}",
            &[
                "5:29: `10.0.0.1` is not a range of addresses | such as `10.0.0.0/8` or `2001:db8::/32`",
                "5:39: `10.0.0.1/8` is not a range of addresses | did you mean `10.0.0.0/8`?",
                "5:51: `::ffff:10.0.0.0/104` is not a range of addresses | did you mean `10.0.0.0/8`?",
                "5:74: `10.0.0/8` is not a range of addresses",
                "5:84: `10.0.0.0/33` is not a range of addresses",
            ],
        ),
        (
            "  - name: public",
            "  - name: public\n    trusted_proxies: {from: [10.0.0.0/8]}",
            &[
                "5:22: the key `field` is missing | The field to which each of them appends who connected to it",
            ],
        ),
        (
            "  - name: public",
            "  - name: public\n    trusted_proxies: {from: [10.0.0.0/8], field: x-real-ip}",
            &["5:50: `x-real-ip` is not one of `x-forwarded-for`, `forwarded`"],
        ),
        (
            "policies: {directory: policies}",
            "policies: {directory: policies}\norigins: [\"https://other.test\", \"https://api.example.com:8443\", \"http://api.example.com\"]",
            &[
                "8:11: no API has the host of `https://other.test`",
                "8:65: this host has two origins | first at p.yaml:8:33",
            ],
        ),
        (
            "policies: {directory: policies}",
            "policies: {directory: policies}\norigins: [api.example.com, \"https://api.example.com/\", \"https://api.example.com:99999\", \"ws://api.example.com\"]",
            &[
                "8:11: `api.example.com` is not an origin | such as `https://api.example.com` or `https://*.example.com:8443`",
                "8:28: `https://api.example.com/` is not an origin | such as `https://api.example.com` or `https://*.example.com:8443`",
                "8:56: `https://api.example.com:99999` is not an origin",
                "8:89: `ws://api.example.com` is not an origin | such as `https://api.example.com` or `https://*.example.com:8443`",
            ],
        ),
        (
            "  - name: public",
            "  - name: public\n    limits: {head_bytes: 512B, headers: 1001, head_timeout: 2h}",
            &[
                "5:26: 512B is not between 1KiB and 1MiB",
                "5:41: 1001 is above 1000, the most allowed",
                "5:61: 2h is above 1h, the most allowed",
            ],
        ),
        (
            "  - name: public",
            "  - name: public\n    limits: {connections: 10, connections_per_source: 11}",
            &["5:55: one source may have 11 connections, all sources 10"],
        ),
        (
            "  - name: public",
            "  - name: public\n    limits: {head_bytes: 32kb, body_bytes: 64, idle_timeout: 1 minute}",
            &[
                "5:26: `32kb` is not a size | such as `512B` or `64KiB` or `1MiB`",
                "5:44: expected a size, found a number | such as `512B` or `64KiB` or `1MiB`",
                "5:62: `1 minute` is not a time | such as `500ms` or `2s` or `1m`",
            ],
        ),
        (
            "  - name: public",
            "  - {name: public, address: \"127.0.0.1:8443\", tls: {certificate: a, key: {file: b}}}\n  - name: public",
            &[
                "5:11: `public` is used twice | first at p.yaml:4:12",
                "6:14: `127.0.0.1:8443` is used twice | first at p.yaml:4:29",
            ],
        ),
        (
            "listeners:\n",
            "other:\n",
            &[
                "1:1: the key `listeners` is missing | The front doors",
                "3:1: unknown key `other` | the keys here are `version`, `gateway`, `include`, `listeners`, `health`, `admin`, `policies`, `waf`, `audit`, `issuers`, `upstreams`, `apis`, `origins`, `drain`, `reload`",
            ],
        ),
    ]);
}

#[test]
fn the_record() {
    check(&[
        (
            "segment_bytes: 1MiB",
            "segment_bytes: 1KiB",
            &["9:44: 1KiB is not between 512KiB and 256MiB"],
        ),
        (
            "segment_bytes: 1MiB",
            "segment_bytes: 1MiB, bytes_max: 3MiB",
            &["9:61: 3MiB is less than 4 segments of 1MiB"],
        ),
        (
            "segment_bytes: 1MiB",
            "segment_bytes: 1MiB, volatile: on",
            &["9:60: expected `true` or `false`, found a string | write `true`"],
        ),
        (
            "segment_bytes: 1MiB}",
            "segment_bytes: 1MiB}\n  heartbeat: 50ms",
            &["10:14: 50ms is below 100ms, the least allowed"],
        ),
        (
            "segment_bytes: 1MiB}",
            "segment_bytes: 1MiB}\n  heartbeat: 2m",
            &["10:14: 2m is above 1m, the most allowed"],
        ),
        (
            "segment_bytes: 1MiB}",
            "segment_bytes: 1MiB}\n  subjects: pseudonym",
            &["10:13: pseudonyms need a key, `audit.pseudonym_key`"],
        ),
        (
            "segment_bytes: 1MiB}",
            "segment_bytes: 1MiB}\n  flood: {window: 999ms}",
            &["10:19: 999ms is below 1s, the least allowed"],
        ),
        (
            "segment_bytes: 1MiB}",
            "segment_bytes: 1MiB}\n  kafka: {brokers: []}",
            &["10:20: the list is empty | an empty list never means `anything`: say what is meant"],
        ),
        (
            "segment_bytes: 1MiB}",
            "segment_bytes: 1MiB}\n  kafka: {brokers: [kafka, \"kafka:0\", \"kafka:70000\"], topic_prefix: Audit}",
            &[
                "10:21: `kafka` is not a host and a port | such as `kafka-1:9092`",
                "10:28: `kafka:0` is not a host and a port",
                "10:39: `kafka:70000` is not a host and a port",
                "10:69: `Audit` is not the beginning of a topic's name | such as `audit`",
            ],
        ),
        (
            "issuer: {file: issuer.key}",
            "issuer: [issuer.key]",
            &["10:18: expected a map, found a list"],
        ),
    ]);
}

#[test]
fn issuers_of_tokens() {
    check(&[
        (
            "audiences: [orders]",
            "audiences: []",
            &["14:16: the list is empty | an empty list never means `anything`: say what is meant"],
        ),
        (
            "    audiences: [orders]\n",
            "",
            &["13:5: the key `audiences` is missing | A token must be for one of these audiences"],
        ),
        (
            "audiences: [orders]",
            "audiences: orders",
            &[
                "14:16: expected a list, found a string | a list is written `[a, b]`, or with a `-` before each item",
            ],
        ),
        (
            "audiences: [orders]",
            "audiences: [orders, orders]",
            &["14:25: `orders` is listed twice"],
        ),
        ("audiences: [orders]", "audiences: [\"\"]", &["14:17: the string is empty"]),
        (
            "algorithms: [ES256]",
            "algorithms: [HS256]",
            &["15:18: `HS256` is refused | with HMAC, whoever can verify a token can make one"],
        ),
        (
            "algorithms: [ES256]",
            "algorithms: [none, es256, ES512]",
            &[
                "15:18: `none` is refused | an unsigned token says nothing",
                "15:24: `es256` is not one of `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA` | did you mean `ES256`?",
                "15:31: `ES512` is refused | this gateway cannot verify P-521 signatures",
            ],
        ),
        (
            "algorithms: [ES256]",
            "algorithms: []",
            &["15:17: the list is empty | an empty list never means `anything`: say what is meant"],
        ),
        (
            "algorithms: [ES256]",
            "algorithms: [ES256]\n    token_types: []",
            &["16:18: the list is empty | an empty list never means `anything`: say what is meant"],
        ),
        (
            "algorithms: [ES256]",
            "algorithms: [ES256]\n    claims: {kind: person, groups: 7, attributes: {Dept: d}}",
            &[
                "16:20: `person` is not one of `user`, `workload`",
                "16:36: expected a string, found a number | quote it",
                "16:52: the key `Dept` is not a name | a name is lower-case letters, digits, `-` and `_`, begins with a letter and has at most 63 characters",
            ],
        ),
        (
            "algorithms: [ES256]",
            "algorithms: [ES256]\n    leeway: 10m\n    refresh: 25h",
            &[
                "16:13: 10m is above 5m, the most allowed",
                "17:14: 25h is above 24h, the most allowed",
            ],
        ),
        (
            "https://login.example.com",
            "http://login.example.com",
            &[
                "13:13: `http://login.example.com` is not `https` | an issuer without TLS needs `allow_plain_http: true`, for development",
            ],
        ),
        (
            "https://login.example.com",
            "https://login.example.com?x=1",
            &["13:13: `https://login.example.com?x=1` has a query or a fragment"],
        ),
        (
            "https://login.example.com",
            "login.example.com",
            &["13:13: `login.example.com` is not `https`"],
        ),
        (
            "https://login.example.com",
            "https://me@login.example.com",
            &["13:13: `https://me@login.example.com` has a user in it"],
        ),
        (
            "https://login.example.com",
            "ldap://login.example.com",
            &["13:13: `ldap://login.example.com` is not `https`"],
        ),
        (
            "  corp:",
            "  two: {issuer: \"https://login.example.com\", audiences: [a], algorithms: [PS256]}\n  corp:",
            &[
                "12:17: the issuer `https://login.example.com` has two names | first at p.yaml:14:13",
            ],
        ),
        (
            "  corp:",
            "  corp|x:",
            &[
                "12:3: the key `corp|x` is not a name | a name is lower-case letters, digits, `-` and `_`, begins with a letter and has at most 63 characters",
                "22:15: there is no issuer `corp`",
            ],
        ),
    ]);
}

#[test]
fn upstreams() {
    check(&[
        (
            "\"http://127.0.0.1:8080\"",
            "\"https://127.0.0.1:8080\"",
            &[
                "17:24: `https://127.0.0.1:8080` is not an address of the form `http://host:port` | such as `http://10.0.0.7:8080`",
            ],
        ),
        (
            "\"http://127.0.0.1:8080\"",
            "\"http://127.0.0.1:8080/base\"",
            &[
                "17:24: `http://127.0.0.1:8080/base` is not an address of the form `http://host:port` | such as `http://10.0.0.7:8080`",
            ],
        ),
        (
            "\"http://127.0.0.1:8080\"",
            "\"http://127.0.0.1:0\"",
            &["17:24: `http://127.0.0.1:0` is not an address of the form `http://host:port`"],
        ),
        (
            "\"http://127.0.0.1:8080\"",
            "\"http://[::1::]:80\"",
            &["17:24: `http://[::1::]:80` is not an address of the form `http://host:port`"],
        ),
        (
            "[\"http://127.0.0.1:8080\"]",
            "[]",
            &["17:23: the list is empty | an empty list never means `anything`: say what is meant"],
        ),
        (
            "[\"http://127.0.0.1:8080\"]",
            "[\"http://a\"], eject_after: 0, connect_timeout: 61m",
            &["17:50: 0 is below 1, the least allowed", "17:70: 61m is above 1h, the most allowed"],
        ),
    ]);
}

#[test]
fn apis_and_routes() {
    check(&[
        (
            "hosts: [api.example.com]",
            "hosts: []",
            &["20:12: the list is empty | an empty list never means `anything`: say what is meant"],
        ),
        (
            "hosts: [api.example.com]",
            "hosts: [Api.example.com, \"a.test:443\", \"*\", \"*.*.a\", \"[0::1]\"]",
            &[
                "20:13: `Api.example.com` is not a host in lower case, without a port | such as `api.example.com` or `*.example.com`",
                "20:30: `a.test:443` is not a host in lower case, without a port | such as `api.example.com` or `*.example.com`",
                "20:44: `*` is not a host in lower case, without a port | such as `api.example.com` or `*.example.com`",
                "20:49: `*.*.a` is not a host in lower case, without a port | such as `api.example.com` or `*.example.com`",
                "20:58: `[0::1]` is not a host as requests name it | did you mean `[::1]`?",
            ],
        ),
        (
            "namespace: Orders",
            "namespace: orders",
            &["21:16: `orders` is not a Cedar namespace | such as `Orders`"],
        ),
        (
            "namespace: Orders",
            "namespace: Portcullis::X",
            &["21:16: the namespace `Portcullis::X` is reserved"],
        ),
        (
            "issuers: [corp]",
            "issuers: [crop]",
            &["22:15: there is no issuer `crop` | did you mean `corp`?"],
        ),
        (
            "issuers: [corp]",
            "issuers: []",
            &["22:14: the list is empty | an empty list never means `anything`: say what is meant"],
        ),
        ("issuers: [corp]", "issuers: all", &["22:14: `all` is not `none` or a list"]),
        (
            "issuers: [corp]",
            "issuers: {corp: true}",
            &["22:14: expected `none` or a list, found a map"],
        ),
        (
            "    issuers: [corp]\n",
            "",
            &[
                "20:5: the key `issuers` is missing | Issuers whose tokens it takes, by name, or `none`",
            ],
        ),
        (
            "methods: [GET]",
            "methods: []",
            &["25:18: the list is empty | an empty list never means `anything`: say what is meant"],
        ),
        (
            "methods: [GET]",
            "methods: [get]",
            &["25:19: `get` is not a method in upper case | such as `GET` or `POST`"],
        ),
        ("methods: [GET]", "methods: [GET, GET]", &["25:24: `GET` is listed twice"]),
        (
            "methods: [GET]",
            "methods: [CONNECT, TRACE]",
            &["25:19: `CONNECT` is never forwarded", "25:28: `TRACE` is never forwarded"],
        ),
        (
            "methods: [GET]",
            "methods: GET",
            &[
                "25:18: expected a list, found a string | a list is written `[a, b]`, or with a `-` before each item",
            ],
        ),
        (
            "path: /orders/{id}",
            "path: orders",
            &["26:15: `orders` is not a path | such as `/orders/{id}` or `/files/{*rest}`"],
        ),
        (
            "path: /orders/{id}",
            "path: /orders//{id}",
            &["26:15: the path `/orders//{id}`: an empty segment"],
        ),
        (
            "path: /orders/{id}",
            "path: /orders/%7Bid",
            &["26:15: the path `/orders/%7Bid`: the character `%` cannot be in a path"],
        ),
        (
            "path: /orders/{id}",
            "path: /.portcullis/{id}",
            &["26:15: the path `/.portcullis/{id}`: `/.portcullis/` is the gateway's own"],
        ),
        (
            "path: /orders/{id}",
            "path: /orders/{order}",
            &["28:37: the id `{id}`: the path has no parameter `id` | the path has `order`"],
        ),
        (
            "path: /orders/{id}",
            "path: /orders/{*id}\n        encoded_slash: opaque",
            &["27:24: a path with `{*…}` cannot take encoded slashes"],
        ),
        (
            "action: read",
            "action: \"read order\"",
            &["27:17: `read order` is not the name of an action | such as `read`"],
        ),
        ("type: Order", "type: order", &["28:26: `order` is not a Cedar type | such as `Order`"]),
        (
            "id: \"{id}\"",
            "id: \"{id\"",
            &["28:37: the id `{id`: a brace without its other | the path has `id`"],
        ),
        (
            "id: \"{id}\"",
            "id: {id}",
            &["28:37: expected an id, found a map | quote it: `{` begins a map"],
        ),
        (
            "        upstream: orders",
            "        upstream: order",
            &["29:19: there is no upstream `order` | did you mean `orders`?"],
        ),
        (
            "        upstream: orders",
            "        upsteam: orders",
            &[
                "24:9: the key `upstream` is missing | Where it goes, by name",
                "29:9: unknown key `upsteam` | did you mean `upstream`?",
            ],
        ),
        (
            "        upstream: orders",
            "        upstream: orders\n        audit: always",
            &["30:16: `always` is not one of `strict`, `gated`, `buffered`"],
        ),
        (
            "        upstream: orders",
            "        upstream: orders\n        checks: [waf, waf, rate]",
            &["30:23: `waf` is listed twice", "30:28: `rate` is not `waf`"],
        ),
        (
            "        upstream: orders",
            "        upstream: orders\n        checks: []\n        inspect: 1KiB",
            &["31:18: no check looks at the body"],
        ),
        (
            "        upstream: orders",
            "        upstream: orders\n        parameters: {ids: secret, id: secret}",
            &[
                "30:22: the path has no parameter `ids` | did you mean `id`?",
                "30:35: a secret cannot be in the resource's id, which policy is asked about | `pseudonym` can",
            ],
        ),
        (
            "        upstream: orders",
            "        upstream: orders\n        parameters: {id: pseudonym}",
            &["30:22: pseudonyms need a key, `audit.pseudonym_key`"],
        ),
        (
            "        upstream: orders",
            "        upstream: orders\n        inspect: 2MiB",
            &["30:18: 2MiB is above 1MiB, the most allowed"],
        ),
        (
            "        upstream: orders",
            "        upstream: orders\n        inspect: all",
            &["30:18: `all` is not `none` or a size | such as `none` or `64KiB`"],
        ),
        (
            "        upstream: orders",
            "        upstream: orders\n        inspect: 65536",
            &["30:18: expected `none` or a size, found a number | such as `none` or `64KiB`"],
        ),
        (
            "        upstream: orders",
            "        upstream: orders\n        rate: {limit: 0, window: 25h, key: ip}",
            &[
                "30:23: 0 is below 1, the least allowed",
                "30:44: `ip` is not one of `client`, `principal`",
            ],
        ),
        (
            "        upstream: orders",
            "        upstream: orders\n        rate: {limit: 1}",
            &[
                "30:15: the key `key` is missing | Whose requests are counted together",
                "30:15: the key `window` is missing | The window",
            ],
        ),
        (
            "        upstream: orders",
            "        upstream: orders\n        rate: {limit: 1, window: 25h, key: client}",
            &["30:34: 25h is above 24h, the most allowed"],
        ),
        (
            "        upstream: orders",
            "        upstream: orders\n        encoded_slash: allow",
            &["30:24: `allow` is not one of `refuse`, `opaque`"],
        ),
        (
            "        upstream: orders",
            "        upstream: orders\n        forward_authorization: \"true\"",
            &["30:32: expected `true` or `false`, found a string | write `true`"],
        ),
        (
            "        upstream: orders",
            "        upstream: orders\n      - {name: read, methods: [GET, PUT], path: \"/orders/{key}\", action: read, resource: {type: Order, id: x}, upstream: orders}",
            &[
                "30:16: the API has two routes `read` | first at p.yaml:24:15",
                "30:49: the route `read` and the route `read` of `orders` are for the same requests | first at p.yaml:26:15",
            ],
        ),
        (
            "        upstream: orders",
            "        upstream:",
            &["29:17: expected a name, found nothing"],
        ),
    ]);
}

#[test]
fn yaml_that_is_refused() {
    check(&[
        (
            "version: 1",
            "version: &v 1",
            &["1:10: anchors are refused | write the values out where they are used"],
        ),
        (
            "version: 1",
            "version: 1\nversion: 1",
            &["2:1: the key `version` is written twice | first at p.yaml:1:1"],
        ),
        (
            "version: 1",
            "version: !!int 1",
            &[
                "1:10: tags are refused | a value is what it looks like; quote it to make it a string",
            ],
        ),
        (
            "version: 1",
            "version: 1\n---",
            &["2:1: a second document | one file holds one document"],
        ),
        (
            "version: 1",
            "version: 1: 2",
            &["1:11: not YAML: mapping values are not allowed in this context"],
        ),
        (
            "version: 1",
            "version: 99999999999999999999",
            &["1:10: the number `99999999999999999999` is too large"],
        ),
        (
            "  corp:",
            "  <<: {}\n  corp:",
            &["12:3: merge keys are refused | write the values out where they are used"],
        ),
        (
            "  corp:",
            "  two: *nobody\n  corp:",
            &["12:8: not YAML: while parsing node, found unknown anchor"],
        ),
        (
            "  corp:",
            "  1:",
            &["12:3: the key `1` is not a string | quote it", "22:15: there is no issuer `corp`"],
        ),
    ]);
}

/// Changes that leave the configuration sound: each value at the edge of its limit, and forms
/// that are as good as the base's.
#[test]
fn at_its_edge_a_limit_is_kept() {
    let name = "n".repeat(63);
    let long = format!("cluster: {name}");
    let longer = format!("cluster: {name}n");
    let url = format!("https://a/{}", "x".repeat(2038));
    let longer_url = format!("{url}x");
    let limits = |limits: &str| format!("  - name: public\n    limits: {{{limits}}}");
    let route = |key: &str| format!("        upstream: orders\n        {key}");
    let segment = |rest: &str| format!("segment_bytes: {rest}");
    let flood = |keys: &str| format!("segment_bytes: 1MiB}}\n  flood: {{{keys}}}");
    for (from, to, fits) in [
        ("cluster: eu", long.as_str(), true),
        ("cluster: eu", &longer, false),
        ("https://login.example.com", &url, true),
        ("https://login.example.com", &longer_url, false),
        ("instance: one", "instance: one, workers: 1", true),
        ("instance: one", "instance: one, workers: 256", true),
        ("  - name: public", &limits("head_bytes: 1KiB, headers: 1, head_timeout: 1h"), true),
        ("  - name: public", &limits("head_bytes: 1MiB, headers: 1000, idle_timeout: 60m"), true),
        ("  - name: public", &limits("head_bytes: 1023B"), false),
        ("  - name: public", &limits("head_bytes: 1048577B"), false),
        ("  - name: public", &limits("connections: 7, connections_per_source: 7"), true),
        ("  - name: public", &limits("connections: 1000000"), true),
        ("  - name: public", &limits("connections: 1000001"), false),
        ("    address: 127.0.0.1:8443", "    address: \"[::]:0\"", true),
        ("segment_bytes: 1MiB", &segment("512KiB, bytes_max: 2MiB"), true),
        ("segment_bytes: 1MiB", &segment("256MiB, bytes_max: 1GiB"), true),
        ("segment_bytes: 1MiB", &segment("524287B"), false),
        ("segment_bytes: 1MiB", &segment("257MiB, bytes_max: 2GiB"), false),
        ("segment_bytes: 1MiB", &segment("512KiB, bytes_max: 2097151B"), false),
        ("segment_bytes: 1MiB}", "segment_bytes: 1MiB}\n  heartbeat: 100ms", true),
        ("segment_bytes: 1MiB}", "segment_bytes: 1MiB}\n  heartbeat: 60s", true),
        ("segment_bytes: 1MiB}", "segment_bytes: 1MiB}\n  heartbeat: 60001ms", false),
        ("segment_bytes: 1MiB}", &flood("per_source: 1, in_all: 1, window: 1s"), true),
        ("segment_bytes: 1MiB}", &flood("per_source: 1000000, in_all: 1000000"), true),
        ("segment_bytes: 1MiB}", &flood("window: 1m"), true),
        ("segment_bytes: 1MiB}", &flood("per_source: 0"), false),
        ("segment_bytes: 1MiB}", &flood("in_all: 1000001"), false),
        ("segment_bytes: 1MiB}", &flood("window: 60001ms"), false),
        (
            "    algorithms: [ES256]",
            "    algorithms: [ES256]\n    leeway: 5m\n    refresh: 24h",
            true,
        ),
        ("    algorithms: [ES256]", "    algorithms:\n      - ES256\n      - EdDSA", true),
        ("        upstream: orders", &route("inspect: 1MiB"), true),
        ("        upstream: orders", &route("inspect: 1025KiB"), false),
        ("        upstream: orders", &route("checks: []"), true),
        (
            "        upstream: orders",
            &route("rate: {limit: 1000000000, window: 24h, key: client}"),
            true,
        ),
        (
            "        upstream: orders",
            &route("rate: {limit: 1000000001, window: 24h, key: client}"),
            false,
        ),
        ("http://127.0.0.1:8080", "http://orders.internal", true),
        ("http://127.0.0.1:8080", "http://[::1]:65535", true),
        ("http://127.0.0.1:8080", "http://[::1]:65536", false),
        (
            "policies: {directory: policies}",
            "policies: {directory: p}\ndrain: {delay: 10m, deadline: 1h}",
            true,
        ),
    ] {
        assert_eq!(BASE.matches(from).count(), 1, "{from:?} is not one place of the base");
        let got = problems(&[("p.yaml", &BASE.replacen(from, to, 1))]);
        assert_eq!(got.len(), usize::from(!fits), "{to}: {got:?}");
    }
}
