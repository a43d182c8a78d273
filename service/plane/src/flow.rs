//! How much goes through the broker a second: the difference of what was counted at two moments.

use std::{collections::VecDeque, sync::Mutex};

use hedgerow_base::Timestamp;

use crate::{commits::lock, limits::FLOW_SAMPLES_MAX};

/// What goes through: counted since the hub started, or a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Messages that clients sent, refused ones included.
    pub messages_in: u64,
    /// Messages handed to clients.
    pub messages_out: u64,
    /// Bytes read from clients.
    pub bytes_in: u64,
    /// Bytes that clients took.
    pub bytes_out: u64,
    /// Messages that were refused.
    pub refused: u64,
    /// Messages that somebody did not get.
    pub dropped: u64,
}

impl Flow {
    /// What came to it since `before`.
    pub(crate) fn less(self, before: Self) -> Self {
        self.map(before, u64::saturating_sub)
    }

    fn map(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            messages_in: of(self.messages_in, other.messages_in),
            messages_out: of(self.messages_out, other.messages_out),
            bytes_in: of(self.bytes_in, other.bytes_in),
            bytes_out: of(self.bytes_out, other.bytes_out),
            refused: of(self.refused, other.refused),
            dropped: of(self.dropped, other.dropped),
        }
    }
}

/// What was counted at the last moments.
#[derive(Debug, Default)]
pub struct Flows(Mutex<VecDeque<(Timestamp, Flow)>>);

impl Flows {
    /// Notes what is counted now; to be called every few seconds.
    pub fn beat(&self, now: Timestamp, flow: Flow) {
        let mut samples = lock(&self.0);
        if samples.back().is_some_and(|(at, _)| *at >= now) {
            // The clock was set back: what was noted before says nothing any more.
            samples.clear();
        }
        if samples.len() == FLOW_SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back((now, flow));
    }

    /// How much it was a second, rounded, between the oldest moment known and the newest; none before the
    /// second.
    #[must_use]
    pub fn a_second(&self) -> Option<Flow> {
        let samples = lock(&self.0);
        let ((since, before), (until, after)) = (samples.front()?, samples.back()?);
        let ms = u64::try_from(until.since_ms(*since)).ok().filter(|ms| *ms > 0)?;
        let rate = |after: u64, before: u64| {
            let thousandths = u128::from(after.saturating_sub(before)) * 1000;
            u64::try_from((thousandths + u128::from(ms) / 2) / u128::from(ms)).unwrap_or(u64::MAX)
        };
        Some(after.map(*before, rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(messages_in: u64) -> Flow {
        Flow { messages_in, bytes_out: messages_in * 10, ..Flow::default() }
    }

    #[test]
    fn a_rate_is_the_difference_over_the_time_between() {
        let (flows, start) = (Flows::default(), Timestamp::from_secs(1_000));
        assert_eq!(flows.a_second(), None);
        flows.beat(start, flow(100));
        assert_eq!(flows.a_second(), None, "one moment is none");
        flows.beat(start.plus_ms(4_000), flow(502));
        assert_eq!(flows.a_second(), Some(Flow { bytes_out: 1005, ..flow(101) }), "rounded");
    }

    #[test]
    fn so_many_moments_are_kept_and_not_one_more() {
        let (flows, start) = (Flows::default(), Timestamp::from_secs(1_000));
        flows.beat(start, flow(0));
        for at in 1..FLOW_SAMPLES_MAX as i64 {
            flows.beat(start.plus_ms(at * 1000), flow(1_000_000));
        }
        assert!(flows.a_second().unwrap().messages_in > 0);
        flows.beat(start.plus_ms(FLOW_SAMPLES_MAX as i64 * 1000), flow(1_000_000));
        assert_eq!(flows.a_second().unwrap().messages_in, 0, "the first is forgotten");
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_nonsense() {
        let (flows, start) = (Flows::default(), Timestamp::from_secs(1_000));
        flows.beat(start, flow(1));
        flows.beat(start.plus_ms(-5_000), flow(2));
        assert_eq!(flows.a_second(), None);
    }
}
