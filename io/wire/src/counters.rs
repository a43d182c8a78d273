use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use hedgerow_listen::Visit;

use crate::retained::Retained;

/// A number that one shard counts up and anyone may read.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Only the shard that owns the count writes it, so a load and a store do.
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// For a number that says how many now.
    pub(crate) fn set(&self, now: usize) {
        self.0.store(now as u64, Relaxed);
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What one shard has counted.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct ShardCounts {
    pub(crate) messages_in: Count,
    pub(crate) messages_out: Count,
    pub(crate) messages_refused: Count,
    pub(crate) throttled: Count,
    pub(crate) dropped_slow_reader: Count,
    pub(crate) dropped_queue_full: Count,
    pub(crate) dropped_oldest: Count,
    pub(crate) dropped_too_large_or_expired: Count,
    pub(crate) dropped_not_allowed: Count,
    pub(crate) not_retained: Count,
    pub(crate) not_kept: Count,
    pub(crate) writes: Count,
    pub(crate) reads: Count,
    pub(crate) bytes_in: Count,
    pub(crate) bytes_out: Count,
    pub(crate) slow_found: Count,
    /// Now.
    pub(crate) slow: Count,
    /// Now.
    pub(crate) away: Count,
}

/// All that the driver counts, at one moment. Counts only grow, but for those that say how many now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections now, half-open ones included.
    pub connections: usize,
    /// Connections now that have not been accepted yet.
    pub half_open: usize,
    /// Messages that clients sent, refused ones included.
    pub messages_in: u64,
    /// Messages handed to clients' buffers.
    pub messages_out: u64,
    /// Messages that the gate, or a limit, refused.
    pub messages_refused: u64,
    /// Times that a client was read more slowly because it sent too much.
    pub throttled: u64,
    /// QoS 0 messages not sent because the reader is too slow.
    pub dropped_slow_reader: u64,
    /// Messages of QoS 1 and 2 not kept because the session's queue is full.
    pub dropped_queue_full: u64,
    /// Messages of QoS 1 and 2 that made room for later ones in a full queue.
    pub dropped_oldest: u64,
    /// Messages too large for their client, or expired while they waited.
    pub dropped_too_large_or_expired: u64,
    /// Messages not delivered because the session's standing narrowed.
    pub dropped_not_allowed: u64,
    /// Messages delivered and not retained, because no room is left for them.
    pub not_retained: u64,
    /// Changes of sessions that were not taken for the disk, because too much waits for it.
    pub not_kept: u64,
    /// Topics with a retained message now.
    pub retained: usize,
    /// Bytes of these messages.
    pub retained_bytes: usize,
    /// Calls to write to a stream.
    pub writes: u64,
    /// Reads from a stream that gave something.
    pub reads: u64,
    /// Bytes that were read from clients.
    pub bytes_in: u64,
    /// Bytes that clients took.
    pub bytes_out: u64,
    /// Sessions now whose client is away.
    pub away: u64,
    /// Subscribers now that do not keep up.
    pub slow: u64,
    /// How often a subscriber was found not to keep up.
    pub slow_found: u64,
    /// Messages and subscriptions that a limit of the protocol turned away, by its word.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Ends of connections by their word; refusals and waits at the door included.
    pub ends: BTreeMap<&'static str, u64>,
}

impl Counters {
    /// Messages that somebody did not get, whatever the reason.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped_slow_reader
            + self.dropped_oldest
            + self.dropped_queue_full
            + self.dropped_too_large_or_expired
            + self.dropped_not_allowed
    }
}

/// Where everything is counted.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) connections: AtomicUsize,
    pub(crate) half_open: AtomicUsize,
    pub(crate) shards: Box<[Arc<ShardCounts>]>,
    ends: Mutex<BTreeMap<&'static str, u64>>,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
}

impl Ledger {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            connections: AtomicUsize::new(0),
            half_open: AtomicUsize::new(0),
            shards: (0..shards).map(|_| Arc::default()).collect(),
            ends: Mutex::default(),
            refusals: Mutex::default(),
        }
    }

    pub(crate) fn end(&self, why: &'static str) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        *ends.entry(why).or_default() += 1;
    }

    /// A limit turned a message or a subscription away, and the connection goes on.
    pub(crate) fn refusal(&self, why: &'static str) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        *refusals.entry(why).or_default() += 1;
    }

    /// Connections that have not been accepted yet.
    pub(crate) fn half_open(&self) -> usize {
        self.half_open.load(Relaxed)
    }

    pub(crate) fn read(&self) -> Counters {
        let sum = |of: fn(&ShardCounts) -> &Count| self.shards.iter().map(|s| of(s).now()).sum();
        Counters {
            connections: self.connections.load(Relaxed),
            half_open: self.half_open.load(Relaxed),
            messages_in: sum(|s| &s.messages_in),
            messages_out: sum(|s| &s.messages_out),
            messages_refused: sum(|s| &s.messages_refused),
            throttled: sum(|s| &s.throttled),
            dropped_slow_reader: sum(|s| &s.dropped_slow_reader),
            dropped_queue_full: sum(|s| &s.dropped_queue_full),
            dropped_oldest: sum(|s| &s.dropped_oldest),
            dropped_too_large_or_expired: sum(|s| &s.dropped_too_large_or_expired),
            dropped_not_allowed: sum(|s| &s.dropped_not_allowed),
            not_retained: sum(|s| &s.not_retained),
            not_kept: sum(|s| &s.not_kept),
            retained: 0,
            retained_bytes: 0,
            writes: sum(|s| &s.writes),
            reads: sum(|s| &s.reads),
            bytes_in: sum(|s| &s.bytes_in),
            bytes_out: sum(|s| &s.bytes_out),
            away: sum(|s| &s.away),
            slow: sum(|s| &s.slow),
            slow_found: sum(|s| &s.slow_found),
            refusals: self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            ends: self.ends.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// Reads what the driver counts.
#[derive(Clone, Debug)]
pub struct Meter(pub(crate) Arc<Ledger>, pub(crate) Arc<Retained>);

impl Meter {
    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> Counters {
        let (retained, retained_bytes) = self.1.size();
        Counters { retained, retained_bytes, ..self.0.read() }
    }
}

/// What a connection takes up at the door; given back when dropped.
#[derive(Debug)]
pub(crate) struct Places {
    /// Among all connections.
    pub(crate) place: Place,
    /// Among those that have not been accepted yet.
    pub(crate) half_open: Place,
    /// Among those of its source.
    pub(crate) visit: Option<Visit>,
}

/// One place among a limited number; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    ledger: Arc<Ledger>,
    of: fn(&Ledger) -> &AtomicUsize,
}

impl Place {
    pub(crate) fn take(
        ledger: &Arc<Ledger>,
        of: fn(&Ledger) -> &AtomicUsize,
        max: usize,
    ) -> Option<Self> {
        let taken = of(ledger).fetch_update(Relaxed, Relaxed, |now| (now < max).then(|| now + 1));
        taken.is_ok().then(|| Self { ledger: Arc::clone(ledger), of })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        (self.of)(&self.ledger).fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_come_back() {
        let ledger = Arc::new(Ledger::new(1));
        let take = || Place::take(&ledger, |ledger| &ledger.half_open, 2);
        let (first, second) = (take(), take());
        assert!(first.is_some() && second.is_some() && take().is_none());
        drop(first);
        assert!(take().is_some());
        assert_eq!(ledger.read().half_open, 1);
    }
}
