//! The rules of the check `waf`: where they are, and what they count for on each route.

use signals::{RuleExclusion, RuleSettings, WafMode};

use super::*;

fn parse(top: &str, route: &str) -> Config {
    let text = BASE.replace("policies: {directory", &format!("{top}\npolicies: {{directory"));
    let text = text.replace("    upstream: orders\n", &format!("    upstream: orders\n{route}"));
    assert!(route.is_empty() || text.contains(route), "the base has a route");
    Config::parse(&files(&[("etc/p.yaml", &text)])).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

#[test]
fn without_a_word_the_rules_are_our_own_and_heeded() {
    let waf = base().waf;
    assert!(waf.files.is_empty());
    let settings: Vec<RuleSettings> = waf.views.into_iter().map(|view| view.settings).collect();
    assert_eq!(settings, [RuleSettings::default()]);
}

#[test]
fn rule_files_are_relative_to_the_file_that_names_them() {
    let config = parse("waf: {rules: [crs/setup.conf, /etc/crs/rules/*.conf]}", "");
    let directories: Vec<_> =
        config.waf.files.iter().map(|files| files.glob.directory.display().to_string()).collect();
    assert_eq!(directories, ["etc/crs", "/etc/crs/rules"]);
    assert!(config.waf.files[1].glob.matches("REQUEST-901.conf"));
    assert!(!config.waf.files[1].glob.matches("words.data"));
}

#[test]
fn a_route_changes_what_it_says_and_keeps_the_rest() {
    let top = "waf: {paranoia: 2, threshold: 10, exclude: [{rules: [941100]}]}";
    let exclusion = |rules: &[u32], tags: &[&str], target: Option<&str>| RuleExclusion {
        rules: rules.to_vec(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        target: target.map(str::to_owned),
    };
    let check = |route: &str, want: RuleSettings| {
        let config = parse(top, route);
        let view = config.routes.iter().next().unwrap().checks.view;
        assert_eq!(config.waf.views[view].settings, want, "{route}");
    };
    let of_all = RuleSettings {
        mode: WafMode::Enforce,
        paranoia: Some(2),
        threshold: Some(10),
        exclusions: vec![exclusion(&[941_100], &[], None)],
        responses: None,
    };
    check("", of_all.clone());
    check(
        "        waf: {mode: shadow}\n",
        RuleSettings { mode: WafMode::Shadow, ..of_all.clone() },
    );
    check(
        "        waf: {paranoia: 4, threshold: 5}\n",
        RuleSettings { paranoia: Some(4), threshold: Some(5), ..of_all.clone() },
    );
    let exclusions = vec![
        exclusion(&[941_100], &[], None),
        exclusion(&[], &["attack-sqli"], Some("ARGS:comment")),
    ];
    check(
        "        waf: {exclude: [{tags: [attack-sqli], target: \"ARGS:comment\"}]}\n",
        RuleSettings { exclusions, ..of_all },
    );
}

#[test]
fn responses_are_looked_at_where_it_is_said() {
    let check = |top: &str, route: &str, want: [Option<usize>; 2]| {
        let config = parse(&format!("waf: {{{top}}}"), route);
        let view = config.routes.iter().next().unwrap().checks.view;
        let bytes = |view: usize| config.waf.views[view].settings.responses;
        assert_eq!([bytes(0), bytes(view)], want, "{top} {route}");
    };
    let of_route = |size: &str| format!("        waf: {{responses: {size}}}\n");
    check("", "", [None, None]);
    check("responses: none", "", [None, None]);
    check("responses: 512KiB", "", [Some(512 << 10), Some(512 << 10)]);
    check("responses: 512KiB", &of_route("none"), [Some(512 << 10), None]);
    check("", &of_route("1MiB"), [None, Some(1 << 20)]);
    check("responses: 1KiB", "        waf: {paranoia: 2}\n", [Some(1 << 10), Some(1 << 10)]);
}

#[test]
fn what_excludes_nothing_and_levels_that_are_none_are_refused() {
    let check = |waf: &str, want: &str| {
        let text =
            BASE.replace("policies: {directory", &format!("waf: {waf}\npolicies: {{directory"));
        assert_eq!(problems(&[("p.yaml", &text)]), [want], "{waf}");
    };
    check(
        "{exclude: [{target: \"ARGS:a\"}]}",
        "p.yaml:7:17: this excludes no rule | list `rules`, `tags` or both",
    );
    check("{paranoia: 5}", "p.yaml:7:17: 5 is above 4, the most allowed");
    check("{responses: 2MiB}", "p.yaml:7:18: 2MiB is above 1MiB, the most allowed");
    check("{threshold: 0}", "p.yaml:7:18: 0 is below 1, the least allowed");
    check(
        "{rules: [\"*/a.conf\"]}",
        "p.yaml:7:15: `*/a.conf` names no rule files | `*` stands within the file's name only",
    );
}

#[test]
fn an_exclusion_that_no_rule_fits_is_told_once_and_where_it_is() {
    let top = "waf:\n  paranoia: 2\n  exclude:\n    - {rules: [999999]}";
    let route = "        waf:\n          exclude: [{tags: [attack-none]}, {tags: [attack-sqli]}]\n";
    let waf = parse(top, "").waf;
    let wrong = |waf: &Waf| -> Vec<String> {
        let problems = crate::rules::Ruleset::load(waf, None).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    };
    // Our own rules have no levels.
    let levels = "etc/p.yaml:8:3: the rule set has no paranoia level";
    assert_eq!(wrong(&waf), [levels]);
    let top = top.replace("  paranoia: 2\n", "");
    let excluded = "etc/p.yaml:9:7: no rule has the id `999999`";
    assert_eq!(wrong(&parse(&top, "").waf), [excluded]);
    assert_eq!(wrong(&parse(&top, route).waf), [excluded]);
    assert_eq!(
        wrong(&parse("", route).waf),
        ["etc/p.yaml:32:21: no rule has the tag `attack-none`"]
    );
}
