use std::{
    cell::Cell,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use hedgerow_base::Timestamp;

/// The moment, read once a turn. It runs evenly between two corrections, so that a jump of the
/// machine's clock neither ends connections nor keeps them: deadlines use [`Clock::even`], messages are
/// stamped with [`Clock::wall`].
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    start_ms: i64,
    skew_ms: Cell<i64>,
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), start_ms: wall_ms(), skew_ms: Cell::new(0) }
    }

    pub(crate) fn even(&self) -> Timestamp {
        let elapsed = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_ms(self.start_ms).plus_ms(elapsed)
    }

    /// The wall clock at a moment of [`Clock::even`].
    pub(crate) fn wall(&self, even: Timestamp) -> Timestamp {
        even.plus_ms(self.skew_ms.get())
    }

    /// Looks at the machine's clock again.
    pub(crate) fn correct(&self) {
        self.skew_ms.set(wall_ms() - self.even().as_ms());
    }
}
