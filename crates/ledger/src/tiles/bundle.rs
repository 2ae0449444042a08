//! The bytes of entry bundles and of hash tiles.

use super::{Tile, TileError, WIDTH};
use crate::tlog::Hash;

/// The entries of a bundle, one after the other, each with its length before it (16 bits, big
/// endian). Bundles of consecutive entries can be joined.
///
/// # Errors
/// [`TileError::TooMany`] or [`TileError::EntryTooLarge`].
pub fn encode_bundle(entries: &[impl AsRef<[u8]>]) -> Result<Vec<u8>, TileError> {
    if entries.len() > WIDTH as usize {
        return Err(TileError::TooMany(entries.len()));
    }
    let mut bytes = Vec::with_capacity(entries.iter().map(|entry| entry.as_ref().len() + 2).sum());
    for entry in entries {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len());
        let length = length.map_err(|_| TileError::EntryTooLarge(entry.len()))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// Reads the entries of a bundle; a bundle that is cut gives those before the cut, then an error.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
    position: usize,
}

impl<'a> Entries<'a> {
    /// The entries of these bytes.
    #[must_use]
    pub fn of(bundle: &'a [u8]) -> Self {
        Self { rest: bundle, position: 0 }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], TileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let position = self.position;
        let split = self.rest.split_first_chunk::<2>().and_then(|(length, rest)| {
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        });
        let Some((entry, rest)) = split else {
            self.rest = &[];
            return Some(Err(TileError::Truncated(position)));
        };
        self.rest = rest;
        self.position += 1;
        Some(Ok(entry))
    }
}

/// The entries of a bundle that holds exactly as many as the tile's width says.
///
/// # Errors
/// [`TileError::Truncated`] or [`TileError::Width`].
pub fn decode_bundle<'a>(tile: &Tile, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, TileError> {
    let entries = Entries::of(bytes).take(tile.width() + 1).collect::<Result<Vec<_>, _>>()?;
    if entries.len() == tile.width() { Ok(entries) } else { Err(wrong_width(tile)) }
}

/// The bytes of a hash tile.
#[must_use]
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// The hashes of a hash tile that holds exactly as many as its width says.
///
/// # Errors
/// [`TileError::Width`].
pub fn decode_hashes(tile: &Tile, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() && hashes.len() == tile.width() {
        Ok(hashes.to_vec())
    } else {
        Err(wrong_width(tile))
    }
}

fn wrong_width(tile: &Tile) -> TileError {
    TileError::Width { path: tile.to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{ENTRY_BYTES_MAX, Level};
    use super::*;

    fn tile(width: u64) -> Tile {
        Tile::of(Level::Entries, 0, width).unwrap()
    }

    #[test]
    fn a_bundle_has_limits() {
        let check = |entries: Vec<Vec<u8>>, want: Result<(), TileError>| {
            assert_eq!(encode_bundle(&entries).map(|_| ()), want);
        };
        check(vec![vec![0; ENTRY_BYTES_MAX]], Ok(()));
        check(vec![vec![0; ENTRY_BYTES_MAX + 1]], Err(TileError::EntryTooLarge(65_536)));
        check(vec![vec![]; 256], Ok(()));
        check(vec![vec![]; 257], Err(TileError::TooMany(257)));
    }

    #[test]
    fn a_bundle_holds_exactly_its_width() {
        let bytes = encode_bundle(&["a", "", "bcd"]).unwrap();
        assert_eq!(bytes, b"\x00\x01a\x00\x00\x00\x03bcd");
        let entries: [&[u8]; 3] = [b"a", b"", b"bcd"];
        assert_eq!(decode_bundle(&tile(3), &bytes), Ok(entries.to_vec()));
        let check = |width, bytes: &[u8], want: TileError| {
            assert_eq!(decode_bundle(&tile(width), bytes), Err(want));
        };
        let wrong = |path: &str| TileError::Width { path: path.into() };
        check(2, &bytes, wrong("tile/entries/000.p/2"));
        check(4, &bytes, wrong("tile/entries/000.p/4"));
        check(3, &bytes[..bytes.len() - 1], TileError::Truncated(2));
        check(3, &bytes[..6], TileError::Truncated(2));
        check(3, &[&bytes[..], &[0]].concat(), TileError::Truncated(3));
        let cut: Vec<_> = Entries::of(&bytes[..6]).collect();
        assert_eq!(cut, [Ok(&b"a"[..]), Ok(b""), Err(TileError::Truncated(2))]);
    }

    #[test]
    fn a_hash_tile_holds_exactly_its_width() {
        let bytes = encode_hashes(&[[1; 32], [2; 32]]);
        assert_eq!(decode_hashes(&tile(2), &bytes), Ok(vec![[1; 32], [2; 32]]));
        assert!(decode_hashes(&tile(3), &bytes).is_err());
        assert!(decode_hashes(&tile(1), &bytes).is_err());
        assert!(decode_hashes(&tile(2), &bytes[1..]).is_err());
    }

    proptest! {
        #[test]
        fn what_reads_is_written_the_same(bytes in prop::collection::vec(0u8..4, 0..80)) {
            if let Ok(entries) = Entries::of(&bytes).collect::<Result<Vec<_>, _>>() {
                prop_assert_eq!(encode_bundle(&entries), Ok(bytes));
            }
        }
    }
}
