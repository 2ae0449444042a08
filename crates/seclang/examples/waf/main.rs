//! What a request costs in the rule engine, beside libmodsecurity and Coraza with the same rules:
//! `cargo xtask bench waf` gets them and runs this.
//!
//! Times are CPU time: of this thread as the kernel counts it, of the peers' whole processes, so
//! that other work on the machine moves them less. The engines take turns, a batch each, round by
//! round, at paranoia level 1 with request bodies and without answers; figures are medians, ratios
//! are of the same run. Before that each must find an attack and block none of what is measured.
//! Deliberately no test: what a bar is, is for the reader.
//!
//! `mem_mb` is what each of four more sets adds to a process that has one; `worst_ms` the slowest
//! of the hostile requests of 100 KB at paranoia level 4.

#![expect(clippy::disallowed_methods, reason = "a bench reads files, and what the kernel says")]

#[path = "../benign/files.rs"]
mod files;
mod hostile;
mod ours;
mod peer;
mod process;
#[path = "../injection/random.rs"]
mod random;
mod requests;

use std::{
    collections::BTreeMap,
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use ours::{Asked, Ours};
use peer::Peer;
use process::{measure, median, resident_mb};
use requests::Request;
use seclang::Health;

/// The allocator of the gateway.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often each engine has its turn.
const ROUNDS: usize = 9;
/// How long a turn is, µs of CPU, if one request is not longer.
const TURN_US: f64 = 60_000.0;
/// Rules that say that a request would be blocked.
const BLOCKING: [u64; 2] = [949_110, 949_111];
/// Twice the bytes may be so many times the work.
const GROWTH_MAX: f64 = 2.2;
const KB: usize = 1024;

fn main() -> ExitCode {
    match all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("waf: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn all() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [crs, work, coraza, python, modsecurity] = arguments.as_slice() else {
        anyhow::bail!("usage: waf CRS WORK CORAZA PYTHON MODSECURITY");
    };
    let (usual, strict) = (rules(crs, work, 1)?, rules(crs, work, 4)?);
    let ours = Ours::load(&usual)?;
    let mut peers = [
        Peer::start(Command::new(python).arg(modsecurity).arg(&usual)).context("libmodsecurity")?,
        Peer::start(Command::new(coraza).arg(&usual)).context("Coraza")?,
    ];
    verify(&ours, &mut peers)?;
    let allocations = allocations(&usual)?;
    let mut figures = compare(&ours, &mut peers, &allocations)?;
    for (name, peer) in ["libmodsecurity", "Coraza"].iter().zip(&peers) {
        println!("{name}: load {} ms, resident {:.0} MB", peer.load_ms, peer.resident_mb()?);
    }
    drop(peers);
    memory(&usual, &mut figures)?;
    drop(ours);
    let (slowest, steep) = worst(&Ours::load(&strict)?)?;
    figures.insert("worst_ms".to_owned(), slowest);
    let figure = |name: &&str| {
        let digits = usize::from(!name.ends_with("ms"));
        let value = figures.get(*name).copied().unwrap_or(f64::NAN);
        format!("{name}={value:.digits$}")
    };
    println!("bench waf: {}", FIGURES.iter().map(figure).collect::<Vec<_>>().join(" "));
    ensure!(
        steep.is_empty(),
        "twice the bytes are more than {GROWTH_MAX} times the work: {steep:?}"
    );
    Ok(())
}

/// As the last line has them.
const FIGURES: [&str; 9] = [
    "get10_us",
    "get10_vs_modsec",
    "get10_vs_coraza",
    "json_vs_modsec",
    "form_vs_modsec",
    "prose_vs_modsec",
    "load_ms",
    "mem_mb",
    "worst_ms",
];

/// A file that includes the CRS at a paranoia level. The rules are a copy in which directives are
/// apart by an empty line: libmodsecurity does not read the release's, which has none.
fn rules(crs: &Path, work: &Path, level: u8) -> Result<PathBuf> {
    let copy = work.join("rules");
    fs::create_dir_all(&copy)?;
    for entry in fs::read_dir(crs.join("rules"))? {
        let path = entry?.path();
        let to = copy.join(path.file_name().context("a file without a name")?);
        let bytes = fs::read(&path)?;
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) if path.extension().is_some_and(|it| it == "conf") => {
                text.replace("\nSec", "\n\nSec").into_bytes()
            }
            _ => bytes,
        };
        fs::write(to, text)?;
    }
    fs::copy(crs.join("crs-setup.conf.example"), work.join("crs-setup.conf"))?;
    let all = work.join(format!("level{level}.conf"));
    let text = include_str!("setup.conf").replace("LEVEL", &level.to_string());
    fs::write(&all, text.replace("DIR", &fs::canonicalize(work)?.display().to_string()))?;
    Ok(all)
}

/// Every engine finds the attack, and blocks nothing else.
fn verify(ours: &Ours, peers: &mut [Peer; 2]) -> Result<()> {
    let mut all = requests::benign();
    all.push(requests::attack());
    for request in &all {
        let mut found = vec![ours.look(request).ids];
        for peer in &mut *peers {
            found.push(peer.run(request, 1)?.1);
        }
        let is_attack = request.name == "attack";
        for (engine, ids) in ["this engine", "libmodsecurity", "Coraza"].iter().zip(found) {
            let blocked = ids.iter().any(|id| BLOCKING.contains(id));
            ensure!(blocked == is_attack, "{engine}: `{}` matches {ids:?}", request.name);
            ensure!(!is_attack || ids.contains(&942_100), "{engine}: no SQL found, but {ids:?}");
        }
    }
    Ok(())
}

