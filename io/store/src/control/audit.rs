use hedgerow_base::TenantId;
use hedgerow_control::Failure;
use hedgerow_policy::audit::Entry;
use hedgerow_tlog::{Frontier, Hash, NodeId, Note, leaf_hash};
use sqlx::SqliteConnection;

use super::error::{damaged, failure};

/// The right edge of a tenant's log, from its nodes.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    tenant: TenantId,
) -> Result<Frontier, Failure> {
    let size: i64 = sqlx::query_scalar("SELECT count(*) FROM audit WHERE tenant = ?")
        .bind(tenant.0)
        .fetch_one(&mut *connection)
        .await
        .map_err(failure)?;
    let size = size.unsigned_abs();
    let mut edge = Vec::new();
    for id in Frontier::nodes_of(size) {
        edge.push(node(connection, tenant, id).await?.ok_or_else(|| damaged("audit nodes"))?);
    }
    Frontier::restore(size, edge).ok_or_else(|| damaged("audit nodes"))
}

async fn node(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    id: NodeId,
) -> Result<Option<Hash>, Failure> {
    let hash: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT hash FROM audit_nodes WHERE tenant = ? AND level = ? AND idx = ?",
    )
    .bind(tenant.0)
    .bind(id.level)
    .bind(id.index.cast_signed())
    .fetch_optional(connection)
    .await
    .map_err(failure)?;
    Ok(hash.and_then(|hash| hash.try_into().ok()))
}

/// Appends a record and the nodes that it fills.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    mut log: Frontier,
    entry: &Entry,
) -> Result<Frontier, Failure> {
    let record = entry.to_json();
    let leaf = leaf_hash(record.as_bytes());
    sqlx::query(
        "INSERT INTO audit (tenant, idx, actor, action, subject, record, leaf)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(entry.tenant.0)
    .bind(log.size().cast_signed())
    .bind(entry.actor.as_str())
    .bind(entry.action)
    .bind(entry.subject.as_str())
    .bind(record)
    .bind(leaf.as_slice())
    .execute(&mut *connection)
    .await
    .map_err(failure)?;
    for node in log.append(leaf) {
        sqlx::query("INSERT INTO audit_nodes (tenant, level, idx, hash) VALUES (?, ?, ?, ?)")
            .bind(entry.tenant.0)
            .bind(node.id.level)
            .bind(node.id.index.cast_signed())
            .bind(node.hash.as_slice())
            .execute(&mut *connection)
            .await
            .map_err(failure)?;
    }
    Ok(log)
}

/// Keeps a signed checkpoint.
pub(super) async fn keep_checkpoint(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    size: u64,
    note: &Note,
) -> Result<(), Failure> {
    sqlx::query("INSERT INTO checkpoints (tenant, size, note) VALUES (?, ?, ?)")
        .bind(tenant.0)
        .bind(size.cast_signed())
        .bind(note.as_str())
        .execute(connection)
        .await
        .map(drop)
        .map_err(failure)
}
