//! The default rules.

use super::*;

#[test]
fn the_default_rules_load() {
    if let Err(problems) = Rules::default_rules() {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", problems.join("\n"));
    }
}
