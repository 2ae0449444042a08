//! Solvers that are late, that end, that say what is no answer: told, killed, never waited for.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use prover::{Relation, Solver, diff};

use crate::support::{BUY, SEE, means, shop};

/// A program of `sh` in place of the solver. It leaves its process id in the file `pid`.
fn fake(directory: &Path, body: &str) -> Solver {
    let program = directory.join("solver");
    let pid = directory.join("pid");
    fs::write(&program, format!("#!/bin/sh\necho $$ >> {}\n{body}\n", pid.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    Solver { program, query: Duration::from_millis(50) }
}

/// Whether the process runs; a dead one that nobody has asked after is none.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

#[test]
fn a_solver_that_fails_leaves_the_environment_undecided() {
    let (old, new) =
        (format!("{SEE}; {BUY};"), format!("{SEE}; {BUY} when {{ context.conn.tls }};"));
    let (old, new) = (shop(&old, "", ""), shop(&new, "", ""));
    let check = |body: &str, want: &str| {
        let directory = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let found = diff(&old, &new, &means(Some(fake(directory.path(), body)))).unwrap();
        assert!(start.elapsed() < Duration::from_secs(30), "{body}");
        assert_eq!(found.count(Relation::Undecided), 1, "{body}: {found:#?}");
        assert_eq!(found.count(Relation::Equivalent), 3, "{body}");
        assert!(!found.proved());
        let undecided = found.environments.iter().find(|compared| !compared.proved).unwrap();
        assert_eq!(undecided.why.len(), 2, "{body}: {:?}", undecided.why);
        let told = undecided.why.iter().all(|why| why.contains(want));
        assert!(told, "{body}: {:?}", undecided.why);
        let pids = fs::read_to_string(directory.path().join("pid")).unwrap();
        pids.lines().for_each(|pid| assert!(!runs(pid), "{body}: {pid} is left"));
    };
    check("exec sleep 600", "no answer within 50ms");
    check("exit 3", "the solver ");
    check("cat > /dev/null", "no answer within 50ms");
    check("read line; echo perhaps; exec cat > /dev/null", "no answer: `perhaps`");
    check("read line; echo '(error \"no logic\")'; exec cat > /dev/null", "failed: no logic");
    let unknown = "while read line; do case $line in '(check-sat)') echo unknown;; esac; done";
    check(unknown, "no answer within 50ms");
    check("read line; echo sat; echo '(model'; exec cat > /dev/null", "no answer: `(model`");
    check("read line; echo sat; echo '('; echo ')'; exec cat > /dev/null", "the solver");
    check("exec cat /dev/zero", "no end");
    check("echo sat; echo '('; exec yes '(define-fun x () Int 1)'", "no end");
}

/// What it takes for its word is held against the authorizer.
#[test]
fn a_solver_that_lies_about_a_difference_is_not_believed() {
    let old = shop(&format!("{SEE};"), "", "");
    let new = shop(&format!("{SEE} when {{ context.conn.tls || !context.conn.tls }};"), "", "");
    let directory = tempfile::tempdir().unwrap();
    let lie = "while read line; do case \"$line\" in '(check-sat)') echo sat;; '(get-model)') echo '('; echo ')';; esac; done";
    let found = diff(&old, &new, &means(Some(fake(directory.path(), lie)))).unwrap();
    assert_eq!(found.count(Relation::Wider) + found.count(Relation::Narrower), 0, "{found:#?}");
}

#[test]
fn there_is_a_time_for_everything() {
    let (old, new) = (shop(&format!("{SEE};"), "", ""), shop("", "", ""));
    let directory = tempfile::tempdir().unwrap();
    let mut means = means(Some(fake(directory.path(), "exec sleep 600")));
    means.deadline = Duration::ZERO;
    let found = diff(&old, &new, &means).unwrap();
    assert_eq!(found.count(Relation::Undecided), 2, "{found:#?}");
    let why = |compared: &prover::Compared| compared.why.join("\n");
    let told = found.environments.iter().filter(|c| why(c).contains("is used up")).count();
    assert_eq!(told, 2);
}

#[test]
fn a_solver_that_cannot_be_started_is_told() {
    let (old, new) = (shop(&format!("{SEE};"), "", ""), shop("", "", ""));
    let solver = Solver { program: "/no/such/solver".into(), query: Duration::from_secs(1) };
    let found = diff(&old, &new, &means(Some(solver))).unwrap();
    let first = &found.environments.iter().find(|compared| !compared.proved).unwrap().why;
    assert!(first.iter().all(|why| why.contains("cannot start `/no/such/solver`")), "{first:?}");
}
