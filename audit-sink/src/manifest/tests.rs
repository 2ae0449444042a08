//! What the manifest keeps of what anyone may send has limits.

use ledger::verify::FindingKind;

use super::write::{FINDINGS_MAX, REJECTED_BYTES_MAX, REJECTED_MAX};
use super::*;

impl Manifest {
    /// How many rejected messages there are.
    pub(crate) fn rejected(&self) -> u64 {
        self.kept.rejected
    }

    /// The rejected messages, with why.
    pub(crate) fn rejected_values(&self) -> Vec<(String, Vec<u8>)> {
        let mut rows =
            self.db.prepare("SELECT reason, value FROM rejected ORDER BY offset").unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

fn open() -> (tempfile::TempDir, Manifest) {
    let directory = tempfile::tempdir().unwrap();
    let manifest = Manifest::open(&directory.path().join("manifest.sqlite")).unwrap();
    (directory, manifest)
}

fn rejected(offset: u64, bytes: usize) -> (Position, String, Vec<u8>) {
    let at = Position { topic: "t".to_owned(), partition: 0, offset: as_i64(offset) };
    (at, "alteration".to_owned(), vec![b'x'; bytes])
}

#[test]
fn rejected_messages_have_limits() {
    let (directory, mut manifest) = open();
    let rejected = |range: std::ops::Range<u64>| Batch {
        rejected: range
            .map(|offset| rejected(offset, REJECTED_BYTES_MAX + offset as usize % 2))
            .collect(),
        ..Batch::default()
    };
    manifest.commit(rejected(0..2), 0).unwrap();
    let values = manifest.rejected_values();
    assert!(values.iter().all(|(_, value)| value.len() == REJECTED_BYTES_MAX));
    let small = |offset| super::tests::rejected(offset, 1);
    let batch = |range: std::ops::Range<u64>| Batch {
        rejected: range.map(small).collect(),
        ..Batch::default()
    };
    manifest.commit(batch(0..REJECTED_MAX), 0).unwrap();
    assert_eq!(manifest.rejected(), REJECTED_MAX);
    manifest.commit(batch(REJECTED_MAX..REJECTED_MAX + 1), 0).unwrap();
    assert_eq!(manifest.rejected_values().len() as u64, REJECTED_MAX);
    drop(manifest);
    let mut again = Manifest::open(&directory.path().join("manifest.sqlite")).unwrap();
    again.commit(batch(REJECTED_MAX..REJECTED_MAX + 1), 0).unwrap();
    assert_eq!(again.rejected(), REJECTED_MAX);
}

#[test]
fn a_finding_is_told_once_and_findings_have_a_limit() {
    let (_directory, mut manifest) = open();
    let finding = |index: Option<u64>| Finding {
        kind: FindingKind::Alteration,
        origin: "o".to_owned(),
        index,
        detail: "d".to_owned(),
    };
    let batch = |findings: Vec<Finding>| Batch { findings, ..Batch::default() };
    let all = || (0..FINDINGS_MAX - 1).map(|index| finding(Some(index)));
    let mut check = |findings: Vec<Finding>, want: u64| {
        let new = manifest.commit(batch(findings), 0).unwrap();
        assert_eq!(new.len() as u64, want);
    };
    check(vec![finding(None), finding(None)], 1);
    check(vec![finding(None)], 0);
    check(all().collect(), FINDINGS_MAX - 1);
    check(vec![finding(Some(FINDINGS_MAX))], 0);
}

#[test]
fn a_newer_manifest_is_refused() {
    let (directory, manifest) = open();
    manifest.db.pragma_update(None, "user_version", VERSION + 1).unwrap();
    drop(manifest);
    let path = directory.path().join("manifest.sqlite");
    for opened in [Manifest::open(&path), Manifest::read_only(&path)] {
        assert!(matches!(opened, Err(ManifestError::Newer { found: 2, .. })));
    }
    assert!(Manifest::read_only(&directory.path().join("none")).is_err());
}
