//! A proof from anywhere, for a log whose true roots are known: only the true proof is believed. The first
//! three bytes choose what is to be proven; a proof between logs of any size is tried as well.

use hedgerow_tlog::{
    Frontier, Hash, NodeId, consistency, inclusion, leaf_hash, verify_consistency, verify_inclusion,
};

/// Records of the longest log.
const RECORDS_MAX: u8 = 48;

pub(super) fn run(bytes: &[u8]) -> bool {
    let [kind, one, two, hashes @ ..] = bytes else { return false };
    let (hashes, rest) = hashes.as_chunks::<32>();
    wild(hashes, rest);
    let (roots, nodes) = log();
    let (one, two) = (one % (RECORDS_MAX + 1), two % (RECORDS_MAX + 1));
    let root = |size: u8| &roots[usize::from(size)];
    let (old_root, root) = (root(one), root(two));
    let (one, two) = (u64::from(one), u64::from(two));
    let node = |id: NodeId| nodes.iter().find(|known| known.0 == id).map(|known| known.1);
    let (believed, truth) = if kind & 1 == 0 {
        // The empty log is in every log, without a proof.
        let truth = if one == 0 { Some(Vec::new()) } else { consistency(one, two, node) };
        (verify_consistency((one, old_root), (two, root), hashes), truth)
    } else {
        let leaf = leaf_hash(&one.to_be_bytes());
        (verify_inclusion(one, &leaf, two, root, hashes), inclusion(one, two, node))
    };
    assert_eq!(believed, truth.is_some_and(|truth| truth == hashes));
    believed
}

/// Any sizes and roots: it ends.
fn wild(hashes: &[Hash], rest: &[u8]) {
    let size = |at: usize| {
        let byte = |n: usize| rest.get(at + n).copied().unwrap_or(0xff);
        u64::from_be_bytes(core::array::from_fn(byte))
    };
    let [old, new, proof @ ..] = hashes else { return };
    let _ = verify_consistency((size(0), old), (size(8), new), proof);
    let _ = verify_inclusion(size(0), old, size(8), new, proof);
}

/// The roots of the logs of 0, 1, 2 … records, and their nodes.
fn log() -> (Vec<Hash>, Vec<(NodeId, Hash)>) {
    let mut log = Frontier::default();
    let (mut roots, mut nodes) = (vec![log.root()], Vec::new());
    for record in 0..u64::from(RECORDS_MAX) {
        let fresh = log.append(leaf_hash(&record.to_be_bytes()));
        nodes.extend(fresh.into_iter().map(|node| (node.id, node.hash)));
        roots.push(log.root());
    }
    (roots, nodes)
}
