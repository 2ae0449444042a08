//! The units and the images: their commands, environment, build targets and binaries exist.

use std::{fs, path::Path, process::Command};

use fixtures::harness::{binary, repository};

use super::{commands::Shown, text_of};

/// What a unit or an image runs.
fn commands(text: &str) -> Vec<String> {
    let exec = |line: &str| {
        let command = line.strip_prefix("ExecStart")?.split_once('=')?.1;
        Some(command.to_owned())
    };
    let mut commands: Vec<String> = text.lines().filter_map(exec).collect();
    let mut entry: Option<String> = None;
    for line in text.lines() {
        let words = |list: &str| {
            let words: Vec<String> = serde_json::from_str(list).expect("a list of words");
            words.join(" ")
        };
        if let Some(list) = line.strip_prefix("ENTRYPOINT ") {
            entry = Some(words(list));
        } else if let (Some(list), Some(entry)) = (line.strip_prefix("CMD "), entry.take()) {
            commands.push(format!("{entry} {}", words(list)));
        }
    }
    commands
}

/// Variables of ours that are named, and that no verb which runs takes: those of the sink are its
/// flags, and each binary has one for its log.
fn unknown_variables(text: &str) -> Vec<String> {
    let mut command = Command::new(binary("audit-sink").expect("a binary"));
    let output = command.args(["run", "--help"]).output().expect("run");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_word = |c: char| c.is_ascii_uppercase() || c == '_';
    let words = text.split(|c: char| !is_word(c));
    let is_known = |word: &str| match word.strip_prefix("AUDIT_SINK_") {
        Some("LOG") => true,
        Some(flag) => help.contains(&format!("--{} ", flag.to_lowercase().replace('_', "-"))),
        None => word == "PORTCULLIS_LOG",
    };
    let ours =
        words.filter(|word| word.starts_with("AUDIT_SINK_") || word.starts_with("PORTCULLIS_"));
    ours.filter(|word| !is_known(word)).map(str::to_owned).collect()
}

/// Targets, and binaries of the build, that are named and not there.
fn unbuilt(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let after = |word: &'static str| {
        words.windows(2).filter(move |pair| pair.first() == Some(&word)).filter_map(|it| it.get(1))
    };
    let stages: Vec<&&str> = after("AS").collect();
    let lost = after("--target").filter(|name| !stages.contains(name));
    let mut lost: Vec<String> = lost.map(|name| (*name).to_owned()).collect();
    let root = repository().expect("the repository");
    for package in after("--package") {
        let place = |dir: &str| fs::exists(root.join(dir).join(package).join("Cargo.toml"));
        if ![place(""), place("crates")].into_iter().any(|there| there.unwrap_or(false)) {
            lost.push((*package).to_owned());
        }
    }
    let binaries = words.iter().filter_map(|word| word.strip_prefix("/src/target/release/"));
    lost.extend(binaries.filter(|name| binary(name).is_err()).map(str::to_owned));
    lost
}

/// Volumes that are not made for whom the image runs as, before they are one: Docker gives a new
/// volume the owner of the image's directory, and where there is none, root.
fn of_others(text: &str) -> Vec<String> {
    let mut others = Vec::new();
    for stage in text.split("\nFROM ") {
        let after = |word: &str| stage.lines().find_map(|line| line.strip_prefix(word));
        let Some(volume) = after("VOLUME ") else { continue };
        let (user, group) =
            after("USER ").and_then(|user| user.split_once(':')).unwrap_or(("", ""));
        let makes = format!("RUN install -d -o {user} -g {group} -m 0700 {volume}");
        let line = |wanted: &str| stage.lines().position(|line| line == wanted);
        match (line(&makes), line(&format!("VOLUME {volume}"))) {
            (Some(made), Some(volume)) if made < volume => {}
            _ => others.push(volume.to_owned()),
        }
    }
    others
}

#[track_caller]
fn check(name: &str, ran: usize) {
    let text = text_of(&Path::new("packaging").join(name));
    let commands = commands(&text);
    assert_eq!(commands.len(), ran, "{commands:?}");
    for command in commands {
        let shown = Shown::read(&command).unwrap_or_else(|| panic!("{name}: `{command}`"));
        assert_eq!(shown.problem(), None, "{name}");
    }
    assert_eq!(unknown_variables(&text), Vec::<String>::new(), "{name}");
    assert_eq!(unbuilt(&text), Vec::<String>::new(), "{name}");
}

#[test]
fn units_and_images_run_what_exists() {
    check("portcullis.service", 2);
    check("audit-sink.service", 1);
    check("Containerfile", 2);
    let files = fs::read_dir(repository().expect("the repository").join("packaging"));
    assert_eq!(files.expect("packaging").count(), 3, "a file that is not looked at");
}

#[test]
fn volumes_belong_to_whom_the_images_run_as() {
    let text = text_of(Path::new("packaging/Containerfile"));
    assert_eq!(text.matches("\nVOLUME ").count(), 2, "a volume of each image");
    assert_eq!(of_others(&text), Vec::<String>::new());
    let image = |lines: &[&str]| format!("FROM a AS a\nFROM b AS b\n{}\n", lines.join("\n"));
    let (makes, volume, user) = ("RUN install -d -o 1 -g 2 -m 0700 /v", "VOLUME /v", "USER 1:2");
    let check = |lines: &[&str], want: &[&str]| assert_eq!(of_others(&image(lines)), want);
    check(&[makes, volume, user], &[]);
    check(&[volume, makes, user], &["/v"]);
    check(&[volume, user], &["/v"]);
    check(&[makes, volume, "USER 1:1"], &["/v"]);
    check(&[makes, volume], &["/v"]);
    check(&["RUN install -d -o 1 -g 2 -m 0700 /w", volume, user], &["/v"]);
}

#[test]
fn an_image_is_built_without_history_and_builds() {
    let ignored = text_of(Path::new(".dockerignore"));
    for name in [".git", "target"] {
        assert!(ignored.lines().any(|line| line == name), "{name}");
    }
    let ours = text_of(Path::new(".gitignore"));
    for line in ours.lines() {
        let name = line.trim_start_matches('/');
        assert!(ignored.lines().any(|line| line == name), "{name}");
    }
}

#[test]
fn what_does_not_exist_is_found() {
    assert_eq!(commands("ENTRYPOINT [\"/usr/bin/x\"]\nCMD [\"run\"]"), ["/usr/bin/x run"]);
    assert_eq!(commands("ExecStartPre=a b\nExecReload=c"), ["a b"]);
    assert_eq!(unknown_variables("AUDIT_SINK_BROKERS=x"), Vec::<String>::new());
    assert_eq!(unknown_variables("ENV AUDIT_SINK_BROKRES=x"), ["AUDIT_SINK_BROKRES"]);
    assert_eq!(unbuilt("FROM a AS b\n--target b --package gateway"), Vec::<String>::new());
    assert_eq!(unbuilt("FROM a AS b\n--target c --package gatway"), ["c", "gatway"]);
    assert_eq!(unbuilt("COPY --from=b /src/target/release/portcullisd x"), ["portcullisd"]);
}
