//! Tampering with a directory, and that it is found.

use super::super::FindingKind::{
    Alteration, Fork, Gap, Reorder, Silence, Truncation, Untrusted, WrongKey,
};
use super::super::sample::{Keys, Log, START_MS, epochs, event, kinds};
use super::*;
use crate::note::{PrivateKey, Signer};
use crate::tiles::{decode_bundle, encode_bundle, grow};

type Files = BTreeMap<String, Vec<u8>>;

/// A log of 600 records as a directory.
struct Kept {
    log: Log,
    files: Files,
}

impl Kept {
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.log.origin)
    }

    fn set(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.insert(self.path(name), bytes);
    }

    fn remove(&mut self, name: &str) {
        assert!(self.files.remove(&self.path(name)).is_some(), "{name}");
    }

    /// Changes the entries of a bundle.
    fn edit(&mut self, tile: &str, edit: impl Fn(&mut Vec<Vec<u8>>)) {
        let bytes = &self.files[&self.path(tile)];
        let tile = Tile::parse(tile).unwrap();
        let entries = decode_bundle(&tile, bytes).unwrap();
        let mut entries = entries.into_iter().map(<[u8]>::to_vec).collect();
        edit(&mut entries);
        let bytes = entries.iter().flat_map(|entry| encode_bundle(&[entry]).unwrap()).collect();
        self.set(&tile.to_string(), bytes);
    }
}

fn check_files(name: &str, tamper: impl Fn(&mut Kept), want: &[(FindingKind, Option<u64>)]) {
    let keys = Keys::new(100);
    let log = Log::new(&keys, 0, 599, None).closed();
    let newest = log.newest();
    let now_ms = log.last_ms() + 1_000_000;
    let mut kept = Kept { files: log.files(), log };
    tamper(&mut kept);
    let origins = [kept.log.origin.clone()];
    let read = |path: &str| kept.files.get(path).cloned();
    let evidence = verify_evidence(keys.root(), &origins, &[&newest], now_ms, read);
    assert_eq!(kinds(&evidence.findings), want, "{name}: {:#?}", evidence.findings);
}

#[test]
fn tampering_with_a_directory_is_found() {
    let last = "tile/entries/002.p/88";
    check_files("nothing", |_| {}, &[]);
    check_files(
        "modify one",
        |kept| kept.edit("tile/entries/001", |entries| entries[44][20] ^= 1),
        &[(Alteration, Some(300))],
    );
    check_files(
        "delete one",
        |kept| kept.edit("tile/entries/001", |entries| drop(entries.remove(44))),
        &[(Gap, Some(300))],
    );
    check_files(
        "delete many",
        |kept| kept.edit("tile/entries/001", |entries| drop(entries.drain(44..54))),
        &[(Gap, Some(300))],
    );
    check_files(
        "swap two",
        |kept| kept.edit("tile/entries/001", |entries| entries.swap(44, 45)),
        &[(Reorder, Some(300))],
    );
    check_files(
        "insert one",
        |kept| kept.edit("tile/entries/001", |entries| entries.insert(44, entries[43].clone())),
        &[(Alteration, Some(300))],
    );
    check_files(
        "append one",
        |kept| kept.edit(last, |entries| entries.push(b"more".to_vec())),
        &[(Alteration, Some(600))],
    );
    check_files(
        "replace one",
        |kept| kept.edit("tile/entries/000", |entries| entries[9] = entries[8].clone()),
        &[(Alteration, Some(9))],
    );
    check_files(
        "cut the tail of a bundle",
        |kept| kept.edit(last, |entries| entries.truncate(80)),
        &[(Truncation, Some(592)), (Silence, Some(600))],
    );
    check_files(
        "cut bytes",
        |kept| {
            let bytes = kept.files.get_mut(&kept.path(last)).unwrap();
            bytes.truncate(bytes.len() - 1);
        },
        &[(Truncation, Some(599)), (Silence, Some(600))],
    );
    check_files(
        "remove the last bundle",
        |kept| kept.remove(last),
        &[(Truncation, Some(512)), (Silence, Some(600))],
    );
    check_files(
        "remove a bundle",
        |kept| kept.remove("tile/entries/001"),
        &[(Gap, Some(256)), (Silence, Some(512))],
    );
}

