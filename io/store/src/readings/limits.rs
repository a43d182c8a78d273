//! Limits of the readings' store. Each has a test at it and one past it, or names the one that holds it.

/// Bytes of readings that wait for the next commit; beyond it offers are refused as Unavailable.
pub const PENDING_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of journal after which what is unsealed is written anew under a new key, and the rest deleted;
/// twice the memory of unsealed points when that is more.
pub const JOURNAL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a key of the journal is used at most, in milliseconds: one hour.
pub const JOURNAL_KEY_MS_MAX: i64 = 60 * 60 * 1000;

/// Bytes of readings in one row when unsealed readings are written anew.
pub const SNAPSHOT_BLOCK_BYTES: usize = 1024 * 1024;

/// Series sealed in one turn, so that commits wait only milliseconds.
pub const SEALED_PER_TURN: usize = 256;

/// Seconds between looks for what is due: sealing by age, keys, retention.
pub const TICK_SECONDS: u64 = 30;

/// Milliseconds to wait after a commit that failed: first, and doubled up to the last.
pub const RETRY_MS: (u64, u64) = (50, 1000);

/// Milliseconds between the end of a commit and the next, for readings to gather: what is added to an
/// acknowledgement's way at most.
pub const GATHER_MS: u64 = 2;

/// Chunks deleted in one transaction.
pub const DELETED_PER_TURN: i64 = 1000;

/// Data keys kept unwrapped.
pub const KEYS_CACHED_MAX: usize = 4096;

/// Connections for questions.
pub const READERS: u32 = 4;

/// Tries to empty the write-ahead log after an erasure, and milliseconds between them.
pub const CHECKPOINT_TRIES: (u32, u64) = (200, 25);

/// Chunks read for one question.
pub const CHUNKS_MAX: i64 = 100_000;
