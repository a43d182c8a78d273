//! Limits of the control store.

/// Connections that read at the same time.
pub(super) const READERS: u32 = 4;
/// Commits that wait for the writer; more are told to come later.
pub(super) const WAITING_MAX: usize = 1024;
/// Commits that land in one transaction.
pub(super) const BATCH_MAX: usize = 256;
