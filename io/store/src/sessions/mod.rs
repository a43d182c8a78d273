//! Sessions and retained messages on disk.
//!
//! 1. Changes are offered: they join those that wait, and their ticket is that of the next commit.
//! 2. The writer takes all that waits and puts it together into a plan: what one change undoes of another
//!    is never written.
//! 3. Bodies of messages are sealed, one that waits in many sessions once; the plan is written in one
//!    transaction, many rows in a statement.
//! 4. The ticket is stored; the next commit begins when this one has ended.
//! 5. At the start everything is read, but for sessions that ended meanwhile.
//!
//! When a transaction fails its ticket fails, so that publishers send again. Its changes are kept, though,
//! and go with the next transaction, in their order: what sessions have in memory did happen, and the disk
//! must not fall behind it. What is kept so counts towards the limits of what may wait; while they are
//! reached offers are refused, and what was refused is never written. A failed transaction may still be on
//! disk (its sync failed, say), so writing the same again is allowed everywhere.
//!
//! Filters, client ids, topics and options stay readable; bodies don't. Which body waits at which place is
//! not protected against somebody who writes to the file.

mod apply;
mod bodies;
mod counts;
mod error;
pub mod limits;
mod load;
mod pending;
mod plan;
mod rows;
mod writer;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hedgerow_base::{Fault, Timestamp};
use hedgerow_plane::{Commits, Refusal, SessionChange, Sessions, StoredSessions, Ticket};
use sqlx::{
    ConnectOptions,
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::{Notify, mpsc, oneshot};

pub use counts::SessionCounts;
pub use error::SessionsError;

use self::{
    bodies::Bodies,
    counts::Counters,
    error::While,
    limits::STATEMENTS_KEPT,
    pending::Pending,
    writer::{Close, Writer},
};
use crate::cipher::MasterKey;

/// The sessions' store: `sessions.db` in the data directory. Cheap to clone: all clones are the same one.
#[derive(Clone)]
pub struct SessionsStore {
    shared: Arc<Shared>,
    closing: mpsc::Sender<Close>,
}

impl std::fmt::Debug for SessionsStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionsStore").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

/// What the writer and everybody else have in common.
#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
    offered: Notify,
    commits: Commits,
    counters: Counters,
}

impl SessionsStore {
    /// Opens `sessions.db` in `directory`, brings its schema up to date, reads what was kept, and starts
    /// the writer on the current runtime. Sessions that end at `now` or before are removed. A message that
    /// is damaged is dropped, counted and warned about.
    ///
    /// # Errors
    /// [`SessionsError`]: the file can't be used, or the master key is another one.
    pub async fn open(
        directory: &Path,
        master: MasterKey,
        now: Timestamp,
    ) -> Result<(Self, StoredSessions), SessionsError> {
        let options = SqliteConnectOptions::new().filename(directory.join("sessions.db"));
        Self::open_with(options, master, now).await
    }

    /// The same with options of the caller's, for tests that bring a file system of their own.
    ///
    /// # Errors
    /// As [`SessionsStore::open`].
    pub async fn open_with(
        options: SqliteConnectOptions,
        master: MasterKey,
        now: Timestamp,
    ) -> Result<(Self, StoredSessions), SessionsError> {
        let act = "opening it";
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .pragma("secure_delete", "ON")
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .statement_cache_capacity(STATEMENTS_KEPT)
            .disable_statement_logging();
        let mut connection = options.connect().await.while_doing(act)?;
        sqlx::migrate!("./migrations/sqlite/sessions")
            .run_direct(None, &mut connection, false)
            .await
            .map_err(SessionsError::Schema)?;
        let bodies = Bodies::open(&mut connection, &master).await?;
        let loaded = load::load(&mut connection, &bodies, now).await?;
        let shared = Arc::new(Shared::default());
        shared.counters.set(load::count(&mut connection).await.while_doing(act)?);
        Counters::add(&shared.counters.dropped, loaded.dropped);
        let writer = Writer::new(options, connection, Arc::clone(&shared), bodies);
        let (closing, inbox) = mpsc::channel(1);
        tokio::spawn(writer.run(inbox));
        Ok((Self { shared, closing }, loaded.stored))
    }

    /// How much is kept, and what was done since it was opened.
    #[must_use]
    pub fn counts(&self) -> SessionCounts {
        let pending = self.shared.pending().len();
        self.shared.counters.read(pending)
    }

    /// Commits what waits and closes the file. What is offered later is refused.
    ///
    /// # Errors
    /// [`SessionsError`]: what waited could not be written, or it was closed before.
    pub async fn close(&self) -> Result<(), SessionsError> {
        let (answer, heard) = oneshot::channel();
        self.closing.send(answer).await.map_err(|_| SessionsError::Closed)?;
        heard.await.map_err(|_| SessionsError::Closed)?
    }
}

impl Sessions for SessionsStore {
    fn offer(&self, changes: Vec<SessionChange>) -> Result<Ticket, Refusal> {
        let (ticket, was_empty) = self.shared.pending().offer(changes).map_err(|reason| {
            Refusal { fault: Fault::Unavailable, reason: reason.into(), word: "store-full" }
        })?;
        if was_empty {
            self.shared.offered.notify_one();
        }
        Ok(ticket)
    }

    fn commits(&self) -> &Commits {
        &self.shared.commits
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
