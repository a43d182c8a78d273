use std::collections::BTreeMap;

use hedgerow_base::{DeviceId, TenantId, Timestamp};
use hedgerow_control::{
    AuthorityId, CertificateRecord, Failure, Named, TimelineEntry,
    limits::LATE_DAYS,
    ports::{Counts, Keys},
};
use hedgerow_identity::Claim;
use hedgerow_policy::{CertificateId, Fact};
use hedgerow_registry::{Device, DeviceKey, Filter, KeyStorage, Page};
use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::{error::failure, rows};

const DAY_MS: i64 = 86_400_000;

/// A device in its newest life, with its newest certificate and its labels in one row.
const DEVICE: &str = "
    SELECT d.*, c.id AS certificate, c.not_before, c.not_after,
           (SELECT group_concat(l.key || char(31) || l.value, char(30)) FROM labels l
            WHERE l.tenant = d.tenant AND l.device = d.id AND l.incarnation = d.incarnation) AS labels
    FROM devices d
    LEFT JOIN certificates c ON c.id = (
        SELECT n.id FROM certificates n
        WHERE n.tenant = d.tenant AND n.device = d.id AND n.incarnation = d.incarnation
        ORDER BY n.created DESC, n.not_after DESC LIMIT 1)
    WHERE d.incarnation = (SELECT max(e.incarnation) FROM devices e
                           WHERE e.tenant = d.tenant AND e.id = d.id)";

pub(super) async fn one(
    readers: &SqlitePool,
    tenant: TenantId,
    id: DeviceId,
) -> Result<Option<Device>, Failure> {
    let mut query = QueryBuilder::<Sqlite>::new(DEVICE);
    query.push(" AND d.tenant = ").push_bind(tenant.0);
    query.push(" AND d.id = ").push_bind(id.as_bytes().as_slice());
    let row = query.build().fetch_optional(readers).await.map_err(failure)?;
    row.as_ref().map(rows::device).transpose()
}

pub(super) async fn all(readers: &SqlitePool) -> Result<Vec<Device>, Failure> {
    let mut query = QueryBuilder::<Sqlite>::new(DEVICE);
    query.push(" AND d.state NOT IN ('retired', 'erased')");
    let found = query.build().fetch_all(readers).await.map_err(failure)?;
    found.iter().map(rows::device).collect()
}

pub(super) async fn page(
    readers: &SqlitePool,
    tenant: TenantId,
    filter: &Filter,
    page: Page,
) -> Result<Vec<Device>, Failure> {
    let mut query = QueryBuilder::<Sqlite>::new(DEVICE);
    query.push(" AND d.tenant = ").push_bind(tenant.0);
    if let Some(after) = page.after {
        query.push(" AND d.id > ").push_bind(after.as_bytes().to_vec());
    }
    if let Some(text) = &filter.text {
        query.push(" AND (instr(d.search, ").push_bind(text.as_str()).push(") > 0");
        query.push(" OR instr(d.id_text, ").push_bind(text.as_str()).push(") = 1)");
    }
    if let Some(state) = filter.state {
        query.push(" AND d.state = ").push_bind(state.word());
    }
    if let Some(standing) = filter.standing {
        query.push(" AND d.standing = ").push_bind(standing.word());
    }
    if let Some(is_connected) = filter.is_connected {
        query.push(" AND d.connected = ").push_bind(is_connected);
    }
    if let Some(group) = &filter.group {
        query.push(" AND d.grouping = ").push_bind(group.as_str());
    }
    if let Some(storage) = filter.key_storage {
        query.push(" AND d.key_storage = ").push_bind(storage.word());
    }
    if let Some(before) = filter.ends_before {
        query.push(" AND d.state NOT IN ('retired', 'erased') AND d.standing <> 'cut'");
        query.push(" AND c.not_after < ").push_bind(before.as_ms());
    }
    for label in &filter.labels {
        query.push(
            " AND EXISTS (SELECT 1 FROM labels f WHERE f.tenant = d.tenant AND f.device = d.id
              AND f.incarnation = d.incarnation AND f.key = ",
        );
        query.push_bind(label.key()).push(" AND f.value = ").push_bind(label.value()).push(")");
    }
    query.push(" ORDER BY d.id LIMIT ").push_bind(page.size);
    let found = query.build().fetch_all(readers).await.map_err(failure)?;
    found.iter().map(rows::device).collect()
}

