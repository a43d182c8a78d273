//! Limits of what is granted. Each has a test at it and one past it.

/// Grants by topic filter of one token.
pub const TOPIC_GRANTS_MAX: usize = 64;

/// Bytes of the filter in a grant; no topic on the wire is longer.
pub const GRANT_FILTER_BYTES_MAX: usize = 512;

/// Levels of the filter in a grant; no topic on the wire has more.
pub const GRANT_FILTER_LEVELS_MAX: usize = 24;
