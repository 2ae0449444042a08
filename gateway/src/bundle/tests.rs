use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use verdict::Policies;

use super::*;
use crate::regular::pipe;

/// A set that loads; `score` is what its guardrail refuses from.
fn write(root: &Path, score: u32) {
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let Bundle { source, .. } = Bundle::read(&starter, Source::default(), false, None).unwrap();
    for (path, text) in &source.files {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), text).unwrap();
    }
    let guard = format!(
        "@id(\"guard-score\")\n@refuse(\"blocked\")\nforbid (principal, action, resource) when {{ context.waf.score > {score} }};\n"
    );
    fs::write(root.join("guardrails/score.cedar"), guard).unwrap();
}

fn read(root: &Path) -> Result<Bundle, Vec<Problem>> {
    Bundle::read(root, Source::default(), false, None)
}

fn declared(revision: Option<&str>, author: Option<&str>) -> Declared {
    Declared { revision: revision.map(str::to_owned), author: author.map(str::to_owned) }
}

fn messages(read: Result<Bundle, Vec<Problem>>) -> String {
    let problems = read.err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_sealed_set_is_read_until_a_file_is_not_as_it_was_sealed() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    write(root, 1);
    fs::write(root.join(REVISION), "revision: r-1\nauthor: ann\n").unwrap();
    assert!(!read(root).unwrap().sealed);
    assert_eq!(read(root).unwrap().declared, declared(Some("r-1"), Some("ann")));
    let (_, said) = seal(root, declared(Some("r-2"), None)).unwrap();
    assert_eq!(said, declared(Some("r-2"), Some("ann")));
    let sealed = read(root).unwrap();
    assert!(sealed.sealed);
    assert_eq!(sealed.declared, said);
    assert!(!sealed.source.files.contains_key(MANIFEST), "labels are no part of the set");
    assert!(!sealed.source.files.contains_key(REVISION), "labels are no part of the set");

    let guard = root.join("guardrails/score.cedar");
    let text = fs::read_to_string(&guard).unwrap();
    // Half of a copy, each a set that would load and allow more.
    fs::remove_file(&guard).unwrap();
    assert!(messages(read(root)).contains("`guardrails/score.cedar` is missing"));
    fs::write(&guard, "").unwrap();
    assert!(messages(read(root)).contains("`guardrails/score.cedar` is another"));
    fs::write(&guard, &text).unwrap();
    fs::write(root.join("public/more.cedar"), "").unwrap();
    assert!(messages(read(root)).contains("more.cedar:1:1: `MANIFEST` does not list it"));
    fs::remove_file(root.join("public/more.cedar")).unwrap();
    assert!(read(root).unwrap().sealed, "as it was sealed");
    // Sealing again takes the directory as it is.
    fs::write(&guard, "").unwrap();
    seal(root, Declared::default()).unwrap();
    assert_eq!(read(root).unwrap().declared, declared(Some("r-1"), Some("ann")));
}

#[test]
fn a_manifest_can_be_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), 1);
    let required = || Bundle::read(directory.path(), Source::default(), true, None);
    assert!(messages(required()).contains("there is no `MANIFEST`"));
    seal(directory.path(), Declared::default()).unwrap();
    assert!(required().unwrap().sealed);
}

#[test]
fn sha256sum_agrees() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), 1);
    seal(directory.path(), declared(Some("r-1"), Some("ann"))).unwrap();
    let check = || {
        let mut command = std::process::Command::new("sha256sum");
        let command = command.args(["--check", "--strict", "--quiet", MANIFEST]);
        command.current_dir(directory.path()).status().unwrap().success()
    };
    assert!(check());
    fs::write(directory.path().join("guardrails/score.cedar"), "").unwrap();
    assert!(!check());
}

/// Each set is whole by itself, and half of one with half of another is not either of them.
#[test]
fn links_that_are_swapped_while_it_is_read_never_give_a_mix() {
    for sealed in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let releases = 40;
        for release in 0..releases {
            let at = root.join(format!("..{release}"));
            write(&at, release);
            fs::write(at.join("public/release.md"), release.to_string()).unwrap();
            if sealed {
                seal(&at, Declared::default()).unwrap();
            }
        }
        let swap = |release: u32| {
            let next = root.join("..next");
            symlink(format!("..{release}"), &next).unwrap();
            fs::rename(&next, root.join("..data")).unwrap();
        };
        swap(0);
        for entry in fs::read_dir(root.join("..0")).unwrap() {
            let name = entry.unwrap().file_name();
            symlink(Path::new("..data").join(&name), root.join(&name)).unwrap();
        }
        let over = AtomicBool::new(false);
        let seen = std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut seen = BTreeSet::new();
                loop {
                    let last = over.load(Ordering::Relaxed);
                    if let Ok(Bundle { source, .. }) = read(root) {
                        let release = &source.files["public/release.md"];
                        let guard = &source.files["guardrails/score.cedar"];
                        assert!(guard.contains(&format!("score > {release} ")), "{guard}");
                        seen.insert(release.clone());
                    }
                    if last {
                        break seen;
                    }
                }
            });
            for release in 1..releases {
                swap(release);
                std::thread::yield_now();
            }
            over.store(true, Ordering::Relaxed);
            reading.join().unwrap()
        });
        assert!(seen.contains(&(releases - 1).to_string()), "the last one is read: {seen:?}");
    }
}

