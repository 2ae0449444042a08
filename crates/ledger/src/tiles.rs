//! A log as static files (C2SP tlog-tiles): hash tiles and entry bundles, named by path, written
//! and strictly read. A directory of them, with a `checkpoint`, is a log that anyone can verify.
//!
//! No file is opened here: the caller's function reads a path, and what is to be written comes
//! back as paths and bytes. Nothing is signed or verified here.

mod bundle;
mod grow;

pub use bundle::{Entries, decode_bundle, decode_hashes, encode_bundle, encode_hashes};
pub use grow::{Grown, grow, node};

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::note::decode_decimal;
use crate::tlog::{Hash, SIZE_MAX, consistency_path, inclusion_path};

/// Hashes in a full tile, and entries in a full bundle.
pub const WIDTH: u64 = 256;

/// Path of a log's newest checkpoint.
pub const CHECKPOINT: &str = "checkpoint";

/// Bytes of an entry, at most: the length is a 16 bit integer.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;

/// Bytes of a bundle, at most.
pub const BUNDLE_BYTES_MAX: usize = WIDTH as usize * (ENTRY_BYTES_MAX + 2);

/// Levels of hash tiles: level 7 spans more leaves than any log has.
const LEVELS: u8 = 8;

/// Why a path, a tile or a bundle was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TileError {
    /// Not a path of a tile or bundle.
    #[error("`{0}` is not the path of a tile")]
    Path(String),
    /// An entry that a bundle cannot hold.
    #[error("entry of `{0}` bytes; a bundle holds entries of up to `{ENTRY_BYTES_MAX}`")]
    EntryTooLarge(usize),
    /// More than [`WIDTH`] entries for one bundle.
    #[error("`{0}` entries; a bundle holds up to `{WIDTH}`")]
    TooMany(usize),
    /// A bundle that ends within an entry.
    #[error("bundle ends within its entry `{0}`")]
    Truncated(usize),
    /// Not as many hashes or entries as the tile's width says.
    #[error("tile `{path}` does not hold what its width says")]
    Width {
        /// The tile.
        path: String,
    },
    /// A tile that is needed is not there.
    #[error("tile `{path}` is missing")]
    Missing {
        /// The tile.
        path: String,
    },
}

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The entries themselves.
    Entries,
    /// Roots of complete subtrees of `256^level` leaves; level 0 has the leaf hashes.
    Hashes(u8),
}

/// One file of a log. Its text form is its path: `tile/<level>/<index>[.p/<width>]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: Level,
    index: u64,
    width: u16,
}

impl Tile {
    /// The tile of a log of `size` leaves at this level and index, as wide as it is in that log.
    /// `None` where that log has none.
    #[must_use]
    pub fn of(level: Level, index: u64, size: u64) -> Option<Self> {
        let count = count(level, size);
        let start = index.checked_mul(WIDTH)?;
        let width = count.checked_sub(start)?.min(WIDTH);
        let width = u16::try_from(width).ok().filter(|width| *width > 0)?;
        Some(Self { level, index, width })
    }

    /// The tiles of a level, in order, of a log of `size` leaves.
    pub fn all(level: Level, size: u64) -> impl Iterator<Item = Self> {
        (0..).map_while(move |index| Self::of(level, index, size))
    }

    /// What it holds.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Position within its level.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Hashes or entries that it holds, 1 to 256.
    #[must_use]
    pub fn width(&self) -> usize {
        usize::from(self.width)
    }

    /// Index of the first leaf below it.
    #[must_use]
    pub fn start(&self) -> u64 {
        let span = match self.level {
            Level::Entries => 0,
            Level::Hashes(level) => 8 * u32::from(level),
        };
        (self.index * WIDTH).checked_shl(span).unwrap_or(u64::MAX)
    }

