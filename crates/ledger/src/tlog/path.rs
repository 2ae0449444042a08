//! Inclusion and consistency proofs of RFC 9162 §2.1.3 and §2.1.4, both ways.
//!
//! Makers take a function `node(level, index)` that returns the root of the complete subtree over
//! leaves `index << level .. (index + 1) << level`; they ask for no other.

use super::{EMPTY_ROOT, Hash, PATH_MAX, node_hash};

/// The root that `path` leads to from `leaf` at `index` in a tree of `size` leaves (RFC 9162
/// §2.1.3.2). `None` if the path has not the length that the position calls for.
#[must_use]
pub fn root_from_path(index: u64, size: u64, leaf: &Hash, path: &[Hash]) -> Option<Hash> {
    if index >= size || path.len() > PATH_MAX {
        return None;
    }
    let (mut node, mut last) = (index, size - 1);
    let mut root = *leaf;
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            root = node_hash(sibling, &root);
            (node, last) = skip_promotions(node, last);
        } else {
            root = node_hash(&root, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

/// Whether `path` proves `leaf` at `index` in the tree of `size` leaves with this root.
#[must_use]
pub fn verify_inclusion(index: u64, size: u64, leaf: &Hash, path: &[Hash], root: &Hash) -> bool {
    root_from_path(index, size, leaf, path).is_some_and(|found| found == *root)
}

/// Whether `path` proves that the tree of `new_size` leaves begins with the tree of `old_size`
/// leaves (RFC 9162 §2.1.4.2). Between equal sizes, and from the empty tree, the path is empty.
#[must_use]
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    path: &[Hash],
) -> bool {
    if old_size >= new_size || old_size == 0 {
        let same = old_size == new_size && old_root == new_root;
        let grown = old_size == 0 && new_size > 0 && *old_root == EMPTY_ROOT;
        return path.is_empty() && (same || grown);
    }
    // Where the old tree is one complete subtree, the path leaves its root out.
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, path)
    } else {
        let Some((first, rest)) = path.split_first() else {
            return false;
        };
        (first, rest)
    };
    match roots_from_path(old_size, new_size, first, rest) {
        Some((old, new)) => old == *old_root && new == *new_root,
        None => false,
    }
}