/// How keys and certificates are: the newest certificate of each device counts.
pub(super) async fn keys(
    readers: &SqlitePool,
    tenant: TenantId,
    now: Timestamp,
) -> Result<Keys, Failure> {
    let found: Vec<(String, Option<i64>, i64, i64)> = sqlx::query_as(
        "SELECT d.key_storage, c.issuer,
                CASE WHEN c.id IS NULL THEN 0 WHEN c.not_after <= ?2 THEN 1
                     WHEN c.not_after <= ?3 THEN 2 WHEN c.not_after <= ?4 THEN 3 ELSE 4 END AS left,
                count(*)
         FROM devices d
         LEFT JOIN certificates c ON c.id = (
             SELECT n.id FROM certificates n
             WHERE n.tenant = d.tenant AND n.device = d.id AND n.incarnation = d.incarnation
             ORDER BY n.created DESC, n.not_after DESC LIMIT 1)
         WHERE d.tenant = ?1 AND d.state NOT IN ('retired', 'erased') AND d.standing <> 'cut'
         GROUP BY d.key_storage, c.issuer, left",
    )
    .bind(tenant.0)
    .bind(now.as_ms())
    .bind(now.plus_ms(LATE_DAYS * DAY_MS).as_ms())
    .bind(now.plus_ms(2 * LATE_DAYS * DAY_MS).as_ms())
    .fetch_all(readers)
    .await
    .map_err(failure)?;
    let (mut keys, mut issuers) = (Keys::default(), BTreeMap::new());
    for (storage, issuer, left, count) in found {
        let count = count.unsigned_abs();
        *match left {
            0 => &mut keys.without,
            1 => &mut keys.ended,
            2 => &mut keys.late,
            3 => &mut keys.soon,
            _ => &mut keys.later,
        } += count;
        *keys.storage.entry(KeyStorage::parse(&storage).word()).or_default() += count;
        if let Some(issuer) = issuer {
            *issuers.entry(issuer).or_default() += count;
        }
    }
    keys.issuers = issuers.into_iter().rev().map(|(id, count)| (AuthorityId(id), count)).collect();
    Ok(keys)
}

pub(super) async fn counts(
    readers: &SqlitePool,
    tenant: TenantId,
    now: Timestamp,
) -> Result<Counts, Failure> {
    let (devices, connected, below_full): (i64, i64, i64) = sqlx::query_as(
        "SELECT count(*), coalesce(sum(connected), 0), coalesce(sum(standing <> 'full'), 0)
         FROM devices WHERE tenant = ? AND state NOT IN ('retired', 'erased')",
    )
    .bind(tenant.0)
    .fetch_one(readers)
    .await
    .map_err(failure)?;
    let claims_open: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM claims
         WHERE tenant = ? AND used_by IS NULL AND withdrawn = 0 AND expires > ?",
    )
    .bind(tenant.0)
    .bind(now.as_ms())
    .fetch_one(readers)
    .await
    .map_err(failure)?;
    Ok(Counts {
        devices: devices.unsigned_abs(),
        connected: connected.unsigned_abs(),
        below_full: below_full.unsigned_abs(),
        claims_open: claims_open.unsigned_abs(),
    })
}

pub(super) async fn weak(readers: &SqlitePool, tenant: TenantId) -> Result<u64, Failure> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM devices
         WHERE tenant = ? AND password IS NOT NULL AND state NOT IN ('retired', 'erased')",
    )
    .bind(tenant.0)
    .fetch_one(readers)
    .await
    .map_err(failure)?;
    Ok(count.unsigned_abs())
}

