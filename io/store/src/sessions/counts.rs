use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::apply::Growth;

/// What the writer counts; only it writes.
#[derive(Debug, Default)]
pub(super) struct Counters {
    sessions: AtomicI64,
    waiting: AtomicI64,
    retained: AtomicI64,
    pub(super) commits: AtomicU64,
    pub(super) commits_failed: AtomicU64,
    pub(super) dropped: AtomicU64,
}

/// How much the store keeps, and what it did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// Sessions on disk.
    pub sessions: u64,
    /// Places on disk at which a message or a PUBCOMP waits.
    pub waiting: u64,
    /// Topics on disk with a retained message.
    pub retained: u64,
    /// Commits that succeeded.
    pub commits: u64,
    /// Commits that failed; their changes go with the next one.
    pub commits_failed: u64,
    /// Messages that were damaged when the store was opened, and dropped.
    pub dropped: u64,
    /// Changes that wait to be written.
    pub pending: u64,
}

impl Counters {
    pub(super) fn add(of: &AtomicU64, more: u64) {
        of.fetch_add(more, Relaxed);
    }

    pub(super) fn grow(&self, by: Growth) {
        self.sessions.fetch_add(by.sessions, Relaxed);
        self.waiting.fetch_add(by.waiting, Relaxed);
        self.retained.fetch_add(by.retained, Relaxed);
    }

    pub(super) fn set(&self, to: Growth) {
        self.sessions.store(to.sessions, Relaxed);
        self.waiting.store(to.waiting, Relaxed);
        self.retained.store(to.retained, Relaxed);
    }

    pub(super) fn read(&self, pending: usize) -> SessionCounts {
        let size = |of: &AtomicI64| u64::try_from(of.load(Relaxed)).unwrap_or(0);
        SessionCounts {
            sessions: size(&self.sessions),
            waiting: size(&self.waiting),
            retained: size(&self.retained),
            commits: self.commits.load(Relaxed),
            commits_failed: self.commits_failed.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            pending: pending as u64,
        }
    }
}