#[test]
fn a_directory_that_is_not_there_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let gone = directory.path().join("gone");
    assert!(messages(read(&gone)).contains("gone: No such file"));
}

fn kept(directory: &Path, sets_max: usize) -> Kept {
    Kept { directory: directory.join("kept"), sets_max }
}

fn names(kept: &Kept) -> usize {
    let sets = fs::read_dir(&kept.directory).unwrap();
    sets.filter(|entry| kept::is_set(&entry.as_ref().unwrap().path())).count()
}

#[test]
fn kept_sets_are_found_by_their_digests_and_the_oldest_go() {
    let directory = tempfile::tempdir().unwrap();
    let (root, kept) = (directory.path().join("policies"), kept(directory.path(), 2));
    assert!(matches!(kept.last(), Err(KeptError::None(_))));
    let mut sets = Vec::new();
    for score in [1, 2, 3] {
        write(&root, score);
        seal(&root, declared(Some(&score.to_string()), None)).unwrap();
        let bundle = read(&root).unwrap();
        let policies = Policies::load(&bundle.source).unwrap();
        kept.keep(&bundle, policies.digests()).unwrap();
        let (last, loaded) = kept.last().unwrap();
        assert!(last.is_same(&bundle));
        assert_eq!(loaded.digests(), policies.digests());
        // so that the order does not hang on the clock's grain
        let path = kept.directory.join(format!("{}.json", policies.digests().set()));
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(score));
        File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
        sets.push((bundle, policies.digests().clone()));
    }
    let found = |nth: usize| find(&kept.directory, &sets[nth].1);
    assert!(matches!(found(0), Err(KeptError::None(_))), "beyond two");
    assert!(found(1).unwrap().0.is_same(&sets[1].0));
    // One that comes back is the last again, and stays.
    kept.keep(&sets[1].0, &sets[1].1).unwrap();
    kept.keep(&sets[0].0, &sets[0].1).unwrap();
    assert!(kept.last().unwrap().0.is_same(&sets[0].0));
    assert!(found(1).is_ok() && matches!(found(2), Err(KeptError::None(_))));
    assert_eq!(names(&kept), 2);
    // The one in force is kept even if none may be.
    let none = Kept { sets_max: 0, ..kept };
    none.keep(&sets[2].0, &sets[2].1).unwrap();
    assert_eq!((names(&none), none.last().unwrap().0.is_same(&sets[2].0)), (1, true));
}

#[test]
fn a_kept_set_that_was_changed_is_not_taken() {
    let directory = tempfile::tempdir().unwrap();
    let (root, kept) = (directory.path().join("policies"), kept(directory.path(), 4));
    write(&root, 5);
    let bundle = read(&root).unwrap();
    let digests = Policies::load(&bundle.source).unwrap().digests().clone();
    let path = kept.directory.join(format!("{}.json", digests.set()));
    let check = |change: &dyn Fn(String) -> String, want: &str| {
        kept.keep(&bundle, &digests).unwrap();
        assert!(kept.last().is_ok());
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
        for error in [kept.last().map(drop), find(&kept.directory, &digests).map(drop)] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    };
    check(&|text| text.replace("score > 5", "score > 6"), "not the set that was kept");
    check(&|text| text.replace("\"format\":1", "\"format\":2"), "its format is 2");
    check(&|text| text.split_at(text.len() / 2).0.to_owned(), "not a kept set");
    check(&|text| text.replace("forbid (", "forbit ("), "not a kept set");
    // A whole set under another's name.
    kept.keep(&bundle, &digests).unwrap();
    let other = kept.directory.join(format!("{}.json", "0".repeat(64)));
    fs::rename(&path, &other).unwrap();
    fs::write(kept.directory.join("last"), format!("{}\n", "0".repeat(64))).unwrap();
    assert!(kept.last().unwrap_err().to_string().contains("not the set that was kept"));
    fs::write(kept.directory.join("last"), "../policies\n").unwrap();
    assert!(kept.last().unwrap_err().to_string().contains("it names no set"));
}

/// Whoever opens a pipe waits for its other end, and a device has no end.
#[test]
fn what_lies_in_place_of_a_kept_set_is_not_read_and_goes() {
    let directory = tempfile::tempdir().unwrap();
    let (root, kept) = (directory.path().join("policies"), kept(directory.path(), 2));
    write(&root, 1);
    let bundle = read(&root).unwrap();
    let digests = Policies::load(&bundle.source).unwrap().digests().clone();
    let set = format!("{}.json", digests.set());
    let puts: [&dyn Fn(&Path); 2] = [&pipe, &|path: &Path| symlink("/dev/zero", path).unwrap()];
    for put in puts {
        for name in [set.as_str(), "last", &format!(".{set}.new"), ".last.new"] {
            kept.keep(&bundle, &digests).unwrap();
            let path = kept.directory.join(name);
            let _ = fs::remove_file(&path);
            put(&path);
            if !name.starts_with('.') {
                let KeptError::Io { source, .. } = kept.last().unwrap_err() else { panic!() };
                assert_eq!(source.to_string(), "not a regular file");
            }
            assert_eq!(kept.has(&digests), name != set);
            if name == set {
                assert!(matches!(find(&kept.directory, &digests), Err(KeptError::Io { .. })));
            } else {
                // so that it is written anew
                fs::remove_file(kept.directory.join(&set)).unwrap();
            }
            kept.keep(&bundle, &digests).unwrap();
            assert!(kept.last().unwrap().0.is_same(&bundle), "{name}");
        }
    }
}

