//! The last leaves of a log, and from them its root at any size within their range.

use std::collections::VecDeque;

use crate::tlog::{Frontier, Hash};

/// Leaves remembered, at most.
pub(super) const RECENT_MAX: usize = 4096;

/// A window that ends with the newest leaf.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    /// All leaves before the window.
    before: Frontier,
    leaves: VecDeque<Hash>,
}

impl Recent {
    /// An empty window after these leaves.
    pub(super) fn after(before: Frontier) -> Self {
        Self { before, leaves: VecDeque::new() }
    }

    pub(super) fn push(&mut self, leaf: Hash) {
        self.leaves.push_back(leaf);
        if self.leaves.len() > RECENT_MAX {
            let oldest = self.leaves.pop_front();
            oldest.into_iter().for_each(|oldest| self.before.push(oldest));
        }
    }

    pub(super) fn leaf(&self, index: u64) -> Option<&Hash> {
        let at = index.checked_sub(self.before.size())?;
        self.leaves.get(usize::try_from(at).ok()?)
    }

    /// Root of the first `size` leaves, unless they end before the window or after it.
    pub(super) fn root(&self, size: u64) -> Option<Hash> {
        let taken = usize::try_from(size.checked_sub(self.before.size())?).ok()?;
        if taken > self.leaves.len() {
            return None;
        }
        let mut frontier = self.before.clone();
        self.leaves.iter().take(taken).for_each(|leaf| frontier.push(*leaf));
        Some(frontier.root())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::{Tree, leaf_hash};

    #[test]
    fn the_window_knows_its_leaves_and_roots_and_no_others() {
        let count = RECENT_MAX as u64 + 100;
        let leaves: Vec<_> = (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let tree = Tree::new(&leaves);
        let mut recent = Recent::after(Frontier::new());
        leaves.iter().for_each(|leaf| recent.push(*leaf));
        for (index, known) in
            [(0, false), (99, false), (100, true), (count - 1, true), (count, false)]
        {
            let want = if known { leaves.get(index as usize) } else { None };
            assert_eq!(recent.leaf(index), want, "{index}");
        }
        for (size, known) in
            [(0, false), (99, false), (100, true), (101, true), (count, true), (count + 1, false)]
        {
            let want = if known { tree.root(size) } else { None };
            assert_eq!(recent.root(size), want, "{size}");
        }
    }
}
