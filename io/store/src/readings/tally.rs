use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the writer counts; only it writes.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) readings: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) commits_failed: AtomicU64,
    pub(super) chunks_expired: AtomicU64,
}

/// What the store did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Readings that were committed.
    pub readings: u64,
    /// Commits that succeeded.
    pub commits: u64,
    /// Commits that failed; their readings were refused.
    pub commits_failed: u64,
    /// Chunks deleted because they were older than their retention.
    pub chunks_expired: u64,
}

impl Counts {
    pub(super) fn add(of: &AtomicU64, more: u64) {
        of.fetch_add(more, Relaxed);
    }

    pub(super) fn read(&self) -> Tally {
        Tally {
            readings: self.readings.load(Relaxed),
            commits: self.commits.load(Relaxed),
            commits_failed: self.commits_failed.load(Relaxed),
            chunks_expired: self.chunks_expired.load(Relaxed),
        }
    }
}
