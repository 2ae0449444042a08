//! Policies that are asked too: where they are, and how often they are asked.

use super::*;

fn with(candidate: &str) -> String {
    let policies = format!("policies: {{directory: policies, candidate: {candidate}}}");
    BASE.replace("policies: {directory: policies}", &policies)
}

#[test]
fn a_candidate_is_asked_of_a_share_of_the_decisions() {
    assert_eq!(base().policies.candidate, None);
    let check = |percent: &str, millionths: u32| {
        let text = with(&format!("{{directory: next{percent}}}"));
        let config = Config::parse(&files(&[("etc/p.yaml", &text)])).unwrap();
        let candidate = config.policies.candidate.unwrap();
        assert_eq!(candidate.directory, Path::new("etc/next"));
        assert_eq!(candidate.share, Share::of_million(millionths), "{percent}");
    };
    check("", 100_000);
    check(", percent: 0", 0);
    check(", percent: 1", 10_000);
    check(", percent: 100", 1_000_000);
    check(", percent: \"0.5\"", 5_000);
    check(", percent: \"12.0625\"", 120_625);
    check(", percent: \"0.0001\"", 1);
    check(", percent: \"7\"", 70_000);
    check(", percent: \"100.0\"", 1_000_000);
}

#[test]
fn a_share_that_is_none_is_refused() {
    let check = |candidate: &str, want: &str| {
        assert_eq!(problems(&[("p.yaml", &with(candidate))]), [want], "{candidate}");
    };
    check(
        "{percent: 5}",
        "p.yaml:7:44: the key `directory` is missing | The directory of their schema, the policies and the entities: a whole one",
    );
    check("{directory: n, percent: 101}", "p.yaml:7:68: 101 is above 100, the most allowed");
    check("{directory: n, percent: -1}", "p.yaml:7:68: -1 is below 0, the least allowed");
    let wanted = "a quoted percentage of at most four decimals";
    let such = "such as `0.5` or `12.25`";
    for text in ["100.1", "101", "1.00001", "1%", ".5", "5."] {
        let quoted = format!("{{directory: n, percent: \"{text}\"}}");
        check(&quoted, &format!("p.yaml:7:68: `{text}` is not {wanted} | {such}"));
    }
    check(
        "{directory: n, percent: 0.5}",
        &format!("p.yaml:7:68: expected {wanted} or a whole number, found a fraction | quote it"),
    );
}
