use std::{collections::BTreeMap, sync::Arc};

use hedgerow_base::{Fault, TenantId};
use hedgerow_control::{Commit, Failure, ports::Notary};
use hedgerow_tlog::Frontier;
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{mpsc, oneshot};

use super::{
    apply, audit,
    error::failure,
    limits::{BATCH_MAX, WAITING_MAX},
};

type Answer = oneshot::Sender<Result<(), Failure>>;

enum Job {
    Commit(Box<Commit>, Answer),
    Number(&'static str, oneshot::Sender<Result<u64, Failure>>),
    Close(Answer),
}

/// The one that writes. What waits lands in one transaction, each commit in a savepoint of its own, so
/// that a refused one does not take the others with it.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    pub(super) fn start(
        options: SqliteConnectOptions,
        connection: SqliteConnection,
        notary: Arc<dyn Notary>,
    ) -> Self {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let pen = Pen { options, connection: Some(connection) };
        tokio::spawn(run(pen, notary, waiting));
        Self { jobs }
    }

    pub(super) async fn commit(&self, commit: Commit) -> Result<(), Failure> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Commit(Box::new(commit), answer))?;
        answered.await.map_err(|_| stopping())?
    }

    pub(super) async fn next_number(&self, counter: &'static str) -> Result<u64, Failure> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Number(counter, answer))?;
        answered.await.map_err(|_| stopping())?
    }

    /// Writes what waits, puts everything into the one file, and writes no more.
    pub(super) async fn close(&self) -> Result<(), Failure> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Close(answer))?;
        answered.await.map_err(|_| stopping())?
    }

    fn send(&self, job: Job) -> Result<(), Failure> {
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Failure::new(Fault::TooMuch, "too many changes wait to be written; try again")
            }
            mpsc::error::TrySendError::Closed(_) => stopping(),
        })
    }
}

fn stopping() -> Failure {
    Failure::new(Fault::Unavailable, "the hub is stopping")
}

type Logs = BTreeMap<TenantId, Frontier>;

/// The one connection that writes. After a failure it is opened anew: what a full disk leaves of a
/// transaction is nothing to build on.
struct Pen {
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
}

impl Pen {
    async fn take(&mut self) -> Result<&mut SqliteConnection, Failure> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await.map_err(failure)?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn put_away(&mut self) -> Result<(), Failure> {
        let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
        checkpoint.execute(self.take().await?).await.map_err(failure)?;
        match self.connection.take() {
            Some(connection) => connection.close().await.map_err(failure),
            None => Ok(()),
        }
    }

    async fn drop_it(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = connection.close_hard().await;
        }
    }
}

async fn run(mut pen: Pen, notary: Arc<dyn Notary>, mut waiting: mpsc::Receiver<Job>) {
    let mut logs = Logs::new();
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (mut commits, mut closing) = (Vec::with_capacity(batch.len()), None);
        for job in batch.drain(..) {
            match job {
                Job::Commit(commit, answer) => commits.push((commit, answer)),
                Job::Number(counter, answer) => {
                    let number = next_number(&mut pen, counter).await;
                    let _ = answer.send(number);
                }
                Job::Close(answer) => closing = Some(answer),
            }
        }
        if !commits.is_empty() {
            write(&mut pen, notary.as_ref(), &mut logs, commits).await;
        }
        if let Some(answer) = closing {
            let _ = answer.send(pen.put_away().await);
            return;
        }
    }
}

async fn write(
    pen: &mut Pen,
    notary: &dyn Notary,
    logs: &mut Logs,
    commits: Vec<(Box<Commit>, Answer)>,
) {
    let (commits, answers): (Vec<_>, Vec<_>) = commits.into_iter().unzip();
    let mut outcomes = Vec::with_capacity(commits.len());
    let before = logs.clone();
    let landed = async {
        let connection = pen.take().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
        for commit in commits {
            outcomes.push(land(&mut transaction, logs, &commit).await);
        }
        for (tenant, log) in logs.iter() {
            if before.get(tenant) != Some(log) {
                let note = notary.checkpoint(*tenant, log.size(), log.root())?;
                audit::keep_checkpoint(&mut transaction, *tenant, log.size(), &note).await?;
            }
        }
        transaction.commit().await.map_err(failure)
    }
    .await;
    if let Err(failure) = landed {
        pen.drop_it().await;
        *logs = before;
        outcomes = vec![Err(failure); answers.len()];
    }
    for (answer, outcome) in answers.into_iter().zip(outcomes) {
        let _ = answer.send(outcome);
    }
}

/// One commit, in a savepoint: everything of it or nothing.
async fn land(
    transaction: &mut SqliteConnection,
    logs: &mut Logs,
    commit: &Commit,
) -> Result<(), Failure> {
    let mut savepoint = transaction.begin().await.map_err(failure)?;
    for change in &commit.changes {
        apply::change(&mut savepoint, commit.now, change).await?;
    }
    let mut grown = Logs::new();
    for entry in &commit.audit {
        let log = match grown.remove(&entry.tenant).or_else(|| logs.get(&entry.tenant).cloned()) {
            Some(log) => log,
            None => audit::load(&mut savepoint, entry.tenant).await?,
        };
        grown.insert(entry.tenant, audit::append(&mut savepoint, log, entry).await?);
    }
    savepoint.commit().await.map_err(failure)?;
    logs.extend(grown);
    Ok(())
}

async fn next_number(pen: &mut Pen, counter: &str) -> Result<u64, Failure> {
    let connection = pen.take().await?;
    let value: Result<i64, _> = sqlx::query_scalar(
        "INSERT INTO counters (name, value) VALUES (?, 1)
         ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
    )
    .bind(counter)
    .fetch_one(connection)
    .await;
    match value {
        Ok(value) => Ok(value.unsigned_abs()),
        Err(error) => {
            pen.drop_it().await;
            Err(failure(error))
        }
    }
}
