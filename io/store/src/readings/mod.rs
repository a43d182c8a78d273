//! Readings on disk.
//!
//! 1. A batch is offered: its bytes join those that wait, and its ticket is that of the next commit.
//! 2. The writer takes all that waits, seals it under the journal's key and commits one row; the next
//!    commit begins when this one has ended.
//! 3. The readings go to the head in memory, and the ticket is stored.
//! 4. Series with enough points are sealed into chunks under their device's key.
//! 5. From time to time what is still unsealed is written anew under a new journal key; the old rows and
//!    their key are destroyed.
//! 6. At the start the journal is replayed into the head, but for what is in chunks.

mod catalog;
mod erase;
mod error;
mod history;
mod journal;
pub mod limits;
mod pending;
mod query;
mod retention;
mod sealing;
mod tally;
mod writer;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use hedgerow_base::{Fault, Timestamp};
use hedgerow_plane::{Commits, Readings, Refusal, Ticket};
use hedgerow_telemetry::{Batch, DeviceKey, Head, SeriesId, SeriesSpec};
use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{
        SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions,
        SqliteSynchronous,
    },
};
use tokio::sync::{Notify, mpsc, oneshot};

pub use error::ReadingsError;
pub use query::{LastValue, Query};
pub use tally::Tally;

use crate::cipher::MasterKey;

use self::{catalog::Catalog, error::While, limits::READERS, pending::Pending, writer::Writer};

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of this machine.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let ms = since.map_or(0, |since| since.as_millis());
        Timestamp::from_ms(i64::try_from(ms).unwrap_or(i64::MAX))
    })
}

/// The readings' store: `telemetry.db` in the data directory. Cheap to clone: all clones are the same one.
#[derive(Clone)]
pub struct ReadingsStore {
    shared: Arc<Shared>,
    readers: SqlitePool,
    orders: mpsc::Sender<Order>,
}

impl std::fmt::Debug for ReadingsStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadingsStore").field("unsealed", &self.unsealed()).finish_non_exhaustive()
    }
}

/// What the writer and everybody else have in common.
struct Shared {
    pending: Mutex<Pending>,
    offered: Notify,
    commits: Commits,
    catalog: Mutex<Catalog>,
    head: RwLock<Head>,
    master: MasterKey,
    clock: Clock,
    counts: tally::Counts,
}

/// What the writer is asked to do besides commits.
enum Order {
    Seal(oneshot::Sender<Result<(), ReadingsError>>),
    Expire(oneshot::Sender<Result<u64, ReadingsError>>),
    Erase(DeviceKey, oneshot::Sender<Result<(), ReadingsError>>),
    Close(oneshot::Sender<Result<(), ReadingsError>>),
}

/// How much waits in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsealed {
    /// Series with points that are not sealed yet.
    pub series: usize,
    /// Bytes that those points take.
    pub bytes: usize,
}

impl ReadingsStore {
    /// Opens `telemetry.db` in `directory`, brings its schema up to date, replays the journal, and starts
    /// the writer on the current runtime.
    ///
    /// # Errors
    /// [`ReadingsError`]: the file can't be used, the master key is another one, or it is damaged.
    pub async fn open(
        directory: &Path,
        master: MasterKey,
        clock: Clock,
    ) -> Result<Self, ReadingsError> {
        let options = SqliteConnectOptions::new().filename(directory.join("telemetry.db"));
        Self::open_with(options, master, clock).await
    }

    /// The same with options of the caller's, for tests that bring a file system of their own.
    ///
    /// # Errors
    /// As [`ReadingsStore::open`].
    pub async fn open_with(
        options: SqliteConnectOptions,
        master: MasterKey,
        clock: Clock,
    ) -> Result<Self, ReadingsError> {
        let options = options
            .create_if_missing(true)
            .page_size(8192)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .pragma("secure_delete", "ON")
            .disable_statement_logging();
        let writing = options.clone().auto_vacuum(SqliteAutoVacuum::Incremental);
        let mut connection = writing.connect().await.while_doing("opening it")?;
        sqlx::migrate!("./migrations/sqlite/telemetry")
            .run_direct(None, &mut connection, false)
            .await
            .map_err(ReadingsError::Schema)?;
        let (catalog, sealed) = Catalog::load(&mut connection).await?;
        let shared = Arc::new(Shared {
            pending: Mutex::default(),
            offered: Notify::new(),
            commits: Commits::default(),
            catalog: Mutex::new(catalog),
            head: RwLock::default(),
            master,
            clock,
            counts: tally::Counts::default(),
        });
        let writer = Writer::start(connection, Arc::clone(&shared), &sealed).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true))
            .await
            .while_doing("opening it for questions")?;
        let (orders, inbox) = mpsc::channel(16);
        tokio::spawn(writer.run(inbox));
        Ok(Self { shared, readers, orders })
    }

    /// Readings committed since the start.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.tally().readings
    }

    /// How much waits in memory to be sealed.
    #[must_use]
    pub fn unsealed(&self) -> Unsealed {
        let head = self.shared.head();
        Unsealed { series: head.len(), bytes: head.bytes() }
    }

    /// What was done since it was opened.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.shared.counts.read()
    }

    /// Seals everything that is unsealed, and destroys the journal with its key.
    ///
    /// # Errors
    /// [`ReadingsError`].
    pub async fn seal(&self) -> Result<(), ReadingsError> {
        self.ask(Order::Seal).await
    }

    /// Deletes readings that are older than their retention; tells how many chunks went.
    ///
    /// # Errors
    /// [`ReadingsError`].
    pub async fn expire(&self) -> Result<u64, ReadingsError> {
        self.ask(Order::Expire).await
    }

    /// Erases every reading of a device: its key is destroyed, its rows are overwritten, the journal is
    /// written anew without it, and the write-ahead log emptied. When this returns well, no copy is left
    /// in the files.
    ///
    /// # Errors
    /// [`ReadingsError::Busy`] when the log could not be emptied yet: erase again.
    pub async fn erase(&self, device: DeviceKey) -> Result<(), ReadingsError> {
        self.ask(|answer| Order::Erase(device, answer)).await
    }

    /// Commits what waits and closes the files. What is offered later is refused.
    ///
    /// # Errors
    /// [`ReadingsError`].
    pub async fn close(&self) -> Result<(), ReadingsError> {
        let closed = self.ask(Order::Close).await;
        self.readers.close().await;
        closed
    }

    async fn ask<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, ReadingsError>>) -> Order,
    ) -> Result<T, ReadingsError> {
        let (answer, heard) = oneshot::channel();
        self.orders.send(order(answer)).await.map_err(|_| ReadingsError::Closed)?;
        heard.await.map_err(|_| ReadingsError::Closed)?
    }
}

impl Readings for ReadingsStore {
    fn series(&self, device: DeviceKey, specs: &[SeriesSpec]) -> Arc<[SeriesId]> {
        self.shared.catalog().series(device, specs).into()
    }

    fn offer(&self, batch: &Batch) -> Result<Ticket, Refusal> {
        let (ticket, was_empty) = self.shared.pending().offer(batch).map_err(|reason| Refusal {
            fault: Fault::Unavailable,
            reason: reason.into(),
            word: "store-full",
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
    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn head(&self) -> std::sync::RwLockReadGuard<'_, Head> {
        self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn head_mut(&self) -> std::sync::RwLockWriteGuard<'_, Head> {
        self.head.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
