//! How busy the hub is, minute by minute: what the counters gained, kept in memory for an hour.

use std::{collections::VecDeque, sync::Mutex};

use hedgerow_base::Timestamp;

use crate::{Flow, commits::lock, limits::PULSE_MINUTES_MAX};

/// How long a minute may have lasted to count as one.
const MINUTE_MS: std::ops::RangeInclusive<i64> = 50_000..=70_000;

/// What the counters say at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Devices with an open session now.
    pub connected: u64,
    /// Readings stored since the hub started.
    pub readings: u64,
    /// Messages and readings refused since the hub started.
    pub refusals: u64,
    /// What went through the broker since then.
    pub flow: Flow,
}

/// One minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute {
    /// When it ended.
    pub ended: Timestamp,
    /// Devices with an open session at its end.
    pub connected: u64,
    /// Readings stored in it.
    pub readings: u64,
    /// Messages and readings refused in it.
    pub refusals: u64,
    /// What went through the broker in it.
    pub flow: Flow,
}

/// The last minutes.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<Beats>);

#[derive(Debug, Default)]
struct Beats {
    last: Option<(Timestamp, Totals)>,
    minutes: VecDeque<Minute>,
}

impl Pulse {
    /// Notes what the counters say; to be called once a minute. A minute that lasted much longer or
    /// shorter (the machine slept, its clock was set) is left out: nobody knows what happened when.
    pub fn beat(&self, now: Timestamp, totals: Totals) {
        let mut beats = lock(&self.0);
        let last = beats.last.replace((now, totals));
        let Some((since, before)) = last else { return };
        if !MINUTE_MS.contains(&now.since_ms(since)) {
            return;
        }
        if beats.minutes.len() == PULSE_MINUTES_MAX {
            beats.minutes.pop_front();
        }
        beats.minutes.push_back(Minute {
            ended: now,
            connected: totals.connected,
            readings: totals.readings.saturating_sub(before.readings),
            refusals: totals.refusals.saturating_sub(before.refusals),
            flow: totals.flow.less(before.flow),
        });
    }

    /// The minutes of the last hour that are known, the oldest first.
    #[must_use]
    pub fn minutes(&self) -> Vec<Minute> {
        lock(&self.0).minutes.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000).plus_ms(ms)
    }

    fn totals(readings: u64) -> Totals {
        let flow = Flow { messages_in: readings * 2, ..Flow::default() };
        Totals { connected: 3, readings, refusals: readings / 10, flow }
    }

    #[test]
    fn a_minute_is_what_the_counters_gained() {
        let pulse = Pulse::default();
        pulse.beat(at(0), totals(1000));
        assert!(pulse.minutes().is_empty(), "no minute is over yet");
        pulse.beat(at(60_000), totals(1500));
        let flow = Flow { messages_in: 1000, ..Flow::default() };
        let minute = Minute { ended: at(60_000), connected: 3, readings: 500, refusals: 50, flow };
        assert_eq!(pulse.minutes(), [minute]);
    }

    #[test]
    fn a_minute_that_was_none_is_left_out() {
        let pulse = Pulse::default();
        for (ms, readings) in [(0, 0), (60_000, 1), (600_000, 50), (599_000, 60), (659_000, 62)] {
            pulse.beat(at(ms), totals(readings));
        }
        let readings: Vec<_> = pulse.minutes().iter().map(|minute| minute.readings).collect();
        assert_eq!(readings, [1, 2], "not the sleep, not the clock that was set back");
    }

    #[test]
    fn an_hour_is_kept_and_not_a_minute_more() {
        let pulse = Pulse::default();
        for minute in 0..=PULSE_MINUTES_MAX as i64 {
            pulse.beat(at(minute * 60_000), totals(0));
        }
        assert_eq!(pulse.minutes().len(), PULSE_MINUTES_MAX);
        assert_eq!(pulse.minutes()[0].ended, at(60_000));
        pulse.beat(at((PULSE_MINUTES_MAX as i64 + 1) * 60_000), totals(0));
        assert_eq!(pulse.minutes().len(), PULSE_MINUTES_MAX);
        assert_eq!(pulse.minutes()[0].ended, at(120_000));
    }
}
