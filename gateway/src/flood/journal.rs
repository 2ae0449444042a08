//! What is counted and in no record yet, in a file beside the record: a process that is killed
//! leaves it to the next start.
//!
//! A count is written before its answer leaves, and a file is removed when all that it holds is
//! recorded: a kill just between these two has it counted twice rather than never. Deliberately
//! not synced, unlike the record: a power cut may take the counts of one window.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::{Folded, Source};

/// Bytes of a file before it is written anew with its counts summed up: a flood fills no disk.
pub(super) const BYTES_MAX: u64 = 1 << 20;

/// What the name of each file begins with; a number follows.
const NAME: &str = "counted-";
/// A file that is being written anew.
const ANEW: &str = "counting";
/// What a line ends with that was written whole.
const WHOLE: &str = "whole";

/// The files. There is none as long as nothing is counted.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    number: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    /// So many more are written before it is written anew.
    bytes_max: u64,
}

impl Journal {
    /// The files in this directory that an earlier process left, in their order, and the journal
    /// that goes on after them.
    pub(super) fn of(directory: &Path) -> io::Result<(Self, Vec<PathBuf>)> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(directory)? {
            let name = entry?.file_name();
            let number: Option<u64> =
                name.to_str().and_then(|name| name.strip_prefix(NAME)?.parse().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        let number = numbers.last().map_or(0, |last| last.saturating_add(1));
        let journal = Self { directory: directory.to_owned(), number, open: None };
        let left = numbers.into_iter().map(|number| journal.path(number)).collect();
        Ok((journal, left))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{NAME}{number}"))
    }

    /// Adds what is counted now.
    pub(super) fn append(&mut self, folded: &Folded) -> io::Result<()> {
        let path = self.path(self.number);
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(Open {
                file: File::options().append(true).create(true).open(path)?,
                bytes: 0,
                bytes_max: BYTES_MAX,
            }),
        };
        open.append(&lines(folded))
    }

    /// It is to be [written anew](Self::sum_up).
    pub(super) fn is_long(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.bytes > open.bytes_max)
    }

    /// Writes these in place of all that the open file holds.
    pub(super) fn sum_up(&mut self, folded: impl Iterator<Item = Folded>) -> io::Result<()> {
        if let Some(open) = &mut self.open {
            open.bytes_max = open.bytes.saturating_add(BYTES_MAX); // if this fails, not at once again
        }
        let anew = self.directory.join(ANEW);
        let file = File::options().write(true).create(true).truncate(true).open(&anew)?;
        let mut open = Open { file, bytes: 0, bytes_max: 0 };
        for folded in folded {
            open.append(&lines(&folded))?;
        }
        fs::rename(anew, self.path(self.number))?;
        open.bytes_max = open.bytes.saturating_add(BYTES_MAX);
        self.open = Some(open);
        Ok(())
    }

    /// Begins another file; the one before, to be removed when what it holds is recorded.
    pub(super) fn turn(&mut self) -> Option<PathBuf> {
        self.open.take()?;
        let before = self.path(self.number);
        self.number = self.number.saturating_add(1);
        Some(before)
    }
}

impl Open {
    fn append(&mut self, lines: &str) -> io::Result<()> {
        self.file.write_all(lines.as_bytes())?;
        self.bytes = self.bytes.saturating_add(lines.len() as u64);
        Ok(())
    }
}

/// A line for each reason, with its end before it: what was torn ends where the next begins.
fn lines(Folded { source, from_ms, to_ms, counts }: &Folded) -> String {
    let Source { ip, prefix_bits } = source;
    let line = |(reason, count): &(&str, u64)| {
        format!("\n{ip} {prefix_bits} {from_ms} {to_ms} {reason} {count} {WHOLE}")
    };
    counts.iter().map(line).collect()
}

/// What a file holds, and how many of its lines are not whole.
pub(super) fn read(path: &Path) -> io::Result<(Vec<Folded>, usize)> {
    let text = fs::read(path)?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let (mut folded, mut torn, mut reasons) = (Vec::new(), 0, Vec::new());
    for line in lines {
        match std::str::from_utf8(line).ok().and_then(|line| parse(line, &mut reasons)) {
            Some(read) => folded.push(read),
            None => torn += 1,
        }
    }
    Ok((folded, torn))
}

