//! What a decision costs: `cargo xtask bench verdict` runs this and shows its last line.
//!
//! Times are CPU time of the thread, as the kernel counts it, so that other work on the machine
//! moves them less; medians are over batches of different questions. Beside each set Cedar's own
//! authorizer goes through all its policies, in the same run. Memory is the process's, with the
//! allocator that the gateway has. Deliberately no test: what a bar is, is for the reader.
//!
//! `p50_*` and `stage_1k` are the whole of `Policies::decide`, inputs and decision: of principals
//! who ask again, and of principals who were never seen. `index_10k_ms` is the set made anew when
//! nothing changed, so more than the index. `reload_ms` is one changed file among 9,900 to effect, and
//! measured by the gateway's example of that name, whose path is the one argument.
//! `explain_us` is what each of a policy's 13 conditions comes to, with the values that it read.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench stops at a mistake, reads what the kernel says, and prints"
)]

mod scan;
mod workload;

use std::collections::BTreeMap;
use std::hint::black_box;

use verdict::{Policies, Source};
use workload::Asked;

/// The allocator of the gateway.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Questions in one measurement.
const BATCH: usize = 50;
/// Measurements of one figure.
const BATCHES: usize = 60;

/// As the last line has them, with their decimals.
const FIGURES: [(&str, usize); 10] = [
    ("p50_1k", 1),
    ("p50_10k", 1),
    ("p50_100k", 1),
    ("stage_1k", 1),
    ("index_10k_ms", 1),
    ("reload_ms", 1),
    ("kb_policy", 1),
    ("replay_s", 0),
    ("scan_ratio_10k", 0),
    ("explain_us", 1),
];

fn main() {
    println!("with the starter policies a repeated question takes {:.1} µs", starter());
    let mut found = BTreeMap::new();
    let small = workload::source(1_000);
    let set = load(&small);
    found.insert("p50_1k", decide(&set, &recurring(1_000)));
    let new = workload::questions(1_000, BATCH * BATCHES, usize::MAX);
    found.insert("stage_1k", decide(&set, &new));
    found.insert("replay_s", replay(&set, &new));
    found.insert("explain_us", explain());
    println!("1,000 policies: {found:.1?}");

    let middle = workload::source(10_000);
    let set = load(&middle);
    let p50 = decide(&set, &recurring(10_000));
    found.insert("p50_10k", p50);
    let scan = scan::p50(&middle, &workload::questions(10_000, 40, 40));
    found.insert("scan_ratio_10k", scan / p50);
    found.insert("index_10k_ms", index(&set, &middle));
    found.insert("reload_ms", reload());
    found.insert("kb_policy", memory(10_000));
    println!("10,000 policies: {found:.1?}");

    let set = load(&workload::source(100_000));
    found.insert("p50_100k", decide(&set, &recurring(100_000)));
    let figures = FIGURES.map(|(name, digits)| format!("{name}={:.digits$}", found[name]));
    println!("bench verdict: {}", figures.join(" "));
}

/// Questions to a set of that many policies, by principals who ask again and again.
fn recurring(policies: usize) -> Vec<Asked> {
    workload::questions(policies, BATCH * BATCHES, 500)
}

fn load(source: &Source) -> Policies {
    Policies::load(source).unwrap_or_else(|problems| panic!("{}", problems[0]))
}

/// CPU time of this thread, nanoseconds. Another look at the queue brings the count up to date.
fn cpu_ns() -> u64 {
    std::thread::yield_now();
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    counts.split(' ').next().unwrap().parse().unwrap()
}

/// CPU time of `work`, microseconds.
fn measure(work: impl FnOnce()) -> f64 {
    let begin = cpu_ns();
    let nothing = cpu_ns() - begin;
    let begin = cpu_ns();
    work();
    (cpu_ns() - begin).saturating_sub(nothing) as f64 / 1_000.0
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Of one decision, µs: inputs and decision, as a request has it.
fn decide(set: &Policies, questions: &[Asked]) -> f64 {
    let batch = |batch: &[Asked]| {
        let each =
            || batch.iter().for_each(|asked| drop(black_box(set.decide(&asked.question(), ()))));
        measure(each) / batch.len() as f64
    };
    median(questions.chunks(BATCH).map(batch).collect())
}

/// Recorded decisions asked again, in a second.
fn replay(set: &Policies, questions: &[Asked]) -> f64 {
    let recorded: Vec<_> = questions
        .iter()
        .map(|asked| {
            let facts = serde_json::to_value(&asked.facts).unwrap();
            (serde_json::to_value(asked.question()).unwrap(), facts)
        })
        .collect();
    let batch = |batch: &[(serde_json::Value, serde_json::Value)]| {
        let each = || {
            batch.iter().for_each(|(question, facts)| {
                black_box(set.ask_again(question, facts).unwrap());
            });
        };
        measure(each) / batch.len() as f64
    };
    1_000_000.0 / median(recorded.chunks(BATCH).map(batch).collect())
}

/// A set of which nothing changed, made again, ms: the index, and what little else there is.
fn index(set: &Policies, source: &Source) -> f64 {
    median((0..5).map(|_| measure(|| drop(set.reload(source).unwrap())) / 1_000.0).collect())
}

/// One changed file, from the disk to a set that decides by it and is kept, ms.
fn reload() -> f64 {
    let program = std::env::args().nth(1).unwrap();
    let output = std::process::Command::new(program).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    print!("{said}");
    said.lines().find_map(|line| line.strip_prefix("reload_ms=")).unwrap().parse().unwrap()
}

/// Of one policy, KB: what a second set of this size adds to a process that has made one before.
fn memory(size: usize) -> f64 {
    let first = load(&workload::source(size));
    let second = workload::source(size);
    let before = resident_kb();
    let second = { load(&{ second }) };
    let after = resident_kb();
    drop((first, second));
    (after - before) / size as f64
}

fn resident_kb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Of one policy with 13 conditions, µs: what each comes to, and the values that it read. The
/// question is put before, and the policy was explained before.
fn explain() -> f64 {
    let set = load(&workload::thirteen());
    let (question, facts) = workload::explained();
    let inquiry = set.inquire(&question, &facts).unwrap();
    let explained = inquiry.policy("thirteen").unwrap();
    let conditions = explained.parts.iter().filter(|part| part.clause != "scope");
    assert_eq!(conditions.filter(|part| !part.reads.is_empty()).count(), 13);
    let batch = || {
        let each = || (0..BATCH).for_each(|_| drop(black_box(inquiry.policy("thirteen"))));
        measure(each) / BATCH as f64
    };
    median((0..BATCHES).map(|_| batch()).collect())
}

/// A decision with the policies that the repository ships with, µs: a repeated question.
fn starter() -> f64 {
    let set = load(&workload::starter());
    decide(&set, &workload::starter_questions(BATCH * BATCHES))
}
