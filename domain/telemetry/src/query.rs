//! Answers over time: buckets for charts, points for everything else.
//!
//! 1. The stored chunks of a series that touch the range are listed with their spans, oldest first.
//! 2. [`plan`] says for each whether its summary is enough: it lies in the range, in one bucket, and
//!    nothing else touches its span. All others must be unpacked.
//! 3. Summaries and points are added to [`Buckets`]; points that overlap are put in order before, the
//!    later stored overwriting the earlier.

use std::collections::BTreeMap;

use hedgerow_base::Timestamp;
use hedgerow_model::{Value, ValueRef};

use crate::{
    Points, Summary, TelemetryError,
    limits::{BUCKETS_MAX, POINTS_MAX},
};

/// A range of time, from its first moment up to, and without, its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
}

impl Range {
    /// Whether the moment is in the range.
    #[must_use]
    pub fn contains_ms(&self, ms: i64) -> bool {
        (self.from.as_ms()..self.to.as_ms()).contains(&ms)
    }
}

/// One bucket of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Its first moment.
    pub start: Timestamp,
    /// How many readings fell into it.
    pub count: u64,
    /// The least of them.
    pub minimum: f64,
    /// The greatest of them.
    pub maximum: f64,
    /// Their sum.
    pub sum: f64,
}

impl Bucket {
    /// The mean of the readings; `None` when there is none.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let count = self.count as f64;
        (self.count > 0).then(|| self.sum / count)
    }
}

/// Buckets of equal width over a range.
#[derive(Clone, Debug)]
pub struct Buckets {
    range: Range,
    width_ms: i64,
    buckets: Vec<Bucket>,
}

impl Buckets {
    /// Empty buckets. Widths are multiples of milliseconds, starts are multiples of the width from the
    /// range's start.
    ///
    /// # Errors
    /// [`TelemetryError::Question`] when the range is empty, the width is not positive, or more than
    /// [`BUCKETS_MAX`] buckets would be needed.
    pub fn new(range: Range, width_ms: i64) -> Result<Self, TelemetryError> {
        let span = range.to.since_ms(range.from);
        if span <= 0 || width_ms <= 0 {
            return Err(TelemetryError::Question("the range is empty; begin before the end"));
        }
        let count = usize::try_from((span - 1) / width_ms + 1).unwrap_or(usize::MAX);
        if count > BUCKETS_MAX {
            return Err(TelemetryError::Question("too many buckets; ask for wider ones"));
        }
        let bucket = |number: usize| Bucket {
            start: range.from.plus_ms(width_ms * i64::try_from(number).unwrap_or(0)),
            count: 0,
            minimum: f64::INFINITY,
            maximum: f64::NEG_INFINITY,
            sum: 0.0,
        };
        Ok(Self { range, width_ms, buckets: (0..count).map(bucket).collect() })
    }

    /// Adds a point; one outside the range, or without a number, counts for nothing.
    pub fn add(&mut self, at_ms: i64, value: ValueRef<'_>) {
        let (Some(number), Some(place)) = (value.as_number(), self.place(at_ms)) else { return };
        self.merge(place, 1, (number, number), number);
    }

    /// Adds a whole chunk, when it lies in one bucket.
    pub fn add_summary(&mut self, summary: &Summary) {
        if let Some(place) = self.place(summary.first.as_ms()) {
            let ends = (summary.minimum, summary.maximum);
            self.merge(place, u64::from(summary.count), ends, summary.sum);
        }
    }

    /// The buckets that hold readings.
    #[must_use]
    pub fn into_filled(self) -> Vec<Bucket> {
        self.buckets.into_iter().filter(|bucket| bucket.count > 0).collect()
    }

    fn place(&self, at_ms: i64) -> Option<usize> {
        let since = at_ms.checked_sub(self.range.from.as_ms())?;
        let inside = self.range.contains_ms(at_ms);
        inside.then(|| usize::try_from(since / self.width_ms).ok()).flatten()
    }

    fn merge(&mut self, place: usize, count: u64, ends: (f64, f64), sum: f64) {
        let Some(bucket) = self.buckets.get_mut(place) else { return };
        bucket.count += count;
        bucket.minimum = bucket.minimum.min(ends.0);
        bucket.maximum = bucket.maximum.max(ends.1);
        bucket.sum += sum;
    }

    fn holds_in_one(&self, span: Span) -> bool {
        let (first, last) = (self.place(span.first_ms), self.place(span.last_ms));
        first.is_some() && first == last
    }
}

/// The first and last instant of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first instant, in milliseconds since the epoch.
    pub first_ms: i64,
    /// The last instant.
    pub last_ms: i64,
}

impl Span {
    const fn touches(self, other: Self) -> bool {
        self.first_ms <= other.last_ms && other.first_ms <= self.last_ms
    }
}

/// What must be read of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The summary is enough.
    Summary,
    /// Its points; nothing else touches its span.
    Alone,
    /// Its points, to be merged with those of the others that say so.
    Merged,
}

/// What must be read of each of `spans`, sorted by their first instant; `unsealed` is the span of the
/// points in memory.
#[must_use]
pub fn plan(buckets: &Buckets, spans: &[Span], unsealed: Option<Span>) -> Vec<Read> {
    let mut reach = i64::MIN;
    let mut reads = Vec::with_capacity(spans.len());
    for (at, span) in spans.iter().enumerate() {
        let touches_earlier = span.first_ms <= reach;
        let touches_later = spans.get(at + 1).is_some_and(|next| next.touches(*span));
        let touches_memory = unsealed.is_some_and(|memory| memory.touches(*span));
        let is_alone = !touches_earlier && !touches_later && !touches_memory;
        reach = reach.max(span.last_ms);
        reads.push(match (is_alone, buckets.holds_in_one(*span)) {
            (true, true) => Read::Summary,
            (true, false) => Read::Alone,
            (false, _) => Read::Merged,
        });
    }
    reads
}

