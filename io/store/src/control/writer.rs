use std::{collections::BTreeMap, sync::Arc};

use hedgerow_base::{Fault, TenantId};
use hedgerow_control::{Commit, Failure, ports::Notary};
use hedgerow_tlog::Frontier;
use sqlx::{Connection, SqliteConnection};
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
}

/// The one that writes. What waits lands in one transaction, each commit in a savepoint of its own, so
/// that a refused one does not take the others with it.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    pub(super) fn start(connection: SqliteConnection, notary: Arc<dyn Notary>) -> Self {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(run(connection, notary, waiting));
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

async fn run(
    mut connection: SqliteConnection,
    notary: Arc<dyn Notary>,
    mut waiting: mpsc::Receiver<Job>,
) {
    let mut logs = Logs::new();
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let mut commits = Vec::with_capacity(batch.len());
        for job in batch.drain(..) {
            match job {
                Job::Commit(commit, answer) => commits.push((commit, answer)),
                Job::Number(counter, answer) => {
                    let _ = answer.send(next_number(&mut connection, counter).await);
                }
            }
        }
        if !commits.is_empty() {
            write(&mut connection, notary.as_ref(), &mut logs, commits).await;
        }
    }
}

async fn write(
    connection: &mut SqliteConnection,
    notary: &dyn Notary,
    logs: &mut Logs,
    commits: Vec<(Box<Commit>, Answer)>,
) {
    let (commits, answers): (Vec<_>, Vec<_>) = commits.into_iter().unzip();
    let mut outcomes = Vec::with_capacity(commits.len());
    let before = logs.clone();
    let landed = async {
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

async fn next_number(connection: &mut SqliteConnection, counter: &str) -> Result<u64, Failure> {
    let value: i64 = sqlx::query_scalar(
        "INSERT INTO counters (name, value) VALUES (?, 1)
         ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
    )
    .bind(counter)
    .fetch_one(connection)
    .await
    .map_err(failure)?;
    Ok(value.unsigned_abs())
}
