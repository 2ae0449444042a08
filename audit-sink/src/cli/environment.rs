//! Flags from the environment: what is set there and not on the command line is put there.

use std::ffi::{OsStr, OsString};

/// Variables are named after their flag: `--topic-prefix` is `AUDIT_SINK_TOPIC_PREFIX`.
const PREFIX: &str = "AUDIT_SINK_";

/// Flags that are given once.
const RUN: [&str; 5] = ["brokers", "topic-prefix", "root", "evidence", "log-format"];
const WITH_ROOT: [&str; 2] = ["evidence", "root"];
const OTHERS: [&str; 1] = ["evidence"];

/// Flags that are given several times: their values are separated by white space.
const REPEATED: [&str; 1] = ["property"];

/// The command line with what `variable` knows.
pub(super) fn add(
    arguments: Vec<OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Vec<OsString> {
    let (flags, repeated): (&[&str], &[&str]) =
        match arguments.get(1).and_then(|verb| verb.to_str()) {
            Some("run") => (&RUN, &REPEATED),
            Some("verify" | "show") => (&WITH_ROOT, &[]),
            Some("search" | "checkpoint") => (&OTHERS, &[]),
            _ => return arguments,
        };
    let missing = |flag: &&&str| !arguments.iter().any(|argument| is_flag(argument, flag));
    let value =
        |flag: &&str| variable(&format!("{PREFIX}{}", flag.replace('-', "_").to_uppercase()));
    let mut added = Vec::new();
    for flag in flags.iter().filter(missing) {
        added.extend(value(flag).map(|value| argument(flag, &value)));
    }
    for flag in repeated.iter().filter(missing) {
        let values = value(flag).and_then(|values| values.into_string().ok()).unwrap_or_default();
        added.extend(values.split_whitespace().map(|value| argument(flag, OsStr::new(value))));
    }
    let mut arguments = arguments.into_iter();
    let verb: Vec<_> = arguments.by_ref().take(2).collect();
    verb.into_iter().chain(added).chain(arguments).collect()
}

fn is_flag(argument: &OsStr, flag: &str) -> bool {
    let argument = argument.to_string_lossy();
    let rest = argument.strip_prefix("--").and_then(|argument| argument.strip_prefix(flag));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

fn argument(flag: &str, value: &OsStr) -> OsString {
    let mut argument = OsString::from(format!("--{flag}="));
    argument.push(value);
    argument
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &str, want: &str) {
        let variables = [
            ("AUDIT_SINK_BROKERS", "a:1,b:2"),
            ("AUDIT_SINK_TOPIC_PREFIX", "trail"),
            ("AUDIT_SINK_EVIDENCE", "/evidence"),
            ("AUDIT_SINK_ROOT", "/root.vkey"),
            ("AUDIT_SINK_PROPERTY", " a=1  b=2"),
            ("AUDIT_SINK_ID", "x"),
        ];
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let arguments = arguments.split(' ').map(OsString::from).collect();
        let want: Vec<_> = want.split(' ').map(OsString::from).collect();
        assert_eq!(add(arguments, variable), want);
    }

    #[test]
    fn what_the_command_line_does_not_say_is_added() {
        check(
            "sink run --evidence /other",
            "sink run --brokers=a:1,b:2 --topic-prefix=trail --root=/root.vkey --property=a=1 --property=b=2 --evidence /other",
        );
        check(
            "sink run --root=x --brokers y --topic-prefix z --property c=3",
            "sink run --evidence=/evidence --root=x --brokers y --topic-prefix z --property c=3",
        );
        check(
            "sink show --rooted x",
            "sink show --evidence=/evidence --root=/root.vkey --rooted x",
        );
        check("sink search --id y", "sink search --evidence=/evidence --id y");
        check("sink", "sink");
        check("sink --help", "sink --help");
    }
}