fn roots_from_path(old: u64, new: u64, first: &Hash, rest: &[Hash]) -> Option<(Hash, Hash)> {
    if rest.len() > PATH_MAX {
        return None;
    }
    let (mut node, mut last) = (old - 1, new - 1);
    let complete = node.trailing_ones();
    node >>= complete;
    last >>= complete;
    let (mut old_root, mut new_root) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            old_root = node_hash(sibling, &old_root);
            new_root = node_hash(sibling, &new_root);
            (node, last) = skip_promotions(node, last);
        } else {
            new_root = node_hash(&new_root, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some((old_root, new_root))
}

/// Up to the level where the node is a right child: below it the right edge has no siblings.
fn skip_promotions(node: u64, last: u64) -> (u64, u64) {
    if node == 0 {
        return (node, last);
    }
    let levels = node.trailing_zeros();
    (node >> levels, last >> levels)
}

/// Root of the first `size` leaves. `None` if `node` lacks one.
pub fn root(size: u64, mut node: impl FnMut(u32, u64) -> Option<Hash>) -> Option<Hash> {
    if size == 0 {
        return Some(EMPTY_ROOT);
    }
    range_root(0, size, &mut node)
}

/// Path of the leaf at `index` in the tree of the first `size` leaves, from its sibling up (RFC
/// 9162 §2.1.3.1). `None` if there is no such leaf or `node` lacks a hash.
pub fn inclusion_path(
    index: u64,
    size: u64,
    mut node: impl FnMut(u32, u64) -> Option<Hash>,
) -> Option<Vec<Hash>> {
    if index >= size {
        return None;
    }
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while high - low > 1 {
        let split = low + split_width(high - low);
        if index < split {
            path.push(range_root(split, high, &mut node)?);
            high = split;
        } else {
            path.push(range_root(low, split, &mut node)?);
            low = split;
        }
    }
    path.reverse();
    Some(path)
}

/// Proof that the first `new_size` leaves begin with the first `old_size` (RFC 9162 §2.1.4.1).
/// `None` if `old_size` is the larger or `node` lacks a hash.
pub fn consistency_path(
    old_size: u64,
    new_size: u64,
    mut node: impl FnMut(u32, u64) -> Option<Hash>,
) -> Option<Vec<Hash>> {
    if old_size > new_size {
        return None;
    }
    if old_size == 0 || old_size == new_size {
        return Some(Vec::new());
    }
    let (mut low, mut high) = (0, new_size);
    let mut path = Vec::new();
    while high != old_size {
        let split = low + split_width(high - low);
        if old_size <= split {
            path.push(range_root(split, high, &mut node)?);
            high = split;
        } else {
            path.push(range_root(low, split, &mut node)?);
            low = split;
        }
    }
    // The verifier has the old root, so the subtree is left out where it is the old tree.
    if low > 0 {
        path.push(range_root(low, high, &mut node)?);
    }
    path.reverse();
    Some(path)
}

/// Largest power of two below `width`, which is at least 2.
fn split_width(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}

/// Root over leaves `low..high`, where `low` is a multiple of the power of two at or above the
/// width: so each complete part is one node.
fn range_root(
    low: u64,
    high: u64,
    node: &mut impl FnMut(u32, u64) -> Option<Hash>,
) -> Option<Hash> {
    let width = high - low;
    if width.is_power_of_two() {
        let level = width.trailing_zeros();
        return node(level, low >> level);
    }
    let split = low + split_width(width);
    let left = range_root(low, split, node)?;
    let right = range_root(split, high, node)?;
    Some(node_hash(&left, &right))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Tree, leaf_hash};
    use super::*;

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(n.to_string().as_bytes())).collect()
    }

    /// Removing, adding, changing or swapping a hash of a path.
    fn mutants(path: &[Hash]) -> Vec<Vec<Hash>> {
        let mut mutants = vec![[path, &[[0; 32]]].concat(), [&[[0; 32]], path].concat()];
        for at in 0..path.len() {
            let mut changed = path.to_vec();
            changed[at][at % 32] ^= 1;
            let mut shorter = path.to_vec();
            shorter.remove(at);
            mutants.extend([changed, shorter]);
            if at > 0 {
                let mut swapped = path.to_vec();
                swapped.swap(at - 1, at);
                mutants.push(swapped);
            }
        }
        mutants
    }

    #[test]
    fn every_leaf_of_every_tree_up_to_70_is_included_and_no_other() {
        let leaves = leaves(71);
        let tree = Tree::new(&leaves);
        for size in 1..=70 {
            let root = tree.root(size).unwrap();
            for index in 0..size {
                let leaf = &leaves[index as usize];
                let path = tree.inclusion_path(index, size).unwrap();
                assert!(verify_inclusion(index, size, leaf, &path, &root), "{index} of {size}");
                let other = &leaves[index as usize + 1];
                assert!(!verify_inclusion(index, size, other, &path, &root));
                assert!(!verify_inclusion(index + 1, size, leaf, &path, &root));
                for mutant in mutants(&path) {
                    assert!(!verify_inclusion(index, size, leaf, &mutant, &root));
                }
            }
            assert_eq!(tree.inclusion_path(size, size), None);
            assert!(!verify_inclusion(size, size, &leaves[0], &[], &root));
        }
        assert!(!verify_inclusion(0, 0, &leaves[0], &[], &EMPTY_ROOT));
    }

    #[test]
    fn every_pair_of_trees_up_to_40_is_consistent_and_no_other() {
        let leaves = leaves(41);
        let tree = Tree::new(&leaves);
        for new in 0..=40 {
            let new_root = tree.root(new).unwrap();
            for old in 0..=new {
                let old_root = tree.root(old).unwrap();
                let path = tree.consistency_path(old, new).unwrap();
                let check = |old_root, new_root, path: &[Hash]| {
                    verify_consistency(old, old_root, new, new_root, path)
                };
                assert!(check(&old_root, &new_root, &path), "{old} to {new}");
                assert!(!check(&[9; 32], &new_root, &path), "{old} to {new}");
                assert!(old == 0 || !check(&old_root, &[9; 32], &path), "{old} to {new}");
                for mutant in mutants(&path) {
                    assert!(!check(&old_root, &new_root, &mutant), "{old} to {new}");
                }
            }
            assert_eq!(tree.consistency_path(new + 1, new), None);
            let larger = tree.root(new + 1).unwrap();
            assert!(!verify_consistency(new + 1, &larger, new, &new_root, &[]));
        }
    }

    #[test]
    fn a_path_longer_than_any_tree_needs_is_refused() {
        let path = vec![[0; 32]; PATH_MAX + 1];
        assert_eq!(root_from_path(0, u64::MAX, &[0; 32], &path), None);
        assert!(root_from_path(0, u64::MAX, &[0; 32], &path[1..]).is_some());
        assert!(!verify_consistency(1, &[0; 32], u64::MAX, &[0; 32], &path));
    }

    proptest! {
        #[test]
        fn arbitrary_paths_neither_panic_nor_prove(
            index: u64, size: u64, old: u64, path in prop::collection::vec(any::<Hash>(), 0..70),
        ) {
            prop_assert!(!verify_inclusion(index, size, &[1; 32], &path, &[2; 32]));
            prop_assert!(!verify_consistency(old, &[1; 32], size, &[2; 32], &path));
        }
    }
}
