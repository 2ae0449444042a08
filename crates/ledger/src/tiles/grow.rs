//! Appends to a log of tiles, and looks up nodes of its tree.

use super::{
    LEVELS, Level, Tile, TileError, WIDTH, count, decode_hashes, encode_bundle, encode_hashes,
};
use crate::tlog::{Frontier, Hash, leaf_hash};

/// Files to write, in this order; a partial tile of the same index is then no longer needed.
pub type Grown = Vec<(Tile, Vec<u8>)>;

/// The files that change when `values` are appended to a log of `size` leaves: bundles, then hash
/// tiles from the leaves up. Write them all before the checkpoint that needs them.
///
/// `read` gives the bytes of the partial tiles of the log as it is.
///
/// # Errors
/// If a value is too large, or a partial tile is missing or of another width.
pub fn grow(
    size: u64,
    values: &[impl AsRef<[u8]>],
    mut read: impl FnMut(&Tile) -> Option<Vec<u8>>,
) -> Result<Grown, TileError> {
    let mut grown = grow_entries(size, values, &mut read)?;
    let mut added: Vec<Hash> = values.iter().map(|value| leaf_hash(value.as_ref())).collect();
    for level in 0..LEVELS {
        if added.is_empty() {
            break;
        }
        added = grow_hashes(level, size, &added, &mut read, &mut grown)?;
    }
    Ok(grown)
}

fn grow_entries(
    size: u64,
    values: &[impl AsRef<[u8]>],
    read: &mut impl FnMut(&Tile) -> Option<Vec<u8>>,
) -> Result<Grown, TileError> {
    let new_size = size + values.len() as u64;
    let mut bytes = match partial(Level::Entries, size) {
        Some(tile) => read(&tile).ok_or_else(|| missing(&tile))?,
        None => Vec::new(),
    };
    let mut grown = Vec::new();
    let mut rest = values;
    let mut at = size;
    while let Some(tile) = Tile::of(Level::Entries, at / WIDTH, new_size) {
        let end = tile.index() * WIDTH + tile.width() as u64;
        let fitting = usize::try_from(end - at).unwrap_or(usize::MAX).min(rest.len());
        if fitting == 0 {
            break;
        }
        let (now, later) = rest.split_at(fitting);
        bytes.extend_from_slice(&encode_bundle(now)?);
        grown.push((tile, std::mem::take(&mut bytes)));
        (rest, at) = (later, end);
    }
    Ok(grown)
}

/// The level's new tiles, and the roots of those that became full: what the next level gains.
fn grow_hashes(
    level: u8,
    size: u64,
    added: &[Hash],
    read: &mut impl FnMut(&Tile) -> Option<Vec<u8>>,
    grown: &mut Grown,
) -> Result<Vec<Hash>, TileError> {
    let kind = Level::Hashes(level);
    let mut hashes = match partial(kind, size) {
        Some(tile) => decode_hashes(&tile, &read(&tile).ok_or_else(|| missing(&tile))?)?,
        None => Vec::new(),
    };
    hashes.extend_from_slice(added);
    let first = count(kind, size) / WIDTH;
    let mut full = Vec::new();
    for (index, chunk) in (first..).zip(hashes.chunks(WIDTH as usize)) {
        let width = chunk.len() as u16;
        grown.push((Tile { level: kind, index, width }, encode_hashes(chunk)));
        if chunk.len() as u64 == WIDTH {
            full.push(subtree_root(chunk));
        }
    }
    Ok(full)
}

/// The tile that a log of this size has begun and not filled.
fn partial(level: Level, size: u64) -> Option<Tile> {
    Tile::of(level, count(level, size) / WIDTH, size).filter(Tile::is_partial)
}

fn missing(tile: &Tile) -> TileError {
    TileError::Missing { path: tile.to_string() }
}

/// The root of the complete subtree at `level`, `index`, from the tiles of a log of `size` leaves:
/// what [`tlog`](crate::tlog)'s makers of proofs ask for.
///
/// `None` if it is not complete in that log, or its tile is missing or malformed. A partial tile
/// that is gone may have been replaced by the full one, which is asked for next.
pub fn node(
    size: u64,
    level: u32,
    index: u64,
    read: &mut impl FnMut(&Tile) -> Option<Vec<u8>>,
) -> Option<Hash> {
    let tile_level = u8::try_from(level / 8).ok()?;
    let height = level % 8;
    let first = index.checked_mul(1 << height)?;
    let tile = Tile::of(Level::Hashes(tile_level), first / WIDTH, size)?;
    let hashes = read_hashes(&tile, read)?;
    let start = usize::try_from(first % WIDTH).ok()?;
    hashes.get(start..start + (1 << height)).map(subtree_root)
}

fn read_hashes(tile: &Tile, read: &mut impl FnMut(&Tile) -> Option<Vec<u8>>) -> Option<Vec<Hash>> {
    if let Some(bytes) = read(tile) {
        return decode_hashes(tile, &bytes).ok();
    }
    let full = Some(tile.full()).filter(|_| tile.is_partial())?;
    let mut hashes = decode_hashes(&full, &read(&full)?).ok()?;
    hashes.truncate(tile.width());
    Some(hashes)
}

