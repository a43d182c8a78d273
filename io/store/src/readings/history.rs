use hedgerow_base::{DeviceKey, Timestamp};
use hedgerow_control::{
    Failure,
    ports::{History, LastValue, Pending},
};
use hedgerow_model::Value;
use hedgerow_telemetry::{Bucket, Range};

use super::{Query, ReadingsError, ReadingsStore};

fn failed(error: ReadingsError) -> Failure {
    Failure::new(error.fault(), error.to_string())
}

impl History for ReadingsStore {
    fn readings<'a>(
        &'a self,
        device: DeviceKey,
        series: &'a str,
        range: Range,
        limit: usize,
    ) -> Pending<'a, Vec<(Timestamp, Value)>> {
        Box::pin(async move {
            let query = Query { device, name: series, range };
            self.readings(query, limit).await.map_err(failed)
        })
    }

    fn buckets<'a>(
        &'a self,
        device: DeviceKey,
        series: &'a str,
        range: Range,
        width_ms: i64,
    ) -> Pending<'a, Vec<Bucket>> {
        Box::pin(async move {
            let query = Query { device, name: series, range };
            self.buckets(query, width_ms).await.map_err(failed)
        })
    }

    fn last_values(&self, device: DeviceKey) -> Pending<'_, Vec<LastValue>> {
        Box::pin(async move {
            let last = self.last_values(device).await.map_err(failed)?;
            let named = |one: super::LastValue| LastValue {
                series: one.name.into(),
                at: one.at,
                value: one.value,
            };
            Ok(last.into_iter().map(named).collect())
        })
    }
}
