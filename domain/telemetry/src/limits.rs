//! Limits of intake, memory, chunks and queries. Each has a test at it and one past it.

/// How far ahead of the hub's clock a reading may be, in milliseconds: five minutes.
pub const FUTURE_MS_MAX: i64 = 5 * 60 * 1000;

/// Points of a series at which it is sealed.
pub const CHUNK_POINTS: usize = 1024;

/// Points that a chunk may hold at most; a chunk that claims more is corrupt.
pub const CHUNK_POINTS_MAX: usize = 16 * CHUNK_POINTS;

/// How long points wait to be sealed at most, in milliseconds: one hour.
pub const UNSEALED_MS_MAX: i64 = 60 * 60 * 1000;

/// Memory of unsealed points, in bytes; beyond it everything is sealed early.
pub const HEAD_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of an event, a reported state or the result of an action.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a name put together from base name and name.
pub const FULL_NAME_BYTES_MAX: usize = 160;

/// Buckets of one down-sampled answer.
pub const BUCKETS_MAX: usize = 10_000;

/// Points of one answer that is not down-sampled.
pub const POINTS_MAX: usize = 100_000;
