//! The rows of `benign.txt` and `attack.txt`: what the default rules must pass, and what not.

use std::collections::BTreeSet;

use super::*;

const BENIGN: &str = include_str!("../rows/benign.txt");
const ATTACK: &str = include_str!("../rows/attack.txt");

/// What `DEFAULT_RULES` uses for rules that only set variables.
const SETTINGS: [&str; 1] = ["100"];

fn rows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The requests of a row: the value at each of its places.
fn asked(row: &str) -> Vec<Asked> {
    let (place, value) = row.split_once(' ').expect("a place and a value");
    let value = value.replace('⏎', "\n");
    let form = "application/x-www-form-urlencoded";
    let json = "application/json; charset=utf-8";
    let arguments = || {
        let text = encode(&value);
        let document = serde_json::json!({ "items": [{ "text": value }] });
        vec![
            Asked::get(format!("/search?q={text}&page=1")),
            Asked::post(form, format!("csrf=2f9a&text={text}")),
            Asked::post(json, document.to_string()),
        ]
    };
    match place {
        "arg" => arguments(),
        "any" => {
            let mut all = arguments();
            all.push(Asked::post("text/plain", value.clone()));
            all
        }
        "get" => vec![Asked::get(value)],
        "cookie" => vec![Asked::get("/").header("cookie", value)],
        "form" => vec![Asked::post(form, value)],
        "json" => vec![Asked::post(json, value)],
        "text" => vec![Asked::post("text/plain", value)],
        "header" => {
            let (name, value) = value.split_once(": ").expect("a field");
            vec![Asked::get("/").header(name, value)]
        }
        _ => panic!("no place: {row}"),
    }
}

fn none_of(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn benign_rows_pass() {
    let mut wrong = Vec::new();
    for (line, row) in rows(BENIGN) {
        for (place, asked) in asked(row).into_iter().enumerate() {
            let waf = asked.observe();
            if waf.score >= waf.threshold || waf.health != Health::Ok {
                let hits: Vec<String> =
                    waf.hits.iter().map(|hit| format!("{} {}", hit.rule, hit.target)).collect();
                wrong.push(format!(
                    "{line}.{place}: {row}\n    {:?} {}",
                    waf.health,
                    hits.join(", ")
                ));
            }
        }
    }
    assert!(rows(BENIGN).count() >= 500);
    none_of(&wrong);
}

#[test]
fn attack_rows_do_not_pass() {
    let mut wrong = Vec::new();
    for (line, row) in rows(ATTACK) {
        let (class, row) = row.split_once(' ').expect("a class");
        for (place, asked) in asked(row).into_iter().enumerate() {
            let waf = asked.observe();
            if waf.score < waf.threshold || !waf.classes.iter().any(|found| found == class) {
                wrong.push(format!("{line}.{place}: {row}\n    {} not in {:?}", class, waf.rules));
            }
        }
    }
    assert!(rows(ATTACK).count() >= 300);
    none_of(&wrong);
}

#[test]
fn every_rule_is_hit_by_a_row() {
    let ids: BTreeSet<String> = DEFAULT_RULES
        .split("\"id:")
        .skip(1)
        .filter_map(|rest| rest.split(',').next())
        .map(str::to_owned)
        .filter(|id| !SETTINGS.contains(&id.as_str()))
        .collect();
    let hit: BTreeSet<String> = rows(ATTACK)
        .filter_map(|(_, row)| row.split_once(' '))
        .flat_map(|(_, row)| asked(row))
        .flat_map(|asked| asked.observe().rules)
        .collect();
    assert!(ids.len() > 20);
    assert_eq!(hit, ids);
}
