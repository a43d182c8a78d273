//! Erasing a device, so that no copy is left.

use std::time::Duration;

use hedgerow_base::Timestamp;
use hedgerow_telemetry::DeviceKey;
use sqlx::{Row, SqliteConnection};
use tokio::time::sleep;

use super::{
    error::{ReadingsError, While},
    limits::CHECKPOINT_TRIES,
    sealing::Journal,
    writer::Writer,
};

impl Writer {
    /// 1. In one transaction: the device's chunks, series and key are overwritten, a tombstone is set,
    ///    and the journal is written anew without it, under a new key.
    /// 2. The write-ahead log is emptied; while somebody reads that has to wait.
    pub(super) async fn erase(&mut self, device: DeviceKey) -> Result<(), ReadingsError> {
        let series: Vec<_> =
            self.shared.catalog().of(&device).iter().map(|known| known.id).collect();
        self.seal(Vec::new(), Journal::Renew, Some((device, &series))).await?;
        self.data_keys.remove(&device);
        self.shared.catalog().erase(&device);
        self.empty_log().await
    }

    async fn empty_log(&mut self) -> Result<(), ReadingsError> {
        let (tries, wait_ms) = CHECKPOINT_TRIES;
        for _ in 0..tries {
            let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .fetch_one(&mut self.connection)
                .await
                .while_doing("emptying the log")?;
            if row.get::<i64, _>(0) == 0 {
                return Ok(());
            }
            sleep(Duration::from_millis(wait_ms)).await;
        }
        Err(ReadingsError::Busy)
    }
}

/// Deletes all rows of a device and sets its tombstone.
pub(super) async fn delete(
    connection: &mut SqliteConnection,
    device: DeviceKey,
    now: Timestamp,
) -> Result<(), ReadingsError> {
    for statement in [
        "DELETE FROM chunk WHERE series IN (
             SELECT id FROM series WHERE tenant = ? AND device = ? AND incarnation = ?)",
        "DELETE FROM data_key WHERE tenant = ? AND device = ? AND incarnation = ?",
        "DELETE FROM series WHERE tenant = ? AND device = ? AND incarnation = ?",
        "INSERT INTO tombstone (tenant, device, incarnation, erased_ms) VALUES (?, ?, ?, ?)
         ON CONFLICT DO NOTHING",
    ] {
        let mut query = sqlx::query(statement)
            .bind(i64::from(device.tenant.0))
            .bind(device.id.as_bytes().to_vec())
            .bind(i64::from(device.incarnation.0));
        if statement.starts_with("INSERT") {
            query = query.bind(now.as_ms());
        }
        query.execute(&mut *connection).await.while_doing("erasing a device")?;
    }
    Ok(())
}
