//! Device profiles: rows, and their changes.

use std::collections::BTreeSet;

use hedgerow_base::{Fault, TenantId, Timestamp};
use hedgerow_control::{Failure, ProfileRecord};
use hedgerow_policy::Overlay;
use sqlx::{SqliteConnection, SqlitePool, sqlite::SqliteRow};

use super::{
    apply::{MOVED_ON, one},
    error::failure,
    rows,
};

fn record(row: &SqliteRow) -> Result<ProfileRecord, Failure> {
    Ok(ProfileRecord {
        tenant: TenantId(rows::get(row, "tenant")?),
        name: rows::get(row, "name")?,
        document: rows::get(row, "document")?,
        waiting: rows::get(row, "waiting")?,
        overlay: Overlay {
            withheld: words(rows::get(row, "withheld")?),
            essential: words(rows::get(row, "essential")?),
            retention_days_max: rows::get(row, "retention_days_max")?,
        },
        revision: rows::get(row, "revision")?,
        changed: rows::time(row, "changed")?,
    })
}

/// Names have no blanks, so a list of them is text with blanks between.
fn words(text: &str) -> BTreeSet<Box<str>> {
    text.split_ascii_whitespace().map(Into::into).collect()
}

fn text(words: &BTreeSet<Box<str>>) -> String {
    words.iter().map(|word| &**word).collect::<Vec<_>>().join(" ")
}

pub(super) async fn by_name(
    readers: &SqlitePool,
    tenant: TenantId,
    name: &str,
) -> Result<Option<ProfileRecord>, Failure> {
    let row = sqlx::query("SELECT * FROM profiles WHERE tenant = ? AND name = ?")
        .bind(tenant.0)
        .bind(name)
        .fetch_optional(readers)
        .await
        .map_err(failure)?;
    row.as_ref().map(record).transpose()
}

pub(super) async fn of(
    readers: &SqlitePool,
    tenant: TenantId,
) -> Result<Vec<ProfileRecord>, Failure> {
    let found = sqlx::query("SELECT * FROM profiles WHERE tenant = ? ORDER BY name")
        .bind(tenant.0)
        .fetch_all(readers)
        .await
        .map_err(failure)?;
    found.iter().map(record).collect()
}

pub(super) async fn all(readers: &SqlitePool) -> Result<Vec<ProfileRecord>, Failure> {
    let found = sqlx::query("SELECT * FROM profiles ORDER BY tenant, name")
        .fetch_all(readers)
        .await
        .map_err(failure)?;
    found.iter().map(record).collect()
}

/// Writes what is kept of a profile, if it is still as the editor saw it.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    now: Timestamp,
    seen: i64,
    record: &ProfileRecord,
) -> Result<(), Failure> {
    let statement = match seen {
        0 => sqlx::query(
            "INSERT INTO profiles (document, waiting, withheld, essential, retention_days_max,
                                   changed, tenant, name, revision)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ? + 1)
             ON CONFLICT DO NOTHING",
        ),
        _ => sqlx::query(
            "UPDATE profiles SET document = ?, waiting = ?, withheld = ?, essential = ?,
                                 retention_days_max = ?, changed = ?, revision = revision + 1
             WHERE tenant = ? AND name = ? AND revision = ?",
        ),
    };
    let statement = statement
        .bind(record.document.as_deref())
        .bind(record.waiting.as_deref())
        .bind(text(&record.overlay.withheld))
        .bind(text(&record.overlay.essential))
        .bind(record.overlay.retention_days_max)
        .bind(now.as_ms())
        .bind(record.tenant.0)
        .bind(record.name.as_str())
        .bind(seen);
    one(connection, statement, MOVED_ON).await
}

/// Takes a profile out that no device and no open claim needs.
pub(super) async fn remove(
    connection: &mut SqliteConnection,
    now: Timestamp,
    (tenant, name): (TenantId, &str),
    seen: i64,
) -> Result<(), Failure> {
    let needed: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM devices
                 WHERE tenant = ?1 AND profile = ?2 AND state NOT IN ('retired', 'erased'))
              + (SELECT count(*) FROM claims
                 WHERE tenant = ?1 AND profile = ?2 AND used_by IS NULL AND withdrawn = 0
                   AND expires > ?3)",
    )
    .bind(tenant.0)
    .bind(name)
    .bind(now.as_ms())
    .fetch_one(&mut *connection)
    .await
    .map_err(failure)?;
    if needed > 0 {
        let reason = format!(
            "{needed} devices or open claim codes need this profile; retire or withdraw them first"
        );
        return Err(Failure::new(Fault::Conflict, reason));
    }
    let statement =
        sqlx::query("DELETE FROM profiles WHERE tenant = ? AND name = ? AND revision = ?")
            .bind(tenant.0)
            .bind(name)
            .bind(seen);
    one(connection, statement, MOVED_ON).await
}