/// Root of the complete subtree over these hashes, whose number is a power of two.
fn subtree_root(hashes: &[Hash]) -> Hash {
    let mut range = Frontier::new();
    hashes.iter().for_each(|hash| range.push(*hash));
    range.root()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{prove_consistency, prove_inclusion};
    use super::*;
    use crate::tlog::{Tree, verify_consistency, verify_inclusion};

    fn values(count: u64) -> Vec<String> {
        (0..count).map(|n| n.to_string()).collect()
    }

    type Files = BTreeMap<Tile, Vec<u8>>;

    /// Appends in steps to these sizes. Older partial tiles are removed, as a sink does.
    fn log(sizes: &[u64]) -> Files {
        let mut files = Files::new();
        let mut size = 0;
        for to in sizes {
            let values = values(*to);
            let grown = grow(size, &values[size as usize..], |tile| files.get(tile).cloned());
            for (tile, bytes) in grown.unwrap() {
                files.retain(|old, _| (old.level(), old.index()) != (tile.level(), tile.index()));
                files.insert(tile, bytes);
            }
            size = *to;
        }
        files
    }

    fn tree(size: u64) -> Tree {
        let leaves: Vec<_> = values(size).iter().map(|value| leaf_hash(value.as_bytes())).collect();
        Tree::new(&leaves)
    }

    #[test]
    fn a_log_that_grew_has_the_tiles_of_one_made_at_once() {
        for sizes in
            [&[1, 2, 3][..], &[255, 256, 257], &[100, 600], &[256, 512], &[513, 66_000, 66_001]]
        {
            let size = *sizes.last().unwrap();
            let files = log(sizes);
            assert_eq!(files, log(&[size]), "{sizes:?}");
            let levels = (0..8).map(Level::Hashes).chain([Level::Entries]);
            let want: Vec<_> = levels.flat_map(|level| Tile::all(level, size)).collect();
            assert_eq!(files.len(), want.len());
            assert!(want.iter().all(|tile| files.contains_key(tile)), "{sizes:?}");
        }
        assert_eq!(grow(0, &values(0), |_| None), Ok(vec![]));
    }

    #[test]
    fn growing_needs_the_partial_tiles_as_they_are() {
        let files = log(&[300]);
        let check = |leave_out: &str, replace: &[u8], want: TileError| {
            let read = |tile: &Tile| match tile.to_string() == leave_out {
                false => files.get(tile).cloned(),
                true => Some(replace.to_vec()).filter(|bytes| !bytes.is_empty()),
            };
            assert_eq!(grow(300, &["a"], read), Err(want));
        };
        let missing = |path: &str| TileError::Missing { path: path.into() };
        check("tile/entries/001.p/44", b"", missing("tile/entries/001.p/44"));
        check("tile/0/001.p/44", b"", missing("tile/0/001.p/44"));
        check("tile/0/001.p/44", &[0; 32], TileError::Width { path: "tile/0/001.p/44".into() });
        let large = grow(0, &[vec![0; 65_536]], |_| None);
        assert_eq!(large, Err(TileError::EntryTooLarge(65_536)));
    }

    #[test]
    fn proofs_from_tiles_hold() {
        for size in [1, 2, 255, 256, 257, 700, 66_000] {
            let (files, tree) = (log(&[size]), tree(size));
            let read = |tile: &Tile| files.get(tile).cloned();
            let root = tree.root(size).unwrap();
            for index in [0, 1, 2, 254, 255, 256, 511, 65_535, size - 1] {
                let path = prove_inclusion(index, size, read);
                assert_eq!(path.is_some(), index < size);
                let leaf = leaf_hash(index.to_string().as_bytes());
                let holds = |path: Vec<Hash>| verify_inclusion(index, size, &leaf, &path, &root);
                assert!(path.is_none_or(holds), "{index} of {size}");
                let old_size = index + 1;
                let Some(old_root) = tree.root(old_size) else { continue };
                let path = prove_consistency(old_size, size, read).unwrap();
                assert!(verify_consistency(old_size, &old_root, size, &root, &path));
            }
        }
    }

    #[test]
    fn a_full_tile_stands_in_for_a_partial_one_that_is_gone() {
        let (files, tree) = (log(&[600]), tree(600));
        let path = prove_inclusion(3, 500, |tile| files.get(tile).cloned());
        assert_eq!(path, tree.inclusion_path(3, 500));
        // Leaves 500 to 503 are a complete subtree of the larger log only.
        let mut read = |tile: &Tile| files.get(tile).cloned();
        assert!(node(504, 2, 125, &mut read).is_some());
        assert_eq!(node(500, 2, 125, &mut read), None);
        let none = prove_inclusion(599, 601, |tile| files.get(tile).cloned());
        assert_eq!(none, None);
    }
}
