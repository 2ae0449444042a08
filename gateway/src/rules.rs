//! The rule files of a configuration: found, read, and compiled, unless they are as they were.
//!
//! What the rules mean is `seclang`'s to say, and what is made of it, policy's. Rule files name
//! others (`Include`, `@pmFromFile`): a path is relative to the file that names it.

mod changes;

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use signals::{RuleFile, RuleSettings, Rules, UnfitRuleSetting, Wanted};

use crate::config::{self, Glob, Problem, RuleFiles};
use crate::regular;
pub use changes::RuleChanges;

/// Bytes of one rule file, at most.
pub const FILE_BYTES_MAX: u64 = 8 << 20;
/// Bytes of all files that one set reads, at most, each as often as it is named: twenty times the
/// OWASP CRS.
pub const SET_BYTES_MAX: u64 = 16 << 20;
/// Files that one set reads, at most.
pub const FILES_MAX: usize = 4096;

/// A compiled set, and what it was compiled from.
#[derive(Debug, Clone)]
pub struct Ruleset {
    rules: Rules,
    read: Read,
    /// Digests of the files, of what routes make of them, and of both.
    files: String,
    settings: String,
    digest: String,
}

/// What was read for a set, in the order in which it was asked for.
#[derive(Debug, Clone, Default)]
struct Read {
    named: Vec<RuleFile>,
    fetched: Vec<(Asked, Vec<RuleFile>)>,
}

/// What one set may still read.
#[derive(Debug, Clone, Copy)]
struct Room {
    files: usize,
    bytes: u64,
}

/// A file that another one names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Include { from: String, pattern: String },
    Data { from: String, name: String },
}

impl Ruleset {
    /// The rules that a configuration names, or our own; compiled anew only if a file changed.
    ///
    /// # Errors
    /// Every problem of every file, and of what routes make of the rules.
    pub fn load(config: &config::Waf, before: Option<&Self>) -> Result<Self, Vec<Problem>> {
        let read = match config.files.as_slice() {
            [] => match before.filter(|before| before.read.named.is_empty()) {
                Some(before) => before.clone(),
                None => Self::own()?,
            },
            files => Self::of_files(files, before)?,
        };
        let settings: Vec<RuleSettings> =
            config.views.iter().map(|view| view.settings.clone()).collect();
        let problem = |(index, unfit): (usize, UnfitRuleSetting)| {
            let view = config.views.get(index)?;
            let exclusion = unfit.exclusion.and_then(|index| view.exclusions.get(index));
            Some(exclusion.unwrap_or(&view.site).problem(unfit.message))
        };
        let rules = read.rules.viewed(&settings).map_err(|wrong| {
            // What is wrong at the top is so in what routes have of it.
            let mut problems: Vec<Problem> = Vec::new();
            for problem in wrong.into_iter().filter_map(problem) {
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
            problems
        })?;
        let settings = changes::of_settings(config);
        let digest = changes::of_set(&read.files, &settings);
        Ok(Self { rules, settings, digest, ..read })
    }

    /// The rules, with what each route makes of them.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What the set is, SHA-256 in hex: of its files, and of what routes make of them.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What is another than in the set before; without one, all of it.
    pub fn changes_since(&self, before: Option<&Self>) -> RuleChanges {
        RuleChanges::of(self, before)
    }

    /// The files that were read.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let fetched = self.read.fetched.iter().flat_map(|(_, files)| files);
        self.read.named.iter().chain(fetched).map(|file| PathBuf::from(&file.name))
    }

    /// Our own rules.
    ///
    /// # Errors
    /// Every problem; there are none.
    pub fn own() -> Result<Self, Vec<Problem>> {
        let rules = Rules::default_rules().map_err(told)?;
        Ok(Self::of(rules, Read::default()))
    }

    fn of_files(files: &[RuleFiles], before: Option<&Self>) -> Result<Self, Vec<Problem>> {
        let named = named(files, &mut Room::default())?;
        if let Some(before) = before.filter(|before| before.read.is_same(&named)) {
            return Ok(before.clone());
        }
        Self::compile(named)
    }

    /// Compiles files and what they name.
    ///
    /// # Errors
    /// Every problem.
    pub fn compile(named: Vec<RuleFile>) -> Result<Self, Vec<Problem>> {
        let mut room = Room::default();
        for file in &named {
            let told = |message| vec![Problem::at_start(Path::new(&file.name), message)];
            room.take(file.text.len()).map_err(told)?;
        }
        let read = RefCell::new((room, Vec::new()));
        let fetch = |wanted: Wanted<'_>| {
            let asked = Asked::of(wanted);
            let (room, fetched) = &mut *read.borrow_mut();
            let files = asked.read(room)?;
            fetched.push((asked, files.clone()));
            Ok(files)
        };
        let rules = Rules::load(&named, &fetch).map_err(told)?;
        for notice in rules.notices() {
            tracing::info!(%notice, "rules");
        }
        let (_, fetched) = read.into_inner();
        Ok(Self::of(rules, Read { named, fetched }))
    }

    /// As the files have them.
    fn of(rules: Rules, read: Read) -> Self {
        let (files, settings) = (changes::of_files(&read), String::new());
        let digest = changes::of_set(&files, &settings);
        Self { rules, read, files, settings, digest }
    }
}

