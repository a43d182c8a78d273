use alloc::vec::Vec;

use crate::{Hash, NodeId, limits::PROOF_HASHES_MAX, node_hash};

/// The hash over the records `from..to`, from full nodes; `None` when a node is missing.
fn range(from: u64, to: u64, node: &mut impl FnMut(NodeId) -> Option<Hash>) -> Option<Hash> {
    let len = to - from;
    if len.is_power_of_two() && from.is_multiple_of(len) {
        let level = u8::try_from(len.trailing_zeros()).ok()?;
        return node(NodeId { level, index: from >> level });
    }
    let middle = from + largest_power_below(len);
    let left = range(from, middle, node)?;
    let right = range(middle, to, node)?;
    Some(node_hash(&left, &right))
}

fn largest_power_below(len: u64) -> u64 {
    1 << (63 - (len - 1).leading_zeros())
}

/// Proves that a log of `new` records begins with the `old` records of an earlier one (RFC 9162 section
/// 2.1.4.1). `node` looks up full nodes; `None` when one is missing or `old` is 0 or over `new`.
pub fn consistency(
    old: u64,
    new: u64,
    mut node: impl FnMut(NodeId) -> Option<Hash>,
) -> Option<Vec<Hash>> {
    if old == 0 || old > new {
        return None;
    }
    let mut proof = Vec::new();
    let (mut from, mut to, mut is_whole) = (0, new, true);
    // Walks from the root to the old edge; what it passes by is the proof, leaves first.
    loop {
        if old == to {
            if !is_whole {
                proof.push(range(from, to, &mut node)?);
            }
            break;
        }
        let middle = from + largest_power_below(to - from);
        if old <= middle {
            proof.push(range(middle, to, &mut node)?);
            to = middle;
        } else {
            proof.push(range(from, middle, &mut node)?);
            from = middle;
            is_whole = false;
        }
    }
    proof.reverse();
    Some(proof)
}

/// Proves that the record at `index` is in a log of `size` records (RFC 9162 section 2.1.3.1).
pub fn inclusion(
    index: u64,
    size: u64,
    mut node: impl FnMut(NodeId) -> Option<Hash>,
) -> Option<Vec<Hash>> {
    if index >= size {
        return None;
    }
    let mut proof = Vec::new();
    let (mut from, mut to) = (0, size);
    while to - from > 1 {
        let middle = from + largest_power_below(to - from);
        if index < middle {
            proof.push(range(middle, to, &mut node)?);
            to = middle;
        } else {
            proof.push(range(from, middle, &mut node)?);
            from = middle;
        }
    }
    proof.reverse();
    Some(proof)
}

/// Whether the log with `new` records and `new_root` contains, unchanged and in order, the one with
/// `old` records and `old_root` (RFC 9162 section 2.1.4.2). An empty log is contained in every log.
#[must_use]
pub fn verify_consistency(
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    proof: &[Hash],
) -> bool {
    if old > new || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    if old == 0 {
        return proof.is_empty();
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    let mut hashes = proof.iter();
    let first = if old.is_power_of_two() { Some(old_root) } else { hashes.next() };
    let Some(first) = first else { return false };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut to_old, mut to_new) = (*first, *first);
    for hash in hashes {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            to_old = node_hash(hash, &to_old);
            to_new = node_hash(hash, &to_new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            to_new = node_hash(&to_new, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && to_old == *old_root && to_new == *new_root
}

/// Whether the record with hash `leaf` stands at `index` in the log with `size` records and `root`
/// (RFC 9162 section 2.1.3.2).
#[must_use]
pub fn verify_inclusion(index: u64, leaf: &Hash, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if index >= size || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for step in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(step, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, vec::Vec};

    use super::*;
    use crate::{Frontier, leaf_hash};

    const SIZE: u8 = 40;

    fn log() -> (Vec<Hash>, BTreeMap<NodeId, Hash>) {
        let (mut log, mut roots, mut nodes) = (Frontier::default(), Vec::new(), BTreeMap::new());
        roots.push(log.root());
        for record in 0..SIZE {
            nodes.extend(log.append(leaf_hash(&[record])).into_iter().map(|n| (n.id, n.hash)));
            roots.push(log.root());
        }
        (roots, nodes)
    }

    #[test]
    fn every_log_proves_every_earlier_one() {
        let (roots, nodes) = log();
        for new in 1..=u64::from(SIZE) {
            for old in 1..=new {
                let proof = consistency(old, new, |id| nodes.get(&id).copied()).unwrap();
                let (o, n) = (&roots[old as usize], &roots[new as usize]);
                assert!(verify_consistency((old, o), (new, n), &proof), "{old} {new}");
            }
        }
    }

    #[test]
    fn every_record_is_proven_where_it_stands_and_nowhere_else() {
        let (roots, nodes) = log();
        for size in 1..=u64::from(SIZE) {
            for index in 0..size {
                let proof = inclusion(index, size, |id| nodes.get(&id).copied()).unwrap();
                let leaf = leaf_hash(&[index as u8]);
                let root = &roots[size as usize];
                assert!(verify_inclusion(index, &leaf, size, root, &proof));
                assert!(!verify_inclusion(index, &leaf_hash(b"other"), size, root, &proof));
                let elsewhere = if index == 0 { size } else { index - 1 };
                assert!(!verify_inclusion(elsewhere, &leaf, size, root, &proof));
            }
        }
    }

    #[test]
    fn a_rewritten_shortened_or_padded_history_is_refused() {
        let (roots, nodes) = log();
        for (old, new) in [(1u64, 40u64), (7, 8), (8, 9), (13, 29), (32, 40), (39, 40)] {
            let proof = consistency(old, new, |id| nodes.get(&id).copied()).unwrap();
            let (o, n) = (roots[old as usize], roots[new as usize]);
            let forged = leaf_hash(b"forged");
            assert!(!verify_consistency((old, &forged), (new, &n), &proof));
            assert!(!verify_consistency((old, &o), (new, &forged), &proof));
            assert!(!verify_consistency((new, &n), (old, &o), &proof));
            let mut padded = proof.clone();
            padded.push(forged);
            assert!(!verify_consistency((old, &o), (new, &n), &padded));
            let shortened = &proof[..proof.len() - 1];
            assert!(!verify_consistency((old, &o), (new, &n), shortened));
            for at in 0..proof.len() {
                let mut changed = proof.clone();
                changed[at][0] ^= 1;
                assert!(!verify_consistency((old, &o), (new, &n), &changed));
            }
        }
    }

    #[test]
    fn a_proof_one_hash_over_the_limit_is_refused_unread() {
        let proof = std::vec![[0; 32]; PROOF_HASHES_MAX + 1];
        assert!(!verify_consistency((1, &[0; 32]), (u64::MAX, &[0; 32]), &proof));
        assert!(!verify_inclusion(1, &[0; 32], u64::MAX, &[0; 32], &proof));
    }
}
