use std::collections::BTreeMap;

use hedgerow_base::Timestamp;
use hedgerow_model::Value;

use crate::{
    Points, Reading, SeriesId,
    limits::{CHUNK_POINTS, HEAD_BYTES_MAX, UNSEALED_MS_MAX},
};

/// The newest points of every series, not yet sealed.
#[derive(Debug, Default)]
pub struct Head {
    series: BTreeMap<SeriesId, Unsealed>,
    full: Vec<SeriesId>,
    bytes: usize,
}

#[derive(Debug)]
struct Unsealed {
    points: Points,
    since: Timestamp,
    is_full: bool,
}

/// What became of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is a new point.
    Added,
    /// It took the place of the value for the same instant.
    Overwritten,
    /// The series is of another type: not kept.
    WrongType,
}

impl Head {
    /// Keeps a reading that came at `now`.
    #[inline]
    pub fn push(&mut self, reading: &Reading<'_>, now: Timestamp) -> Kept {
        let unsealed = self.series.entry(reading.series).or_insert_with(|| Unsealed {
            points: Points::of(reading.value.kind()),
            since: now,
            is_full: false,
        });
        let before = unsealed.points.bytes();
        let kept = unsealed.points.push(reading.at.as_ms(), reading.value);
        self.bytes = self.bytes + unsealed.points.bytes() - before;
        if !unsealed.is_full && unsealed.points.len() >= CHUNK_POINTS {
            unsealed.is_full = true;
            self.full.push(reading.series);
        }
        kept
    }

    /// The unsealed points of a series, in order of time.
    #[must_use]
    pub fn points(&self, series: SeriesId) -> Option<&Points> {
        self.series.get(&series).map(|unsealed| &unsealed.points)
    }

    /// The newest point of a series.
    #[must_use]
    pub fn last(&self, series: SeriesId) -> Option<(Timestamp, Value)> {
        let (ms, value) = self.points(series)?.last()?;
        Some((Timestamp::from_ms(ms), value.to_value()))
    }

    /// Bytes of memory that the points take.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many series have unsealed points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is no unsealed point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Whether a series has [`CHUNK_POINTS`] points, or all take more than [`HEAD_BYTES_MAX`]. Cheap:
    /// to be asked after every commit.
    #[must_use]
    pub fn is_sealing_due(&self) -> bool {
        !self.full.is_empty() || self.bytes > HEAD_BYTES_MAX
    }

    /// The series to seal now: those with [`CHUNK_POINTS`] points, those that wait since
    /// [`UNSEALED_MS_MAX`], and all of them past [`HEAD_BYTES_MAX`].
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<SeriesId> {
        let is_over = self.bytes > HEAD_BYTES_MAX;
        let is_due = |unsealed: &Unsealed| {
            is_over || unsealed.is_full || now.since_ms(unsealed.since) >= UNSEALED_MS_MAX
        };
        self.series.iter().filter(|(_, u)| is_due(u)).map(|(series, _)| *series).collect()
    }

    /// Every series with unsealed points.
    pub fn series(&self) -> impl Iterator<Item = SeriesId> + '_ {
        self.series.keys().copied()
    }

    /// Forgets the points of series that were sealed, or erased.
    pub fn forget(&mut self, series: &[SeriesId]) {
        for id in series {
            if let Some(unsealed) = self.series.remove(id) {
                self.bytes = self.bytes.saturating_sub(unsealed.points.bytes());
            }
        }
        let remaining = &self.series;
        self.full.retain(|id| remaining.contains_key(id));
    }

    /// The unsealed points of a series, as readings.
    pub fn readings(&self, series: SeriesId) -> impl Iterator<Item = Reading<'_>> {
        self.points(series).into_iter().flat_map(move |points| {
            points.iter().map(move |(ms, value)| {
                let at = Timestamp::from_ms(ms);
                Reading { series, at, value }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_model::ValueRef;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn number(series: u64, second: i64, value: f64) -> Reading<'static> {
        let value = ValueRef::Number(value);
        Reading { series: SeriesId(series), at: NOW.plus_ms(second * 1000), value }
    }

    fn values(head: &Head, series: u64) -> Vec<(i64, f64)> {
        let points = head.points(SeriesId(series)).unwrap();
        let since = |ms| Timestamp::from_ms(ms).since_ms(NOW) / 1000;
        points.iter().map(|(ms, value)| (since(ms), value.as_number().unwrap())).collect()
    }

    #[test]
    fn a_second_value_for_the_same_instant_overwrites() {
        let mut head = Head::default();
        assert_eq!(head.push(&number(1, 0, 1.0), NOW), Kept::Added);
        assert_eq!(head.push(&number(1, 0, 2.0), NOW), Kept::Overwritten);
        assert_eq!(values(&head, 1), [(0, 2.0)]);
    }

    #[test]
    fn late_points_find_their_place() {
        let mut head = Head::default();
        for second in [5, 1, 9, 3, 5] {
            head.push(&number(1, second, f64::from(u8::try_from(second).unwrap())), NOW);
        }
        assert_eq!(values(&head, 1), [(1, 1.0), (3, 3.0), (5, 5.0), (9, 9.0)]);
        assert_eq!(head.last(SeriesId(1)), Some((NOW.plus_ms(9000), Value::Number(9.0))));
    }

    #[test]
    fn a_value_of_another_type_is_not_mixed_in() {
        let mut head = Head::default();
        head.push(&number(1, 0, 1.0), NOW);
        let text = Reading { value: ValueRef::Text("x"), ..number(1, 1, 0.0) };
        assert_eq!(head.push(&text, NOW), Kept::WrongType);
        assert_eq!(values(&head, 1).len(), 1);
    }

    #[test]
    fn a_full_series_is_due_and_one_short_of_it_is_not() {
        let mut head = Head::default();
        let most = i64::try_from(CHUNK_POINTS).unwrap();
        for second in 0..most - 1 {
            head.push(&number(1, second, 1.0), NOW);
        }
        assert!(!head.is_sealing_due() && head.due(NOW).is_empty());
        head.push(&number(1, most, 1.0), NOW);
        assert!(head.is_sealing_due());
        assert_eq!(head.due(NOW), [SeriesId(1)]);
    }

    #[test]
    fn a_series_is_due_after_an_hour() {
        let mut head = Head::default();
        head.push(&number(1, 0, 1.0), NOW);
        assert!(head.due(NOW.plus_ms(UNSEALED_MS_MAX - 1)).is_empty());
        assert_eq!(head.due(NOW.plus_ms(UNSEALED_MS_MAX)), [SeriesId(1)]);
    }

    #[test]
    fn memory_is_counted_and_past_its_limit_everything_is_due() {
        let mut head = Head::default();
        let long = "x".repeat(1 << 20);
        let mut at = 0;
        while head.bytes() <= HEAD_BYTES_MAX {
            assert!(!head.is_sealing_due());
            let text = Reading { value: ValueRef::Text(&long), ..number(at % 7, 0, 0.0) };
            let at_ms = i64::try_from(at).unwrap();
            head.push(&Reading { at: NOW.plus_ms(at_ms), ..text }, NOW);
            at += 1;
        }
        assert!(head.is_sealing_due());
        let due = head.due(NOW);
        assert_eq!(due.len(), 7);
        head.forget(&due);
        assert_eq!((head.bytes(), head.len(), head.is_sealing_due()), (0, 0, false));
    }
}
