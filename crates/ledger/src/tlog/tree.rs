//! A whole tree in memory, for small logs and tests. It takes 64 bytes a leaf.

use super::path::{consistency_path, inclusion_path, root};
use super::{Hash, node_hash};

/// All complete subtrees of a list of leaves.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Leaves first; each level has the complete pairs of the one below.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree over these leaf hashes.
    #[must_use]
    pub fn new(leaves: &[Hash]) -> Self {
        let mut levels = Vec::new();
        let mut row = leaves.to_vec();
        while !row.is_empty() {
            let (pairs, _) = row.as_chunks::<2>();
            let above = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
            levels.push(std::mem::replace(&mut row, above));
        }
        Self { levels }
    }

    /// Root of the first `size` leaves; `None` if there are fewer.
    #[must_use]
    pub fn root(&self, size: u64) -> Option<Hash> {
        root(size, |level, index| self.node(level, index))
    }

    /// Path of the leaf at `index` among the first `size`; `None` if there are fewer.
    #[must_use]
    pub fn inclusion_path(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        inclusion_path(index, size, |level, index| self.node(level, index))
    }

    /// Proof that the first `new_size` leaves begin with the first `old_size`.
    #[must_use]
    pub fn consistency_path(&self, old_size: u64, new_size: u64) -> Option<Vec<Hash>> {
        consistency_path(old_size, new_size, |level, index| self.node(level, index))
    }

    fn node(&self, level: u32, index: u64) -> Option<Hash> {
        let row = self.levels.get(usize::try_from(level).ok()?)?;
        row.get(usize::try_from(index).ok()?).copied()
    }
}