#[test]
fn tampering_with_hash_tiles_and_notes_is_found() {
    let flip = |name: &'static str| {
        move |kept: &mut Kept| {
            let bytes = kept.files.get_mut(&kept.path(name)).unwrap();
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
        }
    };
    check_files("hash tile", flip("tile/0/001"), &[(Alteration, Some(384))]);
    check_files("upper tile", flip("tile/1/000.p/2"), &[(Alteration, Some(0))]);
    check_files(
        "lengthen an upper tile",
        |kept| {
            let bytes = kept.files.get_mut(&kept.path("tile/1/000.p/2")).unwrap();
            bytes.extend([0; 32]);
        },
        &[(Alteration, Some(0))],
    );
    check_files("remove a hash tile", |kept| kept.remove("tile/0/001"), &[(Gap, None)]);
    check_files("remove an upper tile", |kept| kept.remove("tile/1/000.p/2"), &[(Gap, None)]);
    check_files(
        "cut a hash tile",
        |kept| kept.set("tile/0/001", encode_hashes(&[[0; 32]; 255])),
        &[(Alteration, None)],
    );
    check_files("epoch statement", flip("epoch.note"), &[(Untrusted, None)]);
    check_files("issuer certificate", flip("issuer.note"), &[(Untrusted, None)]);
    check_files("remove the statement", |kept| kept.remove("epoch.note"), &[(Untrusted, None)]);
    check_files(
        "checkpoint",
        |kept| {
            let altered = kept.log.newest().replace("\n600\n", "\n599\n");
            kept.set("checkpoint", altered.into_bytes());
        },
        &[(Alteration, None)],
    );
    check_files("remove the checkpoint", |kept| kept.remove("checkpoint"), &[(Truncation, None)]);
    check_files("remove everything", |kept| kept.files.clear(), &[(Untrusted, None)]);
    check_files(
        "another key",
        |kept| {
            let thief = Signer::new(kept.log.origin.as_str(), &PrivateKey::from_seed([9; 32]));
            let root = kept.log.frontier().root();
            kept.set("checkpoint", thief.unwrap().sign_checkpoint(600, &root).into_bytes());
        },
        &[(WrongKey, None)],
    );
    check_files(
        "entries and hash tile alike",
        |kept| {
            kept.edit(last_bundle(), |entries| entries[0][20] ^= 1);
            let bytes = &kept.files[&kept.path(last_bundle())];
            let entries = Entries::of(bytes).map(Result::unwrap);
            let hashes: Vec<_> = entries.map(leaf_hash).collect();
            kept.set("tile/0/002.p/88", encode_hashes(&hashes));
        },
        &[(Alteration, None)],
    );
}

fn last_bundle() -> &'static str {
    "tile/entries/002.p/88"
}

#[test]
fn an_older_or_rewritten_copy_is_found_with_the_newest_checkpoint() {
    check_files(
        "an older copy",
        |kept| {
            kept.log.values.truncate(590);
            kept.files = kept.log.files();
        },
        &[(Truncation, Some(590)), (Silence, Some(590))],
    );
    check_files(
        "a rewritten copy",
        |kept| {
            kept.log.values[300] = kept.log.values[300].replace("decision", "heartbeat");
            kept.files = kept.log.files();
        },
        &[(Fork, None)],
    );
    check_files(
        "a rewritten and longer copy",
        |kept| {
            kept.log.values.insert(300, kept.log.values[300].clone());
            kept.files = kept.log.files();
        },
        &[(Fork, None)],
    );
}

#[test]
fn a_directory_may_have_grown_beyond_its_checkpoint() {
    check_files(
        "grown",
        |kept| {
            let size = kept.log.values.len();
            let more = vec![event(START_MS + 600_000, "decision", ""); 200];
            let read = |tile: &Tile| kept.files.get(&kept.path(&tile.to_string())).cloned();
            let grown = grow(size as u64, &more, read).unwrap();
            for (tile, bytes) in grown {
                kept.set(&tile.to_string(), bytes);
            }
            for partial in ["tile/entries/002.p/88", "tile/0/002.p/88"] {
                kept.remove(partial);
            }
        },
        &[],
    );
}

#[test]
fn a_directory_of_epochs_is_verified_as_a_trail() {
    let keys = Keys::new(100);
    let logs = epochs(&keys);
    let mut files: Files = logs.iter().flat_map(Log::files).collect();
    let newest: Vec<_> = logs.iter().map(Log::newest).collect();
    let newest: Vec<_> = newest.iter().map(String::as_str).collect();
    let now_ms = logs[2].last_ms() + 1_000_000;
    let verify = |files: &Files, origins: &[Origin]| {
        let read = |path: &str| files.get(path).cloned();
        verify_evidence(keys.root(), origins, &newest, now_ms, read)
    };
    let origins: Vec<_> = logs.iter().map(|log| log.origin.clone()).collect();
    let whole = verify(&files, &origins);
    assert_eq!(kinds(&whole.findings), []);
    let roots = |log: &Log| (log.origin.clone(), log.frontier());
    let found: Vec<_> = whole.logs.into_iter().map(|log| (log.origin, log.frontier)).collect();
    assert_eq!(found, logs.iter().map(roots).collect::<Vec<_>>());

    let without_second = [origins[0].clone(), origins[2].clone()];
    let want = [(Truncation, None), (Gap, Some(0))];
    assert_eq!(kinds(&verify(&files, &without_second).findings), want);
    files.retain(|path, _| !path.starts_with(origins[1].as_str()));
    let want = [(Untrusted, None), (Gap, Some(0))];
    assert_eq!(kinds(&verify(&files, &origins).findings), want);
}
