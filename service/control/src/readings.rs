//! Asking for readings.

use hedgerow_base::{DeviceId, Timestamp};
use hedgerow_model::Value;
use hedgerow_telemetry::{Bucket, Range};

use crate::{
    Control, Ctx, Failure,
    gate::action,
    limits::{BUCKETS_MAX, READINGS_MAX},
    ports::LastValue,
};

action!(
    /// A person or a program reads readings.
    ReadReadings = "telemetry.read", role Viewer, scope READ
);

impl Control {
    /// Readings of one series, as stored.
    ///
    /// # Errors
    /// Not allowed, absent, or more than [`READINGS_MAX`]: then ask for buckets or a shorter time.
    pub async fn readings(
        &self,
        ctx: &Ctx,
        id: DeviceId,
        series: &str,
        range: Range,
    ) -> Result<Vec<(Timestamp, Value)>, Failure> {
        let permit = self.permit::<ReadReadings>(ctx).await?;
        let device = self.existing(permit.tenant(), id).await?;
        self.history.readings(device.key, series, range, READINGS_MAX).await
    }

    /// Readings of one series in at most `count` buckets of equal width.
    ///
    /// # Errors
    /// Not allowed or absent.
    pub async fn buckets(
        &self,
        ctx: &Ctx,
        id: DeviceId,
        series: &str,
        range: Range,
        count: u32,
    ) -> Result<(i64, Vec<Bucket>), Failure> {
        let permit = self.permit::<ReadReadings>(ctx).await?;
        let device = self.existing(permit.tenant(), id).await?;
        if range.to <= range.from {
            return Ok((1, Vec::new()));
        }
        let count = i64::from(count.clamp(1, BUCKETS_MAX));
        let width = (range.to.since_ms(range.from) + count - 1) / count;
        let width = width.max(1);
        Ok((width, self.history.buckets(device.key, series, range, width).await?))
    }

    /// The newest reading of every series of a device.
    ///
    /// # Errors
    /// Not allowed or absent.
    pub async fn last_values(&self, ctx: &Ctx, id: DeviceId) -> Result<Vec<LastValue>, Failure> {
        let permit = self.permit::<ReadReadings>(ctx).await?;
        let device = self.existing(permit.tenant(), id).await?;
        self.history.last_values(device.key).await
    }
}