fn parse(line: &str, reasons: &mut Vec<&'static str>) -> Option<Folded> {
    let mut words = line.split(' ');
    let ip: IpAddr = words.next()?.parse().ok()?;
    let prefix_bits = words.next()?.parse().ok()?;
    let (from_ms, to_ms) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (reason, count) = (words.next()?, words.next()?.parse().ok()?);
    if words.next() != Some(WHOLE) || words.next().is_some() {
        return None;
    }
    let source = Source { ip, prefix_bits };
    Some(Folded { source, from_ms, to_ms, counts: vec![(interned(reason, reasons), count)] })
}

/// The reason as those are that this process has by itself. There are a few dozen of them, and
/// they are read once, at the start.
fn interned(reason: &str, reasons: &mut Vec<&'static str>) -> &'static str {
    if let Some(known) = reasons.iter().find(|known| **known == reason) {
        return known;
    }
    let reason: &'static str = String::leak(reason.to_owned());
    reasons.push(reason);
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(ip: &str, count: u64) -> Folded {
        let source = Source { ip: ip.parse().unwrap(), prefix_bits: 32 };
        Folded { source, from_ms: 1, to_ms: 2, counts: vec![("bare_lf", count)] }
    }

    #[test]
    fn what_is_appended_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let (mut journal, left) = Journal::of(directory.path()).unwrap();
        assert_eq!((left, journal.turn()), (Vec::new(), None), "nothing is counted");
        let (one, two) = (folded("192.0.2.1", 1), folded("2001:db8::", 2));
        journal.append(&one).unwrap();
        journal.append(&two).unwrap();
        let first = journal.turn().unwrap();
        journal.append(&two).unwrap();
        assert_eq!(read(&first).unwrap(), (vec![one, two.clone()], 0));

        let (mut next, left) = Journal::of(directory.path()).unwrap();
        assert_eq!(left.len(), 2);
        assert_eq!(left.first(), Some(&first));
        next.append(&folded("192.0.2.9", 9)).unwrap();
        assert_eq!(read(&left[1]).unwrap(), (vec![two], 0), "the next has a file of its own");
    }

    #[test]
    fn a_line_that_is_torn_is_one_line_less() {
        let directory = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::of(directory.path()).unwrap();
        let (one, two) = (folded("192.0.2.1", 123), folded("192.0.2.2", 2));
        journal.append(&one).unwrap();
        let path = journal.turn().unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        for cut in 2..whole.len() {
            fs::write(&path, format!("{}{}", whole.split_at(cut).0, lines(&two))).unwrap();
            assert_eq!(read(&path).unwrap(), (vec![two.clone()], 1), "{cut}");
        }
    }

    #[test]
    fn a_long_file_is_written_anew_and_stays_so_long() {
        let directory = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::of(directory.path()).unwrap();
        let mut sum = 0;
        for _ in 0..100_000 {
            journal.append(&folded("192.0.2.1", 1)).unwrap();
            sum += 1;
            if journal.is_long() {
                journal.sum_up(std::iter::once(folded("192.0.2.1", sum))).unwrap();
            }
        }
        let path = journal.turn().unwrap();
        assert!(fs::metadata(&path).unwrap().len() < BYTES_MAX + 1000);
        let (read, torn) = read(&path).unwrap();
        let counts = read.iter().map(Folded::count);
        // What came before the last summing up is in its one line.
        assert_eq!((read.iter().map(Folded::count).max(), torn), (counts.clone().max(), 0));
        assert_eq!(counts.sum::<u64>(), 100_000);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::of(directory.path()).unwrap();
        fs::create_dir(directory.path().join("counted-0")).unwrap();
        assert!(journal.append(&folded("192.0.2.1", 1)).is_err());
        assert!(Journal::of(&directory.path().join("none")).is_err());
    }
}
