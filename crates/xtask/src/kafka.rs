//! `cargo xtask kafka up|down`: real Apache Kafka that stays until it is told to go. The process
//! is known by the id that `up` wrote down, and by nothing else.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    machine::{build_fixtures, built, succeed, target},
    setup::{BUILD, JAVA, MAVEN, obtain},
};

const UP_TIMEOUT: Duration = Duration::from_secs(300); // Maven may have to fetch first
const DOWN_TIMEOUT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

struct Place {
    id: PathBuf,
    log: PathBuf,
    data: PathBuf,
}

/// Starts it, unless it runs, and prints its version and bootstrap address.
pub(crate) fn up() -> Result<()> {
    let place = place()?;
    let mut started = if running(&place.id).is_none() { Some(start(&place)?) } else { None };
    let text = wait("kafka is not up", UP_TIMEOUT, || {
        let text = fs::read_to_string(&place.log)?;
        let ended = started.as_mut().map_or(Ok(None), Child::try_wait)?;
        ensure!(ended.is_none(), "kafka ended:\n{text}");
        Ok(text.contains("bootstrap ").then_some(text))
    })?;
    print!("{text}");
    Ok(())
}

/// In a process group of its own, so that Ctrl-C on this terminal does not reach it.
fn start(place: &Place) -> Result<Child> {
    obtain(&BUILD)?;
    obtain(&[JAVA, MAVEN])?;
    build_fixtures()?;
    let log = File::create(&place.log)?;
    let mut kafka = Command::new(built()?.join("fixtures"));
    kafka.arg("kafka").arg(&place.data).process_group(0).stdin(Stdio::null());
    let child = kafka.stdout(log.try_clone()?).stderr(log).spawn()?;
    fs::write(&place.id, child.id().to_string())?;
    Ok(child)
}

/// Stops it, if it runs.
pub(crate) fn down() -> Result<()> {
    let place = place()?;
    let Some(id) = running(&place.id) else {
        println!("kafka does not run");
        return Ok(());
    };
    succeed(Command::new("kill").args(["-TERM", &id]))?;
    wait("kafka is not down", DOWN_TIMEOUT, || Ok(running(&place.id).is_none().then_some(())))?;
    println!("kafka is down; its data stays in {}", place.data.display());
    Ok(())
}

fn place() -> Result<Place> {
    let dir = target()?.join("kafka-up");
    fs::create_dir_all(&dir).with_context(|| format!("create `{}`", dir.display()))?;
    Ok(Place { id: dir.join("pid"), log: dir.join("log"), data: dir.join("data") })
}

/// The process id in the file, if that process still is the one we started.
fn running(file: &Path) -> Option<String> {
    let id = fs::read_to_string(file).ok()?;
    let name = fs::read_to_string(format!("/proc/{id}/comm")).ok()?;
    let state = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let ended = state.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'));
    (name.trim() == "fixtures" && !ended).then_some(id)
}

fn wait<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if let Some(found) = look()? {
            return Ok(found);
        }
        thread::sleep(LOOK_EVERY);
    }
    bail!("{what} within {limit:?}")
}
