use alloc::vec::Vec;

use sha2::{Digest, Sha256};

/// SHA-256 of a record or of two hashes.
pub type Hash = [u8; 32];

/// The hash of a record: SHA-256 over 0x00 and its bytes.
#[must_use]
pub fn leaf_hash(record: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(record).finalize().into()
}

/// The hash over two neighbours: SHA-256 over 0x01 and both.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Which perfect subtree: `2^level` records, the `index`-th of its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId {
    /// 0 for a record.
    pub level: u8,
    /// Counted from the first record of the log.
    pub index: u64,
}

/// A perfect subtree and its hash; once full it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Which one.
    pub id: NodeId,
    /// Its hash.
    pub hash: Hash,
}

/// The right edge of a log: enough to append and to name the root.
///
/// INVARIANT: one hash for each set bit of `size`, the largest subtree first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    edge: Vec<Hash>,
}

impl Frontier {
    /// The nodes that [`Self::restore`] needs for a log of `size` records, largest first.
    pub fn nodes_of(size: u64) -> impl Iterator<Item = NodeId> {
        (0..64u8)
            .rev()
            .filter(move |level| size >> level & 1 == 1)
            .map(move |level| NodeId { level, index: (size >> level) - 1 })
    }

    /// The frontier of a log of `size` records from the hashes of [`Self::nodes_of`]; `None` when
    /// their number does not fit.
    #[must_use]
    pub fn restore(size: u64, edge: Vec<Hash>) -> Option<Self> {
        (edge.len() == size.count_ones() as usize).then_some(Self { size, edge })
    }

    /// Records in the log.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a record's [`leaf_hash`] and gives every node that became full by it, the record first.
    pub fn append(&mut self, leaf: Hash) -> Vec<Node> {
        let mut node = Node { id: NodeId { level: 0, index: self.size }, hash: leaf };
        let mut full = Vec::from([node]);
        while self.size >> node.id.level & 1 == 1 {
            let Some(left) = self.edge.pop() else { break };
            let id = NodeId { level: node.id.level + 1, index: node.id.index >> 1 };
            node = Node { id, hash: node_hash(&left, &node.hash) };
            full.push(node);
        }
        self.edge.push(node.hash);
        self.size += 1;
        full
    }

    /// The root over all records; SHA-256 of nothing for an empty log.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut edge = self.edge.iter().rev();
        let Some(first) = edge.next() else { return Sha256::digest([]).into() };
        edge.fold(*first, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            many => {
                let half = many.len().next_power_of_two() / 2;
                node_hash(&naive_root(&many[..half]), &naive_root(&many[half..]))
            }
        }
    }

    #[test]
    fn roots_agree_with_the_definition_at_every_size() {
        let mut log = Frontier::default();
        let mut leaves = Vec::new();
        for record in 0..70u8 {
            assert_eq!(log.root(), naive_root(&leaves));
            leaves.push(leaf_hash(&[record]));
            log.append(leaf_hash(&[record]));
        }
    }

    /// The inputs and roots of the test data that Certificate Transparency implementations share.
    #[test]
    fn the_published_roots_come_out() {
        let records: [&[u8]; 3] = [b"", b"\x00", b"\x10"];
        let mut log = Frontier::default();
        let hex = |hash: Hash| {
            hash.iter().map(|b| std::format!("{b:02x}")).collect::<std::string::String>()
        };
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        ];
        for (record, root) in records.into_iter().zip(roots) {
            log.append(leaf_hash(record));
            assert_eq!(hex(log.root()), root);
        }
    }

    #[test]
    fn a_frontier_is_restored_from_its_nodes() {
        let mut log = Frontier::default();
        let mut nodes = std::collections::BTreeMap::new();
        for record in 0..45u8 {
            nodes.extend(log.append(leaf_hash(&[record])).into_iter().map(|n| (n.id, n.hash)));
        }
        let edge = Frontier::nodes_of(45).map(|id| nodes[&id]).collect();
        assert_eq!(Frontier::restore(45, edge), Some(log));
        assert_eq!(Frontier::restore(45, Vec::new()), None);
    }
}
