//! The Merkle tree of RFC 6962 §2.1 (RFC 9162 §2.1): hashing, the compact range that a writer
//! keeps, and inclusion and consistency proofs, made and verified.
//!
//! It holds no records and knows nothing of signatures, files or checkpoints: a leaf is 32 bytes
//! here, and where a complete subtree's hash is needed the caller's function supplies it.

mod path;
mod tree;

pub use path::{
    consistency_path, inclusion_path, root, root_from_path, verify_consistency, verify_inclusion,
};
pub use tree::Tree;

use ring::digest::{Context, SHA256};
use thiserror::Error;

/// A SHA-256 hash: of a leaf, of a subtree, or of a whole tree.
pub type Hash = [u8; 32];

/// Leaves in a tree, at most: what fits a signed 64-bit integer, as databases keep them.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// Hashes in an inclusion path, at most: no tree of up to [`SIZE_MAX`] leaves is deeper.
pub const PATH_MAX: usize = 64;

/// Root of the tree with no leaves: SHA-256 of nothing (RFC 6962 §2.1).
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// Why stored bytes are not a [`Frontier`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FrontierError {
    /// Shorter than the size field.
    #[error("stored tree state is shorter than its size field")]
    Short,
    /// More leaves than [`SIZE_MAX`].
    #[error("stored tree state claims `{0}` leaves")]
    Size(u64),
    /// The number of hashes is not the one that the size calls for.
    #[error("stored tree state of size `{size}` has `{bytes}` bytes of hashes")]
    Hashes {
        /// Leaves claimed.
        size: u64,
        /// Bytes after the size field.
        bytes: usize,
    },
}

/// Hash of a leaf: SHA-256(0x00 ‖ value).
#[must_use]
pub fn leaf_hash(value: &[u8]) -> Hash {
    hash(&[&[0x00], value])
}

/// Hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[0x01], left, right])
}

pub(crate) fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// The compact range of a log: its size and the roots of its complete subtrees, one for each set
/// bit of the size. It is all a writer or a verifier needs to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Widest subtree first.
    nodes: Vec<Hash>,
}

impl Frontier {
    /// The empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves pushed.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.nodes.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.nodes.push(node);
        self.size += 1;
    }

    /// Root of the tree of all leaves pushed.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut nodes = self.nodes.iter().rev();
        let Some(narrowest) = nodes.next() else {
            return EMPTY_ROOT;
        };
        nodes.fold(*narrowest, |right, left| node_hash(left, &right))
    }

    /// As bytes: the size, 8 bytes big endian, then the hashes, widest subtree first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        for node in &self.nodes {
            bytes.extend_from_slice(node);
        }
        bytes
    }

    /// The inverse of [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// If the bytes are too few, too many, or claim more than [`SIZE_MAX`] leaves. Nothing says
    /// whether the hashes are right: compare [`root`](Self::root) with a signed checkpoint.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let Some((size, hashes)) = bytes.split_first_chunk::<8>() else {
            return Err(FrontierError::Short);
        };
        let size = u64::from_be_bytes(*size);
        if size > SIZE_MAX {
            return Err(FrontierError::Size(size));
        }
        let (nodes, rest) = hashes.as_chunks::<32>();
        if !rest.is_empty() || nodes.len() != size.count_ones() as usize {
            let bytes = hashes.len();
            return Err(FrontierError::Hashes { size, bytes });
        }
        let nodes = nodes.to_vec();
        Ok(Self { size, nodes })
    }

    /// Root of the complete subtree of `2^level` leaves that ends this range's part of that
    /// width, if the size has that bit.
    fn node(&self, level: u32) -> Option<&Hash> {
        let wider = self.size.checked_shr(level)?;
        let position = (wider >> 1).count_ones() as usize;
        if wider & 1 == 1 { self.nodes.get(position) } else { None }
    }
}

/// Inclusion paths of a commit group: one for each of `leaves`, in the tree that has them
/// appended to `before`, from the leaf's sibling up.
#[must_use]
pub fn group_proofs(before: &Frontier, leaves: &[Hash]) -> Vec<Vec<Hash>> {
    let levels = group_levels(before, leaves);
    let indices = (before.size..).take(leaves.len());
    indices.map(|index| group_path(&levels, index)).collect()
}

