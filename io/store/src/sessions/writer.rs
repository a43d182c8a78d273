//! The one task that writes.

use std::{sync::Arc, time::Duration};

use hedgerow_plane::Ticket;
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval_at, sleep_until},
};

use super::{
    Shared, apply,
    apply::Growth,
    bodies::Bodies,
    counts::Counters,
    error::{SessionsError, While},
    limits::{GATHER_MS, RETRY_MS, TICK_SECONDS},
    load,
    pending::Weight,
    plan::Plan,
    rows::Rows,
};

const ACT: &str = "committing sessions";

/// The order to commit what waits and to close the files.
pub(super) type Close = oneshot::Sender<Result<(), SessionsError>>;

pub(super) struct Writer {
    options: SqliteConnectOptions,
    /// None after a failure: what it leaves of a transaction is nothing to build on.
    connection: Option<SqliteConnection>,
    shared: Arc<Shared>,
    bodies: Bodies,
    /// What could not be written yet.
    behind: Option<Plan>,
    retry_ms: u64,
    retry_at: Instant,
    /// When the last commit ended.
    committed: Instant,
}

impl Writer {
    pub(super) fn new(
        options: SqliteConnectOptions,
        connection: SqliteConnection,
        shared: Arc<Shared>,
        bodies: Bodies,
    ) -> Self {
        let (connection, now) = (Some(connection), Instant::now());
        let (retry_ms, retry_at, committed) = (RETRY_MS.0, now, now);
        Self { options, connection, shared, bodies, behind: None, retry_ms, retry_at, committed }
    }

    /// Commits what is offered until it is closed, or nobody can offer any more.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Close>) {
        let period = Duration::from_secs(TICK_SECONDS);
        let mut tick = interval_at(Instant::now() + period, period);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_behind = self.behind.is_some();
            tokio::select! {
                biased;
                close = inbox.recv() => {
                    let closed = self.close().await;
                    if let Some(answer) = close {
                        drop(answer.send(closed));
                    }
                    return;
                }
                _ = tick.tick() => self.give_back().await,
                () = sleep_until(self.retry_at), if is_behind => drop(self.turn().await),
                () = self.shared.offered.notified(), if !is_behind => drop(self.turn().await),
            }
        }
    }

    /// One commit of all that waits. What is offered meanwhile has its own turn, so that changes that keep
    /// coming keep the writer from nothing else.
    async fn turn(&mut self) -> Result<(), SessionsError> {
        if self.behind.is_none() {
            if self.shared.pending().is_empty() {
                return Ok(());
            }
            // A commit costs what hundreds of changes do, so they gather after one. One that comes alone
            // is not delayed.
            sleep_until(self.committed + Duration::from_millis(GATHER_MS)).await;
        }
        let group = self.shared.pending().take();
        let mut plan = self.behind.take().unwrap_or_default();
        let ticket = group.map(|group| {
            group.changes.into_iter().for_each(|change| plan.absorb(change));
            group.ticket
        });
        let written = self.write(&plan).await;
        self.committed = Instant::now();
        match written {
            Ok(()) => self.succeed(ticket),
            Err(error) => {
                self.fail(ticket, plan, &error).await;
                return Err(error);
            }
        }
        Ok(())
    }

    async fn write(&mut self, plan: &Plan) -> Result<(), SessionsError> {
        let rows = Rows::of(plan, &mut self.bodies)?;
        if rows.is_empty() {
            return Ok(());
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => reopen(&self.options).await?,
        };
        let connection = self.connection.insert(connection);
        let growth = commit(connection, rows).await.while_doing(ACT)?;
        if plan.was_tried() {
            // Some of it may have been there already, so it is counted anew.
            let counted = load::count(connection).await.while_doing("counting sessions")?;
            self.shared.counters.set(counted);
        } else {
            self.shared.counters.grow(growth);
        }
        Ok(())
    }

    fn succeed(&mut self, ticket: Option<Ticket>) {
        self.shared.pending().hold(Weight::default());
        self.retry_ms = RETRY_MS.0;
        Counters::add(&self.shared.counters.commits, 1);
        if let Some(ticket) = ticket {
            self.shared.commits.stored_up_to(ticket);
        }
    }

    /// Keeps the plan for the next turn, which comes a little later, so that a full disk does not turn
    /// into a busy loop.
    async fn fail(&mut self, ticket: Option<Ticket>, mut plan: Plan, error: &SessionsError) {
        if let Some(connection) = self.connection.take() {
            let _ = connection.close_hard().await;
        }
        if self.retry_ms == RETRY_MS.0 {
            tracing::warn!(%error, "sessions can't be kept at the moment");
        }
        plan.set_tried();
        self.shared.pending().hold(plan.weight());
        self.behind = Some(plan);
        self.retry_at = Instant::now() + Duration::from_millis(self.retry_ms);
        self.retry_ms = (self.retry_ms * 2).min(RETRY_MS.1);
        Counters::add(&self.shared.counters.commits_failed, 1);
        if let Some(ticket) = ticket {
            self.shared.commits.failed(ticket);
        }
    }

    async fn close(&mut self) -> Result<(), SessionsError> {
        self.shared.pending().close();
        self.turn().await?;
        let Some(mut connection) = self.connection.take() else { return Ok(()) };
        empty_log(&mut connection).await.while_doing("closing")?;
        connection.close().await.while_doing("closing")
    }

    /// Gives some free pages back to the file system, few enough that commits wait only milliseconds.
    async fn give_back(&mut self) {
        if let Some(connection) = &mut self.connection {
            // A failure here is one of the disk, and commits tell of that.
            let _ = sqlx::query("PRAGMA incremental_vacuum(512)").fetch_all(connection).await;
        }
    }
}

/// A new connection after a failure. The log is emptied: what is in it may not be synced, and nothing
/// that comes after it would be found.
async fn reopen(options: &SqliteConnectOptions) -> Result<SqliteConnection, SessionsError> {
    let act = "opening it again";
    let mut connection = options.connect().await.while_doing(act)?;
    empty_log(&mut connection).await.while_doing(act)?;
    Ok(connection)
}

async fn empty_log(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_all(connection).await.map(drop)
}

pub(super) async fn commit(
    connection: &mut SqliteConnection,
    rows: Rows<'_>,
) -> Result<Growth, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let growth = apply::apply(&mut transaction, rows).await?;
    transaction.commit().await?;
    Ok(growth)
}
