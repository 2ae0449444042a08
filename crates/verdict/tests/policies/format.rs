//! One layout, nothing lost.

use crate::support::starter;

fn check(text: &str, want: &str) {
    let formatted = verdict::format("a.cedar", text).unwrap();
    assert_eq!(formatted, want);
    assert_eq!(verdict::format("a.cedar", &formatted).unwrap(), formatted, "twice is once");
}

#[test]
fn layout_changes_and_nothing_else() {
    check("", "");
    check(
        "\n// the file\n\n// and more\n\n\n// why\npermit(principal,action,resource);",
        "// the file\n\n// and more\n\n// why\npermit (principal, action, resource);\n",
    );
    check("// nothing yet\n", "// nothing yet\n");
    check("permit(principal,action,resource);", "permit (principal, action, resource);\n");
    check(
        "// why\n@id(\"a\") // its name\npermit(principal, action,\nresource) when{ context.waf.score>1 };\n// the end\n",
        "// why\n@id(\"a\") // its name\npermit (principal, action, resource)\nwhen { context.waf.score > 1 };\n// the end\n",
    );
    check(
        "@id(\"t\")\npermit(principal==?principal,action,resource in ?resource);\n",
        "@id(\"t\")\npermit (\n  principal == ?principal,\n  action,\n  resource in ?resource\n);\n",
    );
}

#[test]
fn what_is_not_cedar_is_told() {
    let problems =
        verdict::format("shop/a.cedar", "permit (principal, action resource);").unwrap_err();
    let at: Vec<_> = problems.iter().map(|p| (p.file.as_str(), p.line, p.column)).collect();
    assert_eq!(at, [("shop/a.cedar", 1, 27)]);
}

#[test]
fn the_starter_policies_are_laid_out() {
    let policies = starter().files.into_iter().filter(|(path, _)| path.ends_with(".cedar"));
    for (path, text) in policies {
        assert_eq!(verdict::format(&path, &text).unwrap(), text, "{path}");
    }
}

#[test]
fn what_is_nested_too_deep_is_not_laid_out() {
    let condition = format!("{}true{}", "(".repeat(1000), ")".repeat(1000));
    let text = format!("permit (principal, action, resource) when {{ {condition} }};");
    let problems = verdict::format("a.cedar", &text).unwrap_err();
    assert!(problems[0].message.contains("brackets within each other"), "{problems:?}");
}
