//! Whatever the text of a rule file and whatever the bytes of a request: no panic, and an answer.

use std::sync::LazyLock;

use proptest::prelude::*;
use seclang::{File, Limits, Overlay, Problem, RuleSet, Value, Variable};

const THRESHOLD: &str = "SecAction \"id:1,setvar:tx.inbound_anomaly_score_threshold=5\"\n";

const OPERATORS: [&str; 6] =
    ["@rx (?:a|b)+c", "!@rx ^x", "@pm select union", "@contains <", "@detectSQLi", "@detectXSS"];

const TRANSFORMS: [&str; 14] = [
    "base64Decode",
    "cmdLine",
    "compressWhitespace",
    "cssDecode",
    "htmlEntityDecode",
    "jsDecode",
    "lowercase",
    "normalizePath",
    "normalizePathWin",
    "removeNulls",
    "removeWhitespace",
    "replaceComments",
    "urlDecode",
    "urlDecodeUni",
];

/// Every operator after every pair of transformations.
#[expect(clippy::expect_used, reason = "a test stops if it cannot begin")]
static EVERYTHING: LazyLock<RuleSet> = LazyLock::new(|| {
    let mut rules = THRESHOLD.to_owned();
    let mut id = 10;
    for first in TRANSFORMS {
        for second in TRANSFORMS {
            for operator in OPERATORS {
                rules += &format!("SecRule ARGS \"{operator}\" \"id:{id},t:{first},t:{second}\"\n");
                id += 1;
            }
        }
    }
    load(&rules).expect("rules")
});

fn load(text: &str) -> Result<RuleSet, Vec<Problem>> {
    let file = File { name: "f.conf".to_owned(), text: text.as_bytes().to_vec() };
    let nothing = |_: seclang::Wanted<'_>| Err("no other file".to_owned());
    RuleSet::load(&[file], &nothing).map(|loaded| loaded.rules)
}

/// The ids of rules that match a parameter.
fn matched(rules: &RuleSet, bytes: &[u8]) -> Vec<u32> {
    let value = Value { variable: Variable::ArgsGet, name: b"q", bytes };
    let overlay = Overlay::default();
    rules.inspect_values(&[value], &overlay, &Limits::default()).outcome().matched
}

/// Pieces of rule files, put together in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "SecRule",
        "SecAction",
        "SecMarker",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\\\n",
        "\\",
        "\"",
        "'",
        "\\\"",
        "\\'",
        "#",
        "!",
        "|",
        ":",
        ",",
        "@",
        "ARGS",
        "ARGS:a",
        "REQUEST_HEADERS:User-Agent",
        "!ARGS:b",
        "@rx",
        "@rx (",
        "@rx [",
        "@pm a b",
        "@contains",
        "@detectSQLi",
        "\\x{3c}",
        "\\x{",
        "{",
        "}",
        "(?",
        "é",
        "id:1",
        "id:2",
        "phase:1",
        "t:none",
        "t:lowercase",
        "chain",
        "msg:'x",
        "setvar:tx.a=+1",
        "setvar:tx.a=%{tx.b}",
        "setvar:",
        "tag:x",
        "%{tx.",
        "99999999999999999999",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Bytes that transformations and operators act on, among others.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => prop::sample::select(b"%u+&#;x\\/.*'\"<>=-()0aAfF1 \t\n\0^,".to_vec()),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..200)
}

proptest! {
    #[test]
    fn a_rule_file_loads_or_its_problems_are_told(text in prop_oneof![pieces(), ".{0,200}"]) {
        for text in [text.clone(), format!("{THRESHOLD}{text}")] {
            if let Err(problems) = load(&text) {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(problem.line >= 1 && problem.line <= text.lines().count().max(1));
                    prop_assert!(problem.column >= 1 && !problem.message.is_empty());
                }
            }
        }
    }

    #[test]
    fn a_rule_has_the_outcome_it_has_alone(
        value in bytes(),
        first in 0..TRANSFORMS.len(),
        second in 0..TRANSFORMS.len(),
        operator in 0..OPERATORS.len(),
    ) {
        let id = 10 + (first * TRANSFORMS.len() + second) * OPERATORS.len() + operator;
        let rule = format!(
            "{THRESHOLD}SecRule ARGS \"{}\" \"id:{id},t:{},t:{}\"",
            OPERATORS[operator], TRANSFORMS[first], TRANSFORMS[second]
        );
        let alone = matched(&load(&rule).expect("a rule"), &value);
        let id = u32::try_from(id).expect("a small number");
        prop_assert_eq!(matched(&EVERYTHING, &value).contains(&id), alone.contains(&id));
    }
}
