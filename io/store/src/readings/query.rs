//! Questions: readings over time, down-sampled or not, and last values.

use hedgerow_base::Timestamp;
use hedgerow_model::Value;
use hedgerow_telemetry::{
    Bucket, Buckets, DeviceKey, Merged, Points, Range, SeriesId, SeriesSpec, open,
    query::{Read, Span, plan},
    summary,
};
use sqlx::{Row, Sqlite, pool::PoolConnection, sqlite::SqliteRow};

use crate::cipher::{Place, SealKey};

use super::{
    ReadingsStore,
    catalog::row,
    error::{ReadingsError, While},
    limits::CHUNKS_MAX,
    sealing::{CHUNK, DATA_KEY, find_data_key},
};

/// What is asked for: one series of one device over a range of time.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Whose readings.
    pub device: DeviceKey,
    /// A property's name, or `event/{name}`, `result/{action}`, `reported`.
    pub name: &'a str,
    /// From when up to when.
    pub range: Range,
}

/// The newest reading of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct LastValue {
    /// The name of the series.
    pub name: Box<str>,
    /// When it was measured.
    pub at: Timestamp,
    /// What was measured.
    pub value: Value,
}

/// A chunk as it is listed, its body still sealed.
struct Listed {
    id: i64,
    series: SeriesId,
    span: Span,
    body: Vec<u8>,
}

impl Listed {
    fn read(row: &SqliteRow, series: SeriesId) -> Self {
        let span = Span { first_ms: row.get("first_ms"), last_ms: row.get("last_ms") };
        Self { id: row.get("id"), series, span, body: row.get("body") }
    }

    fn open<'b>(&'b mut self, key: &SealKey) -> Result<&'b [u8], ReadingsError> {
        let place = Place(CHUNK, row(self.series.0), self.span.first_ms);
        Ok(key.open(&mut self.body, place)?)
    }
}

impl ReadingsStore {
    /// The series that a device has, by name.
    #[must_use]
    pub fn series_of(&self, device: DeviceKey) -> Vec<SeriesSpec> {
        let catalog = self.shared.catalog();
        let mut specs: Vec<_> =
            catalog.of(&device).iter().map(|known| known.spec.clone()).collect();
        specs.sort_by(|one, other| one.name.cmp(&other.name));
        specs
    }

    /// Readings in buckets of `width_ms`; buckets without readings are left out. Summaries are read
    /// instead of points wherever they are enough.
    ///
    /// # Errors
    /// [`ReadingsError::Telemetry`] for a question beyond the limits.
    pub async fn buckets(
        &self,
        query: Query<'_>,
        width_ms: i64,
    ) -> Result<Vec<Bucket>, ReadingsError> {
        let mut buckets = Buckets::new(query.range, width_ms)?;
        for series in self.numbers(query) {
            // Memory first: what is sealed between the two looks is then seen twice, and not never.
            let unsealed = self.unsealed_points(series);
            let (mut listed, key) = self.chunks(query, series).await?;
            listed.sort_by_key(|chunk| chunk.span.first_ms);
            let spans: Vec<_> = listed.iter().map(|chunk| chunk.span).collect();
            let memory = unsealed.as_ref().and_then(Points::span);
            let memory = memory.map(|(first_ms, last_ms)| Span { first_ms, last_ms });
            let mut overlapping = Vec::new();
            for (mut chunk, read) in listed.into_iter().zip(plan(&buckets, &spans, memory)) {
                let Some(key) = &key else { break };
                let id = chunk.id;
                let body = chunk.open(key)?;
                match read {
                    Read::Summary => buckets.add_summary(&summary(body)?),
                    Read::Alone => {
                        let (_, points) = open(body)?;
                        points.iter().for_each(|(ms, value)| buckets.add(ms, value));
                    }
                    Read::Merged => overlapping.push((id, open(body)?.1)),
                }
            }
            // What was stored later counts, and what is in memory is the latest.
            overlapping.sort_by_key(|(id, _)| *id);
            overlapping.extend(unsealed.map(|points| (i64::MAX, points)));
            let mut merged = Merged::default();
            for (_, points) in overlapping {
                merged.add(&points, query.range, usize::MAX)?;
            }
            merged.fill(&mut buckets);
        }
        Ok(buckets.into_filled())
    }