pub(super) async fn facts(readers: &SqlitePool, device: DeviceKey) -> Result<Vec<Fact>, Failure> {
    let words: Vec<String> = sqlx::query_scalar(
        "SELECT fact FROM facts
         WHERE tenant = ? AND device = ? AND incarnation = ? AND ended IS NULL ORDER BY fact",
    )
    .bind(device.tenant.0)
    .bind(device.id.as_bytes().as_slice())
    .bind(device.incarnation.0)
    .fetch_all(readers)
    .await
    .map_err(failure)?;
    let mut facts: Vec<Fact> = words.iter().filter_map(|word| Fact::parse(word)).collect();
    facts.sort_unstable();
    Ok(facts)
}

pub(super) async fn timeline(
    readers: &SqlitePool,
    device: DeviceKey,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<(i64, TimelineEntry)>, Failure> {
    let found: Vec<(i64, i64, String, String)> = sqlx::query_as(
        "SELECT seq, at, kind, detail FROM timeline
         WHERE tenant = ? AND device = ? AND incarnation = ? AND seq < ?
         ORDER BY seq DESC LIMIT ?",
    )
    .bind(device.tenant.0)
    .bind(device.id.as_bytes().as_slice())
    .bind(device.incarnation.0)
    .bind(before.unwrap_or(i64::MAX))
    .bind(limit)
    .fetch_all(readers)
    .await
    .map_err(failure)?;
    let entry =
        |(seq, at, kind, detail)| (seq, TimelineEntry { at: Timestamp::from_ms(at), kind, detail });
    Ok(found.into_iter().map(entry).collect())
}

pub(super) async fn claim(
    readers: &SqlitePool,
    secret_hash: [u8; 32],
) -> Result<Option<(TenantId, Claim)>, Failure> {
    let row = sqlx::query("SELECT * FROM claims WHERE secret_hash = ?")
        .bind(secret_hash.as_slice())
        .fetch_optional(readers)
        .await
        .map_err(failure)?;
    let read = |row| Ok((TenantId(rows::get(row, "tenant")?), rows::claim(row)?));
    row.as_ref().map(read).transpose()
}

pub(super) async fn open_claims(
    readers: &SqlitePool,
    tenant: TenantId,
) -> Result<Vec<Claim>, Failure> {
    let found = sqlx::query(
        "SELECT * FROM claims
         WHERE tenant = ? AND used_by IS NULL AND withdrawn = 0 ORDER BY created DESC",
    )
    .bind(tenant.0)
    .fetch_all(readers)
    .await
    .map_err(failure)?;
    found.iter().map(rows::claim).collect()
}

pub(super) async fn named(readers: &SqlitePool, now: Timestamp) -> Result<Vec<Named>, Failure> {
    let found = sqlx::query(
        "SELECT tenant, profile, names, id AS device, NULL AS claim FROM devices
         WHERE state NOT IN ('retired', 'erased')
         UNION ALL
         SELECT tenant, profile, names, NULL, secret_hash FROM claims
         WHERE used_by IS NULL AND withdrawn = 0 AND expires > ?",
    )
    .bind(now.as_ms())
    .fetch_all(readers)
    .await
    .map_err(failure)?;
    found.iter().map(rows::named).collect()
}

pub(super) async fn certificate(
    readers: &SqlitePool,
    id: CertificateId,
) -> Result<Option<CertificateRecord>, Failure> {
    let row = sqlx::query("SELECT * FROM certificates WHERE id = ?")
        .bind(id.0.as_slice())
        .fetch_optional(readers)
        .await
        .map_err(failure)?;
    row.as_ref().map(rows::certificate).transpose()
}

pub(super) async fn certificates(
    readers: &SqlitePool,
    device: DeviceKey,
) -> Result<Vec<CertificateRecord>, Failure> {
    let found = sqlx::query(
        "SELECT * FROM certificates WHERE tenant = ? AND device = ? AND incarnation = ?
         ORDER BY created DESC, not_after DESC",
    )
    .bind(device.tenant.0)
    .bind(device.id.as_bytes().as_slice())
    .bind(device.incarnation.0)
    .fetch_all(readers)
    .await
    .map_err(failure)?;
    found.iter().map(rows::certificate).collect()
}
