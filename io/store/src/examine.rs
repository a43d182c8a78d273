//! A look at the databases from outside, without changing them: for whoever asks whether all is well.

use std::{path::Path, time::Duration};

use hedgerow_base::Timestamp;
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

/// What was found. A hub may run meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examination {
    /// For each database file what SQLite's `quick_check` finds wrong, or why it could not look.
    pub files: Vec<(&'static str, Vec<String>)>,
    /// The hub's newest certificates, by kind, in DER.
    pub certificates: Vec<(String, Vec<u8>)>,
    /// Earlier issuing CAs that are still trusted, newest first, in DER.
    pub overlapping: Vec<Vec<u8>>,
    /// The newest moment that was written down.
    pub newest: Option<Timestamp>,
}

/// Examines `hub.db`, `telemetry.db` and `sessions.db` in `directory`.
pub async fn examine(directory: &Path) -> Examination {
    let mut found = Examination::default();
    for name in ["hub.db", "telemetry.db", "sessions.db"] {
        let problems = match open(&directory.join(name)).await {
            Ok(mut connection) => {
                let problems =
                    check(&mut connection).await.unwrap_or_else(|error| vec![said(&error)]);
                if name == "hub.db" {
                    found.certificates = certificates(&mut connection).await.unwrap_or_default();
                    found.overlapping = overlapping(&mut connection).await.unwrap_or_default();
                    found.newest = newest(&mut connection).await.unwrap_or_default();
                }
                let _ = connection.close().await;
                problems
            }
            Err(error) => vec![said(&error)],
        };
        found.files.push((name, problems));
    }
    found
}

fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(inner) => inner.message().to_owned(),
        other => other.to_string(),
    }
}

async fn open(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging()
        .connect()
        .await
}

async fn check(connection: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    // Twenty problems are enough to know.
    let lines: Vec<String> =
        sqlx::query_scalar("PRAGMA quick_check(20)").fetch_all(connection).await?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

async fn certificates(
    connection: &mut SqliteConnection,
) -> Result<Vec<(String, Vec<u8>)>, sqlx::Error> {
    let newest = "SELECT kind, der FROM authority
                  WHERE seq IN (SELECT max(seq) FROM authority GROUP BY kind) ORDER BY seq";
    sqlx::query_as(newest).fetch_all(connection).await
}

async fn overlapping(connection: &mut SqliteConnection) -> Result<Vec<Vec<u8>>, sqlx::Error> {
    // A hub that was not started since these were brought in knows no column for it, and has one CA.
    let earlier = "SELECT der FROM authority WHERE kind = 'issuing' AND distrusted IS NULL
                   AND seq < (SELECT max(seq) FROM authority WHERE kind = 'issuing') ORDER BY seq DESC";
    sqlx::query_scalar(earlier).fetch_all(connection).await
}

async fn newest(connection: &mut SqliteConnection) -> Result<Option<Timestamp>, sqlx::Error> {
    let newest = "SELECT max(at) FROM (SELECT max(created) AS at FROM authority
                  UNION ALL SELECT at FROM (SELECT at FROM timeline ORDER BY seq DESC LIMIT 100))";
    let ms: Option<i64> = sqlx::query_scalar(newest).fetch_one(connection).await?;
    Ok(ms.map(Timestamp::from_ms))
}
