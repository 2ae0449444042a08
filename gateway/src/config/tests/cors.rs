//! What pages of other origins may do: of an API, of a route in its place, and what is refused.

use super::*;
use crate::cors::{Cors, Origins};

const API: &str = "    issuers: [corp]\n    routes:";
const ROUTE: &str = "        upstream: orders";

fn with(from: &str, key: &str) -> String {
    assert_eq!(BASE.matches(from).count(), 1, "{from:?} is not one place of the base");
    let indented: String = from.chars().take_while(|c| *c == ' ').collect();
    BASE.replacen(from, &format!("{indented}{key}\n{from}"), 1)
}

fn of_the_route(text: &str) -> Option<Cors> {
    let config = Config::parse(&files(&[("p.yaml", text)])).unwrap();
    config.routes.iter().next().unwrap().cors.clone()
}

#[test]
fn a_route_has_its_own_or_its_apis() {
    assert_eq!(of_the_route(BASE), None);
    let api = "cors: {origins: [\"https://a.example\"], headers: [Authorization]}";
    let of_api = Cors {
        origins: Origins::Listed(vec!["https://a.example".to_owned()]),
        headers: vec!["authorization".to_owned()],
        max_age: Duration::from_secs(600),
        credentials: false,
    };
    assert_eq!(of_the_route(&with(API, api)), Some(of_api.clone()));
    let own = "cors: {origins: [\"*\"], max_age: 24h}";
    let both = with(API, api).replacen(ROUTE, &format!("        {own}\n{ROUTE}"), 1);
    let of_route = Cors {
        origins: Origins::Any,
        headers: Vec::new(),
        max_age: Duration::from_secs(24 * 3600),
        ..of_api
    };
    assert_eq!(of_the_route(&both), Some(of_route));
}

#[test]
fn what_is_refused() {
    fn check(key: &str, want: &[&str]) {
        for from in [API, ROUTE] {
            let got = problems(&[("p.yaml", &with(from, key))]);
            assert_eq!(got.len(), want.len(), "{key}: {got:?}");
            for (got, want) in got.iter().zip(want) {
                assert!(got.contains(want), "{key}: {got}");
            }
        }
    }
    check(
        "cors: {origins: [\"https://a.example:8443\", \"http://[::1]\"], credentials: true}",
        &[],
    );
    check(
        "cors: {origins: [\"*\"], credentials: true}",
        &["credentials cannot go with `*`: every page could act as its visitor"],
    );
    check("cors: {origins: [\"*\", \"https://a.example\"]}", &["`*` stands alone"]);
    check("cors: {origins: []}", &["the list is empty"]);
    check("cors: {headers: [A]}", &["the key `origins` is missing"]);
    check("cors: {origins: [\"https://a.example\"], max_age: 25h}", &["25h is above 24h"]);
    check("cors: {origins: [\"https://a.example\"], headers: [\"a b\"]}", &["a header field"]);
    for wrong in ["null", "https://a.example/", "https://*.a.example", "a.example", "HTTPS://A"] {
        let key = format!("cors: {{origins: [\"{wrong}\"]}}");
        check(&key, &["is not an origin of the form `https://host`"]);
    }
}
