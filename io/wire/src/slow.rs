//! Subscribers that do not keep up.
//!
//! 1. A message for whom much waits already marks its link as crowded ([`State::crowd`]): so only those are looked
//!    at for whom something waits.
//! 2. Each tick looks at these ([`Shard::look_for_slow_ones`]). Who has caught up, or is gone, is forgotten; who
//!    has been crowded for [`SLOW_MS`](crate::limits::SLOW_MS) is slow, and counted once.

use std::rc::Rc;

use hedgerow_base::Timestamp;
use hedgerow_mqtt::Settings;

use crate::{
    gate::Gate,
    limits::{CROWDED_MAX, CROWDED_PART},
    link::{Link, State},
    shard::Shard,
};

/// That much waits for a client.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) since: Timestamp,
    /// What its connection had not got before.
    pub(crate) dropped_before: u64,
    pub(crate) is_slow: bool,
}

impl<G: Gate> State<G> {
    /// Whether much waits in the session.
    #[inline]
    pub(crate) fn has_long_queue(&self, mqtt: &Settings) -> bool {
        let session = self.server.session();
        session.queued() > mqtt.queue.messages_max / CROWDED_PART
            || session.queued_bytes() > mqtt.queue.bytes_max / CROWDED_PART
    }

    /// Much waits for the client: from the next tick on it is looked at.
    #[cold]
    pub(crate) fn crowd(&mut self, shard: &Shard<G>, link: &Rc<Link<G>>) {
        if self.crowd.is_some() {
            return;
        }
        let mut crowded = shard.crowded.borrow_mut();
        if crowded.len() < CROWDED_MAX {
            crowded.push(Rc::clone(link));
            let (since, dropped_before) = (shard.clock.even(), self.tally.dropped);
            self.crowd = Some(Box::new(Crowd { since, dropped_before, is_slow: false }));
        }
    }

    fn is_crowded(&self, shard: &Shard<G>) -> bool {
        let settings = shard.settings();
        let is_here = self.away.is_none() && self.ended.is_none() && self.key.is_some();
        is_here
            && (self.out.waiting() > settings.out_bytes_max / CROWDED_PART
                || self.has_long_queue(&settings.mqtt))
    }
}

impl<G: Gate> Shard<G> {
    /// Forgets who has caught up, and finds who has not for long.
    pub(crate) fn look_for_slow_ones(&self, now: Timestamp) {
        let mut crowded = self.crowded.borrow_mut();
        let mut slow = 0;
        crowded.retain(|link| {
            let mut state = link.state.borrow_mut();
            if !state.is_crowded(self) {
                state.crowd = None;
                return false;
            }
            if let Some(crowd) = &mut state.crowd {
                let was_slow = crowd.is_slow;
                crowd.is_slow |= now.since_ms(crowd.since) >= self.settings().slow_ms;
                slow += usize::from(crowd.is_slow);
                self.counts.slow_found.add(u64::from(crowd.is_slow && !was_slow));
            }
            true
        });
        self.counts.slow.set(slow);
    }
}
