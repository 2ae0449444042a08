use std::os::unix::fs::symlink;

use super::*;
use crate::regular::pipe;

fn problems(of: Result<Ruleset, Vec<Problem>>) -> String {
    let problems = of.err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_no_regular_file_is_no_rule_file() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    pipe(&at("pipe.conf"));
    symlink("/dev/zero", at("zero.conf")).unwrap();
    // It says that it is a regular file without a byte.
    symlink("/proc/self/status", at("made-up.conf")).unwrap();
    for name in ["pipe.conf", "zero.conf", "made-up.conf"] {
        let told = given(&[at(name)]).unwrap_err();
        let told = told.first().unwrap().to_string();
        let want = if name == "made-up.conf" { "it grew" } else { "not a regular file" };
        assert!(told.contains(&format!("{name}:1:1: cannot be read: {want}")), "{told}");
        let include = RuleFile {
            name: at("a.conf").display().to_string(),
            text: format!("Include {name}\nSecRule ARGS \"@pmFromFile {name}\" \"id:2,pass\"\n")
                .into_bytes(),
        };
        let told = problems(Ruleset::compile(vec![include]));
        assert_eq!(told.matches(want).count(), 2, "{told}");
    }
}

#[test]
fn all_files_of_a_set_have_room_together() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let comment = |bytes: u64| {
        let line = "#".repeat(1023) + "\n";
        line.repeat(usize::try_from(bytes / 1024).unwrap())
    };
    fs::write(at("all.conf"), comment(FILE_BYTES_MAX)).unwrap();
    fs::write(at("one.conf"), comment(1024)).unwrap();
    let threshold =
        "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=5\"\n";
    let check = |includes: &str, want: &str| {
        let includes = includes.split_whitespace().map(|name| format!("Include {name}\n"));
        let text = threshold.to_owned() + &includes.collect::<String>();
        let room = usize::try_from(SET_BYTES_MAX - FILE_BYTES_MAX).unwrap();
        let text = text.clone() + &"#".repeat(room - text.len());
        let name = at("a.conf").display().to_string();
        let told = problems(Ruleset::compile(vec![RuleFile { name, text: text.into() }]));
        assert_eq!(told.is_empty(), want.is_empty(), "{told}");
        assert!(told.contains(want), "{told}");
    };
    check("all.conf", "");
    check("all.conf one.conf", "more than 16777216 bytes in all files of one set");
    check("one.conf all.conf", "more than 16777216 bytes in all files of one set");
    assert!(Room { files: 1, bytes: 0 }.take(0).is_ok());
    let told = Room { files: 0, bytes: 0 }.take(0).unwrap_err();
    assert_eq!(told, "more than 4096 files for one set");
}