    /// Whether the log may still fill it.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        u64::from(self.width) < WIDTH
    }

    /// The full tile that replaces this one once the log has grown.
    #[must_use]
    pub fn full(&self) -> Self {
        Self { width: WIDTH as u16, ..*self }
    }

    /// Reads a path.
    ///
    /// # Errors
    /// [`TileError::Path`] if it is not the one spelling of a tile's path.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let tile = parse(path).filter(|tile| tile.to_string() == path);
        tile.ok_or_else(|| TileError::Path(path.to_owned()))
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Level::Entries => f.write_str("tile/entries")?,
            Level::Hashes(level) => write!(f, "tile/{level}")?,
        }
        let digits = self.index.to_string();
        let groups = digits.len().div_ceil(3);
        let padded = format!("{digits:0>width$}", width = groups * 3);
        for at in 1..=groups {
            let mark = if at < groups { "x" } else { "" };
            let group = padded.get((at - 1) * 3..at * 3).unwrap_or_default();
            write!(f, "/{mark}{group}")?;
        }
        if self.is_partial() {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl FromStr for Tile {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Self, TileError> {
        Self::parse(path)
    }
}

/// Takes a path apart, leniently: only a path that is written the same is one.
fn parse(path: &str) -> Option<Tile> {
    let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let level = match level {
        "entries" => Level::Entries,
        number => Level::Hashes(number.parse().ok().filter(|level| *level < LEVELS)?),
    };
    let (digits, width) = match rest.split_once(".p/") {
        Some((digits, width)) => (digits, u16::try_from(decode_decimal(width)?).ok()?),
        None => (rest, WIDTH as u16),
    };
    let digits: String = digits.chars().filter(|char| !matches!(char, 'x' | '/')).collect();
    let index: u64 = digits.parse().ok()?;
    let (index, width) = (index <= SIZE_MAX / WIDTH).then_some((index, width))?;
    (1..=WIDTH as u16).contains(&width).then_some(Tile { level, index, width })
}

/// Hashes or entries of a level in a log of `size` leaves.
fn count(level: Level, size: u64) -> u64 {
    match level {
        Level::Entries => size,
        Level::Hashes(level) => size.checked_shr(8 * u32::from(level)).unwrap_or(0),
    }
}

/// Path of the leaf at `index` among the first `size`, made from tiles.
///
/// `read` gives a tile's bytes; where a partial tile is gone, the full one is asked for.
pub fn prove_inclusion(
    index: u64,
    size: u64,
    mut read: impl FnMut(&Tile) -> Option<Vec<u8>>,
) -> Option<Vec<Hash>> {
    inclusion_path(index, size, |level, at| node(size, level, at, &mut read))
}

/// Proof that the first `new_size` leaves begin with the first `old_size`, made from tiles.
pub fn prove_consistency(
    old_size: u64,
    new_size: u64,
    mut read: impl FnMut(&Tile) -> Option<Vec<u8>>,
) -> Option<Vec<Hash>> {
    consistency_path(old_size, new_size, |level, at| node(new_size, level, at, &mut read))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let check = |level, index: u64, size: u64, want: &str| {
            let tile = Tile::of(level, index, size).unwrap();
            assert_eq!(tile.to_string(), want);
            assert_eq!(Tile::parse(want), Ok(tile));
        };
        check(Level::Hashes(0), 0, 256, "tile/0/000");
        check(Level::Hashes(0), 0, 5, "tile/0/000.p/5");
        check(Level::Hashes(0), 1_234_067, SIZE_MAX, "tile/0/x001/x234/067");
        check(Level::Hashes(1), 1, 70_000, "tile/1/001.p/17");
        check(Level::Hashes(2), 0, 70_000, "tile/2/000.p/1");
        check(Level::Hashes(7), 0, SIZE_MAX, "tile/7/000.p/127");
        check(Level::Entries, 999, 256_000, "tile/entries/999");
        check(Level::Entries, 1000, 256_255, "tile/entries/x001/000.p/255");
    }

    #[test]
    fn other_spellings_of_a_path_are_refused() {
        for path in [
            "",
            "tile",
            "checkpoint",
            "/tile/0/000",
            "tile/0/000/",
            "tile/0/0",
            "tile/0/0000",
            "tile/00/000",
            "tile/8/000",
            "tile/-1/000",
            "tile/+1/000",
            "tile/data/000",
            "tile/0/x000/001",
            "tile/0/001/067",
            "tile/0/x001",
            "tile/0/x001/x067",
            "tile/0/0a0",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/05",
            "tile/0/000.p/",
            "tile/0/000.p",
            "tile/0/../000",
            "tile/0/+01",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(Tile::parse(path), Err(TileError::Path(path.into())));
        }
    }

    #[test]
    fn a_log_has_the_tiles_that_the_specification_counts() {
        let check = |level, size, full: usize, partial: Option<usize>| {
            let tiles: Vec<_> = Tile::all(level, size).collect();
            assert_eq!(tiles.iter().filter(|tile| !tile.is_partial()).count(), full);
            let last = tiles.last().filter(|tile| tile.is_partial()).map(Tile::width);
            assert_eq!(last, partial, "{level:?} of {size}");
        };
        check(Level::Hashes(0), 70_000, 273, Some(112));
        check(Level::Entries, 70_000, 273, Some(112));
        check(Level::Hashes(1), 70_000, 1, Some(17));
        check(Level::Hashes(2), 70_000, 0, Some(1));
        check(Level::Hashes(3), 70_000, 0, None);
        check(Level::Hashes(0), 256, 1, None);
        check(Level::Hashes(1), 256, 0, Some(1));
        check(Level::Entries, 0, 0, None);
        assert_eq!(Tile::parse("tile/2/001").unwrap().start(), 256 * 65_536);
        assert_eq!(Tile::parse("tile/entries/002").unwrap().start(), 512);
    }

    proptest! {
        #[test]
        fn every_path_reads_back(level in 0u8..9, index in 0..SIZE_MAX / WIDTH, size in 1..SIZE_MAX) {
            let level = if level == 8 { Level::Entries } else { Level::Hashes(level) };
            for tile in [Tile::of(level, 0, size), Tile::of(level, index, size)].into_iter().flatten() {
                prop_assert_eq!(Tile::parse(&tile.to_string()), Ok(tile));
            }
        }
    }
}
