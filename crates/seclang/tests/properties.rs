//! Whatever the text of a rule file and whatever the bytes of a request: no panic, and an answer.

use std::sync::LazyLock;

use proptest::prelude::*;
use seclang::subset::{Collection, Input, RuleSet};

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
    RuleSet::load(&[("everything.conf", &rules)]).expect("rules")
});

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
            if let Err(problems) = RuleSet::load(&[("f.conf", &text)]) {
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
        let mut input = Input::new(1);
        input.push(Collection::ArgsGet, "q", value);
        let id = 10 + (first * TRANSFORMS.len() + second) * OPERATORS.len() + operator;
        let among_all = EVERYTHING.evaluate(&input);
        let rule = format!(
            "{THRESHOLD}SecRule ARGS \"{}\" \"id:{id},t:{},t:{}\"",
            OPERATORS[operator], TRANSFORMS[first], TRANSFORMS[second]
        );
        let alone = RuleSet::load(&[("alone.conf", &rule)]).expect("a rule").evaluate(&input);
        let matched = among_all.hits.iter().any(|hit| hit.id == id.to_string());
        prop_assert_eq!(matched, !alone.hits.is_empty());
    }
}