/// The nodes of one level from an even position on, up to the tree's right edge.
struct Level {
    start: u64,
    nodes: Vec<Hash>,
}

/// Every level's nodes that a path of the group can touch. A node without a right sibling rises
/// unchanged, which is what RFC 6962's split at the largest power of two comes to.
fn group_levels(before: &Frontier, leaves: &[Hash]) -> Vec<Level> {
    let mut levels = Vec::new();
    let mut start = before.size;
    let mut row = leaves.to_vec();
    for depth in 0.. {
        if start & 1 == 1
            && let Some(left) = before.node(depth)
        {
            row.insert(0, *left);
            start -= 1;
        }
        if start == 0 && row.len() <= 1 {
            break;
        }
        let above = row.chunks(2).map(|pair| match pair {
            [left, right] => node_hash(left, right),
            [alone, ..] => *alone,
            [] => EMPTY_ROOT,
        });
        let above = above.collect();
        levels.push(Level { start, nodes: row });
        row = above;
        start >>= 1;
    }
    levels
}

fn group_path(levels: &[Level], leaf: u64) -> Vec<Hash> {
    let mut path = Vec::with_capacity(levels.len());
    let mut index = leaf;
    for level in levels {
        let sibling = usize::try_from((index ^ 1) - level.start).ok();
        if let Some(hash) = sibling.and_then(|at| level.nodes.get(at)) {
            path.push(*hash);
        }
        index >>= 1;
    }
    path
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(hash: &Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(n.to_string().as_bytes())).collect()
    }

    fn frontier(count: u64) -> Frontier {
        let mut frontier = Frontier::new();
        leaves(count).into_iter().for_each(|leaf| frontier.push(leaf));
        frontier
    }

    /// The inputs and roots that Certificate Transparency's implementations test with.
    #[test]
    fn roots_of_the_certificate_transparency_vectors() {
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::new();
        assert_eq!(hex(&frontier.root()), roots[0]);
        for (input, root) in inputs.iter().zip(&roots[1..]) {
            frontier.push(leaf_hash(input));
            assert_eq!(hex(&frontier.root()), *root);
        }
    }

    #[test]
    fn a_frontier_survives_being_stored_and_nothing_else_is_one() {
        for size in 0..70 {
            let whole = frontier(size);
            let bytes = whole.to_bytes();
            assert_eq!(Frontier::from_bytes(&bytes), Ok(whole));
            let mut longer = bytes.clone();
            longer.push(0);
            assert!(Frontier::from_bytes(&longer).is_err(), "{size}");
            assert!(Frontier::from_bytes(&bytes[..bytes.len() - 1]).is_err(), "{size}");
        }
        let huge = (SIZE_MAX + 1).to_be_bytes();
        assert_eq!(Frontier::from_bytes(&huge), Err(FrontierError::Size(SIZE_MAX + 1)));
        let largest = [SIZE_MAX.to_be_bytes().to_vec(), vec![7; 63 * 32]].concat();
        assert!(Frontier::from_bytes(&largest).is_ok());
    }

    #[test]
    fn group_proofs_are_the_paths_of_the_whole_tree() {
        for before in 0..40 {
            for group in 0..20 {
                let all = leaves(before + group);
                let tree = Tree::new(&all);
                let added = &all[before as usize..];
                let paths = group_proofs(&frontier(before), added);
                let want: Vec<_> = (before..before + group)
                    .map(|index| tree.inclusion_path(index, before + group).unwrap())
                    .collect();
                assert_eq!(paths, want, "{group} leaves after {before}");
            }
        }
    }

    proptest! {
        #[test]
        fn group_proofs_verify(before in 0u64..5000, group in 1u64..300) {
            let added: Vec<_> = leaves(before + group).split_off(before as usize);
            let mut tree = frontier(before);
            let paths = group_proofs(&tree, &added);
            added.iter().for_each(|leaf| tree.push(*leaf));
            for ((index, leaf), path) in (before..).zip(&added).zip(&paths) {
                prop_assert!(verify_inclusion(index, tree.size(), leaf, path, &tree.root()));
            }
        }
    }
}