    /// Every reading in the range, in order of time.
    ///
    /// # Errors
    /// [`ReadingsError::Telemetry`] past `limit` readings: ask for buckets or less time.
    pub async fn readings(
        &self,
        query: Query<'_>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, Value)>, ReadingsError> {
        let mut merged = Merged::default();
        for series in self.numbers(query) {
            let unsealed = self.unsealed_points(series);
            let (mut listed, key) = self.chunks(query, series).await?;
            for chunk in &mut listed {
                let Some(key) = &key else { break };
                merged.add(&open(chunk.open(key)?)?.1, query.range, limit)?;
            }
            if let Some(points) = unsealed {
                merged.add(&points, query.range, limit)?;
            }
        }
        Ok(merged.into_points().collect())
    }

    /// The newest reading of each series of a device.
    ///
    /// # Errors
    /// [`ReadingsError`].
    pub async fn last_values(&self, device: DeviceKey) -> Result<Vec<LastValue>, ReadingsError> {
        let known: Vec<_> = self.shared.catalog().of(&device).to_vec();
        let mut last: Vec<LastValue> = Vec::with_capacity(known.len());
        for series in known {
            let unsealed = self.shared.head().last(series.id);
            let sealed = self.last_sealed(device, series.id).await?;
            // For the same instant the unsealed one is the newer.
            let newest = match (unsealed, sealed) {
                (Some(one), Some(other)) if other.0 > one.0 => Some(other),
                (one, other) => one.or(other),
            };
            let Some((at, value)) = newest else { continue };
            last.push(LastValue { name: series.spec.name, at, value });
        }
        // A name can have had another type before: the newer one counts.
        last.sort_by(|one, other| (&one.name, other.at).cmp(&(&other.name, one.at)));
        last.dedup_by(|later, first| later.name == first.name);
        Ok(last)
    }

    fn numbers(&self, query: Query<'_>) -> Vec<SeriesId> {
        let catalog = self.shared.catalog();
        let named = catalog.of(&query.device).iter();
        named.filter(|known| *known.spec.name == *query.name).map(|known| known.id).collect()
    }

    fn unsealed_points(&self, series: SeriesId) -> Option<Points> {
        self.shared.head().points(series).cloned()
    }

    async fn chunks(
        &self,
        query: Query<'_>,
        series: SeriesId,
    ) -> Result<(Vec<Listed>, Option<SealKey>), ReadingsError> {
        let mut connection = self.reader().await?;
        let rows = sqlx::query(
            "SELECT id, first_ms, last_ms, body FROM chunk
             WHERE series = ? AND last_ms >= ? AND first_ms < ? ORDER BY id LIMIT ?",
        )
        .bind(row(series.0))
        .bind(query.range.from.as_ms())
        .bind(query.range.to.as_ms())
        .bind(CHUNKS_MAX)
        .fetch_all(&mut *connection)
        .await
        .while_doing("reading chunks")?;
        let listed: Vec<_> = rows.iter().map(|row| Listed::read(row, series)).collect();
        let key = match listed.is_empty() {
            true => None,
            false => self.key_of(&mut connection, query.device).await?,
        };
        Ok((listed, key))
    }

    async fn last_sealed(
        &self,
        device: DeviceKey,
        series: SeriesId,
    ) -> Result<Option<(Timestamp, Value)>, ReadingsError> {
        let mut connection = self.reader().await?;
        let found = sqlx::query(
            "SELECT id, first_ms, last_ms, body FROM chunk WHERE series = ?
             ORDER BY last_ms DESC, id DESC LIMIT 1",
        )
        .bind(row(series.0))
        .fetch_optional(&mut *connection)
        .await
        .while_doing("reading a chunk")?;
        let Some(mut chunk) = found.map(|row| Listed::read(&row, series)) else { return Ok(None) };
        let Some(key) = self.key_of(&mut connection, device).await? else { return Ok(None) };
        let (_, points) = open(chunk.open(&key)?)?;
        Ok(points.last().map(|(ms, value)| (Timestamp::from_ms(ms), value.to_value())))
    }

    async fn key_of(
        &self,
        connection: &mut PoolConnection<Sqlite>,
        device: DeviceKey,
    ) -> Result<Option<SealKey>, ReadingsError> {
        let found = find_data_key(connection, device).await.while_doing("fetching a data key")?;
        let Some((id, wrapped)) = found else { return Ok(None) };
        Ok(Some(self.shared.master.unwrap(&wrapped, Place(DATA_KEY, id, 0))?))
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, ReadingsError> {
        self.readers.acquire().await.while_doing("waiting to read")
    }
}