impl Read {
    /// Whether the files are what they were: these, and those that they name.
    fn is_same(&self, named: &[RuleFile]) -> bool {
        let mut room = Room::default();
        let is_same = |(asked, files): &(Asked, Vec<RuleFile>)| {
            asked.read(&mut room).is_ok_and(|now| now == *files)
        };
        self.named == named && self.fetched.iter().all(is_same)
    }
}

impl Default for Room {
    fn default() -> Self {
        Self { files: FILES_MAX, bytes: SET_BYTES_MAX }
    }
}

impl Room {
    /// Reads a file, if there is room for it.
    fn read(&mut self, path: &Path) -> Result<RuleFile, String> {
        let text = regular::read(path, FILE_BYTES_MAX.min(self.bytes));
        let text = text.map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge if self.bytes < FILE_BYTES_MAX => Self::full(),
            _ => error.to_string(),
        })?;
        self.take(text.len())?;
        Ok(RuleFile { name: path.display().to_string(), text })
    }

    fn take(&mut self, length: usize) -> Result<(), String> {
        let files = self.files.checked_sub(1);
        let files = files.ok_or_else(|| format!("more than {FILES_MAX} files for one set"))?;
        let bytes = u64::try_from(length).ok().and_then(|length| self.bytes.checked_sub(length));
        *self = Self { files, bytes: bytes.ok_or_else(Self::full)? };
        Ok(())
    }

    fn full() -> String {
        format!("more than {SET_BYTES_MAX} bytes in all files of one set")
    }
}

impl Asked {
    fn of(wanted: Wanted<'_>) -> Self {
        match wanted {
            Wanted::Include { from, pattern } => {
                Self::Include { from: from.to_owned(), pattern: pattern.to_owned() }
            }
            Wanted::Data { from, name } => {
                Self::Data { from: from.to_owned(), name: name.to_owned() }
            }
        }
    }

    fn read(&self, room: &mut Room) -> Result<Vec<RuleFile>, String> {
        let beside = |from: &str| Path::new(from).parent().unwrap_or(Path::new("")).to_owned();
        match self {
            Self::Include { from, pattern } => {
                let glob = Glob::parse(pattern).map_err(str::to_owned)?.below(&beside(from));
                matching(&glob, room)
            }
            Self::Data { from, name } => Ok(vec![one(&beside(from).join(name), room)?]),
        }
    }
}

/// The files that a configuration names, in its order, and of one glob by name.
fn named(files: &[RuleFiles], room: &mut Room) -> Result<Vec<RuleFile>, Vec<Problem>> {
    let (mut named, mut problems) = (Vec::new(), Vec::new());
    for RuleFiles { glob, site } in files {
        match matching(glob, room) {
            Ok(found) if found.is_empty() => {
                problems.push(site.problem("no file is called so".to_owned()));
            }
            Ok(found) => named.extend(found),
            Err(error) => problems.push(site.problem(error)),
        }
    }
    if problems.is_empty() { Ok(named) } else { Err(problems) }
}

/// The files of a glob, by name.
fn matching(glob: &Glob, room: &mut Room) -> Result<Vec<RuleFile>, String> {
    let directory = match glob.directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => &glob.directory,
    };
    let mut paths = Vec::new();
    let told = |error: io::Error| format!("`{}`: {error}", directory.display());
    for entry in fs::read_dir(directory).map_err(told)? {
        let name = entry.map_err(told)?.file_name();
        if name.to_str().is_some_and(|name| glob.matches(name)) {
            paths.push(directory.join(name));
        }
    }
    paths.sort();
    paths.iter().map(|path| one(path, room)).collect()
}

fn one(path: &Path, room: &mut Room) -> Result<RuleFile, String> {
    room.read(path).map_err(|error| format!("`{}`: {error}", path.display()))
}

/// Rule files given on a command line.
///
/// # Errors
/// Every file that cannot be read.
pub fn given(paths: &[PathBuf]) -> Result<Vec<RuleFile>, Vec<Problem>> {
    let (mut files, mut problems, mut room) = (Vec::new(), Vec::new(), Room::default());
    for path in paths {
        match room.read(path) {
            Ok(file) => files.push(file),
            Err(error) => {
                let problem = Problem::at_start(path, format!("cannot be read: {error}"));
                problems.push(problem);
            }
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

/// The rule files of a directory, `*.conf`, by name.
///
/// # Errors
/// It cannot be read, or a file of it.
pub fn below(directory: &Path) -> Result<Vec<RuleFile>, Vec<Problem>> {
    let all = Glob::parse("*.conf").map_err(|error| error.to_owned());
    let files = all.and_then(|all| matching(&all.below(directory), &mut Room::default()));
    files.map_err(|message| vec![Problem::at_start(directory, message)])
}

fn told(problems: Vec<signals::RuleProblem>) -> Vec<Problem> {
    let problem = |problem: signals::RuleProblem| Problem {
        file: problem.file,
        line: problem.line,
        column: problem.column,
        message: problem.message,
        hint: problem.hint,
    };
    problems.into_iter().map(problem).collect()
}

#[cfg(test)]
mod tests;
