use hedgerow_base::TenantId;
use hedgerow_control::{
    Failure,
    ports::{AuditFilter, AuditRecord},
};
use hedgerow_tlog::{Hash, NodeId};
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool, sqlite::SqliteRow};

use super::error::{damaged, failure};

pub(super) async fn page(
    readers: &SqlitePool,
    tenant: TenantId,
    filter: &AuditFilter,
    limit: u32,
) -> Result<Vec<AuditRecord>, Failure> {
    let mut query =
        QueryBuilder::<Sqlite>::new("SELECT idx, record, leaf FROM audit WHERE tenant = ");
    query.push_bind(tenant.0);
    if let Some(before) = filter.before {
        query.push(" AND idx < ").push_bind(before.cast_signed());
    }
    if let Some(actor) = &filter.actor {
        query.push(" AND actor = ").push_bind(actor);
    }
    if let Some(action) = &filter.action {
        query.push(" AND substr(action, 1, length(").push_bind(action);
        query.push(")) = ").push_bind(action);
    }
    if let Some(subject) = &filter.subject {
        query.push(" AND subject = ").push_bind(subject);
    }
    query.push(" ORDER BY idx DESC LIMIT ").push_bind(limit);
    let rows = query.build().fetch_all(readers).await.map_err(failure)?;
    rows.iter().map(record).collect()
}

pub(super) async fn from(
    readers: &SqlitePool,
    tenant: TenantId,
    index: u64,
    limit: u32,
) -> Result<Vec<AuditRecord>, Failure> {
    let rows = sqlx::query(
        "SELECT idx, record, leaf FROM audit WHERE tenant = ? AND idx >= ? ORDER BY idx LIMIT ?",
    )
    .bind(tenant.0)
    .bind(index.cast_signed())
    .bind(limit)
    .fetch_all(readers)
    .await
    .map_err(failure)?;
    rows.iter().map(record).collect()
}

fn record(row: &SqliteRow) -> Result<AuditRecord, Failure> {
    let leaf: Vec<u8> = row.try_get("leaf").map_err(failure)?;
    let index: i64 = row.try_get("idx").map_err(failure)?;
    Ok(AuditRecord {
        index: index.unsigned_abs(),
        record: row.try_get("record").map_err(failure)?,
        leaf: leaf.try_into().map_err(|_| damaged("an audit hash"))?,
    })
}

pub(super) async fn newest_checkpoint(
    readers: &SqlitePool,
    tenant: TenantId,
) -> Result<Option<String>, Failure> {
    sqlx::query_scalar("SELECT note FROM checkpoints WHERE tenant = ? ORDER BY size DESC LIMIT 1")
        .bind(tenant.0)
        .fetch_optional(readers)
        .await
        .map_err(failure)
}

pub(super) async fn checkpoints(
    readers: &SqlitePool,
    tenant: TenantId,
    from_size: u64,
    limit: u32,
) -> Result<Vec<(u64, String)>, Failure> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT size, note FROM checkpoints WHERE tenant = ? AND size >= ? ORDER BY size LIMIT ?",
    )
    .bind(tenant.0)
    .bind(from_size.cast_signed())
    .bind(limit)
    .fetch_all(readers)
    .await
    .map_err(failure)?;
    Ok(rows.into_iter().map(|(size, note)| (size.unsigned_abs(), note)).collect())
}

pub(super) async fn nodes(
    readers: &SqlitePool,
    tenant: TenantId,
    ids: &[NodeId],
) -> Result<Vec<(NodeId, Hash)>, Failure> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let hash: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT hash FROM audit_nodes WHERE tenant = ? AND level = ? AND idx = ?",
        )
        .bind(tenant.0)
        .bind(id.level)
        .bind(id.index.cast_signed())
        .fetch_optional(readers)
        .await
        .map_err(failure)?;
        found.extend(hash.and_then(|hash| hash.try_into().ok()).map(|hash| (*id, hash)));
    }
    Ok(found)
}
