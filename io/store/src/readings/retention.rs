//! What is older than its retention is deleted.

use super::{
    error::{ReadingsError, While},
    limits::DELETED_PER_TURN,
    tally::Counts,
    writer::Writer,
};

impl Writer {
    /// Deletes chunks whose last reading is older than the retention of its series; tells how many.
    pub(super) async fn expire(&mut self) -> Result<u64, ReadingsError> {
        let now = self.shared.now().as_ms();
        let mut deleted = 0;
        loop {
            let done = sqlx::query(
                "DELETE FROM chunk WHERE id IN (
                     SELECT chunk.id FROM series CROSS JOIN chunk ON chunk.series = series.id
                     WHERE chunk.last_ms < ? - series.retention_days * 86400000 LIMIT ?)",
            )
            .bind(now)
            .bind(DELETED_PER_TURN)
            .execute(&mut self.connection)
            .await
            .while_doing("deleting what is too old")?;
            deleted += done.rows_affected();
            Counts::add(&self.shared.counts.chunks_expired, done.rows_affected());
            if done.rows_affected() < DELETED_PER_TURN.unsigned_abs() {
                return Ok(deleted);
            }
        }
    }
}
