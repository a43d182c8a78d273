//! Limits of the log.

/// Hashes in a proof: a tree of 2^62 records has no longer one.
pub const PROOF_HASHES_MAX: usize = 64;

/// Bytes of a checkpoint with its signatures.
pub const NOTE_BYTES_MAX: usize = 4096;