/// Points of several chunks put in order; for one instant the later added counts.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    points: BTreeMap<i64, Value>,
}

impl Merged {
    /// Adds the points within `range`, the earlier stored first.
    ///
    /// # Errors
    /// [`TelemetryError::Question`] past `limit` points, [`POINTS_MAX`] at most.
    pub fn add(
        &mut self,
        points: &Points,
        range: Range,
        limit: usize,
    ) -> Result<(), TelemetryError> {
        for (ms, value) in points.iter().filter(|(ms, _)| range.contains_ms(*ms)) {
            self.points.insert(ms, value.to_value());
            if self.points.len() > limit.min(POINTS_MAX) {
                return Err(TelemetryError::Question(
                    "too many readings; ask for buckets or less time",
                ));
            }
        }
        Ok(())
    }

    /// Adds every point to the buckets.
    pub fn fill(&self, buckets: &mut Buckets) {
        self.points.iter().for_each(|(ms, value)| buckets.add(*ms, value.borrow()));
    }

    /// The points, in order of time.
    pub fn into_points(self) -> impl Iterator<Item = (Timestamp, Value)> {
        self.points.into_iter().map(|(ms, value)| (Timestamp::from_ms(ms), value))
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_model::Kind;

    use super::*;

    const fn range(from: i64, to: i64) -> Range {
        Range { from: Timestamp::from_ms(from), to: Timestamp::from_ms(to) }
    }

    const fn span(first_ms: i64, last_ms: i64) -> Span {
        Span { first_ms, last_ms }
    }

    #[test]
    fn points_fall_into_their_buckets_and_the_end_is_outside() {
        let mut buckets = Buckets::new(range(1000, 3500), 1000).unwrap();
        for (ms, number) in [(999, 9.0), (1000, 1.0), (1999, 3.0), (3000, 5.0), (3500, 9.0)] {
            buckets.add(ms, ValueRef::Number(number));
        }
        buckets.add(1500, ValueRef::Text("no number"));
        let filled = buckets.into_filled();
        let seen: Vec<_> = filled.iter().map(|b| (b.start.as_ms(), b.count, b.mean())).collect();
        assert_eq!(seen, [(1000, 2, Some(2.0)), (3000, 1, Some(5.0))]);
        assert_eq!((filled[0].minimum, filled[0].maximum), (1.0, 3.0));
    }

    #[test]
    fn a_summary_is_enough_only_alone_inside_one_bucket() {
        use Read::{Alone, Merged, Summary};
        let buckets = Buckets::new(range(0, 100), 10).unwrap();
        let reads = |spans: &[Span], unsealed| plan(&buckets, spans, unsealed);
        let apart = [span(0, 9), span(10, 15), span(18, 21)];
        assert_eq!(reads(&apart, None), [Summary, Summary, Alone]);
        assert_eq!(reads(&[span(0, 5), span(5, 9)], None), [Merged, Merged], "they overlap");
        assert_eq!(reads(&[span(0, 50), span(2, 3), span(40, 41)], None), [Merged; 3]);
        assert_eq!(reads(&[span(90, 95)], Some(span(95, 99))), [Merged], "memory overlaps");
        assert_eq!(reads(&[span(90, 100)], None), [Alone], "it leaves the range");
    }

    #[test]
    fn a_chunk_in_one_bucket_counts_as_its_points_do() {
        let mut points = crate::Points::of(Kind::Number);
        for ms in [10, 12, 14] {
            points.push(ms, ValueRef::Number(f64::from(i32::try_from(ms).unwrap())));
        }
        let (summary, _) = crate::seal(&points).unwrap();
        let mut by_summary = Buckets::new(range(0, 100), 50).unwrap();
        let mut by_points = by_summary.clone();
        by_summary.add_summary(&summary);
        points.iter().for_each(|(ms, value)| by_points.add(ms, value));
        assert_eq!(by_summary.into_filled(), by_points.into_filled());
    }

    #[test]
    fn the_later_stored_value_of_an_instant_counts() {
        let mut merged = Merged::default();
        for number in [1.0, 2.0] {
            let mut points = crate::Points::of(Kind::Number);
            points.push(5, ValueRef::Number(number));
            merged.add(&points, range(0, 10), 10).unwrap();
        }
        let points: Vec<_> = merged.into_points().collect();
        assert_eq!(points, [(Timestamp::from_ms(5), Value::Number(2.0))]);
    }

    #[test]
    fn questions_past_the_limits_are_refused() {
        let most = i64::try_from(BUCKETS_MAX).unwrap();
        assert!(Buckets::new(range(0, most), 1).is_ok());
        assert!(Buckets::new(range(0, most + 1), 1).is_err());
        assert!(Buckets::new(range(5, 5), 1).is_err());
        assert!(Buckets::new(range(0, 5), 0).is_err());
        let mut points = crate::Points::of(Kind::Boolean);
        let count = i64::try_from(POINTS_MAX).unwrap();
        for ms in 0..count {
            points.push(ms, ValueRef::Boolean(true));
        }
        assert!(Merged::default().add(&points, range(0, count), usize::MAX).is_ok());
        assert!(Merged::default().add(&points, range(0, count), 10).is_err());
        points.push(count, ValueRef::Boolean(true));
        assert!(Merged::default().add(&points, range(0, count + 1), usize::MAX).is_err());
    }
}
