//! A log that can't be rewritten unnoticed: the Merkle tree of RFC 9162 section 2.1 and its signed
//! checkpoints (C2SP tlog-checkpoint, signed-note).
//!
//! The hub appends to a [`Frontier`] and keeps the [`Node`]s that it hands out; from them it proves that
//! a record is in the log, or that a newer log contains an older one. A device or an auditor checks with
//! [`verify_consistency`] and [`verify_inclusion`], and needs no more than two checkpoints and a proof.
//!
//! It needs `alloc`, no `std`. Signing and verifying a signature is the caller's: keys live elsewhere.
//!
//! ```
//! use hedgerow_tlog::{Frontier, leaf_hash};
//!
//! let mut log = Frontier::default();
//! log.append(leaf_hash(b"device enrolled"));
//! let before = log.root();
//! log.append(leaf_hash(b"device retired"));
//! assert_ne!(before, log.root());
//! assert_eq!(log.size(), 2);
//! ```
#![no_std]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "test data is small"))]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod checkpoint;
pub mod limits;
mod proof;
mod tree;

pub use checkpoint::{Checkpoint, Note, NoteProblem, key_id};
pub use proof::{consistency, inclusion, verify_consistency, verify_inclusion};
pub use tree::{Frontier, Hash, Node, NodeId, leaf_hash, node_hash};