#[test]
fn what_is_called_as_a_set_and_is_none_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (root, kept) = (directory.path().join("policies"), kept(directory.path(), 1));
    fs::create_dir_all(&kept.directory).unwrap();
    let there = ["0", "1"].map(|name| kept.directory.join(format!("{}.json", name.repeat(64))));
    fs::create_dir(&there[0]).unwrap();
    pipe(&there[1]);
    for score in [1, 2, 3] {
        write(&root, score);
        let bundle = read(&root).unwrap();
        let digests = Policies::load(&bundle.source).unwrap().digests().clone();
        kept.keep(&bundle, &digests).unwrap();
        assert!(kept.last().unwrap().0.is_same(&bundle));
        assert_eq!(names(&kept), 3, "what is none, and the one in force");
    }
    assert!(there.iter().all(|path| path.exists()));
}

#[test]
fn a_kept_set_is_sealed_if_its_manifest_matches() {
    let directory = tempfile::tempdir().unwrap();
    let (root, kept) = (directory.path().join("policies"), kept(directory.path(), 2));
    write(&root, 1);
    fs::write(root.join(REVISION), "revision: r-1\n").unwrap();
    let check = |change: &dyn Fn(String) -> String, want: Result<bool, &str>| {
        let bundle = read(&root).unwrap();
        let digests = Policies::load(&bundle.source).unwrap().digests().clone();
        kept.keep(&bundle, &digests).unwrap();
        let path = kept.directory.join(format!("{}.json", digests.set()));
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
        match (kept.last(), want) {
            (Ok((bundle, _)), Ok(sealed)) => {
                assert_eq!(bundle.sealed, sealed);
                assert_eq!(bundle.declared, declared(Some("r-1"), None));
            }
            (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{error}"),
            (loaded, want) => panic!("{:?} instead of {want:?}", loaded.map(|(b, _)| b.sealed)),
        }
    };
    // Words that older versions believed.
    let by_hand = |text: String| text.replacen('{', "{\"sealed\":true,", 1);
    check(&|text| text, Ok(false));
    check(&by_hand, Ok(false));
    let without_labels = |text: String| {
        let mut set: serde_json::Value = serde_json::from_str(&by_hand(text)).unwrap();
        set.as_object_mut().unwrap().remove("labels");
        set.to_string()
    };
    check(&without_labels, Ok(false));
    let empty = |text: String| text.replacen("\"REVISION\"", "\"MANIFEST\":\"\",\"REVISION\"", 1);
    check(&empty, Err("not a whole manifest"));
    seal(&root, Declared::default()).unwrap();
    check(&|text| text, Ok(true));
    check(&|text| text.replace("  guardrails/", "  guardrail/"), Err("is missing"));
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("policies");
    write(&root, 1);
    let bundle = read(&root).unwrap();
    let digests = Policies::load(&bundle.source).unwrap().digests().clone();
    let in_the_way = Kept { directory: root.join("schema.cedarschema"), sets_max: 2 };
    in_the_way.keep(&bundle, &digests).unwrap_err();
    assert!(in_the_way.last().is_err());
}

#[test]
fn what_is_kept_is_the_owners_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (root, kept) = (directory.path().join("policies"), kept(directory.path(), 2));
    write(&root, 1);
    let bundle = read(&root).unwrap();
    let digests = Policies::load(&bundle.source).unwrap().digests().clone();
    kept.keep(&bundle, &digests).unwrap();
    let mode = fs::metadata(&kept.directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// The set before may allow more than the one that could not be kept.
#[test]
fn no_start_begins_with_the_set_before_one_that_could_not_be_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (root, kept) = (directory.path().join("policies"), kept(directory.path(), 2));
    let keep = |score: u32, in_the_way: bool| {
        write(&root, score);
        let bundle = read(&root).unwrap();
        let digests = Policies::load(&bundle.source).unwrap().digests().clone();
        let beside = kept.directory.join(format!(".{}.json.new", digests.set()));
        if in_the_way {
            fs::create_dir(&beside).unwrap();
        }
        kept.keep(&bundle, &digests).is_ok()
    };
    assert!(keep(1, false));
    assert!(kept.last().is_ok());
    assert!(!keep(2, true));
    assert!(matches!(kept.last(), Err(KeptError::None(_))));
    assert!(keep(1, false));
    assert!(kept.last().is_ok());
}
