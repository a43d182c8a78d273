//! Limits of the sessions' store. Each has a test at it and one past it, or names the one that holds it.

/// Changes that wait for a commit, those of commits that failed included; beyond it offers are refused as
/// Unavailable.
pub const PENDING_CHANGES_MAX: usize = 262_144;

/// Bytes of the changes that wait for a commit; a message that waits in several sessions one after the
/// other counts once.
pub const PENDING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Rows in one statement. Statements have powers of two up to this, so that few of them serve all and stay
/// prepared; with five columns it is far below SQLite's 32,766 parameters.
pub const ROWS_PER_STATEMENT: usize = 128;

/// Statements that stay prepared: each kind in each size.
pub const STATEMENTS_KEPT: usize = 160;

/// Rows of what waits that are read at once at the start; commits_of_thousands_are_kept_whole has more.
pub const ROWS_READ_AT_ONCE: i64 = 1000;

/// Milliseconds between the end of a commit and the next, for changes to gather.
pub const GATHER_MS: u64 = 2;

/// Milliseconds to wait after a commit that failed: first, and doubled up to the last.
pub const RETRY_MS: (u64, u64) = (50, 1000);

/// Seconds between looks whether pages can be given back to the file system.
pub const TICK_SECONDS: u64 = 30;