/// The table, and of it the figures.
fn compare(
    ours: &Ours,
    peers: &mut [Peer; 2],
    allocations: &BTreeMap<String, u64>,
) -> Result<BTreeMap<String, f64>> {
    let mut figures = BTreeMap::new();
    let line = |cells: [String; 7]| {
        let [name, rest @ ..] = cells;
        println!("{name:<8} {}", rest.map(|cell| format!("{cell:>14}")).join(" "));
    };
    let head = ["request", "µs", "allocations", "modsec µs", "ratio", "coraza µs", "ratio"];
    line(head.map(str::to_owned));
    for request in &requests::benign() {
        let [us, modsec, coraza] = take_turns(ours, peers, request)?;
        let name = request.name;
        figures.insert(format!("{name}_us"), us);
        figures.insert(format!("{name}_vs_modsec"), modsec / us);
        figures.insert(format!("{name}_vs_coraza"), coraza / us);
        line([
            name.to_owned(),
            format!("{us:.1}"),
            allocations.get(name).map_or("-".to_owned(), u64::to_string),
            format!("{modsec:.0}"),
            format!("{:.1}", modsec / us),
            format!("{coraza:.0}"),
            format!("{:.1}", coraza / us),
        ]);
    }
    Ok(figures)
}

/// CPU time of a request in each engine, µs.
fn take_turns(ours: &Ours, peers: &mut [Peer; 2], request: &Request) -> Result<[f64; 3]> {
    let [modsecurity, coraza] = peers;
    let asked = Asked::new(request);
    let mut engines: [&mut dyn FnMut(usize) -> Result<f64>; 3] = [
        &mut |times| {
            let each = || (0..times).for_each(|_| drop(black_box(ours.run(&asked))));
            Ok(measure(each)?.0)
        },
        &mut |times| Ok(modsecurity.run(request, times)?.0),
        &mut |times| Ok(coraza.run(request, times)?.0),
    ];
    let mut times = [1_usize; 3];
    for (engine, times) in engines.iter_mut().zip(&mut times) {
        engine(3)?; // warm
        *times = (TURN_US / (engine(3)? / 3.0).max(1.0)).clamp(1.0, 5_000.0) as usize;
    }
    let mut all = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for ((engine, times), all) in engines.iter_mut().zip(times).zip(&mut all) {
            all.push(engine(times)? / times as f64);
        }
    }
    Ok(all.map(median))
}

/// Allocations of a request, as the program beside this one counts them: its allocator does.
fn allocations(rules: &Path) -> Result<BTreeMap<String, u64>> {
    let program = std::env::current_exe()?.with_file_name("waf_allocations");
    let output = Command::new(program).arg(rules).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let line = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    Ok(text.lines().filter_map(line).collect())
}

/// What loading costs, what a set takes, and what a hundred reloads leave.
fn memory(rules: &Path, figures: &mut BTreeMap<String, f64>) -> Result<()> {
    let (mut kept, mut took) = (Vec::new(), Vec::new());
    let before = resident_mb("self")?;
    for _ in 0..4 {
        let (us, set) = measure(|| Ours::load(rules))?;
        kept.push(set?);
        took.push(us / 1_000.0);
    }
    let of_one = (resident_mb("self")? - before) / 4.0;
    drop(kept);
    let mut set = Ours::load(rules)?;
    let mut reload = |times: usize| -> Result<f64> {
        for _ in 0..times {
            let next = Ours::load(rules)?;
            black_box(next.look(&requests::attack()));
            set = next; // as in a gateway: the old one goes when the new one is there
        }
        resident_mb("self")
    };
    let before = reload(10)?;
    let grown = reload(100)? - before;
    let load = median(took);
    println!("load {load:.0} ms, {of_one:.1} MB a set, 100 reloads grow by {grown:.1} MB");
    figures.insert("load_ms".to_owned(), load);
    figures.insert("mem_mb".to_owned(), of_one);
    Ok(())
}

/// The slowest hostile request, ms, and those whose work is more than linear. Each is shown with what half and a quarter of it took, and how
/// much more is read than of its half: that count is the same in every run, so it is held to.
fn worst(ours: &Ours) -> Result<(f64, Vec<&'static str>)> {
    let took = |request: &Request| -> Result<f64> {
        let asked = Asked::new(request);
        let runs: Result<Vec<f64>> = (0..3)
            .map(|_| Ok(measure(|| drop(black_box(ours.run(&asked))))?.0 / 1_000.0))
            .collect();
        Ok(median(runs?))
    };
    let (mut slowest, mut steep) = (0.0_f64, Vec::new());
    println!(
        "{:<14} {:>9} {:>9} {:>9} {:>7} health",
        "ms of hostile", "25 KB", "50 KB", "100 KB", "work"
    );
    let [small, middle, large] = [25, 50, 100].map(|kb| hostile::all(kb * KB));
    for ((small, middle), large) in small.iter().zip(&middle).zip(&large) {
        let [quarter, half, whole] = [took(small)?, took(middle)?, took(large)?];
        let (name, look) = (large.name, ours.look(large));
        let growth = look.work_bytes as f64 / ours.look(middle).work_bytes as f64;
        let health = look.health;
        println!("{name:<14} {quarter:>9.1} {half:>9.1} {whole:>9.1} {growth:>6.2}x {health:?}");
        slowest = slowest.max(whole);
        // what is cut short is cut at another place
        if health == Health::Ok && growth > GROWTH_MAX {
            steep.push(name);
        }
    }
    Ok((slowest, steep))
}
